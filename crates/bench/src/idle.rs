//! Thousands of event streams that wait for nothing, for the benchmark.
//!
//! They are TLS connections by hand: `hub-client` keeps what one client needs for each, and dials from
//! one address, of which a hub takes 4,096 connections. It believes any certificate, for nothing is
//! sent but a name that is public.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use testkit::tls::any_connector;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

/// Streams from one address of this machine.
const STREAMS_PER_ADDRESS: usize = 4_000;
/// Handshakes at once: a hub gives each ten seconds.
const HANDSHAKES: usize = 64;
/// Longest head of an answer.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// `idle URL NAME STREAMS`: opens that many event streams for a public name, says `open`, and keeps
/// them until it is ended.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [url, name, streams] = arguments else { bail!("idle needs URL NAME STREAMS") };
    let hub = url.strip_prefix("https://").context("the hub has to speak TLS")?.parse()?;
    raise_open_files()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let _streams = runtime.block_on(open(hub, name, streams.parse()?))?;
    println!("open");
    runtime.block_on(std::future::pending())
}

/// Lets this process, and those it starts, have as many files open as the system allows.
pub(crate) fn raise_open_files() -> Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).map_err(Into::into)
}

/// Connection `number` of many, from one of the machine's addresses.
pub(crate) async fn dial(
    connector: &TlsConnector,
    hub: SocketAddr,
    number: usize,
) -> Result<TlsStream<TcpStream>> {
    let last = u8::try_from(2 + number / STREAMS_PER_ADDRESS)?;
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into())?;
    let stream = socket.connect(hub).await?;
    Ok(connector.connect(ServerName::try_from("localhost")?, stream).await?)
}

async fn open(hub: SocketAddr, name: &str, streams: usize) -> Result<Vec<TlsStream<TcpStream>>> {
    let connector = any_connector();
    let request = Arc::new(format!("GET /v1/events?name={name} HTTP/1.1\r\nHost: hub\r\n\r\n"));
    let turns = Arc::new(Semaphore::new(HANDSHAKES));
    let mut opening = JoinSet::new();
    for number in 0..streams {
        let (connector, request) = (connector.clone(), Arc::clone(&request));
        let turns = Arc::clone(&turns);
        opening.spawn(async move {
            let _turn = turns.acquire_owned().await?;
            let mut stream = dial(&connector, hub, number).await?;
            stream.write_all(request.as_bytes()).await?;
            answer_head(&mut stream).await?;
            anyhow::Ok(stream)
        });
    }
    let mut open = Vec::with_capacity(streams);
    while let Some(opened) = opening.join_next().await {
        open.push(opened??);
    }
    Ok(open)
}

/// Reads the head of an answer that has to be a good one, and what came with it.
pub(crate) async fn answer_head(stream: &mut TlsStream<TcpStream>) -> Result<(String, Vec<u8>)> {
    let mut came = Vec::new();
    let end = loop {
        if let Some(end) = came.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        let more = stream.read_buf(&mut came).await?;
        ensure!(more > 0 && came.len() < HEAD_BYTES_MAX, "an answer did not begin");
    };
    let rest = came.split_off(end);
    let head = String::from_utf8_lossy(&came).into_owned();
    ensure!(head.starts_with("HTTP/1.1 200"), "a request was refused: {head}");
    Ok((head, rest))
}

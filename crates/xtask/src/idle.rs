//! Thousands of event streams that wait for nothing, for the benchmark.
//!
//! They are TLS connections by hand: `hub-client` keeps what one client needs for each, and dials from
//! one address, of which a hub takes 4,096 connections. It believes any certificate, for nothing is
//! sent but a name that is public.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

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
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let _streams = runtime.block_on(open(hub, name, streams.parse()?))?;
    println!("open");
    runtime.block_on(std::future::pending())
}

async fn open(hub: SocketAddr, name: &str, streams: usize) -> Result<Vec<TlsStream<TcpStream>>> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Any))
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let request = Arc::new(format!("GET /v1/events?name={name} HTTP/1.1\r\nHost: hub\r\n\r\n"));
    let turns = Arc::new(Semaphore::new(HANDSHAKES));
    let mut opening = JoinSet::new();
    for number in 0..streams {
        let (connector, request) = (connector.clone(), Arc::clone(&request));
        let turns = Arc::clone(&turns);
        opening.spawn(async move {
            let _turn = turns.acquire_owned().await?;
            let last = u8::try_from(2 + number / STREAMS_PER_ADDRESS)?;
            let socket = TcpSocket::new_v4()?;
            socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into())?;
            let stream = socket.connect(hub).await?;
            let mut stream = connector.connect(ServerName::try_from("localhost")?, stream).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut head = Vec::new();
            while !head.windows(4).any(|four| four == b"\r\n\r\n") {
                let came = stream.read_buf(&mut head).await?;
                ensure!(came > 0 && head.len() < HEAD_BYTES_MAX, "a stream did not begin");
            }
            let head = String::from_utf8_lossy(&head);
            ensure!(head.starts_with("HTTP/1.1 200"), "a stream was refused: {head}");
            Ok(stream)
        });
    }
    let mut open = Vec::with_capacity(streams);
    while let Some(opened) = opening.join_next().await {
        open.push(opened??);
    }
    Ok(open)
}

#[derive(Debug)]
struct Any;

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

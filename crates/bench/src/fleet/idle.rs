//! Targets that wait: one event stream each, with an account and a session of its own.
//!
//! By hand, as in [`crate::idle`], and for its reasons.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use documents::SessionProof;
use hub_api::{ChallengeRequest, ChallengeResponse, Hex, SessionRequest, SessionResponse, routes};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use testkit::tls::any_connector;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::plant::{Plant, target_key};
use crate::idle::{answer_head, dial};

/// Handshakes at once: a hub gives each ten seconds.
const HANDSHAKES: usize = 64;
/// How long the streams are left alone before memory is looked at: each gets its heart-beat.
pub(super) const SETTLING: Duration = Duration::from_secs(20);

/// What was measured.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Idle {
    /// Memory of the hub's own, without that of files, before and with the streams.
    pub(crate) before_bytes: u64,
    pub(crate) with_bytes: u64,
}

/// Opens a stream for every target, and looks at the memory of the process `hub`.
pub(crate) async fn measure(plant: Plant, hub: u32) -> Result<Idle> {
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before_bytes = resident_bytes(hub)?;
    let path = routes::of_community(routes::COMMUNITY_EVENTS, plant.id);
    let numbers = plant.targets.iter().map(|target| target.number);
    let streams = open(&plant.url, plant.fingerprint, path, numbers).await?;
    tokio::time::sleep(SETTLING).await;
    let with_bytes = resident_bytes(hub)?;
    drop(streams);
    Ok(Idle { before_bytes, with_bytes })
}

/// Opens the stream at `path` for each of those whose keys have these numbers.
pub(super) async fn open(
    url: &str,
    identity: [u8; 32],
    path: String,
    numbers: impl Iterator<Item = usize>,
) -> Result<Vec<TlsStream<TcpStream>>> {
    let hub: SocketAddr =
        url.strip_prefix("https://").context("the hub has to speak TLS")?.parse()?;
    let (connector, path) = (any_connector(), Arc::new(path));
    let turns = Arc::new(Semaphore::new(HANDSHAKES));
    let mut opening = JoinSet::new();
    for number in numbers {
        let (connector, path, turns) = (connector.clone(), Arc::clone(&path), Arc::clone(&turns));
        opening.spawn(async move {
            let _turn = turns.acquire_owned().await?;
            stream(&connector, hub, identity, &path, number).await
        });
    }
    let mut open = Vec::new();
    while let Some(opened) = opening.join_next().await {
        open.push(opened??);
    }
    Ok(open)
}

async fn stream(
    connector: &TlsConnector,
    hub: SocketAddr,
    identity: [u8; 32],
    path: &str,
    number: usize,
) -> Result<TlsStream<TcpStream>> {
    let mut stream = dial(connector, hub, number).await?;
    let secret = target_key(number);
    let key = Hex(*secret.public().as_bytes());
    let ChallengeResponse { challenge } =
        post(&mut stream, routes::SESSION_CHALLENGE, &ChallengeRequest { key }).await?;
    let proof = SessionProof { hub: identity, challenge: challenge.0, key: secret.public() };
    let request = SessionRequest { key, proof: proof.sign(&secret).into() };
    let session: SessionResponse = post(&mut stream, routes::SESSIONS, &request).await?;
    let token = session.token.0;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    answer_head(&mut stream).await?;
    Ok(stream)
}

async fn post<T: DeserializeOwned>(
    stream: &mut TlsStream<TcpStream>,
    path: &str,
    body: &impl Serialize,
) -> Result<T> {
    let body = serde_json::to_string(body)?;
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let (head, mut came) = answer_head(stream).await?;
    let length = content_length(&head).context("an answer without a length")?;
    while came.len() < length {
        ensure!(stream.read_buf(&mut came).await? > 0, "an answer was cut off");
    }
    Ok(serde_json::from_slice(&came)?)
}

fn content_length(head: &str) -> Option<usize> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    value.trim().parse().ok()
}

/// Memory of a process that is no file's.
pub(crate) fn resident_bytes(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    anonymous_bytes(&status).context("the kernel does not tell a process's memory")
}

fn anonymous_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_memory_are_read() {
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nContent-Length: 17\r\n\r\n";
        assert_eq!(content_length(head), Some(17));
        assert_eq!(content_length("HTTP/1.1 200 OK\r\n\r\n"), None);
        assert_eq!(anonymous_bytes("VmRSS:\t  9 kB\nRssAnon:\t    12 kB\n"), Some(12_288));
        assert_eq!(anonymous_bytes("VmRSS:\t  9 kB\n"), None);
    }
}

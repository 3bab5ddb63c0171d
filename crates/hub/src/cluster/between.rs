//! Passing a request on to the front-end that has what it is about in memory, and the answer back.
//!
//! Bodies pass through as they come, a piece at a time in both directions: whoever is slow holds back the other
//! side, as on one connection. Nothing of them is kept or written down here.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::identity::Identity;

/// What one front-end says to another, so that it is let in.
pub(super) const WORD: HeaderName = HeaderName::from_static("consign-front-end-word");
/// Who asked the front-end that passes a request on.
pub(super) const ASKED_BY: HeaderName = HeaderName::from_static("consign-asked-by");

/// How long a front-end has to take a connection: they are in one data centre.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// Idle connections that are kept to one front-end.
const IDLE_MAX: usize = 32;
/// What is read ahead of one connection at most.
const BUFFER_BYTES: usize = 256 * 1024;

/// Headers that are of one connection (RFC 9110, section 7.6.1).
const HOP_HEADERS: [HeaderName; 6] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHORIZATION,
];

/// Ways to the other front-ends.
pub(crate) struct Between {
    identity: Identity,
    idle: Mutex<HashMap<String, Vec<SendRequest<Body>>>>,
}

impl std::fmt::Debug for Between {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Between").finish_non_exhaustive()
    }
}

/// Why a request was not passed on; nobody knows whether it was heard unless it never left.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotPassed {
    /// The front-end is not reached. Once its lease is over another one takes its place.
    #[error("a front-end is not reached")]
    Unreached(#[source] io::Error),
    /// The connection broke.
    #[error("the connection to a front-end broke")]
    Broken(#[source] hyper::Error),
}

impl Between {
    pub(crate) fn new(identity: Identity) -> Self {
        Self { identity, idle: Mutex::default() }
    }

    pub(crate) fn server(&self) -> std::sync::Arc<rustls::ServerConfig> {
        std::sync::Arc::clone(&self.identity.server)
    }

    /// Whether a request is of another front-end; then whom that was asked by.
    pub(crate) fn asked_by(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let word = headers.get(WORD)?;
        if !self.identity.is_word(word.as_bytes()) {
            return None;
        }
        headers.get(ASKED_BY)?.to_str().ok()?.parse().ok()
    }

    /// Passes a request on, and its answer back.
    pub(crate) async fn pass(
        &self,
        address: &str,
        asked_by: IpAddr,
        mut request: hyper::Request<Body>,
    ) -> Result<Response, NotPassed> {
        let headers = request.headers_mut();
        for name in HOP_HEADERS {
            headers.remove(name);
        }
        let text = |text: String| HeaderValue::try_from(text).expect("hex and addresses are ASCII");
        headers.insert(WORD, text(self.identity.word()));
        headers.insert(ASKED_BY, text(asked_by.to_string()));
        if !headers.contains_key(header::HOST) {
            headers.insert(header::HOST, HeaderValue::from_static("front-end.consign"));
        }
        let mut request = Some(request);
        // One that was idle may be closed by now; what it did not take goes over another one.
        while let Some(mut sender) = self.take_idle(address) {
            let taken = request.take().expect("it came back, or this loop ended");
            match sender.try_send_request(taken).await {
                Ok(answer) => return Ok(self.answered(address, sender, answer)),
                Err(mut error) => match error.take_message() {
                    Some(back) => request = Some(back),
                    None => return Err(NotPassed::Broken(error.into_error())),
                },
            }
        }
        let mut sender = self.connect(address).await?;
        let request = request.expect("it came back");
        let answer = sender.send_request(request).await.map_err(NotPassed::Broken)?;
        Ok(self.answered(address, sender, answer))
    }

    fn take_idle(&self, address: &str) -> Option<SendRequest<Body>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let senders = idle.get_mut(address)?;
        senders.retain(|sender| !sender.is_closed());
        let ready = senders.iter().rposition(SendRequest::is_ready)?;
        Some(senders.swap_remove(ready))
    }

    /// Keeps the connection: it is ready again once the answer was read to its end.
    fn answered(
        &self,
        address: &str,
        sender: SendRequest<Body>,
        answer: hyper::Response<hyper::body::Incoming>,
    ) -> Response {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let senders = idle.entry(address.to_owned()).or_default();
        senders.retain(|sender| !sender.is_closed());
        if senders.len() < IDLE_MAX {
            senders.push(sender);
        }
        drop(idle);
        let mut answer = answer.map(Body::new);
        for name in HOP_HEADERS {
            // Whoever closes the connection after a refusal does so for its client, too.
            let closes = name == header::CONNECTION;
            if !closes {
                answer.headers_mut().remove(name);
            }
        }
        answer
    }

    async fn connect(&self, address: &str) -> Result<SendRequest<Body>, NotPassed> {
        let connecting = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let tls = TlsConnector::from(std::sync::Arc::clone(&self.identity.client));
            tls.connect(self.identity.name.clone(), stream).await
        };
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let stream = timeout(CONNECT_TIME, connecting).await.map_err(late);
        let stream = stream.and_then(|connected| connected).map_err(NotPassed::Unreached)?;
        let handshake = Builder::new().max_buf_size(BUFFER_BYTES).handshake(TokioIo::new(stream));
        let (sender, connection) = handshake.await.map_err(NotPassed::Broken)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a front-end ended early");
            }
        });
        Ok(sender)
    }
}

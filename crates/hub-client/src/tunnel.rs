//! Asks a proxy for a tunnel: `CONNECT HOST:PORT`, after which it passes bytes on.
//!
//! The proxy is told host and port of the hub and its own credentials, and nothing else. Its answer
//! is bounded in bytes by the HTTP library and in time by the caller.

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::proxy::{Proxy, ProxyError};

/// Most bytes of an answer's head; the least that the HTTP library can be held to.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Makes a connection to a proxy a connection to a hub.
pub(crate) async fn open(
    stream: TcpStream,
    proxy: &Proxy,
    host: &str,
    port: u16,
) -> Result<TcpStream, ProxyError> {
    let target =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let unfit = |_| ProxyError::NoProxy { reason: "the hub's address fits no request".to_owned() };
    let mut request = Request::connect(target.as_str())
        .header(HOST, target.as_str())
        .body(Empty::<Bytes>::new())
        .map_err(unfit)?;
    if let Some(authorization) = &proxy.authorization {
        request.headers_mut().insert(PROXY_AUTHORIZATION, HeaderValue::clone(authorization));
    }
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| problem(&error))?;
    let asked = async {
        let response = sender.send_request(request).await.map_err(|error| problem(&error))?;
        if let Some(error) = refusal(response.status(), proxy.authorization.is_some()) {
            return Err(error);
        }
        hyper::upgrade::on(response).await.map_err(|error| problem(&error))
    };
    // Whoever waits for the answer hears how the connection ended.
    let driven = async {
        let _ = connection.with_upgrades().await;
        std::future::pending().await
    };
    let upgraded = tokio::select! {
        answered = asked => answered?,
        never = driven => never,
    };
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().expect("it was made of such a stream");
    if !parts.read_buf.is_empty() {
        // No hub speaks before it is spoken to.
        return Err(ProxyError::NoProxy { reason: "it sends more than an answer".to_owned() });
    }
    Ok(parts.io.into_inner())
}

fn refusal(status: StatusCode, with_credentials: bool) -> Option<ProxyError> {
    let code = status.as_u16();
    match code {
        200..=299 => None,
        // 407 is what proxies answer; tinyproxy answers wrong credentials with 401.
        401 | 407 if with_credentials => Some(ProxyError::CredentialsRefused),
        401 | 407 => Some(ProxyError::CredentialsWanted),
        403 | 405 => Some(ProxyError::Forbidden { status: code }),
        408 | 429 | 500.. => Some(ProxyError::NoWayOn { status: code }),
        _ => Some(ProxyError::NoProxy { reason: format!("it answers {code}") }),
    }
}

fn problem(error: &hyper::Error) -> ProxyError {
    if error.is_parse() || error.is_parse_too_large() {
        ProxyError::NoProxy { reason: error.to_string() }
    } else {
        ProxyError::Broken
    }
}

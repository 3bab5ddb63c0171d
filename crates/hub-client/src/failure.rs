//! From what the HTTP library says to a [`ClientError`] with a URL.

use std::io;
use std::time::Duration;

use hyper_util::client::legacy;

use crate::connect::ConnectError;
use crate::error::{ClientError, WaitingFor};

/// Sorts what failed before there was a response.
pub(crate) fn failure(
    url: String,
    doing: &'static str,
    connect_timeout: Duration,
    error: &legacy::Error,
) -> ClientError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref::<ConnectError>() {
            Some(ConnectError::Network(source)) => {
                return ClientError::Unreachable { url, doing, source: copy(source) };
            }
            Some(ConnectError::Tls(source)) => {
                // A connection that is cut off within the handshake is a broken network.
                let source = copy(source);
                let is_about_tls =
                    matches!(source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::Other);
                return if is_about_tls {
                    ClientError::Tls { url, doing, source }
                } else {
                    ClientError::Unreachable { url, doing, source }
                };
            }
            Some(ConnectError::WrongFingerprint(wrong)) => {
                let (expected, got) = (wrong.expected, wrong.got);
                return ClientError::WrongFingerprint { url, doing, expected, got };
            }
            Some(ConnectError::Proxy { proxy, source }) => {
                let (proxy, source) = (proxy.clone(), source.clone());
                return ClientError::Proxy { url, doing, proxy, source };
            }
            Some(ConnectError::TimedOut) => {
                let (waiting_for, after) = (WaitingFor::Connection, connect_timeout);
                return ClientError::TimedOut { url, doing, waiting_for, after };
            }
            None => cause = error.source(),
        }
    }
    broken(url, doing, error)
}

/// Sorts what the HTTP library says after a connection was there.
pub(crate) fn broken(
    url: String,
    doing: &'static str,
    error: &(dyn std::error::Error + 'static),
) -> ClientError {
    let mut cause = Some(error);
    let mut last = error;
    while let Some(error) = cause {
        if let Some(source) = error.downcast_ref::<io::Error>() {
            return ClientError::Interrupted { url, doing, source: copy(source) };
        }
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && (error.is_parse() || error.is_parse_too_large())
        {
            return ClientError::Protocol { url, doing, reason: error.to_string() };
        }
        last = error;
        cause = error.source();
    }
    let source = io::Error::new(io::ErrorKind::UnexpectedEof, last.to_string());
    ClientError::Interrupted { url, doing, source }
}

fn copy(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

//! Why a request to a hub failed.

use std::fmt;
use std::io;
use std::time::Duration;

use content::ChunkId;
use hub_api::{Hex, ProblemCode};

use crate::proxy::ProxyError;

/// What a client was waiting for when its patience ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitingFor {
    /// A connection, TLS included.
    Connection,
    /// The head of the response, with nothing more being sent.
    ResponseHead,
    /// More of the response's body.
    Body,
}

impl fmt::Display for WaitingFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "a connection",
            Self::ResponseHead => "an answer",
            Self::Body => "more of the answer",
        })
    }
}

/// Why a request to a hub failed. Every variant names the URL and what was being done there.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address of the hub cannot be used. Correct it.
    #[error("{url:?} is not the address of a hub: {reason}")]
    Url {
        /// The text.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No connection came about. The hub is down or unreachable; try again later.
    #[error("cannot {doing}: {url} is unreachable")]
    Unreachable {
        /// What was asked.
        url: String,
        /// What for.
        doing: &'static str,
        /// What the network said.
        #[source]
        source: io::Error,
    },
    /// A proxy is on the way and no tunnel through it came about. Nothing reached the hub; what to
    /// do is with the [`ProxyError`].
    #[error("cannot {doing}: no way to {url} through the proxy {proxy}")]
    Proxy {
        /// What was asked.
        url: String,
        /// What for.
        doing: &'static str,
        /// Host and port of the proxy.
        proxy: String,
        /// What happened there.
        #[source]
        source: ProxyError,
    },
    /// The other side speaks no TLS that we understand, or does not hold the certificate's key.
    /// Something else answers at this address.
    #[error("cannot {doing}: no TLS session with {url}")]
    Tls {
        /// What was asked.
        url: String,
        /// What for.
        doing: &'static str,
        /// What TLS said.
        #[source]
        source: io::Error,
    },
    /// The certificate is not the pinned one. Either the hub has a new one, which its operator
    /// can confirm, or somebody is in between. Nothing was sent.
    #[error(
        "cannot {doing}: {url} shows a certificate with fingerprint {got}, expected {expected}"
    )]
    WrongFingerprint {
        /// What was asked.
        url: String,
        /// What for.
        doing: &'static str,
        /// The pinned fingerprint.
        expected: Hex<32>,
        /// The fingerprint of what was shown.
        got: Hex<32>,
    },
    /// The connection broke before the answer was complete. What came before it counts; ask for
    /// the rest.
    #[error("cannot {doing}: the connection to {url} broke")]
    Interrupted {
        /// What was asked.
        url: String,
        /// What for.
        doing: &'static str,
        /// How it broke.
        #[source]
        source: io::Error,
    },
    /// Nothing came for too long. Try again later, or elsewhere.
    #[error("cannot {doing}: {url} did not send {waiting_for} for {} s", after.as_secs())]
    TimedOut {
        /// What was asked.
        url: String,
        /// What for.
        doing: &'static str,
        /// What did not come.
        waiting_for: WaitingFor,
        /// How long was waited.
        after: Duration,
    },
    /// The hub refused. The code says why and what to do, see [`ProblemCode`].
    #[error("cannot {doing}: {url} answers {status} {code}: {detail}")]
    Problem {
        /// What was asked.
        url: String,
        /// What for.
        doing: &'static str,
        /// The hub's reason; [`ProblemCode::Unknown`] when something else than a hub answered.
        code: ProblemCode,
        /// The HTTP status.
        status: u16,
        /// The hub's words, at most 500 characters, none of them a control character.
        detail: String,
        /// With [`ProblemCode::ChunksMissing`]: which.
        missing: Vec<ChunkId>,
    },
    /// The answer is not what this route answers: too large, malformed, a redirect, other
    /// chunks than asked for. No hub of this version is there, or it lies.
    #[error("cannot {doing}: {url} sends no valid answer: {reason}")]
    Protocol {
        /// What was asked.
        url: String,
        /// What for.
        doing: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Whoever wanted the frames went away. Nothing to do.
    #[error("cannot {doing}: nobody takes what {url} sends")]
    Abandoned {
        /// What was asked.
        url: String,
        /// What for.
        doing: &'static str,
    },
}

impl ClientError {
    /// Whether the same request may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Interrupted { .. } | Self::TimedOut { .. } => true,
            Self::Proxy { source, .. } => source.is_retryable(),
            // What stands between us and the hub answers 502 and 504.
            Self::Problem { code: ProblemCode::Unknown, status, .. } => {
                matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
            }
            Self::Problem { code, .. } => code.is_retryable(),
            Self::Url { .. }
            | Self::Tls { .. }
            | Self::WrongFingerprint { .. }
            | Self::Protocol { .. }
            | Self::Abandoned { .. } => false,
        }
    }

    /// Whether the hub has no such thing, or none for this caller.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(ProblemCode::NotFound)
    }

    /// Whether the hub answered as it does somebody who has no part in what was asked for.
    #[must_use]
    pub fn is_of_no_member(&self) -> bool {
        let no_member = [ProblemCode::NotFound, ProblemCode::NotRegistered, ProblemCode::Forbidden];
        self.code().is_some_and(|code| no_member.contains(&code))
    }

    /// The hub's reason when it refused.
    #[must_use]
    pub fn code(&self) -> Option<ProblemCode> {
        if let Self::Problem { code, .. } = self { Some(*code) } else { None }
    }
}

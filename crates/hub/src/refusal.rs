//! Errors as HTTP: the only place that knows which error is which problem document, and the
//! place where the hub's own failures are logged, once.

use crate::files::unix_now;
use axum::extract::rejection::QueryRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use content::DecodeError;
use documents::{AcceptError, DocumentError, TokenError};
use hub_api::{Hex, MEDIA_PROBLEM, Problem, ProblemCode};
use hub_db::{DbError, PublishError, RegisterError, RenewError};
use store::StoreError;

use crate::browse::BrowseError;

/// When to come again where all places are taken: what holds one is over in seconds, mostly.
pub(crate) const RETRY_AFTER_S: u32 = 5;

/// A request that is not fulfilled, and what the client is told.
#[derive(Debug)]
pub(crate) struct Refusal {
    problem: Box<Problem>,
    retry_after_s: Option<u32>,
    close: bool,
    maybe_done: bool,
}

impl Refusal {
    pub(crate) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self::of(Problem::new(code, detail))
    }

    fn of(problem: Problem) -> Self {
        let problem = Box::new(problem);
        Self { problem, retry_after_s: None, close: false, maybe_done: false }
    }

    /// No such thing, or not for this caller: the same words for both.
    pub(crate) fn not_found() -> Self {
        Self::new(ProblemCode::NotFound, "")
    }

    /// What the client is told.
    pub(crate) fn problem(&self) -> &Problem {
        &self.problem
    }

    /// To be tried again after so many seconds.
    pub(crate) fn after(self, seconds: u64) -> Self {
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX).max(1);
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// Seconds after which to come again, when the client is told to.
    pub(crate) fn retry_after_s(&self) -> Option<u32> {
        self.retry_after_s
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(ProblemCode::MalformedRequest, detail)
    }

    /// All places are taken: come again soon.
    pub(crate) fn busy(what: &str) -> Self {
        let refusal = Self::new(ProblemCode::Unavailable, what);
        Self { retry_after_s: Some(RETRY_AFTER_S), ..refusal }
    }

    /// The caller has taken all that one caller may have: come again soon.
    pub(crate) fn too_many(what: &str) -> Self {
        let refusal = Self::new(ProblemCode::TooManyRequests, what);
        Self { retry_after_s: Some(RETRY_AFTER_S), ..refusal }
    }

    pub(crate) fn stopping() -> Self {
        Self::new(ProblemCode::Unavailable, "the hub is stopping")
    }

    /// Whether the hub failed, rather than refused: what was asked for may or may not be done.
    /// Whatever was refused for lack of space was not.
    pub(crate) fn is_failure(&self) -> bool {
        self.problem.status >= 500 && self.problem.code != ProblemCode::StorageFull
    }

    /// It came so late that what was asked for may be done all the same.
    pub(crate) fn maybe_done(self) -> Self {
        Self { maybe_done: true, ..self }
    }

    /// Whether what was asked for may be done all the same.
    pub(crate) fn is_maybe_done(&self) -> bool {
        self.maybe_done
    }

    /// The body was not read to its end, so the connection cannot be used again.
    pub(crate) fn closing(self) -> Self {
        Self { close: true, ..self }
    }

    pub(crate) fn missing(ids: Vec<Hex<32>>) -> Self {
        Self::of(Problem::chunks_missing(ids))
    }

    /// A failure of the hub: logged with its causes, told without them.
    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %Chain(error), "a request failed");
        Self::new(ProblemCode::Internal, "")
    }
}

/// An error and its causes on one line.
pub(crate) struct Chain<'a>(pub(crate) &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status)
            .expect("the table of codes holds valid statuses");
        let body = serde_json::to_vec(&self.problem).expect("a problem is plain data");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_PROBLEM));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl From<DbError> for Refusal {
    fn from(error: DbError) -> Self {
        match &error {
            DbError::Unavailable(_) => {
                tracing::warn!(error = %Chain(&error), "a request failed");
                Self::busy("the database cannot be reached")
            }
            DbError::Full(_) => {
                tracing::warn!(error = %Chain(&error), "a request failed");
                Self::new(ProblemCode::StorageFull, "")
            }
            DbError::Failed(_) | DbError::Newer { .. } | DbError::Damaged(_) | DbError::Copy(_) => {
                Self::internal(&error)
            }
        }
    }
}

impl From<getrandom::Error> for Refusal {
    fn from(error: getrandom::Error) -> Self {
        Self::internal(&error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Full { .. } => {
                tracing::warn!(error = %Chain(&error), "an upload was refused");
                Self::new(ProblemCode::StorageFull, "")
            }
            StoreError::WrongBytes { .. } => Self::new(ProblemCode::WrongBytes, error.to_string()),
            StoreError::BadFrame(_) => {
                Self::new(ProblemCode::MalformedFrames, Chain(&error).to_string())
            }
            StoreError::Locked { .. }
            | StoreError::Poisoned { .. }
            | StoreError::Damaged { .. }
            | StoreError::ClosureMissing { .. }
            | StoreError::ClosureMalformed { .. }
            | StoreError::Io { .. }
            | StoreError::Index(_)
            | StoreError::Roots(_)
            | StoreError::Injected => Self::internal(&error),
        }
    }
}

impl From<BrowseError> for Refusal {
    fn from(error: BrowseError) -> Self {
        match error {
            BrowseError::Sealed => Self::new(ProblemCode::SealedRelease, ""),
            // The same words for what is not here and what is not for this caller.
            BrowseError::NoPath | BrowseError::Absent(_) => Self::not_found(),
            BrowseError::Kind { .. } => Self::new(ProblemCode::NotFound, error.to_string()),
            BrowseError::TooLarge(_) | BrowseError::Contradiction(_) => {
                Self::new(ProblemCode::TreeRefused, error.to_string())
            }
            BrowseError::Malformed(error) => Self::new(ProblemCode::TreeRefused, error.to_string()),
            BrowseError::Revoked => Self::new(ProblemCode::NotRegistered, ""),
            BrowseError::Store(error) => error.into(),
            BrowseError::Db(error) => error.into(),
        }
    }
}

impl From<RegisterError> for Refusal {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Db(error) => error.into(),
            RegisterError::Crowded { until } => {
                Self::too_many(&error.to_string()).after(until.saturating_sub(unix_now()))
            }
            RegisterError::Unknown
            | RegisterError::Expired
            | RegisterError::UsedUp
            | RegisterError::Revoked => {
                Self::new(ProblemCode::InvitationRefused, error.to_string())
            }
        }
    }
}

impl From<PublishError> for Refusal {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Db(error) => error.into(),
            PublishError::NoName => Self::not_found(),
            PublishError::NotNext { .. } | PublishError::WrongPrevious => {
                Self::new(ProblemCode::ReleaseConflict, error.to_string())
            }
        }
    }
}

impl From<RenewError> for Refusal {
    fn from(error: RenewError) -> Self {
        match error {
            RenewError::Db(error) => error.into(),
            RenewError::NotLatest => Self::new(ProblemCode::ReleaseConflict, error.to_string()),
        }
    }
}

impl From<AcceptError> for Refusal {
    fn from(error: AcceptError) -> Self {
        Self::new(ProblemCode::DocumentRefused, Chain(&error).to_string())
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        Self::new(ProblemCode::DocumentRefused, error.to_string())
    }
}

/// A proof of a key does not hold.
impl From<DocumentError> for Refusal {
    fn from(error: DocumentError) -> Self {
        Self::new(ProblemCode::ProofRefused, error.to_string())
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        Self::new(ProblemCode::SessionExpired, error.to_string())
    }
}

impl From<QueryRejection> for Refusal {
    fn from(error: QueryRejection) -> Self {
        Self::malformed(error.body_text())
    }
}

//! RFC 9457 problem documents and the table of their codes.

use serde::{Deserialize, Serialize};

use crate::text::Hex;

macro_rules! problem_codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:literal, $title:literal;)*) => {
        /// What went wrong, for programs. Codes are stable; titles are for people and may change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemCode {
            $($(#[$doc])* $variant,)*
        }

        impl ProblemCode {
            /// Every code, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as it stands in documents and URLs.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The HTTP status it goes with.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// A short summary for people, the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// The code with this text; [`ProblemCode::Unknown`] for a text of a later version.
            #[must_use]
            pub fn from_text(text: &str) -> Self {
                match text { $($code => Self::$variant,)* _ => Self::Unknown }
            }
        }
    };
}

problem_codes! {
    /// The request is not what the route takes: body, query or path. Fix the client.
    MalformedRequest = "malformed-request", 400, "The request is malformed";
    /// The uploaded stream of frames is damaged or was cut short. Send it again.
    MalformedFrames = "malformed-frames", 400, "The stream of frames is malformed";
    /// The route needs a session and none was sent. Open one.
    SessionRequired = "session-required", 401, "A session is required";
    /// The token is expired, forged or of another hub. Open a new session and repeat.
    SessionExpired = "session-expired", 401, "The session is not valid any more";
    /// The challenge was answered wrongly, too late or twice. Ask for a new challenge.
    ProofRefused = "proof-refused", 401, "The proof of the key is not valid";
    /// The key is not registered here. Register with an invitation.
    NotRegistered = "not-registered", 403, "The key is not registered with this hub";
    /// The invitation is unknown, used, expired or withdrawn. Ask for a new one.
    InvitationRefused = "invitation-refused", 403, "The invitation is not valid";
    /// Handle and password do not fit together, or were tried too often from there. Try again, later if
    /// the answer says so.
    LoginRefused = "login-refused", 403, "The login is refused";
    /// The calling key is no device of a person. Register a handle, or log in.
    PersonRequired = "person-required", 403, "Only people may do this";
    /// The recipient does not let the caller in. Ask them for it, by another way.
    RecipientRefuses = "recipient-refuses", 403, "The recipient does not take it";
    /// The hub has no lockers, or keeps no delivery so large or so long in one. Send it while the recipient is
    /// there, or ask the hub's operator.
    LockerRefused = "locker-refused", 403, "The hub does not keep it";
    /// Without an account no more may be sent from this network now. Register with an invitation, send less, or wait
    /// until the next day.
    GuestRefused = "guest-refused", 403, "More than may be sent without an account";
    /// The caller may see this but not change it. Ask its owner.
    Forbidden = "forbidden", 403, "Not allowed";
    /// No such thing, or not for this caller: the hub does not say which.
    NotFound = "not-found", 404, "Not found";
    /// The path exists with other methods. Fix the client.
    MethodNotAllowed = "method-not-allowed", 405, "The method is not allowed here";
    /// The request did not arrive in time. Send it again.
    RequestTimeout = "request-timeout", 408, "The request took too long";
    /// The name cannot be used by this publisher, and no more is told: it may be private. Choose
    /// another, or ask for a grant.
    NameTaken = "name-taken", 409, "The name is not available";
    /// The release does not follow the newest one: another was published in between, or this
    /// one already. Read the head and decide again.
    ReleaseConflict = "release-conflict", 409, "The release does not follow the newest one";
    /// There is a newer list of the publishers of the name. Read it and decide again.
    DelegationConflict = "delegation-conflict", 409, "There is a newer list of publishers";
    /// There is a newer charter or roster of the community. Read them and decide again.
    RosterConflict = "roster-conflict", 409, "There is a newer roster";
    /// Somebody is called that, or was. Choose another handle.
    HandleTaken = "handle-taken", 409, "The handle is not available";
    /// There is a newer list of devices, or a newer address book. Read it and decide again.
    PersonConflict = "person-conflict", 409, "There is a newer version";
    /// The delivery was announced by another account, or with other values. Choose another id.
    DeliveryConflict = "delivery-conflict", 409, "The delivery was announced otherwise";
    /// The number of the code is another sender's, or somebody has claimed the ticket with it already. As
    /// the sender choose another number; as the recipient ask the sender for a new code.
    CodeTaken = "code-taken", 409, "The code is taken";
    /// The hub lacks chunks of the release, or the caller may not use them; `missing` names the
    /// first of them. Upload them and repeat.
    ChunksMissing = "chunks-missing", 409, "Chunks of the release are missing";
    /// The release is sealed, so the hub cannot read in it. Fetch its chunks and open them with
    /// its capability.
    SealedRelease = "sealed-release", 409, "The release is sealed";
    /// A request with the same idempotency key is being worked on. Wait and repeat it.
    IdempotencyRunning = "idempotency-running", 409, "The same request is being worked on";
    /// The body is larger than the route takes. Send less at once.
    BodyTooLarge = "body-too-large", 413, "The body is too large";
    /// The body has another media type than the route takes. Fix the client.
    UnsupportedMediaType = "unsupported-media-type", 415, "The media type is not supported";
    /// The range lies outside the chunk. Ask for another.
    RangeNotSatisfiable = "range-not-satisfiable", 416, "The range is outside the chunk";
    /// A signed document is not valid: signature, context, name, expiry or encoding. Sign anew.
    DocumentRefused = "document-refused", 422, "The signed document is not valid";
    /// The tree of the release is malformed, or too large to be read at the hub. Fetch it instead.
    TreeRefused = "tree-refused", 422, "The tree cannot be read at the hub";
    /// The idempotency key was used for another request. Choose another key.
    IdempotencyMismatch = "idempotency-mismatch", 422, "The idempotency key was used otherwise";
    /// An uploaded chunk does not have the id it was sent under. Read it again.
    WrongBytes = "wrong-bytes", 422, "A chunk does not have its id";
    /// The program is older than any that the hub answers; its words say which one that is, and where to get a
    /// newer one. Update the client.
    ClientTooOld = "client-too-old", 426, "The client is too old";
    /// This caller has as many transfers at once as one caller may have. Let some of them end, or wait
    /// as long as `Retry-After` says.
    TooManyRequests = "too-many-requests", 429, "Too many requests";
    /// The head of the request is too large. Fix the client, or a proxy in between.
    HeadersTooLarge = "headers-too-large", 431, "The header fields are too large";
    /// The hub failed; its log says how. Try again later.
    Internal = "internal", 500, "The hub failed";
    /// The hub is starting, stopping or overloaded. Try again soon.
    Unavailable = "unavailable", 503, "The hub is not available";
    /// The hub's quota or disk is full. Its operator must make room.
    StorageFull = "storage-full", 507, "The hub has no room left";
    /// Not a code of this version, or no problem document at all: what a client reads, never
    /// what a hub sends. Go by the status.
    Unknown = "unknown", 500, "Unknown problem";
}

impl ProblemCode {
    /// Whether the same request may succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::MalformedFrames
                | Self::RequestTimeout
                | Self::IdempotencyRunning
                | Self::TooManyRequests
                | Self::Internal
                | Self::Unavailable
        )
    }
}

impl std::fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ProblemCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ProblemCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_text(&String::deserialize(deserializer)?))
    }
}

/// A problem document. Its media type is [`MEDIA_PROBLEM`](crate::MEDIA_PROBLEM).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// `/errors/` and the code, relative to the hub: the page that explains the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// Summary of the code.
    pub title: String,
    /// The HTTP status, again.
    pub status: u16,
    /// What happened this time, for people; no secrets.
    #[serde(default)]
    pub detail: String,
    /// The code.
    pub code: ProblemCode,
    /// With [`ProblemCode::ChunksMissing`]: ids of missing chunks, at most
    /// [`MISSING_IDS_MAX`](crate::limits::MISSING_IDS_MAX).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Hex<32>>,
}

impl Problem {
    /// A problem of this kind; `detail` says what happened this time.
    #[must_use]
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("/errors/{code}"),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            code,
            missing: Vec::new(),
        }
    }

    /// A release names chunks that are not there; of a longer list the first
    /// [`MISSING_IDS_MAX`](crate::limits::MISSING_IDS_MAX) are kept.
    #[must_use]
    pub fn chunks_missing(mut missing: Vec<Hex<32>>) -> Self {
        let detail = format!("missing chunks: {}", missing.len());
        missing.truncate(crate::limits::MISSING_IDS_MAX);
        Self { missing, ..Self::new(ProblemCode::ChunksMissing, detail) }
    }
}

#[cfg(feature = "openapi")]
mod schemas {
    use utoipa::openapi::schema::{ObjectBuilder, Type};
    use utoipa::openapi::{RefOr, Schema};
    use utoipa::{PartialSchema, ToSchema};

    use super::ProblemCode;

    impl PartialSchema for ProblemCode {
        fn schema() -> RefOr<Schema> {
            let codes = Self::ALL.iter().map(|code| code.as_str());
            let text = ObjectBuilder::new().schema_type(Type::String);
            text.description(Some(
                "What went wrong, for programs: one section each in docs/errors.md.",
            ))
            .enum_values(Some(codes))
            .build()
            .into()
        }
    }

    impl ToSchema for ProblemCode {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_kebab_case_and_read_back() {
        let mut seen = std::collections::HashSet::new();
        for code in ProblemCode::ALL {
            assert!(seen.insert(code.as_str()), "{code} twice");
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
            assert!((400..600).contains(&code.status()), "{code}");
            assert_eq!(ProblemCode::from_text(code.as_str()), *code);
        }
        assert_eq!(ProblemCode::from_text("of-the-future"), ProblemCode::Unknown);
    }

    #[test]
    fn a_problem_looks_as_documented() {
        let problem = Problem::chunks_missing(vec![Hex([0xab; 32])]);
        let json = serde_json::to_value(&problem).expect("json");
        let expected = serde_json::json!({
            "type": "/errors/chunks-missing",
            "title": "Chunks of the release are missing",
            "status": 409,
            "detail": "missing chunks: 1",
            "code": "chunks-missing",
            "missing": ["ab".repeat(32)],
        });
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_value::<Problem>(json).expect("json"), problem);
    }

    #[test]
    fn a_full_list_of_missing_ids_fits_a_response() {
        let problem = Problem::chunks_missing(vec![Hex([0xff; 32]); 100_000]);
        assert_eq!(problem.missing.len(), crate::limits::MISSING_IDS_MAX);
        let bytes = serde_json::to_vec(&problem).expect("json").len();
        assert!(bytes <= crate::limits::RESPONSE_BYTES_MAX, "{bytes}");
    }
}

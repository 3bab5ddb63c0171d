//! The table of operations: one row for every method of every route.

use serde_json::{Map, Value, json};

use super::{Content, Place, idempotency_key};
use crate::{ProblemCode, routes};

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// `GET`; `HEAD` answers the same without a body.
    Get,
    /// `PUT`.
    Put,
    /// `POST`.
    Post,
    /// `DELETE`.
    Delete,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Get, Self::Put, Self::Post, Self::Delete];

    /// The method as OpenAPI writes it, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Post => "post",
            Self::Delete => "delete",
        }
    }
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// Anybody; a token is not looked at.
    Anybody,
    /// Anybody, with or without session or machine token: what they see depends on it.
    Visitor,
    /// A publisher's session, or a machine token with the scope `publish`.
    Publisher,
    /// A session of an account.
    Account,
    /// A session of an administrator.
    Administrator,
}

/// A parameter of an operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    pub(crate) is_required: bool,
    pub(crate) description: &'static str,
    schema: fn() -> Value,
}

impl Parameter {
    pub(crate) fn schema(&self) -> Value {
        (self.schema)()
    }
}

/// One method of one route.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// The method.
    pub method: Method,
    /// The template, as the router has it.
    pub path: &'static str,
    /// A name for generated clients.
    pub id: &'static str,
    /// What it does, in a line.
    pub(crate) summary: &'static str,
    /// What else there is to know; may be empty.
    pub(crate) note: &'static str,
    pub(crate) who: Who,
    pub(crate) request: Content,
    /// Statuses other than problems.
    pub(crate) answers: &'static [(u16, Content, &'static str)],
    query: &'static [Parameter],
    /// Problems beside those that its parameters, caller and body imply.
    problems: &'static [ProblemCode],
    pub(crate) is_conditional: bool,
    is_idempotent_by_key: bool,
}

const fn get(path: &'static str, id: &'static str, summary: &'static str, who: Who) -> Operation {
    Operation {
        method: Method::Get,
        path,
        id,
        summary,
        note: "",
        who,
        request: Content::Empty,
        answers: &[],
        query: &[],
        problems: &[],
        is_conditional: false,
        is_idempotent_by_key: false,
    }
}

const fn put(path: &'static str, id: &'static str, summary: &'static str, who: Who) -> Operation {
    Operation { method: Method::Put, ..get(path, id, summary, who) }
}

const fn post(path: &'static str, id: &'static str, summary: &'static str, who: Who) -> Operation {
    Operation { method: Method::Post, ..get(path, id, summary, who) }
}

const fn delete(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    who: Who,
) -> Operation {
    let answers = &[(204, Content::Empty, "It is gone.")];
    Operation { method: Method::Delete, answers, ..get(path, id, summary, who) }
}

const fn query(name: &'static str, description: &'static str, schema: fn() -> Value) -> Parameter {
    Parameter { name, place: Place::Query, is_required: false, description, schema }
}

fn unsigned() -> Value {
    json!({ "type": "integer", "format": "int64", "minimum": 0 })
}

fn limit() -> Value {
    json!({ "type": "integer", "format": "int32", "minimum": 1 })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn reading() -> Value {
    json!({ "type": "string", "enum": ["reading"] })
}

fn uuid() -> Value {
    json!({ "type": "string", "format": "uuid" })
}

fn hex16() -> Value {
    json!({ "type": "string", "pattern": "^[0-9a-fA-F]{32}$" })
}

fn hex32() -> Value {
    json!({ "$ref": "#/components/schemas/Hex32" })
}

const AFTER: &str = "The `next` of the page before; without it the first page.";
const LIMIT: Parameter =
    query("limit", "Most rows on the page; larger than the hub's limit means that.", limit);
const AFTER_NUMBER: &[Parameter] = &[query("after", AFTER, unsigned), LIMIT];
const AFTER_TEXT: &[Parameter] = &[query("after", AFTER, text), LIMIT];
const AFTER_KEY: &[Parameter] = &[query("after", AFTER, hex32), LIMIT];
const BEFORE: &[Parameter] = &[query("before", AFTER, unsigned), LIMIT];
const CHANGED_SINCE: &[Parameter] = &[
    query("since", "Number of the earlier release; without it the one before.", unsigned),
    query("after", AFTER, unsigned),
    LIMIT,
];
const RECEIPTS_AFTER: &[Parameter] = &[
    query("after", AFTER, unsigned),
    LIMIT,
    query("signed", "Whether the signed receipts come with the list, where they are short.", flag),
];
const READINESS: &[Parameter] =
    &[query("for", "`reading` asks for what readers need alone.", reading)];
const EVENTS_OF: &[Parameter] = &[
    Parameter {
        name: "name",
        place: Place::Query,
        is_required: true,
        description: "The name, as `team/tools`.",
        schema: text,
    },
    Parameter {
        name: "Last-Event-ID",
        place: Place::Header,
        is_required: false,
        description: "Begins behind this event; without it with the next release.",
        schema: unsigned,
    },
];

const AFTER_CHARTER: &[Parameter] = &[query(
    "after",
    "Number of the last charter that is known; without it from the first.",
    unsigned,
)];
const KNOWN_CHARTER: &[Parameter] = &[query(
    "charter",
    "Number of the last charter that is known; without it the answer has those from the first.",
    unsigned,
)];
const WAIT: &[Parameter] = &[query(
    "wait",
    "Seconds to wait, at most 25, while there is nothing to do for the machine.",
    unsigned,
)];

const TOKEN_HEADER: &str = "Consign-Delivery-Token";
const DELIVERY_CHANGE: &[Parameter] = &[
    query(
        "after",
        "Waits, at most 20 s, for a change with a greater number; without it the answer is at once.",
        unsigned,
    ),
    AS_RECIPIENT,
];
const AS_RECIPIENT: Parameter = Parameter {
    name: TOKEN_HEADER,
    place: Place::Header,
    is_required: false,
    description: "The recipient's token; without it the caller's session is the sender's.",
    schema: hex32,
};
const TOKEN_OF_RECIPIENT: Parameter = Parameter {
    name: TOKEN_HEADER,
    place: Place::Header,
    is_required: true,
    description: "The recipient's token.",
    schema: hex32,
};
const SEGMENTS_FROM: &[Parameter] =
    &[query("from", "The first segment wanted; without it 0.", unsigned), TOKEN_OF_RECIPIENT];

use ProblemCode as P;

const TREE_PROBLEMS: &[ProblemCode] = &[P::SealedRelease, P::TreeRefused, P::TooManyRequests];
const DONE: &[(u16, Content, &str)] = &[(204, Content::Empty, "It is done.")];

/// All operations, by path.
#[must_use]
pub fn operations() -> &'static [Operation] {
    OPERATIONS
}

static OPERATIONS: &[Operation] = &[
    Operation {
        answers: &[(200, Content::Text, "It is alive.")],
        ..get(routes::HEALTH, "health", "Whether the hub is alive", Who::Anybody)
    },
    Operation {
        query: READINESS,
        answers: &[
            (200, Content::AnyJson, "Everything asked for works."),
            (503, Content::AnyJson, "Something does not; the body says what."),
        ],
        ..get(routes::READY, "ready", "Whether the hub can do its work", Who::Anybody)
    },
    Operation {
        answers: &[(200, Content::Text, "What the code means and what to do.")],
        problems: &[P::NotFound],
        ..get(routes::ERROR, "explainError", "What a problem code means", Who::Anybody)
    },
    Operation {
        answers: &[(200, Content::AnyJson, "This document.")],
        is_conditional: true,
        ..get(routes::OPENAPI, "openapi", "This document", Who::Anybody)
    },
    Operation {
        answers: &[(200, Content::Json("HubInfo"), "Version, key and limits.")],
        ..get(routes::HUB, "hub", "What the hub says of itself", Who::Anybody)
    },
    Operation {
        request: Content::Json("RegistrationRequest"),
        answers: &[(200, Content::Json("RegistrationResponse"), "The key is registered.")],
        problems: &[P::ProofRefused, P::InvitationRefused],
        note: "Repeating it with the same key costs no second use of the invitation.",
        ..post(routes::REGISTRATIONS, "register", "Registers a key by an invitation", Who::Anybody)
    },
    Operation {
        request: Content::Json("ChallengeRequest"),
        answers: &[(200, Content::Json("ChallengeResponse"), "Something to sign.")],
        ..post(routes::SESSION_CHALLENGE, "challenge", "Asks for something to sign", Who::Anybody)
    },
    Operation {
        request: Content::Json("SessionRequest"),
        answers: &[(200, Content::Json("SessionResponse"), "A token bound to the key.")],
        problems: &[P::ProofRefused, P::NotRegistered],
        ..post(routes::SESSIONS, "openSession", "Opens a session", Who::Anybody)
    },
    Operation {
        request: Content::Bytes,
        answers: &[(200, Content::Bytes, "A bitmap in the order of the ids, lowest bit first.")],
        note: "The body is a list of ids of 32 bytes each. What the caller may not read is not \
               there.",
        ..post(routes::CHUNKS_HAVE, "haveChunks", "Which chunks are here", Who::Visitor)
    },
    Operation {
        request: Content::Bytes,
        answers: &[(200, Content::Bytes, "Frames, then what is missing.")],
        note: "The body is a list of ids of 32 bytes each. What the caller may not read is listed \
               as missing.",
        problems: &[P::TooManyRequests],
        ..post(routes::CHUNKS_FETCH, "fetchChunks", "Many chunks in one answer", Who::Visitor)
    },
    Operation {
        request: Content::Bytes,
        answers: &[(200, Content::Json("UploadResponse"), "Everything sent is durable.")],
        problems: &[P::MalformedFrames, P::WrongBytes, P::StorageFull],
        note: "Sending the same chunks again does no harm, so there is no idempotency key.",
        ..post(routes::CHUNKS, "uploadChunks", "Takes a publisher's chunks", Who::Publisher)
    },
    Operation {
        answers: &[
            (200, Content::Bytes, "The bytes."),
            (206, Content::Bytes, "The range asked for."),
        ],
        problems: &[P::RangeNotSatisfiable, P::TooManyRequests],
        is_conditional: true,
        ..get(routes::CHUNK, "readChunk", "The bytes of one chunk, immutable", Who::Visitor)
    },
    Operation {
        query: AFTER_TEXT,
        answers: &[(200, Content::Json("NamesPage"), "A page, by the bytes of the names.")],
        is_conditional: true,
        ..get(routes::NAMES, "listNames", "The names the caller may read", Who::Visitor)
    },
    Operation {
        answers: &[(200, Content::Json("NameInfo"), "The name.")],
        is_conditional: true,
        ..get(routes::NAME, "readName", "A name and its newest release", Who::Visitor)
    },
    Operation {
        request: Content::Json("NameSettings"),
        answers: &[
            (200, Content::Json("NameInfo"), "It existed and is as asked."),
            (201, Content::Json("NameInfo"), "It is new and the caller's."),
        ],
        problems: &[P::NameTaken],
        ..put(routes::NAME, "putName", "Creates a name or changes it", Who::Account)
    },
    Operation {
        note: "With all its releases and grants. Its owner or an administrator may.",
        ..delete(routes::NAME, "deleteName", "Deletes a name", Who::Account)
    },
    Operation {
        request: Content::Json("OwnerSettings"),
        answers: DONE,
        note: "Readers pin the key that signs: they must be told of the new one, and accept it.",
        ..put(routes::OWNER, "transferName", "Gives a name to another account", Who::Account)
    },
    Operation {
        query: AFTER_KEY,
        answers: &[(200, Content::Json("GrantsPage"), "A page.")],
        is_conditional: true,
        ..get(routes::GRANTS, "listGrants", "Who may do what with a name", Who::Account)
    },
    Operation {
        request: Content::Json("GrantSettings"),
        answers: DONE,
        ..put(routes::GRANT, "putGrant", "Grants a key something", Who::Account)
    },
    delete(routes::GRANT, "deleteGrant", "Takes a grant back, at once", Who::Account),
    Operation {
        answers: &[(200, Content::Json("DelegationDocument"), "The list, signed by the owner.")],
        is_conditional: true,
        ..get(routes::DELEGATION, "readDelegation", "Who may publish", Who::Visitor)
    },
    Operation {
        request: Content::Json("DelegationDocument"),
        answers: DONE,
        problems: &[P::DocumentRefused, P::DelegationConflict],
        note: "Replaces the list as a whole: who is not on it publishes no more, at once.",
        ..put(routes::DELEGATION, "putDelegation", "Says who may publish", Who::Account)
    },
    Operation {
        answers: &[(200, Content::Json("Retention"), "The rules.")],
        is_conditional: true,
        ..get(routes::RETENTION, "readRetention", "Which releases are kept", Who::Account)
    },
    Operation {
        request: Content::Json("Retention"),
        answers: DONE,
        ..put(routes::RETENTION, "putRetention", "Says which releases are kept", Who::Account)
    },
    Operation {
        answers: &[(200, Content::Json("NewestRelease"), "The newest release.")],
        is_conditional: true,
        ..get(
            routes::HEAD,
            "readHead",
            "The newest release and the statement that it is",
            Who::Visitor,
        )
    },
    Operation {
        query: BEFORE,
        answers: &[(200, Content::Json("ReleasesPage"), "A page, newest first.")],
        problems: &[P::TooManyRequests],
        is_conditional: true,
        ..get(routes::RELEASES, "listReleases", "The releases of a name", Who::Visitor)
    },
    Operation {
        request: Content::Json("HeadDocuments"),
        answers: &[
            (200, Content::Json("ReleaseAccepted"), "It was there; its head is renewed."),
            (201, Content::Json("ReleaseAccepted"), "It is the newest now."),
        ],
        problems: &[P::DocumentRefused, P::ReleaseConflict, P::ChunksMissing, P::StorageFull],
        is_idempotent_by_key: true,
        note: "The manifest is signed by the owner of the name or by somebody whom the owner's \
               delegation covers.",
        ..post(routes::RELEASES, "publish", "The next release, or a newer head", Who::Publisher)
    },
    Operation {
        answers: &[(200, Content::Json("ReleaseInfo"), "The release.")],
        is_conditional: true,
        ..get(routes::RELEASE, "readRelease", "One release", Who::Visitor)
    },
    Operation {
        answers: DONE,
        ..put(routes::PIN, "pinRelease", "Keeps a release whatever retention says", Who::Account)
    },
    delete(routes::PIN, "unpinRelease", "Lets retention decide again", Who::Account),
    Operation {
        query: AFTER_NUMBER,
        answers: &[(200, Content::Json("EntriesPage"), "A page, by the bytes of the names.")],
        problems: TREE_PROBLEMS,
        is_conditional: true,
        ..get(
            routes::ROOT_ENTRIES,
            "listRoot",
            "The root directory of a plain release",
            Who::Visitor,
        )
    },
    Operation {
        query: AFTER_NUMBER,
        answers: &[(200, Content::Json("EntriesPage"), "A page, by the bytes of the names.")],
        problems: TREE_PROBLEMS,
        is_conditional: true,
        ..get(routes::ENTRIES, "listDirectory", "A directory of a plain release", Who::Visitor)
    },
    Operation {
        answers: &[
            (200, Content::Bytes, "The bytes."),
            (206, Content::Bytes, "The range asked for."),
        ],
        problems: &[P::SealedRelease, P::TreeRefused, P::RangeNotSatisfiable, P::TooManyRequests],
        is_conditional: true,
        ..get(routes::FILE, "readFile", "One file of a plain release", Who::Visitor)
    },
    Operation {
        query: CHANGED_SINCE,
        answers: &[(200, Content::Json("ChangesPage"), "A page, by path.")],
        problems: TREE_PROBLEMS,
        is_conditional: true,
        ..get(
            routes::CHANGES,
            "listChanges",
            "What changed between two plain releases",
            Who::Visitor,
        )
    },
    Operation {
        query: EVENTS_OF,
        answers: &[(200, Content::Events, "Events `release`, their data a `ReleaseEvent`.")],
        ..get(routes::EVENTS, "events", "Releases of a name, as they come", Who::Visitor)
    },
    Operation {
        query: AFTER_NUMBER,
        answers: &[(200, Content::Json("TokensPage"), "A page, by number.")],
        ..get(routes::TOKENS, "listTokens", "The caller's machine tokens", Who::Account)
    },
    Operation {
        request: Content::Json("TokenRequest"),
        answers: &[(201, Content::Json("TokenCreated"), "The token, told this once.")],
        is_idempotent_by_key: true,
        ..post(routes::TOKENS, "createToken", "Makes a machine token", Who::Account)
    },
    delete(routes::TOKEN, "deleteToken", "Ends a machine token, at once", Who::Account),
    Operation {
        query: AFTER_NUMBER,
        answers: &[(200, Content::Json("AccountsPage"), "A page, by number.")],
        ..get(routes::ACCOUNTS, "listAccounts", "All accounts", Who::Administrator)
    },
    delete(routes::ACCOUNT, "revokeAccount", "Revokes an account, at once", Who::Administrator),
    Operation {
        query: AFTER_NUMBER,
        answers: &[(200, Content::Json("InvitationsPage"), "A page, by number.")],
        ..get(
            routes::INVITATIONS,
            "listInvitations",
            "Invitations that can be used",
            Who::Administrator,
        )
    },
    Operation {
        request: Content::Json("InvitationRequest"),
        answers: &[(201, Content::Json("InvitationCreated"), "The invitation, told this once.")],
        is_idempotent_by_key: true,
        ..post(routes::INVITATIONS, "invite", "Makes an invitation", Who::Administrator)
    },
    delete(routes::INVITATION, "revokeInvitation", "Takes an invitation back", Who::Administrator),
    Operation {
        query: BEFORE,
        answers: &[(200, Content::Json("AuditPage"), "A page, newest first.")],
        ..get(routes::AUDIT, "audit", "Who changed what", Who::Administrator)
    },
    Operation {
        request: Content::Json("CharterDocument"),
        answers: DONE,
        problems: &[P::DocumentRefused, P::RosterConflict],
        note: "By one of its managers, who may publish at this hub.",
        ..post(routes::COMMUNITIES, "createCommunity", "Begins a community", Who::Account)
    },
    Operation {
        request: Content::Json("CharterDocument"),
        answers: DONE,
        problems: &[P::DocumentRefused, P::RosterConflict],
        note: "By an account that may publish at this hub; it then hands in charters, rosters and \
               releases as their signers made them.",
        ..post(routes::MIRRORS, "mirrorCommunity", "Passes a community on to here", Who::Account)
    },
    Operation {
        query: AFTER_CHARTER,
        answers: &[(200, Content::Json("ChartersPage"), "Some of them, by number.")],
        is_conditional: true,
        ..get(routes::CHARTERS, "listCharters", "Who manages a community, and did", Who::Anybody)
    },
    Operation {
        request: Content::Json("CharterDocument"),
        answers: DONE,
        problems: &[P::DocumentRefused, P::RosterConflict],
        ..post(routes::CHARTERS, "addCharter", "Changes who manages a community", Who::Account)
    },
    Operation {
        query: KNOWN_CHARTER,
        answers: &[(200, Content::Json("Standing"), "How it stands for the caller.")],
        note: "For managers and peers. Nothing is found before the first roster.",
        is_conditional: true,
        ..get(routes::STANDING, "readStanding", "How a community stands", Who::Account)
    },
    Operation {
        request: Content::Json("RosterChange"),
        answers: DONE,
        problems: &[P::DocumentRefused, P::RosterConflict],
        note: "By managers. It gives the members accounts and lets them read the feeds of the \
               publishers; who is removed loses both, at once.",
        ..put(routes::ROSTER, "putRoster", "Changes who belongs to a community", Who::Account)
    },
    Operation {
        request: Content::Json("RenewalDocument"),
        answers: DONE,
        problems: &[P::DocumentRefused, P::RosterConflict],
        note: "By managers, and by those whom the roster names for it.",
        ..put(routes::RENEWAL, "putRenewal", "Says that the roster is the newest", Who::Account)
    },
    Operation {
        query: AFTER_TEXT,
        answers: &[(200, Content::Json("MembersPage"), "A page, by the bytes of the names.")],
        note: "For managers, publishers and relays.",
        is_conditional: true,
        ..get(routes::MEMBERS, "listMembers", "Who belongs to a community", Who::Account)
    },
    Operation {
        request: Content::Json("AdmissionSettings"),
        answers: DONE,
        note: "By managers.",
        ..put(routes::ADMISSION, "putAdmission", "Keeps a place for a peer", Who::Account)
    },
    delete(routes::ADMISSION, "deleteAdmission", "Gives a peer's place up", Who::Account),
    Operation {
        answers: &[(200, Content::Json("JoiningsPage"), "Those that are not over.")],
        problems: &[P::TooManyRequests],
        note: "For managers.",
        is_conditional: true,
        ..get(routes::JOINS, "listJoins", "Who asks to join", Who::Account)
    },
    Operation {
        request: Content::Json("JoinKnock"),
        answers: &[(200, Content::Json("JoinAccepted"), "A manager will see it.")],
        problems: &[P::DocumentRefused, P::TooManyRequests],
        note: "Nothing is found, either, when the request names an admission that is not there any \
               more.",
        ..post(routes::JOINS, "knock", "A machine asks to join", Who::Anybody)
    },
    Operation {
        query: WAIT,
        answers: &[(200, Content::Json("Joining"), "How far it is.")],
        ..get(routes::JOIN, "readJoin", "How far a joining is", Who::Anybody)
    },
    Operation {
        request: Content::Json("JoinDocument"),
        answers: DONE,
        problems: &[P::DocumentRefused, P::RosterConflict],
        note: "By managers. The first challenge stands.",
        ..put(routes::JOIN_CHALLENGE, "challengeJoin", "Challenges a machine", Who::Account)
    },
    Operation {
        request: Content::Json("JoinDocument"),
        answers: DONE,
        problems: &[P::DocumentRefused, P::RosterConflict],
        ..put(routes::JOIN_ANSWER, "answerJoin", "Answers a challenge", Who::Anybody)
    },
    Operation {
        request: Content::Json("JoinEnd"),
        answers: DONE,
        problems: &[P::SessionRequired, P::Forbidden, P::RosterConflict],
        note: "Whoever knows the id may break off; the rest is for managers.",
        ..put(routes::JOIN_END, "endJoin", "Ends a joining", Who::Visitor)
    },
    Operation {
        query: AFTER_NUMBER,
        answers: &[(200, Content::Json("QueuePage"), "A page, in the order of queueing.")],
        problems: &[P::TooManyRequests],
        is_conditional: true,
        ..get(routes::QUEUE, "readQueue", "What waits for the calling target", Who::Account)
    },
    Operation {
        query: AFTER_NUMBER,
        answers: &[(200, Content::Json("WaitingPage"), "A page, in the order of queueing.")],
        problems: &[P::TooManyRequests],
        note: "For relays, and for whoever mirrors the community.",
        is_conditional: true,
        ..get(routes::WAITING, "listWaiting", "What waits for all targets", Who::Account)
    },
    Operation {
        answers: &[(
            200,
            Content::Events,
            "Events `community`, their data a `CommunityEvent`; a comment first.",
        )],
        ..get(routes::COMMUNITY_EVENTS, "communityEvents", "News of a community", Who::Account)
    },
    Operation {
        request: Content::Json("Envelopes"),
        answers: &[(200, Content::Json("Queued"), "They wait.")],
        note: "By the publisher. Repeating it changes nothing.",
        ..post(routes::ENVELOPES, "enqueue", "Addresses a release to targets", Who::Account)
    },
    Operation {
        query: AFTER_KEY,
        answers: &[(200, Content::Json("QueuedTargetsPage"), "A page, by key.")],
        note: "For the publisher.",
        is_conditional: true,
        ..get(routes::TARGETS, "listTargets", "How a release stands with targets", Who::Account)
    },
    Operation {
        answers: DONE,
        note: "By whoever mirrors the community: it was answered elsewhere, or taken back.",
        ..delete(routes::TARGET, "withdrawEntry", "A release waits no longer", Who::Account)
    },
    Operation {
        request: Content::Json("ManifestDocument"),
        answers: DONE,
        problems: &[P::DocumentRefused, P::ChunksMissing],
        note: "By whoever mirrors the community, in any order. Repeating it changes nothing.",
        ..put(routes::MIRRORED, "mirrorRelease", "Takes a release over", Who::Account)
    },
    Operation {
        answers: &[(200, Content::Bytes, "The signed receipt.")],
        problems: &[P::TooManyRequests],
        note: "For the publisher, until it is taken.",
        ..get(routes::RECEIPT, "readReceipt", "A target's receipt", Who::Account)
    },
    Operation {
        request: Content::Bytes,
        answers: DONE,
        problems: &[P::DocumentRefused],
        note: "By the target, or by a relay. Nothing is found when the release does not wait for \
               it.",
        ..put(routes::RECEIPT, "putReceipt", "A target is done with a release", Who::Account)
    },
    Operation {
        query: RECEIPTS_AFTER,
        answers: &[(200, Content::Json("ReceiptsPage"), "A page, in the order of queueing.")],
        problems: &[P::TooManyRequests],
        note: "For the publisher. With the receipts themselves a page ends where they would be too \
               many bytes, and long ones are left to be read one by one.",
        is_conditional: true,
        ..get(routes::RECEIPTS, "listReceipts", "Receipts that were not taken yet", Who::Account)
    },
    Operation {
        request: Content::Json("TakenReceipts"),
        answers: DONE,
        note: "By the publisher. The hub drops their bytes.",
        ..post(routes::RECEIPTS_TAKEN, "takeReceipts", "The publisher keeps receipts", Who::Account)
    },
    Operation {
        query: DELIVERY_CHANGE,
        answers: &[(200, Content::Json("DeliveryStatus"), "How it stands.")],
        problems: &[P::SessionRequired, P::Forbidden],
        note: "For the account that announced it, and for whoever has the recipient's token.",
        ..get(routes::DELIVERY, "readDelivery", "How a delivery stands", Who::Visitor)
    },
    Operation {
        request: Content::Json("DeliveryAnnouncement"),
        answers: &[
            (200, Content::Json("DeliveryStatus"), "It was announced with these values."),
            (201, Content::Json("DeliveryStatus"), "It is new."),
        ],
        problems: &[P::DeliveryConflict, P::TooManyRequests],
        note: "It lives in the hub's memory alone: after a restart it is announced again.",
        ..put(routes::DELIVERY, "announceDelivery", "Begins a delivery", Who::Account)
    },
    Operation {
        query: &[AS_RECIPIENT],
        request: Content::Json("DeliveryEnding"),
        answers: &[(204, Content::Empty, "It is over.")],
        problems: &[P::SessionRequired, P::Forbidden],
        note: "By either side. Segments that the hub held are gone; the other side's status says \
               who ended it, and why.",
        ..delete(routes::DELIVERY, "endDelivery", "Ends a delivery", Who::Visitor)
    },
    Operation {
        request: Content::Bytes,
        answers: &[(200, Content::Json("SegmentTaken"), "Whether it is in the hub's memory.")],
        note: "By the sender. The hub reads the body when it has room for it, for which it waits at \
               most 20 s; it never writes a segment anywhere but to the recipient.",
        ..put(routes::DELIVERY_SEGMENT, "putSegment", "Hands a segment over", Who::Account)
    },
    Operation {
        query: SEGMENTS_FROM,
        answers: &[(200, Content::Bytes, "Records, each a segment or a heart-beat.")],
        note: "The newest of several streams has the segments; the others end.",
        ..get(routes::DELIVERY_SEGMENTS, "readSegments", "The segments of a delivery", Who::Anybody)
    },
    Operation {
        query: &[TOKEN_OF_RECIPIENT],
        request: Content::Json("DeliveryVerified"),
        answers: &[(200, Content::Json("DeliveryStatus"), "How it stands.")],
        ..post(routes::DELIVERY_VERIFIED, "verifiedSegments", "Says what was kept", Who::Anybody)
    },
];

impl Operation {
    /// Those of its path, its query and its headers.
    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        let in_path = self.path.split('/').filter(|segment| segment.starts_with('{'));
        let mut all: Vec<Parameter> = in_path.map(path_parameter).collect();
        all.extend(self.query);
        if self.is_conditional {
            all.push(Parameter {
                name: "If-None-Match",
                place: Place::Header,
                is_required: false,
                description: "Tags the caller has; when the answer has one of them, it is 304.",
                schema: text,
            });
        }
        if self.answers.iter().any(|(status, ..)| *status == 206) {
            all.push(Parameter {
                name: "Range",
                place: Place::Header,
                is_required: false,
                description: "One range of bytes, as `bytes=0-99`.",
                schema: text,
            });
        }
        if self.is_idempotent_by_key {
            all.push(Parameter {
                name: "Idempotency-Key",
                place: Place::Header,
                is_required: false,
                description: "The same request under the same key is done once in 24 hours; \
                              its answer is repeated. A random text of at least 16 characters.",
                schema: idempotency_key,
            });
        }
        all
    }

    /// Fields of the head of its answers.
    pub(crate) fn headers(&self) -> Map<String, Value> {
        let mut headers = Map::new();
        if self.is_conditional {
            headers.insert("ETag".to_owned(), json!({ "schema": { "type": "string" } }));
        }
        headers
    }

    /// Every problem it may answer.
    pub(crate) fn problems(&self) -> Vec<ProblemCode> {
        let mut all = vec![P::HeadersTooLarge, P::RequestTimeout, P::Internal, P::Unavailable];
        if !self.query.is_empty() || self.request != Content::Empty || self.is_idempotent_by_key {
            all.push(P::MalformedRequest);
        }
        if self.path.contains('{') || self.path == routes::EVENTS {
            all.push(P::NotFound);
        }
        match self.request {
            Content::Empty => {}
            Content::Json(_) | Content::AnyJson => {
                all.extend([P::BodyTooLarge, P::UnsupportedMediaType]);
            }
            Content::Bytes | Content::Events | Content::Text => all.push(P::BodyTooLarge),
        }
        match self.who {
            Who::Anybody => {}
            Who::Visitor => all.extend([P::SessionExpired, P::NotRegistered]),
            Who::Publisher | Who::Account | Who::Administrator => {
                all.extend([P::SessionRequired, P::SessionExpired, P::NotRegistered, P::Forbidden]);
            }
        }
        if self.is_idempotent_by_key {
            all.extend([P::IdempotencyRunning, P::IdempotencyMismatch]);
        }
        all.extend(self.problems);
        all.sort_by_key(|code| ProblemCode::ALL.iter().position(|other| other == code));
        all.dedup();
        all
    }

    /// What may stand in `Authorization`; an empty one means that nothing may.
    pub(crate) fn schemes(&self) -> Vec<Value> {
        match self.who {
            Who::Anybody => Vec::new(),
            Who::Visitor => {
                vec![json!({}), json!({ "session": [] }), json!({ "machineToken": [] })]
            }
            Who::Publisher => vec![json!({ "session": [] }), json!({ "machineToken": [] })],
            Who::Account | Who::Administrator => vec![json!({ "session": [] })],
        }
    }
}

fn path_parameter(segment: &str) -> Parameter {
    let (name, description, schema): (_, _, fn() -> Value) = match segment {
        "{team}" => ("team", "The first part of the name.", name_part),
        "{name}" => ("name", "The second part of the name.", name_part),
        "{key}" => ("key", "A public key.", hex32),
        "{sequence}" => ("sequence", "Number of the release.", unsigned),
        "{community}" => ("community", "The id of the community.", uuid),
        "{admission}" => ("admission", "What the join secret's holder names.", hex16),
        "{delivery}" => ("delivery", "The id of the delivery.", hex16),
        "{number}" => ("number", "Number of the segment, from 0.", unsigned),
        "{code}" => ("code", "A problem code.", text),
        "{*path}" => ("path", "Path in the tree, percent-encoded; slashes as they are.", text),
        "{id}" => ("id", "The id or number.", text),
        other => unreachable!("{other} is described nowhere; a test reads all operations"),
    };
    Parameter { name, place: Place::Path, is_required: true, description, schema }
}

fn name_part() -> Value {
    json!({ "type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$" })
}

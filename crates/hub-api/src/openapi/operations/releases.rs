//! Releases, what is in them, and news of them.

use super::{
    AFTER, AFTER_NUMBER, BEFORE, DONE, LIMIT, Operation, Parameter, Who, delete, get, post, put,
    query, text, unsigned,
};
use crate::openapi::{Content, Place};
use crate::{ProblemCode, ProblemCode as P, routes};

const CHANGED_SINCE: &[Parameter] = &[
    query("since", "Number of the earlier release; without it the one before.", unsigned),
    query("after", AFTER, unsigned),
    LIMIT,
];

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

const TREE_PROBLEMS: &[ProblemCode] = &[P::SealedRelease, P::TreeRefused, P::TooManyRequests];

pub(super) static OPERATIONS: &[Operation] = &[
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
];

//! What waits for targets, and their receipts.

use super::{
    AFTER, AFTER_KEY, AFTER_NUMBER, DONE, LIMIT, Operation, Parameter, Who, delete, flag, get,
    post, put, query, unsigned,
};
use crate::openapi::Content;
use crate::{ProblemCode as P, routes};

const RECEIPTS_AFTER: &[Parameter] = &[
    query("after", AFTER, unsigned),
    LIMIT,
    query("signed", "Whether the signed receipts come with the list, where they are short.", flag),
];

pub(super) static OPERATIONS: &[Operation] = &[
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
        answers: &[(200, Content::Json("RelayStates"), "What waits, and the newest reports.")],
        problems: &[P::TooManyRequests],
        note: "For managers and publishers, and for whoever mirrors the community.",
        is_conditional: true,
        ..get(routes::RELAYS, "readRelays", "How the relays of a community are", Who::Account)
    },
    Operation {
        request: Content::Json("RelayReports"),
        answers: &[(200, Content::Json("RelayReportsTaken"), "They are told to who asks.")],
        problems: &[P::DocumentRefused],
        note: "By relays: of themselves, and of those under them, as these signed it.",
        ..put(routes::RELAYS, "tellRelays", "Tells how relays are", Who::Account)
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
        request: Content::Json("BeginningDocument"),
        answers: DONE,
        problems: &[P::DocumentRefused],
        note: "By the target, or by a relay. The first one stands; nothing changes where nothing waits.",
        ..put(routes::TARGET, "beginRelease", "A target begins with a release", Who::Account)
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
        query: AFTER_NUMBER,
        answers: &[(200, Content::Json("BeginningsPage"), "A page, in the order of queueing.")],
        problems: &[P::TooManyRequests],
        note: "For the publisher, and for whoever mirrors the community.",
        is_conditional: true,
        ..get(routes::BEGINNINGS, "listBeginnings", "What targets work on", Who::Account)
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
];

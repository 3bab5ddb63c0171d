//! Deliveries from person to person.

use serde_json::{Value, json};

use super::{
    Operation, Parameter, Place, Who, delete, flag, get, hex16, hex32, post, put, query, unsigned,
};
use crate::openapi::Content;
use crate::{ProblemCode as P, routes};

const TOKEN_HEADER: &str = "Consign-Delivery-Token";
const DELIVERY_CHANGE: &[Parameter] = &[
    query(
        "after",
        "Waits, at most 20 s, while this is the last change; without it the answer is at once.",
        unsigned,
    ),
    AS_RECIPIENT,
    DOWNLOAD,
];
const EVERYBODYS: &[Parameter] = &[
    query("before", "The `next` of the page before.", unsigned),
    query("limit", "Most entries of the page.", unsigned),
    query("over", "Those that are over, too.", flag),
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
const ALSO: Parameter = Parameter {
    name: "also",
    place: Place::Query,
    is_required: true,
    description: "The ids of the others, with commas between them; at most 31, none twice.",
    schema: ids,
};
const DOWNLOAD: Parameter = Parameter {
    name: "Consign-Delivery-Download",
    place: Place::Header,
    is_required: false,
    description: "Of a locker: which download it is, 16 random bytes that stay the same when it goes on.",
    schema: hex16,
};
const DIGEST: Parameter = Parameter {
    name: "Consign-Segment-Digest",
    place: Place::Header,
    is_required: false,
    description: "BLAKE3 of the segment; a locker takes none without it.",
    schema: hex32,
};
const SEGMENTS_FROM: &[Parameter] = &[
    query("from", "The first segment wanted; without it 0.", unsigned),
    TOKEN_OF_RECIPIENT,
    DOWNLOAD,
];

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        query: EVERYBODYS,
        answers: &[(200, Content::Json("DeliveriesPage"), "Deliveries, the newest first.")],
        note: "What is addressed to people. Who sends by a code, a ticket or a link is in memory alone, and \
               not listed. Nobody's letter is shown; `other_online` is whether the recipient is.",
        ..get(routes::DELIVERIES, "listDeliveries", "Deliveries of everybody", Who::Administrator)
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
        problems: &[P::GuestRefused, P::DeliveryConflict, P::TooManyRequests],
        note: "It lives in the hub's memory alone: after a restart it is announced again. One that is \
               addressed to a person is announced as it was addressed, once they let the sender in; when the \
               recipient has everything, the answer has the receipt. A guest's network sends so much in a day.",
        ..put(routes::DELIVERY, "announceDelivery", "Begins a delivery", Who::Sender)
    },
    Operation {
        request: Content::Json("AddressedDelivery"),
        answers: &[
            (200, Content::Json("DeliveryInfo"), "It was addressed with these values."),
            (201, Content::Json("DeliveryInfo"), "It is kept for the recipient."),
        ],
        problems: &[
            P::PersonRequired,
            P::RecipientRefuses,
            P::PersonConflict,
            P::DeliveryConflict,
            P::TooManyRequests,
        ],
        note: "By a person, before it is announced. It waits for approval when the recipient does not know \
               the sender.",
        ..put(routes::DELIVERY_ADDRESS, "addressDelivery", "Addresses a delivery", Who::Account)
    },
    Operation {
        query: &[AS_RECIPIENT],
        request: Content::Json("DeliveryEnding"),
        answers: &[(204, Content::Empty, "It is over.")],
        problems: &[P::SessionRequired, P::Forbidden],
        note: "By either side, and one that is addressed by any listed device of both people, and by administrators. Segments that the hub held are gone; the other side's status says \
               who ended it, and why.",
        ..delete(routes::DELIVERY, "endDelivery", "Ends a delivery", Who::Visitor)
    },
    Operation {
        request: Content::Json("LockerRequest"),
        answers: &[
            (200, Content::Json("DeliveryStatus"), "It has a locker with these values."),
            (201, Content::Json("DeliveryStatus"), "The locker is new."),
        ],
        problems: &[P::LockerRefused, P::DeliveryConflict, P::TooManyRequests, P::StorageFull],
        note: "By the sender, instead of announcing the delivery; only where the hub's operator allows it. The \
               hub keeps the sealed segments on its disk until the receipt, an end by either side, or its time. \
               One that is addressed to a person gets a locker once they let the sender in.",
        ..put(routes::DELIVERY_LOCKER, "openLocker", "Opens a locker", Who::Account)
    },
    Operation {
        query: &[DIGEST],
        request: Content::Bytes,
        answers: &[(
            200,
            Content::Json("SegmentTaken"),
            "Whether it is in the hub's memory, or its locker.",
        )],
        problems: &[P::WrongBytes, P::StorageFull],
        note: "By the sender. The hub reads the body when it has room for it, for which it waits at \
               most 20 s; without a locker it never writes a segment anywhere but to the recipient.",
        ..put(routes::DELIVERY_SEGMENT, "putSegment", "Hands a segment over", Who::Sender)
    },
    Operation {
        query: &[ALSO],
        request: Content::Bytes,
        answers: &[(200, Content::Json("SegmentsTaken"), "What became of it for each.")],
        note: "By the sender of all of them. The body is 64 bytes for each delivery, in the order in which they are \
               named, then what all of them have. The hub reads it when it has room for one of them; for \
               the others it waits at most 1 s more, and says for how long. Who has no room then, or is in the memory \
               of another front-end, goes without.",
        ..put(
            routes::DELIVERY_TOGETHER,
            "putTogether",
            "Hands a segment over for several",
            Who::Account,
        )
    },
    Operation {
        query: SEGMENTS_FROM,
        answers: &[(200, Content::Bytes, "Records, each a segment or a heart-beat.")],
        note: "The newest of several streams has the segments; the others end.",
        ..get(routes::DELIVERY_SEGMENTS, "readSegments", "The segments of a delivery", Who::Anybody)
    },
    Operation {
        query: &[TOKEN_OF_RECIPIENT, DOWNLOAD],
        request: Content::Json("DeliveryVerified"),
        answers: &[(200, Content::Json("DeliveryStatus"), "How it stands.")],
        ..post(routes::DELIVERY_VERIFIED, "verifiedSegments", "Says what was kept", Who::Anybody)
    },
];

fn ids() -> Value {
    json!({ "type": "string", "pattern": "^[0-9a-f]{32}(,[0-9a-f]{32}){0,30}$" })
}

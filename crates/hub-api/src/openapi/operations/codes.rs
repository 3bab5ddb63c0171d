//! Codes of words, with which tickets of deliveries are handed over.

use super::{Operation, Parameter, Place, Who, get, hex32, put};
use crate::openapi::Content;
use crate::{ProblemCode as P, routes};

const AS_RECIPIENT: &[Parameter] = &[Parameter {
    name: "Consign-Code-Token",
    place: Place::Header,
    is_required: false,
    description: "32 random bytes by which the hub knows the recipient from message 0 on; without it the \
                  caller's session is the sender's.",
    schema: hex32,
}];

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        answers: &[
            (200, Content::Empty, "It was known, and nobody has claimed the ticket."),
            (201, Content::Empty, "It is new."),
        ],
        problems: &[P::CodeTaken, P::TooManyRequests],
        note: "It lives in the hub's memory alone, and for a minute without a question of its sender. The hub \
               never learns the words.",
        ..put(routes::CODE, "announceCode", "Makes the number of a code known", Who::Sender)
    },
    Operation {
        query: AS_RECIPIENT,
        answers: &[
            (200, Content::Bytes, "The message."),
            (204, Content::Empty, "It did not come within 20 s; ask again."),
        ],
        problems: &[P::SessionRequired, P::Forbidden],
        note: "Messages 0 and 2 for the sender, 1 and 3 for the recipient.",
        ..get(routes::CODE_MESSAGE, "readCodeMessage", "A message of a handover", Who::Visitor)
    },
    Operation {
        query: AS_RECIPIENT,
        request: Content::Bytes,
        answers: &[(204, Content::Empty, "The other side gets it.")],
        problems: &[P::SessionRequired, P::Forbidden, P::CodeTaken, P::TooManyRequests],
        note: "Messages 1 and 3 by the sender, 0 and 2 by the recipient. Message 0 claims the ticket, which \
               one recipient can do once. The same message again changes nothing.",
        ..put(routes::CODE_MESSAGE, "putCodeMessage", "Passes a message on", Who::Visitor)
    },
];

//! Machines that join a community.

use super::{DONE, Operation, Parameter, Who, get, post, put, query, unsigned};
use crate::openapi::Content;
use crate::{ProblemCode as P, routes};

const WAIT: &[Parameter] = &[query(
    "wait",
    "Seconds to wait, at most 25, while there is nothing to do for the machine.",
    unsigned,
)];

pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        answers: &[(
            200,
            Content::Json("JoiningsPage"),
            "Those that are not over, and behind them those that were aborted in the last 24 hours.",
        )],
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
];

//! The hub itself.

use super::{Operation, Parameter, Who, get, query, reading};
use crate::openapi::Content;
use crate::{ProblemCode as P, routes};

const READINESS: &[Parameter] =
    &[query("for", "`reading` asks for what readers need alone.", reading)];

pub(super) static OPERATIONS: &[Operation] = &[
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
        answers: &[(200, Content::Json("HubStatus"), "Its front-ends, and what to look at.")],
        ..get(routes::STATUS, "status", "How the hub's front-ends are", Who::Administrator)
    },
];

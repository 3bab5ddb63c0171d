//! Registration and sessions.

use super::{Operation, Who, post};
use crate::openapi::Content;
use crate::{ProblemCode as P, routes};

pub(super) static OPERATIONS: &[Operation] = &[
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
        problems: &[P::ProofRefused, P::NotRegistered, P::TooManyRequests],
        note: "For a key that is registered. Where the hub has guests, who send without an account, for any key; \
               so many in a minute from one network.",
        ..post(routes::SESSIONS, "openSession", "Opens a session", Who::Anybody)
    },
];

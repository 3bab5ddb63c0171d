//! Communities and who belongs to them.

use super::{AFTER_TEXT, DONE, Operation, Parameter, Who, delete, get, post, put, query, unsigned};
use crate::openapi::Content;
use crate::{ProblemCode as P, routes};

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

pub(super) static OPERATIONS: &[Operation] = &[
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
];

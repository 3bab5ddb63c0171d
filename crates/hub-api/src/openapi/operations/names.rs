//! Names, who may do what with them, and what is kept of them.

use super::{AFTER_KEY, AFTER_TEXT, DONE, Operation, Who, delete, get, put};
use crate::openapi::Content;
use crate::{ProblemCode as P, routes};

pub(super) static OPERATIONS: &[Operation] = &[
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
];

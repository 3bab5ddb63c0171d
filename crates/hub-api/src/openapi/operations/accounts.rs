//! Accounts, their tokens, invitations, and what is on record.

use super::{AFTER_NUMBER, BEFORE, Operation, Who, delete, get, post};
use crate::openapi::Content;
use crate::routes;

pub(super) static OPERATIONS: &[Operation] = &[
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
        query: AFTER_NUMBER,
        answers: &[(200, Content::Json("AuditChainPage"), "A page, oldest first.")],
        ..get(
            routes::AUDIT_CHAIN,
            "auditChain",
            "The audit log with its links and what the hub signed of it",
            Who::Administrator,
        )
    },
];

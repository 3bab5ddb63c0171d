//! Numbers, hashes and codes as rows hold them, the same in both databases.

mod cluster;
mod communities;
mod people;

use content::ChunkId;

use crate::{
    Account, AccountId, AccountKey, Actor, Answerable, AuditEntry, Backlog, BeginningRecord,
    Caller, ChainedEntry, Claim, DbError, EventId, Grant, InvitationRecord, NETWORK_WINDOW, NameId,
    NameRecord, NameUsage, QueueEntry, QueuedTarget, ReceiptRecord, RegisterError, Release, Role,
    TokenId, TokenRecord, TokenScope, WaitingEntry,
};

pub(crate) use cluster::*;
pub(crate) use communities::*;
pub(crate) use people::*;

/// An unsigned number as a database has it; what is beyond its range is as good as endless.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn unsigned(number: i64) -> Result<u64, DbError> {
    u64::try_from(number).map_err(|_| DbError::Damaged("a negative number"))
}

fn small(number: i64) -> Result<u32, DbError> {
    u32::try_from(number).map_err(|_| DbError::Damaged("a number out of range"))
}

pub(crate) fn hash(bytes: Vec<u8>) -> Result<[u8; 32], DbError> {
    bytes.try_into().map_err(|_| DbError::Damaged("a hash or key that is not 32 bytes"))
}

pub(crate) fn chunk_id(bytes: Vec<u8>) -> Result<ChunkId, DbError> {
    hash(bytes).map(ChunkId::from_bytes)
}

/// In order of their ids neighbours fall onto the same page of the table, and two writers never
/// wait for each other crosswise.
pub(crate) fn in_order(chunks: &[ChunkId]) -> Vec<ChunkId> {
    let mut sorted = chunks.to_vec();
    sorted.sort_unstable_by_key(|chunk| *chunk.as_bytes());
    sorted.dedup();
    sorted
}

/// Account, key and token to bind; `NULL` equals nothing, so an anonymous caller matches no
/// owner, no grant and no holder.
pub(crate) type Binds = (Option<i64>, Option<Vec<u8>>, Option<i64>);

impl Caller {
    pub(crate) fn binds(&self) -> Binds {
        match self {
            Self::Anonymous => (None, None, None),
            Self::Account { id, key } => (Some(id.0), Some(key.0.to_vec()), None),
            Self::Token { id, account, key } => (Some(account.0), Some(key.0.to_vec()), Some(id.0)),
        }
    }
}

/// A role as `role` and `admin`.
pub(crate) fn role_codes(role: Role) -> (i64, bool) {
    match role {
        Role::Reader => (0, false),
        Role::Publisher => (1, false),
        Role::Administrator => (1, true),
    }
}

fn role(role: i64, admin: bool) -> Result<Role, DbError> {
    match (role, admin) {
        (0, false) => Ok(Role::Reader),
        (1, false) => Ok(Role::Publisher),
        (1, true) => Ok(Role::Administrator),
        (_, _) => Err(DbError::Damaged("an unknown role")),
    }
}

/// id, key, role, admin, created, revoked, of_community
pub(crate) type AccountRow = (i64, Vec<u8>, i64, bool, i64, Option<i64>, bool);

pub(crate) fn account(
    (id, key, code, admin, created, revoked, of_community): AccountRow,
) -> Result<Account, DbError> {
    Ok(Account {
        id: AccountId(id),
        key: AccountKey(hash(key)?),
        role: role(code, admin)?,
        created: unsigned(created)?,
        revoked: revoked.map(unsigned).transpose()?,
        of_community,
    })
}

/// id, role, admin, uses_left, each_network, created, expires, and one of its names; a row for each name, in
/// order of ids.
pub(crate) type InvitationRow = (i64, i64, bool, i64, Option<i64>, i64, i64, Option<String>);

pub(crate) fn invitations(rows: Vec<InvitationRow>) -> Result<Vec<InvitationRecord>, DbError> {
    let mut records: Vec<InvitationRecord> = Vec::new();
    for (id, code, admin, uses_left, each_network, created, expires, name) in rows {
        if records.last().is_none_or(|last| last.id != id) {
            records.push(InvitationRecord {
                id,
                role: role(code, admin)?,
                grants: Vec::new(),
                uses_left: small(uses_left)?,
                each_network: each_network.map(small).transpose()?,
                created: unsigned(created)?,
                expires: unsigned(expires)?,
            });
        }
        records.last_mut().expect("one was just added").grants.extend(name);
    }
    Ok(records)
}

/// id, name, public, owner, owner's key, latest sequence
pub(crate) type NameRow = (i64, String, bool, i64, Vec<u8>, Option<i64>);

pub(crate) fn name((id, name, public, owner, key, latest): NameRow) -> Result<NameRecord, DbError> {
    Ok(NameRecord {
        id: NameId(id),
        name,
        public,
        owner: AccountId(owner),
        owner_key: AccountKey(hash(key)?),
        latest: latest.map(unsigned).transpose()?,
    })
}

/// Whether one more key may register from a network of which so many have, the first at `oldest`.
pub(crate) fn check_network(
    most: i64,
    count: i64,
    oldest: Option<i64>,
) -> Result<(), RegisterError> {
    if count < most {
        return Ok(());
    }
    let oldest = unsigned(oldest.unwrap_or_default())?;
    Err(RegisterError::Crowded { until: oldest + NETWORK_WINDOW.as_secs() })
}

/// name, releases, stored bytes of the latest and of all, chunks held
pub(crate) type UsageRow = (String, i64, i64, i64, i64);

pub(crate) fn usage((name, releases, latest, all, chunks): UsageRow) -> Result<NameUsage, DbError> {
    Ok(NameUsage {
        name,
        releases: unsigned(releases)?,
        stored_bytes_latest: unsigned(latest)?,
        stored_bytes: unsigned(all)?,
        chunks_held: unsigned(chunks)?,
    })
}

/// Readers are level 0, publishers 1; owners 2 where a query joins them to the grants.
pub(crate) fn grant(level: i64) -> Result<Grant, DbError> {
    match level {
        0 => Ok(Grant::Reader),
        1 => Ok(Grant::Publisher),
        2 => Ok(Grant::Owner),
        _ => Err(DbError::Damaged("an unknown grant")),
    }
}

/// What is left of a grant in the hands of a token of this scope; `None` is no token.
pub(crate) fn scoped(grant: Grant, token: Option<i64>) -> Result<Grant, DbError> {
    Ok(match token.map(scope).transpose()? {
        None => grant,
        Some(TokenScope::Read) => Grant::Reader,
        // A token never administers a name.
        Some(TokenScope::Publish) if grant == Grant::Owner => Grant::Publisher,
        Some(TokenScope::Publish) => grant,
    })
}

/// event, sequence, hash, manifest, head, tree, closure, stored bytes, issued, accepted, pinned
pub(crate) type ReleaseRow =
    (i64, i64, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, i64, i64, i64, bool);

pub(crate) fn release(row: ReleaseRow) -> Result<Release, DbError> {
    let (event, sequence, digest, manifest, head, tree, closure, bytes, issued, accepted, pinned) =
        row;
    Ok(Release {
        event: EventId(unsigned(event)?),
        sequence: unsigned(sequence)?,
        hash: hash(digest)?,
        manifest,
        head,
        tree: chunk_id(tree)?,
        closure: chunk_id(closure)?,
        stored_bytes: unsigned(bytes)?,
        issued: unsigned(issued)?,
        accepted: unsigned(accepted)?,
        pinned,
    })
}

pub(crate) fn scope_code(scope: TokenScope) -> i64 {
    match scope {
        TokenScope::Read => 0,
        TokenScope::Publish => 1,
    }
}

fn scope(code: i64) -> Result<TokenScope, DbError> {
    match code {
        0 => Ok(TokenScope::Read),
        1 => Ok(TokenScope::Publish),
        _ => Err(DbError::Damaged("an unknown scope")),
    }
}

/// id, account, label, scope, created, expires, last_used, and one of its names; a row for each
/// name, in order of ids.
pub(crate) type TokenRow = (i64, i64, String, i64, i64, i64, Option<i64>, Option<String>);

pub(crate) fn tokens(rows: Vec<TokenRow>) -> Result<Vec<TokenRecord>, DbError> {
    let mut records: Vec<TokenRecord> = Vec::new();
    for (id, account, label, code, created, expires, last_used, name) in rows {
        if records.last().is_none_or(|last| last.id != TokenId(id)) {
            records.push(TokenRecord {
                id: TokenId(id),
                account: AccountId(account),
                label,
                scope: scope(code)?,
                names: Vec::new(),
                created: unsigned(created)?,
                expires: unsigned(expires)?,
                last_used: last_used.map(unsigned).transpose()?,
            });
        }
        records.last_mut().expect("one was just added").names.extend(name);
    }
    Ok(records)
}

/// An actor as `actor`, `key` and `label`.
pub(crate) fn actor_codes(actor: &Actor) -> (i64, Option<Vec<u8>>, Option<String>) {
    match actor {
        Actor::Local => (0, None, None),
        Actor::Account(key) => (1, Some(key.0.to_vec()), None),
        Actor::Console(label) => (2, None, Some(label.clone())),
    }
}

/// id, time, actor, key, label, action, subject, detail
pub(crate) type AuditRow = (i64, i64, i64, Option<Vec<u8>>, Option<String>, String, String, String);

pub(crate) fn audit_entry(row: AuditRow) -> Result<(i64, AuditEntry), DbError> {
    let (id, time, actor, key, label, action, subject, detail) = row;
    let actor = match (actor, key, label) {
        (0, None, None) => Actor::Local,
        (1, Some(key), None) => Actor::Account(AccountKey(hash(key)?)),
        (2, None, Some(label)) => Actor::Console(label),
        (_, _, _) => return Err(DbError::Damaged("an unknown actor")),
    };
    Ok((id, AuditEntry { time: unsigned(time)?, actor, action, subject, detail }))
}

/// Number and link of the last entry of the audit log, as they begin when there is none.
pub(crate) fn last_link(row: Option<(i64, Vec<u8>)>) -> Result<(u64, [u8; 32]), DbError> {
    let Some((number, link)) = row else { return Ok((0, [0; 32])) };
    Ok((unsigned(number)?, hash(link)?))
}

/// number, link, time, actor, key, label, action, subject, detail
pub(crate) type ChainedRow =
    (i64, Vec<u8>, i64, i64, Option<Vec<u8>>, Option<String>, String, String, String);

pub(crate) fn chained_entry(row: ChainedRow) -> Result<ChainedEntry, DbError> {
    let (number, link, time, actor, key, label, action, subject, detail) = row;
    let (_, entry) = audit_entry((number, time, actor, key, label, action, subject, detail))?;
    Ok(ChainedEntry { number: unsigned(number)?, link: hash(link)?, entry })
}

/// request hash, status, body
pub(crate) type ClaimRow = (Vec<u8>, Option<i64>, Option<Vec<u8>>);

pub(crate) fn claim(
    (stored, status, body): ClaimRow,
    request_hash: &[u8; 32],
) -> Result<Claim, DbError> {
    if stored != request_hash {
        return Ok(Claim::OtherRequest);
    }
    Ok(match status {
        None => Claim::Running,
        Some(status) => Claim::Answered {
            status: u16::try_from(status).map_err(|_| DbError::Damaged("an unknown status"))?,
            body: body.unwrap_or_default(),
        },
    })
}

/// id, name, sequence, manifest, envelope, queued
pub(crate) type QueueRow = (i64, String, i64, Vec<u8>, Vec<u8>, i64);

pub(crate) fn queue_entry(
    (id, name, sequence, manifest, envelope, queued): QueueRow,
) -> Result<QueueEntry, DbError> {
    let (sequence, queued) = (unsigned(sequence)?, unsigned(queued)?);
    Ok(QueueEntry { id, name, sequence, manifest, envelope, queued })
}

/// id, name, sequence, target, envelope
pub(crate) type WaitingRow = (i64, String, i64, Vec<u8>, Vec<u8>);

pub(crate) fn waiting_entry(
    (id, name, sequence, target, envelope): WaitingRow,
) -> Result<WaitingEntry, DbError> {
    let (sequence, target) = (unsigned(sequence)?, AccountKey(hash(target)?));
    Ok(WaitingEntry { id, name, sequence, target, envelope })
}

/// How many, since when
pub(crate) type BacklogRow = (i64, Option<i64>);

pub(crate) fn backlog((entries, oldest): BacklogRow) -> Result<Backlog, DbError> {
    Ok(Backlog { entries: unsigned(entries)?, oldest: oldest.map(unsigned).transpose()? })
}

/// Whether the account is revoked, and of the release: id and owner's key of its name, hash
pub(crate) type AnswerableRow = (bool, Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>);

pub(crate) fn answerable(
    (is_revoked, name, owner, found): AnswerableRow,
) -> Result<Answerable, DbError> {
    if is_revoked {
        return Ok(Answerable::NoAccount);
    }
    let (Some(name), Some(owner), Some(found)) = (name, owner, found) else {
        return Ok(Answerable::NotFound);
    };
    let owner = AccountKey(hash(owner)?);
    Ok(Answerable::Release { name: NameId(name), owner, hash: hash(found)? })
}

/// id, sequence, target, bytes, answered
pub(crate) type ReceiptRow = (i64, i64, Vec<u8>, i64, i64);

pub(crate) fn receipt(
    (id, sequence, target, bytes, answered): ReceiptRow,
) -> Result<ReceiptRecord, DbError> {
    Ok(ReceiptRecord {
        id,
        sequence: unsigned(sequence)?,
        target: AccountKey(hash(target)?),
        bytes: unsigned(bytes)?,
        answered: unsigned(answered)?,
    })
}

/// id, sequence, target, beginning
pub(crate) type BeginningRow = (i64, i64, Vec<u8>, Vec<u8>);

pub(crate) fn beginning(
    (id, sequence, target, signed): BeginningRow,
) -> Result<BeginningRecord, DbError> {
    let (sequence, target) = (unsigned(sequence)?, AccountKey(hash(target)?));
    Ok(BeginningRecord { id, sequence, target, signed })
}

/// target, queued, begun, answered, taken
pub(crate) type QueuedTargetRow = (Vec<u8>, i64, Option<i64>, Option<i64>, Option<i64>);

pub(crate) fn queued_target(
    (target, queued, begun, answered, taken): QueuedTargetRow,
) -> Result<QueuedTarget, DbError> {
    Ok(QueuedTarget {
        target: AccountKey(hash(target)?),
        queued: unsigned(queued)?,
        begun: begun.map(unsigned).transpose()?,
        answered: answered.map(unsigned).transpose()?,
        taken: taken.map(unsigned).transpose()?,
    })
}

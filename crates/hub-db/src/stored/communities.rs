//! Rows of communities and of those who ask to join.

use super::{hash, signed, unsigned};
use crate::{
    AccountKey, CommunityKey, CommunityRecord, DbError, JoinOutcome, JoinRecord, JoinRoom,
    JoinStep, ListedCommunity, Member, NewRoster, PeerRoles, Renewal, RosterOrder,
};

pub(crate) fn order_codes(order: RosterOrder) -> (i64, i64) {
    (signed(order.charter), signed(order.number))
}

fn order((charter, number): (i64, i64)) -> Result<RosterOrder, DbError> {
    Ok(RosterOrder { charter: unsigned(charter)?, number: unsigned(number)? })
}

/// Whether a roster may take the place of the one at `previous`, with this newest charter.
pub(crate) fn follows(new: &NewRoster, previous: Option<(i64, i64)>, newest: i64) -> bool {
    let codes = order_codes(new.order);
    previous == new.previous.map(order_codes)
        && previous.is_none_or(|previous| previous < codes)
        && codes.0 == newest
}

/// Publishers that are gone with a roster, and that came.
pub(crate) struct PublisherChange {
    pub(crate) gone: Vec<AccountKey>,
    pub(crate) added: Vec<AccountKey>,
}

pub(crate) fn publishers(
    new: &NewRoster,
    before: Vec<Vec<u8>>,
) -> Result<PublisherChange, DbError> {
    let before: Vec<AccountKey> =
        before.into_iter().map(|key| hash(key).map(AccountKey)).collect::<Result<_, _>>()?;
    let is_gone = |key: &AccountKey| !new.publishers.contains(key);
    let mut added = new.publishers.clone();
    added.retain(|key| !before.contains(key));
    added.sort_unstable();
    added.dedup();
    Ok(PublisherChange { gone: before.into_iter().filter(is_gone).collect(), added })
}

/// Roles added up: publisher is 1, relay 2, target 4.
pub(crate) fn roles_code(roles: PeerRoles) -> i64 {
    i64::from(roles.publisher) | i64::from(roles.relay) << 1 | i64::from(roles.target) << 2
}

fn roles(code: i64) -> PeerRoles {
    PeerRoles { publisher: code & 1 != 0, relay: code & 2 != 0, target: code & 4 != 0 }
}

/// community, newest charter, when it began, how many peers, when it was renewed, mirror
pub(crate) type ListedRow = (Vec<u8>, Vec<u8>, i64, i64, Option<i64>, Option<Vec<u8>>);

pub(crate) fn listed_community(
    (community, signed_charter, created, members, renewed, mirror): ListedRow,
) -> Result<ListedCommunity, DbError> {
    let damaged = |_| DbError::Damaged("an id of a community that is not 16 bytes");
    Ok(ListedCommunity {
        community: CommunityKey(community.try_into().map_err(damaged)?),
        signed_charter,
        created: unsigned(created)?,
        members: unsigned(members)?,
        renewed: renewed.map(unsigned).transpose()?,
        mirror: mirror.map(hash).transpose()?.map(AccountKey),
    })
}

/// peer, key, roles, payload
pub(crate) type MemberRow = (String, Vec<u8>, i64, Vec<u8>);

pub(crate) fn member((peer, key, code, payload): MemberRow) -> Result<Member, DbError> {
    Ok(Member { peer, key: AccountKey(hash(key)?), roles: roles(code), payload })
}

/// charter and number of the roster; peer, key, roles, payload: one row without a peer when there is
/// none.
pub(crate) type AllMembersRow =
    (Option<i64>, Option<i64>, Option<String>, Option<Vec<u8>>, Option<i64>, Option<Vec<u8>>);

pub(crate) fn all_members(
    rows: Vec<AllMembersRow>,
) -> Result<(Option<RosterOrder>, Vec<Member>), DbError> {
    let place = rows.first().and_then(|row| row.0.zip(row.1)).map(order).transpose()?;
    let members = rows.into_iter().filter_map(|(_, _, peer, key, code, payload)| {
        Some(member((peer?, key?, code?, payload?)))
    });
    Ok((place, members.collect::<Result<_, _>>()?))
}

/// charter number, charter; charter and number of the roster, roster; renewal, its time; mirror
pub(crate) type CommunityRow = (
    i64,
    Vec<u8>,
    Option<i64>,
    Option<i64>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<i64>,
    Option<Vec<u8>>,
);

pub(crate) fn community(row: CommunityRow) -> Result<CommunityRecord, DbError> {
    let (charter, signed_charter, roster_charter, roster_number, roster, renewal, issued, mirror) =
        row;
    let place = roster_charter.zip(roster_number).map(order).transpose()?;
    let renewal = renewal
        .zip(issued)
        .map(|(signed, issued)| Ok::<_, DbError>(Renewal { signed, issued: unsigned(issued)? }));
    Ok(CommunityRecord {
        charter: unsigned(charter)?,
        signed_charter,
        roster: place.zip(roster),
        renewal: renewal.transpose()?,
        mirror: mirror.map(hash).transpose()?.map(AccountKey),
    })
}

pub(crate) fn outcome_codes(outcome: &JoinOutcome) -> (i64, Option<&str>) {
    match outcome {
        JoinOutcome::Admitted => (0, None),
        JoinOutcome::Refused(reason) => (1, Some(reason)),
        JoinOutcome::Aborted(reason) => (2, Some(reason)),
    }
}

/// id, request, challenge, answer, ended, reason, came, changed
pub(crate) type JoinRow =
    (Vec<u8>, Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>, Option<i64>, Option<String>, i64, i64);

pub(crate) fn join(row: JoinRow) -> Result<JoinRecord, DbError> {
    let (id, request, challenge, answer, ended, reason, came, changed) = row;
    let reason = reason.unwrap_or_default();
    let end = match ended {
        None => None,
        Some(0) => Some(JoinOutcome::Admitted),
        Some(1) => Some(JoinOutcome::Refused(reason)),
        Some(2) => Some(JoinOutcome::Aborted(reason)),
        Some(_) => return Err(DbError::Damaged("an unknown end of a joining")),
    };
    let (came, changed) = (unsigned(came)?, unsigned(changed)?);
    Ok(JoinRecord { id: hash(id)?, request, challenge, answer, end, came, changed })
}

/// Whether there is room for one more.
pub(crate) fn has_room(room: JoinRoom, announced: bool, unannounced: i64, all: i64) -> bool {
    all < i64::from(room.all) && (announced || unannounced < i64::from(room.unannounced))
}

/// What is to be done with a challenge.
pub(crate) fn challenge_step(known: Option<&JoinRecord>, challenge: &[u8]) -> JoinStep {
    known.map_or(JoinStep::NoJoining, |it| step(it, true, it.challenge.as_deref(), challenge))
}

/// What is to be done with an answer.
pub(crate) fn answer_step(known: Option<&JoinRecord>, answer: &[u8]) -> JoinStep {
    let step = |it: &JoinRecord| step(it, it.challenge.is_some(), it.answer.as_deref(), answer);
    known.map_or(JoinStep::NoJoining, step)
}

fn step(known: &JoinRecord, is_turn: bool, there: Option<&[u8]>, document: &[u8]) -> JoinStep {
    match there {
        Some(there) if there == document => JoinStep::Before,
        None if is_turn && known.end.is_none() => JoinStep::Now,
        Some(_) | None => JoinStep::OutOfTurn,
    }
}

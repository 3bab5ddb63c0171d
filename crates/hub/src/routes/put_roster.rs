//! `PUT /v1/communities/{community}/roster`: who belongs to a community from now on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use community::{Membership, Roster};
use hub_api::RosterChange;
use hub_api::limits::{MEMBERS_MAX, ROSTER_CHANGE_BYTES_MAX};
use hub_db::{AccountKey, NewRoster, RosterOrder};
use serde_json::json;

use super::put_renewal::renewal_of;
use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::body::{BoundedBody, expect_json, parse_json};
use crate::caller::{Member, Segments};
use crate::communities::{Community, conflict, refused, roles_of};
use crate::files::unix_now;
use crate::refusal::Refusal;

/// Gives and takes rights as [`hub_db::Communities`] says, at once.
pub(crate) async fn put_roster(
    State(app): State<Arc<App>>,
    account: Result<Member, Refusal>,
    segments: Segments,
    request: Request,
) -> Result<StatusCode, Refusal> {
    // A refusal before the body is read leaves a connection that cannot be used again.
    let Member(account) = account.map_err(Refusal::closing)?;
    let managed = Community::handed_in(&app, &segments, &account).await;
    let community = managed.map_err(Refusal::closing)?;
    community.must_go_on().map_err(Refusal::closing)?;
    let _turn = app.turn(&app.uploads).await.map_err(Refusal::closing)?;
    expect_json(&request)?;
    let body = BoundedBody::new(request, ROSTER_CHANGE_BYTES_MAX, app.limits.idle_time)?;
    let change: RosterChange = parse_json(&body.whole().await?)?;
    if is_in_force(&community, &change) {
        return Ok(StatusCode::NO_CONTENT);
    }
    let (previous, members) = app.db.all_members(&community.key).await?;
    let (id, key) = (community.id, community.key);
    // Tens of thousands of memberships are decoded and hashed.
    let checking = move || check(&community, change, previous, members, unix_now());
    let checked = tokio::task::spawn_blocking(checking).await;
    let new = checked.map_err(|error| Refusal::internal(&error))??;
    let act = Act::new(&app, &account, "roster", id)
        .with(json!({
            "charter": new.order.charter,
            "number": new.order.number,
            "changed": new.changed.len(),
            "removed": new.removed.len(),
            "publishers": new.publishers.len(),
        }))
        .taking_away();
    let done = async move {
        if !app.db.set_roster(&new).await? {
            return Err(conflict("another one came in between"));
        }
        app.bus.changed(key);
        Ok(Outcome::Changed(StatusCode::NO_CONTENT))
    };
    act.run(done).await
}

/// Whether the same change was done already: its answer was lost.
fn is_in_force(community: &Community, change: &RosterChange) -> bool {
    let roster = community.record.roster.as_ref().map(|(_, signed)| signed);
    let renewal = community.record.renewal.as_ref().map(|renewal| &renewal.signed);
    let offered = change.renewal.as_ref().map(|renewal| &renewal.0);
    roster == Some(&change.roster.0) && (offered.is_none() || offered == renewal)
}

/// Whether enough managers signed the roster, and whether the members it counts are those that are
/// here and the change.
fn check(
    community: &Community,
    change: RosterChange,
    previous: Option<RosterOrder>,
    members: Vec<hub_db::Member>,
    now: u64,
) -> Result<NewRoster, Refusal> {
    let signed = change.roster.0;
    let roster = Roster::open(&signed, &community.charter).map_err(refused)?;
    if roster.expires <= now || community.charter.expires <= now {
        return Err(refused("it has expired, or its charter has"));
    }
    let order = RosterOrder { charter: roster.charter.0, number: roster.number };
    if previous.is_some_and(|previous| order <= previous) {
        return Err(conflict(format!("roster {} is not newer than the one here", order.number)));
    }
    let changed: Vec<hub_db::Member> = change
        .members
        .into_iter()
        .map(|membership| member_of(community, membership.0))
        .collect::<Result<_, _>>()?;
    let mut all: BTreeMap<&str, &hub_db::Member> =
        members.iter().map(|member| (member.peer.as_str(), member)).collect();
    for peer in &change.removed {
        all.remove(peer.as_str());
    }
    let mut named = BTreeSet::new();
    for member in &changed {
        if !named.insert(&member.peer) {
            return Err(refused(format!("{} is in it twice", member.peer)));
        }
        all.insert(&member.peer, member);
    }
    if all.len() > MEMBERS_MAX {
        return Err(refused(format!("more than {MEMBERS_MAX} peers")));
    }
    roster.check_members(all.values().map(|member| &member.payload[..])).map_err(refused)?;
    let mut by_key = BTreeMap::new();
    for member in all.values() {
        if by_key.insert(member.key, member).is_some() {
            return Err(refused(format!("{} has the key of another peer", member.peer)));
        }
    }
    let publishers: Vec<_> =
        roster.publishers.keys().map(|key| AccountKey(*key.as_bytes())).collect();
    if let Some(key) =
        publishers.iter().find(|key| by_key.get(key).is_none_or(|member| !member.roles.publisher))
    {
        let key = hex::encode(key.0);
        return Err(refused(format!("the publisher {key} has no membership as a publisher")));
    }
    let renewal = change.renewal.map(|renewal| renewal_of(&roster, renewal.0, now));
    let removed = change.removed;
    let (community, renewal) = (community.key, renewal.transpose()?);
    Ok(NewRoster { community, order, previous, signed, renewal, changed, removed, publishers, now })
}

fn member_of(community: &Community, payload: Vec<u8>) -> Result<hub_db::Member, Refusal> {
    let membership = Membership::decode(&payload).map_err(refused)?;
    if membership.community != community.id {
        return Err(refused(format!("{} is of another community", membership.peer)));
    }
    Ok(hub_db::Member {
        peer: membership.peer.to_string(),
        key: AccountKey(*membership.key.as_bytes()),
        roles: roles_of(&membership),
        payload,
    })
}

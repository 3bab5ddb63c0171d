//! `PUT /v1/communities/{community}/renewal`: the roster here is still the newest.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use community::{Renewal, Roster};
use documents::jointly;
use hub_api::RenewalDocument;
use hub_db::RosterOrder;

use crate::app::App;
use crate::body::Json;
use crate::caller::{Member, Segments};
use crate::communities::{Community, conflict, public_key, refused};
use crate::files::unix_now;
use crate::refusal::Refusal;

/// How far the clock of whoever signs may be before ours. A renewal from the future would keep all
/// that come before its time from being taken.
pub(super) const CLOCK_SKEW_S: u64 = 300;

/// It gives nobody a right, and comes every few minutes: the audit log does not tell of it.
pub(crate) async fn put_renewal(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    Json(document): Json<RenewalDocument>,
) -> Result<StatusCode, Refusal> {
    let community = Community::find(&app, &segments).await?;
    let roster = community.roster()?.ok_or_else(Refusal::not_found)?;
    if !roster.renewers.contains(&public_key(&account.key)) {
        Community::handed_in(&app, &segments, &account).await?;
    }
    let renewal = renewal_of(&roster, document.renewal.0, unix_now())?;
    if community.record.renewal.as_ref() == Some(&renewal) {
        return Ok(StatusCode::NO_CONTENT);
    }
    let order = RosterOrder { charter: roster.charter.0, number: roster.number };
    if !app.db.renew_roster(&community.key, order, &renewal).await? {
        return Err(conflict("there is a newer roster, or a newer renewal of it"));
    }
    app.bus.changed(community.key);
    Ok(StatusCode::NO_CONTENT)
}

/// The renewal, if one of those whom the roster names signed it.
pub(super) fn renewal_of(
    roster: &Roster,
    signed: Vec<u8>,
    now: u64,
) -> Result<hub_db::Renewal, Refusal> {
    let renewal = Renewal::open(&signed).map_err(refused)?;
    if !roster.renewers.contains(&renewal.renewer) {
        return Err(refused(format!("{} may not renew the roster", renewal.renewer)));
    }
    if (renewal.community, renewal.roster) != (roster.community, jointly::payload_hash(roster)) {
        return Err(refused("the renewal is of another roster"));
    }
    if renewal.expires <= now || renewal.issued > now + CLOCK_SKEW_S {
        return Err(refused("the renewal has expired, or is of a time to come"));
    }
    Ok(hub_db::Renewal { signed, issued: renewal.issued })
}

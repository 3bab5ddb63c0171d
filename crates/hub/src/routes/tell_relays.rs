//! `PUT /v1/communities/{community}/relays`: a relay tells of itself, and of those under it.

use std::sync::Arc;

use axum::extract::State;
use community::RelayReport;
use hub_api::limits::RELAY_REPORTS_MAX;
use hub_api::{RelayReports, RelayReportsTaken};
use hub_db::AccountKey;

use super::put_renewal::CLOCK_SKEW_S;
use crate::app::App;
use crate::body::Json;
use crate::caller::{Member, Segments};
use crate::communities::{Community, forbidden, refused};
use crate::files::unix_now;
use crate::refusal::Refusal;
use crate::relay_reports::Told;

/// Each relay signs what is told of it, so that nobody in between makes it up. What is not kept is
/// not refused: one relay under the caller is not to silence the others.
pub(crate) async fn tell_relays(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    Json(told): Json<RelayReports>,
) -> Result<axum::Json<RelayReportsTaken>, Refusal> {
    let belonging = Community::of(&app, &segments, &account).await?;
    if !belonging.roles().relay {
        return Err(forbidden("relays of the community only"));
    }
    if told.reports.len() > RELAY_REPORTS_MAX {
        return Err(refused(format!("more than {RELAY_REPORTS_MAX} reports")));
    }
    let community = belonging.community;
    let (now, mut taken) = (unix_now(), 0);
    for signed in told.reports {
        let report = RelayReport::open(&signed.0, &community.id).map_err(refused)?;
        let relay = AccountKey(*report.relay.as_bytes());
        // One from the future would keep all that come before its time from being taken.
        if report.made > now + CLOCK_SKEW_S {
            continue;
        }
        let member = app.db.member(&community.key, &relay).await?;
        if !member.is_some_and(|member| member.roles.relay) {
            continue;
        }
        let told = Told { came: now, made: report.made, signed: signed.0 };
        taken += u64::from(app.relay_reports.keep(community.key, relay, told));
    }
    Ok(axum::Json(RelayReportsTaken { taken }))
}

//! `PUT /v1/communities/{community}/admissions/{admission}`: keeps a place for a peer.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::limits::ADMISSION_LIFETIME_MAX;
use hub_api::{AdmissionSettings, Hex};
use serde_json::json;

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::body::Json;
use crate::caller::{Member, Segments};
use crate::communities::Community;
use crate::files::unix_now;
use crate::refusal::Refusal;

/// The admission is made of a secret that the hub does not know: it keeps a place, and lets nobody in.
pub(crate) async fn put_admission(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    Json(settings): Json<AdmissionSettings>,
) -> Result<StatusCode, Refusal> {
    let admission: Hex<16> = segments.parse("admission")?;
    let community = Community::managed(&app, &segments, &account).await?;
    let now = unix_now();
    if !(now + 1..=now + ADMISSION_LIFETIME_MAX.as_secs()).contains(&settings.expires) {
        let days = ADMISSION_LIFETIME_MAX.as_secs() / 86400;
        return Err(Refusal::malformed(format!("expires is not within {days} days from now")));
    }
    let act = Act::new(&app, &account, "admit", community.id)
        .with(json!({ "admission": admission, "expires": settings.expires }));
    let done = async move {
        app.db.admit(&community.key, &admission.0, settings.expires).await?;
        Ok(Outcome::Changed(StatusCode::NO_CONTENT))
    };
    act.run(done).await
}

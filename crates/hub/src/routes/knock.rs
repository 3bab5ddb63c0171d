//! `POST /v1/communities/{community}/joins`: a machine asks to join.

use std::sync::Arc;

use axum::extract::State;
use community::JoinRequest;
use documents::DocumentHash;
use hub_api::limits::{JOIN_BYTES_MAX, JOININGS_MAX, JOININGS_UNANNOUNCED_MAX};
use hub_api::{Hex, JoinAccepted, JoinKnock};
use hub_db::{JoinRoom, Knocked, NewJoin};

use crate::app::App;
use crate::body::Json;
use crate::caller::Segments;
use crate::communities::{Community, refused};
use crate::files::unix_now;
use crate::refusal::Refusal;

/// Room for a document in base64 and a little around it.
pub(super) const JOIN_REQUEST_BYTES_MAX: usize = 2 * JOIN_BYTES_MAX;

const ROOM: JoinRoom = JoinRoom { all: JOININGS_MAX, unannounced: JOININGS_UNANNOUNCED_MAX };

/// For everybody who knows the community: who may join is decided by its managers, to whom a relay carries
/// those who ask here. Small, bounded in
/// number, and forgotten after a day.
pub(crate) async fn knock(
    State(app): State<Arc<App>>,
    segments: Segments,
    Json(knock): Json<JoinKnock, JOIN_REQUEST_BYTES_MAX>,
) -> Result<axum::Json<JoinAccepted>, Refusal> {
    let community = Community::find(&app, &segments).await?;
    community.must_go_on()?;
    let signed = knock.request.0;
    must_be_small(&signed)?;
    let request = JoinRequest::open(&signed).map_err(refused)?;
    if request.community != community.id {
        return Err(refused("the request is for another community"));
    }
    let id = *DocumentHash::of(&signed).as_bytes();
    // Places are kept at the community's home: who asks at another hub is one of the unannounced.
    let is_home = community.record.mirror.is_none();
    let new = NewJoin {
        id,
        community: community.key,
        admission: request.admission.filter(|_| is_home),
        request: signed,
        now: unix_now(),
    };
    match app.db.knock(&new, ROOM).await? {
        Knocked::Kept(expires) => {
            app.bus.joined(community.key);
            Ok(axum::Json(JoinAccepted { id: Hex(id), expires }))
        }
        // Nobody learns here whether a secret was ever good.
        Knocked::NoCommunity | Knocked::NoAdmission => Err(Refusal::not_found()),
        Knocked::Full => Err(Refusal::too_many("many machines ask to join at once")),
    }
}

/// Refuses a document of a joining that is longer than any.
pub(super) fn must_be_small(document: &[u8]) -> Result<(), Refusal> {
    if document.len() > JOIN_BYTES_MAX {
        return Err(refused(format!("more bytes than {JOIN_BYTES_MAX}")));
    }
    Ok(())
}

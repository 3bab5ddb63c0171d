//! `GET /v1/hub`: what this hub is and accepts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use hub_api::{Hex, HubInfo, Limits};

use crate::app::App;

pub(crate) async fn hub(State(app): State<Arc<App>>) -> Json<HubInfo> {
    Json(HubInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        key: Hex(*app.public_key.as_bytes()),
        limits: Limits::default(),
        clients: app.clients.told(),
        direct: !app.is_relay_only,
    })
}

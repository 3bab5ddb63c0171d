//! The second listener, for whoever watches the hub: `/metrics`, `/healthz`, `/readyz`.
//!
//! `/metrics` is on this listener alone. On the hub's own port the address of a caller would
//! prove nothing: behind a proxy on the same machine every caller comes from loopback. A port of
//! its own is closed to the world by where it listens, and needs no secret that collectors would
//! have to be given.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use hub_api::routes as paths;

use crate::app::App;
use crate::config::HubLimits;
use crate::metrics::MEDIA_METRICS;
use crate::refusal::Refusal;
use crate::routes;

/// Connections of collectors at once.
const CONNECTIONS_MAX: usize = 16;

pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route(paths::HEALTH, get(routes::health::health))
        .route(paths::READY, get(routes::ready::ready))
        .fallback(async || Refusal::not_found())
        .with_state(app)
}

pub(crate) fn limits(of_hub: &HubLimits) -> HubLimits {
    HubLimits {
        connections_max: CONNECTIONS_MAX,
        connections_per_address_max: None,
        ..of_hub.clone()
    }
}

async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let text = app.metrics.text(&app).await;
    ([(header::CONTENT_TYPE, MEDIA_METRICS), (header::CACHE_CONTROL, "no-store")], text)
}

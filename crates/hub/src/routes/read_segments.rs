//! `GET /v1/deliveries/{delivery}/segments?from=`: the segments of a delivery, as they come.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use hub_api::{Hex, MEDIA_BYTES};
use hub_db::Caller;
use serde::Deserialize;

use crate::app::App;
use crate::caller::Segments;
use crate::deliveries::{Recipient, SegmentStream};
use crate::lockers::{Download, LockerStream};
use crate::peer::Peer;
use crate::refusal::Refusal;

#[derive(Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    from: u64,
}

/// For the recipient. The newest of several streams has the segments; out of a locker each has all of them.
pub(crate) async fn read_segments(
    State(app): State<Arc<App>>,
    Recipient(asker): Recipient,
    segments: Segments,
    download: Download,
    peer: Peer,
    headers: HeaderMap,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(wanted) = wanted?;
    if *app.leaving.borrow() {
        return Err(Refusal::stopping());
    }
    let id = segments.parse::<Hex<16>>("delivery")?.0;
    let body = if let Some(locker) = app.lockers.find(id, asker, download) {
        let sharer = app.sharer(&Caller::Anonymous, peer, &headers);
        let stream = LockerStream::open(app, locker, wanted.from, sharer)?;
        Body::from_stream(stream::unfold(stream, async |mut stream| {
            let bytes = stream.next().await?;
            Some((Ok::<_, Infallible>(bytes), stream))
        }))
    } else {
        let delivery = app.deliveries.open(id, asker).ok_or_else(Refusal::not_found)?;
        let stream = SegmentStream::open(app, delivery, wanted.from)?;
        Body::from_stream(stream::unfold(stream, async |mut stream| {
            let bytes = stream.next().await?;
            Some((Ok::<_, Infallible>(bytes), stream))
        }))
    };
    let headers = [
        (header::CONTENT_TYPE.as_str(), MEDIA_BYTES),
        (header::CACHE_CONTROL.as_str(), "no-store"),
        // Or nginx would take segments that the recipient does not, and write them to its disk.
        ("x-accel-buffering", "no"),
    ];
    Ok((headers, body).into_response())
}

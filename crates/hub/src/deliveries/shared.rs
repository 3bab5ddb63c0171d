//! A segment for several deliveries of one sender: it is read once, and each holds it for as long as its own
//! connection needs to write it.

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use hub_api::limits::{SEGMENT_BYTES_MAX, SEGMENT_HEAD_BYTES, SHARED_PATIENCE};
use tokio::time::{Duration, Instant, sleep_until};

use super::Delivery;
use super::place::{Place, Waiting, Wiped};
use crate::body::BoundedBody;
use crate::refusal::Refusal;

/// What became of the segment for one delivery.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) taken: bool,
    /// For how long the others waited for it.
    pub(crate) waited: Duration,
}

/// Takes a segment from `body` for each of these deliveries that has a place for it; beside each stands which of
/// the `heads` at the beginning of the body is its own. As long as there is a place for none, it waits as for one
/// delivery; then [`SHARED_PATIENCE`] for the others, which go without after that. The body is not read before.
pub(crate) async fn take_together(
    deliveries: &mut [(usize, Delivery)],
    number: u64,
    heads: usize,
    mut body: BoundedBody,
    waiting: Waiting,
) -> Result<Vec<Outcome>, Refusal> {
    let own: Vec<usize> = deliveries.iter().map(|(own, _)| *own).collect();
    let (places, mut outcomes) = places(deliveries, number, &waiting).await;
    drop(waiting);
    if places.is_empty() {
        return Ok(outcomes);
    }
    let heads_bytes = heads * SEGMENT_HEAD_BYTES;
    let most = heads_bytes + SEGMENT_BYTES_MAX;
    let mut bytes = Wiped(Vec::with_capacity(most.min(body.bytes_expected())));
    {
        let lost = join_all(places.iter().map(|(_, place)| place.lost()));
        tokio::pin!(lost);
        loop {
            let piece = tokio::select! {
                piece = body.next() => piece?,
                // Nobody wants it any more.
                _ = &mut lost => return Ok(outcomes),
            };
            let Some(piece) = piece else { break };
            bytes.0.extend_from_slice(&piece);
        }
    }
    if bytes.0.len() <= heads_bytes {
        return Err(Refusal::malformed("a segment has at least one byte behind the heads"));
    }
    let bytes = Bytes::from_owner(bytes);
    let rest = bytes.slice(heads_bytes..);
    for (at, place) in places {
        let head = bytes.slice(own[at] * SEGMENT_HEAD_BYTES..(own[at] + 1) * SEGMENT_HEAD_BYTES);
        // One that was forgotten meanwhile is one that did not take it.
        outcomes[at].taken =
            place.fill(Bytes::copy_from_slice(&head), rest.clone()).unwrap_or(false);
    }
    Ok(outcomes)
}

/// The places that there are in time.
async fn places<'a>(
    deliveries: &'a mut [(usize, Delivery)],
    number: u64,
    waiting: &Waiting,
) -> (Vec<(usize, Place<'a>)>, Vec<Outcome>) {
    let mut outcomes = vec![Outcome::default(); deliveries.len()];
    let mut pending = vec![true; deliveries.len()];
    let mut found = Vec::with_capacity(deliveries.len());
    let mut asking: FuturesUnordered<_> = deliveries
        .iter_mut()
        .enumerate()
        .map(|(at, (_, delivery))| {
            let mut waiting = waiting.beside();
            async move { (at, delivery.place(number, &mut waiting).await) }
        })
        .collect();
    let mut first: Option<Instant> = None;
    loop {
        let until = first.map_or_else(Instant::now, |first| first + SHARED_PATIENCE);
        let (at, place) = tokio::select! {
            biased;
            next = asking.next() => match next {
                Some(next) => next,
                None => break,
            },
            () = sleep_until(until), if first.is_some() => break,
        };
        pending[at] = false;
        // Without a place it is not wanted, or was forgotten: nobody waits for that.
        if let Ok(Some(place)) = place {
            let now = Instant::now();
            outcomes[at].waited = now - *first.get_or_insert(now);
            found.push((at, place));
        }
    }
    for (outcome, pending) in outcomes.iter_mut().zip(pending) {
        if pending {
            outcome.waited = SHARED_PATIENCE;
        }
    }
    (found, outcomes)
}

//! Live deliveries: segments handed to a recipient through the memory of the hub.
//!
//! A sender needs an account; a recipient shows its token, so a client without a key will do. What
//! is in a segment is nobody's business here.

use bytes::Bytes;
use hub_api::{
    DELIVERY_DOWNLOAD_HEADER, DELIVERY_TOKEN_HEADER, DeliveryAnnouncement, DeliveryEnding,
    DeliveryStatus, DeliveryVerified, Hex, LockerRequest, SEGMENT_DIGEST_HEADER, SegmentTaken,
    SegmentsTaken, limits, routes,
};
use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};
use wire::{SegmentRecord, SegmentStreamDecoder};

use crate::client::HubClient;
use crate::error::ClientError;
use crate::exchange::Call;
use crate::incoming::Incoming;
use crate::session::Need;

const TOKEN: HeaderName = HeaderName::from_static(DELIVERY_TOKEN_HEADER);
const DOWNLOAD: HeaderName = HeaderName::from_static(DELIVERY_DOWNLOAD_HEADER);
const DIGEST: HeaderName = HeaderName::from_static(SEGMENT_DIGEST_HEADER);

/// Segments as the hub hands them over, in order from the one that was asked for.
///
/// When the stream ends or fails before the last segment, ask for a new one behind what was kept.
pub struct DeliverySegments {
    body: Incoming,
    decoder: SegmentStreamDecoder,
    /// The number of the segment that comes next.
    next: u64,
}

impl std::fmt::Debug for DeliverySegments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeliverySegments").field("next", &self.next).finish_non_exhaustive()
    }
}

impl DeliverySegments {
    /// The next segment with its number; `None` when the hub ended the stream: after the last segment,
    /// when the delivery was ended, when a newer stream took its place, or when the hub stops.
    ///
    /// # Errors
    /// [`ClientError::TimedOut`] when not even a heart-beat came, [`ClientError::Protocol`] for another
    /// segment than the next, otherwise see [`ClientError`].
    pub async fn next(&mut self) -> Result<Option<(u64, Bytes)>, ClientError> {
        loop {
            let record = self.decoder.next_record();
            match record.map_err(|error| self.body.protocol(error.to_string()))? {
                Some(SegmentRecord::Segment { number, bytes }) if number == self.next => {
                    self.next += 1;
                    return Ok(Some((number, bytes)));
                }
                Some(SegmentRecord::Segment { number, .. }) => {
                    let wanted = self.next;
                    return Err(self.body.protocol(format!("segment {number}, not {wanted}")));
                }
                Some(SegmentRecord::HeartBeat { .. }) => continue,
                None => {}
            }
            match self.body.next().await? {
                Some(bytes) => self.decoder.push(bytes),
                None => {
                    let ended = std::mem::take(&mut self.decoder).finish();
                    ended.map_err(|error| self.body.protocol(error.to_string()))?;
                    return Ok(None);
                }
            }
        }
    }
}

impl HubClient {
    /// Begins a delivery under an id of the caller's; repeating it with the same values changes nothing.
    /// After the hub was restarted it must be repeated.
    ///
    /// # Errors
    /// See [`ClientError`]; [`DeliveryConflict`](hub_api::ProblemCode::DeliveryConflict) when the id
    /// was announced otherwise.
    pub async fn announce_delivery(
        &self,
        id: [u8; 16],
        announcement: &DeliveryAnnouncement,
    ) -> Result<DeliveryStatus, ClientError> {
        let path = routes::of_delivery(routes::DELIVERY, Hex(id));
        let call = Call::new(Method::PUT, path, "announce a delivery").json(announcement);
        self.json(&call, Need::Required).await
    }

    /// Asks for a locker, in which the hub keeps the delivery until its recipient comes; repeating it with the same
    /// values changes nothing.
    ///
    /// # Errors
    /// See [`ClientError`]; [`LockerRefused`](hub_api::ProblemCode::LockerRefused) when the hub has none for it, not
    /// found when it is a hub before lockers.
    pub async fn open_locker(
        &self,
        id: [u8; 16],
        request: &LockerRequest,
    ) -> Result<DeliveryStatus, ClientError> {
        let path = routes::of_delivery(routes::DELIVERY_LOCKER, Hex(id));
        let call = Call::new(Method::PUT, path, "open a locker").json(request);
        self.json(&call, Need::Required).await
    }

    /// Puts a segment with this BLAKE3 into the delivery's locker; it is durable when it was taken. Else the answer says
    /// which is wanted next.
    ///
    /// # Errors
    /// As of [`put_segment`](Self::put_segment);
    /// [`StorageFull`](hub_api::ProblemCode::StorageFull) when the hub's disk is full, which loses nothing of what is
    /// kept.
    pub async fn keep_segment(
        &self,
        id: [u8; 16],
        number: u64,
        digest: [u8; 32],
        bytes: Bytes,
    ) -> Result<SegmentTaken, ClientError> {
        let path = routes::delivery_segment(Hex(id), number);
        let call = Call::new(Method::PUT, path, "put a segment into a locker").octets([bytes]);
        let call = call.header(DIGEST, digits(&Hex(digest)));
        self.json(&call, Need::Required).await
    }

    /// Hands a segment over, at most [`limits::SEGMENT_BYTES_MAX`] bytes. Waits for room at the hub for
    /// some 20 s; when it was not taken, the answer says which is wanted next.
    ///
    /// # Errors
    /// See [`ClientError`]; not found when the hub does not know the delivery (any more).
    pub async fn put_segment(
        &self,
        id: [u8; 16],
        number: u64,
        bytes: Bytes,
    ) -> Result<SegmentTaken, ClientError> {
        let path = routes::delivery_segment(Hex(id), number);
        let call = Call::new(Method::PUT, path, "hand a segment over").octets([bytes]);
        self.json(&call, Need::Required).await
    }

    /// Hands a segment over that several deliveries of this sender have: what is each one's own, and the
    /// rest. Waits as [`put_segment`](Self::put_segment) does until there is room for one, and a second for the
    /// others. Who is left out in the answer is not at the front-end that answers.
    ///
    /// # Errors
    /// See [`ClientError`]; not found when the hub does not know the first delivery (any more).
    ///
    /// # Panics
    /// When it is for nobody.
    pub async fn put_together(
        &self,
        heads: &[([u8; 16], [u8; limits::SEGMENT_HEAD_BYTES])],
        number: u64,
        rest: Bytes,
    ) -> Result<SegmentsTaken, ClientError> {
        let ids: Vec<Hex<16>> = heads.iter().map(|(id, _)| Hex(*id)).collect();
        let (first, others) = ids.split_first().expect("a segment is for somebody");
        let path = routes::delivery_together(*first, number, others);
        let heads: Vec<u8> = heads.iter().flat_map(|(_, head)| *head).collect();
        let call = Call::new(Method::PUT, path, "hand a segment over").octets([heads.into(), rest]);
        self.json(&call, Need::Required).await
    }

    /// How a delivery stands: as the recipient with a token, as the sender without one. With `after`
    /// it waits for a change behind that one, for some 20 s.
    ///
    /// # Errors
    /// See [`ClientError`]; not found also for a wrong token.
    pub async fn delivery_status(
        &self,
        id: [u8; 16],
        token: Option<&[u8; 32]>,
        after: Option<u64>,
    ) -> Result<DeliveryStatus, ClientError> {
        let path = routes::delivery_status(Hex(id), after);
        let call = Call::new(Method::GET, path, "ask how a delivery stands");
        self.json(&self.shown(call, token), need(token)).await
    }

    /// Takes the segments of a delivery from a number on; a stream that was open before ends.
    ///
    /// # Errors
    /// See [`ClientError`]; not found also for a wrong token.
    pub async fn delivery_segments(
        &self,
        id: [u8; 16],
        token: &[u8; 32],
        from: u64,
    ) -> Result<DeliverySegments, ClientError> {
        let path = routes::delivery_segments(Hex(id), from);
        let call = Call::new(Method::GET, path, "take segments of a delivery");
        let response = self
            .sessions
            .call(&self.exchange, &self.shown(call, Some(token)), Need::Nothing)
            .await?;
        let body = response.into_body();
        Ok(DeliverySegments { body, decoder: SegmentStreamDecoder::new(), next: from })
    }

    /// Says how many segments were verified and kept; with the last, a receipt may come along.
    ///
    /// # Errors
    /// See [`ClientError`]; not found also for a wrong token.
    pub async fn delivery_verified(
        &self,
        id: [u8; 16],
        token: &[u8; 32],
        verified: &DeliveryVerified,
    ) -> Result<DeliveryStatus, ClientError> {
        let path = routes::of_delivery(routes::DELIVERY_VERIFIED, Hex(id));
        let call = Call::new(Method::POST, path, "say what was verified").json(verified);
        self.json(&self.shown(call, Some(token)), Need::Nothing).await
    }

    /// Ends a delivery: as the recipient with a token, as the sender without one. The first end stands;
    /// of the reason what the hub takes is sent,
    /// [`limits::DELIVERY_REASON_CHARS_MAX`] characters without control characters.
    ///
    /// # Errors
    /// See [`ClientError`]; not found also for a wrong token.
    pub async fn end_delivery(
        &self,
        id: [u8; 16],
        token: Option<&[u8; 32]>,
        reason: &str,
    ) -> Result<(), ClientError> {
        let path = routes::of_delivery(routes::DELIVERY, Hex(id));
        let reason = reason.chars().filter(|c| !c.is_control());
        let reason = reason.take(limits::DELIVERY_REASON_CHARS_MAX).collect();
        let call =
            Call::new(Method::DELETE, path, "end a delivery").json(&DeliveryEnding { reason });
        let call = self.shown(call, token);
        self.body_of(&call, need(token), limits::RESPONSE_BYTES_MAX).await.map(drop)
    }

    /// The call with the recipient's token, and the download it belongs to.
    fn shown(&self, call: Call, token: Option<&[u8; 32]>) -> Call {
        let Some(token) = token else { return call };
        let mut value = digits(&Hex(*token));
        value.set_sensitive(true);
        let call = call.header(TOKEN, value);
        match self.download {
            Some(download) => call.header(DOWNLOAD, digits(&Hex(download))),
            None => call,
        }
    }
}

fn digits(hex: &impl std::fmt::Display) -> HeaderValue {
    HeaderValue::from_str(&hex.to_string()).expect("hexadecimal digits are fit for a header")
}

fn need(token: Option<&[u8; 32]>) -> Need {
    if token.is_some() { Need::Nothing } else { Need::Required }
}

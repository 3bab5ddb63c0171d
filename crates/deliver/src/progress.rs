//! How far a delivery is, for whoever watches.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use delivery::SEGMENT_BYTES;
use hub_client::ClientError;

/// Written by the job, read by whoever shows it. Both ends count the bytes that the recipient has
/// verified, so they agree.
#[derive(Debug, Default)]
pub struct DeliveryProgress {
    verified_bytes: AtomicU64,
    stream_bytes: AtomicU64,
    waits_for: Mutex<Option<String>>,
    code: Mutex<Option<String>>,
    /// The proxy that let nothing through when the hub was last asked.
    proxy: Mutex<Option<String>>,
}

impl DeliveryProgress {
    /// Bytes of the stream that the recipient has verified.
    #[must_use]
    pub fn verified_bytes(&self) -> u64 {
        self.verified_bytes.load(Relaxed)
    }

    /// Length of the stream; 0 while it is not known.
    #[must_use]
    pub fn stream_bytes(&self) -> u64 {
        self.stream_bytes.load(Relaxed)
    }

    /// What the job waits for: a proxy that is on the way and does not let it through; before the
    /// ticket is handed over, whoever has the code.
    #[must_use]
    pub fn waits_for(&self) -> Option<String> {
        let read = |what: &Mutex<Option<String>>| {
            what.lock().unwrap_or_else(PoisonError::into_inner).clone()
        };
        // Also while it sends: what was handed over last came no further than to the proxy.
        if let Some(proxy) = read(&self.proxy) {
            return Some(proxy);
        }
        // Once segments move nobody waits for a code, whoever brought the ticket.
        let waits_for = read(&self.waits_for)?;
        Some(read(&self.code).unwrap_or(waits_for))
    }

    pub(crate) fn verified(&self, segments: u64, stream_bytes: u64) {
        self.stream_bytes.store(stream_bytes, Relaxed);
        let bytes = segments.saturating_mul(SEGMENT_BYTES as u64).min(stream_bytes);
        self.verified_bytes.store(bytes, Relaxed);
    }

    pub(crate) fn offers_code(&self, waits_for: Option<String>) {
        *self.code.lock().unwrap_or_else(PoisonError::into_inner) = waits_for;
    }

    /// Notes how asking the hub went, and passes it on.
    pub(crate) fn heard<T>(&self, answer: Result<T, ClientError>) -> Result<T, ClientError> {
        self.misses(answer.as_ref().err());
        answer
    }

    /// Notes whether it is the hub that is waited for, or what is before it.
    pub(crate) fn misses(&self, error: Option<&ClientError>) {
        let proxy = if let Some(ClientError::Proxy { proxy, source, .. }) = error {
            Some(format!("the proxy {proxy} on the way to the hub: {source}"))
        } else {
            None
        };
        *self.proxy.lock().unwrap_or_else(PoisonError::into_inner) = proxy;
    }

    pub(crate) fn waits(&self, what: Option<String>) {
        *self.waits_for.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }
}

//! Codes: four messages between a sender and the one who has its code, in memory and nowhere else.
//!
//! [`rendezvous`] decides who may put and read what; it is pure. Here are the clock and the waiting. The hub
//! cannot read the messages; what it could do with them is in `docs/security.md`.

mod rendezvous;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use bytes::Bytes;
use hub_api::{CODE_TOKEN_HEADER, Hex, ProblemCode};
use tokio::sync::watch;

use self::rendezvous::{Bounds, NotAnnounced, NotPut, Party, Rendezvous};
use crate::app::App;
use crate::caller::Sender;
use crate::config::HubLimits;
use crate::deliveries::Waiting;
use crate::refusal::Refusal;

/// All codes of the hub. Beside each lies what changes when a message comes.
#[derive(Debug)]
pub(crate) struct Codes {
    rendezvous: Mutex<Rendezvous<watch::Sender<u64>>>,
}

impl Codes {
    pub(crate) fn new(limits: &HubLimits) -> Self {
        let bounds = Bounds {
            codes_max: limits.codes_max,
            per_account_max: limits.codes_per_account_max,
            claims_per_minute_max: limits.code_claims_per_minute_max,
        };
        Self { rendezvous: Mutex::new(Rendezvous::new(bounds)) }
    }

    /// Whether the number is new.
    pub(crate) fn announce(&self, number: u16, sender: &Sender) -> Result<bool, Refusal> {
        let stirred = watch::Sender::new(0);
        let sender = (sender.key, sender.sharer());
        let announced = self.lock().announce(number, sender, stirred, Instant::now());
        announced.map_err(|error| match error {
            NotAnnounced::Taken => Refusal::new(ProblemCode::CodeTaken, ""),
            NotAnnounced::TooManyOfAccount => Refusal::too_many("the account's other codes first"),
            NotAnnounced::TooManyOfGuests => {
                Refusal::busy("too many codes at once of those without an account")
            }
            NotAnnounced::TooMany => Refusal::busy("too many codes at once"),
        })
    }

    /// Passes a message on.
    pub(crate) fn put(
        &self,
        number: u16,
        index: u8,
        message: Bytes,
        (participant, address): (&Participant, IpAddr),
    ) -> Result<(), Refusal> {
        let mut rendezvous = self.lock();
        let from = (participant.0, address);
        match rendezvous.put(number, (index, message), from, Instant::now()) {
            Ok(stirred) => {
                stirred.send_modify(|count| *count += 1);
                Ok(())
            }
            Err(NotPut::Unknown) => Err(Refusal::not_found()),
            Err(NotPut::Taken) => Err(Refusal::new(ProblemCode::CodeTaken, "somebody claimed it")),
            Err(NotPut::Other) => {
                Err(Refusal::new(ProblemCode::CodeTaken, "it was said otherwise"))
            }
            Err(NotPut::TooManyOfAddress) => {
                Err(Refusal::too_many("as many codes in a minute as one address may try"))
            }
        }
    }

    /// A message once it is there; `None` when the waiting is over before.
    pub(crate) async fn read(
        &self,
        number: u16,
        index: u8,
        participant: &Participant,
        mut waiting: Waiting,
    ) -> Result<Option<Bytes>, Refusal> {
        loop {
            let mut stirred = {
                let mut rendezvous = self.lock();
                let read = rendezvous.read(number, index, participant.0, Instant::now());
                let (message, stirred) = read.ok_or_else(Refusal::not_found)?;
                if message.is_some() || waiting.is_over() {
                    return Ok(message);
                }
                stirred.subscribe()
            };
            tokio::select! {
                // An error means that the code was forgotten: the next look says so.
                _ = stirred.changed() => {}
                () = waiting.ended() => {}
            }
        }
    }

    /// Forgets codes that nobody needs any more.
    pub(crate) fn sweep(&self) {
        self.lock().sweep(Instant::now());
    }

    /// Forgets all, as a restart does.
    pub(crate) fn forget_all(&self) {
        self.lock().forget_all();
    }

    /// How many there are.
    pub(crate) fn known(&self) -> usize {
        self.lock().known()
    }

    fn lock(&self) -> MutexGuard<'_, Rendezvous<watch::Sender<u64>>> {
        self.rendezvous.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever shows a token of a recipient, else the sender of a session.
#[derive(Debug)]
pub(crate) struct Participant(Party);

impl FromRequestParts<Arc<App>> for Participant {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let Some(token) = parts.headers.get(CODE_TOKEN_HEADER) else {
            let Sender { key, .. } = Sender::from_request_parts(parts, app).await?;
            return Ok(Self(Party::Sender(key)));
        };
        let token = token.to_str().ok().and_then(|token| token.parse::<Hex<32>>().ok());
        let token = token.ok_or_else(Refusal::not_found)?;
        Ok(Self(Party::Recipient(blake3::hash(&token.0))))
    }
}

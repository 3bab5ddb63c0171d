//! How a ticket is handed over to whoever has the code, by four messages that anybody may read.
//!
//! ```text
//! Claim (recipient)  ── claim ──▶  Answer (sender)
//!        │           ◀── answer ──    │
//!        ▼           ── proof ───▶    │
//! Proven             ◀─ handover ──   ▼
//! ```
//!
//! SPAKE2 makes a key of the code that neither end, nor whoever is between them, can find by trying codes
//! afterwards: one guess each run. A sender makes one [`Answer`] of a code and then forgets the code.
//!
//! Bytes are in `docs/format.md`, section 15.4.

use std::convert::Infallible;

use content::DecodeError;
use content::cbor;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use spake2::rand_core::{TryCryptoRng, TryRng};
use spake2::{Ed25519Group, Identity, Password, Spake2};

use self::messages::{Closing, Point, Proof};
use crate::code::Code;
use crate::ticket::{ParseTicketError, Ticket};

mod messages;

const RECIPIENT: &[u8] = b"consign code 1 recipient";
const SENDER: &[u8] = b"consign code 1 sender";
const RECIPIENT_PROOF: &str = "consign code 1 recipient's proof";
const SENDER_PROOF: &str = "consign code 1 sender's proof";

/// Why a ticket was not handed over. The code is of no use any more: the sender has a new one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandoverError {
    /// The other end has another code: it was mistyped, somebody guesses, or somebody is in between.
    #[error("the other side has another code")]
    OtherCode,
    /// What came is no message of a handover, or one of a newer version.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// Whoever knows the code handed something else over than a ticket: a broken program, or a newer one.
    #[error("what was handed over is no ticket")]
    Ticket(#[from] ParseTicketError),
}

/// A recipient that has claimed the ticket.
pub struct Claim {
    exchange: Spake2<Ed25519Group>,
    message: Vec<u8>,
}

/// A recipient that has proved to know the code.
pub struct Proven {
    keys: Keys,
    proof: [u8; 32],
}

/// A sender that has answered the one claim of a code.
pub struct Answer {
    keys: Keys,
    message: Vec<u8>,
}

impl Claim {
    /// Begins; `seed` is random and used once.
    #[must_use]
    pub fn new(code: &Code, seed: [u8; 32]) -> Self {
        let (password, recipient, sender) = parties(code);
        let (exchange, point) =
            Spake2::start_a_with_rng(&password, &recipient, &sender, Drawn::of(&seed));
        Self { exchange, message: written(&point) }
    }

    /// What the sender is to get.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Takes the sender's answer.
    ///
    /// # Errors
    /// It is none.
    pub fn prove(self, answer: &[u8]) -> Result<Proven, HandoverError> {
        let Self { exchange, message } = self;
        let shared = finish(exchange, answer)?;
        let keys = Keys { shared, claim: message, answer: answer.to_vec() };
        let proof = keys.key(RECIPIENT_PROOF);
        Ok(Proven { keys, proof })
    }
}

impl Proven {
    /// What the sender is to get.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        Proof(self.proof).encode()
    }

    /// Takes what the sender handed over.
    ///
    /// # Errors
    /// See [`HandoverError`].
    pub fn open(self, handover: &[u8]) -> Result<Ticket, HandoverError> {
        let Closing::Ticket { proof, sealed: mut text } = Closing::decode(handover)? else {
            return Err(HandoverError::OtherCode);
        };
        self.keys.check(SENDER_PROOF, proof)?;
        let opened = self
            .keys
            .cipher()
            .open_in_place(Nonce::assume_unique_for_key([0; 12]), Aad::empty(), &mut text)
            .map_err(|_| HandoverError::OtherCode)?;
        // What is no text is no ticket either, and is refused by what is left of it.
        Ok(String::from_utf8_lossy(opened).parse::<Ticket>()?)
    }
}

impl Answer {
    /// Answers the claim of a code, which is not to be used again whatever comes of it; `seed` is random and
    /// used once.
    ///
    /// # Errors
    /// It is no claim.
    pub fn new(code: &Code, seed: [u8; 32], claim: &[u8]) -> Result<Self, HandoverError> {
        let (password, recipient, sender) = parties(code);
        let (exchange, point) =
            Spake2::start_b_with_rng(&password, &recipient, &sender, Drawn::of(&seed));
        let message = written(&point);
        let shared = finish(exchange, claim)?;
        let keys = Keys { shared, claim: claim.to_vec(), answer: message.clone() };
        Ok(Self { keys, message })
    }

    /// What the recipient is to get.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Seals the ticket for a recipient that proved to know the code.
    ///
    /// # Errors
    /// It did not; tell it with [`refusal`].
    pub fn hand_over(self, proof: &[u8], ticket: &Ticket) -> Result<Vec<u8>, HandoverError> {
        self.keys.check(RECIPIENT_PROOF, Proof::decode(proof)?)?;
        let mut sealed = ticket.to_string().into_bytes();
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        self.keys
            .cipher()
            .seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed)
            .expect("a ticket is short");
        let proof = Proof(self.keys.key(SENDER_PROOF));
        Ok(Closing::Ticket { proof, sealed }.encode())
    }
}

/// What a recipient gets whose proof was wrong.
#[must_use]
pub fn refusal() -> Vec<u8> {
    Closing::Refusal.encode()
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Claim(..)")
    }
}

impl std::fmt::Debug for Proven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proven(..)")
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answer(..)")
    }
}

/// What both ends derive from the key they agreed on.
struct Keys {
    shared: Vec<u8>,
    claim: Vec<u8>,
    answer: Vec<u8>,
}

impl Keys {
    fn key(&self, purpose: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key(purpose);
        hasher.update(&self.shared).update(&self.claim).update(&self.answer);
        *hasher.finalize().as_bytes()
    }

    fn check(&self, purpose: &str, proof: Proof) -> Result<(), HandoverError> {
        // In constant time, as hashes are compared.
        let is_right = blake3::Hash::from(self.key(purpose)) == blake3::Hash::from(proof.0);
        if is_right { Ok(()) } else { Err(HandoverError::OtherCode) }
    }

    /// For the ticket and nothing else, so one nonce will do.
    fn cipher(&self) -> LessSafeKey {
        let key = UnboundKey::new(&AES_256_GCM, &self.key("consign code 1 ticket"));
        LessSafeKey::new(key.expect("the key is 32 bytes"))
    }
}

fn parties(code: &Code) -> (Password, Identity, Identity) {
    (Password::new(code.to_string()), Identity::new(RECIPIENT), Identity::new(SENDER))
}

fn finish(exchange: Spake2<Ed25519Group>, message: &[u8]) -> Result<Vec<u8>, HandoverError> {
    let shared = exchange.finish(&Point::decode(message)?.0);
    Ok(shared.map_err(|error| cbor::invalid(Point::WHAT, error.to_string()))?)
}

fn written(point: &[u8]) -> Vec<u8> {
    Point(point.try_into().expect("a side and a point are 33 bytes")).encode()
}

/// Bytes that follow from a seed, for a key that is made once.
struct Drawn(blake3::OutputReader);

impl Drawn {
    fn of(seed: &[u8; 32]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("consign code 1 seed");
        Self(hasher.update(seed).finalize_xof())
    }
}

impl TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Drawn {}

/// Whether bytes are one of the messages of a handover: for tests and fuzzers of whoever passes them on.
#[must_use]
pub fn is_message(bytes: &[u8]) -> bool {
    Point::decode(bytes).is_ok() || Proof::decode(bytes).is_ok() || Closing::decode(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeliveryId, DeliverySecret};

    fn code(number: u8) -> Code {
        Code::from_random([number; 16])
    }

    fn ticket() -> Ticket {
        let (id, secret) = ([3; 16], [4; 32]);
        let (id, secret) = (DeliveryId::from_bytes(id), DeliverySecret::from_bytes(secret));
        Ticket { url: "https://hub.example".into(), fingerprint: [2; 32], id, secret }
    }

    /// A recipient with one code, a sender with another; what each ends with.
    fn run(
        recipient: Code,
        sender: Code,
    ) -> (Result<(), HandoverError>, Result<Ticket, HandoverError>) {
        let claim = Claim::new(&recipient, [1; 32]);
        let answer = Answer::new(&sender, [2; 32], claim.message()).expect("a claim");
        let proven = claim.prove(answer.message()).expect("an answer");
        match answer.hand_over(&proven.message(), &ticket()) {
            Ok(handed) => (Ok(()), proven.open(&handed)),
            Err(error) => (Err(error), proven.open(&refusal())),
        }
    }

    #[test]
    fn the_same_code_hands_the_ticket_over_and_another_nothing() {
        assert_eq!(run(code(1), code(1)), (Ok(()), Ok(ticket())));
        let other = HandoverError::OtherCode;
        assert_eq!(run(code(1), code(2)), (Err(other.clone()), Err(other)));
    }

    #[test]
    fn a_code_of_the_same_words_and_another_number_is_another() {
        let mut bytes = [7; 16];
        let first = Code::from_random(bytes);
        bytes[0] += 1;
        let second = Code::from_random(bytes);
        let words = |code: Code| code.to_string().split_once('-').map(|it| it.1.to_owned());
        assert_eq!(words(first), words(second));
        assert_ne!(first.number(), second.number());
        assert_eq!(run(first, second).0, Err(HandoverError::OtherCode));
    }

    #[test]
    fn whoever_is_between_the_two_cannot_change_a_message_or_play_one_side() {
        let (recipient, sender) = (code(1), code(1));
        // Every message altered, at every byte: refused, or noticed by the proofs.
        let claim = Claim::new(&recipient, [1; 32]);
        for at in 0..claim.message().len() {
            let mut altered = claim.message().to_vec();
            altered[at] ^= 1;
            let Ok(answer) = Answer::new(&sender, [2; 32], &altered) else { continue };
            let proven = Claim::new(&recipient, [1; 32]).prove(answer.message()).expect("a point");
            let refused = answer.hand_over(&proven.message(), &ticket());
            assert_eq!(refused, Err(HandoverError::OtherCode), "byte {at} of the claim");
        }
        let answer = Answer::new(&sender, [2; 32], claim.message()).expect("a claim");
        for at in 0..answer.message().len() {
            let mut altered = answer.message().to_vec();
            altered[at] ^= 1;
            let Ok(proven) = Claim::new(&recipient, [1; 32]).prove(&altered) else { continue };
            let answer = Answer::new(&sender, [2; 32], claim.message()).expect("a claim");
            let refused = answer.hand_over(&proven.message(), &ticket());
            assert_eq!(refused, Err(HandoverError::OtherCode), "byte {at} of the answer");
        }
        // A proof that is sent back proves nothing: the ends have different ones.
        let proven = claim.prove(answer.message()).expect("an answer");
        let echo = Closing::Ticket { proof: Proof(proven.proof), sealed: vec![0; 40] }.encode();
        assert_eq!(proven.open(&echo), Err(HandoverError::OtherCode));
        // A claim that is sent back as the answer is of the wrong side.
        let claim = Claim::new(&recipient, [1; 32]);
        let echo = claim.message().to_vec();
        assert!(matches!(claim.prove(&echo), Err(HandoverError::Malformed(_))));
    }

    #[test]
    fn a_handover_that_was_altered_or_belongs_to_another_run_is_refused() {
        let begin = |seed| {
            let claim = Claim::new(&code(1), [seed; 32]);
            let answer = Answer::new(&code(1), [2; 32], claim.message()).expect("a claim");
            (claim.prove(answer.message()).expect("an answer"), answer)
        };
        let (proven, answer) = begin(1);
        let handed = answer.hand_over(&proven.message(), &ticket()).expect("the same code");
        for at in 0..handed.len() {
            let mut altered = handed.clone();
            altered[at] ^= 1;
            begin(1).0.open(&altered).expect_err("altered");
            begin(1).0.open(&handed[..at]).expect_err("cut short");
        }
        assert_eq!(begin(9).0.open(&handed), Err(HandoverError::OtherCode), "another run");
        assert_eq!(proven.open(&handed), Ok(ticket()));
    }

    #[test]
    fn points_that_are_none_are_refused() {
        let mut refused = 0;
        for fill in 0..=u8::MAX {
            let mut point = [fill; 33];
            point[0] = b'A';
            let claim = Point(point).encode();
            refused += usize::from(Answer::new(&code(1), [2; 32], &claim).is_err());
        }
        assert!(refused > 50, "half of all bytes are no point: {refused}");
        // The neutral element, and points of small order: nobody gains by them, see the format.
        for small in ["01", "ec"] {
            let mut point = [if small == "01" { 0 } else { 0xff }; 33];
            point[0] = b'A';
            (point[1], point[32]) = if small == "01" { (1, 0) } else { (0xec, 0x7f) };
            let answer = Answer::new(&code(1), [2; 32], &Point(point).encode()).expect("a point");
            let guess = Proof([0; 32]).encode();
            assert_eq!(answer.hand_over(&guess, &ticket()), Err(HandoverError::OtherCode));
        }
        for length in [0, 1, 32, 34] {
            let bytes = cbor::encode(|writer| {
                writer.array(2)?.u8(1)?.bytes(&vec![b'A'; length])?;
                Ok(())
            });
            let refused = Answer::new(&code(1), [2; 32], &bytes);
            assert!(matches!(refused, Err(HandoverError::Malformed(_))), "{length} bytes");
        }
    }
}

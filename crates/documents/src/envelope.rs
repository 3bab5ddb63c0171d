//! COSE_Sign1 (RFC 9052) around deterministic CBOR.
//!
//! Each kind of document has a context string that is signed with it as external data and is
//! not sent. A signature made for one kind therefore never verifies as another. The headers
//! are fixed: protected `{1: -8}` (EdDSA), nothing unprotected.

use std::fmt;

use content::DecodeError;
use coset::{CoseSign1, CoseSign1Builder, HeaderBuilder, TaggedCborSerializable, iana};

use crate::cbor::malformed;
use crate::{NodeKey, PublicKey};

/// The largest document, signature included, in bytes; longer ones are refused unread.
pub const DOCUMENT_BYTES_MAX: usize = 64 * 1024;

const WHAT: &str = "signed document";

/// What a signature was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// A [`crate::Manifest`].
    Release,
    /// A [`crate::Head`].
    Head,
    /// A [`crate::Delegation`].
    Delegation,
    /// A [`crate::SessionProof`].
    Session,
    /// A [`crate::Registration`].
    Registration,
    /// A [`crate::SessionToken`].
    Token,
    /// Who manages a community; jointly signed.
    Charter,
    /// Who belongs to a community; jointly signed.
    Roster,
    /// That a roster is still the newest.
    Renewal,
    /// A machine's wish to join a community.
    JoinRequest,
    /// A manager's challenge to it.
    JoinChallenge,
    /// The machine's answer.
    JoinAnswer,
    /// That a target begins with a release.
    Beginning,
    /// What became of a release on a target.
    Receipt,
    /// That a delivery arrived.
    DeliveryReceipt,
    /// Which devices are a person's.
    Devices,
    /// A machine's wish to be a device of a person.
    DeviceRequest,
    /// What a relay tells of itself.
    RelayReport,
    /// An [`crate::audit::AuditHead`].
    AuditHead,
}

impl Context {
    pub(crate) const ALL: [Self; 19] = [
        Self::Release,
        Self::Head,
        Self::Delegation,
        Self::Session,
        Self::Registration,
        Self::Token,
        Self::Charter,
        Self::Roster,
        Self::Renewal,
        Self::JoinRequest,
        Self::JoinChallenge,
        Self::JoinAnswer,
        Self::Beginning,
        Self::Receipt,
        Self::DeliveryReceipt,
        Self::Devices,
        Self::DeviceRequest,
        Self::RelayReport,
        Self::AuditHead,
    ];

    /// The string that is signed with the document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Release => "consign/release/1",
            Self::Head => "consign/head/1",
            Self::Delegation => "consign/delegation/1",
            Self::Session => "consign/session/1",
            Self::Registration => "consign/registration/1",
            Self::Token => "consign/token/1",
            Self::Charter => "consign/charter/1",
            Self::Roster => "consign/roster/1",
            Self::Renewal => "consign/renewal/1",
            Self::JoinRequest => "consign/join-request/1",
            Self::JoinChallenge => "consign/join-challenge/1",
            Self::JoinAnswer => "consign/join-answer/1",
            Self::Beginning => "consign/beginning/1",
            Self::Receipt => "consign/receipt/1",
            Self::DeliveryReceipt => "consign/delivery-receipt/1",
            Self::Devices => "consign/devices/1",
            Self::DeviceRequest => "consign/device-request/1",
            Self::RelayReport => "consign/relay-report/1",
            Self::AuditHead => "consign/audit-head/1",
        }
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// BLAKE3-256 of a signed document's bytes, envelope and signature included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentHash([u8; 32]);

impl DocumentHash {
    /// Hashes a signed document.
    #[must_use]
    pub fn of(signed: &[u8]) -> Self {
        Self(*blake3::hash(signed).as_bytes())
    }

    /// Takes 32 bytes that are already a hash.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for DocumentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for DocumentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DocumentHash({})", hex::encode(&self.0[..5]))
    }
}

/// Why a signed document was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The document is longer than any real one; it was not read. Whoever sent it is broken or
    /// hostile: ask somebody else.
    #[error("a document of {length} bytes, longer than any of its kind")]
    TooLarge {
        /// Its length in bytes.
        length: usize,
    },
    /// The bytes are not such a document, or not in their one canonical form. Fetch it again,
    /// or upgrade when its version is newer.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// The document names the expected key, but was altered after it was signed or never signed
    /// by that key. Fetch it again from somebody else.
    #[error("the signature of {expected} does not fit")]
    BadSignature {
        /// The key that should have signed.
        expected: PublicKey,
    },
    /// The document is somebody else's. Accept the new key first if that is intended.
    #[error("signed by {found}, expected {expected}")]
    WrongKey {
        /// The key that should have signed.
        expected: PublicKey,
        /// The key the document names.
        found: PublicKey,
    },
    /// The key signed this as another kind of document. Never accept it.
    #[error("signed as {found}, expected {expected}")]
    WrongContext {
        /// What it was to be.
        expected: Context,
        /// What it was signed as.
        found: Context,
    },
}

/// What is inside the envelope.
pub trait Payload: Sized {
    /// What a signature over it is made for.
    const CONTEXT: Context;
    /// The largest document of this kind, signature included, in bytes.
    const BYTES_MAX: usize = DOCUMENT_BYTES_MAX;

    /// Encodes the payload.
    fn encode(&self) -> Vec<u8>;

    /// Decodes the payload, canonical only.
    ///
    /// # Errors
    /// Anything but the one encoding of such a payload.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;
}

/// A payload that says itself who signs it; `publisher` and the like are called the signer here.
pub trait Attributed: Payload {
    /// The key that is to have signed, according to the payload itself.
    fn signer(&self) -> PublicKey;
}

/// Signs `payload`; the key should be the one it names, otherwise nobody will accept it.
#[must_use]
pub fn sign<P: Attributed>(payload: &P, key: &NodeKey) -> Vec<u8> {
    unsigned(payload.encode())
        .create_signature(P::CONTEXT.as_str().as_bytes(), |message| key.sign(message).to_vec())
        .build()
        .to_tagged_vec()
        .expect("the headers are fixed and encode")
}

/// Verifies and decodes `signed`, which must be by `expected`.
///
/// # Errors
/// Anything that is not exactly such a document.
pub fn open<P: Attributed>(signed: &[u8], expected: &PublicKey) -> Result<P, DocumentError> {
    let (payload, signature) = split(signed, P::BYTES_MAX)?;
    let verifies = |context: Context| {
        let message = unsigned(payload.clone()).build().tbs_data(context.as_str().as_bytes());
        expected.verifies(&message, &signature)
    };
    if !verifies(P::CONTEXT) {
        if let Some(found) = Context::ALL.into_iter().find(|context| verifies(*context)) {
            return Err(DocumentError::WrongContext { expected: P::CONTEXT, found });
        }
        // The signature says nothing: what the payload claims only picks the better message.
        return Err(match P::decode(&payload)?.signer() {
            found if found == *expected => DocumentError::BadSignature { expected: *expected },
            found => DocumentError::WrongKey { expected: *expected, found },
        });
    }
    let opened = P::decode(&payload)?;
    match opened.signer() {
        found if found == *expected => Ok(opened),
        found => Err(DocumentError::WrongKey { expected: *expected, found }),
    }
}

/// Decodes `signed` WITHOUT verifying the signature.
///
/// # Errors
/// Anything that is no such document.
pub fn peek<P: Attributed>(signed: &[u8]) -> Result<P, DocumentError> {
    Ok(P::decode(&split(signed, P::BYTES_MAX)?.0)?)
}

fn unsigned(payload: Vec<u8>) -> CoseSign1Builder {
    let protected = HeaderBuilder::new().algorithm(iana::Algorithm::EdDSA).build();
    CoseSign1Builder::new().protected(protected).payload(payload)
}

/// Takes the envelope apart; anything but our own encoding of it is refused.
fn split(signed: &[u8], bytes_max: usize) -> Result<(Vec<u8>, [u8; 64]), DocumentError> {
    if signed.len() > bytes_max {
        return Err(DocumentError::TooLarge { length: signed.len() });
    }
    let envelope = CoseSign1::from_tagged_slice(signed).map_err(|error| malformed(WHAT, error))?;
    let Some(payload) = envelope.payload else {
        return Err(malformed(WHAT, "it has no payload").into());
    };
    let signature: [u8; 64] = envelope
        .signature
        .try_into()
        .map_err(|_| malformed(WHAT, "a signature must be 64 bytes"))?;
    let again = unsigned(payload.clone()).signature(signature.to_vec()).build().to_tagged_vec();
    if again.as_deref().ok() != Some(signed) {
        return Err(DecodeError::NotCanonical { what: WHAT }.into());
    }
    Ok((payload, signature))
}

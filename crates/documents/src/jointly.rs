//! COSE_Sign (RFC 9052): one payload signed by several keys, of which so many must have signed.
//!
//! Signatures may be collected one after the other, on machines that never meet: whoever gets a
//! document adds its own with [`add_signature`]. What counts is decided by a [`Quorum`]; other
//! signatures, also wrong ones, change nothing. Headers are fixed and signatures sorted by key, so
//! that a payload with given signatures has one encoding.

use std::collections::{BTreeMap, BTreeSet};

use content::DecodeError;
use coset::{
    CoseSign, CoseSignBuilder, CoseSignature, CoseSignatureBuilder, HeaderBuilder,
    TaggedCborSerializable, iana,
};

use crate::cbor::malformed;
use crate::envelope::Payload;
use crate::{DOCUMENT_BYTES_MAX, DocumentError, DocumentHash, NodeKey, PublicKey};

/// Most signatures of one document: as many as two quorums of 16, the old one and the new.
pub const SIGNATURES_MAX: usize = 32;

const WHAT: &str = "jointly signed document";

/// Keys of which some have to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    /// Those that may.
    pub keys: BTreeSet<PublicKey>,
    /// How many have to.
    pub threshold: usize,
}

/// Why a jointly signed document was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    /// It is no such document at all.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Not enough of those who have to sign have done so, or what they signed was altered. Let more
    /// of them sign; when enough say they have, get the document from somebody else.
    #[error("{found} of the {needed} signatures that are needed fit")]
    TooFew {
        /// Signatures that count.
        found: usize,
        /// How many are needed.
        needed: usize,
    },
}

impl From<DecodeError> for QuorumError {
    fn from(error: DecodeError) -> Self {
        Self::Document(error.into())
    }
}

/// BLAKE3 of a payload: what a jointly signed document is known by, whoever has signed it so far.
#[must_use]
pub fn payload_hash<P: Payload>(payload: &P) -> DocumentHash {
    DocumentHash::of(&payload.encode())
}

/// Signs a payload with all of these keys, of which there are at most [`SIGNATURES_MAX`].
#[must_use]
pub fn sign<'a, P: Payload>(payload: &P, keys: impl IntoIterator<Item = &'a NodeKey>) -> Vec<u8> {
    let payload = payload.encode();
    let signatures = keys.into_iter().map(|key| (key.public(), sign_one::<P>(&payload, key)));
    assemble(&payload, &signatures.collect())
}

/// Adds a signature to a document. Signatures that do not fit, or are of nobody in `quorums`, are left
/// out: whoever passes the document on must not be able to fill it up.
///
/// # Errors
/// Anything that is no such document, and one that has [`SIGNATURES_MAX`] already.
pub fn add_signature<P: Payload>(
    signed: &[u8],
    key: &NodeKey,
    quorums: &[&Quorum],
) -> Result<Vec<u8>, QuorumError> {
    let (payload, mut signatures) = split(signed)?;
    P::decode(&payload)?;
    signatures.retain(|key, signature| {
        quorums.iter().any(|quorum| quorum.keys.contains(key))
            && key.verifies(&tbs::<P>(&payload, key), signature)
    });
    signatures.insert(key.public(), sign_one::<P>(&payload, key));
    if signatures.len() > SIGNATURES_MAX {
        return Err(malformed(WHAT, "it has as many signatures as there can be").into());
    }
    Ok(assemble(&payload, &signatures))
}

/// Verifies that a quorum signed this document, and decodes it.
///
/// # Errors
/// Anything that is no such document, and too few signatures that fit.
pub fn open<P: Payload>(signed: &[u8], quorum: &Quorum) -> Result<P, QuorumError> {
    let (payload, signatures) = split(signed)?;
    let found = count::<P>(&payload, &signatures, quorum);
    // A threshold of nothing would let everybody in.
    let needed = quorum.threshold.max(1);
    if found < needed {
        return Err(QuorumError::TooFew { found, needed });
    }
    Ok(P::decode(&payload)?)
}

/// How many of those who may sign have done so.
///
/// # Errors
/// Anything that is no such document.
pub fn signers<P: Payload>(signed: &[u8], quorum: &Quorum) -> Result<usize, DocumentError> {
    let (payload, signatures) = split(signed)?;
    Ok(count::<P>(&payload, &signatures, quorum))
}

/// Decodes a document WITHOUT verifying any signature.
///
/// # Errors
/// Anything that is no such document.
pub fn peek<P: Payload>(signed: &[u8]) -> Result<P, DocumentError> {
    Ok(P::decode(&split(signed)?.0)?)
}

fn count<P: Payload>(payload: &[u8], signatures: &Signatures, quorum: &Quorum) -> usize {
    let fits = |key: &&PublicKey| {
        signatures
            .get(*key)
            .is_some_and(|signature| key.verifies(&tbs::<P>(payload, key), signature))
    };
    quorum.keys.iter().filter(fits).count()
}

fn sign_one<P: Payload>(payload: &[u8], key: &NodeKey) -> [u8; 64] {
    key.sign(&tbs::<P>(payload, &key.public()))
}

fn tbs<P: Payload>(payload: &[u8], key: &PublicKey) -> Vec<u8> {
    let document = CoseSignBuilder::new().payload(payload.to_vec()).build();
    document.tbs_data(P::CONTEXT.as_str().as_bytes(), &signature(key, Vec::new()))
}

fn signature(key: &PublicKey, bytes: Vec<u8>) -> CoseSignature {
    let protected = HeaderBuilder::new()
        .algorithm(iana::Algorithm::EdDSA)
        .key_id(key.as_bytes().to_vec())
        .build();
    CoseSignatureBuilder::new().protected(protected).signature(bytes).build()
}

fn assemble(payload: &[u8], signatures: &Signatures) -> Vec<u8> {
    signatures
        .iter()
        .fold(CoseSignBuilder::new().payload(payload.to_vec()), |document, (key, bytes)| {
            document.add_signature(signature(key, bytes.to_vec()))
        })
        .build()
        .to_tagged_vec()
        .expect("the headers are fixed and encode")
}

/// By the key that each is of.
type Signatures = BTreeMap<PublicKey, [u8; 64]>;

/// Takes a document apart; anything but our own encoding of it is refused.
fn split(signed: &[u8]) -> Result<(Vec<u8>, Signatures), DocumentError> {
    if signed.len() > DOCUMENT_BYTES_MAX {
        return Err(DocumentError::TooLarge { length: signed.len() });
    }
    let document = CoseSign::from_tagged_slice(signed).map_err(|error| malformed(WHAT, error))?;
    let Some(payload) = document.payload else {
        return Err(malformed(WHAT, "it has no payload").into());
    };
    if document.signatures.is_empty() || document.signatures.len() > SIGNATURES_MAX {
        return Err(malformed(WHAT, format!("{} signatures", document.signatures.len())).into());
    }
    let mut signatures = BTreeMap::new();
    for one in document.signatures {
        let key = PublicKey::from_slice(&one.protected.header.key_id);
        let key = key.ok_or_else(|| malformed(WHAT, "a key must be 32 bytes"))?;
        let bytes = one.signature.try_into();
        signatures.insert(key, bytes.map_err(|_| malformed(WHAT, "a signature must be 64 bytes"))?);
    }
    if assemble(&payload, &signatures) != signed {
        return Err(DecodeError::NotCanonical { what: WHAT }.into());
    }
    Ok((payload, signatures))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Context;

    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Note(u8);

    impl Payload for Note {
        const CONTEXT: Context = Context::Charter;

        fn encode(&self) -> Vec<u8> {
            vec![self.0]
        }

        fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
            match bytes {
                [byte] if *byte < 24 => Ok(Self(*byte)),
                _ => Err(malformed("note", "not one small number")),
            }
        }
    }

    /// The same bytes, signed as something else.
    struct Other(u8);

    impl Payload for Other {
        const CONTEXT: Context = Context::Roster;

        fn encode(&self) -> Vec<u8> {
            vec![self.0]
        }

        fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
            Note::decode(bytes).map(|note| Self(note.0))
        }
    }

    fn key(secret: u8) -> NodeKey {
        NodeKey::from_secret_bytes([secret; 32])
    }

    fn quorum(keys: &[u8], threshold: usize) -> Quorum {
        Quorum { keys: keys.iter().map(|secret| key(*secret).public()).collect(), threshold }
    }

    #[test]
    fn as_many_as_are_needed_have_to_sign() {
        let signed = sign(&Note(7), [&key(1), &key(2)]);
        assert_eq!(open(&signed, &quorum(&[1, 2, 3], 2)), Ok(Note(7)));
        assert_eq!(open(&signed, &quorum(&[1], 1)), Ok(Note(7)));
        let too_few = |found, needed| Err(QuorumError::TooFew { found, needed });
        assert_eq!(open::<Note>(&signed, &quorum(&[1, 2, 3], 3)), too_few(2, 3));
        assert_eq!(open::<Note>(&signed, &quorum(&[3, 4], 1)), too_few(0, 1));
        assert_eq!(open::<Note>(&signed, &quorum(&[], 0)), too_few(0, 1), "nobody is no quorum");
    }

    #[test]
    fn signatures_are_collected_one_after_the_other() {
        let add = |signed: &[u8], secret| {
            add_signature::<Note>(signed, &key(secret), &[&quorum(&[1, 2], 1), &quorum(&[3], 1)])
        };
        let one = sign(&Note(7), [&key(2)]);
        let two = add(&one, 1).expect("adds");
        assert_eq!(two, sign(&Note(7), [&key(1), &key(2)]), "in whichever order they came");
        assert_eq!(add(&two, 1).as_deref(), Ok(&two[..]), "once is enough");
        assert_eq!(signers::<Note>(&two, &quorum(&[1, 2, 3], 3)), Ok(2));
        // What somebody put in between to fill it up is left out.
        let (payload, mut signatures) = split(&two).expect("splits");
        signatures.insert(key(3).public(), [5; 64]);
        signatures.extend((4..=31).map(|secret| (key(secret).public(), [5; 64])));
        let filled = assemble(&payload, &signatures);
        let three = add(&filled, 3).expect("adds");
        assert_eq!(three, sign(&Note(7), [&key(1), &key(2), &key(3)]));
        let many: Vec<NodeKey> = (1..=32).map(key).collect();
        let all = quorum(&(1..=32).collect::<Vec<u8>>(), 32);
        let full = sign(&Note(7), &many);
        assert_eq!(open(&full, &all), Ok(Note(7)));
        assert!(add_signature::<Note>(&full, &key(33), &[&all]).is_err());
    }

    #[test]
    fn wrong_signatures_count_for_nothing_and_spoil_nothing() {
        let good = sign(&Note(7), [&key(1)]);
        let (payload, mut signatures) = split(&good).expect("splits");
        signatures.insert(key(2).public(), [5; 64]);
        let mixed = assemble(&payload, &signatures);
        assert_eq!(open(&mixed, &quorum(&[1, 2], 1)), Ok(Note(7)));
        let too_few = Err(QuorumError::TooFew { found: 1, needed: 2 });
        assert_eq!(open::<Note>(&mixed, &quorum(&[1, 2], 2)), too_few);
        // A signature of one key under the name of another.
        let moved = [(key(2).public(), signatures[&key(1).public()])].into();
        assert!(open::<Note>(&assemble(&payload, &moved), &quorum(&[2], 1)).is_err());
        // Signed as another kind of document.
        assert!(open::<Other>(&good, &quorum(&[1], 1)).is_err());
    }

    #[test]
    fn one_document_has_one_encoding() {
        let signed = sign(&Note(7), [&key(1), &key(2)]);
        for index in 0..signed.len() {
            let mut altered = signed.clone();
            altered[index] ^= 1;
            let opened = open::<Note>(&altered, &quorum(&[1, 2], 2));
            assert!(opened.is_err(), "byte {index} may be altered");
        }
        for length in 0..signed.len() {
            assert!(peek::<Note>(&signed[..length]).is_err());
        }
        assert!(peek::<Note>(&[&signed[..], &[0]].concat()).is_err());
        assert!(peek::<Note>(&vec![0; DOCUMENT_BYTES_MAX + 1]).is_err());
        let none = assemble(&[7], &BTreeMap::new());
        assert!(peek::<Note>(&none).is_err());
    }
}

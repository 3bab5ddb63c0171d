//! Who besides the owner of a name may publish under it.
//!
//! The owner signs the whole list each time it changes. A hub can hide a change until the list
//! before it expires, and nothing else: it can neither add a key nor go back to an older list,
//! because lists are numbered and a node keeps the newest it has seen.

use std::collections::BTreeMap;

use content::DecodeError;

use crate::cbor;
use crate::envelope::{self, Attributed, Payload};
use crate::release::read_name;
use crate::{
    AcceptError, Context, DocumentError, DocumentHash, Manifest, NodeKey, PublicKey, ReleaseName,
    Seen,
};

/// Most keys in one delegation.
pub const PUBLISHERS_MAX: usize = 512;

/// How far ahead of what it has seen an owner follows a release that it disowned: see
/// [`Authority::open_latest`].
pub const DISOWNED_AHEAD_MAX: u64 = 1000;

/// Which releases of a key count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tenure {
    /// All, also those to come.
    Current,
    /// Those up to this number, from 1: the key was a publisher once.
    Until(u64),
}

/// The publishers of one name, as its owner states them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// Whose name it is, and who signs.
    pub owner: PublicKey,
    /// The name it speaks of.
    pub name: ReleaseName,
    /// Greater than that of every list before, from 1.
    pub number: u64,
    /// When it was signed, in seconds since 1970.
    pub issued: u64,
    /// From when on it says nothing any more, in seconds since 1970.
    pub expires: u64,
    /// The keys, at most [`PUBLISHERS_MAX`]; not the owner, who needs no list.
    pub publishers: BTreeMap<PublicKey, Tenure>,
}

impl Delegation {
    /// Signs the delegation with the owner's key.
    #[must_use]
    pub fn sign(&self, key: &NodeKey) -> Vec<u8> {
        envelope::sign(self, key)
    }

    /// Verifies that `owner` signed this delegation, and decodes it.
    ///
    /// # Errors
    /// Anything that is not exactly such a document.
    pub fn open(signed: &[u8], owner: &PublicKey) -> Result<(Self, DocumentHash), DocumentError> {
        Ok((envelope::open(signed, owner)?, DocumentHash::of(signed)))
    }

    /// The owner the delegation names, NOT verified: good to show or to pin at first use.
    ///
    /// # Errors
    /// When the bytes are no delegation.
    pub fn peek_owner(signed: &[u8]) -> Result<PublicKey, DocumentError> {
        Ok(envelope::peek::<Self>(signed)?.owner)
    }

    /// Those who may publish from now on.
    pub fn current(&self) -> impl Iterator<Item = &PublicKey> {
        self.publishers.iter().filter(|(_, tenure)| **tenure == Tenure::Current).map(|(key, _)| key)
    }

    /// Whether release `sequence` may be signed by `key`.
    #[must_use]
    pub fn covers(&self, key: &PublicKey, sequence: u64) -> bool {
        match self.publishers.get(key) {
            Some(Tenure::Current) => true,
            Some(Tenure::Until(last)) => sequence <= *last,
            None => false,
        }
    }
}

/// Who may sign the releases of one name: its owner, and whom the owner's delegation covers.
#[derive(Debug, Clone)]
pub struct Authority {
    owner: PublicKey,
    delegation: Result<Option<Delegation>, AcceptError>,
    signed: Option<Vec<u8>>,
}

impl Authority {
    /// The owner alone.
    #[must_use]
    pub const fn of_owner(owner: PublicKey) -> Self {
        Self { owner, delegation: Ok(None), signed: None }
    }

    /// The owner of `name` and those covered by the newest of `lists`: the one that was seen last,
    /// and the one that came with the release. `now` is in seconds since 1970.
    ///
    /// A list that is newer is never passed over for an older one, even when it has expired. What
    /// is wrong with all of them matters only to releases that need one: they are refused for it.
    #[must_use]
    pub fn new<'a>(
        owner: PublicKey,
        lists: impl IntoIterator<Item = &'a [u8]>,
        name: &ReleaseName,
        now: u64,
    ) -> Self {
        let mut authority = Self::of_owner(owner);
        for signed in lists {
            let opened = open_list(signed, &owner, name);
            match (&opened, &authority.delegation) {
                (Ok(new), Ok(Some(known))) if new.number <= known.number => {}
                (Ok(_), _) => {
                    authority.delegation = opened.map(Some);
                    authority.signed = Some(signed.to_vec());
                }
                (Err(_), Ok(Some(_))) => {}
                (Err(_), _) => authority.delegation = opened.map(Some),
            }
        }
        if let Ok(Some(Delegation { expires, .. })) = authority.delegation
            && expires <= now
        {
            authority.delegation = Err(AcceptError::ExpiredDelegation { expires, now });
        }
        authority
    }

    /// The newest delegation, if there is any.
    ///
    /// # Errors
    /// It has expired, or what was offered is none.
    pub fn delegation(&self) -> Result<Option<&Delegation>, &AcceptError> {
        self.delegation.as_ref().map(Option::as_ref)
    }

    /// The newest list as it was signed, to be remembered; also when it has expired.
    #[must_use]
    pub fn signed(&self) -> Option<&[u8]> {
        self.signed.as_deref()
    }

    /// Verifies and decodes a manifest by whoever may sign it; for the newest release see
    /// [`crate::accept_head`].
    ///
    /// # Errors
    /// Anything that is not exactly such a document, and signers who may not.
    pub fn open_manifest(&self, signed: &[u8]) -> Result<(Manifest, DocumentHash), AcceptError> {
        self.open(signed, |manifest: &Manifest| manifest.sequence)
    }

    /// Verifies and decodes the newest release as the one that a release of `publisher` comes
    /// after.
    ///
    /// The owner also follows one whose signer is no publisher any more: numbers and chain go on
    /// over it, or whoever stole a key could end the name with it. Not further than
    /// [`DISOWNED_AHEAD_MAX`] after what was `seen`, so that a hub which makes one up cannot use
    /// up the numbers. Whether such a release counts says [`check`](Self::check): it does not.
    ///
    /// # Errors
    /// As [`open_manifest`](Self::open_manifest).
    pub fn open_latest(
        &self,
        signed: &[u8],
        publisher: &PublicKey,
        seen: Option<&Seen>,
    ) -> Result<(Manifest, DocumentHash), AcceptError> {
        let last = seen.map_or(0, |seen| seen.sequence).saturating_add(DISOWNED_AHEAD_MAX);
        match self.open_manifest(signed) {
            Err(AcceptError::NotDelegated { found, sequence, .. })
                if *publisher == self.owner && sequence <= last =>
            {
                Ok(Manifest::open(signed, &found)?)
            }
            opened => opened,
        }
    }

    /// Whether `key` may sign release `sequence`.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, key: &PublicKey, sequence: u64) -> Result<(), AcceptError> {
        if *key == self.owner {
            return Ok(());
        }
        match &self.delegation {
            Err(error) => Err(error.clone()),
            Ok(None) => Err(AcceptError::WrongKey { expected: self.owner, found: *key }),
            Ok(Some(delegation)) if delegation.covers(key, sequence) => Ok(()),
            Ok(Some(_)) => {
                Err(AcceptError::NotDelegated { owner: self.owner, found: *key, sequence })
            }
        }
    }

    /// Verifies and decodes a document about one release, by whoever may sign it.
    pub(crate) fn open<P: Attributed>(
        &self,
        signed: &[u8],
        sequence: impl FnOnce(&P) -> u64,
    ) -> Result<(P, DocumentHash), AcceptError> {
        // What cannot be read has no signer: opening it under the owner's key says what it is.
        let signer = match envelope::peek::<P>(signed) {
            Ok(claimed) => {
                let signer = claimed.signer();
                self.check(&signer, sequence(&claimed))?;
                signer
            }
            Err(_) => self.owner,
        };
        Ok((envelope::open(signed, &signer)?, DocumentHash::of(signed)))
    }
}

fn open_list(
    signed: &[u8],
    owner: &PublicKey,
    name: &ReleaseName,
) -> Result<Delegation, AcceptError> {
    let (delegation, _) = Delegation::open(signed, owner)?;
    if delegation.name == *name {
        return Ok(delegation);
    }
    let (expected, found) = (name.to_string(), delegation.name.to_string());
    Err(AcceptError::WrongName { expected, found })
}

const VERSION: u8 = 0;
const OWNER: u8 = 1;
const NAME: u8 = 2;
const NUMBER: u8 = 3;
const ISSUED: u8 = 4;
const EXPIRES: u8 = 5;
const PUBLISHERS: u8 = 6;

/// How [`Tenure::Current`] is written; releases are numbered from 1.
const NO_LAST: u64 = 0;

impl Payload for Delegation {
    const CONTEXT: Context = Context::Delegation;

    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.map(7)?.u8(VERSION)?.u8(1)?;
            writer.u8(OWNER)?.bytes(self.owner.as_bytes())?;
            writer.u8(NAME)?.str(self.name.as_str())?;
            writer.u8(NUMBER)?.u64(self.number)?;
            writer.u8(ISSUED)?.u64(self.issued)?.u8(EXPIRES)?.u64(self.expires)?;
            writer.u8(PUBLISHERS)?.array(self.publishers.len() as u64)?;
            for (key, tenure) in &self.publishers {
                let last = match tenure {
                    Tenure::Current => NO_LAST,
                    Tenure::Until(last) => *last,
                };
                writer.array(2)?.bytes(key.as_bytes())?.u64(last)?;
            }
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut cbor::Reader<'_>| {
            let mut fields = reader.fields()?;
            fields.expect(reader, VERSION)?;
            reader.version(1)?;
            fields.expect(reader, OWNER)?;
            let owner = PublicKey::from_bytes(reader.array()?);
            fields.expect(reader, NAME)?;
            let name = read_name(reader)?;
            fields.expect(reader, NUMBER)?;
            let number = match reader.u64()? {
                0 => return Err(reader.invalid("delegations are numbered from 1")),
                number => number,
            };
            fields.expect(reader, ISSUED)?;
            let issued = reader.u64()?;
            fields.expect(reader, EXPIRES)?;
            let expires = reader.u64()?;
            fields.expect(reader, PUBLISHERS)?;
            let publishers = read_publishers(reader, &owner)?;
            fields.finish(reader)?;
            Ok(Self { owner, name, number, issued, expires, publishers })
        };
        cbor::decode_canonical("delegation", bytes, read, Self::encode)
    }
}

impl Attributed for Delegation {
    fn signer(&self) -> PublicKey {
        self.owner
    }
}

/// The keys ascend: anything else is not what encoding them again gives.
fn read_publishers(
    reader: &mut cbor::Reader<'_>,
    owner: &PublicKey,
) -> Result<BTreeMap<PublicKey, Tenure>, DecodeError> {
    let count = reader.items()?;
    if count > PUBLISHERS_MAX as u64 {
        return Err(reader.invalid(format!("{count} publishers")));
    }
    let mut publishers = BTreeMap::new();
    for _ in 0..count {
        reader.array_of(2)?;
        let key = PublicKey::from_bytes(reader.array()?);
        let tenure = match reader.u64()? {
            NO_LAST => Tenure::Current,
            last => Tenure::Until(last),
        };
        if key == *owner {
            return Err(reader.invalid("the owner needs no delegation"));
        }
        publishers.insert(key, tenure);
    }
    Ok(publishers)
}

#[cfg(test)]
mod tests {
    use content::ChunkId;
    use content::closure::ClosureEntry;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn key(number: u8) -> NodeKey {
        NodeKey::from_secret_bytes([number; 32])
    }

    fn name() -> ReleaseName {
        "team/tools".parse().expect("a name")
    }

    fn delegation() -> Delegation {
        Delegation {
            owner: key(1).public(),
            name: name(),
            number: 3,
            issued: NOW - 10,
            expires: NOW + 10,
            publishers: [(key(2).public(), Tenure::Current), (key(3).public(), Tenure::Until(4))]
                .into(),
        }
    }

    fn of(lists: &[&[u8]]) -> Authority {
        Authority::new(key(1).public(), lists.iter().copied(), &name(), NOW)
    }

    fn number(authority: &Authority) -> Option<u64> {
        authority.delegation().ok().flatten().map(|delegation| delegation.number)
    }

    fn authority(delegation: &Delegation) -> Authority {
        of(&[&delegation.sign(&key(1))])
    }

    fn release(sequence: u64, signer: &NodeKey) -> Vec<u8> {
        let chunk = ClosureEntry { id: ChunkId::of(b"tree"), stored_length: 4 };
        let manifest = Manifest {
            publisher: signer.public(),
            name: name(),
            sequence,
            previous: Some(DocumentHash::of(b"the one before")),
            issued: NOW - 1,
            expires: NOW + 1,
            tree: chunk,
            closure: chunk,
            totals: None,
            parameters: content::cut::PARAMETERS,
            sealed_root: None,
        };
        manifest.sign(signer)
    }

    #[test]
    fn the_owner_alone_goes_on_after_a_release_it_disowned() {
        let (owner, thief) = (key(1), key(9));
        let authority = authority(&delegation());
        let seen = Some(Seen { sequence: 6, manifest: DocumentHash::of(b"seen") });
        let opened = authority.open_latest(&release(7, &thief), &owner.public(), seen.as_ref());
        let (manifest, _) = opened.expect("goes on");
        assert_eq!((manifest.sequence, manifest.publisher), (7, thief.public()));
        assert!(authority.check(&manifest.publisher, 7).is_err(), "it counts all the same not");

        // Other publishers leave it to the owner; numbers are not used up; signatures must hold.
        let far = release(7 + DISOWNED_AHEAD_MAX, &thief);
        let mut forged = release(7, &thief);
        *forged.last_mut().expect("a byte") ^= 1;
        for (signed, publisher) in [
            (&release(7, &thief), key(2).public()),
            (&far, owner.public()),
            (&forged, owner.public()),
        ] {
            assert!(authority.open_latest(signed, &publisher, seen.as_ref()).is_err());
        }
        // Without any list nobody was ever named, so nobody was disowned.
        let alone = Authority::of_owner(owner.public());
        assert!(alone.open_latest(&release(7, &thief), &owner.public(), None).is_err());
    }

    #[test]
    fn the_owner_signs_always_and_the_others_as_far_as_they_are_named() {
        for authority in [Authority::of_owner(key(1).public()), authority(&delegation())] {
            assert_eq!(authority.check(&key(1).public(), 7), Ok(()));
        }
        let authority = authority(&delegation());
        assert_eq!(authority.check(&key(2).public(), 7), Ok(()));
        assert_eq!(authority.check(&key(3).public(), 4), Ok(()));
        let refused = |key: PublicKey, sequence| {
            let owner = self::key(1).public();
            Err(AcceptError::NotDelegated { owner, found: key, sequence })
        };
        assert_eq!(authority.check(&key(3).public(), 5), refused(key(3).public(), 5));
        assert_eq!(authority.check(&key(4).public(), 1), refused(key(4).public(), 1));
        assert_eq!(number(&authority), Some(3));
    }

    #[test]
    fn nobody_else_makes_a_publisher() {
        let ben = key(2).public();
        let alone = Authority::of_owner(key(1).public()).check(&ben, 1);
        assert_eq!(alone, Err(AcceptError::WrongKey { expected: key(1).public(), found: ben }));
        // Signed by the publisher itself, in the owner's name and in its own.
        let forged = delegation().sign(&key(2));
        let forged = of(&[&forged]);
        let bad = AcceptError::BadSignature { expected: key(1).public() };
        assert_eq!(forged.check(&ben, 1), Err(bad));
        let own = Delegation { owner: ben, publishers: BTreeMap::new(), ..delegation() };
        let own = own.sign(&key(2));
        let own = of(&[&own]);
        let wrong = AcceptError::WrongKey { expected: key(1).public(), found: ben };
        assert_eq!(own.check(&ben, 1), Err(wrong));
        assert!(forged.delegation().is_err() && own.delegation().is_err());
    }

    #[test]
    fn an_expired_and_another_names_delegation_cover_nobody() {
        let ben = key(2).public();
        let expired = authority(&Delegation { expires: NOW, ..delegation() }).check(&ben, 1);
        assert_eq!(expired, Err(AcceptError::ExpiredDelegation { expires: NOW, now: NOW }));
        let other = "team/other".parse().expect("a name");
        let other = authority(&Delegation { name: other, ..delegation() }).check(&ben, 1);
        let (expected, found) = ("team/tools".into(), "team/other".into());
        assert_eq!(other, Err(AcceptError::WrongName { expected, found }));
    }

    /// What a hub that hides the newest list gains: nothing.
    #[test]
    fn an_older_list_never_takes_the_place_of_a_newer_one() {
        let ben = key(2).public();
        let older = delegation().sign(&key(1));
        let without = Delegation { number: 4, publishers: BTreeMap::new(), ..delegation() };
        let newer = without.sign(&key(1));
        let gone = Delegation { expires: NOW, ..without }.sign(&key(1));
        let forged = Delegation { number: 9, ..delegation() }.sign(&key(2));
        for lists in [[&newer[..], &older], [&older, &newer]] {
            assert_eq!(number(&of(&lists)), Some(4));
            assert_eq!(of(&lists).signed(), Some(&newer[..]));
            assert!(matches!(of(&lists).check(&ben, 1), Err(AcceptError::NotDelegated { .. })));
        }
        for lists in [[&gone[..], &older], [&older, &gone]] {
            let expired = AcceptError::ExpiredDelegation { expires: NOW, now: NOW };
            assert_eq!(of(&lists).check(&ben, 1), Err(expired));
            assert_eq!(of(&lists).signed(), Some(&gone[..]), "to be remembered all the same");
        }
        for lists in [[&forged[..], &older], [&older, &forged]] {
            assert_eq!(of(&lists).check(&ben, 1), Ok(()));
        }
    }

    #[test]
    fn a_list_is_bounded_and_never_names_the_owner() {
        let owner =
            Delegation { publishers: [(key(1).public(), Tenure::Current)].into(), ..delegation() };
        assert!(Delegation::open(&owner.sign(&key(1)), &key(1).public()).is_err());
        let many = |count: usize| Delegation {
            publishers: (0..count)
                .map(|index| {
                    let mut bytes = [9; 32];
                    bytes[..8].copy_from_slice(&index.to_be_bytes());
                    (PublicKey::from_bytes(bytes), Tenure::Current)
                })
                .collect(),
            ..delegation()
        };
        let full = many(PUBLISHERS_MAX).sign(&key(1));
        let opened = Delegation::open(&full, &key(1).public()).expect("fits");
        assert_eq!(opened.0, many(PUBLISHERS_MAX));
        assert!(
            Delegation::open(&many(PUBLISHERS_MAX + 1).sign(&key(1)), &key(1).public()).is_err()
        );
    }
}

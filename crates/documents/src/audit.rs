//! The audit log of a hub, so that nobody changes it afterwards unseen.
//!
//! Each entry has a *link*: a hash over itself and the link of the entry before. A hub signs the newest
//! link now and then, with a key that is not in its database: an audit head. Whoever has a head, and the
//! entries up to it, knows that none of them was changed, left out or slipped in since it was signed.
//! Start at [`AuditCheck`].

use content::DecodeError;

use crate::cbor;
use crate::envelope::{self, Attributed, Payload};
use crate::{Context, DocumentError, NodeKey, PublicKey};

/// The link of an entry; of the first one, the link before it is all zeros.
pub type AuditLink = [u8; 32];

/// What comes before the first entry.
pub const AUDIT_BEGIN: AuditLink = [0; 32];

/// What the entry says was done that tells of removed ones.
pub const PRUNE_ACTION: &str = "prune-audit";

/// What a link is derived for.
const DERIVATION: &str = "consign 2026-11-22 entry of an audit log, version 1";

/// One entry, as its link has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its number in the chain, from 1, without gaps.
    pub number: u64,
    /// When, in seconds since 1970.
    pub time: u64,
    /// Who: `local`, a key, a console.
    pub actor: String,
    /// What.
    pub action: String,
    /// To what.
    pub subject: String,
    /// More about it, as JSON, byte by byte.
    pub detail: String,
}

impl AuditRecord {
    /// Its link behind the entry before.
    #[must_use]
    pub fn link(&self, previous: &AuditLink) -> AuditLink {
        let encoded = cbor::encode(|writer| {
            writer.array(8)?.u8(1)?.bytes(previous)?.u64(self.number)?.u64(self.time)?;
            writer.str(&self.actor)?.str(&self.action)?.str(&self.subject)?.str(&self.detail)?;
            Ok(())
        });
        blake3::derive_key(DERIVATION, &encoded)
    }
}

/// A hub's word that its log had this link at this number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// The hub's key for its log, which signs.
    pub key: PublicKey,
    /// Number of the newest entry.
    pub number: u64,
    /// The link of it.
    pub link: AuditLink,
    /// When it was signed, in seconds since 1970.
    pub issued: u64,
}

impl AuditHead {
    /// Signs the head with the hub's key for its log.
    #[must_use]
    pub fn sign(&self, key: &NodeKey) -> Vec<u8> {
        envelope::sign(self, key)
    }

    /// The subject of the entry that tells that all up to this one was removed: number and link.
    #[must_use]
    pub fn as_removed(&self) -> String {
        use std::fmt::Write as _;

        self.link.iter().fold(format!("{} ", self.number), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a text takes everything");
            text
        })
    }

    /// Verifies that the key it names signed it. Whether that is the hub's, the caller knows.
    ///
    /// # Errors
    /// Anything that is not exactly such a document.
    pub fn open(signed: &[u8]) -> Result<Self, DocumentError> {
        let key = envelope::peek::<Self>(signed)?.key;
        envelope::open(signed, &key)
    }
}

const VERSION: u8 = 0;
const KEY: u8 = 1;
const NUMBER: u8 = 2;
const LINK: u8 = 3;
const ISSUED: u8 = 4;

impl Payload for AuditHead {
    const CONTEXT: Context = Context::AuditHead;
    const BYTES_MAX: usize = 512;

    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.map(5)?.u8(VERSION)?.u8(1)?.u8(KEY)?.bytes(self.key.as_bytes())?;
            writer.u8(NUMBER)?.u64(self.number)?.u8(LINK)?.bytes(&self.link)?;
            writer.u8(ISSUED)?.u64(self.issued)?;
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut cbor::Reader<'_>| {
            let mut fields = reader.fields()?;
            fields.expect(reader, VERSION)?;
            reader.version(1)?;
            fields.expect(reader, KEY)?;
            let key = PublicKey::from_bytes(reader.array()?);
            fields.expect(reader, NUMBER)?;
            let number = reader.u64()?;
            fields.expect(reader, LINK)?;
            let link = reader.array()?;
            fields.expect(reader, ISSUED)?;
            let issued = reader.u64()?;
            fields.finish(reader)?;
            Ok(Self { key, number, link, issued })
        };
        cbor::decode_canonical("audit head", bytes, read, Self::encode)
    }
}

impl Attributed for AuditHead {
    fn signer(&self) -> PublicKey {
        self.key
    }
}

/// Why an audit log is not as its hub wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// Entries are missing, or their numbers were altered.
    #[error("entry {expected} is missing: {found} comes after {}", expected - 1)]
    LeftOut {
        /// The number that should have come.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// An entry is not the one that its link was made for, or the one before it was replaced.
    #[error("entry {number} was changed: it does not fit its link")]
    Changed {
        /// Its number.
        number: u64,
    },
    /// Entries were replaced together with their links.
    #[error(
        "entries were replaced: the hub signed another link for entry {number}; up to entry {good} \
         they are as it signed them"
    )]
    Replaced {
        /// The entry whose link was signed.
        number: u64,
        /// The last entry that a head vouches for, 0 for none.
        good: u64,
    },
    /// The end was cut off.
    #[error("the log ends with entry {last}, but the hub signed one with {signed}")]
    CutOff {
        /// The last entry there is.
        last: u64,
        /// Number in the newest head.
        signed: u64,
    },
    /// The last entries are not vouched for: the newest heads were left out, or nobody ever signed.
    #[error("nothing behind entry {good} is signed; the log ends with entry {last}")]
    Unsigned {
        /// The last entry that a head vouches for, 0 for none.
        good: u64,
        /// The last entry there is.
        last: u64,
    },
    /// The beginning is gone, and no entry tells that the hub removed it.
    #[error(
        "entries up to {number} are gone, and no entry tells that the hub removed them: somebody \
         else cut them off"
    )]
    CutOffBefore {
        /// The last entry that is gone.
        number: u64,
    },
    /// A head is damaged, or was not signed by the key it names.
    #[error("a head is refused")]
    Head(#[from] DocumentError),
}

/// Checks a log from its first entry on, in constant memory.
#[derive(Debug, Clone)]
pub struct AuditCheck {
    last: u64,
    link: AuditLink,
    /// The last entry that a head vouches for.
    good: u64,
    /// The largest number in a head.
    signed: u64,
    /// Where the log begins, when that is not at its first entry.
    removed: Option<Removed>,
}

/// The entries that were removed from the beginning of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Removed {
    /// The last of them.
    number: u64,
    /// What the entry that tells of it is about.
    subject: String,
    /// When they were removed, once that entry has come.
    time: Option<u64>,
}

impl Default for AuditCheck {
    fn default() -> Self {
        Self { last: 0, link: AUDIT_BEGIN, good: 0, signed: 0, removed: None }
    }
}

impl AuditCheck {
    /// The next entry, and the link that it is said to have.
    ///
    /// # Errors
    /// It is not the next one, or not the one its link was made for.
    pub fn handle_entry(
        &mut self,
        entry: &AuditRecord,
        link: &AuditLink,
    ) -> Result<(), AuditError> {
        let expected = self.last + 1;
        if entry.number != expected {
            return Err(AuditError::LeftOut { expected, found: entry.number });
        }
        if entry.link(&self.link) != *link {
            return Err(AuditError::Changed { number: expected });
        }
        if let Some(removed) = &mut self.removed
            && entry.action == PRUNE_ACTION
            && entry.subject == removed.subject
        {
            removed.time.get_or_insert(entry.time);
        }
        (self.last, self.link) = (expected, *link);
        Ok(())
    }

    /// A head of this log, when the entry it names was the last one. One that names a later entry is
    /// remembered: the entries up to it have to come.
    ///
    /// # Errors
    /// The hub signed another link for this entry.
    pub fn handle_head(&mut self, head: &AuditHead) -> Result<(), AuditError> {
        self.signed = self.signed.max(head.number);
        if head.number == self.last {
            if head.link != self.link {
                return Err(AuditError::Replaced { number: head.number, good: self.good });
            }
            self.good = self.last;
        }
        Ok(())
    }

    /// Goes on behind a head that is believed.
    #[must_use]
    pub const fn behind(head: &AuditHead) -> Self {
        let number = head.number;
        Self { last: number, link: head.link, good: number, signed: number, removed: None }
    }

    /// Begins behind the head of entries that are gone. An entry that comes has to tell that the hub removed
    /// them: it is what vouches for this head.
    #[must_use]
    pub fn behind_removed(head: &AuditHead) -> Self {
        let removed = Removed { number: head.number, subject: head.as_removed(), time: None };
        Self { removed: Some(removed), ..Self::behind(head) }
    }

    /// The last entry that the hub removed, and when, once the entry that tells of it has come.
    #[must_use]
    pub fn removed(&self) -> Option<(u64, u64)> {
        let Removed { number, time, .. } = self.removed.as_ref()?;
        Some((*number, (*time)?))
    }

    /// The link of the last entry.
    #[must_use]
    pub const fn link(&self) -> AuditLink {
        self.link
    }

    /// The last entry.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// That an entry tells of what is gone from the beginning, if anything is.
    ///
    /// # Errors
    /// None has come.
    pub const fn check_begin(&self) -> Result<(), AuditError> {
        match self.removed {
            Some(Removed { number, time: None, .. }) => Err(AuditError::CutOffBefore { number }),
            Some(_) | None => Ok(()),
        }
    }

    /// The end of the log; returns the number of its last entry.
    ///
    /// # Errors
    /// The hub signed more than there is, or less, or nothing tells why its beginning is gone.
    pub fn finish(&self) -> Result<u64, AuditError> {
        let Self { last, good, signed, .. } = *self;
        self.check_begin()?;
        if signed > last {
            return Err(AuditError::CutOff { last, signed });
        }
        if good < last {
            return Err(AuditError::Unsigned { good, last });
        }
        Ok(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> NodeKey {
        NodeKey::from_secret_bytes([1; 32])
    }

    fn record(number: u64) -> AuditRecord {
        AuditRecord {
            number,
            time: 1_800_000_000 + number,
            actor: "local".into(),
            action: "grant".into(),
            subject: format!("team/tools {number}"),
            detail: "{}".into(),
        }
    }

    /// Entries 1 to `last` with their links.
    fn log(last: u64) -> Vec<(AuditRecord, AuditLink)> {
        let mut link = AUDIT_BEGIN;
        let chained = |number| {
            let record = record(number);
            link = record.link(&link);
            (record, link)
        };
        (1..=last).map(chained).collect()
    }

    fn head(log: &[(AuditRecord, AuditLink)], number: usize) -> AuditHead {
        let link = log[number - 1].1;
        AuditHead { key: key().public(), number: number as u64, link, issued: 9 }
    }

    fn check(log: &[(AuditRecord, AuditLink)], heads: &[AuditHead]) -> Result<u64, AuditError> {
        let mut check = AuditCheck::default();
        for (record, link) in log {
            check.handle_entry(record, link)?;
            for head in heads.iter().filter(|head| head.number == record.number) {
                check.handle_head(head)?;
            }
        }
        heads.iter().try_for_each(|head| check.handle_head(head))?;
        check.finish()
    }

    #[test]
    fn a_log_as_it_was_written_is_accepted() {
        let log = log(9);
        assert_eq!(check(&log, &[head(&log, 4), head(&log, 9)]), Ok(9));
        assert_eq!(check(&[], &[]), Ok(0));
    }

    #[test]
    fn the_first_entry_that_was_changed_left_out_or_slipped_in_is_named() {
        let heads = [head(&log(9), 4), head(&log(9), 9)];
        let mut changed = log(9);
        changed[4].0.subject = "team/other".into();
        assert_eq!(check(&changed, &heads), Err(AuditError::Changed { number: 5 }));
        let mut shorter = log(9);
        shorter.remove(2);
        let error = AuditError::LeftOut { expected: 3, found: 4 };
        assert_eq!(check(&shorter, &heads), Err(error));
        // With the numbers put right, the one behind the gap does not fit.
        for (number, (record, _)) in (1..).zip(&mut shorter) {
            record.number = number;
        }
        assert_eq!(check(&shorter, &heads), Err(AuditError::Changed { number: 3 }));
        let mut more = log(9);
        more.insert(5, more[0].clone());
        let error = AuditError::LeftOut { expected: 6, found: 1 };
        assert_eq!(check(&more, &heads), Err(error));
        assert_eq!(check(&log(7), &heads), Err(AuditError::CutOff { last: 7, signed: 9 }));
        assert_eq!(check(&[], &heads), Err(AuditError::CutOff { last: 0, signed: 9 }));
    }

    #[test]
    fn who_makes_the_links_anew_is_seen_by_what_was_signed() {
        let heads = [head(&log(9), 4), head(&log(9), 9)];
        let (mut anew, mut link) = (log(9), AUDIT_BEGIN);
        anew[6].0.actor = "somebody else".into();
        for (record, stated) in &mut anew {
            link = record.link(&link);
            *stated = link;
        }
        let error = AuditError::Replaced { number: 9, good: 4 };
        assert_eq!(check(&anew, &heads), Err(error));
        // Without the head that tells of it, the end is not signed.
        let error = AuditError::Unsigned { good: 4, last: 9 };
        assert_eq!(check(&anew, &heads[..1]), Err(error));
        assert_eq!(check(&anew, &[]), Err(AuditError::Unsigned { good: 0, last: 9 }));
    }

    /// Entries 1 to 9, behind which one says that those up to `told` were removed, and the head of that one.
    fn pruned(told: &AuditHead) -> (Vec<(AuditRecord, AuditLink)>, AuditHead) {
        let mut log = log(9);
        let action = PRUNE_ACTION.to_owned();
        let record = AuditRecord { action, subject: told.as_removed(), ..record(10) };
        let link = record.link(&log[8].1);
        log.push((record, link));
        let newest = head(&log, 10);
        (log, newest)
    }

    fn check_behind(
        begin: &AuditHead,
        log: &[(AuditRecord, AuditLink)],
        newest: &AuditHead,
    ) -> Result<Option<(u64, u64)>, AuditError> {
        let mut check = AuditCheck::behind_removed(begin);
        log.iter().try_for_each(|(record, link)| check.handle_entry(record, link))?;
        check.handle_head(newest)?;
        check.finish()?;
        Ok(check.removed())
    }

    #[test]
    fn a_log_whose_hub_removed_its_beginning_says_so() {
        let begin = head(&log(9), 4);
        let (log, newest) = pruned(&begin);
        assert_eq!(check_behind(&begin, &log[4..], &newest), Ok(Some((4, 1_800_000_010))));
        // Nothing was removed yet when the hub was stopped.
        assert_eq!(check(&log, &[newest]), Ok(10));
    }

    #[test]
    fn who_cuts_the_beginning_off_is_found() {
        let begin = head(&log(9), 4);
        let (pruned, newest) = pruned(&begin);
        // More than the hub removed, and with the head of another place.
        let error = AuditError::LeftOut { expected: 5, found: 6 };
        assert_eq!(check_behind(&begin, &pruned[5..], &newest), Err(error));
        let later = head(&log(9), 6);
        let error = AuditError::CutOffBefore { number: 6 };
        assert_eq!(check_behind(&later, &pruned[6..], &newest), Err(error.clone()));
        // The hub removed nothing.
        let log = log(9);
        assert_eq!(check_behind(&later, &log[6..], &head(&log, 9)), Err(error));
        assert_eq!(
            check(&log[6..], &[head(&log, 9)]),
            Err(AuditError::LeftOut { expected: 1, found: 7 })
        );
        // Of a head whose link is another one, nothing behind it fits.
        let forged = AuditHead { link: [7; 32], ..begin };
        let error = AuditError::Changed { number: 5 };
        assert_eq!(check_behind(&forged, &pruned[4..], &newest), Err(error));
    }

    #[test]
    fn heads_are_the_hubs() {
        let log = log(3);
        let signed = head(&log, 3).sign(&key());
        assert_eq!(AuditHead::open(&signed), Ok(head(&log, 3)));
        let forged = head(&log, 3).sign(&NodeKey::from_secret_bytes([2; 32]));
        assert!(AuditHead::open(&forged).is_err());
        for place in 0..signed.len() {
            let mut other = signed.clone();
            other[place] ^= 1;
            assert!(AuditHead::open(&other).is_err(), "byte {place}");
        }
    }
}

//! Who manages a community.

use std::collections::BTreeSet;

use content::DecodeError;
use content::cbor::{self, Reader};
use documents::envelope::Payload;
use documents::jointly::{self, SIGNATURES_MAX};
use documents::{Context, DocumentHash, PublicKey, Quorum, QuorumError};

use crate::{CommunityId, identity};

/// Most managers of a community: those before a change and those after can all sign it.
pub const MANAGERS_MAX: usize = SIGNATURES_MAX / 2;
/// The longest name of a community, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// The root of all trust in a community: its managers, and how many of them have to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charter {
    /// The community.
    pub community: CommunityId,
    /// What people call it: 1 to [`NAME_BYTES_MAX`] bytes without control characters.
    pub name: String,
    /// From 1; each charter's is the one after that of the charter before.
    pub number: u64,
    /// When it was signed, in seconds since 1970.
    pub issued: u64,
    /// From when on no roster counts under it, in seconds since 1970: a key that was lost unseen must
    /// not manage for ever.
    pub expires: u64,
    /// Who may sign what follows, and how many of them have to.
    pub managers: Quorum,
    /// Hash of the charter before it; none for number 1.
    pub previous: Option<DocumentHash>,
    /// Whether it ends the community: nothing follows it, no roster counts under it, and that for good,
    /// whenever it expires.
    pub ended: bool,
}

/// Why a charter was refused. Whoever sent it is broken or hostile: ask another source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CharterError {
    /// It is no charter, or not enough managers signed it.
    #[error(transparent)]
    Signatures(#[from] QuorumError),
    /// It is of another community.
    #[error("a charter of {found} was offered for {expected}")]
    OtherCommunity {
        /// The community that was asked for.
        expected: CommunityId,
        /// The one in the charter.
        found: CommunityId,
    },
    /// There are two charters of one number, both signed, and this one is not, or does not follow, the
    /// one that is known. Managers' keys are in the wrong hands: speak with the managers.
    #[error("there are two charters {number}")]
    Forked {
        /// The number both have.
        number: u64,
    },
    /// It does not come next after the charter that is known. Ask for those in between.
    #[error("charter {offered} does not follow charter {known}")]
    BrokenChain {
        /// Number of the charter that is known.
        known: u64,
        /// Number of the one offered.
        offered: u64,
    },
    /// The community has ended by the charter that is known, and nothing follows that. Somebody tries to
    /// go on with it, with the keys of its managers: speak with them.
    #[error("the community ended with charter {number}")]
    Ended {
        /// Number of its last charter.
        number: u64,
    },
}

impl Charter {
    /// What the charter after this one refers to.
    #[must_use]
    pub fn hash(&self) -> DocumentHash {
        jointly::payload_hash(self)
    }

    /// Opens a charter that was handed over, such as in a seed: enough of its own managers have to
    /// have signed it. That makes it sound, not trusted: trust comes with the hand that gave it.
    ///
    /// # Errors
    /// No charter, or too few signatures.
    pub fn open(signed: &[u8]) -> Result<Self, CharterError> {
        let claimed: Self = jointly::peek(signed).map_err(QuorumError::from)?;
        Ok(jointly::open(signed, &claimed.managers)?)
    }

    /// Opens the charter that comes after this one: enough managers of either have to have signed it.
    ///
    /// # Errors
    /// Whatever breaks the chain.
    pub fn follow(&self, signed: &[u8]) -> Result<Self, CharterError> {
        let next = Self::open(signed)?;
        if self.ended {
            return Err(CharterError::Ended { number: self.number });
        }
        if next.community != self.community {
            let (expected, found) = (self.community, next.community);
            return Err(CharterError::OtherCommunity { expected, found });
        }
        let (known, offered) = (self.number, next.number);
        let is_next = known.checked_add(1) == Some(offered);
        if is_next && next.previous != Some(self.hash()) || offered == known && next != *self {
            return Err(CharterError::Forked { number: known });
        }
        if !is_next {
            return Err(CharterError::BrokenChain { known, offered });
        }
        Ok(jointly::open(signed, &self.managers)?)
    }

    /// The charter that ends the community: signed by as many managers as any change takes.
    #[must_use]
    pub fn ending(&self, issued: u64, expires: u64) -> Self {
        Self {
            number: self.number.saturating_add(1),
            issued,
            expires,
            previous: Some(self.hash()),
            ended: true,
            ..self.clone()
        }
    }
}

const VERSION: u8 = 0;
const COMMUNITY: u8 = 1;
const NAME: u8 = 2;
const NUMBER: u8 = 3;
const ISSUED: u8 = 4;
const EXPIRES: u8 = 5;
const MANAGERS: u8 = 6;
const THRESHOLD: u8 = 7;
const PREVIOUS: u8 = 8;
const ENDED: u8 = 9;

impl Payload for Charter {
    const CONTEXT: Context = Context::Charter;

    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            let options = [self.previous.is_some(), self.ended];
            let options = options.into_iter().filter(|it| *it).count() as u64;
            writer.map(8 + options)?.u8(VERSION)?.u8(1)?;
            writer.u8(COMMUNITY)?.bytes(self.community.as_bytes())?;
            writer.u8(NAME)?.str(&self.name)?.u8(NUMBER)?.u64(self.number)?;
            writer.u8(ISSUED)?.u64(self.issued)?.u8(EXPIRES)?.u64(self.expires)?;
            writer.u8(MANAGERS)?.array(self.managers.keys.len() as u64)?;
            for key in &self.managers.keys {
                writer.bytes(key.as_bytes())?;
            }
            writer.u8(THRESHOLD)?.u64(self.managers.threshold as u64)?;
            if let Some(previous) = &self.previous {
                writer.u8(PREVIOUS)?.bytes(previous.as_bytes())?;
            }
            if self.ended {
                writer.u8(ENDED)?.u8(1)?;
            }
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            let (mut fields, community) = identity::read_head(reader)?;
            fields.expect(reader, NAME)?;
            let name = crate::membership::read_line(reader, NAME_BYTES_MAX)?;
            fields.expect(reader, NUMBER)?;
            let number = read_number(reader)?;
            fields.expect(reader, ISSUED)?;
            let issued = reader.u64()?;
            fields.expect(reader, EXPIRES)?;
            let expires = reader.u64()?;
            fields.expect(reader, MANAGERS)?;
            let keys = read_keys(reader)?;
            fields.expect(reader, THRESHOLD)?;
            let threshold = match usize::try_from(reader.u64()?) {
                Ok(threshold) if (1..=keys.len()).contains(&threshold) => threshold,
                _ => return Err(reader.invalid("a threshold that its managers cannot reach")),
            };
            let previous = if fields.take(reader, PREVIOUS)? {
                Some(DocumentHash::from_bytes(reader.array()?))
            } else {
                None
            };
            let ended = fields.take(reader, ENDED)?;
            if ended && reader.u64()? != 1 {
                return Err(reader.invalid("an end is there or not"));
            }
            fields.finish(reader)?;
            if previous.is_some() != (number > 1) {
                return Err(reader.invalid("only the first charter has none before it"));
            }
            if ended && number == 1 {
                return Err(reader.invalid("a community does not begin with its end"));
            }
            let managers = Quorum { keys, threshold };
            Ok(Self { community, name, number, issued, expires, managers, previous, ended })
        };
        cbor::decode_canonical("charter", bytes, read, Self::encode)
    }
}

/// The keys ascend: anything else is not what encoding them again gives.
fn read_keys(reader: &mut Reader<'_>) -> Result<BTreeSet<PublicKey>, DecodeError> {
    let count = reader.items()?;
    if count == 0 || count > MANAGERS_MAX as u64 {
        return Err(reader.invalid(format!("{count} managers")));
    }
    (0..count).map(|_| Ok(PublicKey::from_bytes(reader.array()?))).collect()
}

pub(crate) fn read_number(reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
    match reader.u64()? {
        0 => Err(reader.invalid("they are numbered from 1")),
        number => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{charter, key};

    fn next(charter: &Charter, managers: &[u8], threshold: usize) -> Charter {
        let keys = managers.iter().map(|secret| key(*secret).public()).collect();
        Charter {
            number: charter.number + 1,
            managers: Quorum { keys, threshold },
            previous: Some(charter.hash()),
            ..charter.clone()
        }
    }

    #[test]
    fn managers_are_replaced_by_enough_of_the_old_and_of_the_new() {
        let first = charter();
        let second = next(&first, &[2, 3, 4], 2);
        let third = next(&second, &[4, 5], 1);
        let followed = first.follow(&jointly::sign(&second, [&key(1), &key(2), &key(3)]));
        assert_eq!(followed.as_ref(), Ok(&second));
        assert_eq!(second.follow(&jointly::sign(&third, [&key(2), &key(4)])), Ok(third.clone()));
        let too_few =
            |found, needed| Err(CharterError::Signatures(QuorumError::TooFew { found, needed }));
        // The new ones alone, the old one alone, and too few of either.
        assert_eq!(first.follow(&jointly::sign(&second, [&key(2), &key(3)])), too_few(0, 1));
        assert_eq!(first.follow(&jointly::sign(&second, [&key(1)])), too_few(0, 2));
        assert_eq!(second.follow(&jointly::sign(&third, [&key(4)])), too_few(1, 2));
    }

    #[test]
    fn all_managers_can_be_replaced_by_as_many_others() {
        let secrets = |from: u8| from..from + MANAGERS_MAX as u8;
        let of = |from| secrets(from).map(key).collect::<Vec<_>>();
        let first = Charter {
            managers: Quorum {
                keys: of(1).iter().map(documents::NodeKey::public).collect(),
                threshold: MANAGERS_MAX,
            },
            ..charter()
        };
        let second = next(&first, &secrets(101).collect::<Vec<_>>(), MANAGERS_MAX);
        let (old, new) = (of(1), of(101));
        assert_eq!(first.follow(&jointly::sign(&second, old.iter().chain(&new))), Ok(second));
    }

    #[test]
    fn a_chain_has_no_gaps_and_no_forks() {
        let first = charter();
        let signed = |charter: &Charter| jointly::sign(charter, [&key(1), &key(2)]);
        let second = next(&first, &[1], 1);
        let skipped = Charter { number: 3, ..second.clone() };
        let forked = Charter { previous: Some(DocumentHash::of(b"other")), ..second.clone() };
        let error = CharterError::BrokenChain { known: 1, offered: 3 };
        assert_eq!(first.follow(&signed(&skipped)), Err(error));
        let twin = Charter { name: "Plant 8".into(), ..first.clone() };
        for wrong in [&forked, &twin] {
            let error = CharterError::Forked { number: 1 };
            assert_eq!(first.follow(&signed(wrong)), Err(error));
        }
        let other = CommunityId::from_bytes([9; 16]);
        let (expected, found) = (first.community, other);
        let other = Charter { community: other, ..second.clone() };
        let error = CharterError::OtherCommunity { expected, found };
        assert_eq!(first.follow(&signed(&other)), Err(error));
        assert!(first.follow(&signed(&first)).is_err(), "the same again is no next one");
        assert!(second.follow(&signed(&first)).is_err(), "nor is an older one");
    }

    #[test]
    fn impossible_charters_do_not_decode() {
        let base = charter();
        let with = |keys: Vec<u8>, threshold| Charter {
            managers: Quorum { keys: keys.iter().map(|it| key(*it).public()).collect(), threshold },
            ..base.clone()
        };
        for wrong in [
            with(vec![1], 0),
            with(vec![1], 2),
            with(vec![], 0),
            with((1..=17).collect(), 1),
            Charter { name: String::new(), ..base.clone() },
            Charter { name: "a\nb".into(), ..base.clone() },
            Charter { name: "a".repeat(65), ..base.clone() },
            Charter { number: 0, ..base.clone() },
            Charter { number: 2, ..base.clone() },
            Charter { previous: Some(DocumentHash::of(b"")), ..base.clone() },
            Charter { ended: true, ..base.clone() },
        ] {
            assert!(Charter::decode(&wrong.encode()).is_err(), "{wrong:?}");
        }
        let last = base.ending(1, 2);
        let mut other_mark = last.encode();
        *other_mark.last_mut().expect("a byte") = 2;
        assert!(Charter::decode(&other_mark).is_err(), "one mark for an end");
        for right in [base, last] {
            assert_eq!(Charter::decode(&right.encode()), Ok(right));
        }
    }

    #[test]
    fn an_end_takes_as_many_managers_as_any_change_and_nothing_follows_it() {
        let quorum = Quorum { keys: [1, 2, 3].map(|it| key(it).public()).into(), threshold: 2 };
        let first = Charter { managers: quorum, ..charter() };
        let last = first.ending(first.issued + 5, first.expires + 5);
        let alone = first.follow(&jointly::sign(&last, [&key(1)]));
        let too_few = CharterError::Signatures(QuorumError::TooFew { found: 1, needed: 2 });
        assert_eq!(alone, Err(too_few), "a hub with the key of one manager ends nothing");
        let signed = jointly::sign(&last, [&key(1), &key(2)]);
        assert_eq!(first.follow(&signed).as_ref(), Ok(&last));
        // Whoever has all keys does not begin it again either, nor ends it twice.
        let again = Charter { ended: false, ..next(&last, &[1, 2, 3], 2) };
        let keys = [key(1), key(2), key(3)];
        for after in [again, last.ending(1, 2)] {
            let followed = last.follow(&jointly::sign(&after, &keys));
            assert_eq!(followed, Err(CharterError::Ended { number: 2 }));
        }
    }
}

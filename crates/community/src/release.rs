//! A publisher's releases for a community, and to whom each is addressed.

use content::closure::ClosureEntry;
use content::{CHUNK_BYTES_MAX, ChunkRef, Sealing, TreeRef};
use documents::{DocumentError, DocumentHash, Manifest, PublicKey, Seen};

use crate::{CommunityId, ExchangeKey, ExchangePublic, OpenError, Roster};
use documents::exchange::{MessageSeed, OVERHEAD_BYTES, Purpose, SealError};

/// Bytes of an envelope.
pub const ENVELOPE_BYTES: usize = PLAIN_BYTES + OVERHEAD_BYTES;
/// Key, plain length, the release before.
const PLAIN_BYTES: usize = 32 + 4 + 8;
const LABEL: &str = "consign/envelope/1";

/// Addresses one release to one target: gives it the key, and tells which release it has to have
/// answered before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope([u8; ENVELOPE_BYTES]);

/// What an envelope is bound to, and the receipt that answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The community.
    pub community: CommunityId,
    /// Hash of the release's signed manifest.
    pub manifest: DocumentHash,
    /// Whose release it is.
    pub publisher: PublicKey,
    /// For whom it is.
    pub target: PublicKey,
}

impl Address {
    pub(crate) fn place(&self) -> Vec<u8> {
        let parts: [&[u8]; 4] = [
            self.community.as_bytes(),
            self.manifest.as_bytes(),
            self.publisher.as_bytes(),
            self.target.as_bytes(),
        ];
        parts.concat()
    }
}

/// A release that is addressed to this target and is its next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressed {
    /// The release.
    pub manifest: Manifest,
    /// Hash of its signed manifest.
    pub hash: DocumentHash,
    /// What is to be done with it.
    pub task: Task,
}

/// What a target is to do with its next release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Carry it out: this is the root of its tree, with its key.
    CarryOut(TreeRef),
    /// Answer that it was not carried out, so that the ones after it can follow.
    AnswerOnly(Unusable),
}

/// Why a release that is the next one is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It has expired; its publisher has to send it anew. Check this machine's clock.
    #[error("it expired at {expires}; now is {now}")]
    Expired {
        /// When it expired, in seconds since 1970.
        expires: u64,
        /// The time of the check.
        now: u64,
    },
    /// Its publisher made an envelope or a manifest that no program of ours makes.
    #[error("it is malformed: {0}")]
    Malformed(&'static str),
}

/// Why a release was not accepted. Nothing of it was opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// A document is damaged or was not signed by who it names. Ask another source.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Its signer is no publisher of the community, or was none any more. Somebody tries to send what
    /// they may not: nothing is to be done but to tell the managers.
    #[error("release {sequence} is signed by {signer}, who is no publisher of this community")]
    NoPublisher {
        /// The key that signed.
        signer: PublicKey,
        /// Number of the release.
        sequence: u64,
    },
    /// It is a release of another name.
    #[error("a release of {found} was offered as one of {expected}")]
    OtherFeed {
        /// The publisher's feed.
        expected: String,
        /// The name in the manifest.
        found: String,
    },
    /// It was answered already, or is older than one that was.
    #[error("release {offered} is offered, but {last} was answered already")]
    Replayed {
        /// Number of the last release of this publisher that was answered here.
        last: u64,
        /// Number of the one offered.
        offered: u64,
    },
    /// Another release of this number was answered already. Its publisher's key is in two places: speak
    /// with whoever keeps it.
    #[error("there are two releases {sequence} of this publisher")]
    Forked {
        /// The number both have.
        sequence: u64,
    },
    /// The envelope is not for this target and release, or not by this publisher. Ask another source.
    #[error("release {sequence} is not addressed to this machine")]
    NotAddressed {
        /// Its number.
        sequence: u64,
    },
    /// A release that has to come before this one is missing: it is being hidden, or still under way.
    #[error(
        "release {sequence} comes after release {missing}, which was not received; last was {last}"
    )]
    Missing {
        /// The number of the one offered.
        sequence: u64,
        /// The one it comes after.
        missing: u64,
        /// Number of the last one that was answered here, 0 for none.
        last: u64,
    },
}

impl Envelope {
    /// Takes bytes that came in; `None` when no envelope is so long.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes to send.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; ENVELOPE_BYTES] {
        &self.0
    }

    /// Addresses a release to a target. `tree` is sealed; `previous` is the publisher's release for
    /// this target before, 0 for none; `random` makes the key of this one message.
    ///
    /// # Errors
    /// Nothing can be sealed for the target's key.
    ///
    /// # Panics
    /// When the tree is not sealed: it would be readable for everybody.
    pub fn seal(
        tree: &TreeRef,
        previous: u64,
        address: &Address,
        publisher: &ExchangeKey,
        target: &ExchangePublic,
        random: MessageSeed,
    ) -> Result<Self, SealError> {
        let sealing = tree.0.sealing.as_ref().expect("packages are sealed");
        let mut plain = [0; PLAIN_BYTES];
        plain[..32].copy_from_slice(&sealing.key);
        plain[32..36].copy_from_slice(&tree.0.length.to_le_bytes());
        plain[36..].copy_from_slice(&previous.to_le_bytes());
        let purpose = Purpose { label: LABEL, place: &address.place() };
        let sealed = publisher.seal_as(target, purpose, &plain, random)?;
        Ok(Self(sealed.try_into().expect("the overhead is fixed")))
    }

    /// The root of the release's tree, and the release before, as the publisher sealed them.
    fn open(
        &self,
        address: &Address,
        publisher: &ExchangePublic,
        target: &ExchangeKey,
        chunk: &ClosureEntry,
    ) -> Result<(Option<TreeRef>, u64), OpenError> {
        let purpose = Purpose { label: LABEL, place: &address.place() };
        let plain = target.open(Some(publisher), purpose, &self.0)?;
        let plain: [u8; PLAIN_BYTES] = plain.try_into().map_err(|_| OpenError)?;
        let (key, rest) = plain.split_first_chunk().expect("44 bytes have 32");
        let (length, previous) = rest.split_first_chunk().expect("12 bytes have 4");
        let length = u32::from_le_bytes(*length);
        let previous = u64::from_le_bytes(previous.try_into().expect("8 bytes are left"));
        let sealing = Sealing { key: *key, stored_length: chunk.stored_length };
        let is_possible = length > 0 && length as usize <= CHUNK_BYTES_MAX;
        let tree = TreeRef(ChunkRef { id: chunk.id, length, sealing: Some(sealing) });
        Ok((is_possible.then_some(tree), previous))
    }
}

/// Decides whether a release is the next one that `target` is to carry out.
///
/// `last` is the last release of this publisher that was answered here; `now` is in seconds since
/// 1970; `roster` was accepted at this time.
///
/// # Errors
/// The first rule that is broken. A release that is the next one and cannot be carried out is no error:
/// see [`Task::AnswerOnly`].
pub fn accept_release(
    manifest: &[u8],
    envelope: &Envelope,
    roster: &Roster,
    target: (&PublicKey, &ExchangeKey),
    last: impl FnOnce(&PublicKey) -> Option<Seen>,
    now: u64,
) -> Result<Addressed, ReleaseError> {
    let signer = Manifest::peek_publisher(manifest)?;
    let (manifest, hash) = Manifest::open(manifest, &signer)?;
    let sequence = manifest.sequence;
    let publisher = roster.publishers.get(&signer);
    let publisher = publisher.ok_or(ReleaseError::NoPublisher { signer, sequence })?;
    let feed = roster.community.feed(&signer);
    if manifest.name != feed {
        let (expected, found) = (feed.to_string(), manifest.name.to_string());
        return Err(ReleaseError::OtherFeed { expected, found });
    }
    let seen = last(&signer);
    let last = seen.as_ref().map_or(0, |seen| seen.sequence);
    if seen.is_some_and(|seen| seen.sequence == sequence && seen.manifest != hash) {
        return Err(ReleaseError::Forked { sequence });
    }
    if sequence <= last {
        return Err(ReleaseError::Replayed { last, offered: sequence });
    }
    let (key, exchange) = target;
    let community = roster.community;
    let address = Address { community, manifest: hash, publisher: signer, target: *key };
    let (tree, previous) = envelope
        .open(&address, &publisher.exchange, exchange, &manifest.tree)
        .map_err(|OpenError| ReleaseError::NotAddressed { sequence })?;
    let is_ours = manifest.sealed_root.as_deref() == Some(&[]) && manifest.totals.is_none();
    let task = if previous >= sequence {
        Task::AnswerOnly(Unusable::Malformed("it is to come after itself or a later one"))
    } else if previous > last {
        // Fewer than were answered is no harm: a publisher that came back from a backup goes on so.
        return Err(ReleaseError::Missing { sequence, missing: previous, last });
    } else if manifest.expires <= now {
        Task::AnswerOnly(Unusable::Expired { expires: manifest.expires, now })
    } else if !is_ours {
        Task::AnswerOnly(Unusable::Malformed("its manifest is of another kind"))
    } else if let Some(tree) = tree {
        Task::CarryOut(tree)
    } else {
        Task::AnswerOnly(Unusable::Malformed("its root has an impossible length"))
    };
    Ok(Addressed { manifest, hash, task })
}

#[cfg(test)]
mod tests;

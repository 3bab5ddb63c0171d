//! Whether a release may be used.
//!
//! A hub is not trusted: it can refuse service, and nothing else. It cannot bring back an old
//! release, hide a new one for longer than the head is valid, or show two histories to one
//! node, because the node remembers what it has [`Seen`].

use content::DecodeError;

use crate::{
    Authority, Context, DOCUMENT_BYTES_MAX, DocumentError, DocumentHash, Head, Manifest, PublicKey,
    ReleaseName,
};

/// The newest release of a name that was accepted; kept by whoever accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its number.
    pub sequence: u64,
    /// Hash of its signed manifest.
    pub manifest: DocumentHash,
}

/// A release that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The release.
    pub manifest: Manifest,
    /// Hash of its signed manifest.
    pub hash: DocumentHash,
    /// What to remember from now on.
    pub seen: Seen,
}

/// Why a release was refused. None of these is cured by asking the same source again, unless
/// the variant says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// A document names another publisher. Accept the new key first if that is intended.
    #[error("signed by {found}, expected {expected}")]
    WrongKey {
        /// The pinned publisher.
        expected: PublicKey,
        /// The publisher the document names.
        found: PublicKey,
    },
    /// A document names the pinned publisher, who did not sign these bytes. It was altered:
    /// ask another source.
    #[error("the signature of {expected} does not fit")]
    BadSignature {
        /// The pinned publisher.
        expected: PublicKey,
    },
    /// The publisher signed these bytes as something else, such as a manifest offered as head.
    #[error("signed as {found}, expected {expected}")]
    WrongContext {
        /// What it was to be.
        expected: Context,
        /// What it was signed as.
        found: Context,
    },
    /// A document of another name by the same publisher was offered.
    #[error("a release of {found} was offered as {expected}")]
    WrongName {
        /// The name that was asked for.
        expected: String,
        /// The name in the document.
        found: String,
    },
    /// An older head was offered again although a newer one was seen. The source is behind or
    /// hides releases: ask another, or wait until it caught up.
    #[error("release {offered} is offered as the newest, but {seen} was seen already")]
    Replayed {
        /// Number of the newest release seen.
        seen: u64,
        /// Number in the head offered.
        offered: u64,
    },
    /// The head is up to date, but the manifest offered with it is of a release older than the
    /// newest seen.
    #[error("the manifest of release {offered} is offered, but {seen} was seen already")]
    RolledBack {
        /// Number of the newest release seen.
        seen: u64,
        /// Number in the manifest offered.
        offered: u64,
    },
    /// Two different releases with the same number, both signed. The publisher's key is in two
    /// places or in the wrong hands: speak with the publisher.
    #[error("there are two releases {sequence}: {seen} was seen, {offered} is offered")]
    ForkedHistory {
        /// The number both have.
        sequence: u64,
        /// The manifest seen.
        seen: DocumentHash,
        /// The manifest offered.
        offered: DocumentHash,
    },
    /// The head has expired, so there may be newer releases that are being hidden. Ask another
    /// source; when all say the same, the publisher must sign a new head. Check this machine's
    /// clock.
    #[error("the statement which release is the newest expired at {expires}; now is {now}")]
    ExpiredHead {
        /// When it expired, in seconds since 1970.
        expires: u64,
        /// The time of the check.
        now: u64,
    },
    /// The release has expired; the publisher must publish again. Check this machine's clock.
    #[error("the release expired at {expires}; now is {now}")]
    ExpiredRelease {
        /// When it expired, in seconds since 1970.
        expires: u64,
        /// The time of the check.
        now: u64,
    },
    /// The release does not name the one before it as its predecessor: history was rewritten.
    /// Speak with the publisher.
    #[error("release {sequence} does not continue the release before it")]
    BrokenChain {
        /// Number of the release.
        sequence: u64,
    },
    /// Signed by a key that the owner's list of publishers does not name for this release. Ask the
    /// owner: the key was never a publisher, or is none any more.
    #[error("release {sequence} is signed by {found}, who is no publisher of it for {owner}")]
    NotDelegated {
        /// The pinned owner.
        owner: PublicKey,
        /// The key that signed.
        found: PublicKey,
        /// Number of the release.
        sequence: u64,
    },
    /// The owner's list of publishers has expired. The owner must sign it again; check this
    /// machine's clock.
    #[error("the owner's list of publishers expired at {expires}; now is {now}")]
    ExpiredDelegation {
        /// When it expired, in seconds since 1970.
        expires: u64,
        /// The time of the check.
        now: u64,
    },
    /// The manifest offered is not the one the head speaks of. Ask again: the source may have
    /// been between two releases; then ask another.
    #[error("the manifest offered is not the one its head speaks of")]
    HeadMismatch,
    /// A document is longer than any real one; it was not read. Ask another source.
    #[error("a document of {length} bytes; none is longer than {DOCUMENT_BYTES_MAX}")]
    TooLarge {
        /// Its length in bytes.
        length: usize,
    },
    /// A document is damaged or newer than this program. Ask another source, or upgrade.
    #[error(transparent)]
    Malformed(DecodeError),
}

impl From<DocumentError> for AcceptError {
    fn from(error: DocumentError) -> Self {
        match error {
            DocumentError::TooLarge { length } => Self::TooLarge { length },
            DocumentError::Malformed(error) => Self::Malformed(error),
            DocumentError::BadSignature { expected } => Self::BadSignature { expected },
            DocumentError::WrongKey { expected, found } => Self::WrongKey { expected, found },
            DocumentError::WrongContext { expected, found } => {
                Self::WrongContext { expected, found }
            }
        }
    }
}

/// Decides whether the release in `manifest_bytes` is the newest of `name`, signed by who may.
///
/// `seen` is what was accepted last, if anything; `now` is in seconds since 1970. A release that
/// was seen already is accepted again.
///
/// # Errors
/// The first rule that is broken. The head is judged before the manifest.
pub fn accept_head(
    head_bytes: &[u8],
    manifest_bytes: &[u8],
    authority: &Authority,
    name: &ReleaseName,
    seen: Option<&Seen>,
    now: u64,
) -> Result<Accepted, AcceptError> {
    let (head, _) = authority.open(head_bytes, |head: &Head| head.sequence)?;
    check_name(name, &head.name)?;
    if head.expires <= now {
        return Err(AcceptError::ExpiredHead { expires: head.expires, now });
    }
    let offered = Seen { sequence: head.sequence, manifest: head.manifest };
    if let Some(seen) = seen {
        check_not_older(seen, &offered)?;
    }
    let (manifest, hash) = authority.open_manifest(manifest_bytes)?;
    check_name(name, &manifest.name)?;
    match seen {
        Some(seen) if manifest.sequence < seen.sequence => {
            return Err(AcceptError::RolledBack {
                seen: seen.sequence,
                offered: manifest.sequence,
            });
        }
        _ if (Seen { sequence: manifest.sequence, manifest: hash }) != offered => {
            return Err(AcceptError::HeadMismatch);
        }
        _ => {}
    }
    if manifest.expires <= now {
        return Err(AcceptError::ExpiredRelease { expires: manifest.expires, now });
    }
    check_continues(seen, &manifest)?;
    Ok(Accepted { manifest, hash, seen: offered })
}

/// Verifies signed manifests, oldest first, each the successor of the one before it.
///
/// `seen` is the release before the first of them; without it the first must be release 1.
/// Releases in a history have usually expired, so expiry is not looked at: use
/// [`accept_head`] for the newest.
///
/// # Errors
/// The first rule that is broken by the first document that breaks one; a number that is
/// skipped is a broken chain.
pub fn verify_chain<D: AsRef<[u8]>>(
    documents: impl IntoIterator<Item = D>,
    authority: &Authority,
    name: &ReleaseName,
    seen: Option<&Seen>,
) -> Result<Vec<Accepted>, AcceptError> {
    let mut last = seen.copied();
    let mut chain = Vec::new();
    for document in documents {
        let (manifest, hash) = authority.open_manifest(document.as_ref())?;
        check_name(name, &manifest.name)?;
        let offered = Seen { sequence: manifest.sequence, manifest: hash };
        let expected = match last {
            None => Some(1),
            Some(last) => {
                check_not_older(&last, &offered)?;
                last.sequence.checked_add(1)
            }
        };
        if expected != Some(manifest.sequence) {
            return Err(AcceptError::BrokenChain { sequence: manifest.sequence });
        }
        check_continues(last.as_ref(), &manifest)?;
        last = Some(offered);
        chain.push(Accepted { manifest, hash, seen: offered });
    }
    Ok(chain)
}

/// Verifies one release of `name` by its number, which need not be the newest.
///
/// # Errors
/// Another number, another name, or somebody's who may not sign it.
pub fn accept_numbered(
    manifest_bytes: &[u8],
    authority: &Authority,
    name: &ReleaseName,
    sequence: u64,
) -> Result<Manifest, AcceptError> {
    let (manifest, _) = authority.open_manifest(manifest_bytes)?;
    if manifest.name == *name && manifest.sequence == sequence {
        return Ok(manifest);
    }
    Err(AcceptError::WrongName {
        expected: format!("{name}@{sequence}"),
        found: format!("{}@{}", manifest.name, manifest.sequence),
    })
}

fn check_name(expected: &ReleaseName, found: &ReleaseName) -> Result<(), AcceptError> {
    if expected == found {
        return Ok(());
    }
    Err(AcceptError::WrongName { expected: expected.to_string(), found: found.to_string() })
}

fn check_not_older(seen: &Seen, offered: &Seen) -> Result<(), AcceptError> {
    if offered.sequence < seen.sequence {
        return Err(AcceptError::Replayed { seen: seen.sequence, offered: offered.sequence });
    }
    if offered.sequence == seen.sequence && offered.manifest != seen.manifest {
        return Err(AcceptError::ForkedHistory {
            sequence: seen.sequence,
            seen: seen.manifest,
            offered: offered.manifest,
        });
    }
    Ok(())
}

/// The first release has no predecessor, every later one has, and the next one after `seen`
/// names that one.
fn check_continues(seen: Option<&Seen>, manifest: &Manifest) -> Result<(), AcceptError> {
    let next = seen.filter(|seen| seen.sequence.checked_add(1) == Some(manifest.sequence));
    let fits = manifest.previous.is_some() == (manifest.sequence > 1)
        && next.is_none_or(|seen| manifest.previous == Some(seen.manifest));
    if fits { Ok(()) } else { Err(AcceptError::BrokenChain { sequence: manifest.sequence }) }
}

#[cfg(test)]
mod tests;

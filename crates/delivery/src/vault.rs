//! Sealing of segments.
//!
//! The key of a segment follows from its *tag*, a keyed hash of its place and its plain bytes (the
//! idea of SIV, RFC 5297: the tag is PRF, initialisation vector and commitment in one). A segment that
//! is sent again is the same bytes; one whose file changed meanwhile has another tag and therefore
//! another key, so no key ever meets two messages and a fixed nonce is sound.

use content::seal::compresses;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::plain::PlainSegment;
use crate::{DeliveryId, DeliverySecret, SEGMENT_BYTES};

/// The keyed hash of a segment's place and plain bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag([u8; 32]);

impl Tag {
    /// How long one is.
    pub const BYTES: usize = 32;

    /// Takes a tag as it was kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

const RAW: u8 = 0;
const ZSTD: u8 = 1;
/// Level 1: a sender that compresses is to keep up with a network of a gigabit.
const LEVEL: i32 = 1;
pub(crate) const CIPHER_TAG_BYTES: usize = 16;
/// What stands before the body of a segment for one recipient: the tag, and the codec.
pub(crate) const ROOM_BYTES: usize = Tag::BYTES + 1;
/// What sealing adds for one recipient: the tag, the codec, and the cipher's tag.
const OVERHEAD_BYTES: usize = Tag::BYTES + 1 + CIPHER_TAG_BYTES;
/// Less is not worth looking at: the delivery service of 2010 compressed nothing below this.
const COMPRESSED_FROM_BYTES: usize = 10_240;

/// Compression saves more than this or is not used: what is compressed is shorter, in either form, than what is
/// not, and one form of that is told from the other by its length.
const SAVED_BYTES: usize = SHARED_HEAD_BYTES - Tag::BYTES;
/// What sealing adds for several recipients.
const SHARED_OVERHEAD_BYTES: usize = OVERHEAD_BYTES + SHARED_HEAD_BYTES - Tag::BYTES;

/// The longest sealed segment, in bytes.
pub const SEALED_BYTES_MAX: usize = SEGMENT_BYTES + SHARED_HEAD_BYTES + 1 + CIPHER_TAG_BYTES;

/// Why a segment was not opened. Ask for it again; when it comes the same again, whoever sends it is
/// not the sender of this delivery.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenSegmentError {
    /// It was altered, stands at another place, or was sealed with another secret.
    #[error("segment {0} is not what the sender sealed")]
    NotAuthentic(u64),
    /// The sender sealed something of another length than the segment has: its program is broken.
    #[error("segment {number} holds {found} bytes where {expected} belong")]
    Length {
        /// Which segment.
        number: u64,
        /// What it holds, in bytes.
        found: usize,
        /// What belongs there, in bytes.
        expected: usize,
    },
    /// The sender sealed something in a form that is not known here: a newer program's, or broken.
    #[error("segment {0} is in a form this program does not know")]
    Form(u64),
}

/// For whom a segment was sealed.
#[derive(Debug, Clone, Copy)]
enum Form {
    Alone,
    Together,
}

/// What stands before a segment that was sealed for several, for one of them.
pub type SharedHead = [u8; SHARED_HEAD_BYTES];

/// How long a [`SharedHead`] is: the tag, and the wrapped key.
pub const SHARED_HEAD_BYTES: usize = Tag::BYTES + 32;

/// Seals segments once for several recipients of the same contents, each of whom has a delivery of their own.
///
/// A key of a segment follows from its contents, as that of a [`Vault`] does, and from a secret that is
/// drawn anew by every process. Recipients learn keys of segments, and nothing of each other.
#[derive(Clone)]
pub struct SharedVault {
    keys: [u8; 32],
}

impl std::fmt::Debug for SharedVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedVault")
    }
}

/// A segment as several recipients get it, each behind a head of their own.
pub struct SharedSegment {
    key: [u8; 32],
    sealed: Vec<u8>,
}

impl SharedVault {
    /// With this secret, which nobody is told.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self { keys: blake3::derive_key("consign delivery 1 shared keys", &secret) }
    }

    /// Seals the plain bytes of segment `number`; [`Vault::head_of`] makes the heads.
    ///
    /// # Panics
    /// If they are more than [`SEGMENT_BYTES`].
    #[must_use]
    pub fn seal(&self, number: u64, plain: &[u8]) -> SharedSegment {
        assert!(plain.len() <= SEGMENT_BYTES, "segments are cut at the limit");
        let mut hasher = blake3::Hasher::new_keyed(&self.keys);
        let key = *hasher.update(&number.to_le_bytes()).update(plain).finalize().as_bytes();
        let mut sealed = Vec::with_capacity(plain.len() + 1 + CIPHER_TAG_BYTES);
        push_message(&mut sealed, plain);
        let end = cipher(&key)
            .seal_in_place_separate_tag(zero_nonce(), Aad::empty(), &mut sealed)
            .expect("segments are far below the limit of AES-GCM");
        sealed.extend_from_slice(end.as_ref());
        SharedSegment { key, sealed }
    }
}

impl SharedSegment {
    /// The bytes that all have.
    #[must_use]
    pub fn into_sealed(self) -> Vec<u8> {
        self.sealed
    }
}

/// Seals and opens the segments of one delivery.
#[derive(Clone)]
pub struct Vault {
    id: DeliveryId,
    tags: [u8; 32],
    keys: [u8; 32],
    /// Of what is sealed for several; no receipt is.
    wraps: Option<[u8; 32]>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault({})", self.id)
    }
}

impl Vault {
    /// That of the segments of a delivery.
    #[must_use]
    pub fn of_segments(id: DeliveryId, secret: &DeliverySecret) -> Self {
        let tags = secret.derive("consign delivery 1 segment tags");
        let keys = secret.derive("consign delivery 1 segment keys");
        Self { id, tags, keys, wraps: Some(secret.derive("consign delivery 1 segment wraps")) }
    }

    /// That of the receipt, which is sealed as segment 0.
    #[must_use]
    pub fn of_receipt(id: DeliveryId, secret: &DeliverySecret) -> Self {
        let tags = secret.derive("consign delivery 1 receipt tags");
        Self { id, tags, keys: secret.derive("consign delivery 1 receipt keys"), wraps: None }
    }

    /// That of a direct path, which is sealed as segment 0.
    pub(crate) fn of_direct_path(id: DeliveryId, secret: &DeliverySecret) -> Self {
        let tags = secret.derive("consign delivery 1 direct path tags");
        Self { id, tags, keys: secret.derive("consign delivery 1 direct path keys"), wraps: None }
    }

    /// Seals the plain bytes of segment `number`: tag, then ciphertext.
    ///
    /// # Panics
    /// If they are more than [`SEGMENT_BYTES`].
    #[must_use]
    pub fn seal(&self, number: u64, plain: PlainSegment) -> (Tag, Vec<u8>) {
        let tag = self.tag(number, &plain);
        let packed = compressed(&plain);
        let mut sealed = plain.with_room();
        sealed[..Tag::BYTES].copy_from_slice(tag.as_bytes());
        sealed[Tag::BYTES] = if packed.is_some() { ZSTD } else { RAW };
        if let Some(packed) = packed {
            sealed.truncate(ROOM_BYTES);
            sealed.extend_from_slice(&packed);
        }
        let aad = Aad::from(self.place(number));
        let end = cipher(&self.key(tag))
            .seal_in_place_separate_tag(zero_nonce(), aad, &mut sealed[Tag::BYTES..])
            .expect("segments are far below the limit of AES-GCM");
        sealed.extend_from_slice(end.as_ref());
        (tag, sealed)
    }

    /// What makes a segment that was sealed for several this recipient's: its tag, and the key that opens it.
    /// The segment's own bytes follow it.
    ///
    /// # Panics
    /// If this is not the vault of segments.
    #[must_use]
    pub fn head_of(&self, number: u64, plain: &[u8], shared: &SharedSegment) -> (Tag, SharedHead) {
        let tag = self.tag(number, plain);
        let mut head = [0; SHARED_HEAD_BYTES];
        head[..Tag::BYTES].copy_from_slice(tag.as_bytes());
        let wraps = self.wraps.as_ref().expect("only segments are sealed for several");
        let wrapped = exclusive_or(&shared.key, &pad(wraps, tag, &shared.sealed));
        head[Tag::BYTES..].copy_from_slice(&wrapped);
        (tag, head)
    }

    /// Opens segment `number`, which has `length` plain bytes.
    ///
    /// # Errors
    /// It is not what the sender sealed for this place.
    pub fn open(
        &self,
        number: u64,
        length: usize,
        sealed: Vec<u8>,
    ) -> Result<(Tag, PlainSegment), OpenSegmentError> {
        let (tag, plain) = match sealed.len().checked_sub(length) {
            // By its length it is not compressed, and in one form alone.
            Some(OVERHEAD_BYTES) => self.open_in_place(number, Form::Alone, sealed),
            Some(SHARED_OVERHEAD_BYTES) => self.open_in_place(number, Form::Together, sealed),
            _ => self.open_within(number, length, &sealed),
        }?;
        if plain.len() != length {
            return Err(OpenSegmentError::Length { number, found: plain.len(), expected: length });
        }
        Ok((tag, plain))
    }

    /// Opens what was sealed as segment `number` and has at most the length of a segment.
    ///
    /// # Errors
    /// It was sealed for another place or by somebody else.
    pub fn open_any(&self, number: u64, sealed: &[u8]) -> Result<Vec<u8>, OpenSegmentError> {
        self.open_within(number, SEGMENT_BYTES, sealed).map(|(_, plain)| plain.to_vec())
    }

    fn open_in_place(
        &self,
        number: u64,
        form: Form,
        mut sealed: Vec<u8>,
    ) -> Result<(Tag, PlainSegment), OpenSegmentError> {
        let foreign = OpenSegmentError::NotAuthentic(number);
        let tag = Tag(*sealed.first_chunk().ok_or(foreign.clone())?);
        let place = self.place(number);
        let (key, aad, front) = match form {
            Form::Alone => (self.key(tag), &place[..], Tag::BYTES),
            Form::Together => {
                (self.unwrap(tag, &sealed).ok_or(foreign.clone())?, &[][..], SHARED_HEAD_BYTES)
            }
        };
        let length = open_with(&key, aad, &mut sealed[front..]).ok_or(foreign)?;
        sealed.truncate(front + length);
        match sealed.get(front) {
            Some(&RAW) => {
                self.checked(number, tag, PlainSegment { bytes: sealed, front: front + 1 })
            }
            Some(&ZSTD) => self.inflated(number, tag, SEGMENT_BYTES, &sealed[front + 1..]),
            _ => Err(OpenSegmentError::Form(number)),
        }
    }

    /// Tries one form after the other.
    fn open_within(
        &self,
        number: u64,
        most: usize,
        sealed: &[u8],
    ) -> Result<(Tag, PlainSegment), OpenSegmentError> {
        let foreign = OpenSegmentError::NotAuthentic(number);
        let tag = Tag(*sealed.first_chunk().ok_or(foreign.clone())?);
        let opened = try_open(&self.key(tag), &self.place(number), &sealed[Tag::BYTES..]);
        let opened = opened.or_else(|| {
            let key = self.unwrap(tag, sealed)?;
            try_open(&key, &[], &sealed[SHARED_HEAD_BYTES..])
        });
        let message = opened.ok_or(foreign)?;
        match message.first() {
            Some(&RAW) => self.checked(number, tag, PlainSegment { bytes: message, front: 1 }),
            Some(&ZSTD) => self.inflated(number, tag, most, &message[1..]),
            _ => Err(OpenSegmentError::Form(number)),
        }
    }

    fn inflated(
        &self,
        number: u64,
        tag: Tag,
        most: usize,
        packed: &[u8],
    ) -> Result<(Tag, PlainSegment), OpenSegmentError> {
        let bytes = zstd::bulk::decompress(packed, most.min(SEGMENT_BYTES))
            .map_err(|_| OpenSegmentError::Form(number))?;
        self.checked(number, tag, PlainSegment { bytes, front: 0 })
    }

    /// The tag commits the sender to these bytes: no second key opens the same ciphertext.
    fn checked(
        &self,
        number: u64,
        tag: Tag,
        plain: PlainSegment,
    ) -> Result<(Tag, PlainSegment), OpenSegmentError> {
        if self.tag(number, &plain) != tag {
            return Err(OpenSegmentError::NotAuthentic(number));
        }
        Ok((tag, plain))
    }

    /// The key of a segment that was sealed for several.
    fn unwrap(&self, tag: Tag, sealed: &[u8]) -> Option<[u8; 32]> {
        let (wrapped, together) = sealed.get(Tag::BYTES..)?.split_first_chunk()?;
        Some(exclusive_or(wrapped, &pad(self.wraps.as_ref()?, tag, together)))
    }

    /// The tag of segment `number` with these plain bytes.
    #[must_use]
    pub fn tag(&self, number: u64, plain: &[u8]) -> Tag {
        let mut hasher = blake3::Hasher::new_keyed(&self.tags);
        hasher.update(&self.place(number)).update(plain);
        Tag(*hasher.finalize().as_bytes())
    }

    fn place(&self, number: u64) -> [u8; 24] {
        let mut place = [0; 24];
        place[..16].copy_from_slice(self.id.as_bytes());
        place[16..].copy_from_slice(&number.to_le_bytes());
        place
    }

    fn key(&self, tag: Tag) -> [u8; 32] {
        *blake3::keyed_hash(&self.keys, tag.as_bytes()).as_bytes()
    }
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("the key is 32 bytes"))
}

/// The codec and the body, as docs/format.md has them.
fn push_message(to: &mut Vec<u8>, plain: &[u8]) {
    let packed = compressed(plain);
    to.push(if packed.is_some() { ZSTD } else { RAW });
    to.extend_from_slice(packed.as_deref().unwrap_or(plain));
}

/// The message in a ciphertext, if it was sealed under this key.
fn try_open(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let mut message = sealed.to_vec();
    let length = open_with(key, aad, &mut message)?;
    message.truncate(length);
    Some(message)
}

/// The same in place; how long the message is.
fn open_with(key: &[u8; 32], aad: &[u8], sealed: &mut [u8]) -> Option<usize> {
    let opened = cipher(key).open_in_place(zero_nonce(), Aad::from(aad), sealed);
    opened.ok().map(|message| message.len())
}

/// What the key of a segment for several is hidden by. It follows from the ciphertext's own tag, too: the
/// same contents under another key have another pad.
fn pad(wraps: &[u8; 32], tag: Tag, together: &[u8]) -> [u8; 32] {
    let end = together.len().saturating_sub(CIPHER_TAG_BYTES);
    let mut hasher = blake3::Hasher::new_keyed(wraps);
    hasher.update(tag.as_bytes()).update(&together[end..]);
    *hasher.finalize().as_bytes()
}

fn exclusive_or(one: &[u8; 32], other: &[u8; 32]) -> [u8; 32] {
    std::array::from_fn(|at| one[at] ^ other[at])
}

fn compressed(plain: &[u8]) -> Option<Vec<u8>> {
    if plain.len() < COMPRESSED_FROM_BYTES || !compresses(plain) {
        return None;
    }
    let packed = zstd::bulk::compress(plain, LEVEL).ok()?;
    (packed.len() + SAVED_BYTES < plain.len()).then_some(packed)
}

fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(id: u8, secret: u8) -> Vault {
        let secret = DeliverySecret::from_bytes([secret; 32]);
        Vault::of_segments(DeliveryId::from_bytes([id; 16]), &secret)
    }

    fn opened(
        vault: &Vault,
        number: u64,
        length: usize,
        sealed: &[u8],
    ) -> Result<(Tag, Vec<u8>), OpenSegmentError> {
        vault.open(number, length, sealed.to_vec()).map(|(tag, plain)| (tag, plain.to_vec()))
    }

    #[test]
    fn what_was_sealed_opens_at_its_place_and_nowhere_else() {
        for plain in [vec![], vec![7; 300], b"words and words ".repeat(4096)] {
            let (tag, sealed) = vault(1, 1).seal(5, plain[..].into());
            assert!(sealed.len() <= plain.len() + OVERHEAD_BYTES);
            assert_eq!(opened(&vault(1, 1), 5, plain.len(), &sealed), Ok((tag, plain.clone())));
            let foreign = Err(OpenSegmentError::NotAuthentic(5));
            assert_eq!(opened(&vault(2, 1), 5, plain.len(), &sealed), foreign, "another delivery");
            assert_eq!(opened(&vault(1, 2), 5, plain.len(), &sealed), foreign, "another secret");
            let moved = opened(&vault(1, 1), 6, plain.len(), &sealed);
            assert_eq!(moved, Err(OpenSegmentError::NotAuthentic(6)), "another place");
            let receipt = DeliverySecret::from_bytes([1; 32]);
            let receipt = Vault::of_receipt(DeliveryId::from_bytes([1; 16]), &receipt);
            assert_eq!(opened(&receipt, 5, plain.len(), &sealed), foreign, "another purpose");
        }
    }

    #[test]
    fn altered_and_cut_segments_are_refused() {
        let plain = b"contents of a file";
        let (_, sealed) = vault(1, 1).seal(0, plain[..].into());
        for index in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[index] ^= 1;
            opened(&vault(1, 1), 0, plain.len(), &altered).expect_err("altered");
            opened(&vault(1, 1), 0, plain.len(), &sealed[..index]).expect_err("cut short");
        }
    }

    fn behind(head: SharedHead, shared: SharedSegment) -> Vec<u8> {
        [&head[..], &shared.into_sealed()].concat()
    }

    #[test]
    fn what_was_sealed_for_several_opens_for_each_at_its_place_and_for_nobody_else() {
        for plain in [vec![], vec![7; 300], b"words and words ".repeat(4096)] {
            let shared = || SharedVault::new([9; 32]).seal(5, &plain);
            for (id, secret) in [(1, 1), (2, 2)] {
                let (tag, head) = vault(id, secret).head_of(5, &plain, &shared());
                let sealed = behind(head, shared());
                assert!(sealed.len() <= plain.len() + SEALED_BYTES_MAX - SEGMENT_BYTES);
                // The tag is that of a segment for one, and so are digest and receipt.
                assert_eq!(tag, vault(id, secret).tag(5, &plain));
                let mine = opened(&vault(id, secret), 5, plain.len(), &sealed);
                assert_eq!(mine, Ok((tag, plain.clone())));
                let foreign = Err(OpenSegmentError::NotAuthentic(5));
                assert_eq!(opened(&vault(3 - id, secret), 5, plain.len(), &sealed), foreign);
                assert_eq!(opened(&vault(id, 3 - secret), 5, plain.len(), &sealed), foreign);
                let moved = opened(&vault(id, secret), 6, plain.len(), &sealed);
                assert_eq!(moved, Err(OpenSegmentError::NotAuthentic(6)), "another place");
                for index in 0..sealed.len().min(400) {
                    let mut altered = sealed.clone();
                    altered[index] ^= 1;
                    opened(&vault(id, secret), 5, plain.len(), &altered).expect_err("altered");
                    let cut = &sealed[..index];
                    opened(&vault(id, secret), 5, plain.len(), cut).expect_err("cut short");
                }
            }
        }
    }

    #[test]
    fn one_of_several_recipients_cannot_make_a_segment_for_another() {
        let plain = b"what the sender wrote";
        let theirs = vault(1, 1);
        let (_, head) = theirs.head_of(0, plain, &SharedVault::new([9; 32]).seal(0, plain));
        // Another recipient has the key of the segment, and puts other contents behind the head.
        let mut shared = SharedVault::new([9; 32]).seal(0, plain);
        let own = b"what another one wrote";
        shared.sealed = vec![RAW];
        shared.sealed.extend_from_slice(own);
        let end = cipher(&shared.key)
            .seal_in_place_separate_tag(zero_nonce(), Aad::empty(), &mut shared.sealed)
            .expect("short");
        shared.sealed.extend_from_slice(end.as_ref());
        let mut forged = head;
        let wraps = theirs.wraps.expect("of segments");
        let tag = Tag(*head.first_chunk().expect("a tag"));
        // Even with the pad, which another recipient does not know, the tag is of other bytes.
        let wrapped = exclusive_or(&shared.key, &pad(&wraps, tag, &shared.sealed));
        forged[Tag::BYTES..].copy_from_slice(&wrapped);
        for head in [head, forged] {
            let sealed = [&head[..], &shared.sealed].concat();
            let foreign = Err(OpenSegmentError::NotAuthentic(0));
            assert_eq!(opened(&theirs, 0, own.len(), &sealed), foreign);
        }
    }

    #[test]
    fn the_same_contents_under_another_secret_are_wrapped_with_another_pad() {
        let head = |secret| {
            let shared = SharedVault::new([secret; 32]).seal(0, b"contents");
            let (_, head) = vault(1, 1).head_of(0, b"contents", &shared);
            exclusive_or(head[Tag::BYTES..].try_into().expect("a key"), &shared.key)
        };
        assert_ne!(head(8), head(9));
        assert_eq!(head(8), head(8));
    }

    /// How much longer a sealed segment is than its plain bytes, alone and together; the same when it is opened.
    fn longer(number: u64, plain: &[u8]) -> [isize; 2] {
        let (own, shared) = (vault(1, 1), SharedVault::new([9; 32]));
        let alone = own.seal(number, plain.into()).1;
        let segment = shared.seal(number, plain);
        let (_, head) = own.head_of(number, plain, &segment);
        let together = [&head[..], &segment.into_sealed()].concat();
        [alone, together].map(|sealed| {
            let (_, back) = opened(&own, number, plain.len(), &sealed).expect("opens");
            assert_eq!(back, plain);
            sealed.len() as isize - plain.len() as isize
        })
    }

    #[test]
    fn each_segment_is_compressed_from_10240_bytes_on_and_where_that_pays() {
        let as_it_is = [OVERHEAD_BYTES as isize, SHARED_OVERHEAD_BYTES as isize];
        assert_eq!(as_it_is, [49, 81], "as docs/format.md says");
        let words = b"words and words ".repeat(SEGMENT_BYTES / 16);
        let mut noise = vec![0; SEGMENT_BYTES];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        for small in [0, 1, 10_239] {
            assert_eq!(longer(0, &words[..small]), as_it_is, "{small} bytes are sent as they are");
        }
        for large in [10_240, 10_241, SEGMENT_BYTES] {
            let saved = longer(0, &words[..large]);
            assert!(saved.iter().all(|it| *it < -9_000), "{large} bytes are compressed: {saved:?}");
            assert_eq!(
                longer(0, &noise[..large]),
                as_it_is,
                "what does not compress is sent as it is"
            );
        }
        // It is decided for each segment: what came before in the same delivery changes nothing.
        assert_eq!(longer(1, &noise), as_it_is);
        assert!(longer(2, &words).iter().all(|it| *it < 0));
        assert_eq!(longer(3, &noise[..500]), as_it_is);
    }

    #[test]
    fn what_is_compressed_has_not_the_length_of_what_is_not() {
        for noise in [9_900, 10_300, 10_360, 10_390, 10_420, 11_000] {
            // The first part is noise, the rest one byte again and again.
            let mut plain = vec![7; 11_000];
            blake3::Hasher::new().finalize_xof().fill(&mut plain[..noise]);
            let (_, alone) = vault(1, 1).seal(0, plain[..].into());
            let shared = SharedVault::new([9; 32]).seal(0, &plain);
            let is_raw = alone.len() == plain.len() + OVERHEAD_BYTES;
            assert!(is_raw || alone.len() < plain.len() + OVERHEAD_BYTES - SAVED_BYTES);
            let (tag, head) = vault(1, 1).head_of(0, &plain, &shared);
            let together = behind(head, shared);
            assert_eq!(is_raw, together.len() == plain.len() + SHARED_OVERHEAD_BYTES);
            assert!(is_raw || together.len() < plain.len() + OVERHEAD_BYTES);
            for sealed in [alone, together] {
                let whole = opened(&vault(1, 1), 0, plain.len(), &sealed);
                assert_eq!(whole, Ok((tag, plain.clone())));
            }
        }
    }

    #[test]
    fn sending_again_gives_the_same_bytes_and_changed_contents_another_key() {
        let (first, bytes) = vault(1, 1).seal(0, b"draft one"[..].into());
        assert_eq!(vault(1, 1).seal(0, b"draft one"[..].into()), (first, bytes.clone()));
        let (second, other) = vault(1, 1).seal(0, b"draft two"[..].into());
        assert_ne!(first, second);
        // Under one key and nonce the difference of two ciphertexts is that of the plain bytes.
        let differing = |at: usize| bytes[at] ^ other[at];
        assert_ne!(differing(Tag::BYTES + 1), 0, "`d` and `d` encrypt to the same under one key");
    }

    #[test]
    fn a_segment_that_would_inflate_beyond_its_length_is_refused() {
        let plain = vec![b'a'; SEGMENT_BYTES];
        let (_, sealed) = vault(1, 1).seal(0, plain[..].into());
        assert!(sealed.len() < SEGMENT_BYTES / 100, "compressed before it was sealed");
        for length in [0, 1, SEGMENT_BYTES - 1] {
            opened(&vault(1, 1), 0, length, &sealed).expect_err("longer than it may be");
        }
        let (_, short) = vault(1, 1).seal(0, b"abc"[..].into());
        let error = OpenSegmentError::Length { number: 0, found: 3, expected: 4 };
        assert_eq!(opened(&vault(1, 1), 0, 4, &short), Err(error));
    }
}

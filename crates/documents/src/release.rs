//! What a publisher signs: each release, and which one is the newest.

use content::closure::ClosureEntry;
use content::{DecodeError, Totals};

use crate::cbor::{self, write_chunk};
use crate::envelope::{self, Attributed, Payload};
use crate::{Context, DocumentError, DocumentHash, NodeKey, PublicKey, ReleaseName};

/// The longest [`Manifest::sealed_root`], in bytes.
pub const SEALED_ROOT_BYTES_MAX: usize = 128;

/// One numbered release of a name: what it holds and what came before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Who made the release, and who signs: the owner of the name or one of its publishers.
    pub publisher: PublicKey,
    /// The name it is published under.
    pub name: ReleaseName,
    /// Its number, from 1.
    pub sequence: u64,
    /// Hash of the signed manifest before it; none for number 1.
    pub previous: Option<DocumentHash>,
    /// When it was signed, in seconds since 1970.
    pub issued: u64,
    /// From when on it must not be accepted any more, in seconds since 1970.
    pub expires: u64,
    /// The chunk with the tree's root; its id is the tree id.
    pub tree: ClosureEntry,
    /// The chunk with the head of the tree's closure.
    pub closure: ClosureEntry,
    /// What the tree holds; none when it is sealed.
    pub totals: Option<Totals>,
    /// The cutting parameters, see [`content::cut::PARAMETERS`].
    pub parameters: u64,
    /// For sealed trees: the key to the root, sealed under a [`crate::Capability`].
    pub sealed_root: Option<Vec<u8>>,
}

impl Manifest {
    /// Signs the manifest with the publisher's key.
    #[must_use]
    pub fn sign(&self, key: &NodeKey) -> Vec<u8> {
        envelope::sign(self, key)
    }

    /// Verifies that `expected_publisher` signed this manifest, and decodes it.
    ///
    /// This alone does not make a release acceptable: see [`crate::accept_head`].
    ///
    /// # Errors
    /// Anything that is not exactly such a document.
    pub fn open(
        signed: &[u8],
        expected_publisher: &PublicKey,
    ) -> Result<(Self, DocumentHash), DocumentError> {
        Ok((envelope::open(signed, expected_publisher)?, DocumentHash::of(signed)))
    }

    /// The head that makes this release the newest one for as long as the manifest holds; `signed`
    /// is the hash of the signed manifest.
    #[must_use]
    pub fn head(&self, signed: DocumentHash) -> Head {
        Head {
            publisher: self.publisher,
            name: self.name.clone(),
            sequence: self.sequence,
            manifest: signed,
            issued: self.issued,
            expires: self.expires,
        }
    }

    /// The publisher the manifest names, NOT verified: good to show or to pin at first use,
    /// before [`open`](Self::open) with the same key; never proof of anything.
    ///
    /// # Errors
    /// When the bytes are no manifest.
    pub fn peek_publisher(signed: &[u8]) -> Result<PublicKey, DocumentError> {
        Ok(envelope::peek::<Self>(signed)?.publisher)
    }
}

const VERSION: u8 = 0;
const PUBLISHER: u8 = 1;
const NAME: u8 = 2;
const SEQUENCE: u8 = 3;
const ISSUED: u8 = 4;
const EXPIRES: u8 = 5;
const PREVIOUS: u8 = 6;
const TREE: u8 = 7;
const CLOSURE: u8 = 8;
const TOTALS: u8 = 9;
const PARAMETERS: u8 = 10;
const SEALED_ROOT: u8 = 11;
const MANIFEST: u8 = 6;

impl Payload for Manifest {
    const CONTEXT: Context = Context::Release;

    fn encode(&self) -> Vec<u8> {
        let optional = [self.previous.is_some(), self.totals.is_some(), self.sealed_root.is_some()];
        let fields = 9 + optional.into_iter().filter(|present| *present).count() as u64;
        cbor::encode(|writer| {
            writer.map(fields)?.u8(VERSION)?.u8(1)?;
            writer.u8(PUBLISHER)?.bytes(self.publisher.as_bytes())?;
            writer.u8(NAME)?.str(self.name.as_str())?;
            writer.u8(SEQUENCE)?.u64(self.sequence)?;
            writer.u8(ISSUED)?.u64(self.issued)?.u8(EXPIRES)?.u64(self.expires)?;
            if let Some(previous) = &self.previous {
                writer.u8(PREVIOUS)?.bytes(previous.as_bytes())?;
            }
            write_chunk(&self.tree, writer.u8(TREE)?)?;
            write_chunk(&self.closure, writer.u8(CLOSURE)?)?;
            if let Some(Totals { files, directories, symlinks, bytes }) = self.totals {
                writer.u8(TOTALS)?.array(4)?;
                writer.u64(files)?.u64(directories)?.u64(symlinks)?.u64(bytes)?;
            }
            writer.u8(PARAMETERS)?.u64(self.parameters)?;
            if let Some(sealed) = &self.sealed_root {
                writer.u8(SEALED_ROOT)?.bytes(sealed)?;
            }
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut cbor::Reader<'_>| {
            let mut fields = reader.fields()?;
            fields.expect(reader, VERSION)?;
            reader.version(1)?;
            fields.expect(reader, PUBLISHER)?;
            let publisher = PublicKey::from_bytes(reader.array()?);
            fields.expect(reader, NAME)?;
            let name = read_name(reader)?;
            fields.expect(reader, SEQUENCE)?;
            let sequence = read_sequence(reader)?;
            fields.expect(reader, ISSUED)?;
            let issued = reader.u64()?;
            fields.expect(reader, EXPIRES)?;
            let expires = reader.u64()?;
            let previous = if fields.take(reader, PREVIOUS)? {
                Some(DocumentHash::from_bytes(reader.array()?))
            } else {
                None
            };
            fields.expect(reader, TREE)?;
            let tree = reader.chunk()?;
            fields.expect(reader, CLOSURE)?;
            let closure = reader.chunk()?;
            let totals =
                if fields.take(reader, TOTALS)? { Some(read_totals(reader)?) } else { None };
            fields.expect(reader, PARAMETERS)?;
            let parameters = reader.u64()?;
            let sealed_root = if fields.take(reader, SEALED_ROOT)? {
                let sealed = reader.bytes()?;
                if sealed.len() > SEALED_ROOT_BYTES_MAX {
                    return Err(reader.invalid(format!("a sealed root of {} bytes", sealed.len())));
                }
                Some(sealed.to_vec())
            } else {
                None
            };
            fields.finish(reader)?;
            Ok(Self {
                publisher,
                name,
                sequence,
                previous,
                issued,
                expires,
                tree,
                closure,
                totals,
                parameters,
                sealed_root,
            })
        };
        cbor::decode_canonical("manifest", bytes, read, Self::encode)
    }
}

impl Attributed for Manifest {
    fn signer(&self) -> PublicKey {
        self.publisher
    }
}

/// Says which release of a name is the newest, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Whose statement it is, and who signs: the owner of the name or one of its publishers.
    pub publisher: PublicKey,
    /// The name it speaks of.
    pub name: ReleaseName,
    /// Number of the newest release.
    pub sequence: u64,
    /// Hash of that release's signed manifest.
    pub manifest: DocumentHash,
    /// When it was signed, in seconds since 1970.
    pub issued: u64,
    /// From when on it says nothing any more, in seconds since 1970.
    pub expires: u64,
}

impl Head {
    /// Signs the head with the publisher's key.
    #[must_use]
    pub fn sign(&self, key: &NodeKey) -> Vec<u8> {
        envelope::sign(self, key)
    }

    /// Verifies that `expected_publisher` signed this head, and decodes it.
    ///
    /// # Errors
    /// Anything that is not exactly such a document.
    pub fn open(
        signed: &[u8],
        expected_publisher: &PublicKey,
    ) -> Result<(Self, DocumentHash), DocumentError> {
        Ok((envelope::open(signed, expected_publisher)?, DocumentHash::of(signed)))
    }

    /// The publisher the head names, NOT verified: see [`Manifest::peek_publisher`].
    ///
    /// # Errors
    /// When the bytes are no head.
    pub fn peek_publisher(signed: &[u8]) -> Result<PublicKey, DocumentError> {
        Ok(envelope::peek::<Self>(signed)?.publisher)
    }
}

impl Payload for Head {
    const CONTEXT: Context = Context::Head;

    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.map(7)?.u8(VERSION)?.u8(1)?;
            writer.u8(PUBLISHER)?.bytes(self.publisher.as_bytes())?;
            writer.u8(NAME)?.str(self.name.as_str())?;
            writer.u8(SEQUENCE)?.u64(self.sequence)?;
            writer.u8(ISSUED)?.u64(self.issued)?.u8(EXPIRES)?.u64(self.expires)?;
            writer.u8(MANIFEST)?.bytes(self.manifest.as_bytes())?;
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut cbor::Reader<'_>| {
            let mut fields = reader.fields()?;
            fields.expect(reader, VERSION)?;
            reader.version(1)?;
            fields.expect(reader, PUBLISHER)?;
            let publisher = PublicKey::from_bytes(reader.array()?);
            fields.expect(reader, NAME)?;
            let name = read_name(reader)?;
            fields.expect(reader, SEQUENCE)?;
            let sequence = read_sequence(reader)?;
            fields.expect(reader, ISSUED)?;
            let issued = reader.u64()?;
            fields.expect(reader, EXPIRES)?;
            let expires = reader.u64()?;
            fields.expect(reader, MANIFEST)?;
            let manifest = DocumentHash::from_bytes(reader.array()?);
            fields.finish(reader)?;
            Ok(Self { publisher, name, sequence, manifest, issued, expires })
        };
        cbor::decode_canonical("head", bytes, read, Self::encode)
    }
}

impl Attributed for Head {
    fn signer(&self) -> PublicKey {
        self.publisher
    }
}

pub(crate) fn read_name(reader: &mut cbor::Reader<'_>) -> Result<ReleaseName, DecodeError> {
    reader.text()?.parse().map_err(|error| reader.invalid(format!("{error}")))
}

fn read_sequence(reader: &mut cbor::Reader<'_>) -> Result<u64, DecodeError> {
    match reader.u64()? {
        0 => Err(reader.invalid("releases are numbered from 1")),
        sequence => Ok(sequence),
    }
}

fn read_totals(reader: &mut cbor::Reader<'_>) -> Result<Totals, DecodeError> {
    reader.array_of(4)?;
    Ok(Totals {
        files: reader.u64()?,
        directories: reader.u64()?,
        symlinks: reader.u64()?,
        bytes: reader.u64()?,
    })
}

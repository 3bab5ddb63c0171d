//! The record a tree id is the hash of.
//!
//! A tree is the contents of a directory; the directory's own mode and times are not part of
//! it, so a tree keeps its id wherever it is unpacked.

use crate::cbor::{self, DecodeError, Reader};
use crate::{BlobId, ChunkId, ChunkRef, Contents};

/// Names a tree: the chunk with its [`TreeRoot`]. The id is what people call the tree id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeRef(pub ChunkRef);

impl TreeRef {
    /// The tree id.
    #[must_use]
    pub fn id(&self) -> ChunkId {
        self.0.id
    }
}

/// What hangs under a tree, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Regular files.
    pub files: u64,
    /// Directories, the root not counted.
    pub directories: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Sizes of all files added up, holes included.
    pub bytes: u64,
}

/// The root of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeRoot {
    /// Number of the set of cutting parameters, see [`crate::cut::PARAMETERS`].
    pub parameters: u64,
    /// Length of the root directory's node.
    pub size: u64,
    /// Hash of the root directory's node.
    pub node: BlobId,
    /// Where the node's bytes are.
    pub contents: Contents,
    /// What the tree holds.
    pub totals: Totals,
}

const WHAT: &str = "tree root";

impl TreeRoot {
    /// Encodes the root, see `docs/format.md`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.array(6)?.u8(1)?.u64(self.parameters)?.u64(self.size)?;
            writer.bytes(self.node.as_bytes())?;
            self.contents.write(&mut None, writer)?;
            let Totals { files, directories, symlinks, bytes } = self.totals;
            writer.array(4)?.u64(files)?.u64(directories)?.u64(symlinks)?.u64(bytes)?;
            Ok(())
        })
    }

    /// Decodes a root.
    ///
    /// # Errors
    /// Refuses anything but the canonical encoding of a root of version 1.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            reader.array_of(6)?;
            reader.version(1)?;
            let parameters = reader.u64()?;
            let size = reader.u64()?;
            let node = BlobId::from_bytes(reader.array()?);
            let contents = Contents::read(reader, size, &mut None)?;
            reader.array_of(4)?;
            let totals = Totals {
                files: reader.u64()?,
                directories: reader.u64()?,
                symlinks: reader.u64()?,
                bytes: reader.u64()?,
            };
            Ok(Self { parameters, size, node, contents, totals })
        };
        cbor::decode_canonical(WHAT, bytes, read, Self::encode)
    }
}

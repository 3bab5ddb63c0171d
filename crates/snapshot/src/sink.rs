//! Where chunks go.

use bytes::Bytes;
use content::{ChunkId, ChunkRef, Sealer};

/// What a chunk is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChunkKind {
    /// Bytes of files.
    Content,
    /// Nodes, piece lists, the tree root, the closure.
    Metadata,
}

/// Takes chunks from many threads at once; may make them wait.
///
/// The same chunk may be offered more than once.
pub trait ChunkSink: Send + Sync {
    /// Takes one chunk; `stored` is its bytes as stored, ciphertext if it is sealed.
    ///
    /// # Errors
    /// When no chunk can be taken any more: the snapshot ends.
    fn offer(&self, reference: &ChunkRef, stored: Bytes, kind: ChunkKind) -> Result<(), SinkError>;
}

/// Why a sink takes no more chunks.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The other end is gone; it knows why.
    #[error("nobody takes chunks any more")]
    Closed,
    /// Storing or sending failed.
    #[error("storing or sending chunks failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl SinkError {
    /// Says that the other end is gone.
    #[must_use]
    pub fn closed() -> Self {
        Self::Closed
    }

    /// Wraps the reason of whatever stores or sends.
    #[must_use]
    pub fn other(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed(source.into())
    }
}

/// Names chunks, seals them where asked, and offers them.
pub(crate) struct Output<'a> {
    sink: &'a dyn ChunkSink,
    sealer: Option<&'a Sealer>,
}

impl<'a> Output<'a> {
    pub(crate) fn new(sink: &'a dyn ChunkSink, sealer: Option<&'a Sealer>) -> Self {
        Self { sink, sealer }
    }

    /// Offers a chunk of the given plain bytes.
    pub(crate) fn put(&self, plain: &[u8], kind: ChunkKind) -> Result<ChunkRef, SinkError> {
        match self.sealer {
            None => self.put_plain(Bytes::copy_from_slice(plain), kind),
            Some(sealer) => self.put_sealed(sealer, plain, kind),
        }
    }

    /// The same without a copy.
    pub(crate) fn put_owned(&self, plain: Vec<u8>, kind: ChunkKind) -> Result<ChunkRef, SinkError> {
        match self.sealer {
            None => self.put_plain(plain.into(), kind),
            Some(sealer) => self.put_sealed(sealer, &plain, kind),
        }
    }

    fn put_sealed(
        &self,
        sealer: &Sealer,
        plain: &[u8],
        kind: ChunkKind,
    ) -> Result<ChunkRef, SinkError> {
        let (reference, stored) = sealer.seal(plain);
        self.sink.offer(&reference, stored.into(), kind)?;
        Ok(reference)
    }

    /// Offers a chunk that stays plain in a sealed tree too: the closure must be readable.
    pub(crate) fn put_plain(&self, plain: Bytes, kind: ChunkKind) -> Result<ChunkRef, SinkError> {
        let length = u32::try_from(plain.len()).expect("chunks are far below 4 GiB");
        let reference = ChunkRef::plain(ChunkId::of(&plain), length);
        self.sink.offer(&reference, plain, kind)?;
        Ok(reference)
    }
}

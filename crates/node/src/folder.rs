//! Any folder as a source: what its files happen to hold is offered under the ids of its chunks.
//!
//! The folder is cut as a publisher would cut it, which needs no trust: equal bytes give equal
//! ids. A file that changes afterwards is noticed when it is read, and its chunks are lacking.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use content::frame::{Codec, FrameCodec};
use content::{ChunkId, ChunkRef, Contents, Frame, Piece};
use directory::{IndexKind, Root};
use fetch::{Source, SourceError};
use snapshot::{ChunkKind, ChunkSink, SinkError, SnapshotOptions, SnapshotProgress};
use store::ChunkStore;
use tokio::sync::mpsc;

use crate::drafting::Drafting;
use crate::state::{Node, path_bytes};
use crate::tree::TreeError;
use crate::upload::frames_of;
use crate::waits::Waits;

/// A stretch of one of the folder's files.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    file: u32,
    offset: u64,
    length: u32,
}

/// Where the bytes of every chunk of a folder are.
struct Places {
    root: Root,
    paths: Vec<Box<[u8]>>,
    /// Several stretches where small files share the chunk.
    chunks: HashMap<ChunkId, Vec<Stretch>>,
}

/// A folder that is asked for chunks.
pub(crate) struct FolderSource {
    name: String,
    places: Arc<Places>,
}

impl Node {
    /// Reads the folder at `path`, or what changed in it since it was a source before.
    pub(crate) async fn folder_source(
        &self,
        path: &Path,
        metadata: &Arc<dyn ChunkStore>,
    ) -> Result<FolderSource, TreeError> {
        let memory = self.memory_of("folders", &[path_bytes(&Self::subject_of(path)?)])?;
        let what = "another command to read the same folder";
        let drafting = Drafting::begin(&memory, what, &Waits::default()).await?;
        let (owned, index) = (path.to_owned(), memory.join("index"));
        let sink = MetadataSink { chunks: Mutex::default() };
        let read = tokio::task::spawn_blocking(move || {
            let _drafting = drafting;
            let (options, progress) = (SnapshotOptions::default(), SnapshotProgress::default());
            snapshot::snapshot(&owned, &options, Some(&index), &index, &sink, &progress)?;
            let root = Root::open(&owned)
                .map_err(|source| snapshot::SnapshotError::Open { path: owned.clone(), source })?;
            let chunks = sink.chunks.into_inner().expect("no thread panicked while offering");
            Ok((Places::read(root, snapshot::open_index(&index, &options)), chunks))
        });
        let (places, chunks) = read
            .await
            .expect("reading does not panic")
            .map_err(|source| TreeError::Folder { path: path.to_owned(), source })?;
        metadata.append(frames_of(&chunks, Codec::Zstd)).await?;
        Ok(FolderSource { name: path.display().to_string(), places: Arc::new(places) })
    }
}

/// Keeps nodes and lists, which no file holds; contents are read again when asked for.
struct MetadataSink {
    chunks: Mutex<Vec<(ChunkId, Bytes)>>,
}

impl ChunkSink for MetadataSink {
    fn offer(&self, reference: &ChunkRef, stored: Bytes, kind: ChunkKind) -> Result<(), SinkError> {
        if kind == ChunkKind::Metadata {
            let mut chunks = self.chunks.lock().expect("no thread panicked while offering");
            chunks.push((reference.id, stored));
        }
        Ok(())
    }
}

impl Places {
    fn read(root: Root, index: Option<directory::IndexReader>) -> Self {
        let (mut paths, mut chunks) = (Vec::new(), HashMap::new());
        let mut groups: HashMap<ChunkId, BTreeMap<u32, Stretch>> = HashMap::new();
        for entry in index.into_iter().flatten() {
            let IndexKind::File { contents, .. } = &entry.kind else { continue };
            let Ok(file) = u32::try_from(paths.len()) else { break };
            if let Contents::Slice { chunk, offset } = contents {
                let length = u32::try_from(entry.facts.size).unwrap_or(u32::MAX);
                let stretch = Stretch { file, offset: 0, length };
                groups.entry(chunk.id).or_default().insert(*offset, stretch);
            }
            let mut offset = 0;
            for piece in entry.pieces() {
                if let Piece::Chunk(chunk) = piece {
                    let stretch = Stretch { file, offset, length: chunk.length };
                    chunks.insert(chunk.id, vec![stretch]);
                }
                offset += piece.length();
            }
            paths.push(entry.path.clone().into_boxed_slice());
        }
        chunks.extend(groups.into_iter().map(|(id, parts)| (id, parts.into_values().collect())));
        Self { root, paths, chunks }
    }

    /// The bytes of a chunk, if the files still hold them.
    fn bytes(&self, id: &ChunkId) -> Option<Bytes> {
        let mut bytes = Vec::new();
        for stretch in self.chunks.get(id)? {
            let file = self.root.open_file(&self.paths[stretch.file as usize]).ok()?;
            let from = bytes.len();
            bytes.resize(from + stretch.length as usize, 0);
            if bytes.len() > content::CHUNK_BYTES_MAX {
                return None;
            }
            file.read_exact_at(&mut bytes[from..], stretch.offset).ok()?;
        }
        (ChunkId::of(&bytes) == *id).then(|| bytes.into())
    }

    /// Sends each chunk as a frame of its own: on one machine there is nothing to save.
    fn send(&self, ids: &[ChunkId], frames: &mpsc::Sender<Frame>) {
        let mut codec = FrameCodec::default();
        for id in ids {
            let Some(bytes) = self.bytes(id) else { continue };
            let length = u32::try_from(bytes.len()).expect("chunks are far below 4 GiB");
            let entries = vec![content::FrameEntry { id: *id, length }];
            if frames.blocking_send(codec.encode(entries, bytes, Codec::None)).is_err() {
                return;
            }
        }
    }
}

#[async_trait]
impl Source for FolderSource {
    fn name(&self) -> &str {
        &self.name
    }

    async fn fetch(&self, ids: &[ChunkId], frames: mpsc::Sender<Frame>) -> Result<(), SourceError> {
        let (places, ids) = (Arc::clone(&self.places), ids.to_vec());
        tokio::task::spawn_blocking(move || places.send(&ids, &frames))
            .await
            .map_err(|error| SourceError::Failed(error.to_string()))
    }
}

//! Reads the segments of what is sent.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use delivery::{Header, Item, ItemKind, Layout, PREFIX_BYTES, PlainSegment};
use directory::{AccessError, FileFacts, FileKind, Root};

use crate::survey::{Origin, split};

/// Why a segment cannot be read. What the recipient has stays there; send it anew.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file is not what it was when the delivery was made. What was sent of it and what is there now do
    /// not fit together.
    #[error("{0:?} has changed since the delivery was made")]
    Changed(String),
    /// A file is gone or may not be read any more.
    #[error("cannot read {path:?}")]
    Read {
        /// Its path in the delivery.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// The stream of one delivery, read where the files are.
#[derive(Debug)]
pub struct Source {
    items: Vec<Item>,
    layout: Layout,
    /// The prefix and the header.
    head: Vec<u8>,
    origins: HashMap<Vec<u8>, PathBuf>,
    /// The file that was read last: segments come in order, more or less.
    open: Mutex<Option<(usize, Arc<File>)>>,
}

impl Source {
    /// The stream of `header`, whose items at the top are at `origins`.
    ///
    /// # Errors
    /// All files together are longer than any stream.
    pub fn new(
        header: Header,
        encoded: &[u8],
        origins: &[Origin],
    ) -> Result<Self, delivery::TooLong> {
        let layout = Layout::new(&header, encoded.len())?;
        let mut head = Vec::with_capacity(PREFIX_BYTES + encoded.len());
        head.extend_from_slice(&(encoded.len() as u64).to_le_bytes());
        head.extend_from_slice(encoded);
        let origins = origins.iter().map(|at| (at.name.clone(), at.path.clone())).collect();
        Ok(Self { items: header.items, layout, head, origins, open: Mutex::default() })
    }

    /// Where everything is.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How many items there are.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.items.len() as u64
    }

    /// The plain bytes of segment `number`.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub fn segment(&self, number: u64) -> Result<PlainSegment, SourceError> {
        let mut plain = PlainSegment::zeroed(self.layout.segment_length(number));
        for part in self.layout.parts(number) {
            let bytes = &mut plain[part.bytes];
            match part.item {
                None => {
                    let from = part.offset as usize;
                    bytes.copy_from_slice(&self.head[from..from + bytes.len()]);
                }
                Some(index) => self.read(index, part.offset, bytes)?,
            }
        }
        Ok(plain)
    }

    fn read(&self, index: usize, offset: u64, bytes: &mut [u8]) -> Result<(), SourceError> {
        let item = &self.items[index];
        let path = || String::from_utf8_lossy(&item.path).into_owned();
        let failed = |source| SourceError::Read { path: path(), source };
        let file = self.file(index, item).map_err(|error| failed(io::Error::other(error)))?;
        match file.read_exact_at(bytes, offset) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(SourceError::Changed(path()));
            }
            Err(error) => return Err(failed(error)),
        }
        // After reading: whoever writes in between moves the time.
        let facts = FileFacts::of(&*file).map_err(failed)?;
        let is_same = facts.kind == FileKind::File
            && ItemKind::File { size: facts.size } == item.kind
            && facts.mtime == item.mtime;
        if is_same { Ok(()) } else { Err(SourceError::Changed(path())) }
    }

    fn file(&self, index: usize, item: &Item) -> Result<Arc<File>, AccessError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, file)) = &*open
            && *at == index
        {
            return Ok(Arc::clone(file));
        }
        let slash = item.path.iter().position(|byte| *byte == b'/');
        let (top, rest) = match slash {
            Some(at) => (&item.path[..at], &item.path[at + 1..]),
            None => (&*item.path, &[][..]),
        };
        let origin = &self.origins[top];
        let opened = |path: &std::path::Path| {
            Root::open(path).map_err(|source| AccessError::System {
                action: "open",
                path: path.display().to_string(),
                source,
            })
        };
        let file = match (rest.is_empty(), split(origin)) {
            (true, Some((parent, name))) => opened(parent)?.open_file(name)?,
            _ => opened(origin)?.open_file(rest)?,
        };
        let file = Arc::new(file);
        *open = Some((index, Arc::clone(&file)));
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::survey;

    #[test]
    fn segments_are_the_stream_and_what_changed_is_not_read() {
        let at = tempfile::tempdir().expect("a directory");
        let (folder, alone) = (at.path().join("folder"), at.path().join("alone"));
        fs::create_dir(&folder).expect("made");
        let large: Vec<u8> = (0..3_000_000u32).map(|at| (at / 7) as u8).collect();
        fs::write(folder.join("large"), &large).expect("written");
        fs::write(folder.join("small"), "small").expect("written");
        fs::write(&alone, "alone").expect("written");
        let surveyed = survey(&[folder.clone(), alone.clone()]).expect("looks");
        let origins = surveyed.origins.clone();
        let header = surveyed.header("Subject".into(), String::new(), 1);
        let encoded = header.encode();
        let source = Source::new(header, &encoded, &origins).expect("fits");
        let mut expected = (encoded.len() as u64).to_le_bytes().to_vec();
        for part in [&encoded[..], &large, b"small", b"alone"] {
            expected.extend_from_slice(part);
        }
        let segments = source.layout().segments();
        let read: Vec<Vec<u8>> =
            (0..segments).map(|number| source.segment(number).expect("reads").to_vec()).collect();
        assert!(read.concat() == expected);

        let file = File::options().append(true).open(folder.join("large")).expect("opens");
        file.set_len(3_000_001).expect("longer");
        let changed = source.segment(1);
        assert!(matches!(changed, Err(SourceError::Changed(path)) if path == "folder/large"));
        // What was put in place of a file is not followed.
        fs::remove_file(&alone).expect("removed");
        std::os::unix::fs::symlink("/etc/passwd", &alone).expect("made");
        source.segment(segments - 1).expect_err("no file any more");
    }
}

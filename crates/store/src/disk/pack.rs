//! Packs as files: names, the header, reading a frame, walking and scanning them.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use content::frame::{
    CHUNKS_MAX, ENTRY_BYTES, FrameEntry, FrameHeader, HEADER_BYTES, decode_entries,
};
use content::{Buffers, Frame};

use crate::StoreError;
use crate::codecs::lock;

/// Length of a pack's header.
pub(super) const PACK_HEADER_BYTES: u64 = 16;
/// No pack grows beyond this.
pub(super) const PACK_BYTES_MAX: u64 = 64 << 20;
/// Open packs kept: a tenth of the usual limit of 1,024 file descriptors.
const HANDLES_MAX: usize = 100;

/// The header: magic, version 1, zeros.
pub(super) const PACK_HEADER: [u8; 16] = *b"CnPk\x01\0\0\0\0\0\0\0\0\0\0\0";

pub(super) fn pack_path(packs: &Path, number: u32) -> PathBuf {
    packs.join(format!("{number:08x}.pack"))
}

/// The packs in a directory and their lengths.
pub(super) fn list(packs: &Path) -> Result<BTreeMap<u32, u64>, StoreError> {
    let error = || StoreError::io("list", packs);
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(packs).map_err(error())? {
        let entry = entry.map_err(error())?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".pack"));
        if let Some(number) = number.and_then(|hex| u32::from_str_radix(hex, 16).ok()) {
            let length = entry.metadata().map_err(error())?.len();
            found.insert(number, length);
        }
    }
    Ok(found)
}

/// Why there is no frame.
#[derive(Debug)]
pub(super) enum NoFrame {
    /// The bytes there are no frame, or the file ends before it does.
    Damaged,
    Io(io::Error),
}

impl From<io::Error> for NoFrame {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Damaged } else { Self::Io(error) }
    }
}

/// Reads the frame at `offset` into a buffer; its check is not compared yet.
pub(super) fn read_frame(file: &File, offset: u64, buffers: &Buffers) -> Result<Frame, NoFrame> {
    let header = read_header(file, offset)?;
    let mut body = buffers.of_length(header.body_length());
    file.read_exact_at(&mut body, offset + HEADER_BYTES as u64)?;
    Frame::decode(header, body.freeze()).map_err(|_| NoFrame::Damaged)
}

fn read_header(file: &File, offset: u64) -> Result<FrameHeader, NoFrame> {
    let mut header = [0; HEADER_BYTES];
    file.read_exact_at(&mut header, offset)?;
    FrameHeader::decode(&header).map_err(|_| NoFrame::Damaged)
}

/// Entries and encoded length of the frame at `offset`, without its payload.
pub(super) fn read_entries(file: &File, offset: u64) -> Result<(Vec<FrameEntry>, u64), NoFrame> {
    let header = read_header(file, offset)?;
    debug_assert!(header.entries_length() <= CHUNKS_MAX * ENTRY_BYTES, "checked by the header");
    let mut bytes = vec![0; header.entries_length()];
    file.read_exact_at(&mut bytes, offset + HEADER_BYTES as u64)?;
    let entries = decode_entries(&header, &bytes).map_err(|_| NoFrame::Damaged)?;
    Ok((entries, (HEADER_BYTES + header.body_length()) as u64))
}

/// Finds the next place at or behind `from` where a whole verified frame begins.
pub(super) fn resync(file: &File, from: u64, end: u64) -> io::Result<Option<u64>> {
    const WINDOW: usize = 1 << 20;
    let mut at = from;
    let mut window = vec![0; WINDOW];
    let buffers = Buffers::default();
    while at + HEADER_BYTES as u64 <= end {
        let length = usize::try_from(end - at).map_or(WINDOW, |left| left.min(WINDOW));
        file.read_exact_at(&mut window[..length], at)?;
        for (index, _) in
            window[..length].windows(4).enumerate().filter(|(_, four)| four == b"CnF1")
        {
            let candidate = at + index as u64;
            match read_frame(file, candidate, &buffers) {
                Ok(frame) if frame.verify_check().is_ok() => return Ok(Some(candidate)),
                Ok(_) | Err(NoFrame::Damaged) => {}
                Err(NoFrame::Io(error)) => return Err(error),
            }
        }
        // A magic number may lie across the border.
        at += if length < WINDOW { length as u64 } else { WINDOW as u64 - 3 };
    }
    Ok(None)
}

/// Writes a frame at `offset`.
pub(super) fn write_frame(file: &File, offset: u64, frame: &Frame) -> io::Result<()> {
    let head: Bytes = frame.head_bytes();
    file.write_all_at(&head, offset)?;
    file.write_all_at(frame.payload(), offset + head.len() as u64)
}

/// Packs held open for reading.
#[derive(Default)]
pub(super) struct Handles(Mutex<Open>);

#[derive(Default)]
struct Open {
    /// Each with the tick of its last use.
    files: HashMap<u32, (Arc<File>, u64)>,
    tick: u64,
}

impl Handles {
    /// Opens a pack; `NotFound` when it was deleted.
    pub(super) fn open(&self, packs: &Path, number: u32) -> io::Result<Arc<File>> {
        {
            let Open { files: open, tick } = &mut *lock(&self.0);
            *tick += 1;
            if let Some((file, used)) = open.get_mut(&number) {
                *used = *tick;
                return Ok(Arc::clone(file));
            }
        }
        let file = Arc::new(File::open(pack_path(packs, number))?);
        let Open { files: open, tick } = &mut *lock(&self.0);
        if open.len() >= HANDLES_MAX {
            let oldest = open.iter().min_by_key(|(_, (_, used))| *used).map(|(number, _)| *number);
            oldest.and_then(|oldest| open.remove(&oldest));
        }
        open.insert(number, (Arc::clone(&file), *tick));
        Ok(file)
    }

    pub(super) fn close(&self, number: u32) {
        lock(&self.0).files.remove(&number);
    }
}

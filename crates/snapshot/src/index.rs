//! What the last snapshot remembered, looked up in walk order.

use std::cmp::Ordering;

use content::group::FILES;
use content::reference::INLINE_BYTES_MAX;
use content::{Contents, Piece};
use directory::{IndexContext, IndexEntry, IndexKind, IndexReader};

use crate::SnapshotOptions;

/// What remembered contents depend on besides the files.
pub(crate) fn context(options: &SnapshotOptions) -> IndexContext {
    let mut hasher = blake3::Hasher::new_derive_key("consign/snapshot-index/1");
    hasher.update(&content::cut::PARAMETERS.to_le_bytes());
    hasher.update(&[u8::from(options.owners)]);
    if let Some(sealer) = &options.sealer {
        // What the secret makes of known bytes tells secrets apart without showing them.
        hasher.update(sealer.seal(b"consign/snapshot-index/1").0.id.as_bytes());
    }
    IndexContext(*hasher.finalize().as_bytes())
}

/// Follows the walk through the index; memory is one entry.
pub(crate) struct Cursor {
    reader: Option<IndexReader>,
    next: Option<IndexEntry>,
}

impl Cursor {
    pub(crate) fn new(mut reader: Option<IndexReader>) -> Self {
        let next = reader.as_mut().and_then(Iterator::next);
        Self { reader, next }
    }

    /// The entry of the file at `path`, if there was one. Paths must come in walk order.
    pub(crate) fn find(&mut self, path: &[u8]) -> Option<IndexEntry> {
        loop {
            match walk_order(&self.next.as_ref()?.path, path) {
                Ordering::Less => self.next = self.reader.as_mut().and_then(Iterator::next),
                Ordering::Equal => return self.next.take_and_advance(&mut self.reader),
                Ordering::Greater => return None,
            }
        }
    }
}

trait TakeAndAdvance {
    fn take_and_advance(&mut self, reader: &mut Option<IndexReader>) -> Option<IndexEntry>;
}

impl TakeAndAdvance for Option<IndexEntry> {
    fn take_and_advance(&mut self, reader: &mut Option<IndexReader>) -> Option<IndexEntry> {
        std::mem::replace(self, reader.as_mut().and_then(Iterator::next))
    }
}

/// Which of two files the walk meets first: in one directory files come before what lies in
/// directories, otherwise the smaller name.
pub(crate) fn walk_order(a: &[u8], b: &[u8]) -> Ordering {
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    if same == a.len() && same == b.len() {
        return Ordering::Equal;
    }
    let from = a[..same].iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let split = |path: &'_ [u8]| -> (bool, usize) {
        let slash = path[from..].iter().position(|byte| *byte == b'/');
        (slash.is_some(), slash.map_or(path.len(), |slash| from + slash))
    };
    let ((a_deeper, a_end), (b_deeper, b_end)) = (split(a), split(b));
    a_deeper.cmp(&b_deeper).then_with(|| a[from..a_end].cmp(&b[from..b_end]))
}

/// Whether remembered contents have the form that contents of their size have.
pub(crate) fn is_well_formed(entry: &IndexEntry) -> bool {
    let IndexKind::File { contents, .. } = &entry.kind else { return false };
    let size = entry.facts.size;
    match contents {
        Contents::Inline(bytes) => bytes.len() as u64 == size && bytes.len() <= INLINE_BYTES_MAX,
        Contents::Slice { chunk, offset } => {
            size > INLINE_BYTES_MAX as u64
                && size <= FILES.member_bytes_max as u64
                && u64::from(*offset) + size <= u64::from(chunk.length)
        }
        Contents::Pieces(_) | Contents::List(_) => {
            size > FILES.member_bytes_max as u64
                && entry.pieces().iter().map(Piece::length).try_fold(0, u64::checked_add)
                    == Some(size)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_before_directories_and_both_by_name() {
        let ordered = [
            &b"a"[..],
            b"b",
            b"x.y",
            b"z",
            b"a/a",
            b"a/b",
            b"a/z",
            b"a/b/c",
            b"ab/c",
            b"b/a",
            b"x/a",
            b"x.y/b",
        ];
        for (index, a) in ordered.iter().enumerate() {
            for (other, b) in ordered.iter().enumerate() {
                assert_eq!(walk_order(a, b), index.cmp(&other), "{a:?} {b:?}");
            }
        }
    }
}

//! Targets for what is read from our own disk, where anything may stand after a damage.
//!
//! Each input begins with a byte that says how it gets there. Sums that a fuzzer cannot guess
//! are made right where that byte says so, as an older or a broken program might have left them.

use std::io;
use std::path::{Path, PathBuf};

use directory::{IndexContext, IndexReader, IndexWriter};
use tempfile::TempDir;

use crate::Verdict;

/// A directory in memory where there is one: a fuzzer fills thousands a second.
pub(crate) fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("room for a directory")
}

thread_local! {
    static SCRATCH: TempDir = directory();
}

fn with_file<T>(bytes: &[u8], work: impl FnOnce(&Path) -> T) -> T {
    SCRATCH.with(|directory| {
        let path: PathBuf = directory.path().join("file");
        std::fs::write(&path, bytes).expect("room for a file");
        work(&path)
    })
}

/// The rest of `bytes`, with its BLAKE3 behind it when the first byte is odd.
fn hashed(bytes: &[u8]) -> Option<Vec<u8>> {
    let (how, rest) = bytes.split_first()?;
    let mut file = rest.to_vec();
    if how & 1 == 1 {
        file.extend_from_slice(blake3::hash(rest).as_bytes());
    }
    Some(file)
}

/// What is remembered about a directory's files.
#[must_use]
pub fn directory_index(bytes: &[u8]) -> Verdict {
    let Some(file) = hashed(bytes) else { return Verdict::Refused };
    // Of whatever context it says it is.
    let context = file.get(8..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
    with_file(&file, |path| {
        let Some(reader) = IndexReader::open_for(path, IndexContext(context)) else {
            return Verdict::Refused;
        };
        let entries: Vec<_> = reader.collect();
        let again = path.with_extension("again");
        let mut writer = IndexWriter::create(&again).expect("room");
        for entry in &entries {
            writer.push(entry).expect("room");
        }
        writer.finish().expect("room");
        let reader = IndexReader::open(&again).expect("just written");
        assert!(reader.eq(entries), "entries that are written again come back");
        Verdict::Accepted
    })
}

/// The plan of a checkout, and what was in place after one: they are written alike.
#[must_use]
pub fn checkout_records(bytes: &[u8]) -> Verdict {
    let Some(file) = hashed(bytes) else { return Verdict::Refused };
    with_file(&file, |path| match checkout::fuzzing::records(path) {
        Ok(Some(_)) => Verdict::Accepted,
        Ok(None) => Verdict::Refused,
        Err(error) => {
            let malformed = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof];
            assert!(malformed.contains(&error.kind()), "{error}");
            Verdict::Refused
        }
    })
}

/// Where the journal's own checks stand: behind the header, and behind each record.
const JOURNAL_HEADER: usize = 60;
const JOURNAL_RECORD: usize = 53;

/// The journal of a checkout. When the first byte is odd, its checks are made right.
#[must_use]
pub fn checkout_journal(bytes: &[u8]) -> Verdict {
    let Some((how, rest)) = bytes.split_first() else { return Verdict::Refused };
    let mut file = rest.to_vec();
    if how & 1 == 1
        && let Some((header, records)) = file.split_at_mut_checked(JOURNAL_HEADER)
    {
        right_check(header);
        records.as_chunks_mut::<JOURNAL_RECORD>().0.iter_mut().for_each(|it| right_check(it));
    }
    with_file(&file, |path| match checkout::fuzzing::journal(path).expect("readable") {
        0 => Verdict::Refused,
        _ => Verdict::Accepted,
    })
}

fn right_check(part: &mut [u8]) {
    let (body, check) = part.split_at_mut(part.len() - 8);
    check.copy_from_slice(&blake3::hash(body).as_bytes()[..8]);
}

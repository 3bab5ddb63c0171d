//! Lockers on the disk, see `docs/format.md` section 15.6.
//!
//! ```text
//! lockers/ID/facts.json   what is known of it; replaced whole
//! lockers/ID/segments     each segment at a place of its own; gone when the locker is over
//! ```
//!
//! Everything that is acknowledged is durable. What no facts belong to is removed when the hub starts.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use hub_api::Hex;
use hub_api::limits::SEGMENT_BYTES_MAX;

use super::facts::{Facts, VERSION};
use crate::files::write_private;

/// Bytes from one segment's place to the next: the longest segment with its head, in blocks of 4 KiB.
const PLACE_BYTES: u64 = 257 * 4096;
/// Length (4, little-endian) and BLAKE3 (32) of the segment that follows.
const HEAD_BYTES: usize = 36;

const FACTS: &str = "facts.json";
const SEGMENTS: &str = "segments";

const _: () = assert!((HEAD_BYTES + SEGMENT_BYTES_MAX) as u64 <= PLACE_BYTES);

/// The directory with all lockers of a hub.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

/// What was found on the disk.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) id: [u8; 16],
    pub(super) facts: Facts,
    pub(super) kept: u64,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn of(&self, id: &[u8; 16]) -> PathBuf {
        self.0.join(Hex(*id).to_string())
    }

    /// All lockers that are there. What a killed hub left of one is removed; one of a newer version is left alone.
    pub(super) fn find(&self) -> io::Result<Vec<Found>> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.parse::<Hex<16>>().ok());
            let Some(Hex(id)) = id else {
                tracing::warn!(path = %entry.path().display(), "it is no locker");
                continue;
            };
            match read_facts(&entry.path())? {
                Read::Facts(facts) => {
                    let kept = self.recover(&id, &facts)?;
                    found.push(Found { id, facts, kept });
                }
                Read::Newer(version) => {
                    tracing::error!(version, path = %entry.path().display(), "a locker of a newer hub");
                }
                Read::Nothing => {
                    tracing::info!(path = %entry.path().display(), "half a locker is removed");
                    self.remove(&id)?;
                }
            }
        }
        Ok(found)
    }

    /// How many segments are whole. All but the last one were durable before the next was taken.
    fn recover(&self, id: &[u8; 16], facts: &Facts) -> io::Result<u64> {
        if facts.is_over() {
            self.remove_segments(id)?;
            return Ok(0);
        }
        let file = match File::options().read(true).write(true).open(self.of(id).join(SEGMENTS)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut kept = file.metadata()?.len().div_ceil(PLACE_BYTES).min(facts.segments);
        if let Some(last) = kept.checked_sub(1)
            && read_segment(&file, last, facts.sealed_bytes_max(last))?.is_none()
        {
            kept = last;
        }
        file.set_len(kept * PLACE_BYTES)?;
        Ok(kept)
    }

    /// Makes the directory of a locker and writes its facts.
    pub(super) fn create(&self, id: &[u8; 16], facts: &Facts) -> io::Result<()> {
        let path = self.of(id);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        self.write_facts(id, facts)?;
        File::open(&self.0)?.sync_all()?;
        self.0.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
    }

    pub(super) fn write_facts(&self, id: &[u8; 16], facts: &Facts) -> io::Result<()> {
        write_private(&self.of(id).join(FACTS), &serde_json::to_vec_pretty(facts)?)
    }

    /// Keeps segment `number`, durably. One that was cut there before is overwritten.
    pub(super) fn write_segment(&self, id: &[u8; 16], number: u64, bytes: &[u8]) -> io::Result<()> {
        let path = self.of(id).join(SEGMENTS);
        let mut options = File::options();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path)?;
        let place = number.checked_mul(PLACE_BYTES).ok_or(io::ErrorKind::FileTooLarge)?;
        let mut head = [0; HEAD_BYTES];
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        head[..4].copy_from_slice(&length.to_le_bytes());
        head[4..].copy_from_slice(blake3::hash(bytes).as_bytes());
        let written = file
            .write_all_at(bytes, place + HEAD_BYTES as u64)
            .and_then(|()| file.write_all_at(&head, place))
            .and_then(|()| file.sync_data());
        if let Err(error) = written {
            // What did not fit gives its blocks back; what is behind is kept by nobody's word.
            let _ = file.set_len(place);
            return Err(error);
        }
        if number == 0 {
            // Its name is new.
            File::open(self.of(id))?.sync_all()?;
        }
        Ok(())
    }

    /// Segment `number`; `None` when the disk does not give back what was written.
    pub(super) fn read_segment(
        &self,
        id: &[u8; 16],
        number: u64,
        bytes_max: u64,
    ) -> io::Result<Option<Vec<u8>>> {
        read_segment(&File::open(self.of(id).join(SEGMENTS))?, number, bytes_max)
    }

    /// Removes the segments of a locker that is over.
    pub(super) fn remove_segments(&self, id: &[u8; 16]) -> io::Result<()> {
        remove_if_there(&self.of(id).join(SEGMENTS))
    }

    /// Removes a locker. Its facts first: what is left then belongs to nobody, and the next start finishes it.
    pub(super) fn remove(&self, id: &[u8; 16]) -> io::Result<()> {
        let path = self.of(id);
        remove_if_there(&path.join(FACTS))?;
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => File::open(&self.0)?.sync_all(),
        }
    }
}

enum Read {
    Facts(Facts),
    Newer(u64),
    Nothing,
}

fn read_facts(path: &Path) -> io::Result<Read> {
    let bytes = match fs::read(path.join(FACTS)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::Nothing),
        Err(error) => return Err(error),
    };
    Ok(decode_facts(&bytes))
}

fn decode_facts(bytes: &[u8]) -> Read {
    match serde_json::from_slice::<Facts>(bytes) {
        Ok(facts) if facts.version == VERSION => return Read::Facts(facts),
        Ok(_) | Err(_) => {}
    }
    let version = serde_json::from_slice::<serde_json::Value>(bytes).ok();
    let version = version.and_then(|facts| facts["version"].as_u64());
    version.filter(|version| *version > VERSION.into()).map_or(Read::Nothing, Read::Newer)
}

/// Facts as they are written, when these bytes are some; for `fuzz-targets`.
pub(crate) fn facts_again(bytes: &[u8]) -> Option<Vec<u8>> {
    let Read::Facts(facts) = decode_facts(bytes) else { return None };
    serde_json::to_vec_pretty(&facts).ok()
}

/// A segment as it was written, or `None`. Nothing is allocated by the word of the file.
fn read_segment(file: &File, number: u64, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let cut = |error: io::Error| {
        if error.kind() == io::ErrorKind::UnexpectedEof { Ok(None) } else { Err(error) }
    };
    let Some(place) = number.checked_mul(PLACE_BYTES) else { return Ok(None) };
    let mut head = [0; HEAD_BYTES];
    if let Err(error) = file.read_exact_at(&mut head, place) {
        return cut(error);
    }
    let (length, digest) = head.split_first_chunk::<4>().expect("the head is longer");
    let length = u32::from_le_bytes(*length);
    if length == 0 || u64::from(length) > bytes_max.min(SEGMENT_BYTES_MAX as u64) {
        return Ok(None);
    }
    let mut bytes = vec![0; length as usize];
    if let Err(error) = file.read_exact_at(&mut bytes, place + HEAD_BYTES as u64) {
        return cut(error);
    }
    Ok((blake3::hash(&bytes).as_bytes() == digest).then_some(bytes))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => path.parent().map_or(Ok(()), |parent| match File::open(parent) {
            Ok(parent) => parent.sync_all(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }),
    }
}

#[cfg(test)]
mod tests {
    use hub_api::DeliveryParty;

    use super::super::facts::tests::facts;
    use super::*;

    const ID: [u8; 16] = [1; 16];

    fn folder() -> (tempfile::TempDir, Folder) {
        let directory = tempfile::tempdir().expect("a directory");
        let folder = Folder::new(directory.path().join("lockers"));
        (directory, folder)
    }

    fn segment(number: u64) -> Vec<u8> {
        let mut bytes = vec![0; 5000 + number as usize];
        blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    fn filled(folder: &Folder, segments: u64) -> Facts {
        let facts = facts(5, None);
        folder.create(&ID, &facts).expect("created");
        for number in 0..segments {
            folder.write_segment(&ID, number, &segment(number)).expect("written");
        }
        facts
    }

    #[test]
    fn what_was_kept_is_found_again_with_every_segment() {
        let (_directory, folder) = folder();
        assert_eq!(folder.find().expect("nothing there"), []);
        let facts = filled(&folder, 3);
        assert_eq!(folder.find().expect("found"), [Found { id: ID, facts, kept: 3 }]);
        for number in 0..3 {
            let read = folder.read_segment(&ID, number, 1 << 20).expect("reads");
            assert_eq!(read, Some(segment(number)));
        }
        assert_eq!(folder.read_segment(&ID, 3, 1 << 20).expect("reads"), None);
        assert_eq!(folder.read_segment(&ID, u64::MAX, 1 << 20).expect("reads"), None);
    }

    #[test]
    fn a_segment_that_was_cut_off_wherever_is_taken_again_and_those_before_stay() {
        let (_directory, folder) = folder();
        filled(&folder, 3);
        let path = folder.of(&ID).join(SEGMENTS);
        let whole = fs::read(&path).expect("there");
        let last = 2 * PLACE_BYTES as usize;
        for cut in [last, last + 1, last + 20, last + HEAD_BYTES, last + 3000, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).expect("written");
            assert_eq!(folder.find().expect("found")[0].kept, 2, "cut at {cut}");
            folder.write_segment(&ID, 2, &segment(2)).expect("written again");
            assert_eq!(folder.find().expect("found")[0].kept, 3);
        }
        // Its length was durable, its bytes were not.
        let zeros = [&whole[..last], &vec![0; whole.len() - last]].concat();
        fs::write(&path, zeros).expect("written");
        assert_eq!(folder.find().expect("found")[0].kept, 2);
    }

    #[test]
    fn no_flipped_bit_comes_back_as_a_segment_and_no_length_is_believed() {
        let (_directory, folder) = folder();
        filled(&folder, 1);
        let path = folder.of(&ID).join(SEGMENTS);
        let whole = fs::read(&path).expect("there");
        for at in (0..whole.len()).step_by(7).chain(0..HEAD_BYTES) {
            let mut bad = whole.clone();
            bad[at] ^= 0x80;
            fs::write(&path, bad).expect("written");
            assert_eq!(folder.read_segment(&ID, 0, 1 << 20).expect("reads"), None, "at {at}");
        }
        fs::write(&path, &whole).expect("written");
        let short = folder.read_segment(&ID, 0, 4999).expect("reads");
        assert_eq!(short, None, "longer than its plain bytes allow");
    }

    #[test]
    fn what_is_over_or_half_removed_leaves_nothing_behind() {
        let (_directory, folder) = folder();
        let mut facts = filled(&folder, 2);
        // Killed between the facts and the segments.
        facts.handle_end(DeliveryParty::Sender, "no", 5);
        folder.write_facts(&ID, &facts).expect("written");
        assert_eq!(folder.find().expect("found"), [Found { id: ID, facts, kept: 0 }]);
        assert!(!folder.of(&ID).join(SEGMENTS).exists());
        // Killed in the middle of a removal, and while a locker was made.
        filled(&folder, 2);
        fs::remove_file(folder.of(&ID).join(FACTS)).expect("removed");
        fs::create_dir(folder.of(&[2; 16])).expect("made");
        fs::write(folder.of(&[2; 16]).join("facts.99.tmp"), "{").expect("written");
        assert_eq!(folder.find().expect("nothing"), []);
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 0);
        // What cannot be read opens nothing, and what is newer is nobody's to remove.
        filled(&folder, 1);
        fs::write(folder.of(&ID).join(FACTS), "{\"version\": 2, \"more\": 1}").expect("written");
        assert_eq!(folder.find().expect("nothing"), []);
        assert!(folder.of(&ID).join(SEGMENTS).exists());
        fs::write(folder.of(&ID).join(FACTS), "\0\0\0").expect("written");
        assert_eq!(folder.find().expect("nothing"), []);
        assert!(!folder.of(&ID).exists());
    }
}

//! Facts as bytes of a record.

use content::{Mtime, Owner};
use directory::{FileFacts, FileKind};

/// Length of the facts of an entry.
pub(crate) const FACTS_BYTES: usize = 68;

/// More names than this are counted as this many: what matters is whether there is another.
const LINKS_MAX: u32 = 0x3_ffff;

pub(crate) fn encode(facts: &FileFacts, out: &mut Vec<u8>) {
    for word in [facts.size, facts.inode, facts.device, facts.allocated] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    for time in [facts.mtime, facts.ctime] {
        out.extend_from_slice(&time.seconds.to_le_bytes());
        out.extend_from_slice(&time.nanos.to_le_bytes());
    }
    let kind = match facts.kind {
        FileKind::Directory => 1,
        FileKind::Symlink => 2,
        FileKind::File
        | FileKind::Fifo
        | FileKind::Socket
        | FileKind::Device
        | FileKind::Unknown => 0,
    };
    let word = facts.mode & 0o7777 | facts.links.min(LINKS_MAX) << 12 | kind << 30;
    out.extend_from_slice(&word.to_le_bytes());
    out.extend_from_slice(&facts.owner.user.to_le_bytes());
    out.extend_from_slice(&facts.owner.group.to_le_bytes());
}

pub(crate) fn decode(bytes: &[u8; FACTS_BYTES]) -> FileFacts {
    let mut rest = &bytes[..];
    let mut take = |count: usize| {
        let (now, after) = rest.split_at(count);
        rest = after;
        let mut word = [0; 8];
        word[..count].copy_from_slice(now);
        u64::from_le_bytes(word)
    };
    let (size, inode, device, allocated) = (take(8), take(8), take(8), take(8));
    let mut time = || Mtime { seconds: take(8).cast_signed(), nanos: low(take(4)) };
    let (mtime, ctime) = (time(), time());
    let modes = low(take(4));
    FileFacts {
        kind: match modes >> 30 {
            1 => FileKind::Directory,
            2 => FileKind::Symlink,
            _ => FileKind::File,
        },
        size,
        mtime,
        ctime,
        inode,
        device,
        mode: modes & 0o7777,
        links: modes >> 12 & LINKS_MAX,
        owner: Owner { user: low(take(4)), group: low(take(4)) },
        allocated,
    }
}

fn low(word: u64) -> u32 {
    u32::try_from(word & u64::from(u32::MAX)).expect("masked to 32 bits")
}

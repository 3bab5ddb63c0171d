//! How much of a machine a script may use.

use std::time::Duration;

use content::DecodeError;
use content::cbor::{Encoded, Reader, Writer};

use super::TIMEOUT_MAX;

/// How many processes and threads a script may have at once that says nothing of it. A machine keeps to
/// it if it can; see `docs/packages.md`.
pub const PROCESSES: u32 = 1024;
/// The least memory that a script can be held to, in bytes: below it not even a shell starts.
pub const MEMORY_BYTES_MIN: u64 = 1 << 20;
/// The most memory that can be named, in bytes: more than any machine has.
pub const MEMORY_BYTES_MAX: u64 = 1 << 50;
/// The most processes that can be named: as many as Linux has numbers for.
pub const PROCESSES_MAX: u32 = 1 << 22;
/// The least processor time: what is measured is looked at several times a second.
pub const PROCESSOR_MIN: Duration = Duration::from_secs(1);
/// The fewest open files: a program with its libraries and outputs needs about as many.
pub const OPEN_FILES_MIN: u32 = 16;
/// The most open files that can be named, the most that Linux grants unless told otherwise.
pub const OPEN_FILES_MAX: u32 = 1 << 20;

/// What a step asks to be kept to. What it does not name is as `docs/packages.md` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory of all its processes together, in bytes; from [`MEMORY_BYTES_MIN`] to
    /// [`MEMORY_BYTES_MAX`].
    pub memory_bytes: Option<u64>,
    /// Processes and threads at once; from 1 to [`PROCESSES_MAX`]. Without it, [`PROCESSES`].
    pub processes: Option<u32>,
    /// Processor time of all its processes together, whole milliseconds; from [`PROCESSOR_MIN`] to
    /// [`TIMEOUT_MAX`].
    pub processor: Option<Duration>,
    /// Files that each of its processes may have open; from [`OPEN_FILES_MIN`] to
    /// [`OPEN_FILES_MAX`].
    pub open_files: Option<u32>,
}

impl Limits {
    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The rule that is broken, if one is.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let Self { memory_bytes, processes, processor, open_files } = *self;
        if memory_bytes.is_some_and(|it| !(MEMORY_BYTES_MIN..=MEMORY_BYTES_MAX).contains(&it)) {
            return Err("a limit of memory is from 1 MiB to 1 PiB");
        }
        if processes.is_some_and(|it| !(1..=PROCESSES_MAX).contains(&it)) {
            return Err("a limit of processes is from 1 to 4194304");
        }
        if processor.is_some_and(|it| !(PROCESSOR_MIN..=TIMEOUT_MAX).contains(&it)) {
            return Err("a limit of processor time is from 1 s to 7 days");
        }
        if processor.is_some_and(|it| !it.subsec_nanos().is_multiple_of(1_000_000)) {
            return Err("a limit of processor time is whole milliseconds");
        }
        if open_files.is_some_and(|it| !(OPEN_FILES_MIN..=OPEN_FILES_MAX).contains(&it)) {
            return Err("a limit of open files is from 16 to 1048576");
        }
        Ok(())
    }
}

pub(super) fn write(limits: &Limits, writer: &mut Writer) -> Encoded {
    // Checked: at most a week.
    let processor = limits.processor.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX));
    let fields = [
        limits.memory_bytes,
        limits.processes.map(u64::from),
        processor,
        limits.open_files.map(u64::from),
    ];
    writer.map(fields.iter().flatten().count() as u64)?;
    for (key, value) in (0..).zip(fields) {
        if let Some(value) = value {
            writer.u8(key)?.u64(value)?;
        }
    }
    Ok(())
}

/// None at all re-encodes to other bytes, and is refused by that.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Limits, DecodeError> {
    let mut fields = reader.fields()?;
    let memory_bytes = if fields.take(reader, 0)? { Some(reader.u64()?) } else { None };
    let processes = if fields.take(reader, 1)? { Some(reader.u32()?) } else { None };
    let processor = if fields.take(reader, 2)? { Some(reader.u64()?) } else { None };
    let open_files = if fields.take(reader, 3)? { Some(reader.u32()?) } else { None };
    fields.finish(reader)?;
    Ok(Limits {
        memory_bytes,
        processes,
        processor: processor.map(Duration::from_millis),
        open_files,
    })
}

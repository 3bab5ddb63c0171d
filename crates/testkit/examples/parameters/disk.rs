//! The system calls with which contents reach the disk, in other sizes and orders than a checkout's.

use std::fs::{self, File};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt as _;

use anyhow::{Result, bail, ensure};
use random::Random;
use rustix::fs::{Advice, FallocateFlags, copy_file_range, fadvise, fallocate, syncfs};

use crate::cost::{Cost, Meter};
use crate::options::Options;

/// As `checkout::data` has it.
const WRITE_BACK_BYTES: u64 = 8 << 20;
/// A small file.
const FILE_BYTES: usize = 16 << 10;

/// Writes one file in pieces and makes it durable.
pub(crate) fn write(options: &mut Options) -> Result<Cost> {
    let path = options.path("to")?;
    let length: u64 = options.or("mib", 256)? << 20;
    let piece = options.or("piece-kib", 64)? << 10;
    let reserve = options.or("reserve", false)?;
    let write_back = options.or("write-back", true)?;
    let bytes = Random::new(2).bytes(piece);
    let meter = Meter::start()?;
    let file = File::create_new(&path)?;
    if reserve {
        fallocate(&file, FallocateFlags::empty(), 0, length)?;
    }
    let mut offset = 0;
    while offset < length {
        let end = (offset + piece as u64).min(length);
        file.write_all_at(&bytes[..usize::try_from(end - offset)?], offset)?;
        let stretch = offset / WRITE_BACK_BYTES;
        if write_back && stretch < end / WRITE_BACK_BYTES {
            fadvise(
                &file,
                stretch * WRITE_BACK_BYTES,
                NonZeroU64::new(WRITE_BACK_BYTES),
                Advice::DontNeed,
            )?;
        }
        offset = end;
    }
    file.sync_all()?;
    let cost = meter.stop()?;
    fs::remove_file(path)?;
    Ok(cost)
}

/// Writes many small files and makes them durable: `--each 1` every file by itself, `--each N` the whole
/// file system after so many.
pub(crate) fn sync(options: &mut Options) -> Result<Cost> {
    let to = options.path("to")?;
    let (files, each): (usize, usize) = (options.or("files", 8192)?, options.or("each", 4096)?);
    ensure!(each > 0, "--each 0 makes nothing durable");
    let bytes = Random::new(3).bytes(FILE_BYTES);
    fs::create_dir(&to)?;
    let directory = File::open(&to)?;
    let meter = Meter::start()?;
    for number in 1..=files {
        let file = File::create_new(to.join(number.to_string()))?;
        file.write_all_at(&bytes, 0)?;
        if each == 1 {
            file.sync_all()?;
        } else if number % each == 0 || number == files {
            syncfs(&directory)?;
        }
    }
    let cost = meter.stop()?;
    fs::remove_dir_all(to)?;
    Ok(cost)
}

/// Copies a file that is in the cache, and makes it durable.
pub(crate) fn copy(options: &mut Options) -> Result<Cost> {
    let to = options.path("to")?;
    let length: u64 = options.or("mib", 256)? << 20;
    let by: String = options.or("by", "kernel".to_owned())?;
    let piece: usize = options.or("piece-kib", 1024)? << 10;
    fs::create_dir(&to)?;
    let source = File::options().read(true).write(true).create_new(true).open(to.join("source"))?;
    let mut random = Random::new(4);
    for offset in (0..length).step_by(1 << 20) {
        source.write_all_at(&random.bytes(1 << 20), offset)?;
    }
    source.sync_all()?;
    let meter = Meter::start()?;
    let target = File::create_new(to.join("target"))?;
    match by.as_str() {
        "kernel" => {
            let (mut read, mut written) = (0, 0);
            while written < length {
                let left = usize::try_from(length - written)?;
                let count =
                    copy_file_range(&source, Some(&mut read), &target, Some(&mut written), left)?;
                ensure!(count > 0, "the source has become shorter");
            }
        }
        "program" => {
            let mut buffer = vec![0; piece];
            let mut offset = 0;
            while offset < length {
                let count = source.read_at(&mut buffer, offset)?;
                ensure!(count > 0, "the source has become shorter");
                target.write_all_at(&buffer[..count], offset)?;
                offset += count as u64;
            }
        }
        other => bail!("nothing copies by {other:?}: kernel or program"),
    }
    target.sync_all()?;
    let cost = meter.stop()?;
    fs::remove_dir_all(to)?;
    Ok(cost)
}

//! Inputs that are kept: what reaches every place the fuzzer ever reached, and what once failed.
//!
//! `corpus/TARGET.hex` is made by the fuzzer and may be made anew at any time; a line is an input
//! in hexadecimal digits, the shortest first. `findings/TARGET.hex` is written by hand: a line for
//! every input that once failed, which stays there for good. Lines that begin with `#` are remarks.

use std::io;
use std::path::{Path, PathBuf};

/// Most bytes of a target's file: what is not among the shortest inputs can be found again.
const FILE_BYTES_MAX: usize = 40_000;

fn file(folder: &str, target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target).with_extension("hex")
}

/// Everything kept for a target.
///
/// # Errors
/// When a file cannot be read, or a line is no input.
pub fn inputs(target: &str) -> io::Result<Vec<Vec<u8>>> {
    let mut inputs = Vec::new();
    for folder in ["corpus", "findings"] {
        let text = match std::fs::read_to_string(file(folder, target)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            inputs.push(hex::decode(line).map_err(io::Error::other)?);
        }
    }
    Ok(inputs)
}

/// Replaces a target's corpus by the shortest of `inputs`, as many as there is room for; returns
/// how many those are.
///
/// # Errors
/// When the file cannot be written.
pub fn keep(target: &str, mut inputs: Vec<Vec<u8>>) -> io::Result<usize> {
    inputs.sort_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
    inputs.dedup();
    let (mut text, mut kept) = (String::new(), 0);
    for input in inputs {
        if text.len() + 2 * input.len() + 1 > FILE_BYTES_MAX {
            break;
        }
        text.push_str(&hex::encode(input));
        text.push('\n');
        kept += 1;
    }
    let path = file("corpus", target);
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    std::fs::write(path, text)?;
    Ok(kept)
}

//! What is in the files that are measured.

use std::io::{self, Write};

use random::Random;

/// Words of a small vocabulary: text to a compressor.
pub(super) fn text(random: &mut Random, length: u64) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "the ",
        "chunk ",
        "of ",
        "a ",
        "release ",
        "is ",
        "named ",
        "by ",
        "its ",
        "hash ",
        "and ",
        "verified ",
        "before ",
        "use.\n",
        "Every ",
        "byte ",
    ];
    let mut text = Vec::with_capacity(length as usize + 16);
    while (text.len() as u64) < length {
        let word = random.next_u64();
        text.extend_from_slice(WORDS[(word % 16) as usize].as_bytes());
        if word >> 60 == 0 {
            text.extend_from_slice(format!("{:x} ", word >> 32).as_bytes());
        }
    }
    text.truncate(length as usize);
    text
}

/// Writes `length` bytes that no compressor shrinks, without holding them.
pub(super) fn pour(random: &mut Random, mut length: u64, out: &mut impl Write) -> io::Result<()> {
    while length > 0 {
        let part = length.min(1 << 20);
        out.write_all(&random.bytes(part as usize))?;
        length -= part;
    }
    Ok(())
}

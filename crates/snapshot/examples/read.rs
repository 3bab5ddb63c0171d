//! Reads a file or directory, throws the chunks away and says what it found and how fast.
//!
//! `cargo run --release -p snapshot --example read -- PATH INDEX`: run it twice with the same
//! `INDEX` to see what a second reading costs.

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use content::ChunkRef;
use snapshot::{ChunkKind, ChunkSink, SinkError, SnapshotOptions, SnapshotProgress, snapshot};

struct Nowhere;

impl ChunkSink for Nowhere {
    fn offer(&self, _: &ChunkRef, _: Bytes, _: ChunkKind) -> Result<(), SinkError> {
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let (Some(path), Some(index)) = (args.next(), args.next()) else {
        return Err("usage: read PATH INDEX".into());
    };
    let (path, index) = (Path::new(&path), Path::new(&index));
    let (options, progress) = (SnapshotOptions::default(), SnapshotProgress::default());
    let begun = Instant::now();
    let shot = snapshot(path, &options, Some(index), index, &Nowhere, &progress)?;
    let seconds = begun.elapsed().as_secs_f64();
    for skipped in &shot.skipped {
        eprintln!("left out {skipped}");
    }
    println!("tree {}", shot.tree.id());
    println!("{:?}, {} chunks", shot.totals, shot.closure_head.chunks);
    println!("read {} files, {} bytes in {seconds:.2} s", shot.files_read, shot.bytes_read);
    Ok(())
}

//! What one value of a parameter costs: a job done once with it, for `cargo xtask bench A1 A2 A3 A4`.
//!
//! `parameters JOB [--OPTION VALUE]…` prints wall and processor seconds and the memory the job took, in one
//! line of JSON; what it needs is made before that counts. `link` fetches over a simulated line, `tree`
//! reads and writes directories with the crates that do so, `disk` makes the system calls of a
//! checkout in other sizes and orders, because there they are no settings.

mod cost;
mod disk;
mod link;
mod options;
mod tree;

use anyhow::{Result, bail};

use crate::options::Options;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let job = arguments.next().unwrap_or_default();
    let mut options = Options::parse(arguments)?;
    let cost = match job.as_str() {
        "fetch" => link::fetch(&mut options)?,
        "read" => tree::read(&mut options)?,
        "checkout" => tree::write(&mut options)?,
        "write" => disk::write(&mut options)?,
        "sync" => disk::sync(&mut options)?,
        "copy" => disk::copy(&mut options)?,
        other => bail!("no job {other:?}: fetch, read, checkout, write, sync, copy"),
    };
    options.finish()?;
    println!("{cost}");
    Ok(())
}

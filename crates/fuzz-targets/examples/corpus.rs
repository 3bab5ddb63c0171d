//! What `cargo xtask fuzz` calls: inputs out of this crate into folders, and back.
//!
//! `corpus unpack DIR` makes `DIR/TARGET/` with the seeds and the kept inputs of every target and
//! prints the targets; `corpus keep TARGET DIR` keeps the files in `DIR` as that target's corpus.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use fuzz_targets::{TARGETS, corpus, seeds};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        ["unpack", to] => unpack(Path::new(to)),
        ["keep", target, from] => keep(target, Path::new(from)),
        _ => bail!("usage: corpus unpack DIR | corpus keep TARGET DIR"),
    }
}

fn unpack(to: &Path) -> Result<()> {
    for target in TARGETS {
        let folder = to.join(target.name);
        std::fs::create_dir_all(&folder)?;
        for input in seeds(target.name).into_iter().chain(corpus::inputs(target.name)?) {
            let name = blake3::hash(&input).to_hex();
            std::fs::write(folder.join(&name.as_str()[..40]), input)?;
        }
        println!("{}", target.name);
    }
    Ok(())
}

fn keep(target: &str, from: &Path) -> Result<()> {
    ensure!(TARGETS.iter().any(|known| known.name == target), "no target {target}");
    let mut inputs = Vec::new();
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        inputs.push(std::fs::read(entry?.path())?);
    }
    let found = inputs.len();
    println!("{target}: {} of {found} inputs kept", corpus::keep(target, inputs)?);
    Ok(())
}

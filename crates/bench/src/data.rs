//! The data sets, made once and kept. All but TREE are the same bytes on every machine.
//!
//! | name | what |
//! |---|---|
//! | F1, F2 | one file of 1 or 2 GiB that does not compress |
//! | F5 | one file of 5 GB that does not compress |
//! | SLOW | one file of 120 MB that does not compress |
//! | KIB, MIB, QUARTER | one file of 1 KiB, 1 MiB or 256 MiB that does not compress |
//! | SMALL | 20,000 files of 200 B to 32 KiB, about 127 MB: a third random, the rest text |
//! | TREE | a copy of the Rust toolchain's directory |
//! | TREE2 | TREE after an update: see [`update`] |
//! | MANY | 130,000 small files in 4,000 directories |
//! | SPARSE | a file of 1, 10 or 100 GB, 3.2 % of it data |
//! | FILES | 10,000 to 1,000,000 files of 64 to 512 bytes |

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use random::Random;

use super::contents::{pour, text};
use super::update::update;
use xtask::shell;

/// Bytes of the one file in F1 and in F2.
pub(super) const F1_BYTES: u64 = 1 << 30;
const F2_BYTES: u64 = 2 << 30;
/// Bytes of the one file in F5.
pub(super) const F5_BYTES: u64 = 5_000_000_000;
/// Bytes of the one file in SLOW: two minutes at the slower side's rate in P5.
pub(super) const SLOW_BYTES: u64 = 120_000_000;
/// Files in SMALL.
const SMALL_FILES: u64 = 20_000;
/// Directories and files in MANY: 134,000 entries with the 40 directories that hold the others.
const MANY_DIRECTORIES: u64 = 3_960;
const MANY_FILES: u64 = 130_000;
/// SPARSE: how often data begins, and how much of it.
const SPARSE_STRIDE: u64 = 1_000_000_000;
const SPARSE_RUN: u64 = 32_000_000;

/// The directory the data sets live in.
#[derive(Debug, Clone)]
pub(super) struct Data {
    root: PathBuf,
}

impl Data {
    pub(super) fn new(root: PathBuf) -> Result<Self> {
        fs::create_dir_all(&root).with_context(|| format!("cannot create {}", root.display()))?;
        Ok(Self { root: root.canonicalize()? })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// An empty directory for one run to work in.
    pub(super) fn scratch(&self, name: &str) -> Result<PathBuf> {
        let path = self.root.join("scratch").join(name);
        clear(&path)?;
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    pub(super) fn f1(&self) -> Result<PathBuf> {
        self.one_file("f1", 1, F1_BYTES)
    }

    pub(super) fn f2(&self) -> Result<PathBuf> {
        self.one_file("f2", 2, F2_BYTES)
    }

    pub(super) fn f5(&self) -> Result<PathBuf> {
        self.one_file("f5", 5, F5_BYTES)
    }

    pub(super) fn kib(&self) -> Result<PathBuf> {
        self.one_file("kib", 10, 1 << 10)
    }

    pub(super) fn mib(&self) -> Result<PathBuf> {
        self.one_file("mib", 20, 1 << 20)
    }

    pub(super) fn slow(&self) -> Result<PathBuf> {
        self.one_file("slow", 40, SLOW_BYTES)
    }

    pub(super) fn quarter(&self) -> Result<PathBuf> {
        self.one_file("quarter", 30, 256 << 20)
    }

    fn one_file(&self, name: &str, seed: u64, bytes: u64) -> Result<PathBuf> {
        self.once(name, |path| {
            let mut file = File::create(path.join("big.bin"))?;
            pour(&mut Random::new(seed), bytes, &mut file)?;
            Ok(())
        })
    }

    pub(super) fn small(&self) -> Result<PathBuf> {
        self.once("small", |path| {
            let mut random = Random::new(20_000);
            for index in 0..SMALL_FILES {
                let folder = path.join(format!("{:03}", index / 100));
                if index % 100 == 0 {
                    fs::create_dir(&folder)?;
                }
                let length = random.length(200, 32_768);
                let is_noise = index % 3 == 0;
                let bytes = if is_noise {
                    random.bytes(length as usize)
                } else {
                    text(&mut random, length)
                };
                fs::write(folder.join(format!("{index:05}.dat")), bytes)?;
            }
            Ok(())
        })
    }

    pub(super) fn tree(&self) -> Result<PathBuf> {
        self.once("tree", |path| {
            let sysroot = shell::output(Command::new("rustc").args(["--print", "sysroot"]))?;
            copy(Path::new(sysroot.trim()), path)
        })
    }

    pub(super) fn tree2(&self) -> Result<PathBuf> {
        let tree = self.tree()?;
        self.once("tree2", |path| {
            copy(&tree, path)?;
            let change = update(path)?;
            let summary = serde_json::to_vec_pretty(&change)?;
            fs::write(self.root.join("tree2.json"), summary).map_err(Into::into)
        })
    }

    pub(super) fn many(&self) -> Result<PathBuf> {
        self.once("many", |path| {
            let mut random = Random::new(134_000);
            for index in 0..MANY_FILES {
                let folder = index % MANY_DIRECTORIES;
                let folder = path.join(format!("{:02}/{folder:04}", folder % 40));
                fs::create_dir_all(&folder)?;
                // Every thousandth has the 10 KB that T11 changes.
                let length = if index % 1_000 == 0 { 10_000 } else { random.length(64, 2_048) };
                fs::write(folder.join(format!("{index:06}")), text(&mut random, length))?;
            }
            Ok(())
        })
    }

    /// So many small files, a hundred in a directory.
    pub(super) fn files(&self, count: u64) -> Result<PathBuf> {
        self.once(&format!("files-{count}"), |path| {
            let mut random = Random::new(count);
            for index in 0..count {
                let (outer, inner) = (index / 10_000, index / 100 % 100);
                let folder = path.join(format!("{outer:03}/{inner:02}"));
                if index % 100 == 0 {
                    fs::create_dir_all(&folder)?;
                }
                let length = random.length(64, 512);
                fs::write(folder.join(format!("{index:07}.txt")), text(&mut random, length))?;
            }
            Ok(())
        })
    }

    /// A file of so many GB, mostly holes.
    pub(super) fn sparse(&self, gigabytes: u64) -> Result<PathBuf> {
        let length = gigabytes * 1_000_000_000;
        self.once(&format!("sparse-{gigabytes}"), |path| {
            let mut file = File::create(path.join("huge.img"))?;
            let mut random = Random::new(gigabytes);
            for start in (0..length).step_by(SPARSE_STRIDE as usize) {
                file.seek(SeekFrom::Start(start))?;
                pour(&mut random, SPARSE_RUN, &mut file)?;
            }
            file.set_len(length)?;
            file.flush().map_err(Into::into)
        })
    }

    /// Makes a data set unless it is there; one that was cut off is made again.
    fn once(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let path = self.root.join(name);
        if !path.exists() {
            eprintln!("xtask: making data set {name}");
            let unfinished = self.root.join(format!("{name}.unfinished"));
            clear(&unfinished)?;
            fs::create_dir(&unfinished)?;
            make(&unfinished).with_context(|| format!("cannot make data set {name}"))?;
            fs::rename(&unfinished, &path)?;
        }
        Ok(path)
    }
}

/// Copies what is inside `from` into the existing directory `to`, with times and modes.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    shell::run(Command::new("cp").arg("-a").arg(from.join(".")).arg(to))
}

/// Removes whatever is at `path`.
pub(super) fn clear(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(facts) if facts.is_dir() => fs::remove_dir_all(path)?,
        Ok(_) => fs::remove_file(path)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => bail!("cannot look at {}: {error}", path.display()),
    }
    Ok(())
}

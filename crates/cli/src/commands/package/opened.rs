//! A package as it was named on the command line: a specification, or what was built of one.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use deploy::State;
use package::instructions::INSTRUCTIONS_BYTES_MAX;
use package::specification::{FILE_NAME, SPECIFICATION_BYTES_MAX, Source, Specification};
use package::{INSTRUCTIONS, Package};

/// As much of a script as says what it is given to.
const START_BYTES: u64 = 256;

/// Instructions, and where what they name is to be had.
pub(super) struct Opened {
    pub(super) package: Package,
    from: From,
}

enum From {
    /// The directory of a built package.
    Built(PathBuf),
    /// What a specification names, and the folder that its paths begin in.
    Specified { specification: Box<Specification>, folder: PathBuf },
}

impl Opened {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let instructions = path.join(INSTRUCTIONS);
        if instructions.is_file() {
            let cannot = || format!("cannot read {}", instructions.display());
            let mut bytes = Vec::new();
            fs::File::open(&instructions)
                .and_then(|opened| {
                    // One more, so that it is seen to be too long.
                    opened.take(INSTRUCTIONS_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)
                })
                .with_context(cannot)?;
            let package = Package::decode(&bytes).with_context(cannot)?;
            return Ok(Self { package, from: From::Built(path.to_owned()) });
        }
        let file = if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() };
        let cannot = || format!("cannot read {}", file.display());
        let mut text = String::new();
        fs::File::open(&file)
            .and_then(|opened| {
                // One more, so that it is seen to be too long.
                opened.take(SPECIFICATION_BYTES_MAX as u64 + 1).read_to_string(&mut text)
            })
            .with_context(cannot)?;
        let mut specification = match Specification::parse(&text) {
            Ok(specification) => specification,
            Err(found) => {
                let shown = file.display().to_string();
                let told: Vec<_> = found.iter().map(|one| one.render(&shown, &text)).collect();
                bail!("{} is no specification\n\n{}", shown, told.join("\n"));
            }
        };
        let folder = file.parent().unwrap_or(Path::new(".")).to_owned();
        let undecided: Vec<_> =
            specification.undecided().map(|(step, path)| (step, folder.join(path))).collect();
        for (step, path) in undecided {
            let mut start = Vec::new();
            let cannot = || format!("cannot read {}", path.display());
            if !fs::metadata(&path).with_context(cannot)?.is_file() {
                bail!("{} is no file", path.display());
            }
            fs::File::open(&path)
                .and_then(|file| file.take(START_BYTES).read_to_end(&mut start))
                .with_context(cannot)?;
            specification.decide(step, &start);
        }
        let package = specification.package.clone();
        Ok(Self {
            package,
            from: From::Specified { specification: Box::new(specification), folder },
        })
    }

    /// The directory with the package's tree: what was built, or is built now beneath the state.
    pub(super) fn tree(&self, state: &State) -> anyhow::Result<PathBuf> {
        let (specification, folder) = match &self.from {
            From::Built(path) => return Ok(path.clone()),
            From::Specified { specification, folder } => (specification, folder),
        };
        let tree = own_tree(state);
        self.clear(state)?;
        for content in &specification.contents {
            let to = tree.join(&content.at);
            let cannot = || format!("cannot put {} together", content.at);
            fs::create_dir_all(to.parent().unwrap_or(&tree)).with_context(cannot)?;
            match &content.from {
                Source::Text(text) => fs::write(&to, text).with_context(cannot)?,
                Source::Path(path) => {
                    // The publisher's own folder: a link that is named stands for what it leads to.
                    let from = folder.join(path);
                    let from = fs::canonicalize(&from)
                        .with_context(|| format!("cannot read {}", from.display()))?;
                    copy(&from, &to)?;
                }
            }
        }
        fs::create_dir_all(&tree)?;
        // What it is to whoever has nothing but the tree.
        let instructions = tree.join(INSTRUCTIONS);
        fs::write(&instructions, self.package.encode()?)
            .with_context(|| format!("cannot write {}", instructions.display()))?;
        Ok(tree)
    }

    /// Removes what [`tree`](Self::tree) built.
    pub(super) fn clear(&self, state: &State) -> anyhow::Result<()> {
        let tree = own_tree(state);
        if matches!(self.from, From::Specified { .. }) && tree.exists() {
            make_removable(&tree)
                .and_then(|()| fs::remove_dir_all(&tree))
                .with_context(|| format!("cannot empty {}", tree.display()))?;
        }
        Ok(())
    }
}

fn own_tree(state: &State) -> PathBuf {
    state.path().join("tree")
}

/// Lets its owner change every directory of a tree.
fn make_removable(directory: &Path) -> std::io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_removable(&entry.path())?;
        }
    }
    Ok(())
}

/// Copies files, directories and links, with their modes.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot copy {}", from.display());
    let facts = fs::symlink_metadata(from).with_context(cannot)?;
    if facts.is_symlink() {
        let target = fs::read_link(from).with_context(cannot)?;
        return std::os::unix::fs::symlink(target, to).with_context(cannot);
    }
    if facts.is_file() {
        return fs::copy(from, to).map(drop).with_context(cannot);
    }
    if !facts.is_dir() {
        bail!("{} is neither file nor directory nor link", from.display());
    }
    fs::create_dir(to).with_context(cannot)?;
    for entry in fs::read_dir(from).with_context(cannot)? {
        let name = entry.with_context(cannot)?.file_name();
        copy(&from.join(&name), &to.join(&name))?;
    }
    // Last: a directory that may not be written to could not be filled.
    let mode = facts.permissions().mode() & 0o777;
    fs::set_permissions(to, fs::Permissions::from_mode(mode)).with_context(cannot)
}

//! A few changes of the kinds people make.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Overwrites in one file, appends to one, renames one, removes one, adds one; says so.
pub(super) fn some_files(root: &Path) -> anyhow::Result<String> {
    let mut files: Vec<(u64, PathBuf)> = Vec::new();
    collect(root, &mut files)?;
    files.sort();
    let mut done = Vec::new();
    if let Some((size, largest)) = files.last() {
        writable(largest)?;
        let mut file = fs::OpenOptions::new().write(true).open(largest)?;
        file.seek(SeekFrom::Start(size / 2))?;
        file.write_all(b"changed in the middle")?;
        done.push(format!("overwrote 21 bytes in {}", name(largest)));
    }
    let middle = files.len() / 2;
    let picks: Vec<PathBuf> = files
        .iter()
        .take(files.len().saturating_sub(1))
        .skip(middle)
        .take(3)
        .map(|(_, path)| path.clone())
        .collect();
    if let Some(path) = picks.first() {
        writable(path)?;
        fs::OpenOptions::new().append(true).open(path)?.write_all(b"one line more\n")?;
        done.push(format!("appended to {}", name(path)));
    }
    if let Some(path) = picks.get(1) {
        fs::rename(path, path.with_extension("renamed"))?;
        done.push(format!("renamed {}", name(path)));
    }
    if let Some(path) = picks.get(2) {
        fs::remove_file(path)?;
        done.push(format!("removed {}", name(path)));
    }
    fs::write(root.join("NEW.txt"), "added in release 2\n")?;
    done.push("added NEW.txt".into());
    Ok(done.join(", "))
}

fn collect(directory: &Path, files: &mut Vec<(u64, PathBuf)>) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push((entry.metadata()?.len(), entry.path()));
        }
    }
    Ok(())
}

fn writable(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut permissions = fs::metadata(path)?.permissions();
    permissions.set_mode(permissions.mode() | 0o200);
    fs::set_permissions(path, permissions)
        .with_context(|| format!("cannot make {} writable", path.display()))
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

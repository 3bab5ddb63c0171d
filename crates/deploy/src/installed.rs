//! Which packages are on this machine, and the last receipt of each.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use package::Receipt;

use crate::apply::{ApplyError, failed, write};

/// Names and versions of the packages that passed last.
///
/// # Errors
/// When the list cannot be read.
pub fn installed(state: &Path) -> Result<BTreeMap<String, String>, ApplyError> {
    let path = path(state);
    match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(failed(&path)(error)),
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(&path)(error.into())),
    }
}

pub(crate) fn add(state: &Path, package: &str, version: &str) -> Result<(), ApplyError> {
    let mut all = installed(state)?;
    all.insert(package.to_owned(), version.to_owned());
    save(state, &all)
}

pub(crate) fn remove(state: &Path, package: &str) -> Result<(), ApplyError> {
    let mut all = installed(state)?;
    match all.remove(package) {
        Some(_) => save(state, &all),
        None => Ok(()),
    }
}

fn save(state: &Path, all: &BTreeMap<String, String>) -> Result<(), ApplyError> {
    let path = path(state);
    let bytes = serde_json::to_vec(all).map_err(|error| failed(&path)(error.into()))?;
    write(&path, &bytes)
}

/// Keeps the receipt until the next one of the same package.
pub(crate) fn keep_receipt(state: &Path, receipt: &Receipt) -> Result<(), ApplyError> {
    let path = receipt_path(state, &receipt.package);
    let mut fits = receipt.clone();
    fits.shorten();
    fs::create_dir_all(path.parent().unwrap_or(state)).map_err(failed(&path))?;
    write(&path, &fits.encode()?)
}

pub(crate) fn receipt_path(state: &Path, package: &str) -> PathBuf {
    state.join("receipts").join(format!("{package}.cbor"))
}

fn path(state: &Path) -> PathBuf {
    state.join("installed")
}

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

/// Keeps the receipt until the next one of the same package, and that of a delivery until it is
/// forgotten.
pub(crate) fn keep_receipt(
    state: &Path,
    receipt: &Receipt,
    delivery: Option<&str>,
) -> Result<(), ApplyError> {
    let mut fits = receipt.clone();
    fits.shorten();
    let encoded = fits.encode()?;
    let of_delivery = delivery.map(|delivery| delivery_path(state, delivery));
    for path in of_delivery.into_iter().chain([receipt_path(state, &receipt.package)]) {
        let directory = path.parent().unwrap_or(state);
        if !directory.exists() {
            fs::create_dir_all(directory)
                .and_then(|()| crate::durable::sync_parent(directory))
                .map_err(failed(&path))?;
        }
        write(&path, &encoded)?;
    }
    Ok(())
}

/// What became of a delivery, if it is over and was not forgotten.
pub(crate) fn delivered(state: &Path, delivery: &str) -> Result<Option<Receipt>, ApplyError> {
    let path = delivery_path(state, delivery);
    match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&path)(error)),
        Ok(bytes) => {
            let receipt = Receipt::decode(&bytes);
            let malformed = |error| io::Error::new(io::ErrorKind::InvalidData, error);
            receipt.map(Some).map_err(|error| failed(&path)(malformed(error)))
        }
    }
}

pub(crate) fn forget(state: &Path, delivery: &str) -> Result<(), ApplyError> {
    let path = delivery_path(state, delivery);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn delivery_path(state: &Path, delivery: &str) -> PathBuf {
    // By its hash: whatever the sender calls it, it is no path.
    let name = blake3::hash(delivery.as_bytes()).to_hex();
    state.join("deliveries").join(format!("{name}.cbor"))
}

pub(crate) fn receipt_path(state: &Path, package: &str) -> PathBuf {
    state.join("receipts").join(format!("{package}.cbor"))
}

fn path(state: &Path) -> PathBuf {
    state.join("installed")
}

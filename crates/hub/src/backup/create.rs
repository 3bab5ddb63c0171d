//! Making a backup, and bringing one up to date.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use hub_db::DatabaseUrl;
use store::DiskStore;

use super::copy::{copy, create_directory, sync_directory};
use super::{BackupError, Contents, CopiedFile, CopiedPack, VERSION, read_contents};
use crate::database::{AnnouncedDatabase, DatabaseError, announced_in, must_be_there};
use crate::files::{DataDir, unix_now, write_private};
use crate::maintenance::Copying;

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BackedUp {
    /// Packs copied in this run.
    pub packs_copied: u64,
    /// Their bytes.
    pub bytes_copied: u64,
    /// Packs that the run before had copied already.
    pub packs_kept: u64,
    /// Whether the database is in the backup: not when it is on a PostgreSQL server.
    pub has_database: bool,
}

/// Copies the hub whose data is in `data_dir` to `to`, which a run before may have filled: only
/// what is new is copied then. The hub may be running; it removes no chunks meanwhile.
///
/// A database on a server is not copied: `pg_dump` it before, so that the packs hold all its
/// releases need.
///
/// # Errors
/// See [`BackupError`]; `to` then holds the backup of the run before, if there was one.
pub async fn backup(data_dir: &Path, to: &Path) -> Result<BackedUp, BackupError> {
    let data = DataDir::open(data_dir);
    let store = data.store();
    if !store.is_dir() {
        return Err(BackupError::NoData(data_dir.to_owned()));
    }
    let database = own_database(&data)?;
    let lock = {
        let data = data.clone();
        // Waits for a removal of chunks to end, which may take minutes.
        blocking(move || {
            Copying::begin(&data).map_err(BackupError::io("lock", &data.removing_lock()))
        })
        .await?
    };
    for directory in [to, &to.join("packs"), &to.join("files")] {
        create_directory(directory)?;
    }
    let before = read_contents(to)?.unwrap_or_default();

    let snapshot = to.join("files").join("database.tmp");
    remove_if_there(&snapshot)?;
    let has_database = match database {
        None => false,
        Some(database) => {
            let db = hub_db::open(&database).await?;
            let copied = db.snapshot_to(&snapshot).await;
            db.close().await;
            copied?
        }
    };

    let to = to.to_owned();
    blocking(move || {
        let mut report = BackedUp { has_database, ..BackedUp::default() };
        let mut contents = Contents { version: VERSION, ..Contents::default() };
        if has_database {
            contents.files.push(keep_file(&to, &snapshot, "hub.sqlite")?);
            remove_if_there(&snapshot)?;
        }
        for path in small_files(&data)? {
            contents.files.push(keep_file(&to, &data.path().join(&path), &path)?);
        }
        contents.packs = copy_packs(&store, &to, before.packs, &mut report)?;
        drop(lock);
        sync_directory(&to.join("files"))?;
        sync_directory(&to.join("packs"))?;
        contents.finished = unix_now();
        let text = serde_json::to_vec_pretty(&contents).map_err(io::Error::from);
        let path = to.join("backup.json");
        text.and_then(|text| write_private(&path, &text))
            .map_err(BackupError::io("write", &path))?;
        remove_others(&to, &contents)?;
        Ok(report)
    })
    .await
}

/// The database in the data directory, unless the hub's is elsewhere.
fn own_database(data: &DataDir) -> Result<Option<DatabaseUrl>, DatabaseError> {
    match announced_in(data)? {
        Some(AnnouncedDatabase::Postgres { .. }) => Ok(None),
        None | Some(AnnouncedDatabase::Sqlite) => {
            must_be_there(data)?;
            Ok(Some(DatabaseUrl::Sqlite(data.database())))
        }
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(BackupError::Io {
                action: "go on with",
                path: PathBuf::from("the backup"),
                source: io::ErrorKind::Interrupted.into(),
            }),
        },
    }
}

fn remove_if_there(path: &Path) -> Result<(), BackupError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(BackupError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Keys, certificates and the like: those of the data directory that are there, by path.
fn small_files(data: &DataDir) -> Result<Vec<String>, BackupError> {
    let mut files = Vec::new();
    for directory in ["", "tls", "acme"] {
        let path = data.path().join(directory);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(BackupError::io("list", &path)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(BackupError::io("list", &path))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let wanted = [".key", ".json", ".pem"].iter().any(|end| name.ends_with(end));
            if wanted && entry.path().is_file() {
                files.push(if directory.is_empty() { name } else { format!("{directory}/{name}") });
            }
        }
    }
    files.sort();
    Ok(files)
}

fn keep_file(to: &Path, from: &Path, path: &str) -> Result<CopiedFile, BackupError> {
    let temporary = to.join("files").join("copy.tmp");
    let (hash, _) = copy(from, &temporary)?;
    let kept = CopiedFile { path: path.to_owned(), hash };
    let place = kept.place(to);
    fs::rename(&temporary, &place).map_err(BackupError::io("replace", &place))?;
    Ok(kept)
}

fn copy_packs(
    store: &Path,
    to: &Path,
    before: Vec<CopiedPack>,
    report: &mut BackedUp,
) -> Result<Vec<CopiedPack>, BackupError> {
    let before: BTreeMap<u32, CopiedPack> =
        before.into_iter().map(|pack| (pack.number, pack)).collect();
    let mut contents = Vec::new();
    for (number, from) in DiskStore::pack_files(store)? {
        let metadata = fs::metadata(&from).map_err(BackupError::io("read", &from))?;
        let modified = metadata.modified().map_err(BackupError::io("read", &from))?;
        let modified = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let modified_ns = u64::try_from(modified).unwrap_or(u64::MAX);
        let same = before.get(&number).filter(|pack| {
            (pack.bytes, pack.modified_ns) == (metadata.len(), modified_ns)
                && fs::metadata(pack.place(to)).is_ok_and(|copy| copy.len() == pack.bytes)
        });
        if let Some(same) = same {
            report.packs_kept += 1;
            contents.push(same.clone());
            continue;
        }
        let temporary = to.join("packs").join("copy.tmp");
        let (hash, bytes) = copy(&from, &temporary)?;
        // What came while it was copied changed its time: the next run copies it again.
        let pack = CopiedPack { number, bytes, modified_ns, hash };
        let place = pack.place(to);
        fs::rename(&temporary, &place).map_err(BackupError::io("replace", &place))?;
        report.packs_copied += 1;
        report.bytes_copied += bytes;
        contents.push(pack);
    }
    Ok(contents)
}

/// Removes what an earlier backup named and this one does not, and what a killed run left.
fn remove_others(to: &Path, contents: &Contents) -> Result<(), BackupError> {
    let files = contents.files.iter().map(|file| file.place(to));
    let named: HashSet<PathBuf> =
        files.chain(contents.packs.iter().map(|pack| pack.place(to))).collect();
    for directory in ["files", "packs"] {
        let path = to.join(directory);
        for entry in fs::read_dir(&path).map_err(BackupError::io("list", &path))? {
            let entry = entry.map_err(BackupError::io("list", &path))?;
            if !named.contains(&entry.path()) {
                remove_if_there(&entry.path())?;
            }
        }
    }
    Ok(())
}

//! Making a hub's data directory of a backup, and proving that it is whole.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::Path;

use content::{ChunkId, Closure, ClosureHead};
use hub_db::{DatabaseUrl, HubDb};
use store::{ChunkStore, DiskOptions, DiskStore};

use super::copy::{copy, create_directory, sync_directory};
use super::{BackupError, Contents, read_contents};
use crate::files::DataDir;

/// Chunks looked up at once.
const LOOKUP_CHUNKS: usize = 4096;

/// What was restored, all of it checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// Packs.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Releases, every chunk of which is here; `None` when the database is on a server.
    pub releases: Option<u64>,
}

/// Makes a data directory at `data_dir` of the backup in `from`. It must not exist, be empty, or be
/// what a restore that did not end has left there: that is removed. Every file is compared with its hash on the way, the store's index is made from the
/// packs, and for every release in the database it is checked that all its chunks are there.
///
/// # Errors
/// See [`BackupError`]. After [`BackupError::Incomplete`] the directory is there and can be
/// served: all other releases are whole.
pub async fn restore(from: &Path, data_dir: &Path) -> Result<Restored, BackupError> {
    let contents = read_contents(from)?.ok_or_else(|| BackupError::NoBackup(from.to_owned()))?;
    let data = DataDir::open(data_dir);
    begin(&data)?;
    let (from, has_database) = (from.to_owned(), names_database(&contents));
    let report = {
        let data = data.clone();
        super::create::blocking(move || copy_all(&from, &contents, &data)).await?
    };
    if !has_database {
        end(&data)?;
        return Ok(report);
    }
    let path = data.store();
    let options = DiskOptions { free_reserve_bytes: 0, ..DiskOptions::default() };
    let store = super::create::blocking(move || Ok(DiskStore::open(&path, options)?)).await?;
    let db = hub_db::open(&DatabaseUrl::Sqlite(data.database())).await?;
    let checked = check(&*db, &store).await;
    db.close().await;
    if matches!(checked, Ok(_) | Err(BackupError::Incomplete { .. })) {
        end(&data)?;
    }
    Ok(Restored { releases: Some(checked?), ..report })
}

/// Makes an empty directory in which nothing serves until [`end`].
fn begin(data: &DataDir) -> Result<(), BackupError> {
    let mark = data.restoring();
    let is_unfinished = mark.exists();
    match fs::read_dir(data.path()) {
        Ok(entries) => {
            for entry in entries {
                let path = entry.map_err(BackupError::io("list", data.path()))?.path();
                if !is_unfinished {
                    return Err(BackupError::NotEmpty(data.path().to_owned()));
                }
                // The mark goes last of all: without it this is somebody's data.
                if path != mark {
                    let is_directory = path.is_dir() && !path.is_symlink();
                    let removed = if is_directory {
                        fs::remove_dir_all(&path)
                    } else {
                        fs::remove_file(&path)
                    };
                    removed.map_err(BackupError::io("remove", &path))?;
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(BackupError::io("list", data.path())(error)),
    }
    create_directory(data.path())?;
    fs::write(&mark, b"").map_err(BackupError::io("create", &mark))?;
    sync_directory(data.path())
}

/// From here on it is the data of a hub.
fn end(data: &DataDir) -> Result<(), BackupError> {
    let mark = data.restoring();
    fs::remove_file(&mark).map_err(BackupError::io("remove", &mark))?;
    sync_directory(data.path())
}

fn names_database(contents: &Contents) -> bool {
    contents.files.iter().any(|file| file.path == "hub.sqlite")
}

fn copy_all(from: &Path, contents: &Contents, data: &DataDir) -> Result<Restored, BackupError> {
    let store = data.store();
    let packs = store.join("packs");
    create_directory(data.path())?;
    create_directory(&packs)?;
    let mut report = Restored::default();
    for pack in &contents.packs {
        let place = pack.place(from);
        let (hash, bytes) = copy(&place, &DiskStore::pack_file(&store, pack.number))?;
        if hash != pack.hash {
            return Err(BackupError::Damaged(place));
        }
        report.packs += 1;
        report.bytes += bytes;
    }
    sync_directory(&packs)?;
    // Where files are put; that the directories themselves last, their creation sees to.
    let mut directories = BTreeSet::from([data.path().to_owned()]);
    for file in &contents.files {
        // A backup that somebody changed must not write elsewhere.
        let is_known = Path::new(&file.path).components().count() <= 2
            && Path::new(&file.path)
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_)));
        if !is_known {
            return Err(BackupError::Damaged(from.join("backup.json")));
        }
        let path = data.path().join(&file.path);
        if let Some(directory) = path.parent() {
            create_directory(directory)?;
            directories.insert(directory.to_owned());
        }
        let (hash, _) = copy(&file.place(from), &path)?;
        if hash != file.hash {
            return Err(BackupError::Damaged(file.place(from)));
        }
    }
    directories.iter().try_for_each(|directory| sync_directory(directory))?;
    // It may have been there, empty and just made by somebody who did not sync.
    let path = data.path().canonicalize().map_err(BackupError::io("find", data.path()))?;
    path.parent().map_or(Ok(()), sync_directory)?;
    Ok(report)
}

/// Looks every chunk of every release up; returns how many releases there are.
async fn check(db: &dyn HubDb, store: &dyn ChunkStore) -> Result<u64, BackupError> {
    let (mut releases, mut missing, mut first) = (0, 0, None);
    // Releases of a name share most of their segments.
    let mut whole = HashSet::new();
    for closure in db.closures().await? {
        releases += 1;
        let lacking = lacking(store, closure, &mut whole).await?;
        if lacking > 0 && first.is_none() {
            first = Some(closure);
        }
        missing += lacking;
    }
    match first {
        None => Ok(releases),
        Some(closure) => Err(BackupError::Incomplete { missing, closure }),
    }
}

/// How many chunks under a closure are not there.
async fn lacking(
    store: &dyn ChunkStore,
    closure: ChunkId,
    whole: &mut HashSet<ChunkId>,
) -> Result<u64, BackupError> {
    let Some(head) = store.read(&closure).await? else { return Ok(1) };
    let Ok(head) = ClosureHead::decode(&head) else { return Ok(1) };
    let mut lacking = 0;
    for segment in &head.segments {
        if whole.contains(&segment.id) {
            continue;
        }
        let Some(bytes) = store.read(&segment.id).await? else {
            lacking += 1;
            continue;
        };
        let Ok(listed) = Closure::decode(&bytes) else {
            lacking += 1;
            continue;
        };
        let before = lacking;
        let ids: Vec<ChunkId> = listed.0.iter().map(|entry| entry.id).collect();
        for ids in ids.chunks(LOOKUP_CHUNKS) {
            lacking += store.has(ids).await?.into_iter().filter(|stored| !stored).count() as u64;
        }
        if lacking == before {
            whole.insert(segment.id);
        }
    }
    Ok(lacking)
}

//! Which database a hub uses, and how commands beside it find the same one.
//!
//! Without anything said it is `hub.sqlite` in the data directory. A server's address comes from
//! the command line, a file or the environment; `hub.json` says which kind it was and, as long
//! as that gives no password away, where. So a hub that was started once without its address is
//! refused, instead of beginning with an empty database and collecting all its chunks. So is one
//! whose `hub.json` cannot be read, and one whose `hub.sqlite` is gone: a collection looks no
//! further than the database, because a hub whose last release was deleted has the same empty one
//! and its operator wants the space back.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use documents::PublicKey;
use hub_db::{AddressError, DatabaseKind, DatabaseUrl, DbError, HubDb};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::files::{Announcement, DataDir};
use crate::start::StartError;

/// A database on a server.
#[derive(Debug, Clone)]
pub struct Database {
    url: DatabaseUrl,
    /// The file the address is in.
    file: Option<PathBuf>,
}

/// Why it is not known which database to use. Nothing was opened.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The text is not the address of a server. It is not repeated: it may hold a password.
    #[error("a database is postgres://USER@HOST/DATABASE")]
    NotADatabase,
    /// The address asks for a protection of the connection that it would not get. The text says
    /// what to ask for instead.
    #[error(transparent)]
    Protection(AddressError),
    /// The file with the database or its address cannot be read. Check that it belongs to who runs
    /// this.
    #[error("cannot read {}, where the database or its address is", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Everybody on the machine may read the file, and the password in it. Take that away.
    #[error("everybody may read {}: chmod o-rwx it, it may hold a password", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// The hub uses a server whose address is not written down, because it holds a password.
    /// Give it again.
    #[error(
        "the hub's database is on a server: name it with --database-file, or in CONSIGN_DATABASE"
    )]
    Elsewhere,
    /// The database is empty, or another hub's. Name the one this hub has used: with another it
    /// would collect the chunks of all releases it does not find there.
    #[error("this is not the database that the hub in this directory has used")]
    NotThisHubs,
    /// There is a `hub.json`, and what it says is not known: it cannot be read, or another version
    /// wrote it. Mend it; it holds no secret, so copy it from a backup.
    #[error("cannot read {}, which says where the hub's database is: mend it or restore it", path.display())]
    Announcement {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A hub has run on this directory, and its database is not there or is empty. An empty one in
    /// its place would make the hub collect all its chunks. Put it back, or restore a backup.
    #[error(
        "the hub's database {} is missing: put it back, or restore a backup of this hub",
        path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The hub in this directory has used another kind of database. Name that one; only to begin
    /// anew with an empty database, on an empty directory, use another.
    #[error("the hub in this directory uses {announced}, not {asked}")]
    Other {
        /// What it uses.
        announced: DatabaseKind,
        /// What was asked for.
        asked: DatabaseKind,
    },
}

impl Database {
    /// The server at `postgres://…`.
    ///
    /// # Errors
    /// [`DatabaseError::NotADatabase`], [`DatabaseError::Protection`].
    pub fn at(address: &str) -> Result<Self, DatabaseError> {
        let url: DatabaseUrl = address.parse().map_err(|error| match error {
            AddressError::NotADatabase => DatabaseError::NotADatabase,
            AddressError::Unknown(_) | AddressError::HalfVerified => {
                DatabaseError::Protection(error)
            }
        })?;
        match url.kind() {
            DatabaseKind::Postgres => Ok(Self { url, file: None }),
            DatabaseKind::Sqlite => Err(DatabaseError::NotADatabase),
        }
    }

    /// The server whose address is the first line of a file.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub fn in_file(path: &Path) -> Result<Self, DatabaseError> {
        let unreadable = |source| DatabaseError::File { path: path.to_owned(), source };
        let path = path.canonicalize().map_err(unreadable)?;
        let text = std::fs::read_to_string(&path).map_err(unreadable)?;
        let mode = path.metadata().map_err(unreadable)?.mode();
        let database = Self::at(text.lines().next().unwrap_or_default().trim())?;
        if database.has_password() && mode & 0o007 != 0 {
            return Err(DatabaseError::Exposed { path });
        }
        Ok(Self { file: Some(path), ..database })
    }

    /// Whether the address holds a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.url.has_password()
    }
}

/// What `hub.json` says of the database.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum AnnouncedDatabase {
    /// `hub.sqlite` in the data directory.
    #[default]
    Sqlite,
    /// A server.
    Postgres {
        /// Its address, unless that holds a password or is in a file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<String>,
        /// The file its address is in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<PathBuf>,
    },
}

/// A hub's data, as commands beside the hub are told of it.
#[derive(Debug, Clone)]
pub struct HubData {
    directory: PathBuf,
    database: Option<Database>,
}

impl HubData {
    /// The data directory, and the database when it was named.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>, database: Option<Database>) -> Self {
        Self { directory: directory.into(), database }
    }
}

impl From<&Path> for HubData {
    fn from(directory: &Path) -> Self {
        Self::new(directory, None)
    }
}

impl From<&PathBuf> for HubData {
    fn from(directory: &PathBuf) -> Self {
        Self::new(directory, None)
    }
}

/// Which database the hub on `data` uses, given what was said now and what `hub.json` says.
pub(crate) fn choose(
    data: &DataDir,
    given: Option<&Database>,
) -> Result<(DatabaseUrl, AnnouncedDatabase), DatabaseError> {
    let own = (DatabaseUrl::Sqlite(data.database()), AnnouncedDatabase::Sqlite);
    match (announced_in(data)?, given) {
        (None, None) if !has_packs(data)? => Ok(own),
        (None | Some(AnnouncedDatabase::Sqlite), None) => must_be_there(data).map(|()| own),
        (Some(AnnouncedDatabase::Sqlite), Some(given)) => {
            Err(DatabaseError::Other { announced: DatabaseKind::Sqlite, asked: given.url.kind() })
        }
        (None | Some(AnnouncedDatabase::Postgres { .. }), Some(given)) => Ok(announced(given)),
        (Some(AnnouncedDatabase::Postgres { address, file }), None) => {
            let known = match (file, address) {
                (Some(file), _) => Database::in_file(&file)?,
                (None, Some(address)) => Database::at(&address)?,
                (None, None) => return Err(DatabaseError::Elsewhere),
            };
            Ok(announced(&known))
        }
    }
}

/// What `hub.json` says; `None` when there is none, so that no hub has run here yet.
pub(crate) fn announced_in(data: &DataDir) -> Result<Option<AnnouncedDatabase>, DatabaseError> {
    match data.announcement() {
        Ok(announcement) => Ok(Some(announcement.database)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DatabaseError::Announcement { path: data.announcement_file(), source }),
    }
}

/// Refuses when `hub.sqlite` is missing, or is a file that SQLite would take for a new database.
pub(crate) fn must_be_there(data: &DataDir) -> Result<(), DatabaseError> {
    let path = data.database();
    match path.metadata() {
        Ok(metadata) if metadata.len() > 0 => Ok(()),
        Ok(_) => Err(DatabaseError::Missing { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(DatabaseError::Missing { path })
        }
        Err(source) => Err(DatabaseError::File { path, source }),
    }
}

/// Whether chunks lie here: somebody's, even if nothing says whose.
fn has_packs(data: &DataDir) -> Result<bool, DatabaseError> {
    let path = data.store().join("packs");
    match path.read_dir() {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(DatabaseError::File { path, source }),
    }
}

fn announced(database: &Database) -> (DatabaseUrl, AnnouncedDatabase) {
    let address = database.url.address().filter(|_| database.file.is_none()).map(str::to_owned);
    let announced = AnnouncedDatabase::Postgres { address, file: database.file.clone() };
    (database.url.clone(), announced)
}

/// Refuses a server's database that is not this hub's. A hub that starts for the first time takes
/// one that is nobody's; the file in the data directory needs no proof.
pub(crate) async fn must_belong(
    db: &dyn HubDb,
    hub: &PublicKey,
    data: &DataDir,
    database: &AnnouncedDatabase,
) -> Result<(), StartError> {
    let begins = announced_in(data)?.is_none();
    let is_file = *database == AnnouncedDatabase::Sqlite;
    let belongs = db.belongs_to(hub.as_bytes(), begins || is_file).await;
    if belongs.map_err(StartError::Db)? || is_file {
        return Ok(());
    }
    Err(DatabaseError::NotThisHubs.into())
}

/// How long a hub that starts waits for its database: after a reboot, or a crash it recovers from,
/// a server comes up beside the hub. Then whoever supervises the hub starts it again.
pub(crate) const START_PATIENCE: Duration = Duration::from_secs(30);

/// Pause between two attempts; the server's own start takes a second or two.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(500);

/// After so long without an answer it is said what is waited for.
const SILENCE: Duration = Duration::from_secs(1);

/// Opens the database, waiting for one that is away, and saying so.
pub(crate) async fn open_within(
    patience: Duration,
    place: &DatabaseUrl,
) -> Result<Arc<dyn HubDb>, DbError> {
    if place.is_exposed() {
        tracing::warn!(
            database = %place,
            "the way to the database is not protected: say sslmode=verify-full in its address"
        );
    }
    let started = Instant::now();
    let mut opening = pin!(async {
        loop {
            match hub_db::open(place).await {
                Err(error) if error.is_retryable() && started.elapsed() < patience => {
                    tokio::time::sleep(ATTEMPT_PAUSE).await;
                }
                opened => return opened,
            }
        }
    });
    if let Ok(opened) = tokio::time::timeout(SILENCE, &mut opening).await {
        return opened;
    }
    tracing::warn!(database = %place, "waiting for the database");
    opening.await
}

/// Why a command beside a hub cannot use the hub's database.
#[derive(Debug, thiserror::Error)]
pub enum BesideError {
    /// No hub has run on this directory yet, or it cannot be read. Start the hub once.
    #[error("no hub has announced itself in {}", path.display())]
    NoHub {
        /// The data directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is not known which database to use.
    #[error(transparent)]
    Which(#[from] DatabaseError),
    /// The database cannot be opened.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// What the hub says of itself, and its database.
pub(crate) async fn beside(hub: &HubData) -> Result<(Announcement, Arc<dyn HubDb>), BesideError> {
    let data = DataDir::open(&hub.directory);
    let no_hub = |source| BesideError::NoHub { path: hub.directory.clone(), source };
    let announcement = data.announcement().map_err(no_hub)?;
    let (url, _) = choose(&data, hub.database.as_ref())?;
    Ok((announcement, open_within(Duration::ZERO, &url).await?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use hub_api::Hex;

    use super::*;
    use crate::config::HubConfig;
    use crate::start::Hub;

    const PLAIN: &str = "postgres://consign@db.example.org/consign";
    const SECRET: &str = "postgres://consign:hunter2@db.example.org/consign";

    /// A directory on which a hub ran with `database`.
    fn after(database: Option<&Database>) -> (tempfile::TempDir, DataDir) {
        let directory = tempfile::tempdir().expect("a directory");
        let data = DataDir::create(directory.path()).expect("creates");
        let (place, database) = choose(&data, database).expect("is the first");
        if let DatabaseUrl::Sqlite(path) = place {
            std::fs::write(path, "SQLite format 3").expect("writes");
        }
        let url = "https://hub.example.org".to_owned();
        let announcement = Announcement { url, fingerprint: Hex([0; 32]), database };
        data.announce(&announcement).expect("writes");
        (directory, data)
    }

    fn kind(chosen: Result<(DatabaseUrl, AnnouncedDatabase), DatabaseError>) -> DatabaseKind {
        chosen.expect("is known").0.kind()
    }

    #[test]
    fn a_server_is_remembered_and_its_password_is_not() {
        let (_keep, data) = after(Some(&Database::at(PLAIN).expect("an address")));
        assert_eq!(kind(choose(&data, None)), DatabaseKind::Postgres);

        let secret = Database::at(SECRET).expect("an address");
        let (directory, data) = after(Some(&secret));
        let written = std::fs::read_to_string(directory.path().join("hub.json")).expect("reads");
        assert!(!written.contains("hunter2"), "{written}");
        let refused = choose(&data, None).expect_err("nobody said where");
        assert!(matches!(refused, DatabaseError::Elsewhere), "{refused}");
        assert_eq!(kind(choose(&data, Some(&secret))), DatabaseKind::Postgres);
        assert!(!format!("{secret:?}").contains("hunter2"));
    }

    #[test]
    fn a_file_is_remembered_and_must_not_be_everybodys() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("database");
        std::fs::write(&file, format!("{SECRET}\n")).expect("writes");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("ours");
        let refused = Database::in_file(&file).expect_err("is everybody's");
        assert!(matches!(refused, DatabaseError::Exposed { .. }), "{refused}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("ours");
        let database = Database::in_file(&file).expect("an address");
        let (_keep, data) = after(Some(&database));
        assert_eq!(kind(choose(&data, None)), DatabaseKind::Postgres);
        std::fs::write(&file, "hunter2").expect("writes");
        let refused = choose(&data, None).expect_err("is no address");
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
        std::fs::remove_file(&file).expect("removes");
        assert!(matches!(choose(&data, None), Err(DatabaseError::File { .. })));
    }

    #[test]
    fn what_cannot_be_read_is_not_an_absence() {
        let (_keep, data) = after(Some(&Database::at(PLAIN).expect("an address")));
        let path = data.announcement_file();
        let announced = std::fs::read_to_string(&path).expect("reads");
        let unknown = announced.replace("postgres\"", "oracle\"");
        assert_ne!(announced, unknown);
        for text in ["", "{", unknown.as_str()] {
            std::fs::write(&path, text).expect("writes");
            let refused = choose(&data, None).expect_err("nobody knows");
            assert!(matches!(refused, DatabaseError::Announcement { .. }), "{refused}");
            let server = Database::at(PLAIN).expect("an address");
            choose(&data, Some(&server)).expect_err("nor whether it is this one");
        }
        std::fs::remove_file(&path).expect("removes");
        std::fs::create_dir(&path).expect("is no file");
        let refused = choose(&data, None).expect_err("it is there");
        assert!(matches!(refused, DatabaseError::Announcement { .. }), "{refused}");
    }

    #[tokio::test]
    async fn a_database_that_is_gone_is_not_begun_anew() {
        let (directory, data) = after(None);
        std::fs::write(data.database(), "").expect("empties");
        let refused = choose(&data, None).expect_err("it is empty");
        assert!(matches!(refused, DatabaseError::Missing { .. }), "{refused}");
        std::fs::remove_file(data.database()).expect("removes");
        let refused = choose(&data, None).expect_err("it is missing");
        assert!(matches!(refused, DatabaseError::Missing { .. }), "{refused}");
        assert!(refused.to_string().contains("restore"), "{refused}");
        let refused = beside(&directory.path().into()).await.map(drop).expect_err("no database");
        assert!(matches!(refused, BesideError::Which(DatabaseError::Missing { .. })), "{refused}");
        let config = HubConfig::new(directory.path(), ([127, 0, 0, 1], 0).into());
        let refused = Hub::start(config).await.map(drop).expect_err("no database");
        assert!(matches!(refused, StartError::Database(DatabaseError::Missing { .. })));
        assert!(!data.database().exists(), "nobody made one");

        // Nor when hub.json went with it and chunks are there.
        std::fs::remove_file(data.announcement_file()).expect("removes");
        choose(&data, None).expect("looks like a new directory");
        std::fs::write(data.store().join("packs/00000001.pack"), "chunks").expect("writes");
        let refused = choose(&data, None).expect_err("somebody's chunks");
        assert!(matches!(refused, DatabaseError::Missing { .. }), "{refused}");
    }

    /// A hub that began with an empty database would collect all chunks of the other one.
    #[test]
    fn a_hub_keeps_to_its_kind_of_database() {
        let (_keep, data) = after(None);
        assert_eq!(kind(choose(&data, None)), DatabaseKind::Sqlite);
        let server = Database::at(PLAIN).expect("an address");
        let refused = choose(&data, Some(&server)).expect_err("it uses a file");
        assert!(matches!(refused, DatabaseError::Other { .. }), "{refused}");
        assert!(Database::at("sqlite:/var/lib/hub.sqlite").is_err(), "the file has its place");
        // What was written before there was a choice.
        let old = r#"{"url": "https://hub.example.org", "fingerprint": "FP"}"#;
        let old = old.replace("FP", &"00".repeat(32));
        std::fs::write(data.path().join("hub.json"), old).expect("writes");
        assert_eq!(kind(choose(&data, None)), DatabaseKind::Sqlite);
    }
}

//! How the ledger fails.

use hub_db::DbError;

/// The ledger did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database cannot be reached, is restarting, or is held by another process for too long.
    /// When the connection broke at the very end, the change may have been made: every call may be
    /// repeated. Try again in a few seconds.
    #[error("the publisher's database cannot be reached")]
    Unavailable(#[source] sqlx::Error),
    /// There is no room left. Nothing was changed; writing works again once there is.
    #[error("the publisher's database has no room left")]
    Full(#[source] sqlx::Error),
    /// The database could not be opened or refused a statement: disk, permissions, wrong password, a
    /// certificate that does not vouch for the server. Nothing was changed; trying again helps
    /// only after something was mended.
    #[error("the publisher's database failed")]
    Failed(#[source] sqlx::Error),
    /// The file cannot be made.
    #[error("cannot create the publisher's database")]
    Create(#[source] std::io::Error),
    /// The file is no database, or that of another program: nothing was changed. Name another file, or
    /// restore a copy where this one was damaged.
    #[error("the file is not a publisher's database")]
    NoLedger,
    /// The database was written by a newer version. Run that version, or a later one.
    #[error(
        "the publisher's database has schema {found}, this version knows {known}; run a newer version"
    )]
    Newer {
        /// Schema version found in it.
        found: i64,
        /// Newest schema version this program knows.
        known: i64,
    },
    /// A row holds what no version ever writes. The database is damaged: restore a copy.
    #[error("the publisher's database is damaged: {0}")]
    Damaged(&'static str),
}

impl LedgerError {
    /// Whether the same call may succeed a moment later, with nobody mending anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// What the drivers' errors mean is known in one place.
impl From<sqlx::Error> for LedgerError {
    fn from(error: sqlx::Error) -> Self {
        if let sqlx::Error::Database(refused) = &error
            && refused.code().is_some_and(|code| code == SQLITE_NOTADB)
        {
            return Self::NoLedger;
        }
        DbError::from(error).into()
    }
}

impl From<DbError> for LedgerError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unavailable(error) => Self::Unavailable(error),
            DbError::Full(error) => Self::Full(error),
            DbError::Failed(error) => Self::Failed(error),
            DbError::Newer { found, known } => Self::Newer { found, known },
            DbError::Damaged(what) => Self::Damaged(what),
            DbError::Copy(error) => Self::Create(error),
        }
    }
}

/// The file is encrypted, or not a database. PostgreSQL's codes have five characters.
const SQLITE_NOTADB: &str = "26";

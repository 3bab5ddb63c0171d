//! How the database fails.

/// The database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The database cannot be reached, is restarting, or is held by another process for too
    /// long. When the connection broke at the very end, the change may have been made: the
    /// calls say what repeating them does. Try again in a few seconds.
    #[error("the hub's database cannot be reached")]
    Unavailable(#[source] sqlx::Error),
    /// The database has no room left. Nothing was changed; writing works again once there is.
    #[error("the hub's database has no room left")]
    Full(#[source] sqlx::Error),
    /// The database could not be opened or refused a statement: disk, permissions, wrong
    /// password, a certificate that does not vouch for the server. Nothing was changed; trying
    /// again helps only after something was mended.
    #[error("the hub's database failed")]
    Failed(#[source] sqlx::Error),
    /// The database was written by a newer version. Run that version, or a later one.
    #[error(
        "the hub's database has schema {found}, this version knows {known}; run a newer version"
    )]
    Newer {
        /// Schema version found in it.
        found: i64,
        /// Newest schema version this program knows.
        known: i64,
    },
    /// A row holds what no version ever writes. The database is damaged: restore a copy.
    #[error("the hub's database is damaged: {0}")]
    Damaged(&'static str),
    /// A file beside the database could not be written: the copy of a snapshot.
    #[error("cannot write a copy of the hub's database")]
    Copy(#[source] std::io::Error),
}

impl DbError {
    /// Whether the same call may succeed a moment later, with nobody mending anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the enum may grow; the rest is final")]
        match &error {
            // What TLS refuses comes as this kind: a certificate, not a line that broke.
            sqlx::Error::Io(refused) if refused.kind() == std::io::ErrorKind::InvalidData => {
                Self::Failed(error)
            }
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable(error),
            sqlx::Error::Database(refused) => match refused.code() {
                Some(code) if is_unavailable(&code) => Self::Unavailable(error),
                Some(code) if is_full(&code) => Self::Full(error),
                Some(_) | None => Self::Failed(error),
            },
            _ => Self::Failed(error),
        }
    }
}

/// SQLite's result code, without its extension; PostgreSQL's have five characters.
fn sqlite_code(code: &str) -> Option<i32> {
    code.parse::<i32>().ok().filter(|_| code.len() < 5).map(|code| code & 0xff)
}

fn is_unavailable(code: &str) -> bool {
    // SQLITE_BUSY and SQLITE_LOCKED.
    if sqlite_code(code).is_some_and(|code| code == 5 || code == 6) {
        return true;
    }
    // Connection exceptions; shutdown, crash and start of the server; too many connections; a
    // read-only server, as after the change to a standby; transactions that met each other.
    code.len() == 5
        && (code.starts_with("08")
            || ["57P01", "57P02", "57P03", "53300", "25006", "40001", "40P01", "55P03"]
                .contains(&code))
}

fn is_full(code: &str) -> bool {
    // SQLITE_FULL; SQLITE_IOERR_SHMSIZE, when the index of its log cannot grow; disk_full.
    sqlite_code(code) == Some(13) || code == "4874" || code == "53100"
}

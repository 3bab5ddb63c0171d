//! Which database.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;

use crate::{DbError, HubDb, PostgresDb, SqliteDb};

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DatabaseKind {
    /// A file.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

impl fmt::Display for DatabaseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        })
    }
}

/// Where a database is. Shown without password.
#[derive(Clone)]
pub enum DatabaseUrl {
    /// A file, which need not exist.
    Sqlite(PathBuf),
    /// A database on a PostgreSQL server.
    Postgres {
        /// How to reach it. What the address leaves out comes from `PGPASSFILE` and the like,
        /// as with PostgreSQL's own programs.
        options: Box<PgConnectOptions>,
        /// The address, unless it holds a password.
        address: Option<String>,
    },
}

/// The text is not the address of a database. It is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a database is postgres://USER@HOST/DATABASE or sqlite:PATH")]
pub struct NotADatabase;

impl DatabaseUrl {
    /// What kind of database it is.
    #[must_use]
    pub fn kind(&self) -> DatabaseKind {
        match self {
            Self::Sqlite(_) => DatabaseKind::Sqlite,
            Self::Postgres { .. } => DatabaseKind::Postgres,
        }
    }

    /// Whether the address holds a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres { address, .. } => address.is_none(),
        }
    }

    /// The address of a server, unless it holds a password: this may be written down.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres { address, .. } => address.as_deref(),
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = NotADatabase;

    /// Reads `postgres://…`, `postgresql://…` or `sqlite:PATH`.
    fn from_str(text: &str) -> Result<Self, NotADatabase> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { Err(NotADatabase) } else { Ok(Self::Sqlite(path.into())) };
        }
        let rest = ["postgres://", "postgresql://"].iter().find_map(|it| text.strip_prefix(it));
        let rest = rest.ok_or(NotADatabase)?;
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = address.split_once('/').map_or(address, |(authority, _)| authority);
        let password = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
            || query.split('&').any(|pair| pair.starts_with("password="));
        let options = text.parse().map_err(|_| NotADatabase)?;
        let address = (!password).then(|| text.to_owned());
        Ok(Self::Postgres { options: Box::new(options), address })
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres { options, .. } => {
                let (user, host) = (options.get_username(), options.get_host());
                let host =
                    options.get_socket().map_or(host.into(), |socket| socket.to_string_lossy());
                write!(f, "postgres://{user}@{host}:{}", options.get_port())?;
                options.get_database().map_or(Ok(()), |database| write!(f, "/{database}"))
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Opens a database, creating its tables or bringing them up to date.
///
/// # Errors
/// [`DbError::Newer`] for a database of a newer version, [`DbError::Unavailable`] for one that
/// cannot be reached now, [`DbError::Failed`] otherwise.
pub async fn open(url: &DatabaseUrl) -> Result<Arc<dyn HubDb>, DbError> {
    Ok(match url {
        DatabaseUrl::Sqlite(path) => Arc::new(SqliteDb::open(path).await?),
        DatabaseUrl::Postgres { options, .. } => Arc::new(PostgresDb::open(options).await?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_seen_and_never_shown() {
        let cases = [
            ("postgres://consign@db.example.org/consign", false),
            ("postgresql://consign:hunter2@db.example.org:5433/consign", true),
            ("postgres://consign@db.example.org/consign?password=hunter2", true),
            ("postgres:///consign?host=/run/postgresql&user=consign", false),
        ];
        for (text, password) in cases {
            let url: DatabaseUrl = text.parse().expect(text);
            assert_eq!(url.has_password(), password, "{text}");
            assert_eq!(url.address(), (!password).then_some(text));
            assert_eq!(url.kind(), DatabaseKind::Postgres);
            assert!(!format!("{url} {url:?}").contains("hunter2"), "{url}");
        }
        for text in ["", "sqlite:", "mysql://host/x", "/var/lib/hub.sqlite", "postgres:x"] {
            assert!(text.parse::<DatabaseUrl>().is_err(), "{text}");
        }
        let file: DatabaseUrl = "sqlite:///var/lib/hub.sqlite".parse().expect("a file");
        assert_eq!(file.to_string(), "sqlite:/var/lib/hub.sqlite");
    }
}

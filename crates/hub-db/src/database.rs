//! Which database.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

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

/// Why a text is not taken as the address of a database. It is not repeated: it may hold a
/// password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is of another form.
    #[error("a database is postgres://USER@HOST/DATABASE or sqlite:PATH")]
    NotADatabase,
    /// It asks for a protection that would not be given: the driver does not know the setting and
    /// would go on without. Leave it out, or have a tunnel give it.
    #[error(
        "{0} in the address of the database is not known here, and nothing is left unprotected"
    )]
    Unknown(String),
    /// It asks for a check of the server that is not the one its words promise: with `verify-ca`
    /// any server with a certificate of a public authority would be taken for the database, and
    /// with less the authority in `sslrootcert` would not be asked. Say `sslmode=verify-full`, or
    /// leave `sslrootcert` out.
    #[error("of the ways to check a database's certificate only sslmode=verify-full is supported")]
    HalfVerified,
}

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

    /// Whether it is reached over a network in which somebody in between could read along or be
    /// the database: the server's certificate is not checked, or there is none.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        let Self::Postgres { options, .. } = self else { return false };
        let host = options.get_host();
        let is_local = options.get_socket().is_some()
            || host.starts_with('/')
            || host == "localhost"
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        !is_local && !matches!(options.get_ssl_mode(), PgSslMode::VerifyFull)
    }
}

impl FromStr for DatabaseUrl {
    type Err = AddressError;

    /// Reads `postgres://…`, `postgresql://…` or `sqlite:PATH`.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err(AddressError::NotADatabase)
            } else {
                Ok(Self::Sqlite(path.into()))
            };
        }
        let rest = ["postgres://", "postgresql://"].iter().find_map(|it| text.strip_prefix(it));
        let rest = rest.ok_or(AddressError::NotADatabase)?;
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = address.split_once('/').map_or(address, |(authority, _)| authority);
        let password = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
            || query.split('&').any(|pair| pair.starts_with("password="));
        let options: PgConnectOptions = text.parse().map_err(|_| AddressError::NotADatabase)?;
        must_be_as_protected_as_asked(query, options.get_ssl_mode())?;
        let address = (!password).then(|| text.to_owned());
        Ok(Self::Postgres { options: Box::new(options), address })
    }
}

/// Refuses settings of which the driver makes less than PostgreSQL's own programs do.
///
/// It trusts public authorities besides the one in `sslrootcert`, so that with `verify-ca`
/// everybody who has a certificate for some name of theirs could be the database; it does not ask
/// that authority where `require` is all that was said; and it passes over what it does not know.
fn must_be_as_protected_as_asked(query: &str, mode: PgSslMode) -> Result<(), AddressError> {
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().replace('-', "");
    let names: Vec<String> = query.split('&').map(name).collect();
    let protecting = ["ssl", "gss", "krb", "channel_binding", "require_auth", "requirepeer"];
    let known = ["sslmode", "sslrootcert", "sslca", "sslcert", "sslkey"];
    let unknown = names.iter().find(|name| {
        protecting.iter().any(|it| name.starts_with(it)) && !known.contains(&name.as_str())
    });
    if let Some(unknown) = unknown {
        return Err(AddressError::Unknown(unknown.clone()));
    }
    let names_authority = names.iter().any(|name| name == "sslrootcert" || name == "sslca");
    match mode {
        PgSslMode::VerifyFull => Ok(()),
        PgSslMode::VerifyCa => Err(AddressError::HalfVerified),
        PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer | PgSslMode::Require => {
            if names_authority {
                Err(AddressError::HalfVerified)
            } else {
                Ok(())
            }
        }
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
    fn no_less_protection_is_given_than_is_asked_for() {
        let parse = |query: &str| {
            format!("postgres://consign:hunter2@db.example.org/consign?{query}").parse()
        };
        let taken: Result<DatabaseUrl, _> = parse("sslmode=verify-full&sslrootcert=/ca.pem");
        assert!(!taken.expect("is checked").is_exposed());
        for (query, refusal) in [
            ("sslmode=verify-ca", AddressError::HalfVerified),
            ("sslmode=verify-ca&sslrootcert=/ca.pem", AddressError::HalfVerified),
            ("sslmode=require&sslrootcert=/ca.pem", AddressError::HalfVerified),
            ("ssl-root-cert=/ca.pem", AddressError::HalfVerified),
            ("sslmod=verify-full", AddressError::Unknown("sslmod".to_owned())),
            ("sslmode=verify-full&sslcrl=/l", AddressError::Unknown("sslcrl".to_owned())),
            ("channel_binding=require", AddressError::Unknown("channel_binding".to_owned())),
            ("sslmode=full", AddressError::NotADatabase),
        ] {
            let refused: Result<DatabaseUrl, _> = parse(query);
            let refused = refused.expect_err(query);
            assert_eq!(refused, refusal, "{query}");
            assert!(!refused.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn a_way_over_a_network_is_exposed_unless_the_certificate_is_checked() {
        for (address, exposed) in [
            ("postgres://consign@db.example.org/consign", true),
            ("postgres://consign@192.0.2.7/consign?sslmode=require", true),
            ("postgres://consign@db.example.org/consign?sslmode=verify-full", false),
            ("postgres://consign@localhost/consign", false),
            ("postgres://consign@127.0.0.1:5433/consign", false),
            ("postgres:///consign?host=/run/postgresql&user=consign", false),
            ("sqlite:/var/lib/hub.sqlite", false),
        ] {
            let url: DatabaseUrl = address.parse().expect(address);
            assert_eq!(url.is_exposed(), exposed, "{address}");
        }
    }

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

//! Where the publisher's database is, and opening it.

use std::sync::Arc;

use anyhow::Context as _;
use ledger::{DatabaseUrl, Ledger};
use node::communities::publisher::default_ledger;
use serde_json::json;

use crate::commands::Session;
use crate::exit::Usage;

/// The variable with an address, which unlike an argument nobody else on the machine sees.
pub(crate) const VARIABLE: &str = "CONSIGN_LEDGER";

/// The database of what was sent, made if it is not there.
pub(crate) async fn open(session: &Session) -> anyhow::Result<Arc<dyn Ledger>> {
    open_at(&address(session)?).await
}

/// The database of what was sent, if there is one: nothing is made by looking.
pub(crate) async fn existing(session: &Session) -> anyhow::Result<Option<Arc<dyn Ledger>>> {
    let url = address(session)?;
    let is_there = match &url {
        DatabaseUrl::Sqlite(path) => path
            .try_exists()
            .with_context(|| format!("cannot look for the publisher's database {url}"))?,
        DatabaseUrl::Postgres { .. } => true,
    };
    if is_there { open_at(&url).await.map(Some) } else { Ok(None) }
}

async fn open_at(url: &DatabaseUrl) -> anyhow::Result<Arc<dyn Ledger>> {
    let opened = ledger::open(url).await;
    opened.with_context(|| format!("cannot open the publisher's database {url}"))
}

/// Where the ledger is, of this node unless another one is named.
pub(crate) fn address(session: &Session) -> anyhow::Result<DatabaseUrl> {
    let Some(named) = &session.ledger else {
        return Ok(default_ledger(&session.node()?));
    };
    let is_secret = std::env::var(VARIABLE).is_ok_and(|set| set == *named);
    let url = match parse(named, is_secret)? {
        DatabaseUrl::Sqlite(path) => DatabaseUrl::Sqlite(session.path(&path)),
        server @ DatabaseUrl::Postgres { .. } => server,
    };
    if url.is_exposed() {
        session.output.warn(
            format!("the way to {url} is not protected: say sslmode=verify-full in its address"),
            &json!({"event": "warning", "code": "exposed-database"}),
        )?;
    }
    Ok(url)
}

/// Reads an address; one with a password must be one that nobody else sees.
fn parse(named: &str, is_secret: bool) -> Result<DatabaseUrl, Usage> {
    let url: DatabaseUrl = named.parse().map_err(|error: ledger::AddressError| {
        Usage(format!("the publisher's database: {error}"))
    })?;
    if url.has_password() && !is_secret {
        let hint = "anybody on this machine sees the arguments of a command, and a configuration file \
                    may be for all: set CONSIGN_LEDGER to the address with its password, or write \
                    the password to ~/.pgpass";
        return Err(Usage(hint.to_owned()));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_taken_from_where_nobody_sees_it() {
        let address = "postgres://me:hunter2@db.example.org/x?sslmode=verify-full";
        assert!(parse(address, true).is_ok());
        let refused = parse(address, false).expect_err("is an argument").to_string();
        assert!(refused.contains("CONSIGN_LEDGER") && !refused.contains("hunter2"), "{refused}");
        assert!(parse("postgres://me@localhost/x", false).is_ok());
        assert!(parse("sqlite:here", false).is_ok());
        let refused = parse("mysql://me:hunter2@x/y", true).expect_err("is none").to_string();
        assert!(refused.contains("postgres://") && !refused.contains("hunter2"), "{refused}");
    }
}

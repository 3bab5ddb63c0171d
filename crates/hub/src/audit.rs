//! The audit log is a chain, and the hub gives its word on it now and then.
//!
//! The links are in the database. The key that signs heads, and the newest head, are not: they are files in
//! the data directory, `audit.key` and `audit.head`. Whoever changes the database alone is seen by it: the
//! hub signs nothing that does not go on from what it signed last.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use documents::audit::{AuditCheck, AuditError, AuditHead, AuditRecord};
use documents::{DocumentError, NodeKey};
use hub_api::Hex;
use hub_db::{Actor, AuditEntry, ChainedEntry, DbError, HubDb};
use tokio::sync::Mutex;

use crate::app::App;
use crate::files::{DataDir, unix_now, write_private};
use crate::refusal::Chain;

/// How often what is new is signed.
const SIGN_INTERVAL: Duration = Duration::from_hours(1);
/// After so long nobody still works at an act: its entry is chained, done or not.
const ACT_TIME_MAX: Duration = Duration::from_mins(10);
/// Entries read at once.
const PAGE: u32 = 1000;

/// Gives the hub's word on the audit log.
#[derive(Debug)]
pub(crate) struct AuditKeeper {
    key: NodeKey,
    head: PathBuf,
    signing: Mutex<()>,
}

/// Why the hub does not sign its log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    /// Somebody changed the database: what comes is not what was signed before, or does not fit.
    #[error("the audit log was altered in the database; export it, and keep audit.head beside it")]
    Altered(#[from] AuditError),
    /// `audit.head` cannot be used.
    #[error("cannot use audit.head in the data directory")]
    Head(#[from] DocumentError),
    /// The data directory failed.
    #[error("cannot use the data directory")]
    Data(#[from] io::Error),
    /// The database failed.
    #[error("cannot use the database")]
    Database(#[from] DbError),
}

/// Who did it, as the log shows it.
pub(crate) fn actor_text(actor: &Actor) -> String {
    match actor {
        Actor::Local => "local".to_owned(),
        Actor::Account(key) => Hex(key.0).to_string(),
        Actor::Console(label) => format!("console {label}"),
    }
}

/// An entry as its link has it.
pub(crate) fn record_of(number: u64, entry: &AuditEntry) -> AuditRecord {
    AuditRecord {
        number,
        time: entry.time,
        actor: actor_text(&entry.actor),
        action: entry.action.clone(),
        subject: entry.subject.clone(),
        detail: entry.detail.clone(),
    }
}

/// Makes links for the database.
pub(crate) fn linking(previous: &[u8; 32], number: u64, entry: &AuditEntry) -> [u8; 32] {
    record_of(number, entry).link(previous)
}

impl AuditKeeper {
    /// Makes the key at the first start.
    pub(crate) fn open(data: &DataDir) -> io::Result<Self> {
        let key = NodeKey::from_secret_bytes(data.secret("audit.key")?);
        Ok(Self { key, head: data.path().join("audit.head"), signing: Mutex::default() })
    }

    /// Signs the newest entry unless that was done; the head, if there is an entry at all. What was signed
    /// before is compared first.
    pub(crate) async fn sign(&self, db: &dyn HubDb) -> Result<Option<Vec<u8>>, KeepError> {
        let _one_at_a_time = self.signing.lock().await;
        let known = self.newest()?;
        let mut check = match &known {
            Some((_, head)) => AuditCheck::behind(head),
            None => AuditCheck::default(),
        };
        if let Some((_, head)) = &known
            && head.number > 0
        {
            let then = db.chained(head.number - 1, 1).await?;
            let signed = head.number;
            match then.first() {
                Some(then) if then.number == signed && then.link == head.link => {}
                Some(then) if then.number == signed => {
                    return Err(AuditError::Replaced { number: signed, good: 0 }.into());
                }
                Some(_) | None => {
                    let last = db.last_chained().await?.map_or(0, |last| last.number);
                    return Err(AuditError::CutOff { last, signed }.into());
                }
            }
        }
        loop {
            let page = db.chained(check.last(), PAGE).await?;
            for ChainedEntry { number, link, entry } in &page {
                check.handle_entry(&record_of(*number, entry), link)?;
            }
            if page.len() < PAGE as usize {
                break;
            }
        }
        let (number, link) = (check.last(), check.link());
        if let Some((signed, head)) = known
            && head.number == number
        {
            return Ok(Some(signed));
        }
        if number == 0 {
            return Ok(None);
        }
        let head = AuditHead { key: self.key.public(), number, link, issued: unix_now() };
        let signed = head.sign(&self.key);
        db.keep_audit_head(number, &signed).await?;
        write_private(&self.head, &signed)?;
        Ok(Some(signed))
    }

    /// The head that was signed last.
    pub(crate) fn newest(&self) -> Result<Option<(Vec<u8>, AuditHead)>, KeepError> {
        match std::fs::read(&self.head) {
            Ok(signed) => {
                let head = AuditHead::open(&signed)?;
                Ok(Some((signed, head)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Chains what was cut off and signs what is new: at the start, before anybody is served.
pub(crate) async fn keep_now(app: &App) {
    let before = unix_now().saturating_sub(ACT_TIME_MAX.as_secs());
    let kept = async {
        while app.db.chain_older(before, linking).await? > 0 {}
        app.audit.sign(&*app.db).await
    };
    if let Err(error) = kept.await {
        tracing::error!(error = %Chain(&error), "the audit log is not signed");
    }
}

/// The same every hour; never ends.
pub(crate) async fn keep(app: Arc<App>) {
    loop {
        tokio::time::sleep(SIGN_INTERVAL).await;
        keep_now(&app).await;
    }
}

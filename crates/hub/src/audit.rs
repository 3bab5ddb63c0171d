//! The audit log is a chain, and the hub gives its word on it now and then.
//!
//! The links are in the database. The key that signs heads, and the newest head, are not: they are files in
//! the data directory, `audit.key` and `audit.head`. Whoever changes the database alone is seen by it: the
//! hub signs nothing that does not go on from what it signed last.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use documents::audit::{AuditCheck, AuditError, AuditHead, AuditRecord, PRUNE_ACTION};
use documents::{DocumentError, NodeKey};
use hub_api::Hex;
use hub_db::{Actor, AuditEntry, ChainedEntry, DbError, HubDb};
use serde_json::json;
use tokio::sync::Mutex;

use crate::app::App;
use crate::files::{DataDir, unix_now, write_private};
use crate::refusal::Chain;

/// How often what is new is signed.
const SIGN_INTERVAL: Duration = Duration::from_hours(1);
/// After so long nobody still works at an act: its entry is chained, done or not.
const ACT_TIME_MAX: Duration = Duration::from_mins(10);
/// Entries are removed so long after they could be: a busy log has one entry a day that tells of it.
const PRUNE_DELAY: Duration = Duration::from_hours(24);
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
    /// `audit.head`, or a head in the database, cannot be used.
    #[error("a signed head of the audit log is damaged, in audit.head or in the database")]
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
            Some((_, head)) => behind(db, head).await?,
            None => begin(db).await?,
        };
        while let Some(page) = next_page(db, &check).await? {
            for ChainedEntry { number, link, entry } in &page {
                check.handle_entry(&record_of(*number, entry), link)?;
            }
        }
        check.check_begin()?;
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

    /// Removes the entries that are older than `before`, up to one whose link was signed, after an entry that
    /// tells of it; returns how many. First all of the log is checked: what somebody altered is not removed.
    pub(crate) async fn prune(&self, db: &dyn HubDb, before: u64) -> Result<u64, KeepError> {
        let first = db.chained(0, 1).await?;
        let is_due = first
            .first()
            .is_some_and(|first| first.entry.time < before.saturating_sub(PRUNE_DELAY.as_secs()));
        if !is_due {
            return Ok(0);
        }
        let Some(newest) = self.sign(db).await? else { return Ok(0) };
        let Some(head) = db.audit_head_before(before).await? else { return Ok(0) };
        let (newest, head) = (AuditHead::open(&newest)?, AuditHead::open(&head)?);
        let mut check = begin(db).await?;
        if head.number <= check.last() {
            return Ok(0);
        }
        let begin = check.last();
        while check.last() < newest.number {
            let Some(page) = next_page(db, &check).await? else { break };
            for ChainedEntry { number, link, entry } in &page {
                if check.last() == newest.number {
                    break;
                }
                check.handle_entry(&record_of(*number, entry), link)?;
                check.handle_head(&head)?;
            }
        }
        check.handle_head(&newest)?;
        check.finish()?;
        let entry = AuditEntry {
            time: unix_now(),
            actor: Actor::Local,
            action: PRUNE_ACTION.to_owned(),
            subject: head.as_removed(),
            detail: json!({ "entries": head.number - begin }).to_string(),
        };
        let id = db.record(&entry).await?;
        db.chain(id, linking).await?;
        Ok(db.prune_audit(head.number).await?)
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

/// Goes on behind a head of this hub, after a look whether what it signed is there.
async fn behind(db: &dyn HubDb, head: &AuditHead) -> Result<AuditCheck, KeepError> {
    let signed = head.number;
    let Some(before) = signed.checked_sub(1) else { return Ok(AuditCheck::behind(head)) };
    let then = db.chained(before, 1).await?;
    match then.first() {
        Some(then) if then.number == signed && then.link == head.link => {
            Ok(AuditCheck::behind(head))
        }
        Some(then) if then.number == signed => {
            Err(AuditError::Replaced { number: signed, good: 0 }.into())
        }
        Some(_) | None => {
            // It was removed: by this front-end, or by another one while this one was away.
            let begin = begin(db).await?;
            let is_this = begin.last() == signed && begin.link() == head.link;
            if begin.last() > signed || is_this {
                return Ok(begin);
            }
            let last = db.last_chained().await?.map_or(0, |last| last.number);
            Err(AuditError::CutOff { last, signed }.into())
        }
    }
}

/// The check of the log from where it begins: at its first entry, or behind those that were removed.
async fn begin(db: &dyn HubDb) -> Result<AuditCheck, KeepError> {
    let first = db.chained(0, 1).await?;
    let removed = first.first().map_or(0, |first| first.number.saturating_sub(1));
    let heads = db.audit_heads(removed.saturating_sub(1), removed).await?;
    match heads.first() {
        Some(head) => Ok(AuditCheck::behind_removed(&AuditHead::open(head)?)),
        // What is missing is found with the first entry.
        None => Ok(AuditCheck::default()),
    }
}

/// The entries that come next; `None` behind the last one.
async fn next_page(
    db: &dyn HubDb,
    check: &AuditCheck,
) -> Result<Option<Vec<ChainedEntry>>, DbError> {
    let page = db.chained(check.last(), PAGE).await?;
    Ok((!page.is_empty()).then_some(page))
}

/// Chains what was cut off, signs what is new, and removes what is old where that is wanted: at the start, before anybody is served.
pub(crate) async fn keep_now(app: &App) {
    let before = unix_now().saturating_sub(ACT_TIME_MAX.as_secs());
    let kept = async {
        while app.db.chain_older(before, linking).await? > 0 {}
        app.audit.sign(&*app.db).await
    };
    if let Err(error) = kept.await {
        tracing::error!(error = %Chain(&error), "the audit log is not signed");
        return;
    }
    let Some(retention) = app.audit_retention else { return };
    if !app.cluster.manages(&*app.db).await {
        return;
    }
    let before = unix_now().saturating_sub(retention.as_secs());
    match app.audit.prune(&*app.db, before).await {
        Ok(0) => {}
        Ok(entries) => tracing::info!(entries, "old entries of the audit log were removed"),
        Err(error) => {
            tracing::error!(error = %Chain(&error), "old entries of the audit log are not removed");
        }
    }
}

/// The same every hour; never ends.
pub(crate) async fn keep(app: Arc<App>) {
    loop {
        tokio::time::sleep(SIGN_INTERVAL).await;
        keep_now(&app).await;
    }
}

#[cfg(test)]
mod tests {
    use hub_db::{Audit as _, SqliteDb};

    use super::*;

    const DAY: u64 = 24 * 60 * 60;
    const NOW: u64 = 1_700_000_000;

    struct Scene {
        directory: tempfile::TempDir,
        keeper: AuditKeeper,
        db: SqliteDb,
    }

    impl Scene {
        async fn new() -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            let keeper = Self::keeper(directory.path().join("one"));
            let db = SqliteDb::open(&directory.path().join("db")).await.expect("opens");
            Self { directory, keeper, db }
        }

        fn keeper(path: PathBuf) -> AuditKeeper {
            AuditKeeper::open(&DataDir::create(&path).expect("a directory")).expect("opens")
        }

        async fn act(&self, time: u64) {
            let entry = AuditEntry {
                time,
                actor: Actor::Local,
                action: "grant".to_owned(),
                subject: "team/tools".to_owned(),
                detail: "{}".to_owned(),
            };
            let id = self.db.record(&entry).await.expect("records");
            self.db.chain(id, linking).await.expect("chains");
        }

        /// An entry for each of ten days, signed every third day.
        async fn ten_days(&self) {
            for day in 1..=10 {
                self.act(NOW + day * DAY).await;
                if day % 3 == 0 {
                    self.keeper.sign(&self.db).await.expect("signs");
                }
            }
        }

        /// What somebody with all there is makes of it: the last entry, and up to which and when it was removed.
        async fn verify(&self) -> Result<(u64, Option<u64>), AuditError> {
            let newest = match self.keeper.sign(&self.db).await {
                Ok(newest) => newest.expect("there are entries"),
                Err(KeepError::Altered(error)) => return Err(error),
                Err(error) => panic!("{error}"),
            };
            let mut check = begin(&self.db).await.expect("reads");
            for ChainedEntry { number, link, entry } in
                self.db.chained(check.last(), 99).await.expect("lists")
            {
                check.handle_entry(&record_of(number, &entry), &link)?;
            }
            check.handle_head(&AuditHead::open(&newest).expect("a head"))?;
            let last = check.finish()?;
            Ok((last, check.removed().map(|(number, _)| number)))
        }
    }

    #[tokio::test]
    async fn old_entries_are_removed_up_to_one_that_was_signed() {
        let scene = Scene::new().await;
        scene.ten_days().await;
        // The first is not old for a day yet.
        assert_eq!(scene.keeper.prune(&scene.db, NOW + 2 * DAY).await.expect("looks"), 0);
        assert_eq!(scene.verify().await, Ok((10, None)));
        assert_eq!(scene.keeper.prune(&scene.db, NOW + 9 * DAY).await.expect("removes"), 6);
        assert_eq!(scene.verify().await, Ok((11, Some(6))));
        let told = scene.db.last_chained().await.expect("reads").expect("one").entry;
        assert_eq!((told.action.as_str(), told.detail.as_str()), (PRUNE_ACTION, "{\"entries\":6}"));
        // Again, and of what is left alone.
        assert_eq!(scene.keeper.prune(&scene.db, NOW + 11 * DAY).await.expect("removes"), 4);
        assert_eq!(scene.verify().await, Ok((12, Some(10))));
        assert_eq!(scene.keeper.prune(&scene.db, NOW + 11 * DAY).await.expect("looks"), 0);
    }

    #[tokio::test]
    async fn what_was_signed_last_may_be_removed() {
        let scene = Scene::new().await;
        scene.act(NOW).await;
        scene.keeper.sign(&scene.db).await.expect("signs");
        assert_eq!(scene.keeper.prune(&scene.db, NOW + 9 * DAY).await.expect("removes"), 1);
        assert_eq!(scene.verify().await, Ok((2, Some(1))));
        scene.act(NOW + 9 * DAY).await;
        assert_eq!(scene.verify().await, Ok((3, Some(1))));
    }

    #[tokio::test]
    async fn a_front_end_that_was_away_goes_on_behind_what_was_removed() {
        let mut scene = Scene::new().await;
        scene.act(NOW).await;
        let other = Scene::keeper(scene.directory.path().join("other"));
        other.sign(&scene.db).await.expect("signs");
        scene.ten_days().await;
        assert!(scene.keeper.prune(&scene.db, NOW + 9 * DAY).await.expect("removes") > 0);
        // And so does one that is new.
        let new = Scene::keeper(scene.directory.path().join("new"));
        for keeper in [other, new] {
            scene.keeper = keeper;
            assert_eq!(scene.verify().await, Ok((12, Some(7))));
        }
    }

    #[tokio::test]
    async fn who_removes_entries_without_telling_is_found() {
        let mut scene = Scene::new().await;
        scene.ten_days().await;
        scene.db.prune_audit(6).await.expect("removes");
        let error = AuditError::CutOffBefore { number: 6 };
        assert_eq!(scene.verify().await, Err(error.clone()));
        // Nothing more is removed then, and a front-end that is new signs nothing.
        let before = scene.db.chained(0, 99).await.expect("lists");
        let refused = scene.keeper.prune(&scene.db, NOW + 11 * DAY).await;
        assert!(matches!(refused, Err(KeepError::Altered(found)) if found == error));
        assert_eq!(scene.db.chained(0, 99).await.expect("lists"), before);
        scene.keeper = Scene::keeper(scene.directory.path().join("new"));
        assert_eq!(scene.verify().await, Err(error));
    }

    #[tokio::test]
    async fn more_than_the_hub_removed_is_found() {
        let scene = Scene::new().await;
        scene.ten_days().await;
        assert_eq!(scene.keeper.prune(&scene.db, NOW + 9 * DAY).await.expect("removes"), 6);
        scene.db.prune_audit(9).await.expect("removes");
        assert_eq!(scene.verify().await, Err(AuditError::CutOffBefore { number: 9 }));
        scene.db.prune_audit(10).await.expect("removes");
        assert_eq!(scene.verify().await, Err(AuditError::CutOffBefore { number: 10 }));
    }
}

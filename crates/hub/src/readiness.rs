//! Whether the hub can do its work now, for `/readyz` and `/metrics`.

use std::time::{Duration, Instant};

use hub_db::DbError;
use serde::Serialize;
use store::StoreError;
use tokio::sync::Mutex;

use crate::app::App;

/// How long an answer is given again: anybody may ask, and each check costs a few calls.
const KEPT_TIME: Duration = Duration::from_secs(1);

/// What a check may take; a database that is silent for longer does not work.
const CHECK_TIME: Duration = Duration::from_secs(5);

/// How one part is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    /// It works.
    #[default]
    Ok,
    /// It does not; the log says why.
    Failed,
    /// It works and takes nothing more in.
    Full,
}

/// What `/readyz` answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Readiness {
    /// The database answers and would take a write.
    pub(crate) database: Part,
    /// The store would take a write; [`Part::Failed`] after a failed write or sync.
    pub(crate) store: Part,
    /// The disk, the quota and the database have room.
    pub(crate) space: Part,
    /// The hub ends its open requests and takes no new connections.
    pub(crate) stopping: bool,
}

impl Readiness {
    /// Whether names can be listed and chunks be read.
    pub(crate) fn reads(&self) -> bool {
        self.database == Part::Ok && !self.stopping
    }

    /// Whether releases can be published too.
    pub(crate) fn writes(&self) -> bool {
        self.reads() && self.store == Part::Ok && self.space == Part::Ok
    }

    /// Each check by name, and whether it is as it should be.
    pub(crate) fn checks(&self) -> [(&'static str, bool); 4] {
        [
            ("database", self.database == Part::Ok),
            ("store", self.store == Part::Ok),
            ("space", self.space == Part::Ok),
            ("running", !self.stopping),
        ]
    }
}

/// Checks, at most once a second.
#[derive(Debug, Default)]
pub(crate) struct Checks(Mutex<Option<(Instant, Readiness)>>);

impl Checks {
    pub(crate) async fn check(&self, app: &App) -> Readiness {
        let mut last = self.0.lock().await;
        if let Some((when, readiness)) = *last
            && when.elapsed() < KEPT_TIME
        {
            return Readiness { stopping: *app.stopping.borrow(), ..readiness };
        }
        let (database, room) = match tokio::time::timeout(CHECK_TIME, app.db.ready()).await {
            Ok(Ok(())) => (Part::Ok, Part::Ok),
            // What is in it is read as before.
            Ok(Err(DbError::Full(_))) => (Part::Ok, Part::Full),
            Ok(Err(_)) | Err(_) => (Part::Failed, Part::Ok),
        };
        let (store, space) =
            match tokio::time::timeout(CHECK_TIME, app.store.check_writable()).await {
                Ok(Ok(())) => (Part::Ok, room),
                Ok(Err(StoreError::Full { .. })) => (Part::Ok, Part::Full),
                Ok(Err(_)) | Err(_) => (Part::Failed, room),
            };
        let readiness = Readiness { database, store, space, stopping: *app.stopping.borrow() };
        *last = Some((Instant::now(), readiness));
        readiness
    }
}

//! Acts that change who may do what, or take something away.
//!
//! Each runs to its end even if the caller goes away, is in the audit log before it is answered,
//! and is told to memories and streams: what was taken away is away at once.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;

use hub_db::{Account, Actor, AuditEntry};
use serde_json::Value;

use crate::app::App;
use crate::files::unix_now;
use crate::refusal::Refusal;

/// What an act came to.
pub(crate) enum Outcome<T> {
    /// Something is not as it was.
    Changed(T),
    /// Everything was so already; there is nothing to note.
    Unchanged(T),
}

/// One act of an account, to be noted.
pub(crate) struct Act {
    app: Arc<App>,
    entry: AuditEntry,
    takes_away: bool,
}

impl Act {
    /// `action` as in `grant`; `subject` is what it is done to.
    pub(crate) fn new(
        app: &Arc<App>,
        account: &Account,
        action: &str,
        subject: impl Display,
    ) -> Self {
        Self::by(app, Actor::Account(account.key), action, subject)
    }

    /// The same for whoever else may act.
    pub(crate) fn by(app: &Arc<App>, actor: Actor, action: &str, subject: impl Display) -> Self {
        let entry = AuditEntry {
            time: unix_now(),
            actor,
            action: action.to_owned(),
            subject: subject.to_string(),
            detail: "{}".to_owned(),
        };
        Self { app: Arc::clone(app), entry, takes_away: false }
    }

    /// More about it: an object that holds no secret.
    pub(crate) fn with(mut self, detail: Value) -> Self {
        self.entry.detail = detail.to_string();
        self
    }

    /// Somebody may read less afterwards.
    pub(crate) fn taking_away(self) -> Self {
        Self { takes_away: true, ..self }
    }

    /// Does it.
    pub(crate) async fn run<T, Work>(self, work: Work) -> Result<T, Refusal>
    where
        T: Send + 'static,
        Work: Future<Output = Result<Outcome<T>, Refusal>> + Send + 'static,
    {
        to_its_end(async move {
            let outcome = work.await;
            if self.takes_away {
                // Also after a failure: it may have come after the change.
                self.app.access.forget();
            }
            match outcome? {
                Outcome::Unchanged(result) => Ok(result),
                Outcome::Changed(result) => {
                    self.app.db.record(&self.entry).await?;
                    let (action, subject) = (&self.entry.action, &self.entry.subject);
                    tracing::info!(%action, %subject, "an administrative act");
                    Ok(result)
                }
            }
        })
        .await
    }
}

/// Runs `work` in a task of its own, which a caller that goes away does not stop.
pub(crate) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::spawn(work).await.map_err(|error| Refusal::internal(&error))?
}

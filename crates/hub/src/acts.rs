//! Acts that change who may do what, or take something away.
//!
//! Each runs to its end even if the caller goes away, is in the audit log before it is done, and is
//! told to memories and streams: what was taken away is away at once.
//!
//! So nothing is done that the log does not tell of. The reverse may happen: an act whose failure
//! came from the database keeps its entry, because it may have been done; one that came to nothing
//! is taken out again.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;

use hub_api::ProblemCode;
use hub_db::{Account, Actor, AuditEntry};
use serde_json::Value;

use crate::app::App;
use crate::audit::linking;
use crate::cluster::Wake;
use crate::files::unix_now;
use crate::refusal::{Chain, Refusal};

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
    /// The account as it was when the request came; its body may have come long after.
    account: Option<Account>,
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
        let act = Self::by(app, Actor::Account(account.key), action, subject);
        Self { account: Some(account.clone()), ..act }
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
        Self { app: Arc::clone(app), entry, account: None, takes_away: false }
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
            self.check_account().await?;
            let entry = self.app.db.record(&self.entry).await?;
            let outcome = work.await;
            if self.takes_away {
                // Also after a failure: it may have come after the change.
                self.app.access.forget();
                self.app.cluster.post().tell(Wake::TakenAway);
            }
            match outcome {
                Ok(Outcome::Changed(result)) => {
                    let (action, subject) = (&self.entry.action, &self.entry.subject);
                    tracing::info!(%action, %subject, "an administrative act");
                    self.chain(entry).await;
                    Ok(result)
                }
                Ok(Outcome::Unchanged(result)) => {
                    self.withdraw(entry).await;
                    Ok(result)
                }
                Err(refusal) if refusal.is_failure() => {
                    self.chain(entry).await;
                    Err(refusal.maybe_done())
                }
                Err(refusal) => {
                    self.withdraw(entry).await;
                    Err(refusal)
                }
            }
        })
        .await
    }

    /// Refuses what an account began before it was revoked.
    async fn check_account(&self) -> Result<(), Refusal> {
        let Some(then) = &self.account else { return Ok(()) };
        let now = self.app.db.account(&then.key).await?;
        let now = now.filter(|account| account.revoked.is_none());
        let now = now.ok_or_else(|| Refusal::new(ProblemCode::NotRegistered, ""))?;
        if now.role < then.role {
            return Err(Refusal::new(ProblemCode::Forbidden, "the account may do less now"));
        }
        Ok(())
    }

    /// What is not chained now is later: see [`crate::audit::keep`].
    async fn chain(&self, entry: i64) {
        if let Err(error) = self.app.db.chain(entry, linking).await {
            tracing::warn!(error = %Chain(&error), entry, "an entry of the audit log waits for its link");
        }
    }

    /// An entry too many is no failure of the request.
    async fn withdraw(&self, entry: i64) {
        if let Err(error) = self.app.db.withdraw(entry).await {
            tracing::warn!(error = %Chain(&error), entry, "the audit log tells of an act not done");
        }
    }
}

/// Runs `work` in a task of its own, which a caller that goes away does not stop.
pub(crate) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::spawn(work).await.map_err(|error| Refusal::internal(&error))?
}

//! Telling systemd how the hub is (`sd_notify(3)`); without systemd all of it does nothing.

use std::time::Duration;

use sd_notify::NotifyState;

/// Who supervises this process, if anybody.
#[derive(Debug, Clone)]
pub(super) struct Supervisor {
    /// How long it waits for a sign of life.
    watchdog: Option<Duration>,
}

impl Supervisor {
    pub(super) fn from_environment() -> Self {
        Self { watchdog: sd_notify::watchdog_enabled() }
    }

    pub(super) fn ready(&self, url: &str) {
        tell(&[NotifyState::Ready, NotifyState::Status(&format!("serving {url}"))]);
    }

    pub(super) fn stopping(&self) {
        tell(&[NotifyState::Stopping, NotifyState::Status("finishing requests under way")]);
    }

    /// Shows signs of life, twice as often as they are waited for. A runtime whose threads are all
    /// stuck shows none, and is restarted.
    pub(super) async fn watch(self) {
        let Some(patience) = self.watchdog else { return };
        loop {
            tell(&[NotifyState::Watchdog]);
            tokio::time::sleep(patience / 2).await;
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell the supervisor how the hub is");
    }
}

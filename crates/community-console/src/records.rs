//! The publisher's ledger, if there is one on this machine.

use std::sync::Arc;

use ledger::{DatabaseUrl, Ledger, LedgerError};
use tokio::sync::Mutex;

/// A ledger that is opened when it is first there: nothing is made by looking.
pub struct Records {
    url: DatabaseUrl,
    open: Mutex<Option<Arc<dyn Ledger>>>,
}

impl Records {
    /// The ledger at an address.
    #[must_use]
    pub fn new(url: DatabaseUrl) -> Self {
        Self { url, open: Mutex::new(None) }
    }

    /// The ledger; none while there is none.
    pub(crate) async fn get(&self) -> Result<Option<Arc<dyn Ledger>>, LedgerError> {
        let mut open = self.open.lock().await;
        if open.is_none() && self.exists() {
            *open = Some(ledger::open(&self.url).await?);
        }
        Ok(open.clone())
    }

    fn exists(&self) -> bool {
        match &self.url {
            DatabaseUrl::Sqlite(path) => path.exists(),
            DatabaseUrl::Postgres { .. } => true,
        }
    }

    /// Closes it.
    pub(crate) async fn close(&self) {
        if let Some(ledger) = self.open.lock().await.take() {
            ledger.close().await;
        }
    }
}

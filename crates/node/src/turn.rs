//! Waiting for the machine's store, which one process uses at a time.
//!
//! Jobs that cannot do without the store wait for their turn. Those that only cache metadata in
//! it do not: they keep it in memory meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use store::{ChunkStore, StoreError};

use crate::control;
use crate::inspect::lock_holder;
use crate::state::Node;
use crate::waits::Waits;

/// How often the store is tried that somebody else has.
const STEP: Duration = Duration::from_millis(100);

/// The store, for as long as this lives; jobs of this process share it.
pub struct Turn {
    _store: Arc<dyn ChunkStore>,
}

/// Why a turn did not come.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// A node was started meanwhile and keeps the store for good: give the job to it.
    #[error("a node has taken over the store")]
    NodeRuns,
    /// The store cannot be opened.
    #[error("the local store failed")]
    Store(#[from] StoreError),
}

impl Node {
    /// Waits until this process may use the store, saying for whom it waits.
    ///
    /// # Errors
    /// See [`TurnError`].
    pub async fn turn(&self, waits: &Waits) -> Result<Turn, TurnError> {
        let mut saying = None;
        loop {
            match self.store() {
                Ok(store) => return Ok(Turn { _store: store }),
                Err(StoreError::Locked { .. }) => {
                    if !self.serves.load(Relaxed) && control::is_node_running(self.directory()) {
                        return Err(TurnError::NodeRuns);
                    }
                    saying.get_or_insert_with(|| waits.say(user_of(&self.store_path())));
                    tokio::time::sleep(STEP).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Who has the store, in words.
fn user_of(store: &Path) -> String {
    match lock_holder(&store.join("lock")) {
        Some(process) => match command_of(process) {
            Some(command) => format!("the store, which `{command}` (process {process}) uses"),
            None => format!("the store, which process {process} uses"),
        },
        None => "the store, which another process uses".into(),
    }
}

/// The program and the first word that is no option, which is the command; not the rest, which
/// may say more than others should read.
fn command_of(process: u32) -> Option<String> {
    const COMMANDS: [&str; 11] =
        ["publish", "get", "put", "verify", "gc", "stats", "ls", "cat", "diff", "node", "watch"];
    let line = std::fs::read(format!("/proc/{process}/cmdline")).ok()?;
    let mut words = line.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let program = words.next()?;
    let program = Path::new(&*program).file_name()?.to_string_lossy().into_owned();
    let command = words.find(|word| COMMANDS.contains(&&**word));
    Some(command.map_or(program.clone(), |command| format!("{program} {command}")))
}

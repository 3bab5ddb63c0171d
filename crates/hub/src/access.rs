//! Who may read a chunk.
//!
//! The rule is [`hub_db::Chunks::readable`]; this remembers its positive answers. Negative ones are not
//! kept: a grant takes effect at once. What takes rights away calls [`Access::forget`].

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use content::ChunkId;
use hub_db::{Caller, DbError, HolderId, HubDb, LOOKUP_IDS_MAX};
use tokio::sync::watch;

/// Answers kept, in two halves: about 50 MB when full.
const ANSWERS_MAX: usize = 1 << 19;

/// A caller is remembered as what it holds chunks as: a token apart from its account.
type Answer = (Option<HolderId>, ChunkId);

/// The access rule with its memory.
pub(crate) struct Access {
    db: Arc<dyn HubDb>,
    memory: Mutex<Memory>,
    taken_away: watch::Sender<()>,
}

/// Recent answers. When the young half is full the old one is dropped: what is asked for again
/// moves to the young half and stays.
#[derive(Default)]
struct Memory {
    generation: u64,
    young: HashSet<Answer>,
    old: HashSet<Answer>,
}

impl Memory {
    fn insert(&mut self, answer: Answer) {
        if self.young.len() >= ANSWERS_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(answer);
    }

    fn contains(&mut self, answer: Answer) -> bool {
        if self.young.contains(&answer) {
            return true;
        }
        let found = self.old.contains(&answer);
        if found {
            self.insert(answer);
        }
        found
    }
}

impl Access {
    pub(crate) fn new(db: Arc<dyn HubDb>) -> Self {
        Self { db, memory: Mutex::default(), taken_away: watch::Sender::new(()) }
    }

    /// Those of `ids` that `caller` may read.
    pub(crate) async fn readable(
        &self,
        caller: &Caller,
        ids: &[ChunkId],
    ) -> Result<HashSet<ChunkId>, DbError> {
        let caller_id = caller.holder();
        let mut readable = HashSet::with_capacity(ids.len());
        let mut asked = Vec::new();
        let generation = {
            let mut memory = self.memory.lock().expect("nothing panics while it is held");
            for id in ids {
                // What everybody may read, this caller may read.
                if memory.contains((caller_id, *id)) || memory.contains((None, *id)) {
                    readable.insert(*id);
                } else {
                    asked.push(*id);
                }
            }
            memory.generation
        };
        for batch in asked.chunks(LOOKUP_IDS_MAX) {
            let found = self.db.readable(caller, batch).await?;
            let mut memory = self.memory.lock().expect("nothing panics while it is held");
            // An answer from before rights were taken away must not outlive that.
            if memory.generation == generation {
                for id in &found {
                    memory.insert((caller_id, *id));
                }
            }
            drop(memory);
            readable.extend(found);
        }
        Ok(readable)
    }

    /// Drops all answers and wakes whoever waits for that, after a grant was taken back, an
    /// account or token revoked, or a name made private.
    pub(crate) fn forget(&self) {
        let mut memory = self.memory.lock().expect("nothing panics while it is held");
        *memory = Memory { generation: memory.generation + 1, ..Memory::default() };
        drop(memory);
        self.taken_away.send_replace(());
    }

    /// Changes whenever somebody may have lost a right.
    pub(crate) fn taken_away(&self) -> watch::Receiver<()> {
        self.taken_away.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_keeps_what_is_asked_for() {
        let mut memory = Memory::default();
        let answer = |number: usize| (None, ChunkId::of(&number.to_le_bytes()));
        for number in 0..ANSWERS_MAX * 2 {
            memory.insert(answer(number));
            if number % 1000 == 0 {
                assert!(memory.contains(answer(0)), "was asked for all the time");
            }
        }
        assert!(memory.young.len() + memory.old.len() <= ANSWERS_MAX);
        assert!(!memory.contains(answer(1)));
    }
}

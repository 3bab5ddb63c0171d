//! Answers of targets, written together.
//!
//! A commit waits for the disk, however little is in it. So whatever came while one commit was under way
//! goes into the next one together, and each answer is told when it is durable, as if it had been alone.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::{AccountKey, Answered, DbError, NameId};

/// Most answers of one commit: others that write wait for it.
const BATCH_MAX: usize = 256;

/// Most bytes of receipts of one commit that has several: 256 usual ones are a quarter of it, and a
/// statement holds them all.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// A receipt for an entry.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) name: NameId,
    pub(crate) sequence: u64,
    pub(crate) target: AccountKey,
    pub(crate) receipt: Vec<u8>,
    pub(crate) now: u64,
}

/// A database that keeps answers.
#[async_trait]
pub(crate) trait KeepsAnswers: Clone + Send + Sync + 'static {
    /// Those that are not written yet.
    fn answers(&self) -> &Arc<Answers>;

    /// Writes answers in one commit; `None` is said of one that is better written alone.
    async fn write_together(&self, batch: &[Arc<Answer>])
    -> Result<Vec<Option<Answered>>, DbError>;

    /// Writes one answer, in a commit of its own.
    async fn write_alone(&self, answer: &Answer) -> Result<Answered, DbError>;
}

type Waiting = (Arc<Answer>, oneshot::Sender<Option<Answered>>);

/// Answers that are not written yet.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    waiting: Mutex<Vec<Waiting>>,
    /// Held by whoever writes.
    turn: tokio::sync::Mutex<()>,
}

/// Writes an answer with those that wait beside it.
pub(crate) async fn answer<D: KeepsAnswers>(db: &D, answer: Answer) -> Result<Answered, DbError> {
    let (answer, (tell, told)) = (Arc::new(answer), oneshot::channel());
    let waiting = (Arc::clone(&answer), tell);
    db.answers().waiting.lock().unwrap_or_else(PoisonError::into_inner).push(waiting);
    // Apart from this call, which may be given up: others' answers are in the same commit.
    let writer = db.clone();
    tokio::spawn(async move { write_waiting(&writer).await });
    match told.await {
        Ok(Some(answered)) => Ok(answered),
        // What one of them met is not what the others have to be told.
        Ok(None) | Err(_) => db.write_alone(&answer).await,
    }
}

async fn write_waiting<D: KeepsAnswers>(db: &D) {
    let answers = Arc::clone(db.answers());
    let _turn = answers.turn.lock().await;
    let batch: Vec<Waiting> = {
        let mut waiting = answers.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = fitting(waiting.iter().map(|(answer, _)| answer.receipt.len()));
        waiting.drain(..count).collect()
    };
    if batch.is_empty() {
        return;
    }
    let (written, tell): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
    let done = match db.write_together(&written).await {
        Ok(done) => done,
        Err(_) => vec![None; written.len()],
    };
    for (tell, done) in tell.into_iter().zip(done) {
        // Nobody listens any more: it is durable all the same.
        let _ = tell.send(done);
    }
}

/// How many of the first go into one commit: one, however long it is, and those after it that fit.
fn fitting(lengths: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0usize;
    let fits = |(place, length): &(usize, usize)| {
        bytes = bytes.saturating_add(*length);
        *place == 0 || bytes <= BATCH_BYTES_MAX
    };
    lengths.take(BATCH_MAX).enumerate().take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_has_no_more_than_a_statement_may_hold() {
        let fits = |lengths: &[usize]| fitting(lengths.iter().copied());
        assert_eq!(fits(&[]), 0);
        assert_eq!(fits(&[700; 1000]), BATCH_MAX);
        assert_eq!(fits(&[8 << 20, 700]), 1, "a long one is alone");
        assert_eq!(fits(&[700, 8 << 20, 700]), 1, "and in its turn");
        assert_eq!(fits(&[BATCH_BYTES_MAX / 2, BATCH_BYTES_MAX / 2, 1]), 2);
    }
}

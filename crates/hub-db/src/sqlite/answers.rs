//! Answers of targets, written together.
//!
//! A commit waits for the disk, however little is in it, and there is one writer. So whatever came
//! while one commit was under way goes into the next one together, and each answer is told when it is
//! durable, as if it had been alone.

use std::sync::{Arc, Mutex, PoisonError};

use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use super::SqliteDb;
use crate::stored::signed;
use crate::{AccountKey, Answered, DbError, NameId};

/// Most answers of one commit: others that write wait for it.
const BATCH_MAX: usize = 256;

/// A receipt for an entry.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) name: NameId,
    pub(super) sequence: u64,
    pub(super) target: AccountKey,
    pub(super) receipt: Vec<u8>,
    pub(super) now: u64,
}

type Waiting = (Answer, oneshot::Sender<Result<Answered, DbError>>);

/// Answers that are not written yet.
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: Mutex<Vec<Waiting>>,
    /// Held by whoever writes.
    turn: tokio::sync::Mutex<()>,
}

impl SqliteDb {
    /// Writes an answer with those that wait beside it.
    pub(super) async fn answer(&self, answer: Answer) -> Result<Answered, DbError> {
        let (tell, told) = oneshot::channel();
        self.answers.waiting.lock().unwrap_or_else(PoisonError::into_inner).push((answer, tell));
        // Apart from this call, which may be given up: others' answers are in the same commit.
        let db = self.clone();
        tokio::spawn(async move { db.write_answers().await });
        told.await.unwrap_or(Err(DbError::Unavailable(sqlx::Error::WorkerCrashed)))
    }

    async fn write_answers(&self) {
        let answers = Arc::clone(&self.answers);
        let _turn = answers.turn.lock().await;
        let batch: Vec<Waiting> = {
            let mut waiting = answers.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let count = waiting.len().min(BATCH_MAX);
            waiting.drain(..count).collect()
        };
        match self.write_together(&batch).await {
            Ok(done) => {
                for ((_, tell), done) in batch.into_iter().zip(done) {
                    // Nobody listens any more: it is durable all the same.
                    let _ = tell.send(Ok(done));
                }
            }
            // What one of them met is not what the others have to be told.
            Err(_) => {
                for one in batch {
                    let done = self.write_together(std::slice::from_ref(&one)).await;
                    let done = done.and_then(|done| {
                        let lost = || DbError::Damaged("an answer without an outcome");
                        done.first().copied().ok_or_else(lost)
                    });
                    let _ = one.1.send(done);
                }
            }
        }
    }

    async fn write_together(&self, batch: &[Waiting]) -> Result<Vec<Answered>, DbError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut transaction = self.write().await?;
        let mut done = Vec::with_capacity(batch.len());
        for (answer, _) in batch {
            done.push(write(&mut transaction, answer).await?);
        }
        transaction.commit().await?;
        Ok(done)
    }
}

async fn write(connection: &mut SqliteConnection, answer: &Answer) -> Result<Answered, DbError> {
    let Answer { name, sequence, target, receipt, now } = answer;
    let written = sqlx::query(
        "UPDATE queue SET receipt = ?4, answered = ?5
         WHERE release = (SELECT id FROM releases WHERE name = ?1 AND sequence = ?2)
           AND target = ?3 AND answered IS NULL",
    )
    .bind(name.0)
    .bind(signed(*sequence))
    .bind(target.0.to_vec())
    .bind(receipt.clone())
    .bind(signed(*now))
    .execute(&mut *connection)
    .await?;
    if written.rows_affected() > 0 {
        return Ok(Answered::Now);
    }
    let is_queued: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM queue q JOIN releases r ON r.id = q.release
                        WHERE r.name = ?1 AND r.sequence = ?2 AND q.target = ?3)",
    )
    .bind(name.0)
    .bind(signed(*sequence))
    .bind(target.0.to_vec())
    .fetch_one(&mut *connection)
    .await?;
    Ok(if is_queued { Answered::Before } else { Answered::NotQueued })
}

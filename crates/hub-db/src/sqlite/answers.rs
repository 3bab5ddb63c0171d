//! Answers of targets, written together: there is one writer, and a statement of its own for each answer
//! takes longer than what it does.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::SqliteDb;
use crate::answers::{Answer, Answers, KeepsAnswers};
use crate::stored::signed;
use crate::{Answered, DbError};

#[async_trait]
impl KeepsAnswers for SqliteDb {
    fn answers(&self) -> &Arc<Answers> {
        &self.answers
    }

    async fn write_together(
        &self,
        batch: &[Arc<Answer>],
    ) -> Result<Vec<Option<Answered>>, DbError> {
        let batch: Vec<&Answer> = batch.iter().map(AsRef::as_ref).collect();
        Ok(self.keep(&batch).await?.into_iter().map(Some).collect())
    }

    async fn write_alone(&self, answer: &Answer) -> Result<Answered, DbError> {
        let done = self.keep(&[answer]).await?;
        done.first().copied().ok_or(DbError::Damaged("an answer without an outcome"))
    }
}

impl SqliteDb {
    async fn keep(&self, batch: &[&Answer]) -> Result<Vec<Answered>, DbError> {
        let mut transaction = self.write().await?;
        let (done, new) = outcomes(&mut transaction, batch).await?;
        let (mut receipts, mut rows) = (Vec::new(), Vec::new());
        for (id, answer) in new {
            let (begin, length) = (receipts.len() + 1, answer.receipt.len());
            rows.push(format!("[{id},{begin},{length},{}]", signed(answer.now)));
            receipts.extend_from_slice(&answer.receipt);
        }
        sqlx::query(
            "UPDATE queue
             SET receipt = substr(?2, new.value ->> 1, new.value ->> 2), answered = new.value ->> 3,
                 beginning = NULL
             FROM json_each(?1) new WHERE queue.id = new.value ->> 0",
        )
        .bind(format!("[{}]", rows.join(",")))
        .bind(receipts)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(done)
    }
}

/// What is to be said of each answer, and those that are to be written with the ids of their entries.
/// Nobody else writes until the transaction ends.
async fn outcomes<'a>(
    connection: &mut SqliteConnection,
    batch: &[&'a Answer],
) -> Result<(Vec<Answered>, Vec<(i64, &'a Answer)>), DbError> {
    let (mut targets, mut asked) = (Vec::new(), Vec::new());
    for answer in batch {
        asked.push(format!("[{},{}]", answer.name.0, signed(answer.sequence)));
        targets.extend_from_slice(&answer.target.0);
    }
    let found: Vec<(i64, i64, bool)> = sqlx::query_as(
        "SELECT asked.key, q.id, q.answered IS NOT NULL FROM json_each(?1) asked
         CROSS JOIN releases r ON r.name = asked.value ->> 0 AND r.sequence = asked.value ->> 1
         CROSS JOIN queue q ON q.release = r.id AND q.target = substr(?2, 32 * asked.key + 1, 32)",
    )
    .bind(format!("[{}]", asked.join(",")))
    .bind(targets)
    .fetch_all(connection)
    .await?;
    let mut done = vec![Answered::NotQueued; batch.len()];
    let (mut new, mut taken) = (Vec::new(), HashSet::new());
    for (place, id, is_answered) in found {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let (Some(done), Some(answer)) = (done.get_mut(place), batch.get(place)) else {
            return Err(DbError::Damaged("an answer that nobody gave"));
        };
        // Of two for one entry the first one stands.
        *done = if is_answered || !taken.insert(id) {
            Answered::Before
        } else {
            new.push((id, *answer));
            Answered::Now
        };
    }
    Ok((done, new))
}

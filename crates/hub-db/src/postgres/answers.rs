//! Answers of targets, written together: a statement and a commit for all of them.

use std::sync::Arc;

use async_trait::async_trait;

use super::PostgresDb;
use crate::answers::{Answer, Answers, KeepsAnswers};
use crate::stored::signed;
use crate::{Answered, DbError};

#[async_trait]
impl KeepsAnswers for PostgresDb {
    fn answers(&self) -> &Arc<Answers> {
        &self.answers
    }

    async fn write_together(
        &self,
        batch: &[Arc<Answer>],
    ) -> Result<Vec<Option<Answered>>, DbError> {
        let (mut names, mut sequences, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        let (mut receipts, mut times) = (Vec::new(), Vec::new());
        for answer in batch {
            names.push(answer.name.0);
            sequences.push(signed(answer.sequence));
            targets.push(&answer.target.0[..]);
            receipts.push(&answer.receipt[..]);
            times.push(signed(answer.now));
        }
        // A row that somebody else holds is left out, and written alone: nobody waits for one row with
        // others in hand, so nothing waits crosswise. Of two answers for one entry one is written.
        let written: Vec<i64> = sqlx::query_scalar(
            "WITH new AS (
                 SELECT q.id, given.receipt, given.answered, given.place
                 FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bigint[])
                      WITH ORDINALITY AS given (name, sequence, target, receipt, answered, place)
                 JOIN releases r ON r.name = given.name AND r.sequence = given.sequence
                 JOIN queue q ON q.release = r.id AND q.target = given.target
                 WHERE q.answered IS NULL
                 FOR NO KEY UPDATE OF q SKIP LOCKED)
             UPDATE queue q SET receipt = new.receipt, answered = new.answered, beginning = NULL
             FROM new WHERE q.id = new.id RETURNING new.place",
        )
        .bind(names)
        .bind(sequences)
        .bind(targets)
        .bind(receipts)
        .bind(times)
        .fetch_all(&self.pool)
        .await?;
        let mut done = vec![None; batch.len()];
        for place in written {
            // They are counted from one.
            let index = usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
            if let Some(done) = index.and_then(|index| done.get_mut(index)) {
                *done = Some(Answered::Now);
            }
        }
        Ok(done)
    }

    async fn write_alone(&self, answer: &Answer) -> Result<Answered, DbError> {
        let Answer { name, sequence, target, receipt, now } = answer;
        // One statement is one commit and one round trip; whoever answers at the same time waits for
        // it at the row, and then finds it answered.
        let written = sqlx::query(
            "UPDATE queue SET receipt = $4, answered = $5, beginning = NULL
             WHERE release = (SELECT id FROM releases WHERE name = $1 AND sequence = $2)
               AND target = $3 AND answered IS NULL",
        )
        .bind(name.0)
        .bind(signed(*sequence))
        .bind(&target.0[..])
        .bind(&receipt[..])
        .bind(signed(*now))
        .execute(&self.pool)
        .await?;
        if written.rows_affected() > 0 {
            return Ok(Answered::Now);
        }
        let is_queued: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM queue q JOIN releases r ON r.id = q.release
                            WHERE r.name = $1 AND r.sequence = $2 AND q.target = $3)",
        )
        .bind(name.0)
        .bind(signed(*sequence))
        .bind(&target.0[..])
        .fetch_one(&self.pool)
        .await?;
        Ok(if is_queued { Answered::Before } else { Answered::NotQueued })
    }
}

//! Queues.

use async_trait::async_trait;

use super::{SqliteDb, json_list};
use crate::answers::{Answer, answer};
use crate::stored::{
    self, AnswerableRow, BacklogRow, BeginningRow, QueueRow, QueuedTargetRow, ReceiptRow,
    WaitingRow, signed,
};
use crate::{
    AccountKey, Answerable, Answered, Backlog, BeginningRecord, CommunityKey, DbError, NameId,
    NewEntry, QueueEntry, QueuedTarget, Queues, ReceiptRecord, WaitingEntry,
};

#[async_trait]
impl Queues for SqliteDb {
    async fn enqueue(
        &self,
        name: NameId,
        sequence: u64,
        entries: &[NewEntry],
        now: u64,
    ) -> Result<Option<u64>, DbError> {
        let mut transaction = self.write().await?;
        let found: Option<(i64, i64)> = sqlx::query_as(
            "SELECT r.id, p.community FROM releases r JOIN names n ON n.id = r.name
             JOIN community_publishers p ON p.name = n.name WHERE r.name = ? AND r.sequence = ?",
        )
        .bind(name.0)
        .bind(signed(sequence))
        .fetch_optional(&mut *transaction)
        .await?;
        let Some((release, community)) = found else { return Ok(None) };
        // One statement: each of its own takes as long as writing ten rows.
        let done = sqlx::query(
            "INSERT INTO queue (release, target, envelope, queued)
             SELECT ?1, substr(new.both, 1, 32), substr(new.both, 33), ?3
             FROM (SELECT key AS place, unhex(value) AS both FROM json_each(?2)) new
             WHERE EXISTS (SELECT 1 FROM members m WHERE m.community = ?4
                             AND m.key = substr(new.both, 1, 32) AND m.roles & 4)
             ORDER BY new.place
             ON CONFLICT (release, target) DO NOTHING",
        )
        .bind(release)
        .bind(json_list(
            entries.iter().map(|entry| [&entry.target.0[..], &entry.envelope].concat()),
        ))
        .bind(signed(now))
        .bind(community)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Some(done.rows_affected()))
    }

    async fn queue(
        &self,
        community: &CommunityKey,
        target: &AccountKey,
        after: i64,
        limit: u32,
    ) -> Result<Vec<QueueEntry>, DbError> {
        let (first, end) = community.feeds();
        let rows: Vec<QueueRow> = sqlx::query_as(
            "SELECT q.id, n.name, r.sequence, r.manifest, q.envelope, q.queued
             FROM queue q JOIN releases r ON r.id = q.release JOIN names n ON n.id = r.name
             WHERE q.target = ?1 AND q.answered IS NULL AND q.id > ?2 AND n.name > ?4 AND n.name < ?5
             ORDER BY q.id LIMIT ?3",
        )
        .bind(target.0.to_vec())
        .bind(after)
        .bind(i64::from(limit))
        .bind(first)
        .bind(end)
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(stored::queue_entry).collect()
    }

    async fn waiting(
        &self,
        community: &CommunityKey,
        after: i64,
        limit: u32,
    ) -> Result<Vec<WaitingEntry>, DbError> {
        let (first, end) = community.feeds();
        let rows: Vec<WaitingRow> = sqlx::query_as(
            "SELECT q.id, n.name, r.sequence, q.target, q.envelope
             FROM queue q JOIN releases r ON r.id = q.release JOIN names n ON n.id = r.name
             WHERE q.answered IS NULL AND q.id > ?1 AND n.name > ?3 AND n.name < ?4
             ORDER BY q.id LIMIT ?2",
        )
        .bind(after)
        .bind(i64::from(limit))
        .bind(first)
        .bind(end)
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(stored::waiting_entry).collect()
    }

    async fn backlog(&self, community: &CommunityKey, limit: u32) -> Result<Backlog, DbError> {
        let (first, end) = community.feeds();
        let row: BacklogRow = sqlx::query_as(
            "SELECT count(*), min(queued) FROM
               (SELECT q.queued
                FROM queue q JOIN releases r ON r.id = q.release JOIN names n ON n.id = r.name
                WHERE q.answered IS NULL AND n.name > ?1 AND n.name < ?2
                ORDER BY q.id LIMIT ?3) oldest",
        )
        .bind(first)
        .bind(end)
        .bind(i64::from(limit))
        .fetch_one(&self.readers)
        .await?;
        stored::backlog(row)
    }

    async fn withdraw_entry(
        &self,
        (name, sequence): (NameId, u64),
        target: &AccountKey,
    ) -> Result<bool, DbError> {
        let done = sqlx::query(
            "DELETE FROM queue WHERE target = ?3 AND answered IS NULL
               AND release IN (SELECT id FROM releases WHERE name = ?1 AND sequence = ?2)",
        )
        .bind(name.0)
        .bind(signed(sequence))
        .bind(target.0.to_vec())
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn begin_entry(
        &self,
        (name, sequence): (NameId, u64),
        target: &AccountKey,
        said: &[u8],
        begun: u64,
    ) -> Result<bool, DbError> {
        let done = sqlx::query(
            "UPDATE queue SET beginning = ?4, begun = max(?5, queued)
             WHERE target = ?3 AND answered IS NULL AND beginning IS NULL
               AND release IN (SELECT id FROM releases WHERE name = ?1 AND sequence = ?2)",
        )
        .bind(name.0)
        .bind(signed(sequence))
        .bind(target.0.to_vec())
        .bind(said.to_vec())
        .bind(signed(begun))
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn beginnings(
        &self,
        name: NameId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<BeginningRecord>, DbError> {
        let rows: Vec<BeginningRow> = sqlx::query_as(
            "SELECT q.id, r.sequence, q.target, q.beginning
             FROM queue q JOIN releases r ON r.id = q.release
             WHERE r.name = ?1 AND q.beginning IS NOT NULL AND q.id > ?2 ORDER BY q.id LIMIT ?3",
        )
        .bind(name.0)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(stored::beginning).collect()
    }

    async fn answerable(
        &self,
        account: &AccountKey,
        name: &str,
        sequence: u64,
    ) -> Result<Answerable, DbError> {
        let row: Option<AnswerableRow> = sqlx::query_as(
            "SELECT a.revoked IS NOT NULL, n.id, o.key, r.hash FROM accounts a
             LEFT JOIN names n ON n.name = ?2 AND (n.public OR n.owner = a.id OR EXISTS
                 (SELECT 1 FROM grants g WHERE g.key = a.key AND g.name = n.name))
             LEFT JOIN accounts o ON o.id = n.owner
             LEFT JOIN releases r ON r.name = n.id AND r.sequence = ?3
             WHERE a.key = ?1",
        )
        .bind(account.0.to_vec())
        .bind(name)
        .bind(signed(sequence))
        .fetch_optional(&self.readers)
        .await?;
        row.map_or(Ok(Answerable::NoAccount), stored::answerable)
    }

    async fn answer_entry(
        &self,
        (name, sequence): (NameId, u64),
        target: &AccountKey,
        receipt: &[u8],
        now: u64,
    ) -> Result<Answered, DbError> {
        let (target, receipt) = (*target, receipt.to_vec());
        answer(self, Answer { name, sequence, target, receipt, now }).await
    }

    async fn receipts(
        &self,
        name: NameId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<ReceiptRecord>, DbError> {
        let rows: Vec<ReceiptRow> = sqlx::query_as(
            "SELECT q.id, r.sequence, q.target, length(q.receipt), q.answered
             FROM queue q JOIN releases r ON r.id = q.release
             WHERE r.name = ? AND q.receipt IS NOT NULL AND q.id > ? ORDER BY q.id LIMIT ?",
        )
        .bind(name.0)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(stored::receipt).collect()
    }

    async fn signed_receipts(
        &self,
        name: NameId,
        ids: &[i64],
    ) -> Result<Vec<(i64, Vec<u8>)>, DbError> {
        let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(
            "SELECT q.id, q.receipt FROM queue q JOIN releases r ON r.id = q.release
             WHERE q.id IN (SELECT value FROM json_each(?1)) AND r.name = ?2
               AND q.receipt IS NOT NULL ORDER BY q.id",
        )
        .bind(list_of(ids))
        .bind(name.0)
        .fetch_all(&self.readers)
        .await?;
        Ok(rows)
    }

    async fn receipt(
        &self,
        (name, sequence): (NameId, u64),
        target: &AccountKey,
    ) -> Result<Option<Vec<u8>>, DbError> {
        let found: Option<Option<Vec<u8>>> = sqlx::query_scalar(
            "SELECT q.receipt FROM queue q JOIN releases r ON r.id = q.release
             WHERE r.name = ? AND r.sequence = ? AND q.target = ?",
        )
        .bind(name.0)
        .bind(signed(sequence))
        .bind(target.0.to_vec())
        .fetch_optional(&self.readers)
        .await?;
        Ok(found.flatten())
    }

    async fn take_receipts(&self, name: NameId, ids: &[i64], now: u64) -> Result<u64, DbError> {
        let done = sqlx::query(
            "UPDATE queue SET receipt = NULL, taken = ?1
             WHERE id IN (SELECT value FROM json_each(?2)) AND receipt IS NOT NULL
               AND release IN (SELECT id FROM releases WHERE name = ?3)",
        )
        .bind(signed(now))
        .bind(list_of(ids))
        .bind(name.0)
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected())
    }

    async fn queued_targets(
        &self,
        (name, sequence): (NameId, u64),
        after: Option<&AccountKey>,
        limit: u32,
    ) -> Result<Vec<QueuedTarget>, DbError> {
        let rows: Vec<QueuedTargetRow> = sqlx::query_as(
            "SELECT q.target, q.queued, q.begun, q.answered, q.taken
             FROM queue q JOIN releases r ON r.id = q.release
             WHERE r.name = ? AND r.sequence = ? AND q.target > ? ORDER BY q.target LIMIT ?",
        )
        .bind(name.0)
        .bind(signed(sequence))
        .bind(after.map_or_else(Vec::new, |key| key.0.to_vec()))
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(stored::queued_target).collect()
    }
}

/// Numbers as a list that a statement reads with `json_each`.
fn list_of(ids: &[i64]) -> String {
    let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
    format!("[{}]", ids.join(","))
}

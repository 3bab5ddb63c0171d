//! Queues.

use async_trait::async_trait;

use super::{PostgresDb, text};
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
impl Queues for PostgresDb {
    async fn enqueue(
        &self,
        name: NameId,
        sequence: u64,
        entries: &[NewEntry],
        now: u64,
    ) -> Result<Option<u64>, DbError> {
        let mut transaction = self.write().await?;
        // Numbers are given out before they are committed. With this lock entries become visible in
        // the order of their ids: a target that has read up to one misses none before it.
        sqlx::query("SELECT pg_advisory_xact_lock(27988542867728240)")
            .execute(&mut *transaction)
            .await?;
        // Whoever changes the roster waits, and then finds the entries.
        let found: Option<(i64, i64)> = sqlx::query_as(
            "SELECT r.id, c.id FROM releases r JOIN names n ON n.id = r.name
             JOIN community_publishers p ON p.name = n.name JOIN communities c ON c.id = p.community
             WHERE r.name = $1 AND r.sequence = $2 FOR KEY SHARE OF r FOR SHARE OF c, p",
        )
        .bind(name.0)
        .bind(signed(sequence))
        .fetch_optional(&mut *transaction)
        .await?;
        let Some((release, community)) = found else { return Ok(None) };
        let column = |of: fn(&NewEntry) -> Vec<u8>| entries.iter().map(of).collect::<Vec<_>>();
        let done = sqlx::query(
            "INSERT INTO queue (release, target, envelope, queued)
             SELECT $1, target, envelope, $2
             FROM unnest($3::bytea[], $4::bytea[]) WITH ORDINALITY AS new (target, envelope, place)
             WHERE EXISTS (SELECT 1 FROM members m WHERE m.community = $5 AND m.key = new.target
                             AND m.roles & 4 <> 0)
             ORDER BY place
             ON CONFLICT (release, target) DO NOTHING",
        )
        .bind(release)
        .bind(signed(now))
        .bind(column(|entry| entry.target.0.to_vec()))
        .bind(column(|entry| entry.envelope.clone()))
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
             WHERE q.target = $1 AND q.answered IS NULL AND q.id > $2 AND n.name > $4 AND n.name < $5
             ORDER BY q.id LIMIT $3",
        )
        .bind(target.0.to_vec())
        .bind(after)
        .bind(i64::from(limit))
        .bind(first)
        .bind(end)
        .fetch_all(&self.pool)
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
             WHERE q.answered IS NULL AND q.id > $1 AND n.name > $3 AND n.name < $4
             ORDER BY q.id LIMIT $2",
        )
        .bind(after)
        .bind(i64::from(limit))
        .bind(first)
        .bind(end)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(stored::waiting_entry).collect()
    }

    async fn backlog(&self, community: &CommunityKey, limit: u32) -> Result<Backlog, DbError> {
        let (first, end) = community.feeds();
        let row: BacklogRow = sqlx::query_as(
            "SELECT count(*), min(queued) FROM
               (SELECT q.queued
                FROM queue q JOIN releases r ON r.id = q.release JOIN names n ON n.id = r.name
                WHERE q.answered IS NULL AND n.name > $1 AND n.name < $2
                ORDER BY q.id LIMIT $3) oldest",
        )
        .bind(first)
        .bind(end)
        .bind(i64::from(limit))
        .fetch_one(&self.pool)
        .await?;
        stored::backlog(row)
    }

    async fn withdraw_entry(
        &self,
        (name, sequence): (NameId, u64),
        target: &AccountKey,
    ) -> Result<bool, DbError> {
        let done = sqlx::query(
            "DELETE FROM queue WHERE target = $3 AND answered IS NULL
               AND release IN (SELECT id FROM releases WHERE name = $1 AND sequence = $2)",
        )
        .bind(name.0)
        .bind(signed(sequence))
        .bind(target.0.to_vec())
        .execute(&self.pool)
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
            "UPDATE queue SET beginning = $4, begun = greatest($5, queued)
             WHERE target = $3 AND answered IS NULL AND beginning IS NULL
               AND release IN (SELECT id FROM releases WHERE name = $1 AND sequence = $2)",
        )
        .bind(name.0)
        .bind(signed(sequence))
        .bind(target.0.to_vec())
        .bind(said.to_vec())
        .bind(signed(begun))
        .execute(&self.pool)
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
             WHERE r.name = $1 AND q.beginning IS NOT NULL AND q.id > $2 ORDER BY q.id LIMIT $3",
        )
        .bind(name.0)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
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
             LEFT JOIN names n ON n.name = $2 AND (n.public OR n.owner = a.id OR EXISTS
                 (SELECT 1 FROM grants g WHERE g.key = a.key AND g.name = n.name))
             LEFT JOIN accounts o ON o.id = n.owner
             LEFT JOIN releases r ON r.name = n.id AND r.sequence = $3
             WHERE a.key = $1",
        )
        .bind(account.0.to_vec())
        .bind(text(name))
        .bind(signed(sequence))
        .fetch_optional(&self.pool)
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
            "SELECT q.id, r.sequence, q.target, length(q.receipt)::bigint, q.answered
             FROM queue q JOIN releases r ON r.id = q.release
             WHERE r.name = $1 AND q.receipt IS NOT NULL AND q.id > $2 ORDER BY q.id LIMIT $3",
        )
        .bind(name.0)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
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
             WHERE q.id = ANY($1) AND r.name = $2 AND q.receipt IS NOT NULL ORDER BY q.id",
        )
        .bind(ids.to_vec())
        .bind(name.0)
        .fetch_all(&self.pool)
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
             WHERE r.name = $1 AND r.sequence = $2 AND q.target = $3",
        )
        .bind(name.0)
        .bind(signed(sequence))
        .bind(target.0.to_vec())
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.flatten())
    }

    async fn take_receipts(&self, name: NameId, ids: &[i64], now: u64) -> Result<u64, DbError> {
        let done = sqlx::query(
            "UPDATE queue SET receipt = NULL, taken = $1 WHERE id = ANY($2)
               AND receipt IS NOT NULL AND release IN (SELECT id FROM releases WHERE name = $3)",
        )
        .bind(signed(now))
        .bind(ids.to_vec())
        .bind(name.0)
        .execute(&self.pool)
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
             WHERE r.name = $1 AND r.sequence = $2 AND q.target > $3 ORDER BY q.target LIMIT $4",
        )
        .bind(name.0)
        .bind(signed(sequence))
        .bind(after.map_or_else(Vec::new, |key| key.0.to_vec()))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(stored::queued_target).collect()
    }
}

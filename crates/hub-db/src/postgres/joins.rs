//! Joinings and admissions.

use async_trait::async_trait;
use sqlx::{Executor, Postgres, Transaction};

use super::{PostgresDb, text};
use crate::stored::{self, JoinRow, outcome_codes, signed};
use crate::{
    CommunityKey, DbError, JOINING_LIFETIME, JoinOutcome, JoinRecord, JoinRoom, JoinStep, Joins,
    Knocked, NewJoin,
};

#[async_trait]
impl Joins for PostgresDb {
    async fn admit(
        &self,
        community: &CommunityKey,
        admission: &[u8; 16],
        expires: u64,
    ) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO admissions (community, admission, expires)
             SELECT id, $2, $3 FROM communities WHERE community = $1
             ON CONFLICT (community, admission) DO UPDATE SET expires = excluded.expires",
        )
        .bind(community.0.to_vec())
        .bind(admission.to_vec())
        .bind(signed(expires))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn withdraw_admission(
        &self,
        community: &CommunityKey,
        admission: &[u8; 16],
    ) -> Result<bool, DbError> {
        let done = sqlx::query(
            "DELETE FROM admissions WHERE admission = $2
               AND community = (SELECT id FROM communities WHERE community = $1)",
        )
        .bind(community.0.to_vec())
        .bind(admission.to_vec())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn knock(&self, new: &NewJoin, room: JoinRoom) -> Result<Knocked, DbError> {
        let mut transaction = self.write().await?;
        // Who knocks at the same time waits, and is counted.
        let community: Option<i64> =
            sqlx::query_scalar("SELECT id FROM communities WHERE community = $1 FOR NO KEY UPDATE")
                .bind(new.community.0.to_vec())
                .fetch_optional(&mut *transaction)
                .await?;
        let Some(community) = community else { return Ok(Knocked::NoCommunity) };
        if let Some(known) = one(&mut *transaction, &new.community, &new.id).await? {
            return Ok(Knocked::Kept(known.changed + JOINING_LIFETIME.as_secs()));
        }
        let admission = new.admission.map(|admission| admission.to_vec());
        // Whether it is there, and how many came with it, without a place kept, and altogether.
        let (admitted, same, unannounced, all): (bool, i64, i64, i64) = sqlx::query_as(
            "SELECT EXISTS (SELECT 1 FROM admissions
                            WHERE community = $1 AND admission = $2 AND expires > $3),
                    count(*) FILTER (WHERE admission = $2), count(*) FILTER (WHERE NOT announced),
                    count(*)
             FROM joins WHERE community = $1 AND (ended IS NULL OR ended = 2)",
        )
        .bind(community)
        .bind(admission.clone())
        .bind(signed(new.now))
        .fetch_one(&mut *transaction)
        .await?;
        if admission.is_some() && !admitted {
            return Ok(Knocked::NoAdmission);
        }
        let announced = admitted && same == 0;
        if !stored::has_room(room, announced, unannounced, all) {
            return Ok(Knocked::Full);
        }
        sqlx::query(
            "INSERT INTO joins (id, community, admission, announced, request, came, changed)
             VALUES ($1, $2, $3, $4, $5, $6, $6)",
        )
        .bind(new.id.to_vec())
        .bind(community)
        .bind(admission)
        .bind(announced)
        .bind(&new.request)
        .bind(signed(new.now))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Knocked::Kept(new.now + JOINING_LIFETIME.as_secs()))
    }

    async fn joins(
        &self,
        community: &CommunityKey,
        limit: u32,
    ) -> Result<Vec<JoinRecord>, DbError> {
        let rows: Vec<JoinRow> = sqlx::query_as(
            "SELECT j.id, j.request, j.challenge, j.answer, j.ended, j.reason, j.came, j.changed
             FROM joins j JOIN communities c ON c.id = j.community
             WHERE c.community = $1 AND (j.ended IS NULL OR j.ended = 2)
             ORDER BY j.ended IS NOT NULL, j.came, j.id LIMIT $2",
        )
        .bind(community.0.to_vec())
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(stored::join).collect()
    }

    async fn join(
        &self,
        community: &CommunityKey,
        id: &[u8; 32],
    ) -> Result<Option<JoinRecord>, DbError> {
        one(&self.pool, community, id).await
    }

    async fn challenge_join(
        &self,
        community: &CommunityKey,
        id: &[u8; 32],
        challenge: &[u8],
        now: u64,
    ) -> Result<JoinStep, DbError> {
        let mut transaction = self.write().await?;
        let known = locked(&mut transaction, community, id).await?;
        let step = stored::challenge_step(known.as_ref(), challenge);
        if step == JoinStep::Now {
            sqlx::query("UPDATE joins SET challenge = $1, changed = $2 WHERE id = $3")
                .bind(challenge)
                .bind(signed(now))
                .bind(id.to_vec())
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
        }
        Ok(step)
    }

    async fn answer_join(
        &self,
        community: &CommunityKey,
        id: &[u8; 32],
        answer: &[u8],
        now: u64,
    ) -> Result<JoinStep, DbError> {
        let mut transaction = self.write().await?;
        let known = locked(&mut transaction, community, id).await?;
        let step = stored::answer_step(known.as_ref(), answer);
        if step == JoinStep::Now {
            sqlx::query("UPDATE joins SET answer = $1, changed = $2 WHERE id = $3")
                .bind(answer)
                .bind(signed(now))
                .bind(id.to_vec())
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
        }
        Ok(step)
    }

    async fn end_join(
        &self,
        community: &CommunityKey,
        id: &[u8; 32],
        outcome: &JoinOutcome,
        now: u64,
    ) -> Result<JoinStep, DbError> {
        let mut transaction = self.write().await?;
        let known = locked(&mut transaction, community, id).await?;
        let Some(known) = known else { return Ok(JoinStep::NoJoining) };
        if let Some(end) = known.end {
            return Ok(if end == *outcome { JoinStep::Before } else { JoinStep::OutOfTurn });
        }
        let (code, reason) = outcome_codes(outcome);
        sqlx::query("UPDATE joins SET ended = $1, reason = $2, changed = $3 WHERE id = $4")
            .bind(code)
            .bind(reason.map(text))
            .bind(signed(now))
            .bind(id.to_vec())
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "DELETE FROM admissions WHERE (community, admission) IN
               (SELECT community, admission FROM joins WHERE id = $1 AND ended = 0)",
        )
        .bind(id.to_vec())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(JoinStep::Now)
    }
}

async fn one(
    executor: impl Executor<'_, Database = Postgres>,
    community: &CommunityKey,
    id: &[u8; 32],
) -> Result<Option<JoinRecord>, DbError> {
    let row: Option<JoinRow> = sqlx::query_as(
        "SELECT j.id, j.request, j.challenge, j.answer, j.ended, j.reason, j.came, j.changed
         FROM joins j JOIN communities c ON c.id = j.community
         WHERE c.community = $1 AND j.id = $2",
    )
    .bind(community.0.to_vec())
    .bind(id.to_vec())
    .fetch_optional(executor)
    .await?;
    row.map(stored::join).transpose()
}

/// Until the transaction ends no other step is taken.
async fn locked(
    transaction: &mut Transaction<'static, Postgres>,
    community: &CommunityKey,
    id: &[u8; 32],
) -> Result<Option<JoinRecord>, DbError> {
    sqlx::query("SELECT id FROM joins WHERE id = $1 FOR UPDATE")
        .bind(id.to_vec())
        .execute(&mut **transaction)
        .await?;
    one(&mut **transaction, community, id).await
}

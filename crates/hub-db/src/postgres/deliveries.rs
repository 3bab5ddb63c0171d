//! Deliveries that are addressed to people.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::{Executor, Postgres, Transaction};

use super::PostgresDb;
use crate::stored::{
    self, PendingRow, SidesRow, addressed, addressed_columns, ended_by_code, signed, state_code,
};
use crate::{
    AccountKey, AddressOutcome, AddressRoom, Addressed, AddressedRecord, DbError, DeliveryNote,
    DeliveryState, EndedBy, NewAddressed, PendingRecord, PersonId, Sides,
};

#[async_trait]
impl Addressed for PostgresDb {
    async fn address(
        &self,
        new: &NewAddressed,
        room: AddressRoom,
    ) -> Result<AddressOutcome, DbError> {
        let mut transaction = self.write().await?;
        // Whoever addresses something to the same person, or changes their book, waits.
        let recipient: Option<(i64, i64)> =
            sqlx::query_as("SELECT id, policy FROM people WHERE handle = $1 FOR NO KEY UPDATE")
                .bind(&new.to)
                .fetch_optional(&mut *transaction)
                .await?;
        if let Some(known) = one(&mut *transaction, &new.delivery).await? {
            return Ok(match stored::is_same(&known, new) {
                true => AddressOutcome::Before(Box::new(known)),
                false => AddressOutcome::Conflict,
            });
        }
        let Some((recipient, policy)) = recipient else { return Ok(AddressOutcome::Nobody) };
        let (is_contact, is_blocked): (bool, bool) = sqlx::query_as(
            "SELECT EXISTS (SELECT 1 FROM book_entries WHERE person = $1 AND kind = 0 AND handle = $2),
                    EXISTS (SELECT 1 FROM book_entries WHERE person = $1 AND kind = 1 AND handle = $2)",
        )
        .bind(recipient)
        .bind(&new.from)
        .fetch_one(&mut *transaction)
        .await?;
        // Nobody refuses themselves.
        let is_contact = is_contact || recipient == new.sender.0;
        let state = stored::admitted(stored::policy(policy)?, is_contact, is_blocked);
        let Some(state) = state else { return Ok(AddressOutcome::Refused) };
        let (of_sender, others): (i64, i64) = sqlx::query_as(
            "SELECT count(*) FILTER (WHERE sender = $2),
                    count(DISTINCT sender) FILTER (WHERE sender <> $2 AND state = 0)
             FROM addressed WHERE recipient = $1 AND state < 3",
        )
        .bind(recipient)
        .bind(new.sender.0)
        .fetch_one(&mut *transaction)
        .await?;
        if state == DeliveryState::PendingApproval && others >= i64::from(room.senders) {
            return Ok(AddressOutcome::Refused);
        }
        if of_sender >= i64::from(room.waiting) {
            return Ok(AddressOutcome::TooMany);
        }
        if !is_for_devices(&mut transaction, recipient, new).await? {
            return Ok(AddressOutcome::OtherDevices);
        }
        let number: i64 = sqlx::query_scalar(
            "INSERT INTO addressed (delivery, sender, account, recipient, list, token, segments, bytes,
               files, largest, state, since, created, used)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $12) RETURNING number",
        )
        .bind(new.delivery.to_vec())
        .bind(new.sender.0)
        .bind(new.account.0.to_vec())
        .bind(recipient)
        .bind(signed(new.list))
        .bind(new.token.to_vec())
        .bind(signed(new.segments))
        .bind(signed(new.bytes))
        .bind(signed(new.files))
        .bind(signed(new.largest))
        .bind(state_code(state))
        .bind(signed(new.now))
        .fetch_one(&mut *transaction)
        .await?;
        for (key, sealed) in &new.letters {
            sqlx::query("INSERT INTO letters (delivery, key, sealed) VALUES ($1, $2, $3)")
                .bind(number)
                .bind(key.0.to_vec())
                .bind(sealed)
                .execute(&mut *transaction)
                .await?;
        }
        let kept = one(&mut *transaction, &new.delivery).await?;
        let kept = kept.ok_or(DbError::Damaged("an addressed delivery that is not there"))?;
        transaction.commit().await?;
        Ok(AddressOutcome::Now(Box::new(kept)))
    }

    async fn addressed(&self, delivery: &[u8; 16]) -> Result<Option<AddressedRecord>, DbError> {
        one(&self.pool, delivery).await
    }

    async fn inbox(
        &self,
        person: PersonId,
        key: &AccountKey,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<(AddressedRecord, Option<Vec<u8>>)>, DbError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            addressed_columns!(),
            ", l.sealed FROM addressed d JOIN people s ON s.id = d.sender
             JOIN people r ON r.id = d.recipient
             LEFT JOIN letters l ON l.delivery = d.number AND l.key = $2
             WHERE d.recipient = $1 AND d.number < $3 ORDER BY d.number DESC LIMIT $4"
        ))
        .bind(person.0)
        .bind(key.0.to_vec())
        .bind(signed(before.unwrap_or(u64::MAX)))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok((addressed!(*row), sqlx::Row::try_get(row, "sealed")?))).collect()
    }

    async fn all_addressed(
        &self,
        before: Option<u64>,
        with_over: bool,
        limit: u32,
    ) -> Result<Vec<AddressedRecord>, DbError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            addressed_columns!(),
            " FROM addressed d JOIN people s ON s.id = d.sender
             JOIN people r ON r.id = d.recipient
             WHERE d.number < $1 AND ($2 OR d.state < 3) ORDER BY d.number DESC LIMIT $3"
        ))
        .bind(signed(before.unwrap_or(u64::MAX)))
        .bind(with_over)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok(addressed!(*row))).collect()
    }

    async fn outbox(
        &self,
        person: PersonId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<AddressedRecord>, DbError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            addressed_columns!(),
            " FROM addressed d JOIN people s ON s.id = d.sender
             JOIN people r ON r.id = d.recipient
             WHERE d.sender = $1 AND d.number < $2 ORDER BY d.number DESC LIMIT $3"
        ))
        .bind(person.0)
        .bind(signed(before.unwrap_or(u64::MAX)))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok(addressed!(*row))).collect()
    }

    async fn note_delivery(
        &self,
        delivery: &[u8; 16],
        note: DeliveryNote,
        now: u64,
    ) -> Result<Option<Sides>, DbError> {
        let is_received = note.state == DeliveryState::Received;
        let mut transaction = self.write().await?;
        // What goes on after it had begun went on anew.
        let row: Option<SidesRow> = sqlx::query_as(
            "UPDATE addressed SET
               restarts = restarts + CASE WHEN $2 = 2 AND state = 1 AND started IS NOT NULL
                                          THEN 1 ELSE 0 END,
               started = CASE WHEN $2 = 1 THEN started ELSE coalesce(started, $4) END,
               since = CASE WHEN state = $2 THEN since ELSE $4 END,
               finished = CASE WHEN $2 = 3 THEN $4 ELSE NULL END,
               state = $2, verified = $3, used = $4
             WHERE delivery = $1 AND state IN (1, 2) RETURNING delivery, sender, recipient",
        )
        .bind(delivery.to_vec())
        .bind(state_code(note.state))
        .bind(signed(note.verified))
        .bind(signed(now))
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let sides = stored::sides(row)?;
        if is_received {
            forget_letters(&mut transaction, delivery).await?;
            add_totals(&mut transaction, &sides).await?;
        }
        transaction.commit().await?;
        Ok(Some(sides))
    }

    async fn receive_addressed(
        &self,
        delivery: &[u8; 16],
        receipt: &[u8],
        now: u64,
    ) -> Result<Option<Sides>, DbError> {
        let mut transaction = self.write().await?;
        let row: Option<SidesRow> = sqlx::query_as(
            "UPDATE addressed SET started = coalesce(started, $3), since = $3, finished = $3,
               state = 3, verified = segments, used = $3, receipt = $2
             WHERE delivery = $1 AND state IN (1, 2) RETURNING delivery, sender, recipient",
        )
        .bind(delivery.to_vec())
        .bind(receipt)
        .bind(signed(now))
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let sides = stored::sides(row)?;
        forget_letters(&mut transaction, delivery).await?;
        add_totals(&mut transaction, &sides).await?;
        transaction.commit().await?;
        Ok(Some(sides))
    }

    async fn delivery_receipt(&self, delivery: &[u8; 16]) -> Result<Option<Vec<u8>>, DbError> {
        let query = "SELECT receipt FROM addressed WHERE delivery = $1";
        let row: Option<Option<Vec<u8>>> =
            sqlx::query_scalar(query).bind(delivery.to_vec()).fetch_optional(&self.pool).await?;
        Ok(row.flatten())
    }

    async fn end_addressed(
        &self,
        delivery: &[u8; 16],
        by: EndedBy,
        reason: &str,
        now: u64,
    ) -> Result<Option<Sides>, DbError> {
        let mut transaction = self.write().await?;
        let row: Option<SidesRow> = sqlx::query_as(
            "UPDATE addressed SET state = 4, since = $4, finished = $4, used = $4, ended_by = $2,
               reason = $3
             WHERE delivery = $1 AND state < 3 RETURNING delivery, sender, recipient",
        )
        .bind(delivery.to_vec())
        .bind(ended_by_code(by))
        .bind(reason)
        .bind(signed(now))
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else { return Ok(None) };
        forget_letters(&mut transaction, delivery).await?;
        transaction.commit().await?;
        stored::sides(row).map(Some)
    }

    async fn stop_running(&self, now: u64) -> Result<(), DbError> {
        sqlx::query("UPDATE addressed SET state = 1, since = $1 WHERE state = 2")
            .bind(signed(now))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn pending_senders(&self, person: PersonId) -> Result<Vec<PendingRecord>, DbError> {
        let rows: Vec<PendingRow> = sqlx::query_as(
            "SELECT s.handle, s.first_name, s.last_name, s.organisation, min(d.created), count(*)
             FROM addressed d JOIN people s ON s.id = d.sender
             WHERE d.recipient = $1 AND d.state = 0
             GROUP BY s.id, s.handle, s.first_name, s.last_name, s.organisation
             ORDER BY min(d.number)",
        )
        .bind(person.0)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(stored::pending).collect()
    }

    async fn senders_waiting(
        &self,
        person: PersonId,
        limit: u32,
    ) -> Result<Vec<PersonId>, DbError> {
        let rows: Vec<i64> = sqlx::query_scalar(
            "SELECT DISTINCT sender FROM addressed WHERE recipient = $1 AND state IN (1, 2)
             ORDER BY sender LIMIT $2",
        )
        .bind(person.0)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(PersonId).collect())
    }

    async fn sweep_addressed(
        &self,
        idle_since: u64,
        over_before: u64,
        limit: u32,
        now: u64,
    ) -> Result<Vec<Sides>, DbError> {
        let mut transaction = self.write().await?;
        let rows: Vec<SidesRow> = sqlx::query_as(
            "UPDATE addressed SET state = 5, since = $3, finished = $3
             WHERE number IN (SELECT number FROM addressed
                              WHERE state < 3 AND used <= $1 ORDER BY used LIMIT $2
                              FOR UPDATE SKIP LOCKED)
             RETURNING delivery, sender, recipient",
        )
        .bind(signed(idle_since))
        .bind(i64::from(limit))
        .bind(signed(now))
        .fetch_all(&mut *transaction)
        .await?;
        let removed = rows.into_iter().map(stored::sides).collect::<Result<Vec<_>, _>>()?;
        for sides in &removed {
            forget_letters(&mut transaction, &sides.delivery).await?;
        }
        sqlx::query("DELETE FROM addressed WHERE state >= 3 AND finished <= $1")
            .bind(signed(over_before))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(removed)
    }
}

async fn one(
    executor: impl Executor<'_, Database = Postgres>,
    delivery: &[u8; 16],
) -> Result<Option<AddressedRecord>, DbError> {
    let row = sqlx::query(concat!(
        "SELECT ",
        addressed_columns!(),
        " FROM addressed d JOIN people s ON s.id = d.sender
         JOIN people r ON r.id = d.recipient WHERE d.delivery = $1"
    ))
    .bind(delivery.to_vec())
    .fetch_optional(executor)
    .await?;
    match row {
        Some(row) => Ok(Some(addressed!(row))),
        None => Ok(None),
    }
}

/// Whether there is a letter for each device on the recipient's newest list, and no other.
async fn is_for_devices(
    transaction: &mut Transaction<'static, Postgres>,
    recipient: i64,
    new: &NewAddressed,
) -> Result<bool, DbError> {
    let newest: Option<i64> =
        sqlx::query_scalar("SELECT max(number) FROM device_lists WHERE person = $1")
            .bind(recipient)
            .fetch_one(&mut **transaction)
            .await?;
    let listed: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT a.key FROM devices d JOIN accounts a ON a.id = d.account
         WHERE d.person = $1 AND d.listed ORDER BY a.key",
    )
    .bind(recipient)
    .fetch_all(&mut **transaction)
    .await?;
    let mut keys: Vec<&[u8]> = new.letters.iter().map(|(key, _)| &key.0[..]).collect();
    keys.sort_unstable();
    Ok(newest == Some(signed(new.list)) && listed.iter().map(Vec::as_slice).eq(keys))
}

/// What is over is opened by nobody any more.
pub(super) async fn forget_letters(
    transaction: &mut Transaction<'static, Postgres>,
    delivery: &[u8; 16],
) -> Result<(), DbError> {
    sqlx::query(
        "DELETE FROM letters
         WHERE delivery = (SELECT number FROM addressed WHERE delivery = $1)",
    )
    .bind(delivery.to_vec())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Counts a delivery for both sides; for one after the other by their numbers, so that no two wait crosswise.
async fn add_totals(
    transaction: &mut Transaction<'static, Postgres>,
    sides: &Sides,
) -> Result<(), DbError> {
    for person in BTreeSet::from([sides.sender, sides.recipient]) {
        sqlx::query(
            "INSERT INTO totals (person, sent_deliveries, sent_bytes, received_deliveries,
               received_bytes)
             SELECT $2, CASE WHEN sender = $2 THEN 1 ELSE 0 END,
                    CASE WHEN sender = $2 THEN bytes ELSE 0 END,
                    CASE WHEN recipient = $2 THEN 1 ELSE 0 END,
                    CASE WHEN recipient = $2 THEN bytes ELSE 0 END
             FROM addressed WHERE delivery = $1
             ON CONFLICT (person) DO UPDATE SET
               sent_deliveries = totals.sent_deliveries + excluded.sent_deliveries,
               sent_bytes = totals.sent_bytes + excluded.sent_bytes,
               received_deliveries = totals.received_deliveries + excluded.received_deliveries,
               received_bytes = totals.received_bytes + excluded.received_bytes",
        )
        .bind(sides.delivery.to_vec())
        .bind(person.0)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

//! Address books.

use async_trait::async_trait;
use sqlx::{Sqlite, Transaction};

use super::SqliteDb;
use super::deliveries::forget_letters;
use crate::stored::{self, SidesRow, policy_code, signed, unsigned};
use crate::{Book, Books, DbError, Decision, Entry, PersonId, Settled};

#[async_trait]
impl Books for SqliteDb {
    async fn book(&self, person: PersonId) -> Result<Book, DbError> {
        // Of one moment, or a contact of the next version could stand beside the number of this one.
        let mut transaction = self.readers.begin().await?;
        let (number, sealed, policy): (i64, Option<Vec<u8>>, i64) =
            sqlx::query_as("SELECT book_number, book, policy FROM people WHERE id = ?1")
                .bind(person.0)
                .fetch_one(&mut *transaction)
                .await?;
        let entries: Vec<(i64, String)> = sqlx::query_as(
            "SELECT kind, handle FROM book_entries WHERE person = ?1 ORDER BY kind, handle",
        )
        .bind(person.0)
        .fetch_all(&mut *transaction)
        .await?;
        let (mut contacts, mut blocked) = (Vec::new(), Vec::new());
        for (kind, handle) in entries {
            if kind == 0 { contacts.push(handle) } else { blocked.push(handle) }
        }
        let (number, policy) = (unsigned(number)?, stored::policy(policy)?);
        Ok(Book { number, sealed, contacts, blocked, policy })
    }

    async fn put_book(
        &self,
        person: PersonId,
        book: &Book,
        now: u64,
    ) -> Result<Option<Settled>, DbError> {
        let mut transaction = self.write().await?;
        let done = sqlx::query(
            "UPDATE people SET book_number = ?2, book = ?3, policy = ?4
             WHERE id = ?1 AND book_number = ?2 - 1",
        )
        .bind(person.0)
        .bind(signed(book.number))
        .bind(book.sealed.as_deref())
        .bind(policy_code(book.policy))
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        sqlx::query("DELETE FROM book_entries WHERE person = ?1")
            .bind(person.0)
            .execute(&mut *transaction)
            .await?;
        for (kind, handles) in [(0, &book.contacts), (1, &book.blocked)] {
            for handle in handles {
                add_entry(&mut transaction, person, kind, handle).await?;
            }
        }
        let settled = settle(&mut transaction, person, now).await?;
        transaction.commit().await?;
        Ok(Some(settled))
    }

    async fn entry(&self, person: PersonId, handle: &str) -> Result<Option<Entry>, DbError> {
        let kind: Option<i64> = sqlx::query_scalar(
            "SELECT max(kind) FROM book_entries WHERE person = ?1 AND handle = ?2",
        )
        .bind(person.0)
        .bind(handle)
        .fetch_one(&self.readers)
        .await?;
        Ok(kind.map(|kind| if kind == 0 { Entry::Contact } else { Entry::Blocked }))
    }

    async fn unknown_handles(&self, handles: &[String]) -> Result<Vec<String>, DbError> {
        let list = handles.iter().map(|handle| format!("\"{handle}\"")).collect::<Vec<_>>();
        let known: Vec<String> = sqlx::query_scalar(
            "SELECT handle FROM people WHERE handle IN (SELECT value FROM json_each(?1))",
        )
        .bind(format!("[{}]", list.join(",")))
        .fetch_all(&self.readers)
        .await?;
        let known: std::collections::HashSet<String> = known.into_iter().collect();
        Ok(handles.iter().filter(|handle| !known.contains(*handle)).cloned().collect())
    }

    async fn decide(
        &self,
        person: PersonId,
        handle: &str,
        decision: Decision,
        now: u64,
    ) -> Result<Option<Settled>, DbError> {
        let mut transaction = self.write().await?;
        let waits: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM addressed d JOIN people s ON s.id = d.sender
                            WHERE d.recipient = ?1 AND d.state = 0 AND s.handle = ?2)",
        )
        .bind(person.0)
        .bind(handle)
        .fetch_one(&mut *transaction)
        .await?;
        if !waits {
            return Ok(None);
        }
        match decision {
            Decision::Accept => add_entry(&mut transaction, person, 0, handle).await?,
            Decision::Block => add_entry(&mut transaction, person, 1, handle).await?,
            Decision::Refuse => {}
        }
        let mut settled = settle(&mut transaction, person, now).await?;
        if decision == Decision::Refuse {
            let rows: Vec<SidesRow> = sqlx::query_as(
                "UPDATE addressed SET state = 4, since = ?3, finished = ?3, used = ?3, ended_by = 1,
                   reason = 'refused'
                 WHERE recipient = ?1 AND state = 0
                   AND sender = (SELECT id FROM people WHERE handle = ?2)
                 RETURNING delivery, sender, recipient",
            )
            .bind(person.0)
            .bind(handle)
            .bind(signed(now))
            .fetch_all(&mut *transaction)
            .await?;
            for row in rows {
                let sides = stored::sides(row)?;
                forget_letters(&mut transaction, &sides.delivery).await?;
                settled.ended.push(sides);
            }
        }
        transaction.commit().await?;
        Ok(Some(settled))
    }
}

async fn add_entry(
    transaction: &mut Transaction<'static, Sqlite>,
    person: PersonId,
    kind: i64,
    handle: &str,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO book_entries (person, kind, handle) VALUES (?1, ?2, ?3)
         ON CONFLICT DO NOTHING",
    )
    .bind(person.0)
    .bind(kind)
    .bind(handle)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Ends what is not over of who is blocked, and lets in what waits for approval of contacts.
async fn settle(
    transaction: &mut Transaction<'static, Sqlite>,
    person: PersonId,
    now: u64,
) -> Result<Settled, DbError> {
    let ended: Vec<SidesRow> = sqlx::query_as(
        "UPDATE addressed SET state = 4, since = ?2, finished = ?2, used = ?2, ended_by = 1,
           reason = 'refused'
         WHERE recipient = ?1 AND state < 3 AND sender IN
           (SELECT s.id FROM people s JOIN book_entries e ON e.handle = s.handle
            WHERE e.person = ?1 AND e.kind = 1)
         RETURNING delivery, sender, recipient",
    )
    .bind(person.0)
    .bind(signed(now))
    .fetch_all(&mut **transaction)
    .await?;
    let ended = ended.into_iter().map(stored::sides).collect::<Result<Vec<_>, _>>()?;
    for sides in &ended {
        forget_letters(transaction, &sides.delivery).await?;
    }
    let let_in: Vec<SidesRow> = sqlx::query_as(
        "UPDATE addressed SET state = 1, since = ?2, used = ?2
         WHERE recipient = ?1 AND state = 0 AND sender IN
           (SELECT s.id FROM people s JOIN book_entries e ON e.handle = s.handle
            WHERE e.person = ?1 AND e.kind = 0)
         RETURNING delivery, sender, recipient",
    )
    .bind(person.0)
    .bind(signed(now))
    .fetch_all(&mut **transaction)
    .await?;
    let let_in = let_in.into_iter().map(stored::sides).collect::<Result<Vec<_>, _>>()?;
    Ok(Settled { let_in, ended })
}

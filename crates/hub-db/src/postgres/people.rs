//! People and their devices.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::{Postgres, Transaction};

use super::PostgresDb;
use crate::stored::{self, DeviceRow, PersonRow, keys, signed, unsigned};
use crate::{
    AccountId, AccountKey, Belonging, DbError, Details, DeviceAdded, DeviceRecord, ListKept,
    LoginTurn, NewList, NewPerson, People, Person, PersonId, PersonMade,
};

#[async_trait]
impl People for PostgresDb {
    async fn create_person(&self, new: &NewPerson) -> Result<PersonMade, DbError> {
        let mut transaction = self.write().await?;
        let in_force: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM accounts WHERE id = $1 AND revoked IS NULL FOR UPDATE",
        )
        .bind(new.account.0)
        .fetch_optional(&mut *transaction)
        .await?;
        if in_force.is_none() {
            return Ok(PersonMade::NoAccount);
        }
        let device: Option<i64> =
            sqlx::query_scalar("SELECT account FROM devices WHERE account = $1")
                .bind(new.account.0)
                .fetch_optional(&mut *transaction)
                .await?;
        if device.is_some() {
            return Ok(PersonMade::IsDevice);
        }
        let Details { first_name, last_name, organisation, address, email } = &new.details;
        let id: Option<i64> = sqlx::query_scalar(
            "INSERT INTO people
               (handle, password, first_name, last_name, organisation, address, email, created)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (handle) DO NOTHING RETURNING id",
        )
        .bind(&new.handle)
        .bind(&new.password)
        .bind(first_name)
        .bind(last_name)
        .bind(organisation)
        .bind(address)
        .bind(email)
        .bind(signed(new.now))
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(id) = id else { return Ok(PersonMade::HandleTaken) };
        sqlx::query(
            "INSERT INTO devices (account, person, since, listed) VALUES ($1, $2, $3, true)",
        )
        .bind(new.account.0)
        .bind(id)
        .bind(signed(new.now))
        .execute(&mut *transaction)
        .await?;
        sqlx::query("INSERT INTO device_lists (person, number, signed) VALUES ($1, 1, $2)")
            .bind(id)
            .bind(&new.list)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(PersonMade::Now(PersonId(id)))
    }

    async fn person(&self, handle: &str) -> Result<Option<Person>, DbError> {
        let row: Option<PersonRow> = sqlx::query_as(
            "SELECT id, handle, first_name, last_name, organisation, address, email, created,
               policy, first_online, last_online FROM people WHERE handle = $1",
        )
        .bind(handle)
        .fetch_optional(&self.pool)
        .await?;
        row.map(stored::person).transpose()
    }

    async fn belonging(&self, account: AccountId) -> Result<Option<Belonging>, DbError> {
        let row: Option<(i64, String, bool)> = sqlx::query_as(
            "SELECT p.id, p.handle, d.listed FROM devices d
             JOIN people p ON p.id = d.person JOIN accounts a ON a.id = d.account
             WHERE d.account = $1 AND a.revoked IS NULL",
        )
        .bind(account.0)
        .fetch_optional(&self.pool)
        .await?;
        let belonging =
            |(id, handle, is_listed)| Belonging { person: PersonId(id), handle, is_listed };
        Ok(row.map(belonging))
    }

    async fn handles(&self, accounts: &[AccountId]) -> Result<HashMap<AccountId, String>, DbError> {
        let ids: Vec<i64> = accounts.iter().map(|account| account.0).collect();
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT d.account, p.handle FROM devices d JOIN people p ON p.id = d.person
             WHERE d.account = ANY($1)",
        )
        .bind(ids)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|(account, handle)| (AccountId(account), handle)).collect())
    }

    async fn password(&self, handle: &str) -> Result<Option<String>, DbError> {
        let found = sqlx::query_scalar("SELECT password FROM people WHERE handle = $1");
        Ok(found.bind(handle).fetch_optional(&self.pool).await?)
    }

    async fn put_details(&self, person: PersonId, details: &Details) -> Result<(), DbError> {
        sqlx::query(
            "UPDATE people SET first_name = $2, last_name = $3, organisation = $4, address = $5,
               email = $6 WHERE id = $1",
        )
        .bind(person.0)
        .bind(&details.first_name)
        .bind(&details.last_name)
        .bind(&details.organisation)
        .bind(&details.address)
        .bind(&details.email)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn begin_login(
        &self,
        handle: &str,
        network: &str,
        most: u32,
        since: u64,
        now: u64,
    ) -> Result<LoginTurn, DbError> {
        let mut transaction = self.write().await?;
        // Whoever tries the same at the same time waits, and is counted.
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 7))")
            .bind(handle)
            .bind(network)
            .execute(&mut *transaction)
            .await?;
        let (tries, oldest): (i64, Option<i64>) = sqlx::query_as(
            "SELECT count(*), min(time) FROM failed_logins
             WHERE handle = $1 AND network = $2 AND time > $3",
        )
        .bind(handle)
        .bind(network)
        .bind(signed(since))
        .fetch_one(&mut *transaction)
        .await?;
        if let Some(oldest) = oldest.filter(|_| tries >= i64::from(most)) {
            return Ok(LoginTurn::NotBefore(unsigned(oldest)?));
        }
        sqlx::query("INSERT INTO failed_logins (handle, network, time) VALUES ($1, $2, $3)")
            .bind(handle)
            .bind(network)
            .bind(signed(now))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(LoginTurn::Now)
    }

    async fn forget_logins(&self, handle: &str, network: &str) -> Result<(), DbError> {
        sqlx::query("DELETE FROM failed_logins WHERE handle = $1 AND network = $2")
            .bind(handle)
            .bind(network)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn add_device(
        &self,
        handle: &str,
        password: &str,
        key: &AccountKey,
        most: u32,
        now: u64,
    ) -> Result<DeviceAdded, DbError> {
        let mut transaction = self.write().await?;
        let person: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM people WHERE handle = $1 AND password = $2 FOR UPDATE",
        )
        .bind(handle)
        .bind(password)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(person) = person else { return Ok(DeviceAdded::Changed) };
        let known: Option<(bool, Option<i64>)> = sqlx::query_as(
            "SELECT a.revoked IS NOT NULL AND NOT a.of_community, d.person FROM accounts a
             LEFT JOIN devices d ON d.account = a.id WHERE a.key = $1",
        )
        .bind(key.0.to_vec())
        .fetch_optional(&mut *transaction)
        .await?;
        match known {
            Some((true, _)) => return Ok(DeviceAdded::Revoked),
            Some((false, Some(other))) if other != person => return Ok(DeviceAdded::OfAnother),
            Some((false, Some(_))) => return Ok(DeviceAdded::Before),
            Some((false, None)) | None => {}
        }
        let devices: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM devices d JOIN accounts a ON a.id = d.account
             WHERE d.person = $1 AND a.revoked IS NULL",
        )
        .bind(person)
        .fetch_one(&mut *transaction)
        .await?;
        if devices >= i64::from(most) {
            return Ok(DeviceAdded::TooMany);
        }
        // What a roster has made, or taken, is of its own right from now on.
        let account: i64 = sqlx::query_scalar(
            "INSERT INTO accounts (key, role, admin, created) VALUES ($1, 0, false, $2)
             ON CONFLICT (key) DO UPDATE SET revoked = NULL, of_community = false RETURNING id",
        )
        .bind(key.0.to_vec())
        .bind(signed(now))
        .fetch_one(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO devices (account, person, since, listed) VALUES ($1, $2, $3, false)",
        )
        .bind(account)
        .bind(person)
        .bind(signed(now))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(DeviceAdded::Now)
    }

    async fn change_password(
        &self,
        person: PersonId,
        old: &str,
        new: &str,
        now: u64,
    ) -> Result<Option<Vec<AccountKey>>, DbError> {
        let mut transaction = self.write().await?;
        let done = sqlx::query("UPDATE people SET password = $3 WHERE id = $1 AND password = $2")
            .bind(person.0)
            .bind(old)
            .bind(new)
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        let rows: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT a.key FROM devices d JOIN accounts a ON a.id = d.account
             WHERE d.person = $1 AND NOT d.listed AND a.revoked IS NULL ORDER BY a.id",
        )
        .bind(person.0)
        .fetch_all(&mut *transaction)
        .await?;
        let revoked = keys(rows)?;
        revoke(&mut transaction, &revoked, now).await?;
        transaction.commit().await?;
        Ok(Some(revoked))
    }

    async fn reset_person(
        &self,
        handle: &str,
        password: &str,
        now: u64,
    ) -> Result<Option<Vec<AccountKey>>, DbError> {
        let mut transaction = self.write().await?;
        let person: Option<i64> =
            sqlx::query_scalar("UPDATE people SET password = $2 WHERE handle = $1 RETURNING id")
                .bind(handle)
                .bind(password)
                .fetch_optional(&mut *transaction)
                .await?;
        let Some(person) = person else { return Ok(None) };
        let rows: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT a.key FROM devices d JOIN accounts a ON a.id = d.account
             WHERE d.person = $1 AND a.revoked IS NULL ORDER BY a.id",
        )
        .bind(person)
        .fetch_all(&mut *transaction)
        .await?;
        let revoked = keys(rows)?;
        revoke(&mut transaction, &revoked, now).await?;
        for statement in BEGIN_ANEW {
            sqlx::query(statement)
                .bind(person)
                .bind(signed(now))
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(Some(revoked))
    }

    async fn device_lists(&self, person: PersonId) -> Result<Vec<Vec<u8>>, DbError> {
        let lists =
            sqlx::query_scalar("SELECT signed FROM device_lists WHERE person = $1 ORDER BY number");
        Ok(lists.bind(person.0).fetch_all(&self.pool).await?)
    }

    async fn put_list(&self, list: &NewList) -> Result<ListKept, DbError> {
        let mut transaction = self.write().await?;
        // Whoever changes the devices of the same person at the same time waits.
        sqlx::query("SELECT id FROM people WHERE id = $1 FOR UPDATE")
            .bind(list.person.0)
            .execute(&mut *transaction)
            .await?;
        let newest: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT signed FROM device_lists WHERE person = $1 ORDER BY number DESC LIMIT 1",
        )
        .bind(list.person.0)
        .fetch_optional(&mut *transaction)
        .await?;
        if newest != list.previous {
            return Ok(ListKept::NotNext);
        }
        let rows: Vec<(Vec<u8>, bool)> = sqlx::query_as(
            "SELECT a.key, d.listed FROM devices d JOIN accounts a ON a.id = d.account
             WHERE d.person = $1 AND a.revoked IS NULL ORDER BY a.id",
        )
        .bind(list.person.0)
        .fetch_all(&mut *transaction)
        .await?;
        let is_theirs = |key: &&AccountKey| rows.iter().any(|(row, _)| *row == key.0);
        if let Some(other) = list.keys.iter().find(|key| !is_theirs(key)) {
            return Ok(ListKept::NoDevice(*other));
        }
        let stays = |row: &Vec<u8>| list.keys.iter().any(|key| *row == key.0);
        let left = rows.iter().filter(|(row, was_listed)| *was_listed && !stays(row));
        let left = keys(left.map(|(row, _)| row.clone()).collect())?;
        revoke(&mut transaction, &left, list.now).await?;
        sqlx::query("UPDATE devices SET listed = false WHERE person = $1")
            .bind(list.person.0)
            .execute(&mut *transaction)
            .await?;
        for key in &list.keys {
            sqlx::query(
                "UPDATE devices SET listed = true
                 WHERE account = (SELECT id FROM accounts WHERE key = $1)",
            )
            .bind(key.0.to_vec())
            .execute(&mut *transaction)
            .await?;
        }
        sqlx::query("INSERT INTO device_lists (person, number, signed) VALUES ($1, $2, $3)")
            .bind(list.person.0)
            .bind(signed(list.number))
            .bind(&list.signed)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(ListKept::Now(left))
    }

    async fn devices(&self, person: PersonId) -> Result<Vec<DeviceRecord>, DbError> {
        let rows: Vec<DeviceRow> = sqlx::query_as(
            "SELECT a.key, d.since, d.listed, d.free, d.largest FROM devices d
             JOIN accounts a ON a.id = d.account
             WHERE d.person = $1 AND a.revoked IS NULL ORDER BY d.since, a.id",
        )
        .bind(person.0)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(stored::device).collect()
    }

    async fn remove_device(
        &self,
        person: PersonId,
        key: &AccountKey,
        now: u64,
    ) -> Result<bool, DbError> {
        let mut transaction = self.write().await?;
        sqlx::query("SELECT id FROM people WHERE id = $1 FOR UPDATE")
            .bind(person.0)
            .execute(&mut *transaction)
            .await?;
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT d.account FROM devices d JOIN accounts a ON a.id = d.account
             WHERE d.person = $1 AND a.key = $2 AND NOT d.listed AND a.revoked IS NULL",
        )
        .bind(person.0)
        .bind(key.0.to_vec())
        .fetch_optional(&mut *transaction)
        .await?;
        if found.is_none() {
            return Ok(false);
        }
        revoke(&mut transaction, &[*key], now).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn put_room(&self, account: AccountId, free: u64, largest: u64) -> Result<(), DbError> {
        sqlx::query("UPDATE devices SET free = $2, largest = $3 WHERE account = $1")
            .bind(account.0)
            .bind(signed(free))
            .bind(signed(largest))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn note_presence(&self, person: PersonId, now: u64) -> Result<(), DbError> {
        sqlx::query(
            "UPDATE people SET first_online = coalesce(first_online, $2), last_online = $2
             WHERE id = $1",
        )
        .bind(person.0)
        .bind(signed(now))
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// `$1` is the person, `$2` the time. Who ended them is the hub.
const BEGIN_ANEW: [&str; 5] = [
    "DELETE FROM device_lists WHERE person = $1",
    "UPDATE devices SET listed = false WHERE person = $1",
    "UPDATE people SET book = NULL WHERE id = $1",
    "DELETE FROM letters WHERE delivery IN
       (SELECT number FROM addressed WHERE state < 3 AND (recipient = $1 OR sender = $1))",
    "UPDATE addressed SET state = 4, since = $2, finished = $2, ended_by = 2,
       reason = 'the person begins anew'
     WHERE state < 3 AND (recipient = $1 OR sender = $1)",
];

/// Revokes accounts, and with them the invitations they made that have uses left.
async fn revoke(
    transaction: &mut Transaction<'static, Postgres>,
    revoked: &[AccountKey],
    now: u64,
) -> Result<(), DbError> {
    for key in revoked {
        let account: Option<i64> = sqlx::query_scalar(
            "UPDATE accounts SET revoked = coalesce(revoked, $1), of_community = false
             WHERE key = $2 RETURNING id",
        )
        .bind(signed(now))
        .bind(key.0.to_vec())
        .fetch_optional(&mut **transaction)
        .await?;
        sqlx::query("DELETE FROM invitations WHERE creator = $1 AND uses_left > 0")
            .bind(account)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

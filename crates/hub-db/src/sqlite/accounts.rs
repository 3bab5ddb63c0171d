//! Accounts and invitations.

use sqlx::{Executor, Sqlite};

use super::{SqliteDb, hash, signed, unsigned};
use crate::{Account, AccountId, AccountKey, DbError, NewInvitation, RegisterError, Role};

impl Role {
    fn code(self) -> i64 {
        match self {
            Self::Reader => 0,
            Self::Publisher => 1,
        }
    }

    fn from_code(code: i64) -> Result<Self, DbError> {
        match code {
            0 => Ok(Self::Reader),
            1 => Ok(Self::Publisher),
            _ => Err(DbError::Damaged("an unknown role")),
        }
    }
}

pub(super) async fn create_invitation(
    db: &SqliteDb,
    invitation: &NewInvitation,
) -> Result<(), DbError> {
    let mut transaction = db.write().await?;
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO invitations (secret_hash, role, uses_left, expires) VALUES (?, ?, ?, ?)
         RETURNING id",
    )
    .bind(invitation.secret_hash.to_vec())
    .bind(invitation.role.code())
    .bind(i64::from(invitation.uses))
    .bind(signed(invitation.expires))
    .fetch_one(&mut *transaction)
    .await?;
    for name in &invitation.grants {
        sqlx::query("INSERT OR IGNORE INTO invitation_grants (invitation, name) VALUES (?, ?)")
            .bind(id)
            .bind(name.as_str())
            .execute(&mut *transaction)
            .await?;
    }
    Ok(transaction.commit().await?)
}

pub(super) async fn register(
    db: &SqliteDb,
    key: &AccountKey,
    secret_hash: &[u8; 32],
    now: u64,
) -> Result<Account, RegisterError> {
    let mut transaction = db.write().await?;
    let invitation: Option<(i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT id, role, uses_left, expires FROM invitations WHERE secret_hash = ?",
    )
    .bind(secret_hash.to_vec())
    .fetch_optional(&mut *transaction)
    .await
    .map_err(DbError::from)?;
    let (invitation, role, uses_left, expires) = invitation.ok_or(RegisterError::Unknown)?;
    if expires <= signed(now) {
        return Err(RegisterError::Expired);
    }
    let known = account(&mut *transaction, key).await?;
    if known.as_ref().is_some_and(|account| account.revoked.is_some()) {
        return Err(RegisterError::Revoked);
    }
    let repeated: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM registrations WHERE invitation = ? AND account = ?")
            .bind(invitation)
            .bind(known.map(|account| account.id.0))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(DbError::from)?;
    if repeated.is_none() {
        if uses_left == 0 {
            return Err(RegisterError::UsedUp);
        }
        let statements = [
            "UPDATE invitations SET uses_left = uses_left - 1 WHERE id = ?1",
            "INSERT INTO accounts (key, role, created) VALUES (?2, ?3, ?4)
             ON CONFLICT (key) DO UPDATE SET role = max(role, excluded.role)",
            "INSERT INTO registrations (invitation, account)
             SELECT ?1, id FROM accounts WHERE key = ?2",
            "INSERT OR IGNORE INTO readers (key, name)
             SELECT ?2, name FROM invitation_grants WHERE invitation = ?1",
        ];
        for statement in statements {
            sqlx::query(statement)
                .bind(invitation)
                .bind(key.0.to_vec())
                .bind(role)
                .bind(signed(now))
                .execute(&mut *transaction)
                .await
                .map_err(DbError::from)?;
        }
    }
    let registered = account(&mut *transaction, key)
        .await?
        .ok_or(DbError::Damaged("a registration without its account"))?;
    transaction.commit().await.map_err(DbError::from)?;
    Ok(registered)
}

pub(super) async fn drop_expired_invitations(db: &SqliteDb, now: u64) -> Result<u64, DbError> {
    let done = sqlx::query("DELETE FROM invitations WHERE expires <= ?")
        .bind(signed(now))
        .execute(&db.writer)
        .await?;
    Ok(done.rows_affected())
}

type Row = (i64, Vec<u8>, i64, i64, Option<i64>);

pub(super) async fn account(
    executor: impl Executor<'_, Database = Sqlite>,
    key: &AccountKey,
) -> Result<Option<Account>, DbError> {
    let row: Option<Row> =
        sqlx::query_as("SELECT id, key, role, created, revoked FROM accounts WHERE key = ?")
            .bind(key.0.to_vec())
            .fetch_optional(executor)
            .await?;
    row.map(|(id, key, role, created, revoked)| {
        Ok(Account {
            id: AccountId(id),
            key: AccountKey(hash(key)?),
            role: Role::from_code(role)?,
            created: unsigned(created)?,
            revoked: revoked.map(unsigned).transpose()?,
        })
    })
    .transpose()
}

pub(super) async fn revoke(db: &SqliteDb, key: &AccountKey, now: u64) -> Result<bool, DbError> {
    let done = sqlx::query("UPDATE accounts SET revoked = ? WHERE key = ? AND revoked IS NULL")
        .bind(signed(now))
        .bind(key.0.to_vec())
        .execute(&db.writer)
        .await?;
    Ok(done.rows_affected() > 0)
}

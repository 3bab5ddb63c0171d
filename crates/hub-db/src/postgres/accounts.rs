//! Accounts and invitations.

use async_trait::async_trait;
use sqlx::{Executor, Postgres};

use super::{PostgresDb, text};
use crate::stored::{self, AccountRow, InvitationRow, role_codes, signed};
use crate::{
    Account, AccountId, AccountKey, Accounts, DbError, InvitationRecord, NETWORK_WINDOW,
    NewInvitation, RegisterError,
};

#[async_trait]
impl Accounts for PostgresDb {
    async fn create_invitation(&self, invitation: &NewInvitation) -> Result<Option<i64>, DbError> {
        let mut transaction = self.write().await?;
        if let Some(creator) = invitation.creator {
            // Whoever revokes the account waits, and then finds the invitation.
            let in_force: Option<i64> = sqlx::query_scalar(
                "SELECT id FROM accounts WHERE id = $1 AND revoked IS NULL FOR SHARE",
            )
            .bind(creator.0)
            .fetch_optional(&mut *transaction)
            .await?;
            if in_force.is_none() {
                return Ok(None);
            }
        }
        let (role, admin) = role_codes(invitation.role);
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO invitations (secret_hash, role, admin, uses_left, each_network, creator, created, expires)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
        )
        .bind(invitation.secret_hash.to_vec())
        .bind(role)
        .bind(admin)
        .bind(i64::from(invitation.uses))
        .bind(invitation.each_network.map(i64::from))
        .bind(invitation.creator.map(|creator| creator.0))
        .bind(signed(invitation.created))
        .bind(signed(invitation.expires))
        .fetch_one(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO invitation_grants (invitation, name)
             SELECT $1, name FROM unnest($2::text[]) AS name ON CONFLICT DO NOTHING",
        )
        .bind(id)
        .bind(invitation.grants.iter().map(|name| text(name)).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Some(id))
    }

    async fn invitations(&self, now: u64) -> Result<Vec<InvitationRecord>, DbError> {
        let rows: Vec<InvitationRow> = sqlx::query_as(
            "SELECT i.id, i.role, i.admin, i.uses_left, i.each_network, i.created, i.expires, g.name
             FROM invitations i LEFT JOIN invitation_grants g ON g.invitation = i.id
             WHERE i.expires > $1 AND i.uses_left > 0 ORDER BY i.id, g.name",
        )
        .bind(signed(now))
        .fetch_all(&self.pool)
        .await?;
        stored::invitations(rows)
    }

    async fn revoke_invitation(&self, id: i64) -> Result<bool, DbError> {
        let done = sqlx::query("DELETE FROM invitations WHERE id = $1")
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn drop_expired_invitations(&self, now: u64) -> Result<u64, DbError> {
        let done = sqlx::query("DELETE FROM invitations WHERE expires <= $1")
            .bind(signed(now))
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected())
    }

    async fn register(
        &self,
        key: &AccountKey,
        secret_hash: &[u8; 32],
        network: &str,
        now: u64,
    ) -> Result<Account, RegisterError> {
        let mut transaction = self.write().await?;
        let invitation: Option<(i64, i64, Option<i64>, i64)> = sqlx::query_as(
            "SELECT id, uses_left, each_network, expires FROM invitations WHERE secret_hash = $1
             FOR UPDATE",
        )
        .bind(secret_hash.to_vec())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(DbError::from)?;
        let (invitation, uses_left, each_network, expires) =
            invitation.ok_or(RegisterError::Unknown)?;
        if expires <= signed(now) {
            return Err(RegisterError::Expired);
        }
        let known = one(&mut *transaction, key).await?;
        // What a roster has taken an invitation gives anew.
        let is_revoked: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM accounts WHERE key = $1 AND revoked IS NOT NULL AND NOT of_community",
        )
        .bind(key.0.to_vec())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(DbError::from)?;
        if is_revoked.is_some() {
            return Err(RegisterError::Revoked);
        }
        let repeated: Option<i64> = sqlx::query_scalar(
            "SELECT 1::bigint FROM registrations WHERE invitation = $1 AND account = $2",
        )
        .bind(invitation)
        .bind(known.map(|account| account.id.0))
        .fetch_optional(&mut *transaction)
        .await
        .map_err(DbError::from)?;
        if repeated.is_none() {
            if uses_left == 0 {
                return Err(RegisterError::UsedUp);
            }
            let since = signed(now) - signed(NETWORK_WINDOW.as_secs());
            sqlx::query(FORGET_NETWORKS)
                .bind(since)
                .execute(&mut *transaction)
                .await
                .map_err(DbError::from)?;
            if let Some(most) = each_network {
                let (count, oldest): (i64, Option<i64>) = sqlx::query_as(COUNT_NETWORK)
                    .bind(invitation)
                    .bind(network)
                    .fetch_one(&mut *transaction)
                    .await
                    .map_err(DbError::from)?;
                stored::check_network(most, count, oldest)?;
            }
            for statement in USE_INVITATION {
                sqlx::query(statement)
                    .bind(invitation)
                    .bind(key.0.to_vec())
                    .bind(signed(now))
                    .bind(each_network.map(|_| network))
                    .execute(&mut *transaction)
                    .await
                    .map_err(DbError::from)?;
            }
        }
        let registered = one(&mut *transaction, key)
            .await?
            .ok_or(DbError::Damaged("a registration without its account"))?;
        transaction.commit().await.map_err(DbError::from)?;
        Ok(registered)
    }

    async fn account(&self, key: &AccountKey) -> Result<Option<Account>, DbError> {
        one(&self.pool, key).await
    }

    async fn accounts(
        &self,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<Vec<Account>, DbError> {
        let rows: Vec<AccountRow> = sqlx::query_as(
            "SELECT id, key, role, admin, created, revoked, of_community FROM accounts WHERE id > $1
             ORDER BY id LIMIT $2",
        )
        .bind(after.map_or(0, |after| after.0))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(stored::account).collect()
    }

    async fn revoke_account(&self, key: &AccountKey, now: u64) -> Result<bool, DbError> {
        let mut transaction = self.write().await?;
        let revoked: Option<i64> = sqlx::query_scalar(
            "UPDATE accounts SET revoked = coalesce(revoked, $1), of_community = false
             WHERE key = $2 AND (revoked IS NULL OR of_community) RETURNING id",
        )
        .bind(signed(now))
        .bind(key.0.to_vec())
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(revoked) = revoked else { return Ok(false) };
        sqlx::query("DELETE FROM invitations WHERE creator = $1 AND uses_left > 0")
            .bind(revoked)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }
}

const FORGET_NETWORKS: &str =
    "UPDATE registrations SET network = NULL WHERE network IS NOT NULL AND registered <= $1";

const COUNT_NETWORK: &str =
    "SELECT count(*), min(registered) FROM registrations WHERE invitation = $1 AND network = $2";

/// `$1` is the invitation, `$2` the key, `$3` the time, `$4` the network if it counts.
const USE_INVITATION: [&str; 4] = [
    "UPDATE invitations SET uses_left = uses_left - 1 WHERE id = $1",
    "INSERT INTO accounts (key, role, admin, created)
     SELECT $2, role, admin, $3 FROM invitations WHERE id = $1
     ON CONFLICT (key) DO UPDATE
     SET role = greatest(accounts.role, excluded.role), admin = accounts.admin OR excluded.admin,
       revoked = CASE WHEN accounts.of_community THEN NULL ELSE accounts.revoked END,
       of_community = false",
    "INSERT INTO registrations (invitation, account, registered, network)
     SELECT $1, id, $3, $4 FROM accounts WHERE key = $2",
    "INSERT INTO grants (key, name, level)
     SELECT $2, name, 0 FROM invitation_grants WHERE invitation = $1 ON CONFLICT DO NOTHING",
];

async fn one(
    executor: impl Executor<'_, Database = Postgres>,
    key: &AccountKey,
) -> Result<Option<Account>, DbError> {
    let row: Option<AccountRow> = sqlx::query_as(
        "SELECT id, key, role, admin, created, revoked, of_community FROM accounts WHERE key = $1",
    )
    .bind(key.0.to_vec())
    .fetch_optional(executor)
    .await?;
    row.map(stored::account).transpose()
}

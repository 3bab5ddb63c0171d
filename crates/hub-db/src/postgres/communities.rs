//! Communities.

use async_trait::async_trait;
use sqlx::{Postgres, Transaction};

use super::{PostgresDb, after as page_start, text};
use crate::stored::{
    self, AllMembersRow, CommunityRow, ListedRow, MemberRow, order_codes, roles_code, signed,
};
use crate::{
    AccountKey, Communities, CommunityKey, CommunityRecord, DbError, HolderId, ListedCommunity,
    Member, NameId, NewRoster, Renewal, RosterOrder,
};

#[async_trait]
impl Communities for PostgresDb {
    async fn create_community(
        &self,
        community: &CommunityKey,
        charter: &[u8],
        mirror: Option<&AccountKey>,
        now: u64,
    ) -> Result<bool, DbError> {
        let mut transaction = self.write().await?;
        let id: Option<i64> = sqlx::query_scalar(
            "INSERT INTO communities (community, created, mirror) VALUES ($1, $2, $3)
             ON CONFLICT (community) DO NOTHING RETURNING id",
        )
        .bind(community.0.to_vec())
        .bind(signed(now))
        .bind(mirror.map(|key| key.0.to_vec()))
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(id) = id else { return Ok(false) };
        sqlx::query("INSERT INTO charters (community, number, signed) VALUES ($1, 1, $2)")
            .bind(id)
            .bind(charter)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn add_charter(
        &self,
        community: &CommunityKey,
        number: u64,
        charter: &[u8],
    ) -> Result<bool, DbError> {
        let done = sqlx::query(
            "INSERT INTO charters (community, number, signed)
             SELECT c.id, $2, $3 FROM communities c WHERE c.community = $1
               AND (SELECT max(h.number) FROM charters h WHERE h.community = c.id) = $2 - 1",
        )
        .bind(community.0.to_vec())
        .bind(signed(number))
        .bind(charter)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn end_community(
        &self,
        community: &CommunityKey,
        number: u64,
        charter: &[u8],
        now: u64,
    ) -> Result<bool, DbError> {
        let mut transaction = self.write().await?;
        let Some((id, newest)) = found(&mut transaction, community).await? else {
            return Ok(false);
        };
        if newest.checked_add(1) != Some(signed(number)) {
            return Ok(false);
        }
        clear(&mut transaction, (id, community), now).await?;
        sqlx::query("INSERT INTO charters (community, number, signed) VALUES ($1, $2, $3)")
            .bind(id)
            .bind(signed(number))
            .bind(charter)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn remove_community(&self, community: &CommunityKey, now: u64) -> Result<bool, DbError> {
        let mut transaction = self.write().await?;
        let Some((id, _)) = found(&mut transaction, community).await? else { return Ok(false) };
        clear(&mut transaction, (id, community), now).await?;
        sqlx::query("DELETE FROM communities WHERE id = $1")
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn communities(&self) -> Result<Vec<ListedCommunity>, DbError> {
        let rows: Vec<ListedRow> = sqlx::query_as(
            "SELECT c.community, h.signed, c.created,
                    (SELECT count(*) FROM members m WHERE m.community = c.id),
                    c.renewal_issued, c.mirror
             FROM communities c JOIN charters h ON h.community = c.id
             WHERE h.number = (SELECT max(n.number) FROM charters n WHERE n.community = c.id)
             ORDER BY c.id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(stored::listed_community).collect()
    }

    async fn charters(
        &self,
        community: &CommunityKey,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Vec<u8>>, DbError> {
        Ok(sqlx::query_scalar(
            "SELECT h.signed FROM charters h JOIN communities c ON c.id = h.community
             WHERE c.community = $1 AND h.number > $2 ORDER BY h.number LIMIT $3",
        )
        .bind(community.0.to_vec())
        .bind(signed(after))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?)
    }

    async fn community(
        &self,
        community: &CommunityKey,
    ) -> Result<Option<CommunityRecord>, DbError> {
        let row: Option<CommunityRow> = sqlx::query_as(
            "SELECT h.number, h.signed, c.roster_charter, c.roster_number, c.roster, c.renewal,
                    c.renewal_issued, c.mirror
             FROM communities c JOIN charters h ON h.community = c.id
             WHERE c.community = $1 ORDER BY h.number DESC LIMIT 1",
        )
        .bind(community.0.to_vec())
        .fetch_optional(&self.pool)
        .await?;
        row.map(stored::community).transpose()
    }

    async fn set_roster(&self, new: &NewRoster) -> Result<bool, DbError> {
        let mut transaction = self.write().await?;
        lock_rosters(&mut transaction).await?;
        let found: Option<(i64, Option<i64>, Option<i64>, i64)> = sqlx::query_as(
            "SELECT c.id, c.roster_charter, c.roster_number,
                    (SELECT max(h.number) FROM charters h WHERE h.community = c.id)
             FROM communities c WHERE c.community = $1 FOR UPDATE OF c",
        )
        .bind(new.community.0.to_vec())
        .fetch_optional(&mut *transaction)
        .await?;
        let Some((id, charter, number, newest)) = found else { return Ok(false) };
        if !stored::follows(new, charter.zip(number), newest) {
            return Ok(false);
        }
        let before: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT key FROM community_publishers WHERE community = $1")
                .bind(id)
                .fetch_all(&mut *transaction)
                .await?;
        let touched = set_members(&mut transaction, id, new).await?;
        let (charter, number) = order_codes(new.order);
        sqlx::query(
            "UPDATE communities SET roster = $1, roster_charter = $2, roster_number = $3, renewal = $4,
               renewal_issued = $5 WHERE id = $6",
        )
        .bind(&new.signed)
        .bind(charter)
        .bind(number)
        .bind(new.renewal.as_ref().map(|renewal| &renewal.signed))
        .bind(new.renewal.as_ref().map(|renewal| signed(renewal.issued)))
        .bind(id)
        .execute(&mut *transaction)
        .await?;
        let publishers = stored::publishers(new, before)?;
        let of = |keys: &[AccountKey]| keys.iter().map(|key| key.0.to_vec()).collect::<Vec<_>>();
        let feeds = |keys: &[AccountKey]| {
            keys.iter().map(|key| new.community.feed(key)).collect::<Vec<_>>()
        };
        let (first, end) = new.community.feeds();
        for statement in FOLLOW_ROSTER {
            sqlx::query(statement)
                .bind(id)
                .bind(&touched)
                .bind(of(&publishers.gone))
                .bind(feeds(&publishers.gone))
                .bind(of(&publishers.added))
                .bind(feeds(&publishers.added))
                .bind(&first)
                .bind(&end)
                .bind(signed(new.now))
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    async fn renew_roster(
        &self,
        community: &CommunityKey,
        order: RosterOrder,
        renewal: &Renewal,
    ) -> Result<bool, DbError> {
        let (charter, number) = order_codes(order);
        let done = sqlx::query(
            "UPDATE communities SET renewal = $1, renewal_issued = $2
             WHERE community = $3 AND roster_charter = $4 AND roster_number = $5
               AND coalesce(renewal_issued < $2, TRUE)",
        )
        .bind(&renewal.signed)
        .bind(signed(renewal.issued))
        .bind(community.0.to_vec())
        .bind(charter)
        .bind(number)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    async fn members(
        &self,
        community: &CommunityKey,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Member>, DbError> {
        let rows: Vec<MemberRow> = sqlx::query_as(
            "SELECT m.peer, m.key, m.roles, m.payload
             FROM members m JOIN communities c ON c.id = m.community
             WHERE c.community = $1 AND m.peer > $2 ORDER BY m.peer LIMIT $3",
        )
        .bind(community.0.to_vec())
        .bind(page_start(after))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(stored::member).collect()
    }

    async fn all_members(
        &self,
        community: &CommunityKey,
    ) -> Result<(Option<RosterOrder>, Vec<Member>), DbError> {
        // One statement, so that both are of the same moment.
        let rows: Vec<AllMembersRow> = sqlx::query_as(
            "SELECT c.roster_charter, c.roster_number, m.peer, m.key, m.roles, m.payload
             FROM communities c LEFT JOIN members m ON m.community = c.id
             WHERE c.community = $1 ORDER BY m.peer",
        )
        .bind(community.0.to_vec())
        .fetch_all(&self.pool)
        .await?;
        stored::all_members(rows)
    }

    async fn member(
        &self,
        community: &CommunityKey,
        key: &AccountKey,
    ) -> Result<Option<Member>, DbError> {
        let row: Option<MemberRow> = sqlx::query_as(
            "SELECT m.peer, m.key, m.roles, m.payload
             FROM members m JOIN communities c ON c.id = m.community
             WHERE c.community = $1 AND m.key = $2",
        )
        .bind(community.0.to_vec())
        .bind(key.0.to_vec())
        .fetch_optional(&self.pool)
        .await?;
        row.map(stored::member).transpose()
    }
}

/// A community's row, locked, and the number of its newest charter.
async fn found(
    transaction: &mut Transaction<'static, Postgres>,
    community: &CommunityKey,
) -> Result<Option<(i64, i64)>, DbError> {
    lock_rosters(transaction).await?;
    Ok(sqlx::query_as(
        "SELECT c.id, (SELECT max(h.number) FROM charters h WHERE h.community = c.id)
         FROM communities c WHERE c.community = $1 FOR UPDATE OF c",
    )
    .bind(community.0.to_vec())
    .fetch_optional(&mut **transaction)
    .await?)
}

/// A key may belong to two communities whose rosters change at once: one after the other, so that the
/// later one sees whether it belongs to any.
async fn lock_rosters(transaction: &mut Transaction<'static, Postgres>) -> Result<(), DbError> {
    sqlx::query("SELECT pg_advisory_xact_lock(27988542867728241)")
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Takes away all that a community has but its charters.
async fn clear(
    transaction: &mut Transaction<'static, Postgres>,
    (id, community): (i64, &CommunityKey),
    now: u64,
) -> Result<(), DbError> {
    let keys: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT key FROM members WHERE community = $1 ORDER BY key")
            .bind(id)
            .fetch_all(&mut **transaction)
            .await?;
    let (first, end) = community.feeds();
    // Releases that are being added come before or not at all.
    let names: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM names WHERE name > $1 AND name < $2 ORDER BY name FOR UPDATE",
    )
    .bind(&first)
    .bind(&end)
    .fetch_all(&mut **transaction)
    .await?;
    let holders: Vec<i64> = names.iter().map(|name| HolderId::from(NameId(*name)).0).collect();
    // Nothing but the whole table says what a name holds.
    sqlx::query("SET LOCAL enable_seqscan = on").execute(&mut **transaction).await?;
    for statement in [
        "DELETE FROM members WHERE community = $1",
        "DELETE FROM community_publishers WHERE community = $1",
        "DELETE FROM admissions WHERE community = $1",
        "DELETE FROM joins WHERE community = $1",
        "UPDATE communities SET roster = NULL, roster_charter = NULL, roster_number = NULL,
           renewal = NULL, renewal_issued = NULL WHERE id = $1",
    ] {
        sqlx::query(statement).bind(id).execute(&mut **transaction).await?;
    }
    sqlx::query("DELETE FROM grants WHERE name > $1 AND name < $2")
        .bind(&first)
        .bind(&end)
        .execute(&mut **transaction)
        .await?;
    let of_feeds = [
        ("DELETE FROM releases WHERE name = ANY($1)", &names),
        ("DELETE FROM chunk_holders WHERE holder = ANY($1)", &holders),
        ("DELETE FROM names WHERE id = ANY($1)", &names),
    ];
    for (statement, ids) in of_feeds {
        sqlx::query(statement).bind(ids).execute(&mut **transaction).await?;
    }
    sqlx::query(
        "UPDATE accounts SET role = (EXISTS
           (SELECT 1 FROM members m WHERE m.key = accounts.key AND m.roles & 1 <> 0))::int
         WHERE of_community AND key = ANY($1)",
    )
    .bind(&keys)
    .execute(&mut **transaction)
    .await?;
    sqlx::query(
        "UPDATE accounts SET revoked = CASE
           WHEN EXISTS (SELECT 1 FROM members m WHERE m.key = accounts.key) THEN NULL
           ELSE coalesce(revoked, $2) END
         WHERE of_community AND key = ANY($1)",
    )
    .bind(&keys)
    .bind(signed(now))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Changes the rows of peers; returns the keys they had and have.
async fn set_members(
    transaction: &mut Transaction<'static, Postgres>,
    id: i64,
    new: &NewRoster,
) -> Result<Vec<Vec<u8>>, DbError> {
    let peers = new.changed.iter().map(|member| &member.peer).chain(&new.removed);
    // Those who change goes first, all of it: two may have exchanged their keys.
    let mut touched: Vec<Vec<u8>> = sqlx::query_scalar(
        "DELETE FROM members WHERE community = $1 AND peer = ANY($2) RETURNING key",
    )
    .bind(id)
    .bind(peers.map(|peer| text(peer)).collect::<Vec<_>>())
    .fetch_all(&mut **transaction)
    .await?;
    let keys: Vec<Vec<u8>> = new.changed.iter().map(|member| member.key.0.to_vec()).collect();
    sqlx::query(
        "INSERT INTO members (community, peer, key, roles, payload)
         SELECT $1, peer, key, roles, payload
         FROM unnest($2::text[], $3::bytea[], $4::bigint[], $5::bytea[])
           AS new (peer, key, roles, payload)",
    )
    .bind(id)
    .bind(new.changed.iter().map(|member| text(&member.peer)).collect::<Vec<_>>())
    .bind(&keys)
    .bind(new.changed.iter().map(|member| roles_code(member.roles)).collect::<Vec<_>>())
    .bind(new.changed.iter().map(|member| member.payload.clone()).collect::<Vec<_>>())
    .execute(&mut **transaction)
    .await?;
    touched.extend(keys);
    // Rows that others may wait for are reached in one order.
    touched.sort_unstable();
    touched.dedup();
    Ok(touched)
}

/// What follows from a roster. `$1` is the community; `$2` are keys of peers that changed, as they
/// were and are, `$3` and `$4` publishers that are gone and their feeds, `$5` and `$6` those that were
/// added; `$7` and `$8` are around the names of all feeds, `$9` is the time.
const FOLLOW_ROSTER: [&str; 11] = [
    "DELETE FROM community_publishers WHERE community = $1 AND key = ANY($3)",
    "INSERT INTO community_publishers (community, key, name)
     SELECT $1, key, name FROM unnest($5, $6) AS new (key, name)",
    "DELETE FROM grants WHERE name = ANY($4)",
    "DELETE FROM grants WHERE key = ANY($2) AND name > $7 AND name < $8",
    "INSERT INTO grants (key, name, level)
     SELECT m.key, p.name, 0
     FROM members m JOIN community_publishers p ON p.community = m.community
     WHERE m.community = $1 AND m.key = ANY($2) AND m.roles & 6 <> 0
     ON CONFLICT (key, name) DO NOTHING",
    "INSERT INTO grants (key, name, level)
     SELECT m.key, p.name, 0
     FROM members m JOIN community_publishers p ON p.community = m.community
     WHERE m.community = $1 AND p.key = ANY($5) AND m.roles & 6 <> 0
     ON CONFLICT (key, name) DO NOTHING",
    "DELETE FROM queue WHERE answered IS NULL AND target = ANY($2)
       AND release IN (SELECT r.id FROM releases r JOIN names n ON n.id = r.name
                       WHERE n.name > $7 AND n.name < $8)
       AND NOT EXISTS (SELECT 1 FROM members m
                       WHERE m.community = $1 AND m.key = queue.target AND m.roles & 4 <> 0)",
    "DELETE FROM queue WHERE answered IS NULL
       AND release IN (SELECT r.id FROM releases r JOIN names n ON n.id = r.name
                       WHERE n.name = ANY($4))",
    "INSERT INTO accounts (key, role, admin, created, of_community)
     SELECT m.key, m.roles & 1, false, $9, true FROM members m
     WHERE m.community = $1 AND m.key = ANY($2) ORDER BY m.key
     ON CONFLICT (key) DO NOTHING",
    "UPDATE accounts SET role = (EXISTS
       (SELECT 1 FROM members m WHERE m.key = accounts.key AND m.roles & 1 <> 0))::int
     WHERE of_community AND key = ANY($2)",
    "UPDATE accounts SET revoked = CASE
       WHEN EXISTS (SELECT 1 FROM members m WHERE m.key = accounts.key) THEN NULL
       ELSE coalesce(revoked, $9) END
     WHERE of_community AND key = ANY($2)",
];

//! Communities.

use async_trait::async_trait;
use sqlx::{Sqlite, Transaction};

use super::{SqliteDb, json_list};
use crate::community::hex;
use crate::stored::{
    self, AllMembersRow, CommunityRow, ListedRow, MemberRow, order_codes, roles_code, signed,
};
use crate::{
    AccountKey, Communities, CommunityKey, CommunityRecord, DbError, ListedCommunity, Member,
    NewRoster, Renewal, RosterOrder,
};

#[async_trait]
impl Communities for SqliteDb {
    async fn create_community(
        &self,
        community: &CommunityKey,
        charter: &[u8],
        mirror: Option<&AccountKey>,
        now: u64,
    ) -> Result<bool, DbError> {
        let mut transaction = self.write().await?;
        let id: Option<i64> = sqlx::query_scalar(
            "INSERT INTO communities (community, created, mirror) VALUES (?, ?, ?)
             ON CONFLICT (community) DO NOTHING RETURNING id",
        )
        .bind(community.0.to_vec())
        .bind(signed(now))
        .bind(mirror.map(|key| key.0.to_vec()))
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(id) = id else { return Ok(false) };
        sqlx::query("INSERT INTO charters (community, number, signed) VALUES (?, 1, ?)")
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
             SELECT c.id, ?2, ?3 FROM communities c WHERE c.community = ?1
               AND (SELECT max(h.number) FROM charters h WHERE h.community = c.id) = ?2 - 1",
        )
        .bind(community.0.to_vec())
        .bind(signed(number))
        .bind(charter)
        .execute(&self.writer)
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
        sqlx::query("INSERT INTO charters (community, number, signed) VALUES (?, ?, ?)")
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
        sqlx::query("DELETE FROM communities WHERE id = ?")
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
        .fetch_all(&self.readers)
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
             WHERE c.community = ? AND h.number > ? ORDER BY h.number LIMIT ?",
        )
        .bind(community.0.to_vec())
        .bind(signed(after))
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
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
             WHERE c.community = ? ORDER BY h.number DESC LIMIT 1",
        )
        .bind(community.0.to_vec())
        .fetch_optional(&self.readers)
        .await?;
        row.map(stored::community).transpose()
    }

    async fn set_roster(&self, new: &NewRoster) -> Result<bool, DbError> {
        let mut transaction = self.write().await?;
        let found: Option<(i64, Option<i64>, Option<i64>, i64)> = sqlx::query_as(
            "SELECT c.id, c.roster_charter, c.roster_number,
                    (SELECT max(h.number) FROM charters h WHERE h.community = c.id)
             FROM communities c WHERE c.community = ?",
        )
        .bind(new.community.0.to_vec())
        .fetch_optional(&mut *transaction)
        .await?;
        let Some((id, charter, number, newest)) = found else { return Ok(false) };
        if !stored::follows(new, charter.zip(number), newest) {
            return Ok(false);
        }
        let before: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT key FROM community_publishers WHERE community = ?")
                .bind(id)
                .fetch_all(&mut *transaction)
                .await?;
        let touched = set_members(&mut transaction, id, new).await?;
        let (charter, number) = order_codes(new.order);
        sqlx::query(
            "UPDATE communities SET roster = ?, roster_charter = ?, roster_number = ?, renewal = ?,
               renewal_issued = ? WHERE id = ?",
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
        let of = |keys: &[AccountKey]| json_list(keys.iter().map(|key| key.0));
        let feeds = |keys: &[AccountKey]| {
            json_list(keys.iter().map(|key| new.community.feed(key).into_bytes()))
        };
        let (gone, gone_feeds) = (of(&publishers.gone), feeds(&publishers.gone));
        let (added, added_feeds) = (of(&publishers.added), feeds(&publishers.added));
        let (first, end) = new.community.feeds();
        for statement in FOLLOW_ROSTER {
            sqlx::query(statement)
                .bind(id)
                .bind(&touched)
                .bind(&gone)
                .bind(&gone_feeds)
                .bind(&added)
                .bind(&added_feeds)
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
            "UPDATE communities SET renewal = ?1, renewal_issued = ?2
             WHERE community = ?3 AND roster_charter = ?4 AND roster_number = ?5
               AND coalesce(renewal_issued < ?2, TRUE)",
        )
        .bind(&renewal.signed)
        .bind(signed(renewal.issued))
        .bind(community.0.to_vec())
        .bind(charter)
        .bind(number)
        .execute(&self.writer)
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
             WHERE c.community = ? AND m.peer > ? ORDER BY m.peer LIMIT ?",
        )
        .bind(community.0.to_vec())
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.readers)
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
             WHERE c.community = ? ORDER BY m.peer",
        )
        .bind(community.0.to_vec())
        .fetch_all(&self.readers)
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
             WHERE c.community = ? AND m.key = ?",
        )
        .bind(community.0.to_vec())
        .bind(key.0.to_vec())
        .fetch_optional(&self.readers)
        .await?;
        row.map(stored::member).transpose()
    }
}

/// A community's row, and the number of its newest charter.
async fn found(
    transaction: &mut Transaction<'static, Sqlite>,
    community: &CommunityKey,
) -> Result<Option<(i64, i64)>, DbError> {
    Ok(sqlx::query_as(
        "SELECT c.id, (SELECT max(h.number) FROM charters h WHERE h.community = c.id)
         FROM communities c WHERE c.community = ?",
    )
    .bind(community.0.to_vec())
    .fetch_optional(&mut **transaction)
    .await?)
}

/// Takes away all that a community has but its charters.
async fn clear(
    transaction: &mut Transaction<'static, Sqlite>,
    (id, community): (i64, &CommunityKey),
    now: u64,
) -> Result<(), DbError> {
    let keys: Vec<Vec<u8>> = sqlx::query_scalar("SELECT key FROM members WHERE community = ?")
        .bind(id)
        .fetch_all(&mut **transaction)
        .await?;
    let keys = json_list(keys);
    let (first, end) = community.feeds();
    for statement in CLEAR {
        sqlx::query(statement)
            .bind(id)
            .bind(&keys)
            .bind(&first)
            .bind(&end)
            .bind(signed(now))
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

/// What is gone with a community. `?1` is it, `?2` the keys of its peers as a list of hexadecimal digits,
/// `?3` and `?4` are around the names of all feeds, `?5` is the time. Queues and receipts go with the
/// releases; the holder that a name is has an odd number.
const CLEAR: [&str; 11] = [
    "DELETE FROM members WHERE community = ?1",
    "DELETE FROM community_publishers WHERE community = ?1",
    "DELETE FROM admissions WHERE community = ?1",
    "DELETE FROM joins WHERE community = ?1",
    "DELETE FROM grants WHERE name > ?3 AND name < ?4",
    "DELETE FROM releases WHERE name IN (SELECT id FROM names WHERE name > ?3 AND name < ?4)",
    "DELETE FROM chunk_holders
     WHERE holder IN (SELECT id << 1 | 1 FROM names WHERE name > ?3 AND name < ?4)",
    "DELETE FROM names WHERE name > ?3 AND name < ?4",
    "UPDATE communities SET roster = NULL, roster_charter = NULL, roster_number = NULL,
       renewal = NULL, renewal_issued = NULL WHERE id = ?1",
    "UPDATE accounts SET role = EXISTS
       (SELECT 1 FROM members m WHERE m.key = accounts.key AND m.roles & 1)
     WHERE of_community AND key IN (SELECT unhex(value) FROM json_each(?2))",
    "UPDATE accounts SET revoked = CASE
       WHEN EXISTS (SELECT 1 FROM members m WHERE m.key = accounts.key) THEN NULL
       ELSE coalesce(revoked, ?5) END
     WHERE of_community AND key IN (SELECT unhex(value) FROM json_each(?2))",
];

/// Changes the rows of peers; returns the keys they had and have, as a list.
async fn set_members(
    transaction: &mut Transaction<'static, Sqlite>,
    id: i64,
    new: &NewRoster,
) -> Result<String, DbError> {
    let peers = new.changed.iter().map(|member| &member.peer).chain(&new.removed);
    let peers = json_list(peers.map(String::as_bytes));
    // Those who change goes first, all of it: two may have exchanged their keys.
    let mut touched: Vec<Vec<u8>> = sqlx::query_scalar(
        "DELETE FROM members WHERE community = ?1
           AND peer IN (SELECT CAST(unhex(value) AS TEXT) FROM json_each(?2)) RETURNING key",
    )
    .bind(id)
    .bind(peers)
    .fetch_all(&mut **transaction)
    .await?;
    let row = |member: &Member| {
        let (peer, key) = (hex(member.peer.as_bytes()), hex(&member.key.0));
        let (roles, payload) = (roles_code(member.roles), hex(&member.payload));
        format!("[\"{peer}\",\"{key}\",{roles},\"{payload}\"]")
    };
    let rows = new.changed.iter().map(row).collect::<Vec<_>>().join(",");
    sqlx::query(
        "INSERT INTO members (community, peer, key, roles, payload)
         SELECT ?1, CAST(unhex(value ->> 0) AS TEXT), unhex(value ->> 1), value ->> 2,
                unhex(value ->> 3)
         FROM json_each(?2)",
    )
    .bind(id)
    .bind(format!("[{rows}]"))
    .execute(&mut **transaction)
    .await?;
    touched.extend(new.changed.iter().map(|member| member.key.0.to_vec()));
    Ok(json_list(touched))
}

/// What follows from a roster. `?1` is the community; lists are of hexadecimal digits: `?2` keys of
/// peers that changed, as they were and are, `?3` and `?4` publishers that are gone and their feeds,
/// `?5` and `?6` those that were added; `?7` and `?8` are around the names of all feeds, `?9` is the
/// time.
const FOLLOW_ROSTER: [&str; 11] = [
    "DELETE FROM community_publishers WHERE community = ?1
       AND key IN (SELECT unhex(value) FROM json_each(?3))",
    "INSERT INTO community_publishers (community, key, name)
     SELECT ?1, unhex(k.value), CAST(unhex(n.value) AS TEXT)
     FROM json_each(?5) k JOIN json_each(?6) n ON n.key = k.key",
    "DELETE FROM grants WHERE name IN (SELECT CAST(unhex(value) AS TEXT) FROM json_each(?4))",
    "DELETE FROM grants WHERE key IN (SELECT unhex(value) FROM json_each(?2))
       AND name > ?7 AND name < ?8",
    // Members are few beside the grants of a whole hub, so the list of keys leads.
    "INSERT INTO grants (key, name, level)
     SELECT m.key, p.name, 0
     FROM json_each(?2) k CROSS JOIN members m ON m.community = ?1 AND m.key = unhex(k.value)
     CROSS JOIN community_publishers p ON p.community = ?1
     WHERE m.roles & 6 ON CONFLICT (key, name) DO NOTHING",
    "INSERT INTO grants (key, name, level)
     SELECT m.key, p.name, 0
     FROM json_each(?5) k CROSS JOIN community_publishers p
       ON p.community = ?1 AND p.key = unhex(k.value)
     CROSS JOIN members m ON m.community = ?1
     WHERE m.roles & 6 ON CONFLICT (key, name) DO NOTHING",
    "DELETE FROM queue WHERE answered IS NULL
       AND target IN (SELECT unhex(value) FROM json_each(?2))
       AND release IN (SELECT r.id FROM releases r JOIN names n ON n.id = r.name
                       WHERE n.name > ?7 AND n.name < ?8)
       AND NOT EXISTS (SELECT 1 FROM members m
                       WHERE m.community = ?1 AND m.key = queue.target AND m.roles & 4)",
    "DELETE FROM queue WHERE answered IS NULL
       AND release IN (SELECT r.id FROM releases r JOIN names n ON n.id = r.name WHERE n.name IN
                         (SELECT CAST(unhex(value) AS TEXT) FROM json_each(?4)))",
    "INSERT INTO accounts (key, role, created, of_community)
     SELECT m.key, m.roles & 1, ?9, 1
     FROM json_each(?2) k CROSS JOIN members m ON m.community = ?1 AND m.key = unhex(k.value)
     WHERE TRUE ON CONFLICT (key) DO NOTHING",
    "UPDATE accounts SET role = EXISTS
       (SELECT 1 FROM members m WHERE m.key = accounts.key AND m.roles & 1)
     WHERE of_community AND key IN (SELECT unhex(value) FROM json_each(?2))",
    "UPDATE accounts SET revoked = CASE
       WHEN EXISTS (SELECT 1 FROM members m WHERE m.key = accounts.key) THEN NULL
       ELSE coalesce(revoked, ?9) END
     WHERE of_community AND key IN (SELECT unhex(value) FROM json_each(?2))",
];

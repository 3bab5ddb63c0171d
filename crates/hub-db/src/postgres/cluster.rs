//! The front-ends of a hub.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgListener, PgPoolOptions};

use super::{ACQUIRE_TIME, PostgresDb, text};
use crate::stored::{
    self, FrontEndRow, HomeRow, ManagerRow, SeenRow, TotalsRow, front_end_id, milliseconds, signed,
};
use crate::{
    Beaten, Cluster, DbError, Down, Entered, FrontEnd, FrontEndId, FrontEndSeen, Heard, Hearing,
    Manager, PersonId, Totals, WantedClients,
};

/// The clock of the database, in milliseconds.
macro_rules! now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}

/// Where front-ends tell each other.
const CHANNEL: &str = "consign";

struct Listening(PgListener);

#[async_trait]
impl Hearing for Listening {
    async fn next(&mut self) -> Result<Heard, DbError> {
        Ok(match self.0.try_recv().await? {
            Some(told) => Heard::Told(told.payload().to_owned()),
            None => Heard::Lost,
        })
    }
}

#[async_trait]
impl Cluster for PostgresDb {
    fn is_shared(&self) -> bool {
        true
    }

    async fn forget_front_ends(&self) -> Result<(), DbError> {
        let mut transaction = self.write().await?;
        for statement in ["DELETE FROM front_ends", "DELETE FROM manager"] {
            sqlx::query(statement).execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn enter(&self, front_end: &FrontEnd, lease: Duration) -> Result<Entered, DbError> {
        let mut transaction = self.write().await?;
        // Of two that would keep the chunks one comes second. The number says `chunks` in ASCII.
        sqlx::query("SELECT pg_advisory_xact_lock(109325186493299)")
            .execute(&mut *transaction)
            .await?;
        let keeper: Option<FrontEndRow> = sqlx::query_as(concat!(
            "SELECT id, address, keeps_chunks, version, started, load FROM front_ends
             WHERE keeps_chunks AND id <> $1 AND until > ",
            now!()
        ))
        .bind(front_end.id.0.to_vec())
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some(keeper) = keeper.filter(|_| front_end.keeps_chunks) {
            return Ok(Entered::ChunksKept(Box::new(stored::front_end(keeper)?)));
        }
        sqlx::query(concat!(
            "INSERT INTO front_ends (id, address, keeps_chunks, version, started, load, beat, until)
             VALUES ($1, $2, $3, $4, $5, $6, ",
            now!(),
            ", $7 + ",
            now!(),
            ") ON CONFLICT (id) DO UPDATE SET load = excluded.load, beat = excluded.beat,
                 until = excluded.until"
        ))
        .bind(front_end.id.0.to_vec())
        .bind(&front_end.address)
        .bind(front_end.keeps_chunks)
        .bind(&front_end.version)
        .bind(signed(front_end.started))
        .bind(&front_end.load)
        .bind(milliseconds(lease))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Entered::Now)
    }

    async fn beat(&self, front_end: &FrontEnd, lease: Duration) -> Result<Beaten, DbError> {
        let continued = sqlx::query(concat!(
            "UPDATE front_ends SET load = $2, beat = ",
            now!(),
            ", until = $3 + ",
            now!(),
            " WHERE id = $1 AND until > ",
            now!()
        ))
        .bind(front_end.id.0.to_vec())
        .bind(&front_end.load)
        .bind(milliseconds(lease))
        .execute(&self.pool)
        .await?;
        if continued.rows_affected() > 0 {
            return Ok(Beaten::Continued);
        }
        // Nothing of it is its own any more, and what it keeps it has to ask for again.
        self.leave(front_end.id).await?;
        self.enter(front_end, lease).await?;
        Ok(Beaten::Lapsed)
    }

    async fn leave(&self, id: FrontEndId) -> Result<(), DbError> {
        let mut transaction = self.write().await?;
        // What a manager that goes leaves to the next one is not its term.
        sqlx::query("UPDATE manager SET until = 0 WHERE holder = $1")
            .bind(id.0.to_vec())
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM front_ends WHERE id = $1")
            .bind(id.0.to_vec())
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    async fn front_ends(&self) -> Result<Vec<FrontEndSeen>, DbError> {
        let rows: Vec<SeenRow> = sqlx::query_as(concat!(
            "SELECT id, address, keeps_chunks, version, started, load, ",
            now!(),
            " - beat, until > ",
            now!(),
            " FROM front_ends ORDER BY keeps_chunks DESC, started, id"
        ))
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(stored::seen).collect()
    }

    async fn drop_front_ends(&self, ended: Duration) -> Result<u64, DbError> {
        let dropped = sqlx::query(concat!("DELETE FROM front_ends WHERE until + $1 <= ", now!()))
            .bind(milliseconds(ended))
            .execute(&self.pool)
            .await?;
        Ok(dropped.rows_affected())
    }

    async fn manage(&self, id: FrontEndId, lease: Duration) -> Result<Manager, DbError> {
        let mut transaction = self.write().await?;
        sqlx::query(concat!(
            "INSERT INTO manager (one, holder, term, since, until)
             VALUES (1, $1, 1, ",
            now!(),
            " / 1000, $2 + ",
            now!(),
            ") ON CONFLICT (one) DO UPDATE SET holder = excluded.holder, until = excluded.until,
                 term = manager.term + CASE WHEN manager.holder = excluded.holder
                                             AND manager.until > ",
            now!(),
            " THEN 0 ELSE 1 END,
                 since = CASE WHEN manager.holder = excluded.holder AND manager.until > ",
            now!(),
            " THEN manager.since ELSE excluded.since END
             WHERE manager.holder = excluded.holder OR manager.until <= ",
            now!()
        ))
        .bind(id.0.to_vec())
        .bind(milliseconds(lease))
        .execute(&mut *transaction)
        .await?;
        let row: ManagerRow = sqlx::query_as(concat!(
            "SELECT holder, term, since, until > ",
            now!(),
            " FROM manager"
        ))
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        stored::manager(row)
    }

    async fn manager(&self) -> Result<Option<Manager>, DbError> {
        let row: Option<ManagerRow> = sqlx::query_as(concat!(
            "SELECT holder, term, since, until > ",
            now!(),
            " FROM manager"
        ))
        .fetch_optional(&self.pool)
        .await?;
        row.map(stored::manager).transpose()
    }

    async fn resign(&self, id: FrontEndId) -> Result<(), DbError> {
        sqlx::query("UPDATE manager SET until = 0 WHERE holder = $1")
            .bind(id.0.to_vec())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn home(&self, thing: &[u8; 16]) -> Result<Option<FrontEnd>, DbError> {
        let row: Option<FrontEndRow> = sqlx::query_as(concat!(
            "SELECT f.id, f.address, f.keeps_chunks, f.version, f.started, f.load
             FROM homes h JOIN front_ends f ON f.id = h.front_end
             WHERE h.thing = $1 AND f.until > ",
            now!()
        ))
        .bind(thing.to_vec())
        .fetch_optional(&self.pool)
        .await?;
        row.map(stored::front_end).transpose()
    }

    async fn homes(&self, things: &[[u8; 16]]) -> Result<Vec<([u8; 16], FrontEnd)>, DbError> {
        let rows: Vec<HomeRow> = sqlx::query_as(concat!(
            "SELECT h.thing, f.id, f.address, f.keeps_chunks, f.version, f.started, f.load
             FROM homes h JOIN front_ends f ON f.id = h.front_end
             WHERE h.thing = ANY($1) AND f.until > ",
            now!()
        ))
        .bind(things.iter().map(|thing| thing.to_vec()).collect::<Vec<_>>())
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(stored::home).collect()
    }

    async fn take_home(&self, thing: &[u8; 16], id: FrontEndId) -> Result<FrontEndId, DbError> {
        let mut transaction = self.write().await?;
        sqlx::query(concat!(
            "INSERT INTO homes (thing, front_end) VALUES ($1, $2)
             ON CONFLICT (thing) DO UPDATE SET front_end = excluded.front_end
             WHERE NOT EXISTS (SELECT 1 FROM front_ends f
                               WHERE f.id = homes.front_end AND f.until > ",
            now!(),
            ")"
        ))
        .bind(thing.to_vec())
        .bind(id.0.to_vec())
        .execute(&mut *transaction)
        .await?;
        let home: Vec<u8> = sqlx::query_scalar("SELECT front_end FROM homes WHERE thing = $1")
            .bind(thing.to_vec())
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        front_end_id(home)
    }

    async fn keep_homes(&self, id: FrontEndId, things: &[[u8; 16]]) -> Result<u64, DbError> {
        let dropped = sqlx::query("DELETE FROM homes WHERE front_end = $1 AND NOT thing = ANY($2)")
            .bind(id.0.to_vec())
            .bind(things.iter().map(|thing| thing.to_vec()).collect::<Vec<_>>())
            .execute(&self.pool)
            .await?;
        Ok(dropped.rows_affected())
    }

    async fn stop_homeless(&self, now: u64) -> Result<u64, DbError> {
        let stopped = sqlx::query(concat!(
            "UPDATE addressed SET state = 1, since = $1 WHERE state = 2 AND NOT EXISTS
               (SELECT 1 FROM homes h JOIN front_ends f ON f.id = h.front_end
                WHERE h.thing = addressed.delivery AND f.until > ",
            now!(),
            ")"
        ))
        .bind(signed(now))
        .execute(&self.pool)
        .await?;
        Ok(stopped.rows_affected())
    }

    async fn set_online(
        &self,
        person: PersonId,
        id: FrontEndId,
        since: Option<u64>,
    ) -> Result<(), DbError> {
        let statement = match since {
            Some(_) => {
                "INSERT INTO online (person, front_end, since) VALUES ($1, $2, $3)
                 ON CONFLICT (person, front_end) DO UPDATE SET since = excluded.since"
            }
            None => {
                "DELETE FROM online WHERE person = $1 AND front_end = $2 AND CAST($3 AS bigint) = 0"
            }
        };
        sqlx::query(statement)
            .bind(person.0)
            .bind(id.0.to_vec())
            .bind(signed(since.unwrap_or(0)))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn online(&self, people: &[PersonId]) -> Result<Vec<(PersonId, u64)>, DbError> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(concat!(
            "SELECT o.person, min(o.since) FROM online o JOIN front_ends f ON f.id = o.front_end
             WHERE f.until > ",
            now!(),
            " AND o.person = ANY($1) GROUP BY o.person"
        ))
        .bind(people.iter().map(|person| person.0).collect::<Vec<_>>())
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(|(id, since)| Ok((PersonId(id), stored::unsigned(since)?))).collect()
    }

    async fn answer_challenge(
        &self,
        challenge: &[u8; 32],
        ends: u64,
        now: u64,
    ) -> Result<bool, DbError> {
        sqlx::query("DELETE FROM answered_challenges WHERE ends <= $1")
            .bind(signed(now))
            .execute(&self.pool)
            .await?;
        let noted = sqlx::query(
            "INSERT INTO answered_challenges (challenge, ends) VALUES ($1, $2)
             ON CONFLICT (challenge) DO NOTHING",
        )
        .bind(challenge.to_vec())
        .bind(signed(ends))
        .execute(&self.pool)
        .await?;
        Ok(noted.rows_affected() > 0)
    }

    async fn tell(&self, told: &str) -> Result<(), DbError> {
        sqlx::query("SELECT pg_notify($1, $2)")
            .bind(CHANNEL)
            .bind(text(told))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    async fn hear(&self) -> Result<Option<Box<dyn Hearing>>, DbError> {
        // A connection of its own: it is held for as long as the hub runs.
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIME);
        let pool = pool.connect_with(self.options.clone()).await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(Some(Box::new(Listening(listener))))
    }

    async fn down(&self) -> Result<Option<Down>, DbError> {
        let row: Option<(i64, i64, String)> =
            sqlx::query_as("SELECT since, until, why FROM down").fetch_optional(&self.pool).await?;
        row.map(stored::down).transpose()
    }

    async fn set_down(&self, down: Option<&Down>) -> Result<(), DbError> {
        let Some(down) = down else {
            sqlx::query("DELETE FROM down").execute(&self.pool).await?;
            return Ok(());
        };
        sqlx::query(
            "INSERT INTO down (one, since, until, why) VALUES (1, $1, $2, $3)
             ON CONFLICT (one) DO UPDATE SET until = excluded.until, why = excluded.why",
        )
        .bind(signed(down.since))
        .bind(signed(down.until))
        .bind(text(&down.why))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn wanted_clients(&self) -> Result<WantedClients, DbError> {
        let row: Option<(Option<String>, Option<String>, Option<String>)> =
            sqlx::query_as("SELECT newest, place, minimum FROM clients")
                .fetch_optional(&self.pool)
                .await?;
        let (newest, place, minimum) = row.unwrap_or_default();
        Ok(WantedClients { newest, place, minimum })
    }

    async fn want_clients(&self, wanted: &WantedClients) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO clients (one, newest, place, minimum) VALUES (1, $1, $2, $3)
             ON CONFLICT (one) DO UPDATE SET newest = excluded.newest, place = excluded.place,
               minimum = excluded.minimum",
        )
        .bind(wanted.newest.as_deref().map(text))
        .bind(wanted.place.as_deref().map(text))
        .bind(wanted.minimum.as_deref().map(text))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn totals(&self, person: PersonId) -> Result<Totals, DbError> {
        let row: Option<TotalsRow> = sqlx::query_as(
            "SELECT sent_deliveries, sent_bytes, received_deliveries, received_bytes
             FROM totals WHERE person = $1",
        )
        .bind(person.0)
        .fetch_optional(&self.pool)
        .await?;
        row.map_or(Ok(Totals::default()), stored::totals)
    }

    async fn all_totals(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(String, Totals)>, DbError> {
        let rows: Vec<(String, i64, i64, i64, i64)> = sqlx::query_as(
            "SELECT p.handle, coalesce(t.sent_deliveries, 0), coalesce(t.sent_bytes, 0),
               coalesce(t.received_deliveries, 0), coalesce(t.received_bytes, 0)
             FROM people p LEFT JOIN totals t ON t.person = p.id
             WHERE p.handle > $1 ORDER BY p.handle LIMIT $2",
        )
        .bind(after.map_or(String::new(), text))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        let row = |(handle, sent, bytes, received, taken)| {
            Ok((handle, stored::totals((sent, bytes, received, taken))?))
        };
        rows.into_iter().map(row).collect()
    }
}

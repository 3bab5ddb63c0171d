//! The suite on PostgreSQL, and what is particular to a server.

mod suite;

use hub_db::{Accounts as _, DatabaseUrl, DbError, HubDb as _, NewInvitation, PostgresDb, Role};
use sqlx::postgres::PgConnectOptions;
use testkit::Postgres;

async fn open(address: &str) -> Result<PostgresDb, DbError> {
    let options: PgConnectOptions = address.parse().expect("an address");
    PostgresDb::open(&options).await
}

macro_rules! run_all {
    ($($check:ident),* $(,)?) => {
        // All on one server: starting one takes longer than most of them. Each has a database.
        #[tokio::test(flavor = "multi_thread")]
        async fn every_check_of_the_suite() {
            let Some(server) = Postgres::start() else { return };
            $(
                eprintln!("{}", stringify!($check));
                let db = open(&server.create_database()).await.expect("opens");
                suite::$check(&db).await;
                db.close().await;
            )*
        }
    };
}

for_each_check!(run_all);

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_may_create_and_write_one_database() {
    let Some(server) = Postgres::start() else { return };
    let address = server.create_database();
    let writers = (0..4u8).map(|writer| {
        let address = address.clone();
        tokio::spawn(async move {
            // Each connects for itself, as another process would.
            let db = open(&address).await.expect("opens");
            for invitation in 0..20u8 {
                let mut secret_hash = [writer; 32];
                secret_hash[0] = invitation;
                let new = NewInvitation {
                    secret_hash,
                    role: Role::Reader,
                    grants: vec![],
                    uses: 1,
                    each_network: None,
                    creator: None,
                    created: 1,
                    expires: 10,
                };
                db.create_invitation(&new).await.expect("waits for its turn");
            }
            db.close().await;
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no panic");
    }
    let db = hub_db::open(&address.parse::<DatabaseUrl>().expect("an address")).await;
    let dropped = db.expect("opens").drop_expired_invitations(11).await;
    assert_eq!(dropped.expect("deletes"), 80);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let Some(server) = Postgres::start() else { return };
    let address = server.create_database();
    open(&address).await.expect("opens").close().await;
    server.sql(&address, "UPDATE schema_version SET version = 99");
    let refused = open(&address).await.expect_err("is newer");
    assert!(matches!(refused, DbError::Newer { found: 99, known: 15 }), "{refused}");
    assert!(refused.to_string().contains("run a newer version"), "{refused}");
    server.sql(&address, "DELETE FROM schema_version");
    let refused = open(&address).await.expect_err("is damaged");
    assert!(matches!(refused, DbError::Damaged(_)), "{refused}");
}

#[tokio::test]
async fn what_keeps_it_from_opening_is_told_without_the_password() {
    let Some(server) = Postgres::start() else { return };
    let address = server.create_database();
    let wrong = address.replace("not-a-secret", "hunter2");
    let refused = open(&wrong).await.expect_err("another password");
    assert!(matches!(refused, DbError::Failed(_)), "{refused:?}");
    assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
    let nowhere = open("postgres://consign@%2Fnonexistent/db").await.expect_err("no socket");
    assert!(matches!(nowhere, DbError::Unavailable(_)), "{nowhere:?}");

    // A standby, or a server that was set to refuse writing.
    let db = open(&address).await.expect("opens");
    server.sql(&address, "ALTER DATABASE test0 SET default_transaction_read_only = on");
    db.close().await;
    let db = open(&address).await.expect("nothing to be written");
    let refused = db.drop_expired_invitations(1).await.expect_err("is read-only");
    assert!(refused.is_retryable(), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_answers_early_is_told_to_answer_late() {
    let Some(server) = Postgres::start() else { return };
    let address = server.create_database();
    server.sql(&address, "ALTER DATABASE test0 SET synchronous_commit = off");
    let db = open(&address).await.expect("opens");
    // What its connections use is seen where the server lists them.
    db.ready().await.expect("is ready");
    server.sql(
        &address,
        "CREATE TABLE seen (setting text); CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN INSERT INTO seen VALUES (current_setting(''synchronous_commit'')); RETURN NEW; END';
         CREATE TRIGGER look AFTER INSERT ON audit FOR EACH ROW EXECUTE FUNCTION look()",
    );
    let entry = hub_db::AuditEntry {
        time: 1,
        actor: hub_db::Actor::Local,
        action: "look".to_owned(),
        subject: String::new(),
        detail: "{}".to_owned(),
    };
    hub_db::Audit::record(&db, &entry).await.expect("records");
    assert_eq!(server.sql(&address, "SELECT setting FROM seen").trim(), "on");
}

#[tokio::test]
async fn a_token_opens_though_its_use_cannot_be_noted() {
    let Some(server) = Postgres::start() else { return };
    let address = server.create_database();
    let db = open(&address).await.expect("opens");
    let account = suite::publisher(&db, 1).await;
    suite::create_token(&db, &account, 1).await;
    db.close().await;
    server.sql(&address, "ALTER DATABASE test0 SET default_transaction_read_only = on");
    let db = open(&address).await.expect("nothing to be written");
    let found = hub_db::Tokens::token(&db, &[1; 32], suite::NOW).await.expect("reads");
    assert_eq!(found.expect("is there").0.last_used, None);
}

//! The suite on SQLite, and what is particular to a file several processes open.

mod suite;

use hub_db::{DbError, HubDb, NewInvitation, Role, SqliteDb};

async fn open() -> (tempfile::TempDir, SqliteDb) {
    let dir = tempfile::tempdir().expect("a directory");
    let db = SqliteDb::open(&dir.path().join("hub.sqlite")).await.expect("opens");
    (dir, db)
}

suite!(open);

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_may_create_and_write_one_database() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("hub.sqlite");
    let writers = (0..4u8).map(|writer| {
        let path = path.clone();
        tokio::spawn(async move {
            // Each opens the file for itself, as another process would.
            let db = SqliteDb::open(&path).await.expect("opens");
            for invitation in 0..20u8 {
                let mut secret_hash = [writer; 32];
                secret_hash[0] = invitation;
                db.create_invitation(&NewInvitation {
                    secret_hash,
                    role: Role::Reader,
                    grants: vec![],
                    uses: 1,
                    expires: 10,
                })
                .await
                .expect("waits for its turn");
            }
            db.close().await;
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no panic");
    }
    let db = SqliteDb::open(&path).await.expect("opens");
    assert_eq!(db.drop_expired_invitations(11).await.expect("deletes"), 80);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let (dir, db) = open().await;
    db.close().await;
    let path = dir.path().join("hub.sqlite");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let pool = sqlx::SqlitePool::connect_with(options).await.expect("opens");
    sqlx::raw_sql("PRAGMA user_version = 99").execute(&pool).await.expect("sets");
    pool.close().await;
    let refused = SqliteDb::open(&path).await.expect_err("is newer");
    assert!(matches!(refused, DbError::Newer { found: 99, .. }), "{refused}");
}

#[tokio::test]
async fn what_was_written_is_there_after_opening_again() {
    let (dir, db) = open().await;
    let account = suite::publisher(&db, 1).await;
    db.close().await;
    let db = SqliteDb::open(&dir.path().join("hub.sqlite")).await.expect("opens again");
    assert_eq!(db.account(&account.key).await.expect("reads"), Some(account));
}

//! The suite on SQLite, and what is particular to a file several processes open.

mod suite;

use content::ChunkId;
use hub_db::{
    AccountKey, Accounts as _, Caller, Chunks as _, DatabaseUrl, DbError, Grant, GrantRecord,
    HubDb as _, NewInvitation, Role, SqliteDb, Tokens as _,
};

async fn open() -> (tempfile::TempDir, SqliteDb) {
    let dir = tempfile::tempdir().expect("a directory");
    let db = SqliteDb::open(&dir.path().join("hub.sqlite")).await.expect("opens");
    (dir, db)
}

macro_rules! test_each {
    ($($check:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $check() {
                let (_keep, db) = open().await;
                suite::$check(&db).await;
            }
        )*
    };
}

for_each_check!(test_each);

#[tokio::test]
async fn what_the_documents_say_of_the_database_is_in_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("hub.sqlite");
    drop(SqliteDb::open(&path).await.expect("opens"));
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let pool = sqlx::SqlitePool::connect_with(options).await.expect("opens");
    let document = include_str!("../../../docs/operations.md");
    let section = document.split("## What the database knows of deliveries").nth(1);
    let section = section.and_then(|rest| rest.split("\n## ").next()).expect("the section");
    let names = section.split('`').skip(1).step_by(2).filter_map(|name| name.split_once('.'));
    let mut checked = 0;
    for (table, column) in names {
        let found: i64 =
            sqlx::query_scalar("SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2")
                .bind(table)
                .bind(column)
                .fetch_one(&pool)
                .await
                .expect("reads");
        assert_eq!(found, 1, "{table}.{column}");
        checked += 1;
    }
    assert!(checked > 30, "{checked}");
}

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
                    each_network: None,
                    creator: None,
                    created: 1,
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

/// What the first released version wrote, step by step as it wrote it.
const FIRST_SCHEMA: &str = include_str!("../migrations/sqlite/0001_first.sql");

async fn raw(path: &std::path::Path) -> sqlx::SqlitePool {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    sqlx::SqlitePool::connect_with(options).await.expect("opens")
}

/// A database as the first version left it: an owner, a reader of a private name with two
/// releases of three chunks, a revoked account, and an invitation that is half used.
async fn first_version(path: &std::path::Path) {
    let pool = raw(path).await;
    sqlx::raw_sql(FIRST_SCHEMA).execute(&pool).await.expect("creates");
    let rows = "
        INSERT INTO accounts (key, role, created, revoked) VALUES
          (zeroblob(31) || x'01', 1, 100, NULL), (zeroblob(31) || x'02', 0, 101, NULL),
          (zeroblob(31) || x'03', 1, 102, 150);
        INSERT INTO invitations (secret_hash, role, uses_left, expires)
          VALUES (zeroblob(31) || x'0a', 0, 1, 5000);
        INSERT INTO invitation_grants (invitation, name) VALUES (1, 'team/tools');
        INSERT INTO registrations (invitation, account) VALUES (1, 2);
        INSERT INTO names (name, public, owner, created)
          VALUES ('team/tools', 0, 1, 103), ('team/empty', 1, 1, 103);
        INSERT INTO readers (key, name) VALUES (zeroblob(31) || x'02', 'team/tools');
        INSERT INTO releases
          (name, sequence, hash, manifest, head, tree, closure, stored_bytes, issued) VALUES
          (1, 1, zeroblob(31) || x'11', x'aa', x'bb', zeroblob(32), zeroblob(32), 10, 200),
          (1, 2, zeroblob(31) || x'12', x'ac', x'bc', zeroblob(32), zeroblob(32), 20, 300);
        INSERT INTO chunk_holders (chunk, holder) VALUES
          (zeroblob(31) || x'c1', 3), (zeroblob(31) || x'c2', 3), (zeroblob(31) || x'c3', 3),
          (zeroblob(31) || x'c3', 2), (zeroblob(31) || x'c4', 2);
        PRAGMA user_version = 1;";
    // `||` makes text of blobs, and the tables are strict.
    let rows = rows.replace("zeroblob(31) || x'", &format!("x'{}", "00".repeat(31)));
    sqlx::raw_sql(sqlx::AssertSqlSafe(rows)).execute(&pool).await.expect("fills");
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publishers_of_the_second_version_read_until_the_owner_signs_for_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("hub.sqlite");
    first_version(&path).await;
    let pool = raw(&path).await;
    let second = include_str!("../migrations/sqlite/0002_roles_tokens_audit.sql");
    sqlx::raw_sql(second).execute(&pool).await.expect("moves forward");
    let grant = format!(
        "INSERT INTO grants (key, name, level) VALUES (x'{}04', 'team/tools', 1);
         PRAGMA user_version = 2;",
        "00".repeat(31)
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(grant)).execute(&pool).await.expect("fills");
    pool.close().await;
    let db = hub_db::open(&DatabaseUrl::Sqlite(path)).await.expect("opens");
    let grants = db.grants("team/tools").await.expect("lists");
    let former = GrantRecord { key: AccountKey(numbered(4)), grant: Grant::Reader };
    assert_eq!(grants.last(), Some(&former));
    let owner = db.account(&AccountKey(numbered(1))).await.expect("reads").expect("is there");
    let name = db.name("team/tools", &Caller::from(&owner)).await.expect("reads");
    assert_eq!(db.delegation(name.expect("is there").id).await.expect("reads"), None);
}

fn numbered(last: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[31] = last;
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_the_first_version_moves_forward() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("hub.sqlite");
    first_version(&path).await;
    // Several at once: one takes the steps, the others find them taken.
    let opening = (0..4).map(|_| SqliteDb::open(&path));
    for opened in futures_util::future::join_all(opening).await {
        opened.expect("opens").close().await;
    }
    let db = hub_db::open(&DatabaseUrl::Sqlite(path)).await.expect("opens");

    let [owner, reader, revoked] = [1, 2, 3].map(|key| AccountKey(numbered(key)));
    let accounts = db.accounts(None, 10).await.expect("lists");
    let told: Vec<_> =
        accounts.iter().map(|it| (it.key, it.role, it.created, it.revoked)).collect();
    let expected = [
        (owner, Role::Publisher, 100, None),
        (reader, Role::Reader, 101, None),
        (revoked, Role::Publisher, 102, Some(150)),
    ];
    assert_eq!(told, expected);
    let invitations = db.invitations(1000).await.expect("lists");
    assert_eq!(invitations.len(), 1);
    assert_eq!((invitations[0].uses_left, invitations[0].created), (1, 0));
    assert_eq!(invitations[0].grants, ["team/tools"]);
    db.register(&reader, &numbered(10), "192.0.2.0/24", 1000).await.expect("costs no use");
    assert_eq!(db.invitations(1000).await.expect("lists").len(), 1);

    let grants = db.grants("team/tools").await.expect("lists");
    let expected = [
        GrantRecord { key: owner, grant: Grant::Owner },
        GrantRecord { key: reader, grant: Grant::Reader },
    ];
    assert_eq!(grants, expected);
    let caller = Caller::from(&accounts[1]);
    let name = db.name("team/tools", &caller).await.expect("reads").expect("is granted");
    assert_eq!(name.latest, Some(2));
    let releases = db.releases(name.id, None, 10).await.expect("lists");
    let told: Vec<_> =
        releases.iter().map(|it| (it.sequence, it.issued, it.accepted, it.pinned)).collect();
    assert_eq!(told, [(2, 300, 300, false), (1, 200, 200, false)]);
    let chunks = [0xc1, 0xc2, 0xc3, 0xc4].map(|last| ChunkId::from_bytes(numbered(last)));
    let found = db.readable(&caller, &chunks).await.expect("looks up");
    assert_eq!(chunks.map(|chunk| found.contains(&chunk)), [true, true, true, false]);
    let usage = db.name_usage().await.expect("counts");
    let told: Vec<_> = usage.iter().map(|it| (it.name.as_str(), it.chunks_held)).collect();
    assert_eq!(told, [("team/empty", 0), ("team/tools", 3)]);
    assert_eq!(db.retention(name.id).await.expect("reads"), hub_db::Retention::default());
}

/// Released steps never change: whoever has taken one would never take the new one.
#[test]
fn the_first_step_is_as_it_was_released() {
    let id = ChunkId::of(FIRST_SCHEMA.as_bytes());
    let hash: String = id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, "877004cac28e71626f41dc379ef50d2249569eba69c135b1a9201bd005532e69");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_whole_while_others_write() {
    let (dir, db) = open().await;
    let account = suite::publisher(&db, 1).await;
    let (db, copy) = (std::sync::Arc::new(db), dir.path().join("copy.sqlite"));
    let writing = tokio::spawn({
        let db = std::sync::Arc::clone(&db);
        async move {
            for number in 0..50u32 {
                let ids: Vec<_> =
                    (0..100u32).map(|it| ChunkId::of(&(number * 100 + it).to_le_bytes())).collect();
                db.add_holders(account.id.into(), &ids).await.expect("adds");
            }
        }
    });
    assert!(db.snapshot_to(&copy).await.expect("copies"));
    writing.await.expect("no panic");
    let copied = SqliteDb::open(&copy).await.expect("opens");
    let held = copied.held_chunks(None, 10_000).await.expect("lists").len();
    assert_eq!(held % 100, 0, "no half transaction: {held}");
    use std::os::unix::fs::PermissionsExt as _;
    let mode = copy.metadata().expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = db.snapshot_to(&copy).await.expect_err("it exists");
    assert!(matches!(again, DbError::Copy(_)), "{again:?}");
}

/// With a full disk, and while another process writes for long.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_though_its_use_cannot_be_noted() {
    let (dir, db) = open().await;
    let account = suite::publisher(&db, 1).await;
    suite::create_token(&db, &account, 1).await;
    let pool = raw(&dir.path().join("hub.sqlite")).await;
    let full = "CREATE TRIGGER full BEFORE UPDATE ON tokens BEGIN SELECT RAISE(FAIL, 'full'); END";
    sqlx::raw_sql(full).execute(&pool).await.expect("refuses from now on");
    let found = db.token(&[1; 32], suite::NOW).await.expect("reads");
    assert_eq!(found.expect("is there").0.last_used, None);
    sqlx::raw_sql("DROP TRIGGER full").execute(&pool).await.expect("drops");

    let writing = pool.begin_with("BEGIN IMMEDIATE").await.expect("begins");
    let asked = std::time::Instant::now();
    assert!(db.token(&[1; 32], suite::NOW).await.expect("reads").is_some());
    assert!(asked.elapsed() < std::time::Duration::from_secs(10), "{:?}", asked.elapsed());
    writing.rollback().await.expect("ends");
}

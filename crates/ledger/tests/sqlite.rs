//! The suite on SQLite, and what is particular to a file.

mod suite;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use content::ChunkId;
use ledger::{
    Column, DatabaseUrl, DraftError, Ledger as _, LedgerError, PackageFilter, RECEIPT_COLUMNS,
    Reading as _, Recording as _, STEP_COLUMNS, SqliteLedger,
};

async fn open() -> (tempfile::TempDir, SqliteLedger) {
    let dir = tempfile::tempdir().expect("a directory");
    let ledger = SqliteLedger::open(&dir.path().join("ledger.sqlite")).await.expect("opens");
    (dir, ledger)
}

async fn raw(path: &Path) -> sqlx::SqlitePool {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    sqlx::SqlitePool::connect_with(options).await.expect("opens")
}

macro_rules! test_each {
    ($($check:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $check() {
                let (_keep, ledger) = open().await;
                suite::$check(&ledger).await;
            }
        )*
    };
}

for_each_check!(test_each);

#[tokio::test]
async fn a_ledger_is_for_its_owner_alone_and_lasts() {
    let (dir, ledger) = open().await;
    let id = suite::sent(&ledger, &suite::package(1), &[1]).await;
    let path = dir.path().join("ledger.sqlite");
    for entry in dir.path().read_dir().expect("lists") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{entry:?}");
    }
    ledger.close().await;
    let url = DatabaseUrl::Sqlite(path);
    let ledger = ledger::open(&url).await.expect("opens again");
    let listed = ledger.packages(&PackageFilter::default(), None, 10).await.expect("reads");
    assert_eq!(listed[0].id, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_may_create_and_write_one_ledger() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("ledger.sqlite");
    let writers = (1..=4u8).map(|writer| {
        let path = path.clone();
        tokio::spawn(async move {
            // Each opens the file for itself, as another process would.
            let ledger = SqliteLedger::open(&path).await.expect("opens");
            for sequence in 1..=10 {
                let new = suite::package_of(writer, sequence, "tools");
                suite::sent(&ledger, &new, &[1, 2]).await;
            }
            ledger.close().await;
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("no panic");
    }
    let ledger = SqliteLedger::open(&path).await.expect("opens");
    let listed = ledger.packages(&PackageFilter::default(), None, 100).await.expect("reads");
    assert_eq!(listed.len(), 40);
}

#[tokio::test]
async fn what_is_no_ledger_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = dir.path().join("notes.txt");
    std::fs::write(&text, "Nothing but a note. ".repeat(1000)).expect("writes");
    let refused = SqliteLedger::open(&text).await.expect_err("is a text");
    assert!(matches!(refused, LedgerError::NoLedger), "{refused:?}");
    let kept = std::fs::read_to_string(&text).expect("is there");
    assert_eq!(kept, "Nothing but a note. ".repeat(1000));

    // The database of something else, such as a hub's.
    let other = dir.path().join("hub.sqlite");
    hub_db::SqliteDb::open(&other).await.expect("opens");
    let refused = SqliteLedger::open(&other).await.expect_err("is a hub's");
    assert!(matches!(refused, LedgerError::NoLedger), "{refused:?}");

    let nowhere =
        SqliteLedger::open(&dir.path().join("no/ledger")).await.expect_err("no directory");
    assert!(matches!(nowhere, LedgerError::Create(_)), "{nowhere:?}");
    let directory = SqliteLedger::open(dir.path()).await.expect_err("is a directory");
    assert!(matches!(directory, LedgerError::Failed(_)), "{directory:?}");
}

#[tokio::test]
async fn a_ledger_of_a_newer_version_is_left_alone() {
    let (dir, ledger) = open().await;
    ledger.close().await;
    let path = dir.path().join("ledger.sqlite");
    let pool = raw(&path).await;
    sqlx::raw_sql("PRAGMA user_version = 99").execute(&pool).await.expect("sets");
    pool.close().await;
    let refused = SqliteLedger::open(&path).await.expect_err("is newer");
    assert!(matches!(refused, LedgerError::Newer { found: 99, known: 5 }), "{refused}");
}

#[tokio::test]
async fn damage_is_told_and_not_guessed_over() {
    let (dir, ledger) = open().await;
    suite::sent(&ledger, &suite::package(1), &[1]).await;
    let path = dir.path().join("ledger.sqlite");
    let pool = raw(&path).await;
    sqlx::raw_sql("UPDATE packages SET feed = 'no feed'").execute(&pool).await.expect("damages");
    let refused = ledger.packages(&PackageFilter::default(), None, 10).await.expect_err("damaged");
    assert!(matches!(refused, LedgerError::Damaged(_)), "{refused}");
    // The database itself keeps what it can from being written.
    for statement in [
        "UPDATE targets SET verdict = 'perhaps', answered = 1",
        "UPDATE targets SET verdict = 'passed'",
        "UPDATE targets SET labels = 'none'",
        "UPDATE packages SET manifest = x'00'",
    ] {
        sqlx::raw_sql(statement).execute(&pool).await.expect_err(statement);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_nothing_is_half_written_and_it_goes_on_by_itself() {
    let place = tempfile::tempdir().expect("a directory");
    let disk = testkit::SmallDisk::mount(place.path().join("disk"), 8);
    let Some(disk) = disk else { return };
    let ledger = SqliteLedger::open(&disk.path().join("ledger.sqlite")).await.expect("opens");
    suite::sent(&ledger, &suite::package(1), &[1]).await;
    let filler = disk.fill();
    let mut sequence = 1;
    let refused = loop {
        sequence += 1;
        assert!(sequence < 10_000, "never full");
        match ledger.draft(&suite::package(sequence), &suite::addressees(&[1])).await {
            Err(refused) => break refused,
            Ok(id) => match ledger.confirm(id, suite::NOW).await {
                Ok(_) => {}
                Err(refused) => break refused.into(),
            },
        }
    };
    assert!(matches!(refused, DraftError::Ledger(LedgerError::Full(_))), "{refused:?}");
    let listed = ledger.packages(&PackageFilter::default(), None, 1).await.expect("reads");
    let last = listed[0].sequence;
    std::fs::remove_file(filler).expect("makes room");
    for draft in ledger.drafts().await.expect("reads") {
        ledger.confirm(draft.package.id, suite::NOW).await.expect("confirms");
    }
    suite::sent(&ledger, &suite::package(last + 1), &[1]).await;
}

/// A publisher that has sent before goes on with a newer version.
#[tokio::test]
async fn a_ledger_of_the_first_version_is_brought_up_to_date() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("ledger.sqlite");
    let pool = raw(&path).await;
    let first =
        concat!(include_str!("../migrations/sqlite/0001_first.sql"), "PRAGMA user_version = 1;");
    sqlx::raw_sql(first).execute(&pool).await.expect("makes tables");
    pool.close().await;
    let ledger = SqliteLedger::open(&path).await.expect("opens");
    suite::waves_are_drafted_one_after_the_other(&ledger).await;
}

/// Every target of a roll-out has a state that holds since then, for a reason.
#[tokio::test]
async fn the_report_of_a_roll_out_tells_every_state() {
    let (dir, ledger) = open().await;
    suite::waves_are_drafted_one_after_the_other(&ledger).await;
    let pool = raw(&dir.path().join("ledger.sqlite")).await;
    let read = async || -> Vec<(String, i64, String, String, Option<String>)> {
        sqlx::query_as("SELECT peer, wave, state, since, reason FROM rollouts_report ORDER BY peer")
            .fetch_all(&pool)
            .await
            .expect("reads")
    };
    let row = |peer: &str, wave, state: &str, since: &str, reason: Option<&str>| {
        (peer.to_owned(), wave, state.to_owned(), since.to_owned(), reason.map(str::to_owned))
    };
    let failed = row("web-001", 1, "failed", "2026-11-18T11:07:40Z", Some("no room"));
    let running = row("web-002", 2, "running", "2026-11-18T11:06:49Z", None);
    let waiting = row("web-003", 2, "waiting", "2026-11-18T11:06:35Z", None);
    assert_eq!(read().await, [failed.clone(), running.clone(), waiting]);
    sqlx::raw_sql("UPDATE rollouts SET state = 'aborted', since = since + 600, root = NULL")
        .execute(&pool)
        .await
        .expect("ends it");
    let reason = Some("the roll-out was aborted");
    let skipped = row("web-003", 2, "skipped", "2026-11-18T11:16:35Z", reason);
    assert_eq!(read().await, [failed, running, skipped]);
}

/// What SQL sees is what exports write.
#[tokio::test]
async fn the_views_have_the_documented_columns() {
    let (dir, _ledger) = open().await;
    let pool = raw(&dir.path().join("ledger.sqlite")).await;
    let names = |columns: &[Column]| columns.iter().map(|it| it.name).collect::<Vec<_>>();
    for (view, expected) in [
        ("receipts_report", names(RECEIPT_COLUMNS)),
        ("latest_report", names(RECEIPT_COLUMNS)),
        ("steps_report", names(STEP_COLUMNS)),
        ("rollouts_report", suite::ROLLOUT_COLUMNS.to_vec()),
    ] {
        let names: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info(?)")
            .bind(view)
            .fetch_all(&pool)
            .await
            .expect("reads");
        assert_eq!(names, expected, "{view}");
    }
}

/// The statements that operators are shown do something.
#[tokio::test]
async fn the_documented_statements_are_understood() {
    let (dir, ledger) = open().await;
    let mut new = suite::package(7);
    new.resume.clear();
    suite::sent(&ledger, &new, &[1, 2, 3]).await;
    for target in [1, 2] {
        let answer = suite::answer(target, 7, package::Verdict::Failed("no".into()));
        ledger.record(&new.feed, 7, &answer).await.expect("records");
    }
    let pool = raw(&dir.path().join("ledger.sqlite")).await;
    let document = include_str!("../../../docs/operations.md");
    let (_, statements) = document.split_once("```sql\n").expect("a block of SQL");
    let (statements, _) = statements.split_once("```").expect("it ends");
    let mut rows = Vec::new();
    for statement in statements.split(";\n").filter(|it| it.contains("SELECT")) {
        let found = sqlx::query(sqlx::AssertSqlSafe(statement)).fetch_all(&pool).await;
        rows.push(found.unwrap_or_else(|error| panic!("{statement}: {error}")).len());
    }
    // Two failed, one waits; one site failed, at the other one of two; of each receipt two scripts.
    assert_eq!(rows, [2, 1, 3, 4]);
}

/// Released steps never change: whoever has taken one would never take the new one.
#[test]
fn the_first_steps_are_as_they_were_released() {
    for (step, expected) in [
        (
            include_str!("../migrations/sqlite/0001_first.sql"),
            "5c7312bc20e4d4870182872bee51c6fb75873b341f253c1c6e1cad07902d8882",
        ),
        (
            include_str!("../migrations/postgres/0001_first.sql"),
            "4404289507ef0cb0b0d79fc6c45957dcd4aec3c6ffc07818f491ac5bb36da58e",
        ),
    ] {
        assert_eq!(hex::encode(ChunkId::of(step.as_bytes()).as_bytes()), expected);
    }
}

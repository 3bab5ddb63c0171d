//! The suite on PostgreSQL, and what is particular to a server.

mod suite;

use ledger::{
    Column, DatabaseUrl, Ledger as _, LedgerError, PackageFilter, PostgresLedger, RECEIPT_COLUMNS,
    STEP_COLUMNS,
};
use sqlx::postgres::PgConnectOptions;
use testkit::Postgres;

/// Longest wait for a machine that is busy with other things.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

async fn open(address: &str) -> Result<PostgresLedger, LedgerError> {
    let options: PgConnectOptions = address.parse().expect("an address");
    PostgresLedger::open(&options).await
}

/// Opens one on a server that runs, however slow the machine is at the moment.
async fn opened(address: &str) -> PostgresLedger {
    let begun = std::time::Instant::now();
    loop {
        match open(address).await {
            Err(error) if error.is_retryable() && begun.elapsed() < PATIENCE => {}
            other => return other.expect("opens"),
        }
    }
}

macro_rules! run_all {
    ($($check:ident),* $(,)?) => {
        // All on one server: starting one takes longer than most of them. Each has a database.
        #[tokio::test(flavor = "multi_thread")]
        async fn every_check_of_the_suite() {
            let Some(server) = Postgres::start() else { return };
            $(
                eprintln!("{}", stringify!($check));
                let ledger = opened(&server.create_database()).await;
                suite::$check(&ledger).await;
                ledger.close().await;
            )*
        }
    };
}

for_each_check!(run_all);

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_may_create_and_write_one_ledger() {
    let Some(server) = Postgres::start() else { return };
    let address = server.create_database();
    // Beside a hub's tables.
    let url: DatabaseUrl = address.parse().expect("an address");
    let hub = hub_db::open(&url).await.expect("opens");
    let writers = (1..=4u8).map(|writer| {
        let address = address.clone();
        tokio::spawn(async move {
            // Each connects for itself, as another process would.
            let ledger = opened(&address).await;
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
    hub.close().await;
    let ledger = ledger::open(&url).await.expect("opens");
    let listed = ledger.packages(&PackageFilter::default(), None, 100).await.expect("reads");
    assert_eq!(listed.len(), 40);
}

#[tokio::test]
async fn a_ledger_of_a_newer_version_is_left_alone() {
    let Some(server) = Postgres::start() else { return };
    let address = server.create_database();
    opened(&address).await.close().await;
    server.sql(&address, "UPDATE ledger_version SET version = 99");
    let refused = open(&address).await.expect_err("is newer");
    assert!(matches!(refused, LedgerError::Newer { found: 99, known: 5 }), "{refused}");
    server.sql(&address, "DELETE FROM ledger_version");
    let refused = open(&address).await.expect_err("is damaged");
    assert!(matches!(refused, LedgerError::Damaged(_)), "{refused}");
}

#[tokio::test]
async fn what_keeps_it_from_opening_is_told_without_the_password() {
    let Some(server) = Postgres::start() else { return };
    let address = server.create_database();
    let wrong = address.replace("not-a-secret", "hunter2");
    let refused = open(&wrong).await.expect_err("another password");
    assert!(matches!(refused, LedgerError::Failed(_)), "{refused:?}");
    assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
    let nowhere = open("postgres://consign@%2Fnonexistent/db").await.expect_err("no socket");
    assert!(nowhere.is_retryable(), "{nowhere:?}");
}

#[tokio::test]
async fn authorities_that_cannot_be_read_are_named() {
    let address = "postgres://me@127.0.0.1:1/x?sslmode=verify-full&sslrootcert=/nonexistent/ca.pem";
    let refused = open(address).await.expect_err("no authorities");
    let LedgerError::Failed(source) = &refused else { panic!("{refused:?}") };
    assert!(source.to_string().contains("/nonexistent/ca.pem"), "{source}");
}

/// What SQL sees is what exports write, and both databases have the same.
#[tokio::test]
async fn the_views_have_the_documented_columns() {
    let Some(server) = Postgres::start() else { return };
    let address = server.create_database();
    opened(&address).await.close().await;
    let names = |columns: &[Column]| columns.iter().map(|it| it.name).collect::<Vec<_>>();
    for (view, expected) in [
        ("receipts_report", names(RECEIPT_COLUMNS)),
        ("latest_report", names(RECEIPT_COLUMNS)),
        ("steps_report", names(STEP_COLUMNS)),
        ("rollouts_report", suite::ROLLOUT_COLUMNS.to_vec()),
    ] {
        let found = server.sql(
            &address,
            &format!(
                "SELECT column_name FROM information_schema.columns WHERE table_name = '{view}'
                 ORDER BY ordinal_position"
            ),
        );
        assert_eq!(found.split_whitespace().collect::<Vec<_>>(), expected, "{view}");
        assert_eq!(server.sql(&address, &format!("SELECT * FROM {view}")).trim(), "");
    }
}

//! Reports and exports.

use futures_util::StreamExt as _;
use ledger::{
    Cell, Column, Export, Format, Ledger, LedgerError, RECEIPT_COLUMNS, ReportFilter, Row,
    STEP_COLUMNS,
};

use super::*;

#[derive(Clone, Copy)]
pub(crate) enum Which {
    Receipts,
    Steps,
}

pub(crate) async fn report_of(
    ledger: &dyn Ledger,
    which: Which,
    filter: &ReportFilter,
) -> Vec<Row> {
    let rows = match which {
        Which::Receipts => ledger.receipts_report(filter),
        Which::Steps => ledger.steps_report(filter),
    };
    let rows: Vec<Result<Row, LedgerError>> = rows.collect().await;
    rows.into_iter().map(|row| row.expect("reads")).collect()
}

/// What stands at a column that is in one of the reports.
pub(crate) fn cell(row: &Row, name: &str) -> Cell {
    let columns: &[Column] =
        if row.0.len() == STEP_COLUMNS.len() { STEP_COLUMNS } else { RECEIPT_COLUMNS };
    let index = columns.iter().position(|column| column.name == name).expect("a column");
    row.0[index].clone()
}

pub(crate) async fn reports_come_row_by_row(ledger: &dyn Ledger) {
    sent(ledger, &package(1), &[1, 2, 3]).await;
    sent(ledger, &package_of(1, 2, "certificates"), &[2]).await;
    sent(ledger, &package_of(2, 1, "tools"), &[3]).await;
    for target in [1, 2] {
        let answer = answer(target, 1, package::Verdict::Passed);
        ledger.record(&feed(1, "office"), 1, &answer).await.expect("records");
    }
    let any = ReportFilter::default();
    for (filter, receipts, steps) in [
        (any.clone(), 5, 20),
        (ReportFilter { community: Some(community(1)), ..any.clone() }, 4, 20),
        (ReportFilter { name: Some("certificates".into()), ..any.clone() }, 1, 0),
        (ReportFilter { sequence: Some(1), ..any.clone() }, 4, 20),
        (ReportFilter { peer: Some(peer(2)), ..any.clone() }, 2, 10),
    ] {
        let found = report_of(ledger, Which::Receipts, &filter).await;
        assert_eq!(found.len(), receipts, "{filter:?}");
        assert!(found.is_sorted_by_key(|row| {
            let Cell::Number(target) = cell(row, "target") else { panic!("{row:?}") };
            target
        }));
        assert_eq!(report_of(ledger, Which::Steps, &filter).await.len(), steps, "{filter:?}");
    }
    // Whoever has seen enough may go.
    let mut rows = ledger.steps_report(&any);
    for number in 1..=3 {
        let row = rows.next().await.expect("there are more").expect("reads");
        assert_eq!(cell(&row, "number"), Cell::Number(number));
    }
    drop(rows);
    sent(ledger, &package(3), &[1]).await;
}

pub(crate) async fn reports_hold_what_was_said(ledger: &dyn Ledger) {
    sent(ledger, &package(1), &[1]).await;
    ledger.draft(&package(2), &addressees(&[1, 2])).await.expect("drafts");
    let failed = answer(1, 1, package::Verdict::Failed("step 3 failed".into()));
    ledger.record(&feed(1, "office"), 1, &failed).await.expect("records");
    let any = ReportFilter::default();
    let receipts = report_of(ledger, Which::Receipts, &any).await;
    let text = |text: &str| Cell::Text(text.to_owned());
    for (name, expected) in [
        ("community", text("01010101-0101-0101-0101-010101010101")),
        ("feed", text(feed(1, "office").as_str())),
        ("sequence", Cell::Number(1)),
        ("name", text("tools")),
        ("version", text("1.1")),
        ("peer", text("web-001")),
        ("key", text(&"01".repeat(32))),
        ("labels", Cell::Object(r#"{"site":"oslo"}"#.to_owned())),
        ("state", text("answered")),
        ("sent", text("2026-11-18T11:06:40Z")),
        ("answered", text("2026-11-18T11:07:40Z")),
        ("verdict", text("failed")),
        ("reason", text("step 3 failed")),
        ("steps", Cell::Number(10)),
    ] {
        assert_eq!(cell(&receipts[0], name), expected, "{name}");
    }
    for (name, expected) in [
        ("state", text("drafted")),
        ("sent", Cell::Empty),
        ("answered", Cell::Empty),
        ("verdict", Cell::Empty),
        ("steps", Cell::Number(0)),
    ] {
        assert_eq!(cell(&receipts[1], name), expected, "{name}");
    }
    let steps = report_of(ledger, Which::Steps, &any).await;
    for (name, expected) in [
        ("step", text("step 5")),
        ("outcome", text("ran")),
        ("begun", text("2023-11-14T22:13:20.023Z")),
        ("took_us", Cell::Number(5000)),
        ("exit_code", Cell::Empty),
        ("signal", Cell::Number(9)),
        ("timed_out", Cell::Flag(false)),
        ("expected", Cell::Flag(false)),
        ("stdout", Cell::Bytes(b"=hello\n".to_vec())),
        ("stderr", Cell::Bytes(b"\xff\x00".to_vec())),
        ("stderr_total", Cell::Number(70_000)),
        ("cpu_us", Cell::Number(1_234_567)),
        ("added", Cell::Empty),
        ("ran_into", text("memory")),
        ("memory_together_bytes", Cell::Number(64 << 20)),
    ] {
        assert_eq!(cell(&steps[5], name), expected, "{name}");
    }
    assert_eq!(cell(&steps[1], "kept"), Cell::Number(1000));
    assert_eq!(cell(&steps[9], "begun"), Cell::Empty);

    let exported = |columns, format, rows: &[Row]| {
        let mut export = Export::begin(columns, format, Vec::new()).expect("begins");
        rows.iter().for_each(|row| export.write(row).expect("writes"));
        String::from_utf8(export.finish().expect("ends")).expect("is UTF-8")
    };
    let csv = exported(STEP_COLUMNS, Format::Csv, &steps);
    assert!(csv.contains("\"'=hello\n\""), "{csv}");
    let json = exported(STEP_COLUMNS, Format::JsonLines, &steps);
    assert_eq!(json.matches(r#""stderr_base64":"/wA=""#).count(), 3, "{json}");
    let csv = exported(RECEIPT_COLUMNS, Format::Csv, &receipts);
    assert_eq!(csv.matches("\r\n").count(), 4, "{csv}");
}

//! Receipts.

use ledger::{
    Cell, Counts, Ledger, PackageFilter, Recorded, ReportFilter, TargetFilter, TargetRecord,
    Verdict,
};

use super::*;

async fn only_target(ledger: &dyn Ledger, id: PackageId) -> TargetRecord {
    let mut targets = ledger.targets(id, TargetFilter::All, None, 10).await.expect("reads");
    assert_eq!(targets.len(), 1);
    targets.remove(0)
}

async fn record(ledger: &dyn Ledger, sequence: u64, answer: &Answer) -> Recorded {
    ledger.record(&feed(1, "office"), sequence, answer).await.expect("records")
}

pub(crate) async fn a_receipt_is_recorded_once(ledger: &dyn Ledger) {
    let id = sent(ledger, &package(1), &[1]).await;
    let failed = answer(1, 1, package::Verdict::Failed("step 3 failed".into()));
    assert_eq!(record(ledger, 1, &failed).await, Recorded::Now);
    let before = only_target(ledger, id).await;
    let verdict = Verdict::Failed("step 3 failed".into());
    assert_eq!(before.answered, Some((NOW + 60, verdict)));
    assert_eq!((before.receipt_bytes, before.sent), (4, Some(NOW)));
    assert_eq!(record(ledger, 1, &failed).await, Recorded::Before);
    let other = Answer { answered: 1, ..answer(1, 1, package::Verdict::Passed) };
    assert_eq!(record(ledger, 1, &other).await, Recorded::Before);
    let unreadable = Answer { report: Report::Unreadable("cut off".into()), ..other };
    assert_eq!(record(ledger, 1, &unreadable).await, Recorded::Before);
    assert_eq!(only_target(ledger, id).await, before);
    assert_eq!(ledger.steps(before.id).await.expect("reads").len(), 10);
}

pub(crate) async fn a_receipt_for_nobody_is_not_recorded(ledger: &dyn Ledger) {
    let id = sent(ledger, &package(1), &[1]).await;
    let passed = answer(1, 1, package::Verdict::Passed);
    assert_eq!(record(ledger, 2, &passed).await, Recorded::NotAddressed);
    let other = ledger.record(&feed(1, "other"), 1, &passed).await.expect("records");
    assert_eq!(other, Recorded::NotAddressed);
    let stranger = answer(2, 1, package::Verdict::Passed);
    assert_eq!(record(ledger, 1, &stranger).await, Recorded::NotAddressed);
    // It names another release that had this number.
    let another = answer(1, 3, package::Verdict::Passed);
    assert_eq!(record(ledger, 1, &another).await, Recorded::NotAddressed);
    assert_eq!(only_target(ledger, id).await.answered, None);
}

pub(crate) async fn what_cannot_be_read_gives_way_to_what_can(ledger: &dyn Ledger) {
    let id = sent(ledger, &package(1), &[1]).await;
    let passed = answer(1, 1, package::Verdict::Passed);
    let report = Report::Unreadable("the signature does not hold".into());
    let unreadable = Answer { report, receipt: None, ..passed.clone() };
    assert_eq!(record(ledger, 1, &unreadable).await, Recorded::Now);
    assert_eq!(record(ledger, 1, &unreadable).await, Recorded::Before);
    let target = only_target(ledger, id).await;
    let verdict = Verdict::Unreadable("the signature does not hold".into());
    assert_eq!((target.answered, target.receipt_bytes), (Some((NOW + 60, verdict)), 0));
    assert_eq!(ledger.steps(target.id).await.expect("reads"), []);
    assert_eq!(record(ledger, 1, &passed).await, Recorded::Now);
    let target = only_target(ledger, id).await;
    assert_eq!(target.answered, Some((NOW + 60, Verdict::Passed)));
}

pub(crate) async fn every_outcome_comes_back_as_it_was(ledger: &dyn Ledger) {
    let id = sent(ledger, &package(1), &[1]).await;
    let passed = answer(1, 1, package::Verdict::Passed);
    record(ledger, 1, &passed).await;
    let steps = ledger.steps(only_target(ledger, id).await.id).await.expect("reads");
    assert_eq!(steps, receipt(package::Verdict::Passed).steps);
}

pub(crate) async fn what_a_hostile_target_says_harms_nothing(ledger: &dyn Ledger) {
    let id = sent(ledger, &package(1), &[1]).await;
    let mut said = receipt(package::Verdict::Failed("a\0b'; DROP TABLE targets; --".into()));
    said.steps.truncate(5);
    said.steps[0].outcome = Outcome::NotStarted("\0\u{10ffff}".into());
    said.steps[1].outcome = Outcome::Placed(Placed { added: u64::MAX, ..Placed::default() });
    said.steps[1].begun_ms = u64::MAX;
    said.steps[1].took = std::time::Duration::MAX;
    let Outcome::Ran(ran) = &mut said.steps[4].outcome else { panic!("it ran") };
    ran.output = Output { bytes: vec![0; 1 << 20], bytes_total: u64::MAX };
    ran.memory_bytes_max = u64::MAX;
    ran.memory_together_bytes_max = Some(u64::MAX);
    let manifest = manifest(&feed(1, "office"), 1);
    let report = Report::Readable { manifest, receipt: said };
    let hostile = Answer { report, answered: u64::MAX, ..answer(1, 1, package::Verdict::Passed) };
    assert_eq!(record(ledger, 1, &hostile).await, Recorded::Now);

    let largest = i64::MAX.unsigned_abs();
    let target = only_target(ledger, id).await;
    let verdict = Verdict::Failed("a\u{fffd}b'; DROP TABLE targets; --".into());
    assert_eq!(target.answered, Some((largest, verdict)));
    let steps = ledger.steps(target.id).await.expect("reads");
    assert_eq!(steps[0].outcome, Outcome::NotStarted("\u{fffd}\u{10ffff}".into()));
    assert_eq!(steps[1].begun_ms, largest);
    assert_eq!(steps[1].took, std::time::Duration::from_micros(largest));
    let Outcome::Ran(ran) = &steps[4].outcome else { panic!("it ran") };
    assert_eq!((ran.output.bytes.len(), ran.output.bytes_total), (1 << 20, largest));
    // Reports show no time where there is none.
    let rows = report_of(ledger, Which::Steps, &ReportFilter::default()).await;
    assert_eq!(
        rows.iter().map(|row| cell(row, "begun")).collect::<Vec<_>>(),
        [
            Cell::Text("2023-11-14T22:13:20.023Z".into()),
            Cell::Empty,
            Cell::Text("2023-11-14T22:13:20.023Z".into()),
            Cell::Text("2023-11-14T22:13:20.023Z".into()),
            Cell::Text("2023-11-14T22:13:20.023Z".into()),
        ]
    );
    let rows = report_of(ledger, Which::Receipts, &ReportFilter::default()).await;
    assert_eq!(cell(&rows[0], "answered"), Cell::Empty);
    assert_eq!(cell(&rows[0], "state"), Cell::Text("answered".into()));
}

pub(crate) async fn what_a_hub_forgot_is_lost_until_it_is_answered_all_the_same(
    ledger: &dyn Ledger,
) {
    let office = feed(1, "office");
    sent(ledger, &package(1), &[1, 2, 3]).await;
    let id = sent(ledger, &package(2), &[1, 2, 3]).await;
    record(ledger, 2, &answer(1, 2, package::Verdict::Passed)).await;
    let keys = [1, 2, 3, 4].map(key);
    let lost = ledger.lose(id, &keys, "its sources have changed", NOW + 90).await.expect("writes");
    assert_eq!(lost, [peer(2), peer(3)]);
    // Said once, it stays as it was said.
    assert_eq!(ledger.lose(id, &keys, "another reason", NOW + 99).await.expect("writes"), []);
    let targets = ledger.targets(id, TargetFilter::All, None, 10).await.expect("reads");
    let reason = Some((NOW + 90, "its sources have changed".to_owned()));
    assert_eq!(
        targets.iter().map(|target| target.lost.clone()).collect::<Vec<_>>(),
        [None, reason.clone(), reason]
    );
    let pending = ledger.targets(id, TargetFilter::Pending, None, 10).await.expect("reads");
    assert_eq!(pending, [], "nobody is waited for");
    // What comes after it for them comes after the release before it.
    let last = ledger.last_sent(&office, &keys, u64::MAX).await.expect("reads");
    assert_eq!(last, [(key(1), 2), (key(2), 1), (key(3), 1)].into());
    let counts = async || {
        let filter = PackageFilter { sequence: Some(2), ..PackageFilter::default() };
        ledger.packages(&filter, None, 1).await.expect("reads").remove(0).counts
    };
    let passed = Counts { passed: 1, lost: 2, ..Counts::default() };
    assert_eq!((counts().await, counts().await.targets()), (passed, 3));
    let filter = ReportFilter { sequence: Some(2), ..ReportFilter::default() };
    let rows = report_of(ledger, Which::Receipts, &filter).await;
    assert_eq!(cell(&rows[0], "state"), Cell::Text("answered".into()));
    assert_eq!(cell(&rows[1], "state"), Cell::Text("lost".into()));
    assert_eq!(cell(&rows[1], "reason"), Cell::Text("its sources have changed".into()));

    // The second one had it before the hub forgot: what it says counts.
    let answered = answer(2, 2, package::Verdict::Passed);
    assert_eq!(record(ledger, 2, &answered).await, Recorded::Now);
    assert_eq!(counts().await, Counts { passed: 2, lost: 1, ..Counts::default() });
    let last = ledger.last_sent(&office, &keys, u64::MAX).await.expect("reads");
    assert_eq!(last, [(key(1), 2), (key(2), 2), (key(3), 1)].into());
}

pub(crate) async fn who_began_runs_until_it_has_answered(ledger: &dyn Ledger) {
    let office = feed(1, "office");
    let id = sent(ledger, &package(1), &[1, 2, 3]).await;
    record(ledger, 1, &answer(3, 1, package::Verdict::Passed)).await;
    let told = |at| [(key(1), at), (key(2), at), (key(3), at), (key(4), at)];
    assert_eq!(ledger.begin(id, &told(NOW + 20)[..1]).await.expect("writes"), 1);
    // The first time stands; who has answered, or was sent nothing, does not begin.
    assert_eq!(ledger.begin(id, &told(NOW + 30)).await.expect("writes"), 1);
    let begun = async || -> Vec<_> {
        let targets = ledger.targets(id, TargetFilter::All, None, 10).await.expect("reads");
        targets.iter().map(|target| (target.begun, target.running())).collect()
    };
    let at = |at| (Some(NOW + at), Some(NOW + at));
    assert_eq!(begun().await, [at(20), at(30), (None, None)]);
    let counts = async || {
        ledger.packages(&PackageFilter::default(), None, 1).await.expect("reads").remove(0).counts
    };
    let expected = Counts { pending: 2, running: 2, passed: 1, ..Counts::default() };
    assert_eq!((counts().await, counts().await.targets()), (expected, 3));
    let pending = ledger.targets(id, TargetFilter::Pending, None, 10).await.expect("reads");
    assert_eq!(pending.len(), 2, "who runs has not answered");
    let shown = async || -> Vec<_> {
        let rows = report_of(ledger, Which::Receipts, &ReportFilter::default()).await;
        rows.iter().map(|row| (cell(row, "state"), cell(row, "begun"))).collect()
    };
    let text = |text: &str| Cell::Text(text.to_owned());
    let second = (text("running"), text("2026-11-18T11:07:10Z"));
    let third = (text("answered"), Cell::Empty);
    let first = (text("running"), text("2026-11-18T11:07:00Z"));
    assert_eq!(shown().await, [first, second, third.clone()]);
    let latest = ledger.latest(None, None, 1).await.expect("reads").remove(0);
    assert_eq!((latest.target.running(), latest.sequence), (Some(NOW + 20), 1));

    // One answers, the other is lost.
    record(ledger, 1, &answer(1, 1, package::Verdict::Failed("no room".into()))).await;
    ledger.lose(id, &[key(2)], "it is gone", NOW + 90).await.expect("writes");
    assert_eq!(begun().await, [(at(20).0, None), (at(30).0, None), (None, None)]);
    let expected = Counts { lost: 1, failed: 1, passed: 1, ..Counts::default() };
    assert_eq!(counts().await, expected);
    let first = (text("answered"), text("2026-11-18T11:07:00Z"));
    let second = (text("lost"), text("2026-11-18T11:07:10Z"));
    assert_eq!(shown().await, [first, second, third]);
    assert_eq!(ledger.may_begin(&office).await.expect("reads"), []);
}

pub(crate) async fn whoever_has_not_answered_one_begins_with_no_later_one(ledger: &dyn Ledger) {
    let office = feed(1, "office");
    let may = async || -> Vec<u64> {
        let packages = ledger.may_begin(&office).await.expect("reads");
        packages.iter().map(|package| package.sequence).collect()
    };
    let first = sent(ledger, &package(1), &[1, 2]).await;
    sent(ledger, &package(2), &[1, 2]).await;
    sent(ledger, &package(3), &[1, 3]).await;
    sent(ledger, &package_of(2, 1, "tools"), &[4]).await;
    ledger.draft(&package(4), &addressees(&[5])).await.expect("drafts");
    // The third machine is free for the third; nobody was told of the fourth.
    assert_eq!(may().await, [1, 3]);
    record(ledger, 1, &answer(2, 1, package::Verdict::Passed)).await;
    assert_eq!(may().await, [1, 2, 3]);
    // Who runs one begins with no other, and nobody asks of it any more.
    ledger.begin(first, &[(key(1), NOW)]).await.expect("writes");
    assert_eq!(may().await, [2, 3]);
    for (sequence, target) in [(2, 2), (3, 3)] {
        record(ledger, sequence, &answer(target, sequence, package::Verdict::Passed)).await;
    }
    assert_eq!(may().await, [] as [u64; 0]);
    // It will not get the first any more: the second is its next.
    ledger.lose(first, &[key(1)], "it is gone", NOW).await.expect("writes");
    assert_eq!(may().await, [2]);
}

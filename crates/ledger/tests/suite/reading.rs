//! Questions about packages and targets.

use ledger::{Counts, Ledger, PackageFilter, TargetFilter, Verdict};

use super::*;

async fn listed(ledger: &dyn Ledger, filter: &PackageFilter) -> Vec<(String, u64)> {
    let packages = ledger.packages(filter, None, 100).await.expect("reads");
    assert!(packages.is_sorted_by(|one, other| one.id > other.id), "newest first");
    packages.into_iter().map(|package| (package.name, package.sequence)).collect()
}

pub(crate) async fn packages_are_listed_newest_first_with_their_counts(ledger: &dyn Ledger) {
    assert_eq!(listed(ledger, &PackageFilter::default()).await, []);
    let first = sent(ledger, &package(1), &[1, 2, 3, 4, 5, 6]).await;
    sent(ledger, &package_of(2, 1, "tools"), &[]).await;
    sent(ledger, &package_of(1, 2, "certificates"), &[1]).await;
    let verdicts = [
        (1, package::Verdict::Passed),
        (2, package::Verdict::Passed),
        (3, package::Verdict::Failed("x".into())),
        (4, package::Verdict::NotApplicable("y".into())),
    ];
    for (target, verdict) in verdicts {
        let answer = answer(target, 1, verdict);
        ledger.record(&feed(1, "office"), 1, &answer).await.expect("records");
    }
    let report = Report::Unreadable("z".into());
    let unreadable = Answer { report, ..answer(5, 1, package::Verdict::Passed) };
    ledger.record(&feed(1, "office"), 1, &unreadable).await.expect("records");

    let pair = |name: &str, sequence| (name.to_owned(), sequence);
    let all = [pair("certificates", 2), pair("tools", 1), pair("tools", 1)];
    assert_eq!(listed(ledger, &PackageFilter::default()).await, all);
    let filter = PackageFilter { community: Some(community(1)), ..PackageFilter::default() };
    assert_eq!(listed(ledger, &filter).await, [pair("certificates", 2), pair("tools", 1)]);
    let filter = PackageFilter { name: Some("tools".into()), ..filter };
    assert_eq!(listed(ledger, &filter).await, [pair("tools", 1)]);
    let filter = PackageFilter { sequence: Some(2), ..PackageFilter::default() };
    assert_eq!(listed(ledger, &filter).await, [pair("certificates", 2)]);
    let filter = PackageFilter { name: Some("tools' OR 1".into()), ..PackageFilter::default() };
    assert_eq!(listed(ledger, &filter).await, []);

    // By pages.
    let any = PackageFilter::default();
    let page = ledger.packages(&any, None, 2).await.expect("reads");
    let rest = ledger.packages(&any, Some(page[1].id), 2).await.expect("reads");
    assert_eq!((page.len(), rest.len(), rest[0].id), (2, 1, first));
    let counts = Counts {
        pending: 1,
        passed: 2,
        failed: 1,
        not_applicable: 1,
        unreadable: 1,
        ..Counts::default()
    };
    assert_eq!((rest[0].counts, rest[0].counts.targets()), (counts, 6));
    assert_eq!(page[0].counts, Counts { pending: 1, ..Counts::default() });
    assert_eq!(page[1].counts, Counts::default());
}

pub(crate) async fn targets_are_listed_by_pages(ledger: &dyn Ledger) {
    let id = sent(ledger, &package(1), &[5, 3, 4, 1, 2]).await;
    for target in [3, 2] {
        let answer = answer(target, 1, package::Verdict::Passed);
        ledger.record(&feed(1, "office"), 1, &answer).await.expect("records");
    }
    let listed = async |filter, after, limit| {
        let targets = ledger.targets(id, filter, after, limit).await.expect("reads");
        let last = targets.last().map(|target| target.id);
        (targets.iter().map(|target| target.peer.clone()).collect::<Vec<_>>(), last)
    };
    let (all, _) = listed(TargetFilter::All, None, 10).await;
    assert_eq!(all, [5, 3, 4, 1, 2].map(peer));
    let (pending, _) = listed(TargetFilter::Pending, None, 10).await;
    assert_eq!(pending, [5, 4, 1].map(peer));
    let (answered, _) = listed(TargetFilter::Answered, None, 10).await;
    assert_eq!(answered, [3, 2].map(peer));
    let (page, last) = listed(TargetFilter::Pending, None, 2).await;
    let (rest, _) = listed(TargetFilter::Pending, last, 2).await;
    assert_eq!((page, rest), ([5, 4].map(peer).to_vec(), [1].map(peer).to_vec()));
    let found = ledger.targets(id, TargetFilter::All, None, 1).await.expect("reads");
    assert_eq!(found[0].labels, addressee(5).labels);
}

pub(crate) async fn every_target_has_a_newest_package(ledger: &dyn Ledger) {
    sent(ledger, &package(1), &[1, 2, 3]).await;
    sent(ledger, &package(2), &[1, 2]).await;
    sent(ledger, &package_of(2, 7, "tools"), &[1]).await;
    for (target, sequence) in [(1, 1), (1, 2), (3, 1)] {
        let answer = answer(target, sequence, package::Verdict::Passed);
        ledger.record(&feed(1, "office"), sequence, &answer).await.expect("records");
    }
    let told = async |community: Option<CommunityId>| {
        let latest = ledger.latest(community.as_ref(), None, 100).await.expect("reads");
        latest
            .into_iter()
            .map(|it| (it.target.key, it.sequence, it.target.answered.map(|it| it.1)))
            .collect::<Vec<_>>()
    };
    let passed = Some(Verdict::Passed);
    let first = [(key(3), 1, passed.clone()), (key(1), 2, passed), (key(2), 2, None)];
    assert_eq!(told(Some(community(1))).await, first);
    assert_eq!(told(Some(community(2))).await, [(key(1), 7, None)]);
    assert_eq!(told(Some(community(3))).await, []);
    assert_eq!(told(None).await.len(), 4);
    let page = ledger.latest(None, None, 3).await.expect("reads");
    let rest = ledger.latest(None, Some(page[2].target.id), 3).await.expect("reads");
    assert_eq!((rest.len(), rest[0].sequence, &rest[0].version[..]), (1, 7, "1.7"));
}

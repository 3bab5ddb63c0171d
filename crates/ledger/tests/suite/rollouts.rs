//! Roll-outs.

use ledger::{
    DraftError, Ledger, NewRollout, PlannedRecord, PlannedState, RolloutProgress, RolloutState,
    Verdict, WaveDrafted,
};

use super::*;

/// The columns of `rollouts_report`, as they are documented.
pub(crate) const ROLLOUT_COLUMNS: [&str; 14] = [
    "package",
    "community",
    "feed",
    "sequence",
    "name",
    "version",
    "rollout",
    "peer",
    "key",
    "labels",
    "wave",
    "state",
    "since",
    "reason",
];

const RUNNING: RolloutProgress = RolloutProgress {
    state: RolloutState::Running,
    since: NOW - 5,
    reason: None,
    forgiven_failed: 0,
    forgiven_answered: 0,
    forgiven_until: 0,
};

/// A roll-out with one target in its first wave and the rest in the second.
fn rollout(targets: &[u8]) -> NewRollout {
    let wave = |(place, target): (usize, &u8)| (u32::from(place > 0), addressee(*target));
    NewRollout {
        rules: "stop-at 1; canary 1".to_owned(),
        root: vec![1, 2, 3],
        began: NOW - 5,
        targets: targets.iter().enumerate().map(wave).collect(),
    }
}

async fn begun(ledger: &dyn Ledger, sequence: u64, targets: &[u8]) -> PackageId {
    let id = ledger.draft_rollout(&package(sequence), &rollout(targets)).await.expect("drafts");
    ledger.confirm(id, NOW).await.expect("confirms");
    id
}

async fn states(ledger: &dyn Ledger, id: PackageId) -> Vec<PlannedState> {
    let planned = ledger.planned(id).await.expect("reads");
    planned.into_iter().map(|planned| planned.state).collect()
}

async fn wave(ledger: &dyn Ledger, id: PackageId, targets: &[u8]) -> WaveDrafted {
    ledger.draft_wave(id, &addressees(targets), &[5]).await.expect("drafts")
}

pub(crate) async fn a_roll_out_begins_with_its_draft_and_nobody_addressed(ledger: &dyn Ledger) {
    let id = ledger.draft_rollout(&package(1), &rollout(&[3, 1, 2])).await.expect("drafts");
    let drafts = ledger.drafts().await.expect("reads");
    assert_eq!((drafts[0].package.id, &drafts[0].targets[..]), (id, &[][..]));
    ledger.confirm(id, NOW).await.expect("confirms");
    let kept = ledger.rollout(id).await.expect("reads").expect("there is one");
    assert_eq!((kept.package.id, kept.package.sent), (id, Some(NOW)));
    assert_eq!((&kept.rules[..], kept.root), ("stop-at 1; canary 1", Some(vec![1, 2, 3])));
    assert_eq!((kept.began, kept.progress), (NOW - 5, RUNNING));
    let planned = ledger.planned(id).await.expect("reads");
    let expected = [(0, 3), (1, 1), (1, 2)].map(|(wave, number)| {
        let Addressee { key, peer, labels } = addressee(number);
        PlannedRecord { key, peer, labels, wave, state: PlannedState::Waiting }
    });
    assert_eq!(planned, expected);
    // What was sent to everybody at once has none.
    let other = sent(ledger, &package(2), &[1]).await;
    assert_eq!(ledger.rollout(other).await.expect("reads"), None);
    assert_eq!(ledger.planned(other).await.expect("reads"), []);
}

pub(crate) async fn waves_are_drafted_one_after_the_other(ledger: &dyn Ledger) {
    let id = begun(ledger, 1, &[1, 2, 3]).await;
    assert_eq!(wave(ledger, id, &[1]).await, WaveDrafted::Now);
    let drafts = ledger.drafts().await.expect("reads");
    assert_eq!((&drafts[0].targets[..], &drafts[0].resume[..]), (&addressees(&[1])[..], &[5][..]));
    assert_eq!(states(ledger, id).await[0], PlannedState::Drafted);
    // What finishes the first must not be written over.
    let refused = ledger.draft_wave(id, &addressees(&[2]), &[6]).await.expect_err("one is open");
    assert!(
        matches!(refused, DraftError::Unfinished { package, sequence: 1 } if package == id),
        "{refused}"
    );
    ledger.confirm(id, NOW + 1).await.expect("confirms");
    assert_eq!(wave(ledger, id, &[1, 2]).await, WaveDrafted::Now);
    assert_eq!(ledger.drafts().await.expect("reads")[0].targets, addressees(&[2]));
    ledger.confirm(id, NOW + 2).await.expect("confirms");
    let answer = answer(1, 1, package::Verdict::Failed("no room".into()));
    ledger.record(&feed(1, "office"), 1, &answer).await.expect("records");
    let failed = PlannedState::Answered {
        sent: NOW + 1,
        answered: NOW + 60,
        verdict: Verdict::Failed("no room".into()),
    };
    let expected = [failed, PlannedState::Sent(NOW + 2), PlannedState::Waiting];
    assert_eq!(states(ledger, id).await, expected);
    // Who began runs, and only who was addressed has begun.
    let told = [(key(2), NOW + 9), (key(3), NOW + 9)];
    assert_eq!(ledger.begin(id, &told).await.expect("writes"), 1);
    let running = PlannedState::Running { sent: NOW + 2, begun: NOW + 9 };
    assert_eq!(states(ledger, id).await[1..], [running, PlannedState::Waiting]);
}

pub(crate) async fn nobody_is_addressed_by_a_roll_out_that_does_not_run(ledger: &dyn Ledger) {
    let id = begun(ledger, 1, &[1, 2]).await;
    let paused = RolloutProgress { state: RolloutState::Paused, since: NOW, ..RUNNING };
    assert!(ledger.set_rollout(id, &RUNNING, &paused).await.expect("sets"));
    assert_eq!(wave(ledger, id, &[1]).await, WaveDrafted::NotRunning);
    assert_eq!(states(ledger, id).await, [PlannedState::Waiting, PlannedState::Waiting]);
    // Whoever saw it running has seen something old.
    assert!(!ledger.set_rollout(id, &RUNNING, &paused).await.expect("is asked"));
    let resumed = RolloutProgress {
        state: RolloutState::Running,
        since: NOW + 9,
        reason: Some("it was looked at".to_owned()),
        forgiven_failed: 3,
        forgiven_answered: 4,
        forgiven_until: NOW + 9,
    };
    assert!(ledger.set_rollout(id, &paused, &resumed).await.expect("sets"));
    let kept = ledger.rollout(id).await.expect("reads").expect("there is one");
    assert_eq!(kept.progress, resumed);
    assert_eq!(wave(ledger, id, &[1]).await, WaveDrafted::Now);
    let other = sent_elsewhere(ledger).await;
    assert_eq!(wave(ledger, other, &[1]).await, WaveDrafted::NotRunning);
}

async fn sent_elsewhere(ledger: &dyn Ledger) -> PackageId {
    sent(ledger, &package_of(2, 1, "tools"), &[1]).await
}

pub(crate) async fn the_secret_of_a_roll_out_that_is_over_is_forgotten(ledger: &dyn Ledger) {
    for (sequence, state) in [RolloutState::Aborted, RolloutState::Expired, RolloutState::Finished]
        .into_iter()
        .enumerate()
    {
        let id = begun(ledger, sequence as u64 + 1, &[1, 2]).await;
        let open = ledger.open_rollouts().await.expect("reads");
        assert_eq!(open.iter().map(|it| it.package.id).collect::<Vec<_>>(), [id]);
        assert!(open[0].root.is_some());
        let over = RolloutProgress { state, since: NOW, ..RUNNING };
        assert!(ledger.set_rollout(id, &RUNNING, &over).await.expect("sets"));
        let kept = ledger.rollout(id).await.expect("reads").expect("there is one");
        assert_eq!((kept.root, kept.progress), (None, over));
        assert_eq!(ledger.open_rollouts().await.expect("reads"), []);
    }
}

pub(crate) async fn who_was_addressed_is_not_skipped(ledger: &dyn Ledger) {
    let id = begun(ledger, 1, &[1, 2, 3]).await;
    wave(ledger, id, &[1]).await;
    ledger.confirm(id, NOW + 1).await.expect("confirms");
    for (now, reason) in [(NOW + 2, "it was revoked"), (NOW + 3, "again")] {
        ledger.skip_targets(id, &[key(1), key(2)], reason, now).await.expect("skips");
    }
    let skipped = PlannedState::Skipped(NOW + 2, "it was revoked".to_owned());
    let expected = [PlannedState::Sent(NOW + 1), skipped, PlannedState::Waiting];
    assert_eq!(states(ledger, id).await, expected);
}

pub(crate) async fn a_discarded_roll_out_leaves_nothing_behind(ledger: &dyn Ledger) {
    let id = ledger.draft_rollout(&package(1), &rollout(&[1, 2])).await.expect("drafts");
    assert!(ledger.discard(id).await.expect("discards"));
    assert_eq!(ledger.rollout(id).await.expect("reads"), None);
    assert_eq!(
        (ledger.open_rollouts().await.expect("reads"), states(ledger, id).await),
        (vec![], vec![])
    );
    // An added wave goes alone.
    let id = begun(ledger, 1, &[1, 2]).await;
    wave(ledger, id, &[1]).await;
    assert!(ledger.discard(id).await.expect("discards"));
    assert_eq!(states(ledger, id).await, [PlannedState::Waiting, PlannedState::Waiting]);
    assert_eq!(wave(ledger, id, &[1]).await, WaveDrafted::Now);
}

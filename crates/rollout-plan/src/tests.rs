//! Every rule on its own, and a reference that knows them all.

use super::*;

mod model;

const EXPIRES: u64 = 10_000_000;
const BEGAN: u64 = 1_000;
const RUNNING: Progress = Progress {
    phase: Phase::Running,
    since: BEGAN,
    forgiven: Forgiven { failed: 0, answered: 0, until: 0 },
};

/// A roll-out of which nothing was done; `waves` is how many targets each has.
fn plan(rules: &str, waves: &[usize]) -> RolloutPlan {
    let targets = waves.iter().enumerate().flat_map(|(wave, size)| {
        std::iter::repeat_n(Target { wave, state: TargetState::Waiting }, *size)
    });
    RolloutPlan::resume(rules.parse().expect("rules"), EXPIRES, targets.collect(), RUNNING)
}

/// Addresses all that is to be addressed now, and returns who that was.
#[track_caller]
fn address(plan: &mut RolloutPlan, now: u64) -> Vec<usize> {
    let Task::Address(targets) = plan.poll_task(now) else {
        panic!("{:?}", plan.poll_task(now));
    };
    for target in &targets {
        plan.handle_addressed(*target, now);
    }
    targets.into_iter().map(|target| target.0).collect()
}

fn answer(
    plan: &mut RolloutPlan,
    targets: impl IntoIterator<Item = usize>,
    answer: Answer,
    now: u64,
) {
    for target in targets {
        plan.handle_answered(TargetNumber(target), answer, now);
    }
}

#[track_caller]
fn waits(plan: &RolloutPlan, now: u64, what: WaitsFor, since: u64, until: u64) {
    let wait = Wait { what, since, until: Some(until) };
    assert_eq!(plan.poll_task(now), Task::Wait(wait));
}

/// Keeps what is to be kept, and returns it.
#[track_caller]
fn keep(plan: &mut RolloutPlan, now: u64) -> (Phase, Option<Reason>) {
    let Task::Keep(progress, reason) = plan.poll_task(now) else {
        panic!("{:?}", plan.poll_task(now));
    };
    assert_eq!(progress.since, now);
    plan.handle_kept(progress);
    (progress.phase, reason)
}

#[track_caller]
fn order(plan: &mut RolloutPlan, order: Order, now: u64) {
    let progress = plan.order(order, now).expect("is possible");
    plan.handle_kept(progress);
}

#[test]
fn a_wave_waits_for_the_answers_of_the_one_before() {
    let mut plan = plan("stop-at 1", &[2, 3]);
    assert_eq!(address(&mut plan, 2_000), [0, 1]);
    waits(&plan, 2_001, WaitsFor::Answers(2), 2_000, EXPIRES);
    answer(&mut plan, [1], Answer::Passed, 2_005);
    waits(&plan, 2_010, WaitsFor::Answers(1), 2_000, EXPIRES);
    assert_eq!(plan.position(), Position { begun: 1, waves: 2, waiting: 3 });
    answer(&mut plan, [0], Answer::NotApplicable, 2_020);
    assert_eq!(address(&mut plan, 2_020), [2, 3, 4]);
    answer(&mut plan, [2, 3], Answer::Passed, 2_030);
    waits(&plan, 2_030, WaitsFor::Answers(1), 2_020, EXPIRES);
    answer(&mut plan, [4], Answer::Passed, 2_040);
    assert_eq!(keep(&mut plan, 2_041), (Phase::Finished, None));
    assert_eq!(plan.poll_task(2_042), Task::Rest);
}

#[test]
fn between_waves_it_pauses() {
    let mut plan = plan("stop-at 1; pause 100 s", &[1, 1]);
    // Not before the first one.
    assert_eq!(address(&mut plan, 2_000), [0]);
    answer(&mut plan, [0], Answer::Passed, 2_050);
    waits(&plan, 2_060, WaitsFor::Pause, 2_050, 2_150);
    waits(&plan, 2_149, WaitsFor::Pause, 2_050, 2_150);
    assert_eq!(address(&mut plan, 2_150), [1]);
}

#[test]
fn no_answer_is_older_than_its_question() {
    let mut plan = plan("stop-at 1; pause 100 s", &[1, 1]);
    address(&mut plan, 2_000);
    answer(&mut plan, [0], Answer::Passed, 5);
    waits(&plan, 2_050, WaitsFor::Pause, 2_000, 2_100);
}

#[test]
fn targets_are_addressed_while_a_window_is_open() {
    // 1 January 1970 was a Thursday.
    let day = 86_400;
    let mut plan = plan(
        "stop-at 1; pause 10 s; window Fri 00:00-01:00 UTC; window Sun 00:00-01:00 UTC",
        &[1, 1],
    );
    waits(&plan, 2_000, WaitsFor::Window, BEGAN, day);
    assert_eq!(address(&mut plan, day), [0]);
    answer(&mut plan, [0], Answer::Passed, day + 3_599);
    waits(&plan, day + 3_609, WaitsFor::Window, day + 3_609, 3 * day);
    assert_eq!(address(&mut plan, 3 * day), [1]);
    // Answers are taken at any time.
    answer(&mut plan, [1], Answer::Passed, 4 * day);
    assert_eq!(keep(&mut plan, 4 * day), (Phase::Finished, None));
}

#[test]
fn so_many_failures_stop_it_at_once() {
    let mut plan = plan("stop-at 2", &[3, 3]);
    address(&mut plan, 2_000);
    answer(&mut plan, [0], Answer::Failed, 2_001);
    waits(&plan, 2_002, WaitsFor::Answers(2), 2_000, EXPIRES);
    answer(&mut plan, [1], Answer::Failed, 2_003);
    let reason = Reason::Failures { failed: 2, of: 3, stop_at: Share::Count(2) };
    assert_eq!(keep(&mut plan, 2_004), (Phase::Stopped, Some(reason)));
    answer(&mut plan, [2], Answer::Passed, 2_005);
    let wait = Wait { what: WaitsFor::Decision, since: 2_004, until: None };
    assert_eq!(plan.poll_task(2_006), Task::Wait(wait));
}

#[test]
fn a_percentage_stops_it_once_nothing_can_bring_it_down() {
    let mut plan = plan("stop-at 25%", &[8, 1]);
    address(&mut plan, 2_000);
    answer(&mut plan, [0], Answer::Failed, 2_001);
    // All of those that answered, and an eighth of those that may.
    waits(&plan, 2_002, WaitsFor::Answers(7), 2_000, EXPIRES);
    answer(&mut plan, [1, 2, 3], Answer::NotApplicable, 2_003);
    waits(&plan, 2_003, WaitsFor::Answers(4), 2_000, EXPIRES);
    answer(&mut plan, [4], Answer::NotApplicable, 2_004);
    let reason = Reason::Failures { failed: 1, of: 4, stop_at: Share::Percent(25) };
    assert_eq!(keep(&mut plan, 2_004), (Phase::Stopped, Some(reason)));
}

#[test]
fn fewer_failures_than_the_percentage_are_borne() {
    let mut plan = plan("stop-at 50%", &[3, 1]);
    address(&mut plan, 2_000);
    answer(&mut plan, [0], Answer::Failed, 2_001);
    answer(&mut plan, [1, 2], Answer::Passed, 2_001);
    assert_eq!(address(&mut plan, 2_002), [3]);
}

#[test]
fn when_everybody_was_addressed_nothing_is_left_to_stop() {
    let mut plan = plan("stop-at 1", &[2]);
    address(&mut plan, 2_000);
    answer(&mut plan, [0, 1], Answer::Failed, 2_001);
    assert_eq!(keep(&mut plan, 2_002), (Phase::Finished, None));
}

#[test]
fn resumed_after_a_stop_it_counts_from_there() {
    let mut plan = plan("stop-at 2", &[3, 3, 1]);
    address(&mut plan, 2_000);
    answer(&mut plan, [0, 1, 2], Answer::Failed, 2_001);
    keep(&mut plan, 2_002);
    order(&mut plan, Order::Resume, 2_003);
    assert_eq!(address(&mut plan, 2_004), [3, 4, 5]);
    answer(&mut plan, [3, 4], Answer::Passed, 2_005);
    answer(&mut plan, [5], Answer::Failed, 2_005);
    assert_eq!(address(&mut plan, 2_006), [6]);
}

#[test]
fn a_pause_forgives_nothing() {
    let mut plan = plan("stop-at 2", &[3, 3]);
    address(&mut plan, 2_000);
    answer(&mut plan, [0], Answer::Failed, 2_001);
    order(&mut plan, Order::Pause, 2_002);
    let wait = Wait { what: WaitsFor::Resume, since: 2_002, until: None };
    assert_eq!(plan.poll_task(2_003), Task::Wait(wait));
    answer(&mut plan, [1], Answer::Failed, 2_004);
    assert_eq!(plan.poll_task(2_005), Task::Wait(wait));
    order(&mut plan, Order::Resume, 2_006);
    assert_eq!(keep(&mut plan, 2_007).0, Phase::Stopped);
}

#[test]
fn an_aborted_roll_out_stays_so() {
    let mut plan = plan("stop-at 1", &[1, 1]);
    address(&mut plan, 2_000);
    order(&mut plan, Order::Abort, 2_001);
    answer(&mut plan, [0], Answer::Passed, 2_002);
    assert_eq!(plan.poll_task(2_003), Task::Rest);
    for order in [Order::Pause, Order::Resume, Order::Abort] {
        assert_eq!(plan.order(order, 2_004), Err(OrderError::Over(Phase::Aborted)));
    }
}

#[test]
fn what_is_so_already_is_told() {
    let mut plan = plan("stop-at 1", &[1, 1]);
    assert_eq!(plan.order(Order::Resume, 2_000), Err(OrderError::Already(Phase::Running)));
    order(&mut plan, Order::Pause, 2_000);
    assert_eq!(plan.order(Order::Pause, 2_001), Err(OrderError::Already(Phase::Paused)));
}

#[test]
fn who_does_not_answer_is_waited_for_no_longer_than_the_rules_say() {
    let mut plan = plan("stop-at 1; pause 10 s; unanswered 100 s go-on", &[2, 1]);
    address(&mut plan, 2_000);
    answer(&mut plan, [0], Answer::Passed, 2_001);
    waits(&plan, 2_050, WaitsFor::Answers(1), 2_000, 2_100);
    waits(&plan, 2_105, WaitsFor::Pause, 2_100, 2_110);
    assert_eq!(address(&mut plan, 2_110), [2]);
    // It failed after all; nobody is left to be kept from it.
    answer(&mut plan, [1], Answer::Failed, 2_111);
    waits(&plan, 2_112, WaitsFor::Answers(1), 2_110, 2_210);
    assert_eq!(keep(&mut plan, 2_210), (Phase::Finished, None));
}

#[test]
fn silence_stops_it_when_the_rules_say_so_until_somebody_forgives_it() {
    let mut plan = plan("stop-at 1; unanswered 100 s stop", &[2, 1, 1]);
    address(&mut plan, 2_000);
    answer(&mut plan, [0], Answer::Passed, 2_001);
    waits(&plan, 2_099, WaitsFor::Answers(1), 2_000, 2_100);
    let reason = Reason::Unanswered { targets: 1, within: 100 };
    assert_eq!(keep(&mut plan, 2_100), (Phase::Stopped, Some(reason)));
    order(&mut plan, Order::Resume, 2_150);
    assert_eq!(address(&mut plan, 2_151), [2]);
    // The next one that is silent is another matter.
    assert_eq!(keep(&mut plan, 2_251), (Phase::Stopped, Some(reason)));
}

#[test]
fn who_no_longer_belongs_is_not_waited_for() {
    let mut plan = plan("stop-at 1", &[2, 1, 1]);
    let Task::Address(first) = plan.poll_task(2_000) else { panic!("somebody is addressed") };
    plan.handle_addressed(first[0], 2_000);
    plan.handle_skipped(first[1]);
    answer(&mut plan, [0], Answer::Passed, 2_001);
    let Task::Address(second) = plan.poll_task(2_002) else { panic!("somebody is addressed") };
    plan.handle_skipped(second[0]);
    assert_eq!(address(&mut plan, 2_003), [3]);
}

#[test]
fn an_interrupted_wave_is_completed_before_it_is_waited_for() {
    let mut plan = plan("stop-at 1", &[3]);
    let Task::Address(first) = plan.poll_task(2_000) else { panic!("somebody is addressed") };
    plan.handle_addressed(first[1], 2_000);
    answer(&mut plan, [1], Answer::Passed, 2_001);
    assert_eq!(address(&mut plan, 2_002), [0, 2]);
}

#[test]
fn with_its_release_it_expires() {
    let mut plan = plan("stop-at 1; pause 100 s", &[1, 1]);
    address(&mut plan, 2_000);
    waits(&plan, 2_001, WaitsFor::Answers(1), 2_000, EXPIRES);
    let mut last = plan.clone();
    assert_eq!(keep(&mut plan, EXPIRES), (Phase::Expired, Some(Reason::Expired)));
    assert_eq!(plan.poll_task(EXPIRES), Task::Rest);
    answer(&mut last, [0], Answer::Passed, 2_002);
    address(&mut last, 2_102);
    assert_eq!(keep(&mut last, EXPIRES), (Phase::Finished, None));
}

#[test]
fn a_roll_out_to_nobody_is_over() {
    assert_eq!(keep(&mut plan("stop-at 1", &[]), 2_000), (Phase::Finished, None));
}

#[test]
fn an_answer_of_somebody_who_was_not_asked_is_none() {
    let mut plan = plan("stop-at 1", &[1, 1]);
    answer(&mut plan, [0, 1], Answer::Failed, 2_000);
    assert_eq!(address(&mut plan, 2_001), [0]);
}

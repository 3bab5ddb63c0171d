//! Schedules in fake time.

use proptest::prelude::*;

use super::*;

#[expect(clippy::disallowed_methods, reason = "any instant serves as the beginning")]
fn start() -> Instant {
    Instant::now()
}

fn plan(current: Option<u64>, now: Instant) -> WatchPlan {
    WatchPlan::new(WatchConfig::default(), current, None, 7, now)
}

fn actions(plan: &mut WatchPlan, now: Instant) -> Vec<Action> {
    std::iter::from_fn(|| plan.poll_action(now)).collect()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn listens_asks_once_and_fetches_what_is_announced() {
    let now = start();
    let mut plan = plan(None, now);
    assert_eq!(actions(&mut plan, now), [Action::OpenStream]);
    assert_eq!(plan.doing(), Doing::Connecting);
    plan.handle_stream_opened(now);
    assert_eq!(actions(&mut plan, now), [Action::AskNewest]);
    plan.handle_newest(None, now);
    assert_eq!((actions(&mut plan, now), plan.doing()), (vec![], Doing::Listening));
    assert_eq!(plan.poll_timeout(), Some(now + WatchConfig::default().check_every));

    plan.handle_event(1, now);
    assert_eq!(actions(&mut plan, now), [Action::Apply(Wanted::Newest)]);
    plan.handle_event(2, now);
    assert_eq!(actions(&mut plan, now), [], "one fetch at a time");
    plan.handle_applied(2, now);
    assert_eq!(actions(&mut plan, now), [], "the fetch had the second one already");
}

#[test]
fn polls_while_there_is_no_stream_and_tries_it_again_later_and_later() {
    let mut now = start();
    let mut plan = plan(Some(1), now);
    let (mut opened, mut asked) = (Vec::new(), 0u32);
    let end = now + 600 * SECOND;
    while now < end {
        for action in actions(&mut plan, now) {
            match action {
                Action::OpenStream => {
                    opened.push(now);
                    plan.handle_stream_lost(now);
                }
                Action::AskNewest => {
                    asked += 1;
                    plan.handle_newest(Some(1), now);
                }
                Action::CloseStream | Action::Apply(_) => panic!("{action:?}"),
            }
        }
        now = plan.poll_timeout().expect("there is always a next time");
    }
    assert!((20..=21).contains(&asked), "every half minute: {asked}");
    assert!((7..=16).contains(&opened.len()), "{} tries", opened.len());
    let gaps: Vec<_> = opened.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[0] <= SECOND && gaps.last().expect("some") > &(30 * SECOND), "{gaps:?}");
    plan.handle_stream_opened(now);
    assert_eq!(plan.doing(), Doing::Listening);
}

#[test]
fn a_stream_that_ends_as_soon_as_it_opens_is_not_opened_in_a_loop() {
    let mut now = start();
    let mut plan = plan(Some(1), now);
    let (mut opened, end) = (0, now + 60 * SECOND);
    while now < end {
        for action in actions(&mut plan, now) {
            match action {
                Action::OpenStream => {
                    opened += 1;
                    plan.handle_stream_opened(now);
                    plan.handle_stream_lost(now);
                }
                Action::AskNewest => plan.handle_newest(Some(1), now),
                Action::CloseStream | Action::Apply(_) => panic!("{action:?}"),
            }
        }
        now = plan.poll_timeout().expect("there is always a next time");
    }
    assert!(opened < 10, "{opened}");
}

#[test]
fn what_cannot_be_fetched_is_tried_again_and_a_newer_release_at_once() {
    let mut now = start();
    let mut plan = plan(Some(1), now);
    actions(&mut plan, now);
    plan.handle_stream_opened(now);
    actions(&mut plan, now);
    plan.handle_newest(Some(2), now);
    for _ in 0..6 {
        assert_eq!(actions(&mut plan, now), [Action::Apply(Wanted::Newest)]);
        plan.handle_apply_failed(now);
        assert_eq!((actions(&mut plan, now), plan.doing()), (vec![], Doing::BackingOff));
        now = plan.poll_timeout().expect("a next try");
    }
    plan.handle_apply_failed(now);
    assert!(plan.poll_timeout().expect("a next try") > now + 10 * SECOND);
    plan.handle_event(3, now);
    assert_eq!(actions(&mut plan, now), [Action::Apply(Wanted::Newest)]);
    plan.handle_applied(3, now);
    assert_eq!(plan.doing(), Doing::Listening);
}

#[test]
fn holds_what_it_was_told_to_and_follows_again_when_released() {
    let now = start();
    let mut plan = plan(Some(5), now);
    actions(&mut plan, now);
    plan.handle_stream_opened(now);
    actions(&mut plan, now);
    plan.handle_newest(Some(5), now);
    plan.handle_hold(Some(3), now);
    assert_eq!(actions(&mut plan, now), [Action::CloseStream, Action::Apply(Wanted::Release(3))]);
    plan.handle_applied(3, now);
    assert_eq!((plan.doing(), plan.poll_timeout()), (Doing::Holding, None));
    plan.handle_event(6, now);
    assert_eq!(actions(&mut plan, now), [], "nothing else while it holds");
    plan.handle_hold(None, now);
    let did = actions(&mut plan, now);
    assert_eq!(did, [Action::Apply(Wanted::Newest), Action::OpenStream]);
    plan.handle_applied(6, now);
    plan.handle_stream_opened(now);
    assert_eq!(actions(&mut plan, now), [Action::AskNewest]);
}

#[test]
fn a_fetch_that_was_cut_off_after_its_switch_is_gone_back_from() {
    let now = start();
    let mut plan = plan(Some(1), now);
    actions(&mut plan, now);
    plan.handle_stream_opened(now);
    actions(&mut plan, now);
    plan.handle_newest(Some(2), now);
    assert_eq!(actions(&mut plan, now), [Action::Apply(Wanted::Newest)]);
    // Release 2 is current and its hook runs when the user wants release 1 back.
    plan.handle_apply_failed(now);
    plan.handle_current(Some(2));
    plan.handle_hold(Some(1), now);
    assert_eq!(actions(&mut plan, now), [Action::CloseStream, Action::Apply(Wanted::Release(1))]);
    plan.handle_applied(1, now);
    assert_eq!((actions(&mut plan, now), plan.doing()), (vec![], Doing::Holding));
}

#[test]
fn what_is_current_but_not_finished_is_applied_again() {
    let now = start();
    let mut plan = WatchPlan::new(WatchConfig::default(), Some(2), Some(2), 7, now);
    assert_eq!(actions(&mut plan, now), []);
    plan.handle_current(None);
    assert_eq!(actions(&mut plan, now), [Action::Apply(Wanted::Release(2))]);
    plan.handle_applied(2, now);
    assert_eq!(actions(&mut plan, now), []);
}

#[test]
fn an_announcement_nobody_signed_is_not_fetched_for_ever() {
    let now = start();
    let mut plan = plan(Some(4), now);
    actions(&mut plan, now);
    plan.handle_stream_opened(now);
    actions(&mut plan, now);
    plan.handle_newest(Some(4), now);
    plan.handle_event(u64::MAX, now);
    assert_eq!(actions(&mut plan, now), [Action::Apply(Wanted::Newest)]);
    plan.handle_applied(4, now);
    assert_eq!(actions(&mut plan, now), []);
    plan.handle_event(5, now);
    assert_eq!(actions(&mut plan, now), [Action::Apply(Wanted::Newest)]);
}

proptest! {
    /// Whatever happens: never two of anything under way, never a busy loop, always a way on.
    #[test]
    fn never_two_at_once_and_never_stuck(
        seed: u64,
        steps in prop::collection::vec((0u8..10, 1u64..50), 1..200),
    ) {
        let mut now = start();
        let mut plan = WatchPlan::new(WatchConfig::default(), None, None, seed, now);
        let (mut stream, mut asking, mut applying, mut opening) = (false, false, None, false);
        for (step, number) in steps {
            let mut taken = 0;
            while let Some(action) = plan.poll_action(now) {
                taken += 1;
                prop_assert!(taken < 10, "a busy loop");
                match action {
                    Action::OpenStream => {
                        prop_assert!(!stream && !opening && plan.hold().is_none());
                        opening = true;
                    }
                    Action::CloseStream => {
                        prop_assert!(stream && plan.hold().is_some());
                        stream = false;
                    }
                    Action::AskNewest => {
                        prop_assert!(!asking && plan.hold().is_none());
                        asking = true;
                    }
                    Action::Apply(wanted) => {
                        prop_assert!(applying.is_none());
                        if let Some(hold) = plan.hold() {
                            prop_assert_eq!(wanted, Wanted::Release(hold));
                        }
                        applying = Some(wanted);
                    }
                }
            }
            let waits = stream || opening || asking || applying.is_some() || plan.hold().is_some();
            prop_assert!(waits || plan.poll_timeout().is_some(), "stuck");
            match step {
                0 if opening => { opening = false; stream = true; plan.handle_stream_opened(now); }
                1 if opening || stream => {
                    (opening, stream) = (false, false);
                    plan.handle_stream_lost(now);
                }
                2 if stream => plan.handle_event(number, now),
                3 if asking => { asking = false; plan.handle_newest(Some(number), now); }
                4 if asking => { asking = false; plan.handle_question_failed(now); }
                5 => if let Some(wanted) = applying.take() {
                    let done = match wanted { Wanted::Newest => number, Wanted::Release(n) => n };
                    plan.handle_applied(done, now);
                },
                6 if applying.take().is_some() => plan.handle_apply_failed(now),
                7 => plan.handle_hold((number % 3 == 0).then_some(number), now),
                8 => plan.handle_current((number % 4 != 0).then_some(number)),
                _ => now = plan.poll_timeout().map_or(now + SECOND, |due| due.max(now)),
            }
        }
    }
}

//! Whole plans: examples first, then random histories against a reference model.

use std::time::{Duration, Instant};

use super::*;

mod model;

fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
    Instant::now()
}

fn piece(number: u32) -> PieceId {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&number.to_be_bytes());
    PieceId(id)
}

const A: SourceId = SourceId(1);
const B: SourceId = SourceId(2);
const KIB: u32 = 1 << 10;
const MIB: u64 = 1 << 20;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn plan(sources: &[SourceId], pieces: u32, length: u32, now: Instant) -> FetchPlan {
    let mut plan = FetchPlan::new(Config::default());
    for source in sources {
        plan.handle_source_ready(*source, now);
    }
    for number in 0..pieces {
        plan.handle_wanted(piece(number), length, Priority::Ordered);
    }
    plan
}

fn events(plan: &mut FetchPlan) -> Vec<Event> {
    std::iter::from_fn(|| plan.poll_event()).collect()
}

fn requests(plan: &mut FetchPlan, now: Instant) -> Vec<Request> {
    std::iter::from_fn(|| plan.poll_request(now)).collect()
}

#[test]
fn a_window_is_asked_for_in_several_requests_and_refilled() {
    let now = start();
    let mut plan = plan(&[A], 1000, 64 * KIB, now);
    let sent = requests(&mut plan, now);
    let bytes: u64 = sent.iter().map(|request| request.bytes).sum();
    assert_eq!(sent.len(), 3);
    assert!(bytes > 11 * MIB && bytes <= 12 * MIB, "1.5 s of 8 MiB/s, not {bytes}");
    assert!(sent.iter().all(|request| request.bytes <= 4 * MIB));

    let now = now + Duration::from_millis(500);
    plan.handle_progress(sent[0].id, sent[0].bytes, now);
    for piece in &sent[0].pieces {
        assert_eq!(plan.handle_verified(sent[0].id, *piece, now), Outcome::Retrieved);
    }
    plan.handle_finished(sent[0].id, now);
    let more = requests(&mut plan, now);
    assert_eq!(more.len(), 1);
    assert_eq!(plan.progress().sources[0].rate / MIB, sent[0].bytes * 2 / MIB);
}

#[test]
fn a_request_has_at_most_1024_pieces_and_one_piece_however_large() {
    let now = start();
    let mut plan = plan(&[A], 3000, 10, now);
    plan.handle_wanted(piece(9999), u32::MAX, Priority::Demanded);
    let sent = requests(&mut plan, now);
    assert_eq!(sent[0].pieces, [piece(9999)]);
    plan.handle_verified(sent[0].id, piece(9999), now);
    plan.handle_finished(sent[0].id, now);
    let sent = requests(&mut plan, now);
    let counts: Vec<usize> = sent.iter().map(|request| request.pieces.len()).collect();
    assert_eq!(counts, [1024, 1024, 952]);
}

#[test]
fn asks_another_source_when_one_goes_silent_and_names_it() {
    let now = start();
    let mut plan = plan(&[A], 4, 64 * KIB, now);
    let silent = plan.poll_request(now).unwrap();
    plan.handle_source_ready(B, now);
    assert_eq!(plan.poll_request(now), None);

    let now = now + seconds(2);
    assert_eq!(plan.poll_timeout(), Some(now));
    plan.handle_timeout(now);
    let backup = plan.poll_request(now).unwrap();
    assert_eq!((backup.source, &backup.pieces), (B, &silent.pieces));
    assert_eq!(plan.poll_request(now), None, "one backup is enough");
    let state = PieceState::Assigned { request: silent.id, backup: Some(backup.id) };
    assert_eq!(plan.state_of(piece(0)), Some(state));

    for number in 0..4 {
        assert_eq!(plan.handle_verified(backup.id, piece(number), now), Outcome::Retrieved);
    }
    let heard = events(&mut plan);
    assert!(heard.contains(&Event::RequestCancelled(silent.id)));
    let named = |event: &Event| matches!(event, Event::SourceSuspended { source: A, reason, .. } if reason == "sent nothing for 2 s");
    assert!(heard.iter().any(named), "{heard:?}");
    plan.handle_finished(backup.id, now);
    assert!(plan.is_idle());
    // Its answer was on the way after all.
    assert_eq!(plan.handle_verified(silent.id, piece(0), now), Outcome::Duplicate);
    assert_eq!(plan.progress().wasted_bytes, u64::from(64 * KIB));
}

#[test]
fn nothing_ages_while_nobody_can_take_what_comes() {
    let now = start();
    let mut plan = plan(&[A], 1, 64 * KIB, now);
    let request = plan.poll_request(now).unwrap();
    plan.handle_blocked(now + seconds(1));
    assert_eq!(plan.poll_timeout(), None);
    plan.handle_timeout(now + seconds(1000));
    plan.handle_unblocked(now + seconds(1000));
    assert_eq!(events(&mut plan), []);
    assert_eq!(plan.poll_timeout(), Some(now + seconds(1001)));
    plan.handle_verified(request.id, piece(0), now + seconds(1000));
    assert!(plan.is_complete());
}

#[test]
fn an_idle_source_takes_the_far_end_of_a_slow_one() {
    let mut now = start();
    let mut plan = plan(&[A], 160, 64 * KIB, now);
    let slow = requests(&mut plan, now);
    // One piece in a quarter of a second: 256 KiB/s.
    now += Duration::from_millis(250);
    plan.handle_progress(slow[0].id, u64::from(64 * KIB), now);
    plan.handle_verified(slow[0].id, piece(0), now);
    plan.handle_source_ready(B, now);
    let help = plan.poll_request(now).unwrap();
    assert_eq!(help.source, B);
    assert!(!help.pieces.contains(&slow[0].pieces[1]), "the near end is left to the slow one");
    assert_eq!(help.pieces.last(), slow[0].pieces.last());
}

#[test]
fn wrong_bytes_drop_a_source_and_return_its_pieces() {
    let now = start();
    let mut plan = plan(&[A, B], 400, 64 * KIB, now);
    let sent = requests(&mut plan, now);
    let liar = sent.iter().find(|request| request.source == A).unwrap();
    plan.handle_wrong_bytes(liar.id, "chunk 1");
    let heard = events(&mut plan);
    let reason = "sent wrong bytes: chunk 1".to_owned();
    assert_eq!(
        heard.last(),
        Some(&Event::SourceDropped { source: A, fault: Fault::Dishonest, reason })
    );
    for request in sent.iter().filter(|request| request.source == A) {
        assert!(heard.contains(&Event::RequestCancelled(request.id)));
        assert!(request.pieces.iter().all(|p| plan.state_of(*p) == Some(PieceState::NotAssigned)));
    }
    plan.handle_source_ready(A, now);
    assert!(requests(&mut plan, now).iter().all(|request| request.source == B));
}

#[test]
fn what_no_source_has_is_reported_until_another_comes() {
    let now = start();
    let mut plan = plan(&[A, B], 1, 10, now);
    plan.handle_source_dropped(B, Fault::Dishonest, "lied before");
    let request = plan.poll_request(now).unwrap();
    plan.handle_finished(request.id, now);
    let obstacles = vec![(A, Obstacle::Lacks), (B, Obstacle::Dropped("lied before".to_owned()))];
    let reported = Event::PieceUnavailable { piece: piece(0), reasons: obstacles };
    assert_eq!(events(&mut plan).last(), Some(&reported));
    assert_eq!(plan.waits_for(), Waiting::AnotherSource);
    plan.handle_source_ready(SourceId(3), now);
    assert_eq!(plan.poll_request(now).unwrap().source, SourceId(3));
}

#[test]
fn says_what_it_waits_for() {
    let now = start();
    let mut plan = plan(&[], 1, 10, now);
    assert_eq!(plan.waits_for(), Waiting::Sources);
    plan.handle_source_ready(A, now);
    let request = plan.poll_request(now).unwrap();
    let answer = Waiting::Answer { source: A, since: now, pieces: 1, bytes: 10 };
    assert_eq!(plan.waits_for(), answer);
    plan.handle_failed(request.id, now, "is down");
    let until = now + Duration::from_millis(250);
    let reason = "is down".to_owned();
    assert_eq!(plan.waits_for(), Waiting::BackOff { source: A, since: now, until, reason });
    assert_eq!(plan.poll_timeout(), Some(until));
    plan.handle_timeout(until);
    let request = plan.poll_request(until).unwrap();
    plan.handle_verified(request.id, piece(0), until);
    assert_eq!(plan.waits_for(), Waiting::Wants);
}

#[test]
fn says_that_it_waits_for_the_end_of_an_answer() {
    let mut now = start();
    let mut plan = plan(&[A], 1, 10, now);
    let request = plan.poll_request(now).unwrap();
    now += seconds(1);
    // So slow that it gets one request after the other.
    plan.handle_progress(request.id, 10, now);
    plan.handle_verified(request.id, piece(0), now);
    plan.handle_wanted(piece(1), 64 * KIB, Priority::Ordered);
    assert_eq!(plan.poll_request(now), None);
    let end = Waiting::Answer { source: A, since: now, pieces: 0, bytes: 0 };
    assert_eq!(plan.waits_for(), end);
    plan.handle_finished(request.id, now);
    assert!(plan.poll_request(now).is_some());
}

#[test]
fn an_answer_that_does_not_end_is_cut() {
    let now = start();
    let mut plan = plan(&[A], 1, 10, now);
    let request = plan.poll_request(now).unwrap();
    plan.handle_verified(request.id, piece(0), now);
    assert!(plan.is_complete() && !plan.is_idle());
    plan.handle_timeout(now + seconds(1));
    assert!(plan.is_idle());
    assert!(events(&mut plan).contains(&Event::RequestCancelled(request.id)));
}

//! Joinings and admissions.

use hub_db::{HubDb, JOINING_LIFETIME, JoinOutcome, JoinRoom, JoinStep, Knocked, NewJoin};

use super::*;

const ROOM: JoinRoom = JoinRoom { all: 5, unannounced: 2 };

fn request(number: u8, admission: Option<u8>) -> NewJoin {
    NewJoin {
        id: [number; 32],
        community: community_of(1),
        admission: admission.map(|admission| [admission; 16]),
        request: vec![number; 3],
        now: NOW + u64::from(number),
    }
}

async fn knock(db: &dyn HubDb, number: u8, admission: Option<u8>) -> Knocked {
    db.knock(&request(number, admission), ROOM).await.expect("knocks")
}

fn kept(number: u8) -> Knocked {
    Knocked::Kept(NOW + u64::from(number) + JOINING_LIFETIME.as_secs())
}

async fn end(db: &dyn HubDb, number: u8, outcome: &JoinOutcome) -> JoinStep {
    db.end_join(&community_of(1), &[number; 32], outcome, NOW + 50).await.expect("ends")
}

fn refused() -> JoinOutcome {
    JoinOutcome::Refused("no".to_owned())
}

pub(crate) async fn a_joining_goes_step_by_step(db: &dyn HubDb) {
    assert_eq!(knock(db, 1, None).await, Knocked::NoCommunity);
    start(db, 1).await;
    start(db, 2).await;
    assert_eq!(knock(db, 1, None).await, kept(1));
    assert_eq!(knock(db, 1, None).await, kept(1), "again");
    let (community, other) = (community_of(1), community_of(2));
    let challenge = async |text: &[u8]| {
        db.challenge_join(&community, &[1; 32], text, NOW + 20).await.expect("decides")
    };
    let answer = async |text: &[u8]| {
        db.answer_join(&community, &[1; 32], text, NOW + 30).await.expect("decides")
    };
    assert_eq!(answer(b"early").await, JoinStep::OutOfTurn);
    assert_eq!(challenge(b"c").await, JoinStep::Now);
    assert_eq!(challenge(b"c").await, JoinStep::Before);
    assert_eq!(challenge(b"another").await, JoinStep::OutOfTurn);
    assert_eq!(answer(b"a").await, JoinStep::Now);
    assert_eq!(answer(b"a").await, JoinStep::Before);
    assert_eq!(answer(b"another").await, JoinStep::OutOfTurn);
    let found = db.join(&community, &[1; 32]).await.expect("reads").expect("is there");
    let told = (&found.request[..], found.challenge.as_deref(), found.answer.as_deref());
    assert_eq!(told, (&[1, 1, 1][..], Some(&b"c"[..]), Some(&b"a"[..])));
    assert_eq!((found.came, found.changed, &found.end), (NOW + 1, NOW + 30, &None));
    assert_eq!(db.joins(&community, 9).await.expect("reads"), [found]);
    // It is that community's alone.
    assert_eq!(db.joins(&other, 9).await.expect("reads"), []);
    assert_eq!(db.join(&other, &[1; 32]).await.expect("reads"), None);
    let step = db.challenge_join(&other, &[1; 32], b"c", NOW).await.expect("decides");
    assert_eq!(step, JoinStep::NoJoining);
    assert_eq!(end(db, 1, &JoinOutcome::Admitted).await, JoinStep::Now);
    assert_eq!(end(db, 1, &JoinOutcome::Admitted).await, JoinStep::Before);
    assert_eq!(end(db, 1, &refused()).await, JoinStep::OutOfTurn);
    assert_eq!(end(db, 9, &refused()).await, JoinStep::NoJoining);
    assert_eq!(db.joins(&community, 9).await.expect("reads"), []);
    let found = db.join(&community, &[1; 32]).await.expect("reads").expect("is there");
    assert_eq!(found.end, Some(JoinOutcome::Admitted));
    // Those that were broken off are shown behind those that go on.
    assert_eq!(knock(db, 3, None).await, kept(3));
    assert_eq!(end(db, 3, &JoinOutcome::Aborted("a stranger".to_owned())).await, JoinStep::Now);
    assert_eq!(knock(db, 4, None).await, kept(4));
    let shown = db.joins(&community, 9).await.expect("reads");
    assert_eq!(shown.iter().map(|one| one.id[0]).collect::<Vec<_>>(), [4, 3]);
    assert_eq!(db.joins(&community, 1).await.expect("reads")[0].id[0], 4);
    assert_eq!(end(db, 4, &refused()).await, JoinStep::Now);
    // What has ended takes no further step.
    assert_eq!(knock(db, 2, None).await, kept(2));
    assert_eq!(end(db, 2, &refused()).await, JoinStep::Now);
    let step = db.challenge_join(&community, &[2; 32], b"c", NOW).await.expect("decides");
    assert_eq!(step, JoinStep::OutOfTurn);
    let found = db.join(&community, &[2; 32]).await.expect("reads").expect("is there");
    assert_eq!(found.end, Some(refused()));
}

pub(crate) async fn an_admission_is_used_once_and_ends(db: &dyn HubDb) {
    start(db, 1).await;
    start(db, 2).await;
    let community = community_of(1);
    assert_eq!(knock(db, 1, Some(1)).await, Knocked::NoAdmission);
    db.admit(&community, &[1; 16], NOW + 20).await.expect("admits");
    assert_eq!(knock(db, 1, Some(1)).await, kept(1));
    // Refused, it may be tried again; admitted, it is used up.
    assert_eq!(end(db, 1, &refused()).await, JoinStep::Now);
    assert_eq!(knock(db, 2, Some(1)).await, kept(2));
    assert_eq!(end(db, 2, &JoinOutcome::Admitted).await, JoinStep::Now);
    assert_eq!(knock(db, 3, Some(1)).await, Knocked::NoAdmission);
    // Over, withdrawn, or another community's.
    db.admit(&community, &[2; 16], NOW + 4).await.expect("admits");
    assert_eq!(knock(db, 4, Some(2)).await, Knocked::NoAdmission);
    db.admit(&community, &[2; 16], NOW + 5).await.expect("admits for longer");
    assert_eq!(knock(db, 4, Some(2)).await, kept(4));
    db.admit(&community, &[3; 16], NOW + 99).await.expect("admits");
    assert!(db.withdraw_admission(&community, &[3; 16]).await.expect("withdraws"));
    assert!(!db.withdraw_admission(&community, &[3; 16]).await.expect("is gone"));
    assert_eq!(knock(db, 5, Some(3)).await, Knocked::NoAdmission);
    db.admit(&community_of(2), &[4; 16], NOW + 99).await.expect("admits");
    assert_eq!(knock(db, 5, Some(4)).await, Knocked::NoAdmission);
}

pub(crate) async fn joinings_leave_room_for_those_with_an_admission(db: &dyn HubDb) {
    start(db, 1).await;
    for admission in 1..=9 {
        db.admit(&community_of(1), &[admission; 16], NOW + 99).await.expect("admits");
    }
    assert_eq!(knock(db, 1, None).await, kept(1));
    // One secret that got about is good for one place, and no more.
    assert_eq!(knock(db, 2, Some(1)).await, kept(2));
    assert_eq!(knock(db, 3, Some(1)).await, kept(3));
    assert_eq!(knock(db, 4, Some(1)).await, Knocked::Full);
    assert_eq!(knock(db, 4, None).await, Knocked::Full);
    assert_eq!(knock(db, 4, Some(2)).await, kept(4));
    // Whoever breaks off keeps the place taken; a manager gives it back.
    let aborted = JoinOutcome::Aborted("elsewhere".to_owned());
    assert_eq!(end(db, 1, &aborted).await, JoinStep::Now);
    assert_eq!(knock(db, 5, None).await, Knocked::Full);
    assert_eq!(end(db, 3, &refused()).await, JoinStep::Now);
    assert_eq!(knock(db, 5, None).await, kept(5));
    assert_eq!(knock(db, 6, Some(3)).await, kept(6));
    assert_eq!(knock(db, 7, Some(4)).await, Knocked::Full, "of all");
    assert_eq!(knock(db, 6, Some(3)).await, kept(6), "who is in is in");
}

pub(crate) async fn old_joinings_and_admissions_are_forgotten(db: &dyn HubDb) {
    start(db, 1).await;
    let community = community_of(1);
    db.admit(&community, &[1; 16], NOW + 99).await.expect("admits");
    for number in [1, 2] {
        assert_eq!(knock(db, number, None).await, kept(number));
    }
    db.challenge_join(&community, &[1; 32], b"c", NOW + 10).await.expect("challenges");
    db.drop_expired(NOW + 2 + JOINING_LIFETIME.as_secs()).await.expect("drops");
    assert!(db.join(&community, &[1; 32]).await.expect("reads").is_some(), "went on since");
    assert_eq!(db.join(&community, &[2; 32]).await.expect("reads"), None);
    assert!(!db.withdraw_admission(&community, &[1; 16]).await.expect("is forgotten"));
}

//! Idempotency keys.

use hub_db::{CLAIM_LIFETIME, CLAIM_RUNNING, Claim, HubDb};

use super::*;

pub(crate) async fn a_request_is_claimed_once_and_its_answer_kept(db: &dyn HubDb) {
    let (account, other) = (publisher(db, 1).await, publisher(db, 2).await);
    let claim = async |key: &str, hash: u8, now| {
        db.claim(account.id, key, &[hash; 32], now).await.expect("claims")
    };
    assert_eq!(claim("k", 1, NOW).await, Claim::New);
    assert_eq!(claim("k", 1, NOW).await, Claim::Running);
    assert_eq!(claim("k", 2, NOW).await, Claim::OtherRequest);
    assert_eq!(claim("l", 1, NOW).await, Claim::New, "another key");
    let others = db.claim(other.id, "k", &[9; 32], NOW).await.expect("claims");
    assert_eq!(others, Claim::New, "another account");

    db.answer(account.id, "k", 201, b"{}").await.expect("answers");
    let answered = Claim::Answered { status: 201, body: b"{}".to_vec() };
    let end = NOW + CLAIM_LIFETIME.as_secs();
    assert_eq!(claim("k", 1, end - 1).await, answered);
    assert_eq!(claim("k", 2, end - 1).await, Claim::OtherRequest);
    assert_eq!(claim("k", 2, end).await, Claim::New, "the answer was kept long enough");
    assert_eq!(claim("k", 2, end).await, Claim::Running);

    db.unclaim(account.id, "l").await.expect("gives back");
    assert_eq!(claim("l", 5, NOW).await, Claim::New);
    db.answer(account.id, "l", 204, b"").await.expect("answers");
    db.unclaim(account.id, "l").await.expect("gives nothing back");
    assert_eq!(claim("l", 5, NOW).await, Claim::Answered { status: 204, body: vec![] });

    assert_eq!(claim("m", 1, NOW).await, Claim::New);
    let late = NOW + CLAIM_RUNNING.as_secs();
    assert_eq!(claim("m", 1, late - 1).await, Claim::Running);
    assert_eq!(claim("m", 1, late).await, Claim::New, "it was broken off");
    assert_eq!(db.drop_running_claims().await.expect("drops"), 3, "k, m, and the other's k");
    assert_eq!(claim("m", 3, NOW).await, Claim::New);
    db.drop_expired(end).await.expect("drops");
    assert_eq!(claim("l", 6, NOW).await, Claim::New, "was forgotten");
}

pub(crate) async fn of_many_same_requests_one_is_done(db: &dyn HubDb) {
    let account = publisher(db, 1).await;
    let claims = (0..8).map(async |_| db.claim(account.id, "k", &[1; 32], NOW).await);
    let claims = futures_util::future::join_all(claims).await;
    let claims: Vec<Claim> = claims.into_iter().map(|it| it.expect("claims")).collect();
    assert_eq!(claims.iter().filter(|claim| **claim == Claim::New).count(), 1, "{claims:?}");
    assert_eq!(claims.iter().filter(|claim| **claim == Claim::Running).count(), 7, "{claims:?}");
}

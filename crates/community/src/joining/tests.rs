use super::*;
use crate::scene::{challenge, charter, key, membership, request};

fn secret() -> JoinSecret {
    JoinSecret::from_random([7; 16])
}

/// The machine has key 5, the manager key 1.
fn signed_request() -> Vec<u8> {
    request().sign(&key(5))
}

fn signed_challenge() -> Vec<u8> {
    challenge(&signed_request()).sign(&key(1))
}

fn answer(secret: Option<&JoinSecret>) -> JoinAnswer {
    JoinAnswer::new(request().community, &signed_challenge(), key(5).public(), secret)
}

fn open_answer(signed: &[u8], expected: Option<&JoinSecret>) -> Result<JoinAnswer, JoinError> {
    JoinAnswer::open(signed, &request(), &signed_challenge(), expected)
}

#[test]
fn a_joining_that_nobody_disturbs() {
    assert_eq!(JoinRequest::open(&signed_request()), Ok(request()));
    let challenge = JoinChallenge::open(&signed_challenge(), &charter(), &signed_request());
    assert_eq!(challenge, Ok(crate::scene::challenge(&signed_request())));
    for secret in [None, Some(&secret())] {
        let answer = answer(secret);
        assert_eq!(open_answer(&answer.sign(&key(5)), secret), Ok(answer));
    }
    assert_eq!(request().check(&membership("berlin-1", 5)), Ok(()));
}

/// C-4: the machine breaks off when the manager's identity does not match the seed.
#[test]
fn somebody_else_than_a_manager_is_not_believed() {
    let eve = JoinChallenge { manager: key(9).public(), ..challenge(&signed_request()) };
    let opened = JoinChallenge::open(&eve.sign(&key(9)), &charter(), &signed_request());
    assert_eq!(opened, Err(JoinError::NoManager(key(9).public())));
    let forged = challenge(&signed_request()).sign(&key(9));
    let opened = JoinChallenge::open(&forged, &charter(), &signed_request());
    let expected = key(1).public();
    assert_eq!(opened, Err(JoinError::Document(DocumentError::BadSignature { expected })));
}

#[test]
fn what_was_recorded_in_an_earlier_joining_is_of_no_use() {
    let earlier = JoinRequest { nonce: [0; 32], ..request() }.sign(&key(5));
    let recorded = challenge(&earlier).sign(&key(1));
    let opened = JoinChallenge::open(&recorded, &charter(), &signed_request());
    assert_eq!(opened, Err(JoinError::OtherJoining("challenge")));
    let other = JoinChallenge { nonce: [0; 32], ..challenge(&signed_request()) }.sign(&key(1));
    let recorded = JoinAnswer::new(request().community, &other, key(5).public(), Some(&secret()));
    let opened = open_answer(&recorded.sign(&key(5)), Some(&secret()));
    assert_eq!(opened, Err(JoinError::OtherJoining("answer")));
}

#[test]
fn a_wrong_missing_or_borrowed_secret_admits_nobody() {
    let other = JoinSecret::from_random([8; 16]);
    for wrong in [None, Some(&other)] {
        let opened = open_answer(&answer(wrong).sign(&key(5)), Some(&secret()));
        assert_eq!(opened, Err(JoinError::WrongSecret));
    }
    // What the hub knows is not enough.
    let admission = secret().admission();
    let guessed = [admission, admission].concat().try_into().expect("32 bytes");
    let guess = JoinAnswer { proof: Some(guessed), ..answer(None) };
    assert_eq!(open_answer(&guess.sign(&key(5)), Some(&secret())), Err(JoinError::WrongSecret));
    // The right proof by another machine.
    let borrowed = JoinAnswer { key: key(6).public(), ..answer(Some(&secret())) };
    assert!(open_answer(&borrowed.sign(&key(6)), Some(&secret())).is_err());
}

#[test]
fn a_membership_is_that_of_the_machine_that_asked() {
    let other_key = membership("berlin-1", 6);
    let other_name = membership("berlin-2", 5);
    for other in [other_key, other_name] {
        let error = JoinError::OtherPeer(request().peer);
        assert_eq!(request().check(&other), Err(error));
    }
}

use super::*;
use crate::scene::{challenge, charter, key, peer, request};

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
    JoinAnswer::new(&request(), &signed_challenge(), secret)
}

fn open_answer(signed: &[u8]) -> Result<JoinAnswer, JoinError> {
    let opened = JoinAnswer::open(signed, &charter(), &signed_request(), &signed_challenge());
    opened.map(|(_, answer)| answer)
}

#[test]
fn a_joining_that_nobody_disturbs() {
    assert_eq!(JoinRequest::open(&signed_request()), Ok(request()));
    let challenge = JoinChallenge::open(&signed_challenge(), &charter(), &signed_request());
    assert_eq!(challenge, Ok(crate::scene::challenge(&signed_request())));
    for secret in [None, Some(&secret())] {
        let answer = answer(secret);
        assert_eq!(open_answer(&answer.sign(&key(5))), Ok(answer.clone()));
        let admitted = answer.admit(&request(), &self::secret());
        assert_eq!(admitted.is_ok(), secret.is_some());
    }
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
    let recorded = JoinAnswer::new(&request(), &other, Some(&secret()));
    let opened = open_answer(&recorded.sign(&key(5)));
    assert_eq!(opened, Err(JoinError::OtherJoining("answer")));
    // A challenge by a manager of another request does not make it one of this.
    let opened = JoinAnswer::open(&recorded.sign(&key(5)), &charter(), &earlier, &other);
    assert_eq!(opened, Err(JoinError::OtherJoining("challenge")));
}

#[test]
fn a_wrong_missing_or_borrowed_secret_admits_nobody() {
    let refused = Err(JoinError::WrongSecret);
    let other = JoinSecret::from_random([8; 16]);
    for wrong in [None, Some(&other)] {
        assert_eq!(answer(wrong).admit(&request(), &secret()), refused);
    }
    // What the hub knows is not enough.
    let admission = secret().admission(&charter().community, &request().peer);
    let guessed = [admission, admission].concat().try_into().expect("32 bytes");
    let guess = JoinAnswer { proof: Some(guessed), ..answer(None) };
    assert_eq!(guess.admit(&request(), &secret()), refused);
    // The right proof by another machine.
    let borrowed = JoinAnswer { key: key(6).public(), ..answer(Some(&secret())) };
    assert!(open_answer(&borrowed.sign(&key(6))).is_err());
    // A secret that was made for another peer, and one whose place was not asked for.
    let elsewhere = JoinRequest { peer: peer("berlin-2"), ..request() };
    let answered = JoinAnswer::new(&elsewhere, &signed_challenge(), Some(&secret()));
    assert_eq!(answered.admit(&request(), &secret()), refused);
    let unasked = JoinRequest { admission: None, ..request() };
    assert_eq!(answer(Some(&secret())).admit(&unasked, &secret()), refused);
}

#[test]
fn a_key_that_nothing_can_be_sealed_for_joins_nowhere() {
    let weak = JoinRequest { exchange: ExchangePublic::from_bytes([0; 32]), ..request() };
    assert_eq!(JoinRequest::open(&weak.sign(&key(5))), Err(JoinError::WeakKey(weak.peer)));
}

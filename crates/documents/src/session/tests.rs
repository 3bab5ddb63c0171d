use super::*;

fn hub() -> NodeKey {
    NodeKey::from_secret_bytes([1; 32])
}

fn node() -> NodeKey {
    NodeKey::from_secret_bytes([2; 32])
}

fn token() -> SessionToken {
    let (issuer, subject) = (hub().public(), node().public());
    SessionToken { issuer, subject, issued: 1_000, expires: 2_000 }
}

#[test]
fn a_proof_comes_back_for_its_own_key_alone() {
    let proof = SessionProof { hub: [3; 32], challenge: [4; 32], key: node().public() };
    let signed = proof.sign(&node());
    assert_eq!(SessionProof::open(&signed, &node().public()), Ok(proof));
    assert_eq!(
        SessionProof::open(&signed, &hub().public()),
        Err(DocumentError::WrongKey { expected: hub().public(), found: node().public() })
    );
    assert_eq!(
        SessionProof::open(&proof.sign(&hub()), &node().public()),
        Err(DocumentError::BadSignature { expected: node().public() })
    );
}

#[test]
fn a_registration_is_no_session_proof() {
    let registration = Registration { hub: [3; 32], secret: [4; 16], key: node().public() };
    let signed = registration.sign(&node());
    assert_eq!(Registration::open(&signed, &node().public()), Ok(registration));
    assert_eq!(
        SessionProof::open(&signed, &node().public()),
        Err(DocumentError::WrongContext {
            expected: Context::Session,
            found: Context::Registration
        })
    );
    assert!(!format!("{registration:?}").contains('4'.to_string().repeat(2).as_str()));
}

#[test]
fn a_token_is_good_until_it_expires() {
    let signed = token().issue(&hub());
    assert_eq!(SessionToken::verify(&signed, &hub().public(), 1_999), Ok(token()));
    assert_eq!(
        SessionToken::verify(&signed, &hub().public(), 2_000),
        Err(TokenError::Expired { expires: 2_000, now: 2_000 })
    );
}

#[test]
fn a_token_of_another_hub_or_made_by_oneself_is_refused() {
    let refused = |signed: &[u8]| SessionToken::verify(signed, &hub().public(), 1_500);
    let own = SessionToken { issuer: node().public(), ..token() };
    assert_eq!(
        refused(&own.issue(&node())),
        Err(DocumentError::WrongKey { expected: hub().public(), found: node().public() }.into())
    );
    assert_eq!(
        refused(&token().issue(&node())),
        Err(DocumentError::BadSignature { expected: hub().public() }.into())
    );
}

/// A CWT that others wrote differently, such as with `sub` and `cnf` apart, is refused.
#[test]
fn a_token_for_two_keys_is_refused() {
    let good = token().encode();
    assert_eq!(SessionToken::decode(&good), Ok(token()));
    let mut altered = good.clone();
    let last = altered.len() - 1;
    altered[last] ^= 1;
    assert!(matches!(SessionToken::decode(&altered), Err(DecodeError::Invalid { .. })));
}

#[test]
fn an_oversized_token_is_refused_before_it_is_parsed() {
    let mut endless = token().issue(&hub());
    endless.resize(crate::DOCUMENT_BYTES_MAX + 1, 0);
    assert_eq!(
        SessionToken::verify(&endless, &hub().public(), 0),
        Err(DocumentError::TooLarge { length: crate::DOCUMENT_BYTES_MAX + 1 }.into())
    );
}

#[test]
fn no_flipped_bit_or_missing_byte_passes() {
    let signed = token().issue(&hub());
    for length in 0..signed.len() {
        SessionToken::verify(&signed[..length], &hub().public(), 0).expect_err("cut short");
    }
    for bit in 0..signed.len() * 8 {
        let mut altered = signed.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        SessionToken::verify(&altered, &hub().public(), 0).expect_err("altered");
    }
}

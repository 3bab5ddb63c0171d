use super::*;

fn invitation() -> Invitation {
    Invitation {
        url: "https://hub.example:7333".into(),
        fingerprint: certificate_fingerprint(b"certificate"),
        secret: [3; 16],
    }
}

#[test]
fn an_invitation_prints_and_parses_and_debug_hides_the_secret() {
    let text = invitation().to_string();
    assert_eq!(text.parse(), Ok(invitation()));
    assert_eq!(format!("{:?}", invitation()), "Invitation(to https://hub.example:7333)");
    let longest =
        Invitation { url: format!("http://{}", "x".repeat(URL_BYTES_MAX - 7)), ..invitation() };
    let text = longest.to_string();
    assert!(text.len() <= INVITATION_BYTES_MAX, "{} bytes", text.len());
    assert_eq!(text.parse(), Ok(longest));
}

#[test]
fn a_fingerprint_is_the_sha_256_of_the_certificate() {
    assert_eq!(
        hex::encode(certificate_fingerprint(b"abc")),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn an_oversized_text_is_refused_before_it_is_decoded() {
    let text = format!("{PREFIX}{}", "A".repeat(INVITATION_BYTES_MAX));
    assert_eq!(text.parse::<Invitation>(), Err(ParseInvitationError::TooLarge(text.len())));
}

#[test]
fn a_damaged_text_is_refused_or_says_something_else() {
    let text = invitation().to_string();
    for length in 0..text.len() {
        text[..length].parse::<Invitation>().expect_err("cut short");
    }
    for index in 0..text.len() {
        for character in ['A', 'z', '_', '=', '\n'] {
            let mut altered = text.clone();
            altered.replace_range(index..=index, &character.to_string());
            if let Ok(parsed) = altered.parse::<Invitation>() {
                assert_eq!(parsed.to_string(), altered);
            }
        }
    }
    let other = text.replace("invite-1", "invite-2");
    assert_eq!(other.parse::<Invitation>(), Err(ParseInvitationError::Prefix));
    let spaced = format!("{text} ");
    assert_eq!(spaced.parse::<Invitation>(), Err(ParseInvitationError::Text));
}

#[test]
fn addresses_that_could_do_harm_are_refused() {
    for url in ["file:///etc/passwd", "https://a b", "https://a\nb", "https://é", ""] {
        let text = Invitation { url: url.into(), ..invitation() }.to_string();
        let parsed = text.parse::<Invitation>();
        assert!(
            matches!(parsed, Err(ParseInvitationError::Malformed(DecodeError::Invalid { .. }))),
            "{url:?}"
        );
    }
}

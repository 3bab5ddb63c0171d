//! What a hub is called in proofs when no fingerprint names it.

const CONTEXT: &str = "consign-hub-origin-1:";

/// Names the hub at an `https://` URL whose certificate is checked by the web's authorities: the
/// SHA-256 of the context and the URL's origin. All zero for any other URL.
///
/// A certificate from such an authority is renewed every few weeks, so its fingerprint names
/// nothing for long; the origin is what the authority vouches for. With it in a proof, a hub
/// that is shown the proof cannot use it at another hub.
///
/// The origin is `https://`, the host in small letters, and `:` and the port unless it is 443.
#[must_use]
pub fn origin_identity(url: &str) -> [u8; 32] {
    let Some(rest) = url.strip_prefix("https://") else { return [0; 32] };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let authority = authority.strip_suffix(":443").unwrap_or(&authority);
    let text = format!("{CONTEXT}https://{authority}");
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_origin_are_one_identity_and_others_are_others() {
        let hub = origin_identity("https://hub.example.org");
        for same in [
            "https://hub.example.org/",
            "https://HUB.example.org",
            "https://hub.example.org:443/base?query#part",
        ] {
            assert_eq!(origin_identity(same), hub, "{same}");
        }
        for other in [
            "https://hub.example.org:8443",
            "https://hub.example.com",
            "https://hub.example.org:4430",
        ] {
            assert_ne!(origin_identity(other), hub, "{other}");
        }
        assert_eq!(origin_identity("http://hub.example.org"), [0; 32]);
        assert_eq!(
            hex::encode(hub),
            "45a5210756ddb8b941722c9d6436315620a8694e5487d91fc5e7ff05892254ae",
        );
    }
}

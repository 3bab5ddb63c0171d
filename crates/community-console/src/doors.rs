//! Who is let in: links from the terminal, the sessions they open, and names that lead here.
//!
//! Secrets are kept and compared as hashes, whose comparison takes the same time wherever they differ.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, header};
use blake3::Hash;
use tokio::sync::watch;

/// Browsers that are signed in at once; one more ends the oldest session.
const SESSIONS_MAX: usize = 16;

/// 256 bits that nobody guesses.
#[derive(Clone, PartialEq, Eq)]
struct Secret([u8; 32]);

impl Secret {
    fn new() -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self(secret))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut secret = [0; 32];
        hex::decode_to_slice(text, &mut secret).ok()?;
        Some(Self(secret))
    }

    fn hash(&self) -> Hash {
        blake3::hash(&self.0)
    }
}

/// Lets in and keeps out.
pub(crate) struct Doors {
    listens: SocketAddr,
    /// The link that was not used yet.
    link: watch::Sender<String>,
    inner: Mutex<Inner>,
}

struct Inner {
    link: Hash,
    /// The oldest first.
    sessions: Vec<Hash>,
}

impl Doors {
    pub(crate) fn new(listens: SocketAddr) -> Result<Self, getrandom::Error> {
        let secret = Secret::new()?;
        let inner = Inner { link: secret.hash(), sessions: Vec::new() };
        let link = watch::Sender::new(link(listens, &secret));
        Ok(Self { listens, link, inner: Mutex::new(inner) })
    }

    /// The link that was not used yet, and every later one.
    pub(crate) fn links(&self) -> watch::Receiver<String> {
        self.link.subscribe()
    }

    /// Where it listens, for people.
    pub(crate) fn host(&self) -> String {
        self.listens.to_string()
    }

    /// Whether a request is for us by an address, or by a name that is ours: one that somebody else has
    /// pointed here would make our pages theirs to read.
    pub(crate) fn is_meant(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let Ok(host) = host.to_str() else { return false };
        if let Ok(address) = host.parse::<SocketAddr>() {
            let ip = self.listens.ip();
            return address.port() == self.listens.port()
                && (address.ip() == ip || ip.is_unspecified());
        }
        let is_local = self.listens.ip().is_loopback() || self.listens.ip().is_unspecified();
        let (name, port) = host.rsplit_once(':').unwrap_or((host, "80"));
        if port.parse() != Ok(self.listens.port()) {
            return false;
        }
        // Without a port it is the one of HTTP.
        let bare = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        is_local && name.eq_ignore_ascii_case("localhost")
            || bare.is_ok_and(|ip| ip == self.listens.ip())
    }

    /// Spends the link with this secret: the value of a cookie that opens everything, and the next link
    /// is told.
    pub(crate) fn spend(&self, given: &str) -> Result<Option<String>, getrandom::Error> {
        let given = given.trim();
        // A whole link does as well as its secret.
        let given = given.rsplit_once('#').map_or(given, |(_, secret)| secret);
        let Some(given) = Secret::parse(given) else { return Ok(None) };
        let (next, session) = (Secret::new()?, Secret::new()?);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.link != given.hash() {
            return Ok(None);
        }
        inner.link = next.hash();
        if inner.sessions.len() >= SESSIONS_MAX {
            inner.sessions.remove(0);
        }
        inner.sessions.push(session.hash());
        self.link.send_replace(link(self.listens, &next));
        Ok(Some(format!(
            "{}={}; Path=/; HttpOnly; SameSite=Strict",
            self.cookie(),
            hex::encode(session.0)
        )))
    }

    /// The session that a request names, if there is one.
    pub(crate) fn session(&self, headers: &HeaderMap) -> Option<Session> {
        let name = self.cookie();
        let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| {
            let (found, value) = pair.trim().split_once('=')?;
            (found == name).then_some(value)
        });
        let session = Session(Secret::parse(pairs.next()?)?.hash());
        self.is_open(&session).then_some(session)
    }

    /// Whether a session was not ended meanwhile.
    pub(crate) fn is_open(&self, session: &Session) -> bool {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.sessions.contains(&session.0)
    }

    /// Browsers send cookies to every port of a host: two consoles must not take each other's place.
    fn cookie(&self) -> String {
        format!("consign-community-{}", self.listens.port())
    }
}

/// Somebody who is signed in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Session(Hash);

/// The secret stands behind the `#`, which no browser sends.
fn link(listens: SocketAddr, secret: &Secret) -> String {
    // Nobody opens 0.0.0.0 in a browser.
    let host = match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => format!("127.0.0.1:{}", listens.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => format!("[::1]:{}", listens.port()),
        IpAddr::V4(_) | IpAddr::V6(_) => listens.to_string(),
    };
    format!("http://{host}/sign-in#{}", hex::encode(secret.0))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn doors(listens: &str) -> Doors {
        Doors::new(listens.parse().expect("an address")).expect("random bytes")
    }

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).expect("a value"));
        headers
    }

    #[test]
    fn only_our_own_names_lead_here() {
        for (listens, host, meant) in [
            ("127.0.0.1:8000", "127.0.0.1:8000", true),
            ("127.0.0.1:8000", "localhost:8000", true),
            ("127.0.0.1:8000", "LOCALHOST:8000", true),
            ("127.0.0.1:80", "127.0.0.1", true),
            ("127.0.0.1:80", "localhost", true),
            ("[::1]:8000", "[::1]:8000", true),
            ("[::1]:8000", "localhost:8000", true),
            ("192.0.2.7:8000", "192.0.2.7:8000", true),
            ("0.0.0.0:8000", "192.0.2.7:8000", true),
            ("0.0.0.0:8000", "localhost:8000", true),
            ("127.0.0.1:8000", "127.0.0.1:8001", false),
            ("127.0.0.1:8000", "127.0.0.1", false),
            ("127.0.0.1:8000", "localhost", false),
            ("127.0.0.1:8000", "evil.example:8000", false),
            ("127.0.0.1:8000", "localhost.evil.example:8000", false),
            ("127.0.0.1:8000", "127.0.0.1.evil.example:8000", false),
            ("127.0.0.1:8000", "192.0.2.7:8000", false),
            ("192.0.2.7:8000", "localhost:8000", false),
            ("0.0.0.0:8000", "evil.example:8000", false),
            ("127.0.0.1:8000", "", false),
        ] {
            let found = doors(listens).is_meant(&headers(header::HOST, host));
            assert_eq!(found, meant, "{host} at {listens}");
        }
        assert!(!doors("127.0.0.1:8000").is_meant(&HeaderMap::new()), "no name at all");
        let mut two = headers(header::HOST, "127.0.0.1:8000");
        two.append(header::HOST, HeaderValue::from_static("evil.example"));
        assert!(!doors("127.0.0.1:8000").is_meant(&two), "two names");
    }

    #[test]
    fn a_link_opens_one_session_and_is_followed_by_another() {
        let doors = doors("127.0.0.1:8000");
        let links = doors.links();
        let first = links.borrow().clone();
        assert!(first.starts_with("http://127.0.0.1:8000/sign-in#"), "{first}");
        for wrong in ["", "0", &"0".repeat(64), &first[..first.len() - 1]] {
            assert_eq!(doors.spend(wrong), Ok(None), "{wrong}");
        }
        let cookie = doors.spend(&first).expect("random").expect("opens");
        assert_eq!(doors.spend(&first), Ok(None), "it is spent");
        let second = links.borrow().clone();
        assert_ne!(first, second);
        let pair = cookie.split(';').next().expect("a pair").to_owned();
        let session = doors.session(&headers(header::COOKIE, &format!("a=b; {pair}")));
        assert!(session.is_some_and(|session| doors.is_open(&session)));
        for wrong in ["", "a=b", &pair[..pair.len() - 1], &pair.replace("8000", "8001")] {
            assert!(doors.session(&headers(header::COOKIE, wrong)).is_none(), "{wrong}");
        }
        // Many more end the oldest.
        for _ in 0..SESSIONS_MAX {
            let next = links.borrow().clone();
            assert!(doors.spend(&next).expect("random").is_some());
        }
        assert!(!doors.is_open(&session.expect("was open")));
    }
}

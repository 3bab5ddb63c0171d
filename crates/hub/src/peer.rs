//! Where a request came from.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};

/// The header in which proxies note, one after the other, whom they were asked by.
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Address of the other end of the connection; each request carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) IpAddr);

impl Peer {
    /// The address of the client: that of the peer, unless the peer is a trusted proxy. Then it
    /// is the last address in the header that is not a trusted proxy's itself; what stands
    /// before it may have been written by anybody.
    pub(crate) fn client(self, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
        let trusts = |address: IpAddr| trusted.contains(&address.to_canonical());
        let mut client = self.0.to_canonical();
        // A proxy appends to what the client wrote, which may be any bytes at all.
        let noted: Vec<&[u8]> = headers
            .get_all(FORWARDED_FOR)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .collect();
        for text in noted.into_iter().rev() {
            if !trusts(client) {
                break;
            }
            match parse(text) {
                Some(address) => client = address,
                None => break,
            }
        }
        client
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // Every request that came over a connection has one.
        let peer = parts.extensions.get::<Self>().copied();
        Ok(peer.unwrap_or(Self(Ipv6Addr::UNSPECIFIED.into())))
    }
}

/// Some proxies note the port too.
fn parse(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let address = text.parse().or_else(|_| text.parse::<SocketAddr>().map(|with| with.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn check(peer: &str, header: Option<&'static str>, trusted: &[&str], expected: &str) {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            let header = HeaderValue::from_bytes(header.as_bytes()).expect("a header");
            headers.insert(FORWARDED_FOR, header);
        }
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let trusted: Vec<IpAddr> = trusted.iter().map(|text| address(text)).collect();
        let client = Peer(address(peer)).client(&headers, &trusted);
        assert_eq!(client, address(expected), "{peer} {header:?} {trusted:?}");
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        check("192.0.2.1", None, &["192.0.2.1"], "192.0.2.1");
        check("192.0.2.1", Some("198.51.100.7"), &[], "192.0.2.1");
        check("192.0.2.1", Some("198.51.100.7"), &["192.0.2.2"], "192.0.2.1");
        check("192.0.2.1", Some("198.51.100.7"), &["192.0.2.1"], "198.51.100.7");
        check("::ffff:192.0.2.1", Some("2001:db8::7"), &["192.0.2.1"], "2001:db8::7");
        // What the client itself wrote comes first and counts for nothing.
        check("192.0.2.1", Some("10.0.0.1, 198.51.100.7"), &["192.0.2.1"], "198.51.100.7");
        check(
            "192.0.2.1",
            Some("10.0.0.1, 198.51.100.7, 192.0.2.2"),
            &["192.0.2.1", "192.0.2.2"],
            "198.51.100.7",
        );
        check("192.0.2.1", Some("198.51.100.7:4711"), &["192.0.2.1"], "198.51.100.7");
        check("192.0.2.1", Some("unknown"), &["192.0.2.1"], "192.0.2.1");
        check("192.0.2.1", Some("10.0.0.1, unknown"), &["192.0.2.1"], "192.0.2.1");
        check("192.0.2.1", Some("\u{ff}, 198.51.100.7"), &["192.0.2.1"], "198.51.100.7");
    }
}

//! Whether a writing request comes from the console's own pages.
//!
//! Besides the token in every form and a cookie that other sites' requests do not carry: three
//! defences, none of which relies on another.

use axum::http::{HeaderMap, header};

/// `Sec-Fetch-Site` decides when the browser sends it, which it does for TLS and on the own
/// machine. Without it `Origin` must be there and be ours, or `null`, which is what browsers make
/// of it for pages that pass on no referrer, as ours.
pub(super) fn is_own(headers: &HeaderMap, url: &str) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) else {
        return false;
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    origin == "null"
        || origin == url.trim_end_matches('/')
        || (authority.is_some() && authority == host)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn own(pairs: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        is_own(&headers, "https://hub.example.org")
    }

    #[test]
    fn only_own_pages_write() {
        assert!(own(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(own(&[("origin", "https://hub.example.org"), ("host", "127.0.0.1:7400")]));
        assert!(own(&[("origin", "http://hub.lan:7400"), ("host", "hub.lan:7400")]));
        assert!(own(&[("origin", "null"), ("host", "hub.lan:7400")]));

        assert!(!own(&[]));
        assert!(!own(&[("host", "hub.lan:7400")]));
        assert!(!own(&[("origin", "https://evil.example"), ("host", "hub.lan:7400")]));
        assert!(!own(&[("origin", "hub.lan:7400"), ("host", "hub.lan:7400")]));
        for site in ["cross-site", "same-site", "none", ""] {
            assert!(!own(&[("sec-fetch-site", site), ("origin", "https://hub.example.org")]));
        }
    }
}

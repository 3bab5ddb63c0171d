//! Which way leads to a hub: straight, or through an HTTP proxy.
//!
//! What decides are texts of people, variables and files, so nothing here fails: an address that
//! cannot be used is told when a hub is to be reached by it, and hubs that need no proxy are
//! reached all the same. A text may hold a password, so no error repeats one.

use std::fmt::{self, Write as _};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;

/// The port of a proxy whose address names none.
const PROXY_PORT: u16 = 80;

/// Why no tunnel through a proxy came about. Nothing was sent to the hub.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProxyError {
    /// The proxy's address cannot be used. Correct it where it was set.
    #[error("{name} does not name a proxy: {reason}")]
    Address {
        /// The variable or option that holds it.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The proxy does not run, or is not where its address says. Try again later, or correct it.
    #[error("the proxy is unreachable")]
    Unreachable(#[source] Arc<io::Error>),
    /// The proxy wants a name and a password, and none are known.
    #[error("the proxy asks for a name and a password")]
    CredentialsWanted,
    /// The proxy does not take the name and the password that it was given. Correct them.
    #[error("the proxy does not take the name and the password it was given")]
    CredentialsRefused,
    /// The proxy may not let anybody through to this host and port. Ask whoever runs it.
    #[error("the proxy lets nobody through to this host and port ({status})")]
    Forbidden {
        /// Its answer: 403 or 405.
        status: u16,
    },
    /// The proxy did not reach the hub, or is overloaded. Try again later.
    #[error("the proxy does not reach the hub ({status})")]
    NoWayOn {
        /// Its answer: 408, 429 or one from 500 on.
        status: u16,
    },
    /// It answers what a proxy does not answer. It is another service, or lies.
    #[error("what answers is no proxy: {reason}")]
    NoProxy {
        /// What is wrong with its answer.
        reason: String,
    },
    /// The connection broke before there was a tunnel. Try again.
    #[error("the proxy broke the connection")]
    Broken,
    /// There was no tunnel in time: the proxy hangs, or waits for the hub. Try again later.
    #[error("the proxy opened no tunnel for {} s", after.as_secs())]
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
}

impl ProxyError {
    /// Whether the same may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::NoWayOn { .. } | Self::Broken | Self::TimedOut { .. } => {
                true
            }
            Self::Address { .. }
            | Self::CredentialsWanted
            | Self::CredentialsRefused
            | Self::Forbidden { .. }
            | Self::NoProxy { .. } => false,
        }
    }
}

/// Name and password for a proxy, of which nothing is ever shown.
#[derive(Clone)]
pub struct ProxyCredentials {
    name: String,
    password: String,
}

impl ProxyCredentials {
    /// Reads `NAME:PASSWORD`, all of it on the first line.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, password) = text.lines().next()?.split_once(':')?;
        Some(Self { name: name.to_owned(), password: password.to_owned() })
    }
}

impl fmt::Debug for ProxyCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyCredentials").finish_non_exhaustive()
    }
}

/// One proxy.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) authorization: Option<HeaderValue>,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, authorization: _ } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl Proxy {
    /// Reads an address as `HTTP_PROXY` has it: `http://NAME:PASSWORD@HOST:PORT`, of which all but
    /// the host may be left out.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let matcher = Matcher::builder().https(text).build();
        let any = Uri::from_static("https://any/");
        let found = matcher.intercept(&any).ok_or("it is not like http://HOST:PORT")?;
        match found.uri().scheme_str() {
            Some("http") => {}
            Some("https") => return Err("proxies that speak TLS themselves are not supported"),
            _ => return Err("only HTTP proxies are supported"),
        }
        let authority = found.uri().authority().map_or("", |authority| authority.as_str());
        let host = found.uri().host().unwrap_or_default();
        let port = match found.uri().port_u16() {
            Some(port) => port,
            None if authority == host => PROXY_PORT,
            None => return Err("it is not like http://HOST:PORT"),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err("it names no host");
        }
        Ok(Self { host, port, authorization: found.basic_auth().cloned() })
    }
}

/// A proxy as a text names it.
#[derive(Clone)]
enum Named {
    Proxy(Proxy),
    /// A text that names none, of this variable or option.
    Unusable(ProxyError),
}

impl Named {
    fn parse(name: &str, text: &str) -> Self {
        match Proxy::parse(text) {
            Ok(proxy) => Self::Proxy(proxy),
            Err(reason) => Self::Unusable(ProxyError::Address { name: name.to_owned(), reason }),
        }
    }
}

/// Which hubs are reached through which proxy; by default none is.
#[derive(Clone, Default)]
pub struct Proxies {
    https: Option<Named>,
    http: Option<Named>,
    /// Says which hosts are reached straight, by the rules of `NO_PROXY`.
    exceptions: Option<Arc<Matcher>>,
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies").finish_non_exhaustive()
    }
}

impl Proxies {
    /// What environment variables say, as `curl` reads them: `https_proxy` for hubs with
    /// `https://`, `http_proxy` for others, `all_proxy` for both, and `no_proxy` for hosts that are
    /// reached straight; each in small letters, or else in capital ones. An empty one says nothing.
    ///
    /// A loopback address is a host as any other, and belongs in `no_proxy`.
    #[must_use]
    pub fn in_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| {
            let names = [name.to_owned(), name.to_ascii_uppercase()];
            let mut set = names.into_iter().filter_map(|name| Some((variable(&name)?, name)));
            set.find(|(text, _)| !text.is_empty())
        };
        let named = |name: &str| {
            let (text, name) = set(name).or_else(|| set("all_proxy"))?;
            Some(Named::parse(&name, &text))
        };
        let exceptions = set("no_proxy").map(|(text, _)| text);
        Self { https: named("https_proxy"), http: named("http_proxy"), exceptions: None }
            .except(exceptions.as_deref().unwrap_or_default())
    }

    /// One proxy for every hub. `address` is like `http://HOST:PORT`; `credentials` win over those
    /// in it. `name` is what errors call the option that says so.
    ///
    /// # Errors
    /// [`ProxyError::Address`] when the address names no proxy.
    pub fn all(
        name: &str,
        address: &str,
        credentials: Option<&ProxyCredentials>,
    ) -> Result<Self, ProxyError> {
        let mut proxy = match Named::parse(name, address) {
            Named::Proxy(proxy) => proxy,
            Named::Unusable(error) => return Err(error),
        };
        if let Some(credentials) = credentials {
            proxy.authorization = authorization(credentials);
        }
        let named = Some(Named::Proxy(proxy));
        Ok(Self { https: named.clone(), http: named, exceptions: None })
    }

    /// The same proxies, but not for the hosts in `list`, which is like `NO_PROXY`: names, which stand
    /// for all below them too, addresses, networks as in `10.0.0.0/8`, or `*`, with commas between.
    #[must_use]
    pub fn except(self, list: &str) -> Self {
        let straight = Matcher::builder().all("http://any").no(list).build();
        let exceptions = (!list.is_empty()).then(|| Arc::new(straight));
        Self { exceptions, ..self }
    }

    /// Host and port of the proxy that the hub at `url` is reached through, or why there can be none.
    ///
    /// # Errors
    /// [`ProxyError::Address`] when what names the proxy does not.
    pub fn on_the_way_to(&self, url: &str) -> Result<Option<String>, ProxyError> {
        let Ok(uri) = url.parse() else { return Ok(None) };
        Ok(self.to(&uri)?.map(ToString::to_string))
    }

    pub(crate) fn to(&self, uri: &Uri) -> Result<Option<&Proxy>, ProxyError> {
        let named = if uri.scheme_str() == Some("https") { &self.https } else { &self.http };
        let is_straight = |matcher: &Arc<Matcher>| matcher.intercept(uri).is_none();
        match named {
            Some(_) if self.exceptions.as_ref().is_some_and(is_straight) => Ok(None),
            Some(Named::Proxy(proxy)) => Ok(Some(proxy)),
            Some(Named::Unusable(error)) => Err(error.clone()),
            None => Ok(None),
        }
    }
}

/// The header that says `credentials`.
fn authorization(credentials: &ProxyCredentials) -> Option<HeaderValue> {
    let escaped = |text: &str| {
        text.bytes().fold(String::new(), |mut escaped, byte| {
            let _ = write!(escaped, "%{byte:02X}");
            escaped
        })
    };
    let (name, password) = (escaped(&credentials.name), escaped(&credentials.password));
    let address = format!("http://{name}:{password}@any");
    Proxy::parse(&address).ok()?.authorization
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(proxies: &Proxies, url: &str) -> Option<String> {
        proxies.on_the_way_to(url).expect("a usable address")
    }

    fn environment(set: &[(&str, &str)]) -> Proxies {
        Proxies::in_environment(|name| {
            let found = set.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_is_read_as_curl_reads_it() {
        let none = environment(&[("NO_PROXY", "*")]);
        assert_eq!(way(&none, "https://hub:7400"), None);
        let proxies = environment(&[
            ("https_proxy", ""),
            ("HTTPS_PROXY", "http://me:pass@secure:3128/"),
            ("http_proxy", "plain"),
            ("HTTP_PROXY", "http://other"),
            ("NO_PROXY", "localhost, .inside.example,10.0.0.0/8,::1"),
        ]);
        for (url, through) in [
            ("https://hub:7400", Some("secure:3128")),
            ("http://hub:7400/x", Some("plain:80")),
            ("https://127.0.0.1:7400", Some("secure:3128")),
            ("https://localhost:7400", None),
            ("https://notlocalhost:7400", Some("secure:3128")),
            ("https://hub.inside.example", None),
            ("https://10.7.8.9:7400", None),
            ("https://11.7.8.9:7400", Some("secure:3128")),
            ("https://[::1]:7400", None),
        ] {
            assert_eq!(way(&proxies, url).as_deref(), through, "{url}");
        }
        let both = environment(&[("ALL_PROXY", "http://[::1]:8080"), ("http_proxy", "x:1")]);
        assert_eq!(way(&both, "https://hub").as_deref(), Some("[::1]:8080"));
        assert_eq!(way(&both, "http://hub").as_deref(), Some("x:1"));
    }

    #[test]
    fn what_names_no_proxy_is_told_without_its_password_where_it_would_be_used() {
        for (text, reason) in [
            ("socks5://me:secret@proxy:1", "only HTTP proxies"),
            ("https://me:secret@proxy:1", "speak TLS themselves"),
            ("http://me:secret@", "it is not like"),
            ("http://me:secret@proxy:99999", "it is not like"),
            ("me:secret", "it is not like"),
            ("ftp://me:secret@proxy", "it is not like"),
        ] {
            let proxies = environment(&[("HTTPS_PROXY", text), ("no_proxy", "inside")]);
            let error = proxies.on_the_way_to("https://hub").expect_err(text);
            let told = error.to_string();
            assert!(told.starts_with("HTTPS_PROXY ") && told.contains(reason), "{text}: {told}");
            assert!(!format!("{error:?} {error}").contains("secret"), "{error:?}");
            assert_eq!(way(&proxies, "https://inside"), None);
            assert_eq!(way(&proxies, "http://hub"), None);
            assert!(Proxies::all("--proxy", text, None).is_err());
        }
    }

    #[test]
    fn credentials_go_into_one_header_whatever_is_in_them_and_nowhere_else() {
        let credentials = ProxyCredentials::parse("me@x:a:b%/ü c\nrest").expect("credentials");
        let of = |address: &str, credentials: Option<&ProxyCredentials>| {
            let proxies = Proxies::all("--proxy", address, credentials).expect("an address");
            let shown = format!("{proxies:?} {:?}", proxies.on_the_way_to("https://hub"));
            assert!(!shown.contains("a:b"), "{shown}");
            let proxy = proxies.to(&Uri::from_static("https://hub")).expect("usable").cloned();
            let authorization = proxy.expect("a proxy").authorization?;
            assert!(authorization.is_sensitive());
            Some(authorization.to_str().expect("text").to_owned())
        };
        // `me@x:a:b%/ü c`
        let expected = Some("Basic bWVAeDphOmIlL8O8IGM=".to_owned());
        assert_eq!(of("http://proxy:1", Some(&credentials)), expected);
        assert_eq!(of("http://other:one@proxy:1", Some(&credentials)), expected);
        assert_eq!(of("http://me%40x:a:b%25%2F%C3%BC%20c@proxy:1", None), expected);
        assert_eq!(of("proxy", None), None);
        assert!(ProxyCredentials::parse("no colon").is_none());
        assert!(ProxyCredentials::parse("").is_none());
        assert!(!format!("{credentials:?}").contains("me"));
    }
}

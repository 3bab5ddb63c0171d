//! The way through a proxy, and proxies that are none.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use documents::certificate_fingerprint;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::server::{Server, json};
use super::trust::{certificate, info, tls};
use crate::{ClientError, HubClient, Pin, Proxies, ProxyCredentials, ProxyError, Timeouts, probe};

const ESTABLISHED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

/// A proxy that answers as a test says, and what it was sent before it did.
struct FakeProxy {
    address: String,
    heads: Arc<Mutex<Vec<String>>>,
    /// All bytes of clients that it passed on.
    passed: Arc<Mutex<Vec<u8>>>,
}

impl FakeProxy {
    /// Answers `answer`; where that opens a tunnel, passes everything on to `to`.
    async fn start(answer: &'static str, to: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound").to_string();
        let (heads, passed) =
            (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<Vec<u8>>>::default());
        let proxy = Self { address, heads: Arc::clone(&heads), passed: Arc::clone(&passed) };
        let to = to.to_owned();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (heads, passed, to) = (Arc::clone(&heads), Arc::clone(&passed), to.clone());
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(client.read_u8().await?);
                    }
                    let head = String::from_utf8(head).expect("text");
                    heads.lock().expect("unpoisoned").push(head);
                    client.write_all(answer.as_bytes()).await?;
                    if answer != ESTABLISHED {
                        return Ok(());
                    }
                    let mut hub = TcpStream::connect(to).await?;
                    let mut first = vec![0; 64 * 1024];
                    let count = client.read(&mut first).await?;
                    passed.lock().expect("unpoisoned").extend(&first[..count]);
                    hub.write_all(&first[..count]).await?;
                    copy_bidirectional(&mut client, &mut hub).await.map(drop)
                });
            }
        });
        proxy
    }

    fn proxies(&self, credentials: Option<&str>) -> Proxies {
        let credentials = credentials.and_then(ProxyCredentials::parse);
        let address = format!("http://{}", self.address);
        Proxies::all("--proxy", &address, credentials.as_ref()).expect("an address")
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("unpoisoned").clone()
    }
}

fn host_and_port(url: &str) -> &str {
    url.split("//").nth(1).expect("a URL")
}

#[tokio::test]
async fn the_hub_is_recognised_behind_a_proxy_that_is_told_host_port_and_its_own_credentials() {
    let (certificate, key) = certificate();
    let hub = Server::start(Some(tls(&certificate, &key)), |_| json(&info())).await;
    let to = host_and_port(&hub.url);
    let proxy = FakeProxy::start(ESTABLISHED, to).await;
    let pin = Pin::Fingerprint(certificate_fingerprint(&certificate));
    let client = HubClient::new(&hub.url, pin, None).expect("a url");
    let client = client.through(proxy.proxies(Some("me:secret")));
    assert_eq!(client.hub_info().await.expect("an answer"), info());
    let expected = format!(
        "CONNECT {to} HTTP/1.1\r\nhost: {to}\r\nproxy-authorization: Basic bWU6c2VjcmV0\r\n\r\n"
    );
    assert_eq!(proxy.heads(), [expected]);
    // What it passes on begins with a TLS record, and the hub is not sent what the proxy was.
    assert_eq!(proxy.passed.lock().expect("unpoisoned").first(), Some(&22));
    {
        let seen = hub.seen.lock().expect("unpoisoned");
        assert!(seen.iter().all(|request| request.header("proxy-authorization").is_none()));
    }

    let other = HubClient::new(&hub.url, Pin::Fingerprint([7; 32]), None).expect("a url");
    let error = other.through(proxy.proxies(None)).hub_info().await.expect_err("refused");
    assert!(matches!(error, ClientError::WrongFingerprint { .. }), "{error}");
}

#[tokio::test]
async fn a_proxy_that_answers_in_the_hub_s_stead_is_told_nothing() {
    let (certificate, key) = certificate();
    let hub = Server::start(Some(tls(&certificate, &key)), |_| json(&info())).await;
    let (its_own, its_key) = super::trust::certificate();
    let liar = Server::start(Some(tls(&its_own, &its_key)), |_| json(&info())).await;
    let proxy = FakeProxy::start(ESTABLISHED, host_and_port(&liar.url)).await;
    let pin = Pin::Fingerprint(certificate_fingerprint(&certificate));
    let client = HubClient::new(&hub.url, pin, None).expect("a url");
    let error = client.through(proxy.proxies(None)).hub_info().await.expect_err("refused");
    let ClientError::WrongFingerprint { got, .. } = error else { panic!("{error}") };
    assert_eq!(got.0, certificate_fingerprint(&its_own));
    assert!(liar.paths().is_empty() && hub.paths().is_empty());
}

#[tokio::test]
async fn what_a_proxy_refuses_has_a_name_and_whether_it_helps_to_wait() {
    let endless: &'static str =
        Box::leak(format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(64 * 1024)).into_boxed_str());
    let many: &'static str =
        Box::leak(format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(1000)).into_boxed_str());
    for (answer, credentials, expected, waiting_helps) in [
        ("HTTP/1.1 407 Who?\r\n\r\n", None, "asks for a name and a password", false),
        ("HTTP/1.1 407 Who?\r\n\r\n", Some("me:secret"), "does not take the name", false),
        ("HTTP/1.1 401 No\r\n\r\n", Some("me:secret"), "does not take the name", false),
        ("HTTP/1.1 403 No\r\n\r\n", Some("me:secret"), "lets nobody through", false),
        ("HTTP/1.1 502 Gone\r\n\r\n", None, "does not reach the hub (502)", true),
        ("HTTP/1.1 302 Found\r\nlocation: http://x/\r\n\r\n", None, "it answers 302", false),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", None, "no proxy", false),
        ("SSH-2.0-server\r\n\r\n", None, "what answers is no proxy", false),
        ("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", None, "more than an answer", false),
        (endless, None, "what answers is no proxy", false),
        (many, None, "what answers is no proxy", false),
        ("", None, "broke the connection", true),
        ("HTTP/1.1 200 O", None, "broke the connection", true),
    ] {
        let proxy = FakeProxy::start(answer, "127.0.0.1:1").await;
        let proxies = proxy.proxies(credentials);
        let client = HubClient::new("http://hub.invalid:7400", Pin::None, None).expect("a url");
        let error = client.through(proxies.clone()).hub_info().await.expect_err("refused");
        assert_eq!(error.is_retryable(), waiting_helps, "{answer:.40}: {error:?}");
        assert_eq!(proxy.heads().len(), if waiting_helps { 3 } else { 1 }, "{answer:.40}");
        let ClientError::Proxy { proxy: named, source, .. } = &error else { panic!("{error}") };
        assert_eq!(*named, proxy.address);
        assert!(source.to_string().contains(expected), "{answer:.40}: {source}");
        assert!(!format!("{error:?}{source}").contains("secret"));

        let patience = Duration::from_secs(30);
        let seen = probe("http://hub.invalid:7400", &proxies, patience).await.expect("a hub");
        let told = seen.proxy.expect("a proxy");
        assert_eq!(told.address, proxy.address);
        let failed = told.tunnel.expect("was asked").expect_err("refused");
        assert_eq!(failed.to_string(), source.to_string());
        assert!(seen.connections[0].1.is_ok() && seen.answer.is_none());
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_or_says_nothing_is_told_apart_from_the_hub() {
    let nobody =
        TcpListener::bind("127.0.0.1:0").await.expect("binds").local_addr().expect("bound");
    let proxies = |address: String| Proxies::all("--proxy", &address, None).expect("an address");
    let client = |timeouts| {
        HubClient::with_timeouts("http://hub.invalid", Pin::None, None, timeouts).expect("a url")
    };
    let absent = client(Timeouts::default()).through(proxies(nobody.to_string()));
    let error = absent.hub_info().await.expect_err("unreachable");
    assert!(
        matches!(&error, ClientError::Proxy { source: ProxyError::Unreachable(_), .. }),
        "{error}"
    );
    assert!(error.is_retryable());

    let silent = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = silent.local_addr().expect("bound").to_string();
    let soon = Timeouts { connect: Duration::from_millis(300), ..Timeouts::default() };
    let error = client(soon).through(proxies(address)).hub_info().await.expect_err("silent");
    assert!(
        matches!(&error, ClientError::Proxy { source: ProxyError::TimedOut { .. }, .. }),
        "{error}"
    );
    assert!(error.is_retryable());
}

#[tokio::test]
async fn plain_hubs_are_reached_by_a_tunnel_too_and_exceptions_straight() {
    let hub = Server::start(None, |_| json(&info())).await;
    let proxy = FakeProxy::start(ESTABLISHED, host_and_port(&hub.url)).await;
    let client =
        |proxies| HubClient::new(&hub.url, Pin::None, None).expect("a url").through(proxies);
    client(proxy.proxies(None)).hub_info().await.expect("an answer");
    assert_eq!(proxy.heads().len(), 1);
    let seen = probe(&hub.url, &proxy.proxies(None), Duration::from_secs(30)).await.expect("a hub");
    assert!(seen.answer.expect("asked").expect("answered").hub.is_some());
    assert_eq!(proxy.heads().len(), 2);
    client(proxy.proxies(None).except("127.0.0.0/8")).hub_info().await.expect("an answer");
    assert_eq!(proxy.heads().len(), 2);
}

#[tokio::test]
async fn nobody_is_reached_past_a_proxy() {
    let url = "http://127.0.0.1:9";
    let client = HubClient::new(url, Pin::None, None).expect("a client");
    // Nothing has to listen there: nothing is sent.
    let own = client.own_address().await.expect("there is a way");
    assert_eq!(own, Some("127.0.0.1".parse().expect("an address")));
    let proxies = Proxies::all("--proxy", "http://127.0.0.1:8", None).expect("an address");
    let behind = HubClient::new(url, Pin::None, None).expect("a client").through(proxies);
    assert_eq!(behind.own_address().await.expect("looked up"), None);
}

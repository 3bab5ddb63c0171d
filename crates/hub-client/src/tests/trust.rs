//! Certificates, connections, retries.

use std::sync::Arc;

use documents::certificate_fingerprint;
use hub_api::{Hex, HubInfo, Limits};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::server::{Server, json, name};
use crate::{ClientError, HubClient, Pin, WaitingFor};

pub(super) fn info() -> HubInfo {
    let (key, limits) = (Hex([1; 32]), Limits::default());
    HubInfo { version: "1".into(), key, limits, clients: None, direct: true }
}

pub(super) fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["hub".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    (made.cert.der().clone(), key)
}

#[derive(Debug)]
struct Show(Arc<CertifiedKey>);

impl ResolvesServerCert for Show {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// A server that shows `certificate` and signs with `key`, whether they belong together or not.
pub(super) fn tls(
    certificate: &CertificateDer<'static>,
    key: &PrivateKeyDer<'static>,
) -> ServerConfig {
    let provider = rustls::crypto::ring::default_provider();
    let key = provider.key_provider.load_private_key(key.clone_key()).expect("a key");
    let shown = Show(Arc::new(CertifiedKey::new(vec![certificate.clone()], key)));
    ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown))
}

#[tokio::test]
async fn the_pinned_certificate_is_enough_and_all_its_bytes_are_counted() {
    let (certificate, key) = certificate();
    let server = Server::start(Some(tls(&certificate, &key)), |_| json(&info())).await;
    let pin = Pin::Fingerprint(certificate_fingerprint(&certificate));
    let client = HubClient::new(&server.url, pin, None).expect("a url");
    assert_eq!(client.hub_info().await.expect("an answer"), info());
    let first = client.bytes_on_wire();
    assert!(first.received > certificate.len() as u64 + 300, "{first:?}");
    assert!(first.sent > 300, "{first:?}");
    client.hub_info().await.expect("an answer");
    let second = client.bytes_on_wire();
    assert!(second.sent > first.sent && second.sent < 2 * first.sent, "the connection is kept");
}

#[tokio::test]
async fn another_certificate_is_refused_before_anything_is_sent() {
    let (shown, key) = certificate();
    let server = Server::start(Some(tls(&shown, &key)), |_| json(&info())).await;
    let client = HubClient::new(&server.url, Pin::Fingerprint([7; 32]), None).expect("a url");
    let error = client.hub_info().await.expect_err("refused");
    let text = error.to_string();
    assert!(text.contains(&server.url) && text.contains("ask about the hub"), "{text}");
    assert!(!error.is_retryable());
    let ClientError::WrongFingerprint { expected, got, .. } = error else { panic!("{error}") };
    assert_eq!((expected.0, got.0), ([7; 32], certificate_fingerprint(&shown)));
    assert!(server.paths().is_empty());
}

#[tokio::test]
async fn a_stolen_certificate_without_its_key_is_refused() {
    let ((shown, _), (_, other_key)) = (certificate(), certificate());
    let server = Server::start(Some(tls(&shown, &other_key)), |_| json(&info())).await;
    let pin = Pin::Fingerprint(certificate_fingerprint(&shown));
    let client = HubClient::new(&server.url, pin, None).expect("a url");
    let error = client.hub_info().await.expect_err("refused");
    assert!(matches!(error, ClientError::Tls { .. }), "{error:?}");
    assert!(server.paths().is_empty());
}

/// Closes the first `breaks` connections after their request came, then answers.
async fn breaking(breaks: usize) -> (String, tokio::task::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    let task = tokio::spawn(async move {
        for count in 0.. {
            let idle = std::time::Duration::from_secs(2);
            let Ok(accepted) = tokio::time::timeout(idle, listener.accept()).await else {
                return count;
            };
            let (mut stream, _) = accepted.expect("accepts");
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.expect("reads");
            assert!(read > 0);
            if count >= breaks {
                let body = serde_json::to_string(&info()).expect("json");
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all((head + &body).as_bytes()).await.expect("writes");
                stream.shutdown().await.expect("shuts down");
            }
        }
        unreachable!("counting does not end")
    });
    (url, task)
}

#[tokio::test]
async fn a_harmless_request_is_tried_three_times() {
    let (url, tries) = breaking(2).await;
    let client = HubClient::new(&url, Pin::None, None).expect("a url");
    assert_eq!(client.hub_info().await.expect("the third try"), info());
    assert_eq!(tries.await.expect("counted"), 3);

    let (url, tries) = breaking(usize::MAX).await;
    let client = HubClient::new(&url, Pin::None, None).expect("a url");
    let error = client.hub_info().await.expect_err("never answers");
    assert!(matches!(error, ClientError::Interrupted { .. }), "{error:?}");
    assert!(error.is_retryable());
    assert_eq!(tries.await.expect("counted"), 3);
}

#[tokio::test]
async fn a_release_is_not_published_twice() {
    let (url, tries) = breaking(usize::MAX).await;
    let client = HubClient::new(&url, Pin::None, None).expect("a url");
    let error = client.post_release(&name(), b"m", b"h").await.expect_err("never answers");
    assert!(matches!(error, ClientError::Interrupted { .. }), "{error:?}");
    assert_eq!(tries.await.expect("counted"), 1);
}

#[tokio::test]
async fn a_hub_that_is_down_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    drop(listener);
    let client = HubClient::new(&url, Pin::None, None).expect("a url");
    let error = client.hub_info().await.expect_err("down");
    assert!(error.is_retryable());
    assert_eq!(error.to_string(), format!("cannot ask about the hub: {url}/v1/hub is unreachable"));
    let ClientError::Unreachable { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("address");
    let client = HubClient::new(&format!("http://{address}"), Pin::None, None).expect("a url");
    let error = client.hub_info().await.expect_err("silent");
    let head = WaitingFor::ResponseHead;
    assert!(
        matches!(&error, ClientError::TimedOut { waiting_for, .. } if *waiting_for == head),
        "{error:?}"
    );
    let pin = Pin::Fingerprint([0; 32]);
    let client = HubClient::new(&format!("https://{address}"), pin, None).expect("a url");
    let error = client.hub_info().await.expect_err("silent");
    let connection = WaitingFor::Connection;
    assert!(
        matches!(&error, ClientError::TimedOut { waiting_for, .. } if *waiting_for == connection),
        "{error:?}"
    );
}

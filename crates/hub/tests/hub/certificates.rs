//! A certificate in files that are replaced while the hub runs.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use hub::{CertificateTrust, Hub, HubConfig, HubLimits, Tls};
use testkit::tls::{Dialler, Wire};

use crate::observing;
use crate::raw::PATIENCE;
use crate::scene::{self, Scene};

/// A connection, and the fingerprint of the certificate it was shown.
async fn connect(scene: &Scene) -> (Wire, [u8; 32]) {
    let wire = Dialler::new(scene.hub.local_addr).connect(Ipv4Addr::LOCALHOST).await;
    let fingerprint = documents::certificate_fingerprint(wire.certificate());
    (wire, fingerprint)
}

async fn assert_serves(wire: &mut Wire) {
    wire.send("GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n").await;
    wire.until("\r\n\r\nok\n").await;
}

/// Puts a new certificate and key there; its fingerprint.
fn renew(dir: &Path) -> [u8; 32] {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    for (name, text) in [("key", made.signing_key.serialize_pem()), ("cert", made.cert.pem())] {
        put(dir, name, &text);
    }
    documents::certificate_fingerprint(made.cert.der())
}

fn put(dir: &Path, name: &str, text: &str) {
    let new = dir.join("new");
    std::fs::write(&new, text).expect("writes");
    std::fs::rename(new, dir.join(name)).expect("replaces");
}

/// How often the hub looks: often, for a test.
const SOON: Duration = Duration::from_millis(50);

/// A hub with the certificate and key that lie in `files`.
async fn hub_with(files: &Path, trust: CertificateTrust, certificate_interval: Duration) -> Scene {
    let dir = tempfile::tempdir().expect("a directory");
    let tls = tls(files, trust);
    // An idle connection of this test is not to be cut.
    let limits = HubLimits { header_time: PATIENCE, ..HubLimits::default() };
    let config = HubConfig {
        certificate_interval,
        metrics_listen: Some("127.0.0.1:0".parse().expect("an address")),
        limits,
        ..scene::config(&dir, tls)
    };
    Scene { hub: Hub::start(config).await.expect("starts"), dir }
}

fn tls(files: &Path, trust: CertificateTrust) -> Tls {
    Tls::Files { cert: files.join("cert"), key: files.join("key"), trust }
}

async fn until_shown(scene: &Scene, fingerprint: [u8; 32]) {
    let began = Instant::now();
    while connect(scene).await.1 != fingerprint {
        assert!(began.elapsed() < PATIENCE, "the other one is shown still");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until_stale(scene: &Scene, is_stale: bool) {
    let address = scene.hub.metrics_addr.expect("listens");
    let began = Instant::now();
    loop {
        let (_, told) = observing::get(address, "/metrics").await;
        let value = observing::value(&told, "consign_hub_certificate_stale");
        if value == Some(f64::from(u8::from(is_stale))) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{value:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_certificate_is_served_to_new_connections_and_old_ones_go_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = renew(dir.path());
    let scene = hub_with(dir.path(), CertificateTrust::WebPki, SOON).await;
    let (mut old, shown) = connect(&scene).await;
    assert_eq!((shown, scene.hub.fingerprint), (first, [0; 32]));
    assert_serves(&mut old).await;
    for _ in 0..3 {
        let next = renew(dir.path());
        until_shown(&scene, next).await;
        assert_serves(&mut old).await;
    }

    // Neither garbage nor a key of another certificate is served.
    let last = renew(dir.path());
    until_shown(&scene, last).await;
    let (good, mut newer) =
        (std::fs::read_to_string(dir.path().join("key")), connect(&scene).await.0);
    let other = rcgen::KeyPair::generate().expect("a key").serialize_pem();
    for bad in ["garbage", &other] {
        put(dir.path(), "key", bad);
        until_stale(&scene, true).await;
        let (mut new, shown) = connect(&scene).await;
        assert_eq!(shown, last, "the one before goes on being served");
        assert_serves(&mut new).await;
        put(dir.path(), "key", good.as_ref().expect("read before"));
        until_stale(&scene, false).await;
    }
    assert_serves(&mut newer).await;
    assert_serves(&mut old).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_clients_do_not_know_waits_for_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = renew(dir.path());
    // Looked at when it is asked for, and not before.
    let trust = CertificateTrust::Fingerprint;
    let scene = hub_with(dir.path(), trust, Duration::from_hours(1)).await;
    assert_eq!(scene.hub.fingerprint, first);
    let second = renew(dir.path());
    scene.hub.read_certificate_again();
    until_stale(&scene, true).await;
    assert_eq!(connect(&scene).await.1, first, "invitations go on leading here");
    scene.anonymous().health().await.expect("clients go on");

    let Scene { dir: data, hub } = scene;
    hub.shutdown().await;
    let config = scene::config(&data, tls(dir.path(), trust));
    let scene = Scene { hub: Hub::start(config).await.expect("starts again"), dir: data };
    assert_eq!((connect(&scene).await.1, scene.hub.fingerprint), (second, second));
}

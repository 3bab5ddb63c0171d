//! A database on a server that is reached over a network: nothing goes there unprotected when
//! protection was asked for, and who keeps it from being given is told.

use std::path::Path;
use std::time::Instant;

use hub::{Database, DatabaseError, Hub, HubConfig, Role, StartError, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use testkit::Postgres;

use crate::raw::PATIENCE;
use crate::scene::{Scene, Tree, config, fetch, name};

/// An authority of the test's own.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new([]).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signs")
}

/// A server whose certificate is for `localhost` alone.
fn server(authority: &CertifiedIssuer<'static, KeyPair>) -> Option<Postgres> {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, authority).expect("signs");
    Postgres::start_with_tls(&certificate.pem(), &key.serialize_pem())
}

fn written(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).expect("writes");
    path.to_str().expect("temporary paths are text").to_owned()
}

/// An error and its causes, which the log shows.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(|error| format!("{error}: "))
        .collect()
}

/// Why a hub on a fresh directory does not start with a database at this address.
async fn refusal(address: &str) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let database = Some(Database::at(address).expect("an address"));
    let started = Instant::now();
    let refused = Hub::start(HubConfig { database, ..config(&dir, Tls::Off) }).await;
    let refused = refused.map(drop).expect_err("does not start");
    assert!(matches!(refused, StartError::Open { .. }), "{refused:?}");
    assert!(started.elapsed() < PATIENCE, "waiting mends no certificate");
    let told = chain(&refused);
    assert!(told.contains("the hub's database failed"), "needs somebody: {told}");
    assert!(!told.contains("not-a-secret"), "{told}");
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_reaches_its_database_by_tls_and_only_the_one_it_was_told() {
    let authority = authority();
    let Some(server) = server(&authority) else { return };
    let files = tempfile::tempdir().expect("a directory");
    let ca = written(files.path(), "ca.pem", &authority.pem());
    let place = server.create_database();
    let address = server.over_loopback(&place, "localhost");
    let checked = format!("{address}?sslmode=verify-full&sslrootcert={ca}");

    let dir = tempfile::tempdir().expect("a directory");
    let database = Some(Database::at(&checked).expect("an address"));
    let hub = Hub::start(HubConfig { database, ..config(&dir, Tls::Off) }).await.expect("starts");
    let scene = Scene { dir, hub };
    // Told where it is again, because the address holds a password.
    let beside = hub::HubData::new(scene.dir.path(), Database::at(&checked).ok());
    let hour = std::time::Duration::from_secs(3600);
    let invitation = hub::invite(beside, Role::Publisher, &[], hour).await.expect("invites");
    let owner = scene.stranger(1);
    owner.client.register(&invitation).await.expect("registers");
    let tree = Tree::new(1, 5);
    owner.publish(&name("team/tools"), true, &tree).await;
    let (_, missing) = fetch(&scene.anonymous(), &tree.ids()).await;
    assert_eq!(missing, []);
    let by_tls = "SELECT count(*), count(*) FILTER (WHERE ssl.ssl)
                  FROM pg_stat_activity JOIN pg_stat_ssl AS ssl USING (pid)
                  WHERE application_name = 'consign-hub'";
    let counted = server.sql(&place, by_tls);
    let (all, protected) = counted.trim().split_once('|').expect("two numbers");
    assert!(all != "0" && all == protected, "of {all} connections {protected} are by TLS");
    scene.hub.shutdown().await;

    // Somebody else's authority, and a name the certificate is not for.
    let other = written(files.path(), "other.pem", &self::authority().pem());
    let told = refusal(&format!("{address}?sslmode=verify-full&sslrootcert={other}")).await;
    assert!(told.contains("UnknownIssuer") || told.contains("BadSignature"), "{told}");
    let told = refusal(&format!("{address}?sslmode=verify-full")).await;
    assert!(told.contains("UnknownIssuer"), "{told}");
    let numeric = server.over_loopback(&place, "127.0.0.1");
    let told = refusal(&format!("{numeric}?sslmode=verify-full&sslrootcert={ca}")).await;
    assert!(told.contains("not valid for name"), "{told}");
    assert!(told.contains("postgres://consign@127.0.0.1"), "says which: {told}");
    let missing = files.path().join("missing.pem");
    let missing = missing.to_str().expect("temporary paths are text");
    let told = refusal(&format!("{address}?sslmode=verify-full&sslrootcert={missing}")).await;
    assert!(told.contains(missing), "{told}");

    // Half a check is not taken for one.
    for half in ["sslmode=verify-ca", "sslmode=require"] {
        let half = format!("{address}?{half}&sslrootcert={ca}");
        let refused = Database::at(&half).map(drop).expect_err("promises too much");
        assert!(matches!(refused, DatabaseError::Protection(_)), "{refused}");
        assert!(refused.to_string().contains("sslmode=verify-full"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_not_talked_to_in_plain_text() {
    // Servers speak no TLS on their sockets, whatever they are set to.
    let Some(server) = Postgres::start() else { return };
    for mode in ["require", "verify-full"] {
        let place = server.create_database();
        let told = refusal(&format!("{place}?sslmode={mode}")).await;
        assert!(told.contains("does not support TLS"), "{told}");
        let tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
        assert_eq!(server.sql(&place, tables).trim(), "0", "nothing was begun");
    }
}

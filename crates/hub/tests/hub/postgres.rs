//! A hub whose database is on a PostgreSQL server.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use hub::{Database, DatabaseError, Hub, HubConfig, HubData, Role, StartError, Tls};
use hub_client::HubClient;
use serde_json::json;
use testkit::Postgres;

use crate::ask::Ask;
use crate::raw::token;
use crate::scene::{Scene, Tree, config, fetch, name};

/// Writes an address to a file that others may not read.
pub(crate) fn address_file(directory: &Path, address: &str) -> Database {
    let path = directory.join("database");
    std::fs::write(&path, format!("{address}\n")).expect("writes");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("is ours");
    Database::in_file(&path).expect("an address")
}

/// Whether a client is given all chunks of a tree; others in the same frames may come along.
async fn reads(client: &HubClient, tree: &Tree) -> bool {
    let (came, missing) = fetch(client, &tree.ids()).await;
    missing.is_empty() && tree.ids().iter().all(|id| came.contains(id))
}

async fn start(dir: tempfile::TempDir, database: Option<Database>) -> Scene {
    let hub = Hub::start(HubConfig { database, ..config(&dir, Tls::Off) }).await.expect("starts");
    Scene { dir, hub }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_publishes_and_serves_from_a_server_and_finds_it_again() {
    let Some(server) = Postgres::start() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let database = address_file(dir.path(), &server.create_database());
    let scene = start(dir, Some(database)).await;
    assert!(!scene.dir.path().join("hub.sqlite").exists());

    // Invitations are made beside the hub, which has noted where its database is.
    let (public, private) = (name("team/public"), name("team/private"));
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let reader = scene.person(2, Role::Reader, std::slice::from_ref(&private)).await;
    let (open, closed) = (Tree::new(1, 20), Tree::new(2, 20));
    owner.publish(&public, true, &open).await;
    let first = owner.publish(&private, false, &closed).await;
    assert!(reads(&scene.anonymous(), &open).await);
    assert!(!reads(&scene.anonymous(), &closed).await);
    assert!(reads(&reader.client, &closed).await);
    hub::console_link(scene.dir.path()).await.expect("makes a link");

    // Again, without being told where the database is.
    let Scene { dir, hub } = scene;
    hub.shutdown().await;
    let scene = start(dir, None).await;
    let owner = scene.stranger(1);
    let more = Tree::new(3, 5);
    owner.client.upload(more.frames()).await.expect("is still registered");
    owner.post(&private, &more, Some(first)).await.expect("follows the first");
    let reader = scene.stranger(2);
    assert!(reads(&reader.client, &more).await);
    scene.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_says_so_while_its_server_is_away_and_goes_on_after() {
    let Some(mut server) = Postgres::start() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let database = address_file(dir.path(), &server.create_database());
    let scene = start(dir, Some(database)).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let name = name("team/tools");
    let first = owner.publish(&name, true, &Tree::new(1, 5)).await;

    tokio::task::block_in_place(|| server.kill());
    let tree = Tree::new(2, 5);
    let answer = plain(&scene.hub.local_addr.to_string(), "/v1/names").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("retry-after: "), "{answer}");
    assert!(!answer.contains("socket"), "causes are for the log: {answer}");

    tokio::task::block_in_place(|| server.restart());
    owner.client.upload(tree.frames()).await.expect("uploads");
    owner.post(&name, &tree, Some(first)).await.expect("publishes");
    assert!(reads(&scene.anonymous(), &tree).await);
    scene.hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_goes_on_at_the_server_that_takes_over() {
    let Some(mut server) = Postgres::start() else { return };
    let address = server.create_database();
    let standby = server.standby();
    let dir = tempfile::tempdir().expect("a directory");
    // One address for whichever of them is the first, as a name or an address that moves is in the field.
    let current = dir.path().join("current");
    symlink(server.directory(), &current).expect("links");
    let coded = |path: &Path| path.to_str().expect("text").replace('/', "%2F");
    let address = address.replace(&coded(server.directory()), &coded(&current));
    let database = address_file(dir.path(), &address);
    let scene = start(dir, Some(database)).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let (name, before) = (name("team/tools"), Tree::new(1, 5));
    let first = owner.publish(&name, true, &before).await;

    tokio::task::block_in_place(|| {
        server.kill();
        std::fs::remove_file(&current).expect("is there");
        symlink(standby.directory(), &current).expect("links");
    });
    // The other one only reads as yet.
    let answer = plain(&scene.hub.local_addr.to_string(), "/v1/names").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    tokio::task::block_in_place(|| standby.promote());
    let tree = Tree::new(2, 5);
    owner.client.upload(tree.frames()).await.expect("uploads");
    owner.post(&name, &tree, Some(first)).await.expect("is the one after the first");
    for tree in [&before, &tree] {
        assert!(reads(&scene.anonymous(), tree).await, "nothing that was acknowledged is lost");
    }
    scene.hub.shutdown().await;
}

/// Time passes at once here, because nothing else is waited for.
#[tokio::test(start_paused = true)]
async fn a_hub_whose_server_does_not_come_says_which_and_why() {
    let dir = tempfile::tempdir().expect("a directory");
    let nobody = dir.path().join("nobody");
    let address = format!("postgres:///consign?host={}&user=consign", nobody.display());
    let database = Some(Database::at(&address).expect("an address"));
    let started = tokio::time::Instant::now();
    let away = Hub::start(HubConfig { database, ..config(&dir, Tls::Off) }).await;
    let away = away.map(drop).expect_err("nobody is there");
    assert!(started.elapsed() >= std::time::Duration::from_secs(30), "it waited");
    let StartError::Open { source, .. } = &away else { panic!("{away:?}") };
    assert!(source.is_retryable(), "{source:?}");
    let told = away.to_string();
    assert!(told.contains(nobody.to_str().expect("text")) && told.contains("consign@"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_not_written_down_and_must_be_given_again() {
    let Some(server) = Postgres::start() else { return };
    let address = server.create_database();
    let database = Database::at(&address).expect("an address");
    assert!(database.has_password());
    let dir = tempfile::tempdir().expect("a directory");
    let scene = start(dir, Some(database.clone())).await;
    let hour = std::time::Duration::from_secs(3600);
    let refused = hub::invite(scene.dir.path(), Role::Reader, &[], hour).await;
    let refused = refused.expect_err("does not know where").to_string();
    assert!(refused.contains("CONSIGN_DATABASE"), "{refused}");
    let beside = HubData::new(scene.dir.path(), Some(database));
    let invitation = hub::invite(beside, Role::Reader, &[], hour).await.expect("invites");
    scene.stranger(1).client.register(&invitation).await.expect("is the same database");

    // Starting it without would begin with an empty database.
    let Scene { dir, hub } = scene;
    hub.shutdown().await;
    let refused = Hub::start(config(&dir, Tls::Off)).await.expect_err("does not know where");
    assert!(matches!(refused, StartError::Database(DatabaseError::Elsewhere)), "{refused}");
    for entry in std::fs::read_dir(dir.path()).expect("lists") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read(&path).unwrap_or_default();
        assert!(!text.windows(12).any(|it| it == b"not-a-secret"), "{}", path.display());
    }
}

/// With the database of somebody else, or an empty one, it would collect all its chunks.
#[tokio::test(flavor = "multi_thread")]
async fn a_hub_starts_with_its_own_database_alone() {
    let Some(server) = Postgres::start() else { return };
    let own = Database::at(&server.create_database()).expect("an address");
    let empty = Database::at(&server.create_database()).expect("an address");
    let Scene { dir, hub } =
        start(tempfile::tempdir().expect("a directory"), Some(own.clone())).await;
    hub.shutdown().await;
    let refused = async |dir: &tempfile::TempDir, database: &Database| {
        let database = Some(database.clone());
        let config = HubConfig { database, ..config(dir, Tls::Off) };
        let error = Hub::start(config).await.expect_err("is not its own");
        assert!(matches!(error, StartError::Database(DatabaseError::NotThisHubs)), "{error}");
    };
    refused(&dir, &empty).await;
    refused(&tempfile::tempdir().expect("a directory"), &own).await;
    let scene = start(dir, Some(own)).await;
    scene.hub.shutdown().await;
}

/// The answer to a plain request, head and body.
async fn plain(address: &str, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("connects");
    let request = format!("GET {path} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sends");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("reads");
    answer
}

/// What is done stands in the log, and what may be done is not done again.
#[tokio::test(flavor = "multi_thread")]
async fn no_act_is_done_unrecorded_or_twice() {
    let Some(server) = Postgres::start() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let address = server.create_database();
    let database = address_file(dir.path(), &address);
    let scene = start(dir, Some(database)).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let own = token(&scene, &owner);
    let ask = Ask::new("POST", "/v1/tokens").token(&own);
    let ask = ask.header("Idempotency-Key", "0123456789abcdef-acts");
    let ask = ask.json(&json!({ "label": "machine", "scope": "read", "lifetime_s": 3600 }));
    let refusing = |table: &str| {
        let trigger = format!(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN RAISE EXCEPTION ''refused''; END';
             CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"
        );
        server.sql(&address, &trigger);
    };
    let count = |table: &str| {
        let count = server.sql(&address, &format!("SELECT count(*) FROM {table}"));
        count.trim().parse::<u32>().expect("a number")
    };
    let before = count("audit");

    refusing("audit");
    assert_eq!(ask.send(&scene).await.status, 500);
    assert_eq!((count("tokens"), count("claims")), (0, 0), "not done, and free to be asked again");
    server.sql(&address, "DROP TRIGGER refuse ON audit");
    refusing("tokens");
    assert_eq!(ask.send(&scene).await.status, 500);
    assert_eq!(count("audit"), before + 1, "nobody knows whether it was done");
    server.sql(&address, "DROP TRIGGER refuse ON tokens");
    let again = ask.send(&scene).await;
    assert_eq!(again.problem(), (409, "idempotency-running".to_owned()));
    assert_eq!((count("tokens"), count("audit")), (0, before + 1));
}

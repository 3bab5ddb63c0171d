//! What a fuzzer that reads the OpenAPI document gets out of a real hub: never a failure of it.
//!
//! `cargo xtask test` installs schemathesis under `target/tools`; without it the test says that
//! it is skipped.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hub::{Role, Tls};
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::ask::Ask;
use crate::raw::token;
use crate::scene::{Person, Scene, Tree, name};

/// Longer than the run takes on a slow machine; it bounds a run that hangs.
const RUN_TIME: Duration = Duration::from_secs(300);

/// Longer than any request may wait at the hub: [`hub_api::limits::JOIN_WAIT_MAX`] is the longest.
const REQUEST_TIME: Duration = Duration::from_secs(60);

/// Where `cargo xtask test` puts it.
fn program() -> Option<PathBuf> {
    let test = std::env::current_exe().expect("this test is a file");
    let target = test.ancestors().find(|place| place.join("tools").is_dir())?;
    let program = target.join("tools/schemathesis/bin/schemathesis");
    program.is_file().then_some(program)
}

/// The findings without the sources that a trace-back of Python may quote by the hundred lines.
fn beginning(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", &line[..line.floor_char_boundary(300)])).collect()
}

/// What a run is about.
struct Run<'a> {
    /// With whose rights.
    token: &'a str,
    /// Requests made up for each operation, beside the examples and the edges of its parameters.
    examples: u32,
    /// The one operation, with its key, that it is about; all but the endless stream otherwise.
    only: Option<(&'a str, &'a str)>,
}

async fn run(program: &Path, scene: &Scene, asked: Run<'_>) {
    // The token stands in a file of mode 0600, not among arguments that everybody may read.
    let settings = scene.dir.path().join("schemathesis.toml");
    let key = asked.only.map(|(_, key)| format!("[parameters]\n\"path.key\" = \"{key}\"\n"));
    let token = asked.token;
    let text = format!("[auth.openapi.session]\nbearer = \"{token}\"\n{}", key.unwrap_or_default());
    std::fs::write(&settings, text).expect("writes");
    let operations = match asked.only {
        Some((operation, _)) => vec!["--include-operation-id", operation],
        // They never end.
        None => {
            let endless = ["events", "communityEvents", "readSegments"];
            endless.into_iter().flat_map(|id| ["--exclude-operation-id", id]).collect()
        }
    };
    let place = tempfile::tempdir().expect("a directory");
    let mut child = Command::new(program)
        .arg("--config-file")
        .arg(&settings)
        .args(["run", &format!("{}/v1/openapi.json", scene.hub.url)])
        .args(["--checks", "not_a_server_error,response_schema_conformance"])
        .args(["--phases", "examples,coverage,fuzzing"])
        // One worker: in two threads at once the compiler of Python 3.11 fails now and then with
        // "AST constructor recursion depth mismatch" (python/cpython#106905), and a seed repeats
        // its run only if the order of requests does not depend on threads.
        .args(["--max-examples", &asked.examples.to_string(), "--seed", "7", "--workers", "1"])
        .args(operations)
        .args(["--request-timeout", &REQUEST_TIME.as_secs().to_string(), "--no-color"])
        .current_dir(place.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("starts");
    let (mut out, mut err) = (String::new(), String::new());
    let (mut stdout, mut stderr) =
        (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let finished = tokio::time::timeout(RUN_TIME, async {
        let (_, _, status) = tokio::join!(
            stdout.read_to_string(&mut out),
            stderr.read_to_string(&mut err),
            child.wait()
        );
        status.expect("waits")
    });
    let status = finished.await.expect("the run ends");
    assert!(status.success(), "{}\n{err}", beginning(&out));
    assert!(out.contains("generated") || out.contains("passed"), "it did something: {out}");
}

/// The program, and a hub with two releases of an administrator's.
async fn scene() -> Option<(PathBuf, Scene, Person)> {
    let Some(program) = program() else {
        testkit::parts::skip("schemathesis", "not installed; `cargo xtask test` installs it");
        return None;
    };
    let scene = Scene::start(Tls::Off).await;
    let admin = scene.person(9, Role::Administrator, &[]).await;
    let first = admin.publish(&name("team/tools"), true, &Tree::new(1, 3)).await;
    admin.post(&name("team/tools"), &Tree::new(1, 3), Some(first)).await.expect("publishes");
    Some((program, scene, admin))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fuzzer_that_knows_the_document_finds_no_failure() {
    let Some((program, scene, admin)) = scene().await else { return };
    // Among much else it tries to revoke accounts; nobody can revoke their own.
    let token = token(&scene, &admin);
    run(&program, &scene, Run { token: &token, examples: 12, only: None }).await;
    scene.anonymous().health().await.expect("is alive");
    admin.client.accounts(None).await.expect("still is an administrator");
}

/// What is refused before it comes to the database for an administrator may come further, or less
/// far, for others.
#[tokio::test(flavor = "multi_thread")]
async fn nor_does_one_with_fewer_rights() {
    let Some((program, scene, _admin)) = scene().await else { return };
    let reader = scene.person(1, Role::Reader, &[name("team/tools")]).await;
    let publisher = scene.person(2, Role::Publisher, &[]).await;
    publisher.publish(&name("team/own"), false, &Tree::new(2, 3)).await;
    let session = token(&scene, &publisher);
    let machine = json!({
        "label": "machine", "scope": "publish", "names": ["team/own"], "lifetime_s": 3600
    });
    let machine = Ask::new("POST", "/v1/tokens").token(&session).json(&machine);
    let machine = machine.send(&scene).await.json();
    let machine = machine["token"].as_str().expect("is shown once").to_owned();
    for token in [token(&scene, &reader), session, machine] {
        run(&program, &scene, Run { token: &token, examples: 2, only: None }).await;
    }
    scene.anonymous().health().await.expect("is alive");
}

/// A run of all operations would have to guess the key of an account that is there.
#[tokio::test(flavor = "multi_thread")]
async fn nor_does_one_that_revokes_an_account_again_and_again() {
    let Some((program, scene, admin)) = scene().await else { return };
    let reader = scene.person(1, Role::Reader, &[]).await;
    let (own, session) = (token(&scene, &admin), token(&scene, &reader));
    let reads = async || Ask::get("/v1/tokens").token(&session).send(&scene).await.status;
    assert_eq!(reads().await, 200);
    let key = reader.key.public().to_string();
    let only = Some(("revokeAccount", key.as_str()));
    run(&program, &scene, Run { token: &own, examples: 4, only }).await;
    assert_eq!(reads().await, 403, "the account was found, and revoked");
}

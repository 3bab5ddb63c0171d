//! A hub on PostgreSQL, as the command line runs it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use testkit::Postgres;

fn consign(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consign"));
    for variable in ["CONSIGN_HUB", "CONSIGN_STATE", "CONSIGN_DATABASE", "CONSIGN_CONFIG"] {
        command.env_remove(variable);
    }
    command.arg("--json").args(arguments).stdin(Stdio::null());
    command
}

/// A hub that ends with the test.
struct RunningHub(Child);

impl Drop for RunningHub {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(command: &mut Command) -> RunningHub {
    let mut hub = RunningHub(command.stdout(Stdio::piped()).spawn().expect("starts"));
    let mut line = String::new();
    let out = hub.0.stdout.take().expect("is piped");
    BufReader::new(out).read_line(&mut line).expect("reads");
    assert!(line.contains("listening"), "{line}");
    hub
}

fn told(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat()
}

/// Runs a command that must end well; returns its last line.
fn ok(command: &mut Command) -> Value {
    let output = command.output().expect("runs");
    assert!(output.status.success(), "{}", told(&output));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    serde_json::from_str(text.lines().last().unwrap_or("null")).expect("JSON")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn a_release_travels_through_a_hub_on_postgresql() {
    let Some(server) = Postgres::start() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let [data, state, source, copy, file] =
        ["hub", "anna", "source", "copy", "address"].map(|name| directory.path().join(name));
    fs::write(&file, server.create_database()).expect("writes");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("is ours");
    fs::create_dir(&source).expect("creates");
    fs::write(source.join("page"), "hello").expect("writes");

    let serve = ["hub", "--listen", "127.0.0.1:0", "--data", text(&data)];
    let with_file = [&serve[..], &["--database-file", text(&file)]].concat();
    let hub = start(&mut consign(&with_file));
    let invitation = ok(&mut consign(&["invite", "--data", text(&data)]));
    let invitation = invitation["invitation"].as_str().expect("an invitation");
    let anna = ["--state", text(&state)];
    ok(consign(&anna).args(["register", invitation]));
    ok(consign(&anna).args(["publish", text(&source), "anna/site", "--public"]));
    ok(consign(&anna).args(["get", "anna/site", "--to", text(&copy)]));
    assert_eq!(fs::read_to_string(copy.join("page")).expect("reads"), "hello");
    assert!(!data.join("hub.sqlite").exists());
    drop(hub);
    // It has noted the file, so it comes back by itself.
    start(&mut consign(&serve));
    let link = ok(&mut consign(&["console", "--data", text(&data)]));
    assert!(link["link"].as_str().is_some_and(|link| link.contains("#")), "{link}");
}

/// After a reboot the two come up beside each other.
#[test]
fn a_hub_waits_for_a_server_that_starts_and_says_so() {
    let Some(mut server) = Postgres::start() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let [data, file] = ["hub", "address"].map(|name| directory.path().join(name));
    fs::write(&file, server.create_database()).expect("writes");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("is ours");
    server.kill();
    let mut hub = consign(&["hub", "--listen", "127.0.0.1:0", "--data", text(&data)]);
    hub.args(["--database-file", text(&file)]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut hub = RunningHub(hub.spawn().expect("starts"));
    let mut log = BufReader::new(hub.0.stderr.take().expect("is piped")).lines();
    let waiting = log.find_map(|line| line.ok().filter(|line| line.contains("waiting for")));
    let waiting = waiting.expect("it says what it waits for");
    assert!(waiting.contains("postgres://consign@"), "{waiting}");
    assert!(!waiting.contains("not-a-secret"), "{waiting}");

    server.restart();
    let mut line = String::new();
    let out = hub.0.stdout.take().expect("is piped");
    BufReader::new(out).read_line(&mut line).expect("reads");
    assert!(line.contains("listening"), "{line}{:?}", log.collect::<Vec<_>>());
}

#[test]
fn a_password_is_taken_from_the_environment_and_not_from_arguments() {
    let Some(server) = Postgres::start() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("hub");
    let address = server.create_database();
    let serve = ["hub", "--listen", "127.0.0.1:0", "--data", text(&data)];
    let refused = consign(&serve).args(["--database", &address]).output().expect("runs");
    assert_eq!(refused.status.code(), Some(2), "{}", told(&refused));
    assert!(told(&refused).contains("CONSIGN_DATABASE"), "{}", told(&refused));
    assert!(!told(&refused).contains("not-a-secret"), "{}", told(&refused));
    assert!(!data.exists(), "nothing was begun");

    let hub = start(consign(&serve).env("CONSIGN_DATABASE", &address));
    let invite = ["invite", "--data", text(&data)];
    let lost = consign(&invite).output().expect("runs");
    assert!(!lost.status.success());
    assert!(told(&lost).contains("CONSIGN_DATABASE"), "{}", told(&lost));
    ok(consign(&invite).env("CONSIGN_DATABASE", &address));
    drop(hub);

    // Without it the hub does not begin with an empty database of its own.
    let lost = consign(&serve).output().expect("runs");
    assert!(!lost.status.success());
    assert!(told(&lost).contains("CONSIGN_DATABASE"), "{}", told(&lost));
    assert!(!data.join("hub.sqlite").exists());
    let wrong = address.replace("not-a-secret", "hunter2");
    let wrong = consign(&serve).env("CONSIGN_DATABASE", wrong).output().expect("runs");
    assert!(!wrong.status.success());
    assert!(told(&wrong).contains("password authentication failed"), "{}", told(&wrong));
    assert!(!told(&wrong).contains("hunter2"), "{}", told(&wrong));
}

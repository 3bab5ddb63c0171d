//! A hub on PostgreSQL, as the command line runs it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::Postgres;

use crate::process::{Process, ok, told};
use crate::users::set_mode;

/// The program, speaking JSON.
fn consign(arguments: &[&str]) -> Command {
    let mut command = crate::process::consign();
    command.arg("--json").args(arguments);
    command
}

fn start(command: &mut Command) -> Process {
    let (hub, hello) = Process::start_ready(command);
    assert_eq!(hello["event"], "listening");
    hub
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
    set_mode(&file, 0o600);
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
    set_mode(&file, 0o600);
    server.kill();
    let mut hub = consign(&["hub", "--listen", "127.0.0.1:0", "--data", text(&data)]);
    hub.args(["--database-file", text(&file)]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut hub = Process::start(&mut hub);
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

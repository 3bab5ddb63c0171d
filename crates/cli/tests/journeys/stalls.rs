//! A command that stands still says why within five seconds, on a terminal and in plain lines,
//! and Ctrl-C is heard at a prompt.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::Signal;

use crate::process::{Process, consign};
use crate::terminal::terminal;

/// Far above what is needed; a machine under load is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// A hub that takes connections and never answers.
struct SilentHub(TcpListener);

impl SilentHub {
    fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").expect("binds"))
    }

    fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().expect("bound"))
    }
}

/// A command, and where it works.
struct Running {
    process: Process,
    directory: tempfile::TempDir,
}

impl Running {
    fn start(args: &[&str], stdin: Stdio, stderr: Stdio) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let mut command = consign();
        command.args(args).current_dir(directory.path()).env("TERM", "xterm-256color");
        command.env("CONSIGN_STATE", directory.path().join("state"));
        let process = Process::start(command.stdin(stdin).stdout(Stdio::null()).stderr(stderr));
        Self { process, directory }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.process.kill();
        assert!(self.directory.path().exists());
    }
}

/// What `output` says until `wanted` is in it.
fn heard(mut output: impl std::io::Read + Send + 'static, wanted: &'static str) -> String {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(count) = output.read(&mut buffer) {
            all.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&all).into_owned();
            if count == 0 || text.contains(wanted) {
                let _ = sender.send(text);
                return;
            }
        }
    });
    let text = receiver.recv_timeout(PATIENCE).expect("it says something in time");
    assert!(text.contains(wanted), "{wanted:?} is not in {text:?}");
    text
}

/// The seconds a text says it has waited, the first time it says so.
fn waited_s(text: &str) -> u64 {
    let (before, _) = text.split_once(" s waiting for ").expect("it says how long");
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("seconds")
}

#[test]
fn a_silent_hub_is_named_in_plain_lines() {
    let hub = SilentHub::new();
    let url = hub.url();
    for command in [&["ls"][..], &["get", "team/site", "--to", "x"], &["log", "team/site"]] {
        let args = [&["--hub", url.as_str()], command].concat();
        let mut running = Running::start(&args, Stdio::null(), Stdio::piped());
        let stderr = running.process.0.stderr.take().expect("piped");
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let line = lines.next().expect("a line");
        assert!(waited_s(&line) < 5, "{line}");
        let reason = format!("waiting for an answer from {url} (");
        assert!(line.contains(&reason) && line.contains("; gives up in "), "{line}");
    }
}

#[test]
fn a_silent_hub_is_named_on_a_terminal() {
    let hub = SilentHub::new();
    let url = hub.url();
    for command in [&["ls"][..], &["get", "team/site", "--to", "x"]] {
        let (master, slave) = terminal(120);
        let args = [&["--hub", url.as_str()], command].concat();
        let _running = Running::start(&args, Stdio::null(), slave.into());
        let text = heard(master, "; gives up in ");
        assert!(waited_s(&text) < 5 && text.contains("an answer from http://127"), "{text:?}");
    }
}

#[test]
fn a_silent_hub_is_named_to_programs_too() {
    let hub = SilentHub::new();
    let url = hub.url();
    for command in [&["ls"][..], &["get", "team/site", "--to", "x"]] {
        let args = [&["--hub", url.as_str(), "--json"], command].concat();
        let mut running = Running::start(&args, Stdio::null(), Stdio::piped());
        let stderr = running.process.0.stderr.take().expect("piped");
        let lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let mut events = lines.map(|line| serde_json::from_str(&line).expect("JSON"));
        let event: serde_json::Value =
            events.find(|event: &serde_json::Value| !event["waits_for"].is_null()).expect("one");
        let reason = event["waits_for"].as_str().expect("a text");
        assert_eq!(event["event"], "progress");
        assert!(event["still_s"].as_u64() > Some(0), "{event}");
        assert!(reason.contains(&format!("an answer from {url} (")), "{event}");
        assert!(reason.contains("; gives up in "), "{event}");
    }
}

#[test]
fn quiet_says_nothing_of_it() {
    let hub = SilentHub::new();
    let url = hub.url();
    for options in [&["--quiet"][..], &["--quiet", "--json"]] {
        let args = [&["--hub", url.as_str()], options, &["ls"]].concat();
        let mut running = Running::start(&args, Stdio::null(), Stdio::piped());
        // Long enough for the reason to be due, were it to be said.
        let mut stderr = running.process.0.stderr.take().expect("piped");
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 64];
            let _ = sender.send(stderr.read(&mut buffer).unwrap_or(0));
        });
        assert!(receiver.recv_timeout(Duration::from_secs(5)).is_err(), "{options:?} talks");
    }
}

#[test]
fn ctrl_c_is_heard_at_a_prompt() {
    let (_master, slave) = terminal(120);
    let stderr = slave.try_clone().expect("cloned");
    // Without an argument the invitation is read from the terminal, where nobody types.
    let mut running = Running::start(&["register"], slave.into(), stderr.into());
    let state = running.directory.path().join("state");
    let began = std::time::Instant::now();
    // The first thing a command does is to listen for signals; before that it just dies of one.
    while running.process.0.try_wait().expect("waits").is_none() && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(500));
        running.process.signal(Signal::INT);
    }
    let status = running.process.0.wait().expect("ends");
    assert_eq!(status.code(), Some(130), "{status:?}, {}", state.display());
}

//! The program as a process: nothing of the machine's own configuration, and it ends with the test.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Far longer than anything takes on a busy machine; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Where the sources are.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Takes from a command what the machine or its user has set.
pub(crate) fn closed(command: &mut Command) -> &mut Command {
    for name in [
        "CONSIGN_DATABASE",
        "CONSIGN_HUB",
        "CONSIGN_LOG",
        "CONSIGN_PROXY",
        "CONSIGN_PROXY_CREDENTIALS",
        "CONSIGN_STATE",
        "ALL_PROXY",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "NO_PROXY",
        "all_proxy",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "NOTIFY_SOCKET",
        "XDG_CONFIG_HOME",
        "XDG_RUNTIME_DIR",
        "XDG_STATE_HOME",
    ] {
        command.env_remove(name);
    }
    command.env("CONSIGN_CONFIG", "/dev/null").env("HOME", "/nonexistent").stdin(Stdio::null())
}

/// The program under test.
pub(crate) fn consign() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consign"));
    closed(&mut command);
    command
}

/// A process that ends with the test.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let spawned = command.spawn();
        Self(spawned.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Starts a command that says in one line of JSON when it is ready; what it says.
    pub(crate) fn start_ready(command: &mut Command) -> (Self, Value) {
        let mut process = Self::start(command.stdout(Stdio::piped()));
        let mut line = String::new();
        let out = process.0.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("readable");
        let said = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("the first line is {line:?}: {error}"));
        (process, said)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("it runs");
    }

    pub(crate) fn end(mut self, signal: Signal) {
        self.signal(signal);
        self.0.wait().expect("it ends");
    }

    /// Asks it to end, waits until it has; whether it ended well.
    pub(crate) fn stop(&mut self) -> bool {
        self.signal(Signal::TERM);
        self.0.wait().expect("it ends").success()
    }

    /// Leaves it no time for anything.
    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a hub and waits until it says that it listens; what it says.
pub(crate) fn start_hub(data: &Path, more: &[&str]) -> (Process, Value) {
    start_hub_by(&mut consign(), data, more)
}

pub(crate) fn start_hub_by(command: &mut Command, data: &Path, more: &[&str]) -> (Process, Value) {
    let command = command.args(["hub", "--json", "--data"]).arg(data).args(more);
    let (hub, hello) = Process::start_ready(command);
    assert_eq!(hello["event"], "listening");
    (hub, hello)
}

/// The address in a URL that a hub on loopback told.
pub(crate) fn address_of(url: &Value) -> SocketAddr {
    let rest = url.as_str().and_then(|url| url.split('/').nth(2));
    rest.expect("a URL").parse().expect("an address")
}

/// An invitation to the hub whose data is there.
pub(crate) fn invite(data: &Path, more: &[&str]) -> String {
    let line = ok(consign().args(["--json", "invite", "--data"]).arg(data).args(more));
    line["invitation"].as_str().expect("a text").to_owned()
}

/// Runs a command that must end well; its last line.
pub(crate) fn ok(command: &mut Command) -> Value {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", told(&output));
    last_line(&output)
}

/// Every line of a command's facts.
pub(crate) fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    let parse =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
    text.lines().map(parse).collect()
}

pub(crate) fn last_line(output: &Output) -> Value {
    lines(output).pop().unwrap_or_else(|| panic!("no output: {}", told(output)))
}

/// A number in a line.
pub(crate) fn count(line: &Value, field: &str) -> u64 {
    line[field].as_u64().unwrap_or_else(|| panic!("{field} is no number in {line}"))
}

/// How a command ended and all it printed.
pub(crate) fn told(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}\n{}{}", output.status, String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Asks until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

//! Hubs and nodes as processes on loopback.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn consign() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consign"));
    for name in ["CONSIGN_HUB", "CONSIGN_STATE", "CONSIGN_DATABASE", "NOTIFY_SOCKET"] {
        command.env_remove(name);
    }
    // Nothing of the machine's own configuration.
    command.env("CONSIGN_CONFIG", "/dev/null").stdin(Stdio::null());
    command
}

/// A process that ends with the test.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let spawned = command.spawn();
        Self(spawned.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Asks it to end, waits until it has; whether it ended well.
    pub(crate) fn stop(&mut self) -> bool {
        let pid = Pid::from_child(&self.0);
        kill_process(pid, Signal::TERM).expect("it runs");
        self.0.wait().expect("it ends").success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Starts a hub and waits until it says that it listens; what it says.
pub(crate) fn start_hub(data: &Path, more: &[&str]) -> (Process, Value) {
    start_hub_by(&mut consign(), data, more)
}

pub(crate) fn start_hub_by(command: &mut Command, data: &Path, more: &[&str]) -> (Process, Value) {
    let command = command.args(["hub", "--json", "--data"]).arg(data).args(more);
    let mut hub = Process::start(command.stdout(Stdio::piped()));
    let mut line = String::new();
    let out = hub.0.stdout.take().expect("piped");
    BufReader::new(out).read_line(&mut line).expect("readable");
    let hello: Value = serde_json::from_str(&line)
        .unwrap_or_else(|error| panic!("the first line is {line:?}: {error}"));
    assert_eq!(hello["event"], "listening");
    (hub, hello)
}

/// The address in a URL that a hub on loopback told.
pub(crate) fn address_of(url: &Value) -> SocketAddr {
    let rest = url.as_str().and_then(|url| url.split('/').nth(2));
    rest.expect("a URL").parse().expect("an address")
}

/// A node with its state directory.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) state: PathBuf,
    pub(crate) environment: Vec<(&'static str, PathBuf)>,
}

impl Node {
    pub(crate) fn new(state: PathBuf) -> Self {
        Self { state, environment: Vec::new() }
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let mut command = consign();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(["--json", "--state"]).arg(&self.state).args(args);
        command.output().expect("consign runs")
    }

    /// Runs a command that must end well; its last line.
    pub(crate) fn ok(&self, args: &[&str]) -> Value {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", told(&output));
        last_line(&output)
    }

    /// Registers with the hub whose data is in `data`.
    pub(crate) fn join(&self, data: &Path, more: &[&str]) {
        let data = data.to_str().expect("UTF-8");
        let invitation = self.ok(&[&["invite", "--data", data], more].concat());
        self.ok(&["register", invitation["invitation"].as_str().expect("a string")]);
    }
}

pub(crate) fn last_line(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_else(|| panic!("no output: {}", told(output)));
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{last:?}: {error}"))
}

pub(crate) fn told(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}\n{}{}", output.status, String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

/// Bytes that do not compress and differ by seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Asks until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

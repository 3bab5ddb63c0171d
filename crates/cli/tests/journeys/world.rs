//! A hub and its nodes.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::process::{Process, consign, invite, last_line, lines, ok, start_hub_by, told};

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

    /// The program as this node, speaking to people.
    pub(crate) fn plain(&self, args: &[&str]) -> Command {
        let mut command = consign();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.arg("--state").arg(&self.state).args(args);
        command
    }

    /// The program as this node, speaking JSON.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.plain(&[&["--json"], args].concat())
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("consign runs")
    }

    /// Runs a command that must end well; its last line.
    pub(crate) fn ok(&self, args: &[&str]) -> Value {
        ok(&mut self.command(args))
    }

    /// Registers with the hub whose data is in `data`; the node's key.
    pub(crate) fn join(&self, data: &Path, more: &[&str]) -> String {
        self.ok(&["register", &invite(data, more)]);
        self.ok(&["id"])["key"].as_str().expect("a text").to_owned()
    }

    /// Registers as an administrator.
    pub(crate) fn join_administrator(&self, data: &Path) {
        let valid = std::time::Duration::from_secs(3600);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let data = hub::HubData::from(data);
        let invited = runtime.block_on(hub::invite(data, hub::Role::Administrator, &[], valid));
        self.ok(&["register", &invited.expect("invited").to_string()]);
    }
}

fn log_into<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    fs::create_dir_all(folder).expect("made");
    let log = OpenOptions::new().create(true).append(true).open(folder.join("log")).expect("opens");
    command.env("CONSIGN_LOG", "debug").stderr(log)
}

/// A hub and a place for nodes; both end with the test.
pub(crate) struct World {
    pub(crate) hub: Process,
    /// What the hub said when it was ready.
    pub(crate) hello: Value,
    pub(crate) url: String,
    pub(crate) directory: tempfile::TempDir,
    /// What every node is started with.
    pub(crate) environment: Vec<(&'static str, PathBuf)>,
    /// Whether what runs for long logs all it can.
    pub(crate) logs: bool,
}

/// Where what runs for long logs, each into a folder of its own.
const LOGS: &str = "logs";

impl World {
    /// A hub that nobody has registered with.
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// A hub that is started with these options, too.
    pub(crate) fn with(options: &[&str]) -> Self {
        Self::begin(options, false)
    }

    /// One in which what runs for long logs all it can: see [`World::logging`].
    pub(crate) fn logged() -> Self {
        Self::begin(&[], true)
    }

    fn begin(options: &[&str], logs: bool) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let data = directory.path().join("hub");
        let mut command = consign();
        if logs {
            log_into(&mut command, &directory.path().join(LOGS).join("hub"));
        }
        let options = [&["--listen", "127.0.0.1:0"], options].concat();
        let (hub, hello) = start_hub_by(&mut command, &data, &options);
        assert_eq!(hello["fingerprint"].as_str().map(str::len), Some(64));
        let url = hello["url"].as_str().expect("a text").to_owned();
        Self { hub, hello, url, directory, environment: Vec::new(), logs }
    }

    /// Has a command log all it can in a file beneath `logs/NAME`, in a world that logs.
    pub(crate) fn logging<'a>(&self, command: &'a mut Command, name: &str) -> &'a mut Command {
        match self.logs {
            true => log_into(command, &self.path(LOGS).join(name)),
            false => command,
        }
    }

    /// Host and port of the hub.
    pub(crate) fn address(&self) -> &str {
        self.url.split("//").nth(1).expect("a URL").trim_end_matches('/')
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    pub(crate) fn node(&self, name: &str) -> Node {
        let mut node = Node::new(self.path(name));
        node.environment.push(("HOME", self.directory.path().to_owned()));
        node.environment.extend(self.environment.iter().cloned());
        node
    }

    /// The program as one node of this world, speaking JSON.
    pub(crate) fn command(&self, node: &str, args: &[&str]) -> Command {
        self.node(node).command(args)
    }

    pub(crate) fn run(&self, node: &str, args: &[&str]) -> Output {
        self.node(node).run(args)
    }

    /// Runs a command that must end with this code; all its lines.
    pub(crate) fn lines(&self, node: &str, args: &[&str], code: i32) -> Vec<Value> {
        let output = self.run(node, args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", told(&output));
        lines(&output)
    }

    /// Runs a command that must end well; its last line.
    pub(crate) fn ok(&self, node: &str, args: &[&str]) -> Value {
        self.node(node).ok(args)
    }

    /// Runs a command that must end with this code; its last line.
    pub(crate) fn fails(&self, node: &str, args: &[&str], code: i32) -> Value {
        let output = self.run(node, args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", told(&output));
        last_line(&output)
    }

    pub(crate) fn invitation(&self, more: &[&str]) -> String {
        invite(&self.path("hub"), more)
    }

    /// Registers a node; its key.
    pub(crate) fn join(&self, node: &str, more: &[&str]) -> String {
        self.node(node).join(&self.path("hub"), more)
    }

    /// Registers a node as an administrator.
    pub(crate) fn join_administrator(&self, node: &str) {
        self.node(node).join_administrator(&self.path("hub"));
    }
}

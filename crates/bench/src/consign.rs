//! Our side: hubs and nodes as separate processes, driven by the command line alone.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::data;
use super::measure::{self, Sample, Server};
use xtask::shell;

/// The built program.
#[derive(Debug, Clone)]
pub(super) struct Consign {
    program: PathBuf,
}

/// The closing line of a long command.
#[derive(Debug, Deserialize)]
struct Done {
    bytes_sent: Option<u64>,
    bytes_received: Option<u64>,
}

/// The first line of a hub.
#[derive(Debug, Deserialize)]
struct Listening {
    url: String,
}

/// A running hub and the directory it keeps.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) server: Server,
    /// Where it listens, whatever its invitations say.
    pub(super) url: String,
    consign: Consign,
    data: PathBuf,
}

/// A node: a state directory that is registered with a hub.
#[derive(Debug, Clone)]
pub(super) struct Node {
    consign: Consign,
    state: PathBuf,
}

impl Consign {
    /// Builds the program as it is released.
    pub(super) fn build() -> Result<Self> {
        let arguments = ["build", "--release", "--package", "cli", "--bin", "consign"];
        shell::run(&mut shell::cargo(&arguments))?;
        Ok(Self { program: shell::target().join("release/consign") })
    }

    /// A program that is there already.
    pub(super) fn at(program: PathBuf) -> Self {
        Self { program }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env_remove("CONSIGN_STATE").env_remove("CONSIGN_HUB");
        command
    }

    /// Starts a hub with TLS on a free port, its data in a new directory below `scratch`.
    pub(super) fn hub(&self, scratch: &Path) -> Result<Hub> {
        self.hub_at(scratch, "127.0.0.1:0", None)
    }

    /// The same with its database on a server.
    pub(super) fn hub_on(&self, scratch: &Path, database: &str) -> Result<Hub> {
        // With its password it is nobody else's to read, and no argument.
        let file = scratch.join("database");
        let mut created = OpenOptions::new();
        created.write(true).create_new(true).mode(0o600);
        created.open(&file)?.write_all(database.as_bytes())?;
        let file = file.to_str().context("a path that is text")?;
        self.start(scratch, &["--listen", "127.0.0.1:0", "--database-file", file])
    }

    /// Starts a hub on an address; invitations name `url` when it is reached by another.
    pub(super) fn hub_at(&self, scratch: &Path, listen: &str, url: Option<&str>) -> Result<Hub> {
        let mut arguments = vec!["--listen", listen];
        arguments.extend(url.into_iter().flat_map(|url| ["--url", url]));
        self.start(scratch, &arguments)
    }

    fn start(&self, scratch: &Path, arguments: &[&str]) -> Result<Hub> {
        let data = scratch.join("hub");
        fs::create_dir_all(&data)?;
        let mut command = self.command();
        command.args(["hub", "--json", "--data"]).arg(&data).args(arguments);
        let log = File::create(scratch.join("hub.log"))?;
        let mut server = Server::start(command.stdout(Stdio::piped()).stderr(log))?;
        let line = measure::first_line(&mut server)?;
        let listening: Listening = serde_json::from_str(&line).with_context(|| {
            let log = fs::read_to_string(scratch.join("hub.log")).unwrap_or_default();
            format!("the hub did not announce itself: {line}{log}")
        })?;
        if !listening.url.starts_with("https://") {
            bail!("the hub listens on {}, which is not TLS", listening.url);
        }
        Ok(Hub { server, url: listening.url, consign: self.clone(), data })
    }
}

impl Hub {
    /// An invitation: where the hub is and how it is recognised.
    pub(super) fn invitation(&self) -> Result<String> {
        let mut invite = self.consign.command();
        let said = shell::output(invite.args(["invite", "--data"]).arg(&self.data))?;
        let invitation = said.split_whitespace().find(|word| word.starts_with("consign-invite-1:"));
        invitation.map(str::to_owned).context("`consign invite` printed no invitation")
    }

    /// A node in a directory of its own that the hub does not know.
    pub(super) fn stranger(&self, state: PathBuf) -> Node {
        Node { consign: self.consign.clone(), state }
    }

    /// Makes a node in a new directory and registers it.
    pub(super) fn node(&self, state: PathBuf) -> Result<Node> {
        data::clear(&state)?;
        let node = Node { consign: self.consign.clone(), state };
        self.register(&node)?;
        Ok(node)
    }

    /// Registers a node that other hubs may know already.
    pub(super) fn register(&self, node: &Node) -> Result<()> {
        let mut register = node.command();
        measure::run(register.arg("register"), &format!("{}\n", self.invitation()?), &[])?;
        Ok(())
    }
}

impl Node {
    pub(super) fn command(&self) -> Command {
        let mut command = self.consign.command();
        command.arg("--state").arg(&self.state);
        command
    }

    /// The same node as it is now, in another directory: a run can start from it again.
    pub(super) fn copy(&self, state: PathBuf) -> Result<Self> {
        data::clear(&state)?;
        fs::create_dir_all(&state)?;
        data::copy(&self.state, &state)?;
        Ok(Self { consign: self.consign.clone(), state })
    }

    /// Publishes `path`; with a capability file, sealed.
    pub(super) fn publish(
        &self,
        path: &Path,
        name: &str,
        sealed: Option<&Path>,
        hub: &Hub,
    ) -> Result<Sample> {
        let mut command = self.command();
        command.args(["--json", "publish", "--public"]).arg(path).arg(name);
        if let Some(capability) = sealed {
            command.arg("--sealed").arg("--capability-file").arg(capability);
        }
        let (mut sample, said) = measure::run(&mut command, "", &[&hub.server])?;
        sample.wire_bytes = done(&said)?.bytes_sent;
        Ok(sample)
    }

    /// The command that gets `name` into `to`.
    pub(super) fn get_command(&self, name: &str, to: &Path, sealed: Option<&Path>) -> Command {
        let mut command = self.command();
        command.args(["--json", "get", name, "--to"]).arg(to);
        if let Some(capability) = sealed {
            command.arg("--capability").arg(capability);
        }
        command
    }

    /// Gets `name` into `to`; with a capability file, sealed.
    pub(super) fn get(
        &self,
        name: &str,
        to: &Path,
        sealed: Option<&Path>,
        hub: &Hub,
    ) -> Result<Sample> {
        let mut command = self.get_command(name, to, sealed);
        let (mut sample, said) = measure::run(&mut command, "", &[&hub.server])?;
        sample.wire_bytes = done(&said)?.bytes_received;
        Ok(sample)
    }
}

fn done(said: &str) -> Result<Done> {
    let last = said.lines().rev().find(|line| line.contains("\"done\""));
    let last = last.context("the command ended without its closing line")?;
    serde_json::from_str(last).with_context(|| format!("not a closing line: {last}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_is_found_and_read() {
        let said =
            "{\"event\":\"progress\"}\n{\"event\":\"done\",\"bytes_received\":7,\"wall_s\":0.1}\n";
        assert_eq!(done(said).unwrap().bytes_received, Some(7));
        assert!(done("{\"event\":\"progress\"}\n").is_err());
    }
}

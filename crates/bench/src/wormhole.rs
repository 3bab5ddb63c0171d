//! magic-wormhole, with a mailbox server and a transit relay of its own: Python programs in an
//! environment of their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::measure::{self, Sample, Server};
use super::peers::{free_port, wait_for};
use super::session::Session;
use xtask::shell;

const PACKAGES: [&str; 3] = [
    "magic-wormhole==0.24.0",
    "magic-wormhole-mailbox-server==0.8.0",
    "magic-wormhole-transit-relay==0.5.0",
];
/// Both ends know it; a mailbox that was used is closed.
const CODE: &str = "7-guitarist-revenge";

/// How the ends reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Direct,
    /// Neither end listens.
    Relay,
}

/// The servers of one run; new ones each time, for a code is used once.
#[derive(Debug)]
pub(super) struct Wormhole {
    programs: PathBuf,
    mailbox: Server,
    relay: Server,
    mailbox_port: u16,
    relay_port: u16,
}

/// Where the programs are, below the directory of the data sets.
pub(super) fn programs(root: &Path) -> PathBuf {
    root.join("peers/wormhole/bin")
}

/// Gets the programs from PyPI.
pub(super) fn install(root: &Path) -> Result<()> {
    if programs(root).join("wormhole").is_file() {
        return Ok(());
    }
    let folder = root.join("peers/wormhole");
    shell::run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let mut pip = Command::new(programs(root).join("pip"));
    shell::run(pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES))
}

impl Wormhole {
    pub(super) fn start(session: &Session) -> Result<Self> {
        let programs = programs(session.data.root());
        if !programs.join("wormhole").is_file() {
            bail!("magic-wormhole is not here (--install-peers fetches it)");
        }
        let folder = session.data.scratch("wormhole")?;
        let (mailbox_port, relay_port) = (free_port()?, free_port()?);
        let twist = |plugin: &str, port: u16| {
            let mut command = Command::new(programs.join("twist"));
            command.args(["--log-level=error", plugin]);
            command.arg(format!("--port=tcp:{port}:interface=127.0.0.1"));
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let mut mailbox = twist("wormhole-mailbox", mailbox_port);
        mailbox.arg(format!("--channel-db={}", folder.join("mailbox.sqlite").display()));
        let mailbox = Server::start(&mut mailbox)?;
        let relay = Server::start(&mut twist("transitrelay", relay_port))?;
        wait_for(mailbox_port)?;
        wait_for(relay_port)?;
        Ok(Self { programs, mailbox, relay, mailbox_port, relay_port })
    }

    fn command(&self, what: &str, way: Way) -> Command {
        let mut command = Command::new(self.programs.join("wormhole"));
        command.arg(format!("--relay-url=ws://127.0.0.1:{}/v1", self.mailbox_port));
        command.arg(format!("--transit-helper=tcp:127.0.0.1:{}", self.relay_port));
        command.args([what, "--hide-progress"]);
        if way == Way::Relay {
            command.arg("--no-listen");
        }
        command
    }

    /// Sends a directory, whole or its only file, into `to`, where it has the same name.
    pub(super) fn deliver(&self, source: &Path, to: &Path, way: Way) -> Result<Sample> {
        let name = source.file_name().context("a data set has a name")?;
        let only = only_file(source)?;
        let mut sending = self.command("send", way);
        sending.stdin(Stdio::null());
        sending.arg(format!("--code={CODE}")).arg(only.as_deref().unwrap_or(source));
        let into = match &only {
            Some(file) => {
                std::fs::create_dir(to.join(name))?;
                to.join(name).join(file.file_name().context("a file has a name")?)
            }
            None => to.join(name),
        };
        let mut receiving = self.command("receive", way);
        receiving.arg("--accept-file").arg("-o").arg(into).arg(CODE).stdin(Stdio::null());
        measure::run_both(&mut sending, &|| true, || Ok(receiving), &[&self.mailbox, &self.relay])
    }
}

/// The file of a directory that has nothing else.
fn only_file(folder: &Path) -> Result<Option<PathBuf>> {
    let mut entries = std::fs::read_dir(folder)?;
    let first = entries.next().transpose()?.map(|entry| entry.path());
    Ok(first.filter(|path| path.is_file() && entries.next().is_none()))
}

//! A hub, nodes and folders beneath one directory that can be brought back to how they were.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// Far longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A place where the program lives, always under the same path: it remembers paths.
#[derive(Debug)]
pub struct World {
    program: PathBuf,
    directory: tempfile::TempDir,
    port: u16,
    hub: Option<Child>,
    /// What the hub is started with beside the usual.
    pub(crate) hub_options: &'static [&'static str],
}

impl World {
    /// An empty world.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn new(program: &Path) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("faults-").tempdir()?;
        fs::create_dir(directory.path().join("world"))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Ok(Self { program: program.to_owned(), directory, port, hub: None, hub_options: &[] })
    }

    /// A path in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("world").join(name)
    }

    /// A file beside it, which is neither kept nor brought back.
    #[must_use]
    pub fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The program, as `node` would run it.
    #[must_use]
    pub fn command(&self, node: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        for name in ["CONSIGN_HUB", "CONSIGN_STATE", "CONSIGN_DATABASE", "XDG_RUNTIME_DIR"] {
            command.env_remove(name);
        }
        // Nothing of the machine's own configuration.
        command.env("CONSIGN_CONFIG", "/dev/null").env("HOME", self.path(""));
        command.arg("--json").arg("--state").arg(self.path(node)).args(arguments);
        command.current_dir(self.path("")).stdin(Stdio::null());
        command
    }

    /// The command that runs the hub.
    #[must_use]
    pub fn hub_command(&self) -> Command {
        let listen = format!("127.0.0.1:{}", self.port);
        let usual = ["hub", "--data", "hub", "--keep-free", "0", "--listen", &listen];
        self.command("nobody", &[&usual, self.hub_options].concat())
    }

    /// Starts the hub and waits until it listens.
    ///
    /// # Errors
    /// When it ends instead.
    pub fn start_hub(&mut self) -> anyhow::Result<()> {
        let log = fs::File::options().create(true).append(true).open(self.beside("hub.log"))?;
        let mut hub = self.hub_command().stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut line = String::new();
        BufReader::new(hub.stdout.take().context("piped")?).read_line(&mut line)?;
        self.hub = Some(hub);
        ensure!(line.contains("listening"), "the hub does not open: {line}");
        Ok(())
    }

    /// Kills the hub, if it runs.
    pub fn kill_hub(&mut self) {
        if let Some(mut hub) = self.hub.take() {
            let _ = hub.kill();
            let _ = hub.wait();
        }
    }

    /// Runs a command that must end well; its last line.
    ///
    /// # Errors
    /// When it does not; with all that it said.
    pub fn ok(&self, node: &str, arguments: &[&str]) -> anyhow::Result<Value> {
        let output = self.command(node, arguments).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "{arguments:?} ends with {:?}: {said}{}",
            output.status.code(),
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_str(said.lines().last().unwrap_or("null")).context("a line of JSON")
    }

    /// Registers a node with the hub.
    ///
    /// # Errors
    /// When the hub refuses.
    pub fn join(&self, node: &str) -> anyhow::Result<()> {
        let invitation = self.ok("nobody", &["invite", "--data", "hub"])?;
        let invitation = invitation["invitation"].as_str().context("an invitation")?;
        self.ok(node, &["register", invitation]).map(|_| ())
    }

    /// Keeps everything as it is now, under a name.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn keep(&self, name: &str) -> anyhow::Result<()> {
        remove(&self.beside(name))?;
        copy(&self.path(""), &self.beside(name))
    }

    /// Brings back what was kept under a name; with `but_hub`, the hub's data stay as they are.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn restore(&self, name: &str, but_hub: bool) -> anyhow::Result<()> {
        for entry in fs::read_dir(self.path(""))? {
            let entry = entry?;
            if !(but_hub && entry.file_name() == "hub") {
                remove(&entry.path())?;
            }
        }
        for entry in fs::read_dir(self.beside(name))? {
            let entry = entry?;
            if !(but_hub && entry.file_name() == "hub") {
                copy(&entry.path(), &self.path("").join(entry.file_name()))?;
            }
        }
        Ok(())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill_hub();
    }
}

/// Removes a file or a directory with all that is in it, if it is there.
pub(crate) fn remove(path: &Path) -> anyhow::Result<()> {
    let Ok(found) = path.symlink_metadata() else { return Ok(()) };
    let removed = if found.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}

/// Copies a file or directory to where nothing is.
pub(crate) fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let copied = Command::new("cp").arg("-aT").arg(from).arg(to).status()?;
    ensure!(copied.success(), "cannot copy {}", from.display());
    Ok(())
}

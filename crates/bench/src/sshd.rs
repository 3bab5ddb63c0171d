//! A server of OpenSSH for scp, with keys of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::measure::Server;
use super::peers::{free_port, wait_for};
use super::session::need;
use xtask::shell;

/// What sshd wants to exist before it gives up its rights.
const PRIVILEGE_SEPARATION: &str = "/run/sshd";

#[derive(Debug)]
pub(super) struct Sshd {
    pub(super) server: Server,
    key: PathBuf,
    port: u16,
}

impl Sshd {
    pub(super) fn start(root: &Path) -> Result<Self> {
        need("sshd")?;
        let folder = root.join("sshd");
        fs::create_dir_all(&folder)?;
        let (host, key) = (folder.join("host"), folder.join("key"));
        for file in [&host, &key] {
            if !file.is_file() {
                let mut made = Command::new("ssh-keygen");
                made.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file);
                shell::run(&mut made)?;
            }
        }
        fs::copy(folder.join("key.pub"), folder.join("authorized"))?;
        let port = free_port()?;
        let at = folder.display();
        let configuration = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host\n\
             AuthorizedKeysFile {at}/authorized\nStrictModes no\nUsePAM no\nPidFile none\n\
             Subsystem sftp internal-sftp\nPermitRootLogin prohibit-password\n"
        );
        let file = folder.join("sshd_config");
        fs::write(&file, configuration)?;
        // Where it is not allowed it is not needed.
        drop(fs::create_dir_all(PRIVILEGE_SEPARATION));
        let program = shell::output(Command::new("sh").args(["-c", "command -v sshd"]))?;
        let mut command = Command::new(program.trim());
        command.args(["-D", "-f"]).arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Server::start(&mut command)?;
        wait_for(port).context("sshd does not start")?;
        Ok(Self { server, key, port })
    }

    /// Copies a directory below `to`.
    pub(super) fn scp(&self, source: &Path, to: &Path) -> Command {
        let mut command = Command::new("scp");
        command.args(["-q", "-r", "-c", "aes128-gcm@openssh.com", "-F", "/dev/null"]);
        command.args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]);
        command.args(["-o", "LogLevel=ERROR", "-P", &self.port.to_string(), "-i"]).arg(&self.key);
        command.arg(source).arg(format!("127.0.0.1:{}/", to.display()));
        command
    }
}

//! The programs we measure ourselves against: how to get them, start them and call them.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::desync;
use super::measure::Server;
use super::wormhole;
use xtask::packages::{self, Need};
use xtask::shell;

const NEEDS: &[Need] = &[
    Need { program: "nginx", package: "nginx-light" },
    Need { program: "curl", package: "curl" },
    Need { program: "openssl", package: "openssl" },
    Need { program: "rsync", package: "rsync" },
    Need { program: "aria2c", package: "aria2" },
    Need { program: "wrk", package: "wrk" },
    Need { program: "sshd", package: "openssh-server" },
    Need { program: "python3", package: "python3-venv" },
];

/// What is there of the peers.
#[derive(Debug)]
pub(super) struct Peers {
    pub(super) desync: Option<PathBuf>,
    wormhole: Option<PathBuf>,
}

impl Peers {
    /// Looks for the peers, and with `install` gets the missing ones first.
    pub(super) fn find(root: &Path, install: bool) -> Result<Self> {
        if install {
            packages::install(NEEDS)?;
            if let Err(error) = wormhole::install(root) {
                eprintln!("xtask: magic-wormhole cannot be had: {error:#}");
            }
        }
        let own = root.join("peers/usr/bin/desync");
        let desync = if shell::on_path("desync") {
            Some(PathBuf::from("desync"))
        } else if own.is_file() {
            Some(own)
        } else if install {
            match desync::unpack(&root.join("peers")) {
                Ok(()) => Some(own),
                Err(error) => {
                    eprintln!("xtask: desync cannot be had: {error:#}");
                    None
                }
            }
        } else {
            None
        };
        let wormhole = Some(wormhole::programs(root).join("wormhole")).filter(|it| it.is_file());
        Ok(Self { desync, wormhole })
    }

    /// Versions, for the report.
    pub(super) fn versions(&self) -> Vec<String> {
        let first = |program: &str, flag: &str| {
            let done = Command::new(program).arg(flag).output().ok()?;
            // nginx says its version on standard error.
            let said = [done.stdout, done.stderr].concat();
            String::from_utf8_lossy(&said).lines().next().map(|line| line.trim().to_owned())
        };
        let mut versions: Vec<String> = [
            ("curl", "--version"),
            ("nginx", "-v"),
            ("rsync", "--version"),
            ("cp", "--version"),
            ("aria2c", "--version"),
            ("wrk", "-v"),
            ("ssh", "-V"),
        ]
        .into_iter()
        .filter_map(|(program, flag)| first(program, flag))
        .map(|line| line.split(['(', '[']).next().unwrap_or_default().trim().to_owned())
        .collect();
        if let Some(wormhole) = &self.wormhole {
            versions.extend(first(&wormhole.to_string_lossy(), "--version"));
        }
        if let Some(desync) = &self.desync {
            let package = desync.ancestors().nth(3).map(|peers| peers.join("version"));
            let version = package.and_then(|file| fs::read_to_string(file).ok());
            versions.push(format!(
                "desync {}",
                version.as_deref().unwrap_or("of the search path").trim()
            ));
        }
        versions
    }
}

/// A port nobody listens on at the moment.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|facts| facts.uid() == 0)
}

pub(super) fn wait_for(port: u16) -> Result<()> {
    let patience = Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() > patience {
            bail!("nobody listens on port {port} after 10 s");
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// nginx over the data directory: plain and TLS 1.3, HTTP/1.1 and HTTP/2.
#[derive(Debug)]
pub(super) struct Nginx {
    pub(super) server: Server,
    pub(super) certificate: PathBuf,
    plain: u16,
    tls: u16,
    log: PathBuf,
}

impl Nginx {
    pub(super) fn start(root: &Path) -> Result<Self> {
        let folder = root.join("nginx");
        fs::create_dir_all(&folder)?;
        let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        if !certificate.is_file() {
            let request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
                           -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1";
            let mut command = Command::new("openssl");
            command.args(request.split_whitespace()).arg("-keyout").arg(&key);
            shell::output(command.arg("-out").arg(&certificate))?;
        }
        let (plain, tls) = (free_port()?, free_port()?);
        let log = folder.join("bytes.log");
        let at = folder.display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
            .collect();
        let configuration = format!(
            "daemon off; pid {at}/pid; error_log {at}/error.log; worker_processes auto;\n\
             worker_rlimit_nofile 8192; {user}\n\
             events {{ worker_connections 2048; }}\n\
             http {{\n{temporary}\
             log_format bytes '$bytes_sent'; access_log off;\n\
             sendfile on; tcp_nopush on; keepalive_requests 1000000; default_type application/octet-stream;\n\
             server {{\n\
             listen 127.0.0.1:{plain}; listen 127.0.0.1:{tls} ssl http2;\n\
             ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.3;\n\
             root {root};\n\
             location /desync/ {{ access_log {log} bytes buffer=64k flush=100ms; }}\n\
             }}\n}}\n",
            user = if is_root() { "user root;" } else { "" },
            cert = certificate.display(),
            key = key.display(),
            root = root.display(),
            log = log.display(),
        );
        let file = folder.join("nginx.conf");
        fs::write(&file, configuration)?;
        let server = Server::start(
            Command::new("nginx")
                .arg("-p")
                .arg(&folder)
                .arg("-c")
                .arg(&file)
                .arg("-e")
                .arg(folder.join("error.log"))
                .stdout(Stdio::null()),
        )?;
        wait_for(tls)?;
        Ok(Self { server, certificate, plain, tls, log })
    }

    pub(super) fn plain_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.plain)
    }

    pub(super) fn tls_url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}/{path}", self.tls)
    }

    /// Where it speaks TLS.
    pub(super) fn tls_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.tls))
    }

    /// Bytes it has sent of chunk stores, headers included.
    pub(super) fn sent_bytes(&self) -> u64 {
        // Longer than the log waits before it is written.
        thread::sleep(Duration::from_millis(300));
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().filter_map(|line| line.parse::<u64>().ok()).sum()
    }
}

/// An rsync daemon over the data directory.
#[derive(Debug)]
pub(super) struct Rsync {
    pub(super) server: Server,
    port: u16,
}

impl Rsync {
    pub(super) fn start(root: &Path) -> Result<Self> {
        let folder = root.join("rsync");
        fs::create_dir_all(&folder)?;
        let ids = if is_root() { "uid = 0\ngid = 0\n" } else { "" };
        let file = folder.join("rsyncd.conf");
        fs::write(
            &file,
            format!("use chroot = no\n{ids}[d]\npath = {}\nread only = yes\n", root.display()),
        )?;
        let port = free_port()?;
        let mut command = Command::new("rsync");
        command.args(["--daemon", "--no-detach", "--address=127.0.0.1", &format!("--port={port}")]);
        let server = Server::start(command.arg("--config").arg(&file).stdout(Stdio::null()))?;
        wait_for(port)?;
        Ok(Self { server, port })
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("rsync://127.0.0.1:{}/d/{path}", self.port)
    }
}

/// Bytes a client received, from what `rsync --stats` prints.
pub(super) fn rsync_received_bytes(stats: &str) -> Option<u64> {
    let line = stats.lines().find_map(|line| line.strip_prefix("Total bytes received: "))?;
    line.replace([',', '.'], "").trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_rsync_are_read_from_its_statistics() {
        let stats = "Total bytes sent: 1,234\nTotal bytes received: 1,398,101\n";
        assert_eq!(rsync_received_bytes(stats), Some(1_398_101));
        assert_eq!(rsync_received_bytes("nothing"), None);
    }
}

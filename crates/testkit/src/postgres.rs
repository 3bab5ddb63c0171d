//! A PostgreSQL server of a test's own.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::parts;

/// The server refuses to run as root, so root runs it as one of these, the first there is.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// Longest wait for the server to start or stop; it takes a second.
const PATIENCE: Duration = Duration::from_secs(60);

const USER: &str = "consign";
const PASSWORD: &str = "not-a-secret";

/// What the server says when it can be used, be it for reading alone.
const READY: [&str; 2] = [
    "database system is ready to accept connections",
    "database system is ready to accept read-only connections",
];

/// A server with a cluster in a temporary directory, reached by a socket there and by nothing
/// else, unless it was asked to listen on loopback with TLS. Dropping it stops the server and
/// removes the cluster.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    /// Where it listens on loopback, with TLS.
    port: Option<u16>,
    /// As which user and group, by number, when this is root.
    user: Option<(u32, u32)>,
    directory: tempfile::TempDir,
    server: Option<Child>,
    databases: AtomicU32,
}

impl Postgres {
    /// Makes a cluster and starts it; `None`, and said, when PostgreSQL is not here.
    ///
    /// # Panics
    /// If it is here and does not start, or if it is not here and parts are required.
    #[must_use]
    pub fn start() -> Option<Self> {
        Some(Self::created()?.started())
    }

    /// As [`Self::start`], and reached over loopback too, with TLS for who asks for it: with this
    /// certificate and key, in PEM.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn start_with_tls(certificate: &str, key: &str) -> Option<Self> {
        let mut server = Self::created()?;
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        server.port = Some(free.expect("a free port").port());
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let path = server.directory().join(name);
            std::fs::write(&path, text).expect("writes");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("is ours");
            if let Some((user, group)) = server.user {
                chown(&path, Some(user), Some(group)).expect("root may");
            }
        }
        Some(server.started())
    }

    fn created() -> Option<Self> {
        let initdb = parts::require("initdb")?.canonicalize().expect("it was just found");
        let programs = initdb.parent().expect("a program is in a directory").to_owned();
        let server = Self::without_data(programs);
        server.create();
        Some(server)
    }

    fn without_data(programs: PathBuf) -> Self {
        let directory = tempfile::Builder::new().prefix("pg").tempdir().expect("a directory");
        let user = user(directory.path());
        let databases = AtomicU32::new(0);
        Self { programs, port: None, user, directory, server: None, databases }
    }

    /// Starts another server that follows this one: what this one acknowledges from now on, both have.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn standby(&self) -> Self {
        let standby = Self::without_data(self.programs.clone());
        let mut copy = self.command("pg_basebackup");
        copy.env("PGPASSWORD", PASSWORD).arg("--host").arg(self.directory());
        copy.args(["--username", USER, "--checkpoint=fast", "--write-recovery-conf", "--no-sync"]);
        standby.succeed(copy.arg("--pgdata").arg(standby.data()));
        let standby = standby.started();
        self.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.sql("postgres", "SELECT pg_reload_conf()");
        standby
    }

    /// Makes a server that [`Self::standby`] started one of its own, which takes writes.
    ///
    /// # Panics
    /// If it is none.
    pub fn promote(&self) {
        let promoted = self.sql("postgres", "SELECT pg_promote()");
        assert_eq!(promoted.trim(), "t", "within a minute");
    }

    /// The directory of the socket.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Creates a database; returns its address, password included.
    ///
    /// # Panics
    /// If the server does not do it.
    pub fn create_database(&self) -> String {
        let database = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut createdb = self.client("createdb");
        self.succeed(createdb.arg(&database));
        let host = self.directory().to_str().expect("temporary paths are text").replace('/', "%2F");
        format!("postgres://{USER}:{PASSWORD}@{host}/{database}")
    }

    /// The address over loopback of a database at an address that [`Self::create_database`]
    /// returned, with the server under a name; parameters are to be added behind a `?`.
    ///
    /// # Panics
    /// If the server was not started with TLS.
    #[must_use]
    pub fn over_loopback(&self, address: &str, host: &str) -> String {
        let port = self.port.expect("the server was started with TLS");
        format!("postgres://{USER}:{PASSWORD}@{host}:{port}/{}", database_of(address))
    }

    /// Writes the database at an address that [`Self::create_database`] returned to a file, as
    /// operators do: `pg_dump --format=custom`.
    ///
    /// # Panics
    /// If that fails.
    pub fn dump(&self, address: &str, to: &Path) {
        let mut dump = self.client("pg_dump");
        dump.arg("--format=custom").arg("--file").arg(to).arg(database_of(address));
        self.succeed(&mut dump);
    }

    /// Fills an empty database with what [`Self::dump`] wrote: `pg_restore --exit-on-error`.
    ///
    /// # Panics
    /// If that fails.
    pub fn restore(&self, address: &str, from: &Path) {
        let mut restore = self.client("pg_restore");
        restore.args(["--exit-on-error", "--no-owner", "--dbname", database_of(address)]).arg(from);
        self.succeed(&mut restore);
    }

    /// Runs statements in the database at an address that [`Self::create_database`] returned.
    ///
    /// # Panics
    /// If they fail.
    pub fn sql(&self, address: &str, statements: &str) -> String {
        let database = database_of(address);
        let mut psql = self.client("psql");
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"]);
        psql.args(["--set=ON_ERROR_STOP=1", "--command", statements, database]);
        self.succeed(&mut psql)
    }

    /// Kills the server without warning, as a power cut would.
    ///
    /// # Panics
    /// If it does not run.
    pub fn kill(&mut self) {
        let mut server = self.server.take().expect("the server runs");
        server.kill().expect("it is ours");
        server.wait().expect("it is ours");
    }

    /// Starts the server again after [`Self::kill`], or kills it first.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self) {
        if self.server.is_some() {
            self.kill();
        }
        self.run();
    }

    /// Kills one of the server's own processes without warning, one that serves a connection when
    /// there is one: the server then ends all connections, and recovers by itself.
    ///
    /// # Panics
    /// If there is no such process.
    pub fn crash(&self) {
        let serving = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()
                       ORDER BY backend_type = 'client backend' DESC LIMIT 1";
        let pid = self.sql("postgres", serving).trim().parse().ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a server has processes"), Signal::KILL).expect("it is ours");
    }

    fn started(mut self) -> Self {
        self.run();
        self
    }

    fn data(&self) -> PathBuf {
        self.directory().join("data")
    }

    /// A program of the server's, run as the user it may run as.
    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = Command::new(program);
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.env("PGPASSWORD", PASSWORD).arg("--host").arg(self.directory());
        command.args(["--username", USER]);
        if let Some(port) = self.port {
            command.arg("--port").arg(port.to_string());
        }
        command
    }

    fn succeed(&self, command: &mut Command) -> String {
        let output = command.current_dir(self.directory()).output().expect("it was found");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}: {told}", command.get_program());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn create(&self) {
        let secret = self.directory().join("password");
        std::fs::write(&secret, PASSWORD).expect("writes");
        std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o644)).expect("is ours");
        let mut initdb = self.command("initdb");
        initdb.arg("--pgdata").arg(self.data()).arg("--pwfile").arg(&secret);
        initdb.args(["--no-sync", "--username", USER, "--auth", "scram-sha-256"]);
        // Sorts text by a language where no order is asked for, as servers do in the field.
        initdb.args(["--encoding=UTF8", "--locale=C", "--locale-provider=icu", "--icu-locale=en"]);
        self.succeed(&mut initdb);
    }

    /// Starts the server and waits until it takes connections. The one before may still be
    /// going: then it does not start, and is tried again.
    fn run(&mut self) {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut server = self.command("postgres");
            server.arg("-D").arg(self.data()).arg("-k").arg(self.directory());
            // Killing the server loses nothing the system has taken, so nothing need be synced.
            for setting in ["listen_addresses=", "fsync=off", "shared_buffers=32MB"] {
                server.args(["-c", setting]);
            }
            if let Some(port) = self.port {
                server.args(["-c", "listen_addresses=127.0.0.1", "-p", &port.to_string()]);
                for (setting, file) in [("ssl_cert_file", "crt"), ("ssl_key_file", "key")] {
                    let path = self.directory().join(format!("server.{file}"));
                    server.arg("-c").arg(format!("{setting}={}", path.display()));
                }
                server.args(["-c", "ssl=on"]);
            }
            server.current_dir(self.directory()).stdin(Stdio::null()).stdout(Stdio::null());
            let mut child =
                server.stderr(Stdio::piped()).spawn().expect("postgres is beside initdb");
            let log = lines(&mut child);
            self.server = Some(child);
            let mut told = String::new();
            loop {
                match log.recv_timeout(end.saturating_duration_since(Instant::now())) {
                    Ok(line) if READY.iter().any(|ready| line.contains(ready)) => return,
                    Ok(line) => told = format!("{told}{line}\n"),
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => panic!("the server does not start:\n{told}"),
                }
            }
            let mut ended = self.server.take().expect("was just put there");
            ended.wait().expect("it is ours");
            assert!(told.contains("is still in use"), "the server does not start:\n{told}");
            assert!(Instant::now() < end, "the server before does not end:\n{told}");
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        let pid = i32::try_from(server.id()).ok().and_then(Pid::from_raw);
        // The server's own way of stopping at once, which also ends what it started.
        let told = pid.is_some_and(|pid| kill_process(pid, Signal::QUIT).is_ok());
        if !told {
            let _ = server.kill();
        }
        let _ = server.wait();
    }
}

fn database_of(address: &str) -> &str {
    address.rsplit('/').next().expect("an address has a path")
}

/// Whom to run the server as when this is root; the directory becomes theirs.
fn user(directory: &Path) -> Option<(u32, u32)> {
    if directory.metadata().expect("is there").uid() != 0 {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").expect("every machine has one");
    let known = |wanted: &str| {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == wanted).then_some(())?;
            Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
        })
    };
    let (user, group): (u32, u32) =
        USERS.iter().find_map(|user| known(user)).expect("nobody is everywhere");
    chown(directory, Some(user), Some(group)).expect("root may");
    Some((user, group))
}

/// The lines a server writes, read to its end so that it never waits for a reader.
fn lines(server: &mut Child) -> Receiver<String> {
    let stderr = server.stderr.take().expect("is piped");
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

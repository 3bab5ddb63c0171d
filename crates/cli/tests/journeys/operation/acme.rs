//! Certificates from an authority: Pebble, the test server of the people behind ACME.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use testkit::{noise, parts};

use crate::process::{Process, consign, free_port, invite, start_hub, start_hub_by, until};
use crate::world::Node;

const DOMAIN: &str = "hub.example.org";

fn curl(arguments: &[&str]) -> Option<String> {
    let output = Command::new("curl").args(["--silent", "--fail"]).args(arguments).output();
    let output = output.expect("curl runs");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Pebble, and a resolver by which every name leads to this machine, as far as Pebble knows.
struct Authority {
    directory: PathBuf,
    program: PathBuf,
    acme: u16,
    management: u16,
    dns: u16,
    pebble: Option<Process>,
    _resolver: Process,
}

impl Authority {
    /// One that asks hubs on `hub_port`, and whose certificates end after `lifetime_s`, if said.
    fn start(directory: &Path, hub_port: u16, lifetime_s: Option<u64>) -> Option<Self> {
        let program = parts::require("pebble")?;
        let resolver = parts::require("pebble-challtestsrv")?;
        let [acme, management, dns, resolver_management] = [(); 4].map(|()| free_port());
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("signs");
        fs::write(directory.join("pebble.pem"), made.cert.pem()).expect("writes");
        fs::write(directory.join("pebble.key"), made.signing_key.serialize_pem()).expect("writes");
        let mut settings = serde_json::json!({
            "listenAddress": format!("127.0.0.1:{acme}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": directory.join("pebble.pem"),
            "privateKey": directory.join("pebble.key"),
            "httpPort": 1,
            "tlsPort": hub_port,
        });
        if let Some(lifetime) = lifetime_s {
            settings["certificateValidityPeriod"] = lifetime.into();
        }
        let settings = serde_json::json!({ "pebble": settings }).to_string();
        fs::write(directory.join("pebble.json"), settings).expect("writes");

        let mut command = Command::new(resolver);
        command.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]);
        command.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
        command.arg("-dns01").arg(format!("127.0.0.1:{dns}"));
        command.arg("-management").arg(format!("127.0.0.1:{resolver_management}"));
        let _resolver = Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
        let directory = directory.to_owned();
        let mut it = Self { directory, program, acme, management, dns, pebble: None, _resolver };
        it.run();
        Some(it)
    }

    /// Starts Pebble. It remembers nothing of the one before: accounts are gone, and its root is
    /// another.
    fn run(&mut self) {
        let log = fs::File::create(self.directory.join("pebble.log")).expect("a file");
        let mut command = Command::new(&self.program);
        command.arg("-config").arg(self.directory.join("pebble.json"));
        command.arg("-dnsserver").arg(format!("127.0.0.1:{}", self.dns));
        command.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "0");
        self.pebble = Some(Process::start(command.stdout(log).stderr(Stdio::null())));
        let (ca, roots) = (self.ca(), format!("https://localhost:{}/roots/0", self.management));
        let mut root = None;
        until("Pebble answers", || {
            root = curl(&["--cacert", &ca, &roots]);
            root.is_some()
        });
        fs::write(self.root(), root.expect("just got")).expect("writes");
    }

    fn stop(&mut self) {
        self.pebble.take().expect("it runs").stop();
    }

    /// Which authority vouches for the authority's own address.
    fn ca(&self) -> String {
        self.directory.join("pebble.pem").to_str().expect("UTF-8").to_owned()
    }

    /// Which authority vouches for the certificates it gives.
    fn root(&self) -> String {
        self.directory.join("root.pem").to_str().expect("UTF-8").to_owned()
    }

    fn address(&self) -> String {
        format!("https://localhost:{}/dir", self.acme)
    }
}

/// A connection to a hub that stays open.
struct Held {
    _process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Held {
    fn connect(openssl: &Path, port: u16) -> Self {
        let mut command = Command::new(openssl);
        command.args(["s_client", "-quiet", "-servername", DOMAIN, "-connect"]);
        command.arg(format!("127.0.0.1:{port}")).stderr(Stdio::null());
        let mut process = Process::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let input = process.0.stdin.take().expect("piped");
        let output = BufReader::new(process.0.stdout.take().expect("piped"));
        Self { _process: process, input, output }
    }

    /// Asks on the same connection whether the hub is alive.
    fn asks(&mut self) -> bool {
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {DOMAIN}\r\n\r\n");
        if self.input.write_all(request.as_bytes()).and_then(|()| self.input.flush()).is_err() {
            return false;
        }
        let (mut is_well, mut length) = (false, 0);
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line).is_ok_and(|read| read == 0) {
                return false;
            }
            is_well |= line.starts_with("HTTP/1.1 200");
            let line = line.trim().to_ascii_lowercase();
            if let Some(told) = line.strip_prefix("content-length: ") {
                length = told.parse().expect("a number");
            }
            if line.is_empty() {
                break;
            }
        }
        is_well && self.output.read_exact(&mut vec![0; length]).is_ok()
    }
}

#[test]
fn a_certificate_is_obtained_over_the_hubs_own_port_and_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let text = |name: &str| path(name).to_str().expect("UTF-8").to_owned();
    let port = free_port();
    let Some(pebble) = Authority::start(directory.path(), port, None) else { return };
    let (ca, authority) = (pebble.ca(), pebble.address());

    let listen = format!("127.0.0.1:{port}");
    let arguments = [
        ["--listen", &listen],
        ["--tls", "acme"],
        ["--domain", DOMAIN],
        ["--acme-directory", &authority],
        ["--acme-ca", &ca],
    ];
    let (mut hub, hello) = start_hub(&path("hub"), arguments.as_flattened());
    assert_eq!(hello["url"].as_str(), Some(format!("https://{DOMAIN}:{port}").as_str()));
    // A client that trusts the authority, and knows where the name leads.
    let health = format!("https://{DOMAIN}:{port}/healthz");
    let resolve = format!("{DOMAIN}:{port}:127.0.0.1");
    let root = pebble.root();
    let asked = || curl(&["--resolve", &resolve, "--cacert", &root, &health]);
    until("a certificate is obtained", || asked().is_some());
    let told = fs::read_to_string(path("pebble.log")).expect("reads");
    assert!(told.contains("tls-alpn-01") || told.contains("valid"), "Pebble has asked: {told}");

    let first = fs::read(path("hub").join("acme/certificate.pem")).expect("is kept");
    assert!(hub.stop());
    // The same certificate after a restart, at once.
    let (mut hub, _) = start_hub(&path("hub"), arguments.as_flattened());
    assert!(asked().is_some(), "the stored certificate is used");
    assert_eq!(fs::read(path("hub").join("acme/certificate.pem")).expect("is kept"), first);
    assert!(hub.stop());
    use std::os::unix::fs::PermissionsExt as _;
    for secret in ["certificate.pem", "account.json"] {
        let metadata = fs::metadata(path("hub").join("acme").join(secret)).expect("is there");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{secret}");
    }

    // Our own client needs a name that this machine resolves: the certificate is for another
    // one, so it refuses; with the name it was made for, it goes on.
    let localhost = format!("https://localhost:{port}");
    let (mut hub, _) =
        start_hub(&path("hub"), &[arguments.as_flattened(), &["--url", &localhost]].concat());
    let mut node = Node::new(path("node"));
    node.environment = vec![("SSL_CERT_FILE", path("root.pem"))];
    let refused = node.run(&["register", &invite(&path("hub"), &[])]);
    assert!(!refused.status.success(), "a certificate of another name is not believed");
    assert!(hub.stop());
    let arguments = [&arguments[..2], &[["--domain", "localhost"]], &arguments[3..]].concat();
    let (_hub, _) = start_hub(&path("hub2"), arguments.as_flattened());
    let asked = || curl(&["--cacert", &root, &format!("{localhost}/healthz")]).is_some();
    until("a certificate for localhost is obtained", asked);
    node.join(&path("hub2"), &[]);
    fs::create_dir(path("site")).expect("a directory");
    fs::write(path("site").join("file"), noise(1, 1 << 20)).expect("writes");
    node.ok(&["publish", &text("site"), "team/site", "--public"]);
    node.ok(&["get", "team/site", "--to", &text("copy")]);
}

/// The authority is away when the time comes, and has forgotten everything when it is back.
#[test]
fn a_certificate_is_renewed_while_the_hub_serves_as_soon_as_the_authority_is_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let (port, metrics_port) = (free_port(), free_port());
    let Some(openssl) = parts::require("openssl") else { return };
    // Renewed when it is twelve seconds old, and tried for every second.
    let Some(mut pebble) = Authority::start(directory.path(), port, Some(18)) else { return };
    let (listen, metrics) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{metrics_port}"));
    let (ca, authority) = (pebble.ca(), pebble.address());
    let arguments = [
        ["--listen", &listen],
        ["--metrics-listen", &metrics],
        ["--tls", "acme"],
        ["--domain", DOMAIN],
        ["--acme-directory", &authority],
        ["--acme-ca", &ca],
    ];
    let log = fs::File::create(path("hub.log")).expect("a file");
    let mut command = consign();
    command.env("CONSIGN_LOG", "warn").env("NO_COLOR", "1").stderr(log);
    let (mut hub, _) = start_hub_by(&mut command, &path("hub"), arguments.as_flattened());

    let health = format!("https://{DOMAIN}:{port}/healthz");
    let resolve = format!("{DOMAIN}:{port}:127.0.0.1");
    // Whatever it is worth now: the certificate that a new connection is shown.
    let shown = || {
        let nothing = path("nothing");
        let nothing = nothing.to_str().expect("UTF-8");
        let told = ["--insecure", "--write-out", "%{certs}", "--output", nothing];
        curl(&[&told[..], &["--resolve", &resolve, &health]].concat())
    };
    let ends = || {
        let text = curl(&[&format!("http://{metrics}/metrics")]).expect("tells");
        let line = text.lines().find_map(|line| {
            line.strip_prefix("consign_hub_certificate_end_time_seconds ")?.parse::<u64>().ok()
        });
        line.expect("is told")
    };
    let mut first = None;
    until("a certificate is obtained", || {
        first = shown();
        first.is_some()
    });
    pebble.stop();
    let (first, first_ends) = (first.expect("just got"), ends());
    assert!(first.contains("BEGIN CERTIFICATE"), "{first}");
    let mut held = Held::connect(&openssl, port);
    assert!(held.asks());

    let logged = || fs::read_to_string(path("hub.log")).expect("reads");
    until("a renewal fails, and is tried again", || {
        assert!(held.asks(), "connections go on: {}", logged());
        logged().matches("no certificate was obtained").count() >= 2
    });
    assert!(logged().contains("retry_in_s="), "says when it is tried again: {}", logged());
    assert_eq!(shown().as_deref(), Some(first.as_str()), "the old one serves");
    assert_eq!(ends(), first_ends);

    pebble.run();
    until("a certificate is renewed", || {
        assert!(held.asks(), "connections go on: {}", logged());
        shown().is_some_and(|certificate| certificate != first)
    });
    assert!(held.asks(), "and go on after it");
    assert!(ends() > first_ends);
    // By somebody who checks it, while it is valid: there is always one that is.
    let root = pebble.root();
    let believed = || curl(&["--resolve", &resolve, "--cacert", &root, &health]).is_some();
    until("the new one is believed", believed);
    assert!(hub.stop());
}

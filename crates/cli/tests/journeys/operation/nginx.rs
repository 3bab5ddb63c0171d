//! The hub behind a real nginx, with the configuration that operators are given.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use testkit::{noise, parts};

use crate::delivery::assert_nowhere;
use crate::files::assert_same;
use crate::people::{Sending, person};
use crate::process::{Process, consign, free_port, invite, root, start_hub_by, until};
use crate::world::{Node, World};

const CONFIGURATION: &str = include_str!("../../../../../packaging/nginx/consign.conf");

const MARKER: &[u8] = b"the marker of this delivery";

/// An authority and a certificate for localhost.
fn certificates(directory: &Path) {
    let authority_key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "An authority");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).expect("a certificate");
    let issuer = rcgen::Issuer::new(params, authority_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    fs::write(directory.join("authority.pem"), authority.pem()).expect("writes");
    fs::write(directory.join("fullchain.pem"), certificate.pem()).expect("writes");
    fs::write(directory.join("privkey.pem"), key.serialize_pem()).expect("writes");
}

/// An operators' file with this test's ports and files, in a whole configuration.
fn configure(directory: &Path, theirs: &str, hub_port: u16, port: u16) {
    let own = directory.to_str().expect("UTF-8");
    let mut text = theirs.to_owned();
    for (theirs, ours) in [
        ("127.0.0.1:7400;", format!("127.0.0.1:{hub_port};")),
        ("listen 443 ssl;", format!("listen 127.0.0.1:{port} ssl;")),
        ("server_name hub.example.org;", "server_name localhost;".to_owned()),
        ("/etc/ssl/consign/fullchain.pem", format!("{own}/fullchain.pem")),
        ("/etc/ssl/consign/privkey.pem", format!("{own}/privkey.pem")),
    ] {
        assert_eq!(text.matches(theirs).count(), 1, "{theirs}");
        text = text.replace(theirs, &ours);
    }
    fs::write(directory.join("consign.conf"), text).expect("writes");
    let whole = format!(
        "daemon off; pid {own}/nginx.pid; error_log {own}/error.log warn; worker_processes 1;\n\
         events {{ worker_connections 512; }}\n\
         http {{ access_log off; client_body_temp_path {own}/body; proxy_temp_path {own}/proxy;\n\
         fastcgi_temp_path {own}/f; uwsgi_temp_path {own}/u; scgi_temp_path {own}/s;\n\
         include {own}/consign.conf; }}\n"
    );
    fs::write(directory.join("nginx.conf"), whole).expect("writes");
}

#[test]
fn everything_goes_through_nginx_as_operators_are_told_to_set_it_up() {
    let Some(nginx) = parts::require("nginx") else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let text = |name: &str| path(name).to_str().expect("UTF-8").to_owned();
    // Workers of root's nginx run as somebody else, who must reach its temporary directories.
    certificates(directory.path());
    let (hub_port, port) = (free_port(), free_port());
    configure(directory.path(), CONFIGURATION, hub_port, port);
    let mut command = Command::new(nginx);
    command.arg("-p").arg(directory.path()).arg("-c").arg(path("nginx.conf"));
    let _nginx = Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()));

    let url = format!("https://localhost:{port}");
    let mut hub = consign();
    hub.env("CONSIGN_LOG", "hub=debug").stderr(Stdio::piped());
    let listen = format!("127.0.0.1:{hub_port}");
    let arguments =
        ["--listen", &listen, "--tls", "off", "--url", &url, "--trusted-proxy", "127.0.0.1"];
    let (mut hub, hello) = start_hub_by(&mut hub, &path("hub"), &arguments);
    assert_eq!(hello["url"].as_str(), Some(url.as_str()));
    let (lines, log) = mpsc::channel();
    let err = BufReader::new(hub.0.stderr.take().expect("piped"));
    thread::spawn(move || {
        err.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)).ok()
    });

    let mut node = Node::new(path("node"));
    let invitation = invite(&path("hub"), &[]);
    until("nginx listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    // Nobody this system trusts vouches for the certificate.
    let refused = node.run(&["register", &invitation]);
    assert!(!refused.status.success(), "an unknown authority is not believed");
    node.environment = vec![("SSL_CERT_FILE", path("authority.pem"))];
    node.ok(&["register", &invitation]);

    // More than nginx would buffer, and more than one upload.
    fs::create_dir(path("site")).expect("a directory");
    for number in 0..4 {
        let file = path("site").join(format!("file{number}"));
        fs::write(file, noise(number, 30 << 20)).expect("writes");
    }
    node.ok(&["publish", &text("site"), "team/site", "--public"]);

    // An event stream through nginx says at once what is released.
    let mut curl = Command::new("curl");
    // From another address of this machine than the proxy's: all of 127/8 are.
    curl.args(["--silent", "--no-buffer", "--interface", "127.0.0.9"]);
    curl.args(["--cacert", &text("authority.pem")]);
    curl.args(["--header", "X-Forwarded-For: 203.0.113.9", "--header", "Last-Event-ID: 0"]);
    curl.arg(format!("{url}/v1/events?name=team/site")).stdout(Stdio::piped());
    let mut events = Process::start(&mut curl);
    let out = BufReader::new(events.0.stdout.take().expect("piped"));
    // Beside releases it tells how often there is a heart-beat.
    let releases = |line: &String| line.starts_with("data:") && line.contains("\"sequence\"");
    let mut out = out.lines().map_while(Result::ok).filter(releases);
    assert!(out.next().expect("the first release").contains("\"sequence\":1"));
    fs::write(path("site").join("more"), b"more").expect("writes");
    node.ok(&["publish", &text("site"), "team/site", "--public"]);
    assert!(out.next().expect("the second release").contains("\"sequence\":2"));

    let mut reader = Node::new(path("reader"));
    reader.environment = node.environment.clone();
    reader.join(&path("hub"), &["--reader"]);
    reader.ok(&["get", "team/site", "--to", &text("copy")]);
    for number in 0..4 {
        let file = fs::read(path("copy").join(format!("file{number}"))).expect("reads");
        assert!(file == noise(number, 30 << 20), "file{number}");
    }
    assert!(!path("body").join("0000000001").exists(), "no upload was buffered on disk");

    drop(events);
    assert!(hub.stop());
    let log: Vec<String> = log.iter().collect();
    // What nginx noted is believed, what the client wrote before it is not.
    let from = |address: &str| log.iter().any(|line| line.contains(&format!("client={address}")));
    assert!(from("127.0.0.9"), "the log names clients: {log:#?}");
    assert!(!from("203.0.113.9"), "a client cannot choose its address");
}

/// The shortest configuration that the documents give, with what nginx does by default.
fn shortest() -> String {
    let text = fs::read_to_string(root().join("docs/operations.md")).expect("readable");
    let block = text.split("```nginx\n").nth(1).and_then(|rest| rest.split("```").next());
    block.expect("a block of nginx's").to_owned()
}

/// Anna and Ben, two people of a hub behind nginx under this configuration, send each other a
/// folder; what nginx remarked.
fn people_deliver_through(configuration: &str) -> Option<String> {
    let nginx = parts::require("nginx")?;
    let directory = tempfile::tempdir().expect("a directory");
    // Workers of root's nginx run as somebody else, who must reach what it collects.
    let reachable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(directory.path(), reachable).expect("may");
    certificates(directory.path());
    let (hub_port, port) = (free_port(), free_port());
    configure(directory.path(), configuration, hub_port, port);
    let mut command = Command::new(nginx);
    command.arg("-p").arg(directory.path()).arg("-c").arg(directory.path().join("nginx.conf"));
    let _nginx = Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    until("nginx listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let (listen, url) = (format!("127.0.0.1:{hub_port}"), format!("https://localhost:{port}"));
    let arguments =
        ["--listen", &listen, "--tls", "off", "--url", &url, "--trusted-proxy", "127.0.0.1"];
    let (hub, hello) = start_hub_by(&mut consign(), &directory.path().join("hub"), &arguments);
    let authority = directory.path().join("authority.pem");
    let environment = vec![("SSL_CERT_FILE", authority)];
    let world = World { hub, hello, url, directory, environment, logs: false };
    person(&world, "anna");
    person(&world, "ben");
    world.ok("ben", &["book", "add", "anna"]);
    world.ok("anna", &["book", "add", "ben"]);
    for (from, to, seed) in [("anna", "ben", 1), ("ben", "anna", 2)] {
        let source = world.path(&format!("of {from}"));
        fs::create_dir(&source).expect("made");
        fs::write(source.join("noise"), noise(seed, 24 << 20)).expect("written");
        fs::write(source.join("marker"), MARKER.repeat(1000)).expect("written");
        let sent = world.text(&format!("of {from}"));
        let sending = Sending::start(&world, from, &[&sent, "--to", to]);
        let placed = world.path(&format!("for {to}"));
        fs::create_dir(&placed).expect("made");
        let placed_text = world.text(&format!("for {to}"));
        let received = world.ok(to, &["accept", &sending.id()[..8], "--to", &placed_text]);
        assert_eq!(received["event"], "received", "{received}");
        assert_same(&source, &placed.join(format!("of {from}")));
        assert_eq!(sending.last()["event"], "delivered");
    }
    assert_nowhere(&world.path("hub"), MARKER);
    Some(fs::read_to_string(world.path("error.log")).expect("readable"))
}

#[test]
fn deliveries_go_through_nginx_in_both_directions_and_are_on_no_disk_of_its() {
    let Some(remarks) = people_deliver_through(CONFIGURATION) else { return };
    assert!(!remarks.contains("buffered to a temporary file"), "{remarks}");
}

#[test]
fn deliveries_go_through_an_nginx_that_collects_requests_as_it_does_by_default() {
    let Some(remarks) = people_deliver_through(&shortest()) else { return };
    // Sealed segments were on its disk, as the documents say; answers and events never are.
    assert!(remarks.contains("client request body is buffered to a temporary file"), "{remarks}");
    assert!(!remarks.contains("upstream response is buffered"), "{remarks}");
}

//! Certificates from an authority: Pebble, the test server of the people behind ACME.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::parts;

use crate::world::{Node, Process, free_port, noise, start_hub, until};

const DOMAIN: &str = "hub.example.org";

fn certificate_of_the_directory(directory: &Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(directory.join("pebble.pem"), made.cert.pem()).expect("writes");
    fs::write(directory.join("pebble.key"), made.signing_key.serialize_pem()).expect("writes");
}

fn curl(arguments: &[&str]) -> Option<String> {
    let output = Command::new("curl").args(["--silent", "--fail"]).args(arguments).output();
    let output = output.expect("curl runs");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_certificate_is_obtained_over_the_hubs_own_port_and_kept() {
    let Some(pebble) = parts::require("pebble") else { return };
    let Some(resolver) = parts::require("pebble-challtestsrv") else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let text = |name: &str| path(name).to_str().expect("UTF-8").to_owned();
    certificate_of_the_directory(directory.path());
    let [acme, management, dns, resolver_management, port] = [(); 5].map(|()| free_port());

    // Every name leads to this machine, as far as Pebble knows.
    let mut command = Command::new(resolver);
    command.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]);
    command.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
    command.arg("-dns01").arg(format!("127.0.0.1:{dns}"));
    command.arg("-management").arg(format!("127.0.0.1:{resolver_management}"));
    let _resolver = Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    let settings = serde_json::json!({"pebble": {
        "listenAddress": format!("127.0.0.1:{acme}"),
        "managementListenAddress": format!("127.0.0.1:{management}"),
        "certificate": text("pebble.pem"),
        "privateKey": text("pebble.key"),
        "httpPort": 1,
        "tlsPort": port,
    }});
    fs::write(path("pebble.json"), settings.to_string()).expect("writes");
    let log = fs::File::create(path("pebble.log")).expect("a file");
    let mut command = Command::new(pebble);
    command.arg("-config").arg(path("pebble.json"));
    command.arg("-dnsserver").arg(format!("127.0.0.1:{dns}"));
    command.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "0");
    let _pebble = Process::start(command.stdout(log).stderr(Stdio::null()));
    let ca = text("pebble.pem");
    let roots = format!("https://localhost:{management}/roots/0");
    let mut root = None;
    until("Pebble answers", || {
        root = curl(&["--cacert", &ca, &roots]);
        root.is_some()
    });
    fs::write(path("root.pem"), root.expect("just got")).expect("writes");

    let listen = format!("127.0.0.1:{port}");
    let authority = format!("https://localhost:{acme}/dir");
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
    let root = text("root.pem");
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
    let invitation = node.ok(&["invite", "--data", &text("hub")]);
    let refused = node.run(&["register", invitation["invitation"].as_str().expect("a string")]);
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

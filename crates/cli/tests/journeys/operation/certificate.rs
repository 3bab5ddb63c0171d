//! A certificate of the operator's that is renewed while the hub runs.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use rustix::process::Signal;
use testkit::tls::{Dialler, Wire};

use crate::process::{address_of, start_hub, until};

/// Puts a new certificate and key there; its fingerprint.
fn renew(directory: &Path) -> [u8; 32] {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    for (name, text) in
        [("privkey.pem", made.signing_key.serialize_pem()), ("fullchain.pem", made.cert.pem())]
    {
        fs::write(directory.join("new"), text).expect("writes");
        fs::rename(directory.join("new"), directory.join(name)).expect("replaces");
    }
    documents::certificate_fingerprint(made.cert.der())
}

#[test]
fn a_renewed_certificate_is_served_after_a_signal_without_a_restart() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let first = renew(directory.path());
    let file = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
    let tls = format!("{},{}", file("fullchain.pem"), file("privkey.pem"));
    let arguments = ["--listen", "127.0.0.1:0", "--tls", &tls, "--certificate", "web"];
    let (mut hub, hello) = start_hub(&directory.path().join("hub"), &arguments);
    let dialler = Dialler::new(address_of(&hello["url"]));
    let connect = || runtime.block_on(dialler.connect(Ipv4Addr::LOCALHOST));
    let shown = |wire: &Wire| documents::certificate_fingerprint(wire.certificate());
    let serves = |wire: &mut Wire| {
        runtime.block_on(async {
            wire.send("GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n").await;
            wire.until("\r\n\r\nok\n").await
        })
    };
    let mut old = connect();
    assert_eq!(shown(&old), first);
    serves(&mut old);

    let second = renew(directory.path());
    hub.signal(Signal::HUP);
    until("the new certificate is served", || shown(&connect()) == second);
    serves(&mut old);
    serves(&mut connect());
    assert!(hub.stop(), "the same process");
}

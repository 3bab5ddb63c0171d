//! Every code of `consign doctor`: the broken set-up is made, and the code is seen.
//!
//! What cannot be made without namespaces or root is skipped by name.

mod fakes;
mod place;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixListener;

use serde_json::Value;

use fakes::{FakeHub, FakeNode, hub_info, hub_info_wanting};
use hub_api::ClientVersions;
use place::{HubProcess, Place};

use crate::process::root;
use crate::users::set_mode;

/// One broken set-up: the code, how the check must end, and what makes it. `None` from the
/// maker: it cannot be made here, and it has said why.
macro_rules! set_ups {
    ($($name:ident $code:literal $status:literal $make:expr;)*) => {
        $(
            #[test]
            fn $name() {
                let place = Place::new();
                let make: fn(&Place) -> Option<Value> = $make;
                let Some(found) = make(&place) else { return };
                assert_eq!(found["code"], $code);
                assert_eq!(found["status"], $status, "{found}");
                assert!(found["next"].as_str().is_some_and(|next| !next.is_empty()), "{found}");
                assert!(!found["evidence"].as_str().expect("a text").contains(&place.home()), "{found}");
            }
        )*

        /// Codes with a set-up above.
        const MADE: &[&str] = &[$($code),*];
    };
}

set_ups! {
    home_unset "home-unset" "fail" |place| {
        Some(place.found_by(place.bare().args(["doctor", "--json", "--only", "home-unset"])))
    };
    xdg_relative "xdg-relative" "warn" |place| {
        Some(place.found_by(place.doctor("xdg-relative").env("XDG_CONFIG_HOME", "here")))
    };
    locale_not_utf8 "locale-not-utf8" "warn" |place| {
        Some(place.found_by(place.doctor("locale-not-utf8").env("LC_ALL", "C")))
    };
    temp_unwritable "temp-unwritable" "warn" |place| {
        Some(place.found_by(place.doctor("temp-unwritable").env("TMPDIR", "/proc")))
    };
    open_files_low "open-files-low" "fail" |place| {
        Some(place.found_in_shell("ulimit -n 64", "open-files-low", &[]))
    };
    config_unreadable "config-unreadable" "fail" |place| {
        Some(place.found_by(place.doctor("config-unreadable").env("CONSIGN_CONFIG", "/none.toml")))
    };
    config_malformed "config-malformed" "fail" |place| place.with_config("config-malformed", "[get\n");
    config_unknown_key "config-unknown-key" "fail" |place| {
        let found = place.with_config("config-unknown-key", "[get]\nsorce = 'x'\n")?;
        let evidence = found["evidence"].as_str().expect("a text");
        assert!(evidence.contains(":2:1:") && evidence.contains("did you mean source?"), "{found}");
        Some(found)
    };
    config_value "config-value" "fail" |place| place.with_config("config-value", "[gc]\ngrace = 'soon'\n");
    config_modes "config-modes" "warn" |place| {
        let path = place.write("home/.config/consign/config.toml", "");
        set_mode(&path, 0o666);
        place.fixed("config-modes");
        set_mode(&path, 0o666);
        Some(place.found("config-modes"))
    };
    state_missing "state-missing" "warn" |place| Some(place.found("state-missing"));
    state_not_directory "state-not-directory" "fail" |place| {
        place.write("home/state", "a file");
        Some(place.found("state-not-directory"))
    };
    state_owner "state-owner" "fail" |place| {
        place.make_state();
        place.as_root("state-owner")?;
        chown(place.state(), Some(12_345), None).expect("root may");
        Some(place.found("state-owner"))
    };
    state_unwritable "state-unwritable" "fail" |place| {
        place.make_state();
        place.found_as_nobody("state-unwritable", 0o500)
    };
    state_modes "state-modes" "warn" |place| {
        place.make_state();
        set_mode(&place.state(), 0o755);
        let found = place.found("state-modes");
        place.fixed("state-modes");
        assert_eq!(place.found("state-modes")["status"], "ok");
        Some(found)
    };
    file_system_read_only "file-system-read-only" "fail" |place| {
        place.found_on("tmpfs", "", "mount -o remount,ro", "file-system-read-only")
    };
    disk_nearly_full "disk-nearly-full" "fail" |place| {
        place.found_on("tmpfs", "size=1m", "true", "disk-nearly-full")
    };
    inodes_nearly_exhausted "inodes-nearly-exhausted" "fail" |place| {
        place.found_on("tmpfs", "nr_inodes=20", "true", "inodes-nearly-exhausted")
    };
    key_missing "key-missing" "fail" |place| {
        place.knows_hub("http://127.0.0.1:1", None);
        fs::remove_file(place.state().join("node.key")).expect("was there");
        Some(place.found("key-missing"))
    };
    key_damaged "key-damaged" "fail" |place| {
        place.write("home/state/node.key", "short");
        Some(place.found("key-damaged"))
    };
    key_modes "key-modes" "fail" |place| {
        place.make_state();
        let key = place.state().join("node.key");
        set_mode(&key, 0o644);
        let found = place.found("key-modes");
        place.fixed("key-modes");
        assert_eq!(fs::metadata(key).expect("there").permissions().mode() & 0o777, 0o600);
        Some(found)
    };
    hubs_damaged "hubs-damaged" "fail" |place| {
        place.write("home/state/hubs.json", "[{");
        Some(place.found("hubs-damaged"))
    };
    trust_damaged "trust-damaged" "fail" |place| {
        place.write("home/state/trust/aa/team/site.json", "{}");
        Some(place.found("trust-damaged"))
    };
    store_locked "store-locked" "warn" |place| {
        place.write("home/state/store/lock", "");
        let lock = fs::File::open(place.state().join("store/lock")).expect("opens");
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("locks");
        let found = place.found("store-locked");
        let process = format!("process {} ", std::process::id());
        assert!(found["evidence"].as_str().expect("a text").contains(&process), "{found}");
        Some(found)
    };
    store_index_damaged "store-index-damaged" "fail" |place| {
        place.write("home/state/store/index.redb", "not a database");
        let found = place.found("store-index-damaged");
        place.fixed("store-index-damaged");
        assert!(!place.state().join("store/index.redb").exists());
        Some(found)
    };
    store_pack_damaged "store-pack-damaged" "fail" |place| {
        place.write("home/state/store/packs/00000000.pack", "not a pack");
        place.write("home/state/store/packs/00000001.pack", "");
        Some(place.found("store-pack-damaged"))
    };
    hub_none "hub-none" "warn" |place| {
        place.make_state();
        Some(place.found("hub-none"))
    };
    hub_address "hub-address" "fail" |place| Some(place.found_at("hub-address", "ftp://hub"));
    proxy_set "proxy-set" "fail" |place| {
        let mut doctor = place.doctor("proxy-set");
        doctor.args(["--hub", &closed_port()]);
        let found = place.found_by(doctor.env("http_proxy", "http://me:secret@proxy.invalid:3128"));
        assert!(!found.to_string().contains("secret"), "{found}");
        Some(found)
    };
    hub_name_unresolved "hub-name-unresolved" "fail" |place| {
        place.found_without_network("hub-name-unresolved", "http://hub.invalid:7400")
    };
    hub_ipv6_only "hub-ipv6-only" "fail" |place| {
        place.found_without_network("hub-ipv6-only", "http://[2001:db8::1]:7400")
    };
    hub_unreachable "hub-unreachable" "fail" |place| {
        place.found_without_network("hub-unreachable", "http://192.0.2.1:7400")
    };
    hub_port_closed "hub-port-closed" "fail" |place| {
        Some(place.found_at("hub-port-closed", &closed_port()))
    };
    hub_tls_missing "hub-tls-missing" "fail" |place| {
        let hub = FakeHub::answering("200 OK", "", &hub_info("0.1.0"));
        place.knows_hub(&hub.url.replace("http:", "https:"), Some(&"ab".repeat(32)));
        Some(place.found("hub-tls-missing"))
    };
    hub_fingerprint_changed "hub-fingerprint-changed" "fail" |place| {
        let hub = HubProcess::start(place, &[]);
        place.knows_hub(&hub.url, Some(&"ab".repeat(32)));
        Some(place.found("hub-fingerprint-changed"))
    };
    hub_certificate_expired "hub-certificate-expired" "warn" |place| {
        let files = place.expired_certificate();
        let hub = HubProcess::start(place, &["--tls", &files]);
        place.knows_hub(&hub.url, Some(&hub.fingerprint));
        Some(place.found("hub-certificate-expired"))
    };
    hub_silent "hub-silent" "fail" |place| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let found = place.found_at("hub-silent", &url);
        drop(listener);
        Some(found)
    };
    hub_other_service "hub-other-service" "fail" |place| {
        let hub = FakeHub::answering("404 Not Found", "Server: teapot\r\n", "<html>");
        let found = place.found_at("hub-other-service", &hub.url);
        assert!(found["evidence"].as_str().expect("a text").contains("teapot"), "{found}");
        Some(found)
    };
    hub_too_old "hub-too-old" "fail" |place| {
        let hub = FakeHub::answering("200 OK", "", &hub_info("0.0.9"));
        Some(place.found_at("hub-too-old", &hub.url))
    };
    hub_too_new "hub-too-new" "fail" |place| {
        let hub = FakeHub::answering("200 OK", "", &hub_info("99.0.0"));
        Some(place.found_at("hub-too-new", &hub.url))
    };
    client_outdated "client-outdated" "fail" |place| {
        let version = |text: &str| Some(text.parse().expect("a version"));
        let place_of = Some("https://example.org/consign".parse().expect("a place"));
        let (newest, minimum) = (version("0.9.1"), version("0.9.0"));
        let wanted = ClientVersions { newest, place: place_of.clone(), minimum };
        let hub = FakeHub::answering("200 OK", "", &hub_info_wanting("0.1.0", Some(wanted)));
        let found = place.found_at("client-outdated", &hub.url);
        // Newer is worth a warning, too old fails; both say where to go.
        let wanted = ClientVersions { newest, place: place_of, minimum: None };
        let hub = FakeHub::answering("200 OK", "", &hub_info_wanting("0.1.0", Some(wanted)));
        let warned = place.found_at("client-outdated", &hub.url);
        assert_eq!(warned["status"], "warn", "{warned}");
        for found in [&found, &warned] {
            let next = found["next"].as_str().expect("a text");
            assert!(next.ends_with("this machine: https://example.org/consign"), "{found}");
        }
        Some(found)
    };
    clock_off "clock-off" "fail" |place| {
        let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        let hub = FakeHub::answering("200 OK", date, &hub_info("0.1.0"));
        Some(place.found_at("clock-off", &hub.url))
    };
    not_registered "not-registered" "fail" |place| {
        let hub = HubProcess::start(place, &[]);
        place.knows_hub(&hub.url, Some(&hub.fingerprint));
        Some(place.found("not-registered"))
    };
    session_refused "session-refused" "fail" |place| {
        // A service that says what a hub says of itself, to whatever it is asked.
        let hub = FakeHub::answering("200 OK", "", &hub_info("0.1.0"));
        place.knows_hub(&hub.url, None);
        Some(place.found("session-refused"))
    };
    node_socket_owner "node-socket-owner" "fail" |place| {
        place.make_state();
        place.as_root("node-socket-owner")?;
        let socket = place.state().join("node.sock");
        let _listener = UnixListener::bind(&socket).expect("binds");
        chown(&socket, Some(12_345), None).expect("root may");
        Some(place.found("node-socket-owner"))
    };
    node_socket_stale "node-socket-stale" "warn" |place| {
        place.make_state();
        let socket = place.state().join("node.sock");
        drop(UnixListener::bind(&socket).expect("binds"));
        let found = place.found("node-socket-stale");
        place.fixed("node-socket-stale");
        assert!(!socket.exists());
        Some(found)
    };
    node_version "node-version" "fail" |place| {
        place.make_state();
        let _node = FakeNode::of_version(place, "0.0.1");
        Some(place.found("node-version"))
    };
    node_waiting "node-waiting" "warn" |place| {
        place.make_state();
        let _node = FakeNode::telling(place);
        Some(place.found("node-waiting"))
    };
    script_limits "script-limits" "warn" |place| {
        place.make_state();
        assert_eq!(place.found("script-limits")["status"], "skipped", "nobody runs scripts");
        let _node = FakeNode::telling(place);
        // Whatever this machine can do: where no group is to be seen, none can be made.
        let hidden = "{ mount -t tmpfs none /sys/fs/cgroup 2>/dev/null || true; }";
        place.isolated("--mount", hidden, "script-limits", &[])
    };
    watch_failing "watch-failing" "warn" |place| {
        place.make_state();
        let _node = FakeNode::telling(place);
        Some(place.found("watch-failing"))
    };
    get_interrupted "get-interrupted" "warn" |place| {
        place.make_state();
        place.write("home/state/checkout/aa/asked.json", &asked(place, "get"));
        let found = place.found("get-interrupted");
        assert_eq!(found["next"], "consign get team/site --to ~/site");
        Some(found)
    };
    publish_interrupted "publish-interrupted" "warn" |place| {
        place.make_state();
        place.write("home/state/publish/aa/asked.json", &asked(place, "publish"));
        let found = place.found("publish-interrupted");
        assert_eq!(found["next"], "consign publish ~/site team/site");
        Some(found)
    };
    destination_unwritable "destination-unwritable" "warn" |place| {
        Some(place.found_by(place.doctor("destination-unwritable").args(["--to", "/proc"])))
    };
    destination_no_symlinks "destination-no-symlinks" "warn" |place| {
        place.found_on("mqueue", "", "true", "destination-no-symlinks")
    };
    destination_no_xattrs "destination-no-xattrs" "warn" |place| {
        place.found_on("mqueue", "", "true", "destination-no-xattrs")
    };
}

/// An address where nothing listens.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    format!("http://{}", listener.local_addr().expect("bound"))
}

fn asked(place: &Place, kind: &str) -> String {
    let path = format!("{}/site", place.home());
    serde_json::json!({"kind": kind, "what": "team/site", "path": path, "hub": null, "more": false, "began": 1})
        .to_string()
}

#[test]
fn a_healthy_node_fails_nowhere_and_every_code_has_its_set_up() {
    let place = Place::new();
    let hub = HubProcess::start(&place, &[]);
    place.registers(&hub);
    let output = place.command().args(["doctor", "--json"]).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let (done, checks) = lines.split_last().expect("lines");
    assert_eq!(done["event"], "done");
    // The machine that runs the tests may be short of space or files; nothing else may be wrong.
    let machine = ["disk-nearly-full", "inodes-nearly-exhausted", "open-files-low"];
    for check in checks {
        let expected = ["ok", "skipped"].contains(&check["status"].as_str().expect("a text"));
        let is_machine = machine.contains(&check["code"].as_str().expect("a text"));
        assert!(expected || is_machine, "{check}");
    }
    let mut codes: Vec<&str> = checks.iter().filter_map(|check| check["code"].as_str()).collect();
    let mut made = MADE.to_vec();
    codes.sort_unstable();
    made.sort_unstable();
    assert_eq!(codes, made);
    assert!(codes.len() >= 30);
    for reached in ["session-refused", "not-registered", "clock-off", "hub-fingerprint-changed"] {
        let check = checks.iter().find(|check| check["code"] == reached).expect("listed");
        assert_eq!(check["status"], "ok", "{check}");
    }
}

#[test]
fn every_code_is_explained() {
    let text = fs::read_to_string(root().join("docs/doctor.md")).expect("docs/doctor.md");
    let sections: Vec<&str> = text.split("\n### ").skip(1).collect();
    let mut explained: Vec<&str> = sections
        .iter()
        .map(|section| section.lines().next().unwrap_or_default().trim_matches('`'))
        .collect();
    let mut made = MADE.to_vec();
    explained.sort_unstable();
    made.sort_unstable();
    assert_eq!(explained, made);
    for section in sections {
        assert!(section.lines().skip(1).map(str::len).sum::<usize>() > 60, "{section}");
    }
}

#[test]
fn looking_changes_nothing_and_a_wrong_code_is_answered() {
    let place = Place::new();
    place.command().arg("doctor").output().expect("runs");
    assert!(!place.state().exists(), "doctor made a state directory");
    let output =
        place.command().args(["doctor", "--only", "hub-port-close"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("did you mean hub-port-closed?"), "{said}");
}

#[test]
fn a_failure_is_the_exit_code_and_colours_are_for_terminals() {
    let place = Place::new();
    place.write("home/state/node.key", "short");
    let output = place.command().args(["doctor", "--only", "key-damaged"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.starts_with("failure  key-damaged") && said.contains("next: restore "), "{said}");
    assert!(!said.contains('\x1b'));
}

//! A machine that only an authenticating proxy lets out: tinyproxy, in a network namespace beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use testkit::noise;
use testkit::parts::{require, skip_on_this_machine};

use crate::apart::Lan;
use crate::delivery::{assert_nowhere, hold_below, segments_below};
use crate::files::assert_same;
use crate::process::{Process, last_line, told, until};
use crate::users::is_root;

pub(crate) const PASSWORD: &str = "hunter2-of-the-proxy";
const MARKER: &[u8] = b"the marker of this delivery";
const PORT: u16 = 3128;

/// tinyproxy on a machine, which lets its users through to port 7400 alone.
pub(crate) struct Tinyproxy<'a> {
    lan: &'a Lan,
    process: Process,
}

impl<'a> Tinyproxy<'a> {
    pub(crate) fn start(lan: &'a Lan) -> Self {
        let address = lan.address("proxy");
        let text = format!(
            "Port {PORT}\nListen {address}\nTimeout 600\nMaxClients 50\nLogLevel Info\n\
             LogFile \"{}\"\nBasicAuth anna {PASSWORD}\nConnectPort 7400\n",
            lan.text("proxy.log"),
        );
        fs::write(lan.path("proxy.conf"), text).expect("written");
        let mut command = Command::new("tinyproxy");
        command.arg("-d").arg("-c").arg(lan.path("proxy.conf"));
        let mut command = lan.on("proxy", &command);
        let process = Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
        let proxy = Self { lan, process };
        until("the proxy listens", || proxy.takes_connections());
        proxy
    }

    fn takes_connections(&self) -> bool {
        let mut listening = Command::new("ss");
        let seen = self.lan.on("proxy", listening.args(["-ltnH"])).output().expect("ss runs");
        String::from_utf8_lossy(&seen.stdout).contains(&format!(":{PORT}"))
    }
}

/// The program as the machine of this name, under a configuration file.
fn run(lan: &Lan, machine: &str, config: &Path, args: &[&str]) -> Output {
    command(lan, machine, config, args).output().expect("consign runs")
}

/// The configuration of a machine that goes through the proxy, as somebody with this name and password or as nobody.
pub(crate) fn configure(lan: &Lan, name: &str, credentials: Option<&str>) -> PathBuf {
    let address = format!("http://{}:{PORT}", lan.address("proxy"));
    let mut text = format!("[global]\nproxy = \"{address}\"\n");
    if let Some(credentials) = credentials {
        let file = lan.path(&format!("{name}.credentials"));
        fs::write(&file, format!("{credentials}\n")).expect("written");
        text.push_str(&format!("proxy_credentials = \"{}\"\n", file.display()));
    }
    let path = lan.path(&format!("{name}.toml"));
    fs::write(&path, text).expect("written");
    path
}

pub(crate) fn command(lan: &Lan, machine: &str, config: &Path, args: &[&str]) -> Command {
    let mut command = lan.command(machine, args);
    command.env("CONSIGN_CONFIG", config);
    command
}

fn fails(output: &Output, code: i32, with: &str) {
    assert_eq!(output.status.code(), Some(code), "{}", told(output));
    let said = last_line(output);
    assert!(said.to_string().contains(with), "{with}: {said}");
    assert!(!told(output).contains(PASSWORD), "{}", told(output));
}

#[test]
fn a_sender_whom_only_an_authenticating_proxy_lets_out_delivers() {
    if require("ip").is_none() || require("tinyproxy").is_none() {
        return;
    }
    if !is_root() {
        return skip_on_this_machine("machines in namespaces", "making them needs root");
    }
    let lan = Lan::new(&["hub", "sender", "proxy", "reader"]);
    let (_hub, hello) = lan.hub("hub", "hub-data");
    let url = hello["url"].as_str().expect("a text").to_owned();
    let mut proxy = Tinyproxy::start(&lan);
    lan.reaches_only("sender", "proxy");
    let invitation = crate::process::invite(&lan.path("hub-data"), &[]);
    let register = |config: &Path| run(&lan, "sender", config, &["register", &invitation]);

    // Straight there is no way; through the proxy only with a name and a password that it takes.
    fails(&register(Path::new("/dev/null")), 7, "unreachable");
    fails(&register(&configure(&lan, "without", None)), 5, "asks for a name and a password");
    fails(&register(&configure(&lan, "wrong", Some("anna:guessed"))), 5, "does not take the name");
    let config = configure(&lan, "right", Some(&format!("anna:{PASSWORD}")));
    let other = format!("http://{}:7401", lan.address("hub"));
    fails(&run(&lan, "sender", &config, &["--hub", &other, "ls"]), 5, "lets nobody through");
    let registered = register(&config);
    assert!(registered.status.success(), "{}", told(&registered));
    let looked = run(&lan, "sender", &config, &["doctor", "--all", "--only", "proxy-set"]);
    assert!(told(&looked).contains("is reached through"), "{}", told(&looked));

    // A node that runs as a service has the same way, with nothing on its command line.
    let node = Process::start_ready(&mut command(&lan, "sender", &config, &["node"])).0;
    fs::create_dir(lan.path("site")).expect("made");
    fs::write(lan.path("site/page"), "page").expect("written");
    let published =
        lan.command("sender", &["publish", &lan.text("site"), "team/site", "--public"]).output();
    let published = published.expect("consign runs");
    assert!(published.status.success(), "{}", told(&published));
    node.end(Signal::TERM);

    // A delivery, during which the proxy dies and is started again.
    let source = lan.path("source");
    fs::create_dir(&source).expect("made");
    fs::write(source.join("marker"), MARKER.repeat(500)).expect("written");
    for part in 0..4 {
        let file = source.join(format!("part-{part}"));
        fs::write(file, noise(70 + part, 25_000_000)).expect("written");
    }
    let (ticket, to) = (lan.text("ticket"), lan.text("in"));
    fs::create_dir(&to).expect("made");
    let send = ["send", &lan.text("source"), "--ticket-file", &ticket];
    let mut send = command(&lan, "sender", &config, &send);
    send.stdout(Stdio::piped()).stderr(fs::File::create(lan.path("said")).expect("made"));
    let sender = Process::start(&mut send);
    until("the ticket comes", || fs::metadata(&ticket).is_ok_and(|facts| facts.len() > 0));
    let mut receive = lan.command("reader", &["receive", "--yes", "--to", &to]);
    receive.stdin(fs::File::open(&ticket).expect("there"));
    let reader = Process::start(receive.stdout(Stdio::piped()).stderr(Stdio::null()));
    let kept = || segments_below(&lan.path("reader"));
    hold_below(&lan.path("reader"), &reader, 10, Duration::from_millis(5));
    proxy.process.kill();
    let at_cut = kept();
    assert!(at_cut < 90, "it was cut in the middle, not at segment {at_cut}");
    reader.signal(Signal::CONT);
    until("the sender says what it waits for", || {
        fs::read_to_string(lan.path("said")).is_ok_and(|said| said.contains("proxy"))
    });
    assert!(!Path::new(&to).join("source").exists(), "half a delivery has no name");
    proxy = Tinyproxy::start(&lan);
    let outcome = |mut process: Process| {
        let mut out = String::new();
        let stdout = process.0.stdout.as_mut().expect("piped");
        std::io::Read::read_to_string(stdout, &mut out).expect("readable");
        assert!(process.0.wait().expect("it ends").success(), "{out}");
        let last = out.lines().last().expect("a line");
        serde_json::from_str::<serde_json::Value>(last).expect("JSON")
    };
    let (received, sent) = (outcome(reader), outcome(sender));
    assert_eq!(sent["event"], "delivered", "{sent}");
    assert_eq!(sent["digest"], received["digest"], "both speak of the same bytes");
    assert_same(&source, &Path::new(&to).join("source"));

    // The hub kept nothing of it, and nothing keeps or tells the proxy's password.
    assert_nowhere(&lan.path("hub-data"), MARKER);
    drop(proxy);
    let log = fs::read(lan.path("proxy.log")).expect("a log");
    assert!(String::from_utf8_lossy(&log).contains(url.split("//").nth(1).expect("a URL")));
    for hidden in [MARKER, b"consign-delivery", b"/v1/"] {
        assert!(!log.windows(hidden.len()).any(|it| it == hidden), "the proxy saw contents");
    }
    assert_nowhere(&lan.path("sender"), PASSWORD.as_bytes());
    let said = fs::read_to_string(lan.path("said")).expect("there");
    assert!(!said.contains(PASSWORD), "{said}");
    let status = run(&lan, "sender", &config, &["status"]);
    let shown = run(&lan, "sender", &config, &["config", "show", "--origin"]);
    assert!(!told(&status).contains(PASSWORD) && !told(&shown).contains(PASSWORD));
}

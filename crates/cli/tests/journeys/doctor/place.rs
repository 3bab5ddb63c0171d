//! A home directory of its own for each set-up, and ways to break what is around it.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use testkit::parts::{require, skip_on_this_machine};

use crate::process::{Process, start_hub_by};
use crate::users::{NOBODY, is_root, program_for_everybody, set_mode};

/// A home with a state directory in it; gone with the test.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("temporary directory"));
        fs::create_dir(place.path("home")).expect("made");
        place
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    pub(crate) fn home(&self) -> String {
        self.path("home").to_str().expect("UTF-8").to_owned()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("home/state")
    }

    pub(crate) fn write(&self, below: &str, text: &str) -> PathBuf {
        let path = self.path(below);
        fs::create_dir_all(path.parent().expect("below")).expect("made");
        fs::write(&path, text).expect("written");
        path
    }

    /// `consign` with nothing in its environment.
    pub(crate) fn bare(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_consign"));
        command.env_clear().stdin(Stdio::null()).current_dir(self.path("home"));
        command
    }

    /// `consign` as a login would run it.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.bare();
        command.env("HOME", self.path("home")).env("LANG", "C.UTF-8");
        command.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
        command.env("CONSIGN_STATE", self.state());
        command
    }

    pub(crate) fn doctor(&self, code: &str) -> Command {
        let mut command = self.command();
        command.args(["doctor", "--json", "--only", code]);
        command
    }

    pub(crate) fn found(&self, code: &str) -> Value {
        self.found_by(&mut self.doctor(code))
    }

    pub(crate) fn found_at(&self, code: &str, hub: &str) -> Value {
        self.found_by(self.doctor(code).args(["--hub", hub]))
    }

    pub(crate) fn found_by(&self, doctor: &mut Command) -> Value {
        line(&doctor.output().expect("consign runs"))
    }

    /// Lets `--fix` repair it; what is found afterwards must be well.
    pub(crate) fn fixed(&self, code: &str) {
        let found = self.found_by(self.doctor(code).arg("--fix"));
        assert!(found["fixed"].is_string(), "{found}");
        assert!(["ok", "skipped"].contains(&found["status"].as_str().expect("a text")), "{found}");
    }

    pub(crate) fn with_config(&self, code: &str, text: &str) -> Option<Value> {
        self.write("home/.config/consign/config.toml", text);
        Some(self.found(code))
    }

    /// Makes a state directory as a first command does.
    pub(crate) fn make_state(&self) {
        let made = self.command().arg("id").output().expect("runs");
        assert!(made.status.success(), "{made:?}");
    }

    /// Writes the list of hubs by hand.
    pub(crate) fn knows_hub(&self, url: &str, fingerprint: Option<&str>) {
        self.make_state();
        let hubs = json!([{"url": url, "fingerprint": fingerprint}]);
        self.write("home/state/hubs.json", &hubs.to_string());
    }

    pub(crate) fn registers(&self, hub: &HubProcess) {
        let data = hub.data.to_str().expect("UTF-8");
        let invited = self.command().args(["invite", "--data", data]).output().expect("runs");
        let invitation = String::from_utf8(invited.stdout).expect("UTF-8");
        let done = self.command().args(["register", invitation.trim()]).output().expect("runs");
        assert!(done.status.success(), "{done:?}");
    }

    /// Says that something is skipped, unless this is root.
    pub(crate) fn as_root(&self, what: &str) -> Option<()> {
        if !is_root() {
            skip_on_this_machine(what, "only root can give files away");
            return None;
        }
        Some(())
    }

    /// What is found after a line of shell.
    pub(crate) fn found_in_shell(&self, script: &str, code: &str, more: &[&str]) -> Value {
        line(&self.in_shell("sh", &[], script, code, more))
    }

    fn in_shell(
        &self,
        program: &str,
        options: &[&str],
        script: &str,
        code: &str,
        more: &[&str],
    ) -> Output {
        let mut command = Command::new(program);
        command.args(options);
        if program != "sh" {
            command.arg("sh");
        }
        command.args(["-c", &format!("{script} && exec \"$0\" \"$@\"")]);
        command.arg(env!("CARGO_BIN_EXE_consign")).args(["doctor", "--json", "--only", code]);
        command.args(more).stdin(Stdio::null()).current_dir(self.path("home"));
        for (name, value) in self.command().get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command.output().expect("runs")
    }

    /// Runs in namespaces of its own; `None` where those are not allowed.
    pub(crate) fn isolated(
        &self,
        kind: &str,
        script: &str,
        code: &str,
        more: &[&str],
    ) -> Option<Value> {
        let user = if is_root() { "--fork" } else { "--map-root-user" };
        let options = [user, "--mount", "--ipc", kind];
        let unshare = require("unshare")?;
        let tried = Command::new(unshare).args(options).arg("true").output();
        if !tried.is_ok_and(|output| output.status.success()) {
            skip_on_this_machine(code, "unshare is not allowed");
            return None;
        }
        Some(line(&self.in_shell("unshare", &options, script, code, more)))
    }

    /// The state directory and the destination on a file system of their own.
    pub(crate) fn found_on(
        &self,
        kind: &str,
        options: &str,
        then: &str,
        code: &str,
    ) -> Option<Value> {
        fs::create_dir(self.state()).expect("made");
        let state = self.state();
        let state = state.to_str().expect("UTF-8");
        let options = if options.is_empty() { "rw" } else { options };
        let then = if then == "true" { then.to_owned() } else { format!("{then} {state}") };
        let script = format!("mount -t {kind} -o {options} none {state} && {then}");
        self.isolated("--mount", &script, code, &["--to", state])
    }

    pub(crate) fn found_without_network(&self, code: &str, hub: &str) -> Option<Value> {
        self.isolated("--net", "true", code, &["--hub", hub])
    }

    /// What a user finds who owns the state and may not write to it.
    pub(crate) fn found_as_nobody(&self, code: &str, mode: u32) -> Option<Value> {
        if !is_root() {
            set_mode(&self.state(), mode);
            let found = self.found(code);
            set_mode(&self.state(), 0o700);
            return Some(found);
        }
        // Nobody must reach the program and the state.
        let program = program_for_everybody(self.0.path());
        set_mode(&self.path("home"), 0o755);
        chown(self.state(), Some(NOBODY), Some(NOBODY)).expect("root may");
        set_mode(&self.state(), mode);
        let mut doctor = Command::new(program);
        doctor.args(["doctor", "--json", "--only", code]).uid(NOBODY).gid(NOBODY);
        for (name, value) in self.command().get_envs() {
            if let Some(value) = value {
                doctor.env(name, value);
            }
        }
        Some(self.found_by(doctor.current_dir("/")))
    }

    /// `CERT,KEY` of a certificate that is over.
    pub(crate) fn expired_certificate(&self) -> String {
        let mut params = rcgen::CertificateParams::new(["hub".to_owned()]).expect("a name");
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        let key = rcgen::KeyPair::generate().expect("a key");
        let cert = params.self_signed(&key).expect("a certificate");
        let cert = self.write("cert.pem", &cert.pem());
        let key = self.write("key.pem", &key.serialize_pem());
        format!("{},{}", cert.display(), key.display())
    }
}

/// The one line about a check, with the exit code that belongs to it.
fn line(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let first = text.lines().next().unwrap_or_else(|| panic!("no output: {output:?}"));
    let found: Value =
        serde_json::from_str(first).unwrap_or_else(|error| panic!("{first}: {error}: {output:?}"));
    let failed = found["status"] == "fail";
    assert_eq!(output.status.code(), Some(i32::from(failed)), "{found}");
    found
}

/// A hub as a process; it ends with the test.
pub(crate) struct HubProcess {
    _process: Process,
    pub(crate) data: PathBuf,
    pub(crate) url: String,
    pub(crate) fingerprint: String,
}

impl HubProcess {
    pub(crate) fn start(place: &Place, more: &[&str]) -> Self {
        let data = place.path("hub");
        let more = [&["--listen", "127.0.0.1:0"], more].concat();
        let (process, hello) = start_hub_by(&mut place.command(), &data, &more);
        let text = |name: &str| hello[name].as_str().expect("a text").to_owned();
        Self { _process: process, data, url: text("url"), fingerprint: text("fingerprint") }
    }
}

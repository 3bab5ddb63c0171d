//! The units of the hub and of the node: sound, closed, and true of the program they start.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::parts;

use super::supervisor::Supervisor;
use crate::process::{Process, consign, root, told};

/// Units of the system by name under `packaging/systemd`.
const OF_THE_SYSTEM: [&str; 3] =
    ["consign-hub.service", "consign-node.service", "consign-hub-backup.service"];

/// A person's own.
const OF_A_USER: &str = "user/consign-node.service";

/// What the user's manager can enforce without privileges; the system's units are measured.
const CLOSED_FOR_A_USER: [&str; 7] = [
    "NoNewPrivileges=yes",
    "UMask=0077",
    "LockPersonality=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
];

struct Unit {
    name: &'static str,
    text: String,
}

impl Unit {
    fn read(name: &'static str) -> Self {
        let path = root().join("packaging/systemd").join(name);
        Self { name, text: fs::read_to_string(path).expect("reads") }
    }

    fn all() -> Vec<Self> {
        OF_THE_SYSTEM.into_iter().chain([OF_A_USER]).map(Self::read).collect()
    }

    /// What the unit says of a key, each time it does.
    fn values(&self, key: &str) -> Vec<&str> {
        let lines = self.text.lines();
        lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
    }

    fn value(&self, key: &str) -> &str {
        let values = self.values(key);
        assert_eq!(values.len(), 1, "{} says {key} once", self.name);
        values[0]
    }

    /// The arguments it gives to the program.
    fn arguments(&self) -> Vec<&str> {
        let mut words = self.value("ExecStart").split(' ');
        assert_eq!(words.next(), Some("/usr/bin/consign"), "{}", self.name);
        words.collect()
    }

    /// Writes it as it would be installed, with the program that is tested.
    fn install(&self, directory: &Path) -> std::path::PathBuf {
        let path = directory.join(self.name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        let text = self.text.replace("/usr/bin/consign", env!("CARGO_BIN_EXE_consign"));
        fs::write(&path, text).expect("writes");
        path
    }
}

/// Runs `systemd-analyze`, which reports what it passes over, and then ends well.
fn analyze(directory: &Path, arguments: &[&str], unit: &Path) {
    let mut command = Command::new("systemd-analyze");
    // The user's manager looks for its units there.
    command.env("XDG_RUNTIME_DIR", directory).env("HOME", directory);
    let output = command.args(arguments).arg(unit).output().expect("was found");
    let said = told(&output);
    assert!(output.status.success() && !said.contains("ignoring"), "{unit:?}: {said}");
}

#[test]
fn the_units_are_sound_and_closed() {
    if parts::require("systemd-analyze").is_none() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    for unit in OF_THE_SYSTEM.map(Unit::read) {
        let path = unit.install(directory.path());
        analyze(directory.path(), &["verify", "--man=no"], &path);
        // 0 is closed, 10 is open; 30 is 3.0, well within what systemd calls good.
        let security = ["security", "--offline=true", "--threshold=30"];
        analyze(directory.path(), &security, &path);
    }
    let unit = Unit::read(OF_A_USER);
    let path = unit.install(directory.path());
    analyze(directory.path(), &["verify", "--user", "--man=no"], &path);
    for line in CLOSED_FOR_A_USER {
        assert!(unit.text.lines().any(|it| it == line), "{} lacks {line}", unit.name);
    }
}

#[test]
fn the_units_start_what_there_is_as_users_there_are() {
    let system = root().join("packaging/systemd");
    let users = fs::read_to_string(system.join("sysusers.conf")).expect("reads");
    let users: BTreeSet<&str> = users.lines().filter_map(|it| it.split(' ').nth(1)).collect();
    let made = fs::read_to_string(system.join("tmpfiles.conf")).expect("reads");
    for unit in Unit::all() {
        let name = unit.name;
        // Arguments are judged from the left, so one that is not known is refused before help.
        let output = consign().args(unit.arguments()).arg("--help").output().expect("runs");
        assert!(output.status.success(), "{name}: {}", told(&output));
        if name == OF_A_USER {
            continue;
        }
        assert!(users.contains(unit.value("User")), "{name}: {users:?}");
        // The directories it names are its own, or are made by the package.
        let state = format!("/var/lib/{}", unit.value("StateDirectory"));
        for argument in unit.arguments().iter().filter(|it| it.starts_with('/')) {
            assert!(**argument == *state || made.contains(*argument), "{name}: {argument}");
        }
        for path in unit.values("ReadWritePaths") {
            assert!(made.contains(&format!("d {path} ")), "{name}: {path}");
        }
        assert_eq!(unit.value("StateDirectoryMode"), "0700", "{name}");
    }
}

/// A unit of `Type=notify` whose program says nothing is stopped by systemd, and so is one that shows
/// no sign of life where `WatchdogSec` asks for it.
#[test]
fn the_units_wait_for_what_their_programs_tell() {
    let directory = tempfile::tempdir().expect("a directory");
    for unit in Unit::all() {
        let name = unit.name;
        let lasts = unit.value("Type") == "notify";
        assert_eq!(lasts, !name.contains("backup"), "{name}");
        if !lasts {
            continue;
        }
        assert_eq!(unit.value("NotifyAccess"), "main", "{name}");
        let place = directory.path().join(name.replace('/', "-"));
        fs::create_dir(&place).expect("fresh");
        let supervisor = Supervisor::listen_in(&place);
        let mut command = consign();
        let state = place.join("state");
        command.args(unit.arguments().iter().map(|argument| {
            let is_state = argument.starts_with("/var/lib/");
            if is_state { state.as_os_str() } else { argument.as_ref() }
        }));
        if name == "consign-hub.service" {
            // Its configuration says the rest.
            command.args(["--listen", "127.0.0.1:0", "--data"]).arg(place.join("hub"));
        }
        command.env("CONSIGN_STATE", &state).env("XDG_RUNTIME_DIR", &place);
        supervisor.supervise(&mut command);
        let watched = !unit.values("WatchdogSec").is_empty();
        if watched {
            command.env("WATCHDOG_USEC", "200000");
        }
        let mut program = Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
        assert!(supervisor.next().contains("READY=1"), "{name}");
        if watched {
            assert!(supervisor.next().contains("WATCHDOG=1"), "{name}");
        }
        assert!(program.stop(), "{name} ends well");
        while !supervisor.next().contains("STOPPING=1") {}
    }
}

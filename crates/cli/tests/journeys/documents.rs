//! What the documents tell people to type does what they say: every command in a fenced block of the
//! documents below is run against real hubs and nodes, or stands on a list that names the test that
//! runs it. And every promise and defence names a test that is there.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::process::{PATIENCE, Process, closed, free_port, root, told, until};

/// The documents whose commands are run, in the order in which they are.
const WITH_COMMANDS: [&str; 8] = [
    "quickstart.md",
    "semantics.md",
    "security.md",
    "operations.md",
    "packages.md",
    "communities.md",
    "rollouts.md",
    "deliveries.md",
];

/// What stands for the machines, directories and keys of the documents; the first that fits is
/// applied first. `PORT` becomes a free one.
const SUBSTITUTIONS: &[(&str, &str)] = &[
    ("--data ./hub-data --listen 0.0.0.0:7400", "--data two-machines --listen 127.0.0.1:PORT"),
    (HUB_OF_DELIVERIES, "hub --data hub-data --listen 127.0.0.1:PORT"),
    ("https://127.0.0.1:7400", "https://127.0.0.1:PORT"),
    ("hub --data ./hub-data", "hub --data ./hub-data --listen 127.0.0.1:0"),
    (
        "--data /var/lib/consign --tls off --listen 127.0.0.1:7400",
        "--data proxied --tls off --listen 127.0.0.1:0",
    ),
    ("--from /backup/hub --data /var/lib/consign", "--from backup --data restored"),
    ("/backup/hub", "backup"),
    ("/var/lib/consign", "hub"),
    ("0.0.0.0:7400", "127.0.0.1:PORT"),
    ("https://hub.example.org:7400", "https://127.0.0.1:PORT"),
    ("https://relay.example.org:7400", "https://127.0.0.1:PORT"),
    ("/srv/site", "srv"),
    ("nginx -s reload", "true"),
    ("systemctl --user enable --now consign-node", "consign node"),
    ("KEY", "$KEY"),
];

/// Its address is typed by somebody who knows no more of it.
const HUB_OF_DELIVERIES: &str = "hub --data ./hub-data --listen 127.0.0.1:7400";

/// What is not run here: how it begins, and the test that runs it, or why none does.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "apt install",
        "cli::operation::package::the_package_is_installed_and_removed_in_a_root_of_its_own",
    ),
    ("cargo install", "no test: the program that is tested is built from the same sources"),
    ("editor", "no test: it is the reader's"),
    ("systemctl enable", "cli::operation::units::the_units_are_sound_and_closed"),
    ("sudo -u postgres create", "cli::databases::a_release_travels_through_a_hub_on_postgresql"),
    (
        "sudo -u postgres pg_dump",
        "hub::backing_up::a_hub_on_a_server_comes_back_from_a_dump_and_the_packs_copied_after_it",
    ),
    (
        "sudo -u postgres pg_restore",
        "hub::backing_up::a_hub_on_a_server_comes_back_from_a_dump_and_the_packs_copied_after_it",
    ),
    (
        "consign hub --data /var/lib/consign --database",
        "cli::databases::a_release_travels_through_a_hub_on_postgresql",
    ),
    (
        "consign hub --data /var/lib/consign --listen 0.0.0.0:443 --tls acme",
        "cli::operation::acme::a_certificate_is_obtained_over_the_hubs_own_port_and_kept",
    ),
    (
        "consign hub --data /var/lib/consign --mail-server",
        "cli::recovery::a_lost_password_is_replaced_with_a_code_that_came_by_mail",
    ),
];

/// What begins so runs until it is ended; it is ready when it has printed a line.
const LASTING: &[&str] = &[
    "consign hub --data",
    "consign node",
    "consign watch team/site --to ./live",
    "consign --state ./boss node",
    "consign --state ./press-1 node",
    "consign --state ./ci node",
    "consign --state ./relay-a node",
    "consign --state ./ci community console",
    "consign --state ./anna send",
];

fn document(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The commands of the fenced blocks for a shell, one a line, without comments behind them.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut language = None;
    let mut begun = String::new();
    for line in text.lines() {
        if let Some(fence) = line.strip_prefix("```") {
            language = match language {
                None => Some(fence.trim().to_owned()),
                Some(_) => None,
            };
            continue;
        }
        if !matches!(language.as_deref(), Some("" | "sh" | "shell" | "console" | "bash")) {
            continue;
        }
        let line = line.split_once(" # ").map_or(line, |(command, _)| command).trim();
        if let Some(part) = line.strip_suffix('\\') {
            begun += part;
            continue;
        }
        let command = std::mem::take(&mut begun) + line;
        if !command.is_empty() && !command.starts_with('#') {
            found.push(command);
        }
    }
    found
}

/// Somebody who types what the documents say.
struct Reader {
    directory: tempfile::TempDir,
    port: u16,
    key: String,
    running: Vec<Process>,
    used: BTreeSet<&'static str>,
}

impl Reader {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        Self { directory, port: 0, key: String::new(), running: Vec::new(), used: BTreeSet::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A shell in which `consign` is the program under test and a node of this name.
    fn shell(&self, node: &str, line: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_consign"));
        let mut paths = vec![program.parent().expect("a directory").to_owned()];
        paths.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let mut command = Command::new("sh");
        closed(command.args(["-c", line]).current_dir(self.directory.path()))
            .env("PATH", std::env::join_paths(paths).expect("paths without colons"))
            .env("CONSIGN_STATE", self.path(node))
            .env("HOME", self.directory.path())
            .env("KEY", &self.key);
        command
    }

    /// Runs a line that must end well; what it prints.
    fn ok(&self, node: &str, line: &str) -> String {
        let output = self.shell(node, line).output().expect("sh runs");
        assert!(output.status.success(), "{line}\n{}", told(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Starts what lasts, until it has said something.
    fn start(&mut self, node: &str, line: &str) {
        // `exec`, so that what is ended with the test is the program and not the shell.
        let mut command = self.shell(node, &format!("exec {line}"));
        let mut process = Process::start(command.stdout(Stdio::piped()));
        let out = process.0.stdout.take().expect("piped");
        self.running.push(process);
        let mut reader = BufReader::new(out);
        let mut said = String::new();
        reader.read_line(&mut said).expect("readable");
        assert!(!said.is_empty(), "{line} ended without a word");
        std::thread::spawn(move || reader.lines().for_each(drop));
    }

    /// The line with the names of this world.
    fn here(&mut self, command: &str) -> String {
        let mut line = command.to_owned();
        for (theirs, ours) in SUBSTITUTIONS {
            if line.contains(theirs) {
                self.used.insert(theirs);
                line = line.replace(theirs, ours);
            }
        }
        line.replace("PORT", &self.port.to_string())
    }

    /// Runs a command of a document, or finds it on the list.
    fn run(&mut self, node: &str, command: &str) {
        if let Some((start, _)) = ELSEWHERE.iter().find(|(start, _)| command.starts_with(start)) {
            self.used.insert(start);
            return;
        }
        if command.contains("0.0.0.0:7400") || command.contains(HUB_OF_DELIVERIES) {
            self.port = free_port();
        }
        let line = self.here(command);
        if LASTING.iter().any(|start| line.starts_with(start)) {
            self.start(node, &line);
        } else {
            println!("$ {line}\n{}", self.ok(node, &line));
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        for Process(child) in &mut self.running {
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
            let started = Instant::now();
            while started.elapsed() < Duration::from_secs(5) && matches!(child.try_wait(), Ok(None))
            {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// What the quickstart leads to.
fn quickstart() -> BTreeSet<&'static str> {
    let mut reader = Reader::new();
    for command in commands(&document("quickstart.md")) {
        reader.run("me", &command);
    }
    let index = reader.path("live/current/index.html");
    until("the third release became current", || {
        fs::read_to_string(&index).is_ok_and(|text| text == "Third\n")
    });
    let copied = fs::read_to_string(reader.path("copy/index.html")).expect("there");
    assert_eq!(copied, "Hello\nAnd more\n");
    std::mem::take(&mut reader.used)
}

/// The commands for operators: the first starts the hub, the others find an administrator there who
/// has published four releases, and another node.
fn operations() -> BTreeSet<&'static str> {
    let mut reader = Reader::new();
    let mut commands = commands(&document("operations.md")).into_iter();
    reader.run("root", &commands.next().expect("a first command"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let data = hub::HubData::from(&reader.path("hub"));
    let invited = runtime.block_on(hub::invite(data, hub::Role::Administrator, &[], PATIENCE));
    reader.ok("root", &format!("consign register '{}'", invited.expect("invited")));
    reader.ok("other", "consign register \"$(consign invite --data hub)\"");
    reader.key = reader.ok("other", "consign id");
    fs::create_dir(reader.path("site")).expect("made");
    for release in 1..=4 {
        fs::write(reader.path("site/index.html"), release.to_string()).expect("written");
        reader.ok("root", "consign publish site team/site");
    }
    for command in commands {
        reader.run("root", &command);
    }
    std::mem::take(&mut reader.used)
}

/// Packages need neither a hub nor a node.
fn packages() -> BTreeSet<&'static str> {
    let mut reader = Reader::new();
    for command in commands(&document("packages.md")) {
        reader.run("me", &command);
    }
    assert!(reader.path("hello/consign-package.toml").exists());
    std::mem::take(&mut reader.used)
}

/// From nothing to a package that a machine carried out.
fn communities() -> BTreeSet<&'static str> {
    let mut reader = Reader::new();
    for command in commands(&document("communities.md")) {
        if command.starts_with("consign --state ./boss community label") {
            // The guide goes on while the machine works: a person would look at the list.
            until("the target answered", || {
                reader
                    .ok("me", "consign --json --state ./ci package list")
                    .contains("\"pending\":0")
            });
            let list = reader.ok("me", "consign --json --state ./ci package list");
            assert!(list.contains("\"passed\":1") && list.contains("\"failed\":0"), "{list}");
        }
        reader.run("me", &command);
    }
    std::mem::take(&mut reader.used)
}

/// The seventh release of a package, of which the first wave is begun and no other.
fn rollouts() -> BTreeSet<&'static str> {
    let mut reader = Reader::new();
    reader.start("hub", "consign hub --data hub --listen 127.0.0.1:0");
    reader.ok("boss", "consign register \"$(consign invite --data hub)\"");
    reader.ok("boss", "consign community create Plant --seed seed");
    reader.start("boss", "consign node");
    let join = |peer: &str, role: &str| {
        let add = format!("community peer add {peer} --role {role} --secret-file {peer}.secret");
        reader.ok("boss", &format!("consign {add}"));
        reader.ok(peer, &format!("consign join seed --as {peer} --secret-file {peer}.secret"));
    };
    join("ci", "publisher");
    (1..=4).for_each(|number| join(&format!("press-{number}"), "target"));
    reader.ok("ci", "consign package init --template application hello");
    (1..=6).for_each(|_| drop(reader.ok("ci", "consign package send hello")));
    for command in commands(&document("rollouts.md")) {
        reader.run("ci", &command);
    }
    // What the last command left: the two of the first wave have it, the others never will.
    let shown = reader.ok("ci", "consign --json package show 7");
    let mut lines = shown.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let rollout = lines.find(|line: &Value| line["event"] == "rollout");
    let rollout = rollout.expect("it is rolled out");
    assert_eq!(rollout["state"], "aborted", "{rollout}");
    assert_eq!(rollout["skipped"].as_array().map(Vec::len), Some(2), "{rollout}");
    std::mem::take(&mut reader.used)
}

/// From an invitation to a receipt.
fn deliveries() -> BTreeSet<&'static str> {
    let mut reader = Reader::new();
    for command in commands(&document("deliveries.md")) {
        reader.run("me", &command);
    }
    let arrived = fs::read_to_string(reader.path("in/plans/ground.txt")).expect("there");
    assert_eq!(arrived, "Ground floor\n");
    until("the sender has the receipt", || {
        reader.ok("me", "consign --json --state ./anna deliveries").contains("\"received\"")
    });
    std::mem::take(&mut reader.used)
}

#[test]
fn commands_in_the_documents_are_run() {
    for name in WITH_COMMANDS {
        let found = commands(&document(name)).len();
        match name {
            "quickstart.md" | "operations.md" => assert!(found > 15, "{name}: the search works"),
            "communities.md" => assert!(found > 15, "{name}: the search works"),
            "packages.md" | "rollouts.md" | "deliveries.md" => {
                assert!(found > 1, "{name}: the search works");
            }
            other => assert_eq!(found, 0, "{other} has commands now: run them here"),
        }
    }
    let mut used = quickstart();
    used.extend(operations());
    used.extend(packages());
    used.extend(communities());
    used.extend(rollouts());
    used.extend(deliveries());
    for (theirs, _) in SUBSTITUTIONS.iter().chain(ELSEWHERE) {
        assert!(used.contains(theirs), "{theirs} is in no document any more");
    }
    for (start, test) in ELSEWHERE {
        assert!(is_cited(test).is_ok_and(|cited| cited), "{start}: {test}");
    }
}

/// Whether a text cites a test that is there, as in `hub::access::what_it_shows`, or gives a reason why
/// there is none.
///
/// # Errors
/// Names a test that is not there.
fn is_cited(text: &str) -> Result<bool, String> {
    if text.split("no test: ").nth(1).is_some_and(|reason| reason.trim().len() > 5) {
        return Ok(true);
    }
    let mut cited = false;
    for word in text.split(|sign: char| !(sign.is_ascii_alphanumeric() || "_:-".contains(sign))) {
        let parts: Vec<&str> = word.split("::").collect();
        let [package, path @ .., function] = parts.as_slice() else { continue };
        let folder = root().join("crates").join(package);
        if path.is_empty() || !folder.is_dir() {
            return Err(format!("{word} is no CRATE::PATH::FUNCTION"));
        }
        if !holds(&folder, path, &format!("fn {function}(")) {
            return Err(format!("{word} is not in the sources"));
        }
        cited = true;
    }
    Ok(cited)
}

/// Whether a source whose path has all these parts holds a text.
fn holds(folder: &Path, parts: &[&str], text: &str) -> bool {
    let mut stack = vec![folder.to_owned()];
    while let Some(path) = stack.pop() {
        if path.is_dir() {
            stack.extend(fs::read_dir(&path).expect("readable").flatten().map(|one| one.path()));
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let names: Vec<String> = path
            .strip_prefix(folder)
            .expect("beneath it")
            .with_extension("")
            .iter()
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        let fits = parts.iter().all(|part| names.iter().any(|name| name == part));
        if fits && fs::read_to_string(&path).expect("UTF-8").contains(text) {
            return true;
        }
    }
    false
}

/// Rows of tables and points of lists, each in one piece.
fn promises(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut in_point = false;
    let mut in_table = false;
    for line in text.lines() {
        if line.starts_with("- ") {
            found.push(line.to_owned());
            in_point = true;
        } else if in_point && line.starts_with("  ") {
            let point = found.last_mut().expect("begun");
            point.push(' ');
            point.push_str(line.trim());
        } else if line.starts_with("|---") {
            in_table = true;
            in_point = false;
        } else if in_table && line.starts_with('|') {
            found.push(line.to_owned());
        } else {
            (in_point, in_table) = (false, false);
        }
    }
    found
}

#[test]
fn every_promise_and_defence_names_its_test() {
    let mut wrong = Vec::new();
    for name in ["semantics.md", "security.md"] {
        let found = promises(&document(name));
        assert!(found.len() > 20, "{name}: the search works");
        for promise in found {
            match is_cited(&promise) {
                Ok(true) => {}
                Ok(false) => wrong.push(format!("{name}: no test is named: {promise}")),
                Err(error) => wrong.push(format!("{name}: {error}: {promise}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

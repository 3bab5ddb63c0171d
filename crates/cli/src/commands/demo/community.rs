//! `consign demo community`: a manager, a publisher, two relays and five machines, as separate
//! processes.
//!
//! Three releases of a package through the relays, one of which is switched off after the first: one
//! machine is off until the end, one is killed while it fetches, on
//! one a script fails and what was placed goes back. Each machine stands in a folder of its own.

use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::processes::{HubProcess, NodeProcess, Program, Shelf};
use super::stage::{Stage, number, word};
use crate::exit::Ended;
use crate::output::{Output, bytes};

/// The machines; the third is off at first, the second is killed, the fourth has a script that fails.
const TARGETS: [&str; 5] = ["press-1", "press-2", "press-3", "press-4", "press-5"];
const OFF: usize = 2;
const KILLED: usize = 1;
const FAILS: usize = 3;
const RELAYS: [&str; 2] = ["relay-a", "relay-b"];
/// Bytes of the package's large file: enough to be killed in the middle of.
const LARGE_BYTES: u64 = 32 << 20;
/// How long the machine that is killed runs before it is looked at again: too short for the large file.
const SLICE: Duration = Duration::from_millis(10);
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// What runs, and where.
pub(super) struct Show {
    pub(super) stage: Stage,
}

impl Show {
    pub(super) fn new(output: Output, base: PathBuf, shelf: Shelf) -> anyhow::Result<Self> {
        Ok(Self { stage: Stage::new(output, base, shelf)? })
    }

    fn start(&self, node: &str) -> anyhow::Result<NodeProcess> {
        NodeProcess::start(&self.stage.base, node, self.stage.shelf.clone())
    }

    /// The whole demonstration. At a terminal it ends in the console, as where that is asked for; from then on
    /// everything was `shown`.
    pub(super) fn show(&mut self, console: bool, shown: &AtomicBool) -> anyhow::Result<Ended> {
        let began = Instant::now();
        self.stage.say("", format!("everything happens in {}", self.stage.base.display()));
        self.stage.say("hub", format!("{} (its own process)", self.stage.hub.url));
        let invited = Program::plain()?.json(&["invite", "--data", &self.stage.text("hub")?])?;
        let invitation = invited["invitation"].as_str().context("no invitation was printed")?;
        self.stage.run("boss", &["register", invitation])?;
        let seed = self.stage.text("seed")?;
        let created = self.stage.run("boss", &["community", "create", "Demo", "--seed", &seed])?;
        self.stage.say("boss", format!("created community {}", word(&created, "community")));
        let _boss = self.start("boss")?;
        self.join("ci", &["--role", "publisher"], &seed)?;
        let mut relays = Vec::new();
        for relay in RELAYS {
            relays.push(self.start_relay(relay, &seed)?);
        }
        for (number, target) in TARGETS.into_iter().enumerate() {
            let label = format!("machine={target}");
            let (one, other) = (RELAYS[number % 2], RELAYS[(number + 1) % 2]);
            let routes = ["--role", "target", "--label", &label, "--route", one, "--route", other];
            self.join(target, &routes, &seed)?;
        }
        self.stage
            .say("boss", "admitted ci (publisher), two relays and five targets, each by a secret");

        let _ci = self.start("ci")?;
        let mut nodes = Vec::new();
        for (number, target) in TARGETS.into_iter().enumerate() {
            nodes.push(if number == OFF { None } else { Some(self.start(target)?) });
        }
        self.stage.say(TARGETS[OFF], "is off");

        self.write_package(1)?;
        let to_be_killed = nodes[KILLED].take().context("it was started")?;
        to_be_killed.signal(Signal::STOP)?;
        let first = self.send()?;
        let killed = self.kill_in_the_middle(TARGETS[KILLED], to_be_killed)?;
        let told = match killed {
            true => "killed (SIGKILL) while it fetched; started again",
            false => "was done before it could be killed; started again",
        };
        self.stage.say(TARGETS[KILLED], told);
        nodes[KILLED] = Some(self.start(TARGETS[KILLED])?);
        self.wait(1, 1)?;
        drop(relays.remove(0));
        self.stage
            .say(RELAYS[0], "is switched off, with the hub beside it: its targets turn to relay-b");
        self.write_package(2)?;
        let second = self.send()?;
        self.write_package(3)?;
        self.send()?;
        self.wait(3, 1)?;
        let waited = self.pending()?;
        self.stage.say(TARGETS[OFF], "is switched on, and gets all three in order");
        nodes[OFF] = Some(self.start(TARGETS[OFF])?);
        for release in 1..=3 {
            self.wait(release, 0)?;
        }
        self.prove()?;

        let releases = self.table()?;
        let wall = began.elapsed().as_secs_f64();
        self.stage.output.fact(
            format!(
                "\n3 releases through relays to 5 machines in {wall:.1} s: a relay and a \
                 machine off, one killed, one whose script fails.\nThe first cost {} to the hub, the second {}.",
                bytes(number(&first, "bytes_sent")),
                bytes(number(&second, "bytes_sent")),
            ),
            &json!({
                "event": "done",
                "community": created["community"],
                "releases": releases,
                "killed": killed,
                "off": waited,
                "relay_off": RELAYS[0],
                "first_bytes_sent": first["bytes_sent"],
                "second_bytes_sent": second["bytes_sent"],
                "wall_s": wall,
            }),
        )?;
        if console || !self.stage.output.is_json() && std::io::stdout().is_terminal() {
            self.stage.say(
                "console",
                "of ci, with its receipts, while everything runs (Ctrl-C ends it):",
            );
            let (args, output) = (["community", "console"], self.stage.output);
            Program::of_node(&self.stage.base.join("ci"))?.passed_on(
                &args,
                &self.stage.shelf,
                |line| {
                    shown.store(true, Ordering::Relaxed);
                    output.fact(word(line, "link"), line)
                },
            )?;
        } else {
            self.stage.say("", "all of it in a browser: consign demo community --console");
        }
        Ok(Ended::Done)
    }

    fn join(&self, peer: &str, options: &[&str], seed: &str) -> anyhow::Result<()> {
        let secret = self.stage.text(&format!("{peer}.secret"))?;
        let add = ["community", "peer", "add", peer, "--secret-file", &secret];
        self.stage.run("boss", &[&add[..], options].concat())?;
        self.stage.run(peer, &["join", seed, "--as", peer, "--secret-file", &secret])?;
        Ok(())
    }

    /// A relay: the hub beside it, which ends with it, and its node.
    fn start_relay(&self, name: &str, seed: &str) -> anyhow::Result<(HubProcess, NodeProcess)> {
        let data = format!("{name}-hub");
        let hub = HubProcess::start(&self.stage.base, &data, self.stage.shelf.clone())?;
        let invited = Program::plain()?.json(&["invite", "--data", &self.stage.text(&data)?])?;
        let invitation = invited["invitation"].as_str().context("no invitation was printed")?;
        self.stage.run(name, &["register", invitation])?;
        self.join(name, &["--role", "relay"], seed)?;
        let told = self.stage.run(name, &["community", "relay", &hub.url])?;
        self.stage.run("boss", &["community", "address", name, word(&told, "address")])?;
        self.stage.say(name, format!("passes packages on at {}", hub.url));
        Ok((hub, self.start(name)?))
    }

    /// The folder of a target, for what is placed on it.
    fn machine(&self, target: &str) -> PathBuf {
        self.stage.base.join("machines").join(target)
    }

    fn write_package(&self, release: u64) -> anyhow::Result<()> {
        let folder = self.stage.base.join("package");
        let contents = folder.join("contents");
        fs::create_dir_all(&contents)?;
        fs::write(contents.join("release"), format!("release {release}\n"))?;
        let large = contents.join("large.bin");
        if !large.exists() {
            // Something that does not compress, the same everywhere.
            let mut noise = blake3::Hasher::new().finalize_xof();
            let mut file = fs::File::create(&large)?;
            std::io::copy(&mut std::io::Read::take(&mut noise, LARGE_BYTES), &mut file)?;
        }
        let mut text = format!("[package]\nname = \"demo\"\nversion = \"{release}\"\n");
        for target in TARGETS {
            let to = self.machine(target).join("app");
            fs::create_dir_all(self.machine(target))?;
            text.push_str(&format!(
                "\n[[step]]\nname = \"files of {target}\"\nlabels = \"machine={target}\"\n\
                 files = \"contents\"\ntarget = {:?}\nplacing = \"replace\"\n",
                to.to_str().context("the temporary directory is not UTF-8")?,
            ));
        }
        text.push_str(&format!(
            "\n[[step]]\nname = \"check\"\nlabels = \"machine={}\"\non-failure = \"roll-back\"\n\
             script = '''\n#!/bin/sh\necho 'this press has no paper' >&2\nexit 3\n'''\n\
             \n[[step]]\nname = \"say hello\"\n\
             script = '''\n#!/bin/sh\necho \"release {release} is here\"\n'''\n",
            TARGETS[FAILS],
        ));
        fs::write(folder.join(package::specification::FILE_NAME), text)?;
        Ok(())
    }

    fn send(&self) -> anyhow::Result<Value> {
        let sent = self.stage.run("ci", &["package", "send", &self.stage.text("package")?])?;
        self.stage.say(
            "ci",
            format!(
                "sent release {}: {} of files, {} on the wire to the hub, 5 envelopes of 92 bytes",
                number(&sent, "sequence"),
                bytes(number(&sent, "bytes")),
                bytes(number(&sent, "bytes_sent")),
            ),
        );
        Ok(sent)
    }

    /// Kills a node, which stands still, while it fetches its first package; false when it was done before.
    fn kill_in_the_middle(&self, target: &str, node: NodeProcess) -> anyhow::Result<bool> {
        let state = self.stage.base.join(target).join("communities");
        let since = Instant::now();
        while !fetches(&state) && !self.machine(target).join("app").exists() {
            if since.elapsed() > PATIENCE {
                bail!("{target} does not begin to fetch");
            }
            node.signal(Signal::CONT)?;
            std::thread::sleep(SLICE);
            node.signal(Signal::STOP)?;
        }
        drop(node);
        Ok(!self.machine(target).join("app").exists())
    }

    /// Those that none of the three releases has reached.
    fn pending(&self) -> anyhow::Result<Vec<String>> {
        let mut pending = None;
        for release in 1..=3u64 {
            let show = ["package", "show", &release.to_string(), "--pending"];
            let lines = Program::of_node(&self.stage.base.join("ci"))?.lines(&show)?;
            let peers = lines.iter().filter(|line| line["event"] == "addressed");
            let peers: Vec<String> = peers.map(|line| word(line, "peer").to_owned()).collect();
            if pending.get_or_insert_with(|| peers.clone()) != &peers {
                bail!("release {release} waits for {peers:?}, and the one before for others");
            }
        }
        Ok(pending.unwrap_or_default())
    }

    /// Waits until all but so many targets have answered a release.
    fn wait(&self, release: u64, pending: u64) -> anyhow::Result<()> {
        let since = Instant::now();
        while number(&self.package(release)?, "pending") > pending {
            if since.elapsed() > PATIENCE {
                bail!("release {release} is not answered: {}", self.package(release)?);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// What the publisher's ledger says of a release.
    fn package(&self, release: u64) -> anyhow::Result<Value> {
        let lines = Program::of_node(&self.stage.base.join("ci"))?.lines(&["package", "list"])?;
        let found = lines.into_iter().find(|line| number(line, "sequence") == release);
        found.with_context(|| format!("release {release} is not in the ledger"))
    }

    /// Every machine has what it should have.
    fn prove(&self) -> anyhow::Result<()> {
        for (number, target) in TARGETS.into_iter().enumerate() {
            let app = self.machine(target).join("app");
            if number == FAILS {
                if app.exists() {
                    bail!("{} should have been put back", app.display());
                }
                continue;
            }
            let there = fs::read_to_string(app.join("release"))?;
            let same = same_bytes(
                &app.join("large.bin"),
                &self.stage.base.join("package/contents/large.bin"),
            )?;
            if there != "release 3\n" || !same {
                bail!("{} is not release 3", app.display());
            }
        }
        self.stage
            .say("proof", "four machines have release 3, byte by byte; on press-4 nothing stayed");
        Ok(())
    }

    /// Shows what became of each release on each machine.
    fn table(&self) -> anyhow::Result<Vec<Value>> {
        let mut releases = Vec::new();
        for release in 1..=3u64 {
            let show = ["package", "show", &release.to_string()];
            let lines = Program::of_node(&self.stage.base.join("ci"))?.lines(&show)?;
            let states: Vec<String> = lines
                .iter()
                .filter(|line| line["event"] == "addressed")
                .map(|line| {
                    let verdict = line["verdict"].as_str().unwrap_or("pending");
                    format!("{} {verdict}", word(line, "peer"))
                })
                .collect();
            self.stage.say("receipts", format!("release {release}: {}", states.join(", ")));
            releases.push(self.package(release)?);
        }
        Ok(releases)
    }
}

/// Whether a package's tree is being fetched beneath a state directory.
fn fetches(communities: &Path) -> bool {
    let mut stack = vec![communities.to_owned()];
    while let Some(path) = stack.pop() {
        let Ok(entries) = fs::read_dir(&path) else { continue };
        for entry in entries.flatten() {
            if entry.file_name() == ".consign.tmp" {
                return true;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                stack.push(entry.path());
            }
        }
    }
    false
}

fn same_bytes(left: &Path, right: &Path) -> anyhow::Result<bool> {
    let hash = |path: &Path| {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(fs::File::open(path)?).map(|hasher| hasher.finalize())
    };
    Ok(hash(left)? == hash(right)?)
}

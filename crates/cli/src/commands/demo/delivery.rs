//! `consign demo delivery`: two people, a hub and a folder, as separate processes.
//!
//! Both take a handle and compare words. A folder goes from one to the other; the recipient is killed twice and the
//! hub is restarted meanwhile. In the end both have the same signed receipt, and a third person receives by a link.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::compare::equal;
use super::processes::{Program, Shelf};
use super::stage::{Stage, number, word};
use crate::exit::Ended;
use crate::output::{Output, bytes, utc};

/// Bytes of the folder's large file: enough to be killed in the middle of, twice.
const LARGE_BYTES: u64 = 192 << 20;
const NOTES: usize = 40;
/// Bytes of the journal for one segment.
const TAG_BYTES: u64 = 32;
/// Segments after which the recipient is killed, the first and the second time.
const KILLED_AFTER: [u64; 2] = [8, 32];
/// How long the recipient runs before it is looked at again: too short for the rest of the delivery.
const SLICE: Duration = Duration::from_millis(20);
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);
const PASSWORD: &str = "correct horse battery staple\n";

/// What runs, and where.
pub(super) struct Show {
    pub(super) stage: Stage,
}

impl Show {
    pub(super) fn new(output: Output, base: PathBuf, shelf: Shelf) -> anyhow::Result<Self> {
        Ok(Self { stage: Stage::new(output, base, shelf)? })
    }

    fn program(&self, person: &str) -> anyhow::Result<Program> {
        Program::of_node(&self.stage.base.join(person))
    }

    /// The whole demonstration.
    pub(super) fn show(&mut self) -> anyhow::Result<Ended> {
        let began = Instant::now();
        self.stage.say("", format!("everything happens in {}", self.stage.base.display()));
        self.stage.say("hub", format!("{} (its own process)", self.stage.hub.url));
        for person in ["anna", "ben"] {
            self.register(person)?;
        }
        self.stage.run("ben", &["book", "add", "anna"])?;
        let words = self.compare_words()?;
        self.write_folder()?;

        let folder = self.stage.text("plans")?;
        let send = ["send", &folder, "--to", "ben", "--subject", "The plans"];
        let mut sending = self.program("anna")?.in_background(&send, &self.stage.shelf)?;
        let addressed = sending.line("addressed", PATIENCE)?;
        let id = word(&addressed, "id").to_owned();
        self.stage.say(
            "anna",
            format!(
                "sends {} files, {}, to ben by his handle",
                number(&addressed, "files"),
                bytes(number(&addressed, "bytes_total")),
            ),
        );
        let (mut killed, mut hub_restarts) = (0, 0);
        for segments in KILLED_AFTER {
            if !self.kill_in_the_middle(&id, segments)? {
                self.stage.say("ben", "was done before he could be killed");
                break;
            }
            killed += 1;
            self.stage.say("ben", format!("killed (SIGKILL) after {segments} segments or more"));
            if killed == 1 {
                self.stage.hub.restart(&self.stage.base, "hub")?;
                hub_restarts += 1;
                self.stage
                    .say("hub", "killed (SIGKILL) and started again; it remembers no byte of it");
            }
        }
        let to = self.stage.text("received")?;
        let received = self.stage.run("ben", &["accept", &id, "--to", &to])?;
        self.stage.say(
            "ben",
            format!("has it, {} segments from before", number(&received, "resumed_segments")),
        );
        sending.line("delivered", PATIENCE)?;
        drop(sending);
        let entries =
            equal(&self.stage.base.join("plans"), &self.stage.base.join("received/plans"))?;
        self.stage.say(
            "proof",
            format!("{entries} files and folders are the same on both sides, byte by byte"),
        );

        let receipt = self.table(&id)?;
        let link = self.link()?;
        let wall = began.elapsed().as_secs_f64();
        self.stage.output.fact(
            format!(
                "\n{} from person to person in {wall:.1} s, the recipient killed {killed} times, the hub \
                 {hub_restarts} times; both keep the same signed receipt.",
                bytes(number(&addressed, "bytes_total")),
            ),
            &json!({
                "event": "done",
                "id": id,
                "entries": entries,
                "bytes_total": addressed["bytes_total"],
                "killed": killed,
                "hub_restarts": hub_restarts,
                "words": words,
                "digest": receipt["digest"],
                "identity": receipt["identity"],
                "link": link,
                "wall_s": wall,
            }),
        )?;
        Ok(Ended::Done)
    }

    fn register(&self, person: &str) -> anyhow::Result<()> {
        let invited = Program::plain()?.json(&["invite", "--data", &self.stage.text("hub")?])?;
        let invitation = invited["invitation"].as_str().context("no invitation was printed")?;
        self.stage.run(person, &["register", invitation])?;
        self.program(person)?.json_of_input(&["account", "create", person], PASSWORD)?;
        self.stage.say(person, "has a handle, a password and one device");
        Ok(())
    }

    /// Both look at the nine words, and note that they are the same.
    fn compare_words(&self) -> anyhow::Result<String> {
        let see = |person, other| self.stage.run(person, &["book", "verify", other]);
        let (words, others) = (see("anna", "ben")?, see("ben", "anna")?);
        if words["words"] != others["words"] {
            bail!("anna sees {}, ben sees {}", words["words"], others["words"]);
        }
        for (person, other) in [("anna", "ben"), ("ben", "anna")] {
            self.stage.run(person, &["book", "verify", other, "--agreed"])?;
        }
        let words = word(&words, "words").to_owned();
        self.stage.say("words", format!("{words}: both see them, so the hub shows both the truth"));
        Ok(words)
    }

    fn write_folder(&self) -> anyhow::Result<()> {
        let folder = self.stage.base.join("plans");
        fs::create_dir_all(folder.join("notes"))?;
        for index in 0..NOTES {
            let text = format!("note {index}\n").repeat(200);
            fs::write(folder.join(format!("notes/{index}.txt")), text)?;
        }
        // Something that does not compress, the same everywhere.
        let mut noise = blake3::Hasher::new().finalize_xof();
        let mut file = fs::File::create(folder.join("film.bin"))?;
        std::io::copy(&mut std::io::Read::take(&mut noise, LARGE_BYTES), &mut file)?;
        Ok(())
    }

    /// Kills the recipient when it has so many segments; false when it was done before.
    fn kill_in_the_middle(&self, id: &str, segments: u64) -> anyhow::Result<bool> {
        let to = self.stage.text("received")?;
        fs::create_dir_all(&to)?;
        let accept = ["accept", id, "--to", &to];
        let mut accepting = self.program("ben")?.in_background(&accept, &self.stage.shelf)?;
        let tags = self.stage.base.join("ben/deliveries/in").join(id).join("tags");
        let since = Instant::now();
        loop {
            std::thread::sleep(SLICE);
            accepting.signal(Signal::STOP)?;
            if fs::metadata(&tags).is_ok_and(|facts| facts.len() >= segments * TAG_BYTES) {
                break;
            }
            if accepting.has_ended()? {
                return Ok(false);
            }
            if since.elapsed() > PATIENCE {
                bail!("ben gets no segments");
            }
            accepting.signal(Signal::CONT)?;
        }
        drop(accepting);
        Ok(!self.stage.base.join("received/plans").exists())
    }

    /// Shows what both keep, which has to agree.
    fn table(&self, id: &str) -> anyhow::Result<Value> {
        let mut first: Option<Value> = None;
        for person in ["anna", "ben"] {
            let receipt = self.stage.run(person, &["receipts", id])?;
            self.stage.say(
                "receipt",
                format!(
                    "{person:<5} {:<8} {:<5} {} entries  {}  {}  digest {}  signed by a device of {}",
                    word(&receipt, "way"),
                    word(&receipt, "with"),
                    number(&receipt, "entries"),
                    bytes(number(&receipt, "bytes_total")),
                    utc(number(&receipt, "received")),
                    word(&receipt, "digest").get(..16).unwrap_or_default(),
                    word(&receipt, "recipient"),
                ),
            );
            if let Some(first) = &first
                && ["digest", "identity"].iter().any(|it| first[it] != receipt[it])
            {
                bail!("the two receipts differ: {first} {receipt}");
            }
            first = Some(receipt);
        }
        first.context("nobody has a receipt")
    }

    /// What somebody without any program opens in a browser; here somebody without an account takes it in a terminal.
    fn link(&self) -> anyhow::Result<String> {
        let note = self.stage.text("plans/notes/0.txt")?;
        let mut sending =
            self.program("anna")?.in_background(&["send", &note, "--link"], &self.stage.shelf)?;
        let link = word(&sending.line("link", PATIENCE)?, "link").to_owned();
        self.stage.say(
            "link",
            format!("{link} is what a browser opens while `consign send --link` runs"),
        );
        let to = self.stage.text("taken")?;
        fs::create_dir(&to)?;
        self.program("clara")?.json_of_input(&["receive", "--yes", "--to", &to], &link)?;
        sending.line("delivered", PATIENCE)?;
        if fs::read(&note)? != fs::read(self.stage.base.join("taken/0.txt"))? {
            bail!("what clara received by the link is not what anna sent");
        }
        self.stage.say("clara", "has no account, and took it by the link");
        Ok(link)
    }
}

//! `consign demo`: the real programs, as separate processes, on a real folder.
//!
//! Starts a hub and three nodes in a temporary directory, publishes, fetches on two nodes at
//! once, kills one in the middle and lets it resume, compares file by file, changes a few files
//! and shows what the second release cost.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::{Session, StopSignal};
use crate::args::{DemoArgs, DemoCommand};
use crate::exit::Ended;
use crate::output::{Output, Paint, bytes, number};

mod community;
mod compare;
mod delivery;
mod edit;
mod processes;
mod stage;

use processes::{HubProcess, KillOutcome, Program};

const NAME: &str = "demo/files";
/// Columns of the word at the beginning of a line.
const LABEL_WIDTH: usize = 9;

pub(super) async fn run(session: &Session, args: DemoArgs) -> anyhow::Result<Ended> {
    let what = args.what;
    let base = std::env::temp_dir().join(format!("consign-demo-{}", std::process::id()));
    let (shelf, output) = (processes::Shelf::default(), session.output);
    let (kept, place) = (Arc::clone(&shelf), base.clone());
    let mut stop = StopSignal::listen()?;
    let shown = Arc::new(AtomicBool::new(false));
    let everything = Arc::clone(&shown);
    let mut job = tokio::task::spawn_blocking(move || match what {
        Some(DemoCommand::Community { console }) => community::Show::new(output, place, kept)
            .and_then(|mut show| {
                let result = show.show(console, &everything);
                show.stage.end(result.is_ok());
                result
            }),
        Some(DemoCommand::Delivery) => {
            delivery::Show::new(output, place, kept).and_then(|mut show| {
                let result = show.show();
                show.stage.end(result.is_ok());
                result
            })
        }
        None => Demo::new(output, args, place, kept).and_then(|mut demo| {
            let result = demo.show();
            demo.end(result.is_ok());
            result
        }),
    });
    tokio::select! {
        result = &mut job => result.context("the demonstration stopped")?,
        () = stop.asked() => {
            processes::end(&shelf);
            // Whoever closes the console at the end has seen everything.
            if shown.load(Ordering::Relaxed) {
                return job.await.context("the demonstration stopped")?;
            }
            output.remark(format!("stopped; what was made so far is in {}", base.display()));
            Err(crate::exit::Interrupted.into())
        }
    }
}

struct Demo {
    output: Output,
    source: PathBuf,
    base: PathBuf,
    hub: HubProcess,
    keep: bool,
}

impl Demo {
    fn new(
        output: Output,
        args: DemoArgs,
        base: PathBuf,
        shelf: processes::Shelf,
    ) -> anyhow::Result<Self> {
        let source = match args.path {
            Some(path) => path,
            None => default_source()?,
        };
        if !source.is_dir() {
            bail!("{} is not a directory", source.display());
        }
        std::fs::create_dir_all(&base)
            .with_context(|| format!("cannot create {}", base.display()))?;
        let hub = HubProcess::start(&base, "hub", shelf)?;
        Ok(Self { output, source, base, hub, keep: args.keep })
    }

    fn say(&self, text: impl AsRef<str>) {
        // Lines begin with who or what they are about, in a column of its own.
        let text = text.as_ref();
        let label = text.split_at_checked(LABEL_WIDTH).filter(|(label, _)| {
            label.ends_with(' ')
                && !label.trim_end().contains(' ')
                && *label == label.to_lowercase()
        });
        self.output.remark(match label {
            Some((label, rest)) => {
                format!("{}{rest}", self.output.paint_talk(Paint::Name, label.to_owned()))
            }
            None => text.to_owned(),
        });
    }

    fn program(&self, node: &str) -> anyhow::Result<Program> {
        Program::of_node(&self.base.join(node))
    }

    fn show(&mut self) -> anyhow::Result<Ended> {
        let began = Instant::now();
        let published = self.base.join("published");
        self.say(format!("everything happens in {}", self.base.display()));
        self.say(format!("hub      {} (its own process)", self.hub.url));
        copy(&self.source, &published)?;
        for node in ["anna", "ben", "cleo"] {
            let mut invite = Program::plain()?;
            let line = invite.json(&["invite", "--data", path(&self.base.join("hub"))?])?;
            let invitation = line["invitation"].as_str().context("invite printed no invitation")?;
            self.program(node)?.json(&["register", invitation])?;
        }
        self.say("nodes    anna publishes, ben and cleo fetch");

        let first =
            self.program("anna")?.json(&["publish", path(&published)?, NAME, "--public"])?;
        self.tell_publish("release 1", &first);

        let (ben, cleo) = (self.base.join("ben-files"), self.base.join("cleo-files"));
        let started = Instant::now();
        let mut other = self.program("ben")?;
        let ben_job = {
            let to = path(&ben)?.to_owned();
            std::thread::spawn(move || other.json(&["get", NAME, "--to", &to]))
        };
        let killed = self
            .program("cleo")?
            .kill_in_the_middle(&["get", NAME, "--to", path(&cleo)?], &cleo)?;
        let resumed = self.program("cleo")?.json(&["get", NAME, "--to", path(&cleo)?])?;
        let straight = ben_job.join().ok().context("the fetch of ben stopped")??;
        let both = started.elapsed().as_secs_f64();
        self.tell_get("ben      fetched", &straight);
        match killed {
            KillOutcome::Killed { files } => {
                self.say(format!(
                    "cleo     killed (SIGKILL) with {} files in place",
                    number(files)
                ));
                self.tell_get("cleo     resumed", &resumed);
            }
            KillOutcome::FinishedFirst => {
                self.say(
                    "cleo     was done before it could be killed: the folder is too small for that",
                );
            }
        }
        for copy in [&ben, &cleo] {
            let files = compare::equal(&published, copy)?;
            self.say(format!(
                "proof    {} equals what was published, {} entries compared byte by byte",
                name(copy),
                number(files)
            ));
        }

        let edits = edit::some_files(&published)?;
        // One change a line, in the column of the first.
        self.say(format!("anna     {}", edits.replace(", ", "\n         ")));
        let second = self.program("anna")?.json(&["publish", path(&published)?, NAME])?;
        self.tell_publish("release 2", &second);
        let mut updates = Vec::new();
        for (node, to) in [("ben", &ben), ("cleo", &cleo)] {
            let update = self.program(node)?.json(&["get", NAME, "--to", path(to)?])?;
            self.tell_get(&format!("{node:<8} updated"), &update);
            compare::equal(&published, to)?;
            updates.push(update);
        }
        self.say("proof    both equal release 2");

        let (total, sent) = (field(&first, "bytes_total"), field(&first, "bytes_sent"));
        let per_second = |bytes: u64, seconds: f64| (bytes as f64 / seconds.max(0.001)) as u64;
        let publish_rate = per_second(total, first["wall_s"].as_f64().unwrap_or(1.0));
        let report = json!({
            "event": "done",
            "release": second["release"],
            "tree": second["tree"],
            "files": first["files"],
            "bytes_total": total,
            "bytes_sent": sent + field(&second, "bytes_sent"),
            "bytes_reused": second["bytes_reused"],
            "wall_s": began.elapsed().as_secs_f64(),
            "publish_bytes_sent": sent,
            "publish_wall_s": first["wall_s"],
            "publish_bytes_per_s": publish_rate,
            "fetch_both_wall_s": both,
            "fetch_both_bytes_per_s": per_second(2 * total, both),
            "killed": matches!(killed, KillOutcome::Killed { .. }),
            "update_publish_bytes_sent": second["bytes_sent"],
            "update_bytes_received": updates.iter().map(|one| field(one, "bytes_received")).collect::<Vec<_>>(),
            "equal": true,
            "kept": self.keep.then(|| self.base.display().to_string()),
            "hub_process": self.keep.then(|| self.hub.id()),
            "hub_log": self.keep.then(|| self.hub.log.display().to_string()),
        });
        self.output.fact(
            format!(
                "\n{} files, {}: published at {}/s, {} on the wire; \
                 fetched by two nodes in {both:.1} s, one of them killed and resumed.\n\
                 The second release cost {} up and {} down to each node.",
                number(field(&first, "files")),
                bytes(total),
                bytes(publish_rate),
                bytes(sent),
                bytes(field(&second, "bytes_sent")),
                bytes(updates.iter().map(|one| field(one, "bytes_received")).max().unwrap_or(0)),
            ),
            &report,
        )?;
        Ok(Ended::Done)
    }

    fn tell_publish(&self, what: &str, line: &Value) {
        self.say(format!(
            "anna     published {what}: {} files, {}; read {} files, sent {} in {:.1} s",
            number(field(line, "files")),
            bytes(field(line, "bytes_total")),
            number(field(line, "files_read")),
            bytes(field(line, "bytes_sent")),
            line["wall_s"].as_f64().unwrap_or_default(),
        ));
    }

    fn tell_get(&self, what: &str, line: &Value) {
        self.say(format!(
            "{what}: {} received, {} reused, {:.1} s",
            bytes(field(line, "bytes_received")),
            bytes(field(line, "bytes_reused")),
            line["wall_s"].as_f64().unwrap_or_default(),
        ));
    }

    fn end(&mut self, ok: bool) {
        if self.keep {
            self.hub.leave_running();
            self.say(format!(
                "kept: {}; the hub runs as process {}, its log is {}; stop it with: kill {}",
                self.base.display(),
                self.hub.id(),
                self.hub.log.display(),
                self.hub.id()
            ));
            return;
        }
        self.hub.stop();
        if ok || std::env::var_os("CONSIGN_DEMO_CLEAN").is_some() {
            // What was fetched keeps its modes, read-only folders among them.
            let _ = Command::new("chmod").arg("-R").arg("u+w").arg(&self.base).status();
            if let Err(error) = std::fs::remove_dir_all(&self.base) {
                self.say(format!("could not remove {}: {error}", self.base.display()));
            }
        } else {
            self.say(format!("left for inspection: {}", self.base.display()));
        }
    }
}

fn field(line: &Value, name: &str) -> u64 {
    line[name].as_u64().unwrap_or_default()
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The Rust toolchain's `lib` folder when there is one, else the current directory.
fn default_source() -> anyhow::Result<PathBuf> {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output();
    if let Ok(output) = sysroot
        && output.status.success()
    {
        let lib = Path::new(String::from_utf8_lossy(&output.stdout).trim()).join("lib");
        if lib.is_dir() {
            return Ok(lib);
        }
    }
    Ok(std::env::current_dir()?)
}

/// Copies the folder, without build results and repositories, so that the original stays as it is.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    let mut command = Command::new("cp");
    command.args(["-a", "--reflink=auto", "--"]);
    let mut any = false;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_name() != "target" && entry.file_name() != ".git" {
            command.arg(entry.path());
            any = true;
        }
    }
    if !any {
        bail!("{} is empty", from.display());
    }
    let status = command.arg(to).status().context("cannot run cp")?;
    if !status.success() {
        bail!("cp could not copy all of {}", from.display());
    }
    Ok(())
}

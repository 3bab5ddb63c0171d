//! `consign package apply`

use std::io::IsTerminal as _;

use deploy::script::Launch;
use deploy::{Application, Event, MachineFacts, Preview, State};
use package::receipt::{End, Limit, Output as Said, Placed, Ran};
use package::{Action, Outcome, Package, Placing, Receipt, StepReceipt, Verdict};
use serde_json::{Value, json};

use super::limits;
use super::opened::Opened;
use crate::args::ApplyArgs;
use crate::commands::Session;
use crate::exit::{Ended, Interrupted};
use crate::output::{Output, Paint, bytes, path};

pub(super) async fn run(session: &Session, args: ApplyArgs) -> anyhow::Result<Ended> {
    let output = session.output;
    let opened = Opened::open(&session.path(&args.path))?;
    let labels = args.label.iter().map(|it| (it.key.clone(), it.value.clone())).collect();
    let machine = MachineFacts::here(labels);
    let state = session.state_directory()?.join("packages");
    let preview = deploy::preview(&opened.package, &machine, &state)?;
    if args.dry_run {
        show(output, &opened.package, &preview)?;
        return Ok(Ended::Done);
    }
    if !args.yes && std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        show(output, &opened.package, &preview)?;
        confirm().await?;
    }
    let job = tokio::task::spawn_blocking(move || carry_out(output, &opened, &machine, &state));
    let receipt = job.await??;
    match receipt.verdict {
        Verdict::Passed | Verdict::NotApplicable(_) => Ok(Ended::Done),
        Verdict::Failed(reason) => Err(PackageFailed { package: receipt.package, reason }.into()),
    }
}

/// A package was carried to its end, and failed.
#[derive(Debug, thiserror::Error)]
#[error("{package} failed: {reason}")]
pub(crate) struct PackageFailed {
    package: String,
    reason: String,
}

impl PackageFailed {
    /// Whether there was no room for its files.
    pub(crate) fn is_out_of_space(&self) -> bool {
        tells_of_a_full_disk(&self.reason)
    }
}

/// Whether a reason for people says so: receipts tell it in the system's words.
pub(crate) fn tells_of_a_full_disk(reason: &str) -> bool {
    let full = std::io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
    reason.contains(&full.to_string())
}

async fn confirm() -> anyhow::Result<()> {
    eprint!("Do this on this machine? [y/N] ");
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    match read.await??.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Interrupted.into()),
    }
}

fn carry_out(
    output: Output,
    opened: &Opened,
    machine: &MachineFacts,
    state: &std::path::Path,
) -> anyhow::Result<Receipt> {
    let state = State::take(state)?;
    let tree = opened.tree(&state)?;
    let launch = Launch::default();
    let package = &opened.package;
    let (tree, delivery) = (&tree, None);
    let application =
        Application { package, tree, machine, state: &state, launch: &launch, delivery };
    let mut told = Ok(());
    let count = package.steps.len();
    let receipt = deploy::apply(&application, &mut |event| {
        // Nobody listens any more: that is no reason to stop in the middle.
        if told.is_ok() {
            told = tell(output, count, event);
        }
    })?;
    if let Err(error) = opened.clear(&state) {
        output.remark(format!("{error:#}"));
    }
    told?;
    finish(output, &receipt)?;
    Ok(receipt)
}

fn tell(output: Output, count: usize, event: Event<'_>) -> anyhow::Result<()> {
    match event {
        Event::Resumed => output.remark("going on with what was interrupted"),
        Event::Begun(_) => {}
        Event::Ended(number, step) => {
            let mut text = format!("{}/{count} {}: {}", number + 1, shown(&step.name), line(step));
            if let Outcome::Ran(ran) = &step.outcome
                && !ran.is_expected
            {
                text.extend([&ran.output, &ran.error].map(quoted));
            }
            let mut value = of_step(number, step);
            value["event"] = "carried_out".into();
            output.fact(text, &value)?;
        }
        Event::PutBack(number, why_not) => {
            let text = why_not.map_or_else(
                || "put back".to_owned(),
                |why| output.paint(Paint::Bad, format!("not put back: {}", shown(why))),
            );
            let value = json!({"event": "put_back", "number": number + 1, "problem": why_not});
            output.fact(format!("{}/{count} {text}", number + 1), &value)?;
        }
    }
    Ok(())
}

fn finish(output: Output, receipt: &Receipt) -> anyhow::Result<()> {
    let name = format!("{} {}", receipt.package, shown(&receipt.version));
    let (verdict, reason) = verdict(&receipt.verdict);
    let paint = if verdict == "failed" { Paint::Bad } else { Paint::Good };
    let because = reason.map_or(String::new(), |reason| format!(": {}", shown(reason)));
    let text = format!("{name} {}{because}", output.paint(paint, verdict.replace('_', " ")));
    let steps: Vec<_> =
        receipt.steps.iter().enumerate().map(|(number, step)| of_step(number, step)).collect();
    let value = json!({
        "event": "receipt",
        "package": receipt.package,
        "version": receipt.version,
        "verdict": verdict,
        "reason": reason,
        "steps": steps,
    });
    output.fact(text, &value)
}

fn verdict(verdict: &Verdict) -> (&'static str, Option<&str>) {
    match verdict {
        Verdict::Passed => ("passed", None),
        Verdict::Failed(reason) => ("failed", Some(reason)),
        Verdict::NotApplicable(reason) => ("not_applicable", Some(reason)),
    }
}

/// What would be done.
fn show(output: Output, package: &Package, preview: &Preview) -> anyhow::Result<()> {
    let Preview { verdict: early, not_applicable } = preview;
    let (verdict, reason) = early.as_ref().map_or((None, None), |early| {
        let (verdict, reason) = verdict(early);
        (Some(verdict), reason)
    });
    let mut text = format!("{} {}", package.name, shown(&package.version));
    if let (Some(verdict), Some(reason)) = (verdict, reason) {
        text.push_str(&format!(": {}, {}", verdict.replace('_', " "), shown(reason)));
    }
    let mut steps = Vec::new();
    for (number, step) in package.steps.iter().enumerate() {
        let does = describe(&step.action);
        let why_not = not_applicable.get(number).cloned().flatten();
        let left_out = why_not.as_ref().map_or(String::new(), |why| format!(" (left out: {why})"));
        text.push_str(&format!("\n  {} {}: {does}{left_out}", number + 1, shown(&step.name)));
        let number = number + 1;
        steps.push(json!({"number": number, "name": step.name, "does": does, "left_out": why_not}));
    }
    let value = json!({
        "event": "preview",
        "package": package.name,
        "version": package.version,
        "verdict": verdict,
        "reason": reason,
        "steps": steps,
    });
    output.fact(text, &value)
}

fn describe(action: &Action) -> String {
    match action {
        Action::Files(set) => {
            let how = match set.placing {
                Placing::Replace => "replace",
                Placing::Merge => "place files in",
            };
            format!("{how} {}", shown(&set.target))
        }
        Action::Script(script) => {
            let words = script.interpreter.iter().chain(&script.file).chain(&script.arguments);
            let words: Vec<_> = words.map(|word| shown(word)).collect();
            let user = script.user.as_ref();
            let user = user.map_or(String::new(), |user| format!(" as {}", shown(&user.user)));
            let limits = limits::text(&script.limits);
            format!("run {}{user}{limits}", words.join(" "))
        }
    }
}

pub(super) fn line(step: &StepReceipt) -> String {
    let took = step.took.as_secs_f64();
    match &step.outcome {
        Outcome::NotApplicable(why) => format!("not applicable, {}", shown(why)),
        Outcome::LeftOut => "left out".to_owned(),
        Outcome::Placed(placed) => format!("{} ({took:.1} s)", counts(placed)),
        Outcome::PutBack(_) => "put back".to_owned(),
        Outcome::NotPlaced(why) => format!("not placed: {}", shown(why)),
        Outcome::NotStarted(why) => format!("not started: {}", shown(why)),
        Outcome::Interrupted => "interrupted, and not run again".to_owned(),
        Outcome::Ran(ran) => {
            let end = match ran.end {
                End::Code(code) => format!("ended with code {code}"),
                End::Signal(signal) => format!("ended by signal {signal}"),
                End::TimedOut => "killed: it took too long".to_owned(),
            };
            let limit = ran.limit.map_or("", limits::reached);
            // All of it together is the larger of the two, where that was measured.
            let used = bytes(ran.memory_together_bytes_max.unwrap_or(ran.memory_bytes_max));
            let processor = ran.processor.as_secs_f64();
            format!("{end}{limit} ({took:.1} s, {processor:.1} s of processor, {used} of memory)")
        }
    }
}

fn counts(placed: &Placed) -> String {
    let Placed { added, changed, kept, removed, bytes: count } = placed;
    format!(
        "{added} added, {changed} changed, {removed} removed, {kept} as they should be, {} written",
        bytes(*count)
    )
}

/// The last lines of an output, below the step.
pub(super) fn quoted(said: &Said) -> String {
    let text = String::from_utf8_lossy(&said.bytes);
    let lines: Vec<_> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(10)..];
    last.iter().map(|line| format!("\n    {}", shown(line))).collect()
}

pub(super) fn of_step(number: usize, step: &StepReceipt) -> Value {
    let (outcome, more) = match &step.outcome {
        Outcome::NotApplicable(why) => ("not_applicable", json!({"reason": why})),
        Outcome::LeftOut => ("left_out", json!({})),
        Outcome::Placed(placed) => ("placed", of_placed(placed)),
        Outcome::PutBack(placed) => ("put_back", of_placed(placed)),
        Outcome::NotPlaced(why) => ("not_placed", json!({"reason": why})),
        Outcome::NotStarted(why) => ("not_started", json!({"reason": why})),
        Outcome::Interrupted => ("interrupted", json!({})),
        Outcome::Ran(ran) => ("ran", of_ran(ran)),
    };
    json!({
        "number": number + 1,
        "name": step.name,
        "outcome": outcome,
        "begun_ms": step.begun_ms,
        "took_ms": u64::try_from(step.took.as_millis()).unwrap_or(u64::MAX),
        "details": more,
    })
}

fn of_placed(placed: &Placed) -> Value {
    let Placed { added, changed, kept, removed, bytes } = placed;
    json!({"added": added, "changed": changed, "kept": kept, "removed": removed, "bytes": bytes})
}

fn of_ran(ran: &Ran) -> Value {
    let (code, signal) = match ran.end {
        End::Code(code) => (Some(code), None),
        End::Signal(signal) => (None, Some(signal)),
        End::TimedOut => (None, None),
    };
    let said = |said: &Said| {
        let text = String::from_utf8_lossy(&said.bytes);
        json!({"text": text, "bytes_total": said.bytes_total})
    };
    json!({
        "code": code,
        "signal": signal,
        "timed_out": ran.end == End::TimedOut,
        "expected": ran.is_expected,
        "output": said(&ran.output),
        "error": said(&ran.error),
        "processor_ms": u64::try_from(ran.processor.as_millis()).unwrap_or(u64::MAX),
        "memory_bytes_max": ran.memory_bytes_max,
        "limit": ran.limit.map(Limit::as_str),
        "memory_together_bytes_max": ran.memory_together_bytes_max,
    })
}

/// A text of a package or a script, which must not move the cursor.
pub(super) fn shown(text: &str) -> String {
    path(text.as_bytes())
}

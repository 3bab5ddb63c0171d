//! `consign doctor`

use serde_json::json;

use super::Session;
use crate::args::DoctorArgs;
use crate::doctor::{CHECKS, Check, Finding, Needs, Shown, Status, Surroundings, near};
use crate::exit::{Ended, Usage};
use crate::output::{Output, Paint, counted};

#[derive(Default)]
struct Counts {
    ok: u32,
    warn: u32,
    fail: u32,
    skipped: u32,
    fixed: u32,
}

pub(super) async fn run(session: &Session, args: DoctorArgs) -> anyhow::Result<Ended> {
    let checks = chosen(&args.only)?;
    let mut around = surroundings(session, &args)?;
    let need = |needs| checks.iter().any(|check| check.needs == needs);
    if need(Needs::Hub) {
        around.look_at_hub().await;
    }
    if need(Needs::Node) {
        around.look_at_node().await;
    }
    let mut counts = Counts::default();
    for check in &checks {
        let mut finding = (check.run)(&around);
        let mut fixed = None;
        if let Some(fix) = finding.fix.as_ref().filter(|_| args.fix) {
            match fix.apply(&around.shown) {
                Ok(done) => {
                    counts.fixed += 1;
                    fixed = Some(done);
                    finding = (check.run)(&around);
                }
                Err(error) => finding.evidence.push_str(&format!("; cannot be fixed: {error}")),
            }
        }
        *counts.of(finding.status) += 1;
        tell(session.output, check, &finding, fixed.as_deref(), args.all)?;
    }
    session.output.fact(
        format!(
            "{}: {} ok, {}, {}, {} skipped",
            counted(checks.len() as u64, "check"),
            counts.ok,
            counted(counts.warn.into(), "warning"),
            counted(counts.fail.into(), "failure"),
            counts.skipped
        ),
        &json!({
            "event": "done",
            "ok": counts.ok,
            "warn": counts.warn,
            "fail": counts.fail,
            "skipped": counts.skipped,
            "fixed": counts.fixed,
        }),
    )?;
    Ok(if counts.fail == 0 { Ended::Done } else { Ended::Failed })
}

impl Counts {
    fn of(&mut self, status: Status) -> &mut u32 {
        match status {
            Status::Ok => &mut self.ok,
            Status::Warn => &mut self.warn,
            Status::Fail => &mut self.fail,
            Status::Skipped => &mut self.skipped,
        }
    }
}

fn surroundings(session: &Session, args: &DoctorArgs) -> anyhow::Result<Surroundings> {
    Ok(Surroundings {
        shown: Shown::new(std::env::var_os("HOME").as_deref()),
        state: session.state_directory().ok().map(node::StateDir::new),
        hub: session.hub.clone(),
        proxies: crate::proxy::proxies(session)?,
        destination: args.to.clone().unwrap_or_else(|| ".".into()),
        config: session.config.clone(),
        hub_look: None,
        node_look: None,
    })
}

fn chosen(only: &[String]) -> Result<Vec<Check>, Usage> {
    for code in only {
        if !CHECKS.iter().any(|check| check.code == code) {
            let meant = near(code).map(|one| format!(", did you mean {one}?"));
            return Err(Usage(format!("no check is called {code}{}", meant.unwrap_or_default())));
        }
    }
    let wanted = |check: &&Check| only.is_empty() || only.iter().any(|code| code == check.code);
    Ok(CHECKS.iter().filter(wanted).copied().collect())
}

fn tell(
    output: Output,
    check: &Check,
    finding: &Finding,
    fixed: Option<&str>,
    all: bool,
) -> anyhow::Result<()> {
    let is_news = matches!(finding.status, Status::Warn | Status::Fail) || fixed.is_some();
    let (paint, word) = match finding.status {
        Status::Ok => (Paint::Good, "ok"),
        Status::Warn => (Paint::Warning, "warning"),
        Status::Fail => (Paint::Bad, "failure"),
        Status::Skipped => (Paint::Faint, "skipped"),
    };
    let mut human = String::new();
    if is_news || all {
        let word = output.paint(paint, format!("{word:<8}"));
        let code = output.paint(Paint::Strong, check.code.to_owned());
        human = format!("{word} {code}: {}", finding.evidence);
        for (label, text) in [("fixed", fixed), ("next", finding.next.as_deref())] {
            if let Some(text) = text {
                let label = output.paint(Paint::Faint, format!("{label}:"));
                human.push_str(&format!("\n{:<8} {label} {text}", ""));
            }
        }
    }
    output.fact(
        human,
        &json!({
            "event": "check",
            "code": check.code,
            "status": finding.status.as_str(),
            "subject": check.subject,
            "evidence": finding.evidence,
            "next": finding.next,
            "fixed": fixed,
        }),
    )
}

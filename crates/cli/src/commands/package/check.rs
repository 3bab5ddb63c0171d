//! `consign package check`

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use anyhow::Context as _;
use package::specification::{Code, Diagnostic, FILE_NAME, SPECIFICATION_BYTES_MAX, Source};
use package::{Action, Package, Placing, Specification, Step};
use serde_json::json;

use super::limits;
use super::sources::{Held, look, look_at_script};
use crate::args::CheckArgs;
use crate::commands::Session;
use crate::exit::{Ended, Usage};
use crate::output::{self, bytes, counted};

pub(super) fn run(session: &Session, args: &CheckArgs) -> anyhow::Result<Ended> {
    let mut path = session.path(&args.file);
    if path.is_dir() {
        path.push(FILE_NAME);
    }
    let text = read(&path).with_context(|| {
        format!("cannot read {}; `consign package init` writes a new one", path.display())
    })?;
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let checked =
        Specification::parse(&text).and_then(|read| look_at_sources(read, &folder, &text));
    match checked {
        Ok((specification, held)) => show(session, &specification, &held),
        Err(found) => {
            for one in &found {
                tell(session, &path, &text, one)?;
            }
            let shown = output::path(path.as_os_str().as_encoded_bytes());
            let count = found.len();
            let mistakes = if count == 1 { "mistake" } else { "mistakes" };
            Err(Usage(format!("{shown} has {count} {mistakes}")).into())
        }
    }
}

/// Reads a specification, and no more of it than there may be and a byte.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(SPECIFICATION_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// What each step packs; the interpreters of scripts in files are decided.
fn look_at_sources(
    mut specification: Specification,
    folder: &Path,
    text: &str,
) -> Result<(Specification, Vec<Held>), Vec<Diagnostic>> {
    let mut found = Vec::new();
    let mut held = vec![Held::default(); specification.package.steps.len()];
    let undecided: Vec<usize> = specification.undecided().map(|(step, _)| step).collect();
    for content in specification.contents.clone() {
        let step = content.at.rsplit_once('/').and_then(|(_, number)| number.parse().ok());
        let step: usize = step.unwrap_or_default();
        let looked = match &content.from {
            Source::Text(text) => Ok((Held::file(text.len() as u64), Vec::new())),
            Source::Path(path) if content.at.starts_with("scripts/") => {
                look_at_script(&folder.join(path))
            }
            Source::Path(path) => look(&folder.join(path)).map(|held| (held, Vec::new())),
        };
        match looked {
            Ok((one, start)) => {
                held[step] = one;
                if undecided.contains(&step) {
                    specification.decide(step, &start);
                }
            }
            Err(unusable) => {
                let path = output::path(unusable.path.as_os_str().as_encoded_bytes());
                let message = format!("{path} cannot be packed: {}", unusable.why);
                let help = "paths are relative to the specification's directory";
                let place = content.place.clone();
                found.push(Diagnostic::new(text, Code::Source, place, message, Some(help.into())));
            }
        }
    }
    if found.is_empty() { Ok((specification, held)) } else { Err(found) }
}

fn tell(session: &Session, path: &Path, text: &str, one: &Diagnostic) -> anyhow::Result<()> {
    let shown = output::path(path.as_os_str().as_encoded_bytes());
    session.output.warn(
        one.render(&shown, text),
        &json!({
            "event": "problem",
            "code": one.code.as_str(),
            "path": path.display().to_string(),
            "line": one.line,
            "column": one.column,
            "length": one.length,
            "message": one.message,
            "help": one.help,
        }),
    )
}

fn show(session: &Session, specification: &Specification, held: &[Held]) -> anyhow::Result<Ended> {
    let package = &specification.package;
    for (index, (step, held)) in package.steps.iter().zip(held).enumerate() {
        let place = index + 1;
        session.output.fact(
            format!("{place:>4}  {}: {}", step.name, described(package, step, *held)),
            &json!({
                "event": "step",
                "number": place,
                "name": step.name,
                "does": match &step.action {
                    Action::Files(_) => "files",
                    Action::Script(script) if script.file.is_some() => "script",
                    Action::Script(_) => "command",
                },
                "files": held.files,
                "bytes_total": held.bytes,
                "limits": match &step.action {
                    Action::Files(_) => None,
                    Action::Script(script) => limits::value(&script.limits),
                },
                "writes": match &step.action {
                    Action::Files(_) => None,
                    Action::Script(script) => script.places(package.targets()),
                },
            }),
        )?;
    }
    let files = held.iter().map(|held| held.files).sum();
    let total = held.iter().fold(0u64, |sum, held| sum.saturating_add(held.bytes));
    session.output.fact(
        format!(
            "{} {} is sound: {}, {}, {}",
            package.name,
            package.version,
            counted(package.steps.len() as u64, "step"),
            counted(files, "file"),
            bytes(total)
        ),
        &json!({
            "event": "done",
            "name": package.name,
            "version": package.version,
            "steps": package.steps.len(),
            "files": files,
            "bytes_total": total,
        }),
    )?;
    Ok(Ended::Done)
}

fn described(package: &Package, step: &Step, held: Held) -> String {
    match &step.action {
        Action::Files(files) => {
            let how = match files.placing {
                Placing::Replace | Placing::Merge if held.is_one_file => "put at",
                Placing::Replace => "replace",
                Placing::Merge => "merge into",
            };
            let count = counted(held.files, "file");
            format!("{how} {} ({count}, {})", files.target, bytes(held.bytes))
        }
        Action::Script(script) => {
            let given = script.interpreter.join(" ");
            let given: String = given.chars().take(60).collect();
            let given = output::path(given.as_bytes());
            let limits = limits::text(&script.limits);
            let places = writes(script.places(package.targets()).as_deref());
            match &script.file {
                Some(_) => format!("script for {given} ({}){limits}, {places}", bytes(held.bytes)),
                None => format!("run {given}{limits}, {places}"),
            }
        }
    }
}

/// Where a script may change files; nobody reads a longer list.
fn writes(places: Option<&[&str]>) -> String {
    const SHOWN_MAX: usize = 3;
    let Some(places) = places else { return "writes anywhere".to_owned() };
    let shown: Vec<_> =
        places.iter().take(SHOWN_MAX).map(|place| output::path(place.as_bytes())).collect();
    match places.len() {
        0 => "writes nowhere".to_owned(),
        count if count > SHOWN_MAX => {
            format!("writes beneath {} and {} more places", shown.join(", "), count - SHOWN_MAX)
        }
        _ => format!("writes beneath {}", shown.join(", ")),
    }
}

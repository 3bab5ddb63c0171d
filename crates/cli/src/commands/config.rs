//! `consign config show` and `consign config check`

use clap::{ArgMatches, Command};
use serde_json::json;

use crate::args::ConfigCommand;
use crate::config::show::effective;
use crate::config::{Layers, user_file};
use crate::exit::Ended;
use crate::output::Output;

/// Runs without a node and without a valid configuration.
pub(crate) fn run(
    output: Output,
    what: &ConfigCommand,
    command: &Command,
    matches: &ArgMatches,
    layers: &Layers,
) -> anyhow::Result<Ended> {
    for problem in &layers.problems {
        output.warn(
            problem.to_string(),
            &json!({
                "event": "problem",
                "path": problem.path.display().to_string(),
                "line": problem.place.map(|(line, _)| line),
                "column": problem.place.map(|(_, column)| column),
                "message": problem.what,
            }),
        )?;
    }
    match what {
        ConfigCommand::Show(args) => show(output, args.origin, command, matches, layers)?,
        ConfigCommand::Check => check(output, layers)?,
    }
    Ok(if layers.problems.is_empty() { Ended::Done } else { Ended::Failed })
}

fn show(
    output: Output,
    with_origin: bool,
    command: &Command,
    matches: &ArgMatches,
    layers: &Layers,
) -> anyhow::Result<()> {
    let mut section = None;
    for one in effective(command, matches, layers) {
        let mut human = String::new();
        if section.as_ref() != Some(&one.section) {
            let gap = if section.is_some() { "\n" } else { "" };
            human = format!("{gap}[{}]\n", one.section);
            section = Some(one.section.clone());
        }
        human.push_str(&format!("{} = {}", one.key, one.value));
        if with_origin {
            human.push_str(&format!("  # {}", one.origin));
        }
        output.fact(
            human,
            &json!({
                "event": "setting",
                "section": one.section,
                "key": one.key,
                "value": one.value,
                "origin": one.origin.to_string(),
            }),
        )?;
    }
    Ok(())
}

fn check(output: Output, layers: &Layers) -> anyhow::Result<()> {
    let files: Vec<String> = layers.files.iter().map(|path| path.display().to_string()).collect();
    let human = match (files.is_empty(), user_file()) {
        (false, _) => format!("{} files: {}", files.len(), files.join(", ")),
        (true, Some(path)) => format!("no configuration file; {} would be read", path.display()),
        (true, None) => "no configuration file".into(),
    };
    output.fact(human, &json!({"event": "done", "files": files, "problems": layers.problems.len()}))
}

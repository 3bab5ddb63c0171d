//! Every command has help with an example, a manual page, and a place in the completions.

use clap::{Command, CommandFactory as _};

use super::Args;

/// Every command and the commands below it, with its words.
fn commands() -> Vec<(String, Command)> {
    let mut root = Args::command().term_width(100).disable_help_subcommand(true);
    root.build();
    let (mut all, mut rest) = (Vec::new(), vec![("consign".to_owned(), root)]);
    while let Some((name, command)) = rest.pop() {
        let below = command.get_subcommands();
        rest.extend(below.map(|sub| (format!("{name} {}", sub.get_name()), sub.clone())));
        all.push((name, command));
    }
    all.sort_by(|left, right| left.0.cmp(&right.0));
    all
}

#[test]
fn every_command_is_well_formed_and_has_an_example() {
    Args::command().debug_assert();
    let all = commands();
    let help = |name: &str| {
        let found = all.iter().find(|(known, _)| known == name);
        let help = found.and_then(|(_, command)| command.get_after_help()).map(ToString::to_string);
        help.unwrap_or_default()
    };
    for (name, _) in &all {
        // A command below another may have its example there.
        let parent = name.rsplit_once(' ').map_or("", |(parent, _)| parent);
        let own = help(name);
        let told = own.contains("Example:") && own.contains(name.as_str())
            || parent.contains(' ') && help(parent).contains(name.as_str());
        assert!(told, "{name} has no example of itself");
    }
}

#[test]
fn help_is_as_it_was_looked_at() {
    let mut told = String::new();
    for (name, mut command) in commands() {
        told.push_str(&format!("=== {name} --help\n{}\n", command.render_long_help()));
    }
    insta::assert_snapshot!(told);
}

#[test]
fn every_command_has_a_manual_page_and_completions() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let output = crate::output::Output::new(false, true);
    crate::commands::completions::man(output, directory.path(), Args::command()).expect("written");
    let mut scripts = Vec::new();
    clap_complete::generate(
        clap_complete::Shell::Bash,
        &mut Args::command(),
        "consign",
        &mut scripts,
    );
    let script = String::from_utf8(scripts).expect("UTF-8");
    let hidden = ["consign man", "consign run-hook", "consign run-script"];
    let visible = |name: &str| !hidden.contains(&name);
    for (name, command) in commands().iter().filter(|(name, _)| visible(name)) {
        let page = directory.path().join(format!("{}.1", name.replace(' ', "-")));
        let text = std::fs::read_to_string(&page)
            .unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let first = about.split([' ', '-']).next().unwrap_or_default();
        let has_example = text.contains("Example:") || name.matches(' ').count() > 1;
        assert!(text.contains(first) && has_example, "{name}");
        let last = name.rsplit(' ').next().unwrap_or_default();
        assert!(script.contains(last), "{name} is not in the completions");
    }
}

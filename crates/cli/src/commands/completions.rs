//! `consign completions` and `consign man`: made from the same definitions as `--help`.

use std::path::Path;

use anyhow::Context as _;
use clap::Command;
use clap_complete::Shell;
use serde_json::json;

use crate::exit::Ended;
use crate::output::Output;

/// Prints a completion script.
pub(crate) fn completions(shell: Shell, mut command: Command) -> anyhow::Result<Ended> {
    // Into memory first: the generator panics where a closed pipe is nothing of note.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "consign", &mut script);
    std::io::Write::write_all(&mut std::io::stdout(), &script)?;
    Ok(Ended::Done)
}

/// Writes a page for `consign` and one for each command.
pub(crate) fn man(output: Output, to: &Path, command: Command) -> anyhow::Result<Ended> {
    std::fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = 0;
    write(&command, "consign", to, &mut pages)?;
    output.fact(
        format!("{pages} pages in {}", to.display()),
        &json!({"event": "done", "pages": pages}),
    )?;
    Ok(Ended::Done)
}

fn write(command: &Command, name: &str, to: &Path, pages: &mut u32) -> anyhow::Result<()> {
    let path = to.join(format!("{name}.1"));
    let mut page = Vec::new();
    let titled = command.clone().name(name.to_owned()).display_name(name.to_owned());
    clap_mangen::Man::new(titled).date("").render(&mut page)?;
    std::fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    *pages += 1;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        write(sub, &format!("{name}-{}", sub.get_name()), to, pages)?;
    }
    Ok(())
}

//! `cargo xtask models`: many random histories of store and fetch against their reference models.
//!
//! The ordinary tests try a few hundred. What fails is made smaller and kept by `proptest` in a
//! file beside the model, which every later run tries first.

use anyhow::{Result, ensure};

use xtask::shell;

/// The setting that the models read.
const CASES: &str = "CONSIGN_MODEL_CASES";
const CASES_USUAL: u32 = 10_000;

/// Packages, the options that choose a target of them, and the test that is the model.
const MODELS: [(&str, &[&str], &str); 4] = [
    ("store", &["--lib"], "it_behaves_as_a_map_of_chunks"),
    (
        "fetch-plan",
        &["--lib"],
        "every_piece_is_in_one_state_and_an_honest_source_completes_the_plan",
    ),
    ("testkit", &["--test", "model"], "what_is_fetched_is_what_was_wanted"),
    ("checkout", &["--lib"], "random_versions_over_random_edits_always_end_as_the_tree"),
];

/// Runs every model with 10,000 histories, or as many as are asked for.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let cases = match arguments {
        [] => CASES_USUAL,
        [option, cases] if option == "--cases" => cases.parse()?,
        _ => anyhow::bail!("usage: cargo xtask models [--cases N]"),
    };
    ensure!(cases > 0, "no histories show nothing");
    for (package, target, test) in MODELS {
        let mut command = shell::cargo(&["test", "--locked", "--package", package]);
        command.args(target).args(["--", test]).env(CASES, cases.to_string());
        shell::run(&mut command)?;
    }
    Ok(())
}

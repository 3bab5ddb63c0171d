//! `cargo xtask fuzz`: libFuzzer on every decoder, on the stable toolchain.
//!
//! The program is in `fuzz/`, with a workspace and a lock file of its own. Its flags are those of
//! `cargo fuzz` without a sanitizer: the compiler's own pass counts the edges of the code and
//! shows the fuzzer what is compared with what. The sources are safe Rust, so what a sanitizer
//! would find is not what is looked for; panics, hangs, memory and broken promises are.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use xtask::packages::{self, Need};
use xtask::shell;

/// What makes the compiler note where an input leads. Each one is a stable flag.
const FLAGS: [&str; 6] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Most memory of the whole process; how much of it the code under test may have says `fuzz/`.
const RSS_MIB_MAX: u64 = 1024;
/// An input that takes longer hangs. The slowest takes milliseconds, on a busy machine tens.
const INPUT_S_MAX: u64 = 20;

/// What was asked for.
#[derive(Debug, PartialEq)]
struct Options {
    targets: Vec<String>,
    /// Seconds for each target.
    seconds: Option<f64>,
    /// Seconds for all of them together.
    seconds_total: Option<f64>,
    /// One input, tried once.
    input: Option<PathBuf>,
    /// The corpus in the repository is made anew of what was found.
    keep: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            targets: Vec::new(),
            seconds: None,
            seconds_total: None,
            input: None,
            keep: false,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value =
                || arguments.next().with_context(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--minutes" => options.seconds = Some(minutes(value()?)?),
                "--total-minutes" => options.seconds_total = Some(minutes(value()?)?),
                "--input" => options.input = Some(PathBuf::from(value()?)),
                "--keep" => options.keep = true,
                option if option.starts_with('-') => bail!("no option {option}"),
                target => options.targets.push(target.to_owned()),
            }
        }
        let one = options.targets.len() == 1;
        ensure!(options.input.is_none() || one, "--input needs the one target it is for");
        Ok(options)
    }

    /// Whole seconds for each of `targets`: a minute, unless something else was asked for.
    fn seconds_each(&self, targets: usize) -> u64 {
        let share = self.seconds_total.map(|total| total / targets.max(1) as f64);
        let each = match (self.seconds, share) {
            (Some(each), Some(share)) => each.min(share),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => 60.0,
        };
        // Without a limit libFuzzer never ends.
        (each as u64).max(1)
    }
}

fn minutes(text: &str) -> Result<f64> {
    let minutes: f64 = text.parse().with_context(|| format!("{text:?} is no number"))?;
    ensure!(minutes.is_finite() && minutes > 0.0, "{text} minutes are no time");
    Ok(minutes * 60.0)
}

/// Builds the fuzzer and lets it work on one target after the other; the first finding ends it.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let options = Options::parse(arguments)?;
    let work = shell::target().join("fuzz");
    let inputs = work.join("inputs");
    let corpus = corpus()?;
    let known = shell::output(Command::new(&corpus).arg("unpack").arg(&inputs))?;
    let known: Vec<&str> = known.lines().collect();
    if let Some(wrong) = options.targets.iter().find(|target| !known.contains(&target.as_str())) {
        bail!("no target {wrong}; there are: {}", known.join(" "));
    }
    packages::install(&[Need { program: "c++", package: "g++" }])?;
    let program = build(&work)?;
    if let (Some(input), [target]) = (&options.input, options.targets.as_slice()) {
        return shell::run(fuzzer(&program, target, &work).arg(input));
    }
    let all: Vec<String> = known.iter().map(|&target| target.to_owned()).collect();
    let targets = if options.targets.is_empty() { &all } else { &options.targets };
    let seconds = options.seconds_each(targets.len());
    eprintln!("xtask: {} targets, {seconds} s each", targets.len());
    for target in targets {
        explore(&program, target, &work, &inputs.join(target), seconds)?;
        if options.keep {
            keep(&program, &corpus, target, &work)?;
        }
    }
    Ok(())
}

/// Builds the program that knows the targets and what is kept for them.
fn corpus() -> Result<PathBuf> {
    // With the features of the whole workspace, as the tests are built: nothing is built twice.
    shell::run(&mut shell::cargo(&[
        "build",
        "--quiet",
        "--locked",
        "--workspace",
        "--example",
        "corpus",
    ]))?;
    Ok(shell::target().join("debug/examples/corpus"))
}

fn build(work: &Path) -> Result<PathBuf> {
    let compiler = shell::output(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let host = compiler.trim();
    let mut build = shell::cargo(&["build", "--release", "--locked", "--quiet"]);
    build.arg("--manifest-path").arg(shell::root().join("fuzz/Cargo.toml"));
    // With a target named, programs that run while building are built without the flags.
    build.args(["--target", host, "--target-dir"]).arg(work);
    build.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
    eprintln!("xtask: building the fuzzer");
    shell::run(&mut build)?;
    Ok(work.join(host).join("release/fuzz"))
}

/// The fuzzer with everything that bounds it.
fn fuzzer(program: &Path, target: &str, work: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("CONSIGN_FUZZ_TARGET", target).env("RUST_BACKTRACE", "1");
    command.arg(format!("-rss_limit_mb={RSS_MIB_MAX}"));
    command.arg(format!("-timeout={INPUT_S_MAX}"));
    command.arg(format!("-artifact_prefix={}/found/{target}-", work.display()));
    command
}

/// Lets the fuzzer work for so long; says what it saw in one line, or all of it with a finding.
fn explore(program: &Path, target: &str, work: &Path, inputs: &Path, seconds: u64) -> Result<()> {
    std::fs::create_dir_all(work.join("found"))?;
    let path = work.join("found").join(format!("{target}.log"));
    let log = File::create(&path).with_context(|| path.display().to_string())?;
    let mut command = fuzzer(program, target, work);
    command.arg(format!("-max_total_time={seconds}")).arg("-print_final_stats=1").arg(inputs);
    command.stdout(log.try_clone()?).stderr(log);
    let status = command.status().with_context(|| format!("cannot start {}", program.display()))?;
    let said = std::fs::read(&path)?;
    let said = String::from_utf8_lossy(&said);
    if status.success() {
        eprintln!("xtask: {target}: {}", summary(&said));
        return Ok(());
    }
    let input = written(&said);
    // The clock of the fuzzer goes on while the machine stands still. What hangs does so every time.
    if let Some(input) = input.filter(|input| input.contains("-timeout-"))
        && shell::run(fuzzer(program, target, work).arg(input)).is_ok()
    {
        eprintln!("xtask: {target}: {input} took long once, and no time when it was tried again");
        return Ok(());
    }
    let lines: Vec<&str> = said.lines().collect();
    let last = &lines[lines.len().saturating_sub(60)..];
    eprintln!("{}", last.join("\n"));
    let input = input.unwrap_or("FILE");
    bail!(
        "{target}: a finding. It happens again with `cargo xtask fuzz {target} --input {input}`; \
         once mended, a line in crates/fuzz-targets/findings/{target}.hex keeps it so"
    );
}

/// The input of a finding.
fn written(said: &str) -> Option<&str> {
    let found = said.lines().find_map(|line| line.split_once("Test unit written to "));
    found.map(|(_, input)| input.trim())
}

/// How many inputs were tried, and what they reached.
fn summary(said: &str) -> String {
    let number = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let tried = number("stat::number_of_executed_units:").unwrap_or("?");
    let last = said.lines().rfind(|line| line.contains(" cov: ")).unwrap_or_default();
    let reached = last.split("cov: ").nth(1).and_then(|rest| rest.split(' ').next());
    format!("{tried} inputs, {} edges", reached.unwrap_or("?"))
}

/// Reduces what was found to what reaches all the places it reaches, and keeps that.
fn keep(program: &Path, corpus: &Path, target: &str, work: &Path) -> Result<()> {
    let least = work.join("least");
    if least.exists() {
        std::fs::remove_dir_all(&least)?;
    }
    std::fs::create_dir_all(&least)?;
    let mut merge = fuzzer(program, target, work);
    merge.arg("-merge=1").args([&least, &work.join("inputs").join(target)]);
    shell::output(&mut merge)?;
    shell::run(Command::new(corpus).args(["keep", target]).arg(&least))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &str) -> Result<Options> {
        Options::parse(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn time_is_shared_and_never_without_a_limit() {
        let each = |words| parsed(words).expect("understood").seconds_each(40);
        assert_eq!(each("--minutes 3"), 180);
        assert_eq!(each("--total-minutes 20"), 30);
        assert_eq!(each("--minutes 3 --total-minutes 20"), 30);
        assert_eq!(each("--total-minutes 0.1"), 1);
        assert_eq!(each(""), 60);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert_eq!(parsed("node --keep").expect("understood").targets, ["node"]);
        for wrong in ["--minutes", "--minutes -1", "--minutes inf", "--input x", "--fast"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_finding_names_its_input() {
        let said = "ALARM: working on the last Unit for 25 seconds\nartifact_prefix='found/'; \
                    Test unit written to found/head-timeout-0a1b\nBase64: AA==\n";
        assert_eq!(written(said), Some("found/head-timeout-0a1b"));
        assert_eq!(written("DONE\n"), None);
    }

    #[test]
    fn the_summary_is_of_the_last_line() {
        let said =
            "#2 INITED cov: 7 ft: 8\n#9 DONE   cov: 12 ft: 15\nstat::number_of_executed_units: 9\n";
        assert_eq!(summary(said), "9 inputs, 12 edges");
    }
}

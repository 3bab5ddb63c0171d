//! `cargo xtask screenshots`: pictures of the terminal for the README.
//!
//! Runs the real program in a terminal of its own and draws what is on the screen when it ends
//! (`svg`). Nothing is retouched: to have other pictures, change the program.

mod svg;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use xtask::shell;

const COLUMNS: NonZeroU16 = NonZeroU16::new(112).expect("not zero");
const ROWS: NonZeroU16 = NonZeroU16::new(60).expect("not zero");

/// A picture: its file, what is typed, and the words of the command.
struct Shot {
    file: &'static str,
    typed: &'static str,
    words: &'static [&'static str],
    /// The exit codes it may end with.
    codes: &'static [i32],
}

const SHOTS: &[Shot] = &[
    Shot { file: "demo.svg", typed: "consign demo", words: &["demo"], codes: &[0] },
    Shot {
        file: "doctor.svg",
        typed: "consign doctor --hub http://127.0.0.1:9",
        words: &["doctor", "--hub", "http://127.0.0.1:9"],
        codes: &[1],
    },
];

/// Draws every picture into `docs/images`; `arguments` may name the program to run.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let program = match arguments {
        [] => {
            shell::run(&mut shell::cargo(&["build", "--release", "--package", "cli"]))?;
            shell::target().join("release/consign")
        }
        [option, file] if option == "--program" => PathBuf::from(file),
        _ => bail!("usage: cargo xtask screenshots [--program FILE]"),
    };
    let images = shell::root().join("docs/images");
    std::fs::create_dir_all(&images)?;
    for shot in SHOTS {
        eprintln!("xtask: {}", shot.file);
        let screen = run_in_terminal(&program, shot)?;
        let path = images.join(shot.file);
        std::fs::write(&path, svg::draw(&screen, shot.typed))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Types the command, runs it, and returns the terminal as it is at the end.
fn run_in_terminal(program: &Path, shot: &Shot) -> Result<vt100::Parser> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let size = Winsize { ws_row: ROWS.get(), ws_col: COLUMNS.get(), ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&master, size)?;
    let name = ptsname(&master, Vec::new())?;
    let open = || File::options().read(true).write(true).open(name.to_str().unwrap_or_default());
    let mut slave = open()?;
    writeln!(slave, "\x1b[32;1m$\x1b[0m \x1b[1m{}\x1b[0m", shot.typed)?;

    let home = std::env::temp_dir().join(format!("consign-picture-{}", std::process::id()));
    std::fs::create_dir_all(home.join(".local/state"))?;
    let mut command = Command::new(program);
    command
        .args(shot.words)
        .env_remove("NO_COLOR")
        .env("TERM", "xterm-256color")
        .env("HOME", &home)
        .env("LANG", "C.UTF-8")
        .current_dir(&home)
        .stdin(Stdio::null())
        .stdout(open()?)
        .stderr(open()?);
    for name in
        ["CONSIGN_STATE", "CONSIGN_HUB", "CONSIGN_CONFIG", "XDG_STATE_HOME", "XDG_CONFIG_HOME"]
    {
        command.env_remove(name);
    }
    // The toolchain that `demo` publishes is found by the real home directory.
    if let Some(real) = std::env::var_os("HOME") {
        for (name, below) in [("RUSTUP_HOME", ".rustup"), ("CARGO_HOME", ".cargo")] {
            if std::env::var_os(name).is_none() {
                command.env(name, Path::new(&real).join(below));
            }
        }
    }
    let mut child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
    // The command must hold the last open end, or reading would never end.
    drop((command, slave));
    let mut parser = vt100::Parser::new(ROWS, COLUMNS, 0);
    let (mut master, mut buffer) = (File::from(master), [0; 4096]);
    // A terminal whose other end is closed fails to be read: that is the end.
    while let Ok(count) = master.read(&mut buffer) {
        if count == 0 {
            break;
        }
        parser.process(&buffer[..count]);
    }
    let status = child.wait()?;
    std::fs::remove_dir_all(&home)?;
    if !status.code().is_some_and(|code| shot.codes.contains(&code)) {
        bail!(
            "consign {} ended with {status}:\n{}",
            shot.words.join(" "),
            parser.screen().contents()
        );
    }
    Ok(parser)
}

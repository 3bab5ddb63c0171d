//! The Debian package: made, looked at, installed and removed, in a directory of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::parts;

use crate::process::{root, told};

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", told(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The package of the program that is tested, made as `cargo xtask package` makes it.
fn package(to: &Path) -> Option<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let built = target.join("tools/bin/cargo-deb");
    if !built.is_file() && parts::find("cargo-deb").is_none() {
        parts::skip("cargo-deb", "not installed; `cargo xtask test` installs it");
        return None;
    }
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--package", "xtask", "--", "package", "--to"]).arg(to);
    run(command.args(["--program", env!("CARGO_BIN_EXE_consign")]).current_dir(root()));
    let mut made = fs::read_dir(to).expect("lists").map(|entry| entry.expect("an entry").path());
    made.find(|path| path.extension().is_some_and(|it| it == "deb"))
}

#[test]
fn the_package_is_installed_and_removed_in_a_root_of_its_own() {
    for program in ["dpkg", "lintian"] {
        if parts::require(program).is_none() {
            return;
        }
    }
    let directory = tempfile::tempdir().expect("a directory");
    let Some(package) = package(directory.path()) else { return };
    // Errors only: the changelog of a native package and the like are matters of an archive.
    let mut lintian = Command::new("lintian");
    lintian.args(["--fail-on", "error", "--allow-root", "--suppress-tags"]);
    lintian.arg("no-changelog,bogus-mail-host,unstripped-binary-or-object,embedded-library");
    run(lintian.arg(&package));

    // A root with nothing in it but dpkg's own records; scripts run with DPKG_ROOT set.
    let system = directory.path().join("root");
    fs::create_dir_all(system.join("var/lib/dpkg/info")).expect("a directory");
    fs::create_dir_all(system.join("var/lib/dpkg/updates")).expect("a directory");
    for file in ["status", "available"] {
        fs::write(system.join("var/lib/dpkg").join(file), "").expect("writes");
    }
    let dpkg = |arguments: &[&str]| {
        let mut command = Command::new("dpkg");
        command.arg(format!("--root={}", system.display()));
        command.args(["--force-not-root", "--force-script-chrootless", "--force-depends"]);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        run(command.arg("--log=/dev/null").args(arguments))
    };
    dpkg(&["--install", package.to_str().expect("UTF-8")]);
    let installed = [
        "usr/bin/consign",
        "usr/share/man/man1/consign.1.gz",
        "usr/share/bash-completion/completions/consign",
        "usr/lib/systemd/system/consign-hub.service",
        "usr/lib/systemd/system/consign-node.service",
        "usr/lib/systemd/user/consign-node.service",
        "etc/consign/config.toml",
    ];
    for file in installed {
        assert!(system.join(file).is_file(), "{file} is installed");
    }
    run(Command::new(system.join("usr/bin/consign")).arg("--version"));
    // The configuration it brings is understood, and is what the unit runs.
    let check = ["--config", "etc/consign/config.toml", "config", "check"];
    run(Command::new(system.join("usr/bin/consign")).args(check).current_dir(&system));

    // What an operator changed, and what people published, stays when the package goes.
    let configuration = system.join("etc/consign/config.toml");
    fs::write(&configuration, "[hub]\ndata = \"/srv\"\n").expect("writes");
    let published = system.join("var/lib/consign/hub.key");
    fs::create_dir_all(published.parent().expect("a directory")).expect("a directory");
    fs::write(&published, "key").expect("writes");
    dpkg(&["--remove", "consign"]);
    assert!(!system.join("usr/bin/consign").exists(), "the program is gone");
    assert!(configuration.is_file(), "the configuration is kept");
    dpkg(&["--purge", "consign"]);
    assert!(!configuration.exists(), "purging takes the configuration");
    assert!(published.is_file(), "nothing takes what people published");
}

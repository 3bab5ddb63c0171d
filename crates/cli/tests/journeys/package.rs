//! Specifications of packages: from a template to one that is sound, and what is said of one that is not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::documented::Documented;
use crate::process::{consign, lines, told};

const FILE: &str = "consign-package.toml";

#[test]
fn every_template_is_sound_as_it_is_written() {
    let world = Documented::new();
    for template in ["files", "application", "patch", "script"] {
        let directory = world.text(template);
        world.tells("me", &["package", "init", "--template", template, &directory], &["wrote"]);
        let done = world.tells("me", &["package", "check", &directory], &["step", "done"]);
        assert!(done["files"].as_u64() >= Some(1) && done["steps"].as_u64() >= Some(1), "{done}");
        let before = fs::read_to_string(world.path(template).join(FILE)).expect("written");
        let again = world.run("me", &["package", "init", &directory]);
        assert_eq!(again.status.code(), Some(1), "{}", told(&again));
        assert_eq!(fs::read_to_string(world.path(template).join(FILE)).expect("there"), before);
    }
    assert!(!world.path("patch/files").exists(), "a refused template leaves nothing behind");
    let script = fs::metadata(world.path("script/setup.sh")).expect("written");
    assert_eq!(script.permissions().mode() & 0o111, 0o111, "a script can be tried");
}

#[test]
fn what_is_built_is_the_same_each_time_and_is_carried_out_from_elsewhere() {
    let world = Documented::new();
    let (directory, built) = (world.text("hello"), world.text("built"));
    world.tells("me", &["package", "init", "--template", "application", &directory], &["wrote"]);
    let done = world.tells("me", &["package", "check", &directory], &["step", "done"]);
    let told_of = world.tells("me", &["package", "build", &directory, "--to", &built], &["built"]);
    assert!(told_of["files"].as_u64() > done["files"].as_u64(), "with its instructions");
    let again = world.run("me", &["package", "build", &directory, "--to", &built]);
    assert_eq!(again.status.code(), Some(2), "nothing is overwritten: {}", told(&again));
    let of_built = world.run("me", &["package", "build", &built, "--to", &world.text("other")]);
    assert_eq!(of_built.status.code(), Some(2), "{}", told(&of_built));
    let second = world.text("second");
    world.tells("me", &["package", "build", &directory, "--to", &second], &["built"]);
    crate::files::assert_same(&world.path("built"), &world.path("second"));
    // It needs nothing of what it was built of.
    fs::remove_dir_all(&directory).expect("removed");
    let plan = world.run("me", &["package", "apply", &built, "--dry-run"]);
    assert_eq!(plan.status.code(), Some(0), "{}", told(&plan));
    // What cannot be built leaves nothing behind.
    let broken = world.text("broken");
    world.tells("me", &["package", "init", &broken], &["wrote"]);
    fs::remove_dir_all(world.path("broken").join("files")).expect("removed");
    let third = world.run("me", &["package", "build", &broken, "--to", &world.text("third")]);
    assert_eq!(third.status.code(), Some(4), "{}", told(&third));
    let left: Vec<_> = fs::read_dir(world.path("")).expect("listed").flatten().collect();
    let is_left =
        |name: &str| left.iter().any(|one| one.file_name().to_string_lossy().contains(name));
    assert!(!is_left("third"), "{left:?}");
}

#[test]
fn a_broken_specification_is_shown_with_line_and_column() {
    let world = Documented::new();
    let directory = world.text("hello");
    world.tells("me", &["package", "init", &directory], &["wrote"]);
    let file = world.path("hello").join(FILE);
    let sound = fs::read_to_string(&file).expect("written");
    let broken = sound.replace("target =", "tarlget =").replace("\"roll-back\"", "\"rollback\"");
    fs::write(&file, broken).expect("written");

    let last = world.tells("me", &["package", "check", &directory], &["problem", "error"]);
    assert_eq!(last["exit_code"], 2);
    let output = world.run("me", &["package", "check", &directory]);
    let problems: Vec<_> =
        lines(&output).into_iter().filter(|line| line["event"] == "problem").collect();
    let codes: Vec<_> =
        problems.iter().map(|line| line["code"].as_str().expect("a text")).collect();
    assert_eq!(codes, ["missing-key", "unknown-key", "wrong-value"]);
    let line = sound.lines().position(|line| line.starts_with("target")).expect("there") + 1;
    assert_eq!(
        (problems[1]["line"].as_u64(), problems[1]["column"].as_u64()),
        (Some(line as u64), Some(1))
    );

    // People get the line itself, with what to write instead.
    let plain = consign()
        .current_dir(world.path("hello"))
        .args(["package", "check"])
        .output()
        .expect("runs");
    assert_eq!(plain.status.code(), Some(2), "{}", told(&plain));
    let text = String::from_utf8_lossy(&plain.stderr).into_owned();
    assert!(text.contains(&format!(" --> consign-package.toml:{line}:1\n")), "{text}");
    assert!(text.contains("help: did you mean `target`?"), "{text}");
    assert!(text.contains("consign-package.toml has 3 mistakes"), "{text}");
}

#[test]
fn what_a_specification_names_has_to_be_there() {
    let world = Documented::new();
    let directory = world.text("hello");
    world.tells("me", &["package", "init", "--template", "script", &directory], &["wrote"]);
    fs::remove_file(world.path("hello/setup.sh")).expect("removed");
    let checked = world.run("me", &["package", "check", &directory]);
    assert_eq!(checked.status.code(), Some(2), "{}", told(&checked));
    let problem = lines(&checked).swap_remove(0);
    assert_eq!((problem["code"].as_str(), problem["column"].as_u64()), (Some("source"), Some(15)));

    // A directory is no script, and a device is nothing to pack.
    fs::create_dir(world.path("hello/setup.sh")).expect("made");
    let checked = world.run("me", &["package", "check", &directory]);
    assert!(told(&checked).contains("it is no file"), "{}", told(&checked));
    let text = "[package]\nname = \"a\"\nversion = \"1\"\n[[step]]\nfiles = \"dev\"\ntarget = \"/opt/dev\"\n";
    fs::write(world.path("hello").join(FILE), text).expect("written");
    std::os::unix::fs::symlink("/dev/null", world.path("hello/dev")).expect("made");
    let checked = world.run("me", &["package", "check", &directory]);
    assert!(told(&checked).contains("neither a file nor a directory"), "{}", told(&checked));

    let gone = world.run("me", &["package", "check", &world.text("nowhere.toml")]);
    assert_eq!(gone.status.code(), Some(4), "{}", told(&gone));
}

/// A folder with a package whose last step ends with what is in `code`.
fn tools(world: &Documented) -> String {
    let folder = world.path("tools");
    fs::create_dir_all(folder.join("app")).expect("made");
    fs::create_dir_all(world.path("machine")).expect("made");
    fs::write(folder.join("app/file"), "new").expect("written");
    let (target, code) = (world.text("machine/app"), world.text("code"));
    let text = format!(
        r#"
[package]
name = "tools"
version = "1"

[[step]]
name = "app"
files = "app"
target = "{target}"
placing = "replace"

[[step]]
name = "elsewhere"
command = ["false"]
os = ["windows"]

[[step]]
name = "look"
script = "cat {target}/file; echo wrong >&2; exit $(cat {code})"
on-failure = "roll-back"
"#
    );
    fs::write(folder.join(FILE), text).expect("written");
    world.text("tools")
}

#[test]
fn a_package_is_applied_and_its_receipt_told() {
    let world = Documented::new();
    let folder = tools(&world);
    fs::write(world.path("code"), "3").expect("written");
    let apply = ["package", "apply", &folder, "--yes"];
    let shown = world.tells("me", &["package", "apply", &folder, "--dry-run"], &["preview"]);
    assert_eq!(shown["steps"].as_array().map(Vec::len), Some(3), "{shown}");
    assert!(!world.path("machine/app").exists(), "it was only shown");

    let failed = world.tells("me", &apply, &["carried_out", "put_back", "receipt", "error"]);
    assert_eq!(failed["exit_code"], 1);
    assert_eq!(fs::read_dir(world.path("machine")).expect("there").count(), 0, "as it was");

    fs::write(world.path("code"), "0").expect("written");
    let receipt = world.tells("me", &apply, &["carried_out", "receipt"]);
    assert_eq!(receipt["verdict"], "passed");
    let steps = receipt["steps"].as_array().expect("a list");
    let outcomes: Vec<_> = steps.iter().map(|step| step["outcome"].as_str()).collect();
    assert_eq!(outcomes, [Some("placed"), Some("not_applicable"), Some("ran")]);
    assert_eq!(steps[2]["details"]["output"]["text"], "new");
    assert_eq!(steps[2]["details"]["error"]["text"], "wrong\n");

    // People see what a script said that failed; relative paths do as well.
    fs::write(world.path("code"), "4").expect("written");
    let plain = consign()
        .current_dir(world.path("tools"))
        .args(["--state", "state", "package", "apply", ".", "--yes"])
        .output()
        .expect("runs");
    assert_eq!(plain.status.code(), Some(1), "{}", told(&plain));
    let text = String::from_utf8_lossy(&plain.stdout).into_owned();
    assert!(text.contains("ended with code 4") && text.contains("\n    wrong\n"), "{text}");
}

use std::time::Duration;

use super::*;
use crate::instructions::{FileSet, Limits, OnFailure, OnInterrupt, Owner, Placing, Script};

const EVERYTHING: &str = r##"
[package]
name = "tools"
version = "1.4.2"
description = "Tools for everybody"
requires = ["base", "runtime 3.1"]
conflicts = ["old-tools"]
os = ["linux"]
arch = ["x86_64", "aarch64"]
labels = "site=berlin & !(lab|ring=0)"

[variables]
prefix = "/opt/tools"
unit = "tools"

[[step]]
name = "binaries"
files = "build/tools"
target = "{prefix}/"
placing = "replace"
owner = "root:adm"
mode = "0755"
on-failure = "roll-back"
arch = ["x86_64"]

[[step]]
command = ["systemctl", "restart", "{unit}", "--format={{x}}"]
timeout = "10m"
expect = [3, 0, 0x03]

[[step]]
name = "greeting"
script = """
#!/usr/bin/env python3
print("{not a variable}")
"""
arguments = ["{prefix}"]
environment = { A = "b {unit}" }
directory = "{prefix}"
user = "nobody"
output-limit = "1 KiB"
on-failure = "continue"
on-interrupt = "repeat"
writes = ["{prefix}", "/var/cache/tools"]

[[step]]
script-file = "../setup.sh"
writes = []

[[step]]
files = "motd"
target = "/etc/motd"
"##;

fn script(specification: &Specification, number: usize) -> &Script {
    let Action::Script(script) = &specification.package.steps[number].action else {
        panic!("step {number} runs something")
    };
    script
}

fn files(specification: &Specification, number: usize) -> &FileSet {
    let Action::Files(files) = &specification.package.steps[number].action else {
        panic!("step {number} places files")
    };
    files
}

#[track_caller]
fn parsed(text: &str) -> Specification {
    Specification::parse(text).unwrap_or_else(|found| panic!("{}", told(text, &found)))
}

fn told(text: &str, found: &[Diagnostic]) -> String {
    let told: Vec<String> = found
        .iter()
        .map(|one| format!("[{}] {}", one.code.as_str(), one.render(FILE_NAME, text)))
        .collect();
    told.join("\n")
}

#[test]
fn every_key_is_in_the_package() {
    let read = parsed(EVERYTHING);
    let package = &read.package;
    assert_eq!((package.name.as_str(), package.version.as_str()), ("tools", "1.4.2"));
    assert_eq!(package.description, "Tools for everybody");
    assert_eq!(package.requires.len(), 2);
    assert_eq!(package.requires[1].version.as_deref(), Some("3.1"));
    assert_eq!(package.conflicts, ["old-tools"]);
    assert_eq!((package.when.os.len(), package.when.arch.len()), (1, 2));
    let labels = package.when.labels.as_ref().map(ToString::to_string);
    assert_eq!(labels.as_deref(), Some("site=berlin & !(lab | ring=0)"));
    assert_eq!(
        *files(&read, 0),
        FileSet {
            contents: "contents/0".into(),
            target: "/opt/tools".into(),
            placing: Placing::Replace,
            owner: Some(Owner { user: "root".into(), group: Some("adm".into()) }),
            mode: Some(0o755),
        }
    );
    assert_eq!(package.steps[0].on_failure, OnFailure::RollBack);
    assert_eq!(package.steps[0].when.arch, ["x86_64"]);

    let command = script(&read, 1);
    assert_eq!(command.interpreter, ["systemctl", "restart", "tools", "--format={x}"]);
    assert_eq!((command.timeout, &command.expected), (Duration::from_secs(600), &vec![0, 3]));
    assert_eq!((&command.file, command.arguments.len()), (&None, 0));
    assert!(command.environment.is_empty() && command.writes.is_none());

    let own = script(&read, 2);
    assert_eq!(own.interpreter, ["/usr/bin/env", "python3"]);
    assert_eq!(own.arguments, ["/opt/tools"]);
    let environment: Vec<_> =
        own.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let expected = ["A=b tools", "CONSIGN_VAR_PREFIX=/opt/tools", "CONSIGN_VAR_UNIT=tools"];
    assert_eq!(environment, expected);
    assert_eq!(own.directory.as_deref(), Some("/opt/tools"));
    assert_eq!(own.user, Some(Owner { user: "nobody".into(), group: None }));
    assert_eq!((own.output_bytes_max, own.on_interrupt), (1024, OnInterrupt::Repeat));
    assert_eq!(own.writes.as_ref().map(Vec::len), Some(2));

    let at: Vec<&str> = read.contents.iter().map(|content| content.at.as_str()).collect();
    assert_eq!(at, ["contents/0", "scripts/2", "scripts/3", "contents/4"]);
    assert_eq!(read.contents[0].from, Source::Path("build/tools".into()));
    let text = "#!/usr/bin/env python3\nprint(\"{not a variable}\")\n";
    assert_eq!(read.contents[1].from, Source::Text(text.into()));
    assert_eq!(read.contents[2].from, Source::Path("../setup.sh".into()));
    assert_eq!(&EVERYTHING[read.contents[2].place.clone()], "\"../setup.sh\"");
    assert_eq!(script(&read, 3).writes, Some(Vec::new()), "nowhere is not everywhere");
}

#[test]
fn limits_are_a_table_of_amounts() {
    let text = "[package]\nname = \"a\"\nversion = \"1\"\n[[step]]\ncommand = [\"a\"]\n";
    let read = parsed(&format!(
        "{text}limits = {{ memory = \"2 GiB\", processes = 64, cpu-time = \"1m 30s\" }}
        [[step]]\nscript = \"a\"\n[step.limits]\nopen-files = 0x400"
    ));
    let expected = Limits {
        memory_bytes: Some(2 << 30),
        processes: Some(64),
        processor: Some(Duration::from_secs(90)),
        open_files: None,
    };
    assert_eq!(script(&read, 0).limits, expected);
    assert_eq!(script(&read, 1).limits, Limits { open_files: Some(1024), ..Limits::default() });
    assert!(script(&parsed(text), 0).limits.is_empty());
}

#[test]
fn what_is_not_said_has_a_default() {
    let read = parsed(EVERYTHING);
    let set = files(&read, 4);
    assert_eq!((set.placing, set.mode, &set.owner), (Placing::Merge, None, &None));
    let last = script(&read, 3);
    assert_eq!(last.interpreter, ["/bin/sh"]);
    assert_eq!((last.timeout, last.output_bytes_max), (Duration::from_secs(600), 65_536));
    assert_eq!((&last.expected, last.on_interrupt), (&vec![0], OnInterrupt::Fail));
    assert_eq!((&last.user, &last.directory), (&None, &None));
    assert_eq!(read.package.steps[4].on_failure, OnFailure::Stop);
    let names: Vec<&str> = read.package.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "binaries",
            "systemctl restart tools --format={x}",
            "greeting",
            "script 3",
            "files to /etc/motd"
        ]
    );
}

#[test]
fn names_that_are_made_are_unique_and_short() {
    let step = "[[step]]\ncommand = [\"true\"]\n";
    let long = format!("[[step]]\ncommand = [\"echo\", \"{}\\n\"]\n", "ü😀".repeat(100));
    let text = format!(
        "[package]\nname = \"a\"\nversion = \"1\"\n{step}{step}[[step]]\nname = \"true\"\ncommand = [\"a\"]\n{long}{long}"
    );
    let read = parsed(&text);
    let names: Vec<&str> = read.package.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names[..3], ["true (2)", "true (3)", "true"]);
    assert!(names[3].starts_with("echo ü😀") && names[4].ends_with(" (2)"), "{names:?}");
}

#[test]
fn a_script_in_a_file_says_itself_what_it_is_given_to() {
    let mut read = parsed(EVERYTHING);
    assert_eq!(read.undecided().collect::<Vec<_>>(), [(3, "../setup.sh")]);
    read.decide(3, b"#!/bin/bash -e\n\xff\xfe");
    assert_eq!(script(&read, 3).interpreter, ["/bin/bash", "-e"]);
    read.decide(2, b"#!/bin/bash");
    assert_eq!(script(&read, 2).interpreter, ["/usr/bin/env", "python3"], "it was said already");
    let named =
        parsed("[package]\nname='a'\nversion='1'\n[[step]]\nscript-file='x'\ninterpreter=['perl']");
    assert_eq!(named.undecided().count(), 0);
}

#[test]
fn file_sets_for_different_machines_may_have_one_target() {
    let step = |more: &str| {
        format!("[[step]]\nfiles = \"a\"\ntarget = \"/opt/a\"\nplacing = \"replace\"\n{more}\n")
    };
    let head = "[package]\nname = \"a\"\nversion = \"1\"\n";
    for (one, other, is_sound) in [
        ("arch = [\"x86_64\"]", "arch = [\"aarch64\"]", true),
        ("os = [\"linux\"]", "os = [\"freebsd\", \"openbsd\"]", true),
        ("labels = \"lab\"", "labels = \"!lab\"", true),
        ("labels = \"lab\"", "labels = \"lab\"", false),
        ("arch = [\"x86_64\"]", "arch = [\"aarch64\", \"x86_64\"]", false),
        ("arch = [\"x86_64\"]", "os = [\"linux\"]", false),
    ] {
        let text = format!("{head}{}{}", step(one), step(other));
        assert_eq!(Specification::parse(&text).is_ok(), is_sound, "{one} {other}");
    }
}

/// All mistakes there are, each in a specification that has no other.
#[test]
fn every_mistake_says_where_it_is_and_what_to_write() {
    let head = "[package]\nname = \"tools\"\nversion = \"1\"\n";
    let files = "[[step]]\nfiles = \"a\"\ntarget = \"/opt/a\"\n";
    let command = "[[step]]\ncommand = [\"true\"]\n";
    let package = |line: &str| format!("{head}{line}\n{command}");
    let of_files = |line: &str| format!("{head}{files}{line}\n");
    let of_command = |line: &str| format!("{head}{command}{line}\n");
    let step = |lines: &str| format!("{head}[[step]]\n{lines}\n");
    let texts = [
        // TOML
        "[package\nname = 1".to_owned(),
        "[package]\nname = \"a\"\nname = \"b\"".to_owned(),
        format!("{head}description = \"never closed\n"),
        // The whole
        String::new(),
        "package = 1".to_owned(),
        head.to_owned(),
        format!("{head}[[steps]]\ncommand = [\"true\"]"),
        format!("{head}[step]\ncommand = [\"true\"]"),
        format!("{head}[other]\n{command}"),
        format!("step = [1]\n{head}"),
        // The package
        format!("[package]\n{command}"),
        "[package]\nname = \"My Tools\"\nversion = \"\"\n[[step]]\ncommand = [\"a\"]".to_owned(),
        "[package]\nname = 7\nversion = 1.4\n[[step]]\ncommand = [\"a\"]".to_owned(),
        package("descripton = \"x\""),
        package("requires = \"base\""),
        package("requires = [\"base\", 3]"),
        package("requires = [\"Base\", \"tools\", \"a\", \"a 2\"]"),
        package("requires = [\"old\"]\nconflicts = [\"old\", \"b 2\"]"),
        package("os = [\"Linux\", \"darwin\", \"plan9\"]"),
        package("arch = [\"amd64\", \"x86-64\", \"z80\"]"),
        package("labels = \"site=berlin && lab\""),
        package("labels = \"größe\""),
        package("labels = \"(a\""),
        package("labels = \"\""),
        package("labels = [\"a\"]"),
        // Variables
        format!(
            "{head}[variables]\nPrefix = \"a\"\nnumber = 3\nother = \"{{number}}/x\"\n{command}"
        ),
        format!("variables = []\n{head}{command}"),
        format!(
            "{head}[variables]\nprefix = \"/opt\"\n[[step]]\nfiles = \"a\"\ntarget = \"{{prefx}}/a\""
        ),
        of_command("environment = { A = \"{nothing}\", B = \"x } y\", C = \"{ a }\" }"),
        of_command("directory = \"/a\\t{x}\""),
        // What a step does
        step("name = \"nothing\""),
        step("files = \"a\"\ntarget = \"/a/b\"\nscript = \"x\"\ncommand = [\"a\"]"),
        step("comand = [\"a\"]"),
        format!("{head}{files}name = \"one\"\n{command}name = \"one\"\n"),
        of_files(&format!("name = \"{}\"", "x".repeat(129))),
        of_files("name = \"a\\nb\""),
        of_files("on-failure = \"rollback\""),
        of_files("on-failure = \"ignore\""),
        of_files("on-failure = true"),
        // Files
        step("files = \"a\""),
        step("files = [\"a\", \"b\"]\ntarget = \"/a/b\""),
        step("files = \"/srv/a\"\ntarget = \"/a/b\""),
        step("files = \"\"\ntarget = \"/a/b\""),
        step("files = \"a\"\ntarget = \"opt/a\""),
        step("files = \"a\"\ntarget = \"/opt/../etc\""),
        step("files = \"a\"\ntarget = \"/opt//a\""),
        step("files = \"a\"\ntarget = \"/etc/\"\nplacing = \"replace\""),
        step("files = \"a\"\ntarget = \"/usr/bin\"\nplacing = \"replace\""),
        of_files("placing = \"merg\""),
        of_files("mode = \"0855\""),
        of_files("mode = 0o755"),
        of_files("mode = 644"),
        of_files("owner = \"root:\""),
        of_files("owner = 0"),
        of_files("timeout = \"1m\"\ninterpreter = [\"x\"]\nuser = \"root\""),
        format!("{head}{files}placing = \"replace\"\n{files}"),
        format!(
            "{head}{files}\n[[step]]\nfiles = \"b\"\ntarget = \"/opt\"\nplacing = \"merge\"\n[[step]]\nfiles = \"b\"\ntarget = \"/opt/a/b\"\nplacing = \"replace\"\n[[step]]\nfiles = \"b\"\ntarget = \"/opt/a/b/c\""
        ),
        // Commands and scripts
        step("command = \"systemctl restart tools\""),
        step("command = []"),
        step("command = [\"\"]"),
        step("command = [\"./setup.sh\"]"),
        of_command("arguments = [\"x\"]\ninterpreter = [\"x\"]\nmode = \"755\"\nowner = \"a\""),
        step("script = \" \\n\""),
        step("script = \"x\"\ninterpreter = \"bash -e\""),
        step("script = \"x\"\ninterpreter = []\narguments = [1]"),
        step("script-file = 3"),
        of_command("timeout = \"10 parsecs\""),
        of_command("timeout = \"0s\""),
        of_command("timeout = \"8d\""),
        of_command("timeout = 600"),
        of_command("output-limit = \"2 MiB\""),
        of_command("output-limit = \"much\""),
        of_command("output-limit = 65536"),
        of_command("expect = 0"),
        of_command("expect = []"),
        of_command("expect = [0, 256, -1, \"a\"]"),
        of_command("on-interrupt = \"resume\""),
        of_command("limits = \"512 MiB\""),
        of_command(
            "limits = { memory = 512, processes = \"64\", cpu-time = 60, open-files = 1.5 }",
        ),
        of_command(
            "limits = { memory = \"much\", processes = 0, cpu-time = \"soon\", open-files = 3 }",
        ),
        of_command("limits = { memory = \"64 KiB\", processes = 9999999, cpu-time = \"10ms\" }"),
        of_command("limits = { mem = \"1 GiB\", \"open-files\" = -64, cpu = 3 }"),
        of_files("limits = { processes = 3 }"),
        of_command("writes = [\"opt\", \"/a/./b\"]"),
        of_command("directory = \"tmp\""),
        of_command("user = \"no body\""),
        of_command("environment = { \"A-B\" = \"x\", CONSIGN_STATE = \"y\", C = 3 }"),
        of_command("environment = [\"A=b\"]"),
        // Where to look at all
        format!("{head}description = \"{}\"\n{command}", "x".repeat(5000)),
        format!("{head}requires = [\"a\", {}\"B\"]\n{command}", "                    ".repeat(10)),
        "\u{feff}[package]\r\nname = \"\u{1b}[31m\"\r\n".to_owned(),
    ];
    let mut all = String::new();
    for text in &texts {
        let found = match Specification::parse(text) {
            Ok(read) => panic!("{text}\nis accepted: {read:?}"),
            Err(found) => found,
        };
        assert!(!found.is_empty(), "{text}");
        assert!(found.is_sorted_by_key(|one| (one.line, one.column)), "{text}");
        for one in &found {
            assert!(
                one.help.is_some() || matches!(one.code, Code::Syntax | Code::TooLong),
                "{one:?}"
            );
        }
        all += &told(text, &found);
        all += "----\n";
    }
    insta::assert_snapshot!(all);
}

#[test]
fn too_much_is_refused() {
    let head = "[package]\nname = \"tools\"\nversion = \"1\"\n";
    let codes = |text: &str| -> Vec<Code> {
        Specification::parse(text).expect_err("refused").iter().map(|one| one.code).collect()
    };
    assert_eq!(codes(&"#".repeat(SPECIFICATION_BYTES_MAX + 1)), [Code::TooLong]);
    let step = "[[step]]\ncommand = [\"a\"]\n";
    assert_eq!(codes(&format!("{head}{}", step.repeat(1001))), [Code::TooLong]);
    assert!(Specification::parse(&format!("{head}{}", step.repeat(1000))).is_ok());
    let list = |key: &str, items: usize| {
        format!("{head}[[step]]\nscript = \"x\"\n{key} = [{}]", "\"/a\",".repeat(items))
    };
    assert_eq!(codes(&list("arguments", 1025)), [Code::TooLong]);
    assert_eq!(codes(&list("writes", 65)), [Code::TooLong]);
    let variables: String = (0..65).map(|number| format!("v{number} = \"x\"\n")).collect();
    assert_eq!(codes(&format!("{head}[variables]\n{variables}{step}")), [Code::TooLong]);
    // A variable may not blow a text up.
    let long = "x".repeat(30_000);
    let twice =
        format!("{head}[variables]\nv = \"{long}\"\n[[step]]\ncommand = [\"a\", \"{{v}}{{v}}\"]");
    assert_eq!(codes(&twice), [Code::TooLong]);
    // Each is short enough, and all together are not.
    let all = format!(
        "{head}[variables]\nv = \"{long}\"\n[[step]]\ncommand = [\"a\", {}]",
        "\"{v}\", ".repeat(40)
    );
    assert_eq!(codes(&all), [Code::TooLong]);
}

/// As many as fit into a megabyte: what they cost grows with their number, not with its square.
#[test]
fn mistakes_without_end_are_cut_off() {
    let head = "[package]\nname = \"tools\"\nversion = \"1\"\n";
    let many = |line: &dyn Fn(usize) -> String| (0..50_000).map(line).collect::<String>();
    let keys = format!("{head}{}", many(&|number| format!("k{number}=1\n")));
    let list = format!("{head}requires = [{}]", many(&|number| format!("\"A{number}\",")));
    let variables = many(&|number| format!("v{number}=\"{{x}}\"\n"));
    let variables = format!("{head}[variables]\n{variables}");
    let environment = many(&|number| format!("A{number}=\"\"\n"));
    let environment = format!("{head}[[step]]\nscript = \"x\"\n[step.environment]\n{environment}");
    let names = many(&|_| "[[step]]\nname='a'\n".to_owned());
    for text in [keys, list, variables, environment, format!("{head}{names}")] {
        let text = &text[..text.len().min(SPECIFICATION_BYTES_MAX)];
        let found = Specification::parse(text).expect_err("refused");
        assert!((1..=MISTAKES_MAX).contains(&found.len()), "{}", found.len());
    }
}

#[test]
fn what_is_taken_can_be_written_as_instructions() {
    let read = parsed(EVERYTHING);
    let bytes = read.package.encode().expect("sound");
    assert_eq!(Package::decode(&bytes), Ok(read.package));
}

const GUIDE: &str = include_str!("../../../../docs/packages.md");

#[test]
fn the_examples_of_the_guide_are_sound() {
    let examples: Vec<&str> = GUIDE
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split_once("```").expect("a fence at the end").0)
        .collect();
    assert!(examples.len() >= 4, "the search works");
    for example in examples {
        parsed(example);
    }
}

#[test]
fn the_guide_describes_every_key() {
    let rows: String = GUIDE.lines().filter(|line| line.starts_with("| ")).collect();
    for key in package_table::KEYS.iter().chain(&steps::all_keys()).chain(&limits::KEYS) {
        assert!(rows.contains(&format!("`{key}`")), "{key} is not in docs/packages.md");
    }
}

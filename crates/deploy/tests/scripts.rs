//! Scripts as real processes.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use deploy::script::{Launch, NotStarted, Runner, ScriptFacts, can_confine};
use package::receipt::{End, Ran};
use package::{Limits, OnInterrupt, Owner, Script};
use testkit::parts::skip_on_this_machine;

/// The example `run-script`, which is built with the tests.
fn helper() -> PathBuf {
    let tests = std::env::current_exe().expect("a test");
    let path = tests.ancestors().nth(2).expect("a directory").join("examples/run-script");
    assert!(path.exists(), "{} is built by `cargo build --examples`", path.display());
    path
}

fn runner() -> Runner {
    Runner { launch: Launch { program: helper(), arguments: Vec::new() }, state: None }
}

fn script(line: &str) -> Script {
    Script {
        file: None,
        interpreter: ["/bin/sh", "-c", line].map(Into::into).into(),
        arguments: Vec::new(),
        environment: BTreeMap::new(),
        directory: None,
        user: None,
        timeout: Duration::from_secs(120),
        output_bytes_max: 64 << 10,
        expected: vec![0],
        on_interrupt: OnInterrupt::Fail,
        writes: Some(vec!["/".into()]),
        limits: Limits::default(),
    }
}

fn facts() -> ScriptFacts {
    ScriptFacts {
        package: "tools".into(),
        version: "1.2".into(),
        step: "set up".into(),
        targets: Vec::new(),
    }
}

fn run(script: &Script) -> Ran {
    runner().run(script, &facts(), Path::new("/")).expect("started")
}

fn refused(script: &Script) -> String {
    match runner().run(script, &facts(), Path::new("/")) {
        Err(NotStarted::Refused(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

fn said(ran: &Ran) -> String {
    String::from_utf8_lossy(&ran.output.bytes).into_owned()
}

fn is_alive(id: &str) -> bool {
    // A process that ended and was not reaped yet does nothing any more.
    let status = fs::read_to_string(format!("/proc/{}/stat", id.trim()));
    status.is_ok_and(|line| !line.contains(") Z "))
}

/// Waits for what has to happen, generously: the machine may be busy.
fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !happened() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn both_outputs_the_code_and_what_it_used_are_told() {
    let ran = run(&script("echo out; echo error >&2; exit 3"));
    assert_eq!((ran.end, ran.is_expected), (End::Code(3), false));
    assert_eq!((&*ran.output.bytes, ran.output.bytes_total), (&b"out\n"[..], 4));
    assert_eq!((&*ran.error.bytes, ran.error.bytes_total), (&b"error\n"[..], 6));

    let ran = run(&Script { expected: vec![3, 4], ..script("exit 4") });
    assert_eq!((ran.end, ran.is_expected), (End::Code(4), true));
    let ran = run(&script("kill -USR1 $$"));
    assert_eq!((ran.end, ran.is_expected), (End::Signal(10), false));

    // A child's use counts too.
    let busy = "(i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done); head -c 90000000 /dev/zero | tail -c 80000000 | wc -c";
    let ran = run(&script(busy));
    assert_eq!(said(&ran).trim(), "80000000");
    assert!(ran.processor > Duration::from_millis(20), "{:?}", ran.processor);
    assert!(ran.memory_bytes_max > 70 << 20, "{}", ran.memory_bytes_max);
}

#[test]
fn a_flood_is_counted_and_its_beginning_kept() {
    let flood: u64 = 2 << 30;
    let line = format!("printf begin; head -c {flood} /dev/zero; head -c 100000 /dev/zero >&2");
    let ran = run(&Script { output_bytes_max: 1000, ..script(&line) });
    assert_eq!(ran.end, End::Code(0));
    assert_eq!((ran.output.bytes.len(), ran.output.bytes_total), (1000, flood + 5));
    assert!(ran.output.bytes.starts_with(b"begin\0"));
    assert_eq!((ran.error.bytes.len(), ran.error.bytes_total), (1000, 100_000));
}

#[test]
fn a_script_sees_what_is_documented_and_nothing_else() {
    let mut shows =
        script("env | sort; cat; pwd; umask; ls -A \"$TMPDIR\"; ls -ld \"$TMPDIR\" | cut -c1-10");
    shows.environment = [("GREETING".to_owned(), "hello".to_owned())].into();
    let ran = run(&shows);
    let text = said(&ran);
    let names: Vec<_> = text.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let expected = [
        "CONSIGN_PACKAGE",
        "CONSIGN_STEP",
        "CONSIGN_VERSION",
        "GREETING",
        "HOME",
        "LANG",
        "PATH",
        "PWD",
        "TMPDIR",
    ];
    // Some shells count themselves.
    let names: Vec<_> =
        names.into_iter().filter(|name| !["SHLVL", "_", "OLDPWD"].contains(name)).collect();
    assert_eq!(names, expected, "{text}");
    for line in [
        "CONSIGN_PACKAGE=tools",
        "CONSIGN_VERSION=1.2",
        "CONSIGN_STEP=set up",
        "LANG=C.UTF-8",
        "GREETING=hello",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}: {text}");
    }
    let own = text.lines().find_map(|line| line.strip_prefix("TMPDIR=")).expect("there");
    let rest: Vec<_> = text.lines().skip_while(|line| line.contains('=')).collect();
    assert_eq!(rest, [own, "0022", "drwx------"]);
    assert!(!Path::new(own).exists(), "it is removed afterwards");
}

#[test]
fn a_script_has_no_way_to_new_privileges_and_a_session_of_its_own() {
    let ran = run(&script("grep NoNewPrivs /proc/self/status; cut -d' ' -f1,5,6 /proc/$$/stat"));
    let text = said(&ran);
    let mut lines = text.lines();
    assert_eq!(lines.next().map(|line| line.ends_with('1')), Some(true), "{text}");
    let ids: Vec<_> = lines.next().expect("a line").split(' ').collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "leader of its group and session: {text}");
}

#[test]
fn a_file_of_the_package_is_given_to_its_interpreter() {
    let tree = tempfile::tempdir().expect("a directory");
    fs::create_dir(tree.path().join("scripts")).expect("made");
    fs::write(tree.path().join("scripts/0"), "echo \"$1 and $2\"; test -w \"$0\" || echo kept")
        .expect("written");
    let of_file = Script {
        file: Some("scripts/0".into()),
        interpreter: vec!["sh".into()],
        arguments: ["one", "two"].map(Into::into).into(),
        ..script("")
    };
    let ran = runner().run(&of_file, &facts(), tree.path()).expect("started");
    assert!(said(&ran).starts_with("one and two\n"), "{ran:?}");

    // A link is no file of the package, wherever it leads.
    fs::remove_file(tree.path().join("scripts/0")).expect("removed");
    std::os::unix::fs::symlink("/bin/true", tree.path().join("scripts/0")).expect("linked");
    let ran = runner().run(&of_file, &facts(), tree.path());
    assert!(matches!(ran, Err(NotStarted::Refused(_))), "{ran:?}");
}

#[test]
fn what_cannot_be_started_says_why() {
    let nothing = Script { interpreter: vec!["/nowhere/at-all".into()], ..script("") };
    assert!(refused(&nothing).contains("cannot run /nowhere/at-all"), "{}", refused(&nothing));
    let nowhere = Script { directory: Some("/nowhere".into()), ..script("true") };
    assert!(refused(&nowhere).contains("cannot work in /nowhere"));
    let user = Owner { user: "no-such-user-here".into(), group: None };
    let nobody = Script { user: Some(user), ..script("true") };
    assert!(refused(&nobody).contains("no user no-such-user-here"));
}

#[test]
fn what_takes_too_long_ends_with_all_it_started() {
    let directory = tempfile::tempdir().expect("a directory");
    let line = "
        echo before
        # Left its parent, its group and its session, and does not listen.
        (setsid sh -c 'trap \"\" TERM; echo $$ > one; while :; do sleep 1; done' &)
        (setsid sh -c '(setsid sh -c \"echo \\$\\$ > two; sleep 1000\" &)' &)
        while ! test -s one || ! test -s two; do :; done
        trap '' TERM
        sleep 1000 & wait; sleep 1000";
    let long = Script {
        directory: Some(directory.path().to_str().expect("UTF-8").into()),
        timeout: Duration::from_secs(10),
        ..script(line)
    };
    let ran = run(&long);
    assert_eq!((ran.end, ran.is_expected), (End::TimedOut, false));
    assert_eq!(said(&ran), "before\n");
    for name in ["one", "two"] {
        let id = fs::read_to_string(directory.path().join(name)).expect("it ran");
        assert!(!is_alive(&id), "{name} lives on");
    }
}

#[test]
fn one_that_stops_when_asked_is_not_waited_for() {
    let begun = Instant::now();
    let asked = Script {
        timeout: Duration::from_secs(1),
        ..script("trap 'echo bye; exit 0' TERM; sleep 1000 & wait")
    };
    let ran = run(&asked);
    assert_eq!((ran.end, &*said(&ran)), (End::TimedOut, "bye\n"));
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn what_a_script_leaves_running_ends_with_it() {
    let line = "setsid sh -c 'echo $$ > new; mv new id; exec sleep 1000' &
        while ! test -e id; do sleep 0.1; done; cat id";
    let ran = run(&script(line));
    assert_eq!(ran.end, End::Code(0));
    assert!(!said(&ran).is_empty() && !is_alive(&said(&ran)), "{ran:?}");
}

#[test]
fn a_script_does_not_outlive_who_wanted_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("id");
    let line = format!(
        "setsid sh -c 'echo $$ > {0}.new; mv {0}.new {0}; sleep 1000' & sleep 1000",
        path.display()
    );
    // Said by hand, as by a process that is killed afterwards.
    let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
    let mut supervisor = Command::new(helper())
        .env_clear()
        .stdin(std::os::fd::OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .expect("started");
    let setup = format!(
        r#"{{"Supervise":{{"words":["/bin/sh","-c",{line:?}],"environment":{{"PATH":"/usr/bin:/bin"}},
        "directory":"/","identity":{{"user":0,"group":0,"name":null,"home":"/","is_other":false}},
        "writes":"Anywhere","timeout_ms":600000,"lock":null,"limits":{{}},"groups":{{}}}}}}"#
    );
    writeln!(ours, "{}", setup.replace('\n', " ")).expect("said");
    eventually("the script starts", || path.exists());
    let id = fs::read_to_string(&path).expect("there");
    assert!(is_alive(&id));
    drop(ours);
    eventually("the supervisor ends", || supervisor.try_wait().expect("ours").is_some());
    assert!(!is_alive(&id), "what the script started lives on");
}

#[test]
fn another_user_is_taken_on_with_its_groups_and_nothing_of_ours() {
    let nobody = Owner { user: "nobody".into(), group: None };
    let as_nobody = Script {
        user: Some(nobody),
        ..script(
            "id -u; id -g; id -G; echo mine > \"$TMPDIR/file\" && echo written; grep CapEff /proc/self/status",
        )
    };
    if !rustix_is_root() {
        return assert!(refused(&as_nobody).contains("only root"));
    }
    let ran = run(&as_nobody);
    let text = said(&ran);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "65534", "{text} {}", String::from_utf8_lossy(&ran.error.bytes));
    assert_eq!(lines[1], lines[2], "no group of root's: {text}");
    assert_eq!(lines[3], "written");
    assert!(lines[4].ends_with("\t0000000000000000"), "{text}");

    // Its supervisor is not its own, so it cannot escape by ending it.
    let kills = Script {
        user: as_nobody.user.clone(),
        ..script("kill -9 $PPID 2>/dev/null || echo refused")
    };
    assert_eq!(said(&run(&kills)), "refused\n");
}

fn rustix_is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|facts| std::os::unix::fs::MetadataExt::uid(&facts) == 0)
}

#[test]
fn a_script_writes_only_where_it_says_it_does() {
    if !can_confine() {
        let bounded = Script { writes: Some(Vec::new()), ..script("true") };
        assert!(refused(&bounded).contains("cannot confine"), "asked for and not to be had");
        return skip_on_this_machine("writes", "its kernel has no Landlock of Linux 6.2 or later");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    for name in ["in", "out"] {
        fs::create_dir(path(name)).expect("made");
        fs::set_permissions(path(name), fs::Permissions::from_mode(0o777)).expect("set");
        fs::write(path(name).join("old"), "before").expect("written");
    }
    let line = "
        echo new > in/new && echo changed > in/old && echo a > \"$TMPDIR/a\" && echo allowed
        echo x > /dev/null && echo nothing
        (echo x > out/new) 2>/dev/null || echo not made
        (echo x > out/old) 2>/dev/null || echo not changed
        (: > out/old) 2>/dev/null || echo not cut
        rm -f out/old 2>/dev/null || echo not removed
        mv out/old in/old 2>/dev/null || echo not moved
        ln -s a out/link 2>/dev/null || echo not linked
        cat out/old";
    let bounded = Script {
        directory: Some(directory.path().to_str().expect("UTF-8").into()),
        writes: Some(vec![path("in").to_str().expect("UTF-8").into()]),
        ..script(line)
    };
    let text = said(&run(&bounded));
    let expected = "allowed\nnothing\nnot made\nnot changed\nnot cut\nnot removed\nnot moved\nnot linked\nbefore";
    assert_eq!(text, expected);
    assert_eq!(fs::read(path("in/new")).expect("written"), b"new\n");

    let missing = Script { writes: Some(vec!["/nowhere/at-all".into()]), ..script("true") };
    assert!(refused(&missing).contains("/nowhere/at-all"));
}

#[test]
fn a_script_that_names_no_places_writes_where_its_package_does() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = |name: &str| directory.path().join(name).to_str().expect("UTF-8").to_owned();
    for name in ["placed", "work", "out"] {
        fs::create_dir(text(name)).expect("made");
    }
    fs::write(text("out/page"), "before").expect("written");
    let line = format!(
        "echo a > {0}/placed/a && echo b > ./b && echo c > \"$TMPDIR/c\" && echo allowed
        (echo x > {0}/out/page) 2>/dev/null || echo not changed
        (echo x > {0}/placed/../out/new) 2>/dev/null || echo not made",
        directory.path().display()
    );
    let attempt = |script: &Script, targets: &[&str]| {
        let targets = targets.iter().map(|&it| it.to_owned()).collect();
        runner().run(script, &ScriptFacts { targets, ..facts() }, Path::new("/")).expect("started")
    };
    // What is not there yet is no reason not to start.
    let usual = Script { writes: None, directory: Some(text("work")), ..script(&line) };
    let ran = attempt(&usual, &[&text("placed"), &text("placed-later")]);
    if !can_confine() {
        assert!(said(&ran).starts_with("allowed"), "it is started all the same");
        return skip_on_this_machine("places", "its kernel has no Landlock of Linux 6.2 or later");
    }
    assert_eq!(said(&ran), "allowed\nnot changed\nnot made\n");
    assert_eq!(fs::read(text("out/page")).expect("there"), b"before");
    // A package that merges into the whole machine has it, and so has a script that says so.
    let line = format!("echo x > {}", text("out/page"));
    for (writes, targets) in [(None, vec!["/"]), (Some(vec!["/".to_owned()]), Vec::new())] {
        fs::write(text("out/page"), "before").expect("written");
        assert_eq!(attempt(&Script { writes, ..script(&line) }, &targets).end, End::Code(0));
        assert_eq!(fs::read(text("out/page")).expect("there"), b"x\n");
    }
}

//! Scripts that want more of the machine than they may have.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use deploy::script::{Launch, NotStarted, Runner, ScriptFacts, can_limit};
use package::receipt::{End, Limit, Ran};
use package::{Limits, OnInterrupt, Script};
use testkit::parts::skip_on_this_machine;

/// The example `run-script`, which is built with the tests.
fn helper() -> PathBuf {
    let tests = std::env::current_exe().expect("a test");
    let path = tests.ancestors().nth(2).expect("a directory").join("examples/run-script");
    assert!(path.exists(), "{} is built by `cargo build --examples`", path.display());
    path
}

fn script(limits: Limits, line: &str) -> Script {
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
        limits,
    }
}

fn attempt(script: &Script) -> Result<Ran, NotStarted> {
    let runner =
        Runner { launch: Launch { program: helper(), arguments: Vec::new() }, state: None };
    let facts = ScriptFacts {
        package: "tools".into(),
        version: "1.2".into(),
        step: "set up".into(),
        targets: Vec::new(),
    };
    runner.run(script, &facts, Path::new("/"))
}

fn run(limits: Limits, line: &str) -> Ran {
    attempt(&script(limits, line)).expect("started")
}

fn said(ran: &Ran) -> String {
    String::from_utf8_lossy(&ran.output.bytes).into_owned()
}

fn is_alive(id: &str) -> bool {
    // A process that ended and was not reaped yet does nothing any more.
    let status = fs::read_to_string(format!("/proc/{}/stat", id.trim()));
    status.is_ok_and(|line| !line.contains(") Z "))
}

fn processes(count: u32) -> Limits {
    Limits { processes: Some(count), ..Limits::default() }
}

fn processor(seconds: u64) -> Limits {
    Limits { processor: Some(Duration::from_secs(seconds)), ..Limits::default() }
}

/// What a supervisor answers that was given no groups, as on a machine where none can be made.
fn without_groups(user: u32, limits: &str, line: &str) -> String {
    let (mut ours, theirs) = UnixStream::pair().expect("a pair");
    let mut supervisor = Command::new(helper())
        .env_clear()
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let is_other = user != 0;
    let setup = format!(
        r#"{{"Supervise":{{"words":["/bin/sh","-c",{line:?}],"environment":{{"PATH":"/usr/bin:/bin"}},
        "directory":"/","identity":{{"user":{user},"group":{user},"name":null,"home":"/","is_other":{is_other}}},
        "writes":"Anywhere","timeout_ms":120000,"lock":null,"limits":{limits},"groups":{{}}}}}}"#
    );
    writeln!(ours, "{}", setup.replace('\n', " ")).expect("said");
    let mut answer = String::new();
    BufReader::new(&ours).read_line(&mut answer).expect("answered");
    assert!(supervisor.wait().expect("ours").success());
    answer
}

const FORKS: &str = "i=0; while :; do sleep 1000 & i=$((i+1)); echo $i; done";

#[test]
fn a_script_that_forks_without_end_gets_no_more_than_it_may_and_its_neighbours_live_on() {
    if !can_limit().processes {
        let refused = attempt(&script(processes(32), "true"));
        if is_root() {
            assert!(refused.is_err_and(|it| it.to_string().contains("its processes cannot")));
        }
        return skip_on_this_machine("processes", "it lets us make no groups that limit them");
    }
    let mut neighbour = Command::new("sleep").arg("1000").spawn().expect("starts");
    let beside = std::thread::spawn(|| {
        let line = "i=0; while [ $i -lt 50 ]; do /bin/true || exit 1; i=$((i+1)); done";
        run(processes(32), line)
    });
    let bomb = run(processes(32), FORKS);
    assert_eq!((bomb.limit, bomb.is_expected), (Some(Limit::Processes), false), "{bomb:?}");
    let most: u32 = said(&bomb).lines().last().expect("some").parse().expect("a number");
    assert!((1..32).contains(&most), "{most}");
    let beside = beside.join().expect("ran");
    assert_eq!((beside.end, beside.limit), (End::Code(0), None), "{beside:?}");
    assert!(neighbour.try_wait().expect("ours").is_none(), "it lives on");
    neighbour.kill().expect("ours");
    neighbour.wait().expect("ours");

    // Many in all are not many at once; and who copes with a refusal is none the worse for it.
    let coped = run(processes(8), "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do (/bin/true); done");
    assert_eq!((coped.end, coped.limit), (End::Code(0), None), "{coped:?}");
    let coped = run(processes(8), "(for i in 1 2 3 4 5 6 7 8 9; do sleep 60 & done); exit 0");
    assert_eq!(
        (coped.end, coped.limit, coped.is_expected),
        (End::Code(0), None, true),
        "{coped:?}"
    );
}

#[test]
fn a_script_that_says_nothing_of_processes_is_bounded_too() {
    if !can_limit().processes {
        return skip_on_this_machine("processes", "it lets us make no groups that limit them");
    }
    let line = "cat /proc/self/cgroup; cat /sys/fs/cgroup/pids$(sed -n 's/.*:pids://p' /proc/self/cgroup)/pids.max 2>/dev/null \
        || cat /sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/pids.max";
    let ran = run(Limits::default(), line);
    assert_eq!(said(&ran).lines().last(), Some("1024"), "{ran:?}");
    assert_eq!(ran.memory_together_bytes_max, None, "a step without limits is told nothing new");
}

#[test]
fn a_script_that_eats_memory_is_killed_and_its_neighbours_live_on() {
    let limits = Limits { memory_bytes: Some(64 << 20), ..Limits::default() };
    if !can_limit().memory {
        let refused = attempt(&script(limits, "true")).expect_err("cannot be kept to").to_string();
        assert!(refused.contains("its memory cannot be limited here"), "{refused}");
        assert!(refused.contains("Delegate=yes"), "{refused}");
        return skip_on_this_machine("memory", "it lets us make no groups that limit it");
    }
    let mut neighbour = Command::new("sleep").arg("1000").spawn().expect("starts");
    // Another of its processes eats, and it would go on.
    let line = "head -c 300000000 /dev/zero | tail -c 250000000 > /dev/null; sleep 1000";
    let ate = run(limits, line);
    assert_eq!((ate.limit, ate.is_expected), (Some(Limit::Memory), false), "{ate:?}");
    assert!(ate.memory_together_bytes_max.is_some_and(|it| it > 32 << 20), "{ate:?}");
    let ran = run(limits, "head -c 3000000 /dev/zero | tail -c 2500000 | wc -c");
    assert_eq!((said(&ran).trim(), ran.limit, ran.is_expected), ("2500000", None, true), "{ran:?}");
    assert!(neighbour.try_wait().expect("ours").is_none(), "it lives on");
    neighbour.kill().expect("ours");
    neighbour.wait().expect("ours");
}

#[test]
fn a_script_that_burns_processor_time_is_killed_whichever_of_its_processes_does() {
    let begun = Instant::now();
    let burns = "(while :; do :; done) & setsid sh -c 'while :; do :; done' & sleep 1000";
    for ran in [run(processor(1), "while :; do :; done"), run(processor(1), burns)] {
        assert_eq!((ran.limit, ran.is_expected), (Some(Limit::Processor), false), "{ran:?}");
        assert_ne!(ran.end, End::TimedOut, "{ran:?}");
        assert!(ran.processor > Duration::from_millis(900), "{ran:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(110), "not by their timeouts");
    // Waiting costs none of it.
    let waits = run(processor(1), "sleep 2; echo done");
    assert_eq!((said(&waits).trim(), waits.limit, waits.is_expected), ("done", None, true));
}

#[test]
fn limits_are_kept_where_no_groups_can_be_made() {
    let answer =
        without_groups(0, r#"{"processor_ms":1000}"#, "(while :; do :; done) & sleep 1000");
    assert!(answer.contains(r#""limit":"cpu-time""#), "{answer}");
    let answer = without_groups(0, r#"{"memory_bytes":67108864,"processes":9}"#, "true");
    assert!(answer.contains("its memory and processes cannot be limited here"), "{answer}");
    if !is_root() {
        return skip_on_this_machine("the limit of a user's processes", "only root takes on users");
    }
    // The kernel counts the processes of a user, and root's too, without refusing it any.
    let line = "i=0; while [ $i -lt 40 ]; do sleep 1000 & i=$((i+1)); done; exit 7";
    let answer = without_groups(65534, r#"{"processes":20}"#, line);
    assert!(answer.contains(r#"{"Code":2}"#), "{answer}");
    let answer = without_groups(65534, r#"{"processes":60}"#, line);
    assert!(answer.contains(r#"{"Code":7}"#), "{answer}");
}

#[test]
fn each_process_has_as_many_open_files_as_the_script_says() {
    let limits = Limits { open_files: Some(40), ..Limits::default() };
    let ran = run(limits, "ulimit -n; ulimit -Hn; ulimit -n 100 2>/dev/null || echo refused");
    let expected = if is_root() { "40\n40\n" } else { "40\n40\nrefused\n" };
    assert!(said(&ran).starts_with(expected), "{ran:?}");
}

#[test]
fn a_script_that_kills_its_supervisor_leaves_nothing_behind() {
    if !can_limit().groups {
        return skip_on_this_machine("groups", "it lets us make none");
    }
    let line = "setsid sh -c 'echo $$ > new; mv new id; exec sleep 1000' &
        while ! test -e id; do sleep 0.1; done; cat id; kill -9 $PPID; sleep 1000";
    let ran = run(Limits::default(), line);
    assert_eq!(ran.end, End::Signal(9), "{ran:?}");
    assert!(!said(&ran).trim().is_empty() && !is_alive(&said(&ran)), "{ran:?}");
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|facts| std::os::unix::fs::MetadataExt::uid(&facts) == 0)
}

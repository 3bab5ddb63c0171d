use super::*;
use package::Limits;

/// A directory with files as the kernel has them in a group.
fn group(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        fs::write(directory.path().join(name), text).expect("written");
    }
    directory
}

fn read(directory: &tempfile::TempDir, name: &str) -> String {
    fs::read_to_string(directory.path().join(name)).expect("there")
}

fn bounds() -> Bounds {
    let limits = Limits { memory_bytes: Some(64 << 20), processes: Some(32), ..Limits::default() };
    Bounds::from(&limits)
}

fn at(directory: &tempfile::TempDir) -> Option<PathBuf> {
    Some(directory.path().to_owned())
}

fn us() -> Pid {
    rustix::process::getpid()
}

#[test]
fn a_group_of_version_2_limits_measures_and_says_what_ran_out() {
    let directory = group(&[
        ("cgroup.controllers", "cpu memory pids\n"),
        ("cgroup.procs", ""),
        ("memory.max", "max\n"),
        ("memory.swap.max", "max\n"),
        ("memory.oom.group", "0\n"),
        ("memory.events", "low 0\nhigh 0\nmax 9\noom 0\noom_kill 0\noom_group_kill 0\n"),
        ("memory.peak", "123456\n"),
        ("pids.max", "max\n"),
        ("pids.events", "max 0\n"),
        ("cpu.stat", "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n"),
    ]);
    let mut made = Group::default();
    made.limit(Places { unified: at(&directory), ..Places::default() }, &bounds());
    assert!(made.holds_memory() && made.holds_processes() && made.why().is_none(), "{made:?}");
    for (name, text) in [
        ("memory.max", "67108864"),
        ("memory.swap.max", "0"),
        ("memory.oom.group", "1"),
        ("pids.max", "32"),
    ] {
        assert_eq!(read(&directory, name), text, "{name}");
    }
    made.take_in(us());
    assert_eq!(read(&directory, "cgroup.procs"), us().as_raw_nonzero().to_string());
    assert_eq!((made.processor_us(), made.memory_bytes_max()), (Some(2_500_000), Some(123_456)));
    assert!(!made.ran_out_of_memory() && !made.ran_out_of_processes());
    fs::write(directory.path().join("memory.events"), "oom 3\noom_kill 1\n").expect("written");
    fs::write(directory.path().join("pids.events"), "max 7\n").expect("written");
    assert!(made.ran_out_of_memory() && made.ran_out_of_processes());
}

#[test]
fn groups_of_version_1_limit_what_they_are_for() {
    let memory = group(&[
        ("cgroup.procs", ""),
        ("memory.limit_in_bytes", "9223372036854771712\n"),
        ("memory.memsw.limit_in_bytes", "9223372036854771712\n"),
        ("memory.max_usage_in_bytes", "7000000\n"),
        ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
    ]);
    let processes =
        group(&[("cgroup.procs", ""), ("pids.max", "max\n"), ("pids.events", "max 1\n")]);
    // Version 2 is there, and has nothing to limit with.
    let unified = group(&[
        ("cgroup.controllers", "\n"),
        ("cgroup.procs", ""),
        ("cpu.stat", "usage_usec 70\n"),
    ]);
    let mut made = Group::default();
    let places = Places { unified: at(&unified), memory: at(&memory), processes: at(&processes) };
    made.limit(places, &bounds());
    assert!(made.holds_memory() && made.holds_processes(), "{made:?}");
    assert_eq!(read(&memory, "memory.limit_in_bytes"), "67108864");
    assert_eq!(read(&memory, "memory.memsw.limit_in_bytes"), "67108864");
    assert_eq!(read(&processes, "pids.max"), "32");
    made.take_in(us());
    for directory in [&memory, &processes, &unified] {
        assert_eq!(read(directory, "cgroup.procs"), us().as_raw_nonzero().to_string());
    }
    assert_eq!((made.processor_us(), made.memory_bytes_max()), (Some(70), Some(7_000_000)));
    assert!(made.ran_out_of_memory() && made.ran_out_of_processes());
}

#[test]
fn what_cannot_be_limited_is_told_and_done_without() {
    let nowhere = Places { unified: Some("/nowhere/at-all".into()), ..Places::default() };
    let made = Group::make(&nowhere, &bounds());
    assert!(!made.holds_memory() && !made.holds_processes());
    assert!(made.why().is_some_and(|why| why.contains("/nowhere: ")), "{made:?}");
    assert_eq!((made.processor_us(), made.memory_bytes_max()), (None, None));

    // The kernel takes neither the limit nor the process.
    let directory = group(&[("cgroup.controllers", "memory pids"), ("pids.max", "max")]);
    let mut made = Group::default();
    made.limit(Places { unified: at(&directory), ..Places::default() }, &bounds());
    assert_eq!((made.holds_memory(), made.holds_processes()), (false, true));
    made.take_in(us());
    assert!(!made.holds_processes() && made.processor_us().is_none(), "nobody is in it: {made:?}");

    // Memory is limited for who asks, and processes for everybody.
    let directory =
        group(&[("cgroup.controllers", "memory pids"), ("memory.max", "max"), ("pids.max", "max")]);
    Group::default().limit(
        Places { unified: at(&directory), ..Places::default() },
        &Bounds::from(&Limits::default()),
    );
    assert_eq!(
        (read(&directory, "memory.max"), read(&directory, "pids.max")),
        ("max".into(), "1024".into())
    );
}

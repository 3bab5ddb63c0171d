use super::*;

fn found(mounts: &str, groups: &str) -> Vec<(Kind, String, bool)> {
    let all = hierarchies(mounts, groups).into_iter();
    all.map(|it| (it.kind, it.group.display().to_string(), it.is_top)).collect()
}

#[test]
fn our_group_of_each_hierarchy_is_found() {
    let unit = "/system.slice/consign-node.service";
    let mounts = "24 1 0:22 / /proc rw - proc proc rw
30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot";
    assert_eq!(
        found(mounts, &format!("0::{unit}\n")),
        [(Kind::Version2, format!("/sys/fs/cgroup{unit}"), false)]
    );

    let mounts = "32 31 0:29 / /cg/memory rw - cgroup cgroup rw,memory
33 31 0:30 / /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct
39 31 0:36 / /cg/pids rw shared:9 - cgroup cgroup rw,pids
41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw";
    let groups = "8:pids:/\n4:memory:/jobs/7\n2:cpu,cpuacct:/\n0::/\n";
    assert_eq!(
        found(mounts, groups),
        [
            (Kind::Memory, "/cg/memory/jobs/7".into(), false),
            (Kind::Processes, "/cg/pids/".into(), true),
            (Kind::Version2, "/cg/unified/".into(), true),
        ]
    );

    // A container that sees a part of it, as it is or by another name; and one that is not in it.
    let part = "32 31 0:29 /docker/a /cg rw - cgroup cgroup rw,memory";
    assert_eq!(found(part, "4:memory:/docker/a/b\n")[0].1, "/cg/b");
    assert_eq!(found(part, "4:memory:/../c\n"), []);
    let whole = "32 31 0:29 / /cg rw - cgroup2 cgroup2 rw";
    assert_eq!(found(whole, "0::/../outside\n"), []);
    assert_eq!(found("", ""), []);
}

#[test]
fn controllers_that_are_there_are_enabled_once() {
    let base = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| fs::write(base.path().join(name), text).expect("written");
    let enabled = || {
        enable(base.path()).expect("enabled");
        fs::read_to_string(base.path().join("cgroup.subtree_control")).expect("there")
    };
    write("cgroup.controllers", "cpuset cpu io memory pids\n");
    write("cgroup.subtree_control", "cpu\n");
    assert_eq!(enabled(), "+memory +pids");
    write("cgroup.subtree_control", "cpu memory\n");
    assert_eq!(enabled(), "+pids");
    write("cgroup.subtree_control", "pids memory\n");
    assert_eq!(enabled(), "pids memory\n", "nothing is left to do");
    write("cgroup.controllers", "\n");
    write("cgroup.subtree_control", "\n");
    assert_eq!(enabled(), "\n", "there is nothing");
}

#[test]
fn a_group_that_is_somebody_elses_is_left_alone() {
    let above = tempfile::tempdir().expect("a directory");
    let group = above.path().join("group");
    fs::create_dir(&group).expect("made");
    assert!(!is_handed_over(&group), "what is above it is ours as well");
    if rustix::fs::setxattr(&group, MARKS[0], b"1", rustix::fs::XattrFlags::empty()).is_ok() {
        assert!(is_handed_over(&group), "it is marked");
    }
}

#[test]
fn processes_make_way_for_groups() {
    let base = tempfile::tempdir().expect("a directory");
    let rest = base.path().join(REST);
    fs::create_dir(&rest).expect("made");
    fs::write(base.path().join("cgroup.procs"), "17\n").expect("written");
    fs::write(rest.join("cgroup.procs"), "").expect("written");
    make_way(base.path()).expect("moved");
    assert_eq!(fs::read_to_string(rest.join("cgroup.procs")).expect("there"), "17");
}

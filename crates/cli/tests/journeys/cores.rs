//! What is in a hub's memory is on no disk.

use std::fs;

use crate::process::start_hub;

#[test]
fn a_hub_leaves_no_core() {
    let folder = tempfile::tempdir().expect("a directory");
    let (hub, _) = start_hub(folder.path(), &[]);
    let told = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", hub.0.id())).expect(file);
    let limits = told("limits");
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).expect("told");
    let words: Vec<&str> = cores.split_whitespace().skip(4).collect();
    assert_eq!(words, ["0", "0", "bytes"], "soft and hard");
    // What a program that takes cores would get of its memory.
    assert_eq!(told("coredump_filter").trim(), "00000000");
}

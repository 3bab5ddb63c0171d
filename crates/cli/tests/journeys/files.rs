//! Directories to publish, and whether a copy is what was published.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use testkit::noise;

use crate::users::set_mode;

pub(crate) fn make_tree(root: &Path) {
    fs::create_dir_all(root.join("docs/deep/er")).expect("made");
    fs::create_dir(root.join("empty")).expect("made");
    for index in 0..200 {
        let text = format!("page {index}\n").repeat(50 + index);
        fs::write(root.join(format!("docs/page-{index:03}.txt")), text).expect("written");
    }
    fs::write(root.join("large.bin"), noise(1, 3_000_000)).expect("written");
    fs::write(root.join("docs/deep/er/run.sh"), "#!/bin/sh\n").expect("written");
    set_mode(&root.join("docs/deep/er/run.sh"), 0o755);
    fs::write(root.join("empty.txt"), "").expect("written");
    symlink("../large.bin", root.join("docs/link")).expect("linked");
    // Files younger than the granularity of time stamps are read again: let them age.
    std::thread::sleep(Duration::from_millis(100));
}

/// Everything under a directory: path, kind, mode, time, contents.
pub(crate) fn listing(root: &Path) -> Vec<(PathBuf, u32, i64, i64, Vec<u8>)> {
    let mut all = Vec::new();
    let mut stack = vec![root.to_owned()];
    while let Some(directory) = stack.pop() {
        for entry in fs::read_dir(&directory).expect("readable") {
            let path = entry.expect("readable").path();
            let facts = fs::symlink_metadata(&path).expect("exists");
            let contents = if facts.is_symlink() {
                fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes()
            } else if facts.is_dir() {
                stack.push(path.clone());
                Vec::new()
            } else {
                fs::read(&path).expect("readable")
            };
            let below = path.strip_prefix(root).expect("below").to_owned();
            all.push((below, facts.mode(), facts.mtime(), facts.mtime_nsec(), contents));
        }
    }
    all.sort();
    all
}

pub(crate) fn assert_same(left: &Path, right: &Path) {
    let (ours, theirs) = (listing(left), listing(right));
    let names = |list: &[(PathBuf, u32, i64, i64, Vec<u8>)]| {
        list.iter().map(|entry| entry.0.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&ours), names(&theirs));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert!(ours == theirs, "{} differs", ours.0.display());
    }
}

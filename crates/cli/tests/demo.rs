//! What the demonstration tells programs, and what it leaves behind when it is told to.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Far longer than anything here takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(180);

/// Ends a process that nobody waits for.
struct EndWithTest(Pid);

impl Drop for EndWithTest {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}

#[test]
fn who_reads_a_kept_demonstration_to_its_end_does_not_wait_for_its_hub() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let source = directory.path().join("source");
    fs::create_dir(&source).expect("made");
    fs::write(source.join("file"), vec![7; 300_000]).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_consign"));
    for name in ["CONSIGN_HUB", "CONSIGN_CONFIG", "CONSIGN_STATE", "XDG_CONFIG_HOME"] {
        command.env_remove(name);
    }
    command.args(["--json", "demo", "--keep"]).arg(&source).stdin(Stdio::null());
    command.env("TMPDIR", directory.path()).env("HOME", directory.path());
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || {
        // Reads both outputs to their ends.
        let _ = sender.send(command.output().expect("runs"));
    });
    let output = ended.recv_timeout(PATIENCE).expect("nothing holds its outputs open");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let done: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
    let number = |field: &str| done[field].as_u64().unwrap_or_else(|| panic!("{field}: {done}"));
    let hub = i32::try_from(number("hub_process")).expect("small");
    let _hub = EndWithTest(Pid::from_raw(hub).expect("not 0"));
    assert!(number("publish_bytes_per_s") > 0 && number("fetch_both_bytes_per_s") > 0, "{done}");

    let runs = fs::read_to_string(format!("/proc/{hub}/cmdline")).expect("it runs");
    assert!(runs.contains("hub"), "{runs}");
    let text = |field: &str| done[field].as_str().unwrap_or_else(|| panic!("{field}: {done}"));
    let kept = directory.path().canonicalize().expect("there");
    assert!(std::path::Path::new(text("kept")).starts_with(&kept), "{done}");
    let log = std::path::Path::new(text("hub_log"));
    assert!(log.starts_with(text("kept")) && log.is_file(), "{done}");
    // What the hub would say on standard error goes there.
    let said = fs::read_link(format!("/proc/{hub}/fd/2")).expect("its standard error");
    assert_eq!(said, log);
}

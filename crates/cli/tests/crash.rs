//! A sample of what `cargo xtask crash` tries in full: faults at points of jobs of the real program.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use faults::{Call, Campaign, Damage, Ended, Fault, Program, Tally, Tracing, Verdict, Watch};

/// Changing it tries other points and other states of the disk.
const SEED: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(60);

fn consign() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_consign"))
}

/// Lists calls, and lets one of them fail.
#[derive(Clone, Default)]
struct List {
    fails: Option<&'static str>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl List {
    fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no panic").clone()
    }
}

impl Watch for List {
    fn before(&mut self, _: u64, call: &Call) -> Verdict {
        let name = call.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.seen.lock().expect("no panic").push(format!("{} {name}", call.name));
        match self.fails {
            Some(fails) if fails == call.name => Verdict::Kill,
            Some(_) | None => Verdict::Go,
        }
    }

    fn after(&mut self, _: &Call, _: i64) {}
}

fn script(text: &str, directory: &Path, list: List) -> anyhow::Result<Ended> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", text]).current_dir(directory);
    let roots = vec![directory.join("in")];
    let output = directory.join("output");
    Tracing::start(Program { command, output, roots, reads: false, boot: None }, list)?
        .wait(PATIENCE)
}

/// Whether this machine lets us trace; says that the test is skipped when not.
fn can_trace() -> bool {
    let directory = tempfile::tempdir().expect("a directory");
    match script("exit 0", directory.path(), List::default()) {
        Ok(ended) => ended == Ended::Code(0),
        Err(error) => {
            testkit::parts::skip("ptrace", &format!("{error:#}"));
            false
        }
    }
}

#[test]
fn calls_are_seen_in_order_and_a_kill_comes_before_the_call() {
    if !can_trace() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let text = "mkdir in && echo out > beside && (echo one > in/a) && mv in/a in/b && rm in/b";
    let list = List::default();
    let ended = script(text, directory.path(), list.clone()).expect("traced");
    assert_eq!(ended, Ended::Code(0));
    let seen = list.seen();
    assert_eq!(seen.len(), 5, "{seen:?}");
    assert!(seen[0].starts_with("mkdir") && seen[1] == "openat a" && seen[2] == "write a");
    assert!(seen[3].starts_with("rename") && seen[4].starts_with("unlink"), "{seen:?}");

    let list = List { fails: Some("write"), ..List::default() };
    std::fs::remove_dir(path("in")).expect("removed");
    let ended = script(text, directory.path(), list).expect("traced");
    assert!(matches!(ended, Ended::Signal(_)), "{ended:?}");
    assert_eq!(std::fs::read(path("in/a")).expect("made"), b"", "nothing was written");
}

/// Tries some points of a scenario with every fault; all promises must hold.
fn sample(name: &str, points: u64) {
    if !can_trace() {
        return;
    }
    let scenario = faults::scenarios::all()
        .into_iter()
        .find(|scenario| scenario.name() == name)
        .expect("a scenario");
    let mut campaign = Campaign::new(scenario, consign(), SEED).expect("works without faults");
    let all = campaign.points();
    let mut tally = Tally::default();
    for index in 0..points {
        let point = 1 + (index * all / points + SEED) % all;
        for fault in Fault::ALL {
            let nested = if fault == Fault::Kill && index == 0 { 5 } else { 0 };
            tally.add(fault.name(), campaign.try_fault(point, fault, nested));
        }
    }
    // Some jobs read none of these files.
    let reads = campaign.reads();
    for index in 0..if reads == 0 { 0 } else { points } {
        let point = 1 + (index * reads / points + SEED) % reads;
        tally.add("read", campaign.try_fault(point, Fault::Unreadable, 0));
    }
    if scenario.knows_inodes() {
        for index in 0..2 * points {
            let point = 1 + (index * all / (2 * points) + SEED) % (all + 1);
            tally.add("power", campaign.try_live_power_cut(point, index, 0));
        }
    } else {
        let recording = campaign.record().expect("recorded");
        let last = recording.points();
        for index in 0..=points {
            let point = if index == points { last } else { 1 + (index * last / points) };
            for sample in 0..4 {
                tally.add("power", campaign.try_power_cut(&recording, point, sample, 0));
            }
        }
    }
    let files = campaign.files().expect("listed");
    for (kind, file) in files.iter().enumerate().take(usize::try_from(points).expect("small")) {
        tally.add("rot", campaign.try_damage(file, kind % Damage::ALL.len()));
    }
    assert!(tally.total() > points, "only {} faults happened", tally.total());
    let found: Vec<String> = tally
        .findings
        .iter()
        .map(|finding| format!("{}\n  again: cargo xtask crash {}", finding.what, finding.again))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_get_survives_a_sample_of_faults() {
    sample("update", 3);
}

#[test]
fn a_publish_survives_a_sample_of_faults() {
    sample("publish", 3);
}

#[test]
fn a_hub_survives_a_sample_of_faults() {
    sample("upload", 3);
}

#[test]
fn a_store_survives_a_sample_of_faults() {
    sample("gc", 2);
    sample("put", 2);
}

#[test]
fn a_switch_survives_a_sample_of_faults() {
    sample("switch", 2);
    sample("exchange", 2);
}

#[test]
fn a_repair_survives_a_sample_of_faults() {
    sample("repair", 2);
}

#[test]
fn a_package_survives_a_sample_of_faults() {
    sample("apply", 3);
    sample("package-roll-back", 2);
}

/// The file step goes on where it was, the script is never run twice, and the publisher has an answer.
#[test]
fn a_target_that_is_killed_runs_a_release_once_and_answers_it() {
    if !can_trace() {
        return;
    }
    let scenario = faults::scenarios::all()
        .into_iter()
        .find(|scenario| scenario.name() == "target")
        .expect("a scenario");
    let mut campaign = Campaign::new(scenario, consign(), SEED).expect("works without faults");
    let (all, tries) = (campaign.points(), 12);
    let mut tally = Tally::default();
    for index in 0..tries {
        let point = 1 + (index * all / tries + SEED) % all;
        let nested = if index == tries / 2 { 3 } else { 0 };
        tally.add(Fault::Kill.name(), campaign.try_fault(point, Fault::Kill, nested));
    }
    let found: Vec<&str> = tally.findings.iter().map(|finding| &*finding.what).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(tally.total() > tries / 2, "only {} of {tries} kills happened", tally.total());
}

#[test]
fn rights_survive_a_sample_of_faults() {
    sample("grant", 2);
    sample("delegated", 2);
}

#[test]
fn a_hub_that_collects_or_moves_its_database_forward_survives_a_sample_of_faults() {
    sample("hub-gc", 2);
    sample("migration", 2);
}

/// Its library panics over some of it: nobody is to see that.
#[test]
fn damage_of_an_index_is_named_and_healed_without_a_panic() {
    if !can_trace() {
        return;
    }
    let scenario = faults::scenarios::all()
        .into_iter()
        .find(|scenario| scenario.name() == "gc")
        .expect("a scenario");
    let mut campaign = Campaign::new(scenario, consign(), SEED).expect("works without faults");
    let files = campaign.files().expect("listed");
    let index = files.iter().find(|file| file.ends_with("store/index.redb")).expect("an index");
    for kind in 0..Damage::ALL.len() {
        if let Err(finding) = campaign.try_damage(index, kind) {
            panic!("{}\n  again: cargo xtask crash {}", finding.what, finding.again);
        }
    }
}

/// The key and what is known of the hub were written, but not the name of the directory they are in.
#[test]
fn a_registration_outlasts_a_power_cut() {
    sample("register", 3);
}

/// Its directory was not empty after a kill and refused, or served as the data of an empty hub.
#[test]
fn a_restore_that_was_cut_off_is_run_again() {
    sample("restore", 3);
}

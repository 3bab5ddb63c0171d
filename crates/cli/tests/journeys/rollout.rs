//! Packages that reach their targets wave after wave.

use std::fs;

use node::publish::unix_now;
use serde_json::{Value, json};

use crate::community::{Community, serve};
use crate::process::{lines, until};

impl Community {
    /// How the roll-out of a release stands.
    pub(crate) fn rollout(&self, sequence: u64) -> Value {
        let shown = self.world.run("ci", &["package", "show", &sequence.to_string()]);
        let line = lines(&shown).into_iter().find(|line| line["event"] == "rollout");
        line.unwrap_or_else(|| panic!("release {sequence} is rolled out"))
    }

    fn sends(&self, package: &str, more: &[&str]) -> Value {
        let args = [&["package", "send", package], more].concat();
        self.world.tells("ci", &args, &["sent", "rollout"]);
        let sequence = lines(&self.world.run("ci", &["package", "list", "--last", "1"]));
        let sequence = sequence.iter().find(|line| line["event"] == "package");
        self.rollout(sequence.and_then(|line| line["sequence"].as_u64()).expect("was sent"))
    }
}

fn plant() -> Community {
    let community = Community::create();
    community.peer("ci", &["--role", "publisher"]);
    community.peer("press-1", &["--role", "target", "--label", "ring=0"]);
    community.peer("press-2", &["--role", "target"]);
    community.peer("press-3", &["--role", "target"]);
    community
}

fn names(list: &Value) -> Vec<&str> {
    let mut names: Vec<_> = list.as_array().expect("a list").iter().collect();
    names.sort_by_key(|name| name.as_str());
    names.into_iter().filter_map(Value::as_str).collect()
}

#[test]
fn the_rest_gets_it_when_the_canary_has_passed() {
    let community = plant();
    let world = &community.world;
    let _ci = serve(world, "ci");
    let _others = [serve(world, "press-2"), serve(world, "press-3")];
    let package =
        community.package("1", &format!("echo ran >> {}", community.ran_file().display()));
    let staged = ["--canary", "1", "--canary-labels", "ring=0", "--wave", "50%"];
    let rollout = community.sends(&package, &staged);
    assert_eq!((&rollout["state"], &rollout["wave"]), (&json!("running"), &json!(1)), "{rollout}");
    assert_eq!(rollout["waits_for"], "answers", "{rollout}");
    assert_eq!(names(&rollout["waiting"]), ["press-2", "press-3"]);
    // Their wave has not come, though they listen.
    let pending = world.run("ci", &["package", "show", "1", "--pending"]);
    let pending = lines(&pending);
    let addressed: Vec<_> = pending.iter().filter(|line| line["event"] == "addressed").collect();
    assert_eq!(addressed.len(), 1, "{pending:?}");
    assert_eq!((&addressed[0]["peer"], community.ran()), (&json!("press-1"), 0));

    let _canary = serve(world, "press-1");
    until("the last wave is over", || community.rollout(1)["state"] == "finished");
    assert_eq!(community.ran(), 3);
    let rollout = community.rollout(1);
    assert_eq!((&rollout["wave"], &rollout["waves"]), (&json!(2), &json!(2)), "{rollout}");
    assert_eq!((&rollout["waiting"], &rollout["skipped"]), (&json!([]), &json!([])));
    let over = world.fails("ci", &["package", "pause", "1"], 6);
    assert!(over["message"].as_str().is_some_and(|it| it.contains("finished")), "{over}");
}

#[test]
fn a_failing_canary_stops_it_until_somebody_decides() {
    let community = plant();
    let world = &community.world;
    let _nodes = ["ci", "press-1", "press-2", "press-3"].map(|node| serve(world, node));
    let line = format!("echo ran >> {}; exit 3", community.ran_file().display());
    let package = community.package("1", &line);
    let staged = ["--canary", "1", "--wave", "1", "--stop-at", "100%"];
    community.sends(&package, &staged);
    until("the canary's failure stopped it", || community.rollout(1)["state"] == "stopped");
    let stopped = community.rollout(1);
    let reason = stopped["reason"].as_str().expect("a reason");
    assert!(reason.contains("1 of 1 targets failed"), "{stopped}");
    assert_eq!((&stopped["waits_for"], community.ran()), (&json!("decision"), 1), "{stopped}");
    assert_eq!(names(&stopped["waiting"]).len(), 2, "{stopped}");

    // Somebody looks at it, and lets it go on: the next one fails too.
    world.tells("ci", &["package", "resume", "1"], &["rollout"]);
    until("the second wave failed", || {
        community.ran() == 2 && community.rollout(1)["state"] == "stopped"
    });
    world.tells("ci", &["package", "abort", "1"], &["rollout"]);
    let aborted = community.rollout(1);
    assert_eq!((&aborted["state"], &aborted["waiting"]), (&json!("aborted"), &json!([])));
    let skipped = aborted["skipped"].as_array().expect("a list");
    assert_eq!(skipped.len(), 1, "{aborted}");
    world.fails("ci", &["package", "resume", "1"], 6);
    world.fails("ci", &["package", "pause", "2"], 4);
    assert_eq!(community.ran(), 2);
}

#[test]
fn while_it_is_paused_nobody_more_gets_it_and_who_is_revoked_never_does() {
    let community = plant();
    let world = &community.world;
    let line = format!("echo ran >> {}", community.ran_file().display());
    let package = community.package("1", &line);
    let staged = ["--canary", "1", "--canary-labels", "ring=0", "--pause-between", "1s"];
    community.sends(&package, &staged);
    world.tells("ci", &["package", "pause", "1"], &["rollout"]);
    let _nodes = ["ci", "press-1", "press-2", "press-3"].map(|node| serve(world, node));
    until("the canary's answer came", || {
        let shown = lines(&world.run("ci", &["package", "show", "1"]));
        shown.iter().any(|line| line["event"] == "package" && line["passed"] == 1)
    });
    let paused = community.rollout(1);
    assert_eq!((&paused["state"], &paused["waits_for"]), (&json!("paused"), &json!("resume")));
    assert_eq!(names(&paused["waiting"]), ["press-2", "press-3"]);
    world.tells("boss", &["community", "revoke", "press-3"], &["revoked"]);
    world.tells("ci", &["package", "resume", "1"], &["rollout"]);
    until("the last wave is over", || community.rollout(1)["state"] == "finished");
    let finished = community.rollout(1);
    let skipped = finished["skipped"].as_array().expect("a list");
    assert_eq!((skipped.len(), &skipped[0]["peer"]), (1, &json!("press-3")), "{finished}");
    assert_eq!(community.ran(), 2);
}

#[test]
fn targets_go_back_to_what_they_had_before() {
    let community = plant();
    let world = &community.world;
    let ran = community.ran_file();
    let _targets = ["press-1", "press-2", "press-3"].map(|name| serve(world, name));
    let line = |version: &str| format!("echo {version} >> {}", ran.display());
    let package = community.package("1", &line("one"));
    community.send(&package, &[]);
    until("all have it", || community.ran() == 3);
    // The second one is rolled out, and its canary has it already.
    let package = community.package("2", &line("two"));
    let staged = ["--canary", "1", "--canary-labels", "ring=0", "--pause-between", "1d"];
    community.sends(&package, &staged);
    until("the canary has it", || community.ran() == 4);
    let dry = world.run("ci", &["package", "rollback", "1", "--dry-run"]);
    assert_eq!(lines(&dry).len(), 1, "{dry:?}");
    assert_eq!(
        world.tells("ci", &["package", "rollback", "1", "--dry-run"], &["target"])["peer"],
        "press-1"
    );
    // Without the sources, as a new release, to those who have the later one.
    fs::remove_dir_all(&package).expect("removed");
    let back = world.tells("ci", &["package", "rollback", "1"], &["rolled_back"]);
    assert_eq!((&back["sequence"], &back["version"]), (&json!(3), &json!("1")), "{back}");
    assert_eq!((&back["targets"], &back["aborted"]), (&json!(["press-1"]), &json!([2])), "{back}");
    until("the canary is back", || community.ran() == 5);
    let text = fs::read_to_string(&ran).expect("readable");
    assert!(text.ends_with("two\none\n"), "{text}");
    assert_eq!(community.rollout(2)["state"], "aborted");
    // Nobody is ahead any more, and there is no release 9.
    world.fails("ci", &["package", "rollback", "1"], 4);
    world.fails("ci", &["package", "rollback", "9"], 4);
    // From another machine's ledger, or too long ago: what opens it is not here.
    let community_id = back["community"].as_str().expect("a text");
    let kept = world.path("ci").join("communities").join(community_id).join("sent/2.json");
    fs::remove_file(kept).expect("kept");
    let refused = world.fails("ci", &["package", "rollback", "2"], 4);
    assert!(refused["message"].to_string().contains("not kept"), "{refused}");
}

/// Seconds before a window opens in which it is seen that it is closed, and waited for.
const BEFORE_SECONDS: u64 = 8;

#[test]
fn outside_its_window_nobody_gets_it_until_the_window_opens() {
    let community = Community::create();
    community.peer("ci", &["--role", "publisher"]);
    community.peer("press-1", &["--role", "target"]);
    let world = &community.world;
    let _nodes = ["ci", "press-1"].map(|node| serve(world, node));
    let line = format!("echo ran >> {}", community.ran_file().display());
    // From the next minute on, for an hour, every day; on a machine that stands still meanwhile it is tried anew.
    let (opens, sequence) = loop {
        let opens = (unix_now() + BEFORE_SECONDS).next_multiple_of(60);
        let clock = |time: u64| format!("{:02}:{:02}", time / 3600 % 24, time / 60 % 60);
        let window = format!("Mon-Sun {}-{} UTC", clock(opens), clock(opens + 3600));
        let rollout = community.sends(&community.package("1", &line), &["--window", &window]);
        let sequence = rollout["sequence"].as_u64().expect("a number");
        let show = ["package", "show", &sequence.to_string()];
        let shown = world.node("ci").plain(&show).output().expect("runs");
        if unix_now() >= opens {
            until("a window that opened meanwhile was used", || community.ran() > 0);
            fs::remove_file(community.ran_file()).expect("removed");
            continue;
        }
        let state = (&rollout["state"], &rollout["waits_for"]);
        assert_eq!(state, (&json!("running"), &json!("window")), "{rollout}");
        assert_eq!(rollout["waits_until"], opens, "{rollout}");
        assert_eq!(names(&rollout["waiting"]), ["press-1"], "{rollout}");
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        let latest = format!("{} UTC at the latest", clock(opens));
        assert!(shown.contains("waits for a window") && shown.contains(&latest), "{shown}");
        break (opens, sequence);
    };
    until("it was carried out", || community.ran() == 1);
    assert!(unix_now() >= opens, "not before the window opened");
    until("the roll-out is over", || community.rollout(sequence)["state"] == "finished");
}

//! A target that is killed between the beginning of a script and the end of its receipt's way.

use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::Value;

use crate::community::{Community, serve};
use crate::process::{Process, lines, until};

/// A publisher and one target, whose script says when it begins and when it ends, and stays as long as a file is there.
struct Scene {
    community: Community,
}

impl Scene {
    fn new() -> Self {
        let community = Community::create();
        community.peer("ci", &["--role", "publisher"]);
        community.peer("press-1", &["--role", "target"]);
        Self { community }
    }

    fn hold(&self) -> PathBuf {
        self.community.world.path("hold")
    }

    /// Sends a package whose script stays; `more` stands in its step.
    fn send(&self, version: &str, more: &str) {
        fs::write(self.hold(), "").expect("written");
        let (ran, hold) = (self.community.ran_file(), self.hold());
        let line = format!(
            "echo {version} began >> {0}; while [ -e {1} ]; do sleep 0.02; done; \
             echo {version} ended >> {0}",
            ran.display(),
            hold.display()
        );
        let package = self.community.package(version, &line);
        let file = self.community.world.path("hello/consign-package.toml");
        let text = fs::read_to_string(&file).expect("there");
        fs::write(&file, text.replace("writes = ", &format!("{more}\nwrites = ")))
            .expect("written");
        self.community.send(&package, &[]);
    }

    fn release(&self) {
        fs::remove_file(self.hold()).expect("removed");
    }

    fn serve(&self) -> Process {
        serve(&self.community.world, "press-1")
    }

    fn said(&self) -> Vec<String> {
        let text = fs::read_to_string(self.community.ran_file()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn said_last(&self, word: &str) -> bool {
        self.said().last().is_some_and(|last| last == word)
    }

    /// Receipts that this machine keeps, with this ending of their names.
    fn receipts(&self, ending: &str) -> Vec<PathBuf> {
        let list = |path: PathBuf| {
            let found = fs::read_dir(path).into_iter().flatten().flatten();
            found.map(|entry| entry.path()).collect::<Vec<_>>()
        };
        let communities = list(self.community.world.path("press-1/communities"));
        let publishers = communities.into_iter().flat_map(|it| list(it.join("target/receipts")));
        let all = publishers.flat_map(list);
        all.filter(|path| path.to_string_lossy().ends_with(ending)).collect()
    }

    /// What the publisher has of a release: how many targets passed and failed, and its one answer.
    fn answered(&self, sequence: u64, verdict: &str) -> Value {
        let world = &self.community.world;
        until("the receipt came", || {
            let listed = lines(&world.run("ci", &["package", "list"]));
            let line = listed.iter().find(|line| line["sequence"] == sequence);
            line.is_some_and(|line| line[verdict] == 1)
        });
        let shown = lines(&world.run("ci", &["package", "receipts", &sequence.to_string()]));
        let answers: Vec<&Value> = shown.iter().filter(|it| it["event"] == "answer").collect();
        assert_eq!(answers.len(), 1, "{shown:?}");
        answers[0].clone()
    }
}

#[test]
fn what_a_target_did_is_done_once_and_answered_once_wherever_it_is_killed() {
    let scene = Scene::new();
    let hub = &scene.community.world.hub;
    let _ci = serve(&scene.community.world, "ci");

    // Carried out, and the receipt kept, while the hub takes nothing.
    scene.send("1", "");
    let mut target = scene.serve();
    until("the script begins", || scene.said_last("1 began"));
    hub.signal(Signal::STOP);
    scene.release();
    until("its receipt is kept", || scene.receipts("/1").len() == 1);
    target.kill();
    hub.signal(Signal::CONT);
    let target = scene.serve();
    let answer = scene.answered(1, "passed");
    assert_eq!(answer["verdict"], "passed");
    assert_eq!(scene.said(), ["1 began", "1 ended"]);

    // The hub has the receipt, and the target died before it noted that.
    until("it is noted", || scene.receipts("/1.sent").len() == 1);
    target.end(Signal::TERM);
    let noted = scene.receipts("/1.sent").remove(0);
    fs::rename(&noted, noted.with_extension("")).expect("renamed");
    let mut target = scene.serve();
    until("it is handed in again, and noted", || scene.receipts("/1.sent").len() == 1);
    assert_eq!(scene.answered(1, "passed"), answer, "the publisher has the first one");

    // In the middle of a script that says nothing of being cut off: nobody knows how far it came.
    scene.send("2", "");
    until("the second begins", || scene.said_last("2 began"));
    target.kill();
    let mut target = scene.serve();
    let answer = scene.answered(2, "failed");
    assert!(answer["steps"].to_string().contains("interrupted"), "{answer}");

    // In the middle of one that may be repeated.
    scene.send("3", "on-interrupt = \"repeat\"");
    until("the third begins", || scene.said_last("3 began"));
    target.kill();
    let _target = scene.serve();
    let begun = || scene.said().iter().filter(|&line| line == "3 began").count();
    until("it begins again", || begun() == 2);
    scene.release();
    assert_eq!(scene.answered(3, "passed")["verdict"], "passed");
    let said = ["1 began", "1 ended", "2 began", "3 began", "3 began", "3 ended"];
    assert_eq!(scene.said(), said);
}

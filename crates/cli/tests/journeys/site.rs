//! One release after the other of `team/site`, and nodes that follow them.

use std::fs;

use serde_json::Value;
use testkit::noise;

use crate::process::Process;
use crate::world::World;

impl World {
    /// A hub with a publisher, `anna`.
    pub(crate) fn with_publisher() -> Self {
        let world = Self::new();
        world.join("anna", &[]);
        world
    }

    /// The same after one release, with `ben`, who reads.
    pub(crate) fn with_reader() -> Self {
        let world = Self::with_publisher();
        world.release(1);
        world.join("ben", &["--reader"]);
        world
    }

    /// Starts `consign node`, which serves the commands of a node.
    pub(crate) fn serve(&self, name: &str) -> Process {
        let (node, hello) = Process::start_ready(&mut self.command(name, &["node"]));
        assert_eq!(hello["event"], "serving");
        node
    }

    /// Publishes one more release of `team/site`, whose file `number` says which one it is.
    pub(crate) fn release(&self, number: u64) {
        let source = self.path("source");
        fs::create_dir_all(source.join("deep")).expect("made");
        if number == 1 {
            fs::write(source.join("large.bin"), noise(1, 3_000_000)).expect("written");
            fs::write(source.join("deep/page"), "page\n".repeat(500)).expect("written");
        }
        fs::write(source.join("number"), number.to_string()).expect("written");
        let text = self.text("source");
        let done = self.ok("anna", &["publish", &text, "team/site", "--public"]);
        assert_eq!(done["sequence"], number);
    }

    /// What the node tells of its only watch.
    pub(crate) fn watched(&self, node: &str) -> Value {
        self.ok(node, &["watch", "--list"])
    }

    pub(crate) fn current(&self, to: &str) -> Option<u64> {
        fs::read_to_string(self.path(to).join("current/number")).ok()?.parse().ok()
    }

    /// The jobs of a node, as `status` tells.
    pub(crate) fn jobs(&self, node: &str) -> Vec<Value> {
        let mut lines = self.lines(node, &["status"], 0);
        lines.retain(|line| line["event"] == "job" && line["state"] == "running");
        lines
    }
}

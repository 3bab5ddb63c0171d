//! A target of a community carries a package out, and its publisher has the receipt.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{Hub, Scenario};
use crate::world::{PATIENCE, World};

/// How often it is looked whether the publisher has the receipt.
const STEP: Duration = Duration::from_millis(100);

/// A node serves on: it is ended once the hub has its receipt.
const SERVE: &str = r#"
"$@" > served 2>&1 &
node=$!
left=400
until grep -q '"serving"' served && ls press/communities/*/target/receipts/*/1.sent > ls 2>&1; do
    if ! kill -0 $node 2> killed; then break; fi
    left=$((left - 1))
    if [ $left = 0 ]; then echo '{"error": "the hub has no receipt"}'; kill $node; wait $node; exit 1; fi
    sleep 0.1
done
kill $node 2> killed
wait $node
code=$?
# It was asked to end, and may not have listened yet.
if [ $code = 143 ]; then code=0; fi
cat served
exit $code
"#;

/// A node that ends with us.
struct Serving(Child);

impl Serving {
    fn start(world: &World, node: &str) -> anyhow::Result<Self> {
        let log = fs::File::create(world.beside("node.log"))?;
        let child = world.command(node, &["node"]).stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut serving = Self(child);
        let mut line = String::new();
        BufReader::new(serving.0.stdout.take().context("piped")?).read_line(&mut line)?;
        ensure!(line.contains("serving"), "{node} does not serve: {line}");
        Ok(serving)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// From the release in the queue to its receipt at the hub.
pub(super) struct Target;

impl Target {
    /// How often the script was run.
    fn runs(world: &World) -> usize {
        fs::read_to_string(world.path("ran")).map_or(0, |text| text.lines().count())
    }

    /// What the publisher has of its one target.
    fn shown(world: &World) -> anyhow::Result<Value> {
        world.ok("ci", &["package", "show", "1"])
    }
}

impl Scenario for Target {
    fn name(&self) -> &'static str {
        "target"
    }

    fn hub(&self) -> Hub {
        Hub::Fresh
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        world.join("boss")?;
        world.ok("boss", &["community", "create", "Plant 7", "--seed", "seed"])?;
        let boss = Serving::start(world, "boss")?;
        for (peer, role) in [("ci", "publisher"), ("press", "target")] {
            let secret = format!("{peer}.secret");
            let add = ["community", "peer", "add", peer, "--secret-file", &secret, "--role", role];
            world.ok("boss", &add)?;
            world.ok(peer, &["join", "seed", "--as", peer, "--secret-file", &secret])?;
        }
        drop(boss);
        fs::create_dir(world.path("hello"))?;
        fs::write(world.path("hello/page"), "page")?;
        let (placed, ran) = (world.path("placed"), world.path("ran"));
        let text = format!(
            "[package]\nname = \"hello\"\nversion = \"1\"\n\n\
             [[step]]\nfiles = \"page\"\ntarget = \"{}\"\n\n\
             [[step]]\nwrites = [\"/\"]\nscript = '''\n#!/bin/sh\necho ran >> {}\n'''\n",
            placed.display(),
            ran.display(),
        );
        fs::write(world.path("hello/consign-package.toml"), text)?;
        world.ok("ci", &["package", "send", "hello"]).map(|_| ())
    }

    fn roots(&self) -> &'static [&'static str] {
        &["press"]
    }

    fn command(&self, world: &World) -> Command {
        let node = world.command("press", &["node"]);
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SERVE, "sh"]).arg(node.get_program()).args(node.get_args());
        for (name, value) in node.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(world.path("")).stdin(Stdio::null());
        command
    }

    /// Another fault than a kill it outlasts by trying again, for as long as it serves.
    fn is_only_killed(&self) -> bool {
        true
    }

    fn always(&self, world: &World) -> anyhow::Result<()> {
        let runs = Self::runs(world);
        ensure!(runs <= 1, "the script ran {runs} times");
        Ok(())
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        self.always(world)?;
        let publisher = Serving::start(world, "ci")?;
        let begun = Instant::now();
        let shown = loop {
            let shown = Self::shown(world)?;
            if shown["state"] == "answered" {
                break shown;
            }
            ensure!(begun.elapsed() < PATIENCE, "the publisher has no receipt: {shown}");
            std::thread::sleep(STEP);
        };
        drop(publisher);
        let placed = fs::read_to_string(world.path("placed")).context("its file is not there")?;
        ensure!(placed == "page", "its file says {placed:?}");
        // A script that was cut off may have run or not: nobody knows, and that is its answer.
        let reason = shown["reason"].as_str().unwrap_or_default();
        match shown["verdict"].as_str() {
            Some("passed") => ensure!(Self::runs(world) == 1, "it passed and did not run"),
            Some("failed") => {
                ensure!(reason.contains("the machine stopped while it ran"), "it failed: {reason}");
            }
            _ => anyhow::bail!("an answer nobody expected: {shown}"),
        }
        Ok(())
    }
}

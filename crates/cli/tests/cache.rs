//! A node whose store is a cache of a given size.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

#[path = "support/journey.rs"]
mod journey;

use journey::World;

/// Far longer than anything here takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(120);
const CACHE_BYTES: u64 = 200_000;

/// Ends with the test.
struct Node(Child);

impl Node {
    fn start(world: &World, options: &[&str]) -> Self {
        let mut command = world.command("ben");
        command.args(["--json", "node"]).args(options).env_remove("XDG_RUNTIME_DIR");
        let mut node = Self(command.stdout(Stdio::piped()).spawn().expect("starts"));
        let mut line = String::new();
        let out = node.0.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("readable");
        assert!(line.contains("serving"), "{line}");
        node
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A fact of a command of `ben`.
fn fact(world: &World, command: &str, event: &str) -> Value {
    let output = world.command("ben").args(["--json", command]).output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.find(|line| line["event"] == event).unwrap_or_else(|| panic!("{output:?}"))
}

/// What `status` says of the cache once `wanted` holds.
fn cache(world: &World, wanted: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let cache = fact(world, "status", "node")["cache"].clone();
        if wanted(&cache) {
            return cache;
        }
        assert!(began.elapsed() < PATIENCE, "{cache}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn is_small(cache: &Value) -> bool {
    let number = |field: &str| cache[field].as_u64().unwrap_or_default();
    number("evicted_chunks") > 0 && number("stored_bytes") <= CACHE_BYTES
}

/// Small files whose contents are part of the metadata and do not compress.
fn furnish(world: &World, folder: &str, seed: u64) {
    let mut state = seed;
    for directory in 0..20 {
        let directory = world.path(folder).join(directory.to_string());
        fs::create_dir_all(&directory).expect("made");
        for file in 0..60 {
            let mut bytes = Vec::new();
            while bytes.len() < 480 {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                bytes.extend_from_slice(&(state >> 16).to_le_bytes()[..4]);
            }
            fs::write(directory.join(file.to_string()), bytes).expect("written");
        }
    }
}

fn same(world: &World, one: &str, other: &str) {
    let compared = std::process::Command::new("diff")
        .arg("-r")
        .args([world.path(one), world.path(other)])
        .status();
    assert!(compared.expect("diff runs").success(), "{one} and {other} differ");
}

#[test]
fn a_small_cache_forgets_what_can_be_had_again_and_keeps_what_was_put() {
    let world = World::new();
    for node in ["anna", "ben"] {
        let invited =
            world.run("admin", &["invite", "--data", &world.text("hub")], &["invitation"]);
        let invitation = invited["invitation"].as_str().expect("a text").to_owned();
        world.run(node, &["register", &invitation], &["registered"]);
    }
    furnish(&world, "site", 1);
    fs::create_dir(world.path("mine")).expect("made");
    fs::write(world.path("mine/file"), vec![7; 3000]).expect("written");
    world.run("anna", &["publish", &world.text("site"), "team/site", "--public"], &["done"]);

    let _node = Node::start(&world, &["--cache", "200KB"]);
    let put = world.run("ben", &["put", &world.text("mine")], &["done"]);
    let kept = put["tree"].as_str().expect("a text").to_owned();
    world.run("ben", &["get", "team/site", "--to", &world.text("copy")], &["done"]);
    same(&world, "site", "copy");
    let shown = cache(&world, is_small);
    assert_eq!(shown["max_bytes"], CACHE_BYTES);
    let stats = fact(&world, "stats", "done");
    assert_eq!(stats["cache"]["evicted_chunks"], shown["evicted_chunks"], "{stats}");

    // What is gone comes from the hub again, and the copy of what was put is there without it.
    world.run("ben", &["get", "team/site", "--to", &world.text("again")], &["done"]);
    same(&world, "site", "again");
    cache(&world, is_small);
    world.run("ben", &["get", &kept, "--to", &world.text("out")], &["done"]);
    same(&world, "mine", "out");
    let verified = world.run("ben", &["verify"], &["done"]);
    assert_eq!(verified["damaged"], 0);
}

#[test]
fn what_was_put_stays_even_when_it_is_more_than_the_cache_may_hold() {
    let world = World::new();
    furnish(&world, "mine", 9);
    let config = "[node]\ncache = \"100k\"\n";
    fs::create_dir_all(world.path(".config/consign")).expect("made");
    fs::write(world.path(".config/consign/config.toml"), config).expect("written");
    let shown = world.command("ben").args(["config", "show"]).output().expect("runs");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("cache") && shown.contains("100k"), "{shown}");

    let _node = Node::start(&world, &[]);
    let put = world.run("ben", &["put", &world.text("mine")], &["done"]);
    let shown = cache(&world, |cache| cache["stored_bytes"].as_u64() > Some(102_400));
    assert_eq!(shown["max_bytes"], 102_400);
    // Long enough for it to be tried.
    std::thread::sleep(Duration::from_secs(4));
    let tree = put["tree"].as_str().expect("a text");
    world.run("ben", &["get", tree, "--to", &world.text("out")], &["done"]);
    same(&world, "mine", "out");
}

//! A node whose store is a cache of a given size.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::noise;

use crate::documented::Documented;
use crate::files::assert_same;
use crate::process::{PATIENCE, Process, lines, told};
use crate::world::World;

const CACHE_BYTES: u64 = 200_000;

/// Starts the node of `ben`, with the configuration beneath the world's home if there is one.
fn serve(world: &World, options: &[&str]) -> Process {
    let mut command = world.command("ben", &[&["node"], options].concat());
    let (node, hello) = Process::start_ready(command.env_remove("CONSIGN_CONFIG"));
    assert_eq!(hello["event"], "serving");
    node
}

/// A fact of a command of `ben`.
fn fact(world: &World, command: &str, event: &str) -> Value {
    let output = world.run("ben", &[command]);
    let found = lines(&output).into_iter().find(|line| line["event"] == event);
    found.unwrap_or_else(|| panic!("{}", told(&output)))
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
    for directory in 0..20 {
        let path = world.path(folder).join(directory.to_string());
        fs::create_dir_all(&path).expect("made");
        for file in 0..60 {
            let own = seed * 10_000 + directory * 100 + file;
            fs::write(path.join(file.to_string()), noise(own, 480)).expect("written");
        }
    }
}

#[test]
fn a_small_cache_forgets_what_can_be_had_again_and_keeps_what_was_put() {
    let world = Documented::new();
    for node in ["anna", "ben"] {
        world.register(node, &[]);
    }
    furnish(&world, "site", 1);
    fs::create_dir(world.path("mine")).expect("made");
    fs::write(world.path("mine/file"), vec![7; 3000]).expect("written");
    world.tells("anna", &["publish", &world.text("site"), "team/site", "--public"], &["done"]);

    let _node = serve(&world, &["--cache", "200KB"]);
    let put = world.tells("ben", &["put", &world.text("mine")], &["done"]);
    let kept = put["tree"].as_str().expect("a text").to_owned();
    world.tells("ben", &["get", "team/site", "--to", &world.text("copy")], &["done"]);
    assert_same(&world.path("site"), &world.path("copy"));
    let shown = cache(&world, is_small);
    assert_eq!(shown["max_bytes"], CACHE_BYTES);
    let stats = fact(&world, "stats", "done");
    assert_eq!(stats["cache"]["evicted_chunks"], shown["evicted_chunks"], "{stats}");

    // What is gone comes from the hub again, and the copy of what was put is there without it.
    world.tells("ben", &["get", "team/site", "--to", &world.text("again")], &["done"]);
    assert_same(&world.path("site"), &world.path("again"));
    cache(&world, is_small);
    world.tells("ben", &["get", &kept, "--to", &world.text("out")], &["done"]);
    assert_same(&world.path("mine"), &world.path("out"));
    let verified = world.tells("ben", &["verify"], &["done"]);
    assert_eq!(verified["damaged"], 0);
}

#[test]
fn what_was_put_stays_even_when_it_is_more_than_the_cache_may_hold() {
    let world = Documented::new();
    furnish(&world, "mine", 9);
    let config = "[node]\ncache = \"100k\"\n";
    fs::create_dir_all(world.path(".config/consign")).expect("made");
    fs::write(world.path(".config/consign/config.toml"), config).expect("written");
    let mut shown = world.node("ben").plain(&["config", "show"]);
    let shown = shown.env_remove("CONSIGN_CONFIG").output().expect("runs");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("cache") && shown.contains("100k"), "{shown}");

    let _node = serve(&world, &[]);
    let put = world.tells("ben", &["put", &world.text("mine")], &["done"]);
    let shown = cache(&world, |cache| cache["stored_bytes"].as_u64() > Some(102_400));
    assert_eq!(shown["max_bytes"], 102_400);
    // Long enough for it to be tried.
    std::thread::sleep(Duration::from_secs(4));
    let tree = put["tree"].as_str().expect("a text");
    world.tells("ben", &["get", tree, "--to", &world.text("out")], &["done"]);
    assert_same(&world.path("mine"), &world.path("out"));
}

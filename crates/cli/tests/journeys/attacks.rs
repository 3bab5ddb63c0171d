//! The attacks that The Update Framework lists, mounted by the hub itself: a machine of a community
//! speaks with one that alters, withholds and repeats what the real one answers.
//!
//! Each shows that nothing is run, that the machine says what is wrong, and that it goes on when the hub
//! is honest again. What can be said by documents is in `documents`, what by contents in `contents`.

mod contents;
mod documents;
mod revoked;

use std::fs::{self, File};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ::documents::NodeKey;
use community::{Charter, ExchangeKey};
use hub_api::{QueueEntryInfo, QueuePage, Standing};
use serde_json::Value;
use testkit::{Meddler, Meddling};

use crate::community::Community;
use crate::documented::Documented;
use crate::process::{PATIENCE, Process, lines, until};

/// A community whose machine `press-1` speaks with a hostile hub.
struct Siege {
    community: Community,
    hub: Meddler,
    target: Process,
}

/// How many ways a machine knows.
#[derive(Clone, Copy)]
pub(crate) enum Ways {
    /// The hostile hub alone.
    One,
    /// The hostile one first, then the real one.
    Two,
}

impl Siege {
    fn lay(ways: Ways) -> Self {
        let community = Community::create();
        community.peer("ci", &["--role", "publisher"]);
        community.peer("press-1", &["--role", "target", "--label", "site=berlin"]);
        let hub = before(&community.world, "press-1", ways);
        let target = logged(&community.world, "press-1");
        Self { community, hub, target }
    }

    fn world(&self) -> &Documented {
        &self.community.world
    }

    /// Sends a package that leaves a line where it runs.
    fn send(&self, version: &str, more: &[&str]) -> Value {
        let line = format!("echo {version} >> {}", self.community.ran_file().display());
        let package = self.community.package(version, &line);
        self.community.send(&package, more)
    }

    /// The versions that ran, in order.
    fn ran(&self) -> Vec<String> {
        let text = fs::read_to_string(self.community.ran_file()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// What the machine tells of the community.
    fn told(&self) -> Value {
        let status = lines(&self.world().run("press-1", &["status"]));
        status.into_iter().find(|line| line["event"] == "community").unwrap_or_default()
    }

    /// Waits until the machine says this.
    fn says(&self, what: &str) {
        let began = Instant::now();
        loop {
            let told = self.told();
            if told.to_string().contains(what) {
                assert!(told["since"].as_u64() > Some(0), "{told}");
                return;
            }
            let waits = began.elapsed() < PATIENCE;
            assert!(waits, "it does not say {what:?} but {told}, after\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(log_file(self.world(), "press-1")).unwrap_or_default()
    }

    /// The hub is honest again: what waits is carried out, in order and once.
    fn ends_well(&self, versions: &[&str]) {
        self.hub.relent();
        // A package wakes a machine that waits for news, as ever.
        self.send("last", &["--to", "press-1"]);
        let all: Vec<&str> = versions.iter().copied().chain(["last"]).collect();
        until(&format!("{all:?} ran, not {:?}", self.ran()), || self.ran().len() >= all.len());
        assert_eq!(self.ran(), all);
    }
}

/// A hostile hub that a node takes for the one it is registered with.
pub(crate) fn before(world: &Documented, node: &str, ways: Ways) -> Meddler {
    let hub = world.address().parse().expect("an address");
    let hub = Meddler::before(hub, &world.path("hub/tls"));
    let files = fs::read_dir(world.path(&format!("{node}/communities"))).expect("listed");
    let place = files.flatten().map(|entry| entry.path().join("place.json")).next();
    let place = place.expect("it belongs to one");
    for file in [world.path(&format!("{node}/hubs.json")), place] {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let mut known: Value = serde_json::from_str(&text).expect("JSON");
        if let (Ways::Two, Some(hubs)) = (ways, known["hubs"].as_array_mut())
            && file.ends_with("place.json")
        {
            let mut lying = hubs[0].clone();
            lying["url"] = hub.url().into();
            hubs.insert(0, lying);
            fs::write(file, known.to_string()).expect("written");
        } else {
            fs::write(file, text.replace(&world.url, hub.url())).expect("written");
        }
    }
    hub
}

pub(crate) fn log_file(world: &Documented, node: &str) -> std::path::PathBuf {
    world.path(&format!("{node}.log"))
}

/// A node that runs, and what it logs in a file.
pub(crate) fn logged(world: &Documented, name: &str) -> Process {
    let mut command = world.command(name, &["node"]);
    let log = File::create(log_file(world, name)).expect("created");
    let (node, hello) = Process::start_ready(command.env_remove("CONSIGN_CONFIG").stderr(log));
    assert_eq!(hello["event"], "serving");
    node
}

/// The key of a node.
fn key_of(world: &Documented, node: &str) -> NodeKey {
    let opened = node::Node::open(&world.path(node)).expect("opens");
    NodeKey::from_secret_bytes(opened.key().secret_bytes())
}

/// The charter that a node knows.
fn charter_of(world: &Documented, node: &str) -> Charter {
    let opened = node::Node::open(&world.path(node)).expect("opens");
    opened.community(None).expect("one").charter().expect("read")
}

/// The hub's own key, which no manager ever heard of.
fn hubs_own() -> (NodeKey, ExchangeKey) {
    let key = NodeKey::from_secret_bytes([66; 32]);
    let exchange = ExchangeKey::derive(&key);
    (key, exchange)
}

/// Alters what waits for a machine.
fn altered_queue(alter: impl FnOnce(&mut Vec<QueueEntryInfo>) + Send + 'static) -> Meddling {
    Meddling::Alter(Box::new(|body| {
        let Ok(mut page) = serde_json::from_slice::<QueuePage>(&body) else { return body };
        alter(&mut page.entries);
        serde_json::to_vec(&page).expect("JSON")
    }))
}

/// Alters how a community stands.
fn altered_standing(alter: impl FnOnce(&mut Standing) + Send + 'static) -> Meddling {
    Meddling::Alter(Box::new(|body| {
        let Ok(mut standing) = serde_json::from_slice::<Standing>(&body) else { return body };
        alter(&mut standing);
        serde_json::to_vec(&standing).expect("JSON")
    }))
}

/// What a hub answered once, to be answered again.
#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<Option<Vec<u8>>>>);

impl Recorded {
    /// Keeps this answer as the newest; it is passed on.
    fn record(&self) -> Meddling {
        let kept = Arc::clone(&self.0);
        Meddling::Alter(Box::new(move |body| {
            *kept.lock().expect("no panic") = Some(body.clone());
            body
        }))
    }

    /// The same for what waits, while something does.
    fn record_queue(&self) -> Meddling {
        let kept = Arc::clone(&self.0);
        Meddling::Alter(Box::new(move |body| {
            let page = serde_json::from_slice::<QueuePage>(&body);
            if page.is_ok_and(|page| !page.entries.is_empty()) {
                *kept.lock().expect("no panic") = Some(body.clone());
            }
            body
        }))
    }

    /// The recorded answer.
    fn read<T: serde::de::DeserializeOwned>(&self) -> T {
        let kept = self.0.lock().expect("no panic").clone().expect("recorded before");
        serde_json::from_slice(&kept).expect("JSON")
    }

    fn is_there(&self) -> bool {
        self.0.lock().expect("no panic").is_some()
    }

    /// Gives the recorded answer for another.
    fn replay(&self) -> Meddling {
        let kept = self.0.lock().expect("no panic").clone().expect("recorded before");
        Meddling::Alter(Box::new(|_| kept))
    }
}

/// Counts what was asked of a hub.
#[derive(Clone, Default)]
struct Asked(Arc<AtomicUsize>);

impl Asked {
    fn count(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until a question came after all that came before.
    fn once_more(&self) {
        let before = self.0.load(Ordering::SeqCst);
        until("the hub is asked again", || self.0.load(Ordering::SeqCst) > before);
    }
}

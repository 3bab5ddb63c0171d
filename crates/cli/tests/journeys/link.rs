//! Deliveries by a link: sent from a terminal, received in a real browser.
//!
//! What the browser does is in `console/delivery.cjs`. Screenshots of the page are kept beside those of the
//! console.

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use delivery::{DeliveryId, DeliverySecret, Link};
use serde_json::{Value, json};
use testkit::noise;

use crate::console::{Driver, finished};
use crate::delivery::assert_nowhere;
use crate::process::{Process, count, start_hub, told, until};
use crate::world::World;

/// A file name that would run if it were markup.
const HOSTILE: &str = "<img src=x onerror=\"window.ran=true\">.html";
/// What that file holds.
const PAGE: &str = "<script>window.ran = true; alert(1)</script>";
const PASSPHRASE: &str = "correct horse – Größe";
const SEGMENT_BYTES: u64 = 1 << 20;

/// A hub, somebody who sends, and a browser.
struct Scene {
    world: World,
    driver: Driver,
    sender: Option<Process>,
    link: String,
    id: String,
}

impl Scene {
    /// Sends files of these names and contents with these options; `None` where no browser is.
    fn start(files: &[(&str, Vec<u8>)], args: &[&str]) -> Option<Self> {
        let (driver, world) = Self::empty()?;
        let mut paths = Vec::new();
        for (name, bytes) in files {
            let path = world.path("source").join(name);
            fs::create_dir_all(path.parent().expect("below")).expect("made");
            fs::write(&path, bytes).expect("written");
            let top = name.split('/').next().expect("a name");
            let top = world.path("source").join(top).to_str().expect("UTF-8").to_owned();
            if !paths.contains(&top) {
                paths.push(top);
            }
        }
        Some(Self::sending(driver, world, &paths, args))
    }

    fn empty() -> Option<(Driver, World)> {
        let driver = Driver::find()?;
        let world = World::new();
        world.join("anna", &[]);
        Some((driver, world))
    }

    /// Sends what is at these paths.
    fn sending(driver: Driver, world: World, paths: &[String], args: &[&str]) -> Self {
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let mut scene =
            Self { world, driver, sender: None, link: String::new(), id: String::new() };
        fs::write(scene.world.path("passphrase"), format!("{PASSPHRASE}\n")).expect("written");
        let file = scene.world.text("passphrase");
        // Where a world's file stands for the passphrase.
        let args = args.iter().map(|arg| if *arg == "PASSPHRASE" { &*file } else { arg });
        let args: Vec<&str> = ["--link"].into_iter().chain(paths).chain(args).collect();
        let line = scene.send(&args);
        assert_eq!(line["event"], "link", "{line}");
        scene.link = line["link"].as_str().expect("a text").to_owned();
        scene.id = line["id"].as_str().expect("a text").to_owned();
        scene
    }

    /// Starts a sender and waits for what it hands over.
    fn send(&mut self, args: &[&str]) -> Value {
        let facts = self.world.path("facts");
        let mut command = self.world.command("anna", &[&["send"], args].concat());
        command.stdout(fs::File::create(&facts).expect("made")).stderr(Stdio::null());
        self.sender = Some(Process::start(&mut command));
        let said = || fs::read_to_string(&facts).expect("there");
        until("the link comes", || said().ends_with('\n'));
        serde_json::from_str(said().lines().next().expect("a line")).expect("JSON")
    }

    /// What the browser is told.
    fn told(&self, more: &Value) -> Value {
        let downloads = self.world.path("downloads");
        fs::create_dir_all(&downloads).expect("made");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/console/delivery.cjs");
        let mut told = json!({ "journeys": script, "delivery": self.link, "downloads": downloads });
        for (name, value) in more.as_object().expect("an object") {
            told[name] = value.clone();
        }
        told
    }

    fn run(&self, journey: &str, more: &Value) -> Value {
        let driver = self.driver.start(&self.world, journey, self.told(more));
        finished(driver.wait_with_output().expect("ends"))
    }

    fn download(&self, name: &Value) -> PathBuf {
        self.world.path("downloads").join(name.as_str().expect("a name"))
    }

    /// The sender ends by itself; the last it said.
    fn sent(&mut self) -> Value {
        self.sender.take().expect("it runs").0.wait().expect("ends");
        let text = fs::read_to_string(self.world.path("facts")).expect("there");
        serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
    }
}

#[test]
fn a_delivery_is_received_in_a_browser_and_saved_in_every_way() {
    let plans = noise(5, 3_000_000).to_vec();
    let files = [
        ("plans/ground.dwg", plans.clone()),
        ("plans/words.txt", "words and words ".repeat(200_000).into_bytes()),
        ("plans/empty", Vec::new()),
        (HOSTILE, PAGE.into()),
        ("gpj.\u{202e}exe", b"x".to_vec()),
        ("Größen 本.txt", "ä\n".into()),
    ];
    let subject = "<script>window.ran = true</script> Plans";
    let message = "As promised.\n<b>Anna</b>";
    let args = ["--subject", subject, "--message", message];
    let Some(mut scene) = Scene::start(&files, &args) else { return };
    let shown =
        ["plans/ground.dwg", "plans/words.txt", HOSTILE, "gpj.\\u{202e}exe", "Größen 本.txt"];
    let found = scene.run(
        "receive",
        &json!({
            "subject": subject, "message": message, "shown": shown,
            "single": "plans/ground.dwg", "hostile": HOSTILE,
        }),
    );
    let sent = scene.sent();
    assert_eq!(sent["event"], "delivered", "{sent}");
    assert_eq!(found["single"], "ground.dwg");
    assert!(fs::read(scene.download(&found["single"])).expect("there") == plans);
    let hostile = found["hostile"].as_str().expect("a name");
    assert!(!hostile.contains(['<', '>', '"']) && hostile.ends_with(".html"), "{hostile}");
    assert_eq!(fs::read(scene.download(&found["hostile"])).expect("there"), PAGE.as_bytes());
    let hostile = "/delivery/_img src=x onerror=_window.ran=true__.html";
    let expected = json!({
        "/delivery/plans/ground.dwg": 3_000_000, "/delivery/plans/words.txt": 3_200_000,
        "/delivery/plans/empty": 0, "/delivery/gpj.exe": 1, "/delivery/Größen 本.txt": 3,
        hostile: PAGE.len(),
    });
    assert_eq!(found["folder"], expected);
    assert_archive(&scene.download(&found["archive"]), &files, hostile);
    // What the hub keeps and what it said knows neither contents nor key.
    let key = scene.link.split_once('#').expect("has a key").1.to_owned();
    for needle in [key.as_bytes(), b"words and words ", b"ground.dwg"] {
        assert_nowhere(&scene.world.path("hub"), needle);
    }
}

/// Takes the archive apart by its local heads; contents are stored as they are.
fn assert_archive(path: &Path, files: &[(&str, Vec<u8>)], hostile: &str) {
    let bytes = fs::read(path).expect("there");
    let number = |at: usize, length: usize| {
        (0..length).fold(0, |sum, place| sum | usize::from(bytes[at + place]) << (8 * place))
    };
    let (mut at, mut found) = (0, Vec::new());
    while bytes[at..].starts_with(b"PK\x03\x04") {
        let (size, name, extra) = (number(at + 18, 4), number(at + 26, 2), number(at + 28, 2));
        let start = at + 30 + name + extra;
        let name = std::str::from_utf8(&bytes[at + 30..at + 30 + name]).expect("UTF-8");
        found.push((name, &bytes[start..start + size]));
        at = start + size;
    }
    assert!(bytes[at..].starts_with(b"PK\x01\x02"), "the directory follows");
    assert!(found.contains(&("plans/", &[])), "folders have entries");
    assert_eq!(found.len(), files.len() + 1);
    for (name, contents) in files {
        let name = match *name {
            HOSTILE => hostile.trim_start_matches("/delivery/"),
            "gpj.\u{202e}exe" => "gpj.exe",
            name => name,
        };
        assert!(found.contains(&(name, contents.as_slice())), "{name}");
    }
}

#[test]
fn a_page_that_is_loaded_again_and_a_browser_that_is_killed_go_on_where_they_were() {
    let total = 96 << 20;
    let contents = noise(6, total).to_vec();
    let Some(mut scene) = Scene::start(&[("film.mkv", contents.clone())], &[]) else { return };
    let found = scene.run("resume", &json!({ "total": total }));
    let starts: Vec<u64> = serde_json::from_value(found["starts"].clone()).expect("numbers");
    let segments = ["first", "second"].map(|name| count(&found, name) / SEGMENT_BYTES);
    for reached in segments {
        assert!(starts.iter().any(|start| *start >= reached), "{starts:?} after {segments:?}");
    }
    assert!(starts.iter().filter(|start| **start == 0).count() == 1, "begun once: {starts:?}");
    assert_eq!(scene.sent()["event"], "delivered");
    assert!(fs::read(scene.download(&found["name"])).expect("there") == contents);
}

/// MiB of a file that is larger than a page could hold: as many as somebody asks for, in a longer run.
fn large_mib() -> u64 {
    let asked = std::env::var("CONSIGN_LINK_MIB").ok();
    asked.map_or(320, |text| text.parse().expect("a number of MiB"))
}

/// How long a page may take for that, in milliseconds: half a MiB per second at least, on a machine that is busy.
pub(crate) fn large_patience_ms() -> u64 {
    large_mib().max(320) * 2000
}

/// Makes such a file, piece by piece; its hash.
pub(crate) fn make_large(path: &Path) -> blake3::Hash {
    let mut file = fs::File::create(path).expect("made");
    let mut hasher = blake3::Hasher::new();
    for number in 0..large_mib() {
        let piece = noise(number, 1 << 20);
        hasher.update(&piece);
        file.write_all(&piece).expect("written");
    }
    hasher.finalize()
}

pub(crate) fn hash_of(path: &Path) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(fs::File::open(path).expect("there")).expect("read");
    hasher.finalize()
}

/// A page with nothing in it has 120 MB and more; contents of which a part stayed would show, the more the larger they
/// are.
pub(crate) fn assert_held_little(found: &Value, done: &str) {
    let most = count(found, "most");
    eprintln!("{} MiB {done}; the page had at most {} MB", large_mib(), most / 1_000_000);
    assert!(most > 0 && most < 350_000_000, "the page had {most} bytes");
}

#[test]
fn more_than_a_page_could_hold_is_received_on_its_disk() {
    let Some((driver, world)) = Scene::empty() else { return };
    let source = world.path("image.iso");
    let expected = make_large(&source);
    let paths = [source.to_str().expect("UTF-8").to_owned()];
    let mut scene = Scene::sending(driver, world, &paths, &[]);
    let found = scene.run("large", &json!({ "patience": large_patience_ms() }));
    assert_eq!(scene.sent()["event"], "delivered");
    assert_eq!(hash_of(&scene.download(&found["name"])), expected);
    assert_held_little(&found, "received");
}

#[test]
fn a_page_says_what_it_waits_for_and_goes_on() {
    let contents = noise(8, 24 << 20).to_vec();
    let Some(mut scene) = Scene::start(&[("film.mkv", contents)], &[]) else { return };
    let killed = scene.world.path("killed");
    let told_browser = scene.told(&json!({ "killed": killed }));
    let mut watching = scene.driver.start(&scene.world, "waiting", told_browser);
    let mut said = BufReader::new(watching.stderr.take().expect("piped"));
    assert_eq!(line(&mut said), "offered\n");
    scene.sender.take().expect("it runs").kill();
    fs::write(&killed, "").expect("written");
    assert_eq!(line(&mut said), "waits\n");
    let address = scene.world.address().to_owned();
    scene.world.hub.kill();
    assert_eq!(line(&mut said), "hubless\n");
    (scene.world.hub, _) = start_hub(&scene.world.path("hub"), &["--listen", &address]);
    assert_eq!(line(&mut said), "back\n");
    let id = scene.id.clone();
    let resumed = scene.send(&["--resume", &id, "--link"]);
    assert_eq!(resumed["link"], scene.link, "the same link");
    let output = watching.wait_with_output().expect("ends");
    assert!(output.status.success(), "{}{}", told(&output), rest(said));
    assert_eq!(scene.sent()["event"], "delivered");
}

/// The next line of the browser's driver; all that it says when that is its end.
fn line(said: &mut impl BufRead) -> String {
    let mut line = String::new();
    said.read_line(&mut line).expect("readable");
    let is_word = line.trim_end().bytes().all(|byte| byte.is_ascii_lowercase());
    if is_word { line } else { line + &rest(said) }
}

fn rest(mut said: impl std::io::Read) -> String {
    let mut text = String::new();
    said.read_to_string(&mut text).expect("readable");
    text
}

#[test]
fn a_link_that_was_altered_is_told_from_one_that_nobody_sends() {
    let Some(scene) = Scene::start(&[("a", b"a".to_vec())], &[]) else { return };
    let Link(mut unsent) = scene.link.parse().expect("a link");
    unsent.id = DeliveryId::from_bytes([9; 16]);
    unsent.secret = DeliverySecret::from_bytes([9; 32]);
    scene.run("links", &json!({ "unsent": Link(unsent).to_string() }));
}

#[test]
fn a_locked_link_opens_with_its_passphrase_alone() {
    let args = ["--passphrase-file", "PASSPHRASE"];
    let Some(mut scene) = Scene::start(&[("a", b"a".to_vec())], &args) else { return };
    scene.run("locked", &json!({ "passphrase": PASSPHRASE }));
    assert_eq!(scene.sent()["event"], "delivered");
}

#[test]
fn who_does_not_want_it_ends_it_for_both() {
    let Some(mut scene) = Scene::start(&[("a", b"a".to_vec())], &[]) else { return };
    scene.run("refuse", &json!({}));
    let said = scene.sent();
    assert_ne!(said["event"], "delivered", "{said}");
}

#[test]
fn a_terminal_takes_a_link_as_it_takes_a_ticket() {
    let world = World::new();
    world.join("anna", &[]);
    fs::write(world.path("notes.txt"), "notes").expect("written");
    fs::write(world.path("passphrase"), PASSPHRASE).expect("written");
    let (notes, file, passphrase) =
        (world.text("notes.txt"), world.text("link"), world.text("passphrase"));
    let locked = ["--passphrase-file", &*passphrase];
    for (to, more) in [("in", &[][..]), ("locked", &locked)] {
        let facts = world.path("facts");
        let send = [&["send", "--link", "--ticket-file", &file, &notes], more].concat();
        let mut command = world.command("anna", &send);
        command.stdout(fs::File::create(&facts).expect("made")).stderr(Stdio::null());
        let mut sender = Process::start(&mut command);
        until("the link comes", || fs::read_to_string(&facts).expect("there").ends_with('\n'));
        let link = fs::read_to_string(&file).expect("there");
        let address = format!("{}/d/", world.url.trim_end_matches('/'));
        assert!(link.starts_with(&address), "{link}");
        let said = fs::read_to_string(&facts).expect("there");
        assert!(said.contains("\"link\"") && !said.contains(link.trim()), "{said}");
        fs::create_dir(world.path(to)).expect("made");
        let receive = ["receive", "--yes", "--to", &world.text(to), link.trim()];
        if !more.is_empty() {
            let refused = world.fails("ben", &receive, 2);
            let message = refused["message"].as_str().expect("a text");
            assert!(message.contains("--passphrase-file"), "{message}");
        }
        let received = world.ok("ben", &[&receive, more].concat());
        assert_eq!(received["event"], "received");
        sender.0.wait().expect("ends");
        assert_eq!(fs::read(world.path(to).join("notes.txt")).expect("there"), b"notes");
        let altered = link.trim().replace("/d/", "/d/0");
        let refused = world.fails("ben", &["receive", "--yes", &altered], 2);
        assert!(refused["message"].as_str().is_some_and(|it| it.contains("link")), "{refused}");
    }
}

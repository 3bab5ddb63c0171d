//! The console as people see it: a real browser, a real hub with real releases.
//!
//! Chromium and Node.js come from the machine, `playwright-core` from the lock file in `console/`;
//! `cargo xtask test` installs all three. Screenshots of every page are kept in
//! `target/screenshots`: look at them after a change of a template or the style sheet.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use testkit::parts;

use crate::process::told;
use crate::world::World;

/// A file name that would run if it were markup.
const HOSTILE: &str = "<img src=x onerror=\"window.ran=true\">.html";
/// What that file holds.
const PAGE: &str = "<script>window.ran = true; alert(1)</script>";

/// Where cargo builds.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("below target").to_owned()
}

/// What drives a browser; `None` when a part lacks, which was said then.
pub(crate) struct Driver {
    node: PathBuf,
    browser: PathBuf,
    playwright: PathBuf,
}

impl Driver {
    pub(crate) fn find() -> Option<Self> {
        let node = parts::require("node")?;
        let browser = parts::require("chromium")?;
        let playwright = target().join("tools/console/node_modules/playwright-core");
        if !playwright.is_dir() {
            parts::skip("playwright-core", "`cargo xtask test` puts it into target/tools");
            return None;
        }
        Some(Self { node, browser, playwright })
    }

    pub(crate) fn start(&self, world: &World, journey: &str, more: Value) -> Child {
        let mut told = json!({
            "link": link(world),
            "name": "team/tools",
            "key": "ab".repeat(32),
            "pages": PAGES,
        });
        for (name, value) in more.as_object().expect("an object") {
            told[name] = value.clone();
        }
        // A profile of its own, gone with the test.
        let mut command = self.command(world.directory.path());
        // The console of a community is no hub's.
        let url = told["url"].as_str().unwrap_or(&world.url).to_owned();
        self.start_by(&mut command, &url, journey, told)
    }

    /// The command, with this home; wherever it is run it has to be [started](Self::start_by).
    pub(crate) fn command(&self, home: &Path) -> Command {
        let mut command = Command::new(&self.node);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/console/browser.cjs");
        command.arg(script).env("HOME", home);
        command
    }

    /// Starts a journey at the hub that the browser knows by this URL, with what the journey is told.
    pub(crate) fn start_by(
        &self,
        command: &mut Command,
        url: &str,
        journey: &str,
        mut told: Value,
    ) -> Child {
        let screenshots = target().join("screenshots");
        fs::create_dir_all(&screenshots).expect("made");
        for (name, value) in [
            ("journey", json!(journey)),
            ("url", json!(url)),
            ("browser", json!(self.browser)),
            ("playwright", json!(self.playwright)),
            ("screenshots", json!(screenshots)),
        ] {
            told[name] = value;
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut driver = command.spawn().expect("node starts");
        // By standard input: the link is a secret, and arguments are for everybody to see.
        let mut input = driver.stdin.take().expect("piped");
        input.write_all(told.to_string().as_bytes()).expect("written");
        driver
    }

    fn run(&self, world: &World, journey: &str, more: Value) -> Value {
        finished(self.start(world, journey, more).wait_with_output().expect("ends"))
    }
}

pub(crate) fn finished(output: Output) -> Value {
    assert!(output.status.success(), "{}", told(&output));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// Every page, and what its screenshots are called.
const PAGES: [[&str; 2]; 15] = [
    ["overview", "/console"],
    ["names", "/console/names"],
    ["names-none", "/console/names?q=nothing-like-it"],
    ["name", "/console/names/team/tools"],
    ["name-sealed", "/console/names/anna/papers"],
    ["changes", "/console/names/team/tools/changes?from=1&to=3"],
    ["changes-sealed", "/console/names/anna/papers/changes?from=1&to=2"],
    ["tree", "/console/names/team/tools/3/tree"],
    ["tree-deep", "/console/names/team/tools/3/tree?path=docs/guide"],
    ["tree-sealed", "/console/names/anna/papers/1/tree"],
    ["invitations", "/console/invitations"],
    ["accounts", "/console/accounts"],
    ["people", "/console/people"],
    ["tokens", "/console/tokens"],
    ["audit", "/console/audit"],
];

/// A hub with three releases of a private name, a public one, a sealed one, a reader, tokens.
fn furnished() -> World {
    let world = World::with_publisher();
    let ben = world.join("ben", &["--reader", "--read", "team/tools"]);
    let files = world.path("files");
    furnish(&files);
    publish(&world, &["team/tools"]);
    fs::write(files.join("docs/page-03.md"), "another text\n").expect("written");
    fs::rename(files.join("docs/page-05.md"), files.join("docs/guide/page-05.md")).expect("moved");
    publish(&world, &["team/tools"]);
    fs::remove_file(files.join("docs/page-07.md")).expect("removed");
    fs::write(files.join("docs/new.md"), "new\n").expect("written");
    publish(&world, &["team/tools"]);
    publish(&world, &["team/site", "--public"]);
    let capability = world.text("capability");
    let sealed = ["anna/papers", "--sealed", "--capability-file", &capability];
    publish(&world, &sealed);
    fs::write(files.join("docs/new.md"), "newer\n").expect("written");
    publish(&world, &sealed);
    world.ok("anna", &["grant", "anna/papers", &ben]);
    let token = ["token", "create", "--label"];
    let labelled = ["build machine", "--name", "team/tools", "--publish"];
    world.ok("anna", &[&token[..], &labelled].concat());
    world.ok("anna", &[&token[..], &["<script>window.ran=true</script>\u{202e}"]].concat());
    world.invitation(&["--reader", "--read", "team/tools"]);
    world
}

fn publish(world: &World, more: &[&str]) {
    // What was changed just now must not count as unchanged.
    world.ok("anna", &[&["publish", "--reread", &world.text("files")], more].concat());
}

/// A link that opens the console.
fn link(world: &World) -> String {
    let made = world.ok("admin", &["console", "--data", &world.text("hub")]);
    made["link"].as_str().expect("a string").to_owned()
}

fn furnish(root: &Path) {
    fs::create_dir_all(root.join("docs/guide")).expect("made");
    fs::create_dir_all(root.join("bin")).expect("made");
    fs::create_dir_all(root.join("empty")).expect("made");
    for number in 0..40 {
        let text = format!("page {number}\n").repeat(20 + number * number);
        fs::write(root.join(format!("docs/page-{number:02}.md")), text).expect("written");
    }
    fs::write(root.join("bin/tool"), testkit::noise(7, 3_000_000)).expect("written");
    fs::write(root.join("README.md"), "Tools of the team.\n").expect("written");
    fs::write(root.join("Größen 本.txt"), "ä\n").expect("written");
    fs::write(root.join(HOSTILE), PAGE).expect("written");
    fs::write(root.join("gpj.\u{202e}exe"), "x").expect("written");
    let raw = std::ffi::OsStr::from_bytes(b"not-\xff-utf8\n'\"");
    fs::write(root.join(raw), "x").expect("written");
    symlink("bin/tool", root.join("javascript:alert(1)")).expect("linked");
}

#[test]
fn every_page_is_shown_on_a_desk_in_the_dark_and_on_a_phone() {
    let Some(driver) = Driver::find() else { return };
    let world = furnished();
    let found = driver.run(&world, "screens", json!({}));
    // What the page showed once does let somebody in.
    let invitation = found["invitation"].as_str().expect("a string");
    world.ok("carla", &["register", invitation]);
}

#[test]
fn an_empty_hub_says_what_to_do_next() {
    let Some(driver) = Driver::find() else { return };
    let world = World::new();
    let pages = ["overview", "names", "invitations", "accounts", "tokens", "audit"];
    let pages = pages.map(|page| {
        let path = if page == "overview" { String::new() } else { format!("/{page}") };
        [format!("empty-{page}"), format!("/console{path}")]
    });
    driver.run(&world, "screens", json!({ "pages": pages, "empty": true }));
}

#[test]
fn the_keyboard_is_enough() {
    let Some(driver) = Driver::find() else { return };
    driver.run(&furnished(), "keyboard", json!({}));
}

#[test]
fn no_script_is_needed() {
    let Some(driver) = Driver::find() else { return };
    driver.run(&furnished(), "noscript", json!({}));
}

#[test]
fn a_link_opens_one_session_and_stands_in_no_request() {
    let Some(driver) = Driver::find() else { return };
    driver.run(&World::new(), "link", json!({}));
}

#[test]
fn names_of_files_and_tokens_stay_text() {
    let Some(driver) = Driver::find() else { return };
    let tree = "/console/names/team/tools/3/tree";
    let shown =
        [HOSTILE, "Größen 本.txt", "gpj.\\u{202e}exe", "not-\\xff-utf8\\u{a}'\"", "→ bin/tool"];
    let more = json!({ "tree": tree, "shown": shown, "page": HOSTILE });
    let found = driver.run(&furnished(), "hostile", more);
    assert_eq!(found["bytes"], PAGE);
    let name = found["name"].as_str().expect("a string");
    assert!(name.ends_with(".html"), "{name}");
}

#[test]
fn transfers_show_while_they_run() {
    let Some(driver) = Driver::find() else { return };
    let world = furnished();
    let mut watching = driver.start(&world, "live", json!({}));
    let mut said = BufReader::new(watching.stderr.take().expect("piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("readable");
    assert_eq!(line, "watching\n", "{line}");
    world.ok("ben", &["get", "team/tools", "--to", &world.text("copy")]);
    let output = watching.wait_with_output().expect("ends");
    std::io::copy(&mut said, &mut std::io::stderr()).expect("read");
    let row = finished(output)["row"].as_str().expect("a string").to_owned();
    let key = world.ok("ben", &["id"])["key"].as_str().expect("a string").to_owned();
    assert!(row.starts_with("Fetch") && row.contains(&key[..16]), "{row}");
    assert!(row.contains("MB"), "{row}");
}

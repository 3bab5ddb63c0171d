//! The page of a guest: a browser sends by a link, without an account.
//!
//! What the browser does is in `console/guest.cjs`.

use std::fs;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::json;
use testkit::noise;

use crate::browser::Browser;
use crate::delivery::{assert_nowhere, hold};
use crate::process::Process;
use crate::world::World;

#[test]
fn a_guest_sends_from_a_browser_also_after_its_page_was_closed() {
    let world = World::with(&["--guests", "64MB"]);
    let film = noise(8, 24 << 20).to_vec();
    fs::write(world.path("film.mkv"), &film).expect("written");
    let larger = world.path("larger.mkv");
    fs::File::create(&larger).and_then(|file| file.set_len(65_000_000)).expect("made");
    let folder = world.path("pictures");
    fs::create_dir_all(&folder).expect("made");
    fs::write(folder.join("one.txt"), "one").expect("written");
    let told = json!({"files": [world.text("film.mkv")], "larger": larger, "folder": folder});
    let Some(mut browser) = Browser::start(&world, "guest.cjs", "send", told) else { return };
    let link = browser.asks("receive");
    let to = world.text("in");
    fs::create_dir(&to).expect("made");
    let mut command = world.command("carla", &["receive", "--yes", "--to", &to, &link]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    // Ended with this test, whatever becomes of the browser.
    let mut receiver = Process::start(&mut command);
    hold(&world, "carla", &receiver, 3);
    fs::write(world.path("place/held"), "").expect("written");
    browser.asks("release");
    receiver.signal(Signal::CONT);
    browser.found();
    assert!(receiver.0.wait().expect("ends").success());
    assert!(fs::read(world.path("in/film.mkv")).expect("there") == film);
    let (_, secret) = link.split_once('#').expect("a link");
    for needle in [b"film.mkv".as_slice(), b"As promised", secret.as_bytes()] {
        assert_nowhere(&world.path("hub"), needle);
    }
}

#[test]
fn a_hub_without_guests_says_so_on_its_page() {
    let world = World::new();
    let Some(browser) = Browser::start(&world, "guest.cjs", "closed", json!({})) else { return };
    browser.found();
}

#[test]
fn who_received_by_a_link_sends_something_back() {
    let world = World::with(&["--guests", "64MB"]);
    fs::write(world.path("answer.txt"), "Twelve.").expect("written");
    let received = format!("{}/d/{}", world.url, "00".repeat(16));
    let told = json!({"files": [world.text("answer.txt")], "received": received});
    let Some(mut browser) = Browser::start(&world, "guest.cjs", "back", told) else { return };
    let link = browser.asks("receive");
    let to = world.text("in");
    fs::create_dir(&to).expect("made");
    let came = world.ok("ben", &["receive", "--yes", "--to", &to, &link]);
    assert_eq!(came["event"], "received", "{came}");
    browser.found();
    assert_eq!(fs::read(world.path("in/answer.txt")).expect("there"), b"Twelve.");
}

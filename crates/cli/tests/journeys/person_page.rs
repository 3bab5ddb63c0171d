//! A person's page: a browser that is a device of somebody, beside the ones that are terminals.
//!
//! What the browser does is in `console/person.cjs`; it says what is to be done in between.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::{Value, json};
use testkit::noise;

use crate::browser::Browser;
use crate::console::Driver;
use crate::delivery::{assert_nowhere, hold};
use crate::link::{assert_held_little, hash_of, large_patience_ms, make_large};
use crate::people::{PASSWORD, Sending, person, with_input};
use crate::process::{Process, until};
use crate::world::World;

mod drop;
mod keys;

/// A name that would run if it were markup.
const HOSTILE: &str = "<img src=x onerror=\"window.ran=true\">";

/// A browser that is to become a device of ben's; `None` where no browser is.
fn start(world: &World, journey: &str, mut told: Value) -> Option<Browser> {
    told["handle"] = json!("ben");
    told["password"] = json!(PASSWORD);
    Browser::start(world, "person.cjs", journey, told)
}

/// Has another device of ben's approve it.
fn approved(browser: &mut Browser, world: &World) {
    let line = browser.asks("approve");
    let (approved, code) = with_input(world, "ben", &["account", "approve"], &line);
    assert_eq!(code, Some(0), "{approved}");
}

/// Anna and ben, each on a terminal.
fn two_people() -> World {
    two_people_at(World::new())
}

fn two_people_at(world: World) -> World {
    person(&world, "anna");
    person(&world, "ben");
    world
}

#[test]
fn a_browser_becomes_a_device_by_the_password_and_the_word_of_another_one() {
    let world = two_people();
    let Some(mut browser) = start(&world, "door", json!({})) else { return };
    approved(&mut browser, &world);
    browser.asks("remove");
    world.lines("ben", &["account", "remove", "Browser"], 0);
    browser.found();
    assert_nowhere(&world.path("hub"), PASSWORD.as_bytes());
}

#[test]
fn who_signs_out_is_a_device_no_more_or_is_told_why_it_stays() {
    let world = two_people();
    let Some(mut browser) = start(&world, "leave", json!({})) else { return };
    approved(&mut browser, &world);
    browser.asks("write");
    let has_browser = || {
        let shown = world.lines("ben", &["account", "show"], 0);
        shown.iter().any(|line| line["name"] == "Browser")
    };
    assert!(has_browser(), "what it wrote last is read with its key");
    world.ok("ben", &["book", "add", "anna", "--notes", "plays the oboe"]);
    fs::write(world.path("place/written"), "").expect("written");
    browser.found();
    assert!(!has_browser(), "it took itself off");
    // And took nothing with it.
    let book = world.lines("ben", &["book", "list"], 0);
    assert!(book.iter().any(|line| line["notes"] == "plays the oboe"), "{book:?}");
}

#[test]
fn what_a_terminal_sends_is_received_on_a_persons_page() {
    let world = two_people();
    world.ok("ben", &["book", "add", "anna"]);
    let plans = noise(5, 3_000_000).to_vec();
    fs::write(world.path("ground.dwg"), &plans).expect("written");
    fs::write(world.path(HOSTILE.trim_end_matches('>')), "x").expect("written");
    let subject = format!("{HOSTILE} Plans");
    let told = json!({"subject": subject, "file": "ground.dwg"});
    let Some(mut browser) = start(&world, "receive", told) else { return };
    approved(&mut browser, &world);
    browser.asks("send");
    let (plan, hostile) = (world.text("ground.dwg"), world.text(HOSTILE.trim_end_matches('>')));
    let args = [&*plan, &hostile, "--subject", &subject, "--to", "ben"];
    let sending = Sending::start(&world, "anna", &args);
    let found = browser.found();
    // The receipt is by a device of ben's, or anna would not believe it.
    assert_eq!(sending.last()["event"], "delivered");
    let name = found["name"].as_str().expect("a name");
    assert!(fs::read(world.path("place").join(name)).expect("there") == plans);
    assert_nowhere(&world.path("hub"), b"ground.dwg");
}

#[test]
fn whom_a_page_lets_in_or_compares_or_blocks_the_terminal_knows_so() {
    let world = two_people();
    person(&world, "carla");
    let details = ["account", "create", "dora", "--first-name", HOSTILE];
    world.join("dora", &[]);
    assert_eq!(with_input(&world, "dora", &details, PASSWORD).1, Some(0));
    fs::write(world.path("note.txt"), "hello").expect("written");
    let note = world.text("note.txt");
    let Some(mut browser) = start(&world, "contacts", json!({"name": HOSTILE})) else {
        return;
    };
    approved(&mut browser, &world);
    browser.asks("send");
    let _stranger = Sending::start(&world, "dora", &[&note, "--subject", "x", "--to", "ben"]);
    let _sending = Sending::start(&world, "anna", &[&note, "--to", "ben"]);
    browser.asks("look");
    let book = world.lines("ben", &["book"], 0);
    let carla = book.iter().find(|line| line["handle"] == "carla").expect("a contact");
    assert_eq!(
        (&carla["first_name"], &carla["notes"], &carla["verified"]),
        (&json!("Carla"), &json!("plays the oboe"), &json!(true)),
    );
    assert!(book.iter().any(|line| line["event"] == "blocked" && line["handle"] == "anna"));
    assert_eq!(book[0]["policy"], "block-all");
    let words = world.ok("ben", &["book", "verify", "carla"])["words"].clone();
    world.ok("ben", &["book", "add", "carla", "--notes", "plays the oboe and the flute"]);
    fs::write(world.path("place/changed"), "").expect("written");
    browser.asks("reset");
    let data = world.text("hub");
    let reset = world.lines("carla", &["account", "reset", "carla", "--data", &data], 0);
    let password = reset.last().expect("a line")["password"].as_str().expect("a text").to_owned();
    world.join("carla-anew", &[]);
    let login = ["account", "login", "carla"];
    assert_eq!(with_input(&world, "carla-anew", &login, &password).1, Some(0));
    fs::write(world.path("place/reset"), "").expect("written");
    let found = browser.found();
    assert_eq!(found["words"], words);
    let now = world.ok("ben", &["book", "verify", "carla"])["words"].clone();
    assert_ne!(now, words, "she is somebody else now");
}

#[test]
fn what_a_page_sends_is_collected_by_a_link_and_by_a_person() {
    let world = two_people();
    world.ok("anna", &["book", "add", "ben"]);
    let plans = noise(6, 5_000_000).to_vec();
    fs::write(world.path("ground.dwg"), &plans).expect("written");
    fs::write(world.path("empty"), "").expect("written");
    let folder = world.path("pictures");
    fs::create_dir_all(folder.join("deep")).expect("made");
    fs::write(folder.join("one.txt"), "one").expect("written");
    fs::write(folder.join("deep/two.bin"), noise(7, 2_000_000)).expect("written");
    let told = json!({"files": [world.text("ground.dwg"), world.text("empty")], "folder": folder});
    let Some(mut browser) = start(&world, "send", told) else { return };
    approved(&mut browser, &world);
    let link = browser.asks("receive");
    let to = world.text("in");
    fs::create_dir(&to).expect("made");
    let received = world.ok("carla", &["receive", "--yes", "--to", &to, &link]);
    assert_eq!(received["event"], "received", "{received}");
    assert!(fs::read(world.path("in/ground.dwg")).expect("there") == plans);
    assert_eq!(fs::read(world.path("in/empty")).expect("there"), b"");
    let id = browser.asks("accept");
    let to = world.text("of-anna");
    fs::create_dir(&to).expect("made");
    let received = world.ok("anna", &["accept", &id, "--to", &to]);
    assert_eq!(received["event"], "received", "{received}");
    for name in ["one.txt", "deep/two.bin"] {
        let came = fs::read(world.path("of-anna/pictures").join(name)).expect("there");
        assert!(came == fs::read(folder.join(name)).expect("there"), "{name}");
    }
    browser.found();
    let (_, secret) = link.split_once('#').expect("a link");
    for needle in [b"ground.dwg".as_slice(), b"As promised", secret.as_bytes()] {
        assert_nowhere(&world.path("hub"), needle);
    }
}

#[test]
fn the_signature_is_the_same_on_the_page_and_in_the_terminal_and_stands_under_messages_of_both() {
    let world = two_people();
    fs::write(world.path("note.txt"), "hello").expect("written");
    let changed = "Ben\nRoom 8 <img src=x>";
    let messages = [
        ("signed", "As promised.\n", true, format!("As promised.\n\n-- \n{changed}")),
        ("left out", "As promised.\n", false, "As promised.\n".to_owned()),
        ("empty", "", true, String::new()),
        ("early", "At once.\n", true, format!("At once.\n\n-- \n{changed}")),
    ];
    let told = messages.each_ref().map(|(subject, message, is_signed, _)| {
        let is_early = *subject == "early";
        json!({"subject": subject, "message": message, "isSigned": is_signed, "isEarly": is_early})
    });
    let told = json!({"signature": "Ben\nRoom 7", "changed": changed, "messages": told,
        "files": [world.text("note.txt")]});
    let Some(mut browser) = start(&world, "signature", told) else { return };
    approved(&mut browser, &world);
    browser.asks("change");
    assert_eq!(world.lines("ben", &["book"], 0)[0]["signature"], "Ben\nRoom 7");
    let (set, code) = with_input(&world, "ben", &["book", "signature"], changed);
    assert_eq!(code, Some(0), "{set}");
    for (subject, _, _, expected) in &messages {
        let link = browser.asks("receive");
        let to = world.text(&format!("in {subject}"));
        fs::create_dir(&to).expect("made");
        let lines = world.lines("anna", &["receive", "--yes", "--to", &to, &link], 0);
        let shown = lines.iter().find(|line| line["event"] == "offered").expect("what is in it");
        assert_eq!((&shown["subject"], &shown["message"]), (&json!(subject), &json!(expected)));
    }
    browser.found();
}

#[test]
fn what_a_page_left_with_the_hub_is_collected_while_it_is_closed_and_its_receipt_found_later() {
    let quotas = ["--locker-quota", "200MB", "--locker-account-quota", "20MB"];
    let world = two_people_at(World::with(&quotas));
    world.ok("anna", &["book", "add", "ben"]);
    let plans = noise(9, 5_000_000).to_vec();
    fs::write(world.path("ground.dwg"), &plans).expect("written");
    fs::write(world.path("large.bin"), noise(10, 24 << 20)).expect("written");
    let told = json!({"files": [world.text("ground.dwg")], "large": world.text("large.bin")});
    let Some(mut browser) = start(&world, "locker", told) else { return };
    approved(&mut browser, &world);
    let asked = browser.asks("collect");
    let (id, link) = asked.split_once(' ').expect("an id and a link");
    let collecting = [("carla", vec!["receive", "--yes", link]), ("anna", vec!["accept", id])];
    for (who, command) in collecting {
        let to = world.text(&format!("in-{who}"));
        fs::create_dir(&to).expect("made");
        let received = world.ok(who, &[&command[..], &["--to", &to]].concat());
        assert_eq!(
            (&received["event"], &received["receipt_kept"]),
            (&"received".into(), &true.into()),
            "{received}"
        );
        assert!(fs::read(Path::new(&to).join("ground.dwg")).expect("there") == plans);
    }
    assert_nowhere(&world.path("hub"), b"ground.dwg");
    fs::write(world.path("place/collected"), "").expect("written");
    browser.asks("taken");
    until("the hub forgets them", || {
        fs::read_dir(world.path("hub/lockers")).expect("listed").count() == 0
    });
    fs::write(world.path("place/forgotten"), "").expect("written");
    browser.found();
}

#[test]
fn what_a_page_sends_is_read_from_the_disk_piece_by_piece() {
    let world = two_people();
    if Driver::find().is_none() {
        return;
    }
    let film = world.path("film.mkv");
    let expected = make_large(&film);
    let told = json!({"files": [film], "patience": large_patience_ms()});
    let Some(mut browser) = start(&world, "large", told) else { return };
    approved(&mut browser, &world);
    let link = browser.asks("receive");
    let to = world.text("in");
    fs::create_dir(&to).expect("made");
    let received = world.ok("anna", &["receive", "--yes", "--to", &to, &link]);
    assert_eq!(received["event"], "received", "{received}");
    assert_eq!(hash_of(&world.path("in/film.mkv")), expected);
    fs::write(world.path("place/received"), "").expect("written");
    assert_held_little(&browser.found(), "sent");
}

#[test]
fn what_a_page_was_sending_goes_on_with_the_same_files_when_it_is_opened_again() {
    let world = two_people();
    let film = noise(8, 24 << 20).to_vec();
    fs::write(world.path("film.mkv"), &film).expect("written");
    fs::write(world.path("other.mkv"), "other").expect("written");
    let told = json!({"files": [world.text("film.mkv")], "others": [world.text("other.mkv")]});
    let Some(mut browser) = start(&world, "resend", told) else { return };
    approved(&mut browser, &world);
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
}

#[test]
fn a_page_tells_how_far_another_device_is_with_what_came() {
    let world = two_people();
    world.ok("ben", &["book", "add", "anna"]);
    fs::write(world.path("film.mkv"), noise(13, 24 << 20)).expect("written");
    let Some(mut browser) = start(&world, "watch", json!({})) else { return };
    approved(&mut browser, &world);
    browser.asks("send");
    let film = world.text("film.mkv");
    let sending = Sending::start(&world, "anna", &[&film, "--to", "ben"]);
    let id = browser.asks("accept");
    let to = world.text("in");
    fs::create_dir(&to).expect("made");
    let mut command = world.command("ben", &["accept", &id, "--to", &to]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut receiver = Process::start(&mut command);
    hold(&world, "ben", &receiver, 3);
    browser.asks("more");
    hold(&world, "ben", &receiver, 12);
    browser.asks("release");
    receiver.signal(Signal::CONT);
    browser.found();
    assert!(receiver.0.wait().expect("ends").success());
    assert_eq!(sending.last()["event"], "delivered");
}

#[test]
fn a_person_begins_on_their_page_and_approves_a_terminal_there() {
    let world = World::new();
    person(&world, "anna");
    let told = json!({"invitation": world.invitation(&[])});
    let Some(mut browser) = start(&world, "register", told) else { return };
    browser.asks("login");
    world.join("laptop", &[]);
    let login = ["account", "login", "erna", "--device", "laptop"];
    let (said, code) = with_input(&world, "laptop", &login, PASSWORD);
    assert_eq!(code, Some(0), "{said}");
    // Whole at once: the browser waits for the file.
    let line = said["request"].as_str().expect("a line");
    fs::write(world.path("place/line.new"), line).expect("written");
    fs::rename(world.path("place/line.new"), world.path("place/line")).expect("renamed");
    browser.asks("approved");
    let book = world.lines("laptop", &["book"], 0);
    assert_eq!(book[1]["notes"], "plays the oboe", "{book:?}");
    fs::write(world.path("place/read"), "").expect("written");
    browser.found();
    world.fails("laptop", &["inbox"], 5);
}

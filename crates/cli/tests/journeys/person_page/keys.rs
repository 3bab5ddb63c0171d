//! A person's page without a mouse, and without eyes.

use std::fs;

use serde_json::json;

use super::{approved, start, two_people};
use crate::people::{Sending, person};

#[test]
fn a_persons_page_is_worked_by_keys_alone_and_the_focus_is_always_seen() {
    let world = two_people();
    person(&world, "carla");
    person(&world, "dora");
    fs::write(world.path("note.txt"), "hello").expect("written");
    let note = world.text("note.txt");
    let told = json!({"subject": "The plans of the house", "files": [note]});
    let Some(mut browser) = start(&world, "keys", told) else { return };
    approved(&mut browser, &world);
    browser.asks("send");
    let args = [&*note, "--subject", "The plans of the house", "--to", "ben"];
    let first = Sending::start(&world, "anna", &args);
    let _stranger = Sending::start(&world, "dora", &[&note, "--to", "ben"]);
    browser.asks("again");
    assert_eq!(first.last()["event"], "delivered");
    let _second = Sending::start(&world, "anna", &args);
    browser.found();
}

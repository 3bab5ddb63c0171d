//! People with handles: devices, address books, and what they send each other.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;
use testkit::noise;

use crate::delivery::hold;
use crate::files::{assert_same, make_tree};
use crate::gate::{Counted, Gate};
use crate::process::{Process, last_line, lines, start_hub, told, until};
use crate::world::World;

pub(crate) const PASSWORD: &str = "correct horse";

/// Runs a command that reads this text; its last line and its exit code.
pub(crate) fn with_input(
    world: &World,
    node: &str,
    args: &[&str],
    input: &str,
) -> (Value, Option<i32>) {
    let mut command = world.command(node, args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    (last_line(&output), output.status.code())
}

/// A device that is registered with the hub, and a person on it.
pub(crate) fn person(world: &World, node: &str) {
    world.join(node, &[]);
    let create = ["account", "create", node, "--first-name", "N", "--device", "desk"];
    let (created, code) = with_input(world, node, &create, &format!("{PASSWORD}\n"));
    assert_eq!((created["event"].as_str(), code), (Some("account-created"), Some(0)), "{created}");
}

/// A world where Ben lets Anna send to him.
pub(crate) fn acquainted() -> World {
    let world = World::new();
    person(&world, "anna");
    person(&world, "ben");
    world.ok("ben", &["book", "add", "anna"]);
    world
}

/// Logs another device in, which knows the hub by its address alone, and approves it on the first.
fn second_device(world: &World, handle: &str, node: &str) {
    let shown = world.lines(handle, &["account", "show"], 0);
    let address = shown[0]["address"].as_str().expect("a text");
    assert_eq!(address.split_once('#').map(|(_, it)| it.len()), Some(64), "{address}");
    let other = format!("{}{}", &address[..address.len() - 64], "0".repeat(64));
    let login = ["account", "login", handle, "--device", "laptop", "--hub"];
    let (stopped, code) = with_input(world, node, &[&login[..], &[&other]].concat(), PASSWORD);
    assert_eq!(code, Some(6), "another certificate gets no password: {stopped}");
    let login = [&login[..], &[address]].concat();
    let login = &login[..];
    let (said, code) = with_input(world, node, login, PASSWORD);
    assert_eq!(code, Some(0), "{said}");
    let line = said["request"].as_str().expect("a line");
    // Until another device approves it, it can do nothing in its owner's name.
    let refused = world.fails(node, &["book"], 5);
    assert!(refused["message"].as_str().expect("text").contains("not approved"), "{refused}");
    let (approved, code) = with_input(world, handle, &["account", "approve"], line);
    assert_eq!(code, Some(0), "{approved}");
    let shown = world.lines(handle, &["account", "show"], 0);
    let is_laptop = |line: &&Value| line["name"] == "laptop" && line["approved"] == true;
    assert_eq!(shown.iter().filter(is_laptop).count(), 1, "{shown:?}");
}

/// Somebody who sends to a handle, and what was said.
pub(crate) struct Sending {
    process: Process,
    facts: std::path::PathBuf,
}

impl Sending {
    pub(crate) fn start(world: &World, node: &str, args: &[&str]) -> Self {
        let facts = world.path(&format!("facts of {node} {}", args.len()));
        let mut command = world.command(node, &[&["send"], args].concat());
        let progress = fs::File::create(world.path("progress")).expect("made");
        command.stdout(fs::File::create(&facts).expect("made")).stderr(progress);
        let process = Process::start(&mut command);
        let sending = Self { process, facts };
        until("it is addressed", || sending.addressed().is_some());
        sending
    }

    /// The line that says so, when it is there in full.
    fn addressed(&self) -> Option<Value> {
        let text = fs::read_to_string(&self.facts).expect("there");
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let mut told = whole.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        told.find(|line: &Value| line["event"] == "addressed")
    }

    pub(crate) fn id(&self) -> String {
        let line = self.addressed().expect("it is addressed");
        line["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) fn last(mut self) -> Value {
        self.process.0.wait().expect("it ends");
        let text = fs::read_to_string(&self.facts).expect("there");
        serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
    }
}

fn boxed(world: &World, node: &str, which: &str) -> Vec<Value> {
    let all = world.lines(node, &[which, "--all"], 0);
    all.into_iter().filter(|line| line["event"] == "boxed-delivery").collect()
}

#[test]
fn people_send_each_other_folders_by_their_handles() {
    let world = acquainted();
    let source = world.path("plans");
    make_tree(&source);
    let sending = Sending::start(&world, "anna", &[&world.text("plans"), "--to", "ben"]);
    let id = sending.id();
    let listed = boxed(&world, "ben", "inbox");
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["from"], "anna");
    assert_eq!(listed[0]["for_this_device"], true);
    let to = world.text("in");
    fs::create_dir(&to).expect("made");
    let received = world.ok("ben", &["accept", &id[..8], "--to", &to]);
    assert_eq!(received["event"], "received", "{received}");
    assert_same(&source, &world.path("in").join("plans"));
    let delivered = sending.last();
    assert_eq!(delivered["event"], "delivered", "{delivered}");
    // Who sent how much to whom is in the audit log, once, with what the recipient signed.
    world.join_administrator("root");
    let log = world.lines("root", &["audit"], 0);
    let noted: Vec<&Value> = log.iter().filter(|line| line["action"] == "delivered").collect();
    assert_eq!(noted.len(), 1, "{log:?}");
    let detail = &noted[0]["detail"];
    assert_eq!(
        (&noted[0]["subject"], &detail["from"]),
        (&Value::from(id.as_str()), &"anna".into())
    );
    assert_eq!(
        (&detail["to"], detail["receipt"].as_str().map(str::len)),
        (&"ben".into(), Some(64))
    );
    assert!(
        detail["bytes"].as_u64() > Some(0) && !noted[0].to_string().contains("plans"),
        "{detail}"
    );
    for (node, which) in [("ben", "inbox"), ("anna", "outbox")] {
        until("both sides see that it was received", || {
            boxed(&world, node, which)[0]["state"] == "received"
        });
    }
}

#[test]
fn the_signature_of_a_person_is_under_their_messages() {
    let world = acquainted();
    fs::write(world.path("note.txt"), "hello").expect("written");
    let note = world.text("note.txt");
    let (set, code) = with_input(&world, "anna", &["book", "signature"], "Anna\nRoom 5\n");
    assert_eq!((&set["signature"], code), (&"Anna\nRoom 5".into(), Some(0)), "{set}");
    let to = world.text("in");
    fs::create_dir(&to).expect("made");
    let read = |args: &[&str]| {
        let sending = Sending::start(&world, "anna", &[&[&*note, "--to", "ben"], args].concat());
        let lines = world.lines("ben", &["accept", &sending.id()[..8], "--to", &to], 0);
        sending.last();
        let shown = lines.iter().find(|line| line["event"] == "offered").expect("what is in it");
        shown["message"].clone()
    };
    assert_eq!(read(&["--message", "Hello"]), "Hello\n\n-- \nAnna\nRoom 5");
    assert_eq!(read(&["--message", "Hello", "--no-signature"]), "Hello");
    assert_eq!(read(&[]), "");
}

#[test]
fn two_people_see_the_same_words_and_note_that_they_compared_them() {
    let world = World::new();
    person(&world, "anna");
    person(&world, "ben");
    let words = |node, other| world.ok(node, &["book", "verify", other])["words"].clone();
    assert_eq!(words("anna", "ben"), words("ben", "anna"));
    assert_eq!(words("anna", "ben").as_str().expect("text").split_whitespace().count(), 9);
    world.ok("anna", &["book", "verify", "ben", "--agreed"]);
    let book = world.lines("anna", &["book"], 0);
    assert_eq!(book[1]["verified"], true, "{book:?}");
}

#[test]
fn a_stranger_waits_until_they_are_let_in_or_is_refused_or_blocked() {
    let world = World::new();
    person(&world, "anna");
    person(&world, "ben");
    fs::write(world.path("note.txt"), "hello").expect("written");
    let note = world.text("note.txt");
    let sending = Sending::start(&world, "anna", &[&note, "--to", "ben"]);
    let id = sending.id();
    let waiting = world.lines("ben", &["inbox"], 0);
    assert_eq!(waiting[0]["event"], "pending-sender", "{waiting:?}");
    assert_eq!(waiting[0]["handle"], "anna");
    assert_eq!(waiting[1]["state"], "pending-approval", "{waiting:?}");
    assert_eq!(world.ok("ben", &["accept", "anna"])["event"], "sender-accepted");
    let to = world.text("in");
    fs::create_dir(&to).expect("made");
    world.ok("ben", &["accept", &id, "--to", &to]);
    assert_eq!(fs::read(world.path("in").join("note.txt")).expect("there"), b"hello");
    assert_eq!(sending.last()["event"], "delivered");

    // Whoever is blocked is refused, and is not told more than that.
    world.ok("ben", &["block", "anna"]);
    let refused = world.fails("anna", &["send", &note, "--to", "ben"], 5);
    assert!(refused["hint"].as_str().expect("advice").contains("ask them"), "{refused}");
    world.ok("ben", &["book", "remove", "anna"]);
    world.ok("ben", &["book", "policy", "block-all"]);
    let again = world.fails("anna", &["send", &note, "--to", "ben"], 5);
    for refused in [&refused, &again] {
        assert_eq!(refused["message"], "ben takes no deliveries from you");
    }
    assert_eq!(again["hint"], refused["hint"]);
    let unknown = world.fails("anna", &["send", &note, "--to", "nobody"], 4);
    assert!(unknown["hint"].as_str().expect("advice").contains("spelled"), "{unknown}");
}

#[test]
fn a_sender_hears_of_the_recipient_before_anything_is_sent() {
    let world = World::new();
    person(&world, "anna");
    person(&world, "ben");
    let answer = |node, args: &[&str]| {
        let told = lines(&world.run(node, &[&["send"], args].concat()));
        let line = told.into_iter().find(|line| line["event"] == "recipient").expect("told");
        line["answer"].as_str().expect("a word").to_owned()
    };
    // What is not there is found after the recipient was asked about.
    let missing = world.text("missing");
    assert_eq!(answer("anna", &[&missing, "--to", "ben"]), "pending-approval");
    world.ok("ben", &["book", "add", "anna"]);
    assert_eq!(answer("anna", &[&missing, "--to", "ben"]), "never-online");
    let (node, _) = Process::start_ready(&mut world.command("ben", &["node"]));
    until("ben is online", || answer("anna", &[&missing, "--to", "ben"]) == "ready");

    // The node said how much room there is: a file with a hole is larger than any disk here.
    let hole = fs::File::create(world.path("hole")).expect("made");
    hole.set_len(1 << 43).expect("a hole");
    let hole = world.text("hole");
    until("ben's room is known", || {
        let refused = world.run("anna", &["send", &hole, "--to", "ben", "--background"]);
        refused.status.code() == Some(9)
    });
    let before = world.lines("anna", &["deliveries"], 0);
    let refused = world.fails("anna", &["send", &hole, "--to", "ben"], 9);
    assert!(refused["message"].as_str().expect("text").contains("has room for"), "{refused}");
    assert_eq!(world.lines("anna", &["deliveries"], 0), before, "nothing of it is left to be sent");
    let anyway = ["send", &hole, "--to", "ben", "--background", "--anyway"];
    let said = world.lines("anna", &anyway, 0);
    let events: Vec<&Value> = said.iter().map(|line| &line["event"]).collect();
    assert_eq!(events, ["recipient", "addressed", "warning"], "it is left to nobody");
    assert_eq!(said[2]["code"], "no-node");
    drop(node);
    until("ben is seen to be away", || answer("anna", &[&missing, "--to", "ben"]) == "offline");
}

#[test]
fn both_keep_a_receipt_which_proves_itself_anywhere() {
    let world = acquainted();
    fs::write(world.path("note.txt"), "hello").expect("written");
    let note = world.text("note.txt");
    let sending = Sending::start(&world, "anna", &[&note, "--to", "ben", "--subject", "A note"]);
    let id = sending.id();
    let to = world.text("in");
    fs::create_dir(&to).expect("made");
    let received = world.ok("ben", &["accept", &id, "--to", &to]);
    assert_eq!(sending.last()["event"], "delivered");

    let (sent, came) = (world.ok("anna", &["receipts"]), world.ok("ben", &["receipts", &id[..6]]));
    for (line, way, with) in [(&sent, "sent", "ben"), (&came, "received", "anna")] {
        assert_eq!(line["event"], "delivery-receipt", "{line}");
        assert_eq!((line["way"].as_str(), line["with"].as_str()), (Some(way), Some(with)));
        assert_eq!(line["recipient"], "ben", "{line}");
        assert_eq!(line["digest"], received["digest"], "{line}");
        assert_eq!(line["subject"], "A note");
    }
    assert_eq!(sent["identity"], came["identity"]);
    // The hub counts by person, in sealed bytes.
    let sealed = boxed(&world, "anna", "outbox")[0]["bytes_total"].clone();
    for (node, [sent, received]) in [("anna", [1, 0]), ("ben", [0, 1])] {
        let person = &world.lines(node, &["account", "show"], 0)[0];
        assert_eq!(
            (&person["sent_deliveries"], &person["received_deliveries"]),
            (&sent.into(), &received.into())
        );
        let bytes = if sent == 1 { &person["sent_bytes"] } else { &person["received_bytes"] };
        assert_eq!(*bytes, sealed, "{person}");
    }

    let file = world.text("a.receipt");
    world.ok("anna", &["receipts", &id, "--export", &file]);
    // By somebody who knows nobody and asks no hub.
    let checked = world.ok("stranger", &["receipts", "--check", &file]);
    assert_eq!(checked["event"], "receipt-checked", "{checked}");
    assert_eq!((&checked["digest"], &checked["identity"]), (&sent["digest"], &sent["identity"]));
    let mut bytes = fs::read(&file).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).expect("written");
    world.fails("stranger", &["receipts", "--check", &file], 6);

    // What was changed on the sender's own disk is noticed.
    let kept = world.path("anna/deliveries/out").join(&id).join("delivery.json");
    let facts = fs::read_to_string(&kept).expect("there");
    let digest = sent["digest"].as_str().expect("text");
    fs::write(&kept, facts.replace(digest, &"0".repeat(64))).expect("written");
    let refused = world.lines("anna", &["receipts"], 6);
    assert!(refused[0]["problem"].is_string(), "{refused:?}");
}

#[test]
fn an_address_book_is_carried_in_a_file() {
    let world = World::new();
    for name in ["anna", "ben", "clara"] {
        person(&world, name);
    }
    world.ok("anna", &["book", "add", "ben", "--notes", "plays the oboe"]);
    let file = world.text("contacts.json");
    assert_eq!(world.ok("anna", &["book", "export", &file])["contacts"], 1);
    let text = fs::read_to_string(&file).expect("there");
    fs::write(&file, text.replace("\"contacts\": {", "\"contacts\": {\n\"nobody\": {},"))
        .expect("written");
    let output = world.run("clara", &["book", "import", &file]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let said = lines(&output);
    assert_eq!((&said[0]["event"], &said[0]["entries"]), (&"book-imported".into(), &2.into()));
    let ben = said.iter().find(|line| line["handle"] == "ben").expect("a contact");
    assert_eq!(ben["notes"], "plays the oboe", "{ben}");
    assert_eq!(ben["identity"], world.lines("anna", &["book"], 0)[1]["identity"]);
    let unknown = said.iter().find(|line| line["event"] == "unknown-contact");
    assert_eq!(unknown.expect("told")["handle"], "nobody");
    fs::write(&file, "not a book").expect("written");
    world.fails("clara", &["book", "import", &file], 2);
}

#[test]
fn several_recipients_get_a_delivery_each_and_none_waits_for_another() {
    let world = World::new();
    for name in ["anna", "ben", "clara", "dora"] {
        person(&world, name);
    }
    for name in ["ben", "clara", "dora"] {
        world.ok(name, &["book", "add", "anna"]);
    }
    let content = noise(6, 40 << 20);
    fs::write(world.path("film"), &content).expect("written");
    let film = world.text("film");
    world.fails("anna", &["send", &film, "--to", "ben", "--to", "ben"], 2);
    world.fails("anna", &["send", &film, "--to", "ben", "--to", "nobody"], 4);

    let to = ["--to", "ben", "--to", "clara", "--to", "dora"];
    let sending = Sending::start(&world, "anna", &[&[&*film], &to[..]].concat());
    let mine = || boxed(&world, "anna", "outbox");
    until("all are addressed", || mine().len() == 3);
    let id_for = |name: &str| {
        let line = mine().into_iter().find(|line| line["to"] == name).expect("addressed");
        line["id"].as_str().expect("an id").to_owned()
    };
    let ids = ["ben", "clara", "dora"].map(id_for);
    let into = |name: &str| {
        let to = world.path(&format!("in of {name}"));
        fs::create_dir(&to).expect("made");
        to.to_str().expect("text").to_owned()
    };
    let [ben, clara] = ["ben", "clara"].map(into);
    // Ben is killed in the middle and comes back after the others; Dora does not want it.
    let mut accepting = world.command("ben", &["accept", &ids[0], "--to", &ben]);
    let mut process = Process::start(accepting.stdout(Stdio::null()).stderr(Stdio::null()));
    hold(&world, "ben", &process, 3);
    process.kill();
    world.ok("dora", &["refuse", &ids[2], "--reason", "not now"]);
    world.ok("clara", &["accept", &ids[1], "--to", &clara]);
    assert_eq!(fs::read(world.path("in of clara/film")).expect("there"), content);
    let has_receipt = || {
        let kept = world.lines("anna", &["receipts"], 0);
        kept.iter().any(|line| line["with"] == "clara" && line["recipient"] == "clara")
    };
    until("the receipt of one is kept while another one is waited for", has_receipt);

    let resumed = world.ok("ben", &["accept", &ids[0], "--to", &ben]);
    assert!(resumed["resumed_segments"].as_u64().expect("a number") >= 3, "{resumed}");
    assert_eq!(fs::read(world.path("in of ben/film")).expect("there"), content);
    let Sending { mut process, facts } = sending;
    let ended = process.0.wait().expect("it ends");
    assert_eq!(ended.code(), Some(3), "two have it and one does not");
    let text = fs::read_to_string(facts).expect("there");
    let delivered: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .filter(|line: &Value| line["event"] == "delivered")
        .collect();
    assert_eq!(delivered.len(), 2, "{text}");
    assert_eq!((&delivered[0]["to"], &delivered[1]["to"]), (&"clara".into(), &"ben".into()));
    assert_eq!(world.lines("anna", &["receipts"], 0).len(), 2);
}

#[test]
fn a_second_device_is_approved_receives_reads_the_book_and_can_be_taken_away() {
    let world = World::new();
    person(&world, "anna");
    person(&world, "ben");
    world.ok("ben", &["book", "add", "anna", "--notes", "plays the oboe"]);
    second_device(&world, "ben", "laptop");
    let book = world.lines("laptop", &["book"], 0);
    assert_eq!(book[1]["notes"], "plays the oboe", "{book:?}");

    fs::write(world.path("note.txt"), "hello").expect("written");
    let note = world.text("note.txt");
    let sending = Sending::start(&world, "anna", &[&note, "--to", "ben"]);
    let to = world.text("in");
    fs::create_dir(&to).expect("made");
    world.ok("laptop", &["accept", &sending.id(), "--to", &to]);
    assert_eq!(sending.last()["event"], "delivered");

    // Whoever wrote the address book last does not leave: the others would not believe it then.
    world.ok("laptop", &["book", "add", "anna", "--notes", "plays the oboe"]);
    world.fails("laptop", &["account", "remove", "laptop"], 6);
    let gone = world.lines("ben", &["account", "remove", "laptop"], 0);
    assert_eq!(gone.iter().filter(|line| line["event"] == "device").count(), 1, "{gone:?}");
    world.fails("laptop", &["inbox"], 5);
    // What is sent from now on is not sealed for it, and the book is still there.
    assert_eq!(world.lines("ben", &["book"], 0)[1]["notes"], "plays the oboe");
}

#[test]
fn a_wrong_password_lets_nobody_in_and_the_right_one_can_be_changed() {
    let world = World::new();
    person(&world, "anna");
    world.join("thief", &[]);
    let login = ["account", "login", "anna"];
    let (refused, code) = with_input(&world, "thief", &login, "wrong password");
    assert_eq!(code, Some(5), "{refused}");
    let (nobody, code) = with_input(&world, "thief", &["account", "login", "nobody"], PASSWORD);
    assert_eq!(code, Some(5), "{nobody}");
    assert_eq!(
        nobody["message"], refused["message"],
        "a handle that is there looks as one that is not"
    );
    let change = |input: &str| with_input(&world, "anna", &["account", "password"], input).1;
    assert_eq!(change("wrong password\nanother one\n"), Some(5));
    assert_eq!(change(&format!("{PASSWORD}\nanother password\n")), Some(0));
    world.join("laptop", &[]);
    let (said, code) = with_input(&world, "laptop", &login, "another password");
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn who_lost_all_devices_begins_anew_and_is_somebody_else_to_contacts() {
    let world = World::new();
    person(&world, "anna");
    person(&world, "ben");
    world.ok("anna", &["book", "add", "ben"]);
    let data = world.text("hub");
    let reset = world.ok("admin", &["account", "reset", "ben", "--data", &data]);
    let password = reset["password"].as_str().expect("a password").to_owned();
    world.fails("ben", &["account", "show"], 5);
    world.fails("admin", &["account", "reset", "nobody", "--data", &data], 1);
    world.join("new", &[]);
    let (said, code) = with_input(&world, "new", &["account", "login", "ben"], &password);
    assert_eq!((said["request"].is_null(), code), (true, Some(0)), "{said}");
    let shown = world.lines("new", &["account", "show"], 0);
    assert_eq!(shown.iter().filter(|line| line["approved"] == true).count(), 1, "{shown:?}");

    fs::write(world.path("note.txt"), "hello").expect("written");
    let note = world.text("note.txt");
    let refused = world.fails("anna", &["send", &note, "--to", "ben"], 6);
    assert!(refused["hint"].as_str().expect("advice").contains("book trust"), "{refused}");
    world.ok("new", &["book", "add", "anna"]);
    world.ok("anna", &["book", "trust", "ben"]);
    let sending = Sending::start(&world, "anna", &[&note, "--to", "ben"]);
    let to = world.text("in");
    fs::create_dir(&to).expect("made");
    world.ok("new", &["accept", &sending.id(), "--to", &to]);
    assert_eq!(sending.last()["event"], "delivered");
}

#[test]
fn a_delivery_to_a_person_goes_on_after_both_were_killed_and_can_be_taken_back() {
    let world = acquainted();
    let content = noise(5, 40 << 20);
    fs::write(world.path("film"), &content).expect("written");
    let film = world.text("film");
    let mut sending = Sending::start(&world, "anna", &[&film, "--to", "ben"]);
    let id = sending.id();
    let to = world.text("in");
    fs::create_dir(&to).expect("made");
    let mut accepting = world.command("ben", &["accept", &id, "--to", &to]);
    let mut process = Process::start(accepting.stdout(Stdio::null()).stderr(Stdio::null()));
    hold(&world, "ben", &process, 3);
    process.kill();
    sending.process.kill();
    let resumed = world.command("anna", &["send", "--resume", &id]);
    let mut resumed = resumed;
    let resumed = Process::start(resumed.stdout(Stdio::null()).stderr(Stdio::null()));
    let received = world.ok("ben", &["accept", &id, "--to", &to]);
    assert!(received["resumed_segments"].as_u64().expect("a number") >= 3, "{received}");
    assert_eq!(fs::read(world.path("in").join("film")).expect("there"), content);
    drop(resumed);

    let second = Sending::start(&world, "anna", &[&film, "--to", "ben", "--subject", "again"]);
    let id = second.id();
    world.ok("anna", &["terminate", &id, "--reason", "sent by mistake"]);
    let ended = second.last();
    assert_eq!(ended["exit_code"], 6, "{ended}");
    assert!(ended["message"].as_str().expect("text").contains("sent by mistake"), "{ended}");
    let listed = boxed(&world, "ben", "inbox");
    let line = listed.iter().find(|line| line["id"] == *id).expect("listed");
    assert_eq!(line["state"], "terminated", "{line}");
    assert_eq!(line["ended"]["reason"], "sent by mistake");
    let output = world.run("ben", &["accept", &id]);
    assert_eq!(output.status.code(), Some(6), "{}", told(&output));
    assert!(lines(&output).iter().all(|line| line["event"] != "received"));
}

#[test]
fn a_receipt_outlives_the_hub_for_a_sender_who_was_away() {
    let mut world = acquainted();
    // Three segments: one comes through the gate, and a hub keeps two in memory.
    let content = noise(7, 3_000_000);
    fs::write(world.path("film"), &content).expect("written");
    let mut sending = Sending::start(&world, "anna", &[&world.text("film"), "--to", "ben"]);
    let id = sending.id();
    let to = world.text("in");
    fs::create_dir(&to).expect("made");
    let gate = Gate::before(&world, "ben", Counted::FromTheHub, 5 << 18);
    let mut accepting = world.command("ben", &["accept", &id, "--to", &to]);
    let accepting = Process::start(accepting.stdout(Stdio::null()).stderr(Stdio::null()));
    // The sender has sent everything, of which the recipient has a part, and is killed.
    gate.wait_until_shut();
    until("everything is sent", || {
        // So little that only the answer to what it verified comes through.
        gate.let_through(4096);
        let said = fs::read_to_string(world.path("progress")).expect("there");
        said.contains("write the rest and sign")
    });
    assert!(!world.path("in").join("film").exists(), "in the middle");
    sending.process.kill();
    gate.open();
    until("the hub has the receipt", || boxed(&world, "ben", "inbox")[0]["state"] == "received");
    drop(accepting);
    assert_eq!(fs::read(world.path("in").join("film")).expect("there"), content);

    // The hub is killed, too, before anybody took it.
    world.hub.kill();
    world.hub = start_hub(&world.path("hub"), &["--listen", world.address()]).0;
    let delivered = world.ok("anna", &["send", "--resume", &id]);
    assert_eq!((&delivered["event"], &delivered["to"]), (&"delivered".into(), &"ben".into()));
    let kept = world.lines("anna", &["receipts"], 0);
    assert_eq!((kept.len(), &kept[0]["recipient"]), (1, &"ben".into()), "{kept:?}");
    // It is taken once, and what is over stays over.
    world.fails("anna", &["send", "--resume", &id], 4);
}

#[test]
fn who_sits_at_a_delivery_is_there_without_a_node() {
    let world = acquainted();
    fs::write(world.path("film"), noise(5, 40 << 20)).expect("written");
    let mut sending = Sending::start(&world, "anna", &[&world.text("film"), "--to", "ben"]);
    let id = sending.id();
    let other_online =
        |node: &str, which: &str| boxed(&world, node, which)[0]["other_online"] == true;
    assert!(!other_online("anna", "outbox"), "nobody is there for Ben");
    until("Ben sees that Anna is there", || other_online("ben", "inbox"));
    let to = world.text("in");
    fs::create_dir(&to).expect("made");
    let mut accepting = world.command("ben", &["accept", &id, "--to", &to]);
    let process = Process::start(accepting.stdout(Stdio::null()).stderr(Stdio::null()));
    hold(&world, "ben", &process, 3);
    sending.process.kill();
    process.signal(Signal::CONT);
    until("the hub sees that Anna is gone", || {
        boxed(&world, "anna", "outbox")[0]["state"] == "waiting"
    });
    assert!(other_online("anna", "outbox"), "Ben is still there");
}

#[test]
fn the_node_sends_by_itself_what_was_left_to_it_also_after_it_was_killed() {
    let world = acquainted();
    fs::write(world.path("note.txt"), "hello").expect("written");
    let note = world.text("note.txt");
    let (mut node, _) = Process::start_ready(&mut world.command("anna", &["node"]));
    let kept = world.ok("anna", &["send", &note, "--to", "ben", "--background"]);
    assert_eq!(kept["event"], "addressed", "{kept}");
    let id = kept["id"].as_str().expect("an id").to_owned();
    let online = || boxed(&world, "ben", "inbox")[0]["other_online"] == true;
    until("the sender is online", online);
    node.kill();
    until("the hub sees that it is gone", || !online());
    let to = world.text("in");
    fs::create_dir(&to).expect("made");
    let mut accepting = world.command("ben", &["accept", &id, "--to", &to]);
    let accepting = Process::start(accepting.stdout(Stdio::null()).stderr(Stdio::null()));
    let (_node, _) = Process::start_ready(&mut world.command("anna", &["node"]));
    until("it arrives", || {
        fs::read(world.path("in").join("note.txt")).is_ok_and(|bytes| bytes == b"hello")
    });
    until("the sender has the receipt", || {
        world.ok("anna", &["deliveries"])["state"] == "received"
    });
    drop(accepting);
}

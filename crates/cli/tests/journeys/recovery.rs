//! A lost password, and a code by mail.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::people::{PASSWORD, with_input};
use crate::process::PATIENCE;
use crate::world::World;

/// A mail server that takes everything; what came, whole messages with their envelopes.
struct MailServer {
    address: String,
    came: Receiver<String>,
}

impl MailServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = listener.local_addr().expect("an address").to_string();
        let (sender, came) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let sender = sender.clone();
                thread::spawn(move || take(stream.expect("connects"), &sender));
            }
        });
        Self { address, came }
    }

    fn next(&self) -> String {
        self.came.recv_timeout(PATIENCE).expect("a mail")
    }
}

/// One session, as in RFC 5321.
fn take(mut stream: TcpStream, sender: &Sender<String>) {
    let mut lines = BufReader::new(stream.try_clone().expect("cloned"));
    let mut message = String::new();
    stream.write_all(b"220 mail.example\r\n").expect("said");
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).expect("readable") == 0 {
            return;
        }
        message.push_str(&line);
        let answer = match line.split_whitespace().next() {
            Some("DATA") => {
                stream.write_all(b"354 go on\r\n").expect("said");
                let mut line = String::new();
                while line != ".\r\n" {
                    line.clear();
                    lines.read_line(&mut line).expect("readable");
                    message.push_str(&line);
                }
                sender.send(std::mem::take(&mut message)).expect("somebody waits");
                "250 taken\r\n"
            }
            Some("QUIT") => return,
            _ => "250 mail.example\r\n",
        };
        stream.write_all(answer.as_bytes()).expect("said");
    }
}

#[test]
fn a_lost_password_is_replaced_with_a_code_that_came_by_mail() {
    let server = MailServer::start();
    let url = format!("smtp://{}", server.address);
    let world = World::with(&["--mail-server", &url, "--mail-from", "Consign <hub@example.org>"]);
    for (handle, email) in [("anna", "anna@example.org"), ("ben", "")] {
        world.join(handle, &[]);
        let create = ["account", "create", handle, "--email", email, "--device", "desk"];
        let (created, code) = with_input(&world, handle, &create, PASSWORD);
        assert_eq!(code, Some(0), "{created}");
    }
    // Who knows no more than the hub's address asks; ben has told none, and nobody is called carla.
    let shown = world.lines("anna", &["account", "show"], 0);
    let address = shown[0]["address"].as_str().expect("a text").to_owned();
    let asked = |handle| world.ok("stranger", &["account", "recover", handle, "--hub", &address]);
    let answers = ["ben", "carla", "anna"].map(asked);
    assert!(answers.iter().all(|it| it["event"] == "recovery-asked"), "{answers:?}");
    let mail = server.next();
    assert!(mail.contains("RCPT TO:<anna@example.org>"), "{mail}");
    assert!(mail.contains("MAIL FROM:<hub@example.org>"), "{mail}");
    assert!(mail.contains("consign account recover anna --code --hub"), "{mail}");
    let is_code = |line: &&str| line.len() == 23 && line.split('-').count() == 4;
    let code = mail.lines().map(str::trim).find(is_code).expect("a code").to_owned();

    let recover = |handle: &str, code: &str| {
        let input = format!("{code}\nanother password\n");
        let args = ["account", "recover", handle, "--code", "--hub", &address];
        with_input(&world, "stranger", &args, &input)
    };
    let (refused, ended) = recover("anna", "aaaaa-aaaaa-aaaaa-aaaaa");
    assert_eq!(ended, Some(5), "{refused}");
    let (refused, ended) = recover("ben", &code);
    assert_eq!(ended, Some(5), "another person's code: {refused}");
    let (changed, ended) = recover("anna", &code);
    assert_eq!((changed["event"].as_str(), ended), (Some("password-changed"), Some(0)));
    let (refused, ended) = recover("anna", &code);
    assert_eq!(ended, Some(5), "it was used: {refused}");

    // Ben tells an address of his later, which takes his password.
    let tell = ["account", "change", "--email", "ben@example.org"];
    let (refused, ended) = with_input(&world, "ben", &tell, "not his password");
    assert_eq!(ended, Some(5), "{refused}");
    let (device, ended) = with_input(&world, "ben", &tell, PASSWORD);
    assert_eq!((device["event"].as_str(), ended), (Some("device"), Some(0)), "{device}");
    let me = world.lines("ben", &["account", "change", "--first-name", "Ben"], 0).remove(0);
    assert_eq!((&me["email"], &me["first_name"]), (&"ben@example.org".into(), &"Ben".into()));
    asked("ben");
    let mail = server.next();
    assert!(mail.contains("RCPT TO:<ben@example.org>"), "{mail}");

    // The device is hers as before; the mail account alone is none.
    assert_eq!(world.ok("anna", &["account", "show"])["approved"], true);
    let login = ["account", "login", "anna", "--hub", &address];
    let (refused, ended) = with_input(&world, "thief", &login, PASSWORD);
    assert_eq!(ended, Some(5), "the old password: {refused}");
    let (said, ended) = with_input(&world, "thief", &login, "another password");
    assert_eq!((said["request"].is_string(), ended), (true, Some(0)), "{said}");
    world.fails("thief", &["inbox"], 5);
    // No more than three that were not used within the hour go to one person.
    for _ in 0..4 {
        asked("anna");
    }
    for _ in 0..3 {
        server.next();
    }
    let last = asked("ben");
    assert_eq!(last["event"], "recovery-asked");
    assert!(server.came.try_recv().is_err(), "no fourth one");
}

#[test]
fn a_hub_that_sends_no_mail_says_who_resets_passwords() {
    let world = World::new();
    world.join("anna", &[]);
    let refused = world.fails("anna", &["account", "recover", "anna"], 4);
    assert!(
        refused["message"].as_str().is_some_and(|it| it.contains("administrator")),
        "{refused}"
    );
}

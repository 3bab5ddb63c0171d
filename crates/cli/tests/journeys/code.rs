//! Tickets that are handed over by a code of words, and those who try to get one without it.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use delivery::{Answer, Claim, Code, HandoverError, Ticket, refusal};
use documents::{Invitation, NodeKey};
use hub_client::{HubClient, Pin};
use serde_json::Value;

use crate::process::{Process, last_line, start_hub, told, until};
use crate::world::World;

/// Somebody who sends, and where the code and the facts are.
struct Sender {
    process: Process,
    file: PathBuf,
    facts: PathBuf,
}

impl Sender {
    /// Sends a file from `anna`, and waits for the code.
    fn start(world: &World, args: &[&str]) -> Self {
        world.join("anna", &[]);
        fs::write(world.path("plan.txt"), "Ground floor").expect("written");
        fs::create_dir(world.path("in")).expect("made");
        let (file, facts) = (world.path("code"), world.path("facts"));
        let (text, plan) = (world.text("code"), world.text("plan.txt"));
        let mut command =
            world.command("anna", &[&["send", &plan, "--code-file", &text], args].concat());
        command.stdout(fs::File::create(&facts).expect("made")).stderr(Stdio::null());
        let sender = Self { process: Process::start(&mut command), file, facts };
        sender.waits_for("code");
        sender
    }

    fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.facts).expect("there");
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn names(&self) -> Vec<String> {
        let name = |line: &Value| match line["how"].as_str() {
            Some(how) => how.to_owned(),
            None => line["event"].as_str().expect("a text").to_owned(),
        };
        self.events().iter().map(name).collect()
    }

    /// Waits until this is the last thing it said.
    fn waits_for(&self, name: &str) {
        until(name, || self.names().last().is_some_and(|last| last == name));
    }

    fn code(&self) -> Code {
        let text = fs::read_to_string(&self.file).expect("there");
        text.trim().parse().expect("a code")
    }

    /// Waits until it ends; everything it said.
    fn end(mut self) -> Vec<String> {
        self.process.0.wait().expect("it ends");
        self.names()
    }
}

/// Other words under the same number.
fn guess(code: Code) -> Code {
    let guess = |words: &str| format!("{}-{words}", code.number()).parse().expect("a code");
    let first: Code = guess("acid-lemon-orbit");
    if first == code { guess("lemon-orbit-acid") } else { first }
}

fn receive<'a>(world: &'a World, code: &'a str, to: &'a str) -> [&'a str; 7] {
    ["receive", code, "--hub", &world.url, "--yes", "--to", to]
}

#[test]
fn a_code_hands_a_delivery_over_to_a_stranger_once() {
    let world = World::new();
    let sender = Sender::start(&world, &[]);
    let code = sender.code().to_string();
    let (to, facts) = (world.text("in"), fs::read_to_string(&sender.facts).expect("there"));
    assert!(!facts.contains(&code), "what goes to a file is not printed");
    // A slip is named, and costs nothing: nothing was sent.
    let slip = code.replacen('-', "-q", 1);
    let refused = world.fails("ben", &receive(&world, &slip, &to), 2);
    let word = code.split('-').nth(1).expect("a word");
    let said = refused["message"].as_str().expect("a text");
    assert!(said.contains(&format!("{word:?} is")), "{said}");
    // Nobody is here to be asked: what came by the code is kept, for it can be used no second time.
    let unasked = ["receive", &code, "--hub", &world.url, "--to", &to];
    let asked = world.fails("ben", &unasked, 2);
    assert!(asked["message"].as_str().is_some_and(|it| it.contains("--yes")), "{asked}");
    let used = world.fails("carl", &receive(&world, &code, &to), 1);
    assert!(used["message"].as_str().is_some_and(|it| it.contains("used already")), "{used}");
    let spoken = code.to_uppercase().replace('-', " ");
    assert_eq!(world.ok("ben", &receive(&world, &spoken, &to))["event"], "received");
    assert_eq!(fs::read(world.path("in/plan.txt")).expect("there"), b"Ground floor");
    assert_eq!(sender.end(), ["code", "handed-over", "delivered"]);
    let nowhere = fs::read_dir(world.path("ben").join("deliveries/in")).expect("listed").count();
    assert_eq!(nowhere, 0, "the ticket is forgotten");
}

#[test]
fn a_wrong_code_voids_the_right_one_and_another_is_shown() {
    let world = World::new();
    let sender = Sender::start(&world, &[]);
    let (code, to) = (sender.code(), world.text("in"));
    let wrong = world.fails("ben", &receive(&world, &guess(code).to_string(), &to), 6);
    assert!(wrong["message"].as_str().is_some_and(|it| it.contains("not right")), "{wrong}");
    assert!(wrong["hint"].as_str().is_some_and(|it| it.contains("ask the sender")), "{wrong}");
    until("another code", || sender.names() == ["code", "tried-in-vain", "code"]);
    assert_ne!(sender.code(), code);
    let late = world.fails("ben", &receive(&world, &code.to_string(), &to), 1);
    assert!(late["message"].as_str().is_some_and(|it| it.contains("used already")), "{late}");
    let other = sender.code().to_string();
    world.ok("ben", &receive(&world, &other, &to));
    assert_eq!(sender.end(), ["code", "tried-in-vain", "code", "handed-over", "delivered"]);
    // Without a hub nobody knows where to ask, and a number that nobody has is not there.
    let lost = world.fails("dora", &["receive", &other], 1);
    assert!(lost["hint"].as_str().is_some_and(|it| it.contains("--hub")), "{lost}");
    let nobody = if other.starts_with("1000") { "1001" } else { "1000" };
    let nobody = format!("{nobody}-acid-lemon-orbit");
    world.fails("dora", &receive(&world, &nobody, &to), 4);
}

#[test]
fn a_code_outlives_a_restart_of_the_hub_and_a_new_one_comes_with_resume() {
    let mut world = World::new();
    let sender = Sender::start(&world, &[]);
    let code = sender.code();
    world.hub.kill();
    world.hub = start_hub(&world.path("hub"), &["--listen", world.address()]).0;
    let (text, to) = (code.to_string(), world.text("in"));
    // The sender comes back when it notices; until then nobody has the number.
    let mut tries = 0;
    let output = loop {
        let output = world.run("ben", &receive(&world, &text, &to));
        tries += 1;
        if output.status.code() != Some(4) || tries > 100 {
            break output;
        }
        // So that the hub does not take this for somebody who tries all numbers.
        std::thread::sleep(Duration::from_secs(1));
    };
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(last_line(&output)["event"], "received");
    assert_eq!(sender.end(), ["code", "handed-over", "delivered"], "the same code");

    let world = World::new();
    let sender = Sender::start(&world, &[]);
    let code = sender.code();
    let id = sender.events()[0]["id"].as_str().expect("a text").to_owned();
    drop(sender.process);
    let mut resumed = world.command("anna", &["send", "--resume", &id]);
    let facts = world.path("resumed");
    resumed.stdout(fs::File::create(&facts).expect("made")).stderr(Stdio::null());
    // What was printed can be read by the eye, and is another code.
    let sender = Sender { process: Process::start(&mut resumed), file: world.path("code"), facts };
    sender.waits_for("code");
    let printed = sender.events()[0]["code"].as_str().expect("a text").to_owned();
    assert_ne!(printed, code.to_string());
    world.ok("ben", &receive(&world, &printed, &world.text("in")));
    assert_eq!(sender.end(), ["code", "handed-over", "delivered"]);
}

/// A hub that is not the sender's, and one who sits in it and at the sender's hub.
struct Middle {
    world: World,
    /// At its own hub, as a sender.
    here: HubClient,
    /// At the sender's hub, as a recipient.
    there: HubClient,
}

const TOKEN: [u8; 32] = [9; 32];

impl Middle {
    async fn new(theirs: &World) -> Self {
        let world = World::new();
        let invitation: Invitation = world.invitation(&[]).parse().expect("an invitation");
        let client = |world: &World, key| {
            let mut fingerprint = [0; 32];
            let text = world.hello["fingerprint"].as_str().expect("a text");
            hex::decode_to_slice(text, &mut fingerprint).expect("hexadecimal");
            HubClient::new(&world.url, Pin::Fingerprint(fingerprint), key).expect("a client")
        };
        let here = client(&world, Some(NodeKey::from_secret_bytes([8; 32])));
        here.register(&invitation).await.expect("registers");
        let there = client(theirs, None);
        Self { world, here, there }
    }

    async fn of_recipient(&self, number: u16, index: u8) -> Vec<u8> {
        loop {
            let came = self.here.code_message(number, index, None).await.expect("answers");
            if let Some(came) = came {
                return came.to_vec();
            }
        }
    }

    async fn of_sender(&self, number: u16, index: u8) -> Vec<u8> {
        loop {
            let came = self.there.code_message(number, index, Some(&TOKEN)).await;
            if let Some(came) = came.expect("answers") {
                return came.to_vec();
            }
        }
    }

    async fn to_recipient(&self, number: u16, index: u8, message: &[u8]) {
        let put = self.here.put_code_message(number, index, None, message.to_vec()).await;
        put.expect("is passed on");
    }

    async fn to_sender(&self, number: u16, index: u8, message: &[u8]) {
        let put = self.there.put_code_message(number, index, Some(&TOKEN), message.to_vec()).await;
        put.expect("is passed on");
    }
}

fn receiving(world: &World, hub: &str, code: Code) -> Process {
    let (code, to) = (code.to_string(), world.text("in"));
    let mut command = world.command("ben", &["receive", &code, "--hub", hub, "--yes", "--to", &to]);
    Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_in_the_middle_has_one_guess_and_passes_on_what_it_cannot_read() {
    let world = World::new();
    let sender = Sender::start(&world, &[]);
    let middle = Middle::new(&world).await;

    // It plays the sender to the recipient and the recipient to the sender, with words of its own.
    let code = sender.code();
    let (number, guess) = (code.number(), guess(code));
    middle.here.announce_code(number).await.expect("is its own hub");
    let mut recipient = receiving(&world, &middle.world.url, code);
    let claim = middle.of_recipient(number, 0).await;
    let to_recipient = Answer::new(&guess, [1; 32], &claim).expect("a claim");
    let to_sender = Claim::new(&guess, [2; 32]);
    middle.to_sender(number, 0, to_sender.message()).await;
    let answer = middle.of_sender(number, 1).await;
    let proven = to_sender.prove(&answer).expect("an answer");
    middle.to_sender(number, 2, &proven.message()).await;
    assert_eq!(proven.open(&middle.of_sender(number, 3).await), Err(HandoverError::OtherCode));
    middle.to_recipient(number, 1, to_recipient.message()).await;
    let proof = middle.of_recipient(number, 2).await;
    let (url, fingerprint) = (middle.world.url.clone(), [0; 32]);
    let id = delivery::DeliveryId::from_bytes([7; 16]);
    let secret = delivery::DeliverySecret::from_bytes([7; 32]);
    let forged = Ticket { url, fingerprint, id, secret };
    assert_eq!(to_recipient.hand_over(&proof, &forged), Err(HandoverError::OtherCode));
    middle.to_recipient(number, 3, &refusal()).await;
    assert_eq!(recipient.0.wait().expect("it ends").code(), Some(6));
    until("another code", || sender.names() == ["code", "tried-in-vain", "code"]);

    // It passes everything on as it is: the ticket that arrives is the sender's, of the sender's hub.
    let code = sender.code();
    let number = code.number();
    middle.here.announce_code(number).await.expect("is its own hub");
    let mut recipient = receiving(&world, &middle.world.url, code);
    for index in 0..4 {
        let message = match index % 2 {
            0 => middle.of_recipient(number, index).await,
            _ => middle.of_sender(number, index).await,
        };
        let address = world.address().as_bytes();
        assert!(!message.windows(address.len()).any(|it| it == address), "the ticket is sealed");
        match index % 2 {
            0 => middle.to_sender(number, index, &message).await,
            _ => middle.to_recipient(number, index, &message).await,
        }
    }
    assert!(recipient.0.wait().expect("it ends").success());
    assert_eq!(fs::read(world.path("in/plan.txt")).expect("there"), b"Ground floor");
    assert_eq!(sender.end(), ["code", "tried-in-vain", "code", "handed-over", "delivered"]);
}

//! Both ends of the control socket in one process, and who may use it.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use node_api::{FromNode, Look, Run, Text, ToNode};
use serde_json::json;
use tokio::sync::Notify;

use super::*;
use crate::Node;
use crate::communities::publisher::{SharedLedger, default_ledger};
use crate::service::{self, ServiceError};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says back what it was given; some words have it do something else.
#[derive(Default)]
struct Echo {
    cancelled: Arc<AtomicBool>,
    waits: Arc<Notify>,
}

struct OnDrop(Arc<AtomicBool>, Arc<Notify>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
        self.1.notify_one();
    }
}

#[async_trait]
impl Commands for Echo {
    async fn run(&self, run: Run, line: Arc<Line>) -> Outcome {
        match &*run.arguments[0].to_shown() {
            "wait" => {
                let _told = OnDrop(Arc::clone(&self.cancelled), Arc::clone(&self.waits));
                let waits_for = Some("the end of time".into());
                let phase = "waiting".into();
                line.look(Look { phase, done: 1, waits_for, ..Look::default() });
                std::future::pending().await
            }
            "ask" => {
                let answer = line.ask("Who? ").await.unwrap_or_else(|| "nobody".into());
                line.say(&FromNode::Fact { human: answer, json: json!({}) }).expect("heard");
                Outcome::Ended(0)
            }
            "count" => {
                for number in 0..1000 {
                    let human = number.to_string();
                    let fact = FromNode::Fact { human, json: json!({ "number": number }) };
                    if line.say(&fact).is_err() {
                        break;
                    }
                }
                Outcome::Ended(0)
            }
            "flood" => {
                let _told = OnDrop(Arc::clone(&self.cancelled), Arc::clone(&self.waits));
                while line.write(&[7; 1000]).is_ok() {}
                Outcome::Ended(0)
            }
            "write" => {
                line.write(&vec![7; 3_000_000]).expect("heard");
                Outcome::Ended(3)
            }
            _ => Outcome::Failed(node_api::Failure {
                exit_code: 4,
                causes: vec!["no such word".into()],
                hint: None,
            }),
        }
    }
}

fn run_of(word: &str) -> ToNode {
    ToNode::Run(Run {
        arguments: vec![word.into()],
        directory: Text::from("/"),
        hub: None,
        config: None,
        json: false,
        quiet: false,
        capability: None,
    })
}

/// A node that ends with the test.
struct World {
    directory: tempfile::TempDir,
    cancelled: Arc<AtomicBool>,
    ended: Arc<Notify>,
    task: tokio::task::JoinHandle<Result<(), ServiceError>>,
    stop: Arc<Notify>,
}

impl World {
    async fn start(runtime: Option<&Path>) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let node = Arc::new(Node::open(directory.path()).expect("opens"));
        let echo = Echo::default();
        let (cancelled, ended) = (Arc::clone(&echo.cancelled), Arc::clone(&echo.waits));
        let (ready, stop) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (told, stopped) = (Arc::clone(&ready), Arc::clone(&stop));
        let runtime = runtime.map(Path::to_owned);
        let task = tokio::spawn(async move {
            let commands = |_: &Arc<service::Service>| Arc::new(echo) as Arc<dyn Commands>;
            let ready = |_: &Path| told.notify_one();
            {
                let ledger = SharedLedger::new(default_ledger(&node));
                service::run(node, ledger, runtime.as_deref(), commands, ready, stopped.notified())
                    .await
            }
        });
        ready.notified().await;
        Self { directory, cancelled, ended, task, stop }
    }

    fn state(&self) -> &Path {
        self.directory.path()
    }

    async fn connect(&self) -> Connection {
        connect(self.state()).await.expect("allowed").expect("it runs")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_run_and_its_output_comes_back() {
    let world = World::start(None).await;
    let mut command = world.connect().await;
    command.send(&run_of("write")).await.expect("sent");
    let mut bytes = 0;
    let ended = loop {
        match command.next().await.expect("the node speaks") {
            Reply::Bytes(piece) => {
                assert!(piece.iter().all(|byte| *byte == 7));
                bytes += piece.len();
            }
            Reply::Message(FromNode::Ended { exit_code }) => break exit_code,
            Reply::Message(_) => {}
        }
    };
    assert_eq!((bytes, ended), (3_000_000, 3));

    let mut command = world.connect().await;
    command.send(&run_of("ask")).await.expect("sent");
    let Reply::Message(FromNode::Ask { question }) = command.next().await.expect("asks") else {
        panic!("no question");
    };
    assert_eq!(question, "Who? ");
    command.send(&ToNode::Answer { text: Some("me".into()) }).await.expect("sent");
    let Reply::Message(FromNode::Fact { human, .. }) = command.next().await.expect("tells") else {
        panic!("no fact");
    };
    assert_eq!(human, "me");

    let mut command = world.connect().await;
    command.send(&run_of("nonsense")).await.expect("sent");
    let Reply::Message(FromNode::Failed(failure)) = command.next().await.expect("tells") else {
        panic!("no failure");
    };
    assert_eq!(failure.exit_code, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_says_much_without_a_pause_is_heard_and_can_be_left() {
    let world = World::start(None).await;
    let mut command = world.connect().await;
    command.send(&run_of("count")).await.expect("sent");
    let heard = async {
        let mut facts = 0;
        loop {
            match command.next().await.expect("the node speaks") {
                Reply::Message(FromNode::Fact { json, .. }) => {
                    assert_eq!(json["number"], facts);
                    facts += 1;
                }
                Reply::Message(FromNode::Ended { .. }) => break facts,
                Reply::Message(_) | Reply::Bytes(_) => {}
            }
        }
    };
    let facts = tokio::time::timeout(PATIENCE, heard).await.expect("it does not hang");
    assert_eq!(facts, 1000);

    // One that never pauses notices that its command went away.
    let mut command = world.connect().await;
    command.send(&run_of("flood")).await.expect("sent");
    command.next().await.expect("it runs");
    drop(command);
    tokio::time::timeout(PATIENCE, world.ended.notified()).await.expect("it is noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_told_of_and_ends_with_its_command() {
    let world = World::start(None).await;
    let mut command = world.connect().await;
    command.send(&run_of("wait")).await.expect("sent");
    let Reply::Message(FromNode::Look(look)) = command.next().await.expect("looks") else {
        panic!("no look");
    };
    assert_eq!(look.phase, "waiting");
    let told = status(world.state()).await.expect("allowed").expect("it runs");
    assert_eq!(told.process, std::process::id());
    assert_eq!(told.jobs.len(), 1);
    assert_eq!(told.jobs[0].what, "wait");
    let waits = told.jobs[0].waits_for.as_ref().expect("it waits");
    assert_eq!(waits.what, "the end of time");
    assert!(waits.since >= told.started && !waits.next.is_empty());

    drop(command);
    world.ended.notified().await;
    assert!(world.cancelled.load(SeqCst));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_ends_takes_its_jobs_and_its_socket_with_it() {
    let world = World::start(None).await;
    let mut command = world.connect().await;
    command.send(&run_of("wait")).await.expect("sent");
    command.next().await.expect("it runs");
    world.stop.notify_one();
    world.task.await.expect("no panic").expect("ends well");
    let gone = loop {
        match command.next().await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(gone, ControlError::Gone { .. }), "{gone}");
    assert!(world.cancelled.load(SeqCst));
    let state = world.directory.path();
    assert!(connect(state).await.expect("no error").is_none());
    assert!(!socket_path(state).exists() && !is_node_running(state));
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_node_and_it_starts_over_what_a_dead_one_left() {
    let world = World::start(None).await;
    let second = Arc::new(Node::open(world.state()).expect("opens"));
    let never = |_: &Arc<service::Service>| Arc::new(Echo::default()) as Arc<dyn Commands>;
    let ledger = SharedLedger::new(default_ledger(&second));
    let refused =
        service::run(second, ledger, None, never, |_| panic!("two nodes"), std::future::pending())
            .await;
    assert!(matches!(refused, Err(ServiceError::Running { .. })), "{refused:?}");

    // A socket nobody listens to is what `kill -9` leaves.
    let directory = tempfile::tempdir().expect("temporary directory");
    drop(std::os::unix::net::UnixListener::bind(socket_path(directory.path())).expect("binds"));
    assert!(connect(directory.path()).await.expect("no error").is_none());
    let listener = socket::bind(directory.path(), None).expect("binds over it");
    assert!(socket::connect(directory.path()).expect("connects").is_some());
    drop(listener);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_its_users_alone_and_may_be_anywhere() {
    // As long as paths are allowed to be, and longer than an address of a socket.
    let runtime = tempfile::tempdir().expect("temporary directory");
    let long = runtime.path().join("x".repeat(120));
    std::fs::create_dir(&long).expect("made");
    for runtime in [None, Some(&*long)] {
        let world = World::start(runtime).await;
        let real = socket_path(world.state()).canonicalize().expect("there");
        assert_eq!(real.starts_with(&long), runtime.is_some());
        let mode = std::fs::metadata(&real).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(status(world.state()).await.expect("allowed").is_some());
    }
}

#[test]
fn only_the_same_user_and_root_are_trusted() {
    assert!(socket::may_trust(1000, 1000) && socket::may_trust(0, 1000));
    assert!(!socket::may_trust(1000, 0) && !socket::may_trust(1001, 1000));
}

#[tokio::test]
async fn another_version_is_noticed_before_anything_is_asked() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let directory = tempfile::tempdir().expect("temporary directory");
    let listener = tokio::net::UnixListener::bind(socket_path(directory.path())).expect("binds");
    let node = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a command");
        let hello = Hello { protocol: 9, version: "9.9.9".into(), process: 7 };
        let frame = node_api::Frame::of(&hello).expect("fits").encode();
        stream.write_all(&frame).await.expect("sent");
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.expect("read");
        heard
    });
    let refused = connect(directory.path()).await;
    let Err(ControlError::Skew { node: version, process: 7, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(version, "9.9.9");
    let heard = node.await.expect("no panic");
    let mut reader = node_api::FrameReader::default();
    reader.push(&heard);
    reader.next_frame().expect("sound").expect("a hello").message::<Hello>().expect("a hello");
    assert_eq!(reader.next_frame().expect("sound"), None, "nothing else was said");
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_ends_one_connection_and_not_the_node() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let world = World::start(None).await;
    for noise in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 255, 255, 255, 255], &[0, 2, 0, 0, 0, 1, 2]]
    {
        let path = socket_path(world.state());
        let mut stream = tokio::net::UnixStream::connect(&path).await.expect("connects");
        stream.write_all(noise).await.expect("sent");
        let mut heard = Vec::new();
        // It says hello and hangs up, with or without having read everything.
        drop(stream.read_to_end(&mut heard).await);
        assert!(heard.len() < 200);
    }
    assert!(status(world.state()).await.expect("allowed").is_some());
}

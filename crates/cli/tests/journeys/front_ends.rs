//! Two hubs on one PostgreSQL, behind one address: what was begun at one goes on at the other.

use std::fs;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Signal;
use testkit::{Postgres, noise};

use crate::delivery::{Sender, hold, received, receiving, segments_kept};
use crate::files::assert_same;
use crate::process::{Process, consign, free_port, ok, start_hub, told, until};
use crate::users::set_mode;
use crate::world::World;

/// What stands before front-ends: takes connections, and passes each on to the one it prefers, or to another one
/// that takes it.
struct Balancer {
    preferred: Arc<AtomicUsize>,
    port: u16,
}

impl Balancer {
    fn start(behind: [SocketAddr; 2], listener: TcpListener) -> Self {
        let port = listener.local_addr().expect("bound").port();
        let preferred = Arc::new(AtomicUsize::new(0));
        let first = Arc::clone(&preferred);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let first = first.load(Ordering::Relaxed);
                let order = [behind[first], behind[1 - first]];
                let Some(front_end) = order.iter().find_map(|it| TcpStream::connect(it).ok())
                else {
                    continue;
                };
                for (mut from, mut to) in [
                    (
                        client.try_clone().expect("a socket"),
                        front_end.try_clone().expect("a socket"),
                    ),
                    (front_end, client),
                ] {
                    std::thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                        let _ = from.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Self { preferred, port }
    }

    fn prefer(&self, front_end: usize) {
        self.preferred.store(front_end, Ordering::Relaxed);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A world whose hub is two front-ends, the other one of which is returned.
fn two_front_ends(server: &Postgres) -> (World, Process, Balancer) {
    let directory = tempfile::tempdir().expect("a directory");
    let [data, second, file] = ["hub", "second", "address"].map(|it| directory.path().join(it));
    fs::write(&file, server.create_database()).expect("writes");
    set_mode(&file, 0o600);
    let outer = TcpListener::bind("127.0.0.1:0").expect("binds");
    let url = format!("https://{}", outer.local_addr().expect("bound"));
    let ports = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let behind = ports.each_ref().map(|address| address.parse().expect("an address"));
    let start = |data: &Path, listen: &str, more: &[&str]| {
        let args = [
            &["--listen", listen, "--url", &url, "--database-file", text(&file)][..],
            &["--front-end-listen", "127.0.0.1:0"],
            more,
        ];
        start_hub(data, &args.concat())
    };
    let (hub, hello) = start(&data, &ports[0], &[]);
    // As docs/operations.md tells operators.
    fs::create_dir_all(second.join("tls")).expect("creates");
    for name in ["hub.key", "tls/cert.pem", "tls/key.pem"] {
        fs::copy(data.join(name), second.join(name)).expect("copies");
    }
    let (other, same) = start(&second, &ports[1], &["--without-chunks"]);
    assert_eq!(hello["fingerprint"], same["fingerprint"], "clients recognise both");
    let balancer = Balancer::start(behind, outer);
    assert!(url.ends_with(&balancer.port.to_string()));
    (World { hub, hello, url, directory, environment: Vec::new(), logs: false }, other, balancer)
}

/// The delivery is at home at the front-end where it was begun; its recipient is at the other one.
fn goes_on_without(killed: usize) {
    let Some(server) = Postgres::start() else { return };
    let (mut world, mut other, balancer) = two_front_ends(&server);
    world.join("anna", &[]);
    let source = world.path("source");
    fs::create_dir(&source).expect("made");
    for index in 0..3 {
        let name = format!("part-{index}.bin");
        fs::write(source.join(name), noise(70 + index, 40_000_000)).expect("written");
    }
    let sender = Sender::start(&world, "anna", &[&world.text("source")]);
    balancer.prefer(1);
    let to = world.text("in");
    fs::create_dir(&to).expect("made");
    let recipient = receiving(&world, "ben", &sender.ticket, &to);
    hold(&world, "ben", &recipient, 10);
    if killed == 0 {
        world.hub.kill();
    } else {
        other.kill();
    }
    recipient.signal(Signal::CONT);
    let kept = segments_kept(&world, "ben");
    let told = received(recipient);
    assert_eq!(told.last().expect("a line")["event"], "received", "{told:?}");
    assert!(kept >= 10, "it was killed in the middle");
    let sent = sender.last();
    assert_eq!(sent["event"], "delivered", "{sent}");
    assert_same(&source, &world.path("in").join("source"));
}

#[test]
fn a_delivery_goes_on_when_its_front_end_is_killed() {
    goes_on_without(0);
}

#[test]
fn a_delivery_goes_on_when_the_recipients_front_end_is_killed() {
    goes_on_without(1);
}

#[test]
fn a_hub_is_taken_down_and_up_at_any_of_its_front_ends() {
    let Some(server) = Postgres::start() else { return };
    let (world, _other, balancer) = two_front_ends(&server);
    world.join("anna", &[]);
    let (first, second) = (world.text("hub"), world.text("second"));
    let down =
        ["--json", "hub", "down", "--data", &second, "--minutes", "5", "--why", "a new disk"];
    assert_eq!(ok(consign().args(down))["event"], "hub-down");
    for front_end in [0, 1] {
        balancer.prefer(front_end);
        until("it is told", || told(&world.run("anna", &["ls"])).contains("a new disk"));
    }
    assert_eq!(ok(consign().args(["--json", "hub", "up", "--data", &first]))["event"], "hub-up");
    for front_end in [0, 1] {
        balancer.prefer(front_end);
        until("it is up", || world.run("anna", &["ls"]).status.success());
    }
}

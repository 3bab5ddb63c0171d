//! Servers that behave as a hub or a node should not.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};

use hub_api::{ClientVersions, Hex, HubInfo, Limits};
use node_api::status::{
    CommunityState, CommunityStatus, JobStatus, Status, Waiting, WatchState, WatchStatus,
};
use node_api::{Frame, FrameReader, FromNode, Hello, PROTOCOL};

use super::place::Place;

/// What a hub of a version says of itself.
pub(crate) fn hub_info(version: &str) -> String {
    hub_info_wanting(version, None)
}

/// The same of a hub that wants its clients to be of some version.
pub(crate) fn hub_info_wanting(version: &str, clients: Option<ClientVersions>) -> String {
    let (key, limits) = (Hex([1; 32]), Limits::default());
    let info = HubInfo { version: version.into(), key, limits, clients, direct: false };
    serde_json::to_string(&info).expect("serialisable")
}

/// Answers whatever it is asked with the same words; ends with the test's process.
pub(crate) struct FakeHub {
    pub(crate) url: String,
}

impl FakeHub {
    pub(crate) fn answering(status: &str, headers: &str, body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let answer = format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let answer = answer.clone();
                std::thread::spawn(move || {
                    let mut asked = [0; 4096];
                    if stream.read(&mut asked).is_ok_and(|count| count > 0) {
                        let _ = stream.write_all(answer.as_bytes());
                    }
                });
            }
        });
        Self { url }
    }
}

/// Speaks as a node on the control socket; ends with the test's process.
pub(crate) struct FakeNode;

impl FakeNode {
    /// A node of another version.
    pub(crate) fn of_version(place: &Place, version: &str) -> Self {
        Self::start(place, version, None)
    }

    /// A node of our version with a job that waits and a watch that fails.
    pub(crate) fn telling(place: &Place) -> Self {
        let waits = Waiting {
            what: "the store".into(),
            since: 1_000_000_000,
            next: "goes on when the other process ends".into(),
        };
        let status = Status {
            newer: Vec::new(),
            cache: None,
            communities: vec![CommunityStatus {
                community: "01020304-0506-4708-890a-0b0c0d0e0f10".into(),
                name: "Plant 7".into(),
                state: CommunityState::Listening,
                since: 1_000_000_000,
                waits_for: None,
                last: None,
            }],
            version: env!("CARGO_PKG_VERSION").into(),
            process: std::process::id(),
            started: 1_000_000_000,
            state: "state".into(),
            waits_for: None,
            jobs: vec![JobStatus {
                id: 1,
                what: "get team/site".into(),
                started: 1_000_000_000,
                phase: String::new(),
                bytes_done: 0,
                bytes_total: None,
                waits_for: Some(waits),
            }],
            watches: vec![WatchStatus {
                to: "/srv/site".into(),
                name: "team/site".into(),
                state: WatchState::BackingOff,
                current: Some(3),
                hold: None,
                kept: vec![3],
                waits_for: None,
                last_error: Some("the hub is unreachable".into()),
                next_try: Some(2_000_000_000),
            }],
        };
        Self::start(place, env!("CARGO_PKG_VERSION"), Some(status))
    }

    fn start(place: &Place, version: &str, status: Option<Status>) -> Self {
        let listener = UnixListener::bind(place.state().join("node.sock")).expect("binds");
        let hello =
            Hello { protocol: PROTOCOL, version: version.into(), process: std::process::id() };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = talk(stream, &hello, status.as_ref());
            }
        });
        Self
    }
}

fn talk(mut stream: UnixStream, hello: &Hello, status: Option<&Status>) -> std::io::Result<()> {
    let frame = |message: Frame| message.encode();
    stream.write_all(&frame(Frame::of(hello).expect("short")))?;
    let (mut reader, mut buffer) = (FrameReader::default(), [0; 4096]);
    let mut heard = 0;
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        reader.push(&buffer[..count]);
        while let Ok(Some(_)) = reader.next_frame() {
            heard += 1;
            // The first is their hello, the second their question.
            if let (2, Some(status)) = (heard, status) {
                let answer = FromNode::Status(Box::new(status.clone()));
                stream.write_all(&frame(Frame::of(&answer).expect("short")))?;
            }
        }
    }
}

//! HTTP byte by byte, for clients that do not behave.

use std::net::SocketAddr;
use std::time::Duration;

use documents::{NodeKey, SessionToken};
use hub::{Hub, HubConfig, HubLimits, Tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::scene::{self, Person, Scene};

/// Longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Long enough to see that nothing happens.
pub(crate) const A_WHILE: Duration = Duration::from_millis(300);

/// A hub with these limits and plain HTTP.
pub(crate) async fn hub_with(limits: HubLimits) -> Scene {
    let dir = tempfile::tempdir().expect("a directory");
    let config = HubConfig { limits, ..scene::config(&dir, Tls::Off) };
    Scene { hub: Hub::start(config).await.expect("starts"), dir }
}

/// One connection.
pub(crate) struct Wire(pub(crate) TcpStream);

impl Wire {
    pub(crate) async fn connect(scene: &Scene) -> Self {
        Self(TcpStream::connect(scene.hub.local_addr).await.expect("connects"))
    }

    /// From another address of this machine: all of 127/8 are.
    pub(crate) async fn connect_from(scene: &Scene, address: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        let address = SocketAddr::new(address.parse().expect("an address"), 0);
        socket.bind(address).expect("binds");
        Self(socket.connect(scene.hub.local_addr).await.expect("connects"))
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("sends");
    }

    /// Sends what the hub takes; whether it took all.
    pub(crate) async fn send_on(&mut self, bytes: &[u8]) -> bool {
        matches!(timeout(PATIENCE, self.0.write_all(bytes)).await, Ok(Ok(())))
    }

    pub(crate) async fn ask_health(&mut self) {
        self.send(b"GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n").await;
    }

    /// The head of a response.
    pub(crate) async fn head(&mut self) -> String {
        let reading = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.0.read_u8().await.expect("a whole head"));
            }
            String::from_utf8(head).expect("text")
        };
        timeout(PATIENCE, reading).await.expect("an answer in time")
    }

    /// A response with a length.
    pub(crate) async fn answer(&mut self) -> String {
        let head = self.head().await;
        let length = head.split_once("content-length: ").expect("a length").1;
        let length = length.split_once("\r\n").expect("a line").0;
        let mut body = vec![0; length.parse().expect("a number")];
        timeout(PATIENCE, self.0.read_exact(&mut body)).await.expect("in time").expect("a body");
        head + &String::from_utf8_lossy(&body)
    }

    pub(crate) async fn assert_healthy(&mut self) {
        self.ask_health().await;
        self.assert_health_answer().await;
    }

    pub(crate) async fn assert_health_answer(&mut self) {
        let answer = self.answer().await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n"), "{answer}");
    }

    /// Everything until the hub closes. That it closes by a reset is not an answer.
    pub(crate) async fn rest(mut self) -> String {
        let mut all = Vec::new();
        let reading = self.0.read_to_end(&mut all);
        let _ = timeout(PATIENCE, reading).await.expect("is closed in time");
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Asserts that the hub says nothing and does not close.
    pub(crate) async fn assert_silent(&mut self) {
        let read = timeout(A_WHILE, self.0.read_u8()).await;
        assert!(read.is_err(), "{read:?}");
    }
}

/// A request with a token, if there is one, up to the body.
pub(crate) fn post(path: &str, token: Option<&str>, headers: &str) -> String {
    let token = token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
    format!("POST {path} HTTP/1.1\r\nHost: hub\r\n{token}{headers}\r\n")
}

/// A token of the person, for clients that are no [`hub_client::HubClient`].
pub(crate) fn token(scene: &Scene, person: &Person) -> String {
    let secret = std::fs::read(scene.dir.path().join("hub.key")).expect("reads");
    let key = NodeKey::from_secret_bytes(secret.try_into().expect("32 bytes"));
    let (issued, expires) = (scene::now(), scene::now() + 1000);
    let (issuer, subject) = (key.public(), person.key.public());
    let token = SessionToken { issuer, subject, issued, expires };
    hub_api::Base64Bytes(token.issue(&key)).to_string()
}

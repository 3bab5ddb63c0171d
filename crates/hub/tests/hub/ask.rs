//! One HTTP request and its whole answer, as `curl` would see it.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::raw::PATIENCE;
use crate::scene::Scene;

/// A request to be sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ask {
    method: String,
    path: String,
    head: String,
    body: Vec<u8>,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Ask {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), ..Self::default() }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        Self { body, ..self.header("Content-Type", "application/json") }
    }

    /// Sends it on a connection of its own and reads to its end.
    pub(crate) async fn send(&self, scene: &Scene) -> Answer {
        let Self { method, path, head, body } = self;
        let length = body.len();
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{head}\r\n"
        )
        .into_bytes();
        request.extend_from_slice(body);
        let mut stream = TcpStream::connect(scene.hub.local_addr).await.expect("connects");
        stream.write_all(&request).await.expect("sends");
        let mut bytes = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
        read.expect("in time").expect("answers");
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            assert!(bytes.is_empty(), "half a head: {bytes:?}");
            return Answer { status: BROKEN_OFF, headers: BTreeMap::new(), body: bytes };
        };
        let head = String::from_utf8(bytes[..end].to_vec()).expect("text");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
        let headers = lines.filter_map(|line| line.split_once(": "));
        Answer {
            status: status.parse().expect("a number"),
            headers: headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect(),
            body: bytes[end + 4..].to_vec(),
        }
    }
}

/// The status of an answer that was broken off before its head was sent.
pub(crate) const BROKEN_OFF: u16 = 0;

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The problem code; nothing where the answer is none.
    pub(crate) fn problem_code(&self) -> String {
        let problem = serde_json::from_slice::<Value>(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Status and problem code.
    pub(crate) fn problem(&self) -> (u16, String) {
        (self.status, self.json()["code"].as_str().unwrap_or_default().to_owned())
    }
}

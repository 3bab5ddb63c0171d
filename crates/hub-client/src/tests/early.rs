//! Servers that refuse while the body is still on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use hub_api::{MEDIA_PROBLEM, Problem, ProblemCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::server::frame_of;
use crate::{HubClient, Pin};

/// Much more than lies in the buffers of two systems.
fn long_upload() -> Vec<content::Frame> {
    vec![frame_of(&[&[7; 2 << 20], &[8; 2 << 20]]); 12]
}

/// Answers every connection after `read_bytes` of what comes and closes at once, so that the
/// system resets the connection. Returns the URL and the number of connections so far.
async fn refusing(read_bytes: usize, code: ProblemCode) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("accepts");
            count.fetch_add(1, SeqCst);
            let mut taken = vec![0; read_bytes];
            stream.read_exact(&mut taken).await.expect("reads");
            let body = serde_json::to_string(&Problem::new(code, "early")).expect("json");
            let (status, length) = (code.status(), body.len());
            let answer = format!(
                "HTTP/1.1 {status} no\r\nContent-Type: {MEDIA_PROBLEM}\r\n\
                 Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).await.expect("answers");
        }
    });
    (url, connections)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_refusal_is_seen_and_not_the_break_behind_it() {
    let frames = long_upload();
    for read_bytes in [100, 5 << 20] {
        for code in [ProblemCode::BodyTooLarge, ProblemCode::StorageFull] {
            let (url, connections) = refusing(read_bytes, code).await;
            let client = HubClient::new(&url, Pin::None, None).expect("a url");
            for _ in 0..10 {
                let error = client.upload(frames.clone()).await.expect_err("is refused");
                assert_eq!(error.code(), Some(code), "{error:?}");
            }
            // Not found out by asking again, which a broken connection would lead to.
            assert_eq!(connections.load(SeqCst), 10);
        }
    }
}

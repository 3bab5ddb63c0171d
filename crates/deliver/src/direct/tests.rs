//! Both ends of a direct path over loopback, and those who should get nothing by it.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use delivery::{DeliveryId, DeliverySecret, DirectPath, SEGMENT_BYTES, Vault};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{DirectError, DirectSegments, Listener, Serving, may_try};
use crate::source::Source;
use crate::survey;

const ID: DeliveryId = DeliveryId::from_bytes([1; 16]);
const SECRET: DeliverySecret = DeliverySecret::from_bytes([2; 32]);
const OWN: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SEGMENTS: u64 = 5;

struct Sender {
    listener: Listener,
    path: DirectPath,
    source: Arc<Source>,
    file: std::path::PathBuf,
    _place: tempfile::TempDir,
}

async fn sender() -> Sender {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("file");
    let length = (SEGMENTS as usize - 1) * SEGMENT_BYTES;
    let bytes: Vec<u8> = (0..length as u32).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect();
    fs::write(&file, &bytes).expect("written");
    let surveyed = survey(std::slice::from_ref(&file)).expect("looks");
    let origins = surveyed.origins.clone();
    let header = surveyed.header(String::new(), String::new(), 1);
    let source = Arc::new(Source::new(header.clone(), &header.encode(), &origins).expect("fits"));
    assert_eq!(source.layout().segments(), SEGMENTS);
    let serving = Serving {
        source: Arc::clone(&source),
        vault: Arc::new(Vault::of_segments(ID, &SECRET)),
        tags: Arc::new(Mutex::new(vec![None; SEGMENTS as usize])),
        token: SECRET.direct_token(),
    };
    let address = SocketAddr::new(OWN, 0);
    let listener = Listener::at(address, (ID, &SECRET), serving).await.expect("listens");
    let path = DirectPath::open(listener.path(), ID, &SECRET).expect("ours");
    Sender { listener, path, source, file, _place: place }
}

async fn open(
    path: &DirectPath,
    token: &[u8; 32],
    from: u64,
) -> Result<DirectSegments, DirectError> {
    DirectSegments::open(path, OWN, token, from).await
}

#[tokio::test]
async fn the_recipient_takes_every_segment_from_where_it_wants() {
    let sender = sender().await;
    let vault = Vault::of_segments(ID, &SECRET);
    let layout = sender.source.layout();
    for from in [3, 0, SEGMENTS - 1] {
        let mut stream = open(&sender.path, &SECRET.direct_token(), from).await.expect("opens");
        for wanted in from..SEGMENTS {
            let (number, sealed) = stream.next().await.expect("comes").expect("not the end");
            assert_eq!(number, wanted);
            let opened = vault.open(number, layout.segment_length(number), sealed.into());
            let plain = sender.source.segment(number).expect("reads");
            assert!(opened.expect("opens").1 == plain, "segment {number}");
        }
        assert_eq!(stream.next().await.expect("ends well"), None);
    }
    assert_eq!(sender.listener.segments(), SEGMENTS, "each counts once");
    // What is behind the end, however far, is nothing.
    for from in [SEGMENTS, u64::MAX] {
        let mut stream = open(&sender.path, &SECRET.direct_token(), from).await.expect("opens");
        assert_eq!(stream.next().await.expect("ends well"), None);
    }
}

#[tokio::test]
async fn who_does_not_know_the_secret_gets_nothing() {
    let sender = sender().await;
    // The hub knows where it listens at best, and the token that the recipient shows to the hub.
    for token in [[0; 32], SECRET.recipient_token()] {
        let mut stream = open(&sender.path, &token, 0).await.expect("a handshake");
        let next = stream.next().await;
        assert!(matches!(next, Err(DirectError::Broken(_)) | Ok(None)), "{next:?}");
    }
    // Without a handshake there is less.
    let mut plain = TcpStream::connect(sender.path.addresses[0]).await.expect("connects");
    plain.write_all(&SECRET.direct_token()).await.expect("written");
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(answer.len() < 64, "an alert at most: {answer:?}");
    assert_eq!(sender.listener.segments(), 0);
}

#[tokio::test]
async fn nobody_but_the_sender_hears_the_token() {
    // Somebody took the address over, with a certificate of their own.
    let (sender, other) = (sender().await, sender().await);
    let path = DirectPath { fingerprint: sender.path.fingerprint, ..other.path.clone() };
    let opened = open(&path, &SECRET.direct_token(), 0).await;
    assert!(matches!(opened, Err(DirectError::Connect(_))), "{opened:?}");
    assert_eq!(other.listener.segments(), 0);
    // Nobody at all.
    let gone = TcpListener::bind((OWN, 0)).await.expect("listens");
    let path = DirectPath { addresses: vec![gone.local_addr().expect("bound")], ..path };
    drop(gone);
    let opened = open(&path, &SECRET.direct_token(), 0).await;
    assert!(matches!(opened, Err(DirectError::Connect(_))), "{opened:?}");
}

#[tokio::test]
async fn the_newest_stream_has_the_segments() {
    let sender = sender().await;
    let token = SECRET.direct_token();
    let mut old = open(&sender.path, &token, 0).await.expect("opens");
    old.next().await.expect("comes").expect("the first");
    let mut new = open(&sender.path, &token, 0).await.expect("opens");
    for _ in 0..SEGMENTS {
        new.next().await.expect("comes").expect("not the end");
    }
    assert_eq!(new.next().await.expect("ends well"), None);
    // What was written before is still there, and then it breaks or was complete.
    while let Ok(Some(_)) = old.next().await {}
}

#[tokio::test]
async fn connections_that_say_nothing_are_bounded() {
    let sender = sender().await;
    let address = sender.path.addresses[0];
    let mut idle = Vec::new();
    for _ in 0..super::listen::CONNECTIONS_MAX {
        idle.push(TcpStream::connect(address).await.expect("connects"));
    }
    // One more is closed at once, and when the others are gone there is room.
    let mut more = TcpStream::connect(address).await.expect("connects");
    let read = more.read(&mut [0; 1]).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    drop(idle);
    loop {
        let stream = open(&sender.path, &SECRET.direct_token(), 0).await;
        if let Ok(mut stream) = stream {
            stream.next().await.expect("comes").expect("the first");
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_changed_file_breaks_the_stream_and_is_not_sent() {
    let sender = sender().await;
    fs::write(&sender.file, "something else").expect("written");
    let mut stream = open(&sender.path, &SECRET.direct_token(), 1).await.expect("opens");
    let next = stream.next().await;
    assert!(matches!(next, Err(DirectError::Broken(_)) | Ok(None)), "{next:?}");
}

#[test]
fn nobody_is_led_to_their_own_machine_from_outside() {
    let far: IpAddr = "192.0.2.7".parse().expect("an address");
    let loopback: IpAddr = "::1".parse().expect("an address");
    assert!(may_try(far, far) && may_try(OWN, OWN) && may_try(OWN, far));
    assert!(!may_try(far, OWN) && !may_try(far, loopback));
}

/// Says what it is told to whoever connects, behind a certificate of its own.
async fn liar(says: Vec<u8>) -> (DirectPath, tokio::task::JoinHandle<io::Result<()>>) {
    let (acceptor, fingerprint) = super::listen::identity().expect("a certificate");
    let listener = TcpListener::bind((OWN, 0)).await.expect("listens");
    let addresses = vec![listener.local_addr().expect("bound")];
    let lying = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        let mut stream = acceptor.accept(stream).await?;
        stream.write_all(&says).await?;
        stream.shutdown().await?;
        // Until the other side has read it.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.map(drop)
    });
    (DirectPath { addresses, fingerprint }, lying)
}

#[tokio::test]
async fn a_sender_that_lies_is_left_without_harm() {
    let head =
        |number: u64, length: u32| [&number.to_le_bytes()[..], &length.to_le_bytes()].concat();
    let hostile = [
        head(0, u32::MAX),
        [head(1, 3), b"abc".to_vec()].concat(),
        head(0, 100),
        [head(0, 100), vec![7; 99]].concat(),
    ];
    for says in hostile {
        let (path, lying) = liar(says).await;
        let mut stream = open(&path, &SECRET.direct_token(), 0).await.expect("opens");
        let next = stream.next().await;
        assert!(matches!(next, Err(DirectError::Protocol(_))), "{next:?}");
        drop(stream);
        let _ = lying.await.expect("no panic");
    }
}

//! A server that answers as a test says, over plain TCP or TLS.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin as StdPin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use content::frame::{Codec, FrameBuilder, FrameCodec};
use content::{ChunkId, Frame};
use documents::ReleaseName;
use http_body_util::BodyExt as _;
use hub_api::{MEDIA_PROBLEM, Problem};
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;

use crate::{HubClient, Pin};

/// What a body does next.
#[derive(Clone)]
pub(super) enum Step {
    Send(Bytes),
    Wait(Duration),
    /// Break the connection.
    Break,
    /// Send this again and again.
    Repeat(Bytes),
}

/// A body that follows a script.
#[derive(Default)]
pub(super) struct Script {
    steps: VecDeque<Step>,
    sleep: Option<StdPin<Box<Sleep>>>,
}

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: StdPin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<hyper::body::Frame<Bytes>>>> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                if sleep.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.sleep = None;
            }
            return Poll::Ready(match self.steps.pop_front() {
                None => None,
                Some(Step::Send(bytes)) => Some(Ok(hyper::body::Frame::data(bytes))),
                Some(Step::Break) => Some(Err(io::Error::other("broken on purpose"))),
                Some(Step::Repeat(bytes)) => {
                    self.steps.push_front(Step::Repeat(bytes.clone()));
                    Some(Ok(hyper::body::Frame::data(bytes)))
                }
                Some(Step::Wait(pause)) => {
                    self.sleep = Some(Box::pin(tokio::time::sleep(pause)));
                    continue;
                }
            });
        }
    }
}

pub(super) fn script(steps: impl IntoIterator<Item = Step>) -> Response<Script> {
    Response::new(Script { steps: steps.into_iter().collect(), sleep: None })
}

pub(super) fn bytes(body: impl Into<Bytes>) -> Response<Script> {
    script([Step::Send(body.into())])
}

pub(super) fn json(message: &impl serde::Serialize) -> Response<Script> {
    bytes(serde_json::to_vec(message).expect("json"))
}

pub(super) fn problem(problem: &Problem) -> Response<Script> {
    let mut response = json(problem);
    *response.status_mut() = problem.status.try_into().expect("a status");
    response.headers_mut().insert(CONTENT_TYPE, MEDIA_PROBLEM.try_into().expect("a value"));
    response
}

/// A request as it arrived.
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }
}

type Answer = dyn Fn(&Seen) -> Response<Script> + Send + Sync;

pub(super) struct Server {
    pub(super) url: String,
    pub(super) seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(super) async fn start(
        tls: Option<ServerConfig>,
        answer: impl Fn(&Seen) -> Response<Script> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().expect("address"));
        let (seen, answer) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::new(answer));
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, log) = (acceptor.clone(), Arc::clone(&log));
                let answer: Arc<Answer> = answer.clone();
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(TokioIo::new(stream), &log, &*answer).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(TokioIo::new(stream), &log, &*answer).await;
                            }
                        }
                    }
                });
            }
        });
        Self { url, seen }
    }

    pub(super) async fn plain(
        answer: impl Fn(&Seen) -> Response<Script> + Send + Sync + 'static,
    ) -> Self {
        Self::start(None, answer).await
    }

    /// A client without a key.
    pub(super) fn client(&self) -> HubClient {
        HubClient::new(&self.url, Pin::None, None).expect("a url")
    }

    pub(super) fn paths(&self) -> Vec<String> {
        let seen = self.seen.lock().expect("no panic");
        seen.iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
    }
}

async fn serve<S>(stream: S, log: &Mutex<Vec<Seen>>, answer: &Answer)
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    let service = service_fn(async |request: Request<Incoming>| {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let path = head.uri.path_and_query().expect("a path").to_string();
        let seen = Seen { method: head.method, path, headers: head.headers, body };
        let response = answer(&seen);
        log.lock().expect("no panic").push(seen);
        Ok::<_, Infallible>(response)
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
}

pub(super) fn name() -> ReleaseName {
    "team/tools".parse().expect("a name")
}

pub(super) fn frame_of(chunks: &[&[u8]]) -> Frame {
    let mut builder = FrameBuilder::default();
    chunks.iter().for_each(|chunk| builder.push(ChunkId::of(chunk), chunk));
    let (entries, plain) = builder.take().expect("not empty");
    FrameCodec::default().encode(entries, plain, Codec::None)
}

/// The frames as a stream, without its end.
pub(super) fn stream_of(frames: &[Frame]) -> Bytes {
    frames.iter().flat_map(wire::encode_frame).collect::<Vec<_>>().concat().into()
}

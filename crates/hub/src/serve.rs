//! The accept loop: connections in, requests to the router, with limits on both.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hub_api::limits::HEADERS_MAX;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tower::util::MapRequest;

use crate::addresses::Addresses;
use crate::config::HubLimits;
use crate::line::Line;
use crate::linger::Lingering;
use crate::peer::Peer;
use crate::stall::StallGuard;

/// What a connection buffers at most before it makes a client wait. Heads are limited far below
/// by the router. Measured: four times as much carries no more, and a delivery that stands still holds it.
const BUFFER_BYTES: usize = 64 * 1024;
/// Least time between two words in the log about addresses with too many connections.
const WARNING_INTERVAL: Duration = Duration::from_mins(1);

/// Serves until `stopping` becomes true, then waits for open requests for a bounded time.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    limits: HubLimits,
    mut stopping: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let addresses = Addresses::new(limits.connections_per_address_max);
    let mut warned: Option<Instant> = None;
    let graceful = GracefulShutdown::new();
    let builder = builder(&limits);
    // Owns the connections: when it is dropped, they end.
    let mut connections = JoinSet::new();
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let accept = async {
            let place = place.await.expect("the semaphore is never closed");
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accept => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        let (stream, address) = match accepted {
            Ok((stream, address)) => (stream, address.ip()),
            Err(error) => {
                // Of one connection, or no file descriptors are left: then waiting helps.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(address_place) = addresses.place(address) else {
            if warned.is_none_or(|warned| warned.elapsed() >= WARNING_INTERVAL) {
                tracing::warn!(%address, "too many connections from one address");
                warned = Some(Instant::now());
            }
            continue;
        };
        // Answers go out in whole pieces; waiting to fill packets only adds delay.
        let _ = stream.set_nodelay(true);
        let line = Line::new(stream);
        let connection = connection(line.clone(), tls.clone(), limits.clone());
        let (builder, router) = (builder.clone(), router.clone());
        let watcher = graceful.watcher();
        connections.spawn(async move {
            if let Some(io) = connection.await {
                let from = move |mut request: hyper::Request<Incoming>| {
                    request.extensions_mut().insert(Peer(address));
                    request.extensions_mut().insert(line.clone());
                    request
                };
                let service = TowerToHyperService::new(MapRequest::new(router, from));
                let served = builder.serve_connection(TokioIo::new(io), service);
                if let Err(error) = watcher.watch(served.into_owned()).await {
                    tracing::debug!(error = %error, "a connection ended early");
                }
            }
            drop((place, address_place));
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.shutdown_time, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still open when the hub stopped");
    }
}

fn builder(limits: &HubLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_headers(HEADERS_MAX)
        .max_buf_size(BUFFER_BYTES);
    // A stream of HTTP/2 whose window never opens cannot be told from one that waits, and our
    // clients speak HTTP/1.1.
    builder.http1_only()
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The connection after its TLS handshake; `None` when that fails.
async fn connection(
    stream: Line,
    tls: Option<TlsAcceptor>,
    limits: HubLimits,
) -> Option<Box<dyn Io>> {
    let Some(tls) = tls else {
        return Some(guarded(stream, &limits));
    };
    match tokio::time::timeout(limits.handshake_time, tls.accept(stream)).await {
        Ok(Ok(stream)) => Some(guarded(stream, &limits)),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!("a TLS handshake took too long");
            None
        }
    }
}

fn guarded(stream: impl Io + 'static, limits: &HubLimits) -> Box<dyn Io> {
    let stream =
        StallGuard::new(stream, limits.idle_time, limits.transfer_time, limits.header_time);
    Box::new(Lingering::new(stream, limits.linger_time))
}

//! A TCP proxy that counts what passes and can be slowed down.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;

/// Bytes passed on at once; a limit is kept by waiting between them.
const PART_BYTES: usize = 256 << 10;

/// Stands between a client and a hub for as long as the program runs.
#[derive(Debug, Clone)]
pub(super) struct Proxy {
    address: SocketAddr,
    passed_bytes: Arc<AtomicU64>,
    limit_bytes_per_s: Arc<AtomicU64>,
}

impl Proxy {
    /// Listens on a port of its own and passes everything on to `upstream`.
    pub(super) fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let proxy = Self {
            address: listener.local_addr()?,
            passed_bytes: Arc::default(),
            limit_bytes_per_s: Arc::default(),
        };
        let accepting = proxy.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A hub that is away closes the connection, as it would without the proxy.
                let Ok(server) = TcpStream::connect(upstream) else { continue };
                let (Ok(client_out), Ok(server_out)) = (client.try_clone(), server.try_clone())
                else {
                    continue;
                };
                let (up, down) = (accepting.clone(), accepting.clone());
                thread::spawn(move || up.pass(client, server_out));
                thread::spawn(move || down.pass(server, client_out));
            }
        });
        Ok(proxy)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes passed so far, both ways.
    pub(super) fn passed_bytes(&self) -> u64 {
        self.passed_bytes.load(Ordering::Relaxed)
    }

    /// Limits each connection and direction; zero lifts the limit.
    pub(super) fn limit(&self, bytes_per_s: u64) {
        self.limit_bytes_per_s.store(bytes_per_s, Ordering::Relaxed);
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut part = vec![0; PART_BYTES];
        while let Ok(count @ 1..) = from.read(&mut part) {
            if to.write_all(&part[..count]).is_err() {
                break;
            }
            self.passed_bytes.fetch_add(count as u64, Ordering::Relaxed);
            let limit = self.limit_bytes_per_s.load(Ordering::Relaxed);
            if limit > 0 {
                thread::sleep(Duration::from_secs_f64(count as f64 / limit as f64));
            }
        }
        // One end is gone: the other has to hear of it, or it would wait.
        drop(to.shutdown(Shutdown::Write));
        drop(from.shutdown(Shutdown::Read));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_passes_and_is_counted() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap()).unwrap();
        let echo = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut heard = Vec::new();
            client.read_to_end(&mut heard).unwrap();
            client.write_all(&heard).unwrap();
        });
        let mut client = TcpStream::connect(proxy.address()).unwrap();
        client.write_all(&[7; 1_000_000]).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).unwrap();
        echo.join().unwrap();
        assert_eq!(heard, [7; 1_000_000]);
        assert_eq!(proxy.passed_bytes(), 2_000_000);
    }
}

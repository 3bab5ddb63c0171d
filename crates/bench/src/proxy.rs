//! A TCP proxy that counts what passes, can be slowed down, and can be away for a while.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Bytes passed on at once; a limit is kept by waiting between them.
const PART_BYTES: usize = 256 << 10;
/// How late a shared rate may be used: without it every wait that ends late would lower the rate, for
/// whoever is measured. With 20 ms, on processors shared with what is measured, it was 5 % lower.
const CREDIT: Duration = Duration::from_millis(200);

/// Stands between a client and a hub for as long as the program runs.
#[derive(Debug, Clone)]
pub(super) struct Proxy {
    address: SocketAddr,
    passed_bytes: Arc<AtomicU64>,
    limit_bytes_per_s: Arc<AtomicU64>,
    pace: Arc<Pace>,
    up_pace: Arc<Pace>,
    is_away: Arc<AtomicBool>,
    clients: Arc<Mutex<Vec<TcpStream>>>,
}

/// A rate that connections share.
#[derive(Debug, Default)]
struct Pace {
    limit_bytes_per_s: AtomicU64,
    /// When all that passed so far has had its time.
    free_at: Mutex<Option<Instant>>,
}

impl Proxy {
    /// Listens on a port of its own and passes everything on to `upstream`.
    pub(super) fn start(upstream: SocketAddr) -> Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST, upstream)
    }

    /// Listens at an address of its own, for clients that tell servers apart by it.
    pub(super) fn start_at(address: Ipv4Addr, upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((address, 0))?;
        let proxy = Self {
            address: listener.local_addr()?,
            passed_bytes: Arc::default(),
            limit_bytes_per_s: Arc::default(),
            pace: Arc::default(),
            up_pace: Arc::default(),
            is_away: Arc::default(),
            clients: Arc::default(),
        };
        let accepting = proxy.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A hub that is away closes the connection, as it would without the proxy.
                let Ok(server) = TcpStream::connect(upstream) else { continue };
                let (Ok(client_out), Ok(server_out), Ok(known)) =
                    (client.try_clone(), server.try_clone(), client.try_clone())
                else {
                    continue;
                };
                {
                    let mut clients = accepting.clients();
                    if accepting.is_away.load(Ordering::Relaxed) {
                        continue;
                    }
                    clients.retain(|one| one.peer_addr().is_ok());
                    clients.push(known);
                }
                let (up, down) = (accepting.clone(), accepting.clone());
                thread::spawn(move || up.pass(client, server_out, Some(&up.up_pace)));
                thread::spawn(move || down.pass(server, client_out, Some(&down.pace)));
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

    /// Limits what all connections together carry to the clients; zero lifts the limit.
    pub(super) fn limit_together(&self, bytes_per_s: u64) {
        self.pace.limit_bytes_per_s.store(bytes_per_s, Ordering::Relaxed);
    }

    /// Limits what all connections together carry from the clients; zero lifts the limit.
    pub(super) fn limit_up_together(&self, bytes_per_s: u64) {
        self.up_pace.limit_bytes_per_s.store(bytes_per_s, Ordering::Relaxed);
    }

    /// Ends every connection, and each new one at once, until [`Proxy::come_back`].
    pub(super) fn go_away(&self) {
        let mut clients = self.clients();
        self.is_away.store(true, Ordering::Relaxed);
        for client in clients.drain(..) {
            drop(client.shutdown(Shutdown::Both));
        }
    }

    pub(super) fn come_back(&self) {
        self.is_away.store(false, Ordering::Relaxed);
    }

    fn clients(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.clients.lock().expect("nothing panics while it is held")
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream, pace: Option<&Pace>) {
        let mut part = vec![0; PART_BYTES];
        while let Ok(count @ 1..) = from.read(&mut part) {
            if let Some(pace) = pace {
                pace.wait(count);
            }
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

impl Pace {
    /// Waits until `bytes` more have had their time.
    fn wait(&self, bytes: usize) {
        let limit = self.limit_bytes_per_s.load(Ordering::Relaxed);
        if limit == 0 {
            return;
        }
        let now = Instant::now();
        let until = {
            let mut free_at = self.free_at.lock().expect("nothing panics while it is held");
            let begin = free_at.map_or(now, |free_at| free_at.max(now - CREDIT));
            let until = begin + Duration::from_secs_f64(bytes as f64 / limit as f64);
            *free_at = Some(until);
            until
        };
        thread::sleep(until.saturating_duration_since(now));
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

    /// A server that sends 4 MB to whoever connects.
    fn generous() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                thread::spawn(move || drop(client.write_all(&vec![1; 4_000_000])));
            }
        });
        address
    }

    fn received(address: SocketAddr) -> usize {
        let mut heard = Vec::new();
        drop(TcpStream::connect(address).unwrap().read_to_end(&mut heard));
        heard.len()
    }

    #[test]
    fn connections_share_a_rate() {
        let proxy = Proxy::start(generous()).unwrap();
        proxy.limit_together(20_000_000);
        let (address, started) = (proxy.address(), Instant::now());
        let both = [(); 2].map(|()| thread::spawn(move || received(address)));
        assert_eq!(both.map(|one| one.join().unwrap()), [4_000_000; 2]);
        let elapsed = started.elapsed();
        assert!(elapsed >= Duration::from_millis(370), "8 MB at 20 MB/s took {elapsed:?}");
    }

    #[test]
    fn a_proxy_that_is_away_ends_connections_until_it_is_back() {
        let proxy = Proxy::start(generous()).unwrap();
        proxy.limit_together(1_000_000);
        let address = proxy.address();
        let cut = thread::spawn(move || received(address));
        while proxy.passed_bytes() == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        proxy.go_away();
        assert!(cut.join().unwrap() < 4_000_000);
        assert_eq!(received(address), 0);
        proxy.limit_together(0);
        proxy.come_back();
        assert_eq!(received(address), 4_000_000);
    }
}

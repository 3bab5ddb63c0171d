//! A link to the hub that can be cut.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use crate::process::PATIENCE;
use crate::world::World;

/// Which of the two ways through a [`Gate`] is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    FromTheHub,
    ToTheHub,
}

/// Lies between commands and the hub: lets so many bytes pass one way and then none, until it is
/// told to. Connections stay open meanwhile.
pub(crate) struct Gate {
    pub(crate) url: String,
    left: Arc<(Mutex<u64>, Condvar)>,
}

impl Gate {
    /// A gate that `node` of `world` takes for the hub it is registered with.
    pub(crate) fn before(world: &World, node: &str, counted: Counted, bytes: u64) -> Self {
        let hub = world.address().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let url = format!("https://{}", listener.local_addr().expect("bound"));
        let hubs = world.path(node).join("hubs.json");
        let known = fs::read_to_string(&hubs).expect("registered");
        assert!(known.contains(&world.url), "{known}");
        fs::write(hubs, known.replace(&world.url, &url)).expect("written");
        let left = Arc::new((Mutex::new(bytes), Condvar::new()));
        let shared = Arc::clone(&left);
        std::thread::spawn(move || {
            for command in listener.incoming().map_while(Result::ok) {
                let hub = TcpStream::connect(&hub).expect("the hub listens");
                let (from, to) = (hub.try_clone(), command.try_clone());
                let (from, to) = (from.expect("cloned"), to.expect("cloned"));
                let both = [
                    (from, to, counted == Counted::FromTheHub),
                    (command, hub, counted == Counted::ToTheHub),
                ];
                for (from, to, counts) in both {
                    let left = counts.then(|| Arc::clone(&shared));
                    std::thread::spawn(move || pass(from, to, left.as_deref()));
                }
            }
        });
        Self { url, left }
    }

    pub(crate) fn wait_until_shut(&self) {
        let (left, changed) = &*self.left;
        let left = left.lock().expect("no panic");
        let (left, _) = changed.wait_timeout_while(left, PATIENCE, |left| *left > 0).expect("same");
        assert_eq!(*left, 0, "so much never came to {}", self.url);
    }

    /// So many bytes more may pass.
    pub(crate) fn let_through(&self, bytes: u64) {
        *self.left.0.lock().expect("no panic") = bytes;
        self.left.1.notify_all();
    }

    pub(crate) fn open(&self) {
        self.let_through(u64::MAX);
    }
}

/// Passes bytes on until one side is gone; `left` says how many may, to the byte.
fn pass(mut from: TcpStream, mut to: TcpStream, left: Option<&(Mutex<u64>, Condvar)>) {
    let mut buffer = [0; 16 * 1024];
    'both: while let Ok(count @ 1..) = from.read(&mut buffer) {
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            let now = match left {
                None => rest.len(),
                Some((left, changed)) => {
                    let left = left.lock().expect("no panic");
                    let mut left = changed.wait_while(left, |left| *left == 0).expect("same");
                    let now = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= now as u64;
                    changed.notify_all();
                    now
                }
            };
            if to.write_all(&rest[..now]).is_err() {
                break 'both;
            }
            rest = &rest[now..];
        }
    }
    let _ = from.shutdown(Shutdown::Read);
    let _ = to.shutdown(Shutdown::Write);
}

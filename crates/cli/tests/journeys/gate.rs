//! A link to a hub that can be cut, and what went through it.

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

/// Lies between commands and a hub: lets so many bytes pass one way and then none, until it is
/// told to. Connections stay open meanwhile, unless it is cut.
pub(crate) struct Gate {
    pub(crate) url: String,
    link: Arc<Link>,
}

#[derive(Default)]
struct Link {
    flow: Mutex<Flow>,
    changed: Condvar,
}

/// What is counted of a link.
#[derive(Default)]
struct Flow {
    left: u64,
    passed: u64,
    is_cut: bool,
    /// Both ends of every connection.
    ends: Vec<TcpStream>,
}

impl Gate {
    /// A gate that `node` of `world` takes for the hub it is registered with.
    pub(crate) fn before(world: &World, node: &str, counted: Counted, bytes: u64) -> Self {
        let gate = Self::to(world.address(), counted, bytes);
        let hubs = world.path(node).join("hubs.json");
        let known = fs::read_to_string(&hubs).expect("registered");
        assert!(known.contains(&world.url), "{known}");
        fs::write(hubs, known.replace(&world.url, &gate.url)).expect("written");
        gate
    }

    /// A gate before the hub or relay at this host and port, for whoever is told its address.
    pub(crate) fn to(address: &str, counted: Counted, bytes: u64) -> Self {
        let address = address.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let url = format!("https://{}", listener.local_addr().expect("bound"));
        let flow = Mutex::new(Flow { left: bytes, ..Flow::default() });
        let link = Arc::new(Link { flow, changed: Condvar::new() });
        let shared = Arc::clone(&link);
        std::thread::spawn(move || {
            for command in listener.incoming().map_while(Result::ok) {
                // Of a hub that was killed as of a link that is cut: nobody answers.
                let Ok(hub) = TcpStream::connect(&address) else { continue };
                let clone = |end: &TcpStream| end.try_clone().expect("cloned");
                if !shared.connects([clone(&hub), clone(&command)]) {
                    continue;
                }
                let both = [
                    (clone(&hub), clone(&command), counted == Counted::FromTheHub),
                    (command, hub, counted == Counted::ToTheHub),
                ];
                for (from, to, counts) in both {
                    let link = counts.then(|| Arc::clone(&shared));
                    std::thread::spawn(move || pass(from, to, link.as_deref()));
                }
            }
        });
        Self { url, link }
    }

    pub(crate) fn wait_until_shut(&self) {
        let flow = self.link.flow.lock().expect("no panic");
        let open = |flow: &mut Flow| flow.left > 0;
        let (flow, _) = self.link.changed.wait_timeout_while(flow, PATIENCE, open).expect("same");
        assert_eq!(flow.left, 0, "so much never came to {}", self.url);
    }

    /// So many bytes more may pass.
    pub(crate) fn let_through(&self, bytes: u64) {
        self.link.flow.lock().expect("no panic").left = bytes;
        self.link.changed.notify_all();
    }

    pub(crate) fn open(&self) {
        self.let_through(u64::MAX);
    }

    /// How many bytes have passed the counted way.
    pub(crate) fn passed_bytes(&self) -> u64 {
        self.link.flow.lock().expect("no panic").passed
    }

    /// Ends every connection, and lets no other one come about.
    pub(crate) fn cut(&self) {
        let mut flow = self.link.flow.lock().expect("no panic");
        flow.is_cut = true;
        for end in flow.ends.drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
        self.link.changed.notify_all();
    }
}

impl Link {
    /// Keeps the ends of a connection, unless the link is cut.
    fn connects(&self, ends: [TcpStream; 2]) -> bool {
        let mut flow = self.flow.lock().expect("no panic");
        if !flow.is_cut {
            flow.ends.extend(ends);
        }
        !flow.is_cut
    }

    /// How many of so many bytes may pass now, at least one; none on a link that is cut.
    fn take(&self, wanted: usize) -> Option<usize> {
        let flow = self.flow.lock().expect("no panic");
        let shut = |flow: &mut Flow| flow.left == 0 && !flow.is_cut;
        let mut flow = self.changed.wait_while(flow, shut).expect("same");
        if flow.is_cut {
            return None;
        }
        let now = wanted.min(usize::try_from(flow.left).unwrap_or(usize::MAX));
        flow.left -= now as u64;
        flow.passed += now as u64;
        self.changed.notify_all();
        Some(now)
    }
}

/// Passes bytes on until one side is gone; `link` says how many may, to the byte.
fn pass(mut from: TcpStream, mut to: TcpStream, link: Option<&Link>) {
    let mut buffer = [0; 16 * 1024];
    'both: while let Ok(count @ 1..) = from.read(&mut buffer) {
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            let Some(now) = link.map_or(Some(rest.len()), |link| link.take(rest.len())) else {
                break 'both;
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

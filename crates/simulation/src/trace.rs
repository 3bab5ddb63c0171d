//! What happened, in order.

use std::fmt::Arguments;

use crate::clock::Moment;
use crate::network::{Kind, Packet};

/// A hash of everything that happened, and the lines of it where they are wanted.
#[derive(Debug)]
pub(crate) struct Trace {
    hasher: blake3::Hasher,
    lines: Option<Vec<String>>,
    pub(crate) events: u64,
}

impl Trace {
    pub(crate) fn new(kept: bool) -> Self {
        Self { hasher: blake3::Hasher::new(), lines: kept.then(Vec::new), events: 0 }
    }

    pub(crate) fn note(&mut self, now: Moment, what: Arguments<'_>) {
        let line = format!("{:>14.6} {what}", now.as_secs_f64());
        self.hasher.update(line.as_bytes()).update(b"\n");
        self.events += 1;
        if let Some(lines) = &mut self.lines {
            lines.push(line);
        }
    }

    pub(crate) fn finish(self) -> (String, Vec<String>) {
        (self.hasher.finalize().to_hex().to_string(), self.lines.unwrap_or_default())
    }
}

/// Longer bodies are chunks, which are named by what asked for them.
const SHOWN_MAX: usize = 4096;

/// Notes what arrives.
pub(crate) fn packet(trace: &mut Trace, now: Moment, packet: &Packet) {
    let Packet { from, to, call, kind } = packet;
    let digest = |body: &[u8]| {
        let hash = blake3::hash(&body[..body.len().min(SHOWN_MAX)]);
        (body.len(), hash.to_hex()[..8].to_owned())
    };
    match kind {
        Kind::Ask { route, key, body } => {
            let (length, hash) = digest(body);
            let once = if key.is_some() { " once" } else { "" };
            let what = format_args!("{from:?} asks {to:?} {call}: {route:?}{once} {length} {hash}");
            trace.note(now, what);
        }
        Kind::Answer { status, part, end } => {
            let (length, hash) = digest(part);
            let end = if *end { " end" } else { "" };
            let what = format_args!("{from:?} tells {to:?} {call}: {status} {length} {hash}{end}");
            trace.note(now, what);
        }
        Kind::Broken => trace.note(now, format_args!("{to:?} loses {call}")),
        Kind::Stop => trace.note(now, format_args!("{to:?} hears that {call} is stopped")),
    }
}

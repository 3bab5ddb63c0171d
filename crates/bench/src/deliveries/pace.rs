//! P5: one side is a thousand times slower than the other, then the other one is.

use std::cell::RefCell;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use delivery::Ticket;

use super::{Ends, name_of};
use crate::data::{self, SLOW_BYTES};
use crate::measure::{End, Sample};
use crate::peers::free_port;
use crate::proxy::Proxy;
use crate::row::{FIGURE, Row, Runner, SERVER_MIB};
use crate::same::{self, Depth};
use crate::session::Session;

/// What the slower side is given.
const SLOW_BYTES_PER_S: u64 = 1_000_000;
const FAST_BYTES_PER_S: u64 = 1_000_000_000;
/// How long a rate is left alone before it is looked at: what is on the way by then was let in at
/// another one.
const SETTLING: Duration = Duration::from_secs(10);
/// How long each side's rate is measured.
const MEASURED: Duration = Duration::from_secs(30);
/// A delivery that takes longer than this does not move.
const PATIENCE: Duration = Duration::from_secs(600);

/// The two halves of one delivery.
struct Halves {
    slow_recipient: Sample,
    slow_sender: Sample,
}

/// P5: rates that are swapped in the middle.
pub(crate) fn swapped(session: &Session) -> Result<Row> {
    let (recipient, sender) = ("recipient at 1 MB/s", "then the sender at 1 MB/s");
    let halves: RefCell<Option<Halves>> = RefCell::new(None);
    let first: Runner<'_> = Box::new(|| {
        let measured = measure(session)?;
        let sample = measured.slow_recipient;
        *halves.borrow_mut() = Some(measured);
        Ok(sample)
    });
    let second: Runner<'_> = Box::new(|| {
        let halves = halves.take().context("the delivery of the first half failed")?;
        Ok(halves.slow_sender)
    });
    let contenders = session.alternate(vec![(recipient, first), (sender, second)], Vec::new());
    let mut row = Row::new("P5", "120 MB between sides of unequal speed", contenders)
        .figure("of the slower side's rate");
    for half in [recipient, sender] {
        row =
            row.at_least("rate", half, FIGURE, 0.97, "×").at_most("rate", half, FIGURE, 1.03, "×");
    }
    Ok(row
        .ratio("hub memory", sender, recipient, SERVER_MIB, 1.05)
        .note(
            "Two proxies of the benchmark limit what the recipient gets and what the sender sends, to 1 MB/s or to \
             1 GB/s. The figure is what passed the slower proxy in 30 s, 10 s after the rates were set. The hub's memory \
             is its own (RssAnon), the most that was seen in those 30 s.",
        ))
}

fn measure(session: &Session) -> Result<Halves> {
    let source = session.data.slow()?;
    let folder = session.data.scratch("deliveries")?;
    let listen = format!("127.0.0.1:{}", free_port()?);
    let (up, down) = (Proxy::start(listen.parse()?)?, Proxy::start(listen.parse()?)?);
    let url = format!("https://{}", up.address());
    let hub = session.consign()?.hub_at(&folder, &listen, Some(&url))?;
    let ends = Ends::at(hub, folder)?;
    let out = session.data.scratch("out")?;

    up.limit_up_together(FAST_BYTES_PER_S);
    down.limit_together(SLOW_BYTES_PER_S);
    let mut sender = End::start(&mut ends.sending(&source)?)?;
    let started = Instant::now();
    while !ends.is_announced() {
        if started.elapsed() > PATIENCE || sender.0.try_wait()?.is_some() {
            bail!("the sender does not announce its delivery");
        }
        thread::sleep(Duration::from_millis(5));
    }
    // The recipient comes by a way of its own to the same hub.
    let mut ticket: Ticket = fs::read_to_string(ends.ticket())?.trim().parse()?;
    ticket.url = format!("https://{}", down.address());
    let theirs = ends.folder.join("ticket of the recipient");
    fs::write(&theirs, format!("{ticket}\n"))?;
    let mut recipient = End::start(&mut ends.receiving(&theirs, &out)?)?;

    let slow_recipient = look(&ends, &down)?;
    down.limit_together(FAST_BYTES_PER_S);
    up.limit_up_together(SLOW_BYTES_PER_S);
    let slow_sender = look(&ends, &up)?;
    if SLOW_BYTES < up.passed_bytes() + SLOW_BYTES_PER_S {
        bail!("the delivery was over before it was measured");
    }
    up.limit_up_together(0);
    down.limit_together(0);
    recipient.wait().and(sender.wait())?;
    same::check(&source, &out.join(name_of(&source)?), Depth::Attributes)?;
    data::clear(&out)?;
    Ok(Halves { slow_recipient, slow_sender })
}

/// What passes the slower proxy, and what the hub needs meanwhile.
fn look(ends: &Ends, slower: &Proxy) -> Result<Sample> {
    thread::sleep(SETTLING);
    let (before, started) = (slower.passed_bytes(), Instant::now());
    let mut server_rss_bytes = 0;
    while started.elapsed() < MEASURED {
        server_rss_bytes = server_rss_bytes.max(ends.hub.server.resident_bytes()?);
        thread::sleep(Duration::from_millis(50));
    }
    let wall_s = started.elapsed().as_secs_f64();
    let passed = (slower.passed_bytes() - before) as f64;
    let figure = Some(passed / wall_s / SLOW_BYTES_PER_S as f64);
    Ok(Sample { wall_s, server_rss_bytes, figure, ..Sample::default() })
}

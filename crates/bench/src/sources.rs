//! T9: one file from three sources of different speed at once.

use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::consign::{Hub, Node};
use super::data::{self, F1_BYTES};
use super::measure::{self, Sample, Server};
use super::peers::free_port;
use super::proxy::Proxy;
use super::row::{FIGURE, Row, Runner};
use super::same::{self, Depth};
use super::session::{self, Session};

const NAME: &str = "bench/f1";
/// What each source gives, the fastest first: that is the one that stops.
const RATES_BYTES_PER_S: [u64; 3] = [40 << 20, 20 << 20, 10 << 20];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    Undisturbed,
    /// The fastest source ends its connections when half of the file has passed.
    OneStops,
}

/// Hubs that hold the file, each behind a proxy, and a node that all of them know.
struct Hubs {
    hubs: Vec<Hub>,
    proxies: Vec<Proxy>,
    reader: Node,
}

/// T9: 1 GiB from three sources limited to 40, 20 and 10 MiB/s.
pub(super) fn three_hubs(session: &Session) -> Result<Row> {
    let hubs: RefCell<Option<Hubs>> = RefCell::new(None);
    let nginx: RefCell<Option<Vec<Proxy>>> = RefCell::new(None);
    let consign = |course| {
        if hubs.borrow().is_none() {
            *hubs.borrow_mut() = Some(publish(session)?);
        }
        consign_get(session, hubs.borrow().as_ref().context("just published")?, course)
    };
    let aria2c = |course| {
        session::need("aria2c")?;
        if nginx.borrow().is_none() {
            let upstream = session.nginx()?.tls_address();
            // aria2c counts connections by the name of the server, whatever the port.
            let servers = (1..).map(|last| Ipv4Addr::new(127, 0, 0, last));
            let proxies = servers.take(RATES_BYTES_PER_S.len());
            let proxies = proxies.map(|server| Proxy::start_at(server, upstream));
            *nginx.borrow_mut() = Some(proxies.collect::<Result<_>>()?);
        }
        aria2c_get(session, nginx.borrow().as_ref().context("just started")?, course)
    };
    let ours: Vec<(&str, Runner<'_>)> = vec![
        ("consign", Box::new(|| consign(Course::Undisturbed))),
        ("consign, one stops", Box::new(|| consign(Course::OneStops))),
    ];
    let peers: Vec<(&str, Runner<'_>)> = vec![
        ("aria2c", Box::new(|| aria2c(Course::Undisturbed))),
        ("aria2c, one stops", Box::new(|| aria2c(Course::OneStops))),
    ];
    let contenders = session.alternate(ours, peers);
    drop(hubs.take());
    data::clear(&session.data.scratch("sources")?)?;
    Ok(Row::new("T9", "1 GiB from three hubs limited to 40 + 20 + 10 MiB/s", contenders)
        .figure("% of the rates")
        .at_least("share", "consign", FIGURE, 97.0, "%")
        .at_least("share", "consign, one stops", FIGURE, 95.0, "%")
        .at_least("share", "consign", FIGURE, 99.0, "%")
        .beyond()
        .note(
            "The share is of the sum of the rates, of file bytes alone, from the start of the program to its \
             end; when one stops, of the rates that are left, from then on. It is the fastest that stops, \
             after half a GiB, by ending its connections and each new one.",
        )
        .note("aria2c: nginx over TLS behind the same proxies, one connection each, neither verified nor synced to the disk.")
        .note("The memory of the three hubs is counted together."))
}

/// Three hubs with the same file, and a reader that is registered with all of them.
fn publish(session: &Session) -> Result<Hubs> {
    let (source, scratch) = (session.data.f1()?, session.data.scratch("sources")?);
    let (mut hubs, mut proxies) = (Vec::new(), Vec::new());
    let mut reader: Option<Node> = None;
    for index in 0..RATES_BYTES_PER_S.len() {
        let place = scratch.join(index.to_string());
        let listen = format!("127.0.0.1:{}", free_port()?);
        let proxy = Proxy::start(listen.parse()?)?;
        let url = format!("https://{}", proxy.address());
        let hub = session.consign()?.hub_at(&place, &listen, Some(&url))?;
        hub.node(place.join("publisher"))?.publish(&source, NAME, None, &hub)?;
        match &reader {
            None => reader = Some(hub.node(scratch.join("reader"))?),
            Some(reader) => hub.register(reader)?,
        }
        hubs.push(hub);
        proxies.push(proxy);
    }
    Ok(Hubs { hubs, proxies, reader: reader.context("there is more than one hub")? })
}

fn consign_get(session: &Session, from: &Hubs, course: Course) -> Result<Sample> {
    let out = session.data.scratch("out")?;
    let reader = from.reader.copy(session.data.root().join("scratch/state"))?;
    let mut command = reader.get_command(NAME, &out, None);
    for proxy in &from.proxies[1..] {
        command.arg("--source").arg(format!("https://{}", proxy.address()));
    }
    let servers: Vec<&Server> = from.hubs.iter().map(|hub| &hub.server).collect();
    let sample = limited(&mut command, &servers, &from.proxies, course)?;
    check(session, &out, Depth::Attributes)?;
    Ok(sample)
}

fn aria2c_get(session: &Session, proxies: &[Proxy], course: Course) -> Result<Sample> {
    let (nginx, out) = (session.nginx()?, session.data.scratch("out")?);
    session.data.f1()?;
    let mut command = Command::new("aria2c");
    command.args(["-q", "-x1", "-s3", "-k1M", "--file-allocation=none", "--dir"]).arg(&out);
    // The certificate is for one of the addresses only; the bytes are compared all the same.
    command.arg("--check-certificate=false");
    for proxy in proxies {
        command.arg(format!("https://{}/f1/big.bin", proxy.address()));
    }
    let sample = limited(&mut command, &[&nginx.server], proxies, course)?;
    check(session, &out, Depth::Contents)?;
    Ok(sample)
}

fn check(session: &Session, out: &Path, depth: Depth) -> Result<()> {
    same::check(&session.data.f1()?, out, depth)?;
    data::clear(out)
}

/// Runs the command while the proxies keep their rates; the sample's figure is the share of them
/// that was reached, in percent.
fn limited(
    command: &mut Command,
    servers: &[&Server],
    proxies: &[Proxy],
    course: Course,
) -> Result<Sample> {
    for (proxy, rate) in proxies.iter().zip(RATES_BYTES_PER_S) {
        proxy.come_back();
        proxy.limit_together(rate);
    }
    let passed = || proxies.iter().map(Proxy::passed_bytes).sum::<u64>();
    let (before, started, done) = (passed(), Instant::now(), AtomicBool::new(false));
    let (ran, stopped) = thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while course == Course::OneStops && !done.load(Ordering::Relaxed) {
                if passed() - before >= F1_BYTES / 2 {
                    proxies[0].go_away();
                    return Some((passed() - before, started.elapsed().as_secs_f64()));
                }
                thread::sleep(Duration::from_millis(1));
            }
            None
        });
        let ran = measure::run(command, "", servers);
        done.store(true, Ordering::Relaxed);
        (ran, watcher.join().unwrap_or(None))
    });
    let (mut sample, _) = ran?;
    let (bytes, rates, seconds) = match (course, stopped) {
        (Course::Undisturbed, _) => (F1_BYTES, &RATES_BYTES_PER_S[..], sample.wall_s),
        (Course::OneStops, Some((bytes, at_s))) => {
            (F1_BYTES.saturating_sub(bytes), &RATES_BYTES_PER_S[1..], sample.wall_s - at_s)
        }
        (Course::OneStops, None) => bail!("it was over before a source could stop"),
    };
    sample.wire_bytes = Some(passed() - before);
    sample.figure = Some(share_percent(bytes, rates, seconds));
    Ok(sample)
}

/// How much of what the rates allow in `seconds` was used by `bytes`.
fn share_percent(bytes: u64, rates: &[u64], seconds: f64) -> f64 {
    100.0 * bytes as f64 / (rates.iter().sum::<u64>() as f64 * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_of_the_rates_that_are_left() {
        assert_eq!(share_percent(700 << 20, &RATES_BYTES_PER_S, 10.0), 100.0);
        assert_eq!(share_percent(270 << 20, &RATES_BYTES_PER_S[1..], 10.0), 90.0);
    }
}

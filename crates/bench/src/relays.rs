//! K6: one of two relays is cut off while a target fetches from both.

use std::cell::RefCell;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::consign::{Hub, Node};
use super::data;
use super::measure::{self, Sample, Server};
use super::packages::{Scene, serve, wait_until};
use super::peers::free_port;
use super::proxy::Proxy;
use super::row::{FIGURE, Row, Runner, WIRE};
use super::same::{self, Depth};
use super::session::Session;

const FILE_BYTES: u64 = 256 << 20;
/// What each relay carries: slow enough that one can be cut off in the middle.
const RATE_BYTES_PER_S: u64 = 24 << 20;
/// What may come twice.
const AGAIN_BYTES_MAX: u64 = 8 << 20;
/// Of the last of it receipts and other words cannot be told.
const TAIL_BYTES: u64 = 1 << 20;
const LOOK: Duration = Duration::from_millis(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    Undisturbed,
    /// The hub of one relay is killed: its connections end.
    Killed,
    /// The hub of one relay is stopped: its connections stay, and say nothing more.
    Silent,
}

/// A relay: the hub beside it, what stands before that, and its node.
struct Relay {
    hub: Hub,
    proxy: Proxy,
    node: Node,
    _serving: Server,
}

#[derive(Debug, Deserialize)]
struct Relaying {
    address: String,
}

/// How much had come, and when.
type Looks = Vec<(Duration, u64)>;

/// K6: 256 MiB from two relays, of which one is cut off in the middle.
pub(super) fn cut_off(session: &Session) -> Result<Row> {
    let of = |course| -> Runner<'_> { Box::new(move || run(session, course)) };
    let [undisturbed, killed, silent] = ["undisturbed", "one is killed", "one falls silent"];
    let contenders = session.alternate(
        vec![
            (undisturbed, of(Course::Undisturbed)),
            (killed, of(Course::Killed)),
            (silent, of(Course::Silent)),
        ],
        Vec::new(),
    );
    let more = (FILE_BYTES + AGAIN_BYTES_MAX) as f64 / FILE_BYTES as f64;
    Ok(Row::new("K6", "256 MiB from two relays, one of which is cut off in the middle", contenders)
        .figure("s lost")
        .at_most("lost", killed, FIGURE, 3.0, "s")
        .at_most("lost", silent, FIGURE, 3.0, "s")
        .ratio("wire", killed, undisturbed, WIRE, more)
        .ratio("wire", silent, undisturbed, WIRE, more)
        .note(
            "Each relay carries 24 MiB/s through a proxy, which counts; its hub and its node are processes, and so \
             is the target's node. When half of the file has come, the hub of the first relay is killed, or stopped \
             as if its cable had been pulled. What is lost is the time from then until all but the last MiB had \
             come, less what so many bytes take at the rate of the relay that is left. The limit of the wire is 8 \
             MiB more than undisturbed. What was placed is compared with the source. Wall is from the start of \
             the target's node; CPU and memory were not measured.",
        ))
}

fn run(session: &Session, course: Course) -> Result<Sample> {
    let scene = Scene::open(session)?;
    let relays = ["relay-a", "relay-b"].map(|name| relay(session, &scene, name));
    let [first, second] = relays;
    let (first, second) = (first?, second?);
    let target = scene.hub.stranger(scene.scratch.join("press-1"));
    scene.join("press-1", "target", &target, &["--route", "relay-a", "--route", "relay-b"])?;

    let source = session.data.quarter()?;
    let (placed, ran) = (scene.scratch.join("placed"), scene.scratch.join("ran"));
    let step = format!(
        "[[step]]\nfiles = \"tree\"\ntarget = {}\nplacing = \"replace\"\n\n",
        serde_json::to_string(&placed)?
    );
    let package = scene.package(1, &step, &["touch", ran.to_str().context("text")?])?;
    let inside = package.join("tree");
    fs::create_dir(&inside)?;
    data::copy(&source, &inside)?;
    scene.send(&package)?;
    for relay in [&first, &second] {
        wait_until("it is at both relays", || Ok(last_news(&relay.node)?.contains("went on")))?;
        relay.proxy.limit_together(RATE_BYTES_PER_S);
    }

    let proxies = [first.proxy.clone(), second.proxy.clone()];
    let before: u64 = proxies.iter().map(Proxy::passed_bytes).sum();
    let came = || proxies.iter().map(Proxy::passed_bytes).sum::<u64>() - before;
    let started = Instant::now();
    let serving = serve(&target, &scene.log("press-1"))?;
    let first_hub = RefCell::new(Some(first.hub.server));
    let (mut looks, mut cut): (Looks, Option<Duration>) = (Vec::new(), None);
    let patience = Duration::from_secs(300);
    while !ran.exists() {
        looks.push((started.elapsed(), came()));
        if cut.is_none() && course != Course::Undisturbed && came() >= FILE_BYTES / 2 {
            match course {
                Course::Killed => first_hub.take().context("killed once")?.kill()?,
                Course::Silent | Course::Undisturbed => {
                    first_hub.borrow().as_ref().context("stopped once")?.hold()?;
                }
            }
            cut = Some(started.elapsed());
        }
        if started.elapsed() > patience {
            bail!("the package was not carried out within {} s", patience.as_secs());
        }
        thread::sleep(LOOK);
    }
    let wall_s = started.elapsed().as_secs_f64();
    let wire_bytes = Some(came());
    drop(serving);
    if let Some(held) = first_hub.take() {
        held.kill()?;
    }
    same::check(&source, &placed, Depth::Contents)?;
    let figure = match (course, cut) {
        (Course::Undisturbed, _) => None,
        (Course::Killed | Course::Silent, Some(cut)) => Some(lost_s(&looks, cut)?),
        (Course::Killed | Course::Silent, None) => bail!("it was over before a relay was cut off"),
    };
    Ok(Sample { wall_s, wire_bytes, figure, ..Sample::default() })
}

/// From the cut until all but the tail had come, less what that takes at the rate that is left.
fn lost_s(looks: &[(Duration, u64)], cut: Duration) -> Result<f64> {
    let at_cut = looks.iter().rev().find(|(when, _)| *when <= cut).map_or(0, |(_, bytes)| *bytes);
    let last = looks.last().map_or(0, |(_, bytes)| *bytes).saturating_sub(TAIL_BYTES);
    let (when, bytes) = looks
        .iter()
        .find(|(_, bytes)| *bytes >= last && last > at_cut)
        .context("nothing came after the cut")?;
    let takes = (bytes - at_cut) as f64 / RATE_BYTES_PER_S as f64;
    Ok((when.saturating_sub(cut).as_secs_f64() - takes).max(0.0))
}

fn relay(session: &Session, scene: &Scene, name: &str) -> Result<Relay> {
    let place = scene.scratch.join(format!("{name}-hub"));
    let listen = format!("127.0.0.1:{}", free_port()?);
    let hub = session.consign()?.hub_at(&place, &listen, None)?;
    let node = hub.node(scene.scratch.join(name))?;
    scene.join(name, "relay", &node, &[])?;
    let serving = serve(&node, &scene.log(name))?;
    let mut relaying = node.command();
    relaying.args(["--json", "community", "relay", &hub.url]);
    let (_, said) = measure::run(&mut relaying, "", &[])?;
    let told: Relaying = serde_json::from_str(said.trim()).context("where the relay is")?;
    let proxy = Proxy::start(listen.parse()?)?;
    let through = told.address.replace(&listen, &proxy.address().to_string());
    let mut address = scene.boss.command();
    address.args(["community", "address", name, &through]);
    measure::run(&mut address, "", &[])?;
    Ok(Relay { hub, proxy, node, _serving: serving })
}

/// What a node's status says happened last.
fn last_news(node: &Node) -> Result<String> {
    #[derive(Deserialize)]
    struct Line {
        event: String,
        #[serde(default)]
        last: Option<String>,
    }
    let (_, said) = measure::run(node.command().args(["--json", "status"]), "", &[])?;
    let mut lines = said.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    Ok(lines.find(|line| line.event == "community").and_then(|line| line.last).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_what_the_rest_does_not_take() {
        let at = |seconds: f64, mib: u64| (Duration::from_secs_f64(seconds), mib << 20);
        // 48 MiB by the cut, then 2 s of nothing, then 24 MiB in a second.
        let looks = [at(0.0, 0), at(1.0, 48), at(3.0, 48), at(4.0, 72), at(5.0, 73)];
        let lost = lost_s(&looks, Duration::from_secs(1)).unwrap();
        assert!((lost - 2.0).abs() < 0.01, "{lost}");
        assert!(lost_s(&looks[..3], Duration::from_secs(1)).is_err(), "it never went on");
    }
}

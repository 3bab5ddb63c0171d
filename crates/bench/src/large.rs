//! T7, T8 and T11: memory, kills, and one change among many files.

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use random::Random;

use super::consign::{Hub, Node};
use super::data;
use super::measure::Sample;
use super::peers::free_port;
use super::proxy::Proxy;
use super::row::{CLIENT_MIB, Row, SERVER_MIB, WALL, WIRE};
use super::same::{self, Depth};
use super::session::Session;

/// What each connection may carry while T8 kills: slow enough to be killed many times.
const KILLED_BYTES_PER_S: u64 = 200 << 20;
const KILL_EVERY: Duration = Duration::from_secs(1);
/// Kills before a transfer counts as one that gets nowhere.
const KILLS_MAX: u32 = 300;

/// T7: peak memory with a file of 100 GB; the other rows add theirs to the report.
pub(super) fn memory(session: &Session) -> Result<Row> {
    let current: RefCell<Option<(Hub, Node)>> = RefCell::new(None);
    let publish = || {
        drop(current.take());
        let huge = session.data.sparse(100)?;
        let scratch = session.data.scratch("huge-run")?;
        let hub = session.consign()?.hub(&scratch)?;
        let reader = hub.node(scratch.join("reader"))?;
        let sample =
            hub.node(scratch.join("publisher"))?.publish(&huge, "bench/huge", None, &hub)?;
        *current.borrow_mut() = Some((hub, reader));
        Ok(sample)
    };
    let get = || {
        let current = current.borrow();
        let (hub, reader) = current.as_ref().context("nothing was published")?;
        let out = session.data.scratch("huge-out")?;
        let sample = reader.get("bench/huge", &out, None, hub)?;
        same_data(&session.data.sparse(100)?, &out)?;
        data::clear(&out)?;
        Ok(sample)
    };
    let ours = vec![
        ("publish 100 GB", Box::new(publish) as super::row::Runner<'_>),
        ("get 100 GB", Box::new(get)),
    ];
    let contenders = session.alternate(ours, Vec::new());
    drop(current.take());
    data::clear(&session.data.scratch("huge-run")?)?;
    let mut row =
        Row::new("T7", "peak memory, a sparse file of 100 GB with 3.2 GB of data", contenders);
    for name in ["publish 100 GB", "get 100 GB"] {
        row = row
            .at_most("node", name, CLIENT_MIB, 128.0, "MiB")
            .at_most("hub", name, SERVER_MIB, 128.0, "MiB")
            .at_most("node", name, CLIENT_MIB, 64.0, "MiB")
            .beyond()
            .at_most("hub", name, SERVER_MIB, 64.0, "MiB")
            .beyond();
    }
    Ok(row
        .note("The other rows have the same limit, see the table of peaks at the end; T10b has its own.")
        .note("desync reads holes as zeros and was not measured with this file; its peaks are in T3 to T5."))
}

/// Compares where there is data; 100 GB of holes are only counted.
pub(super) fn same_data(expected: &Path, actual: &Path) -> Result<()> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    use std::os::unix::fs::MetadataExt as _;
    let (mut one, mut other) =
        (fs::File::open(expected.join("huge.img"))?, fs::File::open(actual.join("huge.img"))?);
    let (before, after) = (one.metadata()?, other.metadata()?);
    if before.len() != after.len() {
        bail!("the copy has {} bytes instead of {}", after.len(), before.len());
    }
    if after.blocks() > before.blocks() * 11 / 10 {
        bail!(
            "the copy's holes are not holes: {} blocks instead of {}",
            after.blocks(),
            before.blocks()
        );
    }
    let (mut left, mut right) = (vec![0; 40 << 20], vec![0; 40 << 20]);
    for start in (0..before.len() - left.len() as u64).step_by(1_000_000_000) {
        one.seek(SeekFrom::Start(start))?;
        other.seek(SeekFrom::Start(start))?;
        one.read_exact(&mut left)?;
        other.read_exact(&mut right)?;
        if left != right {
            bail!("the copy differs within 40 MiB of byte {start}");
        }
    }
    Ok(())
}

/// T8: a fetch of 2 GiB that is killed every second.
pub(super) fn killed(session: &Session) -> Result<Row> {
    let source = session.data.f2()?;
    let kills = Cell::new(0);
    let whole = Cell::new(0);
    let setting: RefCell<Option<(Hub, Node, Proxy)>> = RefCell::new(None);
    let prepare = || -> Result<()> {
        if setting.borrow().is_some() {
            return Ok(());
        }
        let scratch = session.data.scratch("killed")?;
        let listen = format!("127.0.0.1:{}", free_port()?);
        let proxy = Proxy::start(listen.parse()?)?;
        let url = format!("https://{}", proxy.address());
        let hub = session.consign()?.hub_at(&scratch, &listen, Some(&url))?;
        let reader = hub.node(scratch.join("reader"))?;
        hub.node(scratch.join("publisher"))?.publish(&source, "bench/big", None, &hub)?;
        *setting.borrow_mut() = Some((hub, reader, proxy));
        Ok(())
    };
    let undisturbed = || {
        prepare()?;
        let setting = setting.borrow();
        let (hub, reader, proxy) = setting.as_ref().context("prepared above")?;
        let out = session.data.scratch("out")?;
        let reader = reader.copy(session.data.root().join("scratch/state"))?;
        proxy.limit(0);
        let before = proxy.passed_bytes();
        let mut sample = reader.get("bench/big", &out, None, hub)?;
        whole.set(proxy.passed_bytes() - before);
        sample.wire_bytes = Some(whole.get());
        same::check(&source, &out, Depth::Attributes)?;
        Ok(sample)
    };
    let disturbed = || {
        let setting = setting.borrow();
        let (_, reader, proxy) = setting.as_ref().context("the undisturbed transfer failed")?;
        let out = session.data.scratch("out")?;
        let reader = reader.copy(session.data.root().join("scratch/state"))?;
        proxy.limit(KILLED_BYTES_PER_S);
        let (before, started) = (proxy.passed_bytes(), Instant::now());
        kills.set(kills.get() + get_killed(&reader, &out)?);
        let wire_bytes = Some(proxy.passed_bytes() - before);
        same::check(&source, &out, Depth::Attributes)?;
        Ok(Sample { wall_s: started.elapsed().as_secs_f64(), wire_bytes, ..Sample::default() })
    };
    let ours: Vec<(&str, super::row::Runner<'_>)> =
        vec![("undisturbed", Box::new(undisturbed)), ("killed every second", Box::new(disturbed))];
    let contenders = session.alternate(ours, Vec::new());
    let note = format!(
        "Bytes as counted by a proxy between node and hub, which also limits each connection to {} MiB/s \
         while the node is killed; {} kills in all runs together.",
        KILLED_BYTES_PER_S >> 20,
        kills.get()
    );
    Ok(Row::new("T8", "bytes sent again when a fetch of 2 GiB is killed every second", contenders)
        .ratio("wire", "killed every second", "undisturbed", WIRE, 1.02)
        .ratio("wire", "killed every second", "undisturbed", WIRE, 1.005)
        .beyond()
        .note(&note))
}

/// Gets F2, killing the node every second until it has come through; returns the kills.
fn get_killed(reader: &Node, out: &Path) -> Result<u32> {
    for kills in 0..KILLS_MAX {
        let mut command = reader.get_command("bench/big", out, None);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let end = Instant::now() + KILL_EVERY;
        loop {
            if let Some(status) = child.try_wait()? {
                if status.success() {
                    return Ok(kills);
                }
                let said = child.wait_with_output()?.stderr;
                bail!("get failed ({status}): {}", String::from_utf8_lossy(&said).trim());
            }
            if Instant::now() >= end {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        child.kill()?;
        child.wait()?;
    }
    bail!("not complete after {KILLS_MAX} kills");
}

/// T11: one changed file of 10 KB in a tree of 134,000 entries.
pub(super) fn one_change_in_many(session: &Session) -> Result<Row> {
    let source = session.data.many()?;
    let scratch = session.data.scratch("many-run")?;
    let tree = scratch.join("tree");
    let out = session.tree_scratch("out")?;
    let setting: RefCell<Option<(Hub, Node, Node)>> = RefCell::new(None);
    let random = RefCell::new(Random::new(11));
    let publish = || {
        if setting.borrow().is_none() {
            fs::create_dir(&tree)?;
            data::copy(&source, &tree)?;
            let hub = session.consign()?.hub(&scratch)?;
            let (publisher, reader) =
                (hub.node(scratch.join("publisher"))?, hub.node(scratch.join("reader"))?);
            publisher.publish(&tree, "bench/many", None, &hub)?;
            reader.get("bench/many", &out, None, &hub)?;
            *setting.borrow_mut() = Some((hub, publisher, reader));
        }
        // One of the files with 10 KB: every thousandth, in the directory of its number.
        let index = random.borrow_mut().below(130) * 1_000;
        let folder = index % 3_960;
        let file = tree.join(format!("{:02}/{folder:04}/{index:06}", folder % 40));
        fs::write(&file, random.borrow_mut().bytes(10_000))?;
        let setting = setting.borrow();
        let (hub, publisher, _) = setting.as_ref().context("prepared above")?;
        publisher.publish(&tree, "bench/many", None, hub)
    };
    let get = || {
        let setting = setting.borrow();
        let (hub, _, reader) = setting.as_ref().context("nothing was published")?;
        let sample = reader.get("bench/many", &out, None, hub)?;
        same::check(&tree, &out, Depth::Attributes)?;
        Ok(sample)
    };
    let ours: Vec<(&str, super::row::Runner<'_>)> =
        vec![("publish", Box::new(publish)), ("get", Box::new(get))];
    let contenders = session.alternate(ours, Vec::new());
    let mut row = Row::new("T11", "one changed file of 10 KB among 134,000 entries", contenders);
    for name in ["publish", "get"] {
        row = row.at_most("wire", name, WIRE, 128_000.0, "B");
    }
    Ok(row.at_most("wall", "publish", WALL, 0.5, "s").at_most("wall", "get", WALL, 0.3, "s"))
}

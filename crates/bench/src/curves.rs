//! S1 to S3: the same work at growing sizes. What counts is what does not grow: memory.

use std::cell::RefCell;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::consign::{Hub, Node};
use super::data;
use super::large;
use super::load;
use super::measure::Sample;
use super::row::{CLIENT_MIB, FIGURE, Row, Runner, SERVER_MIB};
use super::same::{self, Depth};
use super::session::Session;

const FILES: [u64; 3] = [10_000, 100_000, 1_000_000];
const GIGABYTES: [u64; 3] = [1, 10, 100];
const CLIENTS: [usize; 4] = [1, 10, 100, 1_000];
/// Of node and hub each, whatever the size.
const MEMORY_MIB_MAX: f64 = 128.0;
/// Of a hub with a thousand clients.
const CROWD_MIB_MAX: f64 = 256.0;

/// A hub, a publisher and a reader of one size; the next size gets new ones.
type Setting = RefCell<Option<(Hub, Node, Node)>>;

fn set_up(session: &Session, setting: &Setting) -> Result<()> {
    drop(setting.borrow_mut().take());
    let scratch = session.data.scratch("curve-run")?;
    let hub = session.consign()?.hub(&scratch)?;
    let (publisher, reader) =
        (hub.node(scratch.join("publisher"))?, hub.node(scratch.join("reader"))?);
    *setting.borrow_mut() = Some((hub, publisher, reader));
    Ok(())
}

fn publish(setting: &Setting, source: &Path) -> Result<Sample> {
    let setting = setting.borrow();
    let (hub, publisher, _) = setting.as_ref().context("nothing was set up")?;
    publisher.publish(source, "bench/curve", None, hub)
}

fn get(setting: &Setting, out: &Path) -> Result<Sample> {
    let setting = setting.borrow();
    let (hub, _, reader) = setting.as_ref().context("nothing was published")?;
    reader.get("bench/curve", out, None, hub)
}

/// S1: more and more files.
pub(super) fn files(session: &Session) -> Result<Row> {
    let setting = Setting::default();
    let setting = &setting;
    let out = session.tree_scratch("curve-out")?;
    let out = out.as_path();
    let names = FILES.map(|count| {
        let count = super::row::grouped(count);
        [format!("publish {count}"), format!("get {count}"), format!("get again {count}")]
    });
    let mut ours: Vec<(&str, Runner<'_>)> = Vec::new();
    for (count, [publishes, gets, again]) in FILES.into_iter().zip(&names) {
        let first = move || {
            let source = session.data.files(count)?;
            set_up(session, setting)?;
            data::clear(out)?;
            publish(setting, &source)
        };
        let second = move || {
            let sample = get(setting, out)?;
            same::check(&session.data.files(count)?, out, Depth::Attributes)?;
            Ok(sample)
        };
        let third = move || {
            let sample = get(setting, out)?;
            if count == FILES[FILES.len() - 1] {
                data::clear(out)?;
                drop(setting.borrow_mut().take());
            }
            data::clear(&session.data.files(count)?)?;
            Ok(sample)
        };
        ours.push((publishes, Box::new(first)));
        ours.push((gets, Box::new(second)));
        ours.push((again, Box::new(third)));
    }
    let mut row =
        Row::new("S1", "10,000 to 1,000,000 files of 64 to 512 bytes", session.once(ours));
    for name in names.iter().flatten() {
        row = flat(row, name);
    }
    Ok(row
        .note("Sources are on disk, results in memory (tmpfs) where there is room; one run each."))
}

/// S2: more and more bytes in one file.
pub(super) fn bytes(session: &Session) -> Result<Row> {
    let setting = Setting::default();
    let setting = &setting;
    let names = GIGABYTES.map(|size| [format!("publish {size} GB"), format!("get {size} GB")]);
    let mut ours: Vec<(&str, Runner<'_>)> = Vec::new();
    for (size, [publishes, gets]) in GIGABYTES.into_iter().zip(&names) {
        let first = move || {
            let source = session.data.sparse(size)?;
            set_up(session, setting)?;
            publish(setting, &source)
        };
        let second = move || {
            let out = session.data.scratch("curve-out")?;
            let sample = get(setting, &out)?;
            let source = session.data.sparse(size)?;
            large::same_data(&source, &out)?;
            drop(setting.borrow_mut().take());
            for used in [&source, &out, &session.data.scratch("curve-run")?] {
                data::clear(used)?;
            }
            Ok(sample)
        };
        ours.push((publishes, Box::new(first)));
        ours.push((gets, Box::new(second)));
    }
    let title = "a sparse file of 1 to 100 GB, 3.2 % of it data";
    let mut row = Row::new("S2", title, session.once(ours));
    for name in names.iter().flatten() {
        row = flat(row, name);
    }
    Ok(row.note("One run each; holes are compared by their blocks, data in stretches."))
}

/// S3: more and more clients at once.
pub(super) fn clients(session: &Session) -> Result<Row> {
    let names = CLIENTS.map(|count| format!("{} at once", super::row::grouped(count as u64)));
    let mut ours: Vec<(&str, Runner<'_>)> = Vec::new();
    for (count, name) in CLIENTS.into_iter().zip(&names) {
        ours.push((name, Box::new(move || load::crowd(session, count))));
    }
    let mut row = Row::new("S3", "1 to 1,000 clients fetch a release of 1 MiB", session.once(ours))
        .figure("clients failed");
    for name in &names {
        row = row.at_most("failures", name, FIGURE, 0.0, "clients").at_most(
            "hub",
            name,
            SERVER_MIB,
            CROWD_MIB_MAX,
            "MiB",
        );
    }
    Ok(row.note("As T10b, with that many clients; their own memory is that of one process with all of them."))
}

fn flat(row: Row, name: &str) -> Row {
    row.at_most("node", name, CLIENT_MIB, MEMORY_MIB_MAX, "MiB").at_most(
        "hub",
        name,
        SERVER_MIB,
        MEMORY_MIB_MAX,
        "MiB",
    )
}

//! K1 to K4: a community with thousands of targets, which are one other process.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use testkit::Postgres;

use super::consign::Hub;
use super::load::last_line;
use super::measure::{self, Sample};
use super::row::{FIGURE, Row, Runner, grouped};
use super::session::Session;
use crate::fleet::{Answering, Idle, Queueing};

/// Targets of a large community.
const MANY: usize = 10_000;
/// Targets that answer.
const SOME: usize = 1_000;
const SQLITE: &str = "SQLite";
const POSTGRES: &str = "PostgreSQL";
const ONE_PROCESS: &str = "All targets and the publisher are one other process on the same processors as the hub, with a key, \
     an account, a session and a connection each; they seal, sign and verify as `consign node` does.";

/// A hub for one run, which lives as long as this.
struct Place {
    hub: Hub,
    /// Ends after the hub.
    _server: Option<Postgres>,
}

fn place(session: &Session, database: &str) -> Result<Place> {
    crate::idle::raise_open_files()?;
    let scratch = session.data.scratch("community")?;
    if database == SQLITE {
        return Ok(Place { hub: session.consign()?.hub(&scratch)?, _server: None });
    }
    let server = Postgres::start().context("PostgreSQL is not here (cargo xtask test gets it)")?;
    let address = server.create_database();
    let hub = session.consign()?.hub_on(&scratch, &address)?;
    Ok(Place { hub, _server: Some(server) })
}

/// Lets that many targets do `what`.
fn fleet<T: DeserializeOwned>(hub: &Hub, what: &str, targets: usize) -> Result<(Sample, T)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["fleet", what, &targets.to_string(), &hub.server.id().to_string()]);
    let (sample, said) = measure::run(&mut command, &hub.invitation()?, &[&hub.server])?;
    Ok((sample, last_line(&said)?))
}

/// A run on one kind of database, whose figure is taken from what the fleet says.
fn run<'a, T: DeserializeOwned + 'a>(
    session: &'a Session,
    (database, what, targets): (&'static str, &'static str, usize),
    figure: fn(&T) -> Option<f64>,
) -> Runner<'a> {
    Box::new(move || {
        let place = place(session, database)?;
        let (mut sample, said) = fleet::<T>(&place.hub, what, targets)?;
        sample.figure = figure(&said);
        Ok(sample)
    })
}

/// K1: targets that wait.
pub(super) fn idle_targets(session: &Session) -> Result<Row> {
    let name = "10,000 targets";
    let per_target = |idle: &Idle| {
        Some(idle.with_bytes.saturating_sub(idle.before_bytes) as f64 / 1024.0 / MANY as f64)
    };
    let ours = vec![(name, run::<Idle>(session, (SQLITE, "idle", MANY), per_target))];
    let contenders = session.alternate(ours, Vec::new());
    Ok(Row::new("K1", "targets of a community that wait for news over TLS", contenders)
        .figure("KiB each")
        .at_most("hub memory", name, FIGURE, 30.0, "KiB each")
        .note(
            "The figure is what the hub's own memory (RssAnon) grew by from after the community was founded to \
             20 s after the last stream was open, when each had its heart-beat, divided by the number of \
             streams. Each has the account that its roster made, opened a session with its key and asked for \
             the events of its community. The kernel's memory for sockets is not in it.",
        )
        .note(
            "nats-server 2.9, measured earlier on such a machine and not in this run: 54 KiB for each TLS \
             connection, 51 to 54 KiB for each durable consumer.",
        ))
}

/// K2: a release is addressed to everybody.
pub(super) fn enqueue(session: &Session) -> Result<Row> {
    let seconds = |queueing: &Queueing| Some(queueing.enqueue_s);
    let of = |database| (database, run::<Queueing>(session, (database, "queue", MANY), seconds));
    let contenders = session.alternate(vec![of(SQLITE), of(POSTGRES)], Vec::new());
    let title = format!("a release is queued for {} targets", grouped(MANY as u64));
    Ok(Row::new("K2", &title, contenders)
        .figure("s to queue")
        .at_most("queued", SQLITE, FIGURE, 1.0, "s")
        .at_most("queued", POSTGRES, FIGURE, 1.0, "s")
        .note(
            "From the first request with envelopes to the last answer, over TLS, by when every entry is durable. \
             Wall, CPU and memory are of the whole run: founding the community and sealing the envelopes too.",
        ))
}

/// K3a: how soon targets know.
pub(super) fn wake(session: &Session) -> Result<Row> {
    let of = |name, database, what| {
        let p99 = |answering: &Answering| Some(answering.wake_p99_ms);
        (name, run::<Answering>(session, (database, what, SOME), p99))
    };
    let (sqlite, postgres) = ("SQLite, they listen", "PostgreSQL, they listen");
    let (sqlite_whole, postgres_whole) = ("SQLite, they answer", "PostgreSQL, they answer");
    let ours = vec![
        of(sqlite, SQLITE, "wake"),
        of(postgres, POSTGRES, "wake"),
        of(sqlite_whole, SQLITE, "answer"),
        of(postgres_whole, POSTGRES, "answer"),
    ];
    let contenders = session.alternate(ours, Vec::new());
    Ok(Row::new("K3a", "1,000 targets are woken by a release", contenders)
        .figure("ms, 99th of 100")
        .at_most("wake-up", sqlite, FIGURE, 60.0, "ms")
        .at_most("wake-up", postgres, FIGURE, 60.0, "ms")
        .at_most("wake-up", sqlite_whole, FIGURE, 60.0, "ms")
        .at_most("wake-up", postgres_whole, FIGURE, 60.0, "ms")
        .note(
            "From the request with the envelopes, which are durable before anybody is woken, to the event at \
             the target; three releases after one that is not counted. In the last two, targets that are awake \
             already fetch, carry out and answer on the same two processors while others are being woken.",
        )
        .note(ONE_PROCESS)
        .note(
            "NATS on such a machine, not in this run: core fan-out of 1 KiB with a reply over TLS, all within \
             25 ms, without execution or durability; JetStream with files, confirmed, 43 to 47 ms.",
        ))
}

/// K3b: how many receipts come back in a second.
pub(super) fn receipts(session: &Session) -> Result<Row> {
    let of = |name, database, what| {
        let rate = |answering: &Answering| answering.receipts_per_s;
        (name, run::<Answering>(session, (database, what, SOME), rate))
    };
    let (sqlite, postgres) = ("SQLite, receipts", "PostgreSQL, receipts");
    let (sqlite_whole, postgres_whole) = ("SQLite, whole way", "PostgreSQL, whole way");
    let ours = vec![
        of(sqlite, SQLITE, "receipts"),
        of(postgres, POSTGRES, "receipts"),
        of(sqlite_whole, SQLITE, "answer"),
        of(postgres_whole, POSTGRES, "answer"),
    ];
    let contenders = session.alternate(ours, Vec::new());
    Ok(Row::new("K3b", "receipts of 1,000 targets, durable and verified", contenders)
        .figure("receipts/s")
        .at_least("receipts", sqlite, FIGURE, 1_000.0, "/s")
        .at_least("receipts", postgres, FIGURE, 2_000.0, "/s")
        .at_least("receipts", sqlite_whole, FIGURE, 1_000.0, "/s")
        .at_least("receipts", postgres_whole, FIGURE, 2_000.0, "/s")
        .note(
            "Receipts: all targets have one and hand it in at once; until the hub has every one on its disk, and \
             the publisher has fetched, verified, opened and taken every one, by pages as `consign node` does, \
             whose ledger is not in this. Whole way: from the request with \
             the envelopes; every target reads how its community stands, reads its queue, fetches 1 KiB, runs \
             `true`, and answers.",
        )
        .note(ONE_PROCESS))
}

/// K4: what a recipient more costs on the way.
pub(super) fn envelopes(session: &Session) -> Result<Row> {
    let (alone, sent, received) =
        ("the envelope", "on the wire to the hub", "on the wire to a target");
    let of = |figure| run::<Queueing>(session, (SQLITE, "queue", MANY), figure);
    let contenders = session.once(vec![
        (alone, of(|it| Some(it.envelope_bytes as f64))),
        (sent, of(|it| Some(it.to_hub_bytes))),
        (received, of(|it| Some(it.from_hub_bytes as f64))),
    ]);
    let title = format!("bytes for each of {} recipients", grouped(MANY as u64));
    Ok(Row::new("K4", &title, contenders)
        .figure("B each")
        .at_most("size", alone, FIGURE, 120.0, "B")
        .note(
            "On the wire to the hub: TLS, HTTP and JSON, all requests with envelopes divided by their number. On \
             the wire to a target: the whole answer to a target that asks what waits for it, of which the signed \
             manifest is most.",
        )
        .note("RAUC, measured earlier: 250 to 620 B for each recipient."))
}

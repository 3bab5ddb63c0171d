//! P3 and P4: what a delivery that stands still, and somebody who waits, cost a hub in memory.

use std::process::Command;

use anyhow::Result;

use crate::consign::Hub;
use crate::fleet::Idle;
use crate::load::last_line;
use crate::measure::{self, Sample};
use crate::row::{FIGURE, Row, Runner};
use crate::session::Session;

const DELIVERIES: usize = 256;
const PEOPLE: usize = 10_000;

/// Has a fleet do `what` at a hub, and divides what the hub's memory grew by.
fn grown(hub: &Hub, what: &[&str], count: usize, invitations: &str) -> Result<Sample> {
    let (name, more) = (what[0], &what[1..]);
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["fleet", name, &count.to_string(), &hub.server.id().to_string()]).args(more);
    let (mut sample, said) = measure::run(&mut command, invitations, &[&hub.server])?;
    let idle: Idle = last_line(&said)?;
    let grown = idle.with_bytes.saturating_sub(idle.before_bytes);
    sample.figure = Some(grown as f64 / 1024.0 / count as f64);
    Ok(sample)
}

fn invitations(hub: &Hub, count: usize) -> Result<String> {
    let each = (0..count).map(|_| Ok(hub.invitation()? + "\n"));
    each.collect()
}

fn stalling<'a>(session: &'a Session, stall: &'static str) -> Runner<'a> {
    Box::new(move || {
        let hub = session.consign()?.hub(&session.data.scratch("deliveries")?)?;
        let invitations = invitations(&hub, DELIVERIES)?;
        grown(&hub, &["live", stall], DELIVERIES, &invitations)
    })
}

/// P3: deliveries whose recipients do not take them.
pub(crate) fn stalled(session: &Session) -> Result<Row> {
    crate::idle::raise_open_files()?;
    let (deaf, slow) = ("recipients read nothing", "recipients read 1 MiB in 3 s");
    let ours = vec![(deaf, stalling(session, "deaf")), (slow, stalling(session, "slow"))];
    let contenders = session.alternate(ours, Vec::new());
    let limit_kib = f64::from(2 * 1024 + 64);
    Ok(Row::new("P3", "256 deliveries of 1 TiB that stand still", contenders)
        .figure("KiB each")
        .at_most("hub memory", deaf, FIGURE, limit_kib, "KiB each")
        .at_most("hub memory", slow, FIGURE, limit_kib, "KiB each")
        .note(
            "The figure is the most that the hub's own memory (RssAnon) grew by, from after the deliveries were \
             announced, while senders handed over whatever was wanted for 20 s, divided by their number. \
             Connections, TLS and requests of both ends are in it; the kernel's memory for sockets is not.",
        ))
}

/// P4: people who are signed in.
pub(crate) fn idle_people(session: &Session) -> Result<Row> {
    crate::idle::raise_open_files()?;
    let name = "10,000 people";
    let run: Runner<'_> = Box::new(|| {
        let scratch = session.data.scratch("people")?;
        let hub = session.consign()?.hub(&scratch)?;
        let invitations = invitations(&hub, PEOPLE)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["fleet", "people", &PEOPLE.to_string()]);
        measure::run(&mut command, &invitations, &[&hub.server])?;
        // A new process: what hashing passwords took is not there to be used again.
        drop(hub);
        let hub = session.consign()?.hub(&scratch)?;
        let invitation = hub.invitation()?;
        grown(&hub, &["signed-in"], PEOPLE, &invitation)
    });
    let contenders = session.once(vec![(name, run)]);
    Ok(Row::new("P4", "people who are signed in and wait, over TLS", contenders)
        .figure("KiB each")
        .at_most("hub memory", name, FIGURE, 30.0, "KiB each")
        .note(
            "Each has an account, a handle, a session of its device and an event stream. The hub was started anew after \
             they had registered; the figure is what its own memory (RssAnon) grew by until 20 s after the last \
             stream was open, divided by their number. Once, whatever --runs says.",
        )
        .note("nats-server, measured earlier on such a machine and not in this run: 49 KiB for each WebSocket connection."))
}

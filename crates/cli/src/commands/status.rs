//! `consign status`: what runs, what waits, for what, since when, what comes next.

use std::time::{SystemTime, UNIX_EPOCH};

use node::StateDir;
use node::inspect::FoundJob;
use node_api::status::{
    CacheStatus, CommunityState, CommunityStatus, JobStatus, NewerVersion, Status, Waiting,
    WatchState, WatchStatus,
};
use serde_json::{Value, json};

use super::Session;
use crate::doctor::{Shown, work};
use crate::exit::Ended;
use crate::output::{Output, bytes, number, utc};
use crate::progress::duration;

pub(super) async fn run(session: &Session) -> anyhow::Result<Ended> {
    let output = session.output;
    let state = StateDir::new(session.state_directory()?);
    let shown = Shown::new(std::env::var_os("HOME").as_deref());
    let clock = Clock::now();
    let status = node::control::status(state.path()).await?;
    node_line(output, status.as_ref(), &clock)?;
    for newer in status.iter().flat_map(|status| &status.newer) {
        newer_line(output, newer)?;
    }
    let (jobs, watches) = match &status {
        Some(status) => (status.jobs.as_slice(), status.watches.as_slice()),
        None => (&[][..], &[][..]),
    };
    for job in jobs {
        job_line(output, job, &clock)?;
    }
    for watch in watches {
        watch_line(output, watch, &clock)?;
    }
    let communities = status.as_ref().map_or(&[][..], |status| &status.communities);
    for community in communities {
        community_line(output, community, &clock)?;
    }
    let mut interrupted = 0;
    for found in state.jobs() {
        // The node told of its own jobs already.
        let is_nodes =
            found.process.is_some() && found.process == status.as_ref().map(|s| s.process);
        if !is_nodes {
            interrupted += u32::from(found.process.is_none());
            found_line(output, &found, &shown, &clock)?;
        }
    }
    let nothing =
        jobs.is_empty() && watches.is_empty() && communities.is_empty() && interrupted == 0;
    output.fact(
        if nothing { "nothing waits to be done" } else { "" },
        &json!({
            "event": "done",
            "jobs": jobs.len(),
            "watches": watches.len(),
            "communities": communities.len(),
            "interrupted": interrupted,
        }),
    )?;
    Ok(Ended::Done)
}

/// The time of the look, so that all lines agree.
struct Clock(u64);

impl Clock {
    fn now() -> Self {
        Self(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }

    fn since(&self, moment: u64) -> String {
        duration(std::time::Duration::from_secs(self.0.saturating_sub(moment)))
    }
}

fn node_line(output: Output, status: Option<&Status>, clock: &Clock) -> anyhow::Result<()> {
    let human = match status {
        None => "no node runs here; commands do their work themselves".to_owned(),
        Some(status) => format!(
            "node {} (process {}) runs for {}{}{}",
            status.version,
            status.process,
            clock.since(status.started),
            waits(status.waits_for.as_ref(), clock),
            status.cache.as_ref().map(cache).unwrap_or_default(),
        ),
    };
    output.fact(
        human,
        &json!({
            "event": "node",
            "running": status.is_some(),
            "process": status.map(|one| one.process),
            "version": status.map(|one| &one.version),
            "started": status.map(|one| one.started),
            "cache": status.and_then(|one| one.cache.as_ref()),
            "waits_for": status.and_then(|one| waiting(one.waits_for.as_ref())),
        }),
    )
}

fn newer_line(output: Output, newer: &NewerVersion) -> anyhow::Result<()> {
    let place = newer.place.as_ref().map(|place| format!(": {place}")).unwrap_or_default();
    output.fact(
        format!("consign {} is there, says {}{place}", newer.version, newer.hub),
        &json!({
            "event": "newer-version",
            "version": newer.version,
            "hub": newer.hub,
            "place": newer.place,
        }),
    )
}

fn cache(cache: &CacheStatus) -> String {
    let stored = cache.stored_bytes.map_or_else(|| "the store".into(), bytes);
    format!(
        "\n  cache {stored} of {}; {} chunks, {} evicted since it started",
        bytes(cache.max_bytes),
        number(cache.evicted_chunks),
        bytes(cache.evicted_bytes)
    )
}

fn job_line(output: Output, job: &JobStatus, clock: &Clock) -> anyhow::Result<()> {
    let far = match job.bytes_total {
        Some(total) => format!("{} of {}", bytes(job.bytes_done), bytes(total)),
        None => bytes(job.bytes_done),
    };
    let phase = if job.phase.is_empty() { "beginning" } else { &job.phase };
    output.fact(
        format!(
            "{}\n  runs for {}: {phase} {far}{}",
            job.what,
            clock.since(job.started),
            waits(job.waits_for.as_ref(), clock)
        ),
        &json!({
            "event": "job",
            "what": job.what,
            "state": "running",
            "process": null,
            "began": job.started,
            "phase": job.phase,
            "bytes_done": job.bytes_done,
            "bytes_total": job.bytes_total,
            "waits_for": waiting(job.waits_for.as_ref()),
            "next": null,
        }),
    )
}

fn found_line(
    output: Output,
    found: &FoundJob,
    shown: &Shown,
    clock: &Clock,
) -> anyhow::Result<()> {
    let asked = &found.asked;
    let command = work::command(asked, shown);
    let human = match found.process {
        Some(process) => {
            format!("{command}\n  runs for {} as process {process}", clock.since(asked.began))
        }
        None => format!(
            "{}, begun {}\n  go on with: {command}",
            work::describe(asked, shown),
            utc(asked.began)
        ),
    };
    let state = if found.process.is_some() { "running" } else { "interrupted" };
    output.fact(
        human,
        &json!({
            "event": "job",
            "what": command,
            "state": state,
            "process": found.process,
            "began": asked.began,
            "phase": null,
            "bytes_done": null,
            "bytes_total": null,
            "waits_for": null,
            "next": found.process.is_none().then_some(&command),
        }),
    )
}

fn watch_line(output: Output, watch: &WatchStatus, clock: &Clock) -> anyhow::Result<()> {
    let (state, words) = match watch.state {
        WatchState::Connecting => ("connecting", "asks the hub for its events"),
        WatchState::Listening => ("listening", "is up to date and listens"),
        WatchState::Polling => ("polling", "is up to date and asks at intervals"),
        WatchState::Fetching => ("fetching", "fetches a release"),
        WatchState::Hook => ("hook", "runs the hook"),
        WatchState::BackingOff => ("backing-off", "failed and tries again later"),
        WatchState::Holding => ("holding", "stays where it was told to"),
    };
    let current = watch.current.map_or("nothing yet".to_owned(), |at| format!("release {at}"));
    let mut human = format!(
        "{} into {}\n  shows {current}, {words}{}",
        watch.name,
        watch.to,
        waits(watch.waits_for.as_ref(), clock)
    );
    if let Some(error) = &watch.last_error {
        let next = watch.next_try.map(|at| format!("; tries again at {}", utc(at)));
        human.push_str(&format!("\n  last failure: {error}{}", next.unwrap_or_default()));
    }
    output.fact(
        human,
        &json!({
            "event": "watch",
            "name": watch.name,
            "to": watch.to,
            "state": state,
            "current": watch.current,
            "hold": watch.hold,
            "kept": watch.kept,
            "waits_for": waiting(watch.waits_for.as_ref()),
            "last_error": watch.last_error,
            "next_try": watch.next_try,
        }),
    )
}

fn community_line(
    output: Output,
    community: &CommunityStatus,
    clock: &Clock,
) -> anyhow::Result<()> {
    let (state, words) = match community.state {
        CommunityState::Connecting => ("connecting", "asks the hub for news"),
        CommunityState::Working => ("working", "works through what there is to do"),
        CommunityState::Listening => ("listening", "is up to date and listens"),
        CommunityState::Ended => ("ended", "has nothing to do any more: the community has ended"),
        CommunityState::BackingOff => ("backing-off", "failed and tries again later"),
    };
    let mut human = format!(
        "community {}\n  {words}, for {}{}",
        community.name,
        clock.since(community.since),
        waits(community.waits_for.as_ref(), clock)
    );
    if let Some(last) = &community.last {
        human.push_str(&format!("\n  last: {last}"));
    }
    output.fact(
        human,
        &json!({
            "event": "community",
            "community": community.community,
            "name": community.name,
            "state": state,
            "since": community.since,
            "waits_for": waiting(community.waits_for.as_ref()),
            "last": community.last,
        }),
    )
}

/// What is waited for, after a comma, for people.
fn waits(waiting: Option<&Waiting>, clock: &Clock) -> String {
    waiting.map_or(String::new(), |waiting| {
        format!(
            "\n  waits for {} for {}; {}",
            waiting.what,
            clock.since(waiting.since),
            waiting.next
        )
    })
}

fn waiting(waiting: Option<&Waiting>) -> Option<Value> {
    waiting.map(|one| json!({"what": one.what, "since": one.since, "next": one.next}))
}

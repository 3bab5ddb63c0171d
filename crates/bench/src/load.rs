//! T10: a hub under load, by single chunks, by a crowd, and by streams that wait.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use content::ChunkId;
use serde::Deserialize;

use super::measure::{self, Sample, Server};
use super::row::{CPU, FIGURE, Row, Runner, SERVER_MIB, WALL};
use super::same::{self, Depth};
use super::session::{self, Session};
use crate::crowd::Crowd;

/// Clients that come at once.
const CROWD_CLIENTS: usize = 1_000;
/// Event streams that wait while somebody fetches.
const STREAMS: usize = 10_000;
/// What wrk says at its end, besides what it tells people.
const SUMMARY: &str = r#"
done = function(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('{"requests":%d,"bytes":%d,"micros":%d,"failed":%d}\n',
    summary.requests, summary.bytes, summary.duration, failed))
end
"#;

/// What the script above writes.
#[derive(Debug, Deserialize)]
struct Load {
    requests: u64,
    bytes: u64,
    micros: u64,
    failed: u64,
}

/// T10a: single-chunk GETs.
pub(super) fn single_chunks(session: &Session) -> Result<Row> {
    let source = session.data.kib()?;
    let consign = || {
        let published = session.published()?;
        published.has("bench/kib", std::slice::from_ref(&source), None)?;
        let id = ChunkId::of(&fs::read(source.join("big.bin"))?);
        let url = format!("{}/v1/chunks/{id}", published.hub.url);
        wrk(session, &url, &published.hub.server)
    };
    let nginx = || {
        let nginx = session.nginx()?;
        wrk(session, &nginx.tls_url("kib/big.bin"), &nginx.server)
    };
    let contenders = session.alternate(
        vec![("consign", Box::new(consign))],
        vec![("nginx TLS", Box::new(nginx) as Runner<'_>)],
    );
    Ok(Row::new("T10a", "GET of a chunk of 1 KiB over TLS, connections kept", contenders)
        .figure("requests/s")
        .ratio_at_least("requests/s", "consign", "nginx TLS", FIGURE, 0.4)
        .ratio_at_least("requests/s", "consign", "nginx TLS", FIGURE, 0.7)
        .beyond()
        .note("wrk with 64 connections and one thread for five seconds, on the same processors as the server; \
               the chunk is of a public name, asked for without a session."))
}

/// Loads `url`, which has the file of KIB, for some seconds.
fn wrk(session: &Session, url: &str, server: &Server) -> Result<Sample> {
    session::need("wrk")?;
    session::need("curl")?;
    let out = session.data.scratch("out")?;
    let mut curl = Command::new("curl");
    // Neither certificate is known to curl or wrk; the bytes are compared all the same.
    curl.args(["-s", "-f", "--insecure", url, "-o"]).arg(out.join("big.bin"));
    measure::run(&mut curl, "", &[])?;
    same::check(&session.data.kib()?, &out, Depth::Contents)?;

    let script = session.data.root().join("scratch/wrk.lua");
    fs::write(&script, SUMMARY)?;
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c64", "-d5s", "-s"]).arg(&script).arg(url);
    let (mut sample, said) = measure::run(&mut command, "", &[server])?;
    let load: Load = last_line(&said)?;
    if load.failed > 0 {
        bail!("{} of {} requests failed", load.failed, load.requests);
    }
    if load.bytes < load.requests << 10 {
        bail!("{} requests were answered with {} bytes", load.requests, load.bytes);
    }
    sample.wire_bytes = Some(load.bytes);
    sample.figure = Some(load.requests as f64 * 1e6 / load.micros as f64);
    Ok(sample)
}

/// T10b: a thousand clients that fetch a release of 1 MiB at once.
pub(super) fn many_clients(session: &Session) -> Result<Row> {
    let name = "1,000 clients";
    let crowd = || crowd(session, CROWD_CLIENTS);
    let contenders = session.alternate(vec![(name, Box::new(crowd))], Vec::new());
    Ok(Row::new("T10b", "1,000 clients fetch a release of 1 MiB at once over TLS", contenders)
        .figure("clients failed")
        .at_most("failures", name, FIGURE, 0.0, "clients")
        .at_most("hub", name, SERVER_MIB, 256.0, "MiB")
        .note("Every client has a connection of its own, asks for the head of the name, checks its signature, \
               fetches the release's list of chunks and the chunks in batches, verifies each and compares the \
               whole with the source. All of them are one process on the same processors as the hub."))
}

/// Lets that many clients fetch the release of 1 MiB; the figure is how many failed.
pub(super) fn crowd(session: &Session, clients: usize) -> Result<Sample> {
    let source = session.data.mib()?;
    let published = session.published()?;
    published.has("bench/mib", std::slice::from_ref(&source), None)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["crowd", "bench/mib", &clients.to_string()]);
    command.arg(source.join("big.bin"));
    let invitation = published.hub.invitation()?;
    let (mut sample, said) = measure::run(&mut command, &invitation, &[&published.hub.server])?;
    let crowd: Crowd = last_line(&said)?;
    if let Some(failure) = &crowd.first_failure {
        eprintln!("xtask: {} of {clients} clients failed: {failure}", crowd.failed);
    }
    sample.wire_bytes = Some(crowd.bytes_received);
    sample.figure = Some(crowd.failed as f64);
    Ok(sample)
}

/// T10c: 256 MiB, alone and while ten thousand event streams are open over TLS.
pub(super) fn beside_streams(session: &Session) -> Result<Row> {
    let source = session.data.quarter()?;
    let fetch = || {
        let published = session.published()?;
        published.has("bench/quarter", std::slice::from_ref(&source), None)?;
        let out = session.data.scratch("out")?;
        let state = session.data.root().join("scratch/state");
        let sample = published.first_get("bench/quarter", &out, state)?;
        same::check(&source, &out, Depth::Contents)?;
        Ok(sample)
    };
    let beside = || {
        let published = session.published()?;
        published.has("bench/quarter", std::slice::from_ref(&source), None)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["idle", &published.hub.url, "bench/quarter", &STREAMS.to_string()]);
        let mut streams = Server::start(command.stdout(Stdio::piped()))?;
        if measure::first_line(&mut streams)?.trim() != "open" {
            bail!("the streams were not opened");
        }
        fetch()
    };
    let (alone, with) = ("alone", "beside 10,000 streams");
    let contenders = session.alternate(
        vec![(alone, Box::new(fetch) as Runner<'_>), (with, Box::new(beside))],
        Vec::new(),
    );
    Ok(Row::new(
        "T10c",
        "256 MiB from a hub, alone and beside 10,000 idle event streams over TLS",
        contenders,
    )
    .ratio("wall", with, alone, WALL, 1.15)
    .ratio("CPU", with, alone, CPU, 1.15)
    .at_most("hub", with, SERVER_MIB, 512.0, "MiB")
    .note(
        "The streams are of one other process on the same processors; they are opened before and \
               stay open while the fetch is measured. Each gets a heart-beat every 15 seconds.",
    ))
}

pub(super) fn last_line<T: for<'a> Deserialize<'a>>(said: &str) -> Result<T> {
    let last = said.lines().rev().find(|line| line.starts_with('{')).context("no closing line")?;
    serde_json::from_str(last).with_context(|| format!("not a closing line: {last}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_found_behind_the_words_for_people() {
        let said = "Running 5s test\n{\"requests\":9,\"bytes\":9216,\"micros\":3,\"failed\":1}\n";
        let load: Load = last_line(said).unwrap();
        assert_eq!((load.requests, load.bytes, load.micros, load.failed), (9, 9216, 3, 1));
        assert!(last_line::<Load>("Running").is_err());
    }
}

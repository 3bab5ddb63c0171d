//! T1 and T2: from a hub to a disk, one large file and many small ones.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::measure::{self, Sample};
use super::row::{CPU, Row, Runner, WALL};
use super::same::{self, Depth};
use super::session::Session;

/// T1: 2 GiB over TLS into a file.
pub(super) fn one_large_file(session: &Session) -> Result<Row> {
    let source = session.data.f2()?;
    let consign = || {
        let published = session.published()?;
        published.has("bench/big", std::slice::from_ref(&source), None)?;
        let out = session.data.scratch("out")?;
        let state = session.data.root().join("scratch/state");
        let sample = published.first_get("bench/big", &out, state)?;
        same::check(&source, &out, Depth::Attributes)?;
        Ok(sample)
    };
    let curl = || {
        let nginx = session.nginx()?;
        let out = session.data.scratch("out")?;
        let mut command = Command::new("curl");
        command.args(["-s", "-f", "--http1.1", "--cacert"]).arg(&nginx.certificate);
        command.arg("-o").arg(out.join("big.bin")).arg(nginx.tls_url("f2/big.bin"));
        let (sample, _) = measure::run(&mut command, "", &[&nginx.server])?;
        same::check(&source, &out, Depth::Contents)?;
        Ok(sample)
    };
    let rsync = || rsync_whole(session, "f2", &source, session.data.scratch("out")?);
    let cp = || copy_whole(&source, session.data.scratch("out")?);
    let contenders = session.alternate(
        vec![("consign", Box::new(consign))],
        vec![
            ("curl + nginx TLS", Box::new(curl)),
            ("rsync daemon", Box::new(rsync)),
            ("cp -a", Box::new(cp)),
        ],
    );
    Ok(Row::new("T1", "2 GiB from a hub to a file over TLS", contenders)
        .ratio("wall", "consign", "curl + nginx TLS", WALL, 0.75)
        .ratio("CPU", "consign", "curl + nginx TLS", CPU, 0.8)
        .ratio("wall", "consign", "rsync daemon", WALL, 1.15)
        .beyond()
        .note("curl: HTTP/1.1, TLS 1.3, not verified beyond TLS and not resumable; rsync and cp: not encrypted."))
}

/// T2: 20,000 small files over TLS.
pub(super) fn many_small_files(session: &Session) -> Result<Row> {
    let source = session.data.small()?;
    let consign = || {
        let published = session.published()?;
        published.has("bench/small", std::slice::from_ref(&source), None)?;
        let out = session.data.scratch("out")?;
        let state = session.data.root().join("scratch/state");
        let sample = published.first_get("bench/small", &out, state)?;
        same::check(&source, &out, Depth::Attributes)?;
        Ok(sample)
    };
    let curl = || curl_all(session, &source);
    let rsync = || rsync_whole(session, "small", &source, session.data.scratch("out")?);
    let cp = || copy_whole(&source, session.data.scratch("out")?);
    let peers: Vec<(&str, Runner<'_>)> = vec![
        ("cp -a", Box::new(cp)),
        ("curl h2 TLS", Box::new(curl)),
        ("rsync daemon", Box::new(rsync)),
    ];
    let contenders = session.alternate(vec![("consign", Box::new(consign))], peers);
    Ok(Row::new("T2", "20,000 files, 127 MB, from a hub to a disk over TLS", contenders)
        .ratio("wall", "consign", "cp -a", WALL, 1.15)
        .ratio("wall", "consign", "curl h2 TLS", WALL, 1.0)
        .ratio("wall", "consign", "cp -a", WALL, 1.0)
        .beyond()
        .note("curl: 100 requests at a time, keeps neither times nor modes."))
}

fn curl_all(session: &Session, source: &Path) -> Result<Sample> {
    let nginx = session.nginx()?;
    let out = session.data.scratch("out")?;
    let mut list = String::new();
    for folder in fs::read_dir(source)? {
        let folder = folder?;
        fs::create_dir(out.join(folder.file_name()))?;
        for file in fs::read_dir(folder.path())? {
            let path = Path::new(&folder.file_name()).join(file?.file_name());
            let url = nginx.tls_url(&format!("small/{}", path.display()));
            writeln!(list, "url = \"{url}\"\noutput = \"{}\"", out.join(&path).display())?;
        }
    }
    let config = session.data.root().join("scratch/curl.list");
    fs::write(&config, list)?;
    let mut command = Command::new("curl");
    command
        .args(["-s", "-f", "-Z", "--parallel-max", "100", "--http2", "--cacert"])
        .arg(&nginx.certificate);
    let (sample, _) = measure::run(command.arg("-K").arg(&config), "", &[&nginx.server])?;
    same::check(source, &out, Depth::Contents)?;
    Ok(sample)
}

/// Fetches a whole data set from the daemon.
fn rsync_whole(session: &Session, name: &str, source: &Path, out: PathBuf) -> Result<Sample> {
    let rsync = session.rsync()?;
    let mut command = Command::new("rsync");
    command.args(["-aW", "--stats", &rsync.url(&format!("{name}/"))]).arg(&out);
    let (mut sample, said) = measure::run(&mut command, "", &[&rsync.server])?;
    sample.wire_bytes = super::peers::rsync_received_bytes(&said);
    same::check(source, &out, Depth::Attributes)?;
    Ok(sample)
}

/// The yardstick: a copy on the same disk, without sharing blocks.
fn copy_whole(source: &Path, out: PathBuf) -> Result<Sample> {
    let mut command = Command::new("cp");
    command.args(["-a", "--reflink=never", "--sparse=never"]).arg(source.join(".")).arg(&out);
    let (sample, _) = measure::run(&mut command, "", &[])?;
    same::check(source, &out, Depth::Attributes)?;
    Ok(sample)
}

//! P6: sender, recipient and hub are killed in turn, while 5 GB go from one to the other.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::{Ends, name_of};
use crate::data::{self, F5_BYTES};
use crate::measure::{End, Sample};
use crate::peers::free_port;
use crate::proxy::Proxy;
use crate::row::{Row, Runner, WIRE};
use crate::same::{self, Depth};
use crate::session::Session;
use xtask::shell;

const KILLS: u64 = 20;
/// Longest time between two kills before it counts as a delivery that does not move.
const PATIENCE: Duration = Duration::from_secs(300);

/// The line of a delivery in `consign deliveries --json`.
#[derive(Deserialize)]
struct Listed {
    id: String,
}

/// A delivery that is disturbed.
struct Disturbed {
    ends: Ends,
    sender: End,
    recipient: End,
    listen: String,
    url: String,
    out: PathBuf,
}

/// P6: 20 kills in 5 GB.
pub(crate) fn killed_in_turn(session: &Session) -> Result<Row> {
    let source = session.data.f5()?;
    let whole = Cell::new(0);
    let (quiet, killed) = ("undisturbed", "killed 20 times");
    let prepare = || -> Result<(Ends, Proxy, String)> {
        let folder = session.data.scratch("deliveries")?;
        let listen = format!("127.0.0.1:{}", free_port()?);
        let proxy = Proxy::start(listen.parse()?)?;
        let url = format!("https://{}", proxy.address());
        let hub = session.consign()?.hub_at(&folder, &listen, Some(&url))?;
        Ok((Ends::at(hub, folder)?, proxy, listen))
    };
    let undisturbed: Runner<'_> = Box::new(|| {
        let (ends, proxy, _) = prepare()?;
        let out = session.data.scratch("out")?;
        let before = proxy.passed_bytes();
        let mut sample = ends.deliver(&source, &out)?;
        whole.set(proxy.passed_bytes() - before);
        sample.wire_bytes = Some(whole.get());
        data::clear(&out)?;
        Ok(sample)
    });
    let disturbed: Runner<'_> = Box::new(|| {
        let (ends, proxy, listen) = prepare()?;
        let out = session.data.scratch("out")?;
        let url = format!("https://{}", proxy.address());
        let (before, started) = (proxy.passed_bytes(), Instant::now());
        deliver_killed(session, ends, &proxy, (listen, url), &source, &out)?;
        let wire_bytes = Some(proxy.passed_bytes() - before);
        same::check(&source, &out.join(name_of(&source)?), Depth::Attributes)?;
        data::clear(&out)?;
        Ok(Sample { wall_s: started.elapsed().as_secs_f64(), wire_bytes, ..Sample::default() })
    });
    let contenders = session.alternate(vec![(quiet, undisturbed), (killed, disturbed)], Vec::new());
    Ok(Row::new("P6", "bytes sent again when both ends and the hub are killed in turn", contenders)
        .ratio("wire", killed, quiet, WIRE, 1.02)
        .note(
            "5 GB of random bytes. The sender, the recipient and the hub are killed (SIGKILL) and started again in turn, each \
             time another 21st of all bytes has passed a proxy of the benchmark between both ends and the hub, \
             which counts them. Every copy is compared with its source.",
        ))
}

fn deliver_killed(
    session: &Session,
    ends: Ends,
    proxy: &Proxy,
    (listen, url): (String, String),
    source: &Path,
    out: &Path,
) -> Result<()> {
    let mut sender = End::start(&mut ends.sending(source)?)?;
    wait("the sender announces its delivery", || {
        Ok(ends.is_announced() || sender.0.try_wait()?.is_some())
    })?;
    let recipient = End::start(&mut ends.receiving(&ends.ticket(), out)?)?;
    let out = out.to_owned();
    let mut all = Disturbed { ends, sender, recipient, listen, url, out };
    // What both ends carry: each byte comes to the hub and leaves it.
    let part = 2 * F5_BYTES / (KILLS + 1);
    for kill in 0..KILLS {
        let until = proxy.passed_bytes() + part;
        wait("bytes pass", || {
            if all.recipient.0.try_wait()?.is_some() {
                bail!("the recipient ended before {} kills", kill + 1);
            }
            Ok(proxy.passed_bytes() >= until)
        })?;
        match kill % 3 {
            0 => all.kill_sender()?,
            1 => all.kill_recipient()?,
            _ => all = all.kill_hub(session)?,
        }
    }
    all.recipient.wait().and(all.sender.wait())
}

impl Disturbed {
    fn kill_sender(&mut self) -> Result<()> {
        self.sender.kill()?;
        let mut list = self.ends.sender.command();
        let said = shell::output(list.args(["--json", "deliveries"]))?;
        let listed = said.lines().find_map(|line| serde_json::from_str::<Listed>(line).ok());
        let id = listed.context("`consign deliveries` lists no delivery")?.id;
        let mut resume = self.ends.sender.command();
        resume.args(["--quiet", "send", "--resume", &id]);
        self.sender = End::start(resume.stdin(std::process::Stdio::null()))?;
        Ok(())
    }

    fn kill_recipient(&mut self) -> Result<()> {
        self.recipient.kill()?;
        let mut again = self.ends.receiving(&self.ends.ticket(), &self.out)?;
        self.recipient = End::start(&mut again)?;
        Ok(())
    }

    /// The hub comes back at its address with its data, and knows nothing of any delivery.
    fn kill_hub(self, session: &Session) -> Result<Self> {
        let Ends { hub, sender, recipient, folder, way } = self.ends;
        hub.server.kill()?;
        let hub = session.consign()?.hub_at(&folder, &self.listen, Some(&self.url))?;
        Ok(Self { ends: Ends { hub, sender, recipient, folder, way }, ..self })
    }
}

fn wait(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !is_so()? {
        if started.elapsed() > PATIENCE {
            bail!("{what}: not within {} s", PATIENCE.as_secs());
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

//! P1 to P6: from person to person, through the memory of a hub.
//!
//! Sender and recipient are processes of their own, as is the hub. The sender has an account, the
//! recipient a ticket; a run ends when both have: the recipient everything in its place, the
//! sender the signed receipt.

mod kills;
mod memory;
mod pace;

use std::cell::RefCell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

pub(super) use self::kills::killed_in_turn;
pub(super) use self::memory::{idle_people, stalled};
pub(super) use self::pace::swapped;
use super::consign::{Hub, Node};
use super::data;
use super::measure::{self, Sample};
use super::row::{CPU, Row, Runner, WALL};
use super::same::{self, Depth};
use super::session::Session;
use super::sshd::Sshd;
use super::wormhole::{Way, Wormhole};

/// A hub, somebody with an account there, and somebody without.
struct Ends {
    hub: Hub,
    sender: Node,
    recipient: Node,
    folder: PathBuf,
    way: Ours,
}

/// How our segments go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ours {
    Hub,
    Direct,
}

impl Ours {
    /// The directory of the ends.
    fn folder(self) -> &'static str {
        match self {
            Self::Hub => "deliveries",
            Self::Direct => "deliveries-direct",
        }
    }
}

impl Ends {
    fn at(hub: Hub, folder: PathBuf) -> Result<Self> {
        let sender = hub.node(folder.join("sender"))?;
        let recipient = hub.stranger(folder.join("recipient"));
        Ok(Self { hub, sender, recipient, folder, way: Ours::Hub })
    }

    fn new(session: &Session, way: Ours) -> Result<Self> {
        let folder = session.data.scratch(way.folder())?;
        let hub = session.consign()?.hub(&folder)?;
        Ok(Self { way, ..Self::at(hub, folder)? })
    }

    fn ticket(&self) -> PathBuf {
        self.folder.join("ticket")
    }

    /// Sends a directory; the ticket is in a file when it can be collected.
    fn sending(&self, source: &Path) -> Result<Command> {
        if self.ticket().exists() {
            fs::remove_file(self.ticket())?;
        }
        let mut command = self.sender.command();
        command.args(["--quiet", "send", "--ticket-file"]).arg(self.ticket()).arg(source);
        if self.way == Ours::Direct {
            command.arg("--direct");
        }
        command.stdin(Stdio::null());
        Ok(command)
    }

    fn is_announced(&self) -> bool {
        fs::metadata(self.ticket()).is_ok_and(|facts| facts.len() > 0)
    }

    /// Collects what the ticket in `ticket` is for.
    fn receiving(&self, ticket: &Path, to: &Path) -> Result<Command> {
        let mut command = self.recipient.command();
        command.args(["--quiet", "receive", "--yes", "--to"]).arg(to);
        command.stdin(Stdio::from(File::open(ticket)?));
        Ok(command)
    }

    /// From the first byte read to the receipt.
    fn deliver(&self, source: &Path, to: &Path) -> Result<Sample> {
        let sample = measure::run_both(
            &mut self.sending(source)?,
            &|| self.is_announced(),
            || self.receiving(&self.ticket(), to),
            &[&self.hub.server],
        )?;
        same::check(source, &to.join(name_of(source)?), Depth::Attributes)?;
        Ok(sample)
    }
}

fn name_of(source: &Path) -> Result<&str> {
    source.file_name().and_then(|name| name.to_str()).context("a data set has a name")
}

/// Where recipients write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Out {
    Disk,
    /// ext4 looks for an inode that was not freed in the last seconds, which takes longer than all
    /// the rest where 20,000 were removed a moment ago.
    Memory,
}

impl Out {
    fn empty(self, session: &Session) -> Result<PathBuf> {
        match self {
            Self::Disk => session.data.scratch("out"),
            Self::Memory => session.tree_scratch("out"),
        }
    }
}

/// Our runs, all at one hub.
fn ours<'a>(session: &'a Session, source: &'a Path, out: Out, way: Ours) -> Runner<'a> {
    let ends: RefCell<Option<Ends>> = RefCell::new(None);
    Box::new(move || {
        if ends.borrow().is_none() {
            *ends.borrow_mut() = Some(Ends::new(session, way)?);
        }
        let out = out.empty(session)?;
        // What was received before is known to its recipient.
        data::clear(&session.data.root().join("scratch").join(way.folder()).join("recipient"))?;
        let ends = ends.borrow();
        ends.as_ref().context("made above")?.deliver(source, &out)
    })
}

fn wormhole<'a>(session: &'a Session, source: &'a Path, way: Way, out: Out) -> Runner<'a> {
    Box::new(move || {
        let out = out.empty(session)?;
        let wormhole = Wormhole::start(session)?;
        let sample = wormhole.deliver(source, &out, way)?;
        same::check(source, &out.join(name_of(source)?), Depth::Contents)?;
        Ok(sample)
    })
}

fn scp<'a>(session: &'a Session, source: &'a Path) -> Runner<'a> {
    Box::new(move || {
        let out = session.data.scratch("out")?;
        let sshd = Sshd::start(session.data.root())?;
        let mut command = sshd.scp(source, &out);
        let (sample, _) = measure::run(&mut command, "", &[&sshd.server])?;
        same::check(source, &out.join(name_of(source)?), Depth::Contents)?;
        Ok(sample)
    })
}

const RELAYED: &str = "magic-wormhole, its relay";
const DIRECT: &str = "magic-wormhole, direct";
const OURS_DIRECT: &str = "consign, direct";

/// P1: 1 GiB from person to person.
pub(super) fn one_large_file(session: &Session) -> Result<Row> {
    let source = session.data.f1()?;
    let contenders = session.alternate(
        vec![
            ("consign", ours(session, &source, Out::Disk, Ours::Hub)),
            (OURS_DIRECT, ours(session, &source, Out::Disk, Ours::Direct)),
        ],
        vec![
            (RELAYED, wormhole(session, &source, Way::Relay, Out::Disk)),
            (DIRECT, wormhole(session, &source, Way::Direct, Out::Disk)),
            ("scp", scp(session, &source)),
        ],
    );
    Ok(Row::new("P1", "1 GiB from person to person through a hub's memory", contenders)
        .ratio("wall", "consign", RELAYED, WALL, 0.5)
        .ratio("CPU", "consign", RELAYED, CPU, 0.6)
        .note(
            "All send a directory with one file of random bytes. consign: end-to-end sealed, TLS to the hub and from it, \
             verified and synced, until the sender has the signed receipt. The client's memory is that of \
             the larger end, processor seconds are of both ends and of what is between. Direct: `--direct`, the header and \
             what the hub had taken by then through the hub.",
        )
        .note(PEERS))
}

/// P2: 20,000 small files from person to person.
pub(super) fn many_small_files(session: &Session) -> Result<Row> {
    let source = session.data.small()?;
    let contenders = session.alternate(
        vec![("consign", ours(session, &source, Out::Memory, Ours::Hub))],
        vec![
            (RELAYED, wormhole(session, &source, Way::Relay, Out::Memory)),
            (DIRECT, wormhole(session, &source, Way::Direct, Out::Memory)),
        ],
    );
    Ok(Row::new("P2", "20,000 files, 127 MB, from person to person", contenders)
        .ratio("wall", "consign", RELAYED, WALL, 1.0)
        .ratio("wall", "consign", DIRECT, WALL, 1.0)
        .note(session.place_of_trees())
        .note(PEERS))
}

const PEERS: &str = "magic-wormhole: its own mailbox server and transit relay on loopback, the code known to both ends \
     before they start; by its relay alone (both ends with --no-listen), or direct. It packs a directory \
     into a ZIP file first. scp: aes128-gcm, to a server on loopback, not through anything.";

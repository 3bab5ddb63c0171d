//! What the rows of one run share: data sets, peers, our program, a hub with everything published.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::Options;
use super::consign::{Consign, Hub, Node};
use super::data::{self, Data};
use super::machine;
use super::measure::Sample;
use super::peers::{Nginx, Peers, Rsync};
use super::row::{Contender, Runner, alternate};
use xtask::shell;

/// Memory that trees are written into where there is enough of it: an ordinary disk is up to three
/// times slower from one run to the next when it makes 50,000 files.
const MEMORY: &str = "/dev/shm";
/// What has to be free there: two trees, and what the machine needs besides.
const MEMORY_KIB_MIN: u64 = 6 << 20;

/// One run of the benchmark.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) data: Data,
    pub(super) peers: Peers,
    pub(super) runs: usize,
    pub(super) is_peers_only: bool,
    trees: PathBuf,
    program: Option<PathBuf>,
    consign: OnceCell<Consign>,
    nginx: OnceCell<Nginx>,
    rsync: OnceCell<Rsync>,
    published: OnceCell<Published>,
}

/// A hub, a publisher, and a reader that has fetched nothing yet.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) hub: Hub,
    publisher: Node,
    reader: Node,
    names: RefCell<BTreeSet<String>>,
}

impl Session {
    pub(super) fn open(options: &Options) -> Result<Self> {
        let data = Data::new(options.data.clone())?;
        let peers = Peers::find(data.root(), options.should_install_peers)?;
        let trees = if free_kib(Path::new(MEMORY)).is_some_and(|free| free > MEMORY_KIB_MIN) {
            Path::new(MEMORY).join(format!("consign-bench-{}", std::process::id()))
        } else {
            data.root().join("scratch/trees")
        };
        Ok(Self {
            data,
            peers,
            runs: options.runs,
            is_peers_only: options.is_peers_only,
            trees,
            program: options.program.clone(),
            consign: OnceCell::new(),
            nginx: OnceCell::new(),
            rsync: OnceCell::new(),
            published: OnceCell::new(),
        })
    }

    /// Lets our contenders and the peers take turns, each with free memory touched before.
    pub(super) fn alternate<'a>(
        &self,
        ours: Vec<(&str, Runner<'a>)>,
        peers: Vec<(&str, Runner<'a>)>,
    ) -> Vec<Contender> {
        self.take_turns(self.runs, ours, peers)
    }

    /// Each of our contenders once, in their order.
    pub(super) fn once<'a>(&self, ours: Vec<(&str, Runner<'a>)>) -> Vec<Contender> {
        self.take_turns(1, ours, Vec::new())
    }

    fn take_turns<'a>(
        &self,
        runs: usize,
        ours: Vec<(&str, Runner<'a>)>,
        peers: Vec<(&str, Runner<'a>)>,
    ) -> Vec<Contender> {
        let count = ours.len();
        let ours = ours.into_iter().map(|(name, runner)| {
            let left_out: Runner<'a> =
                Box::new(|| bail!("left out: only the peers were asked for"));
            (name, if self.is_peers_only { left_out } else { runner })
        });
        let all = ours.chain(peers).map(|(name, mut runner)| {
            let prepared: Runner<'a> = Box::new(move || {
                machine::touch_memory();
                runner()
            });
            (name, prepared)
        });
        let mut contenders = alternate(runs, all.collect());
        for contender in contenders.iter_mut().take(count) {
            contender.is_ours = true;
        }
        contenders
    }

    /// Where trees are written, and on what.
    pub(super) fn trees_are_in_memory(&self) -> bool {
        self.trees.starts_with(MEMORY)
    }

    /// For the notes of a row.
    pub(super) fn place_of_trees(&self) -> &'static str {
        if self.trees_are_in_memory() {
            "The trees are written into memory (tmpfs); everything else is on disk."
        } else {
            "The trees are written to the disk."
        }
    }

    /// An empty directory for a tree.
    pub(super) fn tree_scratch(&self, name: &str) -> Result<PathBuf> {
        let path = self.trees.join(name);
        data::clear(&path)?;
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    pub(super) fn consign(&self) -> Result<&Consign> {
        if self.consign.get().is_none() {
            let program =
                self.program.clone().map_or_else(Consign::build, |file| Ok(Consign::at(file)));
            drop(self.consign.set(program?));
        }
        self.consign.get().context("just built")
    }

    pub(super) fn nginx(&self) -> Result<&Nginx> {
        need("nginx")?;
        need("curl")?;
        if self.nginx.get().is_none() {
            drop(self.nginx.set(Nginx::start(self.data.root())?));
        }
        self.nginx.get().context("just started")
    }

    pub(super) fn rsync(&self) -> Result<&Rsync> {
        need("rsync")?;
        if self.rsync.get().is_none() {
            drop(self.rsync.set(Rsync::start(self.data.root())?));
        }
        self.rsync.get().context("just started")
    }

    /// The command of desync, or the reason that there is none.
    pub(super) fn desync(&self) -> Result<Command> {
        let program = self.peers.desync.as_ref();
        program.map(Command::new).context("desync is not here (--install-peers fetches it)")
    }

    pub(super) fn published(&self) -> Result<&Published> {
        if self.published.get().is_none() {
            let scratch = self.data.scratch("published")?;
            let hub = self.consign()?.hub(&scratch)?;
            let publisher = hub.node(scratch.join("publisher"))?;
            let reader = hub.node(scratch.join("reader"))?;
            drop(self.published.set(Published {
                hub,
                publisher,
                reader,
                names: RefCell::default(),
            }));
        }
        self.published.get().context("just published")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.trees_are_in_memory() {
            drop(std::fs::remove_dir_all(&self.trees));
        }
    }
}

impl Published {
    /// Publishes the paths as the releases 1, 2, … of `name`, once.
    pub(super) fn has(&self, name: &str, paths: &[PathBuf], sealed: Option<&Path>) -> Result<()> {
        if self.names.borrow().contains(name) {
            return Ok(());
        }
        for path in paths {
            self.publisher.publish(path, name, sealed, &self.hub)?;
        }
        self.names.borrow_mut().insert(name.to_owned());
        Ok(())
    }

    /// A registered node that has fetched nothing.
    pub(super) fn fresh_reader(&self, state: PathBuf) -> Result<Node> {
        self.reader.copy(state)
    }

    /// Gets `name` with a fresh node into an empty directory.
    pub(super) fn first_get(&self, name: &str, to: &Path, state: PathBuf) -> Result<Sample> {
        self.fresh_reader(state)?.get(name, to, None, &self.hub)
    }
}

/// Refuses to go on without a program of the peers.
pub(super) fn need(program: &str) -> Result<()> {
    if !shell::on_path(program) {
        bail!("{program} is not here (--install-peers fetches it)");
    }
    Ok(())
}

fn free_kib(folder: &Path) -> Option<u64> {
    let said = shell::output(Command::new("df").args(["--output=avail", "-k"]).arg(folder)).ok()?;
    said.lines().nth(1)?.trim().parse().ok()
}

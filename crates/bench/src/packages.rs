//! K3c and K5: packages, sent and carried out by real nodes.

use std::cell::OnceCell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::consign::{Hub, Node};
use super::data;
use super::measure::{self, Sample, Server};
use super::peers::free_port;
use super::proxy::Proxy;
use super::row::{Row, Runner, WIRE};
use super::session::Session;

/// Machines with a real node: more would measure how two processors switch between them.
const NODES: usize = 8;
const PATIENCE: Duration = Duration::from_secs(300);
/// After the last step ran: the receipt goes out, and whatever else is said once.
const SETTLING: Duration = Duration::from_secs(2);

/// A community of real nodes, behind a proxy that counts.
pub(super) struct Scene {
    pub(super) scratch: PathBuf,
    proxy: Proxy,
    seed: PathBuf,
    pub(super) boss: Node,
    publisher: Node,
    _managing: Server,
    pub(super) hub: Hub,
}

/// What `package list` says of a package.
#[derive(Debug, Deserialize)]
struct Listed {
    event: String,
    #[serde(default)]
    passed: u64,
}

impl Scene {
    pub(super) fn open(session: &Session) -> Result<Self> {
        let scratch = session.data.scratch("community")?;
        let listen = format!("127.0.0.1:{}", free_port()?);
        let proxy = Proxy::start(listen.parse()?)?;
        let url = format!("https://{}", proxy.address());
        let hub = session.consign()?.hub_at(&scratch, &listen, Some(&url))?;
        let boss = hub.node(scratch.join("boss"))?;
        let seed = scratch.join("plant.seed");
        let mut create = boss.command();
        measure::run(
            create.args(["community", "create", "Plant 7", "--seed"]).arg(&seed),
            "",
            &[],
        )?;
        let managing = serve(&boss, &scratch.join("boss.log"))?;
        let publisher = hub.stranger(scratch.join("ci"));
        let scene = Self { scratch, proxy, seed, boss, publisher, _managing: managing, hub };
        scene.join("ci", "publisher", &scene.publisher, &[])?;
        Ok(scene)
    }

    pub(super) fn join(&self, name: &str, role: &str, node: &Node, more: &[&str]) -> Result<()> {
        let secret = self.scratch.join(format!("{name}.secret"));
        let mut define = self.boss.command();
        define.args(["community", "peer", "add", name, "--role", role, "--secret-file"]);
        measure::run(define.arg(&secret).args(more), "", &[])?;
        let mut join = node.command();
        join.arg("join").arg(&self.seed).args(["--as", name, "--secret-file"]).arg(&secret);
        measure::run(&mut join, "", &[])?;
        Ok(())
    }

    fn target(&self, name: &str) -> Result<Node> {
        let node = self.hub.stranger(self.scratch.join(name));
        self.join(name, "target", &node, &[])?;
        Ok(node)
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.scratch.join(format!("{name}.log"))
    }

    /// Writes what a package does: `steps` first, then a command.
    pub(super) fn package(&self, version: u32, steps: &str, command: &[&str]) -> Result<PathBuf> {
        let package = self.scratch.join("package");
        fs::create_dir_all(&package)?;
        let command = serde_json::to_string(command)?;
        let text = format!(
            "[package]\nname = \"bench\"\nversion = \"{version}\"\n\n{steps}[[step]]\nwrites = [\"/\"]\ncommand = {command}\n"
        );
        fs::write(package.join("consign-package.toml"), text)?;
        Ok(package)
    }

    pub(super) fn send(&self, package: &Path) -> Result<Sample> {
        let mut send = self.publisher.command();
        Ok(measure::run(send.args(["package", "send"]).arg(package), "", &[&self.hub.server])?.0)
    }

    /// Bytes that pass the hub's door while something is done, both ways.
    fn counted(&self, act: impl FnOnce() -> Result<()>) -> Result<u64> {
        let before = self.proxy.passed_bytes();
        act()?;
        Ok(self.proxy.passed_bytes() - before)
    }
}

/// Runs a node until the value is dropped.
pub(super) fn serve(node: &Node, log: &Path) -> Result<Server> {
    let mut command = node.command();
    command.args(["--json", "node"]).stdout(Stdio::piped()).stderr(File::create(log)?);
    let mut server = Server::start(&mut command)?;
    let line = measure::first_line(&mut server)?;
    if !line.contains("serving") {
        bail!("a node did not begin: {line}{}", fs::read_to_string(log).unwrap_or_default());
    }
    Ok(server)
}

pub(super) fn wait_until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let patience = Instant::now() + PATIENCE;
    while !is_so()? {
        if Instant::now() > patience {
            bail!("{what}: not within {} s", PATIENCE.as_secs());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// K3c: the whole way with real nodes.
pub(super) fn real_nodes(session: &Session) -> Result<Row> {
    let name = "8 nodes";
    let whole = || {
        let scene = Scene::open(session)?;
        let mut serving = vec![serve(&scene.publisher, &scene.log("ci"))?];
        for number in 0..NODES {
            let peer = format!("press-{number}");
            serving.push(serve(&scene.target(&peer)?, &scene.log(&peer))?);
        }
        // The first finds whoever is not awake yet.
        let mut sample = Sample::default();
        for version in [1, 2] {
            let package = scene.package(version, "", &["true"])?;
            fs::write(package.join("payload"), format!("{version}").repeat(1 << 10))?;
            let started = Instant::now();
            sample = scene.send(&package)?;
            let sent = Instant::now();
            wait_until("all have answered", || Ok(passed(&scene.publisher)? == NODES as u64))?;
            sample.wall_s = started.elapsed().as_secs_f64();
            sample.figure = Some(sent.elapsed().as_secs_f64());
        }
        Ok(sample)
    };
    let contenders = session.alternate(vec![(name, Box::new(whole) as Runner<'_>)], Vec::new());
    Ok(Row::new("K3c", "a package of 1 KiB that runs `true`, and its receipts in the ledger", contenders)
        .figure("s after it was sent")
        .note(
            "Eight targets and the publisher are `consign node` in processes of their own, on the same \
             processors as the hub; every one keeps what it does on the disk before it goes on. Wall is from \
             the start of `consign package send` to the last receipt in the publisher's ledger, which is asked \
             every 20 ms; CPU is that of `send` alone. The second of two packages.",
        ))
}

/// How many targets passed the newest package.
fn passed(publisher: &Node) -> Result<u64> {
    let mut list = publisher.command();
    let (_, said) = measure::run(list.args(["--json", "package", "list"]), "", &[])?;
    let listed = said.lines().filter_map(|line| serde_json::from_str::<Listed>(line).ok());
    // The newest comes first.
    let newest = listed.into_iter().find(|line| line.event == "package");
    Ok(newest.map_or(0, |line| line.passed))
}

/// Bytes of an update, plain and sealed, on both ways.
#[derive(Debug, Clone, Copy)]
struct Update {
    plain: [u64; 2],
    sealed: [u64; 2],
}

/// K5: TREE2 after TREE as a package.
pub(super) fn sealed_update(session: &Session) -> Result<Row> {
    let measured: OnceCell<Update> = OnceCell::new();
    let update = || -> Result<Update> {
        if let Some(update) = measured.get() {
            return Ok(*update);
        }
        let update = Update { plain: plain(session)?, sealed: sealed(session)? };
        Ok(*measured.get_or_init(|| update))
    };
    let of = |bytes: fn(Update) -> u64| -> Runner<'_> {
        let update = &update;
        Box::new(move || Ok(Sample { wire_bytes: Some(bytes(update()?)), ..Sample::default() }))
    };
    let names = [
        "plain, to the hub",
        "plain, from the hub",
        "package, to the hub",
        "package, from the hub",
    ];
    let [plain_to, plain_from, sealed_to, sealed_from] = names;
    let contenders = session.once(vec![
        (plain_to, of(|it| it.plain[0])),
        (plain_from, of(|it| it.plain[1])),
        (sealed_to, of(|it| it.sealed[0])),
        (sealed_from, of(|it| it.sealed[1])),
    ]);
    Ok(Row::new("K5", "TREE2 after TREE, as a package for one target", contenders)
        .ratio("wire", sealed_to, plain_to, WIRE, 1.05)
        .ratio("wire", sealed_from, plain_from, WIRE, 1.05)
        .note(
            "Bytes both ways through a proxy before the hub, over TLS: of `publish` and `get` without sealing, \
             and of `package send` and the target's `node`, with its receipt. The other columns were not \
             measured.",
        ))
}

fn plain(session: &Session) -> Result<[u64; 2]> {
    let scene = Scene::open(session)?;
    let publisher = scene.hub.node(scene.scratch.join("publisher"))?;
    let reader = scene.hub.node(scene.scratch.join("reader"))?;
    let (name, out) = ("bench/tree", session.tree_scratch("out")?);
    let publish = |tree: PathBuf| publisher.publish(&tree, name, None, &scene.hub).map(drop);
    let get = || reader.get(name, &out, None, &scene.hub).map(drop);
    publish(session.data.tree()?)?;
    get()?;
    let to = scene.counted(|| publish(session.data.tree2()?))?;
    let from = scene.counted(get)?;
    data::clear(&out)?;
    Ok([to, from])
}

fn sealed(session: &Session) -> Result<[u64; 2]> {
    let scene = Scene::open(session)?;
    let target = scene.target("press-1")?;
    let mut counted = [0; 2];
    for (version, tree) in [(1, session.data.tree()?), (2, session.data.tree2()?)] {
        let ran = scene.scratch.join(format!("ran-{version}"));
        let placed = serde_json::to_string(&scene.scratch.join("placed"))?;
        let steps =
            format!("[[step]]\nfiles = \"tree\"\ntarget = {placed}\nplacing = \"replace\"\n\n");
        let package = scene.package(version, &steps, &["touch", ran.to_str().context("text")?])?;
        let inside = package.join("tree");
        data::clear(&inside)?;
        fs::create_dir(&inside)?;
        data::copy(&tree, &inside)?;
        let to = scene.counted(|| scene.send(&package).map(drop))?;
        let from = scene.counted(|| {
            let serving = serve(&target, &scene.log("press-1"))?;
            wait_until("the package was carried out", || Ok(ran.exists()))?;
            thread::sleep(SETTLING);
            drop(serving);
            Ok(())
        })?;
        counted = [to, from];
    }
    Ok(counted)
}

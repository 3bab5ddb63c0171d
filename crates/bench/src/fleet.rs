//! A community with thousands of targets: the load of a benchmark, in a process of its own so that its
//! cost is told apart.
//!
//! What targets and publisher say to the hub is what `consign node` says, signed and sealed as it does
//! it; nothing is kept on a disk here. Start with [`plant`].

mod answering;
mod idle;
mod live;
mod people;
mod plant;
mod queueing;

use std::io::Read as _;

use anyhow::{Context as _, Result, bail};
use documents::Invitation;

pub(crate) use self::answering::{Answering, Stage};
pub(crate) use self::idle::{Idle, resident_bytes};
use self::plant::Plant;
pub(crate) use self::queueing::Queueing;

/// `fleet WHAT TARGETS …`, with an invitation to the hub on standard input; the closing line says what
/// was measured.
///
/// | what | is measured |
/// |---|---|
/// | `idle TARGETS HUB` | memory of the process HUB without and with a stream for each |
/// | `live DELIVERIES HUB STALL`, an invitation for each | memory of the process HUB without and with deliveries that stand still |
/// | `people PEOPLE`, an invitation for each | nothing: makes people |
/// | `signed-in PEOPLE HUB` | memory of the process HUB without and with a stream for each of them |
/// | `queue TARGETS` | how long it takes to address a release to all of them, and what that weighs |
/// | `wake`, `answer`, `receipts` with TARGETS | see [`Stage`] |
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [what, targets, rest @ ..] = arguments else { bail!("fleet needs WHAT TARGETS") };
    let targets: usize = targets.parse()?;
    crate::idle::raise_open_files()?;
    let mut invitations = String::new();
    std::io::stdin().read_to_string(&mut invitations)?;
    let invitations = invitations.split_whitespace().map(str::parse);
    let invitations = invitations.collect::<Result<Vec<Invitation>, _>>()?;
    let invitation = invitations.first().context("a fleet needs an invitation")?.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let said = runtime.block_on(async {
        let hub = || -> Result<u32> {
            let hub = rest.first().with_context(|| format!("fleet {what} needs a HUB"))?;
            Ok(hub.parse()?)
        };
        match what.as_str() {
            "live" => {
                let stall = rest.get(1).context("fleet live needs a STALL")?.parse()?;
                let idle = live::measure(&invitations, targets, hub()?, stall).await?;
                return Ok(serde_json::to_string(&idle)?);
            }
            "people" => return people::make(&invitations, targets).await,
            "signed-in" => {
                let idle = people::measure(&invitation, targets, hub()?).await?;
                return Ok(serde_json::to_string(&idle)?);
            }
            _ => {}
        }
        let plant = Plant::found(&invitation, targets).await?;
        match what.as_str() {
            "idle" => serde_json::to_string(&idle::measure(plant, hub()?).await?),
            "queue" => serde_json::to_string(&queueing::measure(plant).await?),
            "wake" => serde_json::to_string(&answering::measure(plant, Stage::Wake).await?),
            "answer" => serde_json::to_string(&answering::measure(plant, Stage::Whole).await?),
            "receipts" => serde_json::to_string(&answering::measure(plant, Stage::Receipts).await?),
            other => bail!("a fleet does not {other}"),
        }
        .map_err(anyhow::Error::from)
    })?;
    println!("{said}");
    Ok(())
}

//! A community with thousands of targets: the load of a benchmark, in a process of its own so that its
//! cost is told apart.
//!
//! What targets and publisher say to the hub is what `consign node` says, signed and sealed as it does
//! it; nothing is kept on a disk here. Start with [`plant`].

mod answering;
mod idle;
mod plant;
mod queueing;

use std::io::Read as _;

use anyhow::{Context as _, Result, bail};
use documents::Invitation;

pub(crate) use self::answering::{Answering, Stage};
pub(crate) use self::idle::Idle;
use self::plant::Plant;
pub(crate) use self::queueing::Queueing;

/// `fleet WHAT TARGETS …`, with an invitation to the hub on standard input; the closing line says what
/// was measured.
///
/// | what | is measured |
/// |---|---|
/// | `idle TARGETS HUB` | memory of the process HUB without and with a stream for each |
/// | `queue TARGETS` | how long it takes to address a release to all of them, and what that weighs |
/// | `wake`, `answer`, `receipts` with TARGETS | see [`Stage`] |
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [what, targets, rest @ ..] = arguments else { bail!("fleet needs WHAT TARGETS") };
    let targets: usize = targets.parse()?;
    crate::idle::raise_open_files()?;
    let mut invitation = String::new();
    std::io::stdin().read_to_string(&mut invitation)?;
    let invitation: Invitation = invitation.trim().parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let said = runtime.block_on(async {
        let plant = Plant::found(&invitation, targets).await?;
        match what.as_str() {
            "idle" => {
                let hub = rest.first().context("fleet idle needs TARGETS HUB")?.parse()?;
                serde_json::to_string(&idle::measure(plant, hub).await?)
            }
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

//! `consign community console`

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use community_console::{Console, Records};
use node::communities::Place;
use serde_json::json;
use tokio::net::TcpListener;

use crate::args::CommunityConsoleArgs;
use crate::commands::{Session, StopSignal};
use crate::exit::Ended;
use crate::ledger;

/// How long answers that were begun may take when it ends.
const LAST_WORDS: Duration = Duration::from_secs(2);

pub(super) async fn run(
    session: &Session,
    place: Place,
    args: &CommunityConsoleArgs,
) -> anyhow::Result<Ended> {
    let name = place.charter()?.name;
    let listener = TcpListener::bind(args.listen).await;
    let listener = listener.with_context(|| format!("cannot listen at {}", args.listen))?;
    let listens: SocketAddr = listener.local_addr().context("cannot tell where it listens")?;
    if !listens.ip().is_loopback() {
        session.output.warn(
            format!(
                "{listens} is reached from other machines, and what it shows is not encrypted on the \
                 way: anybody in between reads receipts and takes over the session"
            ),
            &json!({"event": "warning", "code": "exposed-console"}),
        )?;
    }
    let records = Records::new(ledger::address(session)?);
    let console = Console::new(Arc::new(place), records, listens)?;
    let mut links = console.links();
    let output = session.output;
    let tell = async move {
        let mut is_first = true;
        while let Some(link) = links.next().await {
            output.fact(&link, &json!({"event": "console", "community": name, "link": link}))?;
            if is_first {
                output.remark("open it in a browser; it works once, then the next one is printed");
                output.remark("it shows until it is interrupted (Ctrl-C), and changes nothing");
            }
            is_first = false;
        }
        anyhow::Ok(())
    };
    let mut stop = StopSignal::listen()?;
    let (ending, ended) = tokio::sync::oneshot::channel();
    let serve = console.serve(listener, async {
        let _ = ended.await;
    });
    let asked = async {
        stop.asked().await;
        let _ = ending.send(());
        // Pages end at once; a browser that takes nothing is not waited for.
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        told = tell => told?,
        ended = serve => ended.context("the console cannot be served")?,
        () = asked => {}
    }
    Ok(Ended::Done)
}

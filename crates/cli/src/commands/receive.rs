//! `consign receive`

use std::io::IsTerminal as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Instant;

use deliver::{DeliveryProgress, Offered};
use delivery::{Code, Ticket};
use node::HubLink;
use people::Handle;
use serde_json::json;

use super::delivery_link::Given;
use super::send::{directly, look, read_input};
use super::{Session, parse};
use crate::args::ReceiveArgs;
use crate::exit::{Ended, Usage};
use crate::output::{bytes, counted, path};
use crate::progress::watch;
use crate::prompt;

pub(super) async fn run(session: &Session, args: ReceiveArgs) -> anyhow::Result<Ended> {
    let handed = match args.handed.as_deref() {
        Some(text) if text != "-" => Handed::read(text)?,
        _ => Handed::ask(session).await?,
    };
    let ticket = match handed {
        Handed::Given(given) => {
            let passphrase = args.passphrase_file.as_deref().map(|file| session.path(file));
            given.ticket(passphrase.as_deref()).await?
        }
        Handed::Code(code) => {
            let (node, progress) = (session.node()?, DeliveryProgress::default());
            let look = || look(&progress, "redeeming").with_calls_if_still(session, Instant::now());
            let redeeming = node.redeem_code(&code, session.hub.as_deref(), &progress);
            watch(session.output, redeeming, look).await?
        }
    };
    let how = How { to: args.to.as_deref(), is_agreed: args.yes, is_relay_only: args.relay_only };
    collect(session, ticket, None, how).await
}

/// How a delivery is received.
pub(super) struct How<'a> {
    /// Into which directory.
    pub(super) to: Option<&'a Path>,
    /// Nobody need be asked.
    pub(super) is_agreed: bool,
    /// Through the hub alone.
    pub(super) is_relay_only: bool,
}

/// Receives what a ticket opens, once whoever sits here agrees.
pub(super) async fn collect(
    session: &Session,
    ticket: Ticket,
    from: Option<(&HubLink, &Handle)>,
    How { to, is_agreed, is_relay_only }: How<'_>,
) -> anyhow::Result<Ended> {
    let node = session.node()?;
    let progress = DeliveryProgress::default();
    let watched = || look(&progress, "receiving").with_calls_if_still(session, Instant::now());
    let opening = node.open_delivery(ticket, &progress);
    let offered = watch(session.output, opening, watched).await?;
    let to = match offered.begun_in() {
        // What is there is there.
        Some(begun) => begun,
        None => std::path::absolute(session.path(to.unwrap_or(".".as_ref())))?,
    };
    describe(session, &offered)?;
    let is_new = offered.begun_in().is_none();
    if is_new && !is_agreed && !confirmed(&to.display().to_string()).await? {
        node.refuse_delivery(offered, "the recipient does not want it").await?;
        session.output.remark("refused");
        return Ok(Ended::Refused);
    }
    let (files, total) = offered.header().totals();
    let started = Instant::now();
    let offered = if is_relay_only { offered.relay_only() } else { offered };
    let receiving = node.receive_delivery(offered, &to, from, &progress);
    let received = watch(session.output, receiving, watched).await?;
    let seconds = started.elapsed().as_secs_f64();
    for placed in &received.placed {
        let at = path(placed.path.as_os_str().as_bytes());
        let line = json!({"event": "placed", "name": path(&placed.name), "path": at});
        session.output.fact(at, &line)?;
    }
    if received.is_receipt_kept {
        session.output.remark("everything is here; the hub keeps the receipt for the sender");
    } else if !received.taken {
        session.output.remark(
            "everything is here; the sender has not taken the receipt yet and finds it at the hub",
        );
    }
    session.output.fact(
        format!(
            "received {}, {} in {seconds:.1} s{}",
            counted(files, "file"),
            bytes(total),
            directly(received.direct_segments, total),
        ),
        &json!({
            "event": "received",
            "files": files,
            "bytes_total": total,
            "resumed_segments": received.resumed,
            "direct_segments": received.direct_segments,
            "digest": received.receipt.digest.to_string(),
            "receipt_taken": received.taken,
            "receipt_kept": received.is_receipt_kept,
            "wall_s": seconds,
        }),
    )?;
    Ok(Ended::Done)
}

/// What the sender handed over: the ticket itself, or what stands for it.
enum Handed {
    Given(Given),
    Code(Code),
}

impl Handed {
    /// Asks whoever is here until it can be read: a slip that is noticed here costs nothing. What is typed
    /// is shown, for words typed unseen would be mistyped.
    async fn ask(session: &Session) -> anyhow::Result<Self> {
        loop {
            let Some(typed) = prompt::line("Code, ticket or link: ".into()).await? else {
                return Self::read(&read_input("the code or the ticket").await?);
            };
            if typed.is_empty() {
                return Err(Usage("nothing was entered".into()).into());
            }
            match Self::read(&typed) {
                Ok(handed) => return Ok(handed),
                Err(error) => session.output.remark(error.to_string()),
            }
        }
    }

    /// By its shape: a code begins with a digit.
    fn read(text: &str) -> anyhow::Result<Self> {
        let text = text.trim();
        if Code::is_meant_by(text) {
            parse(text).map(Self::Code)
        } else {
            Given::read(text).map(Self::Given)
        }
    }
}

/// What is in it, before anything is written. All of it is somebody else's text.
fn describe(session: &Session, offered: &Offered) -> anyhow::Result<()> {
    const SHOWN: usize = 10;
    let header = offered.header();
    let (files, total) = header.totals();
    let tops: Vec<String> = header
        .items
        .iter()
        .filter(|item| !item.path.contains(&b'/'))
        .map(|it| path(&it.path))
        .collect();
    let mut human = String::new();
    if !header.subject.is_empty() {
        human.push_str(&format!("{}\n", header.subject));
    }
    if !header.message.is_empty() {
        // Line ends alone may move a terminal.
        let plain = |letter: char| letter == '\n' || !letter.is_control();
        let message: String = header
            .message
            .trim_end()
            .chars()
            .map(|c| if plain(c) { c } else { '\u{fffd}' })
            .collect();
        human.push_str(&format!("{message}\n\n"));
    }
    for name in tops.iter().take(SHOWN) {
        human.push_str(&format!("  {name}\n"));
    }
    if tops.len() > SHOWN {
        human.push_str(&format!("  and {} more\n", tops.len() - SHOWN));
    }
    human.push_str(&format!("{}, {}", counted(files, "file"), bytes(total)));
    session.output.fact(
        human,
        &json!({
            "event": "offered",
            "subject": header.subject,
            "message": header.message,
            "sent": header.sent,
            "names": tops,
            "files": files,
            "bytes_total": total,
        }),
    )
}

/// Whether the person at the terminal wants it. Without one, `--yes` says so.
async fn confirmed(to: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        let text = "nobody is here to be asked whether to receive it; say so with --yes";
        return Err(Usage(text.into()).into());
    }
    let question = format!("Receive into {to}? [y/N] ");
    let typed = tokio::task::spawn_blocking(move || {
        eprint!("{question}");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let typed = typed.await??;
    Ok(matches!(&*typed.trim().to_lowercase(), "y" | "yes"))
}

//! `consign inbox`, `outbox`, `accept`, `refuse` and `terminate`

mod follow;

use delivery::DeliveryId;
use hub_api::{DeliveryInfo, DeliveryState, PendingSender, SenderDecision};
use node::HubChoiceError;
use node::people::{Opening, PeopleError, Seen};
use people::Handle;
use serde_json::{Value, json};

use super::Session;
use super::receive::{How, collect};
use crate::args::{
    AcceptArgs, HubDeliveriesArgs, InboxArgs, OutboxArgs, RefuseArgs, TerminateArgs,
};
use crate::exit::Ended;
use crate::output::{bytes, counted, number, utc};

pub(super) async fn inbox(session: &Session, args: &InboxArgs) -> anyhow::Result<Ended> {
    if args.follow {
        return follow::run(session, args.all).await;
    }
    let (node, link) = (session.node()?, session.link()?);
    show_senders(session, &link.client.pending_senders().await?)?;
    let listed = node.inbox(&link).await?;
    node.forget_ended(&listed).await;
    let shown: Vec<_> = listed.into_iter().filter(|one| args.all || !one.state.is_over()).collect();
    if shown.is_empty() {
        session.output.remark("nothing waits here");
    }
    show(session, &shown, "in")
}

fn show_senders(session: &Session, senders: &[PendingSender]) -> anyhow::Result<()> {
    for sender in senders {
        let name = format!("{} {}", sender.first_name, sender.last_name);
        let from = [name.trim(), &sender.organisation].into_iter().filter(|it| !it.is_empty());
        let from: Vec<&str> = from.collect();
        session.output.fact(
            format!(
                "{} ({}) waits to be let in since {}: `consign accept {0}`, or refuse or block them",
                sender.handle,
                from.join(", "),
                utc(sender.since),
            ),
            &json!({
                "event": "pending-sender",
                "handle": sender.handle,
                "first_name": sender.first_name,
                "last_name": sender.last_name,
                "organisation": sender.organisation,
                "since": sender.since,
                "deliveries": sender.deliveries,
            }),
        )?;
    }
    Ok(())
}

pub(super) async fn outbox(session: &Session, args: &OutboxArgs) -> anyhow::Result<Ended> {
    let (node, link) = (session.node()?, session.link()?);
    let listed = node.outbox(&link).await?;
    let shown: Vec<_> = listed.into_iter().filter(|one| args.all || !one.state.is_over()).collect();
    if shown.is_empty() {
        session.output.remark("nothing waits here");
    }
    show(session, &shown, "out")
}

/// What is addressed to people by anybody, for administrators.
pub(super) async fn everybodys(
    session: &Session,
    args: &HubDeliveriesArgs,
) -> anyhow::Result<Ended> {
    let link = session.link()?;
    let (mut listed, mut before) = (Vec::new(), None);
    loop {
        let page = session.patiently(link.client.all_deliveries(before, args.all)).await?;
        listed.extend(page.deliveries);
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    let Some(beginning) = &args.end else {
        if listed.is_empty() {
            session.output.remark("nothing waits here");
        }
        return show(session, &listed, "hub");
    };
    listed.retain(|one| one.delivery.to_string().starts_with(beginning));
    let [one] = &listed[..] else {
        return Err(PeopleError::NoSuchDelivery(beginning.clone()).into());
    };
    session.patiently(link.client.end_delivery(one.delivery.0, None, &args.reason)).await?;
    told(session, &one.delivery.to_string(), &args.reason)?;
    Ok(Ended::Done)
}

fn show(session: &Session, shown: &[DeliveryInfo], box_name: &str) -> anyhow::Result<Ended> {
    for one in shown {
        let is_in = box_name == "in";
        let whose = match box_name {
            "in" => format!("from {}", one.from),
            "out" => format!("to {}", one.to),
            _ => format!("{} to {}", one.from, one.to),
        };
        session.output.fact(
            format!(
                "{}  {whose}  {}, {} sealed  {}",
                &one.delivery.to_string()[..8],
                counted(one.files, "file"),
                bytes(one.bytes),
                state_of(one, is_in),
            ),
            &line_of(one, box_name),
        )?;
    }
    Ok(Ended::Done)
}

/// How it stands, what it waits for and since when.
fn state_of(one: &DeliveryInfo, is_in: bool) -> String {
    let since = utc(one.since);
    if let Some(locker) = one.locker.filter(|_| one.state == DeliveryState::Waiting) {
        let until = utc(locker.until);
        return match (locker.kept < one.segments, is_in) {
            (true, _) => format!(
                "{} of {} segments are in the hub's locker",
                number(locker.kept),
                number(one.segments)
            ),
            (false, true) if one.letter.is_none() => {
                "is for another device of this account".to_owned()
            }
            (false, true) => {
                format!("is in the hub's locker until {until}: `consign accept` receives it")
            }
            (false, false) => format!("is in the hub's locker for {} until {until}", one.to),
        };
    }
    let (other, own) = if is_in { (&one.from, &one.to) } else { (&one.to, &one.from) };
    match one.state {
        DeliveryState::PendingApproval if is_in => {
            format!("waits for you to let {other} in since {since}")
        }
        DeliveryState::PendingApproval => {
            format!("waits for {other} to let {own} in since {since}")
        }
        DeliveryState::Waiting if is_in && one.letter.is_none() => {
            "is for another device of this account".to_owned()
        }
        DeliveryState::Waiting if is_in && one.other_online => {
            format!("waits for `consign accept` since {since}")
        }
        DeliveryState::Waiting if one.other_online => {
            format!("waits for {other} to accept it since {since}")
        }
        DeliveryState::Waiting => format!("waits for {other} to be online since {since}"),
        DeliveryState::Running => {
            format!("{} of {} segments since {since}", number(one.verified), number(one.segments))
        }
        DeliveryState::Received => format!("received {since}"),
        DeliveryState::Terminated => {
            let reason = one.ended.as_ref().map_or("", |end| &*end.reason);
            format!("ended {since}: {reason}")
        }
        DeliveryState::Removed => format!("forgotten by the hub {since}"),
    }
}

fn line_of(one: &DeliveryInfo, box_name: &str) -> Value {
    json!({
        "event": "boxed-delivery",
        "box": box_name,
        "id": one.delivery,
        "from": one.from,
        "to": one.to,
        "state": one.state,
        "since": one.since,
        "created": one.created,
        "files": one.files,
        "bytes_total": one.bytes,
        "segments": one.segments,
        "verified": one.verified,
        "other_online": one.other_online,
        "for_this_device": one.letter.is_some(),
        "ended": one.ended,
        "locker": one.locker,
    })
}

/// The handle, when somebody of that handle waits to be let in; whatever else was typed begins a
/// delivery's id.
async fn pending(session: &Session, what: &str) -> anyhow::Result<Option<Handle>> {
    let Ok(handle) = what.parse::<Handle>() else { return Ok(None) };
    let waiting = session.patiently(session.link()?.client.pending_senders()).await?;
    let waits = waiting.iter().any(|sender| sender.handle == handle.as_str());
    Ok(waits.then_some(handle))
}

pub(super) async fn accept(session: &Session, args: AcceptArgs) -> anyhow::Result<Ended> {
    let (node, link) = (session.node()?, session.link()?);
    let me = session.patiently(node.me(&link)).await?;
    if let Some(handle) = pending(session, &args.what).await? {
        session.patiently(node.recipient(&link, &me, &handle)).await?;
        let line = json!({"event": "sender-accepted", "handle": handle.as_str()});
        session.output.fact(format!("{handle} is a contact now"), &line)?;
        return Ok(Ended::Done);
    }
    let arrived = session.patiently(node.arrived(&link, &me, &args.what)).await?;
    let sender = &arrived.sender;
    match arrived.opening {
        Opening::Over => {
            node.forget_ended(std::slice::from_ref(&arrived.info)).await;
            session.output.remark(format!("it is over: {}", state_of(&arrived.info, true)));
            Ok(Ended::Refused)
        }
        Opening::NotForThisDevice => Err(PeopleError::NotForThisDevice.into()),
        Opening::Ticket(_, Seen::Changed) => {
            Err(PeopleError::IdentityChanged(sender.clone()).into())
        }
        Opening::Ticket(ticket, Seen::New | Seen::Same) => {
            let from = Some((&link, sender));
            let is_relay_only = args.relay_only;
            let how = How { to: args.to.as_deref(), is_agreed: true, is_relay_only };
            collect(session, *ticket, from, how).await
        }
    }
}

pub(super) async fn refuse(session: &Session, args: RefuseArgs) -> anyhow::Result<Ended> {
    let (node, link) = (session.node()?, session.link()?);
    if let Some(handle) = pending(session, &args.what).await? {
        link.client.decide_sender(handle.as_str(), SenderDecision::Refuse).await?;
        let line = json!({"event": "sender-refused", "handle": handle.as_str()});
        session.output.fact(format!("{handle} is refused; the next delivery asks again"), &line)?;
        return Ok(Ended::Done);
    }
    let listed = node.inbox(&link).await?;
    end(session, listed, &args.what, &args.reason).await
}

/// All are found before one is ended.
pub(super) async fn terminate(session: &Session, args: TerminateArgs) -> anyhow::Result<Ended> {
    let node = session.node()?;
    let addressed = match session.node()?.hub(session.hub.as_deref()) {
        Ok(link) if node.is_somebody(&link)? => node.outbox(&link).await?,
        // A guest, or a key without a handle, addresses nothing.
        Ok(_) | Err(HubChoiceError::NoneKnown) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let mut sent = node.sent_deliveries()?;
    sent.retain(|one| one.to.is_none() && one.is_unfinished());
    let mut found = Vec::with_capacity(args.ids.len());
    for id in &args.ids {
        let addressed = addressed.iter().filter(|one| one.delivery.to_string().starts_with(id));
        let sent = sent.iter().filter(|one| one.id.to_string().starts_with(id));
        let addressed = addressed.map(|one| Outgoing::Addressed(Box::new(one.clone())));
        let mut both = addressed.chain(sent.map(|one| Outgoing::Handed(one.id)));
        match (both.next(), both.next()) {
            (Some(one), None) => found.push(one),
            _ => return Err(PeopleError::NoSuchDelivery(id.clone()).into()),
        }
    }
    for one in found {
        match one {
            Outgoing::Addressed(info) => {
                let id = info.delivery.to_string();
                end(session, vec![*info], &id, &args.reason).await?;
            }
            Outgoing::Handed(id) => {
                node.end_sent(id, &args.reason).await?;
                told(session, &id.to_string(), &args.reason)?;
            }
        }
    }
    Ok(Ended::Done)
}

/// What went out from here.
enum Outgoing {
    /// To somebody's handle.
    Addressed(Box<DeliveryInfo>),
    /// To whoever has the ticket, the link or the code.
    Handed(DeliveryId),
}

async fn end(
    session: &Session,
    listed: Vec<DeliveryInfo>,
    id: &str,
    reason: &str,
) -> anyhow::Result<Ended> {
    let (node, link) = (session.node()?, session.link()?);
    let ended = node.end_addressed(&link, listed, id, reason).await?;
    told(session, &ended.delivery.to_string(), reason)?;
    Ok(Ended::Done)
}

fn told(session: &Session, id: &str, reason: &str) -> anyhow::Result<()> {
    let line = json!({"event": "ended", "id": id, "reason": reason});
    session.output.fact(format!("ended {id}"), &line)
}

//! What is new in an inbox, as it comes.
//!
//! The hub says that something is new and not what; [`Told`] knows what was told before, and is pure.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use backoff::Delay;
use hub_api::{DeliveryInfo, DeliveryState, Hex, PendingSender, PersonNews};

use super::PeopleError;
use super::courier::chance;
use crate::control;
use crate::hubs::HubLink;
use crate::state::Node;

/// How often the hub is asked by who does not listen: one process of a device does.
const ASK_INTERVAL: Duration = Duration::from_secs(5);
/// The first and the longest pause after a failure.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// What is new in an inbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InboxNews {
    /// Who waits to be let in.
    pub senders: Vec<PendingSender>,
    /// Deliveries that came, or stand otherwise.
    pub deliveries: Vec<DeliveryInfo>,
    /// It is the first look: this is what was there before.
    pub is_first: bool,
}

/// What was told before; no more than the hub listed last.
#[derive(Debug, Default)]
pub(crate) struct Told {
    has_begun: bool,
    senders: HashMap<String, u64>,
    deliveries: HashMap<Hex<16>, Standing>,
}

/// How a delivery stands, as far as changes of it are news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    state: DeliveryState,
    is_whole_in_locker: bool,
}

impl Told {
    /// What is new in these lists.
    pub(crate) fn news(
        &mut self,
        mut senders: Vec<PendingSender>,
        mut deliveries: Vec<DeliveryInfo>,
    ) -> InboxNews {
        let known: HashMap<_, _> =
            senders.iter().map(|sender| (sender.handle.clone(), sender.since)).collect();
        senders.retain(|sender| self.senders.get(&sender.handle) != Some(&sender.since));
        self.senders = known;
        let known: HashMap<_, _> =
            deliveries.iter().map(|one| (one.delivery, standing(one))).collect();
        deliveries.retain(|one| self.deliveries.get(&one.delivery) != Some(&standing(one)));
        self.deliveries = known;
        // The oldest first: the next line is the newest.
        deliveries.reverse();
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        InboxNews { senders, deliveries, is_first }
    }
}

fn standing(one: &DeliveryInfo) -> Standing {
    let is_whole_in_locker = one.locker.is_some_and(|locker| locker.kept >= one.segments);
    Standing { state: one.state, is_whole_in_locker }
}

impl Node {
    /// Tells what is in the inbox, and then everything that comes or goes on; a hub that is away is told too, and
    /// asked again. Where the node of this machine runs it listens, and the hub is asked each five seconds; else
    /// this process listens, so that the owner is online meanwhile.
    ///
    /// # Errors
    /// What `told` returns, and what asking again does not mend; see [`PeopleError`].
    pub async fn follow_inbox<E: From<PeopleError>>(
        &self,
        hub: &HubLink,
        mut told: impl FnMut(Result<InboxNews, &PeopleError>) -> Result<(), E>,
    ) -> Result<Infallible, E> {
        let (mut before, mut may_listen) = (Told::default(), true);
        let mut delay = Delay::new(PAUSES, chance());
        loop {
            let runs = matches!(control::status(self.directory()).await, Ok(Some(_)));
            let mut events = None;
            if may_listen && !runs {
                match hub.client.person_events().await {
                    Ok(stream) => events = Some(stream),
                    Err(error) => {
                        away(error.into(), &mut told)?;
                        tokio::time::sleep(delay.next_delay()).await;
                        continue;
                    }
                }
            }
            loop {
                match self.look_into_inbox(hub, &mut before).await {
                    Ok(news) => {
                        delay.reset();
                        told(Ok(news))?;
                    }
                    Err(error) => {
                        away(error, &mut told)?;
                        tokio::time::sleep(delay.next_delay()).await;
                        break;
                    }
                }
                let Some(events) = &mut events else {
                    tokio::time::sleep(ASK_INTERVAL).await;
                    break;
                };
                match events.next().await {
                    Ok(Some(event)) if event.news.contains(&PersonNews::Elsewhere) => {
                        // The node was started meanwhile, or a copy of this device.
                        may_listen = false;
                        break;
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(error) => {
                        away(error.into(), &mut told)?;
                        tokio::time::sleep(delay.next_delay()).await;
                        break;
                    }
                }
            }
        }
    }

    /// What is new since `before`. What came of deliveries that are over is removed.
    pub(crate) async fn look_into_inbox(
        &self,
        hub: &HubLink,
        before: &mut Told,
    ) -> Result<InboxNews, PeopleError> {
        let senders = hub.client.pending_senders().await?;
        let listed = self.inbox(hub).await?;
        self.forget_ended(&listed).await;
        Ok(before.news(senders, listed))
    }
}

/// Tells of what asking again may mend, and gives up for the rest.
fn away<E: From<PeopleError>>(
    error: PeopleError,
    told: &mut impl FnMut(Result<InboxNews, &PeopleError>) -> Result<(), E>,
) -> Result<(), E> {
    if let PeopleError::Hub(hub) = &error
        && hub.is_retryable()
    {
        return told(Err(&error));
    }
    Err(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(id: u8, state: &str, kept: Option<u64>) -> DeliveryInfo {
        let locker = kept.map(|kept| {
            serde_json::json!({"until": 9, "kept": kept, "downloads": 0, "downloads_max": null})
        });
        let info = serde_json::json!({
            "delivery": Hex([id; 16]), "number": id, "device": Hex([1u8; 32]), "from": "anna", "to": "ben", "state": state, "since": 5,
            "created": 5, "segments": 3, "bytes": 9, "files": 1, "verified": 0,
            "other_online": false, "letter": null, "ended": null, "locker": locker,
        });
        serde_json::from_value(info).expect("a delivery")
    }

    fn sender(handle: &str, since: u64) -> PendingSender {
        let empty = String::new;
        let (first_name, last_name, organisation) = (empty(), empty(), empty());
        let handle = handle.to_owned();
        PendingSender { handle, first_name, last_name, organisation, since, deliveries: 1 }
    }

    #[test]
    fn everything_is_told_once_and_again_when_it_stands_otherwise() {
        let mut told = Told::default();
        let ids = |news: &InboxNews| -> Vec<u8> {
            news.deliveries.iter().map(|one| one.delivery.0[0]).collect()
        };
        let listed = || vec![delivery(2, "waiting", None), delivery(1, "received", None)];
        let first = told.news(vec![sender("carl", 5)], listed());
        assert!(first.is_first && first.senders.len() == 1);
        assert_eq!(ids(&first), [1, 2], "the oldest first");
        let same = told.news(vec![sender("carl", 5)], listed());
        assert_eq!(same, InboxNews::default());
        let more = told.news(
            vec![sender("carl", 5), sender("dora", 7)],
            [vec![delivery(3, "waiting", Some(2)), delivery(2, "running", None)], vec![]].concat(),
        );
        assert_eq!((ids(&more), &*more.senders[0].handle), (vec![2, 3], "dora"));
        let whole = told.news(Vec::new(), vec![delivery(3, "waiting", Some(3))]);
        assert_eq!(ids(&whole), [3], "all of it is in the locker by now");
        // Who was refused and waits again is new.
        assert_eq!(told.news(vec![sender("dora", 9)], Vec::new()).senders.len(), 1);
        assert!(told.deliveries.is_empty(), "no more than the hub lists");
    }
}

//! A relay tells those above it how it is, and what those under it told; managers and publishers read it.
//!
//! Beside what the relay does, so that it is told in the middle of a transfer, too, and when the hub
//! beside it does not answer. Each relay signs its own: see [`community::report`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use community::report::Beside;
use community::{RelayReport, Role};
use documents::PublicKey;
use hub_api::limits::RELAY_REPORTS_MAX;
use hub_api::{Base64Bytes, RelayStates};
use hub_client::ClientError;

use super::counts::Window;
use crate::causes::chain;
use crate::communities::manager::fail;
use crate::communities::{CommunityError, Place};
use crate::hubs::HubLink;
use crate::publish::unix_now;

/// How far clocks may be apart, as at the hub.
const CLOCK_SKEW_SECONDS: u64 = 300;
/// How often it is told while something moves.
const TELL: Duration = Duration::from_secs(5);
/// How long a hub that knows no such reports is left in peace: it may be exchanged for a newer one.
const TELL_AGAIN: Duration = Duration::from_mins(15);

/// How the relays of a community are, as far as the hub tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelaysTold {
    /// How many entries wait at the hub for targets.
    pub waiting: u64,
    /// Since when the oldest of them waits, in unix seconds.
    pub oldest: Option<u64>,
    /// What each relay signed, by its key. Whether it is one, the roster says.
    pub relays: BTreeMap<PublicKey, RelayTold>,
}

/// What was heard of a relay last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayTold {
    /// When, in unix seconds: when the hub had it, unless it was made long before.
    pub heard: u64,
    /// What.
    pub report: RelayReport,
}

/// What is in mind between two reports.
struct Telling {
    window: Window,
    /// Since when the hub beside does not answer.
    silent: Option<u64>,
    /// Which reports of relays under this one went up.
    carried: BTreeMap<PublicKey, u64>,
    /// Connections to the hub beside and to the one above last.
    links: [Option<HubLink>; 2],
}

impl Place {
    /// How the hub and the relays are; none from a hub that is older than this.
    ///
    /// # Errors
    /// The hub does not tell.
    pub async fn relays(&self) -> Result<Option<RelaysTold>, CommunityError> {
        let hub = self.hub()?;
        let states = match hub.client.relays(&self.id()).await {
            Ok(states) => states,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(source) => return Err(fail(&hub, "ask how its relays are", source)),
        };
        let reports = states.reports.into_iter().filter_map(|info| {
            match RelayReport::open(&info.report.0, &self.id()) {
                Ok(report) => {
                    let heard = heard(report.made, info.came, unix_now());
                    Some((report.relay, RelayTold { heard, report }))
                }
                Err(error) => {
                    let (url, error) = (&hub.url, chain(&error));
                    tracing::warn!(url, error, "what the hub tells of a relay is not believed");
                    None
                }
            }
        });
        let relays = reports.take(RELAY_REPORTS_MAX).collect();
        Ok(Some(RelaysTold { waiting: states.waiting, oldest: states.oldest, relays }))
    }

    /// Tells those above how this relay is, if it is one, for ever.
    pub(in crate::communities) async fn tell_of_itself(&self) {
        let window = Window::begin(self.counts().total(), Instant::now());
        let mut telling =
            Telling { window, silent: None, carried: BTreeMap::new(), links: [None, None] };
        loop {
            tokio::time::sleep(TELL).await;
            match self.tell(&mut telling).await {
                Ok(()) => {}
                Err(CommunityError::Hub { source, .. }) if source.is_not_found() => {
                    tracing::info!(community = %self.id(), "the hub above takes no relay reports");
                    tokio::time::sleep(TELL_AGAIN).await;
                }
                // Whatever is wrong, what the relay is there for meets it too, and says it.
                Err(error) => {
                    let error = chain(&error);
                    tracing::debug!(community = %self.id(), error, "cannot tell how this relay is");
                }
            }
        }
    }

    async fn tell(&self, telling: &mut Telling) -> Result<(), CommunityError> {
        let Some(beside) = self.relay_hub()? else { return Ok(()) };
        let beside = kept(&mut telling.links[0], beside);
        let (total, now) = (self.counts().total(), Instant::now());
        let Some((seconds, recent)) = telling.window.due(total, now) else { return Ok(()) };
        let own = self.standing(unix_now())?.and_then(|standing| standing.membership);
        if !own.is_some_and(|own| own.roles.contains(&Role::Relay)) {
            return Ok(());
        }
        let (state, below) = match beside.client.relays(&self.id()).await {
            Ok(states) => {
                telling.silent = None;
                (waiting(&states), self.carried(states, &telling.carried))
            }
            // It does not know the community yet, or is older than this: nothing is known of it.
            Err(ClientError::Problem { .. }) => return Ok(()),
            Err(_) => {
                let since = *telling.silent.get_or_insert_with(unix_now);
                (Beside::Silent { since }, Vec::new())
            }
        };
        let key = self.node().key();
        let counts = self.counts();
        let own = RelayReport {
            community: self.id(),
            relay: key.public(),
            made: unix_now(),
            since: counts.since,
            total,
            seconds,
            recent,
            turns: counts.turns(),
            beside: state,
        };
        let mut reports: Vec<Base64Bytes> = vec![own.sign(key).into()];
        reports.extend(below.iter().map(|(_, signed)| signed.clone()));
        let hub = kept(&mut telling.links[1], self.hub()?);
        let told = hub.client.tell_relays(&self.id(), reports).await;
        told.map_err(|source| fail(&hub, "tell how this relay is", source))?;
        telling.window.told(total, now);
        telling.carried.extend(below.into_iter().map(|(report, _)| (report.relay, report.made)));
        Ok(())
    }

    /// What relays under this one signed and has not gone up, with what it says.
    fn carried(
        &self,
        states: RelayStates,
        carried: &BTreeMap<PublicKey, u64>,
    ) -> Vec<(RelayReport, Base64Bytes)> {
        let own = self.node().key().public();
        let open = |info: hub_api::RelayReportInfo| {
            let report = RelayReport::open(&info.report.0, &self.id()).ok()?;
            let is_new = carried.get(&report.relay).is_none_or(|made| *made < report.made);
            (is_new && report.relay != own).then_some((report, info.report))
        };
        states.reports.into_iter().filter_map(open).take(RELAY_REPORTS_MAX - 1).collect()
    }
}

/// When a relay was heard of that made a report which came to the hub: the hub's word counts no longer than
/// clocks may differ, so that none shows an old report as a new one.
fn heard(made: u64, came: u64, now: u64) -> u64 {
    let came = came.min(now);
    if came.saturating_sub(made) <= CLOCK_SKEW_SECONDS { came } else { made }
}

/// The link that is open to a hub already.
fn kept(before: &mut Option<HubLink>, link: HubLink) -> HubLink {
    let same = |it: &&HubLink| (&it.url, &it.identity) == (&link.url, &link.identity);
    let found = before.as_ref().filter(same).cloned();
    before.insert(found.unwrap_or(link)).clone()
}

/// What waits at a hub, for a report.
fn waiting(states: &RelayStates) -> Beside {
    match (states.waiting, states.oldest) {
        (entries @ 1.., Some(oldest)) => Beside::Waiting { entries, oldest },
        _ => Beside::Idle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_report_is_never_a_new_one() {
        let now = 100_000;
        assert_eq!(heard(now - 10, now - 8, now), now - 8);
        assert_eq!(heard(now - 200, now - 8, now), now - 8, "a clock that is late");
        assert_eq!(heard(now + 200, now - 8, now), now - 8, "a clock that is early");
        assert_eq!(heard(now - 9000, now - 8, now), now - 9000, "played back");
        assert_eq!(heard(now - 9000, now + 9000, now), now - 9000, "and from the future");
    }

    #[test]
    fn what_waits_is_told_only_when_something_does() {
        let states = |waiting, oldest| RelayStates { waiting, oldest, reports: Vec::new() };
        assert_eq!(waiting(&states(0, None)), Beside::Idle);
        assert_eq!(waiting(&states(3, Some(7))), Beside::Waiting { entries: 3, oldest: 7 });
        assert_eq!(waiting(&states(3, None)), Beside::Idle, "a report that cannot be made");
    }
}

//! What is known of each peer: its definition, and its newest package.

use std::collections::BTreeMap;

use community::Role;
use documents::PublicKey;
use ledger::{Latest, Ledger, LedgerError};
use node::communities::relay::{RelayTold, RelaysTold};
use package::label::Labels;
use pages::format::{Moment, shown};

use crate::app::{App, Looked};
use crate::relay::RelayState;
use crate::source::Known;
use crate::tally::{Mark, Tally};

/// Rows read from the ledger at once.
const PAGE: u32 = 1000;

/// Answers in so many seconds make the rate.
pub(crate) const RATE_SECONDS: u64 = 600;

/// A peer with its newest package.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) key: PublicKey,
    pub(crate) roles: Vec<Role>,
    pub(crate) labels: Labels,
    /// Where it gets its packages, as its managers defined it.
    pub(crate) routes: Vec<String>,
    /// Where a relay is found.
    pub(crate) addresses: Vec<String>,
    pub(crate) host: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) latest: Option<Latest>,
}

impl Machine {
    pub(crate) fn is(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    pub(crate) fn mark(&self) -> Mark {
        match &self.latest {
            Some(latest) => Mark::of_target(&latest.target),
            None => Mark::Nothing,
        }
    }

    /// Since when it is so.
    pub(crate) fn since(&self, now: u64) -> Option<Moment> {
        let target = &self.latest.as_ref()?.target;
        let answered = target.answered.as_ref().map(|(when, _)| *when);
        let lost = target.lost.as_ref().map(|(since, _)| *since);
        let since = answered.or(lost).or(target.begun).or(target.sent)?;
        Some(Moment::new(since, now))
    }

    /// Its package: name, version and number.
    pub(crate) fn release(&self) -> Option<String> {
        let latest = self.latest.as_ref()?;
        let text = format!("{} {}", latest.name, latest.version);
        Some(shown(text.as_bytes()))
    }

    /// `site=berlin ring=0`.
    pub(crate) fn labels_shown(&self) -> String {
        let one = |(key, value): (&String, &String)| {
            if value.is_empty() { key.clone() } else { format!("{key}={value}") }
        };
        let labels: Vec<String> = self.labels.iter().map(one).collect();
        shown(labels.join(" ").as_bytes())
    }

    /// `publisher, target`.
    pub(crate) fn roles_shown(&self) -> String {
        let roles: Vec<&str> = self.roles.iter().map(|role| role.as_str()).collect();
        roles.join(", ")
    }
}

/// All peers, as they are now.
pub(crate) struct Picture {
    pub(crate) looked: Looked,
    /// By name.
    pub(crate) machines: Vec<Machine>,
    /// Answers of the last [`RATE_SECONDS`].
    pub(crate) answers: u64,
    /// Whether this machine has sent anything: without a ledger nothing is known of receipts.
    pub(crate) has_ledger: bool,
}

impl Picture {
    pub(crate) async fn take(app: &App, now: u64) -> Result<Self, LedgerError> {
        let looked = app.looked().await;
        let ledger = app.records.get().await?;
        let mut latest = BTreeMap::new();
        if let Some(ledger) = &ledger {
            for one in all_latest(app, ledger.as_ref()).await? {
                latest.insert(one.target.key, one);
            }
        }
        let recent = |one: &&Latest| {
            let answered = one.target.answered.as_ref().map(|(when, _)| *when);
            answered.is_some_and(|when| when.saturating_add(RATE_SECONDS) >= now)
        };
        let answers = latest.values().filter(recent).count() as u64;
        let machines = match &looked.known {
            Some(known) => members(known, latest),
            None => remembered(latest),
        };
        Ok(Self { looked, machines, answers, has_ledger: ledger.is_some() })
    }

    pub(crate) fn targets(&self) -> impl Iterator<Item = &Machine> {
        self.machines.iter().filter(|machine| machine.is(Role::Target))
    }

    pub(crate) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        self.targets().for_each(|target| tally.add(target.mark(), 1));
        tally
    }

    pub(crate) fn known(&self) -> Option<&Known> {
        self.looked.known.as_deref()
    }

    /// What the hub tells of relays and its queue; none when it is too old.
    pub(crate) fn relays(&self) -> Option<&RelaysTold> {
        self.known()?.relays.as_ref()
    }

    /// What was heard of a relay. That it is one, the roster says.
    pub(crate) fn told(&self, relay: &Machine) -> Option<&RelayTold> {
        self.relays()?.relays.get(&relay.key).filter(|_| relay.is(Role::Relay))
    }

    /// How a relay is; none when nobody tells.
    pub(crate) fn relay_state(&self, relay: &Machine, now: u64) -> Option<RelayState> {
        self.relays().map(|_| RelayState::of(self.told(relay), now))
    }
}

async fn all_latest(app: &App, ledger: &dyn Ledger) -> Result<Vec<Latest>, LedgerError> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = ledger.latest(Some(&app.id), after, PAGE).await?;
        let is_last = page.len() < PAGE as usize;
        after = page.last().map(|last| last.target.id);
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

fn members(known: &Known, mut latest: BTreeMap<PublicKey, Latest>) -> Vec<Machine> {
    let machine = |member: &community::Membership| Machine {
        name: member.peer.as_str().to_owned(),
        key: member.key,
        roles: member.roles.iter().copied().collect(),
        labels: member.labels.clone(),
        routes: member.routes.iter().map(|route| route.url.clone()).collect(),
        addresses: member.addresses.iter().map(|route| route.url.clone()).collect(),
        host: member.host.clone(),
        description: member.description.clone(),
        latest: latest.remove(&member.key),
    };
    let mut machines: Vec<Machine> = known.members.iter().map(machine).collect();
    machines.sort_by(|one, other| one.name.cmp(&other.name));
    machines
}

/// While nobody tells who belongs, those count that something was sent to.
fn remembered(latest: BTreeMap<PublicKey, Latest>) -> Vec<Machine> {
    let machine = |one: Latest| Machine {
        name: one.target.peer.as_str().to_owned(),
        key: one.target.key,
        roles: vec![Role::Target],
        labels: one.target.labels.clone(),
        routes: Vec::new(),
        addresses: Vec::new(),
        host: None,
        description: None,
        latest: Some(one),
    };
    let mut machines: Vec<Machine> = latest.into_values().map(machine).collect();
    machines.sort_by(|one, other| one.name.cmp(&other.name));
    machines
}

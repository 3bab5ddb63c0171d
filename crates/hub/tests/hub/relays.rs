//! What relays tell of themselves, who reads it, and what nobody can make up.

use community::report::Beside;
use community::{Passed, RelayReport, Role};
use documents::NodeKey;
use hub_api::{ProblemCode, limits};

use crate::plant::{BERLIN, CI, PARIS, Plant, charter, key};
use crate::scene::{code, now};

const NORTH: u8 = 7;
const SOUTH: u8 = 8;

async fn plant() -> Plant {
    let mut plant = Plant::with_peers().await;
    let relays = [("north", NORTH), ("south", SOUTH)];
    let relays = relays.map(|(name, number)| plant.member(name, number, &[Role::Relay]));
    plant.set(&relays, &[]).await;
    plant
}

fn report(plant: &Plant, relay: &NodeKey, made: u64) -> RelayReport {
    RelayReport {
        community: plant.id(),
        relay: relay.public(),
        made,
        since: made - 100,
        total: Passed { down: 5000, up: 70 },
        seconds: 5,
        recent: Passed { down: 500, up: 7 },
        turns: None,
        beside: Beside::Idle,
    }
}

/// What the hub tells of relays, by their keys.
async fn told(plant: &Plant) -> Vec<RelayReport> {
    let states = plant.manager.client.relays(&plant.id()).await.expect("reads");
    let open = |info: &hub_api::RelayReportInfo| {
        assert!(info.came <= now());
        RelayReport::open(&info.report.0, &plant.id()).expect("signed")
    };
    states.reports.iter().map(open).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn managers_and_publishers_see_how_relays_are_and_nobody_else() {
    let plant = plant().await;
    let id = plant.id();
    assert_eq!(told(&plant).await, []);
    // A relay tells of itself, and of one under it.
    let (north, south) = (report(&plant, &key(NORTH), now()), report(&plant, &key(SOUTH), now()));
    let both = vec![north.sign(&key(NORTH)).into(), south.sign(&key(SOUTH)).into()];
    let relay = plant.peer(NORTH).client;
    assert_eq!(relay.tell_relays(&id, both.clone()).await.expect("tells"), 2);
    assert_eq!(relay.tell_relays(&id, both).await.expect("tells"), 0, "the same again");
    let mut found = told(&plant).await;
    found.sort_by_key(|report| report.relay != key(NORTH).public());
    assert_eq!(found, [north, south]);
    // How much waits, and since when, with it.
    plant.release(CI).await;
    let before = now();
    plant.send(CI, &[BERLIN, PARIS]).await.expect("sends");
    let states = plant.peer(CI).client.relays(&id).await.expect("a publisher reads");
    assert_eq!((states.waiting, states.reports.len()), (2, 2));
    assert!(states.oldest.is_some_and(|oldest| (before..=now()).contains(&oldest)));
    for (person, expected) in [
        (plant.peer(BERLIN), ProblemCode::Forbidden),
        (plant.peer(NORTH), ProblemCode::Forbidden),
        (plant.peer(30), ProblemCode::NotRegistered),
    ] {
        assert_eq!(code(person.client.relays(&id).await), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_up_how_a_relay_is() {
    let plant = plant().await;
    let (id, relay) = (plant.id(), plant.peer(NORTH).client);
    let tell = async |signed: Vec<u8>| relay.tell_relays(&id, vec![signed.into()]).await;
    // In the name of another relay, of another community, damaged.
    let forged = report(&plant, &key(SOUTH), now()).sign(&key(NORTH));
    assert_eq!(code(tell(forged).await), ProblemCode::DocumentRefused);
    let elsewhere = charter(77, &[1]).community;
    let moved = RelayReport { community: elsewhere, ..report(&plant, &key(NORTH), now()) };
    assert_eq!(code(tell(moved.sign(&key(NORTH))).await), ProblemCode::DocumentRefused);
    let mut damaged = report(&plant, &key(NORTH), now()).sign(&key(NORTH));
    damaged[90] ^= 1;
    assert_eq!(code(tell(damaged).await), ProblemCode::DocumentRefused);
    let many = vec![Vec::new().into(); limits::RELAY_REPORTS_MAX + 1];
    assert_eq!(code(relay.tell_relays(&id, many).await), ProblemCode::DocumentRefused);
    // Of one that is no relay, and from the future, which would keep later ones away.
    let target = report(&plant, &key(BERLIN), now()).sign(&key(BERLIN));
    assert_eq!(tell(target.clone()).await.expect("is passed over"), 0);
    let future = report(&plant, &key(NORTH), now() + 3600).sign(&key(NORTH));
    assert_eq!(tell(future).await.expect("is passed over"), 0);
    assert_eq!(told(&plant).await, []);
    // Only relays tell.
    let refused = plant.peer(BERLIN).client.tell_relays(&id, vec![target.into()]).await;
    assert_eq!(code(refused), ProblemCode::Forbidden);
    // An older one, played back, changes nothing.
    let (new, old) = (report(&plant, &key(NORTH), now()), report(&plant, &key(NORTH), now() - 9));
    assert_eq!(tell(new.sign(&key(NORTH))).await.expect("tells"), 1);
    assert_eq!(tell(old.sign(&key(NORTH))).await.expect("is passed over"), 0);
    assert_eq!(told(&plant).await, [new]);
}

//! Places for connections: all taken, taken by one address, taken by clients that say nothing.

use std::time::Duration;

use hub::{HubLimits, Role};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::raw::{PATIENCE, Wire, hub_with};
use crate::scene::{Scene, name};

async fn four_places() -> Scene {
    hub_with(HubLimits { connections_max: 4, ..HubLimits::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_waits_for_another_to_end() {
    let scene = four_places().await;
    let mut holders = Vec::new();
    for _ in 0..4 {
        let mut holder = Wire::connect(&scene).await;
        holder.assert_healthy().await;
        holders.push(holder);
    }
    let mut fifth = Wire::connect(&scene).await;
    fifth.ask_health().await;
    fifth.assert_silent().await;
    // The four are served as before.
    holders[0].assert_healthy().await;
    holders.pop();
    fifth.assert_health_answer().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_never_end_give_their_places_back() {
    let header_time = Duration::from_millis(400);
    let limits = HubLimits { connections_max: 4, header_time, ..HubLimits::default() };
    let scene = hub_with(limits).await;
    let mut drips = Vec::new();
    for opening in [&b""[..], b"G", b"GET /healthz HTTP/1.1\r\nHost: hub\r\nX-Slow: ", b"\r\n"] {
        let mut drip = Wire::connect(&scene).await;
        drip.send(opening).await;
        drips.push(drip);
    }
    // A byte now and then does not lengthen the time for a head.
    let dripping = drips.into_iter().map(|mut drip| {
        tokio::spawn(async move {
            while drip.0.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
    });
    let dripping: Vec<_> = dripping.collect();
    let mut fifth = Wire::connect(&scene).await;
    fifth.assert_healthy().await;
    for drip in dripping {
        tokio::time::timeout(PATIENCE, drip).await.expect("is cut").expect("no panic");
    }
    // An idle connection is one whose next head does not come.
    assert_eq!(fifth.rest().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_of_one_address_leave_the_others_alone() {
    let connections_per_address_max = Some(3);
    let limits = HubLimits { connections_per_address_max, ..HubLimits::default() };
    let scene = hub_with(limits).await;
    let mut holders = Vec::new();
    for _ in 0..3 {
        let mut holder = Wire::connect_from(&scene, "127.0.0.2").await;
        holder.assert_healthy().await;
        holders.push(holder);
    }
    for _ in 0..20 {
        let refused = Wire::connect_from(&scene, "127.0.0.2").await;
        assert_eq!(refused.rest().await, "", "is closed at once");
    }
    for address in ["127.0.0.1", "127.0.0.3"] {
        Wire::connect_from(&scene, address).await.assert_healthy().await;
    }
    for holder in &mut holders {
        holder.assert_healthy().await;
    }
    // A place that was given back can be taken again; the hub may need a moment to notice.
    holders.pop();
    let again = async {
        loop {
            let mut wire = Wire::connect_from(&scene, "127.0.0.2").await;
            wire.ask_health().await;
            let mut first = [0; 1];
            if matches!(wire.0.read(&mut first).await, Ok(1)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("a place again");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_may_have_all_places_where_the_operator_says_so() {
    let limits = HubLimits { connections_per_address_max: None, ..HubLimits::default() };
    let scene = hub_with(limits).await;
    let mut wires = Vec::new();
    for _ in 0..300 {
        let mut wire = Wire::connect(&scene).await;
        wire.assert_healthy().await;
        wires.push(wire);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn event_streams_leave_room_for_requests() {
    let scene = four_places().await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    owner.client.put_name(&name("team/open"), true).await.expect("puts");
    // Its idle connection would take a place.
    drop(owner);
    let ask = b"GET /v1/events?name=team/open HTTP/1.1\r\nHost: hub\r\n\r\n";
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = Wire::connect(&scene).await;
        stream.send(ask).await;
        assert!(stream.head().await.starts_with("HTTP/1.1 200"));
        streams.push(stream);
    }
    let mut fourth = Wire::connect(&scene).await;
    fourth.send(ask).await;
    let refused = fourth.head().await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.contains("retry-after: "), "{refused}");
    drop(fourth);
    Wire::connect(&scene).await.assert_healthy().await;
}

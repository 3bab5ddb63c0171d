//! Contents that never end, come too slowly, or are others.

use super::*;

/// Most that a machine takes of what is made up: what its own bounds and the buffers on the way hold.
const TAKEN_BYTES_MAX: u64 = 64 << 20;

/// Alters a byte in the middle of an answer: behind the head of its first frame, before its end.
fn spoilt() -> Meddling {
    Meddling::Alter(Box::new(|mut body| {
        let middle = body.len() / 2;
        if let Some(byte) = body.get_mut(middle) {
            *byte ^= 1;
        }
        body
    }))
}

#[test]
fn endless_data() {
    let siege = Siege::lay(Ways::One);
    // Blanks, for JSON may have as many of them as it likes.
    let endless = |route: &'static str| {
        move |what: &str| {
            if what.contains(route) {
                return Meddling::Endless(vec![b' '; 64 << 10].into());
            }
            Meddling::Pass
        }
    };
    siege.hub.set(endless("/standing"));
    siege.send("1", &[]);
    siege.says("cannot ask how the community stands");
    siege.hub.set(endless("/queue"));
    siege.says("cannot read what waits for this machine");
    // Pages without end: empty ones, each with another one after it.
    siege.hub.set(|what| {
        if !what.contains("/queue") {
            return Meddling::Pass;
        }
        let after = what.split("after=").nth(1).and_then(|rest| rest.split('&').next());
        let after: u64 = after.and_then(|after| after.parse().ok()).unwrap_or(0);
        Meddling::Alter(Box::new(move |_| {
            let page = QueuePage { entries: Vec::new(), next: Some(after + 1) };
            serde_json::to_vec(&page).expect("JSON")
        }))
    });
    siege.says("lists without end what waits for this machine");
    // What no chunk of it asked for.
    siege.hub.set(endless("/chunks/fetch"));
    siege.says("cannot fetch release 1 of ci");
    assert!(siege.ran().is_empty());
    let taken = siege.hub.made_up_bytes();
    assert!(taken < TAKEN_BYTES_MAX, "{taken} bytes were taken");
    siege.ends_well(&["1"]);
}

#[test]
fn malicious_mirrors() {
    // The only way: it is named, and asked again.
    let siege = Siege::lay(Ways::One);
    let spoil = |what: &str| {
        if what.contains("/chunks/fetch") { spoilt() } else { Meddling::Pass }
    };
    siege.hub.set(spoil);
    siege.send("1", &[]);
    siege.says("cannot fetch release 1 of ci");
    assert!(siege.told().to_string().contains(siege.hub.url()), "{}", siege.told());
    assert!(siege.ran().is_empty());
    siege.ends_well(&["1"]);

    // One of two: the other one gives what it does not.
    let siege = Siege::lay(Ways::Two);
    siege.hub.set(spoil);
    siege.send("1", &[]);
    until("the other one gave it", || siege.ran() == ["1"]);
    let named = format!("source=\"{}\"", siege.hub.url());
    until("the lying one is named", || siege.log().contains(&named));
    siege.ends_well(&["1"]);
}

#[test]
fn slow_retrieval() {
    let trickle = |what: &str| {
        if what.contains("/chunks/fetch") {
            return Meddling::Trickle(Duration::from_secs(20));
        }
        Meddling::Pass
    };
    // The only way: whoever asks sees what is waited for, from whom and since when.
    let siege = Siege::lay(Ways::One);
    siege.hub.set(trickle);
    siege.send("1", &[]);
    siege.says(&format!("release 1 of ci from {}", siege.hub.url()));
    let waits = siege.told()["waits_for"].clone();
    assert!(waits["since"].as_u64() > Some(0), "{waits}");
    assert!(siege.ran().is_empty());
    // It is stopped in the middle, and goes on elsewhere where the rest comes faster.
    siege.hub.relent();
    let Siege { community, hub, target } = siege;
    target.end(rustix::process::Signal::TERM);
    let target = logged(&community.world, "press-1");
    let siege = Siege { community, hub, target };
    siege.ends_well(&["1"]);

    // One of two: the other one is asked for the same.
    let siege = Siege::lay(Ways::Two);
    siege.hub.set(trickle);
    siege.send("1", &[]);
    until("the other one gave it", || siege.ran() == ["1"]);
    siege.ends_well(&["1"]);
}

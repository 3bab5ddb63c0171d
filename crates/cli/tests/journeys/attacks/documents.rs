//! Rosters, releases and envelopes that are forged, old, held back or mixed up.

use ::documents::{Manifest, MessageSeed, PublicKey, jointly};
use community::{Address, Envelope, Renewal, Roster, RosterPublisher};
use content::{ChunkRef, Sealing, TreeRef};
use hub_api::{Base64Bytes, QueueEntryInfo};

use super::*;

/// The manifest of what waits, whoever signed it.
fn manifest_of(entry: &QueueEntryInfo) -> Manifest {
    let signer = Manifest::peek_publisher(&entry.manifest.0).expect("a manifest");
    Manifest::open(&entry.manifest.0, &signer).expect("signed").0
}

/// The same contents as a release of the hub's own, addressed to the machine as is right.
fn hubs_release(
    entry: &mut QueueEntryInfo,
    target: &PublicKey,
    sealed_for: &community::ExchangePublic,
) {
    let (key, exchange) = hubs_own();
    let honest = manifest_of(entry);
    let (community, _) = community::CommunityId::of_feed(&honest.name).expect("a feed");
    let name = community.feed(&key.public());
    let own = Manifest { publisher: key.public(), name: name.clone(), ..honest };
    let sealing = Sealing { key: [7; 32], stored_length: own.tree.stored_length };
    let tree = TreeRef(ChunkRef { id: own.tree.id, length: 100, sealing: Some(sealing) });
    let signed = own.sign(&key);
    let manifest = ::documents::DocumentHash::of(&signed);
    let address = Address { community, manifest, publisher: key.public(), target: *target };
    let random = MessageSeed::from_random([3; 32]);
    let envelope = Envelope::seal(&tree, 0, &address, &exchange, sealed_for, random);
    entry.name = name.to_string();
    entry.manifest = Base64Bytes(signed);
    entry.envelope = Base64Bytes(envelope.expect("seals").as_bytes().to_vec());
}

#[test]
fn arbitrary_installation() {
    let siege = Siege::lay(Ways::One);
    let target = key_of(siege.world(), "press-1");
    let (key, exchange) = (target.public(), ExchangeKey::derive(&target).public());
    siege.hub.set(move |what| {
        if !what.contains("/queue") {
            return Meddling::Pass;
        }
        altered_queue(move |entries| {
            entries.iter_mut().for_each(|entry| hubs_release(entry, &key, &exchange));
        })
    });
    siege.send("1", &[]);
    siege.says("who is no publisher of this community");

    // A roster that makes it one.
    let charter = charter_of(siege.world(), "press-1");
    siege.hub.set(move |what| {
        if !what.contains("/standing") {
            return Meddling::Pass;
        }
        let charter = charter.clone();
        altered_standing(move |standing| {
            let (key, exchange) = hubs_own();
            let mut roster = Roster::open(&standing.roster.0, &charter).expect("the managers'");
            roster.number += 1;
            let peer = "hub".parse().expect("a name");
            let publisher = RosterPublisher { exchange: exchange.public(), peer };
            roster.publishers.insert(key.public(), publisher);
            standing.roster = Base64Bytes(jointly::sign(&roster, [&key]));
        })
    });
    siege.send("2", &[]);
    siege.says("the roster at the hub is refused");
    assert!(siege.ran().is_empty());
    siege.ends_well(&["1", "2"]);
}

/// Has another machine carry out the first release; what its queue was.
fn queue_of_another(siege: &Siege) -> QueuePage {
    siege.community.peer("press-2", &["--role", "target"]);
    let other = before(siege.world(), "press-2", Ways::One);
    let recorded = Recorded::default();
    let record = recorded.clone();
    other.set(
        move |what| {
            if what.contains("/queue") { record.record_queue() } else { Meddling::Pass }
        },
    );
    siege.send("1", &["--to", "press-2"]);
    let node = crate::community::serve(siege.world(), "press-2");
    until("the other machine ran it", || siege.ran() == ["1"]);
    drop(node);
    recorded.read()
}

#[test]
fn extraneous_dependencies() {
    let siege = Siege::lay(Ways::One);
    let first = queue_of_another(&siege);

    // Another machine's package is put before this one's, as if it needed that first: with that one's
    // envelope, and with this one's.
    siege.hub.set(move |what| {
        if !what.contains("/queue") {
            return Meddling::Pass;
        }
        let before = first.entries.clone();
        altered_queue(move |entries| {
            let Some(wanted) = entries.first().cloned() else { return };
            let borrowed = QueueEntryInfo { envelope: wanted.envelope, ..before[0].clone() };
            entries.splice(0..0, [before[0].clone(), borrowed]);
        })
    });
    siege.send("2", &["--to", "press-1"]);
    until("what it did want was carried out alone", || siege.ran() == ["1", "2"]);
    until("what it was told to need was refused", || {
        siege.log().matches("release 1 is not addressed to this machine").count() == 2
    });
    siege.ends_well(&["1", "2"]);
}

#[test]
fn fast_forward() {
    let siege = Siege::lay(Ways::One);
    // The first release is held back, so that the machine takes the second for the next.
    siege.hub.set(|what| {
        if !what.contains("/queue") {
            return Meddling::Pass;
        }
        altered_queue(|entries| entries.retain(|entry| entry.sequence > 1))
    });
    siege.send("1", &[]);
    siege.send("2", &[]);
    siege.says("release 2 comes after release 1, which was not received");

    // A roster with a number that no later one could reach.
    let charter = charter_of(siege.world(), "press-1");
    siege.hub.set(move |what| {
        if !what.contains("/standing") {
            return Meddling::Pass;
        }
        let charter = charter.clone();
        altered_standing(move |standing| {
            let mut roster = Roster::open(&standing.roster.0, &charter).expect("the managers'");
            roster.number = u64::MAX >> 1;
            standing.roster = Base64Bytes(jointly::sign(&roster, [&hubs_own().0]));
        })
    });
    siege.send("3", &[]);
    siege.says("the roster at the hub is refused");
    assert!(siege.ran().is_empty());
    // The next roster of the managers is taken all the same.
    siege.community.peer("press-2", &["--role", "target"]);
    siege.ends_well(&["1", "2", "3"]);
}

#[test]
fn indefinite_freeze() {
    let siege = Siege::lay(Ways::One);
    let (asked, count) = (Asked::default(), Asked::default());
    let counted = count.clone();
    // For as long as the managers' word holds, a hub that shows nothing new is one where nothing is new.
    siege.hub.set(move |what| {
        if !what.contains("/queue") {
            return Meddling::Pass;
        }
        counted.count();
        altered_queue(Vec::clear)
    });
    siege.send("1", &[]);
    count.once_more();
    siege.says("news from the hub");
    let shown = siege.world().tells("ci", &["package", "show", "1"], &["package", "addressed"]);
    assert_eq!(shown["state"], "pending", "its publisher sees who does not answer: {shown}");

    // After that it says that it knows nothing any more. What a hub recorded a week ago is a renewal
    // that was good then.
    let charter = charter_of(siege.world(), "press-1");
    let manager = key_of(siege.world(), "boss");
    let manager = Arc::new(manager);
    let counted = asked.clone();
    siege.hub.set(move |what| {
        if what.contains("/queue") {
            return altered_queue(Vec::clear);
        }
        if !what.contains("/standing") {
            return Meddling::Pass;
        }
        counted.count();
        let (charter, manager) = (charter.clone(), Arc::clone(&manager));
        altered_standing(move |standing| {
            let roster = Roster::open(&standing.roster.0, &charter).expect("the managers'");
            let renewal = Renewal {
                community: roster.community,
                renewer: manager.public(),
                roster: roster.seen().hash,
                issued: roster.issued - 7 * 86_400,
                expires: roster.issued - 1,
            };
            standing.renewal = Some(Base64Bytes(renewal.sign(&manager)));
        })
    });
    siege.send("2", &[]);
    siege.says("is not known to be the newest");
    asked.once_more();
    assert!(siege.ran().is_empty());
    siege.ends_well(&["1", "2"]);
}

#[test]
fn mix_and_match() {
    let siege = Siege::lay(Ways::One);
    let old = Recorded::default();
    let record = old.clone();
    siege.hub.set(move |what| match what {
        _ if what.contains("/queue") => altered_queue(Vec::clear),
        _ if what.contains("/standing") => record.record(),
        _ => Meddling::Pass,
    });
    siege.send("1", &[]);
    siege.send("2", &[]);
    until("how it stood is recorded", || old.is_there());
    // Each with the envelope of the other.
    siege.hub.set(|what| {
        if !what.contains("/queue") {
            return Meddling::Pass;
        }
        altered_queue(|entries| {
            if let [first, second, ..] = &mut entries[..] {
                std::mem::swap(&mut first.envelope, &mut second.envelope);
            }
            entries.truncate(2);
        })
    });
    siege.send("3", &[]);
    until("both are refused", || {
        [1, 2].iter().all(|one| {
            siege.log().contains(&format!("release {one} is not addressed to this machine"))
        })
    });

    // A newer roster with the renewal of an older one.
    let old: Standing = old.read();
    siege.hub.set(move |what| {
        if what.contains("/queue") {
            return altered_queue(Vec::clear);
        }
        if !what.contains("/standing") {
            return Meddling::Pass;
        }
        let renewal = old.renewal.clone();
        altered_standing(|standing| standing.renewal = renewal)
    });
    siege.community.peer("press-2", &["--role", "target"]);
    siege.says("is not known to be the newest");
    assert!(siege.ran().is_empty());
    siege.ends_well(&["1", "2", "3"]);
}

#[test]
fn rollback() {
    let siege = Siege::lay(Ways::One);
    let (standing, queue, asked) = (Recorded::default(), Recorded::default(), Asked::default());
    let record = (standing.clone(), queue.clone());
    siege.hub.set(move |what| match what {
        _ if what.contains("/standing") => record.0.record(),
        _ if what.contains("/queue") => record.1.record_queue(),
        _ => Meddling::Pass,
    });
    siege.send("1", &[]);
    siege.says("release 1 of ci (hello 1) passed");
    until("both are recorded", || standing.is_there() && queue.is_there());

    // The release that was answered, and nothing newer.
    let count = asked.clone();
    siege.hub.set(move |what| {
        if !what.contains("/queue") {
            return Meddling::Pass;
        }
        count.count();
        queue.replay()
    });
    siege.send("2", &[]);
    asked.once_more();
    until("it is done with what it was shown", || siege.told()["state"] == "listening");
    assert_eq!(siege.ran(), ["1"], "once");

    // The managers change something; then the hub shows how it was before.
    siege.hub.relent();
    siege.community.peer("press-2", &["--role", "target"]);
    siege.send("3", &["--to", "press-1"]);
    until("it goes on", || siege.ran() == ["1", "2", "3"]);
    siege.hub.set(
        move |what| {
            if what.contains("/standing") { standing.replay() } else { Meddling::Pass }
        },
    );
    siege.send("4", &["--to", "press-1"]);
    siege.says("was seen already");
    assert_eq!(siege.ran().len(), 3);
    siege.ends_well(&["1", "2", "3", "4"]);
}

#[test]
fn key_compromise() {
    let siege = Siege::lay(Ways::One);
    // Somebody copies the publisher's key and sends in its name; the hub is in it, and keeps that back
    // until the manager has heard of it.
    let (queue, standing) = (Recorded::default(), Recorded::default());
    let record = (queue.clone(), standing.clone());
    siege.hub.set(move |what| match what {
        _ if what.contains("/queue") => {
            let kept = Arc::clone(&record.0.0);
            Meddling::Alter(Box::new(move |body| {
                let mut page: QueuePage = serde_json::from_slice(&body).expect("JSON");
                if !page.entries.is_empty() {
                    *kept.lock().expect("no panic") = Some(body);
                    page.entries.clear();
                }
                serde_json::to_vec(&page).expect("JSON")
            }))
        }
        _ if what.contains("/standing") => record.1.record(),
        _ => Meddling::Pass,
    });
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([siege.world().path("ci"), siege.world().path("thief")])
        .status();
    assert!(copied.expect("cp runs").success());
    let line = format!("echo stolen >> {}", siege.community.ran_file().display());
    let package = siege.community.package("1", &line);
    siege.world().tells("thief", &["package", "send", &package], &["sent"]);
    until("the hub keeps it back", || queue.is_there() && standing.is_there());
    siege.hub.set(
        |what| {
            if what.contains("/queue") { altered_queue(Vec::clear) } else { Meddling::Pass }
        },
    );
    siege.community.peer("ci-2", &["--role", "publisher"]);
    siege.world().tells("boss", &["community", "revoke", "ci"], &["revoked"]);
    siege.world().fails("thief", &["package", "send", &package], 5);

    // Now it hands it on: after the roster without that key, then with the one before.
    let replay = queue.clone();
    siege.hub.set(
        move |what| {
            if what.contains("/queue") { replay.replay() } else { Meddling::Pass }
        },
    );
    let send =
        |package: &str| siege.world().tells("ci-2", &["package", "send", package], &["sent"]);
    let line =
        |version: &str| format!("echo {version} >> {}", siege.community.ran_file().display());
    send(&siege.community.package("2", &line("2")));
    siege.says("who is no publisher of this community");
    siege.hub.set(move |what| match what {
        _ if what.contains("/queue") => queue.replay(),
        _ if what.contains("/standing") => standing.replay(),
        _ => Meddling::Pass,
    });
    send(&siege.community.package("3", &line("3")));
    siege.says("was seen already");
    assert!(siege.ran().is_empty());

    siege.hub.relent();
    until("what the new publisher sent is carried out", || siege.ran() == ["2", "3"]);
}

#[test]
fn wrong_software() {
    let siege = Siege::lay(Ways::One);
    // What is the other machine's, in the place of what is this one's.
    let others = queue_of_another(&siege);
    siege.hub.set(move |what| {
        if !what.contains("/queue") {
            return Meddling::Pass;
        }
        let others = others.entries.clone();
        altered_queue(|entries| *entries = others)
    });
    siege.send("2", &["--to", "press-1"]);
    siege.says("release 1 is not addressed to this machine");
    assert_eq!(siege.ran(), ["1"]);
    siege.ends_well(&["1", "2"]);
}

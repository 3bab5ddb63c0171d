use std::collections::{BTreeMap, BTreeSet};

use documents::{DocumentHash, Quorum, jointly};

use super::*;
use crate::scene::{NOW, charter, key, membership, peer, roster};
use crate::{CharterError, Role, RosterError};

/// Managers 1, 2 and 3, of whom two have to sign.
fn three() -> Charter {
    let keys = [1, 2, 3].map(|secret| key(secret).public()).into();
    Charter { managers: Quorum { keys, threshold: 2 }, ..charter() }
}

fn basis() -> Basis {
    let in_force = Roster { charter: (1, three().hash()), ..roster() };
    let member = membership("berlin-1", 5);
    Basis {
        charter: three(),
        roster: Some(in_force.seen()),
        members: [(member.peer.clone(), member)].into(),
    }
}

/// `berlin-2` comes, `berlin-1` stays and is a publisher from then on.
fn draft() -> Draft {
    let publisher = Membership {
        roles: BTreeSet::from([Role::Publisher, Role::Target]),
        ..membership("berlin-1", 5)
    };
    let changed = [publisher, membership("berlin-2", 6)];
    let members: BTreeMap<_, _> =
        changed.into_iter().map(|member| (member.peer.clone(), member)).collect();
    let renewers = BTreeSet::from([key(1).public(), key(2).public()]);
    let roster = basis().next_roster(&three(), &members, renewers, (NOW, NOW + 1000));
    Draft { base: basis().roster, charter: None, roster, members, removed: BTreeSet::new() }
}

fn proposal() -> Proposal {
    Proposal::new(draft(), &key(1))
}

fn review(draft: Draft) -> Result<Review, ProposalError> {
    Proposal::new(draft, &key(1)).review(&basis(), NOW)
}

#[test]
fn a_review_says_everything_that_changes() {
    let found = proposal().review(&basis(), NOW).expect("sound");
    assert_eq!(found.added, [membership("berlin-2", 6)]);
    let [(before, after)] = &found.altered[..] else { panic!("{found:?}") };
    assert_eq!(before, &membership("berlin-1", 5));
    assert!(after.roles.contains(&Role::Publisher));
    assert_eq!((found.removed.len(), found.members.len()), (0, 2));
    assert_eq!((found.charter, found.expires), (None, NOW + 1000));
}

#[test]
fn as_many_managers_sign_one_after_the_other_as_the_charter_says() {
    let mut proposal = proposal();
    let progress = proposal.progress(&three());
    assert_eq!((progress.missing, progress.signed), (1, [key(1).public()].into()));
    let refused = Roster::open(proposal.signed_roster(), &three());
    assert!(matches!(refused, Err(RosterError::Signatures(_))), "one is not enough: {refused:?}");
    // The same one again, and somebody who may not.
    proposal.sign(&key(1), &three()).expect("signs");
    proposal.sign(&key(9), &three()).expect("nothing to sign");
    assert_eq!(proposal.progress(&three()).missing, 1);
    let id = proposal.id();
    let mut passed_on: Proposal = format!("{proposal}\n").parse().expect("a proposal");
    passed_on.sign(&key(3), &three()).expect("signs");
    let progress = passed_on.progress(&three());
    assert_eq!((progress.missing, progress.open), (0, [key(2).public()].into()));
    assert_eq!(passed_on.id(), id);
    let opened = Roster::open(passed_on.signed_roster(), &three());
    assert_eq!(opened.as_ref(), Ok(passed_on.roster()));
}

#[test]
fn a_change_of_managers_is_signed_by_enough_of_the_old_and_of_the_new() {
    let keys = [1, 4, 5].map(|secret| key(secret).public()).into();
    let next = Charter {
        number: 2,
        managers: Quorum { keys, threshold: 3 },
        previous: Some(three().hash()),
        ..three()
    };
    let members = basis().members;
    let renewers = [key(1).public()].into();
    let roster = basis().next_roster(&next, &members, renewers, (NOW, NOW + 1000));
    assert_eq!(roster.number, 1, "they are counted anew under each charter");
    let mut proposal = Proposal::new(
        Draft { roster, charter: Some(next.clone()), members: BTreeMap::new(), ..draft() },
        &key(1),
    );
    let found = proposal.review(&basis(), NOW).expect("sound");
    assert_eq!((found.charter.as_ref(), found.altered.len()), (Some(&next), 0));
    let missing = |proposal: &Proposal| proposal.progress(&three()).missing;
    assert_eq!(missing(&proposal), 2);
    proposal.sign(&key(4), &three()).expect("signs");
    proposal.sign(&key(5), &three()).expect("signs");
    assert_eq!(missing(&proposal), 1, "one of the old ones is missing");
    assert!(three().follow(proposal.signed_charter().expect("one")).is_err());
    proposal.sign(&key(2), &three()).expect("signs");
    assert_eq!(missing(&proposal), 0);
    let signed = proposal.signed_charter().expect("one");
    assert_eq!(three().follow(signed).as_ref(), Ok(&next));
    assert_eq!(Roster::open(proposal.signed_roster(), &next).as_ref(), Ok(proposal.roster()));
    // The charter was handed in and the roster not yet: what is left is the roster.
    let halfway = Basis { charter: next, ..basis() };
    assert_eq!(proposal.review(&halfway, NOW).expect("sound").charter, None);
    assert_eq!(proposal.progress(&halfway.charter).missing, 0);
}

#[test]
fn what_does_something_else_than_it_says_is_not_signed() {
    let hidden = |roster: Roster| review(Draft { roster, ..draft() });
    let base = draft().roster;
    let untrue = |found: Result<Review, ProposalError>, part: &str| match found {
        Err(ProposalError::Untrue(why)) if why.contains(part) => {}
        other => panic!("{part}: {other:?}"),
    };
    // Other peers than it shows, and somebody who is to publish without being shown.
    untrue(hidden(Roster { members: [7; 32], ..base.clone() }), "counts");
    untrue(hidden(Roster { count: 3, ..base.clone() }), "counts");
    let mut publishers = base.publishers.clone();
    let publisher = publishers.values().next().expect("one").clone();
    publishers.insert(key(9).public(), publisher);
    untrue(hidden(Roster { publishers, ..base.clone() }), "publish");
    untrue(hidden(Roster { publishers: BTreeMap::new(), ..base.clone() }), "publish");
    // Who may renew it.
    for renewers in [BTreeSet::new(), [key(9).public()].into()] {
        untrue(hidden(Roster { renewers, ..base.clone() }), "renew");
    }
    untrue(hidden(Roster { number: base.number + 1, ..base.clone() }), "numbers");
    // The proposal takes its community from the roster.
    let stranger = Roster { community: CommunityId::from_bytes([9; 16]), ..base };
    assert!(matches!(hidden(stranger), Err(ProposalError::OtherCommunity { .. })));
    // Its list of changes.
    let nobody = BTreeSet::from([peer("nobody")]);
    untrue(review(Draft { removed: nobody, ..draft() }), "nobody");
    let mut unchanged = draft();
    unchanged.members.insert(peer("berlin-1"), membership("berlin-1", 5));
    untrue(review(unchanged), "stays");
    let mut twice = draft();
    twice.members.insert(peer("berlin-3"), membership("berlin-3", 6));
    untrue(review(twice), "one key");
    let mut left_out = draft();
    left_out.members.remove(&peer("berlin-2"));
    untrue(review(left_out), "counts");
}

#[test]
fn what_was_overtaken_is_known_from_what_is_not_known_here() {
    let made = proposal();
    let at = |charter: u64, number: u64| {
        let seen = RosterSeen { charter, number, hash: DocumentHash::of(b"another") };
        made.review(&Basis { roster: Some(seen), ..basis() }, NOW)
    };
    assert!(matches!(at(1, 4), Err(ProposalError::Overtaken { .. })));
    assert!(matches!(at(1, 2), Err(ProposalError::Ahead { .. })));
    assert_eq!(at(1, 3), Err(ProposalError::Forked(3)));
    let done = Basis { roster: Some(made.roster().seen()), ..basis() };
    assert_eq!(made.review(&done, NOW), Err(ProposalError::InForce));
    // The managers changed in between.
    let next = Charter { number: 2, previous: Some(three().hash()), ..three() };
    let later = Basis { charter: next, ..basis() };
    assert!(matches!(made.review(&later, NOW), Err(ProposalError::Overtaken { .. })));
    let twin = Charter { name: "Plant 8".into(), ..three() };
    let forked = Basis { charter: twin, ..basis() };
    let error = RosterError::ForkedCharter { number: 1 };
    assert_eq!(made.review(&forked, NOW), Err(error.into()));
    let other = CommunityId::from_bytes([9; 16]);
    let elsewhere = Basis { charter: Charter { community: other, ..three() }, ..basis() };
    let refused = made.review(&elsewhere, NOW);
    assert!(matches!(refused, Err(ProposalError::OtherCommunity { .. })), "{refused:?}");
}

#[test]
fn charters_in_it_follow_the_one_in_force() {
    let with = |next: Charter| review(Draft { charter: Some(next), ..draft() });
    let next = Charter { number: 2, previous: Some(three().hash()), ..three() };
    let ahead = Charter { number: 3, ..next.clone() };
    assert!(matches!(with(ahead), Err(ProposalError::Ahead { .. })));
    let old = Charter { name: "Plant 8".into(), ..three() };
    assert!(matches!(with(old), Err(ProposalError::Overtaken { .. })));
    let forked = Charter { previous: Some(DocumentHash::of(b"other")), ..next.clone() };
    assert_eq!(with(forked), Err(CharterError::Forked { number: 1 }.into()));
    let expires = NOW + CHARTER_LIFETIME_MAX_S + 1;
    assert_eq!(with(Charter { expires, ..next }), Err(ProposalError::TooLong { expires }));
}

#[test]
fn its_time_is_neither_over_nor_for_ever() {
    let made = proposal();
    assert!(made.review(&basis(), NOW + 999).is_ok());
    let error = ProposalError::Expired { expires: NOW + 1000, now: NOW + 1000 };
    assert_eq!(made.review(&basis(), NOW + 1000), Err(error));
    let expires = NOW + ROSTER_LIFETIME_MAX_S + 1;
    let long = Draft { roster: Roster { expires, ..draft().roster }, ..draft() };
    assert_eq!(review(long), Err(ProposalError::TooLong { expires }));
}

#[test]
fn a_file_that_was_altered_is_refused_or_loses_the_signature() {
    let text = proposal().to_string();
    assert_eq!(text.parse(), Ok(proposal()));
    for length in (0..text.len()).step_by(7) {
        assert!(text[..length].parse::<Proposal>().is_err());
    }
    assert_eq!("x".parse::<Proposal>(), Err(ParseProposalError::Prefix));
    assert_eq!(format!("{text}=").parse::<Proposal>(), Err(ParseProposalError::Text));
    let bytes = proposal().encode();
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        let Ok(read) = Proposal::decode(&altered) else { continue };
        let is_sound = read.review(&basis(), NOW).is_ok();
        let counts = read.progress(&three()).missing < 2;
        assert!(!(is_sound && counts), "byte {at} may be altered");
    }
    assert!(jointly::peek::<Roster>(proposal().signed_roster()).is_ok());
}

/// Who signs the end signs nothing else with it.
#[test]
fn an_end_is_proposed_alone() {
    let (last, times) = (three().ending(NOW, NOW + 1000), (NOW, NOW + 1000));
    let with = |last: &Charter, members: BTreeMap<_, _>, removed: BTreeSet<_>| {
        let mut then = basis().members;
        then.retain(|peer, _| !removed.contains(peer));
        then.extend(members.clone());
        let roster = basis().next_roster(last, &then, [key(1).public()].into(), times);
        let charter = Some(last.clone());
        Proposal::new(Draft { charter, roster, members, removed, ..draft() }, &key(1))
    };
    let none = (BTreeMap::new(), BTreeSet::new());
    let mut sound = with(&last, none.0.clone(), none.1.clone());
    let found = sound.review(&basis(), NOW).expect("sound");
    assert!(found.charter.is_some_and(|charter| charter.ended));
    assert_eq!(sound.progress(&three()).missing, 1);
    sound.sign(&key(2), &three()).expect("signs");
    assert_eq!(three().follow(sound.signed_charter().expect("one")), Ok(last.clone()));
    let fewer = Quorum { threshold: 1, ..three().managers };
    for (what, wrong) in [
        (
            "managers",
            with(&Charter { managers: fewer, ..last.clone() }, none.0.clone(), none.1.clone()),
        ),
        (
            "name",
            with(
                &Charter { name: "Plant 8".into(), ..last.clone() },
                none.0.clone(),
                none.1.clone(),
            ),
        ),
        ("members", with(&last, [(peer("x"), membership("x", 9))].into(), none.1.clone())),
        ("removed", with(&last, none.0, basis().members.keys().take(1).cloned().collect())),
    ] {
        let refused = wrong.review(&basis(), NOW);
        assert!(matches!(refused, Err(ProposalError::Untrue(_))), "{what}: {refused:?}");
    }
    let ended = Basis { charter: last, ..basis() };
    let refused = with(&ended.charter.ending(NOW, NOW + 1), BTreeMap::new(), BTreeSet::new());
    let refused = refused.review(&ended, NOW);
    let error = ProposalError::Charter(CharterError::Ended { number: 2 });
    assert_eq!(refused, Err(error), "it has ended");
}

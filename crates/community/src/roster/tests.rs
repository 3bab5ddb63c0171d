use super::*;
use crate::scene::{NOW, charter, exchange, key, membership, renewal, roster};

fn signed_renewal(roster: &Roster) -> Vec<u8> {
    renewal(roster).sign(&key(8))
}

fn accept(roster: &Roster, seen: Option<&RosterSeen>) -> Result<Roster, RosterError> {
    let signed = jointly::sign(roster, [&key(1)]);
    let renewal = signed_renewal(roster);
    Roster::accept(&signed, Some(&renewal), &charter(), seen, NOW).map(|current| current.roster)
}

#[test]
fn a_roster_is_of_its_community_its_charter_and_its_managers() {
    let base = roster();
    assert_eq!(accept(&base, None), Ok(base.clone()));
    assert_eq!(accept(&base, Some(&base.seen())), Ok(base.clone()), "again");
    let other = CommunityId::from_bytes([9; 16]);
    let refused = accept(&Roster { community: other, ..base.clone() }, None);
    assert!(matches!(refused, Err(RosterError::OtherCommunity { .. })));
    let refused = accept(&Roster { charter: (2, base.charter.1), ..base.clone() }, None);
    assert_eq!(refused, Err(RosterError::OtherCharter { known: 1, found: 2 }));
    let fork = DocumentHash::of(b"another charter 1");
    let refused = accept(&Roster { charter: (1, fork), ..base.clone() }, None);
    assert_eq!(refused, Err(RosterError::ForkedCharter { number: 1 }));
    let forged = Roster::open(&jointly::sign(&base, [&key(2)]), &charter());
    let too_few = QuorumError::TooFew { found: 0, needed: 1 };
    assert_eq!(forged, Err(RosterError::Signatures(too_few)));
}

/// What a hub that holds back or forks gains: nothing but time until the renewal expires.
#[test]
fn an_older_another_and_an_expired_roster_are_refused() {
    let base = roster();
    let newer = Roster { number: base.number + 1, ..base.clone() };
    let replayed = RosterError::Replayed { seen: newer.number, offered: base.number };
    assert_eq!(accept(&base, Some(&newer.seen())), Err(replayed));
    let other = Roster { count: 9, ..base.clone() };
    let forked = RosterError::Forked { number: base.number };
    assert_eq!(accept(&other, Some(&base.seen())), Err(forked));
    let expired = Roster { expires: NOW, ..base.clone() };
    assert_eq!(accept(&expired, None), Err(RosterError::Expired { expires: NOW, now: NOW }));
    assert_eq!(accept(&newer, Some(&base.seen())), Ok(newer));
}

/// Managers who were replaced may have signed with any number before.
#[test]
fn numbers_begin_anew_under_a_new_charter() {
    let (base, last) = (roster(), RosterSeen { number: u64::MAX, ..roster().seen() });
    let second = Charter { number: 2, previous: Some(charter().hash()), ..charter() };
    let under = Roster { charter: (2, second.hash()), number: 1, ..base };
    let (signed, renewal) = (jointly::sign(&under, [&key(1)]), signed_renewal(&under));
    let accepted = Roster::accept(&signed, Some(&renewal), &second, Some(&last), NOW);
    assert_eq!(accepted.map(|current| current.roster), Ok(under));
}

#[test]
fn nothing_counts_under_a_charter_that_has_expired() {
    let charter = Charter { expires: NOW, ..charter() };
    let roster = Roster { charter: (1, charter.hash()), ..roster() };
    let (signed, renewal) = (jointly::sign(&roster, [&key(1)]), signed_renewal(&roster));
    let refused = Roster::accept(&signed, Some(&renewal), &charter, None, NOW);
    assert_eq!(refused, Err(RosterError::CharterExpired { expires: NOW, now: NOW }));
}

/// What its managers may have signed before, and what whoever has all their keys signs later.
#[test]
fn nothing_counts_in_a_community_that_has_ended() {
    let last = charter().ending(NOW, NOW + 10);
    let before = jointly::sign(&roster(), [&key(1)]);
    let under = Roster { charter: (2, last.hash()), number: 1, ..roster() };
    let (after, renewal) = (jointly::sign(&under, [&key(1)]), signed_renewal(&under));
    for signed in [before, after] {
        // Its own time does not bring it back.
        for now in [NOW, NOW + 11] {
            let refused = Roster::accept(&signed, Some(&renewal), &last, None, now);
            assert_eq!(refused, Err(RosterError::Ended { number: 2 }));
        }
    }
}

/// TUF: indefinite freeze. A revoked publisher with a hub on its side has until then.
#[test]
fn a_roster_counts_as_long_as_somebody_renews_it() {
    let base = roster();
    let signed = jointly::sign(&base, [&key(1)]);
    let with = |renewal: Option<Vec<u8>>, now| {
        Roster::accept(&signed, renewal.as_deref(), &charter(), None, now)
    };
    let good = renewal(&base);
    let accepted = with(Some(good.sign(&key(8))), NOW).expect("accepted");
    assert_eq!(accepted.until, good.expires);
    let other = Roster { number: base.number - 1, ..base.clone() };
    let foreign = Renewal { renewer: key(9).public(), ..good.clone() };
    let forged = good.sign(&key(9));
    for wrong in [
        None,
        Some(forged),
        Some(foreign.sign(&key(9))),
        Some(signed_renewal(&other)),
        Some(Renewal { expires: NOW, ..good.clone() }.sign(&key(8))),
        Some(vec![]),
    ] {
        assert!(matches!(with(wrong, NOW), Err(RosterError::NotRenewed { number: 3, .. })));
    }
    let alone = Roster { renewers: BTreeSet::new(), ..base };
    let signed = jointly::sign(&alone, [&key(1)]);
    let accepted = Roster::accept(&signed, None, &charter(), None, NOW).expect("accepted");
    assert_eq!(accepted.until, alone.expires);
}

#[test]
fn nobody_is_left_out_slipped_in_or_altered() {
    let members = ["a", "b", "c"].map(|name| membership(name, 5).encode());
    let of = |members: &[Vec<u8>]| Roster {
        count: members.len() as u64,
        members: members_root(members.iter().map(|it| &it[..])),
        ..roster()
    };
    let whole = of(&members);
    let [a, b, c] = members.each_ref().map(|it| &it[..]);
    assert_eq!(whole.check_members([a, b, c]), Ok(()));
    let altered = Membership { labels: BTreeMap::new(), ..membership("b", 5) }.encode();
    let more = membership("d", 5).encode();
    for wrong in
        [vec![a, b], vec![a, b, c, &more], vec![a, &altered, c], vec![a, b, c, c], vec![c, b, a]]
    {
        let found = wrong.len() as u64;
        let error = RosterError::OtherMembers { expected: 3, found };
        assert_eq!(whole.check_members(wrong), Err(error));
    }
    assert_eq!(of(&[]).check_members([]), Ok(()));
}

#[test]
fn a_machine_believes_its_own_membership_alone_and_only_from_the_roster() {
    let members = [membership("a", 6), membership("berlin-1", 5)];
    let encoded = members.each_ref().map(Membership::encode);
    let leaves = encoded.each_ref().map(|it| tree::leaf(it));
    let roster = Roster { count: 2, members: tree::root(&leaves), ..roster() };
    let inclusion = |index| tree::inclusion(&leaves, index).expect("a leaf");
    let (key5, exchange5) = (key(5).public(), exchange(5).public());
    let accept = |bytes: &[u8], inclusion: &Inclusion| {
        accept_membership(bytes, inclusion, &roster, (&key5, &exchange5))
    };
    assert_eq!(accept(&encoded[1], &inclusion(1)), Ok(members[1].clone()));
    // More rights than the managers gave, under a place that is another's, and another machine's.
    let altered = Membership { roles: crate::Role::ALL.into(), ..members[1].clone() };
    let missing = Err(MembershipError::NotInRoster(members[1].peer.clone()));
    assert_eq!(accept(&altered.encode(), &inclusion(1)), missing);
    assert_eq!(accept(&encoded[1], &inclusion(0)), missing);
    let others = Err(MembershipError::OtherKeys(members[0].peer.clone()));
    assert_eq!(accept(&encoded[0], &inclusion(0)), others);
    assert!(matches!(accept(&[], &inclusion(0)), Err(MembershipError::Malformed(_))));
}

#[test]
fn impossible_rosters_do_not_decode() {
    let base = roster();
    let many = |count: usize| {
        (0..count).map(|index| {
            let mut bytes = [9; 32];
            bytes[..8].copy_from_slice(&(index as u64).to_be_bytes());
            PublicKey::from_bytes(bytes)
        })
    };
    let publisher = base.publishers.values().next().expect("one").clone();
    let publishers = many(PUBLISHERS_MAX + 1).map(|key| (key, publisher.clone()));
    for wrong in [
        Roster { number: 0, ..base.clone() },
        Roster { charter: (0, base.charter.1), ..base.clone() },
        Roster { publishers: publishers.collect(), ..base.clone() },
        Roster { renewers: many(RENEWERS_MAX + 1).collect(), ..base.clone() },
    ] {
        assert!(Roster::decode(&wrong.encode()).is_err());
    }
    assert_eq!(Roster::decode(&base.encode()), Ok(base));
}

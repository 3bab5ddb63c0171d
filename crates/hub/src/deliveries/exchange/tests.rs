use super::*;

fn at(seconds: u64) -> Now {
    // Any moment will do, as long as it is always the same one.
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    Now { at: start + Duration::from_secs(seconds), unix: 1_000 + seconds }
}

fn exchange(segments: u64) -> Exchange<u64> {
    let announced =
        Announced { sender: AccountKey([1; 32]), segments, bytes: 9, recipient: [2; 32] };
    Exchange::new(announced, at(0))
}

fn bring(exchange: &mut Exchange<u64>, number: u64, ticket: u64) -> Offer {
    let offer = exchange.handle_offer(number, Ticket(ticket), at(1));
    if offer == Offer::Reserved {
        assert!(exchange.handle_segment(number, Ticket(ticket), number, at(1)));
    }
    offer
}

fn end_of(by: DeliveryParty) -> DeliveryEnd {
    DeliveryEnd { by, reason: "enough".to_owned() }
}

#[test]
fn segments_wait_for_room_and_come_out_in_order() {
    let mut exchange = exchange(4);
    assert_eq!(bring(&mut exchange, 0, 1), Offer::Unwanted, "nobody takes it");
    assert_eq!(exchange.taken(false).next, None);
    let stream = Ticket(100);
    exchange.handle_stream(stream, 0, at(1)).expect("from the first");
    assert_eq!(exchange.taken(false).next, Some(0));
    // The other way round, and each once.
    assert_eq!(bring(&mut exchange, 1, 2), Offer::Reserved);
    assert_eq!(exchange.poll_segment(stream, at(1)), Handed::Nothing(0));
    assert_eq!(bring(&mut exchange, 0, 3), Offer::Reserved);
    assert_eq!(bring(&mut exchange, 0, 4), Offer::Unwanted, "it is here");
    assert_eq!(bring(&mut exchange, 2, 5), Offer::Wait, "there is no room");
    assert_eq!(exchange.taken(false).next, Some(2));
    assert_eq!(exchange.poll_segment(stream, at(1)), Handed::Segment(0, 0));
    assert_eq!(bring(&mut exchange, 0, 6), Offer::Unwanted, "it was handed out");
    assert_eq!(bring(&mut exchange, 2, 7), Offer::Reserved);
    for number in 1..3 {
        assert_eq!(exchange.poll_segment(stream, at(1)), Handed::Segment(number, number));
    }
    assert_eq!(bring(&mut exchange, 3, 8), Offer::Reserved);
    assert_eq!(exchange.poll_segment(stream, at(1)), Handed::Segment(3, 3));
    assert_eq!(exchange.taken(true).next, Some(4), "it has had all");
    assert_eq!(exchange.poll_segment(stream, at(1)), Handed::End);
}

#[test]
fn a_place_is_kept_for_one_attempt_and_given_back() {
    let mut exchange = exchange(4);
    exchange.handle_stream(Ticket(100), 0, at(1)).expect("from the first");
    let [first, second] = [Ticket(1), Ticket(2)];
    assert_eq!(exchange.handle_offer(0, first, at(1)), Offer::Reserved);
    assert_eq!(exchange.handle_offer(0, second, at(1)), Offer::Wait);
    exchange.handle_cut(0, second, at(1));
    assert!(exchange.is_wanted(0, first), "another's attempt gives nothing back");
    exchange.handle_cut(0, first, at(1));
    assert_eq!(exchange.handle_offer(0, second, at(1)), Offer::Reserved);
    assert!(!exchange.handle_segment(0, first, 7, at(1)), "too late");
    assert!(exchange.handle_segment(0, second, 8, at(1)));
    assert_eq!(exchange.poll_segment(Ticket(100), at(1)), Handed::Segment(0, 8));
}

#[test]
fn a_new_stream_begins_where_it_wants_and_ends_the_older() {
    let mut exchange = exchange(9);
    let [old, new, last] = [Ticket(100), Ticket(101), Ticket(102)];
    exchange.handle_stream(old, 5, at(1)).expect("within");
    assert_eq!(bring(&mut exchange, 5, 1), Offer::Reserved);
    assert_eq!(exchange.handle_offer(6, Ticket(2), at(1)), Offer::Reserved);
    exchange.handle_verified(5, None, at(1)).expect("it has them");
    // Segment 5 is in the new window, 6 is not.
    exchange.handle_stream(new, 4, at(2)).expect("within");
    assert_eq!(exchange.poll_segment(old, at(2)), Handed::End);
    assert!(!exchange.handle_segment(6, Ticket(2), 6, at(2)));
    assert_eq!(exchange.status().verified, 4, "it says that it has no more");
    assert_eq!(exchange.taken(false).next, Some(4));
    assert_eq!(bring(&mut exchange, 4, 3), Offer::Reserved);
    for number in [4, 5] {
        assert_eq!(exchange.poll_segment(new, at(2)), Handed::Segment(number, number));
    }
    // The end of a stream that was replaced says nothing about the one that is there.
    exchange.handle_stream_end(old, at(3));
    assert_eq!(exchange.status().next, Some(6));
    exchange.handle_stream_end(new, at(3));
    assert_eq!(exchange.status().next, None);
    assert_eq!(exchange.handle_stream(last, 10, at(3)), Err(Unearned));
    exchange.handle_stream(last, 9, at(3)).expect("there is nothing left for it");
    assert_eq!(exchange.poll_segment(last, at(3)), Handed::End);
}

#[test]
fn only_what_was_handed_out_is_verified_and_a_receipt_is_for_all() {
    let mut exchange = exchange(2);
    let stream = Ticket(100);
    exchange.handle_stream(stream, 0, at(1)).expect("from the first");
    assert_eq!(exchange.handle_verified(1, None, at(1)), Err(Unearned));
    for number in 0..2 {
        assert_eq!(bring(&mut exchange, number, number), Offer::Reserved);
    }
    assert_eq!(exchange.handle_verified(1, None, at(1)), Err(Unearned), "held is not handed out");
    assert_eq!(exchange.poll_segment(stream, at(1)), Handed::Segment(0, 0));
    assert_eq!(exchange.handle_verified(1, Some(vec![1]), at(1)), Err(Unearned));
    exchange.handle_verified(1, None, at(1)).expect("it has one");
    exchange.handle_verified(0, None, at(1)).expect("overtaken");
    assert_eq!(exchange.status().verified, 1);
    assert_eq!(exchange.poll_segment(stream, at(1)), Handed::Segment(1, 1));
    exchange.handle_verified(2, Some(vec![1]), at(1)).expect("it has all");
    exchange.handle_verified(2, Some(vec![2]), at(1)).expect("repeated");
    assert_eq!(exchange.status().receipt, Some(Base64Bytes(vec![1])), "the first stands");
}

#[test]
fn a_recipient_that_has_segments_of_a_hub_that_forgot_them_is_believed() {
    let mut exchange = exchange(9);
    exchange.handle_verified(7, None, at(1)).expect("it had another hub, or this one before");
    assert_eq!(exchange.status().verified, 7);
    assert_eq!(exchange.handle_verified(10, None, at(1)), Err(Unearned), "there are not so many");
    assert_eq!(exchange.handle_verified(8, Some(vec![1]), at(1)), Err(Unearned));
    let stream = Ticket(100);
    exchange.handle_stream(stream, 7, at(1)).expect("goes on");
    assert_eq!(exchange.handle_verified(8, None, at(1)), Err(Unearned), "it gets them here now");
    assert_eq!(bring(&mut exchange, 7, 0), Offer::Reserved);
    assert_eq!(exchange.poll_segment(stream, at(1)), Handed::Segment(7, 7));
    exchange.handle_stream_end(stream, at(2));
    // The last one came before the next restart, and a receipt is all that is left to hand in.
    exchange.handle_verified(9, Some(vec![1]), at(2)).expect("it has all");
    assert_eq!(exchange.status().receipt, Some(Base64Bytes(vec![1])));
    exchange.handle_stream(Ticket(101), 9, at(3)).expect("nothing is left");
    assert_eq!(exchange.poll_segment(Ticket(101), at(3)), Handed::End);
}

#[test]
fn an_end_lets_go_of_everything_and_the_first_stands() {
    let mut exchange = exchange(4);
    let stream = Ticket(100);
    exchange.handle_stream(stream, 0, at(1)).expect("from the first");
    assert_eq!(bring(&mut exchange, 0, 1), Offer::Reserved);
    exchange.handle_end(end_of(DeliveryParty::Recipient), at(2));
    exchange.handle_end(end_of(DeliveryParty::Sender), at(3));
    assert!(exchange.window.is_empty());
    assert_eq!(exchange.status().ended, Some(end_of(DeliveryParty::Recipient)));
    assert_eq!(exchange.poll_segment(stream, at(3)), Handed::End);
    assert_eq!(bring(&mut exchange, 1, 2), Offer::Unwanted);
    exchange.handle_stream(Ticket(101), 0, at(3)).expect("ends at once");
    assert_eq!(exchange.poll_segment(Ticket(101), at(3)), Handed::End);
}

#[test]
fn every_change_of_the_status_has_a_greater_number() {
    let mut exchange = exchange(2);
    let mut last = exchange.status();
    let mut changed = |exchange: &Exchange<u64>, what: &str| {
        let status = exchange.status();
        let is_same = DeliveryStatus { change: last.change, ..status.clone() } == last;
        assert!(!is_same && status.change > last.change, "{what}: {last:?}, {status:?}");
        last = status;
    };
    exchange.handle_request(DeliveryParty::Sender, at(1));
    changed(&exchange, "the sender came");
    exchange.handle_answer(DeliveryParty::Sender, at(2));
    exchange.handle_stream(Ticket(100), 0, at(3)).expect("from the first");
    changed(&exchange, "the recipient came");
    assert_eq!(exchange.poll_timeout(), Some(at(32).at));
    exchange.handle_time(at(31));
    assert_eq!(exchange.status().change, 3, "nothing happened");
    exchange.handle_time(at(40));
    changed(&exchange, "the sender went");
    assert_eq!(exchange.status().sender, DeliverySide { here: false, since: 1_032 });
    assert_eq!(bring(&mut exchange, 0, 1), Offer::Reserved);
    changed(&exchange, "a segment came");
    assert_eq!(exchange.poll_segment(Ticket(100), at(41)), Handed::Segment(0, 0));
    exchange.handle_verified(1, None, at(42)).expect("it has it");
    changed(&exchange, "it was verified");
    exchange.handle_stream_end(Ticket(100), at(43));
    changed(&exchange, "the recipient went");
    exchange.handle_end(end_of(DeliveryParty::Hub), at(44));
    changed(&exchange, "it was ended");
}

/// Numbers that are the same for the same seed.
struct Dice(blake3::OutputReader);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % sides
    }
}

/// Random operations against what must hold of any of them, with the recipient's disk as the model.
#[test]
fn any_order_of_operations_keeps_order_and_bounds() {
    for seed in 0..300_u64 {
        let mut dice = Dice(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof());
        let segments = 1 + dice.below(12);
        let mut exchange = exchange(segments);
        let (mut tickets, mut stream) = (0, None);
        let mut coming: Vec<(u64, Ticket)> = Vec::new();
        // What the stream that is open must hand out next.
        let mut expected = 0;
        for step in 0..400 {
            let now = at(step / 10);
            tickets += 1;
            let ticket = Ticket(tickets);
            match dice.below(9) {
                0..=2 => {
                    let number = dice.below(segments);
                    if exchange.handle_offer(number, ticket, now) == Offer::Reserved {
                        coming.push((number, ticket));
                    }
                }
                3 | 4 if !coming.is_empty() => {
                    let chosen = dice.below(coming.len() as u64) as usize;
                    let (number, ticket) = coming.swap_remove(chosen);
                    exchange.handle_segment(number, ticket, number, now);
                }
                5 if !coming.is_empty() => {
                    let (number, ticket) = coming.swap_remove(0);
                    exchange.handle_cut(number, ticket, now);
                }
                6 if dice.below(6) == 0 => {
                    expected = dice.below(segments + 1);
                    exchange.handle_stream(ticket, expected, now).expect("within");
                    stream = Some(ticket);
                }
                6 if stream.is_none() && dice.below(4) == 0 => {
                    let told = dice.below(segments + 1);
                    exchange.handle_verified(told, None, now).expect("without a stream");
                }
                7 if dice.below(12) == 0 => {
                    if let Some(open) = stream.take() {
                        exchange.handle_stream_end(open, now);
                    }
                }
                _ => {
                    let Some(open) = stream else { continue };
                    match exchange.poll_segment(open, now) {
                        Handed::Segment(number, bytes) => {
                            assert_eq!((number, bytes), (expected, expected), "seed {seed}");
                            expected += 1;
                            exchange.handle_verified(expected, None, now).expect("handed out");
                        }
                        Handed::Nothing(number) => assert_eq!(number, expected, "seed {seed}"),
                        Handed::End => assert_eq!(expected, segments, "seed {seed}"),
                    }
                }
            }
            assert!(exchange.window.len() as u64 <= WINDOW, "seed {seed}");
            let window = exchange.base..exchange.base + WINDOW;
            assert!(exchange.window.keys().all(|number| window.contains(number)), "seed {seed}");
            assert!(exchange.verified <= exchange.base, "seed {seed}");
            assert_eq!(exchange.status().next.is_some(), stream.is_some(), "seed {seed}");
        }
        // Whatever was before: who asks from the first gets all.
        let stream = Ticket(u64::MAX);
        exchange.handle_stream(stream, 0, at(50)).expect("from the first");
        for (number, ticket) in coming {
            exchange.handle_cut(number, ticket, at(50));
        }
        for number in 0..segments {
            if !exchange.window.contains_key(&number) {
                assert_eq!(bring(&mut exchange, number, u64::MAX - 1), Offer::Reserved);
            }
            assert_eq!(exchange.poll_segment(stream, at(50)), Handed::Segment(number, number));
        }
        assert_eq!(exchange.poll_segment(stream, at(50)), Handed::End);
    }
}

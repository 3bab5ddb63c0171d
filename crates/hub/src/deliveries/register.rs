//! All deliveries: who may have how many, who is let in, which are forgotten.
//!
//! Pure, as `exchange` is. Beside each delivery lies a `D`, which is the driver's.

use std::collections::HashMap;
use std::time::Duration;

use hub_db::AccountKey;

use super::exchange::{Announced, Exchange, Ticket};
use super::side::Now;
use crate::places::Sharer;

/// Bounds on deliveries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) deliveries_max: usize,
    pub(crate) per_account_max: usize,
    pub(crate) idle_time: Duration,
}

/// Who asks for a delivery.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asker {
    Sender(AccountKey),
    /// Whoever has a token; this is its hash.
    Recipient(blake3::Hash),
}

/// Why a delivery is not announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAnnounced {
    /// It is, otherwise.
    Conflict,
    /// The account, or its network where it is without one, has as many as one may have.
    TooManyOfAccount,
    /// Those without an account have as many as they may have, in all.
    TooManyOfGuests,
    /// The hub has as many as it may have.
    TooMany,
}

/// One delivery and what the driver keeps beside it.
#[derive(Debug)]
pub(crate) struct Entry<B, D> {
    /// Tells it from a later one with the same id.
    pub(crate) serial: Ticket,
    /// Whose share it is.
    pub(crate) sharer: Sharer,
    pub(crate) exchange: Exchange<B>,
    pub(crate) beside: D,
}

/// The deliveries.
#[derive(Debug)]
pub(crate) struct Register<B, D> {
    bounds: Bounds,
    entries: HashMap<[u8; 16], Entry<B, D>>,
    tickets: u64,
}

impl<B, D> Register<B, D> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, entries: HashMap::new(), tickets: 0 }
    }

    /// A number that was never given before.
    pub(crate) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// Whether it is new.
    pub(crate) fn announce(
        &mut self,
        id: [u8; 16],
        (announced, sharer): (Announced, Sharer),
        beside: D,
        now: Now,
    ) -> Result<bool, NotAnnounced> {
        self.sweep(now);
        if let Some(entry) = self.entries.get(&id) {
            let is_same = *entry.exchange.announced() == announced;
            return if is_same { Ok(false) } else { Err(NotAnnounced::Conflict) };
        }
        if self.running_of(|entry| entry.sharer == sharer) >= self.bounds.per_account_max {
            return Err(NotAnnounced::TooManyOfAccount);
        }
        // However many networks there are of those without an account: half of the places is not for them.
        if sharer.is_guest()
            && self.running_of(|entry| entry.sharer.is_guest()) >= self.bounds.deliveries_max / 2
        {
            return Err(NotAnnounced::TooManyOfGuests);
        }
        if self.running() >= self.bounds.deliveries_max {
            return Err(NotAnnounced::TooMany);
        }
        let serial = self.ticket();
        let exchange = Exchange::new(announced, now);
        self.entries.insert(id, Entry { serial, sharer, exchange, beside });
        Ok(true)
    }

    /// The delivery if it is here and for this asker; which of the two it is not, nobody learns.
    pub(crate) fn find(&self, id: &[u8; 16], asker: Asker) -> Option<&Entry<B, D>> {
        let entry = self.entries.get(id)?;
        let announced = entry.exchange.announced();
        let is_let_in = match asker {
            Asker::Sender(key) => key == announced.sender,
            // In constant time, as hashes are compared.
            Asker::Recipient(hash) => hash == announced.recipient,
        };
        is_let_in.then_some(entry)
    }

    /// The delivery that was found before, unless it was forgotten since.
    pub(crate) fn entry(&mut self, id: &[u8; 16], serial: Ticket) -> Option<&mut Entry<B, D>> {
        self.entries.get_mut(id).filter(|entry| entry.serial == serial)
    }

    /// The delivery with this id, whoever asks.
    pub(crate) fn get_mut(&mut self, id: &[u8; 16]) -> Option<&mut Entry<B, D>> {
        self.entries.get_mut(id)
    }

    /// Forgets all of them.
    pub(crate) fn forget_all(&mut self) {
        self.entries.clear();
    }

    /// All of them.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&[u8; 16], &mut Entry<B, D>)> {
        self.entries.iter_mut()
    }

    /// Forgets those that nobody needs any more, and the longest ended of too many.
    pub(crate) fn sweep(&mut self, now: Now) {
        let idle_time = self.bounds.idle_time;
        self.entries.retain(|_, entry| !entry.exchange.is_over(now, idle_time));
    }

    /// Forgets ended deliveries of one share beyond as many as may run, and so in all: ending and
    /// announcing in a loop costs the hub no more than running ones.
    pub(crate) fn bound_ended(&mut self, sharer: Sharer) {
        let Bounds { per_account_max, deliveries_max, .. } = self.bounds;
        self.forget_ended(per_account_max, |of| of == sharer);
        self.forget_ended(deliveries_max, |_| true);
    }

    fn forget_ended(&mut self, kept: usize, counts: impl Fn(Sharer) -> bool) {
        let mut ended: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| counts(entry.sharer))
            .filter_map(|(id, entry)| Some((entry.exchange.ended_at()?, *id)))
            .collect();
        let surplus = ended.len().saturating_sub(kept);
        ended.sort_unstable();
        for (_, id) in &ended[..surplus] {
            self.entries.remove(id);
        }
    }

    /// How many run.
    pub(crate) fn running(&self) -> usize {
        self.running_of(|_| true)
    }

    fn running_of(&self, counts: impl Fn(&Entry<B, D>) -> bool) -> usize {
        let running = |entry: &&Entry<B, D>| entry.exchange.ended_at().is_none() && counts(entry);
        self.entries.values().filter(running).count()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use hub_api::{DeliveryEnd, DeliveryParty};

    use super::*;

    const BOUNDS: Bounds =
        Bounds { deliveries_max: 5, per_account_max: 2, idle_time: Duration::from_mins(10) };

    fn announced(sender: u8) -> (Announced, Sharer) {
        let recipient = *blake3::hash(&[sender; 32]).as_bytes();
        let key = AccountKey([sender; 32]);
        (Announced { sender: key, segments: 3, bytes: 9, recipient }, Sharer::Account(key))
    }

    /// One of many keys without an account in a network.
    fn guest(key: u8, network: u8) -> (Announced, Sharer) {
        let network = std::net::Ipv4Addr::new(198, 51, 100, network);
        (announced(key).0, Sharer::Address(network.into()))
    }

    fn end(register: &mut Register<u64, ()>, id: [u8; 16], now: Now) {
        let entry = register.entries.get_mut(&id).expect("is there");
        let reason = String::new();
        entry.exchange.handle_end(DeliveryEnd { by: DeliveryParty::Sender, reason }, now);
        let sharer = entry.sharer;
        register.bound_ended(sharer);
    }

    #[test]
    fn announcing_again_changes_nothing_and_otherwise_is_a_conflict() {
        let now = Now { at: Instant::now(), unix: 5 };
        let mut register = Register::<u64, ()>::new(BOUNDS);
        assert_eq!(register.announce([1; 16], announced(1), (), now), Ok(true));
        assert_eq!(register.announce([1; 16], announced(1), (), now), Ok(false));
        let (longer, sharer) = announced(1);
        for other in [announced(2), (Announced { segments: 4, ..longer }, sharer)] {
            let refused = register.announce([1; 16], other, (), now);
            assert_eq!(refused, Err(NotAnnounced::Conflict));
        }
    }

    #[test]
    fn only_its_sender_and_its_recipient_find_a_delivery() {
        let now = Now { at: Instant::now(), unix: 5 };
        let mut register = Register::<u64, ()>::new(BOUNDS);
        register.announce([1; 16], announced(1), (), now).expect("announced");
        let asked = |id: [u8; 16], asker| register.find(&id, asker).is_some();
        assert!(asked([1; 16], Asker::Sender(AccountKey([1; 32]))));
        assert!(!asked([1; 16], Asker::Sender(AccountKey([2; 32]))));
        assert!(asked([1; 16], Asker::Recipient(blake3::hash(&[1; 32]))));
        assert!(!asked([1; 16], Asker::Recipient(blake3::hash(&[2; 32]))));
        assert!(!asked([2; 16], Asker::Sender(AccountKey([1; 32]))));
    }

    #[test]
    fn deliveries_are_bounded_per_account_and_in_all_and_so_are_ended_ones() {
        let now = Now { at: Instant::now(), unix: 5 };
        let mut register = Register::<u64, ()>::new(BOUNDS);
        for id in 0..2 {
            assert_eq!(register.announce([id; 16], announced(1), (), now), Ok(true));
        }
        let refused = register.announce([9; 16], announced(1), (), now);
        assert_eq!(refused, Err(NotAnnounced::TooManyOfAccount));
        for (id, account) in [(2, 2), (3, 2), (4, 3)] {
            assert_eq!(register.announce([id; 16], announced(account), (), now), Ok(true));
        }
        let refused = register.announce([9; 16], announced(4), (), now);
        assert_eq!(refused, Err(NotAnnounced::TooMany));

        // Ending makes room at once, and however often it is done, little is remembered.
        for id in 0..200 {
            let id = [if id < 2 { id } else { id + 20 }; 16];
            let later = Now { at: now.at + Duration::from_millis(id[0].into()), ..now };
            register.announce(id, announced(1), (), later).expect("room");
            end(&mut register, id, later);
            assert!(register.entries.len() <= 2 * BOUNDS.deliveries_max);
        }
        assert_eq!(register.running(), 3);
        assert_eq!(register.entries.len(), 3 + BOUNDS.per_account_max);
    }

    #[test]
    fn guests_are_bounded_by_their_network_and_leave_half_of_the_places() {
        let now = Now { at: Instant::now(), unix: 5 };
        let mut register = Register::<u64, ()>::new(Bounds { deliveries_max: 6, ..BOUNDS });
        for key in 0..2 {
            assert_eq!(register.announce([key; 16], guest(key, 1), (), now), Ok(true));
        }
        let refused = register.announce([9; 16], guest(9, 1), (), now);
        assert_eq!(refused, Err(NotAnnounced::TooManyOfAccount), "another key is no other guest");
        assert_eq!(register.announce([3; 16], guest(3, 2), (), now), Ok(true));
        let refused = register.announce([9; 16], guest(9, 3), (), now);
        assert_eq!(refused, Err(NotAnnounced::TooManyOfGuests));
        assert_eq!(register.announce([9; 16], announced(9), (), now), Ok(true));
        // Who comes from another network by now is the same sender.
        assert_eq!(register.announce([3; 16], guest(3, 4), (), now), Ok(false));
    }

    #[test]
    fn what_nobody_asks_for_is_forgotten() {
        let start = Now { at: Instant::now(), unix: 5 };
        let at = |seconds| Now { at: start.at + Duration::from_secs(seconds), unix: 5 + seconds };
        let mut register = Register::<u64, ()>::new(BOUNDS);
        for id in [1, 2, 3] {
            register.announce([id; 16], announced(id), (), at(0)).expect("announced");
            let entry = register.entries.get_mut(&[id; 16]).expect("is there");
            entry.exchange.handle_request(DeliveryParty::Sender, at(0));
            entry.exchange.handle_answer(DeliveryParty::Sender, at(0));
        }
        let entry = register.entries.get_mut(&[2; 16]).expect("is there");
        entry.exchange.handle_stream(Ticket(7), 0, at(1)).expect("from the first");
        end(&mut register, [3; 16], at(5));
        register.sweep(at(124));
        assert_eq!(register.entries.len(), 3);
        register.sweep(at(125));
        assert!(!register.entries.contains_key(&[3; 16]), "ended two minutes ago");
        register.sweep(at(599));
        assert_eq!(register.entries.len(), 2);
        register.sweep(at(600));
        assert!(!register.entries.contains_key(&[1; 16]), "nobody asked for ten minutes");
        assert!(register.entries.contains_key(&[2; 16]), "its recipient is there");
    }
}

//! Where the sender and the recipient of a ticket meet: by the number of a code, of which the hub knows no
//! more.
//!
//! Pure: time is an argument. Beside each code lies a `D`, which is the driver's.
//!
//! Invariants: one recipient claims a ticket by a code, ever; only the sender and that recipient
//! put and read messages; a message that is there never changes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hub_api::limits::CODE_MESSAGES;
use hub_db::AccountKey;

use crate::places::Sharer;

/// How long a code is remembered that its sender does not ask for: three times as long as a question waits.
pub(crate) const CODE_IDLE_TIME: Duration = Duration::from_secs(60);
/// How long one is that was claimed: longer than both ends are patient.
pub(crate) const CLAIMED_TIME: Duration = Duration::from_secs(120);
/// The time in which the claims of an address are counted.
const CLAIMS_TIME: Duration = Duration::from_secs(60);
/// Addresses whose claims are counted at once; each takes some 50 bytes.
const ADDRESSES_MAX: usize = 65_536;

/// Bounds on codes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) codes_max: usize,
    pub(crate) per_account_max: usize,
    pub(crate) claims_per_minute_max: u32,
}

/// Who asks for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Party {
    Sender(AccountKey),
    /// Whoever has a token; this is its hash.
    Recipient(blake3::Hash),
}

/// Why a code is not known now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAnnounced {
    /// Another account has the number, or somebody claimed the ticket.
    Taken,
    TooManyOfAccount,
    /// Those without an account have as many as they may have, in all.
    TooManyOfGuests,
    TooMany,
}

/// Why a message is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotPut {
    /// No such code, or not for this party, or not this party's message, or not its turn.
    Unknown,
    /// Somebody else claimed the ticket.
    Taken,
    /// Another message is there already.
    Other,
    /// The address claims too much.
    TooManyOfAddress,
}

/// One code.
#[derive(Debug)]
struct Entry<D> {
    sender: AccountKey,
    /// Whose share it is.
    sharer: Sharer,
    /// Hash of the token of the recipient that claimed the ticket.
    recipient: Option<blake3::Hash>,
    messages: [Option<Bytes>; CODE_MESSAGES as usize],
    /// When it is forgotten, unless its sender asks before.
    until: Instant,
    beside: D,
}

/// Claims from one address since a moment.
#[derive(Debug, Clone, Copy)]
struct Claims {
    since: Instant,
    count: u32,
}

/// The codes.
#[derive(Debug)]
pub(crate) struct Rendezvous<D> {
    bounds: Bounds,
    entries: HashMap<u16, Entry<D>>,
    claims: HashMap<IpAddr, Claims>,
}

impl<D> Rendezvous<D> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, entries: HashMap::new(), claims: HashMap::new() }
    }

    /// Makes a number known; whether it is new.
    pub(crate) fn announce(
        &mut self,
        number: u16,
        (sender, sharer): (AccountKey, Sharer),
        beside: D,
        now: Instant,
    ) -> Result<bool, NotAnnounced> {
        self.sweep(now);
        if let Some(entry) = self.entries.get_mut(&number) {
            if entry.sender != sender || entry.recipient.is_some() {
                return Err(NotAnnounced::Taken);
            }
            entry.until = now + CODE_IDLE_TIME;
            return Ok(false);
        }
        // Claimed ones count too: whoever tries them all the time is held back by the time they last.
        let of = |counts: &dyn Fn(Sharer) -> bool| {
            self.entries.values().filter(|entry| counts(entry.sharer)).count()
        };
        if of(&|other| other == sharer) >= self.bounds.per_account_max {
            return Err(NotAnnounced::TooManyOfAccount);
        }
        // However many networks there are of those without an account: half of the codes is not for them.
        if sharer.is_guest() && of(&Sharer::is_guest) >= self.bounds.codes_max / 2 {
            return Err(NotAnnounced::TooManyOfGuests);
        }
        if self.entries.len() >= self.bounds.codes_max {
            return Err(NotAnnounced::TooMany);
        }
        let until = now + CODE_IDLE_TIME;
        let messages = Default::default();
        let entry = Entry { sender, sharer, recipient: None, messages, until, beside };
        self.entries.insert(number, entry);
        Ok(true)
    }

    /// Takes a message of `party`, who is at `address`; what lies beside the code, whose other side has
    /// something to read now.
    pub(crate) fn put(
        &mut self,
        number: u16,
        (index, message): (u8, Bytes),
        (party, address): (Party, IpAddr),
        now: Instant,
    ) -> Result<&D, NotPut> {
        if index == 0 {
            self.claim(number, party, address, now)?;
        }
        let entry = self.entries.get_mut(&number).ok_or(NotPut::Unknown)?;
        let place = usize::from(index);
        if place >= entry.messages.len() || !entry.is_of(party, index % 2 == 1) {
            return Err(NotPut::Unknown);
        }
        // Each answers the one before.
        if place > 0 && entry.messages[place - 1].is_none() {
            return Err(NotPut::Unknown);
        }
        match &entry.messages[place] {
            Some(there) if *there != message => return Err(NotPut::Other),
            Some(_) => {}
            None => entry.messages[place] = Some(message),
        }
        Ok(&entry.beside)
    }

    fn claim(
        &mut self,
        number: u16,
        party: Party,
        address: IpAddr,
        now: Instant,
    ) -> Result<(), NotPut> {
        let Party::Recipient(token) = party else { return Err(NotPut::Unknown) };
        let has_claimed = |entry: &Entry<D>| entry.until > now && entry.recipient == Some(token);
        // A claim that is repeated is the same one.
        if self.entries.get(&number).is_some_and(has_claimed) {
            return Ok(());
        }
        // Counted before anything is said: nobody learns from more claims than that which numbers there are.
        self.count(address, now)?;
        let entry = self.entries.get_mut(&number).filter(|entry| entry.until > now);
        let entry = entry.ok_or(NotPut::Unknown)?;
        if entry.recipient.is_some() {
            return Err(NotPut::Taken);
        }
        entry.recipient = Some(token);
        entry.until = now + CLAIMED_TIME;
        Ok(())
    }

    fn count(&mut self, address: IpAddr, now: Instant) -> Result<(), NotPut> {
        if !self.claims.contains_key(&address) && self.claims.len() >= ADDRESSES_MAX {
            self.sweep(now);
            if self.claims.len() >= ADDRESSES_MAX {
                return Err(NotPut::TooManyOfAddress);
            }
        }
        let claims = self.claims.entry(address).or_insert(Claims { since: now, count: 0 });
        if now >= claims.since + CLAIMS_TIME {
            *claims = Claims { since: now, count: 0 };
        }
        if claims.count >= self.bounds.claims_per_minute_max {
            return Err(NotPut::TooManyOfAddress);
        }
        claims.count += 1;
        Ok(())
    }

    /// A message for `party` and what lies beside the code; `None` when there is no such code for it, or the
    /// message is not for it to read.
    pub(crate) fn read(
        &mut self,
        number: u16,
        index: u8,
        party: Party,
        now: Instant,
    ) -> Option<(Option<Bytes>, &D)> {
        let entry = self.entries.get_mut(&number).filter(|entry| entry.until > now)?;
        let message = entry.messages.get(usize::from(index))?.clone();
        if !entry.is_of(party, index.is_multiple_of(2)) {
            return None;
        }
        if entry.recipient.is_none() {
            entry.until = now + CODE_IDLE_TIME;
        }
        Some((message, &entry.beside))
    }

    /// Forgets all codes; what was tried is counted on.
    pub(crate) fn forget_all(&mut self) {
        self.entries.clear();
    }

    /// Forgets what nobody needs any more.
    pub(crate) fn sweep(&mut self, now: Instant) {
        self.entries.retain(|_, entry| entry.until > now);
        self.claims.retain(|_, claims| claims.since + CLAIMS_TIME > now);
    }

    /// How many there are.
    pub(crate) fn known(&self) -> usize {
        self.entries.len()
    }
}

impl<D> Entry<D> {
    /// Whether `party` is the sender, or else the recipient of this code.
    fn is_of(&self, party: Party, of_sender: bool) -> bool {
        match party {
            Party::Sender(key) => of_sender && key == self.sender,
            // In constant time, as hashes are compared.
            Party::Recipient(token) => !of_sender && self.recipient == Some(token),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const BOUNDS: Bounds = Bounds { codes_max: 3, per_account_max: 2, claims_per_minute_max: 2 };
    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn sender(number: u8) -> Party {
        Party::Sender(AccountKey([number; 32]))
    }

    fn recipient(number: u8) -> Party {
        Party::Recipient(blake3::hash(&[number]))
    }

    struct World {
        codes: Rendezvous<()>,
        now: Instant,
    }

    impl World {
        fn new() -> Self {
            Self { codes: Rendezvous::new(BOUNDS), now: Instant::now() }
        }

        fn announce(&mut self, number: u16, account: u8) -> Result<bool, NotAnnounced> {
            let key = AccountKey([account; 32]);
            self.codes.announce(number, (key, Sharer::Account(key)), (), self.now)
        }

        fn put(&mut self, index: u8, text: &'static str, party: Party) -> Result<(), NotPut> {
            let message = (index, Bytes::from_static(text.as_bytes()));
            self.codes.put(4821, message, (party, HERE), self.now).map(drop)
        }

        fn read(&mut self, index: u8, party: Party) -> Option<Option<Bytes>> {
            self.codes.read(4821, index, party, self.now).map(|(message, ())| message)
        }

        fn wait(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }
    }

    #[test]
    fn messages_go_between_one_sender_and_one_recipient() {
        let mut world = World::new();
        assert_eq!(world.announce(4821, 1), Ok(true));
        assert_eq!(world.announce(4821, 1), Ok(false));
        assert_eq!(world.announce(4821, 2), Err(NotAnnounced::Taken));
        assert_eq!(world.read(0, sender(1)), Some(None));
        assert_eq!(world.put(0, "claim", recipient(7)), Ok(()));
        assert_eq!(world.put(0, "claim", recipient(7)), Ok(()), "sent again");
        assert_eq!(world.put(0, "other", recipient(7)), Err(NotPut::Other));
        assert_eq!(world.put(0, "claim", recipient(8)), Err(NotPut::Taken));
        assert_eq!(world.announce(4821, 1), Err(NotAnnounced::Taken), "it was claimed");
        assert_eq!(world.put(2, "proof", recipient(7)), Err(NotPut::Unknown), "out of turn");
        let message = |text: &'static str| Some(Some(Bytes::from_static(text.as_bytes())));
        assert_eq!(world.read(0, sender(1)), message("claim"));
        assert_eq!(world.put(1, "answer", sender(1)), Ok(()));
        assert_eq!(world.read(1, recipient(7)), message("answer"));
        assert_eq!(world.put(2, "proof", recipient(7)), Ok(()));
        assert_eq!(world.put(3, "ticket", sender(1)), Ok(()));
        assert_eq!(world.read(3, recipient(7)), message("ticket"));
        assert_eq!(world.put(4, "more", recipient(7)), Err(NotPut::Unknown));
    }

    #[test]
    fn nobody_else_puts_or_reads_anything() {
        let mut world = World::new();
        world.announce(4821, 1).expect("is new");
        assert_eq!(
            world.put(0, "claim", sender(1)),
            Err(NotPut::Unknown),
            "a sender claims nothing"
        );
        world.put(0, "claim", recipient(7)).expect("the first");
        for stranger in [sender(2), recipient(8), sender(7)] {
            for index in [0, 1, 2, 3, 200] {
                assert_eq!(world.read(index, stranger), None);
            }
            for index in [1, 2, 3, 200] {
                assert_eq!(world.put(index, "x", stranger), Err(NotPut::Unknown));
            }
        }
        // Nobody reads what it wrote itself.
        assert_eq!((world.read(0, recipient(7)), world.read(1, sender(1))), (None, None));
    }

    #[test]
    fn an_address_claims_so_often_in_a_minute_and_learns_no_more() {
        let mut world = World::new();
        world.announce(4821, 1).expect("is new");
        let claim = |world: &mut World, number, party| {
            let message = (0, Bytes::from_static(b"claim"));
            world.codes.put(number, message, (party, HERE), world.now).map(drop)
        };
        assert_eq!(claim(&mut world, 1111, recipient(7)), Err(NotPut::Unknown));
        assert_eq!(claim(&mut world, 2222, recipient(7)), Err(NotPut::Unknown));
        for number in [3333, 4821] {
            let refused = claim(&mut world, number, recipient(7));
            assert_eq!(refused, Err(NotPut::TooManyOfAddress), "a number that is there or not");
        }
        world.wait(30);
        assert_eq!(world.announce(4821, 1), Ok(false), "nobody has spoilt it");
        world.wait(30);
        assert_eq!(claim(&mut world, 4821, recipient(7)), Ok(()));
        // Repeating a claim is none.
        for _ in 0..5 {
            assert_eq!(claim(&mut world, 4821, recipient(7)), Ok(()));
        }
        assert_eq!(world.codes.claims.len(), 1);
        world.wait(200);
        world.codes.sweep(world.now);
        assert!(world.codes.claims.is_empty(), "nothing is kept of an address");
    }

    #[test]
    fn codes_are_bounded_per_account_and_in_all_and_forgotten() {
        let mut world = World::new();
        assert_eq!((world.announce(1111, 1), world.announce(2222, 1)), (Ok(true), Ok(true)));
        assert_eq!(world.announce(3333, 1), Err(NotAnnounced::TooManyOfAccount));
        assert_eq!(world.announce(4821, 2), Ok(true));
        assert_eq!(world.announce(4444, 3), Err(NotAnnounced::TooMany));
        world.wait(59);
        assert_eq!(world.read(0, sender(2)), Some(None), "its sender is there");
        world.wait(1);
        world.codes.sweep(world.now);
        assert_eq!(world.codes.known(), 1, "those of nobody are gone");
        // Once it was claimed, asking keeps it no longer.
        world.put(0, "claim", recipient(7)).expect("the first");
        world.wait(119);
        assert!(world.read(0, sender(2)).is_some());
        world.wait(1);
        assert_eq!(world.read(0, sender(2)), None);
    }
}

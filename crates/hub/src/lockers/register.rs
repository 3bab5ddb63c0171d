//! All lockers: what they may take, who is let in, who may begin a download, which are due.
//!
//! Pure: seconds since 1970 are an argument, and the disk is the driver's. Beside each locker lies a `D`, which is the
//! driver's as well.

use std::collections::HashMap;
use std::time::Duration;

use hub_api::{DeliveryEnd, DeliveryParty, DeliverySide, DeliveryStatus, Hex, LockerStatus};
use hub_db::AccountKey;

use super::facts::{EXPIRED, Facts, UNFED, USED_UP};
use crate::config::LockerConfig;
use crate::deliveries::Asker;

/// Lockers of one account, those that are over included.
const PER_ACCOUNT_MAX: usize = 100;
/// All of them: each is a directory, and some KiB in memory.
const LOCKERS_MAX: usize = 10_000;
/// How long a locker that is not full waits for the next segment.
const UNFED_TIME: Duration = Duration::from_hours(24);
/// How long it is known of one that is over how it ended, and what was signed.
const REMEMBERED_TIME: Duration = Duration::from_hours(30 * 24);
/// How long a download that was begun keeps others from the last place after its last request.
const BEGUN_TIME: Duration = Duration::from_mins(10);
/// How long a side counts as here after a request.
const PRESENCE_TIME: Duration = Duration::from_secs(30);

/// Why a delivery gets no locker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotOpened {
    /// The operator did not switch lockers on.
    #[error("the operator of this hub allows no lockers")]
    Off,
    /// It is to be kept longer than the operator allows.
    #[error("this hub keeps a delivery {} hours at most", .0.as_secs() / 3600)]
    TooLong(Duration),
    /// The account's quota has no room for it.
    #[error("it takes {charge} bytes, and the account has {left} of its {quota} left")]
    AccountFull {
        /// What it takes.
        charge: u64,
        /// What is left.
        left: u64,
        /// What the account may take.
        quota: u64,
    },
    /// All lockers together, or the disk, have no room for it.
    #[error("the hub's lockers have no room for {0} bytes")]
    Full(u64),
    /// There is one, or a delivery, with this id and other values.
    #[error("a delivery with this id has other values")]
    Conflict,
    /// The account has as many as one may have.
    #[error("the account's other lockers first: take their receipts, or end them")]
    TooManyOfAccount,
    /// The hub has as many as it may have.
    #[error("too many lockers at once")]
    TooMany,
}

/// Whether a download may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Admitted,
    /// The last place is somebody else's for now.
    Busy,
    /// There is none any more.
    UsedUp,
}

/// What is to be done with a locker because of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// It ends for this reason.
    End(&'static str),
    /// Nobody needs it any more.
    Forget,
}

/// One locker.
#[derive(Debug)]
pub(super) struct Kept<D> {
    pub(super) facts: Facts,
    /// Segments on the disk, all from the first on.
    pub(super) kept: u64,
    /// Segments that a recipient says it has.
    verified: u64,
    /// When it was opened, or a segment came last.
    fed: u64,
    /// Downloads that were begun, and when each was seen last.
    begun: Vec<(Hex<16>, u64)>,
    sides: [DeliverySide; 2],
    seen: [u64; 2],
    change: u64,
    pub(super) beside: D,
}

impl<D> Kept<D> {
    /// `now` begins the numbers of changes, so that none is given twice after a restart.
    pub(super) fn new(facts: Facts, kept: u64, beside: D, now: u64) -> Self {
        let absent = DeliverySide { here: false, since: now };
        Self {
            facts,
            kept,
            verified: 0,
            fed: now,
            begun: Vec::new(),
            sides: [absent; 2],
            seen: [0; 2],
            change: now << 20,
            beside,
        }
    }

    /// The number of the newest change.
    pub(super) fn change(&self) -> u64 {
        self.change
    }

    /// A request of one side came.
    pub(super) fn handle_request(&mut self, by: DeliveryParty, now: u64) {
        let side = match by {
            DeliveryParty::Sender => 0,
            DeliveryParty::Recipient => 1,
            DeliveryParty::Hub => return,
        };
        let gone = self.seen[side] + PRESENCE_TIME.as_secs();
        self.seen[side] = now;
        if !self.sides[side].here || gone <= now {
            self.sides[side] = DeliverySide { here: true, since: now };
            self.change += 1;
        }
    }

    /// So many segments are on the disk.
    pub(super) fn handle_kept(&mut self, kept: u64, now: u64) {
        self.kept = self.kept.max(kept);
        self.fed = now;
        self.change += 1;
    }

    /// A recipient says that it has so many segments; `None` when it cannot.
    pub(super) fn handle_verified(&mut self, segments: u64) -> Option<()> {
        if segments > self.kept {
            return None;
        }
        if segments > self.verified {
            self.verified = segments;
            self.change += 1;
        }
        Some(())
    }

    /// Its facts are these now, on the disk as well.
    pub(super) fn handle_facts(&mut self, facts: Facts) {
        self.facts = facts;
        self.change += 1;
    }

    /// Whether a download may go on, and counts as begun then.
    pub(super) fn admit(&mut self, download: Hex<16>, now: u64) -> Admission {
        let Some(most) = self.facts.downloads_max.map(|most| most as usize) else {
            return Admission::Admitted;
        };
        if self.facts.downloads.iter().any(|known| known.id == download) {
            return Admission::Admitted;
        }
        if self.facts.downloads.len() >= most {
            return Admission::UsedUp;
        }
        let counted = &self.facts.downloads;
        self.begun.retain(|(id, last)| {
            let is_recent = now.saturating_sub(*last) < BEGUN_TIME.as_secs();
            is_recent && counted.iter().all(|known| known.id != *id)
        });
        if let Some((_, last)) = self.begun.iter_mut().find(|(id, _)| *id == download) {
            *last = now;
            return Admission::Admitted;
        }
        if self.facts.downloads.len() + self.begun.len() >= most {
            return Admission::Busy;
        }
        self.begun.push((download, now));
        Admission::Admitted
    }

    /// How it ended for whoever asks, if it did.
    fn ended(&self, download: Option<Hex<16>>, now: u64) -> Option<DeliveryEnd> {
        let by_hub =
            |reason: &str| Some(DeliveryEnd { by: DeliveryParty::Hub, reason: reason.to_owned() });
        let facts = &self.facts;
        if facts.ended.is_some() {
            return facts.ended.clone();
        }
        // Who has it all is not told that it is over.
        let has_it = |id| facts.downloads.iter().any(|known| known.id == id && known.is_received);
        let download = download?;
        if has_it(download) {
            return None;
        }
        let is_used_up = facts.downloads_max.is_some_and(|most| {
            facts.downloads.len() >= most as usize
                && facts.downloads.iter().all(|known| known.id != download)
        });
        if is_used_up || facts.is_over() && facts.receipt.is_some() && facts.until > now {
            return by_hub(USED_UP);
        }
        if facts.is_over() || facts.until <= now { by_hub(EXPIRED) } else { None }
    }

    /// How it stands, for its sender, or for whoever goes on with a download.
    pub(super) fn status(&self, download: Option<Hex<16>>, now: u64) -> DeliveryStatus {
        let facts = &self.facts;
        let side = |at: usize| {
            let gone = self.seen[at] + PRESENCE_TIME.as_secs();
            let DeliverySide { here, since } = self.sides[at];
            if here && gone <= now {
                DeliverySide { here: false, since: gone }
            } else {
                DeliverySide { here, since }
            }
        };
        // More recipients may come while it is not over; the sender is shown the receipt then.
        let receipt = facts.receipt.clone().filter(|_| facts.is_over() || download.is_some());
        DeliveryStatus {
            segments: facts.segments,
            bytes: facts.bytes,
            next: (!facts.is_over()).then_some(self.kept),
            verified: if receipt.is_some() { facts.segments } else { self.verified },
            sender: side(0),
            recipient: side(1),
            receipt,
            ended: self.ended(download, now),
            change: self.change,
            locker: Some(self.shown()),
            direct: None,
        }
    }

    pub(super) fn shown(&self) -> LockerStatus {
        let downloads = u32::try_from(self.facts.downloads.len()).unwrap_or(u32::MAX);
        let Facts { until, downloads_max, .. } = self.facts;
        LockerStatus { kept: self.kept, until, downloads, downloads_max }
    }

    fn due(&self, now: u64) -> Option<Due> {
        let is_past = |since: u64, time: Duration| now.saturating_sub(since) >= time.as_secs();
        match self.facts.over {
            Some(over) => is_past(over, REMEMBERED_TIME).then_some(Due::Forget),
            None if self.facts.until <= now => Some(Due::End(EXPIRED)),
            None if self.kept < self.facts.segments && is_past(self.fed, UNFED_TIME) => {
                Some(Due::End(UNFED))
            }
            None => None,
        }
    }
}

/// The lockers.
#[derive(Debug)]
pub(super) struct Register<D> {
    config: Option<LockerConfig>,
    lockers: HashMap<[u8; 16], Kept<D>>,
}

impl<D> Register<D> {
    pub(super) fn new(config: Option<LockerConfig>) -> Self {
        Self { config, lockers: HashMap::new() }
    }

    /// One that is on the disk.
    pub(super) fn insert(&mut self, id: [u8; 16], kept: Kept<D>) {
        self.lockers.insert(id, kept);
    }

    pub(super) fn remove(&mut self, id: &[u8; 16]) {
        self.lockers.remove(id);
    }

    pub(super) fn get(&self, id: &[u8; 16]) -> Option<&Kept<D>> {
        self.lockers.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &[u8; 16]) -> Option<&mut Kept<D>> {
        self.lockers.get_mut(id)
    }

    pub(super) fn ids(&self) -> Vec<[u8; 16]> {
        self.lockers.keys().copied().collect()
    }

    /// Whether a locker with these facts may be opened, `seconds` long: `Ok(false)` when it is here already. One of the
    /// account's that is over and has no receipt may have to be forgotten for it, see `given_up`.
    pub(super) fn check(
        &self,
        id: &[u8; 16],
        facts: &Facts,
        seconds: u64,
        free_bytes: u64,
    ) -> Result<bool, NotOpened> {
        if let Some(kept) = self.lockers.get(id) {
            return if kept.facts.is_of(facts) { Ok(false) } else { Err(NotOpened::Conflict) };
        }
        let Some(config) = &self.config else { return Err(NotOpened::Off) };
        if seconds > config.time_max.as_secs() || seconds == 0 {
            return Err(NotOpened::TooLong(config.time_max));
        }
        let charge = facts.charge();
        let of_account = |kept: &&Kept<D>| kept.facts.sender == facts.sender;
        let charged = |all: &mut dyn Iterator<Item = &Kept<D>>| {
            all.fold(0u64, |sum, kept| sum.saturating_add(kept.facts.charge()))
        };
        let quota = config.account_quota_bytes;
        let left = quota.saturating_sub(charged(&mut self.lockers.values().filter(of_account)));
        if charge > left {
            return Err(NotOpened::AccountFull { charge, left, quota });
        }
        let left = config.quota_bytes.saturating_sub(charged(&mut self.lockers.values()));
        if charge > left.min(free_bytes) {
            return Err(NotOpened::Full(charge));
        }
        let is_full = self.lockers.values().filter(of_account).count() >= PER_ACCOUNT_MAX;
        if is_full && self.given_up(facts.sender).is_none() {
            return Err(NotOpened::TooManyOfAccount);
        }
        if self.lockers.len() >= LOCKERS_MAX {
            return Err(NotOpened::TooMany);
        }
        Ok(true)
    }

    /// The longest that one is kept; `None` when none is opened.
    pub(super) fn time_max(&self) -> Option<Duration> {
        self.config.as_ref().map(|config| config.time_max)
    }

    /// When an account has as many as it may have: the longest over of those without a receipt.
    pub(super) fn given_up(&self, sender: Hex<32>) -> Option<[u8; 16]> {
        let of_account = || self.lockers.iter().filter(|(_, kept)| kept.facts.sender == sender);
        if of_account().count() < PER_ACCOUNT_MAX {
            return None;
        }
        let over = of_account().filter(|(_, kept)| kept.facts.receipt.is_none());
        let over = over.filter_map(|(id, kept)| Some((kept.facts.over?, *id)));
        over.min().map(|(_, id)| id)
    }

    /// The locker if it is here and for this asker; which of the two it is not, nobody learns.
    pub(super) fn find(&mut self, id: &[u8; 16], asker: Asker) -> Option<&mut Kept<D>> {
        let kept = self.lockers.get_mut(id)?;
        let is_let_in = match asker {
            Asker::Sender(AccountKey(key)) => key == kept.facts.sender.0,
            // In constant time, as hashes are compared.
            Asker::Recipient(hash) => hash == kept.facts.recipient.0,
        };
        is_let_in.then_some(kept)
    }

    /// What is to be done because of the time.
    pub(super) fn due(&self, now: u64) -> Vec<([u8; 16], Due)> {
        self.lockers.iter().filter_map(|(id, kept)| Some((*id, kept.due(now)?))).collect()
    }

    /// How many hold segments, and what they take of the quota.
    pub(super) fn totals(&self) -> (u64, u64) {
        let held = self.lockers.values().filter(|kept| !kept.facts.is_over());
        held.fold((0, 0), |(count, bytes), kept| {
            (count + 1, bytes.saturating_add(kept.facts.charge()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::facts;
    use super::*;

    const CONFIG: LockerConfig = LockerConfig {
        quota_bytes: 10 << 20,
        account_quota_bytes: 5 << 20,
        time_max: Duration::from_secs(1000),
    };
    const FREE: u64 = 1 << 40;

    fn kept(segments: u64, downloads: Option<u32>) -> Kept<()> {
        Kept::new(facts(segments, downloads), 0, (), 1000)
    }

    fn of(sender: u8, segments: u64) -> Facts {
        Facts { sender: Hex([sender; 32]), ..facts(segments, None) }
    }

    #[test]
    fn nothing_is_opened_while_the_operator_does_not_allow_it() {
        let register = Register::<()>::new(None);
        let refused = register.check(&[1; 16], &facts(1, None), 1, FREE);
        assert_eq!(refused, Err(NotOpened::Off));
        let register = Register::<()>::new(Some(CONFIG));
        assert_eq!(register.check(&[1; 16], &facts(1, None), 1000, FREE), Ok(true));
        let refused = register.check(&[1; 16], &facts(1, None), 1001, FREE);
        assert_eq!(refused, Err(NotOpened::TooLong(CONFIG.time_max)));
    }

    #[test]
    fn quotas_are_charged_before_a_byte_is_taken_and_given_back_when_it_is_over() {
        let mut register = Register::new(Some(CONFIG));
        let check =
            |register: &Register<()>, facts: &Facts, free| register.check(&[9; 16], facts, 1, free);
        // Nothing of it has come.
        register.insert([1; 16], Kept::new(of(1, 4), 0, (), 1000));
        let refused = check(&register, &of(1, 1), FREE);
        assert!(matches!(refused, Err(NotOpened::AccountFull { .. })), "{refused:?}");
        assert_eq!(check(&register, &of(2, 4), FREE), Ok(true));
        register.insert([2; 16], Kept::new(of(2, 4), 4, (), 1000));
        assert!(matches!(check(&register, &of(3, 4), FREE), Err(NotOpened::Full(_))));
        let huge = Facts { bytes: u64::MAX, segments: 1 << 44, ..of(3, 1) };
        assert!(matches!(check(&register, &huge, FREE), Err(NotOpened::AccountFull { .. })));
        assert!(matches!(check(&register, &of(3, 1), 4096), Err(NotOpened::Full(_))), "the disk");

        let kept = register.get_mut(&[1; 16]).expect("here");
        kept.facts.handle_end(DeliveryParty::Sender, "", 5);
        assert_eq!(check(&register, &of(1, 4), FREE), Ok(true));
        assert_eq!(check(&register, &of(3, 4), FREE), Ok(true));
        assert_eq!(register.totals().0, 1);
    }

    #[test]
    fn the_same_request_finds_its_locker_and_another_one_is_a_conflict() {
        let mut register = Register::new(Some(CONFIG));
        register.insert([1; 16], kept(1, None));
        let again = |facts: &Facts| register.check(&[1; 16], facts, 1, FREE);
        assert_eq!(again(&Facts { until: 99, ..facts(1, None) }), Ok(false));
        for other in [of(2, 1), facts(2, None), facts(1, Some(1))] {
            assert_eq!(again(&other), Err(NotOpened::Conflict));
        }
    }

    #[test]
    fn only_its_sender_and_its_recipient_find_a_locker() {
        let mut register = Register::new(Some(CONFIG));
        let token = *blake3::hash(&[7; 32]).as_bytes();
        let facts = Facts { recipient: Hex(token), ..facts(1, None) };
        register.insert([1; 16], Kept::new(facts, 0, (), 1000));
        let mut finds = |id, asker| register.find(&[id; 16], asker).is_some();
        assert!(finds(1, Asker::Sender(AccountKey([1; 32]))));
        assert!(!finds(1, Asker::Sender(AccountKey([2; 32]))));
        assert!(finds(1, Asker::Recipient(blake3::hash(&[7; 32]))));
        assert!(!finds(1, Asker::Recipient(blake3::hash(&[8; 32]))));
        assert!(!finds(2, Asker::Sender(AccountKey([1; 32]))));
    }

    #[test]
    fn two_at_the_last_download_do_not_both_get_it() {
        let mut kept = kept(1, Some(1));
        let (first, second) = (Hex([1; 16]), Hex([2; 16]));
        assert_eq!(kept.admit(first, 1000), Admission::Admitted);
        assert_eq!(kept.admit(second, 1001), Admission::Busy);
        assert_eq!(kept.status(Some(second), 1001).ended, None, "it may be given up yet");
        // Given up: the place is free, and whoever is first has it.
        let later = 1000 + BEGUN_TIME.as_secs();
        assert_eq!(kept.admit(second, later), Admission::Admitted);
        assert_eq!(kept.admit(first, later + 1), Admission::Busy);
        kept.facts.handle_handed_out(second);
        let much_later = later + 2 * BEGUN_TIME.as_secs();
        assert_eq!(kept.admit(second, much_later), Admission::Admitted, "it may come back");
        assert_eq!(kept.admit(first, much_later), Admission::UsedUp);
        let told = |id| kept.status(Some(id), 1050).ended.map(|end| end.reason);
        assert_eq!((told(first), told(second)), (Some(USED_UP.to_owned()), None));
    }

    #[test]
    fn each_download_is_counted_once_and_no_more_than_are_allowed() {
        let mut kept = kept(1, Some(3));
        for now in 0..50 {
            for download in 0..20u8 {
                let id = Hex([download; 16]);
                if kept.admit(id, 1000 + now) == Admission::Admitted {
                    kept.facts.handle_handed_out(id);
                }
            }
        }
        assert_eq!(kept.shown().downloads, 3);
        let open = self::kept(1, None).admit(Hex([1; 16]), 5);
        assert_eq!(open, Admission::Admitted, "without a limit nobody is counted");
    }

    #[test]
    fn time_ends_what_is_not_collected_and_what_is_not_filled() {
        let mut register = Register::new(Some(CONFIG));
        let day = UNFED_TIME.as_secs();
        let long = Facts { until: 1000 + 3 * day, ..facts(2, None) };
        register.insert([1; 16], Kept::new(long.clone(), 2, (), 1000));
        register.insert([2; 16], Kept::new(long, 0, (), 1000));
        let due = |register: &Register<()>, now| {
            let mut due = register.due(now);
            due.sort_by_key(|(id, _)| *id);
            due
        };
        assert_eq!(due(&register, 1000 + day - 1), []);
        assert_eq!(due(&register, 1000 + day), [([2; 16], Due::End(UNFED))]);
        register.get_mut(&[2; 16]).expect("here").handle_kept(1, 1000 + day);
        assert_eq!(due(&register, 1000 + 2 * day - 1), []);
        let late = 1000 + 3 * day;
        assert_eq!(due(&register, late).len(), 2);
        let kept = register.get_mut(&[1; 16]).expect("here");
        let told = kept.status(Some(Hex([0; 16])), late).ended.map(|end| end.reason);
        assert_eq!(told, Some(EXPIRED.to_owned()), "at once, before anybody has cleaned up");
        kept.facts.handle_receipt(Hex([0; 16]), vec![1], late);
        assert_eq!(kept.status(None, late + 1).receipt.map(|it| it.0), Some(vec![1]));
        register.remove(&[2; 16]);
        let forgotten = late + REMEMBERED_TIME.as_secs();
        assert_eq!(due(&register, forgotten - 1), []);
        assert_eq!(due(&register, forgotten), [([1; 16], Due::Forget)]);
    }

    #[test]
    fn an_account_with_many_lockers_gives_up_what_is_over_and_never_a_receipt() {
        let roomy = LockerConfig { quota_bytes: FREE, account_quota_bytes: FREE, ..CONFIG };
        let mut register = Register::new(Some(roomy));
        for number in 0..PER_ACCOUNT_MAX {
            let mut facts = facts(1, None);
            facts.handle_receipt(Hex([0; 16]), vec![1], 50);
            register.insert((number as u128).to_le_bytes(), Kept::new(facts, 1, (), 1));
        }
        let asked = |register: &Register<()>| register.check(&[9; 16], &facts(1, None), 1, FREE);
        assert_eq!(asked(&register), Err(NotOpened::TooManyOfAccount));
        let one = register.get_mut(&[0; 16]).expect("here");
        (one.facts.receipt, one.facts.over) = (None, Some(7));
        assert_eq!(asked(&register), Ok(true));
        assert_eq!(register.given_up(Hex([1; 32])), Some([0; 16]));
        assert_eq!(register.given_up(Hex([2; 32])), None);
    }
}

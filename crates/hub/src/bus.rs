//! Tells waiting streams that a name has a new release, or that something of a community is new.
//!
//! Messages only wake: what happened is read from the database. What happened here is told to the other front-ends
//! of the hub, too, through a [`Post`]; a hub that is alone has an empty one.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hub_api::{CommunityNews, Hex};
use hub_db::{AccountKey, CommunityKey, NameId};
use tokio::sync::Notify;

use crate::cluster::{Post, Wake};

/// The hub's bus.
///
/// Who waits is found by what is waited for: thousands of targets wait, and most of what is told is
/// for one of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bus {
    /// Who waits in this process.
    ears: Arc<Mutex<Ears>>,
    post: Post,
}

/// Who waits for what.
#[derive(Debug, Default)]
struct Ears {
    names: HashMap<NameId, Vec<Arc<Notify>>>,
    peers: HashMap<CommunityKey, HashMap<AccountKey, Vec<Arc<Ear>>>>,
    /// Who is told of what is for others, to pass it on: among the peers, too.
    carriers: HashMap<CommunityKey, Vec<Arc<Ear>>>,
    /// Who waits for a step of a joining, with no key.
    joining: HashMap<CommunityKey, Vec<Arc<Ear>>>,
}

/// What one listener was told and has not taken.
#[derive(Debug, Default)]
struct Ear {
    told: Mutex<Vec<CommunityNews>>,
    woken: Notify,
    is_manager: AtomicBool,
    is_mirror: AtomicBool,
}

/// Waits for one name.
#[derive(Debug)]
pub(crate) struct Waiter {
    bus: Bus,
    name: NameId,
    woken: Arc<Notify>,
}

/// Waits for news of one community.
#[derive(Debug)]
pub(crate) struct Listener {
    bus: Bus,
    community: CommunityKey,
    key: Option<AccountKey>,
    ear: Arc<Ear>,
}

impl Bus {
    /// One that tells other front-ends, too.
    pub(crate) fn new(post: Post) -> Self {
        Self { ears: Arc::default(), post }
    }

    /// Wakes those who wait here for what another front-end told.
    pub(crate) fn wake(&self, wake: &Wake) {
        match wake {
            Wake::Released { name } => self.released_here(NameId::from_number(*name)),
            Wake::Changed { community } => self.changed_here(CommunityKey(community.0)),
            Wake::Queued { community, targets } => {
                let targets: Vec<_> = targets.iter().map(|key| AccountKey(key.0)).collect();
                self.queued_here(CommunityKey(community.0), &targets);
            }
            Wake::Answered { community, publisher } => {
                self.answered_here(CommunityKey(community.0), AccountKey(publisher.0));
            }
            Wake::Joined { community } => self.joined_here(CommunityKey(community.0)),
            Wake::Everything => self.ears().tell_everybody(),
            Wake::Person { .. } | Wake::Listens { .. } | Wake::Ended { .. } | Wake::TakenAway => {}
        }
    }

    pub(crate) fn released(&self, name: NameId) {
        self.post.tell(Wake::released(name));
        self.released_here(name);
    }

    fn released_here(&self, name: NameId) {
        let ears = self.ears();
        ears.names.get(&name).into_iter().flatten().for_each(|woken| woken.notify_one());
    }

    /// The charter, the roster or its renewal is new.
    pub(crate) fn changed(&self, community: CommunityKey) {
        self.post.tell(Wake::Changed { community: Hex(community.0) });
        self.changed_here(community);
    }

    fn changed_here(&self, community: CommunityKey) {
        self.ears().all_of(&community).for_each(|ear| ear.tell(CommunityNews::Standing));
    }

    /// A release waits for these.
    pub(crate) fn queued(&self, community: CommunityKey, targets: &[AccountKey]) {
        Wake::queued(community, targets).for_each(|wake| self.post.tell(wake));
        self.queued_here(community, targets);
    }

    fn queued_here(&self, community: CommunityKey, targets: &[AccountKey]) {
        self.tell(&community, targets, CommunityNews::Queue);
        let ears = self.ears();
        let carriers = ears.carriers.get(&community).into_iter().flatten();
        carriers.for_each(|ear| ear.tell(CommunityNews::Queue));
    }

    /// A receipt waits for a publisher, or a target began with what it sent.
    pub(crate) fn answered(&self, community: CommunityKey, publisher: AccountKey) {
        let (key, publisher_key) = (Hex(community.0), Hex(publisher.0));
        self.post.tell(Wake::Answered { community: key, publisher: publisher_key });
        self.answered_here(community, publisher);
    }

    fn answered_here(&self, community: CommunityKey, publisher: AccountKey) {
        self.tell(&community, &[publisher], CommunityNews::Receipts);
        let ears = self.ears();
        let carriers = ears.carriers.get(&community).into_iter().flatten();
        let mirrors = carriers.filter(|ear| ear.is_mirror.load(Ordering::Relaxed));
        mirrors.for_each(|ear| ear.tell(CommunityNews::Receipts));
    }

    /// A joining has come, or is a step further.
    pub(crate) fn joined(&self, community: CommunityKey) {
        self.post.tell(Wake::Joined { community: Hex(community.0) });
        self.joined_here(community);
    }

    fn joined_here(&self, community: CommunityKey) {
        let ears = self.ears();
        let managers = ears.all_of(&community).filter(|ear| ear.is_manager.load(Ordering::Relaxed));
        managers.for_each(|ear| ear.tell(CommunityNews::Joins));
    }

    fn tell(&self, community: &CommunityKey, keys: &[AccountKey], news: CommunityNews) {
        let ears = self.ears();
        let Some(peers) = ears.peers.get(community) else { return };
        keys.iter().filter_map(|key| peers.get(key)).flatten().for_each(|ear| ear.tell(news));
    }

    fn ears(&self) -> MutexGuard<'_, Ears> {
        self.ears.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn waiter(&self, name: NameId) -> Waiter {
        let woken = Arc::new(Notify::new());
        self.ears().names.entry(name).or_default().push(Arc::clone(&woken));
        Waiter { bus: self.clone(), name, woken }
    }

    /// Listens as the peer with this key.
    pub(crate) fn listener(&self, community: CommunityKey, key: AccountKey) -> Listener {
        self.listen(community, Some(key))
    }

    /// Listens for the steps of joinings, as managers do.
    pub(crate) fn join_listener(&self, community: CommunityKey) -> Listener {
        let listener = self.listen(community, None);
        listener.set_manager(true);
        listener
    }

    fn listen(&self, community: CommunityKey, key: Option<AccountKey>) -> Listener {
        let ear = Arc::new(Ear::default());
        let mut ears = self.ears();
        let place = match key {
            Some(key) => ears.peers.entry(community).or_default().entry(key).or_default(),
            None => ears.joining.entry(community).or_default(),
        };
        // One is usual, and there are thousands of places.
        place.reserve_exact(1);
        place.push(Arc::clone(&ear));
        drop(ears);
        Listener { bus: self.clone(), community, key, ear }
    }
}

impl Ears {
    /// Anything may be new for anybody.
    fn tell_everybody(&self) {
        self.names.values().flatten().for_each(|woken| woken.notify_one());
        let peers = self.peers.values().flat_map(HashMap::values).flatten();
        let all = peers.chain(self.joining.values().flatten());
        for ear in all {
            for news in [CommunityNews::Standing, CommunityNews::Queue, CommunityNews::Receipts] {
                ear.tell(news);
            }
            if ear.is_manager.load(Ordering::Relaxed) {
                ear.tell(CommunityNews::Joins);
            }
        }
    }

    fn all_of(&self, community: &CommunityKey) -> impl Iterator<Item = &Arc<Ear>> {
        let peers = self.peers.get(community).into_iter().flat_map(HashMap::values).flatten();
        peers.chain(self.joining.get(community).into_iter().flatten())
    }
}

impl Ear {
    fn tell(&self, news: CommunityNews) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.contains(&news) {
            told.push(news);
            self.woken.notify_one();
        }
    }
}

/// Takes one of those that wait at `key` out, and the place when it was the last.
fn leave<K: Eq + Hash, T>(places: &mut HashMap<K, Vec<Arc<T>>>, key: &K, who: &Arc<T>) {
    let Some(place) = places.get_mut(key) else { return };
    place.retain(|other| !Arc::ptr_eq(other, who));
    if place.is_empty() {
        places.remove(key);
    }
}

impl Waiter {
    /// Returns after a release of the name since the last call, or sooner.
    pub(crate) async fn woken(&mut self) {
        self.woken.notified().await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        leave(&mut self.bus.ears().names, &self.name, &self.woken);
    }
}

impl Listener {
    /// Whether to listen as a manager, too.
    pub(crate) fn set_manager(&self, is_manager: bool) {
        self.ear.is_manager.store(is_manager, Ordering::Relaxed);
    }

    /// Whether to hear what is for others, too: releases as a relay, receipts beside them as who mirrors
    /// the community.
    pub(crate) fn set_carrier(&self, is_relay: bool, is_mirror: bool) {
        self.ear.is_mirror.store(is_mirror, Ordering::Relaxed);
        let mut ears = self.bus.ears();
        leave(&mut ears.carriers, &self.community, &self.ear);
        if is_relay || is_mirror {
            ears.carriers.entry(self.community).or_default().push(Arc::clone(&self.ear));
        }
    }

    /// What is new since the last call, each once.
    pub(crate) async fn news(&mut self) -> Vec<CommunityNews> {
        loop {
            let told =
                std::mem::take(&mut *self.ear.told.lock().unwrap_or_else(PoisonError::into_inner));
            if !told.is_empty() {
                return told;
            }
            self.ear.woken.notified().await;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut ears = self.bus.ears();
        leave(&mut ears.carriers, &self.community, &self.ear);
        let Some(key) = &self.key else {
            leave(&mut ears.joining, &self.community, &self.ear);
            return;
        };
        let Some(peers) = ears.peers.get_mut(&self.community) else { return };
        leave(peers, key, &self.ear);
        if peers.is_empty() {
            ears.peers.remove(&self.community);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMUNITY: CommunityKey = CommunityKey([1; 16]);

    fn key(number: u8) -> AccountKey {
        AccountKey([number; 32])
    }

    #[tokio::test]
    async fn news_are_told_once_to_those_they_are_for() {
        let bus = Bus::default();
        let mut target = bus.listener(COMMUNITY, key(5));
        let mut manager = bus.listener(COMMUNITY, key(1));
        manager.set_manager(true);
        bus.changed(CommunityKey([2; 16]));
        bus.joined(COMMUNITY);
        bus.queued(COMMUNITY, &[key(4)]);
        bus.queued(COMMUNITY, &[key(4), key(5)]);
        bus.queued(COMMUNITY, &[key(5)]);
        bus.changed(COMMUNITY);
        assert_eq!(target.news().await, [CommunityNews::Queue, CommunityNews::Standing]);
        assert_eq!(manager.news().await, [CommunityNews::Joins, CommunityNews::Standing]);
        bus.answered(COMMUNITY, key(5));
        assert_eq!(target.news().await, [CommunityNews::Receipts]);
    }

    #[tokio::test]
    async fn releases_are_told_to_relays_and_receipts_to_mirrors() {
        let bus = Bus::default();
        let mut relay = bus.listener(COMMUNITY, key(7));
        relay.set_carrier(true, false);
        let mut mirror = bus.listener(COMMUNITY, key(8));
        mirror.set_carrier(false, true);
        bus.answered(COMMUNITY, key(5));
        bus.queued(COMMUNITY, &[key(4)]);
        assert_eq!(relay.news().await, [CommunityNews::Queue]);
        assert_eq!(mirror.news().await, [CommunityNews::Receipts, CommunityNews::Queue]);
        // Who is no relay any more hears what is for its key alone.
        relay.set_carrier(false, false);
        bus.queued(COMMUNITY, &[key(4)]);
        bus.changed(COMMUNITY);
        assert_eq!(relay.news().await, [CommunityNews::Standing]);
    }

    #[tokio::test]
    async fn what_another_front_end_told_wakes_as_what_happened_here() {
        let (post, mut posted) = Post::new();
        let (bus, elsewhere) = (Bus::new(post), Bus::default());
        let mut target = elsewhere.listener(COMMUNITY, key(5));
        let mut waiter = elsewhere.waiter(NameId::from_number(7));
        bus.queued(COMMUNITY, &[key(4), key(5)]);
        bus.changed(COMMUNITY);
        bus.answered(COMMUNITY, key(5));
        bus.released(NameId::from_number(7));
        for _ in 0..4 {
            elsewhere.wake(&posted.next().await.expect("was told"));
        }
        let news = [CommunityNews::Queue, CommunityNews::Standing, CommunityNews::Receipts];
        assert_eq!(target.news().await, news);
        waiter.woken().await;
        elsewhere.wake(&Wake::Everything);
        assert_eq!(target.news().await.len(), 3);
        waiter.woken().await;
    }

    #[tokio::test]
    async fn whoever_has_gone_leaves_no_place_behind() {
        let bus = Bus::default();
        let (one, other) = (bus.listener(COMMUNITY, key(5)), bus.listener(COMMUNITY, key(5)));
        let joining = bus.join_listener(COMMUNITY);
        one.set_carrier(true, true);
        drop(one);
        bus.changed(COMMUNITY);
        let mut other = other;
        assert_eq!(other.news().await, [CommunityNews::Standing], "its neighbour went");
        drop((other, joining));
        let ears = bus.ears();
        assert!(ears.peers.is_empty() && ears.joining.is_empty() && ears.carriers.is_empty());
    }
}

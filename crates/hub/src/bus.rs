//! Tells waiting streams that a name has a new release, or that something of a community is new.
//!
//! Messages only wake: what happened is read from the database, so a stream that missed some
//! messages misses nothing for good.

use std::sync::Arc;

use hub_api::CommunityNews;
use hub_db::{AccountKey, CommunityKey, NameId};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// Wake-ups a slow stream may fall behind before it is woken for nothing once.
const BACKLOG: usize = 256;

/// All there can be, for whoever may have missed some.
const ALL_NEWS: [CommunityNews; 4] =
    [CommunityNews::Standing, CommunityNews::Queue, CommunityNews::Receipts, CommunityNews::Joins];

#[derive(Debug, Clone)]
enum Message {
    Released(NameId),
    OfCommunity(CommunityKey, CommunityNews, Readers),
}

/// Whom news of a community are for.
#[derive(Debug, Clone)]
enum Readers {
    Everybody,
    Managers,
    /// These, and whoever passes on what is for them.
    KeysAnd(Carrier, Arc<[AccountKey]>),
}

/// Who passes something on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    /// Releases go down, with relays and mirrors.
    Relay,
    /// Receipts go up, with mirrors.
    Mirror,
}

/// The hub's bus within one process.
#[derive(Debug, Clone)]
pub(crate) struct Bus(broadcast::Sender<Message>);

/// Waits for one name.
#[derive(Debug)]
pub(crate) struct Waiter {
    name: NameId,
    receiver: broadcast::Receiver<Message>,
}

/// Waits for news of one community.
#[derive(Debug)]
pub(crate) struct Listener {
    community: CommunityKey,
    key: Option<AccountKey>,
    /// Whether to listen as a manager, too.
    pub(crate) is_manager: bool,
    /// Whether to listen as a relay, too.
    pub(crate) is_relay: bool,
    /// Whether to listen as who mirrors it, too.
    pub(crate) is_mirror: bool,
    receiver: broadcast::Receiver<Message>,
}

impl Default for Bus {
    fn default() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }
}

impl Bus {
    pub(crate) fn released(&self, name: NameId) {
        self.send(Message::Released(name));
    }

    /// The charter, the roster or its renewal is new.
    pub(crate) fn changed(&self, community: CommunityKey) {
        self.of_community(community, CommunityNews::Standing, Readers::Everybody);
    }

    /// A release waits for these.
    pub(crate) fn queued(&self, community: CommunityKey, targets: Vec<AccountKey>) {
        let readers = Readers::KeysAnd(Carrier::Relay, targets.into());
        self.of_community(community, CommunityNews::Queue, readers);
    }

    /// A receipt waits for a publisher.
    pub(crate) fn answered(&self, community: CommunityKey, publisher: AccountKey) {
        let readers = Readers::KeysAnd(Carrier::Mirror, [publisher].into());
        self.of_community(community, CommunityNews::Receipts, readers);
    }

    /// A joining has come, or is a step further.
    pub(crate) fn joined(&self, community: CommunityKey) {
        self.of_community(community, CommunityNews::Joins, Readers::Managers);
    }

    fn of_community(&self, community: CommunityKey, news: CommunityNews, readers: Readers) {
        self.send(Message::OfCommunity(community, news, readers));
    }

    fn send(&self, message: Message) {
        // No receiver is no failure: nobody waits.
        let _ = self.0.send(message);
    }

    pub(crate) fn waiter(&self, name: NameId) -> Waiter {
        Waiter { name, receiver: self.0.subscribe() }
    }

    /// Listens as the peer with this key.
    pub(crate) fn listener(&self, community: CommunityKey, key: AccountKey) -> Listener {
        let receiver = self.0.subscribe();
        let (is_manager, is_relay, is_mirror) = (false, false, false);
        Listener { community, key: Some(key), is_manager, is_relay, is_mirror, receiver }
    }

    /// Listens for the steps of joinings, as managers do.
    pub(crate) fn join_listener(&self, community: CommunityKey) -> Listener {
        let (is_manager, is_relay, is_mirror) = (true, false, false);
        let receiver = self.0.subscribe();
        Listener { community, key: None, is_manager, is_relay, is_mirror, receiver }
    }
}

impl Waiter {
    /// Returns after a release of the name since the last call, or sooner.
    pub(crate) async fn woken(&mut self) {
        loop {
            match self.receiver.recv().await {
                Ok(Message::Released(name)) if name == self.name => return,
                Ok(Message::Released(_) | Message::OfCommunity(..)) => {}
                Err(RecvError::Lagged(_)) => return,
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl Listener {
    /// What is new since the last call, each once; what was missed may be new.
    pub(crate) async fn news(&mut self) -> Vec<CommunityNews> {
        let mut news = Vec::new();
        while news.is_empty() {
            match self.receiver.recv().await {
                Ok(message) => self.note(&message, &mut news),
                Err(RecvError::Lagged(_)) => news = ALL_NEWS.to_vec(),
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
        // Whatever came at the same time is told at once.
        loop {
            match self.receiver.try_recv() {
                Ok(message) => self.note(&message, &mut news),
                Err(TryRecvError::Lagged(_)) => news = ALL_NEWS.to_vec(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return news,
            }
        }
    }

    fn note(&self, message: &Message, news: &mut Vec<CommunityNews>) {
        let Message::OfCommunity(community, what, readers) = message else { return };
        let is_ours = *community == self.community
            && match readers {
                Readers::Everybody => true,
                Readers::Managers => self.is_manager,
                Readers::KeysAnd(carrier, keys) => {
                    let carries = match carrier {
                        Carrier::Relay => self.is_relay || self.is_mirror,
                        Carrier::Mirror => self.is_mirror,
                    };
                    carries || self.key.is_some_and(|key| keys.contains(&key))
                }
            };
        if is_ours && !news.contains(what) {
            news.push(*what);
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
        manager.is_manager = true;
        bus.changed(CommunityKey([2; 16]));
        bus.joined(COMMUNITY);
        bus.queued(COMMUNITY, vec![key(4)]);
        bus.queued(COMMUNITY, vec![key(4), key(5)]);
        bus.queued(COMMUNITY, vec![key(5)]);
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
        relay.is_relay = true;
        let mut mirror = bus.listener(COMMUNITY, key(8));
        mirror.is_mirror = true;
        bus.answered(COMMUNITY, key(5));
        bus.queued(COMMUNITY, vec![key(4)]);
        assert_eq!(relay.news().await, [CommunityNews::Queue]);
        assert_eq!(mirror.news().await, [CommunityNews::Receipts, CommunityNews::Queue]);
    }

    #[tokio::test]
    async fn whoever_fell_behind_is_told_everything() {
        let bus = Bus::default();
        let mut target = bus.listener(COMMUNITY, key(5));
        for _ in 0..=BACKLOG {
            bus.changed(CommunityKey([2; 16]));
        }
        assert_eq!(target.news().await, ALL_NEWS);
    }
}

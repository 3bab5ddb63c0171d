//! What front-ends tell each other: that something is new, never what.
//!
//! It goes through the database as a line of JSON and wakes those who wait at other front-ends; they ask for what is
//! new, as who waits here does. What is lost on the way, because the connection broke or too much was told at
//! once, is made up for by waking everybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hub_api::{Hex, PersonNews};
use hub_db::{AccountKey, CommunityKey, FrontEndId, NameId, PersonId};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// Keys in one text: PostgreSQL takes 8,000 bytes.
const KEYS_MAX: usize = 100;

/// What waits to be told; beyond it everybody is woken.
const WAITING_MAX: usize = 4096;

/// Something is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Wake {
    /// A name has a release.
    Released { name: i64 },
    /// A community's charter, roster or renewal.
    Changed { community: Hex<16> },
    /// A release waits for these.
    Queued { community: Hex<16>, targets: Vec<Hex<32>> },
    /// A receipt waits for a publisher.
    Answered { community: Hex<16>, publisher: Hex<32> },
    /// A joining is a step further.
    Joined { community: Hex<16> },
    /// For a person.
    Person { person: i64, news: PersonNews },
    /// A device of a person listens at another front-end from now on.
    Listens { person: i64, key: Hex<32> },
    /// A delivery was ended in the database.
    Ended { delivery: Hex<16> },
    /// Rights were taken away.
    TakenAway,
    /// Anything at all may be new.
    Everything,
}

impl Wake {
    pub(crate) fn released(name: NameId) -> Self {
        Self::Released { name: name.number() }
    }

    pub(crate) fn person(person: PersonId, news: PersonNews) -> Self {
        Self::Person { person: person.number(), news }
    }

    /// One for each so many targets.
    pub(crate) fn queued(
        community: CommunityKey,
        targets: &[AccountKey],
    ) -> impl Iterator<Item = Self> {
        targets.chunks(KEYS_MAX).map(move |targets| Self::Queued {
            community: Hex(community.0),
            targets: targets.iter().map(|key| Hex(key.0)).collect(),
        })
    }
}

/// One text: who tells, and what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    from: Hex<16>,
    wake: Wake,
}

impl Told {
    pub(crate) fn text(from: FrontEndId, wake: Wake) -> String {
        let told = Self { from: Hex(from.0), wake };
        serde_json::to_string(&told).expect("ids and kinds are plain data")
    }

    /// What another front-end than this one told; `None` for its own. What cannot be read, of a newer version for
    /// example, may be anything.
    pub(crate) fn by_another(text: &str, own: FrontEndId) -> Option<Wake> {
        match serde_json::from_str(text) {
            Ok(Self { from, .. }) if from.0 == own.0 => None,
            Ok(Self { wake, .. }) => Some(wake),
            Err(error) => {
                tracing::warn!(%error, "another front-end told what this one does not know");
                Some(Wake::Everything)
            }
        }
    }
}

/// What such a text says, as it is written again; `None` when it could be anything.
pub(crate) fn text_again(text: &str) -> Option<String> {
    let told: Told = serde_json::from_str(text).ok()?;
    let from = FrontEndId(told.from.0);
    assert_eq!(Told::by_another(text, from), None, "who tells does not hear it");
    let others = FrontEndId(from.0.map(|byte| !byte));
    assert_eq!(Told::by_another(text, others).as_ref(), Some(&told.wake));
    Some(Told::text(from, told.wake))
}

/// Where what is to be told to other front-ends is put; nowhere when there are none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Post(Option<Outgoing>);

#[derive(Debug, Clone)]
struct Outgoing {
    waiting: mpsc::Sender<Wake>,
    overflowed: Arc<AtomicBool>,
}

/// The other end of a [`Post`].
#[derive(Debug)]
pub(crate) struct Posted {
    waiting: mpsc::Receiver<Wake>,
    overflowed: Arc<AtomicBool>,
}

impl Post {
    pub(crate) fn new() -> (Self, Posted) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let overflowed = Arc::new(AtomicBool::new(false));
        let outgoing = Outgoing { waiting: sender, overflowed: Arc::clone(&overflowed) };
        (Self(Some(outgoing)), Posted { waiting: receiver, overflowed })
    }

    /// Tells the others, soon.
    pub(crate) fn tell(&self, wake: Wake) {
        let Some(outgoing) = &self.0 else { return };
        if outgoing.waiting.try_send(wake).is_err() {
            outgoing.overflowed.store(true, Ordering::Relaxed);
        }
    }
}

impl Posted {
    /// What is to be told next; `None` when there is nobody to tell anything any more.
    pub(crate) async fn next(&mut self) -> Option<Wake> {
        if self.overflowed.swap(false, Ordering::Relaxed) {
            return Some(Wake::Everything);
        }
        self.waiting.recv().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: FrontEndId = FrontEndId([1; 16]);
    const OTHER: FrontEndId = FrontEndId([2; 16]);

    #[test]
    fn what_another_front_end_told_is_read_and_its_own_is_not() {
        let wakes = [
            Wake::Released { name: 7 },
            Wake::person(PersonId::from_number(3), PersonNews::Inbox),
            Wake::Ended { delivery: Hex([9; 16]) },
            Wake::TakenAway,
            Wake::Everything,
        ];
        for wake in wakes {
            let text = Told::text(OTHER, wake.clone());
            assert_eq!(Told::by_another(&text, OWN), Some(wake));
            assert_eq!(Told::by_another(&text, OTHER), None);
        }
    }

    #[test]
    fn what_cannot_be_read_may_be_anything() {
        let long = "x".repeat(100_000);
        for text in ["", "{}", "{\"from\":\"00\",\"wake\":{\"kind\":\"x\"}}", &long] {
            assert_eq!(Told::by_another(text, OWN), Some(Wake::Everything), "{text:.40}");
        }
    }

    #[test]
    fn many_targets_are_told_in_texts_that_fit() {
        let targets = vec![AccountKey([0xff; 32]); 1001];
        let wakes: Vec<_> = Wake::queued(CommunityKey([1; 16]), &targets).collect();
        assert_eq!(wakes.len(), 11);
        for wake in wakes {
            assert!(Told::text(OWN, wake).len() <= 7000);
        }
    }

    #[tokio::test]
    async fn who_has_too_much_to_tell_wakes_everybody() {
        let (post, mut posted) = Post::new();
        for _ in 0..WAITING_MAX {
            post.tell(Wake::TakenAway);
        }
        post.tell(Wake::Released { name: 1 });
        assert_eq!(posted.next().await, Some(Wake::Everything));
        assert_eq!(posted.next().await, Some(Wake::TakenAway));
    }
}

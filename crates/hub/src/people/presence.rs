//! Who of the people listens, and telling them that something is new.
//!
//! Messages only wake: what is new is asked. A person is online while a device of their list listens, and for a
//! while after its line broke: it mostly comes again, and nobody is told of that.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hub_api::{Hex, PersonNews};
use hub_db::{AccountKey, PersonId};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::cluster::{Post, Wake};

/// All there is to ask for.
pub(crate) const EVERYTHING: [PersonNews; 5] = [
    PersonNews::Inbox,
    PersonNews::Outbox,
    PersonNews::Senders,
    PersonNews::Devices,
    PersonNews::Book,
];

/// The people who listen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Presence {
    people: Arc<Mutex<People>>,
    /// Somebody came or went.
    stirred: Arc<Notify>,
    /// Where other front-ends are told.
    post: Post,
    /// How long a person is online after the last line of theirs broke.
    grace: Duration,
}

#[derive(Debug, Default)]
struct People {
    here: HashMap<PersonId, Here>,
    /// Who is gone when that time comes, unless they come again.
    going: BTreeSet<(Instant, PersonId)>,
    /// Who came or went since that was taken.
    changed: BTreeSet<PersonId>,
}

/// A person of whom at least one device listens.
#[derive(Debug, Default)]
struct Here {
    ears: HashMap<AccountKey, Ear>,
    /// Since when one of them is listed, or was until a moment ago.
    online_since: Option<u64>,
    /// When they are gone; the same stands in `going`.
    gone_at: Option<Instant>,
}

/// How a device stops to count for its person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaves {
    /// It is on their list no more.
    AtOnce,
    /// Its line broke.
    AfterGrace,
}

/// What one device was told and has not taken.
#[derive(Debug)]
struct Ear {
    /// Tells it from a later one of the same device.
    told: Arc<Told>,
    is_listed: bool,
}

#[derive(Debug, Default)]
struct Told {
    news: Mutex<BTreeSet<PersonNews>>,
    woken: Notify,
}

/// A device that listens; it is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct PersonListener {
    presence: Presence,
    person: PersonId,
    key: AccountKey,
    told: Arc<Told>,
}

/// What devices hear that stand on no list: whether they do by now.
fn is_for_unlisted(news: PersonNews) -> bool {
    matches!(news, PersonNews::Devices | PersonNews::Elsewhere)
}

impl Told {
    fn tell(&self, news: PersonNews) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).insert(news);
        self.woken.notify_one();
    }
}

impl Here {
    fn is_heard(&self) -> bool {
        self.ears.values().any(|ear| ear.is_listed)
    }
}

impl People {
    /// Decides anew whether a person is online; whether that changed.
    fn look(&mut self, person: PersonId, now: u64, gone_at: Instant) -> bool {
        let Some(here) = self.here.get_mut(&person) else { return false };
        let (is_heard, was_online) = (here.is_heard(), here.online_since.is_some());
        if is_heard {
            here.online_since.get_or_insert(now);
        }
        if is_heard || gone_at <= Instant::now() {
            if let Some(at) = here.gone_at.take() {
                self.going.remove(&(at, person));
            }
            here.online_since = here.online_since.filter(|_| is_heard);
        } else if was_online && here.gone_at.is_none() {
            here.gone_at = Some(gone_at);
            self.going.insert((gone_at, person));
        }
        let is_online = here.online_since.is_some();
        if here.ears.is_empty() && !is_online {
            self.here.remove(&person);
        }
        let has_changed = is_online != was_online;
        if has_changed {
            self.changed.insert(person);
        }
        has_changed
    }

    /// Lets those go whose time is over; when the next one's is.
    fn let_go(&mut self) -> Option<Instant> {
        let now = Instant::now();
        while let Some((at, person)) = self.going.first().copied() {
            if at > now {
                return Some(at);
            }
            self.look(person, 0, at);
            // It stands there no more, also if that person were nowhere.
            self.going.remove(&(at, person));
        }
        None
    }
}

impl Presence {
    /// Of a front-end that tells others, too.
    pub(crate) fn new(post: Post, grace: Duration) -> Self {
        Self { post, grace, ..Self::default() }
    }

    /// Tells those who listen here what another front-end told.
    pub(crate) fn wake(&self, wake: &Wake) {
        match wake {
            Wake::Person { person, news } => {
                self.tell_here(PersonId::from_number(*person), *news);
            }
            Wake::Listens { person, key } => {
                let people = self.people();
                let here = people.here.get(&PersonId::from_number(*person));
                let ear = here.and_then(|here| here.ears.get(&AccountKey(key.0)));
                if let Some(ear) = ear {
                    ear.told.tell(PersonNews::Elsewhere);
                }
            }
            Wake::Everything => {
                let people: Vec<PersonId> = self.people().here.keys().copied().collect();
                for person in people {
                    EVERYTHING.iter().for_each(|news| self.tell_here(person, *news));
                }
            }
            Wake::Released { .. }
            | Wake::Changed { .. }
            | Wake::Queued { .. }
            | Wake::Answered { .. }
            | Wake::Joined { .. }
            | Wake::Ended { .. }
            | Wake::TakenAway => {}
        }
    }

    /// That this person came or went is to be noted still.
    pub(crate) fn note_again(&self, person: PersonId) {
        self.people().changed.insert(person);
        self.stirred.notify_one();
    }

    /// Has it noted anew of everybody here that they are.
    pub(crate) fn note_all(&self) {
        let mut people = self.people();
        let here: Vec<PersonId> = people.here.keys().copied().collect();
        people.changed.extend(here);
        self.stirred.notify_one();
    }

    fn people(&self) -> MutexGuard<'_, People> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to a person's devices and sees who came or went by it.
    fn with<T>(
        &self,
        person: PersonId,
        now: u64,
        leaves: Leaves,
        act: impl FnOnce(&mut Here) -> T,
    ) -> T {
        let mut people = self.people();
        let result = act(people.here.entry(person).or_default());
        let grace = if leaves == Leaves::AfterGrace { self.grace } else { Duration::ZERO };
        let next = people.going.first().copied();
        let has_changed = people.look(person, now, Instant::now() + grace);
        if has_changed || people.going.first().copied() != next {
            self.stirred.notify_one();
        }
        result
    }

    /// A device listens from now on; the same device elsewhere is told, and hears nothing more.
    pub(crate) fn listen(
        &self,
        person: PersonId,
        key: AccountKey,
        is_listed: bool,
        now: u64,
    ) -> PersonListener {
        let told = Arc::new(Told::default());
        let ear = Ear { told: Arc::clone(&told), is_listed };
        let before = self.with(person, now, Leaves::AfterGrace, |here| here.ears.insert(key, ear));
        if let Some(before) = before {
            before.told.tell(PersonNews::Elsewhere);
        }
        self.post.tell(Wake::Listens { person: person.number(), key: Hex(key.0) });
        PersonListener { presence: self.clone(), person, key, told }
    }

    /// Something is new for a person.
    pub(crate) fn tell(&self, person: PersonId, news: PersonNews) {
        self.post.tell(Wake::person(person, news));
        self.tell_here(person, news);
    }

    fn tell_here(&self, person: PersonId, news: PersonNews) {
        let people = self.people();
        let ears = people.here.get(&person).into_iter().flat_map(|here| here.ears.values());
        ears.filter(|ear| ear.is_listed || is_for_unlisted(news))
            .for_each(|ear| ear.told.tell(news));
    }

    /// Since when a person is online.
    pub(crate) fn online_since(&self, person: PersonId) -> Option<u64> {
        self.people().here.get(&person)?.online_since
    }

    /// Who came or went since the last call, each once; waits until somebody does.
    pub(crate) async fn changed(&self) -> BTreeSet<PersonId> {
        loop {
            let (next, changed) = {
                let mut people = self.people();
                (people.let_go(), std::mem::take(&mut people.changed))
            };
            if !changed.is_empty() {
                return changed;
            }
            let stirred = self.stirred.notified();
            match next {
                // Whoever comes or goes meanwhile is looked at first.
                Some(next) => drop(tokio::time::timeout_at(next, stirred).await),
                None => stirred.await,
            }
        }
    }
}

impl PersonListener {
    /// What is new since the last call, each once.
    pub(crate) async fn news(&mut self) -> Vec<PersonNews> {
        loop {
            let news =
                std::mem::take(&mut *self.told.news.lock().unwrap_or_else(PoisonError::into_inner));
            if !news.is_empty() {
                return news.into_iter().collect();
            }
            self.told.woken.notified().await;
        }
    }

    /// The device stands on a list now, or on none.
    pub(crate) fn set_listed(&self, is_listed: bool, now: u64) {
        self.presence.with(self.person, now, Leaves::AtOnce, |here| {
            let own = here.ears.get_mut(&self.key);
            if let Some(ear) = own.filter(|ear| Arc::ptr_eq(&ear.told, &self.told)) {
                ear.is_listed = is_listed;
            }
        });
    }
}

impl Drop for PersonListener {
    fn drop(&mut self) {
        let now = crate::files::unix_now();
        self.presence.with(self.person, now, Leaves::AfterGrace, |here| {
            let is_own = |ear: &Ear| Arc::ptr_eq(&ear.told, &self.told);
            if here.ears.get(&self.key).is_some_and(is_own) {
                here.ears.remove(&self.key);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: PersonId = PersonId::from_number(1);

    fn key(number: u8) -> AccountKey {
        AccountKey([number; 32])
    }

    #[tokio::test]
    async fn a_person_is_online_while_a_listed_device_listens() {
        let presence = Presence::default();
        let unlisted = presence.listen(ANNA, key(3), false, 10);
        assert_eq!(presence.online_since(ANNA), None);
        let first = presence.listen(ANNA, key(1), true, 20);
        assert_eq!(presence.changed().await, [ANNA].into());
        let second = presence.listen(ANNA, key(2), true, 30);
        drop(first);
        assert_eq!(presence.online_since(ANNA), Some(20));
        unlisted.set_listed(true, 40);
        drop(second);
        assert_eq!(presence.online_since(ANNA), Some(20));
        drop(unlisted);
        assert_eq!(presence.online_since(ANNA), None);
        // Who went and came in between is told of once.
        assert_eq!(presence.changed().await, [ANNA].into());
        assert!(presence.people().here.is_empty(), "nobody leaves a place behind");
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_again_in_time_never_went() {
        let grace = Duration::from_secs(15);
        let presence = Presence::new(Post::default(), grace);
        let first = presence.listen(ANNA, key(1), true, 10);
        assert_eq!(presence.changed().await, [ANNA].into());
        drop(first);
        assert_eq!(presence.online_since(ANNA), Some(10), "a moment ago");
        let waits = tokio::time::timeout(grace / 2, presence.changed()).await;
        assert!(waits.is_err(), "nobody is told");
        let again = presence.listen(ANNA, key(1), true, 20);
        let waits = tokio::time::timeout(grace * 2, presence.changed()).await;
        assert!(waits.is_err(), "nobody is told");
        assert_eq!(presence.online_since(ANNA), Some(10));

        // Who does not come again has gone, and nothing is left of them.
        drop(again);
        let began = Instant::now();
        assert_eq!(presence.changed().await, [ANNA].into());
        assert_eq!(began.elapsed(), grace);
        assert_eq!(presence.online_since(ANNA), None);
        let people = presence.people();
        assert!(people.here.is_empty() && people.going.is_empty(), "{people:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_device_that_is_listed_no_more_is_gone_at_once() {
        let presence = Presence::new(Post::default(), Duration::from_secs(15));
        let listener = presence.listen(ANNA, key(1), true, 10);
        listener.set_listed(false, 20);
        assert_eq!(presence.online_since(ANNA), None);
        // Nor does it count when its line breaks afterwards.
        drop(listener);
        assert_eq!(presence.online_since(ANNA), None);
        assert_eq!(presence.changed().await, [ANNA].into());
        assert!(presence.people().here.is_empty());
    }

    #[tokio::test]
    async fn the_same_device_elsewhere_ends_the_stream_before() {
        let presence = Presence::default();
        let mut before = presence.listen(ANNA, key(1), true, 10);
        let mut after = presence.listen(ANNA, key(1), true, 20);
        presence.tell(ANNA, PersonNews::Inbox);
        assert_eq!(before.news().await, [PersonNews::Elsewhere]);
        assert_eq!(after.news().await, [PersonNews::Inbox]);
        drop(before);
        assert_eq!(presence.online_since(ANNA), Some(10), "the other one listens");
        presence.tell(ANNA, PersonNews::Book);
        assert_eq!(after.news().await, [PersonNews::Book]);
    }

    #[tokio::test]
    async fn a_device_that_listens_at_another_front_end_is_told_here() {
        let (post, mut posted) = Post::new();
        let (one, other) = (Presence::default(), Presence::new(post, Duration::ZERO));
        let mut before = one.listen(ANNA, key(1), true, 10);
        let mut second = one.listen(ANNA, key(2), true, 10);
        let _after = other.listen(ANNA, key(1), true, 20);
        other.tell(ANNA, PersonNews::Inbox);
        for _ in 0..2 {
            one.wake(&posted.next().await.expect("was told"));
        }
        let both: Vec<_> = before.news().await;
        assert!(both.contains(&PersonNews::Elsewhere), "{both:?}");
        assert_eq!(second.news().await, [PersonNews::Inbox]);
        one.wake(&Wake::Everything);
        assert_eq!(second.news().await.len(), EVERYTHING.len());
    }

    #[tokio::test]
    async fn a_device_on_no_list_hears_of_lists_alone() {
        let presence = Presence::default();
        let mut unlisted = presence.listen(ANNA, key(3), false, 10);
        for news in [PersonNews::Inbox, PersonNews::Senders, PersonNews::Book, PersonNews::Outbox] {
            presence.tell(ANNA, news);
        }
        presence.tell(ANNA, PersonNews::Devices);
        assert_eq!(unlisted.news().await, [PersonNews::Devices]);
    }
}

//! Who of the people listens, and telling them that something is new.
//!
//! Messages only wake: what is new is asked. A person is online while a device of their list listens.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hub_api::{Hex, PersonNews};
use hub_db::{AccountKey, PersonId};
use tokio::sync::Notify;

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
}

#[derive(Debug, Default)]
struct People {
    here: HashMap<PersonId, Here>,
    /// Who came or went since that was taken.
    changed: BTreeSet<PersonId>,
}

/// A person of whom at least one device listens.
#[derive(Debug, Default)]
struct Here {
    ears: HashMap<AccountKey, Ear>,
    /// Since when one of them is listed.
    online_since: Option<u64>,
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
    /// Decides anew whether they are online; whether that changed.
    fn look(&mut self, now: u64) -> bool {
        let is_online = self.ears.values().any(|ear| ear.is_listed);
        let has_changed = is_online != self.online_since.is_some();
        if has_changed {
            self.online_since = is_online.then_some(now);
        }
        has_changed
    }
}

impl Presence {
    /// Of a front-end that tells others, too.
    pub(crate) fn new(post: Post) -> Self {
        Self { post, ..Self::default() }
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
    fn with<T>(&self, person: PersonId, now: u64, act: impl FnOnce(&mut Here) -> T) -> T {
        let mut people = self.people();
        let here = people.here.entry(person).or_default();
        let result = act(here);
        let (has_changed, is_empty) = (here.look(now), here.ears.is_empty());
        if is_empty {
            people.here.remove(&person);
        }
        if has_changed {
            people.changed.insert(person);
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
        let before = self.with(person, now, |here| here.ears.insert(key, ear));
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
            let changed = std::mem::take(&mut self.people().changed);
            if !changed.is_empty() {
                return changed;
            }
            self.stirred.notified().await;
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
        self.presence.with(self.person, now, |here| {
            let own = here.ears.get_mut(&self.key);
            if let Some(ear) = own.filter(|ear| Arc::ptr_eq(&ear.told, &self.told)) {
                ear.is_listed = is_listed;
            }
        });
    }
}

impl Drop for PersonListener {
    fn drop(&mut self) {
        self.presence.with(self.person, crate::files::unix_now(), |here| {
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
        let (one, other) = (Presence::default(), Presence::new(post));
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

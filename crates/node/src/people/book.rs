//! The address book: who is known, as whom, and who is let in.

use std::collections::BTreeSet;

use hub_api::{Base64Bytes, BookDocument, ProblemCode, SenderPolicy};
use people::{Book, Contact, Handle, Identity, Known};

use super::{Me, PeopleError, seed};
use crate::hubs::HubLink;
use crate::state::{Node, random};

/// How often a change is tried again because another device was quicker.
const TRIES: usize = 5;

/// An address book, opened.
#[derive(Debug, Clone, Default)]
pub struct Contacts {
    number: u64,
    /// The contacts, and the text under messages.
    pub book: Book,
    /// Who is refused without being told.
    pub blocked: BTreeSet<Handle>,
    /// What becomes of those who are neither.
    pub policy: SenderPolicy,
}

/// As whom somebody is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// For the first time.
    New,
    /// As before.
    Same,
    /// As somebody else before.
    Changed,
}

impl Contacts {
    /// As whom the person with these devices is known.
    #[must_use]
    pub fn seen(&self, handle: &Handle, identity: Identity) -> Seen {
        match self.book.contacts.get(handle).and_then(|contact| contact.identity) {
            None => Seen::New,
            Some(before) if before == identity => Seen::Same,
            Some(_) => Seen::Changed,
        }
    }

    /// Makes a contact of somebody, or of who they are now.
    pub fn know(&mut self, handle: &Handle, identity: Identity) {
        let contact = self.book.contacts.entry(handle.clone()).or_default();
        if contact.identity != Some(identity) {
            contact.is_verified = false;
        }
        contact.identity = Some(identity);
        self.blocked.remove(handle);
    }

    /// The contact of this handle.
    ///
    /// # Errors
    /// There is none.
    pub fn contact(&mut self, handle: &Handle) -> Result<&mut Contact, PeopleError> {
        let contact = self.book.contacts.get_mut(handle);
        contact.ok_or_else(|| PeopleError::NoContact(handle.clone()))
    }

    /// Lets somebody in no more.
    pub fn block(&mut self, handle: Handle) {
        self.book.contacts.remove(&handle);
        self.blocked.insert(handle);
    }
}

impl Node {
    /// The address book of the owner of this machine.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn contacts(&self, hub: &HubLink, me: &Me) -> Result<Contacts, PeopleError> {
        me.approved()?;
        let document = hub.client.book().await?;
        self.saw_book(hub, document.number)?;
        let book = match &document.sealed {
            None => Book::default(),
            Some(sealed) => {
                let (key, exchange) = (self.key().public(), self.exchange());
                Book::open(&sealed.0, &me.known, document.number, (&key, &exchange))?
            }
        };
        let blocked: Result<_, _> = document.blocked.iter().map(|handle| handle.parse()).collect();
        Ok(Contacts { number: document.number, book, blocked: blocked?, policy: document.policy })
    }

    /// A message as the owner of this machine sends it: with their signature. As it is where nobody owns it, or its
    /// device is not approved.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn signed(&self, hub: &HubLink, message: String) -> Result<String, PeopleError> {
        if message.is_empty() || !self.is_somebody(hub)? {
            return Ok(message);
        }
        let me = self.me(hub).await?;
        if me.approved().is_err() {
            return Ok(message);
        }
        Ok(self.contacts(hub, &me).await?.book.signed(&message))
    }

    /// Changes the address book, again when another device changed it meanwhile. Returns the contacts
    /// that nobody is called at the hub.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn change_contacts(
        &self,
        hub: &HubLink,
        me: &Me,
        mut change: impl FnMut(&mut Contacts) -> Result<(), PeopleError>,
    ) -> Result<Vec<String>, PeopleError> {
        let mut tries = 0;
        loop {
            let mut contacts = self.contacts(hub, me).await?;
            change(&mut contacts)?;
            tries += 1;
            match self.keep_contacts(hub, me, contacts).await {
                Err(error) if is_overtaken(&error) && tries < TRIES => {}
                kept => return kept,
            }
        }
    }

    pub(super) async fn keep_contacts(
        &self,
        hub: &HubLink,
        me: &Me,
        contacts: Contacts,
    ) -> Result<Vec<String>, PeopleError> {
        let number = contacts.number + 1;
        let (key, exchange) = (self.key().public(), self.exchange());
        let mut seeds = Vec::with_capacity(me.known.list.devices.len());
        for _ in &me.known.list.devices {
            seeds.push(seed()?);
        }
        let mut seeds = seeds.into_iter();
        let seed = || seeds.next().expect("one for each device");
        let sealed = contacts.book.seal(&me.known, number, (&key, &exchange), &random()?, seed)?;
        let texts = |handles: Vec<&Handle>| handles.into_iter().map(Handle::to_string).collect();
        let document = BookDocument {
            number,
            sealed: Some(Base64Bytes(sealed)),
            contacts: texts(contacts.book.contacts.keys().collect()),
            blocked: texts(contacts.blocked.iter().collect()),
            policy: contacts.policy,
        };
        let unknown = hub.client.put_book(&document).await?;
        self.saw_book(hub, number)?;
        Ok(unknown)
    }

    /// The devices of somebody, whom the address book knows so or gets to know now.
    ///
    /// # Errors
    /// [`PeopleError::IdentityChanged`] when they are somebody else than before; see [`PeopleError`].
    pub async fn recipient(
        &self,
        hub: &HubLink,
        me: &Me,
        handle: &Handle,
    ) -> Result<(Known, Seen), PeopleError> {
        let known = self.devices_of(hub, handle).await?;
        let identity = known.identity;
        let seen = self.contacts(hub, me).await?.seen(handle, identity);
        match seen {
            Seen::Same => {}
            Seen::Changed => return Err(PeopleError::IdentityChanged(handle.clone())),
            Seen::New => {
                let know = |contacts: &mut Contacts| {
                    contacts.know(handle, identity);
                    Ok(())
                };
                self.change_contacts(hub, me, know).await?;
            }
        }
        Ok((known, seen))
    }

    /// Takes somebody for who they are now.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn accept_identity(
        &self,
        hub: &HubLink,
        me: &Me,
        handle: &Handle,
    ) -> Result<Known, PeopleError> {
        let known = self.devices_of(hub, handle).await?;
        let know = |contacts: &mut Contacts| {
            contacts.know(handle, known.identity);
            Ok(())
        };
        self.change_contacts(hub, me, know).await?;
        Ok(known)
    }
}

fn is_overtaken(error: &PeopleError) -> bool {
    error.code() == Some(ProblemCode::PersonConflict)
}

//! People of a hub: whose device this machine is there, their other devices, their contacts.
//!
//! ```text
//! people/HUB/me.json    the list of devices that was believed last, and the last address book
//! ```
//!
//! A hub says which devices somebody has by lists that the devices signed one after the other. What was
//! believed once must be there again; what contacts are known by stands in the address book, which
//! only the own devices can write.

mod addressing;
mod book;
mod carried;
pub mod courier;
mod devices;
mod inbox;

use documents::{DocumentHash, MessageSeed, PublicKey};
use hub_api::{Base64Bytes, Hidden, MyPerson, PersonDetails, PersonRequest, ProblemCode};
use hub_client::ClientError;
use people::{
    BookError, DeviceRequest, Devices, DevicesError, Handle, Known, ParseHandleError, RequestError,
    SignedRequest,
};
use serde::{Deserialize, Serialize};

pub use self::addressing::{Arrived, Opening};
pub use self::book::{Contacts, Seen};
pub use self::carried::{CARRIED_BOOK_BYTES_MAX, CarriedBookError, Imported};
pub use self::inbox::InboxNews;
use crate::hubs::HubLink;
use crate::publish::unix_now;
use crate::state::{Node, StateError, random, read_json, write_json};

/// Why something about people cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// The hub refuses or cannot be reached.
    #[error("the hub does not do it")]
    Hub(#[from] ClientError),
    /// The hub shows a handle that is none. Whoever runs it is to be asked.
    #[error(transparent)]
    Handle(#[from] ParseHandleError),
    /// The hub shows lists of devices that nobody can have signed so. Whoever runs it is to be asked.
    #[error("the devices of {handle} cannot be believed")]
    Devices {
        /// Whose.
        handle: String,
        /// Why.
        #[source]
        source: DevicesError,
    },
    /// The hub shows other devices of the owner of this machine than were theirs before. Somebody began
    /// their list anew: the owner, after all devices were lost, or the hub. Log in anew if it was you.
    #[error("the hub shows devices for {0} that do not follow those which this machine knows")]
    Other(Handle),
    /// Another device of the owner has to approve this one first.
    #[error("this device is not approved by another device of {0} yet")]
    NotApproved(Handle),
    /// The line that a new device printed was altered.
    #[error("the request of the device is not valid")]
    Request(#[from] RequestError),
    /// The request is for another person's list.
    #[error("that device wants to be one of {0}")]
    OtherPerson(Handle),
    /// A person has no more devices than that. Remove one.
    #[error("there are {} devices already", people::DEVICES_MAX)]
    TooManyDevices,
    /// No device has that name or key, or several have. List them and name one by its key.
    #[error("no single device is called {0:?}")]
    NoSuchDevice(String),
    /// Without any device nobody could approve another one.
    #[error("it is the only device")]
    OnlyDevice,
    /// This device cannot take itself off the list: it was the last that wrote the address book, which
    /// the others would not believe then. Remove it on another device, which seals the book anew.
    #[error("this device was the last that changed the address book")]
    WroteBook,
    /// The address book cannot be opened or kept.
    #[error("the address book cannot be used")]
    Book(#[from] BookError),
    /// The hub shows an older address book than this machine has seen. Whoever runs it is to be asked: it
    /// was restored from a backup, or holds changes back.
    #[error("the hub shows version {found} of the address book; this machine has seen {seen}")]
    OldBook {
        /// The version that was seen.
        seen: u64,
        /// The version the hub shows.
        found: u64,
    },
    /// Nobody of that handle is in the address book.
    #[error("{0} is not in the address book")]
    NoContact(Handle),
    /// The handle stands for somebody else than before. They lost all their devices and began anew, or
    /// somebody else has the handle now, or the hub lies. Ask them by another way before it is accepted.
    #[error("{0} is not the person whom the address book knows by that handle")]
    IdentityChanged(Handle),
    /// Nothing can be sealed for a device of the recipient: its program is broken.
    #[error("nothing can be sealed for a device of {0}")]
    Weak(Handle),
    /// Nobody at the hub has that handle.
    #[error("nobody at this hub is called {0}")]
    Unknown(Handle),
    /// Somebody lets nobody in but their contacts, or has blocked the owner of this machine: the hub does
    /// not say which.
    #[error("{0} takes no deliveries from you")]
    Refuses(Handle),
    /// None of the recipient's devices has room for it, as far as they said.
    #[error("no device of {to} has room for {bytes} bytes")]
    NoRoom {
        /// The recipient.
        to: Handle,
        /// What was to be sent.
        bytes: u64,
    },
    /// A file is larger than the file systems of the recipient's devices take, as far as they said.
    #[error("no device of {to} takes a file of {largest} bytes")]
    FileTooLarge {
        /// The recipient.
        to: Handle,
        /// Bytes of the largest file that was to be sent.
        largest: u64,
    },
    /// Nothing, or more than one thing, of that id is there.
    #[error("no single delivery begins with {0:?}")]
    NoSuchDelivery(String),
    /// It was sent before this device was one of the recipient's, or to other ones. Receive it with one of
    /// those.
    #[error("the delivery is not for this device")]
    NotForThisDevice,
    /// The sender did not seal it: the hub made it up, or lies about who sent it.
    #[error("what came as a delivery of {0} was not sealed by a device of theirs")]
    Forged(Handle),
    /// The delivery was ended before it began.
    #[error("{by} ended the delivery: {reason}")]
    Ended {
        /// Who.
        by: &'static str,
        /// Why, in their words.
        reason: String,
    },
    /// The receipt was not signed by a device of the recipient's: the hub made it up, or the secret is
    /// with somebody else. Keep what was sent.
    #[error("the receipt was signed by {signer}, which is no device of {to}")]
    ForeignReceipt {
        /// The recipient.
        to: Handle,
        /// Who signed.
        signer: PublicKey,
    },
    /// The state directory failed.
    #[error("cannot use this node's state")]
    State(#[from] StateError),
}

impl PeopleError {
    fn code(&self) -> Option<ProblemCode> {
        if let Self::Hub(error) = self { error.code() } else { None }
    }
}

/// The owner of this machine at a hub.
#[derive(Debug, Clone)]
pub struct Me {
    /// Their devices, verified.
    pub known: Known,
    /// What the hub says of them.
    pub person: MyPerson,
    /// Whether this machine is on the list.
    pub is_approved: bool,
}

/// `me.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    handle: String,
    identity: String,
    number: u64,
    hash: String,
    book: u64,
}

impl Me {
    /// What they are called.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.known.list.handle
    }

    fn approved(&self) -> Result<&Self, PeopleError> {
        match self.is_approved {
            true => Ok(self),
            false => Err(PeopleError::NotApproved(self.handle().clone())),
        }
    }
}

impl Node {
    /// Makes a person of this machine's account at a hub, and this machine their first device.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn create_person(
        &self,
        hub: &HubLink,
        handle: Handle,
        password: Hidden<String>,
        details: PersonDetails,
        device: &str,
    ) -> Result<Me, PeopleError> {
        let list = self.first_list(handle.clone(), device);
        let devices = Base64Bytes(list.sign(self.key()));
        let request = PersonRequest { handle: handle.to_string(), password, details, devices };
        let person = match hub.client.create_person(&request).await {
            Ok(person) => person,
            // The answer to a first try was lost.
            Err(error) if error.code() == Some(ProblemCode::HandleTaken) => {
                let mine = hub.client.me().await.ok().filter(|me| me.handle == request.handle);
                mine.ok_or(error)?
            }
            Err(error) => return Err(error.into()),
        };
        self.believe(hub, person)
    }

    /// Makes this machine a device of a person, with their password. Another device has to approve it, by
    /// the line that is returned; after a reset of the password there is none, and this machine is the first
    /// device of a new list.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn log_in(
        &self,
        hub: &HubLink,
        handle: Handle,
        password: &Hidden<String>,
        device: &str,
    ) -> Result<Option<SignedRequest>, PeopleError> {
        hub.client.log_in(self.key(), handle.as_str(), password).await?;
        self.remember(hub)?;
        if hub.client.me().await?.lists.is_empty() {
            let list = self.first_list(handle, device).sign(self.key());
            hub.client.put_devices(&list).await?;
            self.me(hub).await?;
            return Ok(None);
        }
        let (key, exchange) = (self.key().public(), self.exchange().public());
        let request = DeviceRequest { handle, key, exchange, name: device.to_owned() };
        Ok(Some(request.sign(self.key())))
    }

    /// A list that names this machine alone.
    fn first_list(&self, handle: Handle, device: &str) -> Devices {
        let (signer, issued) = (self.key().public(), unix_now());
        let exchange = self.exchange().public();
        let own = people::Device { exchange, name: device.to_owned(), since: issued };
        let devices = [(signer, own)].into();
        Devices { handle, number: 1, previous: None, issued, devices, signer }
    }

    /// The owner of this machine at a hub.
    ///
    /// # Errors
    /// See [`PeopleError`]; a hub that knows none says so.
    pub async fn me(&self, hub: &HubLink) -> Result<Me, PeopleError> {
        self.believe(hub, hub.client.me().await?)
    }

    /// Whether the owner of this machine has a handle at the hub, as far as the machine knows.
    ///
    /// # Errors
    /// The state directory fails.
    pub fn is_somebody(&self, hub: &HubLink) -> Result<bool, StateError> {
        let path = self.memory_of("people", &[hub.identity.as_bytes()])?.join("me.json");
        Ok(read_json::<Remembered>(&path)?.is_some())
    }

    /// Follows the lists that the hub shows from the one that was believed last.
    fn believe(&self, hub: &HubLink, person: MyPerson) -> Result<Me, PeopleError> {
        let handle: Handle = person.handle.parse()?;
        let path = self.memory_of("people", &[hub.identity.as_bytes()])?.join("me.json");
        let before: Option<Remembered> = read_json(&path)?;
        let before = before.filter(|before| before.handle == person.handle);
        let known = follow(&handle, &person.lists)?;
        if let Some(before) = &before {
            let at = usize::try_from(before.number).ok().and_then(|number| number.checked_sub(1));
            let shown =
                at.and_then(|at| person.lists.get(at)).map(|list| DocumentHash::of(&list.0));
            if shown.map(|hash| hash.to_string()).as_ref() != Some(&before.hash) {
                return Err(PeopleError::Other(handle));
            }
        }
        let is_approved = known.list.devices.contains_key(&self.key().public());
        // A device that was never approved knows nothing that it could hold against the hub.
        if is_approved {
            let remembered = Remembered {
                handle: person.handle.clone(),
                identity: known.identity.to_string(),
                number: known.list.number,
                hash: known.hash.to_string(),
                book: before.map_or(0, |before| before.book),
            };
            write_json(&path, &remembered)?;
        }
        Ok(Me { known, person, is_approved })
    }

    /// Notes the version of the address book; an older one than was seen is refused.
    fn saw_book(&self, hub: &HubLink, found: u64) -> Result<(), PeopleError> {
        let path = self.memory_of("people", &[hub.identity.as_bytes()])?.join("me.json");
        let Some(before) = read_json::<Remembered>(&path)? else { return Ok(()) };
        let seen = before.book;
        if found < seen {
            return Err(PeopleError::OldBook { seen, found });
        }
        if found > seen {
            write_json(&path, &Remembered { book: found, ..before })?;
        }
        Ok(())
    }

    /// The devices of anybody, verified as far as lists can be: who the identity is, the address book
    /// says.
    async fn devices_of(&self, hub: &HubLink, handle: &Handle) -> Result<Known, PeopleError> {
        let card = hub.client.person(handle.as_str()).await?;
        follow(handle, &card.lists)
    }
}

fn follow(handle: &Handle, lists: &[Base64Bytes]) -> Result<Known, PeopleError> {
    let known = Known::chain(handle, lists.iter().map(|list| &list.0[..]));
    known.map_err(|source| PeopleError::Devices { handle: handle.to_string(), source })
}

fn seed() -> Result<MessageSeed, StateError> {
    Ok(MessageSeed::from_random(random()?))
}

/// Sixteen digits of a key: short enough to say.
fn short(key: &PublicKey) -> String {
    key.to_string()[..16].to_owned()
}

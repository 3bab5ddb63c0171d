//! People: registration, logins, devices, and who of them listens.
//!
//! A device is an account of today, with its sessions and its revocation; what makes it a person's is in
//! the database. Whoever knows a password gets a device that stands on no list: it sees nothing and
//! is sent nothing until another one signs it in.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

mod caller;
mod lists;
mod login;
mod noting;
mod online;
mod passwords;
mod presence;
mod received;
mod recovery;
mod reset;
mod shown;
mod unknown;
mod upkeep;

pub(crate) use ::people::Handle;

use crate::cluster::Post;

pub(crate) use self::caller::{DeviceCaller, PersonCaller, network_of};
pub(crate) use self::lists::{follow, keys_of};
pub(crate) use self::login::try_password;
pub(crate) use self::online::online;
pub(crate) use self::passwords::{Passwords, check as check_password};
pub(crate) use self::presence::{EVERYTHING, PersonListener, Presence};
pub(crate) use self::received::{keep_receipt, status_of_received};
pub(crate) use self::recovery::{ask_recovery, take_recovery};
pub use self::reset::{ResetPasswordError, reset_password};
pub(crate) use self::shown::{
    book_document, check_details, delivery_info, my_person, pending_sender, person_card,
    shown_party,
};
pub(crate) use self::unknown::UnknownHandles;
pub(crate) use self::upkeep::{
    end_as_noted, note_deliveries, note_presence, sweep_deliveries, tell_settled, tell_sides,
};

/// Mails that go to a server at once: it may be slow, and who asks for them need not be anybody.
const MAILS_MAX: usize = 16;

/// What this front-end remembers of people while it runs.
#[derive(Debug)]
pub(crate) struct People {
    pub(crate) passwords: Passwords,
    pub(crate) presence: Presence,
    pub(crate) unknown: UnknownHandles,
    /// Places of mails that are on their way to a server.
    pub(crate) mails: Arc<Semaphore>,
}

impl Default for People {
    fn default() -> Self {
        Self {
            passwords: Passwords::default(),
            presence: Presence::default(),
            unknown: UnknownHandles::default(),
            mails: Arc::new(Semaphore::new(MAILS_MAX)),
        }
    }
}

impl People {
    /// Of a front-end that tells others, too.
    pub(crate) fn new(post: Post, presence_grace: Duration) -> Self {
        Self { presence: Presence::new(post, presence_grace), ..Self::default() }
    }
}

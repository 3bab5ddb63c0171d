//! An address book as a file that is carried elsewhere: to another hub, or kept as a copy.

use std::collections::{BTreeMap, BTreeSet};

use people::{Contact, Handle, Identity, ParseHandleError};
use serde::{Deserialize, Serialize};

use super::Contacts;

/// The longest text that is read, in bytes: several times what a full book has.
pub const CARRIED_BOOK_BYTES_MAX: usize = 8 << 20;

const VERSION: u32 = 1;

/// Why a text is no address book. Export one, and compare.
#[derive(Debug, thiserror::Error)]
pub enum CarriedBookError {
    /// It is longer than any.
    #[error("it is longer than {CARRIED_BOOK_BYTES_MAX} bytes")]
    TooLong,
    /// It is no JSON, or JSON of something else.
    #[error("it is no address book: {0}")]
    Json(#[from] serde_json::Error),
    /// A newer program wrote it.
    #[error("it is an address book of version {0}; this program knows {VERSION}")]
    Version(u32),
    /// A contact has a handle that is none.
    #[error(transparent)]
    Handle(#[from] ParseHandleError),
    /// A contact has an identity that is none.
    #[error("{0:?} is no identity, which has 64 hexadecimal digits")]
    Identity(String),
}

/// The file: JSON, for people and other programs to read and write.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CarriedBook {
    consign_book: u32,
    contacts: BTreeMap<String, CarriedContact>,
    #[serde(default)]
    blocked: BTreeSet<String>,
    #[serde(default)]
    signature: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CarriedContact {
    #[serde(skip_serializing_if = "String::is_empty")]
    first_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    last_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    notes: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
}

/// What a text brings, every handle of it read.
#[derive(Debug, Clone)]
pub struct Imported {
    contacts: Vec<(Handle, Contact)>,
    blocked: Vec<Handle>,
    signature: String,
}

impl Contacts {
    /// The book as text, without what was compared by another way: that holds for its owner alone.
    #[must_use]
    pub fn carried(&self) -> String {
        let carried = CarriedBook::of(self);
        serde_json::to_string_pretty(&carried).expect("texts and maps of texts are JSON") + "\n"
    }
}

impl CarriedBook {
    fn of(contacts: &Contacts) -> Self {
        let carried = |contact: &Contact| CarriedContact {
            first_name: contact.first_name.clone(),
            last_name: contact.last_name.clone(),
            notes: contact.notes.clone(),
            identity: contact.identity.map(|identity| identity.to_string()),
        };
        let book = &contacts.book;
        Self {
            consign_book: VERSION,
            contacts: book.contacts.iter().map(|(it, of)| (it.to_string(), carried(of))).collect(),
            blocked: contacts.blocked.iter().map(Handle::to_string).collect(),
            signature: book.signature.clone(),
        }
    }
}

impl CarriedContact {
    fn read(self) -> Result<Contact, CarriedBookError> {
        let Self { first_name, last_name, notes, identity } = self;
        let identity = identity.map(|text| {
            let mut bytes = [0; 32];
            let decoded = hex::decode_to_slice(&text, &mut bytes);
            decoded.map_err(|_| CarriedBookError::Identity(text))?;
            Ok::<_, CarriedBookError>(Identity::from_bytes(bytes))
        });
        let identity = identity.transpose()?;
        Ok(Contact { first_name, last_name, notes, identity, is_verified: false })
    }
}

impl Imported {
    /// Reads such a text.
    ///
    /// # Errors
    /// See [`CarriedBookError`].
    pub fn read(text: &str) -> Result<Self, CarriedBookError> {
        if text.len() > CARRIED_BOOK_BYTES_MAX {
            return Err(CarriedBookError::TooLong);
        }
        let book: CarriedBook = serde_json::from_str(text)?;
        if book.consign_book != VERSION {
            return Err(CarriedBookError::Version(book.consign_book));
        }
        let mut contacts = Vec::with_capacity(book.contacts.len());
        for (handle, contact) in book.contacts {
            contacts.push((handle.parse()?, contact.read()?));
        }
        let blocked = book.blocked.iter().map(|handle| handle.parse()).collect::<Result<_, _>>()?;
        Ok(Self { contacts, blocked, signature: book.signature })
    }

    /// How many contacts and blocked handles it has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.contacts.len() + self.blocked.len()
    }

    /// Adds what the book lacks, and replaces names and notes. As whom somebody is known stays, and who is
    /// blocked here does not come back in.
    pub fn add_to(&self, contacts: &mut Contacts) {
        for (handle, brought) in &self.contacts {
            if contacts.blocked.contains(handle) {
                continue;
            }
            let contact = contacts.book.contacts.entry(handle.clone()).or_default();
            contact.first_name.clone_from(&brought.first_name);
            contact.last_name.clone_from(&brought.last_name);
            contact.notes.clone_from(&brought.notes);
            contact.identity = contact.identity.or(brought.identity);
        }
        for handle in &self.blocked {
            if !contacts.book.contacts.contains_key(handle) {
                contacts.block(handle.clone());
            }
        }
        if contacts.book.signature.is_empty() {
            contacts.book.signature.clone_from(&self.signature);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(text: &str) -> Handle {
        text.parse().expect("a handle")
    }

    #[test]
    fn a_book_comes_back_as_it_was_written_but_for_what_was_compared() {
        let mut contacts = Contacts::default();
        let identity = Identity::from_bytes([7; 32]);
        contacts.know(&handle("ben"), identity);
        let ben = contacts.contact(&handle("ben")).expect("known");
        ben.notes = "plays the oboe".into();
        ben.is_verified = true;
        contacts.block(handle("eve"));
        contacts.book.signature = "Anna".into();
        let mut other = Contacts::default();
        Imported::read(&contacts.carried()).expect("reads").add_to(&mut other);
        contacts.contact(&handle("ben")).expect("known").is_verified = false;
        assert_eq!(other.book, contacts.book);
        assert_eq!(other.blocked, contacts.blocked);
    }

    #[test]
    fn a_file_does_not_change_as_whom_somebody_is_known_nor_let_anybody_back_in() {
        let mut contacts = Contacts::default();
        contacts.know(&handle("ben"), Identity::from_bytes([7; 32]));
        contacts.contact(&handle("ben")).expect("known").is_verified = true;
        contacts.block(handle("eve"));
        let other = "08".repeat(32);
        let text = format!(
            r#"{{"consign_book":1,"contacts":{{"ben":{{"identity":"{other}","notes":"n"}},"eve":{{}}}},"blocked":["ben"]}}"#
        );
        Imported::read(&text).expect("reads").add_to(&mut contacts);
        let ben = contacts.contact(&handle("ben")).expect("known").clone();
        assert_eq!(ben.identity, Some(Identity::from_bytes([7; 32])));
        assert!(ben.is_verified && ben.notes == "n");
        assert_eq!(contacts.blocked, [handle("eve")].into());
    }

    #[test]
    fn what_is_no_book_is_refused_with_what_is_wrong() {
        for (text, wrong) in [
            ("[]", "no address book"),
            (r#"{"consign_book":2,"contacts":{}}"#, "version 2"),
            (r#"{"consign_book":1,"contacts":{"No":{}}}"#, "handle"),
            (r#"{"consign_book":1,"contacts":{"ben":{"identity":"7"}}}"#, "no identity"),
            (r#"{"consign_book":1,"contacts":{"ben":{"notes":7}}}"#, "string"),
            (r#"{"consign_book":1,"contacts":{},"more":1}"#, "more"),
            (&" ".repeat(CARRIED_BOOK_BYTES_MAX + 1), "longer"),
        ] {
            let refused = Imported::read(text).expect_err(text).to_string();
            assert!(refused.contains(wrong), "{text}: {refused}");
        }
    }
}

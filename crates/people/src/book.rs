//! A person's contacts, sealed for their own devices.

use std::collections::BTreeMap;

use content::DecodeError;
use content::cbor::{self, Reader, Writer};
use documents::exchange::{MessageSeed, OVERHEAD_BYTES, Purpose};
use documents::{DocumentHash, ExchangeKey, OpenError, PublicKey, SealError};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::devices::DEVICES_MAX;
use crate::{Handle, Identity, Known};

/// Most contacts of a book.
pub const CONTACTS_MAX: usize = 2000;
/// The longest first or last name, in characters.
pub const NAME_CHARS_MAX: usize = 64;
/// The longest notes about a contact, in characters.
pub const NOTES_CHARS_MAX: usize = 256;
/// The longest signature text, in characters.
pub const SIGNATURE_CHARS_MAX: usize = 1024;
/// The longest sealed book, in bytes: more than 2,000 contacts with notes in four-byte letters would have
/// is refused by its writer.
pub const BOOK_BYTES_MAX: usize = 1 << 20;

const LABEL: &str = "consign/book/1";
const WRAP_BYTES: usize = 32 + OVERHEAD_BYTES;

/// What a person notes about another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contact {
    /// For people.
    pub first_name: String,
    /// For people.
    pub last_name: String,
    /// For people.
    pub notes: String,
    /// Who the handle stands for, since it was looked at first or a change of it was accepted.
    pub identity: Option<Identity>,
    /// The words were compared and agreed.
    pub is_verified: bool,
}

/// A person's contacts, and the text under their messages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Book {
    /// At most [`CONTACTS_MAX`].
    pub contacts: BTreeMap<Handle, Contact>,
    /// Goes under every message, see [`signed`](Self::signed).
    pub signature: String,
}

/// Why a book is not sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// More contacts, or longer texts, than a book has. Shorten it.
    #[error("the address book is too large: {0}")]
    TooLarge(&'static str),
    /// Nothing can be sealed for one of the devices.
    #[error("device {0} has an unusable key")]
    WeakKey(PublicKey),
    /// It is no book. The hub is broken or hostile.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// A device that is not on the person's list wrote it. The hub is broken or hostile, or that device
    /// was removed since: another device has to save its book anew.
    #[error("the address book was written by {0}, which is no device of this person")]
    NotTheirs(PublicKey),
    /// It was not sealed for this device, which was not on the list yet. Another device has to save
    /// its book anew.
    #[error("the address book was not sealed for this device")]
    NotForThisDevice,
    /// It was altered, or is another version than the hub says.
    #[error("the address book does not open")]
    Open,
}

impl Contact {
    fn check(&self) -> Result<(), &'static str> {
        let one_line = |text: &str| !text.chars().any(char::is_control);
        let within = |text: &str, most: usize| text.chars().count() <= most;
        let names = [&self.first_name, &self.last_name];
        if !names.iter().all(|name| within(name, NAME_CHARS_MAX) && one_line(name)) {
            return Err("a name is one line of at most 64 characters");
        }
        if !within(&self.notes, NOTES_CHARS_MAX) {
            return Err("notes have at most 256 characters");
        }
        Ok(())
    }
}

impl Book {
    /// A message with the signature under it, behind the line `-- ` that mail programs know (RFC 3676, 4.3). Nothing
    /// goes under no message, and no signature under any.
    #[must_use]
    pub fn signed(&self, message: &str) -> String {
        if message.is_empty() || self.signature.is_empty() {
            return message.to_owned();
        }
        format!("{}\n\n-- \n{}", message.trim_end(), self.signature)
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.contacts.len() > CONTACTS_MAX {
            return Err("it has at most 2,000 contacts");
        }
        if self.signature.chars().count() > SIGNATURE_CHARS_MAX {
            return Err("a signature has at most 1,024 characters");
        }
        self.contacts.values().try_for_each(Contact::check)
    }

    /// Seals the book as version `number`, by the device with `writer` for all on the list. `key` is 32
    /// random bytes for this version alone.
    ///
    /// # Errors
    /// The book is too large, or a device has an unusable key.
    pub fn seal(
        &self,
        known: &Known,
        number: u64,
        writer: (&PublicKey, &ExchangeKey),
        key: &[u8; 32],
        mut random: impl FnMut() -> MessageSeed,
    ) -> Result<Vec<u8>, BookError> {
        self.check().map_err(BookError::TooLarge)?;
        let place = place(known.identity, number);
        let mut wraps = BTreeMap::new();
        for (device, facts) in &known.list.devices {
            let purpose = Purpose { label: LABEL, place: &place };
            let wrap = writer.1.seal_as(&facts.exchange, purpose, key, random());
            wraps.insert(*device, wrap.map_err(|SealError| BookError::WeakKey(*device))?);
        }
        let mut body = self.encode();
        let sealed = cipher(key).seal_in_place_append_tag(nonce(), Aad::from(place), &mut body);
        sealed.map_err(|_| BookError::TooLarge("it is longer than one message"))?;
        let sealed = Sealed { writer: *writer.0, wraps, body }.encode();
        match sealed.len() <= BOOK_BYTES_MAX {
            true => Ok(sealed),
            false => Err(BookError::TooLarge("it has at most 1 MiB")),
        }
    }

    /// The device that wrote a sealed book, by its own word; nothing is verified.
    ///
    /// # Errors
    /// It is too long, or not a sealed book.
    pub fn writer_of(sealed: &[u8]) -> Result<PublicKey, BookError> {
        if sealed.len() > BOOK_BYTES_MAX {
            return Err(BookError::TooLarge("it has at most 1 MiB"));
        }
        Ok(Sealed::decode(sealed)?.writer)
    }

    /// Opens version `number` on the device with `key`.
    ///
    /// # Errors
    /// See [`BookError`].
    pub fn open(
        sealed: &[u8],
        known: &Known,
        number: u64,
        device: (&PublicKey, &ExchangeKey),
    ) -> Result<Self, BookError> {
        if sealed.len() > BOOK_BYTES_MAX {
            return Err(BookError::TooLarge("it has at most 1 MiB"));
        }
        let sealed = Sealed::decode(sealed)?;
        let writer = known.list.devices.get(&sealed.writer);
        let writer = writer.ok_or(BookError::NotTheirs(sealed.writer))?;
        let wrap = sealed.wraps.get(device.0).ok_or(BookError::NotForThisDevice)?;
        let place = place(known.identity, number);
        let purpose = Purpose { label: LABEL, place: &place };
        let opened = device.1.open(Some(&writer.exchange), purpose, wrap);
        let key = opened.map_err(|OpenError| BookError::Open)?;
        let key: [u8; 32] = key.try_into().map_err(|_| BookError::Open)?;
        let mut body = sealed.body;
        let plain = cipher(&key).open_in_place(nonce(), Aad::from(place), &mut body);
        Ok(Self::decode(plain.map_err(|_| BookError::Open)?)?)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.map(3)?.u8(0)?.u8(1)?.u8(1)?.array(self.contacts.len() as u64)?;
            for (handle, contact) in &self.contacts {
                write_contact(writer, handle, contact)?;
            }
            writer.u8(2)?.str(&self.signature)?;
            Ok(())
        })
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        cbor::decode_canonical("address book", bytes, read_book, Self::encode)
    }
}

fn write_contact(writer: &mut Writer, handle: &Handle, contact: &Contact) -> cbor::Encoded {
    let Contact { first_name, last_name, notes, identity, is_verified } = contact;
    let known = u64::from(identity.is_some());
    writer.array(5 + known)?.str(handle.as_str())?.str(first_name)?.str(last_name)?.str(notes)?;
    writer.u8(u8::from(*is_verified))?;
    if let Some(identity) = identity {
        writer.bytes(identity.as_bytes())?;
    }
    Ok(())
}

fn read_book(reader: &mut Reader<'_>) -> Result<Book, DecodeError> {
    let mut fields = reader.fields()?;
    fields.expect(reader, 0)?;
    reader.version(1)?;
    fields.expect(reader, 1)?;
    let mut book = Book::default();
    let count = reader.items()?;
    if count > CONTACTS_MAX as u64 {
        return Err(reader.invalid(format!("{count} contacts")));
    }
    for _ in 0..count {
        let items = reader.items()?;
        let handle = Handle::read(reader)?;
        let mut text = || reader.text().map(str::to_owned);
        let (first_name, last_name, notes) = (text()?, text()?, text()?);
        let is_verified = match reader.u64()? {
            0 => false,
            1 => true,
            _ => return Err(reader.invalid("neither verified nor not")),
        };
        let identity = match items {
            5 => None,
            6 => Some(DocumentHash::from_bytes(reader.array()?)),
            _ => return Err(reader.invalid("a contact of another length")),
        };
        let contact = Contact { first_name, last_name, notes, identity, is_verified };
        book.contacts.insert(handle, contact);
    }
    fields.expect(reader, 2)?;
    book.signature = reader.text()?.to_owned();
    fields.finish(reader)?;
    book.check().map_err(|reason| reader.invalid(reason))?;
    Ok(book)
}

/// A sealed book: the key of its body, for each device, and the body.
pub(crate) struct Sealed {
    writer: PublicKey,
    wraps: BTreeMap<PublicKey, Vec<u8>>,
    body: Vec<u8>,
}

impl Sealed {
    pub(crate) fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.map(4)?.u8(0)?.u8(1)?.u8(1)?.bytes(self.writer.as_bytes())?;
            writer.u8(2)?.array(self.wraps.len() as u64)?;
            for (device, wrap) in &self.wraps {
                writer.array(2)?.bytes(device.as_bytes())?.bytes(wrap)?;
            }
            writer.u8(3)?.bytes(&self.body)?;
            Ok(())
        })
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            let mut fields = reader.fields()?;
            fields.expect(reader, 0)?;
            reader.version(1)?;
            fields.expect(reader, 1)?;
            let writer = PublicKey::from_bytes(reader.array()?);
            fields.expect(reader, 2)?;
            let count = reader.items()?;
            if !(1..=DEVICES_MAX as u64).contains(&count) {
                return Err(reader.invalid(format!("sealed for {count} devices")));
            }
            let mut wraps = BTreeMap::new();
            for _ in 0..count {
                reader.array_of(2)?;
                let device = PublicKey::from_bytes(reader.array()?);
                wraps.insert(device, reader.array::<WRAP_BYTES>()?.to_vec());
            }
            fields.expect(reader, 3)?;
            let body = reader.bytes()?.to_vec();
            fields.finish(reader)?;
            Ok(Self { writer, wraps, body })
        };
        cbor::decode_canonical("sealed address book", bytes, read, Self::encode)
    }
}

fn place(identity: Identity, number: u64) -> [u8; 40] {
    let mut place = [0; 40];
    place[..32].copy_from_slice(identity.as_bytes());
    place[32..].copy_from_slice(&number.to_le_bytes());
    place
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("a key of 32 bytes"))
}

/// Every key meets one message.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

#[cfg(test)]
mod tests {
    use documents::NodeKey;

    use super::*;
    use crate::{Device, Devices};

    fn node(secret: u8) -> NodeKey {
        NodeKey::from_secret_bytes([secret; 32])
    }

    /// Anna's devices, of which the first signed.
    fn anna(secrets: &[u8]) -> Known {
        let device = |secret: &u8| {
            let exchange = ExchangeKey::derive(&node(*secret)).public();
            (node(*secret).public(), Device { exchange, name: "a device".into(), since: 7 })
        };
        let handle: Handle = "anna".parse().expect("a handle");
        let first = Devices {
            handle: handle.clone(),
            number: 1,
            previous: None,
            issued: 7,
            devices: secrets[..1].iter().map(device).collect(),
            signer: node(secrets[0]).public(),
        };
        let known = Known::first(&handle, &first.sign(&node(secrets[0]))).expect("a first list");
        let devices = secrets.iter().map(device).collect();
        let next = known.successor(devices, node(secrets[0]).public(), 8);
        known.next(&next.sign(&node(secrets[0]))).expect("follows")
    }

    fn book() -> Book {
        let contact = Contact {
            first_name: "Ben".into(),
            notes: "plays\nthe oboe".into(),
            identity: Some(DocumentHash::from_bytes([3; 32])),
            is_verified: true,
            ..Contact::default()
        };
        let handles = ["ben", "carla"].map(|handle| handle.parse().expect("a handle"));
        let contacts = handles.into_iter().zip([contact, Contact::default()]).collect();
        Book { contacts, signature: "Anna\nRoom 5".into() }
    }

    fn seal(book: &Book, known: &Known, number: u64, writer: u8) -> Result<Vec<u8>, BookError> {
        let (key, exchange) = (node(writer).public(), ExchangeKey::derive(&node(writer)));
        let mut byte = 10;
        let random = || {
            byte += 1;
            MessageSeed::from_random([byte; 32])
        };
        book.seal(known, number, (&key, &exchange), &[9; 32], random)
    }

    fn open(sealed: &[u8], known: &Known, number: u64, device: u8) -> Result<Book, BookError> {
        let exchange = ExchangeKey::derive(&node(device));
        Book::open(sealed, known, number, (&node(device).public(), &exchange))
    }

    #[test]
    fn the_signature_goes_under_a_message_and_under_nothing_else() {
        let book = Book { signature: "Anna\nRoom 5".into(), ..Book::default() };
        assert_eq!(book.signed("Hello\n"), "Hello\n\n-- \nAnna\nRoom 5");
        assert_eq!(book.signed(""), "");
        assert_eq!(Book::default().signed("Hello\n"), "Hello\n");
    }

    #[test]
    fn a_book_opens_on_every_device_of_its_owner_as_the_version_it_is() {
        let known = anna(&[1, 2]);
        let sealed = seal(&book(), &known, 5, 2).expect("seals");
        for device in [1, 2] {
            assert_eq!(open(&sealed, &known, 5, device), Ok(book()));
        }
        assert_eq!(open(&sealed, &known, 4, 1), Err(BookError::Open), "another version");
        assert_eq!(open(&sealed, &anna(&[1, 2, 3]), 5, 3), Err(BookError::NotForThisDevice));
        // Ben's devices are other ones: the hub gave him Anna's book.
        let stranger = BookError::NotTheirs(node(2).public());
        assert_eq!(open(&sealed, &anna(&[4]), 5, 4), Err(stranger));
    }

    #[test]
    fn nobody_but_a_device_of_its_owner_writes_a_book() {
        let known = anna(&[1, 2]);
        let forged = seal(&book(), &known, 5, 7).expect("seals");
        let stranger = BookError::NotTheirs(node(7).public());
        assert_eq!(open(&forged, &known, 5, 1), Err(stranger));
        // Naming another writer does not help: its key seals, too.
        let mut altered = Sealed::decode(&forged).expect("a book");
        altered.writer = node(2).public();
        assert_eq!(open(&altered.encode(), &known, 5, 1), Err(BookError::Open));
        let mut altered =
            Sealed::decode(&seal(&book(), &known, 5, 2).expect("seals")).expect("a book");
        altered.body[0] ^= 1;
        assert_eq!(open(&altered.encode(), &known, 5, 1), Err(BookError::Open));
    }

    #[test]
    fn a_book_has_bounds() {
        let known = anna(&[1]);
        let contact = |notes: String| Contact { notes, ..Contact::default() };
        let handle = |number: usize| format!("p{number:04}").parse::<Handle>().expect("a handle");
        let of = |count, notes: &str| Book {
            contacts: (0..count).map(|at| (handle(at), contact(notes.to_owned()))).collect(),
            signature: String::new(),
        };
        let full = of(CONTACTS_MAX, &"n".repeat(NOTES_CHARS_MAX));
        let sealed = seal(&full, &known, 1, 1).expect("seals");
        assert_eq!(open(&sealed, &known, 1, 1), Ok(full));
        let two_lines = Contact { last_name: "a\nb".into(), ..Contact::default() };
        let two_lines = Book { contacts: [(handle(1), two_lines)].into(), ..Book::default() };
        for refused in [
            of(CONTACTS_MAX + 1, ""),
            of(1, &"n".repeat(NOTES_CHARS_MAX + 1)),
            of(CONTACTS_MAX, &"\u{10000}".repeat(NOTES_CHARS_MAX)),
            two_lines,
            Book { signature: "s".repeat(SIGNATURE_CHARS_MAX + 1), ..Book::default() },
        ] {
            assert!(matches!(seal(&refused, &known, 1, 1), Err(BookError::TooLarge(_))));
        }
        let long = vec![0; BOOK_BYTES_MAX + 1];
        assert!(matches!(open(&long, &known, 1, 1), Err(BookError::TooLarge(_))));
    }
}

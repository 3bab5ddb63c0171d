//! People at a hub: what they are called, which devices are theirs, how a delivery is addressed to
//! them, and what their address book holds.
//!
//! This crate is words only: it encodes, signs, seals, verifies and decides whose device a key is. It does
//! no IO and knows no clock: the time is an argument, randomness too. Every byte is described in
//! `docs/format.md`, section 16.
//!
//! * [`Handle`]: what a person is called at a hub.
//! * [`Devices`]: the signed list of a person's devices; each list is signed by a device of the one before
//!   it. [`Known`] is how far somebody followed it, and its first list is the person's [`Identity`].
//! * [`DeviceRequest`]: what a new device says of itself, for another one to approve.
//! * [`Comparison`]: words by which two people make sure that each knows the other.
//! * [`Letter`]: the secret of a delivery, sealed by one device for another.
//! * [`Book`]: a person's contacts, sealed for their own devices.
//! * [`ReceiptFile`]: the receipt of a delivery with what says whose device signed it.
//!
//! Invariant: a hub cannot slip a device into a list that somebody follows. It can begin another list for
//! the same handle; that is another identity, and whoever knew the first one sees the change and is asked.
//!
//! Start reading at [`Devices`].

mod book;
mod comparison;
mod devices;
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
mod golden_tests;
mod handle;
mod letter;
mod receipt_file;
mod request;

pub use book::{
    BOOK_BYTES_MAX, Book, BookError, CONTACTS_MAX, Contact, NAME_CHARS_MAX, NOTES_CHARS_MAX,
    SIGNATURE_CHARS_MAX,
};
pub use comparison::Comparison;
pub use devices::{
    DEVICE_NAME_CHARS_MAX, DEVICES_MAX, Device, Devices, DevicesError, Identity, Known,
    check_device_name,
};
pub use handle::{Handle, ParseHandleError};
pub use letter::{LETTER_BYTES, Letter};
pub use receipt_file::{ProvenReceipt, RECEIPT_FILE_BYTES_MAX, ReceiptFile, ReceiptFileError};
pub use request::{DeviceRequest, RequestError, SignedRequest};

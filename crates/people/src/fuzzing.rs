//! Doors for the fuzzer, to decoders that otherwise stand behind a key.

use documents::envelope::Payload as _;

use crate::book::{Book, Sealed};
use crate::{DeviceRequest, Devices};

/// A list of devices behind its signature, encoded again.
#[must_use]
pub fn devices(bytes: &[u8]) -> Option<Vec<u8>> {
    Devices::decode(bytes).ok().map(|list| list.encode())
}

/// The request of a device behind its signature, encoded again.
#[must_use]
pub fn device_request(bytes: &[u8]) -> Option<Vec<u8>> {
    DeviceRequest::decode(bytes).ok().map(|request| request.encode())
}

/// A sealed address book, encoded again.
#[must_use]
pub fn sealed_book(bytes: &[u8]) -> Option<Vec<u8>> {
    Sealed::decode(bytes).ok().map(|sealed| sealed.encode())
}

/// An address book that was opened, encoded again.
#[must_use]
pub fn book(bytes: &[u8]) -> Option<Vec<u8>> {
    Book::decode(bytes).ok().map(|book| book.encode())
}

//! Targets for the decoders of the `people` crate.

use people::{ReceiptFile, SignedRequest, fuzzing};

use crate::{Verdict, same};

/// A list of a person's devices, behind its signature.
#[must_use]
pub fn devices_payload(bytes: &[u8]) -> Verdict {
    same(fuzzing::devices(bytes), bytes)
}

/// The request of a device, behind its signature.
#[must_use]
pub fn device_request_payload(bytes: &[u8]) -> Verdict {
    same(fuzzing::device_request(bytes), bytes)
}

/// The line that a new device prints.
#[must_use]
pub fn device_request_text(bytes: &[u8]) -> Verdict {
    let text = std::str::from_utf8(bytes).ok();
    let request = text.and_then(|text| text.parse::<SignedRequest>().ok());
    if let Some(request) = &request {
        // A fuzzer finds the golden one alone: it is signed.
        let _ = request.open();
    }
    same(request.map(|request| request.to_string().into_bytes()), bytes)
}

/// An address book, before it is opened.
#[must_use]
pub fn sealed_book(bytes: &[u8]) -> Verdict {
    same(fuzzing::sealed_book(bytes), bytes)
}

/// An address book that was opened.
#[must_use]
pub fn book(bytes: &[u8]) -> Verdict {
    same(fuzzing::book(bytes), bytes)
}

/// The file of a receipt.
#[must_use]
pub fn receipt_file(bytes: &[u8]) -> Verdict {
    let file = ReceiptFile::decode(bytes).ok();
    if let Some(file) = &file {
        // A fuzzer finds the golden one alone: it is signed.
        let _ = file.prove();
    }
    same(file.map(|file| file.encode()), bytes)
}

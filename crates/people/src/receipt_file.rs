//! A receipt as somebody keeps it or hands it on: with what says whose device signed it.

use content::DecodeError;
use content::cbor::{self, Reader};
use delivery::{Receipt, ReceiptError};
use documents::envelope;

use crate::{Devices, DevicesError, Handle, Identity, Known};

/// The longest file, in bytes: all lists that a hub keeps of a person, and the receipt.
pub const RECEIPT_FILE_BYTES_MAX: usize = 1 << 20;

/// The receipt of a delivery beside the lists of devices of the person who signed it, so that it can be
/// verified without a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptFile {
    /// As the recipient signed it.
    pub receipt: Vec<u8>,
    /// The recipient's signed lists from the first on; none for one without a handle.
    pub lists: Vec<Vec<u8>>,
}

/// What a file proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenReceipt {
    /// What was received, and by which device.
    pub receipt: Receipt,
    /// Whose device that is, by the lists in the file; `None` for a file without lists.
    pub recipient: Option<(Handle, Identity)>,
}

/// Why a file proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptFileError {
    /// It is no such file, or was altered. Ask for another copy.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It is longer than any file of a receipt.
    #[error("it is longer than {RECEIPT_FILE_BYTES_MAX} bytes")]
    TooLong,
    /// Nobody signed the receipt as it stands there.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// The lists of devices were not signed one after the other.
    #[error(transparent)]
    Devices(#[from] DevicesError),
    /// The receipt was signed by a device that is not on the last of the lists.
    #[error("the receipt was not signed by a device of {0}")]
    NotTheirs(Handle),
}

impl ReceiptFile {
    /// What it proves. Whether that is the identity of whom one means, one has to know.
    ///
    /// # Errors
    /// See [`ReceiptFileError`].
    pub fn prove(&self) -> Result<ProvenReceipt, ReceiptFileError> {
        let receipt = Receipt::read(&self.receipt)?;
        let Some(first) = self.lists.first() else {
            return Ok(ProvenReceipt { receipt, recipient: None });
        };
        let handle = envelope::peek::<Devices>(first).map_err(DevicesError::from)?.handle;
        let known = Known::chain(&handle, self.lists.iter().map(|list| &list[..]))?;
        if !known.list.devices.contains_key(&receipt.recipient) {
            return Err(ReceiptFileError::NotTheirs(handle));
        }
        Ok(ProvenReceipt { receipt, recipient: Some((handle, known.identity)) })
    }

    /// The bytes of the file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.map(3)?.u8(0)?.u8(1)?.u8(1)?.bytes(&self.receipt)?;
            writer.u8(2)?.array(self.lists.len() as u64)?;
            for list in &self.lists {
                writer.bytes(list)?;
            }
            Ok(())
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, ReceiptFileError> {
        if bytes.len() > RECEIPT_FILE_BYTES_MAX {
            return Err(ReceiptFileError::TooLong);
        }
        let read = |reader: &mut Reader<'_>| {
            let mut fields = reader.fields()?;
            fields.expect(reader, 0)?;
            reader.version(1)?;
            fields.expect(reader, 1)?;
            let receipt = reader.bytes()?.to_vec();
            fields.expect(reader, 2)?;
            let count = reader.items()?;
            let mut lists = Vec::with_capacity(reader.capacity(count, size_of::<Vec<u8>>()));
            for _ in 0..count {
                lists.push(reader.bytes()?.to_vec());
            }
            fields.finish(reader)?;
            Ok(Self { receipt, lists })
        };
        Ok(cbor::decode_canonical("file of a receipt", bytes, read, Self::encode)?)
    }
}

#[cfg(test)]
mod tests {
    use delivery::{DeliveryId, Digest, Tag, Tally};
    use documents::{ExchangeKey, NodeKey};

    use crate::Device;

    use super::*;

    fn key(number: u8) -> NodeKey {
        NodeKey::from_secret_bytes([number; 32])
    }

    fn device(key: &NodeKey) -> Device {
        let exchange = ExchangeKey::derive(key).public();
        Device { exchange, name: "desk".into(), since: 1_795_000_000 }
    }

    /// Ben's first list, of key 1.
    fn first() -> Vec<u8> {
        let list = Devices {
            handle: "ben".parse().expect("a handle"),
            number: 1,
            previous: None,
            issued: 1_795_000_000,
            devices: [(key(1).public(), device(&key(1)))].into(),
            signer: key(1).public(),
        };
        list.sign(&key(1))
    }

    /// Ben's second list, of key 2 alone.
    fn second() -> Vec<u8> {
        let known = Known::first(&"ben".parse().expect("a handle"), &first()).expect("a list");
        let devices = [(key(2).public(), device(&key(2)))].into();
        known.successor(devices, key(1).public(), 1_795_000_001).sign(&key(1))
    }

    fn receipt(signer: &NodeKey) -> Receipt {
        Receipt {
            id: DeliveryId::from_bytes([1; 16]),
            digest: Digest::of([Tag::from_bytes([2; 32])]),
            tally: Tally { items: 1, stream_bytes: 100 },
            received: 1_795_000_002,
            recipient: signer.public(),
        }
    }

    #[test]
    fn a_file_proves_who_received_what() {
        let signed = receipt(&key(1)).sign(&key(1));
        let file = ReceiptFile { receipt: signed.clone(), lists: vec![first()] };
        let read = ReceiptFile::decode(&file.encode()).expect("decodes");
        assert_eq!(read, file);
        let proven = read.prove().expect("proves");
        assert_eq!(proven.receipt, receipt(&key(1)));
        let (handle, identity) = proven.recipient.expect("somebody");
        assert_eq!(handle.as_str(), "ben");
        assert_eq!(identity, documents::DocumentHash::of(&first()));

        let nameless = ReceiptFile { receipt: signed, lists: Vec::new() };
        assert_eq!(nameless.prove().expect("proves").recipient, None);
    }

    #[test]
    fn a_file_with_a_forged_receipt_or_other_devices_proves_nothing() {
        let prove = |receipt: Vec<u8>, lists| ReceiptFile { receipt, lists }.prove();
        let (one, two) = (receipt(&key(1)).sign(&key(1)), receipt(&key(2)).sign(&key(2)));
        assert!(prove(two.clone(), vec![first(), second()]).is_ok());
        // Of a device that was taken from the list, and of one that never was on it.
        let not_theirs = |proven| matches!(proven, Err(ReceiptFileError::NotTheirs(_)));
        assert!(not_theirs(prove(one.clone(), vec![first(), second()])));
        assert!(not_theirs(prove(two, vec![first()])));
        let devices = |proven| matches!(proven, Err(ReceiptFileError::Devices(_)));
        assert!(devices(prove(one.clone(), vec![second()])), "without the first list");
        assert!(devices(prove(one.clone(), vec![first(), first()])));
        let forged = receipt(&key(1)).sign(&key(2));
        assert!(matches!(prove(forged, vec![first()]), Err(ReceiptFileError::Receipt(_))));
        for index in 0..one.len() {
            let mut altered = one.clone();
            altered[index] ^= 1;
            prove(altered, vec![first()]).expect_err("altered");
        }
    }

    #[test]
    fn a_file_that_is_cut_or_too_long_is_refused() {
        let file = ReceiptFile { receipt: receipt(&key(1)).sign(&key(1)), lists: vec![first()] };
        let bytes = file.encode();
        for end in 0..bytes.len() {
            ReceiptFile::decode(&bytes[..end]).expect_err("cut short");
        }
        let long = vec![0; RECEIPT_FILE_BYTES_MAX + 1];
        assert_eq!(ReceiptFile::decode(&long), Err(ReceiptFileError::TooLong));
    }
}

//! Which devices are a person's.

use std::collections::BTreeMap;

use content::DecodeError;
use content::cbor::{self, Reader};
use documents::envelope::{self, Attributed, Payload};
use documents::{Context, DocumentError, DocumentHash, ExchangePublic, NodeKey, PublicKey};

use crate::Handle;

/// Most devices of a person.
pub const DEVICES_MAX: usize = 16;
/// The longest name of a device, in characters.
pub const DEVICE_NAME_CHARS_MAX: usize = 64;

/// One device of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// What is sealed for it.
    pub exchange: ExchangePublic,
    /// What its owner calls it.
    pub name: String,
    /// When it was added, in seconds since 1970.
    pub since: u64,
}

/// The list of a person's devices. Number 1 is signed by the one device it names, every other by a device
/// of the list before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Devices {
    /// Whose.
    pub handle: Handle,
    /// From 1 on, without gaps.
    pub number: u64,
    /// The list before this one.
    pub previous: Option<DocumentHash>,
    /// When it was signed, in seconds since 1970.
    pub issued: u64,
    /// At most [`DEVICES_MAX`], at least one, by what each signs with.
    pub devices: BTreeMap<PublicKey, Device>,
    /// The device that signs.
    pub signer: PublicKey,
}

/// What stands for a person: the hash of the first list of their devices. Whoever lost all of them begins
/// another list, and has another identity then.
pub type Identity = DocumentHash;

/// A person's newest list, as far as somebody followed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The list.
    pub list: Devices,
    /// Its hash, which the next list names.
    pub hash: DocumentHash,
    /// The hash of the first.
    pub identity: Identity,
}

/// Why a list of devices was refused. What is known of the person stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DevicesError {
    /// It is no such list.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It is the list of another handle. The hub is broken or hostile.
    #[error("a list of the devices of {0}")]
    OtherHandle(Handle),
    /// It does not follow the list that is known. The hub left some out, or the person began anew.
    #[error("list {found} of devices does not follow list {known}")]
    DoesNotFollow {
        /// Number of the list that is known; 0 for none.
        known: u64,
        /// Number of the one that came.
        found: u64,
    },
    /// Nobody signed it who may. The hub is broken or hostile.
    #[error("list {0} of devices is not signed by a device of the list before")]
    NotTheirs(u64),
    /// A device has a key for which nothing can be sealed.
    #[error("device {0} has an unusable key")]
    WeakKey(PublicKey),
}

/// Whether a device may be called so.
#[must_use]
pub fn check_device_name(name: &str) -> bool {
    !name.trim().is_empty()
        && name.chars().count() <= DEVICE_NAME_CHARS_MAX
        && !name.chars().any(char::is_control)
}

impl Devices {
    /// Signs the list with the key that [`signer`](Self::signer) names.
    #[must_use]
    pub fn sign(&self, key: &NodeKey) -> Vec<u8> {
        envelope::sign(self, key)
    }

    fn open(signed: &[u8], handle: &Handle) -> Result<Self, DevicesError> {
        let claimed: Self = envelope::peek(signed)?;
        let list: Self = envelope::open(signed, &claimed.signer)?;
        if list.handle != *handle {
            return Err(DevicesError::OtherHandle(list.handle));
        }
        match list.devices.iter().find(|(_, device)| !device.exchange.is_sound()) {
            Some((key, _)) => Err(DevicesError::WeakKey(*key)),
            None => Ok(list),
        }
    }
}

impl Known {
    /// Believes the first list of a handle's devices.
    ///
    /// # Errors
    /// It is not such a list.
    pub fn first(handle: &Handle, signed: &[u8]) -> Result<Self, DevicesError> {
        let list = Devices::open(signed, handle)?;
        if list.number != 1 {
            return Err(DevicesError::DoesNotFollow { known: 0, found: list.number });
        }
        if !list.devices.keys().eq([&list.signer]) {
            return Err(DevicesError::NotTheirs(1));
        }
        let hash = DocumentHash::of(signed);
        Ok(Self { list, hash, identity: hash })
    }

    /// Believes the list that follows.
    ///
    /// # Errors
    /// It is not the next one, or nobody signed it who may.
    pub fn next(&self, signed: &[u8]) -> Result<Self, DevicesError> {
        let list = Devices::open(signed, &self.list.handle)?;
        let follows = self.list.number.checked_add(1) == Some(list.number);
        if !follows || list.previous != Some(self.hash) {
            let (known, found) = (self.list.number, list.number);
            return Err(DevicesError::DoesNotFollow { known, found });
        }
        if !self.list.devices.contains_key(&list.signer) {
            return Err(DevicesError::NotTheirs(list.number));
        }
        Ok(Self { list, hash: DocumentHash::of(signed), identity: self.identity })
    }

    /// Believes a whole chain, from the first list on.
    ///
    /// # Errors
    /// See [`first`](Self::first) and [`next`](Self::next); an empty chain follows nothing.
    pub fn chain<'a>(
        handle: &Handle,
        signed: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, DevicesError> {
        let mut lists = signed.into_iter();
        let first = lists.next().ok_or(DevicesError::DoesNotFollow { known: 0, found: 0 })?;
        lists.try_fold(Self::first(handle, first)?, |known, signed| known.next(signed))
    }

    /// The list after this one, to be signed by `signer`.
    #[must_use]
    pub fn successor(
        &self,
        devices: BTreeMap<PublicKey, Device>,
        signer: PublicKey,
        issued: u64,
    ) -> Devices {
        Devices {
            handle: self.list.handle.clone(),
            number: self.list.number + 1,
            previous: Some(self.hash),
            issued,
            devices,
            signer,
        }
    }
}

impl Payload for Devices {
    const CONTEXT: Context = Context::Devices;
    /// Sixteen devices of at most 360 bytes each, and the rest.
    const BYTES_MAX: usize = 8 * 1024;

    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.map(6 + u64::from(self.previous.is_some()))?.u8(0)?.u8(1)?;
            writer.u8(1)?.str(self.handle.as_str())?.u8(2)?.u64(self.number)?;
            if let Some(previous) = &self.previous {
                writer.u8(3)?.bytes(previous.as_bytes())?;
            }
            writer.u8(4)?.u64(self.issued)?.u8(5)?.array(self.devices.len() as u64)?;
            for (key, device) in &self.devices {
                writer.array(4)?.bytes(key.as_bytes())?.bytes(device.exchange.as_bytes())?;
                writer.str(&device.name)?.u64(device.since)?;
            }
            writer.u8(6)?.bytes(self.signer.as_bytes())?;
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        cbor::decode_canonical("list of devices", bytes, read, Self::encode)
    }
}

impl Attributed for Devices {
    fn signer(&self) -> PublicKey {
        self.signer
    }
}

fn read(reader: &mut Reader<'_>) -> Result<Devices, DecodeError> {
    let mut fields = reader.fields()?;
    fields.expect(reader, 0)?;
    reader.version(1)?;
    fields.expect(reader, 1)?;
    let handle = Handle::read(reader)?;
    fields.expect(reader, 2)?;
    let number = reader.u64()?;
    let previous = match fields.take(reader, 3)? {
        true => Some(DocumentHash::from_bytes(reader.array()?)),
        false => None,
    };
    if previous.is_some() != (number > 1) || number == 0 {
        return Err(reader.invalid("a first list that follows another, or one that follows none"));
    }
    fields.expect(reader, 4)?;
    let issued = reader.u64()?;
    fields.expect(reader, 5)?;
    let count = reader.items()?;
    if !(1..=DEVICES_MAX as u64).contains(&count) {
        return Err(reader.invalid(format!("{count} devices")));
    }
    let mut devices = BTreeMap::new();
    for _ in 0..count {
        reader.array_of(4)?;
        let key = PublicKey::from_bytes(reader.array()?);
        let exchange = ExchangePublic::from_bytes(reader.array()?);
        let name = reader.text()?.to_owned();
        if !check_device_name(&name) {
            return Err(reader.invalid("an impossible name of a device"));
        }
        devices.insert(key, Device { exchange, name, since: reader.u64()? });
    }
    fields.expect(reader, 6)?;
    let signer = PublicKey::from_bytes(reader.array()?);
    fields.finish(reader)?;
    Ok(Devices { handle, number, previous, issued, devices, signer })
}

#[cfg(test)]
mod tests {
    use documents::ExchangeKey;

    use super::*;

    fn key(secret: u8) -> NodeKey {
        NodeKey::from_secret_bytes([secret; 32])
    }

    fn devices(secrets: &[u8]) -> BTreeMap<PublicKey, Device> {
        let device = |secret: &u8| {
            let exchange = ExchangeKey::derive(&key(*secret)).public();
            (key(*secret).public(), Device { exchange, name: format!("device {secret}"), since: 7 })
        };
        secrets.iter().map(device).collect()
    }

    fn anna() -> Handle {
        "anna".parse().expect("a handle")
    }

    fn first(secret: u8) -> Devices {
        let devices = devices(&[secret]);
        let signer = key(secret).public();
        Devices { handle: anna(), number: 1, previous: None, issued: 5, devices, signer }
    }

    fn follow(known: &Known, secrets: &[u8], signer: u8) -> Vec<u8> {
        known.successor(devices(secrets), key(signer).public(), 6).sign(&key(signer))
    }

    #[test]
    fn every_list_is_signed_by_a_device_of_the_one_before() {
        let one = first(1).sign(&key(1));
        let known = Known::first(&anna(), &one).expect("a first list");
        let two = follow(&known, &[1, 2], 1);
        let known = known.next(&two).expect("follows");
        let three = follow(&known, &[2], 2);
        let last = known.next(&three).expect("follows");
        assert_eq!(last.identity, DocumentHash::of(&one));
        assert_eq!(last.list.devices, devices(&[2]));
        let chain = [&one[..], &two[..], &three[..]];
        assert_eq!(Known::chain(&anna(), chain), Ok(last.clone()));

        // A device that was removed, or never was one, adds none.
        let by_removed = follow(&last, &[1, 2], 1);
        assert_eq!(last.next(&by_removed), Err(DevicesError::NotTheirs(4)));
        let by_stranger = follow(&known, &[1, 2, 3], 3);
        assert_eq!(known.next(&by_stranger), Err(DevicesError::NotTheirs(3)));
    }

    #[test]
    fn a_hub_cannot_leave_out_repeat_or_exchange_a_list() {
        let one = first(1).sign(&key(1));
        let first_known = Known::first(&anna(), &one).expect("a first list");
        let two = follow(&first_known, &[1, 2], 1);
        let second = first_known.next(&two).expect("follows");
        let three = follow(&second, &[1], 1);
        let gap = DevicesError::DoesNotFollow { known: 1, found: 3 };
        assert_eq!(first_known.next(&three), Err(gap));
        let again = DevicesError::DoesNotFollow { known: 2, found: 2 };
        assert_eq!(second.next(&two), Err(again));
        let begun_anew = DevicesError::DoesNotFollow { known: 2, found: 1 };
        assert_eq!(second.next(&first(9).sign(&key(9))), Err(begun_anew));
        // A list 3 that follows another list 2.
        let other_two = first_known.next(&follow(&first_known, &[1, 4], 1)).expect("follows");
        let forked = DevicesError::DoesNotFollow { known: 2, found: 3 };
        assert_eq!(second.next(&follow(&other_two, &[1], 1)), Err(forked));
    }

    #[test]
    fn a_first_list_speaks_for_one_device_of_that_handle() {
        let ben: Handle = "ben".parse().expect("a handle");
        let signed = first(1).sign(&key(1));
        assert_eq!(Known::first(&ben, &signed), Err(DevicesError::OtherHandle(anna())));
        let two = Devices { devices: devices(&[1, 2]), ..first(1) };
        assert_eq!(Known::first(&anna(), &two.sign(&key(1))), Err(DevicesError::NotTheirs(1)));
        let forged = first(1).sign(&key(2));
        assert!(matches!(Known::first(&anna(), &forged), Err(DevicesError::Document(_))));
        let mut weak = first(1);
        let zero = ExchangePublic::from_bytes([0; 32]);
        weak.devices.values_mut().for_each(|device| device.exchange = zero);
        let refused = DevicesError::WeakKey(key(1).public());
        assert_eq!(Known::first(&anna(), &weak.sign(&key(1))), Err(refused));
        let none = DevicesError::DoesNotFollow { known: 0, found: 0 };
        assert_eq!(Known::chain(&anna(), []), Err(none));
    }

    #[test]
    fn impossible_lists_do_not_decode() {
        let previous = Some(DocumentHash::from_bytes([1; 32]));
        let many: Vec<u8> = (1..=17).collect();
        let mut nameless = first(1);
        nameless.devices.values_mut().for_each(|device| device.name = " ".into());
        for list in [
            Devices { number: 0, ..first(1) },
            Devices { number: 2, ..first(1) },
            Devices { previous, ..first(1) },
            Devices { devices: BTreeMap::new(), ..first(1) },
            Devices { devices: devices(&many), ..first(1) },
            nameless,
        ] {
            Devices::decode(&list.encode()).expect_err("impossible");
        }
        let full = Devices { devices: devices(&many[..16]), ..first(1) };
        assert_eq!(Devices::decode(&full.encode()), Ok(full));
    }
}

//! What a new device says of itself, for another one to approve.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use content::DecodeError;
use content::cbor::{self, Reader};
use documents::envelope::{self, Attributed, Payload};
use documents::{Context, DocumentError, ExchangePublic, NodeKey, PublicKey};

use crate::{Handle, check_device_name};

const PREFIX: &str = "consign-device-1:";
/// The longest request as text, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// A device's own word that it is to be one of a person's. It goes from screen to screen and not through the
/// hub, so that the hub cannot put another device in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRequest {
    /// Whose device it is to be.
    pub handle: Handle,
    /// What it signs with; signs the request.
    pub key: PublicKey,
    /// What is sealed for it.
    pub exchange: ExchangePublic,
    /// What its owner calls it.
    pub name: String,
}

/// A signed request, as the text that is carried from one device to the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest(Vec<u8>);

/// A text that is no request of a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It does not begin as a request does, or characters are missing. Copy the whole line that the new
    /// device printed.
    #[error("that is not the line which the new device printed; it begins with {PREFIX}")]
    Text,
    /// It was altered.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Nothing can be sealed for that device.
    #[error("the device has an unusable key")]
    WeakKey,
}

impl DeviceRequest {
    /// Signs the request with the device's key.
    #[must_use]
    pub fn sign(&self, key: &NodeKey) -> SignedRequest {
        SignedRequest(envelope::sign(self, key))
    }
}

impl SignedRequest {
    /// What the device says, by its own signature.
    ///
    /// # Errors
    /// It was altered, or has an unusable key.
    pub fn open(&self) -> Result<DeviceRequest, RequestError> {
        let claimed: DeviceRequest = envelope::peek(&self.0)?;
        let request: DeviceRequest = envelope::open(&self.0, &claimed.key)?;
        if request.exchange.is_sound() { Ok(request) } else { Err(RequestError::WeakKey) }
    }
}

impl fmt::Display for SignedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(&self.0))
    }
}

impl FromStr for SignedRequest {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Self, RequestError> {
        let coded = text.strip_prefix(PREFIX).filter(|_| text.len() <= TEXT_BYTES_MAX);
        let bytes = URL_SAFE_NO_PAD.decode(coded.ok_or(RequestError::Text)?);
        Ok(Self(bytes.map_err(|_| RequestError::Text)?))
    }
}

impl Payload for DeviceRequest {
    const CONTEXT: Context = Context::DeviceRequest;
    const BYTES_MAX: usize = TEXT_BYTES_MAX;

    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.map(5)?.u8(0)?.u8(1)?.u8(1)?.str(self.handle.as_str())?;
            writer.u8(2)?.bytes(self.key.as_bytes())?.u8(3)?.bytes(self.exchange.as_bytes())?;
            writer.u8(4)?.str(&self.name)?;
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            let mut fields = reader.fields()?;
            fields.expect(reader, 0)?;
            reader.version(1)?;
            fields.expect(reader, 1)?;
            let handle = Handle::read(reader)?;
            fields.expect(reader, 2)?;
            let key = PublicKey::from_bytes(reader.array()?);
            fields.expect(reader, 3)?;
            let exchange = ExchangePublic::from_bytes(reader.array()?);
            fields.expect(reader, 4)?;
            let name = reader.text()?.to_owned();
            if !check_device_name(&name) {
                return Err(reader.invalid("an impossible name of a device"));
            }
            fields.finish(reader)?;
            Ok(Self { handle, key, exchange, name })
        };
        cbor::decode_canonical("request of a device", bytes, read, Self::encode)
    }
}

impl Attributed for DeviceRequest {
    fn signer(&self) -> PublicKey {
        self.key
    }
}

#[cfg(test)]
mod tests {
    use documents::ExchangeKey;

    use super::*;

    fn request() -> DeviceRequest {
        let key = NodeKey::from_secret_bytes([1; 32]);
        DeviceRequest {
            handle: "anna".parse().expect("a handle"),
            key: key.public(),
            exchange: ExchangeKey::derive(&key).public(),
            name: "Anna's laptop".into(),
        }
    }

    #[test]
    fn a_request_reads_as_it_was_signed_and_nothing_less_does() {
        let signed = request().sign(&NodeKey::from_secret_bytes([1; 32]));
        let text = signed.to_string();
        assert_eq!(text.parse::<SignedRequest>().and_then(|signed| signed.open()), Ok(request()));
        for end in 0..text.len() {
            let cut = text[..end].parse::<SignedRequest>().and_then(|signed| signed.open());
            cut.expect_err("cut short");
        }
        let long = format!("{PREFIX}{}", "A".repeat(TEXT_BYTES_MAX));
        assert_eq!(long.parse::<SignedRequest>(), Err(RequestError::Text));
    }

    #[test]
    fn a_request_speaks_for_its_own_key_alone() {
        let forged = request().sign(&NodeKey::from_secret_bytes([2; 32]));
        assert!(matches!(forged.open(), Err(RequestError::Document(_))));
        let exchange = ExchangePublic::from_bytes([0; 32]);
        let weak = DeviceRequest { exchange, ..request() };
        let weak = weak.sign(&NodeKey::from_secret_bytes([1; 32]));
        assert_eq!(weak.open(), Err(RequestError::WeakKey));
        let nameless = DeviceRequest { name: "\n".into(), ..request() };
        let nameless = nameless.sign(&NodeKey::from_secret_bytes([1; 32]));
        assert!(matches!(nameless.open(), Err(RequestError::Document(_))));
    }
}

//! Where the recipient of a delivery reaches its sender without a hub between.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use content::DecodeError;
use content::cbor;

use crate::{DeliveryId, DeliverySecret, OpenSegmentError, Vault};

const WHAT: &str = "direct path";
/// A machine has an address or two that lead somewhere; each of these is tried.
const ADDRESSES_MAX: usize = 4;
/// Below are the ports of well-known services, which no sender listens at: nobody is to be sent knocking there.
const PORT_MIN: u16 = 1024;

/// The longest sealed [`DirectPath`], in bytes.
pub const DIRECT_PATH_BYTES_MAX: usize = 256;

/// Where a sender listens for its recipient, and how to recognise it there. The sender tells it to the hub sealed, the
/// hub hands it on, and only who has the delivery's secret opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectPath {
    /// Where it listens; the first is tried first.
    pub addresses: Vec<SocketAddr>,
    /// SHA-256 of the certificate that it shows.
    pub fingerprint: [u8; 32],
}

/// What came as a direct path is none. Do without it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenDirectPathError {
    /// It was altered, or sealed for another delivery: the hub made it up.
    #[error("it is not what the sender sealed")]
    NotAuthentic(#[source] OpenSegmentError),
    /// The sender sealed something else, or what a newer program understands.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

impl DirectPath {
    /// Seals it for the recipient of a delivery. The same path gives the same bytes.
    #[must_use]
    pub fn seal(&self, id: DeliveryId, secret: &DeliverySecret) -> Vec<u8> {
        Vault::of_direct_path(id, secret).seal(0, self.encode()[..].into()).1
    }

    /// Opens what [`seal`](Self::seal) sealed.
    ///
    /// # Errors
    /// See [`OpenDirectPathError`].
    pub fn open(
        sealed: &[u8],
        id: DeliveryId,
        secret: &DeliverySecret,
    ) -> Result<Self, OpenDirectPathError> {
        let plain = Vault::of_direct_path(id, secret).open_any(0, sealed);
        Ok(Self::decode(&plain.map_err(OpenDirectPathError::NotAuthentic)?)?)
    }

    /// The bytes that are sealed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.array(3)?.u8(1)?.array(self.addresses.len() as u64)?;
            for address in &self.addresses {
                writer.array(2)?;
                match address.ip() {
                    IpAddr::V4(ip) => writer.bytes(&ip.octets())?,
                    IpAddr::V6(ip) => writer.bytes(&ip.octets())?,
                };
                writer.u16(address.port())?;
            }
            writer.bytes(&self.fingerprint)?;
            Ok(())
        })
    }

    /// Reads what was opened.
    ///
    /// # Errors
    /// It is none, or names a place at which no sender listens.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut cbor::Reader<'_>| {
            reader.array_of(3)?;
            reader.version(1)?;
            let count = reader.items()?;
            if !(1..=ADDRESSES_MAX as u64).contains(&count) {
                return Err(reader.invalid("no addresses, or too many"));
            }
            let addresses = (0..count).map(|_| address(reader)).collect::<Result<_, _>>()?;
            Ok(Self { addresses, fingerprint: reader.array()? })
        };
        cbor::decode_canonical(WHAT, bytes, read, Self::encode)
    }
}

fn address(reader: &mut cbor::Reader<'_>) -> Result<SocketAddr, DecodeError> {
    reader.array_of(2)?;
    let ip = reader.bytes()?;
    let ip = match (<[u8; 4]>::try_from(ip), <[u8; 16]>::try_from(ip)) {
        (Ok(four), _) => IpAddr::V4(Ipv4Addr::from(four)),
        (_, Ok(sixteen)) => IpAddr::V6(Ipv6Addr::from(sixteen)),
        _ => return Err(reader.invalid("an address of neither 4 nor 16 bytes")),
    };
    // Those of a link are services of the machine's own place, or need a scope that is not told; a mapped one would be a second spelling of an address with four bytes.
    let is_one = match ip {
        IpAddr::V4(ip) => {
            !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast() && !ip.is_link_local()
        }
        IpAddr::V6(ip) => {
            !ip.is_unspecified()
                && !ip.is_multicast()
                && !ip.is_unicast_link_local()
                && ip.to_ipv4_mapped().is_none()
        }
    };
    let port = u16::try_from(reader.u32()?).ok().filter(|port| *port >= PORT_MIN);
    match port {
        Some(port) if is_one => Ok(SocketAddr::new(ip, port)),
        _ => Err(reader.invalid("an address at which no sender listens")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: DeliveryId = DeliveryId::from_bytes([1; 16]);
    const SECRET: DeliverySecret = DeliverySecret::from_bytes([2; 32]);

    fn path(addresses: &[&str]) -> DirectPath {
        let addresses = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        DirectPath { addresses, fingerprint: [3; 32] }
    }

    #[test]
    fn a_path_is_opened_by_who_has_the_secret_of_its_delivery_alone() {
        let ours = path(&["192.0.2.7:40001", "[2001:db8::7]:40001"]);
        let sealed = ours.seal(ID, &SECRET);
        assert_eq!(DirectPath::open(&sealed, ID, &SECRET), Ok(ours.clone()));
        assert!(sealed.len() <= DIRECT_PATH_BYTES_MAX);
        assert!(!sealed.windows(4).any(|bytes| bytes == [192, 0, 2, 7]), "nobody else reads it");
        let other = DeliverySecret::from_bytes([9; 32]);
        for (id, secret) in [(DeliveryId::from_bytes([8; 16]), SECRET), (ID, other)] {
            let opened = DirectPath::open(&sealed, id, &secret);
            assert!(matches!(opened, Err(OpenDirectPathError::NotAuthentic(_))), "{opened:?}");
        }
        // Nor does anything else that was sealed for the delivery pass for one.
        let (_, segment) = Vault::of_segments(ID, &SECRET).seal(0, ours.encode()[..].into());
        DirectPath::open(&segment, ID, &SECRET).expect_err("a segment");
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            DirectPath::open(&altered, ID, &SECRET).expect_err("altered");
        }
    }

    #[test]
    fn the_longest_path_is_within_the_limit() {
        let longest = path(&["[2001:db8::7]:65535"; ADDRESSES_MAX]);
        assert!(longest.seal(ID, &SECRET).len() <= DIRECT_PATH_BYTES_MAX);
    }

    #[test]
    fn places_at_which_no_sender_listens_are_refused() {
        let hostile = [
            "0.0.0.0:4000",
            "255.255.255.255:4000",
            "224.0.0.1:4000",
            "169.254.169.254:8080",
            "[fe80::1]:4000",
            "192.0.2.7:22",
            "192.0.2.7:0",
            "[::]:4000",
            "[ff02::1]:4000",
            "[::ffff:127.0.0.1]:4000",
        ];
        for address in hostile {
            DirectPath::decode(&path(&[address]).encode()).expect_err(address);
        }
        DirectPath::decode(&path(&[]).encode()).expect_err("none");
        DirectPath::decode(&path(&["192.0.2.7:4000"; ADDRESSES_MAX + 1]).encode())
            .expect_err("too many");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_and_have_one_encoding(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            if let Ok(path) = DirectPath::decode(&bytes) {
                prop_assert_eq!(path.encode(), bytes);
            }
        }

        #[test]
        fn every_path_reads_as_it_was_written(
            four in proptest::collection::vec((1u8..169, any::<[u8; 3]>(), 1024u16..), 1..=ADDRESSES_MAX),
            fingerprint: [u8; 32],
        ) {
            let address = |(first, rest, port): (u8, [u8; 3], u16)| {
                SocketAddr::from(([first, rest[0], rest[1], rest[2]], port))
            };
            let path = DirectPath {
                addresses: four.into_iter().map(address).collect(), fingerprint,
            };
            prop_assert_eq!(DirectPath::decode(&path.encode()), Ok(path));
        }
    }
}

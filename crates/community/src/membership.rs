//! One peer of a community.

use std::collections::{BTreeMap, BTreeSet};

use content::DecodeError;
use content::cbor::{self, Encoded, Reader, Writer};
use documents::PublicKey;

use crate::{CommunityId, ExchangePublic, PeerName, identity};

/// Most labels of a peer.
pub const LABELS_MAX: usize = 32;
/// Most routes of a peer or a seed.
pub const ROUTES_MAX: usize = 8;
/// The longest description of a peer, in bytes: one line.
pub const DESCRIPTION_BYTES_MAX: usize = 256;
/// The longest name of a host, in bytes (RFC 1035, section 2.3.4).
pub const HOST_BYTES_MAX: usize = 255;
const URL_BYTES_MAX: usize = 1024;
const LABEL_BYTES_MAX: usize = 64;

/// What a peer does. Managers stand in the charter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Makes packages and sends them.
    Publisher,
    /// Takes packages and passes them on.
    Relay,
    /// Receives packages, opens them and carries them out.
    Target,
}

impl Role {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Publisher, Self::Relay, Self::Target];

    /// The role in a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::Relay => "relay",
            Self::Target => "target",
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Publisher => 1,
            Self::Relay => 2,
            Self::Target => 3,
        }
    }
}

/// Where a peer finds its hub or relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `http://…` or `https://…`, visible ASCII.
    pub url: String,
    /// SHA-256 of its certificate; all zero: as in [`documents::Invitation::fingerprint`].
    pub fingerprint: [u8; 32],
}

/// A peer as its managers define it. Nobody signs it by itself: it counts while the roster has it, see
/// [`accept_membership`](crate::accept_membership).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The community.
    pub community: CommunityId,
    /// What it is called there.
    pub peer: PeerName,
    /// What it signs with.
    pub key: PublicKey,
    /// What is sealed for it.
    pub exchange: ExchangePublic,
    /// What it does; nothing at all is allowed.
    pub roles: BTreeSet<Role>,
    /// At most [`LABELS_MAX`].
    pub labels: BTreeMap<String, String>,
    /// Where it gets its packages, in order of preference; at most [`ROUTES_MAX`].
    pub routes: Vec<Route>,
    /// When it was defined so, in seconds since 1970.
    pub issued: u64,
    /// For people.
    pub description: Option<String>,
    /// Name or address of the machine, for people.
    pub host: Option<String>,
    /// Where a relay is found by those whose routes name it; at most [`ROUTES_MAX`].
    pub addresses: Vec<Route>,
}

const VERSION: u8 = 0;
const COMMUNITY: u8 = 1;
const PEER: u8 = 2;
const KEY: u8 = 3;
const EXCHANGE: u8 = 4;
const ROLES: u8 = 5;
const LABELS: u8 = 6;
const ROUTES: u8 = 7;
const ISSUED: u8 = 8;
const DESCRIPTION: u8 = 9;
const HOST: u8 = 10;
const ADDRESSES: u8 = 11;

impl Membership {
    /// The bytes that the roster counts.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let optional = [&self.description, &self.host].into_iter().flatten().count() as u64
            + u64::from(!self.addresses.is_empty());
        cbor::encode(|writer| {
            writer.map(9 + optional)?.u8(VERSION)?.u8(1)?;
            writer.u8(COMMUNITY)?.bytes(self.community.as_bytes())?;
            writer.u8(PEER)?.str(self.peer.as_str())?.u8(KEY)?.bytes(self.key.as_bytes())?;
            writer.u8(EXCHANGE)?.bytes(self.exchange.as_bytes())?;
            writer.u8(ROLES)?.array(self.roles.len() as u64)?;
            for role in &self.roles {
                writer.u8(role.number())?;
            }
            writer.u8(LABELS)?.array(self.labels.len() as u64)?;
            for (key, value) in &self.labels {
                writer.array(2)?.str(key)?.str(value)?;
            }
            write_routes(&self.routes, writer.u8(ROUTES)?)?;
            writer.u8(ISSUED)?.u64(self.issued)?;
            if let Some(description) = &self.description {
                writer.u8(DESCRIPTION)?.str(description)?;
            }
            if let Some(host) = &self.host {
                writer.u8(HOST)?.str(host)?;
            }
            if !self.addresses.is_empty() {
                write_routes(&self.addresses, writer.u8(ADDRESSES)?)?;
            }
            Ok(())
        })
    }

    /// Decodes a membership, canonical only.
    ///
    /// # Errors
    /// Anything but the one encoding of such a membership.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut Reader<'_>| {
            let (mut fields, community) = identity::read_head(reader)?;
            fields.expect(reader, PEER)?;
            let peer = PeerName::read(reader)?;
            fields.expect(reader, KEY)?;
            let key = PublicKey::from_bytes(reader.array()?);
            fields.expect(reader, EXCHANGE)?;
            let exchange = ExchangePublic::from_bytes(reader.array()?);
            fields.expect(reader, ROLES)?;
            let roles = read_roles(reader)?;
            fields.expect(reader, LABELS)?;
            let labels = read_labels(reader)?;
            fields.expect(reader, ROUTES)?;
            let routes = read_routes(reader)?;
            fields.expect(reader, ISSUED)?;
            let issued = reader.u64()?;
            let mut optional = |reader: &mut Reader<'_>, field, most| {
                let there = fields.take(reader, field)?;
                there.then(|| read_line(reader, most)).transpose()
            };
            let description = optional(reader, DESCRIPTION, DESCRIPTION_BYTES_MAX)?;
            let host = optional(reader, HOST, HOST_BYTES_MAX)?;
            let addresses = match fields.take(reader, ADDRESSES)? {
                true => read_routes(reader)?,
                false => Vec::new(),
            };
            fields.finish(reader)?;
            Ok(Self {
                community,
                peer,
                key,
                exchange,
                roles,
                labels,
                routes,
                issued,
                description,
                host,
                addresses,
            })
        };
        cbor::decode_canonical("membership", bytes, read, Self::encode)
    }
}

fn read_roles(reader: &mut Reader<'_>) -> Result<BTreeSet<Role>, DecodeError> {
    let count = reader.items()?;
    if count > Role::ALL.len() as u64 {
        return Err(reader.invalid(format!("{count} roles")));
    }
    let mut roles = BTreeSet::new();
    for _ in 0..count {
        let number = reader.u64()?;
        let role = Role::ALL.into_iter().find(|role| u64::from(role.number()) == number);
        roles.insert(role.ok_or_else(|| reader.invalid(format!("role {number}")))?);
    }
    Ok(roles)
}

fn read_labels(reader: &mut Reader<'_>) -> Result<BTreeMap<String, String>, DecodeError> {
    let count = reader.items()?;
    if count > LABELS_MAX as u64 {
        return Err(reader.invalid(format!("{count} labels")));
    }
    let fits = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        text.len() <= LABEL_BYTES_MAX && text.bytes().all(plain)
    };
    let mut labels = BTreeMap::new();
    for _ in 0..count {
        reader.array_of(2)?;
        let (key, value) = (reader.text()?, reader.text()?);
        if key.is_empty() || !fits(key) || !fits(value) {
            return Err(reader.invalid("a label of other characters than letters, digits and ._-"));
        }
        labels.insert(key.to_owned(), value.to_owned());
    }
    Ok(labels)
}

pub(crate) fn write_routes(routes: &[Route], writer: &mut Writer) -> Encoded {
    writer.array(routes.len() as u64)?;
    for route in routes {
        writer.array(2)?.str(&route.url)?.bytes(&route.fingerprint)?;
    }
    Ok(())
}

pub(crate) fn read_routes(reader: &mut Reader<'_>) -> Result<Vec<Route>, DecodeError> {
    let count = reader.items()?;
    if count > ROUTES_MAX as u64 {
        return Err(reader.invalid(format!("{count} routes")));
    }
    let mut routes = Vec::new();
    for _ in 0..count {
        reader.array_of(2)?;
        let url = reader.text()?;
        let known = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
        // Printed to terminals and put into requests: visible ASCII only.
        if !known || url.len() > URL_BYTES_MAX || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(reader.invalid("an impossible address"));
        }
        routes.push(Route { url: url.to_owned(), fingerprint: reader.array()? });
    }
    Ok(routes)
}

/// The peers that get what they get through the relay with this key: those whose routes name an address
/// of it, and those who get it through relays among them.
#[must_use]
pub fn served_by<'a>(relay: &PublicKey, members: &'a [Membership]) -> BTreeSet<&'a PublicKey> {
    let is_relay = |member: &&Membership| member.roles.contains(&Role::Relay);
    let addresses_of = |key: &PublicKey| {
        let relay = members.iter().filter(is_relay).find(|member| member.key == *key);
        relay.map_or(&[][..], |relay| &relay.addresses)
    };
    let mut served = BTreeSet::new();
    let mut looking = vec![*relay];
    while let Some(relay) = looking.pop() {
        let urls: BTreeSet<&str> =
            addresses_of(&relay).iter().map(|route| trimmed(&route.url)).collect();
        for member in members {
            let through = member.routes.iter().any(|route| urls.contains(trimmed(&route.url)));
            // Relays may name each other: each is looked at once.
            if through && served.insert(&member.key) && is_relay(&member) {
                looking.push(member.key);
            }
        }
    }
    served
}

fn trimmed(url: &str) -> &str {
    url.trim_end_matches('/')
}

/// A text for people, on one line.
/// Whether a text can be a description, or the name of a host: a line of 1 to `most` bytes.
#[must_use]
pub fn is_line(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && !text.chars().any(char::is_control)
}

pub(crate) fn read_line(reader: &mut Reader<'_>, most: usize) -> Result<String, DecodeError> {
    let text = reader.text()?;
    if !is_line(text, most) {
        return Err(reader.invalid("a text that is empty, too long or more than one line"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::membership;

    #[test]
    fn relays_serve_whom_routes_lead_to_them() {
        let route = |url: &str| Route { url: url.to_owned(), fingerprint: [0; 32] };
        let member = |name: &str, secret, addresses: &[&str], routes: &[&str]| Membership {
            roles: [if addresses.is_empty() { Role::Target } else { Role::Relay }].into(),
            addresses: addresses.iter().map(|url| route(url)).collect(),
            routes: routes.iter().map(|url| route(url)).collect(),
            ..membership(name, secret)
        };
        let members = [
            member("relay-a", 1, &["https://a", "https://a2"], &["https://hub", "https://c"]),
            member("relay-b", 2, &["https://b"], &["https://hub"]),
            member("relay-c", 3, &["https://c"], &["https://a"]),
            member("at-a", 4, &[], &["https://hub", "https://a2/"]),
            member("at-both", 5, &[], &["https://a", "https://b"]),
            member("below-c", 6, &[], &["https://c"]),
            member("at-hub", 7, &[], &["https://hub"]),
        ];
        let served = |relay: usize| -> Vec<&str> {
            let served = served_by(&members[relay].key, &members);
            let names = members.iter().filter(|it| served.contains(&it.key));
            names.map(|it| it.peer.as_str()).collect()
        };
        assert_eq!(served(0), ["relay-a", "relay-c", "at-a", "at-both", "below-c"], "in a circle");
        assert_eq!(served(1), ["at-both"]);
        assert_eq!(served(2), ["relay-a", "relay-c", "at-a", "at-both", "below-c"]);
        assert_eq!(served(6), [] as [&str; 0], "a target has no address");
    }

    #[test]
    fn impossible_memberships_do_not_decode() {
        let base = membership("berlin-1", 5);
        let label = |key: &str, value: &str| Membership {
            labels: [(key.to_owned(), value.to_owned())].into(),
            ..base.clone()
        };
        let route = |url: &str| Membership {
            routes: vec![Route { url: url.into(), fingerprint: [0; 32] }],
            ..base.clone()
        };
        for wrong in [
            label("", "x"),
            label("a b", "x"),
            label("a", "x=y"),
            label(&"a".repeat(65), ""),
            route("ftp://host"),
            route("https://a b"),
            route(&format!("https://{}", "a".repeat(1024))),
            Membership { routes: vec![base.routes[0].clone(); 9], ..base.clone() },
            Membership {
                labels: (0..33).map(|number| (number.to_string(), String::new())).collect(),
                ..base.clone()
            },
            Membership { description: Some("two\nlines".into()), ..base.clone() },
            Membership { host: Some(String::new()), ..base.clone() },
            Membership { addresses: vec![base.routes[0].clone(); 9], ..base.clone() },
        ] {
            assert!(Membership::decode(&wrong.encode()).is_err(), "{wrong:?}");
        }
        let bare = Membership {
            roles: BTreeSet::new(),
            labels: BTreeMap::new(),
            routes: Vec::new(),
            description: None,
            host: None,
            ..base.clone()
        };
        for right in [base, bare] {
            assert_eq!(Membership::decode(&right.encode()), Ok(right));
        }
    }
}

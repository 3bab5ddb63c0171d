//! How many connections each address has, so that one address cannot take all places.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};

/// Counts connections by where they come from.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
    each_max: Option<usize>,
}

/// One connection of an address; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct AddressPlace {
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
    address: IpAddr,
}

impl Addresses {
    pub(crate) fn new(each_max: Option<usize>) -> Self {
        Self { counts: Arc::default(), each_max }
    }

    /// A place for a connection from `address`; `None` when it has as many as it may.
    pub(crate) fn place(&self, address: IpAddr) -> Option<AddressPlace> {
        let address = counted_as(address);
        let mut counts = self.counts.lock().expect("nothing panics while it is held");
        let count = counts.entry(address).or_default();
        if self.each_max.is_some_and(|max| *count >= max) {
            // A limit of zero is the only way to an entry of zero.
            if *count == 0 {
                counts.remove(&address);
            }
            return None;
        }
        *count += 1;
        Some(AddressPlace { counts: Arc::clone(&self.counts), address })
    }
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().expect("nothing panics while it is held");
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// Whoever has one IPv6 address has its whole network of 64 bits, so that counts as one.
pub(crate) fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            Ipv6Addr::from(network).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn places_are_counted_by_address_and_given_back() {
        let addresses = Addresses::new(Some(2));
        let first = addresses.place(address("192.0.2.1")).expect("a place");
        // The same one, as a socket of both families shows it.
        let second = addresses.place(address("::ffff:192.0.2.1")).expect("a place");
        assert!(addresses.place(address("192.0.2.1")).is_none());
        let other = addresses.place(address("192.0.2.2")).expect("a place");
        drop(first);
        let third = addresses.place(address("192.0.2.1")).expect("a place again");
        drop((second, third, other));
        assert!(addresses.counts.lock().expect("no panic").is_empty(), "nothing is kept");
    }

    #[test]
    fn a_network_of_64_bits_counts_as_one_address() {
        let addresses = Addresses::new(Some(1));
        let _place = addresses.place(address("2001:db8:0:1::1")).expect("a place");
        assert!(addresses.place(address("2001:db8:0:1:ffff::2")).is_none());
        assert!(addresses.place(address("2001:db8:0:2::1")).is_some());
    }

    #[test]
    fn without_a_limit_all_have_places() {
        let addresses = Addresses::new(None);
        let places: Vec<_> = (0..1000).map(|_| addresses.place(address("::1"))).collect();
        assert!(places.iter().all(Option::is_some));
    }
}

//! Which handshakes a rule covers.

use std::net::IpAddr;
use std::str::FromStr;

use crate::event::Handshake;
use crate::pattern::Glob;

/// Which handshakes a rule covers: those that match an item of every list that is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    /// Patterns for the server name that the client sent; a handshake without one matches none.
    pub(super) server_names: Vec<Glob>,
    /// Networks of the server.
    pub(super) servers: Vec<IpNetwork>,
    /// Ports of the server.
    pub(super) ports: Vec<u16>,
    /// Networks of the client.
    pub(super) clients: Vec<IpNetwork>,
}

impl Scope {
    /// Whether it covers every handshake.
    pub(super) const fn is_everything(&self) -> bool {
        self.server_names.is_empty()
            && self.servers.is_empty()
            && self.ports.is_empty()
            && self.clients.is_empty()
    }

    /// Whether it covers `event`.
    pub(super) fn contains(&self, event: &Handshake) -> bool {
        fn fits<T>(list: &[T], fits: impl Fn(&T) -> bool) -> bool {
            list.is_empty() || list.iter().any(fits)
        }
        let name = event.tls.server_name.as_deref();
        fits(&self.ports, |port| *port == event.server.port)
            && fits(&self.servers, |network| {
                network.contains(event.server.address)
            })
            && fits(&self.clients, |network| {
                network.contains(event.client.address)
            })
            && fits(&self.server_names, |glob| {
                name.is_some_and(|name| glob.matches(name))
            })
    }
}

/// A network in CIDR notation (RFC 4632), or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IpNetwork {
    address: IpAddr,
    prefix: u32,
}

impl IpNetwork {
    /// Whether it contains `address`; IPv6 networks contain no IPv4 addresses.
    fn contains(self, address: IpAddr) -> bool {
        let (own, ours) = bits(self.address);
        let (other, theirs) = bits(address);
        let differing = own ^ other;
        ours == theirs && differing.checked_shr(ours - self.prefix).unwrap_or(0) == 0
    }
}

/// An address as a number, and how many bits that has.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (address.to_bits().into(), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

impl FromStr for IpNetwork {
    type Err = String;

    /// Refuses bits beyond the prefix: `192.0.2.1/24` could also mean that one address.
    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| "not an address, nor a network as in `192.0.2.0/24`".to_owned())?;
        let (value, length) = bits(address);
        let prefix = match prefix {
            None => length,
            Some(prefix) => prefix
                .parse()
                .ok()
                .filter(|prefix| *prefix <= length)
                .ok_or_else(|| format!("a prefix has 0 to {length} bits"))?,
        };
        let host_bits = value & !u128::MAX.checked_shl(length - prefix).unwrap_or(0);
        if host_bits != 0 {
            return Err(format!("bits are set beyond the prefix of {prefix}"));
        }
        Ok(Self { address, prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::test_events;

    fn contains(network: &str, address: &str) -> bool {
        let network: IpNetwork = network.parse().unwrap();
        network.contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_contains_the_addresses_with_its_prefix() {
        assert!(contains("0.0.0.0/0", "255.255.255.255"));
        assert!(contains("192.0.2.0/24", "192.0.2.77"));
        assert!(!contains("192.0.2.0/24", "192.0.3.1"));
        assert!(contains("192.0.2.128/25", "192.0.2.255"));
        assert!(!contains("192.0.2.128/25", "192.0.2.127"));
        assert!(contains("192.0.2.1", "192.0.2.1"));
        assert!(!contains("192.0.2.1", "192.0.2.0"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(!contains("2001:db8::/32", "2001:db9::"));
        assert!(contains("::/0", "::1"));
        assert!(!contains("::/0", "192.0.2.1"));
        assert!(!contains("0.0.0.0/0", "::"));
    }

    #[test]
    fn rejects_text_that_is_not_a_network() {
        for wrong in [
            "",
            "192.0.2",
            "192.0.2.0/33",
            "::/129",
            "192.0.2.0/-1",
            "192.0.2.0/",
            "192.0.2.1/24",
            "example.org",
        ] {
            assert!(wrong.parse::<IpNetwork>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_scope_requires_a_match_in_every_list_it_has() {
        let event = test_events::refused_by_the_client(); // 10.0.0.1 to example.org at 10.0.0.2:443
        let mut scope = Scope::default();
        assert!(scope.is_everything() && scope.contains(&event));
        scope.ports = vec![8443, 443];
        scope.server_names = vec![Glob::new("*.net"), Glob::new("*.ORG")];
        assert!(!scope.is_everything() && scope.contains(&event));
        scope.clients = vec!["10.0.0.0/31".parse().unwrap()];
        scope.servers = vec!["10.0.0.2".parse().unwrap()];
        assert!(scope.contains(&event));
        scope.servers = vec!["10.0.0.1".parse().unwrap()];
        assert!(!scope.contains(&event));
    }

    #[test]
    fn a_handshake_without_a_server_name_matches_no_pattern() {
        let scope = Scope {
            server_names: vec![Glob::new("*")],
            ..Scope::default()
        };
        assert!(!scope.contains(&test_events::barely_seen()));
    }
}

//! Which handshakes a rule is for.

use std::net::IpAddr;
use std::str::FromStr;

use crate::event::Handshake;
use crate::pattern::Glob;

/// Which handshakes a rule is for: those that fit every list that is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scope {
    /// Patterns for the name that the client asked for; a handshake without a name fits none.
    pub server_names: Vec<Glob>,
    /// Networks that the server is in.
    pub servers: Vec<Network>,
    /// The server's ports.
    pub ports: Vec<u16>,
    /// Networks that the client is in.
    pub clients: Vec<Network>,
}

impl Scope {
    /// Whether every handshake is in it.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.server_names.is_empty()
            && self.servers.is_empty()
            && self.ports.is_empty()
            && self.clients.is_empty()
    }

    /// Whether a handshake is in it.
    #[must_use]
    pub fn contains(&self, event: &Handshake) -> bool {
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
///
/// # Example
///
/// ```
/// use tlscope::check::Network;
///
/// let network: Network = "192.0.2.0/24".parse()?;
/// assert!(network.contains("192.0.2.77".parse()?));
/// assert!(!network.contains("192.0.3.1".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    /// Whether `address` is in it; an IPv4 address is in no IPv6 network.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
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

impl FromStr for Network {
    type Err = String;

    /// Bits beyond the prefix are refused: `192.0.2.1/24` may as well mean the one address.
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
        let network: Network = network.parse().unwrap();
        network.contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_holds_what_shares_its_prefix() {
        assert!(contains("0.0.0.0/0", "255.255.255.255"));
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
    fn rejects_what_is_no_network() {
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
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_scope_wants_all_that_it_lists_and_any_of_each_list() {
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
    fn a_handshake_without_a_name_fits_no_pattern() {
        let scope = Scope {
            server_names: vec![Glob::new("*")],
            ..Scope::default()
        };
        assert!(!scope.contains(&test_events::barely_seen()));
    }
}

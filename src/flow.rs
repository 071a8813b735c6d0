//! Who talks to whom: end points, five-tuples, directions.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The innermost IP address, tunnels removed.
    pub address: IpAddr,
    /// The TCP or UDP port.
    pub port: u16,
}

impl Endpoint {
    /// The end point `address`:`port`.
    #[must_use]
    pub const fn new(address: IpAddr, port: u16) -> Self {
        Self { address, port }
    }
}

/// `192.0.2.1:443` or `[2001:db8::1]:443`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(address) => write!(f, "{address}:{}", self.port),
            IpAddr::V6(address) => write!(f, "[{address}]:{}", self.port),
        }
    }
}

/// What carries the TLS records, as IP protocol numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IpProtocol {
    /// TCP, protocol 6.
    Tcp,
    /// UDP, protocol 17.
    Udp,
}

impl IpProtocol {
    const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }
}

/// Which way bytes go on a connection, as the capture saw it first.
///
/// `Forward` is the direction of the first packet seen. It says nothing of
/// client or server: the sender of the ClientHello decides that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the sender of the first packet seen.
    Forward,
    /// The other way.
    Reverse,
}

impl Direction {
    /// The opposite direction.
    #[must_use]
    pub const fn flip(self) -> Self {
        match self {
            Self::Forward => Self::Reverse,
            Self::Reverse => Self::Forward,
        }
    }

    /// 0 for forward, 1 for reverse: for tables of two.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// The Community ID (version 1, seed 0) of a flow: the same for both directions.
///
/// Joins our events with those of Zeek and Suricata. Format: `1:` and the
/// base64 of a SHA-1 over seed, ordered addresses, protocol and ports, as
/// published by Corelight (community-id-spec).
///
/// # Example
///
/// ```
/// use tlscope::flow::{Endpoint, IpProtocol, community_id};
///
/// let client = Endpoint::new("128.232.110.120".parse()?, 34855);
/// let server = Endpoint::new("66.35.250.204".parse()?, 80);
/// assert_eq!(community_id(client, server, IpProtocol::Tcp), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[must_use]
pub fn community_id(a: Endpoint, b: Endpoint, protocol: IpProtocol) -> String {
    let (first, second) = if a <= b { (a, b) } else { (b, a) };
    let mut hash = Sha1::new();
    hash.update([0, 0]); // seed
    update_with_address(&mut hash, first.address);
    update_with_address(&mut hash, second.address);
    hash.update([protocol.number(), 0]); // padding
    hash.update(first.port.to_be_bytes());
    hash.update(second.port.to_be_bytes());
    let mut text = String::with_capacity(30);
    text.push_str("1:");
    STANDARD.encode_string(hash.finalize(), &mut text);
    text
}

fn update_with_address(hash: &mut Sha1, address: IpAddr) {
    match address {
        IpAddr::V4(address) => hash.update(address.octets()),
        IpAddr::V6(address) => hash.update(address.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(address: &str, port: u16) -> Endpoint {
        Endpoint::new(address.parse().unwrap(), port)
    }

    #[test]
    fn community_id_is_the_same_both_ways() {
        let (a, b) = (endpoint("2001:db8::1", 1), endpoint("2001:db8::2", 65535));
        let forward = community_id(a, b, IpProtocol::Tcp);
        assert_eq!(forward, community_id(b, a, IpProtocol::Tcp));
        assert_ne!(forward, community_id(a, b, IpProtocol::Udp));
    }

    #[test]
    fn an_ipv6_end_point_prints_in_brackets() {
        assert_eq!(
            endpoint("2001:db8::1", 443).to_string(),
            "[2001:db8::1]:443"
        );
        assert_eq!(endpoint("192.0.2.1", 443).to_string(), "192.0.2.1:443");
    }
}

//! Who talks to whom: endpoints, flow keys, directions and sides.
//!
//! Common ground: every layer may use these types, and they use no layer.

use std::fmt;
use std::hash::{BuildHasher as _, Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};
use std::ops::{Index, IndexMut};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::time::Timestamp;

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The innermost IP address, tunnels removed.
    pub address: IpAddr,
    /// The TCP or UDP port.
    pub port: u16,
}

impl Endpoint {
    /// The endpoint `address`:`port`.
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

/// The transport protocol of a flow, by its IP protocol number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IpProtocol {
    /// TCP, protocol 6.
    Tcp,
    /// UDP, protocol 17.
    Udp,
}

impl IpProtocol {
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }
}

/// Which way bytes go on a connection, as the capture saw it first.
///
/// `Forward` is the direction of the first packet seen. It does not say who is
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

    /// The direction of a packet, by whether it and the first packet went from the lower to the higher endpoint
    /// (see [`FlowKey::new`]).
    #[must_use]
    pub const fn of(goes_up: bool, first_went_up: bool) -> Self {
        if goes_up == first_went_up {
            Self::Forward
        } else {
            Self::Reverse
        }
    }

    /// Both directions, forward first.
    pub const BOTH: [Self; 2] = [Self::Forward, Self::Reverse];
}

/// One value for each [`Direction`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerDirection<T>(pub [T; 2]);

impl<T> PerDirection<T> {
    /// The value of `direction`, and that of the opposite direction.
    pub const fn pair_mut(&mut self, direction: Direction) -> [&mut T; 2] {
        let [forward, reverse] = &mut self.0;
        match direction {
            Direction::Forward => [forward, reverse],
            Direction::Reverse => [reverse, forward],
        }
    }

    /// Both values, forward first.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// Both values, forward first.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.0.iter_mut()
    }
}

impl<T> Index<Direction> for PerDirection<T> {
    type Output = T;

    fn index(&self, direction: Direction) -> &T {
        &self.0[direction as usize]
    }
}

impl<T> IndexMut<Direction> for PerDirection<T> {
    fn index_mut(&mut self, direction: Direction) -> &mut T {
        &mut self.0[direction as usize]
    }
}

text_enum! {
    /// Client or server: the sender of the ClientHello, and its peer.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Side {
        /// The sender of the ClientHello.
        Client = "client",
        /// Its peer.
        Server = "server",
    }
}

impl Side {
    /// Both sides, the client first.
    pub const BOTH: [Self; 2] = [Self::Client, Self::Server];

    /// The other side.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// One value for each [`Side`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerSide<T> {
    /// The client's.
    pub client: T,
    /// The server's.
    pub server: T,
}

impl<T> PerSide<T> {
    /// Both values, the client's first.
    pub fn iter(&self) -> std::array::IntoIter<&T, 2> {
        [&self.client, &self.server].into_iter()
    }
}

impl<T> Index<Side> for PerSide<T> {
    type Output = T;

    fn index(&self, side: Side) -> &T {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }
}

impl<T> IndexMut<Side> for PerSide<T> {
    fn index_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }
}

/// An IP address of either version; IPv4 in its IPv4-mapped form (RFC 4291 §2.5.5.2).
pub type AddressBytes = [u8; 16];

/// Both endpoints of a flow and its protocol, in an order that is the same for both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKey {
    low: AddressBytes,
    high: AddressBytes,
    ports: [u16; 2],
    protocol: IpProtocol,
}

/// In three words: a key is hashed for each packet.
impl Hash for FlowKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [low, high] = self.ports.map(u64::from);
        state.write_u128(u128::from_ne_bytes(self.low));
        state.write_u128(u128::from_ne_bytes(self.high));
        state.write_u64(low << 32 | high << 16 | u64::from(self.protocol.number()));
    }
}

impl FlowKey {
    /// The key of a packet's flow, and whether the packet goes from the lower to the higher endpoint.
    #[must_use]
    #[inline]
    pub fn new(
        protocol: IpProtocol,
        (source, source_port): (AddressBytes, u16),
        (destination, destination_port): (AddressBytes, u16),
    ) -> (Self, bool) {
        let place = |address, port| (u128::from_be_bytes(address), port);
        let goes_up = place(source, source_port) <= place(destination, destination_port);
        let (low, high, ports) = if goes_up {
            (source, destination, [source_port, destination_port])
        } else {
            (destination, source, [destination_port, source_port])
        };
        let key = Self {
            low,
            high,
            ports,
            protocol,
        };
        (key, goes_up)
    }

    /// The same for addresses of IPv4, as numbers: they are in the same order as their mapped forms.
    #[inline(always)]
    pub(crate) fn of_ipv4(
        protocol: IpProtocol,
        (source, source_port): (u32, u16),
        (destination, destination_port): (u32, u16),
    ) -> (Self, bool) {
        let place = |address, port| u64::from(address) << 16 | u64::from(port);
        let mapped = |place: u64| (0xffff_0000_0000 | u128::from(place >> 16)).to_be_bytes();
        let source = place(source, source_port);
        let destination = place(destination, destination_port);
        let goes_up = source <= destination;
        let (low, high) = if goes_up {
            (source, destination)
        } else {
            (destination, source)
        };
        let key = Self {
            low: mapped(low),
            high: mapped(high),
            ports: [low as u16, high as u16],
            protocol,
        };
        (key, goes_up)
    }

    /// All of it in three numbers, as fast as they are made: another machine may make others.
    #[inline(always)]
    pub(crate) const fn words(&self) -> ([u128; 2], u64) {
        let addresses = [
            u128::from_ne_bytes(self.low),
            u128::from_ne_bytes(self.high),
        ];
        let [low, high] = self.ports;
        let last = (self.protocol as u64) << 32 | (high as u64) << 16 | low as u64;
        (addresses, last)
    }

    /// The transport protocol.
    #[must_use]
    pub const fn protocol(&self) -> IpProtocol {
        self.protocol
    }

    /// The lower and the higher endpoint.
    #[must_use]
    pub fn endpoints(&self) -> (Endpoint, Endpoint) {
        let [low, high] = self.ports;
        (endpoint(self.low, low), endpoint(self.high, high))
    }

    /// The sender of a packet and its peer, given whether the packet went from the lower to the higher endpoint.
    #[must_use]
    pub(crate) fn ends(&self, goes_up: bool) -> (Endpoint, Endpoint) {
        let (low, high) = self.endpoints();
        if goes_up { (low, high) } else { (high, low) }
    }

    /// The addresses and ports of the sender of a packet and its peer, given whether the packet went from the lower to the higher
    /// endpoint.
    #[must_use]
    pub(crate) const fn sides(&self, goes_up: bool) -> [(AddressBytes, u16); 2] {
        let (low, high) = ((self.low, self.ports[0]), (self.high, self.ports[1]));
        if goes_up { [low, high] } else { [high, low] }
    }

    /// A number that spreads flows over `2^bits` shards: the same in each run, so that the output is, too.
    ///
    /// UDP flows are spread by their addresses alone: QUIC clients change their port in mid-connection
    /// when a NAT rebinds (RFC 9000 §9.3), and both flows then belong to one shard.
    ///
    /// An attacker can aim at one shard. Its table is bounded like the others, and
    /// hashes with a random key inside.
    #[must_use]
    #[inline]
    pub fn shard(&self, bits: u32) -> usize {
        let words = [self.low, self.high].map(|address| {
            let [.., a, b, c, d] = address;
            u64::from(u32::from_be_bytes([a, b, c, d]))
        });
        let ports = match self.protocol {
            IpProtocol::Tcp => u64::from(self.ports[0]) << 16 | u64::from(self.ports[1]),
            IpProtocol::Udp => 0,
        };
        let mixed = (words[0] << 32 | words[1]) ^ ports.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - bits)) as usize // multiplicative hashing: the high bits mix best
    }

    /// A number that names this flow begun at `time`: the same in each run and on each machine.
    ///
    /// Users store these numbers, so the bytes that are hashed are written out here instead of
    /// following from the fields: for TCP, each address and the pair of ports after its
    /// length, then the time; other protocols add their number.
    #[must_use]
    pub fn id(&self, time: Timestamp) -> u64 {
        let mut hasher = foldhash::fast::FixedState::with_seed(FLOW_ID_SEED).build_hasher();
        for address in [&self.low, &self.high] {
            hasher.write_u64(address.len() as u64);
            hasher.write(address);
        }
        let [low, high] = self.ports.map(u16::to_le_bytes);
        hasher.write_u64(self.ports.len() as u64);
        hasher.write(&[low[0], low[1], high[0], high[1]]);
        if self.protocol != IpProtocol::Tcp {
            hasher.write_u8(self.protocol.number());
        }
        hasher.write_u64(time.as_nanoseconds().cast_unsigned());
        hasher.finish()
    }
}

/// `tlscope` in ASCII.
const FLOW_ID_SEED: u64 = 0x0074_6c73_636f_7065;

pub(crate) fn endpoint(address: AddressBytes, port: u16) -> Endpoint {
    Endpoint::new(IpAddr::V6(Ipv6Addr::from(address)).to_canonical(), port)
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
    community_id_of(a, b, protocol).as_str().to_owned()
}

/// As [`community_id`], without an allocation.
pub(crate) fn community_id_of(a: Endpoint, b: Endpoint, protocol: IpProtocol) -> CommunityId {
    let (first, second) = if a <= b { (a, b) } else { (b, a) };
    // Put together first: the hash then has one block, and no buffer to fill.
    let mut hashed = [0; 2 + 2 * 16 + 2 + 2 * 2]; // begins with the seed, which is 0
    let mut length = 2;
    let mut push = |bytes: &[u8]| {
        hashed[length..length + bytes.len()].copy_from_slice(bytes);
        length += bytes.len();
    };
    for end in [first, second] {
        match end.address {
            IpAddr::V4(address) => push(&address.octets()),
            IpAddr::V6(address) => push(&address.octets()),
        }
    }
    push(&[protocol.number(), 0]); // padding
    push(&first.port.to_be_bytes());
    push(&second.port.to_be_bytes());
    let mut text = [0; COMMUNITY_ID];
    let (version, digest) = text.split_at_mut(2);
    version.copy_from_slice(b"1:");
    let written = STANDARD.encode_slice(Sha1::digest(&hashed[..length]), digest);
    debug_assert!(written.is_ok(), "20 bytes are 28 characters");
    CommunityId(text)
}

/// Characters of a Community ID: `1:`, and a SHA-1 in Base64.
const COMMUNITY_ID: usize = 30;

/// A Community ID as text.
pub(crate) struct CommunityId([u8; COMMUNITY_ID]);

impl CommunityId {
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default() // Base64 is ASCII
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

    fn address(last: u8) -> AddressBytes {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, last]
    }

    #[test]
    fn a_flow_key_is_the_same_both_ways() {
        let (a, b) = ((address(1), 50_000), (address(2), 443));
        let (forward, goes_up) = FlowKey::new(IpProtocol::Tcp, a, b);
        assert!(goes_up);
        assert_eq!(FlowKey::new(IpProtocol::Tcp, b, a), (forward, false));
        assert_ne!(FlowKey::new(IpProtocol::Udp, a, b).0, forward);
        assert_eq!(forward.endpoints().0, endpoint("192.0.2.1", 50_000));
    }

    #[test]
    fn a_flow_id_never_changes() {
        let (a, b) = ((address(1), 50_000), (address(2), 443));
        let time = Timestamp::from_nanoseconds(1_772_366_400_123_456_789);
        let id = |protocol| FlowKey::new(protocol, a, b).0.id(time);
        assert_eq!(format!("{:016x}", id(IpProtocol::Tcp)), "af93fdf098c7af72");
        assert_ne!(id(IpProtocol::Tcp), id(IpProtocol::Udp));
    }

    #[test]
    fn udp_flows_between_two_hosts_share_a_shard_whatever_their_ports() {
        let shard = |protocol, port| {
            FlowKey::new(protocol, (address(1), port), (address(2), 443))
                .0
                .shard(4)
        };
        let spread = |protocol| (1..100).any(|port| shard(protocol, port) != shard(protocol, 0));
        assert!(spread(IpProtocol::Tcp));
        assert!(!spread(IpProtocol::Udp));
    }

    #[test]
    fn an_ipv6_endpoint_prints_in_brackets() {
        assert_eq!(
            endpoint("2001:db8::1", 443).to_string(),
            "[2001:db8::1]:443"
        );
        assert_eq!(endpoint("192.0.2.1", 443).to_string(), "192.0.2.1:443");
    }
}

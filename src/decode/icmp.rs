//! ICMP and ICMPv6 errors about UDP datagrams: what a host or a router could not deliver, and why.
//!
//! Such a message quotes the beginning of the packet that it is about (RFC 792; RFC 4443 §2.4), at least as far as the ports.
//! Errors about other protocols, and everything else that ICMP carries, are not looked at.

use std::fmt;

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice};

use crate::flow::{AddressBytes, FlowKey, IpProtocol};

use super::cursor::{Addresses, Cursor};
use super::ip::mapped;

/// A host or a router reports that it could not deliver a UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// Who reports it.
    pub reporter: AddressBytes,
    /// Sender and receiver of the datagram.
    addresses: Addresses,
    /// Their ports.
    ports: [u16; 2],
    /// Bytes of the datagram's payload; 0 if its header does not say.
    pub length: u16,
    /// Why it was not delivered.
    pub reason: Undeliverable,
}

/// Why a datagram was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undeliverable {
    /// No program listens on the port, or a firewall says so.
    Port,
    /// No way leads to the host or its network.
    Host,
    /// A rule forbids it.
    Prohibited,
    /// It is larger than a link on the way carries.
    TooBig {
        /// The largest IP packet that this link carries, in bytes; 0 if the router does not say (RFC 1191 §3).
        mtu: u32,
    },
}

impl Undeliverable {
    /// As in `port unreachable`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Port => "port unreachable",
            Self::Host => "host unreachable",
            Self::Prohibited => "administratively prohibited",
            Self::TooBig { .. } => "packet too big",
        }
    }
}

impl fmt::Display for Undeliverable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl IcmpError {
    /// The key of the datagram's flow, and whether the datagram went from the lower to the higher endpoint.
    #[must_use]
    pub fn flow_key(&self) -> (FlowKey, bool) {
        let Addresses {
            source,
            destination,
        } = self.addresses;
        let [source_port, destination_port] = self.ports;
        FlowKey::new(
            IpProtocol::Udp,
            (source, source_port),
            (destination, destination_port),
        )
    }

    /// One about a datagram between two IPv4 addresses, the sender's first, of `length` bytes.
    #[cfg(test)]
    pub(crate) fn about(
        addresses: [[u8; 4]; 2],
        length: u16,
        reporter: [u8; 4],
        reason: Undeliverable,
    ) -> Self {
        let [source, destination] = addresses.map(|address| mapped(address).to_be_bytes());
        Self {
            reporter: mapped(reporter).to_be_bytes(),
            addresses: Addresses {
                source,
                destination,
            },
            ports: [50_000, 443],
            length,
            reason,
        }
    }

    /// Whether it comes from the address that the datagram was sent to, and not from a host on the way.
    #[must_use]
    pub fn is_from_receiver(&self) -> bool {
        self.reporter == self.addresses.destination
    }
}

/// Reads an ICMP or ICMPv6 message that `addresses` exchange; `None` if it is no error about a UDP datagram.
pub(super) fn decode(
    protocol: IpNumber,
    addresses: Addresses,
    cursor: &Cursor<'_>,
) -> Option<IcmpError> {
    let message = cursor.bytes();
    let (header, quoted) = message.split_first_chunk::<HEADER>()?;
    let [kind, code, _, _, rest @ ..] = *header;
    let (reason, quote) = if protocol == IpNumber::ICMP {
        let [_, _, mtu @ ..] = rest;
        (reason_v4(kind, code, mtu)?, quoted_v4(quoted)?)
    } else {
        (reason_v6(kind, code, rest)?, quoted_v6(quoted)?)
    };
    let Quote {
        addresses: addresses_of_datagram,
        length,
        content: udp,
    } = quote;
    // It is sent to the sender of what it quotes (RFC 792; RFC 4443 §2.2), and says nothing about a packet that fits.
    let is_v4 = protocol == IpNumber::ICMP;
    let is_plausible = match reason {
        Undeliverable::TooBig { mtu: 0 } => is_v4, // RFC 1191 §3
        Undeliverable::TooBig { mtu } => length > mtu && mtu >= smallest_mtu(is_v4),
        _ => true,
    };
    if addresses.destination != addresses_of_datagram.source || !is_plausible {
        return None;
    }
    let [a, b, c, d, high, low] = *udp.first_chunk()?;
    Some(IcmpError {
        reporter: addresses.source,
        addresses: addresses_of_datagram,
        ports: [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])],
        length: u16::from_be_bytes([high, low]).saturating_sub(UDP_HEADER),
        reason,
    })
}

/// The smallest packet that every link carries whole: hosts ignore reports of links that carry less (RFC 1191 §3, RFC 8201 §4).
///
/// QUIC also ignores those under which its datagrams of 1,200 bytes do not fit (RFC 9000 §14.2.1), for it has no smaller ones.
/// Over IPv4 there may be such a link all the same, and then nothing gets through.
const fn smallest_mtu(is_v4: bool) -> u32 {
    if is_v4 { 68 } else { 1280 }
}

/// Bytes before the quoted packet, in both versions.
const HEADER: usize = 8;

/// Bytes of a UDP header.
const UDP_HEADER: u16 = 8;

/// RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1.
const fn reason_v4(kind: u8, code: u8, mtu: [u8; 2]) -> Option<Undeliverable> {
    const DESTINATION_UNREACHABLE: u8 = 3;
    if kind != DESTINATION_UNREACHABLE {
        return None;
    }
    Some(match code {
        3 => Undeliverable::Port,
        0 | 1 | 5..=8 | 11 | 12 => Undeliverable::Host,
        9 | 10 | 13..=15 => Undeliverable::Prohibited,
        4 => Undeliverable::TooBig {
            mtu: u16::from_be_bytes(mtu) as u32,
        },
        _ => return None,
    })
}

/// RFC 4443 §3.1 and §3.2.
const fn reason_v6(kind: u8, code: u8, mtu: [u8; 4]) -> Option<Undeliverable> {
    Some(match (kind, code) {
        (1, 4) => Undeliverable::Port,
        (1, 0 | 2 | 3) => Undeliverable::Host,
        (1, 1 | 5 | 6) => Undeliverable::Prohibited,
        (2, _) => Undeliverable::TooBig {
            mtu: u32::from_be_bytes(mtu),
        },
        _ => return None,
    })
}

/// A quoted IP packet.
struct Quote<'p> {
    addresses: Addresses,
    /// Bytes of the whole packet, as its header has them.
    length: u32,
    /// The UDP header, with what follows.
    content: &'p [u8],
}

/// Reads a quoted packet; of fragments, only the first has a UDP header.
fn quoted_v4(packet: &[u8]) -> Option<Quote<'_>> {
    let header = Ipv4HeaderSlice::from_slice(packet).ok()?;
    let is_udp = header.protocol() == IpNumber::UDP && header.fragments_offset().value() == 0;
    let addresses = Addresses {
        source: mapped(header.source()).to_be_bytes(),
        destination: mapped(header.destination()).to_be_bytes(),
    };
    is_udp.then_some(Quote {
        addresses,
        length: header.total_len().into(),
        content: &packet[header.slice().len()..],
    })
}

/// The same of IPv6. Extension headers other than that of a first fragment are rare in front of UDP, and not looked through.
fn quoted_v6(packet: &[u8]) -> Option<Quote<'_>> {
    let header = Ipv6HeaderSlice::from_slice(packet).ok()?;
    let addresses = Addresses {
        source: header.source(),
        destination: header.destination(),
    };
    let content = &packet[header.slice().len()..];
    let length = u32::from(header.payload_length()) + header.slice().len() as u32;
    let quote = |content| Quote {
        addresses,
        length,
        content,
    };
    match header.next_header() {
        IpNumber::UDP => Some(quote(content)),
        IpNumber::IPV6_FRAGMENTATION_HEADER => {
            let part = Ipv6FragmentHeaderSlice::from_slice(content).ok()?;
            let is_udp = part.next_header() == IpNumber::UDP && part.fragment_offset().value() == 0;
            is_udp.then(|| quote(&content[part.slice().len()..]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;
    use crate::capture::LinkType;
    use crate::decode::{Decoded, Layers, Unread, decode as decode_packet};

    const CLIENT: [u8; 4] = [192, 0, 2, 1];
    const SERVER: [u8; 4] = [192, 0, 2, 2];
    const ROUTER: [u8; 4] = [203, 0, 113, 1];
    const RAW_IP: LinkType = LinkType(101);

    /// The first bytes of a datagram of 1200 bytes, as far as a router quotes it.
    fn datagram(quoted: usize) -> Vec<u8> {
        let mut packet = Vec::new();
        PacketBuilder::ipv4(CLIENT, SERVER, 64)
            .udp(50_000, 443)
            .write(&mut packet, &[7; 1200])
            .unwrap();
        packet.truncate(quoted);
        packet
    }

    fn datagram_v6(length: usize) -> Vec<u8> {
        let mut packet = Vec::new();
        PacketBuilder::ipv6([1; 16], [2; 16], 64)
            .udp(50_000, 443)
            .write(&mut packet, &vec![7; length])
            .unwrap();
        packet
    }

    /// An ICMP message of a type and code around a quoted packet.
    fn icmp(reporter: [u8; 4], [kind, code]: [u8; 2], rest: [u8; 4], quoted: &[u8]) -> Vec<u8> {
        let body = [&[kind, code, 0, 0], &rest[..], quoted].concat();
        let mut packet = Vec::new();
        PacketBuilder::ipv4(reporter, CLIENT, 64)
            .write(&mut packet, IpNumber::ICMP, &body)
            .unwrap();
        packet
    }

    fn icmp_v6([kind, code]: [u8; 2], rest: [u8; 4], quoted: &[u8]) -> Vec<u8> {
        let body = [&[kind, code, 0, 0], &rest[..], quoted].concat();
        let mut packet = Vec::new();
        PacketBuilder::ipv6([2; 16], [1; 16], 64)
            .write(&mut packet, IpNumber::IPV6_ICMP, &body)
            .unwrap();
        packet
    }

    fn decoded(packet: &[u8]) -> Decoded {
        let mut layers = Layers::default();
        decode_packet(RAW_IP, packet, packet.len() as u32, &mut layers).unwrap()
    }

    fn error(packet: &[u8]) -> IcmpError {
        match decoded(packet) {
            Decoded::Icmp(error) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_unreachable_port_names_the_flow_of_the_datagram() {
        let found = error(&icmp(SERVER, [3, 3], [0; 4], &datagram(28)));
        assert_eq!((found.reason, found.length), (Undeliverable::Port, 1200));
        assert!(found.is_from_receiver());
        let sent = datagram(usize::MAX);
        let Decoded::Udp(header) = decoded(&sent) else {
            panic!("not UDP");
        };
        assert_eq!(found.flow_key(), header.flow_key());
        assert!(!error(&icmp(ROUTER, [3, 3], [0; 4], &datagram(28))).is_from_receiver());
    }

    #[test]
    fn each_code_has_its_reason_in_both_versions() {
        let four = |code, rest| error(&icmp(ROUTER, [3, code], rest, &datagram(28))).reason;
        assert_eq!(four(1, [0; 4]), Undeliverable::Host);
        assert_eq!(four(13, [0; 4]), Undeliverable::Prohibited);
        let mtu = Undeliverable::TooBig { mtu: 1024 };
        assert_eq!(four(4, [0, 0, 4, 0]), mtu);
        let six = |kind, rest| error(&icmp_v6(kind, rest, &datagram_v6(1200))).reason;
        assert_eq!(six([1, 4], [0; 4]), Undeliverable::Port);
        assert_eq!(six([1, 0], [0; 4]), Undeliverable::Host);
        assert_eq!(six([1, 1], [0; 4]), Undeliverable::Prohibited);
        let mtu = Undeliverable::TooBig { mtu: 1280 };
        let six = error(&icmp_v6([2, 0], [0, 0, 5, 0], &datagram_v6(1300)));
        assert_eq!(six.reason, mtu);
    }

    #[test]
    fn a_link_that_carries_less_than_every_link_does_is_not_believed() {
        let is_believed = |packet: &[u8]| matches!(decoded(packet), Decoded::Icmp(_));
        let four = |mtu: u16| {
            let [high, low] = mtu.to_be_bytes();
            is_believed(&icmp(ROUTER, [3, 4], [0, 0, high, low], &datagram(28)))
        };
        let six = |mtu: u16| {
            let [high, low] = mtu.to_be_bytes();
            is_believed(&icmp_v6([2, 0], [0, 0, high, low], &datagram_v6(1300)))
        };
        assert!(four(0) && four(68) && four(1227));
        assert!(!four(67) && !four(1228));
        assert!(six(1280) && !six(1279) && !six(0));
    }

    #[test]
    fn what_is_no_error_about_udp_is_not_looked_at() {
        let mut of_tcp = datagram(28);
        of_tcp[9] = 6;
        let mut late_fragment = datagram(28);
        late_fragment[7] = 9;
        let mut to_somebody_else = icmp(SERVER, [3, 3], [0; 4], &datagram(28));
        to_somebody_else[19] = 77;
        for packet in [
            icmp(SERVER, [8, 0], [0; 4], &datagram(28)), // a ping
            icmp(SERVER, [3, 3], [0; 4], &of_tcp),
            icmp(SERVER, [3, 3], [0; 4], &late_fragment),
            icmp(SERVER, [3, 200], [0; 4], &datagram(28)),
            icmp(ROUTER, [3, 4], [0, 0, 5, 0], &datagram(28)), // 1228 bytes fit
            to_somebody_else,
        ] {
            assert_eq!(decoded(&packet), Decoded::Other(Unread::IpProtocol(1)));
        }
    }

    #[test]
    fn a_message_that_is_cut_short_is_no_error_of_ours() {
        let whole = icmp(SERVER, [3, 3], [0; 4], &datagram(28));
        for cut in 20..whole.len() {
            let mut layers = Layers::default();
            let length = whole.len() as u32;
            let result = decode_packet(RAW_IP, &whole[..cut], length, &mut layers);
            let is_read = matches!(result, Ok(Decoded::Icmp(_)));
            // The last two bytes are the checksum of the datagram.
            assert_eq!(is_read, cut >= whole.len() - 2, "{cut}");
        }
    }
}

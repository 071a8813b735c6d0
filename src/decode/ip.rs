//! IPv4 and IPv6 headers, down to a transport protocol or a fragment.

use etherparse::err::LenError;
use etherparse::{
    IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice,
};

use super::cursor::{Addresses, Cursor};
use super::fragment::{Fragment, FragmentKey};
use super::link::{self, Network};
use super::tunnel;
use super::{DecodeError, Decoded, Layer, Layers, Unread, icmp, tcp, udp};

/// Reads an IP packet of either version: the entry for link layers and tunnels alike.
pub(super) fn decode(cursor: &mut Cursor<'_>, layers: &mut Layers) -> Result<Decoded, DecodeError> {
    match cursor.bytes().first().map(|first| first >> 4) {
        Some(4) => ipv4(cursor, layers),
        Some(6) => ipv6(cursor, layers),
        Some(_) => Err(DecodeError::Malformed { layer: Layer::Ipv4 }),
        None => Err(DecodeError::Truncated {
            layer: Layer::Ipv4,
            needed: 20,
            available: 0,
        }),
    }
}

fn ipv4(cursor: &mut Cursor<'_>, layers: &mut Layers) -> Result<Decoded, DecodeError> {
    let bytes = cursor.bytes();
    let header = Ipv4HeaderSlice::from_slice(bytes)
        .map_err(|_| header_error(Layer::Ipv4, 20, bytes.len()))?;
    let header_length = header.slice().len();
    let total_length = usize::from(header.total_len());
    if total_length != 0 && total_length < header_length {
        return Err(DecodeError::Malformed { layer: Layer::Ipv4 });
    }
    let addresses = Addresses {
        source: mapped(header.source()).to_be_bytes(),
        destination: mapped(header.destination()).to_be_bytes(),
    };
    let declared = (total_length != 0).then(|| total_length - header_length);
    enter_payload(cursor, header_length, declared);
    if header.is_fragmenting_payload() {
        let key = FragmentKey {
            addresses,
            identification: u32::from(header.identification()),
            protocol: header.protocol().0,
        };
        let offset = u32::from(header.fragments_offset().value()) * 8;
        return Ok(fragment(key, offset, header.more_fragments(), cursor));
    }
    let hop_limit = header.ttl();
    transport(header.protocol(), addresses, hop_limit, cursor, layers)
}

/// Moves the cursor to the payload behind `header_length` bytes.
///
/// Without a `declared` length, segmentation was left to the network card: then the frame's own length counts. Where there is
/// one, whatever follows is padding.
fn enter_payload(cursor: &mut Cursor<'_>, header_length: usize, declared: Option<usize>) {
    cursor.skip(header_length);
    if let Some(declared) = declared {
        cursor.limit(declared);
    }
}

fn ipv6(cursor: &mut Cursor<'_>, layers: &mut Layers) -> Result<Decoded, DecodeError> {
    let bytes = cursor.bytes();
    let header = Ipv6HeaderSlice::from_slice(bytes)
        .map_err(|_| header_error(Layer::Ipv6, 40, bytes.len()))?;
    let addresses = Addresses {
        source: header.source(),
        destination: header.destination(),
    };
    let declared = usize::from(header.payload_length());
    enter_payload(cursor, 40, (declared != 0).then_some(declared));
    let mut next_header = header.next_header();
    for _ in 0..MAX_EXTENSIONS {
        let (next, length) = match next_header {
            IpNumber::IPV6_HEADER_HOP_BY_HOP
            | IpNumber::IPV6_ROUTE_HEADER
            | IpNumber::IPV6_DESTINATION_OPTIONS
            | IpNumber::MOBILITY_HEADER
            | IpNumber::HIP
            | IpNumber::SHIM6 => {
                let extension = Ipv6RawExtHeaderSlice::from_slice(cursor.bytes());
                let extension = extension.map_err(|error| too_short(&error))?;
                (extension.next_header(), extension.slice().len())
            }
            IpNumber::AUTHENTICATION_HEADER => match tunnel::ah::read(cursor, layers)? {
                Some(next) => (next, 0),
                None => return Ok(Decoded::Other(Unread::TunnelContent)),
            },
            IpNumber::IPV6_FRAGMENTATION_HEADER => {
                let part = Ipv6FragmentHeaderSlice::from_slice(cursor.bytes());
                let part = part.map_err(|error| too_short(&error))?;
                if part.is_fragmenting_payload() {
                    cursor.skip(part.slice().len());
                    return Ok(ipv6_fragment(&part, addresses, cursor));
                }
                (part.next_header(), part.slice().len())
            }
            _ => return transport(next_header, addresses, header.hop_limit(), cursor, layers),
        };
        next_header = next;
        cursor.skip(length);
    }
    Err(DecodeError::Malformed { layer: Layer::Ipv6 })
}

/// Extension headers of one packet: RFC 8200 §4.1 lists seven, each at most once or twice.
const MAX_EXTENSIONS: usize = 16;

fn too_short(error: &LenError) -> DecodeError {
    DecodeError::Truncated {
        layer: Layer::Ipv6,
        needed: error.required_len,
        available: error.len,
    }
}

fn ipv6_fragment(
    part: &Ipv6FragmentHeaderSlice<'_>,
    addresses: Addresses,
    cursor: &Cursor<'_>,
) -> Decoded {
    let key = FragmentKey {
        addresses,
        identification: part.identification(),
        protocol: part.next_header().0,
    };
    let offset = u32::from(part.fragment_offset().value()) * 8;
    fragment(key, offset, part.more_fragments(), cursor)
}

fn fragment(key: FragmentKey, offset: u32, more: bool, cursor: &Cursor<'_>) -> Decoded {
    Decoded::Fragment(Fragment {
        key,
        offset,
        more,
        payload: cursor.range(),
    })
}

/// Reads what an IP header carries: a transport protocol, or a tunnel and what is inside.
///
/// `hop_limit` is what the IP header says; 0 if it is not known. Calls back into [`decode`] for tunnels; [`super::Tunnels::MAX`] bounds how deep that goes.
pub(super) fn transport(
    protocol: IpNumber,
    addresses: Addresses,
    hop_limit: u8,
    cursor: &mut Cursor<'_>,
    layers: &mut Layers,
) -> Result<Decoded, DecodeError> {
    match protocol {
        IpNumber::TCP => tcp::decode(addresses, hop_limit, cursor).map(Decoded::Tcp),
        IpNumber::UDP => match udp::decode(addresses, cursor) {
            Some(header) => {
                let read = tunnel::by_udp_port(&header, cursor);
                let content = read.and_then(|read| content(read, addresses, cursor, layers).ok());
                Ok(content.unwrap_or(Decoded::Udp(header)))
            }
            None => Ok(Decoded::Other(Unread::BrokenHeaders)),
        },
        IpNumber::ICMP | IpNumber::IPV6_ICMP => {
            let other = Decoded::Other(Unread::IpProtocol(protocol.0));
            Ok(icmp::decode(protocol, addresses, cursor).map_or(other, Decoded::Icmp))
        }
        IpNumber::AUTHENTICATION_HEADER => match tunnel::ah::read(cursor, layers)? {
            Some(next) => transport(next, addresses, hop_limit, cursor, layers),
            None => Ok(Decoded::Other(Unread::TunnelContent)),
        },
        number => match tunnel::by_ip_protocol(number) {
            Some(read) => match content(read, addresses, cursor, layers) {
                Err(DecodeError::Malformed {
                    layer: Layer::Tunnel,
                }) => Ok(Decoded::Other(Unread::IpProtocol(number.0))),
                content => content,
            },
            None => Ok(Decoded::Other(Unread::IpProtocol(number.0))),
        },
    }
}

/// What is in the tunnel that `read` reads; `layers` change only if that can be decoded.
fn content(
    read: tunnel::Reader,
    outer: Addresses,
    cursor: &Cursor<'_>,
    layers: &mut Layers,
) -> Result<Decoded, DecodeError> {
    let (mut cursor, mut around) = (*cursor, *layers);
    let inner = read(&mut cursor, outer, &mut around)?;
    let decoded = match link::follow(inner, &mut cursor, &mut around)? {
        Network::Ip => decode(&mut cursor, &mut around)?,
        Network::Other(unread) => Decoded::Other(unread),
    };
    *layers = around;
    Ok(decoded)
}

/// Whether the cursor may be at an IP packet: where another header does not say so, its version and length must.
pub(super) fn is_plausible(cursor: &Cursor<'_>) -> bool {
    declared_length(cursor.bytes()).is_some_and(|length| length <= cursor.wire_length())
}

/// The length of an IP packet, as its header has it; `None` if it is no IP header.
pub(super) fn declared_length(packet: &[u8]) -> Option<usize> {
    let [first, _, high, low, six_high, six_low, ..] = *packet else {
        return None;
    };
    let number = |high, low| usize::from(u16::from_be_bytes([high, low]));
    match first {
        0x45..=0x4f => Some(number(high, low)).filter(|length| *length >= 20),
        0x60..=0x6f => Some(40 + number(six_high, six_low)),
        _ => None,
    }
}

/// What a header error of `etherparse` means: too short, or else inconsistent.
fn header_error(layer: Layer, needed: usize, available: usize) -> DecodeError {
    if available < needed {
        DecodeError::Truncated {
            layer,
            needed,
            available,
        }
    } else {
        DecodeError::Malformed { layer }
    }
}

/// An IPv4 address in its IPv4-mapped form.
pub(super) const fn mapped(address: [u8; 4]) -> u128 {
    0xffff_0000_0000 | u32::from_be_bytes(address) as u128
}

//! IPv4 and IPv6 headers, down to a transport protocol or a fragment.

use etherparse::err::LenError;
use etherparse::{
    IpAuthHeaderSlice, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice,
};

use crate::flow::AddressBytes;

use super::cursor::{Addresses, Cursor};
use super::fragment::{Fragment, FragmentKey};
use super::link::{self, Network};
use super::tunnel::{self, Carrier, Inner};
use super::{DecodeError, Decoded, Layer, Layers, Unread, tcp, udp};

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
        source: mapped(header.source()),
        destination: mapped(header.destination()),
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
            IpNumber::AUTHENTICATION_HEADER => {
                let extension = IpAuthHeaderSlice::from_slice(cursor.bytes());
                let extension =
                    extension.map_err(|_| DecodeError::Malformed { layer: Layer::Ipv6 })?;
                (extension.next_header(), extension.slice().len())
            }
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
            Some(header) => match tunnel::reader(Carrier::UdpPort(header.destination_port)) {
                Some(read) => enter_tunnel(read, cursor, layers),
                None => Ok(Decoded::Udp(header)),
            },
            None => Ok(Decoded::Other(Unread::BrokenHeaders)),
        },
        IpNumber(number) => match tunnel::reader(Carrier::IpProtocol(number)) {
            Some(read) => enter_tunnel(read, cursor, layers),
            None => Ok(Decoded::Other(Unread::IpProtocol(number))),
        },
    }
}

fn enter_tunnel(
    read: tunnel::Reader,
    cursor: &mut Cursor<'_>,
    layers: &mut Layers,
) -> Result<Decoded, DecodeError> {
    let network = match read(cursor, layers)? {
        Inner::Ip => Network::Ip,
        Inner::Ethernet => link::ethernet::decode(cursor, layers)?,
        Inner::Other => Network::Other(Unread::TunnelContent),
    };
    match network {
        Network::Ip => decode(cursor, layers),
        Network::Other(unread) => Ok(Decoded::Other(unread)),
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
pub(super) const fn mapped(address: [u8; 4]) -> AddressBytes {
    let [a, b, c, d] = address;
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

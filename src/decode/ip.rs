//! IPv4 and IPv6 headers, down to a segment or a fragment.

use etherparse::err::LenError;
use etherparse::{
    IpAuthHeaderSlice, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice,
};

use crate::flow::AddressBytes;

use super::fragment::{Fragment, FragmentKey};
use super::link::Frame;
use super::{DecodeError, Layer, Packet, VlanTags, tcp};

/// What the IP header says of its payload.
pub(super) struct IpPayload<'p> {
    pub(super) source: AddressBytes,
    pub(super) destination: AddressBytes,
    /// Captured bytes of the payload, padding removed.
    pub(super) bytes: &'p [u8],
    /// Length of the payload on the wire.
    pub(super) wire_length: usize,
    pub(super) vlan: VlanTags,
}

impl IpPayload<'_> {
    /// Takes `length` bytes of an extension header off the front.
    fn skip(&mut self, length: usize) {
        self.bytes = self.bytes.get(length..).unwrap_or_default();
        self.wire_length = self.wire_length.saturating_sub(length);
    }
}

/// Reads an IP packet of either version.
pub(super) fn decode<'p>(frame: &Frame<'p>) -> Result<Packet<'p>, DecodeError> {
    match frame.bytes.first().map(|first| first >> 4) {
        Some(4) => ipv4(frame),
        Some(6) => ipv6(frame),
        Some(_) => Err(DecodeError::Malformed { layer: Layer::Ipv4 }),
        None => Err(DecodeError::Truncated {
            layer: Layer::Ipv4,
            needed: 20,
            available: 0,
        }),
    }
}

fn ipv4<'p>(frame: &Frame<'p>) -> Result<Packet<'p>, DecodeError> {
    let header = Ipv4HeaderSlice::from_slice(frame.bytes)
        .map_err(|_| header_error(Layer::Ipv4, 20, frame.bytes.len()))?;
    let header_length = header.slice().len();
    let total_length = usize::from(header.total_len());
    if total_length != 0 && total_length < header_length {
        return Err(DecodeError::Malformed { layer: Layer::Ipv4 });
    }
    let payload = payload(
        frame,
        (mapped(header.source()), mapped(header.destination())),
        header_length,
        total_length.saturating_sub(header_length),
    );
    if header.is_fragmenting_payload() {
        let key = FragmentKey {
            source: payload.source,
            destination: payload.destination,
            identification: u32::from(header.identification()),
            protocol: header.protocol().0,
        };
        let offset = u32::from(header.fragments_offset().value()) * 8;
        return Ok(fragment(key, offset, header.more_fragments(), &payload));
    }
    transport(header.protocol(), &payload)
}

/// The payload after `header_length` bytes of `frame`.
///
/// A `declared` length of 0 means that segmentation was left to the network
/// card: the frame's own length is the truth then.
fn payload<'p>(
    frame: &Frame<'p>,
    (source, destination): (AddressBytes, AddressBytes),
    header_length: usize,
    declared: usize,
) -> IpPayload<'p> {
    let on_wire = frame.wire_length.saturating_sub(header_length);
    let wire_length = if declared == 0 {
        on_wire
    } else {
        declared.min(on_wire)
    };
    let captured = frame.bytes.get(header_length..).unwrap_or_default();
    let bytes = captured.get(..wire_length).unwrap_or(captured);
    IpPayload {
        source,
        destination,
        bytes,
        wire_length,
        vlan: frame.vlan,
    }
}

fn ipv6<'p>(frame: &Frame<'p>) -> Result<Packet<'p>, DecodeError> {
    let header = Ipv6HeaderSlice::from_slice(frame.bytes)
        .map_err(|_| header_error(Layer::Ipv6, 40, frame.bytes.len()))?;
    let addresses = (header.source(), header.destination());
    let mut payload = payload(frame, addresses, 40, usize::from(header.payload_length()));
    let mut next_header = header.next_header();
    for _ in 0..MAX_EXTENSIONS {
        let (next, length) = match next_header {
            IpNumber::IPV6_HEADER_HOP_BY_HOP
            | IpNumber::IPV6_ROUTE_HEADER
            | IpNumber::IPV6_DESTINATION_OPTIONS
            | IpNumber::MOBILITY_HEADER
            | IpNumber::HIP
            | IpNumber::SHIM6 => {
                let extension = Ipv6RawExtHeaderSlice::from_slice(payload.bytes);
                let extension = extension.map_err(|error| too_short(&error))?;
                (extension.next_header(), extension.slice().len())
            }
            IpNumber::AUTHENTICATION_HEADER => {
                let extension = IpAuthHeaderSlice::from_slice(payload.bytes);
                let extension =
                    extension.map_err(|_| DecodeError::Malformed { layer: Layer::Ipv6 })?;
                (extension.next_header(), extension.slice().len())
            }
            IpNumber::IPV6_FRAGMENTATION_HEADER => {
                let part = Ipv6FragmentHeaderSlice::from_slice(payload.bytes);
                let part = part.map_err(|error| too_short(&error))?;
                if part.is_fragmenting_payload() {
                    payload.skip(part.slice().len());
                    return Ok(ipv6_fragment(&part, &payload));
                }
                (part.next_header(), part.slice().len())
            }
            _ => return transport(next_header, &payload),
        };
        next_header = next;
        payload.skip(length);
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

fn ipv6_fragment<'p>(part: &Ipv6FragmentHeaderSlice<'_>, payload: &IpPayload<'p>) -> Packet<'p> {
    let key = FragmentKey {
        source: payload.source,
        destination: payload.destination,
        identification: part.identification(),
        protocol: part.next_header().0,
    };
    let offset = u32::from(part.fragment_offset().value()) * 8;
    fragment(key, offset, part.more_fragments(), payload)
}

fn fragment<'p>(key: FragmentKey, offset: u32, more: bool, payload: &IpPayload<'p>) -> Packet<'p> {
    Packet::Fragment(Fragment {
        key,
        offset,
        more,
        bytes: payload.bytes,
        truncated: payload.bytes.len() < payload.wire_length,
        vlan: payload.vlan,
    })
}

fn transport<'p>(protocol: IpNumber, payload: &IpPayload<'p>) -> Result<Packet<'p>, DecodeError> {
    match protocol {
        IpNumber::TCP => tcp::decode(payload).map(Packet::Segment),
        _ => Ok(Packet::NotTcp),
    }
}

/// What a header error of `etherparse` comes down to: too short, or else inconsistent.
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

fn mapped(address: [u8; 4]) -> AddressBytes {
    let [a, b, c, d] = address;
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

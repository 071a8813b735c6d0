//! Packet to transport header: link layer, VLAN tags, tunnels, IP, fragments, TCP and UDP.
//!
//! ```text
//! link ─▶ ip ─▶ Tcp | Udp | Icmp | Fragment | Other
//!          ▲ │
//!          │ └─▶ tunnel ─┐
//!          └─────────────┘   at most four deep
//! ```
//!
//! A packet is decoded once, into a flat header that borrows nothing: it says where the
//! payload lies, so that it can cross threads while the bytes stay where they are.
//!
//! Lengths come from the headers as they were on the wire, never from what the
//! snap length left: sequence numbers count bytes that were sent. Checksums are
//! not verified, since network cards fill them in after the capture point.

mod cursor;
pub mod eapol;
mod fast;
mod fragment;
mod icmp;
mod ip;
mod layers;
mod link;
mod sequence;
mod tcp;
#[cfg(test)]
mod testing;
mod tunnel;
mod udp;
mod unread;

use std::fmt;

use etherparse::IpNumber;

use crate::capture::LinkType;

use cursor::Cursor;
use link::Network;

pub(crate) use fast::{Address, UsualDatagram, UsualFrame, UsualPacket, UsualReader, UsualSegment};
pub use fragment::{Fragment, FragmentTable, IpDatagram};
pub use icmp::{IcmpError, Undeliverable};
pub use layers::{Layers, Tunnel, Tunnels, VlanTags};
pub use sequence::SeqNumber;
pub use tcp::{Segment, TcpFlags, TcpHeader, WindowScale};
pub use tunnel::{TunnelPorts, TunnelPortsError, UdpTunnel};
pub use udp::UdpHeader;
pub use unread::{Unread, UnreadPackets};

/// What a packet turned out to carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A TCP segment.
    Tcp(TcpHeader),
    /// A UDP datagram.
    Udp(UdpHeader),
    /// An ICMP error about a UDP datagram.
    Icmp(IcmpError),
    /// A fragment of an IP datagram.
    Fragment(Fragment),
    /// Something readable that is none of these.
    Other(Unread),
}

/// Where a payload lies in its packet, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PayloadRange {
    /// Offset of its first byte.
    pub start: u32,
    /// Bytes that were captured.
    pub captured: u32,
    /// Bytes that were on the wire; more than captured if the snap length cut the packet.
    pub wire_length: u32,
}

impl PayloadRange {
    /// The captured bytes, given the packet; empty if they do not lie in it.
    #[must_use]
    #[inline]
    pub fn of(self, packet: &[u8]) -> &[u8] {
        let start = self.start as usize;
        packet
            .get(start..start + self.captured as usize)
            .unwrap_or_default()
    }

    /// Whether the snap length cut the payload.
    #[must_use]
    pub const fn is_truncated(self) -> bool {
        self.captured < self.wire_length
    }
}

/// Why a packet could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// No reader for this link layer.
    UnknownLink(LinkType),
    /// A header is longer than what is there.
    Truncated {
        /// The header.
        layer: Layer,
        /// Bytes that it needs, as far as known.
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// A header contradicts itself.
    Malformed {
        /// The header.
        layer: Layer,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownLink(link_type) => write!(f, "link type {} is not supported", link_type.0),
            Self::Truncated {
                layer,
                needed,
                available,
            } => {
                write!(
                    f,
                    "{layer:?} header needs {needed} bytes, {available} are there"
                )
            }
            Self::Malformed { layer } => write!(f, "{layer:?} header contradicts itself"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// A layer of headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The link layer.
    Link,
    /// IPv4.
    Ipv4,
    /// IPv6 and its extension headers.
    Ipv6,
    /// TCP.
    Tcp,
    /// The header of a tunnel.
    Tunnel,
}

/// Decodes a packet down to its innermost transport header.
///
/// `wire_length` is the packet's length, in bytes, before the snap length cut it. `layers` receives the VLAN tags
/// and tunnels around the result; it must be empty before.
///
/// # Errors
///
/// [`DecodeError`], if a header on the way cannot be read.
pub fn decode(
    link_type: LinkType,
    packet: &[u8],
    wire_length: u32,
    layers: &mut Layers,
) -> Result<Decoded, DecodeError> {
    let frame = usual_frame(link_type, packet, wire_length);
    if let Some(segment) = frame.and_then(|frame| frame.read(ReadSegment)) {
        *layers = segment.layers();
        return Ok(Decoded::Tcp(segment.header(packet)));
    }
    decode_any(
        link_type,
        packet,
        wire_length,
        &TunnelPorts::DEFAULT,
        layers,
    )
}

/// Reads the segment in a packet, if it has one of the usual kind.
struct ReadSegment;

impl UsualReader for ReadSegment {
    type Output = UsualSegment;

    fn read<A: Address>(self, packet: UsualPacket<'_, A>) -> Option<UsualSegment> {
        packet.segment()
    }
}

/// Decodes the link layer of most packets: Ethernet with at most one VLAN tag, and IP in it. `None` for every other, which
/// [`decode_any`] decodes.
#[inline(always)]
pub(crate) fn usual_frame(
    link_type: LinkType,
    packet: &[u8],
    wire_length: u32,
) -> Option<UsualFrame<'_>> {
    if link_type != LinkType::ETHERNET {
        return None;
    }
    UsualFrame::new(packet, wire_length as usize)
}

/// Decodes a packet of any kind; `tunnel_ports` are the UDP ports of tunnels.
///
/// # Errors
///
/// As for [`decode`].
pub(crate) fn decode_any(
    link_type: LinkType,
    packet: &[u8],
    wire_length: u32,
    tunnel_ports: &TunnelPorts,
    layers: &mut Layers,
) -> Result<Decoded, DecodeError> {
    let mut cursor = Cursor::new(packet, wire_length as usize, tunnel_ports);
    match link::decode(link_type, &mut cursor, layers)? {
        Network::Ip => ip::decode(&mut cursor, layers),
        Network::Other(unread) => Ok(Decoded::Other(unread)),
    }
}

impl IpDatagram {
    /// Decodes what it carries: ranges in the result lie in [`IpDatagram::payload`].
    ///
    /// Layers that are found inside are added to `layers`, which hold those around the fragments; `tunnel_ports` are the UDP
    /// ports of tunnels.
    ///
    /// # Errors
    ///
    /// As for [`decode`].
    pub fn decode(
        &self,
        tunnel_ports: &TunnelPorts,
        layers: &mut Layers,
    ) -> Result<Decoded, DecodeError> {
        let mut cursor = Cursor::new(self.payload(), self.payload().len(), tunnel_ports);
        let protocol = IpNumber(self.protocol());
        ip::transport(protocol, self.addresses(), 0, &mut cursor, layers)
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{PacketBuilder, VlanId};
    use proptest::prelude::*;

    use super::*;
    use crate::time::Timestamp;

    const PAYLOAD: &[u8] = b"records";

    fn tcp(step: etherparse::PacketBuilderStep<etherparse::IpHeaders>) -> Vec<u8> {
        let step = step.tcp(50_000, 443, 1_000, 64_000).ack(7).psh();
        let mut frame = Vec::new();
        step.write(&mut frame, PAYLOAD).unwrap();
        frame
    }

    fn ethernet() -> Vec<u8> {
        let link = PacketBuilder::ethernet2([1; 6], [2; 6]);
        tcp(link.ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64))
    }

    /// What a packet decodes to, and the layers around it.
    fn decoded(
        link_type: u32,
        bytes: &[u8],
        wire_length: u32,
    ) -> (Result<Decoded, DecodeError>, Layers) {
        let mut layers = Layers::default();
        let result = decode(LinkType(link_type), bytes, wire_length, &mut layers);
        (result, layers)
    }

    fn header_on_wire(link_type: u32, bytes: &[u8], wire_length: u32) -> TcpHeader {
        match decoded(link_type, bytes, wire_length) {
            (Ok(Decoded::Tcp(header)), _) => header,
            other => panic!("{other:?}"),
        }
    }

    fn header(link_type: u32, bytes: &[u8]) -> TcpHeader {
        header_on_wire(link_type, bytes, bytes.len() as u32)
    }

    /// The payload of a TCP segment: what was captured, and how long it was.
    fn payload(link_type: u32, bytes: &[u8]) -> (&[u8], u32) {
        let segment = header(link_type, bytes).segment(bytes);
        (segment.payload, segment.wire_length)
    }

    #[test]
    fn reads_tcp_over_ipv4_and_ipv6() {
        let frame = ethernet();
        let four = header(1, &frame);
        assert_eq!((four.source_port, four.destination_port), (50_000, 443));
        assert_eq!((four.sequence.0, four.acknowledgment.0), (1_000, 7));
        assert_eq!(payload(1, &frame), (PAYLOAD, 7));
        assert_eq!(four.source[10..], [0xff, 0xff, 192, 0, 2, 1]);
        let link = PacketBuilder::ethernet2([1; 6], [2; 6]);
        let frame = tcp(link.ipv6([0x20; 16], [0x30; 16], 64));
        assert_eq!(header(1, &frame).source, [0x20; 16]);
        assert_eq!(payload(1, &frame), (PAYLOAD, 7));
    }

    #[test]
    fn padding_inside_the_length_of_the_ip_packet_is_no_payload() {
        let with_flags = |bytes: &[u8], psh: bool| {
            let link = PacketBuilder::ethernet2([1; 6], [2; 6]);
            let packet = link.ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64);
            let tcp = packet.tcp(50_000, 443, 1_000, 64_000).ack(7);
            let tcp = if psh { tcp.psh() } else { tcp };
            let mut frame = Vec::new();
            tcp.write(&mut frame, bytes).unwrap();
            // A capture point may tag the frame later.
            let mut tagged = frame.clone();
            tagged.splice(12..12, [0x81, 0, 0, 7]);
            let lengths = [frame, tagged].map(|frame| {
                let header = header(1, &frame);
                let (ports, mut layers) = (TunnelPorts::default(), Layers::default());
                let wire_length = frame.len() as u32;
                let general = decode_any(LinkType(1), &frame, wire_length, &ports, &mut layers);
                assert_eq!(general, Ok(Decoded::Tcp(header)));
                header.payload.wire_length
            });
            assert_eq!(lengths[0], lengths[1]);
            lengths[0]
        };
        assert_eq!(with_flags(&[0; 6], false), 0); // a frame of 60 bytes
        assert_eq!(with_flags(&[0; 2], false), 0); // of 56, behind a VLAN tag that was taken out
        for (bytes, psh) in [
            (&[0; 6][..], true),
            (&[0; 5], false),
            (&[0; 7], false),
            (&[0, 0, 0, 0, 0, 1], false),
        ] {
            assert_eq!(with_flags(bytes, psh) as usize, bytes.len(), "{bytes:?}");
        }
    }

    #[test]
    fn takes_vlan_tags_off_outermost_first() {
        let outer = VlanId::try_new(12).unwrap();
        let inner = VlanId::try_new(34).unwrap();
        let link = PacketBuilder::ethernet2([1; 6], [2; 6]).double_vlan(outer, inner);
        let frame = tcp(link.ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64));
        let (_, layers) = decoded(1, &frame, frame.len() as u32);
        assert_eq!(layers.vlan.ids(), [12, 34]);
    }

    #[test]
    fn a_frame_of_nothing_but_tags_is_malformed() {
        let mut frame = vec![0; 12];
        frame.extend([0x81, 0, 0, 1].repeat(300));
        let error = DecodeError::Malformed { layer: Layer::Link };
        assert_eq!(decoded(1, &frame, 1212).0, Err(error));
    }

    #[test]
    fn every_link_layer_leads_to_the_same_segment() {
        let ip = ethernet().split_off(14);
        let with = |header: &[u8]| [header, &ip].concat();
        let cases = [
            (101, ip.clone()),
            (228, ip.clone()),
            (0, with(&[2, 0, 0, 0])),
            (108, with(&[0, 0, 0, 2])),
            (113, with(&[0, 0, 0, 1, 0, 6, 1, 1, 1, 1, 1, 1, 0, 0, 8, 0])),
            (
                276,
                with(&[8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 1, 1, 1, 1, 1, 1, 0, 0]),
            ),
            (9, with(&[0xff, 3, 0, 0x21])),
            (9, with(&[0x21])),
            (
                1,
                with(&[&[1; 12][..], &[0, 40, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat()),
            ),
        ];
        for (link_type, bytes) in cases {
            assert_eq!(payload(link_type, &bytes), (PAYLOAD, 7), "{link_type}");
        }
        let error = DecodeError::UnknownLink(LinkType(147));
        assert_eq!(decoded(147, &ip, 60).0, Err(error));
    }

    #[test]
    fn ethernet_padding_is_not_payload() {
        let mut frame = ethernet();
        frame.extend([0; 20]);
        assert_eq!(payload(1, &frame), (PAYLOAD, 7));
    }

    #[test]
    fn zeros_behind_the_ip_packet_are_not_payload_on_any_link_layer() {
        let mut bare = Vec::new();
        PacketBuilder::ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64)
            .tcp(50_000, 443, 1_000, 64_000)
            .ack(7)
            .write(&mut bare, &[])
            .unwrap();
        let tunnelled = tunnelled(1, &[&bare[..], &[0; 6]].concat());
        let links: [(u32, &[u8]); 6] = [
            (101, &[]),
            (1, &[1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 8, 0]),
            (
                1,
                &[1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 0x81, 0, 0, 5, 8, 0],
            ),
            (0, &[2, 0, 0, 0]),
            (113, &[0, 0, 0, 1, 0, 6, 1, 1, 1, 1, 1, 1, 0, 0, 8, 0]),
            (9, &[0xff, 3, 0, 0x21]),
        ];
        for packet in [&bare, &tunnelled] {
            for (link_type, header) in links {
                let frame = [header, packet, &[0; 18]].concat();
                assert_eq!(payload(link_type, &frame), (&b""[..], 0), "{link_type}");
            }
        }
    }

    #[test]
    fn an_ip_length_that_leaves_no_room_for_tcp_is_believed() {
        let mut frame = ethernet();
        frame[16..18].copy_from_slice(&20_u16.to_be_bytes());
        assert!(matches!(
            decoded(1, &frame, frame.len() as u32).0,
            Err(DecodeError::Truncated {
                layer: Layer::Tcp,
                ..
            })
        ));
    }

    #[test]
    fn the_snap_length_does_not_change_the_length_on_the_wire() {
        let frame = ethernet();
        let cut = &frame[..frame.len() - 4];
        let segment = header_on_wire(1, cut, frame.len() as u32).segment(cut);
        assert_eq!((segment.payload, segment.wire_length), (&PAYLOAD[..3], 7));
    }

    #[test]
    fn with_a_total_length_of_zero_the_length_of_the_frame_counts() {
        let mut frame = ethernet();
        frame[16..18].fill(0);
        assert_eq!(payload(1, &frame), (PAYLOAD, 7));
    }

    #[test]
    fn ipv6_extension_headers_are_walked_and_no_further_than_the_packet() {
        let link = PacketBuilder::ethernet2([1; 6], [2; 6]);
        let mut frame = tcp(link.ipv6([0x20; 16], [0x30; 16], 64));
        let extensions = [60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0]; // hop-by-hop, destination options
        frame[20] = 0;
        frame[19] += 16;
        frame.splice(54..54, extensions);
        assert_eq!(payload(1, &frame), (PAYLOAD, 7));
        frame[55] = 200; // the first extension now claims 1608 bytes
        assert!(matches!(
            decoded(1, &frame, frame.len() as u32).0,
            Err(DecodeError::Truncated {
                layer: Layer::Ipv6,
                ..
            })
        ));
    }

    #[test]
    fn every_cut_of_a_frame_is_an_error_or_a_shorter_segment() {
        let frame = ethernet();
        let length = frame.len() as u32;
        for cut in 0..frame.len() {
            match decoded(1, &frame[..cut], length).0 {
                Ok(Decoded::Tcp(header)) => {
                    assert!(cut >= 54, "{cut}");
                    assert_eq!(header.payload.wire_length, 7);
                    assert_eq!(header.payload.captured as usize, cut - 54);
                }
                Err(DecodeError::Truncated {
                    needed, available, ..
                }) => assert!(needed > available),
                other => panic!("{cut}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_fragment_is_not_taken_for_a_whole_packet() {
        let mut frame = ethernet();
        frame[20] = 0x20; // more fragments
        assert!(matches!(decoded(1, &frame, 61).0, Ok(Decoded::Fragment(_))));
    }

    #[test]
    fn reads_udp_and_cuts_padding_off() {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([1; 6], [2; 6])
            .ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64)
            .udp(50_000, 443)
            .write(&mut frame, PAYLOAD)
            .unwrap();
        frame.extend([0; 11]);
        let Ok(Decoded::Udp(header)) = decoded(1, &frame, frame.len() as u32).0 else {
            panic!("not UDP");
        };
        assert_eq!((header.source_port, header.destination_port), (50_000, 443));
        assert_eq!(header.payload.of(&frame), PAYLOAD);
        assert_eq!(
            decoded(1, &frame[..40], 71).0,
            Ok(Decoded::Other(Unread::BrokenHeaders))
        );
    }

    /// An IPv4 packet of the protocol that tests use as a tunnel, around `inner`.
    fn tunnelled(id: u8, inner: &[u8]) -> Vec<u8> {
        let ip_in_tunnel = [&[0, 0, 0, id], inner].concat();
        let mut packet = Vec::new();
        PacketBuilder::ipv4([198, 51, 100, 1], [198, 51, 100, 2], 64)
            .write(
                &mut packet,
                IpNumber(tunnel::testing::EXPERIMENT),
                &ip_in_tunnel,
            )
            .unwrap();
        packet
    }

    #[test]
    fn the_segment_in_nested_tunnels_is_found_and_the_tunnels_are_listed() {
        let inner = ethernet().split_off(14);
        let packet = tunnelled(1, &tunnelled(2, &inner));
        let (result, layers) = decoded(101, &packet, packet.len() as u32);
        let Ok(Decoded::Tcp(header)) = result else {
            panic!("{result:?}");
        };
        assert_eq!(header.segment(&packet).payload, PAYLOAD);
        let tunnels: Vec<String> = layers.tunnels.iter().map(|t| t.to_string()).collect();
        assert_eq!(tunnels, ["experiment:1", "experiment:2"]);
    }

    #[test]
    fn a_frame_in_a_tunnel_over_udp_is_found() {
        let frame = [&[1, 0, 0, 9], ethernet().as_slice()].concat();
        let mut packet = Vec::new();
        PacketBuilder::ipv4([198, 51, 100, 1], [198, 51, 100, 2], 64)
            .udp(50_000, tunnel::testing::EXPERIMENT_PORT)
            .write(&mut packet, &frame)
            .unwrap();
        let (result, layers) = decoded(101, &packet, packet.len() as u32);
        let Ok(Decoded::Tcp(header)) = result else {
            panic!("{result:?}");
        };
        assert_eq!(header.segment(&packet).payload, PAYLOAD);
        assert_eq!(layers.tunnels.iter().count(), 1);
    }

    #[test]
    fn tunnels_nested_deeper_than_the_limit_are_not_decoded() {
        let mut packet = ethernet().split_off(14);
        for id in 0..=Tunnels::MAX {
            packet = tunnelled(id as u8, &packet);
        }
        assert_eq!(
            decoded(101, &packet, packet.len() as u32).0,
            Ok(Decoded::Other(Unread::TunnelContent))
        );
    }

    /// The two fragments of an IPv4 packet.
    fn fragments(packet: &[u8]) -> [Vec<u8>; 2] {
        let (header, payload) = packet.split_at(20);
        let (first, second) = payload.split_at(16);
        let fragment = |part: &[u8], flags_and_offset: [u8; 2]| {
            let mut fragment = [header, part].concat();
            fragment[2..4].copy_from_slice(&(20 + part.len() as u16).to_be_bytes());
            fragment[6..8].copy_from_slice(&flags_and_offset);
            fragment
        };
        [fragment(first, [0x20, 0]), fragment(second, [0, 2])]
    }

    #[test]
    fn fragments_inside_and_around_a_tunnel_are_reassembled() {
        let inner = ethernet().split_off(14);
        let inside = fragments(&inner).map(|fragment| tunnelled(7, &fragment));
        let around = fragments(&tunnelled(7, &inner));
        for packets in [inside, around] {
            let mut table = FragmentTable::default();
            let mut found = None;
            for packet in &packets {
                let (result, mut layers) = decoded(101, packet, packet.len() as u32);
                let Ok(Decoded::Fragment(fragment)) = result else {
                    panic!("{result:?}");
                };
                found = table
                    .push(&fragment, packet, &mut layers, Timestamp::default())
                    .map(|datagram| (datagram, layers));
            }
            let (datagram, mut layers) = found.unwrap();
            let Ok(Decoded::Tcp(header)) = datagram.decode(&TunnelPorts::DEFAULT, &mut layers)
            else {
                panic!("no segment");
            };
            assert_eq!(header.segment(datagram.payload()).payload, PAYLOAD);
            let tunnels: Vec<String> = layers.tunnels.iter().map(|t| t.to_string()).collect();
            assert_eq!(tunnels, ["experiment:7"]);
        }
    }

    proptest! {
        #[test]
        fn the_fast_path_gives_what_the_general_path_gives(
            is_ipv6: bool,
            is_tagged: bool,
            is_udp: bool,
            ports in (prop_oneof![Just(443u16), Just(3544), Just(4789)], prop_oneof![Just(50_000u16), Just(2152)]),
            changes in proptest::collection::vec((0usize..84, any::<u8>()), 0..4),
            cut in 0usize..100,
            padding in 0usize..20,
            longer in 0u32..40,
        ) {
            let ethernet = PacketBuilder::ethernet2([1; 6], [2; 6]);
            let link = |ip| if is_tagged {
                ethernet.single_vlan(VlanId::try_new(12).unwrap()).ip(ip)
            } else {
                ethernet.ip(ip)
            };
            let step = if is_ipv6 {
                let header = etherparse::Ipv6Header { source: [0x20; 16], destination: [0x30; 16], hop_limit: 64, ..Default::default() };
                link(etherparse::IpHeaders::Ipv6(header, Default::default()))
            } else {
                let header = etherparse::Ipv4Header { source: [192, 0, 2, 1], destination: [192, 0, 2, 2], time_to_live: 64, ..Default::default() };
                link(etherparse::IpHeaders::Ipv4(header, Default::default()))
            };
            let mut frame = Vec::new();
            if is_udp {
                step.udp(ports.1, ports.0).write(&mut frame, PAYLOAD).unwrap();
            } else {
                frame = tcp(step);
            }
            frame.extend(std::iter::repeat_n(0, padding));
            for (at, value) in changes {
                if let Some(byte) = frame.get_mut(at) {
                    *byte = value;
                }
            }
            frame.truncate(frame.len() - cut.min(frame.len()));
            let wire_length = frame.len() as u32 + longer;
            let mut layers = Layers::default();
            let ports = TunnelPorts::DEFAULT;
            let general = decode_any(LinkType(1), &frame, wire_length, &ports, &mut layers);
            if let Some(segment) = UsualFrame::new(&frame, wire_length as usize).and_then(|frame| frame.read(ReadSegment)) {
                let header = segment.header(&frame);
                prop_assert_eq!(general, Ok(Decoded::Tcp(header)));
                prop_assert_eq!(layers, segment.layers());
                prop_assert_eq!(header.segment(&frame), segment.segment(&frame));
                prop_assert_eq!(header.flow_key(), (segment.key, segment.goes_up));
            }
            let datagram = UsualFrame::new(&frame, wire_length as usize).and_then(|frame| frame.read(ReadDatagram(&ports)));
            if let Some((header, around)) = datagram {
                prop_assert_eq!(general, Ok(Decoded::Udp(header)));
                prop_assert_eq!(layers, around);
            }
        }
    }

    struct ReadDatagram<'t>(&'t TunnelPorts);

    impl UsualReader for ReadDatagram<'_> {
        type Output = (UdpHeader, Layers);

        fn read<A: Address>(self, packet: UsualPacket<'_, A>) -> Option<Self::Output> {
            let datagram = packet.datagram()?;
            Some((packet.udp_header(&datagram, self.0)?, packet.layers()))
        }
    }
}

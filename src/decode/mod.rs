//! Packet to TCP segment: link layer, VLAN tags, IP, fragments, TCP header.
//!
//! Lengths come from the headers as they were on the wire, never from what the
//! snap length left: sequence numbers count bytes that were sent. Checksums are
//! not looked at, since network cards fill them in after the capture point.
//!
//! Tunnels are not peeled yet. Their place is between `link` and `ip`: whatever
//! carries IP ends in `ip::decode`.

mod fragment;
mod ip;
mod link;
mod sequence;
mod tcp;

use std::fmt;

use crate::capture::LinkType;

pub use fragment::{Datagram, Fragment, FragmentTable};
pub use sequence::SeqNumber;
pub use tcp::{Segment, TcpFlags};

/// What a packet turned out to carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'p> {
    /// A TCP segment.
    Segment(Segment<'p>),
    /// A fragment of an IP datagram.
    Fragment(Fragment<'p>),
    /// Something readable that is not TCP.
    NotTcp,
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
}

/// 802.1Q tags of a packet, outermost first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VlanTags {
    ids: [u16; Self::MAX],
    count: u8,
}

impl VlanTags {
    /// Tags kept. Two are common (802.1ad), three exist; more only in attacks, whose further tags are skipped.
    const MAX: usize = 4;

    /// The VLAN identifiers, outermost first.
    #[must_use]
    pub fn ids(&self) -> &[u16] {
        &self.ids[..usize::from(self.count).min(Self::MAX)]
    }

    fn push(&mut self, tag_control: u16) {
        if let Some(slot) = self.ids.get_mut(usize::from(self.count)) {
            *slot = tag_control & 0x0fff; // IEEE 802.1Q: 3 bits priority, 1 drop eligible, 12 identifier
            self.count += 1;
        }
    }
}

/// Reads a packet down to its TCP segment.
///
/// `wire_length` is the packet's length before the snap length cut it.
///
/// # Errors
///
/// [`DecodeError`], for a packet that has no TCP header to be found.
pub fn decode(
    link_type: LinkType,
    bytes: &[u8],
    wire_length: u32,
) -> Result<Packet<'_>, DecodeError> {
    let mut frame = link::Frame::new(bytes, wire_length);
    match link::decode(link_type, &mut frame)? {
        link::Network::Ip => ip::decode(&frame),
        link::Network::Other => Ok(Packet::NotTcp),
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{PacketBuilder, VlanId};

    use super::*;

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

    fn segment(link_type: u32, bytes: &[u8]) -> Segment<'_> {
        segment_on_wire(link_type, bytes, bytes.len() as u32)
    }

    fn segment_on_wire(link_type: u32, bytes: &[u8], wire_length: u32) -> Segment<'_> {
        match decode(LinkType(link_type), bytes, wire_length) {
            Ok(Packet::Segment(segment)) => segment,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reads_tcp_over_ipv4_and_ipv6() {
        let frame = ethernet();
        let four = segment(1, &frame);
        assert_eq!((four.source_port, four.destination_port), (50_000, 443));
        assert_eq!((four.sequence.0, four.acknowledgment.0), (1_000, 7));
        assert_eq!((four.payload, four.wire_length), (PAYLOAD, 7));
        assert_eq!(four.source[10..], [0xff, 0xff, 192, 0, 2, 1]);
        let link = PacketBuilder::ethernet2([1; 6], [2; 6]);
        let frame = tcp(link.ipv6([0x20; 16], [0x30; 16], 64));
        let six = segment(1, &frame);
        assert_eq!((six.source, six.payload), ([0x20; 16], PAYLOAD));
    }

    #[test]
    fn takes_vlan_tags_off_outermost_first() {
        let outer = VlanId::try_new(12).unwrap();
        let inner = VlanId::try_new(34).unwrap();
        let link = PacketBuilder::ethernet2([1; 6], [2; 6]).double_vlan(outer, inner);
        let frame = tcp(link.ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64));
        assert_eq!(segment(1, &frame).vlan.ids(), [12, 34]);
    }

    #[test]
    fn a_frame_of_nothing_but_tags_is_malformed() {
        let mut frame = vec![0; 12];
        frame.extend([0x81, 0, 0, 1].repeat(300));
        let error = DecodeError::Malformed { layer: Layer::Link };
        assert_eq!(decode(LinkType(1), &frame, 1212), Err(error));
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
            assert_eq!(segment(link_type, &bytes).payload, PAYLOAD, "{link_type}");
        }
        let error = DecodeError::UnknownLink(LinkType(147));
        assert_eq!(decode(LinkType(147), &ip, 60), Err(error));
    }

    #[test]
    fn ethernet_padding_is_no_payload() {
        let mut frame = ethernet();
        frame.extend([0; 20]);
        assert_eq!(segment(1, &frame).payload, PAYLOAD);
    }

    #[test]
    fn the_length_on_the_wire_outlives_the_snap_length() {
        let frame = ethernet();
        let length = frame.len() as u32;
        let cut = segment_on_wire(1, &frame[..frame.len() - 4], length);
        assert_eq!((cut.payload, cut.wire_length), (&PAYLOAD[..3], 7));
    }

    #[test]
    fn a_total_length_of_zero_means_that_the_frame_tells() {
        let mut frame = ethernet();
        frame[16..18].fill(0);
        let offloaded = segment(1, &frame);
        assert_eq!((offloaded.payload, offloaded.wire_length), (PAYLOAD, 7));
    }

    #[test]
    fn ipv6_extension_headers_are_walked_and_no_further_than_the_packet() {
        let link = PacketBuilder::ethernet2([1; 6], [2; 6]);
        let mut frame = tcp(link.ipv6([0x20; 16], [0x30; 16], 64));
        let extensions = [60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0]; // hop-by-hop, destination options
        frame[20] = 0;
        frame[19] += 16;
        frame.splice(54..54, extensions);
        assert_eq!(segment(1, &frame).payload, PAYLOAD);
        frame[55] = 200; // the first extension now claims 1608 bytes
        assert!(matches!(
            decode(LinkType(1), &frame, frame.len() as u32),
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
            match decode(LinkType(1), &frame[..cut], length) {
                Ok(Packet::Segment(segment)) => {
                    assert!(cut >= 54, "{cut}");
                    assert_eq!(segment.wire_length, 7);
                    assert_eq!(segment.payload.len(), cut - 54);
                }
                Err(DecodeError::Truncated {
                    needed, available, ..
                }) => assert!(needed > available),
                other => panic!("{cut}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_fragment_is_told_from_a_whole_packet() {
        let mut frame = ethernet();
        frame[20] = 0x20; // more fragments
        assert!(matches!(
            decode(LinkType(1), &frame, 61),
            Ok(Packet::Fragment(_))
        ));
    }
}

//! The packets that most packets are, read in one go: Ethernet with at most one VLAN tag, IPv4 without options or IPv6, TCP or UDP.
//!
//! It answers only where the answer is that of the general path, and leaves
//! every other packet to it; tests compare the two.

use etherparse::IpNumber;

use crate::flow::{AddressBytes, FlowKey, IpProtocol};

use super::cursor::Cursor;
use super::ip::mapped;
use super::tcp::{self, FIXED_HEADER};
use super::{
    Layers, PayloadRange, Segment, SeqNumber, TcpFlags, TcpHeader, TunnelPorts, UdpHeader,
    WindowScale, tunnel,
};

/// EtherTypes.
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

#[inline(always)]
const fn is_ip(ether_type: u16) -> bool {
    matches!(ether_type, IPV4 | IPV6)
}

const ETHERNET_HEADER: usize = 14;
const VLAN_TAG: usize = 4;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const UDP_HEADER: usize = 8;

/// A TCP segment of the usual kind: all that its headers say, in one cache line. It is made once, and handed on to the worker that has
/// its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UsualSegment {
    /// The key of its flow.
    pub(crate) key: FlowKey,
    /// Whether it goes from the lower to the higher endpoint.
    pub(crate) goes_up: bool,
    hop_limit: u8,
    /// Length of the TCP options, which lie before the payload.
    options: u8,
    /// Where the payload begins in the frame: behind 118 bytes of headers at most.
    start: u8,
    /// Words of its header as they lie there: most are read later, or never.
    sequence: Word,
    acknowledgment: Word,
    /// Length of the header, flags, and window.
    flags_and_window: Word,
    /// Bytes of payload that were captured, and that were on the wire: fewer than the length field of an IP header can say.
    captured: u16,
    pub(crate) wire_length: u16,
    vlan: Vlan,
}

/// Four bytes of a header. A number, as the compiler moves each byte of an array on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word(u32);

impl Word {
    #[inline(always)]
    const fn at(header: &[u8; FIXED_HEADER], at: usize) -> Self {
        let bytes = [header[at], header[at + 1], header[at + 2], header[at + 3]];
        Self(u32::from_ne_bytes(bytes))
    }

    #[inline(always)]
    const fn bytes(self) -> [u8; 4] {
        self.0.to_ne_bytes()
    }
}

/// The one VLAN tag that a frame may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Vlan(u16);

impl Vlan {
    /// No tag: none of the identifiers, which have 12 bits.
    const NONE: Self = Self(u16::MAX);

    const fn tagged(tag_control: u16) -> Self {
        Self(tag_control & 0x0fff)
    }

    fn layers(self) -> Layers {
        Layers::tagged((self != Self::NONE).then_some(self.0))
    }
}

/// An Ethernet frame with an IP packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UsualFrame<'p> {
    bytes: &'p [u8],
    wire_length: usize,
    is_ipv4: bool,
    vlan: Vlan,
    /// Where the IP header begins.
    start: usize,
}

/// An IP packet of the usual kind, with addresses that are numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UsualPacket<'p, A> {
    frame: &'p [u8],
    /// The first bytes behind the IP header: those of a TCP header, or a shorter one and a payload.
    transport: &'p [u8; FIXED_HEADER],
    source: A,
    destination: A,
    protocol: u8,
    hop_limit: u8,
    vlan: Vlan,
    /// Where the transport header begins in the frame.
    start: usize,
    /// Bytes of transport header and payload that were captured, and that were on the wire.
    captured: usize,
    on_wire: usize,
}

/// A UDP datagram of the usual kind, without its addresses: most have nothing to do with TLS, and then nobody asks for them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UsualDatagram {
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    /// Where its payload lies in the frame.
    pub(crate) payload: PayloadRange,
}

/// An address as a number. With arrays, the compiler moves each byte on its own.
pub(crate) trait Address: Copy {
    const IS_IPV4: bool;

    fn bytes(self) -> AddressBytes;

    /// The key of a packet's flow, and whether the packet goes from the lower to the higher endpoint.
    fn key(protocol: IpProtocol, source: (Self, u16), destination: (Self, u16)) -> (FlowKey, bool);
}

impl Address for u32 {
    const IS_IPV4: bool = true;

    #[inline(always)]
    fn bytes(self) -> AddressBytes {
        mapped(self.to_be_bytes()).to_be_bytes()
    }

    #[inline(always)]
    fn key(protocol: IpProtocol, source: (Self, u16), destination: (Self, u16)) -> (FlowKey, bool) {
        FlowKey::of_ipv4(protocol, source, destination)
    }
}

impl Address for u128 {
    const IS_IPV4: bool = false;

    #[inline(always)]
    fn bytes(self) -> AddressBytes {
        self.to_be_bytes()
    }

    #[inline(always)]
    fn key(protocol: IpProtocol, source: (Self, u16), destination: (Self, u16)) -> (FlowKey, bool) {
        let bytes = |(address, port): (Self, u16)| (address.to_be_bytes(), port);
        FlowKey::new(protocol, bytes(source), bytes(destination))
    }
}

/// Does something with a packet of either version of IP. A trait, so that it is compiled for each, and nothing has to fit both.
pub(crate) trait UsualReader {
    type Output;

    fn read<A: Address>(self, packet: UsualPacket<'_, A>) -> Option<Self::Output>;
}

impl<'p> UsualFrame<'p> {
    /// Reads an Ethernet header; `None` if it is not of the usual kind.
    ///
    /// Always inlined, as what follows: the structures are then never stored.
    #[inline(always)]
    pub(super) fn new(bytes: &'p [u8], wire_length: usize) -> Option<Self> {
        let header = bytes.first_chunk::<{ ETHERNET_HEADER + VLAN_TAG }>()?;
        let ether_type = u16::from_be_bytes([header[12], header[13]]);
        let (mut inner, mut start, mut vlan) = (ether_type, ETHERNET_HEADER, Vlan::NONE);
        if !is_ip(ether_type) {
            if !matches!(ether_type, 0x8100 | 0x88a8 | 0x9100 | 0x9200) {
                return None;
            }
            vlan = Vlan::tagged(u16::from_be_bytes([header[14], header[15]]));
            inner = u16::from_be_bytes([header[16], header[17]]);
            start += VLAN_TAG;
            if !is_ip(inner) {
                return None;
            }
        }
        Some(Self {
            bytes,
            wire_length: wire_length.max(bytes.len()),
            is_ipv4: inner == IPV4,
            vlan,
            start,
        })
    }

    /// Reads the IP header, and hands the packet to `reader`; `None` if the header is not of the usual kind.
    #[inline(always)]
    pub(crate) fn read<R: UsualReader>(&self, reader: R) -> Option<R::Output> {
        if self.is_ipv4 {
            reader.read(self.ipv4()?)
        } else {
            reader.read(self.ipv6()?)
        }
    }

    #[inline(always)]
    fn ipv4(&self) -> Option<UsualPacket<'p, u32>> {
        const HEADERS: usize = IPV4_HEADER + FIXED_HEADER;
        let headers = self.bytes.get(self.start..)?.first_chunk::<HEADERS>()?;
        // Version 4 and five words of header; no flag but "don't fragment", and no fragment offset.
        let fragment = u16::from_be_bytes([headers[6], headers[7]]);
        if headers[0] != 0x45 || fragment & 0xbfff != 0 {
            return None;
        }
        let total_length = usize::from(u16::from_be_bytes([headers[2], headers[3]]));
        let declared = total_length.checked_sub(IPV4_HEADER)?; // 0, for offloaded segments, is unusual too
        let start = self.start + IPV4_HEADER;
        let on_wire = declared.min(self.wire_length - start);
        Some(UsualPacket {
            frame: self.bytes,
            transport: headers[IPV4_HEADER..].first_chunk()?,
            source: u32::from_be_bytes(*headers[12..].first_chunk()?),
            destination: u32::from_be_bytes(*headers[16..].first_chunk()?),
            protocol: headers[9],
            hop_limit: headers[8],
            vlan: self.vlan,
            start,
            captured: on_wire.min(self.bytes.len() - start),
            on_wire,
        })
    }

    #[inline(always)]
    fn ipv6(&self) -> Option<UsualPacket<'p, u128>> {
        const HEADERS: usize = IPV6_HEADER + FIXED_HEADER;
        let headers = self.bytes.get(self.start..)?.first_chunk::<HEADERS>()?;
        if headers[0] >> 4 != 6 {
            return None;
        }
        let declared = usize::from(u16::from_be_bytes([headers[4], headers[5]])); // 0 leaves no room for a transport header
        let start = self.start + IPV6_HEADER;
        let on_wire = declared.min(self.wire_length - start);
        Some(UsualPacket {
            frame: self.bytes,
            transport: headers[IPV6_HEADER..].first_chunk()?,
            source: u128::from_be_bytes(*headers[8..].first_chunk()?),
            destination: u128::from_be_bytes(*headers[24..].first_chunk()?),
            protocol: headers[6],
            hop_limit: headers[7],
            vlan: self.vlan,
            start,
            captured: on_wire.min(self.bytes.len() - start),
            on_wire,
        })
    }
}

impl<A: Address> UsualPacket<'_, A> {
    /// The VLAN tag.
    pub(crate) fn layers(&self) -> Layers {
        self.vlan.layers()
    }

    /// Reads the TCP header; `None` if it is no segment of the usual kind.
    #[inline(always)]
    pub(crate) fn segment(&self) -> Option<UsualSegment> {
        if self.protocol != IpNumber::TCP.0 {
            return None;
        }
        let header = self.transport;
        let header_length = usize::from(header[12] >> 4) * 4;
        if header_length < FIXED_HEADER || header_length > self.captured {
            return None;
        }
        let mut captured = self.captured - header_length;
        let mut wire_length = self.on_wire - header_length;
        if A::IS_IPV4 && self.on_wire <= tcp::FILLS_SHORTEST_FRAME && captured == wire_length {
            let start = self.start + header_length;
            let seeming = self.frame.get(start..start + captured).unwrap_or_default();
            if tcp::is_padding(self.on_wire, header[tcp::FLAGS], seeming) {
                (captured, wire_length) = (0, 0);
            }
        }
        let [source_port, destination_port] = self.ports();
        let (key, goes_up) = A::key(
            IpProtocol::Tcp,
            (self.source, source_port),
            (self.destination, destination_port),
        );
        Some(UsualSegment {
            key,
            goes_up,
            hop_limit: self.hop_limit,
            options: (header_length - FIXED_HEADER) as u8, // of 60 bytes at most
            start: (self.start + header_length) as u8,
            sequence: Word::at(header, 4),
            acknowledgment: Word::at(header, 8),
            flags_and_window: Word::at(header, 12),
            captured: captured as u16,
            wire_length: wire_length as u16,
            vlan: self.vlan,
        })
    }

    /// Reads the UDP header; `None` if it is no datagram of the usual kind.
    #[inline(always)]
    pub(crate) fn datagram(&self) -> Option<UsualDatagram> {
        if self.protocol != IpNumber::UDP.0 {
            return None;
        }
        let length = u16::from_be_bytes([self.transport[4], self.transport[5]]);
        let available = self.captured.checked_sub(UDP_HEADER)?;
        let declared = usize::from(length).checked_sub(UDP_HEADER)?; // 0 is unusual, too
        let wire_length = declared.min(self.on_wire - UDP_HEADER);
        let [source_port, destination_port] = self.ports();
        Some(UsualDatagram {
            source_port,
            destination_port,
            payload: PayloadRange {
                start: (self.start + UDP_HEADER) as u32,
                captured: available.min(wire_length) as u32,
                wire_length: wire_length as u32,
            },
        })
    }

    /// All that the headers of a datagram in this packet say; `None` if it may hold a tunnel.
    pub(crate) fn udp_header(
        &self,
        datagram: &UsualDatagram,
        tunnel_ports: &TunnelPorts,
    ) -> Option<UdpHeader> {
        let header = UdpHeader {
            source: self.source.bytes(),
            destination: self.destination.bytes(),
            source_port: datagram.source_port,
            destination_port: datagram.destination_port,
            payload: datagram.payload,
        };
        let payload = header.payload.of(self.frame);
        let wire_length = header.payload.wire_length as usize;
        let cursor = Cursor::new(payload, wire_length, tunnel_ports);
        let is_plain = tunnel::by_udp_port(&header, &cursor).is_none();
        is_plain.then_some(header)
    }

    /// The key of the flow of a datagram between these ports.
    #[inline(always)]
    pub(crate) fn datagram_key(&self, source: u16, destination: u16) -> FlowKey {
        A::key(
            IpProtocol::Udp,
            (self.source, source),
            (self.destination, destination),
        )
        .0
    }

    #[inline(always)]
    fn ports(&self) -> [u16; 2] {
        let [a, b, c, d, ..] = *self.transport;
        [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
    }
}

impl UsualSegment {
    #[inline(always)]
    pub(crate) const fn sequence(&self) -> SeqNumber {
        SeqNumber(u32::from_be_bytes(self.sequence.bytes()))
    }

    #[inline(always)]
    pub(crate) const fn acknowledgment(&self) -> SeqNumber {
        SeqNumber(u32::from_be_bytes(self.acknowledgment.bytes()))
    }

    #[inline(always)]
    pub(crate) const fn window(&self) -> u16 {
        let [_, _, high, low] = self.flags_and_window.bytes();
        u16::from_be_bytes([high, low])
    }

    #[inline(always)]
    const fn flags(&self) -> u8 {
        self.flags_and_window.bytes()[1]
    }

    /// Whether it has no other flag than ACK and those without a meaning for connections.
    #[inline(always)]
    pub(crate) const fn is_amid_connection(&self) -> bool {
        self.flags() & TcpFlags::SYN_FIN_RST == 0
    }

    /// Whether it is a SYN, and nothing else that has a meaning for connections.
    #[inline(always)]
    pub(crate) const fn is_lone_syn(&self) -> bool {
        const MEANING: u8 = TcpFlags::SYN_FIN_RST | TcpFlags::ACK;
        self.flags() & MEANING == TcpFlags::SYN && self.wire_length == 0
    }

    /// Whether its acknowledgment number is valid.
    #[inline(always)]
    pub(crate) const fn has_acknowledgment(&self) -> bool {
        self.flags() & TcpFlags::ACK != 0
    }

    /// The segment, given the frame that it was read from. What the options of a SYN say is not known.
    #[inline(always)]
    pub(crate) fn without_options<'p>(&self, frame: &'p [u8]) -> Segment<'p> {
        Segment {
            sequence: self.sequence(),
            acknowledgment: self.acknowledgment(),
            flags: TcpFlags::from_byte(self.flags()),
            window: self.window(),
            window_scale: WindowScale::Unknown,
            hop_limit: self.hop_limit,
            payload: self.payload().of(frame),
            wire_length: self.wire_length.into(),
        }
    }

    /// The segment, given the frame that it was read from.
    pub(crate) fn segment<'p>(&self, frame: &'p [u8]) -> Segment<'p> {
        let end = usize::from(self.start);
        let options = frame.get(end - usize::from(self.options)..end);
        Segment {
            window_scale: WindowScale::read(
                TcpFlags::from_byte(self.flags()),
                options.unwrap_or_default(),
            ),
            ..self.without_options(frame)
        }
    }

    /// Whether there is a VLAN tag around it.
    pub(crate) fn has_layers(&self) -> bool {
        self.vlan != Vlan::NONE
    }

    /// The VLAN tag.
    pub(crate) fn layers(&self) -> Layers {
        self.vlan.layers()
    }

    /// The same with one field for each, given the frame that it was read from.
    pub(super) fn header(&self, frame: &[u8]) -> TcpHeader {
        let [(source, source_port), (destination, destination_port)] = self.key.sides(self.goes_up);
        let segment = self.segment(frame);
        TcpHeader {
            source,
            destination,
            source_port,
            destination_port,
            sequence: segment.sequence,
            acknowledgment: segment.acknowledgment,
            flags: segment.flags,
            window: segment.window,
            window_scale: segment.window_scale,
            hop_limit: segment.hop_limit,
            payload: self.payload(),
        }
    }

    /// Where its payload lies in the frame.
    #[inline(always)]
    pub(crate) const fn payload(&self) -> PayloadRange {
        PayloadRange {
            start: self.start as u32,
            captured: self.captured as u32,
            wire_length: self.wire_length as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_takes_one_cache_line() {
        assert!(size_of::<UsualSegment>() <= 64);
    }
}

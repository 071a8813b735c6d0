//! Packets for tests of links and tunnels: a known segment, and headers around it.

use etherparse::{IpNumber, PacketBuilder};

use super::{Decoded, Layers, decode};
use crate::capture::LinkType;

/// The payload of the segment in the packets below.
pub(super) const PAYLOAD: &[u8] = b"records";

/// A segment in IPv4.
pub(super) fn ipv4() -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64)
        .tcp(50_000, 443, 1_000, 64_000)
        .write(&mut packet, PAYLOAD)
        .unwrap();
    packet
}

/// A segment in IPv6, from an address that begins with `source`.
pub(super) fn ipv6_from(source: [u8; 4]) -> Vec<u8> {
    let mut address = [0x20; 16];
    address[..4].copy_from_slice(&source);
    let mut packet = Vec::new();
    PacketBuilder::ipv6(address, [0x30; 16], 64)
        .tcp(50_000, 443, 1_000, 64_000)
        .write(&mut packet, PAYLOAD)
        .unwrap();
    packet
}

/// A segment in IPv6.
pub(super) fn ipv6() -> Vec<u8> {
    ipv6_from([0x20; 4])
}

/// Ethernet with an EtherType before `content`.
pub(super) fn ethernet(ether_type: u16, content: &[u8]) -> Vec<u8> {
    [&[2; 6], &[4; 6], &ether_type.to_be_bytes()[..], content].concat()
}

/// A segment in IPv4 in Ethernet.
pub(super) fn frame() -> Vec<u8> {
    ethernet(0x0800, &ipv4())
}

/// An IPv4 packet of an IP protocol.
pub(super) fn in_ipv4(protocol: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4([198, 51, 100, 1], [198, 51, 100, 2], 64)
        .write(&mut packet, IpNumber(protocol), &parts.concat())
        .unwrap();
    packet
}

/// An IPv6 packet of an IP protocol.
pub(super) fn in_ipv6(protocol: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv6([0x40; 16], [0x50; 16], 64)
        .write(&mut packet, IpNumber(protocol), &parts.concat())
        .unwrap();
    packet
}

/// A UDP datagram in IPv4, between two ports.
pub(super) fn in_udp(source: u16, destination: u16, parts: &[&[u8]]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4([198, 51, 100, 1], [198, 51, 100, 2], 64)
        .udp(source, destination)
        .write(&mut packet, &parts.concat())
        .unwrap();
    packet
}

/// What a packet decodes to, and the tunnels around it.
pub(super) fn decoded(link_type: LinkType, packet: &[u8]) -> (Option<Decoded>, Vec<String>) {
    let mut layers = Layers::default();
    let decoded = decode(link_type, packet, packet.len() as u32, &mut layers).ok();
    let tunnels = layers.tunnels.iter().map(|tunnel| tunnel.to_string());
    (decoded, tunnels.collect())
}

/// Requires that the segment is found in a packet, in these tunnels; and in each cut of the packet no more of it than is there.
#[track_caller]
pub(super) fn accepts(link_type: LinkType, packet: &[u8], tunnels: &[&str]) {
    let (found, around) = decoded(link_type, packet);
    let Some(Decoded::Tcp(header)) = found else {
        panic!("{found:?} in {around:?}");
    };
    assert_eq!(header.segment(packet).payload, PAYLOAD);
    assert_eq!(around, tunnels);
    let start = header.payload.start as usize;
    for cut in 0..packet.len() {
        let cut = &packet[..cut];
        let found = decode(link_type, cut, packet.len() as u32, &mut Layers::default());
        if let Ok(Decoded::Tcp(header)) = found {
            assert_eq!(header.payload.start as usize, start);
            assert_eq!(
                header.segment(cut).payload,
                &PAYLOAD[..(cut.len() - start).min(7)]
            );
            assert_eq!(header.payload.wire_length, 7);
        }
    }
}

/// Requires that no segment is found in a packet.
#[track_caller]
pub(super) fn rejects(link_type: LinkType, packet: &[u8]) {
    let (found, tunnels) = decoded(link_type, packet);
    assert!(!matches!(found, Some(Decoded::Tcp(_))), "in {tunnels:?}");
}

/// Requires that a packet is plain UDP, outside of all tunnels.
#[track_caller]
pub(super) fn is_plain_udp(packet: &[u8]) {
    let (found, tunnels) = decoded(LinkType::RAW, packet);
    assert!(matches!(found, Some(Decoded::Udp(_))), "{found:?}");
    assert!(tunnels.is_empty(), "{tunnels:?}");
}

/// `bytes` with one of them changed.
pub(super) fn with(bytes: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at] = value;
    changed
}

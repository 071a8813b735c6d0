//! The packet that most packets are, read in one go: Ethernet, IPv4 or IPv6 without options, TCP.
//!
//! It answers only where the answer is that of the general path, and leaves
//! every other packet to it; tests compare the two.

use super::ip::mapped;
use super::tcp::FIXED_HEADER;
use super::{PayloadRange, SeqNumber, TcpFlags, TcpHeader, WindowScale};

const ETHERNET_HEADER: usize = 14;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const TCP: u8 = 6;

/// The fields of the network layer of a segment. Addresses are numbers here: with arrays, whose bytes may come from two kinds of headers,
/// the compiler moves each byte on its own.
struct Network {
    source: u128,
    destination: u128,
    hop_limit: u8,
    /// Where the TCP header begins in the frame.
    start: usize,
    /// Length of TCP header and payload as the IP header has it.
    declared: usize,
}

/// Reads an Ethernet frame; `None` if it is not of the usual kind.
///
/// Always inlined: who routes a packet needs only the addresses, or nothing but whether it is usual, and who follows its flow builds
/// another structure of the header. The header itself, of 72 bytes, is then never stored: a tenth of a packet.
#[inline(always)]
pub(super) fn ethernet(frame: &[u8], wire_length: usize) -> Option<TcpHeader> {
    let header = frame.first_chunk::<ETHERNET_HEADER>()?;
    let network = match [header[12], header[13]] {
        [0x08, 0x00] => ipv4(frame)?,
        [0x86, 0xdd] => ipv6(frame)?,
        _ => return None,
    };
    tcp(frame, wire_length, network)
}

#[inline(always)]
fn ipv4(frame: &[u8]) -> Option<Network> {
    let header = frame[ETHERNET_HEADER..].first_chunk::<IPV4_HEADER>()?;
    // Version 4 and five words of header; no flag but "don't fragment", and no fragment offset.
    let is_usual = header[0] == 0x45 && header[6] & 0b1011_1111 == 0 && header[7] == 0;
    if !is_usual || header[9] != TCP {
        return None;
    }
    let total_length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    Some(Network {
        source: mapped(*header[12..].first_chunk()?),
        destination: mapped(*header[16..].first_chunk()?),
        hop_limit: header[8],
        start: ETHERNET_HEADER + IPV4_HEADER,
        declared: total_length.checked_sub(IPV4_HEADER)?, // 0, for offloaded segments, is unusual too
    })
}

#[inline(always)]
fn ipv6(frame: &[u8]) -> Option<Network> {
    let header = frame[ETHERNET_HEADER..].first_chunk::<IPV6_HEADER>()?;
    if header[0] >> 4 != 6 || header[6] != TCP {
        return None;
    }
    Some(Network {
        source: u128::from_be_bytes(*header[8..].first_chunk()?),
        destination: u128::from_be_bytes(*header[24..].first_chunk()?),
        hop_limit: header[7],
        start: ETHERNET_HEADER + IPV6_HEADER,
        declared: usize::from(u16::from_be_bytes([header[4], header[5]])),
    })
}

/// Reads a TCP header behind the network layer's.
#[inline(always)]
fn tcp(frame: &[u8], wire_length: usize, network: Network) -> Option<TcpHeader> {
    let Network {
        source,
        destination,
        hop_limit,
        start,
        declared,
    } = network;
    let on_wire = declared.min(wire_length.max(frame.len()) - start);
    let segment = frame.get(start..)?;
    let segment = segment.get(..on_wire).unwrap_or(segment);
    let header = segment.first_chunk::<FIXED_HEADER>()?;
    let header_length = usize::from(header[12] >> 4) * 4;
    if header_length < FIXED_HEADER || header_length > segment.len() {
        return None;
    }
    let number = |at: usize| {
        SeqNumber(u32::from_be_bytes([
            header[at],
            header[at + 1],
            header[at + 2],
            header[at + 3],
        ]))
    };
    let flags = TcpFlags::from_byte(header[13]);
    Some(TcpHeader {
        source: source.to_be_bytes(),
        destination: destination.to_be_bytes(),
        source_port: u16::from_be_bytes([header[0], header[1]]),
        destination_port: u16::from_be_bytes([header[2], header[3]]),
        sequence: number(4),
        acknowledgment: number(8),
        flags,
        window: u16::from_be_bytes([header[14], header[15]]),
        window_scale: WindowScale::read(flags, &segment[FIXED_HEADER..header_length]),
        hop_limit,
        payload: PayloadRange {
            start: (start + header_length) as u32,
            captured: (segment.len() - header_length) as u32,
            wire_length: (on_wire - header_length) as u32,
        },
    })
}

//! TCP headers (RFC 9293 §3.1).

use etherparse::TcpSlice;

use crate::flow::{AddressBytes, FlowKey, IpProtocol};

use super::ip::IpPayload;
use super::{DecodeError, Layer, SeqNumber, VlanTags};

/// One TCP segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment<'p> {
    /// The sender's address; IPv4 in IPv4-mapped form.
    pub source: AddressBytes,
    /// The receiver's address; IPv4 in IPv4-mapped form.
    pub destination: AddressBytes,
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// Sequence number of the first byte (of the SYN, if there is one).
    pub sequence: SeqNumber,
    /// What the sender has received; meaningful with [`TcpFlags::ack`].
    pub acknowledgment: SeqNumber,
    /// Control bits.
    pub flags: TcpFlags,
    /// Captured bytes of the payload.
    pub payload: &'p [u8],
    /// Length of the payload on the wire; more than captured if the snap length cut it.
    pub wire_length: u32,
    /// VLAN tags around it.
    pub vlan: VlanTags,
}

impl Segment<'_> {
    /// The key of its flow, and whether it goes from the lower to the higher endpoint.
    #[must_use]
    pub fn flow_key(&self) -> (FlowKey, bool) {
        FlowKey::new(
            IpProtocol::Tcp,
            (self.source, self.source_port),
            (self.destination, self.destination_port),
        )
    }
}

/// Control bits of a TCP header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags {
    /// Synchronise sequence numbers.
    pub syn: bool,
    /// Acknowledgment number is valid.
    pub ack: bool,
    /// No more data from the sender.
    pub fin: bool,
    /// Reset the connection.
    pub rst: bool,
}

/// A TCP header without options.
const FIXED_HEADER: usize = 20;

pub(super) fn decode<'p>(ip: &IpPayload<'p>) -> Result<Segment<'p>, DecodeError> {
    if let Ok(tcp) = TcpSlice::from_slice(ip.bytes) {
        return Ok(segment(ip, &tcp, tcp.payload(), tcp.header_slice().len()));
    }
    // The snap length may have cut the options off: the fixed part still tells what went by.
    let header = ip
        .bytes
        .first_chunk::<FIXED_HEADER>()
        .ok_or(DecodeError::Truncated {
            layer: Layer::Tcp,
            needed: FIXED_HEADER,
            available: ip.bytes.len(),
        })?;
    let header_length = usize::from(header[12] >> 4) * 4;
    if header_length < FIXED_HEADER || header_length > ip.wire_length {
        return Err(DecodeError::Malformed { layer: Layer::Tcp });
    }
    let mut fixed = *header;
    fixed[12] = (5 << 4) | (fixed[12] & 0x0f);
    let tcp =
        TcpSlice::from_slice(&fixed).map_err(|_| DecodeError::Malformed { layer: Layer::Tcp })?;
    Ok(segment(ip, &tcp, &[], header_length))
}

fn segment<'p>(
    ip: &IpPayload<'p>,
    tcp: &TcpSlice<'_>,
    payload: &'p [u8],
    header_length: usize,
) -> Segment<'p> {
    let (source, destination) = (ip.source, ip.destination);
    let wire_length = ip.wire_length.saturating_sub(header_length);
    Segment {
        source,
        destination,
        source_port: tcp.source_port(),
        destination_port: tcp.destination_port(),
        sequence: SeqNumber(tcp.sequence_number()),
        acknowledgment: SeqNumber(tcp.acknowledgment_number()),
        flags: TcpFlags {
            syn: tcp.syn(),
            ack: tcp.ack(),
            fin: tcp.fin(),
            rst: tcp.rst(),
        },
        payload,
        wire_length: u32::try_from(wire_length).unwrap_or(u32::MAX),
        vlan: ip.vlan,
    }
}

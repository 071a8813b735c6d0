//! UDP headers (RFC 768).

use etherparse::UdpHeaderSlice;

use crate::flow::{AddressBytes, FlowKey, IpProtocol};

use super::PayloadRange;
use super::cursor::{Addresses, Cursor};

/// The headers of a UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpHeader {
    /// The sender's address.
    pub source: AddressBytes,
    /// The receiver's address.
    pub destination: AddressBytes,
    /// The sender's port.
    pub source_port: u16,
    /// The receiver's port.
    pub destination_port: u16,
    /// Where the payload lies in the packet.
    pub payload: PayloadRange,
}

impl UdpHeader {
    /// The key of its flow, and whether it goes from the lower to the higher endpoint.
    #[must_use]
    pub fn flow_key(&self) -> (FlowKey, bool) {
        FlowKey::new(
            IpProtocol::Udp,
            (self.source, self.source_port),
            (self.destination, self.destination_port),
        )
    }
}

/// Reads a UDP header; `None` if it is cut short.
pub(super) fn decode(addresses: Addresses, cursor: &mut Cursor<'_>) -> Option<UdpHeader> {
    let header = UdpHeaderSlice::from_slice(cursor.bytes()).ok()?;
    let header_length = header.slice().len();
    cursor.skip(header_length);
    // A length of 0 stands for a jumbogram (RFC 2675 §4), or for a header that a network card completes.
    let declared = usize::from(header.length()).saturating_sub(header_length);
    if header.length() != 0 {
        cursor.limit(declared);
    }
    Some(UdpHeader {
        source: addresses.source,
        destination: addresses.destination,
        source_port: header.source_port(),
        destination_port: header.destination_port(),
        payload: cursor.range(),
    })
}

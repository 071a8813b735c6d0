//! TCP headers (RFC 9293 §3.1).

use etherparse::{TcpOptionElement, TcpOptionsIterator, TcpSlice};

use crate::flow::{AddressBytes, FlowKey, IpProtocol};

use super::cursor::{Addresses, Cursor};
use super::{DecodeError, Layer, PayloadRange, SeqNumber};

/// The headers of a TCP segment, flat: all that the packet path needs to know of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpHeader {
    /// The sender's address.
    pub source: AddressBytes,
    /// The receiver's address.
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
    /// The receive window, without its scale.
    pub window: u16,
    /// What a SYN says about the scale of later windows.
    pub window_scale: WindowScale,
    /// The IP header's hop limit (time to live); 0 if it is not known, as in reassembled fragments.
    pub hop_limit: u8,
    /// Where the payload lies in the packet.
    pub payload: PayloadRange,
}

/// The window scale option of a SYN (RFC 7323 §2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WindowScale {
    /// The segment is no SYN, or its options were cut off.
    #[default]
    Unknown,
    /// A SYN without the option: neither side scales its windows.
    Absent,
    /// By how many bits the windows of the sender's later segments are shifted to the left: 14 at most.
    Shift(u8),
}

impl WindowScale {
    /// Reads the option of a segment with these flags and options.
    #[inline]
    pub(super) fn read(flags: TcpFlags, options: &[u8]) -> Self {
        if flags.syn {
            Self::of_syn(options)
        } else {
            Self::Unknown
        }
    }

    /// Reads the options that nearly all SYNs have; leaves the others to [`Self::of_any_syn`], with the same result.
    #[inline(never)]
    fn of_syn(options: &[u8]) -> Self {
        let mut rest = options;
        loop {
            rest = match *rest {
                [] | [0, ..] => return Self::Absent, // the end of the list
                [3, 3, shift, ..] => return Self::Shift(shift.min(LARGEST_SHIFT)),
                [1, ref rest @ ..] => rest,          // no operation
                [2, 4, _, _, ref rest @ ..] => rest, // largest segment
                [4, 2, ref rest @ ..] => rest,       // selective acknowledgments are permitted
                [8, 10, _, _, _, _, _, _, _, _, ref rest @ ..] => rest, // time stamps
                _ => return Self::of_any_syn(options),
            }
        }
    }

    #[cold]
    fn of_any_syn(options: &[u8]) -> Self {
        let mut options = TcpOptionsIterator::from_slice(options);
        options
            .find_map(|option| match option {
                Ok(TcpOptionElement::WindowScale(shift)) => {
                    Some(Self::Shift(shift.min(LARGEST_SHIFT)))
                }
                Ok(_) => None,
                Err(_) => Some(Self::Unknown),
            })
            .unwrap_or(Self::Absent)
    }
}

/// RFC 7323 §2.3: a larger one counts as this.
const LARGEST_SHIFT: u8 = 14;

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

impl TcpFlags {
    /// The bits of the flags that open and end connections.
    pub(super) const SYN_FIN_RST: u8 = 0x07;
    /// The bit of the flag that opens connections.
    pub(super) const SYN: u8 = 0x02;
    /// The bit of the flag for acknowledgments.
    pub(super) const ACK: u8 = 0x10;

    /// The flags that count: a receiver looks at RST first, and then at SYN (RFC 9293 §3.10.7). No host sends two of them.
    pub(super) const fn from_byte(bits: u8) -> Self {
        Self {
            fin: bits & Self::SYN_FIN_RST == 0x01,
            syn: bits & 0x06 == 0x02,
            rst: bits & 0x04 != 0,
            ack: bits & Self::ACK != 0,
        }
    }
}

impl TcpHeader {
    /// The key of its flow, and whether it goes from the lower to the higher endpoint.
    #[must_use]
    #[inline]
    pub fn flow_key(&self) -> (FlowKey, bool) {
        FlowKey::new(
            IpProtocol::Tcp,
            (self.source, self.source_port),
            (self.destination, self.destination_port),
        )
    }

    /// The segment, given the bytes of the packet that this header was decoded from.
    #[must_use]
    #[inline]
    pub fn segment<'p>(&self, packet: &'p [u8]) -> Segment<'p> {
        Segment {
            sequence: self.sequence,
            acknowledgment: self.acknowledgment,
            flags: self.flags,
            window: self.window,
            window_scale: self.window_scale,
            hop_limit: self.hop_limit,
            payload: self.payload.of(packet),
            wire_length: self.payload.wire_length,
        }
    }
}

/// One TCP segment, as its connection sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'p> {
    /// Sequence number of the first byte (of the SYN, if there is one).
    pub sequence: SeqNumber,
    /// What the sender has received; meaningful with [`TcpFlags::ack`].
    pub acknowledgment: SeqNumber,
    /// Control bits.
    pub flags: TcpFlags,
    /// The receive window, without its scale: 0 means that the sender has no room.
    pub window: u16,
    /// What a SYN says about the scale of later windows.
    pub window_scale: WindowScale,
    /// The IP header's hop limit (time to live); 0 if it is not known.
    pub hop_limit: u8,
    /// Captured bytes of the payload.
    pub payload: &'p [u8],
    /// Length of the payload on the wire, in bytes; more than captured if the snap length cut it.
    pub wire_length: u32,
}

impl Segment<'_> {
    /// Sequence number of the first byte of payload.
    #[must_use]
    pub const fn first_byte(&self) -> SeqNumber {
        self.sequence.after(self.flags.syn as u32)
    }

    /// Whether it does nothing but acknowledge.
    #[must_use]
    pub const fn is_bare(&self) -> bool {
        let TcpFlags { syn, fin, rst, .. } = self.flags;
        self.wire_length == 0 && !syn && !fin && !rst
    }
}

/// A TCP header without options.
pub(super) const FIXED_HEADER: usize = 20;
/// Where its flags stand.
pub(super) const FLAGS: usize = 13;

/// The segment, with its header, that fills the shortest frame that Ethernet carries behind an IPv4 header: such a frame has 60 bytes
/// without its checksum (IEEE 802.3 §3.2.8).
pub(super) const FILLS_SHORTEST_FRAME: usize = 60 - 14 - 20;
/// The same of a frame with a VLAN tag.
const FILLS_SHORTEST_TAGGED: usize = FILLS_SHORTEST_FRAME - 4;

/// Whether what seems to be payload is the padding of a short frame: some devices set the length of the IPv4 packet to that of
/// the frame.
///
/// The segment ends where the shortest frame does, and has up to six bytes of zero. A sender pushes the end of what its program writes
/// (RFC 9293 §3.9.1.2), so a segment without PSH is one of several into which a write was cut, and not so short. `length` is that of
/// the segment with its header, behind which `payload` begins. Where the frame really ends is not asked: it may have been tagged or
/// tunnelled since.
#[inline]
pub(super) fn is_padding(length: usize, flags: u8, payload: &[u8]) -> bool {
    const PSH_URG: u8 = 0x28;
    let fills_frame = length == FILLS_SHORTEST_FRAME || length == FILLS_SHORTEST_TAGGED;
    fills_frame
        && !payload.is_empty()
        && flags & PSH_URG == 0
        && payload.iter().all(|byte| *byte == 0)
}

pub(super) fn decode(
    addresses: Addresses,
    hop_limit: u8,
    cursor: &mut Cursor<'_>,
) -> Result<TcpHeader, DecodeError> {
    let bytes = cursor.bytes();
    let length = cursor.wire_length();
    if let Ok(tcp) = TcpSlice::from_slice(bytes) {
        cursor.skip(tcp.header_slice().len());
        let header = header(addresses, hop_limit, &tcp, cursor.range());
        let mut payload = header.payload;
        let may_be_padded = addresses.is_ipv4() && payload.captured >= payload.wire_length;
        let flags = bytes.get(FLAGS).copied().unwrap_or_default();
        let seeming = cursor.bytes().get(..payload.wire_length as usize);
        if may_be_padded && seeming.is_some_and(|seeming| is_padding(length, flags, seeming)) {
            (payload.captured, payload.wire_length) = (0, 0);
        }
        return Ok(TcpHeader {
            window_scale: WindowScale::read(header.flags, tcp.options()),
            payload,
            ..header
        });
    }
    // The snap length may have cut the options off: the fixed part still tells what went by.
    let fixed = bytes
        .first_chunk::<FIXED_HEADER>()
        .ok_or(DecodeError::Truncated {
            layer: Layer::Tcp,
            needed: FIXED_HEADER,
            available: bytes.len(),
        })?;
    let header_length = usize::from(fixed[12] >> 4) * 4;
    if header_length < FIXED_HEADER || header_length > cursor.wire_length() {
        return Err(DecodeError::Malformed { layer: Layer::Tcp });
    }
    let mut without_options = *fixed;
    without_options[12] = (5 << 4) | (fixed[12] & 0x0f);
    let tcp = TcpSlice::from_slice(&without_options)
        .map_err(|_| DecodeError::Malformed { layer: Layer::Tcp })?;
    cursor.skip(header_length);
    Ok(header(addresses, hop_limit, &tcp, cursor.range()))
}

fn header(
    addresses: Addresses,
    hop_limit: u8,
    tcp: &TcpSlice<'_>,
    payload: PayloadRange,
) -> TcpHeader {
    TcpHeader {
        source: addresses.source,
        destination: addresses.destination,
        source_port: tcp.source_port(),
        destination_port: tcp.destination_port(),
        sequence: SeqNumber(tcp.sequence_number()),
        acknowledgment: SeqNumber(tcp.acknowledgment_number()),
        flags: TcpFlags::from_byte(tcp.slice()[FLAGS]),
        window: tcp.window_size(),
        window_scale: WindowScale::Unknown,
        hop_limit,
        payload,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_scale_stands_behind_the_usual_options() {
        let linux = [
            2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7,
        ];
        assert_eq!(WindowScale::of_syn(&linux), WindowScale::Shift(7));
        assert_eq!(WindowScale::of_syn(&linux[..16]), WindowScale::Absent);
        assert_eq!(WindowScale::of_syn(&linux[..18]), WindowScale::Unknown);
        assert_eq!(WindowScale::of_syn(&[1, 3, 3, 200]), WindowScale::Shift(14));
    }

    proptest! {
        #[test]
        fn the_usual_options_are_read_as_any_others(
            options in proptest::collection::vec(prop_oneof![0u8..12, any::<u8>()], 0..40)
        ) {
            prop_assert_eq!(WindowScale::of_syn(&options), WindowScale::of_any_syn(&options));
        }
    }
}

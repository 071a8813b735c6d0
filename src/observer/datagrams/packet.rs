//! Packets with datagrams, and one look at what they begin with.

use crate::capture::{Interface, PacketRecord};
use crate::decode::{IcmpError, Layers, UdpHeader};
use crate::event::Protocol;
use crate::framing::dtls::{Opening, dtls_in, opening};
use crate::framing::{Payload, quic};

/// What the first bytes of a datagram show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::observer) enum FirstLook {
    /// It may begin a handshake.
    MayBegin(Protocol),
    /// It may belong to one that has begun.
    MayContinue,
    /// It may belong to one over QUIC, if there is one between the same ports: nothing in a 1-RTT packet says so, nor in one of
    /// a version that is not known.
    MayBelong,
    /// It is none of ours.
    Other,
}

impl FirstLook {
    /// Looks at the payload of a datagram.
    pub(in crate::observer) fn at(payload: &[u8]) -> Self {
        match *payload {
            [first, ..] if first & 0x80 != 0 => match quic::look(payload) {
                quic::Look::Initial => Self::MayBegin(Protocol::Quic),
                quic::Look::Long => Self::MayContinue,
                quic::Look::Other => Self::MayBelong,
            },
            _ => match Self::at_dtls(payload) {
                // A 1-RTT packet of QUIC looks like anything else: the flow decides.
                Self::Other if payload.len() > 1 => Self::MayBelong,
                look => look,
            },
        }
    }

    /// Looks at what may be DTLS, or carry it.
    fn at_dtls(payload: &[u8]) -> Self {
        match dtls_in(payload) {
            // A record of type handshake in epoch 0.
            Some([22, 0xfe | 0x01, 0x00 | 0xfd | 0xff, 0, 0, ..]) => Self::MayBegin(Protocol::Dtls),
            // Other records, and encrypted ones of DTLS 1.3.
            Some([20..=26, 0xfe | 0x01, 0x00 | 0xfc..=0xff, ..] | [32..=63, ..]) => {
                Self::MayContinue
            }
            _ => Self::Other,
        }
    }

    /// Whether the datagram is worth another look.
    pub(in crate::observer) fn is_promising(self) -> bool {
        matches!(self, Self::MayBegin(_) | Self::MayContinue)
    }
}

/// A packet with a UDP datagram, and what its headers say of it.
#[derive(Debug)]
pub(in crate::observer) struct DatagramPacket<'p> {
    pub(in crate::observer) record: &'p PacketRecord,
    /// The captured bytes, with all headers.
    pub(in crate::observer) bytes: &'p [u8],
    pub(in crate::observer) interface: &'p Interface,
    pub(in crate::observer) layers: &'p Layers,
    pub(in crate::observer) header: &'p UdpHeader,
    /// The captured bytes of its payload.
    pub(in crate::observer) payload: &'p [u8],
}

impl<'p> DatagramPacket<'p> {
    /// Its payload, or what a relay carries in it.
    pub(super) fn content(&self, protocol: Protocol) -> Payload<'p> {
        let payload = self.header.payload;
        let relayed = match protocol {
            Protocol::Dtls => dtls_in(self.payload),
            _ => None,
        };
        Payload {
            captured: relayed.unwrap_or(self.payload),
            missing: payload.wire_length.saturating_sub(payload.captured) as usize,
        }
    }

    /// What it may begin.
    pub(super) fn beginning(&self) -> Option<Beginning<'p>> {
        let FirstLook::MayBegin(protocol) = FirstLook::at(self.payload) else {
            return None;
        };
        let mut hello = None;
        if protocol == Protocol::Dtls {
            let Payload { captured, missing } = self.content(protocol);
            hello = Some(opening(captured, missing)?);
        }
        Some(Beginning { protocol, hello })
    }
}

/// Part of a random, which tells hellos apart.
pub(super) fn part_of([a, b, c, d, e, f, g, h, ..]: [u8; 32]) -> u64 {
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// A packet with an ICMP error about a datagram.
#[derive(Debug)]
pub(in crate::observer) struct IcmpPacket<'p> {
    pub(in crate::observer) record: &'p PacketRecord,
    /// The captured bytes, with all headers.
    pub(in crate::observer) bytes: &'p [u8],
    pub(in crate::observer) interface: &'p Interface,
    pub(in crate::observer) error: &'p IcmpError,
}

/// What a datagram may begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning<'p> {
    pub(super) protocol: Protocol,
    /// The hello of DTLS.
    pub(super) hello: Option<Opening<'p>>,
}

impl Beginning<'_> {
    /// Part of the client's random, if it shows: with another one, a client begins again from the same port.
    pub(super) fn client_hello(&self) -> Option<u64> {
        self.hello?.client_random().map(part_of)
    }
}

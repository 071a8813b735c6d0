//! An event, and what sinks and later stages need with it.

use crate::capture::PacketBuffer;

use super::{Handshake, Ladder};

/// A handshake as it leaves the observer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HandshakeReport {
    /// The event.
    pub event: Handshake,
    /// The packets of a failed handshake, if the observer retains them.
    pub packets: Option<Box<PacketBuffer>>,
    /// Its steps, if the observer collects them.
    pub ladder: Option<Box<Ladder>>,
    /// By what another view of the same connection is recognised.
    pub(crate) identity: Identity,
}

/// By what copies of a connection are recognised, and what it says about its server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The random of the ClientHello.
    pub(crate) client_random: Option<[u8; 32]>,
    /// The random of the ServerHello.
    pub(crate) server_random: Option<[u8; 32]>,
    pub(crate) marks: WireMarks,
    /// Whether TLS came after something else.
    pub(crate) is_upgraded: bool,
}

/// What packets of a connection carry that NAT and mirrors keep, or change in a known way: of the client first, as far as it is
/// known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WireMarks {
    /// The sequence numbers with which both sides began. NAT keeps them.
    pub(crate) first_bytes: [Option<u32>; 2],
    /// Hop limits (IPv4's time to live). A router takes one off as it forwards, and NAT is done by routers.
    pub(crate) hop_limits: [Option<u8>; 2],
}

impl WireMarks {
    pub(crate) const UNKNOWN: Self = Self {
        first_bytes: [None; 2],
        hop_limits: [None; 2],
    };

    /// Whether a router lies between two views of a connection: then their hop limits differ.
    pub(crate) fn is_forwarded(&self, other: &Self) -> bool {
        let mut limits = self.hop_limits.iter().zip(other.hop_limits);
        limits.any(|(own, other)| own.is_some() && other.is_some() && *own != other)
    }
}

impl HandshakeReport {
    /// A report without packets and steps.
    #[must_use]
    #[inline]
    pub const fn new(event: Handshake) -> Self {
        Self {
            event,
            packets: None,
            ladder: None,
            identity: Identity {
                client_random: None,
                server_random: None,
                marks: WireMarks::UNKNOWN,
                is_upgraded: false,
            },
        }
    }
}

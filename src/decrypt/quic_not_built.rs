//! What stands for the ciphers of QUIC if the feature `quic` is off: no packet is ever opened, so no connection is QUIC.

use std::convert::Infallible;

use crate::flow::PerSide;
use crate::tls::CipherSuite;
use crate::transport::quic::{ConnectionId, LargestNumber, QuicVersion};

use super::keylog::Secret;

/// The keys of nothing.
#[derive(Debug)]
pub(crate) struct PacketKeys(Infallible);

/// A packet that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenedPacket<'p> {
    pub(crate) number: u64,
    pub(crate) content: &'p [u8],
}

impl PacketKeys {
    pub(crate) const fn initial(
        _version: QuicVersion,
        _destination: &ConnectionId,
    ) -> PerSide<Option<Self>> {
        PerSide {
            client: None,
            server: None,
        }
    }

    pub(crate) const fn from_secret(
        _version: QuicVersion,
        _suite: CipherSuite,
        _secret: &Secret,
    ) -> Option<Self> {
        None
    }

    pub(crate) const fn open<'p>(
        &self,
        _packet: &'p mut [u8],
        _number_offset: usize,
        _largest: LargestNumber,
    ) -> Option<OpenedPacket<'p>> {
        match self.0 {}
    }
}

pub(crate) const fn is_retry_authentic(
    _version: QuicVersion,
    _original: &ConnectionId,
    _packet: &[u8],
) -> bool {
    false
}

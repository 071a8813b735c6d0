//! A packet while its headers are taken off, one after the other.

use crate::flow::AddressBytes;

use super::{DecodeError, Layer, PayloadRange, TunnelPorts};

/// The addresses of an IP header, for the transport header behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Addresses {
    pub(super) source: AddressBytes,
    pub(super) destination: AddressBytes,
}

impl Addresses {
    /// Whether they are of IPv4.
    pub(super) fn is_ipv4(&self) -> bool {
        self.source
            .starts_with(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff])
    }
}

/// What is left of a packet: a window of its bytes, and how long that was on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'p> {
    /// The whole packet; the window ends where it ends.
    packet: &'p [u8],
    /// Where the window begins.
    at: usize,
    /// Length of the window on the wire; more than what is there if the snap length cut it.
    wire_length: usize,
    /// The UDP ports of tunnels, in all of the packet.
    tunnel_ports: &'p TunnelPorts,
}

impl<'p> Cursor<'p> {
    pub(super) fn new(packet: &'p [u8], wire_length: usize, tunnel_ports: &'p TunnelPorts) -> Self {
        Self {
            packet,
            at: 0,
            wire_length: wire_length.max(packet.len()),
            tunnel_ports,
        }
    }

    pub(super) const fn tunnel_ports(&self) -> &'p TunnelPorts {
        self.tunnel_ports
    }

    /// The version of the IP header that the window begins with; `None` if it cannot be one.
    pub(super) fn ip_version(&self) -> Option<u8> {
        let version = self.bytes().first()? >> 4;
        matches!(version, 4 | 6).then_some(version)
    }

    /// The captured bytes of the window.
    pub(super) fn bytes(&self) -> &'p [u8] {
        self.packet.get(self.at..).unwrap_or_default()
    }

    pub(super) const fn wire_length(&self) -> usize {
        self.wire_length
    }

    /// Moves past a header of `length` bytes that was read before.
    pub(super) fn skip(&mut self, length: usize) {
        self.at = (self.at + length).min(self.packet.len());
        self.wire_length = self.wire_length.saturating_sub(length);
    }

    /// Ends the window after `length` bytes: what follows is padding.
    pub(super) fn limit(&mut self, length: usize) {
        if length < self.wire_length {
            self.wire_length = length;
            let end = (self.at + length).min(self.packet.len());
            self.packet = &self.packet[..end];
        }
    }

    /// Takes a link-layer header of `length` bytes off the front.
    pub(super) fn take(&mut self, length: usize) -> Result<&'p [u8], DecodeError> {
        let available = self.bytes();
        let header = available.get(..length).ok_or(DecodeError::Truncated {
            layer: Layer::Link,
            needed: length,
            available: available.len(),
        })?;
        self.skip(length);
        Ok(header)
    }

    pub(super) fn take_array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N)?
            .try_into()
            .map_err(|_| DecodeError::Malformed { layer: Layer::Link })
    }

    pub(super) fn take_u16(&mut self) -> Result<u16, DecodeError> {
        self.take_array().map(u16::from_be_bytes)
    }

    /// Where the window lies in the packet.
    pub(super) fn range(&self) -> PayloadRange {
        let to_u32 = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        PayloadRange {
            start: to_u32(self.at),
            captured: to_u32(self.packet.len().saturating_sub(self.at)),
            wire_length: to_u32(self.wire_length),
        }
    }
}

//! Packet filters in the language of tcpdump (pcap-filter(7)).

#[cfg(feature = "live")]
mod bpf;
#[cfg(not(feature = "live"))]
mod no_bpf;

use super::{CaptureError, PacketBatch, Problem};

#[cfg(feature = "live")]
use bpf as implementation;
#[cfg(not(feature = "live"))]
use no_bpf as implementation;

/// Leaves out packets that an expression does not match.
///
/// An expression means different instructions on different link layers, so it
/// is compiled again for each that turns up. It sees the bytes captured and
/// takes their number for the packet's length: `greater 1000` does not match a
/// packet of 1500 bytes cut to 96. As with tcpdump, `tcp` does not match packets
/// with a VLAN tag: write `tcp or (vlan and tcp)`.
pub struct PacketFilter(implementation::PacketFilter);

impl PacketFilter {
    /// Compiles `expression`.
    ///
    /// # Errors
    ///
    /// - [`CaptureError::Filter`] if libpcap rejects it for every usual link layer.
    /// - [`CaptureError::NoFilters`] if this build has no packet filters (feature `live`).
    pub fn compile(expression: &str) -> Result<Self, CaptureError> {
        implementation::PacketFilter::compile(expression).map(Self)
    }

    /// Removes the packets that do not match from `batch`; returns how many.
    ///
    /// On a link layer that the expression cannot be compiled for, none matches.
    pub fn apply(&mut self, batch: &mut PacketBatch) -> u64 {
        self.0.apply(batch)
    }

    /// Says for which link layers the expression could not be compiled since the last call.
    pub fn take_problems(&mut self) -> Vec<Problem> {
        self.0.take_problems()
    }
}

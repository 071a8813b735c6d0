//! Packet filters in the language of tcpdump (pcap-filter(7)).

// libpcap compiles the filters; builds without it refuse them.
#[cfg_attr(not(feature = "live"), path = "no_bpf.rs")]
mod bpf;

use super::{CaptureError, PacketBatch, Problem};

use bpf::CompiledFilter;

/// Removes packets that do not match an expression.
///
/// An expression means different instructions on different link layers, so it
/// is compiled once for each link layer that occurs. The filter sees the bytes
/// captured and takes their number for the packet's length: `greater 1000` does
/// not match a packet of 1500 bytes cut to 96. As with tcpdump, `tcp` does not
/// match packets with a VLAN tag: write `tcp or (vlan and tcp)`.
pub struct PacketFilter(CompiledFilter);

impl PacketFilter {
    /// Compiles `expression`.
    ///
    /// # Errors
    ///
    /// - [`CaptureError::Filter`] if libpcap rejects it for every usual link layer.
    /// - [`CaptureError::NoFilters`] if this build has no packet filters (feature `live`).
    pub fn compile(expression: &str) -> Result<Self, CaptureError> {
        CompiledFilter::compile(expression).map(Self)
    }

    /// Removes the packets that do not match from `batch` and returns how many.
    ///
    /// If the expression does not compile for a link layer, no packet of that link layer matches.
    pub fn apply(&mut self, batch: &mut PacketBatch) -> u64 {
        self.0.apply(batch)
    }

    /// The link layers for which the expression failed to compile since the last call.
    pub fn take_problems(&mut self) -> Vec<Problem> {
        self.0.take_problems()
    }
}

//! Flows in a bounded table, and what a transport protocol makes of their packets: bytes in order, gaps and closes.
//!
//! | module | what |
//! | --- | --- |
//! | [`table`](FlowTable) | flows found by key, forgotten by age or when the table is full |
//! | [`tcp`] | one TCP connection: its opening, both directions in order, its end |
//! | [`radius`] | which login a RADIUS packet belongs to |
//! | [`eap`] | EAP, which carries TLS in fragments: both streams in order, their gaps, the end |
//! | `seen` | copies of packets are recognised |
//! | [`quic`] | what the headers and frames of QUIC packets say |

pub mod eap;
mod index;
pub mod quic;
pub mod radius;
mod seen;
mod table;
pub mod tcp;

pub(crate) use index::PlaceIndex;
pub(crate) use seen::SeenPackets;
pub use table::{FlowIndex, FlowTable, HashedKey, KeyHasher, LIFETIMES, Lifetime, Sought};

//! TCP: segments in any order to bytes in order, and gaps (RFC 9293).

mod assembler;
mod closed;

pub use assembler::{Arrival, Assembler, Budget, Chunk};
pub use closed::{ClosedFlows, FirstBytes};

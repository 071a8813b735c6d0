//! Segments to ordered bytes and gaps; flows in a bounded table.

mod assembler;
mod closed;
mod seq;
mod table;

pub use assembler::{Arrival, Assembler, Budget, Chunk};
pub use closed::{ClosedFlows, FirstBytes};
pub use seq::SeqNumber;
pub(crate) use table::direction;
pub use table::{FlowIndex, FlowKey, FlowTable, LIFETIMES, Lifetime};

//! Segments to ordered bytes and gaps; flows in a bounded table.

mod assembler;
mod seq;
mod table;

pub use assembler::{Arrival, Assembler, Budget, Chunk};
pub use seq::SeqNumber;
pub use table::{FlowIndex, FlowKey, FlowTable, Lifetime};
pub(crate) use table::direction;

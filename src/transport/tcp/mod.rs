//! TCP: segments in any order to bytes in order, gaps and closes (RFC 9293).

mod assembler;
mod closed;
mod connection;
mod opening;

pub(crate) use assembler::had_received;
pub use assembler::{Arrival, Assembler, Budget, Chunk};
pub use closed::{ClosedFlows, FirstBytes};
pub use connection::{Delivery, Pushed, TcpConnection};
pub use opening::RoundTrips;

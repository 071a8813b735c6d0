//! TCP: segments in any order to bytes in order, gaps and closes (RFC 9293).

mod assembler;
mod closed;
mod connection;
mod delivery;
mod opening;
mod pending;
mod recent;
mod settled;
mod suspects;
mod window;

pub(crate) use assembler::had_received;
pub use assembler::{Arrival, Assembler, Budget, Chunk};
pub use closed::{ClosedFlows, FirstBytes};
pub use connection::{Delivery, Pushed, TcpConnection};
pub use delivery::{DeliveryState, Outstanding, ResetSeen};
pub use opening::RoundTrips;
pub use pending::{PENDING_TIME, PendingSegment, PendingSegments};
pub use recent::RecentBytes;
pub use settled::SettledConnection;
pub use suspects::{Finding, Suspects};

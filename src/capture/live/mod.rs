//! Live interfaces, through libpcap.
//!
//! ```text
//! interface ─▶ capture thread ══batches══▶ LiveSource ─▶ pipeline
//!                    ◀══════empty batches══════┘
//! ```
//!
//! A thread for each interface copies packets from the kernel's ring into
//! batches. It never waits for those who take the batches: when the queue is
//! full, the batch is emptied again and its packets are counted.
//!
//! # Why poll, and not libpcap's own time-out?
//!
//! On Linux that time-out begins with the first packet: a capture of a quiet
//! interface would hold up the end of the program, and every time-out in it.

#![allow(
    clippy::disallowed_methods,
    reason = "a live capture waits, and reads the clock"
)]

mod candidate;
mod device;
mod fanout;
mod queue;
mod source;
#[cfg(test)]
mod testing;
mod thread;
mod warning;

use std::time::Duration;

pub use candidate::Candidate;
pub use device::{LiveOptions, defaults};
pub use source::{LiveCapture, LiveSource};

/// How long the kernel may keep packets to hand them over together, and a thread waits for them.
const PATIENCE: Duration = Duration::from_millis(100);

//! What the transport knows of a connection once no more of it will be looked at.

use std::time::Duration;

use crate::flow::PerDirection;
use crate::time::Timestamp;

/// What the transport knows of a connection once no more of it will be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// The last moment of the observation, if it is known.
    pub until: Option<Timestamp>,
    /// What became of the data sent in each direction.
    pub delivery: PerDirection<Delivery>,
}

/// What became of the data of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// When the last data were sent that had not been sent before.
    pub last_sent: Option<Timestamp>,
    /// Bytes in view that the receiver has not acknowledged.
    pub unacknowledged: u32,
    /// The segment with the oldest of them.
    pub oldest: Copies,
    /// Bytes missing in front of data in view, and since when, that the receiver lacks, too: the network lost them, not
    /// the capture.
    pub hole: Option<(u32, Timestamp)>,
}

/// How often a segment was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// How often it was sent.
    pub count: u32,
    /// Time from the first to the last of them.
    pub over: Duration,
    /// Bytes in it.
    pub length: u32,
    /// When it was sent first.
    pub since: Option<Timestamp>,
}

impl Delivery {
    /// Whether the receiver has acknowledged all data, or the sender has sent the oldest that it did not acknowledge again.
    ///
    /// A TCP sender repeats data without an acknowledgment after about 1 s (RFC 6298 §5). If neither happens for seconds,
    /// the capture lacks packets.
    #[must_use]
    pub const fn is_accounted_for(&self) -> bool {
        self.unacknowledged == 0 || self.oldest.count > 1
    }
}

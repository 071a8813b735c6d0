//! Why a handshake is reported now.

/// Why no more of a connection will be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All that counts was seen.
    Decided,
    /// Nothing new came for as long as the observer waits.
    Silence,
    /// A new connection took its five-tuple.
    Replaced,
    /// The flow table needed its room.
    Evicted,
    /// The capture ended.
    CaptureEnd,
    /// Nothing more was seen, but packets were dropped since: the peers may have said more.
    PacketsDropped,
}

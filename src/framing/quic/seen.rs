//! What was seen of QUIC.

use crate::transport::quic::{QuicClose, QuicVersion};
use crate::transport::tcp::Arrival;

/// What QUIC shows apart from handshake messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QuicSeen {
    /// The client's first packet of a connection, or of a new attempt with another version.
    Initial { version: QuicVersion, at: Arrival },
    /// A datagram, by what is visible of it.
    Datagram { shape: DatagramShape, at: Arrival },
    /// The server wants to see the client's address proven.
    Retry { at: Arrival },
    /// The server does not support the client's version: what it supports instead, as far as that was listed.
    VersionNegotiation {
        versions: [QuicVersion; 4],
        at: Arrival,
    },
    /// A CONNECTION_CLOSE frame.
    Close {
        close: QuicClose,
        /// The kind of packet that it was in.
        level: Level,
        at: Arrival,
    },
    /// The server has accepted the client's Finished: it says so, or acknowledges what the client sent after it.
    Accepted { at: Arrival },
    /// A 1-RTT packet of an endpoint was opened, with data of the application in it.
    ApplicationData { at: Arrival },
}

/// What protects a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Initial,
    Handshake,
    Application,
}

/// What can be seen of a datagram without keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DatagramShape {
    /// Bytes of its content.
    pub(crate) length: u16,
    /// Whether an Initial packet in it carries a part of a message.
    pub(crate) has_initial_crypto: bool,
    /// Whether an Initial packet in it was opened, and does not close the connection.
    pub(crate) has_open_initial: bool,
    /// Packets of each kind.
    pub(crate) initials: u8,
    pub(crate) early: u8,
    pub(crate) handshakes: u8,
    /// Length of packet number, frames and tag of its Handshake packets together.
    pub(crate) handshake_length: u16,
    /// The same of its 1-RTT packet; 0 if it has none.
    pub(crate) short_length: u16,
    /// A digest of the connection id in the 1-RTT packet; 0 if it has none, or no id.
    pub(crate) short_id: u32,
    /// Whether the id is one that its receiver has used itself.
    pub(crate) is_id_known: bool,
    /// Whether it says nothing new: the same bytes came before, captured twice or sent again by a side that has closed. Or it is a 1-RTT packet
    /// that anybody may have sent.
    pub(crate) is_repeated: bool,
    /// Whether Handshake and 1-RTT packets in it were opened.
    pub(crate) is_opened: bool,
}

impl DatagramShape {
    /// Whether the datagram is a 1-RTT packet alone, or a stateless reset.
    pub(crate) const fn is_short_only(&self) -> bool {
        self.short_length > 0 && self.handshakes == 0 && self.initials == 0 && self.early == 0
    }
}

//! Where a handshake is in its capture, and what the capture lacks of it.

/// How well the capture saw a handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CaptureFacts {
    /// Number, within its source, of the first packet of the handshake; packets count from 1.
    pub first_packet: u64,
    /// Number, within its source, of the last packet that this event rests on.
    pub last_packet: u64,
    /// Bytes from the client that the capture lacks.
    pub client_gap_bytes: u64,
    /// Bytes from the server that the capture lacks.
    pub server_gap_bytes: u64,
    /// Whether a packet of this connection was cut short by the snap length, or a buffer reached its limit.
    pub truncated: bool,
    /// Which directions carried payload.
    pub directions: Directions,
    /// Bytes of the handshake that were sent again with another content; the first copy counts. Hosts never do that: one
    /// of the copies was forged, or damaged on its way.
    pub conflicting_bytes: u64,
}

text_enum! {
    /// Which directions of a connection the capture saw.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub enum Directions {
        /// Both.
        #[default]
        Both = "both",
        /// Only packets from the client.
        ClientOnly = "client_only",
        /// Only packets from the server.
        ServerOnly = "server_only",
    }
}

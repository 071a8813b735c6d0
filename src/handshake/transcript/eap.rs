//! What the packets of EAP around a handshake show: how the login ended, and how far both sides had come.

use crate::event::EapResult;
use crate::flow::Side;
use crate::time::Timestamp;
use crate::transport::tcp::Arrival;

use super::Transcript;

/// What the packets of EAP around a handshake show.
#[derive(Debug, Default)]
pub(in crate::handshake) struct EapSeen {
    pub(in crate::handshake) end: Option<EapEnd>,
    /// The last time that the server had all of a flight of the client, and went on without a word of TLS.
    pub(in crate::handshake) continued: Option<Arrival>,
    /// The last packet, if it was not answered.
    pub(in crate::handshake) unanswered: Option<Unanswered>,
}

/// How a login ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::handshake) struct EapEnd {
    pub(in crate::handshake) result: EapResult,
    pub(in crate::handshake) at: Arrival,
    /// Whether a side had sent part of a flight, and not all of it.
    pub(in crate::handshake) is_amid_flight: bool,
}

/// A packet that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::handshake) struct Unanswered {
    /// The side that it went to.
    pub(in crate::handshake) owing: Side,
    /// How often it was sent.
    pub(in crate::handshake) times: u16,
    pub(in crate::handshake) first: Timestamp,
    pub(in crate::handshake) last: Timestamp,
}

impl Transcript {
    /// What the packets of EAP around the handshake show; `None` if EAP does not carry it.
    pub(in crate::handshake) fn eap(&self) -> Option<&EapSeen> {
        self.eap.as_deref()
    }

    /// The same for the writer; from now on, EAP carries the handshake.
    pub(in crate::handshake) fn eap_mut(&mut self) -> &mut EapSeen {
        self.eap.get_or_insert_default()
    }
}

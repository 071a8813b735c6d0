//! How a handshake ended, and why.

use std::borrow::Cow;

use crate::time::Timestamp;
use crate::tls::{AlertDescription, AlertLevel};

use super::{ErrorType, Side};

text_enum! {
    /// How a handshake ended.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Outcome {
        /// Both sides completed it.
        Success = "success",
        /// One side gave up.
        Failure = "failure",
        /// The evidence does not carry a verdict.
        Unknown = "unknown",
    }
}

text_enum! {
    /// On what an outcome rests.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Evidence {
        /// Bytes that were in the clear, and the way the connection ended.
        Observed = "observed",
        /// Lengths, directions, order and time of encrypted records.
        Inferred = "inferred",
        /// Records decrypted with keys that the user gave.
        Decrypted = "decrypted",
    }
}

/// How an inferred outcome was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inference {
    /// The rule that fitted, as in `P1`.
    pub rule: &'static str,
    /// What was seen, in the order in which it counts.
    pub observations: Cow<'static, [&'static str]>,
}

/// Why a handshake failed, and which side gave up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeError {
    /// The class of the error.
    pub error_type: ErrorType,
    /// The side that gave up; `None` if neither can be named.
    pub side: Option<Side>,
    /// One clause for people.
    pub message: String,
    /// The next step, in one sentence; `None` unless the evidence supports one.
    pub hint: Option<String>,
}

impl HandshakeError {
    /// An error without a hint: hints follow from the whole event.
    #[must_use]
    pub const fn new(error_type: ErrorType, side: Option<Side>, message: String) -> Self {
        Self {
            error_type,
            side,
            message,
            hint: None,
        }
    }
}

/// A refusal of the peer after the handshake had completed: by the application, or by a library that looks late.
#[derive(Clone, Debug, PartialEq)]
pub struct RejectedAfter {
    /// The class of what was refused.
    pub error_type: ErrorType,
    /// The side that refused its peer.
    pub side: Side,
    /// On what this rests; the handshake itself may rest on something else.
    pub evidence: Evidence,
    /// Share of such claims that are right, measured on labelled captures; 1 unless inferred.
    pub confidence: f64,
    /// What was seen, in the order in which it counts.
    pub observations: Vec<&'static str>,
    /// What to try next, in one sentence; `None` unless the evidence supports it.
    pub hint: Option<String>,
}

/// An alert that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Packet time of its last byte.
    pub time: Timestamp,
    /// Who sent it.
    pub sender: Side,
    /// Warning or fatal; `None` if encrypted.
    pub level: Option<AlertLevel>,
    /// Its code; `None` if encrypted.
    pub description: Option<AlertDescription>,
    /// Whether it was encrypted on the wire.
    pub encrypted: bool,
}

text_enum! {
    /// How a connection ended.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum ClosedBy {
        /// The client's FIN came first.
        ClientFin = "client_fin",
        /// The client's RST came first.
        ClientRst = "client_rst",
        /// The server's FIN came first.
        ServerFin = "server_fin",
        /// The server's RST came first.
        ServerRst = "server_rst",
        /// QUIC's CONNECTION_CLOSE came, from either side.
        QuicClose = "quic_close",
        /// The capture ended first.
        CaptureEnd = "capture_end",
    }
}

text_enum! {
    /// Which evidence an unknown outcome lacks: the first that applies, in this order.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum UnknownBecause {
        /// A limit on memory ended the observation.
        Evicted = "evicted",
        /// Only one direction was captured.
        OneDirection = "one_direction",
        /// The capture begins after the ClientHello.
        NoClientHello = "no_client_hello",
        /// A ServerHello came, and could not be parsed.
        UnreadableServerHello = "unreadable_server_hello",
        /// The capture lacks bytes that the receiver acknowledged.
        Gap = "gap",
        /// The snap length or a limit of tlscope cut packets or messages short.
        Truncated = "truncated",
        /// What followed the hellos could not be parsed as TLS records.
        UnreadableRecords = "unreadable_records",
        /// QUIC: the client asked again, too few times for a verdict, and no answer is in view. The server may be silent, or only the
        /// client was captured.
        NoAnswer = "no_answer",
        /// The last data in view were neither acknowledged nor sent again, as TCP would do: the capture lacks packets.
        LastDataNotAcknowledged = "last_data_not_acknowledged",
        /// The way the connection closed fits a completed handshake as well as a refusal.
        AmbiguousClose = "ambiguous_close",
        /// TLS 1.3 without keys: the records and the silence after them fit a completed handshake as well as a stuck one.
        AmbiguousRecords = "ambiguous_records",
        /// The capture ended while the handshake was still open.
        CaptureEnd = "capture_end",
        /// Another connection took over the addresses and ports.
        Replaced = "replaced",
    }
}

impl UnknownBecause {
    /// The reason in a few words, for people.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::OneDirection => "only one direction was captured",
            Self::NoClientHello => "the capture begins after the ClientHello",
            Self::UnreadableServerHello => "the ServerHello could not be read",
            Self::Gap => "gap in the capture",
            Self::Truncated => "packets cut short",
            Self::UnreadableRecords => "records could not be read",
            Self::NoAnswer => {
                "the client asked again and no answer was captured: a capture at the server would show whether it is silent"
            }
            Self::LastDataNotAcknowledged => {
                "the capture lacks packets: the last data were not acknowledged"
            }
            Self::AmbiguousClose => "closed without a sign of success or refusal",
            Self::AmbiguousRecords => "no sign of success or refusal",
            Self::CaptureEnd => "capture ended first",
            Self::Replaced => "another connection took its addresses and ports",
            Self::Evicted => "dropped at a memory limit",
        }
    }
}

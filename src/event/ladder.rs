//! The steps of a handshake, one by one.

use std::sync::Arc;

use crate::time::Timestamp;
use crate::tls::{AlertDescription, AlertLevel, ContentType, HandshakeType};

use super::{QuicClose, Side, Transport};

/// What each side of a handshake sent, step by step, as far as the event rests on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ladder {
    /// The steps, in the order in which they were understood. That is the order of packets, except where a segment was
    /// missing at first.
    pub steps: Vec<LadderStep>,
    /// Steps that followed and were not kept, because of a limit.
    pub omitted: u32,
}

/// One step of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LadderStep {
    /// Packet time of its first byte; of the last byte of its record, for messages that keys opened. That of a gap is the
    /// packet at which tlscope stopped waiting for it.
    pub time: Timestamp,
    /// The file or interface that its packet came from.
    pub source: Arc<str>,
    /// The number of that packet within its source, from 1.
    pub packet: u64,
    /// Who sent it; for a gap, who sent what the capture lacks.
    pub sender: Side,
    /// What it is.
    pub kind: StepKind,
    /// Bytes of a message with its header, of a record without its header, or of a gap. `None` for closes, and for the hellos of
    /// SSLv2.
    pub bytes: Option<u32>,
    /// Whether it was encrypted on the wire.
    pub encrypted: bool,
}

/// What a step of a handshake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepKind {
    /// A handshake message. Up to TLS 1.2, the first encrypted one of each side counts as Finished.
    Message(HandshakeType),
    /// The beginning of a handshake message, the rest of which is not in the capture.
    PartialMessage(HandshakeType),
    /// A record of type `change_cipher_spec`.
    ChangeCipherSpec,
    /// An alert; `None` if it is encrypted.
    Alert(Option<(AlertLevel, AlertDescription)>),
    /// A record of application data.
    ApplicationData,
    /// An encrypted record whose content is not visible, with the type in its header: of type `application_data`, TLS 1.3
    /// sends handshake messages, alerts and application data alike.
    Record(ContentType),
    /// Bytes that the capture lacks.
    Gap,
    /// Bytes that are not TLS; the rest of the direction was ignored.
    NotTls,
    /// The sender closed the connection.
    Fin,
    /// The sender reset the connection.
    Rst,
    /// A Handshake packet of QUIC whose content is not visible.
    HandshakePacket,
    /// A 1-RTT packet of QUIC whose content is not visible.
    OneRttPacket,
    /// A Retry packet of QUIC: the server wants the client's address proven.
    Retry,
    /// A Version Negotiation packet of QUIC: the server does not support the client's version.
    VersionNegotiation,
    /// A CONNECTION_CLOSE frame of QUIC that could be read.
    ConnectionClose(QuicClose),
    /// ICMP reports that a datagram of the peer was not delivered, for this reason.
    Undeliverable(&'static str),
    /// A login over EAP was accepted: by RADIUS, or on a link without it by EAP.
    Accepted(Transport),
    /// A login over EAP was rejected.
    Rejected(Transport),
}

impl std::fmt::Display for StepKind {
    /// A name for people, as in `ClientHello`, `Alert unknown_ca (fatal)` or `encrypted record`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Message(handshake_type) => f.write_str(&handshake_type.message_name()),
            Self::PartialMessage(handshake_type) => {
                write!(f, "{} (incomplete)", handshake_type.message_name())
            }
            Self::ChangeCipherSpec => f.write_str("ChangeCipherSpec"),
            Self::Alert(None) => f.write_str("Alert"),
            Self::Alert(Some((level, description))) => write!(f, "Alert {description} ({level})"),
            Self::ApplicationData => f.write_str("application data"),
            Self::Record(ContentType::ApplicationData) => f.write_str("encrypted record"),
            Self::Record(content_type) => write!(f, "encrypted record, {content_type}"),
            Self::Gap => f.write_str("gap in the capture"),
            Self::NotTls => f.write_str("not TLS"),
            Self::Fin => f.write_str("TCP FIN"),
            Self::Rst => f.write_str("TCP RST"),
            Self::HandshakePacket => f.write_str("Handshake packet"),
            Self::OneRttPacket => f.write_str("1-RTT packet"),
            Self::Retry => f.write_str("Retry"),
            Self::VersionNegotiation => f.write_str("Version Negotiation"),
            Self::ConnectionClose(close) => write!(f, "CONNECTION_CLOSE {close}"),
            Self::Undeliverable(reason) => write!(f, "ICMP {reason}"),
            Self::Accepted(Transport::Eapol) => f.write_str("EAP-Success"),
            Self::Accepted(_) => f.write_str("Access-Accept"),
            Self::Rejected(Transport::Eapol) => f.write_str("EAP-Failure"),
            Self::Rejected(_) => f.write_str("Access-Reject"),
        }
    }
}

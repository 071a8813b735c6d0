//! What a transcript consists of.

use std::net::IpAddr;

use crate::certificate::OcspStaple;
use crate::decode::Undeliverable;
use crate::flow::{Direction, PerSide, Side};
use crate::framing::{Close, Content};
use crate::time::Timestamp;
use crate::tls::{AlertDescription, AlertLevel, EncryptedExtensions};
use crate::transport::tcp::{Arrival, had_received};

/// What one endpoint did.
#[derive(Debug, Default)]
pub(in crate::handshake) struct PeerActions {
    /// Whether any packet of it is in view.
    pub(in crate::handshake) is_in_view: bool,
    /// Whether it sent anything after the first hello.
    pub(in crate::handshake) has_answered: bool,
    /// Bytes of it that the capture lacks.
    pub(in crate::handshake) gap_bytes: u64,
    /// Whether the last of them come behind its last item.
    pub(in crate::handshake) ends_with_gap: bool,
    pub(in crate::handshake) change_cipher_spec: bool,
    /// Up to TLS 1.2: when its Finished, the first encrypted handshake record, ended.
    pub(in crate::handshake) finished: Option<Timestamp>,
    /// Where that ended in its stream, as in [`Arrival::end`]; 0 before.
    pub(in crate::handshake) finished_end: u32,
    /// The body of its Certificate message, in the form that it has up to TLS 1.2.
    pub(in crate::handshake) certificate: Option<Vec<u8>>,
    /// Up to TLS 1.2: when its first application data began.
    pub(in crate::handshake) application_data: Option<Timestamp>,
    /// Up to TLS 1.2: how many records of application data it sent; more than 255 count as 255.
    pub(in crate::handshake) data_records: u8,
    /// Up to TLS 1.2: the length of the latest of them.
    pub(in crate::handshake) data_length: u16,
    pub(in crate::handshake) closing: PeerClose,
    /// How much later than its peer's its packets were captured, at least: what its peer acknowledged came that much later
    /// than the acknowledgment. In microseconds.
    pub(super) lateness: u32,
    /// Where the last item from it ended in its stream, as in [`Arrival::end`]; 0 before the first.
    pub(in crate::handshake) stream_end: u32,
    /// Where its first flight ended: what it sent before its peer sent something after it. `None` until then.
    pub(in crate::handshake) first_flight_end: Option<u32>,
    /// Whether it sent something else than TLS where TLS should be.
    pub(in crate::handshake) is_not_tls: bool,
    /// Whether it had sent something else than TLS before the handshake began.
    pub(in crate::handshake) was_plain: bool,
    /// Whether the capture does not show whether it had sent anything before the handshake began.
    pub(in crate::handshake) is_beginning_unseen: bool,
    /// Whether it had sent something else than TLS before, of which the capture lacks the beginning.
    pub(in crate::handshake) was_amid_other: bool,
}

impl PeerActions {
    /// Whether its Certificate message has no certificate in it.
    pub(in crate::handshake) fn has_empty_certificate(&self) -> bool {
        self.certificate
            .as_ref()
            .is_some_and(|body| is_empty_list(body))
    }
}

/// Whether the body of a Certificate message up to TLS 1.2 is its length alone: `00 00 00`.
pub(in crate::handshake) const fn is_empty_list(body: &[u8]) -> bool {
    body.len() <= 3
}

/// Whether and how an endpoint has closed its direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::handshake) enum PeerClose {
    #[default]
    Open,
    Fin(Arrival),
    Rst(Arrival),
    /// It closed in order at that moment, and reset the connection later.
    FinThenRst(Arrival),
}

impl PeerClose {
    /// How and when it closed first.
    pub(in crate::handshake) const fn first(self) -> Option<(Close, Arrival)> {
        match self {
            Self::Open => None,
            Self::Fin(at) | Self::FinThenRst(at) => Some((Close::Fin, at)),
            Self::Rst(at) => Some((Close::Rst, at)),
        }
    }

    /// Whether the peer had received its FIN when it did what `action` stands for. A reset is not acknowledged.
    pub(super) fn is_answered_by(self, action: Arrival) -> bool {
        match self {
            Self::Fin(fin) | Self::FinThenRst(fin) => action.had_received(fin.end) == Some(true),
            Self::Open | Self::Rst(_) => false,
        }
    }

    pub(in crate::handshake) const fn has_reset(self) -> bool {
        matches!(self, Self::Rst(_) | Self::FinThenRst(_))
    }

    pub(super) const fn and(self, how: Close, at: Arrival) -> Self {
        match (self, how) {
            (Self::Open, Close::Fin) => Self::Fin(at),
            (Self::Open, Close::Rst) => Self::Rst(at),
            (Self::Fin(first), Close::Rst) => Self::FinThenRst(first),
            _ => self,
        }
    }
}

/// The OCSP response that the server stapled to its certificate.
#[derive(Clone, Debug, Default)]
pub(super) enum Stapled {
    #[default]
    No,
    /// There is one, and it could not be read.
    Unreadable,
    Read(OcspStaple),
}

impl Stapled {
    pub(super) fn read(body: Option<&[u8]>) -> Self {
        body.and_then(OcspStaple::read)
            .map_or(Self::Unreadable, Self::Read)
    }
}

/// An alert, in the clear or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::handshake) struct AlertSeen {
    pub(in crate::handshake) sender: Direction,
    pub(in crate::handshake) at: Arrival,
    pub(in crate::handshake) content: AlertContent,
    /// Whether the handshake was complete before: up to TLS 1.2 with both Finished, in TLS 1.3 once it was in use.
    pub(in crate::handshake) is_late: bool,
    /// Whether the capture lacks what its sender sent just before, which may be another alert.
    pub(in crate::handshake) follows_gap: bool,
}

/// What an alert says, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::handshake) enum AlertContent {
    Clear(AlertLevel, AlertDescription),
    /// It was encrypted, and opened with a key.
    Opened(AlertLevel, AlertDescription),
    /// It is encrypted.
    Sealed,
}

impl AlertContent {
    pub(super) const fn sealed(opened: Option<(AlertLevel, AlertDescription)>) -> Self {
        match opened {
            Some((level, description)) => Self::Opened(level, description),
            None => Self::Sealed,
        }
    }
}

impl AlertSeen {
    pub(in crate::handshake) const fn level(&self) -> Option<AlertLevel> {
        match self.content {
            AlertContent::Clear(level, _) | AlertContent::Opened(level, _) => Some(level),
            AlertContent::Sealed => None,
        }
    }

    pub(in crate::handshake) const fn description(&self) -> Option<AlertDescription> {
        match self.content {
            AlertContent::Clear(_, description) | AlertContent::Opened(_, description) => {
                Some(description)
            }
            AlertContent::Sealed => None,
        }
    }

    pub(in crate::handshake) const fn is_encrypted(&self) -> bool {
        !matches!(self.content, AlertContent::Clear(..))
    }

    pub(in crate::handshake) fn is_close_notify(&self) -> bool {
        self.description() == Some(AlertDescription::CloseNotify)
    }
}

/// What a TLS 1.3 peer did after ServerHello, as far as it is visible without keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::handshake) struct Observation {
    pub(in crate::handshake) side: Side,
    pub(in crate::handshake) what: Observed,
    /// When it began.
    pub(in crate::handshake) time: Timestamp,
    /// When it ended.
    pub(in crate::handshake) end: Timestamp,
    /// What a record turned out to carry, where a key opened it.
    pub(in crate::handshake) content: Content,
    /// Where it ended in its sender's stream, as in [`Arrival::end`].
    pub(in crate::handshake) stream_end: u32,
    /// What its sender had acknowledged when it ended, as in [`Arrival::acknowledged`].
    pub(in crate::handshake) acknowledged: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::handshake) enum Observed {
    /// An encrypted record, with the length in its header.
    Record(u16),
    /// An encrypted record of the handshake, as its epoch shows in DTLS 1.3, with its length.
    Handshake(u16),
    /// An alert in the clear.
    Alert(AlertDescription),
    Fin,
    Rst,
}

impl Observation {
    /// Whether its sender had received the first `peer_bytes` of its peer's stream when it sent this; `None` if that is
    /// not known.
    ///
    /// For another observation, `peer_bytes` is its [`stream_end`](Self::stream_end).
    pub(in crate::handshake) const fn had_received(&self, peer_bytes: u32) -> Option<bool> {
        had_received(self.acknowledged, peer_bytes)
    }

    /// The length of an encrypted record.
    pub(in crate::handshake) const fn record(&self) -> Option<u16> {
        match self.what {
            Observed::Record(length) => Some(length),
            _ => None,
        }
    }

    pub(in crate::handshake) fn is_record_of(&self, side: Side) -> bool {
        self.side == side && self.record().is_some()
    }

    pub(in crate::handshake) const fn is_close(&self) -> bool {
        matches!(self.what, Observed::Fin | Observed::Rst)
    }
}

/// What opened records of a TLS 1.3 connection say.
#[derive(Debug, Default)]
pub(in crate::handshake) struct Decrypted {
    pub(in crate::handshake) extensions: Option<EncryptedExtensions>,
    /// When Finished ended.
    pub(in crate::handshake) finished: PerSide<Option<Timestamp>>,
    /// When the first application data after the client's Finished began.
    pub(in crate::handshake) application_data: PerSide<Option<Timestamp>>,
    /// Whether the server asked for a certificate after the client's Finished: it had accepted that one.
    pub(super) is_asked_later: bool,
    /// Handshake messages of the server after the client's Finished: tickets, requests.
    pub(in crate::handshake) server_messages: u32,
    /// Records after the client's Finished.
    pub(in crate::handshake) records_after: usize,
    /// Whether some records could not be opened.
    pub(in crate::handshake) is_unreadable: PerSide<bool>,
}

impl Decrypted {
    pub(in crate::handshake) const fn has_read_all(&self) -> bool {
        !self.is_unreadable.client && !self.is_unreadable.server
    }

    /// Whether the handshake was in use before what `side` sends now: nothing it says then belongs to it.
    ///
    /// For the client, that is also so once the server has sent tickets after both Finished.
    pub(super) const fn is_in_use_for(&self, side: Side) -> bool {
        let PerSide { client, server } = self.application_data;
        match side {
            Side::Client => client.is_some() || server.is_some() || self.server_messages > 0,
            Side::Server => server.is_some() || self.is_asked_later,
        }
    }
}

/// ICMP reports that a datagram was not delivered.
#[derive(Clone, Copy, Debug)]
pub(in crate::handshake) struct Undelivered {
    pub(in crate::handshake) reason: Undeliverable,
    /// Who reports it.
    pub(in crate::handshake) reporter: IpAddr,
    /// Whether that is the host which the datagram was sent to.
    pub(in crate::handshake) is_from_receiver: bool,
    /// Bytes of the datagram; 0 if they are not known.
    pub(in crate::handshake) length: u16,
    /// When it was reported.
    pub(in crate::handshake) time: Timestamp,
}

impl Undelivered {
    pub(in crate::handshake) const fn is_too_big(&self) -> bool {
        matches!(self.reason, Undeliverable::TooBig { .. })
    }
}

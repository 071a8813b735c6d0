//! Encrypted records, opened or not.
//!
//! Up to TLS 1.2 the type of an encrypted record is readable, and the first of type `handshake` is Finished. In TLS 1.3 it
//! is not, so lengths and order are written down as observations, and what keys open as [`Decrypted`].

use crate::flow::{Direction, Side};
use crate::framing::{Content, SealedUnit, Seen};
use crate::handshake::history::sealed_letter;
use crate::time::Timestamp;
use crate::tls::{
    CertificateMessage, ContentType, EncryptedExtensions, HandshakeType, Message,
    decompress_certificate,
};
use crate::transport::tcp::Arrival;

use super::super::Transcript;
use super::super::parts::{AlertContent, Decrypted, Observed, Stapled};

/// In use, up to TLS 1.2.
impl Transcript {
    /// Whether an item begins a renegotiation. Of others it only counts what says how long to wait for one: the report is
    /// that of the moment at which the connection came into use.
    pub(super) fn may_renegotiate(&mut self, seen: &Seen<'_>) -> bool {
        match seen {
            Seen::SealedStart { unit, .. } | Seen::SealedEnd { unit, .. }
                if unit.content_type == ContentType::Handshake =>
            {
                return true;
            }
            Seen::SealedStart { unit, .. } if unit.content_type == ContentType::ApplicationData => {
                self.records_in_use = self.records_in_use.saturating_add(1);
            }
            Seen::Close { .. } | Seen::Gap(_) | Seen::NotTls => self.has_ended_in_use = true,
            _ => {}
        }
        false
    }
}

/// Sealed, up to TLS 1.2.
impl Transcript {
    pub(super) fn take_start_tls12(&mut self, sender: Direction, unit: SealedUnit, start: Arrival) {
        self.keyed_records = self.keyed_records.saturating_add(unit.has_key.into());
        if unit.content_type == ContentType::ApplicationData {
            self.note(sender, 'D');
            let peer = &mut self.peers[sender];
            peer.application_data.get_or_insert(start.time);
            peer.data_records = peer.data_records.saturating_add(1);
            peer.data_length = unit.length;
            self.take_data_in_use(sender);
        }
    }

    pub(super) fn take_end_tls12(
        &mut self,
        sender: Direction,
        unit: SealedUnit,
        content: Content,
        end: Arrival,
    ) {
        match unit.content_type {
            ContentType::Handshake => self.take_encrypted_handshake(sender, unit, end),
            ContentType::Alert => {
                self.push_alert(sender, AlertContent::sealed(content.alert()), end);
            }
            _ => {}
        }
        self.note_news(sender);
    }

    pub(super) fn take_sealed_tls12(&mut self, sender: Direction, seen: Seen<'_>) {
        match seen {
            Seen::CatchUp => self.history.rewrite(),
            Seen::Late { content, end, .. } => {
                let mut alerts = self.alerts.iter_mut();
                let alert = alerts.find(|alert| {
                    let is_sealed = alert.content == AlertContent::Sealed;
                    alert.sender == sender && alert.at == end && is_sealed
                });
                if let Some(alert) = alert {
                    alert.content = AlertContent::sealed(content.alert());
                }
            }
            _ => {}
        }
    }

    fn take_encrypted_handshake(&mut self, sender: Direction, unit: SealedUnit, end: Arrival) {
        if self.is_complete() {
            let side = self.side(sender);
            let renegotiations = self.renegotiations.get_or_insert_default();
            renegotiations.take_record(side, unit.length);
        }
        let peer = &mut self.peers[sender];
        if peer.finished.is_none() {
            peer.finished = Some(end.time);
            peer.finished_end = end.end;
            self.note(sender, 'F');
        }
    }

    fn take_data_in_use(&mut self, sender: Direction) {
        if self.is_complete() {
            self.records_in_use = self.records_in_use.saturating_add(1);
        }
        let side = self.side(sender);
        if let Some(renegotiations) = &mut self.renegotiations {
            renegotiations.take_data(side);
        }
    }
}

/// Sealed, in TLS 1.3.
impl Transcript {
    pub(super) fn take_start_tls13(&mut self, sender: Direction, unit: SealedUnit, start: Arrival) {
        if matches!(
            unit.content_type,
            ContentType::ApplicationData | ContentType::Alert
        ) {
            if !unit.has_key {
                self.note(sender, 'D');
            }
            self.observe(sender, Observed::Record(unit.length), start);
        } else if unit.content_type == ContentType::Handshake {
            self.observe(sender, Observed::Handshake(unit.length), start);
        }
    }

    pub(super) fn take_sealed_tls13(&mut self, sender: Direction, seen: Seen<'_>) {
        match seen {
            Seen::Message { message, at, .. } => self.take_sealed_message(sender, message, at),
            Seen::Deferred => self.history.defer(),
            Seen::CatchUp => self.history.rewrite(),
            Seen::Late {
                content,
                start,
                end,
            } => {
                let side = self.side(sender);
                let waited = self.observations.iter_mut().find(|observation| {
                    observation.is_record_of(side)
                        && observation.content == Content::Unknown
                        && (observation.time, observation.end) == (start, end.time)
                });
                if let Some(observation) = waited {
                    observation.content = content;
                }
                self.take_content(sender, content, start, end);
            }
            Seen::Unreadable { has_waited } => {
                if has_waited && !self.history.is_deferred() {
                    self.note(sender, 'D');
                }
                let side = self.side(sender);
                self.decrypted_mut().is_unreadable[side] = true;
            }
            _ => {}
        }
    }

    pub(super) fn take_end_tls13(
        &mut self,
        sender: Direction,
        unit: SealedUnit,
        content: Content,
        end: Arrival,
    ) {
        let side = self.side(sender);
        let mut latest = self.observations.iter_mut().rev();
        let Some(observation) = latest.find(|observation| observation.side == side) else {
            return;
        };
        observation.end = end.time;
        observation.stream_end = end.end;
        observation.acknowledged = end.acknowledged;
        let start = observation.time;
        if unit.has_key {
            observation.content = content;
            self.take_content(sender, content, start, end);
            self.note_news(sender);
        }
    }

    fn take_sealed_message(&mut self, sender: Direction, message: Message<'_>, at: Arrival) {
        self.note(sender, sealed_letter(message.handshake_type));
        self.note_length(message);
        match (message.handshake_type, message.body) {
            (HandshakeType::EncryptedExtensions, Some(body)) => {
                self.decrypted_mut().extensions = EncryptedExtensions::read(body).ok();
            }
            (HandshakeType::Certificate, Some(body)) => self.take_certificate(sender, body),
            (HandshakeType::CompressedCertificate, Some(body)) => {
                if let Ok(body) = decompress_certificate(body) {
                    self.take_certificate(sender, &body);
                }
            }
            (HandshakeType::CertificateRequest, Some(body)) => {
                self.certificate_request = Some(body.into());
            }
            _ => {}
        }
        let side = self.side(sender);
        let decrypted = self.decrypted_mut();
        match (message.handshake_type, side, decrypted.finished.client) {
            (HandshakeType::Finished, ..) => {
                decrypted.finished[side].get_or_insert(at.time);
            }
            (handshake_type, Side::Server, Some(_)) => {
                decrypted.server_messages += 1;
                decrypted.is_asked_later |= handshake_type == HandshakeType::CertificateRequest;
            }
            _ => {}
        }
    }

    /// Takes what a record that began at `start` carried.
    fn take_content(
        &mut self,
        sender: Direction,
        content: Content,
        start: Timestamp,
        end: Arrival,
    ) {
        match content {
            Content::Alert(level, description) => {
                self.push_alert(sender, AlertContent::Opened(level, description), end);
            }
            Content::ApplicationData | Content::Unknown => self.note(sender, 'D'),
            Content::Handshake => {}
        }
        let side = self.side(sender);
        let decrypted = self.decrypted_mut();
        if decrypted.finished.client.is_some() {
            decrypted.records_after += 1;
            if content == Content::ApplicationData {
                decrypted.application_data[side].get_or_insert(start);
            }
        }
    }

    /// Keeps the chain, in the form that it has up to TLS 1.2.
    fn take_certificate(&mut self, sender: Direction, body: &[u8]) {
        let Ok(message) = CertificateMessage::read(body) else {
            return;
        };
        self.peers[sender].certificate = Some(message.to_tls12());
        if self.side(sender) == Side::Server {
            self.stapled = if message.ocsp_stapled {
                Stapled::read(message.certificate_status)
            } else {
                Stapled::No
            };
            self.certificate_timestamps = message.signed_certificate_timestamps;
        }
    }

    fn decrypted_mut(&mut self) -> &mut Decrypted {
        self.decrypted.get_or_insert_default()
    }
}

//! The writer of a transcript.
//!
//! The items of the clear part mean the same in every version. What sealed records show
//! depends on it, so [`Transcript::take`] branches once: up to TLS 1.2 the type of an
//! encrypted record is readable, and the first of type `handshake` is Finished. In
//! TLS 1.3 it is not, so lengths and order are written down as [`Observation`]s, and what
//! keys open as [`Decrypted`].

use std::num::NonZeroU32;
use std::time::Duration;

use crate::decode::IcmpError;
use crate::event::{EapResult, StepKind, Transport};
use crate::flow::{Direction, Side, endpoint};
use crate::framing::quic::{Level, QuicSeen};
use crate::framing::{Close, Content, SealedUnit, Seen};
use crate::memory::boxed;
use crate::time::Timestamp;
use crate::tls::{
    AlertDescription, AlertLevel, CertificateMessage, ClientHello, ContentType,
    EncryptedExtensions, HandshakeType, KeyExchange, MAX_MESSAGE, Message, ProtocolVersion,
    ServerHello, decompress_certificate, read_key_exchange_group, read_prime_bits,
};
use crate::transport::quic::QuicClose;
use crate::transport::tcp::{Arrival, had_received};

use super::super::history::{letter, sealed_letter};
use super::parts::{
    AlertContent, AlertSeen, Decrypted, Observation, Observed, PeerClose, Stapled, Undelivered,
};
use super::{EapEnd, MAX_OBSERVATIONS, QuicFacts, Transcript, USUAL_OBSERVATIONS, hello_units};

/// Alerts kept: the first decides and a few more complete the picture, but a peer may send thousands.
const MAX_ALERTS: usize = 16;
impl Transcript {
    /// Takes what `sender` was seen to do.
    #[inline]
    pub(in crate::handshake) fn take(&mut self, sender: Direction, seen: Seen<'_>) {
        if self.is_only_watched() && !self.may_renegotiate(&seen) {
            return;
        }
        if self.ladder.is_some() {
            self.take_step(sender, &seen);
        }
        match seen {
            Seen::Deferred => self.has_deferred = true,
            Seen::Unreadable { has_waited: true } => self.has_deferred = false,
            _ => {}
        }
        match seen {
            Seen::Message {
                message,
                sealed: false,
                at,
            } => self.take_message(sender, message, at),
            Seen::PartialMessage { message, start } => {
                self.take_partial_message(sender, message, start);
            }
            Seen::ClientHello { hello, start, .. } => self.take_client(sender, hello, start),
            Seen::ServerHello { hello, start } => {
                self.note_end(sender, start);
                self.take_server_hello(sender, Some(hello), start);
                self.note_news(sender);
            }
            Seen::Alert {
                level,
                description,
                at,
            } => {
                self.push_alert(sender, AlertContent::Clear(level, description), at);
                self.observe(sender, Observed::Alert(description), at);
                self.note_end(sender, at);
                self.note_news(sender);
            }
            Seen::ChangeCipherSpec { .. } => {
                let side = self.side(sender);
                if let Some(renegotiations) = &mut self.renegotiations {
                    renegotiations.take_change_cipher_spec(side);
                }
                self.peers[sender].change_cipher_spec = true;
                self.note(sender, 'I');
                self.note_news(sender);
            }
            Seen::NotTls => {
                self.peers[sender].is_not_tls = true;
                self.note_news(sender);
            }
            Seen::Gap(missing) => {
                let peer = &mut self.peers[sender];
                peer.gap_bytes = peer.gap_bytes.saturating_add(u64::from(missing));
                peer.ends_with_gap = true;
                let side = self.side(sender);
                let mut observations = self.observations.iter();
                self.has_late_gap |= side == Side::Client
                    || observations.any(|observation| observation.side == Side::Client);
            }
            Seen::Close { how, at } => self.take_close(sender, how, at),
            Seen::Quic(seen) => self.take_quic(sender, seen),
            Seen::SealedStart { unit, start } => self.take_sealed_start(sender, unit, start),
            Seen::SealedEnd { unit, content, end } => {
                self.take_sealed_end(sender, unit, content, end);
            }
            sealed if self.is_tls13() => self.take_sealed_tls13(sender, sealed),
            sealed => self.take_sealed_tls12(sender, sealed),
        }
    }

    /// Whether [`Transcript::take`] has to see the items themselves: the start and the end of a sealed unit alone are not enough.
    pub(in crate::handshake) fn takes_one_by_one(&self) -> bool {
        self.ladder.is_some() || self.is_only_watched()
    }

    /// Takes the start of a sealed unit.
    pub(in crate::handshake) fn take_sealed_start(
        &mut self,
        sender: Direction,
        unit: SealedUnit,
        start: Arrival,
    ) {
        if self.is_tls13() {
            self.take_start_tls13(sender, unit, start);
        } else {
            self.take_start_tls12(sender, unit, start);
        }
        self.note_news(sender);
    }

    /// Takes the end of a sealed unit.
    pub(in crate::handshake) fn take_sealed_end(
        &mut self,
        sender: Direction,
        unit: SealedUnit,
        content: Content,
        end: Arrival,
    ) {
        self.note_end(sender, end);
        if self.is_tls13() {
            self.take_end_tls13(sender, unit, content, end);
        } else {
            self.take_end_tls12(sender, unit, content, end);
        }
    }

    #[cold]
    fn take_step(&mut self, sender: Direction, seen: &Seen<'_>) {
        let may_be_tls13 = self.hellos().may_be_tls13();
        if let Some(ladder) = &mut self.ladder {
            ladder.take(sender, seen, self.last, may_be_tls13);
        }
    }

    /// Notes that packets of `direction` are in view, with or without payload.
    pub(in crate::handshake) fn note_packet(&mut self, direction: Direction, now: Arrival) {
        self.note_in_view(direction);
        self.note_last(now);
    }

    /// Notes that packets of `direction` are in view, of which the last one is noted otherwise.
    pub(in crate::handshake) fn note_in_view(&mut self, direction: Direction) {
        self.peers[direction].is_in_view = true;
    }

    /// Notes that the report rests on a packet. Those that waited for others may come after newer ones.
    pub(in crate::handshake) fn note_last(&mut self, now: Arrival) {
        let is_newest = now.packet >= self.last.packet || now.time > self.last.time;
        if is_newest && !self.is_only_watched() {
            self.last = now;
        }
    }

    /// Notes that what was captured of `direction` only `now` had been acknowledged before: its clock is late.
    pub(in crate::handshake) fn note_late(
        &mut self,
        direction: Direction,
        acknowledged: Timestamp,
        now: Timestamp,
    ) {
        if let Some(late) = now.checked_since(acknowledged) {
            let lateness = &mut self.peers[direction].lateness;
            *lateness = (*lateness).max(u32::try_from(late.as_micros()).unwrap_or(u32::MAX));
        }
    }

    /// Notes that `direction` carried something else than TLS before.
    pub(in crate::handshake) fn note_plain(&mut self, direction: Direction) {
        self.peers[direction].was_plain = true;
    }

    /// Notes that nothing shows whether `direction` carried anything before.
    pub(in crate::handshake) fn note_unseen_beginning(&mut self, direction: Direction) {
        self.peers[direction].is_beginning_unseen = true;
    }

    /// Notes that `direction` carried something else than TLS before, of which the beginning was not seen.
    pub(in crate::handshake) fn note_amid_other(&mut self, direction: Direction) {
        self.note_unseen_beginning(direction);
        self.peers[direction].was_amid_other = true;
    }

    /// Notes the round trip from the observer to the client.
    pub(in crate::handshake) fn note_client_round_trip(&mut self, trip: Duration) {
        self.client_round_trip = u32::try_from(trip.as_micros()).unwrap_or(u32::MAX);
    }

    /// Notes the last moment of the observation.
    pub(in crate::handshake) const fn note_until(&mut self, until: Timestamp) {
        self.until = Some(until);
    }

    /// Notes a datagram of `sender`. If earlier ones of its peer were reported as undeliverable, those after them arrived.
    pub(in crate::handshake) fn note_datagram(&mut self, sender: Direction) {
        if let Some(undelivered) = &mut self.undelivered {
            let of_peer = &mut undelivered[sender.flip()];
            // That some arrive says nothing of large ones.
            *of_peer = of_peer.filter(Undelivered::is_too_big);
        }
    }

    /// Notes how the EAP conversation ended, which `transport` carried.
    pub(in crate::handshake) fn note_eap_end(
        &mut self,
        end: EapEnd,
        server: Direction,
        transport: Transport,
    ) {
        if let Some(ladder) = &mut self.ladder {
            let kind = match end.result {
                EapResult::Accept => StepKind::Accepted(transport),
                EapResult::Reject => StepKind::Rejected(transport),
            };
            ladder.take_login_end(server, kind, end.at);
        }
        self.note_last(end.at);
        self.eap_mut().end = Some(end);
    }

    /// Notes that ICMP reports a datagram of `sender` as undeliverable.
    pub(in crate::handshake) fn note_undeliverable(
        &mut self,
        sender: Direction,
        error: &IcmpError,
        at: Arrival,
    ) {
        if let Some(ladder) = &mut self.ladder {
            ladder.take_undeliverable(sender, error.reason.as_str(), at);
        }
        let undelivered = self.undelivered.get_or_insert_default();
        undelivered[sender] = Some(Undelivered {
            reason: error.reason,
            reporter: endpoint(error.reporter, 0).address,
            is_from_receiver: error.is_from_receiver(),
            length: error.length,
            time: at.time,
        });
    }

    /// Notes that what one side sent contradicts itself.
    pub(in crate::handshake) const fn note_contradictory(&mut self) {
        self.is_contradictory = true;
    }

    /// Notes that a limit or the snap length took something from this connection.
    pub(in crate::handshake) const fn note_truncated(&mut self) {
        self.is_truncated = true;
    }
}

/// What only QUIC has.
impl Transcript {
    fn take_quic(&mut self, sender: Direction, seen: QuicSeen) {
        match seen {
            QuicSeen::Initial { version, .. } => {
                self.client.get_or_insert(sender);
                let facts = || Box::new(QuicFacts::new(version));
                self.quic.get_or_insert_with(facts);
            }
            // The client begins again, and the secrets go by the random of its latest hello.
            QuicSeen::VersionNegotiation { .. } | QuicSeen::Retry { .. } => {
                self.expects_new_hello = true;
            }
            QuicSeen::Close { close, level, at } => self.take_quic_alert(sender, close, level, at),
            _ => {}
        }
        let side = self.side(sender);
        let Some(quic) = &mut self.quic else {
            return;
        };
        quic.take(side, seen);
        // Of a datagram alone it may not be certain who sent it.
        if matches!(seen, QuicSeen::Datagram { .. }) && quic.last_of(side).is_some() {
            self.note_news(sender);
        }
    }

    /// Notes the alert that a CONNECTION_CLOSE frame stands for. A side repeats it in several kinds of packets.
    fn take_quic_alert(&mut self, sender: Direction, close: QuicClose, level: Level, at: Arrival) {
        let Some(code) = close.alert() else {
            return;
        };
        let description = AlertDescription(code);
        let mut known = self.alerts.iter();
        let is_known =
            |alert: &AlertSeen| alert.sender == sender && alert.description() == Some(description);
        if known.any(is_known) || self.alerts.len() >= MAX_ALERTS {
            return;
        }
        let content = match level {
            Level::Initial => AlertContent::Clear(AlertLevel::Fatal, description),
            Level::Handshake | Level::Application => {
                AlertContent::Opened(AlertLevel::Fatal, description)
            }
        };
        self.note(sender, 'L');
        let quic = self.quic.as_deref();
        self.alerts.push(AlertSeen {
            sender,
            at,
            content,
            is_late: quic.is_some_and(|quic| quic.accepted.is_some()),
            follows_gap: false,
        });
    }
}

/// In use, up to TLS 1.2.
impl Transcript {
    /// Whether an item begins a renegotiation. Of others it only counts what says how long to wait for one: the report is
    /// that of the moment at which the connection came into use.
    fn may_renegotiate(&mut self, seen: &Seen<'_>) -> bool {
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

/// In the clear.
impl Transcript {
    fn take_message(&mut self, sender: Direction, message: Message<'_>, start: Arrival) {
        self.note_end(sender, start);
        if message.handshake_type.0 < 64 {
            self.messages |= 1 << message.handshake_type.0;
        }
        self.note_length(message);
        match (message.handshake_type, message.body) {
            (HandshakeType::ClientHello, Some(body)) => {
                let spare = self.client_hello.take_if(|_| !self.has_client_hello);
                let mut hello = spare.unwrap_or_default();
                match hello.read_again(body) {
                    Ok(()) => return self.take_client(sender, hello, start),
                    Err(_) => self.client = self.client.or(Some(sender)),
                }
            }
            (HandshakeType::ServerHello, Some(body)) => {
                let spare = self.server_hello.take_if(|_| !self.has_server_hello);
                let mut hello = spare.unwrap_or_default();
                let read = hello.read_again(body);
                self.take_whole_server_hello(sender, read.is_ok().then_some(hello), start);
            }
            (HandshakeType::HelloRetryRequest, Some(body)) => {
                let hello = ServerHello::read_draft_retry(body).ok().map(Box::new);
                self.take_whole_server_hello(sender, hello, start);
            }
            // TLS 1.3 encrypts its Certificate: one in the clear is not the peer's.
            (HandshakeType::Certificate, Some(body)) if !self.is_tls13() => {
                let mut room = std::mem::take(&mut self.certificate_room);
                room.reserve_exact(body.len());
                room.extend_from_slice(body);
                self.peers[sender].certificate = Some(room);
                if self.client == Some(sender) {
                    self.note_client_answer(start);
                }
            }
            (HandshakeType::ServerKeyExchange, Some(body)) => {
                self.key_exchange_group = read_key_exchange_group(body);
                self.key_exchange_prime_bits = self.prime_bits(body);
            }
            (HandshakeType::CertificateRequest, Some(body)) => {
                self.certificate_request = Some(body.into());
            }
            (HandshakeType::ClientKeyExchange, _) => self.note_client_answer(start),
            (HandshakeType::CertificateStatus, body) => self.stapled = Stapled::read(body),
            _ => {}
        }
        if !matches!(
            message.handshake_type,
            HandshakeType::ServerHello | HandshakeType::HelloRetryRequest
        ) {
            self.note(sender, letter(message.handshake_type));
        }
        self.note_news(sender);
    }

    fn note_client_answer(&mut self, start: Arrival) {
        let end = NonZeroU32::new(start.end);
        self.client_answer_end = self.client_answer_end.or(end);
    }

    fn take_partial_message(&mut self, sender: Direction, message: Message<'_>, start: Arrival) {
        match (message.handshake_type, message.body) {
            (HandshakeType::ClientHello, Some(body)) if !self.has_client_hello => {
                if let Ok(hello) = ClientHello::read_partial(body)
                    && hello.legacy_version.is_plausible()
                {
                    self.take_client(sender, Box::new(hello), start);
                }
            }
            (HandshakeType::ServerHello, Some(body)) => {
                let hello = ServerHello::read_partial(body).ok().map(Box::new);
                self.take_server_hello(sender, hello, start);
            }
            _ => {}
        }
    }

    fn take_client(&mut self, sender: Direction, hello: Box<ClientHello>, start: Arrival) {
        self.note_end(sender, start);
        let is_first = !self.has_client_hello;
        if is_first || std::mem::take(&mut self.expects_new_hello) {
            self.client = Some(sender);
            if is_first {
                self.start = start;
            }
            self.hello_units[0] = hello_units(boxed::<ClientHello>() + hello.allocated());
            self.client_hello = Some(hello);
            self.has_client_hello = true;
        }
        self.note(sender, 'C');
        self.note_news(sender);
    }

    fn take_whole_server_hello(
        &mut self,
        sender: Direction,
        hello: Option<Box<ServerHello>>,
        start: Arrival,
    ) {
        // What overruns the message may be `supported_versions`, which decides whether this is TLS 1.3.
        let hello = hello.filter(|hello| {
            !hello.has_malformed_extensions || hello.version() < ProtocolVersion::TLSv1_2
        });
        self.has_unreadable_hello |= hello.is_none();
        self.take_server_hello(sender, hello, start);
    }

    fn take_server_hello(
        &mut self,
        sender: Direction,
        hello: Option<Box<ServerHello>>,
        start: Arrival,
    ) {
        self.client.get_or_insert_with(|| sender.flip());
        self.server_hello_end = self.server_hello_end.or_else(|| NonZeroU32::new(start.end));
        let is_retry = hello.as_ref().is_some_and(|hello| hello.is_retry);
        self.note(sender, if is_retry { 'J' } else { 'S' });
        match hello {
            Some(hello) if hello.is_retry => self.retry_version = Some(hello.version()),
            Some(hello) if !self.has_server_hello => {
                self.is_tls13 = hello.version().is_tls13();
                self.hello_units[1] = hello_units(boxed::<ServerHello>() + hello.allocated());
                self.server_hello = Some(hello);
                self.has_server_hello = true;
                self.server_hello_at = start.time;
            }
            _ => {}
        }
    }

    fn take_close(&mut self, sender: Direction, how: Close, at: Arrival) {
        self.note_ignored_close(sender, at);
        if let (Close::Fin, PeerClose::Fin(fin)) = (how, self.peers[sender].closing)
            && at.end.wrapping_sub(fin.end).cast_signed() > 0
            && self.delivery[sender].is_data_beyond(fin.end)
        {
            self.take_back_close(sender, Observed::Fin); // behind more data: a stream has one end, so the other FIN was not its own
        }
        let is_first = !self.has_closed(sender);
        let sent = Direction::BOTH.map(|direction| self.delivery[direction].last_data);
        let is_before = |sent: &Timestamp| *sent <= at.time;
        let before = sent.into_iter().flatten().filter(is_before).max();
        self.data_before_close = self.data_before_close.or(before);
        let peer = &mut self.peers[sender];
        peer.closing = peer.closing.and(how, at);
        if is_first {
            let observed = match how {
                Close::Fin => Observed::Fin,
                Close::Rst => Observed::Rst,
            };
            self.observe(sender, observed, at);
        }
    }
}

/// Sealed, up to TLS 1.2.
impl Transcript {
    fn take_start_tls12(&mut self, sender: Direction, unit: SealedUnit, start: Arrival) {
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

    fn take_end_tls12(
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

    fn take_sealed_tls12(&mut self, sender: Direction, seen: Seen<'_>) {
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

    /// The size of the group in a ServerKeyExchange, if the suite that was selected has one.
    fn prime_bits(&self, body: &[u8]) -> Option<u16> {
        let suite = self.server_hello()?.cipher_suite?;
        (suite.key_exchange()? == KeyExchange::Dhe).then_some(())?;
        read_prime_bits(body)
    }
}

/// Sealed, in TLS 1.3.
impl Transcript {
    fn take_start_tls13(&mut self, sender: Direction, unit: SealedUnit, start: Arrival) {
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

    fn take_sealed_tls13(&mut self, sender: Direction, seen: Seen<'_>) {
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

    fn take_end_tls13(
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

/// What the parts above share.
impl Transcript {
    fn push_alert(&mut self, sender: Direction, content: AlertContent, at: Arrival) {
        self.note(sender, 'L');
        // A fatal alert decides, however many warnings came before it.
        let is_fatal = |content: &AlertContent| {
            use AlertContent::{Clear, Opened};
            matches!(
                content,
                Clear(AlertLevel::Fatal, _) | Opened(AlertLevel::Fatal, _)
            )
        };
        if self.alerts.len() >= MAX_ALERTS && is_fatal(&content) {
            self.alerts.pop_if(|last| !is_fatal(&last.content));
        }
        // Over UDP, anybody can send alerts in the name of a side, which must not hide the one that was its last word.
        if self.alerts.len() >= MAX_ALERTS && is_fatal(&content) && self.is_dtls() {
            let mut known = self.alerts.iter_mut();
            match known.rfind(|alert| alert.sender == sender && alert.content == content) {
                Some(same) => same.at = at,
                None => self.lacks_alerts = true,
            }
        }
        if self.alerts.len() < MAX_ALERTS {
            let side = self.side(sender);
            if let Some(renegotiations) = &mut self.renegotiations {
                renegotiations.take_alert(side);
            }
            let is_late = match &self.decrypted {
                Some(decrypted) => decrypted.is_in_use_for(side),
                None => self.is_complete() && self.had_received_finished(side, at) != Some(false),
            };
            self.alerts.push(AlertSeen {
                sender,
                at,
                content,
                is_late,
                follows_gap: self.peers[sender].ends_with_gap,
            });
        }
    }

    /// Adds an observation. Only TLS 1.3 needs them: up to TLS 1.2, the messages that count are in the clear.
    fn observe(&mut self, sender: Direction, what: Observed, at: Arrival) {
        if self.is_tls13() && self.observations.len() < MAX_OBSERVATIONS {
            let observation = Observation {
                side: self.side(sender),
                what,
                content: Content::Unknown,
                time: at.time,
                end: at.time,
                stream_end: at.end,
                acknowledged: at.acknowledged,
            };
            if self.observations.is_empty() {
                self.observations.reserve(USUAL_OBSERVATIONS);
            }
            self.observations.push(observation);
        }
    }

    /// Notes where an item of `sender` ended in its stream: the first flight of its peer ended before. What answers its
    /// peer's FIN belongs to no flight.
    fn note_end(&mut self, sender: Direction, at: Arrival) {
        self.note_ignored_close(sender, at);
        let is_answer_to_close = match self.peers[sender.flip()].closing.first() {
            Some((Close::Fin, fin)) => at.had_received(fin.end) == Some(true),
            _ => false,
        };
        let own = &mut self.peers[sender];
        if is_answer_to_close && own.stream_end > 0 {
            own.first_flight_end.get_or_insert(own.stream_end);
        }
        own.stream_end = at.end;
        own.ends_with_gap = false;
        self.note_flight_end(sender.flip());
    }

    /// Takes back a close that both sides ignored: what `sender` does now acknowledges what its peer sent after it.
    fn note_ignored_close(&mut self, sender: Direction, at: Arrival) {
        self.refute_close(sender.flip(), at.acknowledged);
    }

    /// The same for acknowledgments that came alone: to be called once no more segments will come. Only if the sender went on after the
    /// close: a host may reset with a number that it has passed, while its peer has yet to acknowledge the rest.
    pub(in crate::handshake) fn note_ignored_closes(&mut self) {
        for direction in Direction::BOTH {
            let delivery = &self.delivery[direction];
            let closing = self.peers[direction].closing.first();
            let goes_on = |(_, at): (Close, Arrival)| {
                delivery.last_data >= Some(at.time) || delivery.has_gone_on()
            };
            if closing.is_some_and(goes_on) {
                self.refute_close(direction, delivery.acknowledged);
            }
            self.refute_reset(direction);
        }
    }

    /// Takes back the close of a direction if its receiver has acknowledged what came after a reset, or in the place of a FIN and behind
    /// it. Then another host sent it, and it closed nothing.
    fn refute_close(&mut self, direction: Direction, acknowledged: Option<u32>) {
        let (closed, how) = match self.peers[direction].closing {
            PeerClose::Rst(reset) => (reset, Observed::Rst),
            // The data shows that this is no mere number too high.
            PeerClose::Fin(fin) if self.delivery[direction].is_data_beyond(fin.end) => {
                (fin, Observed::Fin)
            }
            _ => return,
        };
        if had_received(acknowledged, closed.end.wrapping_add(1)) == Some(true) {
            self.take_back_close(direction, how);
        }
    }

    /// Takes back a reset after which its sender sent more, unless its peer reset the connection, too: then that may have believed it, and
    /// answers what still comes.
    fn refute_reset(&mut self, direction: Direction) {
        let is_believed = self.peers[direction.flip()].closing.has_reset();
        let is_reset = matches!(self.peers[direction].closing, PeerClose::Rst(_));
        if is_reset && !is_believed && self.delivery[direction].has_sent_after_reset() {
            self.take_back_close(direction, Observed::Rst);
        }
    }

    /// Takes back that `direction` was closed in order.
    pub(in crate::handshake) fn take_back_fin(&mut self, direction: Direction) {
        if let PeerClose::Fin(_) = self.peers[direction].closing {
            self.take_back_close(direction, Observed::Fin);
        }
    }

    fn take_back_close(&mut self, direction: Direction, how: Observed) {
        if self.peers[direction].closing.has_reset() {
            self.delivery[direction].forget_reset();
        }
        self.peers[direction].closing = PeerClose::Open;
        self.data_before_close = None;
        let side = self.side(direction);
        self.observations
            .retain(|seen| seen.side != side || seen.what != how);
    }

    /// Notes that the peer of `sender` acts: what `sender` has sent so far is its first flight.
    fn note_flight_end(&mut self, sender: Direction) {
        let peer = &mut self.peers[sender];
        if peer.stream_end > 0 {
            peer.first_flight_end.get_or_insert(peer.stream_end);
        }
    }

    /// Notes that `sender` sent something new.
    fn note_news(&mut self, sender: Direction) {
        self.last_sender = Some(sender);
        if self.client.is_some_and(|client| client != sender) {
            self.peers[sender].has_answered = true;
        }
    }

    fn note_length(&mut self, message: Message<'_>) {
        self.is_truncated |= message.body.is_none() && message.length > MAX_MESSAGE;
    }

    fn note(&mut self, sender: Direction, letter: char) {
        self.history.push(self.side(sender), letter);
    }
}

#[cfg(test)]
mod tests {
    use crate::flow::Side;
    use crate::framing::Close;
    use crate::handshake::testing::{CLIENT, SERVER, connection, full, tls12};
    use crate::handshake::transcript::{AlertContent, MAX_OBSERVATIONS, Observed, PeerClose};
    use crate::tls::{AlertDescription, CipherSuite, ContentType, HandshakeType};

    use super::{AlertSeen, MAX_ALERTS};

    #[test]
    fn a_reset_after_a_fin_keeps_the_moment_of_the_fin() {
        let script = full().fin(CLIENT);
        let fin = script.transcript.peer(CLIENT).closing;
        let script = script.rst(CLIENT).fin(CLIENT);
        let both = script.transcript.peer(CLIENT).closing;
        assert!(matches!(fin, PeerClose::Fin(_)) && matches!(both, PeerClose::FinThenRst(_)));
        assert_eq!(both.first(), fin.first());
        assert!(both.has_reset() && !fin.has_reset());
        let closes = script.transcript.observations().iter();
        assert_eq!(closes.filter(|seen| seen.is_close()).count(), 1);
    }

    #[test]
    fn a_reset_that_both_sides_ignored_closes_nothing() {
        let reset = || full().server_flight().rst(SERVER);
        let goes_on = reset().client_records(&[53, 100]).server_records(&[250]);
        // So far, what the server sends may have been on its way.
        assert!(goes_on.transcript.has_reset());
        let ignored = goes_on.client_records(&[100]);
        assert!(!ignored.transcript.has_reset());
        let closed = ignored.server_records(&[19]).fin(SERVER).fin(CLIENT);
        assert_eq!(closed.verdict(), "success P5");
        let first = closed.transcript.first_close();
        assert!(matches!(first, Some((Side::Server, Close::Fin, _))));
    }

    #[test]
    fn the_first_close_is_that_of_the_earlier_packet() {
        let script = tls12().rst(SERVER).fin(CLIENT);
        let first = script.transcript.first_close();
        assert!(matches!(first, Some((Side::Server, Close::Rst, _))));
        assert!(script.transcript.has_ended());
        assert_eq!(tls12().transcript.first_close(), None);
    }

    #[test]
    fn a_close_that_acknowledges_a_fin_comes_second_whatever_the_clocks_say() {
        let script = tls12().fin(SERVER).step_back(5).fin(CLIENT);
        let first = script.transcript.first_close();
        assert!(matches!(first, Some((Side::Server, Close::Fin, _))));
        // The same, but the two crossed on the way.
        let script = tls12().fin(SERVER).step_back(5).before_receiving(1);
        let first = script.fin(CLIENT).transcript.first_close();
        assert!(matches!(first, Some((Side::Client, Close::Fin, _))));
    }

    #[test]
    fn what_a_side_had_received_when_it_closed_is_known() {
        let closed = |script: crate::handshake::testing::Script| {
            let script = script.fin(CLIENT);
            let (_, _, at) = script.transcript.first_close().unwrap();
            script.transcript.had_received_flight(CLIENT, at)
        };
        assert_eq!(closed(full().server_flight()), Some(true));
        assert_eq!(
            closed(full().server_flight().before_receiving(1)),
            Some(false)
        );
        // What the server sends after the client's answer is not part of its flight.
        let answered = full().server_flight().client_records(&[53]);
        let crossed = answered.server_records(&[250]).before_receiving(1);
        assert_eq!(closed(crossed), Some(true));
        assert_eq!(closed(connection().client_hello(|_| {})), None);
    }

    #[test]
    fn only_tls13_has_observations() {
        assert!(tls12().fin(CLIENT).transcript.observations().is_empty());
        let script = full().server_records(&[23]).fin(CLIENT);
        let observed = script
            .transcript
            .observations()
            .iter()
            .map(|seen| seen.what);
        assert_eq!(
            observed.collect::<Vec<_>>(),
            [Observed::Record(23), Observed::Fin]
        );
    }

    #[test]
    fn observations_and_alerts_are_bounded() {
        let records = full().server_records(&[100; 200]);
        assert_eq!(records.transcript.observations().len(), MAX_OBSERVATIONS);
        let mut alerts = tls12();
        for _ in 0..100 {
            alerts = alerts.warning(SERVER, AlertDescription::UnrecognizedName);
        }
        assert_eq!(alerts.transcript.alerts().len(), MAX_ALERTS);
    }

    #[test]
    fn warnings_hide_no_fatal_alert() {
        let mut alerts = tls12();
        for _ in 0..100 {
            alerts = alerts.warning(CLIENT, AlertDescription::UserCanceled);
        }
        alerts = alerts.alert(CLIENT, AlertDescription::UnknownCa);
        // What follows the first fatal alerts changes nothing.
        for _ in 0..100 {
            alerts = alerts.warning(CLIENT, AlertDescription::UserCanceled);
        }
        let seen = alerts.transcript.alerts();
        assert_eq!(seen.len(), MAX_ALERTS);
        let last = seen.last().and_then(AlertSeen::description);
        assert_eq!(last, Some(AlertDescription::UnknownCa));
    }

    #[test]
    fn the_sender_of_the_first_hello_of_either_side_settles_who_is_the_client() {
        let mut script = connection();
        assert!(!script.transcript.has_hello());
        script = script.server_hello_12();
        assert!(script.transcript.has_hello());
        let server = script.transcript.direction(SERVER);
        assert_eq!(script.transcript.side(server), SERVER);
        assert_eq!(script.transcript.side(server.flip()), CLIENT);
    }

    #[test]
    fn a_certificate_in_the_clear_counts_up_to_tls12_only() {
        let body = &[0, 0, 4, 0, 0, 1, 0];
        let shown = |script: crate::handshake::testing::Script| {
            let script = script.message(SERVER, HandshakeType::Certificate, body);
            script.transcript.peer(SERVER).certificate.is_some()
        };
        assert!(shown(tls12()));
        assert!(!shown(full()));
    }

    #[test]
    fn an_alert_is_late_after_both_finished() {
        let alert = |script: crate::handshake::testing::Script| {
            let script = script.sealed(SERVER, ContentType::Alert);
            *script.transcript.alerts().last().unwrap()
        };
        let early = alert(tls12().finished_12(CLIENT));
        assert!(!early.is_late && early.is_encrypted());
        assert_eq!(early.content, AlertContent::Sealed);
        assert!(alert(tls12().finished_12(CLIENT).finished_12(SERVER)).is_late);
    }

    #[test]
    fn encrypted_handshake_records_after_both_finished_are_a_renegotiation() {
        let complete = tls12().finished_12(CLIENT).finished_12(SERVER);
        assert!(complete.transcript.renegotiations().is_none());
        let again = complete.sealed(CLIENT, ContentType::Handshake);
        let renegotiations = again.transcript.renegotiations();
        assert!(renegotiations.is_some_and(|seen| seen.count() == 1 && seen.is_open()));
    }

    #[test]
    fn the_prime_of_a_key_exchange_counts_with_ephemeral_diffie_hellman_only() {
        let bits = |suite| {
            let hello = connection().client_hello(|_| {}).server_hello_13(|hello| {
                hello.supported_version = None;
                hello.cipher_suite = Some(suite);
            });
            let prime = [&[0, 128][..], &[0xff; 128], &[0, 1, 2]].concat();
            let exchanged = hello.message(SERVER, HandshakeType::ServerKeyExchange, &prime);
            exchanged.transcript.key_exchange_prime_bits()
        };
        assert_eq!(
            bits(CipherSuite::TLS_DHE_RSA_WITH_AES_128_CBC_SHA),
            Some(1024)
        );
        assert_eq!(bits(CipherSuite::TLS_PSK_WITH_AES_128_CBC_SHA), None);
    }
}

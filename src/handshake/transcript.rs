//! What was seen of one handshake, in the order in which it came.

use crate::certificate::OcspStaple;
use crate::flow::{Direction, PerDirection, Side};
use crate::time::Timestamp;
use crate::tls::{
    AlertDescription, AlertLevel, ClientHello, ContentType, HandshakeType, Message, NamedGroup,
    ProtocolVersion, ServerHello, read_key_exchange_group,
};
use crate::transport::tcp::Arrival;

use super::verdict::cleartext as exchange;
use super::verdict::decrypted::Decrypted;
use super::verdict::inferred::{self as inference, Judgement};
use crate::framing::sealed::Content;
use crate::framing::tls::Close;

/// The header of a record whose content is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordSeen {
    pub(crate) content_type: ContentType,
    pub(crate) length: u16,
    /// Whether it may be opened, so that its end tells what it carries.
    pub(crate) has_key: bool,
}

/// What one end point did.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    /// Whether any packet of it is in view.
    pub(crate) is_in_view: bool,
    /// Whether it sent anything after the first hello.
    pub(crate) has_answered: bool,
    pub(crate) gap_bytes: u64,
    pub(crate) change_cipher_spec: bool,
    /// Up to TLS 1.2: when its Finished, the first encrypted handshake record, ended.
    pub(crate) finished: Option<Timestamp>,
    /// The body of its Certificate message.
    pub(crate) certificate: Option<Box<[u8]>>,
    /// When its first application data began.
    pub(crate) application_data: Option<Timestamp>,
    /// How it closed first.
    pub(crate) close: Option<(Close, Arrival)>,
    /// Whether it reset the connection, first or after a FIN.
    pub(crate) has_reset: bool,
    /// Whether it spoke something else than TLS where TLS should be.
    pub(crate) is_not_tls: bool,
    /// Whether it had spoken something else before the handshake began.
    pub(crate) was_plain: bool,
}

/// An alert, in the clear or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AlertSeen {
    pub(crate) sender: Direction,
    pub(crate) at: Arrival,
    /// `None` if encrypted, and not decrypted.
    pub(crate) content: Option<(AlertLevel, AlertDescription)>,
    pub(crate) is_encrypted: bool,
    /// Whether both sides had completed the handshake before.
    pub(crate) is_late: bool,
}

impl AlertSeen {
    pub(crate) fn description(&self) -> Option<AlertDescription> {
        self.content.map(|(_, description)| description)
    }

    pub(crate) fn is_close_notify(&self) -> bool {
        self.description() == Some(AlertDescription::CloseNotify)
    }
}

/// What a TLS 1.3 peer did after ServerHello, as far as an outsider sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) side: Side,
    pub(crate) what: Sight,
    /// When it began.
    pub(crate) time: Timestamp,
    /// When it ended.
    pub(crate) end: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// An encrypted record, with the length in its header.
    Record(u16),
    /// An alert in the clear.
    Alert(AlertDescription),
    Fin,
    Rst,
}

/// Alerts kept: the first decides, a few more tell the story; an attacker sends thousands.
const MAX_ALERTS: usize = 16;
/// Letters of history kept, for the same reason.
const MAX_HISTORY: usize = 64;
/// Sightings kept: a flight has up to five records, a 64 KiB chain in small records some forty.
pub(crate) const MAX_SIGHTINGS: usize = 128;
/// Records of the server after a completed TLS 1.3 handshake before it is reported without application data of the client.
const MAX_RECORDS_AFTER: usize = 8;
/// Records after a completed TLS 1.3 handshake among which the client may be asked for a certificate: a server learns from the first
/// request that it wants one.
const MAX_LATER_AUTHENTICATION: usize = 32;

/// What was seen of one handshake.
#[derive(Debug)]
pub(crate) struct Tracker {
    pub(crate) start: Arrival,
    /// The last packet that the report rests on.
    pub(crate) last: Arrival,
    pub(crate) client: Option<Direction>,
    /// The first ClientHello.
    pub(crate) client_hello: Option<Box<ClientHello>>,
    pub(crate) is_sslv2: bool,
    pub(crate) server_hello: Option<(Box<ServerHello>, Timestamp)>,
    pub(crate) hello_retry_request: bool,
    pub(crate) key_exchange_group: Option<NamedGroup>,
    /// The body of the CertificateRequest.
    pub(crate) certificate_request: Option<Box<[u8]>>,
    pub(crate) certificate_status: bool,
    /// What a stapled OCSP response says.
    pub(crate) ocsp_staple: Option<OcspStaple>,
    /// Signed certificate timestamps that came with certificates.
    pub(crate) certificate_timestamps: usize,
    /// Types of the messages seen in the clear, as bits.
    messages: u64,
    /// By [`Direction`].
    pub(crate) peers: PerDirection<Peer>,
    pub(crate) alerts: Vec<AlertSeen>,
    pub(crate) sightings: Vec<Sighting>,
    /// Encrypted records of the client before ServerHello: 0-RTT data.
    pub(crate) early_records: u32,
    pub(crate) renegotiation: bool,
    pub(crate) history: String,
    /// Where in the history the encrypted records begin that wait for their secret.
    pub(crate) history_mark: Option<usize>,
    pub(crate) is_truncated: bool,
    /// Who sent the last byte that was new.
    pub(crate) last_sender: Option<Direction>,
    /// A TLS 1.3 verdict that no later record changes.
    pub(crate) judgement: Option<Judgement>,
    /// What opened records of TLS 1.3 told; `None` if there are no keys.
    pub(crate) decrypted: Option<Box<Decrypted>>,
    /// Up to TLS 1.2: encrypted records for which there are keys.
    pub(crate) keyed_records: u32,
    /// Length of the ClientHello, as a measure of what its lists take.
    hello_length: usize,
    is_decided: bool,
}

impl Tracker {
    pub(crate) fn new(start: Arrival) -> Self {
        Self {
            start,
            last: start,
            client: None,
            client_hello: None,
            is_sslv2: false,
            server_hello: None,
            hello_retry_request: false,
            key_exchange_group: None,
            certificate_request: None,
            certificate_status: false,
            ocsp_staple: None,
            certificate_timestamps: 0,
            messages: 0,
            peers: Default::default(),
            alerts: Vec::new(),
            sightings: Vec::new(),
            early_records: 0,
            renegotiation: false,
            history: String::with_capacity(16), // a full handshake of TLS 1.2
            history_mark: None,
            is_truncated: false,
            last_sender: None,
            judgement: None,
            decrypted: None,
            keyed_records: 0,
            hello_length: 0,
            is_decided: false,
        }
    }

    pub(crate) const fn is_decided(&self) -> bool {
        self.is_decided
    }

    /// Whether the handshake has completed and is in use, although more might be learned from what follows.
    pub(crate) fn is_settled(&self) -> bool {
        if !self.is_tls13() {
            return exchange::is_in_use(self);
        }
        match self.decrypted.as_ref().and_then(|d| d.is_in_use()) {
            Some(is_in_use) => is_in_use,
            None => self.judgement.as_ref().is_some_and(|j| self.is_in_use(j)),
        }
    }

    /// Whether a side has closed, so that the rest will come soon or not at all.
    pub(crate) fn is_closing(&self) -> bool {
        self.peers.iter().any(|peer| peer.has_reset)
    }

    pub(crate) const fn has_hello(&self) -> bool {
        self.client.is_some()
    }

    /// The peer on `side`; before the first hello, the originator counts as the client.
    pub(crate) fn peer(&self, side: Side) -> &Peer {
        &self.peers[self.direction(side)]
    }

    pub(crate) fn direction(&self, side: Side) -> Direction {
        let client = self.client.unwrap_or(Direction::Forward);
        if side == Side::Client {
            client
        } else {
            client.flip()
        }
    }

    pub(crate) fn side(&self, direction: Direction) -> Side {
        if direction == self.direction(Side::Client) {
            Side::Client
        } else {
            Side::Server
        }
    }

    /// The version agreed on, once the server has said so.
    pub(crate) fn version(&self) -> Option<ProtocolVersion> {
        self.server_hello.as_ref().map(|(hello, _)| hello.version())
    }

    pub(crate) fn is_tls13(&self) -> bool {
        self.version().is_some_and(ProtocolVersion::is_tls13)
    }

    /// Whether a message of this type was seen in the clear, from either side.
    pub(crate) const fn has_message(&self, handshake_type: HandshakeType) -> bool {
        handshake_type.0 < 64 && self.messages >> handshake_type.0 & 1 == 1
    }

    /// Whether the client said that it would show a certificate after the handshake (RFC 8446 §4.2.6).
    pub(crate) fn offers_later_authentication(&self) -> bool {
        let hello = self.client_hello.as_ref();
        hello.is_some_and(|hello| hello.post_handshake_auth)
    }

    /// Up to TLS 1.2: whether both Finished were seen.
    pub(crate) fn is_complete(&self) -> bool {
        self.peers.iter().all(|peer| peer.finished.is_some())
    }

    /// Whether records of `direction` are encrypted although their types tell what they carry: TLS 1.2 after ChangeCipherSpec.
    ///
    /// In TLS 1.3 ChangeCipherSpec means nothing, and a client may send it before its second ClientHello.
    pub(crate) fn is_encrypted(&self, direction: Direction) -> bool {
        let may_be_tls13 = match &self.server_hello {
            Some((hello, _)) => hello.version().is_tls13(),
            None => self
                .client_hello
                .as_ref()
                .is_some_and(|hello| hello.offers_tls13()),
        };
        self.peers[direction].change_cipher_spec && !may_be_tls13
    }

    /// Whether an SSLv2 server's answer would make sense.
    pub(crate) const fn expects_sslv2_server_hello(&self) -> bool {
        self.is_sslv2 && self.server_hello.is_none()
    }

    /// Bytes of message bodies kept for the report.
    pub(crate) fn held(&self) -> usize {
        let certificates = self.peers.iter().flat_map(|peer| &peer.certificate);
        certificates
            .chain(&self.certificate_request)
            .map(|body| body.len())
            .sum::<usize>()
            + self.hello_length
    }

    pub(crate) fn note_packet(&mut self, direction: Direction, now: Arrival) {
        self.peers[direction].is_in_view = true;
        self.last = now;
    }

    pub(crate) fn note_plain(&mut self, direction: Direction) {
        self.peers[direction].was_plain = true;
    }

    pub(crate) const fn note_truncated(&mut self) {
        self.is_truncated = true;
    }

    pub(crate) const fn note_sslv2(&mut self) {
        self.is_sslv2 = true;
    }

    pub(crate) fn handle_message(
        &mut self,
        sender: Direction,
        message: Message<'_>,
        start: Arrival,
    ) {
        if message.handshake_type.0 < 64 {
            self.messages |= 1 << message.handshake_type.0;
        }
        self.is_truncated |= message.body.is_none() && message.length > crate::tls::MAX_MESSAGE;
        match (message.handshake_type, message.body) {
            (HandshakeType::ClientHello, Some(body)) => match ClientHello::read(body) {
                Ok(hello) => {
                    self.hello_length = self.hello_length.max(message.length);
                    return self.handle_client_hello(sender, hello, start);
                }
                Err(_) => self.client = self.client.or(Some(sender)),
            },
            (HandshakeType::ServerHello, Some(body)) => {
                self.handle_server_hello(sender, ServerHello::read(body).ok(), start);
            }
            (HandshakeType::HelloRetryRequest, Some(body)) => {
                self.handle_server_hello(sender, ServerHello::read_draft_retry(body).ok(), start);
            }
            (HandshakeType::Certificate, Some(body)) if !self.is_tls13() => {
                self.peers[sender].certificate = Some(body.into());
            }
            (HandshakeType::ServerKeyExchange, Some(body)) => {
                self.key_exchange_group = read_key_exchange_group(body)
            }
            (HandshakeType::CertificateRequest, Some(body)) => {
                self.certificate_request = Some(body.into())
            }
            (HandshakeType::CertificateStatus, body) => {
                self.certificate_status = true;
                self.ocsp_staple = body.and_then(OcspStaple::read);
            }
            _ => {}
        }
        if !matches!(
            message.handshake_type,
            HandshakeType::ServerHello | HandshakeType::HelloRetryRequest
        ) {
            self.note(sender, letter(message.handshake_type));
        }
        self.progress(sender);
    }

    /// Part of a message came, and the rest will not.
    pub(crate) fn handle_partial_message(
        &mut self,
        sender: Direction,
        message: Message<'_>,
        start: Arrival,
    ) {
        match (message.handshake_type, message.body) {
            (HandshakeType::ClientHello, Some(body)) if self.client_hello.is_none() => {
                if let Ok(hello) = ClientHello::read_partial(body)
                    && hello.legacy_version.is_plausible()
                {
                    self.handle_client_hello(sender, hello, start);
                }
            }
            (HandshakeType::ServerHello, Some(body)) => {
                self.handle_server_hello(sender, ServerHello::read_partial(body).ok(), start);
            }
            _ => {}
        }
    }

    pub(crate) fn handle_client_hello(
        &mut self,
        sender: Direction,
        hello: ClientHello,
        start: Arrival,
    ) {
        if self.client_hello.is_none() {
            self.client = Some(sender);
            self.start = start;
            self.client_hello = Some(Box::new(hello));
        }
        self.note(sender, 'C');
        self.progress(sender);
    }

    fn handle_server_hello(
        &mut self,
        sender: Direction,
        hello: Option<ServerHello>,
        start: Arrival,
    ) {
        self.client.get_or_insert_with(|| sender.flip());
        let is_retry = hello.as_ref().is_some_and(|hello| hello.is_retry);
        self.note(sender, if is_retry { 'J' } else { 'S' });
        self.hello_retry_request |= is_retry;
        if let Some(hello) = hello
            && self.server_hello.is_none()
            && !is_retry
        {
            self.server_hello = Some((Box::new(hello), start.time));
        }
    }

    pub(crate) fn handle_sslv2_server_hello(&mut self, sender: Direction, start: Arrival) {
        let hello = ServerHello {
            legacy_version: ProtocolVersion::SSLv2,
            ..ServerHello::default()
        };
        self.handle_server_hello(sender, Some(hello), start);
        self.progress(sender);
    }

    pub(crate) fn handle_change_cipher_spec(&mut self, sender: Direction) {
        self.peers[sender].change_cipher_spec = true;
        self.note(sender, 'I');
        self.progress(sender);
    }

    pub(crate) fn handle_alert(
        &mut self,
        sender: Direction,
        level: u8,
        description: u8,
        now: Arrival,
    ) {
        let (level, description) = (AlertLevel(level), AlertDescription(description));
        self.push_alert(sender, Some((level, description)), false, now);
        if self.is_tls13() {
            self.sight(sender, Sight::Alert(description), now.time);
        }
        self.progress(sender);
    }

    /// A record whose content is not looked at begins.
    pub(crate) fn handle_record(&mut self, sender: Direction, record: RecordSeen, start: Arrival) {
        if self.is_tls13() {
            if matches!(
                record.content_type,
                ContentType::ApplicationData | ContentType::Alert
            ) {
                if !record.has_key {
                    self.note(sender, 'D');
                }
                self.sight(sender, Sight::Record(record.length), start.time);
            }
            return self.progress(sender);
        }
        self.keyed_records = self.keyed_records.saturating_add(record.has_key.into());
        if record.content_type == ContentType::ApplicationData {
            if self.server_hello.is_none() && self.client == Some(sender) {
                self.early_records = self.early_records.saturating_add(1);
            }
            self.note(sender, 'D');
            self.peers[sender]
                .application_data
                .get_or_insert(start.time);
        }
        self.progress(sender);
    }

    /// An encrypted record has ended.
    pub(crate) fn handle_record_end(
        &mut self,
        sender: Direction,
        record: RecordSeen,
        content: Content,
        now: Arrival,
    ) {
        if self.is_tls13() {
            let side = self.side(sender);
            if let Some(sighting) = self
                .sightings
                .iter_mut()
                .rev()
                .find(|sighting| sighting.side == side)
            {
                sighting.end = now.time;
                let start = sighting.time;
                if record.has_key {
                    self.handle_content(sender, content, start, now);
                    self.progress(sender);
                }
            }
            return;
        }
        match record.content_type {
            ContentType::Handshake => self.handle_encrypted_handshake(sender, now),
            ContentType::Alert => self.push_alert(sender, content.alert(), true, now),
            _ => {}
        }
        self.progress(sender);
    }

    fn handle_encrypted_handshake(&mut self, sender: Direction, now: Arrival) {
        self.renegotiation |= self.is_complete();
        let peer = &mut self.peers[sender];
        if peer.finished.is_none() {
            peer.finished = Some(now.time);
            self.note(sender, 'F');
        }
    }

    pub(crate) fn handle_not_tls(&mut self, sender: Direction) {
        self.peers[sender].is_not_tls = true;
        self.progress(sender);
    }

    pub(crate) fn handle_gap(&mut self, sender: Direction, missing: u32) {
        let peer = &mut self.peers[sender];
        peer.gap_bytes = peer.gap_bytes.saturating_add(u64::from(missing));
    }

    pub(crate) fn handle_close(&mut self, sender: Direction, close: Close, now: Arrival) -> bool {
        let peer = &mut self.peers[sender];
        peer.has_reset |= close == Close::Rst;
        if peer.close.is_some() {
            return false;
        }
        peer.close = Some((close, now));
        if self.is_tls13() {
            self.sight(
                sender,
                if close == Close::Fin {
                    Sight::Fin
                } else {
                    Sight::Rst
                },
                now.time,
            );
        }
        // A side that was reset may have more under way: the observer waits a little for it.
        self.is_decided |= self.peers.iter().all(|peer| peer.close.is_some());
        true
    }

    /// How the connection was closed first, and by whom.
    pub(crate) fn first_close(&self) -> Option<(Side, Close, Arrival)> {
        let closes = [Side::Client, Side::Server].map(|side| {
            let (close, at) = self.peer(side).close?;
            Some((side, close, at))
        });
        closes
            .into_iter()
            .flatten()
            .min_by_key(|(_, _, at)| (at.time, at.packet))
    }

    pub(crate) fn push_alert(
        &mut self,
        sender: Direction,
        content: Option<(AlertLevel, AlertDescription)>,
        is_encrypted: bool,
        now: Arrival,
    ) {
        self.note(sender, 'L');
        if self.alerts.len() < MAX_ALERTS {
            let side = self.side(sender);
            let is_late = match &self.decrypted {
                Some(decrypted) => decrypted.is_late(side),
                None => self.is_complete(),
            };
            self.alerts.push(AlertSeen {
                sender,
                at: now,
                content,
                is_encrypted,
                is_late,
            });
        }
    }

    fn sight(&mut self, sender: Direction, what: Sight, time: Timestamp) {
        if self.sightings.len() < MAX_SIGHTINGS {
            self.sightings.push(Sighting {
                side: self.side(sender),
                what,
                time,
                end: time,
            });
        }
        if self.judgement.is_none() && self.may_decide(sender, what) {
            self.judgement = inference::judge(self, None);
        }
    }

    /// Whether a sighting can be the one that decides: an alert, a first record that may be one, or an answer to the client's flight.
    fn may_decide(&self, sender: Direction, what: Sight) -> bool {
        let is_from_client = self.client == Some(sender);
        let mut client = self
            .sightings
            .iter()
            .filter(|sighting| sighting.side == Side::Client);
        match what {
            Sight::Alert(_) => true,
            Sight::Record(length) if is_from_client => length < 64 && client.nth(1).is_none(),
            Sight::Record(_) => client.next().is_some(),
            Sight::Fin | Sight::Rst => false,
        }
    }

    /// Notes that `sender` sent something new, and whether that was the last thing of interest.
    fn progress(&mut self, sender: Direction) {
        self.last_sender = Some(sender);
        if self.client.is_some_and(|client| client != sender) {
            self.peers[sender].has_answered = true;
        }
        self.is_decided |= if self.is_tls13() {
            self.is_decided_tls13()
        } else {
            exchange::is_in_use(self) && !exchange::expects_alerts(self)
        };
    }

    fn is_decided_tls13(&self) -> bool {
        let decrypted = self.decrypted.as_ref();
        if let Some(is_decided) = decrypted.and_then(|decrypted| decrypted.is_decided()) {
            return is_decided || self.sightings.len() >= MAX_SIGHTINGS;
        }
        let Some(judgement) = &self.judgement else {
            return self.sightings.len() >= MAX_SIGHTINGS;
        };
        let may_be_asked_later = self.offers_later_authentication()
            && self.after(judgement).len() < MAX_LATER_AUTHENTICATION;
        self.is_in_use(judgement) && !may_be_asked_later
    }

    /// Whether a completed TLS 1.3 handshake is followed by the client's data, or much of the server's.
    fn is_in_use(&self, judgement: &Judgement) -> bool {
        let from = |side| {
            let after = self.after(judgement).iter();
            after.filter(move |sighting| sighting.side == side).count()
        };
        judgement.is_success()
            && (from(Side::Client) > 0 || from(Side::Server) >= MAX_RECORDS_AFTER)
    }

    /// What came after the client's Finished.
    fn after(&self, judgement: &Judgement) -> &[Sighting] {
        self.sightings
            .get(judgement.flight_end..)
            .unwrap_or_default()
    }

    pub(crate) fn note(&mut self, sender: Direction, letter: char) {
        let letter = match self.side(sender) {
            Side::Client => letter,
            Side::Server => letter.to_ascii_lowercase(),
        };
        let is_run = matches!(letter, 'D' | 'd') && self.history.ends_with(letter);
        if self.history.len() < MAX_HISTORY && !is_run {
            self.history.push(letter);
        }
    }
}

/// The letter of a message in the history.
pub(crate) const fn letter(handshake_type: HandshakeType) -> char {
    match handshake_type {
        HandshakeType::HelloRequest => 'H',
        HandshakeType::ClientHello => 'C', // one that could not be read
        HandshakeType::NewSessionTicket => 'T',
        HandshakeType::Certificate => 'X',
        HandshakeType::ServerKeyExchange => 'K',
        HandshakeType::CertificateRequest => 'R',
        HandshakeType::ServerHelloDone => 'N',
        HandshakeType::CertificateVerify => 'Y',
        HandshakeType::ClientKeyExchange => 'G',
        HandshakeType::CertificateStatus => 'U',
        HandshakeType::Finished => 'F',
        _ => 'Z',
    }
}

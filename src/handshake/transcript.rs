//! What was seen of one handshake, in the order in which it came.
//!
//! Plain data with one writer, [`Transcript::take`], and readers that get it by
//! reference. It does not decide anything: what the data mean is for
//! [`progress`](super::progress) and [`verdict`](super::verdict) to say.

use crate::certificate::OcspStaple;
use crate::flow::{Direction, PerDirection, PerSide, Side};
use crate::framing::{Close, Content, Hellos, SealedUnit, Seen};
use crate::time::Timestamp;
use crate::tls::{
    AlertDescription, AlertLevel, CertificateMessage, ClientHello, ContentType,
    EncryptedExtensions, HandshakeType, MAX_MESSAGE, Message, NamedGroup, ProtocolVersion,
    ServerHello, decompress_certificate, read_key_exchange_group,
};
use crate::transport::tcp::Arrival;

use super::history::{History, letter, sealed_letter};

/// Alerts kept: the first decides and a few more complete the picture, but a peer may send thousands.
const MAX_ALERTS: usize = 16;
/// Observations kept: a flight has up to five records, a 64 KiB chain in small records some forty.
pub(super) const MAX_OBSERVATIONS: usize = 128;

/// What was seen of one handshake.
#[derive(Debug)]
pub(super) struct Transcript {
    start: Arrival,
    last: Arrival,
    client: Option<Direction>,
    client_hello: Option<Box<ClientHello>>,
    server_hello: Option<(Box<ServerHello>, Timestamp)>,
    has_retry_request: bool,
    key_exchange_group: Option<NamedGroup>,
    certificate_request: Option<Box<[u8]>>,
    stapled: Stapled,
    certificate_timestamps: usize,
    /// Types of the messages seen in the clear, as bits.
    messages: u64,
    peers: PerDirection<Peer>,
    alerts: Vec<AlertSeen>,
    observations: Vec<Observation>,
    has_renegotiated: bool,
    history: History,
    is_truncated: bool,
    last_sender: Option<Direction>,
    decrypted: Option<Box<Decrypted>>,
    keyed_records: u32,
    /// Length of the ClientHello, as a measure of the memory that its lists take.
    hello_length: usize,
}

/// What one endpoint did.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// Whether any packet of it is in view.
    pub(super) is_in_view: bool,
    /// Whether it sent anything after the first hello.
    pub(super) has_answered: bool,
    /// Bytes of it that the capture lacks.
    pub(super) gap_bytes: u64,
    pub(super) change_cipher_spec: bool,
    /// Up to TLS 1.2: when its Finished, the first encrypted handshake record, ended.
    pub(super) finished: Option<Timestamp>,
    /// The body of its Certificate message, in the form that it has up to TLS 1.2.
    pub(super) certificate: Option<Box<[u8]>>,
    /// Up to TLS 1.2: when its first application data began.
    pub(super) application_data: Option<Timestamp>,
    pub(super) closing: PeerClose,
    /// Whether it sent something else than TLS where TLS should be.
    pub(super) is_not_tls: bool,
    /// Whether it had sent something else than TLS before the handshake began.
    pub(super) was_plain: bool,
}

impl Peer {
    /// Whether its Certificate message has no certificate in it.
    pub(super) fn has_empty_certificate(&self) -> bool {
        self.certificate
            .as_ref()
            .is_some_and(|body| is_empty_list(body))
    }
}

/// Whether the body of a Certificate message up to TLS 1.2 is its length alone: `00 00 00`.
pub(super) const fn is_empty_list(body: &[u8]) -> bool {
    body.len() <= 3
}

/// Whether and how an endpoint has closed its direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum PeerClose {
    #[default]
    Open,
    Fin(Arrival),
    Rst(Arrival),
    /// It closed in order at that moment, and reset the connection later.
    FinThenRst(Arrival),
}

impl PeerClose {
    /// How and when it closed first.
    pub(super) const fn first(self) -> Option<(Close, Arrival)> {
        match self {
            Self::Open => None,
            Self::Fin(at) | Self::FinThenRst(at) => Some((Close::Fin, at)),
            Self::Rst(at) => Some((Close::Rst, at)),
        }
    }

    pub(super) const fn has_reset(self) -> bool {
        matches!(self, Self::Rst(_) | Self::FinThenRst(_))
    }

    const fn and(self, how: Close, at: Arrival) -> Self {
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
enum Stapled {
    #[default]
    No,
    /// There is one, and it could not be read.
    Unreadable,
    Read(OcspStaple),
}

impl Stapled {
    fn read(body: Option<&[u8]>) -> Self {
        body.and_then(OcspStaple::read)
            .map_or(Self::Unreadable, Self::Read)
    }
}

/// An alert, in the clear or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AlertSeen {
    pub(super) sender: Direction,
    pub(super) at: Arrival,
    pub(super) content: AlertContent,
    /// Whether the handshake was complete before: up to TLS 1.2 with both Finished, in TLS 1.3 once it was in use.
    pub(super) is_late: bool,
}

/// What an alert says, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AlertContent {
    Clear(AlertLevel, AlertDescription),
    /// It was encrypted, and opened with a key.
    Opened(AlertLevel, AlertDescription),
    /// It is encrypted.
    Sealed,
}

impl AlertContent {
    const fn sealed(opened: Option<(AlertLevel, AlertDescription)>) -> Self {
        match opened {
            Some((level, description)) => Self::Opened(level, description),
            None => Self::Sealed,
        }
    }
}

impl AlertSeen {
    pub(super) const fn level(&self) -> Option<AlertLevel> {
        match self.content {
            AlertContent::Clear(level, _) | AlertContent::Opened(level, _) => Some(level),
            AlertContent::Sealed => None,
        }
    }

    pub(super) const fn description(&self) -> Option<AlertDescription> {
        match self.content {
            AlertContent::Clear(_, description) | AlertContent::Opened(_, description) => {
                Some(description)
            }
            AlertContent::Sealed => None,
        }
    }

    pub(super) const fn is_encrypted(&self) -> bool {
        !matches!(self.content, AlertContent::Clear(..))
    }

    pub(super) fn is_close_notify(&self) -> bool {
        self.description() == Some(AlertDescription::CloseNotify)
    }
}

/// What a TLS 1.3 peer did after ServerHello, as far as it is visible without keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Observation {
    pub(super) side: Side,
    pub(super) what: Observed,
    /// When it began.
    pub(super) time: Timestamp,
    /// When it ended.
    pub(super) end: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Observed {
    /// An encrypted record, with the length in its header.
    Record(u16),
    /// An alert in the clear.
    Alert(AlertDescription),
    Fin,
    Rst,
}

impl Observation {
    /// The length of an encrypted record.
    pub(super) const fn record(&self) -> Option<u16> {
        match self.what {
            Observed::Record(length) => Some(length),
            _ => None,
        }
    }

    pub(super) fn is_record_of(&self, side: Side) -> bool {
        self.side == side && self.record().is_some()
    }

    pub(super) const fn is_close(&self) -> bool {
        matches!(self.what, Observed::Fin | Observed::Rst)
    }
}

/// What opened records of a TLS 1.3 connection say.
#[derive(Debug, Default)]
pub(super) struct Decrypted {
    pub(super) extensions: Option<EncryptedExtensions>,
    /// When Finished ended.
    pub(super) finished: PerSide<Option<Timestamp>>,
    /// When the first application data after the client's Finished began.
    pub(super) application_data: PerSide<Option<Timestamp>>,
    /// Handshake messages of the server after the client's Finished: tickets, requests.
    pub(super) server_messages: u32,
    /// Records after the client's Finished.
    pub(super) records_after: usize,
    /// Whether some records could not be opened.
    pub(super) is_unreadable: PerSide<bool>,
}

impl Decrypted {
    pub(super) const fn has_read_all(&self) -> bool {
        !self.is_unreadable.client && !self.is_unreadable.server
    }

    /// Whether the handshake was in use before what `side` sends now: nothing it says then belongs to it.
    const fn is_in_use_for(&self, side: Side) -> bool {
        let PerSide { client, server } = self.application_data;
        match side {
            Side::Client => client.is_some() || server.is_some(),
            Side::Server => server.is_some(),
        }
    }
}

impl Transcript {
    pub(super) fn new(start: Arrival) -> Self {
        Self {
            start,
            last: start,
            client: None,
            client_hello: None,
            server_hello: None,
            has_retry_request: false,
            key_exchange_group: None,
            certificate_request: None,
            stapled: Stapled::No,
            certificate_timestamps: 0,
            messages: 0,
            peers: Default::default(),
            alerts: Vec::new(),
            observations: Vec::new(),
            has_renegotiated: false,
            history: History::new(),
            is_truncated: false,
            last_sender: None,
            decrypted: None,
            keyed_records: 0,
            hello_length: 0,
        }
    }
}

/// What readers get.
impl Transcript {
    /// Where the first ClientHello began; where the first packet did, without one.
    pub(super) const fn start(&self) -> Arrival {
        self.start
    }

    /// The last packet that the report rests on.
    pub(super) const fn last(&self) -> Arrival {
        self.last
    }

    /// Whether a hello of either side was seen.
    pub(super) const fn has_hello(&self) -> bool {
        self.client.is_some()
    }

    /// The first ClientHello.
    pub(super) fn client_hello(&self) -> Option<&ClientHello> {
        self.client_hello.as_deref()
    }

    /// The ServerHello that is not a HelloRetryRequest.
    pub(super) fn server_hello(&self) -> Option<&ServerHello> {
        self.server_hello.as_ref().map(|(hello, _)| &**hello)
    }

    /// When that ServerHello began.
    pub(super) fn server_hello_at(&self) -> Option<Timestamp> {
        self.server_hello.as_ref().map(|(_, at)| *at)
    }

    pub(super) const fn has_retry_request(&self) -> bool {
        self.has_retry_request
    }

    /// The group in the ServerKeyExchange.
    pub(super) const fn key_exchange_group(&self) -> Option<NamedGroup> {
        self.key_exchange_group
    }

    /// The body of the CertificateRequest.
    pub(super) fn certificate_request(&self) -> Option<&[u8]> {
        self.certificate_request.as_deref()
    }

    /// Whether the server stapled an OCSP response.
    pub(super) const fn has_ocsp_staple(&self) -> bool {
        !matches!(self.stapled, Stapled::No)
    }

    /// What that response says, if it could be read.
    pub(super) const fn ocsp_staple(&self) -> Option<&OcspStaple> {
        match &self.stapled {
            Stapled::Read(staple) => Some(staple),
            Stapled::No | Stapled::Unreadable => None,
        }
    }

    /// Signed certificate timestamps that came with certificates.
    pub(super) const fn certificate_timestamps(&self) -> usize {
        self.certificate_timestamps
    }

    /// Whether a message of this type was seen in the clear, from either side.
    pub(super) const fn has_message(&self, handshake_type: HandshakeType) -> bool {
        handshake_type.0 < 64 && self.messages >> handshake_type.0 & 1 == 1
    }

    /// The peer on `side`; before the first hello, the originator counts as the client.
    pub(super) fn peer(&self, side: Side) -> &Peer {
        &self.peers[self.direction(side)]
    }

    /// Both peers, in the order of their directions.
    pub(super) fn peers(&self) -> std::slice::Iter<'_, Peer> {
        self.peers.iter()
    }

    /// The alerts, in order; no more than a few.
    pub(super) fn alerts(&self) -> &[AlertSeen] {
        &self.alerts
    }

    /// What TLS 1.3 peers did after ServerHello, in order; no more than [`MAX_OBSERVATIONS`].
    pub(super) fn observations(&self) -> &[Observation] {
        &self.observations
    }

    /// Whether an encrypted handshake record followed both Finished, up to TLS 1.2.
    pub(super) const fn has_renegotiated(&self) -> bool {
        self.has_renegotiated
    }

    /// Whether a limit or the snap length took something from this connection.
    pub(super) const fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    /// Which side sent the last byte that was new.
    pub(super) fn last_sender(&self) -> Option<Side> {
        self.last_sender.map(|sender| self.side(sender))
    }

    /// What opened records of TLS 1.3 say; `None` if there are no keys.
    pub(super) fn decrypted(&self) -> Option<&Decrypted> {
        self.decrypted.as_deref()
    }

    /// Up to TLS 1.2: encrypted records for which there are keys.
    pub(super) const fn keyed_records(&self) -> u32 {
        self.keyed_records
    }

    /// The direction in which `side` sends; before the first hello, the originator counts as the client.
    pub(super) fn direction(&self, side: Side) -> Direction {
        let client = self.client.unwrap_or(Direction::Forward);
        if side == Side::Client {
            client
        } else {
            client.flip()
        }
    }

    /// The side that sends in `direction`.
    pub(super) fn side(&self, direction: Direction) -> Side {
        self.hellos().side(direction)
    }

    /// The version agreed on, once the server has chosen.
    pub(super) fn version(&self) -> Option<ProtocolVersion> {
        self.hellos().version()
    }

    pub(super) fn is_tls13(&self) -> bool {
        self.hellos().is_tls13()
    }

    /// Whether the client offers to show a certificate after the handshake (RFC 8446 §4.2.6).
    pub(super) fn offers_later_authentication(&self) -> bool {
        let hello = self.client_hello();
        hello.is_some_and(|hello| hello.post_handshake_auth)
    }

    /// Whether the client offers 0-RTT data.
    pub(super) fn offers_early_data(&self) -> bool {
        self.client_hello().is_some_and(|hello| hello.early_data)
    }

    /// Up to TLS 1.2: whether both Finished were seen.
    pub(super) fn is_complete(&self) -> bool {
        self.peers.iter().all(|peer| peer.finished.is_some())
    }

    /// Whether the capture lacks bytes of either side.
    pub(super) fn has_gap(&self) -> bool {
        self.peers.iter().any(|peer| peer.gap_bytes > 0)
    }

    /// Whether either side has reset the connection.
    pub(super) fn has_reset(&self) -> bool {
        self.peers.iter().any(|peer| peer.closing.has_reset())
    }

    /// Whether both sides have closed.
    pub(super) fn has_ended(&self) -> bool {
        self.peers
            .iter()
            .all(|peer| peer.closing != PeerClose::Open)
    }

    /// Whether the sender of `direction` has closed.
    pub(super) fn has_closed(&self, direction: Direction) -> bool {
        self.peers[direction].closing != PeerClose::Open
    }

    /// How the connection was closed first, and by whom.
    pub(super) fn first_close(&self) -> Option<(Side, Close, Arrival)> {
        let closes = Side::BOTH.map(|side| {
            let (close, at) = self.peer(side).closing.first()?;
            Some((side, close, at))
        });
        closes
            .into_iter()
            .flatten()
            .min_by_key(|(_, _, at)| (at.time, at.packet))
    }

    /// Whether an alert came after its receiver had closed: then that close came first, and the alert only answers it.
    pub(super) fn is_reaction(&self, alert: &AlertSeen) -> bool {
        let close = self.peers[alert.sender.flip()].closing.first();
        close.is_some_and(|(_, at)| (at.time, at.packet) < (alert.at.time, alert.at.packet))
    }

    /// What a framing has to know of the negotiation.
    pub(super) fn hellos(&self) -> Hellos<'_> {
        Hellos {
            client: self.client,
            client_hello: self.client_hello(),
            server_hello: self.server_hello(),
        }
    }

    /// Bytes of message bodies kept for the report.
    pub(super) fn held(&self) -> usize {
        let certificates = self.peers.iter().flat_map(|peer| &peer.certificate);
        certificates
            .chain(&self.certificate_request)
            .map(|body| body.len())
            .sum::<usize>()
            + self.hello_length
    }

    /// Moves the letters of the history out: the report is made once.
    pub(super) fn take_history(&mut self) -> String {
        self.history.take()
    }

    /// Moves the first ClientHello out, for the same reason.
    pub(super) fn take_client_hello(&mut self) -> Option<Box<ClientHello>> {
        self.client_hello.take()
    }
}

/// The writer.
impl Transcript {
    /// Takes what `sender` was seen to do.
    pub(super) fn take(&mut self, sender: Direction, seen: Seen<'_>) {
        match seen {
            Seen::Message {
                message,
                sealed: false,
                at,
            } => self.take_message(sender, message, at),
            Seen::Message {
                message,
                sealed: true,
                at,
            } => self.take_sealed_message(sender, message, at),
            Seen::PartialMessage { message, start } => {
                self.take_partial_message(sender, message, start);
            }
            Seen::ClientHello { hello, start } => self.take_client(sender, *hello, start),
            Seen::ServerHello { hello, start } => {
                self.take_server_hello(sender, Some(*hello), start);
                self.note_news(sender);
            }
            Seen::Alert {
                level,
                description,
                at,
            } => {
                let content = AlertContent::Clear(level, description);
                self.push_alert(sender, content, at);
                self.observe(sender, Observed::Alert(description), at.time);
                self.note_news(sender);
            }
            Seen::ChangeCipherSpec => {
                self.peers[sender].change_cipher_spec = true;
                self.note(sender, 'I');
                self.note_news(sender);
            }
            Seen::SealedStart { unit, start } => {
                self.take_sealed_start(sender, unit, start);
                self.note_news(sender);
            }
            Seen::SealedEnd { unit, content, end } => {
                self.take_sealed_end(sender, unit, content, end);
            }
            Seen::Deferred if self.is_tls13() => self.history.defer(),
            Seen::Deferred => {}
            Seen::CatchUp => self.history.rewrite(),
            Seen::Late {
                content,
                start,
                end,
            } => self.take_late_content(sender, content, start, end),
            Seen::Unreadable { has_waited } => self.take_unreadable(sender, has_waited),
            Seen::NotTls => {
                self.peers[sender].is_not_tls = true;
                self.note_news(sender);
            }
            Seen::Gap(missing) => {
                let peer = &mut self.peers[sender];
                peer.gap_bytes = peer.gap_bytes.saturating_add(u64::from(missing));
            }
            Seen::Close { how, at } => self.take_close(sender, how, at),
        }
    }

    /// Notes that packets of `direction` are in view, with or without payload.
    pub(super) fn note_packet(&mut self, direction: Direction, now: Arrival) {
        self.peers[direction].is_in_view = true;
        self.last = now;
    }

    /// Notes that `direction` carried something else than TLS before.
    pub(super) fn note_plain(&mut self, direction: Direction) {
        self.peers[direction].was_plain = true;
    }

    /// Notes that a limit or the snap length took something from this connection.
    pub(super) const fn note_truncated(&mut self) {
        self.is_truncated = true;
    }

    fn take_message(&mut self, sender: Direction, message: Message<'_>, start: Arrival) {
        if message.handshake_type.0 < 64 {
            self.messages |= 1 << message.handshake_type.0;
        }
        self.note_length(message);
        match (message.handshake_type, message.body) {
            (HandshakeType::ClientHello, Some(body)) => match ClientHello::read(body) {
                Ok(hello) => {
                    self.hello_length = self.hello_length.max(message.length);
                    return self.take_client(sender, hello, start);
                }
                Err(_) => self.client = self.client.or(Some(sender)),
            },
            (HandshakeType::ServerHello, Some(body)) => {
                self.take_server_hello(sender, ServerHello::read(body).ok(), start);
            }
            (HandshakeType::HelloRetryRequest, Some(body)) => {
                self.take_server_hello(sender, ServerHello::read_draft_retry(body).ok(), start);
            }
            // TLS 1.3 encrypts its Certificate: one in the clear is not the peer's.
            (HandshakeType::Certificate, Some(body)) if !self.is_tls13() => {
                self.peers[sender].certificate = Some(body.into());
            }
            (HandshakeType::ServerKeyExchange, Some(body)) => {
                self.key_exchange_group = read_key_exchange_group(body);
            }
            (HandshakeType::CertificateRequest, Some(body)) => {
                self.certificate_request = Some(body.into());
            }
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

    fn take_partial_message(&mut self, sender: Direction, message: Message<'_>, start: Arrival) {
        match (message.handshake_type, message.body) {
            (HandshakeType::ClientHello, Some(body)) if self.client_hello.is_none() => {
                if let Ok(hello) = ClientHello::read_partial(body)
                    && hello.legacy_version.is_plausible()
                {
                    self.take_client(sender, hello, start);
                }
            }
            (HandshakeType::ServerHello, Some(body)) => {
                self.take_server_hello(sender, ServerHello::read_partial(body).ok(), start);
            }
            _ => {}
        }
    }

    fn take_client(&mut self, sender: Direction, hello: ClientHello, start: Arrival) {
        if self.client_hello.is_none() {
            self.client = Some(sender);
            self.start = start;
            self.client_hello = Some(Box::new(hello));
        }
        self.note(sender, 'C');
        self.note_news(sender);
    }

    fn take_server_hello(&mut self, sender: Direction, hello: Option<ServerHello>, start: Arrival) {
        self.client.get_or_insert_with(|| sender.flip());
        let is_retry = hello.as_ref().is_some_and(|hello| hello.is_retry);
        self.note(sender, if is_retry { 'J' } else { 'S' });
        self.has_retry_request |= is_retry;
        if let Some(hello) = hello
            && self.server_hello.is_none()
            && !is_retry
        {
            self.server_hello = Some((Box::new(hello), start.time));
        }
    }

    fn take_sealed_start(&mut self, sender: Direction, unit: SealedUnit, start: Arrival) {
        let is_data = unit.content_type == ContentType::ApplicationData;
        if self.is_tls13() {
            if is_data || unit.content_type == ContentType::Alert {
                if !unit.has_key {
                    self.note(sender, 'D');
                }
                self.observe(sender, Observed::Record(unit.length), start.time);
            }
            return;
        }
        self.keyed_records = self.keyed_records.saturating_add(unit.has_key.into());
        if is_data {
            self.note(sender, 'D');
            let peer = &mut self.peers[sender];
            peer.application_data.get_or_insert(start.time);
        }
    }

    fn take_sealed_end(
        &mut self,
        sender: Direction,
        unit: SealedUnit,
        content: Content,
        end: Arrival,
    ) {
        if self.is_tls13() {
            let side = self.side(sender);
            let mut latest = self.observations.iter_mut().rev();
            let Some(observation) = latest.find(|observation| observation.side == side) else {
                return;
            };
            observation.end = end.time;
            let start = observation.time;
            if unit.has_key {
                self.take_content(sender, content, start, end);
                self.note_news(sender);
            }
            return;
        }
        match unit.content_type {
            ContentType::Handshake => self.take_encrypted_handshake(sender, end),
            ContentType::Alert => {
                self.push_alert(sender, AlertContent::sealed(content.alert()), end);
            }
            _ => {}
        }
        self.note_news(sender);
    }

    fn take_encrypted_handshake(&mut self, sender: Direction, now: Arrival) {
        self.has_renegotiated |= self.is_complete();
        let peer = &mut self.peers[sender];
        if peer.finished.is_none() {
            peer.finished = Some(now.time);
            self.note(sender, 'F');
        }
    }

    /// Takes what an encrypted record turned out to carry after others had arrived.
    fn take_late_content(
        &mut self,
        sender: Direction,
        content: Content,
        start: Timestamp,
        end: Arrival,
    ) {
        if self.is_tls13() {
            return self.take_content(sender, content, start, end);
        }
        let mut alerts = self.alerts.iter_mut();
        if let Some(alert) = alerts.find(|alert| {
            alert.sender == sender && alert.at == end && alert.content == AlertContent::Sealed
        }) {
            alert.content = AlertContent::sealed(content.alert());
        }
    }

    fn take_unreadable(&mut self, sender: Direction, has_waited: bool) {
        if !self.is_tls13() {
            return;
        }
        if has_waited && !self.history.is_deferred() {
            self.note(sender, 'D');
        }
        let side = self.side(sender);
        self.decrypted_mut().is_unreadable[side] = true;
    }

    /// Takes a handshake message of TLS 1.3 that was encrypted.
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
            (_, Side::Server, Some(_)) => decrypted.server_messages += 1,
            _ => {}
        }
    }

    /// Takes what a record of TLS 1.3 that began at `start` carried.
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
        self.peers[sender].certificate = Some(message.to_tls12().into());
        if self.side(sender) == Side::Server {
            self.stapled = if message.ocsp_stapled {
                Stapled::read(message.certificate_status)
            } else {
                Stapled::No
            };
            self.certificate_timestamps = message.signed_certificate_timestamps;
        }
    }

    fn take_close(&mut self, sender: Direction, how: Close, at: Arrival) {
        let is_first = !self.has_closed(sender);
        let peer = &mut self.peers[sender];
        peer.closing = peer.closing.and(how, at);
        if is_first {
            let observed = match how {
                Close::Fin => Observed::Fin,
                Close::Rst => Observed::Rst,
            };
            self.observe(sender, observed, at.time);
        }
    }

    fn push_alert(&mut self, sender: Direction, content: AlertContent, at: Arrival) {
        self.note(sender, 'L');
        if self.alerts.len() < MAX_ALERTS {
            let side = self.side(sender);
            let is_late = match &self.decrypted {
                Some(decrypted) => decrypted.is_in_use_for(side),
                None => self.is_complete(),
            };
            self.alerts.push(AlertSeen {
                sender,
                at,
                content,
                is_late,
            });
        }
    }

    /// Adds an observation. Only TLS 1.3 needs them: up to TLS 1.2, the messages that count are in the clear.
    fn observe(&mut self, sender: Direction, what: Observed, time: Timestamp) {
        if self.is_tls13() && self.observations.len() < MAX_OBSERVATIONS {
            let observation = Observation {
                side: self.side(sender),
                what,
                time,
                end: time,
            };
            self.observations.push(observation);
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

    fn decrypted_mut(&mut self) -> &mut Decrypted {
        self.decrypted.get_or_insert_default()
    }
}

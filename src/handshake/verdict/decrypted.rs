//! TLS 1.3 with keys: what opened records tell, and the verdict that rests on it.

use crate::certificate::OcspStaple;
use crate::event::{ClientCertificate, EarlyData, Evidence, Outcome};
use crate::flow::{Direction, PerSide, Side};
use crate::time::Timestamp;
use crate::tls::{
    AlertDescription, CertificateMessage, EncryptedExtensions, HandshakeType, Message,
    decompress_certificate,
};
use crate::transport::tcp::Arrival;

use super::cleartext::{self as exchange, Conclusion};
use super::inferred::Shape;
use crate::framing::sealed::Content;
use crate::framing::tls::Close;
use crate::handshake::cause;
use crate::handshake::transcript::{AlertSeen, Tracker};

/// What opened records of a TLS 1.3 connection told.
#[derive(Debug, Default)]
pub(crate) struct Decrypted {
    pub(crate) extensions: Option<EncryptedExtensions>,
    /// When Finished ended: client, server.
    finished: PerSide<Option<Timestamp>>,
    /// When the first application data after the client's Finished began: client, server.
    application_data: PerSide<Option<Timestamp>>,
    /// Handshake messages of the server after the client's Finished: tickets, requests.
    server_messages: u32,
    /// Records after the client's Finished.
    records_after: usize,
    /// Whether some records could not be opened: client, server.
    is_closed: PerSide<bool>,
}

/// Records after the client's Finished, without an answer of the server to them, before the handshake is reported.
const MAX_RECORDS_UNANSWERED: usize = 64;
/// Records after the client's Finished, answered, before the handshake is reported: what is said at the end of a short
/// connection, or of a client's certificate on its first request, is among them.
const MAX_RECORDS_IN_USE: usize = 32;

impl Decrypted {
    fn has_read_all(&self) -> bool {
        !self.is_closed.client && !self.is_closed.server
    }

    /// Whether the server has answered data of the client; `None` if that cannot be told.
    pub(crate) fn is_in_use(&self) -> Option<bool> {
        let server_data = self.application_data.server;
        self.has_read_all().then_some(server_data.is_some())
    }

    /// Whether nothing that comes can change the verdict; `None` if that cannot be told.
    pub(crate) fn is_decided(&self) -> Option<bool> {
        let server_data = self.application_data.server;
        let is_over = match server_data {
            Some(_) => self.records_after >= MAX_RECORDS_IN_USE,
            None => self.records_after >= MAX_RECORDS_UNANSWERED,
        };
        self.has_read_all().then_some(is_over)
    }

    /// Whether an alert of `side` came after the handshake was in use.
    pub(crate) const fn is_late(&self, side: Side) -> bool {
        let PerSide { client, server } = self.application_data;
        match side {
            Side::Client => client.is_some() || server.is_some(),
            Side::Server => server.is_some(),
        }
    }

    /// Whether `side` had sent its Finished when something came `at`.
    fn has_finished(&self, side: Side, at: Arrival) -> bool {
        self.finished[side].is_some_and(|finished| finished <= at.time)
    }

    /// Whether both sides completed the handshake, and the server had nothing against it.
    fn is_success(&self, tracker: &Tracker) -> bool {
        let is_complete = self.finished.iter().all(Option::is_some);
        let has_gone_on = self.server_messages > 0 || self.application_data.server.is_some();
        is_complete && (has_gone_on || self.has_read_all() && self.has_ended_well(tracker))
    }

    /// Whether the end shows that the server took the client's flight, although it sent nothing but perhaps close_notify.
    fn has_ended_well(&self, tracker: &Tracker) -> bool {
        let has_certificate = tracker.peer(Side::Client).certificate.is_some();
        let has_unanswered_data = self.application_data.client.is_some();
        let first_close = tracker.first_close().map(|(side, close, _)| (side, close));
        let says_goodbye = |side| {
            let sender = tracker.direction(side);
            let mut alerts = tracker.alerts.iter();
            alerts.any(|alert| alert.sender == sender && alert.is_close_notify())
        };
        match first_close {
            // Servers that refuse a certificate without saying so leave data unanswered, or reset.
            _ if says_goodbye(Side::Server) && has_certificate => {
                says_goodbye(Side::Client)
                    && !has_unanswered_data
                    && first_close != Some((Side::Server, Close::Rst))
            }
            _ if says_goodbye(Side::Server) => true,
            _ if has_certificate => false,
            Some((Side::Server, _)) => false,
            Some((Side::Client, _)) => !has_unanswered_data,
            None => true,
        }
    }

    /// Puts what is known in the place of what was inferred.
    pub(crate) fn correct(&self, shape: &mut Shape, tracker: &Tracker) {
        let PerSide {
            client: client_finished,
            server: server_finished,
        } = self.finished;
        let certificate = &tracker.peer(Side::Client).certificate;
        shape.client_certificate = match certificate {
            Some(body) if body.len() <= 3 => ClientCertificate::Absent,
            Some(_) => ClientCertificate::Presented,
            None if tracker.certificate_request.is_some() && !self.is_closed.client => {
                ClientCertificate::Requested
            }
            None if tracker.certificate_request.is_none() && server_finished.is_some() => {
                ClientCertificate::NotRequested
            }
            None => shape.client_certificate,
        };
        if let Some(extensions) = &self.extensions
            && shape.early_data.is_some()
        {
            shape.early_data = Some(if extensions.early_data {
                EarlyData::Accepted
            } else {
                EarlyData::Rejected
            });
        }
        if self.has_read_all() {
            shape.finished = client_finished;
            shape.server_flight_end = server_finished;
            shape.application_data = self.application_data.iter().flatten().min().copied();
            shape.server_records_after = 0;
        }
    }
}

/// The verdict that rests on opened records; `None` if they do not carry one.
pub(crate) fn conclude(tracker: &Tracker) -> Option<Conclusion> {
    let decrypted = tracker.decrypted.as_ref()?;
    if let Some((alert, description)) = first_error(tracker, decrypted) {
        let side = tracker.side(alert.sender);
        let failure = cause::from_alert(tracker, side, description);
        return alert.is_encrypted.then(|| Conclusion {
            evidence: Evidence::Decrypted,
            ..Conclusion::failed(failure)
        });
    }
    decrypted.is_success(tracker).then(|| Conclusion {
        evidence: Evidence::Decrypted,
        ..Conclusion::observed(Outcome::Success)
    })
}

/// The alert that says what is wrong: the first, unless the handshake was in use, or its sender's peer had left.
fn first_error(tracker: &Tracker, decrypted: &Decrypted) -> Option<(AlertSeen, AlertDescription)> {
    for alert in tracker.alerts.iter().filter(|alert| !alert.is_late) {
        let side = tracker.side(alert.sender);
        match alert.description()? {
            // Whoever is done may leave, and still hear what was wrong with its flight.
            AlertDescription::CloseNotify if side == Side::Server => return None,
            AlertDescription::CloseNotify if !decrypted.has_finished(side, alert.at) => {
                return None;
            }
            AlertDescription::CloseNotify | AlertDescription::UserCanceled => {}
            description => {
                let is_answer = exchange::is_reaction(tracker, alert)
                    && (is_about_close(description)
                        || !decrypted.has_finished(side.peer(), alert.at));
                return (!is_answer).then_some((*alert, description));
            }
        }
    }
    None
}

/// Whether this is what some stacks say to a stream that ends without close_notify.
const fn is_about_close(description: AlertDescription) -> bool {
    matches!(
        description,
        AlertDescription::DecodeError | AlertDescription::UnexpectedMessage
    )
}

impl Tracker {
    /// Notes that not all records of `sender` can be opened.
    pub(crate) fn note_closed_book(&mut self, sender: Direction) {
        if self.is_tls13() {
            let side = self.side(sender);
            self.decrypted_mut().is_closed[side] = true;
        }
    }

    /// Takes a handshake message of TLS 1.3 that was encrypted.
    pub(crate) fn handle_decrypted_message(
        &mut self,
        sender: Direction,
        message: Message<'_>,
        at: Arrival,
    ) {
        self.note(sender, letter(message.handshake_type));
        self.is_truncated |= message.body.is_none() && message.length > crate::tls::MAX_MESSAGE;
        match (message.handshake_type, message.body) {
            (HandshakeType::EncryptedExtensions, Some(body)) => {
                self.decrypted_mut().extensions = EncryptedExtensions::read(body).ok();
            }
            (HandshakeType::Certificate, Some(body)) => self.handle_certificate(sender, body),
            (HandshakeType::CompressedCertificate, Some(body)) => {
                if let Ok(body) = decompress_certificate(body) {
                    self.handle_certificate(sender, &body);
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

    /// An encrypted record of TLS 1.3 that began at `start` has ended.
    pub(crate) fn handle_content(
        &mut self,
        sender: Direction,
        content: Content,
        start: Timestamp,
        now: Arrival,
    ) {
        match content {
            Content::Alert(level, description) => {
                self.push_alert(sender, Some((level, description)), true, now);
            }
            Content::ApplicationData | Content::Closed => self.note(sender, 'D'),
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
    fn handle_certificate(&mut self, sender: Direction, body: &[u8]) {
        if let Ok(message) = CertificateMessage::read(body) {
            self.peers[sender].certificate = Some(message.to_tls12().into());
            if self.side(sender) == Side::Server {
                self.certificate_status = message.ocsp_stapled;
                self.ocsp_staple = message.certificate_status.and_then(OcspStaple::read);
                self.certificate_timestamps = message.signed_certificate_timestamps;
            }
        }
    }

    fn decrypted_mut(&mut self) -> &mut Decrypted {
        self.decrypted.get_or_insert_default()
    }
}

/// The letter of an encrypted message in the history.
const fn letter(handshake_type: HandshakeType) -> char {
    match handshake_type {
        HandshakeType::EncryptedExtensions => 'O',
        HandshakeType::EndOfEarlyData => 'E',
        HandshakeType::CompressedCertificate => 'X',
        HandshakeType::KeyUpdate => 'P',
        _ => crate::handshake::transcript::letter(handshake_type),
    }
}

//! Transcripts built by hand, for tests of everything that reads one.
//!
//! A [`Script`] plays what both sides do, one packet and one millisecond after another:
//!
//! ```text
//! full().server_flight().client_records(&[53]).server_records(&[250]).fin(CLIENT)
//! ```
//!
//! Lengths are those of AES-128-GCM with SHA-256: an alert takes 19 bytes, an empty
//! Certificate 25, Finished 53, both together 61, EndOfEarlyData 21.

use std::time::Duration;

use crate::certificate::support;
use crate::decode::{IcmpError, Undeliverable};
use crate::error_type::ErrorType;
use crate::event::{ClientCertificate, EapResult, Finding, Outcome};
use crate::flow::{Direction, PerSide, Side};
use crate::framing::quic::QuicSeen;
use crate::framing::{Close, Content, Recipient as _, SealedUnit, Seen};
use crate::time::Timestamp;
use crate::tls::{
    AlertDescription, AlertLevel, CipherSuite, ClientHello, ContentType, HandshakeType, Message,
    ProtocolVersion, ServerHello, TextCache,
};
use crate::transport::tcp::{Arrival, DeliveryState, Outstanding};

use super::end::End;
use super::facts;
use super::progress::{HandshakeProgress, Standing};
use super::tracker::ProgressRecorder;
use super::transcript::{EapEnd, Transcript, Unanswered};
use super::verdict::{self, Conclusion, Shape};

pub(super) const CLIENT: Side = Side::Client;
pub(super) const SERVER: Side = Side::Server;

/// What both sides of one connection do, in order. The client sends in [`Direction::Forward`].
#[derive(Debug)]
pub(super) struct Script {
    pub(super) transcript: Transcript,
    standing: Standing,
    now: Arrival,
    /// Bytes that each side has sent: [`ITEM_LENGTH`] an item.
    sent: PerSide<u32>,
    /// How many items of its peer the next actor has not received yet.
    unreceived: u32,
}

/// Bytes that an item takes in its stream.
const ITEM_LENGTH: u32 = 100;

/// A connection of which both directions are in view, before the first hello.
pub(super) fn connection() -> Script {
    one_sided().in_view(CLIENT).in_view(SERVER)
}

/// A connection of which no packet is in view yet.
pub(super) fn one_sided() -> Script {
    let now = Arrival::new(Timestamp::from_seconds(0), 0);
    Script {
        transcript: Transcript::new(now),
        standing: Standing::default(),
        now,
        sent: PerSide::default(),
        unreceived: 0,
    }
}

/// A full TLS 1.3 handshake after its ServerHello.
pub(super) fn full() -> Script {
    connection().client_hello(|_| {}).server_hello_13(|_| {})
}

/// A TLS 1.3 handshake that resumes a session, after its ServerHello.
pub(super) fn resuming() -> Script {
    connection()
        .client_hello(|_| {})
        .server_hello_13(|hello| hello.pre_shared_key = true)
}

/// A TLS 1.2 handshake after its ServerHello.
pub(super) fn tls12() -> Script {
    connection()
        .client_hello(|hello| hello.supported_versions = None)
        .server_hello_12()
}

/// The hellos.
impl Script {
    /// A ClientHello that offers TLS 1.3 and 1.2, with a change.
    pub(super) fn client_hello(self, change: impl FnOnce(&mut ClientHello)) -> Self {
        let mut hello = ClientHello::default();
        hello.legacy_version = ProtocolVersion::TLSv1_2;
        hello.psk_key_exchange_modes = true; // as most clients do
        hello.supported_versions = Some(vec![ProtocolVersion::TLSv1_3, ProtocolVersion::TLSv1_2]);
        change(&mut hello);
        self.play(CLIENT, |start| Seen::ClientHello {
            hello: Box::new(hello),
            bytes: 100,
            start,
        })
    }

    pub(super) fn server_hello_13(self, change: impl FnOnce(&mut ServerHello)) -> Self {
        let mut hello = ServerHello {
            legacy_version: ProtocolVersion::TLSv1_2,
            supported_version: Some(ProtocolVersion::TLSv1_3),
            cipher_suite: Some(CipherSuite::TLS_AES_128_GCM_SHA256),
            ..ServerHello::default()
        };
        change(&mut hello);
        self.play(SERVER, |start| Seen::ServerHello {
            hello: Box::new(hello),
            start,
        })
    }

    pub(super) fn retry_request(self) -> Self {
        self.server_hello_13(|hello| hello.is_retry = true)
    }

    pub(super) fn server_hello_12(self) -> Self {
        self.server_hello_13(|hello| hello.supported_version = None)
    }
}

/// In the clear.
impl Script {
    pub(super) fn message(self, side: Side, handshake_type: HandshakeType, body: &[u8]) -> Self {
        let message = Message {
            handshake_type,
            body: Some(body),
            length: body.len(),
        };
        let sealed = false;
        self.play(side, |at| Seen::Message {
            message,
            sealed,
            at,
        })
    }

    /// A fatal alert.
    pub(super) fn alert(self, side: Side, description: AlertDescription) -> Self {
        self.any_alert(side, AlertLevel::Fatal, description)
    }

    pub(super) fn warning(self, side: Side, description: AlertDescription) -> Self {
        self.any_alert(side, AlertLevel::Warning, description)
    }

    pub(super) fn change_cipher_spec(self, side: Side) -> Self {
        self.play(side, |at| Seen::ChangeCipherSpec { at })
    }

    pub(super) fn not_tls(self, side: Side) -> Self {
        self.play(side, |_| Seen::NotTls)
    }

    pub(super) fn fin(self, side: Side) -> Self {
        self.play(side, |at| Seen::Close {
            how: Close::Fin,
            at,
        })
    }

    /// A FIN that was not captured: only what follows shows that it was sent.
    pub(super) fn unseen_fin(self, side: Side) -> Self {
        self.play(side, |at| Seen::Close {
            how: Close::Fin,
            at: Arrival {
                acknowledged: None,
                ..at
            },
        })
    }

    pub(super) fn rst(self, side: Side) -> Self {
        self.play(side, |at| Seen::Close {
            how: Close::Rst,
            at,
        })
    }

    /// Bytes of a side that the capture lacks.
    pub(super) fn gap(self, side: Side) -> Self {
        self.play(side, |_| Seen::Gap(100))
    }

    pub(super) fn in_view(mut self, side: Side) -> Self {
        self.transcript.note_packet(direction(side), self.now);
        self
    }

    /// Something else than TLS before the handshake.
    pub(super) fn plain(mut self, side: Side) -> Self {
        self.transcript.note_plain(direction(side));
        self
    }

    pub(super) fn truncated(mut self) -> Self {
        self.transcript.note_truncated();
        self
    }

    /// The observation ends so much later.
    pub(super) fn then_nothing(self, milliseconds: u64) -> Self {
        let mut later = self.wait(milliseconds);
        later.transcript.note_until(later.now.time);
        later
    }

    /// What a side sent last was not acknowledged.
    pub(super) fn unacknowledged(self, side: Side) -> Self {
        self.sent_again(side, 1, 517)
    }

    /// What a side sent last was not acknowledged, and sent again: `times` in all, in segments of `length` bytes.
    pub(super) fn sent_again(self, side: Side, times: u32, length: u32) -> Self {
        let first_sent = self.now.time;
        self.delivery(side, |delivery| {
            let start = delivery.data_end.saturating_sub(1);
            delivery.outstanding = Some(Outstanding {
                start,
                length,
                times,
                first_sent,
                last_sent: first_sent.saturating_add(Duration::from_secs((1 << (times - 1)) - 1)),
            });
        })
    }

    /// Bytes of a side are missing in front of its last ones, and its peer acknowledges only what came before them.
    pub(super) fn lost_in_network(self, side: Side) -> Self {
        let now = self.now.time;
        self.delivery(side, |delivery| delivery.hole = Some((1_400, now)))
    }

    /// EAP carries the handshake.
    pub(super) fn eap(mut self) -> Self {
        self.transcript.eap_mut();
        self
    }

    /// The server has all that the client sent, and goes on with the EAP method without a word of TLS.
    pub(super) fn eap_continued(mut self) -> Self {
        let at = Arrival {
            acknowledged: Some(self.sent.client),
            ..self.now
        };
        self.transcript.eap_mut().continued = Some(at);
        self
    }

    /// The login ends, amid a flight or not.
    pub(super) fn eap_end(mut self, result: EapResult, is_amid_flight: bool) -> Self {
        let at = self.now;
        self.transcript.eap_mut().end = Some(EapEnd {
            result,
            at,
            is_amid_flight,
        });
        self
    }

    /// A side does not answer what it was asked so often, in so many seconds.
    pub(super) fn eap_unanswered(mut self, owing: Side, times: u16, seconds: u64) -> Self {
        let first = self.now.time;
        self.transcript.eap_mut().unanswered = Some(Unanswered {
            owing,
            times,
            first,
            last: first.saturating_add(Duration::from_secs(seconds)),
        });
        self
    }

    pub(super) fn wait(mut self, milliseconds: u64) -> Self {
        let waited = Duration::from_millis(milliseconds);
        self.now.time = self.now.time.saturating_add(waited);
        self
    }

    /// ICMP reports a datagram of a side as undeliverable: its receiver, or a router.
    pub(super) fn undelivered(
        mut self,
        sender: Side,
        reason: Undeliverable,
        is_from_receiver: bool,
    ) -> Self {
        let (client, server) = ([192, 0, 2, 1], [192, 0, 2, 2]);
        let addresses = match sender {
            Side::Client => [client, server],
            Side::Server => [server, client],
        };
        let reporter = match is_from_receiver {
            true => addresses[1],
            false => [203, 0, 113, 1],
        };
        let error = IcmpError::about(addresses, 1_200, reporter, reason);
        self.transcript
            .note_undeliverable(direction(sender), &error, self.now);
        self
    }

    /// The next item is sent before its sender has received the last `items` of its peer. Otherwise each side has received
    /// all that its peer sent.
    pub(super) fn before_receiving(mut self, items: u32) -> Self {
        self.unreceived = items;
        self
    }

    /// The FINs so far were acknowledged.
    pub(super) fn acknowledged_fins(mut self) -> Self {
        for side in Side::BOTH {
            let closing = self.transcript.peer(side).closing.first();
            if let Some((Close::Fin, fin)) = closing {
                self.transcript.delivery_mut()[direction(side)].acknowledged = Some(fin.end);
            }
        }
        self
    }

    /// How far the bytes of a side got; by default nothing is known of it.
    pub(super) fn delivery(mut self, side: Side, change: impl FnOnce(&mut DeliveryState)) -> Self {
        change(&mut self.transcript.delivery_mut()[direction(side)]);
        self
    }

    /// The next item is captured with an earlier time than the last.
    pub(super) fn step_back(mut self, milliseconds: i64) -> Self {
        let now = self.now.time.as_nanoseconds() - milliseconds * 1_000_000;
        self.now.time = Timestamp::from_nanoseconds(now);
        self
    }

    fn any_alert(self, side: Side, level: AlertLevel, description: AlertDescription) -> Self {
        self.play(side, |at| Seen::Alert {
            level,
            description,
            at,
        })
    }
}

/// Encrypted, without keys.
impl Script {
    pub(super) fn client_records(self, lengths: &[u16]) -> Self {
        self.records(CLIENT, lengths)
    }

    pub(super) fn server_records(self, lengths: &[u16]) -> Self {
        self.records(SERVER, lengths)
    }

    /// EncryptedExtensions, Certificate, CertificateVerify, Finished.
    pub(super) fn server_flight(self) -> Self {
        self.server_records(&[23, 900, 281, 53])
    }

    /// The same with a CertificateRequest.
    pub(super) fn server_flight_with_request(self) -> Self {
        self.server_records(&[23, 45, 900, 281, 53])
    }

    /// Up to TLS 1.2, an encrypted record of which the type is readable.
    pub(super) fn sealed(self, side: Side, content_type: ContentType) -> Self {
        self.record(side, content_type, 40, None)
    }

    /// An encrypted record of which type, or epoch, and length are readable.
    pub(super) fn sealed_of(self, side: Side, content_type: ContentType, length: u16) -> Self {
        self.record(side, content_type, length, None)
    }

    /// Up to TLS 1.2, a record of application data of this length.
    pub(super) fn data_12(self, side: Side, length: u16) -> Self {
        self.record(side, ContentType::ApplicationData, length, None)
    }

    /// Up to TLS 1.2, an alert that cannot be read.
    pub(super) fn sealed_alert(self, side: Side) -> Self {
        self.sealed(side, ContentType::Alert)
    }

    /// Up to TLS 1.2: ChangeCipherSpec and Finished.
    pub(super) fn finished_12(self, side: Side) -> Self {
        self.change_cipher_spec(side)
            .sealed(side, ContentType::Handshake)
    }

    fn records(self, side: Side, lengths: &[u16]) -> Self {
        lengths.iter().fold(self, |script, length| {
            script.record(side, ContentType::ApplicationData, *length, None)
        })
    }

    fn record(
        self,
        side: Side,
        content_type: ContentType,
        length: u16,
        content: Option<Content>,
    ) -> Self {
        let unit = SealedUnit {
            content_type,
            length,
            has_key: content.is_some(),
        };
        let content = content.unwrap_or(Content::Unknown);
        let begun = self.play(side, |start| Seen::SealedStart { unit, start });
        begun.at_once(side, |end| Seen::SealedEnd { unit, content, end })
    }
}

/// Encrypted, with keys.
impl Script {
    pub(super) fn opened(self, side: Side, handshake_type: HandshakeType, body: &[u8]) -> Self {
        let message = Message {
            handshake_type,
            body: Some(body),
            length: body.len(),
        };
        let content = Content::Handshake;
        let unit = SealedUnit {
            content_type: ContentType::ApplicationData,
            length: 100,
            has_key: true,
        };
        let sealed = true;
        self.play(side, |start| Seen::SealedStart { unit, start })
            .at_once(side, |at| Seen::Message {
                message,
                sealed,
                at,
            })
            .at_once(side, |end| Seen::SealedEnd { unit, content, end })
    }

    pub(super) fn opened_alert(self, side: Side, description: AlertDescription) -> Self {
        let content = Content::Alert(AlertLevel::Fatal, description);
        let content_type = if self.transcript.is_tls13() {
            ContentType::ApplicationData
        } else {
            ContentType::Alert
        };
        self.record(side, content_type, 19, Some(content))
    }

    pub(super) fn opened_data(self, side: Side) -> Self {
        self.opened_data_of(side, 100)
    }

    /// Data in a record of this length.
    pub(super) fn opened_data_of(self, side: Side, length: u16) -> Self {
        let content = Some(Content::ApplicationData);
        self.record(side, ContentType::ApplicationData, length, content)
    }

    /// From here on, the records of a side cannot be opened.
    pub(super) fn unreadable(self, side: Side) -> Self {
        self.play(side, |_| Seen::Unreadable { has_waited: false })
    }
}

/// What is concluded.
impl Script {
    pub(super) fn shape(&self) -> Shape {
        verdict::shape(&self.transcript).expect("a ServerHello of TLS 1.3")
    }

    /// What the event reports about the client's certificate.
    pub(super) fn client_certificate(&self) -> ClientCertificate {
        let shape = verdict::shape(&self.transcript);
        let mut texts = TextCache::default();
        let facts = facts::negotiated(
            &self.transcript,
            shape.as_ref(),
            Outcome::Success,
            true,
            &mut texts,
        );
        facts.client_certificate
    }

    pub(super) fn progress(&self) -> HandshakeProgress {
        self.standing.progress(&self.transcript)
    }

    pub(super) fn conclude(&self, end: End, findings: &[Finding]) -> Conclusion {
        let shape = verdict::shape(&self.transcript);
        let early = self.standing.early();
        verdict::conclude(&self.transcript, early, shape.as_ref(), end, findings)
    }

    /// Outcome, rule and error at the end of the capture, as in `failure C3: client_rejected_server by client`; in place of
    /// the rule, `observed` or `decrypted`.
    pub(super) fn verdict(&self) -> String {
        self.verdict_with(End::CaptureEnd, &[])
    }

    pub(super) fn verdict_with(&self, end: End, findings: &[Finding]) -> String {
        let conclusion = self.conclude(end, findings);
        let how = match &conclusion.rule {
            Some((rule, _)) => rule,
            None => conclusion.evidence.as_str(),
        };
        let verdict = format!("{} {how}", conclusion.outcome.as_str());
        match conclusion.failure {
            Some(failure) => {
                let error_type = failure.error_type.as_str();
                format!("{verdict}: {error_type} by {}", failure.side)
            }
            None => verdict,
        }
    }

    /// What only QUIC has.
    pub(super) fn quic(self, side: Side, seen: impl FnOnce(Arrival) -> QuicSeen) -> Self {
        self.play(side, |at| Seen::Quic(seen(at)))
    }

    /// Plays one item a millisecond and a packet later.
    fn play<'a>(self, side: Side, item: impl FnOnce(Arrival) -> Seen<'a>) -> Self {
        let mut later = self.wait(1);
        later.now.packet += 1;
        later.sent[side] += ITEM_LENGTH;
        later.now.end = later.sent[side];
        let received = later.sent[side.peer()].saturating_sub(later.unreceived * ITEM_LENGTH);
        later.now.acknowledged = Some(received);
        later.unreceived = 0;
        later.at_once(side, item)
    }

    fn at_once<'a>(mut self, side: Side, item: impl FnOnce(Arrival) -> Seen<'a>) -> Self {
        let item = item(self.now);
        if !matches!(item, Seen::Close { .. } | Seen::Gap(_)) {
            let delivery = &mut self.transcript.delivery_mut()[direction(side)];
            delivery.last_data = Some(self.now.time);
            delivery.data_end = self.now.end;
            delivery.acknowledged = Some(self.now.end);
        }
        let mut recorder = ProgressRecorder {
            transcript: &mut self.transcript,
            standing: &mut self.standing,
        };
        recorder.take(direction(side), item);
        self
    }
}

/// A finding on the certificate of `side`.
pub(super) fn finding(side: Side, error_type: ErrorType) -> Finding {
    Finding {
        error_type,
        side,
        detail: "detail".into(),
        certificate: support::leaf().into(),
    }
}

const fn direction(side: Side) -> Direction {
    match side {
        Side::Client => Direction::Forward,
        Side::Server => Direction::Reverse,
    }
}

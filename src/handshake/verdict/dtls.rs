//! Verdicts on DTLS, where nothing closes a connection and, before DTLS 1.3, nothing is acknowledged.
//!
//! # What does silence mean?
//!
//! By itself nothing: the capture may lack a datagram, and nothing in later ones shows it. But a side that lacks an
//! answer repeats its flight (RFC 6347 §4.2.4). So a flight that was sent again and again shows that no answer
//! came, and who owed it ([`D1`]).
//!
//! # What shows the outcome of DTLS 1.3?
//!
//! The epoch of a record is readable: the handshake is encrypted in epoch 2, and what follows it in epoch 3
//! (RFC 9147 §6.1). A server that has accepted the client's flight acknowledges it in epoch 3, with 35 bytes or more;
//! an alert is shorter than all else. So lengths and epochs together tell acceptance from refusal.

use std::time::Duration;

use crate::event::{ClientCertificate, Evidence, Outcome, UnknownBecause};
use crate::flow::Side;
use crate::handshake::cause;
use crate::handshake::end::End;
use crate::handshake::transcript::{AlertSeen, Observation, Observed, Transcript};
use crate::tls::{CipherSuite, HandshakeType};
use crate::transport::tcp::Outstanding;

use super::conclusion::{CleartextRule, Conclusion};
use super::inferred::Shape;
use super::{cleartext, silence, undelivered};

/// 5 of 5 in the labs: servers of GnuTLS that lack a client certificate say nothing. Losses look the same.
const D1: CleartextRule = CleartextRule {
    id: "D1",
    confidence: 0.97,
    observation: "a flight was retransmitted several times and never answered",
};

/// Like D3 and D4 right in all of some 25 cases, but nearly all of these are of one program (wolfSSL 5.9).
const D2: CleartextRule = CleartextRule {
    id: "D2",
    confidence: 0.75,
    observation: "the server answered the client's last flight in the epoch of application data",
};

const D3: CleartextRule = CleartextRule {
    id: "D3",
    confidence: 0.75,
    observation: "the client answered the server's flight with an alert-length record alone",
};

const D4: CleartextRule = CleartextRule {
    id: "D4",
    confidence: 0.75,
    observation: "the server answered the client's last flight with an alert-length record",
};

/// How often a flight is sent, and over which time, before it counts as not answered: timers begin with 1 s (RFC 6347
/// §4.2.4.1), or with 50 ms in browsers, and double.
const UNANSWERED_COPIES: u32 = 3;
const UNANSWERED_TIME: Duration = Duration::from_secs(1);

/// How long a side waits for an acknowledgment at first, before it repeats its flight (RFC 9147 §5.8.2).
const FIRST_TIMER: Duration = Duration::from_secs(1);

/// The verdict on a handshake up to DTLS 1.2 without an alert that decides.
pub(super) fn silence(transcript: &Transcript, end: End) -> Conclusion {
    // Without it, a server has no Finished to send, and nothing is used.
    let has_client_flight = transcript.has_message(HandshakeType::ClientKeyExchange)
        || transcript.peer(Side::Server).finished.is_some()
        || transcript.records_in_use() > 0;
    if let Some(conclusion) = undelivered::conclude(transcript, end, has_client_flight) {
        return conclusion;
    }
    if end == End::PacketsDropped {
        return silence::unknown(transcript, end); // an answer may be missing
    }
    let owing = silence::owing(transcript, None);
    let unanswered = transcript.delivery(owing.peer()).outstanding;
    let Some(copies) = unanswered.filter(|copies| {
        copies.times >= UNANSWERED_COPIES && copies.repeated_for() >= UNANSWERED_TIME
    }) else {
        return silence::unknown(transcript, end);
    };
    // A side that repeats its own flight in turn is there, and the network loses what it waits for.
    let asks_in_turn = transcript.delivery(owing).outstanding;
    if asks_in_turn.is_some_and(|own| own.is_repeated() && own.last_sent > copies.first_sent) {
        return Conclusion::unknown(UnknownBecause::LastDataNotAcknowledged);
    }
    if owing == Side::Server && may_lack_certificate(transcript) {
        return Conclusion::unknown(UnknownBecause::Gap);
    }
    Conclusion::inferred(cause::unanswered_flight(transcript, owing, copies), &D1)
}

/// Whether alerts in the clear leave open what ended the handshake, since anybody can send one in the name of a side, and nothing refutes
/// them: they contradict each other, there are too many, encrypted records of their sender follow, which may be forged as well, or a client
/// refuses a certificate before the server has said anything.
pub(super) fn are_alerts_doubtful(transcript: &Transcript) -> bool {
    let standing = || {
        transcript.alerts().iter().filter(|alert| {
            cleartext::is_forgeable(transcript, alert)
                && !alert.is_late
                && !transcript.is_reaction(alert)
                && !cleartext::is_refuted(transcript, alert)
        })
    };
    // A side sends only one, and none once it has received that of its peer.
    let said = |alert: &AlertSeen| (transcript.side(alert.sender), alert.description());
    let mut others = standing().map(said);
    let first = others.next();
    let is_doubtful = |alert| {
        is_followed_by_sealed(transcript, alert) || cleartext::is_premature(transcript, alert)
    };
    transcript.lacks_alerts()
        || others.any(|other| Some(other) != first)
        || standing().any(is_doubtful)
}

/// Whether something contradicts that both sides sent Finished, since anybody can send what looks like it, and nothing was sent that uses
/// the connection: a fatal alert in the clear, which no side sends that has changed its cipher, or the flight before the last Finished
/// comes again, and that Finished does not.
pub(super) fn is_completion_doubtful(transcript: &Transcript) -> bool {
    if transcript.records_in_use() > 0 || transcript.keyed_records() > 0 {
        return false;
    }
    let is_standing = |alert: &AlertSeen| {
        cleartext::is_forgeable(transcript, alert) && !cleartext::is_refuted(transcript, alert)
    };
    let is_asked_again = |waiting: Side| {
        let [finished, last_finished] =
            [waiting, waiting.peer()].map(|side| transcript.peer(side).finished);
        let [asking, answering] =
            [waiting, waiting.peer()].map(|side| transcript.delivery(side).outstanding);
        let is_after = |copies: &Outstanding| {
            let answered = answering.map(|copies| copies.last_sent);
            copies.is_repeated() && Some(copies.last_sent) > last_finished.max(answered)
        };
        last_finished >= finished && asking.as_ref().is_some_and(is_after)
    };
    transcript.alerts().iter().any(is_standing) || Side::BOTH.into_iter().any(is_asked_again)
}

/// Whether encrypted records came of the sender of an alert after it.
fn is_followed_by_sealed(transcript: &Transcript, alert: &AlertSeen) -> bool {
    let side = transcript.side(alert.sender);
    let peer = transcript.peer(side);
    let is_later = |time| time > alert.at.time;
    let is_sealed = |other: &AlertSeen| other.sender == alert.sender && other.is_encrypted();
    let mut alerts = transcript.alerts().iter();
    let mut records = transcript.observations().iter();
    let is_record = |seen: &Observation| {
        let is_sealed = matches!(seen.what, Observed::Handshake(_) | Observed::Record(_));
        seen.side == side && is_sealed && is_later(seen.time)
    };
    peer.finished.is_some_and(is_later)
        || peer.application_data.is_some_and(is_later)
        || alerts.any(|other| is_sealed(other) && is_later(other.at.time))
        || records.any(is_record)
}

/// Whether the capture may lack the client's Certificate message, so that nothing shows whether the server misses a
/// certificate.
fn may_lack_certificate(transcript: &Transcript) -> bool {
    let client = transcript.peer(Side::Client);
    let is_lacking = transcript.certificate_request().is_some() || client.gap_bytes > 0;
    transcript.has_message(HandshakeType::ClientKeyExchange)
        && client.certificate.is_none()
        && is_lacking
}

/// The verdict on a handshake of DTLS 1.3 without keys, after its ServerHello.
pub(super) fn conclude(transcript: &Transcript, end: End) -> Conclusion {
    let records = Records::of(transcript);
    if !records.is_accepted() && are_alerts_doubtful(transcript) {
        return Conclusion::unknown(UnknownBecause::AmbiguousRecords);
    }
    if let Some(alert) = transcript
        .alerts()
        .iter()
        .find(|alert| !alert.is_encrypted() && !cleartext::is_refuted(transcript, alert))
    {
        let side = transcript.side(alert.sender);
        if let Some(description) = alert.description().filter(|_| !records.is_accepted()) {
            return Conclusion::failed(cause::from_alert(transcript, side, description));
        }
    }
    if records.is_accepted() {
        return Conclusion {
            evidence: Evidence::Inferred,
            confidence: D2.confidence,
            rule: Some((D2.id, vec![D2.observation].into())),
            ..Conclusion::observed(Outcome::Success)
        };
    }
    if records.is_refused_by_client() {
        return Conclusion::inferred(cause::refusal_of_flight(Side::Client), &D3);
    }
    if records.is_refused_by_server() || records.is_refused_amid_flight(transcript) {
        return Conclusion::inferred(cause::refusal_of_flight(Side::Server), &D4);
    }
    let has_client_flight = records.flight().is_some() || records.is_used();
    undelivered::conclude(transcript, end, has_client_flight)
        .unwrap_or_else(|| silence::unknown(transcript, end))
}

/// What the flights of DTLS 1.3 show apart from the outcome.
pub(super) fn shape(transcript: &Transcript) -> Shape {
    let records = Records::of(transcript);
    let flight = records.flight();
    let server_flight = records
        .all
        .iter()
        .take_while(|seen| seen.side == Side::Server);
    let after = records.after_flight().iter();
    let of = |side| {
        let after = after.clone();
        after.filter(move |seen| seen.side == side && seen.record().is_some())
    };
    Shape {
        client_certificate: ClientCertificate::Unknown,
        early_data: None,
        client_had_certificate: false,
        server_flight_end: server_flight.last().map(|last| last.end),
        finished: flight.map(|last| records.all[last].end),
        application_data: of(Side::Client).next().map(|data| data.time),
        server_records_after: of(Side::Server).count(),
        has_sent_ticket: None,
    }
}

/// Whether nothing that follows can change the verdict: the handshake is accepted, and both sides use it.
pub(in crate::handshake) fn is_in_use(transcript: &Transcript) -> bool {
    let records = Records::of(transcript);
    let mut after = records.after_flight().iter();
    let is_used = after.any(|seen| seen.side == Side::Client && records.is_data(seen));
    is_used && records.is_accepted()
}

/// The encrypted records of DTLS 1.3, by epoch and length.
struct Records<'t> {
    all: &'t [Observation],
    /// The length of a record with an alert.
    alert: u16,
}

/// Bytes that encryption adds to an alert: the type of its content, and the tag of the cipher suite.
const ALERT: u16 = 2 + 1;
const TAG: u16 = 16;
const SHORT_TAG: u16 = 8;

impl<'t> Records<'t> {
    fn of(transcript: &'t Transcript) -> Self {
        let suite = transcript
            .server_hello()
            .and_then(|hello| hello.cipher_suite);
        let has_short_tag = suite == Some(CipherSuite::TLS_AES_128_CCM_8_SHA256);
        Self {
            all: transcript.observations(),
            alert: ALERT + if has_short_tag { SHORT_TAG } else { TAG },
        }
    }

    /// A record of the handshake that is no alert.
    fn is_handshake(&self, seen: &Observation) -> bool {
        matches!(seen.what, Observed::Handshake(length) if length != self.alert)
    }

    /// A record behind the handshake that is no alert: data, a ticket, or an acknowledgment.
    fn is_data(&self, seen: &Observation) -> bool {
        seen.record().is_some_and(|length| length != self.alert)
    }

    fn is_alert(&self, seen: &Observation) -> bool {
        match seen.what {
            Observed::Handshake(length) | Observed::Record(length) => length == self.alert,
            _ => false,
        }
    }

    /// An acknowledgment: a list of record numbers with 16 bytes each and its length (RFC 9147 §7), or of the same length.
    fn may_be_acknowledgment(&self, seen: &Observation) -> bool {
        let empty = self.alert; // the list's length takes as much as an alert
        let (Observed::Handshake(length) | Observed::Record(length)) = seen.what else {
            return false;
        };
        length > empty && (length - empty).is_multiple_of(16)
    }

    /// Where the client's flight ends: with its last record of the handshake.
    fn flight(&self) -> Option<usize> {
        let mut all = self.all.iter();
        all.rposition(|seen| {
            seen.side == Side::Client
                && self.is_handshake(seen)
                && !self.may_be_acknowledgment(seen)
        })
    }

    /// Whether a side has sent anything in the epoch of application data.
    fn is_used(&self) -> bool {
        self.all.iter().any(|seen| seen.record().is_some())
    }

    fn after_flight(&self) -> &'t [Observation] {
        let end = self.flight().map_or(self.all.len(), |last| last + 1);
        self.all.get(end..).unwrap_or_default()
    }

    /// Whether the server has accepted the client's flight.
    fn is_accepted(&self) -> bool {
        let server = self
            .after_flight()
            .iter()
            .filter(|seen| seen.side == Side::Server);
        let mut data = server.clone().filter(|seen| self.is_data(seen));
        let Some(first) = data.next() else {
            return false;
        };
        // It may acknowledge part of a flight that it refuses then.
        let goes_on = data.any(|seen| !self.may_be_acknowledgment(seen));
        let is_telling = !self.may_be_acknowledgment(first) || goes_on;
        let mut alerts = server.filter(|seen| self.is_alert(seen));
        let client_uses_it = self
            .after_flight()
            .iter()
            .any(|seen| seen.side == Side::Client && self.is_data(seen) && seen.time > first.time);
        is_telling || client_uses_it || alerts.next().is_none()
    }

    /// Whether the client's only answer to the server's flight is an alert, and it said nothing more.
    ///
    /// A goodbye has another epoch: then the capture lacks the client's flight.
    fn is_refused_by_client(&self) -> bool {
        let mut client = self.all.iter().filter(|seen| seen.side == Side::Client);
        let has_alert = client.clone().any(|seen| self.is_alert(seen));
        let is_of_handshake = |seen: &Observation| matches!(seen.what, Observed::Handshake(_));
        let is_alert_or_acknowledgment =
            |seen: &Observation| self.is_alert(seen) || self.may_be_acknowledgment(seen);
        has_alert && client.all(|seen| is_of_handshake(seen) && is_alert_or_acknowledgment(seen))
    }

    /// Whether alerts of the server are all that followed the client's flight.
    ///
    /// If the client sends something, too, the capture may lack an acknowledgment, and the alerts are goodbyes.
    fn is_refused_by_server(&self) -> bool {
        let after = self.after_flight();
        let is_refusal = |seen: &Observation| seen.side == Side::Server && self.is_alert(seen);
        !after.is_empty() && after.iter().all(is_refusal)
    }

    /// Whether a server refused the client before it had the whole flight, as those of wolfSSL do: it sent alerts alone since that began, and
    /// the client, which repeats what nobody acknowledges, sent the rest and fell silent.
    ///
    /// An empty acknowledgment has the length of an alert, and asks the client to send again (RFC 9147 §7.1).
    fn is_refused_amid_flight(&self, transcript: &Transcript) -> bool {
        let is_flight = |seen: &Observation| {
            seen.side == Side::Client
                && self.is_handshake(seen)
                && !self.may_be_acknowledgment(seen)
        };
        let Some(start) = self.all.iter().position(is_flight) else {
            return false;
        };
        let after = &self.all[start + 1..];
        let is_refusal = |seen: &Observation| match seen.side {
            Side::Server => self.is_alert(seen),
            Side::Client => is_flight(seen),
        };
        let alert = after.iter().find(|seen| seen.side == Side::Server);
        let (Some(alert), Some(last)) = (alert, after.last()) else {
            return false;
        };
        let until = transcript.observed_until();
        let waited = until.and_then(|until| until.checked_since(last.time));
        let rest_took = last.time.checked_since(alert.time).unwrap_or_default();
        after.iter().all(is_refusal)
            && rest_took < FIRST_TIMER
            && waited.is_some_and(|waited| waited > FIRST_TIMER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::testing::{CLIENT, SERVER, Script, connection, one_sided};
    use crate::tls::{AlertDescription, ContentType, ProtocolVersion};

    const EMPTY: &[u8] = &[0, 0, 0];
    const CHAIN: &[u8] = &[0, 0, 4, 0, 0, 1, 0];

    fn hello() -> Script {
        connection().client_hello(|hello| {
            hello.legacy_version = ProtocolVersion::DTLSv1_2;
            hello.supported_versions = None;
        })
    }

    fn dtls12() -> Script {
        hello().server_hello_13(|hello| {
            hello.legacy_version = ProtocolVersion::DTLSv1_2;
            hello.supported_version = None;
        })
    }

    fn asked() -> Script {
        dtls12()
            .message(SERVER, HandshakeType::CertificateRequest, &[0])
            .message(SERVER, HandshakeType::ServerHelloDone, &[])
    }

    fn answered(certificate: &[u8]) -> Script {
        asked()
            .message(CLIENT, HandshakeType::Certificate, certificate)
            .message(CLIENT, HandshakeType::ClientKeyExchange, &[])
            .finished_12(CLIENT)
    }

    #[test]
    fn silence_after_a_flight_that_was_sent_once_means_nothing() {
        for script in [hello(), asked(), answered(EMPTY)] {
            assert_eq!(script.then_nothing(60_000).verdict(), "unknown observed");
        }
    }

    #[test]
    fn a_flight_that_was_sent_again_and_again_shows_who_fell_silent() {
        let twice = answered(CHAIN).sent_again(CLIENT, 2, 1);
        assert_eq!(twice.verdict(), "unknown observed");
        let refused = answered(CHAIN).sent_again(CLIENT, 3, 1);
        assert_eq!(refused.verdict(), "failure D1: handshake_timeout by server");
        let missing = answered(EMPTY).sent_again(CLIENT, 3, 1);
        assert_eq!(
            missing.verdict(),
            "failure D1: missing_client_cert by server"
        );
        let gone = asked().sent_again(SERVER, 4, 1);
        assert_eq!(gone.verdict(), "failure D1: handshake_timeout by client");
        let no_answer = hello().sent_again(CLIENT, 4, 1);
        assert_eq!(no_answer.verdict(), "failure D1: no_server_hello by server");
        let dropped = no_answer.verdict_with(End::PacketsDropped, &[]);
        assert_eq!(dropped, "unknown observed", "an answer may be missing");
    }

    #[test]
    fn an_empty_certificate_shows_that_the_server_asked_for_one() {
        let missed = dtls12()
            .message(CLIENT, HandshakeType::Certificate, EMPTY)
            .message(CLIENT, HandshakeType::ClientKeyExchange, &[])
            .finished_12(CLIENT);
        assert_eq!(
            missed.sent_again(CLIENT, 3, 1).verdict(),
            "failure D1: missing_client_cert by server"
        );
    }

    #[test]
    fn without_the_answer_to_a_request_nothing_shows_what_the_server_misses() {
        let missed = asked()
            .message(CLIENT, HandshakeType::ClientKeyExchange, &[])
            .finished_12(CLIENT);
        assert_eq!(
            missed.sent_again(CLIENT, 3, 1).verdict(),
            "unknown observed"
        );
    }

    #[test]
    fn a_server_that_was_never_in_view_did_not_fall_silent() {
        let hello = one_sided().in_view(CLIENT).client_hello(|hello| {
            hello.legacy_version = ProtocolVersion::DTLSv1_2;
        });
        assert_eq!(hello.sent_again(CLIENT, 9, 1).verdict(), "unknown observed");
    }

    #[test]
    fn a_side_that_repeats_its_own_flight_is_there() {
        let both = answered(EMPTY).sent_again(CLIENT, 3, 1).wait(5_000);
        let both = both.sent_again(SERVER, 3, 1);
        assert_eq!(both.verdict(), "unknown observed");
    }

    #[test]
    fn an_encrypted_alert_before_both_finished_may_be_a_goodbye_after_what_the_capture_lacks() {
        let left = answered(CHAIN).sealed_alert(CLIENT);
        assert_eq!(left.verdict(), "unknown observed");
        let clear = answered(CHAIN).alert(SERVER, AlertDescription::UnknownCa);
        assert_eq!(clear.verdict(), "failure observed: unknown_ca by server");
        let complete = answered(CHAIN).finished_12(SERVER).sealed_alert(CLIENT);
        assert_eq!(complete.verdict(), "success observed");
    }

    #[test]
    fn fatal_alerts_in_the_clear_that_contradict_each_other_decide_nothing() {
        // Alerts are no data that a side goes on with.
        let verdict = |script: Script| {
            let script = script.delivery(CLIENT, |delivery| delivery.last_data = None);
            let script = script.delivery(SERVER, |delivery| delivery.last_data = None);
            script.verdict()
        };
        let refused = |side| asked().alert(side, AlertDescription::UnknownCa);
        let client = "failure observed: unknown_ca by client";
        assert_eq!(verdict(refused(CLIENT)), client);
        let again = refused(CLIENT).alert(CLIENT, AlertDescription::UnknownCa);
        assert_eq!(verdict(again), client);
        let other = refused(CLIENT).alert(CLIENT, AlertDescription::HandshakeFailure);
        assert_eq!(verdict(other), "unknown observed");
        let both = refused(SERVER).alert(CLIENT, AlertDescription::UnknownCa);
        assert_eq!(verdict(both), "unknown observed");
        // A goodbye is none, and nobody sends one as a fatal alert.
        let goodbye = refused(CLIENT).warning(CLIENT, AlertDescription::CloseNotify);
        assert_eq!(verdict(goodbye), client);
        for nobodys in [AlertDescription::CloseNotify, AlertDescription(200)] {
            let forged = || asked().alert(SERVER, nobodys);
            assert_eq!(verdict(forged()), "unknown observed");
            let forged = forged().alert(CLIENT, AlertDescription::UnknownCa);
            assert_eq!(verdict(forged), client);
        }
    }

    #[test]
    fn an_alert_that_encrypted_records_of_its_sender_follow_decides_nothing() {
        let refused = || {
            let script = answered(CHAIN).alert(SERVER, AlertDescription::UnknownCa);
            script.delivery(SERVER, |delivery| delivery.last_data = None)
        };
        let expected = "failure observed: unknown_ca by server";
        assert_eq!(refused().verdict(), expected);
        assert_eq!(refused().finished_12(SERVER).verdict(), "success observed");
        assert_eq!(refused().sealed_alert(SERVER).verdict(), "unknown observed");
        assert_eq!(refused().sealed_alert(CLIENT).verdict(), expected);
    }

    #[test]
    fn what_looks_like_both_finished_decides_nothing_where_a_side_contradicts_it() {
        let complete = || answered(CHAIN).finished_12(SERVER);
        assert_eq!(complete().verdict(), "success observed");
        let refused = || {
            let script = complete().alert(SERVER, AlertDescription::UnknownCa);
            script.delivery(SERVER, |delivery| delivery.last_data = None)
        };
        assert_eq!(refused().verdict(), "unknown observed");
        // Its sender uses what was negotiated.
        assert_eq!(refused().data_12(SERVER, 98).verdict(), "success observed");
        let asked_again = complete().wait(1_000).sent_again(CLIENT, 3, 1);
        assert_eq!(asked_again.verdict(), "unknown observed");
    }

    #[test]
    fn a_client_that_has_received_nothing_refuses_no_certificate() {
        let refused = |script: Script, description| {
            let script = script.alert(CLIENT, description);
            let script = script.delivery(CLIENT, |delivery| delivery.last_data = None);
            script.verdict()
        };
        for description in [
            AlertDescription::UnknownCa,
            AlertDescription::CertificateExpired,
        ] {
            assert_eq!(refused(hello(), description), "unknown observed");
        }
        let version = refused(hello(), AlertDescription::ProtocolVersion);
        assert_eq!(version, "failure observed: protocol_mismatch by client");
        let known = refused(asked(), AlertDescription::UnknownCa);
        assert_eq!(known, "failure observed: unknown_ca by client");
    }

    #[test]
    fn more_alerts_than_are_written_down_decide_nothing_unless_they_are_the_same() {
        let repeated = || {
            (0..40).fold(asked(), |script, _| {
                script.alert(CLIENT, AlertDescription::InternalError)
            })
        };
        let verdict = |script: Script| {
            let script = script.delivery(CLIENT, |delivery| delivery.last_data = None);
            script.verdict()
        };
        let other = repeated().alert(CLIENT, AlertDescription::UnknownCa);
        assert_eq!(verdict(other), "unknown observed");
        let same = "failure observed: internal_error by client";
        assert_eq!(verdict(repeated()), same);
    }

    #[test]
    fn a_side_that_repeats_its_flight_has_sent_no_alert() {
        let forged = answered(EMPTY).alert(CLIENT, AlertDescription::UnknownCa);
        assert_eq!(
            forged.sent_again(CLIENT, 3, 1).verdict(),
            "failure D1: missing_client_cert by server"
        );
    }

    fn dtls13() -> Script {
        let offer = connection().client_hello(|hello| {
            hello.legacy_version = ProtocolVersion::DTLSv1_2;
            hello.supported_versions = Some(vec![ProtocolVersion::DTLSv1_3]);
        });
        offer.server_hello_13(|hello| {
            hello.legacy_version = ProtocolVersion::DTLSv1_2;
            hello.supported_version = Some(ProtocolVersion::DTLSv1_3);
        })
    }

    fn sealed(script: Script, side: Side, epoch: u8, lengths: &[u16]) -> Script {
        let content_type = match epoch {
            2 => ContentType::Handshake,
            _ => ContentType::ApplicationData,
        };
        let mut lengths = lengths.iter();
        lengths.by_ref().fold(script, |script, length| {
            script.sealed_of(side, content_type, *length)
        })
    }

    /// The server's flight, and the client's with a Certificate.
    fn flights_13() -> Script {
        let server = sealed(dtls13(), SERVER, 2, &[31, 900, 289, 61]);
        sealed(server, CLIENT, 2, &[900, 289, 61])
    }

    #[test]
    fn the_servers_acknowledgment_in_the_next_epoch_accepts_the_clients_flight() {
        assert_eq!(flights_13().verdict(), "unknown observed");
        let accepted = sealed(flights_13(), SERVER, 3, &[35]);
        assert_eq!(accepted.verdict(), "success D2");
        let with_ticket = sealed(flights_13(), SERVER, 3, &[35, 250, 19]);
        assert_eq!(with_ticket.verdict(), "success D2");
    }

    #[test]
    fn an_alert_alone_is_a_refusal() {
        let client = sealed(
            sealed(dtls13(), SERVER, 2, &[31, 900, 289, 61]),
            CLIENT,
            2,
            &[19],
        );
        assert_eq!(
            client.verdict(),
            "failure D3: client_rejected_server by client"
        );
        let server = sealed(flights_13(), SERVER, 3, &[19]);
        assert_eq!(
            server.verdict(),
            "failure D4: server_rejected_client by server"
        );
        let goodbyes = sealed(sealed(flights_13(), SERVER, 3, &[19]), CLIENT, 3, &[19]);
        assert_eq!(goodbyes.verdict(), "unknown observed");
        let without_flight = sealed(sealed(dtls13(), SERVER, 2, &[900]), CLIENT, 3, &[19]);
        assert_eq!(without_flight.verdict(), "unknown observed");
        let acknowledged = sealed(flights_13(), SERVER, 3, &[35, 19]);
        assert_eq!(acknowledged.verdict(), "unknown observed");
    }

    #[test]
    fn an_alert_amid_the_clients_flight_is_a_refusal_if_the_client_then_falls_silent() {
        let amid = |server: &[u16], pause, rest: &[u16]| {
            let server_flight = sealed(dtls13(), SERVER, 2, &[31, 900, 289, 61]);
            let begun = sealed(server_flight, CLIENT, 2, &[882]);
            let answered = sealed(begun, SERVER, 3, server).wait(pause);
            sealed(answered, CLIENT, 2, rest)
        };
        let refused = "failure D4: server_rejected_client by server";
        let crossed = || amid(&[19], 2, &[289, 77]);
        assert_eq!(crossed().then_nothing(2_000).verdict(), refused);
        assert_eq!(crossed().then_nothing(900).verdict(), "unknown observed");
        // An empty acknowledgment is as short: the client sends its flight again.
        let again = amid(&[19], 1_100, &[882, 289, 77]).then_nothing(2_000);
        assert_eq!(again.verdict(), "unknown observed");
        let went_on = sealed(crossed(), SERVER, 3, &[67]).then_nothing(2_000);
        assert_eq!(went_on.verdict(), "success D2");
        let used = sealed(crossed(), CLIENT, 3, &[21]).then_nothing(2_000);
        assert_eq!(used.verdict(), "unknown observed");
    }

    #[test]
    fn dtls13_is_decided_once_both_sides_use_it() {
        let accepted = sealed(flights_13(), SERVER, 3, &[35]);
        assert!(!is_in_use(&accepted.transcript));
        let used = sealed(accepted, CLIENT, 3, &[120]);
        assert!(is_in_use(&used.transcript));
    }
}

//! The rules, and when each may decide.

use std::time::Duration;

use crate::tls::AlertDescription;

use super::evidence::Evidence;
use super::flight::ClientFlight as Flight;
use super::{CLIENT, Cause, SERVER, Verdict};

use Cause::{Alert, Certificate, Closed, Negotiation, Other};
use Verdict::{Failure, Success, Unknown};

pub(super) struct Rule {
    pub(super) id: &'static str,
    /// Whether it may decide while the connection is open.
    pub(super) is_open: bool,
    pub(super) confidence: f64,
    pub(super) verdict: Verdict,
    pub(super) fits: fn(&Evidence<'_>) -> bool,
    pub(super) observations: &'static [&'static str],
}

const fn rule(
    id: &'static str,
    is_open: bool,
    confidence: f64,
    verdict: Verdict,
    fits: fn(&Evidence<'_>) -> bool,
    observations: &'static [&'static str],
) -> Rule {
    Rule {
        id,
        is_open,
        confidence,
        verdict,
        fits,
        observations,
    }
}

const OPEN: bool = true;
const ENDED: bool = false;

/// The rules, in order: the first that fits decides.
#[rustfmt::skip]
pub(super) const RULES: &[Rule] = &[
    rule("S1", OPEN, 0.97, Failure(SERVER, Negotiation),
        |e| e.server_alert_position().is_some_and(|at| at < e.flight_start),
        &["server sent an alert in the clear after its ServerHello"]),
    rule("P0", OPEN, 0.97, Failure(SERVER, Alert),
        |e| e.server_alert_position().is_some_and(|at| at >= e.flight_end),
        &["server sent an alert in the clear after the client's flight"]),
    rule("S2", ENDED, 0.95, Failure(SERVER, Negotiation),
        |e| e.server.records == 1 && e.lengths.may_be_alert(e.server.first_length),
        &["server's only record after its ServerHello has the length of an alert"]),
    rule("S3", ENDED, 0.7, Failure(SERVER, Closed),
        |e| e.flight == Flight::Nothing && e.closed_first() == Some(SERVER),
        &["server closed the connection before the client sent anything after the ServerHello"]),
    rule("C1", OPEN, 0.99, Failure(CLIENT, Alert),
        |e| matches!(e.flight, Flight::PlainAlert(code) if code != AlertDescription::CloseNotify),
        &["client answered the server's flight with an alert in the clear"]),
    rule("C2", OPEN, 0.6, Failure(CLIENT, Certificate),
        |e| matches!(e.flight, Flight::PlainAlert(_)),
        &["client answered the server's flight with close_notify in the clear"]),
    rule("C3p", OPEN, 0.6, Failure(CLIENT, Other),
        |e| e.flight == Flight::Alert && e.psk,
        &["client answered the server's flight with one record of an alert's length", "a session was resumed"]),
    rule("C3", OPEN, 0.93, Failure(CLIENT, Certificate),
        |e| e.flight == Flight::Alert,
        &["client answered the server's flight with one record of an alert's length"]),
    rule("C4", ENDED, 0.8, Failure(CLIENT, Closed),
        |e| e.flight == Flight::Nothing && e.closed_first() == Some(CLIENT),
        &["client closed the connection without answering the server's flight"]),
    rule("C5", ENDED, 0.75, Failure(CLIENT, Certificate),
        |e| e.flight == Flight::ShortRecord && !e.psk,
        &["client answered the server's flight with one short record, then closed the connection"]),
    rule("A1", ENDED, 0.9, Failure(SERVER, Certificate),
        |e| e.later_answer().is_some_and(|answer| answer.is_refused),
        &["client was asked for a certificate after the handshake", "server closed with an alert-length record"]),
    rule("P5", OPEN, 0.99, Success,
        |e| e.server_records_after().any(|length| e.is_longer_than_alert(length)),
        &["server sent more than an alert after the client's flight"]),
    rule("P5x", OPEN, 0.95, Success,
        |e| e.has_gone_on(),
        &["records went on both ways after the client's flight"]),
    rule("P2a", ENDED, 0.5, Unknown,
        |e| e.has_certificate() && e.client_left_first() && e.server_records_after().next().is_some(),
        &["client sent a Certificate message", "client closed first, and the server's answer may be its close_notify or its refusal"]),
    rule("P1e", ENDED, 0.97, Failure(SERVER, Certificate),
        |e| e.has_certificate() && e.server_answers_before_finished(),
        &["client sent a Certificate message", "server sent a record of an alert's length before the client's Finished"]),
    rule("P4", ENDED, 0.8, Success,
        |e| e.has_certificate() && e.server_alert_after().is_some_and(|after| after > IDLE + 2 * e.round_trip),
        &["client sent a Certificate message", "server's first record, of an alert's length, came long after the client's Finished"]),
    rule("P1", ENDED, 0.99, Failure(SERVER, Certificate),
        |e| e.has_certificate() && e.server_alert_after().is_some() && e.has_unanswered_data(),
        &["client sent a Certificate message", "server closed with an alert-length record, request unanswered"]),
    rule("P1r", ENDED, 0.5, Unknown,
        |e| e.has_certificate() && e.server_alert_after().is_some() && e.client_answers_with_alert(),
        &["client sent a Certificate message", "both sides closed with alert-length records: close_notify answered, or a refusal"]),
    rule("P1d", ENDED, 0.97, Failure(SERVER, Certificate),
        |e| e.has_certificate() && e.server_alert_after().is_some() && e.is_client_done(),
        &["client sent a Certificate message", "server closed with an alert-length record, which the client did not answer"]),
    rule("P10", ENDED, 0.85, Success,
        |e| e.psk && e.server_sent_early() && e.closed_first() == Some(SERVER),
        &["a session was resumed", "server had sent data before the client's Finished, then closed"]),
    rule("P8a", ENDED, 0.5, Unknown,
        |e| e.has_certificate() && e.client_left_first(),
        &["client sent a Certificate message", "client closed before the server said anything"]),
    rule("P6", ENDED, 0.9, Failure(SERVER, Certificate),
        |e| e.has_certificate() && e.server_closed_without_record(),
        &["client sent a Certificate message", "server closed the connection without a record"]),
    rule("P7", ENDED, 0.5, Unknown,
        |e| e.flight == Flight::NoCertificate && e.closed_first() == Some(SERVER) && e.server_closed_without_record(),
        &["server closed the connection right after the client's Finished"]),
    rule("P2", ENDED, 0.9, Success,
        |e| e.flight == Flight::NoCertificate && e.client_left_first() && e.server_records_after().next().is_some(),
        &["client completed the handshake and closed first", "server answered with an alert-length record"]),
    rule("P3", ENDED, 0.7, Success,
        |e| e.flight == Flight::NoCertificate && e.server_records_after().next().is_some(),
        &["client completed the handshake", "server closed with an alert-length record"]),
    rule("P8u", ENDED, 0.5, Unknown,
        |e| e.flight == Flight::NoCertificate && e.client_left_first() && e.has_unanswered_data(),
        &["client sent data after its Finished and closed", "server never said anything"]),
    rule("P8", ENDED, 0.6, Success,
        |e| e.flight == Flight::NoCertificate && e.client_left_first(),
        &["client completed the handshake and closed first"]),
];

/// How long after the client's Finished a server that closes was just idle.
const IDLE: Duration = Duration::from_secs(1);

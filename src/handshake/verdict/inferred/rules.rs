//! The rules, and when each may decide.
//!
//! Each rule says what it sees, why that means what it claims, how often it was
//! right, and which stack is the exception. The figures count labelled handshakes
//! between 30 client and server programs, whose truth is known from decryption; in
//! brackets, where they differ, those of servers that send no tickets, of one-way
//! protocols and of idle connections, collected to find the limits of the rules.
//! A confidence is the share of right verdicts in the first group, rounded down
//! where the cases are few.
//!
//! Three facts about TLS 1.3 carry the whole table:
//!
//! - A client counts the handshake as complete when it has sent its Finished. The
//!   server judges the client's certificate only then. So whether a handshake with a
//!   client certificate succeeded shows in what the server sends *next*.
//! - Servers send tickets or data only after they have accepted that Finished. Go,
//!   GnuTLS and picotls send tickets with their own flight, before the client's, but
//!   of these only picotls does so where it asks for a certificate.
//! - An alert is the shortest record that there is: a record of its length is an alert,
//!   or two bytes of data.

use std::time::Duration;

use crate::flow::Side;
use crate::tls::AlertDescription;

use super::evidence::ShapeEvidence;
use super::flight::ClientFlight as Flight;

use Claim::{Failure, Success, Unknown};
use Reason::{Alert, Certificate, Closed, Negotiation, Other};
use When::{Ended, Open};

const CLIENT: Side = Side::Client;
const SERVER: Side = Side::Server;

/// What a rule says of the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::handshake::verdict) enum Claim {
    Success,
    Unknown,
    /// Who gave up, and over what.
    Failure(Side, Reason),
}

/// Over what a side gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::handshake::verdict) enum Reason {
    /// What its alert in the clear says.
    Alert,
    /// Its peer's certificate, or the lack of one.
    Certificate,
    /// Something in the hellos.
    Negotiation,
    /// It just closed.
    Closed,
    /// Not known.
    Other,
}

/// When a rule may decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// At once: nothing that follows contradicts it.
    Open,
    /// When no more will come, and a side has closed: it rests on something being absent.
    Ended,
}

#[derive(Debug)]
pub(in crate::handshake::verdict) struct Rule {
    pub(in crate::handshake::verdict) id: &'static str,
    pub(super) when: When,
    pub(in crate::handshake::verdict) confidence: f64,
    pub(in crate::handshake::verdict) claim: Claim,
    pub(super) fits: fn(&ShapeEvidence<'_>) -> bool,
    /// What it saw, for people.
    pub(in crate::handshake::verdict) observations: &'static [&'static str],
}

const fn rule(
    id: &'static str,
    when: When,
    confidence: f64,
    claim: Claim,
    fits: fn(&ShapeEvidence<'_>) -> bool,
    observations: &'static [&'static str],
) -> Rule {
    Rule {
        id,
        when,
        confidence,
        claim,
        fits,
        observations,
    }
}

/// The rules, in order: the first that fits decides.
///
/// The order matters in three places. Alerts in the clear come first, since they are said and not inferred. Rules on
/// the client's answer come before those on what the server sent after it: a record of the server after a client's
/// alert only reacts to it. And P5 stands before all rules on short records, since more than an alert after the
/// client's flight settles the matter.
#[rustfmt::skip]
pub(in crate::handshake::verdict) static RULES: &[Rule] = &[
    // Said in the clear, so it is read as it stands: no labelled case was wrong. An alert that answers the client's close
    // does not count: OpenSSL 3 sends decode_error on a FIN.
    rule("S1", Open, 0.97, Failure(SERVER, Negotiation),
        |e| e.server_alert_position().is_some_and(|at| at < e.flight_start),
        &["server sent an alert in the clear after its ServerHello"]),

    // The same after the client's flight. No labelled case was wrong. GnuTLS, Go, BoringSSL, Mbed TLS, NSS and wolfSSL
    // answer a client's alert in the clear with bad_record_mac, but they encrypt it, so that C1 and C2 decide.
    rule("P0", Open, 0.97, Failure(SERVER, Alert),
        |e| e.server_alert_position().is_some_and(|at| at >= e.flight_end),
        &["server sent an alert in the clear after the client's flight"]),

    // A server's flight has at least EncryptedExtensions and Finished, and is longer. So a flight that is one record of an
    // alert's length is an alert: no common ALPN, an unknown name. 28 of 28, sent by rustls, Go, picotls and Botan.
    rule("S2", Ended, 0.95, Failure(SERVER, Negotiation),
        |e| e.server.records == 1 && e.lengths.may_be_alert(e.server.first_length),
        &["server's only record after its ServerHello has the length of an alert"]),

    // A server that leaves before the client has answered gave up: a crash, a limit, a middlebox. 6 of 10 only: the rule also
    // fits when the client's bytes are out of order in the capture, or a server says goodbye to a client that is gone.
    rule("S3", Ended, 0.7, Failure(SERVER, Closed),
        |e| e.flight == Flight::Nothing && e.closed_first() == Some(SERVER),
        &["server closed the connection before the client sent anything after the ServerHello"]),

    // OpenSSL, Python, curl, picotls and Mbed TLS clients say in the clear why they refuse, because they send no
    // ChangeCipherSpec first. Read as it stands; no labelled case was wrong.
    rule("C1", Open, 0.99, Failure(CLIENT, Alert),
        |e| matches!(e.flight, Flight::PlainAlert(code) if code != AlertDescription::CloseNotify),
        &["client answered the server's flight with an alert in the clear"]),

    // s2n clients refuse a server's certificate with close_notify and a reset. 15 of 15, all of that one stack: another that
    // just leaves would look the same, hence the low confidence.
    rule("C2", Open, 0.6, Failure(CLIENT, Certificate),
        |e| matches!(e.flight, Flight::PlainAlert(_)),
        &["client answered the server's flight with close_notify in the clear"]),

    // As C3. But a resumed session shows no certificate, so the reason is unknown. Hardly any cases.
    rule("C3p", Open, 0.6, Failure(CLIENT, Other),
        |e| e.flight == Flight::Alert && e.psk,
        &["client answered the server's flight with one record of an alert's length", "a session was resumed"]),

    // A client's flight ends with Finished, which is longer: one record of an alert's length is an alert, and what a client
    // refuses at this point is the certificate. 374 of 374 by outcome and side; 3 of 377 refused something else (a bad
    // signature, internal_error), hence .93. Go, GnuTLS, wolfSSL, Erlang, Bouncy Castle, rustls, Deno, BoringSSL,
    // Chromium, NSS, Firefox, Botan with 19 bytes, JSSE with 35.
    rule("C3", Open, 0.93, Failure(CLIENT, Certificate),
        |e| e.flight == Flight::Alert,
        &["client answered the server's flight with one record of an alert's length"]),

    // Node and Bun refuse a bad certificate by closing without a word; browsers close when they stop to ask which client
    // certificate to use. 183 of 183 by side (3 of 3). Not the reason: it may be a crash, or a client that changed its mind.
    rule("C4", Ended, 0.8, Failure(CLIENT, Closed),
        |e| e.flight == Flight::Nothing && e.closed_first() == Some(CLIENT),
        &["client closed the connection without answering the server's flight"]),

    // An alert padded in a way that no known stack uses: shorter than any Finished, the only record, then the end. For stacks
    // not yet measured: when the padding of JSSE and of Mbed TLS was unknown, 97.7 % and 99.4 % of the verdicts on them
    // were right with this rule, 86.6 % and 90.0 % without it. Not with PSK, where no certificate is shown.
    rule("C5", Ended, 0.75, Failure(CLIENT, Certificate),
        |e| e.flight == Flight::ShortRecord && !e.psk,
        &["client answered the server's flight with one short record, then closed the connection"]),

    // A client asked for a certificate after the handshake (Apache per location), and the server's only answer is an alert.
    // Before P5, which would see the application data as success. 10 of 10; 6 of 6 requests were found, none falsely.
    rule("A1", Ended, 0.9, Failure(SERVER, Certificate),
        |e| e.later_answer().is_some_and(|answer| answer.is_refused),
        &["client was asked for a certificate after the handshake", "server closed with an alert-length record"]),

    // Tickets and data follow only an accepted Finished. 2365 of 2367 (118 of 118). The exceptions are tlslite, which
    // sends tickets before it judges the client's certificate.
    rule("P5", Open, 0.99, Success,
        |e| e.server_records_after().any(|length| e.is_longer_than_alert(length)),
        &["server sent more than an alert after the client's flight"]),

    // Records padded to blocks hide their lengths (OpenSSL's record_padding). But three turns after the client's flight are
    // more than any refusal has. Hardly any cases.
    rule("P5x", Open, 0.95, Success,
        |e| e.has_gone_on(),
        &["records went on both ways after the client's flight"]),

    // The client leaves first, and the server's one short record is its close_notify in answer, or its refusal, which crossed
    // the client's close on the way. Both occur: a blind test on five stacks misjudged such cases until they became unknown.
    rule("P2a", Ended, 0.5, Unknown,
        |e| e.has_certificate() && e.client_left_first() && e.server_records_after().next().is_some(),
        &["client sent a Certificate message", "client closed first, and the server's answer may be its close_notify or its refusal"]),

    // An alert amid the client's flight: the server refused an empty Certificate before it had the Finished. 10 of 10. Nothing
    // else is sent at that point: tickets wait for the Finished.
    rule("P1e", Ended, 0.97, Failure(SERVER, Certificate),
        |e| e.has_certificate() && e.server_answers_before_finished(),
        &["client sent a Certificate message", "server sent a record of an alert's length before the client's Finished"]),

    // A refusal comes at once: in 774 labelled refusals the server's first sign came at most 154 ms after the client's
    // Finished, so an alert-length record after a second is the close_notify of an idle session. 19 of 19 (3 of 6, and 20 of
    // 46 in a later collection: servers that check revocation may refuse after some seconds).
    rule("P4", Ended, 0.8, Success,
        |e| e.has_certificate() && e.server_alert_after().is_some_and(|after| after > IDLE + 2 * e.round_trip),
        &["client sent a Certificate message", "server's first record, of an alert's length, came long after the client's Finished"]),

    // A request that gets an alert-length record and no answer was refused together with the certificate: 346 of 346. The
    // exception are servers that send no tickets, such as Go to a Go client with all defaults, in one-way protocols,
    // where unanswered data is normal (13 of 34, and 88 of 140 in a later collection).
    rule("P1", Ended, 0.99, Failure(SERVER, Certificate),
        |e| e.has_certificate() && e.server_alert_after().is_some() && e.has_unanswered_data(),
        &["client sent a Certificate message", "server closed with an alert-length record, request unanswered"]),

    // Without data, an alert-length record that the client answers with another may be close_notify and its answer. But Go,
    // rustls, NSS and Java clients also answer a fatal alert. 115 refusals and 84 successes look alike here.
    rule("P1r", Ended, 0.5, Unknown,
        |e| e.has_certificate() && e.server_alert_after().is_some() && e.client_answers_with_alert(),
        &["client sent a Certificate message", "both sides closed with alert-length records: close_notify answered, or a refusal"]),

    // Clients answer close_notify, and most do not answer a fatal alert. 223 of 224, and 150 of 150 in a later
    // collection (46 of 58). The exception is Erlang, whose client never answers close_notify.
    rule("P1d", Ended, 0.97, Failure(SERVER, Certificate),
        |e| e.has_certificate() && e.server_alert_after().is_some() && e.is_client_done(),
        &["client sent a Certificate message", "server closed with an alert-length record, which the client did not answer"]),

    // A server that answers a 0-RTT request with its own flight and closes has served it. Hardly any cases.
    rule("P10", Ended, 0.85, Success,
        |e| e.psk && e.server_sent_early() && e.closed_first() == Some(SERVER),
        &["a session was resumed", "server had sent data before the client's Finished, then closed"]),

    // As P2a, without even an alert: the server's verdict never became visible.
    rule("P8a", Ended, 0.5, Unknown,
        |e| e.has_certificate() && e.client_left_first(),
        &["client sent a Certificate message", "client closed before the server said anything"]),

    // Node, Bun and Deno servers close without a word on a bad client certificate, and so do TCP proxies when the server
    // behind them refuses. 61 of 61 by side, but over the certificate in 32 of 61 only (0 of 11, and 39 of 66 in a later
    // collection: a server or load balancer that closes idle connections looks the same, and this rule has no time limit).
    rule("P6", Ended, 0.9, Failure(SERVER, Certificate),
        |e| e.has_certificate() && e.server_closed_without_record(),
        &["client sent a Certificate message", "server closed the connection without a record"]),

    // Without a Certificate message a server has nothing left to refuse but the Finished itself. But a proxy whose server is
    // down closes here, too.
    rule("P7", Ended, 0.5, Unknown,
        |e| e.flight == Flight::NoCertificate && e.closed_first() == Some(SERVER) && e.server_closed_without_record(),
        &["server closed the connection right after the client's Finished"]),

    // Without a Certificate message, an alert-length record after the client has left is the answer to its goodbye. 63 of 63.
    rule("P2", Ended, 0.9, Success,
        |e| e.flight == Flight::NoCertificate && e.client_left_first() && e.server_records_after().next().is_some(),
        &["client completed the handshake and closed first", "server answered with an alert-length record"]),

    // The same where the server goes first: nginx as a stream proxy, health checks. 31 of 31.
    rule("P3", Ended, 0.7, Success,
        |e| e.flight == Flight::NoCertificate && e.server_records_after().next().is_some(),
        &["client completed the handshake", "server closed with an alert-length record"]),

    // Data that stays unanswered until the client leaves: the server may never have taken the Finished.
    rule("P8u", Ended, 0.5, Unknown,
        |e| e.flight == Flight::NoCertificate && e.client_left_first() && e.has_unanswered_data(),
        &["client sent data after its Finished and closed", "server never said anything"]),

    // A client that has sent its Finished was content, and nothing speaks against the server. curl leaves this way when the
    // name in the certificate does not match. Hardly any cases, since most servers send tickets.
    rule("P8", Ended, 0.6, Success,
        |e| e.flight == Flight::NoCertificate && e.client_left_first(),
        &["client completed the handshake and closed first"]),
];

/// How long after the client's Finished the close of a server counts as that of an idle session (P4), apart from two
/// round trips. A refusal took at most 154 ms in 774 labelled ones; three seconds where a server refuses slowly on purpose.
const IDLE: Duration = Duration::from_secs(1);

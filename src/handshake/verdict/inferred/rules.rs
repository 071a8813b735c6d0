//! The rules, and when each may decide.
//!
//! Each rule says what it sees, why that means what it claims, and which stack is
//! the exception. How often each was right, of how many, is in the table of
//! `docs/inference.md`, which `docs/calibrate.py` measures on labelled handshakes
//! between some 30 client and server programs. A verdict is right if outcome and side
//! are, and for a claim about a certificate also the cause. A confidence is that
//! share, at most .99, and [`FEW`] where the cases are fewer than 10. A rule of which
//! no case could be measured says so, and has a confidence that is a guess.
//!
//! Three facts about TLS 1.3 carry the whole table:
//!
//! - A client counts the handshake as complete when it has sent its Finished. The
//!   server judges the client's certificate only then. So whether a handshake with a
//!   client certificate succeeded shows in what the server sends *next*.
//! - Servers send tickets or data only after they have accepted that Finished. Go,
//!   GnuTLS and picotls send tickets with their own flight, before the client's, but
//!   of these only picotls does so where it asks for a certificate.
//! - An alert is the last thing that its sender says. A record of its length is an alert, or
//!   two bytes of data: what follows tells.

use crate::flow::Side;
use crate::tls::AlertDescription;

use super::evidence::ShapeEvidence;
use super::flight::ClientFlight as Flight;

use Claim::{Failure, Success, Unknown};
use Reason::{Alert, Certificate, Closed, Negotiation, Other};
use When::{Ended, Open};

const CLIENT: Side = Side::Client;
const SERVER: Side = Side::Server;

/// What a rule concludes about the outcome.
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

/// Confidence of a rule that was right in all of fewer than 10 labelled cases.
const FEW: f64 = 0.97;
/// Confidence of a rule without labelled cases: a guess, and a cautious one.
const UNMEASURED: f64 = 0.75;

#[derive(Debug)]
pub(in crate::handshake) struct Rule {
    pub(in crate::handshake) id: &'static str,
    pub(super) when: When,
    pub(in crate::handshake::verdict) confidence: f64,
    pub(in crate::handshake::verdict) claim: Claim,
    pub(super) fits: fn(&ShapeEvidence<'_>) -> bool,
    /// What it saw, for people.
    pub(in crate::handshake) observations: &'static [&'static str],
    /// Whether it takes the absence of tickets for a sign of refusal: where the server sends none to anybody, it is not one.
    rests_on_missing_tickets: bool,
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
        rests_on_missing_tickets: false,
    }
}

impl Rule {
    const fn on_missing_tickets(self) -> Self {
        Self {
            rests_on_missing_tickets: true,
            ..self
        }
    }
}

/// Whether the rule with this id takes the absence of tickets for a sign of refusal.
pub(in crate::handshake) fn rests_on_missing_tickets(id: &str) -> bool {
    let mut rules = RULES.iter().filter(|rule| rule.id == id);
    rules.any(|rule| rule.rests_on_missing_tickets)
}

/// What takes the place of a rule that rests on missing tickets, if other handshakes of the run show that the server sends none. It is `P1n`,
/// which says the same where the client takes none.
pub(in crate::handshake) static SENDS_NO_TICKETS: Rule = rule(
    "P1n",
    Ended,
    0.5,
    Unknown,
    |e| e.has_certificate(),
    &[
        "client sent a Certificate message, and the server sends no tickets to others",
        "server's record of an alert's length may be a refusal or its goodbye",
    ],
);

/// The rules, in order: the first that fits decides.
///
/// The order matters in three places. Alerts in the clear come first, since they are said and not inferred. Rules on
/// the client's answer come before those on what the server sent after it: a record of the server after a client's
/// alert only reacts to it. And P5 stands before all rules on short records, since more than an alert after the
/// client's flight settles the matter.
#[rustfmt::skip]
pub(in crate::handshake::verdict) static RULES: &[Rule] = &[
    // Said in the clear, so it is read as it stands. An alert that answers the client's close does not count: OpenSSL 3
    // sends decode_error on a FIN.
    rule("S1", Open, 0.97, Failure(SERVER, Negotiation),
        |e| e.server_alert_position().is_some_and(|at| at < e.flight_start),
        &["server sent an alert in the clear after its ServerHello"]),

    // The same after the client's flight. GnuTLS, Go, BoringSSL, Mbed TLS, NSS and wolfSSL answer a client's alert in the
    // clear with bad_record_mac, but they encrypt it, so that C1 and C2 decide.
    rule("P0", Open, 0.97, Failure(SERVER, Alert),
        |e| e.server_alert_position().is_some_and(|at| at >= e.flight_end),
        &["server sent an alert in the clear after the client's flight"]),

    // A server's flight has at least EncryptedExtensions and Finished, and is longer. So a flight that is one record of an
    // alert's length is an alert: no common ALPN, an unknown name. Sent by rustls, Go, picotls and Botan.
    rule("S2", Ended, 0.98, Failure(SERVER, Negotiation),
        |e| e.server.records == 1 && e.lengths.may_be_alert(e.server.first_length),
        &["server's only record after its ServerHello has the length of an alert"]),

    // The same after a part of its flight: ServerHello, EncryptedExtensions, alert. Without PSK, so few bytes cannot hold a
    // certificate and a signature. Then the client leaves, which is only its answer. No case in the labs.
    rule("S2m", Ended, UNMEASURED, Failure(SERVER, Other),
        |e| e.flight == Flight::Nothing && !e.psk && e.server_broke_off(),
        &["server's flight broke off with a record of an alert's length"]),

    // A server that leaves before it can have the client's answer gave up: a crash, a limit, a middlebox. If the client refused,
    // that counts: a server may say goodbye with its flight, and the client judges the flight all the same. Few cases.
    rule("S3", Ended, FEW, Failure(SERVER, Closed),
        |e| e.closed_first() == Some(SERVER) && (e.flight == Flight::Nothing || e.server_left_before_flight()),
        &["server closed the connection before the client sent anything after the ServerHello"]),

    // OpenSSL, Python, curl, picotls and Mbed TLS clients say in the clear why they refuse, before they
    // encrypt anything. Read as it stands.
    rule("C1", Open, 0.99, Failure(CLIENT, Alert),
        |e| matches!(e.flight, Flight::PlainAlert(code) if code != AlertDescription::CloseNotify),
        &["client answered the server's flight with an alert in the clear"]),

    // s2n clients refuse a server's certificate with close_notify and a reset. All cases are of this one stack: any other client
    // that just leaves would look the same.
    rule("C2", Open, FEW, Failure(CLIENT, Certificate),
        |e| matches!(e.flight, Flight::PlainAlert(_)),
        &["client answered the server's flight with close_notify in the clear"]),

    // As C3. But a resumed session shows no certificate, so the reason is unknown. No case in the labs.
    rule("C3p", Open, 0.6, Failure(CLIENT, Other),
        |e| e.flight == Flight::Alert && e.psk,
        &["client answered the server's flight with one record of an alert's length", "a session was resumed"]),

    // A client's flight ends with Finished, which is longer: one record of an alert's length is an alert, and what a client
    // refuses at this point is the certificate, or rarely its signature. Go, GnuTLS, wolfSSL, Erlang, Bouncy Castle, rustls, Deno, BoringSSL,
    // Chromium, NSS, Firefox, Botan with 19 bytes, JSSE with 35.
    rule("C3", Open, 0.98, Failure(CLIENT, Certificate),
        |e| e.flight == Flight::Alert,
        &["client answered the server's flight with one record of an alert's length"]),

    // Node, Bun and asyncio clients refuse a server's certificate without a word: they close when they have checked it. Browsers
    // close when they stop to ask which client certificate to use, and when they race connections; clients of Go and Java send an
    // alert where they refuse. Where others close
    // at once after the whole flight, they refused. A flight that is not seen to reach its Finished is not whole: connections
    // that a relay cut while a Java server still wrote looked like refusals.
    rule("C4f", Ended, 0.97, Failure(CLIENT, Certificate),
        |e| e.flight == Flight::Nothing && !e.psk && e.client_closed_at_once() == Some(true)
            && e.client_may_refuse_in_silence() == Some(true),
        &["client closed the connection as soon as it had the server's flight", "its hello is not of a program that says why it refuses"]),

    // The same where the hello was not captured, or the clock was set back before the close: whether C4f or C4 applies is not known.
    rule("C4u", Ended, 0.5, Unknown,
        |e| e.flight == Flight::Nothing && !e.psk
            && match e.client_closed_at_once() {
                Some(at_once) => at_once && e.client_may_refuse_in_silence().is_none(),
                None => e.client_may_refuse_in_silence() != Some(false),
            },
        &["client closed the connection without answering the server's flight", "its hello, or when it closed, is not known"]),

    // Later, reset, or by a browser, Go or Java: the side is certain. Not the reason: it may be a crash, or a
    // client that changed its mind.
    rule("C4", Ended, 0.98, Failure(CLIENT, Closed),
        |e| e.flight == Flight::Nothing && e.closed_first() == Some(CLIENT),
        &["client closed the connection without answering the server's flight"]),

    // An alert padded in a way that no known stack uses: shorter than any Finished, the only record, then the end. For stacks
    // not yet measured, so there is no case in the labs. Not with PSK, where no certificate is shown.
    rule("C5", Ended, UNMEASURED, Failure(CLIENT, Certificate),
        |e| e.flight == Flight::ShortRecord && !e.psk,
        &["client answered the server's flight with one short record, then closed the connection"]),

    // Tickets and data follow only an accepted Finished: a record that is no alert, longer or shorter. The exceptions are
    // tlslite servers, which send tickets before they judge the client's certificate.
    rule("P5", Open, 0.99, Success,
        |e| e.server_sent_more_than_alerts(),
        &["server sent more than an alert after the client's flight"]),

    // Records padded to blocks hide their lengths (OpenSSL's record_padding). But a refusal is one record. Few cases.
    rule("P5x", Open, FEW, Success,
        |e| e.server_sent_several_blocks(),
        &["server sent several records after the client's flight, padded to blocks"]),

    // Answers of two bytes look like alerts. But a fatal alert is the last thing that its sender says; GnuTLS servers say two.
    rule("P5t", Open, 0.98, Success,
        |e| e.server_goes_on_answering(),
        &["server went on answering after the client's flight, with records of an alert's length"]),

    // A refusal is the last word of the server. One that waits for the client to leave, and says goodbye then, has sent data
    // before. Few cases.
    rule("P5o", Ended, FEW, Success,
        |e| e.has_certificate() && e.server_stays_open(),
        &["server sent a record of an alert's length, stayed until the client left, and answered its goodbye"]),

    // A refusal would have come by then, unless the server checks revocation slowly: the client had no reason to wait for it. A server
    // that still checks has not read what the client sent meanwhile. One that hangs does nothing when the client has closed: six that were
    // stopped before the client's flight came, and killed later, looked like successes.
    rule("P8s", Ended, 0.98, Success,
        |e| e.has_certificate() && e.client_left_first() && e.client_left_late()
            && e.server_acts_after_client_left() && !e.server_left_data_unread(),
        &["client sent a Certificate message, and left long after", "server had sent nothing until then, and acted after it"]),

    // The client leaves first, and the server's one short record is its close_notify in answer, or its refusal, which crossed
    // the client's close on the way. Both occur: a blind test on five stacks misjudged such cases until they became unknown.
    rule("P2a", Ended, 0.5, Unknown,
        |e| e.has_certificate() && e.client_left_first() && e.server_records_after().next().is_some(),
        &["client sent a Certificate message", "client closed first, and the server's answer may be its close_notify or its refusal"]),

    // An alert amid the client's flight: the server refused an empty Certificate before it had the Finished. Nothing else is
    // sent at that point: tickets wait for the Finished.
    rule("P1e", Ended, 0.98, Failure(SERVER, Certificate),
        |e| e.has_certificate() && e.server_answers_before_finished(),
        &["client sent a Certificate message", "server sent a record of an alert's length before the client's Finished"]),

    // A server that closes in order when it has the client's goodbye, and not before, waited for it: after a refusal it closes by
    // itself. So its record was data of an alert's length, or its own goodbye. Few cases.
    rule("P5c", Ended, FEW, Success,
        |e| e.has_certificate() && e.server_waits_for_goodbye(),
        &["server sent a record of an alert's length and closed after the client's goodbye"]),

    // A server that is silent for longer than a refusal takes, and acts as soon as it has a message, has read it: programs of
    // one-way protocols, which close when they have what they want. What it refuses, it refuses on the Finished. Few cases.
    rule("P5d", Ended, FEW, Success,
        |e| e.has_certificate() && e.server_acts_on_late_data() && !e.server_left_data_unread(),
        &["client sent a Certificate message", "server was silent after it, and acted as soon as it had a later message"]),

    // A client of OpenSSL cannot say goodbye once it has read a fatal alert: then SSL_shutdown fails. So what it answers with a
    // goodbye was one. Only where it was idle until then: else it may have left by itself, with the alert unread.
    rule("P5g", Ended, 0.98, Success,
        |e| e.has_certificate() && e.is_late() && e.client_answers_late_goodbye(),
        &["client sent a Certificate message", "server sent an alert-length record long after, and OpenSSL's client answered it"]),

    // Programs that refuse without a word (Node, Bun, Deno and asyncio servers) close when they have checked the certificate, and
    // those that check slowly say why. So a server that closes late without a word, with no message of the client to answer,
    // ends an idle connection.
    rule("P5i", Ended, 0.98, Success,
        |e| e.has_certificate() && e.server_closes_idle_connection(),
        &["client sent a Certificate message", "server closed long after, without a record, and had no message to answer"]),

    // Refusals come at once, except where the server checks revocation, or a person does; and servers close idle connections.
    // Both occur, at any time: a late sign tells nothing.
    rule("P4", Ended, 0.5, Unknown,
        |e| e.has_certificate() && e.is_late(),
        &["client sent a Certificate message", "server closed long after: a slow refusal, or the end of an idle connection"]),

    // A server that leaves the connection to the client, and closes only when that has closed, may have refused, or may have
    // said goodbye to a client that it accepted: both occur. So may one that spoke only when it had the data of a client that was
    // silent long after its Finished: it need not have waited for these to refuse.
    rule("P1w", Ended, 0.5, Unknown,
        |e| e.has_certificate() && e.server_records_after().next().is_some()
            && (e.server_leaves_socket_open()
                || e.server_waits_for_close() && !e.has_unanswered_data() && !e.has_crossing_data()
                || e.server_speaks_on_late_data()),
        &["client sent a Certificate message", "server's record of an alert's length may be its goodbye: it had waited for the client"]),

    // PostgreSQL takes a request to cancel a query on a connection of its own, and closes without an answer; it never sends tickets.
    // So the record of an alert's length may be its goodbye: 8 of 8 cancellations by Bun's client looked like refusals.
    rule("P1q", Ended, 0.5, Unknown,
        |e| e.has_certificate() && e.server_may_refuse() && e.may_have_cancelled(),
        &["client sent a Certificate message", "its message may be PostgreSQL's request to cancel a query, which gets no answer"]),

    // The same as P1 where the client answers the record with one of an alert's length. Clients of Go, rustls, NSS and Haskell answer
    // a fatal alert; they also answer the goodbye of a server without tickets that reads one message of a one-way protocol. Nothing
    // on the wire tells the two apart.
    rule("P1g", Ended, 0.8, Failure(SERVER, Certificate),
        |e| e.flight == Flight::Certificate
            && (e.server_refuses_request() || e.server_refuses_crossing_request())
            && !e.client_asks()
            && e.client_answers_with_alert(),
        &["client sent a Certificate message", "server closed with an alert-length record, request unanswered; the client answered with another"])
        .on_missing_tickets(),

    // A request that gets an alert-length record and no answer was refused together with the certificate: a server that had
    // accepted it would have sent tickets, or an answer. A client that takes no tickets gets none, so that a server of a one-way
    // protocol that reads a message and says goodbye looks the same. So does one without tickets whose goodbye OpenSSL's client
    // answers, which it does not do with a fatal alert. The exception is an answer of two bytes by a server without tickets that
    // closes at once, without close_notify.
    rule("P1", Ended, 0.98, Failure(SERVER, Certificate),
        |e| e.server_refuses_request(),
        &["client sent a Certificate message", "server closed with an alert-length record, request unanswered"])
        .on_missing_tickets(),

    // The same where the request crossed the refusal: a client that has received a goodbye sends no request.
    rule("P1x", Ended, 0.99, Failure(SERVER, Certificate),
        |e| e.server_refuses_crossing_request(),
        &["client sent a Certificate message", "server closed with an alert-length record, which the client's request crossed"])
        .on_missing_tickets(),

    // Without data, an alert-length record that the client answers with another may be close_notify and its answer. But Go,
    // rustls, NSS and Java clients also answer a fatal alert.
    rule("P1r", Ended, 0.5, Unknown,
        |e| e.has_certificate() && e.server_records_after().next().is_some() && e.client_answers_with_alert(),
        &["client sent a Certificate message", "both sides closed with alert-length records: close_notify answered, or a refusal"]),

    // The same of a client whose records are padded to blocks, where the server's are not: its flight cannot be read, but the
    // server's shows that it asked for a certificate. Few cases.
    rule("P1b", Ended, FEW, Failure(SERVER, Certificate),
        |e| e.server_refuses_blocks() && e.is_prompt() && e.is_client_done(),
        &["server asked for a certificate", "server closed with an alert-length record, which the client did not answer"]),

    // Clients answer close_notify, and most do not answer a fatal alert. The exception is Erlang, whose client never
    // answers close_notify. To a client that takes no tickets, a server that says goodbye at once looks the same, unless it left
    // handshake messages unread.
    rule("P1d", Ended, 0.99, Failure(SERVER, Certificate),
        |e| e.has_certificate() && e.server_may_refuse() && e.server_sent_one_refusal() && e.is_client_done()
            && (e.client_takes_tickets() || e.server_left_flight_unread()),
        &["client sent a Certificate message", "server closed with an alert-length record, which the client did not answer"])
        .on_missing_tickets(),

    // Go clients without a session cache take no tickets, and Go servers send them none. A refusal and a goodbye are the same then.
    rule("P1n", Ended, 0.5, Unknown,
        |e| e.has_certificate() && e.server_may_refuse() && !e.client_takes_tickets(),
        &["client sent a Certificate message and takes no tickets", "server's record of an alert's length may be a refusal or its goodbye"]),

    // As P2a, without even an alert: the server's verdict never became visible.
    rule("P8a", Ended, 0.5, Unknown,
        |e| e.has_certificate() && e.client_left_first(),
        &["client sent a Certificate message", "client closed before the server sent anything"]),

    // A server that closes without a word although the client waits for an answer of HTTP, and not when it had the request: it gave up,
    // and nothing says over what. One of a one-way protocol may close when it has worked on a message: 37 such connections of a
    // blind test looked the same. No case of HTTP in the labs.
    rule("P6c", Ended, UNMEASURED, Failure(SERVER, Closed),
        |e| e.has_certificate() && e.server_broke_off_use(),
        &["client sent a Certificate message", "server closed the connection while the client waited for an answer"]),

    // Otherwise all of these look the same: Node, Bun, Deno and asyncio servers, and TCP proxies in front of others, which close
    // without a word on a bad client certificate; servers that close at once after a good one; those of one-way protocols without
    // tickets, which close when they have a message.
    rule("P6u", Ended, 0.5, Unknown,
        |e| e.has_certificate() && e.server_closed_without_record().is_some(),
        &["client sent a Certificate message", "server closed without a record: a silent refusal, or the end of its work"]),

    // Without a Certificate message a server has nothing left to refuse but the Finished itself. But connections that are cut
    // at the server end in this way, too.
    rule("P7", Ended, 0.5, Unknown,
        |e| e.flight == Flight::NoCertificate && e.closed_first() == Some(SERVER) && e.server_closed_without_record().is_some(),
        &["server closed the connection right after the client's Finished"]),

    // Without a Certificate message, an alert-length record after the client has left is the answer to its goodbye.
    rule("P2", Ended, 0.98, Success,
        |e| e.flight == Flight::NoCertificate && e.client_left_first() && e.server_records_after().next().is_some(),
        &["client completed the handshake and closed first", "server answered with an alert-length record"]),

    // The same where the server goes first. With data of the client left unanswered, it may be an alert on the Finished
    // (bad_record_mac, decrypt_error) as well as a goodbye: then nothing is said.
    rule("P3", Ended, 0.98, Success,
        |e| e.flight == Flight::NoCertificate && e.server_records_after().next().is_some()
            && !e.has_unanswered_data() && !e.has_crossing_data(),
        &["client completed the handshake", "server closed with an alert-length record"]),

    // Data that stays unanswered until the client leaves: the server may never have taken the Finished.
    rule("P8u", Ended, 0.5, Unknown,
        |e| e.flight == Flight::NoCertificate && e.client_left_first() && e.has_unanswered_data(),
        &["client sent data after its Finished and closed", "server sent nothing"]),

    // A client that has sent its Finished was content, and nothing speaks against the server. curl leaves this way when the
    // name in the certificate does not match.
    rule("P8", Ended, 0.98, Success,
        |e| e.flight == Flight::NoCertificate && e.client_left_first(),
        &["client completed the handshake and closed first"]),
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::handshake::end::End;
    use crate::handshake::testing::{Script, connection, full, resuming};
    use crate::handshake::verdict::cleartext::{T2, T3, T4, T5};
    use crate::handshake::verdict::inferred::infer;
    use crate::time::Timestamp;
    use crate::tls::{ClientHello, ExtensionType};

    /// A rule, on a transcript that it fits and on one that it just misses.
    struct Case {
        rule: &'static str,
        fits: fn() -> Script,
        misses: fn() -> Script,
        /// What decides in the second case.
        instead: Option<&'static str>,
    }

    /// A full handshake in which the client has shown a certificate.
    fn with_certificate() -> Script {
        full()
            .server_flight_with_request()
            .client_records(&[900, 281, 53])
    }

    /// The same as [`with_certificate`] with the hello of a client that takes no tickets.
    fn with_certificate_but_no_tickets(change: impl FnOnce(&mut ClientHello)) -> Script {
        connection()
            .client_hello(|hello| {
                hello.psk_key_exchange_modes = false;
                change(hello);
            })
            .server_hello_13(|_| {})
            .server_flight_with_request()
            .client_records(&[900, 281, 53])
    }

    /// The same as [`with_certificate`] with a client that offers HTTP only.
    fn with_certificate_and_http() -> Script {
        let client =
            connection().client_hello(|hello| hello.alpn = Some(vec!["http/1.1".to_owned()]));
        client
            .server_hello_13(|_| {})
            .server_flight_with_request()
            .client_records(&[900, 281, 53])
    }

    /// The same as [`with_certificate`] with a client of OpenSSL.
    fn with_certificate_of_openssl() -> Script {
        connection()
            .client_hello(|hello| {
                hello.extensions = [0, 11, 10, 22, 23, 13, 43, 45, 51]
                    .map(ExtensionType)
                    .to_vec();
            })
            .server_hello_13(|_| {})
            .server_flight_with_request()
            .client_records(&[900, 281, 53])
    }

    /// A full handshake in which the client was asked for a certificate and had none.
    fn with_empty_certificate() -> Script {
        full()
            .server_flight_with_request()
            .client_records(&[25, 53])
    }

    /// A full handshake without client authentication.
    fn without_certificate() -> Script {
        full().server_flight().client_records(&[53])
    }

    const HANDSHAKE_FAILURE: AlertDescription = AlertDescription::HandshakeFailure;
    const CLOSE_NOTIFY: AlertDescription = AlertDescription::CloseNotify;

    /// Length of an encrypted record that is filled up to a block of 512 bytes.
    const BLOCK: u16 = 512 + 16;

    /// GnuTLS servers refuse with two alerts; those of others answer with two bytes, and say goodbye.
    #[test]
    fn two_records_of_an_alerts_length_are_a_refusal_of_gnutls_only() {
        let answered = |written: [ExtensionType; 2]| {
            let hello = connection().client_hello(|_| {});
            let hello = hello.server_hello_13(|hello| hello.extensions = written.to_vec());
            let asked = hello
                .server_flight_with_request()
                .client_records(&[900, 281, 53, 100]);
            decides(&asked.server_records(&[19, 19]).fin(SERVER).fin(CLIENT))
        };
        let [version, key] = [ExtensionType::SupportedVersions, ExtensionType::KeyShare];
        assert_eq!(answered([key, version]), Some("P1"));
        assert_eq!(answered([version, key]), None);
    }

    /// OpenSSL's client sends nothing after a fatal alert, whether its request had crossed that or not.
    #[test]
    fn a_goodbye_that_openssl_answers_is_no_refusal_of_what_crossed_it() {
        let crossed = || {
            let closed = with_certificate_of_openssl()
                .server_records(&[19])
                .fin(SERVER);
            closed.client_records(&[100])
        };
        assert_eq!(decides(&crossed().fin(CLIENT)), Some("P1x"));
        let answered = crossed().client_records(&[19]).fin(CLIENT);
        assert_eq!(decides(&answered), Some("P1r"));
    }

    /// A server that was busy may read the client's flight, and refuse it, only when the client has left.
    #[test]
    fn a_server_that_acts_long_after_the_client_has_left_may_refuse_it_only_then() {
        let left = || with_certificate().wait(300).fin(CLIENT);
        let acts = |script: Script| decides(&script.server_records(&[19]).fin(SERVER));
        assert_eq!(acts(left()), Some("P8s"));
        assert_eq!(acts(left().wait(20)), Some("P2a"));
    }

    #[test]
    fn a_ticket_comes_before_the_first_answer() {
        let sent = |script: Script| script.shape().has_sent_ticket;
        let asked = || with_certificate().client_records(&[100]);
        let go_on = |script: Script| script.client_records(&[100]);
        assert_eq!(sent(with_certificate().server_records(&[250])), Some(true));
        assert_eq!(sent(go_on(asked().server_records(&[250]))), Some(false));
        // One of them may be a ticket; and more may follow.
        assert_eq!(sent(go_on(asked().server_records(&[250, 250]))), None);
        assert_eq!(sent(asked().server_records(&[250])), None);
        assert_eq!(sent(go_on(asked().server_records(&[19]))), None);
        let takes_none = with_certificate_but_no_tickets(|_| {}).client_records(&[100]);
        assert_eq!(sent(go_on(takes_none.server_records(&[250]))), None);
    }

    /// The specification of the rules: a rule without a case fails the test below.
    const CASES: &[Case] = &[
        Case {
            rule: "S1",
            fits: || full().alert(SERVER, HANDSHAKE_FAILURE).fin(SERVER),
            // The client had closed: the alert answers that.
            misses: || full().fin(CLIENT).alert(SERVER, HANDSHAKE_FAILURE),
            instead: Some("C4"),
        },
        Case {
            rule: "P0",
            fits: || without_certificate().alert(SERVER, HANDSHAKE_FAILURE),
            misses: || {
                without_certificate()
                    .fin(CLIENT)
                    .alert(SERVER, HANDSHAKE_FAILURE)
            },
            instead: Some("P8"),
        },
        Case {
            rule: "S2",
            fits: || full().server_records(&[19]).fin(SERVER),
            // More of a flight follows.
            misses: || full().server_records(&[19, 900]).fin(SERVER),
            instead: Some("S3"),
        },
        Case {
            rule: "S2m",
            fits: || full().server_records(&[65, 35]).fin(CLIENT),
            misses: || full().server_records(&[65, 36]).fin(CLIENT),
            instead: Some("C4"),
        },
        Case {
            rule: "S3",
            fits: || full().server_flight().rst(SERVER),
            misses: || full().server_flight().fin(CLIENT).fin(SERVER),
            instead: Some("C4f"),
        },
        Case {
            rule: "C1",
            fits: || {
                let closed = full().server_flight().fin(SERVER);
                closed.alert(CLIENT, AlertDescription::UnknownCa)
            },
            // A complaint about the close says nothing of the certificate.
            misses: || {
                let closed = full().server_flight().fin(SERVER);
                closed.alert(CLIENT, AlertDescription::DecodeError)
            },
            instead: Some("S3"),
        },
        Case {
            rule: "C2",
            fits: || full().server_flight().alert(CLIENT, CLOSE_NOTIFY),
            misses: || {
                full()
                    .server_flight()
                    .fin(SERVER)
                    .alert(CLIENT, CLOSE_NOTIFY)
            },
            instead: Some("S3"),
        },
        Case {
            rule: "C3p",
            fits: || resuming().server_records(&[23, 53]).client_records(&[19]),
            misses: || full().server_records(&[23, 53]).client_records(&[19]),
            instead: Some("C3"),
        },
        Case {
            rule: "C3",
            fits: || full().server_flight().client_records(&[19]),
            // One byte more than an alert is no alert, and nothing known.
            misses: || full().server_flight().client_records(&[20]),
            instead: None,
        },
        Case {
            rule: "C4f",
            fits: || full().server_flight().fin(CLIENT).fin(SERVER),
            misses: || full().server_flight().wait(200).fin(CLIENT),
            instead: Some("C4"),
        },
        Case {
            rule: "C4u",
            fits: || {
                let unseen = connection().in_view(CLIENT).server_hello_13(|_| {});
                unseen.server_flight().fin(CLIENT).fin(SERVER)
            },
            misses: || full().server_flight().fin(CLIENT).fin(SERVER),
            instead: Some("C4f"),
        },
        Case {
            rule: "C4",
            fits: || full().server_flight().rst(CLIENT),
            misses: || full().server_flight().client_records(&[100]).fin(CLIENT),
            instead: None,
        },
        Case {
            rule: "C5",
            fits: || full().server_flight().client_records(&[30]).fin(CLIENT),
            misses: || {
                full()
                    .server_flight()
                    .client_records(&[30, 100])
                    .fin(CLIENT)
            },
            instead: None,
        },
        Case {
            rule: "P5",
            fits: || with_certificate().server_records(&[250]),
            misses: || with_certificate().server_records(&[19]),
            instead: None,
        },
        Case {
            rule: "P5x",
            fits: || {
                let padded = full()
                    .server_records(&[BLOCK, BLOCK])
                    .client_records(&[BLOCK]);
                let answered = padded.server_records(&[BLOCK]).client_records(&[BLOCK]);
                answered.server_records(&[BLOCK])
            },
            misses: || {
                let padded = full()
                    .server_records(&[BLOCK, BLOCK])
                    .client_records(&[BLOCK]);
                padded.server_records(&[BLOCK]).client_records(&[BLOCK])
            },
            instead: None,
        },
        Case {
            rule: "P5t",
            fits: || {
                let asked = with_certificate().client_records(&[100]);
                let answered = asked.server_records(&[19]).client_records(&[100]);
                answered.server_records(&[19])
            },
            // GnuTLS servers refuse with two alerts.
            misses: || {
                let asked = with_certificate().client_records(&[100]);
                asked.server_records(&[19, 19]).fin(SERVER).fin(CLIENT)
            },
            instead: Some("P1"),
        },
        Case {
            rule: "P5o",
            fits: || {
                let answered = with_certificate().server_records(&[19]).wait(60);
                answered
                    .client_records(&[19])
                    .server_records(&[19])
                    .fin(SERVER)
            },
            // A server that has refused may leave the socket open until the client closes it.
            misses: || {
                let refused = with_certificate().server_records(&[19]).wait(1_000);
                refused.rst(CLIENT)
            },
            instead: Some("P1w"),
        },
        Case {
            rule: "P8s",
            fits: || {
                let left = with_certificate().wait(300).client_records(&[19]);
                left.server_records(&[19]).fin(SERVER)
            },
            misses: || {
                let left = with_certificate().wait(200).client_records(&[19]);
                left.server_records(&[19]).fin(SERVER)
            },
            instead: Some("P2a"),
        },
        Case {
            rule: "P2a",
            fits: || {
                with_certificate()
                    .client_records(&[19])
                    .server_records(&[19])
                    .fin(CLIENT)
            },
            // Nothing to refuse: the server's record is its close_notify.
            misses: || {
                without_certificate()
                    .client_records(&[19])
                    .server_records(&[19])
                    .fin(CLIENT)
            },
            instead: Some("P2"),
        },
        Case {
            rule: "P1e",
            fits: || {
                let begun = full().server_flight_with_request().client_records(&[900]);
                let refused = begun.server_records(&[19]);
                refused.client_records(&[281, 53]).fin(SERVER)
            },
            misses: || {
                with_certificate()
                    .server_records(&[19])
                    .fin(SERVER)
                    .fin(CLIENT)
            },
            instead: Some("P1d"),
        },
        Case {
            rule: "P5c",
            fits: || {
                let answered = with_certificate()
                    .client_records(&[100])
                    .server_records(&[19]);
                answered.client_records(&[19]).fin(SERVER).fin(CLIENT)
            },
            // The server closes when all is over anyway.
            misses: || {
                let answered = with_certificate()
                    .client_records(&[100])
                    .server_records(&[19]);
                answered.client_records(&[19]).fin(CLIENT).fin(SERVER)
            },
            instead: Some("P1g"),
        },
        Case {
            rule: "P5d",
            fits: || {
                let late = with_certificate().wait(150).client_records(&[100]);
                late.step_back(1).server_records(&[19]).fin(SERVER)
            },
            // Nothing says that the message was the reason.
            misses: || {
                let late = with_certificate().wait(150).client_records(&[100]);
                late.wait(50).server_records(&[19]).fin(SERVER)
            },
            instead: Some("P4"),
        },
        Case {
            rule: "P5g",
            fits: || {
                let idle = with_certificate_of_openssl().wait(2_000);
                let goodbye = idle.server_records(&[19]).fin(SERVER);
                goodbye.client_records(&[19]).fin(CLIENT)
            },
            // Others answer a fatal alert, too.
            misses: || {
                let idle = with_certificate().wait(2_000);
                let goodbye = idle.server_records(&[19]).fin(SERVER);
                goodbye.client_records(&[19]).fin(CLIENT)
            },
            instead: Some("P4"),
        },
        Case {
            rule: "P5i",
            fits: || with_certificate().wait(3_000).fin(SERVER),
            // A message waits for an answer: what the server could not do is not known.
            misses: || {
                let asked = with_certificate().client_records(&[100]);
                asked.wait(3_000).fin(SERVER)
            },
            instead: Some("P4"),
        },
        Case {
            rule: "P4",
            fits: || {
                with_certificate()
                    .wait(150)
                    .server_records(&[19])
                    .fin(SERVER)
            },
            misses: || {
                let waited = with_certificate().client_records(&[100]).wait(90);
                waited.server_records(&[19]).fin(SERVER)
            },
            instead: Some("P1"),
        },
        Case {
            rule: "P1w",
            fits: || {
                let goodbye = with_certificate().server_records(&[19]).fin(CLIENT);
                goodbye.step_back(1).fin(SERVER)
            },
            // The server closes before the client has.
            misses: || {
                let refused = with_certificate().server_records(&[19]).fin(SERVER);
                refused.fin(CLIENT)
            },
            instead: Some("P1d"),
        },
        Case {
            rule: "P1q",
            fits: || {
                let mut cancelled = with_certificate().client_records(&[12 + 256 + 17]);
                cancelled.transcript.note_postgresql();
                cancelled.server_records(&[19]).fin(SERVER)
            },
            // The first message of a session is longer.
            misses: || {
                let mut begun = with_certificate().client_records(&[84 + 17]);
                begun.transcript.note_postgresql();
                begun.server_records(&[19]).fin(SERVER)
            },
            instead: Some("P1"),
        },
        Case {
            rule: "P1g",
            fits: || {
                let asked = with_certificate().client_records(&[100]);
                let ended = asked.server_records(&[19]).fin(SERVER);
                ended.client_records(&[19]).fin(CLIENT)
            },
            // The client does not answer.
            misses: || {
                let asked = with_certificate().client_records(&[100]);
                asked.server_records(&[19]).fin(SERVER).fin(CLIENT)
            },
            instead: Some("P1"),
        },
        Case {
            rule: "P1",
            fits: || {
                let asked = with_certificate().client_records(&[100]);
                asked.server_records(&[19]).fin(SERVER)
            },
            misses: || {
                let asked = without_certificate().client_records(&[100]);
                asked.server_records(&[19]).fin(SERVER)
            },
            instead: None,
        },
        Case {
            rule: "P1x",
            fits: || {
                let refused = with_certificate().server_records(&[19]).fin(SERVER);
                refused.client_records(&[100])
            },
            misses: || {
                let refused = with_certificate().server_records(&[19]).fin(SERVER);
                refused.client_records(&[19])
            },
            instead: Some("P1r"),
        },
        Case {
            rule: "P1r",
            fits: || {
                with_certificate()
                    .server_records(&[19])
                    .client_records(&[19])
                    .fin(CLIENT)
            },
            misses: || with_certificate().server_records(&[19]).fin(CLIENT),
            instead: Some("P1d"),
        },
        Case {
            rule: "P1b",
            fits: || {
                let padded = full().server_flight_with_request();
                let padded = padded.client_records(&[BLOCK, BLOCK]);
                padded.server_records(&[19]).fin(SERVER).fin(CLIENT)
            },
            // Nobody asked for a certificate.
            misses: || {
                let padded = full().server_flight().client_records(&[BLOCK, BLOCK]);
                padded.server_records(&[19]).fin(SERVER).fin(CLIENT)
            },
            instead: None,
        },
        Case {
            rule: "P1d",
            fits: || {
                with_empty_certificate()
                    .server_records(&[19])
                    .fin(SERVER)
                    .fin(CLIENT)
            },
            // The client may still answer.
            misses: || with_empty_certificate().server_records(&[19]).fin(SERVER),
            instead: None,
        },
        Case {
            rule: "P1n",
            fits: || {
                let asked = with_certificate_but_no_tickets(|_| {}).client_records(&[100]);
                asked.server_records(&[19]).fin(SERVER)
            },
            // HTTP answers what a client asks.
            misses: || {
                let http = Some(vec!["http/1.1".to_owned()]);
                let asked = with_certificate_but_no_tickets(|hello| hello.alpn = http);
                let asked = asked.client_records(&[100]);
                asked.server_records(&[19]).fin(SERVER)
            },
            instead: Some("P1"),
        },
        Case {
            rule: "P8a",
            fits: || with_empty_certificate().fin(CLIENT),
            misses: || without_certificate().fin(CLIENT),
            instead: Some("P8"),
        },
        Case {
            rule: "P6c",
            fits: || {
                let asked = with_certificate_and_http().client_records(&[100]);
                asked.wait(50).fin(SERVER)
            },
            // A server of another protocol may have worked on the message.
            misses: || {
                let sent = with_certificate().client_records(&[100]);
                sent.wait(50).fin(SERVER)
            },
            instead: Some("P6u"),
        },
        Case {
            rule: "P6u",
            fits: || with_certificate().fin(SERVER),
            misses: || with_certificate().fin(CLIENT).fin(SERVER),
            instead: Some("P8a"),
        },
        Case {
            rule: "P7",
            fits: || without_certificate().rst(SERVER),
            misses: || without_certificate().server_records(&[19]).rst(SERVER),
            instead: Some("P3"),
        },
        Case {
            rule: "P2",
            fits: || {
                without_certificate()
                    .client_records(&[19])
                    .server_records(&[19])
                    .fin(SERVER)
            },
            misses: || {
                without_certificate()
                    .server_records(&[19])
                    .client_records(&[19])
                    .fin(SERVER)
            },
            instead: Some("P3"),
        },
        Case {
            rule: "P3",
            fits: || without_certificate().server_records(&[19]).fin(SERVER),
            misses: || with_certificate().server_records(&[19]).fin(SERVER),
            instead: None,
        },
        Case {
            rule: "P8u",
            fits: || without_certificate().client_records(&[100]).fin(CLIENT),
            misses: || without_certificate().fin(CLIENT),
            instead: Some("P8"),
        },
        Case {
            rule: "P8",
            fits: || without_certificate().client_records(&[19]).fin(CLIENT),
            // Nobody has closed.
            misses: || without_certificate().client_records(&[19]),
            instead: None,
        },
    ];

    fn decides(script: &Script) -> Option<&'static str> {
        infer(&script.transcript, Some(End::CaptureEnd)).map(|inferred| inferred.rule.id)
    }

    #[test]
    fn each_rule_decides_the_shape_that_it_is_for_and_no_near_miss() {
        for case in CASES {
            let Case {
                rule,
                fits,
                misses,
                instead,
            } = case;
            assert_eq!(decides(&fits()), Some(*rule), "{rule} fits");
            assert_ne!(Some(*rule), *instead, "{rule}");
            assert_eq!(decides(&misses()), *instead, "{rule} just misses");
        }
    }

    #[test]
    fn every_rule_has_a_case_and_an_id_of_its_own() {
        let rules: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
        let cases: Vec<&str> = CASES.iter().map(|case| case.rule).collect();
        assert_eq!(cases, rules, "a case per rule, in the order of the rules");
        for (at, rule) in rules.iter().enumerate() {
            assert!(!rules[..at].contains(rule), "{rule} stands twice");
        }
    }

    #[test]
    fn a_rule_on_what_is_absent_decides_only_when_the_connection_has_ended() {
        for (case, rule) in CASES.iter().zip(RULES) {
            let open = infer(&(case.fits)().transcript, None).map(|inferred| inferred.rule.id);
            match rule.when {
                Open => assert_eq!(open, Some(rule.id)),
                Ended => assert_ne!(open, Some(rule.id)),
            }
        }
    }

    #[test]
    fn an_unknown_outcome_has_no_more_confidence_than_chance() {
        for rule in RULES {
            assert!((0.5..1.0).contains(&rule.confidence), "{}", rule.id);
            assert_eq!(rule.claim == Unknown, rule.confidence == 0.5, "{}", rule.id);
        }
    }

    #[test]
    fn the_table_in_the_documentation_has_these_rules_and_confidences() {
        let page = include_str!("../../../../docs/inference.md");
        let (_, section) = page
            .split_once("\n## How often each rule was right\n")
            .unwrap();
        // The rules inside EAP have a table of their own.
        let section = section.split("\n## ").next().unwrap();
        let rows = section.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split('|').map(str::trim);
            let (rule, _, confidence) = (cells.next()?, cells.next()?, cells.next()?);
            Some((rule.to_owned(), confidence.to_owned()))
        });
        let documented: Vec<_> = rows.skip(1).collect(); // the heads of the columns
        let rules = RULES.iter().map(|rule| {
            let confidence = format!("{:.2}", rule.confidence);
            let confidence = Some(confidence).filter(|_| rule.claim != Unknown);
            (rule.id.to_owned(), confidence.unwrap_or_default())
        });
        let cleartext = [&T2, &T3, &T4, &T5].into_iter();
        let cleartext =
            cleartext.map(|rule| (rule.id.to_owned(), format!("{:.2}", rule.confidence)));
        assert_eq!(
            documented,
            rules.chain(cleartext).collect::<Vec<_>>(),
            "run docs/calibrate.py"
        );
    }

    #[test]
    fn to_a_client_without_tickets_only_a_reset_before_it_acts_tells_a_refusal_from_a_goodbye() {
        let sent = || with_certificate_but_no_tickets(|_| {});
        let closed = sent().server_records(&[19]).fin(SERVER).fin(CLIENT);
        assert_eq!(decides(&closed), Some("P1n"));
        let reset = sent().server_records(&[19]).rst(SERVER);
        assert_eq!(decides(&reset), Some("P1d"));
        let crossed = sent().server_records(&[19]).fin(SERVER);
        assert_eq!(decides(&crossed.client_records(&[100])), Some("P1n"));
        // What was unread may be the client's data.
        let unread = sent().client_records(&[100]).server_records(&[19]);
        assert_eq!(decides(&unread.rst(SERVER)), Some("P1n"));
    }

    /// GnuTLS's client left while servers of Haskell's tls looked at its certificate for 0.3 to 1.2 s, and then refused it.
    #[test]
    fn a_server_that_leaves_messages_unread_has_not_waited_for_them() {
        let sent = || with_certificate().wait(300).client_records(&[100]);
        let refused = sent().step_back(1).server_records(&[19]).rst(SERVER);
        assert_eq!(decides(&refused), Some("P4"));
        let left = || sent().client_records(&[19]).server_records(&[19]);
        assert_eq!(decides(&left().rst(SERVER)), Some("P2a"));
        assert_eq!(decides(&left().fin(SERVER)), Some("P8s"));
    }

    #[test]
    fn a_client_of_openssl_that_answers_has_read_a_goodbye() {
        let asked = || with_certificate_of_openssl().client_records(&[100]);
        let ended = || asked().server_records(&[19]).fin(SERVER);
        assert_eq!(decides(&ended().fin(CLIENT)), Some("P1"));
        let answered = ended().client_records(&[19]).fin(CLIENT);
        assert_eq!(decides(&answered), Some("P1r"));
        // Not if it had not received the record.
        let crossed = ended().before_receiving(2).client_records(&[19]);
        assert_eq!(decides(&crossed.fin(CLIENT)), Some("P1g"));
    }

    #[test]
    fn a_late_clock_does_not_make_a_close_prompt() {
        let left = |wait, late: Option<(Side, i64)>| {
            let mut script = full().server_flight().wait(wait).fin(CLIENT);
            if let Some((side, milliseconds)) = late {
                let at = Timestamp::from_nanoseconds(milliseconds * 1_000_000);
                let direction = script.transcript.direction(side);
                let transcript = &mut script.transcript;
                transcript.note_late(direction, Timestamp::from_nanoseconds(0), at);
                if side == CLIENT {
                    // The opening shows a longer way to the client, too.
                    transcript.note_client_round_trip(Duration::from_millis(150));
                }
            }
            decides(&script)
        };
        assert_eq!(left(0, None), Some("C4f"));
        // How late the server is, is not known: its flight may have been sent long before.
        assert_eq!(left(0, Some((SERVER, 1))), Some("C4u"));
        assert_eq!(left(300, Some((SERVER, 1))), Some("C4"));
        assert_eq!(left(0, Some((CLIENT, 1))), Some("C4f"));
        assert_eq!(left(280, Some((CLIENT, 150))), Some("C4"));
    }

    /// What the client sent before its FIN was captured behind it.
    #[test]
    fn a_fin_that_was_captured_too_early_does_not_make_a_close_prompt() {
        let left = |behind: i64| {
            let script = full().server_flight().delivery(CLIENT, |delivery| {
                delivery.note_behind_fin(Timestamp::from_nanoseconds(behind * 1_000_000));
            });
            decides(&script.fin(CLIENT))
        };
        assert_eq!(left(20), Some("C4f"));
        assert_eq!(left(150), Some("C4u"));
    }

    #[test]
    fn a_close_that_comes_sooner_than_an_answer_can_is_not_one() {
        let refused = |script: Script| {
            let answered = script.server_records(&[19]).client_records(&[19]);
            answered.fin(SERVER).fin(CLIENT)
        };
        let asked = || with_certificate().client_records(&[100]);
        assert_eq!(decides(&refused(asked())), Some("P5c"));
        // The first sign shows how far the server is.
        assert_eq!(decides(&refused(asked().wait(60))), Some("P1g"));
        // Without the hello, how far it is shows nowhere.
        let unseen = connection().in_view(CLIENT).server_hello_13(|_| {});
        let unseen = unseen.server_flight_with_request();
        let unseen = unseen.client_records(&[900, 281, 53, 100]);
        assert_ne!(decides(&refused(unseen)), Some("P5c"));
        // A FIN that was not captured may have been sent long before.
        let goodbye = asked().server_records(&[19]).client_records(&[19]);
        let closed = goodbye.unseen_fin(SERVER).fin(CLIENT);
        assert_eq!(decides(&closed), Some("P1g"));
    }

    #[test]
    fn nothing_is_inferred_from_a_flight_with_a_gap() {
        for case in CASES {
            let with_gap = (case.fits)().gap(SERVER);
            assert_eq!(decides(&with_gap), None, "{}", case.rule);
        }
    }
}

//! TLS 1.3: the outcome of a handshake from the shape of its encrypted records.
//!
//! After ServerHello everything is encrypted. Types, lengths, directions, order
//! and time of records, and FIN and RST, still show in most cases whether the
//! handshake completed, and if not, who gave up and over what. [`rules`] is the
//! whole reasoning: the first rule that fits decides.
//!
//! | module | what |
//! | --- | --- |
//! | [`padding`] | how long each message is once encrypted |
//! | [`flight`] | what the flights of both sides hold, by these lengths |
//! | [`early_data`], [`post_handshake`] | what may come before and after the flights |
//! | [`evidence`] | all of that together, as the questions that rules ask |
//! | [`rules`] | the rules, with the evidence for each |
//!
//! # What is not guessed?
//!
//! A client counts the handshake as complete before the server has judged its
//! certificate. If the server then neither sends anything nor closes in a telling
//! way, the outcome is `unknown`: in 4229 labelled handshakes, 84 successes and 115
//! refusals over a certificate looked alike in this way.

mod early_data;
mod evidence;
mod flight;
mod padding;
mod post_handshake;
mod rules;

use crate::event::{ClientCertificate, EarlyData, Outcome};
use crate::flow::Side;
use crate::handshake::end::End;
use crate::handshake::transcript::{Observation, Observed, Transcript};
use crate::time::Timestamp;

use evidence::ShapeEvidence;
pub(super) use evidence::{is_at_once, may_refuse_in_silence};
use flight::ClientFlight as Flight;
use padding::{Lengths, Padding};
pub(super) use rules::{Claim, Reason};
use rules::{RULES, Rule, When};
pub(in crate::handshake) use rules::{SENDS_NO_TICKETS, rests_on_missing_tickets};

/// What a rule concludes about a handshake.
#[derive(Clone, Copy, Debug)]
pub(in crate::handshake) struct Inferred {
    pub(super) rule: &'static Rule,
    /// How many observations there were up to the client's Finished.
    flight_end: usize,
    has_certificate: bool,
}

impl Inferred {
    pub(in crate::handshake) const fn is_success(&self) -> bool {
        matches!(self.rule.claim, Claim::Success)
    }

    /// Whether the client sent a Certificate message, empty or not.
    pub(in crate::handshake) const fn has_certificate(&self) -> bool {
        self.has_certificate
    }

    pub(super) const fn outcome(&self) -> Outcome {
        match self.rule.claim {
            Claim::Success => Outcome::Success,
            Claim::Unknown => Outcome::Unknown,
            Claim::Failure(..) => Outcome::Failure,
        }
    }

    /// What came after the client's Finished.
    pub(in crate::handshake) fn after<'t>(&self, transcript: &'t Transcript) -> &'t [Observation] {
        let observations = transcript.observations();
        observations.get(self.flight_end..).unwrap_or_default()
    }
}

/// Applies the rules; `end` is why no more will come, `None` while the connection is open.
///
/// Nothing is inferred from a client's flight with a gap, or with one behind it: the missing bytes may be the record that
/// decides. One that ends before that flight does not change that the server accepted it. Nor is anything inferred from records
/// whose order is not known, since nothing shows what their sender had acknowledged, or from a close where the ClientHello was not
/// captured: what else the client had sent is not known. Nor from a reset before which a FIN may be missing.
pub(in crate::handshake) fn infer(transcript: &Transcript, end: Option<End>) -> Option<Inferred> {
    let mut observations = transcript.observations().iter();
    let has_answered = observations.any(|seen| seen.is_record_of(Side::Client));
    if transcript.has_late_gap() || transcript.has_gap() && !has_answered {
        return None;
    }
    let mut records = transcript.observations().iter();
    let is_order_unknown =
        records.any(|seen| seen.record().is_some() && seen.acknowledged.is_none());
    let evidence = ShapeEvidence::new(transcript, end).with_clocks_aligned();
    let has_ended = end.is_some()
        && transcript.first_close().is_some()
        && !transcript.is_order_of_closes_unknown();
    let rule = RULES
        .iter()
        .find(|rule| (rule.when == When::Open || has_ended) && (rule.fits)(&evidence))?;
    let is_certain = matches!(
        rule.claim,
        Claim::Success | Claim::Failure(_, Reason::Alert)
    );
    if transcript.has_gap() && !is_certain {
        return None;
    }
    let is_closed = matches!(rule.claim, Claim::Failure(_, Reason::Closed));
    let is_said = matches!(rule.claim, Claim::Failure(_, Reason::Alert));
    let is_close_unknown = transcript.client_hello().is_none() || transcript.may_lack_close();
    if is_closed && is_close_unknown || is_order_unknown && !is_said {
        return None;
    }
    Some(Inferred {
        rule,
        has_certificate: evidence.has_certificate(),
        flight_end: evidence.flight_end + (transcript.observations().len() - evidence.seen.len()),
    })
}

/// Whether the newest observation may let a rule decide while the connection is open: an alert, a first record that may be
/// one, or an answer to the client's flight. Others need not be looked at, and most records are others.
pub(in crate::handshake) fn may_decide(observations: &[Observation]) -> bool {
    /// Longer than an alert under any way of padding.
    const LONGER_THAN_ALERT: u16 = 64;
    let Some(newest) = observations.last() else {
        return false;
    };
    let mut client = observations
        .iter()
        .filter(|observation| observation.side == Side::Client);
    match newest.what {
        Observed::Alert(_) => true,
        Observed::Record(length) if newest.side == Side::Client => {
            length < LONGER_THAN_ALERT && client.nth(1).is_none()
        }
        Observed::Record(_) => client.next().is_some(),
        Observed::Handshake(_) | Observed::Fin | Observed::Rst => false,
    }
}

/// Whether an observation is a record of the length of an alert.
pub(in crate::handshake) fn may_be_alert(transcript: &Transcript, seen: &Observation) -> bool {
    let hello = transcript.server_hello();
    let lengths = Lengths::of(hello.and_then(|hello| hello.cipher_suite));
    let length = seen.record();
    length.is_some_and(|length| lengths.may_be_alert(length))
}

/// The client's certificate, if the server asked for it after the handshake and refused it: its last word has the length of an
/// alert, and then it closed by itself.
pub(super) fn refused_later(transcript: &Transcript) -> Option<ClientCertificate> {
    let may_be_asked = transcript.may_offer_later_authentication();
    let closed_first = transcript.first_close().map(|(side, ..)| side);
    if !may_be_asked || transcript.has_gap() || closed_first != Some(Side::Server) {
        return None;
    }
    let answer = ShapeEvidence::new(transcript, None).later_answer()?;
    answer.is_refused.then_some(answer.certificate)
}

/// The only record with which a server answered the client's first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OnlyAnswer {
    /// Length of its content.
    pub(super) content: u16,
    /// Whether the server said goodbye after it: at once, or after the client did if no ticket can be this answer.
    pub(super) has_goodbye: bool,
}

/// The server's only answer, if the connection ended after it, and the client had been asked for a certificate.
///
/// Up to two records of the server before the answer are tickets.
pub(super) fn only_answer(transcript: &Transcript) -> Option<OnlyAnswer> {
    const TICKETS: usize = 2;
    let evidence = ShapeEvidence::new(transcript, None);
    if !evidence.has_certificate() || transcript.has_gap() {
        return None;
    }
    let lengths = evidence.lengths;
    let is_data = |seen: &Observation| seen.record().is_some() && !evidence.may_be_alert(seen);
    let after = evidence.after();
    let end = after.iter().position(|seen| !is_data(seen))?;
    let (exchange, rest) = after.split_at(end);
    let is_answer = |seen: &&Observation| seen.side == Side::Server;
    let answer = exchange.last().filter(is_answer)?;
    let answers = exchange.iter().filter(is_answer).count();
    let is_first = answers < exchange.len() && answers <= TICKETS + 1;
    let is_last = !rest.iter().any(|seen| is_data(seen) && is_answer(&seen));
    let is_goodbye = |seen: &Observation| {
        is_answer(&seen) && seen.record() == Some(lengths.alert(Padding::None))
    };
    let hello = transcript.client_hello();
    let takes_no_tickets = hello.is_some_and(|hello| !hello.psk_key_exchange_modes);
    let is_no_ticket = answers > TICKETS || takes_no_tickets;
    (is_first && is_last).then_some(OnlyAnswer {
        content: lengths.content(answer.record()?)?,
        has_goodbye: rest.first().is_some_and(is_goodbye)
            || is_no_ticket && rest.iter().any(is_goodbye),
    })
}

/// What the client answered to the server's flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientAnswer {
    Nothing,
    /// One record of an alert's length.
    Alert,
    /// Its Finished, and before it a Certificate message if it was asked for one.
    Flight(ClientCertificate),
    Unclear,
}

/// What followed the client's flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchanged {
    pub(super) answer: ClientAnswer,
    /// Where the client's Finished ended in its stream, as in [`Observation::stream_end`](Observation).
    pub(super) flight_end: u32,
    /// Whether the server sent more than an alert after it, or the client went on when the server had said something.
    pub(super) has_server_gone_on: bool,
    /// Whether the server sent something of an alert's length, and nothing else.
    pub(super) may_have_refused: bool,
    /// Whether the client sent something behind its Finished before the server answered.
    pub(super) has_more: bool,
}

/// What followed the client's flight, for those that know from elsewhere how the connection ended.
pub(super) fn exchanged(transcript: &Transcript) -> Exchanged {
    let evidence = ShapeEvidence::new(transcript, None);
    let answer = match evidence.flight {
        Flight::Nothing => ClientAnswer::Nothing,
        Flight::Alert => ClientAnswer::Alert,
        Flight::NoCertificate => ClientAnswer::Flight(ClientCertificate::NotRequested),
        Flight::EmptyCertificate => ClientAnswer::Flight(ClientCertificate::Absent),
        Flight::Certificate => ClientAnswer::Flight(ClientCertificate::Presented),
        Flight::PlainAlert(_) | Flight::ShortRecord | Flight::Unclear => ClientAnswer::Unclear,
    };
    let flight_end = evidence.flight_end.checked_sub(1);
    let flight_end = flight_end.and_then(|last| evidence.seen.get(last));
    let records = || {
        evidence
            .after()
            .iter()
            .filter(|seen| seen.record().is_some())
    };
    let first_server = records().position(|seen| seen.side == Side::Server);
    let is_answered = |at: usize| records().skip(at).any(|seen| seen.side == Side::Client);
    let has_server_gone_on = evidence.server_sent_more_than_alerts()
        || evidence.server_sent_several_blocks()
        || first_server.is_some_and(is_answered);
    Exchanged {
        answer,
        flight_end: flight_end.map_or(0, |seen| seen.stream_end),
        has_server_gone_on,
        may_have_refused: first_server.is_some() && !has_server_gone_on,
        has_more: records()
            .next()
            .is_some_and(|seen| seen.side == Side::Client),
    }
}

/// What the shape of the flights shows apart from the outcome.
#[derive(Debug)]
pub(in crate::handshake) struct Shape {
    pub(in crate::handshake) client_certificate: ClientCertificate,
    pub(in crate::handshake) early_data: Option<EarlyData>,
    /// Whether the client is known to have received a certificate when it answered: all of a flight that has one.
    pub(in crate::handshake) client_had_certificate: bool,
    /// When the server's flight ended: the last that it sent before the client answered.
    pub(in crate::handshake) server_flight_end: Option<Timestamp>,
    /// When the client's Finished ended.
    pub(in crate::handshake) finished: Option<Timestamp>,
    /// When the client's first application data began.
    pub(in crate::handshake) application_data: Option<Timestamp>,
    /// Records of the server after the client's Finished.
    pub(in crate::handshake) server_records_after: usize,
    /// Whether the server sent a ticket before its first answer, if the client takes tickets and the records show it.
    pub(in crate::handshake) has_sent_ticket: Option<bool>,
}

/// Reads the shape of the flights.
pub(super) fn shape(transcript: &Transcript) -> Shape {
    let evidence = ShapeEvidence::new(transcript, None);
    let has_gap = transcript.has_gap();
    let has_late_gap = transcript.has_late_gap();
    let completes = matches!(
        evidence.flight,
        Flight::NoCertificate | Flight::EmptyCertificate | Flight::Certificate
    );
    let read = &evidence;
    let data_of = |side| {
        let after = read.after().iter();
        after.filter(move |seen| seen.is_record_of(side) && !read.may_be_alert(seen))
    };
    Shape {
        client_certificate: client_certificate(&evidence, has_late_gap),
        early_data: evidence.early_data,
        client_had_certificate: evidence.client_had_certificate(),
        server_flight_end: evidence.server_flight_end().filter(|_| !has_gap),
        finished: evidence.finished().filter(|_| completes && !has_late_gap),
        application_data: data_of(Side::Client).next().map(|data| data.time),
        server_records_after: data_of(Side::Server).count(),
        has_sent_ticket: evidence.has_sent_ticket().filter(|_| completes && !has_gap),
    }
}

fn client_certificate(evidence: &ShapeEvidence<'_>, has_gap: bool) -> ClientCertificate {
    let requested = evidence.server.requests_certificate;
    match evidence.flight {
        _ if has_gap => ClientCertificate::Unknown,
        Flight::NoCertificate => evidence
            .later_answer()
            .map_or(ClientCertificate::NotRequested, |answer| answer.certificate),
        Flight::EmptyCertificate => ClientCertificate::Absent,
        Flight::Certificate => ClientCertificate::Presented,
        _ if evidence.psk || requested == Some(false) => ClientCertificate::NotRequested,
        _ if requested == Some(true) => ClientCertificate::Requested,
        _ => ClientCertificate::Unknown,
    }
}

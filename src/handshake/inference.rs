//! TLS 1.3: the outcome of a handshake from the shape of its encrypted records.
//!
//! After ServerHello everything is encrypted. Types, lengths, directions, order
//! and time of records, and FIN and RST, still tell in most cases whether the
//! handshake completed, and if not, who gave up and over what. [`RULES`] is the
//! whole reasoning: the first rule that fits decides. Confidences are shares of
//! right verdicts on labelled captures of some thirty stacks.
//!
//! What cannot be told is not guessed: a client thinks the handshake complete
//! before the server has judged its certificate. If the server then neither
//! sends anything nor closes in a telling way, the answer is `unknown`.

use std::borrow::Cow;
use std::time::Duration;

use crate::event::{ClientCertificate, EarlyData, Outcome, Side};
use crate::reassembly::Arrival;
use crate::time::Timestamp;
use crate::tls::AlertDescription;

use super::connection::End;
use super::padding::{Lengths, Padding};
use super::tracker::{Sight, Sighting, Tracker};

/// A verdict from the shape of encrypted records.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judgement {
    pub(super) rule: &'static str,
    pub(super) confidence: f64,
    pub(super) verdict: Verdict,
    pub(super) observations: Vec<&'static str>,
    /// How many sightings there were up to the client's Finished.
    pub(super) flight_end: usize,
}

impl Judgement {
    pub(super) const fn is_success(&self) -> bool {
        matches!(self.verdict, Success)
    }

    pub(super) const fn outcome(&self) -> Outcome {
        match self.verdict {
            Success => Outcome::Success,
            Unknown => Outcome::Unknown,
            Failure(..) => Outcome::Failure,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Success,
    Unknown,
    /// Who gave up, and over what.
    Failure(Side, Cause),
}

/// Over what a side gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// What its alert in the clear says.
    Alert,
    /// Its peer's certificate, or the lack of one.
    Certificate,
    /// Something in the hellos.
    Negotiation,
    /// It just closed.
    Closed,
    /// Not to be told.
    Other,
}

/// What the client sent after ServerHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientFlight {
    Nothing,
    PlainAlert(AlertDescription),
    /// One record of an alert's length.
    Alert,
    /// One record shorter than Finished, then the end.
    ShortRecord,
    /// Finished alone.
    NoCertificate,
    /// A Certificate message without certificates.
    EmptyCertificate,
    Certificate,
    Unclear,
}

/// What was seen, in the terms of the rules.
struct Evidence<'t> {
    lengths: Lengths,
    psk: bool,
    /// After ServerHello, 0-RTT data left out.
    seen: Cow<'t, [Sighting]>,
    /// Where the client's first sighting lies in `seen`.
    flight_start: usize,
    /// Where what follows the client's Finished begins in `seen`.
    flight_end: usize,
    flight: ClientFlight,
    server: ServerFlight,
    early_data: Option<EarlyData>,
    /// Whether the records of a side are padded to blocks, so that lengths say little: client, server.
    blocks: [bool; 2],
    /// Client to server and back, at the most.
    round_trip: Duration,
    end: Option<End>,
    tracker: &'t Tracker,
}

/// What the server sent before the client did.
#[derive(Clone, Copy, Debug, Default)]
struct ServerFlight {
    records: usize,
    first_length: u16,
    /// Its way of padding, where one message a record shows it.
    padding: Option<Padding>,
    /// Whether a client certificate was requested, where one message a record shows it.
    requests_certificate: Option<bool>,
}

struct Rule {
    id: &'static str,
    /// Whether it may decide while the connection is open.
    is_open: bool,
    confidence: f64,
    verdict: Verdict,
    fits: fn(&Evidence<'_>) -> bool,
    observations: &'static [&'static str],
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
const CLIENT: Side = Side::Client;
const SERVER: Side = Side::Server;

use Cause::{Alert, Certificate, Closed, Negotiation, Other};
use ClientFlight as Flight;
use Verdict::{Failure, Success, Unknown};

/// The rules, in order: the first that fits decides.
#[rustfmt::skip]
const RULES: &[Rule] = &[
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
/// The shortest record in which a client sends certificates: less holds no certificate and no signature over one.
const SHORTEST_CERTIFICATE: u16 = 220;
/// The last place in the client's flight where Finished is looked for, from 0: Certificate may take several records.
const LAST_FINISHED: usize = 5;

/// Applies the rules; `end` is why no more will come, `None` while the connection is open.
pub(super) fn judge(tracker: &Tracker, end: Option<End>) -> Option<Judgement> {
    if tracker.peers.iter().any(|peer| peer.gap_bytes > 0) {
        return None; // never infer from a flight with a gap
    }
    let evidence = Evidence::new(tracker, end);
    let has_ended = end.is_some() && tracker.first_close().is_some();
    let rule = RULES
        .iter()
        .find(|rule| (rule.is_open || has_ended) && (rule.fits)(&evidence))?;
    Some(Judgement {
        rule: rule.id,
        confidence: rule.confidence,
        verdict: rule.verdict,
        observations: rule.observations.to_vec(),
        flight_end: evidence.flight_end + (tracker.sightings.len() - evidence.seen.len()),
    })
}

/// What the shape of the flights tells beside the outcome.
pub(super) struct Shape {
    pub(super) client_certificate: ClientCertificate,
    pub(super) early_data: Option<EarlyData>,
    /// When the client's Finished ended.
    pub(super) finished: Option<Timestamp>,
    /// When the client's first application data began.
    pub(super) application_data: Option<Timestamp>,
    /// Records of the server after the client's Finished.
    pub(super) server_records_after: usize,
}

/// Reads the shape of the flights.
pub(super) fn shape(tracker: &Tracker) -> Shape {
    let evidence = Evidence::new(tracker, None);
    let has_gap = tracker.peers.iter().any(|peer| peer.gap_bytes > 0);
    let requested = evidence.server.requests_certificate;
    let client_certificate = match evidence.flight {
        _ if has_gap => ClientCertificate::Unknown,
        Flight::NoCertificate => ClientCertificate::NotRequested,
        Flight::EmptyCertificate => ClientCertificate::Absent,
        Flight::Certificate => ClientCertificate::Presented,
        _ if evidence.psk || requested == Some(false) => ClientCertificate::NotRequested,
        _ if requested == Some(true) => ClientCertificate::Requested,
        _ => ClientCertificate::Unknown,
    };
    let after = evidence.after();
    let is_data = |sighting: &&Sighting| matches!(sighting.what, Sight::Record(length) if !evidence.lengths.may_be_alert(length));
    let completes = matches!(
        evidence.flight,
        Flight::NoCertificate | Flight::EmptyCertificate | Flight::Certificate
    );
    Shape {
        client_certificate,
        early_data: evidence.early_data,
        finished: evidence.finished().filter(|_| completes && !has_gap),
        application_data: after
            .iter()
            .filter(|sighting| sighting.side == CLIENT)
            .find(is_data)
            .map(|sighting| sighting.time),
        server_records_after: after
            .iter()
            .filter(|sighting| sighting.side == SERVER)
            .filter(is_data)
            .count(),
    }
}

impl<'t> Evidence<'t> {
    fn new(tracker: &'t Tracker, end: Option<End>) -> Self {
        let server_hello = tracker.server_hello.as_ref();
        let lengths = Lengths::of(server_hello.and_then(|(hello, _)| hello.cipher_suite));
        let psk = server_hello.is_some_and(|(hello, _)| hello.pre_shared_key);
        let (seen, early_data) = without_early_data(tracker, lengths, psk);
        let flight_start = seen
            .iter()
            .position(|sighting| sighting.side == CLIENT)
            .unwrap_or(seen.len());
        let blocks = [CLIENT, SERVER].map(|side| lengths.are_blocks(records(&seen, side)));
        let mut this = Self {
            lengths,
            psk,
            flight_start,
            flight_end: seen.len(),
            flight: Flight::Nothing,
            server: server_flight(&seen[..flight_start], lengths, psk),
            early_data,
            blocks,
            round_trip: round_trip(tracker),
            end,
            tracker,
            seen,
        };
        this.read_client_flight();
        this
    }

    /// Sets the kind and the end of the client's flight.
    fn read_client_flight(&mut self) {
        let is_answer = self.is_reaction(self.flight_start, CLIENT);
        let first = self
            .seen
            .get(self.flight_start)
            .map(|sighting| sighting.what)
            .filter(|_| !is_answer);
        self.flight = match first {
            None | Some(Sight::Fin | Sight::Rst) => {
                self.flight_end = self.flight_start;
                return;
            }
            Some(Sight::Alert(description)) => {
                self.flight_end = self.flight_start + 1;
                Flight::PlainAlert(description)
            }
            Some(Sight::Record(_)) => self.read_encrypted_flight(),
        };
    }

    fn read_encrypted_flight(&mut self) -> Flight {
        let messages = self.client_messages();
        let length = |index: usize| messages.get(index).map(|(_, length)| *length);
        let is = |index: usize, expected: u16| length(index) == Some(usize::from(expected));
        let end_of = |index: usize| {
            messages
                .get(index)
                .map_or(self.seen.len(), |(at, _)| at + 1)
        };
        let lengths = self.lengths;
        let first = length(0).unwrap_or(0);
        if self.blocks[0] {
            self.flight_end = end_of(0);
            return Flight::Unclear;
        }
        for padding in Padding::ALL {
            if is(0, lengths.finished(padding)) {
                self.flight_end = end_of(0);
                return Flight::NoCertificate;
            }
            if is(0, lengths.empty_certificate(padding)) && is(1, lengths.finished(padding)) {
                self.flight_end = end_of(1);
                return Flight::EmptyCertificate;
            }
            if lengths
                .empty_certificate_and_finished(padding)
                .is_some_and(|packed| is(0, packed))
            {
                self.flight_end = end_of(0);
                return Flight::EmptyCertificate;
            }
        }
        self.flight_end = end_of(0);
        let has_more = messages.len() > 1;
        let is_closed = self
            .seen
            .iter()
            .any(|sighting| matches!(sighting.what, Sight::Fin | Sight::Rst));
        let is_ambiguous = is(0, lengths.empty_certificate(Padding::Multiple16));
        if Padding::ALL
            .into_iter()
            .any(|padding| is(0, lengths.alert(padding)))
            && (!is_ambiguous || is_closed)
        {
            return Flight::Alert;
        }
        if Padding::ALL
            .into_iter()
            .any(|padding| is(0, lengths.empty_certificate(padding)))
        {
            return Flight::EmptyCertificate;
        }
        if !has_more && is_closed && first < usize::from(lengths.finished(Padding::None)) {
            return Flight::ShortRecord;
        }
        if first < usize::from(SHORTEST_CERTIFICATE) {
            return Flight::Unclear;
        }
        for (index, (at, _)) in messages.iter().enumerate().take(LAST_FINISHED + 1).skip(2) {
            let ends_flight = |padding| {
                is(index, lengths.finished(padding))
                    && length(index - 1)
                        .is_some_and(|verify| lengths.is_certificate_verify(verify, padding))
            };
            if Padding::ALL.into_iter().any(ends_flight) {
                self.flight_end = at + 1;
                break;
            }
        }
        Flight::Certificate
    }

    /// The client's records after ServerHello, those of one long message joined: the last one's place, and the length of all.
    fn client_messages(&self) -> Vec<(usize, usize)> {
        let mut messages: Vec<(usize, usize)> = Vec::new();
        let mut goes_on = false;
        for (at, sighting) in self.seen.iter().enumerate().skip(self.flight_start) {
            let Sight::Record(length) = sighting.what else {
                continue;
            };
            if sighting.side != CLIENT {
                continue;
            }
            match messages.last_mut() {
                Some(last) if goes_on => *last = (at, last.1 + usize::from(length)),
                _ => messages.push((at, usize::from(length))),
            }
            goes_on = self.lengths.is_full(length);
        }
        messages
    }

    /// What came after the client's Finished.
    fn after(&self) -> &[Sighting] {
        self.seen.get(self.flight_end..).unwrap_or_default()
    }

    fn finished(&self) -> Option<Timestamp> {
        self.flight_end
            .checked_sub(1)
            .and_then(|last| self.seen.get(last))
            .map(|sighting| sighting.end)
    }

    /// Whether the client sent a Certificate message, empty or not.
    fn has_certificate(&self) -> bool {
        matches!(self.flight, Flight::EmptyCertificate | Flight::Certificate)
    }

    fn closed_first(&self) -> Option<Side> {
        self.tracker.first_close().map(|(side, ..)| side)
    }

    fn server_alert_position(&self) -> Option<usize> {
        let is_alert = |sighting: &Sighting| {
            sighting.side == SERVER && matches!(sighting.what, Sight::Alert(_))
        };
        self.seen
            .iter()
            .position(is_alert)
            .filter(|at| !self.is_reaction(*at, SERVER))
    }

    /// Whether the peer of `side` had closed before the sighting at `at`: what `side` says then is only its answer.
    fn is_reaction(&self, at: usize, side: Side) -> bool {
        let before = self.seen.get(..at).unwrap_or_default();
        before.iter().any(|sighting| {
            sighting.side != side && matches!(sighting.what, Sight::Fin | Sight::Rst)
        })
    }

    /// Whether records padded to blocks went from the server after the client's flight, then from the client, then
    /// from the server again: a refusal would have ended it.
    fn has_gone_on(&self) -> bool {
        let mut expected = [SERVER, CLIENT, SERVER].into_iter().peekable();
        for sighting in self.after() {
            if expected
                .peek()
                .is_some_and(|side| is_record(sighting, *side))
            {
                expected.next();
            }
        }
        self.blocks[1] && self.flight != Flight::Nothing && expected.peek().is_none()
    }

    /// Lengths of the server's records after the client's flight.
    fn server_records_after(&self) -> impl Iterator<Item = u16> {
        let begun = matches!(self.flight, Flight::NoCertificate | Flight::Unclear)
            || self.has_certificate();
        records(self.after(), SERVER).take_while(move |_| begun)
    }

    fn is_longer_than_alert(&self, length: u16) -> bool {
        if self.blocks[1] {
            let shortest = records(&self.seen, SERVER).min().unwrap_or(0);
            return length > shortest;
        }
        match self.server.padding {
            Some(padding) => length > self.lengths.alert(padding),
            None => {
                !self.lengths.may_be_alert(length) && length > self.lengths.alert(Padding::None)
            }
        }
    }

    /// Time from the client's Finished to the server's first record after it.
    fn server_alert_after(&self) -> Option<Duration> {
        let first = self
            .after()
            .iter()
            .find(|sighting| is_record(sighting, SERVER))?;
        Some(
            first
                .time
                .checked_since(self.finished()?)
                .unwrap_or_default(),
        )
    }

    /// Whether the server's first record after the client's first comes before the client's Finished, and may be an alert.
    fn server_answers_before_finished(&self) -> bool {
        let flight = self
            .seen
            .get(self.flight_start..self.flight_end)
            .unwrap_or_default();
        records(flight, SERVER)
            .next()
            .is_some_and(|length| !self.is_longer_than_alert(length))
    }

    /// Whether the client, after its Finished, sent an alert-length record or closed before the server sent anything.
    fn client_left_first(&self) -> bool {
        let may_leave = |sighting: &Sighting| match sighting.what {
            Sight::Record(length) => self.lengths.may_be_alert(length),
            Sight::Fin | Sight::Rst | Sight::Alert(_) => true,
        };
        let leaves = self
            .after()
            .iter()
            .position(|sighting| sighting.side == CLIENT && may_leave(sighting));
        let server = self
            .after()
            .iter()
            .position(|sighting| sighting.side == SERVER);
        match (leaves, server) {
            (Some(leaves), Some(server)) => leaves < server,
            (leaves, None) => leaves.is_some(),
            (None, Some(_)) => false,
        }
    }

    /// Whether the client sent data before the server's first record after the flight.
    fn has_unanswered_data(&self) -> bool {
        let before = self
            .after()
            .iter()
            .take_while(|sighting| !is_record(sighting, SERVER));
        before
            .filter(|sighting| sighting.side == CLIENT)
            .any(|sighting| match sighting.what {
                Sight::Record(length) => !self.lengths.may_be_alert(length),
                _ => false,
            })
    }

    /// Whether the client sent an alert-length record after the server's first record.
    fn client_answers_with_alert(&self) -> bool {
        let behind = self
            .after()
            .iter()
            .skip_while(|sighting| !is_record(sighting, SERVER));
        behind
            .filter(|sighting| sighting.side == CLIENT)
            .any(|sighting| match sighting.what {
                Sight::Record(length) => self.lengths.may_be_alert(length),
                _ => false,
            })
    }

    /// Whether the client can answer no more: closed, reset, or silent.
    fn is_client_done(&self) -> bool {
        let is_reset = self.tracker.is_closing();
        is_reset || self.tracker.peer(CLIENT).close.is_some() || self.end == Some(End::Silence)
    }

    fn server_closed_without_record(&self) -> bool {
        let server = self.after().iter().find(|sighting| sighting.side == SERVER);
        server.is_some_and(|sighting| matches!(sighting.what, Sight::Fin | Sight::Rst))
    }

    /// Whether a resumed session's server sent more than EncryptedExtensions and Finished before the client's flight.
    fn server_sent_early(&self) -> bool {
        self.server.records > 2
    }
}

/// The sightings without the client's 0-RTT data, and what became of it.
fn without_early_data(
    tracker: &Tracker,
    lengths: Lengths,
    psk: bool,
) -> (Cow<'_, [Sighting]>, Option<EarlyData>) {
    let seen = &tracker.sightings;
    let is_offered = tracker
        .client_hello
        .as_ref()
        .is_some_and(|hello| hello.early_data);
    if !is_offered {
        return (Cow::Borrowed(seen), None);
    }
    let client_length = |sighting: &Sighting| match sighting.what {
        Sight::Record(length) if sighting.side == CLIENT => Some(length),
        _ => None,
    };
    let ends = |sighting: &Sighting| client_length(sighting) == Some(lengths.end_of_early_data());
    if let Some(end) = seen
        .iter()
        .position(ends)
        .filter(|_| psk && !tracker.hello_retry_request)
    {
        let kept = seen
            .iter()
            .enumerate()
            .filter(|(at, sighting)| *at > end || client_length(sighting).is_none());
        return (
            kept.map(|(_, sighting)| *sighting).collect(),
            Some(EarlyData::Accepted),
        );
    }
    let begins_flight = |length: u16| {
        Padding::ALL.into_iter().any(|padding| {
            length == lengths.finished(padding)
                || length == lengths.alert(padding)
                || length == lengths.empty_certificate(padding)
                || lengths.empty_certificate_and_finished(padding) == Some(length)
        })
    };
    let start = seen
        .iter()
        .position(|sighting| client_length(sighting).is_some_and(begins_flight))
        .unwrap_or(seen.len());
    let kept = seen
        .iter()
        .enumerate()
        .filter(|(at, sighting)| *at >= start || client_length(sighting).is_none());
    let is_rejected = start < seen.len() || tracker.hello_retry_request || !psk;
    let fate = if is_rejected {
        EarlyData::Rejected
    } else {
        EarlyData::Offered
    };
    (kept.map(|(_, sighting)| *sighting).collect(), Some(fate))
}

fn server_flight(before: &[Sighting], lengths: Lengths, psk: bool) -> ServerFlight {
    let records: Vec<u16> = records(before, SERVER).collect();
    let mut flight = ServerFlight {
        records: records.len(),
        first_length: records.first().copied().unwrap_or(0),
        ..ServerFlight::default()
    };
    for padding in Padding::ALL {
        let finished = records.iter().enumerate().position(|(index, length)| {
            let follows_verify = index.checked_sub(1).is_some_and(|verify| {
                lengths.is_certificate_verify(usize::from(records[verify]), padding)
            });
            *length == lengths.finished(padding) && (follows_verify || psk && index == 1)
        });
        if let Some(finished) = finished {
            flight.padding = Some(padding);
            // EncryptedExtensions, [CertificateRequest], Certificate, CertificateVerify: a long chain takes several records.
            let full = records[..finished]
                .iter()
                .filter(|length| lengths.is_full(**length))
                .count();
            flight.requests_certificate = Some(!psk && finished - full >= 4);
            break;
        }
    }
    flight
}

fn records(seen: &[Sighting], side: Side) -> impl Iterator<Item = u16> {
    seen.iter()
        .filter(move |sighting| sighting.side == side)
        .filter_map(|sighting| match sighting.what {
            Sight::Record(length) => Some(length),
            _ => None,
        })
}

fn is_record(sighting: &Sighting, side: Side) -> bool {
    sighting.side == side && matches!(sighting.what, Sight::Record(_))
}

/// ClientHello to ServerHello: a round trip and the server's work, so never less than the round trip beyond the observer.
fn round_trip(tracker: &Tracker) -> Duration {
    let Arrival { time, .. } = tracker.start;
    tracker
        .server_hello
        .as_ref()
        .and_then(|(_, at)| at.checked_since(time))
        .unwrap_or_default()
}

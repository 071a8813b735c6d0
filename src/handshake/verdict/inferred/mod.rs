//! TLS 1.3: the outcome of a handshake from the shape of its encrypted records.
//!
//! After ServerHello everything is encrypted. Types, lengths, directions, order
//! and time of records, and FIN and RST, still tell in most cases whether the
//! handshake completed, and if not, who gave up and over what. `rules` is the
//! whole reasoning: the first rule that fits decides. Confidences are shares of
//! right verdicts on labelled captures of some thirty stacks.
//!
//! What cannot be told is not guessed: a client thinks the handshake complete
//! before the server has judged its certificate. If the server then neither
//! sends anything nor closes in a telling way, the answer is `unknown`.

mod early_data;
mod evidence;
mod flight;
mod padding;
mod post_handshake;
mod rules;

use crate::event::{ClientCertificate, EarlyData, Outcome, Side};
use crate::time::Timestamp;

use crate::framing::tls::End;
use crate::handshake::transcript::{Sight, Sighting, Tracker};
use evidence::Evidence;
use flight::ClientFlight as Flight;
use rules::RULES;

const CLIENT: Side = Side::Client;
const SERVER: Side = Side::Server;

/// A verdict from the shape of encrypted records.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judgement {
    pub(crate) rule: &'static str,
    pub(crate) confidence: f64,
    pub(crate) verdict: Verdict,
    pub(crate) observations: Vec<&'static str>,
    /// How many sightings there were up to the client's Finished.
    pub(crate) flight_end: usize,
}

impl Judgement {
    pub(crate) const fn is_success(&self) -> bool {
        matches!(self.verdict, Verdict::Success)
    }

    pub(crate) const fn outcome(&self) -> Outcome {
        match self.verdict {
            Verdict::Success => Outcome::Success,
            Verdict::Unknown => Outcome::Unknown,
            Verdict::Failure(..) => Outcome::Failure,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Success,
    Unknown,
    /// Who gave up, and over what.
    Failure(Side, Cause),
}

/// Over what a side gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
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

/// Applies the rules; `end` is why no more will come, `None` while the connection is open.
pub(crate) fn judge(tracker: &Tracker, end: Option<End>) -> Option<Judgement> {
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

/// Whether the server refused what the client answered when it was asked for a certificate after the handshake.
pub(crate) fn is_refused_later(tracker: &Tracker) -> bool {
    tracker.offers_later_authentication()
        && Evidence::new(tracker, None)
            .later_answer()
            .is_some_and(|answer| answer.is_refused)
}

/// What the shape of the flights tells beside the outcome.
pub(crate) struct Shape {
    pub(crate) client_certificate: ClientCertificate,
    pub(crate) early_data: Option<EarlyData>,
    /// When the server's flight ended: the last that it sent before the client answered.
    pub(crate) server_flight_end: Option<Timestamp>,
    /// When the client's Finished ended.
    pub(crate) finished: Option<Timestamp>,
    /// When the client's first application data began.
    pub(crate) application_data: Option<Timestamp>,
    /// Records of the server after the client's Finished.
    pub(crate) server_records_after: usize,
}

/// Reads the shape of the flights.
pub(crate) fn shape(tracker: &Tracker) -> Shape {
    let evidence = Evidence::new(tracker, None);
    let has_gap = tracker.peers.iter().any(|peer| peer.gap_bytes > 0);
    let requested = evidence.server.requests_certificate;
    let client_certificate = match evidence.flight {
        _ if has_gap => ClientCertificate::Unknown,
        Flight::NoCertificate => evidence
            .later_answer()
            .map_or(ClientCertificate::NotRequested, |answer| answer.certificate),
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
        server_flight_end: evidence.server_flight_end().filter(|_| !has_gap),
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

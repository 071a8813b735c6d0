//! What was seen after ServerHello, in the terms of the rules.

use std::borrow::Cow;
use std::time::Duration;

use crate::event::EarlyData;
use crate::flow::{PerSide, Side};
use crate::handshake::end::End;
use crate::handshake::transcript::{Observation, Observed, Transcript};
use crate::time::Timestamp;

use super::early_data::without_early_data;
use super::flight::{
    ClientFlight as Flight, ServerFlight, client_flight, closed_before, records, server_flight,
};
use super::padding::{Lengths, Padding};
use super::post_handshake::{CertificateAnswer, answer};

const CLIENT: Side = Side::Client;
const SERVER: Side = Side::Server;

/// What was seen after ServerHello, in the terms of the rules.
pub(super) struct ShapeEvidence<'t> {
    pub(super) lengths: Lengths,
    pub(super) psk: bool,
    /// The observations, without 0-RTT data.
    pub(super) seen: Cow<'t, [Observation]>,
    /// Where the client's first observation lies in `seen`.
    pub(super) flight_start: usize,
    /// Where what follows the client's Finished begins in `seen`.
    pub(super) flight_end: usize,
    pub(super) flight: Flight,
    pub(super) server: ServerFlight,
    pub(super) early_data: Option<EarlyData>,
    /// Whether the records of a side are padded to blocks, so that lengths say little.
    blocks: PerSide<bool>,
    /// At least the round trip between client and server.
    pub(super) round_trip: Duration,
    end: Option<End>,
    transcript: &'t Transcript,
}

impl<'t> ShapeEvidence<'t> {
    /// Reads a transcript; `end` is why no more will come, `None` while the connection is open.
    pub(super) fn new(transcript: &'t Transcript, end: Option<End>) -> Self {
        let hello = transcript.server_hello();
        let lengths = Lengths::of(hello.and_then(|hello| hello.cipher_suite));
        let psk = hello.is_some_and(|hello| hello.pre_shared_key);
        let (seen, early_data) = without_early_data(transcript, lengths, psk);
        let flight_start = seen
            .iter()
            .position(|observation| observation.side == CLIENT)
            .unwrap_or(seen.len());
        let blocks = PerSide {
            client: lengths.are_blocks(records(&seen, CLIENT)),
            server: lengths.are_blocks(records(&seen, SERVER)),
        };
        let (flight, flight_end) = client_flight(&seen, flight_start, blocks.client, lengths);
        Self {
            lengths,
            psk,
            flight_start,
            flight_end,
            flight,
            // With bytes missing from it, its lengths say little.
            server: if transcript.has_gap() {
                ServerFlight::default()
            } else {
                server_flight(&seen[..flight_start], lengths, psk)
            },
            early_data,
            blocks,
            round_trip: round_trip(transcript),
            end,
            transcript,
            seen,
        }
    }

    /// What came after the client's Finished.
    pub(super) fn after(&self) -> &[Observation] {
        self.seen.get(self.flight_end..).unwrap_or_default()
    }

    /// When the client's Finished ended, if its flight has one.
    pub(super) fn finished(&self) -> Option<Timestamp> {
        self.flight_end
            .checked_sub(1)
            .and_then(|last| self.seen.get(last))
            .map(|observation| observation.end)
    }

    /// When the last record of the server ended that came before the client answered.
    pub(super) fn server_flight_end(&self) -> Option<Timestamp> {
        let before = self.seen.get(..self.flight_start)?;
        before
            .iter()
            .rfind(|observation| observation.is_record_of(SERVER))
            .map(|observation| observation.end)
    }

    /// Whether the client sent a Certificate message, empty or not.
    pub(super) fn has_certificate(&self) -> bool {
        matches!(self.flight, Flight::EmptyCertificate | Flight::Certificate)
    }

    pub(super) fn closed_first(&self) -> Option<Side> {
        self.transcript.first_close().map(|(side, ..)| side)
    }

    /// Where the server sent an alert in the clear that does not answer the client's close.
    pub(super) fn server_alert_position(&self) -> Option<usize> {
        let is_alert = |observation: &Observation| {
            observation.side == SERVER && matches!(observation.what, Observed::Alert(_))
        };
        let first = self.seen.iter().position(is_alert);
        first.filter(|at| !closed_before(&self.seen, *at, CLIENT))
    }

    /// Whether records padded to blocks went from the server after the client's flight, then from the client, then
    /// from the server again: a refusal would have ended the connection.
    pub(super) fn has_gone_on(&self) -> bool {
        let mut expected = [SERVER, CLIENT, SERVER].into_iter().peekable();
        for observation in self.after() {
            if expected
                .peek()
                .is_some_and(|side| observation.is_record_of(*side))
            {
                expected.next();
            }
        }
        self.blocks.server && self.flight != Flight::Nothing && expected.peek().is_none()
    }

    /// Lengths of the server's records after the client's flight.
    pub(super) fn server_records_after(&self) -> impl Iterator<Item = u16> {
        let begun = matches!(self.flight, Flight::NoCertificate | Flight::Unclear)
            || self.has_certificate();
        records(self.after(), SERVER).take_while(move |_| begun)
    }

    /// Whether a record of the server is longer than an alert.
    ///
    /// Against the server's own padding where its flight shows it. Where it does not, any padding might be the
    /// server's, so the record must differ from all of them.
    pub(super) fn is_longer_than_alert(&self, length: u16) -> bool {
        if self.blocks.server {
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
    pub(super) fn server_alert_after(&self) -> Option<Duration> {
        let mut after = self.after().iter();
        let first = after.find(|observation| observation.is_record_of(SERVER))?;
        let waited = first.time.checked_since(self.finished()?);
        Some(waited.unwrap_or_default())
    }

    /// Whether the server's first record after the client's first comes before the client's Finished, and may be an alert.
    pub(super) fn server_answers_before_finished(&self) -> bool {
        let flight = self.seen.get(self.flight_start..self.flight_end);
        records(flight.unwrap_or_default(), SERVER)
            .next()
            .is_some_and(|length| !self.is_longer_than_alert(length))
    }

    /// Whether the client, after its Finished, sent an alert-length record or closed before the server sent anything.
    pub(super) fn client_left_first(&self) -> bool {
        let may_leave = |observation: &Observation| match observation.what {
            Observed::Record(length) => self.lengths.may_be_alert(length),
            Observed::Fin | Observed::Rst | Observed::Alert(_) => true,
        };
        let first = |is: &dyn Fn(&Observation) -> bool| self.after().iter().position(is);
        let leaves = first(&|observation| observation.side == CLIENT && may_leave(observation));
        let server = first(&|observation| observation.side == SERVER);
        match (leaves, server) {
            (Some(leaves), Some(server)) => leaves < server,
            (leaves, None) => leaves.is_some(),
            (None, Some(_)) => false,
        }
    }

    /// Whether the client sent data before the server's first record after the flight.
    pub(super) fn has_unanswered_data(&self) -> bool {
        let mut before = self
            .after()
            .iter()
            .take_while(|observation| !observation.is_record_of(SERVER));
        before.any(|observation| {
            client_record(observation).is_some_and(|length| !self.lengths.may_be_alert(length))
        })
    }

    /// Whether the client sent an alert-length record after the server's first record.
    pub(super) fn client_answers_with_alert(&self) -> bool {
        let mut behind = self
            .after()
            .iter()
            .skip_while(|observation| !observation.is_record_of(SERVER));
        behind.any(|observation| {
            client_record(observation).is_some_and(|length| self.lengths.may_be_alert(length))
        })
    }

    /// Whether the client can answer no more: closed, reset, or silent.
    pub(super) fn is_client_done(&self) -> bool {
        self.transcript.has_reset()
            || self.transcript.peer(CLIENT).closing.first().is_some()
            || self.end == Some(End::Silence)
    }

    /// What the client answered when it was asked for a certificate after the handshake.
    pub(super) fn later_answer(&self) -> Option<CertificateAnswer> {
        let may_be_asked = self.transcript.offers_later_authentication() && !self.blocks.client;
        may_be_asked
            .then(|| answer(self.after(), self.lengths))
            .flatten()
    }

    pub(super) fn server_closed_without_record(&self) -> bool {
        let mut after = self.after().iter();
        let server = after.find(|observation| observation.side == SERVER);
        server.is_some_and(Observation::is_close)
    }

    /// Whether a resumed session's server sent more than EncryptedExtensions and Finished before the client's flight.
    pub(super) const fn server_sent_early(&self) -> bool {
        self.server.records > 2
    }
}

/// The length of a record that the client sent.
fn client_record(observation: &Observation) -> Option<u16> {
    let is_client = observation.side == CLIENT;
    observation.record().filter(|_| is_client)
}

/// ClientHello to ServerHello: a round trip and the server's work, so never less than the round trip beyond the observer.
fn round_trip(transcript: &Transcript) -> Duration {
    let start = transcript.start().time;
    transcript
        .server_hello_at()
        .and_then(|at| at.checked_since(start))
        .unwrap_or_default()
}

//! What was seen, in the terms of the rules.

use std::borrow::Cow;
use std::time::Duration;

use crate::event::{EarlyData, Side};
use crate::time::Timestamp;
use crate::transport::tcp::Arrival;

use super::early_data::without_early_data;
use super::flight::{ClientFlight as Flight, ServerFlight, server_flight};
use super::padding::{Lengths, Padding};
use super::post_handshake::{Answer, answer};
use super::{CLIENT, SERVER};
use crate::framing::tls::End;
use crate::handshake::transcript::{Sight, Sighting, Tracker};

/// What was seen, in the terms of the rules.
pub(super) struct Evidence<'t> {
    pub(super) lengths: Lengths,
    pub(super) psk: bool,
    /// After ServerHello, 0-RTT data left out.
    pub(super) seen: Cow<'t, [Sighting]>,
    /// Where the client's first sighting lies in `seen`.
    pub(super) flight_start: usize,
    /// Where what follows the client's Finished begins in `seen`.
    pub(super) flight_end: usize,
    pub(super) flight: Flight,
    pub(super) server: ServerFlight,
    pub(super) early_data: Option<EarlyData>,
    /// Whether the records of a side are padded to blocks, so that lengths say little: client, server.
    pub(super) blocks: [bool; 2],
    /// Client to server and back, at the most.
    pub(super) round_trip: Duration,
    pub(super) end: Option<End>,
    pub(super) tracker: &'t Tracker,
}

impl<'t> Evidence<'t> {
    pub(super) fn new(tracker: &'t Tracker, end: Option<End>) -> Self {
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

    /// What came after the client's Finished.
    pub(super) fn after(&self) -> &[Sighting] {
        self.seen.get(self.flight_end..).unwrap_or_default()
    }

    pub(super) fn finished(&self) -> Option<Timestamp> {
        self.flight_end
            .checked_sub(1)
            .and_then(|last| self.seen.get(last))
            .map(|sighting| sighting.end)
    }

    /// When the last record of the server ended that came before the client answered.
    pub(super) fn server_flight_end(&self) -> Option<Timestamp> {
        let before = self.seen.get(..self.flight_start)?;
        before
            .iter()
            .rfind(|sighting| is_record(sighting, SERVER))
            .map(|sighting| sighting.end)
    }

    /// Whether the client sent a Certificate message, empty or not.
    pub(super) fn has_certificate(&self) -> bool {
        matches!(self.flight, Flight::EmptyCertificate | Flight::Certificate)
    }

    pub(super) fn closed_first(&self) -> Option<Side> {
        self.tracker.first_close().map(|(side, ..)| side)
    }

    pub(super) fn server_alert_position(&self) -> Option<usize> {
        let is_alert = |sighting: &Sighting| {
            sighting.side == SERVER && matches!(sighting.what, Sight::Alert(_))
        };
        self.seen
            .iter()
            .position(is_alert)
            .filter(|at| !self.is_reaction(*at, SERVER))
    }

    /// Whether the peer of `side` had closed before the sighting at `at`: what `side` says then is only its answer.
    pub(super) fn is_reaction(&self, at: usize, side: Side) -> bool {
        let before = self.seen.get(..at).unwrap_or_default();
        before.iter().any(|sighting| {
            sighting.side != side && matches!(sighting.what, Sight::Fin | Sight::Rst)
        })
    }

    /// Whether records padded to blocks went from the server after the client's flight, then from the client, then
    /// from the server again: a refusal would have ended it.
    pub(super) fn has_gone_on(&self) -> bool {
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
    pub(super) fn server_records_after(&self) -> impl Iterator<Item = u16> {
        let begun = matches!(self.flight, Flight::NoCertificate | Flight::Unclear)
            || self.has_certificate();
        records(self.after(), SERVER).take_while(move |_| begun)
    }

    pub(super) fn is_longer_than_alert(&self, length: u16) -> bool {
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
    pub(super) fn server_alert_after(&self) -> Option<Duration> {
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
    pub(super) fn server_answers_before_finished(&self) -> bool {
        let flight = self
            .seen
            .get(self.flight_start..self.flight_end)
            .unwrap_or_default();
        records(flight, SERVER)
            .next()
            .is_some_and(|length| !self.is_longer_than_alert(length))
    }

    /// Whether the client, after its Finished, sent an alert-length record or closed before the server sent anything.
    pub(super) fn client_left_first(&self) -> bool {
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
    pub(super) fn has_unanswered_data(&self) -> bool {
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
    pub(super) fn client_answers_with_alert(&self) -> bool {
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
    pub(super) fn is_client_done(&self) -> bool {
        let is_reset = self.tracker.is_closing();
        is_reset || self.tracker.peer(CLIENT).close.is_some() || self.end == Some(End::Silence)
    }

    /// What the client answered when it was asked for a certificate after the handshake.
    pub(super) fn later_answer(&self) -> Option<Answer> {
        let may_be_asked = self.tracker.offers_later_authentication() && !self.blocks[0];
        may_be_asked
            .then(|| answer(self.after(), self.lengths))
            .flatten()
    }

    pub(super) fn server_closed_without_record(&self) -> bool {
        let server = self.after().iter().find(|sighting| sighting.side == SERVER);
        server.is_some_and(|sighting| matches!(sighting.what, Sight::Fin | Sight::Rst))
    }

    /// Whether a resumed session's server sent more than EncryptedExtensions and Finished before the client's flight.
    pub(super) fn server_sent_early(&self) -> bool {
        self.server.records > 2
    }
}

pub(super) fn records(seen: &[Sighting], side: Side) -> impl Iterator<Item = u16> {
    seen.iter()
        .filter(move |sighting| sighting.side == side)
        .filter_map(|sighting| match sighting.what {
            Sight::Record(length) => Some(length),
            _ => None,
        })
}

pub(super) fn is_record(sighting: &Sighting, side: Side) -> bool {
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

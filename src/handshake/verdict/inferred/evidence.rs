//! What was seen after ServerHello, in the terms of the rules.

use std::borrow::Cow;
use std::time::Duration;

use crate::event::EarlyData;
use crate::flow::{PerSide, Side};
use crate::framing::{Close, Content};
use crate::handshake::end::End;
use crate::handshake::transcript::{Observation, Observed, Transcript};
use crate::time::Timestamp;
use crate::tls::{AlertDescription, ClientHello, ExtensionType, is_grease};

use super::early_data::without_early_data;
use super::flight::{
    ClientFlight as Flight, ReadClientFlight, ServerFlight, client_flight, closed_before, records,
    server_flight,
};
use super::padding::{Lengths, Padding};
use super::post_handshake::{CertificateAnswer, answer};

const CLIENT: Side = Side::Client;
const SERVER: Side = Side::Server;

/// How long after the client's Finished the server's first sign may come and still be a refusal, apart from two round trips.
///
/// In the labs, all refusals that came later (those under rule P4) were by servers that check slowly on purpose, as with a
/// check of revocation. An idle session may be closed at any time, too: later signs tell nothing.
const PROMPT: Duration = Duration::from_millis(100);
/// How long after the client's Finished a client that leaves is taken to have been accepted, apart from two round trips.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long a server may take to read a message and close, where the message is all that it waited for.
const READING: Duration = Duration::from_millis(40);
/// How long a server that has refused may leave the connection open, apart from two round trips. In the labs, no refusal
/// falls under the rule that rests on it, P5o.
const LINGERING: Duration = Duration::from_millis(40);
/// How long a server takes to close when the client has, if that is what it waited for.
const WAKING: Duration = Duration::from_micros(500);
/// How long a client is silent after its Finished before a server has refused it if it wants to, apart from two round trips.
const SILENT: Duration = Duration::from_millis(30);
/// How long a server takes to act on data that it waited for.
const ANSWERING: Duration = Duration::from_millis(10);
/// The same where nothing else but that data can have been the reason.
const REACTING: Duration = Duration::from_millis(2);
/// How long a connection is idle before a close without a word cannot be a refusal, apart from two round trips. In the labs, such
/// refusals came within 20 ms.
const IDLE: Duration = Duration::from_secs(1);
/// How soon a program that refuses a certificate without a word closes, apart from a round trip: checking takes some
/// milliseconds, and a side that closes later may have another reason.
const SILENT_REFUSAL: Duration = Duration::from_millis(100);
/// Round trips below this need no relay that terminates the connection somewhere else.
const NEAR: Duration = Duration::from_millis(10);

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
    /// How each side pads, where its flight shows it.
    padding: PerSide<Option<Padding>>,
    /// Whether the records of a side are padded to blocks, so that lengths say little.
    blocks: PerSide<bool>,
    /// At least the round trip between client and server.
    round_trip: Duration,
    /// How much earlier each side's packets count, since its clock is late.
    lateness: PerSide<Duration>,
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
        // With bytes missing from it, its lengths say little.
        let server = if transcript.has_gap() {
            ServerFlight::default()
        } else {
            server_flight(&seen[..flight_start], lengths, psk)
        };
        let read = opened_flight(transcript, &seen)
            .unwrap_or_else(|| client_flight(&seen, flight_start, blocks.client, lengths, &server));
        Self {
            lengths,
            psk,
            flight_start,
            flight_end: read.end,
            flight: read.flight,
            server,
            early_data,
            padding: PerSide {
                client: read.padding,
                server: server.padding,
            },
            blocks,
            round_trip: round_trip(transcript, PerSide::default()),
            lateness: PerSide::default(),
            end,
            transcript,
            seen,
        }
    }

    /// The same, with the times of both sides made comparable where the clock of one was seen to be late.
    pub(super) fn with_clocks_aligned(mut self) -> Self {
        let lateness = PerSide {
            client: self.transcript.lateness(CLIENT),
            server: self.transcript.lateness(SERVER),
        };
        if lateness.iter().any(|late| !late.is_zero()) {
            for observation in self.seen.to_mut() {
                let late = lateness[observation.side];
                observation.time = observation.time.saturating_sub(late);
                observation.end = observation.end.saturating_sub(late);
            }
            self.round_trip = round_trip(self.transcript, lateness);
            self.lateness = lateness;
        }
        self
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

    /// Whether the client had received the server's certificate when it answered or closed: all of a flight that has one.
    pub(super) fn client_had_certificate(&self) -> bool {
        let (before, after) = self.seen.split_at(self.flight_start);
        let mut before = before.iter();
        let last = before.rfind(|observation| observation.is_record_of(SERVER));
        let received = after
            .first()
            .zip(last)
            .map(|(answer, last)| answer.had_received(last.stream_end) != Some(false));
        !self.psk && self.server.is_complete && received == Some(true)
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
        first.filter(|at| closed_before(&self.seen, *at, CLIENT).is_none())
    }

    /// Whether a record is an alert, or data of an alert's length: by what it carried, where a key opened it, and
    /// otherwise by the padding that its sender's flight has shown.
    pub(super) fn may_be_alert(&self, observation: &Observation) -> bool {
        let Some(length) = observation.record() else {
            return false;
        };
        match observation.content {
            Content::Alert(..) => return true,
            Content::ApplicationData | Content::Handshake => return false,
            Content::Unknown => {}
        }
        let side = observation.side;
        if self.blocks[side] {
            return length <= records(&self.seen, side).min().unwrap_or(0);
        }
        match self.padding[side] {
            Some(padding) => length == self.lengths.alert(padding),
            None => self.lengths.may_be_alert(length),
        }
    }

    /// The server's records after the client's flight.
    pub(super) fn server_records_after(&self) -> impl Iterator<Item = &Observation> {
        let begun = matches!(self.flight, Flight::NoCertificate | Flight::Unclear)
            || self.has_certificate();
        let records = self.after().iter();
        records.filter(move |observation| begun && observation.is_record_of(SERVER))
    }

    /// Whether the server sent a record after the client's flight, and its first may be a refusal: it was not opened, or it is no
    /// goodbye.
    pub(super) fn server_may_refuse(&self) -> bool {
        let first = self.server_records_after().next();
        first.is_some_and(|first| !is_goodbye(first.content))
    }

    /// Whether the server sent something after the client's flight that is no alert.
    pub(super) fn server_sent_more_than_alerts(&self) -> bool {
        let mut records = self.server_records_after();
        records.any(|observation| !self.may_be_alert(observation))
    }

    /// Whether the server sent several records after the client's flight, all padded to the same blocks: a refusal is one.
    pub(super) fn server_sent_several_blocks(&self) -> bool {
        self.blocks.server && self.server_records_after().nth(1).is_some()
    }

    /// Whether the server went on answering: three records of an alert's length (a refusal takes one, or two from GnuTLS), or
    /// a second one after the client went on when it had its first answer.
    pub(super) fn server_goes_on_answering(&self) -> bool {
        let mut turns = [CLIENT, SERVER, CLIENT, SERVER].into_iter().peekable();
        for observation in self.after() {
            if turns
                .peek()
                .is_some_and(|side| observation.is_record_of(*side))
            {
                turns.next();
            }
        }
        let has_turns = turns.peek().is_none() && !self.blocks.server;
        self.has_ended_flight() && (has_turns || self.server_records_after().nth(2).is_some())
    }

    /// Whether the client's flight is known up to its Finished.
    fn has_ended_flight(&self) -> bool {
        self.flight == Flight::NoCertificate || self.has_certificate()
    }

    /// Time from the client's Finished to the server's first record or close after it.
    fn server_sign_after(&self) -> Option<Duration> {
        let mut after = self.after().iter();
        let first = after.find(|observation| observation.side == SERVER)?;
        let waited = first.time.checked_since(self.finished()?);
        Some(waited.unwrap_or_default())
    }

    /// Whether the server's first sign after the client's Finished came as soon as refusals come.
    pub(super) fn is_prompt(&self) -> bool {
        self.server_sign_after()
            .is_some_and(|after| after <= PROMPT + 2 * self.round_trip)
    }

    /// Whether the server's first sign after the client's Finished came later than refusals come.
    pub(super) fn is_late(&self) -> bool {
        self.server_sign_after().is_some() && !self.is_prompt()
    }

    /// Whether the server's first record after the client's first comes before the client's Finished, and may be an alert.
    pub(super) fn server_answers_before_finished(&self) -> bool {
        let flight = self.seen.get(self.flight_start..self.flight_end);
        let mut flight = flight.unwrap_or_default().iter();
        flight
            .find(|observation| observation.is_record_of(SERVER))
            .is_some_and(|seen| self.may_be_alert(seen) && !is_goodbye(seen.content))
    }

    /// Where the client leaves, among what came after its Finished: its first close, or its last record if that is an alert (or
    /// its last two, where JSSE's padding may be its own: that says user_canceled before close_notify).
    ///
    /// A record of an alert's length that more records follow is data.
    fn client_leaves_at(&self) -> Option<usize> {
        let after = self.after();
        let close = after
            .iter()
            .position(|observation| observation.side == CLIENT && is_end(observation));
        let sent = after[..close.unwrap_or(after.len())].iter().enumerate();
        let mut sent = sent.rev().filter(|(_, seen)| seen.is_record_of(CLIENT));
        let is_alert = |(_, observation): &(usize, &Observation)| self.may_be_alert(observation);
        let last = sent.next().filter(is_alert);
        let says_two = matches!(self.padding.client, None | Some(Padding::Plus16));
        let one_before = sent.next().filter(|one| says_two && is_alert(one));
        let goodbye = last.map(|(last, _)| one_before.map_or(last, |(at, _)| at));
        goodbye.or(close)
    }

    /// Whether the client, after its Finished, left before the server sent anything.
    pub(super) fn client_left_first(&self) -> bool {
        let mut after = self.after().iter();
        let server = after.position(|observation| observation.side == SERVER);
        match (self.client_leaves_at(), server) {
            (Some(leaves), Some(server)) => leaves < server,
            (leaves, None) => leaves.is_some(),
            (None, Some(_)) => false,
        }
    }

    /// Whether the client waited longer than a refusal takes before it left.
    pub(super) fn client_left_late(&self) -> bool {
        let left = self.client_leaves_at().and_then(|at| self.after().get(at));
        let waited = left
            .zip(self.finished())
            .and_then(|(left, finished)| left.time.checked_since(finished));
        waited.is_some_and(|waited| waited > PATIENCE + 2 * self.round_trip)
    }

    /// Where the server's first record after the client's Finished stands, among what came after that.
    fn first_server_record(&self) -> Option<usize> {
        let mut after = self.after().iter();
        after.position(|observation| observation.is_record_of(SERVER))
    }

    /// Whether the client sent data in a part of what came after its Finished.
    fn has_data_in(&self, part: std::ops::Range<usize>) -> bool {
        let leaves = self.client_leaves_at().unwrap_or(usize::MAX);
        let mut after = self.after().iter().enumerate();
        after.any(|(at, observation)| {
            part.contains(&at) && at < leaves && observation.is_record_of(CLIENT)
        })
    }

    /// Whether the client sent data before the server's first record after the flight, or before its close.
    pub(super) fn has_unanswered_data(&self) -> bool {
        let mut after = self.after().iter();
        let server = after.position(|observation| observation.side == SERVER);
        self.has_data_in(0..server.unwrap_or(usize::MAX))
    }

    /// Whether the server answered the client's request with nothing but a record of an alert's length, where one that had accepted
    /// the client would have sent tickets or an answer.
    pub(super) fn server_refuses_request(&self) -> bool {
        self.server_may_refuse_request()
            && self.has_unanswered_data()
            && self.server_sent_one_refusal()
    }

    /// The same where the request crossed the server's record on the way.
    pub(super) fn server_refuses_crossing_request(&self) -> bool {
        self.server_may_refuse_request()
            && !self.has_unanswered_data()
            && self.has_crossing_data()
            && self.server_sent_one_record()
    }

    /// Whether the server's record may refuse a client that showed a certificate, and whose request would otherwise have got tickets or an
    /// answer.
    fn server_may_refuse_request(&self) -> bool {
        self.has_certificate()
            && self.server_may_refuse()
            && (self.client_takes_tickets() || self.client_asks())
            && !self.client_answers_goodbye()
    }

    /// Whether the server's records after the client's flight are no more than a refusal takes: one, or two of GnuTLS's.
    ///
    /// Two of another server are an answer of two bytes and a goodbye: five servers that a blind test had answer so looked like
    /// refusing ones.
    pub(super) fn server_sent_one_refusal(&self) -> bool {
        match self.server_records_after().count() {
            1 => true,
            2 => self.may_be_gnutls() && !self.client_answers_with_alert(),
            _ => false,
        }
    }

    /// Whether the server may be GnuTLS's, which writes its key share first. OpenSSL's writes the version first.
    fn may_be_gnutls(&self) -> bool {
        let written = self.transcript.server_hello();
        let written = written.map_or(&[][..], |hello| &hello.extensions);
        let place = |wanted| written.iter().position(|extension| *extension == wanted);
        let version = place(ExtensionType::SupportedVersions);
        version
            .is_none_or(|version| place(ExtensionType::KeyShare).is_some_and(|key| key < version))
    }

    /// Whether the client's data crossed the server's first record on the way.
    pub(super) fn has_crossing_data(&self) -> bool {
        let first = self.first_server_record();
        first.is_some_and(|first| self.has_data_in(first..usize::MAX))
    }

    /// Whether the server sent one record after the client's flight.
    pub(super) fn server_sent_one_record(&self) -> bool {
        self.server_records_after().count() == 1
    }

    /// Whether the client sent an alert-length record after the server's first record, as its last.
    pub(super) fn client_answers_with_alert(&self) -> bool {
        let leaves = self.client_leaves_at();
        leaves
            .zip(self.first_server_record())
            .is_some_and(|(leaves, first)| {
                leaves > first && self.after().get(leaves).is_some_and(|seen| !is_end(seen))
            })
    }

    /// Whether the server left the connection open after its first record until the client left, longer than after a refusal,
    /// and then sent another record: its goodbye, so that the first was none.
    ///
    /// That it stays open does not suffice: some servers refuse, and leave the socket to the client.
    pub(super) fn server_stays_open(&self) -> bool {
        let after = self.after();
        let Some((leaves, first)) = self.client_leaves_at().zip(self.first_server_record()) else {
            return false;
        };
        let acts_between = |observation: &Observation| observation.side == SERVER;
        let (Some(between), Some(left)) = (after.get(first + 1..leaves), after.get(leaves)) else {
            return false;
        };
        let waited = left.time.checked_since(after[first].end);
        let mut rest = after[leaves..].iter();
        !between.iter().any(acts_between)
            && rest.any(|observation| observation.is_record_of(SERVER))
            && waited.is_some_and(|waited| waited > LINGERING + 2 * self.round_trip)
    }

    /// Whether the server closed in order when it had the client's goodbye, and the client only after that: the server had
    /// read what the client sent, and waited for it. After a refusal it closes by itself.
    pub(super) fn server_waits_for_goodbye(&self) -> bool {
        let after = self.after();
        let closes = |side| {
            let mut after = after.iter();
            after.position(|observation| observation.side == side && is_end(observation))
        };
        let (Some(first), Some(leaves), Some(server)) = (
            self.first_server_record(),
            self.client_leaves_at(),
            closes(SERVER),
        ) else {
            return false;
        };
        let (goodbye, close) = (after[leaves], after[server]);
        let is_before_clients_close = closes(CLIENT).is_none_or(|client| server < client);
        first < leaves
            && leaves < server
            && is_before_clients_close
            && self.server_sent_one_record()
            && close.what == Observed::Fin
            && close.had_received(goodbye.stream_end) == Some(true)
            && !self.transcript.peer(SERVER).closing.has_reset()
            && self.may_be_answer(&goodbye, &close)
    }

    /// Whether the server closed because the client had: its FIN acknowledges the client's, and came at once.
    ///
    /// Within one host, a client may also be faster than a server that closes by itself; then that takes longer.
    pub(super) fn server_waits_for_close(&self) -> bool {
        let (Some(client), Some(server)) = (self.close_after(CLIENT), self.close_after(SERVER))
        else {
            return false;
        };
        let is_answer = client.what == Observed::Fin
            && server.what == Observed::Fin
            && server.had_received(client.stream_end) == Some(true);
        let waited = server.time.checked_since(client.time);
        let is_far = self.round_trip >= NEAR;
        is_answer && (is_far || waited.is_some_and(|waited| waited <= WAKING))
    }

    /// Whether the server had not closed when the client did, although it had more time than a refusal takes, and never did in
    /// view.
    pub(super) fn server_leaves_socket_open(&self) -> bool {
        let (Some(client), None) = (self.close_after(CLIENT), self.close_after(SERVER)) else {
            return false;
        };
        let first = self
            .first_server_record()
            .and_then(|at| self.after().get(at));
        let waited = first.and_then(|first| client.time.checked_since(first.end));
        waited.is_some_and(|waited| waited > LINGERING + 2 * self.round_trip)
    }

    /// Where a side ended the connection after the client's Finished, in the clear.
    fn close_after(&self, side: Side) -> Option<&Observation> {
        let mut after = self.after().iter();
        after.find(|observation| observation.side == side && is_end(observation))
    }

    /// Whether the client was silent for a while after its Finished, and the server sent its first record as soon as it had the
    /// client's data.
    pub(super) fn server_speaks_on_late_data(&self) -> bool {
        let after = self.after();
        let Some(first) = self.first_server_record() else {
            return false;
        };
        let data = || {
            after[..first]
                .iter()
                .filter(|seen| seen.is_record_of(CLIENT))
        };
        let (Some(begun), Some(last), Some(finished)) =
            (data().next(), data().next_back(), self.finished())
        else {
            return false;
        };
        let silent = begun.time.checked_since(finished);
        let thought = after[first].time.checked_since(last.end);
        silent.is_some_and(|silent| silent > SILENT + 2 * self.round_trip)
            && thought.is_some_and(|thought| thought <= ANSWERING + self.round_trip)
            && after[first].had_received(last.stream_end) != Some(false)
    }

    /// Whether there was time for an answer. A relay acknowledges what it takes, and closes by itself: then an answer seems to
    /// come long before it can.
    ///
    /// How far the server is shows in the answer to the ClientHello, if that is in view, and in its first sign after the Finished.
    fn may_be_answer(&self, action: &Observation, answer: &Observation) -> bool {
        let waited = answer.time.checked_since(action.end).unwrap_or_default();
        let far = self
            .round_trip
            .max(self.server_sign_after().unwrap_or_default());
        let is_known = self.transcript.client_hello().is_some();
        is_known && (far < NEAR || 4 * waited >= far)
    }

    /// Whether the client can answer no more: closed, reset, or silent.
    pub(super) fn is_client_done(&self) -> bool {
        self.transcript.has_reset()
            || self.transcript.peer(CLIENT).closing.first().is_some()
            || self.end == Some(End::Silence)
    }

    /// What the client answered when it was asked for a certificate after the handshake.
    pub(super) fn later_answer(&self) -> Option<CertificateAnswer> {
        let may_be_asked = self.transcript.may_offer_later_authentication() && !self.blocks.client;
        may_be_asked
            .then(|| answer(self.after(), self.lengths))
            .flatten()
    }

    /// How the server closed, if it sent no record after the client's Finished.
    pub(super) fn server_closed_without_record(&self) -> Option<Observed> {
        let mut after = self.after().iter();
        let server = after.find(|observation| observation.side == SERVER)?;
        server.is_close().then_some(server.what)
    }

    /// Whether the client takes session tickets (RFC 8446 §4.2.9): most servers send it some when they accept its flight. Go
    /// clients without a session cache take none. Nor is any expected where its hello was not captured.
    pub(super) fn client_takes_tickets(&self) -> bool {
        let hello = self.transcript.client_hello();
        hello.is_some_and(|hello| hello.psk_key_exchange_modes)
    }

    /// Whether the server sent a ticket before its first answer to the client: then its first record comes before the client's first
    /// data. A single record between that and the client's next is the answer. `None` if the records do not show it.
    pub(super) fn has_sent_ticket(&self) -> Option<bool> {
        let is_full = self.has_ended_flight() && !self.psk && self.client_takes_tickets();
        let mut turns = self.after().iter().filter(|seen| seen.record().is_some());
        let first = turns.next().filter(|_| is_full)?;
        if first.side == SERVER {
            return (!self.may_be_alert(first)).then_some(true);
        }
        let mut turns = turns.skip_while(|seen| seen.side == CLIENT);
        let answer = turns.next()?;
        let is_single = turns.next().is_some_and(|next| next.side == CLIENT);
        (is_single && !self.may_be_alert(answer)).then_some(false)
    }

    /// Whether the client's only message may be a request of PostgreSQL to cancel a query: the server reads it and closes, without an
    /// answer, and it sends no tickets. Its key has 4 bytes, or since version 3.2 of the protocol up to 256 (PostgreSQL 18 takes 32). The
    /// message that begins a session is of any such length, so only keys of a power of two count.
    pub(super) fn may_have_cancelled(&self) -> bool {
        /// What precedes the key: the length, the code of the request and the process.
        const BEFORE_KEY: u16 = 12;
        let may_be_request = |content: u16| {
            let key = content.saturating_sub(BEFORE_KEY);
            (4..=256).contains(&key) && key.is_power_of_two()
        };
        let mut sent = self.after().iter().filter(|seen| seen.is_record_of(CLIENT));
        let content = sent.next().and_then(Observation::record);
        let content = content.and_then(|length| self.lengths.content(length));
        self.transcript.is_postgresql()
            && content.is_some_and(may_be_request)
            && sent.all(|seen| self.may_be_alert(seen))
    }

    /// Whether the server did something as soon as the client had left, other than reset the connection, as a host does for a program
    /// that was stopped. One that acts later may have read the client's flight only then.
    pub(super) fn server_acts_after_client_left(&self) -> bool {
        let after = self
            .client_leaves_at()
            .and_then(|at| self.after().get(at..));
        let Some((left, after)) = after.and_then(<[Observation]>::split_first) else {
            return false;
        };
        let mut acts = after.iter().filter(|seen| seen.side == SERVER);
        acts.next().is_some_and(|act| {
            let waited = act.time.checked_since(left.end).unwrap_or_default();
            act.what != Observed::Rst && waited <= ANSWERING + self.round_trip
        })
    }

    /// Whether the client offers HTTP, and HTTP only: a server that takes its request answers it with more than two bytes.
    pub(super) fn client_asks(&self) -> bool {
        let hello = self.transcript.client_hello();
        let offered = hello.and_then(|hello| hello.alpn.as_deref());
        let is_http = |name: &String| name == "h2" || name.starts_with("http/");
        offered.is_some_and(|offered| !offered.is_empty() && offered.iter().all(is_http))
    }

    /// Whether the client sent an alert-length record as its last, when it had received the server's last record, and is of OpenSSL:
    /// that answers a goodbye, and nothing after a fatal alert. Mbed TLS servers seal a refusal with keys that
    /// the client has done with, and it complains of that.
    pub(super) fn client_answers_goodbye(&self) -> bool {
        self.goodbye_answer().is_some()
    }

    /// The same where the client answered at once, so that this was not its own idea.
    pub(super) fn client_answers_late_goodbye(&self) -> bool {
        let waited = self
            .goodbye_answer()
            .and_then(|(goodbye, answer)| answer.time.checked_since(goodbye.end));
        waited.is_some_and(|waited| waited <= ANSWERING + self.round_trip)
    }

    /// The server's last record before the client's alert-length record that answered it, and that.
    fn goodbye_answer(&self) -> Option<(&Observation, &Observation)> {
        let after = self.after();
        let answers = self.client_answers_with_alert()
            && self.padding.server != Some(Padding::Multiple16)
            && self.transcript.client_hello().is_some_and(is_from_openssl);
        let leaves = self.client_leaves_at().filter(|_| answers)?;
        let answer = after.get(leaves)?;
        let mut before = after[..leaves].iter();
        let goodbye = before.rfind(|seen| seen.is_record_of(SERVER))?;
        let has_received = answer.had_received(goodbye.stream_end) == Some(true);
        has_received.then_some((goodbye, answer))
    }

    /// Whether the server reset the connection right after its first record, when the client had sent nothing behind its
    /// Finished and had not acted on that record: what made the reset of its close can only be handshake messages that it had
    /// not read. OpenSSL servers refuse a Certificate message while CertificateVerify and Finished wait.
    pub(super) fn server_left_flight_unread(&self) -> bool {
        let mut after = self.after().iter();
        let is_record = after.next().is_some_and(|seen| seen.is_record_of(SERVER));
        let next = after.find(|seen| !seen.is_record_of(SERVER));
        is_record && next.is_some_and(|seen| seen.side == SERVER && seen.what == Observed::Rst)
    }

    /// Whether the server's close reset the connection although the client had sent something after its Finished: a host does so if
    /// the program has not read what came (RFC 1122 §4.2.2.13). A server that accepted the client waits for that, and reads it.
    pub(super) fn server_left_data_unread(&self) -> bool {
        let after = self.after();
        let mut closes = after.iter().enumerate();
        let close = closes.find(|(_, seen)| seen.side == SERVER && seen.is_close());
        let Some((at, _)) = close.filter(|(_, close)| close.what == Observed::Rst) else {
            return false;
        };
        after[..at].iter().any(|seen| seen.is_record_of(CLIENT))
    }

    /// Whether the server's first sign after the client's Finished came later than refusals come, and as soon as the server had
    /// a message that the client had sent late, too.
    pub(super) fn server_acts_on_late_data(&self) -> bool {
        let after = self.after();
        let Some(sign) = after.iter().position(|seen| seen.side == SERVER) else {
            return false;
        };
        let mut before = after[..sign].iter();
        let (Some(last), Some(finished)) = (
            before.rfind(|seen| seen.is_record_of(CLIENT)),
            self.finished(),
        ) else {
            return false;
        };
        let silent = last.time.checked_since(finished);
        let thought = after[sign].time.checked_since(last.end);
        silent.is_some_and(|silent| silent > PROMPT + 2 * self.round_trip)
            && thought.is_some_and(|thought| thought <= REACTING + self.round_trip)
            && after[sign].had_received(last.stream_end) == Some(true)
    }

    /// Whether the server closed long after the client's Finished, which it had received, without a record, and the client had
    /// sent nothing after it.
    pub(super) fn server_closes_idle_connection(&self) -> bool {
        let Some(first) = self.after().first() else {
            return false;
        };
        let flight = self
            .flight_end
            .checked_sub(1)
            .and_then(|last| self.seen.get(last));
        let is_idle = self
            .server_sign_after()
            .is_some_and(|after| after > IDLE + 2 * self.round_trip);
        first.side == SERVER
            && first.is_close()
            && is_idle
            && flight.is_some_and(|flight| first.had_received(flight.stream_end) == Some(true))
    }

    /// Whether the server closed in order and without a record, although a request of HTTP waited for its answer longer than it takes a
    /// server to read it and close, of a client that takes tickets and got none.
    pub(super) fn server_broke_off_use(&self) -> bool {
        let after = self.after();
        let Some(close) = after.iter().position(|seen| seen.side == SERVER) else {
            return false;
        };
        let mut sent = after[..close].iter().rev();
        let request = sent.find(|seen| seen.is_record_of(CLIENT));
        let has_waited = request
            .and_then(|request| after[close].time.checked_since(request.end))
            .is_some_and(|waited| waited > READING);
        after[close].what == Observed::Fin
            && has_waited
            && self.has_unanswered_data()
            && self.client_takes_tickets()
            && self.client_asks()
    }

    /// Whether a server that had asked for a certificate sent one record of an alert's length, and the client nothing more, whose
    /// records are padded to blocks. Before it, the client had sent at least two: Certificate and Finished.
    pub(super) fn server_refuses_blocks(&self) -> bool {
        let seen = self.seen.get(self.flight_start..).unwrap_or_default();
        let Some(answer) = seen.iter().position(|seen| seen.is_record_of(SERVER)) else {
            return false;
        };
        let (before, after) = seen.split_at(answer);
        self.flight == Flight::Unclear
            && self.blocks.client
            && !self.blocks.server
            && self.server.requests_certificate == Some(true)
            && records(before, CLIENT).nth(1).is_some()
            && !before.iter().any(Observation::is_close)
            && records(after, CLIENT).next().is_none()
            && self.server_sent_one_record()
            && self.may_be_alert(&seen[answer])
    }

    /// Whether the server's flight broke off with a record of an alert's length: what came is too short for a flight.
    pub(super) fn server_broke_off(&self) -> bool {
        self.server.records > 1
            && !self.server.is_complete
            && self.lengths.may_be_alert(self.server.last_length)
    }

    /// Whether the client closed in order, as soon after the server's whole flight as programs do that refuse its certificate;
    /// `None` if the clock was set back in between.
    pub(super) fn client_closed_at_once(&self) -> Option<bool> {
        let Some((CLIENT, Close::Fin, at)) = self.transcript.first_close() else {
            return Some(false);
        };
        let mut before = self.seen[..self.flight_start].iter();
        let last = before.rfind(|observation| observation.is_record_of(SERVER));
        let Some(last) = last.filter(|_| self.server.is_whole()) else {
            return Some(false);
        };
        if at.had_received(last.stream_end) == Some(false) {
            return Some(false);
        }
        is_at_once(self.transcript, last.end, at.time)
    }

    /// Whether the server closed before it could have the client's flight, without a goodbye, and the client's answer is no
    /// refusal: whatever that says, nobody reads it.
    pub(super) fn server_left_before_flight(&self) -> bool {
        let is_refusal = matches!(
            self.flight,
            Flight::PlainAlert(_) | Flight::Alert | Flight::ShortRecord
        );
        let before = &self.seen[..self.flight_start];
        let last = before.iter().rfind(|seen| seen.is_record_of(SERVER));
        !is_refusal
            && closed_before(&self.seen, self.flight_start, SERVER).is_some()
            && !last.is_some_and(|last| self.may_be_alert(last))
    }

    /// Whether the client may be one that refuses a certificate without a word. `None` if its hello was not captured.
    pub(super) fn client_may_refuse_in_silence(&self) -> Option<bool> {
        self.transcript.client_hello().map(may_refuse_in_silence)
    }
}

/// Whether a client that closed at a moment did so as soon after `flight` as programs that refuse a certificate without a word;
/// `None` if that is not known: the clock was set back in between, the server's clock is late, or the close was captured before what the
/// client had sent earlier.
///
/// `flight` is a time of the server's clock, with its lateness taken off. How late a clock is, at least, is all that is known: the
/// flight of a late server may have been captured long after it was sent. A late client makes the round trip to it look longer.
pub(in crate::handshake::verdict) fn is_at_once(
    transcript: &Transcript,
    flight: Timestamp,
    closed: Timestamp,
) -> Option<bool> {
    let client_late = transcript.lateness(CLIENT);
    let is_server_late = !transcript.lateness(SERVER).is_zero();
    let closed = closed.saturating_sub(client_late);
    let waited = closed.checked_since(flight)?;
    let round_trip = transcript.client_round_trip().saturating_sub(client_late);
    let longest = SILENT_REFUSAL + round_trip;
    let is_soon = waited <= longest;
    let may_be_later = transcript.delivery(CLIENT).fin_may_be_later();
    let is_certain = !is_server_late && waited + may_be_later <= longest;
    (!is_soon || is_certain).then_some(is_soon)
}

/// Whether the hello may be that of a program that refuses a certificate without a word: Node, Bun, Deno, asyncio. Browsers close
/// for many reasons. Those of Go and Java send an alert where they refuse; many scanners are written in Go.
pub(in crate::handshake::verdict) fn may_refuse_in_silence(hello: &ClientHello) -> bool {
    !is_from_browser(hello) && !is_from_go(hello) && !is_from_java(hello)
}

/// Whether the hello is Go's: signed_certificate_timestamp and renegotiation_info, and at the end supported_versions and key_share,
/// with nothing but psk_key_exchange_modes behind (or early_data and cookie around). Since Go 1.12.
fn is_from_go(hello: &ClientHello) -> bool {
    let has = |wanted| hello.extensions.contains(&wanted);
    let around = [
        ExtensionType::Cookie,
        ExtensionType::EarlyData,
        ExtensionType::PreSharedKey,
    ];
    let listed = hello.extensions.iter().filter(|one| !around.contains(one));
    let mut last = listed
        .rev()
        .skip_while(|one| **one == ExtensionType::PskKeyExchangeModes);
    has(ExtensionType::SignedCertificateTimestamp)
        && has(ExtensionType::RenegotiationInfo)
        && last.next() == Some(&ExtensionType::KeyShare)
        && last.next() == Some(&ExtensionType::SupportedVersions)
}

/// Whether the hello is of Java (JSSE), which alone sends extensions in the order of their numbers, with
/// signature_algorithms_cert among them.
fn is_from_java(hello: &ClientHello) -> bool {
    hello
        .extensions
        .contains(&ExtensionType::SignatureAlgorithmsCert)
        && hello.extensions.is_sorted_by_key(|one| one.0)
}

/// Whether the hello is that of a browser: Chromium's and Safari's have GREASE (RFC 8701), Firefox's offers both
/// record_size_limit and delegated_credential.
fn is_from_browser(hello: &ClientHello) -> bool {
    let has = |wanted| hello.extensions.contains(&wanted);
    let has_grease = hello.cipher_suites.iter().any(|suite| is_grease(suite.0))
        || hello.extensions.iter().any(|one| is_grease(one.0));
    has_grease || has(ExtensionType::RecordSizeLimit) && has(ExtensionType::DelegatedCredential)
}

/// Whether the hello is that of OpenSSL, which sends its extensions in one order since version 1.1.1: encrypt_then_mac,
/// extended_master_secret, signature_algorithms, supported_versions, psk_key_exchange_modes, key_share. No other of the 26 client
/// programs in the labs does.
fn is_from_openssl(hello: &ClientHello) -> bool {
    const ORDER: [ExtensionType; 6] = [
        ExtensionType::EncryptThenMac,
        ExtensionType::ExtendedMasterSecret,
        ExtensionType::SignatureAlgorithms,
        ExtensionType::SupportedVersions,
        ExtensionType::PskKeyExchangeModes,
        ExtensionType::KeyShare,
    ];
    let in_order = hello.extensions.iter().filter(|one| ORDER.contains(one));
    in_order.eq(ORDER.iter())
}

/// Whether an opened record says that its sender leaves in order. With a key, a goodbye is that, and no refusal.
const fn is_goodbye(content: Content) -> bool {
    matches!(
        content,
        Content::Alert(
            _,
            AlertDescription::CloseNotify | AlertDescription::UserCanceled
        )
    )
}

/// Whether a side ends the connection with this, in the clear.
const fn is_end(observation: &Observation) -> bool {
    matches!(
        observation.what,
        Observed::Fin | Observed::Rst | Observed::Alert(_)
    )
}

/// The client's flight, where keys have opened it up to its Finished.
fn opened_flight(transcript: &Transcript, seen: &[Observation]) -> Option<ReadClientFlight> {
    let decrypted = transcript.decrypted()?;
    let finished = decrypted.finished.client?;
    let last = seen.iter().rposition(|observation| {
        observation.side == CLIENT
            && observation.content == Content::Handshake
            && observation.end <= finished
    })?;
    let client = transcript.peer(CLIENT);
    let flight = match client.certificate {
        None => Flight::NoCertificate,
        Some(_) if client.has_empty_certificate() => Flight::EmptyCertificate,
        Some(_) => Flight::Certificate,
    };
    Some(ReadClientFlight {
        flight,
        end: last + 1,
        padding: None,
    })
}

/// ClientHello to ServerHello: a round trip and the server's work, so never less than the round trip beyond the observer.
fn round_trip(transcript: &Transcript, lateness: PerSide<Duration>) -> Duration {
    let start = transcript.start().time.saturating_sub(lateness.client);
    transcript
        .server_hello_at()
        .and_then(|at| at.saturating_sub(lateness.server).checked_since(start))
        .unwrap_or_default()
}

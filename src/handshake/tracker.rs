//! The handshake on one connection, from its first byte to its report.

use std::sync::Arc;
use std::time::Duration;

use crate::decode::IcmpError;
use crate::decrypt::Keys;
use crate::dialogue::TdsPackets;
use crate::event::{EapResult, Ladder, Protocol, Transport};
use crate::flow::{Direction, PerDirection, Side};
use crate::framing::quic::KnownIds;
use crate::framing::sealed::KeyUse;
use crate::framing::{
    Close, Content, DatagramOrigin, Framing, Hellos, Payload, Recipient, SealedUnit, Seen,
};
use crate::time::Timestamp;
use crate::tls::AlertLevel;
use crate::transport::quic::ConnectionId;
use crate::transport::tcp::{Arrival, Chunk, DeliveryState};

use super::progress::{HandshakeProgress, Standing, may_change_progress, may_end_change_progress};
use super::transcript::{EapEnd, Transcript, Unanswered};
use super::verdict::quic;

/// The handshake on one connection.
///
/// A framing cuts what arrives into items, a transcript writes them down, and after
/// each item the progress is looked at. All of it happens within the `handle_*` and
/// `note_*` methods; the others answer what the owner has to know.
#[derive(Debug)]
pub struct Tracker {
    pub(super) framing: Framing,
    pub(super) transcript: Transcript,
    pub(super) standing: Standing,
}

/// What came of the side that did not begin the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Not a packet.
    None,
    /// Packets, and no byte yet.
    Packets,
    /// Bytes.
    Bytes,
}

/// Writes items down and looks at the progress.
pub(super) struct ProgressRecorder<'t> {
    pub(super) transcript: &'t mut Transcript,
    pub(super) standing: &'t mut Standing,
}

impl Recipient for ProgressRecorder<'_> {
    fn take(&mut self, sender: Direction, seen: Seen<'_>) {
        let may_change_progress = may_change_progress(&seen);
        self.transcript.take(sender, seen);
        if may_change_progress {
            self.standing.update(self.transcript);
        }
    }

    fn take_sealed(&mut self, sender: Direction, unit: SealedUnit, start: Arrival, end: Arrival) {
        if self.transcript.takes_one_by_one() {
            let content = Content::Unknown;
            self.take(sender, Seen::SealedStart { unit, start });
            return self.take(sender, Seen::SealedEnd { unit, content, end });
        }
        self.transcript.take_sealed_start(sender, unit, start);
        self.standing.update(self.transcript);
        if self.transcript.is_only_watched() {
            let content = Content::Unknown;
            return self.take(sender, Seen::SealedEnd { unit, content, end });
        }
        self.transcript
            .take_sealed_end(sender, unit, Content::Unknown, end);
        if may_end_change_progress(unit) {
            self.standing.update(self.transcript);
        }
    }

    fn hellos(&self) -> Hellos<'_> {
        self.transcript.hellos()
    }

    fn may_be_tls13(&self) -> bool {
        match self.transcript.server_hello() {
            Some(_) => self.transcript.is_tls13(),
            None => self.hellos().may_be_tls13(),
        }
    }

    fn is_tls13(&self) -> bool {
        self.transcript.is_tls13()
    }
}

impl Tracker {
    /// A handshake over `protocol` of which no byte was seen yet; `keys` open what is encrypted in it, if they fit.
    #[must_use]
    pub fn new(protocol: Protocol, start: Arrival, keys: &Keys) -> Self {
        Self {
            framing: match protocol {
                Protocol::Tls | Protocol::Eap => Framing::tls(keys),
                Protocol::Dtls => Framing::dtls(keys),
                Protocol::Quic => Framing::quic(keys),
            },
            transcript: Transcript::new(start),
            standing: Standing::default(),
        }
    }

    /// Forgets a handshake over TLS that was reported, and keeps its room for another one, which [`Tracker::begin`] begins.
    pub(crate) fn clear(&mut self, keys: &Keys) {
        self.framing.clear(keys);
        self.transcript.clear();
        self.standing = Standing::default();
    }

    /// Notes when a handshake begins of which nothing was seen yet.
    pub(crate) fn begin(&mut self, start: Arrival) {
        self.transcript.begin(start);
    }

    /// Reads a little of what each packet looks at, so that it is in the processor's cache soon.
    pub(crate) fn approach(&self) -> u64 {
        self.transcript
            .approach()
            .wrapping_add(self.framing.approach())
    }

    /// The randoms of the hellos, the client's first; `None` where the hello was not seen.
    pub(crate) fn randoms(&self) -> [Option<[u8; 32]>; 2] {
        let transcript = &self.transcript;
        [
            transcript.client_hello().map(|hello| hello.random),
            transcript.server_hello().map(|hello| hello.random),
        ]
    }

    /// The direction in which the client sends, as far as it is known.
    pub(crate) fn client(&self) -> Direction {
        self.transcript.direction(Side::Client)
    }

    /// Collects the steps of the handshake, from its first packet on, which came from `source`.
    pub fn collect_ladder(&mut self, source: &Arc<str>) {
        self.transcript.collect_ladder(Arc::clone(source));
    }

    /// Notes the file or interface that a packet came from, if steps are collected.
    pub fn note_source(&mut self, source: &Arc<str>, at: Arrival) {
        self.transcript.note_source(source, at);
    }

    /// The steps of the handshake, once the report was made; `None` if they were not collected.
    #[must_use]
    pub fn take_ladder(&mut self) -> Option<Box<Ladder>> {
        self.transcript.take_ladder()
    }

    /// Takes the next chunk of one direction.
    pub fn handle_chunk(&mut self, direction: Direction, chunk: Chunk<'_>) {
        if let Chunk::Bytes(_, arrival) = chunk {
            self.transcript.note_last(arrival);
        }
        let (framing, mut recorder) = self.split();
        framing.take_chunk(direction, chunk, &mut recorder);
    }

    /// Notes that the records come in packets of TDS, of which `packets` have begun; no byte was taken yet.
    pub(crate) fn unwrap_tds(&mut self, packets: PerDirection<TdsPackets>, keys: &Keys) {
        self.framing = Framing::tds(packets, keys);
    }

    /// Takes a datagram, or as much of it as was captured.
    pub fn handle_datagram(&mut self, direction: Direction, payload: Payload<'_>, at: Arrival) {
        self.transcript.note_packet(direction, at);
        self.transcript.note_last(at);
        self.transcript.note_datagram(direction);
        let (framing, mut recorder) = self.split();
        framing.take_datagram(direction, payload, at, &mut recorder);
        for direction in Direction::BOTH {
            if let Some(delivery) = self.framing.delivery(direction) {
                self.transcript.delivery_mut()[direction] = delivery;
            }
        }
    }

    /// Notes that ICMP reports a datagram of `direction` as not delivered.
    pub(crate) fn note_undeliverable(
        &mut self,
        direction: Direction,
        error: &IcmpError,
        at: Arrival,
    ) {
        self.transcript.note_last(at);
        self.transcript.note_undeliverable(direction, error, at);
    }

    /// Whether a side has refused the handshake with an alert in the clear.
    pub(crate) fn is_refused(&self) -> bool {
        let mut alerts = self.transcript.alerts().iter();
        alerts.any(|alert| alert.level() == Some(AlertLevel::Fatal))
    }

    /// Whether a datagram begins another handshake than this, over QUIC; `is_late` if nothing came of this one for a while.
    pub(crate) fn is_replaced_by(
        &mut self,
        direction: Direction,
        payload: &[u8],
        is_late: bool,
    ) -> bool {
        self.framing.is_replaced_by(direction, payload, is_late)
    }

    /// The ids that packets of QUIC go to; `None` over other protocols, and while the client is not known.
    pub(crate) fn connection_ids(&self) -> Option<&KnownIds> {
        self.framing.connection_ids()
    }

    /// Who has sent a datagram of DTLS, by what it says; `None` if nothing in it does, and over other protocols.
    pub(crate) fn origin_of(&self, payload: Payload<'_>) -> Option<DatagramOrigin> {
        self.framing.origin_of(payload, self.client())
    }

    /// The number of the next record that a side sends in the clear; `None` over other protocols than DTLS.
    pub(crate) fn next_in_clear(&self, sender: Direction) -> Option<u64> {
        self.framing.next_in_clear(sender)
    }

    /// Says whether keys may be guessed for versions of QUIC that are not known.
    pub(crate) const fn allow_guesses(&mut self, is_allowed: bool) {
        self.framing.allow_guesses(is_allowed);
    }

    /// Over QUIC: guessed keys that opened nothing, and guesses that were not made, since the last call.
    pub(crate) fn take_guesses(&mut self) -> (u32, u64) {
        self.framing.take_guesses()
    }

    /// The id that a server over QUIC has chosen for itself.
    pub(crate) fn server_id(&self) -> Option<ConnectionId> {
        self.framing.server_id()
    }

    /// Notes that one direction was closed; false if that is nothing new. A reset after a FIN is: nothing is awaited then.
    pub fn handle_close(&mut self, direction: Direction, how: Close, at: Arrival) -> bool {
        let is_first = !self.transcript.has_closed(direction);
        let was_closing = self.is_closing();
        let (_, mut recorder) = self.split();
        recorder.take(direction, Seen::Close { how, at });
        is_first || !was_closing && self.is_closing()
    }

    /// Notes that packets of `direction` are in view, with or without payload.
    pub fn note_packet(&mut self, direction: Direction, now: Arrival) {
        self.transcript.note_packet(direction, now);
    }

    /// Notes that packets of `direction` are in view, of which the last one is noted otherwise.
    pub(crate) fn note_in_view(&mut self, direction: Direction) {
        self.transcript.note_in_view(direction);
    }

    /// Notes that a segment of the other direction, captured at `acknowledged`, acknowledges what was captured of `direction`
    /// only `now`.
    pub fn note_late(&mut self, direction: Direction, acknowledged: Timestamp, now: Timestamp) {
        self.transcript.note_late(direction, acknowledged, now);
    }

    /// Notes that `direction` carried something else than TLS before.
    pub fn note_plain(&mut self, direction: Direction) {
        self.transcript.note_plain(direction);
    }

    /// Notes that nothing shows whether `direction` carried anything before.
    pub fn note_unseen_beginning(&mut self, direction: Direction) {
        self.transcript.note_unseen_beginning(direction);
    }

    /// Notes that `direction` carried something else than TLS before, of which the beginning was not seen.
    pub fn note_amid_other(&mut self, direction: Direction) {
        self.transcript.note_amid_other(direction);
    }

    /// How far the bytes of each direction got: kept up to date by the owner, who sees the segments.
    pub const fn delivery_mut(&mut self) -> &mut PerDirection<DeliveryState> {
        self.transcript.delivery_mut()
    }

    /// Notes that EAP carries the handshake.
    pub fn note_eap(&mut self) {
        self.transcript.eap_mut();
    }

    /// Notes that the server had all that the client sent, and went on with the EAP method without a word of TLS.
    pub fn note_continued(&mut self, at: Arrival) {
        self.transcript.eap_mut().continued = Some(at);
    }

    /// Notes how the EAP conversation ended, which `transport` carried: the `server` decides that. `is_amid_flight`: a side had sent part
    /// of a flight, and not all of it.
    pub fn note_eap_end(
        &mut self,
        result: EapResult,
        (server, transport): (Direction, Transport),
        at: Arrival,
        is_amid_flight: bool,
    ) {
        let end = EapEnd {
            result,
            at,
            is_amid_flight,
        };
        self.transcript.note_eap_end(end, server, transport);
    }

    /// Notes that `owing` has not answered a packet that was sent so often, from the first time to the last.
    pub fn note_unanswered(&mut self, owing: Side, times: u16, first: Timestamp, last: Timestamp) {
        self.transcript.eap_mut().unanswered = Some(Unanswered {
            owing,
            times,
            first,
            last,
        });
    }

    /// Notes that a limit or the snap length took something from this connection.
    pub const fn note_truncated(&mut self) {
        self.transcript.note_truncated();
    }

    /// Notes the round trip from the observer to the client and back.
    pub fn note_client_round_trip(&mut self, trip: Duration) {
        self.transcript.note_client_round_trip(trip);
    }

    /// Notes the last moment of the observation, once no more of the connection will be looked at.
    pub const fn note_until(&mut self, until: Timestamp) {
        self.transcript.note_until(until);
    }

    /// Takes back closes that the acknowledgments of both directions contradict, once these are complete; true if one was.
    pub fn note_ignored_closes(&mut self) -> bool {
        let has_closed = |transcript: &Transcript| {
            Direction::BOTH.map(|direction| transcript.has_closed(direction))
        };
        let before = has_closed(&self.transcript);
        self.transcript.note_ignored_closes();
        before != has_closed(&self.transcript)
    }

    /// Takes back that `direction` was closed in order: its sender goes on, so another host sent the FIN.
    pub(crate) fn take_back_fin(&mut self, direction: Direction) {
        self.transcript.take_back_fin(direction);
    }

    /// Notes that what one side sent contradicts itself, so that part of it is forged.
    pub(crate) const fn note_contradictory(&mut self) {
        self.transcript.note_contradictory();
    }

    /// Notes that no more bytes will come.
    pub fn handle_end(&mut self) {
        let (framing, mut recorder) = self.split();
        framing.finish(&mut recorder);
    }

    /// The last packet that was noted.
    #[must_use]
    pub const fn last_packet(&self) -> Arrival {
        self.transcript.last()
    }

    /// Whether nothing that follows can change the report.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.standing.is_decided() && !self.framing.is_waiting()
    }

    /// Whether the handshake has completed and is in use: if nothing follows, nothing is wrong.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.standing.progress(&self.transcript) >= HandshakeProgress::Settled
    }

    /// Whether what is still waited for will come soon or not at all: segments on the way when the connection was
    /// reset, secrets, or packets of a side in whose name somebody else may have closed.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        let quic = self.transcript.quic();
        self.transcript.has_reset()
            || self.transcript.has_ended()
            || self.standing.is_decided()
            || quic.is_some_and(|quic| quic::is_closing(&self.transcript, quic))
    }

    /// Whether both sides have closed, or others in their names.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.transcript.has_ended()
    }

    /// What the side that did not begin has sent.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let mut peers = self.transcript.peers();
        if peers.clone().any(|peer| peer.has_answered) {
            Answer::Bytes
        } else if peers.all(|peer| peer.is_in_view) {
            Answer::Packets
        } else {
            Answer::None
        }
    }

    /// Whether a hello was seen: without one there is nothing to report.
    #[must_use]
    pub const fn has_hello(&self) -> bool {
        self.transcript.has_hello()
    }

    /// Whether what began like TLS turned out to be something else.
    #[must_use]
    pub fn is_ruled_out(&self) -> bool {
        !self.has_hello() && self.framing.is_ruled_out()
    }

    /// Whether the next bytes of a direction over a stream, of which `bytes` are the first, are of a record of application data, which
    /// is encrypted.
    #[inline]
    #[must_use]
    pub fn continues_data(&self, sender: Direction, bytes: &[u8]) -> bool {
        self.framing.continues_data(sender, bytes)
    }

    /// Bytes of memory that its parts take, without itself: hellos, messages, records that wait.
    #[must_use]
    pub fn allocated(&self) -> usize {
        self.transcript.allocated() + self.framing.allocated()
    }

    /// What the user's keys were good for; `None` if there were none, or nothing to open.
    #[must_use]
    pub const fn key_use(&self) -> Option<KeyUse> {
        self.framing.key_use()
    }

    /// Lets the secrets of this connection be wiped, some time after its last packet; to be called before the report.
    pub fn retire_secrets(&self) {
        if let (Some(_), Some(hello)) = (self.key_use(), self.transcript.client_hello()) {
            let last = self.transcript.last().time;
            self.framing.retire_secrets(&hello.random, last);
        }
    }

    /// Values of lists in the ClientHello that were not kept; to be called before the report.
    #[must_use]
    pub fn values_omitted(&self) -> u64 {
        let hello = self.transcript.client_hello();
        hello.map_or(0, |hello| hello.values_omitted.into())
    }

    /// Messages that were too long to be put together, since the last call.
    pub fn take_discarded_messages(&mut self) -> u64 {
        self.framing.take_discarded_messages()
    }

    /// Stops waiting for secrets: what has come by now is all that there is.
    pub(super) fn finish_decryption(&mut self) {
        let (framing, mut recorder) = self.split();
        framing.finish_decryption(&mut recorder);
    }

    const fn split(&mut self) -> (&mut Framing, ProgressRecorder<'_>) {
        let Self {
            framing,
            transcript,
            standing,
        } = self;
        let recorder = ProgressRecorder {
            transcript,
            standing,
        };
        (framing, recorder)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::handshake::testing::{full, tls12};
    use crate::time::Timestamp;
    use crate::tls::ContentType;

    const AT: Arrival = Arrival::new(Timestamp::from_seconds(0), 1);

    /// Takes the start and the end of a sealed unit one after the other.
    struct OneByOne<'t>(ProgressRecorder<'t>);

    impl Recipient for OneByOne<'_> {
        fn take(&mut self, sender: Direction, seen: Seen<'_>) {
            self.0.take(sender, seen);
        }

        fn hellos(&self) -> Hellos<'_> {
            self.0.hellos()
        }
    }

    /// What comes of sealed units, by sender, type and length, after the hellos: all that was written down, and the progress.
    fn after_sealed_units(
        is_tls13: bool,
        is_one_by_one: bool,
        units: &[(bool, u8, u16)],
    ) -> String {
        let mut script = if is_tls13 { full() } else { tls12() };
        let mut standing = Standing::default();
        for (index, (is_client, content_type, length)) in units.iter().enumerate() {
            let unit = SealedUnit {
                content_type: ContentType(*content_type),
                length: *length,
                has_key: false,
            };
            let sender = match is_client {
                true => Direction::Forward,
                false => Direction::Reverse,
            };
            let time =
                |milliseconds: usize| Timestamp::from_nanoseconds(1_000_000 * milliseconds as i64);
            let [start, end] =
                [2, 3].map(|part| Arrival::new(time(2 * index + part), index as u64));
            let recorder = ProgressRecorder {
                transcript: &mut script.transcript,
                standing: &mut standing,
            };
            if is_one_by_one {
                OneByOne(recorder).take_sealed(sender, unit, start, end);
            } else {
                { recorder }.take_sealed(sender, unit, start, end);
            }
        }
        format!("{:?} {standing:?}", script.transcript)
    }

    proptest! {
        /// A unit that arrives in one piece takes a shorter way, which leads to the same.
        #[test]
        fn a_sealed_unit_counts_as_its_start_and_its_end(
            is_tls13 in any::<bool>(),
            units in proptest::collection::vec((any::<bool>(), 20u8..24, 17u16..400), 0..50),
        ) {
            let [short, long] = [false, true]
                .map(|is_one_by_one| after_sealed_units(is_tls13, is_one_by_one, &units));
            prop_assert_eq!(short, long);
        }
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_handshake_takes_little_more_than_a_kilobyte() {
        // There is one for each open connection: a new field is worth a thought.
        assert!(size_of::<Tracker>() <= 1552, "{}", size_of::<Tracker>());
    }

    #[test]
    fn what_is_not_tls_is_ruled_out_unless_a_hello_was_seen() {
        let mut tracker = Tracker::new(Protocol::Tls, AT, &Keys::default());
        assert!(!tracker.is_ruled_out());
        tracker.handle_chunk(Direction::Forward, Chunk::Bytes(b"GET / HTTP/1.1", AT));
        assert!(tracker.is_ruled_out() && !tracker.has_hello());
    }

    #[test]
    fn a_direction_closes_once_and_a_reset_makes_the_owner_wait_a_little_only() {
        let mut tracker = Tracker::new(Protocol::Tls, AT, &Keys::default());
        assert!(tracker.handle_close(Direction::Forward, Close::Fin, AT));
        assert!(!tracker.is_closing());
        assert!(!tracker.handle_close(Direction::Forward, Close::Fin, AT));
        assert!(tracker.handle_close(Direction::Forward, Close::Rst, AT));
        assert!(!tracker.handle_close(Direction::Forward, Close::Rst, AT));
        assert!(tracker.is_closing() && !tracker.is_decided());
        assert!(tracker.handle_close(Direction::Reverse, Close::Fin, AT));
        assert!(tracker.has_ended() && tracker.is_closing() && !tracker.is_decided());
    }
}

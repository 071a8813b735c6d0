//! The three segments that open a TCP connection, and when the observer saw them.

use std::time::Duration;

use crate::decode::TcpFlags;
use crate::flow::Direction;
use crate::time::Timestamp;

use super::delivery::COPY;
use super::settled::OpeningState;

/// The round trips that the opening of a connection shows, as seen from where packets were captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundTrips {
    /// The sender of the SYN.
    pub originator: Direction,
    /// From the SYN to the SYN-ACK: from the observer to the responder and back.
    pub beyond_responder: Option<Duration>,
    /// From the SYN-ACK to its acknowledgment: from the observer to the originator and back.
    pub beyond_originator: Option<Duration>,
    /// Whether one of the three segments was sent again, so that these are not round trips.
    pub is_repeated: bool,
}

impl RoundTrips {
    /// What is known where nothing opens a connection, as over UDP.
    pub const NONE: Self = Self {
        originator: Direction::Forward,
        beyond_responder: None,
        beyond_originator: None,
        is_repeated: false,
    };

    /// From the observer to the endpoint that sends in `direction`, and back; `None` if the opening does not show it.
    #[must_use]
    pub fn to(&self, direction: Direction) -> Option<Duration> {
        let trip = if direction == self.originator {
            self.beyond_originator
        } else {
            self.beyond_responder
        };
        trip.filter(|_| !self.is_repeated)
    }
}

/// When the SYN, the SYN-ACK and the acknowledgment of it were seen.
///
/// Times are plain nanoseconds with [`NOT_SEEN`] for absence: each connection in view
/// has one of these, and an `Option` would double its size.
#[derive(Debug)]
pub(super) struct Opening {
    syn: i64,
    syn_ack: i64,
    acknowledgment: i64,
    /// The sender of the SYN, or the receiver of the SYN-ACK.
    originator: Direction,
    /// Whether one of them was sent again, or captured out of order: then the time between them is not a round trip.
    is_repeated: bool,
}

const NOT_SEEN: i64 = i64::MIN;
/// An acknowledgment that may have waited for the data it came with.
const WITH_DATA: i64 = i64::MAX;

impl Opening {
    pub(super) const fn new() -> Self {
        Self {
            syn: NOT_SEEN,
            syn_ack: NOT_SEEN,
            acknowledgment: NOT_SEEN,
            originator: Direction::Forward,
            is_repeated: false,
        }
    }

    /// Records a segment of `sender` if it belongs to the opening; `length` is that of its payload, in bytes.
    pub(super) fn note(&mut self, sender: Direction, flags: TcpFlags, length: u32, at: Timestamp) {
        let at = at.as_nanoseconds();
        if !flags.syn {
            let is_of_originator = flags.ack && sender == self.originator;
            let is_awaited = self.acknowledgment == NOT_SEEN && self.syn_ack != NOT_SEEN;
            // An acknowledgment before the SYN-ACK shows that this was captured late.
            self.is_repeated |=
                is_of_originator && self.syn != NOT_SEEN && self.syn_ack == NOT_SEEN;
            if is_awaited && is_of_originator {
                let may_have_waited = length > 0 || flags.fin;
                self.acknowledgment = if may_have_waited { WITH_DATA } else { at };
            }
            return;
        }
        if flags.ack {
            self.note_syn_ack(sender, at);
        } else {
            self.note_syn(sender, at);
        }
    }

    /// Of SYNs of both sides, the one that is answered opens the connection. Before the answer, that is the later one, as far as is
    /// known: anybody can send one in the name of the server.
    fn note_syn(&mut self, sender: Direction, at: i64) {
        let is_of_originator = sender == self.originator;
        let is_answered = self.syn_ack != NOT_SEEN;
        if !is_answered && (self.syn == NOT_SEEN || !is_of_originator) {
            self.syn = at;
            self.originator = sender;
            self.is_repeated = false;
        } else if is_of_originator {
            self.is_repeated |= is_repetition(self.syn, at);
            if self.syn == NOT_SEEN {
                self.syn = at;
            }
        }
    }

    fn note_syn_ack(&mut self, sender: Direction, at: i64) {
        if self.syn_ack != NOT_SEEN {
            self.is_repeated |= is_repetition(self.syn_ack, at);
            return;
        }
        self.syn_ack = at;
        if self.syn != NOT_SEEN && self.originator == sender {
            // It answers another SYN than the one that was noted.
            self.syn = NOT_SEEN;
            self.is_repeated = false;
        }
        self.originator = sender.flip();
    }

    /// Whether a segment of `sender` that is no SYN is nothing to [`note`](Self::note): it cannot be the acknowledgment of the SYN-ACK.
    #[inline]
    pub(super) fn is_over_for(&self, sender: Direction) -> bool {
        self.acknowledgment != NOT_SEEN || self.syn_ack == NOT_SEEN || sender != self.originator
    }

    /// Whether the SYN-ACK was acknowledged.
    pub(super) const fn is_acknowledged(&self) -> bool {
        self.acknowledgment != NOT_SEEN
    }

    /// The sender of the SYN; `None` if neither the SYN nor its answer was seen.
    pub(super) const fn originator(&self) -> Option<Direction> {
        if self.syn == NOT_SEEN && self.syn_ack == NOT_SEEN {
            return None;
        }
        Some(self.originator)
    }

    /// Whether the responder accepted the connection.
    pub(super) const fn is_accepted(&self) -> bool {
        self.syn_ack != NOT_SEEN
    }

    /// What of it was seen.
    pub(super) const fn state(&self) -> OpeningState {
        OpeningState {
            has_syn: self.syn != NOT_SEEN,
            has_syn_ack: self.syn_ack != NOT_SEEN,
            is_acknowledged: self.is_acknowledged(),
            originator: self.originator,
        }
    }

    /// The round trips that the opening shows, as far as it was seen.
    pub(super) fn round_trips(&self) -> RoundTrips {
        let seen = |time: i64| {
            let is_seen = time != NOT_SEEN && time != WITH_DATA;
            is_seen.then(|| Timestamp::from_nanoseconds(time))
        };
        let between = |from, to| seen(to)?.checked_since(seen(from)?);
        RoundTrips {
            originator: self.originator,
            beyond_responder: between(self.syn, self.syn_ack),
            beyond_originator: between(self.syn_ack, self.acknowledgment),
            is_repeated: self.is_repeated,
        }
    }
}

/// Whether a segment that was seen before was sent again, and not only captured twice.
const fn is_repetition(seen: i64, at: i64) -> bool {
    seen != NOT_SEEN && at.abs_diff(seen) >= COPY.as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYN: TcpFlags = flags(true, false);
    const SYN_ACK: TcpFlags = flags(true, true);
    const ACK: TcpFlags = flags(false, true);
    const UP: Direction = Direction::Forward;
    const DOWN: Direction = Direction::Reverse;

    const fn flags(syn: bool, ack: bool) -> TcpFlags {
        TcpFlags {
            syn,
            ack,
            fin: false,
            rst: false,
        }
    }

    fn opening(segments: &[(Direction, TcpFlags, i64)]) -> RoundTrips {
        let mut opening = Opening::new();
        for (sender, flags, milliseconds) in segments {
            let at = Timestamp::from_nanoseconds(milliseconds * 1_000_000);
            opening.note(*sender, *flags, 0, at);
        }
        opening.round_trips()
    }

    fn milliseconds(trip: Option<Duration>) -> Option<u128> {
        trip.map(|trip| trip.as_millis())
    }

    #[test]
    fn the_two_halves_of_the_round_trip_are_measured() {
        let seen = [
            (UP, SYN, 0),
            (DOWN, SYN_ACK, 30),
            (UP, ACK, 32),
            (UP, ACK, 90),
        ];
        let trips = opening(&seen);
        assert_eq!(milliseconds(trips.beyond_responder), Some(30));
        assert_eq!(milliseconds(trips.beyond_originator), Some(2));
        assert!(!trips.is_repeated);
        assert_eq!(trips.originator, UP);
    }

    #[test]
    fn a_repeated_segment_is_recorded() {
        let seen = [(UP, SYN, 0), (UP, SYN, 1_000), (DOWN, SYN_ACK, 1_030)];
        let trips = opening(&seen);
        assert!(trips.is_repeated);
        assert_eq!(milliseconds(trips.beyond_responder), Some(1_030));
        let seen = [(UP, SYN, 0), (DOWN, SYN_ACK, 30), (DOWN, SYN_ACK, 1_030)];
        assert!(opening(&seen).is_repeated);
    }

    #[test]
    fn a_segment_that_was_captured_twice_is_not_repeated() {
        let seen = [
            (UP, SYN, 0),
            (UP, SYN, 4),
            (DOWN, SYN_ACK, 30),
            (DOWN, SYN_ACK, 33),
        ];
        let trips = opening(&seen);
        assert!(!trips.is_repeated);
        assert_eq!(milliseconds(trips.beyond_responder), Some(30));
        assert!(opening(&[(UP, SYN, 0), (UP, SYN, 5)]).is_repeated);
    }

    #[test]
    fn a_syn_ack_that_was_captured_late_shows_no_round_trip() {
        let fin = TcpFlags { fin: true, ..ACK };
        let late = [
            (UP, SYN, 0),
            (UP, ACK, 1),
            (DOWN, SYN_ACK, 2),
            (UP, ACK, 150),
        ];
        assert_eq!(opening(&late).to(UP), None);
        let closes = [(UP, SYN, 0), (DOWN, SYN_ACK, 1), (UP, fin, 150)];
        assert_eq!(opening(&closes).to(UP), None);
        let usual = [(UP, SYN, 0), (DOWN, SYN_ACK, 1), (UP, ACK, 2)];
        assert_eq!(milliseconds(opening(&usual).to(UP)), Some(1));
    }

    #[test]
    fn a_syn_in_the_name_of_the_server_hides_no_round_trip() {
        let seen = [
            (DOWN, SYN, 0),
            (UP, SYN, 500),
            (DOWN, SYN_ACK, 530),
            (UP, ACK, 532),
            (DOWN, SYN, 600),
        ];
        let trips = opening(&seen);
        assert_eq!(trips.originator, UP);
        assert_eq!(milliseconds(trips.beyond_responder), Some(30));
        assert_eq!(milliseconds(trips.beyond_originator), Some(2));
        assert!(!trips.is_repeated);
        // In between, it takes the place of the client's: no round trip is better than a wrong one.
        let trips = opening(&[(UP, SYN, 0), (DOWN, SYN, 20), (DOWN, SYN_ACK, 30)]);
        assert_eq!((trips.originator, trips.beyond_responder), (UP, None));
    }

    #[test]
    fn an_acknowledgment_with_data_is_not_used_since_it_may_have_waited_for_them() {
        let at = |milliseconds: i64| Timestamp::from_nanoseconds(milliseconds * 1_000_000);
        let mut opening = Opening::new();
        opening.note(UP, SYN, 0, at(0));
        opening.note(DOWN, SYN_ACK, 0, at(30));
        opening.note(UP, ACK, 517, at(400));
        opening.note(UP, ACK, 0, at(430));
        let trips = opening.round_trips();
        assert_eq!(milliseconds(trips.beyond_responder), Some(30));
        assert_eq!(trips.beyond_originator, None);
    }

    #[test]
    fn a_segment_that_was_not_seen_gives_no_round_trip() {
        let trips = opening(&[(UP, ACK, 0), (DOWN, ACK, 1)]);
        assert_eq!(
            (trips.beyond_responder, trips.beyond_originator),
            (None, None)
        );
        // A capture that begins with the answer: the SYN went the other way.
        let trips = opening(&[(UP, SYN_ACK, 0), (UP, ACK, 1), (DOWN, ACK, 5)]);
        assert_eq!(trips.originator, DOWN);
        assert_eq!(trips.beyond_responder, None);
        assert_eq!(milliseconds(trips.beyond_originator), Some(5));
    }

    #[test]
    fn a_clock_that_steps_back_gives_no_round_trip() {
        let trips = opening(&[(UP, SYN, 10), (DOWN, SYN_ACK, 0), (UP, ACK, 3)]);
        assert_eq!(trips.beyond_responder, None);
        assert_eq!(milliseconds(trips.beyond_originator), Some(3));
    }
}

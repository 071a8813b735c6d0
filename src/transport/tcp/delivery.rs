//! How far the bytes of a direction got: what TCP itself says about a silence.
//!
//! A sender repeats what is not acknowledged, after about a second at the latest (RFC 6298 §2). So data that is
//! acknowledged arrived, data that is sent again and again is lost on the way, and data for which neither happens
//! for seconds means that the capture lacks packets.

use std::time::Duration;

use crate::time::Timestamp;

/// How far the bytes of one direction got, as far as the capture shows.
///
/// Places are bytes from where the stream begins in view; a FIN counts as one more. They wrap at 4 GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryState {
    /// The end of what was sent, as far as it was captured.
    pub sent: u32,
    /// The end of what the receiver acknowledged; `None` if no acknowledgment was captured. It is beyond
    /// [`sent`](Self::sent) if the capture lacks what was acknowledged.
    pub acknowledged: Option<u32>,
    /// What was sent and not acknowledged.
    pub outstanding: Option<Outstanding>,
    /// Keep-alives that the receiver answered.
    pub keep_alives_answered: u16,
    /// Keep-alives since the last answer.
    pub keep_alives_unanswered: u16,
    /// Whether the receiver has no room for more: its window is 0.
    pub is_window_closed: bool,
    /// The reset that came from this direction's sender, or in its name.
    pub reset: Option<ResetSeen>,
    /// Bytes missing in front of captured ones, and since when, that the receiver lacks, too: the network lost them, and
    /// not the capture. Known once no more segments will come.
    pub hole: Option<(u32, Timestamp)>,
    /// When the last data were sent that had not been sent before. A FIN is no data.
    pub last_data: Option<Timestamp>,
    /// The end of the data that was sent.
    pub data_end: u32,
    /// Bytes behind the last captured ones that the sender's numbers show to have been sent, and that the receiver has not
    /// acknowledged: whether the network or the capture lacks them is for the receiver to show. Known once no more segments
    /// will come.
    pub unseen: u32,
    /// When the newest bytes were sent first.
    newest: Timestamp,
    /// When the newest bytes were acknowledged that had not been captured. It counts while [`acknowledged`](Self::acknowledged) is beyond
    /// [`sent`](Self::sent).
    overtaken: Timestamp,
    /// How long after their acknowledgment bytes were captured, in microseconds.
    late: u32,
    /// How long after its FIN a segment was captured that the sender sent before it, in microseconds.
    behind_fin: u32,
    /// How far the sender of the reset was.
    reset_sent: SentWith,
    /// Whether a segment of the sender shows by its numbers that it was sent after the reset.
    is_sent_after_reset: bool,
    /// Whether such a segment has data, or a FIN.
    is_data_after_reset: bool,
    /// Whether a segment of the sender came so much later than its reset that the network hardly swapped the two.
    is_heard_after_reset: bool,
    /// How far the numbers of empty segments show that the sender has come; 0 if they show nothing.
    announced: u32,
}

/// Bytes that were sent and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outstanding {
    /// Where they begin.
    pub start: u32,
    /// How many of them were sent in one segment, at most.
    pub length: u32,
    /// How often the first of them were sent, at least.
    pub times: u32,
    /// When they were sent first.
    pub first_sent: Timestamp,
    /// When they were sent last.
    pub last_sent: Timestamp,
}

impl Outstanding {
    /// Whether they were sent again.
    #[must_use]
    pub const fn is_repeated(&self) -> bool {
        self.times > 1
    }

    /// From the first to the last time they were sent.
    #[must_use]
    pub fn repeated_for(&self) -> Duration {
        self.last_sent
            .checked_since(self.first_sent)
            .unwrap_or_default()
    }
}

/// A reset, and whether it came from where its address says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetSeen {
    /// When it was captured first.
    pub at: Timestamp,
    /// Whether its hop limit differs from that of the sender's first packet: then another host is likely to have sent it.
    pub has_other_hop_limit: bool,
    /// Whether its sender went on as if there had been no reset: then another host sent it.
    pub was_ignored_by_sender: bool,
}

/// How far the sender of a segment was: in its own stream, and in its peer's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SentWith {
    /// Where the segment ends.
    pub(super) end: u32,
    /// What it acknowledges; `None` if it acknowledges nothing.
    pub(super) acknowledged: Option<u32>,
}

impl SentWith {
    /// Whether a segment of the same sender shows that it went on after this one: it has new bytes, or acknowledges more.
    /// What repeats the same numbers may have been sent before, and captured later.
    fn is_before(self, other: Self) -> bool {
        is_beyond(other.end, self.end) || self.acknowledges_less_than(other)
    }

    /// Whether a segment of the same sender acknowledges more: then it was sent later.
    fn acknowledges_less_than(self, other: Self) -> bool {
        match (self.acknowledged, other.acknowledged) {
            (Some(before), Some(after)) => is_beyond(after, before),
            _ => false,
        }
    }

    /// Whether a segment of the same sender has data that follow this one, and acknowledges no less: one that was sent before does not. Where
    /// this one acknowledges nothing, it may have a number that its sender has passed.
    fn is_before_data_of(self, other: Self) -> bool {
        let acknowledges_less = match (self.acknowledged, other.acknowledged) {
            (Some(before), Some(after)) => is_beyond(before, after),
            _ => true,
        };
        is_beyond(other.end, self.end) && !acknowledges_less
    }
}

impl ResetSeen {
    /// Whether another host than the one with the sender's address sent the reset.
    #[must_use]
    pub const fn is_foreign(&self) -> bool {
        self.has_other_hop_limit || self.was_ignored_by_sender
    }
}

/// Copies of a segment within this time are one segment captured twice (mirrored ports, VLANs, NAT): retransmission
/// timers are at least 200 ms (RFC 6298 allows less than 1 s; Linux, Windows and BSD use 200 to 300 ms), and tail loss
/// probes come after two round trips and 10 ms at the least (RFC 8985 §7.2).
pub(super) const COPY: Duration = Duration::from_millis(5);
/// Segments later than this after a reset were sent after it; earlier ones may have been captured out of order.
const AFTER_RESET: Duration = Duration::from_millis(5);
/// The same where the receiver answers the later segment with a reset: then that arrived after the reset, too, and only the
/// network can have swapped the two, which it does with neighbours.
const REORDERED: Duration = Duration::from_millis(1);

impl DeliveryState {
    /// Bytes that were sent and not acknowledged.
    #[must_use]
    pub fn outstanding_bytes(&self) -> u32 {
        self.outstanding
            .map_or(0, |outstanding| self.sent.wrapping_sub(outstanding.start))
    }

    /// Whether all that was sent was acknowledged; false if nothing was sent.
    #[must_use]
    pub fn is_all_acknowledged(&self) -> bool {
        self.sent > 0 && self.outstanding.is_none()
    }

    /// Data that was sent and not acknowledged; none if only the FIN is outstanding.
    #[must_use]
    pub fn outstanding_data(&self) -> Option<Outstanding> {
        self.outstanding
            .filter(|outstanding| is_beyond(self.data_end, outstanding.start))
    }

    /// Whether data was sent behind this place.
    #[must_use]
    pub const fn is_data_beyond(&self, place: u32) -> bool {
        is_beyond(self.data_end, place)
    }

    /// How much later than those of its peer the segments of this direction were captured, at least: bytes may come after the
    /// acknowledgment of them.
    #[must_use]
    pub fn lateness(&self) -> Duration {
        Duration::from_micros(self.late.into())
    }

    /// How much later than it was captured the FIN may have been sent: segments of before were captured behind it.
    #[must_use]
    pub fn fin_may_be_later(&self) -> Duration {
        Duration::from_micros(self.behind_fin.into())
    }

    /// Notes an empty segment that was captured behind the FIN of this direction, and has a number of before it.
    ///
    /// Keep-alives have, too, but come a second later at the earliest (RFC 9293 §3.8.4 has two hours).
    pub(crate) fn note_behind_fin(&mut self, now: Timestamp) {
        const SHORTEST_IDLE: Duration = Duration::from_secs(1);
        let since = now.checked_since(self.newest).unwrap_or_default();
        if since < SHORTEST_IDLE {
            self.behind_fin = self.behind_fin.max(micros(since));
        }
    }

    /// Whether bytes were acknowledged that have not been captured, or not yet.
    fn is_overtaken(&self) -> bool {
        self.acknowledged
            .is_some_and(|acknowledged| is_beyond(acknowledged, self.sent))
    }

    /// Notes the moment, if the receiver acknowledges now what has not been captured; `before` is what it had acknowledged.
    #[inline]
    pub(super) fn note_overtaken(&mut self, before: Option<u32>, now: Timestamp) {
        if self.acknowledged != before && self.is_overtaken() {
            self.overtaken = now;
        }
    }

    /// Notes the payload of a segment of this direction.
    #[inline]
    pub(super) fn note_data(&mut self, start: u32, length: u32, now: Timestamp) {
        let end = start.wrapping_add(length);
        if length > 0 && (self.last_data.is_none() || is_beyond(end, self.data_end)) {
            self.data_end = end;
            self.last_data = Some(now);
        }
    }

    /// Takes a segment of this direction with the bytes from `start` on (a FIN counts as one); true if it is a
    /// keep-alive, which asks for an answer.
    pub(super) fn handle_segment(&mut self, start: u32, length: u32, now: Timestamp) -> bool {
        let end = start.wrapping_add(length);
        let is_probe = self.sent > 0
            && self.outstanding.is_none()
            && length <= 1
            && start.wrapping_add(1) == self.sent;
        if is_probe {
            self.keep_alives_unanswered = self.keep_alives_unanswered.saturating_add(1);
            return true;
        }
        if length == 0 {
            return false;
        }
        let acknowledged = self.acknowledged.unwrap_or(0);
        let start = if is_beyond(start, acknowledged) {
            start
        } else {
            acknowledged
        };
        if is_beyond(end, self.sent) {
            if self.is_overtaken() {
                let late = now.checked_since(self.overtaken).unwrap_or_default();
                self.late = self.late.max(micros(late));
            }
            self.sent = end;
            self.newest = now;
        }
        match &mut self.outstanding {
            None if is_beyond(end, acknowledged) => {
                self.outstanding = Some(Outstanding {
                    start,
                    length: end.wrapping_sub(start),
                    times: 1,
                    first_sent: now,
                    last_sent: now,
                });
            }
            Some(first) if is_beyond(end, first.start) && !is_beyond(start, first.start) => {
                let is_copy = now
                    .checked_since(first.last_sent)
                    .is_none_or(|since| since < COPY);
                first.length = first.length.min(end.wrapping_sub(first.start));
                if !is_copy {
                    first.times = first.times.saturating_add(1);
                    first.last_sent = now;
                }
            }
            // Captured before what precedes it.
            Some(first) if is_beyond(first.start, start) && is_beyond(end, acknowledged) => {
                first.start = start;
            }
            _ => {}
        }
        false
    }

    /// Notes that the receiver has acknowledged all bytes before `acknowledged`.
    #[inline]
    pub(super) fn acknowledge(&mut self, acknowledged: u32) {
        if !self
            .acknowledged
            .is_none_or(|before| is_beyond(acknowledged, before))
        {
            return;
        }
        self.acknowledged = Some(acknowledged);
        let Some(first) = &mut self.outstanding else {
            return;
        };
        if !is_beyond(self.sent, acknowledged) {
            self.outstanding = None;
        } else if is_beyond(acknowledged, first.start) {
            // When the rest was sent first is not known exactly; a flight takes milliseconds.
            *first = Outstanding {
                start: acknowledged,
                length: self.sent.wrapping_sub(acknowledged),
                times: 1,
                first_sent: self.newest,
                last_sent: self.newest,
            };
        }
    }

    /// Notes an empty segment, whose number shows that its sender has sent what comes before it.
    pub(crate) const fn announce(&mut self, start: u32) {
        if is_beyond(start, self.sent) && is_beyond(start, self.announced) {
            self.announced = start;
        }
    }

    /// The end of what the sender has sent, if that is beyond what was captured, and if no hole in the network explains it.
    pub(super) fn announced(&self) -> Option<u32> {
        let is_missing = self.hole.is_none() && is_beyond(self.announced, self.sent);
        is_missing.then_some(self.announced)
    }

    /// Whether one number of the sender lies behind what was captured: that of a FIN, or of a single byte.
    #[must_use]
    pub const fn may_lack_fin(&self) -> bool {
        self.announced != 0 && self.announced == self.sent.wrapping_add(1)
    }

    /// Notes that the sender has sent all before `end`, which was not captured. One number may be its FIN.
    pub(super) fn note_unseen(&mut self, end: u32) {
        let is_acknowledged = self
            .acknowledged
            .is_some_and(|acknowledged| !is_beyond(end, acknowledged));
        let unseen = end.wrapping_sub(self.sent);
        if unseen > 1 && !is_acknowledged {
            self.unseen = unseen;
        }
    }

    /// Notes that the receiver answered the keep-alives so far.
    pub(super) const fn note_answer(&mut self) {
        self.keep_alives_answered = self
            .keep_alives_answered
            .saturating_add(self.keep_alives_unanswered);
        self.keep_alives_unanswered = 0;
    }

    /// Notes a reset of the sender, or in its name.
    pub(super) const fn note_reset(
        &mut self,
        sent: SentWith,
        has_other_hop_limit: bool,
        now: Timestamp,
    ) {
        if self.reset.is_none() {
            self.reset = Some(ResetSeen {
                at: now,
                has_other_hop_limit,
                was_ignored_by_sender: false,
            });
            self.reset_sent = sent;
        }
    }

    /// Whether the numbers of the sender show that it went on after its reset, whenever that was captured.
    pub(crate) const fn has_gone_on(&self) -> bool {
        self.is_sent_after_reset
    }

    /// Whether they show that it sent data or a FIN then.
    pub(crate) const fn has_sent_after_reset(&self) -> bool {
        self.is_data_after_reset
    }

    /// Forgets the reset: another host sent it, and neither side believed it.
    pub(crate) const fn forget_reset(&mut self) {
        self.reset = None;
        self.is_heard_after_reset = false;
        self.is_sent_after_reset = false;
        self.is_data_after_reset = false;
    }

    /// Notes that the receiver answered a segment of the sender with a reset: it had closed before, so if that was for a reset
    /// of the sender, the sender went on after it.
    pub(super) fn note_refused(&mut self) {
        if let Some(reset) = &mut self.reset {
            reset.was_ignored_by_sender |= self.is_heard_after_reset;
        }
    }

    /// Notes a segment of the sender that is no reset, and may have been sent after one.
    pub(super) fn note_after_reset(&mut self, sent: SentWith, is_fin: bool, now: Timestamp) {
        if let Some(reset) = &mut self.reset {
            let since = now.checked_since(reset.at);
            // What reaches less far, or acknowledges less, was sent before the reset and is late.
            let is_late = sent.is_before(self.reset_sent);
            self.is_sent_after_reset |= self.reset_sent.is_before(sent);
            self.is_data_after_reset |= self.reset_sent.is_before_data_of(sent)
                || is_fin && self.reset_sent.acknowledges_less_than(sent);
            self.is_heard_after_reset |= !is_late && since.is_some_and(|since| since >= REORDERED);
            reset.was_ignored_by_sender |=
                since.is_some_and(|since| since >= AFTER_RESET) && self.reset_sent.is_before(sent);
        }
    }
}

/// Microseconds, at most 2³² of them: more than an hour.
fn micros(duration: Duration) -> u32 {
    duration.as_micros().try_into().unwrap_or(u32::MAX)
}

/// Whether place `a` lies behind place `b`.
const fn is_beyond(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() > 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_segment_of_before_behind_a_fin_shows_that_the_fin_may_be_later() {
        let behind = |now| {
            let mut state = DeliveryState::default();
            state.handle_segment(0, 100, at(0));
            state.handle_segment(100, 1, at(10));
            state.note_behind_fin(at(now));
            state.fin_may_be_later()
        };
        assert_eq!(behind(160), Duration::from_millis(150));
        assert_eq!(behind(2_000), Duration::ZERO, "a keep-alive");
    }

    /// The other direction's clock is late, or this one's is early: the acknowledgment comes first.
    #[test]
    fn bytes_that_come_after_their_acknowledgment_show_how_late_they_are() {
        let mut state = DeliveryState::default();
        let acknowledge = |state: &mut DeliveryState, place, now| {
            let before = state.acknowledged;
            state.acknowledge(place);
            state.note_overtaken(before, at(now));
        };
        state.handle_segment(0, 100, at(0));
        acknowledge(&mut state, 100, 1);
        state.handle_segment(100, 50, at(2));
        assert_eq!(state.lateness(), Duration::ZERO);
        acknowledge(&mut state, 250, 3);
        acknowledge(&mut state, 350, 5);
        state.handle_segment(150, 100, at(43));
        // Only the latest of the acknowledgments is known.
        assert_eq!(state.lateness(), Duration::from_millis(38));
        state.handle_segment(250, 100, at(44));
        assert_eq!(state.lateness(), Duration::from_millis(39));
        state.handle_segment(350, 10, at(60));
        acknowledge(&mut state, 360, 90);
        assert_eq!(state.lateness(), Duration::from_millis(39));
    }

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_nanoseconds(milliseconds * 1_000_000)
    }

    /// Segments and acknowledgments of one direction: `(start, length, milliseconds)`, or an acknowledgment.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Sent(u32, u32, i64),
        Acknowledged(u32),
    }
    use Step::{Acknowledged, Sent};

    fn state(steps: &[Step]) -> DeliveryState {
        let mut state = DeliveryState::default();
        for step in steps {
            match *step {
                Sent(start, length, time) => {
                    state.handle_segment(start, length, at(time));
                }
                Acknowledged(place) => state.acknowledge(place),
            }
        }
        state
    }

    #[test]
    fn acknowledged_data_is_not_outstanding() {
        let state = state(&[Sent(0, 517, 0), Acknowledged(517)]);
        assert!(state.is_all_acknowledged());
        assert_eq!((state.sent, state.acknowledged), (517, Some(517)));
        assert!(!DeliveryState::default().is_all_acknowledged());
    }

    #[test]
    fn a_reset_that_its_sender_follows_up_came_from_between_if_the_receiver_answers_with_another() {
        let sent = SentWith {
            end: 0,
            acknowledged: Some(517),
        };
        let reset = |followed| {
            let mut state = DeliveryState::default();
            state.note_reset(sent, false, at(0));
            state.note_after_reset(sent, false, at(followed));
            let before = state.reset.unwrap().is_foreign();
            state.note_refused();
            (before, state.reset.unwrap().is_foreign())
        };
        assert_eq!(reset(2), (false, true));
        assert_eq!(reset(0), (false, false)); // swapped by the network
    }

    #[test]
    fn what_was_sent_before_a_reset_and_comes_late_does_not_follow_it_up() {
        let sent = |end, acknowledged| SentWith {
            end,
            acknowledged: Some(acknowledged),
        };
        for late in [sent(100, 0), sent(40, 517)] {
            let mut state = DeliveryState::default();
            state.note_reset(sent(100, 517), false, at(0));
            state.note_after_reset(late, false, at(9));
            state.note_refused(); // the receiver has closed
            assert!(!state.reset.unwrap().is_foreign(), "{late:?}");
        }
    }

    #[test]
    fn a_retransmission_is_counted_with_how_long_it_went_on() {
        let sends = [0, 200, 600, 1400].map(|time| Sent(0, 517, time));
        let outstanding = state(&sends).outstanding.unwrap();
        assert!(outstanding.is_repeated());
        assert_eq!(outstanding.times, 4);
        assert_eq!(outstanding.repeated_for(), Duration::from_millis(1400));
        assert_eq!(state(&sends).outstanding_bytes(), 517);
    }

    #[test]
    fn a_segment_that_was_captured_twice_is_no_retransmission() {
        let outstanding = state(&[Sent(0, 517, 0), Sent(0, 517, 1)]).outstanding;
        assert_eq!(outstanding.unwrap().times, 1);
        let outstanding = state(&[Sent(0, 517, 0), Sent(0, 517, 5)]).outstanding;
        assert_eq!(outstanding.unwrap().times, 2);
    }

    #[test]
    fn only_what_was_not_acknowledged_counts() {
        let flight = [Sent(0, 1448, 0), Sent(1448, 1448, 1), Acknowledged(1448)];
        let outstanding = state(&flight).outstanding.unwrap();
        assert_eq!((outstanding.start, outstanding.times), (1448, 1));
        let repeated = [flight.as_slice(), &[Sent(1448, 1448, 300)]].concat();
        let outstanding = state(&repeated).outstanding.unwrap();
        assert_eq!(outstanding.times, 2);
        assert_eq!(outstanding.repeated_for(), Duration::from_millis(299));
    }

    #[test]
    fn what_the_capture_lacks_may_be_acknowledged() {
        let state = state(&[Sent(0, 100, 0), Acknowledged(3000)]);
        assert_eq!((state.sent, state.acknowledged), (100, Some(3000)));
        assert_eq!(state.outstanding, None);
    }

    #[test]
    fn keep_alives_with_and_without_a_byte_are_counted_until_they_are_answered() {
        let mut state = state(&[Sent(0, 100, 0), Acknowledged(100)]);
        assert!(state.handle_segment(99, 0, at(10_000)));
        assert!(state.handle_segment(99, 1, at(20_000)));
        assert_eq!(state.keep_alives_unanswered, 2);
        state.note_answer();
        assert_eq!(
            (state.keep_alives_answered, state.keep_alives_unanswered),
            (2, 0)
        );
        assert!(!state.handle_segment(100, 0, at(21_000)));
        // The last byte of what was not acknowledged is a retransmission.
        state.handle_segment(100, 1, at(22_000));
        assert!(!state.handle_segment(100, 1, at(23_000)));
        assert_eq!(state.outstanding.unwrap().times, 2);
    }

    #[test]
    fn a_sender_that_goes_on_after_its_reset_did_not_send_it() {
        let sent = |end, acknowledged| SentWith {
            end,
            acknowledged: Some(acknowledged),
        };
        let reset = || {
            let mut state = DeliveryState::default();
            state.note_after_reset(sent(0, 517), false, at(0));
            assert_eq!(state.reset, None);
            state.note_reset(sent(0, 517), false, at(10));
            state
        };
        let is_foreign = |end, acknowledged, time| {
            let mut state = reset();
            state.note_after_reset(sent(end, acknowledged), false, at(time));
            state.reset.unwrap().is_foreign()
        };
        assert!(is_foreign(1448, 517, 15));
        assert!(is_foreign(0, 600, 15));
        assert!(!is_foreign(1448, 517, 14), "captured in another order");
        assert!(!is_foreign(0, 517, 300), "an acknowledgment before it");
        let mut state = DeliveryState::default();
        state.note_reset(SentWith::default(), true, at(10));
        assert!(state.reset.unwrap().is_foreign());
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0u32..60, 1u32..20).prop_map(|(start, length)| Sent(start, length, 0)),
            1 => (0u32..80).prop_map(Acknowledged),
        ];
        proptest::collection::vec(step, 0..30)
    }

    proptest! {
        /// The model: a set of bytes that were sent, and the highest acknowledgment. What is outstanding begins no earlier
        /// than the first byte that was sent and not acknowledged when it was sent, and everything else is exact.
        #[test]
        fn agrees_with_a_set_of_bytes(steps in steps()) {
            let state = state(&steps);
            let (mut sent, mut acknowledged) = (std::collections::BTreeSet::new(), None);
            for step in &steps {
                match *step {
                    // A byte before the newest, with nothing outstanding, is a keep-alive.
                    Sent(start, length, _) => sent.extend(start..start + length),
                    Acknowledged(place) => acknowledged = acknowledged.max(Some(place)),
                }
            }
            let end = sent.last().map_or(0, |last| last + 1);
            prop_assert_eq!(state.sent, end);
            prop_assert_eq!(state.acknowledged, acknowledged);
            let is_outstanding = end > acknowledged.unwrap_or(0);
            prop_assert_eq!(state.outstanding.is_some(), is_outstanding);
            if let Some(outstanding) = state.outstanding {
                prop_assert!(outstanding.start >= acknowledged.unwrap_or(0));
                prop_assert!(outstanding.start < end);
            }
        }
    }
}

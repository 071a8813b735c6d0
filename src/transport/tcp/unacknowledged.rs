//! What one side has sent and its peer has not acknowledged: how often, and for how long.
//!
//! Only the oldest such segment is followed, since TCP repeats it first (RFC 6298 §5).

use std::time::Duration;

use crate::decode::SeqNumber;
use crate::time::Timestamp;

/// Copies of a packet that a capture holds twice follow within less: no sender repeats data as soon.
const SHORTEST_REPETITION: Duration = Duration::from_millis(2);

/// What one side has sent and its peer has not acknowledged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unacknowledged {
    /// Behind the last byte sent.
    edge: Option<SeqNumber>,
    last_new: Option<Timestamp>,
    oldest: Option<SentSegment>,
}

/// A segment that was sent, perhaps repeatedly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentSegment {
    first: SeqNumber,
    /// Its bytes.
    pub length: u32,
    /// How often it was sent.
    pub count: u32,
    /// When it was sent first.
    pub since: Timestamp,
    /// When it was sent last.
    pub latest: Timestamp,
}

impl SentSegment {
    fn end(&self) -> SeqNumber {
        self.first.after(self.length)
    }
}

impl Unacknowledged {
    /// Notes a segment with data. `acknowledged` is where the peer's acknowledgments end, if there were any.
    pub fn note(
        &mut self,
        first: SeqNumber,
        length: u32,
        acknowledged: Option<SeqNumber>,
        time: Timestamp,
    ) {
        let end = first.after(length);
        if self.edge.is_none_or(|edge| end.since(edge) > 0) {
            self.edge = Some(end);
            self.last_new = Some(time);
        }
        let is_open = |end: SeqNumber| acknowledged.is_none_or(|known| end.since(known) > 0);
        if !is_open(end) {
            return;
        }
        match &mut self.oldest {
            Some(oldest) if is_open(oldest.end()) => {
                let repeats = oldest.first.since(first) >= 0 && end.since(oldest.first) > 0;
                let waited = time.checked_since(oldest.latest);
                if repeats && waited.is_some_and(|waited| waited >= SHORTEST_REPETITION) {
                    oldest.count += 1;
                    oldest.latest = time;
                }
            }
            oldest => {
                *oldest = Some(SentSegment {
                    first,
                    length,
                    count: 1,
                    since: time,
                    latest: time,
                });
            }
        }
    }

    /// When the last data were sent that had not been sent before.
    #[must_use]
    pub const fn last_new(&self) -> Option<Timestamp> {
        self.last_new
    }

    /// Bytes that were sent and not acknowledged.
    #[must_use]
    pub fn bytes(&self, acknowledged: Option<SeqNumber>) -> u32 {
        let Some(edge) = self.edge else { return 0 };
        match (acknowledged, self.oldest) {
            (Some(known), _) => edge.since(known).max(0).unsigned_abs(),
            (None, Some(oldest)) => edge.since(oldest.first).max(0).unsigned_abs(),
            (None, None) => 0,
        }
    }

    /// The oldest segment that was not acknowledged.
    #[must_use]
    pub fn oldest(&self, acknowledged: Option<SeqNumber>) -> Option<SentSegment> {
        self.oldest
            .filter(|oldest| acknowledged.is_none_or(|known| oldest.end().since(known) > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: SeqNumber = SeqNumber(u32::MAX - 100);

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_nanoseconds(milliseconds * 1_000_000)
    }

    #[test]
    fn repetitions_of_the_oldest_segment_are_counted() {
        let mut sent = Unacknowledged::default();
        sent.note(START, 300, None, at(0));
        sent.note(START.after(300), 100, None, at(0));
        for time in [200, 600, 1_400] {
            sent.note(START, 300, None, at(time));
        }
        let oldest = sent.oldest(None).unwrap();
        assert_eq!((oldest.count, oldest.length), (4, 300));
        assert_eq!(
            oldest
                .latest
                .checked_since(oldest.since)
                .unwrap()
                .as_millis(),
            1_400
        );
        assert_eq!((sent.bytes(None), sent.last_new()), (400, Some(at(0))));
    }

    #[test]
    fn what_was_acknowledged_is_forgotten() {
        let mut sent = Unacknowledged::default();
        sent.note(START, 300, Some(START), at(0));
        let all = Some(START.after(300));
        assert_eq!((sent.bytes(all), sent.oldest(all)), (0, None));
        sent.note(START, 300, all, at(200)); // its acknowledgment was lost
        assert_eq!((sent.bytes(all), sent.oldest(all)), (0, None));
        sent.note(START.after(300), 50, all, at(300));
        assert_eq!(sent.bytes(all), 50);
        assert_eq!(sent.oldest(all).unwrap().count, 1);
    }

    #[test]
    fn a_second_copy_in_the_capture_is_no_repetition() {
        let mut sent = Unacknowledged::default();
        sent.note(START, 300, None, at(0));
        sent.note(START, 300, None, at(1));
        assert_eq!(sent.oldest(None).unwrap().count, 1);
    }
}

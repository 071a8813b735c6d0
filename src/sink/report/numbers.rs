//! The numbers of handshakes: their places in the order of time, as `tlscope show` counts them.

use crate::time::Timestamp;

/// Most handshakes that are numbered in the order of time, with 8 bytes each. If there are more, all keep their number in the order
/// of events, which is nearly the same.
const MAX_NUMBERED: usize = 1_000_000;

/// When each handshake of the run began, in the order of events.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    times: Vec<Timestamp>,
    count: u64,
}

impl Numbers {
    /// Counts a handshake, and returns its number in the order of events, from 1.
    pub(super) fn next(&mut self, time: Timestamp) -> u64 {
        self.count += 1;
        if self.times.len() < MAX_NUMBERED {
            self.times.push(time);
        }
        self.count
    }

    /// The numbers in the order of time.
    pub(super) fn by_time(&self) -> ByTime {
        let is_complete = self.count == self.times.len() as u64;
        let times = self.times.iter().filter(|_| is_complete);
        let mut places: Vec<_> = times.copied().zip(1_u64..).collect();
        places.sort_unstable();
        ByTime(places)
    }
}

/// Times with numbers in the order of events; none if there were too many.
pub(super) struct ByTime(Vec<(Timestamp, u64)>);

impl ByTime {
    /// Whether numbers are those of `tlscope show`.
    pub(super) fn is_exact(&self) -> bool {
        !self.0.is_empty()
    }

    /// The number in the order of time of the handshake that has `number` in the order of events and began at `time`.
    pub(super) fn number(&self, time: Timestamp, number: u64) -> u64 {
        let place = self.0.binary_search(&(time, number));
        place.map_or(number, |place| place as u64 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_order_of_time_and_ties_that_of_events() {
        let mut numbers = Numbers::default();
        let times = [30, 10, 20, 10].map(Timestamp::from_seconds);
        let in_order = times.map(|time| numbers.next(time));
        let by_time = numbers.by_time();
        let numbered: Vec<_> = times
            .into_iter()
            .zip(in_order)
            .map(|(time, number)| by_time.number(time, number))
            .collect();
        assert_eq!(numbered, [4, 1, 3, 2]);
        assert!(by_time.is_exact());
    }

    #[test]
    fn too_many_handshakes_keep_the_order_of_events() {
        let mut numbers = Numbers::default();
        for second in (0..=MAX_NUMBERED as i64).rev() {
            numbers.next(Timestamp::from_seconds(second));
        }
        let by_time = numbers.by_time();
        assert!(!by_time.is_exact());
        assert_eq!(by_time.number(Timestamp::default(), 7), 7);
    }
}

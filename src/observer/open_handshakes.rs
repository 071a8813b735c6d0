//! The handshakes without a verdict, by the time at which they began.

use std::collections::{BTreeMap, VecDeque};

use crate::time::Timestamp;

/// Counts open handshakes, and knows the oldest.
#[derive(Debug, Default)]
pub(super) struct OpenHandshakes {
    /// In order of time, with how many began then and are open: nearly every handshake begins after all others. Those that have ended
    /// stay until they are the oldest, or most.
    in_order: VecDeque<(Timestamp, u32)>,
    /// How many entries of these have none that is open.
    ended: usize,
    /// Those that began before the newest in order, as where clocks step back.
    late: BTreeMap<Timestamp, u32>,
    count: u64,
}

/// Entries that have ended and may stay, whatever the others are.
const MAX_ENDED: usize = 32;

impl OpenHandshakes {
    pub(super) fn insert(&mut self, start: Timestamp) {
        self.count += 1;
        match self.in_order.back_mut() {
            Some((newest, _)) if start < *newest => *self.late.entry(start).or_default() += 1,
            Some((newest, open)) if start == *newest => {
                self.ended -= usize::from(*open == 0);
                *open += 1;
            }
            _ => self.in_order.push_back((start, 1)),
        }
    }

    pub(super) fn remove(&mut self, start: Timestamp) {
        let found = self.in_order.binary_search_by_key(&start, |(at, _)| *at);
        let place = found.ok().and_then(|at| self.in_order.get_mut(at));
        if let Some((_, open)) = place.filter(|(_, open)| *open > 0) {
            *open -= 1;
            self.count -= 1;
            if *open == 0 {
                self.ended += 1;
                self.forget_ended();
            }
        } else if let Some(open) = self.late.get_mut(&start) {
            *open -= 1;
            self.count -= 1;
            if *open == 0 {
                self.late.remove(&start);
            }
        }
    }

    fn forget_ended(&mut self) {
        while let Some((_, 0)) = self.in_order.front() {
            self.in_order.pop_front();
            self.ended -= 1;
        }
        if self.ended > MAX_ENDED.max(self.in_order.len() / 2) {
            self.in_order.retain(|(_, open)| *open > 0);
            self.ended = 0;
        }
    }

    pub(super) const fn len(&self) -> u64 {
        self.count
    }

    /// When the oldest began.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        // The first in order is open: those before it were forgotten.
        let in_order = self.in_order.front().map(|(start, _)| *start);
        let late = self.late.first_key_value().map(|(start, _)| *start);
        in_order.into_iter().chain(late).min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The model: a list of all that are open.
        #[test]
        fn agrees_with_a_plain_list(steps in proptest::collection::vec((0i64..40, 0usize..3), 0..400)) {
            let mut open = OpenHandshakes::default();
            let mut all = Vec::new();
            for (number, (seconds, what)) in steps.into_iter().enumerate() {
                if what == 0 && !all.is_empty() {
                    open.remove(all.swap_remove(number % all.len()));
                } else {
                    let start = Timestamp::from_seconds(seconds + number as i64 / 8);
                    open.insert(start);
                    all.push(start);
                }
                prop_assert_eq!((open.oldest(), open.len()), (all.iter().min().copied(), all.len() as u64));
                prop_assert!(open.in_order.len() <= 2 * (all.len() + MAX_ENDED));
            }
        }
    }

    #[test]
    fn the_oldest_is_known_however_many_began_at_the_same_time() {
        let at = Timestamp::from_seconds;
        let mut open = OpenHandshakes::default();
        assert_eq!(open.oldest(), None);
        for seconds in [5, 3, 3] {
            open.insert(at(seconds));
        }
        open.remove(at(3));
        assert_eq!((open.oldest(), open.len()), (Some(at(3)), 2));
        open.remove(at(3));
        open.remove(at(3));
        assert_eq!((open.oldest(), open.len()), (Some(at(5)), 1));
    }
}

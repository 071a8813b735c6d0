//! The handshakes without a verdict, by the time at which they began.

use std::collections::BTreeMap;

use crate::time::Timestamp;

/// Counts open handshakes, and knows the oldest.
#[derive(Debug, Default)]
pub(super) struct OpenHandshakes {
    by_start: BTreeMap<Timestamp, u32>,
    count: u64,
}

impl OpenHandshakes {
    pub(super) fn insert(&mut self, start: Timestamp) {
        *self.by_start.entry(start).or_default() += 1;
        self.count += 1;
    }

    pub(super) fn remove(&mut self, start: Timestamp) {
        let Some(count) = self.by_start.get_mut(&start) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            self.by_start.remove(&start);
        }
        self.count -= 1;
    }

    pub(super) const fn len(&self) -> u64 {
        self.count
    }

    /// When the oldest began.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        let (start, _) = self.by_start.first_key_value()?;
        Some(*start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

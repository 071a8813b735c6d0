//! Processor time that a thread may take: a token bucket that fills with the time that passes.
//!
//! The caller passes in both clocks, so the limit holds for any work, and for any cost of it.

use std::time::Duration;

/// A share of one core.
#[derive(Debug)]
pub(super) struct Budget {
    /// Thousandths of a core.
    share: u32,
    /// What may be spent, in nanoseconds; negative after work that cost more than was left.
    left: i64,
    /// The time of the last refill, since any moment.
    refilled: Duration,
}

/// Time that a bucket takes to fill: what a quiet second leaves, a burst may use.
const BURST: Duration = Duration::from_secs(2);

impl Budget {
    /// A full bucket that fills with `share` thousandths of a core.
    pub(super) fn new(share: u32, now: Duration) -> Self {
        Self {
            share,
            left: capacity(share),
            refilled: now,
        }
    }

    /// Notes that it is `now`, and that `spent` was used since the last call.
    pub(super) fn settle(&mut self, now: Duration, spent: Duration) {
        let passed = now.saturating_sub(self.refilled).min(BURST);
        self.refilled = self.refilled.max(now);
        let gained = nanoseconds(passed) / 1000 * i64::from(self.share);
        self.left = (self.left + gained).min(capacity(self.share)) - nanoseconds(spent);
    }

    /// Whether anything is left.
    pub(super) const fn is_left(&self) -> bool {
        self.left > 0
    }

    /// Whether at least half is left: what may wait, or not be done at all, is done only then.
    pub(super) fn is_ample(&self) -> bool {
        self.left > capacity(self.share) / 2
    }

    /// Which share of a full bucket is left: 0 if nothing is, 1 if it is full.
    pub(super) fn fill(&self) -> f64 {
        self.left.max(0) as f64 / capacity(self.share) as f64
    }

    /// Whether more than half a bucket was spent beyond what was left.
    pub(super) fn is_in_debt(&self) -> bool {
        self.left < -capacity(self.share) / 2
    }

    /// How long it takes until something is left.
    pub(super) fn wait(&self) -> Duration {
        let lacks = u64::try_from(-self.left).unwrap_or(0);
        Duration::from_nanos(lacks.saturating_mul(1000) / u64::from(self.share.max(1)))
    }
}

fn capacity(share: u32) -> i64 {
    nanoseconds(BURST) / 1000 * i64::from(share)
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_full_bucket_allows_a_burst_and_then_makes_wait() {
        let mut budget = Budget::new(10, ms(0));
        assert!(budget.is_left() && budget.is_ample());
        budget.settle(ms(0), ms(11));
        assert!(budget.is_left() && !budget.is_ample());
        budget.settle(ms(0), ms(10));
        assert!(!budget.is_left());
        assert_eq!(budget.wait(), ms(100));
        budget.settle(ms(200), ms(0));
        assert!(budget.is_left());
    }

    #[test]
    fn a_clock_that_is_set_back_gains_nothing() {
        let mut budget = Budget::new(10, ms(5000));
        budget.settle(ms(5000), ms(30));
        budget.settle(ms(1000), ms(0));
        assert_eq!(budget.wait(), ms(1000));
    }

    proptest! {
        /// Work is only begun while something is left, and takes at most a millisecond.
        #[test]
        fn the_share_holds_over_any_time(steps in prop::collection::vec((0_u64..50, 1_u64..1000), 1..400)) {
            let mut budget = Budget::new(10, ms(0));
            let (mut now, mut spent) = (ms(0), ms(0));
            for (idle, work) in steps {
                now += ms(idle);
                budget.settle(now, ms(0));
                if budget.is_left() {
                    let work = Duration::from_micros(work);
                    now += work;
                    spent += work;
                    budget.settle(now, work);
                }
            }
            prop_assert!(spent <= now / 100 + BURST / 100 + ms(1), "{spent:?} of {now:?}");
        }
    }
}

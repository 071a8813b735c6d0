//! Percentiles and the distribution of durations, in memory that grows with their spread.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::sink::people::summary::histogram::{bucket_of, upper_end};

/// Counts durations in the buckets of the summary's histogram, so that both print the same percentiles.
///
/// Only buckets in use take memory: the report has a histogram for each server, and most servers use a few dozen buckets.
#[derive(Clone, Debug, Default)]
pub(super) struct Durations {
    buckets: BTreeMap<u16, u64>,
    count: u64,
    max: u64,
}

impl Durations {
    pub(super) fn record(&mut self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = u16::try_from(bucket_of(nanoseconds)).unwrap_or(u16::MAX); // there are 1,920
        *self.buckets.entry(bucket).or_default() += 1;
        self.count += 1;
        self.max = self.max.max(nanoseconds);
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The longest duration.
    pub(super) fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// A duration that `percent` of 100 do not exceed, at most 3.2 % too high.
    pub(super) fn percentile(&self, percent: u64) -> Duration {
        let rank = self.count.saturating_mul(percent).div_ceil(100).max(1);
        let mut seen = 0;
        let bucket = self.buckets.iter().find(|(_, count)| {
            seen += **count;
            seen >= rank
        });
        let upper = bucket.map_or(self.max, |(bucket, _)| upper_end(usize::from(*bucket)));
        Duration::from_nanos(upper.min(self.max))
    }

    /// The buckets in use, the shortest first: the longest duration of each, and how many it holds.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        self.buckets.iter().map(|(bucket, count)| {
            let upper = upper_end(usize::from(*bucket)).min(self.max);
            (Duration::from_nanos(upper), *count)
        })
    }

    /// The shortest and the longest duration; `None` if there is none.
    pub(super) fn range(&self) -> Option<(Duration, Duration)> {
        let (shortest, _) = self.buckets().next()?;
        Some((shortest, self.max()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_exact_within_a_thirtieth() {
        let mut durations = Durations::default();
        (1..=1_000).for_each(|count| durations.record(Duration::from_micros(count)));
        let median = durations.percentile(50).as_nanos();
        assert!((500_000..=516_000).contains(&median), "{median}");
        assert_eq!(durations.percentile(100), Duration::from_millis(1));
        assert_eq!(durations.max(), Duration::from_millis(1));
        let counted: u64 = durations.buckets().map(|(_, count)| count).sum();
        assert_eq!(counted, durations.count());
    }

    #[test]
    fn an_empty_distribution_has_no_range() {
        assert_eq!(Durations::default().range(), None);
        assert_eq!(Durations::default().percentile(50), Duration::ZERO);
    }

    #[test]
    fn the_longest_duration_has_a_bucket() {
        let mut durations = Durations::default();
        durations.record(Duration::MAX);
        assert_eq!(durations.percentile(50).as_nanos(), u128::from(u64::MAX));
    }
}

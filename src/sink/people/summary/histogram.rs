//! Percentiles of durations in bounded memory.

use std::time::Duration;

/// Counts durations in buckets whose width is at most 1/32 of their value.
///
/// So a percentile is at most 3.2 % too high, whatever the range and the number
/// of values, in 16 bytes for each bucket that is in use: a few for most servers, 30 KiB at most. The maximum is exact.
#[derive(Clone, Debug, Default)]
pub(in crate::sink) struct Histogram {
    /// The buckets in use with their counts, in their order; empty for one value, as most servers of a capture have: it is `max`.
    buckets: Vec<(usize, u64)>,
    count: u64,
    max: u64,
}

/// Each power of two is split into this many buckets (as a power of two).
const SPLIT_BITS: u32 = 5;
/// One bucket for each value below 32 ns, then 32 for each of the 59 powers of two above.
#[cfg(test)]
const BUCKETS: usize = (64 - SPLIT_BITS as usize + 1) << SPLIT_BITS;

impl Histogram {
    pub(in crate::sink) fn record(&mut self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        match self.count {
            0 => {}
            1 => {
                self.buckets.push((bucket_of(self.max), 1));
                self.count_in(bucket_of(nanoseconds));
            }
            _ => self.count_in(bucket_of(nanoseconds)),
        }
        self.count += 1;
        self.max = self.max.max(nanoseconds);
    }

    fn count_in(&mut self, bucket: usize) {
        match self.buckets.binary_search_by_key(&bucket, |(at, _)| *at) {
            Ok(index) => self.buckets[index].1 += 1,
            Err(index) => self.buckets.insert(index, (bucket, 1)),
        }
    }

    pub(in crate::sink) fn count(&self) -> u64 {
        self.count
    }

    /// The longest duration.
    pub(in crate::sink) fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// A duration that `percent` of 100 do not exceed, as the upper end of a bucket.
    pub(in crate::sink) fn percentile(&self, percent: u64) -> Duration {
        let rank = self.count.saturating_mul(percent).div_ceil(100).max(1);
        let mut seen = 0;
        let bucket = self.buckets.iter().find(|(_, count)| {
            seen += count;
            seen >= rank
        });
        let upper = bucket.map_or(self.max, |(bucket, _)| upper_end(*bucket));
        Duration::from_nanos(upper.min(self.max))
    }

    /// The buckets in use, the shortest first: the longest duration of each, and how many it holds.
    pub(in crate::sink) fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let only = (self.count == 1).then(|| (self.max(), 1));
        let buckets = self.buckets.iter().map(|(bucket, count)| {
            let upper = upper_end(*bucket).min(self.max);
            (Duration::from_nanos(upper), *count)
        });
        only.into_iter().chain(buckets)
    }

    /// The shortest and the longest duration; `None` if there is none.
    pub(in crate::sink) fn range(&self) -> Option<(Duration, Duration)> {
        let (shortest, _) = self.buckets().next()?;
        Some((shortest, self.max()))
    }
}

fn bucket_of(value: u64) -> usize {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(SPLIT_BITS + 1);
    // The bits below the leading one choose among the buckets of its power of two.
    ((shift as usize) << SPLIT_BITS) + (value >> shift) as usize
}

/// The largest value that falls into `bucket`.
fn upper_end(bucket: usize) -> u64 {
    let shift = (bucket >> SPLIT_BITS).saturating_sub(1) as u32;
    let leading = (bucket - ((shift as usize) << SPLIT_BITS)) as u128;
    u64::try_from(((leading + 1) << shift) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_join_without_gap_or_overlap() {
        let mut value = 0;
        for bucket in 0..BUCKETS {
            assert_eq!(bucket_of(value), bucket);
            assert_eq!(bucket_of(upper_end(bucket)), bucket);
            value = upper_end(bucket).wrapping_add(1);
        }
        assert_eq!(value, 0, "the last bucket ends with the largest value");
    }

    #[test]
    fn an_empty_histogram_has_no_range() {
        assert_eq!(Histogram::default().range(), None);
        let mut histogram = Histogram::default();
        for nanoseconds in [3, 1] {
            histogram.record(Duration::from_nanos(nanoseconds));
        }
        let ends = [1, 3].map(Duration::from_nanos);
        assert_eq!(histogram.range(), Some((ends[0], ends[1])));
        assert_eq!(histogram.buckets().map(|(_, count)| count).sum::<u64>(), 2);
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_the_sorted_list_within_a_thirtieth(
            mut values in prop::collection::vec(any::<u64>().prop_map(|v| v >> (v % 64)), 1..300),
            percent in 1_u64..=100,
        ) {
            let mut histogram = Histogram::default();
            values.iter().for_each(|&value| histogram.record(Duration::from_nanos(value)));
            values.sort_unstable();
            let rank = (values.len() as u64 * percent).div_ceil(100) as usize;
            let exact = u128::from(values[rank - 1]);
            let estimate = histogram.percentile(percent).as_nanos();
            prop_assert!(estimate >= exact);
            prop_assert!(estimate <= exact + exact / 32);
        }
    }
}

//! Counts over time, in bins that widen as the capture grows.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::time::Timestamp;

/// Most bins between the first and the last: as many columns as a chart has room for.
const MAX_BINS: i64 = 160;

/// Most bins with a count, before they are made a chart. That they may lie far apart keeps a packet with a wrong clock from making
/// all of them wide.
const MAX_OCCUPIED: usize = 4_096;

/// How many times as long as all other times together a gap before or after a few events is, if their clock was wrong.
const FAR: i64 = 20;

/// The widths of bins, in nanoseconds. Each is a multiple of the one before, so that bins can be merged.
const WIDTHS: [i64; 18] = {
    const MS: i64 = 1_000_000;
    const S: i64 = 1_000 * MS;
    const H: i64 = 3_600 * S;
    const DAY: i64 = 24 * H;
    [
        MS,
        10 * MS,
        100 * MS,
        S,
        5 * S,
        10 * S,
        30 * S,
        60 * S,
        300 * S,
        600 * S,
        1_800 * S,
        H,
        6 * H,
        DAY,
        7 * DAY,
        28 * DAY,
        364 * DAY,
        3_640 * DAY, // 59 of them are all times that can be written down
    ]
};

/// Counts of `N` kinds of events by the time at which they happened.
#[derive(Clone, Debug)]
pub(super) struct TimeBins<const N: usize> {
    /// Which of [`WIDTHS`] the bins have.
    width: usize,
    /// By the number of the bin, counted from 1970.
    bins: BTreeMap<i64, [u64; N]>,
}

impl<const N: usize> Default for TimeBins<N> {
    fn default() -> Self {
        Self {
            width: 0,
            bins: BTreeMap::new(),
        }
    }
}

impl<const N: usize> TimeBins<N> {
    /// Counts an event of the kind `kind`.
    pub(super) fn record(&mut self, time: Timestamp, kind: usize) {
        let bin = self.bin_of(time.as_nanoseconds());
        if let Some(count) = self.bins.entry(bin).or_insert([0; N]).get_mut(kind) {
            *count += 1;
        }
        while self.bins.len() > MAX_OCCUPIED && self.width + 1 < WIDTHS.len() {
            self.widen();
        }
    }

    /// The bins of a chart: without the few events that are far from all others, which come second, and as wide as needed to fit.
    pub(super) fn chart(&self) -> (Self, Vec<(Timestamp, u64)>) {
        let mut chart = self.clone();
        let outliers = chart.take_outliers();
        while chart.len() > MAX_BINS && chart.width + 1 < WIDTHS.len() {
            chart.widen();
        }
        (chart, outliers)
    }

    /// Removes events, one in a hundred or a single one, that are far before or after all others: when, and how many.
    fn take_outliers(&mut self) -> Vec<(Timestamp, u64)> {
        let sum = |counts: &[u64; N]| counts.iter().sum::<u64>();
        let total: u64 = self.bins.values().map(sum).sum();
        let mut allowed = if total < 3 { 0 } else { (total / 100).max(1) };
        let mut outliers = Vec::new();
        while allowed > 0 {
            let Some(bin) = self.far_bin() else {
                break;
            };
            let count = self.bins.get(&bin).map_or(0, sum);
            if count > allowed {
                break;
            }
            allowed -= count;
            outliers.push((self.begin_of(bin), count));
            self.bins.remove(&bin);
        }
        outliers.sort_unstable();
        outliers
    }

    /// The first or the last bin, if it is far from all others.
    fn far_bin(&self) -> Option<i64> {
        let mut bins = self.bins.keys();
        let (first, second) = (*bins.next()?, *bins.next()?);
        let (last, before) = match (bins.next_back(), bins.next_back()) {
            (Some(last), Some(before)) => (*last, *before),
            (Some(last), None) => (*last, second),
            _ => return None,
        };
        // A minute at least: a capture of a few milliseconds may well pause for a second.
        let minute = 60_000_000_000 / self.nanoseconds().min(60_000_000_000);
        let is_far = |gap: i64, rest: i64| gap > minute.max(rest.saturating_mul(FAR));
        if is_far(second.saturating_sub(first), last.saturating_sub(second)) {
            return Some(first);
        }
        is_far(last.saturating_sub(before), before.saturating_sub(first)).then_some(last)
    }

    /// How wide a bin is.
    pub(super) fn width(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds().unsigned_abs())
    }

    /// When the first bin begins; `None` if nothing was counted.
    pub(super) fn start(&self) -> Option<Timestamp> {
        let (first, _) = self.bins.first_key_value()?;
        Some(self.begin_of(*first))
    }

    /// Bins from the first to the last, with the empty ones between them.
    pub(super) fn len(&self) -> i64 {
        match (self.bins.first_key_value(), self.bins.last_key_value()) {
            (Some((first, _)), Some((last, _))) => last - first + 1,
            _ => 0,
        }
    }

    /// The bins that are not empty: the number from the first bin, when it begins, and the counts.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, Timestamp, &[u64; N])> {
        let first = self.bins.first_key_value().map_or(0, |(first, _)| *first);
        self.bins
            .iter()
            .map(move |(bin, counts)| (bin - first, self.begin_of(*bin), counts))
    }

    fn nanoseconds(&self) -> i64 {
        WIDTHS[self.width]
    }

    fn bin_of(&self, nanoseconds: i64) -> i64 {
        nanoseconds.div_euclid(self.nanoseconds())
    }

    fn begin_of(&self, bin: i64) -> Timestamp {
        Timestamp::from_nanoseconds(bin.saturating_mul(self.nanoseconds()))
    }

    /// Merges the bins into those of the next width.
    fn widen(&mut self) {
        let factor = WIDTHS[self.width + 1] / WIDTHS[self.width];
        self.width += 1;
        for (bin, counts) in std::mem::take(&mut self.bins) {
            let merged = self.bins.entry(bin.div_euclid(factor)).or_insert([0; N]);
            for (sum, count) in merged.iter_mut().zip(counts) {
                *sum += count;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_width_is_a_multiple_of_the_one_before() {
        for pair in WIDTHS.windows(2) {
            assert_eq!(pair[1] % pair[0], 0, "{pair:?}");
        }
    }

    #[test]
    fn bins_widen_until_the_capture_fits() {
        let mut bins = TimeBins::<1>::default();
        for second in 0..3_600 {
            bins.record(Timestamp::from_seconds(second), 0);
        }
        let (bins, outliers) = bins.chart();
        assert_eq!((bins.width().as_secs(), bins.len()), (30, 120));
        assert!(bins.iter().all(|(_, _, counts)| *counts == [30]));
        assert!(outliers.is_empty());
    }

    #[test]
    fn a_wrong_clock_does_not_stretch_the_chart() {
        for wrong in [0, 4_000_000_000] {
            let mut bins = TimeBins::<1>::default();
            bins.record(Timestamp::from_seconds(wrong), 0);
            for second in 0..3_600 {
                bins.record(Timestamp::from_seconds(1_772_366_400 + second), 0);
            }
            let (chart, outliers) = bins.chart();
            assert_eq!((chart.width().as_secs(), chart.len()), (30, 120));
            assert_eq!(outliers, [(Timestamp::from_seconds(wrong), 1)]);
        }
    }

    #[test]
    fn two_busy_days_with_a_year_between_them_are_one_chart() {
        let mut bins = TimeBins::<1>::default();
        for day in [0, 365] {
            for second in 0..100 {
                bins.record(Timestamp::from_seconds(day * 86_400 + second), 0);
            }
        }
        let (chart, outliers) = bins.chart();
        assert!(outliers.is_empty());
        assert!(chart.len() > 50);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_the_order_does_not_matter(
            mut times in prop::collection::vec(any::<i64>().prop_map(|time| time >> (time & 63)), 1..200),
        ) {
            let count = |times: &[i64]| {
                let mut bins = TimeBins::<1>::default();
                times.iter().for_each(|&time| bins.record(Timestamp::from_nanoseconds(time), 0));
                bins
            };
            let bins = count(&times);
            let (chart, outliers) = bins.chart();
            prop_assert!(chart.len() <= MAX_BINS);
            let shown = chart.iter().map(|(_, _, counts)| counts[0]).sum::<u64>();
            let left_out = outliers.iter().map(|(_, count)| count).sum::<u64>();
            prop_assert_eq!(shown + left_out, times.len() as u64);
            times.reverse();
            let reversed = count(&times);
            prop_assert_eq!(bins.bins, reversed.bins);
        }
    }
}

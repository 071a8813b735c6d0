//! Scales: where a value is on a plot, as a share of its width from 0 to 1.

use std::time::Duration;

use crate::time::Timestamp;

/// A logarithmic axis of durations, over whole decades.
#[derive(Clone, Copy, Debug)]
pub(super) struct DurationAxis {
    /// The decades of nanoseconds at both ends.
    first: i32,
    last: i32,
}

impl DurationAxis {
    /// An axis with room for both; `None` where no two ends are given.
    pub(super) fn new(ranges: impl Iterator<Item = (Duration, Duration)>) -> Option<Self> {
        let (shortest, longest) =
            ranges.reduce(|(low, high), (from, to)| (low.min(from), high.max(to)))?;
        let first = (decades(shortest).floor() as i32).max(MICROSECOND);
        let last = decades(longest).ceil() as i32;
        Some(Self {
            first,
            last: last.max(first + 1),
        })
    }

    pub(super) fn position(&self, duration: Duration) -> f64 {
        let position = (decades(duration) - f64::from(self.first)) / f64::from(self.decades());
        position.clamp(0.0, 1.0)
    }

    pub(super) const fn decades(&self) -> i32 {
        self.last - self.first
    }

    /// Where each decade begins, with a label at those that have room for one.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let decades = self.decades();
        let step = if decades > 6 { 2 } else { 1 };
        (0..=decades)
            .step_by(step)
            .map(|decade| {
                let position = f64::from(decade) / f64::from(decades);
                (position, power_of_ten(self.first + decade))
            })
            .collect()
    }
}

/// Where an axis begins at the earliest: most captures tell no shorter time. What is shorter is drawn there.
const MICROSECOND: i32 = 3;

/// The decimal logarithm of a number of nanoseconds.
fn decades(duration: Duration) -> f64 {
    (duration.as_nanos().max(1) as f64).log10()
}

/// A power of ten nanoseconds, as in `100 µs`.
fn power_of_ten(exponent: i32) -> String {
    let (units, unit) = match exponent {
        ..3 => (exponent, "ns"),
        3..6 => (exponent - 3, "µs"),
        6..9 => (exponent - 6, "ms"),
        _ => (exponent - 9, "s"),
    };
    let digits = 10_u64.saturating_pow(units.max(0).unsigned_abs());
    format!("{digits} {unit}")
}

/// An axis of days before and after a moment, on which a day, a week and a year all have room: logarithmic on both sides of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct DaysAxis;

impl DaysAxis {
    /// What the axis ends with on both sides: later days are drawn there.
    const FIRST: f64 = -730.0;
    const LAST: f64 = 3_650.0;

    /// The days that are marked, with a label where there is room for one.
    pub(super) const TICKS: [(f64, &'static str); 9] = [
        (-365.0, "−1 y"),
        (-30.0, "−30 d"),
        (-7.0, ""),
        (0.0, "now"),
        (7.0, "7 d"),
        (30.0, "30 d"),
        (90.0, ""),
        (365.0, "1 y"),
        (1_825.0, "5 y"),
    ];

    pub(super) fn position(days: f64) -> f64 {
        let scaled = |days: f64| (1.0 + days.abs()).log10().copysign(days);
        let (first, last) = (scaled(Self::FIRST), scaled(Self::LAST));
        ((scaled(days) - first) / (last - first)).clamp(0.0, 1.0)
    }
}

/// Marks on an axis of packet time from `start`, at most eight, each with its distance from the start and a label.
pub(super) fn time_ticks(start: Timestamp, span: Duration) -> Vec<(Duration, String)> {
    const SECONDS: [u64; 19] = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200,
        86_400, 172_800,
    ];
    const MOST: u64 = 8;
    let spanned = span.as_secs_f64();
    let step = SECONDS
        .into_iter()
        .find(|step| spanned / *step as f64 <= MOST as f64)
        .unwrap_or_else(|| {
            // Whole days beyond that.
            (spanned / (86_400 * MOST) as f64).ceil() as u64 * 86_400
        });
    if spanned < 2.0 {
        return Vec::new(); // the caption says when that was
    }
    let step_ns = i128::from(step) * 1_000_000_000;
    let begin = i128::from(start.as_nanoseconds());
    let end = begin + span.as_nanos() as i128;
    let mut ticks = Vec::new();
    let mut at = begin.div_euclid(step_ns) * step_ns;
    if at < begin {
        at += step_ns;
    }
    while at <= end {
        let (Ok(nanoseconds), Ok(distance)) = (i64::try_from(at), u64::try_from(at - begin)) else {
            break;
        };
        let moment = Timestamp::from_nanoseconds(nanoseconds).date_time();
        let format = match step {
            86_400.. => "%Y-%m-%d",
            60.. if span.as_secs() > 86_400 => "%m-%d %H:%M",
            60.. => "%H:%M",
            _ => "%H:%M:%S",
        };
        ticks.push((
            Duration::from_nanos(distance),
            moment.strftime(format).to_string(),
        ));
        at += step_ns;
    }
    ticks
}

/// The least of 1, 2, 2.5, 5 and their multiples by ten that is not below `count`.
pub(super) fn round_up(count: u64) -> u64 {
    let mut magnitude: u64 = 1;
    loop {
        for (factor, divisor) in [(1, 1), (2, 1), (5, 2), (5, 1), (10, 1)] {
            let candidate = magnitude.saturating_mul(factor) / divisor;
            if candidate >= count && (divisor == 1 || magnitude > 1) {
                return candidate.max(1);
            }
        }
        magnitude = magnitude.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn axis(shortest: u64, longest: u64) -> DurationAxis {
        let range = (
            Duration::from_nanos(shortest),
            Duration::from_nanos(longest),
        );
        DurationAxis::new([range].into_iter()).unwrap()
    }

    #[test]
    fn an_axis_of_durations_covers_whole_decades() {
        let axis = axis(200_000, 30_000_000);
        let labels: Vec<_> = axis.ticks().into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["100 µs", "1 ms", "10 ms", "100 ms"]);
        assert_eq!(axis.position(Duration::from_millis(100)), 1.0);
        assert_eq!(axis.position(Duration::from_micros(100)), 0.0);
        assert!(DurationAxis::new(std::iter::empty()).is_none());
    }

    #[test]
    fn an_axis_of_one_duration_still_has_a_decade() {
        assert_eq!(axis(1_000_000, 1_000_000).decades(), 1);
        assert_eq!(axis(0, 0).position(Duration::ZERO), 0.0);
    }

    #[test]
    fn days_keep_their_order_and_end_at_the_edges() {
        let positions: Vec<_> = DaysAxis::TICKS
            .iter()
            .map(|(days, _)| DaysAxis::position(*days))
            .collect();
        assert!(positions.is_sorted());
        assert_eq!(DaysAxis::position(f64::MAX), 1.0);
        assert_eq!(DaysAxis::position(f64::MIN), 0.0);
    }

    #[test]
    fn marks_of_time_are_at_round_times() {
        let noon = Timestamp::from_seconds(43_200 + 7);
        let labels = |seconds| -> Vec<String> {
            let ticks = time_ticks(noon, Duration::from_secs(seconds));
            ticks.into_iter().map(|(_, label)| label).collect()
        };
        assert_eq!(
            labels(10),
            ["12:00:08", "12:00:10", "12:00:12", "12:00:14", "12:00:16"]
        );
        assert_eq!(
            labels(1_800),
            ["12:05", "12:10", "12:15", "12:20", "12:25", "12:30"]
        );
        assert_eq!(labels(4 * 86_400)[0], "01-02 00:00");
        assert!(labels(1).is_empty());
    }

    #[test]
    fn counts_round_up_to_one_two_and_five() {
        for (count, rounded) in [
            (0, 1),
            (1, 1),
            (3, 5),
            (11, 20),
            (24, 25),
            (26, 50),
            (999, 1_000),
        ] {
            assert_eq!(round_up(count), rounded, "{count}");
        }
    }

    proptest! {
        #[test]
        fn no_span_has_too_many_marks(start in any::<i64>(), span in any::<u64>()) {
            let ticks = time_ticks(Timestamp::from_nanoseconds(start), Duration::from_nanos(span));
            prop_assert!(ticks.len() <= 10);
        }

        #[test]
        fn rounding_up_ends(count in any::<u64>()) {
            prop_assert!(round_up(count) >= count);
        }
    }
}

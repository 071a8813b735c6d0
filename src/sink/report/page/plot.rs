//! Plots as SVG.
//!
//! Horizontal positions are percentages and vertical ones pixels, so a plot fills its column at any width and its text keeps
//! its size, without a script. Colours are classes: the style sheet has them for light, dark and paper.

use std::time::Duration;

use maud::{Markup, html};

use super::axis::{DaysAxis, DurationAxis, round_up, time_ticks};
use crate::sink::people::summary::histogram::Histogram;
use crate::sink::report::text::{counted, grouped};
use crate::sink::report::time_bins::TimeBins;

/// Classes of the parts of a stack, and what they count.
pub(super) type Parts<const N: usize> = [(&'static str, &'static str); N];

/// A share of the width.
pub(super) fn percentage(share: f64) -> String {
    format!("{:.3}%", share * 100.0)
}

fn share(count: u64, total: u64) -> f64 {
    count as f64 / total.max(1) as f64
}

/// A bar from the left, `count` of `most` long, stacked from parts.
pub(super) fn bar<const N: usize>(parts: Parts<N>, counts: [u64; N], most: u64) -> Markup {
    let mut from = 0.0;
    let segments = parts.into_iter().zip(counts).map(|((class, _), count)| {
        let width = share(count, most);
        let at = from;
        from += width;
        (class, at, width)
    });
    html! {
        svg.bar aria-hidden="true" {
            @for (class, at, width) in segments {
                @if width > 0.0 {
                    rect class=(class) x=(percentage(at)) y="0" width=(percentage(width)) height="100%" {}
                }
            }
        }
    }
}

/// Pixels of the columns, and of the labels below them.
const COLUMNS: f64 = 150.0;
const LABELS: f64 = 24.0;

/// Columns of stacked counts over time.
pub(super) fn columns<const N: usize>(bins: &TimeBins<N>, parts: Parts<N>, label: &str) -> Markup {
    let Some(start) = bins.start() else {
        return html! {};
    };
    let len = bins.len().max(1);
    let highest = bins.iter().map(|(_, _, counts)| counts.iter().sum()).max();
    let top = round_up(highest.unwrap_or(0));
    let width = 1.0 / len as f64;
    let span = bins
        .width()
        .saturating_mul(u32::try_from(len).unwrap_or(u32::MAX));
    let y_of = |count: u64| COLUMNS * (1.0 - share(count, top));
    // A narrow gap between columns, unless there are too few for it to be narrow.
    let gap = (width * 0.16).min(0.004);
    html! {
        div.plot.columns {
            svg role="img" aria-label=(label) height=(COLUMNS + LABELS) {
                @for mark in marks(top) {
                    @let y = y_of(mark);
                    line.grid x1="0" x2="100%" y1=(number(y)) y2=(number(y)) {}
                    text.y-label x="0" y=(number(y)) dx="-8" dy="0.32em" { (grouped(mark)) }
                }
                @for (bin, begin, counts) in bins.iter() {
                    @let x = bin as f64 * width;
                    g.column {
                        title { (column_title(begin, bins.width(), parts, *counts)) }
                        rect.hit x=(percentage(x)) y="0" width=(percentage(width)) height=(COLUMNS) {}
                        @for (class, y, height) in stack(parts, *counts, top) {
                            rect class=(class) x=(percentage(x + gap / 2.0)) y=(number(y)) width=(percentage(width - gap)) height=(number(height)) {}
                        }
                    }
                }
                line.axis x1="0" x2="100%" y1=(COLUMNS) y2=(COLUMNS) {}
                @for (after, label) in time_ticks(start, span) {
                    @let x = after.as_secs_f64() / span.as_secs_f64();
                    @if x < 0.97 {
                        line.tick x1=(percentage(x)) x2=(percentage(x)) y1=(COLUMNS) y2=(COLUMNS + 5.0) {}
                        text.x-label x=(percentage(x)) y=(COLUMNS + 18.0) { (label) }
                    }
                }
            }
        }
    }
}

fn column_title<const N: usize>(
    begin: crate::time::Timestamp,
    width: Duration,
    parts: Parts<N>,
    counts: [u64; N],
) -> String {
    let counts = parts.iter().zip(counts).filter(|(_, count)| *count > 0);
    let counts: Vec<_> = counts
        .map(|((_, name), count)| format!("{} {name}", grouped(count)))
        .collect();
    let begin = begin.date_time();
    let begin = if width < Duration::from_secs(1) {
        format!("{begin:.3}")
    } else {
        format!("{begin:.0}")
    };
    format!("{} UTC: {}", begin.replace('T', " "), counts.join(", "))
}

/// Where the parts of a column are, from the bottom: class, top and height in pixels. What is there can be seen.
fn stack<const N: usize>(
    parts: Parts<N>,
    counts: [u64; N],
    top: u64,
) -> Vec<(&'static str, f64, f64)> {
    const LEAST: f64 = 1.5;
    let mut bottom = COLUMNS;
    let mut stacked = Vec::new();
    for ((class, _), count) in parts.into_iter().zip(counts) {
        if count > 0 {
            let height = (COLUMNS * share(count, top)).max(LEAST);
            bottom = (bottom - height).max(0.0);
            stacked.push((class, bottom, height));
        }
    }
    stacked
}

/// The marks on an axis of counts: whole numbers only.
fn marks(top: u64) -> Vec<u64> {
    let parts = if top.is_multiple_of(4) && top > 4 {
        4
    } else if top.is_multiple_of(5) {
        5
    } else {
        2
    };
    if top < parts {
        return vec![top];
    }
    (1..=parts).map(|part| top * part / parts).collect()
}

/// Pixels of a distribution.
const DISTRIBUTION: f64 = 30.0;

/// Columns over the axis: how many durations there are of each length.
pub(super) fn distribution(durations: &Histogram, axis: DurationAxis) -> Markup {
    // Columns are at least as wide as a bucket of the histogram, so that none stays empty by accident.
    let per_decade = (72 / axis.decades().max(1)).clamp(6, 24);
    let len = usize::try_from(axis.decades() * per_decade)
        .unwrap_or(1)
        .max(1);
    let mut counts = vec![0_u64; len];
    for (duration, count) in durations.buckets() {
        let column = (axis.position(duration) * len as f64) as usize;
        counts[column.min(len - 1)] += count;
    }
    let highest = counts.iter().max().copied().unwrap_or(0);
    let width = 1.0 / len as f64;
    let columns = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    let median = axis.position(durations.percentile(50));
    let summary = format!(
        "{}, median {:.2} ms",
        counted(durations.count(), "handshake"),
        crate::sink::milliseconds(durations.percentile(50))
    );
    html! {
        svg.distribution role="img" aria-label=(summary) height=(DISTRIBUTION) {
            @for (position, _) in axis.ticks() {
                line.grid x1=(percentage(position)) x2=(percentage(position)) y1="0" y2=(DISTRIBUTION) {}
            }
            @for (column, count) in columns {
                @let height = ((DISTRIBUTION - 2.0) * share(*count, highest)).max(1.5);
                rect.value x=(percentage(column as f64 * width)) y=(number(DISTRIBUTION - height)) width=(percentage(width * 0.86)) height=(number(height)) {}
            }
            line.median x1=(percentage(median)) x2=(percentage(median)) y1="0" y2=(DISTRIBUTION) {}
        }
    }
}

/// The labels of an axis of durations.
pub(super) fn duration_labels(axis: DurationAxis) -> Markup {
    labels(
        axis.ticks()
            .iter()
            .map(|(position, label)| (*position, label.as_str())),
    )
}

/// The labels of an axis of days.
pub(super) fn days_labels() -> Markup {
    labels(
        DaysAxis::TICKS
            .iter()
            .map(|(days, label)| (DaysAxis::position(*days), *label)),
    )
}

fn labels<'a>(ticks: impl Iterator<Item = (f64, &'a str)>) -> Markup {
    html! {
        svg.labels aria-hidden="true" height="16" {
            @for (position, label) in ticks {
                // The first and the last label stay within the column.
                @let class = match position {
                    ..0.02 => "first",
                    0.98.. => "last",
                    _ => "x-label",
                };
                text class=(class) x=(percentage(position)) y="12" { (label) }
            }
        }
    }
}

/// How long a certificate is valid, in days from the moment in question: what has passed, and what is left.
pub(super) fn validity(not_before: f64, not_after: f64, class: &str, label: &str) -> Markup {
    let [from, now, to] = [not_before, 0.0, not_after].map(DaysAxis::position);
    let passed = (now.min(to) - from).max(0.0);
    let left = (to - now.max(from)).max(0.0);
    html! {
        svg.validity role="img" aria-label=(label) height="18" {
            @for (days, _) in DaysAxis::TICKS {
                @let x = percentage(DaysAxis::position(days));
                line class=(if days == 0.0 { "now" } else { "grid" }) x1=(x) x2=(x) y1="0" y2="18" {}
            }
            @if passed > 0.0 {
                rect class={ "passed " (class) } x=(percentage(from)) y="7" width=(percentage(passed)) height="4" {}
            }
            @if left > 0.0 {
                rect class={ "left " (class) } x=(percentage(now.max(from))) y="6" width=(percentage(left)) height="6" {}
            }
            circle class={ "end " (class) } cx=(percentage(to)) cy="9" r="4" {}
        }
    }
}

/// Pixels with two decimals.
fn number(value: f64) -> String {
    format!("{value:.2}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    const PARTS: Parts<2> = [("ok", "succeeded"), ("bad", "failed")];

    #[test]
    fn a_bar_has_a_segment_for_each_part_that_is_not_empty() {
        let markup = bar(PARTS, [1, 3], 8).into_string();
        assert!(
            markup.contains(r#"<rect class="ok" x="0.000%" y="0" width="12.500%""#),
            "{markup}"
        );
        assert!(
            markup.contains(r#"<rect class="bad" x="12.500%" y="0" width="37.500%""#),
            "{markup}"
        );
        assert_eq!(
            bar(PARTS, [0, 3], 8).into_string().matches("<rect").count(),
            1
        );
    }

    #[test]
    fn a_single_failure_among_many_can_be_seen() {
        let stacked = stack(PARTS, [99_999, 1], 100_000);
        assert_eq!(stacked[1].0, "bad");
        assert!(stacked[1].2 >= 1.0, "{stacked:?}");
    }

    #[test]
    fn a_column_says_what_it_counts() {
        let mut bins = TimeBins::default();
        bins.record(Timestamp::from_seconds(1_772_366_400), 1);
        let markup = columns(&bins, PARTS, "Outcomes").into_string();
        assert!(
            markup.contains("<title>2026-03-01 12:00:00.000 UTC: 1 failed</title>"),
            "{markup}"
        );
        assert_eq!(
            columns(&TimeBins::default(), PARTS, "Outcomes").into_string(),
            ""
        );
    }

    #[test]
    fn marks_are_whole_numbers() {
        for (top, expected) in [
            (1, vec![1]),
            (2, vec![1, 2]),
            (5, vec![1, 2, 3, 4, 5]),
            (20, vec![5, 10, 15, 20]),
        ] {
            assert_eq!(marks(top), expected);
        }
    }
}

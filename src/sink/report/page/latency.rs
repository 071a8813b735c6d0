//! How long handshakes took.

use maud::{Markup, html};

use super::super::tallies::{PHASES, Tallies};
use super::axis::DurationAxis;
use super::plot;
use super::table::{Cell, Column, table};
use crate::sink::milliseconds;
use crate::sink::people::summary::histogram::Histogram;

pub(super) fn section(tallies: &Tallies) -> Markup {
    let ranges = tallies.phases.iter().filter_map(Histogram::range);
    let Some(axis) = DurationAxis::new(ranges) else {
        return html! {};
    };
    let by_version = tallies.latencies.iter().map(|(version, durations)| {
        let name = version.map_or_else(|| "other".to_owned(), |version| version.to_string());
        row(html! { (name) }, durations, axis)
    });
    let by_version: Vec<_> = by_version.collect();
    let by_phase = PHASES.iter().zip(&tallies.phases);
    let by_phase = by_phase.filter(|(_, durations)| durations.count() > 0);
    let by_phase = by_phase.map(|((name, spans, _), durations)| {
        row(html! { (name) span.note { (spans) } }, durations, axis)
    });
    let body = html! {
        @if !by_version.is_empty() {
            figure {
                figcaption { "Completed handshakes by version" }
                (distributions("Version", "Latency by version", by_version, axis))
            }
        }
        figure {
            figcaption { "Phases" }
            (distributions("Phase", "Latency by phase", by_phase.collect(), axis))
        }
    };
    let lead = "How often each duration occurred, on a logarithmic axis; the line is the median. Percentiles are at most 3.2 % too high, \
                the maximum is exact.";
    super::section("latency", "Latency", lead, &body)
}

fn row(name: Markup, durations: &Histogram, axis: DurationAxis) -> Vec<Cell> {
    let cell = |duration| {
        let duration = milliseconds(duration);
        Cell::sorted(html! { (format!("{duration:.2}")) }, duration)
    };
    vec![
        Cell::markup(name),
        Cell::count(durations.count()),
        Cell::markup(plot::distribution(durations, axis)),
        cell(durations.percentile(50)),
        cell(durations.percentile(90)),
        cell(durations.percentile(99)),
        cell(durations.max()),
    ]
}

fn distributions(
    what: &'static str,
    caption: &str,
    rows: Vec<Vec<Cell>>,
    axis: DurationAxis,
) -> Markup {
    let columns = [
        Column::Text(what),
        Column::Number("Handshakes"),
        Column::Plot(plot::duration_labels(axis)),
        Column::Number("p50 ms"),
        Column::Number("p90 ms"),
        Column::Number("p99 ms"),
        Column::Number("max ms"),
    ];
    table(caption, &columns, rows, None)
}

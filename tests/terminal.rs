//! What people see on terminals of usual widths, of every fixture.

use std::path::Path;
use std::sync::Arc;

use tlscope::capture::CaptureFiles;
use tlscope::event::HandshakeReport;
use tlscope::observer::Config;
use tlscope::pipeline;
use tlscope::sink::people::certificates::CertificatesSink;
use tlscope::sink::people::show::{Numbered, write_handshake, write_list};
use tlscope::sink::people::summary::SummarySink;
use tlscope::sink::people::table::TableSink;
use tlscope::sink::{Sink, TextStyle};
use tlscope::stats::Stats;
use unicode_width::UnicodeWidthStr;

use crate::support::fixtures::{self, package};
use crate::support::reports::Reports;

/// On a terminal, every table and every handshake fits its width, and no word is cut without a sign of it.
#[test]
fn everything_fits_the_terminal_and_no_word_is_cut_without_an_ellipsis() {
    let mut lines = 0;
    for fixture in fixtures::all() {
        let reports = reports(&fixture.capture);
        let wide = people(&reports, None);
        for width in [60, 80, 100] {
            for (what, text, whole) in people(&reports, Some(width))
                .into_iter()
                .zip(&wide)
                .map(|((what, text), (_, whole))| (what, text, whole))
            {
                let whole = format!("{whole}{}", hint(&what, width));
                for line in text.lines() {
                    let place = format!("{}, {what}, {width} columns:\n{line}", fixture.name);
                    assert!(line.width() <= width, "{place}");
                    for word in line.split_whitespace() {
                        assert!(is_whole(word, &whole), "`{word}` in {place}");
                    }
                    lines += 1;
                }
            }
        }
    }
    assert!(lines > 50_000, "{lines}");
}

/// What stands below rows that are cut, and below no others.
fn hint(what: &str, width: usize) -> String {
    match what {
        "rows" => format!(
            "Rows are cut to {width} columns: `--wide` shows them whole, `tlscope show` one handshake in full."
        ),
        _ => String::new(),
    }
}

/// What people are shown of these handshakes, by the name of the view.
fn people(reports: &[HandshakeReport], width: Option<usize>) -> Vec<(String, String)> {
    let style = TextStyle {
        color: false,
        width,
    };
    let mut views = Vec::new();
    let mut table = Vec::new();
    collect(reports, TableSink::new(&mut table, style));
    views.push(("rows".to_owned(), table));
    let mut summary = Vec::new();
    collect(reports, SummarySink::new(&mut summary, style));
    views.push(("summary".to_owned(), summary));
    let mut certificates = Vec::new();
    collect(reports, CertificatesSink::new(&mut certificates, style));
    views.push(("certificates".to_owned(), certificates));
    let numbered: Vec<_> = (1..).zip(reports).collect();
    let rows = numbered.iter().map(|&(number, report)| {
        let event = &report.event;
        Numbered { number, event }
    });
    let mut list = Vec::new();
    write_list(&mut list, style, &rows.collect::<Vec<_>>()).unwrap();
    views.push(("list".to_owned(), list));
    for (number, report) in numbered {
        let mut shown = Vec::new();
        let wraps = width.is_some();
        write_handshake(&mut shown, style, report, number, reports.len(), wraps).unwrap();
        views.push((format!("show {number}"), shown));
    }
    let text = |(what, text)| (what, String::from_utf8(text).unwrap());
    views.into_iter().map(text).collect()
}

fn collect(reports: &[HandshakeReport], mut sink: impl Sink) {
    for report in reports {
        sink.handshake(&report.event).unwrap();
    }
    sink.finish(&Stats::default()).unwrap();
}

/// Whether `word` is in `text` with nothing cut off: next to punctuation, white space or an end on both sides.
fn is_whole(word: &str, text: &str) -> bool {
    let is_inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    // Hashes have no place to break; they are as long as they are.
    let is_hash = word.len() > 16 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let has_sign = word.contains('…') || !word.contains(char::is_alphanumeric);
    is_hash
        || has_sign
        || text.match_indices(word).any(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + word.len()..]);
            let is_cut_before =
                is_inside(before.chars().next_back()) && is_inside(word.chars().next());
            let is_cut_after =
                is_inside(after.chars().next()) && is_inside(word.chars().next_back());
            !is_cut_before && !is_cut_after
        })
}

/// The handshakes of a capture with their steps, as if it was read from the folder it is in.
fn reports(capture: &str) -> Vec<HandshakeReport> {
    let mut sink = Reports::default();
    let mut config = Config::default();
    config.collects_ladders = true;
    let mut source = CaptureFiles::open(&[package().join(capture)]);
    pipeline::run(&mut source, config, 1, &mut sink).unwrap();
    let name = Path::new(capture).file_name().unwrap().to_str().unwrap();
    let name: Arc<str> = name.into();
    for report in &mut sink.0 {
        report.event.source = Arc::clone(&name);
        let steps = report
            .ladder
            .iter_mut()
            .flat_map(|ladder| &mut ladder.steps);
        steps.for_each(|step| step.source = Arc::clone(&name));
    }
    sink.0
}

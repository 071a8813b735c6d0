//! One page about a run, for a browser or for paper: plots, tables, and the handshakes with what is known of each.
//!
//! The page is complete in itself: it loads nothing, and works from a disk, in a mail and as an artifact of a build. It counts
//! all handshakes, and lists up to [`MAX_ROWS`] of them, up to [`MAX_DETAILS`] with details. So its size and the memory for it are
//! bounded whatever the capture. What the lists have for a given capture depends on nothing but the order of events, so the page is the
//! same byte for byte each time.
//!
//! Names come from strangers. They reach the page as text only; see `page` for how.

mod busiest;
mod durations;
mod fair_share;
mod key_exchange;
mod ladder;
mod page;
mod row;
mod tallies;
mod text;
mod time_bins;

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;

use crate::event::{Handshake, HandshakeReport, Ladder, NotTls, Outcome};
use crate::sink::Sink;
use crate::sink::people::summary::write_name;
use crate::stats::Stats;
use fair_share::FairShare;
use page::List;
use row::{Detail, OfferedList, Pool, Row, ShownCertificate};
use tallies::Tallies;

/// Most handshakes listed: some 3 MB of the page, which browsers load and sort within a second.
pub const MAX_ROWS: usize = 10_000;

/// Most handshakes with details, of about 2 KB each.
pub const MAX_DETAILS: usize = 2_000;

/// Collects a run, and writes the page at the end.
#[derive(Debug)]
pub struct ReportSink<W> {
    output: W,
    tallies: Tallies,
    rows: FairShare<Row>,
    details: FairShare<Detail>,
    /// Handshakes that details are kept of, if there is room.
    notable: u64,
    group: String,
}

impl<W: Write> ReportSink<W> {
    /// Writes to `output`, in one go.
    #[must_use]
    pub fn new(output: W) -> Self {
        Self {
            output,
            tallies: Tallies::default(),
            rows: FairShare::new(MAX_ROWS),
            details: FairShare::new(MAX_DETAILS),
            notable: 0,
            group: String::new(),
        }
    }

    /// Records a handshake, and its steps if there are any.
    pub fn add(&mut self, event: &Handshake, ladder: Option<&Ladder>) {
        self.tallies.record(event);
        let number = self.tallies.handshakes;
        let source = self.tallies.source_of(event);
        write_group(&mut self.group, event);
        let is_success = event.outcome == Outcome::Success;
        let yields = is_success && event.rejected_after.is_none();
        self.rows
            .offer(&self.group, yields, || Row::new(event, number, source));
        if !yields {
            self.notable += 1;
            let yields = event.outcome == Outcome::Unknown;
            self.details
                .offer(&self.group, yields, || Detail::new(event, ladder, number));
        }
    }

    fn list(&mut self) -> serde_json::Result<List> {
        let rows = std::mem::replace(&mut self.rows, FairShare::new(0));
        let mut rows: Vec<_> = rows.into_samples().collect();
        rows.sort_unstable_by_key(|row| row.number);
        let details = std::mem::replace(&mut self.details, FairShare::new(0));
        let mut details: Vec<_> = details.into_samples().collect();
        details.sort_unstable_by_key(|detail| detail.number);

        let (mut offers, mut certificates) = (Pool::new(), Pool::new());
        for detail in &mut details {
            detail.share(&mut offers, &mut certificates);
        }
        let sources = self.tallies.sources.iter();
        let data = Data {
            sources: sources.map(|(source, _)| text::file_name(source).into_owned()).collect(),
            handshakes: &rows,
            details: &details,
            offers: offers.into_values(),
            certificates: certificates.into_values(),
        };
        Ok(List {
            data: without_markup(&serde_json::to_string(&data)?),
            rows: rows.len() as u64,
            details: details.len() as u64,
            notable: self.notable,
        })
    }
}

impl<W: Write> Sink for ReportSink<W> {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        self.add(event, None);
        Ok(())
    }

    fn report(&mut self, report: HandshakeReport) -> io::Result<()> {
        self.add(&report.event, report.ladder.as_deref());
        Ok(())
    }

    fn not_tls(&mut self, event: &NotTls) -> io::Result<()> {
        self.tallies.record_not_tls(event);
        Ok(())
    }

    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        let list = self.list()?;
        let page = page::page(&self.tallies, stats, &list).into_string();
        self.output.write_all(page.as_bytes())?;
        self.output.write_all(b"\n")?;
        self.output.flush()
    }
}

/// Handshakes that are alike: of the same outcome, for the same reason, with the same server.
fn write_group(group: &mut String, event: &Handshake) {
    group.clear();
    let cause = event.error.as_ref().map(|error| (error.error_type, error.side));
    let rejected = event.rejected_after.as_ref();
    let rejected = rejected.map(|rejected| (rejected.error_type, rejected.side));
    let written = write!(
        group,
        "{:?} {cause:?} {rejected:?} {:?} ",
        event.outcome, event.unknown_because
    );
    debug_assert!(written.is_ok(), "a String takes all");
    write_name(group, event);
}

/// What `report.js` reads.
#[derive(Serialize)]
struct Data<'a> {
    sources: Vec<String>,
    handshakes: &'a [Row],
    details: &'a [Detail],
    offers: Vec<Vec<OfferedList>>,
    certificates: Vec<ShownCertificate>,
}

/// JSON that says the same and has no character that means something to an HTML parser.
///
/// In JSON, these characters occur in strings alone. Without `<`, nothing can end the script element or begin a comment.
fn without_markup(json: &str) -> String {
    let mut safe = String::with_capacity(json.len() + json.len() / 64);
    for c in json.chars() {
        match c {
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            '\u{2028}' => safe.push_str("\\u2028"),
            '\u{2029}' => safe.push_str("\\u2029"),
            c => safe.push(c),
        }
    }
    safe
}

//! One page about a run, for a browser or for paper: plots, tables, and the handshakes with what is known of each.
//!
//! The page is complete in itself: it loads nothing, and works from a disk, in a mail and as an artifact of a build. It counts
//! all handshakes, and lists up to [`MAX_ROWS`] of them, up to [`MAX_DETAILS`] with details. So its size and the memory for it are
//! bounded whatever the capture. What the lists have for a given capture depends on nothing but the order of events, so the page is the
//! same byte for byte each time.
//!
//! Names come from strangers. They reach the page as text only; see `page` for how.

mod fair_share;
mod ladder;
mod numbers;
mod page;
mod row;
mod tallies;
mod text;
mod time_bins;

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;

use crate::event::{Handshake, Ladder, NotTls, Outcome};
use crate::sink::Sink;
use crate::sink::people::summary::write_name;
use crate::stats::Stats;
use crate::time::Timestamp;
use fair_share::FairShare;
use numbers::Numbers;
use page::List;
use row::{Detail, Fact, Pool, Row, ShownCertificate};
use tallies::Tallies;

/// Most handshakes listed: some 3 MB of the page, which browsers load and sort within a second.
pub const MAX_ROWS: usize = 10_000;

/// Most handshakes with details, of about 2 KB each.
pub const MAX_DETAILS: usize = 2_000;

/// Most failures that the page lists a second time, for browsers without JavaScript.
const MAX_FAILURES: usize = 500;

/// A sample with the time of its handshake, which decides its number.
type Timed<T> = (Timestamp, T);

/// Collects a run, and writes the page at the end.
#[derive(Debug)]
pub struct ReportSink<W> {
    output: W,
    tallies: Tallies,
    numbers: Numbers,
    rows: FairShare<Timed<Row>>,
    details: FairShare<Timed<Detail>>,
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
            numbers: Numbers::default(),
            rows: FairShare::new(MAX_ROWS),
            details: FairShare::new(MAX_DETAILS),
            notable: 0,
            group: String::new(),
        }
    }

    /// Records a handshake, and its steps if there are any.
    pub fn add(&mut self, event: &Handshake, ladder: Option<&Ladder>) {
        self.tallies.record(event);
        let number = self.numbers.next(event.time);
        let source = self.tallies.source_of(event);
        write_group(&mut self.group, event);
        let is_success = event.outcome == Outcome::Success;
        let yields = is_success && event.rejected_after.is_none();
        self.rows.offer(&self.group, yields, || {
            (event.time, Row::new(event, number, source))
        });
        if !yields {
            self.notable += 1;
            let yields = event.outcome == Outcome::Unknown;
            self.details.offer(&self.group, yields, || {
                (event.time, Detail::new(event, ladder, number))
            });
        }
    }

    /// Counts a handshake that is not part of the report, so that numbers are those of the whole run.
    pub fn leave_out(&mut self, event: &Handshake) {
        self.numbers.next(event.time);
    }

    fn list(&mut self) -> serde_json::Result<List> {
        let by_time = self.numbers.by_time();
        let rows = std::mem::replace(&mut self.rows, FairShare::new(0)).into_samples();
        let mut rows: Vec<_> = rows
            .map(|(time, mut row)| {
                row.number = by_time.number(time, row.number);
                row
            })
            .collect();
        rows.sort_unstable_by_key(|row| row.number);
        let details = std::mem::replace(&mut self.details, FairShare::new(0)).into_samples();
        let mut details: Vec<_> = details
            .map(|(time, mut detail)| {
                detail.number = by_time.number(time, detail.number);
                detail
            })
            .collect();
        details.sort_unstable_by_key(|detail| detail.number);

        let (mut offers, mut certificates) = (Pool::new(), Pool::new());
        for detail in &mut details {
            detail.share(&mut offers, &mut certificates);
        }
        let sources = self.tallies.sources.iter();
        let data = Data {
            sources: sources
                .map(|(source, _)| text::file_name(source).into_owned())
                .collect(),
            has_numbers_of_show: by_time.is_exact(),
            handshakes: &rows,
            details: &details,
            offers: offers.into_values(),
            certificates: certificates.into_values(),
        };
        let failures = || rows.iter().filter(|row| row.has_failed());
        Ok(List {
            failures: failures().take(MAX_FAILURES).map(Row::line).collect(),
            failures_omitted: failures().skip(MAX_FAILURES).count() as u64,
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
    let cause = event
        .error
        .as_ref()
        .map(|error| (error.error_type, error.side));
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
    /// Whether `tlscope show` finds a handshake by its number.
    has_numbers_of_show: bool,
    handshakes: &'a [Row],
    details: &'a [Detail],
    offers: Vec<Vec<Fact>>,
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::*;
    use crate::sink::test_events;

    fn page_of(events: impl IntoIterator<Item = Handshake>) -> String {
        let mut page = Vec::new();
        let mut sink = ReportSink::new(&mut page);
        for event in events {
            sink.handshake(&event).unwrap();
        }
        sink.not_tls(&test_events::refused_starttls()).unwrap();
        sink.finish(&Stats::default()).unwrap();
        String::from_utf8(page).unwrap()
    }

    fn data(page: &str) -> Value {
        let (_, data) = page.split_once(r#"id="data">"#).unwrap();
        let (data, _) = data.split_once("</script>").unwrap();
        serde_json::from_str(data).unwrap()
    }

    /// What a hostile peer puts wherever it chooses a text.
    const HOSTILE: &str =
        r#"</script><script>alert(1)</script><!--<img src=x onerror="alert(1)">'&amp;]]>"#;

    fn hostile() -> Handshake {
        let mut event = test_events::refused_by_the_client();
        event.source = HOSTILE.into();
        event.tls.server_name = Some(HOSTILE.into());
        event.tls.alpn = Some(HOSTILE.into());
        event.tls.alpn_offered = Some(vec![HOSTILE.into()]);
        event.tls.certificate_authorities = Some(vec![HOSTILE.into()]);
        let error = event.error.as_mut().unwrap();
        error.message = HOSTILE.into();
        error.hint = Some(HOSTILE.into());
        let mut leaf = test_events::leaf();
        leaf.subject = HOSTILE.into();
        leaf.common_name = Some(HOSTILE.into());
        leaf.issuer_common_name = Some(HOSTILE.into());
        leaf.dns_names = vec![HOSTILE.into()];
        let chain = test_events::chain([Ok(leaf)]);
        event.validation[0].certificate = chain[0].clone();
        event.server_certificates = Some(chain);
        event.validation[0].detail = HOSTILE.into();
        event
    }

    #[test]
    fn hostile_names_stay_text() {
        let page = page_of([hostile()]);
        for markup in ["<script>alert", "<img", "onerror=\"alert", "<!--"] {
            assert!(!page.contains(markup), "{markup}");
        }
        assert_eq!(
            page.matches("<script").count(),
            2,
            "the data and the script"
        );
        let data = data(&page);
        assert_eq!(data["handshakes"][0]["name"], HOSTILE);
        assert_eq!(data["certificates"][0]["name"], HOSTILE);
    }

    #[test]
    fn the_page_loads_nothing_and_permits_only_its_own_style_and_script() {
        let page = page_of(test_events::all());
        for attribute in [
            " src=",
            " style=",
            " onclick=",
            "http://",
            "https://",
            "url(",
            "@import",
        ] {
            assert!(!page.contains(attribute), "{attribute}");
        }
        let links = page.match_indices(" href=\"").count();
        assert_eq!(links, page.matches(" href=\"#").count());
        assert!(page.contains("default-src 'none'; style-src 'sha256-"));
        assert!(!page.contains("unsafe-inline"));
    }

    #[test]
    fn every_kind_of_event_has_a_row_and_all_but_plain_successes_have_details() {
        let mut events = test_events::all();
        let mut plain = test_events::completed();
        plain.rejected_after = None;
        events.push(plain);
        let data = data(&page_of(events));
        let outcomes: Vec<_> = data["handshakes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["outcome"].as_str().unwrap())
            .collect();
        assert_eq!(
            outcomes,
            [
                "failure", "rejected", "failure", "unknown", "rejected", "success"
            ]
        );
        let details: Vec<_> = data["details"]
            .as_array()
            .unwrap()
            .iter()
            .map(|detail| detail["number"].as_u64().unwrap())
            .collect();
        assert_eq!(details, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn offers_and_certificates_that_recur_are_written_once() {
        let event = test_events::refused_by_the_client();
        let data = data(&page_of(vec![event; 3]));
        assert_eq!(data["offers"].as_array().unwrap().len(), 1);
        assert_eq!(data["certificates"].as_array().unwrap().len(), 1);
        assert_eq!(data["details"][2]["offer"], 0);
    }

    #[test]
    fn the_same_events_give_the_same_bytes() {
        assert_eq!(page_of(test_events::all()), page_of(test_events::all()));
    }

    #[test]
    fn a_run_without_handshakes_has_a_page_that_says_so() {
        let page = page_of([]);
        assert!(page.contains("No TLS handshake was seen in this capture."));
        assert!(page.contains("Connections that did not become TLS"));
        assert!(page.contains("href=\"#quality\"") && !page.contains("href=\"#latency\""));
    }

    #[test]
    fn a_flood_neither_grows_the_page_without_bound_nor_hides_a_rare_failure() {
        let mut flood = test_events::refused_by_the_client();
        let count = MAX_ROWS + 2_000;
        let mut events: Vec<_> = (0..count)
            .map(|number| {
                flood.time = flood.time.saturating_add(Duration::from_millis(1));
                flood.client.port = number as u16;
                flood.clone()
            })
            .collect();
        let mut rare = test_events::inferred();
        rare.time = flood.time.saturating_add(Duration::from_millis(1));
        events.push(rare);
        let page = page_of(events);
        let data = data(&page);
        assert_eq!(data["handshakes"].as_array().unwrap().len(), MAX_ROWS);
        assert_eq!(data["details"].as_array().unwrap().len(), MAX_DETAILS);
        let last = |list: &str| data[list].as_array().unwrap().last().unwrap()["number"].as_u64();
        let rare = Some(count as u64 + 1);
        assert_eq!((last("handshakes"), last("details")), (rare, rare));
        assert!(page.contains("The list has 10,000 of 12,001 handshakes"));
        assert!(
            page.contains("2,000 of 12,001 handshakes that did not plainly succeed have details")
        );
        assert!(page.len() < 12 << 20, "{}", page.len());
    }
}

//! A summary of a run, for people: outcomes, causes, servers, latencies, clients, certificates.
//!
//! Written once, at the end. Every table is bounded, and an event costs well under a
//! microsecond. Empty parts are left out.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

mod by_client;
mod by_server;
mod clients;
mod failing_servers;
pub(in crate::sink) mod histogram;
pub(crate) mod mutual;
pub(in crate::sink) mod plain_servers;
pub(in crate::sink) mod ranking;
pub(in crate::sink::people) mod soonest_to_expire;

use by_client::ClientAddresses;
use by_server::Servers;
use clients::{ClientCounts, Clients, Identity};
use failing_servers::FailingServers;
pub(in crate::sink) use failing_servers::write_name;
use histogram::Histogram;
use mutual::MutualPeers;
use plain_servers::PlainServers;
use soonest_to_expire::SoonestToExpire;

use super::text::{Align, TextStyle, printable, wrap, write_rows};
use crate::certificate::{CertificateTime, Expiry};
use crate::event::{Directions, ErrorType, Handshake, NotTls, NoteKind, Outcome};
use crate::sink::{Needs, Sink};
use crate::stats::Stats;
use crate::time::Timestamp;
use crate::tls::ProtocolVersion;

/// Collects the summary, and writes it at the end.
#[derive(Debug)]
pub struct SummarySink<W> {
    pub(super) output: W,
    pub(super) style: TextStyle,
    counts: Counts,
    servers: FailingServers,
    plain: PlainServers,
    latencies: Vec<(Option<ProtocolVersion>, Histogram)>,
    certificates: SoonestToExpire,
    clients: Clients,
    addresses: ClientAddresses,
    mutual: MutualPeers,
    /// Handshakes with unusual certificates, by what is unusual about whose.
    notes: BTreeMap<(NoteKind, &'static str), u64>,
    by_server: Servers,
    /// The name of a server, in a buffer for all events.
    name: String,
    /// The latest moment at which certificates were validated.
    judged_at: Timestamp,
    first: Timestamp,
    last: Timestamp,
}

/// Rows of the tables of servers and of certificates.
pub(super) const TOP: usize = 10;

/// Columns below which a certificate has its name and dates only, and below which it has no count of how often it was shown.
const NARROW: usize = 72;
const MEDIUM: usize = 100;

/// Causes of failures named for a server.
const CAUSES: usize = 3;

#[derive(Debug)]
struct Counts {
    handshakes: u64,
    outcomes: [u64; 3],
    /// By class; then by side: client, server, neither.
    failures: [[u64; 3]; ErrorType::ALL.len()],
    /// By class; then by the side that showed the certificate.
    findings: [[u64; 2]; ErrorType::ALL.len()],
    one_way: u64,
    truncated: u64,
}

impl<W: Write> SummarySink<W> {
    /// Writes to `output`, which should have a buffer.
    #[must_use]
    pub fn new(output: W, style: TextStyle) -> Self {
        Self {
            output,
            style,
            counts: Counts::new(),
            servers: FailingServers::default(),
            plain: PlainServers::default(),
            latencies: Vec::new(),
            certificates: SoonestToExpire::new(TOP),
            clients: Clients::default(),
            addresses: ClientAddresses::default(),
            mutual: MutualPeers::default(),
            notes: BTreeMap::new(),
            by_server: Servers::default(),
            name: String::new(),
            judged_at: Timestamp::MIN,
            first: Timestamp::MAX,
            last: Timestamp::MIN,
        }
    }

    fn record_latency(&mut self, event: &Handshake) {
        let Some(duration) = event.timing.handshake else {
            return;
        };
        // Versions without a name share a row: there could be 65,536 of them.
        let version = event.tls.version.filter(|version| version.is_named());
        let known = self.latencies.iter().position(|(of, _)| *of == version);
        let index = known.unwrap_or_else(|| {
            self.latencies.push((version, Histogram::default()));
            self.latencies.len() - 1
        });
        self.latencies[index].1.record(duration);
    }
}

impl<W: Write> Sink for SummarySink<W> {
    fn needs(&self) -> Needs {
        Needs::NONE
    }

    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        self.counts.record(event);
        self.record_latency(event);
        self.certificates.record(event);
        self.clients.record(event);
        self.addresses.record(event);
        self.mutual.record(event);
        for note in event.notes.iter().filter(|note| note.kind.is_about_use()) {
            *self
                .notes
                .entry((note.kind, note.side.as_str()))
                .or_default() += 1;
        }
        self.name.clear();
        write_name(&mut self.name, event);
        self.by_server.record(event, &self.name);
        if let Some(error) = &event.error {
            self.servers.record(&self.name, error.error_type);
        }
        self.judged_at = self.judged_at.max(event.judged_at);
        self.first = self.first.min(event.time);
        self.last = self.last.max(event.time);
        Ok(())
    }

    fn not_tls(&mut self, event: &NotTls) -> io::Result<()> {
        self.plain.record(event);
        Ok(())
    }

    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        self.write_headline(stats)?;
        self.write_outcomes()?;
        self.write_causes()?;
        self.write_servers()?;
        self.write_plain_servers()?;
        self.write_latencies()?;
        self.write_slowest_servers()?;
        self.write_key_exchanges()?;
        self.write_addresses()?;
        self.write_clients()?;
        self.write_mutual()?;
        self.write_certificates()?;
        self.write_findings()?;
        self.write_notes()?;
        self.write_quality(stats)?;
        self.output.flush()
    }
}

/// The parts, in the order in which they are written.
impl<W: Write> SummarySink<W> {
    fn write_headline(&mut self, stats: &Stats) -> io::Result<()> {
        let handshakes = counted(self.counts.handshakes, "handshake");
        write!(self.output, "{}", self.style.heading().style(&handshakes))?;
        let mut column = handshakes.len();
        let mut add = |text: &str, glue: &'static str, broken: &'static str| {
            column += glue.len() + text.len();
            let fits = self.style.width.is_none_or(|width| column <= width);
            if !fits {
                column = text.len();
            }
            write!(self.output, "{}{text}", if fits { glue } else { broken })
        };
        if self.counts.handshakes > 0 {
            let (first, last) = (second(self.first), second(self.last));
            add(&format!("{first} to {last} UTC"), ", ", ",\n")?;
        }
        let packets = counted(stats.packets, "packet");
        let connections = counted(stats.connections, "connection");
        add(&format!("{packets}, {connections}"), "; ", "\n")?;
        writeln!(self.output)
    }

    pub(super) fn write_outcomes(&mut self) -> io::Result<()> {
        let total = self.counts.handshakes;
        let row = |outcome: Outcome| {
            let count = self.counts.outcomes[outcome as usize];
            [
                outcome.as_str().to_owned(),
                count.to_string(),
                percent(count, total),
            ]
        };
        let rows = [Outcome::Success, Outcome::Failure, Outcome::Unknown].map(row);
        let rows = if total == 0 { &[] } else { rows.as_slice() };
        self.write_part("Outcomes", [Align::Left, Align::Right, Align::Right], rows)
    }

    pub(super) fn write_causes(&mut self) -> io::Result<()> {
        let rows = rows_of(&self.counts.failures, &["client", "server", "-"]);
        self.write_part(
            "Failures by cause, and the side that gave up",
            [Align::Left, Align::Left, Align::Right],
            &rows,
        )
    }

    pub(super) fn write_servers(&mut self) -> io::Result<()> {
        let (top, others) = self.servers.top(TOP);
        let mut rows: Vec<_> = top
            .iter()
            .map(|(name, failures)| {
                let causes: Vec<_> = failures
                    .causes()
                    .iter()
                    .take(CAUSES)
                    .map(|(cause, count)| format!("{cause} {count}"))
                    .collect();
                [
                    printable(name).into_owned(),
                    failures.count.to_string(),
                    causes.join(", "),
                ]
            })
            .collect();
        if others > 0 {
            rows.push(["other servers".into(), others.to_string(), String::new()]);
        }
        self.write_part(
            "Failures by server",
            [Align::Name, Align::Right, Align::Left],
            &rows,
        )
    }

    fn write_plain_servers(&mut self) -> io::Result<()> {
        let (mut rows, others) = self.plain.top(TOP);
        if others > 0 {
            rows.push(["other servers".into(), others.to_string(), String::new()]);
        }
        self.write_part(
            "Connections that did not become TLS, by server",
            [Align::Left, Align::Right, Align::Left],
            &rows,
        )
    }

    fn write_latencies(&mut self) -> io::Result<()> {
        self.latencies.sort_by_key(|(version, _)| *version);
        let header = ["version", "handshakes", "p50", "p90", "p99", "max"].map(str::to_owned);
        let mut rows = vec![header];
        rows.extend(self.latencies.iter().map(|(version, histogram)| {
            let [p50, p90, p99] =
                [50, 90, 99].map(|percent| milliseconds(histogram.percentile(percent)));
            let version = version.map_or_else(|| "other".to_owned(), |version| version.to_string());
            [
                version,
                histogram.count().to_string(),
                p50,
                p90,
                p99,
                milliseconds(histogram.max()),
            ]
        }));
        let rows = if rows.len() == 1 {
            &[]
        } else {
            rows.as_slice()
        };
        let mut align = [Align::Right; 6];
        align[0] = Align::Left;
        self.write_part(
            "Latency of completed handshakes, in ms (percentiles are at most 3.2 % too high)",
            align,
            rows,
        )
    }

    fn write_slowest_servers(&mut self) -> io::Result<()> {
        let rows = self.by_server.slowest(TOP).into_iter();
        let rows: Vec<_> = rows.map(with_printable_name).collect();
        let mut align = [Align::Right; 7];
        (align[0], align[1]) = (Align::Name, Align::Left);
        let title = if self.by_server.is_incomplete() {
            "Slowest servers, by median, in ms (many servers: counts of rare ones are incomplete)"
        } else {
            "Slowest servers, by median, in ms"
        };
        self.write_part(title, align, &rows)
    }

    fn write_key_exchanges(&mut self) -> io::Result<()> {
        let rows = self.by_server.key_exchanges(TOP).into_iter();
        let rows: Vec<_> = rows.map(with_printable_name).collect();
        let align = [Align::Name, Align::Right, Align::Left];
        self.write_part("Key exchange by server", align, &rows)
    }

    fn write_addresses(&mut self) -> io::Result<()> {
        let rows = self.addresses.rows(TOP);
        let align = [Align::Name, Align::Right, Align::Right, Align::Left];
        self.write_part("Clients by address", align, &rows)
    }

    fn write_clients(&mut self) -> io::Result<()> {
        let judged_at = self.judged_at;
        let (top, others) = self.clients.top(TOP);
        let mut rows: Vec<_> = top
            .iter()
            .map(|(identity, client)| client_row(identity, client, judged_at))
            .collect();
        if others > 0 {
            rows.push(["others".into(), counted(others, "handshake"), String::new()]);
        }
        self.write_part(
            "Clients by certificate, where the server asked for one",
            [Align::Name, Align::Left, Align::Left],
            &rows,
        )
    }

    fn write_mutual(&mut self) -> io::Result<()> {
        let (top, others) = self.mutual.top(TOP);
        if top.is_empty() {
            return Ok(());
        }
        let header = ["client", "server", "handshakes", "failed", "last seen"].map(str::to_owned);
        let mut rows = vec![header];
        rows.extend(top.into_iter().map(|(pair, counts)| {
            [
                printable(&pair.client).into_owned(),
                printable(&pair.server).into_owned(),
                counts.handshakes.to_string(),
                counts.failures.to_string(),
                second(counts.last_seen),
            ]
        }));
        if others > 0 {
            let [none, no, nothing] = [(); 3].map(|()| String::new());
            rows.push(["others".into(), none, others.to_string(), no, nothing]);
        }
        let align = [
            Align::Name,
            Align::Name,
            Align::Right,
            Align::Right,
            Align::Left,
        ];
        self.write_part("Clients with certificates, and their servers", align, &rows)
    }

    pub(super) fn write_certificates(&mut self) -> io::Result<()> {
        let judged_at = self.judged_at;
        let rows: Vec<_> = self
            .certificates
            .iter()
            .map(|(not_after, shown)| {
                let [name, issuer] =
                    [&shown.name, &shown.issuer].map(|text| printable(text).into_owned());
                let times = format!("shown {}", times(shown.times));
                [
                    day(not_after),
                    Expiry::new(not_after, judged_at).to_string(),
                    shown.role.as_str().to_owned(),
                    name,
                    format!("by {issuer}"),
                    times,
                ]
            })
            .collect();
        let title = format!("Certificates by expiry, as of {} UTC", second(judged_at));
        let [until, expires, role, name, issuer, times] = [
            Align::Left,
            Align::Left,
            Align::Left,
            Align::Name,
            Align::Name,
            Align::Left,
        ];
        match self.style.width {
            Some(..NARROW) => {
                let rows: Vec<_> = rows
                    .into_iter()
                    .map(|[until, expires, _, name, ..]| [until, expires, name])
                    .collect();
                self.write_part(&title, [until, expires, name], &rows)
            }
            Some(..MEDIUM) => {
                let rows: Vec<_> = rows
                    .into_iter()
                    .map(|[until, expires, role, name, issuer, _]| {
                        [until, expires, role, name, issuer]
                    })
                    .collect();
                self.write_part(&title, [until, expires, role, name, issuer], &rows)
            }
            _ => self.write_part(&title, [until, expires, role, name, issuer, times], &rows),
        }
    }

    fn write_findings(&mut self) -> io::Result<()> {
        let rows = rows_of(&self.counts.findings, &["client", "server"]);
        self.write_part(
            "Findings on certificates, and the side that showed them",
            [Align::Left, Align::Left, Align::Right],
            &rows,
        )
    }

    fn write_notes(&mut self) -> io::Result<()> {
        let rows: Vec<_> = self
            .notes
            .iter()
            .map(|((kind, side), count)| {
                [
                    kind.as_str().to_owned(),
                    (*side).to_owned(),
                    count.to_string(),
                ]
            })
            .collect();
        let align = [Align::Left, Align::Left, Align::Right];
        self.write_part(
            "Unusual certificates, and the side that showed them",
            align,
            &rows,
        )
    }

    fn write_quality(&mut self, stats: &Stats) -> io::Result<()> {
        let rows: Vec<_> = self
            .counts
            .quality()
            .into_iter()
            .chain(quality(stats))
            .filter(|(_, count)| *count > 0)
            .map(|(what, count)| [what.to_owned(), count.to_string()])
            .collect();
        self.write_part("Quality of the capture", [Align::Left, Align::Right], &rows)
    }

    pub(super) fn write_part<const N: usize>(
        &mut self,
        title: &str,
        align: [Align; N],
        rows: &[[String; N]],
    ) -> io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        writeln!(self.output)?;
        let width = self.style.width.unwrap_or(usize::MAX);
        for line in wrap(title, width) {
            writeln!(self.output, "{}", self.style.heading().style(line))?;
        }
        write_rows(&mut self.output, self.style, align, rows)
    }
}

impl Counts {
    fn new() -> Self {
        Self {
            handshakes: 0,
            outcomes: [0; 3],
            failures: [[0; 3]; ErrorType::ALL.len()],
            findings: [[0; 2]; ErrorType::ALL.len()],
            one_way: 0,
            truncated: 0,
        }
    }

    fn record(&mut self, event: &Handshake) {
        self.handshakes += 1;
        self.outcomes[event.outcome as usize] += 1;
        if let Some(error) = &event.error {
            let side = error.side.map_or(2, |side| side as usize);
            self.failures[error.error_type as usize][side] += 1;
        }
        for finding in &event.validation {
            self.findings[finding.error_type as usize][finding.side as usize] += 1;
        }
        self.one_way += u64::from(event.capture.directions != Directions::Both);
        self.truncated += u64::from(event.capture.truncated);
    }

    fn quality(&self) -> [(&'static str, u64); 2] {
        [
            ("handshakes with only one direction captured", self.one_way),
            ("handshakes with packets cut short", self.truncated),
        ]
    }
}

/// What the capture lacks, and what a limit of tlscope discarded.
pub(in crate::sink) fn quality(stats: &Stats) -> [(&'static str, u64); 15] {
    [
        (
            "packets dropped while the capture was made",
            stats.packets_dropped,
        ),
        ("gaps in connections", stats.gaps),
        ("bytes missing in gaps", stats.gap_bytes),
        (
            "packets cut short by the snap length",
            stats.packets_truncated,
        ),
        ("packets that could not be decoded", stats.packets_malformed),
        (
            "packets of an unsupported link layer",
            stats.packets_unknown_link,
        ),
        ("IP fragments discarded", stats.fragments_discarded),
        (
            "handshakes captured twice, reported once",
            stats.handshakes_duplicated,
        ),
        (
            "connections without TLS evicted, too many at once",
            stats.not_tls_forgotten,
        ),
        (
            "segments discarded, too many out of order",
            stats.segments_discarded,
        ),
        (
            "segments ignored, sequence or acknowledgment number out of window",
            stats.segments_out_of_window,
        ),
        (
            "bytes of handshakes sent twice with different content",
            stats.conflicting_bytes,
        ),
        (
            "handshake messages discarded, too long",
            stats.messages_discarded,
        ),
        (
            "handshakes not judged, too many at once",
            stats.handshakes_not_judged,
        ),
        (
            "connections evicted, too many at once",
            stats.connections_evicted,
        ),
    ]
}

/// A row whose first cell comes from the traffic, safe for a terminal.
fn with_printable_name<const N: usize>(mut row: [String; N]) -> [String; N] {
    if let Some(name) = row.first_mut() {
        *name = printable(name).into_owned();
    }
    row
}

/// The client, its handshakes, and notes: why it was refused, and issuer and expiry of its certificate.
fn client_row(identity: &Identity, client: &ClientCounts, judged_at: Timestamp) -> [String; 3] {
    let name = match identity {
        Identity::Shown { name, .. } => &printable(name),
        Identity::Unreadable => "unreadable certificate",
        Identity::Encrypted => "certificate not visible",
        Identity::Absent => "no certificate",
        Identity::NoAnswer => "no answer seen",
    };
    let causes: Vec<_> = client
        .causes()
        .iter()
        .take(CAUSES)
        .map(|(cause, count)| format!("{cause} {count}"))
        .collect();
    let mut notes = Vec::new();
    if !causes.is_empty() {
        notes.push(format!(
            "refused {}: {}",
            times(client.refused),
            causes.join(", ")
        ));
    }
    if let (Identity::Shown { issuer, .. }, Some(validity)) = (identity, client.validity) {
        let issuer = printable(issuer);
        let expiry = Expiry::new(validity.not_after, judged_at);
        let state = match () {
            () if validity.not_before > CertificateTime::from(judged_at) => {
                format!("valid from {}", validity.not_before)
            }
            () if expiry.is_past() => format!("{expiry}, on {}", day(validity.not_after)),
            () => format!("expires {expiry}, on {}", day(validity.not_after)),
        };
        notes.push(format!("by {issuer}, {state}"));
    }
    let handshakes = counted(client.handshakes, "handshake");
    [name.to_owned(), handshakes, notes.join("; ")]
}

/// A row for each count above zero, the highest first: class, side, count.
fn rows_of<const N: usize>(counts: &[[u64; N]], sides: &[&str; N]) -> Vec<[String; 3]> {
    let mut found: Vec<_> = ErrorType::ALL
        .iter()
        .zip(counts)
        .flat_map(|(error, by_side)| {
            sides
                .iter()
                .zip(by_side)
                .map(move |(side, count)| (error, side, *count))
        })
        .filter(|(_, _, count)| *count > 0)
        .collect();
    found.sort_by_key(|&(_, _, count)| std::cmp::Reverse(count)); // stable: ties in order of the documentation
    let row = |(error, side, count): (&ErrorType, &&str, u64)| {
        [error.to_string(), (*side).to_owned(), count.to_string()]
    };
    found.into_iter().map(row).collect()
}

pub(in crate::sink) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// As in `2026-03-01 12:00:00`.
pub(in crate::sink) fn second(time: Timestamp) -> String {
    time.date_time().strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// As in `2026-03-01`.
pub(in crate::sink::people) fn day(time: CertificateTime) -> String {
    let text = time.to_string();
    text.split('T').next().unwrap_or(&text).to_owned()
}

fn percent(count: u64, total: u64) -> String {
    format!("{:.1} %", count as f64 * 100.0 / total.max(1) as f64)
}

pub(super) fn milliseconds(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1e3)
}

pub(in crate::sink) fn times(count: u64) -> String {
    if count == 1 {
        "once".to_owned()
    } else {
        format!("{count} times")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::test_events;

    fn summary(events: &[Handshake], stats: &Stats) -> String {
        styled(events, stats, TextStyle::default())
    }

    fn styled(events: &[Handshake], stats: &Stats, style: TextStyle) -> String {
        let mut output = Vec::new();
        let mut sink = SummarySink::new(&mut output, style);
        for event in events {
            sink.handshake(event).unwrap();
        }
        sink.finish(stats).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn headings_and_the_first_line_are_broken_where_the_terminal_ends() {
        for (width, first) in [
            (
                80,
                "5 handshakes, 2026-03-01 12:00:00 to 2026-03-01 12:00:00 UTC\n",
            ),
            (
                50,
                "5 handshakes,\n2026-03-01 12:00:00 to 2026-03-01 12:00:00 UTC\n",
            ),
        ] {
            let style = TextStyle {
                width: Some(width),
                ..TextStyle::default()
            };
            let text = styled(&test_events::all(), &Stats::default(), style);
            assert!(text.starts_with(first), "{text}");
            let long = text.lines().find(|line| line.chars().count() > width);
            assert_eq!(long, None, "at {width}");
        }
    }

    #[test]
    fn summarises_a_run() {
        let mut stats = Stats::default();
        (stats.packets, stats.connections, stats.gaps) = (120, 5, 2);
        let expected = "\
5 handshakes, 2026-03-01 12:00:00 to 2026-03-01 12:00:00 UTC; 120 packets, 5 connections

Outcomes
  success  2  40.0 %
  failure  2  40.0 %
  unknown  1  20.0 %

Failures by cause, and the side that gave up
  unknown_ca              client  1
  server_rejected_client  server  1

Failures by server
  example.org:443  2  unknown_ca 1, server_rejected_client 1

Latency of completed handshakes, in ms (percentiles are at most 3.2 % too high)
  version  handshakes   p50   p90   p99   max
  TLS 1.3           3  5.90  5.90  5.90  5.90

Key exchange by server
  all servers      4  psk 3, classical 1
  example.org:443  4  psk 3, classical 1

Clients by address
  client    handshakes  failed  versions
  10.0.0.1           5       2  TLS 1.3 3, no version 1, TLS 1.2 1

Clients by certificate, where the server asked for one
  unreadable certificate  1 handshake

Clients with certificates, and their servers
  client                  server           handshakes  failed  last seen
  unreadable certificate  example.org:443           1       1  2026-03-01 12:00:00

Certificates by expiry, as of 2026-03-01 12:00:00 UTC
  2026-03-14  in 12.5 days  server  example.org  by Example CA  shown once

Findings on certificates, and the side that showed them
  near_expiry  server  1

Quality of the capture
  gaps in connections  2
";
        assert_eq!(summary(&test_events::all(), &stats), expected);
    }

    #[test]
    fn an_empty_run_is_one_line() {
        let text = summary(&[], &Stats::default());
        assert_eq!(text, "0 handshakes; 0 packets, 0 connections\n");
    }

    #[test]
    fn versions_without_a_name_share_a_row() {
        let unnamed = (0..=u16::MAX).map(|code| {
            let mut event = test_events::completed();
            event.tls.version = Some(ProtocolVersion(code));
            event
        });
        let mut sink = SummarySink::new(io::sink(), TextStyle::default());
        unnamed.for_each(|event| sink.handshake(&event).unwrap());
        assert!(sink.latencies.len() < 70); // registered ones, and 29 drafts in two numberings
    }

    #[test]
    fn a_hostile_name_cannot_reach_the_terminal() {
        let mut event = test_events::refused_by_the_client();
        event.tls.server_name = Some("\u{1b}[2J\n".into());
        let mut facts = test_events::leaf();
        facts.common_name = Some("\u{1b}[2J".into());
        facts.issuer_common_name = Some("\u{202e}\u{7}".into());
        event.server_certificates = Some(test_events::chain([Ok(facts)]));
        let text = summary(&[event], &Stats::default());
        assert!(
            text.chars().all(|c| c == '\n' || !c.is_control()),
            "{text:?}"
        );
        assert!(!text.contains('\u{202e}'));
    }
}

//! One line per handshake, for people: the default of `tlscope read`.
//!
//! Lines are written as soon as there is a verdict, so the widths of columns are chosen once,
//! for the width of the terminal. A header with the date is written at the start and
//! whenever the date changes. If the terminal is too narrow for the name and the address of a
//! server, only the name is shown. If the output is not a terminal, nothing is cut.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use jiff::civil::{Date, Time};
use owo_colors::Style;

use super::text::{Cut, TextStyle, fit, printable, push_left, push_right};
use crate::event::{
    ClientCertificate, Directions, EarlyData, Evidence, Finding, Handshake, Outcome,
    RenegotiationEnd,
};
use crate::flow::Endpoint;
use crate::sink::Sink;
use crate::stats::Stats;

/// Writes the table; [`super::summary`] writes the summary.
#[derive(Debug)]
pub struct TableSink<W> {
    output: W,
    style: TextStyle,
    layout: Layout,
    /// The date of the last header; `None` before the first.
    day: Option<Date>,
    line: String,
}

impl<W: Write> TableSink<W> {
    /// Writes to `output`, which should have a buffer.
    #[must_use]
    pub fn new(output: W, style: TextStyle) -> Self {
        Self {
            output,
            style,
            layout: Layout::for_width(style.width),
            day: None,
            line: String::new(),
        }
    }

    /// Writes the header if this handshake is on another day than the last.
    fn start_day(&mut self, day: Date) -> io::Result<()> {
        let Some(last) = self.day.replace(day) else {
            return self.write_header(day);
        };
        if last == day {
            return Ok(());
        }
        writeln!(self.output)?;
        self.write_header(day)
    }

    fn write_header(&mut self, day: Date) -> io::Result<()> {
        let header = self.layout.header(&day.to_string());
        writeln!(self.output, "{}", self.style.heading().style(header))
    }

    fn outcome_style(&self, outcome: Outcome) -> Style {
        match outcome {
            Outcome::Success => self.style.good(),
            Outcome::Failure => self.style.bad(),
            Outcome::Unknown => self.style.doubtful(),
        }
    }
}

impl<W: Write> Sink for TableSink<W> {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        let at = event.time.date_time();
        self.start_day(at.date())?;
        let style = self.outcome_style(event.outcome);
        self.line.clear();
        self.layout
            .write_row(&mut self.line, at.time(), event, style);
        writeln!(self.output, "{}", self.line.trim_end())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// Ends the table with an empty line.
    fn finish(&mut self, _: &Stats) -> io::Result<()> {
        if self.day.is_some() {
            writeln!(self.output)?;
        }
        self.flush()
    }
}

/// Widths of the columns; a column of width 0 is left out.
#[derive(Clone, Copy, Debug)]
struct Layout {
    time: usize,
    client: usize,
    client_has_port: bool,
    server: usize,
    /// If it is left out, the column of the server has the name.
    name: usize,
    version: usize,
    /// Width of the notes; `None` if it is not limited.
    notes: Option<usize>,
    cut: Cut,
}

const VERSION: usize = 7; // "TLS 1.3"
const LATENCY: usize = 6; // "9999.9": a longer handshake times out, by default
const OUTCOME: usize = 7; // "unknown"
const PORT: usize = 6; // ":65535"
const IPV4: usize = 15; // "255.255.255.255"

/// Columns at which the name and the address of a server both fit, with room for notes.
const WIDE: usize = 150;
/// Columns below which ports, milliseconds and versions are left out, to make room for the cause of a failure.
const NARROW: usize = 100;

impl Layout {
    fn for_width(width: Option<usize>) -> Self {
        let wide = Self {
            time: "12:00:00.123".len(),
            client: IPV4 + PORT,
            client_has_port: true,
            server: IPV4 + PORT,
            name: 28,
            version: VERSION,
            notes: None,
            cut: Cut::Middle,
        };
        let mut layout = wide;
        match width {
            None => layout.cut = Cut::Never,
            Some(WIDE..) => {}
            Some(NARROW..) => (layout.server, layout.name) = (24, 0),
            Some(_) => {
                (layout.time, layout.client, layout.client_has_port) =
                    ("12:00:00".len(), IPV4, false);
                (layout.server, layout.name, layout.version) = (18, 0, 0);
            }
        }
        layout.notes = width.map(|width| width.saturating_sub(layout.before_notes()));
        layout
    }

    /// Columns before the notes, with the space between columns.
    fn before_notes(&self) -> usize {
        let cells = [
            self.time,
            self.client,
            self.server,
            self.name,
            self.version,
            LATENCY,
            OUTCOME,
        ];
        cells
            .iter()
            .filter(|width| **width > 0)
            .map(|width| width + 1)
            .sum()
    }

    fn header(&self, day: &str) -> String {
        let mut line = String::new();
        // The day, and Z for UTC; the year only where it fits.
        let day = if self.time > day.len() {
            day
        } else {
            day.get(5..).unwrap_or(day)
        };
        self.push(&mut line, &format!("{day} Z"), self.time);
        self.push(&mut line, "CLIENT", self.client);
        self.push(&mut line, "SERVER", self.server);
        self.push(&mut line, "NAME", self.name);
        self.push(&mut line, "VERSION", self.version);
        push_right(&mut line, "MS", LATENCY);
        line + " OUTCOME"
    }

    fn write_row(&self, line: &mut String, time: Time, event: &Handshake, style: Style) {
        let name = event
            .tls
            .server_name
            .as_deref()
            .map_or(Cow::Borrowed("-"), printable);
        let version = event
            .tls
            .version
            .map_or_else(|| "-".to_owned(), |version| version.to_string());
        let time = format!("{time:.9}");
        self.push(line, time.get(..self.time).unwrap_or(&time), self.time);
        self.push(line, &self.client(event.client), self.client);
        self.push(line, &self.server(event), self.server);
        self.push(line, &name, self.name);
        self.push(line, &version, self.version);
        push_right(line, &latency(event), LATENCY);
        let outcome = outcome_word(event.outcome);
        let _ = write!(
            line,
            " {} ",
            style.style(format_args!("{outcome:OUTCOME$}"))
        );
        let notes = notes(event);
        let notes = printable(&notes);
        line.push_str(
            &self
                .notes
                .map_or(Cow::Borrowed(&*notes), |width| fit(&notes, width, Cut::End)),
        );
    }

    fn push(&self, line: &mut String, text: &str, width: usize) {
        if width > 0 {
            push_left(line, &fit(text, width, self.cut), width);
            line.push(' ');
        }
    }

    fn client(&self, client: Endpoint) -> String {
        if self.client_has_port {
            client.to_string()
        } else {
            client.address.to_string()
        }
    }

    fn server<'a>(&self, event: &'a Handshake) -> Cow<'a, str> {
        match &event.tls.server_name {
            Some(name) if self.name == 0 => printable(name),
            _ => event.server.to_string().into(),
        }
    }
}

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "ok",
        Outcome::Failure => "FAILED",
        Outcome::Unknown => "unknown",
    }
}

fn latency(event: &Handshake) -> Cow<'static, str> {
    match event.timing.handshake {
        Some(duration) => format!("{:.1}", duration.as_secs_f64() * 1e3).into(),
        None => "-".into(),
    }
}

/// The notes, the most important first.
fn notes(event: &Handshake) -> String {
    let mut notes = Notes::default();
    if let Some(error) = &event.error {
        notes.add(error.error_type.as_str());
        if let Some(side) = error.side {
            let _ = write!(notes.0, " ({side})");
        }
        let _ = write!(notes.0, ": {}", error.message);
    }
    if let Some(rejected) = &event.rejected_after {
        notes.add("rejected after the handshake: ");
        let _ = write!(notes.0, "{} ({})", rejected.error_type, rejected.side);
    }
    if event.evidence == Evidence::Inferred {
        notes.add("inferred");
    }
    if event.outcome == Outcome::Unknown {
        add_doubts(&mut notes, event);
    }
    add_features(&mut notes, event);
    for (index, finding) in event.validation.iter().enumerate() {
        let is_same =
            |other: &Finding| (other.error_type, other.side) == (finding.error_type, finding.side);
        if !event.validation.iter().take(index).any(is_same) {
            notes.add("! ");
            let _ = write!(notes.0, "{} ({})", finding.error_type, finding.side);
        }
    }
    notes.0
}

/// Adds why there is no verdict.
fn add_doubts(notes: &mut Notes, event: &Handshake) {
    match (event.unknown_because, event.capture.directions) {
        (_, Directions::ClientOnly) => notes.add("only the client was captured"),
        (_, Directions::ServerOnly) => notes.add("only the server was captured"),
        (Some(because), Directions::Both) => notes.add(because.explanation()),
        (None, Directions::Both) => {}
    }
}

/// Adds features that not every handshake has.
fn add_features(notes: &mut Notes, event: &Handshake) {
    let tls = &event.tls;
    let client = client_certificate(event);
    let features = [
        (
            event.starttls.map(|starttls| starttls.as_str()),
            event.starttls.is_some(),
        ),
        (tls.alpn.as_deref(), tls.alpn.is_some()),
        (Some("resumed"), tls.resumed == Some(true)),
        (Some("0-RTT"), tls.early_data == Some(EarlyData::Accepted)),
        (
            Some("0-RTT rejected"),
            tls.early_data == Some(EarlyData::Rejected),
        ),
        (Some("hello retry"), tls.hello_retry_request == Some(true)),
        (
            Some(client.as_ref()),
            tls.client_certificate == ClientCertificate::Presented,
        ),
        (
            Some("no client certificate"),
            tls.client_certificate == ClientCertificate::Absent,
        ),
        (
            Some(match tls.renegotiation.map(|seen| seen.ended) {
                Some(RenegotiationEnd::Failed) => "renegotiation failed",
                Some(RenegotiationEnd::Open) => "renegotiation open",
                _ => "renegotiation",
            }),
            tls.renegotiation.is_some(),
        ),
        (Some("unused"), tls.unused == Some(true)),
    ];
    for (feature, present) in features {
        if let (Some(feature), true) = (feature, present) {
            notes.add(feature);
        }
    }
}

/// That the client showed a certificate, with its name if it is visible.
fn client_certificate(event: &Handshake) -> Cow<'_, str> {
    let leaf = event
        .client_certificates
        .as_ref()
        .and_then(|chain| chain.first());
    match leaf.map(|leaf| &leaf.facts) {
        Some(Ok(facts)) => {
            let name = facts.common_name.as_ref().unwrap_or(&facts.subject);
            format!("client certificate {name}").into()
        }
        _ => "client certificate".into(),
    }
}

/// Clauses with commas between them.
#[derive(Default)]
struct Notes(String);

impl Notes {
    fn add(&mut self, note: &str) {
        if !self.0.is_empty() {
            self.0.push_str(", ");
        }
        self.0.push_str(note);
    }
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::event::ErrorType;
    use crate::sink::test_events;
    use crate::time::Timestamp;

    fn table(events: &[Handshake], style: TextStyle) -> String {
        let mut output = Vec::new();
        let mut sink = TableSink::new(&mut output, style);
        for event in events {
            sink.handshake(event).unwrap();
        }
        sink.finish(&Stats::default()).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn shows_which_side_failed_and_why() {
        let text = table(
            &[test_events::refused_by_the_client()],
            TextStyle::default(),
        );
        let line = text.lines().nth(1).unwrap();
        let words: Vec<_> = line.split_whitespace().take(9).collect();
        assert_eq!(
            words,
            [
                "12:00:00.123",
                "10.0.0.1:51234",
                "10.0.0.2:443",
                "example.org",
                "TLS",
                "1.2",
                "-",
                "FAILED",
                "unknown_ca"
            ]
        );
        assert!(line.ends_with("! near_expiry (server)"), "{line}");
    }

    #[test]
    fn fits_every_terminal() {
        let mut long = test_events::refused_by_the_client();
        long.tls.server_name = Some("例".repeat(200));
        long.client.address = "2001:db8:1111:2222:3333:4444:5555:6666".parse().unwrap();
        for width in [20, 60, 80, 99, 100, 120, 149, 150, 250] {
            let style = TextStyle {
                color: false,
                width: Some(width),
            };
            for line in table(std::slice::from_ref(&long), style).lines().skip(1) {
                let fixed = Layout::for_width(Some(width)).before_notes();
                assert!(line.width() <= width.max(fixed), "{width}: {line}");
            }
        }
    }

    #[test]
    fn the_cause_of_a_failure_fits_a_terminal_of_80_columns() {
        let style = TextStyle {
            color: false,
            width: Some(80),
        };
        let mut event = test_events::refused_by_the_client();
        event.error.as_mut().unwrap().error_type = ErrorType::CertExpired;
        let text = table(&[event], style);
        assert!(text.contains("FAILED  cert_expired (client"), "{text}");
    }

    #[test]
    fn findings_of_the_same_kind_are_noted_once() {
        let mut event = test_events::refused_by_the_client();
        event.validation.extend(event.validation.clone());
        let text = table(&[event], TextStyle::default());
        assert_eq!(text.matches("near_expiry").count(), 1);
    }

    #[test]
    fn cuts_nothing_if_the_output_is_not_a_terminal() {
        let mut event = test_events::completed();
        event.tls.server_name = Some("a".repeat(200));
        assert!(table(&[event], TextStyle::default()).contains(&"a".repeat(200)));
    }

    #[test]
    fn a_hostile_name_cannot_reach_the_terminal() {
        let mut event = test_events::completed();
        event.tls.server_name = Some("\u{1b}]0;owned\u{7}\nFAILED".into());
        event.tls.alpn = Some("\u{1b}[2J".into());
        for width in [None, Some(80), Some(120), Some(200)] {
            let text = table(
                std::slice::from_ref(&event),
                TextStyle {
                    color: false,
                    width,
                },
            );
            assert!(
                text.chars().all(|c| c == '\n' || !c.is_control()),
                "{text:?}"
            );
            assert_eq!(text.lines().count(), 3); // the header, the line, the end
        }
    }

    #[test]
    fn colour_adds_nothing_but_escapes() {
        let events = test_events::all();
        let colored = table(
            &events,
            TextStyle {
                color: true,
                width: None,
            },
        );
        assert!(colored.contains('\u{1b}'));
        let stripped = anstream::adapter::strip_str(&colored).to_string();
        assert_eq!(stripped, table(&events, TextStyle::default()));
    }

    #[test]
    fn the_header_is_repeated_on_another_day() {
        let mut next_day = test_events::completed();
        next_day.time = Timestamp::from_seconds(1_772_409_601);
        let text = table(&[test_events::completed(), next_day], TextStyle::default());
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("2026-03-01 Z CLIENT"));
        assert!(lines[3].starts_with("2026-03-02 Z CLIENT"));
        assert_eq!(lines.len(), 6);
    }
}

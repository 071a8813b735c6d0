//! A line a handshake, for people: the default of `tlscope read`.
//!
//! Lines appear as verdicts come, so columns have fixed widths, chosen once for the
//! terminal's. A header names the day, and comes again when the day changes. Where
//! the terminal is too narrow for both, a server is named rather than addressed;
//! where the output is no terminal, nothing is cut.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use owo_colors::Style;

use super::Sink;
use super::text::{Cut, Look, fit, printable, push_left, push_right};
use crate::event::{
    ClientCertificate, ClosedBy, Directions, EarlyData, Evidence, Handshake, Outcome,
};
use crate::flow::Endpoint;
use crate::stats::Stats;

/// Writes the table; the summary is [`super::summary`]'s.
#[derive(Debug)]
pub struct TableSink<W> {
    output: W,
    look: Look,
    layout: Layout,
    day: String,
    line: String,
}

impl<W: Write> TableSink<W> {
    /// Writes to `output`, which should have a buffer.
    #[must_use]
    pub fn new(output: W, look: Look) -> Self {
        Self {
            output,
            look,
            layout: Layout::for_width(look.width),
            day: String::new(),
            line: String::new(),
        }
    }

    /// Writes the header if this handshake is of another day than the last.
    fn start_day(&mut self, day: &str) -> io::Result<()> {
        if self.day == day {
            return Ok(());
        }
        if !self.day.is_empty() {
            writeln!(self.output)?;
        }
        day.clone_into(&mut self.day);
        let header = self.layout.header(day);
        writeln!(self.output, "{}", self.look.heading().style(header))
    }

    fn outcome_style(&self, outcome: Outcome) -> Style {
        match outcome {
            Outcome::Success => self.look.good(),
            Outcome::Failure => self.look.bad(),
            Outcome::Unknown => self.look.doubtful(),
        }
    }
}

impl<W: Write> Sink for TableSink<W> {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        let time = event.time.to_string(); // as in 2026-03-01T12:00:00.123456789Z
        let (day, time) = time.split_once('T').unwrap_or_default();
        self.start_day(day)?;
        let style = self.outcome_style(event.outcome);
        self.line.clear();
        self.layout.write_row(&mut self.line, time, event, style);
        writeln!(self.output, "{}", self.line.trim_end())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    fn finish(&mut self, _: &Stats) -> io::Result<()> {
        self.flush()
    }
}

/// Widths of the columns.
#[derive(Clone, Copy, Debug)]
struct Layout {
    time: usize,
    client: usize,
    client_has_port: bool,
    server: usize,
    /// 0 where the server's column holds the name instead.
    name: usize,
    /// What is left for notes; `None` for all they need.
    notes: Option<usize>,
    cut: Cut,
}

const VERSION: usize = 7; // "TLS 1.3"
const LATENCY: usize = 8; // "100000.0"
const OUTCOME: usize = 7; // "unknown"
const PORT: usize = 6; // ":65535"
const IPV4: usize = 15; // "255.255.255.255"

/// Columns at which a server's name and address both fit, with room for notes.
const WIDE: usize = 150;
/// Columns below which ports and milliseconds have to go.
const NARROW: usize = 100;

impl Layout {
    fn for_width(width: Option<usize>) -> Self {
        let wide = Self {
            time: "12:00:00.123".len(),
            client: IPV4 + PORT,
            client_has_port: true,
            server: IPV4 + PORT,
            name: 28,
            notes: None,
            cut: Cut::Middle,
        };
        let Some(width) = width else {
            let cut = Cut::Never;
            return Self { cut, ..wide };
        };
        let layout = if width >= WIDE {
            wide
        } else if width >= NARROW {
            Self {
                server: 24,
                name: 0,
                ..wide
            }
        } else {
            let (time, client) = ("12:00:00".len(), IPV4);
            Self {
                time,
                client,
                client_has_port: false,
                server: 18,
                name: 0,
                ..wide
            }
        };
        let notes = Some(width.saturating_sub(layout.before_notes()));
        Self { notes, ..layout }
    }

    /// Columns before the notes, with the space between columns.
    fn before_notes(&self) -> usize {
        let name = if self.name == 0 { 0 } else { self.name + 1 };
        self.time + self.client + self.server + name + VERSION + LATENCY + OUTCOME + 6
    }

    fn header(&self, day: &str) -> String {
        let mut line = String::new();
        let day = if self.time > day.len() {
            format!("{day} Z")
        } else {
            "UTC".to_owned()
        };
        self.push(&mut line, &day, self.time);
        self.push(&mut line, "CLIENT", self.client);
        self.push(&mut line, "SERVER", self.server);
        if self.name > 0 {
            self.push(&mut line, "NAME", self.name);
        }
        self.push(&mut line, "VERSION", VERSION);
        push_right(&mut line, "MS", LATENCY);
        line + " OUTCOME"
    }

    fn write_row(&self, line: &mut String, time: &str, event: &Handshake, style: Style) {
        self.push(line, time.get(..self.time).unwrap_or(time), self.time);
        self.push(line, &self.client(event.client), self.client);
        self.push(line, &self.server(event), self.server);
        if self.name > 0 {
            let name = event.tls.server_name.as_deref().unwrap_or("-");
            self.push(line, &printable(name), self.name);
        }
        let version = event
            .tls
            .version
            .map_or(Cow::Borrowed("-"), |version| version.to_string().into());
        self.push(line, &version, VERSION);
        push_right(line, &latency(event), LATENCY);
        let outcome = outcome_word(event.outcome);
        let _ = write!(
            line,
            " {} ",
            style.style(format_args!("{outcome:OUTCOME$}"))
        );
        let notes = notes(event);
        let cut = if self.notes.is_some() {
            Cut::End
        } else {
            Cut::Never
        };
        line.push_str(&fit(&printable(&notes), self.notes.unwrap_or(0), cut));
    }

    fn push(&self, line: &mut String, text: &str, width: usize) {
        push_left(line, &fit(text, width, self.cut), width);
        line.push(' ');
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

/// What else is worth saying, the most important first.
fn notes(event: &Handshake) -> String {
    let mut notes = Notes::default();
    if let Some(error) = &event.error {
        notes.add(error.error_type.as_str());
        if let Some(side) = error.side {
            let _ = write!(notes.0, " ({side})");
        }
        let _ = write!(notes.0, ": {}", error.message);
    }
    if event.evidence == Evidence::Inferred {
        notes.add("inferred");
    }
    if event.outcome == Outcome::Unknown {
        add_doubts(&mut notes, event);
    }
    add_features(&mut notes, event);
    for finding in &event.validation {
        notes.add("! ");
        let _ = write!(notes.0, "{} ({})", finding.error_type, finding.side);
    }
    notes.0
}

/// Why there is no verdict.
fn add_doubts(notes: &mut Notes, event: &Handshake) {
    match event.capture.directions {
        Directions::Both => {}
        Directions::ClientOnly => notes.add("only the client was captured"),
        Directions::ServerOnly => notes.add("only the server was captured"),
    }
    if event.capture.client_gap_bytes + event.capture.server_gap_bytes > 0 {
        notes.add("gap in the capture");
    }
    if event.capture.truncated {
        notes.add("packets cut short");
    }
    match event.closed_by {
        Some(ClosedBy::CaptureEnd) => notes.add("capture ended first"),
        Some(ClosedBy::Timeout) => notes.add("went silent"),
        _ => {}
    }
}

/// What was negotiated beyond the plain case.
fn add_features(notes: &mut Notes, event: &Handshake) {
    let tls = &event.tls;
    let features = [
        (event.starttls, event.starttls.is_some()),
        (tls.alpn.as_deref(), tls.alpn.is_some()),
        (Some("resumed"), tls.resumed == Some(true)),
        (Some("0-RTT"), tls.early_data == Some(EarlyData::Accepted)),
        (
            Some("0-RTT rejected"),
            tls.early_data == Some(EarlyData::Rejected),
        ),
        (Some("hello retry"), tls.hello_retry_request == Some(true)),
        (
            Some("client certificate"),
            tls.client_certificate == ClientCertificate::Presented,
        ),
        (
            Some("no client certificate"),
            tls.client_certificate == ClientCertificate::Absent,
        ),
        (Some("renegotiation"), tls.renegotiation),
        (Some("unused"), tls.unused == Some(true)),
    ];
    for (feature, present) in features {
        if let (Some(feature), true) = (feature, present) {
            notes.add(feature);
        }
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
    use crate::sink::test_events;
    use crate::time::Timestamp;

    fn table(events: &[Handshake], look: Look) -> String {
        let mut output = Vec::new();
        let mut sink = TableSink::new(&mut output, look);
        for event in events {
            sink.handshake(event).unwrap();
        }
        sink.finish(&Stats::default()).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn says_who_failed_and_why() {
        let text = table(&[test_events::refused_by_the_client()], Look::default());
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
            let look = Look {
                color: false,
                width: Some(width),
            };
            for line in table(std::slice::from_ref(&long), look).lines().skip(1) {
                let fixed = Layout::for_width(Some(width)).before_notes();
                assert!(line.width() <= width.max(fixed), "{width}: {line}");
            }
        }
    }

    #[test]
    fn cuts_nothing_where_there_is_no_terminal() {
        let mut event = test_events::completed();
        event.tls.server_name = Some("a".repeat(200));
        assert!(table(&[event], Look::default()).contains(&"a".repeat(200)));
    }

    #[test]
    fn a_hostile_name_cannot_reach_the_terminal() {
        let mut event = test_events::completed();
        event.tls.server_name = Some("\u{1b}]0;owned\u{7}\nFAILED".into());
        event.tls.alpn = Some("\u{1b}[2J".into());
        for width in [None, Some(80), Some(120), Some(200)] {
            let text = table(
                std::slice::from_ref(&event),
                Look {
                    color: false,
                    width,
                },
            );
            assert!(
                text.chars().all(|c| c == '\n' || !c.is_control()),
                "{text:?}"
            );
            assert_eq!(text.lines().count(), 2);
        }
    }

    #[test]
    fn colour_adds_nothing_but_escapes() {
        let events = test_events::all();
        let colored = table(
            &events,
            Look {
                color: true,
                width: None,
            },
        );
        assert!(colored.contains('\u{1b}'));
        let stripped = anstream::adapter::strip_str(&colored).to_string();
        assert_eq!(stripped, table(&events, Look::default()));
    }

    #[test]
    fn the_header_comes_again_with_another_day() {
        let mut next_day = test_events::completed();
        next_day.time = Timestamp::from_seconds(1_772_409_601);
        let text = table(&[test_events::completed(), next_day], Look::default());
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("2026-03-01 Z CLIENT"));
        assert!(lines[3].starts_with("2026-03-02 Z CLIENT"));
        assert_eq!(lines.len(), 5);
    }
}

//! One line per handshake, for people: the default of `tlscope read`.
//!
//! Rows come in the order in which handshakes began, and verdicts do not. A row waits until every older handshake has
//! its verdict, within limits, so that one that hangs does not hold up the others. The widths of columns are chosen once,
//! for the width of the terminal. A header with the date is written at the start and
//! whenever the date changes. On a narrow terminal, columns are left out and names are cut in the middle. If the output is
//! not a terminal, nothing is cut.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use jiff::civil::Date;
use owo_colors::Style;
use unicode_width::UnicodeWidthStr;

use super::text::{Cut, TextStyle, fit, printable, printable_message, push_left, push_right, wrap};
use crate::event::{
    ClientCertificate, Directions, EapFacts, EarlyData, Evidence, Finding, Handshake, LocalProcess,
    NotTls, NotTlsKind, Outcome, RenegotiationEnd, UnknownBecause,
};
use crate::flow::Endpoint;
use crate::sink::{Needs, Renderer, Sink};
use crate::stats::{Progress, Stats};
use crate::time::Timestamp;

/// Writes the table; [`super::summary`] writes the summary.
#[derive(Debug)]
pub struct TableSink<W> {
    output: W,
    renderer: RowRenderer,
    /// The date of the last header; `None` before the first.
    day: Option<Date>,
    /// Rows that wait for older handshakes, by time and in the order in which they came.
    waiting: BTreeMap<(Timestamp, u64), String>,
    /// Rows so far.
    rows: u64,
    /// Whether the notes of a row were cut.
    has_cut: bool,
    options: RowOptions,
}

/// What rows show, and in which order they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowOptions {
    /// Whether a column has the file or interface of each handshake.
    pub shows_source: bool,
    /// Columns of the longest of these, if they are known: without a terminal, the others are padded to it.
    pub source_width: usize,
    /// How many bytes all paths have in common at their beginning. On a terminal, what differs has to be seen.
    pub source_common: usize,
    /// Whether files in different directories have the same name.
    pub source_names_repeat: bool,
    /// Whether rows are written in the order in which they are received, each with its date; otherwise in order of time.
    pub keeps_order: bool,
    /// Whether the last row is the end: no empty line and no summary follow.
    pub is_all: bool,
    /// Whether a column has the processes of both ends.
    pub shows_processes: bool,
    /// Whether JSON has the names of what clients offer next to the numbers.
    pub names: bool,
    /// Bytes of memory for texts that JSON may write again; `None` for as many as it uses.
    pub room_for_texts: Option<usize>,
}

/// Rows that wait at most, of some 200 bytes each. The oldest are written first.
const MAX_WAITING: usize = 10_000;
/// How long a row waits at most, in packet time: a replay takes no time, and people watch a live run.
const PATIENCE: Duration = Duration::from_secs(60);
const LIVE_PATIENCE: Duration = Duration::from_secs(2);

impl<W: Write> TableSink<W> {
    /// Writes to `output`, which should have a buffer.
    #[must_use]
    pub fn new(output: W, style: TextStyle) -> Self {
        Self::with_options(output, style, RowOptions::default())
    }

    /// As [`TableSink::new`], with other rows.
    #[must_use]
    pub fn with_options(output: W, style: TextStyle, options: RowOptions) -> Self {
        Self {
            output,
            renderer: RowRenderer {
                layout: Layout::new(style.width, options),
                style,
            },
            day: None,
            waiting: BTreeMap::new(),
            rows: 0,
            has_cut: false,
            options,
        }
    }

    /// Adds a row, and writes the oldest if too many wait.
    fn add(&mut self, time: Timestamp, row: &str) -> io::Result<()> {
        if self.options.keeps_order {
            if self.rows == 0 {
                self.write_header("")?;
            }
            self.rows += 1;
            return writeln!(self.output, "{}", row.trim_end());
        }
        self.waiting
            .insert((time, self.rows), row.trim_end().to_owned());
        self.rows += 1;
        while self.waiting.len() > MAX_WAITING {
            self.write_first()?;
        }
        Ok(())
    }

    /// Writes the oldest row.
    fn write_first(&mut self) -> io::Result<()> {
        if let Some(((time, _), row)) = self.waiting.pop_first() {
            self.start_day(time.date_time().date())?;
            writeln!(self.output, "{row}")?;
        }
        Ok(())
    }

    /// Writes the header if this handshake is on another day than the last.
    fn start_day(&mut self, day: Date) -> io::Result<()> {
        let Some(last) = self.day.replace(day) else {
            return self.write_header(&day.to_string());
        };
        if last == day {
            return Ok(());
        }
        writeln!(self.output)?;
        self.write_header(&day.to_string())
    }

    fn write_header(&mut self, day: &str) -> io::Result<()> {
        let RowRenderer { layout, style } = self.renderer;
        let header = layout.header(day);
        writeln!(self.output, "{}", style.heading().style(header))
    }
}

/// Makes the rows.
#[derive(Clone, Copy, Debug)]
struct RowRenderer {
    layout: Layout,
    style: TextStyle,
}

impl RowRenderer {
    /// Appends the row of a handshake; whether its notes were cut.
    fn write_row(&self, row: &mut String, event: &Handshake) -> bool {
        let style = outcome_style(self.style, event.outcome);
        self.layout.write_row(row, event, style)
    }

    /// Appends the row of a connection without TLS; `None` if it has none. Probes by load balancers and monitors come by the thousand:
    /// they are in the summary only.
    fn write_plain_row(&self, row: &mut String, event: &NotTls) -> Option<bool> {
        let has_row = event.kind != NotTlsKind::SilentProbe;
        let style = self.style.doubtful();
        has_row.then(|| self.layout.write_plain_row(row, event, style))
    }
}

/// Rows are handed over with their times, since they wait for others.
impl Renderer for RowRenderer {
    fn handshake(&mut self, event: &Handshake, text: &mut Vec<u8>) -> io::Result<()> {
        let mut row = String::new();
        let is_cut = self.write_row(&mut row, event);
        RenderedRow::new(event.time, is_cut, &row).append_to(text);
        Ok(())
    }

    fn not_tls(&mut self, event: &NotTls, text: &mut Vec<u8>) -> io::Result<()> {
        let mut row = String::new();
        if let Some(is_cut) = self.write_plain_row(&mut row, event) {
            RenderedRow::new(event.time, is_cut, &row).append_to(text);
        }
        Ok(())
    }
}

/// A row on its way from a renderer to the table: its time, whether it was cut, its length, and its text.
struct RenderedRow<'a> {
    time: Timestamp,
    is_cut: bool,
    text: &'a str,
}

impl<'a> RenderedRow<'a> {
    const fn new(time: Timestamp, is_cut: bool, text: &'a str) -> Self {
        Self { time, is_cut, text }
    }

    fn append_to(&self, rows: &mut Vec<u8>) {
        rows.extend_from_slice(&self.time.as_nanoseconds().to_be_bytes());
        rows.push(self.is_cut.into());
        rows.extend_from_slice(&self.text.len().to_be_bytes());
        rows.extend_from_slice(self.text.as_bytes());
    }

    /// Takes the first of what renderers have written; `None` if nothing is left.
    fn take_from(rows: &mut &'a [u8]) -> Option<Self> {
        let (time, rest) = rows.split_first_chunk()?;
        let (is_cut, rest) = rest.split_first()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(usize::from_be_bytes(*length))?;
        *rows = rest;
        Some(Self {
            time: Timestamp::from_nanoseconds(i64::from_be_bytes(*time)),
            is_cut: *is_cut != 0,
            text: std::str::from_utf8(text).ok()?,
        })
    }
}

impl<W: Write> Sink for TableSink<W> {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        let mut row = String::new();
        self.has_cut |= self.renderer.write_row(&mut row, event);
        self.add(event.time, &row)
    }

    fn not_tls(&mut self, event: &NotTls) -> io::Result<()> {
        let mut row = String::new();
        match self.renderer.write_plain_row(&mut row, event) {
            Some(is_cut) => {
                self.has_cut |= is_cut;
                self.add(event.time, &row)
            }
            None => Ok(()),
        }
    }

    fn needs(&self) -> Needs {
        Needs::NONE
    }

    fn renderers(&self, count: usize) -> Vec<Box<dyn Renderer>> {
        (0..count).map(|_| Box::new(self.renderer) as _).collect()
    }

    fn rendered(&mut self, mut rows: &[u8], _: u64) -> io::Result<()> {
        while let Some(row) = RenderedRow::take_from(&mut rows) {
            self.has_cut |= row.is_cut;
            self.add(row.time, row.text)?;
        }
        Ok(())
    }

    fn progress(&mut self, progress: &Progress) -> io::Result<()> {
        let patience = if progress.is_live {
            LIVE_PATIENCE
        } else {
            PATIENCE
        };
        while let Some(((time, _), _)) = self.waiting.first_key_value() {
            let is_complete = progress.oldest_open.is_none_or(|open| *time <= open);
            let has_waited = progress.now.checked_since(*time);
            if !is_complete && has_waited.is_none_or(|waited| waited < patience) {
                break;
            }
            self.write_first()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// Ends the table with what shows rows in full, if one was cut, and with an empty line, if a summary follows.
    fn finish(&mut self, _: &Stats) -> io::Result<()> {
        while !self.waiting.is_empty() {
            self.write_first()?;
        }
        if let Some(width) = self.renderer.style.width.filter(|_| self.has_cut) {
            let hint = format!(
                "Rows are cut to {width} columns: `--wide` shows them whole, `tlscope show` one handshake in full."
            );
            for line in wrap(&hint, width) {
                writeln!(self.output, "{line}")?;
            }
        }
        if !self.options.is_all && self.rows > 0 {
            writeln!(self.output)?;
        }
        self.flush()
    }
}

/// Widths of the columns; a column of width 0 is left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    time: usize,
    /// Whether each row has its date.
    has_date: bool,
    source: usize,
    /// As in [`RowOptions`].
    source_common: usize,
    source_names_repeat: bool,
    client: usize,
    client_has_port: bool,
    server: usize,
    /// If it is left out, the column of the server has the name.
    name: usize,
    process: usize,
    version: usize,
    latency: usize,
    /// Width of the notes; `None` if it is not limited.
    notes: Option<usize>,
    cut: Cut,
}

/// A path without the extensions of captures.
fn without_extension(path: &str) -> &str {
    let strip = |path, extensions: &[&str]| {
        let mut extensions = extensions.iter();
        extensions
            .find_map(|extension| str::strip_suffix(path, extension))
            .unwrap_or(path)
    };
    let plain = strip(path, &[".gz", ".zst", ".xz"]);
    strip(plain, &[".pcapng", ".pcap", ".cap"])
}

const VERSION: usize = 7; // "TLS 1.3"
const LATENCY: usize = 6; // "9999.9": a longer handshake times out, by default
const OUTCOME: usize = 7; // "unknown"
const PORT: usize = 6; // ":65535"
const IPV4: usize = 15; // "255.255.255.255"
const SOURCE: usize = 20;
const PROCESS: usize = 24; // "curl[12345]→nginx[12345]"
/// Columns that names of files are padded to without a terminal: one long name should not move all rows.
const MAX_SOURCE: usize = 60;

/// Columns at which the name and the address of a server both fit, with room for notes.
const WIDE: usize = 150;
/// Columns below which clients and durations are left out, too: half of a screen.
const NARROW: usize = 72;
/// Columns below which names are cut short and times have no seconds: a phone.
const TINY: usize = 50;
/// Columns that a cause and its side take, and a sign that more is cut: `client_rejected_server (client)…`. No other column may
/// take their room.
const CAUSE: usize = 32;

impl Layout {
    pub(super) fn new(width: Option<usize>, options: RowOptions) -> Self {
        let source = if options.shows_source { SOURCE } else { 0 };
        let wide = Self {
            time: "12:00:00.123".len(),
            has_date: options.keeps_order,
            source,
            source_common: options.source_common,
            source_names_repeat: options.source_names_repeat,
            client: IPV4 + PORT,
            client_has_port: true,
            server: IPV4 + PORT,
            name: 28,
            process: if options.shows_processes { PROCESS } else { 0 },
            version: VERSION,
            latency: LATENCY,
            notes: None,
            cut: Cut::Middle,
        };
        let Some(width) = width else {
            let source = source.max(options.source_width.min(MAX_SOURCE));
            let cut = Cut::Never;
            return Self {
                source,
                cut,
                ..wide
            };
        };
        let mut layout = if width >= WIDE && wide.has_room_for_the_cause(width) {
            wide
        } else {
            wide.narrowed(width)
        };
        layout.notes = Some(width.saturating_sub(layout.before_notes()));
        layout
    }

    /// The columns that a terminal of 80 columns has, or fewer; then, as long as the cause of a failure keeps its room, more of them.
    fn narrowed(self, width: usize) -> Self {
        let mut layout = Self {
            time: "12:00:00".len(),
            source: if self.source > 0 { IPV4 } else { 0 },
            client: if self.source > 0 { 0 } else { IPV4 },
            client_has_port: false,
            server: 18,
            name: 0,
            version: 0,
            ..self
        };
        if width < NARROW {
            layout.process = 0;
            layout.source = layout.source.min(10);
            (layout.client, layout.latency) = (0, 0);
            layout.server = if layout.source > 0 { 13 } else { 20 };
        }
        if width < TINY {
            (layout.time, layout.server, layout.source) = ("12:00".len(), 13, 0);
        }
        let widen: [fn(&mut Self); 6] = [
            |layout| layout.client = layout.client.max(IPV4),
            |layout| layout.server = 24,
            |layout| layout.version = VERSION,
            |layout| (layout.client, layout.client_has_port) = (IPV4 + PORT, true),
            |layout| {
                if !layout.has_date {
                    layout.time = "12:00:00.123".len();
                }
            },
            |layout| {
                if layout.source > 0 {
                    layout.source = SOURCE;
                }
            },
        ];
        for widen in widen {
            let mut wider = layout;
            widen(&mut wider);
            if width < NARROW || !wider.has_room_for_the_cause(width) {
                break;
            }
            layout = wider;
        }
        layout
    }

    fn has_room_for_the_cause(&self, width: usize) -> bool {
        self.before_notes() + CAUSE <= width
    }

    /// Columns of the time, and of the date before it.
    fn time_width(&self) -> usize {
        self.time + if self.has_date { self.date().1 + 1 } else { 0 }
    }

    /// How a date is written, and in how many columns: without the year where there is little room.
    fn date(&self) -> (&'static str, usize) {
        match self.version {
            0 => ("%m-%d", 5),
            _ => ("%Y-%m-%d", 10),
        }
    }

    /// Columns before the notes, with the space between columns.
    fn before_notes(&self) -> usize {
        let cells = [
            self.time_width(),
            self.source,
            self.client,
            self.server,
            self.name,
            self.process,
            self.version,
            self.latency,
            OUTCOME,
        ];
        cells
            .iter()
            .filter(|width| **width > 0)
            .map(|width| width + 1)
            .sum()
    }

    /// The names of the columns; that of the times is `day`, unless each row has its date.
    pub(super) fn header(&self, day: &str) -> String {
        let mut line = String::new();
        // The day, and Z for UTC; the year only where it fits.
        let day = match self.time {
            12.. => day,
            8.. => day.get(5..).unwrap_or(day),
            _ => "",
        };
        let time = if self.has_date || day.is_empty() {
            "UTC".to_owned()
        } else {
            format!("{day} Z")
        };
        self.push(&mut line, &time, self.time_width());
        self.push(&mut line, "FILE", self.source);
        self.push(&mut line, "CLIENT", self.client);
        self.push(&mut line, "SERVER", self.server);
        self.push(&mut line, "NAME", self.name);
        self.push(&mut line, "PROCESS", self.process);
        self.push(&mut line, "VERSION", self.version);
        self.push_latency(&mut line, "MS");
        line + "OUTCOME"
    }

    /// Appends the row of `event`; whether its notes were cut.
    pub(super) fn write_row(&self, line: &mut String, event: &Handshake, style: Style) -> bool {
        let name = event
            .tls
            .server_name
            .as_deref()
            .map_or(Cow::Borrowed("-"), printable);
        self.push_time(line, event.time);
        self.push(line, &self.source(&event.source), self.source);
        self.push(line, &self.client(event.client), self.client);
        self.push(line, &self.server(event), self.server);
        self.push(line, &name, self.name);
        self.push(line, &processes(event), self.process);
        self.push(line, &version(event), self.version);
        self.push_latency(line, &latency(event));
        let mut notes = Notes(notes(event));
        if self.notes.is_none() {
            add_layers(&mut notes, event);
        }
        self.push_outcome(line, outcome_word(event.outcome), style, &notes.0)
    }

    /// The row of a connection without TLS; whether its notes were cut.
    fn write_plain_row(&self, line: &mut String, event: &NotTls, style: Style) -> bool {
        let source = event.source.as_deref();
        let source = source.map_or(Cow::Borrowed("-"), |source| self.source(source));
        self.push_time(line, event.time);
        self.push(line, &source, self.source);
        self.push(line, &self.client(event.client), self.client);
        self.push(line, &event.server.to_string(), self.server);
        self.push(line, "-", self.name);
        self.push(line, "-", self.process);
        self.push(line, "-", self.version);
        self.push_latency(line, "-");
        let starttls = event.starttls.map_or("", |starttls| starttls.as_str());
        let separator = if starttls.is_empty() { "" } else { ", " };
        let notes = format!("{}: {}{separator}{starttls}", event.kind, event.message);
        self.push_outcome(line, "no TLS", style, &notes)
    }

    fn push_time(&self, line: &mut String, time: Timestamp) {
        let time = time.date_time();
        let mut text = String::new();
        if self.has_date {
            let _ = write!(text, "{} ", time.strftime(self.date().0));
        }
        let _ = write!(text, "{:.9}", time.time());
        let width = self.time_width();
        self.push(line, text.get(..width).unwrap_or(&text), width);
    }

    fn push_latency(&self, line: &mut String, text: &str) {
        if self.latency > 0 {
            push_right(line, text, self.latency);
            line.push(' ');
        }
    }

    /// A path. Where it does not fit, the name of the file, without its extension if that has no room; otherwise what is not the same in
    /// all paths. That may be cut in the middle.
    fn source<'a>(&self, source: &'a str) -> Cow<'a, str> {
        let fits = |text: &str| self.cut == Cut::Never || text.width() <= self.source;
        if fits(source) {
            return printable(source);
        }
        let bare = without_extension(source);
        let name = |path: &'a str| path.rsplit('/').next().unwrap_or(path);
        if !self.source_names_repeat
            && let Some(name) = [name(source), name(bare)].into_iter().find(|it| fits(it))
        {
            return printable(name);
        }
        match bare.get(self.source_common..) {
            Some(rest) if self.source_common > 0 && !rest.is_empty() => {
                Cow::Owned(format!("…{}", printable(rest)))
            }
            _ if self.source_names_repeat => printable(bare),
            _ => printable(name(bare)),
        }
    }

    /// Whether the notes were cut.
    fn push_outcome(&self, line: &mut String, outcome: &str, style: Style, notes: &str) -> bool {
        let _ = write!(line, "{} ", style.style(format_args!("{outcome:OUTCOME$}")));
        let notes = printable_message(notes);
        let fitted = match self.notes {
            Some(width) => fit(&notes, width, Cut::End),
            None => Cow::Borrowed(&*notes),
        };
        line.push_str(&fitted);
        fitted != notes
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

pub(super) fn outcome_style(style: TextStyle, outcome: Outcome) -> Style {
    match outcome {
        Outcome::Success => style.good(),
        Outcome::Failure => style.bad(),
        Outcome::Unknown => style.doubtful(),
    }
}

pub(super) fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "ok",
        Outcome::Failure => "FAILED",
        Outcome::Unknown => "unknown",
    }
}

/// The version; a draft of TLS 1.3 as in `draft28`, which fits the column.
fn version(event: &Handshake) -> String {
    match event.tls.version.map(|version| (version, version.draft())) {
        Some((_, Some(draft))) => format!("draft{draft}"),
        Some((version, None)) => version.to_string(),
        None => "-".to_owned(),
    }
}

/// The processes of both ends, with an arrow from the client to the server; that of one end alone keeps its side of the arrow.
fn processes(event: &Handshake) -> Cow<'static, str> {
    let name = |process: &Option<Box<LocalProcess>>| process.as_ref()?.name();
    let text = match (name(&event.client_process), name(&event.server_process)) {
        (None, None) => return "-".into(),
        (Some(client), None) => format!("{client}→"),
        (None, Some(server)) => format!("→{server}"),
        (Some(client), Some(server)) => format!("{client}→{server}"),
    };
    printable(&text).into_owned().into()
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
        (Some(because @ UnknownBecause::NoAnswer), _) => notes.add(because.explanation()),
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
    let proxy = event.proxy.as_ref().map(ToString::to_string);
    let login = event.eap.as_deref().map(login);
    let features = [
        (login.as_deref(), login.is_some()),
        (
            event.starttls.map(|starttls| starttls.as_str()),
            event.starttls.is_some(),
        ),
        (proxy.as_deref(), proxy.is_some()),
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
                Some(RenegotiationEnd::Open) => "renegotiation not completed",
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

/// Adds the VLAN tags and the tunnels, which all rows of a capture may have: only where nothing is cut.
fn add_layers(notes: &mut Notes, event: &Handshake) {
    for vlan in &event.vlan {
        notes.add(&format!("vlan {vlan}"));
    }
    for tunnel in &event.tunnel {
        notes.add(&format!("tunnel {tunnel}"));
    }
}

/// The EAP method, who logs in, and how that ended.
fn login(eap: &EapFacts) -> String {
    let method = eap.method.map(|method| format!("eap {method}"));
    let user = eap.user_name.clone();
    let station = eap.calling_station_id.clone();
    let result = eap.result.map(|result| result.to_string());
    let parts = [method, user, station, result];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// That the client showed a certificate, with its name if it is visible.
fn client_certificate(event: &Handshake) -> Cow<'_, str> {
    let leaf = event
        .client_certificates
        .as_ref()
        .and_then(|chain| chain.first());
    match leaf.map(|leaf| &leaf.facts) {
        Some(Ok(facts)) => format!("client certificate {}", facts.identity()).into(),
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
    fn a_column_has_the_processes_at_both_ends_if_they_are_asked_for() {
        let mut event = test_events::refused_by_the_client();
        let process = |command: &str, pid| {
            let mut process = LocalProcess::new();
            (process.command, process.pid) = (Some(command.into()), Some(pid));
            Some(Box::new(process))
        };
        assert_eq!(processes(&event), "-");
        event.server_process = process("nginx", 640);
        assert_eq!(processes(&event), "→nginx[640]");
        event.client_process = process("curl\u{1b}", 812);
        let options = RowOptions {
            shows_processes: true,
            ..RowOptions::default()
        };
        let layout = Layout::new(None, options);
        let mut row = String::new();
        layout.write_row(&mut row, &event, Style::new());
        assert!(layout.header("2026-03-01").contains(" PROCESS "));
        assert!(row.contains("[812]→nginx[640]"), "{row}");
        assert!(!row.contains('\u{1b}'), "{row}");
        let narrow = Layout::new(Some(60), options);
        assert!(!narrow.header("").contains("PROCESS"));
        let usual = Layout::new(None, RowOptions::default());
        assert!(!usual.header("").contains("PROCESS"));
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
        assert!(line.ends_with("! near_expiry (server), vlan 12"), "{line}");
    }

    #[test]
    fn fits_every_terminal() {
        let mut long = test_events::refused_by_the_client();
        long.tls.server_name = Some("例".repeat(200).into());
        long.client.address = "2001:db8:1111:2222:3333:4444:5555:6666".parse().unwrap();
        for width in [20, 40, 60, 71, 80, 99, 100, 120, 149, 150, 250] {
            let style = TextStyle {
                color: false,
                width: Some(width),
            };
            for line in table(std::slice::from_ref(&long), style).lines().skip(1) {
                let fixed = Layout::new(Some(width), RowOptions::default()).before_notes();
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
    fn no_column_takes_the_room_of_the_cause_and_its_side() {
        let mut event = test_events::refused_by_the_client();
        event.error.as_mut().unwrap().error_type = ErrorType::ClientRejectedServer;
        for shows_source in [false, true] {
            let options = RowOptions {
                shows_source,
                ..RowOptions::default()
            };
            let mut columns = 0;
            for width in 91..250 {
                let layout = Layout::new(Some(width), options);
                let mut row = String::new();
                layout.write_row(&mut row, &event, Style::new());
                let cause = "FAILED  client_rejected_server (client)";
                assert!(row.contains(cause), "{width}: {row}");
                let header = layout.header("2026-03-01");
                assert_eq!(header.contains("FILE"), shows_source, "{width}: {header}");
                let more = header.split_whitespace().count();
                assert!(more >= columns, "{width}: {header}");
                columns = more;
            }
        }
    }

    #[test]
    fn what_differs_between_paths_is_seen_where_they_do_not_fit() {
        let shown = |width, source_common, source_names_repeat, source: &str| {
            let options = RowOptions {
                shows_source: true,
                source_common,
                source_names_repeat,
                ..RowOptions::default()
            };
            let layout = Layout::new(Some(width), options);
            let mut line = String::new();
            layout.push(&mut line, &layout.source(source), layout.source);
            line.trim_end().to_owned()
        };
        let common = "/var/capture-2026-11-21-".len();
        for (width, source, expected) in [
            (
                80,
                "/var/capture-2026-11-21-morning-eth0.pcapng.gz",
                "…morning-eth0",
            ),
            (
                60,
                "/var/capture-2026-11-21-morning-eth0.pcapng.gz",
                "…morn…eth0",
            ),
            (80, "/var/capture-2026-11-21.pcap", "capture…6-11-21"),
        ] {
            let common = if source.ends_with(".gz") { common } else { 0 };
            assert_eq!(shown(width, common, false, source), expected);
        }
        // The name is enough, unless it is that of several files.
        let path = "/var/lib/captures/mon/eth0.pcap";
        assert_eq!(shown(80, 18, false, path), "eth0.pcap");
        assert_eq!(shown(80, 18, true, path), "…mon/eth0");
    }

    #[test]
    fn several_files_are_named_in_half_of_a_screen_as_well() {
        let options = RowOptions {
            shows_source: true,
            ..RowOptions::default()
        };
        for width in [60, 80] {
            let layout = Layout::new(Some(width), options);
            let mut row = String::new();
            layout.write_row(
                &mut row,
                &test_events::refused_by_the_client(),
                Style::new(),
            );
            assert!(
                row.contains(" captu") || row.contains(" capture.pcapng "),
                "{row}"
            );
            assert!(row.contains("FAILED  unknown_ca (clien"), "{row}");
            assert!(row.width() <= width, "{row}");
        }
    }

    #[test]
    fn tunnels_and_vlan_tags_are_noted_where_nothing_is_cut() {
        let mut event = test_events::completed();
        event.vlan = vec![12];
        event.tunnel = vec![crate::event::Tunnel {
            protocol: "vxlan",
            id: Some(42),
        }];
        let at = |width| {
            let color = false;
            table(std::slice::from_ref(&event), TextStyle { color, width })
        };
        assert!(at(None).contains(", vlan 12, tunnel vxlan:42\n"));
        assert!(!at(Some(200)).contains("vxlan"));
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
        event.tls.server_name = Some("a".repeat(200).into());
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
            let is_row = |line: &&str| !line.is_empty() && !line.starts_with("Rows are cut");
            assert_eq!(text.lines().take_while(is_row).count(), 2); // the header, the line
        }
    }

    #[test]
    fn rows_that_are_cut_are_followed_by_what_shows_them_in_full() {
        let events = [test_events::refused_by_the_client()];
        let at = |width| {
            table(
                &events,
                TextStyle {
                    color: false,
                    width,
                },
            )
        };
        let expected = "\
Rows are cut to 80 columns: `--wide` shows them whole, `tlscope show` one
handshake in full.

";
        assert!(at(Some(80)).ends_with(expected), "{}", at(Some(80)));
        for width in [None, Some(1_000)] {
            assert!(!at(width).contains("Rows are cut"));
        }
    }

    /// Rows whose time is written, after the handshakes of `events` and this progress.
    fn written(sink: &mut TableSink<&mut Vec<u8>>, events: &[i64], progress: Progress) {
        for second in events {
            let mut event = test_events::completed();
            event.time = Timestamp::from_seconds(*second);
            sink.handshake(&event).unwrap();
        }
        sink.progress(&progress).unwrap();
    }

    fn seconds(output: &[u8]) -> Vec<&str> {
        let rows = std::str::from_utf8(output).unwrap().lines().skip(1);
        rows.filter_map(|row| row.get(6..8)).collect()
    }

    fn progress(now: i64, oldest_open: Option<i64>, is_live: bool) -> Progress {
        Progress {
            oldest_open: oldest_open.map(Timestamp::from_seconds),
            is_live,
            ..Progress::new(Timestamp::from_seconds(now))
        }
    }

    #[test]
    fn rows_wait_for_older_handshakes_and_come_in_order_of_time() {
        let mut output = Vec::new();
        let mut sink = TableSink::new(&mut output, TextStyle::default());
        written(&mut sink, &[3, 2], progress(4, Some(1), false));
        assert!(seconds(sink.output).is_empty());
        written(&mut sink, &[1], progress(5, Some(3), false));
        written(&mut sink, &[4], progress(6, None, false));
        assert_eq!(seconds(&output), ["01", "02", "03", "04"]);
    }

    #[test]
    fn a_handshake_that_hangs_holds_the_others_up_for_a_while_only() {
        let mut output = Vec::new();
        let mut sink = TableSink::new(&mut output, TextStyle::default());
        written(&mut sink, &[3], progress(62, Some(1), false));
        assert!(seconds(sink.output).is_empty());
        written(&mut sink, &[], progress(4, Some(1), true));
        assert!(seconds(sink.output).is_empty());
        written(&mut sink, &[], progress(5, Some(1), true));
        assert_eq!(seconds(sink.output), ["03"]);
        written(&mut sink, &[4], progress(64, Some(1), false));
        assert_eq!(seconds(&output), ["03", "04"]);
    }

    #[test]
    fn a_flood_of_rows_that_wait_stays_within_the_limit() {
        let mut output = Vec::new();
        let mut sink = TableSink::new(&mut output, TextStyle::default());
        for _ in 0..MAX_WAITING + 10 {
            sink.handshake(&test_events::completed()).unwrap();
        }
        assert_eq!(sink.waiting.len(), MAX_WAITING);
    }

    #[test]
    fn a_refused_starttls_has_a_row_and_a_probe_does_not() {
        let mut output = Vec::new();
        let options = RowOptions {
            shows_source: true,
            ..RowOptions::default()
        };
        let mut sink = TableSink::with_options(&mut output, TextStyle::default(), options);
        let mut event = test_events::refused_starttls();
        sink.not_tls(&event).unwrap();
        event.kind = NotTlsKind::SilentProbe;
        sink.not_tls(&event).unwrap();
        sink.finish(&Stats::default()).unwrap();
        let text = String::from_utf8(output).unwrap();
        let row = text.lines().nth(1).unwrap();
        assert!(
            row.starts_with("12:00:00.123 mail.pcap            10.0.0.1:51234"),
            "{row}"
        );
        let notes = r#"no TLS  starttls_refused: server refused STARTTLS: "454 no", smtp"#;
        assert!(row.ends_with(notes), "{row}");
        assert_eq!(text.lines().count(), 3);
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

//! The messages of a handshake as a ladder: time, packet, who sent what to whom, and how much.

use std::io::{self, Write};
use std::sync::Arc;

use owo_colors::Style;
use unicode_width::UnicodeWidthStr;

use super::Source;
use super::page::Page;
use crate::event::{Handshake, Ladder, LadderStep, Side, StepKind};
use crate::sink::people::text::{Cut, fit, push_left, push_right};
use crate::time::Timestamp;

/// Equal steps in a row from which on they share a line.
const RUN: usize = 5;

/// Columns of the arrows that are worth drawing, and more than which look empty.
const MIN_LANE: usize = 30;
const MAX_LANE: usize = 60;

/// Widths of the columns next to the arrows.
struct Columns {
    time: usize,
    /// `None` if packets have no numbers that a reader could use.
    packet: Option<usize>,
    /// Columns of the arrows; `None` if there is no room for them.
    lane: Option<usize>,
    bytes: usize,
}

/// Spaces between columns.
const GAP: usize = 2;

/// One line: a step, or several alike.
pub(in crate::sink) struct Rung<'a> {
    pub(in crate::sink) step: &'a LadderStep,
    count: usize,
    pub(in crate::sink) bytes: Option<u64>,
}

/// Writes the ladder.
pub(super) fn write<W: Write>(
    page: &mut Page<'_, W>,
    event: &Handshake,
    ladder: &Ladder,
    source: Source,
) -> io::Result<()> {
    page.heading("Messages")?;
    let sources = sources(event, ladder);
    let has_packets = source == Source::File;
    let rungs = rungs(&ladder.steps);
    let cells: Vec<_> = rungs
        .iter()
        .map(|rung| Cells {
            time: match rung.step.kind {
                StepKind::Gap => String::new(), // a hole has no packet
                _ => milliseconds(event.time, rung.step.time),
            },
            packet: match rung.step.kind {
                StepKind::Gap => String::new(),
                _ if !has_packets => String::new(),
                _ => packet(rung.step, &sources),
            },
            bytes: rung.bytes.map_or(String::new(), |bytes| bytes.to_string()),
        })
        .collect();
    let columns = Columns::new(&cells, has_packets, page.width);
    write_header(page, &columns)?;
    for (rung, cells) in rungs.iter().zip(&cells) {
        let (mut line, mut bytes) = (String::new(), String::new());
        push_right(&mut line, &cells.time, columns.time);
        columns.push_packet(&mut line, &cells.packet);
        push_right(&mut bytes, &cells.bytes, columns.bytes + GAP);
        let style = style(page, rung.step.kind);
        let text = match columns.lane {
            Some(lane) => arrow(rung, lane),
            None => short_arrow(rung, columns.rest(page.width)),
        };
        let line = format!("{line}  {}{bytes}", style.style(text));
        writeln!(page.output, "{}", line.trim_end())?;
    }
    if ladder.omitted > 0 {
        let omitted = ladder.omitted;
        writeln!(page.output, "  and {omitted} more (not kept)")?;
    }
    let is_encrypted = ladder.steps.iter().any(|step| step.encrypted);
    match (columns.lane, is_encrypted) {
        (Some(_), true) => writeln!(page.output, "  ── in the clear   ╌╌ encrypted")?,
        (Some(_), false) => {}
        (None, true) => writeln!(page.output, "  → client  ← server  * encrypted")?,
        (None, false) => writeln!(page.output, "  → client  ← server")?,
    }
    Ok(())
}

/// What stands next to an arrow.
struct Cells {
    time: String,
    packet: String,
    bytes: String,
}

impl Columns {
    fn new(cells: &[Cells], has_packets: bool, width: usize) -> Self {
        let widest = |cell: fn(&Cells) -> &String, header: &str| {
            let widths = cells.iter().map(|cells| cell(cells).len());
            widths.chain([header.len()]).max().unwrap_or_default()
        };
        let mut columns = Self {
            time: widest(|cells| &cells.time, "ms") + GAP,
            packet: has_packets.then(|| widest(|cells| &cells.packet, "packet")),
            lane: None,
            bytes: widest(|cells| &cells.bytes, "bytes"),
        };
        let lane = columns.rest(width).min(MAX_LANE);
        columns.lane = (lane >= MIN_LANE).then_some(lane);
        columns
    }

    /// Columns that are left for arrows.
    fn rest(&self, width: usize) -> usize {
        let packet = self.packet.map_or(0, |columns| columns + GAP);
        width.saturating_sub(self.time + packet + self.bytes + 2 * GAP)
    }

    fn push_packet(&self, line: &mut String, text: &str) {
        if let Some(columns) = self.packet {
            push_right(line, text, columns + GAP);
        }
    }
}

/// The files that packets came from, that of the event first.
pub(in crate::sink) fn sources<'a>(event: &'a Handshake, ladder: &'a Ladder) -> Vec<&'a Arc<str>> {
    let mut sources = vec![&event.source];
    for step in &ladder.steps {
        if !sources.contains(&&step.source) {
            sources.push(&step.source);
        }
    }
    sources
}

/// The letter of a file, if there are several; further ones share the last.
pub(super) fn letter(index: usize) -> char {
    char::from(b'a' + u8::try_from(index.min(25)).unwrap_or(25))
}

fn write_header<W: Write>(page: &mut Page<'_, W>, columns: &Columns) -> io::Result<()> {
    let mut line = String::new();
    push_right(&mut line, "ms", columns.time);
    columns.push_packet(&mut line, "packet");
    line.push_str("  ");
    match columns.lane {
        Some(lane) => {
            push_left(&mut line, "client", lane - "server".len());
            line.push_str("server");
        }
        None => push_left(&mut line, "message", columns.rest(page.width)),
    }
    push_right(&mut line, "bytes", columns.bytes + GAP);
    let line = fit(&line, page.width, Cut::End).into_owned();
    writeln!(page.output, "{}", page.style.heading().style(line))
}

/// Joins equal steps that follow one another.
pub(in crate::sink) fn rungs(steps: &[LadderStep]) -> Vec<Rung<'_>> {
    let is_same = |a: &LadderStep, b: &LadderStep| {
        let key = |step: &LadderStep| (step.sender, step.kind, step.encrypted);
        key(a) == key(b) && matches!(a.kind, StepKind::Record(_) | StepKind::ApplicationData)
    };
    let mut rungs = Vec::new();
    for run in steps.chunk_by(is_same) {
        let bytes = |steps: &[LadderStep]| {
            let known: Option<Vec<u64>> = steps.iter().map(|s| s.bytes.map(u64::from)).collect();
            known.map(|bytes| bytes.iter().sum())
        };
        let size = if run.len() < RUN { 1 } else { run.len() };
        rungs.extend(run.chunks(size).filter_map(|same| {
            Some(Rung {
                step: same.first()?,
                count: same.len(),
                bytes: bytes(same),
            })
        }));
    }
    rungs
}

/// Milliseconds from the beginning of the handshake; negative for what came before.
pub(in crate::sink) fn milliseconds(start: Timestamp, time: Timestamp) -> String {
    match (time.checked_since(start), start.checked_since(time)) {
        (Some(after), _) => format!("{:.3}", after.as_secs_f64() * 1e3),
        (None, Some(before)) => format!("-{:.3}", before.as_secs_f64() * 1e3),
        (None, None) => "-".to_owned(),
    }
}

/// The number of the packet, with the letter of its file if there are several.
pub(in crate::sink) fn packet(step: &LadderStep, sources: &[&Arc<str>]) -> String {
    let index = sources.iter().position(|source| **source == step.source);
    match (sources.len(), index) {
        (2.., Some(index)) => format!("{}:{}", letter(index), step.packet),
        _ => step.packet.to_string(),
    }
}

/// What the rung is, and how often.
pub(in crate::sink) fn label(rung: &Rung<'_>) -> String {
    match rung.count {
        1 => rung.step.kind.to_string(),
        count => format!("{} ×{count}", rung.step.kind),
    }
}

/// As in `ClientHello ─────▶` or `◀───── ServerHello`.
fn arrow(rung: &Rung<'_>, lane: usize) -> String {
    let label = label(rung);
    let label = fit(&label, lane.saturating_sub(5), Cut::Middle);
    let line = if rung.step.encrypted { "╌" } else { "─" };
    let line = line.repeat(lane.saturating_sub(label.width() + 2));
    match (rung.step.kind, rung.step.sender) {
        (StepKind::Gap, side) => {
            let mut text = String::new();
            let what = format!("({label}, from the {side})");
            push_left(&mut text, &fit(&what, lane, Cut::Middle), lane);
            text
        }
        (_, Side::Client) => format!("{label} {line}▶"),
        (_, Side::Server) => format!("◀{line} {label}"),
    }
}

fn short_arrow(rung: &Rung<'_>, width: usize) -> String {
    let arrow = match rung.step.sender {
        Side::Client => "→",
        Side::Server => "←",
    };
    let encrypted = if rung.step.encrypted { "*" } else { "" };
    let text = format!("{arrow} {}{encrypted}", label(rung));
    let mut padded = String::new();
    push_left(&mut padded, &fit(&text, width, Cut::Middle), width);
    padded
}

fn style<W>(page: &Page<'_, W>, kind: StepKind) -> Style {
    match kind {
        StepKind::Alert(_) | StepKind::Rst | StepKind::Rejected(_) => page.style.bad(),
        StepKind::Gap | StepKind::NotTls | StepKind::PartialMessage(_) => page.style.doubtful(),
        _ => Style::new(),
    }
}

//! The messages of a handshake as a ladder: time, packet, who sent what to whom, and how much.

use std::io::{self, Write};
use std::sync::Arc;

use owo_colors::Style;
use unicode_width::UnicodeWidthStr;

use super::page::Page;
use crate::event::{Handshake, Ladder, LadderStep, Side, StepKind};
use crate::sink::people::text::{Cut, fit, push_left, push_right};
use crate::time::Timestamp;

/// Equal steps in a row from which on they share a line.
const RUN: usize = 5;

/// Columns of the arrows that are worth drawing, and more than which look empty.
const MIN_LANE: usize = 30;
const MAX_LANE: usize = 60;

const TIME: usize = 10;
const PACKET: usize = 8;
const BYTES: usize = 7;
/// Two spaces between columns.
const GAP: usize = 2;

/// One line: a step, or several alike.
struct Rung<'a> {
    step: &'a LadderStep,
    count: usize,
    bytes: Option<u64>,
}

/// Writes the ladder.
pub(super) fn write<W: Write>(
    page: &mut Page<'_, W>,
    event: &Handshake,
    ladder: &Ladder,
) -> io::Result<()> {
    page.heading("Messages")?;
    let lane = page
        .width
        .saturating_sub(TIME + PACKET + BYTES + 3 * GAP)
        .min(MAX_LANE);
    let lane = (lane >= MIN_LANE).then_some(lane);
    let sources = sources(event, ladder);
    write_header(page, lane)?;
    for rung in rungs(&ladder.steps) {
        let mut line = String::new();
        push_right(&mut line, &milliseconds(event.time, rung.step.time), TIME);
        line.push_str("  ");
        push_right(&mut line, &packet(rung.step, &sources), PACKET);
        line.push_str("  ");
        let style = style(page, rung.step.kind);
        let text = match lane {
            Some(lane) => arrow(&rung, lane),
            None => short_arrow(&rung, page.width.saturating_sub(line.len() + GAP + BYTES)),
        };
        let bytes = rung.bytes.map_or(String::new(), |bytes| bytes.to_string());
        let mut last = String::new();
        push_right(&mut last, &bytes, BYTES);
        let rest = format!("{line}{}  {last}", style.style(text));
        writeln!(page.output, "{}", rest.trim_end())?;
    }
    if ladder.omitted > 0 {
        let omitted = ladder.omitted;
        writeln!(
            page.output,
            "  and {omitted} more, which tlscope did not keep"
        )?;
    }
    if ladder.steps.iter().any(|step| step.encrypted) {
        let legend = match lane {
            Some(_) => "── in the clear   ╌╌ encrypted",
            None => "* encrypted",
        };
        writeln!(page.output, "  {legend}")?;
    }
    Ok(())
}

/// The files that packets came from, that of the event first.
pub(super) fn sources<'a>(event: &'a Handshake, ladder: &'a Ladder) -> Vec<&'a Arc<str>> {
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

fn write_header<W: Write>(page: &mut Page<'_, W>, lane: Option<usize>) -> io::Result<()> {
    let mut line = String::new();
    push_right(&mut line, "ms", TIME);
    line.push_str("  ");
    push_right(&mut line, "packet", PACKET);
    line.push_str("  ");
    match lane {
        Some(lane) => {
            push_left(&mut line, "client", lane - "server".len());
            line.push_str("server  ");
            push_right(&mut line, "bytes", BYTES);
        }
        None => line.push_str("→ by the client, ← by the server"),
    }
    let line = fit(&line, page.width, Cut::End).into_owned();
    writeln!(page.output, "{}", page.style.heading().style(line))
}

/// Joins equal steps that follow one another.
fn rungs(steps: &[LadderStep]) -> Vec<Rung<'_>> {
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
fn milliseconds(start: Timestamp, time: Timestamp) -> String {
    match (time.checked_since(start), start.checked_since(time)) {
        (Some(after), _) => format!("{:.3}", after.as_secs_f64() * 1e3),
        (None, Some(before)) => format!("-{:.3}", before.as_secs_f64() * 1e3),
        (None, None) => "-".to_owned(),
    }
}

fn packet(step: &LadderStep, sources: &[&Arc<str>]) -> String {
    let index = sources.iter().position(|source| **source == step.source);
    match (sources.len(), index) {
        (2.., Some(index)) => format!("{}:{}", letter(index), step.packet),
        _ => step.packet.to_string(),
    }
}

fn label(rung: &Rung<'_>) -> String {
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
        StepKind::Alert(_) | StepKind::Rst => page.style.bad(),
        StepKind::Gap | StepKind::NotTls | StepKind::PartialMessage(_) => page.style.doubtful(),
        _ => Style::new(),
    }
}

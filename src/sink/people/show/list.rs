//! Handshakes to choose from: a row each, with the number by which it is selected.

use std::io::{self, Write};

use crate::event::{Handshake, Outcome};
use crate::sink::people::table::{Layout, RowOptions, outcome_style};
use crate::sink::people::text::{TextStyle, push_right};

/// A handshake and its place in the order of time, from 1.
#[derive(Clone, Copy, Debug)]
pub struct Numbered<'e> {
    /// Its place.
    pub number: usize,
    /// The handshake.
    pub event: &'e Handshake,
}

/// Rows that are listed: what fits a screen or two.
const MAX_ROWS: usize = 40;

/// Writes rows in the order given, at most forty of them. If there are more, those come first that failed or were refused.
/// Returns how many are left out.
///
/// # Errors
///
/// When the output cannot be written.
pub fn write_list<W: Write>(
    output: &mut W,
    style: TextStyle,
    handshakes: &[Numbered<'_>],
) -> io::Result<usize> {
    let mut shown = handshakes.to_vec();
    if shown.len() > MAX_ROWS {
        shown.sort_by_key(|row| !has_failed(row.event)); // stable
        shown.truncate(MAX_ROWS);
    }
    let digits = shown.iter().map(|row| row.number.to_string().len());
    let digits = digits.max().unwrap_or(1);
    let source = |row: &Numbered<'_>| row.event.source.clone();
    let options = RowOptions {
        shows_source: shown
            .windows(2)
            .any(|pair| source(&pair[0]) != source(&pair[1])),
        ..RowOptions::default()
    };
    let width = style.width.map(|width| width.saturating_sub(digits + 2));
    let layout = Layout::new(width, options);
    let mut day = None;
    for Numbered { number, event } in &shown {
        let time = event.time.date_time();
        if day.replace(time.date()) != Some(time.date()) {
            let mut line = String::new();
            push_right(&mut line, "#", digits);
            line = line + "  " + &layout.header(&time.date().to_string());
            writeln!(output, "{}", style.heading().style(line))?;
        }
        let mut line = String::new();
        push_right(&mut line, &number.to_string(), digits);
        line.push_str("  ");
        layout.write_row(&mut line, event, outcome_style(style, event.outcome));
        writeln!(output, "{}", line.trim_end())?;
    }
    Ok(handshakes.len() - shown.len())
}

fn has_failed(event: &Handshake) -> bool {
    event.outcome == Outcome::Failure || event.rejected_after.is_some()
}

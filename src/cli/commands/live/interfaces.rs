//! `tlscope interfaces`: the interfaces that `live` can capture on.

use std::io::Write;
use std::process::ExitCode;

use tlscope::capture::CaptureError;
use tlscope::capture::live::Candidate;

use crate::cli::commands::print::print_text;
use crate::cli::error::CliError;
use crate::cli::input::how_to_be_permitted;
use crate::cli::say;

/// Lists the interfaces, one per line.
pub(super) fn list() -> Result<ExitCode, CliError> {
    let candidates = Candidate::all()?;
    let rows: Vec<[String; 3]> = candidates.iter().map(row).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (name, state) = (width(0), width(1));
    let code = print_text(|output| {
        for row in &rows {
            let line = format!("{:name$}  {:state$}  {}", row[0], row[1], row[2]);
            writeln!(output, "{}", line.trim_end())?;
        }
        Ok(())
    })?;
    let is_forbidden =
        |one: &Candidate| matches!(one.refusal, Some(CaptureError::NotPermitted { .. }));
    if candidates.iter().any(is_forbidden) {
        say::line(format_args!("hint: {}", how_to_be_permitted()));
    }
    Ok(code)
}

/// Name; state; addresses, or why the interface cannot be opened.
fn row(candidate: &Candidate) -> [String; 3] {
    let state = match (candidate.is_up, candidate.is_loopback) {
        (true, true) => "up, loopback",
        (true, false) => "up",
        (false, _) => "down",
    };
    let addresses: Vec<String> = candidate
        .addresses
        .iter()
        .map(ToString::to_string)
        .collect();
    let rest = match &candidate.refusal {
        None if addresses.is_empty() => candidate.description.clone().unwrap_or_default(),
        None => addresses.join(", "),
        Some(CaptureError::Interface { reason, .. }) => format!("cannot be opened: {reason}"),
        Some(CaptureError::NotPermitted { .. }) => {
            "cannot be opened: you need the capability CAP_NET_RAW".to_owned()
        }
        Some(error) => error.to_string(),
    };
    [candidate.name.clone(), state.to_owned(), rest]
}

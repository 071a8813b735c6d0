//! `tlscope show`: one handshake in full.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tlscope::event::{HandshakeReport, NotTls};
use tlscope::pipeline::{self, Lines};
use tlscope::sink::machine::json::write_with_ladder;
use tlscope::sink::people::show::{Numbered, Selector, write_handshake, write_list};
use tlscope::sink::selection::Selection;
use tlscope::sink::{Needs as EventNeeds, Renderer, TextStyle};
use tlscope::stats::{Health, Progress};
use tlscope::time::Timestamp;

use super::ERROR;
use crate::cli::config::args::{ShowArgs, ShowFormat};
use crate::cli::config::{Analysis, Needs, memory, text_style};
use crate::cli::error::CliError;
use crate::cli::input::{
    CaptureInput, in_command as shown, key_log, warn_of_not_judged, warn_of_unread,
};
use crate::cli::output::symbols::Symbols;
use crate::cli::output::{closed_pipe_is_success, none_selected};
use crate::cli::say;

/// Handshakes that are kept until the last packet, of some 4 KiB each: the earliest that match the selector.
const MAX_KEPT: usize = 10_000;
/// Handshakes that are numbered; each takes 24 bytes.
const MAX_NUMBERED: usize = 10_000_000;

/// Reads all captures and shows the handshake that was asked for, or lists those to choose from.
pub(super) fn run(args: ShowArgs) -> Result<ExitCode, CliError> {
    let Request {
        paths,
        selector,
        text,
    } = Request::read(args.arguments)?;
    let mut selection = Selection::from(args.input.selection);
    args.time.add_to(&mut selection)?;
    let needs = Needs {
        packets: false,
        ladders: true,
        key_logs: !args.input.keylog.is_empty(),
        held_events: false,
        metrics: false,
        texts: false,
    };
    let keys = key_log::read(&args.input.keylog, memory::limit(&args.judgement.memory))?;
    let analysis = Analysis::resolve(keys, needs, &args.input.tunnels, &args.judgement)?;
    let filter = args.input.filter.as_deref();
    let mut input = CaptureInput::open(
        &paths,
        filter,
        stderr().is_terminal(),
        analysis.memory_limit,
    )?;
    let mut observer = analysis.observer();
    observer.memory_limit = input.leave(observer.memory_limit);
    let mut candidates = Candidates::new(selection, selector);
    let threads = args.input.threads.for_files(analysis.memory_limit);
    let run = pipeline::run(&mut input, observer, threads, &mut candidates)
        .map_err(|error| CliError::new(format_args!("cannot show: {error}")))?;
    if let Some(error) = run.error {
        return Err(error.into());
    }
    warn_of_unread(&run.unread, &run.stats);
    warn_of_not_judged(&run.stats);
    key_log::warn_of_use(&analysis.keys, &args.input.keylog, &run.stats);
    if run.stats.packets == 0 && input.is_incomplete() {
        return Ok(ERROR.into()); // the problem is on standard error already
    }
    let form = Form {
        format: args.format,
        style: text_style().wide(args.wide),
        wraps: !args.wide,
    };
    let is_found = candidates.answer(form, text.as_deref(), &paths)?;
    Ok(if is_found && !input.is_incomplete() {
        ExitCode::SUCCESS
    } else {
        ERROR.into()
    })
}

/// How handshakes are written.
#[derive(Clone, Copy)]
struct Form {
    format: ShowFormat,
    style: TextStyle,
    wraps: bool,
}

/// What the arguments ask for.
struct Request {
    paths: Vec<PathBuf>,
    selector: Option<Selector>,
    /// The selector as typed.
    text: Option<String>,
}

impl Request {
    /// Reads the last argument as a selector, unless it is the only one or there is such a file.
    fn read(mut arguments: Vec<String>) -> Result<Self, CliError> {
        let names_file = |text: &String| text == "-" || Path::new(text).exists();
        let has_selector =
            arguments.len() > 1 && arguments.last().is_some_and(|it| !names_file(it));
        let text = if has_selector { arguments.pop() } else { None };
        if let Some(number) = arguments
            .iter()
            .find(|text| is_number(text) && !names_file(text))
        {
            let hint = match &text {
                Some(other) if is_number(other) => {
                    format!("`show` shows one handshake at a time: select `{number}` or `{other}`")
                }
                _ => format!("the selector comes last: `tlscope show CAPTURE {number}`"),
            };
            return Err(CliError::new(format_args!("`{number}` is not a file")).hint(hint));
        }
        let selector = text.as_ref().map(|text| {
            text.parse::<Selector>().map_err(|reason| {
                CliError::new(format_args!("cannot select `{text}`: {reason}")).hint(
                    "select by number, flow id, Community ID, address, `A -> B` or server name; there is no such file either",
                )
            })
        });
        Ok(Self {
            paths: arguments.into_iter().map(PathBuf::from).collect(),
            selector: selector.transpose()?,
            text,
        })
    }
}

fn is_number(text: &str) -> bool {
    matches!(text.parse(), Ok(Selector::Number(_)))
}

/// A place in the order of time. Handshakes that began at the same moment stay in the order in which they came.
type Place = (Timestamp, u64);

/// The handshakes that may be the one, and the places of all.
struct Candidates {
    selection: Selection,
    selector: Option<Selector>,
    /// The place of every handshake of the run, whether or not it matches.
    places: Vec<Place>,
    seen: u64,
    kept: BTreeMap<Place, HandshakeReport>,
    /// Handshakes that match and were not kept.
    dropped: usize,
    /// Connections that did not become TLS and failed, among those selected: `show` has no page for them.
    refused: u64,
}

impl Candidates {
    const fn new(selection: Selection, selector: Option<Selector>) -> Self {
        Self {
            selection,
            selector,
            places: Vec::new(),
            seen: 0,
            kept: BTreeMap::new(),
            dropped: 0,
            refused: 0,
        }
    }

    fn add(&mut self, report: HandshakeReport) {
        let place = (report.event.time, self.seen);
        self.seen += 1;
        if self.places.len() < MAX_NUMBERED {
            self.places.push(place);
        }
        // A number counts all handshakes, so that it is the one of the list, whatever was selected for that.
        let is_wanted = match &self.selector {
            Some(selector) if selector.number().is_some() => true,
            Some(selector) => {
                self.selection.selects(&report.event) && selector.selects(&report.event)
            }
            None => self.selection.selects(&report.event),
        };
        if !is_wanted {
            return;
        }
        self.kept.insert(place, report);
        let number = self.selector.as_ref().and_then(Selector::number);
        let limit = number.map_or(MAX_KEPT, |number| number.min(MAX_KEPT));
        if self.kept.len() > limit {
            self.kept.pop_last();
            self.dropped += 1;
        }
    }

    /// Writes the answer; false if there is none, or more than one that was asked for.
    fn answer(
        mut self,
        form: Form,
        text: Option<&str>,
        paths: &[PathBuf],
    ) -> Result<bool, CliError> {
        self.places.sort_unstable();
        let count = usize::try_from(self.seen).unwrap_or(usize::MAX);
        if let Some(number) = self.selector.as_ref().and_then(Selector::number) {
            let report = self
                .kept
                .pop_last()
                .filter(|_| number <= count.min(MAX_KEPT));
            return match report {
                Some((_, report)) if !self.selection.selects(&report.event) => {
                    let error = format_args!("the selection excludes handshake {number}");
                    Err(CliError::new(error).hint("numbers count all handshakes of the input"))
                }
                Some((_, report)) => show(form, &report, number, count).map(|()| true),
                None if count == 0 => Err(no_handshake(self.refused, paths)),
                None => Err(no_such_number(number, count)),
            };
        }
        let numbered: Vec<Numbered<'_>> = self
            .kept
            .iter()
            .filter_map(|(place, report)| {
                let number = self.places.binary_search(place).ok()? + 1;
                let event = &report.event;
                Some(Numbered { number, event })
            })
            .collect();
        match (numbered.as_slice(), text) {
            ([], _) if self.seen == 0 => Err(no_handshake(self.refused, paths)),
            ([], Some(text)) => {
                let error = CliError::new(format_args!("no handshake matches `{text}`"));
                let kind = self.selector.as_ref().map_or("a name", Selector::kind);
                let paths = shown(paths);
                let what = match count {
                    1 => "shows the only handshake".to_owned(),
                    count => format!("lists the {count} handshakes"),
                };
                Err(error.hint(format!(
                    "it was taken for {kind}, since there is no such file; `tlscope show {paths}` {what}"
                )))
            }
            ([], None) => Err(CliError::new(none_selected(self.seen))),
            ([only], _) => {
                let number = only.number;
                let report = self.kept.values().next();
                report.map_or(Ok(()), |report| show(form, report, number, count))?;
                Ok(true)
            }
            (several, None) if form.format == ShowFormat::Json => {
                let mut reports = several.iter().zip(self.kept.values());
                write(form.format, |output| {
                    let write = |(row, report): (&Numbered<'_>, _)| {
                        write_with_ladder(output, report, row.number)
                    };
                    reports.try_for_each(write)
                })?;
                Ok(true)
            }
            (several, text) => {
                let left_out = list(form.style, several)? + self.dropped;
                let several = several.len() + self.dropped;
                if let Some(text) = text {
                    say::error(format_args!("{several} handshakes match `{text}`"));
                }
                say::hint(hint(several, left_out, paths));
                Ok(text.is_none())
            }
        }
    }
}

impl pipeline::Output for Candidates {
    fn needs(&self) -> EventNeeds {
        EventNeeds::ALL
    }

    fn renderers(&self, _: usize) -> Vec<Box<dyn Renderer>> {
        Vec::new()
    }

    fn report(
        &mut self,
        report: Box<HandshakeReport>,
        _: Lines,
    ) -> io::Result<Option<Box<HandshakeReport>>> {
        self.add(*report);
        Ok(None)
    }

    fn not_tls(&mut self, event: &NotTls, _: Lines) -> io::Result<bool> {
        let is_refused = event.error_type().is_some() && self.selection.selects_not_tls(event);
        self.refused += u64::from(is_refused);
        Ok(false)
    }

    fn rendered(&mut self, _: &[u8], _: u64) -> io::Result<()> {
        Ok(())
    }

    fn progress(&mut self, _: &Progress) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn tick(&mut self, _: Timestamp, _: &Health) -> io::Result<()> {
        Ok(())
    }
}

fn show(form: Form, report: &HandshakeReport, number: usize, count: usize) -> Result<(), CliError> {
    let Form { style, wraps, .. } = form;
    let written = write(form.format, |output| match form.format {
        ShowFormat::Text => write_handshake(output, style, report, number, count, wraps),
        ShowFormat::Json => write_with_ladder(output, report, number),
    });
    written.map(|_| ())
}

/// Lists handshakes; returns how many are left out.
fn list(style: TextStyle, handshakes: &[Numbered<'_>]) -> Result<usize, CliError> {
    let left_out = write(ShowFormat::Text, |output| {
        write_list(output, style, handshakes)
    })?;
    Ok(left_out.unwrap_or_default())
}

/// Writes to standard output; `None` if its reader has closed it.
fn write<T>(
    format: ShowFormat,
    write: impl FnOnce(&mut Vec<u8>) -> io::Result<T>,
) -> Result<Option<T>, CliError> {
    let mut text = Vec::new();
    let written = write(&mut text).and_then(|value| {
        let mut output = Symbols::new(stdout().lock(), format == ShowFormat::Text);
        output.write_all(&text)?;
        output.flush()?;
        Ok(value)
    });
    match written {
        Ok(value) => Ok(Some(value)),
        Err(error) => closed_pipe_is_success(error).map(|()| None),
    }
}

fn hint(several: usize, left_out: usize, paths: &[PathBuf]) -> String {
    let paths = shown(paths);
    let more = match left_out {
        0 => String::new(),
        left_out => format!(
            "; {left_out} of {several} are left out here, `tlscope read --format rows {paths}` lists all"
        ),
    };
    format!("`tlscope show {paths} NUMBER` shows one in full{more}")
}

/// That there is nothing to show; connections that were refused TLS have rows, and no messages.
fn no_handshake(refused: u64, paths: &[PathBuf]) -> CliError {
    let error = CliError::new("no handshake in the input");
    let connections = match refused {
        0 => return error,
        1 => "a connection did not become TLS".to_owned(),
        refused => format!("{refused} connections did not become TLS"),
    };
    error.hint(format!(
        "{connections}: `tlscope read {}` says why",
        shown(paths)
    ))
}

fn no_such_number(number: usize, count: usize) -> CliError {
    let what = format_args!("no handshake {number}");
    match count {
        count if number > count => {
            CliError::new(what).hint(match count {
                1 => "there is one handshake".to_owned(),
                count => format!("there are {count} handshakes"),
            })
        }
        _ => CliError::new(what).hint(format!(
            "only the first {MAX_KEPT} can be selected by number; narrow the input with `--since` or `-f`"
        )),
    }
}

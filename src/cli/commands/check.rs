//! `tlscope check`: evaluates a policy on captures.

use std::fs;
use std::io::{self, ErrorKind, IsTerminal, Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tlscope::check::{
    Baseline, CheckResult, Context, Evaluation, MAX_BASELINE, Policy, PolicyError, Preset, Report,
    ReportFormat, default_policy_text, write_report,
};
use tlscope::event::Handshake;
use tlscope::pipeline;
use tlscope::sink::Sink;
use tlscope::sink::TextStyle;
use tlscope::sink::selection::Selection;
use tlscope::stats::Stats;

use super::ERROR;
use crate::cli::config::args::{CheckArgs, PrintedPolicy, ReportTo};
use crate::cli::config::{Analysis, Needs, text_style};
use crate::cli::error::CliError as Failure;
use crate::cli::input::{CaptureInput as Input, key_log, warn_of_unread};

/// The exit code if an assertion of severity error does not hold.
const VIOLATED: u8 = 1;

/// Checks all captures and writes the reports.
pub(super) fn check(mut args: CheckArgs) -> Result<ExitCode, Failure> {
    if let Some(policy) = args.print_policy {
        return super::print::print_text(|stdout| write!(stdout, "{}", text_of(policy)));
    }
    let outputs = outputs(&args.format)?;
    let analysis = analysis(&mut args)?;
    let context = Context {
        chains_are_validated: analysis.roots.trust().store().is_some(),
    };
    let mut sink = CheckSink::open(&args, context)?;
    let filter = args.input.filter.as_deref();
    let mut input = Input::open(&args.paths, filter, stderr().is_terminal())?;
    let threads = args.input.threads.get();
    let run = pipeline::run(&mut input, analysis.observer(), threads, &mut sink)
        .map_err(|error| Failure::new(format_args!("cannot check: {error}")))?;
    if let Some(error) = run.error {
        return Err(error.into());
    }
    warn_of_unread(&run.unread, &run.stats);
    key_log::warn_of_use(&analysis.keys, &run.stats);
    let is_complete = !input.is_incomplete();
    if run.stats.packets == 0 && !is_complete {
        return Ok(ERROR.into()); // the problem is on standard error already
    }
    let captures = args.paths.iter().map(|path| path.display().to_string());
    let mut report = sink.report(&run.stats, &input)?;
    report.captures = captures.collect();
    for output in &outputs {
        output.write(&report)?;
    }
    Ok(match (is_complete, report.has_passed()) {
        (false, _) => ERROR.into(),
        (true, false) => VIOLATED.into(),
        (true, true) => ExitCode::SUCCESS,
    })
}

fn text_of(policy: PrintedPolicy) -> &'static str {
    match policy {
        PrintedPolicy::Default => default_policy_text(),
        PrintedPolicy::MozillaModern => Preset::MozillaModern.text(),
        PrintedPolicy::MozillaIntermediate => Preset::MozillaIntermediate.text(),
        PrintedPolicy::NistSp800_52r2 => Preset::NistSp800_52r2.text(),
        PrintedPolicy::Cnsa2 => Preset::Cnsa2.text(),
        PrintedPolicy::PostQuantum => Preset::PostQuantum.text(),
    }
}

/// Where reports go: text goes to standard output unless another report does.
fn outputs(formats: &[ReportTo]) -> Result<Vec<ReportTo>, Failure> {
    let mut outputs = formats.to_vec();
    match formats
        .iter()
        .filter(|output| output.file.is_none())
        .count()
    {
        0 => outputs.push(ReportTo {
            format: ReportFormat::Text,
            file: None,
        }),
        1 => {}
        _ => {
            let failure = Failure::new("two reports cannot both go to standard output");
            return Err(failure.hint("give one a file, as in `--format text,junit=report.xml`"));
        }
    }
    Ok(outputs)
}

impl ReportTo {
    fn write(&self, report: &Report) -> Result<(), Failure> {
        let text_style = match self.file {
            None => text_style(),
            Some(_) => TextStyle::default(),
        };
        let mut text = Vec::new();
        let written = write_report(report, self.format, text_style, &mut text);
        match &self.file {
            None => written
                .and_then(|()| stdout().write_all(&text))
                .and_then(|()| stdout().flush())
                .or_else(crate::cli::output::closed_pipe_is_success),
            Some(path) => written
                .and_then(|()| fs::write(path, &text))
                .map_err(|error| cannot("write report", path, &error)),
        }
    }
}

/// How the handshakes are analysed.
///
/// A comparison with a baseline must have the same result on every machine, so it does not use the system's roots.
fn analysis(args: &mut CheckArgs) -> Result<Analysis, Failure> {
    let keys = key_log::read(&args.input.keylog)?;
    let has_baseline = args.expect.is_some();
    let judgement = &mut args.judgement;
    let names_roots =
        !judgement.ca_file.is_empty() || !judgement.ca_dir.is_empty() || judgement.system_roots;
    judgement.no_verify |= has_baseline && !names_roots;
    let needs = Needs {
        fingerprints: has_baseline,
        packets: false,
        ladders: false,
    };
    Analysis::resolve(keys, needs, judgement)
}

/// Evaluates the selected handshakes, and compares them with the baseline if there is one.
struct CheckSink {
    selection: Selection,
    evaluation: Evaluation,
    allows_empty: bool,
    baseline: Option<(PathBuf, Expectation)>,
}

/// What to do with a baseline.
enum Expectation {
    Compared(Box<Baseline>),
    /// Write these lines to it.
    Updated(Vec<String>),
}

impl CheckSink {
    fn open(args: &CheckArgs, context: Context) -> Result<Self, Failure> {
        let policy = policy(args)?;
        let mut selection = Selection::from(args.input.selection.clone());
        args.time.add_to(&mut selection);
        let baseline = match &args.expect {
            Some(path) if args.update => Some((path.clone(), Expectation::Updated(Vec::new()))),
            Some(path) => Some((path.clone(), Expectation::Compared(Box::new(read(path)?)))),
            None if args.update => {
                let failure = Failure::new("`--update` writes a baseline, and none is named");
                return Err(failure.hint("name one, as in `--expect expected.jsonl`"));
            }
            None => None,
        };
        Ok(Self {
            selection,
            allows_empty: policy.allows_empty,
            evaluation: Evaluation::new(policy, context),
            baseline,
        })
    }

    fn report(self, stats: &Stats, input: &Input) -> Result<Report, Failure> {
        let is_complete = !input.is_incomplete();
        let mut report = self.evaluation.finish(stats, input.warnings());
        report.is_complete = is_complete;
        match self.baseline {
            None => {}
            Some((path, Expectation::Compared(baseline))) => {
                let name = path.display().to_string();
                report.results.push(baseline.finish(&name));
            }
            Some((path, Expectation::Updated(lines))) => {
                // Later runs would expect the incomplete baseline.
                let is_whole = is_complete && (self.allows_empty || !lines.is_empty());
                if is_whole {
                    update(&path, &lines)?;
                }
            }
        }
        if !is_complete {
            report.results.push(CheckResult::of_unreadable_input());
        }
        Ok(report)
    }
}

impl Sink for CheckSink {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        if !self.selection.selects(event) {
            return Ok(());
        }
        self.evaluation.handshake(event);
        match &mut self.baseline {
            None => {}
            Some((_, Expectation::Compared(baseline))) => baseline.handshake(event),
            Some((_, Expectation::Updated(lines))) if lines.len() == MAX_BASELINE => {
                let message = format!("a baseline holds at most {MAX_BASELINE} handshakes");
                return Err(io::Error::new(ErrorKind::FileTooLarge, message));
            }
            Some((_, Expectation::Updated(lines))) => lines.push(Baseline::line(event)),
        }
        Ok(())
    }

    fn finish(&mut self, _: &Stats) -> io::Result<()> {
        Ok(())
    }
}

/// The policy that the user named; without one the default, or an empty one if there is a baseline.
fn policy(args: &CheckArgs) -> Result<Policy, Failure> {
    match (&args.policy, &args.expect) {
        (Some(path), _) => {
            let text =
                fs::read_to_string(path).map_err(|error| cannot("read policy", path, &error))?;
            Ok(Policy::parse(&text, &path.display().to_string())?)
        }
        (None, Some(path)) => Ok(Policy::empty(path.display().to_string())),
        (None, None) => Ok(Policy::default()),
    }
}

fn read(path: &Path) -> Result<Baseline, Failure> {
    let text = fs::read_to_string(path).map_err(|error| {
        let is_missing = error.kind() == ErrorKind::NotFound;
        cannot("read baseline", path, &error)
            .maybe_hint(is_missing.then_some("`--update` records one"))
    })?;
    Baseline::parse(&text)
        .map_err(|error| Failure::new(format_args!("no baseline: `{}`: {error}", path.display())))
}

fn update(path: &Path, lines: &[String]) -> Result<(), Failure> {
    let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    fs::write(path, text).map_err(|error| cannot("write baseline", path, &error))?;
    let count = lines.len();
    crate::cli::say::line(format_args!(
        "{count} handshakes written to `{}`",
        path.display()
    ));
    Ok(())
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(format_args!("cannot {what} `{}`: {error}", path.display()))
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        Self::new(&error).maybe_hint(error.hint())
    }
}

//! `tlscope check`: evaluates a policy on captures. `tlscope run` does the same with what it captures.

use std::fs;
use std::io::{self, ErrorKind, IsTerminal, Read, Write, stderr, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use terminal_size::terminal_size_of;
use tlscope::check::{
    Baseline, BaselineRecorder, CheckResult, Context, Evaluation, InputWarnings, KnownFindings,
    MAX_BASELINE, Policy, PolicyError, Preset, Report, ReportFormat, default_policy_text,
    explainable, explanation, policy_explanation, write_report, written_out,
};
use tlscope::event::{Handshake, NotTls};
use tlscope::pattern::nearest;
use tlscope::pipeline;
use tlscope::sink::selection::Selection;
use tlscope::sink::{Needs as EventNeeds, Sink, TextStyle};
use tlscope::stats::Stats;
use tlscope::time::Timestamp;

use super::ERROR;
use crate::cli::config::args::{AssertionArgs, CheckArgs, JudgementArgs, PrintedPolicy, ReportTo};
use crate::cli::config::text_kind::TextKind;
use crate::cli::config::{Analysis, Needs, config_file, memory, now, text_style};
use crate::cli::error::CliError as Failure;
use crate::cli::input::{
    CaptureInput as Input, hint_at_other_uses, key_log, warn_of_not_judged, warn_of_unread,
};
use crate::cli::output::symbols::Symbols;
use crate::cli::output::{none_selected, whole_file};
use crate::cli::say;

/// The exit code if an assertion of severity error does not hold.
const VIOLATED: u8 = 1;

/// Checks all captures and writes the reports.
pub(super) fn check(mut args: CheckArgs) -> Result<ExitCode, Failure> {
    if let Some(policy) = args.print_policy {
        let text = text_of(policy, &args.assertions)?;
        return super::print::print_text(|stdout| write!(stdout, "{text}"));
    }
    if let Some(name) = &args.explain {
        let text = explain(name, &args.assertions)?;
        return super::print::print_text(|stdout| write!(stdout, "{text}"));
    }
    let clock = Clock::start();
    let outputs = Outputs::new(&args.assertions.format, StandardStream::Output)?;
    let keys = key_log::read(&args.input.keylog, memory::limit(&args.judgement.memory))?;
    skip_system_roots(&args.assertions, &mut args.judgement);
    let needs = Needs {
        key_logs: !args.input.keylog.is_empty(),
        ..Needs::default()
    };
    let analysis = Analysis::resolve(keys, needs, &args.input.tunnels, &args.judgement)?;
    let mut selection = Selection::from(args.input.selection.clone());
    args.time.add_to(&mut selection)?;
    let mut sink = CheckSink::open(&args.assertions, selection, &analysis)?;
    let filter = args.input.filter.as_deref();
    let mut input = Input::open(
        &args.paths,
        filter,
        stderr().is_terminal(),
        analysis.memory_limit,
    )?;
    let mut observer = analysis.observer();
    observer.memory_limit = input.leave(observer.memory_limit);
    let threads = args.input.threads.for_files(analysis.memory_limit);
    let run = pipeline::run(&mut input, observer, threads, &mut sink)
        .map_err(|error| Failure::new(format_args!("cannot check: {error}")))?;
    if let Some(error) = run.error {
        return Err(error.into());
    }
    warn_of_unread(&run.unread, &run.stats);
    warn_of_not_judged(&run.stats);
    key_log::warn_of_use(&analysis.keys, &args.input.keylog, &run.stats);
    let is_complete = !input.is_incomplete();
    if !is_complete {
        hint_at_policies(&args.paths);
        hint_at_other_uses(&args.paths);
    }
    if run.stats.packets == 0 && !is_complete {
        return Ok(ERROR.into()); // the problem is on standard error already
    }
    let mut report = sink.report(&run.stats, input.warnings(), is_complete)?;
    let captures = args.paths.iter().map(|path| path.display().to_string());
    report.captures = captures.collect();
    clock.stop(&mut report);
    outputs.write(&report)?;
    Ok(exit_code(&report).into())
}

/// The exit code of a check.
pub(super) fn exit_code(report: &Report) -> u8 {
    match (report.is_complete, report.has_passed()) {
        (false, _) => ERROR,
        (true, false) => VIOLATED,
        (true, true) => 0,
    }
}

/// Says how a policy is named, for files that look like one and were taken for captures.
fn hint_at_policies(paths: &[PathBuf]) {
    let is_toml = |path: &&PathBuf| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    };
    if let Some(policy) = paths.iter().find(is_toml) {
        let policy = policy.display();
        say::hint(format_args!(
            "if `{policy}` is a policy, use `--policy {policy}`"
        ));
    }
}

/// The policy to print, as TOML.
fn text_of(policy: PrintedPolicy, args: &AssertionArgs) -> Result<String, Failure> {
    // A preset is the keys of a rule.
    let rule = |preset: Preset| Ok(format!("[[rule]]\n{}", preset.text()));
    match policy {
        PrintedPolicy::Effective => match (&args.policy, &args.expect) {
            (Some(path), _) => {
                let text = policy_text(path)?;
                let written = written_out(&text, &path.display().to_string());
                written.map_err(|error| refused_policy(error, &text, path))
            }
            (None, Some(_)) => Ok("# `--expect` without `--policy` evaluates no policy.\n".into()),
            (None, None) => Ok(default_policy_text().to_owned()),
        },
        PrintedPolicy::Default => Ok(default_policy_text().to_owned()),
        PrintedPolicy::MozillaModern => rule(Preset::MozillaModern),
        PrintedPolicy::MozillaIntermediate => rule(Preset::MozillaIntermediate),
        PrintedPolicy::NistSp800_52r2 => rule(Preset::NistSp800_52r2),
        PrintedPolicy::Cnsa2 => rule(Preset::Cnsa2),
        PrintedPolicy::PostQuantum => rule(Preset::PostQuantum),
    }
}

/// What `name` means; without a name, what the whole policy requires.
fn explain(name: &str, args: &AssertionArgs) -> Result<String, Failure> {
    let policy = policy(args)?;
    if name.is_empty() {
        refuse_empty(&policy)?;
        return Ok(policy_explanation(&policy));
    }
    explanation(name, Some(&policy)).ok_or_else(|| {
        let known = explainable();
        let list = format!("`--explain` knows `{}`", known.join("`, `"));
        let hint = match nearest(name, &known) {
            Some(meant) => format!("did you mean `{meant}`? {list}"),
            None => format!("{list}, and the named rules of `--policy`"),
        };
        Failure::new(format_args!(
            "no assertion, preset or rule is named `{name}`"
        ))
        .hint(hint)
    })
}

/// A policy that requires nothing is a mistake: it would hold for anything.
fn refuse_empty(policy: &Policy) -> Result<(), Failure> {
    if !policy.is_empty() {
        return Ok(());
    }
    let message = format_args!("policy `{}` has no assertions", policy.name);
    let hint = "add a rule, as in `[[rule]]` and `min-version = \"TLS 1.2\"`: \
                `tlscope check --print-policy` prints an example";
    Err(Failure::new(message).hint(hint))
}

/// When the check began.
pub(super) struct Clock {
    started: Option<Timestamp>,
    instant: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            started: now().ok(),
            instant: Instant::now(),
        }
    }

    pub(super) fn stop(&self, report: &mut Report) {
        report.started = self.started;
        report.elapsed = self.instant.elapsed();
    }
}

/// Where a report without a file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StandardStream {
    Output,
    /// Standard output belongs to the command that `tlscope run` starts.
    #[cfg_attr(not(live_capture), expect(dead_code, reason = "only `run` uses it"))]
    Error,
}

/// The reports that are written at the end.
pub(super) struct Outputs {
    reports: Vec<ReportTo>,
    stream: StandardStream,
}

impl Outputs {
    /// A text report goes to the standard stream unless another report does.
    pub(super) fn new(formats: &[ReportTo], stream: StandardStream) -> Result<Self, Failure> {
        let mut reports = formats.to_vec();
        let to_stream = formats.iter().filter(|report| report.file.is_none());
        match to_stream.count() {
            0 => reports.push(ReportTo {
                format: ReportFormat::Text,
                file: None,
            }),
            1 => {}
            _ => {
                let name = match stream {
                    StandardStream::Output => "output",
                    StandardStream::Error => "error",
                };
                let message = format_args!("two reports cannot both go to standard {name}");
                let hint = "give one a file, as in `--format text,junit=report.xml`";
                return Err(Failure::new(message).hint(hint));
            }
        }
        Ok(Self { reports, stream })
    }

    /// An error if a report cannot be written: known before the work, not after it.
    #[cfg(live_capture)]
    pub(super) fn probe(&self) -> Result<(), Failure> {
        let files = self.reports.iter().filter_map(|to| to.file.as_ref());
        let probe = |path: &PathBuf| {
            let is_shared = is_job_summary(path);
            let result = if is_shared {
                Ok(())
            } else {
                whole_file::probe(path)
            };
            result.map_err(|error| cannot("write report", path, &error))
        };
        files.map(probe).fold(Ok(()), Result::and)
    }

    /// Writes all reports, also if one of them cannot be written.
    pub(super) fn write(&self, report: &Report) -> Result<(), Failure> {
        let results = self.reports.iter().map(|to| self.write_one(to, report));
        results.fold(Ok(()), Result::and)
    }

    fn write_one(&self, to: &ReportTo, report: &Report) -> Result<(), Failure> {
        if to.format == ReportFormat::Text && to.file.is_none() && report.results.is_empty() {
            return Ok(()); // a baseline was written, and there was nothing to check
        }
        let text_style = match (&to.file, self.stream) {
            (None, StandardStream::Output) => text_style(),
            (None, StandardStream::Error) => TextStyle {
                color: anstream::AutoStream::choice(&stderr()) != anstream::ColorChoice::Never,
                width: terminal_size_of(stderr()).map(|(width, _)| usize::from(width.0)),
            },
            (Some(_), _) => TextStyle::default(),
        };
        let is_text = to.format == ReportFormat::Text;
        let mut text = Vec::new();
        let written = write_report(report, to.format, text_style, &mut text);
        match (&to.file, self.stream) {
            (Some(path), _) => written
                .and_then(|()| write_whole(path, &text))
                .map_err(|error| cannot("write report", path, &error)),
            (None, StandardStream::Output) => written
                .and_then(|()| Symbols::new(stdout(), is_text).write_all(&text))
                .and_then(|()| stdout().flush())
                .or_else(crate::cli::output::closed_pipe_is_success),
            (None, StandardStream::Error) => {
                // Standard error may be closed, and there is nowhere else to report that.
                let _ = written.and_then(|()| Symbols::new(stderr(), is_text).write_all(&text));
                Ok(())
            }
        }
    }
}

/// Writes a report to its file. It is appended to GitHub's job summary, since several commands of a step write to that.
fn write_whole(path: &Path, text: &[u8]) -> io::Result<()> {
    if !is_job_summary(path) {
        return whole_file::replace(path, text);
    }
    let mut file = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)?;
    file.write_all(text)
}

fn is_job_summary(path: &Path) -> bool {
    std::env::var_os("GITHUB_STEP_SUMMARY").is_some_and(|summary| summary == path)
}

/// A comparison with a baseline must have the same result on every machine, so it does not use the system's roots.
pub(super) fn skip_system_roots(args: &AssertionArgs, judgement: &mut JudgementArgs) {
    let names_roots =
        !judgement.ca_file.is_empty() || !judgement.ca_dir.is_empty() || judgement.system_roots;
    judgement.no_verify |= args.expect.is_some() && !names_roots;
}

/// Evaluates the selected handshakes, and compares them with the baseline if there is one.
pub(super) struct CheckSink {
    selection: Selection,
    /// Handshakes that were seen, and those of them that the selection includes.
    seen: u64,
    selected: u64,
    evaluation: Evaluation,
    allows_empty: bool,
    baseline: Option<(PathBuf, Expectation)>,
    /// The file for the violations that are known from now on.
    known: Option<PathBuf>,
}

/// What to do with a baseline.
enum Expectation {
    Compared(Box<Baseline>),
    /// Write these to it.
    Updated(BaselineRecorder),
}

impl CheckSink {
    pub(super) fn open(
        args: &AssertionArgs,
        selection: Selection,
        analysis: &Analysis,
    ) -> Result<Self, Failure> {
        let policy = policy(args)?;
        if args.expect.is_none() {
            refuse_empty(&policy)?;
        }
        if args.expect_counts && args.expect.is_none() {
            let failure =
                Failure::new("`--expect-counts` compares with a baseline, and none is named");
            return Err(failure.hint("name one, as in `--expect expected.json`"));
        }
        let baseline = match &args.expect {
            Some(path) if args.update => {
                let recorder = BaselineRecorder::new(args.expect_counts);
                Some((path.clone(), Expectation::Updated(recorder)))
            }
            Some(path) => {
                let baseline = read(path)?.comparing_counts(args.expect_counts);
                Some((path.clone(), Expectation::Compared(Box::new(baseline))))
            }
            None if args.update && args.new_only.is_none() => {
                let failure = Failure::new("`--update` writes a baseline, and none is named");
                return Err(failure
                    .hint("name one, as in `--expect expected.json` or `--new-only known.jsonl`"));
            }
            None => None,
        };
        let known = match &args.new_only {
            Some(_) if args.update => KnownFindings::recording(),
            Some(path) => known_findings(path)?,
            None => KnownFindings::default(),
        };
        let context = Context {
            chains_are_validated: analysis.roots.trust().store().is_some(),
        };
        Ok(Self {
            selection,
            seen: 0,
            selected: 0,
            allows_empty: policy.allows_empty,
            evaluation: Evaluation::new(policy, context).without(known),
            baseline,
            known: args.new_only.clone().filter(|_| args.update),
        })
    }

    pub(super) fn report(
        self,
        stats: &Stats,
        warnings: &InputWarnings,
        is_complete: bool,
    ) -> Result<Report, Failure> {
        if self.seen > 0 && self.selected == 0 {
            say::warning(none_selected(self.seen));
        }
        let (mut report, known) = self.evaluation.finish_with_findings(stats, warnings);
        report.is_complete = is_complete;
        // Later runs would compare with what an incomplete input shows.
        let is_whole = is_complete && (self.allows_empty || report.handshakes > 0);
        match self.baseline {
            None => {}
            Some((_, Expectation::Updated(_))) if !is_whole => {}
            Some((path, Expectation::Compared(baseline))) => {
                let name = path.display().to_string();
                report.results.push(baseline.finish(&name));
            }
            Some((path, Expectation::Updated(recorder))) => {
                let (text, count) = recorder.finish();
                update(&path, &text, count, "handshake")?;
            }
        }
        if let Some(path) = self.known.filter(|_| is_whole) {
            let lines = known.lines();
            let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
            update(&path, &text, lines.len(), "known violation")?;
        }
        if !is_complete {
            report.results.push(CheckResult::of_unreadable_input());
        }
        Ok(report)
    }
}

impl Sink for CheckSink {
    /// Policies ask for no fingerprints; baselines have them.
    fn needs(&self) -> EventNeeds {
        let mut needs = EventNeeds::ALL;
        needs.fingerprints = self.baseline.is_some();
        needs
    }

    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        self.seen += 1;
        if !self.selection.selects(event) {
            return Ok(());
        }
        self.selected += 1;
        self.evaluation.handshake(event);
        match &mut self.baseline {
            None => {}
            Some((_, Expectation::Compared(baseline))) => baseline.handshake(event),
            Some((_, Expectation::Updated(recorder))) => return add(recorder, event),
        }
        Ok(())
    }

    fn not_tls(&mut self, event: &NotTls) -> io::Result<()> {
        if self.selection.selects_not_tls(event) {
            self.evaluation.not_tls(event);
        }
        Ok(())
    }

    fn finish(&mut self, _: &Stats) -> io::Result<()> {
        Ok(())
    }
}

fn add(recorder: &mut BaselineRecorder, event: &Handshake) -> io::Result<()> {
    if recorder.add(event) {
        return Ok(());
    }
    let message = format!("a baseline holds at most {MAX_BASELINE} handshakes");
    Err(io::Error::new(ErrorKind::FileTooLarge, message))
}

/// The policy that the user named; without one the default, or an empty one if there is a baseline.
fn policy(args: &AssertionArgs) -> Result<Policy, Failure> {
    match (&args.policy, &args.expect) {
        (Some(path), _) => {
            let text = policy_text(path)?;
            let policy = Policy::parse(&text, &path.display().to_string());
            policy.map_err(|error| refused_policy(error, &text, path))
        }
        (None, Some(path)) => Ok(Policy::empty(path.display().to_string())),
        (None, None) => Ok(Policy::default()),
    }
}

fn policy_text(path: &Path) -> Result<String, Failure> {
    read_text(path, MAX_POLICY_BYTES).map_err(|error| {
        let preset = Preset::ALL
            .iter()
            .map(|preset| preset.as_str())
            .find(|name| path.as_os_str() == *name);
        let hint = match (error.kind(), preset) {
            (ErrorKind::InvalidData, _) => Some(
                "a policy is a text in TOML: `tlscope check --print-policy` prints one".to_owned(),
            ),
            (ErrorKind::NotFound, Some(preset)) => Some(format!(
                "`{preset}` is a preset: write `[[rule]]` and `preset = \"{preset}\"` to a file, or save what `--print-policy={preset}` prints"
            )),
            _ => None,
        };
        cannot("read policy", path, &error).maybe_hint(hint)
    })
}

/// The error for a policy that cannot be used; another file of the program's was meant, perhaps.
fn refused_policy(error: PolicyError, text: &str, path: &Path) -> Failure {
    let path = path.display();
    let failure = Failure::from(error);
    if config_file::is_settings(text) {
        return failure.hint(format!(
            "`{path}` has settings: use `tlscope --config {path} check`, and `--policy` for a file with rules"
        ));
    }
    failure.maybe_hint(TextKind::of(text).map(|kind| {
        let place = match kind {
            TextKind::Json => "`--expect` and `--new-only` read baselines; a policy is in TOML",
            TextKind::Pem => "`--ca-file` reads trusted roots",
            TextKind::KeyLog => "`--keylog` reads it",
            TextKind::Yaml => "a policy is in TOML, as `tlscope check --print-policy` prints it",
        };
        format!("`{path}` looks like {kind}: {place}")
    }))
}

/// Bytes of a policy at most: the largest preset has 3 KB.
const MAX_POLICY_BYTES: u64 = 16 << 20;
/// Bytes of a baseline at most: with 100,000 handshakes it has some 300 MB.
const MAX_BASELINE_BYTES: u64 = 1 << 30;

/// The text of a file, or of standard input for `-`, without a byte order mark.
fn read_text(path: &Path, most: u64) -> io::Result<String> {
    let file: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(stdin())
    } else {
        Box::new(fs::File::open(path)?)
    };
    let mut text = String::new();
    let read = file.take(most).read_to_string(&mut text)?;
    if read as u64 == most {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "file too large"));
    }
    Ok(match text.strip_prefix('\u{feff}') {
        Some(text) => text.to_owned(),
        None => text,
    })
}

fn read(path: &Path) -> Result<Baseline, Failure> {
    Baseline::parse(&read_baseline(path)?).map_err(|error| {
        let path = path.display();
        let failure = Failure::new(format_args!("invalid baseline `{path}`: {error}"));
        failure
            .hint("`--expect` reads what `--expect FILE --update` or `read --format json` writes")
    })
}

fn known_findings(path: &Path) -> Result<KnownFindings, Failure> {
    KnownFindings::parse(&read_baseline(path)?).map_err(|error| {
        let path = path.display();
        let failure = Failure::new(format_args!("invalid baseline `{path}`: {error}"));
        failure.hint("`--new-only` reads what `--new-only FILE --update` writes")
    })
}

fn read_baseline(path: &Path) -> Result<String, Failure> {
    read_text(path, MAX_BASELINE_BYTES).map_err(|error| {
        let is_missing = error.kind() == ErrorKind::NotFound;
        cannot("read baseline", path, &error)
            .maybe_hint(is_missing.then_some("`--update` records one"))
    })
}

fn update(path: &Path, text: &str, count: usize, what: &str) -> Result<(), Failure> {
    whole_file::replace(path, text.as_bytes())
        .map_err(|error| cannot("write baseline", path, &error))?;
    let path = path.display();
    let plural = if count == 1 { "" } else { "s" };
    say::line(format_args!("{count} {what}{plural} written to `{path}`"));
    Ok(())
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::of_file(what, path, error)
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        Self::new(&error).maybe_hint(error.hint())
    }
}

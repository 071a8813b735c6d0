//! `tlscope run`: captures while a command runs, then evaluates a policy with the command's secrets.
//!
//! ```text
//! interfaces ─▶ Recording (a temporary file) ─┐
//!                                             ├─▶ pipeline ─▶ CheckSink ─▶ reports
//! command ─▶ SSLKEYLOGFILE ───────────────────┘
//! ```
//!
//! Packets are evaluated once the command has ended. By then all secrets are known, whenever a client logged them, so
//! the result does not depend on who was faster; and no slow evaluation makes the capture lose packets.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tlscope::attribution::{Attribution, Attributor};
use tlscope::capture::live::{LiveCapture, LiveOptions, LiveSource};
use tlscope::capture::{
    CaptureError, CaptureFiles, Interface, Meters, PacketBatch, PacketSource, Problem,
};
use tlscope::check::InputWarnings;
use tlscope::event::{HandshakeReport, NotTls};
use tlscope::pattern::Glob;
use tlscope::pipeline::{self, Lines};
use tlscope::sink::files::recording::Recording;
use tlscope::sink::selection::Selection;
use tlscope::sink::{Needs as EventNeeds, Renderer, Sink};
use tlscope::stats::{Health, Progress};
use tlscope::time::Timestamp;

use super::check::{self, CheckSink, Clock, Outputs, StandardStream};
use crate::cli::config::args::{At, RunArgs};
use crate::cli::config::{Analysis, Needs, now};
use crate::cli::error::CliError;
use crate::cli::input::{key_log, warn_of_not_judged, warn_of_unread};
use crate::cli::say;
use child::{Child, Ending, Signals};
use key_log_file::KeyLogFile;
use private_directory::PrivateDirectory;

mod child;
mod environment;
mod key_log_file;
mod misplaced;
mod private_directory;

/// Bytes of packets that one run may record, so that a test which moves much data does not fill the disk. A handshake
/// takes some 5 KB.
const MAX_RECORDING: u64 = 8 << 30;

/// Runs the command, and returns its exit status or that of the check.
pub(super) fn run(mut args: RunArgs) -> Result<ExitCode, CliError> {
    if let Some(warning) = misplaced::warning(&args.command, std::env::args_os()) {
        say::warning(warning);
    }
    let clock = Clock::start();
    let outputs = Outputs::new(&args.assertions.format, StandardStream::Error)?;
    outputs.probe()?;
    if args.judgement.at == At::Now {
        args.judgement.at = At::Capture; // the capture happens now
    }
    check::skip_system_roots(&args.assertions, &mut args.judgement);
    // Before the command runs: a mistake in the arguments must not cost a whole test run.
    let needs = Needs {
        key_logs: true,
        ..Needs::default()
    };
    let mut analysis = Analysis::without_roots(
        tlscope::decrypt::Keys::default(),
        needs,
        &args.tunnels,
        &args.judgement,
    )?;
    let mut selection = Selection::default();
    selection.server_names = args
        .server_name
        .iter()
        .map(|name| Glob::new(name))
        .collect();

    let interfaces = super::live::interfaces(std::mem::take(&mut args.interface))?;
    let options = options(&args);
    let capture = LiveCapture::open(&interfaces, &options)?;
    let attribution = args
        .attribute_processes
        .then(|| super::live::open_attribution(&interfaces, options.filter.as_deref()))
        .transpose()?;
    environment::drop_privileges()?;
    // From here on, files are read and parsed.
    analysis.roots.read()?;
    let sink = CheckSink::open(&args.assertions, selection, &analysis)?;
    let attribution = attribution.map(Attribution::start).transpose();
    let attribution = attribution.map_err(|error| {
        CliError::new(format_args!(
            "cannot start a thread to find processes: {error}"
        ))
    })?;
    let signals = Signals::listen()
        .map_err(|error| CliError::new(format_args!("cannot listen to signals: {error}")))?;
    let directory = PrivateDirectory::create()?;
    signals.remove_on_exit(directory.path());
    let key_log = KeyLogFile::choose(args.keylog.as_deref(), directory.path())?;
    let saved = args.save.as_deref().map(create).transpose()?;

    let mut recorder = Recorder::start(capture, &directory, attribution)?;
    let (ending, recorded) = match Child::start(&args.command, key_log.path(), &signals) {
        Ok(child) => recorder.record_during(child),
        Err(refusal) => {
            say::error(&refusal);
            return Ok(refusal.exit_code().into());
        }
    };
    let lost = recorder.lost();
    let dropped_at = recorder.dropped_at();
    let threads = args.threads.for_files(analysis.memory_limit);
    let Recorder {
        recording,
        attribution,
        ..
    } = recorder;
    let sink = Attributed { sink, attribution };
    let result = recorded
        .map_err(|error| CliError::new(format_args!("cannot record packets: {error}")))
        .and_then(|()| {
            let secrets = key_log.read()?;
            analysis.keys = tlscope::decrypt::Keys::default();
            analysis
                .keys
                .keep_within(analysis.memory_limit.of_key_logs());
            analysis.keys.absorb_all(&secrets);
            let packets = directory.path().join(PACKETS);
            if let (Some(file), Some(path)) = (saved, &args.save) {
                save(recording, file, path, &secrets)?;
            }
            let name = args.save.as_ref().map(|path| path.display().to_string());
            let replay = Replay::open(packets, name, dropped_at, lost);
            let filter = options.filter.as_deref();
            evaluate(
                threads,
                &interfaces,
                filter,
                &analysis,
                args.keylog.as_slice(),
                sink,
                replay,
            )
        })
        .and_then(|mut report| {
            report.captures = match &args.save {
                Some(path) => vec![path.display().to_string()],
                None => interfaces.clone(),
            };
            clock.stop(&mut report);
            outputs.write(&report)?;
            Ok(check::exit_code(&report))
        });
    // The command's failure is what the caller asked about in the first place.
    match (ending, result) {
        (ending, Ok(code)) => {
            if ending.exit_code().is_some() {
                say::line(ending);
            }
            Ok(ending.exit_code().unwrap_or(code).into())
        }
        (ending, Err(error)) => match ending.exit_code() {
            None => Err(error),
            Some(code) => {
                say::error(error);
                Ok(code.into())
            }
        },
    }
}

fn options(args: &RunArgs) -> LiveOptions {
    LiveOptions {
        filter: filter(args.filter.as_deref(), &args.port),
        buffer_size: u32::try_from(args.buffer_size).unwrap_or(u32::MAX),
        drains_buffer: true,
        ..LiveOptions::default()
    }
}

/// Packets that match `filter`, on one of `ports` if there are any.
fn filter(filter: Option<&str>, ports: &[u16]) -> Option<String> {
    let ports: Vec<_> = ports.iter().map(|port| format!("port {port}")).collect();
    let ports = ports.join(" or ");
    match filter.map(str::trim).filter(|filter| !filter.is_empty()) {
        Some(filter) if ports.is_empty() => Some(filter.to_owned()),
        Some(filter) => Some(format!("({filter}) and ({ports})")),
        None if ports.is_empty() => None,
        None => Some(ports),
    }
}

/// The file of packets in the private directory.
const PACKETS: &str = "packets.pcapng";

/// Creates a file that only this user can read, since it will hold secrets.
fn create(path: &Path) -> Result<File, CliError> {
    private_directory::create_file(path)
        .map_err(|error| CliError::new(format_args!("cannot write `{}`: {error}", path.display())))
}

fn save(recording: Recording, mut file: File, path: &Path, secrets: &[u8]) -> Result<(), CliError> {
    recording
        .copy_to(&mut file, secrets)
        .map_err(|error| CliError::new(format_args!("cannot save `{}`: {error}", path.display())))
}

/// Packets on their way from the interfaces to the recording.
struct Recorder {
    source: LiveSource,
    meters: Meters,
    stop: Arc<AtomicBool>,
    recording: Recording,
    /// When packets were last dropped before they could be recorded.
    dropped_at: Option<Timestamp>,
    attribution: Option<Attributor>,
}

impl Recorder {
    /// Starts to capture: all packets from now on are recorded.
    fn start(
        capture: LiveCapture,
        directory: &PrivateDirectory,
        attribution: Option<Attributor>,
    ) -> Result<Self, CliError> {
        let file = directory.create_file(PACKETS)?;
        let recording = Recording::start(file, capture.interfaces(), MAX_RECORDING)
            .map_err(|error| CliError::new(format_args!("cannot record packets: {error}")))?;
        let stop = Arc::new(AtomicBool::new(false));
        let source = capture.start(Arc::clone(&stop)).map_err(|error| {
            CliError::new(format_args!("cannot start a thread to capture: {error}"))
        })?;
        Ok(Self {
            meters: source.meters().unwrap_or_default(),
            source,
            stop,
            recording,
            dropped_at: None,
            attribution,
        })
    }

    /// Records until the command has ended and the kernel's buffer is empty.
    ///
    /// An error ends the recording, not the command.
    fn record_during(&mut self, child: Child) -> (Ending, io::Result<()>) {
        let stop = Arc::clone(&self.stop);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(move || {
                let ending = child.wait();
                stop.store(true, Ordering::Relaxed);
                ending
            });
            let mut result = Ok(());
            let mut batch = PacketBatch::default();
            while self.source.next_batch(&mut batch).unwrap_or(false) {
                if result.is_ok() {
                    result = self.recording.add(&batch);
                }
                self.dropped_at = self.dropped_at.max(batch.dropped_at);
                if let Some(attribution) = &mut self.attribution {
                    attribution.collect();
                }
                for problem in self.source.take_problems() {
                    say::problem(&problem);
                }
            }
            let result = result.and_then(|()| self.end());
            (waiting.join().unwrap_or(Ending::Unknown), result)
        })
    }

    /// Ends the recording with what the interfaces counted.
    fn end(&mut self) -> io::Result<()> {
        let interfaces: Vec<_> = self.meters.iter().map(|meter| meter.read()).collect();
        match now() {
            Ok(now) => self.recording.end(&interfaces, now),
            Err(_) => self.recording.flush(), // a clock before 1970: statistics have a time
        }
    }

    /// Until when packets may be missing, if some are.
    fn dropped_at(&self) -> Option<Timestamp> {
        // If the recording is full, all packets are missing that came after its last one.
        let now = (self.recording.dropped() > 0).then(|| now().ok());
        now.flatten().max(self.dropped_at)
    }

    /// What the recording lacks, in words; `None` if it is whole.
    fn lost(&self) -> Option<String> {
        let interfaces = self.meters.iter().map(|meter| meter.read());
        let lost = |sum: u64, health: tlscope::stats::InterfaceHealth| sum + health.dropped();
        let dropped = interfaces.fold(0, lost);
        let beyond = self.recording.dropped();
        if beyond > 0 {
            let gib = MAX_RECORDING >> 30;
            return Some(format!(
                "{beyond} packets were not recorded: a run records at most {gib} GiB; `--port` captures less"
            ));
        }
        (dropped > 0).then(|| {
            format!(
                "{dropped} packets were lost: `--port` captures less, and a larger `--buffer-size` holds more"
            )
        })
    }
}

/// The packets of the recording, with the interface or the saved file as their source.
struct Replay {
    files: CaptureFiles,
    /// The name of the file that the user keeps.
    saved: Option<Arc<str>>,
    /// When packets were last dropped, until the first batch has said so.
    dropped_at: Option<Timestamp>,
    /// What the recording lacks, in words.
    lost: Option<String>,
    named: (Arc<[Interface]>, Arc<[Interface]>),
}

impl Replay {
    fn open(
        path: PathBuf,
        saved: Option<String>,
        dropped_at: Option<Timestamp>,
        lost: Option<String>,
    ) -> Self {
        Self {
            files: CaptureFiles::open(&[path]),
            saved: saved.map(Into::into),
            dropped_at,
            lost,
            named: Default::default(),
        }
    }

    fn rename(&mut self, interfaces: &Arc<[Interface]>) -> Arc<[Interface]> {
        if !Arc::ptr_eq(interfaces, &self.named.0) {
            let rename = |interface: &Interface| {
                let mut interface = interface.clone();
                let name = self.saved.as_ref().or(interface.name.as_ref());
                if let Some(name) = name {
                    interface.source = Arc::clone(name);
                }
                interface
            };
            self.named = (
                Arc::clone(interfaces),
                interfaces.iter().map(rename).collect(),
            );
        }
        Arc::clone(&self.named.1)
    }
}

impl PacketSource for Replay {
    fn next_batch(&mut self, batch: &mut PacketBatch) -> Result<bool, CaptureError> {
        let more = self.files.next_batch(batch)?;
        batch.interfaces = self.rename(&batch.interfaces);
        batch.dropped_at = self.dropped_at.take();
        Ok(more)
    }

    fn take_problems(&mut self) -> Vec<Problem> {
        self.files.take_problems()
    }
}

fn evaluate(
    threads: usize,
    interfaces: &[String],
    filter: Option<&str>,
    analysis: &Analysis,
    key_logs: &[PathBuf],
    mut sink: Attributed,
    mut replay: Replay,
) -> Result<tlscope::check::Report, CliError> {
    let mut warnings = InputWarnings::default();
    if let Some(lost) = replay.lost.take() {
        say::warning(&lost);
        warnings.add(&lost);
    }
    let run = pipeline::run(&mut replay, analysis.observer(), threads, &mut sink)
        .map_err(|error| CliError::new(format_args!("cannot check: {error}")))?;
    if let Some(error) = run.error {
        return Err(error.into());
    }
    for problem in replay.take_problems() {
        say::problem(&problem);
        warnings.add(&problem.text);
    }
    warn_of_unread(&run.unread, &run.stats);
    warn_of_not_judged(&run.stats);
    key_log::warn_of_use(&analysis.keys, key_logs, &run.stats);
    if run.stats.packets == 0 {
        let interfaces = interfaces.join(", ");
        match filter {
            Some(filter) => say::warning(format_args!(
                "no packet on {interfaces} matched `{filter}` while the command ran"
            )),
            None => say::warning(format_args!(
                "no packet on {interfaces} while the command ran: `-i any` captures on all interfaces"
            )),
        }
    }
    if let Some(attribution) = &sink.attribution {
        say::line(attribution.counts());
    }
    sink.sink.report(&run.stats, &warnings, true)
}

/// The check, of events that say who holds their sockets, if that was asked for while the command ran.
struct Attributed {
    sink: CheckSink,
    attribution: Option<Attributor>,
}

impl pipeline::Output for Attributed {
    fn needs(&self) -> EventNeeds {
        Sink::needs(&self.sink)
    }

    fn renderers(&self, _: usize) -> Vec<Box<dyn Renderer>> {
        Vec::new()
    }

    fn report(
        &mut self,
        mut report: Box<HandshakeReport>,
        _: Lines,
    ) -> io::Result<Option<Box<HandshakeReport>>> {
        if let Some(attribution) = &mut self.attribution {
            attribution.attribute(&mut report.event);
        }
        self.sink.handshake(&report.event).map(|()| None)
    }

    fn not_tls(&mut self, event: &NotTls, _: Lines) -> io::Result<bool> {
        Sink::not_tls(&mut self.sink, event).map(|()| false)
    }

    fn rendered(&mut self, text: &[u8], events: u64) -> io::Result<()> {
        Sink::rendered(&mut self.sink, text, events)
    }

    fn progress(&mut self, progress: &Progress) -> io::Result<()> {
        Sink::progress(&mut self.sink, progress)
    }

    fn flush(&mut self) -> io::Result<()> {
        Sink::flush(&mut self.sink)
    }

    fn tick(&mut self, now: Timestamp, health: &Health) -> io::Result<()> {
        Sink::tick(&mut self.sink, now, health)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_narrow_the_filter() {
        assert_eq!(filter(None, &[]), None);
        assert_eq!(filter(Some(" "), &[]), None);
        assert_eq!(filter(Some("tcp"), &[]).as_deref(), Some("tcp"));
        let ports = filter(None, &[443, 8443]);
        assert_eq!(ports.as_deref(), Some("port 443 or port 8443"));
        let both = filter(Some("tcp or udp"), &[443]);
        assert_eq!(both.as_deref(), Some("(tcp or udp) and (port 443)"));
    }
}

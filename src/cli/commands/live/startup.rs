//! What a run does with privileges: it opens the interfaces, then drops the privileges for good.

use std::fs;

use tlscope::attribution::{Attribution, Attributor};
use tlscope::capture::live::{LiveCapture, LiveSource};
use tlscope::telemetry::{Opened, Prepared};

use super::config::LiveConfig;
use super::host::{self, Account, Restrictions, Signals};
use crate::cli::config::EventDestination;
use crate::cli::error::CliError;
use crate::cli::input::key_log;
use crate::cli::say;

/// What a run has once it has dropped its privileges.
pub(super) struct Started {
    pub(super) source: LiveSource,
    pub(super) attribution: Option<Attributor>,
    pub(super) metrics: Option<Prepared>,
}

/// Opens the interfaces and restricts the process.
///
/// Only the capture threads keep a privilege, to reopen an interface that comes back, and the thread that reads `/proc`, if there is
/// one.
pub(super) fn start_capture(
    config: &mut LiveConfig,
    metrics: Option<Opened>,
    signals: &Signals,
) -> Result<Started, CliError> {
    let capture = LiveCapture::open(&config.interfaces, &config.capture)?;
    let filter = config.capture.filter.as_deref();
    let mut attribution = config
        .attributes_processes
        .then(|| open_attribution(&config.interfaces, filter))
        .transpose()?;
    create_directories(config)?;
    open_file(config)?;
    let sandbox = config
        .is_sandboxed
        .then(|| config.sandbox(metrics.as_ref()));
    if let Some(account) = &config.account {
        account.assume()?;
    }
    if let Some(attribution) = &mut attribution {
        let is_sandboxed = config.is_sandboxed;
        attribution
            .start_processes(move || restrict_inspection(is_sandboxed))
            .map_err(no_thread)?;
    }
    host::keep_capture_only()?;
    if config.key_logs.paths().next().is_some() {
        key_log::forbid_core_dumps(); // again: changing the user may have reset it
    }
    read_files(config)?;
    let metrics = metrics.map(Opened::prepare).transpose()?;
    let restrictions = sandbox.map(|sandbox| sandbox.enter()).transpose()?;
    if config.is_verbose {
        report(restrictions.as_ref());
    }
    let source = capture.start(signals.stop()).map_err(|error| {
        CliError::new(format_args!("cannot start a thread to capture: {error}"))
    })?;
    host::drop_all()?;
    let attribution = attribution.map(Attribution::start).transpose();
    Ok(Started {
        source,
        attribution: attribution.map_err(no_thread)?,
        metrics,
    })
}

/// Reads the secrets that key logs hold already, and the roots, without privileges.
fn read_files(config: &mut LiveConfig) -> Result<(), CliError> {
    config.key_logs.read(&config.analysis.keys)?;
    config.analysis.roots.read().map_err(|error| {
        // The error is text by now: its kind is lost.
        let lacks_permission = error.to_string().contains("Permission denied");
        let account = config.account.as_ref().filter(|_| lacks_permission);
        error.maybe_hint(account.map(Account::reading_hint))
    })
}

/// Opens what it takes to find the processes behind handshakes.
pub(in crate::cli::commands) fn open_attribution(
    interfaces: &[String],
    filter: Option<&str>,
) -> Result<Attribution, CliError> {
    Attribution::open(interfaces, filter).map_err(|reason| {
        CliError::new(reason).hint("omit `--attribute-processes` to run without it")
    })
}

/// Restricts the thread that reads `/proc`; false if it must not run.
///
/// Landlock would keep it from the files of all other processes, whatever its privileges.
fn restrict_inspection(is_sandboxed: bool) -> bool {
    if let Err(error) = host::keep_inspection_only() {
        say::warning(error);
        return false;
    }
    if is_sandboxed {
        host::restrict_system_calls(); // as for the other threads, a kernel that refuses was warned of
    }
    true
}

fn no_thread(error: std::io::Error) -> CliError {
    CliError::new(format_args!(
        "cannot start a thread to find processes: {error}"
    ))
}

/// Reports what the rest of the run cannot do (`--verbose`).
fn report(restrictions: Option<&Restrictions>) {
    match restrictions {
        Some(restrictions) => say::line(format_args!("sandbox: {restrictions}")),
        None => say::line("sandbox: none"),
    }
}

/// Opens the file of `--output`, which the account that the run continues as may not be allowed to.
///
/// A new file belongs to that account, which can then reopen it.
fn open_file(config: &mut LiveConfig) -> Result<(), CliError> {
    let (Some(account), EventDestination::File(rotation)) =
        (&config.account, &mut config.output.destination)
    else {
        return Ok(());
    };
    let length = fs::metadata(&rotation.path).map(|file| file.len());
    // CSV with a header goes on in a new file, which is made later.
    if config.output.format.has_header() && matches!(length, Ok(1..)) {
        return Ok(());
    }
    let path = rotation.path.display().to_string();
    let opened = rotation.open_now().and_then(|file| match length {
        Ok(_) => Ok(()),
        Err(_) => account.own(file),
    });
    opened.map_err(|error| CliError::new(format_args!("cannot write `{path}`: {error}")))
}

/// Creates the directories that files are written into.
///
/// The account that the run continues as may not be allowed to, so the directories are created first and given to it.
fn create_directories(config: &LiveConfig) -> Result<(), CliError> {
    config.written_directories().try_for_each(|directory| {
        let created = match &config.account {
            Some(account) => account.make_directory(directory),
            None => fs::create_dir_all(directory),
        };
        created.map_err(|error| {
            let directory = directory.display();
            CliError::new(format_args!("cannot create `{directory}`: {error}"))
        })
    })
}

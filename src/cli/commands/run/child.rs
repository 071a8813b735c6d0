//! The command: how it is started, what signals it gets, and how it ends.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpgrp, kill_process, waitid};
use rustix::termios::tcgetpgrp;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals as Incoming;
use signal_hook::low_level::signal_name;

use super::environment::removed_variables;
use super::key_log_file::VARIABLE;

/// The command while it runs.
#[derive(Debug)]
pub(super) struct Child {
    process: process::Child,
    signals: Signals,
}

impl Child {
    /// Starts the command, with the standard streams of this process.
    pub(super) fn start(
        command: &[OsString],
        key_log: &Path,
        signals: &Signals,
    ) -> Result<Self, Refusal> {
        let (program, arguments) = command.split_first().unzip();
        let program = program.cloned().unwrap_or_default();
        let refuse = |error| Refusal {
            program: program.clone(),
            error,
        };
        // A signal that comes now waits for the lock, and then finds the process.
        let mut state = signals.lock();
        let process = Command::new(&program)
            .args(arguments.unwrap_or_default())
            .envs(removed_variables())
            .env(VARIABLE, key_log)
            .spawn()
            .map_err(refuse)?;
        state.child = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
        drop(state);
        Ok(Self {
            process,
            signals: signals.clone(),
        })
    }

    /// Waits for the end of the command.
    pub(super) fn wait(mut self) -> Ending {
        // Its number stays taken until `wait` below, so no signal can reach another process that got the same one.
        let pid = self.signals.lock().child;
        if let Some(pid) = pid {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
        }
        self.signals.lock().child = None;
        self.process.wait().map_or(Ending::Unknown, Ending::Known)
    }
}

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Known(ExitStatus),
    /// The system does not say.
    Unknown,
}

impl Ending {
    /// The command's exit status as shells report it; `None` if it succeeded.
    pub(super) fn exit_code(self) -> Option<u8> {
        let Self::Known(status) = self else {
            return Some(super::super::ERROR);
        };
        let by_signal = status.signal().map(|signal| 128 + signal);
        let code = status.code().or(by_signal).unwrap_or(1);
        (code != 0).then(|| u8::try_from(code).unwrap_or(u8::MAX))
    }
}

/// How it failed, with the exit status that the program takes from it.
impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.exit_code().unwrap_or_default();
        let signal = match self {
            Self::Known(status) => status.signal(),
            Self::Unknown => None,
        };
        match (signal, signal.and_then(signal_name)) {
            (_, Some(name)) => write!(f, "the command was ended by {name}: exit status {code}"),
            (Some(number), None) => {
                write!(
                    f,
                    "the command was ended by signal {number}: exit status {code}"
                )
            }
            (None, None) => write!(f, "the command failed: exit status {code}"),
        }
    }
}

/// Why the command could not be started.
#[derive(Debug)]
pub(super) struct Refusal {
    program: OsString,
    error: io::Error,
}

impl Refusal {
    /// As shells have it: 127 if there is no such command, 126 if it cannot be executed.
    pub(super) fn exit_code(&self) -> u8 {
        match self.error.kind() {
            ErrorKind::NotFound => 127,
            _ => 126,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = self.program.display();
        match self.error.kind() {
            ErrorKind::NotFound => write!(f, "cannot run `{program}`: command not found"),
            _ => write!(f, "cannot run `{program}`: {}", self.error),
        }
    }
}

/// Signals to this process, which are meant for the command while it runs, and end the program afterwards.
#[derive(Clone, Debug, Default)]
pub(super) struct Signals(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// `None` before and after the command runs.
    child: Option<Pid>,
    /// The directory to remove if a signal ends the program.
    temporary: Option<PathBuf>,
}

impl Signals {
    /// Starts a thread that handles signals.
    pub(super) fn listen() -> io::Result<Self> {
        let signals = Self::default();
        let handled = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];
        let mut incoming = Incoming::new(handled)?;
        let handler = signals.clone();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                for signal in incoming.forever() {
                    handler.handle(signal);
                }
            })?;
        Ok(signals)
    }

    /// Removes `directory` if a signal ends the program.
    pub(super) fn remove_on_exit(&self, directory: &Path) {
        self.lock().temporary = Some(directory.to_owned());
    }

    fn handle(&self, number: i32) {
        let state = self.lock();
        match (state.child, Signal::from_named_raw(number)) {
            // The terminal sent it to the command as well: twice would mean something else to many programs.
            (Some(_), _) if matches!(number, SIGINT | SIGQUIT) && is_in_foreground() => {}
            (Some(child), Some(signal)) => {
                let _ = kill_process(child, signal); // it may have ended just now
            }
            _ => {
                if let Some(directory) = &state.temporary {
                    let _ = std::fs::remove_dir_all(directory);
                }
                process::exit(128 + number);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether Ctrl-C on the terminal reaches this process, and so the command, which is in the same group.
fn is_in_foreground() -> bool {
    let terminal = File::open("/dev/tty");
    terminal.is_ok_and(|terminal| tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(command: &[&str]) -> Result<Ending, Refusal> {
        let command: Vec<OsString> = command.iter().map(Into::into).collect();
        let child = Child::start(&command, Path::new("/dev/null"), &Signals::default())?;
        Ok(child.wait())
    }

    #[test]
    fn the_exit_code_is_that_of_a_shell() {
        let code = |script: &str| ended(&["sh", "-c", script]).unwrap().exit_code();
        assert_eq!(code("exit 0"), None);
        assert_eq!(code("exit 7"), Some(7));
        assert_eq!(code("kill -TERM $$"), Some(143));
        let words = |script: &str| ended(&["sh", "-c", script]).unwrap().to_string();
        assert_eq!(words("exit 7"), "the command failed: exit status 7");
        assert_eq!(
            words("kill -KILL $$"),
            "the command was ended by SIGKILL: exit status 137"
        );
        assert_eq!(ended(&["/no/such/program"]).unwrap_err().exit_code(), 127);
        assert_eq!(ended(&["/etc/passwd"]).unwrap_err().exit_code(), 126);
        assert_eq!(ended(&["/tmp"]).unwrap_err().exit_code(), 126);
    }
}

//! Signals: the first asks the run to stop, the second ends it at once.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals as Incoming;

use crate::cli::commands::live::screen;
use crate::cli::say;

/// The requests made by signals.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    /// On a terminal, SIGHUP means that the terminal was closed: the run stops instead of reloading.
    has_terminal: bool,
}

/// How long the run may take to stop; output that is not written by then is lost.
const GRACE: Duration = Duration::from_secs(6);
/// How long writing the last message may block, on a terminal or a pipe.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl Signals {
    /// No requests yet. `has_terminal`: a run that writes to a terminal ends with it.
    pub(crate) fn new(has_terminal: bool) -> Self {
        Self {
            has_terminal,
            ..Self::default()
        }
    }

    /// Starts a thread that handles SIGTERM, SIGINT, SIGHUP, and SIGWINCH for the screen.
    ///
    /// # Errors
    ///
    /// If the handlers cannot be installed or the thread cannot be started.
    pub(crate) fn listen(&self) -> io::Result<()> {
        let signals = self.clone();
        let mut incoming = Incoming::new([SIGTERM, SIGINT, SIGHUP, SIGWINCH])?;
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                for signal in incoming.forever() {
                    signals.handle(signal);
                }
            })?;
        Ok(())
    }

    /// Set once the run should stop.
    pub(crate) fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Whether to reload files; true once per request.
    pub(crate) fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::Relaxed)
    }

    fn handle(&self, signal: i32) {
        if signal == SIGWINCH {
            screen::wake();
        } else if signal == SIGHUP && !self.has_terminal {
            self.reload.store(true, Ordering::Relaxed);
        } else if self.stop.swap(true, Ordering::Relaxed) {
            exit(signal);
        } else {
            // Output that blocks, or a collector that does not answer, must not keep the run from ending.
            let _ = thread::Builder::new().spawn(move || {
                thread::sleep(GRACE);
                say_last(|| {
                    say::warning(format_args!(
                        "tlscope did not stop within {} s of the signal: what it had not written by then is lost",
                        GRACE.as_secs()
                    ));
                });
                exit(signal);
            });
        }
    }
}

/// Ends the program with the exit status that shells report for the signal.
fn exit(signal: i32) -> ! {
    say_last(screen::abandon);
    process::exit(128 + signal)
}

/// Writes the last messages on a thread of its own, since the terminal itself may be what blocks.
fn say_last(write: impl FnOnce() + Send + 'static) {
    let (written, wait) = crossbeam_channel::bounded::<()>(0);
    let writer = move || {
        write();
        drop(written);
    };
    if thread::Builder::new().spawn(writer).is_ok() {
        let _ = wait.recv_timeout(LAST_WORDS); // nothing is ever sent: it ends by the drop or the timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_cannot_be_written_does_not_delay_the_exit() {
        say_last(|| {
            loop {
                thread::park();
            }
        });
    }

    #[test]
    fn the_last_message_is_written_before_the_exit() {
        let written = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&written);
        say_last(move || flag.store(true, Ordering::Relaxed));
        assert!(written.load(Ordering::Relaxed));
    }
}

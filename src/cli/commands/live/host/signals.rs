//! Signals: the first asks for an orderly end, the second takes it.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals as Incoming;

use crate::cli::commands::live::screen;
use crate::cli::tell_warning;

/// What signals asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    /// Whether SIGHUP says that the terminal is gone, and the person with it.
    has_terminal: bool,
}

/// How long an orderly end may take: what is still to be written by then is lost.
const GRACE: Duration = Duration::from_secs(6);
/// How long a terminal, or who reads standard error, may take to let last words be written.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl Signals {
    /// Nothing was asked for yet; a run that writes to a terminal ends with it.
    pub(crate) fn new(has_terminal: bool) -> Self {
        Self {
            has_terminal,
            ..Self::default()
        }
    }

    /// Listens to SIGTERM, SIGINT and SIGHUP from now on.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub(crate) fn listen(&self) -> io::Result<()> {
        let heard = self.clone();
        let mut incoming = Incoming::new([SIGTERM, SIGINT, SIGHUP])?;
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                for signal in incoming.forever() {
                    heard.take(signal);
                }
            })?;
        Ok(())
    }

    /// Set once the run is to end.
    pub(crate) fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Whether files are to be read again; true once for each time that it is asked for.
    pub(crate) fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::Relaxed)
    }

    fn take(&self, signal: i32) {
        if signal == SIGHUP && !self.has_terminal {
            self.reload.store(true, Ordering::Relaxed);
        } else if self.stop.swap(true, Ordering::Relaxed) {
            exit(signal);
        } else {
            // Where output cannot be written, or a collector does not answer, the end would never come.
            let _ = thread::Builder::new().spawn(move || {
                thread::sleep(GRACE);
                say(|| {
                    tell_warning(format_args!(
                        "not done within {} s of the signal to stop: ended without the rest",
                        GRACE.as_secs()
                    ));
                });
                exit(signal);
            });
        }
    }
}

/// Ends the program as the signal itself would have, as far as its parent can see.
fn exit(signal: i32) -> ! {
    say(screen::abandon);
    process::exit(128 + signal)
}

/// Has last words said, unless nobody takes them: what is blocked may be the terminal itself.
fn say(words: impl FnOnce() + Send + 'static) {
    let (said, heard) = crossbeam_channel::bounded::<()>(0);
    let speaker = move || {
        words();
        drop(said);
    };
    if thread::Builder::new().spawn(speaker).is_ok() {
        let _ = heard.recv_timeout(LAST_WORDS); // an error, be they said or not
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_that_nobody_takes_do_not_hold_up_the_end() {
        say(|| {
            loop {
                thread::park();
            }
        });
    }

    #[test]
    fn last_words_are_said() {
        let said = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&said);
        say(move || said.store(true, Ordering::Relaxed));
        assert!(heard.load(Ordering::Relaxed));
    }
}

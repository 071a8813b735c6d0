//! Signals: the first asks for an orderly end, the second takes it.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals as Incoming;

use crate::cli::{screen, tell_warning};

/// What signals asked for.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Signals {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    /// Whether SIGHUP says that the terminal is gone, and the person with it.
    has_terminal: bool,
}

/// How long an orderly end may take: what is still to be written by then is lost.
const GRACE: Duration = Duration::from_secs(6);

impl Signals {
    /// Nothing was asked for yet; a run that writes to a terminal ends with it.
    pub(in crate::cli) fn new(has_terminal: bool) -> Self {
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
    pub(in crate::cli) fn listen(&self) -> io::Result<()> {
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
    pub(in crate::cli) fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Whether files are to be read again; true once for each time that it is asked for.
    pub(in crate::cli) fn take_reload(&self) -> bool {
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
                tell_warning(format_args!(
                    "not done within {} s of the signal to stop: ended without the rest",
                    GRACE.as_secs()
                ));
                exit(signal);
            });
        }
    }
}

/// Ends the program as the signal itself would have, as far as its parent can see.
fn exit(signal: i32) -> ! {
    screen::abandon();
    process::exit(128 + signal)
}

//! The terminal of a run that shows its state: the thread that draws and reads keys, and messages held back meanwhile.
//!
//! The thread only reads counters that the run updates. A terminal that is slow or stopped (Ctrl-S, a dead ssh connection) holds
//! up this thread alone.

use std::io::{self, BufWriter, Stdout, Write, stdin, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};
use std::{panic, thread};

use crossbeam_channel::{Receiver, bounded};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tlscope::sink::TextStyle;
use tlscope::sink::people::screen::{Reaction, Screen, ScreenSink};

use crate::cli::error::CliError;
use crate::cli::output::LiveScreen;
use crate::cli::say::held_back;

/// The screen that is shown; `None` while there is none.
static SHOWN: Mutex<Option<Shown>> = Mutex::new(None);

struct Shown {
    /// The terminal's settings to restore.
    before: Termios,
    /// Disconnected once the thread has drawn its last frame.
    ended: Receiver<()>,
}

/// Time between two frames: rates are those of a second.
const FRAME: Duration = Duration::from_secs(1);

/// How long the thread waits for a key before it looks whether the run has ended.
const KEY_PATIENCE: Duration = Duration::from_millis(100);

/// How long the end of the run waits for a frame that is being drawn.
const LAST_FRAME: Duration = Duration::from_millis(500);

/// Shows the state of the run on the terminal; the key `q` sets `stop`.
///
/// The summary goes to standard output when the sink finishes: call [`close`] before.
pub(super) fn open(text_style: TextStyle, stop: Arc<AtomicBool>) -> Result<LiveScreen, CliError> {
    let sink = ScreenSink::new(BufWriter::new(stdout()), text_style);
    take_terminal(sink.screen(), stop).map_err(|error| {
        close(); // so that the error is seen
        CliError::new(format_args!("cannot use the terminal: {error}"))
            .hint("use `--format table` to write lines instead")
    })?;
    Ok(sink)
}

/// Enters the alternate screen, holds messages back and starts the thread.
fn take_terminal(screen: Screen, stop: Arc<AtomicBool>) -> io::Result<()> {
    let before = tcgetattr(stdin())?;
    let mut keys = before.clone();
    // Keys arrive at once and are not echoed; Ctrl-C is still a signal.
    keys.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
    let (end, ended) = bounded::<()>(0);
    *lock() = Some(Shown { before, ended });
    restore_on_panic();
    tcsetattr(stdin(), OptionalActions::Now, &keys)?;
    held_back::start();
    execute!(stdout(), EnterAlternateScreen, Hide)?;
    let terminal = Terminal::new(CrosstermBackend::new(BufWriter::new(stdout())))?;
    thread::Builder::new()
        .name("screen".to_owned())
        .spawn(move || {
            show(screen, terminal, &stop);
            drop(end);
        })?;
    Ok(())
}

/// A thread that panics would leave its message on the alternate screen, and the terminal without echo.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            abandon();
            report(info);
        }));
    });
}

/// Draws and answers keys until the run ends or the terminal is gone.
fn show(
    mut screen: Screen,
    mut terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    stop: &AtomicBool,
) {
    let mut next_frame = Instant::now();
    while is_shown() {
        if Instant::now() >= next_frame {
            let notes = held_back::messages();
            if terminal.draw(|frame| screen.draw(frame, &notes)).is_err() {
                return; // the terminal is gone
            }
            next_frame = Instant::now() + FRAME;
        }
        let patience = next_frame.saturating_duration_since(Instant::now());
        match event::poll(patience.min(KEY_PATIENCE)) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(_) => return,
        }
        match event::read() {
            Ok(Event::Key(key)) => {
                if screen.handle_key(key) == Reaction::Quit {
                    stop.store(true, Ordering::Relaxed);
                }
            }
            Ok(_) => {} // a new size, for example
            Err(_) => return,
        }
        next_frame = Instant::now(); // shows the effect at once
    }
}

/// Restores the terminal and writes the messages held back. Does nothing if no screen is shown.
pub(super) fn close() {
    let Some(shown) = lock().take() else {
        return;
    };
    let _ = shown.ended.recv_timeout(LAST_FRAME); // nothing is ever sent: it ends by the drop or the timeout
    restore(&shown);
}

/// Like [`close`], for a program that exits at once.
pub(super) fn abandon() {
    // A lock that is held is held by a thread that restores the terminal, or that panicked while it did.
    let shown = match SHOWN.try_lock() {
        Ok(mut shown) => shown.take(),
        Err(_) => None,
    };
    if let Some(shown) = shown {
        restore(&shown);
    }
}

fn restore(shown: &Shown) {
    // The settings come first: a terminal that is stopped (Ctrl-S) takes no more text.
    let _ = tcsetattr(stdin(), OptionalActions::Now, &shown.before);
    let _ = execute!(stdout(), Show, LeaveAlternateScreen);
    let _ = stdout().flush();
    held_back::release();
}

fn is_shown() -> bool {
    lock().is_some()
}

fn lock() -> MutexGuard<'static, Option<Shown>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

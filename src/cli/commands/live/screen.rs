//! The terminal of a run that shows its state: the thread that draws and reads keys, and messages held back meanwhile.
//!
//! The thread only reads counters that the run updates. A terminal that is slow or stopped (Ctrl-S, a dead ssh connection) holds
//! up this thread alone.

use std::io::{self, BufWriter, Stdout, Write, stdin, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};
use std::{panic, thread};

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
use crate::cli::say::{self, held_back};

/// The screen that is shown; `None` while there is none.
static SHOWN: Mutex<Option<Shown>> = Mutex::new(None);

struct Shown {
    /// The terminal's settings to restore.
    before: Termios,
}

/// Whether the thread is about to draw a frame, or does; and what says that it no longer does.
static IS_DRAWING: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

/// Time between two frames: rates are those of a second.
const FRAME: Duration = Duration::from_secs(1);

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
    *lock() = Some(Shown { before });
    restore_on_panic();
    tcsetattr(stdin(), OptionalActions::Now, &keys)?;
    held_back::start();
    execute!(stdout(), EnterAlternateScreen, Hide)?;
    let terminal = Terminal::new(CrosstermBackend::new(BufWriter::new(stdout())))?;
    thread::Builder::new()
        .name("screen".to_owned())
        .spawn(move || {
            let _failure = SaysThatTheRunContinues;
            show(screen, terminal, &stop);
        })?;
    Ok(())
}

/// Says, if the thread of the screen panics, that only the screen has ended: what is written to files and exported goes on.
struct SaysThatTheRunContinues;

impl Drop for SaysThatTheRunContinues {
    fn drop(&mut self) {
        if thread::panicking() {
            say::warning(
                "the screen failed and is closed; the run continues without it. Ctrl-C ends it and prints the summary",
            );
        }
    }
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
    loop {
        if Instant::now() >= next_frame {
            if !draw(&mut screen, &mut terminal) {
                return;
            }
            #[cfg(debug_assertions)]
            assert!(
                std::env::var_os("TLSCOPE_TEST_PANIC").is_none(),
                "a test wants this panic, to see what it leaves"
            );
            next_frame = Instant::now() + FRAME;
        }
        // Nobody waits for this thread when the run ends, so it need not wake up for that.
        match event::poll(next_frame.saturating_duration_since(Instant::now())) {
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

/// Draws a frame; false if the run has ended, or the terminal is gone.
fn draw(screen: &mut Screen, terminal: &mut Terminal<CrosstermBackend<BufWriter<Stdout>>>) -> bool {
    let (is_drawing, has_drawn) = &IS_DRAWING;
    let lock_drawing = || is_drawing.lock().unwrap_or_else(PoisonError::into_inner);
    // First this, then the look at the run: the end of the run does it the other way round.
    *lock_drawing() = true;
    let notes = held_back::messages();
    let is_drawn = is_shown() && terminal.draw(|frame| screen.draw(frame, &notes)).is_ok();
    *lock_drawing() = false;
    has_drawn.notify_all();
    is_drawn
}

/// Restores the terminal and writes the messages held back. Does nothing if no screen is shown.
pub(super) fn close() {
    let Some(shown) = lock().take() else {
        return;
    };
    let (is_drawing, has_drawn) = &IS_DRAWING;
    let is_drawing = is_drawing.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = has_drawn.wait_timeout_while(is_drawing, LAST_FRAME, |is_drawing| *is_drawing); // a terminal may have stopped
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

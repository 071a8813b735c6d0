//! The terminal of a run that shows its state: the thread that draws and reads keys, and messages held back meanwhile.
//!
//! The thread only reads counters that the run updates. A terminal that is slow or stopped (Ctrl-S, a dead ssh connection) holds
//! up this thread alone.

use std::io::{self, BufWriter, Stdout, Write, stdin, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, OnceLock, PoisonError};
use std::time::Duration;
use std::{panic, thread};

use ratatui::Terminal;
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Cell;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::layout::Rect;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tlscope::sink::TextStyle;
use tlscope::sink::people::screen::{PlacedCell, Reaction, Screen, ScreenSink};

use crate::cli::error::CliError;
use crate::cli::output::LiveScreen;
use crate::cli::output::symbols::{Symbols, has_utf8, in_ascii};
use crate::cli::say::{self, held_back};

/// The screen that is shown; `None` while there is none.
static SHOWN: Mutex<Option<Shown>> = Mutex::new(None);

struct Shown {
    /// The terminal's settings to restore.
    before: Termios,
}

/// Whether the thread is about to draw a frame, or does; and what says that it no longer does.
static IS_DRAWING: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

/// Time between two frames while nothing happens and only the time changes. Otherwise each tick of the run, about once a second, is followed by
/// a frame.
const REST: Duration = Duration::from_secs(10);

/// Wakes the thread.
static WAKE: OnceLock<OwnedFd> = OnceLock::new();

/// How long the end of the run waits for a frame that is being drawn.
const LAST_FRAME: Duration = Duration::from_millis(500);

/// Shows the state of the run on the terminal; the key `q` sets `stop`.
///
/// The summary goes to standard output when the sink finishes: call [`close`] before.
pub(super) fn open(text_style: TextStyle, stop: Arc<AtomicBool>) -> Result<LiveScreen, CliError> {
    let mut sink = ScreenSink::new(BufWriter::new(Symbols::new(stdout(), true)), text_style);
    sink.on_change(wake);
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
    let _ = WAKE.set(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
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
fn show(mut screen: Screen, terminal: Tty, stop: &AtomicBool) {
    let mut frames = Frames {
        terminal,
        has_stale_head: false,
    };
    while draw(&mut screen, &mut frames) {
        #[cfg(debug_assertions)]
        assert!(
            std::env::var_os("TLSCOPE_TEST_PANIC").is_none(),
            "a test wants this panic, to see what it leaves"
        );
        // Nobody waits for this thread when the run ends, so it need not wake up for that.
        if wait().is_err() || !answer_keys(&mut screen, stop) {
            return;
        }
    }
}

/// Waits for keys or for [`wake`], but not for longer than [`REST`].
fn wait() -> io::Result<()> {
    let Some(wake) = WAKE.get() else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let (keys, patience) = (stdin(), Timespec::try_from(REST).ok());
    let mut sources = [
        PollFd::new(&keys, PollFlags::IN),
        PollFd::new(wake, PollFlags::IN),
    ];
    match poll(&mut sources, patience.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    if sources[1].revents().contains(PollFlags::IN) {
        let _ = rustix::io::read(wake, &mut [0; 8]);
    }
    Ok(())
}

/// Draws what has changed, such as the size of the terminal. Does nothing without a screen.
pub(super) fn wake() {
    if let Some(wake) = WAKE.get() {
        let _ = rustix::io::write(wake, &1_u64.to_ne_bytes());
    }
}

/// Answers the keys that were pressed; false if the terminal is gone.
fn answer_keys(screen: &mut Screen, stop: &AtomicBool) -> bool {
    loop {
        match event::poll(Duration::ZERO) {
            Ok(true) => {}
            Ok(false) => return true,
            Err(_) => return false,
        }
        match event::read() {
            Ok(Event::Key(key)) => {
                if screen.handle_key(key) == Reaction::Quit {
                    stop.store(true, Ordering::Relaxed);
                }
            }
            Ok(_) => {} // a new size, for example
            Err(_) => return false,
        }
    }
}

/// Draws a frame; false if the run has ended, or the terminal is gone.
fn draw(screen: &mut Screen, frames: &mut Frames) -> bool {
    let (is_drawing, has_drawn) = &IS_DRAWING;
    let lock_drawing = || is_drawing.lock().unwrap_or_else(PoisonError::into_inner);
    // First this, then the look at the run: the end of the run does it the other way round.
    *lock_drawing() = true;
    let notes = held_back::messages();
    let is_drawn = is_shown() && frames.draw(screen, &notes).is_ok();
    *lock_drawing() = false;
    has_drawn.notify_all();
    is_drawn
}

type Tty = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// The terminal, with what ratatui does not know of it.
struct Frames {
    terminal: Tty,
    /// Whether the first rows were written without ratatui, whose copy of the last frame has other ones.
    has_stale_head: bool,
}

impl Frames {
    fn draw(&mut self, screen: &mut Screen, notes: &[String]) -> io::Result<()> {
        if let Some(cells) = screen.draw_time(size(), notes) {
            self.has_stale_head = true;
            return self.write(cells);
        }
        self.terminal.draw(|frame| {
            screen.draw(frame, notes);
            if !has_utf8() {
                frame
                    .buffer_mut()
                    .content
                    .iter_mut()
                    .for_each(show_in_ascii);
            }
        })?;
        match std::mem::take(&mut self.has_stale_head) {
            true => self.write(screen.head()),
            false => Ok(()),
        }
    }

    fn write(&mut self, mut cells: Vec<PlacedCell>) -> io::Result<()> {
        if !has_utf8() {
            cells
                .iter_mut()
                .for_each(|(_, _, cell)| show_in_ascii(cell));
        }
        let backend = self.terminal.backend_mut();
        backend.draw(cells.iter().map(|(x, y, cell)| (*x, *y, cell)))?;
        Backend::flush(backend)
    }
}

/// A symbol in ASCII, for a terminal without UTF-8.
fn show_in_ascii(cell: &mut Cell) {
    if !cell.symbol().is_ascii() {
        cell.set_symbol(&in_ascii(cell.symbol()));
    }
}

/// The size of the terminal; that of none if it is gone.
fn size() -> Rect {
    match tcgetwinsize(stdout()) {
        Ok(size) => Rect::new(0, 0, size.ws_col, size.ws_row),
        Err(_) => Rect::ZERO,
    }
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

//! The terminal of a run that shows its state: keys, size, and messages held back meanwhile.

use std::io::{self, BufWriter, Stdout, Write, stdin, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use terminal_size::terminal_size_of;
use tlscope::sink::TextStyle;
use tlscope::sink::people::screen::{LEAVE, ScreenSink, Terminal};

use crate::cli::error::CliError;
use crate::cli::say::held_back;

/// The terminal's settings to restore; `None` while no screen is shown.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// How long the thread that reads keys may take to notice that the run has ended.
const KEY_PATIENCE: Duration = Duration::from_millis(200);

/// Shows the state of the run on standard output; the key `q` sets `stop`.
pub(super) fn open(
    text_style: TextStyle,
    stop: Arc<AtomicBool>,
) -> Result<ScreenSink<BufWriter<Stdout>>, CliError> {
    take_terminal(stop)
        .and_then(|()| {
            let terminal = Terminal {
                size,
                notes: held_back::messages,
            };
            ScreenSink::new(BufWriter::new(stdout()), text_style, terminal)
        })
        .map_err(|error| {
            close(); // so that the error is seen
            CliError::new(format_args!("cannot use the terminal: {error}"))
                .hint("use `--format table` to write lines instead")
        })
}

/// Reads keys as they are pressed, and holds messages back.
fn take_terminal(stop: Arc<AtomicBool>) -> io::Result<()> {
    let before = tcgetattr(stdin())?;
    let mut keys = before.clone();
    // Keys arrive at once and are not echoed; Ctrl-C is still a signal.
    keys.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
    tcsetattr(stdin(), OptionalActions::Now, &keys)?;
    *lock() = Some(before);
    held_back::start();
    thread::Builder::new()
        .name("keys".to_owned())
        .spawn(move || read_keys(&stop))?;
    Ok(())
}

/// Restores the terminal and writes the messages held back. Does nothing if no screen is shown.
pub(super) fn close() {
    if restore() {
        held_back::release();
    }
}

/// Like [`close`], for a program that exits at once: the sink cannot leave the screen any more.
pub(super) fn abandon() {
    // The settings come first: a terminal that is stopped (Ctrl-S) takes no more text.
    if restore() {
        let _ = stdout().write_all(LEAVE.as_bytes());
        let _ = stdout().flush();
        held_back::release();
    }
}

/// Restores the terminal's settings; false if no screen is shown.
fn restore() -> bool {
    let before = lock().take();
    let was_shown = before.is_some();
    if let Some(before) = before {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &before);
    }
    was_shown
}

fn read_keys(stop: &AtomicBool) {
    let input = stdin();
    let patience = Timespec::try_from(KEY_PATIENCE).ok();
    while lock().is_some() {
        let mut waited_for = [PollFd::new(&input, PollFlags::IN)];
        if !poll(&mut waited_for, patience.as_ref()).is_ok_and(|ready| ready > 0) {
            continue;
        }
        let mut key = [0];
        match rustix::io::read(&input, &mut key) {
            Ok(1) if matches!(key, [b'q' | b'Q']) => stop.store(true, Ordering::Relaxed),
            Ok(0) | Err(_) => return, // the terminal is gone
            Ok(_) => {}
        }
    }
}

/// Columns and rows; those of a VT100 if the terminal does not report its size.
fn size() -> (usize, usize) {
    terminal_size_of(stdout()).map_or((80, 24), |(width, height)| {
        (width.0.into(), height.0.into())
    })
}

fn lock() -> MutexGuard<'static, Option<Termios>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The terminal of a run that shows its state: keys, size, and what would be written to standard error.

use std::io::{self, BufWriter, Stdout, Write, stdin, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use terminal_size::terminal_size_of;
use tlscope::sink::Look;
use tlscope::sink::people::screen::{LEAVE, ScreenSink, Terminal};

/// How the terminal is to be left; `None` while nothing is shown.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);
/// What was said while the screen was shown.
static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Lines kept to be shown and said again at the end.
const MAX_NOTES: usize = 100;
/// How long the thread that reads keys may not notice that the run has ended.
const KEY_PATIENCE: Duration = Duration::from_millis(200);

/// Shows the run's state on standard output; the key `q` sets `stop`.
pub(super) fn open(look: Look, stop: Arc<AtomicBool>) -> io::Result<ScreenSink<BufWriter<Stdout>>> {
    let before = tcgetattr(stdin())?;
    let mut keys = before.clone();
    // Keys come at once, and are not shown; Ctrl-C is still a signal.
    keys.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
    tcsetattr(stdin(), OptionalActions::Now, &keys)?;
    *lock(&BEFORE) = Some(before);
    thread::Builder::new()
        .name("keys".to_owned())
        .spawn(move || read_keys(&stop))?;
    let terminal = Terminal {
        size,
        notes: || lock(&NOTES).clone(),
    };
    ScreenSink::new(BufWriter::new(stdout()), look, terminal).inspect_err(|_| close())
}

/// Whether what is for standard error is to be given to [`note`].
pub(super) fn is_shown() -> bool {
    lock(&BEFORE).is_some()
}

/// Takes a line that would tear the screen.
pub(super) fn note(line: &str) {
    let mut notes = lock(&NOTES);
    if notes.len() >= MAX_NOTES {
        notes.remove(0);
    }
    notes.push(line.to_owned());
}

/// Gives the terminal back, and writes the notes to standard error; does nothing where no screen is shown.
pub(super) fn close() {
    if restore() {
        tell_notes();
    }
}

/// The same for a program that ends at once: the screen itself is left, too.
pub(super) fn abandon() {
    // The keys come first: a terminal that is held (Ctrl-S) takes no more text.
    if restore() {
        let _ = stdout().write_all(LEAVE.as_bytes());
        let _ = stdout().flush();
        tell_notes();
    }
}

/// Keys are shown again, and come by the line; false where no screen is shown.
fn restore() -> bool {
    let before = lock(&BEFORE).take();
    let was_shown = before.is_some();
    if let Some(before) = before {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &before);
    }
    was_shown
}

fn tell_notes() {
    for note in lock(&NOTES).drain(..) {
        super::tell(|stderr| write!(stderr, "{note}"));
    }
}

fn read_keys(stop: &AtomicBool) {
    let input = stdin();
    let patience = Timespec::try_from(KEY_PATIENCE).ok();
    while is_shown() {
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

/// Columns and rows; those of old where the terminal does not tell.
fn size() -> (usize, usize) {
    terminal_size_of(stdout()).map_or((80, 24), |(width, height)| {
        (width.0.into(), height.0.into())
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! A live run on a terminal: the summary so far, redrawn with every tick.
//!
//! Uses the alternate screen of the terminal, and leaves it at the end; the
//! summary is then written as usual.

use std::io::{self, Write};
use std::time::Duration;

mod slowest_servers;

use slowest_servers::SlowestServers;

use super::summary::{SummarySink, TOP, counted, milliseconds};
use super::text::{Align, Cut, TextStyle, fit, printable};
use crate::event::{Handshake, NotTls};
use crate::sink::Sink;
use crate::stats::{Health, Stats};
use crate::time::Timestamp;

/// What the screen asks its terminal for.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Its columns and rows, which may change at any time.
    pub size: fn() -> (usize, usize),
    /// The newest messages for the user, the oldest first.
    pub notes: fn() -> Vec<String>,
}

/// Draws the state of a live run.
#[derive(Debug)]
pub struct ScreenSink<W: Write> {
    output: W,
    terminal: Terminal,
    /// Collects events, and writes its parts of a frame into memory.
    summary: SummarySink<Vec<u8>>,
    slowest: SlowestServers,
    started: Option<Timestamp>,
    /// As of the last tick.
    last: Option<(Timestamp, RateCounters)>,
    is_shown: bool,
}

/// The counters behind the rates.
#[derive(Clone, Copy, Debug, Default)]
struct RateCounters {
    handshakes: u64,
    packets: u64,
    bytes: u64,
}

/// Enters the alternate screen, and hides the cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";
/// Leaves the alternate screen, and shows the cursor; also for code that ends the program at once.
pub const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
const TOP_LEFT: &str = "\x1b[H";
const CLEAR_REST_OF_LINE: &str = "\x1b[K";
const CLEAR_REST: &str = "\x1b[J";

impl<W: Write> ScreenSink<W> {
    /// Enters the alternate screen of the terminal behind `output`, which should have a buffer.
    ///
    /// # Errors
    ///
    /// When the terminal cannot be written.
    pub fn new(mut output: W, style: TextStyle, terminal: Terminal) -> io::Result<Self> {
        output.write_all(ENTER.as_bytes())?;
        output.flush()?;
        Ok(Self {
            output,
            terminal,
            summary: SummarySink::new(Vec::new(), style),
            slowest: SlowestServers::default(),
            started: None,
            last: None,
            is_shown: true,
        })
    }

    fn leave(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_shown) {
            self.output.write_all(LEAVE.as_bytes())?;
            self.output.flush()?;
        }
        Ok(())
    }

    /// The whole text of a frame, cut nowhere.
    fn text(&mut self, now: Timestamp, health: &Health) -> io::Result<String> {
        let width = (self.terminal.size)().0;
        self.summary.style.width = Some(width);
        let mut output = std::mem::take(&mut self.summary.output);
        self.write_head(&mut output, now, health)?;
        self.summary.output = output;
        self.summary.write_outcomes()?;
        self.summary.write_causes()?;
        let rows = self.slowest_rows();
        let mut align = [Align::Right; 4];
        align[0] = Align::Left;
        let title = "Slowest servers, in ms";
        self.summary.write_part(title, align, &rows)?;
        self.summary.write_certificates()?;
        self.summary.write_servers()?;
        let text = std::mem::take(&mut self.summary.output);
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn write_head(
        &mut self,
        output: &mut Vec<u8>,
        now: Timestamp,
        health: &Health,
    ) -> io::Result<()> {
        let started = *self.started.get_or_insert(now);
        let running = now.checked_since(started).unwrap_or_default();
        let names: Vec<&str> = health.interfaces.iter().map(|one| &*one.name).collect();
        let title = format!(
            "tlscope: {} for {} (q quits)",
            names.join(", "),
            clock(running)
        );
        writeln!(output, "{}", self.summary.style.heading().style(title))?;

        let counted_now = RateCounters {
            handshakes: health.stats.handshakes,
            packets: health.stats.packets,
            bytes: health.stats.bytes,
        };
        let (since, before) = self
            .last
            .replace((now, counted_now))
            .unwrap_or((now, counted_now));
        let seconds = now
            .checked_since(since)
            .unwrap_or_default()
            .as_secs_f64()
            .max(0.001);
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        writeln!(
            output,
            "{:.1} handshakes/s, {:.0} packets/s, {:.1} Mbit/s; open: {}, {}",
            rate(counted_now.handshakes, before.handshakes),
            rate(counted_now.packets, before.packets),
            rate(counted_now.bytes, before.bytes) * 8e-6,
            counted(health.load.handshakes, "handshake"),
            counted(health.load.connections, "connection"),
        )?;
        for interface in health
            .interfaces
            .iter()
            .filter(|one| one.dropped() > 0 || !one.is_up)
        {
            let state = if interface.is_up { "" } else { "is gone; " };
            let line = format!(
                "{}: {state}dropped: {} by the kernel, {} by the interface, {} at the queue",
                interface.name,
                interface.dropped_kernel,
                interface.dropped_interface,
                interface.dropped_queue
            );
            writeln!(output, "{}", self.summary.style.bad().style(line))?;
        }
        Ok(())
    }

    fn slowest_rows(&self) -> Vec<[String; 4]> {
        let header = ["server", "handshakes", "mean", "max"].map(str::to_owned);
        let mut rows = vec![header];
        rows.extend(self.slowest.top(TOP).into_iter().map(|(name, times)| {
            [
                printable(name).into_owned(),
                times.count.to_string(),
                milliseconds(times.mean()),
                milliseconds(times.longest),
            ]
        }));
        if rows.len() == 1 {
            rows.clear();
        }
        rows
    }

    /// Draws a frame: as many lines as there is room for, then the notes.
    fn draw(&mut self, text: &str) -> io::Result<()> {
        let (width, height) = (self.terminal.size)();
        let notes = (self.terminal.notes)();
        let shown_notes = notes.len().min(height / 4);
        let notes = notes.iter().skip(notes.len() - shown_notes);
        let room = height.saturating_sub(shown_notes + 1);
        let notes = notes.map(|note| fit(&printable(note), width, Cut::End).into_owned());
        let lines = text.lines().take(room).map(str::to_owned).chain(notes);
        let mut frame = TOP_LEFT.to_owned();
        for line in lines {
            frame += &line;
            frame += CLEAR_REST_OF_LINE;
            frame += "\r\n";
        }
        frame += CLEAR_REST;
        self.output.write_all(frame.as_bytes())?;
        self.output.flush()
    }
}

/// Hours, minutes and seconds, as in `1:02:03`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours}:{minutes:02}:{:02}", seconds % 60)
}

impl<W: Write> Sink for ScreenSink<W> {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        self.slowest.record(event);
        self.summary.handshake(event)
    }

    fn not_tls(&mut self, event: &NotTls) -> io::Result<()> {
        self.summary.not_tls(event)
    }

    fn tick(&mut self, now: Timestamp, health: &Health) -> io::Result<()> {
        if !self.is_shown {
            return Ok(());
        }
        let text = self.text(now, health)?;
        self.draw(&text)
    }

    /// Leaves the alternate screen, and writes the summary.
    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        self.leave()?;
        self.summary.finish(stats)?;
        let text = std::mem::take(&mut self.summary.output);
        self.output.write_all(&text)?;
        self.output.flush()
    }
}

/// Leaves the alternate screen however the run ends.
impl<W: Write> Drop for ScreenSink<W> {
    fn drop(&mut self) {
        let _ = self.leave(); // there is nobody to report an error to
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::test_events;
    use crate::stats::InterfaceHealth;

    fn frames(rows: fn() -> (usize, usize), health: &[Health]) -> String {
        let terminal = Terminal {
            size: rows,
            notes: || vec!["warning: first".to_owned(), "warning: \x1b[2J".to_owned()],
        };
        let mut output = Vec::new();
        let mut screen = ScreenSink::new(&mut output, TextStyle::default(), terminal).unwrap();
        screen.handshake(&test_events::completed()).unwrap();
        screen
            .handshake(&test_events::refused_by_the_client())
            .unwrap();
        for (second, health) in (0..).zip(health) {
            screen
                .tick(Timestamp::from_seconds(second), health)
                .unwrap();
        }
        drop(screen);
        String::from_utf8(output).unwrap()
    }

    fn health(handshakes: u64, dropped: u64) -> Health {
        let mut health = Health::default();
        health.stats.handshakes = handshakes;
        health.interfaces = vec![InterfaceHealth {
            name: "eth0".into(),
            is_up: true,
            dropped_queue: dropped,
            ..InterfaceHealth::default()
        }];
        health
    }

    #[test]
    fn shows_rates_causes_servers_and_losses() {
        let text = frames(|| (120, 60), &[health(2, 0), health(12, 7)]);
        let (first, second) = text.split_once("0:00:01").unwrap();
        assert!(first.starts_with(ENTER));
        assert!(!first.contains("dropped"));
        for expected in [
            "10.0 handshakes/s",
            "eth0: dropped: 0 by the kernel, 0 by the interface, 7 at the queue",
            "Failures by cause",
            "Slowest servers, in ms",
        ] {
            assert!(second.contains(expected), "no {expected} in {second}");
        }
        assert!(second.ends_with(LEAVE));
    }

    #[test]
    fn a_small_terminal_shows_what_fits_and_the_newest_note() {
        let text = frames(|| (20, 5), &[health(2, 0)]);
        assert_eq!(text.matches("\r\n").count(), 4);
        assert!(text.contains("warning: \\u{1b}[2J"), "{text}");
        assert!(!text.contains("first"));
    }

    #[test]
    fn elapsed_time_is_shown_like_a_clock() {
        assert_eq!(clock(Duration::from_secs(3_723)), "1:02:03");
        assert_eq!(clock(Duration::ZERO), "0:00:00");
    }
}

//! Lines made by the workers: the thread that collects hands out events in order, a run of them to each worker, and
//! writes what comes back in the same order.

use std::collections::VecDeque;
use std::io;

use crossbeam_channel::{Receiver, Sender, bounded, never};

use super::{BATCHES_AHEAD, BatchEnd, RunOutput};
use crate::observer::Collected;
use crate::sink::Renderer;

/// Events whose lines are to be made, or the lines.
#[derive(Default)]
pub(super) struct Page {
    events: Vec<Collected>,
    text: Vec<u8>,
    /// How many events have lines in the text.
    lines: u64,
    error: Option<io::Error>,
}

impl Page {
    /// Makes lines of the events, and frees them.
    fn print(&mut self, renderer: &mut dyn Renderer) {
        self.text.clear();
        self.lines = self.events.len() as u64;
        for event in self.events.drain(..) {
            let made = match &event {
                Collected::Handshake(report) => renderer.handshake(&report.event, &mut self.text),
                Collected::NotTls(event) => renderer.not_tls(event, &mut self.text),
            };
            if let Err(error) = made {
                self.error.get_or_insert(error);
            }
        }
    }
}

/// Where one worker makes lines.
pub(super) struct Press {
    renderer: Box<dyn Renderer>,
    pub(super) blank: Receiver<Page>,
    printed: Sender<Page>,
    /// Whether the thread that collects hands out no more pages.
    has_ended: bool,
}

impl Press {
    pub(super) fn print(&mut self, mut page: Page) {
        page.print(&mut *self.renderer);
        let _ = self.printed.send(page); // the collecting thread may have stopped on an error
    }

    /// Takes a page, or notes that there will be none: then a closed channel must not be chosen again and again.
    pub(super) fn take(&mut self, page: Option<Page>) {
        match page {
            Some(page) => self.print(page),
            None => {
                self.blank = never();
                self.has_ended = true;
            }
        }
    }

    /// Makes lines until there are no more pages. A channel that was closed before has been replaced by one that is never closed.
    pub(super) fn print_rest(mut self) {
        while !self.has_ended {
            let page = self.blank.recv().ok();
            self.take(page);
        }
    }
}

/// The pages of a run.
pub(super) struct Pages {
    /// Events in order whose lines are to be made.
    pub(super) due: Vec<Collected>,
    /// Batches whose lines are not written yet, in order.
    out: VecDeque<Batch>,
    workers: Vec<(Sender<Page>, Receiver<Page>)>,
    /// The presses of workers that have not started yet.
    presses: VecDeque<Press>,
    /// Makes lines that are too few to hand out.
    own: Box<dyn Renderer>,
    /// The worker that gets the next page.
    next: usize,
    /// Pages to be used again.
    spare: Vec<Page>,
}

/// The pages of a batch, and what follows them: nothing if the next batch continues this one.
struct Batch {
    pages: Vec<Place>,
    end: Option<BatchEnd>,
}

/// Where a page is.
enum Place {
    Here(Page),
    With(usize),
}

/// Events of which a page should have more: waking a thread costs about as much as their lines do.
const FEW: usize = 4;
/// Events of a page at most: their lines have some 600 KB.
const MOST: usize = 256;
/// Bytes of text beyond which a page gives its memory back.
const LONG: usize = 1 << 20;

impl Pages {
    /// `None` without renderers; otherwise there are to be one more than workers.
    pub(super) fn new(mut renderers: Vec<Box<dyn Renderer>>, workers: usize) -> Option<Self> {
        let own = renderers.pop()?;
        debug_assert_eq!(renderers.len(), workers);
        let (mut ends, mut presses) = (Vec::new(), VecDeque::new());
        for renderer in renderers {
            // No batch has two pages with one worker, so neither channel is ever full.
            let (blank_sender, blank) = bounded(BATCHES_AHEAD);
            let (printed, printed_receiver) = bounded(BATCHES_AHEAD);
            ends.push((blank_sender, printed_receiver));
            presses.push_back(Press {
                renderer,
                blank,
                printed,
                has_ended: false,
            });
        }
        Some(Self {
            due: Vec::new(),
            out: VecDeque::new(),
            workers: ends,
            presses,
            own,
            next: 0,
            spare: Vec::new(),
        })
    }

    /// The press of the next worker.
    pub(super) fn press(&mut self) -> Option<Press> {
        self.presses.pop_front()
    }

    /// Whether batches are out.
    pub(super) fn are_out(&self) -> bool {
        !self.out.is_empty()
    }

    /// Whether no more batches may be out.
    pub(super) fn are_many(&self) -> bool {
        self.out.len() >= BATCHES_AHEAD
    }

    /// Hands out the events that are due, with what follows them.
    pub(super) fn hand_out(
        &mut self,
        end: Option<BatchEnd>,
        output: &mut RunOutput<'_>,
    ) -> io::Result<()> {
        while self.due.len() > MOST * self.workers.len() {
            self.hand_out_first(MOST * self.workers.len(), None, output)?;
        }
        self.hand_out_first(self.due.len(), end, output)
    }

    fn hand_out_first(
        &mut self,
        count: usize,
        end: Option<BatchEnd>,
        output: &mut RunOutput<'_>,
    ) -> io::Result<()> {
        while self.are_many() {
            self.write_first(output)?;
        }
        let pages = if count <= FEW {
            self.print_here(count)
        } else {
            self.send_out(count)?
        };
        self.out.push_back(Batch { pages, end });
        if count <= FEW && self.out.len() == 1 {
            return self.write_first(output);
        }
        Ok(())
    }

    /// Makes the lines of the first events that are due.
    fn print_here(&mut self, count: usize) -> Vec<Place> {
        if count == 0 {
            return Vec::new();
        }
        let mut page = self.spare.pop().unwrap_or_default();
        page.events.extend(self.due.drain(..count));
        page.print(&mut *self.own);
        vec![Place::Here(page)]
    }

    /// Has workers make them.
    fn send_out(&mut self, count: usize) -> io::Result<Vec<Place>> {
        let size = count.div_ceil(self.workers.len()).max(FEW);
        let mut due = self.due.drain(..count);
        let mut pages = Vec::new();
        while due.len() > 0 {
            let mut page = self.spare.pop().unwrap_or_default();
            page.events.extend(due.by_ref().take(size));
            let (worker, _) = &self.workers[self.next];
            worker.send(page).map_err(|_| panicked())?;
            pages.push(Place::With(self.next));
            self.next = (self.next + 1) % self.workers.len();
        }
        Ok(pages)
    }

    /// Writes the lines of the batch that is out longest, once they are made.
    pub(super) fn write_first(&mut self, output: &mut RunOutput<'_>) -> io::Result<()> {
        let Some(batch) = self.out.pop_front() else {
            return Ok(());
        };
        for place in batch.pages {
            let mut page = match place {
                Place::Here(page) => page,
                Place::With(worker) => self.workers[worker].1.recv().map_err(|_| panicked())?,
            };
            if let Some(error) = page.error.take() {
                return Err(error);
            }
            output.output.rendered(&page.text, page.lines)?;
            if page.text.capacity() > LONG {
                page.text = Vec::new();
            }
            self.spare.push(page);
        }
        batch.end.map_or(Ok(()), |end| end.carry_out(output))
    }
}

fn panicked() -> io::Error {
    io::Error::other("a worker thread panicked")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Handshake, HandshakeReport, NotTls};
    use crate::flow::Endpoint;
    use crate::sink::Sink;
    use crate::stats::Stats;
    use crate::time::Timestamp;

    /// Writes the time of each handshake; fails at a certain one.
    struct Times {
        failing: Option<i64>,
    }

    impl Renderer for Times {
        fn handshake(&mut self, event: &Handshake, text: &mut Vec<u8>) -> io::Result<()> {
            let time = event.time.as_nanoseconds();
            if Some(time) == self.failing {
                return Err(io::ErrorKind::InvalidData.into());
            }
            text.extend_from_slice(format!("{time}\n").as_bytes());
            Ok(())
        }

        fn not_tls(&mut self, _: &NotTls, _: &mut Vec<u8>) -> io::Result<()> {
            Ok(())
        }
    }

    #[derive(Default)]
    struct Written {
        text: String,
        events: u64,
        batches: usize,
    }

    impl Sink for Written {
        fn handshake(&mut self, _: &Handshake) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn rendered(&mut self, text: &[u8], events: u64) -> io::Result<()> {
            self.text.push_str(std::str::from_utf8(text).unwrap());
            self.events += events;
            Ok(())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.batches += 1;
            Ok(())
        }

        fn finish(&mut self, _: &Stats) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written of batches of so many handshakes, whose times count from zero.
    fn write(batches: &[i64], workers: usize, failing: Option<i64>) -> io::Result<Written> {
        let renderers = (0..=workers).map(|_| Box::new(Times { failing }) as Box<dyn Renderer>);
        let mut pages = Pages::new(renderers.collect(), workers).unwrap();
        let presses: Vec<_> = (0..workers).filter_map(|_| pages.press()).collect();
        let mut written = Written::default();
        let result = std::thread::scope(|scope| {
            for press in presses {
                scope.spawn(move || press.print_rest());
            }
            let mut output = RunOutput {
                meters: None,
                output: &mut written,
            };
            let mut pages = pages; // dropped at the end of the scope, which ends the threads
            let mut time = 0;
            for count in batches {
                let end = Endpoint::new([192, 0, 2, 1].into(), 443);
                pages.due.extend((time..time + count).map(|time| {
                    let event = Handshake::new(Timestamp::from_nanoseconds(time), end, end);
                    Collected::Handshake(Box::new(HandshakeReport::new(event)))
                }));
                time += count;
                let (progress, tick) = (None, None);
                pages.hand_out(Some(BatchEnd { progress, tick }), &mut output)?;
            }
            while pages.are_out() {
                pages.write_first(&mut output)?;
            }
            Ok(())
        });
        result.map(|()| written)
    }

    #[test]
    fn lines_are_written_in_the_order_of_their_events_and_batches_end_after_theirs() {
        let batches = [0, 1, 4, 5, 0, 300, 9, 9, 9, 9, 9, 9, 3_000, 2];
        let all: i64 = batches.iter().sum();
        let expected: String = (0..all).map(|time| format!("{time}\n")).collect();
        for workers in [1, 2, 5] {
            let written = write(&batches, workers, None).unwrap();
            assert!(written.text == expected, "with {workers} workers");
            assert_eq!(written.events, all as u64);
            assert_eq!(written.batches, batches.len());
        }
    }

    #[test]
    fn few_lines_are_written_at_once() {
        let renderers = vec![Box::new(Times { failing: None }) as Box<dyn Renderer>];
        let mut pages = Pages::new(renderers, 0).unwrap(); // nobody else could make them
        let mut written = Written::default();
        let mut output = RunOutput {
            meters: None,
            output: &mut written,
        };
        let end = Endpoint::new([192, 0, 2, 1].into(), 443);
        let event = Handshake::new(Timestamp::from_nanoseconds(7), end, end);
        let report = HandshakeReport::new(event);
        pages.due.push(Collected::Handshake(Box::new(report)));
        pages.hand_out_first(1, None, &mut output).unwrap();
        assert_eq!(written.text, "7\n");
    }

    #[test]
    fn a_press_that_knows_of_the_end_does_not_wait_for_pages() {
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
        let renderers = (0..2).map(|_| Box::new(Times { failing: None }) as Box<dyn Renderer>);
        let mut pages = Pages::new(renderers.collect(), 1).unwrap();
        let mut press = pages.press().unwrap();
        drop(pages); // an output that cannot be written ends the run
        press.take(press.blank.recv().ok());
        let (ended, has_ended) = bounded(1);
        std::thread::spawn(move || {
            press.print_rest();
            ended.send(()).unwrap();
        });
        assert!(has_ended.recv_timeout(PATIENCE).is_ok());
    }

    #[test]
    fn a_line_that_cannot_be_made_ends_the_run() {
        for failing in [0, 3, 900] {
            let result = write(&[2, 800, 800], 2, Some(failing));
            assert!(result.is_err(), "{failing}");
        }
    }
}

//! A capture from beginning to end, on one thread or on several.
//!
//! ```text
//!              ┌──────── Job ────────┐  ┌──── Answer ────┐
//! source ─▶ BatchReader (plans) ─▶ Worker (each its steps) ─▶ Collector (order, chains) ─▶ sink
//!                                        Worker (lines) ◀── Page ──┘     └── Page ──▲
//! ```
//!
//! The same three parts run in turn on the calling thread (`Stages`), or with `threads` workers each on a thread of
//! its own. A batch of packets is shared, not copied: each worker gets the whole batch and a list of the steps that
//! are its own. Events come back with the number of the step that made them, so that their order does not
//! depend on the number of workers. Once they are in order, workers make the lines of sinks that can have them made, a run of events each,
//! and the thread that collects writes these one after the other. Channels are bounded: a slow part holds the reader up, and memory stays
//! what a few batches need.
//!
//! A live source takes part like a file: it tells the time with its batches, and
//! hands out empty ones while the wire is quiet. It has a queue of its own, and
//! drops packets there instead of waiting for a reader that is held up.

mod pages;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};

use crate::capture::{CaptureError, Meters, PacketBatch, PacketSource};
use crate::decrypt::Keys;
use crate::event::{HandshakeReport, NotTls};
use crate::observer::{
    Collected, Collector, Config, Numbered, Plan, Router, SharedRoom, Stages, Worker, take_secrets,
};
use crate::sink::{Needs, Renderer, Sink};
use crate::stats::{Health, Load, Progress, Stats};
use crate::time::{Ticks, Timestamp};
use pages::{Pages, Press};

pub use crate::decode::{Unread, UnreadPackets};

/// What a run drives: every [`Sink`], and what needs more of a handshake than its event.
///
/// `report` is called once for each handshake, `not_tls` for each connection without TLS, `progress` and then `flush` after
/// each batch of packets, and `tick` about once a second of a live run. An error ends the run.
///
/// No method has a default: an output that passes on to another one cannot forget any.
pub trait Output {
    /// As [`Sink::needs`].
    fn needs(&self) -> Needs;

    /// As [`Sink::renderers`]. With as many as were asked for, the run has lines made [apart](Lines::Apart).
    fn renderers(&self, count: usize) -> Vec<Box<dyn Renderer>>;

    /// Receives one handshake, with the packets and the steps behind it if the observer retains them. Gives it back if its line is
    /// to be made apart.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    fn report(
        &mut self,
        report: Box<HandshakeReport>,
        lines: Lines,
    ) -> io::Result<Option<Box<HandshakeReport>>>;

    /// As [`Sink::not_tls`]; true if its line is to be made apart.
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    fn not_tls(&mut self, event: &NotTls, lines: Lines) -> io::Result<bool>;

    /// As [`Sink::rendered`].
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    fn rendered(&mut self, text: &[u8], events: u64) -> io::Result<()>;

    /// As [`Sink::progress`].
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    fn progress(&mut self, progress: &Progress) -> io::Result<()>;

    /// As [`Sink::flush`].
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    fn flush(&mut self) -> io::Result<()>;

    /// As [`Sink::tick`].
    ///
    /// # Errors
    ///
    /// When the output cannot be written.
    fn tick(&mut self, now: Timestamp, health: &Health) -> io::Result<()>;
}

/// Where the lines of events are made, if the output has lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// The output makes them.
    InPlace,
    /// [Renderers](Renderer) make them, and the output gets them later, in the order of the events.
    Apart,
}

/// A sink receives events alone.
impl<S: Sink> Output for S {
    fn needs(&self) -> Needs {
        Sink::needs(self)
    }

    fn renderers(&self, count: usize) -> Vec<Box<dyn Renderer>> {
        Sink::renderers(self, count)
    }

    fn report(
        &mut self,
        report: Box<HandshakeReport>,
        lines: Lines,
    ) -> io::Result<Option<Box<HandshakeReport>>> {
        match lines {
            Lines::InPlace => self.handshake(&report.event).map(|()| None),
            Lines::Apart => Ok(Some(report)),
        }
    }

    fn not_tls(&mut self, event: &NotTls, lines: Lines) -> io::Result<bool> {
        match lines {
            Lines::InPlace => Sink::not_tls(self, event).map(|()| false),
            Lines::Apart => Ok(true),
        }
    }

    fn rendered(&mut self, text: &[u8], events: u64) -> io::Result<()> {
        Sink::rendered(self, text, events)
    }

    fn progress(&mut self, progress: &Progress) -> io::Result<()> {
        Sink::progress(self, progress)
    }

    fn flush(&mut self) -> io::Result<()> {
        Sink::flush(self)
    }

    fn tick(&mut self, now: Timestamp, health: &Health) -> io::Result<()> {
        Sink::tick(self, now, health)
    }
}

/// The result of a run.
#[derive(Debug)]
pub struct Summary {
    /// What was handled and discarded.
    pub stats: Stats,
    /// The packets that were not understood, by what they carry.
    pub unread: UnreadPackets,
    /// What broke the source, if anything did; the packets before it were handled.
    pub error: Option<CaptureError>,
}

/// The most threads that a run uses: one for each shard of flows.
pub const MAX_THREADS: usize = crate::observer::SHARDS;

/// Runs a capture through.
///
/// Up to one thread, everything is done on the calling one. Beyond that, there is a thread
/// that reads and decodes, and `threads` that follow connections.
///
/// Events have what the configuration asks for, and of that only what the output needs.
///
/// The output gets each event, and is flushed after each batch of packets. While the
/// source is live, it gets ticks, and one more at the end. Finishing it is
/// left to the caller.
///
/// # Errors
///
/// Those of `output`: they end the run. A broken source is not an error but part of
/// the summary.
pub fn run(
    source: &mut dyn PacketSource,
    mut config: Config,
    threads: usize,
    output: &mut dyn Output,
) -> io::Result<Summary> {
    let threads = threads.clamp(1, MAX_THREADS);
    let needs = output.needs();
    config.report.fingerprints &= needs.fingerprints;
    config.report.offers &= needs.offers;
    config.memory_limit = config.memory_limit.with_threads(threads);
    let output = RunOutput {
        meters: source.meters(),
        output,
    };
    if threads == 1 {
        run_in_place(source, &config, output)
    } else {
        run_on_threads(source, &config, threads, output)
    }
}

fn run_in_place(
    source: &mut dyn PacketSource,
    config: &Config,
    mut output: RunOutput<'_>,
) -> io::Result<Summary> {
    let mut stages = Stages::new(config);
    let mut batch = PacketBatch::default();
    let mut ticks = ticks();
    let mut now = None;
    let error = loop {
        match source.next_batch(&mut batch) {
            Ok(true) => {}
            Ok(false) => break None,
            Err(error) => break Some(error),
        }
        now = batch.now;
        output.emit(|emit| stages.handle_batch(&batch, emit))?;
        output.flush(output.progress(&batch, stages.oldest_open()))?;
        if now.is_some_and(|now| ticks.advance(now).is_some()) {
            output.tick(now, stages.stats(), stages.load())?;
        }
    };
    output.emit(|emit| stages.finish(emit))?;
    let stats = stages.stats();
    output.finish(stats, now, stages.into_unread(), error)
}

/// Batches under way between the threads: enough that no thread waits for a short delay of another.
const BATCHES_AHEAD: usize = 4;

fn run_on_threads(
    source: &mut dyn PacketSource,
    config: &Config,
    threads: usize,
    mut output: RunOutput<'_>,
) -> io::Result<Summary> {
    let mut collector = Collector::new(&config.trust);
    let shared = SharedRoom::of(config.memory_limit.of_flows());
    let (spare_sender, spares) = bounded(2 * BATCHES_AHEAD);
    std::thread::scope(|scope| {
        let (mut jobs, mut answers, mut workers) = (Vec::new(), Vec::new(), Vec::new());
        let mut pages = Pages::new(output.output.renderers(threads + 1), threads);
        for index in 0..threads {
            let (job_sender, job_receiver) = bounded(BATCHES_AHEAD);
            let (answer_sender, answer_receiver) = bounded(BATCHES_AHEAD);
            jobs.push(job_sender);
            answers.push(answer_receiver);
            let desk = Desk {
                jobs: job_receiver,
                answers: answer_sender,
                press: pages.as_mut().and_then(Pages::press),
            };
            let worker = Worker::new(config, &shared, index, threads);
            workers.push(scope.spawn(move || desk.work(worker)));
        }
        let reader = BatchReader::new(source, config);
        let reader = scope.spawn(move || read_on_thread(reader, &jobs, &spares));
        let mut collecting = Collecting {
            collector: &mut collector,
            output: &mut output,
            pages,
        };
        let now = collecting.collect(&answers, &spare_sender)?;
        drop((answers, spare_sender, collecting));
        let ((mut stats, unread), error) = reader
            .join()
            .map_err(|_| io::Error::other("the reading thread panicked"))?;
        for worker in workers {
            stats += worker
                .join()
                .map_err(|_| io::Error::other("a worker thread panicked"))?;
        }
        stats += collector.stats();
        output.finish(stats, now, unread, error)
    })
}

/// A batch and what is to be done with it.
#[derive(Debug)]
struct Job {
    batch: PacketBatch,
    plan: Plan,
    /// What the reader has counted so far, if a tick of the run's health is due after this batch.
    tick: Option<Stats>,
}

impl Job {
    fn new(workers: usize) -> Self {
        Self {
            batch: PacketBatch::default(),
            plan: Plan::new(workers),
            tick: None,
        }
    }
}

/// Batches from the source, each with a plan.
struct BatchReader<'s> {
    source: &'s mut dyn PacketSource,
    keys: Keys,
    router: Router,
    ticks: Ticks,
}

/// When a live run's health is reported: every second.
const fn ticks() -> Ticks {
    const TICK: Duration = Duration::from_secs(1);
    // A clock that is set back must not stop the ticks; a quiet wire tells a time that is slightly in the past.
    Ticks::new(TICK, TICK)
}

impl<'s> BatchReader<'s> {
    fn new(source: &'s mut dyn PacketSource, config: &Config) -> Self {
        Self {
            source,
            keys: config.keys.view(),
            router: Router::new(config),
            ticks: ticks(),
        }
    }

    /// Refills a job; false if the source has ended.
    fn next(&mut self, job: &mut Job) -> Result<bool, CaptureError> {
        if !self.source.next_batch(&mut job.batch)? {
            return Ok(false);
        }
        take_secrets(&self.keys, &job.batch.secrets);
        job.plan.clear();
        self.router.count_drops(&job.batch.news());
        self.router
            .plan(job.batch.packets(), job.batch.now, &mut job.plan);
        let is_due = job.batch.now.and_then(|now| self.ticks.advance(now));
        job.tick = is_due.map(|_| self.router.stats());
        Ok(true)
    }

    fn finish(mut self) -> (Stats, UnreadPackets) {
        self.router.finish();
        (self.router.stats(), self.router.into_unread())
    }
}

/// A worker's answer to a job, with the job; without one at the end of the run.
type Answered = (Answer, Option<Arc<Job>>);

/// A worker's part of a job, done.
#[derive(Default)]
struct Answer {
    reports: Vec<Numbered>,
    /// When the worker's oldest handshake without a verdict began.
    oldest_open: Option<Timestamp>,
    /// What the worker has counted, and what it holds, if the job asks.
    tick: Option<(Stats, Load)>,
}

impl Answer {
    fn fill(&mut self, worker: &mut Worker, job: &Job) {
        worker.begin_batch(&job.batch.news());
        worker.take(job.batch.packets(), &job.plan, &mut self.reports);
        self.oldest_open = worker.oldest_open();
        self.tick = job.tick.map(|_| (worker.stats(), worker.load()));
    }
}

/// The end of the pipeline: passes reports on, and the run's health.
struct RunOutput<'s> {
    /// The counters of live interfaces; `None` if the source is not live, and then there are no ticks.
    meters: Option<Meters>,
    output: &'s mut dyn Output,
}

impl RunOutput<'_> {
    /// Hands what `make` emits to the output, until that fails.
    fn emit(&mut self, make: impl FnOnce(&mut dyn FnMut(Collected))) -> io::Result<()> {
        let mut result = Ok(());
        make(&mut |event| {
            if result.is_ok() {
                result = self.take(event, Lines::InPlace).map(|_| ());
            }
        });
        result
    }

    /// Hands an event to the output, and gives it back if its line is to be made.
    fn take(&mut self, event: Collected, lines: Lines) -> io::Result<Option<Collected>> {
        Ok(match event {
            Collected::Handshake(report) => {
                self.output.report(report, lines)?.map(Collected::Handshake)
            }
            Collected::NotTls(event) => {
                let is_due = self.output.not_tls(&event, lines)?;
                is_due.then_some(Collected::NotTls(event))
            }
        })
    }

    /// How far the run has come after a batch.
    fn progress(&self, batch: &PacketBatch, oldest_open: Option<Timestamp>) -> Option<Progress> {
        let packets = batch.packets();
        let newest = packets.records.iter().map(|packet| packet.timestamp).max();
        Some(Progress {
            now: newest.max(batch.now)?,
            oldest_open,
            is_live: self.meters.is_some(),
        })
    }

    /// Ends a batch: tells the output how far the run has come, and lets it write.
    fn flush(&mut self, progress: Option<Progress>) -> io::Result<()> {
        if let Some(progress) = progress {
            self.output.progress(&progress)?;
        }
        self.output.flush()
    }

    fn finish(
        &mut self,
        stats: Stats,
        now: Option<Timestamp>,
        unread: UnreadPackets,
        error: Option<CaptureError>,
    ) -> io::Result<Summary> {
        self.tick(now, stats, Load::default())?;
        Ok(Summary {
            stats,
            unread,
            error,
        })
    }

    /// Reports how a live run is doing.
    fn tick(&mut self, now: Option<Timestamp>, stats: Stats, load: Load) -> io::Result<()> {
        let (Some(now), Some(meters)) = (now, &self.meters) else {
            return Ok(());
        };
        let health = Health {
            interfaces: meters.iter().map(|meter| meter.read()).collect(),
            stats,
            load,
            attribution: None, // for the output to add
        };
        self.output.tick(now, &health)
    }
}

/// The reading thread: jobs for the workers, until the source ends or no worker listens any more.
fn read_on_thread(
    mut reader: BatchReader<'_>,
    workers: &[Sender<Arc<Job>>],
    spares: &Receiver<Job>,
) -> ((Stats, UnreadPackets), Option<CaptureError>) {
    loop {
        let mut job = spares
            .try_recv()
            .unwrap_or_else(|_| Job::new(workers.len()));
        match reader.next(&mut job) {
            Ok(true) => {}
            Ok(false) => return (reader.finish(), None),
            Err(error) => return (reader.finish(), Some(error)),
        }
        let job = Arc::new(job);
        let is_sent = |worker: &Sender<Arc<Job>>| worker.send(Arc::clone(&job)).is_ok();
        if !workers.iter().all(is_sent) {
            return (reader.finish(), None);
        }
    }
}

/// A worker thread's ends of the channels.
struct Desk {
    jobs: Receiver<Arc<Job>>,
    answers: Sender<Answered>,
    /// Where it makes lines, if the output has them made.
    press: Option<Press>,
}

impl Desk {
    /// A worker thread: its steps of each job, then the end; in between, and first of all, lines.
    fn work(mut self, mut worker: Worker) -> Stats {
        while let Some(job) = self.next_job() {
            let mut answer = Answer::default();
            answer.fill(&mut worker, &job);
            if !self.answer((answer, Some(job))) {
                return worker.stats();
            }
        }
        loop {
            let mut last = Answer::default();
            let has_more = worker.finish(&mut last.reports);
            let is_heard = self.answer((last, None)); // the collecting thread may have stopped on an error
            if !has_more || !is_heard {
                break;
            }
        }
        let Self { answers, press, .. } = self;
        drop(answers); // this was the last
        if let Some(press) = press {
            press.print_rest();
        }
        worker.stats()
    }

    /// The next job, once all lines are made that are due; `None` at the end of the capture.
    fn next_job(&mut self) -> Option<Arc<Job>> {
        let Some(press) = &mut self.press else {
            return self.jobs.recv().ok();
        };
        loop {
            // The thread that collects waits for lines. Whatever else there is to do can wait for it.
            while let Ok(page) = press.blank.try_recv() {
                press.print(page);
            }
            select! {
                recv(press.blank) -> page => press.take(page.ok()),
                recv(self.jobs) -> job => return job.ok(),
            }
        }
    }

    /// Hands in an answer; false if the thread that collects has stopped. Makes lines while it waits, since that thread may wait
    /// for them.
    fn answer(&mut self, answered: Answered) -> bool {
        let Some(press) = &mut self.press else {
            return self.answers.send(answered).is_ok();
        };
        loop {
            select! {
                send(self.answers, answered) -> sent => return sent.is_ok(),
                recv(press.blank) -> page => press.take(page.ok()),
            }
        }
    }
}

/// Puts the workers' reports in order, and hands them to the output.
struct Collecting<'c, 's> {
    collector: &'c mut Collector,
    output: &'c mut RunOutput<'s>,
    /// Set if the output has lines that the workers make.
    pages: Option<Pages>,
}

impl Collecting<'_, '_> {
    /// Takes the workers' answers, job by job, until they end; returns the last time that the source reported.
    fn collect(
        &mut self,
        answers: &[Receiver<Answered>],
        spares: &Sender<Job>,
    ) -> io::Result<Option<Timestamp>> {
        let mut now = None;
        let mut reports = Vec::new();
        loop {
            if let Some(pages) = &mut self.pages {
                let is_answered = || answers.iter().all(|worker| !worker.is_empty());
                if pages.are_many() || pages.are_out() && !is_answered() {
                    pages.write_first(self.output)?;
                    continue;
                }
            }
            let (mut stats, mut load) = (Stats::default(), Load::default());
            let mut jobs: Vec<Arc<Job>> = Vec::new();
            let mut oldest_open: Option<Timestamp> = None;
            let mut has_ended = true;
            for (answer, job) in answers.iter().filter_map(|worker| worker.recv().ok()) {
                has_ended = false;
                reports.extend(answer.reports);
                jobs.extend(job);
                oldest_open = [oldest_open, answer.oldest_open]
                    .into_iter()
                    .flatten()
                    .min();
                let (counted, held) = answer.tick.unwrap_or_default();
                stats += counted;
                load += held;
            }
            if has_ended {
                return Ok(now);
            }
            let end = jobs.pop().map(|job| {
                now = job.batch.now;
                let progress = self.output.progress(&job.batch, oldest_open);
                let tick = job.tick.map(|of_reader| {
                    stats += of_reader;
                    (now, stats, load)
                });
                jobs.clear();
                if let Some(job) = Arc::into_inner(job) {
                    let _ = spares.try_send(job); // there are enough already
                }
                BatchEnd { progress, tick }
            });
            self.take(&mut reports, end)?;
        }
    }

    /// Takes all of one batch. Without an end, it is what workers report after the last one, of which some have more than others.
    fn take(&mut self, reports: &mut Vec<Numbered>, end: Option<BatchEnd>) -> io::Result<()> {
        let Self {
            collector, output, ..
        } = self;
        let end = |collector: &Collector| {
            end.map(|mut end| {
                if let Some((_, stats, _)) = &mut end.tick {
                    *stats += collector.stats();
                }
                end
            })
        };
        let Some(pages) = &mut self.pages else {
            output.emit(|emit| collector.collect(reports).for_each(emit))?;
            return end(collector).map_or(Ok(()), |end| end.carry_out(output));
        };
        for event in collector.collect(reports) {
            pages.due.extend(output.take(event, Lines::Apart)?);
        }
        pages.hand_out(end(collector), output)
    }
}

/// What follows the events of a batch.
struct BatchEnd {
    progress: Option<Progress>,
    /// The time, and the run's health, if it is due.
    tick: Option<(Option<Timestamp>, Stats, Load)>,
}

impl BatchEnd {
    fn carry_out(self, output: &mut RunOutput<'_>) -> io::Result<()> {
        output.flush(self.progress)?;
        self.tick
            .map_or(Ok(()), |(now, stats, load)| output.tick(now, stats, load))
    }
}

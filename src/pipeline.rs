//! A capture from beginning to end, on one thread or on several.
//!
//! ```text
//! one thread:  source ─▶ Observer ─▶ sink
//! several:     source ─▶ Router ══batches══▶ ShardSet (each worker) ══events══▶ put in order ─▶ sink
//! ```
//!
//! With several threads a batch of packets is shared, not copied: each worker
//! gets the whole batch and a list of the steps that are its own. Events come
//! back with the number of the step that made them, so that their order is the
//! one that a single thread gives. Channels are bounded: whoever is slow holds
//! the reader up, and memory stays what a few batches need.
//!
//! A live source takes part like a file: it tells the time with its batches, and
//! hands out empty ones while the wire is quiet. It has a queue of its own, and
//! drops packets there rather than wait for a reader that is held up.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::capture::{CaptureError, Meters, PacketBatch, PacketSource};
use crate::certificate::ChainCache;
use crate::decode::Datagram;
use crate::decrypt::Keys;
use crate::event::Handshake;
use crate::handshake::Validator;
use crate::observer::{
    Config, Observer, Routed, Router, ShardSet, quiet_time, shard_of, sort_simultaneous,
    take_secrets,
};
use crate::sink::Sink;
use crate::stats::{Health, Load, Stats};
use crate::time::Timestamp;

/// What a run came to.
#[derive(Debug)]
pub struct Summary {
    /// What was handled and discarded.
    pub stats: Stats,
    /// What broke the source, if anything did; the packets before it were handled.
    pub error: Option<CaptureError>,
}

/// The most threads that a run uses: one for each shard of flows.
pub const MAX_THREADS: usize = crate::observer::SHARDS;

/// Runs a capture through.
///
/// Up to one thread, all is done on the calling one. Beyond, there is a thread
/// that reads and decodes, and `threads` that follow connections.
///
/// The sink gets each event, and is flushed after each batch of packets. While the
/// source is live, it gets ticks, and one more when all is done; to finish it is
/// left to the caller.
///
/// # Errors
///
/// Those of `sink`: they end the run. A broken source is no error but part of
/// the summary.
pub fn run(
    source: &mut dyn PacketSource,
    config: Config,
    threads: usize,
    sink: &mut dyn Sink,
) -> io::Result<Summary> {
    if threads <= 1 {
        run_alone(source, config, sink)
    } else {
        run_shared(source, config, threads, sink)
    }
}

fn run_alone(
    source: &mut dyn PacketSource,
    config: Config,
    sink: &mut dyn Sink,
) -> io::Result<Summary> {
    let mut observer = Observer::new(config);
    let mut batch = PacketBatch::default();
    let mut ticker = Ticker::new(source.meters());
    let error = loop {
        match source.next_batch(&mut batch) {
            Ok(true) => observer.handle_batch(&batch),
            Ok(false) => break None,
            Err(error) => break Some(error),
        }
        drain(&mut observer, sink)?;
        sink.flush()?;
        if ticker.is_due(batch.now) {
            ticker.tick(sink, observer.stats(), observer.load())?;
        }
    };
    observer.finish();
    drain(&mut observer, sink)?;
    let stats = observer.stats();
    ticker.tick(sink, stats, Load::default())?;
    Ok(Summary { stats, error })
}

/// Tells sinks how a live run is doing; does nothing in others.
struct Ticker {
    meters: Option<Meters>,
    now: Option<Timestamp>,
    next: Timestamp,
}

/// How far the clock goes between two ticks.
const TICK: Duration = Duration::from_secs(1);

impl Ticker {
    const fn new(meters: Option<Meters>) -> Self {
        Self {
            meters,
            now: None,
            next: Timestamp::MIN,
        }
    }

    /// Takes the time; whether a tick is due. A clock that is set back does not stop the ticks;
    /// batches that tell a little less than the one before do not bring them about.
    fn is_due(&mut self, now: Option<Timestamp>) -> bool {
        let Some(time) = now else {
            return false;
        };
        let behind = self.now.and_then(|before| before.checked_since(time));
        let is_set_back = behind.is_some_and(|behind| behind > TICK);
        self.now = now;
        if time < self.next && !is_set_back {
            return false;
        }
        self.next = time.saturating_add(TICK);
        true
    }

    fn tick(&self, sink: &mut dyn Sink, stats: Stats, load: Load) -> io::Result<()> {
        let (Some(now), Some(meters)) = (self.now, &self.meters) else {
            return Ok(());
        };
        let health = Health {
            interfaces: meters.iter().map(|meter| meter.read()).collect(),
            stats,
            load,
        };
        sink.tick(now, &health)
    }
}

fn drain(observer: &mut Observer, sink: &mut dyn Sink) -> io::Result<()> {
    while let Some(event) = observer.poll_event() {
        sink.handshake(&event)?;
    }
    Ok(())
}

/// Batches under way between the threads: enough that nobody waits for a neighbour's hiccup.
const BATCHES_AHEAD: usize = 4;

/// A batch and who does what with it.
struct Job {
    batch: PacketBatch,
    /// For each worker, its steps with their numbers.
    steps: Vec<Vec<(u32, Step)>>,
    /// Whether workers are to say how they are doing; what the reader has counted so far.
    census: Option<Stats>,
}

enum Step {
    /// The packet with this index in the batch.
    Packet(u32),
    /// A datagram that the packet with this index completed.
    Datagram(u32, Box<Datagram>),
    /// Time goes on.
    Tick(Timestamp),
}

/// A worker's events of one batch, with the numbers of the steps that made them.
struct Answer {
    events: Vec<(u32, Handshake)>,
    /// The batch, to be reused when all workers have answered.
    job: Option<Arc<Job>>,
    /// How the worker is doing, if the job asks.
    census: Option<(Stats, Load)>,
}

fn run_shared(
    source: &mut dyn PacketSource,
    config: Config,
    threads: usize,
    sink: &mut dyn Sink,
) -> io::Result<Summary> {
    let threads = threads.min(MAX_THREADS);
    let (spare_sender, spares) = bounded(2 * BATCHES_AHEAD);
    let mut ticker = Ticker::new(source.meters());
    std::thread::scope(|scope| {
        let (mut jobs, mut answers, mut workers) = (Vec::new(), Vec::new(), Vec::new());
        for first in 0..threads {
            let (job_sender, job_receiver) = bounded(BATCHES_AHEAD);
            let (answer_sender, answer_receiver) = bounded(BATCHES_AHEAD);
            jobs.push(job_sender);
            answers.push(answer_receiver);
            let shards = ShardSet::new(&config, first, threads);
            workers.push(scope.spawn(move || work(shards, first, &job_receiver, &answer_sender)));
        }
        let keys = config.keys.view();
        let reader = scope.spawn(move || read(source, &keys, &jobs, &spares));
        let mut judge = Validator::new(&config.trust);
        collect(&answers, &spare_sender, &mut ticker, &mut judge, sink)?;
        drop((answers, spare_sender));
        let (mut stats, error) = reader
            .join()
            .map_err(|_| io::Error::other("the reading thread panicked"))?;
        for worker in workers {
            stats += worker
                .join()
                .map_err(|_| io::Error::other("a worker thread panicked"))?;
        }
        stats += judge.stats();
        ticker.tick(sink, stats, Load::default())?;
        Ok(Summary { stats, error })
    })
}

/// The reading thread: batches to jobs, until the source ends or nobody listens any more.
fn read(
    source: &mut dyn PacketSource,
    keys: &Keys,
    jobs: &[Sender<Arc<Job>>],
    spares: &Receiver<Job>,
) -> (Stats, Option<CaptureError>) {
    let mut router = Router::new();
    let mut ticker = Ticker::new(source.meters());
    loop {
        let empty = || Job {
            batch: PacketBatch::default(),
            steps: jobs.iter().map(|_| Vec::new()).collect(),
            census: None,
        };
        let mut job = spares.try_recv().unwrap_or_else(|_| empty());
        match source.next_batch(&mut job.batch) {
            Ok(true) => {}
            Ok(false) => return (end(router), None),
            Err(error) => return (end(router), Some(error)),
        }
        take_secrets(keys, &job.batch);
        route_batch(&mut router, &mut job);
        let is_due = ticker.is_due(job.batch.now);
        job.census = is_due.then(|| router.stats());
        let job = Arc::new(job);
        if jobs
            .iter()
            .any(|worker| worker.send(Arc::clone(&job)).is_err())
        {
            return (end(router), None);
        }
    }
}

fn end(mut router: Router) -> Stats {
    router.finish();
    router.stats()
}

/// Gives each packet and each tick to the workers that it concerns.
fn route_batch(router: &mut Router, job: &mut Job) {
    let Job { batch, steps, .. } = job;
    let mut number = 0;
    for (index, packet) in batch.packets.iter().enumerate() {
        if let Some(now) = router.advance(packet.timestamp) {
            for worker in steps.iter_mut() {
                worker.push((number, Step::Tick(now)));
            }
            number += 1;
        }
        let Some(interface) = batch.interfaces.get(packet.interface as usize) else {
            continue;
        };
        let index = index as u32;
        let (shard, step) = match router.route(interface.link_type, packet, batch.bytes(packet)) {
            Some(Routed::Segment(segment)) => {
                (shard_of(&segment.flow_key().0), Step::Packet(index))
            }
            Some(Routed::Datagram(datagram)) => match datagram.segment() {
                Ok(Some(segment)) => (
                    shard_of(&segment.flow_key().0),
                    Step::Datagram(index, datagram.clone()),
                ),
                _ => continue,
            },
            None => continue,
        };
        let worker = shard % steps.len();
        if let Some(worker) = steps.get_mut(worker) {
            worker.push((number, step));
        }
        number += 1;
    }
    if let Some(now) = quiet_time(batch).and_then(|now| router.advance(now)) {
        for worker in steps.iter_mut() {
            worker.push((number, Step::Tick(now)));
        }
    }
}

/// A worker thread: its steps of each job, then the end.
fn work(
    mut shards: ShardSet,
    worker: usize,
    jobs: &Receiver<Arc<Job>>,
    answers: &Sender<Answer>,
) -> Stats {
    let mut chains = ChainCache::new();
    let mut made = VecDeque::new();
    for job in jobs {
        shards.begin_batch();
        let mut events = Vec::new();
        for (number, step) in job.steps.get(worker).into_iter().flatten() {
            take_step(&mut shards, &job.batch, step, &mut chains, &mut made);
            events.extend(made.drain(..).map(|event| (*number, event)));
        }
        let census = job.census.map(|_| (shards.stats(), shards.load()));
        let job = Some(job);
        if answers
            .send(Answer {
                events,
                job,
                census,
            })
            .is_err()
        {
            return shards.stats();
        }
    }
    shards.finish(&mut chains, &mut made);
    let events = made.drain(..).map(|event| (0, event)).collect();
    let _ = answers.send(Answer {
        events,
        job: None,
        census: None,
    });
    shards.stats()
}

fn take_step(
    shards: &mut ShardSet,
    batch: &PacketBatch,
    step: &Step,
    chains: &mut ChainCache,
    events: &mut VecDeque<Handshake>,
) {
    let (index, datagram) = match step {
        Step::Tick(now) => return shards.handle_timeout(*now, chains, events),
        Step::Packet(index) => (index, None),
        Step::Datagram(index, datagram) => (index, Some(datagram)),
    };
    let Some(packet) = batch.packets.get(*index as usize) else {
        return;
    };
    let Some(interface) = batch.interfaces.get(packet.interface as usize) else {
        return;
    };
    let segment = match datagram {
        Some(datagram) => datagram.segment().ok().flatten(),
        None => Router::segment(interface.link_type, packet, batch.bytes(packet)),
    };
    if let Some(segment) = segment {
        let packet = (packet, batch.bytes(packet));
        shards.handle_segment(&segment, interface, packet, chains, events);
    }
}

/// Puts the workers' events in order, batch by batch, has their certificates judged, and gives them to the sink.
fn collect(
    answers: &[Receiver<Answer>],
    spares: &Sender<Job>,
    ticker: &mut Ticker,
    judge: &mut Validator,
    sink: &mut dyn Sink,
) -> io::Result<()> {
    loop {
        let mut events = Vec::new();
        let mut jobs = Vec::new();
        let (mut stats, mut load) = (Stats::default(), Load::default());
        for answer in answers.iter().filter_map(|worker| worker.recv().ok()) {
            events.extend(answer.events);
            jobs.extend(answer.job);
            let (of_worker, held) = answer.census.unwrap_or_default();
            stats += of_worker;
            load += held;
        }
        sort_simultaneous(&mut events);
        for (_, event) in &mut events {
            judge.handle_event(event);
            sink.handshake(event)?;
        }
        if jobs.is_empty() {
            return Ok(()); // the workers' last answers
        }
        sink.flush()?;
        if let Some(job) = jobs.first()
            && let Some(of_reader) = job.census
        {
            stats += of_reader;
            ticker.now = job.batch.now;
            ticker.tick(sink, stats, load)?;
        }
        jobs.into_iter()
            .filter_map(Arc::into_inner)
            .for_each(|job| recycle(job, spares));
    }
}

fn recycle(mut job: Job, spares: &Sender<Job>) {
    job.steps.iter_mut().for_each(Vec::clear);
    let _ = spares.try_send(job); // enough are there already
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_come_by_the_second_and_go_on_when_the_clock_is_set_back() {
        let mut ticker = Ticker::new(None);
        let mut is_due = |milliseconds: u64| {
            let time = Duration::from_millis(milliseconds);
            ticker.is_due(Some(Timestamp::default().saturating_add(time)))
        };
        assert!(is_due(10_000));
        assert!(!is_due(9_800), "a quiet wire tells what is surely over");
        assert!(!is_due(10_900));
        assert!(is_due(11_000));
        assert!(is_due(5_000), "the clock was set");
        assert!(!is_due(5_900));
        assert!(is_due(6_000));
    }
}

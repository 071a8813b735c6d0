//! What a capture thread does: packets from a device into batches, and losses into counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::PATIENCE;
use super::queue::{BATCH_BYTES, BATCH_PACKETS, BatchSender, Fate};
use super::warning::Warnings;
use crate::capture::{Meter, PacketBatch, Problem};

/// Where a capture thread gets its packets from.
pub(super) trait Device: Send {
    /// The interface's name.
    fn name(&self) -> &Arc<str>;

    /// Waits for packets, but not for longer than `patience`.
    fn wait(&mut self, patience: Duration);

    /// Appends at most `count` packets to `batch`, without waiting; how many were taken, which
    /// can be more than were appended. Their numbers and interfaces are for the caller to say.
    fn take(&mut self, count: usize, batch: &mut PacketBatch) -> Result<usize, String>;

    /// Packets lost since the last call.
    fn losses(&mut self) -> Losses;

    /// Whether the interface is up: one that is down is silent, and may come up again.
    fn is_up(&self) -> bool;

    /// Lets go of the interface.
    fn close(&mut self);

    /// Takes hold of the interface again.
    fn reopen(&mut self) -> Result<(), String>;
}

/// Packets that never reached the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Losses {
    /// The kernel's buffer was full.
    pub(super) kernel: u64,
    /// The interface or its driver was overrun.
    pub(super) interface: u64,
}

/// How often the kernel is asked what it dropped.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(2);
/// Rounds without a packet after which the kernel's buffer is empty. The kernel hands over a block [`PATIENCE`] after
/// its first packet at the latest, however busy the machine is, and a quiet round waits as long: the second one begins
/// after that. One more, for packets that were still between two sockets.
const QUIET_ROUNDS: u32 = 3;
/// Rounds after the stop at most, on an interface that is never quiet: 4 s.
const MAX_LAST_ROUNDS: u32 = 20;
/// Packets taken at once, so that a batch does not grow far beyond its bound.
const CHUNK: usize = 64;
/// The largest packet that a first look expects.
const LARGE: usize = 2048;

/// A capture thread.
pub(super) struct CaptureThread<D> {
    pub(super) device: D,
    /// The interface's index in the batches.
    pub(super) interface: u32,
    pub(super) meter: Arc<Meter>,
    pub(super) queue: BatchSender,
    pub(super) notices: Sender<Problem>,
    pub(super) stop: Arc<AtomicBool>,
    /// Between two tries of an interface that is gone.
    pub(super) retry: Duration,
    /// Whether to capture on after the stop until the kernel's buffer is empty.
    pub(super) drains_buffer: bool,
    /// Whether this thread speaks for its interface, of which several may capture.
    pub(super) speaks: bool,
}

impl<D: Device> CaptureThread<D> {
    /// Captures until asked to stop; packets that had arrived by then are still taken.
    pub(super) fn run(mut self) {
        let mut state = State {
            batch: PacketBatch::default(),
            largest: LARGE,
            next_snapshot: Instant::now() + SNAPSHOT_INTERVAL,
            is_up: true,
            warnings: Warnings::default(),
        };
        let (mut last_rounds, mut quiet_rounds) = (0, 0);
        loop {
            let is_stopping = self.stop.load(Ordering::Relaxed);
            let before = is_stopping.then(|| self.meter.read().packets);
            let is_wanted = match self.round(&mut state) {
                Ok(is_wanted) => is_wanted,
                Err(reason) => self.mend(&mut state, &reason),
            };
            if let Some(before) = before {
                last_rounds += 1;
                let is_quiet = self.meter.read().packets == before;
                quiet_rounds = if is_quiet { quiet_rounds + 1 } else { 0 };
            }
            let is_empty = quiet_rounds >= QUIET_ROUNDS || last_rounds >= MAX_LAST_ROUNDS;
            if is_stopping && (is_empty || !self.drains_buffer) || !is_wanted {
                break;
            }
        }
        self.hand_over(&mut state, true);
        self.count_losses(&mut state);
    }

    /// Waits for packets and takes all that there are, for a while; false if nobody wants them.
    fn round(&mut self, state: &mut State) -> Result<bool, String> {
        self.device.wait(PATIENCE);
        let until = Instant::now() + PATIENCE;
        // At least one look, whatever came of the waiting: libpcap notices by it that an interface is gone.
        loop {
            let room = BATCH_BYTES.saturating_sub(state.batch.data.len()) / state.largest;
            let room = room.min(BATCH_PACKETS - state.batch.packets.len());
            let room = room.clamp(1, CHUNK);
            let taken = self.take(room, state)?;
            if state.is_full() && self.hand_over(state, true) == Fate::Unwanted {
                return Ok(false);
            }
            if taken == 0 || Instant::now() >= until {
                break;
            }
        }
        let fate = self.hand_over(state, false);
        if Instant::now() >= state.next_snapshot {
            state.next_snapshot = Instant::now() + SNAPSHOT_INTERVAL;
            self.count_losses(state);
            self.look_whether_up(state);
        }
        Ok(fate != Fate::Unwanted)
    }

    fn take(&mut self, room: usize, state: &mut State) -> Result<usize, String> {
        let before = (state.batch.packets.len(), state.batch.data.len());
        let taken = self.device.take(room, &mut state.batch);
        let bytes = state.batch.data.len() - before.1;
        let new = state.batch.packets.get_mut(before.0..).unwrap_or_default();
        let known = self.meter.add_packets(new.len() as u64, bytes as u64);
        for (packet, number) in new.iter_mut().zip(known + 1..) {
            packet.number = number;
            packet.interface = self.interface;
            state.largest = state.largest.max(packet.captured_length as usize);
        }
        taken
    }

    /// Hands the batch over. If the workers are behind, it goes on to be filled, unless it `must_go`: then its packets are dropped.
    fn hand_over(&self, state: &mut State, must_go: bool) -> Fate {
        let packets = state.batch.packets.len() as u64;
        if packets == 0 {
            return Fate::Queued;
        }
        let fate = self.queue.offer(&mut state.batch, must_go);
        if matches!(fate, Fate::Dropped | Fate::Unwanted) {
            self.meter.add_dropped_at_queue(packets);
        }
        fate
    }

    fn count_losses(&mut self, state: &mut State) {
        let losses = self.device.losses();
        // All threads of an interface get the same events about it.
        let of_interface = if self.speaks { losses.interface } else { 0 };
        self.meter.add_lost(losses.kernel, of_interface);
        let health = self.meter.read();
        if let Some(text) = state.warnings.of(&health, Instant::now()) {
            self.say(text);
        }
    }

    fn look_whether_up(&self, state: &mut State) {
        let is_up = self.device.is_up();
        if is_up != state.is_up {
            state.is_up = is_up;
            self.meter.set_up(is_up);
            let now = if is_up { "up again" } else { "down" };
            self.say(format!("`{}` is {now}", self.device.name()));
        }
    }

    /// Waits for the interface to come back; false if the program ends before.
    fn mend(&mut self, state: &mut State, reason: &str) -> bool {
        self.hand_over(state, false);
        self.count_losses(state);
        self.meter.set_up(false);
        let name = Arc::clone(self.device.name());
        let gone = Instant::now();
        self.say(format!(
            "cannot capture on `{name}` any more: {reason}; retrying every second"
        ));
        self.device.close();
        while !self.sleep(self.retry) {
            if self.device.reopen().is_ok() {
                self.meter.set_up(true);
                state.is_up = true;
                let seconds = gone.elapsed().as_secs();
                self.say(format!(
                    "capturing on `{name}` again, after {seconds} s without packets"
                ));
                return true;
            }
        }
        false
    }

    /// True if the program is to end.
    fn sleep(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(PATIENCE.min(time));
        }
        self.stop.load(Ordering::Relaxed)
    }

    fn say(&self, text: String) {
        if !self.speaks {
            return;
        }
        let _ = self.notices.try_send(Problem::warning(text)); // the receiver has more than enough to report
    }
}

/// What a capture thread keeps between rounds.
struct State {
    batch: PacketBatch,
    /// Bytes of the largest packet so far.
    largest: usize,
    next_snapshot: Instant,
    is_up: bool,
    warnings: Warnings,
}

impl State {
    /// Whether another packet may not fit into the batch.
    fn is_full(&self) -> bool {
        self.batch.packets.len() >= BATCH_PACKETS
            || self.batch.data.len() + self.largest > BATCH_BYTES
    }
}

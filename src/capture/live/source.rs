//! What capture threads bring, as a source of packets.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::PATIENCE;
use super::device::{LiveInterface, LiveOptions};
use super::queue::{BatchReceiver, batches, queue};
use super::thread::{CaptureThread, Device};
use crate::capture::{self, CaptureError, Meter, Meters, PacketBatch, PacketSource, Problem};
use crate::time::Timestamp;

/// Interfaces that are opened, with nobody capturing yet.
///
/// To open them takes privileges that may be given up afterwards.
pub struct LiveCapture {
    /// For each interface, as many as it has threads.
    devices: Vec<Vec<LiveInterface>>,
    interfaces: Arc<[capture::Interface]>,
    drains_buffer: bool,
    queue_bytes: usize,
}

impl LiveCapture {
    /// Opens all `interfaces`, which are named once each; `any` is all that there are.
    ///
    /// # Errors
    ///
    /// - [`CaptureError::Interface`] if packets cannot be captured on one.
    /// - [`CaptureError::NotPermitted`] if the process may not.
    /// - [`CaptureError::Filter`] if libpcap rejects the filter.
    pub fn open(interfaces: &[String], options: &LiveOptions) -> Result<Self, CaptureError> {
        let devices = interfaces
            .iter()
            .map(|name| LiveInterface::open_all(name, options))
            .collect::<Result<Vec<_>, _>>()?;
        let first = devices.iter().filter_map(|devices| devices.first());
        let interfaces = first.map(|device| capture::Interface {
            link_type: device.link_type(),
            source: Arc::clone(device.name()),
            name: Some(Arc::clone(device.name())),
        });
        Ok(Self {
            interfaces: interfaces.collect(),
            devices,
            drains_buffer: options.drains_buffer,
            queue_bytes: options.queue_bytes,
        })
    }

    /// The interfaces, in the order of the indices that packets name.
    #[must_use]
    pub fn interfaces(&self) -> &[capture::Interface] {
        &self.interfaces
    }

    /// Starts a capture thread for each interface. They end when `stop` is set: the
    /// source then hands out what they had taken, and ends.
    ///
    /// # Errors
    ///
    /// When the system gives no more threads.
    pub fn start(self, stop: Arc<AtomicBool>) -> io::Result<LiveSource> {
        let pace = Pace {
            queue: batches(self.queue_bytes),
            retry: RETRY,
            drains_buffer: self.drains_buffer,
        };
        LiveSource::start(self.devices, self.interfaces, stop, pace)
    }
}

/// Packets from live interfaces, as they come.
///
/// While the wire is quiet, it hands out batches without packets that tell the time.
pub struct LiveSource {
    queue: Option<BatchReceiver>,
    interfaces: Arc<[capture::Interface]>,
    meters: Meters,
    notices: Receiver<Problem>,
    /// Packets dropped by then.
    dropped: u64,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// How long the wire is quiet before a batch is handed out that only tells the time.
const QUIET: Duration = Duration::from_millis(250);
/// The time that such a batch tells is this long ago: packets that were captured
/// before may be on their way, in the kernel's block and then in the thread's batch.
const ON_THE_WAY: Duration = PATIENCE.saturating_mul(2);
/// Notices kept until they are asked for; at most a few a minute arrive.
const MAX_NOTICES: usize = 64;

/// How often an interface that is gone is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What tests cannot wait for.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// Batches under way.
    pub(super) queue: usize,
    /// Between two tries of an interface that is gone.
    pub(super) retry: Duration,
    /// See [`LiveOptions::drains_buffer`].
    pub(super) drains_buffer: bool,
}

impl LiveSource {
    pub(super) fn start<D: Device + 'static>(
        devices: Vec<Vec<D>>,
        interfaces: Arc<[capture::Interface]>,
        stop: Arc<AtomicBool>,
        pace: Pace,
    ) -> io::Result<Self> {
        let (sender, receiver) = queue(pace.queue);
        let (notices, notices_taken) = bounded(MAX_NOTICES);
        let names = interfaces.iter().map(|one| Arc::clone(&one.source));
        let meters: Meters = names.map(|name| Arc::new(Meter::new(name))).collect();
        let mut source = Self {
            queue: Some(receiver),
            interfaces,
            meters: Arc::clone(&meters),
            notices: notices_taken,
            dropped: 0,
            stop: Arc::clone(&stop),
            threads: Vec::new(),
        };
        let each = devices.into_iter().zip(meters.iter()).zip(0..);
        let each = each.flat_map(|((devices, meter), interface)| {
            let numbered = devices.into_iter().enumerate();
            numbered.map(move |(index, device)| (device, meter, interface, index == 0))
        });
        for (device, meter, interface, speaks) in each {
            let thread = CaptureThread {
                device,
                interface,
                meter: Arc::clone(meter),
                queue: sender.clone(),
                notices: Sender::clone(&notices),
                stop: Arc::clone(&stop),
                retry: pace.retry,
                drains_buffer: pace.drains_buffer,
                speaks,
            };
            let builder = std::thread::Builder::new().name(format!("capture {}", meter.name()));
            source.threads.push(builder.spawn(move || thread.run())?);
        }
        Ok(source)
    }
}

impl PacketSource for LiveSource {
    fn next_batch(&mut self, batch: &mut PacketBatch) -> Result<bool, CaptureError> {
        batch.clear();
        let Some(queue) = &self.queue else {
            return Ok(false);
        };
        batch.interfaces = Arc::clone(&self.interfaces);
        let mut is_over = false;
        match queue.filled.recv_timeout(QUIET) {
            Ok(filled) => {
                queue.give_back(std::mem::replace(batch, filled));
                batch.interfaces = Arc::clone(&self.interfaces);
                batch.now = Some(now());
            }
            Err(RecvTimeoutError::Timeout) => batch.now = Some(now_less(ON_THE_WAY)),
            Err(RecvTimeoutError::Disconnected) => is_over = true,
        }
        let dropped = self.meters.iter().map(|meter| meter.read().dropped()).sum();
        if dropped > std::mem::replace(&mut self.dropped, dropped) {
            batch.dropped_at = Some(now());
        }
        // What the threads counted last counts, too.
        Ok(!is_over || batch.dropped_at.is_some())
    }

    fn take_problems(&mut self) -> Vec<Problem> {
        self.notices.try_iter().collect()
    }

    fn meters(&self) -> Option<Meters> {
        Some(Arc::clone(&self.meters))
    }
}

/// Ends the threads, whether or not they were started.
impl Drop for LiveSource {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.queue = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // a panic was reported already
        }
    }
}

/// What the system's clock says.
pub(super) fn now() -> Timestamp {
    now_less(Duration::ZERO)
}

fn now_less(age: Duration) -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or_default().saturating_sub(age);
    Timestamp::default().saturating_add(since)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::queue::BATCH_PACKETS;
    use super::super::testing::{self, Act, Scripted};
    use super::*;
    use crate::event::Handshake;
    use crate::observer::Config;
    use crate::pipeline;
    use crate::sink::Sink;
    use crate::stats::{Health, Stats};

    fn start(script: Vec<Act>) -> LiveSource {
        let pace = Pace {
            queue: 4,
            retry: Duration::ZERO,
            drains_buffer: false,
        };
        let device = Scripted::new(script);
        LiveSource::start(
            vec![vec![device]],
            testing::interfaces(),
            Arc::default(),
            pace,
        )
        .unwrap()
    }

    /// Waits until the meter shows something, as long as a busy machine may need.
    fn wait_for(source: &LiveSource, shows: impl Fn(&Meter) -> bool) {
        let begun = Instant::now();
        while !shows(&source.meters[0]) {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "{:?}",
                source.meters
            );
            std::thread::yield_now();
        }
    }

    fn stop(source: &LiveSource) {
        source.stop.store(true, Ordering::Relaxed);
    }

    /// The numbers of all packets that are still handed out.
    fn drain(source: &mut LiveSource) -> Vec<u64> {
        let mut batch = PacketBatch::default();
        let mut numbers = Vec::new();
        while source.next_batch(&mut batch).unwrap() {
            numbers.extend(batch.packets.iter().map(|packet| packet.number));
        }
        numbers
    }

    #[test]
    fn what_arrived_before_the_stop_is_still_handed_out() {
        let mut source = start(vec![Act::Packets(3), Act::Packets(2)]);
        wait_for(&source, |meter| meter.read().packets == 5);
        stop(&source);
        assert_eq!(drain(&mut source), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_buffer_that_is_drained_is_read_until_nothing_comes_any_more() {
        for drains_buffer in [false, true] {
            let pace = Pace {
                queue: 4,
                retry: Duration::ZERO,
                drains_buffer,
            };
            // Two empty looks before the last packets: the kernel hands them over late.
            let script = vec![Act::Packets(1), Act::Quiet(2), Act::Packets(2)];
            let devices = vec![vec![Scripted::new(script)]];
            let stop = Arc::new(AtomicBool::new(true));
            let mut source = LiveSource::start(devices, testing::interfaces(), stop, pace).unwrap();
            let expected: &[u64] = if drains_buffer { &[1, 2, 3] } else { &[1] };
            assert_eq!(drain(&mut source), expected);
        }
    }

    #[test]
    fn a_quiet_wire_still_tells_the_time() {
        let mut source = start(Vec::new());
        let mut batch = PacketBatch::default();
        assert!(source.next_batch(&mut batch).unwrap());
        assert!(batch.packets.is_empty());
        let year_2026 = Timestamp::from_seconds(1_767_225_600);
        assert!(batch.now > Some(year_2026));
    }

    #[test]
    fn packets_that_find_the_queue_full_are_dropped_and_counted() {
        let mut source = start(vec![Act::Packets(6 * BATCH_PACKETS)]);
        let all = 6 * BATCH_PACKETS as u64;
        wait_for(&source, |meter| meter.read().packets == all);
        stop(&source);
        let handed_out = drain(&mut source).len() as u64;
        let dropped = source.meters[0].read().dropped_queue;
        assert!(handed_out >= 4 * BATCH_PACKETS as u64);
        assert_eq!(handed_out + dropped, all);
    }

    #[test]
    fn the_first_batch_after_a_drop_says_so_and_those_after_it_do_not() {
        let mut source = start(vec![Act::Packets(6 * BATCH_PACKETS)]);
        let all = 6 * BATCH_PACKETS as u64;
        wait_for(&source, |meter| meter.read().packets == all);
        stop(&source);
        let mut batch = PacketBatch::default();
        assert!(source.next_batch(&mut batch).unwrap());
        assert!(batch.dropped_at.is_some());
        assert!(source.next_batch(&mut batch).unwrap());
        assert_eq!(batch.dropped_at, None);
    }

    #[test]
    fn an_interface_that_goes_and_comes_back_is_picked_up_again() {
        let mut source = start(vec![Act::Packets(1), Act::Gone, Act::Packets(2)]);
        wait_for(&source, |meter| meter.read().packets == 3);
        assert!(source.meters[0].read().is_up);
        let problems = source.take_problems();
        let texts: Vec<&str> = problems.iter().map(|problem| &*problem.text).collect();
        assert_eq!(
            texts,
            [
                "cannot capture on `test0` any more: the cable is cut; retrying every second",
                "capturing on `test0` again, after 0 s without packets",
            ]
        );
        stop(&source);
        assert_eq!(drain(&mut source), [1, 2, 3]);
    }

    #[test]
    fn what_the_kernel_lost_is_counted_by_cause() {
        let mut source = start(vec![Act::Packets(1), Act::Lost(5, 2)]);
        wait_for(&source, |meter| meter.read().packets == 1);
        stop(&source);
        drain(&mut source);
        let health = source.meters[0].read();
        assert_eq!((health.dropped_kernel, health.dropped_interface), (5, 2));
        assert_eq!((health.seen(), health.dropped()), (8, 7));
        let warning = &source.take_problems()[0].text;
        assert!(
            warning.starts_with("`test0` loses 87.5 % of its packets"),
            "{warning}"
        );
    }

    /// Takes nothing until the gate opens.
    struct Slow {
        gate: Receiver<()>,
        health: Health,
    }

    impl Sink for Slow {
        fn handshake(&mut self, _: &Handshake) -> io::Result<()> {
            Ok(())
        }

        fn flush(&mut self) -> io::Result<()> {
            let _ = self.gate.recv(); // an error once it is open
            Ok(())
        }

        fn tick(&mut self, _: Timestamp, health: &Health) -> io::Result<()> {
            self.health.clone_from(health);
            Ok(())
        }

        fn finish(&mut self, _: &Stats) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn whatever_holds_workers_up_each_packet_is_handled_or_dropped() {
        for threads in [1, 3] {
            let packets = 40 * BATCH_PACKETS;
            let mut source = start(vec![Act::Packets(packets)]);
            let (meters, stop) = (Arc::clone(&source.meters), Arc::clone(&source.stop));
            let (opener, gate) = bounded(0);
            let mut sink = Slow {
                gate,
                health: Health::default(),
            };
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let begun = Instant::now();
                    let all_came = || meters[0].read().packets == packets as u64;
                    while !all_came() && begun.elapsed() < Duration::from_secs(20) {
                        std::thread::yield_now();
                    }
                    drop(opener);
                    stop.store(true, Ordering::Relaxed);
                });
                pipeline::run(&mut source, Config::default(), threads, &mut sink).unwrap();
            });
            let (health, last) = (&sink.health, meters[0].read());
            assert_eq!(health.interfaces[..], *std::slice::from_ref(&last));
            assert_eq!(last.packets, packets as u64);
            assert!(last.dropped_queue > 0);
            assert_eq!(health.stats.packets + last.dropped_queue, last.packets);
        }
    }

    #[test]
    fn threads_of_one_interface_share_its_counters() {
        let pace = Pace {
            queue: 4,
            retry: Duration::ZERO,
            drains_buffer: false,
        };
        let script = || Scripted::new(vec![Act::Packets(3), Act::Lost(1, 5)]);
        let devices = vec![vec![script(), script()]];
        let mut source =
            LiveSource::start(devices, testing::interfaces(), Arc::default(), pace).unwrap();
        wait_for(&source, |meter| meter.read().packets == 6);
        stop(&source);
        let mut numbers = drain(&mut source);
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
        let health = source.meters[0].read();
        assert_eq!((health.dropped_kernel, health.dropped_interface), (2, 5));
    }

    #[test]
    fn a_run_that_ends_early_ends_the_capture_threads() {
        let source = start(vec![Act::Packets(1)]);
        wait_for(&source, |meter| meter.read().packets == 1);
        let stop = Arc::clone(&source.stop);
        drop(source); // returns once the threads have ended
        assert!(stop.load(Ordering::Relaxed));
    }
}

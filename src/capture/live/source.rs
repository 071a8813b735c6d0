//! What capture threads bring, as a source of packets.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::PATIENCE;
use super::device::{Interface, LiveOptions};
use super::queue::{Exit, QUEUE, queue};
use super::thread::{CaptureThread, Device};
use crate::capture::{self, CaptureError, Meter, Meters, PacketBatch, PacketSource, Problem};
use crate::time::Timestamp;

/// Interfaces that are opened, with nobody capturing yet.
///
/// To open them takes privileges that may be given up afterwards.
pub struct LiveCapture {
    devices: Vec<Interface>,
    interfaces: Arc<[capture::Interface]>,
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
            .map(|name| Interface::open(name, options))
            .collect::<Result<Vec<_>, _>>()?;
        let interfaces = devices.iter().map(|device| capture::Interface {
            link_type: device.link_type(),
            source: Arc::clone(device.name()),
            name: Some(Arc::clone(device.name())),
        });
        Ok(Self {
            interfaces: interfaces.collect(),
            devices,
        })
    }

    /// Starts a capture thread for each interface. They end when `stop` is set: the
    /// source then hands out what they had taken, and ends.
    ///
    /// # Errors
    ///
    /// When the system gives no more threads.
    pub fn start(self, stop: Arc<AtomicBool>) -> io::Result<LiveSource> {
        LiveSource::start(self.devices, self.interfaces, stop, QUEUE)
    }
}

/// Packets from live interfaces, as they come.
///
/// While the wire is quiet, it hands out batches without packets that tell the time.
pub struct LiveSource {
    queue: Option<Exit>,
    interfaces: Arc<[capture::Interface]>,
    meters: Meters,
    notices: Receiver<Problem>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// How long the wire is quiet before a batch is handed out that only tells the time.
const QUIET: Duration = Duration::from_millis(250);
/// The time that such a batch tells is this long ago: packets that were captured
/// before may be on their way, in the kernel's block and then in the thread's batch.
const ON_THE_WAY: Duration = PATIENCE.saturating_mul(2);
/// Notices kept for whoever asks for them; more come at most a few a minute.
const MAX_NOTICES: usize = 64;

impl LiveSource {
    pub(super) fn start<D: Device + 'static>(
        devices: Vec<D>,
        interfaces: Arc<[capture::Interface]>,
        stop: Arc<AtomicBool>,
        length: usize,
    ) -> io::Result<Self> {
        let (entrance, exit) = queue(length);
        let (notices, notices_taken) = bounded(MAX_NOTICES);
        let names = devices.iter().map(|device| Arc::clone(device.name()));
        let meters: Meters = names.map(|name| Arc::new(Meter::new(name))).collect();
        let mut source = Self {
            queue: Some(exit),
            interfaces,
            meters: Arc::clone(&meters),
            notices: notices_taken,
            stop: Arc::clone(&stop),
            threads: Vec::new(),
        };
        for ((device, meter), interface) in devices.into_iter().zip(meters.iter()).zip(0..) {
            let thread = CaptureThread {
                device,
                interface,
                meter: Arc::clone(meter),
                queue: entrance.clone(),
                notices: Sender::clone(&notices),
                stop: Arc::clone(&stop),
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
        match queue.filled.recv_timeout(QUIET) {
            Ok(filled) => {
                queue.give_back(std::mem::replace(batch, filled));
                batch.interfaces = Arc::clone(&self.interfaces);
                batch.now = Some(now());
                Ok(true)
            }
            Err(RecvTimeoutError::Timeout) => {
                batch.now = Some(now_less(ON_THE_WAY));
                Ok(true)
            }
            Err(RecvTimeoutError::Disconnected) => Ok(false),
        }
    }

    fn take_problems(&mut self) -> Vec<Problem> {
        self.notices.try_iter().collect()
    }

    fn meters(&self) -> Option<Meters> {
        Some(Arc::clone(&self.meters))
    }
}

/// Ends the threads, whoever set them to work.
impl Drop for LiveSource {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.queue = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // a panic was told already
        }
    }
}

/// What the system's clock says.
fn now() -> Timestamp {
    now_less(Duration::ZERO)
}

fn now_less(age: Duration) -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or_default().saturating_sub(age);
    Timestamp::default().saturating_add(since)
}

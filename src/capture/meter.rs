//! Counters of live interfaces, shared by those who capture and those who tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::stats::InterfaceHealth;

/// The counters of one interface: written by its capture threads, read by anyone at any time.
///
/// Each counter is right by itself; a reading of all of them while packets come
/// in may be a few packets apart.
#[derive(Debug, Default)]
pub struct Meter {
    name: Arc<str>,
    is_up: AtomicBool,
    packets: AtomicU64,
    bytes: AtomicU64,
    dropped_kernel: AtomicU64,
    dropped_interface: AtomicU64,
    dropped_queue: AtomicU64,
}

impl Meter {
    /// Counters at zero for the interface `name`, which is up.
    #[must_use]
    pub fn new(name: Arc<str>) -> Self {
        Self {
            name,
            is_up: AtomicBool::new(true),
            ..Self::default()
        }
    }

    /// The interface's name.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Notes whether packets can be captured.
    pub fn set_up(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::Relaxed);
    }

    /// Counts packets that the kernel handed over; how many there were before.
    pub fn add_packets(&self, packets: u64, bytes: u64) -> u64 {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.packets.fetch_add(packets, Ordering::Relaxed)
    }

    /// Counts packets that were lost before they were handed over.
    pub fn add_lost(&self, kernel: u64, interface: u64) {
        self.dropped_kernel.fetch_add(kernel, Ordering::Relaxed);
        self.dropped_interface
            .fetch_add(interface, Ordering::Relaxed);
    }

    /// Counts packets that nobody had room for.
    pub fn add_dropped_at_queue(&self, packets: u64) {
        self.dropped_queue.fetch_add(packets, Ordering::Relaxed);
    }

    /// The counters as they are now.
    #[must_use]
    pub fn read(&self) -> InterfaceHealth {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        InterfaceHealth {
            name: Arc::clone(&self.name),
            is_up: self.is_up.load(Ordering::Relaxed),
            packets: count(&self.packets),
            bytes: count(&self.bytes),
            dropped_kernel: count(&self.dropped_kernel),
            dropped_interface: count(&self.dropped_interface),
            dropped_queue: count(&self.dropped_queue),
        }
    }
}

/// The counters of all interfaces of a run, in the order in which the user named them.
pub type Meters = Arc<[Arc<Meter>]>;

//! How much memory a run may take, and how that is shared out.
//!
//! One limit is for the whole process, as an operating system counts it (resident memory). What depends on the traffic and may
//! grow without end gets a share of it, in bytes that its structures allocate: flows and open handshakes by far the largest.
//! The remainder is for what is bounded by constants (packets under way, metric series, tables of servers), for the program
//! itself, and for what an allocator adds to each allocation.

/// The memory that a run may take.
///
/// # Example
///
/// ```
/// use tlscope::memory::MemoryLimit;
///
/// let limit = MemoryLimit::new(256 << 20);
/// assert_eq!(limit.bytes(), 256 << 20);
/// assert!(limit.of_flows() < limit.bytes());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemoryLimit(usize);

impl MemoryLimit {
    /// The smallest limit: a program that has seen nothing takes half of it.
    pub const LEAST: Self = Self(64 << 20);

    /// The limit where nobody says another, if the machine has twice as much: that of some 500,000 connections, or 50,000
    /// handshakes under way. Networks with more have the memory, too.
    pub const USUAL: Self = Self(512 << 20);

    /// A limit of so many bytes, but no less than [`MemoryLimit::LEAST`].
    #[must_use]
    pub const fn new(bytes: usize) -> Self {
        if bytes < Self::LEAST.0 {
            Self::LEAST
        } else {
            Self(bytes)
        }
    }

    /// The limit for a machine, or a control group, that has so many bytes in all: half of them, and no more than
    /// [`MemoryLimit::USUAL`].
    #[must_use]
    pub const fn for_machine(bytes: u64) -> Self {
        let half = bytes / 2;
        if half >= Self::USUAL.0 as u64 {
            Self::USUAL
        } else {
            Self::new(half as usize)
        }
    }

    /// Bytes of the whole process.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.0
    }

    /// What is left for tables that grow with the traffic.
    const fn growing(self) -> usize {
        self.0 - FIXED
    }

    /// Bytes for flows, open handshakes, segments out of order and retained packets.
    #[must_use]
    pub const fn of_flows(self) -> usize {
        self.growing() / 16 * 7
    }

    /// Bytes for handshakes that an output has to hold back: to sort them.
    #[must_use]
    pub const fn of_events(self) -> usize {
        self.growing() / 4
    }

    /// Bytes for parsed certificates and chains that may be shown again.
    #[must_use]
    pub const fn of_chains(self) -> usize {
        self.growing() / 32
    }
}

impl Default for MemoryLimit {
    fn default() -> Self {
        Self::USUAL
    }
}

/// The program, its threads and the batches of packets under way: 20 to 30 MiB, measured on captures of all kinds.
const FIXED: usize = 32 << 20;

/// Bytes of memory that a value on the heap takes, with what an allocator adds: sizes come in classes an eighth apart.
#[must_use]
pub const fn boxed<T>() -> usize {
    size_of::<T>() + size_of::<T>() / 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_small_machine_and_no_more_than_is_usual_of_a_large_one() {
        let limit = |mebibytes: u64| MemoryLimit::for_machine(mebibytes << 20).bytes() >> 20;
        assert_eq!(limit(64 << 10), 512);
        assert_eq!(limit(1024), 512);
        assert_eq!(limit(1023), 511);
        assert_eq!(limit(256), 128);
        assert_eq!(limit(16), 64);
    }

    #[test]
    fn the_shares_leave_room_for_what_is_not_counted() {
        for limit in [MemoryLimit::LEAST, MemoryLimit::USUAL] {
            let shares = limit.of_flows() + limit.of_events() + limit.of_chains();
            assert!(shares < limit.bytes() * 3 / 4, "{limit:?}");
        }
    }
}

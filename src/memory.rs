//! How much memory a run may take, and how that is shared out.
//!
//! One limit is for the whole process, as an operating system counts it (resident memory). What depends on the traffic and may
//! grow without end gets a share of it, in bytes that its structures allocate: flows and open handshakes by far the largest.
//! So do fragments, and in runs that have them metric series, key logs, and the buffers of a live capture. The remainder is for what
//! is bounded by constants (batches under way, tables of servers), for the program itself, and for what an allocator adds to each
//! allocation.

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
pub struct MemoryLimit {
    bytes: usize,
    /// Bytes that something else than flows takes in this run.
    reserved: usize,
    /// Whether captures may bring secrets: interfaces bring none.
    has_files: bool,
}

impl MemoryLimit {
    /// The smallest limit: a program that has seen nothing takes half of it.
    pub const LEAST: Self = Self::of(96 << 20);

    /// The limit where nobody says another, if the machine has twice as much: that of some 500,000 connections, or 50,000
    /// handshakes under way. Networks with more have the memory, too.
    pub const USUAL: Self = Self::of(512 << 20);

    const fn of(bytes: usize) -> Self {
        Self {
            bytes,
            reserved: 0,
            has_files: true,
        }
    }

    /// A limit of so many bytes, but no less than [`MemoryLimit::LEAST`].
    #[must_use]
    pub const fn new(bytes: usize) -> Self {
        if bytes < Self::LEAST.bytes {
            Self::LEAST
        } else {
            Self::of(bytes)
        }
    }

    /// The limit for a machine, or a control group, that has so many bytes in all: half of them, and no more than
    /// [`MemoryLimit::USUAL`].
    #[must_use]
    pub const fn for_machine(bytes: u64) -> Self {
        let half = bytes / 2;
        if half >= Self::USUAL.bytes as u64 {
            Self::USUAL
        } else {
            Self::new(half as usize)
        }
    }

    /// Bytes of the whole process.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.bytes
    }

    /// What is left for what grows with the traffic.
    const fn growing(self) -> usize {
        self.bytes - FIXED
    }

    /// The same limit for a run with live interfaces, whose buffers in the kernel take so many bytes: as they are mapped into the
    /// process, they count as its memory. Flows get less.
    #[must_use]
    pub const fn with_live_capture(mut self, buffers: usize) -> Self {
        // A batch is full once its packets exceed its size, and has a record for each of them.
        let queue = self.of_queue() / 4 * 5;
        self.reserved = self.reserved.saturating_add(buffers).saturating_add(queue);
        self.has_files = false;
        self
    }

    /// The same limit for a run with metrics: flows get less.
    #[must_use]
    pub const fn with_metrics(mut self) -> Self {
        self.reserved += METRICS + self.of_metrics();
        self
    }

    /// The same limit for a run that writes JSON: flows get less.
    #[must_use]
    pub const fn with_texts(mut self) -> Self {
        self.reserved += self.of_texts();
        self
    }

    /// The same limit for a run in which an output has to hold handshakes back: flows get less.
    #[must_use]
    pub const fn with_held_events(mut self) -> Self {
        self.reserved += self.of_events();
        self
    }

    /// The same limit for a run with key logs: flows get less.
    #[must_use]
    pub const fn with_key_logs(mut self) -> Self {
        self.reserved += self.of_key_logs();
        self
    }

    /// The same limit for a run whose captures need so many bytes to decompress, as far as they get them: flows get less.
    #[must_use]
    pub const fn with_decompression(mut self, bytes: usize) -> Self {
        self.reserved = self
            .reserved
            .saturating_add(at_most(bytes, self.of_decompression()));
        self
    }

    /// The same limit for a run on so many threads: flows get less.
    #[must_use]
    pub const fn with_threads(mut self, threads: usize) -> Self {
        self.reserved += THREAD * threads.saturating_sub(1);
        self
    }

    /// The most threads whose needs leave flows the larger part.
    #[must_use]
    pub const fn most_threads(self) -> usize {
        self.bytes / LIMIT_FOR_THREAD // at least one: the least limit is larger
    }

    /// Bytes of handshakes that may be reported in one step, by all shards: their events are all there at once, and an event may take
    /// eight times what its handshake did (a certificate with many short names).
    ///
    /// Events of one step are put in order, so this does not depend on the number of threads.
    #[must_use]
    pub(crate) const fn of_reports(self) -> usize {
        self.bytes / 48
    }

    /// Bytes for flows, open handshakes, segments out of order and retained packets: what nothing else in this run may take,
    /// less a part for what an allocator adds, and for the events of many handshakes that end at once. (With three sixteenths
    /// instead of five, a soak of an hour with 128 MiB took 130.)
    #[must_use]
    pub const fn of_flows(self) -> usize {
        let mut others = self.reserved;
        others = others.saturating_add(self.of_fragments() + self.of_chains());
        if self.has_files {
            others = others.saturating_add(self.of_secrets_in_captures());
        }
        let bytes = self.growing().saturating_sub(others) / 16 * 11;
        if bytes < LEAST_OF_FLOWS {
            LEAST_OF_FLOWS
        } else {
            bytes
        }
    }

    /// Bytes for packets that capture threads have taken, and workers have not.
    #[must_use]
    pub const fn of_queue(self) -> usize {
        at_most(self.bytes / 16, 32 << 20)
    }

    /// Bytes for the kernel's buffers of all interfaces together, where the user does not say how large they are.
    #[must_use]
    pub const fn of_capture_buffers(self) -> usize {
        self.bytes / 8
    }

    /// Bytes for the buffer of one interface or thread: with the usual limit, all that a buffer may have, and no more than half of
    /// what all may take together, so that a run on one interface leaves the rest to flows.
    #[must_use]
    pub const fn of_capture_buffer(self) -> usize {
        self.of_capture_buffers() / 2
    }

    /// Bytes for IP fragments that wait for the rest of their datagram.
    #[must_use]
    pub const fn of_fragments(self) -> usize {
        at_most(self.growing() / 16, 32 << 20)
    }

    /// Bytes for metric series, and for what they are made of: certificates, endpoints, values of attributes.
    #[must_use]
    pub const fn of_metrics(self) -> usize {
        at_most(self.growing() / 8, 56 << 20)
    }

    /// Bytes for handshakes that an output has to hold back: to sort them.
    #[must_use]
    pub const fn of_events(self) -> usize {
        self.growing() / 4
    }

    /// Bytes for the windows of compressed captures that are open at the same time: with the usual limit, the largest one that
    /// is read, or 19 of the usual size.
    #[must_use]
    pub const fn of_decompression(self) -> usize {
        self.growing() / 3
    }

    /// The smallest limit of which compressed captures may take so many bytes.
    #[must_use]
    pub const fn to_decompress(bytes: usize) -> Self {
        Self::new(bytes.saturating_mul(3).saturating_add(FIXED + 3))
    }

    /// Bytes for secrets, where the user gives key logs.
    #[must_use]
    pub const fn of_key_logs(self) -> usize {
        self.growing() / 4
    }

    /// Bytes for secrets that captures bring.
    #[must_use]
    pub const fn of_secrets_in_captures(self) -> usize {
        self.growing() / 16
    }

    /// Bytes for texts that JSON may write again, of certificates with these, and of lists in hellos: 6 MiB are as many as it uses.
    #[must_use]
    pub const fn of_texts(self) -> usize {
        at_most(self.growing() / 64, 6 << 20)
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

/// The program, its threads and the batches of packets under way: 20 to 30 MiB, measured on captures of all kinds. And tables of
/// issuers and servers, when they are full.
const FIXED: usize = 44 << 20;

/// What flows get whatever else a run has: room for a thousand open handshakes.
const LEAST_OF_FLOWS: usize = 4 << 20;

/// What the instruments, the runtime and the endpoint of metrics take before they have any series: 12 MiB, measured.
const METRICS: usize = 12 << 20;

/// What each thread after the first takes: what it has freed stays with it, as the C library's allocator does not lend it to
/// other threads. 20 to 27 MiB, measured under floods.
const THREAD: usize = 24 << 20;

/// How much of the limit there is to be for each thread.
const LIMIT_FOR_THREAD: usize = 64 << 20;

const fn at_most(bytes: usize, most: usize) -> usize {
    if bytes < most { bytes } else { most }
}

/// Bytes of memory that a value on the heap takes, with what an allocator adds: sizes come in classes an eighth apart.
#[must_use]
pub const fn boxed<T>() -> usize {
    size_of::<T>() + size_of::<T>() / 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_get_less_where_more_threads_keep_memory() {
        let limit = MemoryLimit::USUAL;
        assert_eq!(limit.with_threads(1), limit);
        assert!(limit.with_threads(4).of_flows() < limit.with_threads(2).of_flows());
        assert_eq!(MemoryLimit::LEAST.most_threads(), 1);
        assert_eq!(limit.most_threads(), 8);
    }

    #[test]
    fn how_many_handshakes_end_in_one_step_depends_on_the_limit_alone() {
        let limit = MemoryLimit::USUAL;
        assert_eq!(limit.with_threads(8).of_reports(), limit.of_reports());
        assert!(MemoryLimit::LEAST.of_reports() <= MemoryLimit::LEAST.of_flows() / 8);
    }

    #[test]
    fn half_of_a_small_machine_and_no_more_than_is_usual_of_a_large_one() {
        let limit = |mebibytes: u64| MemoryLimit::for_machine(mebibytes << 20).bytes() >> 20;
        assert_eq!(limit(64 << 10), 512);
        assert_eq!(limit(1024), 512);
        assert_eq!(limit(1023), 511);
        assert_eq!(limit(256), 128);
        assert_eq!(limit(16), 96);
    }

    #[test]
    fn what_an_output_and_key_logs_hold_is_taken_from_the_flows() {
        let limit = MemoryLimit::USUAL;
        let busy = limit.with_held_events().with_key_logs().with_texts();
        assert_eq!(busy.bytes(), limit.bytes());
        let all = busy.of_flows() + busy.of_events() + busy.of_key_logs() + busy.of_texts();
        assert!(all < limit.bytes() * 4 / 5);
        assert!(busy.of_flows() > limit.of_flows() / 3);
    }

    #[test]
    fn the_shares_leave_room_for_what_is_not_counted() {
        for limit in [MemoryLimit::LEAST, MemoryLimit::USUAL] {
            let captured = limit.of_secrets_in_captures() + limit.of_fragments();
            let shares = limit.of_flows() + limit.of_chains() + captured;
            assert!(shares < limit.bytes() * 3 / 4, "{limit:?}");
        }
    }

    #[test]
    fn a_live_run_with_metrics_stays_within_the_limit_and_has_room_for_flows() {
        for limit in [
            MemoryLimit::LEAST,
            MemoryLimit::new(128 << 20),
            MemoryLimit::USUAL,
        ] {
            let buffers = limit.of_capture_buffers();
            let live = limit.with_live_capture(buffers).with_metrics().with_texts();
            let others = live.of_chains()
                + live.of_fragments()
                + live.of_metrics()
                + METRICS
                + live.of_texts();
            let all = FIXED + buffers + live.of_queue() + live.of_flows() + others;
            assert!(all <= limit.bytes(), "{limit:?}: {all}");
            assert!(live.of_flows() > LEAST_OF_FLOWS, "{limit:?}");
        }
    }

    #[test]
    fn compressed_captures_take_from_flows_what_they_need_and_no_more_than_their_share() {
        let limit = MemoryLimit::USUAL;
        assert_eq!(limit.with_decompression(0), limit);
        let usual = limit.with_decompression(8 << 20);
        assert!(usual.of_flows() > limit.of_flows() - (8 << 20));
        let most = limit.with_decompression(usize::MAX);
        assert_eq!(most, limit.with_decompression(limit.of_decompression()));
        assert!(most.of_flows() > limit.of_flows() / 2);
        assert!(limit.of_decompression() > 128 << 20);
        for bytes in [1 << 20, 64 << 20, 128 << 20] {
            assert!(MemoryLimit::to_decompress(bytes).of_decompression() >= bytes);
        }
    }

    #[test]
    fn flows_have_some_room_whatever_else_a_run_has() {
        let live = MemoryLimit::LEAST.with_live_capture(usize::MAX);
        assert_eq!(live.of_flows(), LEAST_OF_FLOWS);
    }
}

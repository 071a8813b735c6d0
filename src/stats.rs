//! Counters of a run: what was handled, and what each bound discarded.

use std::fmt;
use std::ops::AddAssign;
use std::sync::Arc;

use crate::time::Timestamp;

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a run handled and discarded; all counters start at 0 and only grow.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Stats {
            /// Each counter with its name, in the order of the documentation.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }

        impl AddAssign for Stats {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

stats! {
    /// Packets read.
    packets,
    /// Bytes captured.
    bytes,
    /// Packets dropped while a capture was made, as its interface statistics (pcapng) count them. What a live run drops is in
    /// [`InterfaceHealth`].
    packets_dropped,
    /// Packets excluded by the packet filter.
    packets_filtered,
    /// Packets cut short by the snap length.
    packets_truncated,
    /// Packets whose headers could not be read: cut short or malformed.
    packets_malformed,
    /// Packets of a link layer that is not supported.
    packets_unknown_link,
    /// Packets that carry no TCP.
    packets_not_tcp,
    /// IP fragments seen.
    fragments,
    /// IP fragments discarded: incomplete in time, overlapping, or over the table's bound.
    fragments_discarded,
    /// Connections seen: over TCP, and over UDP those that began like a handshake.
    connections,
    /// Those of them that spoke TLS, DTLS or QUIC.
    connections_tls,
    /// Logins over EAP in RADIUS seen, with or without TLS.
    logins,
    /// Logins forgotten, the quietest first, because a limit was reached.
    logins_evicted,
    /// RADIUS answers with EAP whose requests were not captured.
    logins_unmatched,
    /// TLS connections of which records were decrypted with the keys given.
    connections_decrypted,
    /// TLS connections with encrypted records for which the keys given had none.
    connections_keys_missing,
    /// TLS connections whose key opened nothing.
    connections_keys_wrong,
    /// TLS connections whose cipher suite cannot be decrypted.
    connections_keys_unsupported,
    /// Connections on which nothing came for too long: their handshake is reported as it stands, or they are forgotten. Each
    /// counts once; one that was reset or closed does not count.
    connections_timed_out,
    /// Connections evicted because the flow table was full.
    connections_evicted,
    /// Handshakes given up without a verdict because memory was short, or the flow table full.
    handshakes_not_judged,
    /// Gaps: places where bytes of a stream are missing in the capture.
    gaps,
    /// Bytes missing in gaps.
    gap_bytes,
    /// Bytes that came out of order and were buffered.
    bytes_held,
    /// Segments discarded because a buffer was full.
    segments_discarded,
    /// Segments whose numbers lie in no window of their connection, and that its peer did not confirm: they are ignored
    /// (RFC 9293 §3.10.7.4, RFC 5961). They are forged, or belong to another connection.
    segments_out_of_window,
    /// Bytes of handshakes that were sent again with another content: the first copy counts.
    conflicting_bytes,
    /// Packets not retained for `--save-failures`, because the packet buffer was full.
    packets_not_kept,
    /// Handshake messages discarded because they were too long.
    messages_discarded,
    /// Keys that were not guessed for packets like those of QUIC of an unknown version, because too many had opened nothing.
    quic_guesses_refused,
    /// Values of lists in ClientHellos that were not kept, because a list was too long.
    values_omitted,
    /// Chains validated. A chain seen again counts only if its result had left the cache or a validity date had passed.
    chains_judged,
    /// Signatures of certificates left unchecked, because their chain had used up the checks for one handshake.
    signatures_skipped,
    /// Issuers dropped because there were too many; chains can no longer be completed with them.
    issuers_forgotten,
    /// Servers forgotten because there were too many: what they accept no longer explains why they refuse another client.
    servers_forgotten,
    /// Handshakes reported.
    handshakes,
    /// Handshakes that completed.
    handshakes_succeeded,
    /// Handshakes that failed.
    handshakes_failed,
    /// Handshakes without a verdict.
    handshakes_unknown,
    /// Handshakes that were seen a second time, as with NAT or mirrored ports: they are not reported.
    handshakes_duplicated,
    /// Connections to TLS ports that did not become TLS.
    not_tls,
    /// Of these, connections on which the server offered TLS in plain text, and the client did not take it.
    starttls_not_taken,
    /// Such connections that were not reported, because TLS was seen on their port too late.
    not_tls_forgotten,
}

/// What an observer holds at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Load {
    /// TCP connections remembered.
    pub connections: u64,
    /// Handshakes without a verdict yet.
    pub handshakes: u64,
    /// Bytes of memory that connections and handshakes take.
    pub bytes: u64,
    /// Of these, bytes of handshakes without a verdict, and of packets retained for them.
    pub bytes_of_handshakes: u64,
    /// Bytes of segments that wait for what precedes them.
    pub bytes_of_segments: u64,
}

impl AddAssign for Load {
    fn add_assign(&mut self, other: Self) {
        self.connections += other.connections;
        self.handshakes += other.handshakes;
        self.bytes += other.bytes;
        self.bytes_of_handshakes += other.bytes_of_handshakes;
        self.bytes_of_segments += other.bytes_of_segments;
    }
}

/// How far a run has come, in packet time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The time of the newest packet, or of a quiet wire.
    pub now: Timestamp,
    /// When the oldest handshake without a verdict began. Events older than that are complete.
    pub oldest_open: Option<Timestamp>,
    /// Whether packets come as they are captured.
    pub is_live: bool,
}

impl Progress {
    /// The progress of a replay with no handshake open.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self {
            now,
            oldest_open: None,
            is_live: false,
        }
    }
}

/// The state of a live run, passed to sinks about once a second.
///
/// At the end of a run, the packets of [`Health::interfaces`] add up: those
/// received are those handled ([`Stats::packets`]) and those dropped at the queue.
/// Before the end, some are still queued.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// For each interface, in the order in which the user named them.
    pub interfaces: Vec<InterfaceHealth>,
    /// What was handled and discarded since the start.
    pub stats: Stats,
    /// What is held now.
    pub load: Load,
    /// How far the processes behind handshakes were found; `None` if they are not looked for.
    pub attribution: Option<AttributionCounts>,
}

/// Sockets of the observing host on which a ClientHello was sent, by what was found of their processes; all counters start at 0
/// and only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttributionCounts {
    /// The process was found.
    pub processes: u64,
    /// Only the control group was found: the container, or the unit.
    pub groups: u64,
    /// Gone when it was looked up: the connection was too short, or its socket is in another network namespace.
    pub gone: u64,
    /// The processes that may hold it belong to others, and tlscope may not look into them.
    pub denied: u64,
    /// Not looked up, or not to the end, because the budget of processor time was spent.
    pub over_budget: u64,
}

impl fmt::Display for AttributionCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "sockets of this host: process found for {}, only the control group for {}; {} gone, {} not permitted, {} over budget",
            self.processes, self.groups, self.gone, self.denied, self.over_budget
        )
    }
}

impl AttributionCounts {
    /// Each counter with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("process", self.processes),
            ("cgroup", self.groups),
            ("gone", self.gone),
            ("denied", self.denied),
            ("over_budget", self.over_budget),
        ]
        .into_iter()
    }
}

/// Packets received and lost on one interface; all counters start at 0 and only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InterfaceHealth {
    /// The interface's name.
    pub name: Arc<str>,
    /// Whether packets can be captured on it now.
    pub is_up: bool,
    /// Packets that the kernel handed over.
    pub packets: u64,
    /// Bytes captured of them.
    pub bytes: u64,
    /// Packets that the kernel dropped because its buffer was full.
    pub dropped_kernel: u64,
    /// Packets that the interface or its driver dropped.
    pub dropped_interface: u64,
    /// Packets, of those handed over, dropped because the workers were behind.
    pub dropped_queue: u64,
}

impl InterfaceHealth {
    /// Packets lost for any reason.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped_kernel + self.dropped_interface + self.dropped_queue
    }

    /// All packets on the interface: those handed over and those lost before.
    #[must_use]
    pub const fn seen(&self) -> u64 {
        self.packets + self.dropped_kernel + self.dropped_interface
    }
}

//! Which processes of the observing host hold the sockets of a handshake (Linux, without eBPF).
//!
//! ```text
//!  ClientHello ─▶ SocketFinder ══sockets══▶ ProcessFinder ══answers══▶ Answers ─▶ event
//!  (own capture)   sock_diag                 /proc, cgroups             joined at the conclusion
//! ```
//!
//! Two threads of their own do the work. Neither is on the way of packets: the pipeline takes from a bounded channel what they
//! found, once a handshake has its verdict. By then they have had the time of the handshake to answer.
//!
//! # Why a capture of its own?
//!
//! The kernel hands packets to the pipeline in blocks, up to a tenth of a second late. That saves processor time, and most
//! connections of a command such as curl are gone by then. `hellos` captures ClientHellos alone, a few milliseconds late.
//!
//! # Why two threads?
//!
//! The first parses packets, so it must not have privileges, and needs none: every process may look up sockets of its network
//! namespace. The second reads `/proc/PID/fd`, which belongs to other users and is closed to a Landlock sandbox. It sees numbers and
//! text of the kernel, and no packet.
//!
//! # Bounds
//!
//! Each thread has a `Budget` of processor time, and sleeps once that is spent: the second has what the first leaves of 0.9 % of a core. So
//! where there is no time for all processes, the control groups are still known, which the kernel names with the socket. What could not be asked is
//! counted: [`AttributionCounts`]. A process is only reported if it holds that very socket, by its inode.

#![allow(
    clippy::disallowed_methods,
    reason = "a live run reads the clock, and waits"
)]

mod answers;
mod budget;
mod cgroup;
mod cgroup_tree;
mod hellos;
mod local_addresses;
mod netlink;
mod process_finder;
mod sock_diag;
mod socket_finder;
mod sockets_of_processes;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::time::{ClockId, clock_gettime};

use crate::event::{Handshake, LocalProcess};
use crate::flow::{Endpoint, IpProtocol};
use crate::stats::AttributionCounts;
use crate::time::Timestamp;

use answers::Answers;
use hellos::Hellos;
use process_finder::ProcessFinder;
use sock_diag::{Socket, SocketDiagnosis};
use socket_finder::SocketFinder;

/// Handshakes on their way from one thread to the next: those of some seconds at the rate that the budget allows.
const UNDER_WAY: usize = 4096;

/// The capture of ClientHellos and the netlink sockets, opened with the privileges of the start.
pub struct Attribution {
    sockets: SocketFinder,
    processes: Option<ProcessFinder>,
    answers: Receiver<Answer>,
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
}

impl Attribution {
    /// Opens what the attribution of handshakes on `interfaces` needs; `filter` is the user's, in the language of tcpdump. This takes
    /// the privilege to capture.
    ///
    /// # Errors
    ///
    /// In words, if an interface cannot be captured on, or the kernel has no sock_diag.
    pub fn open(interfaces: &[String], filter: Option<&str>) -> Result<Self, String> {
        let stop = Arc::new(AtomicBool::new(false));
        let hellos = Hellos::open(interfaces, filter)?;
        let diagnosis = SocketDiagnosis::open()
            .map_err(|error| format!("cannot look up sockets (sock_diag): {error}"))?;
        let counters = Arc::new(Counters::default());
        let (found, located) = bounded(UNDER_WAY);
        let (answer, answers) = bounded(UNDER_WAY);
        let processes = ProcessFinder::new(located, answer, Arc::clone(&counters));
        let sockets = SocketFinder::new(
            hellos,
            diagnosis,
            found,
            Arc::clone(&counters),
            Arc::clone(&stop),
        );
        Ok(Self {
            sockets,
            processes: Some(processes),
            answers,
            counters,
            stop,
        })
    }

    /// Starts the thread that reads `/proc`. It calls `restrict` first, to give up the privileges of this thread that it does not
    /// need, and ends if that fails.
    ///
    /// # Errors
    ///
    /// When the system gives no more threads.
    pub fn start_processes(
        &mut self,
        restrict: impl FnOnce() -> bool + Send + 'static,
    ) -> io::Result<()> {
        let Some(processes) = self.processes.take() else {
            return Ok(());
        };
        let builder = std::thread::Builder::new().name("processes".to_owned());
        builder.spawn(move || {
            if restrict() {
                processes.run();
            }
        })?;
        Ok(())
    }

    /// Starts the thread that looks up sockets, with the privileges and restrictions of this one.
    ///
    /// # Errors
    ///
    /// When the system gives no more threads.
    pub fn start(mut self) -> io::Result<Attributor> {
        self.start_processes(|| true)?; // unless it has begun
        let sockets = self.sockets;
        let builder = std::thread::Builder::new().name("sockets".to_owned());
        builder.spawn(move || sockets.run())?;
        Ok(Attributor {
            answers: self.answers,
            known: Answers::default(),
            counters: self.counters,
            stop: self.stop,
        })
    }
}

/// What the threads found, for the events of a run. Dropping it stops the threads.
pub struct Attributor {
    answers: Receiver<Answer>,
    known: Answers,
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
}

impl Attributor {
    /// Adds to an event who holds its sockets, as far as that is known by now.
    pub fn attribute(&mut self, event: &mut Handshake) {
        self.collect();
        if let Some(answer) = self.known.take(event) {
            event.client_process = answer.client;
            event.server_process = answer.server;
        }
    }

    /// Takes what the threads have found. Without handshakes that end, the channel would fill up.
    pub fn collect(&mut self) {
        while let Ok(answer) = self.answers.try_recv() {
            self.known.insert(answer);
        }
    }

    /// What was asked and found so far.
    #[must_use]
    pub fn counts(&self) -> AttributionCounts {
        self.counters.read()
    }
}

impl Drop for Attributor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A ClientHello on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hello {
    at: Timestamp,
    protocol: IpProtocol,
    client: Endpoint,
    server: Endpoint,
}

/// A ClientHello, and the sockets of this host between which it was sent.
#[derive(Clone, Copy, Debug)]
struct Located {
    hello: Hello,
    client: Option<Socket>,
    server: Option<Socket>,
}

/// A ClientHello, and who holds the sockets.
#[derive(Clone, Debug)]
struct Answer {
    hello: Hello,
    client: Option<Box<LocalProcess>>,
    server: Option<Box<LocalProcess>>,
}

/// [`AttributionCounts`] as the threads count.
#[derive(Debug, Default)]
struct Counters {
    processes: AtomicU64,
    groups: AtomicU64,
    gone: AtomicU64,
    denied: AtomicU64,
    over_budget: AtomicU64,
    /// Nanoseconds of processor time that the thread which looks up sockets has used.
    spent_on_sockets: AtomicU64,
    /// Whether a socket's control group had a name.
    names_groups: AtomicBool,
}

impl Counters {
    fn spent_on_sockets(&self) -> Duration {
        Duration::from_nanos(self.spent_on_sockets.load(Ordering::Relaxed))
    }

    fn read(&self) -> AttributionCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        AttributionCounts {
            processes: read(&self.processes),
            groups: read(&self.groups),
            gone: read(&self.gone),
            denied: read(&self.denied),
            over_budget: read(&self.over_budget),
        }
    }
}

/// Counts one, or several.
fn count(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Ordering::Relaxed);
}

/// Sends without waiting, and counts what found no room.
fn hand_over<T>(to: &Sender<T>, what: T, sockets: u64, counters: &Counters) {
    if to.try_send(what).is_err() {
        count(&counters.over_budget, sockets);
    }
}

/// Processor time that this thread has used.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

//! From a handshake that is over to its report: the same for all transports.

use crate::event::{Handshake, HandshakeReport, Identity, Outcome, UnknownBecause};
use crate::handshake::{End, KeyUse, Origin, ReportCaches, Tracker, add_dialogue};
use crate::stats::Stats;
use crate::time::Timestamp;

use super::Config;
use super::flow::{Open, Spares};
use super::retained::RetainedPackets;
use super::shard::ShardOutput;
use super::worker::{Made, Numbered};

/// Makes reports as the user wants them, and counts them.
pub(super) struct Conclusion<'c> {
    pub(super) config: &'c Config,
    pub(super) stats: &'c mut Stats,
}

/// A handshake of which no more will be looked at, apart from what its tracker holds.
#[derive(Debug)]
pub(super) struct Concluded {
    pub(super) end: End,
    pub(super) origin: Origin,
    /// By what copies are recognised.
    pub(super) identity: Identity,
    /// Its packets, where they are retained.
    pub(super) retained: Option<RetainedPackets>,
}

/// A table of what is under way apart from TCP, which is reported as it stands when the capture ends.
pub(super) trait Unfinished {
    /// Where one of them is in the table.
    type Place: Copy;

    /// Bytes of memory that it takes.
    fn allocated(&self) -> usize;

    /// The one to report next; `None` if there is none.
    fn next(&mut self) -> Option<Self::Place>;

    /// Reports one, and takes it out of the table.
    fn remove(
        &mut self,
        place: Self::Place,
        end: End,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    );

    /// Reports one of those that are left. False if there is none.
    fn finish_one(
        &mut self,
        now: Timestamp,
        conclusion: &mut Conclusion<'_>,
        output: &mut ShardOutput<'_>,
    ) -> bool {
        let next = self.next();
        if let Some(place) = next {
            self.remove(place, End::CaptureEnd, now, conclusion, output);
        }
        next.is_some()
    }
}

/// Handshakes over TCP that are over, and whose reports are still to be made.
///
/// Some are made at a time. The code that makes a report is larger than the processor's first cache, and so is the code that follows
/// packets: where the two took turns for each handshake, they displaced each other, and a third of all misses was due to that.
#[derive(Debug, Default)]
pub(super) struct Unreported {
    handshakes: Vec<(u32, Box<Open>, Concluded)>,
    stats: Stats,
}

/// Handshakes whose reports are made together: of more, what they hold would not stay in the cache.
const TOGETHER: usize = 16;

impl Unreported {
    /// Adds a handshake that ended in the step with this number; true if there are enough.
    pub(super) fn add(&mut self, step: u32, open: Box<Open>, concluded: Concluded) -> bool {
        self.handshakes.push((step, open, concluded));
        self.handshakes.len() >= TOGETHER
    }

    /// Makes the reports, and adds them to `made`.
    pub(super) fn report(
        &mut self,
        config: &Config,
        caches: &mut ReportCaches,
        spares: &mut Spares,
        made: &mut Vec<Numbered>,
    ) {
        let Self { handshakes, stats } = self;
        let mut conclusion = Conclusion { config, stats };
        for (step, mut open, concluded) in handshakes.drain(..) {
            let report = conclusion.make(&mut open.connection, concluded, caches);
            if let Some(mut report) = report {
                add_dialogue(&mut report, &mut open.dialogue);
                made.push((step, Made::Handshake(report)));
            }
            spares.keep(open, &config.keys);
        }
    }

    /// What was counted while the reports were made.
    pub(super) const fn stats(&self) -> Stats {
        self.stats
    }
}

impl Conclusion<'_> {
    /// Reports a handshake, if there was one.
    pub(super) fn report(
        &mut self,
        tracker: &mut Tracker,
        concluded: Concluded,
        output: &mut ShardOutput<'_>,
    ) {
        let report = self.make(tracker, concluded, output.caches);
        if let Some(report) = report {
            output.add(Made::Handshake(report));
        }
    }

    /// The report on a handshake; `None` if there was none.
    fn make(
        &mut self,
        tracker: &mut Tracker,
        concluded: Concluded,
        caches: &mut ReportCaches,
    ) -> Option<Box<HandshakeReport>> {
        if self.config.keys.is_growing() {
            tracker.retire_secrets();
        }
        let Concluded {
            end,
            origin,
            identity,
            retained,
        } = concluded;
        self.stats.values_omitted += tracker.values_omitted();
        let report = tracker.report(end, origin, &self.config.report, caches);
        self.stats.messages_discarded += tracker.take_discarded_messages();
        self.count_key_use(tracker.key_use());
        self.stats.connections_tls += u64::from(report.is_some());
        let mut report = report?;
        let is_given_up = report.event.unknown_because == Some(UnknownBecause::Evicted);
        self.stats.handshakes_not_judged += u64::from(is_given_up);
        report.identity = identity;
        report.ladder = tracker.take_ladder();
        report.packets = retained
            .filter(|_| may_be_evidence(&report.event))
            .map(RetainedPackets::into_packets);
        Some(report)
    }

    fn count_key_use(&mut self, key_use: Option<KeyUse>) {
        let counter = match key_use {
            Some(KeyUse::Fits) => &mut self.stats.connections_decrypted,
            Some(KeyUse::Missing) => &mut self.stats.connections_keys_missing,
            Some(KeyUse::Wrong) => &mut self.stats.connections_keys_wrong,
            Some(KeyUse::Unsupported) => &mut self.stats.connections_keys_unsupported,
            None => return,
        };
        *counter += 1;
    }
}

/// Whether the packets of a handshake show a failure, or a refusal after it. Of a connection that was not used, what is known of the certificates
/// decides later whether it was refused.
fn may_be_evidence(event: &Handshake) -> bool {
    event.outcome == Outcome::Failure
        || event.rejected_after.is_some()
        || event.tls.unused == Some(true)
}

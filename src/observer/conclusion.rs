//! From a handshake that is over to its report: the same for all transports.

use crate::event::{Handshake, Identity, Outcome, UnknownBecause};
use crate::handshake::{End, KeyUse, Origin, Tracker};
use crate::stats::Stats;
use crate::time::Timestamp;

use super::Config;
use super::retained::RetainedPackets;
use super::shard::ShardOutput;

/// Makes reports as the user wants them, and counts them.
pub(super) struct Conclusion<'c> {
    pub(super) config: &'c Config,
    pub(super) stats: &'c mut Stats,
}

/// A handshake of which no more will be looked at, apart from what its tracker holds.
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

impl Conclusion<'_> {
    /// Reports a handshake, if there was one.
    pub(super) fn report(
        &mut self,
        tracker: &mut Tracker,
        concluded: Concluded,
        output: &mut ShardOutput<'_>,
    ) {
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
        let report = tracker.report(end, origin, &self.config.report, output.caches);
        self.stats.messages_discarded += tracker.take_discarded_messages();
        self.count_key_use(tracker.key_use());
        self.stats.connections_tls += u64::from(report.is_some());
        let Some(mut report) = report else {
            return;
        };
        let is_given_up = report.event.unknown_because == Some(UnknownBecause::Evicted);
        self.stats.handshakes_not_judged += u64::from(is_given_up);
        report.identity = identity;
        report.ladder = tracker.take_ladder();
        report.packets = retained
            .filter(|_| may_be_evidence(&report.event))
            .map(RetainedPackets::into_packets);
        output.reports.push_back(report);
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

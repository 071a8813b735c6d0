//! Puts the workers' events in order, and validates the chains they show, in that order.

use crate::certificate::Trust;
use crate::event::Report;
use crate::handshake::Validator;
use crate::stats::Stats;

use super::worker::Numbered;

/// Where the reports of all workers meet.
#[derive(Debug)]
pub(crate) struct Collector {
    validator: Validator,
}

impl Collector {
    pub(crate) fn new(trust: &Trust) -> Self {
        Self {
            validator: Validator::new(trust),
        }
    }

    /// Empties `reports`, which are all of one batch, in the order that does not depend on the number of workers.
    ///
    /// Events of one step (a tick, the end of the capture) happen at the same time in all
    /// shards: their own time and place in the capture order them.
    pub(crate) fn collect<'c>(
        &'c mut self,
        reports: &'c mut Vec<Numbered>,
    ) -> impl Iterator<Item = Report> + 'c {
        reports.sort_by_key(|(step, Report { event, .. })| {
            (*step, event.time, event.capture.first_packet, event.flow_id)
        });
        reports.drain(..).map(|(_, mut report)| {
            self.validator.handle_event(&mut report.event);
            report
        })
    }

    pub(crate) fn stats(&self) -> Stats {
        self.validator.stats()
    }
}

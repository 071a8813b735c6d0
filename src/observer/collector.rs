//! Puts the workers' events in order, and validates the chains they show, in that order.

use crate::certificate::Trust;
use crate::event::Handshake;
use crate::handshake::Validator;
use crate::stats::Stats;

use super::worker::Numbered;

/// Where the events of all workers meet.
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

    /// Takes all events of one batch; returns them in the order that does not depend on the number of workers.
    ///
    /// Events of one step (a tick, the end of the capture) happen at the same time in all
    /// shards: their own time and place in the capture order them.
    pub(crate) fn collect(
        &mut self,
        mut events: Vec<Numbered>,
    ) -> impl Iterator<Item = Handshake> + '_ {
        events.sort_by_key(|(step, event)| {
            (*step, event.time, event.capture.first_packet, event.flow_id)
        });
        events.into_iter().map(|(_, mut event)| {
            self.validator.handle_event(&mut event);
            event
        })
    }

    pub(crate) fn stats(&self) -> Stats {
        self.validator.stats()
    }
}

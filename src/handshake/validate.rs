//! Validates the certificate chains of events against the trusted roots.

use crate::certificate::{ChainValidator, Trust};
use crate::event::Handshake;
use crate::flow::Side;
use crate::stats::Stats;

use super::explain;

/// Adds to events the findings on the chains that peers showed; those on dates and names are there already.
///
/// One for a whole run, behind the point where events are in order: a chain may be
/// completed with certificates from an earlier one, and the result must not depend on
/// the number of threads.
#[derive(Debug)]
pub(crate) struct Validator {
    chains: ChainValidator,
}

impl Validator {
    pub(crate) fn new(trust: &Trust) -> Self {
        Self {
            chains: ChainValidator::new(trust),
        }
    }

    /// Counts of what was validated, and of what a limit discarded.
    pub(crate) fn stats(&self) -> Stats {
        self.chains.stats()
    }

    /// Validates the chains of both sides, and adds what they explain of a refusal to its error.
    pub(crate) fn handle_event(&mut self, event: &mut Handshake) {
        for side in [Side::Server, Side::Client] {
            let chain = match side {
                Side::Server => &event.server_certificates,
                Side::Client => &event.client_certificates,
            };
            let Some(chain) = chain.as_ref().filter(|chain| !chain.is_empty()) else {
                continue;
            };
            let validation = self.chains.validate(chain, side, event.judged_at);
            self.chains.learn(chain);
            event
                .validation
                .retain(|finding| finding.side != side || !validation.excuses(finding));
            event.validation.extend(validation.findings.iter().cloned());
            event.notes.extend(validation.notes.iter().cloned());
        }
        event
            .validation
            .sort_by_key(|finding| finding.side == Side::Client); // stable: dates and names come first
        explain::after_validation(event, self.chains.origin());
    }
}

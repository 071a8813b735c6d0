//! What needs all events of the run in order: chains are validated, and failures explained by other handshakes.

use crate::certificate::{ChainValidator, Trust};
use crate::event::Handshake;
use crate::flow::Side;
use crate::stats::Stats;

use super::known_servers::KnownServers;
use super::unusual::UnusualCertificates;
use super::{explain, hint};

/// Adds to events the findings on the chains that peers showed; those on dates and names are there already.
///
/// One for a whole run, behind the point where events are in order: a chain may be
/// completed with certificates from an earlier one, and the result must not depend on
/// the number of threads.
#[derive(Debug)]
pub(crate) struct Validator {
    chains: ChainValidator,
    servers: KnownServers,
    unusual: UnusualCertificates,
    signatures_skipped: u64,
}

impl Validator {
    pub(crate) fn new(trust: &Trust) -> Self {
        Self {
            chains: ChainValidator::new(trust),
            servers: KnownServers::default(),
            unusual: UnusualCertificates::default(),
            signatures_skipped: 0,
        }
    }

    /// Counts of what was validated, and of what a limit discarded.
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            servers_forgotten: self.servers.forgotten,
            signatures_skipped: self.signatures_skipped,
            ..self.chains.stats()
        }
    }

    /// Validates the chains of both sides. Adds what they, and other handshakes with the server, explain of a failure to its
    /// error, and the next step.
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
            self.signatures_skipped += validation.signatures_skipped;
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
        self.unusual.note(event);
        let known = self.servers.get(event.server);
        explain::after_validation(event, self.chains.origin(), known);
        if event.error.is_some() {
            let next_step = hint::next_step(event, known, self.chains.origin());
            if let (Some(error), Some(next_step)) = (&mut event.error, next_step) {
                error.hint = Some(next_step);
            }
        }
        if event.rejected_after.is_some() {
            let next_step = hint::after_refusal(event, self.chains.origin());
            if let Some(rejected) = &mut event.rejected_after {
                rejected.hint = next_step;
            }
        }
        self.servers.learn(event);
    }
}

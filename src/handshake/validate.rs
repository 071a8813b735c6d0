//! Certificates held against the roots, event by event in the order in which they are told.

use crate::certificate::{ChainJudge, Trust};
use crate::event::{Handshake, Side};
use crate::stats::Stats;

use super::cause;

/// Adds to events what is wrong with the chains shown beside dates and names.
///
/// One for a whole run, behind the point where events are in order: what a chain
/// lacks may be completed from one shown before, however many threads took part.
#[derive(Debug)]
pub(crate) struct Judge {
    chains: ChainJudge,
}

impl Judge {
    pub(crate) fn new(trust: &Trust) -> Self {
        Self {
            chains: ChainJudge::new(trust),
        }
    }

    /// What was judged, and what a bound discarded.
    pub(crate) fn stats(&self) -> Stats {
        self.chains.stats()
    }

    /// Judges the chains of both sides, and says of a refusal what they explain of it.
    pub(crate) fn handle_event(&mut self, event: &mut Handshake) {
        for side in [Side::Server, Side::Client] {
            let chain = match side {
                Side::Server => &event.server_certificates,
                Side::Client => &event.client_certificates,
            };
            let Some(chain) = chain.as_ref().filter(|chain| !chain.is_empty()) else {
                continue;
            };
            let judgement = self.chains.judge(chain, side, event.judged_at);
            self.chains.learn(chain);
            event
                .validation
                .retain(|finding| finding.side != side || !judgement.excuses(finding));
            event.validation.extend(judgement.findings.iter().cloned());
            event.notes.extend(judgement.notes.iter().cloned());
        }
        event
            .validation
            .sort_by_key(|finding| finding.side == Side::Client); // stable: dates and names come first
        if let Some(error) = &mut event.error {
            cause::explain_refusal(error, &event.validation, self.chains.origin());
            let asked_for = event.tls.certificate_authorities.as_deref();
            let shown = event.client_certificates.as_deref();
            cause::explain_request(
                error,
                asked_for.unwrap_or_default(),
                shown.unwrap_or_default(),
            );
        }
    }
}

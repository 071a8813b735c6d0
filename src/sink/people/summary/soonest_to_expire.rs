//! The certificates that are the next to expire.

use std::collections::BTreeMap;

use crate::certificate::{Certificate, CertificateRole, CertificateTime};
use crate::event::{CertificateChain, Handshake, Side};

/// The soonest to expire of all distinct certificates shown.
///
/// Holds only `limit` of them. A certificate that was displaced can never come back, since
/// the latest expiry in the table only gets earlier, so the counts are exact.
#[derive(Debug)]
pub(in crate::sink::people) struct SoonestToExpire {
    limit: usize,
    certificates: BTreeMap<ExpiryKey, ExpiringCertificate>,
}

/// End of validity and SHA-256: the order of the table, and what makes certificates distinct.
type ExpiryKey = (CertificateTime, [u8; 32]);

/// What the table shows of a certificate.
#[derive(Debug)]
pub(in crate::sink::people) struct ExpiringCertificate {
    pub(in crate::sink::people) name: String,
    pub(in crate::sink::people) issuer: String,
    pub(in crate::sink::people) role: CertificateRole,
    pub(in crate::sink::people) times: u64,
}

impl SoonestToExpire {
    pub(in crate::sink::people) fn new(limit: usize) -> Self {
        let certificates = BTreeMap::new();
        Self {
            limit,
            certificates,
        }
    }

    /// Records the chains of both sides.
    pub(in crate::sink::people) fn record(&mut self, event: &Handshake) {
        self.record_chain(&event.server_certificates, Side::Server);
        self.record_chain(&event.client_certificates, Side::Client);
    }

    /// Each certificate with its end of validity, the soonest first.
    pub(in crate::sink::people) fn iter(
        &self,
    ) -> impl Iterator<Item = (CertificateTime, &ExpiringCertificate)> {
        self.certificates
            .iter()
            .map(|(&(not_after, _), shown)| (not_after, shown))
    }

    fn record_chain(&mut self, chain: &Option<CertificateChain>, side: Side) {
        let chain = chain.as_deref().unwrap_or_default();
        for (position, certificate) in chain.iter().enumerate() {
            let mut earlier = chain.iter().take(position);
            // A chain that repeats a certificate shows it once.
            if earlier.all(|other| other.sha256 != certificate.sha256) {
                self.record_certificate(certificate, position, side);
            }
        }
    }

    fn record_certificate(&mut self, certificate: &Certificate, position: usize, side: Side) {
        let Ok(facts) = &certificate.facts else {
            return;
        };
        let key = (facts.not_after, certificate.sha256);
        let full = self.certificates.len() >= self.limit;
        if full
            && self
                .certificates
                .last_key_value()
                .is_some_and(|(last, _)| key > *last)
        {
            return;
        }
        let shown = self
            .certificates
            .entry(key)
            .or_insert_with(|| ExpiringCertificate {
                name: facts.identity().into_owned(),
                issuer: facts
                    .issuer_common_name
                    .as_ref()
                    .unwrap_or(&facts.issuer)
                    .clone(),
                role: CertificateRole::new(side, position, facts.self_signed),
                times: 0,
            });
        shown.times += 1;
        if self.certificates.len() > self.limit {
            self.certificates.pop_last();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::sink::test_events;

    fn event_showing(not_after: &[i64]) -> Handshake {
        let certificate = |&not_after: &i64| {
            let mut facts = test_events::leaf();
            facts.not_after = CertificateTime(not_after);
            let sha256 = [not_after as u8; 32];
            Arc::new(Certificate {
                der: Box::default(),
                sha256,
                facts: Ok(facts),
            })
        };
        let mut event = test_events::completed();
        event.server_certificates = Some(not_after.iter().map(certificate).collect());
        event
    }

    #[test]
    fn keeps_the_soonest_and_counts_them_from_the_first() {
        let mut table = SoonestToExpire::new(3);
        for chain in [[9, 8, 7], [1, 9, 8], [2, 1, 9], [1, 1, 1]] {
            table.record(&event_showing(&chain));
        }
        let found: Vec<_> = table
            .iter()
            .map(|(at, shown)| (at.0, shown.times))
            .collect();
        assert_eq!(found, [(1, 3), (2, 1), (7, 1)]);
    }

    #[test]
    fn distinguishes_leaf_and_issuers() {
        let mut table = SoonestToExpire::new(3);
        table.record(&event_showing(&[1, 2]));
        let roles: Vec<_> = table.iter().map(|(_, shown)| shown.role.as_str()).collect();
        assert_eq!(roles, ["server", "intermediate"]);
    }

    #[test]
    fn leaves_out_certificates_that_do_not_parse() {
        let mut table = SoonestToExpire::new(3);
        table.record(&test_events::with_a_broken_certificate());
        assert_eq!(table.iter().count(), 0);
    }
}

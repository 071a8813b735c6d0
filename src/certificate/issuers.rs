//! Issuers seen in handshakes, to complete chains that lack one.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::{Certificate, CertificateChain};

/// Subjects that are remembered: public authorities have some 2,000 intermediates, and a network sees tens of them.
const MAX_SUBJECTS: usize = 1024;

/// Certificates with the same subject: a renewed issuer, or one that several roots have signed.
const MAX_PER_SUBJECT: usize = 4;

/// Size of the largest certificate that is remembered; issuers' have 1 to 2 KB.
const MAX_BYTES: usize = 4096;

/// A bounded table of CA certificates by subject; the oldest subject is evicted first.
#[derive(Debug, Default)]
pub(super) struct Issuers {
    by_subject: HashMap<String, Vec<Arc<Certificate>>>,
    oldest: VecDeque<String>,
    /// Subjects that were evicted.
    pub(super) forgotten: u64,
}

impl Issuers {
    /// Remembers the issuers in a chain.
    pub(super) fn learn(&mut self, chain: &CertificateChain) {
        for certificate in chain.iter().skip(1) {
            let Ok(facts) = &certificate.facts else {
                continue;
            };
            // A root does not complete a chain: it is trusted already, or seeing it is no reason to.
            let is_intermediate = facts.is_ca && facts.subject != facts.issuer;
            if is_intermediate && certificate.der.len() <= MAX_BYTES {
                self.insert(&facts.subject, certificate);
            }
        }
    }

    /// The certificates with this subject.
    pub(super) fn named(&self, subject: &str) -> &[Arc<Certificate>] {
        self.by_subject.get(subject).map_or(&[], Vec::as_slice)
    }

    fn insert(&mut self, subject: &str, certificate: &Arc<Certificate>) {
        match self.by_subject.get_mut(subject) {
            Some(known) => {
                let is_known = known.iter().any(|known| known.sha256 == certificate.sha256);
                if is_known || known.len() >= MAX_PER_SUBJECT {
                    return;
                }
                known.push(Arc::clone(certificate));
            }
            None => {
                if self.oldest.len() >= MAX_SUBJECTS
                    && let Some(oldest) = self.oldest.pop_front()
                {
                    self.by_subject.remove(&oldest);
                    self.forgotten += 1;
                }
                self.oldest.push_back(subject.to_owned());
                self.by_subject
                    .insert(subject.to_owned(), vec![Arc::clone(certificate)]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::support::{Template, common_name, element, extension};
    use super::*;

    fn issuer(name: &str, serial: u8) -> Arc<Certificate> {
        let constraints = element(0x30, &[0x01, 0x01, 0xff]);
        Arc::new(
            Template {
                serial: vec![serial],
                subject: common_name(name),
                extensions: vec![extension("2.5.29.19", &constraints)],
                ..Template::default()
            }
            .certificate(),
        )
    }

    fn leaf() -> Arc<Certificate> {
        Arc::new(Template::default().certificate())
    }

    #[test]
    fn issuers_are_found_by_name_and_leaves_are_not() {
        let mut issuers = Issuers::default();
        issuers.learn(&Arc::from([issuer("first", 1), issuer("a", 1), leaf()]));
        assert_eq!(issuers.named("CN=a").len(), 1);
        assert_eq!(issuers.named("CN=first").len(), 0); // it was shown as a leaf
        assert_eq!(issuers.named("CN=leaf").len(), 0);
        issuers.learn(&Arc::from([leaf(), issuer("a", 1)]));
        assert_eq!(issuers.named("CN=a").len(), 1);
    }

    #[test]
    fn both_limits_are_enforced() {
        let mut issuers = Issuers::default();
        for serial in 0..10 {
            issuers.learn(&Arc::from([leaf(), issuer("many", serial)]));
        }
        assert_eq!(issuers.named("CN=many").len(), MAX_PER_SUBJECT);
        for index in 0..MAX_SUBJECTS {
            issuers.learn(&Arc::from([leaf(), issuer(&index.to_string(), 1)]));
        }
        assert_eq!(issuers.by_subject.len(), MAX_SUBJECTS);
        assert_eq!(issuers.named("CN=many").len(), 0);
        assert_eq!(issuers.forgotten, 1);
        assert_eq!(issuers.named("CN=0").len(), 1);
    }
}

//! Issuers that handshakes showed, so that a chain that lacks one can be completed.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::{Certificate, CertificateChain};

/// Names of issuers that are remembered: public authorities have some 2,000 intermediates, a network sees tens.
const MAX_NAMES: usize = 1024;

/// Certificates of one name: an issuer renewed, or signed by several roots.
const MAX_OF_A_NAME: usize = 4;

/// The largest certificate remembered; those of issuers have 1 to 2 KB.
const MAX_BYTES: usize = 4096;

/// A bounded table of certificates of CAs by subject; the oldest name makes room.
#[derive(Debug, Default)]
pub(super) struct Issuers {
    by_subject: HashMap<String, Vec<Arc<Certificate>>>,
    oldest: VecDeque<String>,
    /// Names that made room.
    pub(super) forgotten: u64,
}

impl Issuers {
    /// Remembers the issuers in a chain.
    pub(super) fn learn(&mut self, chain: &CertificateChain) {
        for certificate in chain.iter().skip(1) {
            let Ok(facts) = &certificate.facts else {
                continue;
            };
            // A root that is shown is no more trusted for that, and completes nothing.
            let is_of_use = facts.is_ca && facts.subject != facts.issuer;
            if is_of_use && certificate.der.len() <= MAX_BYTES {
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
                if is_known || known.len() >= MAX_OF_A_NAME {
                    return;
                }
                known.push(Arc::clone(certificate));
            }
            None => {
                if self.oldest.len() >= MAX_NAMES
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
    fn both_bounds_hold() {
        let mut issuers = Issuers::default();
        for serial in 0..10 {
            issuers.learn(&Arc::from([leaf(), issuer("many", serial)]));
        }
        assert_eq!(issuers.named("CN=many").len(), MAX_OF_A_NAME);
        for index in 0..MAX_NAMES {
            issuers.learn(&Arc::from([leaf(), issuer(&index.to_string(), 1)]));
        }
        assert_eq!(issuers.by_subject.len(), MAX_NAMES);
        assert_eq!(issuers.named("CN=many").len(), 0);
        assert_eq!(issuers.forgotten, 1);
        assert_eq!(issuers.named("CN=0").len(), 1);
    }
}

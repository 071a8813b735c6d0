//! The certificates shown: the bounded table behind the certificate gauges.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;

use super::heavy_hitters::label;
use crate::certificate::{Certificate, CertificateFacts, CertificateRole, CertificateTime, Expiry};
use crate::event::{Handshake, Side};
use crate::time::Timestamp;

/// Most certificates. A series costs about a kilobyte here and more in every store behind
/// the collector. With more certificates than this in use, those that expire first matter most.
pub(crate) const MAX_CERTIFICATES: usize = 10_000;

/// How far a tick may be behind packet time before it means that the clock was set back.
const SET_BACK: Duration = Duration::from_secs(60);

/// The certificates shown so far, earliest expiry first.
#[derive(Debug)]
pub(crate) struct CertificateTable {
    shown: BTreeMap<TableKey, ShownCertificate>,
    judged_at: Timestamp,
    /// Packet time, as far as it has come.
    now: Timestamp,
    capacity: usize,
    /// How long a certificate stays after it was last shown; `None` for ever.
    memory: Option<Duration>,
}

#[derive(Debug)]
struct ShownCertificate {
    attributes: Arc<[KeyValue]>,
    /// When it was shown last.
    last: Timestamp,
}

/// Orders by expiry; the other fields distinguish certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct TableKey {
    not_after: CertificateTime,
    sha256: [u8; 32],
    role: CertificateRole,
}

/// One certificate for the gauges.
#[derive(Clone, Debug)]
pub(crate) struct CertificateObservation {
    pub(crate) not_after: CertificateTime,
    /// Negative once expired.
    pub(crate) days_until_expiry: f64,
    pub(crate) attributes: Arc<[KeyValue]>,
}

impl CertificateObservation {
    pub(crate) fn new(
        not_after: CertificateTime,
        now: Timestamp,
        attributes: &Arc<[KeyValue]>,
    ) -> Self {
        Self {
            not_after,
            days_until_expiry: Expiry::new(not_after, now).days(),
            attributes: Arc::clone(attributes),
        }
    }
}

impl CertificateTable {
    pub(crate) const fn new(capacity: usize, memory: Option<Duration>) -> Self {
        Self {
            shown: BTreeMap::new(),
            judged_at: Timestamp::MIN,
            now: Timestamp::MIN,
            capacity,
            memory,
        }
    }

    /// Notes that it is `now`: days pass, and certificates are dropped, even while none is shown.
    ///
    /// A clock that is set back was wrong before, so its time is discarded.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        let behind = self.now.checked_since(now);
        if behind.is_some_and(|behind| behind > SET_BACK) {
            (self.now, self.judged_at) = (now, now);
        }
        self.now = self.now.max(now);
        self.judged_at = self.judged_at.max(now);
    }

    /// Records the certificates that both sides of `event` showed.
    pub(crate) fn record(&mut self, event: &Handshake) {
        self.judged_at = self.judged_at.max(event.judged_at);
        self.now = self.now.max(event.time);
        let server = (Side::Server, &event.server_certificates);
        let client = (Side::Client, &event.client_certificates);
        for (side, chain) in [server, client] {
            for (position, certificate) in chain.iter().flat_map(|chain| chain.iter()).enumerate() {
                self.insert(certificate, side, position, event.time);
            }
        }
    }

    /// Every certificate, latest expiry first: of two with the same attributes the gauge
    /// keeps the last value, which must be the earlier expiry.
    pub(crate) fn observe(&mut self) -> Vec<CertificateObservation> {
        self.forget();
        let latest_first = self.shown.iter().rev();
        latest_first
            .map(|(entry, shown)| {
                CertificateObservation::new(entry.not_after, self.judged_at, &shown.attributes)
            })
            .collect()
    }

    fn forget(&mut self) {
        let (Some(memory), now) = (self.memory, self.now) else {
            return;
        };
        self.shown.retain(|_, shown| {
            now.checked_since(shown.last)
                .is_none_or(|age| age <= memory)
        });
    }

    fn insert(&mut self, certificate: &Certificate, side: Side, position: usize, time: Timestamp) {
        let Ok(facts) = &certificate.facts else {
            return;
        };
        let entry = TableKey {
            not_after: facts.not_after,
            sha256: certificate.sha256,
            role: CertificateRole::new(side, position, facts.self_signed),
        };
        if let Some(shown) = self.shown.get_mut(&entry) {
            shown.last = shown.last.max(time);
            return;
        }
        if self.shown.len() >= self.capacity {
            if self
                .shown
                .last_key_value()
                .is_none_or(|(last, _)| *last < entry)
            {
                return;
            }
            self.shown.pop_last();
        }
        let shown = ShownCertificate {
            attributes: attributes(facts, entry.role.as_str(), None),
            last: time,
        };
        self.shown.insert(entry, shown);
    }
}

/// The attributes of a certificate; `path` is the file that contains it. Sorted by key,
/// since the SDK stores an unsorted list twice.
pub(crate) fn attributes(
    facts: &CertificateFacts,
    role: &'static str,
    path: Option<&str>,
) -> Arc<[KeyValue]> {
    let attributes = [
        Some(KeyValue::new("certificate.issuer", label(issuer(facts)))),
        path.map(|path| KeyValue::new("certificate.path", label(path))),
        Some(KeyValue::new("certificate.role", role)),
        Some(KeyValue::new("certificate.serial", label(&facts.serial))),
        Some(KeyValue::new("certificate.subject", label(&subject(facts)))),
    ];
    attributes.into_iter().flatten().collect()
}

/// The common name; without one the identity, since neither public CAs nor SPIFFE need a subject.
pub(crate) fn subject(facts: &CertificateFacts) -> Cow<'_, str> {
    let name = facts.common_name.as_deref();
    let name = name.filter(|name| !name.trim().is_empty());
    name.map_or_else(|| facts.identity(), Cow::Borrowed)
}

/// The common name of the issuer, or else all of its name.
pub(crate) fn issuer(facts: &CertificateFacts) -> &str {
    facts.issuer_common_name.as_ref().unwrap_or(&facts.issuer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::testing::{certificate, handshake};

    fn text(observation: &CertificateObservation, key: &str) -> String {
        let mut attributes = observation.attributes.iter();
        let found = attributes.find(|attribute| attribute.key.as_str() == key);
        found.unwrap().value.to_string()
    }

    fn subjects(table: &mut CertificateTable) -> Vec<String> {
        let observations = table.observe();
        let texts = observations.iter().map(|o| text(o, "certificate.subject"));
        texts.collect()
    }

    #[test]
    fn a_certificate_has_the_role_it_was_shown_in() {
        let mut event = handshake();
        let mut root = certificate("root", 3);
        root.facts.as_mut().unwrap().self_signed = true;
        let server = [certificate("leaf", 1), certificate("issuing", 2), root];
        event.server_certificates = Some(server.map(Arc::new).into());
        event.client_certificates = Some([certificate("leaf", 1)].map(Arc::new).into());
        let mut table = CertificateTable::new(9, None);
        table.record(&event);
        table.record(&event);
        let observations = table.observe();
        let roles = observations.iter().map(|o| text(o, "certificate.role"));
        assert_eq!(
            roles.collect::<Vec<_>>(),
            ["root", "intermediate", "client", "server"]
        );
    }

    #[test]
    fn days_are_counted_from_the_latest_validation_and_become_negative() {
        let mut table = CertificateTable::new(9, None);
        let mut event = handshake();
        event.server_certificates = Some([certificate("a", 86_400)].map(Arc::new).into());
        let days = |table: &mut CertificateTable| table.observe()[0].days_until_expiry;
        event.judged_at = Timestamp::from_seconds(43_200);
        table.record(&event);
        assert_eq!(days(&mut table), 0.5);
        event.judged_at = Timestamp::from_seconds(3 * 86_400);
        table.record(&event);
        assert_eq!(days(&mut table), -2.0);
        event.judged_at = Timestamp::from_seconds(0);
        table.record(&event);
        assert_eq!(days(&mut table), -2.0, "merged captures run backwards");
    }

    #[test]
    fn days_pass_while_no_certificate_is_shown() {
        let mut table = CertificateTable::new(9, None);
        let mut event = handshake();
        event.server_certificates = Some([certificate("a", 86_400)].map(Arc::new).into());
        table.record(&event);
        table.tick(Timestamp::from_seconds(43_200));
        assert_eq!(table.observe()[0].days_until_expiry, 0.5);
    }

    #[test]
    fn a_clock_that_was_ahead_does_no_harm_once_it_is_set() {
        let mut table = CertificateTable::new(9, Some(Duration::from_secs(100)));
        let mut event = handshake();
        event.time = Timestamp::from_seconds(1_000_000);
        event.judged_at = event.time;
        table.record(&event);
        table.tick(Timestamp::from_seconds(43_200));
        event.time = Timestamp::from_seconds(43_200);
        event.judged_at = event.time;
        event.server_certificates = Some([certificate("a", 86_400)].map(Arc::new).into());
        table.record(&event);
        let observed = table.observe();
        assert_eq!(observed.len(), 1);
        assert_eq!(observed[0].days_until_expiry, 0.5);
    }

    #[test]
    fn a_certificate_not_shown_for_long_is_dropped() {
        let mut table = CertificateTable::new(9, Some(Duration::from_secs(100)));
        for (name, time) in [("a", 0), ("b", 0), ("b", 60)] {
            let mut event = handshake();
            event.time = Timestamp::from_seconds(time);
            event.server_certificates = Some([certificate(name, 10)].map(Arc::new).into());
            table.record(&event);
        }
        table.tick(Timestamp::from_seconds(100));
        assert_eq!(subjects(&mut table), ["b", "a"]);
        table.tick(Timestamp::from_seconds(101));
        assert_eq!(subjects(&mut table), ["b"]);
        table.tick(Timestamp::from_seconds(161));
        assert!(subjects(&mut table).is_empty());
    }

    #[test]
    fn a_full_table_keeps_the_earliest_expiring() {
        let mut table = CertificateTable::new(2, None);
        for (name, not_after) in [("e", 50), ("c", 30), ("d", 40), ("a", 10), ("f", 60)] {
            let mut event = handshake();
            event.server_certificates = Some([certificate(name, not_after)].map(Arc::new).into());
            table.record(&event);
        }
        assert_eq!(subjects(&mut table), ["c", "a"]);
    }

    #[test]
    fn a_subject_without_common_name_falls_back_to_other_names() {
        let mut facts = certificate("cn", 0).facts.unwrap();
        assert_eq!(subject(&facts), "cn");
        facts.common_name = None;
        facts.subject = "O=Example".to_owned();
        assert_eq!(subject(&facts), "O=Example");
        facts.subject.clear();
        facts.ip_addresses = vec!["192.0.2.1".parse().unwrap()];
        assert_eq!(subject(&facts), "192.0.2.1");
        facts.dns_names = vec!["example.org".to_owned()];
        assert_eq!(subject(&facts), "example.org");
    }
}

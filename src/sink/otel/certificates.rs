//! The certificates shown: a bounded table behind the observable gauges.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry::KeyValue;

use crate::certificate::{Certificate, CertificateFacts};
use crate::event::{Handshake, Side};
use crate::time::Timestamp;

/// Certificates told apart. A series costs about a kilobyte here and more in
/// every store behind the collector; and who has more certificates than this
/// in use looks for the ones that expire soon.
pub(super) const MAX_CERTIFICATES: usize = 10_000;

/// Bytes of a label. RFC 5280 bounds a common name to 64 characters and a serial
/// number to 20 octets, but certificates come from strangers.
const MAX_LABEL: usize = 256;

const SECONDS_PER_DAY: f64 = 86_400.0;

/// The certificates shown so far, earliest expiry first.
#[derive(Debug)]
pub(super) struct CertificateTable {
    shown: BTreeMap<Entry, Arc<[KeyValue]>>,
    judged_at: Timestamp,
    capacity: usize,
}

/// Orders by expiry; the rest tells certificates apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    not_after: i64,
    sha256: [u8; 32],
    role: Role,
}

/// The part that a certificate played where it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Server,
    Client,
    Intermediate,
    Root,
}

/// One certificate for the gauges.
#[derive(Clone, Debug)]
pub(super) struct Observation {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub(super) not_after: i64,
    /// Negative once expired.
    pub(super) days_until_expiry: f64,
    pub(super) attributes: Arc<[KeyValue]>,
}

impl CertificateTable {
    pub(super) const fn new(capacity: usize) -> Self {
        Self {
            shown: BTreeMap::new(),
            judged_at: Timestamp::MIN,
            capacity,
        }
    }

    /// Takes the certificates that both sides of `event` showed.
    pub(super) fn record(&mut self, event: &Handshake) {
        self.judged_at = self.judged_at.max(event.judged_at);
        let server = (Side::Server, &event.server_certificates);
        let client = (Side::Client, &event.client_certificates);
        for (side, chain) in [server, client] {
            for (position, certificate) in chain.iter().flat_map(|chain| chain.iter()).enumerate() {
                self.insert(certificate, side, position);
            }
        }
    }

    /// Every certificate, latest expiry first: of two with the same attributes
    /// the gauge keeps what it is told last, and that must be the earlier one.
    pub(super) fn observe(&self) -> Vec<Observation> {
        let now = self.judged_at.as_nanoseconds() as f64 / 1e9;
        let latest_first = self.shown.iter().rev();
        latest_first
            .map(|(entry, attributes)| Observation {
                not_after: entry.not_after,
                days_until_expiry: (entry.not_after as f64 - now) / SECONDS_PER_DAY,
                attributes: Arc::clone(attributes),
            })
            .collect()
    }

    fn insert(&mut self, certificate: &Certificate, side: Side, position: usize) {
        let Ok(facts) = &certificate.facts else {
            return;
        };
        let entry = Entry {
            not_after: facts.not_after,
            sha256: certificate.sha256,
            role: Role::of(facts, side, position),
        };
        if self.shown.contains_key(&entry) {
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
        self.shown.insert(entry, attributes(facts, entry.role));
    }
}

impl Role {
    const fn of(facts: &CertificateFacts, side: Side, position: usize) -> Self {
        match (position, side) {
            (0, Side::Server) => Self::Server,
            (0, Side::Client) => Self::Client,
            _ if facts.self_signed => Self::Root,
            _ => Self::Intermediate,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Intermediate => "intermediate",
            Self::Root => "root",
        }
    }
}

/// Sorted by key: the SDK stores an unsorted list twice.
fn attributes(facts: &CertificateFacts, role: Role) -> Arc<[KeyValue]> {
    let issuer = facts.issuer_common_name.as_ref().unwrap_or(&facts.issuer);
    Arc::new([
        KeyValue::new("certificate.issuer", label(issuer)),
        KeyValue::new("certificate.role", role.as_str()),
        KeyValue::new("certificate.serial", label(&facts.serial)),
        KeyValue::new("certificate.subject", label(&subject(facts))),
    ])
}

/// The common name; without one the whole subject; and for certificates with an
/// empty subject, which public CAs issue, the first alternative name.
fn subject(facts: &CertificateFacts) -> String {
    let subject = Some(&facts.subject).filter(|subject| !subject.is_empty());
    let name = facts.common_name.as_ref().or(subject);
    let name = name.or_else(|| facts.dns_names.first()).cloned();
    name.or_else(|| Some(facts.ip_addresses.first()?.to_string()))
        .unwrap_or_default()
}

/// `text` cut to [`MAX_LABEL`] bytes; no control character reaches a terminal.
fn label(text: &str) -> String {
    let mut label = String::with_capacity(text.len().min(MAX_LABEL));
    for character in text.chars() {
        let character = if character.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            character
        };
        if label.len() + character.len_utf8() > MAX_LABEL {
            break;
        }
        label.push(character);
    }
    label
}

#[cfg(test)]
mod tests {
    use super::super::testing::{certificate, handshake};
    use super::*;

    fn text(observation: &Observation, key: &str) -> String {
        let mut attributes = observation.attributes.iter();
        let found = attributes.find(|attribute| attribute.key.as_str() == key);
        found.unwrap().value.to_string()
    }

    fn subjects(table: &CertificateTable) -> Vec<String> {
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
        let mut table = CertificateTable::new(9);
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
    fn days_run_from_the_newest_judgement_and_go_negative() {
        let mut table = CertificateTable::new(9);
        let mut event = handshake();
        event.server_certificates = Some([certificate("a", 86_400)].map(Arc::new).into());
        let days = |table: &CertificateTable| table.observe()[0].days_until_expiry;
        event.judged_at = Timestamp::from_seconds(43_200);
        table.record(&event);
        assert_eq!(days(&table), 0.5);
        event.judged_at = Timestamp::from_seconds(3 * 86_400);
        table.record(&event);
        assert_eq!(days(&table), -2.0);
        event.judged_at = Timestamp::from_seconds(0);
        table.record(&event);
        assert_eq!(days(&table), -2.0, "merged captures run backwards");
    }

    #[test]
    fn a_full_table_keeps_the_earliest_expiring() {
        let mut table = CertificateTable::new(2);
        for (name, not_after) in [("e", 50), ("c", 30), ("d", 40), ("a", 10), ("f", 60)] {
            let mut event = handshake();
            event.server_certificates = Some([certificate(name, not_after)].map(Arc::new).into());
            table.record(&event);
        }
        assert_eq!(subjects(&table), ["c", "a"]);
    }

    #[test]
    fn a_subject_without_common_name_is_named_by_what_there_is() {
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

    #[test]
    fn a_label_is_bounded_and_cannot_drive_a_terminal() {
        assert_eq!(label("a\u{1b}[2J\nb"), "a\u{fffd}[2J\u{fffd}b");
        let long = label(&"ü".repeat(1000));
        assert_eq!(long.len(), MAX_LABEL);
        assert_eq!(
            label(&format!("a{}", "ü".repeat(1000))).len(),
            MAX_LABEL - 1
        );
    }
}

//! Notes on certificates that are used in unusual ways: studies of mutual TLS find these again and again, and operators want to know.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::certificate::{
    Certificate, CertificateFacts, CertificateNote, CertificateTime, Clause, NoteKind,
};
use crate::event::{Handshake, Outcome};
use crate::flow::Side;

/// Certificates remembered, of about 300 bytes each. When the table is full, it starts again: what is used in an unusual way
/// is seen again.
const MAX_CERTIFICATES: usize = 8_192;

/// Addresses from which a client certificate comes as many clients': hosts with two interfaces and pairs of backends have fewer.
const MANY_CLIENTS: usize = 5;

/// What is said of such a certificate: made once, as it is shown again and again.
static MANY_CLIENTS_DETAIL: LazyLock<String> =
    LazyLock::new(|| format!("shown by clients at {MANY_CLIENTS} addresses or more"));

/// Days after which an expired client certificate that is still accepted means that nobody checks, not that somebody is late.
const LONG_EXPIRED_DAYS: i64 = 30;

const DAY: i64 = 86_400;

/// Organisations that tools suggest for a new certificate, as RFC 4514 writes them, and what is said of them.
const DEFAULT_ORGANISATIONS: [(&str, &str); 5] = [
    (
        "O=Internet Widgits Pty Ltd",
        "issued by `O=Internet Widgits Pty Ltd`, a name that OpenSSL suggests",
    ),
    (
        "O=Default Company Ltd",
        "issued by `O=Default Company Ltd`, a name that OpenSSL of Red Hat suggests",
    ),
    (
        "O=Acme Co",
        "issued by `O=Acme Co`, a name that Go's generate_cert suggests",
    ),
    (
        "O=SomeOrganization",
        "issued by `O=SomeOrganization`, a name that mod_ssl of Red Hat suggests",
    ),
    (
        "O=Snake Oil\\, Ltd",
        "issued by `O=Snake Oil\\, Ltd`, a name that mod_ssl suggests",
    ),
];

/// Remembers the leaf certificates of a run, for what only several handshakes show.
#[derive(Debug, Default)]
pub(super) struct UnusualCertificates {
    clients: HashMap<[u8; 32], Vec<IpAddr>, RandomState>,
    /// The first certificate of each issuer and serial number.
    serials: HashMap<Box<str>, [u8; 32], RandomState>,
    /// What is unusual about how these certificates were issued; their serial numbers are in `serials`.
    issued: HashMap<[u8; 32], Issued, RandomState>,
}

/// What is unusual about how a certificate was issued.
#[derive(Clone, Copy, Debug)]
struct Issued {
    /// The position of its issuer among the default ones.
    default_issuer: Option<usize>,
    is_serial_reused: bool,
}

impl UnusualCertificates {
    /// Adds the notes on the leaf certificates of `event`.
    pub(super) fn note(&mut self, event: &mut Handshake) {
        let leaf =
            |chain: &Option<crate::event::CertificateChain>| chain.as_ref()?.first().cloned();
        let server = leaf(&event.server_certificates);
        let client = leaf(&event.client_certificates);
        let pair = [(Side::Server, &server), (Side::Client, &client)];
        for (side, leaf) in pair {
            let Some((leaf, facts)) = leaf.as_ref().and_then(readable) else {
                continue;
            };
            let issued = self.issued(leaf, facts);
            let default = issued
                .default_issuer
                .and_then(|index| DEFAULT_ORGANISATIONS.get(index));
            if let Some((_, detail)) = default {
                let note = note(NoteKind::DefaultIssuer, side, leaf, *detail);
                event.notes.push(note);
            }
            if issued.is_serial_reused {
                let detail = format!(
                    "`{}` issued another certificate with the serial number {}",
                    facts.issuer, facts.serial
                );
                let note = note(NoteKind::ReusedSerial, side, leaf, detail);
                event.notes.push(note);
            }
        }
        let Some((leaf, facts)) = client.as_ref().and_then(readable) else {
            return;
        };
        if server.is_some_and(|server| server.sha256 == leaf.sha256) {
            let detail = "client and server show the same certificate";
            event
                .notes
                .push(note(NoteKind::SameAtBothEnds, Side::Client, leaf, detail));
        }
        let expired = CertificateTime::from(event.judged_at).seconds_since(facts.not_after) / DAY;
        let is_accepted = event.outcome == Outcome::Success && event.rejected_after.is_none();
        if is_accepted && expired >= LONG_EXPIRED_DAYS {
            let detail = format!("expired {expired} days ago, and the server accepts it");
            event
                .notes
                .push(note(NoteKind::LongExpired, Side::Client, leaf, detail));
        }
        if self.is_of_many_clients(leaf, event.client.address) {
            let detail = MANY_CLIENTS_DETAIL.as_str();
            event
                .notes
                .push(note(NoteKind::ManyClients, Side::Client, leaf, detail));
        }
    }

    fn is_of_many_clients(&mut self, leaf: &Certificate, address: IpAddr) -> bool {
        if self.clients.len() >= MAX_CERTIFICATES && !self.clients.contains_key(&leaf.sha256) {
            self.clients.clear();
        }
        let addresses = self.clients.entry(leaf.sha256).or_default();
        if addresses.len() < MANY_CLIENTS && !addresses.contains(&address) {
            addresses.push(address);
        }
        addresses.len() >= MANY_CLIENTS
    }

    /// What is unusual about how a certificate was issued. A serial number may not occur twice (RFC 5280 §4.1.2.2).
    fn issued(&mut self, leaf: &Certificate, facts: &CertificateFacts) -> Issued {
        if let Some(issued) = self.issued.get(&leaf.sha256) {
            return *issued;
        }
        if self.issued.len() >= MAX_CERTIFICATES {
            self.issued.clear();
            self.serials.clear();
        }
        let key = format!("{} {}", facts.serial, facts.issuer).into_boxed_str();
        let first = *self.serials.entry(key).or_insert(leaf.sha256);
        let issued = Issued {
            default_issuer: default_issuer(facts),
            // A certificate signed by its own key has no issuer that could number it.
            is_serial_reused: first != leaf.sha256 && !facts.self_signed,
        };
        self.issued.insert(leaf.sha256, issued);
        issued
    }
}

fn readable(leaf: &Arc<Certificate>) -> Option<(&Arc<Certificate>, &CertificateFacts)> {
    Some((leaf, leaf.facts.as_ref().ok()?))
}

fn default_issuer(facts: &CertificateFacts) -> Option<usize> {
    DEFAULT_ORGANISATIONS.iter().position(|(organisation, _)| {
        let found = facts.issuer.split_once(organisation);
        found.is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with([',', '+']))
    })
}

fn note(
    kind: NoteKind,
    side: Side,
    leaf: &Arc<Certificate>,
    detail: impl Into<Clause>,
) -> CertificateNote {
    CertificateNote {
        kind,
        side,
        detail: detail.into(),
        certificate: Arc::clone(leaf),
    }
}

#[cfg(feature = "serde")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::CertificateChain;
    use crate::sink::test_events;

    /// A chain of one certificate that differs from others by `number`.
    fn chain(number: u8, change: impl FnOnce(&mut CertificateFacts)) -> CertificateChain {
        let mut facts = test_events::leaf();
        change(&mut facts);
        let [certificate] = &*test_events::chain([Ok(facts)]) else {
            unreachable!("one was given");
        };
        let mut certificate = Certificate::clone(certificate);
        certificate.sha256 = [number; 32];
        [Arc::new(certificate)].into()
    }

    fn kinds(unusual: &mut UnusualCertificates, event: &Handshake) -> Vec<&'static str> {
        let mut event = event.clone();
        event.notes.clear();
        unusual.note(&mut event);
        event.notes.iter().map(|note| note.kind.as_str()).collect()
    }

    fn mutual(server: CertificateChain, client: CertificateChain) -> Handshake {
        let mut event = test_events::completed();
        event.server_certificates = Some(server);
        event.client_certificates = Some(client);
        event
    }

    #[test]
    fn the_same_certificate_at_both_ends_is_noted() {
        let mut unusual = UnusualCertificates::default();
        let same = mutual(chain(1, |_| {}), chain(1, |_| {}));
        assert_eq!(kinds(&mut unusual, &same), ["same_at_both_ends"]);
        let other = mutual(
            chain(1, |_| {}),
            chain(2, |facts| facts.serial = "0b".into()),
        );
        assert_eq!(kinds(&mut unusual, &other), [""; 0]);
    }

    #[test]
    fn a_certificate_of_many_clients_is_noted_from_the_fifth_on() {
        let mut unusual = UnusualCertificates::default();
        let mut event = mutual(
            chain(1, |_| {}),
            chain(2, |facts| facts.serial = "0b".into()),
        );
        for host in [1, 2, 3, 4, 4] {
            event.client.address = [10, 0, 1, host].into();
            assert_eq!(kinds(&mut unusual, &event), [""; 0]);
        }
        event.client.address = [10, 0, 1, 5].into();
        assert_eq!(kinds(&mut unusual, &event), ["many_clients"]);
    }

    #[test]
    fn a_serial_number_is_reused_if_one_issuer_gives_it_twice() {
        let mut unusual = UnusualCertificates::default();
        let mut event = test_events::completed();
        for (number, issuer, expected) in [
            (1, "CN=A", vec![]),
            (1, "CN=A", vec![]),
            (2, "CN=B", vec![]),
            (3, "CN=A", vec!["reused_serial"]),
            (3, "CN=A", vec!["reused_serial"]),
        ] {
            event.server_certificates = Some(chain(number, |facts| facts.issuer = issuer.into()));
            assert_eq!(
                kinds(&mut unusual, &event),
                expected,
                "{number} by {issuer}"
            );
        }
    }

    #[test]
    fn an_issuer_that_a_tool_suggests_is_noted() {
        for (issuer, is_default) in [
            ("O=Internet Widgits Pty Ltd,ST=Some-State,C=AU", true),
            ("CN=x,O=Acme Co", true),
            ("CN=x,O=Acme Corporation", false),
        ] {
            let mut event = test_events::completed();
            event.server_certificates = Some(chain(1, |facts| facts.issuer = issuer.into()));
            let kinds = kinds(&mut UnusualCertificates::default(), &event);
            assert_eq!(kinds.contains(&"default_issuer"), is_default, "{issuer}");
        }
    }

    #[test]
    fn a_client_certificate_that_expired_long_ago_is_noted_if_it_is_accepted() {
        let expired = |days: i64| {
            let mut event = test_events::completed();
            event.rejected_after = None;
            let now = CertificateTime::from(event.judged_at).0;
            let end = CertificateTime(now - days * DAY);
            event.client_certificates = Some(chain(1, |facts| facts.not_after = end));
            event
        };
        let noted = |event| kinds(&mut UnusualCertificates::default(), &event);
        assert_eq!(noted(expired(30)), ["long_expired"]);
        assert_eq!(noted(expired(29)), [""; 0]);
        let mut refused = expired(30);
        refused.outcome = Outcome::Failure;
        assert_eq!(noted(refused), [""; 0]);
    }
}

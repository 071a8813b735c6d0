//! The distinct certificates of a run: when they were shown, and by whom.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hashbrown::HashMap;

use crate::certificate::{
    Certificate, CertificateFacts, CertificateRole, CertificateTime, PublicKey, SignatureAlgorithm,
};
use crate::event::{ErrorType, Handshake, Side};
use crate::time::Timestamp;

/// Most distinct certificates, of about a kilobyte each; further ones are only counted.
///
/// More than even large networks use at a time; short-lived certificates of a service mesh reach it in some weeks.
pub(crate) const MAX_CERTIFICATES: usize = 20_000;

/// Most peers listed for a certificate: thousands may show a wildcard certificate or an issuer.
const MAX_SHOWN_BY: usize = 8;

/// Most bytes of a text: the traffic chooses names.
const MAX_TEXT: usize = 512;

/// The certificates, in the order in which they were first shown.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    positions: HashMap<[u8; 32], usize, foldhash::fast::RandomState>,
    certificates: Vec<KnownCertificate>,
    /// How often a certificate was shown that did not fit.
    pub(crate) omitted: u64,
}

/// One certificate, and where it was shown.
#[derive(Debug)]
pub(crate) struct KnownCertificate {
    pub(crate) sha256: [u8; 32],
    /// Its facts, or why it cannot be parsed.
    pub(crate) facts: Result<CertificateSummary, String>,
    pub(crate) roles: BTreeSet<&'static str>,
    /// Handshakes that showed it.
    pub(crate) times: u64,
    pub(crate) first_shown: Timestamp,
    pub(crate) last_shown: Timestamp,
    /// Who showed it, ordered by name.
    pub(crate) shown_by: BTreeSet<ShownBy>,
    /// Whether there were others.
    pub(crate) shown_by_more: bool,
    /// What was found wrong with it, and how often.
    pub(crate) findings: BTreeMap<ErrorType, u64>,
}

/// The facts of a certificate that the outputs need.
#[derive(Debug)]
pub(crate) struct CertificateSummary {
    pub(crate) subject: String,
    pub(crate) name: String,
    pub(crate) issuer: String,
    pub(crate) issuer_name: String,
    pub(crate) serial: String,
    pub(crate) not_before: CertificateTime,
    pub(crate) not_after: CertificateTime,
    pub(crate) key: PublicKey,
    pub(crate) signature_algorithm: SignatureAlgorithm,
    /// Its alternative names, as in `DNS:example.org, IP:192.0.2.1`; empty if it has none.
    pub(crate) alternative_names: String,
}

/// A peer that showed a certificate: a server by name, address and port, a client by its address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ShownBy {
    pub(crate) server_name: Option<String>,
    pub(crate) address: IpAddr,
    pub(crate) port: Option<u16>,
}

impl Inventory {
    /// Records the chains of both sides; calls `is_new` with each certificate that is new.
    ///
    /// # Errors
    ///
    /// Those of `is_new`; the certificate is recorded nevertheless.
    pub(crate) fn record<E>(
        &mut self,
        event: &Handshake,
        mut is_new: impl FnMut(&Certificate) -> Result<(), E>,
    ) -> Result<(), E> {
        let chains = [
            (Side::Server, &event.server_certificates),
            (Side::Client, &event.client_certificates),
        ];
        for (side, chain) in chains {
            let chain = chain.as_deref().unwrap_or_default();
            for (position, certificate) in chain.iter().enumerate() {
                let mut earlier = chain.iter().take(position);
                // A chain that repeats a certificate shows it once.
                if earlier.any(|other| other.sha256 == certificate.sha256) {
                    continue;
                }
                if self.record_certificate(certificate, position, side, event) {
                    is_new(certificate)?;
                }
            }
        }
        Ok(())
    }

    /// The certificates in the order in which they were first shown.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &KnownCertificate> {
        self.certificates.iter()
    }

    /// The certificates, the soonest to expire first, those that cannot be read last.
    pub(crate) fn by_expiry(&self) -> Vec<&KnownCertificate> {
        let mut all: Vec<&KnownCertificate> = self.certificates.iter().collect();
        all.sort_by_key(|shown| {
            let not_after = shown.facts.as_ref().map(|facts| facts.not_after);
            (not_after.is_err(), not_after.ok(), shown.sha256)
        });
        all
    }

    /// Returns whether the certificate is new.
    fn record_certificate(
        &mut self,
        certificate: &Certificate,
        position: usize,
        side: Side,
        event: &Handshake,
    ) -> bool {
        let known = self.positions.get(&certificate.sha256).copied();
        let index = match known {
            Some(index) => index,
            None if self.certificates.len() >= MAX_CERTIFICATES => {
                self.omitted += 1;
                return false;
            }
            None => {
                let index = self.certificates.len();
                self.positions.insert(certificate.sha256, index);
                self.certificates
                    .push(KnownCertificate::new(certificate, event.time));
                index
            }
        };
        if let Some(shown) = self.certificates.get_mut(index) {
            shown.record(certificate, position, side, event);
        }
        known.is_none()
    }
}

impl KnownCertificate {
    fn new(certificate: &Certificate, time: Timestamp) -> Self {
        let facts = certificate.facts.as_ref().map_err(Clone::clone);
        let facts = facts.map(|facts| CertificateSummary {
            subject: shortened(&facts.subject),
            name: shortened(&facts.identity()),
            issuer: shortened(&facts.issuer),
            issuer_name: shortened(facts.issuer_common_name.as_ref().unwrap_or(&facts.issuer)),
            serial: shortened(&facts.serial),
            not_before: facts.not_before,
            not_after: facts.not_after,
            key: facts.key.clone(),
            signature_algorithm: facts.signature_algorithm.clone(),
            alternative_names: alternative_names(facts),
        });
        Self {
            sha256: certificate.sha256,
            facts,
            roles: BTreeSet::new(),
            times: 0,
            first_shown: time,
            last_shown: time,
            shown_by: BTreeSet::new(),
            shown_by_more: false,
            findings: BTreeMap::new(),
        }
    }

    fn record(
        &mut self,
        certificate: &Certificate,
        position: usize,
        side: Side,
        event: &Handshake,
    ) {
        self.times += 1;
        self.first_shown = self.first_shown.min(event.time);
        self.last_shown = self.last_shown.max(event.time);
        let facts = certificate.facts.as_ref().ok();
        let self_signed = facts.is_some_and(|facts| facts.self_signed);
        self.roles
            .insert(CertificateRole::new(side, position, self_signed).as_str());
        let by = ShownBy::of(event, side);
        if self.shown_by.len() < MAX_SHOWN_BY {
            self.shown_by.insert(by);
        } else if !self.shown_by.contains(&by) {
            self.shown_by_more = true;
        }
        for finding in &event.validation {
            let is_meant =
                facts.is_some_and(|facts| facts.subject == finding.certificate.subject());
            if is_meant && finding.side == side {
                *self.findings.entry(finding.error_type).or_default() += 1;
            }
        }
    }
}

impl ShownBy {
    fn of(event: &Handshake, side: Side) -> Self {
        match side {
            Side::Server => Self {
                server_name: event.tls.server_name.as_deref().map(shortened),
                address: event.server.address,
                port: Some(event.server.port),
            },
            Side::Client => Self {
                server_name: None,
                address: event.client.address,
                port: None,
            },
        }
    }
}

/// As many names as fit, whole ones only.
fn alternative_names(facts: &CertificateFacts) -> String {
    let dns = facts.dns_names.iter().map(|name| format!("DNS:{name}"));
    let ip = facts.ip_addresses.iter().map(|ip| format!("IP:{ip}"));
    let uris = facts.uris.iter().map(|uri| format!("URI:{uri}"));
    let emails = facts.emails.iter().map(|email| format!("email:{email}"));
    let upns = facts.upns.iter().map(|upn| format!("UPN:{upn}"));
    let mut names = String::new();
    for name in dns.chain(ip).chain(uris).chain(emails).chain(upns) {
        if names.len() + name.len() + 2 > MAX_TEXT {
            break;
        }
        if !names.is_empty() {
            names += ", ";
        }
        names += &name;
    }
    names
}

fn shortened(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::sink::test_events;

    fn recorded(inventory: &mut Inventory, event: &Handshake) -> usize {
        let mut new = 0;
        let done: Result<(), Infallible> = inventory.record(event, |_| {
            new += 1;
            Ok(())
        });
        done.unwrap();
        new
    }

    #[test]
    fn a_certificate_is_new_once_and_counted_each_time() {
        let mut inventory = Inventory::default();
        let mut event = test_events::refused_by_the_client();
        assert_eq!(recorded(&mut inventory, &event), 1);
        event.server.port = 8443;
        assert_eq!(recorded(&mut inventory, &event), 0);
        let shown = inventory.iter().next().unwrap();
        assert_eq!((shown.times, shown.shown_by.len()), (2, 2));
        assert_eq!(shown.findings[&ErrorType::NearExpiry], 2);
        assert!(shown.roles.contains("server"));
    }

    #[test]
    fn the_peers_of_a_certificate_are_bounded() {
        let mut inventory = Inventory::default();
        let mut event = test_events::refused_by_the_client();
        for port in 0..100 {
            event.server.port = port;
            recorded(&mut inventory, &event);
        }
        let shown = inventory.iter().next().unwrap();
        assert_eq!(shown.shown_by.len(), MAX_SHOWN_BY);
        assert!(shown.shown_by_more);
    }

    #[test]
    fn unreadable_certificates_come_last() {
        let mut inventory = Inventory::default();
        recorded(&mut inventory, &test_events::with_a_broken_certificate());
        recorded(&mut inventory, &test_events::refused_by_the_client());
        let order: Vec<bool> = inventory
            .by_expiry()
            .iter()
            .map(|shown| shown.facts.is_ok())
            .collect();
        assert_eq!(order, [true, false]);
    }
}

//! What clients offered, over the whole run.

use std::collections::BTreeMap;

use crate::event::Handshake;
use crate::sink::machine::services::Tally;
use crate::time::Timestamp;
use crate::tls::{CipherSuite, NamedGroup, ProtocolVersion, SignatureScheme, is_grease};

/// Offers by name. Only registered numbers are kept, so the registries bound the memory.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// Handshakes with a ClientHello.
    pub(super) hellos: Tally,
    pub(super) versions: Offered<ProtocolVersion>,
    pub(super) cipher_suites: Offered<CipherSuite>,
    pub(super) groups: Offered<NamedGroup>,
    pub(super) signature_schemes: Offered<SignatureScheme>,
    /// Handshakes whose offer has a number that is not registered, other than GREASE (RFC 8701).
    pub(super) unregistered: u64,
}

impl Offers {
    pub(super) fn record(&mut self, event: &Handshake) {
        let tls = &event.tls;
        if tls.offered_versions.is_none() && tls.offered_cipher_suites.is_none() {
            return; // no ClientHello was seen
        }
        self.hellos.record(event.time);
        let time = event.time;
        let hello = self.hellos.handshakes;
        let mut has_unregistered = false;
        for &version in tls.offered_versions.as_deref().unwrap_or_default() {
            match version.name().is_some() || version.draft().is_some() {
                true => self.versions.record(version, hello, time),
                false => has_unregistered |= !is_grease(version.0),
            }
        }
        for &suite in tls.offered_cipher_suites.as_deref().unwrap_or_default() {
            match (suite.name(), suite.key_exchange()) {
                (Some(_), Some(_)) => self.cipher_suites.record(suite, hello, time),
                (Some(_), None) => {} // a signal, no suite
                (None, _) => has_unregistered |= !is_grease(suite.0),
            }
        }
        for &group in tls.offered_groups.as_deref().unwrap_or_default() {
            match group.name() {
                Some(_) => self.groups.record(group, hello, time),
                None => has_unregistered |= !is_grease(group.0),
            }
        }
        for &scheme in tls.signature_algorithms.as_deref().unwrap_or_default() {
            match scheme.name() {
                Some(_) => self.signature_schemes.record(scheme, hello, time),
                None => has_unregistered |= !is_grease(scheme.0),
            }
        }
        self.unregistered += u64::from(has_unregistered);
    }
}

/// The numbers of one registry that were offered, and in how many handshakes.
#[derive(Debug)]
pub(super) struct Offered<T>(BTreeMap<T, (Tally, u64)>);

impl<T> Default for Offered<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Ord + Copy> Offered<T> {
    /// Counts an offer of the ClientHello number `hello`, once even if the hello repeats it.
    fn record(&mut self, offer: T, hello: u64, time: Timestamp) {
        let (tally, last_hello) = self.0.entry(offer).or_default();
        if *last_hello != hello {
            *last_hello = hello;
            tally.record(time);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (T, &Tally)> {
        self.0.iter().map(|(offer, (tally, _))| (*offer, tally))
    }
}

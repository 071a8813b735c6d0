//! What the handshakes of a run have shown that a server accepts.
//!
//! A server that refuses a hello says little about why. What it agreed on with other
//! clients shows whether the offer was the reason. The memory is filled in the order of
//! the run's events, so what it knows does not depend on the number of threads.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::event::{Handshake, Outcome};
use crate::flow::Endpoint;
use crate::tls::{CipherSuite, NamedGroup, ProtocolVersion, is_grease};

use super::offer::is_tls13;

/// Servers that are remembered: a busy network has hundreds, and a scan of a whole one must not fill the memory.
const MAX_SERVERS: usize = 4096;

/// Values of a kind that are remembered for one server: servers agree with nearly all clients on three or four.
const MAX_VALUES: usize = 8;

/// Clients that left a server without a word, and are remembered: a scan comes from one address, or a few.
const MAX_LEFT: usize = 8;

/// A bounded table of servers by address and port; the oldest is evicted first.
#[derive(Debug, Default)]
pub(super) struct KnownServers {
    servers: HashMap<Endpoint, KnownServer, RandomState>,
    oldest: VecDeque<Endpoint>,
    /// Servers that were evicted.
    pub(super) forgotten: u64,
}

/// What one server agreed on with clients whose handshakes completed, and who left it without a word.
#[derive(Debug, Default)]
pub(super) struct KnownServer {
    pub(super) versions: Vec<ProtocolVersion>,
    pub(super) cipher_suites: Vec<CipherSuite>,
    pub(super) groups: Vec<NamedGroup>,
    pub(super) protocols: Vec<Arc<str>>,
    /// Whether it sent a ticket to a client that takes some, or answered one without.
    pub(super) tickets: Tickets,
    /// Clients that left without a word when they had its certificate, with what each offered last.
    pub(super) left: VecDeque<(IpAddr, Arc<[CipherSuite]>)>,
}

/// What a server was seen to do about session tickets.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    were_sent: bool,
    were_missing: bool,
}

impl KnownServers {
    /// What is known of a server.
    pub(super) fn get(&self, server: Endpoint) -> Option<&KnownServer> {
        self.servers.get(&server)
    }

    /// Remembers what a completed handshake shows, or that a client left without a word.
    pub(super) fn learn(&mut self, event: &Handshake) {
        match event.outcome {
            Outcome::Success => self.learn_agreement(event),
            _ if may_have_left(event) => self.of(event.server).note_left(event),
            _ => {}
        }
    }

    /// What is known of a server, to add to it.
    fn of(&mut self, server: Endpoint) -> &mut KnownServer {
        if !self.servers.contains_key(&server) {
            if self.oldest.len() >= MAX_SERVERS
                && let Some(oldest) = self.oldest.pop_front()
            {
                self.servers.remove(&oldest);
                self.forgotten += 1;
            }
            self.oldest.push_back(server);
        }
        self.servers.entry(server).or_default()
    }

    fn learn_agreement(&mut self, event: &Handshake) {
        let known = self.of(event.server);
        let tls = &event.tls;
        remember(&mut known.versions, tls.version.as_ref());
        remember(&mut known.cipher_suites, tls.cipher_suite.as_ref());
        remember(&mut known.groups, tls.group.as_ref());
        remember(&mut known.protocols, tls.alpn.as_ref());
        known.tickets.were_sent |= event.has_sent_ticket == Some(true);
        known.tickets.were_missing |= event.has_sent_ticket == Some(false);
    }
}

/// Whether the client left without a word when it had the server's certificate, as far as that is known.
fn may_have_left(event: &Handshake) -> bool {
    event.left_at_certificate != Some(false) && event.tls.offered_cipher_suites.is_some()
}

fn remember<T: Clone + PartialEq>(values: &mut Vec<T>, value: Option<&T>) {
    if let Some(value) = value
        && values.len() < MAX_VALUES
        && !values.contains(value)
    {
        values.push(value.clone());
    }
}

impl KnownServer {
    /// Whether it was seen to send no session tickets: that none came then says nothing of a handshake.
    pub(super) const fn sends_no_tickets(&self) -> bool {
        self.tickets.were_missing && !self.tickets.were_sent
    }

    /// Whether the client of a handshake has left it without a word before, with another offer. Then it enumerates what the server supports,
    /// as nmap and sslscan do, and refuses nothing: a client that does not trust the certificate tries again with the same offer.
    pub(super) fn is_enumerated_by(&self, event: &Handshake) -> bool {
        let offered = event.tls.offered_cipher_suites.as_deref();
        let before = self.left.iter().find(|(of, _)| *of == event.client.address);
        before
            .zip(offered)
            .is_some_and(|((_, before), offered)| !real(before).eq(real(offered)))
    }

    fn note_left(&mut self, event: &Handshake) {
        let Some(offered) = &event.tls.offered_cipher_suites else {
            return;
        };
        let client = event.client.address;
        self.left.retain(|(of, _)| *of != client);
        if self.left.len() >= MAX_LEFT {
            self.left.pop_front();
        }
        self.left.push_back((client, Arc::clone(offered)));
    }

    /// The cipher suites that it could have selected for a client that offers these versions, or any if they are not known.
    ///
    /// TLS 1.3 and earlier versions share no suite (RFC 8446, appendix B.4). That a client without TLS 1.3 lacks the suites of
    /// TLS 1.3 says nothing about why it was refused: in the lab for 802.1X, FreeRADIUS refused such a client for its version.
    pub(super) fn suites_for(&self, offered: Option<&[ProtocolVersion]>) -> Vec<CipherSuite> {
        let is_offered = |is_tls13: bool| {
            offered.is_none_or(|offered| {
                let mut real = offered.iter().filter(|version| !is_grease(version.0));
                real.any(|version| version.is_tls13() == is_tls13)
            })
        };
        let suites = self.cipher_suites.iter().copied();
        suites.filter(|suite| is_offered(is_tls13(suite))).collect()
    }
}

/// The suites of an offer that can be selected: GREASE differs from hello to hello, and the signalling values come and go
/// with versions (RFC 5746 §3.3, RFC 7507 §4).
fn real(offered: &[CipherSuite]) -> impl Iterator<Item = &CipherSuite> {
    let signalling = [
        CipherSuite::TLS_EMPTY_RENEGOTIATION_INFO_SCSV,
        CipherSuite::TLS_FALLBACK_SCSV,
    ];
    let offered = offered.iter();
    offered.filter(move |suite| !is_grease(suite.0) && !signalling.contains(suite))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn event(port: u16, outcome: Outcome, suite: u16) -> Handshake {
        let client = Endpoint::new([192, 0, 2, 1].into(), 50_000);
        let server = Endpoint::new([192, 0, 2, 2].into(), port);
        let mut event = Handshake::new(Timestamp::from_seconds(0), client, server);
        event.outcome = outcome;
        event.tls.cipher_suite = Some(CipherSuite(suite));
        event
    }

    #[test]
    fn suites_of_a_version_that_is_not_offered_say_nothing() {
        let [old, new] = [0xc02f, 0x1302].map(CipherSuite);
        let known = KnownServer {
            cipher_suites: vec![old, new],
            ..KnownServer::default()
        };
        let [tls12, tls13] = [ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3];
        let grease = ProtocolVersion(0x7a7a);
        for (offered, expected) in [
            (None, vec![old, new]),
            (Some(&[grease, tls13, tls12][..]), vec![old, new]),
            (Some(&[tls12][..]), vec![old]),
            (Some(&[tls13][..]), vec![new]),
            (Some(&[grease][..]), vec![]),
        ] {
            assert_eq!(known.suites_for(offered), expected, "{offered:?}");
        }
    }

    #[test]
    fn completed_handshakes_show_what_a_server_accepts_and_others_do_not() {
        let mut servers = KnownServers::default();
        let (success, failure) = (Outcome::Success, Outcome::Failure);
        for event in [
            event(443, success, 0xc02b),
            event(443, success, 0xc02b),
            event(443, failure, 0x002f),
            event(8443, success, 0xc02c),
        ] {
            servers.learn(&event);
        }
        let known = |port| {
            let server = event(port, success, 0).server;
            servers.get(server).map(|known| known.cipher_suites.clone())
        };
        assert_eq!(known(443), Some(vec![CipherSuite(0xc02b)]));
        assert_eq!(known(8443), Some(vec![CipherSuite(0xc02c)]));
        assert_eq!(known(80), None);
    }

    #[test]
    fn a_server_sends_no_tickets_if_one_was_missing_and_none_was_seen() {
        let known = |seen: &[Option<bool>]| {
            let mut servers = KnownServers::default();
            for has_sent_ticket in seen {
                let mut event = event(443, Outcome::Success, 0x1301);
                event.has_sent_ticket = *has_sent_ticket;
                servers.learn(&event);
            }
            let server = event(443, Outcome::Success, 0).server;
            servers.get(server).unwrap().sends_no_tickets()
        };
        assert!(known(&[None, Some(false), None]));
        assert!(!known(&[None]));
        assert!(!known(&[Some(true)]));
        // Not to this client, for a reason of its own.
        assert!(!known(&[Some(false), Some(true)]));
    }

    #[test]
    fn a_client_that_leaves_again_and_again_with_other_offers_enumerates_them() {
        let left = |client: u8, offered: &[u16]| {
            let mut event = event(443, Outcome::Failure, 0);
            event.client.address = [192, 0, 2, client].into();
            event.left_at_certificate = Some(true);
            event.tls.offered_cipher_suites =
                Some(offered.iter().copied().map(CipherSuite).collect());
            event
        };
        let mut servers = KnownServers::default();
        let mut is_enumerated = |client, offered: &[u16]| {
            let event = left(client, offered);
            let known = servers.get(event.server);
            let is_enumerated = known.is_some_and(|known| known.is_enumerated_by(&event));
            servers.learn(&event);
            is_enumerated
        };
        assert!(!is_enumerated(7, &[0x1a1a, 0xc02f, 0xc030]));
        assert!(!is_enumerated(7, &[0x2a2a, 0xc02f, 0xc030, 0x5600]));
        assert!(!is_enumerated(8, &[0xc030]));
        assert!(is_enumerated(7, &[0xc030]));
        // Clients with the same offer each push out the one before.
        for client in 20..20 + MAX_LEFT as u8 {
            assert!(!is_enumerated(client, &[0xc030]));
        }
        assert!(!is_enumerated(7, &[0xc02f]));
    }

    #[test]
    fn both_limits_are_enforced() {
        let mut servers = KnownServers::default();
        for suite in 0..100 {
            servers.learn(&event(1, Outcome::Success, suite));
        }
        let first = event(1, Outcome::Success, 0).server;
        assert_eq!(servers.get(first).unwrap().cipher_suites.len(), MAX_VALUES);
        for port in 2..MAX_SERVERS as u16 + 2 {
            servers.learn(&event(port, Outcome::Success, 1));
        }
        assert!(servers.get(first).is_none());
        assert_eq!((servers.servers.len(), servers.forgotten), (MAX_SERVERS, 1));
    }
}

//! The clients that were asked for a certificate, in bounded memory.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::certificate::CertificateTime;
use crate::event::{ClientCertificate, ErrorType, Handshake, Side};

/// Most identities at a time, of about 300 bytes each; when the table is full, the half with the fewest refusals and handshakes is dropped.
const CAPACITY: usize = 4096;

/// Most bytes of a name: the traffic chooses names.
const NAME_LENGTH: usize = 256;

/// Counts handshakes in which the server asked for a certificate, by what the client showed.
#[derive(Debug, Default)]
pub(super) struct Clients {
    clients: HashMap<Identity, ClientCounts, foldhash::fast::RandomState>,
    /// Handshakes of the identities that were dropped.
    forgotten: u64,
}

/// What a client showed: two certificates for one subject by one issuer are one identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Identity {
    /// A certificate.
    Shown {
        /// Its [identity](crate::certificate::CertificateFacts::identity).
        name: String,
        /// Its whole subject.
        subject: String,
        /// Its issuer's common name, or else all of its issuer.
        issuer: String,
    },
    /// A certificate that cannot be read.
    Unreadable,
    /// A certificate under the encryption of TLS 1.3.
    Encrypted,
    /// None, although it was asked.
    Absent,
    /// It was asked, and no answer was seen.
    NoAnswer,
}

/// The end and the beginning of a certificate's validity, in the order by which the latest is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Validity {
    pub(super) not_after: CertificateTime,
    pub(super) not_before: CertificateTime,
}

/// Counters of one client.
#[derive(Clone, Debug, Default)]
pub(super) struct ClientCounts {
    pub(super) handshakes: u64,
    /// Handshakes that the server ended.
    pub(super) refused: u64,
    /// The latest end of validity among its certificates, and the beginning that goes with it.
    pub(super) validity: Option<Validity>,
    causes: BTreeMap<ErrorType, u64>,
}

impl ClientCounts {
    /// Why servers refused it, the most frequent first.
    pub(super) fn causes(&self) -> Vec<(ErrorType, u64)> {
        let mut causes: Vec<_> = self.causes.iter().map(|(&c, &n)| (c, n)).collect();
        causes.sort_by_key(|&(_, count)| Reverse(count)); // stable: ties in order of the documentation
        causes
    }
}

impl Clients {
    /// Records a handshake, if the server asked for a certificate.
    pub(super) fn record(&mut self, event: &Handshake) {
        let Some((identity, validity)) = identity(event) else {
            return;
        };
        if self.clients.len() >= CAPACITY && !self.clients.contains_key(&identity) {
            self.forget_half();
        }
        let client = self.clients.entry(identity).or_default();
        client.handshakes += 1;
        client.validity = client.validity.max(validity);
        if let Some(error) = event
            .error
            .as_ref()
            .filter(|error| error.side == Some(Side::Server))
        {
            client.refused += 1;
            *client.causes.entry(error.error_type).or_default() += 1;
        }
    }

    fn forget_half(&mut self) {
        let mut ranked: Vec<_> = self.clients.drain().collect();
        sort(&mut ranked);
        let gone = ranked.split_off(CAPACITY / 2);
        self.forgotten += gone
            .iter()
            .map(|(_, client)| client.handshakes)
            .sum::<u64>();
        self.clients.extend(ranked);
    }

    /// The `limit` identities refused and seen most, and how many handshakes all others had.
    pub(super) fn top(&self, limit: usize) -> (Vec<(Identity, ClientCounts)>, u64) {
        let pairs = self.clients.iter();
        let mut ranked: Vec<_> = pairs
            .map(|(identity, client)| (identity.clone(), client.clone()))
            .collect();
        sort(&mut ranked);
        let rest = ranked.split_off(limit.min(ranked.len()));
        let others = rest
            .iter()
            .map(|(_, client)| client.handshakes)
            .sum::<u64>();
        (ranked, others + self.forgotten)
    }
}

/// Most refusals first, then most handshakes; names break ties, so that equal input gives equal output.
fn sort(clients: &mut [(Identity, ClientCounts)]) {
    clients.sort_unstable_by(|(a_name, a), (b_name, b)| {
        (b.refused, b.handshakes, a_name).cmp(&(a.refused, a.handshakes, b_name))
    });
}

/// What the client showed, and when it is valid; `None` if it was not asked.
fn identity(event: &Handshake) -> Option<(Identity, Option<Validity>)> {
    let leaf = event
        .client_certificates
        .as_ref()
        .and_then(|chain| chain.first());
    if let Some(leaf) = leaf {
        let Ok(facts) = &leaf.facts else {
            return Some((Identity::Unreadable, None));
        };
        let issuer = facts.issuer_common_name.as_ref().unwrap_or(&facts.issuer);
        let identity = Identity::Shown {
            name: shortened(&facts.identity()),
            subject: shortened(&facts.subject),
            issuer: shortened(issuer),
        };
        let validity = Validity {
            not_after: facts.not_after,
            not_before: facts.not_before,
        };
        return Some((identity, Some(validity)));
    }
    let identity = match event.tls.client_certificate {
        ClientCertificate::Presented => Identity::Encrypted,
        ClientCertificate::Absent => Identity::Absent,
        ClientCertificate::Requested => Identity::NoAnswer,
        ClientCertificate::NotRequested | ClientCertificate::Unknown => return None,
    };
    Some((identity, None))
}

fn shortened(text: &str) -> String {
    let mut end = text.len().min(NAME_LENGTH);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::HandshakeError;
    use crate::sink::test_events;

    fn shown(name: &str) -> Handshake {
        let mut facts = test_events::leaf();
        facts.dns_names = vec![name.to_owned()];
        let mut event = test_events::completed();
        event.client_certificates = Some(test_events::chain([Ok(facts)]));
        event
    }

    fn refused(mut event: Handshake) -> Handshake {
        event.error = Some(HandshakeError {
            error_type: ErrorType::CertExpired,
            side: Some(Side::Server),
            message: String::new(),
            hint: None,
        });
        event
    }

    #[test]
    fn refused_clients_come_first_and_clients_not_asked_are_left_out() {
        let mut clients = Clients::default();
        for event in [shown("alice"), shown("alice"), refused(shown("bob"))] {
            clients.record(&event);
        }
        clients.record(&test_events::completed()); // nobody asked
        let mut absent = test_events::completed();
        absent.tls.client_certificate = ClientCertificate::Absent;
        clients.record(&absent);
        let (top, others) = clients.top(2);
        let counts: Vec<_> = top
            .iter()
            .map(|(identity, client)| match identity {
                Identity::Shown { name, .. } => (name.as_str(), client.handshakes, client.refused),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(counts, [("bob", 1, 1), ("alice", 2, 0)]);
        assert_eq!(top[0].1.causes(), [(ErrorType::CertExpired, 1)]);
        assert_eq!(others, 1);
    }

    #[test]
    fn the_table_is_bounded_and_counts_what_it_drops() {
        let mut clients = Clients::default();
        clients.record(&refused(shown("bob")));
        for index in 0..2 * CAPACITY {
            clients.record(&shown(&index.to_string()));
        }
        assert!(clients.clients.len() <= CAPACITY);
        let (top, others) = clients.top(1);
        assert_eq!(top[0].1.refused, 1);
        assert_eq!(others, 2 * CAPACITY as u64);
    }
}

//! Clients with certificates, and their servers, in bounded memory.

use super::ranking::{Counted, Ranking};
use super::write_name;
use crate::event::{ClientCertificate, Handshake, Outcome};
use crate::time::Timestamp;

/// Most pairs of a client and a server at a time, of about 300 bytes each.
const CAPACITY: usize = 4096;

/// Most bytes of a client's name: the traffic chooses names.
const NAME_LENGTH: usize = 256;

/// What follows the address of a client whose certificate TLS 1.3 hides.
pub(crate) const HIDDEN: &str = " (certificate hidden)";

/// Counts the handshakes in which a client showed a certificate, by client and server.
#[derive(Debug)]
pub(crate) struct MutualPeers(Ranking<Pair, PairCounts>);

/// A client and a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Pair {
    /// The identity in the client's certificate. Its address, if TLS 1.3 hides the certificate.
    pub(crate) client: String,
    /// The name that the client asked for, or the server's address; with the port.
    pub(crate) server: String,
}

/// What is counted for a pair.
#[derive(Clone, Debug)]
pub(crate) struct PairCounts {
    pub(crate) handshakes: u64,
    /// Those that failed, and those whose client was refused afterwards.
    pub(crate) failures: u64,
    /// The time of the latest handshake.
    pub(crate) last_seen: Timestamp,
}

impl Default for PairCounts {
    fn default() -> Self {
        Self {
            handshakes: 0,
            failures: 0,
            last_seen: Timestamp::MIN,
        }
    }
}

impl Counted for PairCounts {
    fn handshakes(&self) -> u64 {
        self.handshakes
    }
}

impl Default for MutualPeers {
    fn default() -> Self {
        Self(Ranking::new(CAPACITY))
    }
}

impl MutualPeers {
    /// Records a handshake, if the client showed a certificate.
    pub(crate) fn record(&mut self, event: &Handshake) {
        let Some(client) = client(event) else {
            return;
        };
        let mut server = String::new();
        write_name(&mut server, event);
        self.0.update(&Pair { client, server }, |counts| {
            counts.handshakes += 1;
            let is_failure = event.outcome == Outcome::Failure || event.rejected_after.is_some();
            counts.failures += u64::from(is_failure);
            counts.last_seen = counts.last_seen.max(event.time);
        });
    }

    /// The `limit` pairs with the most failures, then handshakes; and how many handshakes all others had.
    pub(crate) fn top(&self, limit: usize) -> (Vec<(&Pair, &PairCounts)>, u64) {
        self.0
            .top(limit, |counts| (counts.failures, counts.handshakes))
    }
}

/// The client, if it showed a certificate.
fn client(event: &Handshake) -> Option<String> {
    let leaf = event.client_certificates.as_ref();
    let leaf = leaf.and_then(|chain| chain.first());
    match leaf.map(|leaf| &leaf.facts) {
        Some(Ok(facts)) => Some(shortened(&facts.identity())),
        Some(Err(_)) => Some("unreadable certificate".to_owned()),
        None if event.tls.client_certificate == ClientCertificate::Presented => {
            Some(format!("{}{HIDDEN}", event.client.address))
        }
        None => None,
    }
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
    use crate::sink::test_events;

    fn pairs(events: &[Handshake]) -> Vec<(String, String, u64, u64)> {
        let mut peers = MutualPeers::default();
        events.iter().for_each(|event| peers.record(event));
        let (top, _) = peers.top(9);
        let pairs = top.into_iter().map(|(pair, counts)| {
            let Pair { client, server } = pair.clone();
            (client, server, counts.handshakes, counts.failures)
        });
        pairs.collect()
    }

    fn shown(uri: &str) -> Handshake {
        let mut facts = test_events::leaf();
        facts.uris = vec![uri.to_owned()];
        let mut event = test_events::completed();
        event.rejected_after = None;
        event.client_certificates = Some(test_events::chain([Ok(facts)]));
        event
    }

    #[test]
    fn clients_are_counted_for_each_server_and_failures_come_first() {
        let mut failed = shown("spiffe://a.example/job");
        failed.outcome = Outcome::Failure;
        let mut elsewhere = shown("spiffe://a.example/web");
        elsewhere.tls.server_name = Some("b.example".into());
        let web = || shown("spiffe://a.example/web");
        let pairs = pairs(&[web(), web(), failed, elsewhere]);
        let pair = |client: &str, server: &str, handshakes, failures| {
            let client = format!("spiffe://a.example/{client}");
            (client, server.to_owned(), handshakes, failures)
        };
        assert_eq!(
            pairs,
            [
                pair("job", "example.org:443", 1, 1),
                pair("web", "example.org:443", 2, 0),
                pair("web", "b.example:443", 1, 0),
            ]
        );
    }

    #[test]
    fn a_client_whose_certificate_is_hidden_goes_by_its_address() {
        let mut event = test_events::completed();
        event.tls.client_certificate = ClientCertificate::Presented;
        assert_eq!(pairs(&[event])[0].0, "10.0.0.1 (certificate hidden)");
        assert_eq!(pairs(&[test_events::completed()]), []);
    }
}

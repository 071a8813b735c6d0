//! Connections that did not become TLS: what a flow knows about itself, and which servers make that worth a report.
//!
//! Every plain connection ends up here, and most are of no interest: their server does not speak TLS. So they
//! wait, within limits, until TLS is seen on the same port, in the stage where everything is in order.

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::dialogue::{OpeningBytes, Proxy, Refusal, Untaken};
use crate::event::{NotTls, NotTlsKind, WireMarks};
use crate::flow::{Direction, Endpoint, FlowKey};
use crate::time::Timestamp;

use super::flow::{Flow, Stage};

/// A connection without TLS that has ended, or on which TLS was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlainConnection {
    pub(super) time: Timestamp,
    /// Where it was captured, if that is known.
    source: Option<Arc<str>>,
    pub(super) flow_id: u64,
    client: Endpoint,
    server: Endpoint,
    pub(super) marks: WireMarks,
    proxy: Option<Box<Proxy>>,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Plaintext {
        opening: OpeningBytes,
        is_from_client: bool,
    },
    Silent,
    Refused(Box<Refusal>),
    Untaken(Untaken),
}

impl PlainConnection {
    /// Takes the refusal of TLS that a connection has not reported yet.
    pub(super) fn refused(flow: &mut Flow, key: &FlowKey) -> Option<Self> {
        let Stage::Watching(dialogue) = &mut flow.stage else {
            return None;
        };
        let refusal = dialogue.refusal()?;
        let client = refusal.client;
        Some(Self::new(flow, key, client, What::Refused(refusal.into())))
    }

    /// What a connection that has ended was, if it never spoke TLS.
    pub(super) fn ended(flow: &mut Flow, key: &FlowKey) -> Option<Self> {
        if let Some(refused) = Self::refused(flow, key) {
            return Some(refused);
        }
        let Stage::Watching(dialogue) = &flow.stage else {
            return None;
        };
        // Without its beginning in view, bytes may be the middle of anything.
        let client = flow.tcp.originator()?;
        let is_begin_awaited = |untaken: &Untaken| untaken.is_accepted && !flow.tcp.is_closed();
        let untaken = dialogue.untaken();
        if let Some(untaken) = untaken.filter(|untaken| !is_begin_awaited(untaken)) {
            let what = What::Untaken(untaken);
            return Some(Self::new(flow, key, untaken.client, what));
        }
        let what = match dialogue.opening() {
            None if flow.tcp.has_stayed_silent() => What::Silent,
            Some(opening)
                if !opening.is_record() && !opening.is_blank() && !dialogue.was_refused() =>
            {
                What::Plaintext {
                    opening: *opening,
                    is_from_client: opening.sender() == client,
                }
            }
            _ => return None,
        };
        Some(Self::new(flow, key, client, what))
    }

    /// The same, captured from `source`.
    pub(super) fn with_source(self, source: Option<&Arc<str>>) -> Self {
        Self {
            source: source.cloned(),
            ..self
        }
    }

    fn new(flow: &Flow, key: &FlowKey, client: Direction, what: What) -> Self {
        let client_went_up = (client == Direction::Forward) == flow.first_went_up;
        let (client_end, server) = key.ends(client_went_up);
        let proxy = match &flow.stage {
            Stage::Watching(dialogue) => dialogue.proxy().cloned().map(Box::new),
            Stage::Handshake(_) | Stage::Done { .. } => None,
        };
        Self {
            proxy,
            time: flow.first_seen,
            source: None,
            flow_id: key.id(flow.first_seen),
            client: client_end,
            server,
            marks: flow.marks(client),
            what,
        }
    }

    pub(super) const fn ends(&self) -> [Endpoint; 2] {
        [self.client, self.server]
    }

    fn into_event(self) -> NotTls {
        let mut starttls_offered = None;
        let (kind, starttls, message) = match self.what {
            What::Plaintext {
                opening,
                is_from_client: true,
            } => {
                let message = format!("client sent {opening} where TLS was expected");
                (NotTlsKind::Plaintext, None, message)
            }
            What::Plaintext { opening, .. } => {
                let message = format!("server sent {opening} before any TLS");
                (NotTlsKind::Plaintext, None, message)
            }
            What::Silent => {
                let message = "closed before either side sent a byte".to_owned();
                (NotTlsKind::SilentProbe, None, message)
            }
            What::Untaken(untaken) => {
                starttls_offered = untaken.is_offered;
                let starttls = Some(untaken.starttls);
                (NotTlsKind::Plaintext, starttls, untaken.to_string())
            }
            What::Refused(refusal) => (
                NotTlsKind::StartTlsRefused,
                refusal.starttls,
                refusal.to_string(),
            ),
        };
        NotTls {
            source: self.source,
            flow_id: self.flow_id,
            starttls,
            starttls_offered,
            proxy: self.proxy,
            message,
            ..NotTls::new(self.time, self.client, self.server, kind)
        }
    }
}

/// Servers remembered for speaking TLS from the first byte: those of a large network. The oldest leave first.
const MAX_TLS_SERVERS: usize = 1 << 14;
/// Servers of which plain connections wait, and connections of each: of some 150 bytes, so at most 10 MB in all.
const MAX_PLAIN_SERVERS: usize = 1 << 11;
const MAX_WAITING: usize = 32;

/// Which servers speak TLS, and the plain connections to those of which that is not known yet.
#[derive(Debug, Default)]
pub(super) struct TlsServers {
    servers: HashMap<Endpoint, Server, RandomState>,
    /// In the order in which they came, for those that are known to speak TLS and for the others.
    tls: VecDeque<Endpoint>,
    plain: VecDeque<Endpoint>,
    /// Connections that were worth a report, and had to be dropped before that was known.
    pub(super) forgotten: u64,
}

#[derive(Debug)]
enum Server {
    Tls,
    Plain {
        waiting: Vec<PlainConnection>,
        dropped: u64,
    },
}

impl TlsServers {
    /// Notes that a server speaks TLS from the first byte; hands out the connections that waited for that.
    pub(super) fn note(&mut self, server: Endpoint, report: &mut impl FnMut(NotTls)) {
        match self.servers.insert(server, Server::Tls) {
            Some(Server::Tls) => return,
            Some(Server::Plain { waiting, dropped }) => {
                self.forgotten += dropped;
                waiting
                    .into_iter()
                    .for_each(|plain| report(plain.into_event()));
            }
            None => {}
        }
        self.tls.push_back(server);
        if self.tls.len() > MAX_TLS_SERVERS
            && let Some(oldest) = self.tls.pop_front()
        {
            self.servers.remove(&oldest);
        }
    }

    /// Takes a connection without TLS: reports it now, or once its server turns out to speak TLS.
    pub(super) fn take(&mut self, connection: PlainConnection, report: &mut impl FnMut(NotTls)) {
        if matches!(connection.what, What::Refused(_) | What::Untaken(_)) {
            return report(connection.into_event());
        }
        let server = connection.server;
        if let Some(server) = self.servers.get_mut(&server) {
            match server {
                Server::Tls => report(connection.into_event()),
                Server::Plain { waiting, .. } if waiting.len() < MAX_WAITING => {
                    waiting.push(connection);
                }
                Server::Plain { dropped, .. } => *dropped += 1,
            }
            return;
        }
        self.plain.push_back(server);
        if self.plain.len() > MAX_PLAIN_SERVERS
            && let Some(oldest) = self.plain.pop_front()
            && matches!(self.servers.get(&oldest), Some(Server::Plain { .. }))
        {
            self.servers.remove(&oldest);
        }
        let waiting = Server::Plain {
            waiting: vec![connection],
            dropped: 0,
        };
        self.servers.insert(server, waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(host: u32, port: u16) -> Endpoint {
        Endpoint::new(std::net::Ipv4Addr::from(host).into(), port)
    }

    fn silent(number: u64, server: Endpoint) -> PlainConnection {
        PlainConnection {
            time: Timestamp::from_seconds(1),
            source: None,
            flow_id: number,
            client: endpoint(1, 50_000),
            server,
            marks: WireMarks::UNKNOWN,
            proxy: None,
            what: What::Silent,
        }
    }

    /// The flows that are reported when `servers` does what `act` says.
    fn reported(
        servers: &mut TlsServers,
        act: impl FnOnce(&mut TlsServers, &mut dyn FnMut(NotTls)),
    ) -> Vec<u64> {
        let mut flows = Vec::new();
        act(servers, &mut |event| flows.push(event.flow_id));
        flows
    }

    fn take(servers: &mut TlsServers, number: u64, server: Endpoint) -> Vec<u64> {
        reported(servers, |servers, mut report| {
            servers.take(silent(number, server), &mut report);
        })
    }

    fn note(servers: &mut TlsServers, server: Endpoint) -> Vec<u64> {
        reported(servers, |servers, mut report| {
            servers.note(server, &mut report)
        })
    }

    #[test]
    fn plain_connections_wait_until_their_server_speaks_tls() {
        let mut servers = TlsServers::default();
        let (tls, plain) = (endpoint(2, 443), endpoint(2, 80));
        assert_eq!(take(&mut servers, 1, tls), [0_u64; 0]);
        assert_eq!(take(&mut servers, 2, plain), [0_u64; 0]);
        assert_eq!(note(&mut servers, tls), [1]);
        assert_eq!(take(&mut servers, 3, tls), [3]);
        assert_eq!(take(&mut servers, 4, plain), [0_u64; 0]);
        assert_eq!(note(&mut servers, tls), [0_u64; 0]);
    }

    #[test]
    fn a_flood_of_servers_and_connections_stays_within_the_limits_and_is_counted_where_it_matters()
    {
        let mut servers = TlsServers::default();
        let busy = endpoint(2, 443);
        for number in 0..100 {
            take(&mut servers, number, busy);
        }
        assert_eq!(note(&mut servers, busy).len(), MAX_WAITING);
        assert_eq!(servers.forgotten, 100 - MAX_WAITING as u64);
        for host in 0..100_000 {
            take(&mut servers, 0, endpoint(host, 80));
            note(&mut servers, endpoint(host, 443));
        }
        assert!(servers.servers.len() <= MAX_TLS_SERVERS + MAX_PLAIN_SERVERS);
    }
}

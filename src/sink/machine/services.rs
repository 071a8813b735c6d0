//! The TLS services of a run: where they listen, what they negotiated, and which certificates they showed.
//!
//! A service is a name and a port, whatever the addresses behind it; without a usable name, an address and a port. Only servers
//! that answered count: a hello without an answer shows what a client offers, and no service.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::dialogue::StartTls;
use crate::event::{ClientCertificate, Handshake, KeyExchangeClass, Outcome, Protocol, Transport};
use crate::flow::Endpoint;
use crate::time::Timestamp;
use crate::tls::{CipherSuite, NamedGroup, ProtocolVersion};

/// Most services; handshakes of further ones are only counted.
///
/// As many as [`MAX_CERTIFICATES`](crate::sink::files::inventory::MAX_CERTIFICATES). With all the limits below, an
/// attacker can fill about 100 MiB, at 5 KB each; a real one takes about a kilobyte.
pub(crate) const MAX_SERVICES: usize = 20_000;

/// Most addresses listed for a service: a content delivery network answers from thousands.
const MAX_ADDRESSES: usize = 16;

/// Most combinations of version, cipher suite and group of a service. A server that is configured once has about five.
const MAX_NEGOTIATED: usize = 32;

/// Most certificates listed for a service, issuers included.
const MAX_CERTIFICATES: usize = 16;

/// Longest name in the DNS, in bytes (RFC 1035 §2.3.4).
const MAX_HOST_NAME: usize = 253;

/// Longest label of a name in the DNS, in bytes (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// How often something was seen, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) handshakes: u64,
    pub(crate) first_seen: Timestamp,
    pub(crate) last_seen: Timestamp,
}

impl Tally {
    const EMPTY: Self = Self {
        handshakes: 0,
        first_seen: Timestamp::MAX,
        last_seen: Timestamp::MIN,
    };

    pub(crate) fn record(&mut self, time: Timestamp) {
        self.add(&Self {
            handshakes: 1,
            first_seen: time,
            last_seen: time,
        });
    }

    /// Adds handshakes that `self` does not count yet.
    pub(crate) fn add(&mut self, other: &Self) {
        self.handshakes += other.handshakes;
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// What distinguishes services; at least one of `name` and `address` is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ServiceKey {
    /// The name that clients ask for.
    pub(crate) name: Option<String>,
    /// The server's address; `None` if any address may answer to the name.
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
    /// `tcp`, `udp` (DTLS) or `quic`.
    pub(crate) transport: &'static str,
}

impl ServiceKey {
    fn of(event: &Handshake, has_address: bool) -> Self {
        let name = event.tls.server_name.as_deref().and_then(host_name);
        let has_address = has_address || name.is_none();
        Self {
            name,
            address: has_address.then_some(event.server.address),
            port: event.server.port,
            // DTLS and QUIC may share a port.
            transport: match event.protocol {
                Protocol::Quic => Protocol::Quic.as_str(),
                _ => event.transport.as_str(),
            },
        }
    }

    /// Whether it answers over TCP.
    pub(crate) fn is_tcp(&self) -> bool {
        self.transport == Transport::Tcp.as_str()
    }

    /// Where it is to be reached: `192.0.2.1:443`, `[2001:db8::1]:443`, or without an address `example.org:443`.
    pub(crate) fn host_and_port(&self) -> String {
        match (self.address, &self.name) {
            (Some(address), _) => Endpoint::new(address, self.port).to_string(),
            (None, name) => format!("{}:{}", name.as_deref().unwrap_or_default(), self.port),
        }
    }
}

/// A server name in lower case and without the final dot; `None` if it cannot be the name of a host.
///
/// Clients send what they like. A name with other characters would be refused by Prometheus, or read as something else: an
/// address as another service than that of clients who name none, and `-rf` as a flag (RFC 1123 §2.1 forbids the hyphen there).
fn host_name(server_name: &str) -> Option<String> {
    let name = server_name.strip_suffix('.').unwrap_or(server_name);
    let is_label = |label: &str| {
        let mut bytes = label.bytes();
        (1..=MAX_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let is_address = name.parse::<IpAddr>().is_ok();
    (name.len() <= MAX_HOST_NAME && !is_address && name.split('.').all(is_label))
        .then(|| name.to_ascii_lowercase())
}

/// One combination that a server selected; the group is `None` where the handshake does not show one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Negotiated {
    pub(crate) version: ProtocolVersion,
    pub(crate) cipher_suite: Option<CipherSuite>,
    pub(crate) group: Option<NamedGroup>,
}

/// Whether a service's certificate can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerCertificate {
    /// At least one handshake showed it.
    Visible,
    /// TLS 1.3 encrypts it, and there were no keys.
    Hidden,
    /// Sessions were resumed, a shared key was used, or the handshakes ended too early.
    NotSeen,
}

impl ServerCertificate {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Visible => "visible",
            Self::Hidden => "hidden",
            Self::NotSeen => "not_seen",
        }
    }
}

/// What is known of one service.
#[derive(Debug, Default)]
pub(crate) struct Service {
    /// Handshakes that the server answered.
    pub(crate) seen: Tally,
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// Whether there were more addresses.
    pub(crate) has_more_addresses: bool,
    pub(crate) starttls: Option<StartTls>,
    pub(crate) protocol: Option<Protocol>,
    /// In the order of [`Outcome::ALL`].
    pub(crate) outcomes: [u64; 3],
    /// In the order of [`ClientCertificate::ALL`].
    pub(crate) client_certificates: [u64; 5],
    /// In the order of [`KeyExchangeClass::ALL`].
    pub(crate) key_exchanges: [u64; 6],
    pub(crate) resumed: u64,
    pub(crate) negotiated: BTreeMap<Negotiated, Tally>,
    /// Handshakes with combinations that did not fit.
    pub(crate) negotiated_omitted: u64,
    /// SHA-256 of the certificates in the server's chains.
    pub(crate) certificates: BTreeSet<[u8; 32]>,
    /// Whether there were more certificates.
    pub(crate) has_more_certificates: bool,
    /// Handshakes whose certificate is encrypted.
    pub(crate) hidden: u64,
}

impl Service {
    pub(crate) fn server_certificate(&self) -> ServerCertificate {
        if !self.certificates.is_empty() {
            ServerCertificate::Visible
        } else if self.hidden > 0 {
            ServerCertificate::Hidden
        } else {
            ServerCertificate::NotSeen
        }
    }

    /// The versions negotiated, the oldest first.
    pub(crate) fn versions(&self) -> BTreeSet<ProtocolVersion> {
        self.negotiated.keys().map(|all| all.version).collect()
    }

    fn record(&mut self, event: &Handshake, version: ProtocolVersion) {
        self.seen.record(event.time);
        let address = event.server.address;
        self.has_more_addresses |= !insert(&mut self.addresses, address, MAX_ADDRESSES);
        self.starttls = self.starttls.or(event.starttls);
        self.protocol = self.protocol.or(Some(event.protocol));
        count(&mut self.outcomes, Outcome::ALL, event.outcome);
        let client_certificate = event.tls.client_certificate;
        count(
            &mut self.client_certificates,
            ClientCertificate::ALL,
            client_certificate,
        );
        let key_exchange = event.tls.key_exchange();
        count(&mut self.key_exchanges, KeyExchangeClass::ALL, key_exchange);
        self.resumed += u64::from(event.tls.resumed == Some(true));
        let negotiated = Negotiated {
            version,
            cipher_suite: event.tls.cipher_suite,
            group: event.tls.group,
        };
        let is_full = self.negotiated.len() >= MAX_NEGOTIATED;
        match self.negotiated.get_mut(&negotiated) {
            Some(tally) => tally.record(event.time),
            None if is_full => self.negotiated_omitted += 1,
            None => self
                .negotiated
                .entry(negotiated)
                .or_default()
                .record(event.time),
        }
        match event.server_certificates.as_deref() {
            Some(chain) => {
                for certificate in chain {
                    let sha256 = certificate.sha256;
                    self.has_more_certificates |=
                        !insert(&mut self.certificates, sha256, MAX_CERTIFICATES);
                }
            }
            None => {
                let is_encrypted = version.is_tls13();
                self.hidden += u64::from(is_encrypted && event.tls.resumed != Some(true));
            }
        }
    }
}

/// Returns whether the set now has the value.
fn insert<T: Ord>(set: &mut BTreeSet<T>, value: T, limit: usize) -> bool {
    if set.len() < limit {
        set.insert(value);
        return true;
    }
    set.contains(&value)
}

fn count<T: PartialEq, const N: usize>(counts: &mut [u64; N], all: &[T], value: T) {
    let position = all.iter().position(|known| *known == value);
    if let Some(counted) = position.and_then(|position| counts.get_mut(position)) {
        *counted += 1;
    }
}

/// The services of a run, ordered by name.
#[derive(Debug)]
pub(crate) struct Services {
    services: BTreeMap<ServiceKey, Service>,
    capacity: usize,
    /// Whether the addresses behind one name are services of their own.
    by_address: bool,
    /// Handshakes of services that did not fit.
    pub(crate) omitted: u64,
    /// Handshakes that no server answered.
    pub(crate) unanswered: u64,
}

impl Default for Services {
    fn default() -> Self {
        Self::with_capacity(MAX_SERVICES)
    }
}

impl Services {
    /// Holds at most `capacity` services.
    pub(crate) const fn with_capacity(capacity: usize) -> Self {
        Self {
            services: BTreeMap::new(),
            capacity,
            by_address: false,
            omitted: 0,
            unanswered: 0,
        }
    }

    /// Makes each address behind a name a service of its own.
    pub(crate) fn by_address() -> Self {
        Self {
            by_address: true,
            ..Self::default()
        }
    }

    pub(crate) fn record(&mut self, event: &Handshake) {
        let Some(version) = event.tls.version else {
            self.unanswered += 1;
            return;
        };
        let key = ServiceKey::of(event, self.by_address);
        let is_full = self.services.len() >= self.capacity;
        match self.services.get_mut(&key) {
            Some(service) => service.record(event, version),
            None if is_full => self.omitted += 1,
            None => self.services.entry(key).or_default().record(event, version),
        }
    }

    /// Drops the services that are not `wanted`.
    #[cfg_attr(not(feature = "otel"), expect(dead_code, reason = "for live metrics"))]
    pub(crate) fn retain(&mut self, wanted: impl Fn(&Service) -> bool) {
        self.services.retain(|_, service| wanted(service));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ServiceKey, &Service)> {
        self.services.iter()
    }
}

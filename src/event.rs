//! What the library tells the world: plain data, one [`Handshake`] for each TLS handshake.
//!
//! Nothing here knows how it will be printed: [`crate::sink`] serialises through
//! structs of its own.
//!
//! `None` always means that the capture does not tell; an empty list means that
//! it was seen to be empty.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::capture::PacketBuffer;
use crate::certificate::OcspStaple;
use crate::flow::{Endpoint, IpProtocol, community_id};
use crate::time::Timestamp;
use crate::tls::{
    AlertDescription, AlertLevel, CipherSuite, ContentType, Fingerprint, HandshakeType,
    KeyExchange, NamedGroup, ProtocolVersion, SignatureScheme,
};

pub use crate::certificate::{CertificateChain, CertificateNote, Clause, Finding, NoteKind};
pub use crate::decode::Tunnel;
pub use crate::dialogue::{Proxy, ProxyEndpoint, ProxyKind, StartTls};
pub use crate::error_type::ErrorType;
pub use crate::flow::Side;
pub use crate::transport::quic::QuicClose;

/// One TLS handshake, from its first byte in view to its verdict.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Handshake {
    /// Packet time of the first byte of the ClientHello, or of the first handshake byte seen.
    pub time: Timestamp,
    /// The file or interface that the first packet came from.
    pub source: Arc<str>,
    /// Identifies the connection within a run: equal for all handshakes on one connection, and for each run over the same packets.
    pub flow_id: u64,
    /// What carries the handshake.
    pub transport: Transport,
    /// Which protocol's framing the handshake uses.
    pub protocol: Protocol,
    /// The sender of the ClientHello.
    pub client: Endpoint,
    /// The peer of the sender of the ClientHello.
    pub server: Endpoint,
    /// 802.1Q VLAN identifiers of the first handshake packet, outermost first.
    pub vlan: Vec<u16>,
    /// Tunnels around the first handshake packet that is in one, outermost first.
    pub tunnel: Vec<Tunnel>,
    /// The protocol in which TLS was negotiated in plain text.
    pub starttls: Option<StartTls>,
    /// The proxy that the connection goes through, or comes from.
    pub proxy: Option<Box<Proxy>>,
    /// What EAP says around the handshake; `None` unless the protocol is EAP.
    pub eap: Option<Box<EapFacts>>,
    /// How it ended.
    pub outcome: Outcome,
    /// What the outcome is based on.
    pub evidence: Evidence,
    /// Share of such verdicts that are right, measured on labelled captures: 1 unless inferred. `None` if the outcome is
    /// unknown.
    pub confidence: Option<f64>,
    /// How an inferred outcome was reached.
    pub inference: Option<Inference>,
    /// Why it failed and whose doing that was; present for failures only.
    pub error: Option<HandshakeError>,
    /// That a side refused its peer once the handshake had completed; the outcome is a success then.
    pub rejected_after: Option<Box<RejectedAfter>>,
    /// Which evidence is missing; present for unknown outcomes only.
    pub unknown_because: Option<UnknownBecause>,
    /// Whether the client closed the connection as those do that refuse a certificate without a word, as far as that shows
    /// before the chain is validated. `None` if how soon it closed is not known. Not for output: `error` is what follows from it.
    pub(crate) left_at_certificate: Option<bool>,
    /// Whether the server sent a session ticket before its first answer, after a TLS 1.3 handshake without resumption, as far as the
    /// records show. Not for output: it says what to expect of the server elsewhere.
    pub(crate) has_sent_ticket: Option<bool>,
    /// The alerts seen, in order of arrival.
    pub alerts: Vec<Alert>,
    /// How the connection ended, where that was seen before this event was made.
    pub closed_by: Option<ClosedBy>,
    /// What was negotiated.
    pub tls: TlsFacts,
    /// How long each phase took.
    pub timing: Timing,
    /// JA3, JA3S and JA4; empty if the observer is configured not to compute them.
    pub fingerprint: Fingerprint,
    /// The chain that the server showed, leaf first, as sent.
    pub server_certificates: Option<CertificateChain>,
    /// The chain that the client showed, leaf first, as sent.
    pub client_certificates: Option<CertificateChain>,
    /// Faults of the presented certificates.
    pub validation: Vec<Finding>,
    /// What is odd about the chains shown, and no reason to refuse them.
    pub notes: Vec<CertificateNote>,
    /// The moment at which certificates were judged: packet time unless the user chose another.
    pub judged_at: Timestamp,
    /// How well the capture saw this handshake.
    pub capture: CaptureFacts,
    /// The file that its packets were saved to.
    pub saved_to: Option<Arc<str>>,
    /// The process behind the client, if it runs on the observing host and was asked for; `None` if it was not found.
    pub client_process: Option<Box<LocalProcess>>,
    /// The process behind the server, as for the client.
    pub server_process: Option<Box<LocalProcess>>,
}

impl Handshake {
    /// Makes the outcome unknown: what it rested on can mean something else.
    pub(crate) fn retract(&mut self, because: UnknownBecause) {
        self.outcome = Outcome::Unknown;
        self.unknown_because = Some(because);
        (self.confidence, self.inference, self.error) = (None, None, None);
    }

    /// Bytes of memory that it takes, roughly, without certificates: events share those.
    #[cfg(feature = "cli")]
    pub(crate) fn allocated(&self) -> usize {
        fn list<T, L: Deref<Target = [T]>>(list: &Option<L>) -> usize {
            list.as_deref().map_or(0, size_of_val)
        }
        let texts = |texts: &Option<Vec<String>>| {
            let lengths = texts.iter().flatten().map(|text| text.len().max(8));
            list(texts) + lengths.sum::<usize>()
        };
        let tls = &self.tls;
        // Nearly all are shared with other events, or made of numbers.
        let findings = self.validation.len() * size_of::<Finding>();
        let notes = self.notes.len() * size_of::<CertificateNote>();
        let proxy = self.proxy.as_ref().map_or(0, |proxy| {
            let ends = [&proxy.client, &proxy.server].into_iter().flatten();
            crate::memory::boxed::<Proxy>() + ends.map(|end| end.address.len()).sum::<usize>()
        });
        let error = self.error.as_ref().map_or(0, |error| {
            error.message.len() + error.hint.as_ref().map_or(0, String::len)
        });
        // Messages and fingerprints.
        const TEXTS: usize = 256;
        crate::memory::boxed::<Self>()
            + TEXTS
            + self.alerts.len() * size_of::<Alert>()
            + tls.server_name.as_ref().map_or(0, |name| name.len())
            + self.eap.as_ref().map_or(0, |eap| eap.allocated())
            + texts(&tls.alpn_offered)
            + texts(&tls.certificate_authorities)
            + list(&tls.offered_versions)
            + list(&tls.offered_cipher_suites)
            + list(&tls.sslv2_cipher_specs)
            + list(&tls.offered_groups)
            + list(&tls.key_share_groups)
            + list(&tls.signature_algorithms)
            + findings
            + notes
            + proxy
            + error
    }

    /// A handshake of which only its beginning is known: verdict unknown, all else not seen.
    #[must_use]
    pub fn new(time: Timestamp, client: Endpoint, server: Endpoint) -> Self {
        Self {
            time,
            source: Arc::default(),
            flow_id: 0,
            transport: Transport::Tcp,
            protocol: Protocol::Tls,
            client,
            server,
            vlan: Vec::new(),
            tunnel: Vec::new(),
            starttls: None,
            proxy: None,
            eap: None,
            outcome: Outcome::Unknown,
            evidence: Evidence::Observed,
            confidence: None,
            inference: None,
            error: None,
            rejected_after: None,
            unknown_because: None,
            left_at_certificate: Some(false),
            has_sent_ticket: None,
            alerts: Vec::new(),
            closed_by: None,
            tls: TlsFacts::default(),
            timing: Timing::default(),
            fingerprint: Fingerprint::default(),
            server_certificates: None,
            client_certificates: None,
            validation: Vec::new(),
            notes: Vec::new(),
            judged_at: time,
            capture: CaptureFacts::default(),
            saved_to: None,
            client_process: None,
            server_process: None,
        }
    }

    /// Corelight Community ID, version 1, seed 0.
    #[must_use]
    pub fn community_id(&self) -> String {
        community_id(self.client, self.server, self.transport.ip_protocol())
    }
}

/// Who holds the socket at one end of a handshake, as far as the observing host tells. A socket whose control group is known may be
/// without a process, and the other way round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalProcess {
    /// The process, in the PID namespace of the observer.
    pub pid: Option<u32>,
    /// Its name, of at most 15 bytes, as `ps` and `ss` show it (`/proc/PID/comm`).
    pub command: Option<Arc<str>>,
    /// Where it belongs.
    pub workload: Option<Arc<Workload>>,
}

impl LocalProcess {
    /// A process about which nothing is known.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            pid: None,
            command: None,
            workload: None,
        }
    }

    /// The shortest name that leads to it: the command, with its number; else the unit, the container or the control group.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        match (&self.command, self.pid) {
            (Some(command), Some(pid)) => Some(format!("{command}[{pid}]")),
            (Some(command), None) => Some(command.to_string()),
            (None, Some(pid)) => Some(format!("[{pid}]")),
            (None, None) => self.workload.as_ref().map(|workload| workload.name()),
        }
    }
}

/// A control group, and what its path says about the container or the unit in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Workload {
    /// Its path in the hierarchy, as in `/system.slice/nginx.service`.
    pub cgroup: String,
    /// The container, by its full identifier.
    pub container_id: Option<String>,
    /// The Kubernetes pod of the container, by its UID.
    pub pod_uid: Option<String>,
    /// The systemd unit: a service, or the scope of a session, an application or a machine.
    pub unit: Option<String>,
}

impl Workload {
    /// A control group about which only the path is known.
    #[must_use]
    pub const fn new(cgroup: String) -> Self {
        Self {
            cgroup,
            container_id: None,
            pod_uid: None,
            unit: None,
        }
    }

    /// The container by the 12 digits that `docker ps` shows, else the unit, else the path.
    #[must_use]
    pub fn name(&self) -> String {
        const SHORT: usize = 12;
        let container = self.container_id.as_deref();
        let short = container.map(|id| id.get(..SHORT).unwrap_or(id));
        short
            .or(self.unit.as_deref())
            .unwrap_or(&self.cgroup)
            .to_owned()
    }
}

/// What an observer reports.
///
/// With the feature `serde` it serialises as a line of `tlscope read --format json`, which `tlscope schema` describes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A TLS handshake.
    Handshake(Box<Handshake>),
    /// A connection without TLS where TLS was to be expected.
    NotTls(NotTls),
}

impl Event {
    /// The handshake, if it is one.
    #[must_use]
    pub fn handshake(&self) -> Option<&Handshake> {
        match self {
            Self::Handshake(handshake) => Some(handshake),
            Self::NotTls(_) => None,
        }
    }

    /// The handshake, if it is one and failed, with the reason.
    #[must_use]
    pub fn failure(&self) -> Option<(&Handshake, &HandshakeError)> {
        let handshake = self.handshake()?;
        Some((handshake, handshake.error.as_ref()?))
    }
}

/// A connection to a TLS port that did not become TLS, or on which TLS was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotTls {
    /// Packet time of the first packet of the connection.
    pub time: Timestamp,
    /// The file or interface that its packets came from, if it is known: that of the first packet after the SYN.
    pub source: Option<Arc<str>>,
    /// Identifies the connection within a run, as [`Handshake::flow_id`] does.
    pub flow_id: u64,
    /// What came instead of TLS.
    pub kind: NotTlsKind,
    /// The side that opened the connection, or asked for TLS.
    pub client: Endpoint,
    /// Its peer.
    pub server: Endpoint,
    /// The protocol in which TLS is negotiated; `None` if a proxy refused, and on ports where TLS is spoken from the first byte.
    pub starttls: Option<StartTls>,
    /// Whether the server offered TLS in that protocol; `None` if that is not known.
    pub starttls_offered: Option<bool>,
    /// The proxy that the connection goes through, or comes from.
    pub proxy: Option<Box<Proxy>>,
    /// One clause for people, with the first bytes or the refusal in quotes; safe for a terminal.
    pub message: String,
}

impl NotTls {
    /// An event about which only the connection and the kind are known.
    #[must_use]
    pub const fn new(
        time: Timestamp,
        client: Endpoint,
        server: Endpoint,
        kind: NotTlsKind,
    ) -> Self {
        Self {
            time,
            source: None,
            flow_id: 0,
            kind,
            client,
            server,
            starttls: None,
            starttls_offered: None,
            proxy: None,
            message: String::new(),
        }
    }

    /// Corelight Community ID, version 1, seed 0.
    #[must_use]
    pub fn community_id(&self) -> String {
        community_id(self.client, self.server, IpProtocol::Tcp)
    }

    /// The failure that it is; `None` if nobody was refused: a probe sends nothing, and a client that did not ask for TLS
    /// has what it wants.
    #[must_use]
    pub const fn error_type(&self) -> Option<ErrorType> {
        match (self.kind, self.starttls) {
            (NotTlsKind::StartTlsRefused, _) => Some(ErrorType::StartTlsRefused),
            (NotTlsKind::Plaintext, None) => Some(ErrorType::NotTls),
            (NotTlsKind::Plaintext, Some(_)) | (NotTlsKind::SilentProbe, _) => None,
        }
    }
}

text_enum! {
    /// What came instead of TLS.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum NotTlsKind {
        /// Something else than TLS: on a port where TLS is spoken from the first byte, or in a protocol that could have
        /// negotiated it.
        Plaintext = "plaintext",
        /// The client asked for TLS in plain text, and the server refused.
        StartTlsRefused = "starttls_refused",
        /// The connection was closed before any byte, on a port where TLS is spoken.
        SilentProbe = "silent_probe",
    }
}

/// A handshake as it leaves the observer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HandshakeReport {
    /// The event.
    pub event: Handshake,
    /// The packets of a failed handshake, if the observer retains them.
    pub packets: Option<Box<PacketBuffer>>,
    /// Its steps, if the observer collects them.
    pub ladder: Option<Box<Ladder>>,
    /// By what another view of the same connection is recognised.
    pub(crate) identity: Identity,
}

/// By what copies of a connection are recognised, and what it says about its server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The random of the ClientHello.
    pub(crate) client_random: Option<[u8; 32]>,
    /// The random of the ServerHello.
    pub(crate) server_random: Option<[u8; 32]>,
    pub(crate) marks: WireMarks,
    /// Whether TLS came after something else.
    pub(crate) is_upgraded: bool,
}

/// What packets of a connection carry that NAT and mirrors keep, or change in a known way: of the client first, as far as it is
/// known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WireMarks {
    /// The sequence numbers with which both sides began. NAT keeps them.
    pub(crate) first_bytes: [Option<u32>; 2],
    /// Hop limits (IPv4's time to live). A router takes one off as it forwards, and NAT is done by routers.
    pub(crate) hop_limits: [Option<u8>; 2],
}

impl WireMarks {
    pub(crate) const UNKNOWN: Self = Self {
        first_bytes: [None; 2],
        hop_limits: [None; 2],
    };

    /// Whether a router lies between two views of a connection: then their hop limits differ.
    pub(crate) fn is_forwarded(&self, other: &Self) -> bool {
        let mut limits = self.hop_limits.iter().zip(other.hop_limits);
        limits.any(|(own, other)| own.is_some() && other.is_some() && *own != other)
    }
}

impl HandshakeReport {
    /// A report without packets and steps.
    #[must_use]
    #[inline]
    pub const fn new(event: Handshake) -> Self {
        Self {
            event,
            packets: None,
            ladder: None,
            identity: Identity {
                client_random: None,
                server_random: None,
                marks: WireMarks::UNKNOWN,
                is_upgraded: false,
            },
        }
    }
}

/// What each side of a handshake sent, step by step, as far as the event rests on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ladder {
    /// The steps, in the order in which they were understood. That is the order of packets, except where a segment was
    /// missing at first.
    pub steps: Vec<LadderStep>,
    /// Steps that followed and were not kept, because of a limit.
    pub omitted: u32,
}

/// One step of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LadderStep {
    /// Packet time of its first byte; of the last byte of its record, for messages that keys opened. That of a gap is the
    /// packet at which tlscope stopped waiting for it.
    pub time: Timestamp,
    /// The file or interface that its packet came from.
    pub source: Arc<str>,
    /// The number of that packet within its source, from 1.
    pub packet: u64,
    /// Who sent it; for a gap, who sent what the capture lacks.
    pub sender: Side,
    /// What it is.
    pub kind: StepKind,
    /// Bytes of a message with its header, of a record without its header, or of a gap. `None` for closes, and for the hellos of
    /// SSLv2.
    pub bytes: Option<u32>,
    /// Whether it was encrypted on the wire.
    pub encrypted: bool,
}

/// What a step of a handshake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepKind {
    /// A handshake message. Up to TLS 1.2, the first encrypted one of each side counts as Finished.
    Message(HandshakeType),
    /// The beginning of a handshake message, the rest of which is not in the capture.
    PartialMessage(HandshakeType),
    /// A record of type `change_cipher_spec`.
    ChangeCipherSpec,
    /// An alert; `None` if it is encrypted.
    Alert(Option<(AlertLevel, AlertDescription)>),
    /// A record of application data.
    ApplicationData,
    /// An encrypted record whose content is not visible, with the type in its header: of type `application_data`, TLS 1.3
    /// sends handshake messages, alerts and application data alike.
    Record(ContentType),
    /// Bytes that the capture lacks.
    Gap,
    /// Bytes that are not TLS; the rest of the direction was ignored.
    NotTls,
    /// The sender closed the connection.
    Fin,
    /// The sender reset the connection.
    Rst,
    /// A Handshake packet of QUIC whose content is not visible.
    HandshakePacket,
    /// A 1-RTT packet of QUIC whose content is not visible.
    OneRttPacket,
    /// A Retry packet of QUIC: the server wants the client's address proven.
    Retry,
    /// A Version Negotiation packet of QUIC: the server does not support the client's version.
    VersionNegotiation,
    /// A CONNECTION_CLOSE frame of QUIC that could be read.
    ConnectionClose(QuicClose),
    /// ICMP reports that a datagram of the peer was not delivered, for this reason.
    Undeliverable(&'static str),
    /// A login over EAP was accepted: by RADIUS, or on a link without it by EAP.
    Accepted(Transport),
    /// A login over EAP was rejected.
    Rejected(Transport),
}

impl std::fmt::Display for StepKind {
    /// A name for people, as in `ClientHello`, `Alert unknown_ca (fatal)` or `encrypted record`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Message(handshake_type) => f.write_str(&handshake_type.message_name()),
            Self::PartialMessage(handshake_type) => {
                write!(f, "{} (incomplete)", handshake_type.message_name())
            }
            Self::ChangeCipherSpec => f.write_str("ChangeCipherSpec"),
            Self::Alert(None) => f.write_str("Alert"),
            Self::Alert(Some((level, description))) => write!(f, "Alert {description} ({level})"),
            Self::ApplicationData => f.write_str("application data"),
            Self::Record(ContentType::ApplicationData) => f.write_str("encrypted record"),
            Self::Record(content_type) => write!(f, "encrypted record, {content_type}"),
            Self::Gap => f.write_str("gap in the capture"),
            Self::NotTls => f.write_str("not TLS"),
            Self::Fin => f.write_str("TCP FIN"),
            Self::Rst => f.write_str("TCP RST"),
            Self::HandshakePacket => f.write_str("Handshake packet"),
            Self::OneRttPacket => f.write_str("1-RTT packet"),
            Self::Retry => f.write_str("Retry"),
            Self::VersionNegotiation => f.write_str("Version Negotiation"),
            Self::ConnectionClose(close) => write!(f, "CONNECTION_CLOSE {close}"),
            Self::Undeliverable(reason) => write!(f, "ICMP {reason}"),
            Self::Accepted(Transport::Eapol) => f.write_str("EAP-Success"),
            Self::Accepted(_) => f.write_str("Access-Accept"),
            Self::Rejected(Transport::Eapol) => f.write_str("EAP-Failure"),
            Self::Rejected(_) => f.write_str("Access-Reject"),
        }
    }
}

text_enum! {
    /// What carries the handshake.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Transport {
        /// TLS, whatever precedes it.
        Tcp = "tcp",
        /// DTLS, QUIC, and EAP in RADIUS.
        Udp = "udp",
        /// EAP on a link without IP (IEEE 802.1X): ports are 0, and addresses are the link-local ones that follow from the hardware
        /// addresses (RFC 4291 appendix A).
        Eapol = "eapol",
    }
}

impl Transport {
    /// The IP protocol that carries it.
    #[must_use]
    pub const fn ip_protocol(self) -> IpProtocol {
        match self {
            Self::Tcp => IpProtocol::Tcp,
            Self::Udp | Self::Eapol => IpProtocol::Udp,
        }
    }
}

text_enum! {
    /// Which protocol's framing the handshake uses.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Protocol {
        /// SSL or TLS.
        Tls = "tls",
        /// DTLS.
        Dtls = "dtls",
        /// TLS 1.3 inside QUIC (RFC 9001).
        Quic = "quic",
        /// TLS inside EAP: EAP-TLS, EAP-TTLS, PEAP.
        Eap = "eap",
    }
}

/// What EAP says around a handshake, and RADIUS if that carries it.
///
/// Names are as the packets have them, and not to be relied on: the user's is outside of the tunnel, often only a realm, and
/// each can be forged until the handshake has succeeded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EapFacts {
    /// The method that carries TLS.
    pub method: Option<EapMethod>,
    /// How the conversation ended; `None` if its end was not seen.
    pub result: Option<EapResult>,
    /// The user's name outside of the tunnel: User-Name of RADIUS, or the identity in EAP.
    pub user_name: Option<String>,
    /// The device that logs in, mostly its hardware address: Calling-Station-Id of RADIUS, or the address in the frame.
    pub calling_station_id: Option<String>,
    /// The access point or switch, mostly its hardware address and the network's name: Called-Station-Id of RADIUS, or the
    /// address in the frame.
    pub called_station_id: Option<String>,
    /// NAS-Identifier of RADIUS.
    pub nas_identifier: Option<String>,
}

impl EapFacts {
    /// Bytes of memory that it takes.
    #[cfg(feature = "cli")]
    fn allocated(&self) -> usize {
        let texts = [
            &self.user_name,
            &self.calling_station_id,
            &self.called_station_id,
            &self.nas_identifier,
        ];
        let texts = texts.into_iter().flatten().map(String::len);
        crate::memory::boxed::<Self>() + texts.sum::<usize>()
    }
}

text_enum! {
    /// An EAP method that carries TLS.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum EapMethod {
        /// EAP-TLS (RFC 5216, RFC 9190).
        Tls = "tls",
        /// EAP-TTLS (RFC 5281).
        Ttls = "ttls",
        /// PEAP.
        Peap = "peap",
        /// EAP-FAST (RFC 4851).
        Fast = "fast",
        /// TEAP (RFC 7170).
        Teap = "teap",
    }
}

text_enum! {
    /// How a login over EAP ended.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum EapResult {
        /// Access-Accept, or EAP-Success.
        Accept = "accept",
        /// Access-Reject, or EAP-Failure.
        Reject = "reject",
    }
}

text_enum! {
    /// How a handshake ended.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Outcome {
        /// Both sides completed it.
        Success = "success",
        /// One side gave up.
        Failure = "failure",
        /// The evidence does not carry a verdict.
        Unknown = "unknown",
    }
}

text_enum! {
    /// On what an outcome rests.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Evidence {
        /// Bytes that were in the clear, and the way the connection ended.
        Observed = "observed",
        /// Lengths, directions, order and time of encrypted records.
        Inferred = "inferred",
        /// Records decrypted with keys that the user gave.
        Decrypted = "decrypted",
    }
}

/// How an inferred outcome was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inference {
    /// The rule that fitted, as in `P1`.
    pub rule: &'static str,
    /// What was seen, in the order in which it counts.
    pub observations: Cow<'static, [&'static str]>,
}

/// Why a handshake failed, and which side gave up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeError {
    /// The class of the error.
    pub error_type: ErrorType,
    /// The side that gave up; `None` if neither can be named.
    pub side: Option<Side>,
    /// One clause for people.
    pub message: String,
    /// The next step, in one sentence; `None` unless the evidence supports one.
    pub hint: Option<String>,
}

impl HandshakeError {
    /// An error without a hint: hints follow from the whole event.
    #[must_use]
    pub const fn new(error_type: ErrorType, side: Option<Side>, message: String) -> Self {
        Self {
            error_type,
            side,
            message,
            hint: None,
        }
    }
}

/// A refusal of the peer after the handshake had completed: by the application, or by a library that looks late.
#[derive(Clone, Debug, PartialEq)]
pub struct RejectedAfter {
    /// The class of what was refused.
    pub error_type: ErrorType,
    /// The side that refused its peer.
    pub side: Side,
    /// On what this rests; the handshake itself may rest on something else.
    pub evidence: Evidence,
    /// Share of such claims that are right, measured on labelled captures; 1 unless inferred.
    pub confidence: f64,
    /// What was seen, in the order in which it counts.
    pub observations: Vec<&'static str>,
    /// What to try next, in one sentence; `None` unless the evidence supports it.
    pub hint: Option<String>,
}

/// An alert that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Packet time of its last byte.
    pub time: Timestamp,
    /// Who sent it.
    pub sender: Side,
    /// Warning or fatal; `None` if encrypted.
    pub level: Option<AlertLevel>,
    /// Its code; `None` if encrypted.
    pub description: Option<AlertDescription>,
    /// Whether it was encrypted on the wire.
    pub encrypted: bool,
}

text_enum! {
    /// How a connection ended.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum ClosedBy {
        /// The client's FIN came first.
        ClientFin = "client_fin",
        /// The client's RST came first.
        ClientRst = "client_rst",
        /// The server's FIN came first.
        ServerFin = "server_fin",
        /// The server's RST came first.
        ServerRst = "server_rst",
        /// QUIC's CONNECTION_CLOSE came, from either side.
        QuicClose = "quic_close",
        /// The capture ended first.
        CaptureEnd = "capture_end",
    }
}

text_enum! {
    /// Which evidence an unknown outcome lacks: the first that applies, in this order.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum UnknownBecause {
        /// A limit on memory ended the observation.
        Evicted = "evicted",
        /// Only one direction was captured.
        OneDirection = "one_direction",
        /// The capture begins after the ClientHello.
        NoClientHello = "no_client_hello",
        /// A ServerHello came, and could not be parsed.
        UnreadableServerHello = "unreadable_server_hello",
        /// The capture lacks bytes that the receiver acknowledged.
        Gap = "gap",
        /// The snap length or a limit of tlscope cut packets or messages short.
        Truncated = "truncated",
        /// What followed the hellos could not be parsed as TLS records.
        UnreadableRecords = "unreadable_records",
        /// QUIC: the client asked again, too few times for a verdict, and no answer is in view. The server may be silent, or only the
        /// client was captured.
        NoAnswer = "no_answer",
        /// The last data in view were neither acknowledged nor sent again, as TCP would do: the capture lacks packets.
        LastDataNotAcknowledged = "last_data_not_acknowledged",
        /// The way the connection closed fits a completed handshake as well as a refusal.
        AmbiguousClose = "ambiguous_close",
        /// TLS 1.3 without keys: the records and the silence after them fit a completed handshake as well as a stuck one.
        AmbiguousRecords = "ambiguous_records",
        /// The capture ended while the handshake was still open.
        CaptureEnd = "capture_end",
        /// Another connection took over the addresses and ports.
        Replaced = "replaced",
    }
}

impl UnknownBecause {
    /// The reason in a few words, for people.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::OneDirection => "only one direction was captured",
            Self::NoClientHello => "the capture begins after the ClientHello",
            Self::UnreadableServerHello => "the ServerHello could not be read",
            Self::Gap => "gap in the capture",
            Self::Truncated => "packets cut short",
            Self::UnreadableRecords => "records could not be read",
            Self::NoAnswer => {
                "the client asked again and no answer was captured: a capture at the server would show whether it is silent"
            }
            Self::LastDataNotAcknowledged => {
                "the capture lacks packets: the last data were not acknowledged"
            }
            Self::AmbiguousClose => "closed without a sign of success or refusal",
            Self::AmbiguousRecords => "no sign of success or refusal",
            Self::CaptureEnd => "capture ended first",
            Self::Replaced => "another connection took its addresses and ports",
            Self::Evicted => "dropped at a memory limit",
        }
    }
}

/// What was offered and selected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsFacts {
    /// The version that the server selected (`supported_versions` where present, else its legacy version).
    pub version: Option<ProtocolVersion>,
    /// The cipher suite that the server selected.
    pub cipher_suite: Option<CipherSuite>,
    /// The name in the ClientHello's `server_name` extension (the outer one under ECH).
    pub server_name: Option<Arc<str>>,
    /// The application protocols that the client offers; `None` without the extension or the ClientHello.
    pub alpn_offered: Option<Vec<String>>,
    /// The application protocol that the server selected in the clear.
    pub alpn: Option<Arc<str>>,
    /// The group of the key exchange: the server's key share, or up to TLS 1.2 the ServerKeyExchange's curve.
    pub group: Option<NamedGroup>,
    /// The versions that the client offers, GREASE included; up to TLS 1.2 its legacy version alone. `None`, as for all that
    /// is offered, if that part of the hello was not captured.
    pub offered_versions: Option<Arc<[ProtocolVersion]>>,
    /// The cipher suites that the client offers, GREASE included.
    pub offered_cipher_suites: Option<Arc<[CipherSuite]>>,
    /// The cipher specs of an SSLv2 CLIENT-HELLO, 24 bits each; `None` in a ClientHello of TLS.
    pub sslv2_cipher_specs: Option<Vec<u32>>,
    /// The groups that the client offers, GREASE included.
    pub offered_groups: Option<Arc<[NamedGroup]>>,
    /// The groups of the key shares in the ClientHello, GREASE included.
    pub key_share_groups: Option<Arc<[NamedGroup]>>,
    /// The signature schemes that the client offers, GREASE included.
    pub signature_algorithms: Option<Arc<[SignatureScheme]>>,
    /// Whether an earlier session was resumed.
    pub resumed: Option<bool>,
    /// By what it was resumed.
    pub resumption: Option<Resumption>,
    /// What became of 0-RTT data; `None` if not offered.
    pub early_data: Option<EarlyData>,
    /// Whether the server asked for another ClientHello; `None` if no answer was seen.
    pub hello_retry_request: Option<bool>,
    /// Whether the client offered Encrypted Client Hello (a GREASE offer looks the same); `None` if its end was not seen.
    pub ech_offered: Option<bool>,
    /// What is known about the client's certificate.
    pub client_certificate: ClientCertificate,
    /// The distinguished names in the CertificateRequest, RFC 4514 form; `None` if none was seen in the clear.
    pub certificate_authorities: Option<Vec<String>>,
    /// Whether the server stapled an OCSP response in the clear.
    pub ocsp_stapled: bool,
    /// What that response says, where it can be read.
    pub ocsp_staple: Option<Box<OcspStaple>>,
    /// How many signed certificate timestamps the server sent in a ServerHello extension.
    pub signed_certificate_timestamps: usize,
    /// Whether the handshake completed and the connection closed before any application data.
    pub unused: Option<bool>,
    /// The handshakes that followed inside the connection, up to TLS 1.2; `None` if none was seen.
    pub renegotiation: Option<Renegotiation>,
    /// The order of messages, one letter each, upper case from the client; the documentation of
    /// the module `handshake` lists them.
    pub history: Arc<str>,
}

text_enum! {
    /// How the session keys were agreed on, as an inventory for the post-quantum migration counts it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum KeyExchangeClass {
        /// A classical key exchange joined with one that withstands quantum computers.
        PqHybrid = "pq_hybrid",
        /// One that withstands quantum computers alone.
        Pq = "pq",
        /// Diffie-Hellman, on elliptic curves or not.
        Classical = "classical",
        /// The client encrypted the secret with the server's RSA key: no forward secrecy.
        Rsa = "rsa",
        /// A pre-shared key alone: no forward secrecy.
        Psk = "psk",
        /// The capture does not tell; also sessions resumed up to TLS 1.2, which use the keys of an earlier handshake.
        Unknown = "unknown",
    }
}

impl TlsFacts {
    /// How the session keys were agreed on, by the group or else by the cipher suite.
    #[must_use]
    pub fn key_exchange(&self) -> KeyExchangeClass {
        if let Some(group) = self.group {
            return match group {
                group if group.is_post_quantum_hybrid() => KeyExchangeClass::PqHybrid,
                group if group.is_post_quantum() => KeyExchangeClass::Pq,
                _ => KeyExchangeClass::Classical,
            };
        }
        if self.resumed == Some(true) {
            return match self.resumption {
                Some(Resumption::Psk) => KeyExchangeClass::Psk,
                _ => KeyExchangeClass::Unknown,
            };
        }
        match self.cipher_suite.and_then(CipherSuite::key_exchange) {
            Some(KeyExchange::Rsa | KeyExchange::RsaPsk) => KeyExchangeClass::Rsa,
            Some(KeyExchange::Psk) => KeyExchangeClass::Psk,
            Some(KeyExchange::Cecpq1) => KeyExchangeClass::PqHybrid,
            // In TLS 1.3 the group decides, and it is not known.
            Some(KeyExchange::Tls13 | KeyExchange::Krb5) | None => KeyExchangeClass::Unknown,
            Some(_) => KeyExchangeClass::Classical,
        }
    }
}

/// Handshakes inside an established connection, up to TLS 1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renegotiation {
    /// How many began.
    pub count: u32,
    /// How the last one ended.
    pub ended: RenegotiationEnd,
}

text_enum! {
    /// How a renegotiation ended.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum RenegotiationEnd {
        /// Both sides sent their Finished.
        Completed = "completed",
        /// One side gave up: it sent an alert, or closed the connection.
        Failed = "failed",
        /// It was not taken up, or its end is not in view.
        Open = "open",
    }
}

text_enum! {
    /// By what an earlier session was resumed.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Resumption {
        /// A session identifier (RFC 5246 §7.3).
        SessionId = "session_id",
        /// A session ticket (RFC 5077).
        Ticket = "ticket",
        /// A pre-shared key (RFC 8446 §2.2).
        Psk = "psk",
    }
}

text_enum! {
    /// What became of 0-RTT data (RFC 8446 §2.3).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum EarlyData {
        /// The client offered it; the answer is not visible.
        Offered = "offered",
        /// The server took it.
        Accepted = "accepted",
        /// The server refused it.
        Rejected = "rejected",
    }
}

text_enum! {
    /// What is known about the client's certificate.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub enum ClientCertificate {
        /// The server did not ask.
        NotRequested = "not_requested",
        /// The server asked, and no answer was seen.
        Requested = "requested",
        /// The server asked, and the client had none.
        Absent = "absent",
        /// The client sent a certificate.
        Presented = "presented",
        /// The capture does not tell.
        #[default]
        Unknown = "unknown",
    }
}

/// How long each phase took, by packet time; `None` where an end of it was not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// From the client's SYN to the SYN-ACK.
    pub tcp_connect: Option<Duration>,
    /// From the first byte of what was spoken before TLS, to a proxy or to negotiate TLS, to the first byte of the ClientHello.
    pub starttls: Option<Duration>,
    /// From the first byte of the first ClientHello to the first byte of the ServerHello.
    pub server_hello: Option<Duration>,
    /// From the first byte of the first ClientHello to the last byte of the last handshake flight; successes only.
    pub handshake: Option<Duration>,
    /// [`Timing::handshake`] as the client saw it: until it had the server's last flight.
    ///
    /// Corrected by how far away the client is, which TCP's own handshake
    /// tells: absent without that, or where a segment of it was sent again. A
    /// relay or proxy that ends TCP near the observer makes the distance its own.
    pub handshake_client_view: Option<Duration>,
    /// [`Timing::handshake`] as the server saw it: until it had the client's last flight, or had sent its own.
    ///
    /// Corrected by how far away the server is where that matters: up to TLS
    /// 1.2 without resumption, where it is absent as [`Timing::handshake_client_view`] is.
    pub handshake_server_view: Option<Duration>,
    /// From the first byte of the first ClientHello to the first application data after the handshake.
    pub first_application_data: Option<Duration>,
}

/// How well the capture saw a handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CaptureFacts {
    /// Number, within its source, of the first packet of the handshake; packets count from 1.
    pub first_packet: u64,
    /// Number, within its source, of the last packet that this event rests on.
    pub last_packet: u64,
    /// Bytes from the client that the capture lacks.
    pub client_gap_bytes: u64,
    /// Bytes from the server that the capture lacks.
    pub server_gap_bytes: u64,
    /// Whether a packet of this connection was cut short by the snap length, or a buffer reached its limit.
    pub truncated: bool,
    /// Which directions carried payload.
    pub directions: Directions,
    /// Bytes of the handshake that were sent again with another content; the first copy counts. Hosts never do that: one
    /// of the copies was forged, or damaged on its way.
    pub conflicting_bytes: u64,
}

text_enum! {
    /// Which directions of a connection the capture saw.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub enum Directions {
        /// Both.
        #[default]
        Both = "both",
        /// Only packets from the client.
        ClientOnly = "client_only",
        /// Only packets from the server.
        ServerOnly = "server_only",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_report_is_small_enough_for_the_fast_path_of_the_allocator() {
        // mimalloc's ends at this size: beyond it, an allocation takes four times as many instructions.
        assert!(
            size_of::<HandshakeReport>() <= 1024,
            "{}",
            size_of::<HandshakeReport>()
        );
    }
}

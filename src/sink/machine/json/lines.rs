//! What a line says: the structs that are serialised, in the order of their keys.
//!
//! Scripts rely on them, so they are separate from [`crate::event`]: renaming a field there
//! breaks no script. The doc comment of each key is its description in the JSON Schema,
//! which `tlscope schema` prints.
//!
//! # Format
//!
//! Each line is an object whose first key is `type`. A line of type `handshake`
//! is one TLS handshake; a line of type `not_tls` a connection to a TLS port that did not become
//! TLS, or on which TLS was refused in plain text; the last line, of type `stats`, has the counters of the
//! run ([`Stats`], by the same names).
//!
//! A key is `null` if the capture does not show its value. A key whose schema description
//! says so is absent instead. An empty list means that it was seen to be empty:
//! `"client_certificates": []` is a client that had no certificate, `null` one
//! whose answer was not seen.
//!
//! A registered value has its name and its number (`version` and `version_code`);
//! a value without a name is written as in `0x1306`. Times are packet times in UTC
//! with nine decimals. Durations are milliseconds, exact to the nanosecond. A
//! certificate that does not parse has only `sha256` and `error`.
//!
//! # Example
//!
//! A client refuses a certificate, here over many lines:
//!
//! ```json
//! {
//!   "type": "handshake",
//!   "time": "2026-03-01T12:00:00.123456789Z",
//!   "source": "capture.pcapng",
//!   "flow_id": "6f1c0000000000a7",
//!   "community_id": "1:3Wq31B/svcJh3Oj7C0+oub5devI=",
//!   "transport": "tcp",
//!   "protocol": "tls",
//!   "client": {"address": "10.0.0.1", "port": 51234},
//!   "server": {"address": "10.0.0.2", "port": 443},
//!   "vlan": [12],
//!   "outcome": "failure",
//!   "evidence": "observed",
//!   "confidence": 1.0,
//!   "error": {
//!     "type": "unknown_ca",
//!     "side": "client",
//!     "message": "client refused the server's certificate: unknown_ca (48)",
//!     "hint": "the client must trust `CN=Example CA`"
//!   },
//!   "alerts": [
//!     {
//!       "time": "2026-03-01T12:00:00.127556789Z",
//!       "sender": "client",
//!       "level": "fatal",
//!       "code": 48,
//!       "description": "unknown_ca",
//!       "encrypted": false
//!     }
//!   ],
//!   "closed_by": "client_rst",
//!   "tls": {
//!     "version": "TLS 1.2",
//!     "version_code": 771,
//!     "cipher_suite": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
//!     "cipher_suite_code": 49199,
//!     "server_name": "example.org",
//!     "alpn_offered": ["h2", "http/1.1"],
//!     "alpn": "h2",
//!     "group": "x25519",
//!     "group_code": 29,
//!     "key_exchange": "classical",
//!     "offered_versions": [772, 771],
//!     "offered_cipher_suites": [4865, 49199],
//!     "offered_groups": [4588, 29],
//!     "key_share_groups": [4588],
//!     "signature_algorithms": [1027],
//!     "resumed": false,
//!     "resumption": null,
//!     "early_data": null,
//!     "hello_retry_request": false,
//!     "ech": "offered",
//!     "client_certificate": "not_requested",
//!     "unused": null,
//!     "history": "CsxkdA"
//!   },
//!   "timing_ms": {
//!     "tcp_connect": 0.4,
//!     "starttls": null,
//!     "server_hello": 3.1,
//!     "handshake": null,
//!     "handshake_client_view": null,
//!     "handshake_server_view": null,
//!     "first_application_data": null
//!   },
//!   "fingerprint": {
//!     "ja3": "e7d705a3286e19ea42f587b344ee6865",
//!     "ja3s": null,
//!     "ja4": "t13d0202h2_0123456789ab_cdef01234567"
//!   },
//!   "server_certificates": [
//!     {
//!       "identity": "example.org",
//!       "subject": "CN=example.org",
//!       "common_name": "example.org",
//!       "issuer": "CN=Example CA",
//!       "issuer_common_name": "Example CA",
//!       "serial": "0a1b",
//!       "not_before": "2025-12-31T00:00:00Z",
//!       "not_after": "2026-03-14T00:00:00Z",
//!       "days_until_expiry": 12.4999,
//!       "dns_names": ["example.org"],
//!       "ip_addresses": [],
//!       "uris": [],
//!       "emails": [],
//!       "upns": [],
//!       "key": "RSA 2048",
//!       "signature_algorithm": "sha256WithRSAEncryption",
//!       "sha256": "0101010101010101010101010101010101010101010101010101010101010101",
//!       "self_signed": false,
//!       "is_ca": false
//!     }
//!   ],
//!   "client_certificates": null,
//!   "validation": [
//!     {
//!       "error_type": "near_expiry",
//!       "side": "server",
//!       "detail": "expires in 12.5 days",
//!       "subject": "CN=example.org",
//!       "identity": "example.org"
//!     }
//!   ],
//!   "capture": {
//!     "first_packet": 12,
//!     "last_packet": 31,
//!     "client_gap_bytes": 0,
//!     "server_gap_bytes": 0,
//!     "truncated": false,
//!     "directions": "both",
//!     "conflicting_bytes": 0
//!   }
//! }
//! ```

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::ready::{ReadyChains, ReadyOffer};
use super::value::{
    Codes, CommunityIdText, Each, Identifier, Milliseconds, Named, Names, OneOf, Text, Time,
    is_unset,
};
use super::writer::ReadyText;
use crate::certificate::{
    Certificate, CertificateFacts, CertificateTime, Clause, OcspStatus, PublicKey,
    SignatureAlgorithm,
};
use crate::event::{
    Alert, CaptureFacts, CertificateNote, ClientCertificate, ClosedBy, Directions, EapFacts,
    EapMethod, EapResult, EarlyData, ErrorType, Evidence, Finding, Handshake, HandshakeError,
    Inference, KeyExchangeClass, LocalProcess, NotTls, NotTlsKind, NoteKind, Outcome, Protocol,
    Proxy, ProxyEndpoint, ProxyKind, RejectedAfter, Renegotiation, RenegotiationEnd, Resumption,
    Side, Timing, TlsFacts, Transport, UnknownBecause,
};
use crate::flow::{Endpoint, IpProtocol, community_id_of};
use crate::hex::Hex;
use crate::stats::Stats;
use crate::time::Timestamp;
use crate::tls::{
    AlertDescription, AlertLevel, CipherSuite, CodePoint, Fingerprint, NamedGroup, ProtocolVersion,
    SignatureScheme,
};

/// One line of `tlscope read --format json`: an object, distinguished by its `type`.
///
/// Absent knowledge is `null` or an absent key; an empty list says that it was seen to be empty.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Line<'a> {
    /// One TLS handshake.
    Handshake(&'a HandshakeLine<'a>),
    /// A connection to a TLS port that did not become TLS.
    NotTls(&'a NotTlsLine<'a>),
    /// The counters of the whole run: the last line.
    Stats(StatsLine<'a>),
}

/// One TLS handshake.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct HandshakeLine<'a> {
    /// Packet time of the first byte of the ClientHello, or of the first handshake byte seen.
    time: Time<Timestamp>,
    /// The file or interface that the first packet came from.
    source: &'a str,
    /// Identifies the connection within a run: equal for all handshakes on one connection.
    flow_id: Identifier,
    /// Corelight Community ID, version 1, seed 0: joins with Zeek and Suricata.
    community_id: CommunityIdText,
    /// What carries the records.
    transport: OneOf<Transport>,
    /// Which protocol's framing the handshake uses.
    protocol: OneOf<Protocol>,
    /// The sender of the ClientHello.
    client: EndpointLine,
    /// The peer of the sender of the ClientHello.
    server: EndpointLine,
    /// 802.1Q VLAN identifiers, outermost first; absent if there are none.
    #[serde(skip_serializing_if = "<[u16]>::is_empty")]
    vlan: &'a [u16],
    /// Tunnels around the packets, outermost first, as in `vxlan:42`; absent if there are none.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tunnel: Vec<String>,
    /// The protocol in which TLS was negotiated in plain text, as in `smtp`; absent if TLS came first.
    #[serde(skip_serializing_if = "Option::is_none")]
    starttls: Option<&'static str>,
    /// The proxy that the connection goes through or comes from; `client` and `server` are the ends that were captured. Absent
    /// without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<ProxyLine<'a>>,
    /// What EAP and RADIUS report about the handshake; absent unless `protocol` is `eap`.
    #[serde(skip_serializing_if = "Option::is_none")]
    eap: Option<EapLine<'a>>,
    /// How it ended.
    outcome: OneOf<Outcome>,
    /// What the outcome is based on.
    evidence: OneOf<Evidence>,
    /// The share of such verdicts that are right: 1 unless inferred; absent if the outcome is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
    /// How an inferred outcome was reached; absent unless inferred.
    #[serde(skip_serializing_if = "Option::is_none")]
    inference: Option<InferenceLine<'a>>,
    /// Why it failed, and which side gave up; absent unless it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorLine<'a>>,
    /// A refusal of the peer after the handshake had completed; absent if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_after: Option<RejectedAfterLine<'a>>,
    /// Which evidence is missing; absent unless the outcome is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown_because: Option<OneOf<UnknownBecause>>,
    /// The alerts seen, in order of arrival.
    alerts: Each<'a, Alert, AlertLine>,
    /// How the connection ended; `null` if that was not seen.
    closed_by: Option<OneOf<ClosedBy>>,
    /// What was offered and selected.
    tls: TlsLine<'a>,
    /// How long each phase took, in milliseconds.
    timing_ms: TimingLine,
    /// JA3, JA3S and JA4.
    fingerprint: FingerprintLine<'a>,
    /// The chain that the server presented, leaf first; `null` if none was seen in the clear.
    server_certificates: Option<Chain<'a>>,
    /// The chain that the client presented, leaf first; `null` if none was seen in the clear, empty if it had none.
    client_certificates: Option<Chain<'a>>,
    /// Faults of the presented certificates.
    validation: Each<'a, Finding, FindingLine<'a>>,
    /// Anomalies of the presented chains that are no reason to refuse them; absent if there are none.
    #[serde(skip_serializing_if = "Each::is_empty")]
    notes: Each<'a, CertificateNote, NoteLine<'a>>,
    /// How well the capture saw this handshake.
    capture: CaptureLine,
    /// The capture file that the packets of this handshake were saved to; absent if they were not.
    #[serde(skip_serializing_if = "Option::is_none")]
    saved_to: Option<&'a str>,
    /// Who holds the client's socket, with `--attribute-processes`; absent if it is not on the observing host, or was not found.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_process: Option<ProcessLine<'a>>,
    /// Who holds the server's socket, as for the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_process: Option<ProcessLine<'a>>,
}

impl<'a> From<&'a Handshake> for HandshakeLine<'a> {
    fn from(event: &'a Handshake) -> Self {
        let chain = |certificates: &'a Option<Arc<[Arc<Certificate>]>>| {
            certificates.as_deref().map(|certificates| Chain {
                certificates,
                judged_at: event.judged_at,
                ready: None,
            })
        };
        Self {
            time: Time(event.time),
            source: &event.source,
            flow_id: Identifier(event.flow_id),
            community_id: CommunityIdText(community_id_of(
                event.client,
                event.server,
                event.transport.ip_protocol(),
            )),
            transport: OneOf(event.transport),
            protocol: OneOf(event.protocol),
            client: event.client.into(),
            server: event.server.into(),
            vlan: &event.vlan,
            tunnel: event.tunnel.iter().map(ToString::to_string).collect(),
            starttls: event.starttls.map(|starttls| starttls.as_str()),
            proxy: event.proxy.as_deref().map(ProxyLine::from),
            eap: event.eap.as_deref().map(EapLine::from),
            outcome: OneOf(event.outcome),
            evidence: OneOf(event.evidence),
            confidence: event.confidence,
            inference: event.inference.as_ref().map(InferenceLine::from),
            error: event.error.as_ref().map(ErrorLine::from),
            rejected_after: event.rejected_after.as_deref().map(RejectedAfterLine::from),
            unknown_because: event.unknown_because.map(OneOf),
            alerts: Each::of(&event.alerts),
            closed_by: event.closed_by.map(OneOf),
            tls: TlsLine::from(&event.tls),
            timing_ms: TimingLine::from(&event.timing),
            fingerprint: FingerprintLine::from(&event.fingerprint),
            server_certificates: chain(&event.server_certificates),
            client_certificates: chain(&event.client_certificates),
            validation: Each::of(&event.validation),
            notes: Each::of(&event.notes),
            capture: CaptureLine::from(&event.capture),
            saved_to: event.saved_to.as_deref(),
            client_process: event.client_process.as_deref().map(ProcessLine::from),
            server_process: event.server_process.as_deref().map(ProcessLine::from),
        }
    }
}

impl<'a> HandshakeLine<'a> {
    /// Notes that chains are ready to be copied. For [`writer::write`](super::writer::write) only.
    pub(super) fn set_chains(&mut self, ready: ReadyChains<'a>) {
        let chains = [
            (&mut self.server_certificates, ready.server),
            (&mut self.client_certificates, ready.client),
        ];
        for (chain, text) in chains {
            if let Some(chain) = chain {
                chain.ready = Some(ReadyText(text));
            }
        }
    }
}

impl<'a> HandshakeLine<'a> {
    /// Notes that lists of code points are ready to be copied. For [`writer::write`](super::writer::write) only.
    pub(super) fn set_offer(&mut self, ready: ReadyOffer<'a>) {
        fn set<'a, T>(codes: &mut Option<Codes<'a, T>>, text: &'a [u8]) {
            if let Some(codes) = codes {
                codes.set_ready(text);
            }
        }
        let tls = &mut self.tls;
        set(&mut tls.offered_versions, ready.versions);
        set(&mut tls.offered_cipher_suites, ready.cipher_suites);
        set(&mut tls.offered_groups, ready.groups);
        set(&mut tls.key_share_groups, ready.key_share_groups);
        set(&mut tls.signature_algorithms, ready.signature_algorithms);
    }
}

/// One end of a connection.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Endpoint")]
struct EndpointLine {
    /// The innermost IP address, tunnels removed.
    address: IpAddr,
    /// The TCP or UDP port.
    port: u16,
}

impl From<Endpoint> for EndpointLine {
    fn from(Endpoint { address, port }: Endpoint) -> Self {
        Self { address, port }
    }
}

/// A proxy in front of TLS, and the ends that it or its client names.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Proxy")]
struct ProxyLine<'a> {
    /// How clients address it, or the header in which it names its client.
    kind: OneOf<ProxyKind>,
    /// The proxy's client, by the PROXY protocol; `null` if it is not named.
    client: Option<ProxyEndpointLine<'a>>,
    /// The destination that the proxy's client asked for, or had connected to; `null` if it is not named.
    server: Option<ProxyEndpointLine<'a>>,
}

impl<'a> From<&'a Proxy> for ProxyLine<'a> {
    fn from(proxy: &'a Proxy) -> Self {
        Self {
            kind: OneOf(proxy.kind),
            client: proxy.client.as_ref().map(ProxyEndpointLine::from),
            server: proxy.server.as_ref().map(ProxyEndpointLine::from),
        }
    }
}

/// One end of a connection, as a peer names it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ProxyEndpoint")]
struct ProxyEndpointLine<'a> {
    /// An IP address, or a host name.
    address: &'a str,
    /// The TCP port.
    port: u16,
}

impl<'a> From<&'a ProxyEndpoint> for ProxyEndpointLine<'a> {
    fn from(ProxyEndpoint { address, port }: &'a ProxyEndpoint) -> Self {
        Self {
            address,
            port: *port,
        }
    }
}

/// What EAP and RADIUS report about a handshake. Nothing of it is authenticated before the handshake has succeeded.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Eap")]
struct EapLine<'a> {
    /// The EAP method that carries TLS.
    method: Option<OneOf<EapMethod>>,
    /// How the login ended: Access-Accept or Access-Reject, EAP-Success or EAP-Failure; `null` if that was not seen.
    result: Option<OneOf<EapResult>>,
    /// The user's name outside the tunnel, often only a realm.
    user_name: Option<&'a str>,
    /// The device that logs in, mostly its hardware address.
    calling_station_id: Option<&'a str>,
    /// The access point or switch, mostly its hardware address, and the network's name after a colon.
    called_station_id: Option<&'a str>,
    /// NAS-Identifier of RADIUS.
    nas_identifier: Option<&'a str>,
}

impl<'a> From<&'a EapFacts> for EapLine<'a> {
    fn from(eap: &'a EapFacts) -> Self {
        Self {
            method: eap.method.map(OneOf),
            result: eap.result.map(OneOf),
            user_name: eap.user_name.as_deref(),
            calling_station_id: eap.calling_station_id.as_deref(),
            called_station_id: eap.called_station_id.as_deref(),
            nas_identifier: eap.nas_identifier.as_deref(),
        }
    }
}

/// Who holds a socket of the observing host.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Process")]
struct ProcessLine<'a> {
    /// The process identifier, in the PID namespace of tlscope; `null` if tlscope may not read it, or the process was not found in
    /// time.
    pid: Option<u32>,
    /// The name of the process, of at most 15 bytes, as `ps` and `ss` show it; `null` if `pid` is.
    command: Option<&'a str>,
    /// The container's identifier; `null` outside of containers.
    container_id: Option<&'a str>,
    /// The UID of the Kubernetes pod; `null` outside of pods.
    pod_uid: Option<&'a str>,
    /// The systemd unit: a service, or the scope of a session, an application or a machine.
    unit: Option<&'a str>,
    /// The path of the control group.
    cgroup: Option<&'a str>,
}

impl<'a> From<&'a LocalProcess> for ProcessLine<'a> {
    fn from(process: &'a LocalProcess) -> Self {
        let workload = process.workload.as_deref();
        Self {
            pid: process.pid,
            command: process.command.as_deref(),
            container_id: workload.and_then(|workload| workload.container_id.as_deref()),
            pod_uid: workload.and_then(|workload| workload.pod_uid.as_deref()),
            unit: workload.and_then(|workload| workload.unit.as_deref()),
            cgroup: workload.map(|workload| workload.cgroup.as_str()),
        }
    }
}

/// How an inferred outcome was reached.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Inference")]
struct InferenceLine<'a> {
    /// The rule that matched.
    rule: &'static str,
    /// What was seen, in the order in which it counts.
    observations: &'a [&'static str],
}

impl<'a> From<&'a Inference> for InferenceLine<'a> {
    fn from(inference: &'a Inference) -> Self {
        Self {
            rule: inference.rule,
            observations: &inference.observations,
        }
    }
}

/// A refusal of the peer after the handshake had completed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RejectedAfter")]
struct RejectedAfterLine<'a> {
    /// The side that refused its peer.
    side: OneOf<Side>,
    /// The class of what was refused.
    r#type: OneOf<ErrorType>,
    /// What this is based on.
    evidence: OneOf<Evidence>,
    /// The share of such claims that are right: 1 unless inferred.
    confidence: f64,
    /// What was seen, in the order in which it counts.
    observations: &'a [&'static str],
    /// What to try next, in one sentence; absent unless the evidence supports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl<'a> From<&'a RejectedAfter> for RejectedAfterLine<'a> {
    fn from(rejected: &'a RejectedAfter) -> Self {
        Self {
            side: OneOf(rejected.side),
            r#type: OneOf(rejected.error_type),
            evidence: OneOf(rejected.evidence),
            confidence: rejected.confidence,
            observations: &rejected.observations,
            hint: rejected.hint.as_deref(),
        }
    }
}

/// Why a handshake failed, and which side gave up.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Error")]
struct ErrorLine<'a> {
    /// The class of the error.
    r#type: OneOf<ErrorType>,
    /// The side that gave up; `null` if neither can be named.
    side: Option<OneOf<Side>>,
    /// One clause for people.
    message: &'a str,
    /// What to try next, in one sentence; absent unless the evidence supports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl<'a> From<&'a HandshakeError> for ErrorLine<'a> {
    fn from(error: &'a HandshakeError) -> Self {
        Self {
            r#type: OneOf(error.error_type),
            side: error.side.map(OneOf),
            message: &error.message,
            hint: error.hint.as_deref(),
        }
    }
}

/// An alert that was seen.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Alert")]
struct AlertLine {
    /// Packet time of its last byte.
    time: Time<Timestamp>,
    /// Who sent it.
    sender: OneOf<Side>,
    /// `warning` or `fatal`, or a number as in `0x03`; `null` if encrypted.
    level: Option<Named<AlertLevel>>,
    /// Its number in the IANA registry; `null` if encrypted.
    code: Option<u16>,
    /// Its name in the IANA registry, or its number as in `0x1a`; `null` if encrypted.
    description: Option<Named<AlertDescription>>,
    /// Whether it was encrypted on the wire.
    encrypted: bool,
}

impl From<&Alert> for AlertLine {
    fn from(alert: &Alert) -> Self {
        Self {
            time: Time(alert.time),
            sender: OneOf(alert.sender),
            level: alert.level.map(Named),
            code: alert.description.map(CodePoint::code),
            description: alert.description.map(Named),
            encrypted: alert.encrypted,
        }
    }
}

/// What was offered and selected.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Tls")]
struct TlsLine<'a> {
    /// The version that the server selected, as in `TLS 1.3` or `TLS 1.3 draft 28`, or a number as in `0x7f7f`.
    version: Option<Named<ProtocolVersion>>,
    /// The number of the version.
    version_code: Option<u16>,
    /// The cipher suite that the server selected, by its registered name, or a number as in `0x1306`.
    cipher_suite: Option<Named<CipherSuite>>,
    /// The number of the cipher suite.
    cipher_suite_code: Option<u16>,
    /// The server name that the client asked for (the outer one under ECH).
    server_name: Option<&'a str>,
    /// The application protocols that the client offers.
    alpn_offered: Option<&'a [String]>,
    /// The application protocol that the server selected in the clear.
    alpn: Option<&'a str>,
    /// The group of the key exchange, by its registered name, or a number as in `0x1a2b`.
    group: Option<Named<NamedGroup>>,
    /// The number of the group.
    group_code: Option<u16>,
    /// Whether a quantum computer could compute the key: the class of the key exchange.
    key_exchange: OneOf<KeyExchangeClass>,
    /// The versions that the client offers, GREASE included.
    offered_versions: Option<Codes<'a, ProtocolVersion>>,
    /// The cipher suites that the client offers, GREASE included.
    offered_cipher_suites: Option<Codes<'a, CipherSuite>>,
    /// The cipher specs of an SSLv2 CLIENT-HELLO, 24 bits each; only for such hellos.
    #[serde(skip_serializing_if = "Option::is_none")]
    sslv2_cipher_specs: Option<&'a [u32]>,
    /// The groups that the client offers, GREASE included.
    offered_groups: Option<Codes<'a, NamedGroup>>,
    /// The groups of the client's key shares, GREASE included.
    key_share_groups: Option<Codes<'a, NamedGroup>>,
    /// The signature schemes that the client offers, GREASE included.
    signature_algorithms: Option<Codes<'a, SignatureScheme>>,
    /// The names of what the client offers, by the same keys, in the same order; only with `--names`.
    #[serde(skip_serializing_if = "Option::is_none")]
    names: Option<OfferNames<'a>>,
    /// Whether an earlier session was resumed.
    resumed: Option<bool>,
    /// How it was resumed; `null` if it was not.
    resumption: Option<OneOf<Resumption>>,
    /// What became of 0-RTT data; `null` if it was not offered.
    early_data: Option<OneOf<EarlyData>>,
    /// Whether the server asked for another ClientHello.
    hello_retry_request: Option<bool>,
    /// `offered` if the client offered Encrypted Client Hello, or GREASE that looks the same.
    ech: Option<Ech>,
    /// What is known about the client's certificate.
    client_certificate: OneOf<ClientCertificate>,
    /// Whether the handshake completed and the connection closed before any application data.
    unused: Option<bool>,
    /// The order of messages, one letter each, upper case from the client.
    history: &'a str,
    /// The names of the authorities in the CertificateRequest; absent if none was seen in the clear.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_authorities: Option<&'a [String]>,
    /// `true` if the server stapled an OCSP response in the clear; absent otherwise.
    #[serde(skip_serializing_if = "is_unset")]
    ocsp_stapled: bool,
    /// The certificate's status in that response; absent if no response can be read. Its signature is not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    ocsp_status: Option<OneOf<OcspStatus>>,
    /// How many signed certificate timestamps a ServerHello extension held; absent if none.
    #[serde(skip_serializing_if = "is_unset")]
    signed_certificate_timestamps: usize,
    /// The handshakes that followed inside the connection, up to TLS 1.2; absent if none was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    renegotiation: Option<RenegotiationLine>,
}

/// The names of what a client offers; a value without a name is a number, as in `0x1a1a`.
#[derive(Serialize, JsonSchema)]
struct OfferNames<'a> {
    /// The versions.
    offered_versions: Option<Names<'a, ProtocolVersion>>,
    /// The cipher suites.
    offered_cipher_suites: Option<Names<'a, CipherSuite>>,
    /// The groups.
    offered_groups: Option<Names<'a, NamedGroup>>,
    /// The groups of the client's key shares.
    key_share_groups: Option<Names<'a, NamedGroup>>,
    /// The signature schemes.
    signature_algorithms: Option<Names<'a, SignatureScheme>>,
}

impl<'a> From<&'a TlsFacts> for OfferNames<'a> {
    fn from(tls: &'a TlsFacts) -> Self {
        Self {
            offered_versions: tls.offered_versions.as_deref().map(Names),
            offered_cipher_suites: tls.offered_cipher_suites.as_deref().map(Names),
            offered_groups: tls.offered_groups.as_deref().map(Names),
            key_share_groups: tls.key_share_groups.as_deref().map(Names),
            signature_algorithms: tls.signature_algorithms.as_deref().map(Names),
        }
    }
}

impl<'a> HandshakeLine<'a> {
    /// The same line, with the names of what the client offers.
    pub(crate) fn with_names(mut self, event: &'a Handshake) -> Self {
        self.tls.names = Some(OfferNames::from(&event.tls));
        self
    }
}

/// Renegotiations: handshakes inside an established connection.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Renegotiation")]
struct RenegotiationLine {
    /// How many began.
    count: u32,
    /// How the last one ended; a failed one makes the outcome a failure.
    ended: OneOf<RenegotiationEnd>,
}

impl From<Renegotiation> for RenegotiationLine {
    fn from(renegotiation: Renegotiation) -> Self {
        Self {
            count: renegotiation.count,
            ended: OneOf(renegotiation.ended),
        }
    }
}

/// What is known about Encrypted Client Hello.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Ech {
    Offered,
}

impl<'a> From<&'a TlsFacts> for TlsLine<'a> {
    fn from(tls: &'a TlsFacts) -> Self {
        Self {
            version: tls.version.map(Named),
            version_code: tls.version.map(CodePoint::code),
            cipher_suite: tls.cipher_suite.map(Named),
            cipher_suite_code: tls.cipher_suite.map(CodePoint::code),
            server_name: tls.server_name.as_deref(),
            alpn_offered: tls.alpn_offered.as_deref(),
            alpn: tls.alpn.as_deref(),
            group: tls.group.map(Named),
            group_code: tls.group.map(CodePoint::code),
            key_exchange: OneOf(tls.key_exchange()),
            offered_versions: tls.offered_versions.as_deref().map(Codes::of),
            offered_cipher_suites: tls.offered_cipher_suites.as_deref().map(Codes::of),
            sslv2_cipher_specs: tls.sslv2_cipher_specs.as_deref(),
            offered_groups: tls.offered_groups.as_deref().map(Codes::of),
            key_share_groups: tls.key_share_groups.as_deref().map(Codes::of),
            signature_algorithms: tls.signature_algorithms.as_deref().map(Codes::of),
            names: None,
            resumed: tls.resumed,
            resumption: tls.resumption.map(OneOf),
            early_data: tls.early_data.map(OneOf),
            hello_retry_request: tls.hello_retry_request,
            ech: (tls.ech_offered == Some(true)).then_some(Ech::Offered),
            client_certificate: OneOf(tls.client_certificate),
            unused: tls.unused,
            history: &tls.history,
            certificate_authorities: tls.certificate_authorities.as_deref(),
            ocsp_stapled: tls.ocsp_stapled,
            ocsp_status: tls.ocsp_staple.as_ref().map(|staple| OneOf(staple.status)),
            signed_certificate_timestamps: tls.signed_certificate_timestamps,
            renegotiation: tls.renegotiation.map(RenegotiationLine::from),
        }
    }
}

/// How long each phase took, in milliseconds; `null` where an end of it was not seen.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Timing")]
struct TimingLine {
    /// From the client's SYN to the SYN-ACK.
    tcp_connect: Option<Milliseconds>,
    /// From the first byte of what was spoken before TLS, to a proxy or to negotiate TLS, to the first byte of the ClientHello.
    starttls: Option<Milliseconds>,
    /// From the first byte of the first ClientHello to the first byte of the ServerHello.
    server_hello: Option<Milliseconds>,
    /// From the first byte of the first ClientHello to the last byte of the last handshake flight; successes only.
    handshake: Option<Milliseconds>,
    /// The same as the client saw it; `null` where the distance to the client is not known.
    handshake_client_view: Option<Milliseconds>,
    /// The same as the server saw it; `null` where the distance to the server counts and is not known.
    handshake_server_view: Option<Milliseconds>,
    /// From the first byte of the first ClientHello to the first application data after the handshake.
    first_application_data: Option<Milliseconds>,
}

impl From<&Timing> for TimingLine {
    fn from(timing: &Timing) -> Self {
        Self {
            tcp_connect: timing.tcp_connect.map(Milliseconds),
            starttls: timing.starttls.map(Milliseconds),
            server_hello: timing.server_hello.map(Milliseconds),
            handshake: timing.handshake.map(Milliseconds),
            handshake_client_view: timing.handshake_client_view.map(Milliseconds),
            handshake_server_view: timing.handshake_server_view.map(Milliseconds),
            first_application_data: timing.first_application_data.map(Milliseconds),
        }
    }
}

/// JA3, JA3S and JA4; `null` where the hello was not seen.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Fingerprint")]
struct FingerprintLine<'a> {
    /// JA3 of the ClientHello: MD5 in hexadecimal.
    ja3: Option<&'a str>,
    /// JA3S of the ServerHello: MD5 in hexadecimal.
    ja3s: Option<&'a str>,
    /// JA4 of the ClientHello.
    ja4: Option<&'a str>,
}

impl<'a> From<&'a Fingerprint> for FingerprintLine<'a> {
    fn from(fingerprint: &'a Fingerprint) -> Self {
        Self {
            ja3: fingerprint.ja3.as_deref(),
            ja3s: fingerprint.ja3s.as_deref(),
            ja4: fingerprint.ja4.as_deref(),
        }
    }
}

/// The certificates of one Certificate message, leaf first, judged at one moment.
struct Chain<'a> {
    certificates: &'a [Arc<Certificate>],
    judged_at: Timestamp,
    /// All of it as it is written, where that is known.
    ready: Option<ReadyText<'a>>,
}

impl Serialize for Chain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(ready) = &self.ready {
            return ready.serialize(serializer);
        }
        let line = |certificate| CertificateLine::new(certificate, self.judged_at);
        serializer.collect_seq(self.certificates.iter().map(|shown| line(shown)))
    }
}

impl JsonSchema for Chain<'_> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Chain".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<CertificateLine<'_>>::json_schema(generator)
    }
}

/// A certificate as it was presented.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Certificate")]
#[expect(
    clippy::large_enum_variant,
    reason = "it is written at once, and a box would cost an allocation for each certificate"
)]
pub(super) enum CertificateLine<'a> {
    /// It parsed: its fields.
    Readable(FactsLine<'a>),
    /// It did not parse.
    Unreadable {
        /// SHA-256 of the bytes as sent.
        sha256: Hex<'a>,
        /// Why it did not parse, in one clause for people.
        error: &'a str,
    },
}

/// What a certificate says.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct FactsLine<'a> {
    /// The name that a person recognises: a SPIFFE ID, else the first DNS name, IP address, e-mail address or UPN, else the common name, the subject, or the serial number.
    identity: Cow<'a, str>,
    /// The subject, in RFC 4514 form; empty if it has none.
    subject: &'a str,
    /// The last common name of the subject.
    common_name: Option<&'a str>,
    /// The issuer, in RFC 4514 form.
    issuer: &'a str,
    /// The last common name of the issuer.
    issuer_common_name: Option<&'a str>,
    /// The serial number as sent, in hexadecimal.
    serial: &'a str,
    /// Start of validity.
    not_before: Time<CertificateTime>,
    /// End of validity.
    not_after: Time<CertificateTime>,
    /// Days from the time of validation (that of the handshake, unless `--at` sets another) to the end of validity; negative once expired.
    days_until_expiry: f64,
    /// DNS names in the subject alternative name extension.
    dns_names: &'a [String],
    /// IP addresses in the subject alternative name extension.
    ip_addresses: &'a [IpAddr],
    /// URIs in the subject alternative name extension, as SPIFFE IDs are.
    uris: &'a [String],
    /// E-mail addresses in the subject alternative name extension.
    emails: &'a [String],
    /// User principal names (Microsoft) in the subject alternative name extension.
    upns: &'a [String],
    /// How many more names the extension holds than are listed here; absent if none.
    #[serde(skip_serializing_if = "is_unset")]
    names_omitted: usize,
    /// Algorithm and size of the key, as in `RSA 2048`.
    key: Text<&'a PublicKey>,
    /// The algorithm that it is signed with, as in `sha256WithRSAEncryption`.
    signature_algorithm: Text<&'a SignatureAlgorithm>,
    /// SHA-256 of the bytes as sent.
    sha256: Hex<'a>,
    /// Whether it is signed by its own key.
    self_signed: bool,
    /// Whether its basic constraints mark it as a CA.
    is_ca: bool,
}

impl<'a> CertificateLine<'a> {
    pub(super) fn new(certificate: &'a Certificate, judged_at: Timestamp) -> Self {
        let sha256 = Hex(&certificate.sha256);
        match &certificate.facts {
            Ok(facts) => Self::Readable(FactsLine::new(facts, sha256, judged_at)),
            Err(error) => Self::Unreadable { sha256, error },
        }
    }
}

impl<'a> FactsLine<'a> {
    fn new(facts: &'a CertificateFacts, sha256: Hex<'a>, judged_at: Timestamp) -> Self {
        Self {
            identity: facts.identity(),
            subject: &facts.subject,
            common_name: facts.common_name.as_deref(),
            issuer: &facts.issuer,
            issuer_common_name: facts.issuer_common_name.as_deref(),
            serial: &facts.serial,
            not_before: Time(facts.not_before),
            not_after: Time(facts.not_after),
            days_until_expiry: facts.expiry(judged_at).rounded_days(),
            dns_names: &facts.dns_names,
            ip_addresses: &facts.ip_addresses,
            uris: &facts.uris,
            emails: &facts.emails,
            upns: &facts.upns,
            names_omitted: facts.names_omitted,
            key: Text(&facts.key),
            signature_algorithm: Text(&facts.signature_algorithm),
            sha256,
            self_signed: facts.self_signed,
            is_ca: facts.is_ca,
        }
    }
}

/// A fault of a presented certificate.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Finding")]
struct FindingLine<'a> {
    /// The fault.
    error_type: OneOf<ErrorType>,
    /// The side that presented the certificate.
    side: OneOf<Side>,
    /// One clause for people.
    detail: Text<&'a Clause>,
    /// The certificate's subject, in RFC 4514 form.
    subject: &'a str,
    /// The certificate's identity; empty if it cannot be read.
    identity: Cow<'a, str>,
}

impl<'a> From<&'a Finding> for FindingLine<'a> {
    fn from(finding: &'a Finding) -> Self {
        Self {
            error_type: OneOf(finding.error_type),
            side: OneOf(finding.side),
            detail: Text(&finding.detail),
            subject: finding.certificate.subject(),
            identity: finding.certificate.identity(),
        }
    }
}

/// An anomaly of a presented chain that is no reason to refuse it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Note")]
struct NoteLine<'a> {
    /// The anomaly.
    kind: OneOf<NoteKind>,
    /// The side that presented the certificate.
    side: OneOf<Side>,
    /// One clause for people.
    detail: Text<&'a Clause>,
    /// The certificate's subject, in RFC 4514 form.
    subject: &'a str,
    /// The certificate's identity; empty if it cannot be read.
    identity: Cow<'a, str>,
}

impl<'a> From<&'a CertificateNote> for NoteLine<'a> {
    fn from(note: &'a CertificateNote) -> Self {
        Self {
            kind: OneOf(note.kind),
            side: OneOf(note.side),
            detail: Text(&note.detail),
            subject: note.certificate.subject(),
            identity: note.certificate.identity(),
        }
    }
}

/// How well the capture saw a handshake.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Capture")]
struct CaptureLine {
    /// Number, within its source and from 1, of the first packet of the handshake.
    first_packet: u64,
    /// Number of the last packet that this line rests on.
    last_packet: u64,
    /// Bytes from the client that the capture lacks.
    client_gap_bytes: u64,
    /// Bytes from the server that the capture lacks.
    server_gap_bytes: u64,
    /// Whether a packet was cut short by the snap length, or a buffer reached its limit.
    truncated: bool,
    /// Which directions carried payload.
    directions: OneOf<Directions>,
    /// Bytes of the handshake that were sent again with another content; the first copy counts. One of the copies was
    /// forged, or damaged on its way.
    conflicting_bytes: u64,
}

impl From<&CaptureFacts> for CaptureLine {
    fn from(capture: &CaptureFacts) -> Self {
        Self {
            first_packet: capture.first_packet,
            last_packet: capture.last_packet,
            client_gap_bytes: capture.client_gap_bytes,
            server_gap_bytes: capture.server_gap_bytes,
            truncated: capture.truncated,
            directions: OneOf(capture.directions),
            conflicting_bytes: capture.conflicting_bytes,
        }
    }
}

/// A connection to a TLS port that did not become TLS, or on which TLS was refused in plain text.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct NotTlsLine<'a> {
    /// Packet time of the connection's first packet.
    time: Time<Timestamp>,
    /// File or interface that the connection was captured from; absent if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    /// Identifies the connection within a run.
    flow_id: Identifier,
    /// Corelight Community ID, version 1, seed 0: joins with Zeek and Suricata.
    community_id: CommunityIdText,
    /// What came instead of TLS.
    kind: OneOf<NotTlsKind>,
    /// The side that opened the connection, or asked for TLS.
    client: EndpointLine,
    /// Its peer.
    server: EndpointLine,
    /// The protocol in which TLS is negotiated; absent if a proxy refused, and on ports where TLS is spoken from the first byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    starttls: Option<&'static str>,
    /// Whether the server offered TLS in that protocol; absent if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    starttls_offered: Option<bool>,
    /// The proxy that the connection goes through or comes from; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<ProxyLine<'a>>,
    /// One clause for people; quotes the first bytes, or the refusal.
    message: &'a str,
}

impl<'a> From<&'a NotTls> for NotTlsLine<'a> {
    fn from(event: &'a NotTls) -> Self {
        Self {
            time: Time(event.time),
            source: event.source.as_deref(),
            flow_id: Identifier(event.flow_id),
            community_id: CommunityIdText(community_id_of(
                event.client,
                event.server,
                IpProtocol::Tcp,
            )),
            kind: OneOf(event.kind),
            client: event.client.into(),
            server: event.server.into(),
            starttls: event.starttls.map(|starttls| starttls.as_str()),
            starttls_offered: event.starttls_offered,
            proxy: event.proxy.as_deref().map(ProxyLine::from),
            message: &event.message,
        }
    }
}

/// The counters of the whole run, each under its name in [`Stats`].
pub(crate) struct StatsLine<'a>(pub(crate) &'a Stats);

impl Serialize for StatsLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter())
    }
}

impl JsonSchema for StatsLine<'_> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Stats".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let stats = Stats::default();
        let counters: serde_json::Map<_, _> = stats
            .iter()
            .map(|(name, _)| {
                (
                    name.to_owned(),
                    serde_json::json!({"type": "integer", "minimum": 0}),
                )
            })
            .collect();
        let names: Vec<_> = counters.keys().collect();
        json_schema!({"type": "object", "required": names, "properties": counters})
    }
}

//! What the library tells the world: plain data, one [`Handshake`] for each TLS handshake.
//!
//! Nothing here knows how it will be printed: [`crate::sink`] serialises through
//! structs of its own.
//!
//! `None` always means that the capture does not tell; an empty list means that
//! it was seen to be empty.

mod capture_facts;
mod carrier;
mod eap;
mod ladder;
mod not_tls;
mod process;
mod report;
mod timing;
mod tls_facts;
mod verdict;

use std::ops::Deref;
use std::sync::Arc;

use crate::flow::{Endpoint, community_id};
use crate::time::Timestamp;
use crate::tls::Fingerprint;

pub use crate::certificate::{CertificateChain, CertificateNote, Clause, Finding, NoteKind};
pub use crate::decode::Tunnel;
pub use crate::dialogue::{Proxy, ProxyEndpoint, ProxyKind, StartTls};
pub use crate::error_type::ErrorType;
pub use crate::flow::Side;
pub use crate::transport::quic::QuicClose;

pub use capture_facts::{CaptureFacts, Directions};
pub use carrier::{Protocol, Transport};
pub use eap::{EapFacts, EapMethod, EapResult};
pub use ladder::{Ladder, LadderStep, StepKind};
pub use not_tls::{NotTls, NotTlsKind};
pub use process::{LocalProcess, Workload};
pub use report::HandshakeReport;
pub(crate) use report::{Identity, WireMarks};
pub use timing::Timing;
pub use tls_facts::{
    ClientCertificate, EarlyData, KeyExchangeClass, Renegotiation, RenegotiationEnd, Resumption,
    TlsFacts,
};
pub use verdict::{
    Alert, ClosedBy, Evidence, HandshakeError, Inference, Outcome, RejectedAfter, UnknownBecause,
};

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

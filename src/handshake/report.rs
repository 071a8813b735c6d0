//! What was seen of a handshake, told as an event.

use std::sync::Arc;

use crate::certificate::{
    CertificateTime, ChainCache, NearExpiry, OcspStatus, distinguished_name, findings,
};
use crate::event::{
    Alert, CaptureFacts, CertificateChain, ClientCertificate, ClosedBy, Directions, EarlyData,
    ErrorType, Evidence, Finding, Handshake, Inference, Outcome, Protocol, Resumption, Side,
    TlsFacts, Transport,
};
use crate::flow::{Direction, Endpoint};
use crate::time::Timestamp;
use crate::tls::{
    ClientHello, Fingerprint, HandshakeType, ProtocolVersion, read_certificate_authorities,
    read_certificate_list,
};

use super::cause::{self, Failure};
use super::timing::{RoundTrips, application_data, timing};
use super::transcript::{Sight, Tracker};
use super::verdict::cleartext::{self as exchange, Conclusion};
use super::verdict::decrypted;
use super::verdict::inferred::{self as inference, Cause, Judgement, Shape, Verdict};
use crate::framing::sealed::KeyUse;
use crate::framing::tls::{Close, Connection, End};

/// What is known of a connection beside its bytes.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The file or interface of its first packet.
    pub source: Arc<str>,
    /// Names the connection within a run.
    pub flow_id: u64,
    /// The sender of the first packet seen.
    pub forward: Endpoint,
    /// Its peer.
    pub reverse: Endpoint,
    /// VLAN identifiers of the first handshake packet, outermost first.
    pub vlan: Vec<u16>,
    /// How far away the peers are.
    pub round_trips: RoundTrips,
}

/// What the user wants of reports.
#[derive(Clone, Copy, Debug)]
pub struct ReportConfig {
    /// Whether to compute JA3, JA3S and JA4.
    pub fingerprints: bool,
    /// When a certificate counts as soon to expire.
    pub near_expiry: NearExpiry,
    /// The moment to judge certificates at; `None` for the packet time of each handshake.
    pub judge_at: Option<Timestamp>,
}

impl Connection {
    /// The event for the handshake on this connection; `None` if no hello was seen.
    #[must_use]
    pub fn report(
        &mut self,
        end: End,
        origin: Origin,
        config: &ReportConfig,
        chains: &mut ChainCache,
    ) -> Option<Handshake> {
        self.conclude_decryption();
        let key_use = self.key_use();
        let tracker = self.tracker_mut();
        if !tracker.has_hello() {
            return None;
        }
        let mut event = Reporter::new(tracker, end, origin, config, chains).report();
        if let Some(inference) = &mut event.inference {
            inference
                .observations
                .extend(key_use.and_then(KeyUse::complaint));
        }
        event.tls.history = std::mem::take(&mut tracker.history);
        if let Some(hello) = tracker.client_hello.take() {
            give_offer(&mut event.tls, *hello);
        }
        Some(event)
    }
}

struct Reporter<'t> {
    tracker: &'t Tracker,
    end: End,
    origin: Origin,
    config: &'t ReportConfig,
    shape: Option<Shape>,
    server_certificates: Option<CertificateChain>,
    client_certificates: Option<CertificateChain>,
}

impl<'t> Reporter<'t> {
    fn new(
        tracker: &'t Tracker,
        end: End,
        origin: Origin,
        config: &'t ReportConfig,
        chains: &mut ChainCache,
    ) -> Self {
        Self {
            tracker,
            end,
            origin,
            config,
            shape: tracker.is_tls13().then(|| shape(tracker)),
            server_certificates: chain(tracker, Side::Server, chains),
            client_certificates: chain(tracker, Side::Client, chains),
        }
    }

    fn report(self) -> Handshake {
        let tracker = self.tracker;
        let time = tracker.start.time;
        let judged_at = self.config.judge_at.unwrap_or(time);
        let validation = self.validation(judged_at);
        let conclusion = self.conclusion(&validation);
        let closed_by = self.closed_by();
        let timing = timing(
            tracker,
            self.shape.as_ref(),
            &self.origin.round_trips,
            conclusion.outcome,
        );
        let tls = self.tls_facts(conclusion.outcome, closed_by.is_some());
        Handshake {
            time,
            flow_id: self.origin.flow_id,
            transport: Transport::Tcp,
            protocol: Protocol::Tls,
            client: self.endpoint(Side::Client),
            server: self.endpoint(Side::Server),
            tunnel: Vec::new(),
            starttls: None,
            outcome: conclusion.outcome,
            evidence: conclusion.evidence,
            confidence: conclusion.confidence,
            inference: conclusion
                .rule
                .map(|(rule, observations)| Inference { rule, observations }),
            error: conclusion
                .failure
                .map(|failure| failure.refine(&validation)),
            alerts: self.alerts(),
            closed_by,
            timing,
            fingerprint: self.fingerprint(),
            capture: self.capture(),
            packets: None,
            saved_to: None,
            tls,
            validation,
            notes: Vec::new(),
            judged_at,
            source: self.origin.source,
            vlan: self.origin.vlan,
            server_certificates: self.server_certificates,
            client_certificates: self.client_certificates,
        }
    }

    fn endpoint(&self, side: Side) -> Endpoint {
        match self.tracker.direction(side) {
            Direction::Forward => self.origin.forward,
            Direction::Reverse => self.origin.reverse,
        }
    }

    fn validation(&self, at: Timestamp) -> Vec<Finding> {
        let server_name = self
            .tracker
            .client_hello
            .as_ref()
            .and_then(|hello| hello.server_name.as_deref());
        let near_expiry = self.config.near_expiry;
        let judged = |chain: &Option<CertificateChain>, side, name| {
            chain
                .as_ref()
                .map(|chain| findings(chain, side, name, at, near_expiry))
                .unwrap_or_default()
        };
        let mut all = judged(&self.server_certificates, Side::Server, server_name);
        all.extend(self.revocation());
        all.extend(judged(&self.client_certificates, Side::Client, None));
        all
    }

    /// That the server itself says that its leaf was revoked.
    fn revocation(&self) -> Option<Finding> {
        let staple = self.tracker.ocsp_staple.as_ref()?;
        let leaf = self.server_certificates.as_ref()?.first()?;
        let facts = leaf.facts.as_ref().ok()?;
        match staple.status {
            OcspStatus::Revoked(at) if staple.serial == facts.serial => Some(Finding {
                error_type: ErrorType::CertRevoked,
                side: Side::Server,
                detail: format!(
                    "revoked {}, by the OCSP response that the server stapled",
                    CertificateTime(at)
                ),
                subject: facts.subject.clone(),
            }),
            _ => None,
        }
    }

    fn conclusion(&self, findings: &[Finding]) -> Conclusion {
        if !self.tracker.is_tls13() {
            return exchange::conclude(self.tracker, self.end, findings);
        }
        if let Some(conclusion) = decrypted::conclude(self.tracker) {
            return conclusion;
        }
        let early = self
            .tracker
            .judgement
            .clone()
            .filter(|early| self.still_holds(early));
        match early.or_else(|| inference::judge(self.tracker, Some(self.end))) {
            Some(judgement) => self.inferred(judgement, findings),
            None if exchange::cannot_tell(self.tracker) => Conclusion::observed(Outcome::Unknown),
            None => self.without_judgement(),
        }
    }

    /// Whether a verdict given while the connection was open holds now that its gaps are known.
    ///
    /// What was said in the clear was said, and a server that went on had completed
    /// the handshake. A refusal read from lengths may lie in what is missing.
    fn still_holds(&self, early: &Judgement) -> bool {
        if inference::is_refused_later(self.tracker) {
            return false;
        }
        let has_gap = self.tracker.peers.iter().any(|peer| peer.gap_bytes > 0);
        !has_gap || early.is_success() || matches!(early.verdict, Verdict::Failure(_, Cause::Alert))
    }

    /// TLS 1.3, and nothing that a rule fits: silence tells only where a side did not even begin its flight.
    fn without_judgement(&self) -> Conclusion {
        let client_began = self
            .tracker
            .sightings
            .iter()
            .any(|sighting| sighting.side == Side::Client);
        if self.end == End::Silence && !client_began {
            Conclusion::failed(cause::silence(self.tracker))
        } else {
            Conclusion::observed(Outcome::Unknown)
        }
    }

    fn inferred(&self, judgement: Judgement, findings: &[Finding]) -> Conclusion {
        let outcome = judgement.outcome();
        let failure = match judgement.verdict {
            Verdict::Failure(side, cause) => {
                let (failure, is_observed) = self.failure(side, cause, findings);
                if is_observed {
                    return Conclusion::failed(failure);
                }
                Some(failure)
            }
            Verdict::Success | Verdict::Unknown => None,
        };
        Conclusion {
            outcome,
            evidence: Evidence::Inferred,
            confidence: judgement.confidence,
            rule: Some((judgement.rule, judgement.observations)),
            failure,
        }
    }

    /// The failure that a cause stands for, and whether it was said in the clear.
    fn failure(&self, side: Side, cause: Cause, findings: &[Finding]) -> (Failure, bool) {
        let said = self
            .tracker
            .sightings
            .iter()
            .find_map(|sighting| match sighting.what {
                Sight::Alert(description) if sighting.side == side => Some(description),
                _ => None,
            });
        match (cause, said) {
            (Cause::Alert | Cause::Negotiation, Some(said)) => {
                (cause::from_alert(self.tracker, side, said), true)
            }
            (Cause::Certificate, _) => (cause::inferred_refusal(side, self.refusal(side)), false),
            (Cause::Negotiation, None) => (cause::negotiation(side), false),
            // With keys, the certificate that was the last thing seen may be a reason.
            (Cause::Closed, _) if cause::explain(findings, side.peer()).is_some() => {
                (cause::inferred_refusal(side, self.refusal(side)), false)
            }
            (Cause::Closed, _) => {
                let close = self
                    .tracker
                    .peer(side)
                    .close
                    .map_or(Close::Fin, |(close, _)| close);
                (cause::closed(self.tracker, side, close), false)
            }
            (Cause::Alert | Cause::Other, _) => (cause::encrypted_alert(side), false),
        }
    }

    fn refusal(&self, side: Side) -> ErrorType {
        let client_certificate = self.shape.as_ref().map(|shape| shape.client_certificate);
        match (side, client_certificate) {
            (Side::Client, _) => ErrorType::ClientRejectedServer,
            (Side::Server, Some(ClientCertificate::Absent)) => ErrorType::MissingClientCert,
            (Side::Server, _) => ErrorType::ServerRejectedClient,
        }
    }

    fn alerts(&self) -> Vec<Alert> {
        let told = |seen: &super::transcript::AlertSeen| Alert {
            time: seen.at.time,
            sender: self.tracker.side(seen.sender),
            level: seen.content.map(|(level, _)| level),
            description: seen.content.map(|(_, description)| description),
            encrypted: seen.is_encrypted,
        };
        self.tracker.alerts.iter().map(told).collect()
    }

    fn closed_by(&self) -> Option<ClosedBy> {
        match (self.tracker.first_close(), self.end) {
            (Some((Side::Client, Close::Fin, _)), _) => Some(ClosedBy::ClientFin),
            (Some((Side::Client, Close::Rst, _)), _) => Some(ClosedBy::ClientRst),
            (Some((Side::Server, Close::Fin, _)), _) => Some(ClosedBy::ServerFin),
            (Some((Side::Server, Close::Rst, _)), _) => Some(ClosedBy::ServerRst),
            (None, End::CaptureEnd) => Some(ClosedBy::CaptureEnd),
            (None, End::Silence) => Some(ClosedBy::Timeout),
            (None, End::Decided | End::Replaced | End::Evicted) => None,
        }
    }

    fn fingerprint(&self) -> Fingerprint {
        if !self.config.fingerprints {
            return Fingerprint::default();
        }
        let client = self.tracker.client_hello.as_ref();
        let server = self.tracker.server_hello.as_ref();
        Fingerprint {
            ja3: client.and_then(|hello| hello.ja3()),
            ja3s: server.and_then(|(hello, _)| hello.ja3s()),
            ja4: client.and_then(|hello| hello.ja4()),
        }
    }

    fn capture(&self) -> CaptureFacts {
        let [client, server] = [Side::Client, Side::Server].map(|side| self.tracker.peer(side));
        CaptureFacts {
            first_packet: self.tracker.start.packet,
            last_packet: self.tracker.last.packet,
            client_gap_bytes: client.gap_bytes,
            server_gap_bytes: server.gap_bytes,
            truncated: self.tracker.is_truncated,
            directions: match (client.is_in_view, server.is_in_view) {
                (true, false) => Directions::ClientOnly,
                (false, true) => Directions::ServerOnly,
                _ => Directions::Both,
            },
        }
    }

    fn tls_facts(&self, outcome: Outcome, is_closed: bool) -> TlsFacts {
        let tracker = self.tracker;
        let hello = tracker.client_hello.as_deref();
        let answer = tracker.server_hello.as_ref().map(|(hello, _)| &**hello);
        let resumed = self.resumed();
        TlsFacts {
            version: tracker.version(),
            cipher_suite: answer.and_then(|answer| answer.cipher_suite),
            alpn: self.alpn(),
            group: answer
                .and_then(|answer| answer.key_share_group)
                .or(tracker.key_exchange_group),
            resumed,
            resumption: resumed
                .filter(|resumed| *resumed)
                .map(|_| self.resumption()),
            early_data: self.early_data(),
            hello_retry_request: (answer.is_some() || tracker.hello_retry_request)
                .then_some(tracker.hello_retry_request),
            ech_offered: hello.map(|hello| hello.encrypted_client_hello),
            client_certificate: self.client_certificate(resumed),
            certificate_authorities: self.certificate_authorities(),
            ocsp_stapled: tracker.certificate_status,
            ocsp_staple: tracker.ocsp_staple.clone(),
            signed_certificate_timestamps: tracker.certificate_timestamps
                + answer.map_or(0, |answer| answer.signed_certificate_timestamps),
            unused: self.unused(outcome, is_closed),
            renegotiation: tracker.renegotiation,
            ..TlsFacts::default()
        }
    }

    fn alpn(&self) -> Option<String> {
        let decrypted = self.tracker.decrypted.as_ref();
        let hidden = decrypted.and_then(|decrypted| decrypted.extensions.as_ref());
        let (hello, _) = self.tracker.server_hello.as_ref()?;
        hidden.map_or(&hello.alpn, |hidden| &hidden.alpn).clone()
    }

    fn resumed(&self) -> Option<bool> {
        let (answer, _) = self.tracker.server_hello.as_ref()?;
        if answer.version().is_tls13() {
            return Some(answer.pre_shared_key);
        }
        let has_full_flight = [
            HandshakeType::Certificate,
            HandshakeType::ServerKeyExchange,
            HandshakeType::ServerHelloDone,
        ]
        .into_iter()
        .any(|message| self.tracker.has_message(message));
        let goes_straight_on = self.tracker.peer(Side::Server).change_cipher_spec;
        let has_gap = self.tracker.peer(Side::Server).gap_bytes > 0;
        (has_full_flight || goes_straight_on && !has_gap).then_some(!has_full_flight)
    }

    fn resumption(&self) -> Resumption {
        let ticket = self
            .tracker
            .client_hello
            .as_ref()
            .and_then(|hello| hello.session_ticket_length);
        match ticket {
            _ if self.tracker.is_tls13() => Resumption::Psk,
            Some(length) if length > 0 => Resumption::Ticket,
            _ => Resumption::SessionId,
        }
    }

    fn early_data(&self) -> Option<EarlyData> {
        let is_offered = self
            .tracker
            .client_hello
            .as_ref()
            .is_some_and(|hello| hello.early_data);
        match (&self.shape, self.tracker.version()) {
            _ if !is_offered => None,
            (Some(shape), _) => shape.early_data,
            (None, Some(_)) => Some(EarlyData::Rejected),
            (None, None) => Some(EarlyData::Offered),
        }
    }

    fn client_certificate(&self, resumed: Option<bool>) -> ClientCertificate {
        if let Some(shape) = &self.shape {
            return shape.client_certificate;
        }
        let has_gone_on = self.tracker.has_message(HandshakeType::ClientKeyExchange);
        match (
            &self.tracker.peer(Side::Client).certificate,
            &self.tracker.certificate_request,
        ) {
            (Some(body), _) if body.len() <= 3 => ClientCertificate::Absent,
            (Some(_), _) => ClientCertificate::Presented,
            // SSL 3.0 answers with an alert, and no Certificate message.
            (None, Some(_)) if has_gone_on => ClientCertificate::Absent,
            (None, Some(_)) => ClientCertificate::Requested,
            (None, None)
                if self.tracker.has_message(HandshakeType::ServerHelloDone)
                    || resumed == Some(true) =>
            {
                ClientCertificate::NotRequested
            }
            (None, None) => ClientCertificate::Unknown,
        }
    }

    fn certificate_authorities(&self) -> Option<Vec<String>> {
        let body = self.tracker.certificate_request.as_ref()?;
        let version = self.tracker.version().unwrap_or(ProtocolVersion::TLSv1_2);
        let names = read_certificate_authorities(body, version).ok()?;
        Some(names.into_iter().filter_map(distinguished_name).collect())
    }

    /// Whether a completed handshake was of no use: closed, and no application data before.
    fn unused(&self, outcome: Outcome, is_closed: bool) -> Option<bool> {
        /// Records that a server sends after the handshake without being asked: tickets.
        const TICKET_RECORDS: usize = 2;
        if outcome != Outcome::Success {
            return None;
        }
        match &self.shape {
            _ if application_data(self.tracker, self.shape.as_ref()).is_some() => Some(false),
            Some(shape) if shape.server_records_after > TICKET_RECORDS => None,
            _ => (is_closed && self.tracker.first_close().is_some()).then_some(true),
        }
    }
}

/// Moves what the client offers into the event.
fn give_offer(tls: &mut TlsFacts, hello: ClientHello) {
    tls.offered_versions = Some(hello.offered_versions());
    tls.server_name = hello.server_name;
    tls.alpn_offered = hello.alpn;
    tls.offered_cipher_suites = hello
        .sslv2_cipher_specs
        .is_none()
        .then_some(hello.cipher_suites);
    tls.sslv2_cipher_specs = hello.sslv2_cipher_specs;
    tls.offered_groups = hello.groups;
    tls.key_share_groups = hello.key_share_groups;
    tls.signature_algorithms = hello.signature_algorithms;
}

fn shape(tracker: &Tracker) -> Shape {
    let mut shape = inference::shape(tracker);
    if let Some(decrypted) = &tracker.decrypted {
        decrypted.correct(&mut shape, tracker);
    }
    shape
}

fn chain(tracker: &Tracker, side: Side, chains: &mut ChainCache) -> Option<CertificateChain> {
    let body = tracker.peer(side).certificate.as_ref()?;
    let list = read_certificate_list(body).ok()?;
    Some(chains.chain(list.into_iter()))
}

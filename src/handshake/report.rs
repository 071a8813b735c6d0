//! The event of a handshake, from its transcript and the verdict on it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::certificate::{ChainCache, NearExpiry};
use crate::decode::Tunnel;
use crate::dialogue::StartTls;
use crate::event::{
    Alert, CaptureFacts, ClosedBy, Directions, EapFacts, Handshake, HandshakeReport, Inference,
    Outcome, Protocol, Transport,
};
use crate::flow::{Direction, Endpoint, Side};
use crate::framing::Close;
use crate::framing::sealed::KeyUse;
use crate::time::Timestamp;
use crate::tls::{Fingerprint, FingerprintCache, ListCache, TextCache};
use crate::transport::tcp::RoundTrips;

use super::conflict::Conflict;
use super::end::End;
use super::timing::timing;
use super::tracker::Tracker;
use super::transcript::{AlertSeen, Transcript};
use super::{chains, explain, facts, verdict};

/// What is known of a connection apart from its bytes.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The file or interface of its first packet.
    pub source: Arc<str>,
    /// Identifies the connection within a run.
    pub flow_id: u64,
    /// The sender of the first packet seen.
    pub forward: Endpoint,
    /// Its peer.
    pub reverse: Endpoint,
    /// VLAN identifiers of the first handshake packet, outermost first.
    pub vlan: Vec<u16>,
    /// Tunnels around the first handshake packet that is in one, outermost first.
    pub tunnel: Vec<Tunnel>,
    /// What carries the handshake.
    pub transport: Transport,
    /// Which protocol's framing it uses.
    pub protocol: Protocol,
    /// The protocol in which TLS was negotiated in plain text.
    pub starttls: Option<StartTls>,
    /// What EAP says around the handshake, if it carries that.
    pub eap: Option<Box<EapFacts>>,
    /// How far away the peers are.
    pub round_trips: RoundTrips,
    /// Bytes that were sent again with another content.
    pub conflict: Conflict,
}

impl Origin {
    fn endpoint(&self, sender: Direction) -> Endpoint {
        match sender {
            Direction::Forward => self.forward,
            Direction::Reverse => self.reverse,
        }
    }
}

/// What the user wants of reports.
#[derive(Clone, Copy, Debug)]
pub struct ReportConfig {
    /// Whether to compute JA3, JA3S and JA4.
    pub fingerprints: bool,
    /// Whether reports of successful handshakes have what the client offered, apart from the server's name, the authorities
    /// that the server named, and the order of messages. Those of others always have them, since they may explain them.
    pub offers: bool,
    /// When a certificate counts as near expiry.
    pub near_expiry: NearExpiry,
    /// The moment at which certificates have to be valid; `None` for the packet time of each handshake.
    pub judge_at: Option<Timestamp>,
}

/// What many handshakes have in common, made once.
#[derive(Debug, Default)]
pub struct ReportCaches {
    /// The chains that peers show.
    pub chains: ChainCache,
    /// The fingerprints of hellos.
    pub fingerprints: FingerprintCache,
    /// The lists that clients offer.
    pub lists: ListCache,
    /// The names of servers and of application protocols, and the orders of messages.
    pub texts: TextCache,
}

impl ReportCaches {
    /// Empty caches, of which the chains take about `bytes` of memory at most.
    #[must_use]
    pub fn with_chains_within(bytes: usize) -> Self {
        Self {
            chains: ChainCache::within(bytes),
            fingerprints: FingerprintCache::new(),
            lists: ListCache::default(),
            texts: TextCache::default(),
        }
    }
}

impl Tracker {
    /// The report on the handshake of this connection; `None` if no hello was seen.
    #[must_use]
    pub fn report(
        &mut self,
        end: End,
        origin: Origin,
        config: &ReportConfig,
        caches: &mut ReportCaches,
    ) -> Option<Box<HandshakeReport>> {
        self.finish_decryption();
        if !self.has_hello() {
            return None;
        }
        if origin.starttls == Some(StartTls::Postgresql) {
            self.transcript.note_postgresql();
        }
        let conflict = origin.conflict;
        let mut report = self.event(end, origin, config, caches);
        conflict.add_to(&mut report.event);
        let tls = &mut report.event.tls;
        let name = self.transcript.client_hello();
        let name = name.and_then(|hello| hello.server_name.as_deref());
        tls.server_name = name.map(|name| caches.texts.share(name));
        if !config.offers && report.event.outcome == Outcome::Success {
            return Some(report);
        }
        tls.history = caches.texts.share(self.transcript.history());
        tls.certificate_authorities = facts::certificate_authorities(&self.transcript);
        if let Some(hello) = self.transcript.client_hello_mut() {
            facts::give_offer(tls, hello, &mut caches.lists);
        }
        Some(report)
    }

    /// The report with all that is read from the transcript. An event has a kilobyte, so it is made where it stays.
    fn event(
        &self,
        end: End,
        origin: Origin,
        config: &ReportConfig,
        caches: &mut ReportCaches,
    ) -> Box<HandshakeReport> {
        let transcript = &self.transcript;
        let time = transcript.start().time;
        let judged_at = config.judge_at.unwrap_or(time);
        let shape = verdict::shape(transcript);
        let shown = chains::shown(transcript, &mut caches.chains);
        let validation = chains::validate(transcript, &shown, judged_at, config.near_expiry);
        let early = self.standing.early();
        let verdict = verdict::conclude(transcript, early, shape.as_ref(), end, &validation);
        let closed_by = closed_by(transcript, end);
        let tls = facts::negotiated(
            transcript,
            shape.as_ref(),
            verdict.outcome,
            closed_by.is_some(),
            &mut caches.texts,
        );
        let rejected_after = verdict::rejected_after::rejected_after(
            transcript,
            verdict.outcome,
            tls.client_certificate,
            &validation,
        );
        let rejected_after = rejected_after
            .or_else(|| verdict::rejected_after::by_plaintext(transcript, tls.unused, &validation));
        Box::new(HandshakeReport::new(Handshake {
            time,
            flow_id: origin.flow_id,
            transport: origin.transport,
            protocol: origin.protocol,
            client: origin.endpoint(transcript.direction(Side::Client)),
            server: origin.endpoint(transcript.direction(Side::Server)),
            outcome: verdict.outcome,
            evidence: verdict.evidence,
            confidence: (verdict.outcome != Outcome::Unknown).then_some(verdict.confidence),
            inference: verdict
                .rule
                .map(|(rule, observations)| self.inference(rule, observations)),
            error: verdict
                .failure
                .map(|cause| explain::by_findings(cause, &validation)),
            unknown_because: verdict.unknown_because,
            left_at_certificate: verdict::left_at_certificate(transcript),
            has_sent_ticket: shape.as_ref().and_then(|shape| shape.has_sent_ticket),
            alerts: alerts(transcript),
            closed_by,
            timing: timing(
                transcript,
                shape.as_ref(),
                &origin.round_trips,
                verdict.outcome,
            ),
            fingerprint: fingerprint(transcript, config, &mut caches.fingerprints),
            capture: capture(transcript),
            saved_to: None,
            client_process: None,
            server_process: None,
            tls,
            rejected_after: rejected_after.map(Box::new),
            validation,
            notes: Vec::new(),
            judged_at,
            source: origin.source,
            vlan: origin.vlan,
            tunnel: origin.tunnel,
            starttls: origin.starttls,
            proxy: None, // the observer adds it
            eap: origin.eap,
            server_certificates: shown.server,
            client_certificates: shown.client,
        }))
    }

    /// The rule and what it saw, and why that had to be inferred although there were keys.
    fn inference(
        &self,
        rule: &'static str,
        mut observations: Cow<'static, [&'static str]>,
    ) -> Inference {
        if let Some(explanation) = self.key_use().and_then(KeyUse::explanation) {
            observations.to_mut().push(explanation);
        }
        Inference { rule, observations }
    }
}

fn alerts(transcript: &Transcript) -> Vec<Alert> {
    let alert = |seen: &AlertSeen| Alert {
        time: seen.at.time,
        sender: transcript.side(seen.sender),
        level: seen.level(),
        description: seen.description(),
        encrypted: seen.is_encrypted(),
    };
    transcript.alerts().iter().map(alert).collect()
}

fn closed_by(transcript: &Transcript, end: End) -> Option<ClosedBy> {
    let quic = transcript.quic();
    if quic.is_some_and(|quic| verdict::quic::has_closed(transcript, quic)) {
        return Some(ClosedBy::QuicClose);
    }
    let is_lost = transcript.peers().any(|peer| peer.is_not_tls);
    match (transcript.first_close(), end) {
        (Some((Side::Client, Close::Fin, _)), _) => Some(ClosedBy::ClientFin),
        (Some((Side::Client, Close::Rst, _)), _) => Some(ClosedBy::ClientRst),
        (Some((Side::Server, Close::Fin, _)), _) => Some(ClosedBy::ServerFin),
        (Some((Side::Server, Close::Rst, _)), _) => Some(ClosedBy::ServerRst),
        // Not if the report is that of the moment at which the connection came into use, since the capture went on then; nor if a
        // close may have been passed over in a stream that could not be followed.
        (None, End::CaptureEnd) => {
            (!transcript.is_only_watched() && !is_lost).then_some(ClosedBy::CaptureEnd)
        }
        (
            None,
            End::Decided | End::Silence | End::Replaced | End::Evicted | End::PacketsDropped,
        ) => None,
    }
}

fn fingerprint(
    transcript: &Transcript,
    config: &ReportConfig,
    cache: &mut FingerprintCache,
) -> Fingerprint {
    if !config.fingerprints {
        return Fingerprint::default();
    }
    cache.fingerprint(transcript.client_hello(), transcript.server_hello())
}

fn capture(transcript: &Transcript) -> CaptureFacts {
    let [client, server] = Side::BOTH.map(|side| transcript.peer(side));
    CaptureFacts {
        first_packet: transcript.start().packet,
        // Where the clock steps back, the newest packet may not be the last one.
        last_packet: transcript.last().packet.max(transcript.start().packet),
        client_gap_bytes: client.gap_bytes,
        server_gap_bytes: server.gap_bytes,
        truncated: transcript.is_truncated(),
        conflicting_bytes: 0,
        directions: match (client.is_in_view, server.is_in_view) {
            (true, false) => Directions::ClientOnly,
            (false, true) => Directions::ServerOnly,
            _ => Directions::Both,
        },
    }
}

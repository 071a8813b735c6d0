//! A handshake in the list of the page: a row, and for some what the row opens to.
//!
//! These structs are serialised into the page, and `report.js` reads them. Everything that is text is made here, so that the
//! script only lays it out.

use std::borrow::Cow;
use std::fmt::Display;
use std::hash::Hash;

use hashbrown::HashMap;
use serde::Serialize;

use super::ladder::{Step, steps};
use super::text::{shown, shown_list};
use crate::certificate::{Certificate, CertificateRole, Expiry};
use crate::event::{CertificateChain, EarlyData, Finding, Handshake, Ladder, Outcome, Side};
use crate::sink::milliseconds;
use crate::sink::people::show::wireshark::display_filters;
use crate::sink::people::show::{
    alert_text, client_certificate, closed, evidence, list_or_none, names, not_seen, resumption,
};
use crate::time::Timestamp;

/// The label of the next step, which `report.js` shows above everything else.
const HINT: &str = "Hint";

/// Most names of a certificate.
const MAX_NAMES: usize = 20;

/// A row.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    /// Its number in the run, from 1: first in the order of events, in the page in the order of time.
    pub(super) number: u64,
    time: String,
    client: String,
    server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// How long it took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    ms: Option<f64>,
    outcome: &'static str,
    /// The class of the error, or of the refusal after the handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    side: Option<&'static str>,
    /// One clause.
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    /// The position of its source among those of the page; 0 is the first.
    #[serde(skip_serializing_if = "is_first")]
    source: usize,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_first(source: &usize) -> bool {
    *source == 0
}

impl Row {
    pub(super) fn new(event: &Handshake, number: u64, source: usize) -> Self {
        let (cause, side) = match (&event.error, &event.rejected_after) {
            (Some(error), _) => (Some(error.error_type), error.side),
            (None, Some(rejected)) => (Some(rejected.error_type), Some(rejected.side)),
            (None, None) => (None, None),
        };
        Self {
            number,
            time: time(event.time),
            client: event.client.to_string(),
            server: event.server.to_string(),
            name: event.tls.server_name.as_deref().map(text),
            version: event.tls.version.map(|version| version.to_string()),
            ms: event.timing.handshake.map(milliseconds),
            outcome: outcome(event),
            cause: cause.map(|cause| cause.as_str()),
            side: side.map(|side| side.as_str()),
            message: message(event),
            source,
        }
    }
}

impl Row {
    pub(super) fn has_failed(&self) -> bool {
        self.outcome == Outcome::Failure.as_str()
    }

    /// The row as one line of text.
    pub(super) fn line(&self) -> String {
        let name = self.name.as_deref().unwrap_or_default();
        let between = if name.is_empty() { "" } else { " at " };
        let side = self
            .side
            .map_or_else(String::new, |side| format!(" ({side})"));
        format!(
            "{} {}: {} to {name}{between}{}: {}{side}: {}",
            self.number,
            self.time,
            self.client,
            self.server,
            self.cause.unwrap_or("failure"),
            self.message
        )
    }
}

/// The word by which the list is filtered.
pub(super) fn outcome(event: &Handshake) -> &'static str {
    match (event.outcome, &event.rejected_after) {
        (Outcome::Success, Some(_)) => "rejected",
        (outcome, _) => outcome.as_str(),
    }
}

fn message(event: &Handshake) -> String {
    match (&event.error, &event.rejected_after, event.unknown_because) {
        (Some(error), ..) => text(&error.message),
        (None, Some(rejected), _) => {
            format!("{} refused its peer after the handshake", rejected.side)
        }
        (None, None, Some(because)) => because.explanation().to_owned(),
        (None, None, None) => String::new(),
    }
}

/// What the row of a handshake opens to.
#[derive(Debug, Serialize)]
pub(super) struct Detail {
    pub(super) number: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ladder: Vec<Step>,
    verdict: Vec<Fact>,
    connection: Vec<Fact>,
    negotiated: Vec<Fact>,
    #[serde(skip)]
    pub(super) offer: Vec<Fact>,
    #[serde(skip)]
    pub(super) certificates: Vec<ShownCertificate>,
    /// Positions in the pools of the page.
    #[serde(rename = "offer", skip_serializing_if = "Option::is_none")]
    offer_index: Option<usize>,
    #[serde(rename = "certificates", skip_serializing_if = "Vec::is_empty")]
    certificate_indexes: Vec<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_seen: Vec<String>,
    /// What shows its packets in Wireshark, for each capture that they came from.
    filters: Vec<String>,
}

/// A line with a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Fact(&'static str, String);

/// A certificate in a chain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(super) struct ShownCertificate {
    role: &'static str,
    name: String,
    facts: Vec<Fact>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    findings: Vec<String>,
}

impl Detail {
    pub(super) fn new(event: &Handshake, ladder: Option<&Ladder>, number: u64) -> Self {
        let empty = Ladder::default();
        let ladder = ladder.unwrap_or(&empty);
        Self {
            number,
            ladder: steps(event, ladder),
            filters: display_filters(event, ladder),
            verdict: verdict(event),
            connection: connection(event),
            negotiated: negotiated(event),
            offer: offer(event),
            certificates: certificates(event),
            offer_index: None,
            certificate_indexes: Vec::new(),
            not_seen: not_seen(event),
        }
    }

    /// Moves what other handshakes share into the pools of the page.
    pub(super) fn share(
        &mut self,
        offers: &mut Pool<Vec<Fact>>,
        certificates: &mut Pool<ShownCertificate>,
    ) {
        let offer = std::mem::take(&mut self.offer);
        self.offer_index = (!offer.is_empty()).then(|| offers.index_of(offer));
        let shown = std::mem::take(&mut self.certificates);
        let shown = shown.into_iter();
        self.certificate_indexes = shown.map(|shown| certificates.index_of(shown)).collect();
    }
}

/// Values that are written once and referred to by their position.
#[derive(Debug)]
pub(super) struct Pool<T> {
    positions: HashMap<T, usize, foldhash::fast::RandomState>,
}

impl<T: Eq + Hash> Pool<T> {
    pub(super) fn new() -> Self {
        Self {
            positions: HashMap::default(),
        }
    }

    fn index_of(&mut self, value: T) -> usize {
        let next = self.positions.len();
        *self.positions.entry(value).or_insert(next)
    }

    /// The values by position.
    pub(super) fn into_values(self) -> Vec<T> {
        let mut values: Vec<_> = self.positions.into_iter().collect();
        values.sort_unstable_by_key(|(_, position)| *position);
        values.into_iter().map(|(value, _)| value).collect()
    }
}

/// Lines that are left out where the capture does not tell.
#[derive(Default)]
struct Facts(Vec<Fact>);

impl Facts {
    fn add(&mut self, label: &'static str, value: impl Display) {
        self.0.push(Fact(label, text(&value.to_string())));
    }

    fn add_some(&mut self, label: &'static str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.add(label, value);
        }
    }
}

fn verdict(event: &Handshake) -> Vec<Fact> {
    let mut facts = Facts::default();
    let hint = event.error.as_ref().and_then(|error| error.hint.as_ref());
    facts.add_some(HINT, hint);
    facts.add("Evidence", evidence(event));
    if let Some(inference) = &event.inference {
        facts.add("Seen", inference.observations.join("; "));
    }
    if let Some(rejected) = &event.rejected_after {
        facts.add(
            "Afterwards",
            format_args!(
                "the {} refused its peer: {} ({}, confidence {:.2})",
                rejected.side, rejected.error_type, rejected.evidence, rejected.confidence
            ),
        );
        facts.add("Seen", rejected.observations.join("; "));
        facts.add_some(HINT, rejected.hint.as_ref());
    }
    for alert in &event.alerts {
        facts.add("Alert", alert_text(alert));
    }
    facts.add_some("Closed", event.closed_by.map(closed));
    facts.0
}

fn connection(event: &Handshake) -> Vec<Fact> {
    let mut facts = Facts::default();
    facts.add("Capture", &event.source);
    let (first, last) = (event.capture.first_packet, event.capture.last_packet);
    facts.add("Packets", format_args!("{first} to {last}"));
    facts.add("Community ID", event.community_id());
    facts.add("Flow ID", format_args!("{:016x}", event.flow_id));
    facts.add(
        "Transport",
        format_args!("{}, {}", event.protocol, event.transport),
    );
    if let Some(eap) = event.eap.as_deref() {
        facts.add_some("EAP method", eap.method);
        facts.add_some("User name", eap.user_name.as_ref());
        facts.add_some("Calling station", eap.calling_station_id.as_ref());
        facts.add_some("Called station", eap.called_station_id.as_ref());
        facts.add_some("NAS identifier", eap.nas_identifier.as_ref());
        facts.add_some("Login", eap.result);
    }
    facts.add_some("STARTTLS", event.starttls.map(|starttls| starttls.as_str()));
    facts.add_some("Proxy", event.proxy.as_ref());
    if !event.vlan.is_empty() {
        facts.add("VLAN", joined(&event.vlan));
    }
    if !event.tunnel.is_empty() {
        facts.add("Tunnel", joined(&event.tunnel));
    }
    facts.add_some("Saved to", event.saved_to.as_ref());
    facts.0
}

fn negotiated(event: &Handshake) -> Vec<Fact> {
    let tls = &event.tls;
    let mut facts = Facts::default();
    facts.add_some("Server name", tls.server_name.as_ref());
    facts.add_some("Version", tls.version.map(|version| version.to_string()));
    facts.add_some("Cipher suite", tls.cipher_suite);
    facts.add_some("Group", tls.group);
    if tls.version.is_some() {
        facts.add("Key exchange", tls.key_exchange());
    }
    facts.add_some("ALPN", tls.alpn.as_ref());
    if tls.resumed == Some(true) {
        facts.add("Resumed", resumption(true, tls.resumption));
    }
    facts.add_some(
        "0-RTT",
        tls.early_data.map(|early| match early {
            EarlyData::Offered => "offered, answer not visible",
            EarlyData::Accepted => "accepted",
            EarlyData::Rejected => "rejected",
        }),
    );
    if tls.hello_retry_request == Some(true) {
        facts.add("HelloRetryRequest", "yes");
    }
    facts.add(
        "Client certificate",
        client_certificate(tls.client_certificate),
    );
    let names = tls.certificate_authorities.as_deref().unwrap_or_default();
    if !names.is_empty() {
        facts.add("Requested issuers", some_of(names));
    }
    for (label, duration) in [
        ("TCP connect", event.timing.tcp_connect),
        ("STARTTLS", event.timing.starttls),
        ("ServerHello", event.timing.server_hello),
        ("Handshake", event.timing.handshake),
        ("First data", event.timing.first_application_data),
    ] {
        let duration = duration.map(|duration| format!("{:.2} ms", milliseconds(duration)));
        facts.add_some(label, duration);
    }
    facts.add_some("JA4", event.fingerprint.ja4.as_ref());
    facts.0
}

/// What the client offers, in names.
fn offer(event: &Handshake) -> Vec<Fact> {
    let tls = &event.tls;
    let versions = tls.offered_versions.as_deref();
    let suites = tls.offered_cipher_suites.as_deref();
    let groups = tls.offered_groups.as_deref();
    let shares = tls.key_share_groups.as_deref();
    let schemes = tls.signature_algorithms.as_deref();
    let lists = [
        (
            "Versions",
            versions.map(|all| names(all, |one| (one.0, one.to_string()))),
        ),
        (
            "Cipher suites",
            suites.map(|all| names(all, |one| (one.0, one.to_string()))),
        ),
        (
            "Groups",
            groups.map(|all| names(all, |one| (one.0, one.to_string()))),
        ),
        (
            "Key shares",
            shares.map(|all| names(all, |one| (one.0, one.to_string()))),
        ),
        (
            "Signatures",
            schemes.map(|all| names(all, |one| (one.0, one.to_string()))),
        ),
        ("ALPN", tls.alpn_offered.as_deref().map(list_or_none)),
    ];
    let some = |(label, list): (_, Option<String>)| {
        list.map(|list| Fact(label, shown_list(&list).into_owned()))
    };
    lists.into_iter().filter_map(some).collect()
}

fn certificates(event: &Handshake) -> Vec<ShownCertificate> {
    let chains = [
        (Side::Server, &event.server_certificates),
        (Side::Client, &event.client_certificates),
    ];
    chains
        .into_iter()
        .flat_map(|(side, chain)| chain_of(event, side, chain.as_ref()))
        .collect()
}

fn chain_of<'a>(
    event: &'a Handshake,
    side: Side,
    chain: Option<&'a CertificateChain>,
) -> impl Iterator<Item = ShownCertificate> + 'a {
    let chain = chain.map(|chain| &**chain).unwrap_or_default();
    chain
        .iter()
        .enumerate()
        .map(move |(position, certificate)| {
            let findings = event
                .validation
                .iter()
                .filter(|finding| finding.side == side);
            shown_certificate(certificate, position, side, findings, event.judged_at)
        })
}

fn shown_certificate<'a>(
    certificate: &Certificate,
    position: usize,
    side: Side,
    findings: impl Iterator<Item = &'a Finding>,
    judged_at: Timestamp,
) -> ShownCertificate {
    let parsed = match &certificate.facts {
        Ok(parsed) => parsed,
        Err(reason) => {
            return ShownCertificate {
                role: CertificateRole::new(side, position, false).as_str(),
                name: "unreadable certificate".to_owned(),
                facts: vec![Fact("Reason", text(reason))],
                findings: Vec::new(),
            };
        }
    };
    let mut facts = Facts::default();
    facts.add("Subject", &parsed.subject);
    facts.add("Issuer", &parsed.issuer);
    facts.add(
        "Valid",
        format_args!(
            "{} to {} ({})",
            parsed.not_before,
            parsed.not_after,
            Expiry::new(parsed.not_after, judged_at)
        ),
    );
    let names: Vec<_> = parsed.alternative_names().map(Cow::into_owned).collect();
    if !names.is_empty() {
        facts.add("Names", some_of(&names));
    }
    facts.add(
        "Key",
        format_args!("{}, signed with {}", parsed.key, parsed.signature_algorithm),
    );
    facts.add("Serial", &parsed.serial);
    facts.add("SHA-256", crate::hex::Hex(&certificate.sha256));
    ShownCertificate {
        role: CertificateRole::new(side, position, parsed.self_signed).as_str(),
        name: text(&parsed.identity()),
        facts: facts.0,
        findings: findings
            .filter(|finding| finding.certificate.subject() == parsed.subject)
            .map(|finding| {
                format!(
                    "{}: {}",
                    finding.error_type,
                    shown(&finding.detail.to_string())
                )
            })
            .collect(),
    }
}

fn some_of(names: &[String]) -> String {
    let mut joined: String = names
        .iter()
        .take(MAX_NAMES)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if let more @ 1.. = names.len().saturating_sub(MAX_NAMES) {
        joined += &format!(" and {more} more");
    }
    joined
}

fn joined(values: &[impl Display]) -> String {
    let values: Vec<_> = values.iter().map(ToString::to_string).collect();
    values.join(", ")
}

fn text(text: &str) -> String {
    match shown(text) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    }
}

/// As in `2026-03-01T12:00:00.123456789Z`: sorts by time.
fn time(time: Timestamp) -> String {
    format!("{:.9}Z", time.date_time())
}

//! The last failures of a run, as `/failures` lists them: what happened between whom, what to try, and where the evidence is.
//!
//! Two alerts are about handshakes that completed: the server asked for a certificate and the client had none, or had one that does
//! not lead to a trusted root. Such handshakes are kept as well, in a list of their own, for queries that ask for them.

use std::cmp::Reverse;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::metrics::validation_errors::client_errors;
use super::records::spans::TraceIds;
use crate::escape;
use crate::event::{
    ClientCertificate, ErrorType, Handshake, HandshakeError, Outcome, RejectedAfter,
};
use crate::flow::Endpoint;
use crate::pattern::nearest;
use crate::sink::fair_queue::FairQueue;
use crate::sink::people::text::{printable, printable_message};

/// Most failures that are listed, of about a kilobyte each: a page that a person still reads, and of a storm the beginning of
/// every other kind of failure. As many handshakes that completed.
const CAPACITY: usize = 256;

/// What the alert `TLSClientCertificatesUntrusted` counts.
const NOT_TRUSTED: [ErrorType; 3] = [
    ErrorType::UntrustedCa,
    ErrorType::UnknownCa,
    ErrorType::IncompleteChain,
];

/// Parameters of a query.
const PARAMETERS: &str = "`error`, `server`, `port`, `client`, `client_certificate`, `client_finding`, `rejected_after` and `format`";

/// The last failures, shared by the run that records them and the endpoint that lists them.
#[derive(Clone, Debug)]
pub(crate) struct Failures(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    failures: Recent,
    /// Handshakes that completed, and that an alert may be about.
    completed: Recent,
    /// Numbers the entries of both in the order in which they came.
    next: u64,
    /// Options for `tlscope show`.
    show_options: Vec<String>,
}

/// The newest entries of a kind.
#[derive(Debug)]
struct Recent {
    queue: FairQueue<(u64, Entry)>,
    seen: u64,
}

/// A handshake that failed, whose peer was refused afterwards, or that an alert may be about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    /// Packet time of the ClientHello.
    pub(crate) time: String,
    /// The interface, or file.
    pub(crate) source: String,
    pub(crate) outcome: &'static str,
    /// Absent if the handshake neither failed nor was refused afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Cause>,
    pub(crate) client: Address,
    /// The identity in the client's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_identity: Option<String>,
    /// As `tls.client_certificate` in a JSON line.
    pub(crate) client_certificate: &'static str,
    /// What is wrong with the client's certificate, as `tls.validation.errors` counts it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) client_findings: Vec<&'static str>,
    pub(crate) server: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// What the verdict rests on: that of the refusal, if the handshake was refused afterwards.
    pub(crate) evidence: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) confidence: Option<Number>,
    pub(crate) flow_id: String,
    pub(crate) community_id: String,
    /// The trace of the handshake, if traces are exported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trace_id: Option<String>,
    /// The capture of its packets; absent if there is none, or none any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) saved_to: Option<String>,
}

/// What went wrong, as `error` in a JSON line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Cause {
    #[serde(rename = "type")]
    pub(crate) error_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) side: Option<&'static str>,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Address {
    pub(crate) address: String,
    pub(crate) port: u16,
}

/// A share in thousandths, which compares; written as a decimal number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number(u16);

impl Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / 1e3)
    }
}

/// Which handshakes to list. Fields that are `None` select all failures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    /// The class of the error.
    pub(crate) error: Option<String>,
    /// The name that the client asked for, or the server's address; with or without a port, as `/clients` writes it.
    pub(crate) server: Option<String>,
    /// The server's port.
    pub(crate) port: Option<u16>,
    /// The client's identity or address.
    pub(crate) client: Option<String>,
    /// Whether the server asked for a certificate and the client had none, also if the handshake completed.
    pub(crate) is_client_certificate_absent: bool,
    /// What is wrong with the client's certificate, also if the handshake completed.
    pub(crate) client_finding: Option<String>,
    /// Whether only handshakes are listed that completed and were refused afterwards.
    pub(crate) is_rejected_after: bool,
}

/// What is listed, and what is not.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    /// Failures since the start; also the handshakes that completed, if the query is about these.
    pub(crate) seen: u64,
    /// Those of them that had to make room for newer ones.
    pub(crate) dropped: u64,
    /// Options and values with which `tlscope show` judges a capture as this run does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) show_options: Vec<String>,
    /// The newest first.
    pub(crate) failures: Vec<Entry>,
}

impl Default for Failures {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Recent {
    fn new() -> Self {
        Self {
            queue: FairQueue::new(CAPACITY),
            seen: 0,
        }
    }

    fn dropped(&self) -> u64 {
        self.seen - self.queue.newest_first().len() as u64
    }
}

impl Failures {
    /// `show_options` are those with which `tlscope show` judges a saved capture as this run does.
    pub(crate) fn new(show_options: &[String]) -> Self {
        Self(Arc::new(Mutex::new(State {
            failures: Recent::new(),
            completed: Recent::new(),
            next: 0,
            show_options: show_options.to_vec(),
        })))
    }

    /// Records a handshake if it failed, if its peer was refused afterwards, or if an alert may be about it.
    pub(crate) fn record(&self, event: &Handshake, trace: Option<&TraceIds>) {
        let error = Cause::of(event);
        if error.is_none() && !concerns_an_alert(event) {
            return;
        }
        let is_failure = error.is_some();
        let entry = Entry::new(event, error, trace);
        let group = entry.group();
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        let recent = match is_failure {
            true => &mut state.failures,
            false => &mut state.completed,
        };
        recent.seen += 1;
        recent.queue.push(&group, (number, entry));
    }

    /// The handshakes that `query` selects. Looks at the disk for their captures.
    pub(crate) fn list(&self, query: &Query) -> Listed {
        let (seen, dropped, selected, show_options) = {
            let state = self.lock();
            let completed = query.includes_completed().then_some(&state.completed);
            let (mut seen, mut dropped, mut selected) = (0, 0, Vec::new());
            for recent in [Some(&state.failures), completed].into_iter().flatten() {
                seen += recent.seen;
                dropped += recent.dropped();
                let all = recent.queue.newest_first().into_iter();
                selected.extend(all.filter(|(_, entry)| query.selects(entry)).cloned());
            }
            (seen, dropped, selected, state.show_options.clone())
        };
        let mut selected = selected;
        selected.sort_by_key(|(number, _)| Reverse(*number));
        let selected = selected.into_iter();
        let failures = selected.map(|(_, entry)| entry.with_capture()).collect();
        Listed {
            seen,
            dropped,
            show_options,
            failures,
        }
    }

    /// A panic elsewhere leaves the state whole: each change is one insertion.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an alert counts this handshake, even if it completed.
fn concerns_an_alert(event: &Handshake) -> bool {
    event.tls.client_certificate == ClientCertificate::Absent
        || client_errors(event).any(|error| NOT_TRUSTED.contains(&error))
}

impl Listed {
    /// Those since the start that have not made room for newer ones; the list is a selection of these.
    pub(crate) const fn kept(&self) -> u64 {
        self.seen.saturating_sub(self.dropped)
    }

    /// The command that shows a saved capture, for a shell.
    pub(crate) fn show_command(&self, saved_to: &str) -> String {
        let words = ["tlscope", "show"].into_iter();
        let words = words.chain(self.show_options.iter().map(String::as_str));
        let mut command = String::new();
        for word in words.chain([saved_to]) {
            if !command.is_empty() {
                command.push(' ');
            }
            match word.starts_with("--") {
                true => command.push_str(word), // an option: paths are absolute
                false => command.push_str(&escape::shell_word(word)),
            }
        }
        escape::printable(&command).into_owned()
    }

    /// As one JSON object.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned()) // strings and numbers serialise
    }
}

impl Cause {
    /// `None` if the handshake neither failed nor was refused afterwards.
    fn of(event: &Handshake) -> Option<Self> {
        if let Some(rejected) = &event.rejected_after {
            return Some(Self {
                error_type: rejected.error_type.as_str(),
                side: Some(rejected.side.as_str()),
                message: refusal(rejected),
                hint: rejected
                    .hint
                    .as_deref()
                    .map(|hint| printable_message(hint).into_owned()),
            });
        }
        let HandshakeError {
            error_type,
            side,
            message,
            hint,
        } = event.error.as_ref()?;
        Some(Self {
            error_type: error_type.as_str(),
            side: side.map(|side| side.as_str()),
            message: printable_message(message).into_owned(),
            hint: hint
                .as_deref()
                .map(|hint| printable_message(hint).into_owned()),
        })
    }
}

/// What happened after the handshake, and what shows it.
fn refusal(rejected: &RejectedAfter) -> String {
    let side = rejected.side;
    match rejected.observations.last() {
        Some(seen) => format!("the handshake completed, then the {side} refused its peer: {seen}"),
        None => format!("the handshake completed, then the {side} refused its peer"),
    }
}

impl Entry {
    fn new(event: &Handshake, error: Option<Cause>, trace: Option<&TraceIds>) -> Self {
        let chain = event.client_certificates.as_ref();
        let leaf = chain.and_then(|chain| chain.first());
        let facts = leaf.and_then(|leaf| leaf.facts.as_ref().ok());
        // That the handshake completed may be observed, and the refusal inferred.
        let (evidence, confidence) = match &event.rejected_after {
            Some(rejected) => (rejected.evidence, Some(rejected.confidence)),
            None => (event.evidence, event.confidence),
        };
        Self {
            time: event.time.to_string(),
            source: event.source.to_string(),
            outcome: event.outcome.as_str(),
            error,
            client: Address::of(event.client),
            client_identity: facts.map(|facts| printable(&facts.identity()).into_owned()),
            client_certificate: event.tls.client_certificate.as_str(),
            client_findings: client_errors(event).map(ErrorType::as_str).collect(),
            server: Address::of(event.server),
            server_name: event
                .tls
                .server_name
                .as_deref()
                .map(|name| printable(name).into_owned()),
            version: event.tls.version.map(|version| version.to_string()),
            evidence: evidence.as_str(),
            confidence: confidence.map(Number::of),
            flow_id: format!("{:016x}", event.flow_id),
            community_id: event.community_id(),
            trace_id: trace.map(|ids| ids.trace.to_string()),
            saved_to: event.saved_to.as_deref().map(str::to_owned),
        }
    }

    /// Entries of a group make room for each other before others have to.
    fn group(&self) -> String {
        let (kind, server) = (self.kind(), self.server_or_address());
        format!("{kind} {server}:{}", self.server.port)
    }

    /// What went wrong in a word or two: the class of the error, or what is wrong about a handshake that completed.
    pub(crate) fn kind(&self) -> &'static str {
        match (&self.error, self.client_findings.first()) {
            (Some(error), _) => error.error_type,
            (None, Some(finding)) => finding,
            (None, None) => "no client certificate",
        }
    }

    /// What happened in a handshake that completed, and that nobody was seen to refuse.
    pub(crate) fn what_completed(&self) -> String {
        match &self.client_findings[..] {
            [] => "the handshake completed: the server asked for a client certificate, and the client had none".to_owned(),
            findings => format!(
                "the handshake completed, with a client certificate in which tlscope found: {}",
                findings.join(", ")
            ),
        }
    }

    /// The name that the client asked for, or else the server's address.
    pub(crate) fn server_or_address(&self) -> &str {
        self.server_name.as_deref().unwrap_or(&self.server.address)
    }

    /// Whether `written` names the server: by the name that the client asked for or by its address, with or without the port.
    fn is_of_server(&self, written: &str) -> bool {
        let names = [self.server_or_address(), &self.server.address];
        let port = self.server.port;
        names.into_iter().any(|name| {
            let with_port = match name.contains(':') {
                true => format!("[{name}]:{port}"),
                false => format!("{name}:{port}"),
            };
            name.eq_ignore_ascii_case(written) || with_port.eq_ignore_ascii_case(written)
        })
    }

    /// Whether the handshake itself succeeded.
    pub(crate) fn is_completed(&self) -> bool {
        self.outcome == Outcome::Success.as_str()
    }

    /// Whether the handshake completed, and a side refused its peer afterwards.
    pub(crate) fn is_rejected_after(&self) -> bool {
        self.is_completed() && self.error.is_some()
    }

    /// The entry without its capture, if that is gone: others needed the room.
    fn with_capture(mut self) -> Self {
        self.saved_to = self.saved_to.filter(|path| Path::new(path).exists());
        self
    }
}

impl Address {
    fn of(endpoint: Endpoint) -> Self {
        Self {
            address: endpoint.address.to_string(),
            port: endpoint.port,
        }
    }
}

impl Number {
    fn of(share: f64) -> Self {
        Self((share * 1e3).round() as u16)
    }
}

impl Query {
    /// Parses a query as in `error=unknown_ca&server=example.org`.
    ///
    /// # Errors
    ///
    /// One line about a parameter or a cause that does not exist: an empty list would say that all is well.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut query = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let field = match key {
                "error" => &mut query.error,
                "server" => &mut query.server,
                "client" => &mut query.client,
                "client_finding" => &mut query.client_finding,
                "client_certificate" if value == ClientCertificate::Absent.as_str() => {
                    query.is_client_certificate_absent = true;
                    continue;
                }
                "client_certificate" if value.is_empty() => continue,
                "port" => {
                    query.port = port(&decoded(value))?;
                    continue;
                }
                "rejected_after" => {
                    query.is_rejected_after = match value {
                        "true" => true,
                        "" => false,
                        _ => return Err("`rejected_after` takes only `true`".to_owned()),
                    };
                    continue;
                }
                "client_certificate" => {
                    return Err("`client_certificate` takes only `absent`".to_owned());
                }
                "format" if matches!(value, "html" | "json") => continue,
                "format" => return Err("`format` is `html` or `json`".to_owned()),
                key => {
                    let key = printable(&decoded(key)).into_owned();
                    return Err(format!("no parameter `{key}`: there are {PARAMETERS}"));
                }
            };
            // Alerts pass labels on, and `other` stands there for values that have no series of their own.
            *field = Some(decoded(value)).filter(|value| !matches!(&**value, "" | "other"));
        }
        for written in [&query.error, &query.client_finding].into_iter().flatten() {
            check_error_type(written)?;
        }
        Ok(query)
    }

    /// Whether handshakes that completed are listed, too.
    pub(crate) const fn includes_completed(&self) -> bool {
        self.is_client_certificate_absent || self.client_finding.is_some()
    }

    fn selects(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, values: &[&str]| {
            wanted.as_ref().is_none_or(|wanted| {
                values
                    .iter()
                    .any(|value| value.eq_ignore_ascii_case(wanted))
            })
        };
        let identity = entry.client_identity.as_deref().unwrap_or_default();
        let error = entry.error.as_ref().map(|error| error.error_type);
        is(&self.error, error.as_slice())
            && (self.server.as_deref()).is_none_or(|server| entry.is_of_server(server))
            && self.port.is_none_or(|port| port == entry.server.port)
            && (!self.is_rejected_after || entry.is_rejected_after())
            && is(&self.client, &[identity, &entry.client.address])
            && is(&self.client_finding, &entry.client_findings)
            && (!self.is_client_certificate_absent
                || entry.client_certificate == ClientCertificate::Absent.as_str())
    }
}

/// A port as a label or a form has it: empty and `other` select all.
fn port(written: &str) -> Result<Option<u16>, String> {
    match written {
        "" | "other" => Ok(None),
        written => written
            .parse()
            .map(Some)
            .map_err(|_| format!("no port `{}`", printable(written))),
    }
}

fn check_error_type(written: &str) -> Result<(), String> {
    let known: Vec<&str> = ErrorType::ALL.iter().map(|class| class.as_str()).collect();
    if known
        .iter()
        .any(|known| known.eq_ignore_ascii_case(written))
    {
        return Ok(());
    }
    let guess = nearest(written, &known).map_or_else(
        || "; `tlscope print error-types` lists them".to_owned(),
        |known| format!("; did you mean `{known}`?"),
    );
    Err(format!("no error type `{}`{guess}", printable(written)))
}

/// A value of a query without its percent signs; bytes that are not UTF-8 become U+FFFD.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 16).ok()
        });
        match (first, code) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::{Clause, Finding};
    use crate::event::Side;
    use crate::telemetry::testing::{certificate, handshake, rejected_after};

    fn failure(error_type: ErrorType, server: &str) -> Handshake {
        let mut event = handshake();
        event.outcome = Outcome::Failure;
        event.tls.server_name = Some(server.into());
        event.error = Some(HandshakeError {
            error_type,
            side: Some(Side::Client),
            message: "client refused \u{1b}[2J".to_owned(),
            hint: Some("trust the CA".to_owned()),
        });
        event
    }

    fn causes(failures: &Failures, query: &str) -> Vec<&'static str> {
        let listed = failures.list(&Query::parse(query).unwrap());
        let causes = listed.failures.iter();
        causes
            .map(|entry| entry.error.as_ref().map_or("", |error| error.error_type))
            .collect()
    }

    #[test]
    fn failures_are_listed_and_successes_are_not() {
        let failures = Failures::default();
        failures.record(&handshake(), None);
        failures.record(&failure(ErrorType::UnknownCa, "a.example"), None);
        let listed: serde_json::Value =
            serde_json::from_str(&failures.list(&Query::default()).json()).unwrap();
        assert_eq!(listed["seen"], 1);
        assert_eq!(listed["dropped"], 0);
        let first = &listed["failures"][0];
        assert_eq!(first["error"]["type"], "unknown_ca");
        assert_eq!(first["error"]["hint"], "trust the CA");
        assert_eq!(first["error"]["message"], "client refused \\u{1b}[2J");
        assert_eq!(first["server_name"], "a.example");
        assert_eq!(first["server"]["port"], 443);
        assert!(first["community_id"].as_str().unwrap().starts_with("1:"));
        assert_eq!(first.get("trace_id"), None);
        assert_eq!(first.get("saved_to"), None);
    }

    /// A handshake that completed, in which the server asked for a certificate.
    fn completed(server: &str, client_certificate: ClientCertificate) -> Handshake {
        let mut event = handshake();
        event.tls.server_name = Some(server.into());
        event.tls.client_certificate = client_certificate;
        event
    }

    #[test]
    fn a_handshake_without_the_certificate_that_the_server_asked_for_is_listed_on_request() {
        let failures = Failures::default();
        failures.record(&completed("a.example", ClientCertificate::Absent), None);
        failures.record(&completed("b.example", ClientCertificate::Absent), None);
        failures.record(&completed("a.example", ClientCertificate::Presented), None);
        let mut refused = failure(ErrorType::MissingClientCert, "a.example");
        refused.tls.client_certificate = ClientCertificate::Absent;
        failures.record(&refused, None);

        assert_eq!(causes(&failures, ""), ["missing_client_cert"]);
        let of_a = "client_certificate=absent&server=a.example";
        assert_eq!(causes(&failures, of_a), ["missing_client_cert", ""]);
        let listed = failures.list(&Query::parse(of_a).unwrap());
        assert_eq!((listed.seen, listed.dropped), (3, 0));
        let listed: serde_json::Value = serde_json::from_str(&listed.json()).unwrap();
        let completed = &listed["failures"][1];
        assert_eq!(completed["outcome"], "success");
        assert_eq!(completed["client_certificate"], "absent");
        assert_eq!(completed.get("error"), None);
    }

    #[test]
    fn a_client_certificate_that_is_not_trusted_is_listed_on_request() {
        let failures = Failures::default();
        let finding = |error_type, side| Finding {
            error_type,
            side,
            detail: Clause::from("not trusted"),
            certificate: Arc::new(certificate("client", 1)),
        };
        for (server, error_type, side) in [
            ("client.example", ErrorType::UntrustedCa, Side::Client),
            ("server.example", ErrorType::UntrustedCa, Side::Server),
            ("soon.example", ErrorType::NearExpiry, Side::Client),
        ] {
            let mut event = completed(server, ClientCertificate::Presented);
            event.validation = vec![finding(error_type, side)];
            failures.record(&event, None);
        }
        // The client's certificate is what a server refuses.
        let mut refused = failure(ErrorType::UnknownCa, "refused.example");
        refused.error.as_mut().unwrap().side = Some(Side::Server);
        failures.record(&refused, None);

        let servers = |query| {
            let listed = failures.list(&Query::parse(query).unwrap()).failures;
            let servers = listed.into_iter().map(|entry| entry.server_name.unwrap());
            servers.collect::<Vec<_>>()
        };
        assert_eq!(servers("client_finding=untrusted_ca"), ["client.example"]);
        assert_eq!(servers("client_finding=unknown_ca"), ["refused.example"]);
        assert!(servers("client_finding=near_expiry").is_empty());
    }

    #[test]
    fn handshakes_that_completed_displace_no_failures() {
        let failures = Failures::default();
        failures.record(&failure(ErrorType::CertExpired, "rare.example"), None);
        for _ in 0..3 * CAPACITY {
            failures.record(&completed("busy.example", ClientCertificate::Absent), None);
        }
        assert_eq!(causes(&failures, ""), ["cert_expired"]);
        let listed = failures.list(&Query::parse("client_certificate=absent").unwrap());
        assert_eq!(listed.failures.len(), CAPACITY);
        assert_eq!(listed.dropped, 2 * CAPACITY as u64);
    }

    #[test]
    fn a_storm_leaves_the_other_failures_in_the_list_and_is_counted() {
        let failures = Failures::default();
        failures.record(&failure(ErrorType::CertExpired, "rare.example"), None);
        for _ in 0..3 * CAPACITY {
            failures.record(&failure(ErrorType::UnknownCa, "busy.example"), None);
        }
        assert_eq!(causes(&failures, "").len(), CAPACITY);
        assert_eq!(causes(&failures, "server=rare.example"), ["cert_expired"]);
        let listed = failures.list(&Query::default());
        assert_eq!(listed.seen, 3 * CAPACITY as u64 + 1);
        assert_eq!(listed.dropped, 2 * CAPACITY as u64 + 1);
    }

    #[test]
    fn a_query_selects_by_cause_server_and_client() {
        let failures = Failures::default();
        failures.record(&failure(ErrorType::CertExpired, "a.example"), None);
        failures.record(&failure(ErrorType::UnknownCa, "a.example"), None);
        assert_eq!(causes(&failures, "error=unknown_ca"), ["unknown_ca"]);
        assert_eq!(causes(&failures, "error=&server=A.EXAMPLE").len(), 2);
        assert_eq!(causes(&failures, "server=other&client=192.0.2.1").len(), 2);
        assert_eq!(causes(&failures, "client=192.0.2.9").len(), 0);
    }

    #[test]
    fn a_query_selects_a_port_and_takes_a_server_as_clients_writes_it() {
        let failures = Failures::default();
        for port in [8443, 8442] {
            let mut event = failure(ErrorType::UnknownCa, "api.example");
            event.server.port = port;
            failures.record(&event, None);
        }
        let mut event = failure(ErrorType::CertExpired, "");
        event.tls.server_name = None;
        event.server = Endpoint::new([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(), 443);
        failures.record(&event, None);
        let address = event.server.to_string();
        for (query, count) in [
            ("port=8443", 1),
            ("port=", 3),
            ("port=other&server=api.example", 2),
            ("server=api.example:8443", 1),
            ("server=api.example%3A8442&port=8443", 0),
            ("server=api.example:443", 0),
            (&format!("server={address}"), 1),
            ("server=2001:db8::1&port=443", 1),
        ] {
            assert_eq!(causes(&failures, query).len(), count, "{query}");
        }
        for wrong in ["port=x", "port=65536", "port=-1"] {
            assert!(Query::parse(wrong).is_err_and(|error| error.starts_with("no port `")));
        }
    }

    #[test]
    fn a_query_selects_refusals_after_the_handshake() {
        let failures = Failures::default();
        failures.record(&failure(ErrorType::CertExpired, "a.example"), None);
        let mut event = completed("a.example", ClientCertificate::Presented);
        event.rejected_after = Some(Box::new(RejectedAfter {
            error_type: ErrorType::CertExpired,
            hint: Some("renew \u{1b}".to_owned()),
            ..rejected_after()
        }));
        failures.record(&event, None);
        assert_eq!(causes(&failures, "error=cert_expired").len(), 2);
        let query = Query::parse("rejected_after=true&error=cert_expired").unwrap();
        let listed = failures.list(&query).failures;
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].outcome, "success");
        let hint = listed[0].error.as_ref().unwrap().hint.as_deref();
        assert_eq!(hint, Some("renew \\u{1b}"));
        assert_eq!(causes(&failures, "rejected_after=").len(), 2);
        assert!(Query::parse("rejected_after=no").is_err());
    }

    #[test]
    fn a_query_is_decoded() {
        let query = Query::parse("client=spiffe%3A%2F%2Fa%2fb+c&server=%zz%&").unwrap();
        assert_eq!(query.client.as_deref(), Some("spiffe://a/b c"));
        assert_eq!(query.server.as_deref(), Some("%zz%"));
        assert_eq!(decoded("%ff%C3%A9"), "\u{fffd}é");
    }

    #[test]
    fn a_query_for_what_does_not_exist_is_an_error() {
        for (query, expected) in [
            (
                "error=unknown_cas",
                "no error type `unknown_cas`; did you mean `unknown_ca`?",
            ),
            (
                "error=%1b",
                r"no error type `\u{1b}`; `tlscope print error-types` lists them",
            ),
            (
                "sever=a.example",
                "no parameter `sever`: there are `error`, `server`, `port`, `client`, `client_certificate`, `client_finding`, `rejected_after` and `format`",
            ),
            ("format=xml", "`format` is `html` or `json`"),
            (
                "client_certificate=presented",
                "`client_certificate` takes only `absent`",
            ),
            (
                "client_finding=untrusted",
                "no error type `untrusted`; did you mean `untrusted_ca`?",
            ),
        ] {
            assert_eq!(Query::parse(query), Err(expected.to_owned()));
        }
        assert!(Query::parse("format=json&error=UNKNOWN_CA").is_ok());
    }

    #[test]
    fn the_command_for_a_capture_trusts_what_the_run_trusts() {
        let options = ["--ca-file", "/etc/my ca.pem", "--system-roots"];
        let failures = Failures::new(&options.map(str::to_owned));
        let listed = failures.list(&Query::default());
        assert_eq!(
            listed.show_command("/var/it's.pcapng"),
            r"tlscope show --ca-file '/etc/my ca.pem' --system-roots '/var/it'\''s.pcapng'"
        );
        assert!(
            listed
                .json()
                .contains(r#""show_options":["--ca-file","/etc/my ca.pem","--system-roots"]"#)
        );
        let listed = Failures::default().list(&Query::default());
        assert_eq!(listed.show_command("/a.pcapng"), "tlscope show /a.pcapng");
    }

    #[test]
    fn a_capture_that_is_gone_is_not_named() {
        let failures = Failures::default();
        let mut event = failure(ErrorType::UnknownCa, "a.example");
        event.saved_to = Some("/nonexistent/x.pcapng".into());
        failures.record(&event, None);
        assert_eq!(failures.list(&Query::default()).failures[0].saved_to, None);
        event.saved_to = Some(file!().into());
        let failures = Failures::default();
        failures.record(&event, None);
        assert!(
            failures.list(&Query::default()).failures[0]
                .saved_to
                .is_some()
        );
    }
}

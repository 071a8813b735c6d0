//! The last failures of a run, as `/failures` lists them: what happened between whom, what to try, and where the evidence is.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::records::spans::TraceIds;
use crate::event::{ErrorType, Handshake, HandshakeError, Outcome, RejectedAfter, Side};
use crate::flow::Endpoint;
use crate::pattern::nearest;
use crate::sink::fair_queue::FairQueue;
use crate::sink::people::text::{printable, printable_message};

/// Most failures that are listed, of about a kilobyte each: a page that a person still reads, and of a storm the beginning of
/// every other kind of failure.
const CAPACITY: usize = 256;

/// The last failures, shared by the run that records them and the endpoint that lists them.
#[derive(Clone, Debug)]
pub(crate) struct Failures(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    queue: FairQueue<Failure>,
    seen: u64,
}

/// A handshake that failed, or whose peer was refused afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Failure {
    /// Packet time of the ClientHello.
    pub(crate) time: String,
    /// The interface, or file.
    pub(crate) source: String,
    pub(crate) outcome: &'static str,
    pub(crate) error: Cause,
    pub(crate) client: Address,
    /// The identity in the client's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_identity: Option<String>,
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

/// Which failures to list. Fields that are `None` select all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    /// The class of the error.
    pub(crate) error: Option<String>,
    /// The name that the client asked for, or the server's address.
    pub(crate) server: Option<String>,
    /// The client's identity or address.
    pub(crate) client: Option<String>,
}

/// What is listed, and what is not.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    /// Failures since the start.
    pub(crate) seen: u64,
    /// Those of them that had to make room for newer ones.
    pub(crate) dropped: u64,
    /// The newest first.
    pub(crate) failures: Vec<Failure>,
}

impl Default for Failures {
    fn default() -> Self {
        let queue = FairQueue::new(CAPACITY);
        Self(Arc::new(Mutex::new(State { queue, seen: 0 })))
    }
}

impl Failures {
    /// Records a handshake if it failed, or if its peer was refused afterwards.
    pub(crate) fn record(&self, event: &Handshake, trace: Option<&TraceIds>) {
        let Some(error) = Cause::of(event) else {
            return;
        };
        let failure = Failure::new(event, error, trace);
        let group = format!(
            "{} {}:{}",
            failure.error.error_type,
            failure.server_or_address(),
            failure.server.port
        );
        let mut state = self.lock();
        state.seen += 1;
        state.queue.push(&group, failure);
    }

    /// The failures that `query` selects. Looks at the disk for their captures.
    pub(crate) fn list(&self, query: &Query) -> Listed {
        let (seen, dropped, selected) = {
            let state = self.lock();
            let all = state.queue.newest_first();
            let dropped = state.seen - all.len() as u64;
            let selected = all.into_iter().filter(|failure| query.selects(failure));
            (state.seen, dropped, selected.cloned().collect::<Vec<_>>())
        };
        let selected = selected.into_iter();
        let failures = selected.map(Failure::with_capture).collect();
        Listed {
            seen,
            dropped,
            failures,
        }
    }

    /// A panic elsewhere leaves the state whole: each change is one insertion.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listed {
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
                hint: next_step(rejected).map(str::to_owned),
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

/// What to do about a refusal after the handshake, for the most frequent causes.
fn next_step(rejected: &RejectedAfter) -> Option<&'static str> {
    match (rejected.side, rejected.error_type) {
        (Side::Server, ErrorType::MissingClientCert) => Some(
            "the client must present a certificate by a CA that the server lists; without one, this server completes the handshake and refuses the request",
        ),
        (Side::Server, ErrorType::ServerRejectedClient) => Some(
            "the client's certificate must lead to a CA that the server trusts, and be valid; the server's log has the reason",
        ),
        (Side::Client, ErrorType::HostnameMismatch) => Some(
            "the client must use a name that is in the server's certificate, or the certificate must have the name that the client uses",
        ),
        _ => None,
    }
}

impl Failure {
    fn new(event: &Handshake, error: Cause, trace: Option<&TraceIds>) -> Self {
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

    /// The name that the client asked for, or else the server's address.
    pub(crate) fn server_or_address(&self) -> &str {
        self.server_name.as_deref().unwrap_or(&self.server.address)
    }

    /// Whether the handshake itself succeeded.
    pub(crate) fn is_completed(&self) -> bool {
        self.outcome == Outcome::Success.as_str()
    }

    /// The failure without its capture, if that is gone: others needed the room.
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
                "format" if matches!(value, "html" | "json") => continue,
                "format" => return Err("`format` is `html` or `json`".to_owned()),
                key => {
                    let key = printable(&decoded(key)).into_owned();
                    return Err(format!(
                        "no parameter `{key}`: there are `error`, `server`, `client` and `format`"
                    ));
                }
            };
            // Alerts pass labels on, and `other` stands there for values that have no series of their own.
            *field = Some(decoded(value)).filter(|value| !matches!(&**value, "" | "other"));
        }
        if let Some(written) = &query.error {
            let known: Vec<&str> = ErrorType::ALL.iter().map(|class| class.as_str()).collect();
            if !known
                .iter()
                .any(|known| known.eq_ignore_ascii_case(written))
            {
                let guess = nearest(written, &known).map_or_else(
                    || "; `tlscope print error-types` lists them".to_owned(),
                    |known| format!("; did you mean `{known}`?"),
                );
                let written = printable(written);
                return Err(format!("no error type `{written}`{guess}"));
            }
        }
        Ok(query)
    }

    fn selects(&self, failure: &Failure) -> bool {
        let is = |wanted: &Option<String>, values: &[&str]| {
            wanted.as_ref().is_none_or(|wanted| {
                values
                    .iter()
                    .any(|value| value.eq_ignore_ascii_case(wanted))
            })
        };
        let identity = failure.client_identity.as_deref().unwrap_or_default();
        is(&self.error, &[failure.error.error_type])
            && is(
                &self.server,
                &[failure.server_or_address(), &failure.server.address],
            )
            && is(&self.client, &[identity, &failure.client.address])
    }
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
    use crate::telemetry::testing::handshake;

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
        causes.map(|failure| failure.error.error_type).collect()
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
                "no parameter `sever`: there are `error`, `server`, `client` and `format`",
            ),
            ("format=xml", "`format` is `html` or `json`"),
        ] {
            assert_eq!(Query::parse(query), Err(expected.to_owned()));
        }
        assert!(Query::parse("format=json&error=UNKNOWN_CA").is_ok());
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

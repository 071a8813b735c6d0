//! The report as one JSON object.
//!
//! ```json
//! {
//!   "type": "check", "passed": false, "policy": "tlscope.toml", "captures": ["capture.pcapng"], "complete": true,
//!   "handshakes": 16, "errors": 1, "warnings": 0, "held": 7, "partly_held": 2,
//!   "results": [{
//!     "id": "min-version", "name": "no old versions", "line": 3, "severity": "error", "verdict": "error",
//!     "wanted": "TLS 1.2 or later", "found": "1 of 16 handshakes violated it", "judged": 16, "broken": 1, "known": 0,
//!     "not_judged": [{"reason": "no ServerHello in view", "handshakes": 2}],
//!     "offenders": [{
//!       "why": "TLS 1.1 was selected",
//!       "handshake": {
//!         "source": "capture.pcapng", "first_packet": 12, "last_packet": 31, "time": "2026-03-01T12:00:00.123456789Z",
//!         "client": "10.0.0.1:51234", "server": "10.0.0.2:443", "server_name": "example.org", "outcome": "success"
//!       }
//!     }],
//!     "offenders_omitted": 0
//!   }],
//!   "not_judged": [{"reason": "no ServerHello in view", "handshakes": 2, "assertions": 4}]
//! }
//! ```
//!
//! `complete` is `false` if some of the input could not be read. `verdict` is `held`,
//! `partly_held` (none violated it, some could not be evaluated), `not_judged` (nothing
//! could be evaluated, and the policy allows that), `warning` or `error`. `judged` counts the
//! handshakes that were evaluated, `broken` those that violate the assertion, `known` those
//! that violate it and are known. `held` counts assertions, with those in `partly_held`. `line` is `null` for an assertion in no policy file, `handshake` for an
//! expected handshake that is missing.

use std::io::{self, Write};

use serde::Serialize;

use crate::check::{CheckResult, Location, NotEvaluated, Offender, Report, Status};
use crate::escape::SafeJson;

pub(super) fn write(report: &Report, output: &mut impl Write) -> io::Result<()> {
    let document = Document {
        kind: "check",
        passed: report.has_passed(),
        policy: &report.policy,
        captures: &report.captures,
        complete: report.is_complete,
        handshakes: report.handshakes,
        errors: report.count(Status::Error),
        warnings: report.count(Status::Warning),
        held: report.held(),
        partly_held: report.count(Status::PartlyHeld),
        results: report.results.iter().map(ResultObject::from).collect(),
        not_judged: report
            .not_evaluated
            .iter()
            .map(MissingObject::from)
            .collect(),
    };
    serde_json::to_writer_pretty(SafeJson(&mut *output), &document)?;
    writeln!(output)
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    passed: bool,
    policy: &'a str,
    captures: &'a [String],
    complete: bool,
    handshakes: u64,
    errors: usize,
    warnings: usize,
    held: usize,
    partly_held: usize,
    results: Vec<ResultObject<'a>>,
    not_judged: Vec<MissingObject>,
}

#[derive(Serialize)]
struct MissingObject {
    reason: &'static str,
    handshakes: u64,
    assertions: usize,
}

impl From<&NotEvaluated> for MissingObject {
    fn from(missing: &NotEvaluated) -> Self {
        Self {
            reason: missing.reason,
            handshakes: missing.handshakes,
            assertions: missing.assertions,
        }
    }
}

#[derive(Serialize)]
struct ResultObject<'a> {
    id: &'static str,
    name: &'a str,
    line: Option<usize>,
    severity: &'static str,
    verdict: &'static str,
    wanted: &'a str,
    found: &'a str,
    judged: u64,
    broken: u64,
    known: u64,
    not_judged: Vec<ReasonObject>,
    offenders: Vec<OffenderObject<'a>>,
    offenders_omitted: u64,
}

#[derive(Serialize)]
struct ReasonObject {
    reason: &'static str,
    handshakes: u64,
}

#[derive(Serialize)]
struct OffenderObject<'a> {
    why: &'a str,
    handshake: Option<HandshakeObject<'a>>,
}

#[derive(Serialize)]
struct HandshakeObject<'a> {
    source: &'a str,
    /// Numbers of packets; `null` for a connection that did not become TLS.
    first_packet: Option<u64>,
    last_packet: Option<u64>,
    time: String,
    client: String,
    server: String,
    server_name: Option<&'a str>,
    outcome: &'static str,
}

impl<'a> From<&'a CheckResult> for ResultObject<'a> {
    fn from(result: &'a CheckResult) -> Self {
        let reasons = result.not_evaluated.iter();
        Self {
            id: result.id,
            name: &result.name,
            line: (result.line > 0).then_some(result.line),
            severity: result.severity.as_str(),
            verdict: result.status.as_str(),
            wanted: &result.wanted,
            found: &result.found,
            judged: result.evaluated,
            broken: result.violations,
            known: result.known,
            not_judged: reasons
                .map(|(&reason, &handshakes)| ReasonObject { reason, handshakes })
                .collect(),
            offenders: result.offenders.iter().map(OffenderObject::from).collect(),
            offenders_omitted: result.offenders_omitted(),
        }
    }
}

impl<'a> From<&'a Offender> for OffenderObject<'a> {
    fn from(offender: &'a Offender) -> Self {
        Self {
            why: &offender.why,
            handshake: offender.handshake.as_ref().map(HandshakeObject::from),
        }
    }
}

impl<'a> From<&'a Location> for HandshakeObject<'a> {
    fn from(location: &'a Location) -> Self {
        let known = |packet: u64| (packet > 0).then_some(packet);
        Self {
            source: &location.source,
            first_packet: known(location.first_packet),
            last_packet: known(location.last_packet),
            time: location.time.to_string(),
            client: location.client.to_string(),
            server: location.server.to_string(),
            server_name: location.server_name.as_deref(),
            outcome: location.outcome.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::{ReportFormat, example, written};

    #[test]
    fn has_the_keys_that_are_documented() {
        let source = include_str!("json.rs");
        let (_, rest) = source.split_once("//! ```json\n").unwrap();
        let (documented, _) = rest.split_once("//! ```\n").unwrap();
        let documented: Value = serde_json::from_str(&documented.replace("//!", "")).unwrap();
        let said: Value = serde_json::from_str(&written(&example(), ReportFormat::Json)).unwrap();
        let keys =
            |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
        for path in [
            "",
            "/results/0",
            "/results/0/not_judged/0",
            "/results/0/offenders/0",
            "/results/0/offenders/0/handshake",
            "/not_judged/0",
        ] {
            let (documented, said) = (
                documented.pointer(path).unwrap(),
                said.pointer(path).unwrap(),
            );
            assert_eq!(keys(said), keys(documented), "{path}");
        }
        assert_eq!(said["passed"], false);
        assert_eq!((&said["errors"], &said["warnings"]), (&3.into(), &1.into()));
    }
}

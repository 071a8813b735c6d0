//! How handshakes end: how many may fail, and which have to.

use super::Compliance::{self, Satisfied, Undetermined, Violated};
use super::in_view::UNKNOWN_OUTCOME;
use super::limit::Limit;
use super::{
    About, Assertion, Assertions, InScope, PolicyKey, RunResult, RunTotals, error_types, one,
};
use crate::check::policy_entry::{PolicyEntry, Result};
use crate::event::{
    Directions, ErrorType, Handshake, HandshakeError, NotTls, NotTlsKind, Outcome, RejectedAfter,
    Side,
};

pub(super) const KEYS: &[PolicyKey] = &[
    PolicyKey {
        name: "max-failures",
        example: r#""0.5 %""#,
        doc: "at most this many handshakes fail: a number, or a share of those whose outcome is known. A refused STARTTLS \
              (`starttls_refused`) counts as a handshake that failed",
        read: |entry| {
            one(MaxFailures {
                limit: Limit::read(entry)?,
                error_type: None,
            })
        },
    },
    PolicyKey {
        name: "max-failures-of",
        example: r#"{ unknown_ca = 0 }"#,
        doc: "the same for single values of `error.type`. Counts what completed and was then rejected (`rejected_after`), too, \
              as `access_denied` for a login over EAP, and with `not_tls` the plain text sent to TLS ports",
        read: read_failures_of,
    },
    PolicyKey {
        name: "max-unknown",
        example: "3",
        doc: "at most this many handshakes, a number or a share, have an unknown outcome",
        read: |entry| one(MaxUnknown(Limit::read(entry)?)),
    },
    PolicyKey {
        name: "expect-failure",
        example: r#"{ type = "unknown_ca", side = "client" }"#,
        doc: "every handshake fails, with this `type` (or one of several) and from this `side`; both may be omitted. \
              `max-failures` does not count such failures. With a `type`, one that completed and was then rejected for it \
              fits, too",
        read: read_expected_failure,
    },
];

fn read_failures_of(entry: &PolicyEntry<'_>) -> Result<Assertions> {
    let what = "a table, as in `{ unknown_ca = 0, connection_reset = \"1 %\" }`";
    let words = error_types::words();
    let mut all = Assertions::new();
    for class in entry.table().ok_or_else(|| entry.takes(what))? {
        let found = words.iter().find(|(word, _)| *word == class.key);
        let (_, error_type) = found.ok_or_else(|| {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            class.unknown_key(&known)
        })?;
        all.push(Box::new(MaxFailures {
            limit: Limit::read(&class)?,
            error_type: Some(*error_type),
        }));
    }
    Ok(all)
}

/// Reads an error type, several, or a table that may also have the side.
fn read_expected_failure(entry: &PolicyEntry<'_>) -> Result<Assertions> {
    let (mut error_types, mut side) = (Vec::new(), None);
    match entry.table() {
        None => error_types = error_types::read(entry)?,
        Some(table) => {
            for part in table {
                match part.key {
                    "type" => error_types = error_types::read(&part)?,
                    "side" => side = Some(part.word(SIDES)?),
                    _ => return Err(part.unknown_key(&["type", "side"])),
                }
            }
        }
    }
    one(ExpectFailure { error_types, side })
}

const SIDES: &[(&str, Side)] = &[("client", Side::Client), ("server", Side::Server)];

#[derive(Debug)]
struct MaxFailures {
    limit: Limit,
    /// Only failures of this type count; `None`: all.
    error_type: Option<ErrorType>,
}

impl Assertion for MaxFailures {
    fn requirement(&self) -> String {
        match (self.limit, self.error_type) {
            (Limit::Count(0), None) => "no failure".to_owned(),
            (Limit::Count(0), Some(error_type)) => format!("no {error_type}"),
            (limit, None) => format!("at most {}", limit.of_what("failure")),
            (limit, Some(error_type)) => {
                format!("at most {} of {error_type}", limit.of_what("failure"))
            }
        }
    }

    fn evaluate(&self, InScope { event, .. }: InScope<'_>) -> Compliance {
        if let Some(rejected) = &event.rejected_after
            && self.error_type == Some(rejected.error_type)
        {
            return Violated(rejected_in_words(rejected));
        }
        match (event.outcome, &event.error) {
            (Outcome::Success, _) => Satisfied,
            (Outcome::Unknown, _) => Undetermined(UNKNOWN_OUTCOME),
            (Outcome::Failure, Some(error))
                if self
                    .error_type
                    .is_none_or(|counted| counted == error.error_type) =>
            {
                Violated(in_words(error))
            }
            (Outcome::Failure, None) if self.error_type.is_none() => {
                Violated("it failed".to_owned())
            }
            (Outcome::Failure, _) => Satisfied,
        }
    }

    /// A client that asked for TLS and did not get it has failed; what else a plain connection is, the user has to name.
    fn evaluate_not_tls(&self, event: &NotTls) -> Option<Compliance> {
        let counted = self.error_type.unwrap_or(ErrorType::StartTlsRefused);
        let is_counted = event.error_type() == Some(counted);
        is_counted.then(|| Violated(format!("{counted}: {}", event.message)))
    }

    fn tolerance(&self, evaluated: u64) -> u64 {
        self.limit.of(evaluated)
    }

    fn violation(&self) -> &'static str {
        "failed"
    }

    fn skips_expected_failures(&self) -> bool {
        true
    }
}

/// The same for what was refused after the handshake.
fn rejected_in_words(rejected: &RejectedAfter) -> String {
    let seen = rejected.observations.join("; ");
    let colon = if seen.is_empty() { "" } else { ": " };
    let RejectedAfter {
        error_type, side, ..
    } = rejected;
    format!("{error_type} ({side}), after the handshake{colon}{seen}")
}

/// A failure in one clause: its type, the side that gave up, and the message.
fn in_words(error: &HandshakeError) -> String {
    match error.side {
        Some(side) => format!("{} ({side}): {}", error.error_type, error.message),
        None => format!("{}: {}", error.error_type, error.message),
    }
}

#[derive(Debug)]
struct MaxUnknown(Limit);

impl Assertion for MaxUnknown {
    fn requirement(&self) -> String {
        format!(
            "at most {} with an unknown outcome",
            self.0.of_what("handshake")
        )
    }

    fn evaluate(&self, InScope { event, .. }: InScope<'_>) -> Compliance {
        match (event.outcome, event.capture.directions) {
            (Outcome::Success | Outcome::Failure, _) => Satisfied,
            (Outcome::Unknown, Directions::Both) => Violated("outcome unknown".to_owned()),
            (Outcome::Unknown, one) => Violated(format!("outcome unknown: {}", one.as_str())),
        }
    }

    fn about(&self) -> About {
        About::Coverage
    }

    fn tolerance(&self, evaluated: u64) -> u64 {
        self.0.of(evaluated)
    }

    fn violation(&self) -> &'static str {
        "had an unknown outcome"
    }
}

#[derive(Debug)]
struct ExpectFailure {
    /// One of these; empty: any.
    error_types: Vec<ErrorType>,
    /// The side that gives up; `None`: either.
    side: Option<Side>,
}

impl Assertion for ExpectFailure {
    fn requirement(&self) -> String {
        let of = match self.error_types.as_slice() {
            [] => String::new(),
            types => format!(" with {}", error_types::joined(types, "or")),
        };
        let by = self
            .side
            .map_or(String::new(), |side| format!(" from the {side}"));
        format!("a failure{of}{by}")
    }

    fn evaluate(&self, InScope { event, .. }: InScope<'_>) -> Compliance {
        if self.is_rejected_as_expected(event) {
            return Satisfied;
        }
        match (event.outcome, &event.error) {
            (Outcome::Success, _) => Violated("it completed".to_owned()),
            (Outcome::Unknown, _) => Undetermined(UNKNOWN_OUTCOME),
            (Outcome::Failure, None) => Undetermined("cause unknown"),
            (Outcome::Failure, Some(error)) if self.is_expected(error) => Satisfied,
            (Outcome::Failure, Some(error)) => {
                Violated(format!("it failed in another way: {}", in_words(error)))
            }
        }
    }

    /// Only a refusal of TLS is a handshake that ended differently; plain text is not asked about unless it is expected.
    fn evaluate_not_tls(&self, event: &NotTls) -> Option<Compliance> {
        if self.expects_not_tls(event) {
            return Some(Satisfied);
        }
        let refused = event.error_type() == Some(ErrorType::StartTlsRefused);
        let message = &event.message;
        refused.then(|| {
            Violated(format!(
                "it failed in another way: starttls_refused: {message}"
            ))
        })
    }

    fn violation(&self) -> &'static str {
        "ended differently"
    }

    /// An expected failure that was never seen violates the policy.
    fn at_end(&self, run: &RunTotals<'_>) -> Option<RunResult> {
        (run.evaluated == 0).then_some(RunResult {
            holds: false,
            found: None,
        })
    }

    fn expects(&self, event: &Handshake) -> bool {
        let error = event.error.as_ref();
        event.outcome == Outcome::Failure && error.is_some_and(|error| self.is_expected(error))
            || self.is_rejected_as_expected(event)
    }

    fn expects_not_tls(&self, event: &NotTls) -> bool {
        let is_refused = event.kind == NotTlsKind::StartTlsRefused;
        let side = if is_refused {
            Side::Server
        } else {
            Side::Client
        };
        let is_from_side = self.side.is_none_or(|expected| expected == side);
        let is_of_type = |class| match self.error_types.as_slice() {
            [] => is_refused,
            types => types.contains(&class),
        };
        is_from_side && event.error_type().is_some_and(is_of_type)
    }
}

impl ExpectFailure {
    /// Whether it names the cause for which a side refused its peer after the handshake.
    fn is_rejected_as_expected(&self, event: &Handshake) -> bool {
        event.rejected_after.as_ref().is_some_and(|rejected| {
            self.error_types.contains(&rejected.error_type)
                && self.side.is_none_or(|side| side == rejected.side)
        })
    }

    fn is_expected(&self, error: &HandshakeError) -> bool {
        let is_of_type =
            self.error_types.is_empty() || self.error_types.contains(&error.error_type);
        is_of_type && self.side.is_none_or(|side| error.side == Some(side))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assertion, compliance, is_violated};
    use super::*;
    use crate::sink::test_events::{barely_seen, completed, refused_by_the_client};

    #[test]
    fn failures_are_counted_by_type_and_an_unknown_outcome_is_not_one() {
        let failed = refused_by_the_client();
        assert!(is_violated("max-failures = 0", &failed));
        assert!(is_violated("max-failures-of = { unknown_ca = 0 }", &failed));
        let other = compliance("max-failures-of = { other = 0 }", &failed);
        assert_eq!(other, Satisfied);
        assert_eq!(compliance("max-failures = 0", &completed()), Satisfied);
        let unknown = compliance("max-failures = 0", &barely_seen());
        assert_eq!(unknown, Undetermined(UNKNOWN_OUTCOME));
        assert!(is_violated("max-unknown = 0", &barely_seen()));
    }

    /// A login over EAP that completed its handshake, and was refused then.
    fn rejected_login() -> Handshake {
        let mut event = completed();
        event.rejected_after = Some(Box::new(RejectedAfter {
            error_type: ErrorType::AccessDenied,
            side: Side::Server,
            evidence: crate::event::Evidence::Observed,
            confidence: 1.0,
            observations: vec!["RADIUS Access-Reject"],
            hint: None,
        }));
        event
    }

    #[test]
    fn what_was_rejected_after_the_handshake_counts_where_its_type_is_named() {
        let event = rejected_login();
        let named = compliance("max-failures-of = { access_denied = 0 }", &event);
        let why = "access_denied (server), after the handshake: RADIUS Access-Reject";
        assert_eq!(named, Violated(why.to_owned()));
        assert_eq!(compliance("max-failures = 0", &event), Satisfied);
        let other = compliance("max-failures-of = { unknown_ca = 0 }", &event);
        assert_eq!(other, Satisfied);
    }

    #[test]
    fn a_rejection_after_the_handshake_can_be_expected_by_its_type() {
        let event = rejected_login();
        for (rule, expected) in [
            ("expect-failure = 'access_denied'", true),
            (
                "expect-failure = { type = 'access_denied', side = 'client' }",
                false,
            ),
            ("expect-failure = 'unknown_ca'", false),
            ("expect-failure = {}", false),
        ] {
            assert_eq!(!is_violated(rule, &event), expected, "{rule}");
            assert_eq!(assertion(rule).expects(&event), expected, "{rule}");
        }
    }

    #[test]
    fn an_expected_failure_has_its_type_and_its_side() {
        let failed = refused_by_the_client(); // unknown_ca, client
        let expected = |value: &str| compliance(&format!("expect-failure = {value}"), &failed);
        let types = "type = ['self_signed', 'unknown_ca']";
        assert_eq!(
            expected(&format!("{{ {types}, side = 'client' }}")),
            Satisfied
        );
        assert_eq!(expected("{}"), Satisfied);
        let wrong_side = expected(&format!("{{ {types}, side = 'server' }}"));
        assert!(matches!(wrong_side, Violated(_)));
        assert!(matches!(expected("'other'"), Violated(_)));
        assert!(is_violated("expect-failure = {}", &completed()));
    }

    #[test]
    fn only_failures_that_comply_are_expected() {
        let expected = assertion("expect-failure = 'unknown_ca'");
        assert!(expected.expects(&refused_by_the_client()));
        assert!(!expected.expects(&completed()));
        assert!(!expected.expects(&barely_seen()));
        let other = assertion("expect-failure = 'other'");
        assert!(!other.expects(&refused_by_the_client()));
    }

    #[test]
    fn limits_are_numbers_or_shares() {
        let requirement = |rule: &str| assertion(rule).requirement();
        assert_eq!(requirement("max-failures = 0"), "no failure");
        assert_eq!(
            requirement("max-failures = '0.5%'"),
            "at most 0.5 % failures"
        );
        let of_type = requirement("max-failures-of = { unknown_ca = 2 }");
        assert_eq!(of_type, "at most 2 failures of unknown_ca");
        let side = "expect-failure = { type = ['unknown_ca', 'self_signed'], side = 'client' }";
        assert_eq!(
            requirement(side),
            "a failure with unknown_ca or self_signed from the client"
        );
    }
}

//! One assertion against one handshake.

mod certificate;
mod negotiation;

use super::Context;
use super::policy::{Assertion, Phase};
use crate::event::{ErrorType, Handshake, HandshakeError, Outcome, Side};

/// What an assertion makes of a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It holds.
    Held,
    /// It does not: one clause on what was seen instead.
    Broken(String),
    /// The capture does not tell: one clause on what is missing.
    NotJudged(&'static str),
    /// The handshake has nothing that it is about: nothing was negotiated, or a session was resumed without certificates.
    NotConcerned,
}

use Judgement::{Broken, Held, NotConcerned, NotJudged};

const NO_CLIENT_HELLO: &str = "no ClientHello in view";
const NO_SERVER_HELLO: &str = "no ServerHello in view";
const NO_VERDICT: &str = "outcome unknown";

/// What `assertion` makes of a handshake in its scope.
///
/// Those that count handshakes or what was dropped find every handshake to hold.
pub(super) fn judge(assertion: &Assertion, event: &Handshake, context: Context) -> Judgement {
    match assertion {
        Assertion::MinVersion(version) => negotiation::min_version(*version, event),
        Assertion::Codes {
            subject,
            list,
            codes,
        } => negotiation::codes(*subject, *list, codes, event),
        Assertion::RequireServerName => negotiation::server_name(event),
        Assertion::RequireAlpn => negotiation::alpn(None, event),
        Assertion::AllowedAlpn(allowed) => negotiation::alpn(Some(allowed), event),
        Assertion::Leaf {
            field,
            list,
            patterns,
        } => certificate::leaf(*field, *list, patterns, event),
        Assertion::MinRsaBits(bits) => certificate::min_rsa_bits(*bits, event),
        Assertion::MinDaysValid(days) => certificate::min_days_valid(*days, event, context),
        Assertion::MaxLifetimeDays(days) => certificate::max_lifetime(*days, event),
        Assertion::ForbiddenFindings(types) => certificate::findings(types, event, context),
        Assertion::ClientCertificate(presence) => certificate::client(*presence, event),
        Assertion::MaxFailures { error_type, .. } => failure(*error_type, event),
        Assertion::MaxUnknown(_) => verdict(event),
        Assertion::MaxLatency { phase, limit, .. } => match time_of(*phase, event) {
            Some(time) if time <= *limit => Held,
            Some(time) => Broken(format!("{} took {}", phase.as_str(), milliseconds(time))),
            None if event.outcome == Outcome::Success => NotJudged("phase not in view"),
            None => NotConcerned,
        },
        Assertion::ExpectFailure { error_types, side } => expected(error_types, *side, event),
        Assertion::NoGaps => gaps(event),
        Assertion::NoTruncation if event.capture.truncated => {
            Broken("a packet was cut short, or a buffer was full".to_owned())
        }
        Assertion::NoTruncation
        | Assertion::NoDrops
        | Assertion::CompleteInput
        | Assertion::MinHandshakes(_)
        | Assertion::MaxHandshakes(_) => Held,
    }
}

/// What there is to say where the server selected nothing in view.
fn nothing_selected(event: &Handshake) -> Judgement {
    match event.outcome {
        Outcome::Failure => NotConcerned,
        Outcome::Success | Outcome::Unknown => NotJudged(NO_SERVER_HELLO),
    }
}

fn failure(wanted: Option<ErrorType>, event: &Handshake) -> Judgement {
    match (event.outcome, &event.error) {
        (Outcome::Success, _) => Held,
        (Outcome::Unknown, _) => NotJudged(NO_VERDICT),
        (Outcome::Failure, Some(error))
            if wanted.is_none_or(|wanted| wanted == error.error_type) =>
        {
            Broken(told(error))
        }
        (Outcome::Failure, None) if wanted.is_none() => Broken("it failed".to_owned()),
        (Outcome::Failure, _) => Held,
    }
}

/// A failure in one clause: its class, the side that gave up, and the message.
fn told(error: &HandshakeError) -> String {
    match error.side {
        Some(side) => format!("{} ({side}): {}", error.error_type, error.message),
        None => format!("{}: {}", error.error_type, error.message),
    }
}

fn verdict(event: &Handshake) -> Judgement {
    use crate::event::Directions;
    match (event.outcome, event.capture.directions) {
        (Outcome::Success | Outcome::Failure, _) => Held,
        (Outcome::Unknown, Directions::Both) => Broken("no verdict".to_owned()),
        (Outcome::Unknown, one) => Broken(format!("no verdict: {}", one.as_str())),
    }
}

fn time_of(phase: Phase, event: &Handshake) -> Option<std::time::Duration> {
    match phase {
        Phase::TcpConnect => event.timing.tcp_connect,
        Phase::ServerHello => event.timing.server_hello,
        Phase::Handshake => event.timing.handshake,
        Phase::FirstApplicationData => event.timing.first_application_data,
    }
}

/// A time for people, as in `12.5 ms`.
pub(super) fn milliseconds(time: std::time::Duration) -> String {
    format!("{} ms", (time.as_secs_f64() * 1e6).round() / 1e3)
}

fn expected(error_types: &[ErrorType], side: Option<Side>, event: &Handshake) -> Judgement {
    match (event.outcome, &event.error) {
        (Outcome::Success, _) => Broken("it completed".to_owned()),
        (Outcome::Unknown, _) => NotJudged(NO_VERDICT),
        (Outcome::Failure, None) => NotJudged("cause unknown"),
        (Outcome::Failure, Some(error)) => {
            let right_type = error_types.is_empty() || error_types.contains(&error.error_type);
            if right_type && side.is_none_or(|side| error.side == Some(side)) {
                Held
            } else {
                Broken(format!("it failed otherwise: {}", told(error)))
            }
        }
    }
}

fn gaps(event: &Handshake) -> Judgement {
    use crate::event::Directions;
    let facts = &event.capture;
    let (client, server) = (facts.client_gap_bytes, facts.server_gap_bytes);
    match facts.directions {
        Directions::Both if client + server == 0 => Held,
        Directions::Both => Broken(format!(
            "the capture lacks {client} bytes from the client, {server} from the server"
        )),
        Directions::ClientOnly => Broken("only the client is in view".to_owned()),
        Directions::ServerOnly => Broken("only the server is in view".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::check::policy::Limit;
    use crate::event::Directions;
    use crate::sink::test_events::{barely_seen, completed, refused_by_the_client};

    fn judged(assertion: &Assertion, event: &Handshake) -> Judgement {
        judge(assertion, event, Context::default())
    }

    fn is_broken(assertion: &Assertion, event: &Handshake) -> bool {
        matches!(judged(assertion, event), Broken(_))
    }

    #[test]
    fn failures_are_counted_by_class_and_the_unknown_is_not_one() {
        let failures = |error_type| Assertion::MaxFailures {
            limit: Limit::Count(0),
            error_type,
        };
        let failed = refused_by_the_client();
        assert!(is_broken(&failures(None), &failed));
        assert!(is_broken(&failures(Some(ErrorType::UnknownCa)), &failed));
        assert_eq!(judged(&failures(Some(ErrorType::Other)), &failed), Held);
        assert_eq!(judged(&failures(None), &completed()), Held);
        assert_eq!(
            judged(&failures(None), &barely_seen()),
            NotJudged(NO_VERDICT)
        );
        assert!(is_broken(
            &Assertion::MaxUnknown(Limit::Count(0)),
            &barely_seen()
        ));
    }

    #[test]
    fn an_expected_failure_has_its_class_and_its_side() {
        let expect = |error_types: &[ErrorType], side| Assertion::ExpectFailure {
            error_types: error_types.to_vec(),
            side,
        };
        let failed = refused_by_the_client();
        let right = [ErrorType::SelfSigned, ErrorType::UnknownCa];
        assert_eq!(judged(&expect(&right, Some(Side::Client)), &failed), Held);
        assert_eq!(judged(&expect(&[], None), &failed), Held);
        assert!(is_broken(&expect(&right, Some(Side::Server)), &failed));
        assert!(is_broken(&expect(&[ErrorType::Other], None), &failed));
        assert!(is_broken(&expect(&[], None), &completed()));
    }

    #[test]
    fn a_phase_may_take_as_long_as_the_limit() {
        let latency = |limit| Assertion::MaxLatency {
            phase: Phase::Handshake,
            percentile: 50.0,
            limit: Duration::from_micros(limit),
        };
        assert_eq!(judged(&latency(5_900), &completed()), Held);
        let broken = judged(&latency(5_899), &completed());
        assert_eq!(broken, Broken("handshake took 5.9 ms".to_owned()));
        assert_eq!(
            judged(&latency(1), &refused_by_the_client()),
            NotConcerned,
            "a failure has no such phase"
        );
    }

    #[test]
    fn what_the_capture_lacks_is_said() {
        let mut event = completed();
        assert_eq!(judged(&Assertion::NoGaps, &event), Held);
        event.capture.server_gap_bytes = 7;
        assert!(is_broken(&Assertion::NoGaps, &event));
        event.capture.server_gap_bytes = 0;
        event.capture.directions = Directions::ClientOnly;
        assert!(is_broken(&Assertion::NoGaps, &event));
        assert_eq!(judged(&Assertion::NoTruncation, &event), Held);
        event.capture.truncated = true;
        assert!(is_broken(&Assertion::NoTruncation, &event));
    }
}

//! How long the phases of a handshake take.

use std::time::Duration;

use super::Compliance::{self, NotApplicable, Satisfied, Undetermined, Violated};
use super::limit::share;
use super::{Assertion, Assertions, InScope, PolicyKey};
use crate::check::policy_entry::{PolicyEntry, PolicyError, Result};
use crate::event::{Outcome, Timing};

pub(super) const KEYS: &[PolicyKey] = &[PolicyKey {
    name: "max-latency",
    example: r#"{ phase = "handshake", percentile = 99, ms = 250 }"#,
    doc: "the percentile (100 if omitted) of the time that this phase takes is at most this; a list has several. \
          Phases: `tcp_connect`, `starttls`, `server_hello`, `handshake`, `first_application_data`",
    read,
}];

fn read(entry: &PolicyEntry<'_>) -> Result<Assertions> {
    let tables = entry.tables().ok_or_else(|| not_a_table(entry))?;
    let mut all = Assertions::new();
    for (_, parts) in tables {
        all.push(Box::new(MaxLatency::read(entry, &parts)?));
    }
    Ok(all)
}

/// The error for what is no table; a limit alone lacks the phase that it is for.
fn not_a_table(entry: &PolicyEntry<'_>) -> PolicyError {
    let limit = entry.source().trim_matches(['"', '\'']);
    let limit = limit.strip_suffix("ms").unwrap_or(limit).trim();
    let error = entry.takes(TABLE);
    match limit.parse::<f64>() {
        Ok(_) => error.with_hint(format!(
            "for the whole handshake, write `max-latency = {{ phase = \"handshake\", ms = {limit} }}`"
        )),
        Err(_) => error,
    }
}

const TABLE: &str = "a table, as in `{ phase = \"handshake\", percentile = 99, ms = 250 }`";

/// A phase of a handshake; see [`Timing`].
#[derive(Clone, Copy, Debug)]
enum Phase {
    TcpConnect,
    StartTls,
    ServerHello,
    Handshake,
    FirstApplicationData,
}

const PHASES: &[(&str, Phase)] = &[
    ("tcp_connect", Phase::TcpConnect),
    ("starttls", Phase::StartTls),
    ("server_hello", Phase::ServerHello),
    ("handshake", Phase::Handshake),
    ("first_application_data", Phase::FirstApplicationData),
];

impl Phase {
    const fn as_str(self) -> &'static str {
        match self {
            Self::TcpConnect => "tcp_connect",
            Self::StartTls => "starttls",
            Self::ServerHello => "server_hello",
            Self::Handshake => "handshake",
            Self::FirstApplicationData => "first_application_data",
        }
    }

    const fn time(self, timing: &Timing) -> Option<Duration> {
        match self {
            Self::TcpConnect => timing.tcp_connect,
            Self::StartTls => timing.starttls,
            Self::ServerHello => timing.server_hello,
            Self::Handshake => timing.handshake,
            Self::FirstApplicationData => timing.first_application_data,
        }
    }
}

#[derive(Debug)]
struct MaxLatency {
    phase: Phase,
    /// Above 0, at most 100.
    percentile: f64,
    limit: Duration,
}

impl MaxLatency {
    fn read(entry: &PolicyEntry<'_>, parts: &[PolicyEntry<'_>]) -> Result<Self> {
        let (mut phase, mut percentile, mut limit) = (None, 100.0, None);
        for part in parts {
            match part.key {
                "phase" => phase = Some(part.word(PHASES)?),
                "percentile" => {
                    let what = "a number above 0, at most 100";
                    percentile = part.number(what)?;
                    if percentile == 0.0 || percentile > 100.0 {
                        return Err(part.takes(what));
                    }
                }
                "ms" => {
                    let what = "a number of milliseconds";
                    let time = Duration::try_from_secs_f64(part.number(what)? / 1e3);
                    limit = Some(time.map_err(|_| part.takes(what))?);
                }
                _ => return Err(part.unknown_key(&["phase", "percentile", "ms"])),
            }
        }
        let (Some(phase), Some(limit)) = (phase, limit) else {
            return Err(entry.takes(TABLE));
        };
        Ok(Self {
            phase,
            percentile,
            limit,
        })
    }
}

impl Assertion for MaxLatency {
    fn requirement(&self) -> String {
        let (phase, limit) = (self.phase.as_str(), milliseconds(self.limit));
        let percentile = self.percentile;
        format!("{phase} within {limit} for {percentile} % of the handshakes")
    }

    fn evaluate(&self, InScope { event, .. }: InScope<'_>) -> Compliance {
        match self.phase.time(&event.timing) {
            Some(time) if time <= self.limit => Satisfied,
            Some(time) => {
                let (phase, time) = (self.phase.as_str(), milliseconds(time));
                Violated(format!("{phase} took {time}"))
            }
            None if event.outcome == Outcome::Success => Undetermined("phase not in view"),
            None => NotApplicable,
        }
    }

    fn tolerance(&self, evaluated: u64) -> u64 {
        // The percentile by nearest rank: all that rank above it may be slower.
        let rank = share(evaluated, self.percentile).ceil() as u64;
        evaluated.saturating_sub(rank)
    }

    fn violation(&self) -> &'static str {
        "took longer"
    }
}

/// A time for reports, as in `12.5 ms`.
fn milliseconds(time: Duration) -> String {
    format!("{} ms", (time.as_secs_f64() * 1e6).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assertion, compliance};
    use super::*;
    use crate::sink::test_events::{completed, refused_by_the_client};

    #[test]
    fn a_phase_may_take_as_long_as_the_limit() {
        let limit = |ms| format!("max-latency = {{ phase = 'handshake', ms = {ms} }}");
        assert_eq!(compliance(&limit("5.9"), &completed()), Satisfied);
        let violated = compliance(&limit("5.899"), &completed());
        assert_eq!(violated, Violated("handshake took 5.9 ms".to_owned()));
        let failed = compliance(&limit("0.001"), &refused_by_the_client());
        assert_eq!(failed, NotApplicable, "a failure has no such phase");
    }

    #[test]
    fn handshakes_above_the_percentile_may_be_slower() {
        let at = |percentile| {
            let rule = format!(
                "max-latency = {{ phase = 'handshake', percentile = {percentile}, ms = 1 }}"
            );
            assertion(&rule).tolerance(100)
        };
        assert_eq!(at("100"), 0);
        assert_eq!(at("99"), 1);
        assert_eq!(at("99.1"), 0);
        assert_eq!(at("50"), 50);
    }

    #[test]
    fn the_requirement_names_phase_limit_and_percentile() {
        let rule = "max-latency = { phase = 'server_hello', ms = 0.5, percentile = 99.9 }";
        let requirement = "server_hello within 0.5 ms for 99.9 % of the handshakes";
        assert_eq!(assertion(rule).requirement(), requirement);
    }
}

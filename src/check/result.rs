//! The result of a check as plain data, for every format of report.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::assertion::handshakes;
use super::policy::RuleSeverity;
use crate::event::{Handshake, NotTls, Outcome};
use crate::flow::Endpoint;
use crate::stats::Stats;
use crate::time::Timestamp;

/// The result of a check.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The policy's name.
    pub policy: String,
    /// The captures, as named by the user.
    pub captures: Vec<String>,
    /// Handshakes evaluated.
    pub handshakes: u64,
    /// Whether all of the input could be read.
    pub is_complete: bool,
    /// One result for each assertion, in the order of the policy.
    pub results: Vec<CheckResult>,
    /// Why handshakes could not be evaluated, each reason once.
    pub not_evaluated: Vec<NotEvaluated>,
    /// When the check began, by the clock; `None` if the caller does not say. Only JUnit reports have it.
    pub started: Option<Timestamp>,
    /// How long the check took. Only JUnit reports have it.
    pub elapsed: Duration,
}

/// A reason why handshakes could not be evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotEvaluated {
    /// What was missing, in one clause.
    pub reason: &'static str,
    /// Distinct handshakes.
    pub handshakes: u64,
    /// The assertions that these handshakes could not be evaluated by.
    pub assertions: usize,
}

impl Report {
    /// The results with a warning or an error.
    pub fn complaints(&self) -> impl Iterator<Item = &CheckResult> {
        self.results.iter().filter(|one| one.is_complaint())
    }

    /// How many results have this status.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        let same = self.results.iter().filter(|one| one.status == status);
        same.count()
    }

    /// How many assertions held, in whole or in part.
    #[must_use]
    pub fn held(&self) -> usize {
        self.count(Status::Held) + self.count(Status::PartlyHeld)
    }

    /// Whether there is no error.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        self.count(Status::Error) == 0
    }
}

/// The result of one assertion.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CheckResult {
    /// The assertion's key in the policy, as in `min-version`.
    pub id: &'static str,
    /// The rule's name; what it requires if it has none.
    pub name: String,
    /// Line of the policy file; 0 if it is in none.
    pub line: usize,
    /// What a violation means.
    pub severity: RuleSeverity,
    /// Whether it held.
    pub status: Status,
    /// What the policy requires, in one clause.
    pub wanted: String,
    /// What was found, in one clause.
    pub found: String,
    /// Handshakes that comply or do not.
    pub evaluated: u64,
    /// Handshakes among them that violate it, without those in `known`.
    pub violations: u64,
    /// Handshakes among them that violate it in a way that the user already knows: see [`super::KnownFindings`].
    pub known: u64,
    /// Handshakes that could not be evaluated, by what was missing.
    pub not_evaluated: BTreeMap<&'static str, u64>,
    /// Handshakes that it did not ask about.
    pub not_asked: NotAsked,
    /// The first handshakes that violate it, at most [`super::MAX_OFFENDERS`].
    pub offenders: Vec<Offender>,
}

impl CheckResult {
    /// Whether it is a warning or an error.
    #[must_use]
    pub const fn is_complaint(&self) -> bool {
        self.status.is_complaint()
    }

    /// An error that says that some of the input could not be read: what held may not hold for the rest.
    #[must_use]
    pub fn of_unreadable_input() -> Self {
        Self::of_input(
            "input",
            ("all of the input", "captures that can be read"),
            "some of the input could not be read".to_owned(),
        )
    }

    /// An error that says that there was no handshake: a check that saw nothing must not pass.
    pub(super) fn of_no_handshake(stats: &Stats) -> Self {
        Self::of_input(
            "allow-empty",
            (
                "a capture with handshakes",
                "at least one handshake in the capture",
            ),
            format!(
                "no handshake; packets: {}, connections: {}",
                stats.packets, stats.connections
            ),
        )
    }

    /// An error that says that no capture has an answer from a server.
    pub(super) fn of_no_answer(count: u64) -> Self {
        Self::of_input(
            "allow-empty",
            (
                "a capture with answers",
                "at least one handshake whose outcome or ServerHello is in view",
            ),
            format!("{}, and the answer of none is in view", handshakes(count)),
        )
    }

    /// An error that says that no assertion could be evaluated: a check without evidence must not pass.
    pub(super) fn of_no_evidence(count: u64) -> Self {
        Self::of_input(
            "allow-empty",
            (
                "a capture with evidence",
                "at least one handshake that an assertion can be evaluated on",
            ),
            format!(
                "{}, and no assertion could be evaluated on any",
                handshakes(count)
            ),
        )
    }

    fn of_input(id: &'static str, (name, wanted): (&str, &str), found: String) -> Self {
        Self {
            id,
            name: name.to_owned(),
            line: 0,
            severity: RuleSeverity::Error,
            status: Status::Error,
            wanted: wanted.to_owned(),
            found,
            evaluated: 0,
            violations: 0,
            known: 0,
            not_evaluated: BTreeMap::new(),
            not_asked: NotAsked::default(),
            offenders: Vec::new(),
        }
    }

    /// What was found, and of how many handshakes nothing was asked, so that the numbers add up to those of the captures.
    pub(super) fn found_of_all(&self) -> String {
        let not_asked = self.not_asked.in_words();
        match not_asked.filter(|_| self.evaluated > 0) {
            Some(not_asked) => format!("{}, {not_asked}", self.found),
            None => self.found.clone(),
        }
    }

    /// How many handshakes could not be evaluated.
    #[must_use]
    pub fn not_evaluated_total(&self) -> u64 {
        self.not_evaluated.values().sum()
    }

    /// How many violating handshakes are not listed in `offenders`.
    #[must_use]
    pub fn offenders_omitted(&self) -> u64 {
        self.violations.saturating_sub(self.offenders.len() as u64)
    }
}

/// Handshakes that an assertion does not ask about, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotAsked {
    /// The rule's `where` does not include them.
    pub out_of_scope: u64,
    /// They have nothing that it asks about: nothing was negotiated, or a session was resumed without certificates.
    pub not_applicable: u64,
    /// They failed as another rule expects.
    pub expected: u64,
}

impl NotAsked {
    /// As in `3 out of scope, 1 not applicable`; `None` if it asked about all.
    pub(super) fn in_words(self) -> Option<String> {
        let counts = [
            (self.out_of_scope, "out of scope"),
            (self.not_applicable, "not applicable"),
            (self.expected, "expected to fail"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<_> = counts
            .map(|(count, why)| format!("{count} {why}"))
            .collect();
        (!counts.is_empty()).then(|| counts.join(", "))
    }
}

/// Whether an assertion held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Every handshake in scope complied, or the assertion did not apply to it.
    Held,
    /// Handshakes complied and none violated it, but some could not be evaluated.
    PartlyHeld,
    /// No handshake could be evaluated, and the policy allows that.
    NotEvaluated,
    /// It was violated at severity warning, or no handshake could be evaluated and the policy warns of that.
    Warning,
    /// It was violated at severity error; handshakes could not be evaluated, and the policy treats that as a
    /// violation; or no handshake was in scope.
    Error,
}

impl Status {
    /// Whether it is a warning or an error.
    #[must_use]
    pub const fn is_complaint(self) -> bool {
        matches!(self, Self::Warning | Self::Error)
    }

    /// As written in reports: `held`, `partly_held`, `not_judged`, `warning` or `error`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::PartlyHeld => "partly_held",
            Self::NotEvaluated => "not_judged",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A handshake that violates an assertion.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Offender {
    /// Which handshake; `None` if an expected one is missing.
    pub handshake: Option<Location>,
    /// What was seen, in one clause.
    pub why: String,
}

/// A handshake, and where it is in the captures.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Location {
    /// The file that the first packet came from.
    pub source: Arc<str>,
    /// Number of the first packet in the file, from 1; 0 if it is not known, as of a connection that did not become TLS.
    pub first_packet: u64,
    /// Number of the last packet that the event is based on; 0 if it is not known.
    pub last_packet: u64,
    /// When it began, in packet time.
    pub time: Timestamp,
    /// The client.
    pub client: Endpoint,
    /// The server.
    pub server: Endpoint,
    /// The server name that the client sent.
    pub server_name: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
}

/// Characters kept of a server name: as many as a DNS name may have (RFC 1035 §2.3.4), while a hello has room for 64 KiB.
const MAX_NAME: usize = 255;

/// Characters kept of what was seen. It quotes certificates, whose names can be as long as a handshake message.
const MAX_WHY: usize = 1_000;

impl Offender {
    pub(super) fn new(event: &Handshake, why: &str) -> Self {
        Self {
            handshake: Some(Location::from(event)),
            why: cut(why, MAX_WHY) + &processes(event),
        }
    }

    /// A connection that did not become TLS.
    pub(super) fn of_not_tls(event: &NotTls, why: &str) -> Self {
        let location = Location {
            source: event.source.clone().unwrap_or_default(),
            first_packet: 0,
            last_packet: 0,
            time: event.time,
            client: event.client,
            server: event.server,
            server_name: None,
            outcome: Outcome::Failure,
        };
        Self {
            handshake: Some(location),
            why: cut(why, MAX_WHY),
        }
    }
}

/// Who holds the sockets, as far as that was looked for and found.
fn processes(event: &Handshake) -> String {
    let ends = [
        ("client", &event.client_process),
        ("server", &event.server_process),
    ];
    let named = ends.into_iter().filter_map(|(side, process)| {
        let process = process.as_deref()?;
        let name = process.name()?;
        let workload = process.workload.as_ref().filter(|_| process.pid.is_some());
        let of = workload.map_or_else(String::new, |workload| format!(" of {}", workload.name()));
        Some(format!("; {side} process: {name}{of}"))
    });
    named.collect()
}

/// At most `most` characters of `text`, then an ellipsis if there are more.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

impl From<&Handshake> for Location {
    fn from(event: &Handshake) -> Self {
        Self {
            source: Arc::clone(&event.source),
            first_packet: event.capture.first_packet,
            last_packet: event.capture.last_packet,
            time: event.time,
            client: event.client,
            server: event.server,
            server_name: event
                .tls
                .server_name
                .as_deref()
                .map(|name| cut(name, MAX_NAME)),
            outcome: event.outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{LocalProcess, Workload};
    use crate::sink::test_events::refused_by_the_client;

    #[test]
    fn the_processes_follow_what_was_seen() {
        let mut event = refused_by_the_client();
        assert_eq!(Offender::new(&event, "expired").why, "expired");
        let mut curl = LocalProcess::new();
        (curl.pid, curl.command) = (Some(812), Some("curl".into()));
        let mut nginx = LocalProcess::new();
        let mut workload = Workload::new("/system.slice/nginx.service".to_owned());
        workload.unit = Some("nginx.service".to_owned());
        nginx.workload = Some(workload.into());
        event.client_process = Some(curl.into());
        event.server_process = Some(nginx.into());
        assert_eq!(
            Offender::new(&event, "expired").why,
            "expired; client process: curl[812]; server process: nginx.service"
        );
    }

    #[test]
    fn names_and_quotations_are_cut_to_a_maximum_length() {
        let mut event = refused_by_the_client();
        event.tls.server_name = Some("é".repeat(60_000).into());
        let offender = Offender::new(&event, &"x".repeat(500_000));
        let name = offender.handshake.unwrap().server_name.unwrap();
        assert_eq!(name.chars().count(), MAX_NAME + 1);
        assert_eq!(offender.why.chars().count(), MAX_WHY + 1);
        assert_eq!(cut("example.org", 11), "example.org");
    }
}

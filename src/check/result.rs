//! What a check came to: plain data, for every format.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Severity;
use super::wish::handshakes;
use crate::event::{Handshake, Outcome};
use crate::flow::Endpoint;
use crate::stats::Stats;
use crate::time::Timestamp;

/// What a check came to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The policy's name.
    pub policy: String,
    /// The captures, as they were named.
    pub captures: Vec<String>,
    /// Handshakes looked at.
    pub handshakes: u64,
    /// Whether all of the input could be read.
    pub is_complete: bool,
    /// One result for each assertion, in the order of the policy.
    pub results: Vec<CheckResult>,
}

impl Report {
    /// The results that are worth a word: neither held nor ignored.
    pub fn complaints(&self) -> impl Iterator<Item = &CheckResult> {
        self.results.iter().filter(|one| one.is_complaint())
    }

    /// How many results have this verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        let same = self.results.iter().filter(|one| one.verdict == verdict);
        same.count()
    }

    /// Whether nothing of severity error was broken.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        self.count(Verdict::Error) == 0
    }
}

/// What became of one assertion.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CheckResult {
    /// The assertion's key in the policy, as in `min-version`.
    pub id: &'static str,
    /// The rule's name, or the wish in words where it has none.
    pub name: String,
    /// Line of the policy file; 0 if it is in none.
    pub line: usize,
    /// How bad it is if it does not hold.
    pub severity: Severity,
    /// What became of it.
    pub verdict: Verdict,
    /// What the policy wants, in one clause.
    pub wanted: String,
    /// What was found, in one clause.
    pub found: String,
    /// Handshakes that it was judged on.
    pub judged: u64,
    /// Handshakes among them that speak against it.
    pub broken: u64,
    /// Handshakes that it could not be judged on, by what was missing.
    pub not_judged: BTreeMap<&'static str, u64>,
    /// Handshakes that speak against it: the first [`super::MAX_OFFENDERS`].
    pub offenders: Vec<Offender>,
}

impl CheckResult {
    /// Whether it does not hold, or could not be judged where that is not to be ignored.
    #[must_use]
    pub const fn is_complaint(&self) -> bool {
        matches!(self.verdict, Verdict::Warning | Verdict::Error)
    }

    /// Says that some of the input could not be read: whatever held, more may not.
    #[must_use]
    pub fn of_unreadable_input() -> Self {
        Self::of_input(
            "input",
            ("all of the input", "captures that can be read"),
            "some of the input could not be read".to_owned(),
        )
    }

    /// Says that there was no handshake: a check that saw nothing must not pass.
    pub(super) fn of_nothing_seen(stats: &Stats) -> Self {
        Self::of_input(
            "allow-empty",
            (
                "a capture with handshakes",
                "at least one handshake in the capture",
            ),
            format!(
                "no handshake; packets: {}, TCP connections: {}",
                stats.packets, stats.connections
            ),
        )
    }

    pub(super) fn of_nothing_told(count: u64) -> Self {
        Self::of_input(
            "allow-empty",
            (
                "a capture with answers",
                "at least one handshake whose outcome or ServerHello is in view",
            ),
            format!("{}, and of none the answer is in view", handshakes(count)),
        )
    }

    fn of_input(id: &'static str, (name, wanted): (&str, &str), found: String) -> Self {
        Self {
            id,
            name: name.to_owned(),
            line: 0,
            severity: Severity::Error,
            verdict: Verdict::Error,
            wanted: wanted.to_owned(),
            found,
            judged: 0,
            broken: 0,
            not_judged: BTreeMap::new(),
            offenders: Vec::new(),
        }
    }

    /// Handshakes that it could not be judged on.
    #[must_use]
    pub fn not_judged_total(&self) -> u64 {
        self.not_judged.values().sum()
    }

    /// Handshakes that speak against it and are not among the offenders listed.
    #[must_use]
    pub fn offenders_omitted(&self) -> u64 {
        self.broken.saturating_sub(self.offenders.len() as u64)
    }
}

/// What became of an assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It held, as far as could be judged.
    Held,
    /// Nothing could be judged, and the policy ignores that.
    NotJudged,
    /// It did not, or could not be judged where that is not to be ignored.
    Warning,
    /// It did not, or could not be judged where that fails the check.
    Error,
}

impl Verdict {
    /// As written in reports: `held`, `not_judged`, `warning` or `error`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::NotJudged => "not_judged",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A handshake that speaks against an assertion.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Offender {
    /// Which handshake; `None` if one is missing.
    pub handshake: Option<Location>,
    /// What was seen, in one clause.
    pub why: String,
}

/// Which handshake, and where it is in the captures.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Location {
    /// The file that the first packet came from.
    pub source: Arc<str>,
    /// Number of the first packet in the file, from 1.
    pub first_packet: u64,
    /// Number of the last packet that the event rests on.
    pub last_packet: u64,
    /// Packet time of its beginning.
    pub time: Timestamp,
    /// The client.
    pub client: Endpoint,
    /// The server.
    pub server: Endpoint,
    /// The name that the client asked for.
    pub server_name: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
}

/// Characters of a server name that are kept: as many as a DNS name may have (RFC 1035 §2.3.4). A hello has room for 64 KiB.
const MAX_NAME: usize = 255;

/// Characters kept of what was seen: it quotes certificates, which may be as long as a message.
const MAX_WHY: usize = 1_000;

impl Offender {
    pub(super) fn new(event: &Handshake, why: &str) -> Self {
        Self {
            handshake: Some(Location::from(event)),
            why: cut(why, MAX_WHY),
        }
    }
}

/// At most `most` characters, with an ellipsis for the rest.
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
    use crate::sink::test_events::refused_by_the_client;

    #[test]
    fn what_strangers_write_is_kept_up_to_a_bound() {
        let mut event = refused_by_the_client();
        event.tls.server_name = Some("é".repeat(60_000));
        let offender = Offender::new(&event, &"x".repeat(500_000));
        let name = offender.handshake.unwrap().server_name.unwrap();
        assert_eq!(name.chars().count(), MAX_NAME + 1);
        assert_eq!(offender.why.chars().count(), MAX_WHY + 1);
        assert_eq!(cut("example.org", 11), "example.org");
    }
}

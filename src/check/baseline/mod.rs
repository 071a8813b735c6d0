//! Compares handshakes with a baseline: a recording of what every run should show.
//!
//! A baseline is a file of JSON lines, one handshake on each line, as `read --format
//! json` writes them. Fields that differ from run to run, or from one release to the next,
//! are masked on both sides; GREASE values count as equal. The order of the
//! lines does not matter: handshakes that overlap end in any order.

mod fields;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use self::fields::{Fields, canonical, fields_of, masked};
use crate::check::{CheckResult, Location, MAX_OFFENDERS, Offender, RuleSeverity, Status};
use crate::event::Handshake;
use crate::sink::machine::json::handshake_value;

/// Handshakes in a baseline, and differences kept: more than anyone reads, and a few hundred megabytes if all differ.
pub const MAX_BASELINE: usize = 100_000;

/// A baseline that is compared with the handshakes of a run.
#[derive(Debug, Default)]
pub struct Baseline {
    /// Expected handshakes that were not seen yet, in the order of the file.
    expected: Vec<Option<Arc<str>>>,
    /// Indices into `expected`, by handshake.
    places: HashMap<Arc<str>, VecDeque<usize>>,
    unexpected: Vec<(String, Location)>,
    handshakes: u64,
    different: u64,
}

/// Why a baseline cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BaselineError {
    /// This line, counted from 1, is not a JSON object.
    NotJson(usize),
    /// It has more than [`MAX_BASELINE`] handshakes.
    TooLong,
}

impl fmt::Display for BaselineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(line) => write!(f, "line {line} is no JSON object"),
            Self::TooLong => write!(f, "more than {MAX_BASELINE} handshakes"),
        }
    }
}

impl std::error::Error for BaselineError {}

impl Baseline {
    /// Reads a baseline; skips lines that are not handshakes.
    ///
    /// # Errors
    ///
    /// When a line is not a JSON object, or there are too many.
    pub fn parse(text: &str) -> Result<Self, BaselineError> {
        let mut baseline = Self::default();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let value: Map<String, Value> =
                serde_json::from_str(line).map_err(|_| BaselineError::NotJson(index + 1))?;
            if value.get("type").is_some_and(|kind| kind != "handshake") {
                continue;
            }
            if baseline.expected.len() == MAX_BASELINE {
                return Err(BaselineError::TooLong);
            }
            let event: Arc<str> = canonical(Value::Object(value)).into();
            let place = baseline.expected.len();
            let shared = match baseline.places.get_key_value(&event) {
                Some((known, _)) => Arc::clone(known),
                None => event,
            };
            let places = baseline.places.entry(Arc::clone(&shared)).or_default();
            places.push_back(place);
            baseline.expected.push(Some(shared));
        }
        Ok(baseline)
    }

    /// A handshake as one line of a baseline, without the line feed.
    #[must_use]
    pub fn line(event: &Handshake) -> String {
        masked(handshake_value(event)).to_string()
    }

    /// Compares one handshake.
    pub fn handshake(&mut self, event: &Handshake) {
        self.handshakes += 1;
        let seen = canonical(handshake_value(event));
        if let Some(place) = self
            .places
            .get_mut(seen.as_str())
            .and_then(VecDeque::pop_front)
        {
            if let Some(expected) = self.expected.get_mut(place) {
                *expected = None;
            }
            return;
        }
        self.different += 1;
        if self.unexpected.len() < MAX_BASELINE {
            self.unexpected.push((seen, Location::from(event)));
        }
    }

    /// Ends the comparison; `name` is the baseline's name in the report.
    #[must_use]
    pub fn finish(self, name: &str) -> CheckResult {
        drop(self.places);
        let mut missing = Missing::new(self.expected.into_iter().flatten());
        let mut offenders = Vec::new();
        let mut differences = self.different;
        for (seen, location) in self.unexpected {
            let fields = fields_of(&seen);
            let why = match missing.take_like(&fields) {
                Some(expected) => changes(&expected, &fields),
                None => format!("not in the baseline: {}", peers(&fields)),
            };
            if offenders.len() < MAX_OFFENDERS {
                let handshake = Some(location);
                offenders.push(Offender { handshake, why });
            }
        }
        for event in missing.rest() {
            differences += 1;
            if offenders.len() < MAX_OFFENDERS {
                let why = format!("only in the baseline: {}", peers(&fields_of(&event)));
                offenders.push(Offender {
                    handshake: None,
                    why,
                });
            }
        }
        let status = if differences == 0 {
            Status::Held
        } else {
            Status::Error
        };
        let found = match differences {
            0 => format!("{} as in the baseline", self.handshakes),
            1 => "1 difference".to_owned(),
            _ => format!("{differences} differences"),
        };
        CheckResult {
            id: "expect",
            name: format!("as in {name}"),
            line: 0,
            severity: RuleSeverity::Error,
            status,
            wanted: "the handshakes of the baseline".to_owned(),
            found,
            evaluated: self.handshakes,
            violations: differences,
            known: 0,
            not_evaluated: BTreeMap::new(),
            offenders,
        }
    }
}

/// Handshakes of the baseline that the run does not have, indexed by their peers.
struct Missing {
    events: Vec<Option<Arc<str>>>,
    by_peers: HashMap<String, VecDeque<usize>>,
}

impl Missing {
    fn new(missing: impl Iterator<Item = Arc<str>>) -> Self {
        let mut by_peers: HashMap<String, VecDeque<usize>> = HashMap::new();
        let mut all = Vec::new();
        for (place, event) in missing.enumerate() {
            let fields = fields_of(&event);
            by_peers.entry(peers(&fields)).or_default().push_back(place);
            all.push(Some(event));
        }
        Self {
            events: all,
            by_peers,
        }
    }

    /// Takes one with the same client, server and name: probably the same handshake, changed.
    fn take_like(&mut self, fields: &Fields) -> Option<Fields> {
        let place = self.by_peers.get_mut(&peers(fields))?.pop_front()?;
        let event = self.events.get_mut(place)?.take()?;
        Some(fields_of(&event))
    }

    fn rest(self) -> impl Iterator<Item = Arc<str>> {
        self.events.into_iter().flatten()
    }
}

/// Client, server name and server, as in reports.
fn peers(fields: &Fields) -> String {
    let field = |path: &str| {
        let value = fields.get(path).map_or("?", String::as_str);
        value.trim_matches('"')
    };
    format!(
        "{} to {} ({}:{})",
        field("client.address"),
        field("tls.server_name"),
        field("server.address"),
        field("server.port")
    )
}

/// The fields that differ, each with both values.
fn changes(expected: &Fields, fields: &Fields) -> String {
    /// A report needs one clause.
    const SHOWN: usize = 4;
    let paths: std::collections::BTreeSet<_> = expected.keys().chain(fields.keys()).collect();
    let absent = "nothing".to_owned();
    let mut differing = paths
        .into_iter()
        .filter(|path| expected.get(*path) != fields.get(*path))
        .map(|path| {
            let was = expected.get(path).unwrap_or(&absent);
            let is = fields.get(path).unwrap_or(&absent);
            format!("{path} is {is}, was {was}")
        });
    let mut shown: Vec<_> = differing.by_ref().take(SHOWN).collect();
    let more = differing.count();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    shown.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::test_events::{self, START, completed, refused_by_the_client};
    use crate::time::Timestamp;
    use crate::tls::{CipherSuite, ProtocolVersion};

    fn compared(expected: &[Handshake], seen: &[Handshake]) -> CheckResult {
        let lines: Vec<_> = expected.iter().map(Baseline::line).collect();
        let mut baseline = Baseline::parse(&lines.join("\n")).unwrap();
        seen.iter().for_each(|event| baseline.handshake(event));
        baseline.finish("expected.jsonl")
    }

    #[test]
    fn the_same_handshakes_in_any_order_are_equal() {
        let events = test_events::all();
        let mut shuffled = events.clone();
        shuffled.rotate_left(2);
        let result = compared(&events, &shuffled);
        assert_eq!(result.status, Status::Held, "{result:?}");
    }

    #[test]
    fn fields_that_change_from_run_to_run_are_not_compared() {
        let event = refused_by_the_client();
        let mut again = event.clone();
        again.time = Timestamp::from_seconds(1_800_000_000);
        again.judged_at = again.time;
        again.source = "other.pcap".into();
        again.flow_id = 1;
        again.client.port = 1;
        again.timing.server_hello = None;
        again.alerts[0].time = START;
        again.capture.first_packet = 99;
        again.validation[0].detail = "expires in 1 day".into();
        let greasy = |grease| {
            let mut event = event.clone();
            let offered = event.tls.offered_cipher_suites.as_mut().unwrap();
            offered.insert(0, CipherSuite(grease));
            event
        };
        assert_eq!(
            compared(std::slice::from_ref(&event), &[again]).status,
            Status::Held
        );
        assert_eq!(
            compared(&[greasy(0x1a1a)], &[greasy(0x2a2a)]).status,
            Status::Held
        );
        assert_eq!(
            compared(&[greasy(0x1a1a)], std::slice::from_ref(&event)).status,
            Status::Error
        );
    }

    #[test]
    fn a_change_is_reported_with_its_path() {
        let event = refused_by_the_client();
        let mut changed = event.clone();
        changed.tls.version = Some(ProtocolVersion::TLSv1_3);
        let result = compared(&[event], &[changed]);
        let expected =
            "tls.version is \"TLS 1.3\", was \"TLS 1.2\"; tls.version_code is 772, was 771";
        assert_eq!(result.offenders[0].why, expected);
        assert_eq!(result.violations, 1);
    }

    #[test]
    fn added_and_missing_handshakes_are_reported() {
        let (one, other) = (refused_by_the_client(), completed());
        let more = compared(std::slice::from_ref(&one), &[one.clone(), one.clone()]);
        assert!(
            more.offenders[0]
                .why
                .starts_with("not in the baseline: 10.0.0.1 to example.org")
        );
        let fewer = compared(&[one.clone(), other], &[one]);
        assert!(fewer.offenders[0].why.starts_with("only in the baseline: "));
        assert_eq!(fewer.offenders[0].handshake, None);
    }

    #[test]
    fn the_output_of_read_is_a_valid_baseline() {
        let event = refused_by_the_client();
        let lines = crate::sink::machine::json::lines_of(std::slice::from_ref(&event));
        let text: Vec<_> = lines.iter().map(Value::to_string).collect();
        let mut baseline = Baseline::parse(&text.join("\n\n")).unwrap();
        baseline.handshake(&event);
        assert_eq!(baseline.finish("x").status, Status::Held);
    }

    #[test]
    fn a_line_that_is_not_an_object_is_refused() {
        assert_eq!(
            Baseline::parse("{}\n[]").unwrap_err(),
            BaselineError::NotJson(2)
        );
        assert_eq!(Baseline::parse("{").unwrap_err(), BaselineError::NotJson(1));
    }
}

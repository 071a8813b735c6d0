//! Compares handshakes with a baseline: a recording of what every run should show.
//!
//! A baseline is a file of JSON objects, one for each handshake, as [`BaselineRecorder`] writes them. The lines of `read
//! --format json` will do as well. Fields that differ from run to run, or from one release to the next, are masked on both
//! sides; GREASE values count as equal, and registered values are compared by name. Handshakes are compared as a set: their
//! order does not matter, since those that overlap end in any order, nor does how often each occurs, since clients retry.

mod fields;
mod pretty;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use self::fields::{Fields, canonical, fields_of, masked};
use crate::check::{
    CheckResult, Location, MAX_OFFENDERS, NotAsked, Offender, RuleSeverity, Status,
};
use crate::event::{Evidence, Handshake};
use crate::sink::machine::json::handshake_value;

/// Handshakes in a baseline, and differences kept: more than anyone reads, and a few hundred megabytes if all differ.
pub const MAX_BASELINE: usize = 100_000;

/// A baseline that is compared with the handshakes of a run.
#[derive(Debug, Default)]
pub struct Baseline {
    compares_counts: bool,
    /// Distinct handshakes of the baseline, in the order of the file.
    expected: Vec<Expected>,
    /// Indices into `expected`, by handshake.
    places: HashMap<Arc<str>, usize>,
    /// Distinct handshakes that the baseline does not have, each where it was first seen.
    unexpected: Vec<(Arc<str>, Location)>,
    /// Indices into `unexpected`, by handshake.
    unexpected_places: HashMap<Arc<str>, usize>,
    handshakes: u64,
}

#[derive(Debug)]
struct Expected {
    event: Arc<str>,
    /// How often the baseline has it.
    count: u64,
    /// How often the run has it.
    seen: u64,
}

/// Why a baseline cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BaselineError {
    /// This line, counted from 1, does not begin or continue a JSON object.
    NotJson(usize),
    /// This line begins a JSON object that is no event.
    NotEvent(usize),
    /// It has more than [`MAX_BASELINE`] handshakes.
    TooLong,
}

impl fmt::Display for BaselineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(line) => write!(f, "line {line} is not part of a JSON object"),
            Self::NotEvent(line) => write!(f, "line {line} is not a handshake"),
            Self::TooLong => write!(f, "more than {MAX_BASELINE} handshakes"),
        }
    }
}

impl std::error::Error for BaselineError {}

impl Baseline {
    /// Reads a baseline; skips objects that are not handshakes.
    ///
    /// # Errors
    ///
    /// When there is anything but events as JSON objects, or there are too many.
    pub fn parse(text: &str) -> Result<Self, BaselineError> {
        let mut baseline = Self::default();
        let mut objects =
            serde_json::Deserializer::from_str(text).into_iter::<Map<String, Value>>();
        let mut handshakes = 0;
        loop {
            let begin = objects.byte_offset();
            let Some(object) = objects.next() else {
                return Ok(baseline);
            };
            let value = object.map_err(|error| {
                BaselineError::NotJson(match error.line() {
                    0 => first_line(text, begin), // no object at all
                    line => line,
                })
            })?;
            match value.get("type") {
                Some(kind) if kind != "handshake" => continue,
                Some(_) => {}
                None if value.contains_key("outcome") => {}
                None => return Err(BaselineError::NotEvent(first_line(text, begin))),
            }
            if handshakes == MAX_BASELINE {
                return Err(BaselineError::TooLong);
            }
            handshakes += 1;
            baseline.expect(canonical(Value::Object(value)).into());
        }
    }

    /// Whether how often each handshake occurs is compared, too.
    #[must_use]
    pub fn comparing_counts(self, compares_counts: bool) -> Self {
        Self {
            compares_counts,
            ..self
        }
    }

    fn expect(&mut self, event: Arc<str>) {
        let next = self.expected.len();
        let place = *self.places.entry(Arc::clone(&event)).or_insert(next);
        match self.expected.get_mut(place) {
            Some(expected) => expected.count += 1,
            None => self.expected.push(Expected {
                event,
                count: 1,
                seen: 0,
            }),
        }
    }

    /// Compares one handshake.
    pub fn handshake(&mut self, event: &Handshake) {
        self.handshakes += 1;
        let seen: Arc<str> = canonical(handshake_value(event)).into();
        if let Some(place) = self.places.get(&seen) {
            if let Some(expected) = self.expected.get_mut(*place) {
                expected.seen += 1;
            }
        } else if self.unexpected.len() < MAX_BASELINE
            && !self.unexpected_places.contains_key(&seen)
        {
            let place = self.unexpected.len();
            self.unexpected_places.insert(Arc::clone(&seen), place);
            self.unexpected.push((seen, Location::from(event)));
        }
    }

    /// Ends the comparison; `name` is the baseline's name in the report.
    #[must_use]
    pub fn finish(self, name: &str) -> CheckResult {
        let differences = self.differences();
        let (status, found) = match differences.len() {
            0 => (
                Status::Held,
                format!("{} as in the baseline", self.handshakes),
            ),
            1 => (Status::Error, "1 difference".to_owned()),
            count => (Status::Error, format!("{count} differences")),
        };
        let violations = differences.len() as u64;
        CheckResult {
            id: "expect",
            name: format!("as in {name}"),
            line: 0,
            severity: RuleSeverity::Error,
            status,
            wanted: "the handshakes of the baseline".to_owned(),
            found,
            evaluated: self.handshakes,
            violations,
            known: 0,
            not_evaluated: BTreeMap::new(),
            not_asked: NotAsked::default(),
            offenders: differences.into_iter().take(MAX_OFFENDERS).collect(),
        }
    }

    /// What differs, one item for each change.
    fn differences(&self) -> Vec<Offender> {
        let mut differences = Vec::new();
        let mut missing = Missing::new(self.expected.iter().filter(|expected| expected.seen == 0));
        for ((_, location), pair) in self.unexpected.iter().zip(missing.pairs(&self.unexpected)) {
            let why = match pair {
                Pair::Changed(changes) => changes,
                Pair::New(outcome) => format!("not in the baseline: {outcome}"),
            };
            differences.push(Offender {
                handshake: Some(location.clone()),
                why,
            });
        }
        differences.extend(missing.rest().map(|fields| Offender {
            handshake: None,
            why: format!(
                "only in the baseline: {}: {}",
                peers(&fields),
                outcome(&fields)
            ),
        }));
        let by_count = self.expected.iter().filter(|expected| {
            self.compares_counts && expected.seen > 0 && expected.seen != expected.count
        });
        differences.extend(by_count.map(|expected| {
            let fields = fields_of(&expected.event);
            let (peers, outcome) = (peers(&fields), outcome(&fields));
            let (count, seen) = (expected.count, expected.seen);
            Offender {
                handshake: None,
                why: format!(
                    "{peers}: {outcome}: was seen {}, now {}",
                    times(count),
                    times(seen)
                ),
            }
        }));
        differences
    }
}

/// The line, counted from 1, of what follows the whitespace at `begin`.
fn first_line(text: &str, begin: usize) -> usize {
    let rest = text.get(begin..).unwrap_or_default();
    let start = begin + (rest.len() - rest.trim_start().len());
    text.get(..start).unwrap_or_default().matches('\n').count() + 1
}

/// Handshakes for a baseline.
#[derive(Debug, Default)]
pub struct BaselineRecorder {
    /// The compared part of each handshake, and how it is written.
    events: Vec<(String, Value)>,
    keeps_counts: bool,
}

impl BaselineRecorder {
    /// Starts without handshakes. `keeps_counts`: a handshake is written as often as it occurs, instead of once.
    #[must_use]
    pub fn new(keeps_counts: bool) -> Self {
        Self {
            keeps_counts,
            ..Self::default()
        }
    }

    /// Adds a handshake; `false` if there are [`MAX_BASELINE`] already.
    #[must_use]
    pub fn add(&mut self, event: &Handshake) -> bool {
        let value = handshake_value(event);
        let has_room = self.events.len() < MAX_BASELINE;
        if has_room {
            self.events.push((canonical(value.clone()), masked(value)));
        }
        has_room
    }

    /// The baseline's text, in an order that depends on the handshakes alone, and how many it has.
    #[must_use]
    pub fn finish(mut self) -> (String, usize) {
        let key = |(text, _): &(String, Value)| {
            let fields = fields_of(text);
            (
                server(&fields),
                field(&fields, "client.address"),
                text.clone(),
            )
        };
        self.events.sort_by_cached_key(key);
        if !self.keeps_counts {
            self.events.dedup_by(|one, other| one.0 == other.0);
        }
        let text = self
            .events
            .iter()
            .map(|(_, value)| pretty::text(value))
            .collect();
        (text, self.events.len())
    }
}

/// How a handshake of the run compares with those that only the baseline has.
enum Pair {
    /// One with the same peers is different: what changed.
    Changed(String),
    /// There is none: how it ended.
    New(String),
}

/// Handshakes of the baseline that the run does not have.
struct Missing {
    events: Vec<Option<Fields>>,
    /// Indices into `events`, by [`keys`].
    places: [HashMap<String, VecDeque<usize>>; KEYS],
}

/// What makes two handshakes probably the same one, changed: the better pairs come first.
fn keys(fields: &Fields) -> [String; KEYS] {
    let peers = peers(fields);
    let outcome = format!("{peers}: {}", outcome(fields));
    let version = format!("{outcome}, {}", field(fields, "tls.version"));
    // A client's full handshake and the resumption after it are the same in all of the above.
    let resumed = format!("{version}, {}", field(fields, "tls.resumed"));
    [resumed, version, outcome, peers]
}

/// How many keys [`keys`] returns.
const KEYS: usize = 4;

impl Missing {
    fn new<'e>(missing: impl Iterator<Item = &'e Expected>) -> Self {
        let mut events = Vec::new();
        let mut places: [HashMap<String, VecDeque<usize>>; KEYS] = Default::default();
        for (place, expected) in missing.enumerate() {
            let fields = fields_of(&expected.event);
            for (places, key) in places.iter_mut().zip(keys(&fields)) {
                places.entry(key).or_default().push_back(place);
            }
            events.push(Some(fields));
        }
        Self { events, places }
    }

    /// Pairs each of `seen` with one that is missing, those with the same outcome first.
    fn pairs(&mut self, seen: &[(Arc<str>, Location)]) -> Vec<Pair> {
        let mut pairs: Vec<Option<Pair>> = seen.iter().map(|_| None).collect();
        for level in 0..self.places.len() {
            for (pair, (event, _)) in pairs.iter_mut().zip(seen) {
                if pair.is_none() {
                    let fields = fields_of(event);
                    let expected = self.take(level, &fields);
                    *pair = expected.map(|expected| Pair::Changed(changes(&expected, &fields)));
                }
            }
        }
        let new = |event: &str| Pair::New(outcome(&fields_of(event)));
        let all = pairs.into_iter().zip(seen);
        all.map(|(pair, (event, _))| pair.unwrap_or_else(|| new(event)))
            .collect()
    }

    fn take(&mut self, level: usize, fields: &Fields) -> Option<Fields> {
        let key = keys(fields).into_iter().nth(level)?;
        let places = self.places.get_mut(level)?.get_mut(&key)?;
        // Another level may have taken some of them.
        while let Some(place) = places.pop_front() {
            if let Some(expected) = self.events.get_mut(place).and_then(Option::take) {
                return Some(expected);
            }
        }
        None
    }

    fn rest(self) -> impl Iterator<Item = Fields> {
        self.events.into_iter().flatten()
    }
}

/// Client, server name and server, as in reports.
fn peers(fields: &Fields) -> String {
    format!("{} to {}", field(fields, "client.address"), server(fields))
}

fn server(fields: &Fields) -> String {
    let (address, port) = (
        field(fields, "server.address"),
        field(fields, "server.port"),
    );
    match fields.get("tls.server_name") {
        Some(name) => format!("{} ({address}:{port})", plain(name)),
        None => format!("{address}:{port}"),
    }
}

/// `success`, `unknown` or `failure unknown_ca (client)`.
fn outcome(fields: &Fields) -> String {
    let mut words = field(fields, "outcome");
    if let Some(error) = fields.get("error.type") {
        words = format!("{words} {}", plain(error));
    }
    if let Some(side) = fields.get("error.side") {
        words = format!("{words} ({})", plain(side));
    }
    words
}

fn field(fields: &Fields, path: &str) -> String {
    fields
        .get(path)
        .map_or("?", |value| plain(value))
        .to_owned()
}

/// A value without the quotes of a JSON string.
fn plain(value: &str) -> &str {
    value.trim_matches('"')
}

/// What a handshake is compared by first: a change in one of these is likely to be why others changed.
const MAIN_FIELDS: &[&str] = &[
    "tls.version",
    "tls.cipher_suite",
    "tls.group",
    "tls.alpn",
    "tls.resumed",
    "tls.client_certificate",
    "evidence",
];

/// What a hello says in the clear, whether or not there are keys.
const IN_THE_CLEAR: &[&str] = &[
    "tls.version",
    "tls.cipher_suite",
    "tls.group",
    "tls.server_name",
];

/// As in `once`, `twice` or `3 times`.
fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    }
}

/// What changed, in one clause, as in `was failure unknown_ca (client), now success; tls.alpn was absent, now h2`.
fn changes(expected: &Fields, fields: &Fields) -> String {
    /// A report needs one line.
    const SHOWN: usize = 3;
    /// Other fields that are named, without their values.
    const NAMED: usize = 8;
    let mut shown = Vec::new();
    let (before, now) = (outcome(expected), outcome(fields));
    if before != now {
        shown.push(format!("was {before}, now {now}"));
    }
    let (before, now) = (field(expected, "evidence"), field(fields, "evidence"));
    let decrypted = Evidence::Decrypted.as_str();
    let follows_from_keys = before != now && [&*before, &*now].contains(&decrypted);
    if follows_from_keys {
        let keys = if now == decrypted { "with" } else { "without" };
        shown.push(format!("was {before}, now {now} ({keys} keys)"));
    }
    let is_of_outcome = |path: &str| matches!(path, "outcome" | "error.type" | "error.side");
    let mut paths: Vec<&String> = expected.keys().chain(fields.keys()).collect();
    paths.retain(|path| expected.get(*path) != fields.get(*path) && !is_of_outcome(path));
    // An empty list has a path of its own, which others do not have: their items are the change.
    paths.retain(|path| !is_filled(path, expected, fields) && !is_filled(path, fields, expected));
    // Keys show certificates, alerts and much else: none of that has changed.
    paths.retain(|path| !follows_from_keys || IN_THE_CLEAR.contains(&path.as_str()));
    paths.sort_by_key(|path| {
        let rank = MAIN_FIELDS.iter().position(|main| main == path);
        (rank.unwrap_or(MAIN_FIELDS.len()), *path)
    });
    paths.dedup();
    let absent = "absent".to_owned();
    for path in paths.iter().take(SHOWN) {
        let before = plain(expected.get(*path).unwrap_or(&absent));
        let now = plain(fields.get(*path).unwrap_or(&absent));
        shown.push(match lists(before, now) {
            Some(difference) => format!("{path}: {difference}"),
            None => format!("{path} was {before}, now {now}"),
        });
    }
    let others: Vec<&str> = paths.iter().skip(SHOWN).map(|path| path.as_str()).collect();
    match others.len().saturating_sub(NAMED) {
        0 if others.is_empty() => {}
        0 => shown.push(format!("also changed: {}", others.join(", "))),
        more => shown.push(format!(
            "also changed: {} and {more} more",
            others[..NAMED].join(", ")
        )),
    }
    shown.join("; ")
}

/// Whether a list is empty before, and has items with fields of their own now.
fn is_filled(path: &str, before: &Fields, now: &Fields) -> bool {
    let items = format!("{path}[");
    let mut later = now.range(items.clone()..);
    before.get(path).is_some_and(|value| value == "[]")
        && later
            .next()
            .is_some_and(|(path, _)| path.starts_with(&items))
}

/// What one list has and the other has not; `None` unless both are lists that differ in this way.
fn lists(before: &str, now: &str) -> Option<String> {
    let list = |text: &str| serde_json::from_str::<Vec<Value>>(text).ok();
    let (before, now) = (list(before)?, list(now)?);
    let only = |one: &[Value], other: &[Value]| {
        let only = one.iter().filter(|value| !other.contains(value));
        let words = only.map(|value| plain(&value.to_string()).to_owned());
        words.collect::<Vec<_>>().join(", ")
    };
    let (removed, added) = (only(&before, &now), only(&now, &before));
    match (&*removed, &*added) {
        ("", "") => Some("in another order".to_owned()),
        ("", added) => Some(format!("now also {added}")),
        (removed, "") => Some(format!("no longer {removed}")),
        (removed, added) => Some(format!("no longer {removed}, now {added}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::test_events::{self, START, completed, refused_by_the_client};
    use crate::time::Timestamp;
    use crate::tls::{CipherSuite, ProtocolVersion};

    fn compared(expected: &[Handshake], seen: &[Handshake]) -> CheckResult {
        compared_by(false, expected, seen)
    }

    fn compared_by(counts: bool, expected: &[Handshake], seen: &[Handshake]) -> CheckResult {
        let mut recorder = BaselineRecorder::new(counts);
        assert!(expected.iter().all(|event| recorder.add(event)));
        let baseline = Baseline::parse(&recorder.finish().0).unwrap();
        let mut baseline = baseline.comparing_counts(counts);
        seen.iter().for_each(|event| baseline.handshake(event));
        baseline.finish("expected.json")
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
            let offered = event.tls.offered_cipher_suites.unwrap();
            let greasy = [&[CipherSuite(grease)], &*offered].concat();
            event.tls.offered_cipher_suites = Some(greasy.into());
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
        assert_eq!(
            result.offenders[0].why,
            "tls.version was TLS 1.2, now TLS 1.3"
        );
        assert_eq!(result.violations, 1);
    }

    #[test]
    fn a_list_that_was_empty_is_not_a_change_next_to_its_items() {
        let event = refused_by_the_client();
        let mut without = event.clone();
        without.alerts = Vec::new();
        for (expected, seen, why) in [
            (&without, &event, "alerts[0].description was absent, now "),
            (
                &event,
                &without,
                "alerts[0].description was unknown_ca, now absent",
            ),
        ] {
            let result = compared(std::slice::from_ref(expected), std::slice::from_ref(seen));
            let found = &result.offenders[0].why;
            assert!(found.starts_with(why), "{found}");
            assert!(!found.contains("[],") && !found.ends_with("[]"), "{found}");
        }
    }

    #[test]
    fn a_change_of_the_outcome_comes_first() {
        let event = refused_by_the_client();
        let mut changed = event.clone();
        (changed.outcome, changed.error) = (crate::event::Outcome::Success, None);
        let result = compared(std::slice::from_ref(&event), &[changed.clone()]);
        let why = &result.offenders[0].why;
        assert_eq!(why, "was failure unknown_ca (client), now success");
        // Of two that differ, each is paired with the one of the same outcome.
        let other = |event: &Handshake| {
            let mut event = event.clone();
            event.tls.alpn = Some("other".into());
            event
        };
        let both = [event, changed];
        let result = compared(&both, &[other(&both[1]), other(&both[0])]);
        assert_eq!(result.violations, 2);
        for offender in &result.offenders {
            assert!(offender.why.ends_with("now other"), "{}", offender.why);
            assert!(!offender.why.contains("outcome"), "{}", offender.why);
        }
    }

    #[test]
    fn a_resumption_is_paired_with_a_resumption() {
        let with = |is_resumed, alpn: &str| {
            let mut event = completed();
            event.tls.resumed = Some(is_resumed);
            event.tls.alpn = Some(alpn.into());
            event
        };
        let expected = [with(false, "a"), with(true, "a")];
        for (first, second) in [(false, true), (true, false)] {
            let result = compared(&expected, &[with(first, "b"), with(second, "b")]);
            let whys: Vec<_> = result.offenders.iter().map(|one| &one.why).collect();
            assert_eq!(whys, ["tls.alpn was a, now b"; 2]);
        }
    }

    #[test]
    fn missing_keys_are_one_change_whatever_they_hide() {
        let mut decrypted = completed();
        decrypted.evidence = Evidence::Decrypted;
        let mut inferred = decrypted.clone();
        inferred.evidence = Evidence::Inferred;
        inferred.server_certificates = None;
        inferred.tls.alpn = Some("other".into());
        let result = compared(&[decrypted], &[inferred]);
        let why = &result.offenders[0].why;
        assert_eq!(why, "was decrypted, now inferred (without keys)");
    }

    #[test]
    fn lists_that_differ_are_compared_item_by_item() {
        assert_eq!(
            lists("[\"a\",\"b\"]", "[\"b\",\"c\"]").unwrap(),
            "no longer a, now c"
        );
        assert_eq!(lists("[1]", "[1,2]").unwrap(), "now also 2");
        assert_eq!(lists("[1,2]", "[2,1]").unwrap(), "in another order");
        assert_eq!(lists("a", "[]"), None);
    }

    #[test]
    fn added_and_missing_handshakes_are_reported() {
        let (one, other) = (refused_by_the_client(), completed());
        let more = compared(
            std::slice::from_ref(&other),
            &[other.clone(), one.clone(), one.clone()],
        );
        assert_eq!(more.violations, 1, "{more:?}");
        let why = &more.offenders[0].why;
        assert_eq!(why, "not in the baseline: failure unknown_ca (client)");
        let fewer = compared(&[one.clone(), other], &[one]);
        assert!(
            fewer.offenders[0]
                .why
                .starts_with("only in the baseline: 10.0.0.")
        );
        assert_eq!(fewer.offenders[0].handshake, None);
    }

    #[test]
    fn how_often_a_handshake_occurs_matters_only_on_request() {
        let one = refused_by_the_client();
        let twice = [one.clone(), one.clone()];
        let once = std::slice::from_ref(&one);
        for (expected, seen) in [(once, &twice[..]), (&twice[..], once)] {
            assert_eq!(compared_by(false, expected, seen).status, Status::Held);
            let result = compared_by(true, expected, seen);
            assert_eq!(result.violations, 1);
            assert!(
                result.offenders[0].why.contains(": was seen "),
                "{result:?}"
            );
        }
        assert_eq!(compared_by(true, &twice, &twice).status, Status::Held);
    }

    #[test]
    fn a_baseline_has_each_handshake_once_with_names_instead_of_numbers() {
        let mut recorder = BaselineRecorder::default();
        for event in [
            refused_by_the_client(),
            completed(),
            refused_by_the_client(),
        ] {
            assert!(recorder.add(&event));
        }
        let (text, count) = recorder.finish();
        assert_eq!(count, 2);
        assert_eq!(text.matches("\n}\n").count(), 2, "{text}");
        let numbers = |line: &&str| line.contains("offered_cipher_suites");
        let has_names = |line: &str| line.contains("TLS_");
        assert!(text.lines().filter(numbers).all(has_names), "{text}");
        assert!(!text.contains("_code"), "{text}");
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
        for (text, line) in [
            ("{\"type\": \"stats\"}\n[]", 2),
            ("{", 1),
            ("{\"type\": \"stats\"}\n{\n\"a\": b}", 3),
            ("junk", 1),
        ] {
            let error = Baseline::parse(text).unwrap_err();
            assert_eq!(error, BaselineError::NotJson(line), "{text}");
        }
    }

    #[test]
    fn an_object_that_is_no_event_is_refused() {
        let text = "{\"type\": \"stats\"}\n\n{\"rule\": \"ours\"}\n";
        let error = Baseline::parse(text).unwrap_err();
        assert_eq!(error, BaselineError::NotEvent(3));
    }
}

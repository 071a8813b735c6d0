//! What networks and capture points do to packets must not turn a right verdict into a wrong one.
//!
//! Fixtures whose verdicts are known to be right are changed in the ways that [`changes::CHANGES`] lists. A verdict is
//! the outcome, the type of the error and its side. Where evidence is lost it may become `unknown`, and nothing else.
//! A change that loses nothing must leave it as it is, together with the certificates.
//!
//! Each run is the same; `TLSCOPE_EFFORT=10` tries ten variants of each change.

mod changes;
mod datagrams;
mod forged;
pub(crate) mod initials;
mod packets;
mod tunnels;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;

use tlscope::capture::{CaptureFiles, PacketBatch, PacketSource};
use tlscope::decrypt::Keys;
use tlscope::event::{Alert, ErrorType, Evidence, Handshake, Outcome, Side};
use tlscope::flow::Endpoint;
use tlscope::observer::{Config, Observer};
use tlscope::tls::AlertDescription;

use crate::support::fixtures::{self, package};
use crate::support::random::Random;
use crate::support::scratch;
use changes::{CHANGES, Change, Harm};
use packets::Capture;

/// A fixture whose packets can be changed.
struct Case {
    name: String,
    capture: Capture,
    keys: Option<Vec<u8>>,
}

/// What is compared of an event.
#[derive(PartialEq)]
struct Verdict {
    outcome: Outcome,
    error: Option<(ErrorType, Option<Side>)>,
}

impl Verdict {
    fn of(event: &Handshake) -> Self {
        let error = event.error.as_ref();
        Self {
            outcome: event.outcome,
            error: error.map(|error| (error.error_type, error.side)),
        }
    }

    /// Whether it rests on what did not come.
    fn is_silence(&self) -> bool {
        let silent = [ErrorType::NoServerHello, ErrorType::HandshakeTimeout];
        self.error
            .is_some_and(|(error_type, _)| silent.contains(&error_type))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.outcome)?;
        if let Some((error_type, side)) = self.error {
            let side = side.map_or("no side", Side::as_str);
            write!(f, " {error_type} by {side}")?;
        }
        Ok(())
    }
}

#[test]
fn a_change_that_loses_nothing_changes_no_event() {
    try_all(|change| change.harm != Harm::Evidence);
}

#[test]
fn packets_that_the_capture_lacks_make_no_verdict_wrong() {
    try_all(|change| change.harm == Harm::Evidence && !is_about_order(change));
}

#[test]
fn the_order_of_packets_makes_no_verdict_wrong() {
    try_all(|change| change.harm == Harm::Evidence && is_about_order(change));
}

/// A file says nothing of a connection after its last packet, although another file goes on for years.
#[test]
fn what_other_files_hold_changes_no_verdict() {
    const DAY: u64 = 24 * 3600 * 1_000_000;
    let cases = cases();
    let mut batch = PacketBatch::default();
    let mut unknown = 0;
    for (index, case) in cases.iter().enumerate() {
        let mut cut = case.capture.clone();
        cut.frames.truncate(cut.frames.len().div_ceil(2));
        let mut later = cases[(index + 1) % cases.len()].capture.clone();
        let end = cut.frames.iter().map(|frame| frame.time).max().unwrap();
        for frame in &mut later.frames {
            frame.time = end + DAY + frame.time % DAY;
        }
        let [cut, later] = [("cut", cut), ("later", later)].map(|(which, capture)| {
            let path = scratch::file(&format!("{}-{which}.pcap", case.name), capture.to_pcap());
            std::path::PathBuf::from(path)
        });
        let mut observe = |paths: &[std::path::PathBuf]| {
            let mut observer = Observer::new(Config::default());
            let mut source = CaptureFiles::open(paths);
            while source.next_batch(&mut batch).unwrap() {
                observer.handle_batch(&batch);
            }
            observer.finish();
            let mut events: Vec<_> = std::iter::from_fn(|| observer.poll_event()).collect();
            events.retain(|event| *event.source == *cut.to_string_lossy());
            events
        };
        let alone = observe(std::slice::from_ref(&cut));
        let together = observe(&[cut.clone(), later]);
        // Notes on certificates compare connections, so they may differ.
        let verdicts = |events: &[Handshake]| -> Vec<_> {
            let verdict = |event: &Handshake| {
                let verdict = Verdict::of(event).to_string();
                (verdict, event.unknown_because, event.closed_by)
            };
            events.iter().map(verdict).collect()
        };
        assert_eq!(verdicts(&alone), verdicts(&together), "{}", case.name);
        let is_unknown = |event: &&Handshake| event.outcome == Outcome::Unknown;
        unknown += alone.iter().filter(is_unknown).count();
    }
    assert!(unknown > 20, "{unknown}");
}

fn is_about_order(change: &Change) -> bool {
    let names = ["swapped", "late", "two-interfaces", "clock"];
    names.iter().any(|name| change.name.contains(name))
}

/// The factor by which to try more variants than usual.
fn effort() -> u64 {
    let wanted = std::env::var("TLSCOPE_EFFORT").ok();
    wanted.and_then(|wanted| wanted.parse().ok()).unwrap_or(1)
}

/// Applies the selected changes to all fixtures.
fn try_all(is_selected: fn(&Change) -> bool) {
    let mut trial = Trial::default();
    let cases = cases();
    assert!(cases.len() >= 60, "{}", cases.len());
    for (number, case) in cases.iter().enumerate() {
        trial.run(case, number as u64, is_selected);
    }
    trial.finish();
}

/// Changes to captures, and what became wrong.
#[derive(Default)]
struct Trial {
    faults: Vec<String>,
    /// Kept, since a fresh one takes longer than a small capture.
    batch: PacketBatch,
}

impl Trial {
    /// Applies the selected changes to a case, without and with keys. `number` seeds the variants.
    fn run(&mut self, case: &Case, number: u64, is_selected: impl Fn(&Change) -> bool) {
        let unchanged = case.capture.to_pcap();
        let key_logs = [None, case.keys.as_deref()].into_iter();
        for (with_keys, key_log) in key_logs.enumerate() {
            if with_keys == 1 && key_log.is_none() {
                return;
            }
            let right = self.observe(&unchanged, key_log);
            for (kind, change) in CHANGES.iter().enumerate() {
                for round in 0..effort() {
                    if !is_selected(change) || !(number + round).is_multiple_of(change.one_in) {
                        continue;
                    }
                    let seed = [round, number, kind as u64, with_keys as u64];
                    let seed = seed.iter().fold(0, |seed, part| seed << 16 | part);
                    let changed = (change.apply)(case.capture.clone(), &mut Random::new(seed));
                    let events = self.observe(&changed, key_log);
                    let Err(fault) = compare(&right, &events, change.harm) else {
                        continue;
                    };
                    let keys = key_log.map_or("", |_| "-keys");
                    let name = format!("{}-{}{keys}-{round}.capture", case.name, change.name);
                    let path = scratch::file(&name, &changed);
                    self.faults
                        .push(format!("{}, {}: {fault}: {path}", case.name, change.name));
                }
            }
        }
    }

    fn observe(&mut self, capture: &[u8], key_log: Option<&[u8]>) -> Vec<Handshake> {
        let keys = Keys::default();
        if let Some(log) = key_log {
            keys.absorb_all(log);
        }
        let mut observer = Observer::new(Config::default().with_keys(keys));
        let mut source = CaptureFiles::from_reader("capture", io::Cursor::new(capture.to_vec()));
        while source.next_batch(&mut self.batch).unwrap() {
            observer.handle_batch(&self.batch);
        }
        observer.finish();
        std::iter::from_fn(|| observer.poll_event()).collect()
    }

    /// Fails if something became wrong.
    fn finish(self) {
        let Self { faults, .. } = self;
        let count = faults.len();
        assert!(count == 0, "{count} faults:\n{}", faults.join("\n"));
    }
}

/// Applies all changes to each connection of captures that are not in the repository.
#[test]
#[ignore = "needs captures: `TLSCOPE_CAPTURES` names a file, or a folder of them; a key log has the same name and ends in `.keys`. \
            `TLSCOPE_CHANGES=lost,server-late` tries some changes only"]
fn other_captures_keep_their_verdicts() {
    let wanted = std::env::var("TLSCOPE_CHANGES").ok();
    let is_wanted = |change: &Change| {
        let mut names = wanted.iter().flat_map(|names| names.split(','));
        wanted.is_none() || names.any(|name| name == change.name)
    };
    let named = std::env::var_os("TLSCOPE_CAPTURES").expect("TLSCOPE_CAPTURES is not set");
    let named = std::path::PathBuf::from(named);
    let mut files = vec![named.clone()];
    if named.is_dir() {
        let entries = fs::read_dir(named).unwrap();
        files = entries.map(|entry| entry.unwrap().path()).collect();
    }
    files.sort();
    let mut trial = Trial::default();
    let mut number = 0;
    for file in files {
        trial.run_over_udp_in(&file, number);
        number += 1;
        let Some(capture) = Capture::read(&fs::read(&file).unwrap()) else {
            continue; // another format, or packets are cut
        };
        let stem = file.file_stem().unwrap().to_string_lossy();
        for (index, capture) in capture.by_connection().into_iter().enumerate() {
            let case = Case {
                name: format!("{stem}-{index}"),
                capture,
                keys: fs::read(file.with_extension("keys")).ok(),
            };
            trial.run(&case, number, is_wanted);
            number += 1;
        }
    }
    trial.finish();
}

/// Says what is wrong about `events`, given those that are `right`.
fn compare(right: &[Handshake], events: &[Handshake], harm: Harm) -> Result<(), String> {
    let right = by_connection(right);
    let events = by_connection(events);
    for (connection, events) in &events {
        let expected = right.get(connection).map_or(&[][..], Vec::as_slice);
        compare_connection(expected, &decided(events), harm)?;
    }
    if harm == Harm::Evidence {
        return Ok(());
    }
    for (connection, expected) in &right {
        let may_vanish =
            |event: &Handshake| harm == Harm::Acknowledgments && Verdict::of(event).is_silence();
        let mut wanted = decided(expected);
        wanted.retain(|event| !may_vanish(event));
        let found = events
            .get(connection)
            .map_or(0, |events| decided(events).len());
        if found < wanted.len() {
            return Err(format!("{} was lost", Verdict::of(wanted[0])));
        }
    }
    Ok(())
}

/// Compares the verdicts on one connection.
fn compare_connection(
    expected: &[&Handshake],
    decided: &[&Handshake],
    harm: Harm,
) -> Result<(), String> {
    if expected
        .iter()
        .any(|event| event.outcome == Outcome::Unknown)
    {
        return Ok(()); // nothing is known to be right
    }
    for event in decided {
        if is_less_certain(event) {
            continue;
        }
        if !expected.iter().any(|right| is_same(right, event, harm)) {
            let rule = event
                .inference
                .as_ref()
                .map_or("", |inference| inference.rule);
            let verdict = Verdict::of(event);
            return Err(match expected.first() {
                Some(right) => format!("{} became {verdict} {rule}", Verdict::of(right)),
                None => format!("a handshake that was not there: {verdict} {rule}"),
            });
        }
    }
    if decided.len() > expected.len() {
        return Err(format!(
            "{} handshakes became {}",
            expected.len(),
            decided.len()
        ));
    }
    Ok(())
}

/// Whether a verdict rests on a silence that a close may have ended which the capture lacks: nothing tells, and its confidence says so.
fn is_less_certain(event: &Handshake) -> bool {
    let rule = event.inference.as_ref().map(|inference| inference.rule);
    rule == Some("T5") && event.confidence.is_some_and(|confidence| confidence < 0.8)
}

fn decided<'e>(events: &[&'e Handshake]) -> Vec<&'e Handshake> {
    let is_decided = |event: &&&Handshake| event.outcome != Outcome::Unknown;
    events.iter().filter(is_decided).copied().collect()
}

fn is_same(right: &Handshake, event: &Handshake, harm: Harm) -> bool {
    let is_same = Verdict::of(right) == Verdict::of(event);
    let has_same_certificates = right.server_certificates == event.server_certificates
        && right.client_certificates == event.client_certificates;
    match harm {
        Harm::Evidence => is_same || says_less(right, event),
        Harm::None | Harm::Acknowledgments => is_same && has_same_certificates,
    }
}

/// Whether a failure has the same side and says less about the same cause, because what makes the class more precise is
/// not in view: the certificates that explain an alert, the hello without which keys open nothing, the dialogue before a hello that
/// plain text answers, or the FIN before a reset.
fn says_less(right: &Handshake, event: &Handshake) -> bool {
    let (Some(expected), Some(error)) = (&right.error, &event.error) else {
        return false;
    };
    let is_seen = |alert: &&Alert| {
        let mut alerts = right.alerts.iter();
        Some(alert.sender) == error.side && alerts.any(|seen| seen.description == alert.description)
    };
    let alert = event.alerts.iter().find(is_seen);
    let class = alert.and_then(|alert| alert.description);
    let is_class = class.is_some_and(|class| error.error_type.as_str() == class_of(class));
    // Of a side that refuses a certificate which is not in view, the event says that it refused one, or only that it closed.
    let without_code = [
        ErrorType::ClientRejectedServer,
        ErrorType::ServerRejectedClient,
        ErrorType::ConnectionClosed,
        ErrorType::ConnectionReset,
    ];
    let is_of_hellos =
        OF_HELLOS.contains(&expected.error_type) && error.error_type == ErrorType::HandshakeFailure;
    let was_opened = right.evidence == Evidence::Decrypted
        || right.client_certificates.is_some() && event.client_certificates.is_none()
        || right.server_certificates.is_some() && event.server_certificates.is_none();
    let is_inferred = was_opened && (without_code.contains(&error.error_type) || is_of_hellos);
    let classes = (expected.error_type, error.error_type);
    let lacks_dialogue = classes == (ErrorType::StartTlsRefused, ErrorType::NotTls);
    // A host that has closed answers what still comes by a reset. Where its FIN is lost, that is all that the capture shows of its close,
    // and `closed_by` reports only what was seen.
    let lacks_fin = classes == (ErrorType::ConnectionClosed, ErrorType::ConnectionReset);
    expected.side == error.side && (is_class || is_inferred || lacks_dialogue || lacks_fin)
}

/// What a side may refuse in a hello: a refusal of unknown cause says less.
const OF_HELLOS: [ErrorType; 8] = [
    ErrorType::CipherMismatch,
    ErrorType::InappropriateFallback,
    ErrorType::InsufficientSecurity,
    ErrorType::MissingExtension,
    ErrorType::NoApplicationProtocol,
    ErrorType::ProtocolMismatch,
    ErrorType::UnknownPskIdentity,
    ErrorType::UnrecognizedName,
];

/// The type of the error that stands for an alert by itself.
fn class_of(alert: AlertDescription) -> String {
    alert
        .to_string()
        .replace("certificate_expired", "cert_expired")
}

fn by_connection(events: &[Handshake]) -> BTreeMap<(Endpoint, Endpoint), Vec<&Handshake>> {
    let mut connections: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for event in events {
        let connection = (event.client, event.server);
        connections.entry(connection).or_default().push(event);
    }
    connections
}

/// The fixtures that consist of whole packets of Ethernet and are not damaged themselves.
fn cases() -> Vec<Case> {
    let is_undamaged = |fixture: &fixtures::Fixture| {
        let mut damaged = ["/formats/", "/streams/"].iter();
        !damaged.any(|theme| fixture.capture.contains(theme))
    };
    let case = |fixture: fixtures::Fixture| {
        let capture = fs::read(package().join(&fixture.capture)).unwrap();
        Some(Case {
            capture: Capture::read(&capture)?,
            keys: fs::read(fixture.file("keys.log")).ok(),
            name: fixture.name,
        })
    };
    let undamaged = fixtures::all().into_iter().filter(is_undamaged);
    undamaged.filter_map(case).collect()
}

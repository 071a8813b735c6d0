//! Logins over EAP in RADIUS, compared with what the server logged of them.
//!
//! `fixtures/logins` has 210 logins between wpa_supplicant and FreeRADIUS, and for each of them what FreeRADIUS's own log says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use tlscope::capture::{CaptureFiles, PacketBatch, PacketSource};
use tlscope::event::{EapResult, Handshake, Outcome, Side};
use tlscope::observer::{Config, Observer};
use tlscope::time::Timestamp;

use crate::support::fixtures::package;
use crate::support::random::Random;

/// What is compared of a login.
#[derive(Clone, Debug, PartialEq)]
struct Verdict {
    outcome: String,
    side: Option<String>,
    result: Option<String>,
}

impl Verdict {
    fn of(event: &Handshake) -> Self {
        let eap = event.eap.as_deref().unwrap();
        let side = event.error.as_ref().and_then(|error| error.side);
        Self {
            outcome: event.outcome.as_str().to_owned(),
            side: side.map(|side: Side| side.as_str().to_owned()),
            result: eap
                .result
                .map(|result: EapResult| result.as_str().to_owned()),
        }
    }

    /// Whether it says less than another verdict, and nothing else.
    fn is_less_than(&self, whole: &Self) -> bool {
        let result_fits = self.result.is_none() || self.result == whole.result;
        result_fits
            && (self.outcome == "unknown"
                || (&self.outcome, &self.side) == (&whole.outcome, &whole.side))
    }
}

type Frame = (Timestamp, Vec<u8>);

/// The frames of the fixture, in order.
fn frames() -> Vec<Frame> {
    let path = package().join("fixtures/logins/capture.pcap.gz");
    let mut files = CaptureFiles::try_open(&path).unwrap();
    let mut batch = PacketBatch::default();
    let mut frames = Vec::new();
    while files.next_batch(&mut batch).unwrap() {
        let packets = batch.packets.iter();
        frames.extend(packets.map(|packet| (packet.timestamp, batch.bytes(packet).to_vec())));
    }
    frames
}

/// The events of the frames, by station.
fn events<'f>(frames: impl IntoIterator<Item = &'f Frame>) -> BTreeMap<String, Vec<Handshake>> {
    let mut observer = Observer::new(Config::default());
    for (time, bytes) in frames {
        observer.handle_ethernet(*time, bytes);
    }
    observer.finish();
    let mut events = BTreeMap::<String, Vec<Handshake>>::new();
    while let Some(event) = observer.poll_event() {
        let eap = event.eap.as_deref().unwrap();
        let station = eap.calling_station_id.clone().unwrap();
        events.entry(station).or_default().push(event);
    }
    events
}

/// What the server's log says of each station.
fn labels() -> BTreeMap<String, Verdict> {
    let text = fs::read_to_string(package().join("fixtures/logins/labels.ndjson")).unwrap();
    let label = |line: &str| {
        let label: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| label[key].as_str().map(str::to_owned);
        let verdict = Verdict {
            outcome: text("outcome").unwrap(),
            side: text("side"),
            result: text("result"),
        };
        (text("calling_station_id").unwrap(), verdict)
    };
    text.lines().map(label).collect()
}

#[test]
fn every_login_agrees_with_the_log_of_the_server() {
    let labels = labels();
    assert!(labels.len() >= 200);
    let events = events(&frames());
    for (station, label) in &labels {
        let [event] = &events[station][..] else {
            panic!("{station}: {} events", events[station].len());
        };
        assert_eq!(&Verdict::of(event), label, "{station}");
    }
    assert_eq!(events.len(), labels.len());
}

#[test]
fn a_login_that_was_rejected_after_its_handshake_says_so() {
    for event in events(&frames()).into_values().flatten() {
        let result = event.eap.as_deref().unwrap().result;
        let is_rejected = result == Some(EapResult::Reject) && event.outcome == Outcome::Success;
        assert_eq!(event.rejected_after.is_some(), is_rejected, "{event:?}");
    }
}

/// Loses, repeats and swaps some of the frames.
fn disturbed(frames: &[Frame], seed: u64) -> Vec<Frame> {
    let mut random = Random::new(seed);
    let one_in = random.pick(&[5, 20, 100]);
    let mut disturbed = Vec::new();
    for frame in frames {
        match random.below(one_in) {
            0 => match random.below(4) {
                0 => disturbed.extend([frame.clone(), frame.clone()]),
                1 if !disturbed.is_empty() => disturbed.insert(disturbed.len() - 1, frame.clone()),
                _ => {} // lost
            },
            _ => disturbed.push(frame.clone()),
        }
    }
    disturbed
}

#[test]
fn what_the_capture_lacks_only_makes_a_verdict_unknown() {
    let frames = frames();
    let labels = labels();
    let mut unknown = 0;
    let mut outcomes = BTreeSet::new();
    for seed in 0..12 {
        for (station, seen) in events(&disturbed(&frames, seed)) {
            let whole = &labels[&station];
            for event in seen {
                let verdict = Verdict::of(&event);
                assert!(
                    verdict.is_less_than(whole),
                    "seed {seed}, {station}: {verdict:?} instead of {whole:?}: {event:?}"
                );
                unknown += u32::from(verdict.outcome == "unknown");
                outcomes.insert(verdict.outcome);
            }
        }
    }
    assert!(
        unknown > 50 && outcomes.len() == 3,
        "{unknown} {outcomes:?}"
    );
}

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
    frames_of("fixtures/logins/capture.pcap.gz")
}

fn frames_of(capture: &str) -> Vec<Frame> {
    let path = package().join(capture);
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

/// How the server's log describes each station.
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

/// The EAP packet in a frame with RADIUS, and whether it comes from the device that logs in; with the number of its station.
fn eap_in(frame: &[u8], stations: &mut BTreeMap<[u8; 3], u8>) -> Option<(Vec<u8>, bool, u8)> {
    const IP: usize = 14;
    let is_whole =
        frame.get(IP + 6..IP + 8)? == [0x40, 0] || frame[IP + 6] & 0x3f == 0 && frame[IP + 7] == 0;
    let radius = frame.get(IP + 28..).filter(|_| is_whole)?;
    let is_request = radius[0] == 1;
    let port = [&frame[IP + 20..IP + 22], &frame[IP + 22..IP + 24]][usize::from(!is_request)];
    let mut attributes = &radius[20..];
    let mut eap = Vec::new();
    // Each device has a port of its own in this capture; 24 bits with the identifier of nothing else.
    let device = [port[0], port[1], 0];
    while let [kind, length, ..] = *attributes {
        let (attribute, rest) = attributes.split_at_checked(length.into())?;
        if kind == 79 {
            eap.extend_from_slice(&attribute[2..]);
        }
        attributes = rest;
    }
    let next = stations.len() as u8;
    let station = *stations.entry(device).or_insert(next);
    (!eap.is_empty()).then_some((eap, !is_request, station))
}

/// The same logins as on a wire between the devices and their switch, which speaks to each device or to a group.
fn on_wires(frames: &[Frame], is_to_group: bool) -> Vec<Frame> {
    const SWITCH: [u8; 6] = [2, 0, 0, 0, 0xff, 1];
    const GROUP: [u8; 6] = [1, 0x80, 0xc2, 0, 0, 3];
    let mut stations = BTreeMap::new();
    let mut on_wires = Vec::new();
    for (time, bytes) in frames {
        let Some((eap, is_from_server, station)) = eap_in(bytes, &mut stations) else {
            continue;
        };
        let device = [2, 0, 0, 0, 1, station];
        let to_device = if is_to_group { GROUP } else { device };
        let ends = match is_from_server {
            true => [to_device, SWITCH],
            false => [GROUP, device],
        };
        let length = (eap.len() as u16).to_be_bytes();
        let header = [0x88, 0x8e, 2, 0, length[0], length[1]];
        if let [2, identifier, _, _, 1, ..] = eap[..] {
            // On a wire, the switch asks for the identity itself.
            let request = [0x88, 0x8e, 2, 0, 0, 5, 1, identifier, 0, 5, 1];
            on_wires.push((*time, [&to_device[..], &SWITCH, &request].concat()));
        }
        on_wires.push((*time, [&ends.concat()[..], &header, &eap].concat()));
    }
    on_wires
}

/// Outcomes and sides in the order of the logins.
fn outcomes(
    events: impl IntoIterator<Item = Handshake>,
) -> BTreeMap<Timestamp, (Outcome, Option<Side>)> {
    let outcome = |event: Handshake| {
        let side = event.error.as_ref().and_then(|error| error.side);
        (event.time, (event.outcome, side))
    };
    events.into_iter().map(outcome).collect()
}

#[test]
fn the_same_logins_over_eapol_have_the_same_verdicts() {
    let frames = frames();
    let in_radius = outcomes(events(&frames).into_values().flatten());
    for is_to_group in [false, true] {
        let mut observer = Observer::new(Config::default());
        for (time, bytes) in on_wires(&frames, is_to_group) {
            observer.handle_ethernet(time, &bytes);
        }
        observer.finish();
        let seen: Vec<Handshake> = std::iter::from_fn(|| observer.poll_event()).collect();
        for event in &seen {
            let eap = event.eap.as_deref().unwrap();
            assert_eq!(event.transport.as_str(), "eapol");
            assert!(
                eap.user_name.is_some() && eap.calling_station_id.is_some(),
                "{eap:?}"
            );
        }
        let on_wires = outcomes(seen);
        assert!(on_wires.len() > 150, "{}", on_wires.len());
        for (time, verdict) in on_wires {
            // Requests in IP fragments are left out here, which makes a gap.
            let is_unknown = verdict.0 == Outcome::Unknown;
            assert!(
                is_unknown || verdict == in_radius[&time],
                "{time}: {verdict:?}"
            );
        }
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

/// Each frame twice, the second this much later: two points of capture, or a mirror that is slow.
fn copied(frames: &[Frame], milliseconds: i64) -> Vec<Frame> {
    let later = |time: Timestamp| {
        Timestamp::from_nanoseconds(time.as_nanoseconds() + milliseconds * 1_000_000)
    };
    let copies = frames
        .iter()
        .map(|(time, bytes)| (later(*time), bytes.clone()));
    let mut all: Vec<Frame> = frames.iter().cloned().chain(copies).collect();
    all.sort_by_key(|(time, _)| *time);
    all
}

#[test]
fn a_login_whose_packets_are_captured_twice_is_one() {
    let frames = frames();
    let labels = labels();
    for milliseconds in [1, 20, 90, 150, 400, 2_000] {
        for (station, seen) in events(&copied(&frames, milliseconds)) {
            let [event] = &seen[..] else {
                panic!(
                    "{station}: {} events, copied {milliseconds} ms later",
                    seen.len()
                );
            };
            assert_eq!(
                Verdict::of(event),
                labels[&station],
                "{station}, {milliseconds} ms"
            );
        }
    }
}

#[test]
fn a_login_on_a_wire_whose_frames_are_captured_twice_is_one() {
    let frames = frames();
    for is_to_group in [false, true] {
        let on_wires = on_wires(&frames, is_to_group);
        let observed = |frames: &[Frame]| {
            let mut observer = Observer::new(Config::default());
            for (time, bytes) in frames {
                observer.handle_ethernet(*time, bytes);
            }
            observer.finish();
            outcomes(std::iter::from_fn(move || observer.poll_event()))
        };
        let expected = observed(&on_wires);
        assert!(expected.len() > 150, "{}", expected.len());
        // What goes to a group may be for another device once the login is over.
        let delays = if is_to_group {
            &[1][..]
        } else {
            &[1, 20, 90, 150, 400]
        };
        for milliseconds in delays.iter().copied() {
            let found = observed(&copied(&on_wires, milliseconds));
            assert_eq!(
                found, expected,
                "{milliseconds} ms, to a group: {is_to_group}"
            );
        }
    }
}

/// The frames of a login behind one with which its device begins it.
fn with_start(mut frames: Vec<Frame>) -> Vec<Frame> {
    let is_of_device = |(_, bytes): &&Frame| bytes[18] == 2;
    let (time, response) = frames.iter().find(is_of_device).unwrap();
    let start = [&response[..14], &[2, 1, 0, 0]].concat();
    frames.insert(0, (*time, start));
    frames
}

/// A mirror may be slow by seconds. Only the latest request of an authenticator may be its own repetition.
#[test]
fn a_frame_of_a_login_that_is_captured_again_seconds_later_begins_no_other_one() {
    let to_group = frames_of("fixtures/captures/eap/eapol-tls12-accept/capture.pcap");
    let to_device = frames_of("fixtures/captures/eap/eap-tls12-accept/capture.pcap");
    for frames in [to_group, with_start(on_wires(&to_device, false))] {
        let at = |index: usize, milliseconds: i64| {
            Timestamp::from_nanoseconds((index as i64 * 1_000 + milliseconds) * 1_000_000)
        };
        let observed = |copy: Option<(usize, usize)>| {
            let mut observer = Observer::new(Config::default());
            for (index, (_, bytes)) in frames.iter().enumerate() {
                observer.handle_ethernet(at(index, 0), bytes);
                if let Some((copied, after)) = copy
                    && after == index
                {
                    observer.handle_ethernet(at(index, 1), &frames[copied].1);
                }
            }
            observer.finish();
            outcomes(std::iter::from_fn(move || observer.poll_event()))
        };
        let expected = observed(None);
        assert_eq!(expected.len(), 1);
        for copied in 0..frames.len() {
            for after in copied + 1..frames.len() {
                let found = observed(Some((copied, after)));
                assert_eq!(found, expected, "frame {copied} after {after}");
            }
        }
    }
}

/// Both sides send to a group, so that no frame has the addresses of both: only the identifiers of EAP tell who answers whom.
#[test]
fn a_login_to_a_group_address_stays_one_event_where_frames_are_missing() {
    let frames = frames_of("fixtures/captures/eap/eapol-tls12-accept/capture.pcap");
    let mut decided = 0;
    for first in 0..frames.len() {
        for second in first..frames.len() {
            for third in second..frames.len() {
                let lost = [first, second, third];
                let mut observer = Observer::new(Config::default());
                for (index, (time, bytes)) in frames.iter().enumerate() {
                    if !lost.contains(&index) {
                        observer.handle_ethernet(*time, bytes);
                    }
                }
                observer.finish();
                let events: Vec<_> = std::iter::from_fn(|| observer.poll_event()).collect();
                assert!(
                    events.len() <= 1,
                    "without {lost:?}: {} events",
                    events.len()
                );
                for event in &events {
                    assert_ne!(event.outcome, Outcome::Failure, "without {lost:?}");
                    decided += usize::from(event.outcome == Outcome::Success);
                }
            }
        }
    }
    assert!(decided > 200, "{decided}");
}

/// A packet of EAP on a wire, to the group.
fn to_group(eap: &[u8], source: [u8; 6]) -> Vec<u8> {
    const GROUP: [u8; 6] = [1, 0x80, 0xc2, 0, 0, 3];
    let length = (eap.len() as u16).to_be_bytes();
    [&GROUP[..], &source, &[0x88, 0x8e, 2, 0], &length, eap].concat()
}

/// The packets of EAP of each login, with whether the server sends them. All logins have the same identifiers, from 0 on.
fn logins_with_equal_identifiers() -> Vec<Vec<(Vec<u8>, bool)>> {
    let mut stations = BTreeMap::new();
    let mut logins = BTreeMap::<u8, Vec<(Vec<u8>, bool)>>::new();
    for (_, bytes) in &frames() {
        let Some((mut eap, is_from_server, station)) = eap_in(bytes, &mut stations) else {
            continue;
        };
        let login = logins.entry(station).or_default();
        if login.is_empty() {
            login.push((vec![1, eap[1], 0, 5, 1], true));
        }
        login.push((std::mem::take(&mut eap), is_from_server));
    }
    let mut logins: Vec<_> = logins.into_values().collect();
    for login in &mut logins {
        let first = login[0].0[1];
        for (eap, _) in login {
            eap[1] = eap[1].wrapping_sub(first);
        }
    }
    logins
}

#[test]
fn authenticators_that_ask_the_group_with_the_same_identifiers_are_not_mixed_up() {
    let logins = logins_with_equal_identifiers();
    let events = |frames: Vec<Vec<u8>>| {
        let mut observer = Observer::new(Config::default());
        for (milliseconds, bytes) in frames.iter().enumerate() {
            let time = Timestamp::from_nanoseconds(milliseconds as i64 * 1_000_000);
            observer.handle_ethernet(time, bytes);
        }
        observer.finish();
        let events: Vec<Handshake> = std::iter::from_fn(|| observer.poll_event()).collect();
        events
    };
    let frame = |which: usize, (eap, is_from_server): &(Vec<u8>, bool)| {
        let kind = if *is_from_server { 0xff } else { 1 };
        to_group(eap, [2, 0, 0, 0, kind, which as u8])
    };
    let verdict = |event: &Handshake| {
        // Without the certificate, a client's alert has a class of its own.
        let error = event.error.as_ref();
        (event.outcome, error.map(|error| error.side))
    };
    let mut decided = 0;
    for pair in logins.windows(2) {
        let alone = [0, 1].map(|which| {
            let frames = pair[which].iter().map(|packet| frame(which, packet));
            events(frames.collect())
        });
        let longest = pair[0].len().max(pair[1].len());
        let both = (0..longest).flat_map(|at| {
            [0, 1].map(|which| pair[which].get(at).map(|packet| frame(which, packet)))
        });
        for event in events(both.flatten().collect()) {
            if event.outcome == Outcome::Unknown {
                continue;
            }
            // An authenticator that accepts a device has completed a handshake, in any case.
            let eap = event.eap.as_deref().unwrap();
            let ends = [&eap.calling_station_id, &eap.called_station_id];
            let which = ends.map(|name| name.as_ref().map(|name| name.ends_with("-01")));
            let which = match which {
                [Some(station), Some(authenticator)] if station != authenticator => {
                    panic!("a login of two: {event:?}")
                }
                [station, authenticator] => station.or(authenticator),
            };
            let which = usize::from(which.unwrap());
            let expected: Vec<_> = alone[which].iter().map(verdict).collect();
            assert!(
                expected.contains(&verdict(&event)),
                "{expected:?}, {event:?}"
            );
            decided += 1;
        }
    }
    assert!(decided > 0);
}

/// The frames of each login with RADIUS in one piece, by the number of its device.
fn logins(frames: &[Frame]) -> Vec<Vec<Frame>> {
    let mut stations = BTreeMap::new();
    let mut logins = BTreeMap::<u8, Vec<Frame>>::new();
    for frame in frames {
        if let Some((_, _, station)) = eap_in(&frame.1, &mut stations) {
            logins.entry(station).or_default().push(frame.clone());
        }
    }
    logins.into_values().collect()
}

/// The rounds of a login, each a request and its answer, as on a hop between two proxies: all logins come from the same port, and the
/// proxy gives the same identifiers again and again.
fn on_hop_of_proxies(login: &[Frame]) -> Vec<[Vec<u8>; 2]> {
    const UDP: usize = 14 + 20;
    const RADIUS: usize = UDP + 8;
    let mut rounds = Vec::new();
    let mut request = None;
    for (_, bytes) in login {
        let mut bytes = bytes.clone();
        let is_request = bytes[RADIUS] == 1;
        let port = if is_request { UDP } else { UDP + 2 };
        bytes[port..port + 2].copy_from_slice(&50_000_u16.to_be_bytes());
        bytes[RADIUS + 1] = rounds.len() as u8;
        match (is_request, request.take()) {
            (true, _) => request = Some(bytes),
            (false, Some(request)) => rounds.push([request, bytes]),
            (false, None) => {}
        }
    }
    rounds
}

#[test]
fn logins_that_share_identifiers_of_radius_are_not_mixed_up_where_packets_are_missing() {
    let frames = frames();
    let labels = labels();
    let alone = events(&frames);
    let certificates = |event: &Handshake| {
        let chains = [&event.server_certificates, &event.client_certificates];
        chains.map(|chain| {
            let chain = chain.iter().flat_map(|chain| chain.iter());
            chain.map(|one| one.sha256).collect::<Vec<_>>()
        })
    };
    let logins: Vec<_> = logins(&frames)
        .iter()
        .map(|login| on_hop_of_proxies(login))
        .collect();
    let mut outcomes = BTreeMap::<String, u32>::new();
    for pair in logins.windows(2).step_by(5) {
        let rounds = pair[0].len().max(pair[1].len());
        for lost in 0..rounds {
            // The answer to the first and the request of the second; the latter alone; and all of the first from there on.
            for how in 0..3 {
                let is_lost = |round: usize, login: usize, part: usize| match (login, part) {
                    (1, 0) => round == lost,
                    (0, 1) if how == 0 => round == lost,
                    (0, 1) if how == 2 => round >= lost,
                    (0, 0) if how == 2 => round > lost,
                    _ => false,
                };
                let mut mixed = Vec::new();
                for round in 0..rounds {
                    for (login, rounds) in pair.iter().enumerate() {
                        for (part, bytes) in rounds.get(round).into_iter().flatten().enumerate() {
                            let time = Timestamp::from_nanoseconds(mixed.len() as i64 * 1_000_000);
                            if !is_lost(round, login, part) {
                                mixed.push((time, bytes.clone()));
                            }
                        }
                    }
                }
                for (station, seen) in events(&mixed) {
                    let [event] = &seen[..] else {
                        panic!("{station}: {} events", seen.len());
                    };
                    let [whole] = &alone[&station][..] else {
                        panic!("{station}");
                    };
                    let verdict = Verdict::of(event);
                    assert!(
                        verdict.is_less_than(&labels[&station]),
                        "{station}, {lost}, {how}: {verdict:?} instead of {:?}: {event:?}",
                        labels[&station]
                    );
                    for (found, own) in certificates(event).iter().zip(certificates(whole)) {
                        assert!(
                            found.is_empty() || *found == own,
                            "{station}, {lost}, {how}: {event:?}"
                        );
                    }
                    *outcomes.entry(verdict.outcome).or_default() += 1;
                }
            }
        }
    }
    assert!(
        outcomes["unknown"] > 100 && outcomes["success"] > 100,
        "{outcomes:?}"
    );
}

/// A device that begins again says so with the same bytes as before, and authenticators exist that begin to count again.
#[test]
fn a_device_that_begins_again_has_another_login() {
    let frames = frames_of("fixtures/captures/eap/eap-tls12-accept/capture.pcap");
    let frames = with_start(on_wires(&frames, false));
    let hello = |bytes: &[u8]| {
        bytes
            .windows(6)
            .position(|window| matches!(window, [22, 3, _, _, _, 1]))
    };
    let first_hello = frames
        .iter()
        .position(|(_, bytes)| hello(bytes).is_some())
        .unwrap();
    let mut decided = 0;
    for given_up in 1..frames.len() {
        let mut observer = Observer::new(Config::default());
        let again = frames.iter().map(|(_, bytes)| {
            let mut bytes = bytes.clone();
            if let Some(at) = hello(&bytes) {
                for byte in &mut bytes[at + 11..][..32] {
                    *byte ^= 0x5a; // the random
                }
            }
            bytes
        });
        let both = frames[..given_up]
            .iter()
            .map(|(_, bytes)| bytes.clone())
            .chain(again);
        for (seconds, bytes) in both.enumerate() {
            observer.handle_ethernet(Timestamp::from_seconds(seconds as i64), &bytes);
        }
        observer.finish();
        let events: Vec<Handshake> = std::iter::from_fn(|| observer.poll_event()).collect();
        let expected = if given_up > first_hello { 2 } else { 1 };
        assert_eq!(events.len(), expected, "given up after {given_up} frames");
        decided += usize::from(events.last().unwrap().outcome == Outcome::Success);
        for event in &events {
            assert_ne!(event.outcome, Outcome::Failure, "{given_up}: {event:?}");
        }
    }
    assert!(2 * decided > frames.len(), "{decided} of {}", frames.len());
}

/// Somebody who sees the packets sends a challenge again as Access-Accept. The access server drops it, and the device goes on.
#[test]
fn a_challenge_with_the_code_of_an_accept_accepts_nobody() {
    const IPV4_AND_UDP: usize = 14 + 20 + 8;
    const ACCEPT: u8 = 2;
    const CHALLENGE: u8 = 11;
    let frames = frames();
    let expected = events(&frames);
    let mut forged = Vec::new();
    let mut accepts = 0;
    for (time, bytes) in &frames {
        if bytes.get(IPV4_AND_UDP) == Some(&CHALLENGE) {
            let mut accept = bytes.clone();
            accept[IPV4_AND_UDP] = ACCEPT;
            forged.push((*time, accept));
            accepts += 1;
        }
        forged.push((*time, bytes.clone()));
    }
    assert!(accepts > 500, "{accepts}");
    let found = events(&forged);
    for (station, expected) in &expected {
        let verdicts = |events: &[Handshake]| events.iter().map(Verdict::of).collect::<Vec<_>>();
        assert_eq!(verdicts(&found[station]), verdicts(expected), "{station}");
    }
}

/// All frames of a login on a wire come again.
#[test]
fn a_login_that_is_replayed_is_no_other_one() {
    for is_to_group in [false, true] {
        for login in logins(&frames()).iter().step_by(4) {
            let login = on_wires(login, is_to_group);
            let again = login.iter().map(|(time, bytes)| {
                let later = time.saturating_add(std::time::Duration::from_secs(3));
                (later, bytes.clone())
            });
            let replayed: Vec<_> = login.iter().cloned().chain(again).collect();
            let [expected, found] = [&login, &replayed].map(|frames| {
                let mut observer = Observer::new(Config::default());
                for (time, bytes) in frames {
                    observer.handle_ethernet(*time, bytes);
                }
                observer.finish();
                outcomes(std::iter::from_fn(|| observer.poll_event()))
            });
            assert_eq!(found, expected, "{is_to_group}");
        }
    }
}

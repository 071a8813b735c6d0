//! Segments that somebody else added to a capture: with numbers out of every window they change nothing but counters, and
//! with those of the peers they are believed.

use tlscope::event::{Handshake, Outcome};

use super::packets::{Capture, FIN, Frame, RST, SYN, Segment};
use super::{Case, Trial, Verdict, cases, effort};
use crate::support::random::Random;
use crate::support::tls;

const ACK: u8 = 0x10;

/// Places that are tried in a capture.
const PLACES: usize = 12;

/// What somebody who does not see the connection may send: control bits, whether each number is right, and a payload.
const KINDS: [(u8, Right, &str); 9] = [
    (RST | ACK, Right::Acknowledgment, ""),
    (RST, Right::Nothing, ""),
    (FIN | ACK, Right::Nothing, ""),
    (SYN, Right::Nothing, ""),
    (SYN | ACK, Right::Nothing, ""),
    (ACK, Right::Nothing, "alert"),
    (ACK, Right::Acknowledgment, "alert"),
    (ACK, Right::Sequence, "alert"),
    (ACK, Right::Sequence, ""),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    Sequence,
    Acknowledgment,
    Nothing,
}

/// The segment of a frame, as a stranger would forge it.
fn forged(frame: &Frame, kind: usize, random: &mut Random) -> Option<Frame> {
    let segment = frame.segment?;
    // Two gigabytes are the most that numbers can be apart; no window has more than one.
    let away = |random: &mut Random| {
        let away = (1 << 30) + 1 + random.below(1 << 29) as u32;
        if random.below(2) == 0 {
            away
        } else {
            away.wrapping_neg()
        }
    };
    let (flags, right, payload) = KINDS[kind];
    let (sequence, acknowledgment) = (frame.sequence(segment), frame.acknowledgment(segment));
    let sequence = match right {
        Right::Sequence => sequence,
        _ => sequence.wrapping_add(away(random)),
    };
    let acknowledgment = match right {
        Right::Acknowledgment => acknowledgment,
        _ => acknowledgment.wrapping_add(away(random)),
    };
    let alert = tls::alert(2, 48);
    let payload = if payload.is_empty() { &[][..] } else { &alert };
    Some(frame.with_numbers(sequence, acknowledgment, flags, payload))
}

/// What an event says, without the numbers of packets.
fn gist(event: &Handshake) -> String {
    let mut event = event.clone();
    event.capture.first_packet = 0;
    event.capture.last_packet = 0;
    format!("{event:?}")
}

fn gists(events: &[Handshake]) -> Vec<String> {
    events.iter().map(gist).collect()
}

/// Where two lists of events begin to differ, in a few words.
fn difference(expected: &[String], found: &[String]) -> String {
    let [expected, found] = [expected, found].map(|events| events.join("\n"));
    let mut pairs = expected.bytes().zip(found.bytes());
    let at = pairs.position(|(a, b)| a != b).unwrap_or_default();
    let around = |text: &str| {
        let bytes = &text.as_bytes()[at.saturating_sub(60)..];
        String::from_utf8_lossy(&bytes[..bytes.len().min(160)]).into_owned()
    };
    format!("\n  {}\n  {}", around(&expected), around(&found))
}

/// Packets before which both sides of their connection were seen: what is forged there can be recognised.
fn known_places(capture: &Capture) -> Vec<usize> {
    let mut seen = vec![[false; 2]; capture.connections];
    let mut known = Vec::new();
    for (place, frame) in capture.frames.iter().enumerate() {
        let Some(segment) = frame.segment else {
            continue;
        };
        let sides = &mut seen[segment.connection];
        if frame.flags(segment) & (SYN | ACK) == SYN {
            *sides = [false; 2]; // a connection, or the next one between the same endpoints
        }
        if sides == &[true, true] {
            known.push(place);
        }
        sides[usize::from(segment.is_from_client)] = true;
    }
    known
}

/// Applies forgeries to all fixtures; `try_case` gets the number and the capture of each, and a function that takes a changed capture
/// and what was done to it, and notes whether an event changed.
fn for_each_case(try_case: impl Fn(usize, &Capture, &mut dyn FnMut(&Capture, String))) {
    let mut trial = Trial::default();
    for (number, case) in cases().iter().enumerate() {
        let Case {
            name,
            capture,
            keys,
        } = case;
        let keys = keys.as_deref();
        let expected = gists(&trial.observe(&capture.to_pcap(), keys));
        try_case(number, capture, &mut |changed, what| {
            let events = gists(&trial.observe(&changed.to_pcap(), keys));
            if events != expected {
                let difference = difference(&expected, &events);
                trial.faults.push(format!("{name}, {what}: {difference}"));
            }
        });
    }
    trial.finish();
}

#[test]
fn segments_with_numbers_out_of_every_window_change_no_event() {
    for_each_case(|number, capture, observe| {
        let mut random = Random::new(number as u64);
        let known = known_places(capture);
        // All places of small captures, and as many of large ones.
        let step = (known.len() / (PLACES * effort() as usize)).max(1);
        for place in known.into_iter().step_by(step) {
            let kind = random.below(KINDS.len());
            let Some(forged) = forged(&capture.frames[place], kind, &mut random) else {
                continue;
            };
            let mut changed = capture.clone();
            changed.frames.insert(place, forged);
            let what = KINDS[kind];
            observe(&changed, format!("{what:?} before packet {}", place + 1));
        }
    });
}

#[test]
fn a_flood_of_such_segments_changes_no_event_either() {
    for_each_case(|number, capture, observe| {
        for (kind, what) in KINDS.iter().enumerate() {
            let mut random = Random::new((number * KINDS.len() + kind) as u64);
            let known = known_places(capture);
            let mut changed = capture.clone();
            for place in known.iter().rev() {
                let forged = forged(&capture.frames[*place], kind, &mut random);
                changed.frames.splice(place..place, forged);
            }
            observe(&changed, format!("{what:?}"));
        }
    });
}

/// Places before data that continues its sender's stream, and of which its peer, who has not closed, acknowledges more than the first
/// byte later. Once both have closed, nothing is waited for.
fn places_amid_streams(capture: &Capture) -> Vec<usize> {
    let mut reached: Vec<[Option<u32>; 2]> = vec![[None; 2]; capture.connections];
    let mut has_closed = vec![[false; 2]; capture.connections];
    let mut places = Vec::new();
    for (place, frame) in capture.frames.iter().enumerate() {
        let Some(segment) = frame.segment else {
            continue;
        };
        let ends = &mut reached[segment.connection];
        let own = usize::from(segment.is_from_client);
        let sequence = frame.sequence(segment);
        let length = frame.payload(segment).len() as u32;
        let is_acknowledged = |later: &Frame| {
            later.segment.is_some_and(|answer| {
                let acknowledged = later.acknowledgment(answer).wrapping_sub(sequence);
                answer.connection == segment.connection
                    && answer.is_from_client != segment.is_from_client
                    && !later.has_flag(RST)
                    && (2..1 << 30).contains(&acknowledged)
            })
        };
        let closed = &mut has_closed[segment.connection];
        let is_open = ends[1 - own].is_some() && !closed[1 - own];
        closed[own] |= frame.has_flag(FIN | RST);
        let continues = length > 0 && ends[own] == Some(sequence) && is_open;
        if continues && capture.frames[place..].iter().any(is_acknowledged) {
            places.push(place);
        }
        let begins = u32::from(frame.has_flag(SYN));
        ends[own] = Some(sequence.wrapping_add(begins + length));
    }
    places
}

/// Whoever injects a close into both directions' view reaches the observer only: the peers go on, and show it.
#[test]
fn a_close_that_neither_side_took_notice_of_changes_no_verdict() {
    let mut trial = Trial::default();
    let mut tried = 0;
    for case in cases() {
        let Case {
            name,
            capture,
            keys,
        } = case;
        for keys in [None, keys.as_deref()] {
            let verdicts = |events: &[Handshake]| -> Vec<_> {
                let verdict = |event: &Handshake| {
                    let certificates = event.server_certificates.as_ref().map(|chain| chain.len());
                    (Verdict::of(event).to_string(), certificates)
                };
                let mut verdicts: Vec<_> = events.iter().map(verdict).collect();
                verdicts.sort();
                verdicts
            };
            let expected = verdicts(&trial.observe(&capture.to_pcap(), keys));
            let places = places_amid_streams(&capture);
            let step = (places.len() / (PLACES * effort() as usize)).max(1);
            for place in places.into_iter().step_by(step) {
                for (what, flags) in [("FIN", FIN | ACK), ("RST", RST | ACK)] {
                    let frame = &capture.frames[place];
                    let segment = frame.segment.unwrap();
                    let mut changed = capture.clone();
                    let forged = frame.with_payload(frame.sequence(segment), flags, &[]);
                    changed.frames.insert(place, forged);
                    tried += 1;
                    let found = verdicts(&trial.observe(&changed.to_pcap(), keys));
                    if found != expected {
                        let place = place + 1;
                        let fault =
                            format!("{name}, {what} before packet {place}: {expected:?} {found:?}");
                        trial.faults.push(fault);
                    }
                }
            }
        }
    }
    assert!(tried > 500, "{tried}");
    trial.finish();
}

#[test]
fn a_reset_with_the_numbers_of_a_peer_is_never_hidden() {
    let mut trial = Trial::default();
    for case in cases() {
        let capture = &case.capture;
        let hello = capture.frames.iter().position(|frame| {
            frame
                .segment
                .is_some_and(|segment| frame.payload(segment).starts_with(&[22, 3]))
        });
        let (Some(hello), 1) = (hello, capture.connections) else {
            continue;
        };
        let frame = &capture.frames[hello];
        let Some(segment) = frame.segment else {
            continue;
        };
        let end = frame.sequence(segment) + frame.payload(segment).len() as u32;
        let reset = frame.with_numbers(end, frame.acknowledgment(segment), RST | ACK, &[]);
        let mut changed = capture.clone();
        changed.frames.truncate(hello + 1);
        changed.frames.push(reset);
        for event in trial.observe(&changed.to_pcap(), None) {
            if event.outcome == Outcome::Success || event.closed_by.is_none() {
                trial.faults.push(format!("{}: {event:#?}", case.name));
            }
        }
    }
    trial.finish();
}

/// The next numbers of server and client before a place in a capture, on the connection of the packet there; `None` if they are not
/// known, or if that was reset.
fn numbers_before(capture: &Capture, place: usize, connection: usize) -> Option<[u32; 2]> {
    let mut next = [None; 2];
    for frame in &capture.frames[..place] {
        let Some(segment) = frame.segment.filter(|seen| seen.connection == connection) else {
            continue;
        };
        if frame.has_flag(RST) {
            return None;
        }
        if frame.flags(segment) & (SYN | ACK) == SYN {
            next = [None; 2];
        }
        let taken = u32::from(frame.has_flag(SYN)) + u32::from(frame.has_flag(FIN));
        let length = frame.payload(segment).len() as u32 + taken;
        let end = frame.sequence(segment).wrapping_add(length);
        let next = &mut next[usize::from(segment.is_from_client)];
        let is_ahead = |next: u32| end.wrapping_sub(next).cast_signed() > 0;
        if next.is_none_or(is_ahead) {
            *next = Some(end);
        }
    }
    Some([next[0]?, next[1]?])
}

/// Whether, from a place on, either side sends more than one byte that its peer acknowledges.
fn do_both_go_on(capture: &Capture, place: usize, connection: usize, next: [u32; 2]) -> bool {
    let frames = &capture.frames[place..];
    let begins = |frame: &&Frame| {
        frame
            .segment
            .is_some_and(|seen| seen.connection == connection)
            && frame.has_flag(SYN)
    };
    let end = frames
        .iter()
        .position(|frame| begins(&frame))
        .unwrap_or(frames.len());
    let is_beyond = |number: u32, next: u32| number.wrapping_sub(next).cast_signed() > 1;
    [0, 1].iter().all(|side| {
        let of = |frame: &Frame, is_own: bool| {
            let segment = frame.segment.filter(|seen| seen.connection == connection);
            let is_of_side = |seen: &Segment| (usize::from(seen.is_from_client) == *side) == is_own;
            segment.filter(is_of_side).filter(|_| !frame.has_flag(RST))
        };
        let sends = |frame: &Frame| {
            of(frame, true).is_some_and(|segment| {
                let length = frame.payload(segment).len() as u32;
                length > 0 && is_beyond(frame.sequence(segment).wrapping_add(length), next[*side])
            })
        };
        let acknowledges = |frame: &Frame| {
            of(frame, false)
                .is_some_and(|segment| is_beyond(frame.acknowledgment(segment), next[*side]))
        };
        frames[..end].iter().any(sends) && frames[..end].iter().any(acknowledges)
    })
}

/// Two forged closes, one in the name of each side, look like the end of a connection, and one must not hide what refutes the other.
#[test]
fn a_close_in_the_name_of_each_side_changes_no_verdict_if_both_go_on() {
    let mut trial = Trial::default();
    let (mut tried, mut unknown) = (0, 0);
    for (number, case) in cases().iter().enumerate() {
        let Case { name, capture, .. } = case;
        let verdicts = |events: &[Handshake]| -> Vec<_> {
            let verdict = |event: &Handshake| (Verdict::of(event).to_string(), event.outcome);
            let mut verdicts: Vec<_> = events.iter().map(verdict).collect();
            verdicts.sort_by(|(a, _), (b, _)| a.cmp(b));
            verdicts
        };
        let expected = verdicts(&trial.observe(&capture.to_pcap(), None));
        if expected
            .iter()
            .any(|(_, outcome)| *outcome == Outcome::Unknown)
        {
            continue; // a forged close may lie between two that look alike
        }
        let places: Vec<_> = (1..capture.frames.len())
            .filter_map(|place| {
                let connection = capture.frames[place].segment?.connection;
                let next = numbers_before(capture, place, connection)?;
                let both = do_both_go_on(capture, place, connection, next);
                both.then_some((place, connection, next))
            })
            .collect();
        let step = (places.len() / (4 * effort() as usize)).max(1);
        for (place, connection, next) in places.into_iter().step_by(step) {
            let mut random = Random::new((number + place) as u64);
            let flags = [0, 1].map(|_| random.pick(&[FIN | ACK, RST | ACK]));
            let first = random.below(2);
            let mut changed = capture.clone();
            for (index, side) in [first, 1 - first].into_iter().enumerate() {
                let of_side = |frame: &&Frame| {
                    let segment = frame.segment.filter(|seen| seen.connection == connection);
                    segment.is_some_and(|seen| usize::from(seen.is_from_client) == side)
                };
                let like = capture.frames.iter().find(of_side).unwrap();
                // The second one acknowledges the first.
                let is_answer = index == 1 && flags[first] & FIN != 0;
                let acknowledgment = next[1 - side].wrapping_add(u32::from(is_answer));
                let mut forged = like.with_numbers(next[side], acknowledgment, flags[side], &[]);
                forged.time = capture.frames[place].time;
                changed.frames.insert(place + index, forged);
            }
            tried += 1;
            let found = verdicts(&trial.observe(&changed.to_pcap(), None));
            let is_unknown = |(_, outcome): &(String, Outcome)| *outcome == Outcome::Unknown;
            if found.len() == expected.len() && found.iter().any(is_unknown) {
                unknown += 1; // the first acknowledgment of a forged FIN may be as forged
            } else if found != expected {
                let fault = format!(
                    "{name}, {flags:?} before packet {}: {expected:?} {found:?}",
                    place + 1
                );
                trial.faults.push(fault);
            }
        }
    }
    assert!(tried > 150 && 20 * unknown < tried, "{unknown} of {tried}");
    trial.finish();
}

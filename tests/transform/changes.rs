//! What networks and capture points do to a capture.

use super::packets::{Capture, FIN, Frame, PSH, RST};
use crate::support::random::Random;

/// What a change may do to a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Harm {
    /// The same bytes reach the peers in the same order: the event stays the same.
    None,
    /// The same, but silence can no longer be judged, which rests on acknowledgments.
    Acknowledgments,
    /// Something is missing or out of order: the verdict stays the same or becomes unknown.
    Evidence,
}

/// One way to change a capture.
pub(super) struct Change {
    pub(super) name: &'static str,
    pub(super) harm: Harm,
    /// Only every so many fixtures are tried, where a change makes many packets.
    pub(super) one_in: u64,
    /// Changes a capture, and returns it as a file.
    pub(super) apply: fn(Capture, &mut Random) -> Vec<u8>,
}

const fn change(
    name: &'static str,
    harm: Harm,
    apply: fn(Capture, &mut Random) -> Vec<u8>,
) -> Change {
    Change {
        name,
        harm,
        one_in: 1,
        apply,
    }
}

pub(super) const CHANGES: &[Change] = &[
    change("merged", Harm::None, merged),
    change("split", Harm::None, split),
    Change {
        one_in: 8,
        ..change("split-to-bytes", Harm::None, split_to_bytes)
    },
    change("duplicated", Harm::None, duplicated),
    change("duplicated-vlan", Harm::None, duplicated_vlan),
    change("no-pure-acks", Harm::Acknowledgments, no_pure_acks),
    change("swapped-same-side", Harm::Evidence, swapped_same_side),
    change("swapped-sides", Harm::Evidence, swapped_sides),
    change("client-late", Harm::Evidence, client_late),
    change("server-late", Harm::Evidence, server_late),
    change("lost", Harm::Evidence, lost),
    change("lost-many", Harm::Evidence, lost_many),
    change("client-only", Harm::Evidence, client_only),
    change("server-only", Harm::Evidence, server_only),
    change("snapped", Harm::Evidence, snapped),
    change("two-interfaces", Harm::Evidence, two_interfaces),
    change("clock-steps-back", Harm::Evidence, clock_steps_back),
    change("beginning-missing", Harm::Evidence, beginning_missing),
    change("closes-missing", Harm::Evidence, closes_missing),
    change("closes-missing-later", Harm::Evidence, closes_missing_later),
    change("first-packets", Harm::Evidence, first_packets),
    change("paused", Harm::Evidence, paused),
];

/// Joins segments as GRO does: of one direction, without a gap and with the same acknowledgment.
fn merged(capture: Capture, _: &mut Random) -> Vec<u8> {
    const MOST: usize = 60_000;
    let mut frames: Vec<Frame> = Vec::new();
    for frame in &capture.frames {
        let joined = frames.last().and_then(|last| {
            let (before, segment) = (last.segment?, frame.segment?);
            let payload = [last.payload(before), frame.payload(segment)].concat();
            let follows = before.connection == segment.connection
                && before.is_from_client == segment.is_from_client
                && !last.has_flag(!(PSH | 0x10))
                && !frame.has_flag(!(FIN | PSH | 0x10))
                && payload.len() <= MOST
                && last.payload(before).len().min(frame.payload(segment).len()) > 0
                && last.acknowledgment(before) == frame.acknowledgment(segment)
                && frame.time - last.time < 1_000;
            let sequence = last.sequence(before);
            let end = sequence.wrapping_add(last.payload(before).len() as u32);
            let flags = frame.flags(segment);
            (follows && end == frame.sequence(segment))
                .then(|| frame.with_payload(sequence, flags, &payload))
        });
        if joined.is_some() {
            frames.pop();
        }
        frames.push(joined.unwrap_or_else(|| frame.clone()));
    }
    with_frames(capture, frames).to_pcap()
}

fn split(capture: Capture, random: &mut Random) -> Vec<u8> {
    let size = random.pick(&[2, 5, 64, 200, 536]);
    into_pieces(capture, size)
}

fn split_to_bytes(capture: Capture, _: &mut Random) -> Vec<u8> {
    into_pieces(capture, 1)
}

/// Cuts each segment to segments of `size` bytes; all but the last lose FIN and PSH.
///
/// Tiny ones keep PSH, without which zeros in the shortest frame are taken for padding. No host has so small a largest segment (RFC 9293
/// §3.7.1: 536 by default; Linux takes 48 at the least), and a receiver offers no window for less (§3.8.6.2.2). So each is a write of its
/// own, and a sender pushes the end of a write (§3.9.1.2).
fn into_pieces(capture: Capture, size: usize) -> Vec<u8> {
    const TINY: usize = 6;
    let kept = if size <= TINY { PSH } else { 0 };
    let mut frames = Vec::new();
    for frame in &capture.frames {
        let Some(segment) = frame.segment else {
            frames.push(frame.clone());
            continue;
        };
        let payload = frame.payload(segment);
        let pieces = payload.chunks(size).count();
        if pieces <= 1 || frame.has_flag(!(FIN | PSH | 0x10)) {
            frames.push(frame.clone());
            continue;
        }
        let flags = frame.flags(segment);
        for (index, piece) in payload.chunks(size).enumerate() {
            let sequence = frame.sequence(segment).wrapping_add((index * size) as u32);
            let is_last = index + 1 == pieces;
            let flags = if is_last {
                flags
            } else {
                flags & !(FIN | PSH) | kept
            };
            frames.push(frame.with_payload(sequence, flags, piece));
        }
    }
    with_frames(capture, frames).to_pcap()
}

/// Some packets twice, as a mirror port or a bridge shows them.
fn duplicated(capture: Capture, random: &mut Random) -> Vec<u8> {
    copied(capture, random, Frame::clone)
}

/// Some packets twice, once with a VLAN tag.
fn duplicated_vlan(capture: Capture, random: &mut Random) -> Vec<u8> {
    copied(capture, random, |frame| frame.with_vlan(7))
}

fn copied(capture: Capture, random: &mut Random, copy: fn(&Frame) -> Frame) -> Vec<u8> {
    let one_in = random.pick(&[1, 1, 3]);
    let mut frames = Vec::new();
    for frame in &capture.frames {
        frames.push(frame.clone());
        if random.below(one_in) == 0 {
            frames.push(Frame {
                time: frame.time + 1,
                ..copy(frame)
            });
        }
    }
    with_frames(capture, frames).to_pcap()
}

fn no_pure_acks(mut capture: Capture, _: &mut Random) -> Vec<u8> {
    let mut seen = vec![0; capture.connections];
    capture.frames.retain(|frame| {
        // The third packet of TCP's handshake stays: it belongs to the opening.
        let count = frame.segment.map_or(0, |segment| {
            seen[segment.connection] += 1;
            seen[segment.connection]
        });
        count <= 3 || !frame.is_pure_ack()
    });
    capture.to_pcap()
}

/// Swaps neighbours of one direction of a connection.
fn swapped_same_side(capture: Capture, random: &mut Random) -> Vec<u8> {
    swapped(capture, random, true)
}

/// Swaps neighbours of opposite directions of a connection.
fn swapped_sides(capture: Capture, random: &mut Random) -> Vec<u8> {
    swapped(capture, random, false)
}

/// The longest time, in microseconds, by which packets are captured out of order.
const MOST_OUT_OF_ORDER: u64 = 200_000;

/// Swaps packets that follow each other: the first of them is late, since none is captured before it was sent.
fn swapped(mut capture: Capture, random: &mut Random, same_side: bool) -> Vec<u8> {
    let frames = &mut capture.frames;
    let mut at = 1;
    while at < frames.len() {
        let pair = frames[at - 1].segment.zip(frames[at].segment);
        let is_soon = frames[at].time - frames[at - 1].time <= MOST_OUT_OF_ORDER;
        let fits = pair.is_some_and(|(first, second)| {
            is_soon
                && first.connection == second.connection
                && (first.is_from_client == second.is_from_client) == same_side
        });
        if fits && random.below(3) == 0 {
            frames.swap(at - 1, at);
            frames[at].time = frames[at - 1].time;
            at += 1;
        }
        at += 1;
    }
    capture.to_pcap()
}

fn client_late(capture: Capture, random: &mut Random) -> Vec<u8> {
    late(capture, random, true)
}

fn server_late(capture: Capture, random: &mut Random) -> Vec<u8> {
    late(capture, random, false)
}

/// The clock of one direction's tap is late; the file is in the order of time.
fn late(mut capture: Capture, random: &mut Random, client: bool) -> Vec<u8> {
    let by = random.pick(&[300, 1_000, 5_000, 40_000, 150_000]);
    for frame in &mut capture.frames {
        if frame.is_from_client() == Some(client) {
            frame.time += by;
        }
    }
    capture.frames.sort_by_key(|frame| frame.time);
    capture.to_pcap()
}

/// The capture misses one to three packets.
fn lost(mut capture: Capture, random: &mut Random) -> Vec<u8> {
    for _ in 0..=random.below(3) {
        if !capture.frames.is_empty() {
            let at = random.below(capture.frames.len());
            capture.frames.remove(at);
        }
    }
    capture.to_pcap()
}

/// The capture misses every third to eighth packet.
fn lost_many(mut capture: Capture, random: &mut Random) -> Vec<u8> {
    let one_in = 3 + random.below(6);
    capture.frames.retain(|_| random.below(one_in) != 0);
    capture.to_pcap()
}

fn client_only(capture: Capture, _: &mut Random) -> Vec<u8> {
    one_direction(capture, true)
}

fn server_only(capture: Capture, _: &mut Random) -> Vec<u8> {
    one_direction(capture, false)
}

fn one_direction(mut capture: Capture, client: bool) -> Vec<u8> {
    let is_kept = |frame: &Frame| frame.is_from_client() == Some(client);
    capture.frames.retain(is_kept);
    capture.to_pcap()
}

fn snapped(mut capture: Capture, random: &mut Random) -> Vec<u8> {
    let length = random.pick(&[96, 128, 300, 600]);
    for frame in &mut capture.frames {
        frame.bytes.truncate(length);
    }
    capture.to_pcap()
}

/// Two interfaces, each written to one file in batches of 10 ms.
fn two_interfaces(mut capture: Capture, random: &mut Random) -> Vec<u8> {
    const BATCH: u64 = 10_000;
    let offset = random.below(BATCH as usize) as u64;
    let server_first = random.below(2) == 0;
    capture.frames.sort_by_key(|frame| {
        let from_client = frame.is_from_client() == Some(true);
        ((frame.time + offset) / BATCH, from_client == server_first)
    });
    capture.to_pcapng()
}

/// The clock is set back while the capture runs; packets stay in their order.
fn clock_steps_back(mut capture: Capture, random: &mut Random) -> Vec<u8> {
    let by = random.pick(&[500, 20_000, 3_000_000]);
    let at = random.below(capture.frames.len());
    for frame in &mut capture.frames[at..] {
        frame.time -= by;
    }
    capture.to_pcap()
}

fn beginning_missing(mut capture: Capture, random: &mut Random) -> Vec<u8> {
    let most = capture.frames.len().min(12);
    let count = 1 + random.below(most);
    capture.frames.drain(..count);
    capture.to_pcap()
}

/// The capture misses some of the packets that close: of one side, of both, or the first.
fn closes_missing(capture: Capture, random: &mut Random) -> Vec<u8> {
    without_closes(capture, random).to_pcap()
}

/// The same, and the capture goes on.
fn closes_missing_later(capture: Capture, random: &mut Random) -> Vec<u8> {
    let mut capture = without_closes(capture, random);
    go_on(&mut capture, &[1, 20, 90]);
    capture.to_pcap()
}

/// The capture keeps the first packets of each connection, as some programs do to save space, and goes on.
fn first_packets(mut capture: Capture, random: &mut Random) -> Vec<u8> {
    let count = 2 + random.below(11);
    capture.frames.truncate(count);
    go_on(&mut capture, &[1, 20, 90]);
    capture.to_pcap()
}

/// The capture ends after some packets, and another one follows hours later.
fn paused(mut capture: Capture, random: &mut Random) -> Vec<u8> {
    let count = 2 + random.below(11);
    capture.frames.truncate(count);
    go_on(&mut capture, &[2, 10_000, 10_030, 10_100]);
    capture.to_pcap()
}

/// Adds packets of strangers, so many seconds after the last one.
fn go_on(capture: &mut Capture, seconds: &[u64]) {
    let Some(last) = capture
        .frames
        .iter()
        .max_by_key(|frame| frame.time)
        .cloned()
    else {
        return;
    };
    // A datagram to the port that discards all, from 203.0.113.5 to 203.0.113.6.
    let mut bytes = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    bytes.extend([0x45, 0, 0, 36, 0, 0, 0, 0, 64, 17, 0, 0]);
    bytes.extend([203, 0, 113, 5, 203, 0, 113, 6]);
    bytes.extend([0, 9, 0, 9, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for after in seconds {
        let mut frame = last.with_bytes(bytes.clone());
        frame.time = last.time + after * 1_000_000;
        capture.frames.push(frame);
    }
}

fn without_closes(mut capture: Capture, random: &mut Random) -> Capture {
    let which = random.below(4);
    let mut is_first = true;
    capture.frames.retain(|frame| {
        let closes = frame.has_flag(FIN | RST);
        let is_lost = match which {
            0 => frame.is_from_client() == Some(true),
            1 => frame.is_from_client() == Some(false),
            2 => closes && std::mem::take(&mut is_first),
            _ => true,
        };
        !(closes && is_lost)
    });
    capture
}

fn with_frames(capture: Capture, frames: Vec<Frame>) -> Capture {
    Capture { frames, ..capture }
}

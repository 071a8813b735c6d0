//! The same for handshakes over UDP and in EAP: whole captures are changed, with all handshakes in them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use etherparse::{InternetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use tlscope::event::{ErrorType, Handshake, Outcome, Protocol};

use crate::support::fixtures::{self, package};
use crate::support::pcap::{Packet, Pcap};
use crate::support::random::Random;
use crate::support::scratch;

use super::changes::Harm;
use super::{Trial, Verdict, initials};

/// A change to a capture.
struct Change {
    name: &'static str,
    harm: Harm,
    apply: fn(&mut Pcap, &mut Random),
}

const CHANGES: &[Change] = &[
    Change {
        name: "copied",
        harm: Harm::None,
        apply: |capture, _| copy_all(capture, 0),
    },
    Change {
        name: "mirrored-1ms-later",
        harm: Harm::None,
        apply: |capture, _| copy_all(capture, 1_000),
    },
    Change {
        name: "mirrored-30ms-later",
        harm: Harm::Evidence,
        apply: |capture, _| copy_all(capture, 30_000),
    },
    Change {
        name: "mirrored-400ms-later",
        harm: Harm::Evidence,
        apply: |capture, _| copy_all(capture, 400_000),
    },
    Change {
        name: "first-copied-late",
        harm: Harm::Evidence,
        apply: |capture, _| copy_first_late(capture),
    },
    Change {
        name: "one-in-30-lost",
        harm: Harm::Evidence,
        apply: |capture, random| capture.packets.retain(|_| random.below(30) > 0),
    },
    Change {
        name: "one-in-5-lost",
        harm: Harm::Evidence,
        apply: |capture, random| capture.packets.retain(|_| random.below(5) > 0),
    },
    Change {
        name: "one-in-2-lost",
        harm: Harm::Evidence,
        apply: |capture, random| capture.packets.retain(|_| random.below(2) > 0),
    },
    Change {
        name: "one-side-lost",
        harm: Harm::Evidence,
        apply: |capture, _| capture.packets.retain(goes_up),
    },
    Change {
        name: "other-side-lost",
        harm: Harm::Evidence,
        apply: |capture, _| capture.packets.retain(|packet| !goes_up(packet)),
    },
    Change {
        name: "one-side-late",
        harm: Harm::Evidence,
        apply: |capture, _| delay(capture, goes_up, 2_000),
    },
    Change {
        name: "other-side-late",
        harm: Harm::Evidence,
        apply: |capture, _| delay(capture, |packet| !goes_up(packet), 2_000),
    },
    Change {
        name: "swapped",
        harm: Harm::Evidence,
        apply: |capture, random| {
            for at in 1..capture.packets.len() {
                if random.below(8) == 0 {
                    swap(capture, at - 1, at);
                }
            }
        },
    },
    Change {
        name: "cut-to-60",
        harm: Harm::Evidence,
        apply: |capture, _| cut(capture, 60),
    },
    Change {
        name: "cut-to-128",
        harm: Harm::Evidence,
        apply: |capture, _| cut(capture, 128),
    },
    Change {
        name: "cut-to-256",
        harm: Harm::Evidence,
        apply: |capture, _| cut(capture, 256),
    },
    Change {
        name: "first-packet-lost",
        harm: Harm::Evidence,
        apply: |capture, _| keep(capture, |place| place > 0),
    },
    Change {
        name: "first-2-packets",
        harm: Harm::Evidence,
        apply: |capture, _| keep(capture, |place| place < 2),
    },
    Change {
        name: "first-packets",
        harm: Harm::Evidence,
        apply: |capture, random| {
            let most = 3 + random.below(6);
            keep(capture, |place| place < most);
        },
    },
    Change {
        name: "one-lost-of-each",
        harm: Harm::Evidence,
        apply: |capture, random| {
            let lost = random.below(12);
            keep(capture, |place| place != lost);
        },
    },
    Change {
        name: "wrong-epoch",
        harm: Harm::Evidence,
        apply: |capture, random| {
            for packet in &mut capture.packets {
                flip_epoch(packet, random);
            }
        },
    },
    Change {
        name: "another-hello",
        harm: Harm::None,
        apply: |capture, random| forge_hellos(capture, random),
    },
    Change {
        name: "forged-1-rtt-of-client",
        harm: Harm::None,
        apply: |capture, random| forge(capture, random, true, short_packet),
    },
    Change {
        name: "forged-1-rtt-of-server",
        harm: Harm::None,
        apply: |capture, random| forge(capture, random, false, short_packet),
    },
    Change {
        name: "forged-handshake-packet-of-client",
        harm: Harm::None,
        apply: |capture, random| forge(capture, random, true, handshake_packet),
    },
    Change {
        name: "forged-handshake-packet-of-server",
        harm: Harm::None,
        apply: |capture, random| forge(capture, random, false, handshake_packet),
    },
    Change {
        name: "forged-alert-of-client",
        harm: Harm::Evidence,
        apply: |capture, random| forge_ends(capture, random, true),
    },
    Change {
        name: "forged-alert-of-server",
        harm: Harm::Evidence,
        apply: |capture, random| forge_ends(capture, random, false),
    },
];

/// An address and a port.
type End = (Vec<u8>, u16);

impl Packet {
    fn microseconds(&self) -> u64 {
        u64::from(self.time[0]) * 1_000_000 + u64::from(self.time[1])
    }

    fn later(mut self, microseconds: u64) -> Self {
        let time = self.microseconds() + microseconds;
        self.time = [(time / 1_000_000) as u32, (time % 1_000_000) as u32];
        self
    }

    /// Source and destination, with their ports, and where the payload of UDP begins; `None` for anything else.
    fn udp(&self) -> Option<([End; 2], usize)> {
        let packet = SlicedPacket::from_ethernet(&self.bytes).ok()?;
        let Some(TransportSlice::Udp(udp)) = packet.transport else {
            return None;
        };
        let addresses = match packet.net? {
            InternetSlice::Ipv4(ip) => {
                let ip = ip.header();
                [ip.source().to_vec(), ip.destination().to_vec()]
            }
            InternetSlice::Ipv6(ip) => {
                let ip = ip.header();
                [ip.source().to_vec(), ip.destination().to_vec()]
            }
            InternetSlice::Arp(_) => return None,
        };
        let [source, destination] = addresses;
        let payload = self.bytes.len() - udp.payload().len();
        let ends = [
            (source, udp.source_port()),
            (destination, udp.destination_port()),
        ];
        Some((ends, payload))
    }

    /// The payload of UDP.
    fn payload(&self) -> Option<&[u8]> {
        let (_, payload) = self.udp()?;
        self.bytes.get(payload..)
    }

    /// The ends of its flow, in any order.
    fn flow(&self) -> Option<[End; 2]> {
        let (mut ends, _) = self.udp()?;
        ends.sort();
        Some(ends)
    }
}

/// Whether a packet goes to the end with the lower port: from clients to servers, mostly.
fn goes_up(packet: &Packet) -> bool {
    let ports = packet
        .udp()
        .map(|([source, destination], _)| (source.1, destination.1));
    match ports {
        Some((source, destination)) => source > destination,
        // EAPOL: by hardware addresses.
        None => packet.bytes.get(..6) > packet.bytes.get(6..12),
    }
}

fn sort(capture: &mut Pcap) {
    capture.packets.sort_by_key(Packet::microseconds);
}

/// Each packet twice, the second a little later.
fn copy_all(capture: &mut Pcap, later: u64) {
    let packets = std::mem::take(&mut capture.packets);
    let twice = |packet: Packet| [packet.clone(), packet.later(later)];
    capture.packets = packets.into_iter().flat_map(twice).collect();
    sort(capture);
}

/// The first packet of each flow again, behind its last one.
fn copy_first_late(capture: &mut Pcap) {
    let mut flows = BTreeMap::new();
    for packet in &capture.packets {
        if let Some(flow) = packet.flow() {
            let (_, last) = flows.entry(flow).or_insert_with(|| (packet.clone(), 0));
            *last = packet.microseconds();
        }
    }
    let end = capture.packets.iter().map(Packet::microseconds).max();
    for (first, last) in flows.into_values() {
        let late = last + 300_000;
        if Some(late) < end {
            let wait = late - first.microseconds();
            capture.packets.push(first.later(wait));
        }
    }
    sort(capture);
}

fn delay(capture: &mut Pcap, is_late: impl Fn(&Packet) -> bool, by: u64) {
    for packet in &mut capture.packets {
        if is_late(packet) {
            *packet = packet.clone().later(by);
        }
    }
    sort(capture);
}

fn swap(capture: &mut Pcap, one: usize, other: usize) {
    let times = [one, other].map(|at| capture.packets[at].time);
    capture.packets.swap(one, other);
    capture.packets[one].time = times[0];
    capture.packets[other].time = times[1];
}

fn cut(capture: &mut Pcap, length: usize) {
    for packet in &mut capture.packets {
        packet.bytes.truncate(length);
    }
}

/// Keeps packets by their place in their flow.
fn keep(capture: &mut Pcap, is_kept: impl Fn(usize) -> bool) {
    let mut places = BTreeMap::new();
    capture.packets.retain(|packet| {
        let Some(flow) = packet.flow() else {
            return true;
        };
        let place = places.entry(flow).or_insert(0);
        *place += 1;
        is_kept(*place - 1)
    });
}

/// One wrong bit in the epoch of a DTLS record, in one datagram of eight.
fn flip_epoch(packet: &mut Packet, random: &mut Random) {
    let Some((_, payload)) = packet.udp() else {
        return;
    };
    if let Some([20..=25, 0xfe, _, _, epoch, ..]) = packet.bytes.get_mut(payload..)
        && random.below(8) == 0
    {
        *epoch ^= 1;
    }
}

/// Somebody sends a ClientHello of DTLS in the client's name, with another random, after a packet of each flow.
fn forge_hellos(capture: &mut Pcap, random: &mut Random) {
    let mut hellos = BTreeMap::new();
    let mut forged = Vec::new();
    let after = random.below(9);
    for packet in &capture.packets {
        let Some((_, payload)) = packet.udp() else {
            continue;
        };
        let flow = packet.flow();
        if let Some([22, 0xfe, _, 0, 0, ..]) = packet.bytes.get(payload..)
            && packet.bytes.get(payload + 13) == Some(&1)
        {
            hellos
                .entry(flow.clone())
                .or_insert_with(|| (packet.clone(), payload, 0));
        }
        if let Some((hello, payload, place)) = hellos.get_mut(&flow) {
            *place += 1;
            if *place == 1 + after {
                let mut hello = hello.clone();
                hello.time = packet.time;
                // Behind the headers of the record and of the message, and a version.
                for byte in hello.bytes.iter_mut().skip(*payload + 13 + 12 + 2).take(32) {
                    *byte ^= 0x5a;
                }
                forged.push(hello.later(1));
            }
        }
    }
    capture.packets.extend(forged);
    sort(capture);
}

/// What looks like a 1-RTT packet of QUIC, with so many bytes.
fn short_packet(random: &mut Random, length: usize) -> Vec<u8> {
    let mut packet = random.bytes(length);
    packet[0] = 0x40 | packet[0] >> 2;
    packet
}

/// What looks like a Handshake packet of QUIC version 1, with ids of eight bytes.
fn handshake_packet(random: &mut Random, length: usize) -> Vec<u8> {
    let [destination, source] = [0, 0].map(|_| [&[8][..], &random.bytes(8)].concat());
    let rest = (0x4000 | length as u16).to_be_bytes();
    let header = [&[0xe3, 0, 0, 0, 1][..], &destination, &source, &rest].concat();
    [header, random.bytes(length)].concat()
}

/// Somebody who does not know the ids of a connection sends a packet of QUIC in the name of one side, after a packet of each flow.
fn forge(
    capture: &mut Pcap,
    random: &mut Random,
    is_of_client: bool,
    packet: fn(&mut Random, usize) -> Vec<u8>,
) {
    let [after, length] = [random.below(12), random.pick(&[30, 45, 70, 400])];
    forge_in_each_flow(capture, is_of_client, |packets| {
        let payload = packet(random, length);
        Some((after.min(packets.len() - 1), payload))
    });
}

/// Adds a datagram of one side to each flow, which `forge` makes from its packets: the place of the one before, and the payload.
fn forge_in_each_flow(
    capture: &mut Pcap,
    is_of_client: bool,
    mut forge: impl FnMut(&[&Packet]) -> Option<(usize, Vec<u8>)>,
) {
    let mut flows = BTreeMap::<_, Vec<&Packet>>::new();
    for packet in &capture.packets {
        if let Some(flow) = packet.flow() {
            flows.entry(flow).or_default().push(packet);
        }
    }
    let mut forged = Vec::new();
    for packets in flows.into_values() {
        let of_side = packets
            .iter()
            .find(|packet| goes_up(packet) == is_of_client);
        let Some((ends, _)) = of_side.and_then(|packet| packet.udp()) else {
            continue;
        };
        let Some((before, payload)) = forge(&packets) else {
            continue;
        };
        let bytes = datagram(&ends, &payload);
        let packet = Packet {
            time: packets[before].time,
            wire_length: bytes.len() as u32,
            bytes,
        };
        forged.push(packet.later(1));
    }
    capture.packets.extend(forged);
    sort(capture);
}

/// Somebody who sees the packets ends each handshake in the name of one side, which goes on: with a fatal alert over DTLS, and with a
/// CONNECTION_CLOSE in an Initial packet over QUIC.
fn forge_ends(capture: &mut Pcap, random: &mut Random, is_of_client: bool) {
    let is_of_side = |packet: &Packet| goes_up(packet) == is_of_client;
    forge_in_each_flow(capture, is_of_client, |packets| {
        let last = packets.iter().rposition(|packet| is_of_side(packet))?;
        let before = (last > 0).then(|| random.below(last))?;
        let seen: Vec<_> = packets[..=before]
            .iter()
            .filter_map(|packet| Some((is_of_side(packet), packet.payload()?)))
            .collect();
        Some((before, end(&seen, is_of_client, random)?))
    });
}

/// What ends a handshake in the name of a side, after these datagrams: each with whether it is that side's.
fn end(seen: &[(bool, &[u8])], is_of_client: bool, random: &mut Random) -> Option<Vec<u8>> {
    let (is_first_of_side, first) = *seen.first()?;
    if is_first_of_side != is_of_client {
        return None; // the capture begins with the server
    }
    if let [22, 0xfe, ..] = first {
        let of_side = seen.iter().filter(|(is_own, _)| *is_own);
        let number = of_side.count() as u8 + random.below(3) as u8;
        let description = random.pick(&[40, 48, 80]);
        let header = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, number, 0, 2];
        return Some([&header[..], &[2, description]].concat());
    }
    let [original, client] = initials::ids(first)?;
    let of_server = seen.iter().filter(|(is_own, _)| *is_own != is_of_client);
    let server = of_server
        .rev()
        .find_map(|(_, packet)| initials::ids(packet));
    let server = server.map_or(original, |[_, server]| server);
    let to = if is_of_client {
        [server, client]
    } else {
        [client, server]
    };
    let code = random.pick(&[0x02, 0x128, 0x130]);
    let number = random.below(6) as u8;
    Some(initials::close(original, to, is_of_client, (number, code)))
}

fn datagram([source, destination]: &[End; 2], payload: &[u8]) -> Vec<u8> {
    let link = PacketBuilder::ethernet2([2; 6], [4; 6]);
    let addresses = [&source.0, &destination.0];
    let builder = if let [Ok(from), Ok(to)] = addresses.map(|bytes| bytes[..].try_into()) {
        link.ipv4(from, to, 64)
    } else {
        let [from, to] = addresses.map(|bytes| bytes[..].try_into().unwrap());
        link.ipv6(from, to, 64)
    };
    let mut bytes = Vec::new();
    let datagram = builder.udp(source.1, destination.1);
    datagram.write(&mut bytes, payload).unwrap();
    bytes
}

/// Whose handshake it is.
fn subject(event: &Handshake) -> String {
    let eap = event.eap.as_ref();
    let station = eap.and_then(|eap| eap.calling_station_id.as_deref());
    let user = eap.and_then(|eap| eap.user_name.as_deref());
    match event.protocol {
        Protocol::Eap => format!("{station:?} {user:?}"),
        _ => format!("{:?} {:?}", event.client, event.server),
    }
}

/// Whether all that is known of the side that failed is that it closed.
fn has_closed(right: &Handshake, event: &Handshake) -> bool {
    let (Some(expected), Some(error)) = (&right.error, &event.error) else {
        return false;
    };
    error.error_type == ErrorType::ConnectionClosed && error.side == expected.side
}

fn by_subject(events: &[Handshake]) -> BTreeMap<String, Vec<&Handshake>> {
    let mut by_subject: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for event in events {
        by_subject.entry(subject(event)).or_default().push(event);
    }
    by_subject
}

/// What is wrong about `events`, given those that are `right`.
fn compare(right: &[Handshake], events: &[Handshake], harm: Harm) -> Vec<String> {
    let (right, events) = (by_subject(right), by_subject(events));
    let is_unknown = |event: &&Handshake| event.outcome == Outcome::Unknown;
    let is_same = |right: &Handshake, event: &Handshake| match harm {
        // Without what a client said before it closed its port, the ICMP error is all that is left.
        Harm::Evidence => super::is_same(right, event, harm) || has_closed(right, event),
        _ => Verdict::of(right) == Verdict::of(event),
    };
    let mut faults = Vec::new();
    for (subject, expected) in &right {
        if expected.iter().any(is_unknown) {
            continue; // nothing is known to be right
        }
        let found = events.get(subject).map_or(&[][..], Vec::as_slice);
        let decided = found.iter().filter(|event| !is_unknown(event));
        let was = Verdict::of(expected[0]);
        for event in decided.clone() {
            if !expected.iter().any(|right| is_same(right, event)) {
                let verdict = Verdict::of(event);
                faults.push(format!("{subject}: {was} became {verdict}"));
            }
        }
        let is_lost = decided.count() != expected.len();
        if is_lost && harm != Harm::Evidence {
            faults.push(format!("{subject}: {was} was lost"));
        }
    }
    faults
}

impl Trial {
    /// Applies all changes to a capture with handshakes over UDP.
    fn run_over_udp(&mut self, name: &str, capture: &Pcap, key_log: Option<&[u8]>, seed: u64) {
        let key_logs = [None, key_log];
        let key_logs = &key_logs[..1 + usize::from(key_log.is_some())];
        for key_log in key_logs {
            let right = self.observe(&capture.to_bytes(), *key_log);
            for (number, change) in CHANGES.iter().enumerate() {
                for round in 0..super::effort() {
                    let mut random = Random::new(round << 32 | seed << 8 | number as u64);
                    let mut changed = capture.clone();
                    (change.apply)(&mut changed, &mut random);
                    let changed = changed.to_bytes();
                    let events = self.observe(&changed, *key_log);
                    let faults = compare(&right, &events, change.harm);
                    if faults.is_empty() {
                        continue;
                    }
                    let keys = key_log.map_or("", |_| "-keys");
                    let file = format!("{name}-{}{keys}-{round}.pcap", change.name);
                    let path = scratch::file(&file, &changed);
                    for fault in faults {
                        self.faults
                            .push(format!("{name}{keys}, {}: {fault}: {path}", change.name));
                    }
                }
            }
        }
    }

    /// The same for a file, if it is a capture with handshakes over UDP.
    pub(super) fn run_over_udp_in(&mut self, file: &Path, seed: u64) {
        let Some(capture) = Pcap::read(&fs::read(file).unwrap()) else {
            return;
        };
        let events = self.observe(&capture.to_bytes(), None);
        if events.iter().any(|event| event.protocol != Protocol::Tls) {
            let name = file.file_stem().unwrap().to_string_lossy();
            let key_log = fs::read(file.with_extension("keys")).ok();
            self.run_over_udp(&name, &capture, key_log.as_deref(), seed);
        }
    }
}

fn fixtures_of(theme: &str) -> Vec<fixtures::Fixture> {
    let folder = format!("/captures/{theme}/");
    let mut fixtures = fixtures::all();
    fixtures.retain(|fixture| fixture.capture.contains(&folder));
    fixtures
}

fn read(fixture: &fixtures::Fixture) -> Option<Pcap> {
    Pcap::read(&fs::read(package().join(&fixture.capture)).unwrap())
}

#[test]
fn what_happens_to_datagrams_makes_no_verdict_wrong() {
    let mut trial = Trial::default();
    let mut cases = 0;
    for theme in ["dtls", "eap", "quic"] {
        for fixture in fixtures_of(theme) {
            let key_log = fs::read(fixture.file("keys.log")).ok();
            if let Some(capture) = read(&fixture) {
                cases += 1;
                trial.run_over_udp(&fixture.name, &capture, key_log.as_deref(), cases);
            }
        }
    }
    assert!(cases >= 30, "{cases}");
    trial.finish();
}

/// A program with a fixed port, or captures that are read together.
#[test]
fn connections_that_use_the_same_ports_one_after_the_other_keep_their_verdicts() {
    let mut trial = Trial::default();
    let captures: Vec<_> = fixtures_of("quic")
        .iter()
        .filter_map(|fixture| Some((fixture.name.clone(), on_common_ports(read(fixture)?)?)))
        .collect();
    assert!(captures.len() >= 6, "{}", captures.len());
    let verdicts = |events: &[Handshake]| -> Vec<String> {
        let verdict = |event: &Handshake| Verdict::of(event).to_string();
        events.iter().map(verdict).collect()
    };
    let mut faults = Vec::new();
    for (first_name, first) in &captures {
        for (second_name, second) in &captures {
            if first_name == second_name {
                continue;
            }
            let end = first
                .packets
                .iter()
                .map(Packet::microseconds)
                .max()
                .unwrap();
            let start = second.packets[0].microseconds();
            // What a capture ends with depends on how long it goes on.
            let mut both = first.clone();
            let rest = second.packets.iter().cloned().map(|mut packet| {
                let offset = packet.microseconds() - start;
                packet.time = [0, 0];
                packet.later(end + 2_000_000 + offset)
            });
            both.packets.extend(rest);
            let expected = [first, second].map(|capture| {
                let events = trial.observe(&capture.to_bytes(), None);
                verdicts(&events)
            });
            let events = trial.observe(&both.to_bytes(), None);
            let mut found = verdicts(&events).into_iter();
            for expected in expected.concat() {
                let found = found.next().unwrap_or_default();
                if !expected.starts_with("unknown") && found != expected {
                    faults.push(format!("{first_name}, {second_name}: {expected}, {found}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// The capture with the same addresses and ports as all others; `None` if it has more than one connection, or other packets than
/// of UDP over IPv4.
fn on_common_ports(mut capture: Pcap) -> Option<Pcap> {
    let flow = capture.packets.first()?.flow()?;
    let ([client, _], _) = capture.packets[0].udp()?;
    for packet in &mut capture.packets {
        let ([source, _], payload) = packet.udp()?;
        if packet.flow()? != flow || source.0.len() != 4 {
            return None;
        }
        let (udp, ip) = (payload - 8, payload - 8 - 20);
        let [client_end, server_end] = [([192, 0, 2, 1], 50_000_u16), ([192, 0, 2, 2], 4433)];
        let ends = match source == client {
            true => [client_end, server_end],
            false => [server_end, client_end],
        };
        for (place, (address, port)) in ends.into_iter().enumerate() {
            packet.bytes[ip + 12 + 4 * place..][..4].copy_from_slice(&address);
            packet.bytes[udp + 2 * place..][..2].copy_from_slice(&port.to_be_bytes());
        }
    }
    Some(capture)
}

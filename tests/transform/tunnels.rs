//! Tunnels around packets: they name themselves in the event, and change nothing else of it.

use tlscope::event::Handshake;

use super::packets::{Capture, Frame};
use super::{Trial, cases};
use crate::support::random::Random;

/// A packet of IP, and what it was in: Ethernet, where the capture has it.
type Wrap = fn(&[u8], &mut Random) -> Vec<u8>;

/// A tunnel: how its events name it, up to the number, and how to put a packet of IP into another.
const TUNNELS: [(&str, Wrap); 16] = [
    ("vxlan:", |ip, random| {
        let id = random.bytes(3);
        let port = random.pick(&[4789, 8472]);
        udp(port, &[&[8, 0, 0, 0], &id, &[0], &ethernet(ip)])
    }),
    ("vxlangpe:", |ip, random| {
        let protocol = if ip[0] >> 4 == 4 { 1 } else { 2 };
        let id = random.bytes(3);
        udp(4790, &[&[0x0c, 0, 0, protocol], &id, &[0], ip])
    }),
    ("geneve:", |ip, random| {
        let id = random.bytes(3);
        let options = random.below(4) as u8;
        let header = [options, 0, 0x65, 0x58];
        let options = random.bytes(usize::from(options) * 4);
        udp(6081, &[&header, &id, &[0], &options, &ethernet(ip)])
    }),
    ("gtpu:", |ip, random| {
        let length = (ip.len() as u16 + 8).to_be_bytes();
        let tunnel = random.bytes(4);
        let extension = [0, 0, 0, 0x85, 1, 0, 9, 0];
        udp(2152, &[&[0x34, 255], &length, &tunnel, &extension, ip])
    }),
    ("gre:", |ip, random| {
        let key = random.bytes(4);
        let header = [[0x30, 0], ether_type(ip)].concat();
        over_ipv4(47, &[&header, &key, &[0; 4], ip])
    }),
    ("gretap", |ip, _| {
        over_ipv6(47, &[&[0, 0, 0x65, 0x58], &ethernet(ip)])
    }),
    ("erspan", |ip, _| {
        over_ipv4(47, &[&[0, 0, 0x88, 0xbe], &ethernet(ip)])
    }),
    ("erspan:", |ip, random| {
        let header = [
            0x10,
            0,
            0x88,
            0xbe,
            0,
            0,
            0,
            1,
            0x10,
            0,
            0,
            random.next() as u8,
            0,
            0,
            0,
            0,
        ];
        over_ipv4(47, &[&header, &ethernet(ip)])
    }),
    ("erspan:", |ip, random| {
        let header = [
            0x10,
            0,
            0x22,
            0xeb,
            0,
            0,
            0,
            1,
            0x20,
            0,
            0,
            random.next() as u8,
        ];
        over_ipv4(47, &[&header, &[0; 8], &ethernet(ip)])
    }),
    ("ip", |ip, _| {
        over_ipv4(if ip[0] >> 4 == 4 { 4 } else { 41 }, &[ip])
    }),
    ("ip", |ip, _| {
        over_ipv6(if ip[0] >> 4 == 4 { 4 } else { 41 }, &[ip])
    }),
    ("l2tp:", |ip, _| {
        let protocol = if ip[0] >> 4 == 4 { 0x21 } else { 0x57 };
        udp(1701, &[&[0, 2, 0, 1, 0, 2, 0xff, 3, 0, protocol], ip])
    }),
    ("l2tp:", |ip, random| {
        let cookie = vec![0; random.pick(&[0, 4, 8])];
        over_ipv4(115, &[&[0, 0, 0, 7], &cookie, &ethernet(ip)])
    }),
    ("capwap", |ip, _| {
        let header = [0, 0x10, 0x03, 0, 0, 0, 0, 0, 8, 1];
        let snap = [[0xaa, 0xaa], [3, 0], [0, 0], ether_type(ip)].concat();
        udp(5247, &[&header, &[0; 22], &snap, ip])
    }),
    ("mpls:", |ip, _| {
        udp(6635, &[&[0, 1, 0, 64, 0, 2, 1, 64], ip])
    }),
    ("tzsp", |ip, _| {
        udp(37008, &[&[1, 0, 0, 1, 10, 1, 200, 1], &ethernet(ip)])
    }),
];

/// A capture of which each packet of IP is in the same one to four tunnels; packets of one kind only if `which` says so.
fn tunnelled(
    capture: &Capture,
    random: &mut Random,
    which: impl Fn(&Frame) -> bool,
) -> (Capture, Vec<&'static str>) {
    let depth = 1 + random.below(4);
    let chosen: Vec<_> = (0..depth).map(|_| random.pick(&TUNNELS)).collect();
    let frames = capture.frames.iter();
    let frames = frames
        .map(|frame| {
            if which(frame) {
                wrapped(frame, &chosen, random)
            } else {
                frame.clone()
            }
        })
        .collect();
    let capture = Capture { frames, ..*capture };
    (
        capture,
        chosen.iter().rev().map(|(name, _)| *name).collect(),
    )
}

fn wrapped(frame: &Frame, tunnels: &[(&'static str, Wrap)], random: &mut Random) -> Frame {
    let Some(ip) = ip_packet(&frame.bytes) else {
        return frame.clone();
    };
    let packet = tunnels
        .iter()
        .fold(ip.to_vec(), |packet, (_, wrap)| wrap(&packet, random));
    frame.with_bytes(ethernet(&packet))
}

/// The packet of IP in a frame without tags, without what Ethernet pads.
fn ip_packet(frame: &[u8]) -> Option<&[u8]> {
    let length = |at: usize| usize::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
    match frame.get(12..14)? {
        [0x08, 0x00] => frame.get(14..14 + length(16)),
        [0x86, 0xdd] => frame.get(14..54 + length(18)),
        _ => None,
    }
}

/// Whether a frame goes from the lower to the higher of two ends: addresses and ports.
fn goes_up(frame: &[u8]) -> Option<bool> {
    let ip = ip_packet(frame)?;
    let (header, address) = if ip[0] >> 4 == 4 { (20, 4) } else { (40, 16) };
    let (addresses, ports) = (
        &ip[header - 2 * address..header],
        ip.get(header..header + 4)?,
    );
    let end = |index: usize| {
        let address = &addresses[index * address..][..address];
        [address, &ports[2 * index..][..2]].concat()
    };
    Some(end(0) < end(1))
}

fn ether_type(ip: &[u8]) -> [u8; 2] {
    if ip[0] >> 4 == 4 {
        [0x08, 0x00]
    } else {
        [0x86, 0xdd]
    }
}

fn ethernet(ip: &[u8]) -> Vec<u8> {
    [&[2; 12], &ether_type(ip)[..], ip].concat()
}

fn udp(port: u16, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = (content.len() as u16 + 8).to_be_bytes();
    over_ipv4(
        17,
        &[&[0xc0, 1], &port.to_be_bytes(), &length, &[0; 2], &content],
    )
}

fn over_ipv4(protocol: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let [high, low] = (content.len() as u16 + 20).to_be_bytes();
    let header = [
        0x45, 0, high, low, 0, 0, 0x40, 0, 64, protocol, 0, 0, 198, 51, 100, 1, 198, 51, 100, 2,
    ];
    [&header[..], &content].concat()
}

fn over_ipv6(protocol: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let [high, low] = (content.len() as u16).to_be_bytes();
    [
        &[0x60, 0, 0, 0, high, low, protocol, 64],
        &[0x20; 32][..],
        &content,
    ]
    .concat()
}

/// What must stay: all that an event says, except for its tunnels and the numbers of its packets.
fn content(event: &Handshake) -> String {
    let mut event = event.clone();
    event.tunnel.clear();
    (event.capture.first_packet, event.capture.last_packet) = (0, 0);
    format!("{event:#?}")
}

fn names(event: &Handshake) -> Vec<String> {
    event.tunnel.iter().map(ToString::to_string).collect()
}

/// The first line in which two texts differ.
fn difference(before: &str, after: &str) -> String {
    let mut lines = before.lines().zip(after.lines());
    let pair = lines.find(|(before, after)| before != after);
    pair.map_or_else(String::new, |(before, after)| {
        format!("{} became {}", before.trim(), after.trim())
    })
}

/// Records of DTLS 1.3 whose copy moves a duration, since their encrypted numbers are not compared: a fault to be mended.
const KNOWN_COPIES: &[&str] = &["dtls13", "dtls13-retry"];

/// Changes all cases and compares all events; those that are `known` to become wrong must do so. Where a side says nothing in the handshake, its packets may stay without names.
fn try_all(
    change: impl Fn(&Capture, &mut Random) -> (Capture, Vec<&'static str>),
    may_be_silent: impl Fn(&Handshake) -> bool,
    known: &[&str],
) {
    let mut known_seen = Vec::new();
    let mut trial = Trial::default();
    // Logins over EAP have no segments of which one direction can be moved, and EAPOL is not read inside tunnels. Captures of
    // tunnels have one already, and four are the most.
    let cases = cases().into_iter();
    let cases = cases.filter(|case: &super::Case| {
        !["eap", "tunnel"]
            .iter()
            .any(|theme| case.name.starts_with(theme))
    });
    for (number, case) in cases.enumerate() {
        let mut random = Random::new(number as u64);
        let before = trial.observe(&case.capture.to_pcap(), None);
        let (changed, tunnels) = change(&case.capture, &mut random);
        let after = trial.observe(&changed.to_pcap(), None);
        let fault = if before.len() != after.len() {
            Some(format!(
                "{} handshakes became {}",
                before.len(),
                after.len()
            ))
        } else {
            before.iter().zip(&after).find_map(|(before, after)| {
                let found = names(after);
                let is_listed = found.len() == tunnels.len()
                    && found.iter().zip(&tunnels).all(|(found, name)| {
                        found.starts_with(name) || *name == "ip" && found == "sit"
                    });
                let [before, now] = [before, after].map(content);
                if before != now {
                    return Some(difference(&before, &now));
                }
                let is_silent = found.is_empty() && may_be_silent(after);
                (!is_listed && !is_silent).then(|| format!("in {found:?}, not in {tunnels:?}"))
            })
        };
        if known.contains(&case.name.as_str()) && fault.is_some() {
            known_seen.push(case.name.clone());
        } else if let Some(fault) = fault {
            trial
                .faults
                .push(format!("{} in {tunnels:?}: {fault}", case.name));
        }
    }
    assert_eq!(known_seen, known);
    trial.finish();
}

#[test]
fn a_tunnel_around_a_capture_changes_nothing_but_the_tunnel_in_the_event() {
    try_all(
        |capture, random| tunnelled(capture, random, |_| true),
        |_| false,
        &[],
    );
}

#[test]
fn a_connection_of_which_one_direction_is_in_a_tunnel_is_one_connection() {
    let is_silence = |event: &Handshake| event.timing.server_hello.is_none();
    for up in [true, false] {
        let is_wrapped = |frame: &Frame| goes_up(&frame.bytes) == Some(up);
        try_all(
            |capture, random| tunnelled(capture, random, is_wrapped),
            is_silence,
            &[],
        );
    }
}

#[test]
fn a_packet_that_is_seen_inside_and_outside_of_a_tunnel_counts_once() {
    for tunnel_first in [true, false] {
        let change = |capture: &Capture, random: &mut Random| {
            let (other, names) = tunnelled(capture, random, |_| true);
            let pairs = capture.frames.iter().zip(&other.frames);
            let frames = pairs.flat_map(|(plain, wrapped)| {
                let mut pair = [plain.clone(), wrapped.clone()];
                if tunnel_first {
                    pair.reverse();
                }
                pair[1].time += 2; // microseconds
                pair
            });
            let frames = frames.collect();
            (Capture { frames, ..*capture }, names)
        };
        try_all(change, |_| false, KNOWN_COPIES);
    }
}

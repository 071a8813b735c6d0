//! Segments that none of the peers sent, and real ones that look like them.

use tlscope::event::{ClosedBy, ErrorType, Handshake, Outcome, Side};

use super::{CLIENT, SERVER, after_client_hello, after_server_flight, complete, connect, error};
use crate::support::peers::{Flags, Forgery, Packet, Peers, Scene};
use crate::support::tls;

/// First numbers of client and server, of which some wrap around within the handshake.
const INITIAL: [[u32; 2]; 3] = [
    [1_000, 9_000],
    [u32::MAX - 60, u32::MAX - 1_000],
    [0x7fff_ffc0, 0xffff_ffff],
];

/// Further from everything than any window that the peers announce.
const ABSURD: [u32; 4] = [200_000, 50_000_000, 3_000_000_000, u32::MAX - 100_000];

const RST: Flags = flags(false, false, true);
const FIN: Flags = flags(false, true, false);
const SYN: Flags = flags(true, false, false);
const DATA: Flags = flags(false, false, false);

const fn flags(syn: bool, fin: bool, rst: bool) -> Flags {
    Flags {
        syn,
        ack: false,
        fin,
        rst,
    }
}

/// A whole connection with TLS 1.2 and 1.3, packet by packet.
fn connection(initial: [u32; 2], is_tls13: bool) -> Vec<Packet> {
    let mut peers = Peers::with_initial(50_000, initial);
    let mut packets = vec![
        peers.syn(),
        peers.syn_ack(),
        peers.acknowledges(CLIENT),
        peers.says(CLIENT, &tls::client_hello()),
        peers.acknowledges(SERVER),
    ];
    if is_tls13 {
        let flight = [tls::server_hello_13(), tls::encrypted_flight()].concat();
        packets.extend([
            peers.says(SERVER, &flight),
            peers.says(CLIENT, &tls::encrypted(53)),
            peers.says(CLIENT, &tls::encrypted(200)),
            peers.says(SERVER, &tls::encrypted(900)),
        ]);
    } else {
        packets.extend([
            peers.says(SERVER, &tls::server_flight_12()),
            peers.says(CLIENT, &tls::client_flight_12()),
            peers.says(SERVER, &tls::finished_12()),
            peers.says(CLIENT, &tls::encrypted(100)),
        ]);
    }
    packets.extend([peers.closes(CLIENT), peers.closes(SERVER)]);
    packets
}

/// Forgeries with numbers so far from those of the peers, for a connection with these first numbers.
fn forgeries(initial: [u32; 2], side: Side, away: u32, alert: &[u8]) -> Vec<Forgery<'_>> {
    let [own, peer] = [initial[side as usize], initial[side.peer() as usize]];
    let absurd = own.wrapping_add(away);
    let forgery = |flags, sequence, acknowledgment, bytes| Forgery {
        flags,
        sequence,
        acknowledgment,
        bytes,
    };
    let none: &[u8] = &[];
    let right = Some(peer.wrapping_add(1));
    let wrong = Some(peer.wrapping_add(away));
    vec![
        forgery(RST, absurd, right, none),
        forgery(RST, absurd, None, none),
        forgery(FIN, absurd, right, none),
        forgery(SYN, absurd, None, none),
        forgery(SYN, absurd, wrong, none),
        forgery(DATA, absurd, right, alert),
        forgery(DATA, absurd, wrong, alert),
        forgery(DATA, own.wrapping_add(1), wrong, alert),
        forgery(DATA, own.wrapping_add(1), wrong, none),
        forgery(DATA, absurd, None, alert),
        // Flags that no host sends together.
        forgery(flags(true, true, true), absurd, right, none),
        forgery(flags(true, true, false), absurd, None, none),
        forgery(flags(true, false, true), absurd, None, none),
    ]
}

/// What an event says, apart from the numbers of packets and from time: round trips are lost if the opening was forged.
fn gist(event: &Handshake) -> String {
    let error = event.error.as_ref().map(|error| &error.message);
    let capture = &event.capture;
    format!(
        "{} {:?} {error:?} {:?} {:?} {} {} {} {}",
        event.outcome,
        event.confidence,
        event.closed_by,
        event.tls.server_name,
        event.tls.history,
        capture.client_gap_bytes,
        capture.server_gap_bytes,
        capture.conflicting_bytes,
    )
}

#[test]
fn one_segment_with_absurd_numbers_changes_no_event_wherever_it_comes() {
    let alert = tls::alert(2, 48);
    for (initial, is_tls13) in INITIAL.into_iter().flat_map(|at| [(at, false), (at, true)]) {
        let packets = connection(initial, is_tls13);
        let mut scene = Scene::new();
        scene.play(packets.clone());
        let expected = gist(&scene.end_with_one());
        let forger = Peers::new(50_000);
        for (side, away) in Side::BOTH
            .into_iter()
            .flat_map(|side| ABSURD.map(|a| (side, a)))
        {
            for forgery in forgeries(initial, side, away, &alert) {
                // Before the SYN-ACK not all numbers are known, and who has a right one did not send blindly.
                let [own, peer] = [side, side.peer()].map(|side| initial[side as usize]);
                let is_blind = forgery.sequence != own.wrapping_add(1)
                    && forgery.acknowledgment != Some(peer.wrapping_add(1));
                for place in 2 * usize::from(!is_blind)..=packets.len() {
                    let mut scene = Scene::new();
                    let (before, after) = packets.split_at(place);
                    scene.play(before.to_vec());
                    scene.play([forger.forged(side, &forgery)]);
                    scene.wait(2_000);
                    scene.play(after.to_vec());
                    let events = scene.end();
                    let what = format!("{forgery:?} of the {side} at {place} of {initial:?}");
                    assert_eq!(events.len(), 1, "{what}: {events:?}");
                    assert_eq!(gist(&events[0]), expected, "{what}");
                }
            }
        }
    }
}

#[test]
fn what_is_not_believed_is_counted() {
    let alert = tls::alert(2, 48);
    let initial = [1_000, 2_000];
    for forgery in forgeries(initial, SERVER, 3_000_000_000, &alert) {
        let (mut scene, mut peers) = after_client_hello();
        scene.play([peers.forged(SERVER, &forgery)]);
        scene.play([peers.says(SERVER, &tls::server_flight_12())]);
        complete(&mut scene, &mut peers);
        let (events, stats) = scene.end_with_stats();
        assert_eq!(events[0].outcome, Outcome::Success);
        assert_eq!(stats.segments_out_of_window, 1, "{forgery:?}");
    }
}

#[test]
fn resets_within_the_window_count() {
    for side in Side::BOTH {
        for ahead in [0, 1, 500, 60_000] {
            for has_acknowledgment in [false, true] {
                let (mut scene, peers) = after_server_flight();
                let [own, peer] =
                    [side as usize, side.peer() as usize].map(|at| peers.positions()[at]);
                let reset = Forgery {
                    flags: RST,
                    sequence: own.wrapping_add(ahead),
                    acknowledgment: has_acknowledgment.then_some(peer),
                    bytes: &[],
                };
                scene.play([peers.forged(side, &reset)]);
                scene.wait(1_500);
                scene.tick();
                let (events, stats) = scene.end_with_stats();
                assert_eq!(stats.segments_out_of_window, 0);
                let [event] = events.as_slice() else {
                    panic!("{events:?}");
                };
                assert_ne!(event.outcome, Outcome::Success);
                if ahead == 0 {
                    assert_eq!(error(event), Some((ErrorType::ConnectionReset, Some(side))));
                }
            }
        }
    }
}

#[test]
fn a_reset_with_another_number_than_the_next_one_hides_no_handshake_that_follows() {
    // RFC 5961 §3: a host answers it with a challenge, and goes on.
    let initial = [1_000, 9_000];
    for is_tls13 in [false, true] {
        let packets = connection(initial, is_tls13);
        let mut scene = Scene::new();
        scene.play(packets.clone());
        let expected = gist(&scene.end_with_one());
        let forger = Peers::new(50_000);
        for (side, away) in Side::BOTH
            .into_iter()
            .flat_map(|side| [u32::MAX, 1, 7, 500, 60_000].map(|away| (side, away)))
        {
            let [own, peer] = [side, side.peer()].map(|side| initial[side as usize] + 1);
            for acknowledgment in [None, Some(peer)] {
                let reset = Forgery {
                    flags: RST,
                    sequence: own.wrapping_add(away),
                    acknowledgment,
                    bytes: &[],
                };
                // Both first numbers are known, and nothing was said.
                for place in [2, 3] {
                    let mut scene = Scene::new();
                    let (before, after) = packets.split_at(place);
                    scene.play(before.to_vec());
                    scene.play([forger.forged(side, &reset)]);
                    scene.wait(20);
                    scene.play(after.to_vec());
                    let events = scene.end();
                    let what = format!("{reset:?} of the {side} at {place}");
                    assert_eq!(events.len(), 1, "{what}: {events:?}");
                    assert_eq!(gist(&events[0]), expected, "{what}");
                }
            }
        }
    }
}

#[test]
fn a_syn_of_the_side_that_has_not_answered_yet_is_not_believed() {
    let initial = [1_000, 9_000];
    let packets = connection(initial, false);
    let mut scene = Scene::new();
    scene.play(packets.clone());
    let expected = gist(&scene.end_with_one());
    for away in [u32::MAX, 1, 7, 1_000, 60_000, 3_000_000_000] {
        let syn = Forgery {
            flags: SYN,
            sequence: initial[1].wrapping_add(away),
            acknowledgment: None,
            bytes: &[],
        };
        let mut scene = Scene::new();
        let (before, after) = packets.split_at(1);
        scene.play(before.to_vec());
        scene.play([Peers::new(50_000).forged(SERVER, &syn)]);
        scene.play(after.to_vec());
        assert_eq!(gist(&scene.end_with_one()), expected, "{away}");
    }
}

#[test]
fn a_reset_before_tls_that_nothing_follows_ends_the_connection() {
    for ahead in [0, 500] {
        let mut scene = Scene::new();
        let peers = connect(&mut scene, 50_000);
        let [own, peer] = peers.positions();
        let reset = Forgery {
            flags: RST,
            sequence: own + ahead,
            acknowledgment: Some(peer),
            bytes: &[],
        };
        scene.play([peers.forged(CLIENT, &reset)]);
        scene.wait(10_000);
        // The same ports serve another connection.
        let mut next = next_connection();
        scene.play([next.syn(), next.syn_ack(), next.acknowledges(CLIENT)]);
        scene.play([next.says(CLIENT, &tls::client_hello())]);
        scene.play([next.says(SERVER, &tls::server_flight_12())]);
        complete(&mut scene, &mut next);
        assert_eq!(scene.end_with_one().outcome, Outcome::Success);
    }
}

#[test]
fn a_close_of_what_was_received_already_is_none() {
    for (side, back) in [(CLIENT, 1), (CLIENT, 7), (SERVER, 1), (SERVER, 1_000)] {
        for is_tls13 in [false, true] {
            let packets = connection([1_000, 9_000], is_tls13);
            let mut scene = Scene::new();
            scene.play(packets.clone());
            let expected = gist(&scene.end_with_one());
            let (mut scene, mut peers) = after_client_hello();
            let flight = if is_tls13 {
                [tls::server_hello_13(), tls::encrypted_flight()].concat()
            } else {
                tls::server_flight_12()
            };
            scene.play([peers.says(SERVER, &flight), peers.acknowledges(CLIENT)]);
            let position = |side: Side| peers.positions()[side as usize];
            let close = Forgery {
                flags: FIN,
                sequence: position(side).wrapping_sub(back),
                acknowledgment: Some(position(side.peer())),
                bytes: &[],
            };
            scene.play([peers.forged(side, &close)]);
            scene.play(if is_tls13 {
                vec![
                    peers.says(CLIENT, &tls::encrypted(53)),
                    peers.says(CLIENT, &tls::encrypted(200)),
                    peers.says(SERVER, &tls::encrypted(900)),
                ]
            } else {
                vec![
                    peers.says(CLIENT, &tls::client_flight_12()),
                    peers.says(SERVER, &tls::finished_12()),
                    peers.says(CLIENT, &tls::encrypted(100)),
                ]
            });
            scene.play([peers.closes(CLIENT), peers.closes(SERVER)]);
            let (events, stats) = scene.end_with_stats();
            assert_eq!(gist(&events[0]), expected, "{back} of the {side}");
            assert_eq!(stats.segments_out_of_window, 1);
        }
    }
}

#[test]
fn a_refusal_of_the_connection_ends_it_only_if_it_acknowledges_the_syn() {
    let refusal = |acknowledgment| Forgery {
        flags: RST,
        sequence: 0,
        acknowledgment: Some(acknowledgment),
        bytes: &[],
    };
    for (acknowledgment, refusals) in [(1_001, 0), (0, 1), (3_000_000, 1)] {
        let mut scene = Scene::new();
        let mut peers = Peers::new(50_000);
        scene.play([peers.syn()]);
        scene.play([peers.forged(SERVER, &refusal(acknowledgment))]);
        assert_eq!(scene.stats().segments_out_of_window, refusals);
    }
}

/// A connection between the same endpoints as another one that is still open.
fn next_connection() -> Peers {
    Peers::with_initial(50_000, [700_000_000, 900_000_000])
}

#[test]
fn a_syn_that_is_answered_begins_another_connection() {
    let (mut scene, _) = after_client_hello();
    let mut next = next_connection();
    scene.play([next.syn(), next.syn_ack(), next.acknowledges(CLIENT)]);
    scene.play([
        next.says(CLIENT, &tls::client_hello()),
        next.says(SERVER, &tls::server_flight_12()),
    ]);
    complete(&mut scene, &mut next);
    let (events, stats) = scene.end_with_stats();
    let outcomes = events.iter().map(|event| event.outcome);
    let outcomes = outcomes.collect::<Vec<_>>();
    assert_eq!(outcomes, [Outcome::Unknown, Outcome::Success]);
    assert!(events[1].timing.tcp_connect.is_some());
    assert_eq!(stats.connections, 2);
}

#[test]
fn another_connection_may_lack_the_answer_to_its_syn_or_have_it_late() {
    for is_late in [false, true] {
        let (mut scene, _) = after_client_hello();
        let mut next = next_connection();
        scene.play([next.syn()]);
        let answer = next.syn_ack();
        scene.play([
            next.acknowledges(CLIENT),
            next.says(CLIENT, &tls::client_hello()),
        ]);
        if is_late {
            scene.play([answer]);
        }
        scene.play([next.says(SERVER, &tls::server_flight_12())]);
        complete(&mut scene, &mut next);
        let events = scene.end();
        assert_eq!(events.len(), 2, "{events:?}");
        assert_eq!(events[1].outcome, Outcome::Success);
        assert!(events[1].tls.server_name.is_some());
        assert_eq!(events[1].capture.client_gap_bytes, 0);
    }
}

#[test]
fn another_connection_of_which_one_direction_is_in_view_needs_no_answer() {
    let mut scene = Scene::new();
    for mut peers in [Peers::new(50_000), next_connection()] {
        scene.play([peers.syn()]);
        peers.syn_ack();
        scene.play([
            peers.acknowledges(CLIENT),
            peers.says(CLIENT, &tls::client_hello()),
        ]);
    }
    let events = scene.end();
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(events.iter().all(|event| event.tls.server_name.is_some()));
}

#[test]
fn a_host_that_answers_a_forged_syn_with_a_challenge_goes_on() {
    let (mut scene, mut peers) = after_client_hello();
    let forgery = Forgery {
        flags: SYN,
        sequence: 123_456_789,
        ..Forgery::default()
    };
    scene.play([
        peers.forged(CLIENT, &forgery),
        peers.acknowledges(SERVER), // RFC 5961 §4
        peers.says(SERVER, &tls::server_flight_12()),
    ]);
    complete(&mut scene, &mut peers);
    assert_eq!(scene.end_with_one().outcome, Outcome::Success);
}

#[test]
fn a_host_that_lost_its_connection_resets_it_and_begins_another() {
    let (mut scene, mut peers) = after_client_hello();
    let mut next = next_connection();
    let syn = next.syn();
    let challenge = peers.acknowledges(SERVER);
    let [client, _] = peers.positions();
    let reset = Forgery {
        flags: RST,
        sequence: client,
        ..Forgery::default()
    };
    scene.play([syn.clone(), challenge, peers.forged(CLIENT, &reset)]);
    scene.wait(1_000);
    scene.play([syn, next.syn_ack(), next.acknowledges(CLIENT)]);
    scene.play([
        next.says(CLIENT, &tls::client_hello()),
        next.says(SERVER, &tls::server_flight_12()),
    ]);
    complete(&mut scene, &mut next);
    let events = scene.end();
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[0].closed_by, Some(ClosedBy::ClientRst));
    assert_eq!(events[1].outcome, Outcome::Success);
}

#[test]
fn a_forged_segment_before_all_others_hides_no_handshake() {
    let alert = tls::alert(2, 48);
    for (side, has_opening) in [
        (CLIENT, true),
        (CLIENT, false),
        (SERVER, true),
        (SERVER, false),
    ] {
        for acknowledgment in [None, Some(2_000_000_000)] {
            let mut scene = Scene::new();
            let mut peers = Peers::new(50_000);
            let forgery = Forgery {
                flags: DATA,
                sequence: 3_000_000_000,
                acknowledgment,
                bytes: &alert,
            };
            scene.play([peers.forged(side, &forgery)]);
            let opening = [peers.syn(), peers.syn_ack(), peers.acknowledges(CLIENT)];
            if has_opening {
                scene.play(opening);
            }
            scene.play([
                peers.says(CLIENT, &tls::client_hello()),
                peers.acknowledges(SERVER),
                peers.says(SERVER, &tls::server_flight_12()),
            ]);
            complete(&mut scene, &mut peers);
            let event = scene.end_with_one();
            let what = format!("{side} {has_opening} {acknowledgment:?}");
            assert_eq!(event.outcome, Outcome::Success, "{what}");
            assert!(event.tls.server_name.is_some(), "{what}");
        }
    }
}

#[test]
fn what_both_sides_confirm_is_believed_however_much_the_capture_lacks() {
    let mut scene = Scene::new();
    let mut peers = connect(&mut scene, 50_000);
    scene.play([
        peers.says(CLIENT, b"EHLO client.example\r\n"),
        peers.acknowledges(SERVER),
    ]);
    // Two megabytes of mail in each direction are not in the capture.
    for side in Side::BOTH {
        for _ in 0..40 {
            peers.says(side, &[b'x'; 50_000]);
        }
    }
    scene.play([
        peers.says(CLIENT, &tls::client_hello()),
        peers.acknowledges(SERVER),
        peers.says(SERVER, &tls::server_flight_12()),
    ]);
    complete(&mut scene, &mut peers);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Success);
    assert!(event.tls.server_name.is_some());
}

#[test]
fn keep_alives_and_closed_windows_are_usual() {
    let (mut scene, mut peers) = after_client_hello();
    scene.play([
        peers.keeps_alive(CLIENT),
        peers.acknowledges(SERVER),
        peers.keeps_alive(SERVER),
        peers.acknowledges(CLIENT),
        peers.says(SERVER, &tls::server_flight_12()),
    ]);
    complete(&mut scene, &mut peers);
    let (events, stats) = scene.end_with_stats();
    assert_eq!(events[0].outcome, Outcome::Success);
    assert_eq!(stats.segments_out_of_window, 0);
    assert_eq!(events[0].capture.conflicting_bytes, 0);
}

#[test]
fn another_content_of_the_same_bytes_is_counted_and_makes_a_failure_less_certain() {
    let (mut scene, mut peers) = after_server_flight();
    let alert = tls::alert(2, 48);
    let first = &tls::client_flight_12()[..7];
    scene.play([
        peers.says(CLIENT, first),
        peers.says_again(CLIENT, 7, &alert),
        peers.closes(CLIENT),
        peers.closes(SERVER),
    ]);
    let (events, stats) = scene.end_with_stats();
    let [event] = events.as_slice() else {
        panic!("{events:?}");
    };
    let differing = first.iter().zip(&alert).filter(|(a, b)| a != b).count();
    assert_eq!(event.capture.conflicting_bytes, differing as u64);
    assert_eq!(stats.conflicting_bytes, differing as u64);
    assert_eq!(event.outcome, Outcome::Failure);
    assert_eq!(event.confidence, Some(0.75));
    let message = &event.error.as_ref().unwrap().message;
    assert!(
        message.contains("sent twice with different content"),
        "{message}"
    );
    assert!(message.contains("unknown_ca"), "{message}");
}

#[test]
fn a_forged_alert_that_won_the_race_makes_the_failure_less_certain() {
    let (mut scene, mut peers) = after_client_hello();
    let alert = tls::alert(2, 48);
    let forged = peers.clone().says(SERVER, &alert);
    scene.play([forged]);
    scene.wait(50);
    scene.play([peers.says(SERVER, &tls::server_flight_12())]);
    complete(&mut scene, &mut peers);
    scene.play([peers.closes(CLIENT), peers.closes(SERVER)]);
    let event = scene.end_with_one();
    assert!(event.capture.conflicting_bytes > 0);
    assert!(event.confidence.is_none_or(|confidence| confidence < 1.0));
}

#[test]
fn a_segment_that_is_sent_again_in_other_pieces_is_no_conflict() {
    let (mut scene, mut peers) = after_client_hello();
    let flight = tls::server_flight_12();
    scene.play([peers.says(SERVER, &flight)]);
    for at in 0..flight.len() {
        let back = (flight.len() - at) as u32;
        let end = (at + 20).min(flight.len());
        scene.play([peers.says_again(SERVER, back, &flight[at..end])]);
    }
    complete(&mut scene, &mut peers);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Success);
    assert_eq!(event.capture.conflicting_bytes, 0);
}

#[test]
fn two_versions_of_a_segment_that_is_held_are_a_conflict_too() {
    let (mut scene, mut peers) = after_client_hello();
    let flight = tls::server_flight_12();
    let (first, rest) = flight.split_at(20);
    let first = peers.says(SERVER, first);
    let held = peers.says(SERVER, rest);
    let other = vec![0xee; rest.len()];
    let again = peers.says_again(SERVER, rest.len() as u32, &other);
    scene.play([held, again, first]);
    complete(&mut scene, &mut peers);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Success);
    assert!(event.capture.conflicting_bytes > 0);
    assert_eq!(event.confidence, Some(1.0));
}

/// A close in the name of a side, with the numbers at which both sides are.
fn forged_close(peers: &Peers, side: Side, flags: Flags) -> Packet {
    let position = |side: Side| peers.positions()[side as usize];
    let close = Forgery {
        flags,
        sequence: position(side),
        acknowledgment: Some(position(side.peer())),
        bytes: &[],
    };
    peers.forged(side, &close)
}

#[test]
fn a_close_in_the_name_of_each_side_before_tls_hides_no_handshake() {
    for [first, second] in [[FIN, FIN], [RST, RST], [FIN, RST], [RST, FIN]] {
        for [one, other] in [Side::BOTH, [SERVER, CLIENT]] {
            let mut scene = Scene::new();
            let mut peers = connect(&mut scene, 50_000);
            scene.play([
                forged_close(&peers, one, first),
                forged_close(&peers, other, second),
            ]);
            scene.play([
                peers.says(CLIENT, &tls::client_hello()),
                peers.acknowledges(SERVER),
                peers.says(SERVER, &tls::server_flight_12()),
            ]);
            complete(&mut scene, &mut peers);
            let event = scene.end_with_one();
            assert_eq!(
                event.outcome,
                Outcome::Success,
                "{one} {first:?} {second:?}"
            );
            assert!(event.tls.server_name.is_some());
        }
    }
}

#[test]
fn a_connection_that_closes_before_tls_is_over_once_both_sides_know() {
    // Where the last acknowledgment is not captured, it takes a second.
    for (has_acknowledged, milliseconds) in [(true, 0), (false, 1_100)] {
        let mut scene = Scene::new();
        let mut peers = connect(&mut scene, 50_000);
        let closes = [peers.closes(CLIENT), peers.closes(SERVER)];
        scene.play(closes);
        if has_acknowledged {
            scene.play([peers.acknowledges(CLIENT)]);
        }
        scene.wait(milliseconds);
        scene.tick();
        scene.play([
            peers.says(CLIENT, &tls::client_hello()),
            peers.says(SERVER, &tls::server_flight_12()),
        ]);
        assert_eq!(scene.end().len(), 0, "{has_acknowledged}");
    }
}

#[test]
fn a_close_in_the_name_of_each_side_that_go_on_ends_no_handshake() {
    for is_tls13 in [false, true] {
        let packets = connection([1_000, 9_000], is_tls13);
        let mut scene = Scene::new();
        scene.play(packets.clone());
        let expected = scene.end_with_one();
        for [first, second] in [[FIN, FIN], [RST, RST], [FIN, RST], [RST, FIN]] {
            // After the hello, and after the server's flight.
            for place in [5, 6] {
                let mut scene = Scene::new();
                let (before, after) = packets.split_at(place);
                scene.play(before.to_vec());
                let mut peers = Peers::with_initial(50_000, [1_001, 9_001]);
                peers.says(CLIENT, &tls::client_hello());
                if place == 6 {
                    let flight = [tls::server_hello_13(), tls::encrypted_flight()].concat();
                    let flight = if is_tls13 {
                        flight
                    } else {
                        tls::server_flight_12()
                    };
                    peers.says(SERVER, &flight);
                }
                scene.play([
                    forged_close(&peers, CLIENT, first),
                    forged_close(&peers, SERVER, second),
                ]);
                scene.play(after.to_vec());
                let event = scene.end_with_one();
                let what = format!("{first:?} {second:?} at {place}, {is_tls13}");
                assert_eq!(event.outcome, expected.outcome, "{what}");
                assert_eq!(event.error, expected.error, "{what}");
            }
        }
    }
}

#[test]
fn a_reset_of_a_client_that_takes_the_alert_and_closes_in_order_was_none_of_its_own() {
    let (mut scene, mut peers) = after_client_hello();
    let forged = forged_close(&peers, CLIENT, RST);
    scene.play([forged]);
    scene.play([
        peers.says(SERVER, &tls::alert(2, 40)),
        peers.acknowledges(CLIENT),
        peers.closes(CLIENT),
        peers.closes(SERVER),
        peers.acknowledges(CLIENT),
    ]);
    let event = scene.end_with_one();
    let (error_type, side) = error(&event).unwrap();
    assert_ne!(error_type, ErrorType::ConnectionReset);
    assert_eq!(side, Some(SERVER), "{error_type}");
}

/// Anybody can send more in the name of a side that has reset the connection and is gone.
#[test]
fn what_comes_behind_a_reset_takes_it_back_only_if_the_peer_goes_on_too() {
    let (mut scene, mut peers) = after_client_hello();
    let flight = [tls::server_hello_13(), tls::encrypted_flight()].concat();
    scene.play([peers.says(SERVER, &flight), peers.acknowledges(CLIENT)]);
    scene.play([forged_close(&peers, CLIENT, RST)]);
    scene.play([
        peers.says(CLIENT, &tls::encrypted(19)),
        peers.closes(CLIENT),
    ]);
    scene.wait(2_000);
    let event = scene.end_with_one();
    assert_eq!(
        error(&event),
        Some((ErrorType::ConnectionReset, Some(CLIENT)))
    );
    assert_eq!(event.closed_by, Some(ClosedBy::ClientRst));
}

#[test]
fn a_side_that_goes_on_in_the_place_of_a_fin_has_not_closed() {
    let (mut scene, mut peers) = after_client_hello();
    let flight = [tls::server_hello_13(), tls::encrypted_flight()].concat();
    scene.play([peers.says(SERVER, &flight)]);
    let forged = forged_close(&peers, SERVER, FIN);
    scene.play([forged]);
    // The server acknowledges the client's flight with a number that does not count its FIN, and says nothing more.
    scene.play([
        peers.says(CLIENT, &tls::encrypted(53)),
        peers.acknowledges(SERVER),
    ]);
    scene.wait(20_000);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Unknown, "{:?}", event.error);
    assert_eq!(event.closed_by, Some(ClosedBy::CaptureEnd));
}

#[test]
fn a_record_in_the_place_of_a_fin_that_the_peer_acknowledges_decides_nothing() {
    let (mut scene, mut peers) = after_client_hello();
    let flight = [tls::server_hello_13(), tls::encrypted_flight()].concat();
    scene.play([
        peers.says(SERVER, &flight),
        peers.says(CLIENT, &tls::encrypted(53)),
        peers.acknowledges(SERVER),
    ]);
    let forged = peers.clone().says(SERVER, &tls::encrypted(250));
    scene.play([
        forged,
        peers.closes(SERVER),
        peers.acknowledges(CLIENT),
        peers.resets(CLIENT),
    ]);
    scene.wait(2_000);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Unknown, "{:?}", event.inference);
}

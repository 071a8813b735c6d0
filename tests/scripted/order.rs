//! Captures that do not show packets in the order in which the peers sent them.

use proptest::prelude::*;
use tlscope::event::{ClosedBy, ErrorType, Handshake, Outcome, Side};
use tlscope::memory::MemoryLimit;
use tlscope::observer::Config;

use super::{CLIENT, SERVER, after_client_hello, after_server_flight, complete, connect, error};
use crate::support::peers::{Flags, Forgery, Packet, Peers, Scene};
use crate::support::tls;

/// What both peers send, in order; each acknowledges all that its peer sent before.
type Conversation = Vec<(Side, Packet)>;

fn opening(peers: &mut Peers) -> Conversation {
    vec![
        (CLIENT, peers.syn()),
        (SERVER, peers.syn_ack()),
        (CLIENT, peers.acknowledges(CLIENT)),
        (CLIENT, peers.says(CLIENT, &tls::client_hello())),
    ]
}

/// Connections that end in various ways, by number.
fn conversation(number: usize) -> Conversation {
    let mut peers = Peers::new(50_000);
    let mut said = opening(&mut peers);
    let mut say = |side: Side, bytes: &[u8]| said.push((side, peers.says(side, bytes)));
    match number {
        0 => {
            say(SERVER, &tls::server_flight_12());
            say(CLIENT, &tls::client_flight_12());
            say(SERVER, &tls::finished_12());
            say(CLIENT, &tls::encrypted(100));
            say(SERVER, &tls::encrypted(300));
        }
        1 => {
            say(SERVER, &tls::server_flight_12());
            say(CLIENT, &tls::alert(2, 48));
        }
        2 => say(SERVER, &tls::server_flight_12()),
        3 => say(SERVER, &tls::alert(2, 40)),
        4 => {
            say(SERVER, &tls::server_hello_13());
            say(SERVER, &tls::encrypted_flight());
            say(CLIENT, &tls::encrypted(53));
            say(SERVER, &tls::encrypted(250));
            say(CLIENT, &tls::encrypted(100));
            say(SERVER, &tls::encrypted(300));
        }
        5 => {
            say(SERVER, &tls::server_hello_13());
            say(SERVER, &tls::encrypted_flight());
            say(CLIENT, &tls::encrypted(19));
        }
        _ => {} // the server closes
    }
    let first = if matches!(number, 3 | 6) {
        SERVER
    } else {
        CLIENT
    };
    for side in [first, first.peer()] {
        said.push((side, peers.closes(side)));
    }
    said.push((first, peers.acknowledges(first)));
    said
}

const CONVERSATIONS: usize = 7;

/// Plays packets at their times, in milliseconds.
fn capture(packets: Vec<(u64, Packet)>) -> Handshake {
    let mut events = events(packets);
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

fn verdict(event: &Handshake) -> String {
    format!(
        "{:?} {:?} {:?} {} {}+{}",
        event.outcome,
        error(event),
        event.closed_by,
        event.tls.history,
        event.capture.client_gap_bytes,
        event.capture.server_gap_bytes,
    )
}

/// What is seen of a connection, whether or not a handshake is recognised in it.
fn events(mut packets: Vec<(u64, Packet)>) -> Vec<Handshake> {
    let mut scene = Scene::new();
    let mut now = 0;
    packets.sort_by_key(|(time, _)| *time); // stable
    for (time, packet) in packets {
        scene.wait(time - now);
        now = time;
        scene.deliver(&packet);
    }
    scene.wait(2_000);
    scene.tick();
    scene.end()
}

/// Fails if a verdict on these packets of a conversation is neither unknown nor the right one. It may say less about the same cause.
fn blames_nobody_wrongly(number: usize, packets: Vec<(u64, Packet)>) -> Result<(), TestCaseError> {
    let right = in_order(number);
    let side = |event: &Handshake| error(event).and_then(|(_, side)| side);
    for event in events(packets) {
        if event.outcome == Outcome::Unknown {
            continue;
        }
        prop_assert_eq!(event.outcome, right.outcome);
        prop_assert_eq!(side(&event), side(&right));
        let is_close = |event: &Handshake| {
            error(event).is_some_and(|(error, _)| error == ErrorType::ConnectionClosed)
        };
        prop_assert_eq!(is_close(&event), is_close(&right), "{:?}", error(&event));
    }
    Ok(())
}

fn in_order(number: usize) -> Handshake {
    let packets = conversation(number).into_iter().zip(0..);
    capture(packets.map(|((_, packet), time)| (time, packet)).collect())
}

/// The client closes 150 ms after it has received the flight; programs that refuse a certificate without a word do so at once.
#[test]
fn a_fin_that_has_changed_places_with_an_earlier_segment_is_no_prompt_close() {
    let closes = |is_swapped: bool| {
        let mut peers = Peers::new(50_000);
        let mut said = opening(&mut peers);
        said.push((SERVER, peers.says(SERVER, &tls::server_hello_13())));
        said.push((SERVER, peers.says(SERVER, &tls::encrypted_flight())));
        let mut pair = [peers.acknowledges(CLIENT), peers.closes(CLIENT)];
        if is_swapped {
            pair.reverse();
        }
        let flights = said
            .into_iter()
            .zip(0..)
            .map(|((_, packet), at)| (at, packet));
        let [first, second] = pair;
        let rest = [(6, first), (156, second), (157, peers.closes(SERVER))];
        error(&capture(flights.chain(rest).collect()))
    };
    let closed = (ErrorType::ConnectionClosed, Some(CLIENT));
    assert_eq!(closes(false), Some(closed));
    assert_eq!(closes(true), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The ClientHello is captured behind packets that follow it, up to the closes.
    #[test]
    fn a_client_hello_behind_its_answer_changes_no_verdict(
        number in 0..CONVERSATIONS,
        behind in 1u64..8,
    ) {
        const HELLO: u64 = 3;
        let packets = conversation(number).into_iter().zip(0..).map(|((_, packet), at)| {
            (if at == HELLO { HELLO + behind } else { at }, packet)
        });
        let event = capture(packets.collect());
        if event.outcome != Outcome::Unknown {
            prop_assert_eq!(error(&event), error(&in_order(number)));
            prop_assert_eq!(event.outcome, in_order(number).outcome);
        }
    }

    /// One direction is late by up to 150 ms, as if its clock were wrong or its packets were written later.
    #[test]
    fn a_late_direction_changes_no_verdict(
        number in 0..CONVERSATIONS,
        is_client in any::<bool>(),
        late in 0u64..=150,
        pace in 1u64..40,
    ) {
        let late_side = if is_client { CLIENT } else { SERVER };
        let packets = conversation(number).into_iter().zip(0..).map(|((side, packet), at)| {
            let late = if side == late_side { late } else { 0 };
            (pace * at + late, packet)
        });
        prop_assert_eq!(verdict(&capture(packets.collect())), verdict(&in_order(number)));
    }

    /// The beginning was not captured, and one direction is late: what follows the hello may be captured before it.
    #[test]
    fn a_late_direction_without_its_beginning_blames_nobody_wrongly(
        number in 0..CONVERSATIONS,
        missing in 1usize..8,
        is_client in any::<bool>(),
        late in 0u64..=150,
    ) {
        let late_side = if is_client { CLIENT } else { SERVER };
        let packets = conversation(number).into_iter().zip(0..).skip(missing);
        let packets = packets.map(|((side, packet), at)| {
            (at + if side == late_side { late } else { 0 }, packet)
        });
        blames_nobody_wrongly(number, packets.collect())?;
    }

    /// Each packet is late by itself, as from several queues, and some are lost.
    #[test]
    fn packets_late_by_themselves_blame_nobody_wrongly(
        number in 0..CONVERSATIONS,
        late in proptest::collection::vec(0u64..6, 16),
        lost in proptest::collection::vec(0u8..12, 16),
    ) {
        let packets = conversation(number).into_iter().zip(0u64..).zip(late.into_iter().zip(lost));
        let seen = packets.filter(|(_, (_, lost))| *lost > 0);
        let packets = seen.map(|(((_, packet), at), (late, _))| (at + late, packet));
        blames_nobody_wrongly(number, packets.collect())?;
    }

    /// Two interfaces, one for each direction, are written in turns.
    #[test]
    fn directions_in_batches_change_no_verdict(
        number in 0..CONVERSATIONS,
        batch in 1usize..8,
        server_first in any::<bool>(),
    ) {
        let conversation = conversation(number);
        let mut packets = Vec::new();
        for (batch, said) in (0u64..).zip(conversation.chunks(batch)) {
            let mut said = said.to_vec();
            said.sort_by_key(|(side, _)| (*side == SERVER) != server_first);
            packets.extend(said.into_iter().map(|(_, packet)| (10 * batch, packet)));
        }
        prop_assert_eq!(verdict(&capture(packets)), verdict(&in_order(number)));
    }

    /// Neighbours are swapped, within a direction or across both.
    #[test]
    fn swapped_neighbours_change_no_verdict(number in 0..CONVERSATIONS, at in 0usize..12) {
        let mut conversation = conversation(number);
        if at + 1 < conversation.len() {
            conversation.swap(at, at + 1);
        }
        let packets = conversation.into_iter().zip(0..);
        let captured = capture(packets.map(|((_, packet), time)| (time, packet)).collect());
        prop_assert_eq!(verdict(&captured), verdict(&in_order(number)));
    }

    /// Each segment was captured twice, a little later.
    #[test]
    fn copies_change_no_verdict(number in 0..CONVERSATIONS, later in 0u64..30) {
        let packets = conversation(number).into_iter().zip(0..).flat_map(|((_, packet), at)| {
            [(2 * at, packet.clone()), (2 * at + later, packet)]
        });
        prop_assert_eq!(verdict(&capture(packets.collect())), verdict(&in_order(number)));
    }
}

#[test]
fn a_fin_that_was_acknowledged_and_not_captured_closes_the_connection() {
    let (mut scene, mut peers) = after_server_flight();
    peers.closes(CLIENT); // not captured
    scene.play([peers.closes(SERVER), peers.acknowledges(CLIENT)]);
    let event = scene.end_with_one();
    assert_eq!(
        error(&event),
        Some((ErrorType::ConnectionClosed, Some(CLIENT)))
    );
    assert_eq!(event.closed_by, Some(ClosedBy::ClientFin));
    assert_eq!(event.capture.client_gap_bytes, 0);
}

/// A socket that is closed answers what comes later by resets, which acknowledge nothing.
#[test]
fn a_reset_waits_for_the_fin_before_it() {
    let mut peers = Peers::new(50_000);
    let opening = opening(&mut peers).into_iter();
    let mut packets: Vec<_> = opening.map(|(_, packet)| (0, packet)).collect();
    let refusal = peers.says(SERVER, &tls::alert(2, 49));
    let [sequence, _] = peers.positions();
    let closed = peers.closes(CLIENT);
    let reset = peers.forged(
        CLIENT,
        &Forgery {
            sequence,
            acknowledgment: None,
            flags: Flags {
                rst: true,
                ..Flags::default()
            },
            bytes: &[],
        },
    );
    packets.extend([(1, closed), (1, reset), (5, refusal)]);
    let event = capture(packets);
    assert_eq!(error(&event), Some((ErrorType::AccessDenied, Some(SERVER))));
}

#[test]
fn two_fins_that_were_not_captured_do_not_say_which_was_first() {
    for first in [CLIENT, SERVER] {
        let (mut scene, mut peers) = after_server_flight();
        peers.closes(first); // not captured
        peers.closes(first.peer()); // not captured
        scene.play([peers.acknowledges(first)]);
        let event = scene.end_with_one();
        assert_eq!(event.outcome, Outcome::Unknown, "{:?}", error(&event));
    }
}

#[test]
fn more_than_one_number_that_was_acknowledged_and_not_captured_is_a_gap() {
    let (mut scene, mut peers) = after_server_flight();
    peers.says(CLIENT, &[0; 30]); // not captured
    scene.play([peers.closes(SERVER), peers.acknowledges(CLIENT)]);
    let event = scene.end_with_one();
    assert_eq!(event.closed_by, Some(ClosedBy::ServerFin));
    assert_eq!(event.capture.client_gap_bytes, 30);
}

#[test]
fn what_waits_is_released_when_time_goes_on() {
    let (mut scene, mut peers) = after_client_hello();
    peers.says(SERVER, &tls::server_flight_12()); // not captured
    scene.play([peers.closes(CLIENT), peers.closes(SERVER)]);
    scene.play([peers.acknowledges(CLIENT)]);
    assert!(scene.events().is_empty());
    scene.wait(1_200);
    scene.tick();
    assert_eq!(scene.events().len(), 1);
    assert!(scene.events()[0].capture.server_gap_bytes > 0);
    assert_eq!(scene.bytes_held(), 0);
}

#[test]
fn a_second_syn_ack_of_another_number_is_the_same_connection() {
    for acknowledged in [0, 1] {
        let mut scene = Scene::new();
        let mut peers = [2_000, 1_200_000_000].map(|initial| {
            let mut peers = Peers::with_initial(50_000, [1_000, initial]);
            (peers.syn(), peers.syn_ack(), peers)
        });
        let syn_acks = peers.each_ref().map(|(_, syn_ack, _)| syn_ack.clone());
        scene.play([peers[0].0.clone()]);
        scene.play(syn_acks);
        let (_, _, peers) = &mut peers[acknowledged];
        scene.play([
            peers.acknowledges(CLIENT),
            peers.says(CLIENT, &tls::client_hello()),
            peers.says(SERVER, &tls::server_flight_12()),
        ]);
        complete(&mut scene, peers);
        let event = scene.end_with_one();
        assert_eq!(event.outcome, Outcome::Success);
        let gaps = (
            event.capture.client_gap_bytes,
            event.capture.server_gap_bytes,
        );
        assert_eq!(gaps, (0, 0));
    }
}

#[test]
fn a_syn_of_another_number_begins_another_connection() {
    let mut scene = Scene::new();
    for initial in [1_000, 5_000_000] {
        let mut peers = Peers::with_initial(50_000, [initial, initial + 1_000]);
        scene.play([peers.syn(), peers.syn_ack(), peers.acknowledges(CLIENT)]);
        scene.play([peers.says(CLIENT, &tls::client_hello())]);
    }
    assert_eq!(scene.end().len(), 2);
}

#[test]
fn one_direction_alone_is_not_waited_for() {
    let mut scene = Scene::new();
    let mut peers = connect(&mut Scene::new(), 50_000);
    scene.play([peers.says(CLIENT, &tls::client_hello())]);
    peers.says(SERVER, &tls::server_flight_12());
    scene.play([peers.says(CLIENT, &tls::client_flight_12())]);
    assert!(scene.segments_held() > 0);
    scene.wait(300);
    peers.says(SERVER, &tls::finished_12());
    scene.play([peers.says(CLIENT, &tls::encrypted(100))]);
    scene.play([peers.says(CLIENT, &tls::encrypted(100))]);
    assert_eq!(scene.segments_held(), 0);
    let event = scene.end_with_one();
    assert_eq!(event.capture.client_gap_bytes, 0);
}

/// Connections whose server leaves out a little and sends segments of which each waits: in the window, or out of every window.
fn hold(scene: &mut Scene, client_port: u16, ahead: u32) {
    let mut peers = connect(scene, client_port);
    scene.play([peers.says(CLIENT, &tls::client_hello())]);
    let [acknowledgment, next] = peers.positions();
    for number in 0..16 {
        let waiting = Forgery {
            flags: Flags::default(),
            sequence: next.wrapping_add(ahead + number * 1_400),
            acknowledgment: Some(acknowledgment),
            bytes: &[0; 1_400],
        };
        scene.play([peers.forged(SERVER, &waiting)]);
    }
}

#[test]
fn a_flood_of_segments_that_wait_leaves_room_for_packets_that_are_swapped() {
    for ahead in [100, 3_000_000_000] {
        let mut config = Config::default();
        config.memory_limit = MemoryLimit::LEAST;
        let mut scene = Scene::with(config);
        let mut ordinary = Vec::new();
        for number in 0..600 {
            hold(&mut scene, 1_000 + number, ahead);
            if number % 10 > 0 {
                continue;
            }
            let mut peers = connect(&mut scene, 20_000 + number);
            scene.play([peers.says(CLIENT, &tls::client_hello())]);
            let flight = tls::server_flight_12();
            let (first, second) = flight.split_at(flight.len() / 2);
            let [first, second] = [first, second].map(|part| peers.says(SERVER, part));
            scene.play([second]);
            ordinary.push((peers, first));
            // Late by two floods of its neighbours.
            if ordinary.len() > 2 {
                let (mut peers, first) = ordinary.remove(0);
                scene.play([first]);
                complete(&mut scene, &mut peers);
            }
        }
        let events = scene.end();
        let judged = |event: &&Handshake| event.outcome == Outcome::Success;
        assert_eq!(events.iter().filter(judged).count(), 58, "{ahead}");
    }
}

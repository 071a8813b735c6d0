//! Lost, repeated, reordered and overlapping bytes; captures of one direction only.

use tlscope::event::{Directions, ErrorType, Outcome};

use super::{CLIENT, SERVER, after_client_hello, after_server_flight, complete, connect, error};
use crate::support::peers::{Peers, Scene};
use crate::support::tls;

#[test]
fn interleaved_connections_are_two_handshakes() {
    let mut scene = Scene::new();
    let mut peers = [50_000, 50_001].map(|port| connect(&mut scene, port));
    let flights = [
        (CLIENT, tls::client_hello()),
        (SERVER, tls::server_flight_12()),
        (CLIENT, tls::client_flight_12()),
        (SERVER, tls::finished_12()),
        (CLIENT, tls::encrypted(100)),
    ];
    for (side, flight) in flights {
        for half in flight.chunks(flight.len().div_ceil(2)) {
            scene.play(peers.each_mut().map(|peers| peers.says(side, half)));
        }
    }
    let events = scene.end();
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event.outcome == Outcome::Success));
    assert_ne!(events[0].flow_id, events[1].flow_id);
}

#[test]
fn sequence_numbers_may_wrap_anywhere_in_the_handshake() {
    for before in (0..600).step_by(7) {
        let mut scene = Scene::new();
        let mut peers = Peers::with_initial(50_000, [0_u32.wrapping_sub(before); 2]);
        scene.play([peers.syn(), peers.syn_ack()]);
        scene.play([
            peers.says(CLIENT, &tls::client_hello()),
            peers.says(SERVER, &tls::server_flight_12()),
        ]);
        complete(&mut scene, &mut peers);
        let event = scene.end_with_one();
        assert_eq!(event.outcome, Outcome::Success, "{before} bytes before");
        assert_eq!(event.capture.server_gap_bytes, 0);
    }
}

#[test]
fn a_flight_byte_by_byte_and_backwards_is_the_same_flight() {
    let (mut scene, mut peers) = after_client_hello();
    let flight = tls::server_flight_12();
    let mut packets: Vec<_> = flight
        .iter()
        .map(|byte| peers.says(SERVER, &[*byte]))
        .collect();
    packets.reverse();
    scene.play(packets);
    complete(&mut scene, &mut peers);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Success);
    assert_eq!(&*event.tls.history, "CsxnGIFifD");
    assert_eq!(event.capture.server_gap_bytes, 0);
}

#[test]
fn a_gap_in_the_servers_flight_makes_a_failure_unknown() {
    for close in [Peers::closes, Peers::resets] {
        let (mut scene, mut peers) = after_client_hello();
        scene.play([peers.says(SERVER, &tls::server_hello_12())]);
        let lost = [0x5a; 700];
        peers.says(SERVER, &lost);
        scene.play([
            peers.says(SERVER, &tls::server_hello_done()),
            peers.acknowledges(CLIENT),
            close(&mut peers, CLIENT),
        ]);
        let event = scene.end_with_one();
        assert_eq!(event.outcome, Outcome::Unknown);
        assert_eq!(event.capture.server_gap_bytes, 700);
        assert_eq!(event.capture.client_gap_bytes, 0);
    }
}

#[test]
fn a_gap_before_both_finished_does_not_change_a_success() {
    let (mut scene, mut peers) = after_client_hello();
    scene.play([peers.says(SERVER, &tls::server_hello_12())]);
    peers.says(SERVER, &[0x5a; 700]);
    scene.play([peers.says(SERVER, &tls::server_hello_done())]);
    complete(&mut scene, &mut peers);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Success);
    assert_eq!(event.capture.server_gap_bytes, 700);
}

#[test]
fn nothing_is_inferred_from_a_flight_with_a_gap() {
    let (mut scene, mut peers) = after_client_hello();
    scene.play([peers.says(SERVER, &tls::server_hello_13())]);
    peers.says(SERVER, &tls::encrypted_flight());
    scene.play([
        peers.says(CLIENT, &tls::encrypted(19)), // without the gap: a refusal
        peers.closes(CLIENT),
        peers.closes(SERVER),
    ]);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Unknown);
    assert_eq!(event.inference, None);
    assert!(event.capture.server_gap_bytes > 0);
}

#[test]
fn a_one_way_capture_never_shows_a_failure() {
    for seen in [CLIENT, SERVER] {
        for ends in [
            None,
            Some(Peers::closes as fn(&mut _, _) -> _),
            Some(Peers::resets),
        ] {
            let mut scene = Scene::new();
            let mut peers = Peers::new(50_000);
            let mut packets = vec![
                (CLIENT, peers.syn()),
                (SERVER, peers.syn_ack()),
                (CLIENT, peers.says(CLIENT, &tls::client_hello())),
                (SERVER, peers.says(SERVER, &tls::server_flight_12())),
                (CLIENT, peers.acknowledges(CLIENT)),
            ];
            packets.extend(ends.map(|close| (seen, close(&mut peers, seen))));
            let in_view = packets.into_iter().filter(|(side, _)| *side == seen);
            scene.play(in_view.map(|(_, packet)| packet));
            scene.wait(10_000);
            scene.tick();
            let event = scene.end_with_one();
            assert_eq!(event.outcome, Outcome::Unknown, "{event:?}");
            let expected = match seen {
                CLIENT => Directions::ClientOnly,
                SERVER => Directions::ServerOnly,
            };
            assert_eq!(event.capture.directions, expected);
        }
    }
}

#[test]
fn the_first_copy_of_overlapping_segments_counts() {
    let (mut scene, mut peers) = after_client_hello();
    let flight = tls::server_flight_12();
    let (front, back) = flight.split_at(20);
    scene.play([peers.says(SERVER, front)]);
    let forged = vec![0xff; 20];
    let again = [&forged, back].concat();
    scene.play([peers.says_again(SERVER, 20, &again)]);
    peers.says(SERVER, back); // these bytes came with the segment before
    complete(&mut scene, &mut peers);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Success);
    assert_eq!(&*event.tls.history, "CsxnGIFifD");
}

#[test]
fn a_connection_seen_from_the_middle_has_no_handshake() {
    let mut scene = Scene::new();
    let mut peers = Peers::new(50_000);
    scene.play([
        peers.says(CLIENT, &tls::encrypted(100)),
        peers.says(SERVER, &tls::encrypted(1_000)),
        peers.says(CLIENT, &tls::encrypted(100)),
        peers.closes(CLIENT),
        peers.closes(SERVER),
    ]);
    assert_eq!(scene.stats().connections_tls, 0);
    assert!(scene.end().is_empty());
}

#[test]
fn a_handshake_without_its_syns_is_still_recognized() {
    let mut scene = Scene::new();
    let mut peers = Peers::new(50_000);
    scene.play([
        peers.says(CLIENT, &tls::client_hello()),
        peers.says(SERVER, &tls::server_flight_12()),
    ]);
    complete(&mut scene, &mut peers);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Success);
    assert_eq!(event.timing.tcp_connect, None);
}

#[test]
fn a_syn_with_another_sequence_number_starts_another_connection() {
    let (mut scene, _) = after_client_hello();
    let mut peers = Peers::with_initial(50_000, [700_000, 800_000]);
    scene.play([peers.syn(), peers.syn_ack()]);
    scene.play([
        peers.says(CLIENT, &tls::client_hello()),
        peers.says(SERVER, &tls::server_flight_12()),
    ]);
    complete(&mut scene, &mut peers);
    assert_eq!(scene.stats().connections, 2);
    let events = scene.end();
    let outcomes: Vec<_> = events.iter().map(|event| event.outcome).collect();
    assert_eq!(outcomes, [Outcome::Unknown, Outcome::Success]);
    assert_ne!(events[0].flow_id, events[1].flow_id);
}

#[test]
fn a_retransmitted_syn_belongs_to_the_same_connection() {
    let mut scene = Scene::new();
    let mut peers = Peers::new(50_000);
    let syn = peers.syn();
    scene.play([syn.clone(), syn, peers.syn_ack()]);
    scene.play([
        peers.says(CLIENT, &tls::client_hello()),
        peers.says(SERVER, &tls::server_flight_12()),
    ]);
    complete(&mut scene, &mut peers);
    assert_eq!(scene.stats().connections, 1);
    let event = scene.end_with_one();
    assert_eq!(event.timing.tcp_connect.unwrap().as_millis(), 2);
}

#[test]
fn tls_after_plain_text_is_found() {
    let mut scene = Scene::new();
    let mut peers = connect(&mut scene, 50_000);
    scene.play([
        peers.says(SERVER, b"220 mail.example.org ESMTP\r\n"),
        peers.says(CLIENT, b"STARTTLS\r\n"),
        peers.says(SERVER, b"220 go ahead\r\n"),
        peers.says(CLIENT, &tls::client_hello()),
        peers.says(SERVER, &tls::server_flight_12()),
    ]);
    complete(&mut scene, &mut peers);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Success);
    assert_eq!(event.tls.server_name.as_deref(), Some("www.example.org"));
}

#[test]
fn a_hello_after_plain_text_is_read_in_full_although_its_segments_are_out_of_order() {
    let mut scene = Scene::new();
    let mut peers = connect(&mut scene, 50_000);
    scene.play([
        peers.says(SERVER, b"220 mail.example.org ESMTP\r\n"),
        peers.says(CLIENT, b"STARTTLS\r\n"),
        peers.says(SERVER, b"220 go ahead\r\n"),
    ]);
    let hello = tls::client_hello();
    let (first, second) = hello.split_at(40);
    let [first, second] = [first, second].map(|part| peers.says(CLIENT, part));
    scene.play([second, first, peers.says(SERVER, &tls::server_flight_12())]);
    complete(&mut scene, &mut peers);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Success);
    assert_eq!(event.tls.server_name.as_deref(), Some("www.example.org"));
    assert_eq!(event.capture.client_gap_bytes, 0);
}

#[test]
fn a_hello_captured_before_the_plain_text_it_follows_is_read_with_its_answer() {
    let mut scene = Scene::new();
    let mut peers = connect(&mut scene, 50_000);
    let request = peers.says(CLIENT, b"CONNECT www.example.org:443 HTTP/1.1\r\n\r\n");
    let answer = peers.says(SERVER, b"HTTP/1.1 200 OK\r\n\r\n");
    let hello = peers.says(CLIENT, &tls::client_hello());
    scene.play([hello, request, answer]);
    scene.play([peers.says(SERVER, &tls::server_flight_12())]);
    complete(&mut scene, &mut peers);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Success);
    assert_eq!(event.tls.server_name.as_deref(), Some("www.example.org"));
}

#[test]
fn a_piece_of_the_answer_captured_before_the_hello_does_not_make_it_plain_text() {
    let mut scene = Scene::new();
    let mut peers = Peers::new(50_000); // the capture begins behind the SYNs
    let hello = peers.says(CLIENT, &tls::client_hello());
    let flight = tls::server_flight_12();
    let (first, second) = flight.split_at(flight.len() / 2);
    let [first, second] = [first, second].map(|part| peers.says(SERVER, part));
    scene.play([second, hello, first]);
    complete(&mut scene, &mut peers);
    let event = scene.end_with_one();
    assert_ne!(event.outcome, Outcome::Failure, "{:?}", event.error);
}

#[test]
fn plain_text_in_answer_to_a_client_hello_is_not_tls() {
    let (mut scene, mut peers) = after_client_hello();
    scene.play([
        peers.says(SERVER, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        peers.closes(SERVER),
    ]);
    assert_eq!(
        error(&scene.end_with_one()),
        Some((ErrorType::NotTls, Some(SERVER)))
    );
}

#[test]
fn every_packet_twice_is_one_handshake() {
    let (mut scene, mut peers) = after_server_flight();
    for packet in [
        peers.says(CLIENT, &tls::client_flight_12()),
        peers.says(SERVER, &tls::finished_12()),
        peers.closes(CLIENT),
        peers.closes(SERVER),
    ] {
        scene.play([packet.clone(), packet]);
    }
    assert_eq!(scene.stats().connections, 1);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Success);
    assert_eq!(&*event.tls.history, "CsxnGIFif");
}

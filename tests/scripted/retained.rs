//! Packets retained for failures: which ones come with an event, and that the buffer is freed.

use tlscope::event::Outcome;
use tlscope::observer::Config;
use tlscope::observer::defaults::LIVE_HANDSHAKE_TIMEOUT;

use super::{CLIENT, SERVER, complete, connect};
use crate::support::peers::{Peers, Scene};
use crate::support::tls;

fn retaining() -> Scene {
    let config = Config::default()
        .with_retained_packets(true)
        .with_handshake_timeout(LIVE_HANDSHAKE_TIMEOUT);
    Scene::with(config)
}

#[test]
fn a_failure_has_its_packets_from_the_syn_onwards() {
    let mut scene = retaining();
    let mut peers = connect(&mut scene, 50_000);
    scene.play([
        peers.says(CLIENT, &tls::client_hello()),
        peers.acknowledges(SERVER),
        peers.says(SERVER, &tls::alert(2, 40)),
        peers.closes(SERVER),
        peers.closes(CLIENT),
    ]);
    let (event, packets) = scene.end_with_packets();
    assert_eq!(event.outcome, Outcome::Failure);
    let packets = packets.unwrap();
    assert_eq!(packets.packets.len(), 8);
    assert!(!packets.is_cut);
    let bytes: usize = packets.iter().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(bytes, packets.data.len());
    assert!(
        packets
            .iter()
            .all(|(packet, bytes)| packet.length as usize == bytes.len())
    );
}

#[test]
fn a_success_has_no_packets_and_leaves_none_in_the_buffer() {
    let mut scene = retaining();
    let mut peers = connect(&mut scene, 50_000);
    scene.play([
        peers.says(CLIENT, &tls::client_hello()),
        peers.says(SERVER, &tls::server_flight_12()),
    ]);
    assert!(scene.bytes_held() > 0);
    complete(&mut scene, &mut peers);
    // Until the end of the connection, or many records later, a renegotiation may fail.
    scene.play([peers.closes(CLIENT)]);
    assert_eq!(scene.bytes_held(), 0);
    assert_eq!(scene.end_with_packets().1, None);
}

#[test]
fn packets_that_turn_out_not_to_be_tls_are_dropped() {
    let mut scene = retaining();
    let mut peers = connect(&mut scene, 50_000);
    scene.play([
        peers.says(CLIENT, b"GET / HTTP/1.1\r\n\r\n"),
        peers.says(SERVER, b"HTTP/1.1 200 OK\r\n\r\n"),
        peers.acknowledges(CLIENT),
    ]);
    assert_eq!(scene.bytes_held(), 0);
}

#[test]
fn the_first_packets_of_a_long_connection_are_retained() {
    let mut scene = retaining();
    let mut peers = connect(&mut scene, 50_000);
    scene.play([peers.says(CLIENT, &tls::client_hello())]);
    for _ in 0..1_000 {
        scene.play([peers.acknowledges(SERVER)]);
    }
    scene.play([peers.resets(SERVER)]);
    let packets = scene.end_with_packets().1.unwrap();
    assert_eq!(packets.packets.len(), 256);
    assert!(packets.is_cut);
}

#[test]
fn unfinished_handshakes_stay_within_the_limit() {
    let mut scene = retaining();
    // The beginning of a ClientHello that is never finished.
    let beginning = [&[22, 3, 1, 0x20, 0, 1, 0, 0x1f, 0xfc], &[0; 1_400][..]].concat();
    for port in 1_000..5_000 {
        let mut peers = Peers::new(port);
        scene.deliver(&peers.syn());
        let packet = peers.says(CLIENT, &beginning);
        for _ in 0..16 {
            scene.deliver(&packet); // sent again and again
        }
    }
    // The beginning of each message is held in addition to the packets.
    assert!(scene.bytes_held() < 80 << 20, "{}", scene.bytes_held());
    assert!(scene.stats().packets_not_kept > 0);
    scene.wait(100_000);
    for _ in 0..20 {
        scene.tick(); // they are reported in steps, since events take memory, too
    }
    assert_eq!(scene.bytes_held(), 0);
}

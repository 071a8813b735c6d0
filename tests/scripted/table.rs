//! Limits: on connections, and on bytes received out of order.

use tlscope::event::Outcome;
use tlscope::observer::Config;

use super::{CLIENT, SERVER, complete, connect};
use crate::support::peers::{Peers, Scene};
use crate::support::tls;

/// A scene whose observer tracks at most this many connections.
fn with_room_for(max_flows: usize) -> Scene {
    Scene::with(Config::default().with_max_flows(max_flows))
}

/// SYNs of connections that are never established.
fn flood(scene: &mut Scene, count: u16) {
    for port in 1_000..1_000 + count {
        scene.deliver(&Peers::new(port).syn());
    }
}

#[test]
fn a_flood_of_syns_stays_within_the_limit_and_is_counted() {
    let mut scene = with_room_for(16);
    flood(&mut scene, 5_000);
    let stats = scene.stats();
    assert_eq!(stats.connections, 5_000);
    let remembered = stats.connections - stats.connections_evicted;
    assert!((1..=16).contains(&remembered), "{remembered}");
    assert!(scene.end().is_empty());
}

#[test]
fn a_handshake_in_progress_survives_a_flood_of_syns() {
    let mut scene = with_room_for(64);
    let mut peers = connect(&mut scene, 50_000);
    scene.play([
        peers.says(CLIENT, &tls::client_hello()),
        peers.says(SERVER, &tls::server_flight_12()),
    ]);
    flood(&mut scene, 5_000);
    complete(&mut scene, &mut peers);
    assert!(scene.stats().connections_evicted > 4_900);
    assert_eq!(scene.end_with_one().outcome, Outcome::Success);
}

#[test]
fn an_evicted_handshake_is_unknown_and_not_a_failure() {
    let mut scene = with_room_for(16);
    let mut peers = connect(&mut scene, 50_000);
    scene.play([peers.says(CLIENT, &tls::client_hello())]);
    flood(&mut scene, 5_000);
    assert_eq!(scene.events().len(), 1, "its place was needed");
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Unknown);
    assert_eq!(event.closed_by, None);
}

#[test]
fn simultaneous_handshakes_are_limited_too() {
    let mut scene = with_room_for(16);
    for port in 1_000..2_000 {
        let mut peers = connect(&mut scene, port);
        scene.play([peers.says(CLIENT, &tls::client_hello())]);
    }
    let stats = scene.stats();
    assert_eq!(stats.connections_evicted, 1_000 - 16);
    assert_eq!(scene.end().len(), 1_000);
}

#[test]
fn a_hole_becomes_a_gap_when_too_much_data_waits_behind_it() {
    let mut scene = Scene::new();
    let mut peers = connect(&mut scene, 50_000);
    scene.play([
        peers.says(CLIENT, &tls::client_hello()),
        peers.says(SERVER, &tls::server_hello_12()),
    ]);
    peers.says(SERVER, &[0x5a; 1_000]); // lost, and never acknowledged
    for _ in 0..2_000 {
        scene.deliver(&peers.says(SERVER, &tls::encrypted(1_000)));
    }
    assert_eq!(scene.stats().segments_discarded, 0);
    assert!(scene.stats().bytes_held <= 300 * 1_005);
    let event = scene.end_with_one();
    assert_eq!(event.capture.server_gap_bytes, 1_000);
    assert_eq!(event.outcome, Outcome::Unknown);
}

#[test]
fn segments_far_ahead_are_ignored_and_counted() {
    let mut scene = Scene::new();
    let mut peers = connect(&mut scene, 50_000);
    scene.play([peers.says(CLIENT, &tls::client_hello())]);
    let mut elsewhere = Peers::with_initial(50_000, [1 << 30, 1 << 30]);
    scene.play([elsewhere.says(SERVER, &[0x5a; 100])]);
    assert_eq!(scene.stats().segments_out_of_window, 1);
    scene.play([peers.says(SERVER, &tls::server_flight_12())]);
    complete(&mut scene, &mut peers);
    assert_eq!(scene.end_with_one().outcome, Outcome::Success);
}

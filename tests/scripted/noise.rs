//! Peers that send any message at any time: well-formed TLS that makes no sense.

use tlscope::decrypt::Keys;
use tlscope::event::Side;
use tlscope::observer::Config;
use tlscope::sink::Sink;

use super::{CLIENT, SERVER};
use crate::support::invariants::Invariants;
use crate::support::peers::{Packet, Peers, Scene};
use crate::support::random::Random;
use crate::support::tls;

#[test]
fn peers_that_send_nonsense_are_survived() {
    let mut reported = 0;
    for seed in 0..600 {
        let mut random = Random::new(seed);
        let max_flows = random.pick(&[16, 1_000]);
        let mut scene = Scene::with(Config::default().with_max_flows(max_flows));
        let mut peers = [50_000, 50_001, 50_002].map(Peers::new);
        let mut late = Vec::new();
        for _ in 0..100 {
            let peers = &mut peers[random.below(3)];
            let packet = anything(peers, &mut random);
            let_time_pass(&mut scene, &mut random);
            match random.below(8) {
                0 => {} // lost
                1 => late.push(packet),
                2 => scene.play([packet.clone(), packet]),
                3 => scene.play(late.drain(..).rev()),
                _ => scene.deliver(&packet),
            }
        }
        let mut invariants = Invariants::new(Keys::default());
        let (events, stats) = scene.end_with_stats();
        for event in &events {
            invariants.handshake(event).unwrap();
        }
        invariants.finish(&stats).unwrap();
        reported += events.len();
    }
    assert!(reported > 1_000, "too little looks like a handshake");
}

fn let_time_pass(scene: &mut Scene, random: &mut Random) {
    match random.below(40) {
        0 => scene.wait(random.next() % 400_000),
        1 => scene.step_back(random.below(200_000) as i64),
        2 => scene.tick(),
        _ => scene.wait(1),
    }
}

fn anything(peers: &mut Peers, random: &mut Random) -> Packet {
    let side = random.pick(&[CLIENT, SERVER]);
    match random.below(24) {
        0 => peers.syn(),
        1 => peers.syn_ack(),
        2 => peers.acknowledges(side),
        3 => peers.keeps_alive(side),
        4 => peers.closes(side),
        5 => peers.resets(side),
        6 => peers.says_again(side, random.below(100) as u32, &words(side, random)),
        _ => peers.says(side, &words(side, random)),
    }
}

/// A message that this side or its peer may send, or a part of it.
fn words(side: Side, random: &mut Random) -> Vec<u8> {
    let lengths = [1, 17, 19, 21, 25, 32, 35, 53, 61, 69, 281, 528, 900, 16_401];
    let length = random.below(60);
    let mut words = match (random.below(12), side) {
        (0, _) => tls::alert(random.pick(&[1, 2, 0xff]), random.next() as u8),
        (1, _) => tls::finished_12(),
        (2, _) => tls::encrypted_alert_12(),
        (3..=6, _) => tls::encrypted(random.pick(&lengths)),
        (7, _) => tls::record(
            random.pick(&[20, 21, 22, 23, 24, 99]),
            &random.bytes(length),
        ),
        (8, _) => tls::message(random.below(26) as u8, &random.bytes(length)),
        (9, Side::Client) => tls::client_hello(),
        (10, Side::Client) => tls::client_hello_with_early_data(),
        (_, Side::Client) => tls::client_flight_12(),
        (9, Side::Server) => tls::server_flight_12_with_request(),
        (10, Side::Server) => tls::server_hello_psk(),
        (_, Side::Server) => tls::server_hello_13(),
    };
    if random.below(10) == 0 {
        words.truncate(random.below(words.len()));
    }
    words
}

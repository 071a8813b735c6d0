//! Each counter of a run moves for what it is named after, and for nothing else.

use etherparse::PacketBuilder;
use tlscope::observer::Config;
use tlscope::observer::defaults::LIVE_HANDSHAKE_TIMEOUT;

use super::{CLIENT, SERVER, complete, connect};
use crate::support::peers::{Packet, Peers, Scene};
use crate::support::tls;

/// What happens, as a live run sees it, and the counters that are not 0 then, other than packets and bytes.
struct Case {
    name: &'static str,
    play: fn(&mut Scene),
    counters: &'static [(&'static str, u64)],
}

const SECOND: u64 = 1000;
/// Longer than any connection is remembered without a packet.
const LONG: u64 = 900 * SECOND;

fn wait(scene: &mut Scene, milliseconds: u64) {
    scene.wait(milliseconds);
    scene.tick();
}

/// A connection with a ClientHello, which the server has acknowledged.
fn hello(scene: &mut Scene) -> Peers {
    let mut peers = connect(scene, 50_000);
    scene.play([
        peers.says(CLIENT, &tls::client_hello()),
        peers.acknowledges(SERVER),
    ]);
    peers
}

fn handshake(scene: &mut Scene) -> Peers {
    let mut peers = hello(scene);
    scene.play([peers.says(SERVER, &tls::server_flight_12())]);
    complete(scene, &mut peers);
    peers
}

fn close(scene: &mut Scene, peers: &mut Peers) {
    scene.play([
        peers.closes(CLIENT),
        peers.closes(SERVER),
        peers.acknowledges(CLIENT),
    ]);
}

/// A packet from the client's host that has no TCP.
fn datagram(payload: &[u8]) -> Packet {
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([192, 0, 2, 1], [192, 0, 2, 10], 64)
        .udp(50_000, 53);
    let mut packet = Vec::new();
    builder.write(&mut packet, payload).unwrap();
    Packet::of(packet)
}

const CASES: &[Case] = &[
    Case {
        name: "a handshake on a connection that is closed",
        play: |scene| {
            let mut peers = handshake(scene);
            close(scene, &mut peers);
            wait(scene, LONG);
        },
        counters: &[
            ("connections", 1),
            ("connections_tls", 1),
            ("handshakes", 1),
            ("handshakes_succeeded", 1),
        ],
    },
    Case {
        name: "a reset in answer to the hello",
        play: |scene| {
            let mut peers = hello(scene);
            scene.play([peers.resets(SERVER)]);
            wait(scene, LONG);
        },
        counters: &[
            ("connections", 1),
            ("connections_tls", 1),
            ("handshakes", 1),
            ("handshakes_failed", 1),
        ],
    },
    Case {
        name: "a reset of a connection in use",
        play: |scene| {
            let mut peers = handshake(scene);
            scene.play([peers.resets(CLIENT)]);
            wait(scene, LONG);
        },
        counters: &[
            ("connections", 1),
            ("connections_tls", 1),
            ("handshakes", 1),
            ("handshakes_succeeded", 1),
        ],
    },
    Case {
        name: "a server that never answers the hello",
        play: |scene| {
            hello(scene);
            wait(scene, 61 * SECOND);
            wait(scene, LONG);
        },
        counters: &[
            ("connections", 1),
            ("connections_tls", 1),
            ("connections_timed_out", 1),
            ("handshakes", 1),
            ("handshakes_failed", 1),
        ],
    },
    Case {
        name: "a handshake on a connection that is never closed",
        play: |scene| {
            handshake(scene);
            wait(scene, LONG);
            wait(scene, LONG);
        },
        counters: &[
            ("connections", 1),
            ("connections_tls", 1),
            ("connections_timed_out", 1),
            ("handshakes", 1),
            ("handshakes_succeeded", 1),
        ],
    },
    Case {
        name: "a connection without a byte that is never closed",
        play: |scene| {
            connect(scene, 50_000);
            wait(scene, LONG);
        },
        counters: &[("connections", 1), ("connections_timed_out", 1)],
    },
    Case {
        name: "a SYN without an answer",
        play: |scene| {
            let mut peers = Peers::new(50_000);
            scene.play([peers.syn()]);
            wait(scene, LONG);
        },
        counters: &[("connections", 1), ("connections_timed_out", 1)],
    },
    Case {
        name: "a SYN that is refused",
        play: |scene| {
            let mut peers = Peers::new(50_000);
            scene.play([peers.syn(), peers.resets(SERVER)]);
            wait(scene, LONG);
        },
        counters: &[("connections", 1)],
    },
    Case {
        name: "a connection without a byte that is closed",
        play: |scene| {
            let mut peers = connect(scene, 50_000);
            close(scene, &mut peers);
            wait(scene, LONG);
        },
        counters: &[("connections", 1)],
    },
    Case {
        name: "a frame of another protocol",
        play: |scene| scene.play([Packet::of(vec![0x45; 20])]),
        counters: &[("packets_not_tcp", 1)],
    },
    Case {
        name: "a datagram",
        play: |scene| scene.play([datagram(b"a question")]),
        counters: &[("packets_not_tcp", 1)],
    },
    Case {
        name: "plain text to a port with TLS",
        play: |scene| {
            let mut peers = handshake(scene);
            close(scene, &mut peers);
            let mut peers = connect(scene, 50_001);
            scene.play([
                peers.says(CLIENT, b"GET / HTTP/1.1\r\n\r\n"),
                peers.says(SERVER, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            ]);
            close(scene, &mut peers);
            wait(scene, LONG);
        },
        counters: &[
            ("connections", 2),
            ("connections_tls", 1),
            ("handshakes", 1),
            ("handshakes_succeeded", 1),
            ("not_tls", 1),
        ],
    },
];

#[test]
fn a_counter_moves_for_what_it_is_named_after_and_for_nothing_else() {
    /// What every case has, and what depends on the features.
    const ALWAYS: [&str; 3] = ["packets", "bytes", "chains_judged"];
    let mut differences = Vec::new();
    for Case {
        name,
        play,
        counters,
    } in CASES
    {
        let mut config = Config::default();
        config.handshake_timeout = Some(LIVE_HANDSHAKE_TIMEOUT);
        let mut scene = Scene::with(config);
        play(&mut scene);
        let (_, stats) = scene.end_with_stats();
        let moved: Vec<_> = stats
            .iter()
            .filter(|(name, count)| *count > 0 && !ALWAYS.contains(name))
            .collect();
        if moved != *counters {
            differences.push(format!("{name}: {moved:?}, expected {counters:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

//! The same exchange seen from different positions between the peers.

use tlscope::event::{Handshake, Side, Timing};

use super::{CLIENT, SERVER};
use crate::support::peers::{Packet, Peers, Scene};
use crate::support::tls;

/// Milliseconds from the client to the server.
const WAY: u64 = 20;

/// What is sent, by whom, and when, on a clock that both peers share.
struct Exchange {
    peers: Peers,
    sent: Vec<(u64, Side, Packet)>,
}

impl Exchange {
    /// A TCP handshake without delay at either end: the client continues at 40 ms.
    fn new() -> Self {
        let mut peers = Peers::new(50_000);
        let sent = vec![
            (0, CLIENT, peers.syn()),
            (WAY, SERVER, peers.syn_ack()),
            (2 * WAY, CLIENT, peers.acknowledges(CLIENT)),
        ];
        Self { peers, sent }
    }

    fn says(mut self, at: u64, side: Side, bytes: &[u8]) -> Self {
        let packet = self.peers.says(side, bytes);
        self.sent.push((at, side, packet));
        self
    }

    /// The event that an observer reports who is `from_client` milliseconds away from the client.
    fn seen(&self, from_client: u64) -> Handshake {
        let delay = |side| match side {
            Side::Client => from_client,
            Side::Server => WAY - from_client,
        };
        let mut seen: Vec<_> = self
            .sent
            .iter()
            .map(|(at, side, packet)| (at + delay(*side), packet))
            .collect();
        seen.sort_by_key(|(at, _)| *at);
        let mut scene = Scene::new();
        let mut now = 0;
        for (at, packet) in seen {
            scene.wait(at - now);
            now = at;
            scene.deliver(packet);
        }
        scene.end_with_one()
    }
}

/// Durations in milliseconds: at the observer, in the client's view, in the server's view.
fn durations(timing: &Timing) -> [Option<u128>; 3] {
    [
        timing.handshake,
        timing.handshake_client_view,
        timing.handshake_server_view,
    ]
    .map(|duration| duration.map(|duration| duration.as_millis()))
}

/// The server takes 3 ms to answer, the client 2 ms.
fn tls13() -> Exchange {
    let flight = [tls::server_hello_13(), tls::encrypted_flight()].concat();
    Exchange::new()
        .says(40, CLIENT, &tls::client_hello())
        .says(63, SERVER, &flight)
        .says(85, CLIENT, &tls::encrypted(53))
        .says(86, CLIENT, &tls::encrypted(100))
        .says(110, SERVER, &tls::encrypted(300))
}

#[test]
fn in_tls_13_both_views_are_the_same_at_every_position() {
    for from_client in [0, 5, 20] {
        let event = tls13().seen(from_client);
        assert_eq!(
            durations(&event.timing),
            [Some(45), Some(43), Some(45)],
            "{from_client}"
        );
    }
}

#[test]
fn in_tls_12_the_views_do_not_depend_on_the_observers_position() {
    let exchange = Exchange::new()
        .says(40, CLIENT, &tls::client_hello())
        .says(63, SERVER, &tls::server_flight_12())
        .says(85, CLIENT, &tls::client_flight_12())
        .says(107, SERVER, &tls::finished_12())
        .says(128, CLIENT, &tls::encrypted(100));
    for (from_client, observed) in [(0, 87), (5, 77), (20, 47)] {
        let event = exchange.seen(from_client);
        assert_eq!(
            durations(&event.timing),
            [Some(observed), Some(87), Some(47)],
            "{from_client}"
        );
    }
}

#[test]
fn in_tls_12_a_resumed_session_ends_with_the_client() {
    let flight = [tls::server_hello_12(), tls::finished_12()].concat();
    let exchange = Exchange::new()
        .says(40, CLIENT, &tls::client_hello())
        .says(63, SERVER, &flight)
        .says(85, CLIENT, &tls::finished_12())
        .says(86, CLIENT, &tls::encrypted(100));
    for from_client in [0, 5, 20] {
        let event = exchange.seen(from_client);
        assert_eq!(
            durations(&event.timing),
            [Some(45), Some(43), Some(45)],
            "{from_client}"
        );
    }
}

#[test]
fn without_the_tcp_handshake_only_views_that_need_no_distance_are_known() {
    let mut exchange = tls13();
    exchange.sent.drain(..3);
    let event = exchange.seen(5);
    assert_eq!(durations(&event.timing), [Some(45), None, Some(45)]);
}

#[test]
fn a_retransmitted_tcp_handshake_gives_no_distance() {
    let mut exchange = tls13();
    let syn = exchange.sent[0].2.clone();
    // Later than any copy of the same packet.
    exchange.sent.insert(1, (10, CLIENT, syn));
    let event = exchange.seen(5);
    assert_eq!(durations(&event.timing), [Some(45), None, Some(45)]);
}

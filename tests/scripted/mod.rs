//! Scripted peers and an observer with a virtual clock: traffic that is awkward to capture.

#[cfg(feature = "validate")]
mod certificates;
mod closing;
mod counters;
mod forged;
mod inference;
mod noise;
mod order;
mod plain;
mod position;
mod retained;
mod streams;
mod table;
mod time;

use tlscope::event::{ErrorType, Handshake, Side};

use crate::support::peers::{Peers, Scene};
use crate::support::tls;

const CLIENT: Side = Side::Client;
const SERVER: Side = Side::Server;

/// A connection that is open on both sides.
fn connect(scene: &mut Scene, client_port: u16) -> Peers {
    let mut peers = Peers::new(client_port);
    scene.play([peers.syn(), peers.syn_ack(), peers.acknowledges(CLIENT)]);
    peers
}

/// A scene after a ClientHello.
fn after_client_hello() -> (Scene, Peers) {
    let mut scene = Scene::new();
    let mut peers = connect(&mut scene, 50_000);
    scene.play([peers.says(CLIENT, &tls::client_hello())]);
    (scene, peers)
}

/// A scene after the server's first flight in TLS 1.2.
fn after_server_flight() -> (Scene, Peers) {
    let (mut scene, mut peers) = after_client_hello();
    scene.play([peers.says(SERVER, &tls::server_flight_12())]);
    (scene, peers)
}

/// Completes a TLS 1.2 handshake after the server's flight, followed by data.
fn complete(scene: &mut Scene, peers: &mut Peers) {
    scene.play([
        peers.says(CLIENT, &tls::client_flight_12()),
        peers.says(SERVER, &tls::finished_12()),
        peers.says(CLIENT, &tls::encrypted(100)),
    ]);
}

fn error(event: &Handshake) -> Option<(ErrorType, Option<Side>)> {
    let error = event.error.as_ref()?;
    Some((error.error_type, error.side))
}

//! FIN, RST and alerts, in any order.

use tlscope::event::{ClosedBy, ErrorType, Evidence, Outcome, Side};

use super::{CLIENT, SERVER, after_client_hello, after_server_flight, complete, connect, error};
use crate::support::peers::{Packet, Peers, Scene};
use crate::support::tls;

/// Each way to end a connection, with its error type and name.
type Close = (Side, fn(&mut Peers, Side) -> Packet, ErrorType, ClosedBy);

const CLOSES: [Close; 4] = [
    (
        CLIENT,
        Peers::closes,
        ErrorType::ConnectionClosed,
        ClosedBy::ClientFin,
    ),
    (
        CLIENT,
        Peers::resets,
        ErrorType::ConnectionReset,
        ClosedBy::ClientRst,
    ),
    (
        SERVER,
        Peers::closes,
        ErrorType::ConnectionClosed,
        ClosedBy::ServerFin,
    ),
    (
        SERVER,
        Peers::resets,
        ErrorType::ConnectionReset,
        ClosedBy::ServerRst,
    ),
];

#[test]
fn the_side_that_closes_first_ended_the_connection() {
    for (side, close, error_type, closed_by) in CLOSES {
        for (then, close_then, ..) in CLOSES {
            let (mut scene, mut peers) = after_server_flight();
            scene.play([close(&mut peers, side), close_then(&mut peers, then)]);
            let event = scene.end_with_one();
            assert_eq!(error(&event), Some((error_type, Some(side))), "{event:?}");
            assert_eq!(event.closed_by, Some(closed_by));
        }
    }
}

#[test]
fn a_close_after_the_client_hello_is_a_failure_of_the_side_that_closed() {
    for (side, close, error_type, _) in CLOSES {
        let (mut scene, mut peers) = after_client_hello();
        scene.play([close(&mut peers, side)]);
        assert_eq!(error(&scene.end_with_one()), Some((error_type, Some(side))));
    }
}

#[test]
fn a_close_after_the_handshake_does_not_change_it() {
    for (side, close, _, closed_by) in CLOSES {
        let (mut scene, mut peers) = after_server_flight();
        scene.play([
            peers.says(CLIENT, &tls::client_flight_12()),
            peers.says(SERVER, &tls::finished_12()),
            close(&mut peers, side),
        ]);
        let event = scene.end_with_one();
        assert_eq!(event.outcome, Outcome::Success);
        assert_eq!(event.closed_by, Some(closed_by));
        assert_eq!(event.tls.unused, Some(true));
    }
}

#[test]
fn a_fin_that_arrives_before_its_data_waits_for_it() {
    let (mut scene, mut peers) = after_server_flight();
    scene.play([peers.says(CLIENT, &tls::client_flight_12())]);
    let finished = peers.says(SERVER, &tls::finished_12());
    let fin = peers.closes(SERVER);
    scene.play([fin, finished]);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Success);
    assert_eq!(event.closed_by, Some(ClosedBy::ServerFin));
}

#[test]
fn a_fin_before_a_fatal_alert_does_not_hide_it() {
    let (mut scene, mut peers) = after_client_hello();
    let alert = peers.says(SERVER, &tls::alert(2, 112));
    let fin = peers.closes(SERVER);
    scene.play([fin, alert]);
    assert_eq!(
        error(&scene.end_with_one()),
        Some((ErrorType::UnrecognizedName, Some(SERVER)))
    );
}

#[test]
fn a_reset_before_a_fatal_alert_does_not_hide_it() {
    let (mut scene, mut peers) = after_client_hello();
    let alert = peers.says(SERVER, &tls::alert(2, 70));
    let reset = peers.resets(SERVER);
    scene.play([reset, alert]);
    assert_eq!(
        error(&scene.end_with_one()),
        Some((ErrorType::ProtocolMismatch, Some(SERVER)))
    );
}

#[test]
fn an_alert_after_the_peers_fin_is_a_reaction() {
    let (mut scene, mut peers) = after_client_hello();
    scene.play([
        peers.closes(SERVER),
        peers.says(CLIENT, &tls::alert(2, 50)),
        peers.closes(CLIENT),
    ]);
    let event = scene.end_with_one();
    assert_eq!(
        error(&event),
        Some((ErrorType::ConnectionClosed, Some(SERVER)))
    );
    assert_eq!(event.alerts.len(), 1);
}

#[test]
fn an_alert_before_the_peers_fin_is_the_cause() {
    let (mut scene, mut peers) = after_server_flight();
    scene.play([
        peers.says(CLIENT, &tls::alert(2, 48)),
        peers.closes(SERVER),
        peers.closes(CLIENT),
    ]);
    assert_eq!(
        error(&scene.end_with_one()),
        Some((ErrorType::UnknownCa, Some(CLIENT)))
    );
}

#[test]
fn a_warning_is_not_the_end() {
    let (mut scene, mut peers) = after_client_hello();
    scene.play([
        peers.says(SERVER, &tls::alert(1, 112)),
        peers.says(SERVER, &tls::server_flight_12()),
    ]);
    complete(&mut scene, &mut peers);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Success);
    assert_eq!(event.alerts.len(), 1);
}

#[test]
fn an_encrypted_alert_before_the_servers_finished_is_a_failure() {
    let (mut scene, mut peers) = after_server_flight();
    scene.play([
        peers.says(CLIENT, &tls::client_flight_12()),
        peers.says(CLIENT, &tls::encrypted_alert_12()),
        peers.closes(CLIENT),
    ]);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Failure);
    assert_eq!(event.evidence, Evidence::Inferred);
    assert_eq!(event.inference.as_ref().unwrap().rule, "T2");
    assert_eq!(error(&event).unwrap().1, Some(CLIENT));
}

#[test]
fn a_server_that_closes_after_an_empty_certificate_wanted_one() {
    let (mut scene, mut peers) = after_client_hello();
    let flight = [tls::empty_certificate_12(), tls::client_flight_12()].concat();
    scene.play([
        peers.says(SERVER, &tls::server_flight_12_with_request()),
        peers.says(CLIENT, &flight),
        peers.closes(SERVER),
    ]);
    let event = scene.end_with_one();
    assert_eq!(
        error(&event),
        Some((ErrorType::MissingClientCert, Some(SERVER)))
    );
    assert_eq!(event.inference.as_ref().unwrap().rule, "T3");
}

#[test]
fn a_server_that_closes_long_after_an_empty_certificate_may_have_another_reason() {
    let (mut scene, mut peers) = after_client_hello();
    let flight = [tls::empty_certificate_12(), tls::client_flight_12()].concat();
    scene.play([
        peers.says(SERVER, &tls::server_flight_12_with_request()),
        peers.says(CLIENT, &flight),
        peers.acknowledges(SERVER),
    ]);
    scene.wait(40_000);
    scene.play([peers.closes(SERVER)]);
    assert_eq!(
        error(&scene.end_with_one()),
        Some((ErrorType::ConnectionClosed, Some(SERVER)))
    );
}

/// The server may have spoken plain text before: `not_tls` would be right then.
#[test]
fn a_close_without_an_answer_says_nothing_if_the_beginning_is_missing() {
    for (side, close, error_type, _) in CLOSES {
        let mut peers = Peers::new(50_000);
        let opening = [peers.syn(), peers.syn_ack(), peers.acknowledges(CLIENT)];
        let hello = peers.says(CLIENT, &tls::client_hello());
        let closes = close(&mut peers, side);
        let whole = opening.into_iter().chain([hello, closes]);
        let outcome = |packets: Vec<Packet>| {
            let mut scene = Scene::new();
            scene.play(packets);
            scene.end_with_one()
        };
        let whole: Vec<_> = whole.collect();
        let cut = outcome(whole[3..].to_vec());
        assert_eq!(cut.outcome, Outcome::Unknown, "{cut:?}");
        let whole = outcome(whole);
        assert_eq!(error(&whole), Some((error_type, Some(side))));
    }
}

#[test]
fn a_reset_amid_a_hello_in_small_pieces_after_something_else_is_the_servers() {
    for piece in [1, 7, 20] {
        let mut scene = Scene::new();
        let mut peers = connect(&mut scene, 50_000);
        scene.play([
            peers.says(CLIENT, &[b'c'; 90]),
            peers.says(SERVER, &[b's'; 80]),
        ]);
        let hello = tls::client_hello();
        for part in hello[..hello.len() - 10].chunks(piece) {
            scene.play([peers.says(CLIENT, part)]);
        }
        scene.play([peers.resets(SERVER)]);
        let event = scene.end_with_one();
        let expected = Some((ErrorType::ConnectionReset, Some(SERVER)));
        assert_eq!(error(&event), expected, "pieces of {piece}: {event:?}");
    }
}

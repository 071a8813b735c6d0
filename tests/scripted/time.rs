//! Timeouts, retransmissions, and clocks that step back.

use std::time::Duration;

use tlscope::event::{ClosedBy, ErrorType, Outcome, UnknownBecause};
use tlscope::observer::Config;
use tlscope::observer::defaults::LIVE_HANDSHAKE_TIMEOUT;

use super::{CLIENT, SERVER, after_client_hello, after_server_flight, complete, connect, error};
use crate::support::peers::{Flags, Forgery, Peers, Scene};
use crate::support::tls;

/// A scene that reports handshakes without progress, as `live` does, after the server's silence begins.
fn after_acknowledged_hello(handshake_timeout: Option<Duration>) -> (Scene, Peers) {
    let mut config = Config::default();
    config.handshake_timeout = handshake_timeout;
    let mut scene = Scene::with(config);
    let mut peers = connect(&mut scene, 50_000);
    scene.play([
        peers.says(CLIENT, &tls::client_hello()),
        peers.acknowledges(SERVER),
    ]);
    (scene, peers)
}

/// Lets time pass, of which another connection tells.
fn pass(scene: &mut Scene, milliseconds: u64) {
    scene.wait(milliseconds);
    scene.tick();
}

#[test]
fn a_live_observer_reports_silence_after_its_timeout_and_not_before() {
    let (mut scene, _) = after_acknowledged_hello(Some(LIVE_HANDSHAKE_TIMEOUT));
    pass(&mut scene, 59_980);
    assert!(scene.events().is_empty());
    pass(&mut scene, 1_020);
    let event = &scene.events()[0];
    assert_eq!(error(event), Some((ErrorType::NoServerHello, Some(SERVER))));
    assert_eq!(event.closed_by, None);
    assert_eq!(scene.stats().connections_timed_out, 1);
}

/// A program that closes without reading all resets the connection when more arrives, often after its FIN.
#[test]
fn a_live_observer_reports_a_reset_after_a_fin_as_promptly_as_one_without() {
    for closes_before in [false, true] {
        let (mut scene, mut peers) = after_acknowledged_hello(Some(LIVE_HANDSHAKE_TIMEOUT));
        if closes_before {
            scene.play([peers.closes(CLIENT)]);
        }
        scene.play([peers.resets(CLIENT)]);
        pass(&mut scene, 1_100);
        assert_eq!(scene.events().len(), 1, "FIN before: {closes_before}");
    }
}

#[test]
fn silence_is_no_evidence_if_packets_were_dropped_since() {
    let (mut scene, _) = after_acknowledged_hello(Some(LIVE_HANDSHAKE_TIMEOUT));
    pass(&mut scene, 10);
    scene.drop_packets();
    pass(&mut scene, 61_000);
    let event = &scene.events()[0];
    assert_eq!(event.outcome, Outcome::Unknown);
    assert_eq!(event.unknown_because, Some(UnknownBecause::Gap));
    // Nor at the end of a capture.
    let (mut scene, _) = after_acknowledged_hello(None);
    pass(&mut scene, 10);
    scene.drop_packets();
    pass(&mut scene, 61_000);
    let event = scene.end_with_one();
    assert_eq!(event.unknown_because, Some(UnknownBecause::Gap));
}

#[test]
fn packets_that_were_dropped_before_a_connection_do_not_matter_to_it() {
    let mut config = Config::default();
    config.handshake_timeout = Some(LIVE_HANDSHAKE_TIMEOUT);
    let mut scene = Scene::with(config);
    scene.drop_packets();
    scene.wait(1);
    let mut peers = connect(&mut scene, 50_000);
    scene.play([
        peers.says(CLIENT, &tls::client_hello()),
        peers.acknowledges(SERVER),
    ]);
    pass(&mut scene, 61_000);
    let event = &scene.events()[0];
    assert_eq!(error(event), Some((ErrorType::NoServerHello, Some(SERVER))));
}

#[test]
fn what_follows_a_report_of_silence_is_not_another_handshake() {
    let (mut scene, mut peers) = after_acknowledged_hello(Some(LIVE_HANDSHAKE_TIMEOUT));
    pass(&mut scene, 61_000);
    scene.play([peers.says(SERVER, &tls::server_flight_12())]);
    complete(&mut scene, &mut peers);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Failure);
}

#[test]
fn replay_waits_for_the_end_of_the_capture() {
    let (mut scene, mut peers) = after_acknowledged_hello(None);
    pass(&mut scene, 35_000);
    assert!(scene.events().is_empty());
    scene.play([peers.says(SERVER, &tls::server_flight_12())]);
    pass(&mut scene, 3_600_000);
    complete(&mut scene, &mut peers);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Success);
    assert_eq!(event.timing.server_hello.unwrap().as_millis(), 35_002);
    assert_eq!(event.timing.handshake.unwrap().as_millis(), 3_635_004);
}

#[test]
fn packets_of_other_connections_advance_the_clock_like_ticks() {
    let (mut scene, _) = after_acknowledged_hello(Some(LIVE_HANDSHAKE_TIMEOUT));
    scene.wait(59_980);
    connect(&mut scene, 50_001);
    assert!(scene.events().is_empty());
    scene.wait(1_000);
    connect(&mut scene, 50_002);
    assert_eq!(scene.events().len(), 1);
}

#[test]
fn a_server_without_an_answer_is_to_blame_however_long_the_client_waits() {
    for (milliseconds, closes) in [
        (1_500, true),
        (5_000, true),
        (12_000, true),
        (12_000, false),
    ] {
        let (mut scene, mut peers) = after_acknowledged_hello(None);
        pass(&mut scene, milliseconds);
        if closes {
            scene.play([peers.closes(CLIENT), peers.closes(SERVER)]);
        }
        let event = scene.end_with_one();
        assert_eq!(
            error(&event),
            Some((ErrorType::NoServerHello, Some(SERVER)))
        );
        assert!(event.error.unwrap().message.contains("had acknowledged it"));
    }
    // A client that leaves at once did not wait for the server.
    let (mut scene, mut peers) = after_acknowledged_hello(None);
    scene.wait(200);
    scene.play([peers.closes(CLIENT), peers.closes(SERVER)]);
    assert_eq!(
        error(&scene.end_with_one()),
        Some((ErrorType::ConnectionClosed, Some(CLIENT)))
    );
}

#[test]
fn data_without_acknowledgment_or_repetition_prove_that_the_capture_lacks_packets() {
    let (mut scene, _) = after_client_hello();
    pass(&mut scene, 30_000);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Unknown);
    assert_eq!(
        event.unknown_because,
        Some(UnknownBecause::LastDataNotAcknowledged)
    );
    assert_eq!(event.confidence, None);
    let (mut scene, _) = after_server_flight();
    pass(&mut scene, 30_000);
    assert_eq!(
        scene.end_with_one().unknown_because,
        Some(UnknownBecause::LastDataNotAcknowledged)
    );
}

#[test]
fn a_small_hello_sent_again_and_again_has_no_answer() {
    let (mut scene, mut peers) = after_client_hello();
    let hello = tls::client_hello();
    for seconds in [1, 2, 4, 8] {
        scene.wait(seconds * 1_000);
        scene.deliver(&peers.says_again(CLIENT, hello.len() as u32, &hello));
    }
    pass(&mut scene, 16_000);
    let event = scene.end_with_one();
    assert_eq!(
        error(&event),
        Some((ErrorType::NoServerHello, Some(SERVER)))
    );
    let message = event.error.unwrap().message;
    assert!(
        message.contains("sent 5 times, never acknowledged"),
        "{message}"
    );
}

#[test]
fn a_server_flight_sent_again_and_again_was_not_delivered() {
    let (mut scene, mut peers) = after_acknowledged_hello(None);
    let flight = tls::server_flight_12();
    scene.deliver(&peers.says(SERVER, &flight));
    for seconds in [1, 2, 4, 8] {
        scene.wait(seconds * 1_000);
        scene.deliver(&peers.says_again(SERVER, flight.len() as u32, &flight));
    }
    pass(&mut scene, 16_000);
    let event = scene.end_with_one();
    assert_eq!(error(&event), Some((ErrorType::NotDelivered, None)));
    let message = event.error.unwrap().message;
    assert!(message.contains("of the server"), "{message}");
    assert!(message.contains("sent 5 times in 15.0 s"), "{message}");
}

#[test]
fn bytes_that_the_receiver_lacks_too_are_no_gap_in_the_capture() {
    let lost = |acknowledges_all: bool| {
        let (mut scene, mut peers) = after_acknowledged_hello(None);
        let flight = tls::server_flight_12();
        let _never_captured = peers.says(SERVER, &flight[..40]);
        scene.play([peers.says(SERVER, &flight[40..])]);
        let mut behind = Peers::with_initial(50_000, peers.positions());
        if acknowledges_all {
            scene.play([peers.acknowledges(CLIENT)]);
        } else {
            behind.skip_back(SERVER, flight.len() as u32);
            scene.play([behind.acknowledges(CLIENT)]);
            scene.wait(5_000);
            scene.play([behind.closes(CLIENT)]);
        }
        scene.end_with_one()
    };
    let in_network = lost(false);
    assert_eq!(error(&in_network), Some((ErrorType::NotDelivered, None)));
    assert_eq!(in_network.capture.server_gap_bytes, 0);
    let message = in_network.error.unwrap().message;
    assert!(message.starts_with("40 bytes of the server"), "{message}");
    let in_capture = lost(true);
    assert_eq!(in_capture.unknown_because, Some(UnknownBecause::Gap));
    assert_eq!(in_capture.capture.server_gap_bytes, 40);
}

/// Without a sign of that, the capture may lack the rest of the handshake.
#[test]
fn the_side_that_falls_silent_is_to_blame_if_the_connection_is_seen_to_be_open() {
    let silent = |has_client_answered: bool, is_shown_open: bool| {
        let (mut scene, mut peers) = after_server_flight();
        if has_client_answered {
            let flight = peers.says(CLIENT, &tls::client_flight_12());
            scene.play([flight, peers.acknowledges(SERVER)]);
        } else {
            scene.play([peers.acknowledges(CLIENT)]);
        }
        pass(&mut scene, 12_000);
        if is_shown_open {
            scene.play([peers.keeps_alive(CLIENT), peers.acknowledges(SERVER)]);
        }
        pass(&mut scene, 30_000);
        let event = scene.end_with_one();
        (error(&event), event.unknown_because)
    };
    let timeout = |side| (Some((ErrorType::HandshakeTimeout, Some(side))), None);
    assert_eq!(silent(false, true), timeout(CLIENT));
    assert_eq!(silent(true, true), timeout(SERVER));
    let unknown = (None, Some(UnknownBecause::CaptureEnd));
    assert_eq!(silent(false, false), unknown);
    assert_eq!(silent(true, false), unknown);
}

#[test]
fn retransmissions_keep_a_live_handshake_open_but_not_forever() {
    let (mut scene, mut peers) = after_acknowledged_hello(Some(LIVE_HANDSHAKE_TIMEOUT));
    let hello = tls::client_hello();
    for _ in 0..2 {
        pass(&mut scene, 40_000);
        scene.deliver(&peers.says_again(CLIENT, hello.len() as u32, &hello));
    }
    assert!(scene.events().is_empty());
    for _ in 0..3 {
        pass(&mut scene, 40_000);
        scene.deliver(&peers.says_again(CLIENT, hello.len() as u32, &hello));
    }
    assert_eq!(scene.events().len(), 1);
}

#[test]
fn keep_alives_do_not_keep_a_live_handshake_open() {
    let (mut scene, mut peers) = after_acknowledged_hello(Some(LIVE_HANDSHAKE_TIMEOUT));
    pass(&mut scene, 50_000);
    scene.deliver(&peers.keeps_alive(CLIENT));
    scene.deliver(&peers.acknowledges(SERVER));
    pass(&mut scene, 11_000);
    assert_eq!(scene.events().len(), 1);
}

#[test]
fn a_clock_that_steps_back_gives_no_duration_and_no_panic() {
    let (mut scene, mut peers) = after_client_hello();
    scene.step_back(3_600_000);
    scene.play([peers.says(SERVER, &tls::server_flight_12())]);
    complete(&mut scene, &mut peers);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Success);
    assert_eq!(event.timing.server_hello, None);
    assert_eq!(event.timing.handshake, None);
}

#[test]
fn silence_is_noticed_after_the_clock_stepped_back() {
    let mut scene = Scene::new();
    connect(&mut scene, 50_000);
    scene.step_back(3_600_000);
    let mut peers = connect(&mut scene, 50_001);
    scene.play([
        peers.says(CLIENT, &tls::client_hello()),
        peers.acknowledges(SERVER),
    ]);
    scene.wait(11_000);
    connect(&mut scene, 50_002);
    assert_eq!(
        error(&scene.end_with_one()),
        Some((ErrorType::NoServerHello, Some(SERVER)))
    );
}

#[test]
fn the_end_of_the_capture_is_not_a_timeout() {
    let (mut scene, _) = after_acknowledged_hello(None);
    scene.wait(9_000);
    let event = scene.end_with_one();
    assert_eq!(event.unknown_because, Some(UnknownBecause::CaptureEnd));
    assert_eq!(event.closed_by, Some(ClosedBy::CaptureEnd));
}

/// Nobody acknowledges a reset or sends it again: a capture that lacks it lacks the end.
#[test]
fn a_silence_after_which_nothing_shows_the_connection_open_is_less_certain() {
    let confidence = |is_shown_open: bool| {
        let (mut scene, mut peers) = after_acknowledged_hello(None);
        pass(&mut scene, 12_000);
        if is_shown_open {
            scene.play([peers.keeps_alive(CLIENT), peers.acknowledges(SERVER)]);
        }
        pass(&mut scene, 30_000);
        let event = scene.end_with_one();
        assert_eq!(
            error(&event),
            Some((ErrorType::NoServerHello, Some(SERVER)))
        );
        let rule = event.inference.map(|inference| inference.rule);
        (event.confidence, rule)
    };
    assert_eq!(confidence(true), (Some(1.0), None));
    assert_eq!(confidence(false), (Some(0.5), Some("T5")));
}

#[test]
fn a_silence_of_the_capture_is_none_of_the_peers() {
    const HOURS: u64 = 3 * 3_600_000;
    for handshake_timeout in [None, Some(LIVE_HANDSHAKE_TIMEOUT)] {
        let (mut scene, _) = after_acknowledged_hello(handshake_timeout);
        pass(&mut scene, 2_000);
        pass(&mut scene, HOURS);
        pass(&mut scene, 90_000);
        let event = scene.end_with_one();
        assert_eq!(event.unknown_because, Some(UnknownBecause::CaptureEnd));
    }
    // What had shown before the pause remains shown.
    let (mut scene, _) = after_acknowledged_hello(None);
    pass(&mut scene, 15_000);
    pass(&mut scene, HOURS);
    assert_eq!(
        error(&scene.end_with_one()),
        Some((ErrorType::NoServerHello, Some(SERVER)))
    );
    // So does what the connection itself shows after it.
    let (mut scene, mut peers) = after_acknowledged_hello(None);
    pass(&mut scene, 2_000);
    pass(&mut scene, HOURS);
    scene.play([peers.closes(CLIENT), peers.closes(SERVER)]);
    assert_eq!(
        error(&scene.end_with_one()),
        Some((ErrorType::NoServerHello, Some(SERVER)))
    );
}

#[test]
fn a_syn_in_the_name_of_the_server_changes_no_time() {
    let connect_time = |is_forged: bool| {
        let mut scene = Scene::new();
        let mut peers = Peers::new(50_000);
        if is_forged {
            let forgery = Forgery {
                flags: Flags {
                    syn: true,
                    ..Flags::default()
                },
                sequence: 77_000,
                ..Forgery::default()
            };
            scene.play([peers.forged(SERVER, &forgery)]);
            scene.wait(500);
        }
        scene.play([peers.syn(), peers.syn_ack(), peers.acknowledges(CLIENT)]);
        scene.play([
            peers.says(CLIENT, &tls::client_hello()),
            peers.says(SERVER, &tls::server_flight_12()),
        ]);
        complete(&mut scene, &mut peers);
        scene.end_with_one().timing.tcp_connect
    };
    assert_eq!(connect_time(true), connect_time(false));
}

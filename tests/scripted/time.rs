//! Timeouts, retransmissions, and clocks that step back.

use tlscope::event::{ClosedBy, ErrorType, Outcome};

use super::{CLIENT, SERVER, after_client_hello, after_server_flight, complete, connect, error};
use crate::support::peers::Scene;
use crate::support::tls;

#[test]
fn a_client_hello_without_an_answer_fails_after_ten_seconds_and_not_before() {
    let (mut scene, _) = after_client_hello();
    scene.wait(9_990);
    scene.tick();
    assert!(scene.events().is_empty());
    scene.wait(10);
    scene.tick();
    let event = &scene.events()[0];
    assert_eq!(error(event), Some((ErrorType::NoServerHello, Some(SERVER))));
    assert_eq!(event.closed_by, Some(ClosedBy::Timeout));
    assert_eq!(scene.stats().connections_timed_out, 1);
}

#[test]
fn packets_of_other_connections_advance_the_clock_like_ticks() {
    let (mut scene, _) = after_client_hello();
    scene.wait(9_980);
    connect(&mut scene, 50_001);
    assert!(scene.events().is_empty());
    scene.wait(1_000);
    connect(&mut scene, 50_002);
    assert_eq!(scene.events().len(), 1);
}

#[test]
fn a_client_that_falls_silent_is_to_blame() {
    let (mut scene, _) = after_server_flight();
    scene.wait(10_000);
    scene.tick();
    assert_eq!(
        error(&scene.events()[0]),
        Some((ErrorType::HandshakeTimeout, Some(CLIENT)))
    );
}

#[test]
fn a_server_that_falls_silent_is_to_blame() {
    let (mut scene, mut peers) = after_server_flight();
    scene.play([peers.says(CLIENT, &tls::client_flight_12())]);
    scene.wait(10_000);
    scene.tick();
    assert_eq!(
        error(&scene.events()[0]),
        Some((ErrorType::HandshakeTimeout, Some(SERVER)))
    );
}

#[test]
fn an_answer_after_nine_seconds_is_in_time() {
    let (mut scene, mut peers) = after_client_hello();
    scene.wait(9_000);
    scene.play([peers.says(SERVER, &tls::server_flight_12())]);
    scene.wait(9_000);
    scene.tick();
    complete(&mut scene, &mut peers);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Success);
    assert_eq!(event.timing.server_hello.unwrap().as_millis(), 9_001);
    assert_eq!(event.timing.handshake.unwrap().as_millis(), 18_003);
}

#[test]
fn retransmissions_keep_a_handshake_open() {
    let (mut scene, mut peers) = after_client_hello();
    let hello = tls::client_hello();
    scene.wait(9_000);
    scene.deliver(&peers.says_again(CLIENT, hello.len() as u32, &hello));
    scene.wait(9_990);
    scene.tick();
    assert!(scene.events().is_empty());
    scene.wait(10);
    scene.tick();
    assert_eq!(scene.events().len(), 1);
}

#[test]
fn retransmissions_do_not_keep_a_handshake_open_forever() {
    let (mut scene, mut peers) = after_client_hello();
    let hello = tls::client_hello();
    for _ in 0..20 {
        scene.wait(9_000);
        scene.deliver(&peers.says_again(CLIENT, hello.len() as u32, &hello));
        scene.tick();
    }
    assert_eq!(scene.events().len(), 1);
}

#[test]
fn keep_alives_do_not_keep_a_handshake_open() {
    let (mut scene, mut peers) = after_server_flight();
    scene.wait(9_000);
    scene.deliver(&peers.keeps_alive(CLIENT));
    scene.deliver(&peers.acknowledges(SERVER));
    scene.wait(1_000);
    scene.tick();
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
    scene.play([peers.says(CLIENT, &tls::client_hello())]);
    scene.wait(10_000);
    connect(&mut scene, 50_002);
    assert_eq!(
        error(&scene.events()[0]),
        Some((ErrorType::NoServerHello, Some(SERVER)))
    );
}

#[test]
fn the_end_of_the_capture_is_not_a_timeout() {
    let (mut scene, _) = after_client_hello();
    scene.wait(9_000);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Unknown);
    assert_eq!(event.closed_by, Some(ClosedBy::CaptureEnd));
}

//! Connections that did not become TLS, and TLS that came after something else.

use tlscope::event::{NotTls, NotTlsKind, Outcome};

use super::{CLIENT, SERVER, complete, connect};
use crate::support::peers::{Packet, Peers, Scene};
use crate::support::tls;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n";

/// A TLS 1.2 handshake from `port`.
fn handshake(scene: &mut Scene, port: u16) {
    let mut peers = connect(scene, port);
    tls_12(scene, &mut peers);
}

fn tls_12(scene: &mut Scene, peers: &mut Peers) {
    scene.play([
        peers.says(CLIENT, &tls::client_hello()),
        peers.says(SERVER, &tls::server_flight_12()),
    ]);
    complete(scene, peers);
}

fn close(scene: &mut Scene, peers: &mut Peers) {
    scene.play([
        peers.closes(CLIENT),
        peers.closes(SERVER),
        peers.acknowledges(CLIENT),
    ]);
}

/// A connection on which each side says something, and that is closed.
fn conversation(scene: &mut Scene, port: u16, runs: &[(tlscope::event::Side, &[u8])]) {
    let mut peers = connect(scene, port);
    for (side, run) in runs {
        scene.play([peers.says(*side, run)]);
    }
    close(scene, &mut peers);
}

fn kinds(events: &[NotTls]) -> Vec<(NotTlsKind, u16)> {
    let kind = |event: &NotTls| (event.kind, event.client.port);
    events.iter().map(kind).collect()
}

#[test]
fn a_plain_request_to_a_tls_port_is_reported_wherever_in_the_run_tls_comes() {
    let mut scene = Scene::new();
    let request = [
        (CLIENT, REQUEST),
        (SERVER, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    ];
    conversation(&mut scene, 50_001, &request);
    assert!(scene.not_tls().is_empty());
    handshake(&mut scene, 50_002);
    conversation(&mut scene, 50_003, &request);
    let events = scene.end_with_not_tls();
    let expected = [50_001, 50_003].map(|port| (NotTlsKind::Plaintext, port));
    assert_eq!(kinds(&events), expected);
    assert_eq!(events[0].server.port, 443);
    let quoted = r#"client sent "GET / HTTP/1.1\r\n"#;
    assert!(
        events[0].message.starts_with(quoted),
        "{}",
        events[0].message
    );
}

#[test]
fn plain_traffic_to_a_port_without_tls_is_not_reported() {
    let mut scene = Scene::new();
    conversation(&mut scene, 50_001, &[(CLIENT, REQUEST)]);
    conversation(&mut scene, 50_002, &[]);
    // A client that speaks TLS to a plain server does not make it a TLS server.
    conversation(
        &mut scene,
        50_003,
        &[
            (CLIENT, &tls::client_hello()),
            (SERVER, b"HTTP/1.1 400\r\n\r\n"),
        ],
    );
    assert_eq!(scene.end_with_not_tls(), []);
}

#[test]
fn tls_after_starttls_does_not_make_plain_text_on_that_port_worth_a_report() {
    let mut scene = Scene::new();
    let mut peers = connect(&mut scene, 50_001);
    scene.play([
        peers.says(SERVER, b"220 mx\r\n"),
        peers.says(CLIENT, b"STARTTLS\r\n"),
        peers.says(SERVER, b"220 go\r\n"),
    ]);
    tls_12(&mut scene, &mut peers);
    conversation(
        &mut scene,
        50_002,
        &[(SERVER, b"220 mx\r\n"), (CLIENT, b"QUIT\r\n")],
    );
    assert_eq!(scene.end_with_not_tls(), []);
}

#[test]
fn a_connection_closed_without_a_byte_is_a_silent_probe() {
    let mut scene = Scene::new();
    handshake(&mut scene, 50_000);
    conversation(&mut scene, 50_001, &[]);
    let mut peers = connect(&mut scene, 50_002);
    scene.play([peers.resets(CLIENT)]);
    let events = scene.end_with_not_tls();
    let expected = [50_001, 50_002].map(|port| (NotTlsKind::SilentProbe, port));
    assert_eq!(kinds(&events), expected);
}

#[test]
fn a_refused_connection_and_one_whose_bytes_were_not_captured_are_no_probes() {
    let mut scene = Scene::new();
    handshake(&mut scene, 50_000);
    let mut refused = Peers::new(50_001);
    scene.play([refused.syn(), refused.resets(SERVER)]);
    let mut lossy = connect(&mut scene, 50_002);
    let _lost: Packet = lossy.says(CLIENT, &tls::client_hello());
    scene.play([lossy.acknowledges(SERVER), lossy.resets(SERVER)]);
    let mut still_open = connect(&mut scene, 50_003);
    scene.play([still_open.acknowledges(SERVER)]);
    assert_eq!(scene.end_with_not_tls(), []);
}

#[test]
fn the_middle_of_a_connection_is_not_taken_for_its_beginning() {
    let mut scene = Scene::new();
    handshake(&mut scene, 50_000);
    let mut peers = Peers::new(50_001);
    scene.play([peers.says(CLIENT, b"\x8a\x01 something encrypted")]);
    // The hello is lost, and what follows are records.
    let mut peers = connect(&mut scene, 50_002);
    scene.play([peers.says(CLIENT, &tls::encrypted(50))]);
    assert_eq!(scene.end_with_not_tls(), []);
}

#[test]
fn a_refused_starttls_is_reported_as_soon_as_the_client_goes_on_without() {
    let mut scene = Scene::new();
    let mut peers = connect(&mut scene, 50_001);
    scene.play([
        peers.says(SERVER, b"220 mx\r\n"),
        peers.says(CLIENT, b"STARTTLS\r\n"),
        peers.says(SERVER, b"454 not now\r\n"),
    ]);
    assert!(scene.not_tls().is_empty());
    scene.play([peers.says(CLIENT, b"MAIL FROM:<a@example.org>\r\n")]);
    let events = scene.end_with_not_tls();
    assert_eq!(kinds(&events), [(NotTlsKind::StartTlsRefused, 50_001)]);
    let message = "server refused STARTTLS: \"454 not now\"; the client continued in plaintext";
    assert_eq!(events[0].message, message);
}

#[test]
fn a_client_that_leaves_after_a_refusal_is_reported_at_the_end() {
    let mut scene = Scene::new();
    conversation(
        &mut scene,
        50_001,
        &[
            (CLIENT, b"CONNECT example.org:443 HTTP/1.1\r\n\r\n"),
            (
                SERVER,
                b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            ),
        ],
    );
    let events = scene.end_with_not_tls();
    assert_eq!(kinds(&events), [(NotTlsKind::StartTlsRefused, 50_001)]);
    assert_eq!(events[0].starttls, None);
    assert!(events[0].message.contains("407"), "{}", events[0].message);
}

#[test]
fn a_hello_after_plain_text_is_found_however_it_is_cut() {
    let hello = tls::client_hello();
    for cut in [1, 2, 3, 5, 6, 9, 10, 11, 12, 40] {
        let mut scene = Scene::new();
        let mut peers = connect(&mut scene, 50_000);
        scene.play([
            peers.says(CLIENT, b"STARTTLS\r\n"),
            peers.says(SERVER, b"220 go\r\n"),
        ]);
        for part in hello[..cut].chunks(3) {
            scene.play([peers.says(CLIENT, part)]);
        }
        scene.play([
            peers.says(CLIENT, &hello[cut..]),
            peers.says(SERVER, &tls::server_flight_12()),
        ]);
        complete(&mut scene, &mut peers);
        let event = scene.end_with_one();
        assert_eq!(event.outcome, Outcome::Success, "{cut}");
        assert_eq!(event.tls.history, "CsxnGIFifD", "{cut}");
        assert_eq!(event.tls.server_name.as_deref(), Some("www.example.org"));
    }
}

#[test]
fn a_hello_behind_a_proxy_header_in_the_same_segment_is_found() {
    let text = b"PROXY TCP4 203.0.113.9 198.51.100.10 50123 443\r\n".to_vec();
    let mut binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    binary.extend([203, 0, 113, 9, 198, 51, 100, 10, 0xc3, 0xcb, 1, 0xbb]);
    for header in [text, binary] {
        for cut in [0, 5, header.len() - 1, header.len(), header.len() + 4] {
            let mut scene = Scene::new();
            let mut peers = connect(&mut scene, 50_000);
            let whole = [&header[..], &tls::client_hello()].concat();
            let cut = if cut < 16 { 0 } else { cut };
            let (first, rest) = whole.split_at(cut);
            let parts = [first, rest].into_iter().filter(|part| !part.is_empty());
            let parts: Vec<_> = parts.map(|part| peers.says(CLIENT, part)).collect();
            scene.play(parts);
            scene.play([peers.says(SERVER, &tls::server_flight_12())]);
            complete(&mut scene, &mut peers);
            let event = scene.end_with_one();
            assert_eq!(event.outcome, Outcome::Success, "{cut}");
            assert_eq!(event.tls.server_name.as_deref(), Some("www.example.org"));
            assert_eq!(event.capture.client_gap_bytes, 0);
        }
    }
}

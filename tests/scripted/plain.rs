//! Connections that did not become TLS, and TLS that came after something else.

use std::time::Duration;

use tlscope::event::{ErrorType, NotTls, NotTlsKind, Outcome, ProxyKind, StartTls};

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
fn a_dialogue_before_tls_has_a_name_and_a_time() {
    let mut scene = Scene::new();
    let mut peers = connect(&mut scene, 50_000);
    scene.play([
        peers.says(SERVER, b"220 mx\r\n"),
        peers.says(CLIENT, b"EHLO me\r\n"),
        peers.says(SERVER, b"250-mx\r\n250 STARTTLS\r\n"),
        peers.says(CLIENT, b"STARTTLS\r\n"),
        peers.says(SERVER, b"220 go\r\n"),
    ]);
    tls_12(&mut scene, &mut peers);
    let event = scene.end_with_one();
    assert_eq!(event.outcome, Outcome::Success);
    assert_eq!(event.starttls, Some(StartTls::Smtp));
    assert_eq!(event.timing.starttls, Some(Duration::from_millis(5)));
    assert_eq!(event.proxy, None);
}

#[test]
fn a_client_hello_after_a_refusal_is_a_failure_with_the_servers_answer() {
    let mut scene = Scene::new();
    let mut peers = connect(&mut scene, 50_000);
    scene.play([
        peers.says(SERVER, b"* OK hi\r\n"),
        peers.says(CLIENT, b"a STARTTLS\r\n"),
        peers.says(SERVER, b"a NO not here\r\n"),
        peers.says(CLIENT, &tls::client_hello()),
        peers.says(SERVER, b"* BAD what?\r\n"),
    ]);
    close(&mut scene, &mut peers);
    let event = scene.end_with_one();
    let error = event.error.unwrap();
    assert_eq!(error.error_type, ErrorType::StartTlsRefused);
    let message = "server refused STARTTLS: \"a NO not here\"; the client began TLS nevertheless";
    assert_eq!((&*error.message, error.side), (message, Some(SERVER)));
}

#[test]
fn plaintext_in_a_protocol_with_starttls_is_reported_and_an_offer_counted() {
    let mut scene = Scene::new();
    let talk = |answer: &'static [u8]| -> [(tlscope::event::Side, &'static [u8]); 4] {
        [
            (SERVER, b"220 mx\r\n"),
            (CLIENT, b"EHLO me\r\n"),
            (SERVER, answer),
            (CLIENT, b"MAIL FROM:<a@example.org>\r\n"),
        ]
    };
    conversation(&mut scene, 50_001, &talk(b"250-mx\r\n250 STARTTLS\r\n"));
    conversation(&mut scene, 50_002, &talk(b"250 mx\r\n"));
    assert_eq!(scene.stats().starttls_not_taken, 1);
    let events = scene.end_with_not_tls();
    let expected = [50_001, 50_002].map(|port| (NotTlsKind::Plaintext, port));
    assert_eq!(kinds(&events), expected);
    let offered = events.iter().map(|event| event.starttls_offered);
    assert_eq!(offered.collect::<Vec<_>>(), [Some(true), Some(false)]);
    let message = "smtp without TLS: the server offered it, the client did not ask";
    assert_eq!(events[0].message, message);
}

/// Bytes as payloads of TDS packets, of at most `size` bytes each.
fn in_tds(bytes: &[u8], size: usize) -> Vec<u8> {
    let packet = |payload: &[u8]| {
        let [high, low] = (payload.len() as u16 + 8).to_be_bytes();
        [&[0x12, 1, high, low, 0, 0, 1, 0], payload].concat()
    };
    bytes.chunks(size).flat_map(packet).collect()
}

#[test]
fn a_handshake_inside_packets_of_tds_is_read_however_it_is_cut() {
    let prelogin = |encryption| {
        let options = [0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff];
        in_tds(
            &[&options[..], &[15, 0, 7, 208, 0, 0, encryption]].concat(),
            100,
        )
    };
    for (size, cut) in [(4_000, 1_000), (50, 7), (4_000, 8), (11, 1)] {
        let mut scene = Scene::new();
        let mut peers = connect(&mut scene, 50_000);
        scene.play([
            peers.says(CLIENT, &prelogin(0)),
            peers.says(SERVER, &prelogin(0)),
        ]);
        let mut say = |side, bytes: &[u8]| {
            for part in in_tds(bytes, size).chunks(cut) {
                scene.play([peers.says(side, part)]);
            }
        };
        say(CLIENT, &tls::client_hello());
        say(SERVER, &tls::server_flight_12());
        say(CLIENT, &tls::client_flight_12());
        say(SERVER, &tls::finished_12());
        // The login alone is encrypted.
        scene.play([
            peers.says(CLIENT, &tls::encrypted(50)),
            peers.says(SERVER, b"\x04\x01\0\x0f\0\0\x01\0answers"),
            peers.says(CLIENT, b"\x01\x01\0\x0d\0\0\x01\0query"),
        ]);
        close(&mut scene, &mut peers);
        let event = scene.end_with_one();
        assert_eq!(event.outcome, Outcome::Success, "{size}, {cut}");
        assert_eq!(event.starttls, Some(StartTls::Tds));
        assert_eq!(event.tls.server_name.as_deref(), Some("www.example.org"));
        assert_eq!(event.rejected_after, None);
    }
}

#[test]
fn both_connections_of_a_proxy_name_it() {
    let mut scene = Scene::new();
    let mut client = connect(&mut scene, 50_001);
    let mut origin = connect(&mut scene, 50_002);
    let mut hello = tls::client_hello();
    hello[11..15].copy_from_slice(b"rand"); // a random of equal bytes names no connection
    scene.play([
        origin.says(CLIENT, b"PROXY TCP4 192.0.2.1 192.0.2.10 50001 443\r\n"),
        client.says(CLIENT, &hello),
        origin.says(CLIENT, &hello),
        origin.says(SERVER, &tls::server_flight_12()),
        client.says(SERVER, &tls::server_flight_12()),
    ]);
    complete(&mut scene, &mut client);
    complete(&mut scene, &mut origin);
    let events = scene.end();
    assert_eq!(events.len(), 2);
    for event in events {
        let proxy = event.proxy.unwrap();
        assert_eq!(proxy.kind, ProxyKind::ProxyV1);
        assert_eq!(proxy.client.unwrap().to_string(), "192.0.2.1:50001");
    }
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
        assert_eq!(&*event.tls.history, "CsxnGIFifD", "{cut}");
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
            let ends = event.proxy.map(|proxy| [proxy.client, proxy.server]);
            let ends = ends.unwrap().map(|end| end.unwrap().to_string());
            assert!(ends[0].starts_with("203.0.113.9:50") && ends[1] == "198.51.100.10:443");
        }
    }
}

/// What waits for its turn is only what answers bytes that are read in order: of either side, the first 64 KiB.
#[test]
fn tls_after_a_long_conversation_is_found_whoever_said_more() {
    for (client, server, rounds) in [
        (100, 99, 1_200),
        (3, 500, 300),
        (500, 3, 300),
        (50, 49, 3_000),
    ] {
        let mut scene = Scene::new();
        let mut peers = connect(&mut scene, 50_000);
        for _ in 0..rounds {
            scene.play([
                peers.says(CLIENT, &vec![b'c'; client]),
                peers.says(SERVER, &vec![b's'; server]),
            ]);
        }
        tls_12(&mut scene, &mut peers);
        close(&mut scene, &mut peers);
        let events = scene.end();
        let outcomes: Vec<_> = events.iter().map(|event| event.outcome).collect();
        assert_eq!(outcomes, [Outcome::Success], "{client} and {server} bytes");
    }
}

//! TLS 1.3: each inference rule on traffic that matches it, and on traffic that just does not.
//!
//! Lengths are those of AES-128-GCM with SHA-256: an alert takes 19 bytes, an
//! empty Certificate 25, Finished 53, both together 61, EndOfEarlyData 21.

use tlscope::event::{ClientCertificate, ClosedBy, EarlyData, Handshake, Side};

use super::{CLIENT, SERVER, connect};
use crate::support::peers::{Packet, Peers, Scene};
use crate::support::tls;

/// What a side does after the ServerHello.
#[derive(Clone, Copy)]
enum Step {
    /// Sends an encrypted record of this length.
    Sends(Side, u16),
    /// Sends a cleartext alert.
    Alerts(Side, u8),
    Closes(Side),
    Resets(Side),
    /// Milliseconds pass.
    Waits(u64),
}

use Step::{Alerts, Closes, Resets, Sends, Waits};

/// A server's flight: EncryptedExtensions, Certificate, CertificateVerify, Finished.
const FLIGHT: &[Step] = &[
    Sends(SERVER, 23),
    Sends(SERVER, 900),
    Sends(SERVER, 281),
    Sends(SERVER, 53),
];
/// The same with a CertificateRequest.
const FLIGHT_WITH_REQUEST: &[Step] = &[
    Sends(SERVER, 23),
    Sends(SERVER, 45),
    Sends(SERVER, 900),
    Sends(SERVER, 281),
    Sends(SERVER, 53),
];
/// The flight of a server that resumes a session.
const RESUMING_FLIGHT: &[Step] = &[Sends(SERVER, 23), Sends(SERVER, 53)];

/// The client's Finished alone.
const FINISHED: &[Step] = &[Sends(CLIENT, 53)];
/// A client's flight without a certificate, although the server requested one.
const NO_CERTIFICATE: &[Step] = &[Sends(CLIENT, 25), Sends(CLIENT, 53)];
/// A client's flight with a certificate.
const CERTIFICATE: &[Step] = &[Sends(CLIENT, 900), Sends(CLIENT, 281), Sends(CLIENT, 53)];

impl Step {
    fn packet(self, peers: &mut Peers) -> Option<Packet> {
        Some(match self {
            Sends(side, length) => peers.says(side, &tls::encrypted(length)),
            Alerts(side, code) => peers.says(side, &tls::alert(2, code)),
            Closes(side) => peers.closes(side),
            Resets(side) => peers.resets(side),
            Waits(_) => return None,
        })
    }
}

/// The event of a handshake that begins with these hellos, followed by the steps.
fn observe(
    client_hello: &[u8],
    early: &[Step],
    server_hello: &[u8],
    steps: &[&[Step]],
) -> Handshake {
    let mut scene = Scene::new();
    let mut peers = connect(&mut scene, 50_000);
    scene.play([peers.says(CLIENT, client_hello)]);
    scene.play(early.iter().filter_map(|step| step.packet(&mut peers)));
    scene.play([peers.says(SERVER, server_hello)]);
    for step in steps.concat() {
        if let Waits(milliseconds) = step {
            scene.wait(milliseconds);
        }
        scene.play(step.packet(&mut peers));
    }
    scene.end_with_one()
}

fn full(steps: &[&[Step]]) -> Handshake {
    let hello = tls::client_hello_with_tickets();
    observe(&hello, &[], &tls::server_hello_13(), steps)
}

/// Outcome, rule and error of a full handshake.
fn judge(steps: &[&[Step]]) -> String {
    verdict(&full(steps))
}

/// Outcome, rule and error of a resumed handshake.
fn judge_resumed(steps: &[&[Step]]) -> String {
    let event = observe(&tls::client_hello(), &[], &tls::server_hello_psk(), steps);
    verdict(&event)
}

/// As in `failure C3: client_rejected_server by client`; `observed` in place of a rule.
fn verdict(event: &Handshake) -> String {
    let rule = event
        .inference
        .as_ref()
        .map_or("observed", |inference| inference.rule);
    let verdict = format!("{} {rule}", event.outcome.as_str());
    match &event.error {
        Some(error) => {
            let side = error.side.map_or("nobody", Side::as_str);
            format!("{verdict}: {} by {side}", error.error_type.as_str())
        }
        None => verdict,
    }
}

#[test]
fn s1_a_server_sends_a_cleartext_alert_after_its_hello() {
    assert_eq!(
        judge(&[&[Alerts(SERVER, 40), Closes(SERVER)]]),
        "failure observed: handshake_failure by server"
    );
    // The client had closed: the alert is the answer to that.
    assert_eq!(
        judge(&[FLIGHT, &[Resets(CLIENT), Alerts(SERVER, 50)]]),
        "failure C4: connection_reset by client"
    );
}

#[test]
fn p0_a_server_rejects_the_clients_flight_with_a_cleartext_alert() {
    assert_eq!(
        judge(&[FLIGHT, FINISHED, &[Alerts(SERVER, 51), Closes(SERVER)]]),
        "failure observed: decrypt_error by server"
    );
    assert_eq!(
        judge(&[FLIGHT, FINISHED, &[Closes(CLIENT), Alerts(SERVER, 51)]]),
        "success P8"
    );
}

#[test]
fn s2_a_server_whose_only_record_is_an_alert() {
    assert_eq!(
        judge(&[&[Sends(SERVER, 19), Closes(SERVER)]]),
        "failure S2: handshake_failure by server"
    );
    assert_eq!(
        judge(&[&[Sends(SERVER, 23), Closes(SERVER)]]),
        "failure S3: connection_closed by server"
    );
}

#[test]
fn s3_a_server_closes_before_the_client_answers() {
    assert_eq!(
        judge(&[FLIGHT, &[Resets(SERVER)]]),
        "failure S3: connection_reset by server"
    );
    assert_eq!(judge(&[FLIGHT]), "unknown observed");
}

#[test]
fn c1_a_client_answers_with_a_cleartext_alert() {
    assert_eq!(
        judge(&[FLIGHT, &[Alerts(CLIENT, 48), Closes(CLIENT)]]),
        "failure observed: unknown_ca by client"
    );
    assert_eq!(
        judge(&[FLIGHT, &[Closes(SERVER), Alerts(CLIENT, 50)]]),
        "failure S3: connection_closed by server"
    );
}

#[test]
fn c2_a_client_sends_a_cleartext_close_notify() {
    assert_eq!(
        judge(&[FLIGHT, &[Alerts(CLIENT, 0), Closes(CLIENT)]]),
        "failure C2: client_rejected_server by client"
    );
    assert_eq!(
        judge(&[FLIGHT, &[Closes(SERVER), Alerts(CLIENT, 0)]]),
        "failure S3: connection_closed by server"
    );
}

#[test]
fn c3_a_client_answers_with_a_record_of_an_alerts_length() {
    for length in [19, 35] {
        assert_eq!(
            judge(&[FLIGHT, &[Sends(CLIENT, length), Closes(CLIENT)]]),
            "failure C3: client_rejected_server by client"
        );
    }
    // The server may say goodbye with its flight, but not amid it.
    assert_eq!(
        judge(&[FLIGHT, &[Closes(SERVER), Sends(CLIENT, 19)]]),
        "failure C3: client_rejected_server by client"
    );
    let broken_off: &[Step] = &[Sends(SERVER, 23), Closes(SERVER)];
    assert_eq!(
        judge(&[broken_off, &[Sends(CLIENT, 19)]]),
        "failure S3: connection_closed by server"
    );
}

#[test]
fn c3_a_record_of_32_bytes_is_an_alert_only_at_the_end() {
    let filled_up: &[Step] = &[Sends(CLIENT, 32)]; // an alert, or an empty Certificate
    assert_eq!(
        judge(&[FLIGHT, filled_up, &[Closes(CLIENT)]]),
        "failure C3: client_rejected_server by client"
    );
    assert_eq!(
        judge(&[
            FLIGHT_WITH_REQUEST,
            filled_up,
            &[Sends(CLIENT, 64), Sends(SERVER, 250)]
        ]),
        "success P5"
    );
}

#[test]
fn c3p_a_client_that_resumes_does_not_reject_a_certificate() {
    assert_eq!(
        judge_resumed(&[RESUMING_FLIGHT, &[Sends(CLIENT, 19), Closes(CLIENT)]]),
        "failure C3p: other by client"
    );
    assert_eq!(
        judge_resumed(&[
            RESUMING_FLIGHT,
            FINISHED,
            &[Sends(CLIENT, 19), Closes(CLIENT)]
        ]),
        "success P8"
    );
}

#[test]
fn c4_a_client_closes_without_an_answer() {
    assert_eq!(
        judge(&[FLIGHT, &[Closes(CLIENT), Closes(SERVER)]]),
        "failure C4f: client_rejected_server by client"
    );
    let late: &[Step] = &[Waits(200), Closes(CLIENT), Closes(SERVER)];
    assert_eq!(
        judge(&[FLIGHT, late]),
        "failure C4: connection_closed by client"
    );
    assert_eq!(
        judge(&[FLIGHT, &[Closes(SERVER), Closes(CLIENT)]]),
        "failure S3: connection_closed by server"
    );
}

#[test]
fn c5_a_client_answers_with_one_record_too_short_for_finished() {
    let short: &[Step] = &[Sends(CLIENT, 30)];
    assert_eq!(
        judge(&[FLIGHT, short, &[Closes(CLIENT)]]),
        "failure C5: client_rejected_server by client"
    );
    assert_eq!(
        judge(&[FLIGHT, short, &[Sends(CLIENT, 100), Closes(CLIENT)]]),
        "unknown observed"
    );
    assert_eq!(
        judge_resumed(&[RESUMING_FLIGHT, short, &[Closes(CLIENT)]]),
        "unknown observed"
    );
}

#[test]
fn p5_a_server_continues_after_the_clients_flight() {
    for client_flight in [FINISHED, NO_CERTIFICATE, CERTIFICATE] {
        assert_eq!(
            judge(&[FLIGHT_WITH_REQUEST, client_flight, &[Sends(SERVER, 250)]]),
            "success P5"
        );
    }
    assert_eq!(
        judge(&[FLIGHT, FINISHED, &[Sends(SERVER, 19)]]),
        "unknown observed"
    );
}

#[test]
fn p5x_records_padded_to_blocks_go_both_ways() {
    let padded = |sides: &[Side]| {
        let steps: Vec<Step> = sides.iter().map(|side| Sends(*side, 16 + 512)).collect();
        judge(&[&steps])
    };
    assert_eq!(
        padded(&[SERVER, SERVER, CLIENT, SERVER, CLIENT, SERVER]),
        "success P5x"
    );
    assert_eq!(
        padded(&[SERVER, SERVER, CLIENT, SERVER, CLIENT]),
        "unknown observed"
    );
}

#[test]
fn p2a_a_client_with_a_certificate_leaves_and_the_server_sends_a_short_record() {
    let leaves: &[Step] = &[
        Sends(CLIENT, 19),
        Sends(SERVER, 19),
        Closes(CLIENT),
        Closes(SERVER),
    ];
    assert_eq!(
        judge(&[FLIGHT_WITH_REQUEST, CERTIFICATE, leaves]),
        "unknown P2a"
    );
    // There is no certificate to reject, so this is the server's close_notify.
    assert_eq!(judge(&[FLIGHT, FINISHED, leaves]), "success P2");
}

#[test]
fn p1e_a_server_rejects_before_the_clients_finished() {
    let interrupted = |length| {
        let flight = [
            Sends(CLIENT, 900),
            Sends(SERVER, length),
            Sends(CLIENT, 281),
            Sends(CLIENT, 53),
        ];
        judge(&[FLIGHT_WITH_REQUEST, &flight, &[Closes(SERVER)]])
    };
    assert_eq!(
        interrupted(19),
        "failure P1e: server_rejected_client by server"
    );
    assert_ne!(
        interrupted(250),
        "failure P1e: server_rejected_client by server"
    );
}

#[test]
fn p1_a_server_leaves_a_request_unanswered() {
    let request: &[Step] = &[Sends(CLIENT, 100)];
    let refusal: &[Step] = &[Sends(SERVER, 19), Closes(SERVER)];
    assert_eq!(
        judge(&[FLIGHT_WITH_REQUEST, CERTIFICATE, request, refusal]),
        "failure P1: server_rejected_client by server"
    );
    assert_eq!(
        judge(&[FLIGHT_WITH_REQUEST, NO_CERTIFICATE, request, refusal]),
        "failure P1: missing_client_cert by server"
    );
    // Without a certificate, it may be an alert on the Finished, or a goodbye.
    assert_eq!(
        judge(&[FLIGHT, FINISHED, request, refusal]),
        "unknown observed"
    );
    assert_eq!(judge(&[FLIGHT, FINISHED, refusal]), "success P3");
}

#[test]
fn p1n_a_client_that_takes_no_tickets_gets_none_from_a_server_that_accepts_it() {
    let ends: &[Step] = &[Sends(CLIENT, 100), Sends(SERVER, 19), Closes(SERVER)];
    let steps = [FLIGHT_WITH_REQUEST, CERTIFICATE, ends];
    let event = observe(&tls::client_hello(), &[], &tls::server_hello_13(), &steps);
    assert_eq!(verdict(&event), "unknown P1n");
}

#[test]
fn p4_a_server_that_closes_long_after_was_idle_or_refused_slowly() {
    let request: &[Step] = &[Sends(CLIENT, 100)];
    let close: &[Step] = &[Sends(SERVER, 19), Closes(SERVER)];
    assert_eq!(
        judge(&[
            FLIGHT_WITH_REQUEST,
            CERTIFICATE,
            request,
            &[Waits(150)],
            close
        ]),
        "unknown P4"
    );
    assert_eq!(
        judge(&[
            FLIGHT_WITH_REQUEST,
            CERTIFICATE,
            request,
            &[Waits(80)],
            close
        ]),
        "failure P1: server_rejected_client by server"
    );
}

#[test]
fn p1r_both_sides_close_with_short_records() {
    let answered: &[Step] = &[Sends(SERVER, 19), Sends(CLIENT, 19), Closes(CLIENT)];
    assert_eq!(
        judge(&[FLIGHT_WITH_REQUEST, CERTIFICATE, answered]),
        "unknown P1r"
    );
    assert_eq!(judge(&[FLIGHT, FINISHED, answered]), "success P3");
}

#[test]
fn p1d_a_server_closes_with_a_short_record_that_nobody_answers() {
    let refusal: &[Step] = &[Sends(SERVER, 19), Closes(SERVER)];
    assert_eq!(
        judge(&[FLIGHT_WITH_REQUEST, CERTIFICATE, refusal, &[Closes(CLIENT)]]),
        "failure P1d: server_rejected_client by server"
    );
    // The client may still answer.
    assert_eq!(
        judge(&[FLIGHT_WITH_REQUEST, CERTIFICATE, refusal]),
        "unknown observed"
    );
}

#[test]
fn p7_a_ticket_with_the_servers_flight_does_not_prove_that_it_accepted_the_clients() {
    let ticket: &[Step] = &[Sends(SERVER, 200)];
    assert_eq!(
        judge_resumed(&[RESUMING_FLIGHT, ticket, FINISHED, &[Closes(SERVER)]]),
        "unknown P7"
    );
    assert_eq!(
        judge_resumed(&[RESUMING_FLIGHT, FINISHED, &[Closes(SERVER)]]),
        "unknown P7"
    );
}

#[test]
fn p8a_a_client_with_a_certificate_leaves_before_the_server_sends_anything() {
    for client_flight in [NO_CERTIFICATE, CERTIFICATE] {
        assert_eq!(
            judge(&[FLIGHT_WITH_REQUEST, client_flight, &[Closes(CLIENT)]]),
            "unknown P8a"
        );
    }
    assert_eq!(judge(&[FLIGHT, FINISHED, &[Closes(CLIENT)]]), "success P8");
}

#[test]
fn p6_a_server_that_closes_silently_after_a_certificate_may_have_had_its_message() {
    let asked = &[Sends(CLIENT, 100)];
    let observed = |hello: &[u8], steps: &[Step]| {
        let steps = [FLIGHT_WITH_REQUEST, CERTIFICATE, asked, steps];
        verdict(&observe(hello, &[], &tls::server_hello_13(), &steps))
    };
    let with_tickets = tls::client_hello_with_tickets();
    let closes = &[Waits(60), Closes(SERVER)];
    // A server of another protocol than HTTP may have worked on the message.
    for steps in [&[Closes(SERVER)][..], closes] {
        assert_eq!(observed(&with_tickets, steps), "unknown P6u");
    }
    // Without tickets, their absence says nothing.
    assert_eq!(observed(&tls::client_hello(), closes), "unknown P6u");
    for ends in [Closes(SERVER), Resets(SERVER)] {
        assert_eq!(
            judge(&[FLIGHT_WITH_REQUEST, NO_CERTIFICATE, &[ends]]),
            "unknown P6u"
        );
    }
    assert_eq!(judge(&[FLIGHT, FINISHED, &[Closes(SERVER)]]), "unknown P7");
}

#[test]
fn p7_a_server_closes_right_after_finished() {
    assert_eq!(judge(&[FLIGHT, FINISHED, &[Resets(SERVER)]]), "unknown P7");
    assert_eq!(
        judge(&[FLIGHT, FINISHED, &[Sends(SERVER, 19), Resets(SERVER)]]),
        "success P3"
    );
}

#[test]
fn p2_a_client_leaves_and_the_server_sends_close_notify() {
    let client_first: &[Step] = &[Sends(CLIENT, 19), Sends(SERVER, 19), Closes(SERVER)];
    let server_first: &[Step] = &[Sends(SERVER, 19), Sends(CLIENT, 19), Closes(SERVER)];
    assert_eq!(judge(&[FLIGHT, FINISHED, client_first]), "success P2");
    assert_eq!(judge(&[FLIGHT, FINISHED, server_first]), "success P3");
}

#[test]
fn p3_a_server_sends_close_notify_to_a_client_without_a_certificate() {
    let goodbye: &[Step] = &[Sends(SERVER, 19), Closes(SERVER)];
    assert_eq!(judge(&[FLIGHT, FINISHED, goodbye]), "success P3");
    assert_ne!(
        judge(&[FLIGHT_WITH_REQUEST, NO_CERTIFICATE, goodbye]),
        "success P3"
    );
}

#[test]
fn p8u_a_client_gets_no_answer_to_its_request() {
    let request: &[Step] = &[Sends(CLIENT, 100)];
    assert_eq!(
        judge(&[FLIGHT, FINISHED, request, &[Closes(CLIENT)]]),
        "unknown P8u"
    );
    assert_eq!(judge(&[FLIGHT, FINISHED, &[Closes(CLIENT)]]), "success P8");
}

#[test]
fn p8_a_client_completes_the_handshake_and_leaves() {
    let leaves: &[Step] = &[Sends(CLIENT, 19), Closes(CLIENT)];
    assert_eq!(judge(&[FLIGHT, FINISHED, leaves]), "success P8");
    assert_eq!(judge(&[FLIGHT, FINISHED]), "unknown observed");
}

#[test]
fn the_clients_flight_shows_whether_it_has_a_certificate() {
    let seen = |flight: &[Step]| {
        let event = full(&[FLIGHT_WITH_REQUEST, flight, &[Sends(SERVER, 250)]]);
        event.tls.client_certificate
    };
    assert_eq!(seen(CERTIFICATE), ClientCertificate::Presented);
    assert_eq!(seen(NO_CERTIFICATE), ClientCertificate::Absent);
    assert_eq!(seen(&[Sends(CLIENT, 61)]), ClientCertificate::Absent);
    assert_eq!(seen(&[]), ClientCertificate::Requested);
    assert_eq!(
        full(&[FLIGHT, FINISHED]).tls.client_certificate,
        ClientCertificate::NotRequested
    );
}

#[test]
fn zero_rtt_data_is_accepted_if_its_end_is_marked() {
    let hello = tls::client_hello_with_early_data();
    let early: &[Step] = &[Sends(CLIENT, 200)];
    let marked: &[Step] = &[Sends(CLIENT, 21), Sends(CLIENT, 53), Sends(SERVER, 250)];
    let event = observe(
        &hello,
        early,
        &tls::server_hello_psk(),
        &[RESUMING_FLIGHT, marked],
    );
    assert_eq!(verdict(&event), "success P5");
    assert_eq!(event.tls.early_data, Some(EarlyData::Accepted));
    assert_eq!(event.tls.resumed, Some(true));
}

#[test]
fn zero_rtt_data_is_rejected_if_the_session_is() {
    let hello = tls::client_hello_with_early_data();
    let early: &[Step] = &[Sends(CLIENT, 200)];
    let continues: &[Step] = &[Sends(CLIENT, 53), Sends(SERVER, 250)];
    let event = observe(&hello, early, &tls::server_hello_13(), &[FLIGHT, continues]);
    assert_eq!(verdict(&event), "success P5");
    assert_eq!(event.tls.early_data, Some(EarlyData::Rejected));
    assert_eq!(event.tls.resumed, Some(false));
}

/// A handshake, the server's tickets, and an HTTP request for which the server requests a certificate.
const ASKED_LATER: &[Step] = &[
    Sends(CLIENT, 53),
    Sends(SERVER, 250),
    Sends(CLIENT, 91),
    Sends(SERVER, 148),
];

/// A handshake with a client that offers post-handshake authentication.
fn later(steps: &[&[Step]]) -> Handshake {
    let hello = tls::client_hello_with_later_authentication();
    let steps = [&[FLIGHT, ASKED_LATER], steps].concat();
    observe(&hello, &[], &tls::server_hello_13(), &steps)
}

#[test]
fn a_server_that_rejects_a_certificate_in_use_rejected_the_client_after_the_handshake() {
    let refusal = &[Sends(SERVER, 19), Closes(SERVER)];
    let rejected = |event: &Handshake| {
        let rejected = event.rejected_after.as_ref();
        rejected.map(|rejected| (rejected.error_type.as_str(), rejected.side))
    };
    let without = later(&[&[Sends(CLIENT, 57), Sends(CLIENT, 53)], refusal]);
    assert_eq!(verdict(&without), "success P5");
    assert_eq!(rejected(&without), Some(("missing_client_cert", SERVER)));
    assert_eq!(without.tls.client_certificate, ClientCertificate::Absent);

    let refused = later(&[CERTIFICATE, refusal]);
    assert_eq!(verdict(&refused), "success P5");
    assert_eq!(rejected(&refused), Some(("server_rejected_client", SERVER)));
    let accepted = later(&[CERTIFICATE, &[Sends(SERVER, 794)], refusal]);
    assert_eq!(verdict(&accepted), "success P5");
    assert_eq!(
        accepted.tls.client_certificate,
        ClientCertificate::Presented
    );
}

#[test]
fn data_that_does_not_answer_a_request_remains_data() {
    let goodbye = &[Sends(SERVER, 19), Closes(SERVER)];
    for data in [
        &[Sends(CLIENT, 57)][..],
        &[Sends(CLIENT, 53)],
        &[Sends(CLIENT, 60), Sends(CLIENT, 57), Sends(CLIENT, 53)],
        &[Sends(CLIENT, 57), Sends(SERVER, 400), Sends(CLIENT, 53)],
        &[Sends(CLIENT, 25), Sends(CLIENT, 53)], // an answer names the request
    ] {
        let event = later(&[data, goodbye]);
        assert_eq!(verdict(&event), "success P5");
        assert_eq!(
            event.tls.client_certificate,
            ClientCertificate::NotRequested
        );
    }
    // The client had not offered it.
    let event = full(&[FLIGHT, ASKED_LATER, NO_CERTIFICATE, goodbye]);
    assert_eq!(verdict(&event), "success P5");
}

#[test]
fn a_handshake_in_use_waits_for_its_close() {
    let data = &[Sends(SERVER, 400), Waits(11_000), Sends(CLIENT, 100)];
    let event = later(&[data, &[Sends(SERVER, 19), Closes(SERVER)]]);
    assert_eq!(verdict(&event), "success P5");
    assert_eq!(event.closed_by, Some(ClosedBy::ServerFin));
}

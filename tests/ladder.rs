//! The steps of a handshake agree with its event, in every capture.

use std::collections::BTreeMap;
use std::fs;

use tlscope::capture::CaptureFiles;
use tlscope::event::{EapResult, Handshake, HandshakeReport, Ladder, LadderStep, Side, StepKind};
use tlscope::observer::Config;
use tlscope::pipeline;
use tlscope::tls::{ContentType, HandshakeType};

use crate::captures::split_pcapng;
use crate::support::fixtures::{self, package};
use crate::support::reports::Reports;
use crate::support::scratch;

#[test]
fn steps_agree_with_the_history_the_alerts_and_the_packets_of_the_event() {
    let mut steps = 0;
    for fixture in fixtures::all() {
        for report in reports(&fixture.capture, true) {
            let ladder = report.ladder.unwrap();
            assert_eq!(ladder.omitted, 0);
            check(&fixture.name, &report.event, &ladder);
            steps += ladder.steps.len();
        }
    }
    assert!(steps > 2000, "{steps}");
}

#[test]
fn no_steps_are_collected_unless_asked_for() {
    let day = fixtures::named("mtls-day").capture;
    let without = reports(&day, false);
    assert!(without.iter().all(|report| report.ladder.is_none()));
    let with = reports(&day, true);
    for (with, without) in with.iter().zip(&without) {
        assert_eq!(with.event, without.event);
    }
}

#[test]
fn a_handshake_that_spans_files_names_the_file_of_each_step() {
    let day = fixtures::named("mtls-day").capture;
    let whole = fs::read(package().join(&day)).unwrap();
    let folder = scratch::folder("ladder-pieces");
    let mut before = BTreeMap::new(); // packets in the files before each
    let mut packets = 0;
    for (index, piece) in split_pcapng(&whole, 10).iter().enumerate() {
        let path = folder.join(format!("{index:02}.pcapng"));
        fs::write(&path, piece).unwrap();
        before.insert(path.display().to_string(), packets);
        packets += count_packets(piece);
    }
    let pieces = reports(folder.to_str().unwrap(), true);
    let expected = reports(&day, true);
    assert_eq!(pieces.len(), expected.len());
    let mut spanning = 0;
    for (report, expected) in pieces.iter().zip(&expected) {
        let steps = |report: &HandshakeReport| report.ladder.as_ref().unwrap().steps.clone();
        let (steps, expected) = (steps(report), steps(expected));
        let place = |step: &LadderStep| before[&*step.source] + step.packet;
        assert!(
            steps
                .iter()
                .map(place)
                .eq(expected.iter().map(|step| step.packet))
        );
        assert!(
            steps
                .iter()
                .map(|s| s.time)
                .eq(expected.iter().map(|s| s.time))
        );
        spanning += usize::from(steps.iter().any(|step| step.source != steps[0].source));
    }
    assert!(spanning >= 3, "{spanning}");
}

/// Packets in a little-endian pcapng.
fn count_packets(pcapng: &[u8]) -> u64 {
    let mut packets = 0;
    let mut rest = pcapng;
    while let Some(length) = rest.get(4..8) {
        packets += u64::from(rest[0] == 6);
        rest = &rest[u32::from_le_bytes(length.try_into().unwrap()) as usize..];
    }
    packets
}

fn check(fixture: &str, event: &Handshake, ladder: &Ladder) {
    // An alert whose end is missing is a step, and no alert of the event.
    let has_gap = event.capture.client_gap_bytes + event.capture.server_gap_bytes > 0;
    if !has_gap {
        check_history_and_alerts(fixture, event, ladder);
    }
    for step in &ladder.steps {
        assert_eq!(step.source, event.source, "{fixture}");
        let (first, last) = (event.capture.first_packet, event.capture.last_packet);
        assert!((first..=last).contains(&step.packet), "{fixture}: {step:?}");
        // Closes, packets of QUIC that carry no message, and the results of logins.
        let has_no_size = matches!(
            step.kind,
            StepKind::Fin
                | StepKind::Rst
                | StepKind::NotTls
                | StepKind::ConnectionClose(_)
                | StepKind::Retry
                | StepKind::VersionNegotiation
                | StepKind::Accepted(_)
                | StepKind::Rejected(_)
        );
        assert!(step.bytes.is_some() || has_no_size, "{fixture}: {step:?}");
    }
    // The result of a login is the last step of its handshake.
    let result = event.eap.as_deref().and_then(|eap| eap.result);
    let end = ladder.steps.last().and_then(|step| match step.kind {
        StepKind::Accepted(_) => Some(EapResult::Accept),
        StepKind::Rejected(_) => Some(EapResult::Reject),
        _ => None,
    });
    assert_eq!(end, result, "{fixture}");
}

fn check_history_and_alerts(fixture: &str, event: &Handshake, ladder: &Ladder) {
    assert_eq!(history(ladder), *event.tls.history, "{fixture}: {ladder:?}");
    let alerts = ladder.steps.iter().filter_map(|step| match step.kind {
        StepKind::Alert(content) => Some((step.sender, content)),
        _ => None,
    });
    let expected = event.alerts.iter().map(|alert| {
        let content = alert.level.zip(alert.description);
        (alert.sender, content)
    });
    assert!(alerts.eq(expected), "{fixture}: {ladder:?}");
}

/// The letters of `tls.history`, from the steps.
fn history(ladder: &Ladder) -> String {
    let mut letters = String::new();
    for step in &ladder.steps {
        let Some(letter) = letter(step) else { continue };
        let letter = match step.sender {
            Side::Client => letter,
            Side::Server => letter.to_ascii_lowercase(),
        };
        let is_run = matches!(letter, 'D' | 'd') && letters.ends_with(letter);
        if !is_run {
            letters.push(letter);
        }
    }
    letters
}

fn letter(step: &LadderStep) -> Option<char> {
    Some(match step.kind {
        StepKind::Message(handshake_type) => match handshake_type {
            HandshakeType::HelloRequest => 'H',
            HandshakeType::ClientHello => 'C',
            HandshakeType::ServerHello => 'S',
            HandshakeType::HelloVerifyRequest => 'V',
            HandshakeType::HelloRetryRequest => 'J',
            HandshakeType::NewSessionTicket => 'T',
            HandshakeType::EncryptedExtensions => 'O',
            HandshakeType::Certificate => 'X',
            HandshakeType::ServerKeyExchange => 'K',
            HandshakeType::CertificateRequest => 'R',
            HandshakeType::ServerHelloDone => 'N',
            HandshakeType::CertificateVerify => 'Y',
            HandshakeType::ClientKeyExchange => 'G',
            HandshakeType::CertificateStatus => 'U',
            HandshakeType::Finished => 'F',
            HandshakeType::EndOfEarlyData => 'E',
            HandshakeType::KeyUpdate => 'P',
            _ => 'Z',
        },
        StepKind::PartialMessage(HandshakeType::ClientHello) => 'C',
        StepKind::PartialMessage(HandshakeType::ServerHello) => 'S',
        StepKind::ChangeCipherSpec => 'I',
        StepKind::Alert(_) => 'L',
        StepKind::ApplicationData | StepKind::Record(ContentType::ApplicationData) => 'D',
        _ => return None,
    })
}

fn reports(capture: &str, collects_ladders: bool) -> Vec<HandshakeReport> {
    let mut sink = Reports::default();
    let mut config = Config::default();
    config.collects_ladders = collects_ladders;
    let mut source = CaptureFiles::open(&[package().join(capture)]);
    pipeline::run(&mut source, config, 1, &mut sink).unwrap();
    sink.0
}

//! The library as a program of its own would use it: files, and frames from memory.

use std::path::PathBuf;

use tlscope::capture::{CaptureError, CaptureFiles, LinkType, PacketBatch, PacketSource};
use tlscope::event::{Event, Handshake, Outcome};
use tlscope::observer::{Config, Observer};

use crate::support::scratch;

const DAY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/fixtures/captures/day/mtls-day/capture.pcapng"
);

fn handshakes_of_the_day() -> Vec<Handshake> {
    let mut events = tlscope::read(DAY).unwrap();
    let handshakes = events.by_ref().filter_map(|event| match event {
        Event::Handshake(handshake) => Some(*handshake),
        _ => None,
    });
    let handshakes = handshakes.collect();
    assert!(events.problems().is_empty());
    assert_eq!(events.stats().packets, 246);
    handshakes
}

#[test]
fn a_file_gives_an_event_for_each_handshake() {
    let handshakes = handshakes_of_the_day();
    let failures = handshakes.iter().filter(|seen| seen.error.is_some());
    assert_eq!((handshakes.len(), failures.count()), (16, 10));
}

#[test]
fn frames_from_memory_give_the_events_of_the_file() {
    let mut files = CaptureFiles::try_open(DAY.as_ref()).unwrap();
    let mut batch = PacketBatch::default();
    let mut observer = Observer::new(Config::default());
    while files.next_batch(&mut batch).unwrap() {
        for packet in &batch.packets {
            let interface = &batch.interfaces[packet.interface as usize];
            assert_eq!(interface.link_type, LinkType::ETHERNET);
            observer.handle_ethernet(packet.timestamp, batch.bytes(packet));
        }
    }
    observer.finish();
    let from_memory: Vec<Handshake> = std::iter::from_fn(|| observer.poll_event()).collect();
    let key = |seen: &Handshake| (seen.time, seen.outcome, seen.error.clone(), seen.client);
    assert_eq!(
        from_memory.iter().map(key).collect::<Vec<_>>(),
        handshakes_of_the_day().iter().map(key).collect::<Vec<_>>()
    );
    assert!(
        from_memory
            .iter()
            .any(|seen| seen.outcome == Outcome::Failure)
    );
    assert!(from_memory.iter().all(|seen| seen.capture.first_packet > 0));
}

#[test]
fn what_is_no_capture_is_refused_with_the_reason() {
    let folder = scratch::folder("no-capture");
    let file = |name: &str, content: &str| -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let refusal = |path: PathBuf| tlscope::read(path).unwrap_err();
    assert!(matches!(
        refusal(folder.join("missing.pcap")),
        CaptureError::Open { .. }
    ));
    assert!(matches!(
        refusal(file("empty.pcap", "")),
        CaptureError::Empty { .. }
    ));
    assert!(matches!(
        refusal(file("notes.txt", "nothing to see here, really")),
        CaptureError::NotACapture { .. }
    ));
    assert!(matches!(
        refusal(folder.clone()),
        CaptureError::NoCaptures { .. }
    ));
}

#[test]
fn a_capture_that_is_cut_off_gives_what_it_holds_and_a_problem() {
    let whole = std::fs::read(DAY).unwrap();
    let path = scratch::folder("cut-capture").join("cut.pcapng");
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let mut events = tlscope::read(path).unwrap();
    assert!(events.by_ref().count() > 3);
    assert_eq!(events.problems().len(), 1, "{:?}", events.problems());
}

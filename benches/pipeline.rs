//! A capture from beginning to end: bytes and handshakes a second; `cargo bench --bench pipeline`.
//!
//! The capture is `fixtures/mtls-day`, a hundred days of it with other hosts each
//! day, in memory: sixteen connections a day, most of them with certificates from both sides.

use std::io::{self, Cursor};
use std::path::Path;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use tlscope::capture::{CaptureFiles, PacketBatch, PacketSource};
use tlscope::event::Handshake;
use tlscope::observer::Config;
use tlscope::pipeline;
use tlscope::sink::machine::json::JsonSink;
use tlscope::sink::people::summary::SummarySink;
use tlscope::sink::{Sink, TextStyle};
use tlscope::stats::Stats;

fn main() {
    divan::main();
}

const DAYS: u8 = 100;
const HANDSHAKES: usize = 16 * DAYS as usize;

/// Events are made and dropped.
#[divan::bench(args = [1, 2])]
fn events(bencher: Bencher<'_, '_>, threads: usize) {
    bench(bencher, threads, || Count(0));
}

#[divan::bench]
fn summary(bencher: Bencher<'_, '_>) {
    bench(bencher, 1, || {
        SummarySink::new(io::sink(), TextStyle::default())
    });
}

#[divan::bench]
fn json(bencher: Bencher<'_, '_>) {
    bench(bencher, 1, || JsonSink::new(io::sink()));
}

fn bench<S: Sink>(bencher: Bencher<'_, '_>, threads: usize, sink: impl Fn() -> S) {
    let capture = capture();
    bencher
        .counter(BytesCount::new(capture.len()))
        .counter(ItemsCount::new(HANDSHAKES))
        .bench_local(|| {
            let bytes = Cursor::new(Arc::clone(&capture));
            let mut source = CaptureFiles::from_reader("days", bytes);
            let mut sink = sink();
            let run = pipeline::run(&mut source, Config::default(), threads, &mut sink).unwrap();
            sink.finish(&run.stats).unwrap();
            assert_eq!(run.stats.handshakes as usize, HANDSHAKES);
        });
}

struct Count(usize);

impl Sink for Count {
    fn handshake(&mut self, _: &Handshake) -> io::Result<()> {
        self.0 += 1;
        Ok(())
    }

    fn finish(&mut self, _: &Stats) -> io::Result<()> {
        Ok(())
    }
}

/// The days, as one pcap.
fn capture() -> Arc<[u8]> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/mtls-day/capture.pcapng");
    let (mut files, mut day) = (CaptureFiles::open(&[path]), PacketBatch::default());
    assert!(files.next_batch(&mut day).unwrap());
    let mut capture = Vec::new();
    write_words(&mut capture, &[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1]);
    for number in 0..DAYS {
        write_day(&mut capture, &day, number);
    }
    capture.into()
}

fn write_day(capture: &mut Vec<u8>, day: &PacketBatch, number: u8) {
    const IPV4_ADDRESSES: [usize; 2] = [14 + 12, 14 + 16];
    for packet in &day.packets {
        let mut bytes = day.bytes(packet).to_vec();
        for address in IPV4_ADDRESSES {
            bytes[address + 1] ^= number; // other hosts
        }
        let microseconds = packet.timestamp.as_nanoseconds() / 1_000;
        let seconds = (microseconds / 1_000_000) as u32 + 86_400 * u32::from(number);
        let lengths = [packet.captured_length, packet.wire_length];
        let time = [seconds, (microseconds % 1_000_000) as u32];
        write_words(capture, &[time, lengths].concat());
        capture.extend_from_slice(&bytes);
    }
}

fn write_words(capture: &mut Vec<u8>, words: &[u32]) {
    for word in words {
        capture.extend_from_slice(&word.to_le_bytes());
    }
}

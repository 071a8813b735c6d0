//! How fast packets come out of capture files; `cargo bench --bench capture`.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use divan::Bencher;
use divan::counter::BytesCount;
use tlscope::capture::{CaptureFiles, PacketBatch, PacketFilter, PacketSource};

fn main() {
    divan::main();
}

/// The file's bytes and nothing else: the limit of all that follows.
#[divan::bench]
fn read_only(bencher: Bencher<'_, '_>) {
    let path = written("plain.pcap", |file| write_pcap(file, 0, 1));
    let mut buffer = vec![0; 512 * 1024];
    bencher.counter(length(&path)).bench_local(|| {
        let mut file = File::open(&path).unwrap();
        while io::Read::read(&mut file, &mut buffer).unwrap() > 0 {}
    });
}

#[divan::bench]
fn pcap(bencher: Bencher<'_, '_>) {
    let path = written("plain.pcap", |file| write_pcap(file, 0, 1));
    bench_files(bencher, &[path]);
}

#[divan::bench]
fn pcapng(bencher: Bencher<'_, '_>) {
    let path = written("plain.pcapng", write_pcapng);
    bench_files(bencher, &[path]);
}

#[divan::bench]
fn pcap_zstd(bencher: Bencher<'_, '_>) {
    let path = written("compressed.pcap.zst", |file| {
        let mut file = zstd::Encoder::new(file, 1)?.auto_finish();
        write_pcap(&mut file, 0, 1)
    });
    bench_files(bencher, &[path]);
}

#[divan::bench]
fn pcap_gzip(bencher: Bencher<'_, '_>) {
    let path = written("compressed.pcap.gz", |file| {
        let level = flate2::Compression::fast();
        write_pcap(&mut flate2::write::GzEncoder::new(file, level), 0, 1)
    });
    bench_files(bencher, &[path]);
}

/// Two files whose packets take turns: all are copied.
#[divan::bench]
fn two_pcaps_interleaved(bencher: Bencher<'_, '_>) {
    let even = written("even.pcap", |file| write_pcap(file, 0, 2));
    let odd = written("odd.pcap", |file| write_pcap(file, 1, 2));
    bench_files(bencher, &[even, odd]);
}

#[divan::bench]
fn pcap_filtered(bencher: Bencher<'_, '_>) {
    let path = written("plain.pcap", |file| write_pcap(file, 0, 1));
    let Ok(mut filter) = PacketFilter::compile("tcp port 443") else {
        return; // a build without filters
    };
    bencher.counter(length(&path)).bench_local(|| {
        let mut files = CaptureFiles::open(std::slice::from_ref(&path));
        let mut batch = PacketBatch::default();
        while files.next_batch(&mut batch).unwrap() {
            black_box(filter.apply(&mut batch));
        }
    });
}

fn bench_files(bencher: Bencher<'_, '_>, paths: &[PathBuf]) {
    let bytes = BytesCount::new(PACKETS * (16 + 60 + MAX_LENGTH / 2)); // decompressed, about
    bencher.counter(bytes).bench_local(|| {
        let mut files = CaptureFiles::open(paths);
        let mut batch = PacketBatch::default();
        let mut packets = 0;
        while files.next_batch(&mut batch).unwrap() {
            packets += black_box(&batch.packets).len();
        }
        packets
    });
}

fn length(path: &PathBuf) -> BytesCount {
    BytesCount::new(fs::metadata(path).unwrap().len())
}

/// The path of a file that is written once.
fn written(name: &str, write: impl Fn(&mut BufWriter<File>) -> io::Result<()>) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut file = BufWriter::new(File::create(&path).unwrap());
    write(&mut file).unwrap();
    file.flush().unwrap();
    path
}

/// Every `step`th packet from `first` on, a microsecond apart.
fn write_pcap(file: &mut impl Write, first: usize, step: usize) -> io::Result<()> {
    let header = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 0x4_0000, 1];
    write_words(file, &header)?;
    for number in (first..PACKETS).step_by(step) {
        let packet = packet(number);
        let (microseconds, length) = (number as u32, packet.len() as u32);
        write_words(file, &[0, microseconds, length, length])?;
        file.write_all(&packet)?;
    }
    Ok(())
}

fn write_pcapng(file: &mut BufWriter<File>) -> io::Result<()> {
    let anything = u32::MAX; // the section's length is not given
    let section = [0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, anything, anything, 28];
    write_words(file, &section)?;
    write_words(file, &[1, 20, 1, 0, 20])?;
    for number in 0..PACKETS {
        let mut packet = packet(number);
        let captured = packet.len() as u32;
        packet.resize(packet.len().next_multiple_of(4), 0);
        let (microseconds, length) = (number as u32, packet.len() as u32 + 32);
        let header = [6, length, 0, 0, microseconds, captured, captured];
        write_words(file, &header)?;
        file.write_all(&packet)?;
        write_words(file, &[length])?;
    }
    Ok(())
}

fn write_words(file: &mut impl Write, words: &[u32]) -> io::Result<()> {
    words
        .iter()
        .try_for_each(|word| file.write_all(&word.to_le_bytes()))
}

/// An IPv4 packet on Ethernet, of 60 bytes or more, with text in it.
fn packet(number: usize) -> Vec<u8> {
    let mut packet = vec![0; 12];
    packet.extend([8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6]);
    let length = 60 + (number * 619) % MAX_LENGTH;
    let text = number.to_string();
    packet.extend(text.bytes().cycle().take(length - packet.len()));
    packet
}

const PACKETS: usize = 80_000;
const MAX_LENGTH: usize = 1_454;

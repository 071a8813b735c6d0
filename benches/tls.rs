//! Bytes to records, messages and hellos, from a connection of Chrome to OpenSSL; `cargo bench --bench tls`.

use std::path::Path;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use tlscope::capture::{CaptureFiles, LinkType, PacketBatch, PacketSource};
use tlscope::decode::{Decoded, Layers, decode};
use tlscope::tls::{
    ClientHello, Defragmenter, Detection, HandshakeType, RecordReader, ServerHello, detect,
};

fn main() {
    divan::main();
}

#[divan::bench]
fn detect_tls(bencher: Bencher<'_, '_>) {
    let streams = streams();
    bencher.bench(|| streams.each_ref().map(|stream| detect(black_box(stream))));
}

/// Records of a whole connection, both ways.
#[divan::bench]
fn records(bencher: Bencher<'_, '_>) {
    let streams = streams();
    bencher.counter(length(&streams)).bench(|| {
        let mut pieces = 0;
        for stream in &streams {
            let (mut reader, mut input) = (RecordReader::default(), stream.as_slice());
            while let Ok(Some(piece)) = reader.next_piece(&mut input) {
                pieces += black_box(piece).bytes.len();
            }
        }
        pieces
    });
}

/// The same, with the messages of their handshake.
#[divan::bench]
fn records_and_messages(bencher: Bencher<'_, '_>) {
    let streams = streams();
    bencher.counter(length(&streams)).bench(|| {
        let mut messages = 0;
        for stream in &streams {
            for_each_message(stream, &mut |handshake_type, body| {
                black_box((handshake_type, body));
                messages += 1;
            });
        }
        messages
    });
}

#[divan::bench(sample_size = 1_000)]
fn client_hello(bencher: Bencher<'_, '_>) {
    let body = message(HandshakeType::ClientHello);
    bencher
        .counter(BytesCount::of_slice(&body))
        .bench(|| ClientHello::read(black_box(&body)).is_ok());
}

#[divan::bench]
fn server_hello(bencher: Bencher<'_, '_>) {
    let body = message(HandshakeType::ServerHello);
    bencher
        .counter(BytesCount::of_slice(&body))
        .bench(|| ServerHello::read(black_box(&body)).is_ok());
}

#[divan::bench(sample_size = 1_000)]
fn ja3(bencher: Bencher<'_, '_>) {
    let hello = ClientHello::read(&message(HandshakeType::ClientHello)).unwrap();
    bencher.bench(|| black_box(&hello).ja3());
}

#[divan::bench(sample_size = 1_000)]
fn ja4(bencher: Bencher<'_, '_>) {
    let hello = ClientHello::read(&message(HandshakeType::ClientHello)).unwrap();
    bencher.bench(|| black_box(&hello).ja4());
}

fn length(streams: &[Vec<u8>]) -> BytesCount {
    BytesCount::new(streams.iter().map(Vec::len).sum::<usize>())
}

/// The body of the first message of this type.
fn message(wanted: HandshakeType) -> Vec<u8> {
    let mut found = None;
    for stream in &streams() {
        for_each_message(stream, &mut |handshake_type, body| {
            if handshake_type == wanted && found.is_none() {
                found = body.map(<[u8]>::to_vec);
            }
        });
    }
    found.unwrap()
}

fn for_each_message(stream: &[u8], on_message: &mut impl FnMut(HandshakeType, Option<&[u8]>)) {
    let (mut reader, mut messages) = (RecordReader::default(), Defragmenter::default());
    let mut input = stream;
    while let Ok(Some(piece)) = reader.next_piece(&mut input) {
        if piece.header.content_type == tlscope::tls::ContentType::Handshake {
            messages.push(piece.bytes, &mut |message| {
                on_message(message.handshake_type, message.body);
            });
        }
    }
}

/// The streams of client and server; their segments are in order in this capture.
fn streams() -> [Vec<u8>; 2] {
    let capture = "fixtures/captures/versions/tls12-chrome/capture.pcap";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(capture);
    let (mut files, mut batch) = (CaptureFiles::open(&[path]), PacketBatch::default());
    let mut streams = [Vec::new(), Vec::new()];
    while files.next_batch(&mut batch).unwrap() {
        for packet in &batch.packets {
            let (bytes, layers) = (batch.bytes(packet), &mut Layers::default());
            if let Ok(Decoded::Tcp(header)) = decode(LinkType(1), bytes, packet.wire_length, layers)
            {
                let from_server = usize::from(header.source_port == 443);
                streams[from_server].extend_from_slice(header.payload.of(bytes));
            }
        }
    }
    assert_eq!(detect(&streams[0]), Detection::ClientHello);
    streams
}

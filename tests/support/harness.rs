//! One function for each part that reads what strangers send: it takes any bytes, and panics if something that must
//! hold does not. Shared by the tests of this package and the targets in `fuzz/`.

use std::io;
use std::time::Duration;

use tlscope::capture::{CaptureFiles, LinkType};
use tlscope::certificate::{
    ChainCache, ChainValidator, NearExpiry, OcspStaple, Trust, TrustOrigin, TrustStore, findings,
};
use tlscope::check::{Baseline, Policy};
use tlscope::decode::{Decoded, FragmentTable, Layers, SeqNumber, TunnelPorts, decode};
use tlscope::decrypt::Keys;
use tlscope::event::{Handshake, NotTls, Side};
use tlscope::observer::Config;
use tlscope::pattern::Glob;
use tlscope::pipeline;
use tlscope::sink::machine::csv::CsvSink;
use tlscope::sink::machine::json::JsonSink;
use tlscope::sink::people::summary::SummarySink;
use tlscope::sink::people::table::TableSink;
use tlscope::sink::{Sink, TextStyle};
use tlscope::stats::Stats;
use tlscope::time::Timestamp;
use tlscope::tls::{
    CertificateMessage, ClientHello, Defragmenter, EncryptedExtensions, ProtocolVersion,
    RecordReader, ServerHello, decompress_certificate, detect, read_certificate_authorities,
    read_certificate_list,
};
use tlscope::transport::tcp::{Arrival, Assembler, Budget, Chunk};

use super::invariants::Invariants;

/// Observes a capture file, with the secrets in a key log (which may be empty) and with this number of threads.
/// Returns the events as JSON lines.
pub(crate) fn capture(capture: &[u8], key_log: &[u8], threads: usize) -> Vec<u8> {
    let keys = Keys::default();
    keys.absorb_all(key_log);
    let mut source = CaptureFiles::from_reader("capture", io::Cursor::new(capture.to_vec()));
    let mut lines = Vec::new();
    let mut sinks = Sinks(vec![
        Box::new(Invariants::new(keys.clone())),
        Box::new(JsonSink::new(&mut lines)),
        Box::new(CsvSink::new(io::sink()).unwrap()),
        Box::new(TableSink::new(io::sink(), TextStyle::default())),
        Box::new(SummarySink::new(io::sink(), TextStyle::default())),
    ]);
    let config = Config::default().with_keys(keys);
    let run = pipeline::run(&mut source, config, threads, &mut sinks).unwrap();
    sinks.finish(&run.stats).unwrap();
    drop(sinks);
    assert_is_plain_json(&lines);
    lines
}

/// Ends the key log in the input of [`capture_with_keys`].
pub(crate) const END_OF_KEYS: &[u8] = b"\n--\n";

/// A key log, [`END_OF_KEYS`], and the capture that it is for.
pub(crate) fn capture_with_keys(input: &[u8]) {
    let mut windows = input.windows(END_OF_KEYS.len());
    let Some(at) = windows.position(|bytes| bytes == END_OF_KEYS) else {
        return;
    };
    let (key_log, rest) = input.split_at(at);
    capture(&rest[END_OF_KEYS.len()..], key_log, 1);
}

/// Nothing in the lines may do anything on a terminal.
fn assert_is_plain_json(lines: &[u8]) {
    let text = std::str::from_utf8(lines).unwrap();
    let is_hidden = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}');
    let bad = |c: char| (c.is_control() && c != '\n') || is_hidden(c);
    assert!(!text.contains(bad), "{text}");
}

/// Several sinks as one.
struct Sinks<'s>(Vec<Box<dyn Sink + 's>>);

impl Sink for Sinks<'_> {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        self.0.iter_mut().try_for_each(|sink| sink.handshake(event))
    }

    fn not_tls(&mut self, event: &NotTls) -> io::Result<()> {
        self.0.iter_mut().try_for_each(|sink| sink.not_tls(event))
    }

    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        self.0.iter_mut().try_for_each(|sink| sink.finish(stats))
    }
}

/// The link types that are decoded, and one that is not.
const LINK_TYPES: [u32; 16] = [
    0, 1, 9, 12, 14, 50, 101, 105, 108, 113, 127, 228, 229, 239, 276, 9_999,
];

/// Packets down to their segments, and fragments put together. Each packet has two bytes before it: which link type, and
/// how long it is.
pub(crate) fn packets(mut bytes: &[u8]) {
    let mut fragments = FragmentTable::default();
    let mut number = 0;
    while let [link_type, length, rest @ ..] = bytes {
        let (packet, after) = rest.split_at((usize::from(*length) * 8).min(rest.len()));
        bytes = after;
        number += 1;
        let link_type = LINK_TYPES[usize::from(*link_type) % LINK_TYPES.len()];
        let mut layers = Layers::default();
        let wire_length = packet.len() as u32;
        let decoded = decode(LinkType(link_type), packet, wire_length, &mut layers);
        let time = Timestamp::from_seconds(number);
        if let Ok(Decoded::Fragment(fragment)) = decoded
            && let Some(datagram) = fragments.push(&fragment, packet, &mut layers, time)
        {
            let _ = datagram.decode(&TunnelPorts::DEFAULT, &mut layers);
        }
    }
}

/// Segments of one direction, which must give the same bytes as an array in which the first copy of each byte stays.
/// Each segment has three bytes before it: its place, its length, and how many bytes the capture cut off.
pub(crate) fn reassembly(mut bytes: &[u8]) {
    const START: SeqNumber = SeqNumber(u32::MAX - 40); // the numbers wrap
    const BUDGET: usize = 1 << 20;
    let (mut assembler, mut budget) = (Assembler::default(), Budget::new(BUDGET));
    let mut delivered: Vec<Option<u8>> = Vec::new();
    let mut model: Vec<Option<Option<u8>>> = Vec::new();
    let mut packet = 0;
    assembler.start(START);
    while let [offset, length, cut, rest @ ..] = bytes {
        let (payload, after) = rest.split_at(usize::from(length % 24).min(rest.len()));
        bytes = after;
        packet += 1;
        let (offset, wire_length) = (
            u32::from(*offset),
            payload.len() as u32 + u32::from(cut % 4),
        );
        let arrival = Arrival::new(Timestamp::from_nanoseconds(packet), packet as u64);
        let sequence = START.after(offset);
        assembler.push(
            sequence,
            payload,
            wire_length,
            arrival,
            &mut budget,
            &mut |chunk| deliver(&mut delivered, chunk),
        );
        for index in 0..wire_length as usize {
            let at = offset as usize + index;
            model.resize(model.len().max(at + 1), None);
            model[at].get_or_insert_with(|| payload.get(index).copied());
        }
    }
    let missing = assembler.finish(&mut budget, &mut |chunk| deliver(&mut delivered, chunk));
    delivered.extend(std::iter::repeat_n(None, missing as usize));
    let model: Vec<Option<u8>> = model.into_iter().map(Option::flatten).collect();
    assert_eq!(delivered, model);
}

fn deliver(delivered: &mut Vec<Option<u8>>, chunk: Chunk<'_>) {
    match chunk {
        Chunk::Bytes(bytes, _) => delivered.extend(bytes.iter().copied().map(Some)),
        Chunk::Gap(missing) => delivered.extend(std::iter::repeat_n(None, missing as usize)),
    }
}

/// Records and messages of one direction, and every reader of a message's body.
///
/// Messages must not depend on how the bytes are cut.
pub(crate) fn messages(bytes: &[u8]) {
    let _ = detect(bytes);
    let whole = messages_of(bytes, usize::MAX);
    assert_eq!(whole, messages_of(bytes, 7));
    read_body(bytes);
    for body in whole.into_iter().filter_map(|(_, body)| body) {
        read_body(&body);
    }
}

fn messages_of(bytes: &[u8], cut: usize) -> Vec<(u8, Option<Vec<u8>>)> {
    let (mut reader, mut defragmenter) = (RecordReader::default(), Defragmenter::default());
    let mut messages = Vec::new();
    for mut input in bytes.chunks(cut.min(bytes.len()).max(1)) {
        loop {
            match reader.next_piece(&mut input) {
                Ok(Some(piece)) => defragmenter.push(piece.bytes, &mut |message| {
                    messages.push((message.handshake_type.0, message.body.map(<[u8]>::to_vec)));
                }),
                Ok(None) => break,
                Err(_) => return messages,
            }
        }
    }
    messages
}

fn read_body(body: &[u8]) {
    if let Ok(hello) = ClientHello::read(body) {
        let _ = (hello.ja3(), hello.ja4(), hello.offered_versions());
    }
    let _ = ClientHello::read_partial(body);
    let _ = ClientHello::read_sslv2(body);
    if let Ok(hello) = ServerHello::read(body) {
        let _ = (hello.ja3s(), hello.version());
    }
    let _ = ServerHello::read_partial(body);
    let _ = ServerHello::read_draft_retry(body);
    let _ = EncryptedExtensions::read(body);
    let _ = CertificateMessage::read(body);
    let _ = decompress_certificate(body);
    let _ = read_certificate_authorities(body, ProtocolVersion::TLSv1_2);
    let _ = read_certificate_authorities(body, ProtocolVersion::TLSv1_3);
    let _ = read_certificate_list(body);
}

/// A chain of certificates with three-byte lengths: parsed, explained, and validated against its last one as the root.
pub(crate) fn certificates(bytes: &[u8]) {
    let _ = OcspStaple::read(bytes);
    let list = [&(bytes.len() as u32).to_be_bytes()[1..], bytes].concat();
    let certificates = read_certificate_list(&list).map(Vec::from_iter);
    let certificates = certificates.unwrap_or_default();
    let mut store = TrustStore::new(TrustOrigin::Given);
    let root = certificates.last().copied().unwrap_or(bytes);
    let _ = store.add(root);
    let mut cache = ChainCache::new();
    let chain = cache.chain(certificates.iter().copied());
    let mut validator = ChainValidator::new(&Trust::new(store));
    validator.learn(&chain);
    let at = Timestamp::from_seconds(1_790_000_000);
    let near_expiry = NearExpiry {
        within: Duration::from_secs(30 * 86_400),
        percent: 33,
    };
    for side in [Side::Client, Side::Server] {
        let first = validator.validate(&chain, side, at);
        let again = validator.validate(&chain, side, at);
        let [first, again] = [first, again].map(|validation| format!("{validation:?}"));
        assert_eq!(first, again, "the cache changes a verdict");
        let _ = findings(&chain, side, Some("example.org"), at, near_expiry);
    }
}

/// A key log: what it holds must not depend on how it is cut.
pub(crate) fn key_log(bytes: &[u8]) {
    let whole = Keys::default();
    whole.absorb_all(bytes);
    let in_pieces = Keys::default();
    for piece in bytes.chunks(5) {
        in_pieces.absorb(piece);
    }
    in_pieces.finish();
    let [whole, in_pieces] = [whole, in_pieces].map(|keys| format!("{:?}", keys.counts()));
    assert_eq!(whole, in_pieces);
}

/// A policy, a baseline and a pattern: a mistake is an error that people can read.
pub(crate) fn policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Err(error) = Policy::parse(text, "policy.toml") {
        assert!(!error.to_string().is_empty());
    }
    if let Err(error) = Baseline::parse(text) {
        assert!(!error.to_string().is_empty());
    }
    let (pattern, name) = text.split_once('\n').unwrap_or((text, "www.example.org"));
    let _ = Glob::new(pattern).matches(name);
}

//! ClientHellos of all fixtures, read by tlscope and by tls-parser.

use std::collections::HashMap;

use tls_parser::{TlsExtension, parse_tls_client_hello_extension};
use tlscope::capture::{CaptureFiles, PacketBatch, PacketSource};
use tlscope::decode::{Decoded, Layers, decode};
use tlscope::tls::{
    ClientHello, ContentType, Defragmenter, Detection, Extensions, HandshakeType, RecordReader,
    detect,
};

use crate::support::fixtures::{self, package};
use crate::support::random::Random;

/// Mutations of each hello.
const MUTATIONS: u64 = 50;

#[test]
fn both_parsers_read_the_same_from_every_hello() {
    let hellos = hellos();
    let mut accepted = 0;
    for (name, body) in &hellos {
        let fields = fields(body);
        assert_eq!(fields, fields_by_tls_parser(body), "{name}");
        if fields.is_some() {
            compare_extensions(name, body);
            accepted += 1;
        }
    }
    assert!(accepted > 150, "{accepted} of {} hellos", hellos.len());
}

#[test]
fn both_parsers_accept_the_same_mutations() {
    let (mut accepted, mut rejected) = (0, 0);
    for (name, body) in &hellos() {
        for seed in 0..MUTATIONS {
            let body = mutated(body, seed);
            let fields = fields(&body);
            assert_eq!(fields, fields_by_tls_parser(&body), "{name}, seed {seed}");
            match fields {
                Some(_) => accepted += 1,
                None => rejected += 1,
            }
        }
    }
    assert!(accepted > 100 && rejected > 100, "{accepted}, {rejected}");
}

/// Version, random, session identifier, cipher suites, and types of the extensions.
type Fields = (u16, Vec<u8>, Vec<u8>, Vec<u16>, Vec<u16>);

fn fields(body: &[u8]) -> Option<Fields> {
    let hello = ClientHello::read(body).ok()?;
    Some((
        hello.legacy_version.0,
        hello.random.to_vec(),
        hello.session_id,
        hello.cipher_suites.iter().map(|suite| suite.0).collect(),
        hello.extensions.iter().map(|kind| kind.0).collect(),
    ))
}

fn fields_by_tls_parser(body: &[u8]) -> Option<Fields> {
    let (_, hello) = tls_parser::parse_tls_handshake_client_hello(body).ok()?;
    // tls-parser's list of extensions ends at the first that it cannot read, so types are split here.
    let extensions = Extensions::new(hello.ext.unwrap_or_default());
    Some((
        hello.version.0,
        hello.random.to_vec(),
        hello.session_id.unwrap_or_default().to_vec(),
        hello.ciphers.iter().map(|suite| suite.0).collect(),
        extensions.map(|(kind, _)| kind.0).collect(),
    ))
}

/// Compares the extensions that tls-parser can read.
///
/// It reads less: nothing of `key_share` but its bytes, and no early drafts.
fn compare_extensions(name: &str, body: &[u8]) {
    let hello = ClientHello::read(body).unwrap();
    let (_, by_tls_parser) = tls_parser::parse_tls_handshake_client_hello(body).unwrap();
    let mut rest = by_tls_parser.ext.unwrap_or_default();
    while let Ok((after, extension)) = parse_tls_client_hello_extension(rest) {
        rest = after;
        match extension {
            TlsExtension::SNI(names) => {
                let host_name = names.iter().find(|(kind, _)| kind.0 == 0);
                let host_name = host_name.map(|(_, name)| String::from_utf8_lossy(name));
                assert_eq!(hello.server_name.as_deref(), host_name.as_deref(), "{name}");
            }
            TlsExtension::ALPN(protocols) => {
                let protocols = protocols.iter().map(|name| String::from_utf8_lossy(name));
                let alpn = hello.alpn.as_deref().unwrap_or_default();
                assert!(protocols.eq(alpn.iter().map(String::as_str)), "{name}");
            }
            TlsExtension::SupportedVersions(versions) => {
                let read = hello.supported_versions.iter().flatten().map(|v| v.0);
                assert!(versions.iter().map(|v| v.0).eq(read), "{name}");
            }
            TlsExtension::EllipticCurves(groups) => {
                let read = hello.groups.iter().flatten().map(|group| group.0);
                assert!(groups.iter().map(|group| group.0).eq(read), "{name}");
            }
            TlsExtension::SignatureAlgorithms(schemes) => {
                let read = hello.signature_algorithms.iter().flatten();
                assert!(schemes.iter().copied().eq(read.map(|s| s.0)), "{name}");
            }
            TlsExtension::EcPointFormats(formats) => {
                assert_eq!(hello.point_formats, formats, "{name}");
            }
            TlsExtension::SessionTicket(ticket) => {
                assert_eq!(hello.session_ticket_length, Some(ticket.len()), "{name}");
            }
            TlsExtension::PreSharedKey(_) => assert!(hello.pre_shared_key, "{name}"),
            TlsExtension::EarlyData(_) => assert!(hello.early_data, "{name}"),
            _ => {}
        }
    }
}

/// A few bytes changed, or the end cut off.
fn mutated(body: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut body = body.to_vec();
    if random.below(4) == 0 {
        body.truncate(random.below(body.len()));
    }
    for _ in 0..random.below(4) {
        // Half of the changes hit the fixed part, where they matter.
        let end = random.pick(&[80, usize::MAX]).min(body.len());
        if end > 0 {
            let at = random.below(end);
            body[at..=at].copy_from_slice(&random.bytes(1));
        }
    }
    body
}

/// The bodies of all ClientHellos in the fixtures whose segments are in order.
fn hellos() -> Vec<(String, Vec<u8>)> {
    let mut hellos = Vec::new();
    for fixture in fixtures::all() {
        for stream in streams(&fixture.capture) {
            if detect(&stream) != Detection::ClientHello {
                continue;
            }
            let (mut reader, mut messages) = (RecordReader::default(), Defragmenter::default());
            let mut input = stream.as_slice();
            while let Ok(Some(piece)) = reader.next_piece(&mut input) {
                if piece.header.content_type != ContentType::Handshake {
                    break;
                }
                messages.push(piece.bytes, &mut |message| {
                    if message.handshake_type == HandshakeType::ClientHello {
                        let body = message.body.map(<[u8]>::to_vec);
                        hellos.extend(body.map(|body| (fixture.name.clone(), body)));
                    }
                });
            }
        }
    }
    hellos
}

/// The payloads of each sender, joined in order of arrival.
fn streams(capture: &str) -> Vec<Vec<u8>> {
    let mut streams: HashMap<_, Vec<u8>> = HashMap::new();
    let mut batch = PacketBatch::default();
    let mut files = CaptureFiles::open(&[package().join(capture)]);
    while files.next_batch(&mut batch).is_ok_and(|more| more) {
        for packet in &batch.packets {
            let link_type = batch.interfaces[packet.interface as usize].link_type;
            let (bytes, layers) = (batch.bytes(packet), &mut Layers::default());
            let decoded = decode(link_type, bytes, packet.wire_length, layers);
            if let Ok(Decoded::Tcp(header)) = decoded {
                let sender = (header.source, header.source_port);
                let receiver = (header.destination, header.destination_port);
                let stream = streams.entry((sender, receiver)).or_default();
                stream.extend_from_slice(header.payload.of(bytes));
            }
        }
    }
    streams.into_values().collect()
}

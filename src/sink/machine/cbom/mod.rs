//! An inventory of the cryptography in use: a CycloneDX 1.7 cryptographic bill of materials, written once, at the end.
//!
//! | in the document | is |
//! | --- | --- |
//! | `services` | a server that answered, by name (or address) and port |
//! | component, asset type `protocol` | a version that a service negotiated, with its cipher suites and groups |
//! | component, asset type `algorithm` | an algorithm of a cipher suite, group, key or signature |
//! | component, asset type `certificate` | a certificate that was shown |
//! | component, asset type `related-crypto-material` | the public key of a certificate |
//! | component `protocol:offered` | everything that clients offered |
//! | `dependencies` | service → protocols and certificates, protocol → algorithms, certificate → signature and key |
//! | `compositions` | what is incomplete: services whose certificates TLS 1.3 hides, and what limits left out |
//!
//! Counts, times and evidence are properties named `tlscope:…`; `docs/cbom.md` lists them. The same capture gives the same
//! bytes: the serial number is a hash of the document, and there is no time but packet time.

mod algorithm;
mod document;
mod offers;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::Arc;

use crate::event::Handshake;
use crate::sink::Sink;
use crate::sink::files::inventory::Inventory;
use crate::stats::Stats;
use document::Document;
use offers::Offers;

use super::services::{Services, Tally};

/// Most captures or interfaces named; a directory may hold thousands.
const MAX_SOURCES: usize = 64;

/// Collects services, algorithms and certificates, and writes the document at the end.
#[derive(Debug)]
pub struct CbomSink<W> {
    output: W,
    collected: Collected,
}

/// What a run showed.
#[derive(Debug, Default)]
struct Collected {
    handshakes: Tally,
    services: Services,
    offers: Offers,
    certificates: Inventory,
    /// Captures and interfaces.
    sources: BTreeSet<Arc<str>>,
    has_more_sources: bool,
}

impl<W: Write> CbomSink<W> {
    /// Writes to `output`, which should have a buffer.
    #[must_use]
    pub fn new(output: W) -> Self {
        Self {
            output,
            collected: Collected::default(),
        }
    }
}

impl<W: Write> Sink for CbomSink<W> {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        let collected = &mut self.collected;
        collected.handshakes.record(event.time);
        collected.services.record(event);
        collected.offers.record(event);
        let Ok(()) = collected
            .certificates
            .record(event, |_| Ok::<(), Infallible>(()));
        if !event.source.is_empty() && !collected.sources.contains(&event.source) {
            match collected.sources.len() < MAX_SOURCES {
                true => _ = collected.sources.insert(event.source.clone()),
                false => collected.has_more_sources = true,
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &Stats) -> io::Result<()> {
        Document::new(&self.collected).write(&mut self.output)?;
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::certificate::{PublicKey, SignatureAlgorithm};
    use crate::event::{Protocol, Transport};
    use crate::sink::test_events;
    use crate::tls::{CipherSuite, NamedGroup, ProtocolVersion, SignatureScheme};

    fn text(events: &[Handshake]) -> String {
        let mut output = Vec::new();
        let mut sink = CbomSink::new(&mut output);
        for event in events {
            sink.handshake(event).unwrap();
        }
        sink.finish(&Stats::default()).unwrap();
        String::from_utf8(output).unwrap()
    }

    /// The document of these events, which is valid and whose references all lead somewhere.
    fn document(events: &[Handshake]) -> Value {
        let document: Value = serde_json::from_str(&text(events)).unwrap();
        let schema = serde_json::from_str(include_str!("emitted.schema.json")).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors = validator.iter_errors(&document);
        let errors: Vec<_> = errors
            .map(|error| format!("{error} at {}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
        document
    }

    fn named<'a>(list: &'a Value, reference: &str) -> &'a Value {
        let mut entries = list.as_array().unwrap().iter();
        let found =
            entries.find(|entry| entry["bom-ref"] == reference || entry["ref"] == reference);
        found.unwrap_or_else(|| panic!("no {reference}"))
    }

    /// The values of a property, in order.
    fn property<'a>(entry: &'a Value, name: &str) -> Vec<&'a str> {
        let properties = entry["properties"].as_array().unwrap().iter();
        properties
            .filter(|property| property["name"] == name)
            .map(|property| property["value"].as_str().unwrap())
            .collect()
    }

    #[test]
    fn a_run_without_handshakes_is_a_document_without_components() {
        let document = document(&[]);
        assert_eq!(document["components"], serde_json::json!([]));
        assert_eq!(document["services"], serde_json::json!([]));
        assert_eq!(property(&document["metadata"], "tlscope:handshakes"), ["0"]);
    }

    #[test]
    fn a_service_depends_on_what_it_negotiated_and_showed() {
        let document = document(&[test_events::refused_by_the_client()]);
        let service = named(&document["services"], "service:example.org:443/tcp");
        assert_eq!(service["endpoints"][1], "tls://10.0.0.2:443");
        assert_eq!(property(service, "tlscope:outcome:failure"), ["1"]);
        assert_eq!(property(service, "tlscope:server_certificate"), ["visible"]);

        let protocol = "protocol:TLS 1.2@example.org:443/tcp";
        let certificate = format!("certificate:{}", "01".repeat(32));
        let depends_on = |reference| &named(&document["dependencies"], reference)["dependsOn"];
        assert_eq!(
            *depends_on("service:example.org:443/tcp"),
            serde_json::json!([protocol, certificate])
        );
        assert_eq!(
            *depends_on(protocol),
            serde_json::json!([
                "algorithm:AES-128-GCM",
                "algorithm:ECDHE",
                "algorithm:RSA",
                "algorithm:SHA-256",
                "algorithm:x25519"
            ])
        );
        let protocol = named(&document["components"], protocol);
        let suite = &protocol["cryptoProperties"]["protocolProperties"]["cipherSuites"][0];
        assert_eq!(suite["name"], "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
        assert_eq!(suite["identifiers"], serde_json::json!(["0xC0", "0x2F"]));
        assert_eq!(suite["tlsGroups"], serde_json::json!(["x25519"]));
        let certificate = named(&document["components"], &certificate);
        let properties = &certificate["cryptoProperties"]["certificateProperties"];
        assert_eq!(properties["subjectName"], "CN=example.org");
        assert_eq!(
            properties["signatureAlgorithmRef"],
            "algorithm:sha256WithRSAEncryption"
        );
    }

    #[test]
    fn what_was_offered_is_told_apart_from_what_was_negotiated() {
        let event = test_events::refused_by_the_client();
        let document = document(&[event.clone(), event]);
        let algorithm =
            |name: &str| named(&document["components"], &format!("algorithm:{name}")).clone();
        let evidence = |name| property(&algorithm(name), "tlscope:evidence").join(", ");
        assert_eq!(evidence("x25519"), "negotiated, offered");
        assert_eq!(evidence("X25519MLKEM768"), "offered");
        assert_eq!(evidence("RSA 2048"), "certificate");
        let tallied = algorithm("x25519");
        assert_eq!(property(&tallied, "tlscope:negotiated:handshakes"), ["2"]);
        let offers = named(&document["components"], "protocol:offered");
        assert_eq!(property(offers, "tlscope:offered:group:x25519"), ["2"]);
        assert_eq!(property(offers, "tlscope:offered:version:TLS 1.3"), ["2"]);
        assert_eq!(
            property(
                offers,
                "tlscope:offered:signature_scheme:ecdsa_secp256r1_sha256"
            ),
            ["2"]
        );
    }

    #[test]
    fn services_with_hidden_certificates_are_incomplete() {
        let mut hidden = test_events::completed();
        hidden.tls.resumed = Some(false);
        hidden.tls.server_name = Some("hidden.example.org".into());
        let visible = test_events::refused_by_the_client();
        let document = document(&[hidden, visible]);
        let composition = named(&document["compositions"], "composition:hidden-certificates");
        assert_eq!(composition["aggregate"], "incomplete");
        assert_eq!(
            composition["dependencies"],
            serde_json::json!(["service:hidden.example.org:443/tcp"])
        );
        let rest = named(&document["compositions"], "composition:observed");
        assert_eq!(rest["aggregate"], "unknown");
        assert_eq!(
            rest["dependencies"],
            serde_json::json!(["service:example.org:443/tcp"])
        );
    }

    #[test]
    fn a_hello_without_an_answer_makes_no_service() {
        let mut event = test_events::barely_seen();
        event.tls.offered_versions = Some([ProtocolVersion::TLSv1_3].into());
        let document = document(&[event]);
        assert_eq!(document["services"], serde_json::json!([]));
        let metadata = &document["metadata"];
        assert_eq!(property(metadata, "tlscope:handshakes:unanswered"), ["1"]);
        named(&document["components"], "protocol:offered");
    }

    #[test]
    fn first_and_last_are_packet_times_whatever_the_order_of_events() {
        let early = test_events::refused_by_the_client();
        let mut late = early.clone();
        late.time = late.time.saturating_add(std::time::Duration::from_secs(60));
        let document = document(&[late, early]);
        let service = named(&document["services"], "service:example.org:443/tcp");
        let seen = ["tlscope:first_seen", "tlscope:last_seen"].map(|name| property(service, name));
        assert_eq!(seen[0], ["2026-03-01T12:00:00.123456789Z"]);
        assert_eq!(seen[1], ["2026-03-01T12:01:00.123456789Z"]);
    }

    #[test]
    fn every_kind_of_event_is_valid() {
        let mut quic = test_events::completed();
        quic.transport = Transport::Udp;
        quic.protocol = Protocol::Quic;
        let mut dtls = test_events::completed();
        dtls.transport = Transport::Udp;
        dtls.protocol = Protocol::Dtls;
        dtls.tls.version = Some(ProtocolVersion::DTLSv1_3);
        dtls.server.address = "2001:db8::1".parse().unwrap();
        let mut events = test_events::all();
        events.extend([quic, dtls]);
        for version in [0x0002, 0x0300, 0x7f1c, 0xfb1a, 0x1234] {
            let mut event = test_events::completed();
            event.tls.version = Some(ProtocolVersion(version));
            event.tls.server_name = None;
            events.push(event);
        }
        let document = document(&events);
        let names: Vec<_> = document["services"]
            .as_array()
            .unwrap()
            .iter()
            .map(|service| service["endpoints"][0].as_str().unwrap())
            .collect();
        let expected = [
            "tls://10.0.0.2:443",
            "quic://example.org:443",
            "tls://example.org:443",
            "dtls://example.org:443",
        ];
        assert_eq!(names, expected);
        let draft = named(
            &document["components"],
            "protocol:TLS 1.3 draft 28@10.0.0.2:443/tcp",
        );
        assert_eq!(draft["name"], "TLS 1.3 draft 28");
    }

    /// All registered numbers, negotiated and offered, and keys and signatures of all kinds.
    #[test]
    fn every_registered_number_is_valid() {
        let mut offer = test_events::refused_by_the_client();
        offer.tls.offered_versions = Some((0..=u16::MAX).map(ProtocolVersion).collect());
        offer.tls.offered_cipher_suites = Some((0..=u16::MAX).map(CipherSuite).collect());
        offer.tls.offered_groups = Some((0..=u16::MAX).map(NamedGroup).collect());
        offer.tls.signature_algorithms = Some((0..=u16::MAX).map(SignatureScheme).collect());
        let mut events = vec![offer];
        for number in 0..=u16::MAX {
            let (suite, group) = (CipherSuite(number), NamedGroup(number));
            if suite.name().is_some() || group.name().is_some() {
                let mut event = test_events::completed();
                event.tls.cipher_suite = Some(suite);
                event.tls.group = Some(group);
                event.tls.server_name = Some(format!("host-{number}").into());
                events.push(event);
            }
        }
        let keys = [
            "X25519",
            "Ed448",
            "ML-DSA-44",
            "SLH-DSA-SHAKE-192s",
            "1.2.3",
        ];
        let keys = keys.map(|name| PublicKey::Other(name.into()));
        let rsa = [
            PublicKey::Rsa(None),
            PublicKey::RsaPss(Some(3072)),
            PublicKey::Dsa(Some(1024)),
        ];
        for (position, key) in keys.into_iter().chain(rsa).enumerate() {
            let mut event = test_events::refused_by_the_client();
            let mut facts = test_events::leaf();
            facts.key = key;
            let oids = [
                "1.2.840.113549.1.1.10",
                "1.2.840.10045.4.1",
                "1.3.101.113",
                "1.2.3",
            ];
            facts.signature_algorithm = SignatureAlgorithm::from_oid(oids[position % 4]);
            let mut chain = test_events::chain([Ok(facts)]);
            let certificate = Arc::get_mut(&mut chain).unwrap().first_mut().unwrap();
            Arc::get_mut(certificate).unwrap().sha256 = [0x10 + position as u8; 32];
            event.server_certificates = Some(chain);
            events.push(event);
        }
        let document = document(&events);
        assert!(document["components"].as_array().unwrap().len() > 500);
        let offers = named(&document["components"], "protocol:offered");
        assert_eq!(
            property(offers, "tlscope:offered:unregistered:handshakes"),
            ["1"]
        );
        if let Some(path) = std::env::var_os("TLSCOPE_TEST_CBOM_OUTPUT") {
            std::fs::write(path, document.to_string()).unwrap(); // to validate with the official schema
        }
    }

    #[test]
    fn a_hostile_name_breaks_neither_endpoints_nor_references() {
        let mut event = test_events::refused_by_the_client();
        event.tls.server_name = Some("a b\u{202e}/\"\n?#".into());
        let mut facts = test_events::leaf();
        facts.common_name = Some(String::new());
        facts.dns_names = vec!["\u{7}".repeat(100_000)];
        event.server_certificates = Some(test_events::chain([Ok(facts)]));
        let text = text(std::slice::from_ref(&event));
        assert!(text.len() < 100_000);
        let document = document(&[event]);
        named(&document["services"], "service:10.0.0.2:443/tcp");
    }

    #[test]
    fn what_a_limit_leaves_out_is_counted_and_incomplete() {
        let mut sink = CbomSink::new(Vec::new());
        sink.collected.services.omitted = 3; // as if there were too many
        let mut event = test_events::completed();
        event.tls.server_name = Some("host-0.example.org".into());
        for number in 0..100 {
            event.tls.cipher_suite = Some(CipherSuite(number));
            sink.handshake(&event).unwrap();
        }
        sink.finish(&Stats::default()).unwrap();
        let document: Value = serde_json::from_slice(&sink.output).unwrap();
        let metadata = &document["metadata"];
        assert_eq!(
            property(metadata, "tlscope:omitted:services:handshakes"),
            ["3"]
        );
        assert_eq!(property(metadata, "tlscope:limit:services"), ["20000"]);
        let whole = named(&document["compositions"], "composition:document");
        assert_eq!(whole["aggregate"], "incomplete");
        let cut = named(&document["compositions"], "composition:cut-at-a-limit");
        let service = "service:host-0.example.org:443/tcp";
        assert_eq!(cut["dependencies"], serde_json::json!([service]));
        let service = named(&document["services"], service);
        assert_eq!(
            property(service, "tlscope:omitted:negotiated:handshakes"),
            ["68"]
        );
    }

    #[test]
    fn the_serial_number_follows_from_the_contents() {
        let serial = |events: &[Handshake]| {
            let document: Value = serde_json::from_str(&text(events)).unwrap();
            document["serialNumber"].as_str().unwrap().to_owned()
        };
        let all = test_events::all();
        assert_eq!(serial(&all), serial(&all));
        assert_ne!(serial(&all), serial(&all[1..]));
    }
}

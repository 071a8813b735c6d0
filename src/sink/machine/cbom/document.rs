//! The document: what was collected, in the order and under the names of CycloneDX.
//!
//! Nothing here holds the whole document: components are made while they are written, twice: once to hash them, once to the
//! output.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use sha2::{Digest, Sha256};

use super::Collected;
use super::algorithm::{
    Algorithm, AlgorithmProperties, of_cipher_suite, of_group, of_public_key, of_signature,
};
use crate::escape::SafeJson;
use crate::event::{ClientCertificate, KeyExchangeClass, Outcome};
use crate::hex::Hex;
use crate::sink::files::inventory::{KnownCertificate, MAX_CERTIFICATES, ShownBy};
use crate::sink::machine::services::{MAX_SERVICES, ServerCertificate, Service, ServiceKey, Tally};
use crate::tls::{CipherSuite, NamedGroup, ProtocolVersion};

const SCHEMA: &str = "http://cyclonedx.org/schema/bom-1.7.schema.json";

/// The reference of the whole.
const TRAFFIC: &str = "captured-traffic";

/// The reference of what clients offered.
const OFFERED: &str = "protocol:offered";

/// A run as a document.
pub(super) struct Document<'a> {
    collected: &'a Collected,
    algorithms: BTreeMap<Cow<'static, str>, Usage>,
}

/// An algorithm, and how it became known.
struct Usage {
    algorithm: Algorithm,
    /// Handshakes that selected it.
    negotiated: Tally,
    /// First and last offer; offers of several suites with one algorithm make the count meaningless.
    offered: Tally,
    /// Certificates that are signed with it or have a key for it.
    certificates: u64,
}

impl<'a> Document<'a> {
    pub(super) fn new(collected: &'a Collected) -> Self {
        let mut document = Self {
            collected,
            algorithms: BTreeMap::new(),
        };
        document.find_algorithms();
        document
    }

    /// Every algorithm of a suite, group, key or signature, by name.
    fn find_algorithms(&mut self) {
        for (_, service) in self.collected.services.iter() {
            for (negotiated, tally) in &service.negotiated {
                for algorithm in algorithms_of(negotiated.cipher_suite, negotiated.group) {
                    self.usage(algorithm).negotiated.add(tally);
                }
            }
        }
        let offers = &self.collected.offers;
        for (suite, tally) in offers.cipher_suites.iter() {
            for algorithm in of_cipher_suite(suite) {
                self.usage(algorithm).offered.add(tally);
            }
        }
        for (group, tally) in offers.groups.iter() {
            self.usage(of_group(group)).offered.add(tally);
        }
        for certificate in self.collected.certificates.iter() {
            if let Ok(facts) = &certificate.facts {
                self.usage(of_signature(&facts.signature_algorithm))
                    .certificates += 1;
                self.usage(of_public_key(&facts.key)).certificates += 1;
            }
        }
    }

    fn usage(&mut self, algorithm: Algorithm) -> &mut Usage {
        for part in &algorithm.parts {
            self.usage(part.clone());
        }
        let name = algorithm.name.clone();
        self.algorithms.entry(name).or_insert_with(|| Usage {
            algorithm,
            negotiated: Tally::default(),
            offered: Tally::default(),
            certificates: 0,
        })
    }

    /// Writes the document, with a serial number that follows from its contents.
    pub(super) fn write(&self, output: &mut impl Write) -> io::Result<()> {
        let mut hash = HashWriter(Sha256::new());
        serde_json::to_writer(&mut hash, &WithSerial(self, None))?;
        let serial = serial_number(&hash.0.finalize().into());
        serde_json::to_writer_pretty(SafeJson(&mut *output), &WithSerial(self, Some(&serial)))?;
        writeln!(output)
    }

    /// Which services have something that cannot be listed.
    fn services_where(&self, condition: impl Fn(&Service) -> bool) -> impl Iterator<Item = String> {
        let services = self.collected.services.iter();
        services
            .filter(move |(_, service)| condition(service))
            .map(|(key, _)| service_reference(key))
    }
}

/// A UUID of version 8 (RFC 9562 §5.8) from a hash: equal documents have equal numbers, and others others.
fn serial_number(hash: &[u8; 32]) -> String {
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&hash[..16]);
    uuid[6] = 0x80 | uuid[6] & 0x0f;
    uuid[8] = 0x80 | uuid[8] & 0x3f;
    let [a, b, c, d, e] = [
        &uuid[..4],
        &uuid[4..6],
        &uuid[6..8],
        &uuid[8..10],
        &uuid[10..],
    ];
    let [a, b, c, d, e] = [a, b, c, d, e].map(Hex);
    format!("urn:uuid:{a}-{b}-{c}-{d}-{e}")
}

struct HashWriter(Sha256);

impl Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The algorithms of a suite and of a group. With a group, it replaces the suite's general `ECDHE`.
fn algorithms_of(suite: Option<CipherSuite>, group: Option<NamedGroup>) -> Vec<Algorithm> {
    let mut algorithms = suite.map(of_cipher_suite).unwrap_or_default();
    algorithms.extend(group.map(of_group));
    algorithms
}

struct WithSerial<'a>(&'a Document<'a>, Option<&'a str>);

impl Serialize for WithSerial<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(document, serial) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("$schema", SCHEMA)?;
        map.serialize_entry("bomFormat", "CycloneDX")?;
        map.serialize_entry("specVersion", "1.7")?;
        if let Some(serial) = serial {
            map.serialize_entry("serialNumber", serial)?;
        }
        map.serialize_entry("version", &1)?;
        map.serialize_entry("metadata", &document.metadata())?;
        map.serialize_entry("components", &List(|| document.components()))?;
        map.serialize_entry("services", &List(|| document.services()))?;
        map.serialize_entry("dependencies", &List(|| document.dependencies()))?;
        map.serialize_entry("compositions", &document.compositions())?;
        map.end()
    }
}

/// A list that is made while it is written.
struct List<F>(F);

impl<F, I> Serialize for List<F>
where
    F: Fn() -> I,
    I: Iterator<Item: Serialize>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

#[derive(Serialize)]
struct Metadata {
    lifecycles: [Lifecycle; 1],
    tools: Tools,
    component: Traffic,
    properties: Properties,
}

#[derive(Serialize)]
struct Lifecycle {
    phase: &'static str,
}

#[derive(Serialize)]
struct Tools {
    components: [Tool; 1],
}

#[derive(Serialize)]
struct Tool {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Traffic {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref")]
    reference: &'static str,
    name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Component<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref")]
    reference: String,
    name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    crypto_properties: CryptoProperties<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Evidence>,
    #[serde(skip_serializing_if = "Properties::is_empty")]
    properties: Properties,
}

#[derive(Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct CryptoProperties<'a> {
    asset_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm_properties: Option<&'a AlgorithmProperties>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_properties: Option<CertificateProperties<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    related_crypto_material_properties: Option<KeyProperties>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol_properties: Option<ProtocolProperties>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oid: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CertificateProperties<'a> {
    serial_number: &'a str,
    subject_name: &'a str,
    issuer_name: &'a str,
    not_valid_before: String,
    not_valid_after: String,
    /// For readers of CycloneDX 1.6; its successor is `related_cryptographic_assets`.
    signature_algorithm_ref: String,
    /// For readers of CycloneDX 1.6, too.
    subject_public_key_ref: String,
    certificate_format: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    certificate_extensions: Vec<CertificateExtension<'a>>,
    related_cryptographic_assets: [RelatedAsset; 2],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CertificateExtension<'a> {
    common_extension_name: &'static str,
    common_extension_value: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyProperties {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
    related_cryptographic_assets: [RelatedAsset; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProtocolProperties {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    cipher_suites: Vec<Suite>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_cryptographic_assets: Vec<RelatedAsset>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Suite {
    name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    algorithms: Vec<String>,
    /// Its two bytes, as IANA writes them.
    identifiers: [String; 2],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tls_groups: Vec<String>,
}

#[derive(Serialize)]
struct RelatedAsset {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "ref")]
    reference: String,
}

#[derive(Serialize)]
struct Evidence {
    occurrences: Vec<Occurrence>,
}

#[derive(Serialize)]
struct Occurrence {
    location: String,
}

#[derive(Serialize)]
struct ServiceEntry<'a> {
    #[serde(rename = "bom-ref")]
    reference: String,
    name: Cow<'a, str>,
    endpoints: Vec<String>,
    properties: Properties,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    #[serde(rename = "ref")]
    reference: String,
    depends_on: Vec<String>,
}

#[derive(Serialize)]
struct Composition {
    #[serde(rename = "bom-ref")]
    reference: &'static str,
    aggregate: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    assemblies: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dependencies: Vec<String>,
}

/// Names and values below `tlscope:`.
#[derive(Default, Serialize)]
#[serde(transparent)]
struct Properties(Vec<Property>);

#[derive(Serialize)]
struct Property {
    name: String,
    value: String,
}

impl Properties {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, name: impl Display, value: impl Display) {
        self.0.push(Property {
            name: format!("tlscope:{name}"),
            value: value.to_string(),
        });
    }

    /// Adds a count, unless it is zero.
    fn count(&mut self, name: impl Display, value: u64) {
        if value > 0 {
            self.add(name, value);
        }
    }

    /// Adds how often something was seen, and under names that go on from `name`, when.
    fn tally(&mut self, name: impl Display, tally: &Tally) {
        self.add(&name, tally.handshakes);
        self.seen(&format!("{name}:"), tally);
    }

    /// Adds first and last moment, unless there is none; `prefix` ends with a colon.
    fn seen(&mut self, prefix: &str, tally: &Tally) {
        if tally.handshakes > 0 {
            self.add(format_args!("{prefix}first_seen"), tally.first_seen);
            self.add(format_args!("{prefix}last_seen"), tally.last_seen);
        }
    }
}

fn service_reference(key: &ServiceKey) -> String {
    format!("service:{}/{}", key.host_and_port(), key.transport)
}

fn protocol_reference(version: ProtocolVersion, key: &ServiceKey) -> String {
    format!(
        "protocol:{version}@{}/{}",
        key.host_and_port(),
        key.transport
    )
}

fn algorithm_reference(algorithm: &Algorithm) -> String {
    format!("algorithm:{}", algorithm.name)
}

fn certificate_reference(sha256: &[u8; 32]) -> String {
    format!("certificate:{}", Hex(sha256))
}

fn key_reference(sha256: &[u8; 32]) -> String {
    format!("key:{}", Hex(sha256))
}

impl<'a> Document<'a> {
    fn metadata(&self) -> Metadata {
        let collected = self.collected;
        let mut properties = Properties::default();
        properties.add("handshakes", collected.handshakes.handshakes);
        properties.seen("", &collected.handshakes);
        properties.count("handshakes:unanswered", collected.services.unanswered);
        for source in &collected.sources {
            properties.add("source", source);
        }
        if collected.has_more_sources {
            properties.add("omitted:sources", true);
        }
        properties.count("omitted:services:handshakes", collected.services.omitted);
        if collected.services.omitted > 0 {
            properties.add("limit:services", MAX_SERVICES);
        }
        properties.count("omitted:certificates:shown", collected.certificates.omitted);
        if collected.certificates.omitted > 0 {
            properties.add("limit:certificates", MAX_CERTIFICATES);
        }
        Metadata {
            lifecycles: [Lifecycle { phase: "discovery" }],
            tools: Tools {
                components: [Tool {
                    kind: "application",
                    name: env!("CARGO_PKG_NAME"),
                    version: env!("CARGO_PKG_VERSION"),
                }],
            },
            component: Traffic {
                kind: "data",
                reference: TRAFFIC,
                name: "captured TLS traffic",
            },
            properties,
        }
    }

    fn components(&self) -> impl Iterator<Item = Component<'_>> {
        let services = self.collected.services.iter();
        let protocols = services.flat_map(|(key, service)| {
            let versions = service.versions().into_iter();
            versions.map(move |version| protocol(key, service, version))
        });
        let certificates = self.certificates();
        let keys = self.certificates().filter_map(public_key);
        let certificates = certificates.map(certificate);
        let algorithms = self.algorithms.values().map(algorithm);
        protocols
            .chain(self.offered())
            .chain(algorithms)
            .chain(certificates)
            .chain(keys)
    }

    /// The certificates, ordered by hash: the order in which they were shown has no meaning here.
    fn certificates(&self) -> impl Iterator<Item = &'a KnownCertificate> {
        let mut certificates: Vec<_> = self.collected.certificates.iter().collect();
        certificates.sort_unstable_by_key(|certificate| certificate.sha256);
        certificates.into_iter()
    }

    /// What clients offered, as a protocol without a version.
    fn offered(&self) -> Option<Component<'_>> {
        let offers = &self.collected.offers;
        if offers.hellos.handshakes == 0 {
            return None;
        }
        let mut properties = Properties::default();
        properties.add("evidence", "offered");
        properties.add("offered:handshakes", offers.hellos.handshakes);
        properties.seen("offered:", &offers.hellos);
        for (version, tally) in offers.versions.iter() {
            properties.tally(format_args!("offered:version:{version}"), tally);
        }
        for (suite, tally) in offers.cipher_suites.iter() {
            properties.tally(format_args!("offered:cipher_suite:{suite}"), tally);
        }
        for (group, tally) in offers.groups.iter() {
            properties.tally(format_args!("offered:group:{group}"), tally);
        }
        for (scheme, tally) in offers.signature_schemes.iter() {
            properties.tally(format_args!("offered:signature_scheme:{scheme}"), tally);
        }
        properties.count("offered:unregistered:handshakes", offers.unregistered);
        let suites = offers.cipher_suites.iter();
        let groups = offers.groups.iter();
        Some(Component {
            kind: "cryptographic-asset",
            reference: OFFERED.to_owned(),
            name: "offers of TLS clients".into(),
            description: Some(
                "Everything that clients offered in their ClientHello, whether or not a server selected it".to_owned(),
            ),
            hashes: Vec::new(),
            crypto_properties: CryptoProperties {
                asset_type: "protocol",
                protocol_properties: Some(ProtocolProperties {
                    kind: "tls",
                    version: None,
                    cipher_suites: suites.map(|(suite, _)| Suite::new(suite, [])).collect(),
                    related_cryptographic_assets: groups
                        .map(|(group, _)| RelatedAsset::algorithm(&of_group(group)))
                        .collect(),
                }),
                ..CryptoProperties::default()
            },
            evidence: None,
            properties,
        })
    }

    fn services(&self) -> impl Iterator<Item = ServiceEntry<'_>> {
        let services = self.collected.services.iter();
        services.map(|(key, service)| {
            let scheme = service.protocol.map_or("tls", |protocol| protocol.as_str());
            let name = key.name.is_some().then(|| key.host_and_port());
            let addresses = service.addresses.iter();
            let addresses = addresses.map(|address| {
                let key = ServiceKey {
                    address: Some(*address),
                    ..key.clone()
                };
                key.host_and_port()
            });
            let endpoints = name.into_iter().chain(addresses);
            ServiceEntry {
                reference: service_reference(key),
                name: key.host_and_port().into(),
                endpoints: endpoints
                    .map(|endpoint| format!("{scheme}://{endpoint}"))
                    .collect(),
                properties: service_properties(key, service),
            }
        })
    }

    fn dependencies(&self) -> impl Iterator<Item = Dependency> {
        let known: BTreeSet<[u8; 32]> = self
            .certificates()
            .map(|certificate| certificate.sha256)
            .collect();
        let services = self.collected.services.iter();
        let services = services.flat_map(move |(key, service)| {
            let versions = service.versions();
            let protocols = versions
                .iter()
                .map(|version| protocol_reference(*version, key));
            let certificates = service.certificates.intersection(&known);
            let entry = Dependency {
                reference: service_reference(key),
                depends_on: protocols
                    .chain(certificates.map(certificate_reference))
                    .collect(),
            };
            let protocols = versions.iter().map(|version| {
                let negotiated = service.negotiated.keys();
                let of_version = negotiated.filter(|all| all.version == *version);
                let algorithms =
                    of_version.flat_map(|all| algorithms_of(all.cipher_suite, all.group));
                Dependency::of(protocol_reference(*version, key), algorithms)
            });
            let mut entries = vec![entry];
            entries.extend(protocols);
            entries
        });
        let offers = &self.collected.offers;
        let suites = offers.cipher_suites.iter();
        let suites = suites.flat_map(|(suite, _)| of_cipher_suite(suite));
        let groups = offers.groups.iter().map(|(group, _)| of_group(group));
        let has_offers = offers.hellos.handshakes > 0;
        let offered = has_offers.then(|| Dependency::of(OFFERED.to_owned(), suites.chain(groups)));
        let algorithms = self.algorithms.values().map(|usage| {
            let parts = usage.algorithm.parts.iter().cloned();
            Dependency::of(algorithm_reference(&usage.algorithm), parts)
        });
        let hybrids = algorithms.filter(|entry| !entry.depends_on.is_empty());
        let certificates = self.certificates().flat_map(|certificate| {
            let Ok(facts) = &certificate.facts else {
                return Vec::new();
            };
            let key = key_reference(&certificate.sha256);
            let signature = algorithm_reference(&of_signature(&facts.signature_algorithm));
            vec![
                Dependency {
                    reference: certificate_reference(&certificate.sha256),
                    depends_on: vec![signature, key.clone()],
                },
                Dependency::of(key, [of_public_key(&facts.key)]),
            ]
        });
        services.chain(offered).chain(hybrids).chain(certificates)
    }

    /// How complete the document is. A passive observer never knows that there is no more.
    fn compositions(&self) -> Vec<Composition> {
        let collected = self.collected;
        let is_cut = collected.services.omitted > 0
            || collected.certificates.omitted > 0
            || collected.has_more_sources;
        let is_hidden =
            |service: &Service| service.server_certificate() == ServerCertificate::Hidden;
        let is_limited = |service: &Service| {
            service.negotiated_omitted > 0
                || service.has_more_addresses
                || service.has_more_certificates
        };
        let of_services = |reference, aggregate, services: Vec<String>| Composition {
            reference,
            aggregate,
            assemblies: Vec::new(),
            dependencies: services,
        };
        let whole = Composition {
            reference: "composition:document",
            aggregate: if is_cut { "incomplete" } else { "unknown" },
            assemblies: vec![TRAFFIC],
            dependencies: Vec::new(),
        };
        let parts = [
            of_services(
                "composition:hidden-certificates",
                "incomplete",
                self.services_where(is_hidden).collect(),
            ),
            of_services(
                "composition:cut-at-a-limit",
                "incomplete",
                self.services_where(is_limited).collect(),
            ),
            of_services(
                "composition:observed",
                "unknown",
                self.services_where(|service| !is_hidden(service) && !is_limited(service))
                    .collect(),
            ),
        ];
        let parts = parts
            .into_iter()
            .filter(|part| !part.dependencies.is_empty());
        std::iter::once(whole).chain(parts).collect()
    }
}

fn service_properties(key: &ServiceKey, service: &Service) -> Properties {
    let mut properties = Properties::default();
    properties.add("transport", key.transport);
    if let Some(starttls) = service.starttls {
        properties.add("starttls", starttls);
    }
    properties.add("handshakes", service.seen.handshakes);
    properties.seen("", &service.seen);
    for (outcome, handshakes) in Outcome::ALL.iter().zip(service.outcomes) {
        properties.count(format_args!("outcome:{outcome}"), handshakes);
    }
    for (class, handshakes) in KeyExchangeClass::ALL.iter().zip(service.key_exchanges) {
        properties.count(format_args!("key_exchange:{class}"), handshakes);
    }
    properties.count("resumed", service.resumed);
    properties.add("server_certificate", service.server_certificate().as_str());
    properties.count("hidden:handshakes", service.hidden);
    let client_certificates = ClientCertificate::ALL.iter();
    for (state, handshakes) in client_certificates.zip(service.client_certificates) {
        properties.count(format_args!("client_certificate:{state}"), handshakes);
    }
    properties.count("omitted:negotiated:handshakes", service.negotiated_omitted);
    if service.has_more_addresses {
        properties.add("omitted:addresses", true);
    }
    if service.has_more_certificates {
        properties.add("omitted:certificates", true);
    }
    properties
}

/// One version that a service negotiated.
fn protocol<'a>(key: &ServiceKey, service: &Service, version: ProtocolVersion) -> Component<'a> {
    let mut total = Tally::default();
    let mut suites: BTreeMap<CipherSuite, (Tally, BTreeSet<NamedGroup>)> = BTreeMap::new();
    let mut groups: BTreeMap<NamedGroup, Tally> = BTreeMap::new();
    for (negotiated, tally) in &service.negotiated {
        if negotiated.version != version {
            continue;
        }
        total.add(tally);
        if let Some(group) = negotiated.group {
            groups.entry(group).or_default().add(tally);
        }
        if let Some(suite) = negotiated.cipher_suite {
            let (of_suite, with) = suites.entry(suite).or_default();
            of_suite.add(tally);
            with.extend(negotiated.group);
        }
    }
    let mut properties = Properties::default();
    properties.add("evidence", "negotiated");
    properties.add("negotiated:handshakes", total.handshakes);
    properties.seen("negotiated:", &total);
    for (suite, (tally, _)) in &suites {
        properties.tally(format_args!("negotiated:cipher_suite:{suite}"), tally);
    }
    for (group, tally) in &groups {
        properties.tally(format_args!("negotiated:group:{group}"), tally);
    }
    let name = version.to_string();
    let (kind, number) = match version.protocol_name() {
        "ssl" => ("other", Some(name.clone())), // CycloneDX has no type for SSL
        "dtls" => ("dtls", version.protocol_version().map(str::to_owned)),
        _ => {
            let number = version.protocol_version().map(str::to_owned);
            let draft = version.draft().map(|draft| format!("1.3 draft {draft}"));
            ("tls", number.or(draft).or_else(|| Some(name.clone())))
        }
    };
    Component {
        kind: "cryptographic-asset",
        reference: protocol_reference(version, key),
        description: Some(format!("{name} as {} negotiated it", key.host_and_port())),
        name: name.into(),
        hashes: Vec::new(),
        crypto_properties: CryptoProperties {
            asset_type: "protocol",
            protocol_properties: Some(ProtocolProperties {
                kind,
                version: number,
                cipher_suites: suites
                    .into_iter()
                    .map(|(suite, (_, groups))| Suite::new(suite, groups))
                    .collect(),
                related_cryptographic_assets: groups
                    .into_keys()
                    .map(|group| RelatedAsset::algorithm(&of_group(group)))
                    .collect(),
            }),
            ..CryptoProperties::default()
        },
        evidence: None,
        properties,
    }
}

fn algorithm(usage: &Usage) -> Component<'_> {
    let mut properties = Properties::default();
    let evidence = [
        ("negotiated", usage.negotiated.handshakes),
        ("offered", usage.offered.handshakes),
        ("certificate", usage.certificates),
    ];
    for (word, _) in evidence.iter().filter(|(_, count)| *count > 0) {
        properties.add("evidence", word);
    }
    properties.count("negotiated:handshakes", usage.negotiated.handshakes);
    properties.seen("negotiated:", &usage.negotiated);
    properties.seen("offered:", &usage.offered);
    properties.count("certificates", usage.certificates);
    Component {
        kind: "cryptographic-asset",
        reference: algorithm_reference(&usage.algorithm),
        name: Cow::Borrowed(&usage.algorithm.name),
        description: None,
        hashes: Vec::new(),
        crypto_properties: CryptoProperties {
            asset_type: "algorithm",
            algorithm_properties: Some(&usage.algorithm.properties),
            oid: usage.algorithm.oid,
            ..CryptoProperties::default()
        },
        evidence: None,
        properties,
    }
}

fn certificate(known: &KnownCertificate) -> Component<'_> {
    let mut properties = Properties::default();
    for role in &known.roles {
        properties.add("role", role);
    }
    properties.add("handshakes", known.times);
    properties.add("first_seen", known.first_shown);
    properties.add("last_seen", known.last_shown);
    for (finding, handshakes) in &known.findings {
        properties.add(format_args!("finding:{finding}"), handshakes);
    }
    if let Err(reason) = &known.facts {
        properties.add("unreadable", reason);
    }
    if known.shown_by_more {
        properties.add("omitted:occurrences", true);
    }
    let facts = known.facts.as_ref().ok();
    let certificate_properties = facts.map(|facts| {
        let key = key_reference(&known.sha256);
        let signature = RelatedAsset::algorithm(&of_signature(&facts.signature_algorithm));
        let alternative_names = CertificateExtension {
            common_extension_name: "subjectAlternativeName",
            common_extension_value: &facts.alternative_names,
        };
        CertificateProperties {
            serial_number: &facts.serial,
            subject_name: &facts.subject,
            issuer_name: &facts.issuer,
            not_valid_before: facts.not_before.to_string(),
            not_valid_after: facts.not_after.to_string(),
            signature_algorithm_ref: signature.reference.clone(),
            subject_public_key_ref: key.clone(),
            certificate_format: "X.509",
            certificate_extensions: match facts.alternative_names.is_empty() {
                true => Vec::new(),
                false => vec![alternative_names],
            },
            related_cryptographic_assets: [
                signature,
                RelatedAsset {
                    kind: "publicKey",
                    reference: key,
                },
            ],
        }
    });
    Component {
        kind: "cryptographic-asset",
        reference: certificate_reference(&known.sha256),
        name: match facts {
            Some(facts) if !facts.name.is_empty() => Cow::Borrowed(&facts.name),
            Some(facts) if !facts.alternative_names.is_empty() => {
                Cow::Borrowed(&facts.alternative_names)
            }
            Some(facts) => format!("serial {}", facts.serial).into(),
            None => "unreadable certificate".into(),
        },
        description: None,
        hashes: vec![Hash {
            alg: "SHA-256",
            content: Hex(&known.sha256).to_string(),
        }],
        crypto_properties: CryptoProperties {
            asset_type: "certificate",
            certificate_properties,
            ..CryptoProperties::default()
        },
        evidence: Some(Evidence {
            occurrences: known.shown_by.iter().map(Occurrence::of).collect(),
        }),
        properties,
    }
}

/// The key of a certificate that can be read.
fn public_key(known: &KnownCertificate) -> Option<Component<'_>> {
    let key = &known.facts.as_ref().ok()?.key;
    Some(Component {
        kind: "cryptographic-asset",
        reference: key_reference(&known.sha256),
        name: key.to_string().into(),
        description: None,
        hashes: Vec::new(),
        crypto_properties: CryptoProperties {
            asset_type: "related-crypto-material",
            related_crypto_material_properties: Some(KeyProperties {
                kind: "public-key",
                size: key.bits(),
                related_cryptographic_assets: [RelatedAsset::algorithm(&of_public_key(key))],
            }),
            ..CryptoProperties::default()
        },
        evidence: None,
        properties: Properties::default(),
    })
}

impl Suite {
    fn new(suite: CipherSuite, groups: impl IntoIterator<Item = NamedGroup>) -> Self {
        let algorithms = of_cipher_suite(suite);
        let groups = groups.into_iter();
        Self {
            name: suite.to_string(),
            algorithms: algorithms.iter().map(algorithm_reference).collect(),
            identifiers: suite.0.to_be_bytes().map(|byte| format!("0x{byte:02X}")),
            tls_groups: groups.map(|group| group.to_string()).collect(),
        }
    }
}

impl RelatedAsset {
    fn algorithm(algorithm: &Algorithm) -> Self {
        Self {
            kind: "algorithm",
            reference: algorithm_reference(algorithm),
        }
    }
}

impl Occurrence {
    fn of(by: &ShownBy) -> Self {
        let key = ServiceKey {
            name: by.server_name.clone(),
            address: by.server_name.is_none().then_some(by.address),
            port: by.port.unwrap_or_default(),
            transport: "",
        };
        Self {
            location: match by.port {
                Some(_) => key.host_and_port(),
                None => by.address.to_string(),
            },
        }
    }
}

impl Dependency {
    fn of(reference: String, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        let references: BTreeSet<String> = algorithms
            .into_iter()
            .map(|algorithm| algorithm_reference(&algorithm))
            .collect();
        Self {
            reference,
            depends_on: references.into_iter().collect(),
        }
    }
}

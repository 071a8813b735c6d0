//! DER to facts, by x509-parser; names and extensions are read by hand.
//!
//! The text that x509-parser makes of a name is not RFC 4514, and one malformed
//! alternative name must not hide the others.

use std::net::IpAddr;

use x509_parser::certificate::{X509Certificate, X509CertificateParser};
use x509_parser::error::X509Error;
use x509_parser::nom::error::ErrorKind;
use x509_parser::nom::{Err, Parser};

use super::der::{self, Elements};
#[cfg(feature = "validate")]
use super::public_key;
#[cfg(feature = "validate")]
use super::trust::Root;
use super::{CertificateFacts, CertificateTime, OwnSignature, PublicKey, SignatureAlgorithm, name};

/// How many alternative names of one certificate are kept.
///
/// The largest in honest use, those of content delivery networks, have a few
/// hundred. A name of two bytes takes more than twenty times that in memory.
pub const MAX_NAMES: usize = 2000;

const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13]; // 2.5.29.19
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11]; // 2.5.29.17
const SUBJECT_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x0e]; // 2.5.29.14
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x23]; // 2.5.29.35

pub(super) fn facts(der: &[u8], may_check: bool) -> Result<CertificateFacts, String> {
    let certificate = read(der)?;
    let subject = certificate.subject().as_raw();
    let issuer = certificate.issuer().as_raw();
    let (self_signed, own_signature) = is_self_signed(&certificate, may_check);
    let names = |raw| name::distinguished_name(raw).ok_or("malformed name");
    let mut facts = CertificateFacts {
        subject: names(subject)?,
        common_name: name::common_name(subject),
        issuer: names(issuer)?,
        issuer_common_name: name::common_name(issuer),
        serial: der::integer_hex(certificate.raw_serial()),
        not_before: CertificateTime(certificate.validity().not_before.timestamp()),
        not_after: CertificateTime(certificate.validity().not_after.timestamp()),
        dns_names: Vec::new(),
        ip_addresses: Vec::new(),
        uris: Vec::new(),
        emails: Vec::new(),
        upns: Vec::new(),
        names_omitted: 0,
        key: PublicKey::read(certificate.public_key()),
        signature_algorithm: SignatureAlgorithm::read(&certificate.signature_algorithm),
        self_signed,
        own_signature,
        is_ca: is_ca(&certificate),
    };
    for name in alternative_names(&certificate) {
        facts.keep(name);
    }
    Ok(facts)
}

/// The facts of a trusted root; the caller adds the hash.
#[cfg(feature = "validate")]
pub(super) fn root(der: &[u8]) -> Result<Root, String> {
    let certificate = read(der)?;
    let subject = name::distinguished_name(certificate.subject().as_raw());
    Ok(Root {
        subject: subject.ok_or("malformed name")?,
        sha256: [0; 32],
        not_before: CertificateTime(certificate.validity().not_before.timestamp()),
        not_after: CertificateTime(certificate.validity().not_after.timestamp()),
        key: PublicKey::read(certificate.public_key()),
    })
}

impl CertificateFacts {
    fn keep(&mut self, name: AlternativeName<'_>) {
        if self.name_count() >= MAX_NAMES {
            self.names_omitted += 1;
            return;
        }
        match name {
            AlternativeName::Dns(name) => self.dns_names.push(name::ascii(name)),
            AlternativeName::Ip(address) => self.ip_addresses.push(address),
            AlternativeName::Uri(uri) => self.uris.push(name::ascii(uri)),
            AlternativeName::Email(address) => self.emails.push(name::ascii(address)),
            AlternativeName::Upn(upn) => self.upns.push(name::ascii(upn)),
        }
    }

    fn name_count(&self) -> usize {
        let others = self.uris.len() + self.emails.len() + self.upns.len();
        self.dns_names.len() + self.ip_addresses.len() + others
    }
}

/// Extensions stay raw: only a few kinds are read, and a malformed one must not hide the others.
fn read(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
    match parser.parse(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok((rest, _)) => Err(format!("bytes after the certificate: {}", rest.len())),
        Err(Err::Incomplete(_)) => Err("cut short".to_owned()),
        Err(Err::Error(error) | Err::Failure(error)) => Err(match error {
            X509Error::NomError(ErrorKind::Eof) => "cut short".to_owned(),
            X509Error::NomError(_) => "malformed structure".to_owned(),
            other => other.to_string(),
        }),
    }
}

/// An alternative name of a kind that identifies servers, workloads or people (RFC 5280 §4.2.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AlternativeName<'a> {
    Dns(&'a [u8]),
    Ip(IpAddr),
    Uri(&'a [u8]),
    Email(&'a [u8]),
    /// Microsoft's user principal name, as on smart cards and in Active Directory.
    Upn(&'a [u8]),
}

/// Whether any alternative name is `wanted`, including those beyond [`MAX_NAMES`].
pub(super) fn any_alternative_name(
    der: &[u8],
    wanted: impl FnMut(AlternativeName<'_>) -> bool,
) -> bool {
    read(der).is_ok_and(|certificate| alternative_names(&certificate).any(wanted))
}

fn alternative_names<'a>(
    certificate: &X509Certificate<'a>,
) -> impl Iterator<Item = AlternativeName<'a>> + use<'a> {
    extension(certificate, SUBJECT_ALTERNATIVE_NAME)
        .and_then(|value| Elements::within(value, der::SEQUENCE))
        .into_iter()
        .flatten()
        .filter_map(alternative_name)
}

fn alternative_name(element: der::Element<'_>) -> Option<AlternativeName<'_>> {
    const OTHER_NAME: u8 = der::constructed_context(0);
    const EMAIL: u8 = der::context(1);
    const DNS_NAME: u8 = der::context(2);
    const URI: u8 = der::context(6);
    const IP_ADDRESS: u8 = der::context(7);
    match element.tag {
        OTHER_NAME => other_name(element.content),
        EMAIL => Some(AlternativeName::Email(element.content)),
        DNS_NAME => Some(AlternativeName::Dns(element.content)),
        URI => Some(AlternativeName::Uri(element.content)),
        IP_ADDRESS => ip_address(element.content).map(AlternativeName::Ip),
        _ => None,
    }
}

/// A name whose kind is an object identifier; the value is explicitly tagged.
fn other_name(content: &[u8]) -> Option<AlternativeName<'_>> {
    const UPN: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 20, 2, 3]; // 1.3.6.1.4.1.311.20.2.3
    const SMTP_UTF8_MAILBOX: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 8, 9]; // RFC 9598 §3
    const VALUE: u8 = der::constructed_context(0);
    let mut parts = Elements::new(content);
    let kind = parts.content(der::OBJECT_IDENTIFIER)?;
    let text = Elements::new(parts.content(VALUE)?).content(der::UTF8_STRING)?;
    match kind {
        UPN => Some(AlternativeName::Upn(text)),
        SMTP_UTF8_MAILBOX => Some(AlternativeName::Email(text)),
        _ => None,
    }
}

fn ip_address(content: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(content).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(content).map(IpAddr::from))
        .ok()
}

fn is_ca(certificate: &X509Certificate<'_>) -> bool {
    extension(certificate, BASIC_CONSTRAINTS)
        .and_then(|value| Elements::within(value, der::SEQUENCE)?.content(der::BOOLEAN))
        .is_some_and(|flag| flag != [0])
}

/// The first extension of this type; RFC 5280 §4.2 allows no second.
fn extension<'a>(certificate: &X509Certificate<'a>, oid: &[u8]) -> Option<&'a [u8]> {
    certificate
        .extensions()
        .iter()
        .find(|extension| extension.oid.as_bytes() == oid)
        .map(|extension| extension.value)
}

/// What a certificate allows its key to be used for.
#[derive(Debug, Default)]
pub(super) struct Usage<'a> {
    /// The first eight bits of the key usage extension, `digitalSignature` highest; `None` without the extension.
    pub(super) key_usage: Option<u8>,
    /// The object identifiers in the extended key usage extension; `None` without it.
    purposes: Option<Vec<&'a [u8]>>,
    /// Whether it has a URL for its issuer's certificate (RFC 5280 §4.2.2.1).
    #[cfg_attr(
        not(feature = "validate"),
        expect(dead_code, reason = "explains why there is no path to a root")
    )]
    pub(super) has_issuer_url: bool,
}

pub(super) const DIGITAL_SIGNATURE: u8 = 0x80;
pub(super) const KEY_ENCIPHERMENT: u8 = 0x20;
pub(super) const KEY_AGREEMENT: u8 = 0x08;
pub(super) const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1]; // 1.3.6.1.5.5.7.3.1
pub(super) const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];

impl Usage<'_> {
    /// Whether the extended key usage contains the purpose or is absent.
    ///
    /// `anyExtendedKeyUsage` is not enough: neither OpenSSL nor webpki accept it
    /// (RFC 5280 §4.2.1.12 leaves that to the application).
    pub(super) fn allows_purpose(&self, purpose: &[u8]) -> bool {
        self.purposes
            .as_ref()
            .is_none_or(|purposes| purposes.contains(&purpose))
    }
}

/// What a certificate allows; `None` if it cannot be read.
pub(super) fn usage(der: &[u8]) -> Option<Usage<'_>> {
    const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f]; // 2.5.29.15
    const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25]; // 2.5.29.37
    const AUTHORITY_INFORMATION: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];
    const CA_ISSUERS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 2];
    let certificate = read(der).ok()?;
    let key_usage = extension(&certificate, KEY_USAGE)
        .and_then(|value| Elements::new(value).content(der::BIT_STRING))
        .map(|bits| bits.get(1).copied().unwrap_or_default());
    let purposes = extension(&certificate, EXTENDED_KEY_USAGE)
        .and_then(|value| Elements::within(value, der::SEQUENCE))
        .map(|purposes| purposes.map(|purpose| purpose.content).collect());
    let has_issuer_url = extension(&certificate, AUTHORITY_INFORMATION)
        .and_then(|value| Elements::within(value, der::SEQUENCE))
        .into_iter()
        .flatten()
        .filter_map(|description| {
            Elements::new(description.content).content(der::OBJECT_IDENTIFIER)
        })
        .any(|method| method == CA_ISSUERS);
    Some(Usage {
        key_usage,
        purposes,
        has_issuer_url,
    })
}

/// Whether the key of `issuer` verifies the signature of a certificate; `None` if it cannot be checked.
#[cfg(feature = "validate")]
pub(super) fn is_signed_by(der: &[u8], issuer: &[u8]) -> Option<bool> {
    let (certificate, issuer) = (read(der).ok()?, read(issuer).ok()?);
    match certificate.verify_signature(Some(issuer.public_key())) {
        Ok(()) => Some(true),
        Err(X509Error::SignatureVerificationError) if is_supported(&issuer) => Some(false),
        Err(_) => None,
    }
}

/// See [`CertificateFacts::self_signed`]. Cheap checks come first: verifying takes longer than everything else here.
fn is_self_signed(certificate: &X509Certificate<'_>, may_check: bool) -> (bool, OwnSignature) {
    let is_self_issued = certificate.subject().as_raw() == certificate.issuer().as_raw()
        && !identifiers_differ(certificate);
    match (is_self_issued, may_check) {
        (false, _) => (false, OwnSignature::NotAsked),
        (true, true) => (
            verifies_itself(certificate) != Some(false),
            OwnSignature::Checked,
        ),
        (true, false) => (true, OwnSignature::Skipped),
    }
}

/// Whether the key identifiers say that another key signed the certificate (RFC 5280 §4.2.1.1).
fn identifiers_differ(certificate: &X509Certificate<'_>) -> bool {
    const KEY_IDENTIFIER: u8 = der::context(0);
    let own = extension(certificate, SUBJECT_KEY_IDENTIFIER)
        .and_then(|value| Elements::new(value).content(der::OCTET_STRING));
    let signer = extension(certificate, AUTHORITY_KEY_IDENTIFIER)
        .and_then(|value| Elements::within(value, der::SEQUENCE)?.content(KEY_IDENTIFIER));
    matches!((own, signer), (Some(own), Some(signer)) if own != signer)
}

/// Whether its own key verifies its signature; `None` if it cannot be checked.
#[cfg(feature = "validate")]
fn verifies_itself(certificate: &X509Certificate<'_>) -> Option<bool> {
    match certificate.verify_signature(None) {
        Ok(()) => Some(true),
        Err(X509Error::SignatureVerificationError) if is_supported(certificate) => Some(false),
        Err(_) => None,
    }
}

#[cfg(not(feature = "validate"))]
const fn verifies_itself(_certificate: &X509Certificate<'_>) -> Option<bool> {
    None
}

/// Whether *ring* supports this key: x509-parser reports the same error for an
/// unsupported key as for a wrong signature, and only the latter is a finding.
#[cfg(feature = "validate")]
fn is_supported(certificate: &X509Certificate<'_>) -> bool {
    let key = certificate.public_key();
    match public_key::modulus_bits(key) {
        Some(bits) => (2048..=8192).contains(&bits),
        // *ring* takes elliptic curve points in uncompressed form only (first octet 4); any 32 octets are an Ed25519 key.
        None => {
            key.subject_public_key.data.first() == Some(&4)
                || key.subject_public_key.data.len() == 32
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::super::Certificate;
    use super::super::support::{
        Template, algorithm, common_name, dns_names, element, extension, rsa_key,
    };
    use super::*;

    fn parameters(common_name: &str) -> CertificateParams {
        let mut parameters =
            CertificateParams::new(vec!["example.org".to_owned(), "192.0.2.1".to_owned()]).unwrap();
        parameters
            .distinguished_name
            .push(DnType::CommonName, common_name);
        parameters
    }

    fn facts_of(der: &[u8]) -> CertificateFacts {
        Certificate::from_der(der).facts.unwrap()
    }

    #[test]
    fn reads_the_facts_of_a_certificate_issued_by_a_ca() {
        let ca_key = KeyPair::generate().unwrap();
        let issuer = Issuer::new(parameters("Example CA"), ca_key);
        let mut parameters = parameters("leaf, or so");
        parameters.not_before = rcgen::date_time_ymd(2026, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2027, 1, 1);
        parameters.serial_number = Some(vec![0x8a, 0x1b].into());
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &issuer).unwrap();
        let facts = facts_of(certificate.der());
        assert_eq!(facts.subject, "CN=leaf\\, or so");
        assert_eq!(facts.common_name.as_deref(), Some("leaf, or so"));
        assert_eq!(facts.issuer, "CN=Example CA");
        assert_eq!(facts.issuer_common_name.as_deref(), Some("Example CA"));
        assert_eq!(facts.serial, "8a1b");
        assert_eq!(
            (facts.not_before, facts.not_after),
            (
                CertificateTime(1_767_225_600),
                CertificateTime(1_798_761_600)
            )
        );
        assert_eq!(facts.dns_names, ["example.org"]);
        assert_eq!(facts.ip_addresses, [IpAddr::from([192, 0, 2, 1])]);
        assert_eq!(facts.key.to_string(), "ECDSA P-256");
        assert_eq!(facts.signature_algorithm.to_string(), "ecdsa-with-SHA256");
        assert!(!facts.self_signed && !facts.is_ca);
    }

    #[test]
    fn a_certificate_signed_by_its_own_key_is_self_signed() {
        let algorithms = [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_ED25519,
        ];
        for algorithm in algorithms {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let mut parameters = parameters("root");
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let facts = facts_of(parameters.self_signed(&key).unwrap().der());
            assert!(facts.self_signed && facts.is_ca, "{}", facts.key);
        }
    }

    #[cfg(feature = "validate")]
    #[test]
    fn a_certificate_signed_by_another_key_of_the_same_name_is_not_self_signed() {
        for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
            let issuer = Issuer::new(
                parameters("root"),
                KeyPair::generate_for(algorithm).unwrap(),
            );
            let key = KeyPair::generate_for(algorithm).unwrap();
            let certificate = parameters("root").signed_by(&key, &issuer).unwrap();
            assert!(!facts_of(certificate.der()).self_signed);
        }
    }

    #[test]
    fn names_and_key_identifiers_decide_if_the_signature_cannot_be_checked() {
        let identifiers = |authority: &[u8]| {
            vec![
                extension("2.5.29.14", &element(4, b"key")),
                extension("2.5.29.35", &element(0x30, &element(0x80, authority))),
            ]
        };
        let is_self_signed = |key, extensions| {
            let (subject, issuer) = (common_name("root"), common_name("root"));
            Template {
                subject,
                issuer,
                key,
                extensions,
                ..Template::default()
            }
            .facts()
            .self_signed
        };
        assert!(is_self_signed(rsa_key(1024), vec![]));
        assert!(is_self_signed(rsa_key(1024), identifiers(b"key")));
        assert!(!is_self_signed(rsa_key(1024), identifiers(b"other")));
        let is_checked = cfg!(feature = "validate"); // and found wrong
        assert_eq!(
            is_self_signed(rsa_key(2048), identifiers(b"key")),
            !is_checked
        );
    }

    #[test]
    fn serial_numbers_lose_leading_zero_bytes_only() {
        let serial = |serial: &[u8]| {
            Template {
                serial: serial.to_vec(),
                ..Template::default()
            }
            .facts()
            .serial
        };
        assert_eq!(serial(&[0x00, 0xff]), "ff");
        assert_eq!(serial(&[0x0a, 0x00]), "0a00");
        assert_eq!(serial(&[0x00]), "00");
        assert_eq!(serial(&[0x8a]), "8a"); // negative, against RFC 5280 §4.1.2.2
    }

    #[test]
    fn validity_may_reach_from_1950_to_9999() {
        let template = Template {
            not_before: "500101000000Z",
            not_after: "99991231235959Z",
            ..Template::default()
        };
        let facts = template.facts();
        assert_eq!(
            (facts.not_before, facts.not_after),
            (
                CertificateTime(-631_152_000),
                CertificateTime(253_402_300_799)
            )
        );
    }

    #[test]
    fn names_beyond_the_limit_are_counted_and_still_found() {
        let names: Vec<String> = (0..MAX_NAMES + 2)
            .map(|index| format!("n{index}.example"))
            .collect();
        let template = Template {
            extensions: vec![dns_names(names.iter().map(String::as_str))],
            ..Template::default()
        };
        let der = template.der();
        let facts = facts_of(&der);
        assert_eq!((facts.dns_names.len(), facts.names_omitted), (MAX_NAMES, 2));
        let last = names.last().unwrap().as_bytes();
        assert!(any_alternative_name(&der, |name| name == AlternativeName::Dns(last)));
    }

    #[test]
    fn a_malformed_certificate_has_a_reason() {
        let reason = |der: &[u8]| Certificate::from_der(der).facts.unwrap_err();
        let der = Template::default().der();
        assert_eq!(
            reason(&[&der[..], &[0; 3]].concat()),
            "bytes after the certificate: 3"
        );
        assert_eq!(reason(&der[..der.len() - 1]), "cut short");
        let bad_date = Template {
            not_before: "991301000000Z",
            ..Template::default()
        };
        assert_eq!(reason(&bad_date.der()), "invalid date");
        assert_eq!(reason(b""), "cut short");
    }

    #[test]
    fn no_prefix_of_a_certificate_is_a_certificate() {
        let der = Template {
            extensions: vec![dns_names(["a.example"])],
            ..Template::default()
        }
        .der();
        for end in 0..der.len() {
            assert!(
                Certificate::from_der(&der[..end]).facts.is_err(),
                "{end} bytes"
            );
        }
    }

    #[test]
    fn a_malformed_extension_does_not_hide_the_rest() {
        let template = Template {
            extensions: vec![
                extension(
                    "2.5.29.17",
                    &element(0x30, &[0x87, 0x03, 1, 2, 3, 0x82, 0x01, b'a', 0x82]),
                ),
                extension("2.5.29.19", &[0xff]),
            ],
            signature_algorithm: algorithm("1.2.3", &[]),
            ..Template::default()
        };
        let facts = template.facts();
        assert_eq!(facts.dns_names, ["a"]);
        assert!(facts.ip_addresses.is_empty() && !facts.is_ca);
    }

    proptest! {
        #[test]
        fn no_mutation_panics(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
            let name = common_name("root");
            let mut der = Template {
                subject: name.clone(),
                issuer: name,
                extensions: vec![dns_names(["a.example"])],
                ..Template::default()
            }.der();
            for (index, value) in changes {
                let index = index.index(der.len());
                der[index] = value;
            }
            let _ = Certificate::from_der(&der);
        }
    }
}

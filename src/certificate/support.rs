//! Certificates built by hand for tests, so that they can be malformed in any way.

use super::{
    Certificate, CertificateFacts, CertificateTime, OwnSignature, PublicKey, SignatureAlgorithm,
};

/// What a usual certificate of an end entity says, valid from 1970 on: a test changes what it is about.
pub(crate) fn facts(subject: &str, issuer: &str) -> CertificateFacts {
    let common_name = |name: &str| name.strip_prefix("CN=").map(str::to_owned);
    CertificateFacts {
        subject: subject.to_owned(),
        common_name: common_name(subject),
        issuer: issuer.to_owned(),
        issuer_common_name: common_name(issuer),
        serial: "0a1b".to_owned(),
        not_before: CertificateTime(0),
        not_after: CertificateTime(i64::MAX),
        dns_names: Vec::new(),
        ip_addresses: Vec::new(),
        uris: Vec::new(),
        emails: Vec::new(),
        upns: Vec::new(),
        names_omitted: 0,
        key: PublicKey::Rsa(Some(2048)),
        signature_algorithm: SignatureAlgorithm::from_oid("1.2.840.113549.1.1.11"),
        self_signed: false,
        own_signature: OwnSignature::NotAsked,
        is_ca: false,
    }
}

/// One element: identifier, length, contents.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let header = match u16::try_from(length).unwrap().to_be_bytes() {
        [0, short @ 0..0x80] => vec![tag, short],
        [0, long] => vec![tag, 0x81, long],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [&header, content].concat()
}

/// A SEQUENCE of these elements.
pub(super) fn sequence(elements: &[&[u8]]) -> Vec<u8> {
    element(0x30, &elements.concat())
}

/// An OBJECT IDENTIFIER; no arc may exceed 32 bits.
pub(super) fn oid(dotted: &str) -> Vec<u8> {
    let mut arcs: Vec<u32> = dotted.split('.').map(|arc| arc.parse().unwrap()).collect();
    let root = arcs.remove(0);
    arcs[0] += root * 40;
    let octets = |arc: u32| {
        let more = (1..5).rev().filter(move |&i| arc >> (7 * i) > 0);
        let more = more.map(move |i| (arc >> (7 * i)) as u8 | 0x80);
        more.chain([arc as u8 & 0x7f])
    };
    element(6, &arcs.into_iter().flat_map(octets).collect::<Vec<_>>())
}

/// AlgorithmIdentifier with `parameters` as given.
pub(super) fn algorithm(dotted: &str, parameters: &[u8]) -> Vec<u8> {
    sequence(&[&oid(dotted), parameters])
}

/// SubjectPublicKeyInfo.
pub(super) fn key(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    sequence(&[algorithm, &element(3, &[&[0], key].concat())])
}

/// An RSA key whose modulus is one bit followed by zeros.
pub(super) fn rsa_key(bits: usize) -> Vec<u8> {
    let mut modulus = vec![0; bits.div_ceil(8)];
    modulus[0] = 1 << ((bits - 1) % 8);
    modulus.insert(0, 0);
    let numbers = [element(2, &modulus), element(2, &[1, 0, 1])].concat();
    key(
        &algorithm("1.2.840.113549.1.1.1", &[5, 0]),
        &element(0x30, &numbers),
    )
}

/// A name of one common name.
pub(super) fn common_name(text: &str) -> Vec<u8> {
    let attribute = sequence(&[&oid("2.5.4.3"), &element(12, text.as_bytes())]);
    sequence(&[&element(0x31, &attribute)])
}

/// An extension, not critical.
pub(super) fn extension(dotted: &str, value: &[u8]) -> Vec<u8> {
    sequence(&[&oid(dotted), &element(4, value)])
}

/// A subject alternative name extension of these DNS names.
pub(super) fn dns_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let names = names.into_iter().map(|name| element(0x82, name.as_bytes()));
    let names: Vec<u8> = names.flatten().collect();
    extension("2.5.29.17", &element(0x30, &names))
}

/// A subject alternative name extension of these IP addresses.
pub(super) fn ip_addresses(addresses: &[&[u8]]) -> Vec<u8> {
    let addresses: Vec<u8> = addresses.iter().flat_map(|a| element(0x87, a)).collect();
    extension("2.5.29.17", &element(0x30, &addresses))
}

/// The fields of a certificate; its signature is a few zeros.
pub(super) struct Template {
    pub(super) serial: Vec<u8>,
    pub(super) subject: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    /// UTCTime if it has 13 characters, else GeneralizedTime.
    pub(super) not_before: &'static str,
    pub(super) not_after: &'static str,
    pub(super) key: Vec<u8>,
    pub(super) signature_algorithm: Vec<u8>,
    pub(super) extensions: Vec<Vec<u8>>,
}

impl Default for Template {
    fn default() -> Self {
        Self {
            serial: vec![1],
            subject: common_name("leaf"),
            issuer: common_name("ca"),
            not_before: "20260101000000Z",
            not_after: "20270101000000Z",
            key: rsa_key(2048),
            signature_algorithm: algorithm("1.2.840.113549.1.1.11", &[5, 0]),
            extensions: Vec::new(),
        }
    }
}

/// A certificate with the subject `CN=leaf`.
pub(crate) fn leaf() -> Certificate {
    Template::default().certificate()
}

impl Template {
    pub(super) fn der(&self) -> Vec<u8> {
        let time = |text: &str| element(if text.len() == 13 { 23 } else { 24 }, text.as_bytes());
        let extensions = element(0x30, &self.extensions.concat());
        let to_be_signed = sequence(&[
            &[0xa0, 3, 2, 1, 2], // v3
            &element(2, &self.serial),
            &self.signature_algorithm,
            &self.issuer,
            &sequence(&[&time(self.not_before), &time(self.not_after)]),
            &self.subject,
            &self.key,
            &element(0xa3, &extensions),
        ]);
        let signature = element(3, &[0; 9]);
        sequence(&[&to_be_signed, &self.signature_algorithm, &signature])
    }

    pub(super) fn certificate(&self) -> Certificate {
        Certificate::from_der(&self.der())
    }

    pub(super) fn facts(&self) -> CertificateFacts {
        self.certificate().facts.unwrap()
    }
}

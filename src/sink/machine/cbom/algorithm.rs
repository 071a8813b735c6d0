//! Algorithms as CycloneDX describes them, by the names that they have in TLS and X.509.
//!
//! Names are those of the other outputs: IANA's for groups, OpenSSL's for signatures. The families, curves and modes are
//! those that CycloneDX lists, so that a filter for a family finds an algorithm whatever it is called.

use std::borrow::Cow;

use serde::Serialize;

use crate::certificate::{Curve, HashAlgorithm, PublicKey, RsaPadding, SignatureAlgorithm};
use crate::tls::{CipherSuite, KeyExchange, NamedGroup};

/// Longest name of an algorithm in bytes: an unknown one is an object identifier that a certificate chose.
const MAX_NAME: usize = 128;

/// An algorithm, and what it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Algorithm {
    /// Its name, which no other has.
    pub(super) name: Cow<'static, str>,
    pub(super) properties: AlgorithmProperties,
    /// Its dotted object identifier, if it has one that is known.
    pub(super) oid: Option<&'static str>,
    /// The algorithms that a hybrid combines.
    pub(super) parts: Vec<Self>,
}

/// CycloneDX `algorithmProperties`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AlgorithmProperties {
    primitive: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm_family: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter_set_identifier: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elliptic_curve: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    padding: Option<&'static str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    crypto_functions: &'static [&'static str],
    /// Bits, by NIST SP 800-57 part 1, table 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    classical_security_level: Option<u16>,
    /// NIST's category; 0 for what a quantum computer breaks, and for what is too weak for any category.
    #[serde(skip_serializing_if = "Option::is_none")]
    nist_quantum_security_level: Option<u8>,
}

const ENCRYPT: &[&str] = &["encrypt", "decrypt"];
const SIGN: &[&str] = &["sign", "verify"];
const AGREE: &[&str] = &["keygen", "keyderive"];
const ENCAPSULATE: &[&str] = &["keygen", "encapsulate", "decapsulate"];

impl Algorithm {
    fn new(name: impl Into<Cow<'static, str>>, primitive: &'static str) -> Self {
        Self {
            name: name.into(),
            properties: AlgorithmProperties {
                primitive,
                ..AlgorithmProperties::default()
            },
            oid: None,
            parts: Vec::new(),
        }
    }

    const fn family(mut self, family: &'static str) -> Self {
        self.properties.algorithm_family = Some(family);
        self
    }

    fn parameter_set(mut self, parameters: impl Into<Cow<'static, str>>) -> Self {
        self.properties.parameter_set_identifier = Some(parameters.into());
        self
    }

    const fn functions(mut self, functions: &'static [&'static str]) -> Self {
        self.properties.crypto_functions = functions;
        self
    }

    const fn padding(mut self, padding: &'static str) -> Self {
        self.properties.padding = Some(padding);
        self
    }

    const fn classical(mut self, bits: Option<u16>) -> Self {
        self.properties.classical_security_level = bits;
        self
    }

    const fn quantum(mut self, category: u8) -> Self {
        self.properties.nist_quantum_security_level = Some(category);
        self
    }

    fn curve(mut self, curve: Option<Cow<'static, str>>) -> Self {
        self.properties.elliptic_curve = curve;
        self
    }
}

/// The algorithms of a cipher suite: key exchange and authentication (up to TLS 1.2), cipher, and hash or MAC.
///
/// Empty for a suite without a registered name.
pub(super) fn of_cipher_suite(suite: CipherSuite) -> Vec<Algorithm> {
    let (Some(name), Some(key_exchange)) = (suite.name(), suite.key_exchange()) else {
        return Vec::new();
    };
    let (front, back) = split(name);
    let mut algorithms = Vec::new();
    algorithms.extend(of_key_exchange(key_exchange));
    algorithms.extend(of_authentication(key_exchange, front));
    let cipher = CIPHERS
        .iter()
        .find(|cipher| back.strip_prefix(cipher.prefix).is_some_and(ends_word));
    let hash = back.rsplit('_').next().unwrap_or_default();
    match cipher {
        None => algorithms.extend(mac(hash)), // NULL: integrity alone
        Some(cipher) => {
            algorithms.push(cipher.algorithm());
            let is_aead = cipher.primitive == "ae";
            algorithms.extend(if is_aead { prf(hash) } else { mac(hash) });
        }
    }
    algorithms
}

/// The part of a suite's name before its cipher, and the rest.
fn split(name: &str) -> (&str, &str) {
    if let Some(parts) = name.split_once("_WITH_") {
        return parts;
    }
    // TLS 1.3 names no key exchange; those of GB/T 38636 leave `WITH` out.
    name.split_once('_').unwrap_or(("", name))
}

fn ends_word(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('_')
}

fn of_key_exchange(key_exchange: KeyExchange) -> Option<Algorithm> {
    let agreement = |name, family| {
        Algorithm::new(name, "key-agree")
            .family(family)
            .functions(AGREE)
            .quantum(0)
    };
    Some(match key_exchange {
        KeyExchange::Rsa | KeyExchange::RsaPsk => Algorithm::new("RSAES-PKCS1-v1_5", "pke")
            .family("RSAES-PKCS1")
            .padding("pkcs1v15")
            .functions(ENCRYPT)
            .quantum(0),
        KeyExchange::Dh => agreement("DH", "FFDH"),
        KeyExchange::Dhe | KeyExchange::DhAnon | KeyExchange::DhePsk => agreement("DHE", "FFDH"),
        KeyExchange::Ecdh => agreement("ECDH", "ECDH"),
        KeyExchange::Ecdhe | KeyExchange::EcdhAnon | KeyExchange::EcdhePsk => {
            agreement("ECDHE", "ECDH")
        }
        KeyExchange::Srp | KeyExchange::SrpCertificate => agreement("SRP", "SRP"),
        KeyExchange::Ecjpake => agreement("J-PAKE", "J-PAKE"),
        KeyExchange::Gost => agreement("GOST key exchange", "GOST"),
        KeyExchange::Sm2 => Algorithm::new("SM2 encryption", "pke")
            .family("SM2")
            .functions(ENCRYPT)
            .quantum(0),
        KeyExchange::Cecpq1 => Algorithm::new("CECPQ1", "combiner").functions(AGREE),
        // What only a shared secret or a ticket decides, what is not in CycloneDX's families, and TLS 1.3, where a group does it.
        _ => return None,
    })
}

/// The signature with which the server authenticates; the suite does not say by which hash and padding.
fn of_authentication(key_exchange: KeyExchange, front: &str) -> Option<Algorithm> {
    let is_signed = matches!(
        key_exchange,
        KeyExchange::Dhe | KeyExchange::Ecdhe | KeyExchange::SrpCertificate | KeyExchange::Cecpq1
    );
    let signature = |name| {
        let algorithm = Algorithm::new(name, "signature").functions(SIGN).quantum(0);
        Some(algorithm)
    };
    let mut words = front.split('_').filter(|_| is_signed);
    words.find_map(|word| match word {
        "RSA" => signature("RSA"),
        "ECDSA" => signature("ECDSA").map(|algorithm| algorithm.family("ECDSA")),
        "DSS" => signature("DSA").map(|algorithm| algorithm.family("DSA")),
        _ => None,
    })
}

/// A row of [`CIPHERS`].
struct Cipher {
    /// How the cipher stands in names of suites.
    prefix: &'static str,
    name: &'static str,
    primitive: &'static str,
    family: Option<&'static str>,
    key_bits: u16,
    mode: Option<&'static str>,
    /// Whether it is broken or too weak, so that its key's length says nothing of its strength.
    is_weak: bool,
}

impl Cipher {
    fn algorithm(&self) -> Algorithm {
        let mut algorithm = Algorithm::new(self.name, self.primitive)
            .parameter_set(self.key_bits.to_string())
            .functions(ENCRYPT);
        algorithm.properties.algorithm_family = self.family;
        algorithm.properties.mode = self.mode;
        match (self.is_weak, self.key_bits) {
            (true, 168) => algorithm.classical(Some(112)).quantum(0), // three keys, met in the middle
            (true, _) => algorithm.quantum(0),
            (false, bits @ 256..) => algorithm.classical(Some(bits)).quantum(5),
            (false, bits) => algorithm.classical(Some(bits)).quantum(1),
        }
    }
}

/// Ciphers by their part of a suite's name, longer ones before their beginnings.
#[rustfmt::skip]
const CIPHERS: &[Cipher] = &[
    cipher("AES_128_GCM", "AES-128-GCM", "ae", Some("AES"), 128, Some("gcm")),
    cipher("AES_256_GCM", "AES-256-GCM", "ae", Some("AES"), 256, Some("gcm")),
    cipher("AES_128_CCM_8", "AES-128-CCM-8", "ae", Some("AES"), 128, Some("ccm")),
    cipher("AES_256_CCM_8", "AES-256-CCM-8", "ae", Some("AES"), 256, Some("ccm")),
    cipher("AES_128_CCM", "AES-128-CCM", "ae", Some("AES"), 128, Some("ccm")),
    cipher("AES_256_CCM", "AES-256-CCM", "ae", Some("AES"), 256, Some("ccm")),
    cipher("AES_128_CBC", "AES-128-CBC", "block-cipher", Some("AES"), 128, Some("cbc")),
    cipher("AES_256_CBC", "AES-256-CBC", "block-cipher", Some("AES"), 256, Some("cbc")),
    cipher("CHACHA20_POLY1305", "ChaCha20-Poly1305", "ae", Some("ChaCha20"), 256, None),
    cipher("CAMELLIA_128_GCM", "Camellia-128-GCM", "ae", Some("CAMELLIA"), 128, Some("gcm")),
    cipher("CAMELLIA_256_GCM", "Camellia-256-GCM", "ae", Some("CAMELLIA"), 256, Some("gcm")),
    cipher("CAMELLIA_128_CBC", "Camellia-128-CBC", "block-cipher", Some("CAMELLIA"), 128, Some("cbc")),
    cipher("CAMELLIA_256_CBC", "Camellia-256-CBC", "block-cipher", Some("CAMELLIA"), 256, Some("cbc")),
    cipher("ARIA_128_GCM", "ARIA-128-GCM", "ae", Some("ARIA"), 128, Some("gcm")),
    cipher("ARIA_256_GCM", "ARIA-256-GCM", "ae", Some("ARIA"), 256, Some("gcm")),
    cipher("ARIA_128_CBC", "ARIA-128-CBC", "block-cipher", Some("ARIA"), 128, Some("cbc")),
    cipher("ARIA_256_CBC", "ARIA-256-CBC", "block-cipher", Some("ARIA"), 256, Some("cbc")),
    cipher("AEGIS_128L", "AEGIS-128L", "ae", None, 128, None),
    cipher("AEGIS_256", "AEGIS-256", "ae", None, 256, None),
    cipher("SM4_GCM", "SM4-GCM", "ae", Some("SM4"), 128, Some("gcm")),
    cipher("SM4_CCM", "SM4-CCM", "ae", Some("SM4"), 128, Some("ccm")),
    cipher("SM4_CBC", "SM4-CBC", "block-cipher", Some("SM4"), 128, Some("cbc")),
    cipher("SM1", "SM1", "block-cipher", None, 128, None),
    cipher("SEED_CBC", "SEED-CBC", "block-cipher", Some("SEED"), 128, Some("cbc")),
    cipher("ESTREAM_SALSA20", "Salsa20/12", "stream-cipher", Some("Salsa20"), 256, None),
    cipher("SALSA20", "Salsa20", "stream-cipher", Some("Salsa20"), 256, None),
    cipher("28147_CNT", "GOST 28147-89-CNT", "stream-cipher", Some("GOST"), 256, Some("ctr")),
    cipher("MAGMA_CTR", "Magma-CTR", "stream-cipher", Some("GOST"), 256, Some("ctr")),
    cipher("MAGMA_MGM", "Magma-MGM", "ae", Some("GOST"), 256, None),
    cipher("KUZNYECHIK_CTR", "Kuznyechik-CTR", "stream-cipher", Some("GOST"), 256, Some("ctr")),
    cipher("KUZNYECHIK_MGM", "Kuznyechik-MGM", "ae", Some("GOST"), 256, None),
    weak("IDEA_CBC", "IDEA-CBC", "block-cipher", Some("IDEA"), 128, Some("cbc")),
    weak("3DES_EDE_CBC", "3DES-EDE-CBC", "block-cipher", Some("3DES"), 168, Some("cbc")),
    weak("DES_CBC_40", "DES-40-CBC", "block-cipher", Some("DES"), 40, Some("cbc")),
    weak("DES40_CBC", "DES-40-CBC", "block-cipher", Some("DES"), 40, Some("cbc")),
    weak("DES_CBC", "DES-CBC", "block-cipher", Some("DES"), 56, Some("cbc")),
    weak("RC4_128", "RC4-128", "stream-cipher", Some("RC4"), 128, None),
    weak("RC4_56", "RC4-56", "stream-cipher", Some("RC4"), 56, None),
    weak("RC4_40", "RC4-40", "stream-cipher", Some("RC4"), 40, None),
    weak("RC2_CBC_56", "RC2-56-CBC", "block-cipher", Some("RC2"), 56, Some("cbc")),
    weak("RC2_CBC_40", "RC2-40-CBC", "block-cipher", Some("RC2"), 40, Some("cbc")),
    weak("FORTEZZA_CBC", "Skipjack-CBC", "block-cipher", Some("Skipjack"), 80, Some("cbc")),
];

const fn cipher(
    prefix: &'static str,
    name: &'static str,
    primitive: &'static str,
    family: Option<&'static str>,
    key_bits: u16,
    mode: Option<&'static str>,
) -> Cipher {
    Cipher {
        prefix,
        name,
        primitive,
        family,
        key_bits,
        mode,
        is_weak: false,
    }
}

const fn weak(
    prefix: &'static str,
    name: &'static str,
    primitive: &'static str,
    family: Option<&'static str>,
    key_bits: u16,
    mode: Option<&'static str>,
) -> Cipher {
    let cipher = cipher(prefix, name, primitive, family, key_bits, mode);
    Cipher {
        is_weak: true,
        ..cipher
    }
}

/// The MAC of a suite without an AEAD, by the last word of its name.
fn mac(word: &str) -> Option<Algorithm> {
    let hash = hash_name(word)?;
    let name = format!("HMAC-{hash}");
    let algorithm = Algorithm::new(name, "mac").family("HMAC");
    Some(algorithm.functions(&["tag", "keyderive"]))
}

/// The hash with which a suite with an AEAD derives keys; SHA-256 if the name has none (RFC 6655 §3).
fn prf(word: &str) -> Option<Algorithm> {
    let name = hash_name(word).unwrap_or("SHA-256");
    let algorithm = Algorithm::new(name, "hash").functions(&["digest", "keyderive"]);
    Some(match name {
        "SHA-256" => algorithm.family("SHA-2").parameter_set("256").quantum(2),
        "SHA-384" => algorithm.family("SHA-2").parameter_set("384").quantum(4),
        "SHA-512" => algorithm.family("SHA-2").parameter_set("512"),
        "SM3" => algorithm.family("SM3"),
        _ => algorithm,
    })
}

fn hash_name(word: &str) -> Option<&'static str> {
    Some(match word {
        "MD5" => "MD5",
        "SHA" | "SHA1" => "SHA-1",
        "SHA256" => "SHA-256",
        "SHA384" => "SHA-384",
        "SHA512" => "SHA-512",
        "SM3" => "SM3",
        "GOSTR3411" => "GOST R 34.11-94",
        _ => return None,
    })
}

/// The key exchange of a group.
pub(super) fn of_group(group: NamedGroup) -> Algorithm {
    let name = group.to_string();
    let hybrid = |mut parts: Vec<Algorithm>, category: Option<u8>| {
        let mut algorithm = Algorithm::new(name.clone(), "combiner").functions(AGREE);
        algorithm.properties.nist_quantum_security_level = category;
        algorithm.parts.append(&mut parts);
        algorithm
    };
    match group {
        NamedGroup::MLKEM512 => ml_kem(name, "512", 1),
        NamedGroup::MLKEM768 => ml_kem(name, "768", 3),
        NamedGroup::MLKEM1024 => ml_kem(name, "1024", 5),
        NamedGroup::X25519MLKEM768 => {
            hybrid(with(NamedGroup::X25519, NamedGroup::MLKEM768), Some(3))
        }
        NamedGroup::SecP256r1MLKEM768 => {
            hybrid(with(NamedGroup::Secp256r1, NamedGroup::MLKEM768), Some(3))
        }
        NamedGroup::SecP384r1MLKEM1024 => {
            hybrid(with(NamedGroup::Secp384r1, NamedGroup::MLKEM1024), Some(5))
        }
        NamedGroup::CurveSM2MLKEM768 => {
            hybrid(with(NamedGroup::CurveSM2, NamedGroup::MLKEM768), Some(3))
        }
        // Experiments: what they combine with an elliptic curve has no category.
        NamedGroup::X25519Kyber768Draft00 | NamedGroup::Cecpq2 => {
            hybrid(vec![of_group(NamedGroup::X25519)], None)
        }
        NamedGroup::SecP256r1Kyber768Draft00 => hybrid(vec![of_group(NamedGroup::Secp256r1)], None),
        _ if group.name().is_none() => Algorithm::new(name, "unknown"),
        _ => match name.strip_prefix("ffdhe") {
            Some(bits) => {
                let modulus = bits.parse().ok();
                Algorithm::new(name.clone(), "key-agree")
                    .family("FFDH")
                    .parameter_set(bits.to_owned())
                    .functions(AGREE)
                    .classical(modulus.map(factoring_bits))
                    .quantum(0)
            }
            None => {
                let curve = group_curve(&name);
                let bits = curve_bits(&name);
                Algorithm::new(name, "key-agree")
                    .family("ECDH")
                    .curve(curve)
                    .functions(AGREE)
                    .classical(bits.map(curve_strength))
                    .quantum(0)
            }
        },
    }
}

fn with(classical: NamedGroup, post_quantum: NamedGroup) -> Vec<Algorithm> {
    vec![of_group(classical), of_group(post_quantum)]
}

fn ml_kem(name: String, parameters: &'static str, category: u8) -> Algorithm {
    Algorithm::new(name, "kem")
        .family("ML-KEM")
        .parameter_set(parameters)
        .functions(ENCAPSULATE)
        .quantum(category)
}

/// A group's curve in CycloneDX's list.
fn group_curve(name: &str) -> Option<Cow<'static, str>> {
    Some(match name {
        "x25519" => "other/Curve25519".into(),
        "x448" => "other/Curve448".into(),
        "curveSM2" => "oscaa/SM2".into(),
        _ if name.starts_with("sec") => format!("secg/{name}").into(),
        _ if name.starts_with("brainpool") => {
            format!("brainpool/{}", name.trim_end_matches("tls13")).into()
        }
        _ => return None,
    })
}

/// Bits of a curve's field, which stand in its name.
fn curve_bits(name: &str) -> Option<u16> {
    match name {
        "x25519" | "curveSM2" => return Some(256), // a security level of 128 bits (RFC 7748 §7)
        "x448" => return Some(448),
        _ => {}
    }
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit());
    digits.get(..end?)?.parse().ok()
}

/// The strength of a curve, by the bits of its field; the table ends at 256.
fn curve_strength(bits: u16) -> u16 {
    (bits / 2).min(256)
}

/// The strength of RSA and of Diffie-Hellman in a field, by the bits of the modulus.
fn factoring_bits(modulus: usize) -> u16 {
    match modulus {
        15_360.. => 256,
        7_680.. => 192,
        3_072.. => 128,
        2_048.. => 112,
        1_024.. => 80,
        _ => 0,
    }
}

/// The algorithm that a public key is for, with its size.
pub(super) fn of_public_key(key: &PublicKey) -> Algorithm {
    let text = key.to_string();
    let named = |primitive| Algorithm::new(shortened(&text), primitive);
    match key {
        PublicKey::Rsa(bits) => modulus(named("pke").quantum(0), *bits),
        PublicKey::RsaPss(bits) => {
            let algorithm = named("signature").family("RSASSA-PSS");
            modulus(algorithm.functions(SIGN).quantum(0), *bits)
        }
        PublicKey::Dsa(bits) => {
            let algorithm = named("signature").family("DSA");
            modulus(algorithm.functions(SIGN).quantum(0), *bits)
        }
        PublicKey::Ecdsa(curve) => {
            let bits = curve.as_ref().and_then(Curve::bits);
            named("signature")
                .family("ECDSA")
                .curve(curve.as_ref().and_then(key_curve))
                .functions(SIGN)
                .classical(bits.map(curve_strength))
                .quantum(0)
        }
        PublicKey::Other(name) => named_signature(name),
    }
}

fn modulus(algorithm: Algorithm, bits: Option<usize>) -> Algorithm {
    match bits {
        None => algorithm,
        Some(bits) => algorithm
            .parameter_set(bits.to_string())
            .classical(Some(factoring_bits(bits))),
    }
}

/// A key's curve in CycloneDX's list.
fn key_curve(curve: &Curve) -> Option<Cow<'static, str>> {
    let name = curve.to_string();
    Some(match name.as_str() {
        "P-192" | "P-224" | "P-256" | "P-384" | "P-521" => format!("nist/{name}").into(),
        "secp256k1" => "secg/secp256k1".into(),
        "SM2" => "oscaa/SM2".into(),
        _ if name.starts_with("brainpool") => format!("brainpool/{name}").into(),
        _ => return None,
    })
}

/// The algorithm of a certificate's signature.
pub(super) fn of_signature(signature: &SignatureAlgorithm) -> Algorithm {
    let name = signature.to_string();
    let mut algorithm = match signature.rsa_padding() {
        Some(padding) => {
            let algorithm = match (padding, signature.hash()) {
                (RsaPadding::Pkcs1, _) => Algorithm::new(name, "signature")
                    .family("RSASSA-PKCS1")
                    .padding("pkcs1v15"),
                // The hash is a parameter: one object identifier stands for several algorithms.
                (RsaPadding::Pss, Some(hash)) => {
                    Algorithm::new(format!("{name} {}", pss_hash(hash)), "signature")
                        .family("RSASSA-PSS")
                }
                (RsaPadding::Pss, None) => Algorithm::new(name, "signature").family("RSASSA-PSS"),
            };
            algorithm.functions(SIGN).quantum(0)
        }
        None => named_signature(&name),
    };
    algorithm.oid = signature.oid();
    algorithm
}

const fn pss_hash(hash: HashAlgorithm) -> &'static str {
    match hash {
        HashAlgorithm::Sha1 => "SHA-1",
        HashAlgorithm::Sha224 => "SHA-224",
        HashAlgorithm::Sha256 => "SHA-256",
        HashAlgorithm::Sha384 => "SHA-384",
        HashAlgorithm::Sha512 => "SHA-512",
        _ => "other hash",
    }
}

/// A signature by its name. Keys and signatures of one algorithm share it, as `Ed25519` and `ML-DSA-65`.
fn named_signature(name: &str) -> Algorithm {
    let signature = |name: &str| Algorithm::new(shortened(name), "signature").functions(SIGN);
    match name {
        "Ed25519" | "ED25519" => signature("Ed25519")
            .family("EdDSA")
            .curve(Some("other/Ed25519".into()))
            .classical(Some(128))
            .quantum(0),
        "Ed448" | "ED448" => signature("Ed448")
            .family("EdDSA")
            .curve(Some("other/Ed448".into()))
            .classical(Some(224))
            .quantum(0),
        "X25519" | "X448" => Algorithm::new(shortened(name), "key-agree")
            .family("ECDH")
            .functions(AGREE)
            .quantum(0),
        "ML-DSA-44" => signature(name)
            .family("ML-DSA")
            .parameter_set("44")
            .quantum(2),
        "ML-DSA-65" => signature(name)
            .family("ML-DSA")
            .parameter_set("65")
            .quantum(3),
        "ML-DSA-87" => signature(name)
            .family("ML-DSA")
            .parameter_set("87")
            .quantum(5),
        _ => {
            if let Some(parameters) = name.strip_prefix("SLH-DSA-") {
                let category = match parameters {
                    _ if parameters.contains("128") => 1,
                    _ if parameters.contains("192") => 3,
                    _ => 5,
                };
                let algorithm = signature(name).family("SLH-DSA");
                return algorithm
                    .parameter_set(parameters.to_owned())
                    .quantum(category);
            }
            let family = match name {
                _ if name.starts_with("ecdsa") => "ECDSA",
                _ if name.starts_with("dsa") => "DSA",
                _ if name.starts_with("SM2") => "SM2",
                _ if name.starts_with("GOST") => "GOST",
                // Unknown: it may be safe from quantum computers, or not.
                _ => return Algorithm::new(shortened(name), "unknown"),
            };
            signature(name).family(family).quantum(0)
        }
    }
}

fn shortened(name: &str) -> String {
    let mut end = name.len().min(MAX_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use tls_parser::{TlsCipherEnc as Enc, TlsCipherEncMode as Mode, TlsCipherSuite};

    use super::*;

    fn names(suite: CipherSuite) -> Vec<String> {
        let algorithms = of_cipher_suite(suite).into_iter();
        algorithms.map(|algorithm| algorithm.name.into()).collect()
    }

    #[test]
    fn a_suite_is_its_key_exchange_authentication_cipher_and_hash() {
        let cases = [
            (0x1301, "AES-128-GCM, SHA-256"),
            (0x1303, "ChaCha20-Poly1305, SHA-256"),
            (0x1305, "AES-128-CCM-8, SHA-256"),
            (0x002f, "RSAES-PKCS1-v1_5, AES-128-CBC, HMAC-SHA-1"),
            (0x0004, "RSAES-PKCS1-v1_5, RC4-128, HMAC-MD5"),
            (0x0016, "DHE, RSA, 3DES-EDE-CBC, HMAC-SHA-1"),
            (0xc02b, "ECDHE, ECDSA, AES-128-GCM, SHA-256"),
            (0xc030, "ECDHE, RSA, AES-256-GCM, SHA-384"),
            (0xc0ac, "ECDHE, ECDSA, AES-128-CCM, SHA-256"),
            (0xc006, "ECDHE, ECDSA, HMAC-SHA-1"),
            (0x0032, "DHE, DSA, AES-128-CBC, HMAC-SHA-1"),
            (0x00a8, "AES-128-GCM, SHA-256"),
            (0xe011, "ECDHE, SM4-CBC, HMAC-SM3"),
            (0x00ff, ""),
            (0x1a1a, ""),
        ];
        for (number, expected) in cases {
            assert_eq!(
                names(CipherSuite(number)).join(", "),
                expected,
                "{number:#06x}"
            );
        }
    }

    #[test]
    fn ciphers_agree_with_tls_parser() {
        let mut compared = 0;
        for suite in (0..=u16::MAX).map(CipherSuite) {
            let Some(known) = TlsCipherSuite::from_id(suite.0) else {
                continue;
            };
            let cipher = of_cipher_suite(suite)
                .into_iter()
                .map(|algorithm| algorithm.properties)
                .find(|cipher| cipher.crypto_functions == ENCRYPT && cipher.primitive != "pke");
            let Some(cipher) = cipher else {
                let is_without = matches!(known.enc, Enc::Null) || suite.key_exchange().is_none();
                assert!(is_without, "{suite}");
                continue;
            };
            compared += 1;
            let bits = cipher.parameter_set_identifier.as_deref();
            // tls-parser counts the bits of the tag here.
            if !matches!(known.enc, Enc::Chacha20_Poly1305) {
                assert_eq!(bits, Some(known.enc_size.to_string().as_str()), "{suite}");
            }
            let mode = match known.enc_mode {
                Mode::Cbc => Some("cbc"),
                Mode::Ccm => Some("ccm"),
                Mode::Gcm => Some("gcm"),
                Mode::Null => None,
            };
            assert_eq!(cipher.mode, mode, "{suite}");
        }
        assert!(compared > 300, "{compared}");
    }

    #[test]
    fn every_named_suite_with_a_cipher_names_it() {
        for suite in (0..=u16::MAX).map(CipherSuite) {
            let name = suite.name().unwrap_or("NULL");
            let is_without_cipher = name.contains("NULL") || name.contains("SHA256_SHA256");
            if is_without_cipher || name.contains("SHA384_SHA384") || name.ends_with("SCSV") {
                continue;
            }
            let algorithms = of_cipher_suite(suite);
            let has_cipher = algorithms.iter().any(|algorithm| {
                let primitive = algorithm.properties.primitive;
                ["ae", "block-cipher", "stream-cipher"].contains(&primitive)
            });
            assert!(has_cipher, "{name}");
        }
    }

    #[test]
    fn a_hybrid_group_is_made_of_both_halves() {
        let hybrid = of_group(NamedGroup::X25519MLKEM768);
        assert_eq!(hybrid.properties.primitive, "combiner");
        assert_eq!(hybrid.properties.nist_quantum_security_level, Some(3));
        let parts: Vec<_> = hybrid.parts.iter().map(|part| part.name.as_ref()).collect();
        assert_eq!(parts, ["x25519", "MLKEM768"]);
    }

    #[test]
    fn classical_groups_have_a_strength_and_fall_to_quantum_computers() {
        for (group, bits) in [
            (NamedGroup::X25519, Some(128)),
            (NamedGroup::X448, Some(224)),
            (NamedGroup::Secp256r1, Some(128)),
            (NamedGroup::Secp521r1, Some(256)),
            (NamedGroup::BrainpoolP384r1tls13, Some(192)),
            (NamedGroup::Sect163k1, Some(81)),
            (NamedGroup::Ffdhe2048, Some(112)),
            (NamedGroup::Ffdhe4096, Some(128)),
        ] {
            let properties = of_group(group).properties;
            assert_eq!(properties.classical_security_level, bits, "{group}");
            assert_eq!(properties.nist_quantum_security_level, Some(0), "{group}");
        }
        let unknown = of_group(NamedGroup(0x9999)).properties;
        assert_eq!(unknown.nist_quantum_security_level, None);
    }

    #[test]
    fn signatures_have_their_family_and_identifier() {
        for (oid, name, family) in [
            (
                "1.2.840.113549.1.1.11",
                "sha256WithRSAEncryption",
                Some("RSASSA-PKCS1"),
            ),
            ("1.2.840.10045.4.3.2", "ecdsa-with-SHA256", Some("ECDSA")),
            ("1.3.101.112", "Ed25519", Some("EdDSA")),
            ("2.16.840.1.101.3.4.3.18", "ML-DSA-65", Some("ML-DSA")),
            ("1.2.3.4", "1.2.3.4", None),
        ] {
            let algorithm = of_signature(&SignatureAlgorithm::from_oid(oid));
            assert_eq!(algorithm.name, name);
            assert_eq!(algorithm.properties.algorithm_family, family);
        }
        let unknown = SignatureAlgorithm::from_oid(&"1.".repeat(500));
        assert_eq!(of_signature(&unknown).name.len(), MAX_NAME);
    }
}

//! Public keys: their algorithm and size.

use std::borrow::Cow;
use std::fmt;

use x509_parser::asn1_rs::Tag;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use super::der::{self, Elements};

/// The algorithm of a public key, and its size.
///
/// Prints as `RSA 2048`, `ECDSA P-256` or `Ed25519`, and an algorithm without a
/// name here as its dotted object identifier.
///
/// # Example
///
/// ```
/// use tlscope::certificate::PublicKey;
///
/// let key = PublicKey::Rsa(Some(2048));
/// assert_eq!(key.to_string(), "RSA 2048");
/// assert_eq!(key.rsa_bits(), Some(2048));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PublicKey {
    /// RSA, and the bits of its modulus; `None` if the key cannot be read.
    Rsa(Option<usize>),
    /// RSA for PSS signatures only (RFC 4055 §1.2), and the bits of its modulus.
    RsaPss(Option<usize>),
    /// DSA, and the bits of its prime; `None` if the key inherits its parameters.
    Dsa(Option<usize>),
    /// ECDSA and its curve; `None` for explicit parameters, which RFC 5480 §2.1.1 forbids.
    Ecdsa(Option<Curve>),
    /// An algorithm whose name says its size, as in `Ed25519` or `ML-DSA-65`; or
    /// the dotted object identifier of an unknown one.
    Other(Cow<'static, str>),
}

/// A named elliptic curve; prints as its name, or as its dotted object identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Curve {
    name: Cow<'static, str>,
    bits: Option<u16>,
}

impl PublicKey {
    /// Bits of the modulus of an RSA key, whatever it may sign with.
    #[must_use]
    pub const fn rsa_bits(&self) -> Option<usize> {
        match self {
            Self::Rsa(bits) | Self::RsaPss(bits) => *bits,
            Self::Dsa(_) | Self::Ecdsa(_) | Self::Other(_) => None,
        }
    }

    /// Bits of the modulus, prime or curve; `None` if unknown, or if the algorithm's name says it.
    #[cfg(feature = "cli")]
    pub(crate) fn bits(&self) -> Option<usize> {
        match self {
            Self::Rsa(bits) | Self::RsaPss(bits) | Self::Dsa(bits) => *bits,
            Self::Ecdsa(curve) => curve.as_ref()?.bits().map(usize::from),
            Self::Other(_) => None,
        }
    }

    /// Texts that a key prints as: all algorithms and curves with a name, and usual sizes.
    #[cfg(feature = "cli")]
    pub(crate) fn usual_texts() -> Vec<String> {
        const USUAL_BITS: [usize; 7] = [512, 768, 1024, 2048, 3072, 4096, 8192];
        let sized = USUAL_BITS.into_iter().flat_map(|bits| {
            let bits = Some(bits);
            [Self::Rsa(bits), Self::RsaPss(bits), Self::Dsa(bits)]
        });
        let curves = CURVES.iter().map(|(oid, ..)| {
            let curve = Curve::from_oid((*oid).to_owned());
            Self::Ecdsa(Some(curve))
        });
        let others = OTHER_KEYS.iter().chain(POST_QUANTUM);
        let others = others.map(|(_, name)| Self::Other((*name).into()));
        let keys = sized.chain(curves).chain(others);
        keys.map(|key| key.to_string()).collect()
    }

    /// Reads the algorithm and size of a key.
    pub(super) fn read(info: &SubjectPublicKeyInfo<'_>) -> Self {
        let oid = der::dotted(info.algorithm.algorithm.as_bytes());
        match oid.as_str() {
            "1.2.840.113549.1.1.1" => return Self::Rsa(modulus_bits(info)),
            "1.2.840.113549.1.1.10" => return Self::RsaPss(modulus_bits(info)),
            "1.2.840.10040.4.1" => return Self::Dsa(prime_bits(&info.algorithm)),
            "1.2.840.10045.2.1" => return Self::Ecdsa(Curve::read(&info.algorithm)),
            _ => {}
        }
        let known = OTHER_KEYS.iter().find(|(known, _)| *known == oid);
        match known.map(|(_, name)| *name).or_else(|| post_quantum(&oid)) {
            Some(name) => Self::Other(name.into()),
            None => Self::Other(oid.into()),
        }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, bits) = match self {
            Self::Rsa(bits) => ("RSA", bits),
            Self::RsaPss(bits) => ("RSA-PSS", bits),
            Self::Dsa(bits) => ("DSA", bits),
            Self::Ecdsa(Some(curve)) => return write!(f, "ECDSA {curve}"),
            Self::Ecdsa(None) => ("ECDSA", &None),
            Self::Other(name) => (name.as_ref(), &None),
        };
        match bits {
            Some(bits) => write!(f, "{name} {bits}"),
            None => f.write_str(name),
        }
    }
}

impl Curve {
    /// Size of the curve's field in bits; `None` for an unknown curve.
    #[must_use]
    pub const fn bits(&self) -> Option<u16> {
        self.bits
    }

    /// The curve that the parameters of an EC key name; `None` for explicit parameters.
    fn read(algorithm: &AlgorithmIdentifier<'_>) -> Option<Self> {
        let parameters = algorithm.parameters.as_ref()?;
        (parameters.tag() == Tag::Oid).then(|| Self::from_oid(der::dotted(parameters.data)))
    }

    fn from_oid(oid: String) -> Self {
        let known = CURVES.iter().find(|(known, ..)| *known == oid);
        Self {
            name: match known {
                Some((_, Some(name), _)) => Cow::Borrowed(name),
                _ => Cow::Owned(oid),
            },
            bits: known.map(|(.., bits)| *bits),
        }
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Curves by object identifier: the name to print, and the bits of the field.
///
/// Curves that are still in use have a name. Those of under 224 bits are here
/// for their size only and print as their identifier: all that SEC 2, ANSI
/// X9.62 and RFC 5639 define.
#[rustfmt::skip]
const CURVES: &[(&str, Option<&str>, u16)] = &[
    ("1.2.840.10045.3.1.1", Some("P-192"), 192),
    ("1.3.132.0.33", Some("P-224"), 224),
    ("1.2.840.10045.3.1.7", Some("P-256"), 256),
    ("1.3.132.0.34", Some("P-384"), 384),
    ("1.3.132.0.35", Some("P-521"), 521),
    ("1.3.132.0.10", Some("secp256k1"), 256),
    ("1.3.36.3.3.2.8.1.1.7", Some("brainpoolP256r1"), 256),
    ("1.3.36.3.3.2.8.1.1.11", Some("brainpoolP384r1"), 384),
    ("1.3.36.3.3.2.8.1.1.13", Some("brainpoolP512r1"), 512),
    ("1.2.156.10197.1.301", Some("SM2"), 256),
    ("1.3.132.0.1", None, 163), // sect163k1
    ("1.3.132.0.2", None, 163), // sect163r1
    ("1.3.132.0.4", None, 113), // sect113r1
    ("1.3.132.0.5", None, 113), // sect113r2
    ("1.3.132.0.6", None, 112), // secp112r1
    ("1.3.132.0.7", None, 112), // secp112r2
    ("1.3.132.0.8", None, 160), // secp160r1
    ("1.3.132.0.9", None, 160), // secp160k1
    ("1.3.132.0.15", None, 163), // sect163r2
    ("1.3.132.0.22", None, 131), // sect131r1
    ("1.3.132.0.23", None, 131), // sect131r2
    ("1.3.132.0.24", None, 193), // sect193r1
    ("1.3.132.0.25", None, 193), // sect193r2
    ("1.3.132.0.28", None, 128), // secp128r1
    ("1.3.132.0.29", None, 128), // secp128r2
    ("1.3.132.0.30", None, 160), // secp160r2
    ("1.3.132.0.31", None, 192), // secp192k1
    ("1.3.36.3.3.2.8.1.1.1", None, 160), // brainpoolP160r1
    ("1.3.36.3.3.2.8.1.1.2", None, 160), // brainpoolP160t1
    ("1.3.36.3.3.2.8.1.1.3", None, 192), // brainpoolP192r1
    ("1.3.36.3.3.2.8.1.1.4", None, 192), // brainpoolP192t1
    ("1.2.840.10045.3.0.1", None, 163), // c2pnb163v1
    ("1.2.840.10045.3.0.2", None, 163), // c2pnb163v2
    ("1.2.840.10045.3.0.3", None, 163), // c2pnb163v3
    ("1.2.840.10045.3.0.4", None, 176), // c2pnb176v1
    ("1.2.840.10045.3.0.5", None, 191), // c2tnb191v1
    ("1.2.840.10045.3.0.6", None, 191), // c2tnb191v2
    ("1.2.840.10045.3.0.7", None, 191), // c2tnb191v3
    ("1.2.840.10045.3.0.10", None, 208), // c2pnb208w1
    ("1.2.840.10045.3.1.2", None, 192), // prime192v2
    ("1.2.840.10045.3.1.3", None, 192), // prime192v3
];

/// Bits of an RSA key's modulus, without leading zeros.
pub(super) fn modulus_bits(info: &SubjectPublicKeyInfo<'_>) -> Option<usize> {
    let mut key = Elements::within(&info.subject_public_key.data, der::SEQUENCE)?;
    bit_length(key.content(der::INTEGER)?)
}

/// Bits of the prime p of a DSA key; a key may also inherit its parameters (RFC 3279 §2.3.2).
fn prime_bits(algorithm: &AlgorithmIdentifier<'_>) -> Option<usize> {
    // x509-parser has taken the header off the parameters: their contents begin with p.
    bit_length(Elements::new(algorithm.parameters.as_ref()?.data).content(der::INTEGER)?)
}

fn bit_length(integer: &[u8]) -> Option<usize> {
    let zeros = integer.iter().take_while(|&&octet| octet == 0).count();
    let first = integer.get(zeros)?;
    Some((integer.len() - zeros) * 8 - first.leading_zeros() as usize)
}

/// Keys whose size is part of the algorithm, by object identifier.
const OTHER_KEYS: &[(&str, &str)] = &[
    ("1.3.101.110", "X25519"),
    ("1.3.101.111", "X448"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
    ("1.2.643.2.2.19", "GOST R 34.10-2001"),
    ("1.2.643.7.1.1.1.1", "GOST R 34.10-2012 256"),
    ("1.2.643.7.1.1.1.2", "GOST R 34.10-2012 512"),
];

/// ML-DSA (RFC 9881) and SLH-DSA (RFC 9909), one identifier for key and signature.
pub(super) const POST_QUANTUM: &[(&str, &str)] = &[
    ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
    ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
    ("2.16.840.1.101.3.4.3.20", "SLH-DSA-SHA2-128s"),
    ("2.16.840.1.101.3.4.3.21", "SLH-DSA-SHA2-128f"),
    ("2.16.840.1.101.3.4.3.22", "SLH-DSA-SHA2-192s"),
    ("2.16.840.1.101.3.4.3.23", "SLH-DSA-SHA2-192f"),
    ("2.16.840.1.101.3.4.3.24", "SLH-DSA-SHA2-256s"),
    ("2.16.840.1.101.3.4.3.25", "SLH-DSA-SHA2-256f"),
    ("2.16.840.1.101.3.4.3.26", "SLH-DSA-SHAKE-128s"),
    ("2.16.840.1.101.3.4.3.27", "SLH-DSA-SHAKE-128f"),
    ("2.16.840.1.101.3.4.3.28", "SLH-DSA-SHAKE-192s"),
    ("2.16.840.1.101.3.4.3.29", "SLH-DSA-SHAKE-192f"),
    ("2.16.840.1.101.3.4.3.30", "SLH-DSA-SHAKE-256s"),
    ("2.16.840.1.101.3.4.3.31", "SLH-DSA-SHAKE-256f"),
];

pub(super) fn post_quantum(oid: &str) -> Option<&'static str> {
    let known = POST_QUANTUM.iter().find(|(known, _)| *known == oid);
    known.map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::super::support::{Template, algorithm, element, key, oid, rsa_key};

    fn key_text(info: Vec<u8>) -> String {
        let template = Template {
            key: info,
            ..Template::default()
        };
        template.facts().key.to_string()
    }

    fn curve(dotted: &str) -> String {
        let point = [4; 65];
        key_text(key(&algorithm("1.2.840.10045.2.1", &oid(dotted)), &point))
    }

    #[test]
    fn rsa_keys_have_the_bits_of_their_modulus() {
        assert_eq!(key_text(rsa_key(2048)), "RSA 2048");
        assert_eq!(key_text(rsa_key(1023)), "RSA 1023");
        let rsa = algorithm("1.2.840.113549.1.1.1", &[5, 0]);
        assert_eq!(key_text(key(&rsa, &element(0x30, &[2, 0]))), "RSA");
        assert_eq!(key_text(key(&rsa, &[])), "RSA");
    }

    #[test]
    fn dsa_keys_have_the_bits_of_their_prime_where_they_state_it() {
        let mut prime = vec![0, 0x80];
        prime.resize(129, 1);
        let parameters = element(0x30, &element(2, &prime));
        let key_with =
            |parameters| key_text(key(&algorithm("1.2.840.10040.4.1", parameters), &[2, 1, 1]));
        assert_eq!(key_with(&parameters), "DSA 1024");
        assert_eq!(key_with(&[]), "DSA");
    }

    #[test]
    fn elliptic_curves_are_named() {
        assert_eq!(curve("1.2.840.10045.3.1.7"), "ECDSA P-256");
        assert_eq!(curve("1.3.132.0.34"), "ECDSA P-384");
        assert_eq!(curve("1.3.132.0.35"), "ECDSA P-521");
        assert_eq!(curve("1.3.132.0.10"), "ECDSA secp256k1");
        assert_eq!(curve("1.3.36.3.3.2.8.1.1.7"), "ECDSA brainpoolP256r1");
        assert_eq!(curve("1.3.132.0.26"), "ECDSA 1.3.132.0.26");
        let explicit = algorithm("1.2.840.10045.2.1", &element(0x30, &[2, 1, 1]));
        assert_eq!(key_text(key(&explicit, &[4])), "ECDSA");
    }

    #[test]
    fn other_keys_go_by_name_or_by_object_identifier() {
        let other = |dotted| key_text(key(&algorithm(dotted, &[]), &[1; 32]));
        assert_eq!(other("1.3.101.112"), "Ed25519");
        assert_eq!(other("1.3.101.113"), "Ed448");
        assert_eq!(other("2.16.840.1.101.3.4.3.18"), "ML-DSA-65");
        assert_eq!(other("1.2.3.4"), "1.2.3.4");
    }
}

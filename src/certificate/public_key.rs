//! Names of keys and signature algorithms, by object identifier.

use x509_parser::asn1_rs::Tag;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use super::der::{self, Elements};

/// Algorithm and size of a key, as in `RSA 2048`; the dotted OID if unknown.
pub(super) fn key(info: &SubjectPublicKeyInfo<'_>) -> String {
    let oid = der::dotted(info.algorithm.algorithm.as_bytes());
    let name = match oid.as_str() {
        "1.2.840.113549.1.1.1" => return sized("RSA", rsa_bits(info)),
        "1.2.840.113549.1.1.10" => return sized("RSA-PSS", rsa_bits(info)),
        "1.2.840.10040.4.1" => return sized("DSA", dsa_bits(&info.algorithm)),
        "1.2.840.10045.2.1" => return ec(&info.algorithm),
        "1.3.101.110" => "X25519",
        "1.3.101.111" => "X448",
        "1.3.101.112" => "Ed25519",
        "1.3.101.113" => "Ed448",
        "1.2.643.2.2.19" => "GOST R 34.10-2001",
        "1.2.643.7.1.1.1.1" => "GOST R 34.10-2012 256",
        "1.2.643.7.1.1.1.2" => "GOST R 34.10-2012 512",
        _ => match post_quantum(&oid) {
            Some(name) => name,
            None => return oid,
        },
    };
    name.to_owned()
}

/// The true bit length of an RSA key's modulus: leading zeros do not count.
pub(super) fn rsa_bits(info: &SubjectPublicKeyInfo<'_>) -> Option<usize> {
    let mut key = Elements::within(&info.subject_public_key.data, der::SEQUENCE)?;
    bit_length(key.content(der::INTEGER)?)
}

/// The bit length of the prime p; a key may also inherit its parameters (RFC 3279 §2.3.2).
fn dsa_bits(algorithm: &AlgorithmIdentifier<'_>) -> Option<usize> {
    // The parameters' own header was read already: their contents begin with p.
    bit_length(Elements::new(algorithm.parameters.as_ref()?.data).content(der::INTEGER)?)
}

fn bit_length(integer: &[u8]) -> Option<usize> {
    let zeros = integer.iter().take_while(|&&octet| octet == 0).count();
    let first = integer.get(zeros)?;
    Some((integer.len() - zeros) * 8 - first.leading_zeros() as usize)
}

fn sized(name: &str, bits: Option<usize>) -> String {
    match bits {
        Some(bits) => format!("{name} {bits}"),
        None => name.to_owned(),
    }
}

/// The curve by its name; explicit parameters (which RFC 5480 §2.1.1 forbids) have none.
fn ec(algorithm: &AlgorithmIdentifier<'_>) -> String {
    match algorithm.parameters.as_ref() {
        Some(curve) if curve.tag() == Tag::Oid => {
            let oid = der::dotted(curve.data);
            format!("ECDSA {}", curve_name(&oid).unwrap_or(&oid))
        }
        _ => "ECDSA".to_owned(),
    }
}

fn curve_name(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "1.2.840.10045.3.1.1" => "P-192",
        "1.3.132.0.33" => "P-224",
        "1.2.840.10045.3.1.7" => "P-256",
        "1.3.132.0.34" => "P-384",
        "1.3.132.0.35" => "P-521",
        "1.3.132.0.10" => "secp256k1",
        "1.3.36.3.3.2.8.1.1.7" => "brainpoolP256r1",
        "1.3.36.3.3.2.8.1.1.11" => "brainpoolP384r1",
        "1.3.36.3.3.2.8.1.1.13" => "brainpoolP512r1",
        "1.2.156.10197.1.301" => "SM2",
        _ => return None,
    })
}

/// The algorithm of a signature by OpenSSL's long name; the dotted OID if unknown.
pub(super) fn signature(algorithm: &AlgorithmIdentifier<'_>) -> String {
    let oid = der::dotted(algorithm.algorithm.as_bytes());
    match signature_name(&oid).or_else(|| post_quantum(&oid)) {
        Some(name) => name.to_owned(),
        None => oid,
    }
}

fn signature_name(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "1.2.840.113549.1.1.2" => "md2WithRSAEncryption",
        "1.2.840.113549.1.1.3" => "md4WithRSAEncryption",
        "1.2.840.113549.1.1.4" => "md5WithRSAEncryption",
        "1.2.840.113549.1.1.5" => "sha1WithRSAEncryption",
        "1.2.840.113549.1.1.10" => "rsassaPss",
        "1.2.840.113549.1.1.11" => "sha256WithRSAEncryption",
        "1.2.840.113549.1.1.12" => "sha384WithRSAEncryption",
        "1.2.840.113549.1.1.13" => "sha512WithRSAEncryption",
        "1.2.840.113549.1.1.14" => "sha224WithRSAEncryption",
        "1.2.840.113549.1.1.15" => "sha512-224WithRSAEncryption",
        "1.2.840.113549.1.1.16" => "sha512-256WithRSAEncryption",
        "1.3.14.3.2.3" => "md5WithRSA",
        "1.3.14.3.2.15" => "shaWithRSAEncryption",
        "1.3.14.3.2.29" => "sha1WithRSA",
        "1.3.36.3.3.1.2" => "ripemd160WithRSA",
        "1.2.840.10040.4.3" => "dsaWithSHA1",
        "1.3.14.3.2.13" => "dsaWithSHA",
        "1.3.14.3.2.27" => "dsaWithSHA1-old",
        "2.16.840.1.101.3.4.3.1" => "dsa_with_SHA224",
        "2.16.840.1.101.3.4.3.2" => "dsa_with_SHA256",
        "2.16.840.1.101.3.4.3.3" => "dsa_with_SHA384",
        "2.16.840.1.101.3.4.3.4" => "dsa_with_SHA512",
        "1.2.840.10045.4.1" => "ecdsa-with-SHA1",
        "1.2.840.10045.4.3.1" => "ecdsa-with-SHA224",
        "1.2.840.10045.4.3.2" => "ecdsa-with-SHA256",
        "1.2.840.10045.4.3.3" => "ecdsa-with-SHA384",
        "1.2.840.10045.4.3.4" => "ecdsa-with-SHA512",
        "2.16.840.1.101.3.4.3.9" => "ecdsa_with_SHA3-224",
        "2.16.840.1.101.3.4.3.10" => "ecdsa_with_SHA3-256",
        "2.16.840.1.101.3.4.3.11" => "ecdsa_with_SHA3-384",
        "2.16.840.1.101.3.4.3.12" => "ecdsa_with_SHA3-512",
        "2.16.840.1.101.3.4.3.13" => "RSA-SHA3-224",
        "2.16.840.1.101.3.4.3.14" => "RSA-SHA3-256",
        "2.16.840.1.101.3.4.3.15" => "RSA-SHA3-384",
        "2.16.840.1.101.3.4.3.16" => "RSA-SHA3-512",
        "1.3.101.112" => "ED25519",
        "1.3.101.113" => "ED448",
        "1.2.156.10197.1.501" => "SM2-with-SM3",
        "1.2.156.10197.1.504" => "sm3WithRSAEncryption",
        "1.2.643.2.2.3" => "GOST R 34.11-94 with GOST R 34.10-2001",
        "1.2.643.7.1.1.3.2" => "GOST R 34.10-2012 with GOST R 34.11-2012 (256 bit)",
        "1.2.643.7.1.1.3.3" => "GOST R 34.10-2012 with GOST R 34.11-2012 (512 bit)",
        _ => return None,
    })
}

/// ML-DSA (RFC 9881) and SLH-DSA (RFC 9909), one identifier for key and signature.
fn post_quantum(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.16.840.1.101.3.4.3.17" => "ML-DSA-44",
        "2.16.840.1.101.3.4.3.18" => "ML-DSA-65",
        "2.16.840.1.101.3.4.3.19" => "ML-DSA-87",
        "2.16.840.1.101.3.4.3.20" => "SLH-DSA-SHA2-128s",
        "2.16.840.1.101.3.4.3.21" => "SLH-DSA-SHA2-128f",
        "2.16.840.1.101.3.4.3.22" => "SLH-DSA-SHA2-192s",
        "2.16.840.1.101.3.4.3.23" => "SLH-DSA-SHA2-192f",
        "2.16.840.1.101.3.4.3.24" => "SLH-DSA-SHA2-256s",
        "2.16.840.1.101.3.4.3.25" => "SLH-DSA-SHA2-256f",
        "2.16.840.1.101.3.4.3.26" => "SLH-DSA-SHAKE-128s",
        "2.16.840.1.101.3.4.3.27" => "SLH-DSA-SHAKE-128f",
        "2.16.840.1.101.3.4.3.28" => "SLH-DSA-SHAKE-192s",
        "2.16.840.1.101.3.4.3.29" => "SLH-DSA-SHAKE-192f",
        "2.16.840.1.101.3.4.3.30" => "SLH-DSA-SHAKE-256s",
        "2.16.840.1.101.3.4.3.31" => "SLH-DSA-SHAKE-256f",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::support::{Template, algorithm, element, key, oid, rsa_key};

    fn key_text(info: Vec<u8>) -> String {
        let template = Template {
            key: info,
            ..Template::default()
        };
        template.facts().key
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

    #[test]
    fn signature_algorithms_go_by_name_or_by_object_identifier() {
        let signed = |dotted| {
            let template = Template {
                signature_algorithm: algorithm(dotted, &[]),
                ..Template::default()
            };
            template.facts().signature_algorithm
        };
        assert_eq!(signed("1.2.840.113549.1.1.11"), "sha256WithRSAEncryption");
        assert_eq!(signed("1.2.840.10045.4.3.2"), "ecdsa-with-SHA256");
        assert_eq!(signed("1.3.101.112"), "ED25519");
        assert_eq!(signed("2.16.840.1.101.3.4.3.17"), "ML-DSA-44");
        assert_eq!(signed("1.2.3.4"), "1.2.3.4");
    }
}

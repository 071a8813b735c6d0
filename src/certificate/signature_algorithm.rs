//! The algorithms that certificates are signed with.

use std::borrow::Cow;
use std::fmt;

use x509_parser::x509::AlgorithmIdentifier;

use super::der::{self, Elements};
#[cfg(feature = "cli")]
use super::public_key::POST_QUANTUM;
use super::public_key::post_quantum;

/// The algorithm of a certificate's signature.
///
/// Prints as OpenSSL's long name, as in `sha256WithRSAEncryption`, and an
/// unknown algorithm as its dotted object identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SignatureAlgorithm {
    name: Cow<'static, str>,
    padding: Option<RsaPadding>,
    hash: Option<HashAlgorithm>,
}

/// How an RSA signature pads the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RsaPadding {
    /// PKCS #1 v1.5 (RFC 8017 §8.2).
    Pkcs1,
    /// RSASSA-PSS (RFC 8017 §8.1).
    Pss,
}

/// The hash function of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)] // the names say it all
pub enum HashAlgorithm {
    Md2,
    Md4,
    Md5,
    Ripemd160,
    Sha0,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512_224,
    Sha512_256,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
    Sm3,
    /// GOST R 34.11-94.
    Gost94,
    /// GOST R 34.11-2012, 256 bits.
    Streebog256,
    /// GOST R 34.11-2012, 512 bits.
    Streebog512,
}

impl SignatureAlgorithm {
    /// The algorithm with this dotted object identifier.
    ///
    /// # Example
    ///
    /// ```
    /// use tlscope::certificate::{HashAlgorithm, SignatureAlgorithm};
    ///
    /// let algorithm = SignatureAlgorithm::from_oid("1.2.840.10045.4.3.2");
    /// assert_eq!(algorithm.to_string(), "ecdsa-with-SHA256");
    /// assert_eq!(algorithm.hash(), Some(HashAlgorithm::Sha256));
    ///
    /// let unknown = SignatureAlgorithm::from_oid("1.2.3.4");
    /// assert_eq!(unknown.to_string(), "1.2.3.4");
    /// assert_eq!(unknown.hash(), None);
    /// ```
    #[must_use]
    pub fn from_oid(oid: &str) -> Self {
        let known = ALGORITHMS.iter().find(|(known, ..)| *known == oid);
        match (known, post_quantum(oid)) {
            (Some(&(_, name, padding, hash)), _) => Self {
                name: Cow::Borrowed(name),
                padding,
                hash,
            },
            (None, name) => Self {
                name: name.map_or_else(|| Cow::Owned(oid.to_owned()), Cow::Borrowed),
                padding: None,
                hash: None,
            },
        }
    }

    /// How it pads the hash; `None` if it is no RSA signature.
    #[must_use]
    pub const fn rsa_padding(&self) -> Option<RsaPadding> {
        self.padding
    }

    /// The hash function; `None` if it is unknown or part of the algorithm, as in Ed25519.
    #[must_use]
    pub const fn hash(&self) -> Option<HashAlgorithm> {
        self.hash
    }

    /// The names of all known algorithms.
    #[cfg(feature = "cli")]
    pub(crate) fn names() -> Vec<String> {
        let known = ALGORITHMS.iter().map(|(_, name, ..)| name);
        let known = known.chain(POST_QUANTUM.iter().map(|(_, name)| name));
        known.map(|name| (*name).to_owned()).collect()
    }

    /// Its dotted object identifier, if it is one of those with a name from OpenSSL.
    #[cfg(feature = "cli")]
    pub(crate) fn oid(&self) -> Option<&'static str> {
        let known = ALGORITHMS.iter().find(|(_, name, ..)| *name == self.name);
        known.map(|(oid, ..)| *oid)
    }

    /// Reads the algorithm, and for RSASSA-PSS the hash among its parameters.
    pub(super) fn read(identifier: &AlgorithmIdentifier<'_>) -> Self {
        let algorithm = Self::from_oid(&der::dotted(identifier.algorithm.as_bytes()));
        match algorithm.padding {
            Some(RsaPadding::Pss) => Self {
                hash: pss_hash(identifier),
                ..algorithm
            },
            _ => algorithm,
        }
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The hash in `RSASSA-PSS-params` (RFC 4055 §3.1); `None` if it is unknown or the parameters are missing.
fn pss_hash(identifier: &AlgorithmIdentifier<'_>) -> Option<HashAlgorithm> {
    const HASH_ALGORITHM: u8 = der::constructed_context(0);
    let parameters = identifier.parameters.as_ref()?;
    let mut fields = Elements::new(parameters.data);
    let Some(field) = fields.find(|field| field.tag == HASH_ALGORITHM) else {
        return Some(HashAlgorithm::Sha1); // the default: sha1Identifier
    };
    let mut algorithm = Elements::within(field.content, der::SEQUENCE)?;
    let oid = der::dotted(algorithm.content(der::OBJECT_IDENTIFIER)?);
    Some(match oid.as_str() {
        "1.3.14.3.2.26" => HashAlgorithm::Sha1,
        "2.16.840.1.101.3.4.2.1" => HashAlgorithm::Sha256,
        "2.16.840.1.101.3.4.2.2" => HashAlgorithm::Sha384,
        "2.16.840.1.101.3.4.2.3" => HashAlgorithm::Sha512,
        "2.16.840.1.101.3.4.2.4" => HashAlgorithm::Sha224,
        _ => return None,
    })
}

type Row = (
    &'static str,
    &'static str,
    Option<RsaPadding>,
    Option<HashAlgorithm>,
);

/// Algorithms by object identifier: OpenSSL's long name, the padding of RSA, and the hash.
#[rustfmt::skip]
const ALGORITHMS: &[Row] = {
    use HashAlgorithm::*;
    const PKCS1: Option<RsaPadding> = Some(RsaPadding::Pkcs1);
    const PSS: Option<RsaPadding> = Some(RsaPadding::Pss);
    &[
        ("1.2.840.113549.1.1.2", "md2WithRSAEncryption", PKCS1, Some(Md2)),
        ("1.2.840.113549.1.1.3", "md4WithRSAEncryption", PKCS1, Some(Md4)),
        ("1.2.840.113549.1.1.4", "md5WithRSAEncryption", PKCS1, Some(Md5)),
        ("1.2.840.113549.1.1.5", "sha1WithRSAEncryption", PKCS1, Some(Sha1)),
        ("1.2.840.113549.1.1.10", "rsassaPss", PSS, None),
        ("1.2.840.113549.1.1.11", "sha256WithRSAEncryption", PKCS1, Some(Sha256)),
        ("1.2.840.113549.1.1.12", "sha384WithRSAEncryption", PKCS1, Some(Sha384)),
        ("1.2.840.113549.1.1.13", "sha512WithRSAEncryption", PKCS1, Some(Sha512)),
        ("1.2.840.113549.1.1.14", "sha224WithRSAEncryption", PKCS1, Some(Sha224)),
        ("1.2.840.113549.1.1.15", "sha512-224WithRSAEncryption", PKCS1, Some(Sha512_224)),
        ("1.2.840.113549.1.1.16", "sha512-256WithRSAEncryption", PKCS1, Some(Sha512_256)),
        ("1.3.14.3.2.3", "md5WithRSA", PKCS1, Some(Md5)),
        ("1.3.14.3.2.15", "shaWithRSAEncryption", PKCS1, Some(Sha0)),
        ("1.3.14.3.2.29", "sha1WithRSA", PKCS1, Some(Sha1)),
        ("1.3.36.3.3.1.2", "ripemd160WithRSA", PKCS1, Some(Ripemd160)),
        ("1.2.840.10040.4.3", "dsaWithSHA1", None, Some(Sha1)),
        ("1.3.14.3.2.13", "dsaWithSHA", None, Some(Sha0)),
        ("1.3.14.3.2.27", "dsaWithSHA1-old", None, Some(Sha1)),
        ("2.16.840.1.101.3.4.3.1", "dsa_with_SHA224", None, Some(Sha224)),
        ("2.16.840.1.101.3.4.3.2", "dsa_with_SHA256", None, Some(Sha256)),
        ("2.16.840.1.101.3.4.3.3", "dsa_with_SHA384", None, Some(Sha384)),
        ("2.16.840.1.101.3.4.3.4", "dsa_with_SHA512", None, Some(Sha512)),
        ("1.2.840.10045.4.1", "ecdsa-with-SHA1", None, Some(Sha1)),
        ("1.2.840.10045.4.3.1", "ecdsa-with-SHA224", None, Some(Sha224)),
        ("1.2.840.10045.4.3.2", "ecdsa-with-SHA256", None, Some(Sha256)),
        ("1.2.840.10045.4.3.3", "ecdsa-with-SHA384", None, Some(Sha384)),
        ("1.2.840.10045.4.3.4", "ecdsa-with-SHA512", None, Some(Sha512)),
        ("2.16.840.1.101.3.4.3.9", "ecdsa_with_SHA3-224", None, Some(Sha3_224)),
        ("2.16.840.1.101.3.4.3.10", "ecdsa_with_SHA3-256", None, Some(Sha3_256)),
        ("2.16.840.1.101.3.4.3.11", "ecdsa_with_SHA3-384", None, Some(Sha3_384)),
        ("2.16.840.1.101.3.4.3.12", "ecdsa_with_SHA3-512", None, Some(Sha3_512)),
        ("2.16.840.1.101.3.4.3.13", "RSA-SHA3-224", PKCS1, Some(Sha3_224)),
        ("2.16.840.1.101.3.4.3.14", "RSA-SHA3-256", PKCS1, Some(Sha3_256)),
        ("2.16.840.1.101.3.4.3.15", "RSA-SHA3-384", PKCS1, Some(Sha3_384)),
        ("2.16.840.1.101.3.4.3.16", "RSA-SHA3-512", PKCS1, Some(Sha3_512)),
        ("1.3.101.112", "ED25519", None, None),
        ("1.3.101.113", "ED448", None, None),
        ("1.2.156.10197.1.501", "SM2-with-SM3", None, Some(Sm3)),
        ("1.2.156.10197.1.504", "sm3WithRSAEncryption", PKCS1, Some(Sm3)),
        ("1.2.643.2.2.3", "GOST R 34.11-94 with GOST R 34.10-2001", None, Some(Gost94)),
        ("1.2.643.7.1.1.3.2", "GOST R 34.10-2012 with GOST R 34.11-2012 (256 bit)", None, Some(Streebog256)),
        ("1.2.643.7.1.1.3.3", "GOST R 34.10-2012 with GOST R 34.11-2012 (512 bit)", None, Some(Streebog512)),
    ]
};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::support::{Template, algorithm, element, oid, sequence};
    use super::*;

    fn signed_with(identifier: Vec<u8>) -> SignatureAlgorithm {
        let template = Template {
            signature_algorithm: identifier,
            ..Template::default()
        };
        template.facts().signature_algorithm
    }

    #[test]
    fn algorithms_print_as_their_name_or_their_object_identifier() {
        let name = |dotted| signed_with(algorithm(dotted, &[])).to_string();
        assert_eq!(name("1.2.840.113549.1.1.11"), "sha256WithRSAEncryption");
        assert_eq!(name("1.2.840.10045.4.3.2"), "ecdsa-with-SHA256");
        assert_eq!(name("1.3.101.112"), "ED25519");
        assert_eq!(name("2.16.840.1.101.3.4.3.17"), "ML-DSA-44");
        assert_eq!(name("1.2.3.4"), "1.2.3.4");
    }

    #[test]
    fn the_hash_of_a_pss_signature_is_read_from_its_parameters() {
        let pss = |parameters: &[u8]| {
            let algorithm = signed_with(algorithm("1.2.840.113549.1.1.10", parameters));
            assert_eq!(algorithm.rsa_padding(), Some(RsaPadding::Pss));
            algorithm.hash()
        };
        let hash = |dotted| sequence(&[&element(0xa0, &algorithm(dotted, &[5, 0]))]);
        let sha256 = "2.16.840.1.101.3.4.2.1";
        assert_eq!(pss(&hash(sha256)), Some(HashAlgorithm::Sha256));
        assert_eq!(pss(&hash("1.3.14.3.2.26")), Some(HashAlgorithm::Sha1));
        assert_eq!(pss(&sequence(&[])), Some(HashAlgorithm::Sha1)); // the default
        assert_eq!(pss(&hash("1.2.3")), None);
        assert_eq!(pss(&sequence(&[&element(0xa0, &oid(sha256))])), None);
        assert_eq!(pss(&[]), None);
    }

    #[test]
    fn no_identifier_is_listed_twice() {
        let oids: HashSet<_> = ALGORITHMS.iter().map(|(oid, ..)| oid).collect();
        assert_eq!(oids.len(), ALGORITHMS.len());
    }

    #[test]
    fn the_columns_agree_with_the_names() {
        use HashAlgorithm::{Md2, Md4, Md5, Ripemd160, Sha1};
        let old = ["md2", "md4", "md5", "ripemd160", "sha1"];
        for (_, name, padding, hash) in ALGORITHMS {
            let lower = name.to_ascii_lowercase();
            assert_eq!(padding.is_some(), lower.contains("rsa"), "{name}");
            let names_old_hash = old.iter().any(|hash| lower.contains(hash));
            let has_old_hash = matches!(hash, Some(Md2 | Md4 | Md5 | Ripemd160 | Sha1));
            assert_eq!(has_old_hash, names_old_hash, "{name}");
        }
    }
}

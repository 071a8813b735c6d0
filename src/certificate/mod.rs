//! What X.509 certificates say (RFC 5280), and what is wrong with them at a given moment.

/// One certificate as it was shown: its bytes, its hash and, where it parses, its facts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certificate {
    /// The DER bytes as sent.
    pub der: Box<[u8]>,
    /// SHA-256 of the DER bytes.
    pub sha256: [u8; 32],
    /// What it says; the error is one lower-case clause for people.
    pub facts: Result<CertificateFacts, String>,
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateFacts {
    /// The subject, in RFC 4514 form; empty if it has none.
    pub subject: String,
    /// The last (most specific) common name of the subject.
    pub common_name: Option<String>,
    /// The issuer, in RFC 4514 form.
    pub issuer: String,
    /// The last (most specific) common name of the issuer.
    pub issuer_common_name: Option<String>,
    /// The serial number as sent, in lower-case hexadecimal without separators.
    pub serial: String,
    /// Start of validity, in seconds since 1970-01-01T00:00:00Z.
    pub not_before: i64,
    /// End of validity, in seconds since 1970-01-01T00:00:00Z; the years reach 9999, so this is no [`crate::time::Timestamp`].
    pub not_after: i64,
    /// DNS names in the subject alternative name extension, as written.
    pub dns_names: Vec<String>,
    /// IP addresses in the subject alternative name extension.
    pub ip_addresses: Vec<std::net::IpAddr>,
    /// Algorithm and size of the key, as in `RSA 2048`, `ECDSA P-256` or `Ed25519`; the dotted OID if unknown.
    pub key: String,
    /// The algorithm that it is signed with, as in `sha256WithRSAEncryption`; the dotted OID if unknown.
    pub signature_algorithm: String,
    /// Whether its issuer is its subject and its own key verifies its signature.
    pub self_signed: bool,
    /// Whether basic constraints call it a CA.
    pub is_ca: bool,
}

//! What X.509 certificates say (RFC 5280), and what is wrong with them at a given moment.
//!
//! Parsing needs no clock and never fails: a certificate that cannot be read is
//! an observation, with its hash and the reason. Validation takes the moment as an
//! argument. With a [`ChainCache`] a chain that is shown ten thousand times is
//! parsed once, and a [`ChainValidator`] validates it once.
//!
//! ```text
//! DER ─▶ parse ─▶ findings: dates and names, for each handshake
//!                 ChainValidator ─▶ flaws: keys, signatures, purposes, order
//!                                   path: from the leaf to a root in the TrustStore, by webpki ─▶ explain: in words
//! ```
//!
//! The caller supplies the roots: nothing here reads a file.

mod cache;
mod chain;
mod der;
#[cfg(feature = "validate")]
mod explain;
mod finding;
mod flaws;
mod hostname;
mod identity;
mod issuers;
mod name;
mod ocsp;
mod parse;
#[cfg(feature = "validate")]
mod path;
mod public_key;
mod role;
mod signature_algorithm;
#[cfg(test)]
pub(crate) mod support;
#[cfg_attr(
    not(feature = "validate"),
    expect(dead_code, reason = "without `validate` a store stays empty")
)]
mod trust;
mod validator;
mod validity;
#[cfg(feature = "validate")]
mod verification;

use std::net::IpAddr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

pub use cache::{ChainCache, MAX_CHAIN_LENGTH};
pub(crate) use finding::name_mismatch;
pub use finding::{CertificateNote, Clause, Finding, NearExpiry, NoteKind, findings};
pub use name::distinguished_name;
pub use ocsp::{OcspStaple, OcspStatus};
pub use parse::MAX_NAMES;
pub use public_key::{Curve, PublicKey};
pub use role::CertificateRole;
pub use signature_algorithm::{HashAlgorithm, RsaPadding, SignatureAlgorithm};
pub use trust::{Trust, TrustOrigin, TrustStore};
pub use validator::{ChainValidator, Validation};
pub use validity::{CertificateTime, Expiry};

#[cfg(feature = "serde")]
use crate::memory::boxed;
use crate::time::Timestamp;

/// One certificate as it was sent: its bytes, its hash and, if it parses, its facts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certificate {
    /// The DER bytes as sent.
    pub der: Box<[u8]>,
    /// SHA-256 of the DER bytes.
    pub sha256: [u8; 32],
    /// Its contents; the error is one lower-case clause for people.
    pub facts: Result<CertificateFacts, String>,
}

impl Certificate {
    /// Parses one certificate; bytes after its end make it malformed.
    ///
    /// # Example
    ///
    /// ```
    /// use tlscope::certificate::Certificate;
    ///
    /// let certificate = Certificate::from_der(b"\x30\x02");
    /// assert_eq!(certificate.facts, Err("cut short".to_owned()));
    /// ```
    #[must_use]
    pub fn from_der(der: &[u8]) -> Self {
        Self::parse(der, true)
    }

    /// Bytes of memory that it takes, roughly.
    #[cfg(feature = "serde")]
    pub(crate) fn allocated(&self) -> usize {
        boxed::<Self>() + cache::size(self)
    }

    /// Parses one certificate; `may_check` says whether its signature may be checked by its own key.
    fn parse(der: &[u8], may_check: bool) -> Self {
        Self {
            der: der.into(),
            sha256: Sha256::digest(der).into(),
            facts: parse::facts(der, may_check),
        }
    }
}

/// Whether the signature of a certificate was checked by its own key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OwnSignature {
    /// There is no need: names or key identifiers say that another key signed it.
    #[default]
    NotAsked,
    /// It was checked, or cannot be.
    Checked,
    /// It was not: earlier certificates of the chain had used up the checks for one chain. Equal names are then enough for
    /// [`CertificateFacts::self_signed`].
    Skipped,
}

/// The certificates of one Certificate message, leaf first; all events with the same chain share it.
pub type CertificateChain = Arc<[Arc<Certificate>]>;

/// The contents of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateFacts {
    /// The subject, in RFC 4514 form; empty if it has none. See [`distinguished_name`].
    pub subject: String,
    /// The last (most specific) common name of the subject.
    pub common_name: Option<String>,
    /// The issuer, in RFC 4514 form.
    pub issuer: String,
    /// The last (most specific) common name of the issuer.
    pub issuer_common_name: Option<String>,
    /// The serial number as sent, in lower-case hexadecimal without leading zero bytes or separators; `00` for zero.
    pub serial: String,
    /// Start of validity.
    pub not_before: CertificateTime,
    /// End of validity.
    pub not_after: CertificateTime,
    /// DNS names in the subject alternative name extension, as written; at most [`MAX_NAMES`].
    pub dns_names: Vec<String>,
    /// IP addresses in that extension; all its names together are at most [`MAX_NAMES`].
    pub ip_addresses: Vec<IpAddr>,
    /// URIs in that extension, as written; SPIFFE IDs are among them.
    pub uris: Vec<String>,
    /// E-mail addresses in that extension, as written; those with characters beyond ASCII (RFC 9598) as well.
    pub emails: Vec<String>,
    /// Microsoft's user principal names in that extension, as in `alice@corp.example`.
    pub upns: Vec<String>,
    /// How many such names the extension has beyond [`MAX_NAMES`]; 0 in honest certificates.
    pub names_omitted: usize,
    /// Algorithm and size of its key, as in `RSA 2048`.
    pub key: PublicKey,
    /// The algorithm that it is signed with, as in `sha256WithRSAEncryption`.
    pub signature_algorithm: SignatureAlgorithm,
    /// Whether its issuer is its subject and its own key verifies its signature.
    ///
    /// If the signature cannot be checked (RSA under 2048 bits, MD5, DSA, P-521,
    /// ML-DSA and others), equal names are enough, unless the key identifiers
    /// name two different keys.
    pub self_signed: bool,
    /// Whether its own signature was checked, to say whether it is self-signed.
    pub own_signature: OwnSignature,
    /// Whether its basic constraints say that it is a CA.
    pub is_ca: bool,
}

impl CertificateFacts {
    /// How far the end of validity is away at the moment `at`.
    #[must_use]
    pub const fn expiry(&self, at: Timestamp) -> Expiry {
        Expiry::new(self.not_after, at)
    }

    /// Seconds of its validity: both ends count (RFC 5280 §4.1.2.5).
    #[must_use]
    pub const fn lifetime(&self) -> i64 {
        self.not_after
            .seconds_since(self.not_before)
            .saturating_add(1)
    }
}

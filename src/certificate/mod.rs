//! What X.509 certificates say (RFC 5280), and what is wrong with them at a given moment.
//!
//! Parsing needs no clock and never fails: a certificate that cannot be read is
//! an observation, with its hash and the reason. Judging takes the moment as an
//! argument. A [`ChainCache`] sees to it that a chain shown ten thousand times is read once,
//! a [`ChainJudge`] that it is held against the roots once.
//!
//! ```text
//! DER ─▶ parse ─▶ findings: dates and names, for each handshake
//!                 ChainJudge ─▶ flaws: keys, signatures, purposes, order
//!                               path: a way to a root in the TrustStore, by webpki ─▶ explain: in words
//! ```
//!
//! Which roots there are is for the caller to say: nothing here reads a file.

mod cache;
mod der;
mod explain;
mod finding;
mod flaws;
mod hostname;
mod issuers;
mod name;
mod ocsp;
mod parse;
mod path;
mod public_key;
#[cfg(test)]
mod support;
mod trust;
mod validator;
mod verification;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::SignedDuration;
use jiff::civil::DateTime;
use sha2::{Digest, Sha256};

pub use cache::{ChainCache, MAX_CHAIN_LENGTH};
pub use finding::{CertificateNote, Finding, NearExpiry, NoteKind, findings};
pub use name::distinguished_name;
pub use ocsp::{OcspStaple, OcspStatus};
pub use parse::MAX_NAMES;
pub use trust::{Trust, TrustOrigin, TrustStore};
pub use validator::{ChainJudge, Judgement};

use crate::time::Timestamp;

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

impl Certificate {
    /// Reads one certificate; bytes after its end make it malformed.
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
        Self {
            der: der.into(),
            sha256: Sha256::digest(der).into(),
            facts: parse::facts(der),
        }
    }
}

/// The certificates of one Certificate message, leaf first; shared between all events that show the same chain.
pub type CertificateChain = Arc<[Arc<Certificate>]>;

/// What a certificate says.
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
    /// The serial number's bytes as sent, less leading zeros, in lower-case hexadecimal without separators; `00` if it is zero.
    pub serial: String,
    /// Start of validity, in seconds since 1970-01-01T00:00:00Z; [`CertificateTime`] prints it.
    pub not_before: i64,
    /// End of validity, in seconds since 1970-01-01T00:00:00Z; the years reach 9999, so this is no [`Timestamp`].
    pub not_after: i64,
    /// DNS names in the subject alternative name extension, as written; at most [`MAX_NAMES`].
    pub dns_names: Vec<String>,
    /// IP addresses in the subject alternative name extension; at most [`MAX_NAMES`] less the DNS names.
    pub ip_addresses: Vec<IpAddr>,
    /// How many more DNS names and IP addresses the extension holds than are kept here; 0 in honest certificates.
    pub names_omitted: usize,
    /// Algorithm and size of the key, as in `RSA 2048`, `ECDSA P-256` or `Ed25519`; the dotted OID if unknown.
    pub key: String,
    /// The algorithm that it is signed with by OpenSSL's long name, as in `sha256WithRSAEncryption`; the dotted OID if unknown.
    pub signature_algorithm: String,
    /// Whether its issuer is its subject and its own key verifies its signature.
    ///
    /// Where the signature cannot be checked (RSA under 2048 bits, MD5, DSA, P-521, ML-DSA
    /// and the like), equal names count, unless its key identifiers name two keys.
    pub self_signed: bool,
    /// Whether basic constraints call it a CA.
    pub is_ca: bool,
}

impl CertificateFacts {
    /// Days of 24 hours from `at` to the end of validity; negative once expired.
    #[must_use]
    pub fn days_until_expiry(&self, at: Timestamp) -> f64 {
        let nanoseconds =
            i128::from(self.not_after) * 1_000_000_000 - i128::from(at.as_nanoseconds());
        nanoseconds as f64 / 86_400e9
    }
}

/// A moment as certificates know it, in seconds since 1970-01-01T00:00:00Z: years 0 to 9999.
///
/// Prints as RFC 3339 in UTC.
///
/// # Example
///
/// ```
/// use tlscope::certificate::CertificateTime;
///
/// assert_eq!(CertificateTime(1_772_366_400).to_string(), "2026-03-01T12:00:00Z");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateTime(pub i64);

impl fmt::Display for CertificateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
        // Saturates, but only beyond what a certificate's four digits of year can say.
        let time = EPOCH.saturating_add(SignedDuration::from_secs(self.0));
        write!(f, "{time:.0}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_times_reach_from_year_0_to_9999() {
        let cases = [
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (-631_152_000, "1950-01-01T00:00:00Z"),
            (-62_167_219_200, "0000-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
        ];
        for (seconds, text) in cases {
            assert_eq!(CertificateTime(seconds).to_string(), text);
        }
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        assert_eq!(
            CertificateTime(i64::MAX).to_string(),
            "9999-12-31T23:59:59Z"
        );
        assert!(
            CertificateTime(i64::MIN)
                .to_string()
                .starts_with("-009999-")
        );
    }

    #[test]
    fn days_until_expiry_turn_negative() {
        let facts = support::Template::default().facts(); // until 2027-01-01
        let at = |nanoseconds| Timestamp::from_nanoseconds(nanoseconds);
        let end = 1_798_761_600_000_000_000;
        assert_eq!(facts.days_until_expiry(at(end)), 0.0);
        assert_eq!(facts.days_until_expiry(at(end - 43_200_000_000_000)), 0.5);
        assert_eq!(facts.days_until_expiry(at(end + 86_400_000_000_000)), -1.0);
        assert!(facts.days_until_expiry(Timestamp::MIN) > 0.0);
    }
}

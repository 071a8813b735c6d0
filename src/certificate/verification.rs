//! The signature algorithms that can be verified: webpki's, and RSA with short keys or SHA-1.
//!
//! A chain with a short key or SHA-1 has findings for that. But whether it leads
//! to a trusted root is a separate question, which an observer of internal
//! networks should answer, too.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};

use ring::signature::{
    RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, RsaParameters, UnparsedPublicKey,
};
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use webpki::{Error, ring as strong};

use super::{HashAlgorithm, RsaPadding, SignatureAlgorithm};

/// The algorithms that webpki tries, by the identifiers of signature and key.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    strong::ECDSA_P256_SHA256,
    strong::ECDSA_P256_SHA384,
    strong::ECDSA_P384_SHA256,
    strong::ECDSA_P384_SHA384,
    strong::ED25519,
    &LEGACY_SHA1,
    &LEGACY_SHA256,
    &LEGACY_SHA512,
    strong::RSA_PKCS1_2048_8192_SHA384,
    strong::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    strong::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    strong::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// Signatures that are checked to find a path to a trusted root, or to say which of them is wrong: as many as the longest path has,
/// and two of issuers with the right name and another key.
///
/// webpki allows a hundred. A check takes up to 0.7 ms (P-384), so a few connections a second with certificates made for it
/// would keep a processor busy.
pub(super) const MAX_PATH_CHECKS: usize = 8;

/// [`ALGORITHMS`], which check no more than [`MAX_PATH_CHECKS`] signatures.
#[derive(Debug)]
pub(super) struct BoundedAlgorithms {
    checks: AtomicUsize,
}

impl BoundedAlgorithms {
    pub(super) const fn new() -> Self {
        Self {
            checks: AtomicUsize::new(0),
        }
    }

    /// What `search` finds with these algorithms.
    ///
    /// # Errors
    ///
    /// Those of `search`, or [`Error::MaximumSignatureChecksExceeded`] if it found nothing before the checks were used up.
    pub(super) fn search<T>(
        &self,
        search: impl FnOnce(&[&dyn SignatureVerificationAlgorithm]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let bounded = ALGORITHMS.iter().map(|algorithm| Bounded {
            algorithm: *algorithm,
            checks: &self.checks,
        });
        let bounded: Vec<Bounded<'_>> = bounded.collect();
        let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
            bounded.iter().map(|bounded| bounded as _).collect();
        search(&algorithms).map_err(|error| {
            if self.skipped() > 0 {
                Error::MaximumSignatureChecksExceeded
            } else {
                error
            }
        })
    }

    /// How many signatures were left unchecked.
    pub(super) fn skipped(&self) -> u64 {
        let asked = self.checks.load(Ordering::Relaxed);
        asked.saturating_sub(MAX_PATH_CHECKS) as u64
    }
}

/// An algorithm that takes no signature for a right one once the checks are used up.
#[derive(Debug)]
struct Bounded<'b> {
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    checks: &'b AtomicUsize,
}

impl SignatureVerificationAlgorithm for Bounded<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        if self.checks.fetch_add(1, Ordering::Relaxed) >= MAX_PATH_CHECKS {
            return Err(InvalidSignature);
        }
        self.algorithm
            .verify_signature(public_key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }

    fn fips(&self) -> bool {
        self.algorithm.fips()
    }
}

/// Bits that an RSA key may have for [`ALGORITHMS`] to check its signatures of this kind.
///
/// *ring* checks PKCS #1 signatures by short keys, but not those with SHA-384,
/// and no PSS signatures.
pub(super) fn rsa_bits(signature: &SignatureAlgorithm) -> RangeInclusive<usize> {
    match (signature.rsa_padding(), signature.hash()) {
        (Some(RsaPadding::Pss), _) | (Some(RsaPadding::Pkcs1), Some(HashAlgorithm::Sha384)) => {
            2048..=8192
        }
        _ => 1024..=8192,
    }
}

static LEGACY_SHA1: LegacyRsa = LegacyRsa {
    parameters: &RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
    signature: SHA1_WITH_RSA,
};
static LEGACY_SHA256: LegacyRsa = LegacyRsa {
    parameters: &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
    signature: alg_id::RSA_PKCS1_SHA256,
};
static LEGACY_SHA512: LegacyRsa = LegacyRsa {
    parameters: &RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    signature: alg_id::RSA_PKCS1_SHA512,
};

/// sha1WithRSAEncryption (RFC 3279 §2.2.1) with its NULL parameters.
const SHA1_WITH_RSA: AlgorithmIdentifier = AlgorithmIdentifier::from_slice(&[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05, 0x05, 0x00,
]);

/// RSA PKCS #1 v1.5 with keys of 1024 bits and more, where webpki's own begin at 2048.
#[derive(Debug)]
struct LegacyRsa {
    parameters: &'static RsaParameters,
    signature: AlgorithmIdentifier,
}

impl SignatureVerificationAlgorithm for LegacyRsa {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(self.parameters, public_key)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

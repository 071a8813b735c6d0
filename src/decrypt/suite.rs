//! The algorithms that a cipher suite stands for.

use tls_parser::{TlsCipherEnc, TlsCipherEncMode, TlsCipherMac, TlsCipherSuite, TlsPRF as TlsPrf};

use crate::tls::CipherSuite;

use super::cipher::{Aead, BlockCipher};
use super::hash::Hash;

/// The algorithms of a cipher suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Algorithms {
    pub(super) protection: Protection,
    /// The hash of the PRF from TLS 1.2 on, and of HKDF in TLS 1.3.
    pub(super) hash: Hash,
}

/// How records are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    Aead(Aead),
    Block(BlockCipher, Hash),
    /// RC4 with a key of 128 bits.
    Stream(Hash),
    /// A MAC and no encryption.
    Null(Hash),
}

impl Algorithms {
    /// The algorithms of `suite`; `None` if it is unknown or one of them is not supported.
    pub(super) fn of(suite: CipherSuite) -> Option<Self> {
        let known = TlsCipherSuite::from_id(suite.0)?;
        let hash = match known.prf {
            TlsPrf::Default | TlsPrf::Sha256 => Hash::Sha256,
            TlsPrf::Sha384 => Hash::Sha384,
            _ => return None,
        };
        let protection = match known.mac {
            TlsCipherMac::Aead => Protection::Aead(aead(known)?),
            TlsCipherMac::HmacMd5 => with_mac(known, Hash::Md5)?,
            TlsCipherMac::HmacSha1 => with_mac(known, Hash::Sha1)?,
            TlsCipherMac::HmacSha256 => with_mac(known, Hash::Sha256)?,
            TlsCipherMac::HmacSha384 => with_mac(known, Hash::Sha384)?,
            _ => return None,
        };
        Some(Self { protection, hash })
    }
}

fn aead(suite: &TlsCipherSuite) -> Option<Aead> {
    let has_short_tag = suite.name.contains("_CCM_8");
    Some(match (suite.enc, suite.enc_mode, suite.enc_size) {
        (TlsCipherEnc::Chacha20_Poly1305, ..) => Aead::ChaCha20Poly1305,
        (TlsCipherEnc::Aes, TlsCipherEncMode::Gcm, 128) => Aead::Aes128Gcm,
        (TlsCipherEnc::Aes, TlsCipherEncMode::Gcm, 256) => Aead::Aes256Gcm,
        (TlsCipherEnc::Aes, TlsCipherEncMode::Ccm, 128) if has_short_tag => Aead::Aes128Ccm8,
        (TlsCipherEnc::Aes, TlsCipherEncMode::Ccm, 256) if has_short_tag => Aead::Aes256Ccm8,
        (TlsCipherEnc::Aes, TlsCipherEncMode::Ccm, 128) => Aead::Aes128Ccm,
        (TlsCipherEnc::Aes, TlsCipherEncMode::Ccm, 256) => Aead::Aes256Ccm,
        _ => return None,
    })
}

/// Export suites are not supported: their keys are shorter than the name of their cipher says.
fn with_mac(suite: &TlsCipherSuite, mac: Hash) -> Option<Protection> {
    let cipher = match (suite.enc, suite.enc_mode, suite.enc_size) {
        (TlsCipherEnc::Null, ..) => return Some(Protection::Null(mac)),
        (TlsCipherEnc::Rc4, _, 128) => return Some(Protection::Stream(mac)),
        (TlsCipherEnc::Aes, TlsCipherEncMode::Cbc, 128) => BlockCipher::Aes128,
        (TlsCipherEnc::Aes, TlsCipherEncMode::Cbc, 256) => BlockCipher::Aes256,
        (TlsCipherEnc::TripleDes, TlsCipherEncMode::Cbc, _) => BlockCipher::TripleDes,
        (TlsCipherEnc::Des, TlsCipherEncMode::Cbc, 56 | 64) => BlockCipher::Des,
        _ => return None,
    };
    Some(Protection::Block(cipher, mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_have_the_algorithms_that_their_names_say() {
        use Protection::{Aead as A, Block, Null, Stream};
        let cases = [
            (
                CipherSuite::TLS_AES_128_GCM_SHA256,
                A(Aead::Aes128Gcm),
                Hash::Sha256,
            ),
            (
                CipherSuite::TLS_AES_256_GCM_SHA384,
                A(Aead::Aes256Gcm),
                Hash::Sha384,
            ),
            (
                CipherSuite::TLS_CHACHA20_POLY1305_SHA256,
                A(Aead::ChaCha20Poly1305),
                Hash::Sha256,
            ),
            (
                CipherSuite::TLS_AES_128_CCM_SHA256,
                A(Aead::Aes128Ccm),
                Hash::Sha256,
            ),
            (
                CipherSuite::TLS_AES_128_CCM_8_SHA256,
                A(Aead::Aes128Ccm8),
                Hash::Sha256,
            ),
            (
                CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8,
                A(Aead::Aes256Ccm8),
                Hash::Sha256,
            ),
            (
                CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
                A(Aead::Aes256Gcm),
                Hash::Sha384,
            ),
            (
                CipherSuite::TLS_RSA_WITH_AES_128_CBC_SHA,
                Block(BlockCipher::Aes128, Hash::Sha1),
                Hash::Sha256,
            ),
            (
                CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384,
                Block(BlockCipher::Aes256, Hash::Sha384),
                Hash::Sha384,
            ),
            (
                CipherSuite::TLS_RSA_WITH_3DES_EDE_CBC_SHA,
                Block(BlockCipher::TripleDes, Hash::Sha1),
                Hash::Sha256,
            ),
            (
                CipherSuite::TLS_RSA_WITH_DES_CBC_SHA,
                Block(BlockCipher::Des, Hash::Sha1),
                Hash::Sha256,
            ),
            (
                CipherSuite::TLS_RSA_WITH_RC4_128_MD5,
                Stream(Hash::Md5),
                Hash::Sha256,
            ),
            (
                CipherSuite::TLS_RSA_WITH_NULL_SHA256,
                Null(Hash::Sha256),
                Hash::Sha256,
            ),
        ];
        for (suite, protection, hash) in cases {
            let expected = Some(Algorithms { protection, hash });
            assert_eq!(Algorithms::of(suite), expected, "{suite}");
        }
    }

    #[test]
    fn what_is_not_supported_is_said_to_be_so() {
        for suite in [
            CipherSuite::TLS_RSA_EXPORT_WITH_RC4_40_MD5,
            CipherSuite::TLS_RSA_EXPORT_WITH_DES40_CBC_SHA,
            CipherSuite::TLS_RSA_WITH_IDEA_CBC_SHA,
            CipherSuite::TLS_RSA_WITH_CAMELLIA_128_CBC_SHA,
            CipherSuite::TLS_NULL_WITH_NULL_NULL,
            CipherSuite(0xfafa),
        ] {
            assert_eq!(Algorithms::of(suite), None, "{suite}");
        }
    }
}

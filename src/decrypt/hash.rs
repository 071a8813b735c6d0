//! Hashes by name: HMAC, and the key derivations of the TLS versions that use it.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha384};
use zeroize::Zeroizing;

/// A hash that a cipher suite can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Md5,
    Sha1,
    Sha256,
    Sha384,
}

/// Bytes that are a secret, or that one can be computed from.
pub(super) type Wiped = Zeroizing<Vec<u8>>;

impl Hash {
    /// Bytes of its output.
    pub(super) const fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }

    /// The hash of `parts`, one after the other; SSL 3.0 has constructions of its own.
    pub(super) fn digest(self, parts: &[&[u8]]) -> Wiped {
        fn run<D: md5::Digest>(parts: &[&[u8]]) -> Wiped {
            let mut hash = D::new();
            parts.iter().for_each(|part| hash.update(part));
            Zeroizing::new(hash.finalize().to_vec())
        }
        match self {
            Self::Md5 => run::<Md5>(parts),
            Self::Sha1 => run::<Sha1>(parts),
            Self::Sha256 => run::<Sha256>(parts),
            Self::Sha384 => run::<Sha384>(parts),
        }
    }

    /// The HMAC (RFC 2104) of `parts`, one after the other.
    pub(super) fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Wiped {
        fn run<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Wiped {
            // Never empty: keys of any length are allowed.
            let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else {
                return Wiped::default();
            };
            parts.iter().for_each(|part| mac.update(part));
            Zeroizing::new(mac.finalize().into_bytes().to_vec())
        }
        match self {
            Self::Md5 => run::<Hmac<Md5>>(key, parts),
            Self::Sha1 => run::<Hmac<Sha1>>(key, parts),
            Self::Sha256 => run::<Hmac<Sha256>>(key, parts),
            Self::Sha384 => run::<Hmac<Sha384>>(key, parts),
        }
    }

    /// P_hash (RFC 5246 §5): `length` bytes.
    pub(super) fn expand_p(self, secret: &[u8], seed: &[&[u8]], length: usize) -> Wiped {
        let mut output = Zeroizing::new(Vec::with_capacity(length + self.length()));
        let mut a = self.hmac(secret, seed);
        while output.len() < length {
            let parts: Vec<&[u8]> = std::iter::once(a.as_slice())
                .chain(seed.iter().copied())
                .collect();
            output.extend_from_slice(&self.hmac(secret, &parts));
            a = self.hmac(secret, &[&a]);
        }
        output.truncate(length);
        output
    }

    /// HKDF-Expand-Label (RFC 8446 §7.1) with an empty context; `None` if the secret is too short, or TLS 1.3 does not use the hash.
    pub(super) fn expand_label(self, secret: &[u8], label: &str, length: u8) -> Option<Wiped> {
        let name_length = u8::try_from(PREFIX.len() + label.len()).ok()?;
        let info = [&[0, length, name_length], PREFIX, label.as_bytes(), &[0]].concat();
        let mut output = Zeroizing::new(vec![0; usize::from(length)]);
        match self {
            Self::Sha256 => Hkdf::<Sha256>::from_prk(secret)
                .ok()?
                .expand(&info, &mut output)
                .ok()?,
            Self::Sha384 => Hkdf::<Sha384>::from_prk(secret)
                .ok()?
                .expand(&info, &mut output)
                .ok()?,
            Self::Md5 | Self::Sha1 => return None,
        }
        Some(output)
    }
}

/// The prefix of each label of TLS 1.3.
const PREFIX: &[u8] = b"tls13 ";

#[cfg(test)]
mod tests {
    use super::super::testing::hex;
    use super::*;

    /// The test vector for P_SHA256 that the TLS working group's list had.
    #[test]
    fn p_sha256_gives_the_known_bytes() {
        let secret = hex("9b be 43 6b a9 40 f0 17 b1 76 52 84 9a 71 db 35");
        let seed = hex("a0 ba 9f 93 6c da 31 18 27 a6 f7 96 ff d5 19 8c");
        let output = Hash::Sha256.expand_p(&secret, &[b"test label", &seed], 100);
        assert_eq!(
            output[..16],
            hex("e3 f2 29 ba 72 7b e1 7b 8d 12 26 20 55 7c d4 53")
        );
        assert_eq!(output[96..], hex("87 34 7b 66"));
        assert_eq!(output.len(), 100);
    }

    /// RFC 8448 §3.
    #[test]
    fn a_traffic_secret_gives_key_and_iv() {
        let secret = hex("b6 7b 7d 69 0c c1 6c 4e 75 e5 42 13 cb 2d 37 b4
             e9 c9 12 bc de d9 10 5d 42 be fd 59 d3 91 ad 38");
        let key = Hash::Sha256.expand_label(&secret, "key", 16).unwrap();
        assert_eq!(
            key[..],
            hex("3f ce 51 60 09 c2 17 27 d0 f2 e4 e8 6e e4 03 bc")
        );
        let iv = Hash::Sha256.expand_label(&secret, "iv", 12).unwrap();
        assert_eq!(iv[..], hex("5d 31 3e b2 67 12 76 ee 13 00 0b 30"));
    }

    #[test]
    fn a_short_secret_gives_nothing() {
        assert_eq!(Hash::Sha256.expand_label(&[0; 31], "key", 16), None);
        assert_eq!(Hash::Sha384.expand_label(&[0; 32], "key", 16), None);
    }
}

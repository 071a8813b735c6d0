//! How long TLS 1.3 handshake messages are once encrypted, for each way of padding.
//!
//! A record's length is content + one byte of type + padding + AEAD tag
//! (RFC 8446 §5.2). A sender keeps to one way of padding, which is recognised by
//! the lengths that fit it. Of the 30 client and server programs measured, only
//! JSSE and Mbed TLS pad. OpenSSL can be configured to fill up to larger blocks, which
//! hides the lengths.

use crate::tls::CipherSuite;

/// A way of padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    /// None: most stacks.
    None,
    /// 16 bytes on every record: JSSE.
    Plus16,
    /// Content and type filled up to a multiple of 16: Mbed TLS.
    Multiple16,
}

impl Padding {
    pub(super) const ALL: [Self; 3] = [Self::None, Self::Plus16, Self::Multiple16];
}

/// Lengths of records under one cipher suite.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    tag: u16,
    hash: u16,
}

/// Content of an alert.
const ALERT: u16 = 2;
/// Content of an EndOfEarlyData message.
const END_OF_EARLY_DATA: u16 = 4;
/// Content of a Certificate message without certificates.
const EMPTY_CERTIFICATE: u16 = 8;
/// A full record's content (RFC 8446 §5.1).
const FULL_CONTENT: u16 = 1 << 14;

impl Lengths {
    pub(super) const fn of(suite: Option<CipherSuite>) -> Self {
        let (tag, hash) = match suite {
            Some(CipherSuite::TLS_AES_256_GCM_SHA384) => (16, 48),
            Some(CipherSuite::TLS_AES_128_CCM_8_SHA256) => (8, 32),
            _ => (16, 32),
        };
        Self { tag, hash }
    }

    const fn record(self, content: u16, padding: Padding) -> u16 {
        match padding {
            Padding::None => content + 1 + self.tag,
            Padding::Plus16 => content + 17 + self.tag,
            Padding::Multiple16 => (content + 1).next_multiple_of(16) + self.tag,
        }
    }

    /// What a record is longer than its content, without padding.
    pub(super) const fn overhead(self) -> u16 {
        1 + self.tag
    }

    pub(super) const fn alert(self, padding: Padding) -> u16 {
        self.record(ALERT, padding)
    }

    pub(super) const fn finished(self, padding: Padding) -> u16 {
        self.record(4 + self.hash, padding)
    }

    pub(super) const fn empty_certificate(self, padding: Padding) -> u16 {
        self.record(EMPTY_CERTIFICATE, padding)
    }

    /// Whether a record has the length of an empty Certificate that repeats the context of the request it answers.
    ///
    /// Requests after the handshake carry a context of one byte or more (RFC 8446 §4.3.2): OpenSSL's has 32.
    pub(super) fn is_empty_certificate_with_context(self, length: usize, padding: Padding) -> bool {
        const LONGEST_CONTEXT: u16 = 32;
        (1..=LONGEST_CONTEXT)
            .any(|context| length == usize::from(self.record(EMPTY_CERTIFICATE + context, padding)))
    }

    /// An empty Certificate and Finished in one record; `None` where Finished alone may have the same length.
    pub(super) const fn empty_certificate_and_finished(self, padding: Padding) -> Option<u16> {
        match padding {
            Padding::Multiple16 => None,
            _ => Some(self.record(EMPTY_CERTIFICATE + 4 + self.hash, padding)),
        }
    }

    pub(super) const fn end_of_early_data(self) -> u16 {
        self.record(END_OF_EARLY_DATA, Padding::None)
    }

    /// The content of a record without padding.
    pub(super) fn content(self, length: u16) -> Option<u16> {
        length.checked_sub(1 + self.tag)
    }

    /// Whether a record may be an alert, under any way of padding.
    pub(super) fn may_be_alert(self, length: u16) -> bool {
        Padding::ALL
            .into_iter()
            .any(|padding| length == self.alert(padding))
    }

    /// Whether a record is a full one, so that its message may continue in the next.
    pub(super) const fn is_full(self, length: u16) -> bool {
        length >= FULL_CONTENT + 1 + self.tag
    }

    /// Whether a record has the length of a CertificateVerify message.
    pub(super) fn is_certificate_verify(self, length: usize, padding: Padding) -> bool {
        let contents = self.contents(length, padding);
        contents.is_some_and(|(shortest, longest)| {
            SIGNATURE_LENGTHS
                .iter()
                .any(|(from, to)| 8 + from <= longest && shortest <= 8 + to)
        })
    }

    /// The shortest and the longest content that fit a record; `None` if none does.
    fn contents(self, length: usize, padding: Padding) -> Option<(u16, u16)> {
        let inner = u16::try_from(length).ok()?.checked_sub(self.tag)?;
        match padding {
            Padding::None => inner.checked_sub(1).map(|content| (content, content)),
            Padding::Plus16 => inner.checked_sub(17).map(|content| (content, content)),
            Padding::Multiple16 => {
                (inner > 0 && inner.is_multiple_of(16)).then(|| (inner - 16, inner - 1))
            }
        }
    }

    /// Whether the records of a sender look filled up to blocks of 64 bytes or a multiple: their lengths say nothing then.
    ///
    /// 64 is the smallest block in use that is longer than an alert; at 16, Mbed TLS is known by its lengths.
    pub(super) fn are_blocks(self, lengths: impl Iterator<Item = u16>) -> bool {
        let mut count = 0;
        for length in lengths {
            if length <= self.tag || !(length - self.tag).is_multiple_of(64) {
                return false;
            }
            count += 1;
        }
        count > 0
    }
}

/// Lengths of signatures: from and to, since DER-encoded ECDSA ones vary.
const SIGNATURE_LENGTHS: [(u16, u16); 13] = [
    (64, 64),     // Ed25519
    (66, 73),     // ECDSA P-256
    (99, 105),    // ECDSA P-384
    (114, 114),   // Ed448
    (128, 128),   // RSA 1024
    (133, 140),   // ECDSA P-521
    (256, 256),   // RSA 2048
    (384, 384),   // RSA 3072
    (512, 512),   // RSA 4096
    (1024, 1024), // RSA 8192
    (2420, 2420), // ML-DSA-44
    (3309, 3309), // ML-DSA-65
    (4627, 4627), // ML-DSA-87
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_that_stacks_send() {
        let sha256 = Lengths::of(Some(CipherSuite::TLS_AES_128_GCM_SHA256));
        let sha384 = Lengths::of(Some(CipherSuite::TLS_AES_256_GCM_SHA384));
        assert_eq!(
            Padding::ALL.map(|padding| sha256.alert(padding)),
            [19, 35, 32]
        );
        assert_eq!(
            Padding::ALL.map(|padding| sha256.empty_certificate(padding)),
            [25, 41, 32]
        );
        assert_eq!(
            Padding::ALL.map(|padding| sha256.finished(padding)),
            [53, 69, 64]
        );
        assert_eq!(
            Padding::ALL.map(|padding| sha384.finished(padding)),
            [69, 85, 80]
        );
        assert_eq!(
            sha256.empty_certificate_and_finished(Padding::None),
            Some(61)
        );
        assert_eq!(sha256.end_of_early_data(), 21);
        assert_eq!(
            Lengths::of(Some(CipherSuite::TLS_AES_128_CCM_8_SHA256)).alert(Padding::None),
            11
        );
    }

    #[test]
    fn certificate_verify_is_known_by_its_signature() {
        let lengths = Lengths::of(None);
        for length in [
            89, 91, 98, 124, 130, 158, 165, 281, 409, 537, 2445, 3334, 4652,
        ] {
            assert!(
                lengths.is_certificate_verify(length, Padding::None),
                "{length}"
            );
        }
        assert!(!lengths.is_certificate_verify(300, Padding::None));
    }

    #[test]
    fn every_length_that_a_signature_gives_is_one_of_a_certificate_verify_and_no_other() {
        for suite in [
            CipherSuite::TLS_AES_128_GCM_SHA256,
            CipherSuite::TLS_AES_128_CCM_8_SHA256,
        ] {
            let lengths = Lengths::of(Some(suite));
            for padding in Padding::ALL {
                let signatures = SIGNATURE_LENGTHS.into_iter();
                let given: Vec<usize> = signatures
                    .flat_map(|(from, to)| from..=to)
                    .map(|signature| lengths.record(8 + signature, padding).into())
                    .collect();
                for length in 0..5_000 {
                    let is_verify = lengths.is_certificate_verify(length, padding);
                    assert_eq!(is_verify, given.contains(&length), "{padding:?} {length}");
                }
            }
        }
    }

    #[test]
    fn blocks_are_distinguished_from_ordinary_lengths() {
        let lengths = Lengths::of(None);
        assert!(lengths.are_blocks([528, 1040, 528].into_iter()));
        assert!(!lengths.are_blocks([528, 53].into_iter()));
        assert!(!lengths.are_blocks(std::iter::empty()));
    }
}

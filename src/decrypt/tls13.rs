//! Records of TLS 1.3 (RFC 8446 §5.2): one direction, one traffic secret after the other.

use crate::tls::{ContentType, RecordHeader};

use super::cipher::NONCE;
use super::hash::Wiped;
use super::keylog::Secret;
use super::record::{Opened, header_bytes};
use super::suite::{Algorithms, Protection};
use super::{cipher::Aead, hash::Hash};

/// Opens the records that one traffic secret protects.
pub(super) struct Tls13Opener {
    aead: Aead,
    hash: Hash,
    secret: Wiped,
    key: Wiped,
    iv: Wiped,
    sequence: u64,
}

impl Tls13Opener {
    /// `None` if the suite is not one of TLS 1.3, or the secret is too short for it.
    pub(super) fn new(algorithms: Algorithms, secret: &Secret) -> Option<Self> {
        let Protection::Aead(aead) = algorithms.protection else {
            return None;
        };
        Self::with_secret(aead, algorithms.hash, Wiped::new(secret.bytes().to_vec()))
    }

    fn with_secret(aead: Aead, hash: Hash, secret: Wiped) -> Option<Self> {
        let key = hash.expand_label(&secret, "key", aead.key_length() as u8)?;
        let iv = hash.expand_label(&secret, "iv", NONCE as u8)?;
        Some(Self {
            aead,
            hash,
            secret,
            key,
            iv,
            sequence: 0,
        })
    }

    /// Moves to the next secret, as a KeyUpdate asks (RFC 8446 §7.2).
    pub(super) fn update(&mut self) {
        let next = self
            .hash
            .expand_label(&self.secret, "traffic upd", self.hash.length() as u8);
        if let Some(next) = next.and_then(|next| Self::with_secret(self.aead, self.hash, next)) {
            *self = next;
        }
    }

    /// Decrypts a record in place; `None` if its tag is wrong; then nothing but `fragment` has changed.
    pub(super) fn open<'r>(
        &mut self,
        header: RecordHeader,
        fragment: &'r mut [u8],
    ) -> Option<Opened<'r>> {
        let nonce = nonce(&self.iv, self.sequence)?;
        let inner = self
            .aead
            .open(&self.key, &nonce, &header_bytes(header), fragment)?;
        self.sequence = self.sequence.wrapping_add(1);
        // TLSInnerPlaintext: content, its type, and zeros.
        let end = inner.iter().rposition(|byte| *byte != 0)?;
        let (content, content_type) = (inner.get(..end)?, inner.get(end)?);
        Some(Opened {
            content_type: ContentType(*content_type),
            content,
        })
    }
}

/// The sequence number, padded to the left, over the IV (RFC 8446 §5.3; RFC 7905 §2).
pub(super) fn nonce(iv: &[u8], sequence: u64) -> Option<[u8; NONCE]> {
    let mut nonce: [u8; NONCE] = iv.try_into().ok()?;
    let low = nonce.iter_mut().rev();
    for (byte, number) in low.zip(sequence.to_le_bytes()) {
        *byte ^= number;
    }
    Some(nonce)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{hex, open_record};
    use super::*;
    use crate::tls::CipherSuite;

    /// Secrets and records of RFC 8448 §3.
    const CLIENT_HANDSHAKE: &str = "b3 ed db 12 6e 06 7f 35 a7 80 b3 ab f4 5e 2d 8f
         3b 1a 95 07 38 f5 2e 96 00 74 6a 0e 27 a5 5a 21";
    const CLIENT_APPLICATION: &str = "9e 40 64 6c e7 9a 7f 9d c0 5a f8 88 9b ce 65 52
         87 5a fa 0b 06 df 00 87 f7 92 eb b7 c1 75 04 a5";
    const CLIENT_FINISHED: &str = "17 03 03 00 35 75 ec 4d c2 38 cc e6 0b 29 80 44 a7
         1e 21 9c 56 cc 77 b0 51 7f e9 b9 3c 7a 4b fc 44 d8 7f 38 f8 03 38 ac 98 fc 46 de b3 84
         bd 1c ae ac ab 68 67 d7 26 c4 05 46";
    const CLIENT_DATA: &str = "17 03 03 00 43 a2 3f 70 54 b6 2c 94 d0 af fa fe 82 28
         ba 55 cb ef ac ea 42 f9 14 aa 66 bc ab 3f 2b 98 19 a8 a5 b4 6b 39 5b d5 4a 9a 20 44 1e
         2b 62 97 4e 1f 5a 62 92 a2 97 70 14 bd 1e 3d ea e6 3a ee bb 21 69 49 15 e4";
    const CLIENT_CLOSE: &str = "17 03 03 00 13 c9 87 27 60 65 56 66 b7 4d 7f f1 15 3e
         fd 6d b6 d0 b0 e3";

    fn opener(secret: &str) -> Tls13Opener {
        let algorithms = Algorithms::of(CipherSuite::TLS_AES_128_GCM_SHA256).unwrap();
        Tls13Opener::new(algorithms, &Secret::new(&hex(secret))).unwrap()
    }

    fn open(opener: &mut Tls13Opener, record: &str) -> Option<(u8, Vec<u8>)> {
        open_record(&hex(record), |header, fragment| {
            let opened = opener.open(header, fragment)?;
            Some((opened.content_type.0, opened.content.to_vec()))
        })
    }

    #[test]
    fn opens_the_records_of_rfc_8448() {
        let (content_type, finished) =
            open(&mut opener(CLIENT_HANDSHAKE), CLIENT_FINISHED).unwrap();
        assert_eq!((content_type, &finished[..4]), (22, &[20, 0, 0, 32][..]));
        let mut application = opener(CLIENT_APPLICATION);
        let (content_type, data) = open(&mut application, CLIENT_DATA).unwrap();
        assert_eq!((content_type, data), (23, (0..50).collect()));
        assert_eq!(open(&mut application, CLIENT_CLOSE), Some((21, vec![1, 0])));
    }

    #[test]
    fn a_wrong_secret_opens_nothing_and_a_right_one_goes_on() {
        assert_eq!(open(&mut opener(CLIENT_APPLICATION), CLIENT_FINISHED), None);
        let mut application = opener(CLIENT_APPLICATION);
        assert_eq!(open(&mut application, CLIENT_FINISHED), None);
        assert_eq!(open(&mut application, CLIENT_CLOSE), None, "out of order");
        assert!(open(&mut application, CLIENT_DATA).is_some());
    }

    #[test]
    fn a_record_too_short_for_a_tag_is_not_opened() {
        for length in 0..16 {
            let record = [&[23, 3, 3, 0, length][..], &vec![0; usize::from(length)]].concat();
            let mut opener = opener(CLIENT_HANDSHAKE);
            let opened = open_record(&record, |header, fragment| {
                opener.open(header, fragment).map(|_| ())
            });
            assert_eq!(opened, None);
        }
    }

    #[test]
    fn a_key_update_changes_keys_and_begins_to_count_anew() {
        let mut opener = opener(CLIENT_APPLICATION);
        open(&mut opener, CLIENT_DATA).unwrap();
        let key = opener.key.clone();
        opener.update();
        assert_ne!(opener.key, key);
        assert_eq!(opener.sequence, 0);
    }

    #[test]
    fn the_sequence_number_goes_over_the_end_of_the_iv() {
        let iv = [0xff; NONCE];
        assert_eq!(
            nonce(&iv, 0x0102),
            Some([
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xfd
            ])
        );
        assert_eq!(nonce(&iv[1..], 0), None);
    }
}

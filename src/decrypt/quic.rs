//! Packets of QUIC (RFC 9001 §5, RFC 9369 §3.3): header protection, and the AEAD behind it.
//!
//! The keys of Initial packets follow from the client's first destination connection id, so they
//! need no secret: everyone who sees the packets may open them. Those of Handshake and 1-RTT packets
//! follow from the secrets in key logs.

use aes::cipher::{Array, BlockCipherEncrypt};
use aes::{Aes128, Aes256};
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit as _, StreamCipher as _, StreamCipherSeek as _};
use chacha20poly1305::ChaCha20Poly1305;
use hkdf::Hkdf;
use sha2::{Sha256, Sha384};
use zeroize::Zeroizing;

use crate::flow::PerSide;
use crate::tls::CipherSuite;
use crate::transport::quic::{ConnectionId, LargestNumber, QuicVersion};

use super::keylog::Secret;

/// The keys of one sender for packets of one kind.
pub(crate) struct PacketKeys {
    cipher: Cipher,
    key: Zeroizing<[u8; LONGEST_KEY]>,
    iv: [u8; NONCE],
    header_key: Zeroizing<[u8; LONGEST_KEY]>,
}

impl std::fmt::Debug for PacketKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PacketKeys")
            .field("cipher", &self.cipher)
            .finish_non_exhaustive()
    }
}

/// A packet that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenedPacket<'p> {
    /// Its whole number.
    pub(crate) number: u64,
    /// Its frames.
    pub(crate) content: &'p [u8],
}

/// How packets are protected: QUIC has no other suites of TLS 1.3 in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cipher {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
}

const LONGEST_KEY: usize = 32;
const NONCE: usize = 12;
const TAG: usize = 16;

/// Bytes that header protection is computed from; they begin 4 bytes after the packet number.
const SAMPLE: usize = 16;
const SAMPLE_OFFSET: usize = 4;

impl PacketKeys {
    /// The keys of Initial packets in a connection whose client first sent to `destination`.
    pub(crate) fn initial(
        version: QuicVersion,
        destination: &ConnectionId,
    ) -> PerSide<Option<Self>> {
        let (prk, _) = Hkdf::<Sha256>::extract(Some(salt(version)), destination.as_slice());
        let keys = |label| {
            let secret = expand_label(Hash::Sha256, &prk, label, 32)?;
            Self::new(version, Cipher::Aes128Gcm, Hash::Sha256, secret.as_slice())
        };
        PerSide {
            client: keys("client in"),
            server: keys("server in"),
        }
    }

    /// The keys that follow from a secret of TLS; `None` if the suite is not supported, or the secret too short for it.
    pub(crate) fn from_secret(
        version: QuicVersion,
        suite: CipherSuite,
        secret: &Secret,
    ) -> Option<Self> {
        let (cipher, hash) = algorithms(suite)?;
        Self::new(version, cipher, hash, secret.bytes())
    }

    fn new(version: QuicVersion, cipher: Cipher, hash: Hash, secret: &[u8]) -> Option<Self> {
        let labels = match version {
            QuicVersion::V2 | QuicVersion::V2_DRAFT => ["quicv2 key", "quicv2 iv", "quicv2 hp"],
            _ => ["quic key", "quic iv", "quic hp"],
        };
        let [key, iv, header_key] = labels;
        let length = cipher.key_length();
        let expand = |label, length| expand_label(hash, secret, label, length);
        Some(Self {
            cipher,
            key: expand(key, length)?,
            iv: *expand(iv, NONCE)?.first_chunk()?,
            header_key: expand(header_key, length)?,
        })
    }

    /// Opens a packet in place, of which the number begins at `number_offset`; `None` if it is not protected with these keys,
    /// or not whole.
    pub(crate) fn open<'p>(
        &self,
        packet: &'p mut [u8],
        number_offset: usize,
        largest: LargestNumber,
    ) -> Option<OpenedPacket<'p>> {
        let sample_start = number_offset + SAMPLE_OFFSET;
        let sample = *packet.get(sample_start..)?.first_chunk()?;
        let mask = self.mask(&sample)?;
        let first = packet.first_mut()?;
        let is_long = *first & 0x80 != 0;
        *first ^= mask[0] & if is_long { 0x0f } else { 0x1f };
        // Protected as the packet number is, and 0 in every packet (RFC 9000 §17.2): this spares the AEAD three of four
        // packets that are not what they seem.
        let reserved = *first & if is_long { 0x0c } else { 0x18 };
        if reserved != 0 {
            return None;
        }
        let number_length = usize::from(*first & 3) + 1;
        let number_bytes = packet.get_mut(number_offset..number_offset + number_length)?;
        let mut truncated = 0;
        for (byte, mask) in number_bytes.iter_mut().zip(&mask[1..]) {
            *byte ^= mask;
            truncated = truncated << 8 | u32::from(*byte);
        }
        let number = largest.expand(truncated, number_length);
        let (header, sealed) = packet.split_at_mut_checked(number_offset + number_length)?;
        let nonce = self.nonce(number);
        let content = self.cipher.open(&*self.key, &nonce, header, sealed)?;
        Some(OpenedPacket { number, content })
    }

    /// The mask of header protection (RFC 9001 §5.4).
    fn mask(&self, sample: &[u8; SAMPLE]) -> Option<[u8; 5]> {
        let key = self.header_key.get(..self.cipher.key_length())?;
        let mut block = Array::from(*sample);
        match self.cipher {
            Cipher::Aes128Gcm => Aes128::new_from_slice(key).ok()?.encrypt_block(&mut block),
            Cipher::Aes256Gcm => Aes256::new_from_slice(key).ok()?.encrypt_block(&mut block),
            Cipher::ChaCha20Poly1305 => {
                let (counter, nonce) = sample.split_first_chunk::<4>()?;
                let mut cipher = ChaCha20::new_from_slices(key, nonce).ok()?;
                cipher
                    .try_seek(u64::from(u32::from_le_bytes(*counter)) * 64)
                    .ok()?;
                let mut mask = [0; 5];
                cipher.try_apply_keystream(&mut mask).ok()?;
                return Some(mask);
            }
        }
        block.first_chunk().copied()
    }

    /// The packet number, padded to the left, over the IV.
    fn nonce(&self, number: u64) -> [u8; NONCE] {
        let mut nonce = self.iv;
        for (byte, number) in nonce.iter_mut().rev().zip(number.to_le_bytes()) {
            *byte ^= number;
        }
        nonce
    }
}

impl Cipher {
    const fn key_length(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
        }
    }

    fn open<'r>(
        self,
        key: &[u8],
        nonce: &[u8; NONCE],
        header: &[u8],
        sealed: &'r mut [u8],
    ) -> Option<&'r [u8]> {
        let key = key.get(..self.key_length())?;
        match self {
            Self::Aes128Gcm => open::<Aes128Gcm>(key, nonce, header, sealed),
            Self::Aes256Gcm => open::<Aes256Gcm>(key, nonce, header, sealed),
            Self::ChaCha20Poly1305 => open::<ChaCha20Poly1305>(key, nonce, header, sealed),
        }
    }
}

fn open<'r, A: AeadInOut + KeyInit>(
    key: &[u8],
    nonce: &[u8; NONCE],
    header: &[u8],
    sealed: &'r mut [u8],
) -> Option<&'r [u8]> {
    let cipher = A::new_from_slice(key).ok()?;
    let nonce = nonce.as_slice().try_into().ok()?;
    let content_length = sealed.len().checked_sub(TAG)?;
    let (content, tag) = sealed.split_at_mut_checked(content_length)?;
    let tag = (&*tag).try_into().ok()?;
    cipher
        .decrypt_inout_detached(nonce, header, (&mut *content).into(), tag)
        .ok()?;
    Some(content)
}

/// Whether the tag at the end of a Retry packet shows that its sender saw the Initial to `original` (RFC 9001 §5.8).
pub(crate) fn is_retry_authentic(
    version: QuicVersion,
    original: &ConnectionId,
    packet: &[u8],
) -> bool {
    let (key, nonce) = retry_key(version);
    let Some((header, tag)) = packet.split_last_chunk::<TAG>() else {
        return false;
    };
    let pseudo = [&[original.len() as u8], original.as_slice(), header].concat();
    let mut sealed = *tag;
    open::<Aes128Gcm>(key, nonce, &pseudo, &mut sealed).is_some()
}

fn algorithms(suite: CipherSuite) -> Option<(Cipher, Hash)> {
    Some(match suite {
        CipherSuite::TLS_AES_128_GCM_SHA256 => (Cipher::Aes128Gcm, Hash::Sha256),
        CipherSuite::TLS_AES_256_GCM_SHA384 => (Cipher::Aes256Gcm, Hash::Sha384),
        CipherSuite::TLS_CHACHA20_POLY1305_SHA256 => (Cipher::ChaCha20Poly1305, Hash::Sha256),
        _ => return None,
    })
}

/// What makes the Initial secrets of one version differ from those of another (RFC 9001 §5.2, RFC 9369 §3.3.1).
const fn salt(version: QuicVersion) -> &'static [u8] {
    match version.draft() {
        Some(..=22) => DRAFT_22,
        Some(..=28) => DRAFT_23,
        Some(29..=32) => &[
            0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61,
            0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99,
        ],
        _ if matches!(version, QuicVersion::MVFST) => DRAFT_22,
        _ if matches!(version, QuicVersion::MVFST_27) => DRAFT_23,
        _ if matches!(version, QuicVersion::T050) => &[
            0x7f, 0xf5, 0x79, 0xe5, 0xac, 0xd0, 0x72, 0x91, 0x55, 0x80, 0x30, 0x4c, 0x43, 0xa2,
            0x36, 0x7c, 0x60, 0x48, 0x83, 0x10,
        ],
        _ if matches!(version, QuicVersion::T051) => &[
            0x7a, 0x4e, 0xde, 0xf4, 0xe7, 0xcc, 0xee, 0x5f, 0xa4, 0x50, 0x6c, 0x19, 0x12, 0x4f,
            0xc8, 0xcc, 0xda, 0x6e, 0x03, 0x3d,
        ],
        _ if matches!(version, QuicVersion::V2_DRAFT) => &[
            0xa7, 0x07, 0xc2, 0x03, 0xa5, 0x9b, 0x47, 0x18, 0x4a, 0x1d, 0x62, 0xca, 0x57, 0x04,
            0x06, 0xea, 0x7a, 0xe3, 0xe5, 0xd3,
        ],
        _ if matches!(version, QuicVersion::V2) => &[
            0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26,
            0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9,
        ],
        _ => &[
            0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
            0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a,
        ],
    }
}

const DRAFT_22: &[u8] = &[
    0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a, 0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd,
    0x7a, 0x02, 0x64, 0x4a,
];

/// Up to draft 28.
const DRAFT_23: &[u8] = &[
    0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65,
    0xbe, 0xf9, 0xf5, 0x02,
];

/// Key and nonce of the tag in Retry packets.
const fn retry_key(version: QuicVersion) -> (&'static [u8], &'static [u8; NONCE]) {
    match version.draft() {
        Some(..=28) => (
            &[
                0x4d, 0x32, 0xec, 0xdb, 0x2a, 0x21, 0x33, 0xc8, 0x41, 0xe4, 0x04, 0x3d, 0xf2, 0x7d,
                0x44, 0x30,
            ],
            &[
                0x4d, 0x16, 0x11, 0xd0, 0x55, 0x13, 0xa5, 0x52, 0xc5, 0x87, 0xd5, 0x75,
            ],
        ),
        Some(29..=32) => (
            &[
                0xcc, 0xce, 0x18, 0x7e, 0xd0, 0x9a, 0x09, 0xd0, 0x57, 0x28, 0x15, 0x5a, 0x6c, 0xb9,
                0x6b, 0xe1,
            ],
            &[
                0xe5, 0x49, 0x30, 0xf9, 0x7f, 0x21, 0x36, 0xf0, 0x53, 0x0a, 0x8c, 0x1c,
            ],
        ),
        _ if matches!(version, QuicVersion::V2_DRAFT) => (
            &[
                0xba, 0x85, 0x8d, 0xc7, 0xb4, 0x3d, 0xe5, 0xdb, 0xf8, 0x76, 0x17, 0xff, 0x4a, 0xb2,
                0x53, 0xdb,
            ],
            &[
                0x14, 0x1b, 0x99, 0xc2, 0x39, 0xb0, 0x3e, 0x78, 0x5d, 0x6a, 0x2e, 0x9f,
            ],
        ),
        _ if matches!(version, QuicVersion::V2) => (
            &[
                0x8f, 0xb4, 0xb0, 0x1b, 0x56, 0xac, 0x48, 0xe2, 0x60, 0xfb, 0xcb, 0xce, 0xad, 0x7c,
                0xcc, 0x92,
            ],
            &[
                0xd8, 0x69, 0x69, 0xbc, 0x2d, 0x7c, 0x6d, 0x99, 0x90, 0xef, 0xb0, 0x4a,
            ],
        ),
        _ => (
            &[
                0xbe, 0x0c, 0x69, 0x0b, 0x9f, 0x66, 0x57, 0x5a, 0x1d, 0x76, 0x6b, 0x54, 0xe3, 0x68,
                0xc8, 0x4e,
            ],
            &[
                0x46, 0x15, 0x99, 0xd3, 0x5d, 0x63, 0x2b, 0xf2, 0x23, 0x98, 0x25, 0xbb,
            ],
        ),
    }
}

/// HKDF-Expand-Label (RFC 8446 §7.1) with an empty context; up to 32 bytes, in a buffer of that length.
fn expand_label(
    hash: Hash,
    secret: &[u8],
    label: &str,
    length: usize,
) -> Option<Zeroizing<[u8; LONGEST_KEY]>> {
    const PREFIX: &[u8] = b"tls13 ";
    let name_length = u8::try_from(PREFIX.len() + label.len()).ok()?;
    let length_byte = u8::try_from(length).ok()?;
    let parts = [
        &[0, length_byte, name_length],
        PREFIX,
        label.as_bytes(),
        &[0],
    ];
    let mut bytes = Zeroizing::new([0; LONGEST_KEY]);
    let output = bytes.get_mut(..length)?;
    match hash {
        Hash::Sha256 => Hkdf::<Sha256>::from_prk(secret)
            .ok()?
            .expand_multi_info(&parts, output)
            .ok()?,
        Hash::Sha384 => Hkdf::<Sha384>::from_prk(secret)
            .ok()?
            .expand_multi_info(&parts, output)
            .ok()?,
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Side;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pairs = digits
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).unwrap());
        pairs
            .map(|pair| u8::from_str_radix(pair, 16).unwrap())
            .collect()
    }

    /// The client's first destination id in the examples of RFC 9001 and RFC 9369.
    fn original() -> ConnectionId {
        ConnectionId::new(&hex("8394c8f03e515708")).unwrap()
    }

    fn initial(version: QuicVersion, side: Side) -> PacketKeys {
        let PerSide { client, server } = PacketKeys::initial(version, &original());
        match side {
            Side::Client => client.unwrap(),
            Side::Server => server.unwrap(),
        }
    }

    #[test]
    fn initial_keys_are_those_of_rfc_9001_appendix_a1() {
        let client = initial(QuicVersion::V1, Side::Client);
        assert_eq!(client.key[..16], hex("1f369613dd76d5467730efcbe3b1a22d"));
        assert_eq!(client.iv[..], hex("fa044b2f42a3fd3b46fb255c"));
        assert_eq!(
            client.header_key[..16],
            hex("9f50449e04a0e810283a1e9933adedd2")
        );
        let server = initial(QuicVersion::V1, Side::Server);
        assert_eq!(server.key[..16], hex("cf3a5331653c364c88f0f379b6067e37"));
        assert_eq!(server.iv[..], hex("0ac1493ca1905853b0bba03e"));
        assert_eq!(
            server.header_key[..16],
            hex("c206b8d9b9f0f37644430b490eeaa314")
        );
    }

    #[test]
    fn initial_keys_of_version_2_are_those_of_rfc_9369_appendix_a1() {
        let client = initial(QuicVersion::V2, Side::Client);
        assert_eq!(client.key[..16], hex("8b1a0bc121284290a29e0971b5cd045d"));
        assert_eq!(client.iv[..], hex("91f73e2351d8fa91660e909f"));
        assert_eq!(
            client.header_key[..16],
            hex("45b95e15235d6f45a6b19cbcb0294ba9")
        );
    }

    #[test]
    fn initial_keys_of_the_draft_of_version_2_are_those_of_its_appendix_a1() {
        let client = initial(QuicVersion::V2_DRAFT, Side::Client);
        assert_eq!(client.key[..16], hex("95df2be2e8d549c82e996fc9339f4563"));
        assert_eq!(client.iv[..], hex("ea5e3c95f933db14b7020ad8"));
        assert_eq!(
            client.header_key[..16],
            hex("091efb735702447d07908f6501845794")
        );
        let server = initial(QuicVersion::V2_DRAFT, Side::Server);
        assert_eq!(server.key[..16], hex("15d5b4d9a2b8916aa39b1bfe574d2aad"));
        assert_eq!(server.iv[..], hex("a85e7ac31cd275cbb095c626"));
        assert_eq!(
            server.header_key[..16],
            hex("b13861cfadbb9d11ff942dd80c8fc33b")
        );
    }

    /// The server's Initial packet of RFC 9001 appendix A.3: an ACK and the ServerHello, number 1.
    const SERVER_INITIAL: &str = "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a
        5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f
        3bded74b562bfb19fb84022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc42158407dd074ee";

    #[test]
    fn the_server_initial_of_rfc_9001_appendix_a3_is_opened() {
        let keys = initial(QuicVersion::V1, Side::Server);
        let mut packet = hex(SERVER_INITIAL);
        let opened = keys
            .open(&mut packet, 18, LargestNumber::default())
            .unwrap();
        assert_eq!(opened.number, 1);
        assert_eq!(opened.content[..11], hex("02000000000600405a0200"));
        // With the client's keys, or changed, it stays closed.
        let client = initial(QuicVersion::V1, Side::Client);
        let open = |keys: &PacketKeys, mut packet: Vec<u8>| {
            keys.open(&mut packet, 18, LargestNumber::default())
                .is_some()
        };
        assert!(!open(&client, hex(SERVER_INITIAL)));
        for place in 0..hex(SERVER_INITIAL).len() {
            let mut changed = hex(SERVER_INITIAL);
            changed[place] ^= 0x40;
            assert!(!open(&keys, changed), "byte {place}");
        }
        for length in 0..hex(SERVER_INITIAL).len() {
            assert!(!open(&keys, hex(SERVER_INITIAL)[..length].to_vec()));
        }
    }

    #[test]
    fn the_chacha20_packet_of_rfc_9001_appendix_a5_is_opened() {
        let secret = Secret::new(&hex(
            "9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b",
        ));
        let suite = CipherSuite::TLS_CHACHA20_POLY1305_SHA256;
        let keys = PacketKeys::from_secret(QuicVersion::V1, suite, &secret).unwrap();
        let mut packet = hex("4cfe4189655e5cd55c41f69080575d7999c25a5bfb");
        let mut largest = LargestNumber::default();
        largest.note(654_360_563);
        let opened = keys.open(&mut packet, 1, largest).unwrap();
        assert_eq!((opened.number, opened.content), (654_360_564, &[1][..]));
    }

    #[test]
    fn the_retry_packets_of_both_rfcs_are_authentic_for_their_id_alone() {
        let v1 = hex("ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba");
        let v2 = hex("cf6b3343cf0008f067a5502a4262b5746f6b656ec8646ce8bfe33952d955543665dcc7b6");
        assert!(is_retry_authentic(QuicVersion::V1, &original(), &v1));
        assert!(is_retry_authentic(QuicVersion::V2, &original(), &v2));
        let draft = hex("cf709a50c40008f067a5502a4262b5746f6b656e1dc71130cd1ed39d6efcee5c85806501");
        assert!(is_retry_authentic(
            QuicVersion::V2_DRAFT,
            &original(),
            &draft
        ));
        assert!(!is_retry_authentic(QuicVersion::V2, &original(), &v1));
        let other = ConnectionId::new(&[1; 8]).unwrap();
        assert!(!is_retry_authentic(QuicVersion::V1, &other, &v1));
        assert!(!is_retry_authentic(QuicVersion::V1, &original(), &v1[..15]));
    }
}

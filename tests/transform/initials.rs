//! Initial packets of QUIC, as anybody can make them who has seen the client's first one (RFC 9001 §5.2).

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt as _};
use aes_gcm::Aes128Gcm;
use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use hkdf::Hkdf;
use sha2::Sha256;

/// What makes Initial packets of one version differ from those of another.
pub(crate) struct Version {
    number: [u8; 4],
    /// The first byte of the header, for a packet number of one byte.
    first: u8,
    salt: [u8; 20],
    labels: [&'static str; 3],
}

const V1: Version = Version {
    number: [0, 0, 0, 1],
    first: 0xc0,
    salt: [
        0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c,
        0xad, 0xcc, 0xbb, 0x7f, 0x0a,
    ],
    labels: ["quic key", "quic iv", "quic hp"],
};

/// draft-ietf-quic-v2-01.
pub(crate) const V2_DRAFT: Version = Version {
    number: [0x70, 0x9a, 0x50, 0xc4],
    first: 0xd0,
    salt: [
        0xa7, 0x07, 0xc2, 0x03, 0xa5, 0x9b, 0x47, 0x18, 0x4a, 0x1d, 0x62, 0xca, 0x57, 0x04, 0x06,
        0xea, 0x7a, 0xe3, 0xe5, 0xd3,
    ],
    labels: ["quicv2 key", "quicv2 iv", "quicv2 hp"],
};

/// The connection ids in a long header of version 1: destination and source.
pub(super) fn ids(packet: &[u8]) -> Option<[&[u8]; 2]> {
    let [0x80..=0xff, 0, 0, 0, 1, rest @ ..] = packet else {
        return None;
    };
    let (length, rest) = rest.split_first()?;
    let (destination, rest) = rest.split_at_checked(usize::from(*length))?;
    let (length, rest) = rest.split_first()?;
    let (source, _) = rest.split_at_checked(usize::from(*length))?;
    Some([destination, source])
}

/// An Initial packet with a CONNECTION_CLOSE, in a connection whose client first sent to `original`.
pub(super) fn close(
    original: &[u8],
    [destination, source]: [&[u8]; 2],
    is_of_client: bool,
    (number, code): (u8, u16),
) -> Vec<u8> {
    let [high, low] = code.to_be_bytes();
    let mut content = vec![0x1c, 0x40 | high, low, 6, 0]; // about a CRYPTO frame, without a reason
    content.resize(if is_of_client { 1_162 } else { 20 }, 0);
    let ids = [destination, source];
    seal(&V1, original, ids, is_of_client, (number, content))
}

/// An Initial packet with this number and content, in a connection whose client first sent to `original`.
pub(crate) fn seal(
    version: &Version,
    original: &[u8],
    [destination, source]: [&[u8]; 2],
    is_of_client: bool,
    (number, mut content): (u8, Vec<u8>),
) -> Vec<u8> {
    let (initial, _) = Hkdf::<Sha256>::extract(Some(&version.salt), original);
    let label = ["server in", "client in"][usize::from(is_of_client)];
    let secret = expand(&initial, label, 32);
    let [key_label, iv_label, header_label] = version.labels;
    let [key, iv, header_key] = [(key_label, 16), (iv_label, 12), (header_label, 16)]
        .map(|(label, length)| expand(&secret, label, length));
    let length = |id: &[u8]| [id.len() as u8];
    let rest = (0x4000 | (1 + content.len() as u16 + 16)).to_be_bytes();
    let mut packet = [
        &[version.first][..],
        &version.number,
        &length(destination),
        destination,
        &length(source),
        source,
        &[0], // no token
        &rest,
        &[number],
    ]
    .concat();
    let mut nonce = iv;
    nonce[11] ^= number;
    let cipher = Aes128Gcm::new_from_slice(&key).unwrap();
    let nonce = nonce.as_slice().try_into().unwrap();
    let tag = cipher
        .encrypt_inout_detached(nonce, &packet, content.as_mut_slice().into())
        .unwrap();
    let at = packet.len() - 1; // of the number
    packet.extend_from_slice(&content);
    packet.extend_from_slice(&tag);
    let sample: [u8; 16] = packet[at + 4..][..16].try_into().unwrap();
    let mut mask = Array::from(sample);
    let cipher = Aes128::new_from_slice(&header_key).unwrap();
    cipher.encrypt_block(&mut mask);
    packet[0] ^= mask[0] & 0x0f;
    packet[at] ^= mask[1];
    packet
}

/// HKDF-Expand-Label of TLS 1.3.
fn expand(secret: &[u8], label: &str, length: u8) -> Vec<u8> {
    let label = format!("tls13 {label}");
    let info = [&[0, length, label.len() as u8], label.as_bytes(), &[0]].concat();
    let mut expanded = vec![0; length.into()];
    let hkdf = Hkdf::<Sha256>::from_prk(secret).unwrap();
    hkdf.expand(&info, &mut expanded).unwrap();
    expanded
}

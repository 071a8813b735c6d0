//! The key derivation and the MAC of SSL 3.0, which is older than HMAC (RFC 6101).

use crate::tls::ContentType;

use super::hash::{Hash, Wiped};

/// RFC 6101 §6.2.2: MD5 over the master secret and a SHA-1 that begins with `A`, with `BB`, with `CCC`…
pub(super) fn key_block(master: &[u8], randoms: &[u8], length: usize) -> Wiped {
    let mut output = Wiped::new(Vec::with_capacity(length + Hash::Md5.length()));
    for (letter, count) in (b'A'..=b'Z').zip(1..) {
        let salt = vec![letter; count];
        let inner = Hash::Sha1.digest(&[&salt, master, randoms]);
        output.extend_from_slice(&Hash::Md5.digest(&[master, &inner]));
        if output.len() >= length {
            break;
        }
    }
    output.truncate(length);
    output
}

/// RFC 6101 §5.2.3.1: two nested hashes with paddings.
pub(super) fn mac(
    hash: Hash,
    key: &[u8],
    sequence: u64,
    content_type: ContentType,
    content: &[u8],
) -> Wiped {
    let padding = if hash == Hash::Md5 { 48 } else { 40 };
    let length = (content.len() as u16).to_be_bytes();
    let inner = hash.digest(&[
        key,
        &vec![0x36; padding],
        &sequence.to_be_bytes(),
        &[content_type.0],
        &length,
        content,
    ]);
    hash.digest(&[key, &vec![0x5c; padding], &inner])
}

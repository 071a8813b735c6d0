//! Ciphers by name: each record is opened with a new cipher made from the key, so that no state outlives a record.

use aes::{Aes128, Aes256};
use aes_gcm::aead::consts::{U8, U12, U16};
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use cbc::cipher::{Array, BlockCipherDecrypt, BlockModeDecrypt as _, KeyIvInit as _};
use ccm::Ccm;
use chacha20poly1305::ChaCha20Poly1305;
use des::{Des, TdesEde3};

/// An authenticated cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aead {
    Aes128Gcm,
    Aes256Gcm,
    Aes128Ccm,
    Aes256Ccm,
    /// With a tag of 8 bytes.
    Aes128Ccm8,
    /// With a tag of 8 bytes.
    Aes256Ccm8,
    ChaCha20Poly1305,
}

/// Bytes of the nonce of every AEAD in TLS.
pub(super) const NONCE: usize = 12;

impl Aead {
    pub(super) const fn key_length(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes128Ccm | Self::Aes128Ccm8 => 16,
            Self::Aes256Gcm | Self::Aes256Ccm | Self::Aes256Ccm8 | Self::ChaCha20Poly1305 => 32,
        }
    }

    pub(super) const fn tag_length(self) -> usize {
        match self {
            Self::Aes128Ccm8 | Self::Aes256Ccm8 => 8,
            _ => 16,
        }
    }

    /// Decrypts in place what comes before the tag; `None` if the tag is wrong.
    pub(super) fn open<'r>(
        self,
        key: &[u8],
        nonce: &[u8; NONCE],
        additional: &[u8],
        sealed: &'r mut [u8],
    ) -> Option<&'r [u8]> {
        match self {
            Self::Aes128Gcm => open::<Aes128Gcm>(key, nonce, additional, sealed),
            Self::Aes256Gcm => open::<Aes256Gcm>(key, nonce, additional, sealed),
            Self::Aes128Ccm => open::<Ccm<Aes128, U16, U12>>(key, nonce, additional, sealed),
            Self::Aes256Ccm => open::<Ccm<Aes256, U16, U12>>(key, nonce, additional, sealed),
            Self::Aes128Ccm8 => open::<Ccm<Aes128, U8, U12>>(key, nonce, additional, sealed),
            Self::Aes256Ccm8 => open::<Ccm<Aes256, U8, U12>>(key, nonce, additional, sealed),
            Self::ChaCha20Poly1305 => open::<ChaCha20Poly1305>(key, nonce, additional, sealed),
        }
    }
}

fn open<'r, A: AeadInOut + KeyInit>(
    key: &[u8],
    nonce: &[u8; NONCE],
    additional: &[u8],
    sealed: &'r mut [u8],
) -> Option<&'r [u8]> {
    let cipher = A::new_from_slice(key).ok()?;
    let nonce = nonce.as_slice().try_into().ok()?;
    let tag_length = size_of::<aes_gcm::aead::Tag<A>>();
    let content_length = sealed.len().checked_sub(tag_length)?;
    let (content, tag) = sealed.split_at_mut_checked(content_length)?;
    let tag = (&*tag).try_into().ok()?;
    cipher
        .decrypt_inout_detached(nonce, additional, (&mut *content).into(), tag)
        .ok()?;
    Some(content)
}

/// A block cipher, in CBC mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockCipher {
    Aes128,
    Aes256,
    TripleDes,
    Des,
}

impl BlockCipher {
    pub(super) const fn key_length(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes256 => 32,
            Self::TripleDes => 24,
            Self::Des => 8,
        }
    }

    pub(super) const fn block_length(self) -> usize {
        match self {
            Self::Aes128 | Self::Aes256 => 16,
            Self::TripleDes | Self::Des => 8,
        }
    }

    /// Decrypts whole blocks in place; `None` if there are others.
    pub(super) fn decrypt(self, key: &[u8], iv: &[u8], blocks: &mut [u8]) -> Option<()> {
        match self {
            Self::Aes128 => decrypt::<Aes128>(key, iv, blocks),
            Self::Aes256 => decrypt::<Aes256>(key, iv, blocks),
            Self::TripleDes => decrypt::<TdesEde3>(key, iv, blocks),
            Self::Des => decrypt::<Des>(key, iv, blocks),
        }
    }
}

fn decrypt<C: BlockCipherDecrypt + KeyInit>(
    key: &[u8],
    iv: &[u8],
    blocks: &mut [u8],
) -> Option<()> {
    let mut cipher = cbc::Decryptor::<C>::new_from_slices(key, iv).ok()?;
    let (blocks, rest) = Array::slice_as_chunks_mut(blocks);
    if !rest.is_empty() {
        return None;
    }
    cipher.decrypt_blocks(blocks);
    Some(())
}

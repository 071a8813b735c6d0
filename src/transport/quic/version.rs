//! QUIC versions.

use std::fmt;

/// A version of QUIC, as its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuicVersion(pub u32);

/// The type of a packet with a long header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PacketType {
    Initial,
    ZeroRtt,
    Handshake,
    Retry,
}

impl QuicVersion {
    /// RFC 9000.
    pub const V1: Self = Self(1);
    /// RFC 9369.
    pub const V2: Self = Self(0x6b33_43cf);
    /// That of version 2 in its drafts, from draft-ietf-quic-v2-01 on, with a salt of its own.
    pub(crate) const V2_DRAFT: Self = Self(0x709a_50c4);
    /// Google's, with TLS: before the IETF's drafts.
    pub(crate) const T050: Self = Self(0x5430_3530);
    pub(crate) const T051: Self = Self(0x5430_3531);
    /// Facebook's, after drafts 22 and 27.
    pub(crate) const MVFST: Self = Self(0xface_b001);
    pub(crate) const MVFST_27: Self = Self(0xface_b002);
    /// Stands where a version would in a Version Negotiation packet.
    pub(crate) const NEGOTIATION: Self = Self(0);

    /// The number of the draft that it is, if it is one of the IETF's.
    pub(crate) const fn draft(self) -> Option<u32> {
        if self.0 >> 8 == 0x00ff_0000 {
            Some(self.0 & 0xff)
        } else {
            None
        }
    }

    /// Whether tlscope can open the Initial packets of this version: v1, v2 and its draft, the drafts from 22 on, and
    /// those that Google and Facebook made of these.
    #[must_use]
    pub const fn is_supported(self) -> bool {
        match self.draft() {
            Some(draft) => matches!(draft, FIRST_DRAFT..=LAST_DRAFT),
            None => matches!(
                self,
                Self::V1
                    | Self::V2
                    | Self::V2_DRAFT
                    | Self::T050
                    | Self::T051
                    | Self::MVFST
                    | Self::MVFST_27
            ),
        }
    }

    /// Whether this is one of the values that exercise version negotiation (RFC 9000 §15).
    pub(crate) const fn is_reserved(self) -> bool {
        self.0 & 0x0f0f_0f0f == 0x0a0a_0a0a
    }

    /// Whether packets of this version hold frames as they were before the IETF's drafts.
    pub(super) const fn has_google_frames(self) -> bool {
        matches!(self, Self::T050 | Self::T051)
    }

    /// What the type bits in the first byte of a long header mean. Version 2 rotates them (RFC 9369 §3.2).
    pub(super) const fn packet_type(self, first_byte: u8) -> PacketType {
        let bits = first_byte >> 4 & 3;
        let rotated = match self {
            Self::V2 | Self::V2_DRAFT => (bits + 3) & 3,
            _ => bits,
        };
        match rotated {
            0 => PacketType::Initial,
            1 => PacketType::ZeroRtt,
            2 => PacketType::Handshake,
            _ => PacketType::Retry,
        }
    }
}

/// The drafts whose packets look like those of RFC 9000. The public Internet used 27, 29 and later ones.
const FIRST_DRAFT: u32 = 22;
const LAST_DRAFT: u32 = 34;

impl fmt::Display for QuicVersion {
    /// As in `QUIC v1`, `QUIC draft-29`, `QUIC 0x1a2a3a4a`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (*self, self.draft()) {
            (Self::V1, _) => f.write_str("QUIC v1"),
            (Self::V2, _) => f.write_str("QUIC v2"),
            (Self::V2_DRAFT, _) => f.write_str("QUIC v2 (draft)"),
            (_, Some(draft)) => write!(f, "QUIC draft-{draft}"),
            _ => write!(f, "QUIC 0x{:08x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_names() {
        let name = |version| QuicVersion(version).to_string();
        assert_eq!(name(1), "QUIC v1");
        assert_eq!(name(0x6b33_43cf), "QUIC v2");
        assert_eq!(name(0x709a_50c4), "QUIC v2 (draft)");
        assert_eq!(name(0xff00_001d), "QUIC draft-29");
        assert_eq!(name(0x1a2a_3a4a), "QUIC 0x1a2a3a4a");
    }

    #[test]
    fn only_versions_whose_keys_are_known_are_supported() {
        let is_supported = |version| QuicVersion(version).is_supported();
        assert!(is_supported(1) && is_supported(0x6b33_43cf) && is_supported(0x709a_50c4));
        assert!(is_supported(0xff00_0016) && is_supported(0xff00_0022));
        assert!(!is_supported(0xff00_0015) && !is_supported(0xff00_0023));
        assert!(!is_supported(0) && !is_supported(2) && !is_supported(0x1a2a_3a4a));
        assert!(QuicVersion(0x1a2a_3a4a).is_reserved() && !QuicVersion::V1.is_reserved());
    }

    #[test]
    fn version_2_rotates_the_types() {
        let types =
            |version: QuicVersion| [0xc0, 0xd0, 0xe0, 0xf0].map(|first| version.packet_type(first));
        use PacketType::{Handshake, Initial, Retry, ZeroRtt};
        assert_eq!(types(QuicVersion::V1), [Initial, ZeroRtt, Handshake, Retry]);
        for version in [QuicVersion::V2, QuicVersion::V2_DRAFT] {
            assert_eq!(types(version), [Retry, Initial, ZeroRtt, Handshake]);
        }
    }
}

//! What a version number implies.

use super::ProtocolVersion;

impl ProtocolVersion {
    /// Whether handshakes of this version have the shape of TLS 1.3: the final one, or a draft of it.
    #[must_use]
    pub const fn is_tls13(self) -> bool {
        self.0 == Self::TLSv1_3.0 || self.draft().is_some()
    }

    /// The number of a draft of TLS 1.3: `0x7f1c` is draft 28; `0xfb1a` Facebook's variant of draft 26.
    #[must_use]
    pub const fn draft(self) -> Option<u8> {
        let [high, low] = self.0.to_be_bytes();
        if (high == 0x7f || high == 0xfb) && low <= 28 { Some(low) } else { None }
    }

    /// Whether this is a draft whose ServerHello tells the version in its first field: up to 21.
    #[must_use]
    pub(super) const fn is_early_draft(self) -> bool {
        matches!(self.draft(), Some(draft) if draft <= 21)
    }
}

impl Default for ProtocolVersion {
    /// A version number that no protocol has, for hellos yet to be read.
    fn default() -> Self {
        Self(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drafts_count_as_tls_1_3() {
        assert!(ProtocolVersion::TLSv1_3.is_tls13());
        assert_eq!(ProtocolVersion(0x7f1c).draft(), Some(28));
        assert!(ProtocolVersion(0xfb1a).is_tls13());
        assert!(ProtocolVersion(0x7f12).is_early_draft());
        assert!(!ProtocolVersion(0x7f17).is_early_draft());
        assert!(!ProtocolVersion::TLSv1_2.is_tls13());
    }
}

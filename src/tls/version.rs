//! What a version number means.

use std::fmt;

use super::ProtocolVersion;

impl ProtocolVersion {
    /// The protocol: `ssl`, `tls` or `dtls`. Unknown numbers count as TLS.
    #[must_use]
    pub const fn protocol_name(self) -> &'static str {
        match self {
            Self::SSLv2 | Self::SSLv3 => "ssl",
            _ if self.is_dtls() => "dtls",
            _ => "tls",
        }
    }

    /// The version of the protocol, as in `1.3`; `None` for a number without a name, drafts included.
    #[must_use]
    pub const fn protocol_version(self) -> Option<&'static str> {
        Some(match self {
            Self::SSLv2 => "2.0",
            Self::SSLv3 => "3.0",
            Self::TLSv1_0 | Self::DTLSv1_0 => "1.0",
            Self::TLSv1_1 => "1.1",
            Self::TLSv1_2 | Self::DTLSv1_2 => "1.2",
            Self::TLSv1_3 | Self::DTLSv1_3 => "1.3",
            _ => return None,
        })
    }

    /// Whether handshakes of this version have the shape of TLS 1.3: the final one, a draft of it, or DTLS 1.3.
    #[must_use]
    #[inline]
    pub const fn is_tls13(self) -> bool {
        // Asked for each record: nearly all have one of the versions that these two tests tell.
        self.0 == Self::TLSv1_3.0
            || !self.is_final_tls()
                && (self.as_tls().0 == Self::TLSv1_3.0 || self.draft().is_some())
    }

    /// Whether this is SSL 3.0 or a final version of TLS.
    const fn is_final_tls(self) -> bool {
        self.0 >= Self::SSLv3.0 && self.0 <= Self::TLSv1_3.0
    }

    /// Whether this is a version of DTLS: a registered one, or the number that it had in OpenSSL before 0.9.8f, which Cisco
    /// AnyConnect still uses.
    #[must_use]
    #[inline]
    pub const fn is_dtls(self) -> bool {
        !self.is_final_tls()
            && (matches!(
                self,
                Self::DTLSv1_0 | Self::DTLSv1_2 | Self::DTLSv1_3 | PRE_STANDARD_DTLS
            ) || self.dtls_draft().is_some())
    }

    /// The version of TLS that a version of DTLS is based on: its messages have the same form, and its number says which is
    /// newer. Others stay as they are.
    #[must_use]
    pub const fn as_tls(self) -> Self {
        match self {
            Self::DTLSv1_0 | PRE_STANDARD_DTLS => Self::TLSv1_1,
            Self::DTLSv1_2 => Self::TLSv1_2,
            Self::DTLSv1_3 => Self::TLSv1_3,
            draft if draft.dtls_draft().is_some() => Self::TLSv1_3,
            other => other,
        }
    }

    /// Whether a hello may have this version: SSL 3.0 to TLS 1.3, a draft, or one of DTLS.
    #[must_use]
    pub const fn is_plausible(self) -> bool {
        self.is_final_tls() || self.draft().is_some() || self.is_dtls()
    }

    /// The number of a draft of TLS 1.3: `0x7f1c` is draft 28; `0xfb1a` Facebook's variant of draft 26.
    #[must_use]
    pub const fn draft(self) -> Option<u8> {
        let [high, low] = self.0.to_be_bytes();
        if (high == 0x7f || high == 0xfb) && low <= 28 {
            Some(low)
        } else {
            None
        }
    }

    /// The number of a draft of DTLS 1.3: NSS spoke 38 and 43 for years. Lower numbers are drafts of TLS 1.3.
    #[must_use]
    pub const fn dtls_draft(self) -> Option<u8> {
        match self.0.to_be_bytes() {
            [0x7f, draft @ 29..=43] => Some(draft),
            _ => None,
        }
    }

    /// Whether it has a name: a registered one, or that of a draft of TLS 1.3.
    #[must_use]
    pub const fn is_named(self) -> bool {
        self.name().is_some() || self.draft().is_some()
    }

    /// Whether this is a draft whose ServerHello has the version in its first field: up to 21.
    #[must_use]
    pub(super) const fn is_early_draft(self) -> bool {
        matches!(self.draft(), Some(draft) if draft <= 21)
    }
}

/// DTLS before it was standardised.
const PRE_STANDARD_DTLS: ProtocolVersion = ProtocolVersion(0x0100);

impl Default for ProtocolVersion {
    /// A number that no protocol has, for hellos before they are read.
    fn default() -> Self {
        Self(0)
    }
}

/// The registered name, that of a draft, as in `TLS 1.3 draft 28`, or the number as in `0x7f7f`.
impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self.draft()) {
            (Some(name), _) => f.pad(name),
            (None, Some(draft)) if self.0 >> 8 == 0xfb => {
                f.pad(&format!("TLS 1.3 draft {draft} (Facebook)"))
            }
            (None, Some(draft)) => f.pad(&format!("TLS 1.3 draft {draft}")),
            (None, None) => match self.dtls_draft() {
                Some(draft) => f.pad(&format!("DTLS 1.3 draft {draft}")),
                None => f.pad(&format!("{:#06x}", self.0)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_consists_of_protocol_and_version() {
        for version in (0..=u16::MAX).map(ProtocolVersion) {
            let number = version.protocol_version();
            let protocol = version.protocol_name().to_ascii_uppercase();
            let name = number.map(|number| format!("{protocol} {number}"));
            assert_eq!(name.as_deref(), version.name());
        }
        assert_eq!(ProtocolVersion(0x7f1c).protocol_name(), "tls");
    }

    #[test]
    fn versions_of_dtls_rank_as_those_they_are_based_on() {
        let numbers = [0x0100, 0xfeff, 0xfefd, 0xfefc, 0x7f2b];
        let based_on = numbers.map(|number| ProtocolVersion(number).as_tls().0);
        assert_eq!(based_on, [0x0302, 0x0302, 0x0303, 0x0304, 0x0304]);
        assert!(
            numbers
                .iter()
                .all(|number| ProtocolVersion(*number).is_dtls())
        );
        assert!(ProtocolVersion::DTLSv1_3.is_tls13() && !ProtocolVersion::DTLSv1_2.is_tls13());
        assert!(!ProtocolVersion::TLSv1_2.is_dtls() && !ProtocolVersion(0xfefe).is_dtls());
        assert_eq!(ProtocolVersion(0xfefe).as_tls().0, 0xfefe);
        assert_eq!(ProtocolVersion(0x7f2b).to_string(), "DTLS 1.3 draft 43");
    }

    #[test]
    fn drafts_count_as_tls_1_3() {
        assert!(ProtocolVersion::TLSv1_3.is_tls13());
        assert_eq!(ProtocolVersion(0x7f1c).draft(), Some(28));
        assert!(ProtocolVersion(0xfb1a).is_tls13());
        assert_eq!(ProtocolVersion(0x7f10).to_string(), "TLS 1.3 draft 16");
        assert_eq!(ProtocolVersion(0x7f7f).to_string(), "0x7f7f");
        assert_eq!(ProtocolVersion::TLSv1_2.to_string(), "TLS 1.2");
        assert!(ProtocolVersion(0x7f12).is_early_draft());
        assert!(!ProtocolVersion(0x7f17).is_early_draft());
        assert!(!ProtocolVersion::TLSv1_2.is_tls13());
    }
}

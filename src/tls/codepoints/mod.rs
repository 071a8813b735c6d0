//! The code points of the IANA TLS registries as of November 2026, by their registered names.

/// Declares a protocol value: the number on the wire, with names for the registered values.
macro_rules! codepoint {
    (
        $(#[$doc:meta])*
        pub struct $type:ident($repr:ty) {
            $($(#[$vdoc:meta])* $name:ident = $value:literal $text:expr,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub $repr);

        #[allow(missing_docs, non_upper_case_globals)]
        #[deny(unreachable_patterns)] // two names for one number do not compile
        impl $type {
            $($(#[$vdoc])* pub const $name: Self = Self($value);)*

            /// The registered name; `None` for an unregistered value.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }
        }

        codepoint! { @display $type($repr) }

        impl $crate::tls::CodePoint for $type {
            #[inline]
            fn code(self) -> u16 {
                self.0.into()
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({self})", stringify!($type))
            }
        }
    };
    // Versions have names that are not registered: see `tls::version`.
    (@display ProtocolVersion($repr:ty)) => {};
    (@display $type:ident($repr:ty)) => {
        /// The registered name, or the number as in `0x1a2b`.
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => f.pad(&format!("{:#0width$x}", self.0, width = 2 + 2 * size_of::<$repr>())),
                }
            }
        }
    };
}

/// A value of a TLS registry.
pub(crate) trait CodePoint: Copy {
    /// The number on the wire.
    fn code(self) -> u16;
}

mod alert;
mod cipher_suite;
mod extension_type;
mod named_group;
mod signature_scheme;

pub use alert::AlertDescription;
pub use cipher_suite::{CipherSuite, KeyExchange};
pub use extension_type::ExtensionType;
pub use named_group::NamedGroup;
pub use signature_scheme::SignatureScheme;

codepoint! {
    /// What a record carries. RFC 8446 §5.1; IANA "TLS ContentType".
    pub struct ContentType(u8) {
        ChangeCipherSpec = 20 "change_cipher_spec",
        Alert = 21 "alert",
        Handshake = 22 "handshake",
        ApplicationData = 23 "application_data",
        Heartbeat = 24 "heartbeat",
        Tls12Cid = 25 "tls12_cid",
        Ack = 26 "ACK",
    }
}

codepoint! {
    /// A protocol version. RFC 8446 §4.2.1.
    pub struct ProtocolVersion(u16) {
        SSLv2 = 0x0002 "SSL 2.0",
        SSLv3 = 0x0300 "SSL 3.0",
        TLSv1_0 = 0x0301 "TLS 1.0",
        TLSv1_1 = 0x0302 "TLS 1.1",
        TLSv1_2 = 0x0303 "TLS 1.2",
        TLSv1_3 = 0x0304 "TLS 1.3",
        DTLSv1_0 = 0xfeff "DTLS 1.0",
        DTLSv1_2 = 0xfefd "DTLS 1.2",
        DTLSv1_3 = 0xfefc "DTLS 1.3",
    }
}

codepoint! {
    /// A handshake message's type. RFC 8446 §4; IANA "TLS HandshakeType", and NPN's `next_protocol`.
    pub struct HandshakeType(u8) {
        HelloRequest = 0 "hello_request",
        ClientHello = 1 "client_hello",
        ServerHello = 2 "server_hello",
        HelloVerifyRequest = 3 "hello_verify_request",
        NewSessionTicket = 4 "new_session_ticket",
        EndOfEarlyData = 5 "end_of_early_data",
        HelloRetryRequest = 6 "hello_retry_request",
        EncryptedExtensions = 8 "encrypted_extensions",
        RequestConnectionId = 9 "request_connection_id",
        NewConnectionId = 10 "new_connection_id",
        Certificate = 11 "certificate",
        ServerKeyExchange = 12 "server_key_exchange",
        CertificateRequest = 13 "certificate_request",
        ServerHelloDone = 14 "server_hello_done",
        CertificateVerify = 15 "certificate_verify",
        ClientKeyExchange = 16 "client_key_exchange",
        ClientCertificateRequest = 17 "client_certificate_request",
        Finished = 20 "finished",
        CertificateUrl = 21 "certificate_url",
        CertificateStatus = 22 "certificate_status",
        SupplementalData = 23 "supplemental_data",
        KeyUpdate = 24 "key_update",
        CompressedCertificate = 25 "compressed_certificate",
        EktKey = 26 "ekt_key",
        NextProtocol = 67 "next_protocol",
        MessageHash = 254 "message_hash",
    }
}

impl HandshakeType {
    /// The name of the message as the RFCs write it, as in `ClientHello`; the number of an unregistered type.
    #[must_use]
    pub fn message_name(self) -> String {
        let Some(name) = self.name() else {
            return format!("message of type {}", self.0);
        };
        let capitalised = |word: &str| {
            let (first, rest) = word.split_at(1); // registered names are ASCII, without empty words
            first.to_ascii_uppercase() + rest
        };
        name.split('_').map(capitalised).collect()
    }
}

codepoint! {
    /// The severity of an alert. RFC 5246 §7.2; TLS 1.3 receivers ignore it.
    pub struct AlertLevel(u8) {
        Warning = 1 "warning",
        Fatal = 2 "fatal",
    }
}

/// Whether a 16-bit value is one of the sixteen reserved by GREASE (RFC 8701 §2), as in `0x1a1a`.
#[must_use]
pub const fn is_grease(value: u16) -> bool {
    // Without a branch, so that the compiler can look at several values of a list together.
    (value & 0x0f0f == 0x0a0a) & (value >> 8 == value & 0xff)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn values_have_the_names_of_their_rfc() {
        let cases = [
            (CipherSuite(0x0004).name(), "TLS_RSA_WITH_RC4_128_MD5"), // RFC 5246
            (CipherSuite(0x001e).name(), "TLS_KRB5_WITH_DES_CBC_SHA"), // RFC 2712, not Fortezza
            (CipherSuite(0x00c6).name(), "TLS_SM4_GCM_SM3"),          // RFC 8998
            (
                CipherSuite(0x00ff).name(),
                "TLS_EMPTY_RENEGOTIATION_INFO_SCSV", // RFC 5746
            ),
            (CipherSuite(0x1305).name(), "TLS_AES_128_CCM_8_SHA256"), // RFC 8446
            (CipherSuite(0x5600).name(), "TLS_FALLBACK_SCSV"),        // RFC 7507
            (
                CipherSuite(0xc02f).name(),
                "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", // RFC 5289
            ),
            (
                CipherSuite(0xc0b0).name(),
                "TLS_ECCPWD_WITH_AES_128_GCM_SHA256", // RFC 8492
            ),
            (
                CipherSuite(0xcca8).name(),
                "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", // RFC 7905
            ),
            (
                CipherSuite(0xd005).name(),
                "TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256", // RFC 8442
            ),
            (AlertDescription(48).name(), "unknown_ca"), // RFC 8446
            (AlertDescription(100).name(), "no_renegotiation"), // RFC 5246
            (AlertDescription(120).name(), "no_application_protocol"), // RFC 7301
            (NamedGroup(0x0017).name(), "secp256r1"),    // RFC 8422
            (NamedGroup(0x0029).name(), "curveSM2"),     // RFC 8998
            (NamedGroup(0x0104).name(), "ffdhe8192"),    // RFC 7919
            (NamedGroup(0x11ec).name(), "X25519MLKEM768"),
            (
                NamedGroup(0xff02).name(),
                "arbitrary_explicit_char2_curves", // RFC 8422
            ),
            (SignatureScheme(0x070f).name(), "gostr34102012_512c"), // RFC 9367
            (SignatureScheme(0x080b).name(), "rsa_pss_pss_sha512"), // RFC 8446
            (
                SignatureScheme(0x081c).name(),
                "ecdsa_brainpoolP512r1tls13_sha512", // RFC 8734
            ),
            (SignatureScheme(0x0906).name(), "mldsa87"),
            (
                ExtensionType(16).name(),
                "application_layer_protocol_negotiation",
            ), // RFC 7301
            (ExtensionType(57).name(), "quic_transport_parameters"), // RFC 9001
            (ExtensionType(0xfe0d).name(), "encrypted_client_hello"),
            (ExtensionType(0xff01).name(), "renegotiation_info"), // RFC 5746
        ];
        for (name, expected) in cases {
            assert_eq!(name, Some(expected));
        }
    }

    #[test]
    fn the_tables_are_complete_and_no_two_values_share_a_name() {
        let count = |name: fn(u16) -> Option<&'static str>| {
            let names: Vec<_> = (0..=u16::MAX).filter_map(name).collect();
            assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
            names.len()
        };
        assert_eq!(count(|value| CipherSuite(value).name()), 413);
        assert_eq!(count(|value| NamedGroup(value).name()), 58);
        assert_eq!(count(|value| SignatureScheme(value).name()), 59);
        assert_eq!(count(|value| ExtensionType(value).name()), 73);
    }

    #[test]
    fn an_unknown_value_prints_as_its_number() {
        assert_eq!(CipherSuite(0x1a1a).to_string(), "0x1a1a");
        assert_eq!(NamedGroup(0x00fe).to_string(), "0x00fe");
        assert_eq!(AlertDescription(9).to_string(), "0x09");
        assert_eq!(format!("{:?}", ContentType(0xfa)), "ContentType(0xfa)");
        assert_eq!(format!("[{:8}]", CipherSuite(0x1a1a)), "[0x1a1a  ]");
    }

    #[test]
    fn sixteen_values_are_grease_and_none_has_a_name() {
        let grease: Vec<u16> = (0..=u16::MAX).filter(|&value| is_grease(value)).collect();
        let expected: Vec<u16> = (0..16).map(|nibble| 0x0a0a + nibble * 0x1010).collect();
        assert_eq!(grease, expected);
        for value in grease {
            assert_eq!(CipherSuite(value).name(), None);
            assert_eq!(NamedGroup(value).name(), None);
            assert_eq!(SignatureScheme(value).name(), None);
            assert_eq!(ExtensionType(value).name(), None);
        }
    }
}

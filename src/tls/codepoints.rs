//! The code points of the IANA TLS registries, by their registered names.

/// Declares a protocol value: the number on the wire, with names for the values that are registered.
macro_rules! codepoint {
    (
        $(#[$doc:meta])*
        pub struct $type:ident($repr:ty) {
            $($(#[$vdoc:meta])* $name:ident = $value:literal $text:literal,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub $repr);

        #[allow(missing_docs, non_upper_case_globals)]
        impl $type {
            $($(#[$vdoc])* pub const $name: Self = Self($value);)*

            /// The registered name; `None` for a value that has none.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }
        }

        /// The registered name, or the number as in `0x1a2b`.
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => write!(f, "{:#0width$x}", self.0, width = 2 + 2 * size_of::<$repr>()),
                }
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({self})", stringify!($type))
            }
        }
    };
}

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
    /// A handshake message's type. RFC 8446 §4; IANA "TLS HandshakeType".
    pub struct HandshakeType(u8) {
        HelloRequest = 0 "hello_request",
        ClientHello = 1 "client_hello",
        ServerHello = 2 "server_hello",
        HelloVerifyRequest = 3 "hello_verify_request",
        NewSessionTicket = 4 "new_session_ticket",
        EndOfEarlyData = 5 "end_of_early_data",
        HelloRetryRequest = 6 "hello_retry_request",
        EncryptedExtensions = 8 "encrypted_extensions",
        Certificate = 11 "certificate",
        ServerKeyExchange = 12 "server_key_exchange",
        CertificateRequest = 13 "certificate_request",
        ServerHelloDone = 14 "server_hello_done",
        CertificateVerify = 15 "certificate_verify",
        ClientKeyExchange = 16 "client_key_exchange",
        Finished = 20 "finished",
        CertificateUrl = 21 "certificate_url",
        CertificateStatus = 22 "certificate_status",
        SupplementalData = 23 "supplemental_data",
        KeyUpdate = 24 "key_update",
        CompressedCertificate = 25 "compressed_certificate",
        MessageHash = 254 "message_hash",
    }
}

codepoint! {
    /// How bad an alert is. RFC 5246 §7.2; TLS 1.3 receivers ignore it.
    pub struct AlertLevel(u8) {
        Warning = 1 "warning",
        Fatal = 2 "fatal",
    }
}

codepoint! {
    /// What an alert says. RFC 8446 §6; IANA "TLS Alerts".
    pub struct AlertDescription(u8) {
        CloseNotify = 0 "close_notify",
    }
}

codepoint! {
    /// A cipher suite. IANA "TLS Cipher Suites".
    pub struct CipherSuite(u16) {
        TLS_AES_128_GCM_SHA256 = 0x1301 "TLS_AES_128_GCM_SHA256",
        TLS_AES_256_GCM_SHA384 = 0x1302 "TLS_AES_256_GCM_SHA384",
        TLS_CHACHA20_POLY1305_SHA256 = 0x1303 "TLS_CHACHA20_POLY1305_SHA256",
    }
}

codepoint! {
    /// A group for key exchange. RFC 8446 §4.2.7; IANA "TLS Supported Groups".
    pub struct NamedGroup(u16) {
        X25519 = 0x001d "x25519",
    }
}

codepoint! {
    /// A signature scheme. RFC 8446 §4.2.3; IANA "TLS SignatureScheme".
    pub struct SignatureScheme(u16) {
        Ed25519 = 0x0807 "ed25519",
    }
}

codepoint! {
    /// An extension's type. RFC 8446 §4.2; IANA "TLS ExtensionType Values".
    pub struct ExtensionType(u16) {
        ServerName = 0 "server_name",
    }
}

/// Whether a 16-bit value is one of the sixteen reserved by GREASE (RFC 8701 §2), as in `0x1a1a`.
#[must_use]
pub const fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

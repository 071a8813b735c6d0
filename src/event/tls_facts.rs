//! What was offered and negotiated.

use std::sync::Arc;

use crate::certificate::OcspStaple;
use crate::tls::{CipherSuite, KeyExchange, NamedGroup, ProtocolVersion, SignatureScheme};

/// What was offered and selected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsFacts {
    /// The version that the server selected (`supported_versions` where present, else its legacy version).
    pub version: Option<ProtocolVersion>,
    /// The cipher suite that the server selected.
    pub cipher_suite: Option<CipherSuite>,
    /// The name in the ClientHello's `server_name` extension (the outer one under ECH).
    pub server_name: Option<Arc<str>>,
    /// The application protocols that the client offers; `None` without the extension or the ClientHello.
    pub alpn_offered: Option<Vec<String>>,
    /// The application protocol that the server selected in the clear.
    pub alpn: Option<Arc<str>>,
    /// The group of the key exchange: the server's key share, or up to TLS 1.2 the ServerKeyExchange's curve.
    pub group: Option<NamedGroup>,
    /// The versions that the client offers, GREASE included; up to TLS 1.2 its legacy version alone. `None`, as for all that
    /// is offered, if that part of the hello was not captured.
    pub offered_versions: Option<Arc<[ProtocolVersion]>>,
    /// The cipher suites that the client offers, GREASE included.
    pub offered_cipher_suites: Option<Arc<[CipherSuite]>>,
    /// The cipher specs of an SSLv2 CLIENT-HELLO, 24 bits each; `None` in a ClientHello of TLS.
    pub sslv2_cipher_specs: Option<Vec<u32>>,
    /// The groups that the client offers, GREASE included.
    pub offered_groups: Option<Arc<[NamedGroup]>>,
    /// The groups of the key shares in the ClientHello, GREASE included.
    pub key_share_groups: Option<Arc<[NamedGroup]>>,
    /// The signature schemes that the client offers, GREASE included.
    pub signature_algorithms: Option<Arc<[SignatureScheme]>>,
    /// Whether an earlier session was resumed.
    pub resumed: Option<bool>,
    /// By what it was resumed.
    pub resumption: Option<Resumption>,
    /// What became of 0-RTT data; `None` if not offered.
    pub early_data: Option<EarlyData>,
    /// Whether the server asked for another ClientHello; `None` if no answer was seen.
    pub hello_retry_request: Option<bool>,
    /// Whether the client offered Encrypted Client Hello (a GREASE offer looks the same); `None` if its end was not seen.
    pub ech_offered: Option<bool>,
    /// What is known about the client's certificate.
    pub client_certificate: ClientCertificate,
    /// The distinguished names in the CertificateRequest, RFC 4514 form; `None` if none was seen in the clear.
    pub certificate_authorities: Option<Vec<String>>,
    /// Whether the server stapled an OCSP response in the clear.
    pub ocsp_stapled: bool,
    /// What that response says, where it can be read.
    pub ocsp_staple: Option<Box<OcspStaple>>,
    /// How many signed certificate timestamps the server sent in a ServerHello extension.
    pub signed_certificate_timestamps: usize,
    /// Whether the handshake completed and the connection closed before any application data.
    pub unused: Option<bool>,
    /// The handshakes that followed inside the connection, up to TLS 1.2; `None` if none was seen.
    pub renegotiation: Option<Renegotiation>,
    /// The order of messages, one letter each, upper case from the client; the documentation of
    /// the module `handshake` lists them.
    pub history: Arc<str>,
}

text_enum! {
    /// How the session keys were agreed on, as an inventory for the post-quantum migration counts it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum KeyExchangeClass {
        /// A classical key exchange joined with one that withstands quantum computers.
        PqHybrid = "pq_hybrid",
        /// One that withstands quantum computers alone.
        Pq = "pq",
        /// Diffie-Hellman, on elliptic curves or not.
        Classical = "classical",
        /// The client encrypted the secret with the server's RSA key: no forward secrecy.
        Rsa = "rsa",
        /// A pre-shared key alone: no forward secrecy.
        Psk = "psk",
        /// The capture does not tell; also sessions resumed up to TLS 1.2, which use the keys of an earlier handshake.
        Unknown = "unknown",
    }
}

impl TlsFacts {
    /// How the session keys were agreed on, by the group or else by the cipher suite.
    #[must_use]
    pub fn key_exchange(&self) -> KeyExchangeClass {
        if let Some(group) = self.group {
            return match group {
                group if group.is_post_quantum_hybrid() => KeyExchangeClass::PqHybrid,
                group if group.is_post_quantum() => KeyExchangeClass::Pq,
                _ => KeyExchangeClass::Classical,
            };
        }
        if self.resumed == Some(true) {
            return match self.resumption {
                Some(Resumption::Psk) => KeyExchangeClass::Psk,
                _ => KeyExchangeClass::Unknown,
            };
        }
        match self.cipher_suite.and_then(CipherSuite::key_exchange) {
            Some(KeyExchange::Rsa | KeyExchange::RsaPsk) => KeyExchangeClass::Rsa,
            Some(KeyExchange::Psk) => KeyExchangeClass::Psk,
            Some(KeyExchange::Cecpq1) => KeyExchangeClass::PqHybrid,
            // In TLS 1.3 the group decides, and it is not known.
            Some(KeyExchange::Tls13 | KeyExchange::Krb5) | None => KeyExchangeClass::Unknown,
            Some(_) => KeyExchangeClass::Classical,
        }
    }
}

/// Handshakes inside an established connection, up to TLS 1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renegotiation {
    /// How many began.
    pub count: u32,
    /// How the last one ended.
    pub ended: RenegotiationEnd,
}

text_enum! {
    /// How a renegotiation ended.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum RenegotiationEnd {
        /// Both sides sent their Finished.
        Completed = "completed",
        /// One side gave up: it sent an alert, or closed the connection.
        Failed = "failed",
        /// It was not taken up, or its end is not in view.
        Open = "open",
    }
}

text_enum! {
    /// By what an earlier session was resumed.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Resumption {
        /// A session identifier (RFC 5246 §7.3).
        SessionId = "session_id",
        /// A session ticket (RFC 5077).
        Ticket = "ticket",
        /// A pre-shared key (RFC 8446 §2.2).
        Psk = "psk",
    }
}

text_enum! {
    /// What became of 0-RTT data (RFC 8446 §2.3).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum EarlyData {
        /// The client offered it; the answer is not visible.
        Offered = "offered",
        /// The server took it.
        Accepted = "accepted",
        /// The server refused it.
        Rejected = "rejected",
    }
}

text_enum! {
    /// What is known about the client's certificate.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub enum ClientCertificate {
        /// The server did not ask.
        NotRequested = "not_requested",
        /// The server asked, and no answer was seen.
        Requested = "requested",
        /// The server asked, and the client had none.
        Absent = "absent",
        /// The client sent a certificate.
        Presented = "presented",
        /// The capture does not tell.
        #[default]
        Unknown = "unknown",
    }
}

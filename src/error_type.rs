//! The classes of errors: a closed set, shared by verdicts, certificate findings and metric labels.

text_enum! {
    /// The class of an error: closed, documented and of low cardinality, for metric labels.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    pub enum ErrorType {
        /// A certificate was past its `notAfter`.
        CertExpired = "cert_expired",
        /// The issuer of a certificate is not known to the side that judged it.
        UnknownCa = "unknown_ca",
        /// Our own chain validation against a trust store failed.
        UntrustedCa = "untrusted_ca",
        /// A certificate was refused as corrupt or wrongly signed.
        BadCertificate = "bad_certificate",
        /// The server required a client certificate and got none.
        MissingClientCert = "missing_client_cert",
        /// No protocol version in common.
        ProtocolMismatch = "protocol_mismatch",
        /// No cipher suite, group or signature scheme in common: what the client offers, or other handshakes with the
        /// server, explain a refusal.
        CipherMismatch = "cipher_mismatch",
        /// The certificate is not valid for the server name.
        HostnameMismatch = "hostname_mismatch",
        /// None of the other classes fits.
        Other = "other",
        /// A certificate was not valid yet.
        CertNotYetValid = "cert_not_yet_valid",
        /// A certificate was revoked.
        CertRevoked = "cert_revoked",
        /// The leaf certificate is signed by its own key.
        SelfSigned = "self_signed",
        /// A certificate of a type that the peer does not support.
        UnsupportedCertificate = "unsupported_certificate",
        /// A certificate was refused for a reason that the alert does not state.
        CertificateUnknown = "certificate_unknown",
        /// A certificate is soon to expire.
        NearExpiry = "near_expiry",
        /// A certificate's key is too short.
        WeakKey = "weak_key",
        /// A certificate is signed with a broken algorithm.
        WeakSignature = "weak_signature",
        /// An issuer is missing in the chain shown.
        IncompleteChain = "incomplete_chain",
        /// A side found no acceptable set of parameters, and the hellos do not show which was missing.
        HandshakeFailure = "handshake_failure",
        /// No application protocol in common (ALPN).
        NoApplicationProtocol = "no_application_protocol",
        /// The server does not serve the name asked for.
        UnrecognizedName = "unrecognized_name",
        /// The server does not know the identity of the pre-shared key that the client offers.
        UnknownPskIdentity = "unknown_psk_identity",
        /// The server saw a needless fallback to an older version.
        InappropriateFallback = "inappropriate_fallback",
        /// A side requires stronger parameters than its peer offers or selects.
        InsufficientSecurity = "insufficient_security",
        /// A hello lacks an extension that its receiver requires.
        MissingExtension = "missing_extension",
        /// A side refused to renegotiate.
        NoRenegotiation = "no_renegotiation",
        /// A record could not be authenticated: the peers have different keys.
        BadRecordMac = "bad_record_mac",
        /// A signature or Finished did not verify.
        DecryptError = "decrypt_error",
        /// A message could not be decoded.
        DecodeError = "decode_error",
        /// A field was out of range or inconsistent.
        IllegalParameter = "illegal_parameter",
        /// A message came at the wrong time.
        UnexpectedMessage = "unexpected_message",
        /// A valid certificate was refused by policy.
        AccessDenied = "access_denied",
        /// The user canceled the handshake.
        UserCanceled = "user_canceled",
        /// A failure that has nothing to do with the peer.
        InternalError = "internal_error",
        /// The server required Encrypted Client Hello.
        EchRequired = "ech_required",
        /// The client refused the server's certificate; inferred, no code visible.
        ClientRejectedServer = "client_rejected_server",
        /// The server refused the client or its certificate; inferred, no code visible.
        ServerRejectedClient = "server_rejected_client",
        /// The ClientHello was not answered.
        NoServerHello = "no_server_hello",
        /// The handshake stopped without an end.
        HandshakeTimeout = "handshake_timeout",
        /// The connection was reset during the handshake.
        ConnectionReset = "connection_reset",
        /// The server refused the connection without a look at the handshake: over QUIC by CONNECTION_REFUSED, over UDP by a port that is
        /// unreachable.
        ConnectionRefused = "connection_refused",
        /// The connection was closed during the handshake.
        ConnectionClosed = "connection_closed",
        /// Data were sent repeatedly and never acknowledged: a hole in the network.
        NotDelivered = "not_delivered",
        /// The client asked for TLS in plain text and the server refused; the client began TLS all the same.
        StartTlsRefused = "starttls_refused",
        /// The answer to a ClientHello was not TLS.
        NotTls = "not_tls",
    }
}

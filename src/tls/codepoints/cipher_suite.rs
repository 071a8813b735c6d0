//! The TLS Cipher Suites registry, and how each suite exchanges keys.

/// Declares [`CipherSuite`]: name, number and key exchange of each suite; suites that only signal something have none.
macro_rules! cipher_suites {
    (
        $(#[$doc:meta])*
        pub struct CipherSuite(u16) {
            $($name:ident = $value:literal $($key_exchange:ident)?,)*
        }
    ) => {
        codepoint! {
            $(#[$doc])*
            pub struct CipherSuite(u16) {
                $($name = $value stringify!($name),)*
            }
        }

        impl CipherSuite {
            /// How the suite exchanges keys; `None` for a suite that is unknown or only signals something.
            #[must_use]
            pub const fn key_exchange(self) -> Option<KeyExchange> {
                Some(match self.0 {
                    $($($value => KeyExchange::$key_exchange,)?)*
                    _ => return None,
                })
            }
        }
    };
}

/// How a cipher suite exchanges keys and authenticates the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyExchange {
    /// Of the client's choice, encrypted with the server's RSA key: no forward secrecy.
    Rsa,
    /// Diffie-Hellman with the key in the server's certificate.
    Dh,
    /// Ephemeral Diffie-Hellman, signed by the server.
    Dhe,
    /// Diffie-Hellman without authentication.
    DhAnon,
    /// Diffie-Hellman on elliptic curves with the key in the server's certificate.
    Ecdh,
    /// Ephemeral Diffie-Hellman on elliptic curves, signed by the server.
    Ecdhe,
    /// Diffie-Hellman on elliptic curves without authentication.
    EcdhAnon,
    /// A pre-shared key only (RFC 4279).
    Psk,
    /// [`KeyExchange::Dhe`] authenticated by a pre-shared key.
    DhePsk,
    /// [`KeyExchange::Ecdhe`] authenticated by a pre-shared key (RFC 5489).
    EcdhePsk,
    /// [`KeyExchange::Rsa`] and a pre-shared key.
    RsaPsk,
    /// Kerberos tickets (RFC 2712).
    Krb5,
    /// The password protocol SRP (RFC 5054).
    Srp,
    /// SRP, and the server signs (RFC 5054).
    SrpCertificate,
    /// The password protocol TLS-PWD (RFC 8492).
    Eccpwd,
    /// The password protocol J-PAKE on elliptic curves, as in Thread.
    Ecjpake,
    /// GOST key agreement or transport (RFC 9189).
    Gost,
    /// CECPQ1, which Chrome tried in 2016.
    Cecpq1,
    /// The Key Exchange Algorithm of Fortezza (SSL 3.0).
    Kea,
    /// Encrypted with the server's SM2 key (GB/T 38636).
    Sm2,
    /// Encrypted with the server's identity (GB/T 38636).
    Ibc,
    /// Diffie-Hellman authenticated by identities (GB/T 38636).
    Ibsdh,
    /// Not part of the suite: TLS 1.3 negotiates it separately.
    Tls13,
}

impl KeyExchange {
    /// Whether no Diffie-Hellman group takes part: keys are encrypted or shared before.
    #[must_use]
    pub const fn is_without_group(self) -> bool {
        matches!(self, Self::Rsa | Self::Psk | Self::RsaPsk | Self::Krb5)
    }

    /// Whether the server has no certificate: a shared secret authenticates both sides, or nothing does.
    #[must_use]
    pub const fn is_without_certificate(self) -> bool {
        let is_anonymous = matches!(self, Self::DhAnon | Self::EcdhAnon);
        let has_shared_key = matches!(self, Self::Psk | Self::DhePsk | Self::EcdhePsk | Self::Krb5);
        let has_password = matches!(self, Self::Srp | Self::Eccpwd | Self::Ecjpake);
        is_anonymous || has_shared_key || has_password
    }
}

impl CipherSuite {
    /// Whether records have a MAC and are not encrypted: all that was sent is readable. Up to TLS 1.2.
    #[must_use]
    pub fn is_without_encryption(self) -> bool {
        self.name().is_some_and(|name| name.contains("_WITH_NULL_"))
    }
}

cipher_suites! {
    /// A cipher suite. IANA "TLS Cipher Suites", and suites that were deployed without being registered:
    /// Fortezza and FIPS suites of SSL 3.0, CECPQ1, GOST of draft-chudov-cryptopro-cptls, ShangMi of
    /// GB/T 38636, and Salsa20. `OLD_` marks the number that a draft gave to a suite that was later registered under another.
    pub struct CipherSuite(u16) {
        TLS_NULL_WITH_NULL_NULL = 0x0000,
        TLS_RSA_WITH_NULL_MD5 = 0x0001 Rsa,
        TLS_RSA_WITH_NULL_SHA = 0x0002 Rsa,
        TLS_RSA_EXPORT_WITH_RC4_40_MD5 = 0x0003 Rsa,
        TLS_RSA_WITH_RC4_128_MD5 = 0x0004 Rsa,
        TLS_RSA_WITH_RC4_128_SHA = 0x0005 Rsa,
        TLS_RSA_EXPORT_WITH_RC2_CBC_40_MD5 = 0x0006 Rsa,
        TLS_RSA_WITH_IDEA_CBC_SHA = 0x0007 Rsa,
        TLS_RSA_EXPORT_WITH_DES40_CBC_SHA = 0x0008 Rsa,
        TLS_RSA_WITH_DES_CBC_SHA = 0x0009 Rsa,
        TLS_RSA_WITH_3DES_EDE_CBC_SHA = 0x000a Rsa,
        TLS_DH_DSS_EXPORT_WITH_DES40_CBC_SHA = 0x000b Dh,
        TLS_DH_DSS_WITH_DES_CBC_SHA = 0x000c Dh,
        TLS_DH_DSS_WITH_3DES_EDE_CBC_SHA = 0x000d Dh,
        TLS_DH_RSA_EXPORT_WITH_DES40_CBC_SHA = 0x000e Dh,
        TLS_DH_RSA_WITH_DES_CBC_SHA = 0x000f Dh,
        TLS_DH_RSA_WITH_3DES_EDE_CBC_SHA = 0x0010 Dh,
        TLS_DHE_DSS_EXPORT_WITH_DES40_CBC_SHA = 0x0011 Dhe,
        TLS_DHE_DSS_WITH_DES_CBC_SHA = 0x0012 Dhe,
        TLS_DHE_DSS_WITH_3DES_EDE_CBC_SHA = 0x0013 Dhe,
        TLS_DHE_RSA_EXPORT_WITH_DES40_CBC_SHA = 0x0014 Dhe,
        TLS_DHE_RSA_WITH_DES_CBC_SHA = 0x0015 Dhe,
        TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA = 0x0016 Dhe,
        TLS_DH_anon_EXPORT_WITH_RC4_40_MD5 = 0x0017 DhAnon,
        TLS_DH_anon_WITH_RC4_128_MD5 = 0x0018 DhAnon,
        TLS_DH_anon_EXPORT_WITH_DES40_CBC_SHA = 0x0019 DhAnon,
        TLS_DH_anon_WITH_DES_CBC_SHA = 0x001a DhAnon,
        TLS_DH_anon_WITH_3DES_EDE_CBC_SHA = 0x001b DhAnon,
        SSL_FORTEZZA_KEA_WITH_NULL_SHA = 0x001c Kea,
        SSL_FORTEZZA_KEA_WITH_FORTEZZA_CBC_SHA = 0x001d Kea,
        TLS_KRB5_WITH_DES_CBC_SHA = 0x001e Krb5,
        TLS_KRB5_WITH_3DES_EDE_CBC_SHA = 0x001f Krb5,
        TLS_KRB5_WITH_RC4_128_SHA = 0x0020 Krb5,
        TLS_KRB5_WITH_IDEA_CBC_SHA = 0x0021 Krb5,
        TLS_KRB5_WITH_DES_CBC_MD5 = 0x0022 Krb5,
        TLS_KRB5_WITH_3DES_EDE_CBC_MD5 = 0x0023 Krb5,
        TLS_KRB5_WITH_RC4_128_MD5 = 0x0024 Krb5,
        TLS_KRB5_WITH_IDEA_CBC_MD5 = 0x0025 Krb5,
        TLS_KRB5_EXPORT_WITH_DES_CBC_40_SHA = 0x0026 Krb5,
        TLS_KRB5_EXPORT_WITH_RC2_CBC_40_SHA = 0x0027 Krb5,
        TLS_KRB5_EXPORT_WITH_RC4_40_SHA = 0x0028 Krb5,
        TLS_KRB5_EXPORT_WITH_DES_CBC_40_MD5 = 0x0029 Krb5,
        TLS_KRB5_EXPORT_WITH_RC2_CBC_40_MD5 = 0x002a Krb5,
        TLS_KRB5_EXPORT_WITH_RC4_40_MD5 = 0x002b Krb5,
        TLS_PSK_WITH_NULL_SHA = 0x002c Psk,
        TLS_DHE_PSK_WITH_NULL_SHA = 0x002d DhePsk,
        TLS_RSA_PSK_WITH_NULL_SHA = 0x002e RsaPsk,
        TLS_RSA_WITH_AES_128_CBC_SHA = 0x002f Rsa,
        TLS_DH_DSS_WITH_AES_128_CBC_SHA = 0x0030 Dh,
        TLS_DH_RSA_WITH_AES_128_CBC_SHA = 0x0031 Dh,
        TLS_DHE_DSS_WITH_AES_128_CBC_SHA = 0x0032 Dhe,
        TLS_DHE_RSA_WITH_AES_128_CBC_SHA = 0x0033 Dhe,
        TLS_DH_anon_WITH_AES_128_CBC_SHA = 0x0034 DhAnon,
        TLS_RSA_WITH_AES_256_CBC_SHA = 0x0035 Rsa,
        TLS_DH_DSS_WITH_AES_256_CBC_SHA = 0x0036 Dh,
        TLS_DH_RSA_WITH_AES_256_CBC_SHA = 0x0037 Dh,
        TLS_DHE_DSS_WITH_AES_256_CBC_SHA = 0x0038 Dhe,
        TLS_DHE_RSA_WITH_AES_256_CBC_SHA = 0x0039 Dhe,
        TLS_DH_anon_WITH_AES_256_CBC_SHA = 0x003a DhAnon,
        TLS_RSA_WITH_NULL_SHA256 = 0x003b Rsa,
        TLS_RSA_WITH_AES_128_CBC_SHA256 = 0x003c Rsa,
        TLS_RSA_WITH_AES_256_CBC_SHA256 = 0x003d Rsa,
        TLS_DH_DSS_WITH_AES_128_CBC_SHA256 = 0x003e Dh,
        TLS_DH_RSA_WITH_AES_128_CBC_SHA256 = 0x003f Dh,
        TLS_DHE_DSS_WITH_AES_128_CBC_SHA256 = 0x0040 Dhe,
        TLS_RSA_WITH_CAMELLIA_128_CBC_SHA = 0x0041 Rsa,
        TLS_DH_DSS_WITH_CAMELLIA_128_CBC_SHA = 0x0042 Dh,
        TLS_DH_RSA_WITH_CAMELLIA_128_CBC_SHA = 0x0043 Dh,
        TLS_DHE_DSS_WITH_CAMELLIA_128_CBC_SHA = 0x0044 Dhe,
        TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA = 0x0045 Dhe,
        TLS_DH_anon_WITH_CAMELLIA_128_CBC_SHA = 0x0046 DhAnon,
        TLS_RSA_EXPORT1024_WITH_RC4_56_MD5 = 0x0060 Rsa,
        TLS_RSA_EXPORT1024_WITH_RC2_CBC_56_MD5 = 0x0061 Rsa,
        TLS_RSA_EXPORT1024_WITH_DES_CBC_SHA = 0x0062 Rsa,
        TLS_DHE_DSS_EXPORT1024_WITH_DES_CBC_SHA = 0x0063 Dhe,
        TLS_RSA_EXPORT1024_WITH_RC4_56_SHA = 0x0064 Rsa,
        TLS_DHE_DSS_EXPORT1024_WITH_RC4_56_SHA = 0x0065 Dhe,
        TLS_DHE_DSS_WITH_RC4_128_SHA = 0x0066 Dhe,
        TLS_DHE_RSA_WITH_AES_128_CBC_SHA256 = 0x0067 Dhe,
        TLS_DH_DSS_WITH_AES_256_CBC_SHA256 = 0x0068 Dh,
        TLS_DH_RSA_WITH_AES_256_CBC_SHA256 = 0x0069 Dh,
        TLS_DHE_DSS_WITH_AES_256_CBC_SHA256 = 0x006a Dhe,
        TLS_DHE_RSA_WITH_AES_256_CBC_SHA256 = 0x006b Dhe,
        TLS_DH_anon_WITH_AES_128_CBC_SHA256 = 0x006c DhAnon,
        TLS_DH_anon_WITH_AES_256_CBC_SHA256 = 0x006d DhAnon,
        TLS_GOSTR341094_WITH_28147_CNT_IMIT = 0x0080 Gost,
        TLS_GOSTR341001_WITH_28147_CNT_IMIT = 0x0081 Gost,
        TLS_GOSTR341094_WITH_NULL_GOSTR3411 = 0x0082 Gost,
        TLS_GOSTR341001_WITH_NULL_GOSTR3411 = 0x0083 Gost,
        TLS_RSA_WITH_CAMELLIA_256_CBC_SHA = 0x0084 Rsa,
        TLS_DH_DSS_WITH_CAMELLIA_256_CBC_SHA = 0x0085 Dh,
        TLS_DH_RSA_WITH_CAMELLIA_256_CBC_SHA = 0x0086 Dh,
        TLS_DHE_DSS_WITH_CAMELLIA_256_CBC_SHA = 0x0087 Dhe,
        TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA = 0x0088 Dhe,
        TLS_DH_anon_WITH_CAMELLIA_256_CBC_SHA = 0x0089 DhAnon,
        TLS_PSK_WITH_RC4_128_SHA = 0x008a Psk,
        TLS_PSK_WITH_3DES_EDE_CBC_SHA = 0x008b Psk,
        TLS_PSK_WITH_AES_128_CBC_SHA = 0x008c Psk,
        TLS_PSK_WITH_AES_256_CBC_SHA = 0x008d Psk,
        TLS_DHE_PSK_WITH_RC4_128_SHA = 0x008e DhePsk,
        TLS_DHE_PSK_WITH_3DES_EDE_CBC_SHA = 0x008f DhePsk,
        TLS_DHE_PSK_WITH_AES_128_CBC_SHA = 0x0090 DhePsk,
        TLS_DHE_PSK_WITH_AES_256_CBC_SHA = 0x0091 DhePsk,
        TLS_RSA_PSK_WITH_RC4_128_SHA = 0x0092 RsaPsk,
        TLS_RSA_PSK_WITH_3DES_EDE_CBC_SHA = 0x0093 RsaPsk,
        TLS_RSA_PSK_WITH_AES_128_CBC_SHA = 0x0094 RsaPsk,
        TLS_RSA_PSK_WITH_AES_256_CBC_SHA = 0x0095 RsaPsk,
        TLS_RSA_WITH_SEED_CBC_SHA = 0x0096 Rsa,
        TLS_DH_DSS_WITH_SEED_CBC_SHA = 0x0097 Dh,
        TLS_DH_RSA_WITH_SEED_CBC_SHA = 0x0098 Dh,
        TLS_DHE_DSS_WITH_SEED_CBC_SHA = 0x0099 Dhe,
        TLS_DHE_RSA_WITH_SEED_CBC_SHA = 0x009a Dhe,
        TLS_DH_anon_WITH_SEED_CBC_SHA = 0x009b DhAnon,
        TLS_RSA_WITH_AES_128_GCM_SHA256 = 0x009c Rsa,
        TLS_RSA_WITH_AES_256_GCM_SHA384 = 0x009d Rsa,
        TLS_DHE_RSA_WITH_AES_128_GCM_SHA256 = 0x009e Dhe,
        TLS_DHE_RSA_WITH_AES_256_GCM_SHA384 = 0x009f Dhe,
        TLS_DH_RSA_WITH_AES_128_GCM_SHA256 = 0x00a0 Dh,
        TLS_DH_RSA_WITH_AES_256_GCM_SHA384 = 0x00a1 Dh,
        TLS_DHE_DSS_WITH_AES_128_GCM_SHA256 = 0x00a2 Dhe,
        TLS_DHE_DSS_WITH_AES_256_GCM_SHA384 = 0x00a3 Dhe,
        TLS_DH_DSS_WITH_AES_128_GCM_SHA256 = 0x00a4 Dh,
        TLS_DH_DSS_WITH_AES_256_GCM_SHA384 = 0x00a5 Dh,
        TLS_DH_anon_WITH_AES_128_GCM_SHA256 = 0x00a6 DhAnon,
        TLS_DH_anon_WITH_AES_256_GCM_SHA384 = 0x00a7 DhAnon,
        TLS_PSK_WITH_AES_128_GCM_SHA256 = 0x00a8 Psk,
        TLS_PSK_WITH_AES_256_GCM_SHA384 = 0x00a9 Psk,
        TLS_DHE_PSK_WITH_AES_128_GCM_SHA256 = 0x00aa DhePsk,
        TLS_DHE_PSK_WITH_AES_256_GCM_SHA384 = 0x00ab DhePsk,
        TLS_RSA_PSK_WITH_AES_128_GCM_SHA256 = 0x00ac RsaPsk,
        TLS_RSA_PSK_WITH_AES_256_GCM_SHA384 = 0x00ad RsaPsk,
        TLS_PSK_WITH_AES_128_CBC_SHA256 = 0x00ae Psk,
        TLS_PSK_WITH_AES_256_CBC_SHA384 = 0x00af Psk,
        TLS_PSK_WITH_NULL_SHA256 = 0x00b0 Psk,
        TLS_PSK_WITH_NULL_SHA384 = 0x00b1 Psk,
        TLS_DHE_PSK_WITH_AES_128_CBC_SHA256 = 0x00b2 DhePsk,
        TLS_DHE_PSK_WITH_AES_256_CBC_SHA384 = 0x00b3 DhePsk,
        TLS_DHE_PSK_WITH_NULL_SHA256 = 0x00b4 DhePsk,
        TLS_DHE_PSK_WITH_NULL_SHA384 = 0x00b5 DhePsk,
        TLS_RSA_PSK_WITH_AES_128_CBC_SHA256 = 0x00b6 RsaPsk,
        TLS_RSA_PSK_WITH_AES_256_CBC_SHA384 = 0x00b7 RsaPsk,
        TLS_RSA_PSK_WITH_NULL_SHA256 = 0x00b8 RsaPsk,
        TLS_RSA_PSK_WITH_NULL_SHA384 = 0x00b9 RsaPsk,
        TLS_RSA_WITH_CAMELLIA_128_CBC_SHA256 = 0x00ba Rsa,
        TLS_DH_DSS_WITH_CAMELLIA_128_CBC_SHA256 = 0x00bb Dh,
        TLS_DH_RSA_WITH_CAMELLIA_128_CBC_SHA256 = 0x00bc Dh,
        TLS_DHE_DSS_WITH_CAMELLIA_128_CBC_SHA256 = 0x00bd Dhe,
        TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA256 = 0x00be Dhe,
        TLS_DH_anon_WITH_CAMELLIA_128_CBC_SHA256 = 0x00bf DhAnon,
        TLS_RSA_WITH_CAMELLIA_256_CBC_SHA256 = 0x00c0 Rsa,
        TLS_DH_DSS_WITH_CAMELLIA_256_CBC_SHA256 = 0x00c1 Dh,
        TLS_DH_RSA_WITH_CAMELLIA_256_CBC_SHA256 = 0x00c2 Dh,
        TLS_DHE_DSS_WITH_CAMELLIA_256_CBC_SHA256 = 0x00c3 Dhe,
        TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA256 = 0x00c4 Dhe,
        TLS_DH_anon_WITH_CAMELLIA_256_CBC_SHA256 = 0x00c5 DhAnon,
        TLS_SM4_GCM_SM3 = 0x00c6 Tls13,
        TLS_SM4_CCM_SM3 = 0x00c7 Tls13,
        TLS_EMPTY_RENEGOTIATION_INFO_SCSV = 0x00ff,
        TLS_AES_128_GCM_SHA256 = 0x1301 Tls13,
        TLS_AES_256_GCM_SHA384 = 0x1302 Tls13,
        TLS_CHACHA20_POLY1305_SHA256 = 0x1303 Tls13,
        TLS_AES_128_CCM_SHA256 = 0x1304 Tls13,
        TLS_AES_128_CCM_8_SHA256 = 0x1305 Tls13,
        TLS_AEGIS_256_SHA512 = 0x1306 Tls13,
        TLS_AEGIS_128L_SHA256 = 0x1307 Tls13,
        TLS_CECPQ1_RSA_WITH_CHACHA20_POLY1305_SHA256 = 0x16b7 Cecpq1,
        TLS_CECPQ1_ECDSA_WITH_CHACHA20_POLY1305_SHA256 = 0x16b8 Cecpq1,
        TLS_CECPQ1_RSA_WITH_AES_256_GCM_SHA384 = 0x16b9 Cecpq1,
        TLS_CECPQ1_ECDSA_WITH_AES_256_GCM_SHA384 = 0x16ba Cecpq1,
        TLS_FALLBACK_SCSV = 0x5600,
        TLS_ECDH_ECDSA_WITH_NULL_SHA = 0xc001 Ecdh,
        TLS_ECDH_ECDSA_WITH_RC4_128_SHA = 0xc002 Ecdh,
        TLS_ECDH_ECDSA_WITH_3DES_EDE_CBC_SHA = 0xc003 Ecdh,
        TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA = 0xc004 Ecdh,
        TLS_ECDH_ECDSA_WITH_AES_256_CBC_SHA = 0xc005 Ecdh,
        TLS_ECDHE_ECDSA_WITH_NULL_SHA = 0xc006 Ecdhe,
        TLS_ECDHE_ECDSA_WITH_RC4_128_SHA = 0xc007 Ecdhe,
        TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA = 0xc008 Ecdhe,
        TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA = 0xc009 Ecdhe,
        TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA = 0xc00a Ecdhe,
        TLS_ECDH_RSA_WITH_NULL_SHA = 0xc00b Ecdh,
        TLS_ECDH_RSA_WITH_RC4_128_SHA = 0xc00c Ecdh,
        TLS_ECDH_RSA_WITH_3DES_EDE_CBC_SHA = 0xc00d Ecdh,
        TLS_ECDH_RSA_WITH_AES_128_CBC_SHA = 0xc00e Ecdh,
        TLS_ECDH_RSA_WITH_AES_256_CBC_SHA = 0xc00f Ecdh,
        TLS_ECDHE_RSA_WITH_NULL_SHA = 0xc010 Ecdhe,
        TLS_ECDHE_RSA_WITH_RC4_128_SHA = 0xc011 Ecdhe,
        TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA = 0xc012 Ecdhe,
        TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA = 0xc013 Ecdhe,
        TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA = 0xc014 Ecdhe,
        TLS_ECDH_anon_WITH_NULL_SHA = 0xc015 EcdhAnon,
        TLS_ECDH_anon_WITH_RC4_128_SHA = 0xc016 EcdhAnon,
        TLS_ECDH_anon_WITH_3DES_EDE_CBC_SHA = 0xc017 EcdhAnon,
        TLS_ECDH_anon_WITH_AES_128_CBC_SHA = 0xc018 EcdhAnon,
        TLS_ECDH_anon_WITH_AES_256_CBC_SHA = 0xc019 EcdhAnon,
        TLS_SRP_SHA_WITH_3DES_EDE_CBC_SHA = 0xc01a Srp,
        TLS_SRP_SHA_RSA_WITH_3DES_EDE_CBC_SHA = 0xc01b SrpCertificate,
        TLS_SRP_SHA_DSS_WITH_3DES_EDE_CBC_SHA = 0xc01c SrpCertificate,
        TLS_SRP_SHA_WITH_AES_128_CBC_SHA = 0xc01d Srp,
        TLS_SRP_SHA_RSA_WITH_AES_128_CBC_SHA = 0xc01e SrpCertificate,
        TLS_SRP_SHA_DSS_WITH_AES_128_CBC_SHA = 0xc01f SrpCertificate,
        TLS_SRP_SHA_WITH_AES_256_CBC_SHA = 0xc020 Srp,
        TLS_SRP_SHA_RSA_WITH_AES_256_CBC_SHA = 0xc021 SrpCertificate,
        TLS_SRP_SHA_DSS_WITH_AES_256_CBC_SHA = 0xc022 SrpCertificate,
        TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256 = 0xc023 Ecdhe,
        TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384 = 0xc024 Ecdhe,
        TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA256 = 0xc025 Ecdh,
        TLS_ECDH_ECDSA_WITH_AES_256_CBC_SHA384 = 0xc026 Ecdh,
        TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256 = 0xc027 Ecdhe,
        TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384 = 0xc028 Ecdhe,
        TLS_ECDH_RSA_WITH_AES_128_CBC_SHA256 = 0xc029 Ecdh,
        TLS_ECDH_RSA_WITH_AES_256_CBC_SHA384 = 0xc02a Ecdh,
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 = 0xc02b Ecdhe,
        TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 = 0xc02c Ecdhe,
        TLS_ECDH_ECDSA_WITH_AES_128_GCM_SHA256 = 0xc02d Ecdh,
        TLS_ECDH_ECDSA_WITH_AES_256_GCM_SHA384 = 0xc02e Ecdh,
        TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 = 0xc02f Ecdhe,
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 = 0xc030 Ecdhe,
        TLS_ECDH_RSA_WITH_AES_128_GCM_SHA256 = 0xc031 Ecdh,
        TLS_ECDH_RSA_WITH_AES_256_GCM_SHA384 = 0xc032 Ecdh,
        TLS_ECDHE_PSK_WITH_RC4_128_SHA = 0xc033 EcdhePsk,
        TLS_ECDHE_PSK_WITH_3DES_EDE_CBC_SHA = 0xc034 EcdhePsk,
        TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA = 0xc035 EcdhePsk,
        TLS_ECDHE_PSK_WITH_AES_256_CBC_SHA = 0xc036 EcdhePsk,
        TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256 = 0xc037 EcdhePsk,
        TLS_ECDHE_PSK_WITH_AES_256_CBC_SHA384 = 0xc038 EcdhePsk,
        TLS_ECDHE_PSK_WITH_NULL_SHA = 0xc039 EcdhePsk,
        TLS_ECDHE_PSK_WITH_NULL_SHA256 = 0xc03a EcdhePsk,
        TLS_ECDHE_PSK_WITH_NULL_SHA384 = 0xc03b EcdhePsk,
        TLS_RSA_WITH_ARIA_128_CBC_SHA256 = 0xc03c Rsa,
        TLS_RSA_WITH_ARIA_256_CBC_SHA384 = 0xc03d Rsa,
        TLS_DH_DSS_WITH_ARIA_128_CBC_SHA256 = 0xc03e Dh,
        TLS_DH_DSS_WITH_ARIA_256_CBC_SHA384 = 0xc03f Dh,
        TLS_DH_RSA_WITH_ARIA_128_CBC_SHA256 = 0xc040 Dh,
        TLS_DH_RSA_WITH_ARIA_256_CBC_SHA384 = 0xc041 Dh,
        TLS_DHE_DSS_WITH_ARIA_128_CBC_SHA256 = 0xc042 Dhe,
        TLS_DHE_DSS_WITH_ARIA_256_CBC_SHA384 = 0xc043 Dhe,
        TLS_DHE_RSA_WITH_ARIA_128_CBC_SHA256 = 0xc044 Dhe,
        TLS_DHE_RSA_WITH_ARIA_256_CBC_SHA384 = 0xc045 Dhe,
        TLS_DH_anon_WITH_ARIA_128_CBC_SHA256 = 0xc046 DhAnon,
        TLS_DH_anon_WITH_ARIA_256_CBC_SHA384 = 0xc047 DhAnon,
        TLS_ECDHE_ECDSA_WITH_ARIA_128_CBC_SHA256 = 0xc048 Ecdhe,
        TLS_ECDHE_ECDSA_WITH_ARIA_256_CBC_SHA384 = 0xc049 Ecdhe,
        TLS_ECDH_ECDSA_WITH_ARIA_128_CBC_SHA256 = 0xc04a Ecdh,
        TLS_ECDH_ECDSA_WITH_ARIA_256_CBC_SHA384 = 0xc04b Ecdh,
        TLS_ECDHE_RSA_WITH_ARIA_128_CBC_SHA256 = 0xc04c Ecdhe,
        TLS_ECDHE_RSA_WITH_ARIA_256_CBC_SHA384 = 0xc04d Ecdhe,
        TLS_ECDH_RSA_WITH_ARIA_128_CBC_SHA256 = 0xc04e Ecdh,
        TLS_ECDH_RSA_WITH_ARIA_256_CBC_SHA384 = 0xc04f Ecdh,
        TLS_RSA_WITH_ARIA_128_GCM_SHA256 = 0xc050 Rsa,
        TLS_RSA_WITH_ARIA_256_GCM_SHA384 = 0xc051 Rsa,
        TLS_DHE_RSA_WITH_ARIA_128_GCM_SHA256 = 0xc052 Dhe,
        TLS_DHE_RSA_WITH_ARIA_256_GCM_SHA384 = 0xc053 Dhe,
        TLS_DH_RSA_WITH_ARIA_128_GCM_SHA256 = 0xc054 Dh,
        TLS_DH_RSA_WITH_ARIA_256_GCM_SHA384 = 0xc055 Dh,
        TLS_DHE_DSS_WITH_ARIA_128_GCM_SHA256 = 0xc056 Dhe,
        TLS_DHE_DSS_WITH_ARIA_256_GCM_SHA384 = 0xc057 Dhe,
        TLS_DH_DSS_WITH_ARIA_128_GCM_SHA256 = 0xc058 Dh,
        TLS_DH_DSS_WITH_ARIA_256_GCM_SHA384 = 0xc059 Dh,
        TLS_DH_anon_WITH_ARIA_128_GCM_SHA256 = 0xc05a DhAnon,
        TLS_DH_anon_WITH_ARIA_256_GCM_SHA384 = 0xc05b DhAnon,
        TLS_ECDHE_ECDSA_WITH_ARIA_128_GCM_SHA256 = 0xc05c Ecdhe,
        TLS_ECDHE_ECDSA_WITH_ARIA_256_GCM_SHA384 = 0xc05d Ecdhe,
        TLS_ECDH_ECDSA_WITH_ARIA_128_GCM_SHA256 = 0xc05e Ecdh,
        TLS_ECDH_ECDSA_WITH_ARIA_256_GCM_SHA384 = 0xc05f Ecdh,
        TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256 = 0xc060 Ecdhe,
        TLS_ECDHE_RSA_WITH_ARIA_256_GCM_SHA384 = 0xc061 Ecdhe,
        TLS_ECDH_RSA_WITH_ARIA_128_GCM_SHA256 = 0xc062 Ecdh,
        TLS_ECDH_RSA_WITH_ARIA_256_GCM_SHA384 = 0xc063 Ecdh,
        TLS_PSK_WITH_ARIA_128_CBC_SHA256 = 0xc064 Psk,
        TLS_PSK_WITH_ARIA_256_CBC_SHA384 = 0xc065 Psk,
        TLS_DHE_PSK_WITH_ARIA_128_CBC_SHA256 = 0xc066 DhePsk,
        TLS_DHE_PSK_WITH_ARIA_256_CBC_SHA384 = 0xc067 DhePsk,
        TLS_RSA_PSK_WITH_ARIA_128_CBC_SHA256 = 0xc068 RsaPsk,
        TLS_RSA_PSK_WITH_ARIA_256_CBC_SHA384 = 0xc069 RsaPsk,
        TLS_PSK_WITH_ARIA_128_GCM_SHA256 = 0xc06a Psk,
        TLS_PSK_WITH_ARIA_256_GCM_SHA384 = 0xc06b Psk,
        TLS_DHE_PSK_WITH_ARIA_128_GCM_SHA256 = 0xc06c DhePsk,
        TLS_DHE_PSK_WITH_ARIA_256_GCM_SHA384 = 0xc06d DhePsk,
        TLS_RSA_PSK_WITH_ARIA_128_GCM_SHA256 = 0xc06e RsaPsk,
        TLS_RSA_PSK_WITH_ARIA_256_GCM_SHA384 = 0xc06f RsaPsk,
        TLS_ECDHE_PSK_WITH_ARIA_128_CBC_SHA256 = 0xc070 EcdhePsk,
        TLS_ECDHE_PSK_WITH_ARIA_256_CBC_SHA384 = 0xc071 EcdhePsk,
        TLS_ECDHE_ECDSA_WITH_CAMELLIA_128_CBC_SHA256 = 0xc072 Ecdhe,
        TLS_ECDHE_ECDSA_WITH_CAMELLIA_256_CBC_SHA384 = 0xc073 Ecdhe,
        TLS_ECDH_ECDSA_WITH_CAMELLIA_128_CBC_SHA256 = 0xc074 Ecdh,
        TLS_ECDH_ECDSA_WITH_CAMELLIA_256_CBC_SHA384 = 0xc075 Ecdh,
        TLS_ECDHE_RSA_WITH_CAMELLIA_128_CBC_SHA256 = 0xc076 Ecdhe,
        TLS_ECDHE_RSA_WITH_CAMELLIA_256_CBC_SHA384 = 0xc077 Ecdhe,
        TLS_ECDH_RSA_WITH_CAMELLIA_128_CBC_SHA256 = 0xc078 Ecdh,
        TLS_ECDH_RSA_WITH_CAMELLIA_256_CBC_SHA384 = 0xc079 Ecdh,
        TLS_RSA_WITH_CAMELLIA_128_GCM_SHA256 = 0xc07a Rsa,
        TLS_RSA_WITH_CAMELLIA_256_GCM_SHA384 = 0xc07b Rsa,
        TLS_DHE_RSA_WITH_CAMELLIA_128_GCM_SHA256 = 0xc07c Dhe,
        TLS_DHE_RSA_WITH_CAMELLIA_256_GCM_SHA384 = 0xc07d Dhe,
        TLS_DH_RSA_WITH_CAMELLIA_128_GCM_SHA256 = 0xc07e Dh,
        TLS_DH_RSA_WITH_CAMELLIA_256_GCM_SHA384 = 0xc07f Dh,
        TLS_DHE_DSS_WITH_CAMELLIA_128_GCM_SHA256 = 0xc080 Dhe,
        TLS_DHE_DSS_WITH_CAMELLIA_256_GCM_SHA384 = 0xc081 Dhe,
        TLS_DH_DSS_WITH_CAMELLIA_128_GCM_SHA256 = 0xc082 Dh,
        TLS_DH_DSS_WITH_CAMELLIA_256_GCM_SHA384 = 0xc083 Dh,
        TLS_DH_anon_WITH_CAMELLIA_128_GCM_SHA256 = 0xc084 DhAnon,
        TLS_DH_anon_WITH_CAMELLIA_256_GCM_SHA384 = 0xc085 DhAnon,
        TLS_ECDHE_ECDSA_WITH_CAMELLIA_128_GCM_SHA256 = 0xc086 Ecdhe,
        TLS_ECDHE_ECDSA_WITH_CAMELLIA_256_GCM_SHA384 = 0xc087 Ecdhe,
        TLS_ECDH_ECDSA_WITH_CAMELLIA_128_GCM_SHA256 = 0xc088 Ecdh,
        TLS_ECDH_ECDSA_WITH_CAMELLIA_256_GCM_SHA384 = 0xc089 Ecdh,
        TLS_ECDHE_RSA_WITH_CAMELLIA_128_GCM_SHA256 = 0xc08a Ecdhe,
        TLS_ECDHE_RSA_WITH_CAMELLIA_256_GCM_SHA384 = 0xc08b Ecdhe,
        TLS_ECDH_RSA_WITH_CAMELLIA_128_GCM_SHA256 = 0xc08c Ecdh,
        TLS_ECDH_RSA_WITH_CAMELLIA_256_GCM_SHA384 = 0xc08d Ecdh,
        TLS_PSK_WITH_CAMELLIA_128_GCM_SHA256 = 0xc08e Psk,
        TLS_PSK_WITH_CAMELLIA_256_GCM_SHA384 = 0xc08f Psk,
        TLS_DHE_PSK_WITH_CAMELLIA_128_GCM_SHA256 = 0xc090 DhePsk,
        TLS_DHE_PSK_WITH_CAMELLIA_256_GCM_SHA384 = 0xc091 DhePsk,
        TLS_RSA_PSK_WITH_CAMELLIA_128_GCM_SHA256 = 0xc092 RsaPsk,
        TLS_RSA_PSK_WITH_CAMELLIA_256_GCM_SHA384 = 0xc093 RsaPsk,
        TLS_PSK_WITH_CAMELLIA_128_CBC_SHA256 = 0xc094 Psk,
        TLS_PSK_WITH_CAMELLIA_256_CBC_SHA384 = 0xc095 Psk,
        TLS_DHE_PSK_WITH_CAMELLIA_128_CBC_SHA256 = 0xc096 DhePsk,
        TLS_DHE_PSK_WITH_CAMELLIA_256_CBC_SHA384 = 0xc097 DhePsk,
        TLS_RSA_PSK_WITH_CAMELLIA_128_CBC_SHA256 = 0xc098 RsaPsk,
        TLS_RSA_PSK_WITH_CAMELLIA_256_CBC_SHA384 = 0xc099 RsaPsk,
        TLS_ECDHE_PSK_WITH_CAMELLIA_128_CBC_SHA256 = 0xc09a EcdhePsk,
        TLS_ECDHE_PSK_WITH_CAMELLIA_256_CBC_SHA384 = 0xc09b EcdhePsk,
        TLS_RSA_WITH_AES_128_CCM = 0xc09c Rsa,
        TLS_RSA_WITH_AES_256_CCM = 0xc09d Rsa,
        TLS_DHE_RSA_WITH_AES_128_CCM = 0xc09e Dhe,
        TLS_DHE_RSA_WITH_AES_256_CCM = 0xc09f Dhe,
        TLS_RSA_WITH_AES_128_CCM_8 = 0xc0a0 Rsa,
        TLS_RSA_WITH_AES_256_CCM_8 = 0xc0a1 Rsa,
        TLS_DHE_RSA_WITH_AES_128_CCM_8 = 0xc0a2 Dhe,
        TLS_DHE_RSA_WITH_AES_256_CCM_8 = 0xc0a3 Dhe,
        TLS_PSK_WITH_AES_128_CCM = 0xc0a4 Psk,
        TLS_PSK_WITH_AES_256_CCM = 0xc0a5 Psk,
        TLS_DHE_PSK_WITH_AES_128_CCM = 0xc0a6 DhePsk,
        TLS_DHE_PSK_WITH_AES_256_CCM = 0xc0a7 DhePsk,
        TLS_PSK_WITH_AES_128_CCM_8 = 0xc0a8 Psk,
        TLS_PSK_WITH_AES_256_CCM_8 = 0xc0a9 Psk,
        TLS_PSK_DHE_WITH_AES_128_CCM_8 = 0xc0aa DhePsk,
        TLS_PSK_DHE_WITH_AES_256_CCM_8 = 0xc0ab DhePsk,
        TLS_ECDHE_ECDSA_WITH_AES_128_CCM = 0xc0ac Ecdhe,
        TLS_ECDHE_ECDSA_WITH_AES_256_CCM = 0xc0ad Ecdhe,
        TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8 = 0xc0ae Ecdhe,
        TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8 = 0xc0af Ecdhe,
        TLS_ECCPWD_WITH_AES_128_GCM_SHA256 = 0xc0b0 Eccpwd,
        TLS_ECCPWD_WITH_AES_256_GCM_SHA384 = 0xc0b1 Eccpwd,
        TLS_ECCPWD_WITH_AES_128_CCM_SHA256 = 0xc0b2 Eccpwd,
        TLS_ECCPWD_WITH_AES_256_CCM_SHA384 = 0xc0b3 Eccpwd,
        TLS_SHA256_SHA256 = 0xc0b4 Tls13,
        TLS_SHA384_SHA384 = 0xc0b5 Tls13,
        TLS_ECJPAKE_WITH_AES_128_CCM_8 = 0xc0ff Ecjpake,
        TLS_GOSTR341112_256_WITH_KUZNYECHIK_CTR_OMAC = 0xc100 Gost,
        TLS_GOSTR341112_256_WITH_MAGMA_CTR_OMAC = 0xc101 Gost,
        TLS_GOSTR341112_256_WITH_28147_CNT_IMIT = 0xc102 Gost,
        TLS_GOSTR341112_256_WITH_KUZNYECHIK_MGM_L = 0xc103 Tls13,
        TLS_GOSTR341112_256_WITH_MAGMA_MGM_L = 0xc104 Tls13,
        TLS_GOSTR341112_256_WITH_KUZNYECHIK_MGM_S = 0xc105 Tls13,
        TLS_GOSTR341112_256_WITH_MAGMA_MGM_S = 0xc106 Tls13,
        OLD_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 = 0xcc13 Ecdhe,
        OLD_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 = 0xcc14 Ecdhe,
        OLD_TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256 = 0xcc15 Dhe,
        TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 = 0xcca8 Ecdhe,
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 = 0xcca9 Ecdhe,
        TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256 = 0xccaa Dhe,
        TLS_PSK_WITH_CHACHA20_POLY1305_SHA256 = 0xccab Psk,
        TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256 = 0xccac EcdhePsk,
        TLS_DHE_PSK_WITH_CHACHA20_POLY1305_SHA256 = 0xccad DhePsk,
        TLS_RSA_PSK_WITH_CHACHA20_POLY1305_SHA256 = 0xccae RsaPsk,
        TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256 = 0xd001 EcdhePsk,
        TLS_ECDHE_PSK_WITH_AES_256_GCM_SHA384 = 0xd002 EcdhePsk,
        TLS_ECDHE_PSK_WITH_AES_128_CCM_8_SHA256 = 0xd003 EcdhePsk,
        TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256 = 0xd005 EcdhePsk,
        ECDHE_SM1_SM3 = 0xe001 Ecdhe,
        ECC_SM1_SM3 = 0xe003 Sm2,
        IBSDH_SM1_SM3 = 0xe005 Ibsdh,
        IBC_SM1_SM3 = 0xe007 Ibc,
        RSA_SM1_SM3 = 0xe009 Rsa,
        RSA_SM1_SHA1 = 0xe00a Rsa,
        ECDHE_SM4_CBC_SM3 = 0xe011 Ecdhe,
        ECC_SM4_CBC_SM3 = 0xe013 Sm2,
        IBSDH_SM4_CBC_SM3 = 0xe015 Ibsdh,
        IBC_SM4_CBC_SM3 = 0xe017 Ibc,
        RSA_SM4_CBC_SM3 = 0xe019 Rsa,
        RSA_SM4_CBC_SHA1 = 0xe01a Rsa,
        RSA_SM4_CBC_SHA256 = 0xe01c Rsa,
        ECDHE_SM4_GCM_SM3 = 0xe051 Ecdhe,
        ECC_SM4_GCM_SM3 = 0xe053 Sm2,
        IBSDH_SM4_GCM_SM3 = 0xe055 Ibsdh,
        IBC_SM4_GCM_SM3 = 0xe057 Ibc,
        RSA_SM4_GCM_SM3 = 0xe059 Rsa,
        RSA_SM4_GCM_SHA256 = 0xe05a Rsa,
        TLS_RSA_WITH_ESTREAM_SALSA20_SHA1 = 0xe410 Rsa,
        TLS_RSA_WITH_SALSA20_SHA1 = 0xe411 Rsa,
        TLS_ECDHE_RSA_WITH_ESTREAM_SALSA20_SHA1 = 0xe412 Ecdhe,
        TLS_ECDHE_RSA_WITH_SALSA20_SHA1 = 0xe413 Ecdhe,
        TLS_ECDHE_ECDSA_WITH_ESTREAM_SALSA20_SHA1 = 0xe414 Ecdhe,
        TLS_ECDHE_ECDSA_WITH_SALSA20_SHA1 = 0xe415 Ecdhe,
        TLS_PSK_WITH_ESTREAM_SALSA20_SHA1 = 0xe416 Psk,
        TLS_PSK_WITH_SALSA20_SHA1 = 0xe417 Psk,
        TLS_ECDHE_PSK_WITH_ESTREAM_SALSA20_SHA1 = 0xe418 EcdhePsk,
        TLS_ECDHE_PSK_WITH_SALSA20_SHA1 = 0xe419 EcdhePsk,
        TLS_RSA_PSK_WITH_ESTREAM_SALSA20_SHA1 = 0xe41a RsaPsk,
        TLS_RSA_PSK_WITH_SALSA20_SHA1 = 0xe41b RsaPsk,
        TLS_DHE_PSK_WITH_ESTREAM_SALSA20_SHA1 = 0xe41c DhePsk,
        TLS_DHE_PSK_WITH_SALSA20_SHA1 = 0xe41d DhePsk,
        TLS_DHE_RSA_WITH_ESTREAM_SALSA20_SHA1 = 0xe41e Dhe,
        TLS_DHE_RSA_WITH_SALSA20_SHA1 = 0xe41f Dhe,
        SSL_RSA_FIPS_WITH_DES_CBC_SHA = 0xfefe Rsa,
        SSL_RSA_FIPS_WITH_3DES_EDE_CBC_SHA = 0xfeff Rsa,
        OLD_TLS_GOSTR341112_256_WITH_28147_CNT_IMIT = 0xff85 Gost,
        SSL_RSA_OLDFIPS_WITH_3DES_EDE_CBC_SHA = 0xffe0 Rsa,
        SSL_RSA_OLDFIPS_WITH_DES_CBC_SHA = 0xffe1 Rsa,
    }
}

#[cfg(test)]
mod tests {
    use tls_parser::{TlsCipherAu as Au, TlsCipherKx as Kx, TlsCipherSuite};

    use super::*;

    #[test]
    fn suites_without_encryption_have_no_cipher_in_their_name() {
        let is_without = |suite: CipherSuite| suite.is_without_encryption();
        assert!(is_without(CipherSuite::TLS_RSA_WITH_NULL_SHA256));
        assert!(is_without(CipherSuite::TLS_NULL_WITH_NULL_NULL));
        assert!(!is_without(CipherSuite::TLS_RSA_WITH_AES_128_CBC_SHA));
        assert!(!is_without(CipherSuite(0xfafa)));
    }

    fn named() -> impl Iterator<Item = CipherSuite> {
        let all = (0..=u16::MAX).map(CipherSuite);
        all.filter(|suite| suite.name().is_some())
    }

    #[test]
    fn every_suite_but_signals_has_a_key_exchange() {
        let without: Vec<_> = named()
            .filter(|suite| suite.key_exchange().is_none())
            .collect();
        let signals = [
            CipherSuite::TLS_NULL_WITH_NULL_NULL,
            CipherSuite::TLS_EMPTY_RENEGOTIATION_INFO_SCSV,
            CipherSuite::TLS_FALLBACK_SCSV,
        ];
        assert_eq!(without, signals);
        assert_eq!(CipherSuite(0x1a1a).key_exchange(), None);
    }

    #[test]
    fn key_exchanges_agree_with_the_names() {
        for suite in named() {
            let (name, key_exchange) = (suite.name().unwrap(), suite.key_exchange());
            let is_without_group = key_exchange.is_some_and(KeyExchange::is_without_group);
            let keys = ["RSA", "PSK", "KRB5"];
            let is_named_so = keys.iter().any(|key| {
                let name = name.trim_start_matches("TLS_").trim_start_matches("SSL_");
                name.starts_with(&format!("{key}_")) && !name.starts_with("PSK_DHE")
            });
            assert_eq!(is_without_group, is_named_so, "{name}");
            let is_without_certificate =
                key_exchange.is_some_and(KeyExchange::is_without_certificate);
            let is_psk = name.contains("PSK_") && !name.contains("RSA_PSK_");
            let secrets = ["_anon_", "_KRB5_", "_SRP_SHA_WITH", "_ECCPWD_", "_ECJPAKE_"];
            let is_named_so = is_psk || secrets.iter().any(|secret| name.contains(secret));
            assert_eq!(is_without_certificate, is_named_so, "{name}");
        }
    }

    #[test]
    fn key_exchanges_agree_with_tls_parser() {
        use KeyExchange::*;
        let mut compared = 0;
        for suite in named() {
            let (Some(known), Some(key_exchange)) =
                (TlsCipherSuite::from_id(suite.0), suite.key_exchange())
            else {
                continue;
            };
            let expected = match (known.kx, known.au) {
                (Kx::Rsa, Au::Psk) => RsaPsk,
                (Kx::Rsa, _) => Rsa,
                (Kx::Dh, Au::Null) => DhAnon,
                (Kx::Dh, _) => Dh,
                (Kx::Dhe, Au::Psk) => DhePsk,
                (Kx::Dhe, _) => Dhe,
                (Kx::Ecdh, Au::Null) | (Kx::Aecdh, _) => EcdhAnon,
                (Kx::Ecdh, _) => Ecdh,
                (Kx::Ecdhe, Au::Psk) => EcdhePsk,
                (Kx::Ecdhe, Au::Null) => EcdhAnon,
                (Kx::Ecdhe, _) => Ecdhe,
                (Kx::Psk, Au::Dhe) => DhePsk,
                (Kx::Psk, _) => Psk,
                (Kx::Krb5, _) => Krb5,
                (Kx::Srp, Au::Srp) => Srp,
                (Kx::Srp, _) => SrpCertificate,
                (Kx::Eccpwd, _) => Eccpwd,
                (Kx::Tls13, _) => Tls13,
                (Kx::Null, _) => continue,
            };
            assert_eq!(key_exchange, expected, "{suite}");
            compared += 1;
        }
        assert!(compared > 300, "{compared}");
    }
}

//! The TLS Supported Groups registry.

codepoint! {
    /// A group for key exchange. RFC 8446 §4.2.7; IANA "TLS Supported Groups", and CECPQ2,
    /// which Chrome offered in 2019 unregistered.
    pub struct NamedGroup(u16) {
        Sect163k1 = 0x0001 "sect163k1",
        Sect163r1 = 0x0002 "sect163r1",
        Sect163r2 = 0x0003 "sect163r2",
        Sect193r1 = 0x0004 "sect193r1",
        Sect193r2 = 0x0005 "sect193r2",
        Sect233k1 = 0x0006 "sect233k1",
        Sect233r1 = 0x0007 "sect233r1",
        Sect239k1 = 0x0008 "sect239k1",
        Sect283k1 = 0x0009 "sect283k1",
        Sect283r1 = 0x000a "sect283r1",
        Sect409k1 = 0x000b "sect409k1",
        Sect409r1 = 0x000c "sect409r1",
        Sect571k1 = 0x000d "sect571k1",
        Sect571r1 = 0x000e "sect571r1",
        Secp160k1 = 0x000f "secp160k1",
        Secp160r1 = 0x0010 "secp160r1",
        Secp160r2 = 0x0011 "secp160r2",
        Secp192k1 = 0x0012 "secp192k1",
        Secp192r1 = 0x0013 "secp192r1",
        Secp224k1 = 0x0014 "secp224k1",
        Secp224r1 = 0x0015 "secp224r1",
        Secp256k1 = 0x0016 "secp256k1",
        Secp256r1 = 0x0017 "secp256r1",
        Secp384r1 = 0x0018 "secp384r1",
        Secp521r1 = 0x0019 "secp521r1",
        BrainpoolP256r1 = 0x001a "brainpoolP256r1",
        BrainpoolP384r1 = 0x001b "brainpoolP384r1",
        BrainpoolP512r1 = 0x001c "brainpoolP512r1",
        X25519 = 0x001d "x25519",
        X448 = 0x001e "x448",
        BrainpoolP256r1tls13 = 0x001f "brainpoolP256r1tls13",
        BrainpoolP384r1tls13 = 0x0020 "brainpoolP384r1tls13",
        BrainpoolP512r1tls13 = 0x0021 "brainpoolP512r1tls13",
        GC256A = 0x0022 "GC256A",
        GC256B = 0x0023 "GC256B",
        GC256C = 0x0024 "GC256C",
        GC256D = 0x0025 "GC256D",
        GC512A = 0x0026 "GC512A",
        GC512B = 0x0027 "GC512B",
        GC512C = 0x0028 "GC512C",
        CurveSM2 = 0x0029 "curveSM2",
        Ffdhe2048 = 0x0100 "ffdhe2048",
        Ffdhe3072 = 0x0101 "ffdhe3072",
        Ffdhe4096 = 0x0102 "ffdhe4096",
        Ffdhe6144 = 0x0103 "ffdhe6144",
        Ffdhe8192 = 0x0104 "ffdhe8192",
        MLKEM512 = 0x0200 "MLKEM512",
        MLKEM768 = 0x0201 "MLKEM768",
        MLKEM1024 = 0x0202 "MLKEM1024",
        SecP256r1MLKEM768 = 0x11eb "SecP256r1MLKEM768",
        X25519MLKEM768 = 0x11ec "X25519MLKEM768",
        SecP384r1MLKEM1024 = 0x11ed "SecP384r1MLKEM1024",
        CurveSM2MLKEM768 = 0x11ee "curveSM2MLKEM768",
        Cecpq2 = 0x4138 "CECPQ2",
        X25519Kyber768Draft00 = 0x6399 "X25519Kyber768Draft00",
        SecP256r1Kyber768Draft00 = 0x639a "SecP256r1Kyber768Draft00",
        ArbitraryExplicitPrimeCurves = 0xff01 "arbitrary_explicit_prime_curves",
        ArbitraryExplicitChar2Curves = 0xff02 "arbitrary_explicit_char2_curves",
    }
}

impl NamedGroup {
    /// Whether the group withstands quantum computers on its own: ML-KEM without a classical partner.
    #[must_use]
    pub const fn is_post_quantum(self) -> bool {
        matches!(self, Self::MLKEM512 | Self::MLKEM768 | Self::MLKEM1024)
    }

    /// Whether the group joins a classical key exchange with one that withstands quantum computers, the registered ones and
    /// those that were tried before.
    #[must_use]
    pub const fn is_post_quantum_hybrid(self) -> bool {
        matches!(
            self,
            Self::SecP256r1MLKEM768
                | Self::X25519MLKEM768
                | Self::SecP384r1MLKEM1024
                | Self::CurveSM2MLKEM768
                | Self::Cecpq2
                | Self::X25519Kyber768Draft00
                | Self::SecP256r1Kyber768Draft00
        )
    }
}

//! Whether a key exchange withstands a quantum computer.

use crate::event::TlsFacts;
use crate::tls::{KeyExchange, NamedGroup};

text_enum! {
    /// How the keys of a handshake were agreed on.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) enum Exchange {
        /// A post-quantum mechanism together with a classical one.
        Hybrid = "Post-quantum hybrid",
        /// A post-quantum mechanism alone.
        PostQuantum = "Post-quantum",
        /// Ephemeral or static Diffie-Hellman.
        Classical = "Classical Diffie-Hellman",
        /// The server's RSA key: no forward secrecy.
        Rsa = "RSA key transport",
        /// A pre-shared key alone: no forward secrecy, and nothing that a quantum computer breaks.
        Psk = "Pre-shared key only",
        /// The capture does not show it.
        Unknown = "Not visible",
    }
}

impl Exchange {
    /// How the keys of a handshake with a ServerHello were agreed on.
    pub(super) fn of(tls: &TlsFacts) -> Self {
        if let Some(group) = tls.group {
            return Self::of_group(group);
        }
        let suite = tls.cipher_suite.and_then(|suite| suite.key_exchange());
        match suite {
            Some(KeyExchange::Tls13) if tls.resumed == Some(true) => Self::Psk,
            Some(KeyExchange::Tls13) | None => Self::Unknown,
            Some(KeyExchange::Rsa | KeyExchange::RsaPsk) => Self::Rsa,
            Some(KeyExchange::Psk) => Self::Psk,
            Some(KeyExchange::Cecpq1) => Self::Hybrid,
            Some(_) => Self::Classical,
        }
    }

    fn of_group(group: NamedGroup) -> Self {
        match group {
            NamedGroup::MLKEM512 | NamedGroup::MLKEM768 | NamedGroup::MLKEM1024 => {
                Self::PostQuantum
            }
            group if is_post_quantum(group) => Self::Hybrid,
            _ => Self::Classical,
        }
    }
}

/// Whether the group has a post-quantum part.
pub(super) const fn is_post_quantum(group: NamedGroup) -> bool {
    matches!(
        group,
        NamedGroup::MLKEM512
            | NamedGroup::MLKEM768
            | NamedGroup::MLKEM1024
            | NamedGroup::SecP256r1MLKEM768
            | NamedGroup::X25519MLKEM768
            | NamedGroup::SecP384r1MLKEM1024
            | NamedGroup::CurveSM2MLKEM768
            | NamedGroup::Cecpq2
            | NamedGroup::X25519Kyber768Draft00
            | NamedGroup::SecP256r1Kyber768Draft00
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::CipherSuite;

    fn exchange(suite: CipherSuite, group: Option<NamedGroup>, resumed: bool) -> Exchange {
        Exchange::of(&TlsFacts {
            cipher_suite: Some(suite),
            group,
            resumed: Some(resumed),
            ..TlsFacts::default()
        })
    }

    #[test]
    fn the_group_decides_where_there_is_one() {
        let of = |group| exchange(CipherSuite(0x1301), Some(group), false);
        assert_eq!(of(NamedGroup::X25519MLKEM768), Exchange::Hybrid);
        assert_eq!(of(NamedGroup::MLKEM768), Exchange::PostQuantum);
        assert_eq!(of(NamedGroup::X25519), Exchange::Classical);
    }

    #[test]
    fn the_cipher_suite_decides_otherwise() {
        let of = |suite| exchange(CipherSuite(suite), None, false);
        assert_eq!(of(0x002f), Exchange::Rsa); // TLS_RSA_WITH_AES_128_CBC_SHA
        assert_eq!(of(0xc02f), Exchange::Classical); // TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        assert_eq!(of(0x008c), Exchange::Psk); // TLS_PSK_WITH_AES_128_CBC_SHA
        assert_eq!(of(0x1301), Exchange::Unknown);
        assert_eq!(exchange(CipherSuite(0x1301), None, true), Exchange::Psk);
        assert_eq!(Exchange::of(&TlsFacts::default()), Exchange::Unknown);
    }

    /// A group that is registered later must not count as classical by accident.
    #[test]
    fn every_group_whose_name_tells_a_post_quantum_part_counts_as_such() {
        for code in 0..=u16::MAX {
            let group = NamedGroup(code);
            let name = group.name().unwrap_or_default();
            let is_named = ["MLKEM", "Kyber", "CECPQ"]
                .iter()
                .any(|part| name.contains(part));
            assert_eq!(is_post_quantum(group), is_named, "{name}");
        }
    }
}

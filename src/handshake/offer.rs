//! What a ClientHello offers, in words, and whether it is so narrow that it explains a refusal.

use crate::tls::{
    CipherSuite, ClientHello, KeyExchange, NamedGroup, ProtocolVersion, SignatureScheme, is_grease,
};

/// Names in one list of a message: a clause for people, and the event lists all of them.
const NAMED: usize = 3;

/// What a client offers that its server refused, as in `TLS 1.2 and TLS 1.3, 31 cipher suites, ALPN h2, server name
/// example.org`.
pub(super) fn describe(hello: &ClientHello) -> String {
    let suites = suites(hello);
    let mut parts = vec![versions(&hello.offered_versions())];
    parts.push(match suites.as_slice() {
        few @ ([_] | [_, _]) => names(few),
        many => format!("{} cipher suites", many.len()),
    });
    if let Some(protocols) = &hello.alpn {
        parts.push(format!("ALPN {}", names(protocols)));
    }
    parts.push(match &hello.server_name {
        Some(name) => format!("server name `{name}`"),
        None => "no server name".to_owned(),
    });
    parts.join(", ")
}

/// Versions from the oldest to the newest, as in `TLS 1.0 to TLS 1.3`.
pub(super) fn versions(offered: &[ProtocolVersion]) -> String {
    let known = || offered.iter().filter(|version| !is_grease(version.0));
    // The numbers of DTLS count down.
    let oldest = known().min_by_key(|version| version.as_tls().0);
    let newest = known().max_by_key(|version| version.as_tls().0);
    match (oldest, newest) {
        (Some(oldest), Some(newest)) if oldest == newest => newest.to_string(),
        (Some(oldest), Some(newest)) => format!("{oldest} to {newest}"),
        _ => "no known version".to_owned(),
    }
}

/// The first names of a list, and how many more there are.
pub(super) fn names(list: &[impl ToString]) -> String {
    let mut shown: Vec<String> = list.iter().take(NAMED).map(ToString::to_string).collect();
    if list.len() > NAMED {
        shown.push(format!("{} more", list.len() - NAMED));
    }
    shown.join(", ")
}

/// Why a server may find nothing in common with this offer, although it finds something with most clients; `None` for an
/// offer as wide as that of an ordinary client.
///
/// A server without a usable certificate refuses every hello in the same way, so an ordinary offer explains nothing.
pub(super) fn narrowness(hello: &ClientHello) -> Option<String> {
    if !hello.is_whole() || hello.sslv2_cipher_specs.is_some() {
        return None; // not all of the offer is known
    }
    narrow_suites(hello)
        .or_else(|| narrow_groups(hello))
        .or_else(|| narrow_schemes(hello))
}

/// The suites that can be selected: no GREASE, and none that only signals something.
fn suites(hello: &ClientHello) -> Vec<CipherSuite> {
    let suites = hello.cipher_suites.iter().copied();
    suites
        .filter(|suite| suite.key_exchange().is_some())
        .collect()
}

pub(super) fn is_tls13(suite: &CipherSuite) -> bool {
    suite.key_exchange() == Some(KeyExchange::Tls13)
}

/// Fewer suites than this need a server that happens to support one of them: ordinary clients offer at least six up to
/// TLS 1.2, for RSA and for ECDSA.
const ORDINARY_SUITES: usize = 6;

fn narrow_suites(hello: &ClientHello) -> Option<String> {
    let suites = suites(hello);
    let (new, old): (Vec<_>, Vec<_>) = suites.iter().copied().partition(is_tls13);
    let offers_tls13 = hello.offers_tls13();
    let is_wide = |suite: &CipherSuite| {
        [
            CipherSuite::TLS_AES_128_GCM_SHA256,
            CipherSuite::TLS_AES_256_GCM_SHA384,
        ]
        .contains(suite)
    };
    // Servers of TLS 1.3 have one of these two suites.
    if suites.is_empty() || offers_tls13 && new.len() > 1 && new.iter().any(is_wide) {
        return None;
    }
    let usable = if offers_tls13 { suites } else { old };
    if usable.len() < ORDINARY_SUITES {
        return Some(format!("only {}", names(&usable)));
    }
    let mut keys = usable.iter().map(|suite| authentication(*suite));
    let first = keys.next()??;
    if keys.all(|key| key == Some(first)) {
        return Some(format!("only cipher suites {first}"));
    }
    let is_broken = |suite: &CipherSuite| {
        let name = suite.to_string();
        ["NULL", "RC4", "EXPORT", "_DES_", "3DES", "RC2"]
            .iter()
            .any(|broken| name.contains(broken))
    };
    usable
        .iter()
        .all(is_broken)
        .then(|| "only cipher suites that are broken".to_owned())
}

/// What the server must have for a suite up to TLS 1.2; `None` if that is not known.
fn authentication(suite: CipherSuite) -> Option<&'static str> {
    let exchange = suite.key_exchange()?;
    let name = suite.to_string();
    match exchange {
        KeyExchange::Tls13 => None,
        KeyExchange::Psk | KeyExchange::DhePsk | KeyExchange::EcdhePsk => {
            Some("with a pre-shared key")
        }
        KeyExchange::DhAnon | KeyExchange::EcdhAnon => Some("without authentication"),
        _ if name.contains("ECDSA") => Some("for ECDSA certificates"),
        _ if name.contains("DSS") => Some("for DSA certificates"),
        _ if name.contains("RSA") => Some("for RSA certificates"),
        _ => None,
    }
}

fn narrow_groups(hello: &ClientHello) -> Option<String> {
    let groups = hello.groups.as_ref()?;
    let groups: Vec<NamedGroup> = groups
        .iter()
        .copied()
        .filter(|group| !is_grease(group.0))
        .collect();
    let needs_none = |suite: &CipherSuite| {
        let exchange = suite.key_exchange();
        exchange.is_some_and(KeyExchange::is_without_group) || exchange == Some(KeyExchange::Dhe)
    };
    let offered = hello.offered_versions();
    let mut versions = offered.iter().filter(|version| !is_grease(version.0));
    let requires_tls13 = versions.all(|version| version.is_tls13());
    let is_common = groups.contains(&NamedGroup::Secp256r1)
        || groups.contains(&NamedGroup::X25519) && groups.len() > 1;
    let is_free = !requires_tls13 && suites(hello).iter().any(needs_none);
    (!groups.is_empty() && !is_common && !is_free).then(|| match groups.as_slice() {
        [one] => format!("only the group {one}"),
        many => format!("only the groups {}", names(many)),
    })
}

fn narrow_schemes(hello: &ClientHello) -> Option<String> {
    let schemes = hello.signature_algorithms.as_ref()?;
    let mut families = schemes
        .iter()
        .filter(|scheme| !is_grease(scheme.0))
        .map(|scheme| family(*scheme));
    let first = families.next()?;
    (families.all(|family| family == first))
        .then_some(first?)
        .map(|family| format!("only signatures of type {family}"))
}

/// The kind of key that a signature scheme is for; `None` if it is not one of those in common use.
pub(super) fn family(scheme: SignatureScheme) -> Option<&'static str> {
    let name = scheme.to_string();
    let families = [
        ("rsa", "RSA"),
        ("ecdsa", "ECDSA"),
        ("ed", "EdDSA"),
        ("mldsa", "ML-DSA"),
        ("dsa", "DSA"),
    ];
    let (_, family) = families
        .iter()
        .find(|(prefix, _)| name.starts_with(prefix))?;
    Some(family)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Suites of TLS 1.2 that an ordinary client offers.
    const ORDINARY: [CipherSuite; 6] = [
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ];

    fn hello(change: impl FnOnce(&mut ClientHello)) -> ClientHello {
        let mut hello = ClientHello::default();
        hello.legacy_version = ProtocolVersion::TLSv1_2;
        hello.cipher_suites = ORDINARY.to_vec();
        hello.groups = Some(vec![NamedGroup::X25519, NamedGroup::Secp256r1]);
        hello.signature_algorithms = Some(vec![
            SignatureScheme::EcdsaSecp256r1Sha256,
            SignatureScheme::RsaPssRsaeSha256,
        ]);
        change(&mut hello);
        hello
    }

    #[test]
    fn versions_are_named_from_the_oldest_to_the_newest() {
        let [old, new] = [ProtocolVersion::TLSv1_0, ProtocolVersion::TLSv1_3];
        assert_eq!(versions(&[new, old]), "TLS 1.0 to TLS 1.3");
        let [old, new] = [ProtocolVersion::DTLSv1_2, ProtocolVersion::DTLSv1_3];
        assert_eq!(versions(&[new, old]), "DTLS 1.2 to DTLS 1.3");
    }

    fn narrow(change: impl FnOnce(&mut ClientHello)) -> Option<String> {
        narrowness(&hello(change))
    }

    #[test]
    fn an_ordinary_offer_is_not_narrow_and_fewer_suites_are() {
        assert_eq!(narrow(|_| {}), None);
        assert_eq!(
            narrow(|hello| hello.cipher_suites.truncate(5)).as_deref(),
            Some(
                "only TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, \
                 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, 2 more"
            )
        );
        // Signals and GREASE are no suites.
        let signals = [
            CipherSuite::TLS_EMPTY_RENEGOTIATION_INFO_SCSV,
            CipherSuite(0x0a0a),
        ];
        let few = narrow(|hello| {
            hello.cipher_suites.truncate(5);
            hello.cipher_suites.extend(signals);
        });
        assert!(few.is_some());
    }

    #[test]
    fn suites_for_one_kind_of_key_are_narrow_however_many_there_are() {
        let rsa = [0x009c, 0x009d, 0x002f, 0x0035, 0xc02f, 0xc030].map(CipherSuite);
        let only_rsa = narrow(|hello| hello.cipher_suites = rsa.to_vec());
        assert_eq!(
            only_rsa.as_deref(),
            Some("only cipher suites for RSA certificates")
        );
        let both = narrow(|hello| {
            hello.cipher_suites = rsa.to_vec();
            hello.cipher_suites.push(ORDINARY[0]);
        });
        assert_eq!(both, None);
        let broken = [0x0004, 0x0005, 0x000a, 0xc008, 0xc007, 0xc011].map(CipherSuite);
        let broken = narrow(|hello| hello.cipher_suites = broken.to_vec());
        assert_eq!(
            broken.as_deref(),
            Some("only cipher suites that are broken")
        );
    }

    #[test]
    fn two_suites_of_tls13_are_enough_if_that_version_is_offered() {
        let both = [
            CipherSuite::TLS_AES_128_GCM_SHA256,
            CipherSuite::TLS_AES_256_GCM_SHA384,
        ];
        let offered = |versions: &[ProtocolVersion], suites: &[CipherSuite]| {
            narrow(|hello| {
                hello.supported_versions = Some(versions.to_vec());
                hello.cipher_suites = suites.to_vec();
            })
        };
        assert_eq!(offered(&[ProtocolVersion::TLSv1_3], &both), None);
        assert!(offered(&[ProtocolVersion::TLSv1_3], &both[..1]).is_some());
        assert!(offered(&[ProtocolVersion::TLSv1_2], &both).is_some());
    }

    #[test]
    fn groups_are_narrow_without_those_that_all_servers_have() {
        let groups = |groups: &[NamedGroup]| narrow(|hello| hello.groups = Some(groups.to_vec()));
        assert_eq!(groups(&[NamedGroup::Secp256r1]), None);
        assert_eq!(
            groups(&[NamedGroup::X25519MLKEM768]).as_deref(),
            Some("only the group X25519MLKEM768")
        );
        assert!(groups(&[NamedGroup::X25519]).is_some());
        assert_eq!(
            groups(&[NamedGroup::X25519, NamedGroup::X25519MLKEM768]),
            None
        );
        // RSA key exchange needs no group.
        let without = narrow(|hello| {
            hello.groups = Some(vec![NamedGroup::X25519]);
            hello
                .cipher_suites
                .push(CipherSuite::TLS_RSA_WITH_AES_128_CBC_SHA);
        });
        assert_eq!(without, None);
    }

    #[test]
    fn signature_schemes_of_one_kind_are_narrow() {
        let schemes = |schemes: &[SignatureScheme]| {
            narrow(|hello| hello.signature_algorithms = Some(schemes.to_vec()))
        };
        let ecdsa = [
            SignatureScheme::EcdsaSecp256r1Sha256,
            SignatureScheme::EcdsaSecp384r1Sha384,
        ];
        assert_eq!(
            schemes(&ecdsa).as_deref(),
            Some("only signatures of type ECDSA")
        );
        assert_eq!(schemes(&[ecdsa[0], SignatureScheme::Ed25519]), None);
    }

    #[test]
    fn an_offer_that_is_not_all_there_explains_nothing() {
        let partial = narrow(|hello| {
            hello.cipher_suites.truncate(1);
            hello.is_partial = true;
        });
        assert_eq!(partial, None);
        let sslv2 = narrow(|hello| {
            hello.cipher_suites.truncate(1);
            hello.sslv2_cipher_specs = Some(vec![]);
        });
        assert_eq!(sslv2, None);
    }

    #[test]
    fn an_offer_is_described_in_a_clause() {
        let hello = hello(|hello| {
            hello.supported_versions = Some(vec![
                ProtocolVersion(0x2a2a),
                ProtocolVersion::TLSv1_3,
                ProtocolVersion::TLSv1_2,
            ]);
            hello.alpn = Some(["h2", "http/1.1", "a", "b"].map(str::to_owned).to_vec());
            hello.server_name = Some("example.org".to_owned());
        });
        assert_eq!(
            describe(&hello),
            "TLS 1.2 to TLS 1.3, 6 cipher suites, ALPN h2, http/1.1, a, 1 more, server name `example.org`"
        );
    }
}

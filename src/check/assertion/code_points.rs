//! Cipher suites, groups and signature schemes: what the server selects and what the client offers.

use std::fmt::Display;

use super::Compliance::{self, NotApplicable, Satisfied, Undetermined, Violated};
use super::allow_list::ListKind::{self, Allowed, Forbidden};
use super::code_point_set::{CodePointSet, Registry};
use super::in_view::nothing_selected;
use super::{Assertion, Assertions, InScope, PolicyKey, one};
use crate::check::policy_entry::{PolicyEntry, Result};
use crate::event::Handshake;
use crate::tls::{CipherSuite, KeyExchange, NamedGroup, SignatureScheme, is_grease};

pub(super) const KEYS: &[PolicyKey] = &[
    PolicyKey {
        name: "allowed-suites",
        example: r#"["TLS_AES_*", "0xc02f"]"#,
        doc: "the selected cipher suite is one of these: names (IANA's or OpenSSL's), patterns or numbers",
        read: |entry| read(entry, Field::SelectedSuite, Allowed),
    },
    PolicyKey {
        name: "forbidden-suites",
        example: r#""*_CBC_*""#,
        doc: "the selected cipher suite is none of these",
        read: |entry| read(entry, Field::SelectedSuite, Forbidden),
    },
    PolicyKey {
        name: "allowed-offered-suites",
        example: r#""TLS_AES_*""#,
        doc: "the client offers no other cipher suites; GREASE and signalling values do not count",
        read: |entry| read(entry, Field::OfferedSuites, Allowed),
    },
    PolicyKey {
        name: "forbidden-offered-suites",
        example: r#"["*_RC4_*", "*_3DES_*"]"#,
        doc: "the client offers none of these cipher suites",
        read: |entry| read(entry, Field::OfferedSuites, Forbidden),
    },
    PolicyKey {
        name: "allowed-groups",
        example: r#"["X25519MLKEM768", "x25519"]"#,
        doc: "the group of the key exchange is one of these; a key exchange without a group violates this",
        read: |entry| read(entry, Field::SelectedGroup, Allowed),
    },
    PolicyKey {
        name: "forbidden-groups",
        example: r#""sect*""#,
        doc: "the group of the key exchange is none of these",
        read: |entry| read(entry, Field::SelectedGroup, Forbidden),
    },
    PolicyKey {
        name: "allowed-offered-groups",
        example: r#"["x25519", "secp*"]"#,
        doc: "the client offers no other groups; GREASE does not count",
        read: |entry| read(entry, Field::OfferedGroups, Allowed),
    },
    PolicyKey {
        name: "forbidden-offered-groups",
        example: r#""sect*""#,
        doc: "the client offers none of these groups",
        read: |entry| read(entry, Field::OfferedGroups, Forbidden),
    },
    PolicyKey {
        name: "allowed-offered-signature-schemes",
        example: r#"["ecdsa_*", "rsa_pss_*"]"#,
        doc: "the client offers no other signature schemes; GREASE does not count",
        read: |entry| read(entry, Field::OfferedSignatureSchemes, Allowed),
    },
    PolicyKey {
        name: "forbidden-offered-signature-schemes",
        example: r#""*_sha1""#,
        doc: "the client offers none of these signature schemes",
        read: |entry| read(entry, Field::OfferedSignatureSchemes, Forbidden),
    },
];

fn read(entry: &PolicyEntry<'_>, field: Field, list: ListKind) -> Result<Assertions> {
    let codes = CodePointSet::read(entry, field.registry())?;
    one(CodePoints { field, list, codes })
}

/// Which code points an assertion is about.
#[derive(Clone, Copy, Debug)]
enum Field {
    SelectedSuite,
    OfferedSuites,
    SelectedGroup,
    OfferedGroups,
    /// Events do not have the scheme that is used.
    OfferedSignatureSchemes,
}

impl Field {
    const fn registry(self) -> Registry {
        match self {
            Self::SelectedSuite | Self::OfferedSuites => Registry::CipherSuites,
            Self::SelectedGroup | Self::OfferedGroups => Registry::Groups,
            Self::OfferedSignatureSchemes => Registry::SignatureSchemes,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::SelectedSuite => "cipher suite",
            Self::OfferedSuites => "cipher suites offered",
            Self::SelectedGroup => "group",
            Self::OfferedGroups => "groups offered",
            Self::OfferedSignatureSchemes => "signature schemes offered",
        }
    }
}

#[derive(Debug)]
struct CodePoints {
    field: Field,
    list: ListKind,
    codes: CodePointSet,
}

impl Assertion for CodePoints {
    fn requirement(&self) -> String {
        self.list
            .requirement(self.field.label(), self.codes.written())
    }

    fn evaluate(&self, InScope { event, .. }: InScope<'_>) -> Compliance {
        let is_refused = |code: u16| !self.list.allows(self.codes.contains(code));
        let tls = &event.tls;
        match self.field {
            Field::SelectedSuite => match tls.cipher_suite {
                Some(suite) if is_refused(suite.0) => Violated(format!("{suite} was selected")),
                Some(_) => Satisfied,
                None => nothing_selected(event),
            },
            Field::SelectedGroup => match tls.group {
                Some(group) if is_refused(group.0) => Violated(format!("{group} was selected")),
                Some(_) => Satisfied,
                None => no_group(self.list, event),
            },
            Field::OfferedSuites => {
                let suites = tls.sslv2_cipher_specs.as_deref().map(suites_of_sslv2);
                offered(
                    suites.as_deref().or(tls.offered_cipher_suites.as_deref()),
                    |suite: &CipherSuite| {
                        is_refused(suite.0) && !is_signal(*suite) && !is_grease(suite.0)
                    },
                    "no list of cipher suites in view",
                )
            }
            Field::OfferedGroups => offered(
                tls.offered_groups.as_deref(),
                |group: &NamedGroup| is_refused(group.0) && !is_grease(group.0),
                "no list of groups in view",
            ),
            Field::OfferedSignatureSchemes => offered(
                tls.signature_algorithms.as_deref(),
                |scheme: &SignatureScheme| is_refused(scheme.0) && !is_grease(scheme.0),
                "no list of signature schemes in view",
            ),
        }
    }
}

/// The suites among an SSLv2 hello's cipher specs: those with a leading zero byte (RFC 5246, appendix E.2).
/// The others belong to SSLv2 itself, and policies have no names for them.
fn suites_of_sslv2(specs: &[u32]) -> Vec<CipherSuite> {
    let suites = specs.iter().filter_map(|spec| u16::try_from(*spec).ok());
    suites.map(CipherSuite).collect()
}

/// Whether a suite only signals something: RFC 5746 §3.3, RFC 7507 §2.
fn is_signal(suite: CipherSuite) -> bool {
    matches!(
        suite,
        CipherSuite::TLS_EMPTY_RENEGOTIATION_INFO_SCSV | CipherSuite::TLS_FALLBACK_SCSV
    )
}

/// Lists of allowed groups also enforce forward secrecy, so a key exchange without any group violates them.
fn no_group(list: ListKind, event: &Handshake) -> Compliance {
    let Some(suite) = event.tls.cipher_suite else {
        return nothing_selected(event);
    };
    if event.tls.resumed == Some(true) {
        return NotApplicable;
    }
    let key_exchange = suite.key_exchange();
    let is_without_group = key_exchange.is_some_and(KeyExchange::is_without_group);
    match (is_without_group, list) {
        (true, Allowed) => Violated(format!("{suite} exchanges keys without any group")),
        (true, Forbidden) => NotApplicable,
        (false, _) => Undetermined("group not in view"),
    }
}

/// Offers are long, and a few of those refused show what is wrong.
const SHOWN: usize = 3;

fn offered<T: Display>(
    offers: Option<&[T]>,
    is_refused: impl Fn(&T) -> bool,
    missing: &'static str,
) -> Compliance {
    let Some(offers) = offers else {
        return Undetermined(missing);
    };
    let mut refused = offers.iter().filter(|offer| is_refused(offer));
    let mut names: Vec<_> = refused
        .by_ref()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect();
    let more = refused.count();
    if names.is_empty() {
        return Satisfied;
    }
    if more > 0 {
        names.push(format!("{more} more"));
    }
    Violated(format!("{} offered", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{compliance, is_undetermined, is_violated};
    use super::*;
    use crate::event::Resumption;
    use crate::sink::test_events::refused_by_the_client;

    #[test]
    fn suites_are_allowed_or_forbidden() {
        let event = refused_by_the_client(); // TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        assert_eq!(compliance("allowed-suites = '*_GCM_*'", &event), Satisfied);
        assert!(is_violated("forbidden-suites = '*_GCM_*'", &event));
        assert!(is_violated("allowed-suites = '*_CBC_*'", &event));
    }

    #[test]
    fn offers_are_evaluated_without_grease_and_signals() {
        let rule = "allowed-offered-suites = 'TLS_AES_*'";
        let mut event = refused_by_the_client();
        let grease = CipherSuite(0x1a1a);
        let signal = CipherSuite::TLS_EMPTY_RENEGOTIATION_INFO_SCSV;
        event.tls.offered_cipher_suites = Some([grease, signal, CipherSuite(0x1301)].into());
        assert_eq!(compliance(rule, &event), Satisfied);
        let rc4 = CipherSuite::TLS_RSA_WITH_RC4_128_MD5;
        event.tls.offered_cipher_suites = Some([rc4; 5].into());
        let Violated(why) = compliance(rule, &event) else {
            panic!("RC4 is not allowed")
        };
        assert!(why.ends_with(", 2 more offered"), "{why}");
    }

    #[test]
    fn the_suites_in_an_sslv2_hello_count_as_offered() {
        let mut event = refused_by_the_client();
        event.tls.offered_cipher_suites = None;
        event.tls.sslv2_cipher_specs = Some(vec![0x07_00c0, 0x0a]); // 3DES, of SSLv2 and of SSLv3
        assert!(is_violated("forbidden-offered-suites = '*_3DES_*'", &event));
        let allowed = compliance("allowed-offered-suites = '*_3DES_*'", &event);
        assert_eq!(allowed, Satisfied);
    }

    #[test]
    fn a_key_exchange_without_a_group_is_on_no_list_of_allowed_groups() {
        let (allowed, forbidden) = ("allowed-groups = 'x25519'", "forbidden-groups = 'x25519'");
        let mut event = refused_by_the_client();
        event.tls.group = None;
        assert!(is_undetermined(allowed, &event));
        event.tls.cipher_suite = Some(CipherSuite::TLS_RSA_WITH_AES_128_CBC_SHA);
        assert!(is_violated(allowed, &event));
        assert_eq!(compliance(forbidden, &event), NotApplicable);
        event.tls.resumed = Some(true);
        event.tls.resumption = Some(Resumption::Ticket);
        assert_eq!(compliance(allowed, &event), NotApplicable);
    }
}

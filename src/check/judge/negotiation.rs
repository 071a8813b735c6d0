//! Assertions on what was offered and selected.

use super::{Broken, Held, Judgement, NO_CLIENT_HELLO, NotConcerned, NotJudged, nothing_selected};
use crate::check::names::Codes;
use crate::check::policy::{List, Subject};
use crate::event::{Evidence, Handshake};
use crate::tls::{
    CipherSuite, KeyExchange, NamedGroup, ProtocolVersion, SignatureScheme, is_grease,
};

pub(super) fn min_version(wanted: ProtocolVersion, event: &Handshake) -> Judgement {
    let Some(version) = event.tls.version else {
        return nothing_selected(event);
    };
    match (rank(version), rank(wanted)) {
        (Some(rank), Some(wanted)) if rank >= wanted => Held,
        (Some(_), Some(_)) => Broken(format!("{version} was selected")),
        _ => NotJudged("a version that no one knows"),
    }
}

/// Versions in order, each DTLS beside the TLS that it is made of, drafts of TLS 1.3 as that.
fn rank(version: ProtocolVersion) -> Option<u16> {
    let tls = match version {
        ProtocolVersion::DTLSv1_0 => ProtocolVersion::TLSv1_1,
        ProtocolVersion::DTLSv1_2 => ProtocolVersion::TLSv1_2,
        ProtocolVersion::DTLSv1_3 => ProtocolVersion::TLSv1_3,
        version if version.is_tls13() => ProtocolVersion::TLSv1_3,
        version => version,
    };
    (tls.name().is_some()).then_some(tls.0)
}

pub(super) fn codes(subject: Subject, list: List, codes: &Codes, event: &Handshake) -> Judgement {
    let is_refused = |code: u16| codes.contains(code) != (list == List::Allowed);
    let tls = &event.tls;
    match subject {
        Subject::Suite => match tls.cipher_suite {
            Some(suite) if is_refused(suite.0) => Broken(format!("{suite} was selected")),
            Some(_) => Held,
            None => nothing_selected(event),
        },
        Subject::Group => match tls.group {
            Some(group) if is_refused(group.0) => Broken(format!("{group} was selected")),
            Some(_) => Held,
            None => no_group(list, event),
        },
        Subject::OfferedSuites => {
            let suites = tls.sslv2_cipher_specs.as_deref().map(suites_of_sslv2);
            offered(
                suites.as_deref().or(tls.offered_cipher_suites.as_deref()),
                |suite: &CipherSuite| {
                    is_refused(suite.0) && !is_signal(*suite) && !is_grease(suite.0)
                },
                "no list of cipher suites in view",
            )
        }
        Subject::OfferedGroups => offered(
            tls.offered_groups.as_deref(),
            |group: &NamedGroup| is_refused(group.0) && !is_grease(group.0),
            "no list of groups in view",
        ),
        Subject::OfferedSignatureSchemes => offered(
            tls.signature_algorithms.as_deref(),
            |scheme: &SignatureScheme| is_refused(scheme.0) && !is_grease(scheme.0),
            "no list of signature schemes in view",
        ),
    }
}

/// The suites among an SSLv2 hello's cipher specs: those with a leading zero byte (RFC 5246, appendix E.2).
/// The others are SSLv2's own, and no name in a policy stands for them.
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

/// A list of allowed groups is there for forward secrecy, too: no group at all is not allowed by it.
fn no_group(list: List, event: &Handshake) -> Judgement {
    let Some(suite) = event.tls.cipher_suite else {
        return nothing_selected(event);
    };
    if event.tls.resumed == Some(true) {
        return NotConcerned;
    }
    let key_exchange = suite.key_exchange();
    let is_without_group = key_exchange.is_some_and(KeyExchange::is_without_group);
    match (is_without_group, list) {
        (true, List::Allowed) => Broken(format!("{suite} exchanges keys without any group")),
        (true, List::Forbidden) => NotConcerned,
        (false, _) => NotJudged("group not in view"),
    }
}

/// Offers are long: a few of those refused tell enough.
const SHOWN: usize = 3;

fn offered<T: std::fmt::Display>(
    offers: Option<&[T]>,
    is_refused: impl Fn(&T) -> bool,
    missing: &'static str,
) -> Judgement {
    let Some(offers) = offers else {
        return NotJudged(missing);
    };
    let mut refused = offers.iter().filter(|offer| is_refused(offer));
    let mut names: Vec<_> = refused
        .by_ref()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect();
    let more = refused.count();
    if names.is_empty() {
        return Held;
    }
    if more > 0 {
        names.push(format!("{more} more"));
    }
    Broken(format!("{} offered", names.join(", ")))
}

pub(super) fn server_name(event: &Handshake) -> Judgement {
    match (&event.tls.server_name, &event.tls.offered_cipher_suites) {
        (Some(_), _) => Held,
        (None, Some(_)) => Broken("the client named no server".to_owned()),
        (None, None) if event.tls.sslv2_cipher_specs.is_some() => {
            Broken("the client named no server: an SSLv2 hello cannot".to_owned())
        }
        (None, None) => NotJudged(NO_CLIENT_HELLO),
    }
}

/// `allowed`: the protocols that will do; `None`: any.
pub(super) fn alpn(allowed: Option<&[String]>, event: &Handshake) -> Judgement {
    let tls = &event.tls;
    if let Some(selected) = &tls.alpn {
        return match allowed {
            Some(allowed) if !allowed.contains(selected) => {
                Broken(format!("`{selected}` was selected"))
            }
            _ => Held,
        };
    }
    let hello_seen = tls.offered_cipher_suites.is_some() || tls.sslv2_cipher_specs.is_some();
    if hello_seen && tls.alpn_offered.is_none() {
        return Broken("the client offers no application protocol".to_owned());
    }
    match tls.version {
        None => nothing_selected(event),
        Some(version) if version.is_tls13() && event.evidence != Evidence::Decrypted => {
            NotJudged("the selected application protocol is encrypted (TLS 1.3)")
        }
        Some(_) => Broken("the server selected no application protocol".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::names::Registry;
    use crate::event::{Outcome, Resumption};
    use crate::sink::test_events::{barely_seen, completed, refused_by_the_client};

    fn set(patterns: &[&str], registry: Registry) -> Codes {
        let patterns: Vec<_> = patterns.iter().map(|&pattern| pattern.into()).collect();
        Codes::resolve(&patterns, registry).unwrap()
    }

    fn is_broken(judgement: &Judgement) -> bool {
        matches!(judgement, Broken(_))
    }

    #[test]
    fn versions_are_compared_across_protocols() {
        let judged = |version, wanted| {
            let mut event = completed();
            event.tls.version = Some(version);
            min_version(wanted, &event)
        };
        use ProtocolVersion as V;
        assert_eq!(judged(V::TLSv1_2, V::TLSv1_2), Held);
        assert!(is_broken(&judged(V::TLSv1_1, V::TLSv1_2)));
        assert_eq!(judged(V::DTLSv1_2, V::TLSv1_2), Held);
        assert!(is_broken(&judged(V::DTLSv1_0, V::TLSv1_2)));
        assert!(is_broken(&judged(V::SSLv2, V::SSLv3)));
        assert_eq!(judged(V(0x7f1c), V::TLSv1_3), Held);
        assert!(matches!(judged(V(0x0305), V::TLSv1_2), NotJudged(_)));
    }

    #[test]
    fn where_nothing_was_selected_a_failure_is_not_concerned_and_the_rest_not_judged() {
        let mut event = barely_seen();
        let judged = |event: &Handshake| min_version(ProtocolVersion::TLSv1_2, event);
        assert!(matches!(judged(&event), NotJudged(_)));
        event.outcome = Outcome::Failure;
        assert_eq!(judged(&event), NotConcerned);
    }

    #[test]
    fn suites_are_allowed_or_forbidden() {
        let event = refused_by_the_client(); // TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        let gcm = set(&["*_GCM_*"], Registry::CipherSuites);
        assert_eq!(codes(Subject::Suite, List::Allowed, &gcm, &event), Held);
        assert!(is_broken(&codes(
            Subject::Suite,
            List::Forbidden,
            &gcm,
            &event
        )));
        let cbc = set(&["*_CBC_*"], Registry::CipherSuites);
        assert!(is_broken(&codes(
            Subject::Suite,
            List::Allowed,
            &cbc,
            &event
        )));
    }

    #[test]
    fn offers_are_judged_without_grease_and_signals() {
        let mut event = refused_by_the_client();
        let grease = CipherSuite(0x1a1a);
        let signal = CipherSuite::TLS_EMPTY_RENEGOTIATION_INFO_SCSV;
        event.tls.offered_cipher_suites = Some(vec![grease, signal, CipherSuite(0x1301)]);
        let allowed = set(&["TLS_AES_*"], Registry::CipherSuites);
        let judged =
            |event: &Handshake| codes(Subject::OfferedSuites, List::Allowed, &allowed, event);
        assert_eq!(judged(&event), Held);
        let rc4 = CipherSuite::TLS_RSA_WITH_RC4_128_MD5;
        event.tls.offered_cipher_suites = Some(vec![rc4; 5]);
        let Broken(why) = judged(&event) else {
            panic!("RC4 is not allowed")
        };
        assert!(why.ends_with(", 2 more offered"), "{why}");
    }

    #[test]
    fn the_suites_in_an_sslv2_hello_count_as_offered() {
        let mut event = refused_by_the_client();
        event.tls.offered_cipher_suites = None;
        event.tls.sslv2_cipher_specs = Some(vec![0x07_00c0, 0x0a]); // 3DES, as SSLv2 and as SSLv3 has it
        let old = set(&["*_3DES_*"], Registry::CipherSuites);
        assert!(is_broken(&codes(
            Subject::OfferedSuites,
            List::Forbidden,
            &old,
            &event
        )));
        assert_eq!(
            codes(Subject::OfferedSuites, List::Allowed, &old, &event),
            Held
        );
    }

    #[test]
    fn a_key_exchange_without_a_group_is_on_no_list_of_allowed_groups() {
        let mut event = refused_by_the_client();
        event.tls.group = None;
        let modern = set(&["x25519"], Registry::Groups);
        let judged = |event: &Handshake, list| codes(Subject::Group, list, &modern, event);
        assert!(matches!(judged(&event, List::Allowed), NotJudged(_)));
        event.tls.cipher_suite = Some(CipherSuite::TLS_RSA_WITH_AES_128_CBC_SHA);
        assert!(is_broken(&judged(&event, List::Allowed)));
        assert_eq!(judged(&event, List::Forbidden), NotConcerned);
        event.tls.resumed = Some(true);
        event.tls.resumption = Some(Resumption::Ticket);
        assert_eq!(judged(&event, List::Allowed), NotConcerned);
    }

    #[test]
    fn a_server_name_is_missed_only_where_a_hello_was_seen() {
        let mut event = refused_by_the_client();
        assert_eq!(server_name(&event), Held);
        event.tls.server_name = None;
        assert!(is_broken(&server_name(&event)));
        assert_eq!(server_name(&barely_seen()), NotJudged(NO_CLIENT_HELLO));
    }

    #[test]
    fn application_protocols_are_hidden_in_tls_1_3_unless_decrypted() {
        let mut event = refused_by_the_client(); // h2
        let h2 = ["h2".to_owned()];
        let old = ["http/1.1".to_owned()];
        assert_eq!(alpn(Some(&h2), &event), Held);
        assert!(is_broken(&alpn(Some(&old), &event)));
        event.tls.alpn = None;
        assert!(is_broken(&alpn(None, &event)));
        event.tls.version = Some(ProtocolVersion::TLSv1_3);
        assert!(matches!(alpn(None, &event), NotJudged(_)));
        event.evidence = Evidence::Decrypted;
        assert!(is_broken(&alpn(None, &event)));
        event.evidence = Evidence::Inferred;
        event.tls.alpn_offered = None;
        assert!(is_broken(&alpn(None, &event)), "not even offered");
    }
}

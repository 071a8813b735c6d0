//! Assertions on certificates.

use super::{Broken, Held, Judgement, NotConcerned, NotJudged, nothing_selected};
use crate::certificate::{CertificateFacts, CertificateTime};
use crate::check::Context;
use crate::check::names::Patterns;
use crate::check::policy::{LeafField, List, Presence};
use crate::event::{CertificateChain, ClientCertificate, ErrorType, Finding, Handshake, Side};
use crate::tls::{CipherSuite, KeyExchange};

const DAY: f64 = 86_400.0;
const UNREADABLE: &str = "a certificate cannot be read";

pub(super) fn leaf(
    field: LeafField,
    list: List,
    patterns: &Patterns,
    event: &Handshake,
) -> Judgement {
    of_leaf(event, |facts| {
        let (what, value) = match field {
            LeafField::Key => ("key", facts.key.to_string()),
            LeafField::SignatureAlgorithm => ("signature", facts.signature_algorithm.to_string()),
        };
        if patterns.matches(&value) == (list == List::Allowed) {
            Held
        } else {
            Broken(format!("the {what} of `{}` is {value}", subject_of(facts)))
        }
    })
}

pub(super) fn max_lifetime(days: f64, event: &Handshake) -> Judgement {
    of_leaf(event, |facts| {
        let seconds = facts.lifetime() as f64;
        if seconds <= days * DAY {
            Held
        } else {
            Broken(format!(
                "`{}` is valid for {:.1} days in all",
                subject_of(facts),
                seconds / DAY
            ))
        }
    })
}

pub(super) fn min_rsa_bits(bits: u32, event: &Handshake) -> Judgement {
    of_all(event, |_, facts| {
        (facts.key.rsa_bits()? < bits as usize)
            .then(|| format!("`{}` has a key of type {}", subject_of(facts), facts.key))
    })
}

/// A certificate that is out of date counts unless the chain was found to do without it.
pub(super) fn min_days_valid(days: f64, event: &Handshake, context: Context) -> Judgement {
    let is_excused = |side: Side, wrong: ErrorType| {
        let mut findings = event.validation.iter();
        context.chains_are_validated
            && !findings.any(|finding| finding.side == side && finding.error_type == wrong)
    };
    of_all(event, |side, facts| {
        let left = facts.expiry(event.judged_at).days();
        let judged_at = CertificateTime::from(event.judged_at);
        let subject = subject_of(facts);
        if facts.not_after < judged_at {
            let expired = || format!("`{subject}` expired {:.1} days before", -left);
            (!is_excused(side, ErrorType::CertExpired)).then(expired)
        } else if facts.not_before > judged_at {
            let early = facts.not_before.seconds_since(judged_at) as f64 / DAY;
            let too_early = || format!("`{subject}` is not valid until {early:.1} days later");
            (!is_excused(side, ErrorType::CertNotYetValid)).then(too_early)
        } else {
            let left = left.max(0.0); // the last second counts as a whole
            (left < days).then(|| format!("`{subject}` is valid for {left:.1} days more"))
        }
    })
}

/// Findings that only a validation of the chain against a trust store makes.
const FROM_VALIDATION: [ErrorType; 3] = [
    ErrorType::UntrustedCa,
    ErrorType::UnknownCa,
    ErrorType::IncompleteChain,
];

pub(super) fn findings(types: &[ErrorType], event: &Handshake, context: Context) -> Judgement {
    // Of a certificate that is its own issuer no more is found: where roots are known, it is none of theirs.
    let wants_trust = context.chains_are_validated && types.contains(&ErrorType::UntrustedCa);
    let bad =
        |found: &ErrorType| types.contains(found) || wants_trust && *found == ErrorType::SelfSigned;
    if let Some(finding) = event
        .validation
        .iter()
        .find(|finding| bad(&finding.error_type))
    {
        return Broken(format!(
            "{}, {}'s `{}`: {}",
            finding.error_type, finding.side, finding.subject, finding.detail
        ));
    }
    let seen = of_all(event, |_, _| None);
    if seen != Held || !FROM_VALIDATION.iter().any(bad) {
        return seen;
    }
    let is_unsupported =
        |finding: &Finding| finding.error_type == ErrorType::UnsupportedCertificate;
    if !context.chains_are_validated {
        NotJudged("chains are not validated against a trust store")
    } else if event.validation.iter().any(is_unsupported) {
        NotJudged("a chain has an algorithm or extension that is not supported")
    } else {
        Held
    }
}

pub(super) fn client(presence: Presence, event: &Handshake) -> Judgement {
    use ClientCertificate::{Absent, NotRequested, Presented, Requested, Unknown};
    let broken = |why: &str| Broken(why.to_owned());
    match (presence, event.tls.client_certificate) {
        (Presence::Required, Presented) | (Presence::Forbidden, NotRequested | Absent) => Held,
        (Presence::Forbidden, Presented) => broken("the client showed a certificate"),
        (_, Unknown) if event.tls.version.is_none() => nothing_selected(event),
        (Presence::Required, _) if event.tls.resumed == Some(true) => {
            NotJudged("resumed: the client was authenticated earlier, or not")
        }
        (Presence::Required, NotRequested) => broken("the server asked for no client certificate"),
        (Presence::Required, Absent) => broken("the client had no certificate"),
        (_, Requested) => NotJudged("the client's answer is not in view"),
        (_, Unknown) => NotJudged("whether the client showed a certificate is not in view"),
    }
}

/// Judges the server's leaf, where it is in view.
fn of_leaf(event: &Handshake, judge: impl Fn(&CertificateFacts) -> Judgement) -> Judgement {
    let Some(chain) = &event.server_certificates else {
        return hidden(event);
    };
    match chain.first().map(|certificate| &certificate.facts) {
        Some(Ok(facts)) => judge(facts),
        Some(Err(_)) => NotJudged(UNREADABLE),
        None => NotConcerned,
    }
}

/// Judges all certificates of both sides; `fault` says what is wrong with one.
fn of_all(
    event: &Handshake,
    fault: impl Fn(Side, &CertificateFacts) -> Option<String>,
) -> Judgement {
    let chains: [(Side, &Option<CertificateChain>); 2] = [
        (Side::Server, &event.server_certificates),
        (Side::Client, &event.client_certificates),
    ];
    let mut judgement = NotConcerned;
    for (side, chain) in chains {
        let Some(chain) = chain else {
            let here = match side {
                Side::Server => hidden(event),
                Side::Client if event.tls.client_certificate == ClientCertificate::Presented => {
                    NotJudged("the client's certificates are not in view")
                }
                Side::Client => continue,
            };
            judgement = graver(judgement, here);
            continue;
        };
        for certificate in chain.iter() {
            let here = match &certificate.facts {
                Err(_) => NotJudged(UNREADABLE),
                Ok(facts) => {
                    fault(side, facts).map_or(Held, |why| Broken(format!("{side}'s {why}")))
                }
            };
            judgement = graver(judgement, here);
        }
    }
    judgement
}

/// One fault breaks the rule; what is hidden could have one.
fn graver(first: Judgement, second: Judgement) -> Judgement {
    let weight = |judgement: &Judgement| match judgement {
        NotConcerned => 0,
        Held => 1,
        NotJudged(_) => 2,
        Broken(_) => 3,
    };
    if weight(&second) > weight(&first) {
        second
    } else {
        first
    }
}

/// Why the server's certificates are not in view.
fn hidden(event: &Handshake) -> Judgement {
    let Some(version) = event.tls.version else {
        return nothing_selected(event);
    };
    if event.tls.resumed == Some(true) {
        return NotConcerned;
    }
    let suite = event.tls.cipher_suite;
    let key_exchange = suite.and_then(CipherSuite::key_exchange);
    let has_none = key_exchange.is_some_and(KeyExchange::is_without_certificate);
    if version.is_tls13() {
        NotJudged("certificates are encrypted (TLS 1.3)")
    } else if has_none {
        NotConcerned
    } else {
        NotJudged("the server's certificates are not in view")
    }
}

/// The subject for people: the common name where there is one.
fn subject_of(facts: &CertificateFacts) -> &str {
    match &facts.common_name {
        Some(name) => name,
        None if facts.subject.is_empty() => facts.dns_names.first().map_or("", |name| name),
        None => &facts.subject,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::PublicKey;
    use crate::sink::test_events::{
        chain, completed, leaf as example_leaf, refused_by_the_client, with_a_broken_certificate,
    };
    use crate::tls::ProtocolVersion;

    fn is_broken(judgement: &Judgement) -> bool {
        matches!(judgement, Broken(_))
    }

    fn patterns(pattern: &str) -> Patterns {
        Patterns::new(vec![pattern.to_owned()])
    }

    #[test]
    fn the_leaf_is_judged_by_key_signature_and_lifetime() {
        let event = refused_by_the_client(); // RSA 2048, sha256WithRSAEncryption, 73 days
        let key = |list, pattern| leaf(LeafField::Key, list, &patterns(pattern), &event);
        assert_eq!(key(List::Allowed, "RSA 2048"), Held);
        assert!(is_broken(&key(List::Allowed, "ECDSA *")));
        assert!(is_broken(&key(List::Forbidden, "RSA *")));
        let signature = LeafField::SignatureAlgorithm;
        let sha1 = patterns("sha1*");
        assert_eq!(leaf(signature, List::Forbidden, &sha1, &event), Held);
        assert_eq!(max_lifetime(74.0, &event), Held);
        assert!(is_broken(&max_lifetime(73.0, &event)), "and one second");
    }

    #[test]
    fn validity_left_is_that_at_the_moment_of_judgement() {
        let mut event = refused_by_the_client(); // expires in 12.5 days
        assert_eq!(min_days_valid(12.0, &event, Context::default()), Held);
        assert!(is_broken(&min_days_valid(13.0, &event, Context::default())));
        event.judged_at = crate::time::Timestamp::from_seconds(1_773_446_401);
        let Broken(why) = min_days_valid(0.0, &event, Context::default()) else {
            panic!("it has expired")
        };
        assert!(why.contains("expired"), "{why}");
        event.judged_at = crate::time::Timestamp::from_seconds(0);
        assert!(
            is_broken(&min_days_valid(0.0, &event, Context::default())),
            "not valid yet"
        );
    }

    #[test]
    fn a_certificate_out_of_date_counts_unless_validation_did_without_it() {
        let mut event = refused_by_the_client();
        event.judged_at = crate::time::Timestamp::from_seconds(1_773_446_401); // a second too late
        let validated = Context {
            chains_are_validated: true,
        };
        event.validation[0].error_type = ErrorType::HostnameMismatch;
        assert_eq!(min_days_valid(0.0, &event, validated), Held);
        assert!(is_broken(&min_days_valid(0.0, &event, Context::default())));
        event.validation[0].error_type = ErrorType::CertExpired;
        assert!(is_broken(&min_days_valid(0.0, &event, validated)));
    }

    #[test]
    fn who_signs_itself_and_is_no_root_is_not_trusted() {
        let mut event = refused_by_the_client();
        event.validation[0].error_type = ErrorType::SelfSigned;
        let judged = |chains_are_validated| {
            let context = Context {
                chains_are_validated,
            };
            findings(&[ErrorType::UntrustedCa], &event, context)
        };
        assert!(is_broken(&judged(true)));
        assert!(matches!(judged(false), NotJudged(_)));
    }

    #[test]
    fn short_keys_anywhere_in_a_chain_count() {
        let mut event = refused_by_the_client();
        let mut short = example_leaf();
        short.key = PublicKey::Rsa(Some(1_024));
        event.client_certificates = Some(chain([Ok(example_leaf()), Ok(short)]));
        assert!(is_broken(&min_rsa_bits(2_048, &event)));
        assert_eq!(min_rsa_bits(1_024, &event), Held);
        let mut short = example_leaf();
        short.key = PublicKey::RsaPss(Some(1_024));
        event.client_certificates = Some(chain([Ok(short)]));
        assert!(is_broken(&min_rsa_bits(2_048, &event)));
    }

    #[test]
    fn findings_are_forbidden_by_name() {
        let event = refused_by_the_client(); // near_expiry
        let context = Context::default();
        assert!(is_broken(&findings(
            &[ErrorType::NearExpiry],
            &event,
            context
        )));
        assert_eq!(findings(&[ErrorType::CertExpired], &event, context), Held);
    }

    #[test]
    fn trust_is_not_judged_where_nothing_was_validated() {
        let event = refused_by_the_client();
        let judged = |chains_are_validated| {
            let context = Context {
                chains_are_validated,
            };
            findings(&[ErrorType::UntrustedCa], &event, context)
        };
        assert!(matches!(judged(false), NotJudged(_)));
        assert_eq!(judged(true), Held);
    }

    #[test]
    fn trust_is_not_judged_where_the_validation_could_not() {
        let mut event = refused_by_the_client();
        event.validation[0].error_type = ErrorType::UnsupportedCertificate;
        let context = Context {
            chains_are_validated: true,
        };
        let judged = |error_type| findings(&[error_type], &event, context);
        assert!(matches!(judged(ErrorType::UntrustedCa), NotJudged(_)));
        assert_eq!(judged(ErrorType::CertExpired), Held);
    }

    #[test]
    fn what_is_hidden_is_not_judged_and_what_a_resumption_omits_is_no_concern() {
        let mut event = completed();
        event.tls.resumed = Some(false);
        event.tls.version = Some(ProtocolVersion::TLSv1_3);
        assert!(matches!(
            min_days_valid(1.0, &event, Context::default()),
            NotJudged(_)
        ));
        assert!(matches!(max_lifetime(1.0, &event), NotJudged(_)));
        event.tls.resumed = Some(true);
        assert_eq!(
            min_days_valid(1.0, &event, Context::default()),
            NotConcerned
        );
        let broken = with_a_broken_certificate();
        assert!(matches!(
            min_days_valid(1.0, &broken, Context::default()),
            NotJudged(_)
        ));
    }

    #[test]
    fn a_client_certificate_is_required_or_forbidden() {
        let judged = |state, presence| {
            let mut event = refused_by_the_client();
            event.tls.client_certificate = state;
            client(presence, &event)
        };
        let required = |state| judged(state, Presence::Required);
        assert_eq!(required(ClientCertificate::Presented), Held);
        assert!(is_broken(&required(ClientCertificate::Absent)));
        assert!(is_broken(&required(ClientCertificate::NotRequested)));
        assert!(matches!(required(ClientCertificate::Unknown), NotJudged(_)));
        let forbidden = |state| judged(state, Presence::Forbidden);
        assert!(is_broken(&forbidden(ClientCertificate::Presented)));
        assert_eq!(forbidden(ClientCertificate::Absent), Held);
        assert!(matches!(
            forbidden(ClientCertificate::Requested),
            NotJudged(_)
        ));
    }
}

//! Every certificate of both sides: keys, dates, and the findings of validation.

use super::Compliance::{self, Satisfied, Undetermined, Violated};
use super::in_view::all_certificates;
use super::{Assertion, InScope, PolicyKey, error_types, one};
use crate::certificate::CertificateTime;
use crate::event::{ErrorType, Finding, Side};

pub(super) const KEYS: &[PolicyKey] = &[
    PolicyKey {
        name: "min-rsa-bits",
        example: "2048",
        doc: "every RSA key in both chains has at least this many bits",
        read: |entry| {
            let bits = entry.whole(65_536, "a number of bits up to 65536")?;
            one(MinRsaBits(bits))
        },
    },
    PolicyKey {
        name: "min-days-valid",
        example: "14",
        doc: "every certificate in both chains is valid, and for at least this many more days",
        read: |entry| one(MinDaysValid(entry.number("a number of days")?)),
    },
    PolicyKey {
        name: "forbidden-findings",
        example: r#"["cert_expired", "hostname_mismatch"]"#,
        doc: "no certificate has one of these findings; `\"*\"` stands for all of them. `untrusted_ca` requires a chain to \
              a trusted root (see `--ca-file`)",
        read: |entry| one(ForbiddenFindings(error_types::read_or_all(entry)?)),
    },
];

#[derive(Debug)]
struct MinRsaBits(u64);

impl Assertion for MinRsaBits {
    fn requirement(&self) -> String {
        format!("RSA keys of at least {} bits", self.0)
    }

    fn evaluate(&self, InScope { event, .. }: InScope<'_>) -> Compliance {
        all_certificates(event, |_, facts| {
            let is_short = (facts.key.rsa_bits()? as u64) < self.0;
            is_short.then(|| format!("`{}` has a key of type {}", facts.identity(), facts.key))
        })
    }
}

#[derive(Debug)]
struct MinDaysValid(f64);

impl Assertion for MinDaysValid {
    fn requirement(&self) -> String {
        match self.0 {
            0.0 => "certificates that are valid".to_owned(),
            1.0 => "certificates valid for at least 1 day more".to_owned(),
            days => format!("certificates valid for at least {days} days more"),
        }
    }

    /// A certificate outside its dates counts unless validation found a path without it.
    fn evaluate(&self, InScope { event, context, .. }: InScope<'_>) -> Compliance {
        const SECONDS_PER_DAY: f64 = 86_400.0;
        let is_excused = |side: Side, fault: ErrorType| {
            let mut findings = event.validation.iter();
            context.chains_are_validated
                && !findings.any(|finding| finding.side == side && finding.error_type == fault)
        };
        all_certificates(event, |side, facts| {
            let left = facts.expiry(event.judged_at).days();
            let now = CertificateTime::from(event.judged_at);
            let subject = facts.identity();
            if facts.not_after < now {
                let expired = || format!("`{subject}` expired {:.1} days before", -left);
                (!is_excused(side, ErrorType::CertExpired)).then(expired)
            } else if facts.not_before > now {
                let early = facts.not_before.seconds_since(now) as f64 / SECONDS_PER_DAY;
                let too_early = || format!("`{subject}` is not valid until {early:.1} days later");
                (!is_excused(side, ErrorType::CertNotYetValid)).then(too_early)
            } else {
                let left = left.max(0.0); // within the last second it is negative
                (left < self.0).then(|| format!("`{subject}` is valid for {left:.1} days more"))
            }
        })
    }
}

#[derive(Debug)]
struct ForbiddenFindings(Vec<ErrorType>);

/// Findings that only validation against a trust store can make.
const FROM_VALIDATION: [ErrorType; 3] = [
    ErrorType::UntrustedCa,
    ErrorType::UnknownCa,
    ErrorType::IncompleteChain,
];

impl Assertion for ForbiddenFindings {
    fn requirement(&self) -> String {
        if self.0.len() == ErrorType::ALL.len() {
            return "certificates without any finding".to_owned();
        }
        format!(
            "certificates without {}",
            error_types::joined(&self.0, "or")
        )
    }

    fn evaluate(&self, InScope { event, context, .. }: InScope<'_>) -> Compliance {
        // A self-signed certificate has no other finding. If roots are known, it is not one of them,
        // so it is not trusted either.
        let wants_trust = context.chains_are_validated && self.0.contains(&ErrorType::UntrustedCa);
        let is_forbidden = |found: &ErrorType| {
            self.0.contains(found) || wants_trust && *found == ErrorType::SelfSigned
        };
        let mut findings = event.validation.iter();
        if let Some(finding) = findings.find(|finding| is_forbidden(&finding.error_type)) {
            return Violated(format!(
                "{}, {}'s `{}`: {}",
                finding.error_type,
                finding.side,
                finding.certificate.subject(),
                finding.detail
            ));
        }
        let seen = all_certificates(event, |_, _| None);
        if seen != Satisfied || !FROM_VALIDATION.iter().any(is_forbidden) {
            return seen;
        }
        let is_unsupported =
            |finding: &Finding| finding.error_type == ErrorType::UnsupportedCertificate;
        if !context.chains_are_validated {
            Undetermined("chains are not validated against a trust store")
        } else if event.validation.iter().any(is_unsupported) {
            Undetermined("a chain has an algorithm or extension that is not supported")
        } else {
            Satisfied
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{compliance, is_undetermined, is_violated, validated_compliance};
    use super::*;
    use crate::certificate::PublicKey;
    use crate::sink::test_events::{chain, leaf as example_leaf, refused_by_the_client};
    use crate::time::Timestamp;

    const UNTRUSTED: &str = "forbidden-findings = 'untrusted_ca'";

    #[test]
    fn short_keys_anywhere_in_a_chain_count() {
        let rule = "min-rsa-bits = 2048";
        let mut event = refused_by_the_client();
        let mut short = example_leaf();
        short.key = PublicKey::Rsa(Some(1_024));
        event.client_certificates = Some(chain([Ok(example_leaf()), Ok(short)]));
        assert!(is_violated(rule, &event));
        assert_eq!(compliance("min-rsa-bits = 1024", &event), Satisfied);
        let mut short = example_leaf();
        short.key = PublicKey::RsaPss(Some(1_024));
        event.client_certificates = Some(chain([Ok(short)]));
        assert!(is_violated(rule, &event));
    }

    #[test]
    fn the_remaining_validity_is_that_at_the_time_of_the_handshake() {
        let mut event = refused_by_the_client(); // expires in 12.5 days
        assert_eq!(compliance("min-days-valid = 12", &event), Satisfied);
        assert!(is_violated("min-days-valid = 13", &event));
        event.judged_at = Timestamp::from_seconds(1_773_446_401);
        let Violated(why) = compliance("min-days-valid = 0", &event) else {
            panic!("it has expired")
        };
        assert!(why.contains("expired"), "{why}");
        event.judged_at = Timestamp::from_seconds(0);
        assert!(is_violated("min-days-valid = 0", &event), "not valid yet");
    }

    #[test]
    fn an_expired_certificate_counts_unless_validation_found_a_path_without_it() {
        let rule = "min-days-valid = 0";
        let mut event = refused_by_the_client();
        event.judged_at = Timestamp::from_seconds(1_773_446_401); // a second too late
        event.validation[0].error_type = ErrorType::HostnameMismatch;
        assert_eq!(validated_compliance(rule, &event), Satisfied);
        assert!(is_violated(rule, &event));
        event.validation[0].error_type = ErrorType::CertExpired;
        let expired = validated_compliance(rule, &event);
        assert!(matches!(expired, Violated(_)));
    }

    #[test]
    fn findings_are_forbidden_by_name() {
        let event = refused_by_the_client(); // near_expiry
        assert!(is_violated("forbidden-findings = 'near_expiry'", &event));
        let expired = compliance("forbidden-findings = 'cert_expired'", &event);
        assert_eq!(expired, Satisfied);
    }

    #[test]
    fn a_self_signed_certificate_is_not_trusted_if_roots_are_known() {
        let mut event = refused_by_the_client();
        event.validation[0].error_type = ErrorType::SelfSigned;
        let validated = validated_compliance(UNTRUSTED, &event);
        assert!(matches!(validated, Violated(_)));
        assert!(is_undetermined(UNTRUSTED, &event));
    }

    #[test]
    fn trust_is_undetermined_without_a_trust_store() {
        let event = refused_by_the_client();
        assert!(is_undetermined(UNTRUSTED, &event));
        assert_eq!(validated_compliance(UNTRUSTED, &event), Satisfied);
    }

    #[test]
    fn trust_is_undetermined_if_validation_does_not_support_the_chain() {
        let mut event = refused_by_the_client();
        event.validation[0].error_type = ErrorType::UnsupportedCertificate;
        let trust = validated_compliance(UNTRUSTED, &event);
        assert!(matches!(trust, Undetermined(_)));
        let expired = validated_compliance("forbidden-findings = 'cert_expired'", &event);
        assert_eq!(expired, Satisfied);
    }
}

//! What a capture shows of a handshake, and why it does not show the rest.

use super::Compliance::{self, NotApplicable, Satisfied, Undetermined, Violated};
use crate::certificate::CertificateFacts;
use crate::event::{CertificateChain, ClientCertificate, Handshake, Outcome, Side};
use crate::tls::{CipherSuite, KeyExchange};

pub(super) const NO_CLIENT_HELLO: &str = "no ClientHello in view";
pub(super) const UNKNOWN_OUTCOME: &str = "outcome unknown";
const NO_SERVER_HELLO: &str = "no ServerHello in view";
const UNREADABLE: &str = "a certificate cannot be read";

/// For handshakes without a ServerHello in view: a failed one need not have had any.
pub(super) fn nothing_selected(event: &Handshake) -> Compliance {
    match event.outcome {
        Outcome::Failure => NotApplicable,
        Outcome::Success | Outcome::Unknown => Undetermined(NO_SERVER_HELLO),
    }
}

/// Evaluates the server's own certificate, if it is in view.
pub(super) fn leaf(
    event: &Handshake,
    evaluate: impl Fn(&CertificateFacts) -> Compliance,
) -> Compliance {
    let Some(chain) = &event.server_certificates else {
        return no_server_certificates(event);
    };
    match chain.first().map(|certificate| &certificate.facts) {
        Some(Ok(facts)) => evaluate(facts),
        Some(Err(_)) => Undetermined(UNREADABLE),
        None => NotApplicable,
    }
}

/// Evaluates all certificates of both sides; `fault` says what is wrong with one.
pub(super) fn all_certificates(
    event: &Handshake,
    fault: impl Fn(Side, &CertificateFacts) -> Option<String>,
) -> Compliance {
    let chains: [(Side, &Option<CertificateChain>); 2] = [
        (Side::Server, &event.server_certificates),
        (Side::Client, &event.client_certificates),
    ];
    let mut worst = NotApplicable;
    for (side, chain) in chains {
        let Some(chain) = chain else {
            let here = match side {
                Side::Server => no_server_certificates(event),
                Side::Client if event.tls.client_certificate == ClientCertificate::Presented => {
                    Undetermined("the client's certificates are not in view")
                }
                Side::Client => continue,
            };
            worst = worse(worst, here);
            continue;
        };
        for certificate in chain.iter() {
            let here = match &certificate.facts {
                Err(_) => Undetermined(UNREADABLE),
                Ok(facts) => match fault(side, facts) {
                    Some(why) => Violated(format!("{side}'s {why}")),
                    None => Satisfied,
                },
            };
            worst = worse(worst, here);
        }
    }
    worst
}

/// One fault violates the assertion; a certificate that is not in view could have one.
fn worse(first: Compliance, second: Compliance) -> Compliance {
    let rank = |compliance: &Compliance| match compliance {
        NotApplicable => 0,
        Satisfied => 1,
        Undetermined(_) => 2,
        Violated(_) => 3,
    };
    if rank(&second) > rank(&first) {
        second
    } else {
        first
    }
}

/// Why the server's certificates are not in view.
fn no_server_certificates(event: &Handshake) -> Compliance {
    let Some(version) = event.tls.version else {
        return nothing_selected(event);
    };
    if event.tls.resumed == Some(true) {
        return NotApplicable;
    }
    let suite = event.tls.cipher_suite;
    let key_exchange = suite.and_then(CipherSuite::key_exchange);
    let has_none = key_exchange.is_some_and(KeyExchange::is_without_certificate);
    if version.is_tls13() {
        Undetermined("certificates are encrypted (TLS 1.3)")
    } else if has_none {
        NotApplicable
    } else {
        Undetermined("the server's certificates are not in view")
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{compliance, is_undetermined};
    use super::*;
    use crate::sink::test_events::{completed, with_a_broken_certificate};
    use crate::tls::ProtocolVersion;

    #[test]
    fn hidden_certificates_are_undetermined_and_a_resumption_has_none() {
        let mut event = completed();
        event.tls.resumed = Some(false);
        event.tls.version = Some(ProtocolVersion::TLSv1_3);
        assert!(is_undetermined("min-days-valid = 1", &event));
        assert!(is_undetermined("max-lifetime-days = 1", &event));
        event.tls.resumed = Some(true);
        assert_eq!(compliance("min-days-valid = 1", &event), NotApplicable);
    }

    #[test]
    fn a_certificate_that_cannot_be_read_is_undetermined() {
        let event = with_a_broken_certificate();
        assert!(is_undetermined("min-days-valid = 1", &event));
    }
}

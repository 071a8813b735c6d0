//! Whether the client presents a certificate.

use super::Compliance::{self, Satisfied, Undetermined, Violated};
use super::in_view::nothing_selected;
use super::{Assertion, InScope, PolicyKey, one};
use crate::event::ClientCertificate as State;

pub(super) const KEYS: &[PolicyKey] = &[PolicyKey {
    name: "client-certificate",
    example: r#""required""#,
    doc: "the client presents a certificate (`\"required\"`), or it does not (`\"forbidden\"`)",
    read: |entry| one(entry.word(PRESENCES)?),
}];

const PRESENCES: &[(&str, Presence)] = &[
    ("required", Presence::Required),
    ("forbidden", Presence::Forbidden),
];

#[derive(Clone, Copy, Debug)]
enum Presence {
    Required,
    Forbidden,
}

impl Assertion for Presence {
    fn requirement(&self) -> String {
        let text = match self {
            Self::Required => "a client certificate",
            Self::Forbidden => "no client certificate",
        };
        text.to_owned()
    }

    fn evaluate(&self, InScope { event, .. }: InScope<'_>) -> Compliance {
        let violated = |why: &str| Violated(why.to_owned());
        match (self, event.tls.client_certificate) {
            (Self::Required, State::Presented)
            | (Self::Forbidden, State::NotRequested | State::Absent) => Satisfied,
            (Self::Forbidden, State::Presented) => violated("the client presented a certificate"),
            (_, State::Unknown) if event.tls.version.is_none() => nothing_selected(event),
            (Self::Required, _) if event.tls.resumed == Some(true) => {
                Undetermined("resumed: the client was authenticated earlier, or not")
            }
            (Self::Required, State::NotRequested) => {
                violated("the server asked for no client certificate")
            }
            (Self::Required, State::Absent) => violated("the client had no certificate"),
            (_, State::Requested) => Undetermined("the client's answer is not in view"),
            (_, State::Unknown) => {
                Undetermined("whether the client presented a certificate is not in view")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::compliance;
    use super::*;
    use crate::sink::test_events::refused_by_the_client;

    fn compliance_of(state: State, rule: &str) -> Compliance {
        let mut event = refused_by_the_client();
        event.tls.client_certificate = state;
        compliance(rule, &event)
    }

    #[test]
    fn a_required_certificate_is_presented() {
        let required = |state| compliance_of(state, "client-certificate = 'required'");
        assert_eq!(required(State::Presented), Satisfied);
        assert!(matches!(required(State::Absent), Violated(_)));
        assert!(matches!(required(State::NotRequested), Violated(_)));
        assert!(matches!(required(State::Unknown), Undetermined(_)));
    }

    #[test]
    fn a_forbidden_certificate_is_not_presented() {
        let forbidden = |state| compliance_of(state, "client-certificate = 'forbidden'");
        assert!(matches!(forbidden(State::Presented), Violated(_)));
        assert_eq!(forbidden(State::Absent), Satisfied);
        assert!(matches!(forbidden(State::Requested), Undetermined(_)));
    }
}

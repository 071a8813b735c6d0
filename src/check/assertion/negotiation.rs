//! The version, the server name and the application protocol.

use super::Compliance::{self, Satisfied, Undetermined, Violated};
use super::allow_list::ListKind;
use super::in_view::{NO_CLIENT_HELLO, nothing_selected};
use super::{Assertion, InScope, PolicyKey, if_true, one};
use crate::check::policy_entry::{PolicyEntry, Result};
use crate::event::{Evidence, Handshake};
use crate::tls::ProtocolVersion;

pub(super) const KEYS: &[PolicyKey] = &[
    PolicyKey {
        name: "min-version",
        example: r#""TLS 1.2""#,
        doc: "the selected version is this one or a later one",
        read: |entry| one(MinVersion(version(entry)?)),
    },
    PolicyKey {
        name: "require-server-name",
        example: "true",
        doc: "the client names the server (SNI)",
        read: |entry| if_true(entry, RequireServerName),
    },
    PolicyKey {
        name: "require-alpn",
        example: "true",
        doc: "the client offers application protocols, and the server selects one (ALPN)",
        read: |entry| if_true(entry, RequireAlpn),
    },
    PolicyKey {
        name: "allowed-alpn",
        example: r#"["h2", "http/1.1"]"#,
        doc: "the selected application protocol is one of these",
        read: |entry| one(AllowedAlpn(entry.texts("a protocol as in `h2`")?)),
    },
];

const VERSIONS: &[(&str, ProtocolVersion)] = &[
    ("SSL 3.0", ProtocolVersion::SSLv3),
    ("TLS 1.0", ProtocolVersion::TLSv1_0),
    ("TLS 1.1", ProtocolVersion::TLSv1_1),
    ("TLS 1.2", ProtocolVersion::TLSv1_2),
    ("TLS 1.3", ProtocolVersion::TLSv1_3),
];

/// Reads `TLS 1.2`, or what other programs write: `TLSv1.2`, `1.2`, `SSLv3`.
fn version(entry: &PolicyEntry<'_>) -> Result<ProtocolVersion> {
    let known = |text: &str| {
        let bare = bare_version(text);
        VERSIONS.iter().find(|(name, _)| bare == bare_version(name))
    };
    match entry.string().and_then(known) {
        Some((_, version)) => Ok(*version),
        None => entry.word(VERSIONS).map_err(|error| {
            let meant = entry.is_bare().then(|| known(entry.source())).flatten();
            match meant {
                Some((name, _)) => entry.takes_quoted("a version in quotes", name),
                None => error,
            }
        }),
    }
}

/// A version without what is written differently: `tls 1.2` and `1.2` are `1.2`, `SSLv3` is `s3.0`, `TLSv1` is `1.0`.
fn bare_version(text: &str) -> String {
    let text = text.to_ascii_lowercase();
    let (kind, rest) = match (text.strip_prefix("tls"), text.strip_prefix("ssl")) {
        (Some(rest), _) => ("", rest),
        (_, Some(rest)) => ("s", rest),
        _ => ("", &*text),
    };
    let number = rest.trim_start_matches([' ', 'v', '-', '_']);
    let minor = if number.len() == 1 { ".0" } else { "" };
    format!("{kind}{number}{minor}")
}

#[derive(Debug)]
struct MinVersion(ProtocolVersion);

impl Assertion for MinVersion {
    fn requirement(&self) -> String {
        format!("{} or later", self.0)
    }

    fn evaluate(&self, InScope { event, .. }: InScope<'_>) -> Compliance {
        let Some(version) = event.tls.version else {
            return nothing_selected(event);
        };
        match (rank(version), rank(self.0)) {
            (Some(rank), Some(least)) if rank >= least => Satisfied,
            (Some(_), Some(_)) => Violated(format!("{version} was selected")),
            _ => Undetermined("unknown version"),
        }
    }
}

/// Orders versions: DTLS ranks as the TLS version it is based on, a draft of TLS 1.3 as TLS 1.3.
fn rank(version: ProtocolVersion) -> Option<u16> {
    let tls = match version {
        version if version.is_tls13() => ProtocolVersion::TLSv1_3,
        version => version.as_tls(),
    };
    (tls.name().is_some()).then_some(tls.0)
}

#[derive(Debug)]
struct RequireServerName;

impl Assertion for RequireServerName {
    fn requirement(&self) -> String {
        "a server name (SNI)".to_owned()
    }

    fn evaluate(&self, InScope { event, .. }: InScope<'_>) -> Compliance {
        match (&event.tls.server_name, &event.tls.offered_cipher_suites) {
            (Some(_), _) => Satisfied,
            (None, Some(_)) => Violated("the client named no server".to_owned()),
            (None, None) if event.tls.sslv2_cipher_specs.is_some() => {
                Violated("the client named no server: an SSLv2 hello cannot".to_owned())
            }
            (None, None) => Undetermined(NO_CLIENT_HELLO),
        }
    }
}

#[derive(Debug)]
struct RequireAlpn;

impl Assertion for RequireAlpn {
    fn requirement(&self) -> String {
        "an application protocol (ALPN)".to_owned()
    }

    fn evaluate(&self, InScope { event, .. }: InScope<'_>) -> Compliance {
        match &event.tls.alpn {
            Some(_) => Satisfied,
            None => no_protocol(event),
        }
    }
}

#[derive(Debug)]
struct AllowedAlpn(Vec<String>);

impl Assertion for AllowedAlpn {
    fn requirement(&self) -> String {
        ListKind::Allowed.requirement("application protocol", &self.0)
    }

    fn evaluate(&self, InScope { event, .. }: InScope<'_>) -> Compliance {
        match &event.tls.alpn {
            Some(selected) if self.0.iter().any(|name| **name == **selected) => Satisfied,
            Some(selected) => Violated(format!("`{selected}` was selected")),
            None => no_protocol(event),
        }
    }
}

/// Why no selected application protocol is in view.
fn no_protocol(event: &Handshake) -> Compliance {
    let tls = &event.tls;
    let hello_seen = tls.offered_cipher_suites.is_some() || tls.sslv2_cipher_specs.is_some();
    if hello_seen && tls.alpn_offered.is_none() {
        return Violated("the client offers no application protocol".to_owned());
    }
    match tls.version {
        None => nothing_selected(event),
        Some(version) if version.is_tls13() && event.evidence != Evidence::Decrypted => {
            Undetermined("the selected application protocol is encrypted (TLS 1.3)")
        }
        Some(_) => Violated("the server selected no application protocol".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{compliance, is_undetermined, is_violated};
    use super::Compliance::NotApplicable;
    use super::*;
    use crate::event::Outcome;
    use crate::sink::test_events::{barely_seen, completed, refused_by_the_client};

    #[test]
    fn versions_are_read_as_other_programs_write_them() {
        let requirement = |value: &str| {
            let policy =
                crate::check::Policy::parse(&format!("[[rule]]\nmin-version = {value}"), "t");
            policy.map(|policy| policy.checks[0].assertion.requirement())
        };
        let tls12 = ["'TLS 1.2'", "'TLSv1.2'", "'1.2'", "'tls1.2'", "'TLS-1.2'"];
        for value in tls12 {
            assert_eq!(requirement(value).unwrap(), "TLS 1.2 or later", "{value}");
        }
        assert_eq!(requirement("'SSLv3'").unwrap(), "SSL 3.0 or later");
        assert_eq!(requirement("'TLSv1'").unwrap(), "TLS 1.0 or later");
        for wrong in [
            "'TLS 1.4'",
            "'3'",
            "'v'",
            "''",
            "'TLSv'",
            "1.2",
            "12",
            "true",
            "'SSL 1.2'",
            "1.20",
        ] {
            assert!(requirement(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn versions_are_compared_across_protocols() {
        use ProtocolVersion as V;
        let with = |version| {
            let mut event = completed();
            event.tls.version = Some(version);
            event
        };
        let at_least_1_2 = |version| compliance("min-version = 'TLS 1.2'", &with(version));
        assert_eq!(at_least_1_2(V::TLSv1_2), Satisfied);
        assert!(matches!(at_least_1_2(V::TLSv1_1), Violated(_)));
        assert_eq!(at_least_1_2(V::DTLSv1_2), Satisfied);
        assert!(matches!(at_least_1_2(V::DTLSv1_0), Violated(_)));
        assert!(matches!(at_least_1_2(V(0x0305)), Undetermined(_)));
        assert!(is_violated("min-version = 'SSL 3.0'", &with(V::SSLv2)));
        let draft = with(V(0x7f1c));
        assert_eq!(compliance("min-version = 'TLS 1.3'", &draft), Satisfied);
    }

    #[test]
    fn without_a_selected_version_a_failure_does_not_count_and_the_rest_is_undetermined() {
        let mut event = barely_seen();
        assert!(is_undetermined("min-version = 'TLS 1.2'", &event));
        event.outcome = Outcome::Failure;
        assert_eq!(compliance("min-version = 'TLS 1.2'", &event), NotApplicable);
    }

    #[test]
    fn a_server_name_is_missing_only_if_a_hello_was_seen() {
        let rule = "require-server-name = true";
        let mut event = refused_by_the_client();
        assert_eq!(compliance(rule, &event), Satisfied);
        event.tls.server_name = None;
        assert!(is_violated(rule, &event));
        let unseen = compliance(rule, &barely_seen());
        assert_eq!(unseen, Undetermined(NO_CLIENT_HELLO));
    }

    #[test]
    fn application_protocols_are_hidden_in_tls_1_3_unless_decrypted() {
        let required = "require-alpn = true";
        let mut event = refused_by_the_client(); // h2
        assert_eq!(compliance("allowed-alpn = 'h2'", &event), Satisfied);
        assert!(is_violated("allowed-alpn = 'http/1.1'", &event));
        event.tls.alpn = None;
        assert!(is_violated(required, &event));
        event.tls.version = Some(ProtocolVersion::TLSv1_3);
        assert!(is_undetermined(required, &event));
        event.evidence = Evidence::Decrypted;
        assert!(is_violated(required, &event));
        event.evidence = Evidence::Inferred;
        event.tls.alpn_offered = None;
        assert!(is_violated(required, &event), "not even offered");
    }
}

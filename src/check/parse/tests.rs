//! What a policy may say, and how it is refused.

use super::*;
use crate::check::policy::{Limit, Phase};
use crate::event::{ErrorType, Side};

fn checks(rule: &str) -> Vec<Check> {
    Policy::parse(&format!("[[rule]]\n{rule}"), "t.toml")
        .unwrap()
        .checks
}

fn refusal(text: &str) -> String {
    let error = Policy::parse(text, "t.toml").unwrap_err();
    match error.hint() {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    }
}

#[test]
fn every_key_of_a_rule_can_be_read_and_is_called_by_its_name() {
    let values = [
        ("min-version", "'TLS 1.2'"),
        ("allowed-suites", "['TLS_AES_*', '0x1301']"),
        ("forbidden-suites", "'*_CBC_*'"),
        ("allowed-offered-suites", "'TLS_AES_*'"),
        ("forbidden-offered-suites", "'*_RC4_*'"),
        ("allowed-groups", "'x25519'"),
        ("forbidden-groups", "'sect*'"),
        ("allowed-offered-groups", "'x25519'"),
        ("forbidden-offered-groups", "'sect*'"),
        ("allowed-offered-signature-schemes", "'rsa_pss_*'"),
        ("forbidden-offered-signature-schemes", "'*_sha1'"),
        ("allowed-keys", "'ECDSA *'"),
        ("forbidden-keys", "'RSA 1024'"),
        ("allowed-certificate-signatures", "'ecdsa-*'"),
        ("forbidden-certificate-signatures", "'sha1*'"),
        ("min-rsa-bits", "2048"),
        ("min-days-valid", "14"),
        ("max-lifetime-days", "90.5"),
        ("forbidden-findings", "['cert_expired', 'self_signed']"),
        ("client-certificate", "'required'"),
        ("require-server-name", "true"),
        ("require-alpn", "true"),
        ("allowed-alpn", "['h2', 'http/1.1']"),
        ("max-failures", "'0.5 %'"),
        ("max-failures-of", "{ unknown_ca = 0 }"),
        ("max-unknown", "1"),
        ("max-latency", "{ phase = 'handshake', ms = 250 }"),
        ("min-handshakes", "1"),
        ("max-handshakes", "100"),
        ("expect-failure", "'unknown_ca'"),
        ("no-gaps", "true"),
        ("no-truncation", "true"),
        ("no-drops", "true"),
        ("complete-input", "true"),
    ];
    let keys: Vec<_> = values.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, assertion::KEYS);
    for (key, value) in values {
        let checks = checks(&format!("{key} = {value}"));
        assert_eq!(checks.len(), 1, "{key}");
        assert_eq!(wish::key(&checks[0].assertion), key);
        assert!(!wish::wanted(&checks[0].assertion).is_empty());
    }
}

#[test]
fn a_rule_has_a_name_a_scope_a_severity_and_lines() {
    let text = "severity = 'warning'\nunknown = 'fail'\n\n[[rule]]\nname = 'a'\nno-gaps = true\n\
                min-handshakes = 1\n[[rule]]\nseverity = 'error'\nunknown = 'ignore'\nno-gaps = true\n\
                where = { server-name = '*.example.org', port = [443, 8443], client = '10.0.0.0/8' }";
    let policy = Policy::parse(text, "t.toml").unwrap();
    let [gaps, handshakes, other] = &policy.checks[..] else {
        panic!("{policy:?}")
    };
    assert_eq!((gaps.line, handshakes.line, other.line), (6, 7, 11));
    assert_eq!(gaps.rule.as_deref(), Some("a"));
    assert_eq!(gaps.severity, Severity::Warning);
    assert_eq!(gaps.unknown, Unknown::Fail);
    assert_eq!(other.severity, Severity::Error);
    assert_eq!(other.unknown, Unknown::Ignore);
    assert_eq!(other.scope.ports, [443, 8443]);
    assert!(gaps.scope.is_everything() && !other.scope.is_everything());
}

#[test]
fn a_rule_replaces_what_it_says_itself_of_its_preset() {
    let preset = checks("preset = 'mozilla-modern'");
    assert_eq!(preset.len(), 6);
    let own = checks("preset = 'mozilla-modern'\nmax-lifetime-days = 398");
    assert_eq!(own.len(), 6);
    assert_eq!(own[5].assertion, Assertion::MaxLifetimeDays(398.0));
    assert_eq!((own[0].line, own[5].line), (2, 3));
}

#[test]
fn what_is_false_is_not_asked_for() {
    assert_eq!(checks("no-gaps = false\nno-drops = true").len(), 1);
}

#[test]
fn limits_latencies_and_failures_have_parts() {
    let both = "max-latency = [{ phase = 'tcp_connect', ms = 1 }, \
                { phase = 'server_hello', ms = 0.5, percentile = 99.9 }]";
    let checks_of = checks(both);
    assert_eq!(checks_of.len(), 2);
    let Assertion::MaxLatency {
        phase,
        percentile,
        limit,
    } = &checks_of[1].assertion
    else {
        panic!("{checks_of:?}")
    };
    assert_eq!((*phase, *percentile), (Phase::ServerHello, 99.9));
    assert_eq!(limit.as_micros(), 500);
    let expected =
        checks("expect-failure = { type = ['unknown_ca', 'self_signed'], side = 'client' }");
    assert_eq!(
        expected[0].assertion,
        Assertion::ExpectFailure {
            error_types: vec![ErrorType::UnknownCa, ErrorType::SelfSigned],
            side: Some(Side::Client),
        }
    );
    let share = checks("max-failures = '0.5%'");
    let expected = Assertion::MaxFailures {
        limit: Limit::Percent(0.5),
        error_type: None,
    };
    assert_eq!(share[0].assertion, expected);
}

#[test]
fn what_is_not_known_is_refused_with_its_line_and_a_suggestion() {
    let cases = [
        (
            "rul = 1",
            "unknown key `rul`: t.toml:1 (did you mean `rule`?)",
        ),
        (
            "[[rule]]\nmin_version = 'TLS 1.2'",
            "unknown key `min_version`: t.toml:2 (did you mean `min-version`?)",
        ),
        (
            "[[rule]]\nmin-version = 'TLS 1.4'",
            "invalid value `TLS 1.4` for `min-version`: t.toml:2 (one of `SSL 3.0`, `TLS 1.0`, `TLS 1.1`, \
             `TLS 1.2`, `TLS 1.3`)",
        ),
        (
            "[[rule]]\nallowed-suites = [\n  'TLS_AES_128_GCM_SHA256',\n  'TLS_AES_256_GCM_SHA348',\n]",
            "`TLS_AES_256_GCM_SHA348` names nothing that `allowed-suites` could be: t.toml:4 \
             (did you mean `TLS_AES_256_GCM_SHA384`?)",
        ),
        (
            "[[rule]]\nallowed-groups = 'X25518'",
            "`X25518` names nothing that `allowed-groups` could be: t.toml:2 (did you mean `x25519`?)",
        ),
        (
            "[[rule]]\nmax-failures-of = { unknwon_ca = 0 }",
            "unknown key `unknwon_ca`: t.toml:2 (did you mean `unknown_ca`?)",
        ),
        (
            "[[rule]]\nforbidden-findings = ['expired']",
            "invalid value `expired` for `forbidden-findings`: t.toml:2",
        ),
        (
            "[[rule]]\nwhere = { server_name = 'x' }",
            "unknown key `server_name`: t.toml:2 (did you mean `server-name`?)",
        ),
        (
            "[[rule]]\npreset = 'modern'",
            "invalid value `modern` for `preset`: t.toml:2 (one of `mozilla-modern`, \
             `mozilla-intermediate`, `nist-sp800-52r2`, `cnsa-2.0`, `post-quantum`)",
        ),
        (
            "[[rule]]\nseverity = 'fatal'\nno-gaps = true",
            "invalid value `fatal` for `severity`: t.toml:2 (one of `error`, `warning`)",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal(text), expected);
    }
}

#[test]
fn values_that_make_no_sense_are_refused_with_their_line() {
    let cases = [
        "\nallow-empty = 1",
        "\nunknown = true",
        "\nrule = 1",
        "[[rule]]\nno-gaps = 'yes'",
        "[[rule]]\nmin-rsa-bits = -1",
        "[[rule]]\nmin-days-valid = -0.5",
        "[[rule]]\nmin-days-valid = nan",
        "[[rule]]\nmax-failures = '101 %'",
        "[[rule]]\nmax-failures = '5'",
        "[[rule]]\nmax-latency = { ms = 1 }",
        "[[rule]]\nmax-latency = { phase = 'handshake', ms = 1, percentile = 0 }",
        "[[rule]]\nmax-latency = { phase = 'handshake', ms = 1e300 }",
        "[[rule]]\nallowed-suites = []",
        "[[rule]]\nwhere = { port = 65536 }",
        "[[rule]]\nwhere = { client = '10.0.0.1/8' }",
        "[[rule]]\nwhere = 'example.org'",
        "[[rule]]\nexpect-failure = true",
        "[[rule]]\nname = 1",
        "\n[[rule]]",
        "[[rule]]\nno-drops = true\nwhere = { port = 443 }",
        "\nname = ",
    ];
    for text in cases {
        let refusal = refusal(text);
        assert!(refusal.contains(": t.toml:2"), "{text}: {refusal}");
    }
}

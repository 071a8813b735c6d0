//! Which policies are accepted, and how the others are refused.

use super::*;
use crate::check::policy_schema::testing::assert_fits_schema;

fn checks(rule: &str) -> Vec<Check> {
    let text = format!("[[rule]]\n{rule}");
    assert_fits_schema(&text);
    Policy::parse(&text, "t.toml").unwrap().checks
}

fn refusal(text: &str) -> String {
    let error = Policy::parse(text, "t.toml").unwrap_err();
    match error.hint() {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    }
}

fn requirement(check: &Check) -> String {
    check.assertion.requirement()
}

#[test]
fn every_setting_reads_its_example() {
    for setting in SETTING_KEYS {
        let rule = format!("{} = {}\nno-gaps = true", setting.name, setting.example);
        assert!(!checks(&rule).is_empty(), "{}", setting.name);
    }
}

#[test]
fn the_documentation_names_every_preset() {
    let mut settings = SETTING_KEYS.iter();
    let preset = settings.find(|one| one.name == "preset").unwrap();
    for one in Preset::ALL {
        let name = format!("`{}`", one.as_str());
        assert!(preset.doc.contains(&name), "{name}");
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
    assert_eq!(gaps.severity, RuleSeverity::Warning);
    assert_eq!(gaps.unknown, Unknown::Fail);
    assert_eq!(other.severity, RuleSeverity::Error);
    assert_eq!(other.unknown, Unknown::Ignore);
    assert_eq!(other.scope.ports, [443, 8443]);
    assert!(gaps.scope.is_everything() && !other.scope.is_everything());
}

#[test]
fn a_rule_replaces_keys_of_its_preset() {
    let preset = checks("preset = 'mozilla-modern'");
    assert_eq!(preset.len(), 6);
    let own = checks("preset = 'mozilla-modern'\nmax-lifetime-days = 398");
    assert_eq!(own.len(), 6);
    assert_eq!(own[5].key, "max-lifetime-days");
    let expected = "certificates valid for at most 398 days in all";
    assert_eq!(requirement(&own[5]), expected);
    assert_eq!((own[0].line, own[5].line), (2, 3));
}

#[test]
fn a_key_that_is_false_requires_nothing() {
    assert_eq!(checks("no-gaps = false\nno-drops = true").len(), 1);
}

#[test]
fn a_list_of_latencies_is_one_check_each() {
    let both = "max-latency = [{ phase = 'tcp_connect', ms = 1 }, \
                { phase = 'server_hello', ms = 0.5, percentile = 99.9 }]";
    let requirements: Vec<_> = checks(both).iter().map(requirement).collect();
    let expected = [
        "tcp_connect within 1 ms for 100 % of the handshakes",
        "server_hello within 0.5 ms for 99.9 % of the handshakes",
    ];
    assert_eq!(requirements, expected);
}

#[test]
fn unknown_keys_and_values_are_refused_with_their_line_and_a_suggestion() {
    let cases = [
        (
            "rul = 1",
            "t.toml:1: unknown key `rul` (did you mean `rule`?)",
        ),
        (
            "[[rule]]\nmin_version = 'TLS 1.2'",
            "t.toml:2: rule 1: unknown key `min_version` (did you mean `min-version`?)",
        ),
        (
            "[[rule]]\nmin-version = 'TLS 1.4'",
            "t.toml:2: rule 1: invalid value `TLS 1.4` for `min-version` (one of `SSL 3.0`, `TLS 1.0`, `TLS 1.1`, \
             `TLS 1.2`, `TLS 1.3`)",
        ),
        (
            "[[rule]]\nallowed-suites = [\n  'TLS_AES_128_GCM_SHA256',\n  'TLS_AES_256_GCM_SHA348',\n]",
            "t.toml:4: rule 1: `TLS_AES_256_GCM_SHA348` in `allowed-suites` is not a known cipher suite \
             (did you mean `TLS_AES_256_GCM_SHA384`?)",
        ),
        (
            "[[rule]]\nname = 'ours'\nallowed-suites = 'TLS_FOO'",
            "t.toml:3: rule `ours`: `TLS_FOO` in `allowed-suites` is not a known cipher suite (near names: \
             `TLS_SM4_CCM_SM3`, `TLS_SM4_GCM_SM3`, `TLS_SHA256_SHA256`; \
             patterns as in `*_GCM_*` and numbers as in `0x1301` are valid, too)",
        ),
        (
            "[[rule]]\nforbidden-suites = '*_ROT13_*'",
            "t.toml:2: rule 1: `*_ROT13_*` in `forbidden-suites` matches no known cipher suite \
             (patterns as in `*_GCM_*` and numbers as in `0x1301` are valid, too)",
        ),
        (
            "[[rule]]\nallowed-groups = 'X25518'",
            "t.toml:2: rule 1: `X25518` in `allowed-groups` is not a known group (did you mean `x25519`?)",
        ),
        (
            "[[rule]]\nforbidden-keys = 'RSA'",
            "t.toml:2: rule 1: `RSA` in `forbidden-keys` is not a known key (did you mean `RSA *`?)",
        ),
        (
            "[[rule]]\nforbidden-certificate-signatures = ['md5*', 'SHA1']",
            "t.toml:2: rule 1: `SHA1` in `forbidden-certificate-signatures` is not a known signature algorithm (did you mean `SHA1*`?)",
        ),
        (
            "[[rule]]\nforbidden-keys = ['RSA 1111', '1.2.3.4', 'ECDSA P256']",
            "t.toml:2: rule 1: `ECDSA P256` in `forbidden-keys` is not a known key (did you mean `ECDSA P-256`?)",
        ),
        (
            "[[rule]]\nmax-failures-of = { unknwon_ca = 0 }",
            "t.toml:2: rule 1: unknown key `unknwon_ca` (did you mean `unknown_ca`?)",
        ),
        (
            "[[rule]]\nforbidden-findings = ['expired']",
            "t.toml:2: rule 1: invalid value `expired` for `forbidden-findings` (did you mean `cert_expired`? one of LIST)",
        ),
        (
            "[[rule]]\nexpect-failure = { type = 'certificate_expired' }",
            "t.toml:2: rule 1: invalid value `certificate_expired` for `type` (did you mean `cert_expired`? one of LIST)",
        ),
        (
            "[rule]\nno-gaps = true",
            "t.toml:1: `rule` is a list of tables, and this is a single table \
             (write `[[rule]]` instead of `[rule]`)",
        ),
        (
            "[[rule]]\nwhere = { server_name = 'x' }",
            "t.toml:2: rule 1: unknown key `server_name` (did you mean `server-name`?)",
        ),
        (
            "[[rule]]\npreset = 'modern'",
            "t.toml:2: rule 1: invalid value `modern` for `preset` (did you mean `mozilla-modern`? one of `mozilla-modern`, \
             `mozilla-intermediate`, `nist-sp800-52r2`, `cnsa-2.0`, `post-quantum`)",
        ),
        (
            "[[rule]]\nno-gaps = true\nno-gaps = false",
            "t.toml:3: `no-gaps` is set more than once",
        ),
        (
            "[[rule]]\nmin-version = TLS 1.2",
            "t.toml:2: string values must be quoted",
        ),
        (
            "[[rule]]\nallow-empty = true\nno-gaps = true",
            "t.toml:2: rule 1: unknown key `allow-empty` (for a rule that may match no handshake, write `min-handshakes = 0`; \
             `allow-empty` belongs at the top of the file)",
        ),
        (
            "[[rule]]\nport = [443, 8443]\nno-gaps = true",
            "t.toml:2: rule 1: unknown key `port` (it is part of the scope: `where = { port = [443, 8443] }`)",
        ),
        (
            "[[rule]]\nwhere = { server = 'api.example.org' }",
            "t.toml:2: rule 1: invalid value `api.example.org` for `server`: not an address, nor a network as in \
             `192.0.2.0/24` (for a name, write `server-name = \"api.example.org\"`)",
        ),
        (
            "[[rule]]\nwhere = { server = '192.0.2.1000' }",
            "t.toml:2: rule 1: invalid value `192.0.2.1000` for `server`: not an address, nor a network as in \
             `192.0.2.0/24`",
        ),
        (
            "[[rule]]\nmax-latency = 5",
            "t.toml:2: rule 1: `max-latency` takes a table, as in `{ phase = \"handshake\", percentile = 99, ms = 250 }` \
             (for the whole handshake, write `max-latency = { phase = \"handshake\", ms = 5 }`)",
        ),
        (
            "[[rule]]\nmax-latency = '2.5 ms'",
            "t.toml:2: rule 1: `max-latency` takes a table, as in `{ phase = \"handshake\", percentile = 99, ms = 250 }` \
             (for the whole handshake, write `max-latency = { phase = \"handshake\", ms = 2.5 }`)",
        ),
        (
            "[[rule]]\nallowed-suites = 'TLS_AES_128_GCM_SHA256, AES256-SHA'",
            "t.toml:2: rule 1: `TLS_AES_128_GCM_SHA256, AES256-SHA` in `allowed-suites` is not a known cipher suite \
             (write a list: `allowed-suites = [\"TLS_AES_128_GCM_SHA256\", \"AES256-SHA\"]`)",
        ),
        (
            "[[rule]]\nallowed-groups = 'x25519 secp256r1'",
            "t.toml:2: rule 1: `x25519 secp256r1` in `allowed-groups` is not a known group \
             (write a list: `allowed-groups = [\"x25519\", \"secp256r1\"]`)",
        ),
        (
            "[[rule]]\nwhere = { client = '192.0.2.1,192.0.2.2' }",
            "t.toml:2: rule 1: invalid value `192.0.2.1,192.0.2.2` for `client`: not an address, nor a network as in \
             `192.0.2.0/24` (write a list: `client = [\"192.0.2.1\", \"192.0.2.2\"]`)",
        ),
        (
            "[[rule]]\nwhere = { server-name = 'a.example, b.example' }",
            "t.toml:2: rule 1: `server-name` takes a name or a list of them, and this is a list in one string \
             (write `server-name = [\"a.example\", \"b.example\"]`)",
        ),
        (
            "[[rule]]\nforbidden-findings = 'weak_key,near_expiry'",
            "t.toml:2: rule 1: invalid value `weak_key,near_expiry` for `forbidden-findings` \
             (write a list: `forbidden-findings = [\"weak_key\", \"near_expiry\"]`)",
        ),
        (
            "[[rule]]\nseverity = 'fatal'\nno-gaps = true",
            "t.toml:2: rule 1: invalid value `fatal` for `severity` (one of `error`, `warning`)",
        ),
    ];
    let names: Vec<_> = crate::event::ErrorType::ALL
        .iter()
        .map(|one| one.as_str())
        .collect();
    let list = format!("`{}`", names.join("`, `"));
    for (text, expected) in cases {
        assert_eq!(refusal(text).replace(&list, "LIST"), expected);
    }
}

#[test]
fn values_with_and_without_quotes_and_lists_are_refused_with_what_to_write() {
    let cases = [
        (
            "min-version = 1.2",
            "`min-version` takes a version in quotes (write `min-version = \"TLS 1.2\"`)",
        ),
        (
            "allowed-suites = 0x1301",
            "`allowed-suites` takes a name, a pattern as in `*_GCM_*`, or a number as in `0x1301`, or a list of them \
             (write `allowed-suites = \"0x1301\"`)",
        ),
        (
            "min-rsa-bits = '2048'",
            "`min-rsa-bits` takes a number of bits up to 65536 (write `min-rsa-bits = 2048`, without quotes)",
        ),
        (
            "max-failures = '5'",
            "`max-failures` takes a number, or a share as in `\"0.5 %\"` (write `max-failures = 5`, without quotes)",
        ),
        (
            "min-days-valid = '14'",
            "`min-days-valid` takes a number of days (write `min-days-valid = 14`, without quotes)",
        ),
        (
            "no-gaps = 'true'",
            "`no-gaps` takes `true` or `false` (write `no-gaps = true`, without quotes)",
        ),
        (
            "where = { port = '443' }",
            "`port` takes a number from 0 to 65535, or a list of them (write `port = 443`, without quotes)",
        ),
        (
            "severity = ['error']",
            "`severity` takes one of `error`, `warning`, and this is a list",
        ),
        (
            "preset = ['cnsa-2.0']",
            "`preset` takes one of `mozilla-modern`, `mozilla-intermediate`, `nist-sp800-52r2`, `cnsa-2.0`, `post-quantum`, \
             and this is a list (write a `[[rule]]` for each preset)",
        ),
        (
            "min-handshakes = 5\nmax-handshakes = 2",
            "`min-handshakes` (5) is above `max-handshakes` (2)",
        ),
    ];
    for (rule, expected) in cases {
        let refusal = refusal(&format!("[[rule]]\n{rule}"));
        assert_eq!(refusal, format!("t.toml:2: rule 1: {expected}"));
    }
    for fine in [
        "min-handshakes = 2\nmax-handshakes = 2",
        "max-failures = '5%'",
    ] {
        assert!(!checks(fine).is_empty(), "{fine}");
    }
}

#[test]
fn invalid_values_are_refused_with_their_line() {
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
        assert!(refusal.starts_with("t.toml:2: "), "{text}: {refusal}");
    }
}

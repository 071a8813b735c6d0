//! The JSON Schema of policies, for editors: completion, descriptions, and errors while you type.
//!
//! The parser is the authority: it has better messages, and looks at more than shapes. So the schema may accept what
//! the parser refuses (`ECDHE-*-GCM` names no suite, `10.0.0.0/33` no network), and never refuses what `check` accepts.

use serde_json::{Map, Value, json};

use super::assertion;
use super::parse::SETTING_KEYS;
use super::presets::Preset;
use crate::error_type::ErrorType;
use crate::event::{Protocol, ProxyKind, StartTls};

/// The JSON Schema (draft 7, which TOML language servers read) of a policy.
///
/// # Example
///
/// ```
/// let schema = tlscope::check::policy_schema();
/// assert_eq!(schema["definitions"]["rule"]["properties"]["no-gaps"]["type"], "boolean");
/// ```
#[must_use]
pub fn policy_schema() -> Value {
    let mut rule = Map::new();
    let settings = SETTING_KEYS
        .iter()
        .map(|key| (key.name, key.example, key.doc));
    let assertions = assertion::keys().map(|key| (key.name, key.example, key.doc));
    for (name, example, doc) in settings.chain(assertions) {
        // A test finds keys without a shape. Editors show the others as they are.
        let mut schema = shape(name).unwrap_or_else(|| json!({}));
        if let Value::Object(schema) = &mut schema {
            schema.insert("description".into(), doc.into());
            schema.extend(value_of(example).map(|example| ("examples".into(), json!([example]))));
        }
        rule.insert(name.into(), schema);
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Policy of tlscope check",
        "type": "object",
        "additionalProperties": false,
        "required": ["rule"],
        "properties": {
            "allow-empty": {
                "type": "boolean",
                "description": "Whether captures without any handshake pass",
            },
            "severity": described(severity(), "The severity of rules that have none of their own"),
            "unknown": described(unknown(), "The value of `unknown` for rules that have none of their own"),
            "rule": {
                "type": "array",
                "minItems": 1,
                "items": {"$ref": "#/definitions/rule"},
                "description": "What must hold, and for which handshakes",
            },
        },
        "definitions": {
            "rule": {
                "type": "object",
                "additionalProperties": false,
                "properties": rule,
                "anyOf": assertions_that_can_fail(),
            },
        },
    })
}

/// A rule has at least one of these.
fn assertions_that_can_fail() -> Vec<Value> {
    let mut keys = vec!["preset"];
    keys.extend(assertion::keys().map(|key| key.name));
    let one = |key: &str| {
        let value = match key {
            "min-handshakes" | "min-rsa-bits" => json!({"minimum": 1}),
            "max-failures" | "max-unknown" => {
                json!({"not": {"type": "string", "pattern": "^ *1 *0 *0 *%$"}})
            }
            "max-latency" => json!({"not": {"type": "array", "maxItems": 0}}),
            "max-failures-of" => json!({"minProperties": 1}),
            _ if is_boolean(key) => json!({"const": true}),
            _ => return json!({"required": [key]}),
        };
        json!({"required": [key], "properties": {key: value}})
    };
    keys.into_iter().map(one).collect()
}

fn is_boolean(key: &str) -> bool {
    key.starts_with("no-") || key.starts_with("require-") || key == "complete-input"
}

/// Whether its values are names in which `*` and `?` are wild, or numbers as in `0x1301`.
fn names_code_points(key: &str) -> bool {
    ["-suites", "-groups", "-signature-schemes"]
        .iter()
        .any(|what| key.ends_with(what))
}

/// The values that a key of a rule takes.
fn shape(key: &str) -> Option<Value> {
    Some(match key {
        "name" => json!({"type": "string"}),
        "where" => scope(),
        "severity" => severity(),
        "unknown" => unknown(),
        "preset" => words(Preset::ALL.iter().map(|preset| preset.as_str())),
        "min-version" => version(),
        "client-certificate" => words(["required", "forbidden"]),
        "max-failures" | "max-unknown" => limit(),
        "max-failures-of" => json!({
            "type": "object",
            "additionalProperties": false,
            "properties": ErrorType::ALL
                .iter()
                .map(|error_type| (error_type.as_str().to_owned(), limit()))
                .collect::<Map<String, Value>>(),
        }),
        "expect-failure" => json!({
            "anyOf": [
                one_or_several(error_type()),
                {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {
                        "type": one_or_several(error_type()),
                        "side": words(["client", "server"]),
                    },
                },
            ],
        }),
        "forbidden-findings" => one_or_several(json!({
            "anyOf": [error_type(), {"const": "*"}],
        })),
        "max-latency" => one_or_more(latency()),
        "min-handshakes" | "max-handshakes" => whole(u64::MAX),
        "min-rsa-bits" => whole(65_536),
        "min-days-valid" | "max-lifetime-days" => json!({"type": "number", "minimum": 0}),
        _ if is_boolean(key) => json!({"type": "boolean"}),
        _ if names_code_points(key) => {
            one_or_several(json!({"type": "string", "pattern": "^\\S*[A-Za-z*?:]\\S*$"}))
        }
        _ if key.starts_with("allowed-") || key.starts_with("forbidden-") => {
            one_or_several(json!({"type": "string"}))
        }
        _ => return None,
    })
}

fn scope() -> Value {
    let texts = |doc| described(one_or_several(json!({"type": "string"})), doc);
    let networks = |doc| {
        let network =
            json!({"type": "string", "pattern": "^[0-9A-Fa-f:.]*[:.][0-9A-Fa-f:.]*(/[0-9]+)?$"});
        described(one_or_several(network), doc)
    };
    let port = whole(65_535);
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "server-name": texts("Patterns of the name that the client asked for, as in `*.example.org`"),
            "server": networks("Addresses or networks of servers, as in `192.0.2.0/24`"),
            "client": networks("Addresses or networks of clients, as in `192.0.2.0/24`"),
            "port": described(one_or_several(port), "Ports of servers"),
            "tunnel": texts("Patterns of a tunnel around the packets, as in `vxlan:*`"),
            "protocol": described(
                one_or_several(words(Protocol::ALL.iter().map(|protocol| protocol.as_str()))),
                "Protocols whose framing the handshake uses",
            ),
            "starttls": described(
                one_or_several(words(StartTls::ALL.iter().map(|starttls| starttls.as_str()))),
                "Protocols in which TLS was negotiated",
            ),
            "proxy": described(
                one_or_several(words(ProxyKind::ALL.iter().map(|kind| kind.as_str()))),
                "Kinds of proxies that the connection goes through or comes from",
            ),
            "user-name": texts("Patterns of the user's name of logins over EAP, as in `*@example.org`"),
            "calling-station-id": texts("Patterns of the device of logins over EAP, as in `02:00:5e:*`"),
        },
    })
}

fn severity() -> Value {
    words(["error", "warning"])
}

fn unknown() -> Value {
    words(["ignore", "warn", "fail"])
}

fn error_type() -> Value {
    words(ErrorType::ALL.iter().map(|error_type| error_type.as_str()))
}

/// Versions by name for completion, and however else they may be written.
fn version() -> Value {
    json!({
        "anyOf": [
            words(["SSL 3.0", "TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3"]),
            {
                "type": "string",
                "pattern": "^(([Tt][Ll][Ss])?[ vV_-]*1(\\.[0-3])?|[Ss][Ss][Ll][ vV_-]*3(\\.0)?)$",
            },
        ],
    })
}

/// A number of handshakes, or a share of them.
fn limit() -> Value {
    json!({
        "anyOf": [
            whole(u64::MAX),
            // Up to 100, or with an exponent, whose value a pattern cannot know.
            {
                "type": "string",
                "pattern": "^\\s*[+]?(0*(100([.]0*)?|[0-9]{1,2}([.][0-9]*)?)|[.][0-9]+|[0-9.]+[eE][+-]?[0-9]+)\\s*%$",
            },
        ],
    })
}

fn latency() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["phase", "ms"],
        "properties": {
            "phase": words(["tcp_connect", "starttls", "server_hello", "handshake", "first_application_data"]),
            "percentile": {"type": "number", "exclusiveMinimum": 0, "maximum": 100},
            "ms": {"type": "number", "minimum": 0},
        },
    })
}

fn whole(most: u64) -> Value {
    match most {
        u64::MAX => json!({"type": "integer", "minimum": 0}),
        _ => json!({"type": "integer", "minimum": 0, "maximum": most}),
    }
}

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Value {
    json!({"enum": words.into_iter().collect::<Vec<_>>()})
}

/// One value, or a list of at least one.
fn one_or_several(value: Value) -> Value {
    json!({"anyOf": [value, {"type": "array", "minItems": 1, "items": value}]})
}

/// One value, or a list of any length.
fn one_or_more(value: Value) -> Value {
    json!({"anyOf": [value, {"type": "array", "items": value}]})
}

fn described(mut schema: Value, doc: &str) -> Value {
    if let Value::Object(schema) = &mut schema {
        schema.insert("description".into(), doc.into());
    }
    schema
}

/// A value in TOML, as JSON.
fn value_of(example: &str) -> Option<Value> {
    let mut table: Map<String, Value> = toml::from_str(&format!("value = {example}")).ok()?;
    table.remove("value")
}

#[cfg(test)]
pub(super) mod testing {
    //! The schema against the policies that the tests of all keys write.

    use std::sync::LazyLock;

    use super::*;

    pub(super) static VALIDATOR: LazyLock<jsonschema::Validator> =
        LazyLock::new(|| jsonschema::validator_for(&policy_schema()).unwrap());

    pub(super) fn json_of(policy: &str) -> Value {
        toml::from_str(policy).unwrap_or_else(|error| panic!("{policy}: {error}"))
    }

    /// Fails if the schema refuses a policy that the parser accepts.
    #[track_caller]
    pub(in crate::check) fn assert_fits_schema(policy: &str) {
        let document = json_of(policy);
        let errors = VALIDATOR.iter_errors(&document);
        let errors: Vec<_> = errors.map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?} in {policy}");
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{VALIDATOR, assert_fits_schema, json_of};
    use super::*;
    use crate::check::{Policy, default_policy_text};

    #[track_caller]
    fn assert_accepted(policy: &str) {
        Policy::parse(policy, "t.toml").unwrap();
        assert_fits_schema(policy);
    }

    #[test]
    fn every_key_has_a_shape_and_its_example_fits() {
        for key in SETTING_KEYS {
            assert!(shape(key.name).is_some(), "{}", key.name);
            let rule = format!("{} = {}\nno-gaps = true", key.name, key.example);
            assert_accepted(&format!("[[rule]]\n{rule}"));
        }
        for key in assertion::keys() {
            assert!(shape(key.name).is_some(), "{}", key.name);
            assert_accepted(&format!("[[rule]]\n{} = {}", key.name, key.example));
        }
    }

    #[test]
    fn accepts_the_default_policy_and_every_preset() {
        assert_accepted(default_policy_text());
        for preset in Preset::ALL {
            assert_accepted(&format!("[[rule]]\n{}", preset.text()));
            assert_accepted(&format!("[[rule]]\npreset = '{}'", preset.as_str()));
        }
    }

    #[test]
    fn accepts_every_way_to_write_a_value() {
        for rule in [
            "max-failures = 0",
            "max-failures = '80 %'",
            "max-failures = '.5%'",
            "max-unknown = '1e-3 %'",
            "max-failures-of = { unknown_ca = 0, connection_reset = '1 %' }",
            "expect-failure = 'unknown_ca'",
            "expect-failure = ['unknown_ca', 'cert_expired']",
            "expect-failure = { side = 'server' }",
            "expect-failure = {}",
            "forbidden-findings = '*'",
            "forbidden-findings = ['cert_expired', '*']",
            "max-latency = [{ phase = 'handshake', ms = 2.5 }, { phase = 'tcp_connect', ms = 1, percentile = 50 }]",
            "min-days-valid = 0.5",
            "min-rsa-bits = 0x800",
            "no-gaps = true\nrequire-alpn = false",
            "allowed-alpn = ''",
            "forbidden-suites = ['*', 'ECDHE-RSA-AES128-SHA', 'tls_aes_128_gcm_sha256', '0x1301']",
            "allowed-groups = ['P-256', 'x25519', '0x11ec']",
            "no-gaps = true\nwhere = { client = ['::/0', '::ffff:192.0.2.1', '2001:DB8::/32', '0.0.0.0/0'] }",
            "where = { port = 443, server = '::1', client = ['10.0.0.0/8', '192.0.2.1'], server-name = ['a', '*'], tunnel = 'gre*', user-name = '*@a', calling-station-id = ['02:*'] }\nno-gaps = true",
        ] {
            assert_accepted(&format!(
                "severity = 'warning'\nallow-empty = true\n[[rule]]\n{rule}"
            ));
        }
        for version in ["SSL 3.0", "TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3"] {
            assert_accepted(&format!("[[rule]]\nmin-version = '{version}'"));
        }
        for version in [
            "1.2", "1", "v1.2", "TLSv1", "TLSv1.2", "TLS1.3", "tls 1.3", "TLS_1.3", "SSLv3",
            "ssl-3.0",
        ] {
            assert_accepted(&format!("[[rule]]\nmin-version = '{version}'"));
        }
        for share in ["0%", "100 %", "100.0 %", "099 %", "99.99 %", "+5 %", " 5 %"] {
            assert_accepted(&format!(
                "[[rule]]\nno-gaps = true\nmax-failures = '{share}'"
            ));
        }
    }

    #[test]
    fn refuses_what_the_parser_refuses() {
        for policy in [
            "rules = []",
            "severity = 'fatal'",
            "unknown = true",
            "allow-empty = 'yes'",
            "rule = 'no-gaps'",
            "[[rule]]\nmin-vesion = 'TLS 1.2'",
            "[[rule]]\nmin-version = 1.2",
            "[[rule]]\nmin-version = 'latest'",
            "[[rule]]\nmin-version = '1.9'",
            "[[rule]]\nmin-version = 'SSL 1.2'",
            "[[rule]]\nmin-version = 'TLS 3.0'",
            "[[rule]]\nname = 'nothing'",
            "[[rule]]\nrequire-alpn = false",
            "[[rule]]\nmin-handshakes = 0",
            "[[rule]]\nmax-failures = '100 %'",
            "[[rule]]\nmax-failures = '101 %'",
            "[[rule]]\nmax-failures = '-1 %'",
            "[[rule]]\npreset = 'mozilla-old'",
            "[[rule]]\nno-gaps = 'yes'",
            "[[rule]]\nallowed-suites = []",
            "[[rule]]\nallowed-suites = [4865]",
            "[[rule]]\nallowed-suites = '4865'",
            "[[rule]]\nforbidden-groups = ['x25519', '']",
            "[[rule]]\nallowed-offered-suites = 'TLS 1.2'",
            "[[rule]]\nmax-latency = []",
            "[[rule]]\nmax-failures-of = {}",
            "[[rule]]\nmin-handshakes = 0\nrequire-alpn = false",
            "[[rule]]\nmin-handshakes = 0\nmax-latency = []\nmax-failures-of = {}",
            "[[rule]]\nno-gaps = true\nwhere = { server = 'example.org' }",
            "[[rule]]\nmax-failures = -1",
            "[[rule]]\nmax-failures = 'few'",
            "[[rule]]\nmax-failures-of = { expired = 0 }",
            "[[rule]]\nexpect-failure = 'expired'",
            "[[rule]]\nexpect-failure = { by = 'client' }",
            "[[rule]]\nforbidden-findings = ['expired']",
            "[[rule]]\nmax-latency = { phase = 'handshake' }",
            "[[rule]]\nmax-latency = { phase = 'dns', ms = 1 }",
            "[[rule]]\nmax-latency = { phase = 'handshake', ms = 1, percentile = 0 }",
            "[[rule]]\nmin-rsa-bits = 100000",
            "[[rule]]\nno-gaps = true\nwhere = { port = 70000 }",
            "[[rule]]\nno-gaps = true\nwhere = { host = 'a' }",
            "[[rule]]\nclient-certificate = 'optional'",
        ] {
            assert!(Policy::parse(policy, "t.toml").is_err(), "{policy}");
            assert!(!VALIDATOR.is_valid(&json_of(policy)), "{policy}");
        }
    }

    #[test]
    fn refuses_a_policy_without_rules_as_check_does() {
        for policy in ["", "allow-empty = true", "rule = []"] {
            assert!(
                Policy::parse(policy, "t.toml").unwrap().is_empty(),
                "{policy}"
            );
            assert!(!VALIDATOR.is_valid(&json_of(policy)), "{policy}");
        }
    }

    #[test]
    fn every_key_has_a_description_and_an_example() {
        let schema = policy_schema();
        let rule = schema["definitions"]["rule"]["properties"]
            .as_object()
            .unwrap();
        assert!(rule.len() > 30);
        for (key, schema) in rule {
            assert!(schema["description"].is_string(), "{key}");
            assert!(schema["examples"][0] != Value::Null, "{key}");
        }
    }
}

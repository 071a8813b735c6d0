//! Which fields of a handshake are compared, and which are masked.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::tls::{CipherSuite, NamedGroup, ProtocolVersion, SignatureScheme, is_grease};

/// The compared fields of a handshake: each value as JSON, by its path.
pub(super) type Fields = BTreeMap<String, String>;

/// The compared part of an event as text: events are equal if their texts are.
pub(super) fn canonical(event: Value) -> String {
    sorted(masked(event)).to_string()
}

/// Sorts keys: a map of serde_json keeps the order of insertion.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let sorted_items = object.into_iter().map(|(key, value)| (key, sorted(value)));
            let by_key: BTreeMap<_, _> = sorted_items.collect();
            Value::Object(by_key.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        plain => plain,
    }
}

/// The fields of a canonical text.
pub(super) fn fields_of(canonical: &str) -> Fields {
    serde_json::from_str(canonical).map_or_else(|_| Fields::new(), |value| fields(&value))
}

/// Removes masked fields and those that are `null`.
pub(super) fn masked(value: Value) -> Value {
    mask(value, "").unwrap_or(Value::Null)
}

fn mask(value: Value, path: &str) -> Option<Value> {
    if MASKED.contains(&path) {
        return None;
    }
    match value {
        Value::Null => None,
        Value::Object(object) => {
            let item = |(key, value): (String, Value)| {
                let path = match path {
                    "" => key.clone(),
                    _ => format!("{path}.{key}"),
                };
                Some((key, mask(value, &path)?))
            };
            Some(Value::Object(object.into_iter().filter_map(item).collect()))
        }
        Value::Array(items) => {
            let path = format!("{path}[]");
            let items = items.into_iter().filter_map(|item| mask(item, &path));
            Some(Value::Array(items.collect()))
        }
        Value::Number(number) => {
            let code = number.as_u64().and_then(|code| u16::try_from(code).ok());
            let name = code.zip(registry(path)).map(|(code, name)| {
                Value::from(match is_grease(code) {
                    true => "GREASE".to_owned(),
                    false => name(code),
                })
            });
            Some(name.unwrap_or(Value::Number(number)))
        }
        value => Some(value),
    }
}

/// The names of the numbers at a path, if it is that of a list that clients also add GREASE to (RFC 8701).
fn registry(path: &str) -> Option<fn(u16) -> String> {
    Some(match path {
        "tls.offered_versions[]" => |code| ProtocolVersion(code).to_string(),
        "tls.offered_cipher_suites[]" => |code| CipherSuite(code).to_string(),
        "tls.offered_groups[]" | "tls.key_share_groups[]" => |code| NamedGroup(code).to_string(),
        "tls.signature_algorithms[]" => |code| SignatureScheme(code).to_string(),
        _ => return None,
    })
}

/// Flattens an object; a list of plain values is one field.
fn fields(value: &Value) -> Fields {
    let mut fields = Fields::new();
    collect(value, String::new(), &mut fields);
    fields
}

fn collect(value: &Value, path: String, fields: &mut Fields) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let path = match path.as_str() {
                    "" => key.clone(),
                    path => format!("{path}.{key}"),
                };
                collect(value, path, fields);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (index, value) in items.iter().enumerate() {
                collect(value, format!("{path}[{index}]"), fields);
            }
        }
        plain => {
            fields.insert(path, plain.to_string());
        }
    }
}

/// Fields that are neither in a baseline nor compared: by path, with `[]` for each item of a list.
const MASKED: &[&str] = &[
    // Time and place.
    "time",
    "source",
    "flow_id",
    "community_id",
    "client.port",
    "alerts[].time",
    "timing_ms",
    "capture.first_packet",
    "capture.last_packet",
    // Which of two packets came first when both sides send at once, as at the end of a connection.
    "closed_by",
    "tls.history",
    // Some clients shuffle their extensions.
    "fingerprint.ja3",
    // Test certificates are often issued for each run.
    "server_certificates[].serial",
    "server_certificates[].not_before",
    "server_certificates[].not_after",
    "server_certificates[].days_until_expiry",
    "server_certificates[].sha256",
    "client_certificates[].serial",
    "client_certificates[].not_before",
    "client_certificates[].not_after",
    "client_certificates[].days_until_expiry",
    "client_certificates[].sha256",
    // The class of what the group and the suite say already; older baselines do not have it.
    "tls.key_exchange",
    // Numbers that stand next to their names.
    "alerts[].code",
    "tls.version_code",
    "tls.cipher_suite_code",
    "tls.group_code",
    // Texts for people, and the confidence of inferences.
    "error.message",
    "error.hint",
    "validation[].detail",
    "confidence",
    "inference",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_mask_names_a_field_that_events_have() {
        let lines = crate::sink::machine::json::lines_of(&crate::sink::test_events::all());
        for path in MASKED {
            let path = path.replace("client_certificates", "server_certificates"); // of one kind
            let pointer = format!("/{}", path.replace("[]", "/0").replace('.', "/"));
            let is_there = lines.iter().any(|line| line.pointer(&pointer).is_some());
            assert!(is_there, "{path}");
        }
    }

    #[test]
    fn masked_and_null_fields_are_removed_and_grease_is_named() {
        let event = json!({
            "time": "now", "client": {"address": "::1", "port": 1}, "alerts": [{"time": "now", "level": "fatal"}],
            "tls": {"alpn": null, "offered_groups": [0x1a1a, 29]},
        });
        let expected = json!({
            "client": {"address": "::1"}, "alerts": [{"level": "fatal"}],
            "tls": {"offered_groups": ["GREASE", "x25519"]},
        });
        assert_eq!(masked(event), expected);
    }

    #[test]
    fn the_order_of_keys_does_not_matter() {
        let (one, other) = (
            json!({"b": [{"d": 1, "c": 2}], "a": 0}),
            json!({"a": 0, "b": [{"c": 2, "d": 1}]}),
        );
        assert_eq!(canonical(one), canonical(other));
    }

    #[test]
    fn every_value_has_a_path() {
        let fields = fields(&json!({"a": {"b": [1, 2]}, "c": [{"d": "x"}], "e": []}));
        let flat: Vec<_> = fields
            .iter()
            .map(|(path, value)| format!("{path}={value}"))
            .collect();
        assert_eq!(flat, ["a.b=[1,2]", "c[0].d=\"x\"", "e=[]"]);
    }
}

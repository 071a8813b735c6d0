//! JSON for people who review a baseline: a field on each line, so that a change is a line of a diff.

use serde_json::Value;

/// Objects down to this depth have a line for each field; what is inside them is on one line.
const DEPTH: usize = 2;

/// An object as text, with a line feed at its end.
pub(super) fn text(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, &mut text);
    text.push('\n');
    text
}

fn write(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth + 1);
    match value {
        Value::Object(object) if depth < DEPTH && has_parts(depth, value) => {
            text.push('{');
            for (index, (key, value)) in object.iter().enumerate() {
                let comma = if index > 0 { "," } else { "" };
                text.push_str(&format!("{comma}\n{indent}{}: ", Value::from(key.as_str())));
                write(value, depth + 1, text);
            }
            text.push_str(&format!("\n{}}}", "  ".repeat(depth)));
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                let comma = if index > 0 { "," } else { "" };
                text.push_str(&format!("{comma}\n{indent}{item}"));
            }
            text.push_str(&format!("\n{}]", "  ".repeat(depth)));
        }
        value => text.push_str(&value.to_string()),
    }
}

/// Whether an object gets lines of its own: the handshake does, and so do large parts of it.
fn has_parts(depth: usize, value: &Value) -> bool {
    const LARGE: usize = 5;
    depth == 0 || value.as_object().is_some_and(|object| object.len() > LARGE)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_field_of_a_large_object_has_its_line() {
        let value = json!({
            "client": {"address": "192.0.2.1"},
            "tls": {"a": 1, "b": [1, 2], "c": "x", "d": null, "e": {}, "f": true},
            "certificates": [{"a": 1}, {"b": 2}],
            "empty": [],
        });
        let expected = r#"{
  "client": {"address":"192.0.2.1"},
  "tls": {
    "a": 1,
    "b": [1,2],
    "c": "x",
    "d": null,
    "e": {},
    "f": true
  },
  "certificates": [
    {"a":1},
    {"b":2}
  ],
  "empty": []
}
"#;
        assert_eq!(text(&value), expected);
        let read: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(read, value);
    }
}

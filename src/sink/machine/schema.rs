//! The JSON Schema of the lines of [`super::json`], made from the structs that are serialised.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::json::Line;

/// The JSON Schema (draft 2020-12) of one line of `--format json`.
///
/// # Example
///
/// ```
/// let schema = tlscope::sink::machine::schema::json_schema();
/// assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
/// ```
#[must_use]
pub fn json_schema() -> Value {
    SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Line<'_>>()
        .to_value()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::sink::machine::json::lines_of;
    use crate::sink::test_events;

    /// Refuses keys that the schema does not name: readers may meet more keys in later versions, tests may not.
    fn close(schema: &mut Value) {
        if let Value::Object(object) = schema {
            if object.contains_key("properties") {
                object.insert("additionalProperties".into(), json!(false));
            }
            object.values_mut().for_each(close);
        } else if let Value::Array(items) = schema {
            items.iter_mut().for_each(close);
        }
    }

    fn validator() -> jsonschema::Validator {
        let mut schema = json_schema();
        close(&mut schema);
        jsonschema::validator_for(&schema).unwrap()
    }

    #[test]
    fn accepts_every_line_that_is_written() {
        let validator = validator();
        let lines = lines_of(&test_events::all());
        assert!(lines.len() > 4);
        for line in lines {
            let errors: Vec<_> = validator
                .iter_errors(&line)
                .map(|e| e.to_string())
                .collect();
            assert!(errors.is_empty(), "{errors:?} in {line:#}");
        }
    }

    #[test]
    fn rejects_words_outside_the_closed_sets() {
        let validator = validator();
        let mut line = lines_of(&[test_events::refused_by_the_client()]).remove(0);
        for pointer in ["/outcome", "/error/type", "/tls/ech", "/closed_by", "/type"] {
            let right = std::mem::replace(line.pointer_mut(pointer).unwrap(), json!("mystery"));
            assert!(!validator.is_valid(&line), "{pointer}");
            *line.pointer_mut(pointer).unwrap() = right;
        }
        assert!(validator.is_valid(&line));
    }

    #[test]
    fn describes_every_key_of_a_handshake() {
        let schema = json_schema();
        let variants = schema["oneOf"].as_array().unwrap();
        let handshake = variants
            .iter()
            .find(|variant| variant["properties"]["type"]["const"] == "handshake")
            .unwrap();
        for (key, value) in handshake["properties"].as_object().unwrap() {
            assert!(
                key == "type" || value["description"].is_string(),
                "{key}: {value}"
            );
        }
    }
}

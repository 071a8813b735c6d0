//! The attributes and the body of log records and spans.

use opentelemetry::{Array, KeyValue, StringValue, Value};

use crate::event::{Handshake, Outcome};
use crate::sink::fields::{FIELDS, FieldValue};
use crate::telemetry::metrics::heavy_hitters::label;

/// The attributes of `event`; those that the capture does not show are absent.
pub(crate) fn attributes(event: &Handshake) -> Vec<KeyValue> {
    let fields = FIELDS.iter();
    let attributes = fields.filter_map(|field| {
        let key = field.attribute?;
        Some(KeyValue::new(key, attribute_value((field.value)(event))?))
    });
    attributes.collect()
}

/// `None` for what is absent, or an empty list. Text from the traffic is cut, and has no
/// control characters.
fn attribute_value(value: FieldValue<'_>) -> Option<Value> {
    Some(match value {
        FieldValue::Absent => return None,
        FieldValue::Flag(flag) => flag.into(),
        FieldValue::Count(count) => i64::try_from(count).unwrap_or(i64::MAX).into(),
        FieldValue::Number(number) => number.into(),
        FieldValue::Word(word) => word.into(),
        FieldValue::Safe(text) => text.into(),
        FieldValue::Untrusted(text) => label(text).into(),
        FieldValue::List(items) if items.is_empty() => return None,
        FieldValue::List(items) => {
            let items = items.into_iter().map(StringValue::from);
            Value::Array(Array::String(items.collect()))
        }
    })
}

/// One line for people.
pub(crate) fn summary(event: &Handshake) -> String {
    let server = server_address(event);
    let port = event.server.port;
    match (&event.error, event.outcome) {
        (Some(error), _) => format!(
            "TLS handshake with {server}:{port} failed: {}",
            label(&error.message)
        ),
        (None, Outcome::Success) => format!("TLS handshake with {server}:{port} completed"),
        (None, Outcome::Failure) => format!("TLS handshake with {server}:{port} failed"),
        (None, Outcome::Unknown) => {
            format!("TLS handshake with {server}:{port}: outcome unknown")
        }
    }
}

fn server_address(event: &Handshake) -> String {
    let name = event.tls.server_name.as_deref().map(label);
    name.unwrap_or_else(|| event.server.address.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::{ErrorType, HandshakeError, Side};
    use crate::telemetry::testing::{certificate, handshake};

    fn value(event: &Handshake, key: &str) -> Option<String> {
        let attributes = attributes(event);
        let found = attributes.iter().find(|a| a.key.as_str() == key)?;
        Some(found.value.to_string())
    }

    #[test]
    fn attributes_have_the_names_of_the_semantic_conventions() {
        let mut event = handshake();
        event.tls.server_name = Some("example.org".into());
        event.server_certificates = Some([Arc::new(certificate("example.org", 0))].into());
        for (key, expected) in [
            ("tls.protocol", "tls"),
            ("tls.protocol.name", "tls"),
            ("tls.protocol.version", "1.3"),
            ("tls.cipher", "TLS_AES_128_GCM_SHA256"),
            ("tls.resumed", "false"),
            ("server.address", "example.org"),
            ("destination.address", "192.0.2.1"),
            ("server.port", "443"),
            ("tls.server.subject", "CN=example.org"),
            ("tls.server.not_after", "1970-01-01T00:00:00Z"),
            ("tls.phase.server_hello", "3"),
            ("tls.established", "true"),
        ] {
            assert_eq!(value(&event, key).as_deref(), Some(expected), "{key}");
        }
        assert_eq!(value(&event, "error.type"), None);
    }

    #[test]
    fn a_failure_has_its_cause_in_the_body() {
        let mut event = handshake();
        event.outcome = Outcome::Failure;
        event.error = Some(HandshakeError {
            error_type: ErrorType::UnknownCa,
            side: Some(Side::Client),
            message: "client refused".to_owned(),
            hint: None,
        });
        assert_eq!(
            summary(&event),
            "TLS handshake with 192.0.2.1:443 failed: client refused"
        );
        assert_eq!(value(&event, "error.type").as_deref(), Some("unknown_ca"));
    }
}

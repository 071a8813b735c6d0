//! What log records and spans say of a handshake, under the names of OpenTelemetry's
//! semantic conventions where there are any.

use opentelemetry::{Array, KeyValue, StringValue, Value};

use crate::certificate::CertificateFacts;
use crate::event::{Handshake, Outcome, Side, Transport};
use crate::flow::{IpProtocol, community_id};
use crate::telemetry::metrics::heavy_hitters::label;

/// Everything that is known of `event` and fits an attribute; what is not known is absent.
pub(crate) fn attributes(event: &Handshake) -> Vec<KeyValue> {
    let mut facts = Facts(Vec::with_capacity(40));
    facts.outcome(event);
    facts.peers(event);
    facts.tls(event);
    facts.timing(event);
    facts.certificates(event);
    facts.0
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

struct Facts(Vec<KeyValue>);

impl Facts {
    fn add(&mut self, key: &'static str, value: impl Into<Value>) {
        self.0.push(KeyValue::new(key, value));
    }

    /// Text from the traffic: cut, and without control characters.
    fn text(&mut self, key: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.add(key, label(text));
        }
    }

    fn list(&mut self, key: &'static str, texts: impl IntoIterator<Item = String>) {
        let texts: Vec<StringValue> = texts.into_iter().map(StringValue::from).collect();
        if !texts.is_empty() {
            self.add(key, Value::Array(Array::String(texts)));
        }
    }

    fn outcome(&mut self, event: &Handshake) {
        self.add("result", event.outcome.as_str());
        self.add("tls.established", event.outcome == Outcome::Success);
        self.add("tls.evidence", event.evidence.as_str());
        self.add("tlscope.confidence", event.confidence);
        if let Some(inference) = &event.inference {
            self.add("tlscope.rule", inference.rule);
            let observations = inference.observations.iter();
            self.list(
                "tlscope.observations",
                observations.map(|text| (*text).to_owned()),
            );
        }
        if let Some(error) = &event.error {
            self.add("error.type", error.error_type.as_str());
            self.text("error.message", Some(&error.message));
            if let Some(side) = error.side {
                self.add("tls.error.side", side.as_str());
            }
        }
        let alerts = event.alerts.iter().filter_map(|alert| {
            let description = alert.description?;
            Some(format!("{}:{description}", alert.sender))
        });
        self.list("tls.alerts", alerts);
        let findings = event.validation.iter();
        self.list(
            "tls.validation.errors",
            findings.map(|finding| format!("{}:{}", finding.side, finding.error_type)),
        );
        if let Some(closed_by) = event.closed_by {
            self.add("tlscope.closed_by", closed_by.as_str());
        }
        self.text("file.path", event.saved_to.as_deref()); // the packets behind it
    }

    fn peers(&mut self, event: &Handshake) {
        let (client, server) = (event.client, event.server);
        self.add("client.address", client.address.to_string());
        self.add("client.port", i64::from(client.port));
        self.add("server.address", server_address(event));
        self.add("server.port", i64::from(server.port));
        self.add("source.address", client.address.to_string());
        self.add("source.port", i64::from(client.port));
        self.add("destination.address", server.address.to_string());
        self.add("destination.port", i64::from(server.port));
        self.add("network.transport", event.transport.as_str());
        let is_ipv4 = server.address.is_ipv4();
        self.add("network.type", if is_ipv4 { "ipv4" } else { "ipv6" });
        self.text("network.interface.name", Some(&event.source));
        self.add("tlscope.flow_id", format!("{:016x}", event.flow_id));
        let protocol = match event.transport {
            Transport::Tcp => IpProtocol::Tcp,
            Transport::Udp | Transport::Quic => IpProtocol::Udp,
        };
        self.add(
            "tlscope.community_id",
            community_id(client, server, protocol),
        );
    }

    fn tls(&mut self, event: &Handshake) {
        let tls = &event.tls;
        if let Some(version) = tls.version {
            self.add("tls.protocol.name", version.protocol_name());
            let number = version.protocol_version().map(str::to_owned);
            let number = number.unwrap_or_else(|| version.to_string());
            self.add("tls.protocol.version", number);
        }
        if let Some(cipher) = tls.cipher_suite {
            self.add("tls.cipher", cipher.to_string());
        }
        if let Some(group) = tls.group {
            self.add("tls.curve", group.to_string());
        }
        self.text("tls.next_protocol", tls.alpn.as_deref());
        if let Some(resumed) = tls.resumed {
            self.add("tls.resumed", resumed);
        }
        self.add("tls.client.certificate", tls.client_certificate.as_str());
        self.text("tls.client.ja3", event.fingerprint.ja3.as_deref());
        self.text("tls.client.ja4", event.fingerprint.ja4.as_deref());
        self.text("tls.server.ja3s", event.fingerprint.ja3s.as_deref());
    }

    fn timing(&mut self, event: &Handshake) {
        let timing = &event.timing;
        for (key, duration) in [
            ("tls.phase.tcp_connect", timing.tcp_connect),
            ("tls.phase.server_hello", timing.server_hello),
            ("tls.phase.handshake", timing.handshake),
            (
                "tls.phase.first_application_data",
                timing.first_application_data,
            ),
        ] {
            if let Some(duration) = duration {
                self.add(key, duration.as_nanos() as f64 / 1e6);
            }
        }
    }

    fn certificates(&mut self, event: &Handshake) {
        for (side, chain) in [
            (Side::Client, &event.client_certificates),
            (Side::Server, &event.server_certificates),
        ] {
            let leaf = chain.as_ref().and_then(|chain| chain.first());
            if let Some(Ok(facts)) = leaf.map(|leaf| &leaf.facts) {
                self.certificate(side, facts);
            }
        }
    }

    fn certificate(&mut self, side: Side, facts: &CertificateFacts) {
        let [subject, issuer, not_before, not_after] = match side {
            Side::Client => [
                "tls.client.subject",
                "tls.client.issuer",
                "tls.client.not_before",
                "tls.client.not_after",
            ],
            Side::Server => [
                "tls.server.subject",
                "tls.server.issuer",
                "tls.server.not_before",
                "tls.server.not_after",
            ],
        };
        self.text(subject, Some(&facts.subject));
        self.text(issuer, Some(&facts.issuer));
        self.add(not_before, facts.not_before.to_string());
        self.add(not_after, facts.not_after.to_string());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::{ErrorType, HandshakeError};
    use crate::telemetry::testing::{certificate, handshake};

    fn value(event: &Handshake, key: &str) -> Option<String> {
        let attributes = attributes(event);
        let found = attributes.iter().find(|a| a.key.as_str() == key)?;
        Some(found.value.to_string())
    }

    #[test]
    fn facts_go_by_the_names_of_the_semantic_conventions() {
        let mut event = handshake();
        event.tls.server_name = Some("example.org".into());
        event.server_certificates = Some([Arc::new(certificate("example.org", 0))].into());
        for (key, expected) in [
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
    fn a_failure_says_why_in_a_line() {
        let mut event = handshake();
        event.outcome = Outcome::Failure;
        event.error = Some(HandshakeError {
            error_type: ErrorType::UnknownCa,
            side: Some(Side::Client),
            message: "client refused".to_owned(),
        });
        assert_eq!(
            summary(&event),
            "TLS handshake with 192.0.2.1:443 failed: client refused"
        );
        assert_eq!(value(&event, "error.type").as_deref(), Some("unknown_ca"));
    }

    #[test]
    fn no_two_facts_have_one_name() {
        let mut event = handshake();
        event.server_certificates = Some([Arc::new(certificate("a", 0))].into());
        event.client_certificates = Some([Arc::new(certificate("b", 0))].into());
        let attributes = attributes(&event);
        let keys: std::collections::HashSet<_> = attributes.iter().map(|a| &a.key).collect();
        assert_eq!(keys.len(), attributes.len());
    }
}

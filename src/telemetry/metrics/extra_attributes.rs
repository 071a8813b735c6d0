//! The attributes that users add to metrics, each with a bounded number of values.

use std::sync::Arc;

use opentelemetry::{KeyValue, Value};

use super::OTHER;
use super::certificate_table::{issuer, subject};
use super::heavy_hitters::{HeavyHitters, label};
use crate::event::Handshake;
use crate::telemetry::MetricAttribute;

/// Chooses the values that a handshake has in its series.
#[derive(Debug)]
pub(crate) struct Chooser(Vec<(MetricAttribute, HeavyHitters)>);

impl Chooser {
    /// `places` is the number of values of each attribute.
    pub(crate) fn new(attributes: &[MetricAttribute], places: usize) -> Self {
        let mut chosen: Vec<(MetricAttribute, HeavyHitters)> = Vec::new();
        for attribute in attributes {
            if !chosen.iter().any(|(known, _)| known == attribute) {
                chosen.push((*attribute, HeavyHitters::new(places)));
            }
        }
        Self(chosen)
    }

    /// The attributes of `event` for the counter of handshakes, and for all else; only that counter has messages.
    pub(crate) fn choose(&mut self, event: &Handshake) -> (Extras, Extras) {
        if self.0.is_empty() {
            return (Extras::default(), Extras::default());
        }
        let mut all = Vec::new();
        for (attribute, hitters) in &mut self.0 {
            if let Some(value) = value_of(*attribute, event) {
                let value = hitters.choose(&label(&value));
                all.push((*attribute, to_value(*attribute, &value)));
            }
        }
        let extras = |attributes: &[(MetricAttribute, Value)]| {
            let attributes = attributes.iter().cloned();
            let attributes = attributes.map(|(key, value)| KeyValue::new(key.as_str(), value));
            Extras(Some(attributes.collect()))
        };
        let counted = extras(&all);
        all.retain(|(attribute, _)| *attribute != MetricAttribute::ErrorMessage);
        (counted, extras(&all))
    }
}

/// The extra attributes of a handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Extras(Option<Arc<[KeyValue]>>);

impl Extras {
    pub(crate) fn add_to(&self, attributes: impl Iterator<Item = KeyValue>) -> Vec<KeyValue> {
        let extras = self.0.iter().flat_map(|extras| extras.iter().cloned());
        attributes.chain(extras).collect()
    }

    /// The same attributes with all values `other`.
    pub(crate) fn without_detail(self) -> Self {
        let other = |attribute: &KeyValue| KeyValue::new(attribute.key.clone(), OTHER);
        Self(self.0.map(|extras| extras.iter().map(other).collect()))
    }
}

/// `None` if the capture does not show it.
fn value_of(attribute: MetricAttribute, event: &Handshake) -> Option<String> {
    let client = || {
        let leaf = event.client_certificates.as_ref()?.first()?;
        leaf.facts.as_ref().ok()
    };
    match attribute {
        MetricAttribute::ServerAddress => {
            let name = event.tls.server_name.as_ref();
            Some(name.map_or_else(|| event.server.address.to_string(), ToString::to_string))
        }
        MetricAttribute::ServerPort => Some(event.server.port.to_string()),
        MetricAttribute::ClientIdentity => Some(client()?.identity().into_owned()),
        MetricAttribute::ClientSubject => Some(subject(client()?).into_owned()),
        MetricAttribute::ClientIssuer => Some(issuer(client()?).to_owned()),
        MetricAttribute::RemoteAddress => Some(event.client.address.to_string()),
        MetricAttribute::ErrorMessage => Some(event.error.as_ref()?.message.clone()),
        MetricAttribute::Group => Some(event.tls.group?.name().unwrap_or(OTHER).to_owned()),
        MetricAttribute::Unused => Some(event.tls.unused?.to_string()),
        MetricAttribute::Alpn => Some(event.tls.alpn.as_ref()?.to_string()),
        MetricAttribute::CertificateSerial => None, // it is on the gauges of certificates
        MetricAttribute::InterfaceName => Some(event.source.to_string()),
    }
}

/// A port is a number to OpenTelemetry, unless it is `other`.
fn to_value(attribute: MetricAttribute, text: &Arc<str>) -> Value {
    let number = || text.parse::<i64>().ok();
    match attribute {
        MetricAttribute::ServerPort => number().map(Value::from),
        _ => None,
    }
    .unwrap_or_else(|| Value::String(Arc::clone(text).into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Endpoint;
    use crate::telemetry::testing::{certificate, handshake};

    fn text(extras: &Extras) -> Vec<String> {
        let attributes = extras.add_to(std::iter::empty());
        let texts = attributes.iter().map(|a| format!("{}={}", a.key, a.value));
        texts.collect()
    }

    #[test]
    fn no_extra_attribute_is_added_by_default() {
        let (counted, timed) = Chooser::new(&[], 9).choose(&handshake());
        assert_eq!((text(&counted), text(&timed)), (vec![], vec![]));
    }

    #[test]
    fn each_attribute_has_the_value_of_the_handshake() {
        let mut event = handshake();
        event.source = "eth0".into();
        event.tls.server_name = Some("example.org".into());
        event.tls.alpn = Some("h2".into());
        event.client_certificates = Some([Arc::new(certificate("alice", 0))].into());
        let (counted, _) = Chooser::new(MetricAttribute::ALL, 9).choose(&event);
        assert_eq!(
            text(&counted),
            [
                "server.address=example.org",
                "server.port=443",
                "tls.client.identity=alice",
                "tls.client.subject=alice",
                "tls.client.issuer=Example CA",
                "remote.addr=192.0.2.1",
                "tls.alpn=h2",
                "network.interface.name=eth0",
            ]
        );
    }

    #[test]
    fn a_server_that_nobody_named_goes_by_its_address() {
        let attributes = [MetricAttribute::ServerAddress];
        let (counted, _) = Chooser::new(&attributes, 9).choose(&handshake());
        assert_eq!(text(&counted), ["server.address=192.0.2.1"]);
    }

    #[test]
    fn whatever_the_traffic_brings_the_values_are_bounded() {
        let mut chooser = Chooser::new(&[MetricAttribute::ServerPort], 4);
        let mut seen = std::collections::HashSet::new();
        for port in 0..10_000 {
            let mut event = handshake();
            event.server = Endpoint::new([192, 0, 2, 1].into(), port);
            seen.extend(text(&chooser.choose(&event).0));
        }
        assert_eq!(seen.len(), 3, "{seen:?}");
        assert!(seen.contains("server.port=other"));
    }
}

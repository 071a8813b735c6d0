//! The names of OpenTelemetry's semantic conventions, for those who ask for them.
//!
//! The names that metrics have by default are fixed by dashboards and alert rules. The conventions differ
//! from them in the unit of durations, in counters without `total` and in some attributes; what they do not
//! name keeps its name.

use std::time::Duration;

use opentelemetry::{KeyValue, Value};

use super::handshakes;
use crate::sink::milliseconds;
use crate::telemetry::MetricNames;

impl MetricNames {
    /// The name of an instrument.
    pub(super) fn instrument(self, name: &'static str) -> &'static str {
        match (self, name) {
            (Self::Semconv, handshakes::TOTAL) => "tls.handshakes",
            _ => name,
        }
    }

    /// What Prometheus calls the samples of a counter.
    pub(super) fn prometheus_counter(self, name: &'static str) -> String {
        let mut name = self.instrument(name).replace('.', "_");
        if !name.ends_with("_total") {
            name.push_str("_total");
        }
        name
    }

    /// What Prometheus calls a histogram of durations.
    pub(super) fn prometheus_duration(self, name: &'static str) -> String {
        let unit = match self {
            Self::Tlscope => "milliseconds",
            Self::Semconv => "seconds",
        };
        format!("{}_{unit}", self.instrument(name).replace('.', "_"))
    }

    /// The unit of durations.
    pub(super) const fn duration_unit(self) -> &'static str {
        match self {
            Self::Tlscope => "ms",
            Self::Semconv => "s",
        }
    }

    /// A duration in that unit.
    pub(super) fn duration(self, duration: Duration) -> f64 {
        match self {
            Self::Tlscope => milliseconds(duration),
            Self::Semconv => duration.as_secs_f64(),
        }
    }

    /// Upper bounds of buckets, given in milliseconds, in that unit.
    pub(super) fn bounds(self, milliseconds: &[f64]) -> Vec<f64> {
        let divisor = match self {
            Self::Tlscope => 1.0,
            Self::Semconv => 1e3,
        };
        milliseconds.iter().map(|bound| bound / divisor).collect()
    }

    /// The attributes of a series.
    pub(super) fn attributes(self, attributes: Vec<KeyValue>) -> Vec<KeyValue> {
        match self {
            Self::Tlscope => attributes,
            Self::Semconv => attributes.into_iter().flat_map(convention).collect(),
        }
    }
}

/// The convention's attributes for one of ours: `tls.version` becomes two.
fn convention(attribute: KeyValue) -> impl Iterator<Item = KeyValue> {
    let KeyValue { key, value, .. } = attribute;
    let (first, second) = match key.as_str() {
        "tls.version" => {
            let text = value.as_str().into_owned();
            match text.split_once(' ') {
                Some((protocol, version)) => (
                    renamed("tls.protocol.version", version.to_owned().into()),
                    Some(renamed("tls.protocol.name", protocol.to_lowercase().into())),
                ),
                None => (renamed("tls.protocol.version", text.into()), None),
            }
        }
        "tls.cipher_suite" => (renamed("tls.cipher", value), None),
        "tls.group" => (renamed("tls.curve", value), None),
        "tls.alpn" => (renamed("tls.next_protocol", value), None),
        "remote.addr" => (renamed("client.address", value), None),
        _ => (KeyValue::new(key, value), None),
    };
    [Some(first), second].into_iter().flatten()
}

fn renamed(key: &'static str, value: Value) -> KeyValue {
    KeyValue::new(key, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(names: MetricNames) -> Vec<String> {
        let attributes = vec![
            KeyValue::new("result", "success"),
            KeyValue::new("tls.version", "DTLS 1.2"),
            KeyValue::new("tls.cipher_suite", "TLS_AES_128_GCM_SHA256"),
        ];
        let attributes = names.attributes(attributes).into_iter();
        let texts = attributes.map(|attribute| format!("{}={}", attribute.key, attribute.value));
        texts.collect()
    }

    #[test]
    fn conventions_rename_what_they_name() {
        assert_eq!(
            texts(MetricNames::Semconv),
            [
                "result=success",
                "tls.protocol.version=1.2",
                "tls.protocol.name=dtls",
                "tls.cipher=TLS_AES_128_GCM_SHA256",
            ]
        );
        assert_eq!(texts(MetricNames::Tlscope)[1], "tls.version=DTLS 1.2");
        assert_eq!(
            MetricNames::Semconv.instrument(handshakes::TOTAL),
            "tls.handshakes"
        );
    }

    #[test]
    fn conventions_have_seconds() {
        let duration = Duration::from_millis(1_500);
        assert_eq!(MetricNames::Semconv.duration(duration), 1.5);
        assert_eq!(MetricNames::Tlscope.duration(duration), 1_500.0);
        assert_eq!(MetricNames::Semconv.bounds(&[5.0]), [0.005]);
    }
}

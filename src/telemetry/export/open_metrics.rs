//! Metrics in the OpenMetrics format, which Prometheus asks for first.
//!
//! It differs from the older text format in that counters are declared without `_total`, in
//! `target_info` and `build_info`, and in a mark at the end, so that an answer that was cut
//! off is not taken for a whole one.

use std::fmt::Write as _;

use opentelemetry_sdk::metrics::data::ResourceMetrics;

use super::prometheus_text;
use crate::telemetry::metrics::exemplars::{Exemplar, Exemplars};

/// The media type that a client accepts, and that the answer has.
pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text";
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything in `metrics` with its exemplars, and what identifies this process.
pub(crate) fn encode(metrics: &ResourceMetrics, exemplars: &Exemplars) -> String {
    let plain = prometheus_text::encode(metrics);
    let mut text = String::with_capacity(plain.len() + 512);
    let mut lines = plain.lines();
    while let Some(line) = lines.next() {
        let declared = line
            .strip_prefix("# HELP ")
            .and_then(|rest| rest.split_once(' '));
        let Some((name, help)) = declared else {
            text.push_str(line);
            let sample = line.rsplit_once(' ').map(|(sample, _)| sample);
            if let Some(exemplar) = sample.and_then(|sample| exemplars.of(sample)) {
                append(&mut text, &exemplar);
            }
            text.push('\n');
            continue;
        };
        let kind = lines.next().and_then(|line| line.rsplit_once(' '));
        let kind = kind.map_or("unknown", |(_, kind)| kind);
        let family = match kind {
            "counter" => name.strip_suffix("_total").unwrap_or(name),
            _ => name,
        };
        let _ = writeln!(text, "# HELP {family} {help}\n# TYPE {family} {kind}");
    }
    let resource = metrics.resource().iter();
    let resource: Vec<_> = resource
        .map(|(key, value)| opentelemetry::KeyValue::new(key.clone(), value.clone()))
        .collect();
    let resource = prometheus_text::labels(resource.iter());
    info(
        &mut text,
        "target",
        "What the metrics come from.",
        &resource,
    );
    let version = concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"");
    info(
        &mut text,
        "tlscope_build",
        "The program that runs.",
        version,
    );
    text.push_str("# EOF\n");
    text
}

/// An exemplar after its sample. Its time is that of the handshake, in seconds.
fn append(text: &mut String, exemplar: &Exemplar) {
    let (ids, value) = (exemplar.trace, exemplar.value);
    let milliseconds = exemplar.time.as_nanoseconds() / 1_000_000;
    let (seconds, rest) = (
        milliseconds.div_euclid(1_000),
        milliseconds.rem_euclid(1_000),
    );
    let _ = write!(
        text,
        " # {{trace_id=\"{}\",span_id=\"{}\"}} {value} {seconds}.{rest:03}",
        ids.trace, ids.span
    ); // a string takes everything
}

/// A family whose labels are the information.
fn info(text: &mut String, name: &str, help: &str, labels: &str) {
    let _ = writeln!(
        text,
        "# HELP {name} {help}\n# TYPE {name} info\n{name}_info{{{labels}}} 1"
    );
}

#[cfg(test)]
mod tests {
    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::metrics::{SdkMeterProvider, Temporality};

    use super::super::super::metrics::reader::MetricsReader;
    use super::*;

    #[test]
    fn counters_are_declared_without_total_and_the_end_is_marked() {
        let reader = MetricsReader::new(Temporality::Cumulative, 1);
        let resource = Resource::builder_empty()
            .with_service_name("a \"b\"")
            .build();
        let provider = SdkMeterProvider::builder().with_resource(resource);
        let provider = provider.with_reader(reader.clone()).build();
        let meter = provider.meter("test");
        let counter = meter
            .u64_counter("a.total")
            .with_description("Of a.")
            .build();
        counter.add(1, &[]);
        let gauge = meter.u64_gauge("b").with_description("Of b.").build();
        gauge.record(2, &[]);
        let text = encode(&reader.read().metrics, &Exemplars::default());
        let expected = format!(
            "\
# HELP a Of a.
# TYPE a counter
a_total 1
# HELP b Of b.
# TYPE b gauge
b 2
# HELP target What the metrics come from.
# TYPE target info
target_info{{service_name=\"a \\\"b\\\"\"}} 1
# HELP tlscope_build The program that runs.
# TYPE tlscope_build info
tlscope_build_info{{version=\"{}\"}} 1
# EOF
",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(text, expected);
    }
}

//! Metrics as text, in the Prometheus exposition format.
//!
//! Names are what Prometheus and the Collector make of OTLP: dots become
//! underscores, the unit and, for counters, `_total` are appended once.

use std::fmt::{Display, Write};

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, Histogram, HistogramDataPoint, Metric, MetricData, ResourceMetrics,
};

use crate::escape::printable;

/// Everything in `metrics`; the same metrics always give the same text.
pub(crate) fn encode(metrics: &ResourceMetrics) -> String {
    let mut families: Vec<_> = metrics
        .scope_metrics()
        .flat_map(|scope| scope.metrics())
        .collect();
    families.sort_by_key(|metric| metric.name());
    let mut text = String::new();
    for metric in families {
        match metric.data() {
            AggregatedMetrics::F64(data) => encode_family(metric, data, &mut text),
            AggregatedMetrics::U64(data) => encode_family(metric, data, &mut text),
            AggregatedMetrics::I64(data) => encode_family(metric, data, &mut text),
        }
    }
    text
}

fn encode_family<T: Display + Copy>(metric: &Metric, data: &MetricData<T>, text: &mut String) {
    let (kind, suffix) = match data {
        MetricData::Gauge(_) => ("gauge", ""),
        MetricData::Sum(_) => ("counter", "_total"),
        MetricData::Histogram(_) => ("histogram", ""),
        MetricData::ExponentialHistogram(_) => return, // no view of ours makes one
    };
    let name = family_name(metric, suffix);
    let samples = match data {
        MetricData::Gauge(gauge) => single(
            &name,
            gauge
                .data_points()
                .map(|p| (labels(p.attributes()), p.value())),
        ),
        MetricData::Sum(sum) => single(
            &name,
            sum.data_points()
                .map(|p| (labels(p.attributes()), p.value())),
        ),
        MetricData::Histogram(histogram) => buckets(&name, histogram),
        MetricData::ExponentialHistogram(_) => return,
    };
    if !samples.is_empty() {
        let help = escape(metric.description(), false);
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        text.push_str(&samples);
    }
}

fn family_name(metric: &Metric, suffix: &str) -> String {
    let mut name = metric.name().replace('.', "_");
    name.push_str(match metric.unit() {
        "ms" => "_milliseconds",
        "s" => "_seconds",
        "By" if !name.ends_with("_bytes") => "_bytes",
        _ => "", // annotations such as `{handshake}` are no units
    });
    if !name.ends_with(suffix) {
        name.push_str(suffix);
    }
    name
}

/// One line for each series, in the order of their labels.
fn single<T: Display>(name: &str, points: impl Iterator<Item = (String, T)>) -> String {
    let mut points: Vec<_> = points.collect();
    points.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut text = String::new();
    for (labels, value) in points {
        sample(&mut text, name, &labels, value);
    }
    text
}

fn buckets<T: Display + Copy>(name: &str, histogram: &Histogram<T>) -> String {
    let mut points: Vec<_> = histogram
        .data_points()
        .map(|point| (labels(point.attributes()), point))
        .collect();
    points.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut text = String::new();
    for (labels, point) in points {
        encode_histogram(&mut text, name, &labels, point);
    }
    text
}

fn encode_histogram<T: Display + Copy>(
    text: &mut String,
    name: &str,
    labels: &str,
    point: &HistogramDataPoint<T>,
) {
    let bucket = format!("{name}_bucket");
    let separator = if labels.is_empty() { "" } else { "," };
    let bounds = point.bounds().map(|bound| bound.to_string());
    let bounds = bounds.chain(["+Inf".to_owned()]);
    let mut cumulative = 0;
    for (bound, count) in bounds.zip(point.bucket_counts()) {
        cumulative += count;
        let labels = format!("{labels}{separator}le=\"{bound}\"");
        sample(text, &bucket, &labels, cumulative);
    }
    sample(text, &format!("{name}_sum"), labels, point.sum());
    sample(text, &format!("{name}_count"), labels, point.count());
}

fn sample(text: &mut String, name: &str, labels: &str, value: impl Display) {
    // Writing to a string does not fail.
    let _ = if labels.is_empty() {
        writeln!(text, "{name} {value}")
    } else {
        writeln!(text, "{name}{{{labels}}} {value}")
    };
}

fn labels<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> String {
    let mut labels: Vec<_> = attributes
        .map(|attribute| {
            let name = attribute.key.as_str().replace('.', "_");
            format!("{name}=\"{}\"", escape(&attribute.value.as_str(), true))
        })
        .collect();
    labels.sort();
    labels.join(",")
}

/// The format's escapes; quotes only matter within labels. Before that, control and invisible characters become text,
/// as in `\u{202e}`: the format has no escape for them, and people read the page.
fn escape(text: &str, quotes: bool) -> String {
    let text = printable(text);
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '"' if quotes => escaped.push_str("\\\""),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_sdk::metrics::{SdkMeterProvider, Temporality};

    use super::*;
    use crate::telemetry::metrics::reader::MetricsReader;

    fn text(record: impl FnOnce(&opentelemetry::metrics::Meter)) -> String {
        let reader = MetricsReader::new(Temporality::Cumulative, 1);
        let provider = SdkMeterProvider::builder()
            .with_reader(reader.clone())
            .build();
        record(&provider.meter("test"));
        encode(&reader.read().metrics)
    }

    #[test]
    fn total_is_appended_once() {
        let text = text(|meter| {
            meter.u64_counter("a.total").build().add(1, &[]);
            meter.u64_counter("b").build().add(2, &[]);
        });
        assert_eq!(
            text,
            "# HELP a_total \n# TYPE a_total counter\na_total 1\n\
             # HELP b_total \n# TYPE b_total counter\nb_total 2\n"
        );
    }

    #[test]
    fn labels_are_escaped_and_sorted() {
        let text = text(|meter| {
            let gauge = meter.f64_gauge("g").with_unit("s").build();
            let name = "q\"b\\s\nn\u{202e}";
            let attributes = [KeyValue::new("z.y", true), KeyValue::new("a", name)];
            gauge.record(-1.5, &attributes);
            gauge.record(2.0, &[KeyValue::new("a", "0")]);
        });
        assert_eq!(
            text,
            "# HELP g_seconds \n# TYPE g_seconds gauge\ng_seconds{a=\"0\"} 2\n\
             g_seconds{a=\"q\\\"b\\\\s\\\\nn\\\\u{202e}\",z_y=\"true\"} -1.5\n"
        );
    }

    #[test]
    fn buckets_are_cumulative() {
        let text = text(|meter| {
            let histogram = meter.f64_histogram("h").with_unit("ms");
            let histogram = histogram.with_boundaries(vec![0.5, 10.0]).build();
            for value in [0.25, 1.0, 2.0, 99.0] {
                histogram.record(value, &[KeyValue::new("k", "v")]);
            }
        });
        assert_eq!(
            text.lines().skip(2).collect::<Vec<_>>(),
            [
                "h_milliseconds_bucket{k=\"v\",le=\"0.5\"} 1",
                "h_milliseconds_bucket{k=\"v\",le=\"10\"} 3",
                "h_milliseconds_bucket{k=\"v\",le=\"+Inf\"} 4",
                "h_milliseconds_sum{k=\"v\"} 102.25",
                "h_milliseconds_count{k=\"v\"} 4",
            ]
        );
    }
}

//! What the flags say about metrics, as the sink takes it.

#[cfg(all(feature = "live", target_os = "linux"))]
use tlscope::telemetry::LiveMetricsConfig;
use tlscope::telemetry::{HistogramBuckets, LoggedHandshakes, MetricsConfig, Signal};

#[cfg(all(feature = "live", target_os = "linux"))]
use super::args::LiveMetricsArgs;
use super::args::{Histograms, Metrics, MetricsArgs, OtlpLogs, OtlpProtocol};

impl MetricsArgs {
    /// Whether something goes to the collector that tells of single handshakes.
    pub(super) fn asks_for_records(&self) -> bool {
        let mut signals = self.otlp_signals.iter();
        signals.any(|signal| *signal != Signal::Metrics)
    }
}

impl From<MetricsArgs> for MetricsConfig {
    /// For a run that ends by itself.
    fn from(args: MetricsArgs) -> Self {
        Self {
            endpoint: args.otlp_endpoint,
            protocol: args.otlp_protocol.map(Into::into),
            headers: args.otlp_header,
            compression: args.otlp_compression,
            temporality: args.otlp_temporality,
            timeout: args.otlp_timeout,
            signals: args.otlp_signals,
            logs: match args.otlp_logs {
                OtlpLogs::Failures => LoggedHandshakes::Failures,
                OtlpLogs::All => LoggedHandshakes::All,
            },
            trace_ratio: Some(args.otlp_trace_ratio),
            stdout: args.metrics == Some(Metrics::Stdout),
            attributes: args.metric_attributes,
            values: Some(args.metric_values.into()),
            histograms: match args.histograms {
                Histograms::Explicit => HistogramBuckets::Explicit,
                Histograms::Exponential => HistogramBuckets::Exponential,
            },
            live: None,
        }
    }
}

#[cfg(all(feature = "live", target_os = "linux"))]
impl From<LiveMetricsArgs> for LiveMetricsConfig {
    fn from(args: LiveMetricsArgs) -> Self {
        Self {
            prometheus: args.prometheus,
            interval: args.metrics_interval,
            certificate_memory: Some(args.certificate_memory),
            watched_certificates: args.watch_cert,
        }
    }
}

impl From<OtlpProtocol> for tlscope::telemetry::OtlpProtocol {
    fn from(protocol: OtlpProtocol) -> Self {
        match protocol {
            OtlpProtocol::Grpc => Self::Grpc,
            OtlpProtocol::HttpProtobuf => Self::HttpProtobuf,
        }
    }
}

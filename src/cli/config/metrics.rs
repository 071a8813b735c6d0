//! From the flags for metrics to the configuration of the exporter.

use tlscope::telemetry::{Histograms, LoggedHandshakes, MetricNames, MetricsConfig, OtlpProtocol};

use super::args::{
    HistogramChoice, MetricsArgs, MetricsOutput, NameChoice, OtlpLogs, ProtocolChoice,
};

impl MetricsArgs {
    /// Whether a run has metrics, by its flags or by the standard variables of OpenTelemetry.
    pub(crate) fn asks_for_metrics(&self) -> bool {
        let by_flags =
            self.metrics.is_some() || self.otlp_endpoint.is_some() || self.otlp_protocol.is_some();
        by_flags || std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").is_some()
    }

    /// Whether the metrics go to standard output at the end.
    #[cfg(live_capture)]
    pub(crate) fn takes_stdout(&self) -> bool {
        self.metrics == Some(MetricsOutput::Stdout)
    }
}

impl From<MetricsArgs> for MetricsConfig {
    /// The configuration of a run that exports once, at its end.
    fn from(args: MetricsArgs) -> Self {
        Self {
            endpoint: args.otlp_endpoint,
            protocol: args.otlp_protocol.map(OtlpProtocol::from),
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
            stdout: args.metrics == Some(MetricsOutput::Stdout),
            attributes: args.metric_attributes,
            values: Some(args.metric_values.into()),
            memory: None,
            names: match args.metric_names {
                NameChoice::Tlscope => MetricNames::Tlscope,
                NameChoice::Semconv => MetricNames::Semconv,
            },
            histograms: match args.histograms {
                HistogramChoice::Explicit => Histograms::Explicit,
                HistogramChoice::Exponential => Histograms::Exponential,
            },
            live: None,
        }
    }
}

impl From<ProtocolChoice> for OtlpProtocol {
    fn from(protocol: ProtocolChoice) -> Self {
        match protocol {
            ProtocolChoice::Grpc => Self::Grpc,
            ProtocolChoice::HttpProtobuf => Self::HttpProtobuf,
        }
    }
}

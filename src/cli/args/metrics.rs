//! Where metrics go: the same flags for every command that makes them.

use clap::ValueEnum;

/// Which metrics leave the process, and how.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct MetricsArgs {
    /// Write metrics too, after everything else, when the run ends
    #[arg(
        long,
        value_enum,
        value_name = "WHERE",
        help_heading = "Metrics",
        env = "TLSCOPE_METRICS"
    )]
    pub(in crate::cli) metrics: Option<Metrics>,

    /// Send metrics to an OpenTelemetry collector when the run ends
    ///
    /// As in `http://localhost:4318`. The standard OTEL_EXPORTER_OTLP_… variables
    /// work as well: OTEL_EXPORTER_OTLP_ENDPOINT alone is enough. A collector that does
    /// not answer is a warning: what was read is printed all the same.
    #[arg(
        long,
        value_name = "URL",
        help_heading = "Metrics",
        env = "TLSCOPE_OTLP_ENDPOINT"
    )]
    pub(in crate::cli) otlp_endpoint: Option<String>,

    /// How metrics travel to the collector
    ///
    /// By default gRPC if the endpoint's port is 4317, else HTTP.
    #[arg(
        long,
        value_enum,
        value_name = "PROTOCOL",
        help_heading = "Metrics",
        env = "TLSCOPE_OTLP_PROTOCOL"
    )]
    pub(in crate::cli) otlp_protocol: Option<OtlpProtocol>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Metrics {
    /// To standard output, in the Prometheus text format.
    Stdout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum OtlpProtocol {
    /// gRPC, usually on port 4317.
    Grpc,
    /// HTTP with binary protobuf, usually on port 4318.
    #[value(name = "http/protobuf")]
    HttpProtobuf,
}

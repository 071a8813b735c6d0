//! `tlscope print`.

use clap::ValueEnum;

pub(super) const PRINT_EXAMPLES: &str = "\
Examples:
  Alerts in Prometheus:
      tlscope print alert-rules > /etc/prometheus/rules/tlscope.yaml
  As a service that starts at boot:
      tlscope print systemd-unit | sudo tee /etc/systemd/system/tlscope.service
      sudo systemctl enable tlscope
  On every node of a cluster:
      tlscope print kubernetes | kubectl apply -f -";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Asset {
    /// Prometheus alert rules: failures, certificates, latency, and tlscope's own health.
    AlertRules,
    /// A Grafana dashboard, as JSON to import.
    Dashboard,
    /// An OpenTelemetry Collector's configuration for many hosts: OTLP in, Prometheus and ClickHouse out.
    CollectorConfig,
    /// A systemd unit that runs `tlscope live` with the least privileges.
    SystemdUnit,
    /// A Kubernetes DaemonSet that watches every node, with the one privilege to capture.
    Kubernetes,
    /// Tables of ClickHouse for the JSON lines, and queries.
    Clickhouse,
    /// What the values of `error.type` mean, as Markdown.
    ErrorTypes,
}

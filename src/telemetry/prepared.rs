//! Telemetry before the run starts: set up with whatever privileges there still are.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use opentelemetry::InstrumentationScope;

use super::export::{
    ExportContext, ExportPace, PreparedExport, PreparedLogs, PreparedMetrics, PreparedTraces,
    ScrapeEndpoint, TextReport,
};
#[cfg(feature = "cli")]
use super::failures::Failures;
use super::metrics::Recorder;
#[cfg(feature = "cli")]
use super::metrics::endpoints::{Endpoints, MAX_ENDPOINTS};
use super::metrics::exemplars::Exemplars;
use super::metrics::reader::MetricsReader;
use super::metrics::self_telemetry::SelfTelemetry;
use super::port_of;
use super::records::spans::Sampler;
use super::resource::{instance, resource};
use super::settings::{Destination, Settings};
use super::started::Telemetry;
use super::watch::PreparedWatch;
use super::{ConfigError, MetricsConfig, Notice, Signal};

/// Telemetry that is set up and has not started: sockets are bound, files are read, and
/// nothing has been sent.
///
/// Drop privileges and restrict the file system now, then call [`Prepared::start`].
pub struct Prepared {
    recorder: Recorder,
    sampler: Option<Sampler>,
    exports: Vec<Box<dyn PreparedExport>>,
    /// `None` if nothing lists them.
    #[cfg(feature = "cli")]
    failures: Option<Failures>,
    watch: PreparedWatch,
    self_telemetry: Arc<SelfTelemetry>,
    prometheus_address: Option<SocketAddr>,
    collector_ports: Vec<u16>,
    pace: ExportPace,
}

impl Prepared {
    /// Prepares the telemetry that `config` and the environment ask for; `None` if they
    /// ask for none. Text goes to `output`, warnings for the user to `notice`.
    ///
    /// `environment` looks up variables; the OpenTelemetry SDK reads some others
    /// (headers, compression, temporality, resource) by itself.
    ///
    /// # Errors
    ///
    /// - [`ConfigError::Setting`] if a flag or variable cannot be used.
    /// - [`ConfigError::Conflict`] if two contradict each other.
    /// - [`ConfigError::Exporter`] if the exporter cannot be built.
    /// - [`ConfigError::Listen`] if the address for scrapes cannot be bound.
    pub fn new(
        config: &MetricsConfig,
        environment: &dyn Fn(&str) -> Option<String>,
        output: Box<dyn Write + Send>,
        notice: Notice,
    ) -> Result<Option<Self>, ConfigError> {
        let settings = Settings::resolve(config, environment)?;
        let live = config.live.as_ref();
        let prometheus = live.and_then(|live| live.prometheus);
        let hosts = live.map_or(&[][..], |live| &live.prometheus_hosts);
        let watched = live.map_or(&[][..], |live| &live.watched_certificates);
        if settings.otlp.is_empty() && !settings.text && prometheus.is_none() {
            return match watched {
                [] => Ok(None),
                [..] => Err(ConfigError::Conflict(
                    "`--watch-cert` needs an output for metrics: add `--prometheus` or `--otlp-endpoint`",
                )),
            };
        }
        let signals: Vec<_> = settings.otlp.iter().map(|to| to.signal).collect();
        let context = ExportContext {
            #[cfg(feature = "cli")]
            endpoints: Endpoints::new(
                config.within_memory(MAX_ENDPOINTS),
                live.and_then(|live| live.certificate_memory),
            ),
            #[cfg(feature = "cli")]
            failures: Failures::default(),
            exemplars: Exemplars::default(),
            resource: resource(),
            scope: scope(),
            self_telemetry: Arc::new(SelfTelemetry::new(&signals)),
            notice: Arc::clone(&notice),
            pace: live.map_or(ExportPace::AtEnd, |_| ExportPace::Every(settings.interval)),
        };
        let collector_ports = settings.otlp.iter().filter_map(|to| port_of(&to.url));
        let collector_ports = collector_ports.collect();
        let mut exports = Vec::new();
        for destination in settings.otlp {
            exports.push(otlp(destination, config, &context)?);
        }
        let mut prometheus_address = None;
        if let Some(address) = prometheus {
            let own = Arc::clone(&context.self_telemetry);
            let endpoint = ScrapeEndpoint::bind(address, hosts, own)?;
            let endpoint = endpoint.with_exemplars(context.exemplars.clone());
            #[cfg(feature = "cli")]
            let endpoint = endpoint.listing(context.endpoints.clone(), context.failures.clone());
            prometheus_address = endpoint.address().ok();
            exports.push(Box::new(endpoint));
        }
        if settings.text {
            exports.push(Box::new(TextReport::new(output)));
        }

        let watch = PreparedWatch::new(
            watched,
            config.has_serial_numbers(),
            Arc::clone(&context.self_telemetry),
            notice,
        );
        let readers: Vec<&MetricsReader> = exports.iter().filter_map(|e| e.reader()).collect();
        Ok(Some(Self {
            recorder: Recorder::new(config, &context, watch.files(), &readers),
            sampler: signals.contains(&Signal::Traces).then(|| {
                let ratio = config.trace_ratio.unwrap_or(1.0);
                Sampler::new(ratio, instance(&context.resource))
            }),
            exports,
            #[cfg(feature = "cli")]
            failures: prometheus.map(|_| context.failures),
            watch,
            self_telemetry: context.self_telemetry,
            prometheus_address,
            collector_ports,
            pace: context.pace,
        }))
    }

    /// Starts to export. A replay exports metrics when it finishes; in a live run,
    /// everything starts here.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started.
    pub fn start(self) -> io::Result<Telemetry> {
        let exports = self.exports.into_iter().map(PreparedExport::start);
        let exports = exports.collect::<io::Result<_>>()?;
        let watch = self.watch.start()?;
        let telemetry = Telemetry::new(
            self.recorder,
            self.sampler,
            exports,
            watch,
            self.self_telemetry,
            self.pace.longest_close(),
        );
        #[cfg(feature = "cli")]
        let telemetry = telemetry.listing(self.failures);
        Ok(telemetry)
    }

    /// Where scrapes will be answered; the port is the real one even if 0 was asked for.
    #[must_use]
    pub const fn prometheus_address(&self) -> Option<SocketAddr> {
        self.prometheus_address
    }

    /// The TCP ports that exports connect to.
    #[must_use]
    pub fn collector_ports(&self) -> Vec<u16> {
        self.collector_ports.clone()
    }

    /// The directories that must stay readable for certificates to be watched: those of
    /// the files named, and those that symbolic links lead to.
    #[must_use]
    pub fn watched_directories(&self) -> Vec<PathBuf> {
        self.watch.files().directories()
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("pace", &self.pace)
            .finish_non_exhaustive()
    }
}

/// The export of one signal to its collector.
fn otlp(
    destination: Destination,
    config: &MetricsConfig,
    context: &ExportContext,
) -> Result<Box<dyn PreparedExport>, ConfigError> {
    Ok(match destination.signal {
        Signal::Metrics => Box::new(PreparedMetrics::new(destination, context)?),
        Signal::Logs => Box::new(PreparedLogs::new(destination, config.logs, context)?),
        Signal::Traces => Box::new(PreparedTraces::new(destination, context)?),
    })
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
}

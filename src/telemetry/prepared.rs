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
use super::settings::{Destination, PemFiles, Settings};
use super::started::Telemetry;
use super::watch::PreparedWatch;
use super::{ConfigError, MetricsConfig, Notice, Signal};

/// Telemetry of which sockets are bound and files are open. Nothing has been read yet, so there was nothing to parse.
///
/// Drop privileges now, then call [`Opened::prepare`].
pub struct Opened {
    config: MetricsConfig,
    destinations: Vec<Destination>,
    pem: PemFiles,
    endpoint: Option<ScrapeEndpoint>,
    /// Where text goes, if it is wanted.
    text: Option<Box<dyn Write + Send>>,
    watch: PreparedWatch,
    context: ExportContext,
}

/// Telemetry that is set up and has not started: nothing has been sent.
///
/// Restrict the process now, then call [`Prepared::start`].
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
    pace: ExportPace,
}

impl Opened {
    /// Opens what it takes for the telemetry that `config` and the environment ask for; `None` if they
    /// ask for none. Text goes to `output`, warnings for the user to `notice`.
    ///
    /// `environment` looks up variables; the OpenTelemetry SDK reads some others
    /// (headers, compression, temporality, resource) by itself.
    ///
    /// # Errors
    ///
    /// - [`ConfigError::Setting`] if a flag or variable cannot be used.
    /// - [`ConfigError::Conflict`] if two contradict each other.
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
            failures: Failures::new(live.map_or(&[][..], |live| &live.show_options)),
            exemplars: Exemplars::default(),
            resource: resource(),
            scope: scope(),
            self_telemetry: Arc::new(SelfTelemetry::new(&signals)),
            notice: Arc::clone(&notice),
            pace: live.map_or(ExportPace::AtEnd, |_| ExportPace::Every(settings.interval)),
        };
        let pem = PemFiles::open(&settings.otlp)?;
        let mut endpoint = None;
        if let Some(address) = prometheus {
            let own = Arc::clone(&context.self_telemetry);
            let bound = ScrapeEndpoint::bind(address, hosts, own)?;
            let bound = bound.with_exemplars(context.exemplars.clone());
            #[cfg(feature = "cli")]
            let bound = bound.listing(context.endpoints.clone(), context.failures.clone());
            endpoint = Some(bound);
        }
        let watch = PreparedWatch::new(
            watched,
            config.has_serial_numbers(),
            Arc::clone(&context.self_telemetry),
            notice,
        );
        Ok(Some(Self {
            config: config.clone(),
            destinations: settings.otlp,
            pem,
            endpoint,
            text: settings.text.then_some(output),
            watch,
            context,
        }))
    }

    /// Reads the files and sets up the exports.
    ///
    /// # Errors
    ///
    /// - [`ConfigError::Setting`] if a file cannot be used.
    /// - [`ConfigError::Exporter`] if an exporter cannot be built.
    pub fn prepare(self) -> Result<Prepared, ConfigError> {
        let Self {
            config,
            destinations,
            pem,
            endpoint,
            text,
            watch,
            context,
        } = self;
        let pem = pem.read()?;
        let has_traces = destinations.iter().any(|to| to.signal == Signal::Traces);
        let mut exports = Vec::new();
        for destination in destinations {
            let destination = Destination {
                pem: pem.clone(),
                ..destination
            };
            exports.push(otlp(destination, &config, &context)?);
        }
        let prometheus_address = endpoint.as_ref().and_then(|bound| bound.address().ok());
        #[cfg(feature = "cli")]
        let lists_failures = endpoint.is_some();
        if let Some(endpoint) = endpoint {
            exports.push(Box::new(endpoint));
        }
        if let Some(output) = text {
            exports.push(Box::new(TextReport::new(output)));
        }
        let readers: Vec<&MetricsReader> = exports.iter().filter_map(|e| e.reader()).collect();
        Ok(Prepared {
            recorder: Recorder::new(&config, &context, watch.files(), &readers),
            sampler: has_traces.then(|| {
                let ratio = config.trace_ratio.unwrap_or(1.0);
                Sampler::new(ratio, instance(&context.resource))
            }),
            exports,
            #[cfg(feature = "cli")]
            failures: lists_failures.then_some(context.failures),
            watch,
            self_telemetry: context.self_telemetry,
            prometheus_address,
            pace: context.pace,
        })
    }

    /// The TCP ports that exports connect to.
    #[must_use]
    pub fn collector_ports(&self) -> Vec<u16> {
        let urls = self.destinations.iter().map(|to| to.url.as_str());
        urls.filter_map(port_of).collect()
    }

    /// The directories that must stay readable for certificates to be watched: those of
    /// the files named, and those that symbolic links lead to.
    #[must_use]
    pub fn watched_directories(&self) -> Vec<PathBuf> {
        self.watch.files().directories()
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("destinations", &self.destinations)
            .finish_non_exhaustive()
    }
}

impl Prepared {
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

//! The metrics of a run, from events to what leaves the process.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLogRecord;
use opentelemetry_sdk::metrics::{SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::SpanData;

use super::export::delivery::Delivery;
use super::export::otlp::OtlpTransport;
use super::export::outbox::Outbox;
use super::export::periodic::Periodic;
use super::export::prometheus_text;
use super::export::scrape_endpoint::ScrapeEndpoint;
use super::metrics::bindings::{Listeners, REGULAR};
use super::metrics::instruments::{self, Instruments};
use super::metrics::reader::MetricsReader;
use super::metrics::self_telemetry::{self, SelfTelemetry};
use super::records::logs::{LogCarrier, Records};
use super::records::spans::{SpanCarrier, Spans};
use super::resource::{instance, resource};
use super::settings::{Destination, Settings};
use super::watch::WatchedFiles;
use super::{ConfigError, ExportError, MetricsConfig, Notice, Signal};
use crate::event::Handshake;
use crate::sink::Sink;
use crate::stats::{Health, Stats};
use crate::time::Timestamp;

/// How often watched certificates are looked at: a renewal is seen soon, and some
/// thousand calls to the system now and then are nothing.
const LOOK_AT_FILES: Duration = Duration::from_secs(10);

/// How long the end of a live run waits for the last exports: with what else there is
/// to do, it is over within 5 s.
const LAST_EXPORT: Duration = Duration::from_millis(4_500);

/// How long the end of a replay waits for a collector that takes records slowly: it
/// may have some batches to take yet, and nothing is waiting but a prompt.
const LAST_RECORDS: Duration = Duration::from_secs(60);

/// The metrics of a run: recorded event by event, exported when it finishes, and of
/// a run that goes on, again and again. Log records and spans, too.
///
/// A collector that cannot be reached is no error of the run: see [`Metrics::export_errors`].
pub struct Metrics {
    instruments: Instruments,
    records: Option<Records>,
    spans: Option<Spans>,
    self_telemetry: Arc<SelfTelemetry>,
    files: Arc<WatchedFiles>,
    notice: Notice,
    interval: Duration,
    is_live: bool,
    /// What is to be started.
    waiting: Waiting,
    running: Running,
    text: Option<(MetricsReader, Box<dyn Write + Send>)>,
    export_errors: Vec<ExportError>,
    _provider: SdkMeterProvider, // instruments record nothing once it is dropped
}

/// Prepared with what privileges there are, and not started yet.
#[derive(Default)]
struct Waiting {
    metrics: Option<(MetricsReader, OtlpTransport<MetricExporter>)>,
    logs: Option<OtlpTransport<LogExporter>>,
    traces: Option<OtlpTransport<SpanExporter>>,
    scrapes: Option<ScrapeEndpoint>,
}

/// Threads that export.
#[derive(Default)]
struct Running {
    metrics: Option<Periodic>,
    logs: Option<Outbox<SdkLogRecord>>,
    traces: Option<Outbox<Vec<SpanData>>>,
    /// Wakes who looks at files; whoever drops it ends that.
    files: Option<Sender<()>>,
}

impl Metrics {
    /// The metrics that `config` and the environment ask for; `None` if they
    /// ask for none. Text goes to `output`, what the user should know to `notice`.
    ///
    /// Opens sockets and reads files, so that later neither privileges nor a
    /// wider view of the file system are needed; nothing is sent before
    /// [`Metrics::start`].
    ///
    /// `environment` looks up variables; the OpenTelemetry SDK reads some others
    /// (headers, compression, temporality, resource) by itself.
    ///
    /// # Errors
    ///
    /// - [`ConfigError::Setting`] if a flag or variable cannot be used.
    /// - [`ConfigError::Conflict`] if two do not go together.
    /// - [`ConfigError::Exporter`] if the exporter cannot be built.
    /// - [`ConfigError::Listen`] if there is no listening where scrapes are to be answered.
    pub fn new(
        config: &MetricsConfig,
        environment: &dyn Fn(&str) -> Option<String>,
        output: Box<dyn Write + Send>,
        notice: Notice,
    ) -> Result<Option<Self>, ConfigError> {
        let settings = Settings::resolve(config, environment)?;
        let live = config.live.as_ref();
        let prometheus = live.and_then(|live| live.prometheus);
        let watched = live.map_or(&[][..], |live| &live.watched_certificates);
        if settings.otlp.is_empty() && !settings.text && prometheus.is_none() {
            return match watched {
                [] => Ok(None),
                [..] => Err(ConfigError::Conflict(
                    "certificates are watched for metrics, and nobody gets any: add `--prometheus` or `--otlp-endpoint` to `--watch-cert`",
                )),
            };
        }
        let signals: Vec<_> = settings.otlp.iter().map(|to| to.signal).collect();
        let self_telemetry = Arc::new(SelfTelemetry::new(&signals));
        let resource = resource();
        let mut waiting = Waiting::prepare(settings.otlp, &resource)?;
        if let Some(address) = prometheus {
            let reader = MetricsReader::new(Temporality::Cumulative, REGULAR);
            waiting.scrapes = Some(ScrapeEndpoint::bind(
                address,
                reader,
                Arc::clone(&self_telemetry),
            )?);
        }
        let text = settings.text.then_some(output);
        let text = text.map(|output| (MetricsReader::new(Temporality::Cumulative, 1), output));

        let files = Arc::new(WatchedFiles::new(watched));
        look_at(&files, &self_telemetry, &notice);

        let provider = provider(config, &resource, &waiting, text.as_ref());
        let meter = provider.meter_with_scope(scope());
        self_telemetry::register(&meter, &self_telemetry);
        let instruments = Instruments::new(&meter, config, &files, &waiting.listeners());
        let has = |signal| signals.contains(&signal);
        let ratio = config.trace_ratio.unwrap_or(1.0);
        Ok(Some(Self {
            instruments,
            records: has(Signal::Logs).then(|| Records::new(config.logs, scope())),
            spans: has(Signal::Traces).then(|| Spans::new(ratio, scope(), instance(&resource))),
            self_telemetry,
            files,
            notice,
            interval: settings.interval,
            is_live: live.is_some(),
            waiting,
            running: Running::default(),
            text,
            export_errors: Vec::new(),
            _provider: provider,
        }))
    }

    /// Starts to export. A run that ends by itself exports metrics when it
    /// finishes; of one that goes on, everything begins here.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub fn start(&mut self) -> io::Result<()> {
        if let Some(transport) = self.waiting.logs.take() {
            let delivery = self.delivery(transport.destination());
            let carrier = LogCarrier {
                transport,
                scope: scope(),
            };
            let self_telemetry = Arc::clone(&self.self_telemetry);
            let outbox = Outbox::start(
                Signal::Logs,
                carrier,
                delivery,
                self_telemetry,
                !self.is_live,
            )?;
            self.running.logs = Some(outbox);
        }
        if let Some(transport) = self.waiting.traces.take() {
            let delivery = self.delivery(transport.destination());
            let self_telemetry = Arc::clone(&self.self_telemetry);
            let carrier = SpanCarrier(transport);
            let outbox = Outbox::start(
                Signal::Traces,
                carrier,
                delivery,
                self_telemetry,
                !self.is_live,
            )?;
            self.running.traces = Some(outbox);
        }
        if !self.is_live {
            return Ok(());
        }
        if let Some((reader, transport)) = self.waiting.metrics.take() {
            let delivery = self.delivery(transport.destination());
            let periodic = Periodic::start(reader, transport, delivery, self.interval)?;
            self.running.metrics = Some(periodic);
        }
        if let Some(scrapes) = self.waiting.scrapes.take() {
            scrapes.start()?;
        }
        if !self.files.is_empty() {
            self.running.files = Some(self.watch_files()?);
        }
        Ok(())
    }

    /// Where scrapes are answered; `None` once [`Metrics::start`] has begun to.
    #[must_use]
    pub fn prometheus_address(&self) -> Option<SocketAddr> {
        self.waiting.scrapes.as_ref()?.address().ok()
    }

    /// The directories that must stay readable for certificates to be watched: those
    /// of the files named, and of what they are links to.
    #[must_use]
    pub fn watched_directories(&self) -> Vec<PathBuf> {
        self.files.directories()
    }

    /// Looks at watched certificates now, as on SIGHUP.
    pub fn reload(&self) {
        if let Some(wake) = &self.running.files {
            let _ = wake.try_send(()); // if there is no room, it is about to look
        }
    }

    /// Why the last exports failed, if they did: one for each signal.
    #[must_use]
    pub fn export_errors(&self) -> &[ExportError] {
        &self.export_errors
    }

    fn delivery(&self, destination: &Destination) -> Delivery {
        let notice = if self.is_live {
            Arc::clone(&self.notice)
        } else {
            Arc::new(|_: &str| {}) // the end of the run tells
        };
        Delivery::new(destination, Arc::clone(&self.self_telemetry), notice)
    }

    fn watch_files(&self) -> io::Result<Sender<()>> {
        let (wake, woken) = bounded(1);
        let (files, self_telemetry) = (Arc::clone(&self.files), Arc::clone(&self.self_telemetry));
        let notice = Arc::clone(&self.notice);
        let watch = move |woken: Receiver<()>| {
            while woken.recv_timeout(LOOK_AT_FILES) != Err(RecvTimeoutError::Disconnected) {
                look_at(&files, &self_telemetry, &notice);
            }
        };
        thread::Builder::new()
            .name("watch-cert".to_owned())
            .spawn(move || watch(woken))?;
        Ok(wake)
    }

    /// Exports what is left: all signals at once, so that a collector which is not
    /// there holds the end up no longer than one of them would.
    fn finish_exports(&mut self) -> Vec<ExportError> {
        let begun = Instant::now();
        let patience = if self.is_live {
            LAST_EXPORT
        } else {
            LAST_RECORDS
        };
        let running = std::mem::take(&mut self.running);
        let closing = [
            running.metrics.map(Periodic::close),
            running.logs.map(Outbox::close),
            running.traces.map(Outbox::close),
        ];
        let waited = closing.into_iter().flatten();
        let waited = waited.map(|closing| closing.wait(begun, patience));
        let mut results: Vec<_> = waited.collect();
        if let Some((reader, transport)) = &self.waiting.metrics {
            results.insert(0, transport.export(&reader.read().metrics));
        }
        results.into_iter().filter_map(Result::err).collect()
    }
}

impl Waiting {
    fn prepare(otlp: Vec<Destination>, resource: &Resource) -> Result<Self, ConfigError> {
        let mut waiting = Self::default();
        for destination in otlp {
            match destination.signal {
                Signal::Metrics => {
                    let transport = OtlpTransport::for_metrics(destination)?;
                    let reader = MetricsReader::new(transport.temporality(), 1);
                    waiting.metrics = Some((reader, transport));
                }
                Signal::Logs => {
                    waiting.logs = Some(OtlpTransport::for_logs(destination, resource)?);
                }
                Signal::Traces => {
                    waiting.traces = Some(OtlpTransport::for_traces(destination, resource)?);
                }
            }
        }
        Ok(waiting)
    }

    fn readers(&self) -> impl Iterator<Item = &MetricsReader> {
        let collector = self.metrics.as_ref().map(|(reader, _)| reader);
        let scrapes = self.scrapes.as_ref().map(ScrapeEndpoint::reader);
        collector.into_iter().chain(scrapes)
    }

    fn listeners(&self) -> Listeners {
        Listeners::new(self.readers().map(MetricsReader::listener).collect())
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("export_errors", &self.export_errors)
            .finish_non_exhaustive()
    }
}

impl Sink for Metrics {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        self.instruments.record(event);
        let spans = self.spans.as_ref().and_then(|spans| spans.of(event));
        let ids = spans.as_ref().map(|(ids, _)| *ids);
        if let (Some(outbox), Some((_, spans))) = (&self.running.traces, spans) {
            outbox.push(spans);
        }
        let record = self.records.as_ref();
        let record = record.and_then(|records| records.of(event, ids));
        if let (Some(outbox), Some(record)) = (&self.running.logs, record) {
            outbox.push(record);
        }
        Ok(())
    }

    fn tick(&mut self, now: Timestamp, health: &Health) -> io::Result<()> {
        self.self_telemetry.set(health.clone());
        self.instruments.tick(now);
        Ok(())
    }

    /// Exports, and writes the text. Only a failure to write is an error.
    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        self.self_telemetry.finish(stats);
        self.instruments.finish();
        self.export_errors = self.finish_exports();
        if let Some((reader, output)) = &mut self.text {
            output.write_all(prometheus_text::encode(&reader.read().metrics).as_bytes())?;
            output.flush()?;
        }
        Ok(())
    }
}

fn provider(
    config: &MetricsConfig,
    resource: &Resource,
    waiting: &Waiting,
    text: Option<&(MetricsReader, Box<dyn Write + Send>)>,
) -> SdkMeterProvider {
    let mut provider = SdkMeterProvider::builder()
        .with_resource(resource.clone())
        .with_view(instruments::view(config.histograms));
    for reader in waiting.readers().chain(text.map(|(reader, _)| reader)) {
        provider = provider.with_reader(reader.clone());
    }
    provider.build()
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
}

/// Looks at the watched certificates, and tells what cannot be read.
fn look_at(files: &WatchedFiles, self_telemetry: &SelfTelemetry, notice: &Notice) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default().as_nanos();
    let now = Timestamp::from_nanoseconds(now.try_into().unwrap_or(i64::MAX));
    let survey = files.refresh(now);
    self_telemetry.set_unreadable_certificates(survey.unreadable);
    survey.news.iter().for_each(|line| notice(line));
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::testing::{certificate, handshake};
    use super::*;
    use crate::event::{Alert, ErrorType, Finding, HandshakeError, Outcome, Side};
    use crate::time::Timestamp;
    use crate::tls::{AlertDescription, AlertLevel, CipherSuite, ProtocolVersion};

    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<Vec<u8>>>);

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn silent() -> Notice {
        Arc::new(|_| {})
    }

    /// The samples that a run over `events` writes, the zero ones left out.
    fn samples(events: &[Handshake]) -> Vec<String> {
        let output = Output::default();
        let config = MetricsConfig {
            stdout: true,
            ..MetricsConfig::default()
        };
        let metrics = Metrics::new(&config, &|_| None, Box::new(output.clone()), silent());
        let mut metrics = metrics.unwrap().unwrap();
        for event in events {
            metrics.handshake(event).unwrap();
        }
        metrics.finish(&Stats::default()).unwrap();
        let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .filter(|line| line.starts_with("tls_") && !line.ends_with(" 0"))
            .map(str::to_owned)
            .collect()
    }

    fn refused_by_client() -> Handshake {
        let mut event = handshake();
        event.outcome = Outcome::Failure;
        event.tls.version = Some(ProtocolVersion::TLSv1_2);
        event.tls.resumed = None;
        event.timing = crate::event::Timing::default();
        event.error = Some(HandshakeError {
            error_type: ErrorType::UnknownCa,
            side: Some(Side::Client),
            message: String::new(),
        });
        event
    }

    #[test]
    fn a_failure_counts_under_its_cause_and_the_side_at_fault() {
        assert_eq!(
            samples(&[refused_by_client(), refused_by_client()]),
            [
                r#"tls_handshake_total{error_type="unknown_ca",network_transport="tcp",result="failure",tls_cipher_suite="TLS_AES_128_GCM_SHA256",tls_evidence="observed",tls_version="TLS 1.2"} 2"#,
                r#"tls_validation_errors_total{error_type="unknown_ca",tls_side="server"} 2"#,
            ]
        );
    }

    #[test]
    fn durations_are_in_milliseconds() {
        let samples = samples(&[handshake()]);
        for expected in [
            r#"tls_handshake_duration_milliseconds_bucket{network_transport="tcp",result="success",tls_resumed="false",tls_version="TLS 1.3",le="10"} 1"#,
            r#"tls_handshake_duration_milliseconds_sum{network_transport="tcp",result="success",tls_resumed="false",tls_version="TLS 1.3"} 6"#,
            r#"tls_handshake_phase_duration_milliseconds_sum{tls_phase="tcp_connect",tls_version="TLS 1.3"} 0.4"#,
            r#"tls_handshake_phase_duration_milliseconds_sum{tls_phase="server_hello",tls_version="TLS 1.3"} 3"#,
        ] {
            assert!(
                samples.iter().any(|sample| sample == expected),
                "{samples:#?}"
            );
        }
        assert!(!samples.iter().any(|s| s.contains("first_application_data")));
    }

    #[test]
    fn a_certificate_is_gauged_by_name() {
        let mut event = handshake();
        event.judged_at = Timestamp::from_seconds(86_400);
        event.server_certificates = Some([Arc::new(certificate("example.org", 43_200))].into());
        let labels = r#"{certificate_issuer="Example CA",certificate_role="server",certificate_serial="0a",certificate_subject="example.org"}"#;
        assert_eq!(
            samples(&[event])[..2],
            [
                format!("tls_certificate_days_until_expiry{labels} -0.5"),
                format!("tls_certificate_not_after_seconds{labels} 43200"),
            ]
        );
    }

    #[test]
    fn numbers_that_the_traffic_chose_are_no_labels() {
        let mut event = handshake();
        event.tls.version = Some(ProtocolVersion(0x7f1c));
        event.tls.cipher_suite = Some(CipherSuite(0xfafa));
        event.alerts = vec![Alert {
            time: event.time,
            sender: Side::Server,
            level: Some(AlertLevel(9)),
            description: Some(AlertDescription(0xee)),
            encrypted: false,
        }];
        let samples = samples(&[event]).join("\n");
        assert!(samples.contains(r#"tls_cipher_suite="other""#));
        assert!(samples.contains(r#"tls_version="other""#));
        assert!(samples.contains(
            r#"tls_alerts_total{tls_alert="other",tls_alert_level="other",tls_alert_sender="server"} 1"#
        ));
    }

    #[test]
    fn a_finding_and_the_refusal_it_caused_count_once() {
        let finding = Finding {
            error_type: ErrorType::CertExpired,
            side: Side::Server,
            detail: String::new(),
            subject: String::new(),
        };
        let mut event = refused_by_client();
        event.error.as_mut().unwrap().error_type = ErrorType::CertExpired;
        event.validation = vec![finding.clone(), finding];
        let samples = samples(&[event]);
        let expected =
            r#"tls_validation_errors_total{error_type="cert_expired",tls_side="server"} 1"#;
        assert_eq!(samples[1..], [expected]);
    }

    #[test]
    fn a_reset_is_no_validation_error() {
        let mut event = refused_by_client();
        event.error.as_mut().unwrap().error_type = ErrorType::ConnectionReset;
        assert_eq!(samples(&[event]).len(), 1);
    }

    #[test]
    fn nothing_asked_for_makes_nothing() {
        let config = MetricsConfig::default();
        let metrics = Metrics::new(&config, &|_| None, Box::new(io::sink()), silent());
        assert!(metrics.unwrap().is_none());
    }

    #[test]
    fn a_run_outlives_its_collector() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let config = MetricsConfig {
            endpoint: Some(endpoint.clone()),
            ..MetricsConfig::default()
        };
        let metrics = Metrics::new(&config, &|_| None, Box::new(io::sink()), silent());
        let mut metrics = metrics.unwrap().unwrap();
        metrics.handshake(&handshake()).unwrap();
        metrics.finish(&Stats::default()).unwrap();
        assert_eq!(
            metrics.export_errors()[0].to_string(),
            format!("metrics not delivered to {endpoint}/v1/metrics: connection refused")
        );
    }
}

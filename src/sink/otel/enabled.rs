//! The metrics of a run, from events to what leaves the process.

use std::fmt;
use std::io::{self, Write};

use opentelemetry::metrics::MeterProvider;
use opentelemetry::{InstrumentationScope, Key, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{SdkMeterProvider, Temporality};

use super::instruments::{self, Instruments};
use super::reader::Reader;
use super::settings::Settings;
use super::text;
use super::transport::Transport;
use super::{ConfigError, ExportError, MetricsConfig};
use crate::event::Handshake;
use crate::sink::Sink;
use crate::stats::Stats;

/// The metrics of a run: recorded event by event, exported when it finishes.
///
/// A collector that cannot be reached is no error of the run: see [`Metrics::export_error`].
pub struct Metrics {
    instruments: Instruments,
    collector: Option<(Reader, Transport)>,
    text: Option<(Reader, Box<dyn Write + Send>)>,
    export_error: Option<ExportError>,
    _provider: SdkMeterProvider, // instruments record nothing once it is dropped
}

impl Metrics {
    /// The metrics that `config` and the environment ask for; `None` if they
    /// ask for none. Text goes to `output`.
    ///
    /// `environment` looks up variables; the OpenTelemetry SDK reads some others
    /// (headers, compression, temporality, resource) by itself.
    ///
    /// # Errors
    ///
    /// - [`ConfigError::Setting`] if a flag or variable cannot be used.
    /// - [`ConfigError::Exporter`] if the exporter cannot be built.
    pub fn new(
        config: &MetricsConfig,
        environment: &dyn Fn(&str) -> Option<String>,
        output: Box<dyn Write + Send>,
    ) -> Result<Option<Self>, ConfigError> {
        let settings = Settings::resolve(config, environment)?;
        let transport = settings.otlp.map(Transport::new).transpose()?;
        if transport.is_none() && !settings.text {
            return Ok(None);
        }
        let collector =
            transport.map(|transport| (Reader::new(transport.temporality()), transport));
        let text = settings.text.then_some(output);
        let text = text.map(|output| (Reader::new(Temporality::Cumulative), output));
        Ok(Some(Self::recording(collector, text)))
    }

    /// Why the last export failed, if it did.
    #[must_use]
    pub fn export_error(&self) -> Option<&ExportError> {
        self.export_error.as_ref()
    }

    fn recording(
        collector: Option<(Reader, Transport)>,
        text: Option<(Reader, Box<dyn Write + Send>)>,
    ) -> Self {
        let mut provider = SdkMeterProvider::builder()
            .with_resource(resource())
            .with_view(instruments::view);
        let readers = [
            collector.as_ref().map(|(reader, _)| reader),
            text.as_ref().map(|(reader, _)| reader),
        ];
        for reader in readers.into_iter().flatten() {
            provider = provider.with_reader(reader.clone());
        }
        let provider = provider.build();
        let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        Self {
            instruments: Instruments::new(&provider.meter_with_scope(scope)),
            collector,
            text,
            export_error: None,
            _provider: provider,
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("export_error", &self.export_error)
            .finish_non_exhaustive()
    }
}

impl Sink for Metrics {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        self.instruments.record(event);
        Ok(())
    }

    /// Exports, and writes the text. Only a failure to write is an error.
    fn finish(&mut self, _stats: &Stats) -> io::Result<()> {
        if let Some((reader, transport)) = &self.collector {
            self.export_error = transport.export(&reader.read()).err();
        }
        if let Some((reader, output)) = &mut self.text {
            output.write_all(text::encode(&reader.read()).as_bytes())?;
            output.flush()?;
        }
        Ok(())
    }
}

/// Who we are; what the environment says of it wins.
fn resource() -> Resource {
    let stated = Resource::builder().build();
    let resource = Resource::builder();
    let resource = match stated.get(&Key::new("service.name")) {
        Some(name) if !name.as_str().starts_with("unknown_service") => resource,
        _ => resource.with_service_name(env!("CARGO_PKG_NAME")),
    };
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    match stated.get(&version.key) {
        Some(_) => resource.build(),
        None => resource.with_attribute(version).build(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

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

    /// The samples that a run over `events` writes, the zero ones left out.
    fn samples(events: &[Handshake]) -> Vec<String> {
        let output = Output::default();
        let config = MetricsConfig {
            stdout: true,
            ..MetricsConfig::default()
        };
        let metrics = Metrics::new(&config, &|_| None, Box::new(output.clone()));
        let mut metrics = metrics.unwrap().unwrap();
        for event in events {
            metrics.handshake(event).unwrap();
        }
        metrics.finish(&Stats::default()).unwrap();
        let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .filter(|line| !line.starts_with('#') && !line.ends_with(" 0"))
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
        let metrics = Metrics::new(&config, &|_| None, Box::new(io::sink()));
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
        let metrics = Metrics::new(&config, &|_| None, Box::new(io::sink()));
        let mut metrics = metrics.unwrap().unwrap();
        metrics.handshake(&handshake()).unwrap();
        metrics.finish(&Stats::default()).unwrap();
        assert_eq!(
            metrics.export_error().unwrap().to_string(),
            format!("metrics not delivered to {endpoint}/v1/metrics: connection refused")
        );
    }
}

//! Telemetry of a run: what each handshake is recorded in, and offered to.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::export::{CloseError, Closing, Export};
#[cfg(feature = "cli")]
use super::failures::Failures;
use super::metrics::Recorder;
use super::metrics::self_telemetry::SelfTelemetry;
use super::records::spans::Sampler;
use super::watch::CertificateWatch;
use super::{ExportError, Losses};
use crate::event::{Handshake, NotTls};
use crate::sink::{Needs, Sink};
use crate::stats::{Health, Stats};
use crate::time::Timestamp;

/// Telemetry that has started: metrics, log records and spans of a run.
///
/// A collector that cannot be reached does not fail the run: see [`Telemetry::export_errors`].
pub struct Telemetry {
    recorder: Recorder,
    sampler: Option<Sampler>,
    exports: Vec<Box<dyn Export>>,
    /// `None` if nothing lists them.
    #[cfg(feature = "cli")]
    failures: Option<Failures>,
    watch: Option<CertificateWatch>,
    self_telemetry: Arc<SelfTelemetry>,
    /// How long the end of the run waits for the last exports.
    longest_close: Duration,
    export_errors: Vec<ExportError>,
}

impl Telemetry {
    pub(super) const fn new(
        recorder: Recorder,
        sampler: Option<Sampler>,
        exports: Vec<Box<dyn Export>>,
        watch: Option<CertificateWatch>,
        self_telemetry: Arc<SelfTelemetry>,
        longest_close: Duration,
    ) -> Self {
        Self {
            recorder,
            sampler,
            exports,
            #[cfg(feature = "cli")]
            failures: None,
            watch,
            self_telemetry,
            longest_close,
            export_errors: Vec::new(),
        }
    }

    /// Records the last failures in this list.
    #[cfg(feature = "cli")]
    pub(super) fn listing(mut self, failures: Option<Failures>) -> Self {
        self.failures = failures;
        self
    }

    /// Checks the watched certificate files now, as on SIGHUP.
    pub fn reload(&self) {
        if let Some(watch) = &self.watch {
            watch.refresh();
        }
    }

    /// Notes what the outputs could not write so far.
    pub fn set_losses(&self, losses: Losses) {
        self.self_telemetry.set_losses(losses);
    }

    /// Why the last exports failed, if they did: one error for each signal.
    #[must_use]
    pub fn export_errors(&self) -> &[ExportError] {
        &self.export_errors
    }

    /// Makes the last exports, all at the same time: an absent collector holds up the end
    /// of the run for one time-out, not for one per signal.
    fn close_exports(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        let exports = std::mem::take(&mut self.exports).into_iter();
        let mut closing: Vec<Closing> = exports.map(Export::close).collect();
        closing.sort_by_key(Closing::is_deferred);
        let mut written = Ok(());
        for closing in closing {
            match closing.wait(begun, self.longest_close) {
                Ok(()) => {}
                Err(CloseError::Export(error)) => self.export_errors.push(error),
                Err(CloseError::Write(error)) => written = Err(error),
            }
        }
        self.export_errors.sort_by_key(|error| error.signal);
        written
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("export_errors", &self.export_errors)
            .finish_non_exhaustive()
    }
}

impl Sink for Telemetry {
    fn handshake(&mut self, event: &Handshake) -> io::Result<()> {
        let sampler = self.sampler.as_ref();
        let trace = sampler.and_then(|sampler| sampler.trace_of(event));
        self.recorder.record(event, trace.as_ref());
        #[cfg(feature = "cli")]
        if let Some(failures) = &self.failures {
            failures.record(event, trace.as_ref());
        }
        for export in &self.exports {
            export.offer(event, trace.as_ref());
        }
        Ok(())
    }

    fn not_tls(&mut self, event: &NotTls) -> io::Result<()> {
        self.recorder.record_not_tls(event);
        Ok(())
    }

    /// Metrics need nothing. Records and spans have what JSON has.
    fn needs(&self) -> Needs {
        let needs = self.exports.iter().map(|export| export.needs());
        needs.fold(Needs::NONE, Needs::or)
    }

    fn tick(&mut self, now: Timestamp, health: &Health) -> io::Result<()> {
        self.recorder.tick(now, health);
        Ok(())
    }

    /// Makes the last exports. Only a failure to write text is an error.
    fn finish(&mut self, stats: &Stats) -> io::Result<()> {
        self.recorder.finish(stats);
        self.watch = None;
        self.close_exports()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use super::super::testing::{certificate, handshake};
    use super::super::{Losses, MetricsConfig, Notice, Prepared};
    use super::*;
    use crate::certificate::Certificate;
    use crate::event::{Alert, ErrorType, Finding, HandshakeError, Outcome, Side};
    use crate::stats::{AttributionCounts, InterfaceHealth};
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

    fn started(config: &MetricsConfig, output: Box<dyn Write + Send>) -> Telemetry {
        let prepared = Prepared::new(config, &|_| None, output, silent());
        prepared.unwrap().unwrap().start().unwrap()
    }

    /// The samples that a run over `events` writes, without those that are zero.
    fn samples(events: &[Handshake]) -> Vec<String> {
        let output = Output::default();
        let config = MetricsConfig {
            stdout: true,
            ..MetricsConfig::default()
        };
        let mut telemetry = started(&config, Box::new(output.clone()));
        for event in events {
            telemetry.handshake(event).unwrap();
        }
        telemetry.finish(&Stats::default()).unwrap();
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
            hint: None,
        });
        event
    }

    #[test]
    fn a_failure_counts_under_its_cause_and_the_side_at_fault() {
        assert_eq!(
            samples(&[refused_by_client(), refused_by_client()]),
            [
                r#"tls_handshake_total{error_type="unknown_ca",network_transport="tcp",result="failure",tls_cipher_suite="TLS_AES_128_GCM_SHA256",tls_evidence="observed",tls_protocol="tls",tls_version="TLS 1.2"} 2"#,
                r#"tls_validation_errors_total{error_type="unknown_ca",tls_side="server"} 2"#,
            ]
        );
    }

    #[test]
    fn an_idle_host_exports_few_series() {
        let output = Output::default();
        let config = MetricsConfig {
            stdout: true,
            ..MetricsConfig::default()
        };
        let mut telemetry = started(&config, Box::new(output.clone()));
        telemetry.finish(&Stats::default()).unwrap();
        let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        let series = text.lines().filter(|line| !line.starts_with('#')).count();
        // An interface adds four: three kinds of drops, and whether it is up.
        assert!(series <= 26, "{text}");
    }

    /// Each value is another, so none can be taken for another's.
    #[test]
    fn what_a_run_counts_about_itself_is_exported_with_its_value() {
        let output = Output::default();
        let config = MetricsConfig {
            stdout: true,
            ..MetricsConfig::default()
        };
        let mut telemetry = started(&config, Box::new(output.clone()));
        let interfaces = vec![
            InterfaceHealth {
                name: "eth0".into(),
                is_up: true,
                packets: 11,
                bytes: 12,
                dropped_kernel: 13,
                dropped_interface: 14,
                dropped_queue: 15,
            },
            InterfaceHealth {
                name: "lo".into(),
                ..InterfaceHealth::default()
            },
        ];
        let mut health = Health {
            interfaces,
            ..Health::default()
        };
        health.load.connections = 16;
        health.load.handshakes = 17;
        let stats = &mut health.stats;
        stats.connections_evicted = 18;
        stats.gaps = 19;
        stats.segments_out_of_window = 20;
        stats.conflicting_bytes = 21;
        stats.packets_malformed = 100;
        stats.packets_unknown_link = 22;
        health.attribution = Some(AttributionCounts {
            processes: 23,
            groups: 24,
            gone: 25,
            denied: 26,
            over_budget: 27,
        });
        let losses = Losses::new(Some(28), Some(29), Some(30));
        telemetry.set_losses(losses.with_failures_evicted(Some(31)));
        let own = &telemetry.self_telemetry;
        own.set_unreadable_certificates(32);
        own.set_omitted_certificates(33);
        let time = Timestamp::from_seconds(1);
        telemetry.tick(time, &health).unwrap();
        telemetry.close_exports().unwrap(); // `finish` would note that nothing is open any more
        let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        let metric = |name: &str, labels: &str, value: u32| match labels {
            "" => format!("tlscope_{name} {value}"),
            labels => format!("tlscope_{name}{{{labels}}} {value}"),
        };
        let eth0 = r#"network_interface_name="eth0""#;
        let of = |cause: &str| format!(r#"cause="{cause}",{eth0}"#);
        let result = |result: &str| format!(r#"tlscope_attribution_result="{result}""#);
        for expected in [
            metric("packets_total", eth0, 11),
            metric("bytes_total", eth0, 12),
            metric("packets_dropped_total", &of("kernel"), 13),
            metric("packets_dropped_total", &of("interface"), 14),
            metric("packets_dropped_total", &of("queue"), 15),
            metric("packets_dropped_total", r#"cause="undecodable""#, 122),
            metric("interface_up", eth0, 1),
            metric("interface_up", r#"network_interface_name="lo""#, 0),
            metric("flows_open", "", 16),
            metric("handshakes_open", "", 17),
            metric("flows_evicted_total", "", 18),
            metric("gaps_total", "", 19),
            metric("segments_out_of_window_total", "", 20),
            metric("conflicting_bytes_total", "", 21),
            metric("attribution_sockets_total", &result("process"), 23),
            metric("attribution_sockets_total", &result("cgroup"), 24),
            metric("attribution_sockets_total", &result("gone"), 25),
            metric("attribution_sockets_total", &result("denied"), 26),
            metric("attribution_sockets_total", &result("over_budget"), 27),
            metric("events_lost_total", "", 28),
            metric("failures_unsaved_total", "", 29),
            metric("certificates_unsaved_total", "", 30),
            metric("failures_evicted_total", "", 31),
            metric("certificate_files_unreadable", "", 32),
            metric("certificate_files_omitted", "", 33),
        ] {
            assert!(
                text.lines().any(|line| line == expected),
                "{expected} in\n{text}"
            );
        }
    }

    #[test]
    fn durations_are_in_milliseconds() {
        let samples = samples(&[handshake()]);
        for expected in [
            r#"tls_handshake_duration_milliseconds_bucket{network_transport="tcp",result="success",tls_protocol="tls",tls_resumed="false",tls_version="TLS 1.3",le="10"} 1"#,
            r#"tls_handshake_duration_milliseconds_sum{network_transport="tcp",result="success",tls_protocol="tls",tls_resumed="false",tls_version="TLS 1.3"} 6"#,
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
    fn a_certificate_has_gauges_under_its_name() {
        let mut event = handshake();
        event.judged_at = Timestamp::from_seconds(86_400);
        event.server_certificates = Some([Arc::new(certificate("example.org", 43_200))].into());
        let labels = r#"{certificate_identity="example.org",certificate_issuer="Example CA",certificate_role="server",certificate_subject="example.org"}"#;
        assert_eq!(
            samples(&[event])[..3],
            [
                format!("tls_certificate_days_until_expiry{labels} -0.5"),
                format!("tls_certificate_not_after_seconds{labels} 43200"),
                format!("tls_certificate_variants{labels} 1"),
            ]
        );
    }

    #[test]
    fn numbers_chosen_by_the_traffic_do_not_become_labels() {
        let mut event = handshake();
        event.tls.version = Some(ProtocolVersion(0x7f7f));
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
    fn all_drafts_of_tls_1_3_have_one_label() {
        let drafts = [0x7f12, 0x7f1c, 0xfb1a].map(|draft| {
            let mut event = handshake();
            event.tls.version = Some(ProtocolVersion(draft));
            event
        });
        let samples = samples(&drafts).join("\n");
        assert!(samples.contains(r#"tls_version="TLS 1.3 draft""#));
        assert!(!samples.contains(r#"tls_version="other""#));
    }

    #[test]
    fn a_finding_and_the_refusal_it_caused_count_once() {
        let finding = Finding {
            error_type: ErrorType::CertExpired,
            side: Side::Server,
            detail: "".into(),
            certificate: Certificate::from_der(b"").into(),
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
    fn connections_without_tls_count_by_kind() {
        let output = Output::default();
        let config = MetricsConfig {
            stdout: true,
            ..MetricsConfig::default()
        };
        let mut telemetry = started(&config, Box::new(output.clone()));
        let handshake = handshake();
        let kind = crate::event::NotTlsKind::SilentProbe;
        let mut event = NotTls::new(handshake.time, handshake.client, handshake.server, kind);
        telemetry.not_tls(&event).unwrap();
        event.kind = crate::event::NotTlsKind::Plaintext;
        event.starttls = Some(crate::event::StartTls::Smtp);
        event.starttls_offered = Some(true);
        telemetry.not_tls(&event).unwrap();
        telemetry.not_tls(&event).unwrap();
        telemetry.finish(&Stats::default()).unwrap();
        let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        for expected in [
            r#"tls_not_tls_total{tls_not_tls_kind="silent_probe"} 1"#,
            r#"tls_not_tls_total{tls_not_tls_kind="plaintext"} 2"#,
            r#"tls_starttls_not_taken_total{tls_starttls="smtp"} 2"#,
        ] {
            assert!(text.lines().any(|line| line == expected), "{text}");
        }
    }

    #[test]
    fn a_reset_does_not_count_as_a_validation_error() {
        let mut event = refused_by_client();
        event.error.as_mut().unwrap().error_type = ErrorType::ConnectionReset;
        assert_eq!(samples(&[event]).len(), 1);
    }

    #[test]
    fn no_telemetry_is_made_unless_asked_for() {
        let config = MetricsConfig::default();
        let prepared = Prepared::new(&config, &|_| None, Box::new(io::sink()), silent());
        assert!(prepared.unwrap().is_none());
    }

    #[test]
    fn a_collector_that_is_away_does_not_fail_the_run() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let config = MetricsConfig {
            endpoint: Some(endpoint.clone()),
            ..MetricsConfig::default()
        };
        let mut telemetry = started(&config, Box::new(io::sink()));
        telemetry.handshake(&handshake()).unwrap();
        telemetry.finish(&Stats::default()).unwrap();
        assert_eq!(
            telemetry.export_errors()[0].to_string(),
            format!("metrics not delivered to {endpoint}/v1/metrics: connection refused")
        );
    }
}

//! One blocking OTLP export at a time, with a time limit and the cause of a failure.

use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::{
    Certificate as TonicCertificate, ClientTlsConfig, Identity,
};
use opentelemetry_otlp::{
    LogExporter, MetricExporter, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig,
    WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter as _};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::runtime::{Builder, Runtime};
use ureq::http::{HeaderMap, HeaderName};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use super::sdk_events::{Heard, SdkEvents};
use crate::telemetry::settings::{ClientIdentity, Destination, PemContents, setting_error};
use crate::telemetry::{
    ConfigError, ExportError, MetricTemporality, OtlpCompression, OtlpProtocol,
};

/// Most bytes read of an answer; a valid one has some dozens.
const MAX_RESPONSE: u64 = 1 << 20;

/// How much longer the time-out of tonic is than ours, whose error says what happened.
const OURS_IS_FIRST: Duration = Duration::from_secs(1);

/// The connection to a collector for one signal.
///
/// gRPC needs a runtime; it runs on the calling thread and only during an export, so there
/// is no other thread to synchronise with.
pub(crate) struct OtlpTransport<E> {
    destination: Destination,
    runtime: Runtime,
    exporter: E,
    cause: LastFailure,
    events: SdkEvents,
}

/// An export that the collector took, perhaps in part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Delivered {
    /// Data points, log records or spans that it rejected.
    pub(super) rejected: u64,
    /// Why, or a warning if it rejected none; in its own words.
    pub(super) message: String,
}

/// Builds the exporter of a signal; the builders of signals are distinct types of the same shape.
macro_rules! build {
    ($builder:expr, $destination:expr, $cause:expr) => {{
        let (destination, builder) = ($destination, $builder);
        match destination.protocol {
            OtlpProtocol::HttpProtobuf => {
                let mut builder = builder
                    .with_http()
                    .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
                    .with_endpoint(&destination.url)
                    .with_timeout(destination.timeout)
                    .with_headers(destination.headers.iter().cloned().collect())
                    .with_retry_policy(retry_policy(destination))
                    .with_http_client(BlockingClient::new(destination, $cause)?);
                if destination.compression == Some(OtlpCompression::Gzip) {
                    builder = builder.with_compression(opentelemetry_otlp::Compression::Gzip);
                }
                builder.build()
            }
            OtlpProtocol::Grpc => {
                let mut builder = builder
                    .with_tonic()
                    .with_endpoint(&destination.url)
                    .with_timeout(destination.timeout + OURS_IS_FIRST)
                    .with_metadata(metadata(destination)?)
                    .with_retry_policy(retry_policy(destination));
                if destination.compression == Some(OtlpCompression::Gzip) {
                    builder = builder.with_compression(opentelemetry_otlp::Compression::Gzip);
                }
                if destination.url.starts_with("https:") {
                    builder = builder.with_tls_config(tonic_tls(destination));
                }
                builder.build()
            }
        }
    }};
}

impl OtlpTransport<MetricExporter> {
    /// Prepares for `destination`; nothing is sent yet.
    pub(crate) fn for_metrics(destination: Destination) -> Result<Self, ConfigError> {
        Self::new(destination, |destination, cause| {
            let mut builder = MetricExporter::builder();
            if let Some(temporality) = destination.temporality {
                builder = builder.with_temporality(match temporality {
                    MetricTemporality::Cumulative => Temporality::Cumulative,
                    MetricTemporality::Delta => Temporality::Delta,
                    MetricTemporality::LowMemory => Temporality::LowMemory,
                });
            }
            build!(builder, destination, cause).map_err(|error| failed(&error))
        })
    }

    /// Whether totals or deltas are exported.
    pub(crate) fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }

    /// Sends `metrics`; waits for the answer, at most about twice the configured timeout.
    pub(super) fn export(&self, metrics: &ResourceMetrics) -> Result<Delivered, ExportError> {
        self.wait(self.exporter.export(metrics))
    }
}

impl OtlpTransport<LogExporter> {
    /// Prepares for `destination`; nothing is sent yet.
    pub(crate) fn for_logs(
        destination: Destination,
        resource: &Resource,
    ) -> Result<Self, ConfigError> {
        let mut transport = Self::new(destination, |destination, cause| {
            build!(LogExporter::builder(), destination, cause).map_err(|error| failed(&error))
        })?;
        transport.exporter.set_resource(resource);
        Ok(transport)
    }

    /// Sends `batch`; waits as long as with metrics.
    pub(super) fn export(&self, batch: LogBatch<'_>) -> Result<Delivered, ExportError> {
        self.wait(self.exporter.export(batch))
    }
}

impl OtlpTransport<SpanExporter> {
    /// Prepares for `destination`; nothing is sent yet.
    pub(crate) fn for_traces(
        destination: Destination,
        resource: &Resource,
    ) -> Result<Self, ConfigError> {
        let mut transport = Self::new(destination, |destination, cause| {
            build!(SpanExporter::builder(), destination, cause).map_err(|error| failed(&error))
        })?;
        transport.exporter.set_resource(resource);
        Ok(transport)
    }

    /// Sends `batch`; waits as long as with metrics.
    pub(super) fn export(&self, batch: Vec<SpanData>) -> Result<Delivered, ExportError> {
        self.wait(self.exporter.export(batch))
    }
}

impl<E> OtlpTransport<E> {
    fn new(
        destination: Destination,
        build: impl FnOnce(&Destination, LastFailure) -> Result<E, ConfigError>,
    ) -> Result<Self, ConfigError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(&error))?;
        let cause = LastFailure::default();
        let exporter = {
            let _guard = runtime.enter(); // tonic panics outside of one
            build(&destination, cause.clone())?
        };
        Ok(Self {
            exporter,
            destination: Destination {
                pem: PemContents::default(), // the exporter has what it needs of them
                ..destination
            },
            runtime,
            cause,
            events: SdkEvents::new(),
        })
    }

    /// The signal, and its collector.
    pub(crate) fn destination(&self) -> &Destination {
        &self.destination
    }

    fn wait(&self, export: impl Future<Output = OTelSdkResult>) -> Result<Delivered, ExportError> {
        let timeout = self.destination.timeout;
        let export = async { tokio::time::timeout(timeout, export).await };
        let (result, heard) = self.events.during(|| self.runtime.block_on(export));
        let Heard {
            rejected,
            message,
            retry_after,
        } = heard;
        let why = match result {
            Ok(Ok(())) => return Ok(Delivered { rejected, message }),
            Ok(Err(error)) => grpc_cause(&error),
            Err(_elapsed) => ExportFailureCause::unreached(no_answer(timeout)),
        };
        let why = self.cause.take().unwrap_or(why);
        Err(ExportError {
            signal: self.destination.signal,
            url: self.destination.shown_url(),
            cause: why.cause,
            is_refusal: why.is_refusal,
            is_unauthorized: why.is_unauthorized,
            retry_after: why.retry_after.or(retry_after),
        })
    }
}

fn retry_policy(destination: &Destination) -> RetryPolicy {
    if destination.retries {
        RetryPolicy::recommended()
    } else {
        RetryPolicy::disabled()
    }
}

fn failed(error: &dyn Error) -> ConfigError {
    ConfigError::Exporter(clause(&error.to_string()))
}

/// The headers as gRPC metadata.
fn metadata(destination: &Destination) -> Result<MetadataMap, ConfigError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &destination.headers {
        let (Ok(key), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) else {
            return Err(setting_error("--otlp-header", name, "cannot be sent"));
        };
        headers.insert(key, value);
    }
    Ok(MetadataMap::from_headers(headers))
}

/// OTLP/HTTP on a blocking client: no runtime is needed to post one body.
#[derive(Debug)]
struct BlockingClient {
    agent: ureq::Agent,
    timeout: Duration,
    cause: LastFailure,
}

impl BlockingClient {
    fn new(destination: &Destination, cause: LastFailure) -> Result<Self, ConfigError> {
        let mut config = ureq::Agent::config_builder()
            .timeout_global(Some(destination.timeout))
            .max_redirects(0) // headers may hold a secret that is not for others
            .http_status_as_error(false);
        if destination.url.starts_with("https:") {
            let tls = TlsConfig::builder()
                .root_certs(http_roots(destination))
                .client_cert(http_client_certificate(destination)?);
            config = config.tls_config(tls.build());
        }
        Ok(Self {
            agent: config.build().into(),
            timeout: destination.timeout,
            cause,
        })
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts, body.to_vec());
        let (parts, mut body) = self.agent.run(request)?.into_parts();
        let body = body.with_config().limit(MAX_RESPONSE).read_to_vec()?;
        Ok(Response::from_parts(parts, Bytes::from(body)))
    }
}

#[async_trait::async_trait]
impl HttpClient for BlockingClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        match self.send(request) {
            Ok(response) => {
                let status = response.status();
                let code = status.as_u16();
                let refused = || ExportFailureCause {
                    retry_after: retry_after(response.headers()),
                    ..ExportFailureCause::answer(
                        &status.to_string(),
                        matches!(code, 401 | 403),
                        status.is_client_error() && !matches!(code, 408 | 429),
                    )
                };
                self.cause.set((!status.is_success()).then(refused));
                Ok(response)
            }
            Err(error) => {
                let cause = http_cause(&error, self.timeout);
                self.cause.set(Some(ExportFailureCause::unreached(cause)));
                Err(error.into())
            }
        }
    }
}

/// Why the last request failed: the SDK reports only "network error".
#[derive(Clone, Debug, Default)]
struct LastFailure(Arc<Mutex<Option<ExportFailureCause>>>);

/// As in [`ExportError`].
#[derive(Debug, Default)]
struct ExportFailureCause {
    cause: String,
    is_refusal: bool,
    is_unauthorized: bool,
    retry_after: Option<Duration>,
}

impl ExportFailureCause {
    fn unreached(cause: String) -> Self {
        Self {
            cause,
            ..Self::default()
        }
    }

    /// An answer other than success. Data is not at fault if the credentials are.
    fn answer(status: &str, is_unauthorized: bool, is_refusal: bool) -> Self {
        let cause = if is_unauthorized {
            format!(
                "the collector does not accept the credentials ({status}): check `--otlp-header`"
            )
        } else {
            format!("the collector answered {status}")
        };
        Self {
            cause,
            is_refusal: is_refusal && !is_unauthorized,
            is_unauthorized,
            retry_after: None,
        }
    }
}

/// The header Retry-After: seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("retry-after")?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?;
    let date = SystemTime::from(date.timestamp());
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

impl LastFailure {
    fn set(&self, cause: Option<ExportFailureCause>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = cause;
    }

    fn take(&self) -> Option<ExportFailureCause> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn http_cause(error: &ureq::Error, timeout: Duration) -> String {
    match error {
        ureq::Error::Timeout(_) => no_answer(timeout),
        ureq::Error::Protocol(_) => "the answer is not HTTP/1.1 (is it a gRPC port?)".to_owned(),
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the collector closed the connection".to_owned()
        }
        ureq::Error::Io(error) => clause(&error.to_string()),
        error => clause(&error.to_string()),
    }
}

/// The useful part of `… export failed with gRPC code: Unavailable: transport
/// error: tcp connect error: Connection refused`; a code alone is the answer of the collector.
fn grpc_cause(error: &dyn Error) -> ExportFailureCause {
    let text = error.to_string();
    let status = text.rsplit("gRPC code: ").next().unwrap_or_default();
    match status.split_once(": ") {
        Some((_code, sources)) => {
            let innermost = sources.rsplit("tcp connect error: ").next();
            let innermost = innermost.unwrap_or_default();
            ExportFailureCause::unreached(clause(innermost.trim_start_matches("transport error: ")))
        }
        None => ExportFailureCause::answer(
            status,
            matches!(status, "Unauthenticated" | "PermissionDenied"),
            !RETRYABLE.contains(&status),
        ),
    }
}

/// The gRPC codes that can be retried (OTLP specification, "Failures").
const RETRYABLE: [&str; 7] = [
    "Cancelled",
    "DeadlineExceeded",
    "Aborted",
    "OutOfRange",
    "Unavailable",
    "DataLoss",
    "ResourceExhausted", // if the collector says when to retry; without that, it is retried all the same
];

fn no_answer(timeout: Duration) -> String {
    format!("no answer within {timeout:?}")
}

/// One lower-case line, without the error number of the operating system.
fn clause(text: &str) -> String {
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.lines().next().unwrap_or_default().chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}

fn tonic_tls(destination: &Destination) -> ClientTlsConfig {
    let tls = match anchors(destination) {
        Some(pem) => ClientTlsConfig::new().ca_certificate(TonicCertificate::from_pem(pem)),
        None => ClientTlsConfig::new().with_enabled_roots(), // none are, by default
    };
    match &destination.client_certificate {
        Some(ClientIdentity { chain, key }) => {
            let pem = |(_, path): &(_, String)| destination.pem.of(path);
            tls.identity(Identity::from_pem(pem(chain), pem(key)))
        }
        None => tls,
    }
}

fn http_client_certificate(destination: &Destination) -> Result<Option<ClientCert>, ConfigError> {
    let Some(ClientIdentity { chain, key }) = &destination.client_certificate else {
        return Ok(None);
    };
    let unusable =
        |(setting, path): &(&'static str, String), what| setting_error(setting, path, what);
    let certificates = certificates(destination.pem.of(&chain.1));
    if certificates.is_empty() {
        return Err(unusable(chain, "holds no certificate"));
    }
    let private = PrivateKey::from_pem(destination.pem.of(&key.1));
    let private = private.map_err(|_| unusable(key, "holds no private key"))?;
    Ok(Some(ClientCert::new_with_certs(&certificates, private)))
}

fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    let items = parse_pem(pem);
    let certificates = items.filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    certificates.collect()
}

fn http_roots(destination: &Destination) -> RootCerts {
    let certificates: Vec<_> = match anchors(destination) {
        Some(pem) => certificates(pem),
        None => rustls_native_certs::load_native_certs()
            .certs
            .iter()
            .map(|der| Certificate::from_der(der).to_owned())
            .collect(),
    };
    RootCerts::new_with_certs(&certificates)
}

/// The trust anchors named in the environment, if they are.
fn anchors(destination: &Destination) -> Option<&[u8]> {
    let (_, path) = destination.certificate.as_ref()?;
    Some(destination.pem.of(path))
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write};
    use std::net::TcpListener;
    use std::thread;

    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use prost::Message;

    use super::*;
    use crate::telemetry::settings::PemFiles;
    use crate::telemetry::testing;

    fn destination(protocol: OtlpProtocol, url: &str, timeout: Duration) -> Destination {
        Destination {
            protocol,
            timeout,
            retries: true,
            ..testing::destination(url)
        }
    }

    fn transport(
        protocol: OtlpProtocol,
        port: u16,
        timeout: Duration,
    ) -> OtlpTransport<MetricExporter> {
        let path = match protocol {
            OtlpProtocol::Grpc => "",
            OtlpProtocol::HttpProtobuf => "/v1/metrics",
        };
        let url = format!("http://127.0.0.1:{port}{path}");
        OtlpTransport::for_metrics(destination(protocol, &url, timeout)).unwrap()
    }

    fn error(protocol: OtlpProtocol, port: u16, timeout: Duration) -> ExportError {
        let transport = transport(protocol, port, timeout);
        transport.export(&ResourceMetrics::default()).unwrap_err()
    }

    fn cause(protocol: OtlpProtocol, port: u16, timeout: Duration) -> String {
        error(protocol, port, timeout).cause
    }

    fn listen() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    /// Answers one request; gives its body.
    fn answer(listener: &TcpListener, response: &str) -> Vec<u8> {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let (first, body) = testing::read_request(&mut reader);
        assert_eq!(first, "POST /v1/metrics HTTP/1.1");
        reader.get_mut().write_all(response.as_bytes()).unwrap();
        body
    }

    /// The error of an export to a collector that always answers `response`.
    fn refusal(response: &'static str) -> ExportError {
        let (listener, port) = listen();
        thread::spawn(move || {
            loop {
                answer(&listener, response);
            }
        });
        error(OtlpProtocol::HttpProtobuf, port, Duration::from_secs(5))
    }

    #[test]
    fn metrics_arrive_over_http() {
        let (listener, port) = listen();
        let response = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        let server = thread::spawn(move || answer(&listener, response));
        let transport = transport(OtlpProtocol::HttpProtobuf, port, Duration::from_secs(5));
        transport.export(&ResourceMetrics::default()).unwrap();
        let request = ExportMetricsServiceRequest::decode(&*server.join().unwrap());
        assert_eq!(request.unwrap().resource_metrics.len(), 1);
    }

    #[test]
    fn an_absent_collector_is_reported_as_connection_refused() {
        for protocol in [OtlpProtocol::HttpProtobuf, OtlpProtocol::Grpc] {
            let (listener, port) = listen();
            drop(listener);
            let cause = cause(protocol, port, Duration::from_secs(5));
            assert_eq!(cause, "connection refused", "{protocol}");
        }
    }

    #[test]
    fn an_export_to_a_silent_collector_times_out() {
        for protocol in [OtlpProtocol::HttpProtobuf, OtlpProtocol::Grpc] {
            let (_listener, port) = listen();
            let cause = cause(protocol, port, Duration::from_millis(200));
            assert_eq!(cause, "no answer within 200ms", "{protocol}");
        }
    }

    #[test]
    fn a_refusal_is_reported_with_its_status() {
        let cases = [
            (
                "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
                "the collector answered 404 Not Found",
            ),
            (
                "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://192.0.2.1/\r\ncontent-length: 0\r\n\r\n",
                "the collector answered 307 Temporary Redirect",
            ),
            (
                "SSH-2.0-OpenSSH_9.2\r\n",
                "the answer is not HTTP/1.1 (is it a gRPC port?)",
            ),
        ];
        for (response, cause) in cases {
            assert_eq!(refusal(response).cause, cause);
        }
    }

    #[test]
    fn an_answer_is_final_or_can_be_retried() {
        for (response, is_refusal) in [
            (
                "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
                true,
            ),
            (
                "HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n",
                true,
            ),
            ("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", false),
            ("SSH-2.0-OpenSSH_9.2\r\n", false),
        ] {
            assert_eq!(refusal(response).is_refusal, is_refusal, "{response}");
        }
        let answer = |code: &str| {
            let error = format!("export failed with gRPC code: {code}");
            grpc_cause(&*Box::<dyn Error>::from(error)).is_refusal
        };
        assert!(answer("InvalidArgument"));
        assert!(!answer("Unavailable"));
        assert!(!answer(
            "Unavailable: transport error: tcp connect error: Connection refused"
        ));
    }

    #[test]
    fn an_answer_about_credentials_says_so_and_the_data_is_not_at_fault() {
        for status in ["401 Unauthorized", "403 Forbidden"] {
            let response = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            let error = refusal(response.leak());
            assert_eq!(
                error.cause,
                format!(
                    "the collector does not accept the credentials ({status}): check `--otlp-header`"
                )
            );
            assert_eq!((error.is_refusal, error.is_unauthorized), (false, true));
        }
        for code in ["Unauthenticated", "PermissionDenied"] {
            let error = format!("export failed with gRPC code: {code}");
            let why = grpc_cause(&*Box::<dyn Error>::from(error));
            assert_eq!((why.is_refusal, why.is_unauthorized), (false, true));
        }
    }

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_date() {
        let parse = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(parse("120"), Some(Duration::from_secs(120)));
        assert_eq!(parse("Fri, 31 Dec 1999 23:59:59 GMT"), Some(Duration::ZERO));
        assert!(parse("Fri, 31 Dec 2100 23:59:59 GMT") > Some(Duration::from_secs(1 << 30)));
        assert_eq!(parse("soon"), None);
        assert_eq!(parse("-1"), None);
        let busy = refusal(
            "HTTP/1.1 429 Too Many Requests\r\nretry-after: 77\r\ncontent-length: 0\r\n\r\n",
        );
        assert_eq!(busy.retry_after, Some(Duration::from_secs(77)));
        assert!(!busy.is_refusal);
    }

    /// An answer that rejects five of something, with a message: the same bytes for each signal.
    const PARTIAL: &[u8] = b"\x0a\x0b\x08\x05\x12\x07too old";

    /// The exports of the three signals to a collector.
    fn export_all(to: &Destination) -> [Result<Delivered, ExportError>; 3] {
        let resource = Resource::builder_empty().build();
        let metrics = OtlpTransport::for_metrics(to.clone()).unwrap();
        let logs = OtlpTransport::for_logs(to.clone(), &resource).unwrap();
        let traces = OtlpTransport::for_traces(to.clone(), &resource).unwrap();
        [
            metrics.export(&ResourceMetrics::default()),
            logs.export(LogBatch::new(&[])),
            traces.export(Vec::new()),
        ]
    }

    fn assert_partial(exports: [Result<Delivered, ExportError>; 3]) {
        let expected = Delivered {
            rejected: 5,
            message: "too old".to_owned(),
        };
        for delivered in exports {
            assert_eq!(delivered, Ok(expected.clone()));
        }
    }

    #[test]
    fn a_partial_success_is_seen_for_every_signal_over_http() {
        let (listener, port) = listen();
        thread::spawn(move || {
            loop {
                let (stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream);
                testing::read_request(&mut reader);
                let head = format!(
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    PARTIAL.len()
                );
                let answer = [head.as_bytes(), PARTIAL].concat();
                reader.get_mut().write_all(&answer).unwrap();
            }
        });
        let url = format!("http://127.0.0.1:{port}/v1/metrics");
        let to = destination(OtlpProtocol::HttpProtobuf, &url, Duration::from_secs(5));
        assert_partial(export_all(&to));
    }

    /// Answers gRPC requests with `message` (if any) and a status.
    fn grpc_collector(message: Option<&'static [u8]>, status: &'static [(&str, &str)]) -> u16 {
        let (listener, port) = listen();
        listener.set_nonblocking(true).unwrap();
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    tokio::spawn(answer_grpc(stream, message, status));
                }
            });
        });
        port
    }

    async fn answer_grpc(
        stream: tokio::net::TcpStream,
        message: Option<&'static [u8]>,
        status: &'static [(&str, &str)],
    ) {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let head = Response::builder().header("content-type", "application/grpc");
            let mut stream = respond
                .send_response(head.body(()).unwrap(), false)
                .unwrap();
            if let Some(message) = message {
                let length = u32::try_from(message.len()).unwrap();
                let frame = [&[0][..], &length.to_be_bytes(), message].concat();
                stream.send_data(frame.into(), false).unwrap();
            }
            let mut trailers = HeaderMap::new();
            for (name, value) in status {
                trailers.insert(*name, value.parse().unwrap());
            }
            stream.send_trailers(trailers).unwrap();
        }
    }

    #[test]
    fn a_partial_success_is_seen_for_every_signal_over_grpc() {
        let port = grpc_collector(Some(PARTIAL), &[("grpc-status", "0")]);
        let url = format!("http://127.0.0.1:{port}");
        let to = destination(OtlpProtocol::Grpc, &url, Duration::from_secs(5));
        assert_partial(export_all(&to));
    }

    #[test]
    fn a_grpc_collector_says_when_to_retry() {
        // google.rpc.Status { code: 8, details: [RetryInfo { retry_delay: { seconds: 45 } }] }
        let details = "CAgaMAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIECgIILQ";
        let details: &'static str = details;
        let status = vec![("grpc-status", "8"), ("grpc-status-details-bin", details)];
        let port = grpc_collector(None, status.leak());
        let url = format!("http://127.0.0.1:{port}");
        let mut to = destination(OtlpProtocol::Grpc, &url, Duration::from_secs(5));
        to.retries = false;
        for export in export_all(&to) {
            let error = export.unwrap_err();
            assert_eq!(error.retry_after, Some(Duration::from_secs(45)), "{error}");
            assert!(!error.is_refusal, "{error}");
        }
    }

    #[test]
    fn a_missing_trust_file_is_rejected_at_once() {
        let destination = |protocol| {
            let url = "https://127.0.0.1:1";
            let mut destination = destination(protocol, url, Duration::from_secs(1));
            destination.certificate = Some(("VARIABLE", "/nowhere/ca.pem".to_owned()));
            destination
        };
        for protocol in [OtlpProtocol::HttpProtobuf, OtlpProtocol::Grpc] {
            let error = PemFiles::open(&[destination(protocol)]).unwrap_err();
            assert_eq!(
                error.to_string(),
                "VARIABLE: `/nowhere/ca.pem` cannot be read: no such file or directory"
            );
        }
    }
}

//! Answers Prometheus: `/metrics`, and `/targets` and `/clients` for discovery and inventories; `/failures` for the person whom an alert
//! has woken; and `/healthz` for a supervisor that restarts a hung process.
//!
//! | file | |
//! | --- | --- |
//! | `server` | connections: time limits, and which one is closed when there are too many |
//! | `hosts` | which `Host` a request may name |
//! | `failures_page` | the last failures for people |

use std::convert::Infallible;
use std::io;
#[cfg(feature = "cli")]
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
#[cfg(feature = "cli")]
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Request, Response, StatusCode};
use opentelemetry_sdk::metrics::Temporality;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};

use self::hosts::AllowedHosts;
use super::{Closing, Export, PreparedExport, open_metrics, prometheus_text};
#[cfg(feature = "cli")]
use crate::escape::SafeJson;
use crate::telemetry::ConfigError;
#[cfg(feature = "cli")]
use crate::telemetry::failures::{Failures, Query};
use crate::telemetry::metrics::bound_series::REGULAR;
#[cfg(feature = "cli")]
use crate::telemetry::metrics::endpoints::Endpoints;
use crate::telemetry::metrics::exemplars::Exemplars;
use crate::telemetry::metrics::reader::{Collection, MetricsReader};
use crate::telemetry::metrics::self_telemetry::SelfTelemetry;

#[cfg(feature = "cli")]
mod failures_page;
mod hosts;
mod server;

/// Of the exposition format, version 0.0.4; also right for the other answers.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Prometheus refuses targets of any other type.
#[cfg(feature = "cli")]
const JSON: &str = "application/json";

/// What browsers accept.
#[cfg(feature = "cli")]
const HTML: &str = "text/html";
#[cfg(feature = "cli")]
const HTML_UTF8: &str = "text/html; charset=utf-8";

/// Connections that the kernel queues. With too few, a burst of connections makes it drop that of a
/// probe, which is retried a second later.
const BACKLOG: u32 = 1_024;

/// Where Prometheus scrapes, bound and not answering yet: clients wait in the kernel's queue.
pub(crate) struct ScrapeEndpoint {
    listener: TcpListener,
    runtime: Runtime,
    pages: Pages,
}

impl ScrapeEndpoint {
    /// Binds the address. `hosts` are names that requests may use besides those of a loopback address.
    pub(crate) fn bind(
        address: SocketAddr,
        hosts: &[String],
        self_telemetry: Arc<SelfTelemetry>,
    ) -> Result<Self, ConfigError> {
        let (listener, runtime) = listen(address).map_err(|error| {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            ConfigError::Listen {
                address,
                cause: text.to_lowercase(),
            }
        })?;
        Ok(Self {
            listener,
            runtime,
            pages: Pages {
                hosts: AllowedHosts::new(address.ip(), hosts),
                reader: MetricsReader::new(Temporality::Cumulative, REGULAR),
                scrape: tokio::sync::Mutex::new(()),
                self_telemetry,
                #[cfg(feature = "cli")]
                endpoints: Endpoints::default(),
                #[cfg(feature = "cli")]
                failures: Failures::default(),
                exemplars: Exemplars::default(),
            },
        })
    }

    /// Names these next to the samples in the OpenMetrics format.
    pub(crate) fn with_exemplars(mut self, exemplars: Exemplars) -> Self {
        self.pages.exemplars = exemplars;
        self
    }

    /// Lists these at `/targets` and `/clients`, and at `/failures`.
    #[cfg(feature = "cli")]
    pub(crate) fn listing(mut self, endpoints: Endpoints, failures: Failures) -> Self {
        self.pages.endpoints = endpoints;
        self.pages.failures = failures;
        self
    }

    /// The address; the port is the real one even if 0 was asked for.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Listens, without a thread yet.
fn listen(address: SocketAddr) -> io::Result<(TcpListener, Runtime)> {
    // Metrics are collected on a second thread, so that `/healthz` does not wait for a large scrape.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .thread_name("scrape")
        .build()?;
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?; // as std does: a restart must not wait for old connections
    socket.bind(address)?;
    let listener = {
        let _guard = runtime.enter();
        socket.listen(BACKLOG)?
    };
    Ok((listener, runtime))
}

impl PreparedExport for ScrapeEndpoint {
    fn reader(&self) -> Option<&MetricsReader> {
        Some(&self.pages.reader)
    }

    /// Answers on threads that end with the process.
    fn start(self: Box<Self>) -> io::Result<Box<dyn Export>> {
        let Self {
            listener,
            runtime,
            pages,
        } = *self;
        thread::Builder::new()
            .name("prometheus".to_owned())
            .spawn(move || runtime.block_on(server::serve(&listener, &Arc::new(pages))))?;
        Ok(Box::new(Answering))
    }
}

/// The threads answer until the process ends.
struct Answering;

impl Export for Answering {
    fn close(self: Box<Self>) -> Closing {
        Closing::Nothing
    }
}

/// What the endpoint answers.
struct Pages {
    hosts: AllowedHosts,
    reader: MetricsReader,
    /// Held while metrics are collected: scrapes that wait cost nothing if their client goes away.
    scrape: tokio::sync::Mutex<()>,
    self_telemetry: Arc<SelfTelemetry>,
    #[cfg(feature = "cli")]
    endpoints: Endpoints,
    #[cfg(feature = "cli")]
    failures: Failures,
    exemplars: Exemplars,
}

/// The metrics in the answer on a connection, until it has been sent.
#[derive(Default)]
struct Sent(Mutex<Option<Collection>>);

impl Pages {
    /// The answer to `request`.
    async fn answer<B>(
        self: Arc<Self>,
        request: Request<B>,
        sent: Arc<Sent>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        if !self.hosts.allow(request.uri(), request.headers()) {
            let hint = "this host name is not allowed: see --prometheus-host\n";
            return Ok(page(StatusCode::MISDIRECTED_REQUEST, hint));
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(page(StatusCode::METHOD_NOT_ALLOWED, "use GET\n"));
        }
        Ok(match request.uri().path() {
            "/metrics" => {
                let wants_open_metrics = accepts(request.headers(), open_metrics::MEDIA_TYPE);
                self.metrics(&sent, wants_open_metrics).await
            }
            "/healthz" => self.health(),
            #[cfg(feature = "cli")]
            "/targets" => {
                let query = request.uri().query().unwrap_or_default();
                let hidden_only = query.split('&').any(|pair| pair == "hidden=1");
                self.json(move |pages| pages.endpoints.targets(hidden_only))
                    .await
            }
            #[cfg(feature = "cli")]
            "/clients" => self.json(|pages| pages.endpoints.clients()).await,
            #[cfg(feature = "cli")]
            "/failures" => self.failures(&request).await,
            "/" => page(StatusCode::OK, PATHS.join("\n") + "\n"),
            _ => page(StatusCode::NOT_FOUND, "not found\n"),
        })
    }

    /// A list as JSON, made where metrics are collected.
    #[cfg(feature = "cli")]
    async fn json(
        self: &Arc<Self>,
        list: impl FnOnce(&Self) -> String + Send + 'static,
    ) -> Response<Full<Bytes>> {
        let made = self.make(move |pages| {
            let mut text = Vec::new();
            let written = SafeJson(&mut text).write_all(list(pages).as_bytes());
            written.map(|()| text).unwrap_or_default() // memory takes everything
        });
        match made.await {
            Some(text) => page_of(StatusCode::OK, JSON, text),
            None => page(StatusCode::INTERNAL_SERVER_ERROR, "no list\n"),
        }
    }

    /// The last failures: a page for browsers, JSON for everyone else; `format` in the query decides first.
    #[cfg(feature = "cli")]
    async fn failures<B>(self: &Arc<Self>, request: &Request<B>) -> Response<Full<Bytes>> {
        let text = request.uri().query().unwrap_or_default();
        let wants = |format: &str| text.split('&').any(|pair| pair == format);
        let query = match Query::parse(text) {
            Ok(query) => query,
            Err(error) => return page(StatusCode::BAD_REQUEST, error + "\n"),
        };
        let wants_page =
            wants("format=html") || !wants("format=json") && accepts(request.headers(), HTML);
        if !wants_page {
            return self
                .json(move |pages| pages.failures.list(&query).json())
                .await;
        }
        let made =
            self.make(move |pages| failures_page::page(&pages.failures.list(&query), &query));
        let Some(text) = made.await else {
            return page(StatusCode::INTERNAL_SERVER_ERROR, "no list\n");
        };
        let mut response = page_of(StatusCode::OK, HTML_UTF8, text);
        for (name, value) in [
            (CONTENT_SECURITY_POLICY, failures_page::SECURITY_POLICY),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (CACHE_CONTROL, "no-store"),
        ] {
            let value = hyper::header::HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }

    /// Makes an answer where metrics are collected, one at a time; `None` if that failed.
    #[cfg(feature = "cli")]
    async fn make<T: Send + 'static>(
        self: &Arc<Self>,
        make: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Option<T> {
        let _one_at_a_time = self.scrape.lock().await;
        let pages = Arc::clone(self);
        tokio::task::spawn_blocking(move || make(&pages)).await.ok()
    }

    /// All metrics as text.
    async fn metrics(
        self: &Arc<Self>,
        sent: &Sent,
        wants_open_metrics: bool,
    ) -> Response<Full<Bytes>> {
        let _one_at_a_time = self.scrape.lock().await;
        let pages = Arc::clone(self);
        let collected = tokio::task::spawn_blocking(move || {
            let collection = pages.reader.read();
            let text = match wants_open_metrics {
                true => open_metrics::encode(&collection.metrics, &pages.exemplars),
                false => prometheus_text::encode(&collection.metrics),
            };
            (text, collection)
        });
        match collected.await {
            Ok((text, collection)) => {
                *sent.collection() = Some(collection);
                let content_type = match wants_open_metrics {
                    true => open_metrics::CONTENT_TYPE,
                    false => TEXT,
                };
                page_of(StatusCode::OK, content_type, text)
            }
            Err(_) => page(StatusCode::INTERNAL_SERVER_ERROR, "no metrics\n"),
        }
    }

    fn health(&self) -> Response<Full<Bytes>> {
        match self.self_telemetry.silence() {
            Some(silence) => {
                let text = format!("no progress for {} s\n", silence.as_secs());
                page(StatusCode::SERVICE_UNAVAILABLE, text)
            }
            None => page(StatusCode::OK, "ok\n"),
        }
    }

    /// Notes that an answer was sent completely.
    fn note_sent(&self, sent: &Sent) {
        if let Some(collection) = sent.collection().take() {
            self.reader.delivered(&collection);
        }
    }
}

impl Sent {
    fn collection(&self) -> std::sync::MutexGuard<'_, Option<Collection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request has been read and answered.
    fn is_answer(&self) -> bool {
        self.collection().is_some()
    }
}

/// What `/` lists.
const PATHS: &[&str] = &[
    "tlscope",
    "/metrics",
    "/healthz",
    #[cfg(feature = "cli")]
    "/targets",
    #[cfg(feature = "cli")]
    "/clients",
    #[cfg(feature = "cli")]
    "/failures",
];

/// Whether the client names this media type among those it accepts.
fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let mut accepted = headers.get_all(ACCEPT).iter();
    accepted.any(|value| {
        let text = value.to_str().unwrap_or_default();
        text.contains(media_type)
    })
}

fn page(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    page_of(status, TEXT, text)
}

fn page_of(
    status: StatusCode,
    content_type: &'static str,
    text: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static(content_type),
    );
    response
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::{Duration, Instant};

    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_sdk::metrics::SdkMeterProvider;

    use super::*;

    /// A running endpoint with one counter.
    fn start() -> (SocketAddr, SdkMeterProvider) {
        let nobody = Arc::new(SelfTelemetry::new(&[]));
        let hosts = ["metrics.example".to_owned()];
        let endpoint = ScrapeEndpoint::bind(([127, 0, 0, 1], 0).into(), &hosts, nobody).unwrap();
        let provider = SdkMeterProvider::builder().with_reader(endpoint.pages.reader.clone());
        let provider = provider.build();
        let counter = provider.meter("test").u64_counter("c").build();
        counter.add(3, &[]);
        let address = endpoint.address().unwrap();
        Box::new(endpoint).start().unwrap();
        (address, provider)
    }

    fn ask_at(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// What the server answers to `request`.
    fn ask(request: &[u8]) -> String {
        let (address, _provider) = start();
        ask_at(address, request)
    }

    #[test]
    fn a_scrape_gets_the_metrics() {
        let answer = ask(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("content-type: text/plain; version=0.0.4"));
        assert!(answer.contains("\nc_total 3\n"), "{answer}");
    }

    #[test]
    fn open_metrics_are_for_those_who_ask() {
        let answer = ask(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\n\r\n");
        let kind = "content-type: application/openmetrics-text; version=1.0.0";
        assert!(answer.contains(kind), "{answer}");
        assert!(answer.ends_with("# EOF\n"), "{answer}");
    }

    #[cfg(feature = "cli")]
    #[test]
    fn targets_are_json() {
        let answer = ask(b"GET /targets?hidden=1 HTTP/1.1\r\n\r\n");
        assert!(
            answer.contains("content-type: application/json\r\n"),
            "{answer}"
        );
        assert!(answer.ends_with("\r\n\r\n[]"), "{answer}");
    }

    #[cfg(feature = "cli")]
    #[test]
    fn failures_are_a_page_for_browsers_and_json_for_programs() {
        let of = |request: &str| ask(request.as_bytes());
        let json = of("GET /failures HTTP/1.1\r\nAccept: */*\r\n\r\n");
        assert!(json.contains("content-type: application/json\r\n"));
        assert!(json.ends_with("{\"seen\":0,\"dropped\":0,\"failures\":[]}"));
        let browser = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n\r\n";
        let page = of(&format!("GET /failures?error=other HTTP/1.1\r\n{browser}"));
        assert!(page.contains("content-type: text/html; charset=utf-8\r\n"));
        assert!(page.contains("content-security-policy: default-src 'none'"));
        assert!(page.contains("No failure to list."), "{page}");
        let chosen = of(&format!("GET /failures?format=json HTTP/1.1\r\n{browser}"));
        assert!(chosen.contains("application/json"));
        let wrong = of(&format!("GET /failures?error=x HTTP/1.1\r\n{browser}"));
        assert!(wrong.starts_with("HTTP/1.1 400 "), "{wrong}");
        assert!(wrong.contains("\r\n\r\nno error type `x`; "), "{wrong}");
    }

    #[test]
    fn healthz_says_ok_while_the_run_is_well() {
        let answer = ask(b"GET /healthz HTTP/1.1\r\n\r\n");
        assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
        let head = ask(b"HEAD /healthz HTTP/1.0\r\n\r\n");
        assert!(head.ends_with("\r\n\r\n"), "{head}");
    }

    #[test]
    fn other_requests_are_refused() {
        let long = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &[b'a'; 90_000]].concat();
        let (address, _provider) = start();
        for (request, status) in [
            (b"GET /secret HTTP/1.1\r\n\r\n".as_slice(), "404"),
            (b"GET /../etc/passwd HTTP/1.1\r\n\r\n", "404"),
            (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
            (b"\x16\x03\x01\x02\x00\r\n\r\n", "400"),
        ] {
            let answer = ask_at(address, request);
            let expected = format!("HTTP/1.1 {status} ");
            assert!(answer.starts_with(&expected), "{answer}");
        }
        let mut stream = TcpStream::connect(address).unwrap();
        let _ = stream.write_all(&long); // the server may close the connection before it has read everything
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431 "));
    }

    #[test]
    fn a_page_of_another_site_cannot_read_metrics_by_dns_rebinding() {
        let (address, _provider) = start();
        let status = |request: String| ask_at(address, request.as_bytes())[9..12].to_owned();
        let of_host = |host: &str| status(format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(of_host("attacker.example:9464"), "421");
        assert_eq!(of_host("127.0.0.1.attacker.example"), "421");
        assert_eq!(of_host("127.0.0.1:9464"), "200");
        assert_eq!(of_host("metrics.example"), "200");
        let absolute = "GET http://attacker.example/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
        assert_eq!(status(absolute.to_owned()), "421");
    }

    /// Asks for `/healthz` and `/metrics` some times: most answers must come in time for a probe, and none may be late by
    /// more than a busy machine explains. Before there were limits, they came after 5 s and more, or not at all.
    fn assert_prompt(address: SocketAddr, situation: &str) {
        let requests: [&[u8]; 2] = [
            b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ];
        let times = requests.iter().cycle().take(20).map(|request| {
            let begun = Instant::now();
            let answer = ask_at(address, request);
            assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
            begun.elapsed()
        });
        let mut times: Vec<_> = times.collect();
        times.sort();
        let (median, slowest) = (times[times.len() / 2], times[times.len() - 1]);
        assert!(
            median < Duration::from_millis(100),
            "{situation}: {times:?}"
        );
        assert!(slowest < Duration::from_secs(2), "{situation}: {times:?}");
    }

    #[test]
    fn idle_connections_do_not_delay_a_probe() {
        for idle in [60, 1_000] {
            let (address, _provider) = start();
            let connect = |_| TcpStream::connect(address).unwrap();
            let _idle: Vec<_> = (0..idle).map(connect).collect();
            assert_prompt(address, &format!("{idle} connections"));
        }
    }

    #[test]
    fn requests_that_never_end_do_not_delay_a_probe() {
        let (address, _provider) = start();
        let begin = |_| {
            let mut stream = TcpStream::connect(address).unwrap();
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nA: "); // may be closed in favour of newer ones
            stream
        };
        let _slow: Vec<_> = (0..200).map(begin).collect();
        assert_prompt(address, "requests that do not end");
    }

    #[test]
    fn answers_that_are_not_read_do_not_delay_a_probe() {
        let (address, _provider) = start();
        let ask = |_| {
            let mut stream = TcpStream::connect(address).unwrap();
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n");
            stream
        };
        let _unread: Vec<_> = (0..200).map(ask).collect();
        assert_prompt(address, "answers that are not read");
    }

    #[test]
    fn an_address_in_use_is_an_error_that_names_it() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = ScrapeEndpoint::bind(address, &[], Arc::new(SelfTelemetry::new(&[])));
        assert_eq!(
            error.err().unwrap().to_string(),
            format!("cannot answer scrapes on `{address}`: address already in use")
        );
    }
}

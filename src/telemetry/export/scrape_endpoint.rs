//! Answers Prometheus: `/metrics`, and `/healthz` for a supervisor that restarts a hung process.
//!
//! Each connection is one request, answered on one of a few threads. A slow client can
//! delay other scrapes at worst, and those no longer than [`PATIENCE`].

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_sdk::metrics::Temporality;

use super::{Closing, Export, PreparedExport, open_metrics, prometheus_text};
use crate::telemetry::ConfigError;
use crate::telemetry::metrics::bound_series::REGULAR;
#[cfg(feature = "cli")]
use crate::telemetry::metrics::endpoints::Endpoints;
use crate::telemetry::metrics::reader::MetricsReader;
use crate::telemetry::metrics::self_telemetry::SelfTelemetry;

/// Connections served at a time; others wait in the kernel's bounded queue.
const MAX_CONNECTIONS: usize = 4;

/// How long a client may take to send its request, and again to read the answer.
/// Prometheus gives up after 10 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of a request; those of Prometheus have about 300.
const MAX_REQUEST: usize = 8 << 10;

/// Pause after `accept` fails: file descriptors may have run out.
const BREATH: Duration = Duration::from_millis(100);

/// Where Prometheus scrapes, bound and not answering yet: clients wait in the kernel's queue.
pub(crate) struct ScrapeEndpoint {
    listener: TcpListener,
    reader: MetricsReader,
    self_telemetry: Arc<SelfTelemetry>,
    #[cfg(feature = "cli")]
    endpoints: Endpoints,
}

impl ScrapeEndpoint {
    /// Binds the address.
    pub(crate) fn bind(
        address: SocketAddr,
        self_telemetry: Arc<SelfTelemetry>,
    ) -> Result<Self, ConfigError> {
        let listener = TcpListener::bind(address).map_err(|error| {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            ConfigError::Listen {
                address,
                cause: text.to_lowercase(),
            }
        })?;
        Ok(Self {
            listener,
            reader: MetricsReader::new(Temporality::Cumulative, REGULAR),
            self_telemetry,
            #[cfg(feature = "cli")]
            endpoints: Endpoints::default(),
        })
    }

    /// Lists these at `/targets`.
    #[cfg(feature = "cli")]
    pub(crate) fn listing(self, endpoints: Endpoints) -> Self {
        Self { endpoints, ..self }
    }

    /// The address; the port is the real one even if 0 was asked for.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    fn serve(&self) {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    let _ = self.answer(&stream); // a client that went away is nothing to report
                }
                Err(_) => thread::sleep(BREATH),
            }
        }
    }

    fn answer(&self, stream: &TcpStream) -> io::Result<()> {
        let request = read_request(stream)?;
        let target = match parse(&request) {
            Ok(target) => target,
            Err(status) => return respond(stream, status, "", false),
        };
        match target.path {
            "/metrics" => {
                let collection = self.reader.read();
                let (encode, content_type): (fn(&_) -> _, _) = if accepts_open_metrics(&request) {
                    (open_metrics::encode, open_metrics::CONTENT_TYPE)
                } else {
                    (prometheus_text::encode, TEXT)
                };
                let body = encode(&collection.metrics);
                respond_with(stream, "200 OK", content_type, &body, target.is_head)?;
                if !target.is_head {
                    self.reader.delivered(&collection);
                }
                Ok(())
            }
            "/healthz" => match self.self_telemetry.silence() {
                Some(silence) => {
                    let body = format!("no sign of life for {} s\n", silence.as_secs());
                    respond(stream, "503 Service Unavailable", &body, target.is_head)
                }
                None => respond(stream, "200 OK", "ok\n", target.is_head),
            },
            #[cfg(feature = "cli")]
            "/targets" => {
                let hidden_only = target.query.split('&').any(|pair| pair == "hidden=1");
                let body = self.endpoints.targets(hidden_only);
                respond_with(stream, "200 OK", JSON, &body, target.is_head)
            }
            #[cfg(feature = "cli")]
            "/clients" => {
                let body = self.endpoints.clients();
                respond_with(stream, "200 OK", JSON, &body, target.is_head)
            }
            "/" => {
                let body = "tlscope\n/metrics\n/healthz\n/targets\n/clients\n";
                respond(stream, "200 OK", body, target.is_head)
            }
            _ => respond(stream, "404 Not Found", "", target.is_head),
        }
    }
}

impl PreparedExport for ScrapeEndpoint {
    fn reader(&self) -> Option<&MetricsReader> {
        Some(&self.reader)
    }

    /// Answers on threads that end with the process.
    fn start(self: Box<Self>) -> io::Result<Box<dyn Export>> {
        let endpoint = Arc::new(*self);
        for _ in 0..MAX_CONNECTIONS {
            let endpoint = Arc::clone(&endpoint);
            thread::Builder::new()
                .name("prometheus".to_owned())
                .spawn(move || endpoint.serve())?;
        }
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

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
struct Target<'a> {
    path: &'a str,
    /// What comes after the question mark; empty without one.
    query: &'a str,
    is_head: bool,
}

/// Reads the request up to the empty line, within [`PATIENCE`].
fn read_request(mut stream: &TcpStream) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + PATIENCE;
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The empty line may be split over two reads.
        let from = request.len().saturating_sub(3);
        request.extend_from_slice(buffer.get(..length).unwrap_or_default());
        let news = request.get(from..).unwrap_or_default();
        if news.windows(4).any(|bytes| bytes == b"\r\n\r\n") || request.len() > MAX_REQUEST {
            return Ok(request);
        }
    }
}

/// The target of a request; the error is the status of the answer.
fn parse(request: &[u8]) -> Result<Target<'_>, &'static str> {
    if request.len() > MAX_REQUEST {
        return Err("431 Request Header Fields Too Large");
    }
    let line = request.split(|byte| *byte == b'\r').next();
    let line = line.and_then(|line| std::str::from_utf8(line).ok());
    let mut words = line.unwrap_or_default().split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (method, target, version, words.next())
    else {
        return Err("400 Bad Request");
    };
    let is_head = match method {
        "GET" => false,
        "HEAD" => true,
        _ => return Err("405 Method Not Allowed"),
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Ok(Target {
        path,
        query,
        is_head,
    })
}

/// Whether the request has the media type in its `Accept` header.
fn accepts_open_metrics(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let mut headers = text.lines().filter_map(|line| line.split_once(':'));
    headers.any(|(name, value)| {
        name.eq_ignore_ascii_case("accept") && value.contains(open_metrics::MEDIA_TYPE)
    })
}

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Prometheus refuses targets of any other type.
#[cfg(feature = "cli")]
const JSON: &str = "application/json";

fn respond(stream: &TcpStream, status: &str, body: &str, is_head: bool) -> io::Result<()> {
    respond_with(stream, status, TEXT, body, is_head)
}

fn respond_with(
    stream: &TcpStream,
    status: &str,
    content_type: &str,
    body: &str,
    is_head: bool,
) -> io::Result<()> {
    let body = if body.is_empty() {
        format!("{status}\n")
    } else {
        body.to_owned()
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let deadline = Instant::now() + PATIENCE;
    write_until(deadline, stream, head.as_bytes())?;
    if !is_head {
        write_until(deadline, stream, body.as_bytes())?;
    }
    Ok(())
}

/// Writes all of `bytes` before the deadline, however slowly the client reads.
fn write_until(deadline: Instant, mut stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        match stream.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => rest = rest.get(length..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_sdk::metrics::SdkMeterProvider;

    use super::*;

    /// What the server says to `request`.
    fn ask(request: &[u8]) -> String {
        let nobody = Arc::new(SelfTelemetry::new(&[]));
        let endpoint = ScrapeEndpoint::bind(([127, 0, 0, 1], 0).into(), nobody).unwrap();
        let provider = SdkMeterProvider::builder().with_reader(endpoint.reader.clone());
        let provider = provider.build();
        let counter = provider.meter("test").u64_counter("c").build();
        counter.add(3, &[]);
        let address = endpoint.address().unwrap();
        Box::new(endpoint).start().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_scrape_gets_the_metrics() {
        let answer = ask(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("Content-Type: text/plain; version=0.0.4"));
        assert!(answer.contains("\nc_total 3\n"), "{answer}");
    }

    #[test]
    fn open_metrics_are_for_those_who_ask() {
        let answer = ask(b"GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\n\r\n");
        let kind = "Content-Type: application/openmetrics-text; version=1.0.0";
        assert!(answer.contains(kind), "{answer}");
        assert!(answer.ends_with("# EOF\n"), "{answer}");
    }

    #[cfg(feature = "cli")]
    #[test]
    fn targets_are_json() {
        let answer = ask(b"GET /targets?hidden=1 HTTP/1.1\r\n\r\n");
        assert!(
            answer.contains("Content-Type: application/json\r\n"),
            "{answer}"
        );
        assert!(answer.ends_with("\r\n\r\n[]"), "{answer}");
    }

    #[test]
    fn healthz_says_ok_while_the_run_is_well() {
        let answer = ask(b"GET /healthz HTTP/1.1\r\n\r\n");
        assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
        let head = ask(b"HEAD /healthz HTTP/1.0\r\n\r\n");
        assert!(head.ends_with("\r\n\r\n"), "{head}");
    }

    #[test]
    fn an_answer_that_is_read_too_slowly_is_cut_off() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let reader = thread::spawn(move || {
            let mut buffer = vec![0; 256 << 10];
            while client.read(&mut buffer).is_ok_and(|length| length > 0) {
                thread::sleep(Duration::from_millis(20));
            }
        });
        let deadline = Instant::now() + Duration::from_millis(100);
        let error = write_until(deadline, &server, &vec![0; 64 << 20]).unwrap_err();
        let kinds = [io::ErrorKind::TimedOut, io::ErrorKind::WouldBlock];
        assert!(kinds.contains(&error.kind()), "{error}");
        drop(server);
        reader.join().unwrap();
    }

    #[test]
    fn other_requests_are_refused() {
        let answer = ask(b"GET /secret HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        let long = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &[b'a'; 9_000]].concat();
        for (request, status) in [
            (b"POST /metrics HTTP/1.1\r\n\r\n".as_slice(), "405"),
            (b"GET /metrics\r\n\r\n", "400"),
            (b"\x16\x03\x01\x02\x00\r\n\r\n", "400"),
            (&long, "431"),
        ] {
            assert!(parse(request).unwrap_err().starts_with(status));
        }
    }

    #[test]
    fn an_address_in_use_is_an_error_that_names_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = ScrapeEndpoint::bind(address, Arc::new(SelfTelemetry::new(&[])));
        assert_eq!(
            error.err().unwrap().to_string(),
            format!("cannot answer scrapes on `{address}`: address already in use")
        );
    }
}

//! Answers Prometheus' scrapes: `/metrics`, and `/healthz` for whoever restarts what hangs.
//!
//! One request a connection, each answered on one of a few threads: whoever is slow
//! holds up other scrapes at worst, and those for no longer than [`PATIENCE`].

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::prometheus_text;
use crate::telemetry::ConfigError;
use crate::telemetry::metrics::reader::MetricsReader;
use crate::telemetry::metrics::self_telemetry::SelfTelemetry;

/// Connections that are served at a time; others wait in the kernel's own bounded queue.
const MAX_CONNECTIONS: usize = 4;

/// How long a client may take to ask, and again to listen. Prometheus itself gives up after 10 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of a request; Prometheus' has some 300.
const MAX_REQUEST: usize = 8 << 10;

/// How long after a failure to accept the next try comes: descriptors may be short.
const BREATH: Duration = Duration::from_millis(100);

/// A place where scrapes will be answered.
pub(crate) struct ScrapeEndpoint {
    listener: TcpListener,
    reader: MetricsReader,
    self_telemetry: Arc<SelfTelemetry>,
}

impl ScrapeEndpoint {
    /// Takes the address; clients wait until [`ScrapeEndpoint::start`].
    pub(crate) fn bind(
        address: SocketAddr,
        reader: MetricsReader,
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
            reader,
            self_telemetry,
        })
    }

    /// Where it is; the port is the true one even if 0 was asked for.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What scrapes are answered from.
    pub(crate) const fn reader(&self) -> &MetricsReader {
        &self.reader
    }

    /// Answers from now on, on threads that end with the process.
    pub(crate) fn start(self) -> io::Result<()> {
        let scrapes = Arc::new(self);
        for _ in 0..MAX_CONNECTIONS {
            let scrapes = Arc::clone(&scrapes);
            thread::Builder::new()
                .name("prometheus".to_owned())
                .spawn(move || scrapes.serve())?;
        }
        Ok(())
    }

    fn serve(&self) {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    let _ = self.answer(&stream); // a client that went away is no news
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
                let body = prometheus_text::encode(&collection.metrics);
                respond(stream, "200 OK", &body, target.is_head)?;
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
            "/" => {
                let body = "tlscope\n/metrics\n/healthz\n";
                respond(stream, "200 OK", body, target.is_head)
            }
            _ => respond(stream, "404 Not Found", "", target.is_head),
        }
    }
}

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
struct Target<'a> {
    path: &'a str,
    is_head: bool,
}

/// The request up to the empty line, which must come in time.
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
        // The end may lie across two reads.
        let from = request.len().saturating_sub(3);
        request.extend_from_slice(buffer.get(..length).unwrap_or_default());
        let news = request.get(from..).unwrap_or_default();
        if news.windows(4).any(|bytes| bytes == b"\r\n\r\n") || request.len() > MAX_REQUEST {
            return Ok(request);
        }
    }
}

/// The target of a request; the error is the status to answer with.
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
    let path = target.split('?').next().unwrap_or_default();
    Ok(Target { path, is_head })
}

fn respond(stream: &TcpStream, status: &str, body: &str, is_head: bool) -> io::Result<()> {
    let body = if body.is_empty() {
        format!("{status}\n")
    } else {
        body.to_owned()
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let deadline = Instant::now() + PATIENCE;
    write_until(deadline, stream, head.as_bytes())?;
    if !is_head {
        write_until(deadline, stream, body.as_bytes())?;
    }
    Ok(())
}

/// Writes all of `bytes`, which a client that takes one after the other does not draw out.
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
    use opentelemetry_sdk::metrics::{SdkMeterProvider, Temporality};

    use super::*;

    /// What the server says to `request`.
    fn ask(request: &[u8]) -> String {
        let reader = MetricsReader::new(Temporality::Cumulative, 1);
        let provider = SdkMeterProvider::builder().with_reader(reader.clone());
        let provider = provider.build();
        let counter = provider.meter("test").u64_counter("c").build();
        counter.add(3, &[]);
        let self_telemetry = Arc::new(SelfTelemetry::new(&[]));
        let scrapes =
            ScrapeEndpoint::bind(([127, 0, 0, 1], 0).into(), reader, self_telemetry).unwrap();
        let address = scrapes.address().unwrap();
        scrapes.start().unwrap();
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
    fn who_asks_how_it_is_hears_that() {
        let answer = ask(b"GET /healthz HTTP/1.1\r\n\r\n");
        assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
        let head = ask(b"HEAD /healthz HTTP/1.0\r\n\r\n");
        assert!(head.ends_with("\r\n\r\n"), "{head}");
    }

    #[test]
    fn who_takes_an_answer_too_slowly_does_not_get_all_of_it() {
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
    fn what_is_no_request_for_us_is_refused() {
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
        let reader = MetricsReader::new(Temporality::Cumulative, 1);
        let error = ScrapeEndpoint::bind(address, reader, Arc::new(SelfTelemetry::new(&[])));
        assert_eq!(
            error.err().unwrap().to_string(),
            format!("cannot answer scrapes on `{address}`: address already in use")
        );
    }
}

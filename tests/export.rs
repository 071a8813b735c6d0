//! What `tlscope read` sends to a collector: metrics, log records and spans.

use std::collections::BTreeMap;
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Output;
use std::thread::{self, JoinHandle};

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use prost::Message;

use crate::support::http::Request;
use crate::support::program::{stderr, tlscope};

/// A collector that accepts requests until one is for `/end`.
struct Collector {
    port: u16,
    thread: JoinHandle<Vec<Request>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = thread::spawn(move || {
            let mut requests = Vec::new();
            let (sender, receiver) = std::sync::mpsc::channel();
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let sender = sender.clone();
                let mut reader = BufReader::new(stream);
                let Some(first) = Request::read(&mut reader) else {
                    continue;
                };
                if first.path == "/end" {
                    break;
                }
                sender.send(first).unwrap();
                // Clients may keep a connection for the next request.
                thread::spawn(move || {
                    while let Some(request) = Request::read(&mut reader) {
                        sender.send(request).unwrap();
                    }
                });
            }
            requests.extend(receiver.try_iter());
            requests
        });
        Self { port, thread }
    }

    fn end(self) -> Vec<Request> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .write_all(b"POST /end HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
        self.thread.join().unwrap()
    }
}

/// Reads `mtls-day`, which has sixteen handshakes, ten of them failures.
fn read(port: u16, flags: &[&str]) -> Output {
    let mut command = tlscope(&["read", "--format", "summary", "--otlp-endpoint"]);
    command.arg(format!("http://127.0.0.1:{port}")).args(flags);
    command.arg("fixtures/captures/day/mtls-day/capture.pcapng");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()? {
        AnyValue {
            value: Some(Value::StringValue(text)),
        } => Some(text.clone()),
        other => Some(format!("{other:?}")),
    }
}

/// 2026-11-21T00:00:00Z, the day of the capture.
const DAY: u64 = 1_795_219_200_000_000_000;
const DAYS_LENGTH: u64 = 86_400_000_000_000;

#[test]
fn a_header_that_is_none_is_not_printed() {
    let arguments = ["read", "x", "--otlp-header", "Authorization: Bearer s3cr3t"];
    let output = tlscope(&arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = stderr(&output);
    assert!(
        stderr.contains("`--otlp-header`: not a header as in `name=value`"),
        "{stderr}"
    );
    assert!(!stderr.contains("s3cr3t"), "{stderr}");
}

#[test]
fn each_signal_goes_to_its_path_with_packet_times() {
    let collector = Collector::start();
    let flags = [
        "--otlp-signals",
        "metrics,logs,traces",
        "--otlp-trace-ratio",
        "0",
        "--otlp-header",
        "authorization=Bearer x=y",
    ];
    let output = read(collector.port, &flags);
    assert_eq!(stderr(&output), "");
    let requests = collector.end();
    for request in &requests {
        assert_eq!(request.headers["authorization"], "Bearer x=y");
    }
    let of = |path: &str| {
        requests
            .iter()
            .find(|request| request.path == path)
            .unwrap()
    };

    let metrics = ExportMetricsServiceRequest::decode(&*of("/v1/metrics").body).unwrap();
    let resource = metrics.resource_metrics[0].resource.as_ref().unwrap();
    let service = text(&resource.attributes, "service.name");
    assert_eq!(service.as_deref(), Some("tlscope"));
    let mut families = metrics.resource_metrics[0].scope_metrics[0].metrics.iter();
    let total = families.find(|metric| metric.name == "tls.handshake.total");
    let Some(Data::Sum(sum)) = &total.unwrap().data else {
        panic!("not a sum");
    };
    let count: i64 = sum
        .data_points
        .iter()
        .map(|point| match point.value {
            Some(Number::AsInt(count)) => count,
            _ => panic!("not whole"),
        })
        .sum();
    assert_eq!(count, 16);

    let logs = ExportLogsServiceRequest::decode(&*of("/v1/logs").body).unwrap();
    let records = &logs.resource_logs[0].scope_logs[0].log_records;
    assert_eq!(records.len(), 10, "only failures by default");
    for record in records {
        assert!((DAY..DAY + DAYS_LENGTH).contains(&record.time_unix_nano));
        assert!(text(&record.attributes, "error.type").is_some());
        assert_eq!(record.event_name, "tls.handshake");
        assert_eq!(record.trace_id.len(), 16);
    }

    let traces = ExportTraceServiceRequest::decode(&*of("/v1/traces").body).unwrap();
    let spans = &traces.resource_spans[0].scope_spans[0].spans;
    let parents: Vec<_> = spans
        .iter()
        .filter(|s| s.parent_span_id.is_empty())
        .collect();
    assert_eq!(parents.len(), 10, "failures are kept at any ratio");
    for (parent, record) in parents.iter().zip(records) {
        assert_eq!(parent.span_id, record.span_id);
        assert!((DAY..DAY + DAYS_LENGTH).contains(&parent.start_time_unix_nano));
        assert!(parent.end_time_unix_nano >= parent.start_time_unix_nano);
    }
    assert!(spans.len() > parents.len(), "phases are children");
}

#[test]
fn requests_are_compressed_on_request() {
    let collector = Collector::start();
    read(collector.port, &["--otlp-compression", "gzip"]);
    let requests = collector.end();
    assert_eq!(requests[0].headers["content-encoding"], "gzip");
    assert_eq!(requests[0].body[..2], [0x1f, 0x8b]);
}

/// The value of each series of `tlscope_export_…` in the metrics of a run of `mtls-day` that exports all signals to a port.
fn counted_exports(port: u16, signals: &str) -> BTreeMap<String, u64> {
    let flags = ["--metrics", "stdout", "--otlp-signals", signals];
    let output = read(port, &flags);
    let text = String::from_utf8(output.stdout).unwrap();
    let series = text.lines().filter_map(|line| {
        let (name, value) = line.strip_prefix("tlscope_export_")?.split_once(' ')?;
        Some((name.to_owned(), value.parse().unwrap()))
    });
    series.filter(|(_, value)| *value > 0).collect()
}

#[test]
fn exports_to_a_collector_that_is_away_are_counted() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let counted = counted_exports(port, "logs,traces");
    assert_eq!(counted[r#"failures_total{signal="logs"}"#], 1);
    assert_eq!(counted[r#"failures_total{signal="traces"}"#], 1);
    assert_eq!(counted[r#"discarded_total{signal="logs"}"#], 10);
    assert_eq!(counted[r#"discarded_total{signal="traces"}"#], 16);
}

#[test]
fn what_a_collector_rejects_or_refuses_for_now_is_counted() {
    let answer = |head: &str, body: Vec<u8>| {
        let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len());
        [head.into_bytes(), body].concat()
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let answer = move |path: &str| match path {
                "/v1/logs" => {
                    let rejected_log_records = 3;
                    let error_message = "too old".to_owned();
                    let partial_success = Some(ExportLogsPartialSuccess {
                        rejected_log_records,
                        error_message,
                    });
                    let body = ExportLogsServiceResponse { partial_success };
                    let head = "200 OK\r\ncontent-type: application/x-protobuf";
                    answer(head, body.encode_to_vec())
                }
                _ => answer("503 Busy\r\nretry-after: 1", Vec::new()),
            };
            thread::spawn(move || while Request::read_and_answer(&mut reader, answer).is_some() {});
        }
    });
    let counted = counted_exports(port, "logs,traces");
    assert_eq!(counted[r#"rejected_total{signal="logs"}"#], 3);
    assert!(counted[r#"throttled_total{signal="traces"}"#] >= 1);
    assert!(!counted.contains_key(r#"failures_total{signal="logs"}"#));
}

#[test]
fn attributes_are_added_on_request_and_limited() {
    let collector = Collector::start();
    let flags = [
        "--metric-attributes",
        "server.address,tls.client.subject",
        "--metric-values",
        "4",
    ];
    read(collector.port, &flags);
    let requests = collector.end();
    let metrics = ExportMetricsServiceRequest::decode(&*requests[0].body).unwrap();
    let mut families = metrics.resource_metrics[0].scope_metrics[0].metrics.iter();
    let total = families.find(|metric| metric.name == "tls.handshake.total");
    let Some(Data::Sum(sum)) = &total.unwrap().data else {
        panic!("not a sum");
    };
    let servers: std::collections::BTreeSet<_> = sum
        .data_points
        .iter()
        .filter_map(|point| text(&point.attributes, "server.address"))
        .collect();
    assert!(servers.contains("api.example.org"), "{servers:?}");
    assert!(servers.contains("other"), "{servers:?}");
    assert!(servers.len() <= 5, "{servers:?}");
}

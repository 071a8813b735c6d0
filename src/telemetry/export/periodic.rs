//! Metrics to a collector, again and again, on a thread of its own.
//!
//! # What does a collector that is not there cost?
//!
//! Nothing on the packet path: recording never waits for an export. Of totals
//! nothing is kept for later either, since the next export has them. Of
//! differences the one collection that did not arrive is kept, and nothing more is
//! collected until it has: so the instruments go on adding up, and both memory and
//! the sums are what they would be otherwise.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::metrics::Temporality;

use super::delivery::{Closing, Delivery};
use super::otlp::OtlpTransport;
use crate::telemetry::metrics::reader::{Collection, MetricsReader};
use crate::telemetry::{ExportError, Signal};

/// A last export that fails is tried again once, this much later: collectors restart, too.
const SECOND_CHANCE: Duration = Duration::from_millis(500);

/// The thread that exports.
pub(crate) struct Periodic {
    stop: Sender<()>,
    done: Receiver<Result<(), ExportError>>,
    url: String,
}

impl Periodic {
    /// Exports at once, so that the collector knows all series at zero, and then every `interval`.
    pub(crate) fn start(
        reader: MetricsReader,
        transport: OtlpTransport<MetricExporter>,
        delivery: Delivery,
        interval: Duration,
    ) -> io::Result<Self> {
        let (stop, stopped) = bounded(1);
        let (report, done) = bounded(1);
        let url = transport.destination().shown_url();
        let mut exports = Exports {
            reader,
            transport: Arc::new(transport),
            delivery,
            pending: None,
        };
        thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || {
                exports.run(interval, &stopped);
                let _ = report.send(exports.last()); // nobody waits any more
            })?;
        Ok(Self { stop, done, url })
    }

    /// Has it export once more, and end.
    pub(crate) fn close(self) -> Closing {
        let _ = self.stop.send(());
        Closing {
            signal: Signal::Metrics,
            url: self.url,
            done: self.done,
        }
    }
}

struct Exports {
    reader: MetricsReader,
    transport: Arc<OtlpTransport<MetricExporter>>,
    delivery: Delivery,
    /// Differences that have not arrived.
    pending: Option<Collection>,
}

impl Exports {
    fn run(&mut self, interval: Duration, stopped: &Receiver<()>) {
        let mut next = Instant::now();
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_deadline(next) {
            let begun = Instant::now();
            let wait = match self.export() {
                Ok(()) => interval,
                Err(error) => self.delivery.failed(&error).min(interval),
            };
            // From the beginning of this export, so that slow answers do not stretch the interval.
            next = (begun + wait).max(Instant::now());
        }
    }

    /// Everything up to now.
    fn export(&mut self) -> Result<(), ExportError> {
        if let Some(pending) = self.pending.take() {
            self.send(pending)?;
        }
        let collection = self.reader.read();
        self.send(collection)
    }

    fn send(&mut self, collection: Collection) -> Result<(), ExportError> {
        match self.transport.export(&collection.metrics) {
            Ok(()) => {
                self.reader.delivered(&collection);
                self.delivery.succeeded();
                Ok(())
            }
            Err(error) => {
                if self.transport.temporality() != Temporality::Cumulative {
                    self.pending = Some(collection);
                }
                Err(error)
            }
        }
    }

    fn last(&mut self) -> Result<(), ExportError> {
        let was_failing = self.delivery.is_failing();
        let error = match self.export() {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if was_failing {
            return Err(error);
        }
        thread::sleep(SECOND_CHANCE);
        self.export()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write};
    use std::net::TcpListener;

    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
    use opentelemetry_sdk::metrics::SdkMeterProvider;
    use prost::Message;

    use super::*;
    use crate::telemetry::MetricTemporality;
    use crate::telemetry::metrics::self_telemetry::SelfTelemetry;
    use crate::telemetry::testing::{destination, read_request};

    /// Takes one request, and gives the value of its only counter; `None` for a request without body.
    fn take_until_end(listener: &TcpListener) -> Option<Option<i64>> {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let (_, body) = read_request(&mut reader);
        let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        reader.get_mut().write_all(answer).unwrap();
        (!body.is_empty()).then(|| value(&body))
    }

    fn value(body: &[u8]) -> Option<i64> {
        let request = ExportMetricsServiceRequest::decode(body).unwrap();
        let metrics = request.resource_metrics.first()?.scope_metrics.first()?;
        let Some(Data::Sum(sum)) = &metrics.metrics.first()?.data else {
            return None;
        };
        match sum.data_points.first()?.value {
            Some(Value::AsInt(value)) => Some(value),
            _ => None,
        }
    }

    /// What a collector that was away gets to know: five before, two meanwhile, one after.
    fn outage(temporality: MetricTemporality) -> Vec<i64> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut to = destination(&format!("http://{address}/v1/metrics"));
        to.temporality = Some(temporality);
        let transport = OtlpTransport::for_metrics(to.clone()).unwrap();
        let reader = MetricsReader::new(transport.temporality(), 1);
        let provider = SdkMeterProvider::builder().with_reader(reader.clone());
        let provider = provider.build();
        let counter = provider.meter("test").u64_counter("c").build();
        let self_telemetry = Arc::new(SelfTelemetry::new(&[Signal::Metrics]));
        let delivery = Delivery::new(&to, Arc::clone(&self_telemetry), Arc::new(|_| {})).hurried();

        counter.add(5, &[]);
        let interval = Duration::from_millis(2);
        let periodic = Periodic::start(reader, transport, delivery, interval).unwrap();
        let mut told: Vec<_> = take_until_end(&listener).flatten().into_iter().collect();
        drop(listener);
        while self_telemetry.failures(Signal::Metrics) == 0 {
            thread::yield_now();
        }
        counter.add(2, &[]);
        let failures = self_telemetry.failures(Signal::Metrics);
        while self_telemetry.failures(Signal::Metrics) < failures + 2 {
            thread::yield_now();
        }
        let listener = TcpListener::bind(address).unwrap();
        counter.add(1, &[]);
        // Requests arrive until the run has ended; then one without a body ends the server.
        let server = thread::spawn(move || {
            let mut later = Vec::new();
            while let Some(value) = take_until_end(&listener) {
                later.extend(value);
            }
            later
        });
        let closing = periodic.close();
        closing
            .wait(Instant::now(), Duration::from_secs(60))
            .unwrap();
        let mut end = std::net::TcpStream::connect(address).unwrap();
        end.write_all(b"GET / HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
        told.extend(server.join().unwrap());
        told
    }

    #[test]
    fn totals_are_right_when_a_collector_comes_back() {
        assert_eq!(outage(MetricTemporality::Cumulative).last(), Some(&8));
    }

    #[test]
    fn no_difference_is_lost_while_a_collector_is_away() {
        let sum: i64 = outage(MetricTemporality::Delta).iter().sum();
        assert_eq!(sum, 8);
    }
}

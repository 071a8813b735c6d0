//! Metrics to a collector: at an interval in a live run, once at the end of a replay.
//!
//! # What does an absent collector cost?
//!
//! Nothing on the packet path: recording never waits for an export. With cumulative
//! temporality nothing is queued either, since the next export has the same totals. With
//! delta temporality the one collection that did not arrive is retained, and nothing is
//! collected until it has been sent. Meanwhile the instruments keep adding up, so memory
//! and sums are the same as without the outage.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::metrics::Temporality;

use super::delivery::{DeliveryMonitor, LONGEST_WAIT_AT_END};
use super::otlp::OtlpTransport;
use super::{Closing, Export, ExportContext, ExportPace, PreparedExport};
use crate::telemetry::metrics::reader::{Collection, MetricsReader};
use crate::telemetry::settings::Destination;
use crate::telemetry::{ConfigError, ExportError, Signal};

/// A last export that fails is retried once, this much later: collectors restart, too.
const LAST_RETRY: Duration = Duration::from_millis(500);

/// The export of metrics, not started yet.
pub(crate) struct PreparedMetrics {
    reader: MetricsReader,
    transport: OtlpTransport<MetricExporter>,
    delivery: DeliveryMonitor,
    pace: ExportPace,
}

impl PreparedMetrics {
    /// Prepares to send metrics; nothing is sent yet.
    pub(crate) fn new(
        destination: Destination,
        context: &ExportContext,
    ) -> Result<Self, ConfigError> {
        let transport = OtlpTransport::for_metrics(destination)?;
        Ok(Self {
            reader: MetricsReader::new(transport.temporality(), 1),
            delivery: context.delivery(transport.destination()),
            transport,
            pace: context.pace,
        })
    }
}

impl PreparedExport for PreparedMetrics {
    fn reader(&self) -> Option<&MetricsReader> {
        Some(&self.reader)
    }

    fn start(self: Box<Self>) -> io::Result<Box<dyn Export>> {
        let Self {
            reader,
            transport,
            delivery,
            pace,
        } = *self;
        Ok(match pace {
            ExportPace::AtEnd => Box::new(LastExport {
                reader,
                transport,
                delivery,
            }),
            ExportPace::Every(interval) => Box::new(PeriodicExport::start(
                reader, transport, delivery, interval,
            )?),
        })
    }
}

/// One export at the end of the run.
struct LastExport {
    reader: MetricsReader,
    transport: OtlpTransport<MetricExporter>,
    delivery: DeliveryMonitor,
}

impl Export for LastExport {
    /// Deferred: the metrics also say which of the other exports failed.
    fn close(self: Box<Self>) -> Closing {
        Closing::Deferred(Box::new(move || {
            let Self {
                reader,
                transport,
                mut delivery,
            } = *self;
            let metrics = reader.read().metrics;
            let mut result = transport.export(&metrics);
            let asked = result.as_ref().err().and_then(|error| error.retry_after);
            if let Some(asked) = asked.filter(|asked| *asked <= LONGEST_WAIT_AT_END) {
                thread::sleep(asked);
                result = transport.export(&metrics);
            }
            delivery.succeeded(&result?);
            Ok(())
        }))
    }
}

/// A thread that exports at an interval.
struct PeriodicExport {
    stop: Sender<()>,
    result: Receiver<Result<(), ExportError>>,
    url: String,
}

impl PeriodicExport {
    /// Exports at once, so that the collector knows all series at zero, and then every `interval`.
    fn start(
        reader: MetricsReader,
        transport: OtlpTransport<MetricExporter>,
        delivery: DeliveryMonitor,
        interval: Duration,
    ) -> io::Result<Self> {
        let (stop, stopped) = bounded(1);
        let (report, result) = bounded(1);
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
                let _ = report.send(exports.last()); // the run may have ended
            })?;
        Ok(Self { stop, result, url })
    }
}

impl Export for PeriodicExport {
    fn close(self: Box<Self>) -> Closing {
        let _ = self.stop.send(());
        Closing::Thread {
            signal: Signal::Metrics,
            url: self.url,
            result: self.result,
        }
    }
}

/// The state of the thread.
struct Exports {
    reader: MetricsReader,
    transport: Arc<OtlpTransport<MetricExporter>>,
    delivery: DeliveryMonitor,
    /// Deltas that have not reached the collector.
    pending: Option<Collection>,
}

impl Exports {
    fn run(&mut self, interval: Duration, stopped: &Receiver<()>) {
        let mut next = Instant::now();
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_deadline(next) {
            let begun = Instant::now();
            let wait = match self.export() {
                Ok(()) => interval,
                Err(error) => {
                    let pause = self.delivery.failed(&error);
                    let may_hurry = error.retry_after.is_none() && !error.is_unauthorized;
                    if may_hurry {
                        pause.min(interval)
                    } else {
                        pause
                    }
                }
            };
            // From the start of this export, so that slow answers do not stretch the interval.
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
            Ok(delivered) => {
                self.reader.delivered(&collection);
                self.delivery.succeeded(&delivered);
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
        thread::sleep(LAST_RETRY);
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

    /// Takes one request; the value of its only counter, or `None` for a request without a body.
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

    /// The values that a collector receives that is away for a while: five before, two meanwhile, one after.
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
        let delivery =
            DeliveryMonitor::new(&to, Arc::clone(&self_telemetry), Arc::new(|_| {})).hurried();

        counter.add(5, &[]);
        let interval = Duration::from_millis(2);
        let periodic = PeriodicExport::start(reader, transport, delivery, interval).unwrap();
        let mut received: Vec<_> = take_until_end(&listener).flatten().into_iter().collect();
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
        // Requests arrive until the run has ended; one without a body then ends the server.
        let server = thread::spawn(move || {
            let mut later = Vec::new();
            while let Some(value) = take_until_end(&listener) {
                later.extend(value);
            }
            later
        });
        let closing = Box::new(periodic).close();
        closing
            .wait(Instant::now(), Duration::from_secs(60))
            .unwrap();
        let mut end = std::net::TcpStream::connect(address).unwrap();
        end.write_all(b"GET / HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
        received.extend(server.join().unwrap());
        received
    }

    #[test]
    fn totals_are_right_once_the_collector_is_back() {
        assert_eq!(outage(MetricTemporality::Cumulative).last(), Some(&8));
    }

    #[test]
    fn no_delta_is_lost_while_the_collector_is_away() {
        let sum: i64 = outage(MetricTemporality::Delta).iter().sum();
        assert_eq!(sum, 8);
    }
}

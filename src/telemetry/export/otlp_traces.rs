//! Spans to a collector, in batches.

use std::io;
use std::sync::Arc;

use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::SpanData;

use super::delivery::DeliveryMonitor;
use super::otlp::{Delivered, OtlpTransport};
use super::outbox::{BatchSender, Outbox};
use super::{Closing, Export, ExportContext, PreparedExport};
use crate::event::Handshake;
use crate::sink::Needs;
use crate::telemetry::metrics::self_telemetry::SelfTelemetry;
use crate::telemetry::records::spans::{Spans, TraceIds};
use crate::telemetry::settings::Destination;
use crate::telemetry::{ConfigError, ExportError, Signal};

/// The export of spans, not started yet.
pub(crate) struct PreparedTraces {
    spans: Spans,
    sender: SpanSender,
    delivery: DeliveryMonitor,
    self_telemetry: Arc<SelfTelemetry>,
    waits_for_collector: bool,
}

impl PreparedTraces {
    /// Prepares to send spans; nothing is sent yet.
    pub(crate) fn new(
        destination: Destination,
        context: &ExportContext,
    ) -> Result<Self, ConfigError> {
        let transport = OtlpTransport::for_traces(destination, &context.resource)?;
        Ok(Self {
            spans: Spans::new(context.scope.clone()),
            delivery: context.delivery(transport.destination()),
            sender: SpanSender(transport),
            self_telemetry: Arc::clone(&context.self_telemetry),
            waits_for_collector: context.pace.waits_for_collector(),
        })
    }
}

impl PreparedExport for PreparedTraces {
    fn start(self: Box<Self>) -> io::Result<Box<dyn Export>> {
        let outbox = Outbox::start(
            Signal::Traces,
            self.sender,
            self.delivery,
            self.self_telemetry,
            self.waits_for_collector,
        )?;
        Ok(Box::new(Traces {
            spans: self.spans,
            outbox,
        }))
    }
}

struct Traces {
    spans: Spans,
    /// All spans of a handshake are one item: they are sent together or not at all.
    outbox: Outbox<Vec<SpanData>>,
}

impl Export for Traces {
    fn needs(&self) -> Needs {
        Needs::ALL
    }

    fn offer(&self, event: &Handshake, trace: Option<&TraceIds>) {
        if let Some(trace) = trace {
            self.outbox.push(self.spans.of(event, trace));
        }
    }

    fn close(self: Box<Self>) -> Closing {
        self.outbox.close()
    }
}

struct SpanSender(OtlpTransport<SpanExporter>);

impl BatchSender<Vec<SpanData>> for SpanSender {
    fn send(&self, batch: &[Vec<SpanData>]) -> Result<Delivered, ExportError> {
        self.0.export(batch.concat())
    }
}

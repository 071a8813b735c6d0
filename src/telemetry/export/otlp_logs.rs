//! Log records to a collector, in batches.

use std::io;
use std::sync::Arc;

use opentelemetry::InstrumentationScope;
use opentelemetry_otlp::LogExporter;
use opentelemetry_sdk::logs::{LogBatch, SdkLogRecord};

use super::delivery::DeliveryMonitor;
use super::otlp::{Delivered, OtlpTransport};
use super::outbox::{BatchSender, Outbox};
use super::{Closing, Export, ExportContext, PreparedExport};
use crate::event::Handshake;
use crate::sink::Needs;
use crate::telemetry::metrics::self_telemetry::SelfTelemetry;
use crate::telemetry::records::logs::LogRecords;
use crate::telemetry::records::spans::TraceIds;
use crate::telemetry::settings::Destination;
use crate::telemetry::{ConfigError, ExportError, LoggedHandshakes, Signal};

/// The export of log records, not started yet.
pub(crate) struct PreparedLogs {
    records: LogRecords,
    sender: LogSender,
    delivery: DeliveryMonitor,
    self_telemetry: Arc<SelfTelemetry>,
    waits_for_collector: bool,
}

impl PreparedLogs {
    /// Prepares to send records of `which` handshakes; nothing is sent yet.
    pub(crate) fn new(
        destination: Destination,
        which: LoggedHandshakes,
        context: &ExportContext,
    ) -> Result<Self, ConfigError> {
        let transport = OtlpTransport::for_logs(destination, &context.resource)?;
        let scope = context.scope.clone();
        Ok(Self {
            records: LogRecords::new(which, scope.clone()),
            delivery: context.delivery(transport.destination()),
            sender: LogSender { transport, scope },
            self_telemetry: Arc::clone(&context.self_telemetry),
            waits_for_collector: context.pace.waits_for_collector(),
        })
    }
}

impl PreparedExport for PreparedLogs {
    fn start(self: Box<Self>) -> io::Result<Box<dyn Export>> {
        let outbox = Outbox::start(
            Signal::Logs,
            self.sender,
            self.delivery,
            self.self_telemetry,
            self.waits_for_collector,
        )?;
        Ok(Box::new(Logs {
            records: self.records,
            outbox,
        }))
    }
}

struct Logs {
    records: LogRecords,
    outbox: Outbox<SdkLogRecord>,
}

impl Export for Logs {
    fn needs(&self) -> Needs {
        Needs::ALL
    }

    fn offer(&self, event: &Handshake, trace: Option<&TraceIds>) {
        if let Some(record) = self.records.of(event, trace) {
            self.outbox.push(record);
        }
    }

    fn close(self: Box<Self>) -> Closing {
        self.outbox.close()
    }
}

struct LogSender {
    transport: OtlpTransport<LogExporter>,
    scope: InstrumentationScope,
}

impl BatchSender<SdkLogRecord> for LogSender {
    fn send(&self, batch: &[SdkLogRecord]) -> Result<Delivered, ExportError> {
        let batch: Vec<_> = batch.iter().map(|record| (record, &self.scope)).collect();
        self.transport.export(LogBatch::new(&batch))
    }
}

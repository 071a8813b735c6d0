//! Collects metrics on demand, from outside the SDK.

use std::sync::{Arc, Weak};
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, Temporality};

use super::bound_series::Listener;

/// A reader with shared ownership: the SDK takes one handle, the export keeps another.
#[derive(Clone, Debug)]
pub(crate) struct MetricsReader {
    reader: Arc<ManualReader>,
    listener: Arc<Listener>,
}

/// The metrics at one moment.
pub(crate) struct Collection {
    pub(crate) metrics: ResourceMetrics,
    number: u64,
}

impl MetricsReader {
    /// `regular_from` is the number of delivered collections that make it a regular listener.
    pub(crate) fn new(temporality: Temporality, regular_from: u64) -> Self {
        let reader = ManualReader::builder().with_temporality(temporality);
        Self {
            reader: Arc::new(reader.build()),
            listener: Arc::new(Listener::new(regular_from)),
        }
    }

    /// Collects everything measured so far or, with delta temporality, since the last time.
    pub(crate) fn read(&self) -> Collection {
        let number = self.listener.begin();
        let mut metrics = ResourceMetrics::default();
        // Fails only before registration or after a shutdown, and neither happens here.
        let _ = self.reader.collect(&mut metrics);
        Collection { metrics, number }
    }

    /// Notes that a collection was delivered.
    pub(crate) fn delivered(&self, collection: &Collection) {
        self.listener.delivered(collection.number);
    }

    /// The listener behind this reader.
    pub(crate) fn listener(&self) -> Arc<Listener> {
        Arc::clone(&self.listener)
    }
}

impl MetricReader for MetricsReader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.reader.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.reader.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.reader.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.reader.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.reader.temporality(kind)
    }
}

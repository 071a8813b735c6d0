//! What is measured: the instruments, and the series in which they count.

use std::sync::Arc;

use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;

use self::bindings::Listeners;
use self::instruments::Instruments;
use self::reader::MetricsReader;
use self::self_telemetry::SelfTelemetry;
use super::MetricsConfig;
use super::export::ExportContext;
use super::watch::CertificateFiles;
use crate::event::Handshake;
use crate::stats::{Health, Stats};
use crate::time::Timestamp;

pub(crate) mod bindings;
pub(crate) mod certificate_table;
mod extra_attributes;
pub(crate) mod heavy_hitters;
mod instruments;
pub(crate) mod reader;
pub(crate) mod self_telemetry;
mod series;

/// Records a run in its instruments, which `readers` read from any thread.
pub(crate) struct Recorder {
    instruments: Instruments,
    self_telemetry: Arc<SelfTelemetry>,
    _provider: SdkMeterProvider, // instruments record nothing once it is dropped
}

impl Recorder {
    pub(crate) fn new(
        config: &MetricsConfig,
        context: &ExportContext,
        files: &Arc<CertificateFiles>,
        readers: &[&MetricsReader],
    ) -> Self {
        let mut provider = SdkMeterProvider::builder()
            .with_resource(context.resource.clone())
            .with_view(instruments::view(config.histograms));
        for reader in readers {
            provider = provider.with_reader((*reader).clone());
        }
        let provider = provider.build();
        let meter = provider.meter_with_scope(context.scope.clone());
        self_telemetry::register(&meter, &context.self_telemetry);
        let listeners = readers.iter().map(|reader| reader.listener());
        let listeners = Listeners::new(listeners.collect());
        Self {
            instruments: Instruments::new(&meter, config, files, &listeners),
            self_telemetry: Arc::clone(&context.self_telemetry),
            _provider: provider,
        }
    }

    pub(crate) fn record(&mut self, event: &Handshake) {
        self.instruments.record(event);
    }

    /// Notes that a live run is at `now`, and how it is doing.
    pub(crate) fn tick(&mut self, now: Timestamp, health: &Health) {
        self.self_telemetry.set(health.clone());
        self.instruments.tick(now);
    }

    /// Notes the final counters, before the last export.
    pub(crate) fn finish(&mut self, stats: &Stats) {
        self.self_telemetry.finish(stats);
        self.instruments.finish();
    }
}

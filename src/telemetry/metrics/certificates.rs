//! `tls.certificate.*`: when the certificates that are served now expire, and those watched.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry::metrics::Meter;

use super::certificate_table::{self, CertificateObservation, CertificateTable, Validity};
use super::{HandshakeInstrument, Setup};
use crate::event::Handshake;
use crate::telemetry::watch;
use crate::time::Timestamp;

const DAYS_UNTIL_EXPIRY: &str = "tls.certificate.days_until_expiry";
const NOT_AFTER: &str = "tls.certificate.not_after";
const NOT_BEFORE: &str = "tls.certificate.not_before";
const VARIANTS: &str = "tls.certificate.variants";

/// Every gauge with a series for each place.
pub(super) const GAUGES: [&str; 4] = [DAYS_UNTIL_EXPIRY, NOT_AFTER, NOT_BEFORE, VARIANTS];

/// Most series of each gauge.
pub(super) const MAX_SERIES: usize = certificate_table::MAX_CERTIFICATES + watch::MAX_CERTIFICATES;

/// A gauge of a moment: its name, its description, and how it is read.
type Time = (&'static str, &'static str, fn(&Validity) -> i64);

/// When certificates expire.
pub(super) struct Certificates(Arc<Mutex<CertificateTable>>);

impl Certificates {
    pub(super) fn new(meter: &Meter, setup: &Setup<'_>) -> Self {
        let live = setup.config.live.as_ref();
        let memory = live.and_then(|live| live.certificate_memory);
        let most = setup
            .config
            .within_memory(certificate_table::MAX_CERTIFICATES);
        let by_serial = setup.config.has_serial_numbers();
        let table = CertificateTable::new(most, memory, by_serial);
        let table = Arc::new(Mutex::new(table));
        let shown = {
            let table = Arc::clone(&table);
            move || lock(&table).observe()
        };
        let observe = {
            let (shown, files) = (shown.clone(), Arc::clone(setup.files));
            // Both locks are released before the SDK takes the values: recording never waits for an export.
            move || -> Vec<CertificateObservation> {
                let mut observations = shown();
                observations.extend(files.observe());
                observations
            }
        };
        let observe_days = observe.clone();
        meter
            .f64_observable_gauge(DAYS_UNTIL_EXPIRY)
            .with_unit("{day}")
            .with_description(
                "Days until the certificate that is served now expires; negative if it has expired.",
            )
            .with_callback(move |gauge| {
                for place in observe_days() {
                    gauge.observe(place.days_until_expiry, &place.attributes);
                }
            })
            .build();
        let times: [Time; 2] = [
            (
                NOT_AFTER,
                "Unix time at which the certificate that is served now expires.",
                |validity| validity.not_after.0,
            ),
            (
                NOT_BEFORE,
                "Unix time from which the certificate that is served now is valid.",
                |validity| validity.not_before.0,
            ),
        ];
        for (name, description, time) in times {
            let observe = observe.clone();
            meter
                .i64_observable_gauge(name)
                .with_unit("s")
                .with_description(description)
                .with_callback(move |gauge| {
                    for place in observe() {
                        gauge.observe(time(&place.validity), &place.attributes);
                    }
                })
                .build();
        }
        meter
            .u64_observable_gauge(VARIANTS)
            .with_unit("{certificate}")
            .with_description(
                "Certificates that are served now for one identity: 2 or more during a rotation, or if a backend did not reload.",
            )
            .with_callback(move |gauge| {
                let mut places = shown();
                places.sort_by_key(|place| place.variants); // of two with the same attributes the last counts
                for place in places {
                    gauge.observe(place.variants, &place.attributes);
                }
            })
            .build();
        let evicted = Arc::clone(&table);
        meter
            .u64_observable_counter("tlscope.certificates.evicted")
            .with_unit("{certificate}")
            .with_description("Certificates dropped from the metrics because there were too many.")
            .with_callback(move |counter| counter.observe(lock(&evicted).evicted(), &[]))
            .build();
        Self(table)
    }
}

impl HandshakeInstrument for Certificates {
    fn record(&mut self, event: &Handshake) {
        lock(&self.0).record(event);
    }

    fn tick(&mut self, now: Timestamp) {
        lock(&self.0).tick(now);
    }
}

/// A panic elsewhere leaves the table whole: each change is one insertion.
fn lock(table: &Mutex<CertificateTable>) -> MutexGuard<'_, CertificateTable> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

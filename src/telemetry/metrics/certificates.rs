//! `tls.certificate.days_until_expiry` and `tls.certificate.not_after`, for the certificates
//! shown and those watched.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry::metrics::Meter;

use super::certificate_table::{self, CertificateObservation, CertificateTable};
use super::{HandshakeInstrument, Setup};
use crate::event::Handshake;
use crate::telemetry::watch;
use crate::time::Timestamp;

pub(super) const DAYS_UNTIL_EXPIRY: &str = "tls.certificate.days_until_expiry";
pub(super) const NOT_AFTER: &str = "tls.certificate.not_after";

/// Most series of each gauge.
pub(super) const MAX_SERIES: usize = certificate_table::MAX_CERTIFICATES + watch::MAX_CERTIFICATES;

/// When certificates expire.
pub(super) struct Certificates(Arc<Mutex<CertificateTable>>);

impl Certificates {
    pub(super) fn new(meter: &Meter, setup: &Setup<'_>) -> Self {
        let live = setup.config.live.as_ref();
        let memory = live.and_then(|live| live.certificate_memory);
        let table = CertificateTable::new(certificate_table::MAX_CERTIFICATES, memory);
        let table = Arc::new(Mutex::new(table));
        let observe = {
            let (table, files) = (Arc::clone(&table), Arc::clone(setup.files));
            // Both locks are released before the SDK takes the values: recording never waits for an export.
            move || -> Vec<CertificateObservation> {
                let mut observations = lock(&table).observe();
                observations.extend(files.observe());
                observations
            }
        };
        let observe_days = observe.clone();
        meter
            .f64_observable_gauge(DAYS_UNTIL_EXPIRY)
            .with_description(
                "Days until a presented certificate expires; negative if it has expired.",
            )
            .with_callback(move |gauge| {
                for certificate in observe_days() {
                    gauge.observe(certificate.days_until_expiry, &certificate.attributes);
                }
            })
            .build();
        meter
            .i64_observable_gauge(NOT_AFTER)
            .with_unit("s")
            .with_description("Unix time at which a presented certificate expires.")
            .with_callback(move |gauge| {
                for certificate in observe() {
                    gauge.observe(certificate.not_after.0, &certificate.attributes);
                }
            })
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

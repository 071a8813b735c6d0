//! Exemplars: for each sample, the trace of the last handshake that it counts.
//!
//! The SDK records none, so they are kept next to its series, under the name and the labels of the sample as text.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use opentelemetry::KeyValue;

use crate::telemetry::export::prometheus_text;
use crate::telemetry::records::spans::TraceIds;
use crate::time::Timestamp;

/// The exemplars of a run, shared by the instruments and the endpoint that answers in the OpenMetrics format.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exemplars(Arc<Mutex<HashMap<String, Exemplar, RandomState>>>);

/// A handshake that a sample counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exemplar {
    pub(crate) trace: TraceIds,
    /// What it adds to the sample's metric: 1, or a duration.
    pub(crate) value: f64,
    pub(crate) time: Timestamp,
}

impl Exemplars {
    /// Sets the exemplar of a counter's series. `name` is the sample's. There are as many as there are series, which are bounded.
    pub(super) fn set(&self, name: &str, attributes: &[KeyValue], exemplar: Exemplar) {
        let labels = prometheus_text::labels(attributes.iter());
        self.lock().insert(format!("{name}{{{labels}}}"), exemplar);
    }

    /// Sets the exemplar of the bucket of a histogram that holds its value.
    pub(super) fn set_bucket(
        &self,
        name: &str,
        attributes: &[KeyValue],
        bounds: &[f64],
        exemplar: Exemplar,
    ) {
        let labels = prometheus_text::labels(attributes.iter());
        let bound = bounds.iter().find(|bound| exemplar.value <= **bound);
        let bound = bound.map_or_else(|| "+Inf".to_owned(), f64::to_string);
        let sample = format!("{name}_bucket{{{labels},le=\"{bound}\"}}");
        self.lock().insert(sample, exemplar);
    }

    /// The exemplar of a sample, given as its name with its labels.
    pub(crate) fn of(&self, sample: &str) -> Option<Exemplar> {
        self.lock().get(sample).copied()
    }

    /// A panic elsewhere leaves the map whole: each change is one insertion.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Exemplar, RandomState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

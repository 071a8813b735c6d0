//! Series that are bound when first used: the SDK's lookup of a series by its
//! attributes is slower by an order of magnitude.
//!
//! # Why does a counter start at zero and wait?
//!
//! `rate()` sees the increase from one value to the next. A series that first
//! appears with the value 1 has had no increase, so the first failure of its
//! kind (often the one that matters) would raise no alert. So a new series is exported
//! at zero once, to everyone who reads the metrics regularly, and its counts follow
//! with the next export. If nobody reads regularly, nothing waits: an occasional reader
//! gets the counts as they are.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Histogram};

use crate::telemetry::MetricNames;

/// A small key that stands for a set of attributes. It holds only what may be a label:
/// enumerations and registered names.
pub(crate) trait Series {
    fn attributes(&self) -> Vec<KeyValue>;
}

/// A series with attributes that have many values. Once an instrument has as many series as it may, it gets new ones without these.
pub(crate) trait Detailed: Series {
    /// The series that stands for this one, with `other` for what has many values.
    fn without_detail(self) -> Self;
}

/// `series`, or the one that stands for it if it is new and `bound` has as many as may have details.
fn fitting<S: Detailed + Eq + Hash, B>(
    bound: &HashMap<S, B, RandomState>,
    max_detailed: usize,
    series: S,
) -> S {
    match bound.len() >= max_detailed && !bound.contains_key(&series) {
        true => series.without_detail(),
        false => series,
    }
}

/// How long counts wait at most, and how long ago a regular listener may have read
/// last: more than two exports at OpenTelemetry's default of 60 s.
const PATIENCE: Duration = Duration::from_secs(150);

/// Scrapes that make a regular listener; fewer may be a person with a browser.
pub(crate) const REGULAR: u64 = 3;

/// BoundCounters of an instrument.
pub(crate) struct BoundCounters<S> {
    instrument: Counter<u64>,
    bound: HashMap<S, Count, RandomState>,
    /// The series with counts that wait.
    new_series: Vec<S>,
    listeners: Listeners,
    names: MetricNames,
    /// Series after which new ones have no details.
    max_detailed: usize,
}

struct Count {
    bound: BoundCounter<u64>,
    waiting: Option<HeldCount>,
}

struct HeldCount {
    count: u64,
    until: Moment,
}

impl<S: Series + Clone + Eq + Hash> BoundCounters<S> {
    pub(crate) fn new(instrument: Counter<u64>, listeners: Listeners, names: MetricNames) -> Self {
        Self {
            instrument,
            bound: HashMap::default(),
            new_series: Vec::new(),
            listeners,
            names,
            max_detailed: usize::MAX,
        }
    }

    /// With details in as many series only.
    pub(crate) fn detailed_within(self, max_detailed: usize) -> Self {
        Self {
            max_detailed,
            ..self
        }
    }

    /// With these series at zero from the start.
    pub(crate) fn starting_with(mut self, series: impl Iterator<Item = S>) -> Self {
        series.for_each(|series| self.add(series, 0));
        self
    }

    pub(crate) fn add(&mut self, series: S, increase: u64) {
        match self.bound.entry(series) {
            Entry::Occupied(mut known) => known.get_mut().add(increase),
            Entry::Vacant(new) => {
                let bound = self
                    .instrument
                    .bind(&self.names.attributes(new.key().attributes()));
                bound.add(0);
                let until = self.listeners.next_moment();
                let waiting = until.map(|until| HeldCount { count: 0, until });
                if waiting.is_some() {
                    self.new_series.push(new.key().clone());
                }
                new.insert(Count { bound, waiting }).add(increase);
            }
        }
    }

    /// Adds the counts that have waited long enough.
    pub(crate) fn tick(&mut self) {
        if self.new_series.is_empty() {
            return;
        }
        let now = Instant::now();
        let (bound, listeners) = (&mut self.bound, &self.listeners);
        self.new_series.retain(|series| {
            let Some(count) = bound.get_mut(series) else {
                return false;
            };
            let waiting = count.waiting.as_ref();
            if waiting.is_some_and(|waiting| !listeners.have_passed(&waiting.until, now)) {
                return true;
            }
            count.release();
            false
        });
    }

    /// Adds all counts that wait, before the last export.
    pub(crate) fn finish(&mut self) {
        for series in self.new_series.drain(..) {
            if let Some(count) = self.bound.get_mut(&series) {
                count.release();
            }
        }
    }
}

impl<S: Detailed + Clone + Eq + Hash> BoundCounters<S> {
    /// The series that counts for this one.
    pub(crate) fn fitting(&self, series: S) -> S {
        fitting(&self.bound, self.max_detailed, series)
    }

    /// Counts one for a series, or for the one that stands for it.
    pub(crate) fn count(&mut self, series: S) {
        self.add(self.fitting(series), 1);
    }
}

impl Count {
    fn add(&mut self, increase: u64) {
        match &mut self.waiting {
            Some(waiting) => waiting.count += increase,
            None => self.bound.add(increase),
        }
    }

    fn release(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            self.bound.add(waiting.count);
        }
    }
}

/// BoundHistograms of an instrument.
pub(crate) struct BoundHistograms<S> {
    instrument: Histogram<f64>,
    bound: HashMap<S, BoundHistogram<f64>, RandomState>,
    names: MetricNames,
    /// Series after which new ones have no details.
    max_detailed: usize,
}

impl<S: Series + Eq + Hash> BoundHistograms<S> {
    pub(crate) fn new(instrument: Histogram<f64>, names: MetricNames) -> Self {
        Self {
            instrument,
            bound: HashMap::default(),
            names,
            max_detailed: usize::MAX,
        }
    }

    /// With details in as many series only.
    pub(crate) fn detailed_within(self, max_detailed: usize) -> Self {
        Self {
            max_detailed,
            ..self
        }
    }

    pub(crate) fn record(&mut self, series: S, duration: Duration) {
        let (instrument, names) = (&self.instrument, self.names);
        let entry = self.bound.entry(series);
        let bind = |attributes| instrument.bind(&names.attributes(attributes));
        entry
            .or_insert_with_key(|series| bind(series.attributes()))
            .record(names.duration(duration));
    }
}

impl<S: Detailed + Eq + Hash> BoundHistograms<S> {
    /// The series that stands for this one.
    pub(crate) fn fitting(&self, series: S) -> S {
        fitting(&self.bound, self.max_detailed, series)
    }
}

/// Everyone who reads the metrics repeatedly: the collector, and Prometheus.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listeners(Vec<Arc<Listener>>);

impl Listeners {
    pub(crate) const fn new(listeners: Vec<Arc<Listener>>) -> Self {
        Self(listeners)
    }

    /// When every regular listener will have seen a series that is made now; `None` without regular listeners.
    fn next_moment(&self) -> Option<Moment> {
        let now = Instant::now();
        let awaited = self.0.iter().map(|listener| listener.awaited(now));
        let awaited: Vec<_> = awaited.collect();
        let anyone = awaited.iter().any(Option::is_some);
        anyone.then_some(Moment {
            awaited,
            latest: now + PATIENCE,
        })
    }

    fn have_passed(&self, moment: &Moment, now: Instant) -> bool {
        let mut heard = self.0.iter().zip(&moment.awaited);
        now >= moment.latest
            || heard
                .all(|(listener, awaited)| awaited.is_none_or(|at| listener.last_delivered() >= at))
    }
}

/// A point in the sequence of exports.
struct Moment {
    /// For each listener that counts, the first collection that comes after.
    awaited: Vec<Option<u64>>,
    latest: Instant,
}

/// One reader of the metrics, and the last collection that reached it.
#[derive(Debug)]
pub(crate) struct Listener {
    /// When it was made: `delivered_at` counts from here.
    made: Instant,
    /// Collections begun.
    begun: AtomicU64,
    /// The latest collection that was delivered; 0 before the first.
    delivered: AtomicU64,
    /// When that was, in milliseconds.
    delivered_at: AtomicU64,
    /// How many delivered collections make it a regular listener.
    regular_from: u64,
}

impl Listener {
    /// A regular listener once `regular_from` collections were delivered.
    pub(crate) fn new(regular_from: u64) -> Self {
        Self {
            regular_from,
            made: Instant::now(),
            begun: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            delivered_at: AtomicU64::new(0),
        }
    }

    /// Notes that a collection begins; returns its number.
    pub(crate) fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Notes that a collection was delivered.
    pub(crate) fn delivered(&self, collection: u64) {
        let elapsed = self.made.elapsed().as_millis();
        self.delivered_at
            .store(elapsed.try_into().unwrap_or(u64::MAX), Ordering::SeqCst);
        self.delivered.fetch_max(collection, Ordering::SeqCst);
    }

    fn last_delivered(&self) -> u64 {
        self.delivered.load(Ordering::SeqCst)
    }

    /// The first collection that will contain a series made now; `None` if this is no regular listener.
    fn awaited(&self, now: Instant) -> Option<u64> {
        let delivered_at = Duration::from_millis(self.delivered_at.load(Ordering::SeqCst));
        let listens = self.last_delivered() >= self.regular_from
            && now.saturating_duration_since(self.made) <= delivered_at.saturating_add(PATIENCE);
        listens.then(|| self.begun.load(Ordering::SeqCst) + 1)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_sdk::metrics::{SdkMeterProvider, Temporality};

    use super::super::reader::MetricsReader;
    use super::*;
    use crate::telemetry::export::prometheus_text;

    #[derive(Clone, PartialEq, Eq, Hash)]
    struct Named(&'static str);

    impl Series for Named {
        fn attributes(&self) -> Vec<KeyValue> {
            vec![KeyValue::new("name", self.0)]
        }
    }

    struct Run {
        reader: MetricsReader,
        counters: BoundCounters<Named>,
        _provider: SdkMeterProvider,
    }

    impl Run {
        fn new() -> Self {
            let reader = MetricsReader::new(Temporality::Cumulative, 1);
            let provider = SdkMeterProvider::builder();
            let provider = provider.with_reader(reader.clone()).build();
            let instrument = provider.meter("test").u64_counter("c").build();
            let listeners = Listeners::new(vec![reader.listener()]);
            Self {
                reader,
                counters: BoundCounters::new(instrument, listeners, MetricNames::default()),
                _provider: provider,
            }
        }

        /// The values that a listener reads; `arrives` says whether they reach it.
        fn export(&mut self, arrives: bool) -> Vec<String> {
            self.counters.tick();
            let collection = self.reader.read();
            let text = prometheus_text::encode(&collection.metrics);
            if arrives {
                self.reader.delivered(&collection);
            }
            let samples = text.lines().filter(|line| !line.starts_with('#'));
            samples
                .filter(|line| line.starts_with('c'))
                .map(str::to_owned)
                .collect()
        }
    }

    #[test]
    fn a_first_reader_gets_the_counts_as_they_are() {
        let mut run = Run::new();
        run.counters.add(Named("a"), 2);
        assert_eq!(run.export(true), ["c_total{name=\"a\"} 2"]);
    }

    #[test]
    fn a_new_series_starts_at_zero_for_a_regular_listener() {
        let mut run = Run::new();
        run.export(true);
        run.counters.add(Named("a"), 2);
        assert_eq!(run.export(true), ["c_total{name=\"a\"} 0"]);
        run.counters.add(Named("a"), 1);
        assert_eq!(run.export(true), ["c_total{name=\"a\"} 3"]);
        run.counters.add(Named("a"), 1);
        assert_eq!(run.export(true), ["c_total{name=\"a\"} 4"]);
    }

    #[test]
    fn counts_do_not_wait_for_an_occasional_reader() {
        let listener = Listener::new(REGULAR);
        for _ in 1..REGULAR {
            listener.delivered(listener.begin());
            assert_eq!(listener.awaited(Instant::now()), None);
        }
        listener.delivered(listener.begin());
        assert_eq!(listener.awaited(Instant::now()), Some(REGULAR + 1));
        assert_eq!(listener.awaited(Instant::now() + 2 * PATIENCE), None);
    }

    #[test]
    fn an_export_that_is_not_delivered_does_not_count() {
        let mut run = Run::new();
        run.export(true);
        run.counters.add(Named("a"), 2);
        assert_eq!(run.export(false), ["c_total{name=\"a\"} 0"]);
        assert_eq!(run.export(true), ["c_total{name=\"a\"} 0"]);
        assert_eq!(run.export(true), ["c_total{name=\"a\"} 2"]);
    }

    #[test]
    fn a_collection_begun_before_a_series_does_not_count_for_it() {
        let mut run = Run::new();
        run.export(true);
        let under_way = run.reader.read();
        run.counters.add(Named("a"), 2);
        run.reader.delivered(&under_way);
        assert_eq!(run.export(true), ["c_total{name=\"a\"} 0"]);
        assert_eq!(run.export(true), ["c_total{name=\"a\"} 2"]);
    }

    #[test]
    fn the_last_export_has_all_counts() {
        let mut run = Run::new();
        run.export(true);
        run.counters.add(Named("a"), 2);
        run.counters.finish();
        assert_eq!(run.export(true), ["c_total{name=\"a\"} 2"]);
    }
}

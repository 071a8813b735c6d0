//! Series, each bound when first used: the SDK's own way from attributes to a
//! series is slower by an order of magnitude.
//!
//! # Why does a counter start at zero and wait?
//!
//! `rate()` sees the increase from one value to the next. A series that first
//! appears with the value 1 has had no increase, so that the first failure of its
//! kind (often the one that matters) would raise no alert. So a new series is told
//! with zero once, to everyone who is listening regularly, and its counts follow
//! with the next export. Where nobody listens, nothing waits: whoever asks now and
//! then gets the counts as they are.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Histogram};

use super::series::Series;

/// How long counts wait at most, and how long ago a listener may have listened
/// last: more than two exports at OpenTelemetry's usual 60 s.
const PATIENCE: Duration = Duration::from_secs(150);

/// Scrapes after which somebody counts as a regular listener, and not as a person who looks.
pub(crate) const REGULAR: u64 = 3;

/// Counters of an instrument.
pub(crate) struct Counters<S> {
    instrument: Counter<u64>,
    bound: HashMap<S, Count, RandomState>,
    /// Those with counts that wait.
    newborn: Vec<S>,
    listeners: Listeners,
}

struct Count {
    bound: BoundCounter<u64>,
    waiting: Option<Waiting>,
}

struct Waiting {
    count: u64,
    until: Moment,
}

impl<S: Series + Clone + Eq + Hash> Counters<S> {
    pub(crate) fn new(instrument: Counter<u64>, listeners: Listeners) -> Self {
        Self {
            instrument,
            bound: HashMap::default(),
            newborn: Vec::new(),
            listeners,
        }
    }

    /// Makes sure that there is such a series.
    pub(crate) fn create(&mut self, series: S) {
        self.add(series, 0);
    }

    pub(crate) fn add(&mut self, series: S, increase: u64) {
        match self.bound.entry(series) {
            Entry::Occupied(mut known) => known.get_mut().add(increase),
            Entry::Vacant(new) => {
                let bound = self.instrument.bind(&new.key().attributes());
                bound.add(0);
                let until = self.listeners.next_moment();
                let waiting = until.map(|until| Waiting { count: 0, until });
                if waiting.is_some() {
                    self.newborn.push(new.key().clone());
                }
                new.insert(Count { bound, waiting }).add(increase);
            }
        }
    }

    /// Adds the counts that have waited for long enough.
    pub(crate) fn tick(&mut self) {
        if self.newborn.is_empty() {
            return;
        }
        let now = Instant::now();
        let (bound, listeners) = (&mut self.bound, &self.listeners);
        self.newborn.retain(|series| {
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

    /// Adds all counts that wait: this is the last export.
    pub(crate) fn finish(&mut self) {
        for series in self.newborn.drain(..) {
            if let Some(count) = self.bound.get_mut(&series) {
                count.release();
            }
        }
    }

    pub(crate) fn contains(&self, series: &S) -> bool {
        self.bound.contains_key(series)
    }

    pub(crate) fn len(&self) -> usize {
        self.bound.len()
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

/// Histograms of an instrument.
pub(crate) struct Histograms<S> {
    instrument: Histogram<f64>,
    bound: HashMap<S, BoundHistogram<f64>, RandomState>,
}

impl<S: Series + Eq + Hash> Histograms<S> {
    pub(crate) fn new(instrument: Histogram<f64>) -> Self {
        Self {
            instrument,
            bound: HashMap::default(),
        }
    }

    pub(crate) fn record(&mut self, series: S, value: f64) {
        let instrument = &self.instrument;
        let entry = self.bound.entry(series);
        let bind = |attributes: Vec<KeyValue>| instrument.bind(&attributes);
        entry
            .or_insert_with_key(|series| bind(series.attributes()))
            .record(value);
    }

    pub(crate) fn contains(&self, series: &S) -> bool {
        self.bound.contains_key(series)
    }

    pub(crate) fn len(&self) -> usize {
        self.bound.len()
    }
}

/// Everyone who is told the metrics again and again: the collector, and Prometheus.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listeners(Vec<Arc<Listener>>);

impl Listeners {
    pub(crate) const fn new(listeners: Vec<Arc<Listener>>) -> Self {
        Self(listeners)
    }

    /// When everyone who listens regularly will have heard of what is made now; `None` if nobody does.
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
            || heard.all(|(listener, awaited)| awaited.is_none_or(|at| listener.told() >= at))
    }
}

/// A point in the sequence of exports.
struct Moment {
    /// For each listener that counts, the first collection that comes after.
    awaited: Vec<Option<u64>>,
    latest: Instant,
}

/// One that is told the metrics again and again; follows what it was told.
#[derive(Debug)]
pub(crate) struct Listener {
    /// When it was made: the atomics count from here.
    made: Instant,
    /// Collections begun.
    begun: AtomicU64,
    /// The latest collection that was delivered; 0 before the first.
    told: AtomicU64,
    /// When that was, in milliseconds.
    told_at: AtomicU64,
    /// The first collection after which it counts as one who listens regularly.
    regular_from: u64,
}

impl Listener {
    /// Listens regularly once `regular_from` collections were delivered.
    pub(crate) fn new(regular_from: u64) -> Self {
        Self {
            regular_from,
            made: Instant::now(),
            begun: AtomicU64::new(0),
            told: AtomicU64::new(0),
            told_at: AtomicU64::new(0),
        }
    }

    /// Notes that values are about to be collected; gives the collection its number.
    pub(crate) fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Notes that a collection has arrived.
    pub(crate) fn delivered(&self, collection: u64) {
        let elapsed = self.made.elapsed().as_millis();
        self.told_at
            .store(elapsed.try_into().unwrap_or(u64::MAX), Ordering::SeqCst);
        self.told.fetch_max(collection, Ordering::SeqCst);
    }

    fn told(&self) -> u64 {
        self.told.load(Ordering::SeqCst)
    }

    /// The first collection that will hold what is made now; `None` if nobody listens regularly.
    fn awaited(&self, now: Instant) -> Option<u64> {
        let told_at = Duration::from_millis(self.told_at.load(Ordering::SeqCst));
        let listens = self.told() >= self.regular_from
            && now.saturating_duration_since(self.made) <= told_at.saturating_add(PATIENCE);
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
        counters: Counters<Named>,
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
                counters: Counters::new(instrument, listeners),
                _provider: provider,
            }
        }

        /// The values that a listener gets, and whether they arrive.
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
    fn who_asks_for_the_first_time_gets_the_counts_as_they_are() {
        let mut run = Run::new();
        run.counters.add(Named("a"), 2);
        assert_eq!(run.export(true), ["c_total{name=\"a\"} 2"]);
    }

    #[test]
    fn a_series_is_born_at_zero_for_who_listens() {
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
    fn nothing_waits_for_who_looks_now_and_then() {
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
    fn an_export_that_does_not_arrive_tells_nobody() {
        let mut run = Run::new();
        run.export(true);
        run.counters.add(Named("a"), 2);
        assert_eq!(run.export(false), ["c_total{name=\"a\"} 0"]);
        assert_eq!(run.export(true), ["c_total{name=\"a\"} 0"]);
        assert_eq!(run.export(true), ["c_total{name=\"a\"} 2"]);
    }

    #[test]
    fn a_collection_that_had_begun_before_tells_nothing_of_a_series() {
        let mut run = Run::new();
        run.export(true);
        let under_way = run.reader.read();
        run.counters.add(Named("a"), 2);
        run.reader.delivered(&under_way);
        assert_eq!(run.export(true), ["c_total{name=\"a\"} 0"]);
        assert_eq!(run.export(true), ["c_total{name=\"a\"} 2"]);
    }

    #[test]
    fn the_last_export_has_everything() {
        let mut run = Run::new();
        run.export(true);
        run.counters.add(Named("a"), 2);
        run.counters.finish();
        assert_eq!(run.export(true), ["c_total{name=\"a\"} 2"]);
    }
}

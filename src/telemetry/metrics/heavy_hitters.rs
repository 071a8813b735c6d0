//! Which values from the traffic become labels: the heavy hitters. All others are `other`.
//!
//! A variant of Space-Saving (Metwally, Agrawal, El Abbadi: *Efficient Computation of
//! Frequent and Top-k Elements in Data Streams*, ICDT 2005): a table of bounded size counts
//! values, and a new value replaces the one with the smallest count. Unlike there, replacing
//! a value is expensive, since its series stays in every store behind the collector. So a
//! value is first counted as a candidate and must come [`PROOF`] times, it must be twice as
//! frequent as the value it replaces, and the number of replacements is limited. Counts are
//! halved now and then, so that old frequencies lose their weight.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::OTHER;

/// How often a value must occur before it takes one of the last places: names made up by
/// scanners occur once.
const PROOF: u64 = 3;

/// Candidates for each place: enough for frequent values to stand out, bounded since the
/// traffic chooses them.
const CANDIDATES_A_PLACE: usize = 8;

/// How often the value in a place may be replaced, on average. Each value that ever had a
/// place leaves its series behind, here and in every store behind the collector.
const TENANTS_A_PLACE: usize = 4;

/// Bytes of a label. RFC 5280 bounds a common name to 64 characters, DNS a name to
/// 253 bytes, but both come from strangers.
pub(crate) const MAX_LABEL: usize = 256;

/// Gives places to the most frequent values.
///
/// The first half of the places goes to the first values, so that a small network has all
/// its names from the first handshake on. The other half goes to values that occurred
/// [`PROOF`] times and, once all are taken, to those that occur twice as often as the least
/// frequent tenant.
#[derive(Debug)]
pub(crate) struct HeavyHitters {
    places: usize,
    tenants: HashMap<Arc<str>, u64, RandomState>,
    candidates: HashMap<Box<str>, u64, RandomState>,
    tenants_ever: usize,
    other: Arc<str>,
}

impl HeavyHitters {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            places,
            tenants: HashMap::default(),
            candidates: HashMap::default(),
            tenants_ever: 0,
            other: OTHER.into(),
        }
    }

    /// Counts `value`, and returns its label: itself, or `other`.
    pub(crate) fn choose(&mut self, value: &str) -> Arc<str> {
        if let Some((tenant, count)) = self.tenants.get_key_value_mut(value) {
            *count += 1;
            return Arc::clone(tenant);
        }
        if self.tenants.len() < self.places.div_ceil(2) {
            return self.admit(value, 1);
        }
        let count = self.count(value);
        let has_room = self.tenants.len() < self.places;
        if count >= PROOF && (has_room || self.makes_room(count)) {
            self.candidates.remove(value);
            return self.admit(value, count);
        }
        Arc::clone(&self.other)
    }

    fn admit(&mut self, value: &str, count: u64) -> Arc<str> {
        let tenant: Arc<str> = value.into();
        self.tenants.insert(Arc::clone(&tenant), count);
        self.tenants_ever += 1;
        tenant
    }

    fn count(&mut self, value: &str) -> u64 {
        if let Some(count) = self.candidates.get_mut(value) {
            *count += 1;
            return *count;
        }
        if self.candidates.len() >= self.places * CANDIDATES_A_PLACE {
            self.halve();
        }
        self.candidates.insert(value.into(), 1);
        1
    }

    /// Removes the least frequent tenant if its count is less than half of `count`.
    fn makes_room(&mut self, count: u64) -> bool {
        // The search is slow, so it is made only at powers of two, of which a count passes few.
        if !count.is_power_of_two() || self.tenants_ever >= self.places * TENANTS_A_PLACE {
            return false;
        }
        let least = self.tenants.iter().min_by_key(|(_, count)| **count);
        let Some((least, _)) = least.filter(|(_, least)| **least < count / 2) else {
            return false;
        };
        let least = Arc::clone(least);
        self.tenants.remove(&*least);
        true
    }

    fn halve(&mut self) {
        self.candidates.retain(|_, count| {
            *count /= 2;
            *count > 0
        });
        self.tenants.values_mut().for_each(|count| *count /= 2);
        if self.candidates.len() >= self.places * CANDIDATES_A_PLACE {
            self.candidates.clear();
        }
    }
}

/// `text` cut to [`MAX_LABEL`] bytes; no control character reaches a terminal.
pub(crate) fn label(text: &str) -> String {
    let mut label = String::with_capacity(text.len().min(MAX_LABEL));
    for character in text.chars() {
        let character = if character.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            character
        };
        if label.len() + character.len_utf8() > MAX_LABEL {
            break;
        }
        label.push(character);
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_network_has_all_its_names_at_once() {
        let mut hitters = HeavyHitters::new(4);
        assert_eq!(&*hitters.choose("a"), "a");
        assert_eq!(&*hitters.choose("b"), "b");
    }

    #[test]
    fn the_last_places_are_for_values_that_occur_repeatedly() {
        let mut hitters = HeavyHitters::new(4);
        for name in ["a", "b"] {
            hitters.choose(name);
        }
        assert_eq!(&*hitters.choose("c"), "other");
        assert_eq!(&*hitters.choose("c"), "other");
        assert_eq!(&*hitters.choose("c"), "c");
    }

    #[test]
    fn names_made_up_by_a_scanner_take_neither_places_nor_memory() {
        let mut hitters = HeavyHitters::new(10);
        for number in 0..100_000 {
            hitters.choose(&format!("{number}.example.org"));
        }
        assert!(hitters.tenants.len() <= 5, "{}", hitters.tenants.len());
        assert!(hitters.candidates.len() <= 80);
        for _ in 0..3 {
            hitters.choose("real.example.org");
        }
        assert_eq!(&*hitters.choose("real.example.org"), "real.example.org");
    }

    #[test]
    fn a_frequent_value_replaces_a_rare_one_a_bounded_number_of_times() {
        let mut hitters = HeavyHitters::new(2);
        for name in ["idle", "busy", "busy", "busy", "busy", "busy"] {
            hitters.choose(name);
        }
        for _ in 0..4 {
            hitters.choose("new");
        }
        assert_eq!(&*hitters.choose("new"), "new");
        assert_eq!(&*hitters.choose("idle"), "other");
        for number in 0..100 {
            for _ in 0..1_000 * (number + 1) {
                hitters.choose(&number.to_string());
            }
        }
        assert!(hitters.tenants_ever <= 8, "{}", hitters.tenants_ever);
    }

    #[test]
    fn a_label_is_bounded_and_cannot_drive_a_terminal() {
        assert_eq!(label("a\u{1b}[2J\nb"), "a\u{fffd}[2J\u{fffd}b");
        let long = label(&"ü".repeat(1000));
        assert_eq!(long.len(), MAX_LABEL);
        assert_eq!(
            label(&format!("a{}", "ü".repeat(1000))).len(),
            MAX_LABEL - 1
        );
    }
}

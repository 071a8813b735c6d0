//! Counts by a name that the traffic chooses, in bounded memory.

use hashbrown::HashMap;

/// Most names at a time. When there are more, the half with the least weight is dropped, which a name with a real share of
/// the traffic is never in.
pub(super) const CAPACITY: usize = 2048;

/// What is counted for a name.
pub(super) trait Weigh {
    /// What decides whether it is kept, and its place in the list.
    fn weight(&self) -> u64;
}

/// The names that weigh most, each with its counts.
#[derive(Debug)]
pub(super) struct Busiest<V> {
    entries: HashMap<String, V, foldhash::fast::RandomState>,
    /// How many names were dropped; one that came back counts again.
    forgotten: u64,
}

impl<V> Default for Busiest<V> {
    fn default() -> Self {
        Self {
            entries: HashMap::default(),
            forgotten: 0,
        }
    }
}

impl<V: Default + Weigh> Busiest<V> {
    /// The counts of `name`, which are new if it is.
    pub(super) fn entry(&mut self, name: &str) -> &mut V {
        if self.entries.len() >= CAPACITY && !self.entries.contains_key(name) {
            self.forget_half();
        }
        self.entries.entry_ref(name).or_default()
    }

    /// The `limit` names that weigh most, and how many others there were.
    pub(super) fn top(&self, limit: usize) -> (Vec<(&str, &V)>, u64) {
        let mut ranked: Vec<_> = self.entries.iter().collect();
        sort(&mut ranked);
        let others = ranked.len().saturating_sub(limit) as u64;
        ranked.truncate(limit);
        let top = ranked
            .into_iter()
            .map(|(name, counts)| (name.as_str(), counts));
        (top.collect(), others + self.forgotten)
    }

    fn forget_half(&mut self) {
        let mut ranked: Vec<_> = self.entries.drain().collect();
        ranked.sort_unstable_by(|(a_name, a), (b_name, b)| {
            (b.weight(), a_name).cmp(&(a.weight(), b_name))
        });
        self.forgotten += (ranked.len() - CAPACITY / 2) as u64;
        ranked.truncate(CAPACITY / 2);
        self.entries.extend(ranked);
    }
}

/// The heaviest first; names break ties, so that equal input gives equal output.
fn sort<V: Weigh>(ranked: &mut [(&String, &V)]) {
    ranked.sort_unstable_by(|(a_name, a), (b_name, b)| {
        (b.weight(), a_name).cmp(&(a.weight(), b_name))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weigh for u64 {
        fn weight(&self) -> u64 {
            *self
        }
    }

    #[test]
    fn ranks_by_weight_then_by_name() {
        let mut busiest = Busiest::<u64>::default();
        for name in ["b", "a", "c", "c"] {
            *busiest.entry(name) += 1;
        }
        assert_eq!(busiest.top(2), (vec![("c", &2), ("a", &1)], 1));
    }

    #[test]
    fn a_flood_of_names_neither_grows_the_table_nor_hides_a_busy_one() {
        let mut busiest = Busiest::<u64>::default();
        for number in 0..3 * CAPACITY {
            *busiest.entry(&format!("{number}.example")) += 1;
            if number % 10 == 0 {
                *busiest.entry("busy.example") += 1;
            }
        }
        assert!(busiest.entries.len() <= CAPACITY);
        assert_eq!(busiest.top(1).0[0].0, "busy.example");
    }
}

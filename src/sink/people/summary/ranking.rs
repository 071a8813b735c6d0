//! Rows by a key that the traffic chooses, in bounded memory.

use std::borrow::Borrow;
use std::cmp::Reverse;
use std::hash::Hash;

use hashbrown::HashMap;

/// What is counted under a key.
pub(in crate::sink) trait Counted: Default {
    /// Handshakes counted: what has the fewest is dropped first.
    fn handshakes(&self) -> u64;

    /// What makes a row worth keeping in spite of few handshakes; 0 if nothing does.
    fn notability(&self) -> u64 {
        0
    }
}

/// A row for each key, up to a limit. When it is full, the half with the fewest handshakes is dropped, which a key with a
/// real share of them is never in, but for the most notable of those.
#[derive(Debug)]
pub(in crate::sink) struct Ranking<K, V> {
    rows: HashMap<K, V, foldhash::fast::RandomState>,
    capacity: usize,
    /// Handshakes of the keys that were dropped.
    forgotten: u64,
}

impl<K: Clone + Eq + Hash + Ord, V: Counted> Ranking<K, V> {
    /// At most `capacity` rows.
    pub(in crate::sink) fn new(capacity: usize) -> Self {
        Self {
            rows: HashMap::default(),
            capacity,
            forgotten: 0,
        }
    }

    /// Changes the row of a key.
    pub(in crate::sink) fn update<Q>(&mut self, key: &Q, change: impl FnOnce(&mut V))
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(row) = self.rows.get_mut(key) {
            return change(row);
        }
        if self.rows.len() >= self.capacity {
            self.forget_half();
        }
        change(self.rows.entry(key.to_owned()).or_default());
    }

    /// Whether rows were dropped: what is left may not be all of its key.
    pub(in crate::sink) const fn has_forgotten(&self) -> bool {
        self.forgotten > 0
    }

    /// All rows, in no order.
    pub(in crate::sink) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter()
    }

    /// The `limit` rows with the highest rank, the highest first, and how many handshakes all others had. Keys break ties,
    /// so that equal input gives equal output.
    pub(in crate::sink) fn top<R: Ord>(
        &self,
        limit: usize,
        rank: impl Fn(&V) -> R,
    ) -> (Vec<(&K, &V)>, u64) {
        let mut ranked: Vec<_> = self.rows.iter().collect();
        ranked.sort_unstable_by_key(|(key, row)| (Reverse(rank(row)), *key));
        let rest = ranked.split_off(limit.min(ranked.len()));
        let others: u64 = rest.iter().map(|(_, row)| row.handshakes()).sum();
        (ranked, others + self.forgotten)
    }

    fn forget_half(&mut self) {
        let kept = self.capacity / 2;
        let mut ranked: Vec<_> = self.ranked().collect();
        if ranked.len() <= kept {
            return;
        }
        // Which half a row is in is all that matters, and takes a tenth of the time of a sort.
        let (_, (Reverse(fewest), first), _) = ranked.select_nth_unstable(kept);
        let (fewest, first) = (*fewest, (*first).clone());
        let is_busy =
            |key: &K, row: &V| (Reverse(row.handshakes()), key) < (Reverse(fewest), &first);
        let least = self.least_notable(is_busy);
        let forgotten = &mut self.forgotten;
        self.rows.retain(|key, row| {
            let notability = row.notability();
            let is_notable = notability > 0
                && least
                    .as_ref()
                    .is_none_or(|(least, first)| (Reverse(notability), key) < (*least, first));
            let is_kept = is_notable || is_busy(key, row);
            *forgotten += if is_kept { 0 } else { row.handshakes() };
            is_kept
        });
    }

    /// The first of the notable rows, by notability, that has no room in a quarter of the table; those that are busy have room
    /// already.
    fn least_notable(&self, is_busy: impl Fn(&K, &V) -> bool) -> Option<(Reverse<u64>, K)> {
        let rest = self.rows.iter().filter(|(key, row)| !is_busy(key, row));
        let notable = rest.map(|(key, row)| (Reverse(row.notability()), key));
        let mut notable: Vec<_> = notable.filter(|(Reverse(rank), _)| *rank > 0).collect();
        let room = self.capacity / 4;
        if notable.len() <= room {
            return None;
        }
        let (_, (rank, key), _) = notable.select_nth_unstable(room);
        Some((*rank, (*key).clone()))
    }

    /// The keys with their handshakes, in the order of which the first half is kept: the most first, keys break ties.
    fn ranked(&self) -> impl Iterator<Item = (Reverse<u64>, &K)> {
        let rows = self.rows.iter();
        rows.map(|(key, row)| (Reverse(row.handshakes()), key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Count(u64);

    impl Counted for Count {
        fn handshakes(&self) -> u64 {
            self.0
        }
    }

    #[test]
    fn a_flood_of_keys_neither_grows_the_table_nor_hides_a_busy_one() {
        let mut ranking = Ranking::<u32, Count>::new(100);
        for key in 0..10_000 {
            ranking.update(&key, |row| row.0 += 1);
            ranking.update(&u32::MAX, |row| row.0 += 1);
        }
        assert!(ranking.iter().count() <= 100);
        let (top, others) = ranking.top(1, |row| row.0);
        assert_eq!((*top[0].0, top[0].1.0, others), (u32::MAX, 10_000, 10_000));
    }

    #[test]
    fn keys_break_ties() {
        let mut ranking = Ranking::<&str, Count>::new(100);
        for key in ["b", "a", "c", "c"] {
            ranking.update(&key, |row| row.0 += 1);
        }
        let (top, others) = ranking.top(2, |row| row.0);
        let keys: Vec<_> = top.iter().map(|(key, _)| **key).collect();
        assert_eq!((keys, others), (vec!["c", "a"], 1));
    }
}

//! Rows by a key that the traffic chooses, in bounded memory.

use std::borrow::Borrow;
use std::cmp::Reverse;
use std::hash::{BuildHasher, Hash};

use hashbrown::HashTable;

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
    rows: HashTable<Row<K, V>>,
    hasher: foldhash::fast::RandomState,
    capacity: usize,
    /// Rows that were ever added.
    added: u64,
    /// Handshakes of the keys that were dropped.
    forgotten: u64,
}

#[derive(Debug)]
struct Row<K, V> {
    key: K,
    counted: V,
    /// Rows that were added before it. It breaks ties among those to be dropped, where keys would have to be fetched: the last
    /// are dropped first, so that equal input gives equal output.
    number: u64,
}

impl<K: Eq + Hash + Ord, V: Counted> Ranking<K, V> {
    /// At most `capacity` rows.
    pub(in crate::sink) fn new(capacity: usize) -> Self {
        Self {
            rows: HashTable::new(),
            hasher: foldhash::fast::RandomState::default(),
            capacity,
            added: 0,
            forgotten: 0,
        }
    }

    /// Changes the row of a key.
    pub(in crate::sink) fn update<Q>(&mut self, key: &Q, change: impl FnOnce(&mut V))
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        if let Some(row) = self.rows.find_mut(hash, |row| row.key.borrow() == key) {
            return change(&mut row.counted);
        }
        if self.rows.len() >= self.capacity {
            self.forget_half();
        }
        let mut row = Row {
            key: key.to_owned(),
            counted: V::default(),
            number: self.added,
        };
        self.added += 1;
        change(&mut row.counted);
        let hasher = &self.hasher;
        self.rows
            .insert_unique(hash, row, |row| hasher.hash_one(row.key.borrow()));
    }

    /// Whether rows were dropped: what is left may not be all of its key.
    pub(in crate::sink) const fn has_forgotten(&self) -> bool {
        self.forgotten > 0
    }

    /// All rows, in no order.
    pub(in crate::sink) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter().map(|row| (&row.key, &row.counted))
    }

    /// The `limit` rows with the highest rank, the highest first, and how many handshakes all others had. Keys break ties,
    /// so that equal input gives equal output.
    pub(in crate::sink) fn top<R: Ord>(
        &self,
        limit: usize,
        rank: impl Fn(&V) -> R,
    ) -> (Vec<(&K, &V)>, u64) {
        let mut ranked: Vec<_> = self.iter().collect();
        ranked.sort_unstable_by_key(|(key, row)| (Reverse(rank(row)), *key));
        let rest = ranked.split_off(limit.min(ranked.len()));
        let others: u64 = rest.iter().map(|(_, row)| row.handshakes()).sum();
        (ranked, others + self.forgotten)
    }

    fn forget_half(&mut self) {
        let kept = self.capacity / 2;
        let mut ranked: Vec<_> = self.rows.iter().map(Row::busyness).collect();
        if ranked.len() <= kept {
            return;
        }
        // Which half a row is in is all that matters, and takes a tenth of the time of a sort.
        let (_, first_idle, _) = ranked.select_nth_unstable(kept);
        let first_idle = *first_idle;
        let first_ordinary = self.first_ordinary(first_idle);
        let forgotten = &mut self.forgotten;
        self.rows.retain(|row| {
            let is_notable = || {
                let notability = row.notability();
                notability.is_some_and(|notability| {
                    first_ordinary.is_none_or(|ordinary| notability < ordinary)
                })
            };
            let is_kept = row.busyness() < first_idle || is_notable();
            *forgotten += if is_kept { 0 } else { row.counted.handshakes() };
            is_kept
        });
    }

    /// The first of the notable rows that has no room in a quarter of the table; `None` if all have. Those before `first_idle` have
    /// room already.
    fn first_ordinary(&self, first_idle: (Reverse<u64>, u64)) -> Option<(Reverse<u64>, u64)> {
        let idle = self.rows.iter().filter(|row| row.busyness() >= first_idle);
        let mut notable: Vec<_> = idle.filter_map(Row::notability).collect();
        let room = self.capacity / 4;
        if notable.len() <= room {
            return None;
        }
        let (_, first, _) = notable.select_nth_unstable(room);
        Some(*first)
    }
}

impl<K, V: Counted> Row<K, V> {
    /// Its place in an order of which the first half is kept: the most handshakes first.
    fn busyness(&self) -> (Reverse<u64>, u64) {
        (Reverse(self.counted.handshakes()), self.number)
    }

    /// The same by notability; `None` if nothing makes it notable.
    fn notability(&self) -> Option<(Reverse<u64>, u64)> {
        let notability = self.counted.notability();
        (notability > 0).then_some((Reverse(notability), self.number))
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

//! Where in a table each key lies: one word for each, and no look at the keys themselves.
//!
//! A look-up in a table of many flows waits for memory, so what counts is how many places it
//! reads one after the other. A slot is one word that holds the hash and the place, eight to a cache line: one read finds the place,
//! and a second one, of the key there, confirms it. The table grows without hashing a key again.

/// Places in a table, found by the hash of what lies there: open addressing with linear probing.
#[derive(Debug, Default)]
pub(crate) struct PlaceIndex {
    /// As many as a power of two, or none; [`EMPTY`], or hash and place.
    slots: Vec<u64>,
    len: usize,
}

/// No place is this one.
pub(crate) const NOWHERE: u32 = u32::MAX;

const EMPTY: u64 = slot(0, NOWHERE);
/// Bytes of a slot.
const SLOT: usize = size_of::<u64>();
/// The fewest slots: two cache lines.
const FEWEST: usize = 16;

const fn slot(hash: u32, place: u32) -> u64 {
    (hash as u64) << 32 | place as u64
}

const fn hash_of(slot: u64) -> u32 {
    (slot >> 32) as u32
}

const fn place_of(slot: u64) -> u32 {
    slot as u32
}

impl PlaceIndex {
    /// Bytes of memory for each place, at the most: a table that has just grown is three eighths full.
    pub(crate) const BYTES_PER_PLACE: usize = SLOT * 8 / 3;

    /// Bytes of memory that it takes.
    pub(crate) const fn allocated(&self) -> usize {
        self.slots.capacity() * SLOT
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The first place under this hash, right nearly always; [`NOWHERE`] if there is none.
    #[inline]
    pub(crate) fn first(&self, hash: u32) -> u32 {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = hash as usize;
        while let Some(slot) = self.slots.get(at & mask) {
            // An empty slot ends the search, and has no place.
            if hash_of(*slot) == hash || *slot == EMPTY {
                return place_of(*slot);
            }
            at = at.wrapping_add(1);
        }
        NOWHERE
    }

    /// The place under this hash for which `is_it` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.position(hash, is_it)
            .map(|at| place_of(self.slots[at]))
    }

    /// Adds a place that is not there yet.
    pub(crate) fn insert(&mut self, hash: u32, place: u32) {
        // Three quarters full, a look-up that finds nothing reads eight slots on average.
        if (self.len + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        self.place(slot(hash, place));
        self.len += 1;
    }

    /// Removes a place.
    pub(crate) fn remove(&mut self, hash: u32, place: u32) {
        let Some(mut hole) = self.position(hash, |other| other == place) else {
            return;
        };
        self.len -= 1;
        // Those behind it move up, so that probing never has to step over what was removed.
        let mask = self.slots.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let slot = self.slots[at];
            if slot == EMPTY {
                break;
            }
            let home = hash_of(slot) as usize & mask;
            let may_move = at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask;
            if may_move {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole] = EMPTY;
    }

    /// Removes all places, and keeps the room for them.
    pub(crate) fn clear(&mut self) {
        self.slots.fill(EMPTY);
        self.len = 0;
    }

    #[inline]
    fn position(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<usize> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = hash as usize & mask;
        loop {
            let slot = *self.slots.get(at)?;
            if slot == EMPTY {
                return None;
            }
            if hash_of(slot) == hash && is_it(place_of(slot)) {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
    }

    fn place(&mut self, slot: u64) {
        let mask = self.slots.len() - 1;
        let mut at = hash_of(slot) as usize & mask;
        while self.slots[at] != EMPTY {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }

    fn grow(&mut self) {
        let count = (self.slots.len() * 2).max(FEWEST);
        let slots = std::mem::replace(&mut self.slots, vec![EMPTY; count]);
        for slot in slots {
            if slot != EMPTY {
                self.place(slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_index_finds_nothing() {
        let mut index = PlaceIndex::default();
        assert_eq!(index.first(7), NOWHERE);
        index.remove(7, 1);
        assert_eq!((index.len(), index.slots.len()), (0, 0));
    }

    #[test]
    fn places_under_the_same_hash_are_all_found() {
        let mut index = PlaceIndex::default();
        for place in 0..100 {
            index.insert(15, place);
        }
        assert!((0..100).all(|place| index.find(15, |at| at == place) == Some(place)));
        index.remove(15, 50);
        assert_eq!(index.find(15, |at| at == 50), None);
        assert_eq!(index.find(15, |at| at == 99), Some(99));
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(steps in proptest::collection::vec((any::<bool>(), 0u32..40, 0u32..6), 0..200)) {
            let mut index = PlaceIndex::default();
            let mut model = HashMap::new();
            for (inserts, place, hash) in steps {
                // Few hashes, at both ends of the table, so that runs meet and wrap around.
                let hash = hash.wrapping_sub(3);
                if inserts && !model.contains_key(&place) {
                    index.insert(hash, place);
                    model.insert(place, hash);
                } else if !inserts && let Some(hash) = model.remove(&place) {
                    index.remove(hash, place);
                }
                prop_assert_eq!(index.len(), model.len());
                for (place, hash) in &model {
                    prop_assert_eq!(index.find(*hash, |at| at == *place), Some(*place));
                }
                for place in 0..40 {
                    let found = (0..6u32).any(|hash| index.find(hash.wrapping_sub(3), |at| at == place).is_some());
                    prop_assert_eq!(found, model.contains_key(&place));
                }
            }
        }
    }
}

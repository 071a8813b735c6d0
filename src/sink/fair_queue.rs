//! The newest items of a run, in bounded memory, of which no single group can take all the room.

use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use hashbrown::HashMap;

/// Keeps up to `capacity` items, the newest of each group.
///
/// Once it is full, the largest group gives up its oldest item; of equally large groups, the one with the oldest. So a storm of
/// one failure leaves the few others where they are.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    capacity: usize,
    len: usize,
    /// Numbers the items in the order in which they came.
    next: u64,
    groups: HashMap<Arc<str>, VecDeque<(u64, T)>, foldhash::fast::RandomState>,
    /// Size, number of the oldest item, and name of each group: the last one gives up an item first.
    by_size: BTreeSet<(usize, Reverse<u64>, Arc<str>)>,
}

impl<T> FairQueue<T> {
    /// An empty queue; it has room for at least one item.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            len: 0,
            next: 0,
            groups: HashMap::default(),
            by_size: BTreeSet::new(),
        }
    }

    /// Takes out the item that has to go before one of the group `name` can come; `None` if there is room.
    pub(crate) fn make_room(&mut self, name: &str) -> Option<T> {
        if self.len < self.capacity {
            return None;
        }
        let (size, _, largest) = self.by_size.last()?;
        let from = match self.groups.get_key_value(name) {
            Some((own, items)) if items.len() == *size => Arc::clone(own),
            _ => Arc::clone(largest),
        };
        self.pop(&from)
    }

    /// Adds an item of the group `name`. Returns the item that had to go, if [`FairQueue::make_room`] made no room before.
    pub(crate) fn push(&mut self, name: &str, item: T) -> Option<T> {
        let evicted = self.make_room(name);
        let name = match self.groups.get_key_value(name) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(name),
        };
        let items = self.groups.entry(Arc::clone(&name)).or_default();
        if let Some((oldest, _)) = items.front() {
            self.by_size
                .remove(&(items.len(), Reverse(*oldest), Arc::clone(&name)));
        }
        items.push_back((self.next, item));
        let oldest = items.front().map_or(self.next, |(number, _)| *number);
        self.by_size.insert((items.len(), Reverse(oldest), name));
        self.next += 1;
        self.len += 1;
        evicted
    }

    /// The items, the newest first.
    #[cfg(any(test, all(feature = "cli", any(live_capture, feature = "otel"))))]
    pub(crate) fn newest_first(&self) -> Vec<&T> {
        let mut items: Vec<_> = self.groups.values().flatten().collect();
        items.sort_by_key(|(number, _)| Reverse(*number));
        items.into_iter().map(|(_, item)| item).collect()
    }

    fn pop(&mut self, name: &Arc<str>) -> Option<T> {
        let items = self.groups.get_mut(name)?;
        let size = items.len();
        let (number, item) = items.pop_front()?;
        self.len -= 1;
        self.by_size
            .remove(&(size, Reverse(number), Arc::clone(name)));
        match items.front() {
            Some((oldest, _)) => {
                self.by_size
                    .insert((size - 1, Reverse(*oldest), Arc::clone(name)));
            }
            None => {
                self.groups.remove(name);
            }
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pushes the characters of `names` as items of the group that each names. Returns what is kept, and what had to go.
    fn kept(capacity: usize, names: &str) -> (String, String) {
        let mut queue = FairQueue::new(capacity);
        let evicted = names
            .chars()
            .filter_map(|name| queue.push(&name.to_lowercase().to_string(), name));
        let evicted = evicted.collect();
        (queue.newest_first().into_iter().collect(), evicted)
    }

    #[test]
    fn a_storm_evicts_its_own() {
        assert_eq!(kept(4, "aBbbbb"), ("bbba".into(), "Bb".into()));
        assert_eq!(kept(3, "Aaabc"), ("cba".into(), "Aa".into()));
    }

    #[test]
    fn of_groups_of_one_size_the_one_with_the_oldest_item_gives_way() {
        assert_eq!(kept(3, "abcd"), ("dcb".into(), "a".into()));
    }

    #[test]
    fn room_that_was_made_is_used() {
        let mut queue = FairQueue::new(1);
        assert_eq!(queue.make_room("a"), None);
        assert_eq!(queue.push("a", 1), None);
        assert_eq!(queue.make_room("b"), Some(1));
        assert_eq!(queue.push("b", 2), None);
        assert_eq!(queue.newest_first(), [&2]);
    }

    proptest! {
        #[test]
        fn it_is_full_but_never_over_and_small_groups_stay(capacity in 3_usize..20, names in "[a-c]{0,99}") {
            let (kept, evicted) = kept(capacity, &names);
            prop_assert_eq!(kept.len(), capacity.min(names.len()));
            prop_assert_eq!(kept.len() + evicted.len(), names.len());
            for name in ['a', 'b', 'c'] {
                let seen = names.matches(name).count();
                let share = seen.min(capacity / 3);
                prop_assert!(kept.matches(name).count() >= share);
            }
        }
    }
}

//! A bounded collection of samples that no single group can fill.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;

/// Keeps up to `capacity` samples.
///
/// Once it is full, the largest group gives up its newest sample for that of a smaller group. So a rare failure has its
/// place next to a flood of another one, whichever came first. Groups that yield do so before the others.
#[derive(Debug)]
pub(super) struct FairShare<T> {
    capacity: usize,
    len: usize,
    groups: HashMap<Arc<str>, Vec<T>, foldhash::fast::RandomState>,
    /// Whether it yields, size and name of each group: the last one gives up a sample first.
    by_size: BTreeSet<(bool, usize, Arc<str>)>,
}

impl<T> FairShare<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            len: 0,
            groups: HashMap::default(),
            by_size: BTreeSet::new(),
        }
    }

    /// Keeps what `sample` makes as a sample of the group `name`, if there is room for it. `yields` is the same for all of a group.
    pub(super) fn offer(&mut self, name: &str, yields: bool, sample: impl FnOnce() -> T) {
        if self.len >= self.capacity && !self.make_room(name, yields) {
            return;
        }
        let name = match self.groups.get_key_value(name) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(name),
        };
        let samples = self.groups.entry(Arc::clone(&name)).or_default();
        let size = samples.len();
        samples.push(sample());
        self.len += 1;
        self.by_size.remove(&(yields, size, Arc::clone(&name)));
        self.by_size.insert((yields, size + 1, name));
    }

    /// The samples, group by group in no particular order.
    pub(super) fn into_samples(self) -> impl Iterator<Item = T> {
        self.groups.into_values().flatten()
    }

    /// Drops a sample of a group that is larger than `name`'s would be; false if there is none.
    fn make_room(&mut self, name: &str, yields: bool) -> bool {
        let grown = self.groups.get(name).map_or(1, |samples| samples.len() + 1);
        let Some((largest_yields, size, _)) = self.by_size.last() else {
            return false;
        };
        if (*largest_yields, *size) <= (yields, grown) {
            return false;
        }
        let Some((yields, size, largest)) = self.by_size.pop_last() else {
            return false;
        };
        self.len -= 1;
        if size <= 1 {
            self.groups.remove(&largest);
            return true;
        }
        if let Some(samples) = self.groups.get_mut(&largest) {
            samples.pop();
        }
        self.by_size.insert((yields, size - 1, largest));
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Offers the numbers of `names` in this order; those in upper case do not yield.
    fn kept(capacity: usize, names: &str) -> Vec<usize> {
        let mut share = FairShare::new(capacity);
        for (number, name) in names.chars().enumerate() {
            share.offer(&name.to_string(), name.is_lowercase(), || number);
        }
        let mut kept: Vec<_> = share.into_samples().collect();
        kept.sort_unstable();
        kept
    }

    #[test]
    fn everything_is_kept_while_there_is_room() {
        assert_eq!(kept(4, "aabc"), [0, 1, 2, 3]);
    }

    #[test]
    fn the_largest_group_makes_room_with_its_newest_sample() {
        assert_eq!(kept(4, "aaaab"), [0, 1, 2, 4]);
        assert_eq!(kept(4, "aaaabbbbbb"), [0, 1, 4, 5]);
    }

    #[test]
    fn a_flood_keeps_its_first_samples() {
        assert_eq!(kept(3, "aaaaaaaa"), [0, 1, 2]);
    }

    #[test]
    fn groups_that_yield_make_room_for_the_others_first() {
        assert_eq!(kept(3, "aaaFFFF"), [3, 4, 5]);
        assert_eq!(kept(3, "FFFa"), [0, 1, 2]);
    }

    proptest! {
        #[test]
        fn the_bound_holds_and_every_group_has_its_share(names in "[a-dA-D]{0,200}", capacity in 1_usize..20) {
            let kept = kept(capacity, &names);
            prop_assert_eq!(kept.len(), capacity.min(names.len()));
            let names: Vec<char> = names.chars().collect();
            for group in 'A'..='D' {
                let of = |numbers: &mut dyn Iterator<Item = usize>| numbers.filter(|&n| names[n] == group).count();
                let (offered, held) = (of(&mut (0..names.len())), of(&mut kept.iter().copied()));
                prop_assert!(held >= offered.min(capacity / 4), "{group}: {held} of {offered}");
            }
        }
    }
}

//! Boxes whose memory the next value takes, so that short-lived values do not go to the allocator each.

use std::ops::{Deref, DerefMut};

/// A value in memory of a [`Pool`].
#[derive(Debug)]
pub(super) struct Pooled<T>(Box<[T; 1]>);

impl<T> Deref for Pooled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let [value] = &*self.0;
        value
    }
}

impl<T> DerefMut for Pooled<T> {
    fn deref_mut(&mut self) -> &mut T {
        let [value] = &mut *self.0;
        value
    }
}

/// Memory for single values that other values have left.
#[derive(Debug)]
pub(super) struct Pool<T> {
    /// Empty, each with room for one value.
    free: Vec<Vec<T>>,
    most: usize,
}

impl<T> Pool<T> {
    /// A pool that keeps the memory of so many values.
    pub(super) const fn of(most: usize) -> Self {
        Self {
            free: Vec::new(),
            most,
        }
    }

    #[inline]
    pub(super) fn make(&mut self, value: T) -> Pooled<T> {
        let mut room = self.free.pop().unwrap_or_else(|| Vec::with_capacity(1));
        room.push(value);
        // It has one value: that was pushed.
        Pooled(room.try_into().unwrap_or_else(|_| unreachable!()))
    }

    /// Drops a value and keeps its memory.
    pub(super) fn take_back(&mut self, pooled: Pooled<T>) {
        if self.free.len() < self.most {
            let value: Box<[T]> = pooled.0;
            let mut room = value.into_vec();
            room.clear();
            self.free.push(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn a_value_takes_the_memory_of_one_that_was_dropped() {
        let mut pool = Pool::of(1);
        let shared = Rc::new(());
        let [first, second] = [1, 2].map(|number| pool.make((number, Rc::clone(&shared))));
        let place = &raw const *first;
        pool.take_back(first);
        pool.take_back(second);
        assert_eq!((Rc::strong_count(&shared), pool.free.len()), (1, 1));
        let mut third = pool.make((3, shared));
        (*third).0 += 1;
        assert_eq!(((*third).0, &raw const *third), (4, place));
    }
}

//! Flows in a bounded table: found by five-tuple, forgotten by age or when room is needed.
//!
//! Each flow belongs to one [`Lifetime`], which says how long it may stay
//! without a packet. For each there is a list in order of age, so that finding
//! the flows to forget costs nothing for those that stay.

use std::hash::{BuildHasher, Hasher as _};
use std::time::Duration;

use foldhash::fast::RandomState;

use crate::flow::FlowKey;
use crate::time::Timestamp;

use super::index::{NOWHERE, PlaceIndex};

/// Where a flow lies in its table; valid until the flow is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowIndex(u32);

/// Where the flow of a key that is looked up probably lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sought(u32);

impl Sought {
    /// Where no flow lies.
    pub const NOTHING: Self = Self(NONE);

    /// The flow itself, once a look at it has shown that it lies there.
    #[must_use]
    pub(crate) const fn found(self) -> FlowIndex {
        FlowIndex(self.0)
    }
}

/// Hashes keys, differently in each run. Tables that share one take each other's [`HashedKey`]s.
#[derive(Clone, Debug, Default)]
pub struct KeyHasher(RandomState);

/// A key and its hash, so that it is hashed once for all tables that it is looked up in.
#[derive(Clone, Copy, Debug)]
pub struct HashedKey {
    /// The key.
    pub key: FlowKey,
    pub(super) hash: u32,
}

impl HashedKey {
    /// A key whose hash is known.
    #[must_use]
    pub(crate) const fn new(key: FlowKey, hash: u32) -> Self {
        Self { key, hash }
    }

    /// The hash, which is another one in each run.
    #[must_use]
    pub(crate) const fn hash(&self) -> u32 {
        self.hash
    }
}

impl KeyHasher {
    /// Hashes a key.
    #[must_use]
    #[inline]
    pub fn hash(&self, key: &FlowKey) -> u32 {
        let mut hasher = self.0.build_hasher();
        let ([low, high], last) = key.words();
        hasher.write_u128(low);
        hasher.write_u128(high);
        hasher.write_u64(last);
        hasher.finish() as u32
    }

    /// The same, together with the key.
    #[must_use]
    #[inline]
    pub fn hashed(&self, key: FlowKey) -> HashedKey {
        let hash = self.hash(&key);
        HashedKey { key, hash }
    }
}

/// How many lifetimes there are.
pub const LIFETIMES: usize = 8;

/// How long a flow may stay without a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Nothing but SYNs and empty segments so far; or a handshake that was given up for lack of room.
    Opening,
    /// A handshake has begun, and no packet of the other side is in view.
    HalfOpen,
    /// A handshake has begun, and the other side, although in view, has sent no byte.
    Unanswered,
    /// A handshake is under way that both sides take part in.
    Handshake,
    /// A handshake was reset: late packets of the other side may tell more.
    Closing,
    /// Anything else.
    Established,
    /// Segments wait for what they acknowledge.
    Waiting,
    /// The connection was reset before TLS: if another host sent the reset, it goes on.
    Reset,
}

impl Lifetime {
    const ALL: [Self; LIFETIMES] = [
        Self::Opening,
        Self::HalfOpen,
        Self::Unanswered,
        Self::Handshake,
        Self::Closing,
        Self::Established,
        Self::Waiting,
        Self::Reset,
    ];

    /// In which order the lists give up flows when the table is full: the cheapest to lose first. Lists of few flows are spared
    /// ([`FlowTable::evict`]).
    const EVICTION: [Self; LIFETIMES] = [
        Self::Reset,
        Self::Opening,
        Self::Established,
        Self::HalfOpen,
        Self::Unanswered,
        Self::Closing,
        Self::Handshake,
        Self::Waiting,
    ];

    /// In which order the lists give up handshakes when these take too much memory: first those that nobody answers, as all of a
    /// flood with invented addresses are, and last those that both sides take part in. Lists of few flows are spared
    /// ([`FlowTable::least_answered`]).
    const HANDSHAKES: [Self; 5] = [
        Self::HalfOpen,
        Self::Unanswered,
        Self::Closing,
        Self::Handshake,
        Self::Waiting,
    ];
}

/// Flows, found by key, bounded in number.
#[derive(Debug)]
pub struct FlowTable<V> {
    index: PlaceIndex,
    entries: Vec<FlowEntry<V>>,
    free: u32,
    lists: [List; LIFETIMES],
    /// Of each lifetime, in nanoseconds; the most is no limit.
    limits: [i64; LIFETIMES],
    /// For so many nanoseconds after an entry took its place in its list it stays there, and is not past any of the limits.
    fresh_within: i64,
    capacity: usize,
    hasher: KeyHasher,
}

#[derive(Debug)]
struct FlowEntry<V> {
    key: FlowKey,
    last_seen: Timestamp,
    /// `last_seen` when the entry took its place in the list.
    listed: Timestamp,
    lifetime: Lifetime,
    previous: u32,
    next: u32,
    value: Option<V>,
}

#[derive(Clone, Copy, Debug)]
struct List {
    oldest: u32,
    newest: u32,
    count: usize,
}

impl List {
    const EMPTY: Self = Self {
        oldest: NONE,
        newest: NONE,
        count: 0,
    };
}

const NONE: u32 = NOWHERE;

/// Entries that a table has room for, whatever it holds, once it had so many.
const FEWEST_KEPT: usize = 256;

/// Entries move in their list at most this often, in nanoseconds: the list's order is exact to this.
const TOUCH_INTERVAL: i64 = 500_000_000;
/// A list is spared by evictions while it has less than one in so many of the flows: it is not what fills the table.
const FEW: usize = 16;
/// How long the oldest flow of such a list may have been quiet: servers answer within a second, as a rule.
const NEWCOMER: Duration = Duration::from_secs(2);

impl<V> FlowTable<V> {
    /// A table of at most `capacity` flows; `limits` are the lifetimes' durations, in the order of [`Lifetime`].
    #[must_use]
    pub fn new(capacity: usize, limits: [Duration; LIFETIMES]) -> Self {
        Self::with_hasher(capacity, limits, KeyHasher::default())
    }

    /// The same, with keys hashed as `hasher` does.
    #[must_use]
    pub fn with_hasher(capacity: usize, limits: [Duration; LIFETIMES], hasher: KeyHasher) -> Self {
        Self {
            index: PlaceIndex::default(),
            entries: Vec::new(),
            free: NONE,
            lists: [List::EMPTY; LIFETIMES],
            limits: limits.map(nanoseconds),
            fresh_within: limits
                .map(nanoseconds)
                .into_iter()
                .fold(TOUCH_INTERVAL, i64::min),
            capacity: capacity.clamp(1, NONE as usize - 1),
            hasher,
        }
    }

    /// How many flows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that a flow takes, without what its value has on the heap: its entry, and its place in the index, which
    /// is between seven eighths and seven sixteenths full.
    pub const BYTES_PER_FLOW: usize = size_of::<FlowEntry<V>>() + PlaceIndex::BYTES_PER_PLACE;

    /// Bytes of memory that the table takes, without what the values have on the heap. It does not shrink.
    #[must_use]
    pub const fn allocated(&self) -> usize {
        self.entries.capacity() * Self::BYTES_PER_FLOW
    }

    /// Bytes of memory that the next insertion adds to what the table takes: 0 while it has a free place.
    #[must_use]
    pub const fn growth(&self) -> usize {
        if self.free != NONE || self.entries.len() < self.entries.capacity() {
            return 0;
        }
        self.next_entries() * Self::BYTES_PER_FLOW
    }

    /// Gives memory back if the table has become much larger than what it holds. Places of flows change: no [`FlowIndex`] is
    /// valid after this.
    pub fn shrink(&mut self) {
        let needed = (2 * self.len()).max(FEWEST_KEPT);
        if self.entries.capacity() / 2 <= needed {
            return;
        }
        let lists = std::mem::replace(&mut self.lists, [List::EMPTY; LIFETIMES]);
        let mut entries = std::mem::replace(&mut self.entries, Vec::with_capacity(needed));
        self.index = PlaceIndex::default();
        self.free = NONE;
        for mut next in lists.map(|list| list.oldest) {
            while let Some(entry) = entries.get_mut(next as usize) {
                let at = self.entries.len() as u32;
                self.index.insert(self.hasher.hash(&entry.key), at);
                self.entries.push(FlowEntry {
                    value: entry.value.take(),
                    ..*entry
                });
                next = entry.next;
                self.link(at);
            }
        }
    }

    /// Whether the next insertion needs [`FlowTable::evict`] first.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.capacity
    }

    /// Begins to look for a flow. It takes as long as memory does, so look-ups for several flows, begun one after the other and
    /// ended later, wait for memory together.
    #[must_use]
    #[inline]
    pub fn seek(&self, hash: u32) -> Sought {
        Sought(self.index.first(hash))
    }

    /// The same, apart from what most packets take.
    #[must_use]
    #[cold]
    #[inline(never)]
    pub fn seek_again(&self, hash: u32) -> Sought {
        self.seek(hash)
    }

    /// The hash of a key in this table.
    #[must_use]
    #[inline]
    pub fn hash(&self, key: &FlowKey) -> u32 {
        self.hasher.hash(key)
    }

    /// Hashes a key as this table does.
    #[must_use]
    #[inline]
    pub fn hashed(&self, key: FlowKey) -> HashedKey {
        self.hasher.hashed(key)
    }

    /// Reads what will be looked at of a flow that is sought, so that it is in the cache then; `read` does so in the flow itself.
    #[inline]
    pub fn approach(&self, sought: Sought, read: impl FnOnce(Option<&V>) -> u64) -> u64 {
        let Some(entry) = self.entries.get(sought.0 as usize) else {
            return 0;
        };
        let links = u64::from(entry.next) + entry.lifetime as u64;
        links.wrapping_add(read(entry.value.as_ref()))
    }

    /// Notes that a flow was seen, and belongs to a lifetime, if it lies where it was sought, is not past the one it had, and
    /// `is_nothing_else` says so of it. False, with nothing noted, otherwise.
    ///
    /// The same as [`FlowTable::find_sought`], [`FlowTable::is_expired`], [`FlowTable::get_mut`] and [`FlowTable::touch`], with one
    /// look at the entry.
    #[inline(always)]
    pub fn pass(
        &mut self,
        key: &FlowKey,
        sought: Sought,
        (lifetime, now): (Lifetime, Timestamp),
        is_nothing_else: impl FnOnce(Option<&mut V>) -> bool,
    ) -> bool {
        let Some(entry) = self.entries.get_mut(sought.0 as usize) else {
            return false;
        };
        if entry.key != *key {
            return false;
        }
        // As is nearly always so: not past any lifetime, and not due.
        let age = now.wrapping_since(entry.listed).cast_unsigned();
        let is_fresh = entry.lifetime == lifetime && age < self.fresh_within.cast_unsigned();
        if !is_fresh && entry.is_expired(&self.limits, now) {
            return false;
        }
        if !is_nothing_else(entry.value.as_mut()) {
            return false;
        }
        entry.last_seen = now;
        if !is_fresh && (entry.lifetime != lifetime || entry.is_due(now)) {
            self.move_up(sought.0, lifetime, now);
        }
        true
    }

    /// Finds the flow that was sought, wherever it lies by now.
    #[must_use]
    #[inline]
    pub fn find_sought(&self, key: &HashedKey, sought: Sought) -> Option<FlowIndex> {
        let probable = self.entries.get(sought.0 as usize);
        if probable.is_some_and(|entry| entry.key == key.key && entry.value.is_some()) {
            return Some(FlowIndex(sought.0));
        }
        self.find_hashed(key)
    }

    /// Finds the flow of a key.
    #[must_use]
    pub fn find_hashed(&self, key: &HashedKey) -> Option<FlowIndex> {
        let entries = &self.entries;
        let is_it = |at: u32| entries[at as usize].key == key.key;
        self.index.find(key.hash, is_it).map(FlowIndex)
    }

    /// Finds a flow.
    #[must_use]
    pub fn find(&self, key: &FlowKey) -> Option<FlowIndex> {
        self.find_hashed(&self.hashed(*key))
    }

    /// Puts a flow in that is not there yet.
    pub fn insert(
        &mut self,
        key: FlowKey,
        value: V,
        lifetime: Lifetime,
        now: Timestamp,
    ) -> FlowIndex {
        self.insert_hashed(&self.hashed(key), value, lifetime, now)
    }

    /// The same, with a key that is hashed already.
    pub fn insert_hashed(
        &mut self,
        key: &HashedKey,
        value: V,
        lifetime: Lifetime,
        now: Timestamp,
    ) -> FlowIndex {
        let entry = FlowEntry {
            key: key.key,
            last_seen: now,
            listed: now,
            lifetime,
            previous: NONE,
            next: NONE,
            value: Some(value),
        };
        let at = self.free;
        let at = if at == NONE {
            self.grow();
            self.entries.push(entry);
            self.entries.len() as u32 - 1
        } else {
            self.free = self.entries[at as usize].next;
            self.entries[at as usize] = entry;
            at
        };
        self.index.insert(key.hash, at);
        self.link(at);
        FlowIndex(at)
    }

    /// Makes room for an entry: twice as much as before, but never more than the table may have.
    fn grow(&mut self) {
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(self.next_entries());
        }
    }

    /// How many entries are added when there is no room for one more.
    const fn next_entries(&self) -> usize {
        let length = self.entries.len();
        let most = self.capacity.saturating_sub(length);
        match (length, most) {
            (0, _) | (_, 0) => 1,
            _ if length < most => length,
            _ => most,
        }
    }

    /// The flow at `at`.
    #[must_use]
    pub fn get(&self, at: FlowIndex) -> Option<&V> {
        self.entries.get(at.0 as usize)?.value.as_ref()
    }

    /// The flow at `at`, to change it.
    pub fn get_mut(&mut self, at: FlowIndex) -> Option<&mut V> {
        self.entries.get_mut(at.0 as usize)?.value.as_mut()
    }

    /// The key of the flow at `at`.
    #[must_use]
    pub fn key(&self, at: FlowIndex) -> FlowKey {
        self.entries[at.0 as usize].key
    }

    /// Whether the flow at `at` had outlived its lifetime by `now`.
    #[must_use]
    pub fn is_expired(&self, at: FlowIndex, now: Timestamp) -> bool {
        self.entries[at.0 as usize].is_expired(&self.limits, now)
    }

    /// Time since the flow at `at` was seen, exact to half a second.
    #[must_use]
    pub fn idle(&self, at: FlowIndex, now: Timestamp) -> Duration {
        let last_seen = self.entries[at.0 as usize].last_seen;
        now.checked_since(last_seen).unwrap_or_default()
    }

    /// The flow of a lifetime that was not seen for longest.
    #[must_use]
    pub fn oldest(&self, lifetime: Lifetime) -> Option<FlowIndex> {
        let oldest = self.lists[lifetime as usize].oldest;
        (oldest != NONE).then_some(FlowIndex(oldest))
    }

    /// The handshake to lose at `now`, when all together take too much memory: of those that have least of an answer, the one that
    /// was not seen for longest.
    ///
    /// What fills the memory may as well be handshakes that a server has answered. Every handshake begins without an answer: if
    /// those went first, each would be lost as it begins, until the others time out. So a list is spared while it has few flows, the
    /// oldest of them is a newcomer, and `is_large` does not say that this one takes much.
    #[must_use]
    pub fn least_answered(
        &self,
        now: Timestamp,
        is_large: impl Fn(&V) -> bool,
    ) -> Option<FlowIndex> {
        self.cheapest(&Lifetime::HANDSHAKES, now, is_large)
    }

    /// The oldest flow of the first list in an order that is not to be spared.
    fn cheapest(
        &self,
        order: &[Lifetime],
        now: Timestamp,
        is_large: impl Fn(&V) -> bool,
    ) -> Option<FlowIndex> {
        let list = |lifetime: &Lifetime| &self.lists[*lifetime as usize];
        let total: usize = order.iter().map(|lifetime| list(lifetime).count).sum();
        let is_spared = |lifetime: &Lifetime, oldest: FlowIndex| {
            // What is established has nothing to lose.
            *lifetime != Lifetime::Established
                && list(lifetime).count < total / FEW
                && self.idle(oldest, now) < NEWCOMER
                && !self.get(oldest).is_some_and(&is_large)
        };
        // One list has more than a sixteenth of all, as there are fewer lists.
        order
            .iter()
            .filter_map(|lifetime| Some((lifetime, self.oldest(*lifetime)?)))
            .find(|(lifetime, oldest)| !is_spared(lifetime, *oldest))
            .map(|(_, oldest)| oldest)
    }

    /// A handshake without an answer that has been quiet for `patience`.
    #[must_use]
    pub fn unanswered_for(&self, patience: Duration, now: Timestamp) -> Option<FlowIndex> {
        self.quiet_in(&[Lifetime::HalfOpen, Lifetime::Unanswered], patience, now)
    }

    /// A handshake that has been quiet for a `pause`.
    #[must_use]
    pub fn quiet_for(&self, pause: Duration, now: Timestamp) -> Option<FlowIndex> {
        self.quiet_in(&Lifetime::HANDSHAKES, pause, now)
    }

    /// The oldest flow of the first of these lists in which it has been quiet for so long.
    fn quiet_in(&self, lists: &[Lifetime], quiet: Duration, now: Timestamp) -> Option<FlowIndex> {
        lists
            .iter()
            .filter_map(|lifetime| self.oldest(*lifetime))
            .find(|at| self.idle(*at, now) >= quiet)
    }

    /// Notes that the flow at `at` was seen, and to which lifetime it belongs now.
    #[inline]
    pub fn touch(&mut self, at: FlowIndex, lifetime: Lifetime, now: Timestamp) {
        let entry = &mut self.entries[at.0 as usize];
        entry.last_seen = now;
        if entry.lifetime != lifetime || entry.is_due(now) {
            self.move_up(at.0, lifetime, now);
        }
    }

    /// Moves the flow at `at` to the end of the list of a lifetime.
    #[inline(never)]
    fn move_up(&mut self, at: u32, lifetime: Lifetime, now: Timestamp) {
        self.unlink(at);
        let entry = &mut self.entries[at as usize];
        entry.lifetime = lifetime;
        entry.listed = now;
        self.link(at);
    }

    /// A flow that has outlived its lifetime by `now`; the caller removes it.
    pub fn expired(&mut self, now: Timestamp) -> Option<FlowIndex> {
        if self.is_empty() {
            return None; // as most tables for datagrams are
        }
        for list in 0..LIFETIMES {
            loop {
                let at = self.lists[list].oldest;
                if at == NONE {
                    break;
                }
                if self.is_expired(FlowIndex(at), now) {
                    return Some(FlowIndex(at));
                }
                let entry = &self.entries[at as usize];
                if entry.listed == entry.last_seen {
                    break;
                }
                // Seen since it took its place: now it takes a new one.
                self.unlink(at);
                let entry = &mut self.entries[at as usize];
                entry.listed = entry.last_seen;
                self.link(at);
            }
        }
        None
    }

    /// The flow to lose at `now`, when the table is full; `None` if it is empty. The caller removes it.
    ///
    /// A list is spared while it has few flows, and the oldest of them is a newcomer: connections that open during a flood of others
    /// that are established.
    #[must_use]
    pub fn evict(&self, now: Timestamp) -> Option<FlowIndex> {
        self.cheapest(&Lifetime::EVICTION, now, |_| false)
    }

    /// Takes a flow out.
    pub fn remove(&mut self, at: FlowIndex) -> Option<V> {
        let entry = self.entries.get(at.0 as usize)?;
        entry.value.as_ref()?;
        let hash = self.hashed(entry.key).hash;
        self.index.remove(hash, at.0);
        self.unlink(at.0);
        let entry = &mut self.entries[at.0 as usize];
        entry.next = self.free;
        self.free = at.0;
        entry.value.take()
    }

    /// Any flow that is left, for the end of a run; the caller removes it.
    #[must_use]
    pub fn any(&self) -> Option<FlowIndex> {
        Lifetime::ALL
            .iter()
            .map(|lifetime| self.lists[*lifetime as usize].oldest)
            .find(|at| *at != NONE)
            .map(FlowIndex)
    }

    fn link(&mut self, at: u32) {
        let lifetime = self.entries[at as usize].lifetime as usize;
        let newest = self.lists[lifetime].newest;
        let entry = &mut self.entries[at as usize];
        (entry.previous, entry.next) = (newest, NONE);
        match self.entries.get_mut(newest as usize) {
            Some(before) => before.next = at,
            None => self.lists[lifetime].oldest = at,
        }
        self.lists[lifetime].newest = at;
        self.lists[lifetime].count += 1;
    }

    fn unlink(&mut self, at: u32) {
        let entry = &self.entries[at as usize];
        let (previous, next, lifetime) = (entry.previous, entry.next, entry.lifetime as usize);
        match self.entries.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => self.lists[lifetime].oldest = next,
        }
        match self.entries.get_mut(next as usize) {
            Some(after) => after.previous = previous,
            None => self.lists[lifetime].newest = previous,
        }
        self.lists[lifetime].count -= 1;
    }
}

impl<V> FlowEntry<V> {
    /// Whether it had outlived its lifetime by `now`.
    fn is_expired(&self, limits: &[i64; LIFETIMES], now: Timestamp) -> bool {
        let limit = limits[self.lifetime as usize];
        now.nanoseconds_since(self.last_seen) >= limit && limit < i64::MAX
    }

    /// Whether it has to move in its list if it is seen `now`.
    #[inline]
    fn is_due(&self, now: Timestamp) -> bool {
        !(0..TOUCH_INTERVAL).contains(&now.nanoseconds_since(self.listed))
    }
}

/// A duration as packet time counts it.
fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(super) mod testing {
    use crate::flow::{FlowKey, IpProtocol};

    /// A key that differs from others in its port.
    pub(in super::super) fn key(port: u16) -> FlowKey {
        FlowKey::new(IpProtocol::Tcp, ([1; 16], port), ([2; 16], 443)).0
    }
}

#[cfg(test)]
mod tests {
    use super::testing::key;
    use super::*;

    const LIMITS: [Duration; LIFETIMES] = [
        Duration::from_secs(1),
        Duration::from_secs(10),
        Duration::from_secs(10),
        Duration::from_secs(10),
        Duration::from_secs(2),
        Duration::from_secs(100),
        Duration::from_secs(30),
        Duration::from_secs(2),
    ];

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn drain(table: &mut FlowTable<u16>, now: Timestamp) -> Vec<u16> {
        std::iter::from_fn(|| {
            let at = table.expired(now)?;
            table.remove(at)
        })
        .collect()
    }

    #[test]
    fn finds_what_was_put_in_and_not_what_was_taken_out() {
        let mut table = FlowTable::new(8, LIMITS);
        let one = table.insert(key(1), 1, Lifetime::Opening, at(0));
        table.insert(key(2), 2, Lifetime::Opening, at(0));
        assert_eq!(table.find(&key(1)), Some(one));
        assert_eq!(table.remove(one), Some(1));
        assert_eq!(table.find(&key(1)), None);
        assert_eq!(table.remove(one), None);
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn a_flow_that_is_sought_is_found_whatever_happened_since() {
        let mut table = FlowTable::<u32>::new(100, LIMITS);
        let keys = [1, 2, 3].map(|port| table.hashed(key(port)));
        let sought = keys.map(|key| table.seek(key.hash));
        let one = table.insert(key(1), 1, Lifetime::Opening, at(0));
        assert_eq!(table.find_sought(&keys[0], sought[0]), Some(one));
        let sought = table.seek(keys[0].hash);
        assert_eq!(
            table.approach(sought, |value| value.copied().map_or(0, u64::from)),
            u64::from(NONE) + 1
        );
        table.remove(one);
        assert_eq!(table.find_sought(&keys[0], sought), None);
        let two = table.insert(key(2), 2, Lifetime::Opening, at(0));
        let again = table.insert(key(1), 3, Lifetime::Opening, at(0));
        assert_eq!(two, one, "in the same place");
        assert_eq!(table.find_sought(&keys[0], sought), Some(again));
    }

    #[test]
    fn forgets_each_flow_after_its_own_lifetime() {
        let mut table = FlowTable::new(8, LIMITS);
        table.insert(key(1), 1, Lifetime::Opening, at(0));
        table.insert(key(2), 2, Lifetime::Handshake, at(0));
        table.insert(key(3), 3, Lifetime::Established, at(0));
        assert_eq!(drain(&mut table, at(1)), [1]);
        assert!(drain(&mut table, at(9)).is_empty());
        assert_eq!(drain(&mut table, at(10)), [2]);
        assert_eq!(drain(&mut table, at(1000)), [3]);
        assert!(table.is_empty());
    }

    #[test]
    fn a_touched_flow_stays() {
        let mut table = FlowTable::new(8, LIMITS);
        let one = table.insert(key(1), 1, Lifetime::Handshake, at(0));
        table.insert(key(2), 2, Lifetime::Handshake, at(1));
        table.touch(one, Lifetime::Handshake, Timestamp::from_nanoseconds(100));
        table.touch(one, Lifetime::Handshake, at(5));
        assert_eq!(drain(&mut table, at(11)), [2]);
        assert_eq!(drain(&mut table, at(15)), [1]);
    }

    #[test]
    fn evicts_opening_and_established_flows_before_handshakes() {
        let mut table = FlowTable::new(3, LIMITS);
        table.insert(key(1), 1, Lifetime::Handshake, at(0));
        table.insert(key(2), 2, Lifetime::Opening, at(1));
        table.insert(key(3), 3, Lifetime::Established, at(2));
        assert!(table.is_full());
        let mut lost = Vec::new();
        while let Some(at) = table.evict(at(3)) {
            lost.extend(table.remove(at));
        }
        assert_eq!(lost, [2, 3, 1]);
    }

    #[test]
    fn handshakes_without_an_answer_are_lost_before_those_with_one_however_old() {
        let mut table = FlowTable::new(8, LIMITS);
        table.insert(key(1), 1, Lifetime::Handshake, at(0));
        table.insert(key(2), 2, Lifetime::Unanswered, at(1));
        table.insert(key(3), 3, Lifetime::HalfOpen, at(3));
        table.insert(key(4), 4, Lifetime::HalfOpen, at(2));
        table.insert(key(5), 5, Lifetime::Established, at(0));
        let mut lost = Vec::new();
        while let Some(at) = table.least_answered(at(4), |_| false) {
            lost.extend(table.remove(at));
        }
        // In a list, the order of insertion is that of age.
        assert_eq!(lost, [3, 4, 2, 1]);
    }

    #[test]
    fn a_few_newcomers_without_an_answer_outlive_a_flood_of_answered_handshakes() {
        let mut table = FlowTable::new(100, LIMITS);
        for port in 0..60 {
            table.insert(key(port), port, Lifetime::Handshake, at(0));
        }
        let newcomer = table.insert(key(60), 60, Lifetime::HalfOpen, at(4));
        let oldest = table.find(&key(0));
        assert_eq!(table.least_answered(at(5), |_| false), oldest);
        // Unless it has had its time, takes much, or is one of many.
        assert_eq!(table.least_answered(at(6), |_| false), Some(newcomer));
        let is_large = |port: &u16| *port == 60;
        assert_eq!(table.least_answered(at(5), is_large), Some(newcomer));
        for port in 61..64 {
            table.insert(key(port), port, Lifetime::HalfOpen, at(4));
        }
        assert_eq!(table.least_answered(at(5), |_| false), Some(newcomer));
    }

    #[test]
    fn a_connection_that_opens_outlives_a_flood_of_established_ones() {
        let mut table = FlowTable::new(100, LIMITS);
        for port in 0..60 {
            table.insert(key(port), port, Lifetime::Established, at(0));
        }
        let newcomer = table.insert(key(60), 60, Lifetime::Opening, at(4));
        assert_eq!(table.evict(at(5)), table.find(&key(0)));
        assert_eq!(table.evict(at(6)), Some(newcomer));
    }

    #[test]
    fn patience_with_handshakes_ends_only_for_those_without_an_answer() {
        let patience = Duration::from_secs(5);
        let mut table = FlowTable::new(8, LIMITS);
        table.insert(key(1), 1, Lifetime::Handshake, at(0));
        let one = table.insert(key(2), 2, Lifetime::Unanswered, at(1));
        assert_eq!(table.unanswered_for(patience, at(5)), None);
        assert_eq!(table.unanswered_for(patience, at(6)), Some(one));
    }

    #[test]
    fn a_full_table_takes_what_was_said_and_no_more() {
        let mut table = FlowTable::new(1000, LIMITS);
        for port in 0..1000 {
            table.insert(key(port), port, Lifetime::Opening, at(0));
        }
        assert!(table.is_full());
        assert_eq!(table.allocated(), 1000 * FlowTable::<u16>::BYTES_PER_FLOW);
    }

    #[test]
    fn a_table_that_shrinks_keeps_its_flows_and_their_order() {
        let mut table = FlowTable::new(100_000, LIMITS);
        for port in 0..20_000u16 {
            assert_eq!(
                table.growth() > 0,
                table.entries.len() == table.entries.capacity()
            );
            let lifetime = match port % 2 {
                0 => Lifetime::HalfOpen,
                _ => Lifetime::Established,
            };
            table.insert(key(port), port, lifetime, at(i64::from(port)));
        }
        let before = table.allocated();
        table.shrink();
        assert_eq!(table.allocated(), before, "it is not much too large");
        for port in 10..20_000u16 {
            let index = table.find(&key(port)).unwrap();
            table.remove(index);
        }
        table.shrink();
        assert!(table.allocated() < before / 50, "{}", table.allocated());
        assert_eq!(table.len(), 10);
        for port in 0..10 {
            let index = table.find(&key(port)).unwrap();
            assert_eq!(table.get(index), Some(&port));
        }
        table.insert(key(10), 10, Lifetime::HalfOpen, at(9));
        let mut lost = Vec::new();
        while let Some(at) = table.evict(at(10_000)) {
            lost.extend(table.remove(at));
        }
        assert_eq!(lost, [1, 3, 5, 7, 9, 0, 2, 4, 6, 8, 10]);
    }

    #[test]
    fn many_insertions_and_removals_reuse_the_same_room() {
        let mut table = FlowTable::new(100, LIMITS);
        for port in 0..10_000u16 {
            if table.is_full() {
                let at = table.evict(at(i64::from(port))).unwrap();
                table.remove(at);
            }
            table.insert(key(port), port, Lifetime::Opening, at(i64::from(port)));
        }
        assert_eq!(table.len(), 100);
        assert_eq!(table.entries.len(), 100);
        assert!((9_900..10_000).all(|port| table.find(&key(port)).is_some()));
    }
}

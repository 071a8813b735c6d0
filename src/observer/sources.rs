//! The files and interfaces that connections came from, by number: a connection without TLS costs four bytes for its own.

use std::num::NonZeroU32;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// The number of a source among those of a shard, from 1.
pub(super) type SourceId = NonZeroU32;

/// The sources that a shard has seen: as many as the user named, since all interfaces of a file are one source.
#[derive(Debug, Default)]
pub(super) struct Sources {
    list: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, SourceId, RandomState>,
    /// The last that was asked for: most packets come from the same source as the one before.
    last: Option<SourceId>,
}

impl Sources {
    /// The number of `source`, which is added if it is new.
    pub(super) fn id(&mut self, source: &Arc<str>) -> Option<SourceId> {
        let last = self.last.and_then(|last| self.get(last));
        if last.is_some_and(|last| Arc::ptr_eq(last, source)) {
            return self.last;
        }
        self.last = match self.ids.get(source) {
            Some(id) => Some(*id),
            None => self.add(source),
        };
        self.last
    }

    fn add(&mut self, source: &Arc<str>) -> Option<SourceId> {
        let id = SourceId::new(u32::try_from(self.list.len() + 1).ok()?)?;
        self.list.push(Arc::clone(source));
        self.ids.insert(Arc::clone(source), id);
        Some(id)
    }

    /// The source with this number.
    pub(super) fn get(&self, id: SourceId) -> Option<&Arc<str>> {
        self.list.get(id.get() as usize - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_keeps_its_number() {
        let mut sources = Sources::default();
        let [a, b]: [Arc<str>; 2] = ["a.pcap".into(), "b.pcap".into()];
        let ids = [&a, &b, &a, &b, &"a.pcap".into()].map(|source| sources.id(source).unwrap());
        assert_eq!([ids[0], ids[1], ids[0]], [ids[2], ids[3], ids[4]]);
        assert_ne!(ids[0], ids[1]);
        assert_eq!(sources.get(ids[1]), Some(&b));
        assert_eq!(sources.get(SourceId::MAX), None);
    }
}

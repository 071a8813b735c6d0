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
    /// The first. Most runs have no other, and it takes no allocation.
    first: Option<Arc<str>>,
    /// Those after the first.
    others: Vec<Arc<str>>,
    /// The numbers of those after the first.
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
        let first = self.first.get_or_insert_with(|| Arc::clone(source));
        self.last = if first == source {
            Some(SourceId::MIN)
        } else {
            let known = self.ids.get(source).copied();
            known.or_else(|| self.add(source))
        };
        self.last
    }

    fn add(&mut self, source: &Arc<str>) -> Option<SourceId> {
        let id = SourceId::new(u32::try_from(self.others.len() + 2).ok()?)?;
        self.others.push(Arc::clone(source));
        self.ids.insert(Arc::clone(source), id);
        Some(id)
    }

    /// The source with this number.
    pub(super) fn get(&self, id: SourceId) -> Option<&Arc<str>> {
        match id.get() {
            1 => self.first.as_ref(),
            number => self.others.get(number as usize - 2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_keeps_its_number() {
        let mut sources = Sources::default();
        let names: [Arc<str>; 3] = ["a.pcap", "b.pcap", "c.pcap"].map(Arc::from);
        let ids = names.each_ref().map(|name| sources.id(name).unwrap());
        for (name, id) in names.iter().zip(ids) {
            assert_eq!(sources.get(id), Some(name));
            let copy: Arc<str> = Arc::from(&**name);
            assert_eq!(sources.id(&copy), Some(id));
        }
        assert_ne!(ids[1], ids[2]);
        assert_eq!(sources.get(SourceId::MAX), None);
        assert_eq!(Sources::default().get(SourceId::MIN), None);
    }
}

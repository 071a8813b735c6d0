//! Texts that many events have, each held once: names of servers, application protocols, the order of messages.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// The texts seen last, for events to share.
///
/// Bounded, and a hit is compared in full. Hits and misses differ in time only, and in what is allocated.
#[derive(Debug, Default)]
pub struct TextCache {
    hasher: RandomState,
    places: Vec<Option<Arc<str>>>,
}

/// How many texts are kept: a text has one place, and gives way to the next one with that place.
///
/// A guess: a few times as many as the servers that most networks have.
const PLACES: usize = 512;

/// Bytes of a text beyond which it is not kept: the longest name of a host (RFC 1035 §2.3.4). This bounds a cache to 150 KB.
const LONGEST: usize = 255;

impl TextCache {
    /// A text, which events share.
    pub fn share(&mut self, text: &str) -> Arc<str> {
        if text.len() > LONGEST {
            return text.into();
        }
        if self.places.is_empty() {
            self.places.resize(PLACES, None);
        }
        let place = &mut self.places[self.hasher.hash_one(text) as usize % PLACES];
        if let Some(known) = place.as_ref().filter(|known| ***known == *text) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = text.into();
        *place = Some(Arc::clone(&shared));
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_shared_and_others_are_what_they_were() {
        let mut cache = TextCache::default();
        for number in 0..2_000 {
            let text = format!("{number}.example.org");
            let first = cache.share(&text);
            let again = cache.share(&text);
            assert_eq!(*first, *text);
            assert!(Arc::ptr_eq(&first, &again));
        }
        assert_eq!(cache.places.len(), PLACES);
    }

    #[test]
    fn a_long_text_is_not_kept() {
        let mut cache = TextCache::default();
        for (length, is_kept) in [(LONGEST, true), (LONGEST + 1, false)] {
            let text = "a".repeat(length);
            let [first, again] = [(); 2].map(|()| cache.share(&text));
            assert_eq!(
                (*first == *text, Arc::ptr_eq(&first, &again)),
                (true, is_kept)
            );
        }
    }
}

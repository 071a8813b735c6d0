//! Lists of code points in hellos, each held once: most programs have theirs from a library, so a network shows few different ones.

use std::sync::Arc;

use super::{CipherSuite, CodePoint, NamedGroup, ProtocolVersion, SignatureScheme};

/// The lists seen last, for events to share.
///
/// Bounded, and a hit is compared in full. Hits and misses differ in time only, and in what is allocated.
#[derive(Debug, Default)]
pub struct ListCache {
    versions: Places<ProtocolVersion>,
    cipher_suites: Places<CipherSuite>,
    groups: Places<NamedGroup>,
    signature_schemes: Places<SignatureScheme>,
}

/// How many lists of a kind are kept: a list has one place, and gives way to the next one with that place.
///
/// A guess: GREASE makes up to 16 lists of each kind of one program.
const PLACES: usize = 256;

/// Longer lists are not kept. Those of browsers have up to 20 values; this bounds a cache to 512 KB.
const LONGEST: usize = 256;

/// Implements the methods that share a list.
macro_rules! lists {
    ($($share:ident($place:ident): $type:ident, $what:literal;)*) => {
        impl ListCache {
            $(#[doc = concat!("A list of ", $what, ", which events share.")]
            pub fn $share(&mut self, list: &[$type]) -> Arc<[$type]> {
                self.$place.share(list)
            })*
        }
    };
}

lists! {
    share_versions(versions): ProtocolVersion, "versions";
    share_cipher_suites(cipher_suites): CipherSuite, "cipher suites";
    share_groups(groups): NamedGroup, "groups";
    share_signature_schemes(signature_schemes): SignatureScheme, "signature schemes";
}

/// Lists of one kind, each in the place that its values choose.
#[derive(Debug)]
struct Places<T>(Vec<Option<Arc<[T]>>>);

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: CodePoint> Places<T> {
    fn share(&mut self, list: &[T]) -> Arc<[T]> {
        if list.len() > LONGEST {
            return list.into();
        }
        if self.0.is_empty() {
            self.0.resize_with(PLACES, || None);
        }
        let place = &mut self.0[place_of(list)];
        if let Some(known) = place.as_ref().filter(|known| is_same(known, list)) {
            return Arc::clone(known);
        }
        let shared: Arc<[T]> = list.into();
        *place = Some(Arc::clone(&shared));
        shared
    }
}

/// Depends on all values and their order. The compiler makes vector operations of it, and of [`is_same`].
fn place_of<T: CodePoint>(list: &[T]) -> usize {
    let mix = |mixed: u16, (index, value): (u16, &T)| {
        mixed.wrapping_add(value.code().wrapping_mul(2 * index + 1))
    };
    let mixed = (0..LONGEST as u16).zip(list).fold(list.len() as u16, mix);
    usize::from(mixed ^ mixed >> 8) % PLACES
}

/// Without an early end, which the compiler could not make vector operations of.
fn is_same<T: CodePoint>(known: &[T], list: &[T]) -> bool {
    let pairs = known.iter().zip(list);
    let differences = pairs.fold(0, |all, (known, value)| all | known.code() ^ value.code());
    known.len() == list.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suites(codes: impl IntoIterator<Item = u16>) -> Vec<CipherSuite> {
        codes.into_iter().map(CipherSuite).collect()
    }

    #[test]
    fn equal_lists_are_shared_and_others_are_what_they_were() {
        let mut cache = ListCache::default();
        // Many more lists than places, of all lengths: each takes the place of others.
        let lists =
            |number: u16| suites((0..number % 40).map(|index| index.wrapping_mul(number) ^ number));
        for number in 0..2_000 {
            let list = lists(number);
            let first = cache.share_cipher_suites(&list);
            let again = cache.share_cipher_suites(&list);
            assert_eq!(*first, *list);
            assert!(Arc::ptr_eq(&first, &again), "{number}");
        }
    }

    #[test]
    fn lists_that_differ_in_one_thing_are_not_mixed_up() {
        let list = suites([0x0a0a, 0x1301, 0x1302, 0xc02f]);
        let changes: [fn(&mut Vec<CipherSuite>); 5] = [
            |list| list.swap(1, 2),
            |list| list.truncate(3),
            |list| list.push(CipherSuite(0)),
            |list| list[0] = CipherSuite(0x1a1a),
            |list| list.clear(),
        ];
        for change in changes {
            let mut other = list.clone();
            change(&mut other);
            assert!(!is_same(&list, &other) && !is_same(&other, &list));
        }
        assert!(is_same(&list, &list.clone()));
    }

    #[test]
    fn a_long_list_is_not_kept() {
        let mut cache = ListCache::default();
        for (length, is_kept) in [(LONGEST, true), (LONGEST + 1, false)] {
            let list = suites(0..length as u16);
            let [first, again] = [(); 2].map(|()| cache.share_cipher_suites(&list));
            assert_eq!(
                (*first == *list, Arc::ptr_eq(&first, &again)),
                (true, is_kept)
            );
        }
    }

    #[test]
    fn the_order_of_values_chooses_the_place() {
        let list = suites(0x1301..0x1301 + 20);
        let mut reversed = list.clone();
        reversed.reverse();
        assert_ne!(place_of(&list), place_of(&reversed));
    }
}

//! A cache of parsed certificates and chains, so that each is parsed once.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::{Certificate, CertificateChain, CertificateFacts, OwnSignature};

/// How many certificates of one message are kept; the others are dropped.
///
/// This is OpenSSL's default verification depth. Honest chains have two to five
/// certificates; a few servers send a whole bundle of roots by mistake.
pub const MAX_CHAIN_LENGTH: usize = 100;

/// Certificates of one chain whose signature is checked by their own key. Honest chains have one that names itself as its issuer, at their
/// end. A check takes up to 0.7 ms (P-384).
const MAX_OWN_SIGNATURES: usize = 4;

/// Bytes in either half of a table, if nothing else is said: four times this for the two tables here, and twice this for
/// validations.
///
/// Enough for about 1,000 distinct leaves with their issuers, which is more than
/// most networks show before they repeat; and small compared to the flow table.
const MAX_BYTES: usize = 4 << 20;

/// The cost of an entry on top of its contents: table slot, reference counts, allocations. A guess on the safe side.
const ENTRY_BYTES: usize = 512;

/// Chains that are found by a few bytes: more than most networks show, and so few that they take no memory to speak of.
const LATEST: usize = 64;
/// Bytes of a chain beyond which it is not among them: usual ones have 2 to 6 KB. So they keep 1 MB at most.
const LONGEST_LATEST: usize = 16 << 10;

/// Where a chain with this leaf is among the latest: by the end of its signature, which differs in all certificates.
fn place_of(leaf: &[u8]) -> usize {
    let end = leaf.last_chunk().map_or(0, |end| u64::from_le_bytes(*end));
    (end % LATEST as u64) as usize
}

/// Parsed chains, shared by all handshakes that show the same bytes.
///
/// Bounded, and keyed by the bytes themselves: a hit is compared in full, so that
/// no hash collision can mix up two chains. Hits and misses differ in time only.
#[derive(Debug, Default)]
pub struct ChainCache {
    /// The chains of the last handshakes, found by a few bytes: each is compared in full, and there is one for each place, so no peer can
    /// make a look-up long. To hash all bytes of a chain takes twice as long as to compare them.
    latest: Vec<Option<CertificateChain>>,
    hasher: RandomState,
    chains: Generations<CertificateChain>,
    certificates: Generations<Arc<Certificate>>,
}

impl ChainCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty cache that takes about `bytes` of memory at most, but no less than a few megabytes.
    #[must_use]
    pub fn within(bytes: usize) -> Self {
        let half = (bytes / 4).clamp(MAX_BYTES / 4, MAX_BYTES);
        Self {
            latest: Vec::new(),
            hasher: RandomState::default(),
            chains: Generations::within(half),
            certificates: Generations::within(half),
        }
    }

    /// The chain of these DER certificates, of which at most [`MAX_CHAIN_LENGTH`] are kept.
    ///
    /// A chain seen recently is found without parsing or allocating anything.
    ///
    /// # Example
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tlscope::certificate::ChainCache;
    ///
    /// let mut cache = ChainCache::new();
    /// let first = cache.chain([&b"leaf"[..], b"issuer"].into_iter());
    /// let again = cache.chain([&b"leaf"[..], b"issuer"].into_iter());
    /// assert_eq!(first.len(), 2);
    /// assert!(Arc::ptr_eq(&first, &again));
    /// ```
    pub fn chain<'a>(
        &mut self,
        certificates: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> CertificateChain {
        let certificates = certificates.take(MAX_CHAIN_LENGTH);
        let is_same = |chain: &CertificateChain| {
            let shown = chain.iter().map(|certificate| &*certificate.der);
            shown.eq(certificates.clone())
        };
        let place = place_of(certificates.clone().next().unwrap_or_default());
        let latest = self.latest.get(place).and_then(Option::as_ref);
        if let Some(chain) = latest.filter(|chain| is_same(chain)) {
            return chain.clone();
        }
        let hash = self.hash(certificates.clone());
        let known = self.chains.find(hash, is_same);
        let chain = known.unwrap_or_else(|| self.parse(hash, certificates));
        let bytes: usize = chain.iter().map(|certificate| certificate.der.len()).sum();
        if bytes <= LONGEST_LATEST {
            self.latest.resize(LATEST, None);
            self.latest[place] = Some(chain.clone());
        }
        chain
    }

    /// Parses a chain that is not known.
    fn parse<'a>(
        &mut self,
        hash: u64,
        certificates: impl Iterator<Item = &'a [u8]>,
    ) -> CertificateChain {
        let mut checks = 0;
        let chain: CertificateChain = certificates
            .map(|der| {
                let certificate = self.certificate(der, checks < MAX_OWN_SIGNATURES);
                let facts = certificate.facts.as_ref();
                let own_signature =
                    facts.map_or(OwnSignature::NotAsked, |facts| facts.own_signature);
                checks += usize::from(own_signature == OwnSignature::Checked);
                certificate
            })
            .collect();
        let bytes = chain.iter().map(|certificate| size(certificate)).sum();
        self.chains.insert(hash, chain.clone(), bytes);
        chain
    }

    fn certificate(&mut self, der: &[u8], may_check: bool) -> Arc<Certificate> {
        let hash = self.hash([der].into_iter());
        // What is known of it must not depend on the chains that showed it before.
        let is_same = |known: &Arc<Certificate>| {
            let own_signature = known.facts.as_ref().map(|facts| facts.own_signature);
            *known.der == *der
                && match own_signature {
                    Ok(OwnSignature::Checked) => may_check,
                    Ok(OwnSignature::Skipped) => !may_check,
                    Ok(OwnSignature::NotAsked) | Err(_) => true,
                }
        };
        if let Some(certificate) = self.certificates.find(hash, is_same) {
            return certificate;
        }
        let certificate = Arc::new(Certificate::parse(der, may_check));
        self.certificates
            .insert(hash, Arc::clone(&certificate), size(&certificate));
        certificate
    }

    fn hash<'a>(&self, certificates: impl Iterator<Item = &'a [u8]>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for der in certificates {
            hasher.write_usize(der.len());
            hasher.write(der);
        }
        hasher.finish()
    }
}

/// How many certificates of a chain have a signature of their own that was not checked.
pub(super) fn signatures_skipped(chain: &CertificateChain) -> u64 {
    let facts = chain.iter().filter_map(|shown| shown.facts.as_ref().ok());
    facts
        .filter(|facts| facts.own_signature == OwnSignature::Skipped)
        .count() as u64
}

/// Approximate bytes of a certificate in memory.
pub(super) fn size(certificate: &Certificate) -> usize {
    let facts = |facts: &CertificateFacts| {
        let texts = facts.subject.len() + facts.issuer.len() + facts.serial.len();
        let names = [&facts.dns_names, &facts.uris, &facts.emails, &facts.upns];
        let names = names.into_iter().flatten();
        let names = names.map(|name| name.len() + 32).sum::<usize>();
        texts + names + facts.ip_addresses.len() * size_of::<std::net::IpAddr>()
    };
    certificate.der.len() + certificate.facts.as_ref().map_or(0, facts)
}

/// A bounded table in two generations: entries that are not used while a new generation fills up are dropped with the old one.
#[derive(Debug)]
pub(super) struct Generations<T> {
    new: HashTable<CachedChain<T>>,
    old: HashTable<CachedChain<T>>,
    new_bytes: usize,
    /// Bytes in either generation.
    most: usize,
}

#[derive(Debug)]
struct CachedChain<T> {
    hash: u64,
    bytes: usize,
    value: T,
}

impl<T> Default for Generations<T> {
    fn default() -> Self {
        Self::within(MAX_BYTES)
    }
}

impl<T> Generations<T> {
    /// A table of two generations of `most` bytes each.
    const fn within(most: usize) -> Self {
        Self {
            new: HashTable::new(),
            old: HashTable::new(),
            new_bytes: 0,
            most,
        }
    }
}

impl<T: Clone> Generations<T> {
    pub(super) fn find(&mut self, hash: u64, is_same: impl Fn(&T) -> bool) -> Option<T> {
        let is_wanted = |entry: &CachedChain<T>| entry.hash == hash && is_same(&entry.value);
        if let Some(entry) = self.new.find(hash, is_wanted) {
            return Some(entry.value.clone());
        }
        let (entry, _) = self.old.find_entry(hash, is_wanted).ok()?.remove();
        let value = entry.value.clone();
        self.push(entry);
        Some(value)
    }

    pub(super) fn insert(&mut self, hash: u64, value: T, bytes: usize) {
        let bytes = bytes + ENTRY_BYTES;
        self.push(CachedChain { hash, bytes, value });
    }

    fn push(&mut self, entry: CachedChain<T>) {
        if entry.bytes > self.most {
            return; // one huge chain must not empty the table
        }
        if self.new_bytes + entry.bytes > self.most {
            self.old = std::mem::take(&mut self.new);
            self.new_bytes = 0;
        }
        self.new_bytes += entry.bytes;
        self.new
            .insert_unique(entry.hash, entry, |entry| entry.hash);
    }
}

#[cfg(test)]
mod tests {
    use super::super::support::{Template, common_name};
    use super::*;

    fn chain(cache: &mut ChainCache, certificates: &[&[u8]]) -> CertificateChain {
        cache.chain(certificates.iter().copied())
    }

    #[test]
    fn the_same_bytes_give_the_same_chain_and_certificates() {
        let mut cache = ChainCache::new();
        let first = chain(&mut cache, &[b"a", b"ca"]);
        assert!(Arc::ptr_eq(&first, &chain(&mut cache, &[b"a", b"ca"])));
        let other = chain(&mut cache, &[b"b", b"ca"]);
        assert!(Arc::ptr_eq(&first[1], &other[1]));
        assert_eq!(*other[0].der, *b"b");
    }

    #[test]
    fn chains_with_the_same_bytes_but_other_boundaries_differ() {
        let mut cache = ChainCache::new();
        for certificates in [
            &[&b"ab"[..], b"c"][..],
            &[b"a", b"bc"],
            &[b"abc"],
            &[b"ab"],
            &[],
            &[b""],
        ] {
            let chain = chain(&mut cache, certificates);
            assert!(
                chain
                    .iter()
                    .map(|certificate| &*certificate.der)
                    .eq(certificates.iter().copied())
            );
        }
    }

    #[test]
    fn equal_hashes_do_not_mix_up_chains() {
        let mut table = Generations::default();
        table.insert(7, "one", 0);
        table.insert(7, "two", 0);
        assert_eq!(table.find(7, |&value| value == "two"), Some("two"));
        assert_eq!(table.find(7, |&value| value == "one"), Some("one"));
        assert_eq!(table.find(7, |&value| value == "three"), None);
    }

    #[test]
    fn a_chain_is_cut_at_its_limit() {
        let certificates = vec![&b"a"[..]; MAX_CHAIN_LENGTH + 1];
        assert_eq!(
            chain(&mut ChainCache::new(), &certificates).len(),
            MAX_CHAIN_LENGTH
        );
    }

    #[test]
    fn own_signatures_are_checked_for_the_first_certificates_of_a_chain_and_skipped_for_the_others()
    {
        let ders: Vec<Vec<u8>> = (0..MAX_OWN_SIGNATURES as u8 + 3)
            .map(|serial| {
                let (subject, issuer) = (common_name("root"), common_name("root"));
                Template {
                    serial: vec![serial + 1],
                    subject,
                    issuer,
                    ..Template::default()
                }
                .der()
            })
            .collect();
        let mut cache = ChainCache::new();
        let mut own_signatures = |ders: &[Vec<u8>]| -> Vec<OwnSignature> {
            let chain = cache.chain(ders.iter().map(Vec::as_slice));
            chain
                .iter()
                .map(|shown| shown.facts.as_ref().unwrap().own_signature)
                .collect()
        };
        let skipped = |list: Vec<OwnSignature>| {
            list.iter()
                .map(|own_signature| *own_signature == OwnSignature::Skipped)
                .collect::<Vec<_>>()
        };
        let first = skipped(own_signatures(&ders));
        assert_eq!(first, [false, false, false, false, true, true, true]);
        // Another chain has checks of its own, for certificates that were skipped before.
        assert_eq!(skipped(own_signatures(&ders[4..])), [false; 3]);
        assert_eq!(skipped(own_signatures(&ders)), first);
    }

    #[test]
    fn unused_entries_are_dropped_and_used_ones_are_kept() {
        let mut table = Generations::default();
        let fill = MAX_BYTES / 4 - ENTRY_BYTES;
        for key in 0..100 {
            table.insert(key, key, fill);
            assert_eq!(table.find(0, |&value| value == 0), Some(0));
            assert!(table.new.len() <= 4 && table.old.len() <= 4);
        }
        assert_eq!(table.find(1, |&value| value == 1), None);
        assert_eq!(table.find(99, |&value| value == 99), Some(99));
    }

    #[test]
    fn an_entry_larger_than_the_table_is_not_kept() {
        let mut table = Generations::default();
        table.insert(1, 1, 0);
        table.insert(2, 2, MAX_BYTES);
        assert_eq!(table.find(1, |&value| value == 1), Some(1));
        assert_eq!(table.find(2, |&value| value == 2), None);
    }
}

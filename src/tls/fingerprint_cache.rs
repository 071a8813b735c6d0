//! A cache of fingerprints: three hashes over texts of some hundred bytes are most of the cost of a hello, and a network's
//! clients and servers show few different ones.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::client_hello::ClientHello;
use super::fingerprint::{self, Fingerprint};
use super::is_grease;
use super::server_hello::ServerHello;

/// Fingerprints of the hellos seen last, by what they are computed from.
///
/// Bounded, and keyed by the values themselves: a hit is compared in full. Hits and misses differ in time only.
#[derive(Debug, Default)]
pub struct FingerprintCache {
    hasher: RandomState,
    /// JA3 and JA4.
    clients: Places<[Arc<str>; 2]>,
    /// JA3S.
    servers: Places<Arc<str>>,
    /// The shape at hand.
    shape: Shape,
}

/// What a fingerprint is computed from: lists, each after its length.
type Shape = Vec<u16>;

/// How many fingerprints of either side are kept: a shape has two places, and gives way to the next one with them.
///
/// A guess: ten times as many as a network with many programs shows. Browsers that shuffle their extensions have a new shape
/// each time, and only ever take the place of one other.
const PLACES: usize = 512;

/// Longer shapes are not kept. Those of browsers have about 80 values; this bounds a cache to 300 KB.
const MAX_SHAPE: usize = 256;

impl FingerprintCache {
    /// An empty cache, which takes no memory until it is used.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The fingerprints of a handshake with these hellos; JA4 names what carries them.
    pub fn fingerprint(
        &mut self,
        client: Option<&ClientHello>,
        server: Option<&ServerHello>,
    ) -> Fingerprint {
        let client = client.filter(|hello| hello.has_fingerprint());
        let server = server.filter(|hello| hello.has_fingerprint());
        let client = client.map(|hello| self.of_client(hello));
        let (ja3, ja4) = client.map(|[ja3, ja4]| (ja3, ja4)).unzip();
        Fingerprint {
            ja3,
            ja3s: server.map(|hello| self.of_server(hello)),
            ja4,
        }
    }

    fn of_client(&mut self, hello: &ClientHello) -> [Arc<str>; 2] {
        let shape = &mut self.shape;
        shape.clear();
        shape.push(hello.legacy_version.0);
        let [first, last] = hello.alpn_ends.map_or([0, 0], |(first, last)| {
            [0x100 | u16::from(first), u16::from(last)]
        });
        shape.extend([first, last]);
        push(shape, &hello.cipher_suites, |suite| suite.0);
        push(shape, &hello.extensions, |extension| extension.0);
        push(shape, listed(&hello.groups), |group| group.0);
        push(shape, &hello.point_formats, |format| u16::from(*format));
        let schemes = listed(&hello.signature_algorithms);
        push(shape, schemes, |scheme| scheme.0);
        push(shape, listed(&hello.supported_versions), |version| {
            version.0
        });
        self.clients.find_or_make(&self.hasher, shape, || {
            // There are both, since `hello.has_fingerprint()`.
            [hello.ja3(), hello.ja4()].map(|text| text.unwrap_or_default().into())
        })
    }

    fn of_server(&mut self, hello: &ServerHello) -> Arc<str> {
        let shape = &mut self.shape;
        shape.clear();
        shape.push(hello.legacy_version.0);
        push(shape, hello.cipher_suite.as_slice(), |suite| suite.0);
        push(shape, &hello.extensions, |extension| extension.0);
        self.servers
            .find_or_make(&self.hasher, shape, || fingerprint::ja3s(hello).into())
    }
}

/// Stands for all GREASE values: no fingerprint depends on them.
const GREASE: u16 = 0x0a0a;

/// Appends a list. GREASE values stay in their places: to leave them out takes a branch for each value.
fn push<T>(shape: &mut Shape, list: &[T], value: impl Fn(&T) -> u16) {
    shape.push(list.len() as u16); // a list has at most MAX_LISTED values
    let values = list.iter().map(value);
    shape.extend(values.map(|value| if is_grease(value) { GREASE } else { value }));
}

fn listed<T>(list: &Option<Vec<T>>) -> &[T] {
    list.as_deref().unwrap_or_default()
}

/// Values by their shapes, of which each has one place.
#[derive(Debug)]
struct Places<T>(Vec<Option<(Box<[u16]>, T)>>);

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Clone> Places<T> {
    fn find_or_make(&mut self, hasher: &RandomState, shape: &[u16], make: impl FnOnce() -> T) -> T {
        if shape.len() > MAX_SHAPE {
            return make();
        }
        if self.0.is_empty() {
            self.0.resize_with(PLACES, || None);
        }
        // Two shapes that come in turn may have one place: then each is in one of two.
        let first = hasher.hash_one(shape) as usize % PLACES;
        let second = first ^ 1;
        let mut known = [first, second]
            .into_iter()
            .filter_map(|at| self.0[at].as_ref());
        if let Some((_, value)) = known.find(|(known, _)| **known == *shape) {
            return value.clone();
        }
        let value = make();
        let is_second_free = self.0[first].is_some() && self.0[second].is_none();
        let at = if is_second_free { second } else { first };
        self.0[at] = Some((shape.into(), value.clone()));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CipherSuite, ExtensionType, NamedGroup, ProtocolVersion, SignatureScheme};
    use super::*;

    fn client() -> ClientHello {
        ClientHello {
            legacy_version: ProtocolVersion::TLSv1_2,
            cipher_suites: [0x0a0a, 0x1302, 0x1301].map(CipherSuite).to_vec(),
            extensions: [0, 0x1a1a, 16, 10, 11, 13, 43].map(ExtensionType).to_vec(),
            supported_versions: Some([0x3a3a, 0x0304, 0x0303].map(ProtocolVersion).to_vec()),
            groups: Some([0x2a2a, 29, 23].map(NamedGroup).to_vec()),
            point_formats: vec![0],
            signature_algorithms: Some([0x0804, 0x0403].map(SignatureScheme).to_vec()),
            alpn_ends: Some((b'h', b'2')),
            ..ClientHello::default()
        }
    }

    fn server() -> ServerHello {
        ServerHello {
            legacy_version: ProtocolVersion::TLSv1_2,
            cipher_suite: Some(CipherSuite(0x1301)),
            extensions: vec![ExtensionType(43), ExtensionType(51)],
            ..ServerHello::default()
        }
    }

    /// Each with one thing changed that a fingerprint depends on.
    fn clients() -> Vec<ClientHello> {
        let changes: [fn(&mut ClientHello); 13] = [
            |_| {},
            |hello| hello.legacy_version = ProtocolVersion::TLSv1_0,
            |hello| hello.cipher_suites.truncate(2),
            |hello| hello.cipher_suites.reverse(),
            |hello| hello.extensions.swap(0, 2),
            |hello| hello.supported_versions = None,
            |hello| hello.supported_versions = Some(vec![ProtocolVersion::TLSv1_2]),
            |hello| hello.groups.iter_mut().for_each(|groups| groups.reverse()),
            |hello| hello.point_formats = vec![],
            |hello| hello.signature_algorithms = None,
            |hello| hello.alpn_ends = None,
            |hello| hello.alpn_ends = Some((0, 0)),
            |hello| {
                hello
                    .extensions
                    .push(ExtensionType::QuicTransportParameters)
            },
        ];
        changes
            .iter()
            .map(|change| {
                let mut hello = client();
                change(&mut hello);
                hello
            })
            .collect()
    }

    #[test]
    fn a_cached_fingerprint_is_that_of_the_hello() {
        let mut cache = FingerprintCache::new();
        for _ in 0..2 {
            for hello in clients() {
                let found = cache.fingerprint(Some(&hello), Some(&server()));
                assert_eq!(found.ja3.as_deref(), hello.ja3().as_deref());
                assert_eq!(found.ja4.as_deref(), hello.ja4().as_deref());
                assert_eq!(found.ja3s.as_deref(), server().ja3s().as_deref());
            }
        }
    }

    #[test]
    fn hellos_that_differ_in_grease_share_a_fingerprint() {
        let mut cache = FingerprintCache::new();
        let mut other = client();
        other.cipher_suites[0] = CipherSuite(0xfafa);
        let [first, again] = [client(), other].map(|hello| cache.fingerprint(Some(&hello), None));
        assert!(Arc::ptr_eq(&first.ja4.unwrap(), &again.ja4.unwrap()));
    }

    #[test]
    fn a_hello_that_was_cut_short_has_none() {
        let mut cache = FingerprintCache::new();
        let mut hello = client();
        hello.is_partial = true;
        let partial = ServerHello {
            is_partial: true,
            ..server()
        };
        let none = cache.fingerprint(Some(&hello), Some(&partial));
        assert_eq!(none, Fingerprint::default());
    }

    #[test]
    fn a_hello_of_any_length_has_a_fingerprint_and_takes_no_more_memory() {
        let mut cache = FingerprintCache::new();
        let mut hello = client();
        hello.cipher_suites = (0..1_000).map(CipherSuite).collect();
        let found = cache.fingerprint(Some(&hello), None);
        assert_eq!(found.ja3.as_deref(), hello.ja3().as_deref());
        assert!(cache.clients.0.is_empty());
    }
}

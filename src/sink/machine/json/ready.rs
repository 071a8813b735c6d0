//! The texts of certificates and of what clients offer, ready to be copied into lines: a run shows few certificates, again and again,
//! and nothing about them changes but the days until they expire. So it is with the lists of code points in hellos, which most programs
//! have from their libraries.

use std::ops::Range;
use std::sync::Arc;

use memchr::memmem;
use serde_json::Error;

use super::lines::CertificateLine;
use super::value::Codes;
use super::writer;
use crate::certificate::Certificate;
use crate::event::{Handshake, TlsFacts};
use crate::time::Timestamp;
use crate::tls::{CipherSuite, CodePoint, NamedGroup, ProtocolVersion, SignatureScheme};

/// Texts that were written, in a fixed number of places and within a limit of bytes. What a text belongs to chooses its place, where it
/// replaces another; what is not kept is written again.
#[derive(Debug)]
struct Places<T, const COUNT: usize> {
    /// Empty until the first is kept.
    places: Vec<Option<T>>,
    /// Bytes of memory that all take.
    bytes: usize,
    /// The most that they may take.
    limit: usize,
    /// The place that is emptied next to stay within the limit.
    next: usize,
}

/// What can be kept in a place.
trait Held {
    /// Bytes of memory that it takes, with what it holds, which may have left every other place.
    fn bytes(&self) -> usize;
}

impl<T, const COUNT: usize> Places<T, COUNT> {
    const fn within(bytes: usize) -> Self {
        Self {
            places: Vec::new(),
            bytes: 0,
            limit: bytes,
            next: 0,
        }
    }

    fn get(&self, place: usize) -> Option<&T> {
        self.places.get(place)?.as_ref()
    }
}

impl<T: Held, const COUNT: usize> Places<T, COUNT> {
    /// Empties a place.
    fn take(&mut self, place: usize) -> Option<T> {
        let taken = self.places.get_mut(place)?.take()?;
        self.bytes -= taken.bytes();
        Some(taken)
    }

    /// Fills a place; while all take more than they may, empties one place after the other.
    fn keep(&mut self, kept: T, place: usize) {
        if self.places.is_empty() {
            self.places.resize_with(COUNT, || None);
        }
        self.take(place);
        self.bytes += kept.bytes();
        self.places[place] = Some(kept);
        while self.bytes > self.limit {
            self.take(self.next);
            self.next = (self.next + 1) % COUNT;
        }
    }
}

/// Texts of the certificates seen last, by the certificates themselves.
#[derive(Debug)]
pub(super) struct ReadyCertificates {
    places: Places<Ready, PLACES>,
    /// The chains of the line at hand.
    text: Vec<u8>,
}

#[derive(Debug)]
struct Ready {
    /// Held, to be compared.
    certificate: Arc<Certificate>,
    text: Vec<u8>,
    /// Where the days until it expires stand in the text; at its end if it has none.
    days: Range<usize>,
}

/// The chains of one handshake as they are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadyChains<'a> {
    pub(super) server: &'a [u8],
    pub(super) client: &'a [u8],
}

/// How many texts are kept: a certificate has one place, and gives way to the next one with that place. A guess: a few times as
/// many as most networks show.
const PLACES: usize = 512;

/// Bytes of a certificate and its text beyond which it is not kept: usual ones have 2 to 4 KB.
const LONGEST: usize = 8 << 10;

/// The most that all take, unless memory is shorter: [`PLACES`] that are all as long as they may be.
const MOST_BYTES: usize = PLACES * LONGEST;

impl Default for ReadyCertificates {
    fn default() -> Self {
        Self::within(MOST_BYTES)
    }
}

impl ReadyCertificates {
    /// Takes about `bytes` of memory at most. Nothing is lost for lack of room: a text that is not kept is made again.
    pub(super) const fn within(bytes: usize) -> Self {
        Self {
            places: Places::within(bytes),
            text: Vec::new(),
        }
    }

    /// An empty one with the memory of one of `count`.
    pub(super) const fn share(&self, count: usize) -> Self {
        Self::within(self.places.limit / if count > 0 { count } else { 1 })
    }

    /// The chains of both sides; empty where none was seen.
    pub(super) fn chains(&mut self, event: &Handshake) -> Result<ReadyChains<'_>, Error> {
        self.text.clear();
        let sides = [&event.server_certificates, &event.client_certificates];
        let mut ends = [0; 2];
        for (chain, end) in sides.into_iter().zip(&mut ends) {
            if let Some(chain) = chain {
                self.write_chain(chain, event.judged_at)?;
            }
            *end = self.text.len();
        }
        let (server, client) = self.text.split_at(ends[0]);
        Ok(ReadyChains { server, client })
    }

    fn write_chain(
        &mut self,
        chain: &[Arc<Certificate>],
        judged_at: Timestamp,
    ) -> Result<(), Error> {
        self.text.push(b'[');
        for (index, certificate) in chain.iter().enumerate() {
            if index > 0 {
                self.text.push(b',');
            }
            self.write_certificate(certificate, judged_at)?;
        }
        self.text.push(b']');
        Ok(())
    }

    fn write_certificate(
        &mut self,
        certificate: &Arc<Certificate>,
        judged_at: Timestamp,
    ) -> Result<(), Error> {
        // Hashes are spread evenly.
        let [first, second, ..] = certificate.sha256;
        let place = usize::from(u16::from_be_bytes([first, second])) % PLACES;
        // Each worker has read the certificate for itself, and any of them may have made the event.
        let is_same = |ready: &&Ready| {
            Arc::ptr_eq(&ready.certificate, certificate) || ready.certificate == *certificate
        };
        if let Some(ready) = self.places.get(place).filter(is_same) {
            ready.write(&mut self.text, judged_at)?;
            return Ok(());
        }
        let ready = Ready::new(certificate, judged_at)?;
        self.text.extend_from_slice(&ready.text);
        if ready.text.len() + certificate.der.len() <= LONGEST {
            self.places.keep(ready, place);
        }
        Ok(())
    }
}

impl Held for Ready {
    fn bytes(&self) -> usize {
        self.text.len() + self.certificate.allocated()
    }
}

impl Ready {
    fn new(certificate: &Arc<Certificate>, judged_at: Timestamp) -> Result<Self, Error> {
        /// No value has this in it: its quotes would be escaped.
        const DAYS: &[u8] = b",\"days_until_expiry\":";
        let mut text = Vec::new();
        writer::write(&mut text, &CertificateLine::new(certificate, judged_at))?;
        let days = memmem::find(&text, DAYS).map_or(text.len()..text.len(), |key| {
            let start = key + DAYS.len();
            let length = text[start..].iter().position(|byte| *byte == b',');
            start..length.map_or(text.len(), |length| start + length)
        });
        text.shrink_to_fit();
        Ok(Self {
            certificate: Arc::clone(certificate),
            text,
            days,
        })
    }

    /// Writes the text with the days at another moment.
    fn write(&self, output: &mut Vec<u8>, judged_at: Timestamp) -> Result<(), Error> {
        let Ok(facts) = &self.certificate.facts else {
            output.extend_from_slice(&self.text);
            return Ok(());
        };
        output.extend_from_slice(&self.text[..self.days.start]);
        serde_json::to_writer(&mut *output, &facts.expiry(judged_at).rounded_days())?;
        output.extend_from_slice(&self.text[self.days.end..]);
        Ok(())
    }
}

/// Texts of the lists of code points seen last.
#[derive(Debug)]
pub(super) struct ReadyLists {
    versions: ReadyOf<ProtocolVersion>,
    cipher_suites: ReadyOf<CipherSuite>,
    groups: ReadyOf<NamedGroup>,
    signature_algorithms: ReadyOf<SignatureScheme>,
    /// The lists of the line at hand.
    text: Vec<u8>,
    /// The most bytes of memory that the lists and their texts may take.
    limit: usize,
}

/// Texts of lists of one kind, by the lists themselves: events [share](crate::tls::ListCache) equal ones.
#[derive(Debug)]
struct ReadyOf<T>(Places<ReadyList<T>, LISTS>);

#[derive(Debug)]
struct ReadyList<T> {
    /// Held, so that no other list gets its place in memory.
    list: Arc<[T]>,
    text: Vec<u8>,
}

/// What one client offers, as it is written; empty where there is no such list.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadyOffer<'a> {
    pub(super) versions: &'a [u8],
    pub(super) cipher_suites: &'a [u8],
    pub(super) groups: &'a [u8],
    pub(super) key_share_groups: &'a [u8],
    pub(super) signature_algorithms: &'a [u8],
}

/// How many lists of each kind are kept. A guess, as with certificates; GREASE makes up to 16 lists of each kind of one program.
const LISTS: usize = 128;

/// Code points in a list beyond which it is not kept: all registered cipher suites are some 350.
const LONGEST_LIST: usize = 512;

/// Kinds of lists.
const KINDS: usize = 4;

/// The most that all take, unless memory is shorter: [`LISTS`] that are all as long as they may be, with digits and commas.
const MOST_BYTES_OF_LISTS: usize = KINDS * LISTS * LONGEST_LIST * 16;

impl Default for ReadyLists {
    fn default() -> Self {
        Self::within(MOST_BYTES_OF_LISTS)
    }
}

impl<T> Held for ReadyList<T> {
    fn bytes(&self) -> usize {
        size_of_val(&*self.list) + self.text.capacity()
    }
}

impl ReadyLists {
    /// Takes about `bytes` of memory at most, as [`ReadyCertificates::within`] does: a quarter for each kind.
    pub(super) const fn within(bytes: usize) -> Self {
        Self {
            versions: ReadyOf::within(bytes / KINDS),
            cipher_suites: ReadyOf::within(bytes / KINDS),
            groups: ReadyOf::within(bytes / KINDS),
            signature_algorithms: ReadyOf::within(bytes / KINDS),
            text: Vec::new(),
            limit: bytes,
        }
    }

    /// An empty one with the memory of one of `count`.
    pub(super) const fn share(&self, count: usize) -> Self {
        Self::within(self.limit / if count > 0 { count } else { 1 })
    }

    /// The lists of what a client offers.
    pub(super) fn offer(&mut self, tls: &TlsFacts) -> Result<ReadyOffer<'_>, Error> {
        let text = &mut self.text;
        text.clear();
        let ends = [
            self.versions.write(&tls.offered_versions, text)?,
            self.cipher_suites.write(&tls.offered_cipher_suites, text)?,
            self.groups.write(&tls.offered_groups, text)?,
            self.groups.write(&tls.key_share_groups, text)?,
            self.signature_algorithms
                .write(&tls.signature_algorithms, text)?,
        ];
        let mut start = 0;
        let [
            versions,
            cipher_suites,
            groups,
            key_share_groups,
            signature_algorithms,
        ] = ends.map(|end| &self.text[std::mem::replace(&mut start, end)..end]);
        Ok(ReadyOffer {
            versions,
            cipher_suites,
            groups,
            key_share_groups,
            signature_algorithms,
        })
    }
}

impl<T> ReadyOf<T> {
    const fn within(bytes: usize) -> Self {
        Self(Places::within(bytes))
    }
}

impl<T: CodePoint> ReadyOf<T> {
    /// Appends the text of a list, if there is one; returns where it ends.
    fn write(&mut self, list: &Option<Arc<[T]>>, output: &mut Vec<u8>) -> Result<usize, Error> {
        let Some(list) = list else {
            return Ok(output.len());
        };
        if list.len() > LONGEST_LIST {
            writer::write(output, &Codes::of(list))?;
            return Ok(output.len());
        }
        let address = Arc::as_ptr(list).cast::<T>().addr();
        let place = (address >> 4 ^ address >> 11) % LISTS; // allocations begin at multiples of 16
        let is_same = |ready: &&ReadyList<T>| Arc::ptr_eq(&ready.list, list);
        if let Some(ready) = self.0.get(place).filter(is_same) {
            output.extend_from_slice(&ready.text);
            return Ok(output.len());
        }
        let former = self.0.take(place);
        let mut text = former.map(|ready| ready.text).unwrap_or_default();
        text.clear();
        writer::write(&mut text, &Codes::of(list))?;
        output.extend_from_slice(&text);
        let list = Arc::clone(list);
        self.0.keep(ReadyList { list, text }, place);
        Ok(output.len())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sink::test_events;

    /// What all in the places take, added up.
    fn held<T: Held, const COUNT: usize>(places: &Places<T, COUNT>) -> usize {
        places.places.iter().flatten().map(T::bytes).sum()
    }

    fn text_of(certificate: &Arc<Certificate>, judged_at: Timestamp) -> Vec<u8> {
        let mut text = Vec::new();
        writer::write(&mut text, &CertificateLine::new(certificate, judged_at)).unwrap();
        text
    }

    #[test]
    fn a_ready_text_is_what_would_be_written() {
        let mut hostile = test_events::leaf();
        hostile.subject = ",\"days_until_expiry\":1,".into();
        hostile.dns_names = vec!["a".into(), "days_until_expiry".into()];
        let facts = [
            Ok(test_events::leaf()),
            Ok(hostile),
            Err("not DER".to_owned()),
        ];
        // The same hash, so that they take each other's place.
        let chain = test_events::chain(facts);
        let mut ready = ReadyCertificates::default();
        for days in [0, 1, 20, 500] {
            let judged_at = test_events::START.saturating_add(Duration::from_secs(days * 86_401));
            for certificate in chain.iter() {
                for _ in 0..2 {
                    ready.text.clear();
                    ready.write_certificate(certificate, judged_at).unwrap();
                    assert_eq!(ready.text, text_of(certificate, judged_at));
                }
            }
        }
    }

    #[test]
    fn texts_take_no_more_memory_than_they_may() {
        let chain = |number: u32| {
            let mut facts = test_events::leaf();
            facts.dns_names = vec![format!("{number}.example.org"); 20];
            let mut chain = test_events::chain([Ok(facts)]);
            let certificate = Arc::get_mut(&mut chain).and_then(|chain| chain.first_mut());
            let certificate = certificate.and_then(Arc::get_mut).unwrap();
            certificate.sha256[..2].copy_from_slice(&(number as u16).to_be_bytes());
            chain
        };
        let limit = 100_000;
        let mut ready = ReadyCertificates::within(limit);
        let mut fullest = 0;
        for number in 0..2_000 {
            let chain = chain(number);
            for _ in 0..2 {
                ready.text.clear();
                ready
                    .write_certificate(&chain[0], test_events::START)
                    .unwrap();
                assert_eq!(ready.text, text_of(&chain[0], test_events::START));
            }
            assert_eq!(ready.places.bytes, held(&ready.places));
            assert!(ready.places.bytes <= limit);
            fullest = fullest.max(ready.places.bytes);
        }
        assert!(fullest > limit * 9 / 10, "{fullest}");
    }

    #[test]
    fn lists_take_no_more_memory_than_they_may() {
        let limit = 40_000;
        let mut ready = ReadyLists::within(limit).share(2);
        assert_eq!(ready.limit, limit / 2);
        let ready = &mut ready.cipher_suites;
        assert_eq!(ready.0.limit, limit / 2 / KINDS);
        let (mut fullest, mut lists) = (0, Vec::new());
        for number in 0..2_000_u16 {
            let list: Arc<[_]> = (0..number % 600)
                .map(|code| CipherSuite(code ^ number))
                .collect();
            let mut expected = Vec::new();
            writer::write(&mut expected, &Codes::of(&list)).unwrap();
            let list = Some(list);
            for _ in 0..2 {
                let mut text = Vec::new();
                ready.write(&list, &mut text).unwrap();
                assert_eq!(text, expected);
            }
            lists.push(list); // so that each has an address of its own
            assert_eq!(ready.0.bytes, held(&ready.0));
            assert!(ready.0.bytes <= ready.0.limit);
            fullest = fullest.max(ready.0.bytes);
        }
        assert!(fullest > ready.0.limit / 2, "{fullest}");
    }

    #[test]
    fn a_certificate_that_another_worker_has_read_has_the_same_text() {
        let [first, second] = [(); 2].map(|()| test_events::chain([Ok(test_events::leaf())]));
        let mut ready = ReadyCertificates::default();
        for chain in [&first, &second] {
            let written = ready.write_certificate(&chain[0], test_events::START);
            written.unwrap();
        }
        let kept: Vec<_> = ready.places.places.iter().flatten().collect();
        assert_eq!(kept.len(), 1);
        assert!(Arc::ptr_eq(&kept[0].certificate, &first[0]));
    }

    #[test]
    fn a_long_text_is_not_kept() {
        let mut facts = test_events::leaf();
        facts.dns_names = vec!["example.org".into(); 1_000];
        let chain = test_events::chain([Ok(facts)]);
        let mut ready = ReadyCertificates::default();
        ready
            .write_certificate(&chain[0], test_events::START)
            .unwrap();
        assert_eq!(ready.text, text_of(&chain[0], test_events::START));
        assert!(ready.places.places.iter().all(Option::is_none));
    }
}

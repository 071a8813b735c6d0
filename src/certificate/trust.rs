//! The roots that chains are held against.

#![expect(
    clippy::disallowed_types,
    reason = "roots can be replaced during a run"
)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls_pki_types::{CertificateDer, TrustAnchor};
use sha2::{Digest, Sha256};
use webpki::anchor_from_trusted_cert;

use super::parse;

/// Whose roots a trust store holds.
///
/// The trust store of an observer is not that of the peers observed. Where the
/// user names the roots, they say what the peers trust; the system's roots are
/// only what most peers on the public Internet trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustOrigin {
    /// Those of the system that observes, and perhaps the user's, too.
    System,
    /// Those that the user named, and no others.
    Given,
}

/// Roots of trust, and what they say of themselves.
///
/// Any certificate can be one: its subject and key are trusted to issue others,
/// whether or not it is signed by its own key (as `openssl verify -partial_chain`
/// and curl do).
#[derive(Debug)]
pub struct TrustStore {
    origin: TrustOrigin,
    anchors: Vec<TrustAnchor<'static>>,
    roots: Vec<Root>,
    /// Positions in `roots`, by subject.
    by_subject: HashMap<String, Vec<usize>>,
}

/// The roots in force: shared by whoever judges, and exchanged in a run when they have changed.
///
/// Clones share the roots. Without any, trust is left out.
#[derive(Clone, Debug, Default)]
pub struct Trust(Arc<Current>);

#[derive(Debug, Default)]
struct Current {
    /// Grows with each exchange.
    generation: AtomicU64,
    store: Mutex<Option<Arc<TrustStore>>>,
}

impl Trust {
    /// These roots.
    ///
    /// # Example
    ///
    /// ```
    /// use tlscope::certificate::{Trust, TrustOrigin, TrustStore};
    ///
    /// let trust = Trust::new(TrustStore::new(TrustOrigin::Given));
    /// assert!(trust.store().unwrap().is_empty());
    /// assert!(Trust::default().store().is_none()); // left out
    /// ```
    #[must_use]
    pub fn new(store: TrustStore) -> Self {
        let this = Self::default();
        this.exchange(store);
        this
    }

    /// Puts other roots in force, from the next handshake on.
    pub fn exchange(&self, store: TrustStore) {
        *self.0.store.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(store));
        self.0.generation.fetch_add(1, Ordering::Release);
    }

    /// The roots in force; `None` if trust is left out.
    #[must_use]
    pub fn store(&self) -> Option<Arc<TrustStore>> {
        let store = self.0.store.lock();
        store.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another number after each exchange: whether to look again, without a lock.
    pub(super) fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }
}

/// A root as people know it.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) subject: String,
    pub(super) sha256: [u8; 32],
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    /// As in [`super::CertificateFacts::key`].
    pub(super) key: String,
}

impl TrustStore {
    /// An empty store: it trusts nothing.
    #[must_use]
    pub fn new(origin: TrustOrigin) -> Self {
        Self {
            origin,
            anchors: Vec::new(),
            roots: Vec::new(),
            by_subject: HashMap::new(),
        }
    }

    /// Adds the root with these DER bytes; one that is there already changes nothing.
    ///
    /// # Errors
    ///
    /// Why it cannot be a root, as one lower-case clause for people: it is not a
    /// certificate, or none that chains can be held against. The store is unchanged.
    ///
    /// # Example
    ///
    /// ```
    /// use tlscope::certificate::{TrustOrigin, TrustStore};
    ///
    /// let mut store = TrustStore::new(TrustOrigin::Given);
    /// assert_eq!(store.add(b"\x30\x02"), Err("cut short".to_owned()));
    /// assert!(store.is_empty());
    /// ```
    pub fn add(&mut self, der: &[u8]) -> Result<(), String> {
        let root = Root {
            sha256: Sha256::digest(der).into(),
            ..parse::root(der)?
        };
        if self.holds(&root.sha256) {
            return Ok(());
        }
        let certificate = CertificateDer::from(der);
        let anchor = anchor_from_trusted_cert(&certificate)
            .map_err(|error| format!("no root of trust: {error}"))?;
        let index = self.roots.len();
        self.anchors.push(anchor.to_owned());
        self.by_subject
            .entry(root.subject.clone())
            .or_default()
            .push(index);
        self.roots.push(root);
        Ok(())
    }

    /// Whose roots it holds.
    #[must_use]
    pub const fn origin(&self) -> TrustOrigin {
        self.origin
    }

    /// How many roots it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.roots.len()
    }

    /// Whether it trusts nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    pub(super) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// The root that is at `anchor`, one of [`Self::anchors`].
    pub(super) fn root_of(&self, anchor: &TrustAnchor<'_>) -> Option<&Root> {
        let position = self.anchors.iter().position(|known| known == anchor)?;
        self.roots.get(position)
    }

    /// Whether the very certificate with this hash is a root.
    pub(super) fn holds(&self, sha256: &[u8; 32]) -> bool {
        self.roots.iter().any(|root| root.sha256 == *sha256)
    }

    /// The roots with this subject.
    pub(super) fn named(&self, subject: &str) -> impl Iterator<Item = &Root> {
        let positions = self.by_subject.get(subject).map_or(&[][..], Vec::as_slice);
        positions
            .iter()
            .filter_map(|position| self.roots.get(*position))
    }
}

#[cfg(test)]
mod tests {
    use super::super::support::{Template, common_name};
    use super::*;

    fn root(name: &str) -> Vec<u8> {
        Template {
            subject: common_name(name),
            issuer: common_name(name),
            ..Template::default()
        }
        .der()
    }

    #[test]
    fn a_root_is_there_once_and_known_by_its_subject() {
        let mut store = TrustStore::new(TrustOrigin::Given);
        for name in ["a", "b", "a"] {
            store.add(&root(name)).unwrap();
        }
        assert_eq!(store.len(), 2);
        assert_eq!(store.named("CN=a").count(), 1);
        assert_eq!(store.named("CN=c").count(), 0);
        let hash = Sha256::digest(root("b")).into();
        assert!(store.holds(&hash));
        assert_eq!(store.root_of(&store.anchors()[1]).unwrap().subject, "CN=b");
    }

    #[test]
    fn what_is_no_certificate_leaves_the_store_as_it_was() {
        let mut store = TrustStore::new(TrustOrigin::System);
        let whole = root("a");
        for end in 0..whole.len() {
            assert!(store.add(&whole[..end]).is_err(), "{end} bytes");
        }
        assert!(store.is_empty());
    }
}

//! Trusted roots.

#![expect(
    clippy::disallowed_types,
    reason = "roots can be replaced during a run"
)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(feature = "validate")]
use rustls_pki_types::{CertificateDer, TrustAnchor};
#[cfg(feature = "validate")]
use sha2::{Digest, Sha256};
#[cfg(feature = "validate")]
use webpki::anchor_from_trusted_cert;

#[cfg(feature = "validate")]
use super::parse;
use super::{CertificateTime, PublicKey};

/// Where the roots of a trust store come from.
///
/// The trust store of an observer is not that of the observed peers. Roots that
/// the user supplies are what the peers trust; the system's roots are only what
/// most peers on the public Internet trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustOrigin {
    /// The system on which the observer runs, and perhaps the user, too.
    System,
    /// The user only.
    Given,
}

/// Trusted roots and their facts.
///
/// Any certificate can be one: its subject and key are trusted to issue others,
/// whether or not it is signed by its own key (as `openssl verify -partial_chain`
/// and curl do).
#[derive(Debug)]
pub struct TrustStore {
    origin: TrustOrigin,
    #[cfg(feature = "validate")]
    anchors: Vec<TrustAnchor<'static>>,
    roots: Vec<Root>,
    /// Positions in `roots`, by subject.
    by_subject: HashMap<String, Vec<usize>>,
}

/// The current roots, which can be exchanged during a run.
///
/// Clones share the roots. The default has none: chains are not validated against roots then.
#[derive(Clone, Debug, Default)]
pub struct Trust(Arc<Current>);

#[derive(Debug, Default)]
struct Current {
    /// Increases with each exchange.
    generation: AtomicU64,
    store: Mutex<Option<Arc<TrustStore>>>,
}

impl Trust {
    /// Starts with these roots.
    ///
    /// # Example
    ///
    /// ```
    /// use tlscope::certificate::{Trust, TrustOrigin, TrustStore};
    ///
    /// let trust = Trust::new(TrustStore::new(TrustOrigin::Given));
    /// assert!(trust.store().unwrap().is_empty());
    /// assert!(Trust::default().store().is_none());
    /// ```
    #[must_use]
    pub fn new(store: TrustStore) -> Self {
        let this = Self::default();
        this.exchange(store);
        this
    }

    /// Replaces the roots, from the next handshake on.
    pub fn exchange(&self, store: TrustStore) {
        *self.0.store.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(store));
        self.0.generation.fetch_add(1, Ordering::Release);
    }

    /// The current roots; `None` if chains are not validated against roots.
    #[must_use]
    pub fn store(&self) -> Option<Arc<TrustStore>> {
        let store = self.0.store.lock();
        store.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A number that changes with each exchange: says without a lock whether [`Trust::store`] has changed.
    pub(super) fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }
}

/// The facts of a root.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) subject: String,
    pub(super) sha256: [u8; 32],
    pub(super) not_before: CertificateTime,
    pub(super) not_after: CertificateTime,
    pub(super) key: PublicKey,
}

impl TrustStore {
    /// An empty store: it trusts nothing. Roots can be added with the feature `validate`.
    #[must_use]
    pub fn new(origin: TrustOrigin) -> Self {
        Self {
            origin,
            #[cfg(feature = "validate")]
            anchors: Vec::new(),
            roots: Vec::new(),
            by_subject: HashMap::new(),
        }
    }

    /// Adds the root with these DER bytes; a root that is already there changes nothing.
    ///
    /// # Errors
    ///
    /// Why it cannot be a root, as one lower-case clause for people: it is not a
    /// certificate, or webpki does not accept it as a root. The store is unchanged.
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
    #[cfg(feature = "validate")]
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

    /// Where its roots come from.
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

    #[cfg(feature = "validate")]
    pub(super) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// The root of `anchor`, one of [`Self::anchors`].
    #[cfg(feature = "validate")]
    pub(super) fn root_of(&self, anchor: &TrustAnchor<'_>) -> Option<&Root> {
        let position = self.anchors.iter().position(|known| known == anchor)?;
        self.roots.get(position)
    }

    /// Whether the certificate with this hash is a root.
    pub(super) fn holds(&self, sha256: &[u8; 32]) -> bool {
        self.roots.iter().any(|root| root.sha256 == *sha256)
    }

    /// The roots with this subject.
    #[cfg(feature = "validate")]
    pub(super) fn named(&self, subject: &str) -> impl Iterator<Item = &Root> {
        let positions = self.by_subject.get(subject).map_or(&[][..], Vec::as_slice);
        positions
            .iter()
            .filter_map(|position| self.roots.get(*position))
    }
}

#[cfg(all(test, feature = "validate"))]
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
    fn a_root_is_stored_once_and_found_by_its_subject() {
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
    fn a_failed_add_leaves_the_store_unchanged() {
        let mut store = TrustStore::new(TrustOrigin::System);
        let whole = root("a");
        for end in 0..whole.len() {
            assert!(store.add(&whole[..end]).is_err(), "{end} bytes");
        }
        assert!(store.is_empty());
    }
}
